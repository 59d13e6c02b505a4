"""``function``: native code against the interpreter, updates, broadcasting, and every error's text."""
from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.function import Param
from symbolic.graph import Variable
from symbolic.ops.elementwise import ROWS, Elementwise
from symbolic.reverse import pullbacks
from symbolic.scalar import ATOMS
from symbolic.types import TensorType

RTOL = {"bool": 0, "float32": 4e-6, "float64": 1e-13, "complex128": 1e-13, "complex64": 4e-6}
MODES = ["FAST_RUN", "FAST_COMPILE", "CHECK"]


def matrix(name: str, dtype: str = "float64") -> Variable:
    return Variable(TensorType(dtype, (None, None)), name=name)


def vector(name: str, dtype: str = "float64") -> Variable:
    return Variable(TensorType(dtype, (None,)), name=name)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int32", "uint64"])
def test_every_row_compiles_to_what_the_interpreter_says(dtype):
    rng = np.random.default_rng(0)
    xs = [vector(f"x{k}", dtype) for k in range(3)]
    outs, names = [], []
    for name, row in ROWS.items():
        if (row.kind == "bits") != (dtype[0] in "iu") and dtype[0] == "f" or row.kind == "complex":
            continue
        try:
            outs.append(Elementwise(name)(*xs[:row.nin]))
        except symbolic.graph.errors.SymbolicError:
            continue
        names.append(name)
    assert len(outs) > 25
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, 1.0, -1.5] if dtype[0] == "f" else [0, 1, 2, 3, 5, 7, 6, 4]
    arrays = [rng.permutation(np.concatenate([special, rng.uniform(1, 4, 30)])).astype(dtype) for _ in xs]
    got = symbolic.function(xs, outs)(*arrays)
    want = evaluate(outs, dict(zip(xs, arrays, strict=True)))
    for name, g, w in zip(names, got, want, strict=True):
        assert g.dtype == w.dtype
        rtol = RTOL.get(w.dtype.name, 0)
        if "shift" in name or (name == "pow" and dtype[0] in "iu"):
            continue  # shifts past the width and integer overflow differ between NumPy and C
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol, err_msg=name)


def test_fused_gradient_with_a_sum_over_rows():
    x, b = matrix("x", "float32"), vector("b", "float32")
    y = 1 / (1 + (-x).exp()) * (x + b).tanh() + x**2
    g = pullbacks({y: x}, [x, b])
    f = symbolic.function([x, b], [y, g[x], g[b]])
    rng = np.random.default_rng(1)
    for shape in [(5, 7), (1, 1), (3, 700), (0, 4)]:
        a, v = rng.normal(size=shape).astype("f"), rng.normal(size=shape[1]).astype("f")
        for got, want in zip(f(a, v), evaluate([y, g[x], g[b]], {x: a, b: v}), strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)
    assert f.source.count("\nvoid k_") == 2, "one fused kernel and one sum"


@pytest.mark.parametrize("mode", MODES)
def test_updates_see_old_values(mode):
    a, b = symbolic.shared(np.array([1.0, 2.0]), "a"), symbolic.shared(np.array([10.0, 20.0]), "b")
    f = symbolic.function([], a + b, updates=[(a, b), (b, a)], mode=mode)
    np.testing.assert_array_equal(f(), [11, 22])
    np.testing.assert_array_equal(a.get_value(), [10, 20])
    np.testing.assert_array_equal(b.get_value(), [1, 2])
    f()
    np.testing.assert_array_equal(a.get_value(), [1, 2])


@pytest.mark.parametrize("mode", MODES)
def test_broadcasting_is_numpys_at_run_time(mode):
    x, y = matrix("x"), matrix("y")
    f = symbolic.function([x, y], x * y + 1, mode=mode)
    rng = np.random.default_rng(2)
    for s, t in [((2, 3), (2, 3)), ((2, 1), (2, 3)), ((1, 3), (2, 3)), ((2, 3), (1, 1)), ((4, 5), (4, 5))]:
        a, b = rng.normal(size=s), rng.normal(size=t)
        np.testing.assert_allclose(f(a, b), a * b + 1)
    with pytest.raises(ValueError, match=r"mul: .*3 (and|\D*) ?4") as caught:
        f(np.ones((2, 3)), np.ones((2, 4)))
    assert "test_function.py" in str(caught.value)


def test_a_failed_call_leaves_shared_values_alone():
    w, x = symbolic.shared(np.ones(3), "w"), vector("x")
    f = symbolic.function([x], updates=[(w, w + x)])
    with pytest.raises(ValueError, match="don't broadcast"):
        f(np.ones(4))
    np.testing.assert_array_equal(w.get_value(), np.ones(3))


