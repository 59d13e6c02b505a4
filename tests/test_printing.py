"""Graphs as text and pictures: trees, expressions, DOT; and values looked at while they are computed."""
from __future__ import annotations

import io
import re
import shutil

import networkx as nx
import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.errors import AssertionFailed, NanError, NotSupported
from symbolic.monitor import DebugMode, MonitorMode, NanGuardMode
from symbolic.ops.watch import Assert, PdbBreakpoint, Print, assert_op
from symbolic.printing import as_networkx, debugprint, dot_text, min_informative_str, pp, pydotprint
from symbolic.testing import verify_grad
from symbolic.testvalues import TestValueError, get_debug_values, get_test_value

MODES = ("FAST_RUN", "FAST_COMPILE", "CHECK")
x, W, b = T.dvector("x"), T.dmatrix("W"), T.dvector("b")


def shown(obj, **options):
    return debugprint(obj, file="str", **options)


def test_a_tree_shows_each_value_once():
    h = T.exp(T.dot(x, W))
    assert shown(h / h.sum()).splitlines() == [
        "true_div [id A] ''", " |exp [id B] ''", " | |dot [id C] ''", " |   |x [id D]", " |   |W [id E]",
        " |sum{fn='sum', axes=(0,), dtype=None} [id F] ''", "   |exp [id B] '' ..."]


def test_arguments_of_debugprint(capsys):
    h = T.exp(x)
    h.name = "h"
    y = h + 1.5
    assert shown(y, depth=1) == "add [id A] ''"
    assert shown(y, depth=2).splitlines() == ["add [id A] ''", " |exp [id B] 'h'", " |TensorConstant{1.5} [id C]"]
    assert shown(y, stop_on_name=True) == shown(y, depth=2)
    assert shown(y, print_type=True).splitlines()[1] == " |exp [id B] <float64 (?,)> 'h'"
    assert shown(y, ids="").splitlines()[2] == " | |x" and "[id 3]" in shown(y, ids="int")
    assert f"[id {id(x)}]" in shown(y, ids="id") and shown(y, ids="auto").startswith("add [id ")
    with pytest.raises(ValueError, match="ids must be one of"):
        shown(y, ids="?")
    done, used = {}, {}
    first = shown(y, done=done, used_ids=used)
    assert "[id C]" in first and shown(h * 2, done=done, used_ids=used).splitlines()[1] == " |exp [id B] 'h' ..."
    W0 = symbolic.shared(np.array([1.0, 2.0]), "W0")
    x.tag.test_value = np.ones(2)
    try:
        text = shown(W0 * x, print_storage=True)
    finally:
        del x.tag.test_value
    assert "W0 [id B] array([1., 2.])" in text and "x [id C] array([1., 1.])" in text
    assert "x [id B] clients: sin, cos" in shown([T.sin(x) + T.cos(x)], print_clients=True).replace("[id C]", "[id B]")
    file = io.StringIO()
    assert debugprint(y, file=file) is file and file.getvalue() == shown(y) + "\n"
    debugprint(y)
    assert capsys.readouterr().out == shown(y) + "\n"
    assert shown(y.owner) == shown(y) and shown([x, W]) == "x [id A]\nW [id B]"
    with pytest.raises(TypeError, match="debugprint needs a variable"):
        debugprint(3)


@pytest.mark.parametrize("mode", MODES)
def test_a_function_is_shown_as_it_is_computed(mode):
    s = symbolic.shared(0.0, "s")
    f = symbolic.function([x], x.sum() * 2, updates={s: s + x.sum()}, mode=mode)
    text = shown(f)
    assert re.search(r"^mul \[id A\] ''   \d+$", text, re.MULTILINE) and "   update of s" in text
    numbers = [int(n) for n in re.findall(r"''   (\d+)", text)]
    assert sorted(set(numbers)) == list(range(len(f.maker.fgraph.toposort())))


def test_graphs_inside_of_loops_branches_and_ops_are_shown():
    step = symbolic.op_from_graph([b], [T.tanh(b) * 2], name="layer")
    states, _ = symbolic.scan(lambda e, s: e + s, sequences=step(x), outputs_info=T.constant(0.0))
    text = shown(symbolic.ifelse(T.gt(x.sum(), 0), states[-1], x[0]))
    assert "Inner graphs:" in text and " >add [id " in text and " >mul [id " in text and "*b [id " in text
    compiled = shown(symbolic.function([x], symbolic.ifelse(T.gt(x.sum(), 0), T.exp(states).sum(), x[0])))
    assert ", then\n" in compiled and ", else\n" in compiled


