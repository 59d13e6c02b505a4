"""Ops that have only Python code: inside compiled programs, loops and branches; Theano's form; `as_op`."""
from __future__ import annotations

import gc
import os
import pickle
import re
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import Apply, Op, errors
from symbolic.compile.ops import as_op as theanos_as_op
from symbolic.ops.opaque import ShapeError

MODES = ["FAST_RUN", "FAST_COMPILE", "CHECK"]
RNG = np.random.default_rng(5)


@symbolic.as_op([T.dvector], [T.dvector])
def distinct(x):
    return np.unique(x)


@symbolic.as_op(itypes=[T.dmatrix, T.lscalar], otypes=[T.fmatrix, T.bvector, T.zscalar],
                infer_shape=lambda node, shapes: [(shapes[0][1], shapes[0][0]), (node.inputs[1] + 1,), ()])
def several(x, n):
    return x.T.astype("float32"), np.arange(n + 1, dtype="int8"), np.complex128(x.sum() + 1j)


class Ordered(Op):
    """Descending order and, beside it, the length: Theano's form."""

    __props__ = ("more",)

    def __init__(self, more=0):
        self.more = more

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [x.type(), T.lscalar()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.sort(inputs[0])[::-1]
        output_storage[1][0] = np.asarray(inputs[0].size + self.more, "int64")

    def infer_shape(self, node, shapes):
        return [shapes[0], ()]

    def L_op(self, inputs, outputs, gouts):
        order = Order()(inputs[0])
        return [T.inc_subtensor(T.zeros_like(inputs[0])[order], gouts[0])]

    def R_op(self, inputs, points):
        return [None if points[0] is None else points[0][Order()(inputs[0])], None]

    def connection_pattern(self, node):
        return [[True, False]]


class Order(Op):
    itypes = [T.dvector]
    otypes = [T.lvector]

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = np.argsort(inputs[0])[::-1].astype("int64")

    def infer_shape(self, node, shapes):
        return [shapes[0]]


class Counted(Op):
    """Counts how often it ran."""

    def __init__(self, shaped=True):
        self.calls, self.shaped = 0, shaped

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        self.calls += 1
        output_storage[0][0] = inputs[0] + 1

    def infer_shape(self, node, shapes):
        if not self.shaped:
            raise ShapeError
        return shapes


@pytest.mark.parametrize("mode", MODES)
def test_shapes_are_known_before_or_seen_at_run_time(mode):
    x, m, n = T.dvector("x"), T.dmatrix("m"), T.lscalar("n")
    d = distinct(x)
    a, b, c = several(m, n)
    f = symbolic.function([x, m, n], [d, d * 2, d.shape[0], distinct(x + 1).sum(), distinct(d), T.exp(x), d[::-1], a, a.sum(0),
                                      b, c, T.outer(d, d)], mode=mode)
    for values in ([3, 1, 3, 7], [], [2, 2]):
        v, w = np.array(values, "float64"), RNG.normal(size=(2, len(values)))
        u = np.unique(v)
        got = f(v, w, 4)
        want = [u, u * 2, u.size, np.unique(v + 1).sum(), u, np.exp(v), u[::-1], w.T.astype("float32"),
                w.T.astype("float32").sum(0), np.arange(5, dtype="int8"), w.sum() + 1j, np.outer(u, u)]
        for g, z in zip(got, want, strict=True):
            np.testing.assert_allclose(g, z, rtol=1e-6)
            assert g.shape == np.shape(z)
        assert [g.dtype.name for g in got[7:11]] == ["float32", "float32", "int8", "complex128"]


@pytest.mark.parametrize("mode", MODES)
def test_an_extent_of_one_broadcasts_whoever_knows_of_it(mode):
    x, y, n = T.dvector("x"), T.dvector("y"), T.lscalar("n")
    s = symbolic.shared(np.zeros(3), "s")
    total = distinct(x) * y + y[:n]
    f = symbolic.function([x, y, n], [total, T.grad((total ** 2).sum(), y)], updates={s: s + total}, mode=mode)
    a, b = np.array([2.0, 2.0]), np.array([1.0, 2.0, 3.0])
    value, slope = f(a, b, 1)
    np.testing.assert_array_equal(value, 2 * b + 1)
    np.testing.assert_array_equal(slope, 4 * value + [2 * value.sum(), 0, 0])
    np.testing.assert_array_equal(s.get_value(), value)
    np.testing.assert_array_equal(f([1.0, 2.0, 3.0], b, 3)[0], b * b + b)
    with pytest.raises(ValueError, match=r"2.*3|broadcast"):
        f([1.0, 2.0], b, 3)
    np.testing.assert_array_equal(s.get_value(), value + b * b + b)


@pytest.mark.parametrize("mode", MODES)
def test_theanos_form_with_derivatives(mode):
    x, v = T.dvector("x"), T.dvector("v")
    ordered, n = Ordered()(x)
    cost = (ordered * v).sum()
    f = symbolic.function([x, v], [ordered, n, T.grad(cost, x), T.Rop(ordered, x, v)], mode=mode)
    a, u = np.array([3.0, 1.0, 2.0]), np.array([10.0, 20.0, 30.0])
    got = f(a, u)
    for g, w in zip(got, [[3, 2, 1], 3, [10, 30, 20], [10, 30, 20]], strict=True):
        np.testing.assert_array_equal(g, w)
    with pytest.raises(errors.DisconnectedInputError):
        T.grad(n.astype("float64"), x)
    symbolic.gradient.verify_grad(lambda z: Ordered()(z)[0] ** 2, [np.array([0.1, 0.9, 0.4])], mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_inside_loops(mode):
    m = T.dmatrix("m")
    known, _ = symbolic.scan(lambda e, h: Ordered(1)(e + h)[0] * 0.5, sequences=m, outputs_info=T.zeros(3))
    seen, _ = symbolic.scan(lambda e, h: distinct(e + h) * 0.5 + h, sequences=m, outputs_info=T.zeros(3))
    lengths, _ = symbolic.scan(lambda e: distinct(e).shape[0] + distinct(T.round(e)).sum(), sequences=m)
    f = symbolic.function([m], [known, seen, lengths, T.grad(known.sum(), m)], mode=mode)
    a = RNG.normal(size=(20, 3))
    h = k = np.zeros(3)
    wants: tuple[list, list, list] = ([], [], [])
    for e in a:
        h, k = np.sort(e + h)[::-1] * 0.5, np.unique(e + k) * 0.5 + k
        for w, value in zip(wants, (h, k, 3 + np.unique(np.round(e)).sum()), strict=True):
            w.append(value)
    got = f(a)
    for g, w in zip(got, wants, strict=False):
        np.testing.assert_allclose(g, w)
    with pytest.raises(errors.NotSupported, match="may change from step to step"):
        symbolic.function([m], symbolic.scan(distinct, sequences=m)[0], mode=mode)(a)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_only_the_arm_taken_runs(mode):
    x, c = T.dvector("x"), T.bscalar("c")
    yes, no = Counted(), Counted()
    out = symbolic.ifelse(c, yes(x) * 2, no(x) * 3)
    steps, _ = symbolic.scan(lambda t: symbolic.ifelse(t > 2, Counted()(x)[0], x.sum()), sequences=T.arange(5))
    f = symbolic.function([x, c], [out, steps], mode=mode)
    np.testing.assert_array_equal(f([1, 2], 1)[0], [4, 6])
    assert (yes.calls, no.calls) == (1, 0)
    np.testing.assert_array_equal(f([1, 2], 0)[1], [3, 3, 3, 2, 2])
    assert (yes.calls, no.calls) == (1, 1)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_arms_of_shapes_that_only_they_know(mode):
    class Heads(Counted):
        """The elements above zero, and how many."""

        def make_node(self, x):
            return Apply(self, [x], [x.type(), T.lscalar()])

        def perform(self, node, inputs, output_storage):
            self.calls += 1
            output_storage[0][0] = inputs[0][inputs[0] > 0]
            output_storage[1][0] = np.int64((inputs[0] > 0).sum())

        def grad(self, inputs, gouts):
            return [T.switch(inputs[0] > 0, gouts[0].sum(), 0.0)]

    x, c, m = T.dvector("x"), T.bscalar("c"), T.dmatrix("m")
    yes, no, inner = Heads(False), Heads(False), Heads(False)
    a, n = yes(x)
    b, k = no(-x)
    chosen, count = symbolic.ifelse(c, [a, n], [b * 2, k])
    steps, _ = symbolic.scan(lambda r: symbolic.ifelse(r[0] > 0, inner(r)[0], r[:1]).sum(), sequences=m)
    f = symbolic.function([x, c, m], [chosen, chosen.shape[0], count, chosen.sum() + x, T.grad((chosen ** 2).sum(), x), steps,
                                      T.outer(chosen, chosen)], mode=mode)
    v, rows = np.array([1.0, -2.0, 3.0]), np.array([[1.0, -1.0, 4.0], [-2.0, 5.0, 1.0], [3.0, 3.0, 3.0]])
    for flag, want in ((1, [1.0, 3.0]), (0, [4.0]), (1, [1.0, 3.0])):
        got = f(v, flag, rows)
        np.testing.assert_array_equal(got[0], want)
        assert (got[1], got[2]) == (len(want), len(want))
        np.testing.assert_array_equal(got[3], sum(want) + v)
        slope = [2 * sum(want), 0, 2 * sum(want)] if flag else [0, -4 * sum(want), 0]
        np.testing.assert_array_equal(got[4], slope)
        np.testing.assert_array_equal(got[5], [5, -2, 9])
        np.testing.assert_array_equal(got[6], np.outer(want, want))
    assert inner.calls == 6
    assert (yes.calls, no.calls) == (2, 1)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_ops_without_props_are_themselves_alone(mode):
    x = T.dvector("x")
    a, b = Counted(), Counted()
    assert a != b and Ordered(1) == Ordered(1) and Ordered(1) != Ordered(2) and hash(Ordered(1)) == hash(Ordered(1))
    f = symbolic.function([x], [a(x), a(x), b(x)], mode=mode)
    f([1.0])
    assert (a.calls, b.calls) == ((1, 1) if mode == "FAST_RUN" else (2, 1))
    one, _ = symbolic.scan(lambda t: a(x) * t, sequences=T.arange(2))
    two, _ = symbolic.scan(lambda t: b(x) * t, sequences=T.arange(2))
    a.calls = b.calls = 0
    symbolic.function([x], [one, two], mode=mode)([1.0])
    assert a.calls and b.calls


@pytest.mark.parametrize("mode", MODES)
def test_what_users_code_raises_goes_through_with_a_note(mode):
    class Odd(LookupError):
        pass

    @symbolic.as_op([T.dvector], [T.dvector])
    def picky(x):
        if x[0] < 0:
            raise Odd("negative")
        return x

    state = symbolic.shared(np.arange(3.0), "state")
    x = T.dvector("x")
    loop, _ = symbolic.scan(lambda h: picky(h) - 1 + 0 * h, outputs_info=x, n_steps=3)
    for out in (picky(x), loop):
        f = symbolic.function([x], out.sum(), updates={state: state + picky(x)[0]}, mode=mode)
        with pytest.raises(Odd, match=r"^negative\n") as caught:
            f([-1.0, 2.0])
        note, *others = caught.value.__notes__
        assert all(re.match("in step [01] of a loop of 3 steps", n) for n in others)
        assert "picky(" in note and "test_opaque.py" in note and "float64 (2,)" in note
        np.testing.assert_array_equal(state.get_value(), [0, 1, 2])
    f([3.0, 2.0])
    np.testing.assert_array_equal(state.get_value(), [3, 4, 5])

    @symbolic.as_op([T.dvector], [T.dvector])
    def inner(x):
        raise errors.ShapeError("ours")

    with pytest.raises(errors.ShapeError, match=r"^ours\n"):
        symbolic.function([x], inner(x), mode=mode)([1.0])


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize(("result", "error", "text"), [
    (np.zeros(2, "float32"), errors.DTypeError, "has dtype float32, not float64 as declared"),
    (np.zeros((2, 1)), errors.RankError, "has 2 axes, not 1"), (np.zeros(3), errors.ShapeError, r"has shape \(3,\), not \(2,\)"),
    ("text", errors.DTypeError, "dtype str"), (None, errors.GraphError, "gave nothing for result 0"),
    ([[1.0], [1.0, 2.0]], errors.DTypeError, "no array of"),
])
def test_wrong_results_are_named(mode, result, error, text):
    class Wrong(Counted):
        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = result

    x = T.dvector("x")
    with pytest.raises(error, match=text) as caught:
        symbolic.function([x], Wrong()(x) * 2, mode=mode)([1.0, 2.0])
    assert str(caught.value).startswith("wrong: result 0") or result is None
    assert "x: float64 (" in str(caught.value) and "test_opaque.py" in str(caught.value)


def test_broken_ops_are_named_when_they_are_compiled():
    class Nothing(Op):
        def infer_type(self, x):
            return (x,)

        def infer_shape(self, x):
            return ((symbolic.scalar.dim(0, 0),),)

    class Bare(Op):
        def perform(self, node, inputs, output_storage):
            """Never called."""

    class Shapes(Counted):
        def __init__(self, answer):
            self.answer = answer

        def infer_shape(self, node, shapes):
            return self.answer

    x = T.dvector("x")
    with pytest.raises(errors.NotSupported, match="has no Python code either.*test_opaque.py"):
        symbolic.function([x], Nothing()(x))
    with pytest.raises(errors.NotSupported, match=r"(?s)distinct: it has no gradient.*test_opaque.py.*\nhint: .*custom_g"):
        T.grad(distinct(x).sum(), x)
    with pytest.raises(NotImplementedError, match="needs make_node, or itypes"):
        Bare()(x)
    for answer, text in ((3, "must return a list of 1 shapes"), ([(1, 2)], "gave 2 extents"), ([(x,)], "integer scalar")):
        with pytest.raises(errors.ShapeError, match=text):
            symbolic.function([x], Shapes(answer)(x))
    with pytest.raises(errors.DTypeError, match=r"input 0 must be .*float64.*\n?.*astype"):
        distinct(T.fvector())
    with pytest.raises(errors.RankError, match="input 0 must be"):
        distinct(T.dmatrix())
    with pytest.raises(TypeError, match="takes 1 inputs, got 2"):
        distinct(x, x)
    with pytest.raises(TypeError, match="itypes must hold types"):
        symbolic.as_op([3], [T.dvector])
    with pytest.raises(TypeError, match="infer_shape must be callable"):
        symbolic.as_op([T.dvector], [T.dvector], infer_shape=3)
    with pytest.raises(TypeError, match="isn't a variable"):
        Apply(Ordered(), [1], [x.type()])
    with pytest.raises(errors.GraphError, match="something else already"):
        Apply(Ordered(), [x], [x + 1])


def test_calls_of_ops():
    x = T.dvector("x")
    assert isinstance(Ordered()(x), list) and isinstance(Order()(x, return_list=True), list)

    class First(Ordered):
        default_output = 0

    assert First()(x).ndim == 1 and len(First()(x, return_list=True)) == 1
    node = Ordered()(x)[0].owner
    assert node.loc.line and "Ordered()(x)[0]" in node.loc.text and node.outputs[0].loc == node.loc
    assert Ordered().infer_shape(node, [(T.constant(2),)])[0][0].data == 2
    assert float(distinct([2.0, 2.0]).owner.op.fn(np.array([2.0, 2.0]))[0]) == 2 and theanos_as_op is symbolic.as_op


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_destroyed_inputs_are_copies_and_others_read_only(mode):
    class InPlace(Counted):
        destroy_map = {0: [0]}
        view_map: dict = {}

        def perform(self, node, inputs, output_storage):
            inputs[0] += 1
            output_storage[0][0] = inputs[0]

    class Careless(Counted):
        def perform(self, node, inputs, output_storage):
            inputs[0][0] = 5

    class Viewing(Counted):
        view_map = {0: [0]}

        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = inputs[0][::-1]

    x = T.dvector("x")
    s = symbolic.shared(np.zeros(2))
    a = np.array([1.0, 2.0])
    f = symbolic.function([x], [InPlace()(x), x * 1, InPlace()(s), Viewing()(x)], mode=mode)
    for got, want in zip(f(a), ([2, 3], [1, 2], [1, 1], [2, 1]), strict=True):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(a, [1, 2])
    np.testing.assert_array_equal(s.get_value(), [0, 0])
    with pytest.raises(ValueError, match="read-only"):
        symbolic.function([x], Careless()(x), mode=mode)(a)


def test_params_and_successors_signatures():
    class WithParams(Counted):
        params_type = object

        def get_params(self, node):
            return 7

        def perform(self, node, inputs, output_storage, params):
            output_storage[0][0] = inputs[0] * params

        def infer_shape(self, fgraph, node, shapes):
            return shapes

    x = T.dvector("x")
    np.testing.assert_array_equal(symbolic.function([x], WithParams()(x))([1.0]), [7])


def test_static_extents_of_operands_say_nothing_of_results():
    class Twice(Op):
        __props__ = ()

        def make_node(self, x):
            x = T.as_tensor_variable(x)
            return Apply(self, [x], [x.type()])

        def perform(self, node, inputs, output_storage):
            output_storage[0][0] = np.repeat(inputs[0], 2)

    c = T.constant(np.array([1.0, 2.0]))
    x = T.dvector("x")
    assert Twice()(c).type.shape == (None,)
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([x], [Twice()(c), Twice()(x) + T.ones(4)], mode=mode)
        np.testing.assert_array_equal(f([1.0, 5.0])[1], [2, 2, 6, 6])
        with pytest.raises(ValueError, match=r"2|broadcast"):
            f([1.0])


def test_own_form_with_reference_alone_needs_no_shape():
    class Where(Op):
        __props__ = ()

        def infer_type(self, x):
            return (x.clone("int64", (None,)),)

        def reference(self, x):
            return (np.flatnonzero(x),)

    x = T.dmatrix("x")
    for mode in MODES:
        got = symbolic.function([x], [Where()(x) * 2, Where()(x).shape[0]], mode=mode)(np.eye(3))
        np.testing.assert_array_equal(got[0], [0, 8, 16])
        assert got[1] == 3


def test_threads_and_memory():
    x = T.dvector("x")

    @symbolic.as_op([T.dvector], [T.dvector])
    def slow(v):
        return v + threading.get_ident() * 0

    f = symbolic.function([x], slow(T.exp(x)).sum())
    want = np.exp(np.arange(1e5) / 1e5).sum()
    got: list[float] = []
    threads = [threading.Thread(target=lambda: got.extend(float(f(np.arange(1e5) / 1e5)) for _ in range(20))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    np.testing.assert_allclose(got, [want] * 80)

    returned: list[weakref.ref] = []

    @symbolic.as_op([T.dvector], [T.dvector])
    def watched(v):
        made = v * 2
        returned.append(weakref.ref(made))
        return made

    g = symbolic.function([x], symbolic.scan(lambda h: watched(h) * 0.5 + h * 0, outputs_info=x, n_steps=50)[0])
    for _ in range(10):
        g(np.ones(1000))
    gc.collect()
    assert len(returned) == 500 and not any(r() is not None for r in returned)


@pytest.mark.parametrize("mode", MODES)
def test_every_dtype_no_inputs_and_no_elements(mode):
    dtypes = ["bool", "int8", "uint16", "int64", "float16", "float32", "complex64"]
    ins = [T.TensorType(d, (None, None))(d) for d in dtypes]
    turned = [symbolic.as_op([v.type], [v.type], infer_shape=lambda node, s: [s[0][::-1]])(lambda a: a.T)(v) for v in ins]
    seven = symbolic.as_op([], [T.lscalar])(lambda: np.int64(7))
    weak = symbolic.as_op([], [T.fscalar])(lambda: 0.5)
    f = symbolic.function(ins, [*turned, seven(), weak(), seven() + turned[3].sum()], mode=mode)
    for shape in ((2, 3), (0, 3), (1, 1)):
        arrays = [RNG.integers(0, 2, shape).astype(d) for d in dtypes]
        got = f(*(a[::-1, ::-1] for a in arrays))
        for g, a in zip(got, arrays, strict=False):
            np.testing.assert_array_equal(g, a[::-1, ::-1].T)
            assert g.dtype == a.dtype
        assert (got[7], got[8], got[9]) == (7, 0.5, 7 + arrays[3].sum()) and got[8].dtype == "float32"


def test_steps_of_stable_ops_are_found_with_their_function(monkeypatch):
    class Known(Counted):
        __props__ = ()
        stable = True

        def __init__(self):
            super().__init__()

    def build():
        x, c = T.dvector("x"), T.bscalar("c")
        loop, _ = symbolic.scan(lambda h: Known()(h) * 2, outputs_info=x, n_steps=3)
        return symbolic.function([x, c], [Known()(x) * 3, loop[-1], symbolic.ifelse(c, Known()(x * 5), x)])

    first = build()
    monkeypatch.setattr("symbolic.codegen.native._compile", None)
    again = build()
    for f in (first, again):
        for got, want in zip(f([1.0], 1), [[6.0], [22.0], [6.0]], strict=True):
            np.testing.assert_array_equal(got, want)


def test_functions_of_users_ops_pickle_and_start_warm(tmp_path):
    x = T.dvector("x")
    f = symbolic.function([x], [distinct(x), Ordered()(x)[0]])
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(again([2.0, 1.0, 2.0])[0], [1, 2])
    script = tmp_path / "program.py"
    script.write_text("import numpy as np, symbolic, symbolic.tensor as T\n"
                      "import symbolic.codegen.native as native\n"
                      "@symbolic.as_op([T.dvector], [T.dvector])\n"
                      "def distinct(x):\n    return np.unique(x)\n"
                      "x = T.dvector('x')\n"
                      "compiled = []\n"
                      "real = native.build\n"
                      "native.build = lambda *a: compiled.append(1) or real(*a)\n"
                      "f = symbolic.function([x], distinct(T.exp(x)) * 2)\n"
                      "assert f([0, 0]) == 2\n"
                      "print('compiled', len(compiled))\n")
    env = os.environ | {"SYMBOLIC_CACHE_DIR": str(tmp_path / "cache")}
    runs = [subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=True).stdout
            for _ in range(2)]
    assert runs == ["compiled 1\n", "compiled 0\n"]