def test_outputs_take_the_structure_they_were_given_in():
    x = vector("x")
    one = np.ones(2)
    np.testing.assert_array_equal(symbolic.function([x], x + 1)(one), [2, 2])
    assert isinstance(symbolic.function([x], [x + 1])(one), list)
    assert list(symbolic.function([x], {"y": x + 1, "z": x})(one)) == ["y", "z"]
    assert symbolic.function([], None)() == []
    same = symbolic.function([x], x)(one)
    assert same is not one and not np.shares_memory(same, one)


def test_defaults_and_keywords():
    x, y = vector("x"), Variable(TensorType("float64", ()), name="y")
    f = symbolic.function([x, symbolic.In(y, value=2.0)], x * y)
    np.testing.assert_array_equal(f([1.0]), [2])
    np.testing.assert_array_equal(f([1.0], y=3), [3])
    np.testing.assert_array_equal(f(x=[1.0], y=4.0), [4])


def test_givens_replace_interior_variables():
    x = vector("x")
    h = x * 2
    f = symbolic.function([], h + 1, givens={x: np.array([1.0, 2.0])})
    np.testing.assert_array_equal(f(), [3, 5])


def test_the_same_graph_gives_the_same_text():
    def text() -> str:
        x, y = vector("x"), vector("y")
        return symbolic.function([x, y], (x + y).exp() * x, name="f").source

    assert text() == text()


def test_generated_c_has_no_warnings(tmp_path):
    x, b = matrix("x"), vector("b")
    with symbolic.config.change_flags(cflags="-Werror", cache_dir=str(tmp_path)):
        f = symbolic.function([x, b], [(x * b).tanh(), x > b])
    assert "-Werror" in f.program.loaded.manifest["flags"]


def test_a_long_chain_compiles():
    x = vector("x")
    y = x
    for _ in range(2000):
        y = y * 1.0001 + 0.001
    f = symbolic.function([x], y)
    np.testing.assert_allclose(f(np.ones(3)), evaluate([y], {x: np.ones(3)})[0], rtol=1e-12)