@pytest.mark.parametrize(("build", "text"), [
    (lambda: T.tanh(T.dot(x, W) + b), "tanh(dot(x, W) + b)"),
    (lambda: (x + b) * x - b, "(x + b) * x - b"),
    (lambda: x - (b - x) - b, "x - (b - x) - b"),
    (lambda: x / (b * x) / b, "x / (b * x) / b"),
    (lambda: -(x ** 2) * b, "-x**2 * b"),
    (lambda: (-x) ** 3, "(-x)**3.0"),
    (lambda: T.switch(x > b, x, -b), "switch(x > b, x, -b)"),
    (lambda: W[1:, ::2], "W[1:, ::2]"),
    (lambda: W[T.lscalar("i"), -1], "W[i, -1]"),
    (lambda: T.set_subtensor(x[1:3], 0), "set_subtensor(x[1:3], 0.0)"),
    (lambda: W.T.sum(axis=0), "sum(W.T, axis=0)"),
    (lambda: x.astype("float32"), "x.astype('float32')"),
    (lambda: T.nnet.softmax(W), "softmax(W, axis=1)"),
    (lambda: symbolic.grad((x ** 2).sum(), x), "2.0 * x"),
    (lambda: symbolic.grad(T.dot(x, b), x), "b"),
    (lambda: x.shape[0], "x.shape[0]"),
    (lambda: x, "x"), (lambda: T.constant(-2.5), "-2.5"), (lambda: 1 / T.constant(-2.5), "1.0 / -2.5"),
    (lambda: ~(x > 0), "~(x > 0.0)"),
])
def test_expressions(build, text):
    assert pp(build()) == text


def test_expressions_mean_what_they_say():
    """Python reads what `pp` writes as the same values, for random expressions."""
    rng = np.random.default_rng(0)
    values = {"x": np.array([0.3, 1.2]), "b": np.array([2.0, 0.7])}
    scope = {n: getattr(np, n) for n in ("sin", "exp", "tanh", "abs", "maximum")} | values
    for _ in range(60):
        pool = [x, b, T.constant(1.5), T.constant(-2.0)]
        for _ in range(8):
            u, v = (pool[k] for k in rng.integers(len(pool), size=2))
            pool.append([u + v, u - v, u * v, u / v, -u, T.sin(u), T.exp(-T.abs_(u)), T.maximum(u, v), T.sqr(T.tanh(u)),
                         u - (v - u)][rng.integers(10)])
        want = symbolic.function([x, b], pool[-1], mode="FAST_COMPILE", on_unused_input="ignore")(*values.values())
        main, *lines = pp(pool[-1]).split("\n")
        local = dict(scope)
        for line in lines:
            exec(line.strip().removeprefix("where "), {}, local)
        np.testing.assert_allclose(eval(main, {}, local), want, rtol=1e-12)


def test_what_occurs_twice_gets_a_name():
    h = T.exp(-x * x)
    assert pp(h / h.sum()) == "t1 / sum(t1)\n  where t1 = exp(-x * x)"
    h.name = "h"
    assert pp(h + 1) == "h + 1.0\n  where h = exp(-x * x)"
    long = x
    for _ in range(60):
        long = T.sin(long) + b
    assert max(map(len, pp(long).splitlines())) < 130 and len(pp(long, width=40).splitlines()) > len(pp(long).splitlines())
    with pytest.raises(TypeError, match="pp needs a variable"):
        pp(1)


def test_the_smallest_text():
    assert min_informative_str((x + b) * (x + b)).splitlines()[:3] == ["A. mul", " B. add", "  C. x"]
    assert min_informative_str(T.exp(x) + x).splitlines() == ["A. add", " B. exp", "  C. x", " <C>"]
    assert min_informative_str(x, 2) == "  A. x"


def test_pictures(tmp_path, capsys, monkeypatch):
    c = T.bscalar("c")
    states, _ = symbolic.scan(lambda e: T.tanh(e), sequences=x)
    y = symbolic.ifelse(c, T.dot(x, W)[0], states.sum())
    text = dot_text(y, scan_graphs=True, with_ids=True, cond_highlight=y.owner, var_with_name_simple=True, max_label_size=12)
    assert text.startswith('digraph "graph" {') and text.endswith("}") and "subgraph" in text and 'fillcolor="orange"' in text
    assert all(len(m) <= 12 + 8 for m in re.findall(r'label="([^"]*)", shape', text))
    bare = re.sub(r'"[^"]*"', "", text)
    assert bare.count("{") == bare.count("}") == 1 + text.count("subgraph")
    assert dot_text(y, compact=False).count("->") > dot_text(y).count("->")
    assert 'color="hotpink"' in dot_text(y, high_contrast=False, colorCodes={"dot": "hotpink"})
    pydotprint(symbolic.function([x], T.exp(x)), outfile=tmp_path / "graph.dot")
    assert "digraph" in (tmp_path / "graph.dot").read_text() and "graph.dot" in capsys.readouterr().out
    assert pydotprint(y, format="dot", return_image=True) == dot_text(y).encode()
    if shutil.which("dot"):
        assert pydotprint(y, format="svg", return_image=True).lstrip().startswith(b"<?xml")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NotSupported, match="graphviz isn't installed"):
        pydotprint(y, outfile=tmp_path / "graph.png")


def test_networkx():
    g = as_networkx([T.exp(x) + x, symbolic.shared(1.0, "s") * 2])
    assert nx.is_directed_acyclic_graph(g) and sorted(d["kind"] for _, d in g.nodes(data=True)) == sorted(
        ["input", "shared", "constant", "variable", "variable", "variable", "apply", "apply", "apply"])
    assert nx.has_path(g, x, next(n for n in g if getattr(n, "owner", None) and str(n.owner.op) == "add"))
    twice = as_networkx(x * x)
    assert twice.number_of_edges() == 3