X = vector("x")
W = symbolic.shared(np.ones(2), "w")


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda: symbolic.function(X, X), TypeError, r"inputs must be a list(.|\n)*write \[x\]"),
    (lambda: symbolic.function([W], W), TypeError, "can't be an input"),
    (lambda: symbolic.function([X, X], X), ValueError, "given twice"),
    (lambda: symbolic.function([], X + 1), ValueError, "isn't among the inputs"),
    (lambda: symbolic.function([X], W), ValueError, "isn't used"),
    (lambda: symbolic.function([X], X, updates=[(X, X)]), ValueError, "only shared variables can be updated"),
    (lambda: symbolic.function([X], X, updates=[(W, X), (W, X)]), ValueError, "updated twice"),
    (lambda: symbolic.function([X], X, updates=[(W, X.astype("float32"))]), ValueError, "has type float32"),
    (lambda: symbolic.function([X], X, mode="FAST"), ValueError, "mode must be one of"),
    (lambda: symbolic.function([X], X)(), TypeError, r"input 0 \(x \(float64 \(\?,\)\)\) is missing"),
    (lambda: symbolic.function([X], X)(1, 2), TypeError, "takes 1 inputs, got 2"),
    (lambda: symbolic.function([X], X)(y=1), TypeError, "there is no input 'y'"),
    (lambda: symbolic.function([X], X)(np.ones((2, 2))), ValueError, "expected 1 dimensions"),
    (lambda: symbolic.function([X], X)("a"), TypeError, "isn't numeric"),
    (lambda: symbolic.function([X.astype("float32"), X], X, on_unused_input="ignore")(np.ones(1), np.ones(1)),
     TypeError, "would lose precision"),
    (lambda: symbolic.shared("a"), TypeError, "shared: needs numbers"),
    (lambda: W.set_value(np.ones((2, 2))), ValueError, "expected 1 dimensions"),
    (lambda: symbolic.grad(X, X), ValueError, "cost must be a scalar"),
    (lambda: symbolic.grad(Variable(TensorType("float64", ())), X), ValueError, "doesn't depend on x"),
])
def test_error_texts(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("mode", MODES)
def test_inputs_with_a_state(mode):
    x, total = Variable(TensorType("float64", ()), name="x"), Variable(TensorType("float64", ()), name="total")
    f = symbolic.function([x, symbolic.In(total, value=10.0, update=total + x)], total, mode=mode)
    assert [float(f(1)), float(f(2)), float(f[total]), float(f["total"])] == [10, 11, 13, 13]
    assert float(f(1, 100.0)) == 100 and float(f[total]) == 101
    assert float(f(x=1, total=5)) == 5 and float(f["total"]) == 6
    f["total"] = 0
    assert float(f(3)) == 0 and total in f and x not in f
    with pytest.raises(TypeError, match="must come after"):
        symbolic.function([symbolic.In(total, value=1.0, update=total + x), x], total)
    with pytest.raises(ValueError, match="has an update but no value"):
        symbolic.function([x, symbolic.In(total, update=total + x)], total)


@pytest.mark.parametrize("mode", MODES)
def test_copies_and_pickles(mode):
    x = vector("x")
    w, v = symbolic.shared(np.ones(2), "w"), symbolic.shared(np.zeros(2), "v")
    f = symbolic.function([x, symbolic.In(Variable(TensorType("float64", ()), name="k"), value=2.0)],
                          {"y": x * w}, updates=[(w, w + x)], mode=mode, name="f", on_unused_input="ignore")
    assert list(f([1.0, 2.0])) == ["y"]
    loaded = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(loaded([1.0, 1.0])["y"], [2, 3])
    np.testing.assert_array_equal(w.get_value(), [2, 3], err_msg="a pickle has values of its own")
    np.testing.assert_array_equal(loaded["w"], [3, 4])
    np.testing.assert_array_equal(copy.copy(f)([1.0, 1.0])["y"], [2, 3])
    np.testing.assert_array_equal(w.get_value(), [3, 4], err_msg="a copy shares the variables")
    np.testing.assert_array_equal(copy.deepcopy(f)([1.0, 1.0])["y"], [3, 4])
    np.testing.assert_array_equal(w.get_value(), [3, 4])
    swapped = f.copy(swap={w: v}, name="g")
    swapped([1.0, 1.0])
    np.testing.assert_array_equal(v.get_value(), [1, 1])
    f.copy(delete_updates=True)([1.0, 1.0])
    np.testing.assert_array_equal(w.get_value(), [3, 4])
    with pytest.raises(ValueError, match="isn't a shared variable"):
        f.copy(swap={symbolic.shared(1.0): w})
    with pytest.raises(ValueError, match="of the same type"):
        f.copy(swap={w: symbolic.shared(1.0)})


def test_a_deep_graph_pickles():
    x = vector("x")
    y = x
    for _ in range(5000):
        y = y + 1.0
    again, same = pickle.loads(pickle.dumps((y, x)))
    np.testing.assert_array_equal(evaluate([again], {same: np.zeros(2)})[0], [5000, 5000])


def test_threads_run_at_once_and_updates_are_never_lost():
    w, x = symbolic.shared(np.zeros(50_000), "w"), Variable(TensorType("float64", ()), name="x")
    f = symbolic.function([x], w.sum(), updates=[(w, w + x)])
    with ThreadPoolExecutor(4) as pool:
        sums = sorted(float(s) for s in pool.map(lambda _: f(1.0), range(200)))
    np.testing.assert_array_equal(w.get_value(), np.full(50_000, 200.0))
    assert sums == [50_000.0 * k for k in range(200)]


def test_check_names_the_first_node_that_differs(monkeypatch):
    x = vector("x")
    y = (x.sin() * 2).exp()
    monkeypatch.setitem(ATOMS, "sin", dataclasses.replace(ATOMS["sin"], numpy=np.cos))
    f = symbolic.function([x], y, mode="CHECK")
    with pytest.raises(symbolic.graph.errors.CheckError, match=r"sin: compiled and interpreted.*x\.sin\(\) \* 2"):
        f(np.array([1.0, 2.0]))


def test_an_input_of_a_known_extent_is_checked_at_the_call():
    x = Variable(TensorType("float64", (None, 3)), name="x")
    f = symbolic.function([x], x.sum())
    assert float(f(np.ones((2, 3)))) == 6
    with pytest.raises(ValueError, match=r"input 0, x .*expected extent 3 on axis 1.*got shape \(2, 2\).*test_function.py"):
        f(np.ones((2, 2)))


def test_a_machine_without_a_compiler_interprets_and_says_so_once(tmp_path):
    program = ("import numpy as np, warnings, symbolic, symbolic.tensor as T\n"
               "x = T.vector('x')\n"
               "with warnings.catch_warnings(record=True) as seen:\n"
               "    warnings.simplefilter('always')\n"
               "    print(symbolic.function([x], x + 1)(np.ones(2)), symbolic.function([x], x * 3)(np.ones(2)))\n"
               "print(len(seen), seen[0].message)\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          env=os.environ | {"PATH": str(tmp_path), "SYMBOLIC_CACHE_DIR": str(tmp_path / "cache"),
                                            "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.stdout.startswith("[2. 2.] [3. 3.]\n1 no C compiler was found")
    assert "apt install gcc" in done.stdout


def test_dumps_hold_every_stage(tmp_path):
    x = vector("x")
    with symbolic.config.change_flags(dump=str(tmp_path)):
        symbolic.function([x], x + 1, name="a/b")
    texts = {p.name.partition(".")[2]: p.read_text() for p in tmp_path.iterdir()}
    assert set(texts) == {"graph.txt", "plan.txt", "c"}
    assert "symbolic_run" in texts["c"] and "input   x" in texts["graph.txt"] and "kernel" in texts["plan.txt"]


def test_an_input_may_be_computed_in_the_graph():
    x = T.dvector("x")
    y = T.exp(x)
    z = y * 2
    z.name = "z"
    np.testing.assert_allclose(symbolic.function([y], [z + y, y])([1.0, 2.0]), [[3, 6], [1, 2]])
    np.testing.assert_allclose(symbolic.function([x, z], T.dot(x, z + 1))([1.0], [5.0]), 6)
    np.testing.assert_allclose(symbolic.function([symbolic.In(z, value=[1.0])], z + 1)(), [2])
    w = symbolic.shared(np.zeros(2))
    symbolic.function([y], [], updates=[(w, z)])([1.0, 2.0])
    np.testing.assert_allclose(w.get_value(), [2, 4])
    with pytest.raises(errors.UnusedInputError, match="isn't used"):
        symbolic.function([x, z], x + 1)
    with pytest.raises(errors.MissingInputError, match="the graph needs x"):
        symbolic.function([z], z + x)


def test_replacements_that_need_each_other_are_refused():
    a, b = T.dscalar("a"), T.dscalar("b")
    with pytest.raises(errors.GraphError, match=r"givens: what stands for a uses b, which givens replaces as well(.|\n)*hint"):
        symbolic.function([], a * 2, givens={a: b, b: a + 1})
    s = symbolic.shared(1.0)
    assert symbolic.function([], s * 2, givens={s: s + 1})() == 4


def test_what_to_change_about_an_update_of_another_shape():
    m = T.dmatrix("m")
    w = symbolic.shared(np.zeros((1, 3)), broadcastable=(True, False))
    for new, text in ((m, r"extent on axis 0 must be 1(.|\n)*T.specify_shape states it, T.addbroadcast"),
                      (T.zeros((2, 3)), "extent on axis 0 must be 1"), (m[0], "the number of axes must stay"),
                      (T.fmatrix(), r"\.astype\('float64'\)")):
        with pytest.raises(errors.UpdateError, match=text):
            symbolic.function([m], [], updates=[(w, new)], on_unused_input="ignore")


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "CHECK"])
def test_output_subset(mode):
    x, k, s = T.dvector("x"), T.dscalar("k"), symbolic.shared(0.0)
    f = symbolic.function([x, symbolic.In(k, value=2.0)], [x + 1, x * k, x.sum()], updates=[(s, s + 1)], mode=mode)
    first, third = f([1.0, 2.0], output_subset=[0, 2])
    np.testing.assert_array_equal(first, [2, 3])
    np.testing.assert_array_equal(third, 3)
    np.testing.assert_array_equal(f(x=[1.0, 2.0], output_subset=[1], k=3)[0], [3, 6])
    assert s.get_value() == 2  # updates are done whatever is asked for
    g = symbolic.function([x], {"a": x + 1, "b": x * 2}, mode=mode)
    assert list(g([1.0], output_subset=["b"])) == ["b"]
    with pytest.raises(ValueError, match=r"outputs, which are \['a', 'b'\], got \['c'\]"):
        g([1.0], output_subset=["c"])
    g.trust_input = True
    np.testing.assert_array_equal(g([1.0])["a"], [2])


def test_givens_of_another_type():
    x, d = T.fvector("x"), T.dvector("d")
    with pytest.raises(symbolic.errors.GraphError, match="another type"):
        symbolic.function([d], x * 2, givens={x: d})
    assert symbolic.function([d], x * 2, givens={x: d}, rebuild_strict=False)([1.5]).dtype == "float64"


def test_theanos_spellings_of_inputs():
    x, y = T.dscalar("x"), T.dscalar("y")
    f = symbolic.function([x, Param(y, default=3.0, borrow=True)], x + y, accept_inplace=False, profile=None)
    assert f(1) == 4 and f(1, y=1) == 2
    hidden = symbolic.function([symbolic.In(x, autoname=False)], x)
    with pytest.raises(TypeError, match="no input 'x'"):
        hidden(x=1)