@pytest.mark.parametrize("n", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_long_graphs_in_every_printer(n):
    y = x
    for k in range(n):
        y = T.tanh(y) if k % 2 else y * 1.5
    y.name = None
    assert shown(y).count("\n") > n and len(shown(y)) < 600 * n
    assert len(pp(y)) < 300 * n and len(min_informative_str(y)) < 600 * n
    assert dot_text(y).count("->") >= n and str(y)
    assert as_networkx(y).number_of_nodes() > 2 * n


# ------------------------------------------------------------------------------------------------ ops that watch


@pytest.mark.parametrize("mode", MODES)
def test_print(mode, capfd):
    y = Print("value", attrs=("shape", "max"))(x ** 2)
    f = symbolic.function([x], [y.sum(), T.grad(y.sum(), x)], mode=mode)
    total, slope = f([1.0, -3.0])
    assert total == 10 and list(slope) == [2, -6]
    assert set(capfd.readouterr().out.splitlines()) == {"value shape = (2,)", "value max = 9.0"}
    seen = []
    s, _ = symbolic.scan(lambda e: Print(global_fn=lambda op, a: seen.append(float(a)))(e) * 2, sequences=x)
    symbolic.function([x], s, mode=mode)([1.0, 2.0])
    assert set(seen) == {1.0, 2.0}
    assert symbolic.function([], Print("c")(T.constant(2.0)) + 1, mode=mode)() == 3 and "c" in capfd.readouterr().out


def test_print_wants_names():
    with pytest.raises(TypeError, match="tuple of names"):
        Print("m", attrs="shape")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32"])
def test_assert(mode, dtype):
    c = T.tensor(dtype, (None,), "c")
    y = Assert("all {must} hold")(x * 2, c, x.sum() < 100)
    f = symbolic.function([x, c], [y, T.grad(y.sum(), x)], mode=mode)
    value, slope = f([1.0, 2.0], np.ones(3, dtype))
    assert list(value) == [2, 4] and list(slope) == [2, 2]
    assert list(f([], np.ones(0, dtype))[0]) == []
    for arguments in (([1.0], np.array([1, 0], dtype)), ([101.0], np.ones(1, dtype))):
        with pytest.raises(AssertionError, match=r"assert: all \{must\} hold, .*test_printing\.py:\d+: "):
            f(*arguments)
    loop, _ = symbolic.scan(lambda e: Assert("small")(e, e < 2), sequences=x)
    with pytest.raises(AssertionFailed, match="small"):
        symbolic.function([x], loop, mode=mode)([1.0, 3.0])
    verify_grad(lambda v: assert_op(v, T.constant(1)) ** 2, [np.array([1.0, 2.0])])


@pytest.mark.parametrize("mode", MODES)
def test_breakpoint(mode, monkeypatch, capsys):
    stopped = []
    monkeypatch.setattr("sys.breakpointhook", lambda: stopped.append(1))
    y, z = PdbBreakpoint("sizes")(T.gt(x.size, 2), x, W)
    f = symbolic.function([x, W], [y * 2, z.sum()], mode=mode)
    assert list(f([1.0], np.ones((1, 1)))[0]) == [2] and not stopped
    f([1.0] * 3, np.ones((1, 1)))
    assert stopped and "breakpoint 'sizes' at test_printing.py" in capsys.readouterr().out
    assert list(symbolic.function([x], T.grad(PdbBreakpoint("g")(T.eq(0, 1), x, x)[0].sum(), x), mode=mode)([1.0])) == [1]
    with pytest.raises(ValueError, match="condition must be a scalar"):
        PdbBreakpoint("s")(x, x)


# ------------------------------------------------------------------------------------------------ test values


@pytest.fixture
def test_values():
    with symbolic.config.change_flags(compute_test_value="raise"):
        yield


def given(v, value):
    v.tag.test_value = value
    return v


def test_a_wrong_shape_is_found_on_its_line(test_values):
    m = given(T.dmatrix("m"), np.ones((2, 3)))
    assert T.dot(m, m.T).tag.test_value.tolist() == [[3, 3], [3, 3]]
    with pytest.raises(symbolic.errors.ShapeError, match=r"(?s)dot: inner extents differ.*m: float64 \(2, 3\).*test_printing"):
        T.dot(m, m)
    cost = T.sqr(T.dot(m, symbolic.shared(np.ones(3)))).sum()
    assert T.grad(cost, m).tag.test_value.shape == (2, 3)


def test_test_values_in_loops_and_branches(test_values):
    v = given(T.dvector("v"), np.array([1.0, 2.0]))
    seen = []

    def step(e, h):
        seen.append((e.tag.test_value, get_test_value(h)))
        return e + h

    sums, _ = symbolic.scan(step, sequences=v, outputs_info=T.constant(0.0))
    assert seen == [(1.0, 0.0)] and sums.tag.test_value.tolist() == [1, 3]
    assert symbolic.ifelse(T.gt(v.sum(), 0), v, -v).tag.test_value.tolist() == [1, 2]


def test_missing_and_wrong_test_values():
    v = T.dvector("v")
    with symbolic.config.change_flags(compute_test_value="raise"):
        with pytest.raises(AttributeError, match=r"exp: test value: v .* has none(?s:.*)hint: set v\.tag\.test_value"):
            T.exp(v)
        v.tag.test_value = np.ones((2, 2))
        with pytest.raises(TestValueError, match="doesn't fit"):
            T.exp(v)
        assert get_debug_values(T.constant(2.0)) == [[2.0]]
    del v.tag.test_value
    with symbolic.config.change_flags(compute_test_value="warn"), pytest.warns(UserWarning, match="v .* has none"):
        T.exp(v)
    with symbolic.config.change_flags(compute_test_value="ignore"):
        assert not hasattr(T.exp(v).tag, "test_value") and get_debug_values(v) == []
    assert get_debug_values(v) == [] and get_test_value(3) == 3
    v.tag.test_value = np.array([4.0])
    assert get_test_value(T.sqrt(v) + 1) == [3]
    with symbolic.config.change_flags(print_test_value=True):
        assert repr(v) == "v\narray([4.])"


def test_test_values_of_a_long_chain():
    v = given(T.dscalar("v"), np.array(0.5))
    y = v
    for _ in range(20_000):
        y = T.sin(y)
    assert 0 < get_test_value(y) < 0.5
    with symbolic.config.change_flags(compute_test_value="raise"):
        y = v
        for _ in range(300):
            y = T.sin(y)
    assert 0 < y.tag.test_value < 0.5


# ------------------------------------------------------------------------------------------------ modes


def test_monitor_mode_sees_every_application():
    seen, before = [], []
    mode = MonitorMode(lambda i, node, fn: before.append((i, str(node.op), [a[0].shape for a in fn.inputs])),
                       lambda i, node, fn: seen.append((i, str(node.op), fn.outputs[0][0].tolist())))
    f = symbolic.function([x], T.exp(x).sum(), mode=mode)
    np.testing.assert_allclose(f([0.0, 1.0]), 1 + np.e)
    assert [s[:2] for s in seen] == [b[:2] for b in before] == [(0, "exp"), (1, "sum{fn='sum', axes=(0,), dtype=None}")]
    assert before[0][2] == [(2,)] and seen[0][2] == [1.0, np.e]
    assert mode.including("fast_run").watch is mode.watch


@pytest.mark.parametrize("how", ["name", "function", "config"])
def test_nan_guard(how):
    chosen = {"name": "NanGuardMode", "function": NanGuardMode(), "config": None}[how]
    with symbolic.config.change_flags(mode="NanGuardMode" if how == "config" else "FAST_RUN"):
        f = symbolic.function([x], T.log(x).sum(), mode=chosen)
    assert f([1.0]) == 0
    with pytest.raises(AssertionError, match=r"log: its result holds inf in 1 of 2 .*x: float64 \(2,\) in \[0, 1\].*test_printing"
                       r"(?s:.*)hint: "):
        f([0.0, 1.0])
    with pytest.raises(NanError, match="input x .* holds nan"):
        f([np.nan])


def test_what_nan_guard_looks_for_and_does():
    f = symbolic.function([x], T.exp(x), mode=NanGuardMode(True, False, False))
    assert f([1000.0]) == np.inf
    with pytest.raises(NanError, match="magnitude 1.1e\\+10"):
        symbolic.function([x], x * 2, mode=NanGuardMode(True, True, True))([1.1e10])
    with symbolic.config.change_flags(nan_guard_action="warn"), pytest.warns(RuntimeWarning, match="holds nan"):
        assert np.isnan(symbolic.function([x], T.sqrt(x), mode=NanGuardMode())([-1.0]))
    loop, _ = symbolic.scan(lambda e: T.log(e), sequences=x)
    with pytest.raises(NanError) as caught:
        symbolic.function([x], loop, mode=NanGuardMode())([1.0, -1.0])
    assert caught.value.__notes__ == ["in step 1 of a loop of 2 steps"]
    with pytest.raises(ValueError, match="linker"):
        NanGuardMode(linker="gpu")


def test_debug_mode_is_check():
    assert DebugMode().name == "CHECK" and DebugMode(optimizer="fast_compile").require == ("fast_compile",)
    np.testing.assert_array_equal(symbolic.function([x], x * 2, mode="DebugMode")([1.0]), [2.0])


# ------------------------------------------------------------------------------------------------ explain


def test_explain_says_what_was_made_of_a_function():
    rng = np.random.default_rng(0)
    U = symbolic.shared(rng.normal(size=(4, 3)), "U")
    c = symbolic.shared(np.zeros(3), "c")
    m = T.dmatrix("m")
    h = T.tanh(T.dot(m, U) + c)
    cost = T.sqr(h).sum()
    gU, gc = T.grad(cost, [U, c])
    f = symbolic.function([m], [cost, m, h, h], updates=[(U, U - 0.1 * gU), (c, c - 0.1 * gc)], name="step")
    text = symbolic.explain(f)
    assert text.startswith("step: ") and "dot: a product by BLAS" in text and "fused, one pass" in text
    assert "h = T.tanh(T.dot(m, U) + c)" in text and "[gradient of test_printing.py:" in text
    assert "output 1: copied, because it is an input" in text and "output 3: copied, because the same value is another" in text
    assert "U: written over the old value" in text and "is stored: " in text and "rewrites: " in text


@pytest.mark.parametrize(("update", "why"), [
    (lambda s: s * 2, "written over the old value"), (lambda s: s[::-1] * 2, "read at other elements"),
    (lambda s: T.dot(np.ones((3, 3)), s), "can't write over"), (lambda s: x * 2, "doesn't read the old value|shape isn't known"),
])
def test_explain_says_why_an_update_is_not_in_place(update, why):
    s = symbolic.shared(np.arange(3.0), "s")
    text = symbolic.explain(symbolic.function([x], x.sum(), updates=[(s, update(s))]))
    line = next(line for line in text.splitlines() if line.startswith("  s: "))
    assert re.search(why, line), line


def test_explain_of_loops_python_and_the_interpreter():
    double = symbolic.as_op([T.dvector], [T.dvector])(lambda a: a * 2)
    e, _ = symbolic.scan(lambda a, s: T.tanh(a + s * T.exp(W).sum()), sequences=double(x), outputs_info=T.constant(0.0),
                         name="rnn")
    f = symbolic.function([x, W], e[-1])
    text = symbolic.explain(f)
    assert "loops:\n  rnn (test_printing.py:" in text and "a native loop" in text and "Python code: the GIL" in text
    text = symbolic.explain(symbolic.function([x], double(x), mode="FAST_COMPILE"))
    assert "interpreted: NumPy" in text and "Python code: " in text
    with pytest.raises(TypeError, match="explain needs a compiled function"):
        symbolic.explain(x)
