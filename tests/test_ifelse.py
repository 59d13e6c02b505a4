"""ifelse: laziness, derivatives of either arm, branches in loops and loops in branches, errors."""
from __future__ import annotations

import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from checks import central_difference

import symbolic
import symbolic.tensor as T
from symbolic import errors, ifelse
from symbolic.fgraph import capture
from symbolic.graph import Op
from symbolic.ops.ifelse import Branch
from symbolic.opt.pipeline import optimised

MODES = ["FAST_RUN", "FAST_COMPILE", "CHECK"]
LAZY = ["FAST_RUN", "FAST_COMPILE"]
ENDLESS = 2**62  # steps


def endless(x):
    """A loop that doesn't end in a lifetime: whoever computes it hangs."""
    last, _ = symbolic.loop(lambda p, _: (T.tanh(p + x), None), T.zeros_like(x), length=ENDLESS)
    return last


def branches(*outputs):
    """The branches of the program that computes `outputs`."""
    leaves = [v for v in symbolic.graph.inputs_of(outputs) if not isinstance(v, symbolic.Constant)]
    return [n for n in optimised(capture(leaves, outputs)).nodes if isinstance(n.op, Branch)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64"])
def test_either_arm_by_conditions_of_every_type(mode, dtype):
    c, x = T.TensorType(dtype, ())("c"), T.dvector("x")
    f = symbolic.function([c, x], ifelse(c, x * 2, x - 1), mode=mode)
    a = np.arange(3.0)
    np.testing.assert_array_equal(f(np.ones((), dtype), a), a * 2)
    np.testing.assert_array_equal(f(np.zeros((), dtype), a), a - 1)
    if "float" in dtype:
        np.testing.assert_array_equal(f(np.array(np.nan, dtype), a), a * 2)
        np.testing.assert_array_equal(f(np.array(-0.0, dtype), a), a - 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3), (2, 1, 2)])
def test_several_values_of_any_shape(mode, shape):
    c, x = T.bscalar("c"), T.tensor("float32", (None,) * len(shape))
    a, b = ifelse(c, [T.exp(x), x.sum()], (x, 1.5), name="chosen")
    assert (a.name, b.name, a.dtype, b.dtype) == ("chosen_0", "chosen_1", "float32", "float32")
    f = symbolic.function([c, x], [a, b], mode=mode)
    v = np.linspace(-1, 1, int(np.prod(shape)), dtype="float32").reshape(shape)
    for got, want in zip(f(1, v), [np.exp(v), v.sum()], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    for got, want in zip(f(0, v), [v, 1.5], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("mode", MODES)
def test_shapes_may_differ_and_dtypes_are_promoted(mode):
    c, x, k = T.bscalar("c"), T.dvector("x"), T.lscalar("k")
    y = ifelse(c, T.arange(k), x[::2])
    assert y.dtype == "float64"
    f = symbolic.function([c, x, k], [y, y.sum(), y.shape[0]], mode=mode)
    for flag, want in ((1, np.arange(4.0)), (0, np.array([1.0, 3.0]))):
        got = f(flag, np.array([1.0, 2.0, 3.0]), 4)
        np.testing.assert_array_equal(got[0], want)
        assert got[1] == want.sum() and got[2] == len(want)


@pytest.mark.parametrize("mode", LAZY)
def test_the_other_arm_is_never_computed(mode):
    c, x = T.bscalar("c"), T.dvector("x")
    y = ifelse(c, x ** 2, endless(x))
    outs = [y, T.grad(y.sum(), x), symbolic.Rop(y, x, T.ones_like(x)), T.grad(T.grad(y.sum(), x).sum(), x)]
    for got, want in zip(symbolic.function([c, x], outs, mode=mode)(1, [3.0]), [[9.0], [6.0], [6.0], [2.0]], strict=True):
        np.testing.assert_array_equal(got, want)


class Counted(Op):
    """Adds one, and counts how often."""

    calls = 0

    def infer_type(self, *types):
        return types

    def infer_shape(self, *types):
        return (tuple(symbolic.scalar.dim(0, a) for a in range(types[0].ndim)),)

    def reference(self, *arrays):
        Counted.calls += 1
        return (arrays[0] + 1,)


def test_an_op_with_a_side_effect_runs_only_where_its_arm_is_taken():
    c, x = T.bscalar("c"), T.dvector("x")
    once = Counted()(x)
    f = symbolic.function([c, x], ifelse(c, [once, once * 2], [x, x]), mode="FAST_COMPILE")
    Counted.calls = 0
    f(0, [1.0])
    assert Counted.calls == 0
    np.testing.assert_array_equal(f(1, [1.0]), [[2.0], [4.0]])
    assert Counted.calls == 1


@pytest.mark.parametrize("mode", LAZY)
def test_a_failure_in_the_arm_not_taken_is_none(mode):
    c, x, k = T.bscalar("c"), T.dvector("x"), T.lscalar("k")
    f = symbolic.function([c, x, k], ifelse(c, x[k] + x.reshape((2, 2)).sum(), x.sum()), mode=mode)
    assert f(0, np.ones(3), 7) == 3
    assert f(1, np.ones(4), 3) == 5
    with pytest.raises(ValueError, match="4"):
        f(1, np.ones(3), 2)
    with pytest.raises(IndexError, match="7"):
        f(1, np.ones(4), 7)


@pytest.mark.parametrize("mode", MODES)
def test_arms_broadcast_as_everything_else(mode):
    c, x, y = T.bscalar("c"), T.dmatrix("x"), T.dmatrix("y")
    z = ifelse(c, x * y, y)
    f = symbolic.function([c, x, y], [z, T.grad(z.sum(), x)], mode=mode)
    a, b = np.arange(3.0)[None], np.arange(6.0).reshape(2, 3)
    for flag, want, slope in ((1, a * b, b.sum(0, keepdims=True)), (0, b, np.zeros((1, 3)))):
        got = f(flag, a, b)
        np.testing.assert_array_equal(got[0], want)
        np.testing.assert_array_equal(got[1], slope)


@pytest.mark.parametrize("flag", [0, 1])
def test_derivatives_of_either_arm(flag):
    c, x, w = T.bscalar("c"), T.dvector("x"), T.dmatrix("w")
    both = T.sin(x)  # needed by both arms and outside
    h = T.tanh(T.dot(w, both))
    a, b = ifelse(c, [h ** 2, (both ** 3).sum()], [T.exp(h[::-1]) * 2, both[0] * w[1, 1]])
    cost = (a * T.arange(2)).sum() + b ** 2 + both.sum()
    rng = np.random.default_rng(0)
    values = {x: rng.normal(size=2), w: rng.normal(size=(2, 2))}
    fixed = symbolic.graph.clone_replace([cost], {c: T.constant(flag)})[0]
    central_difference([fixed], values)  # a constant condition is no condition
    outs = [cost, *T.grad(cost, [x, w, h]), symbolic.Rop(cost, [x, w], [x, w]),
            T.grad(sum((g ** 2).sum() for g in T.grad(cost, [x, w])), w)]
    known = symbolic.graph.clone_replace(outs, {c: T.constant(flag)})
    want = symbolic.function([x, w], known)(*values.values())
    for mode in MODES:
        got = symbolic.function([c, x, w], outs, mode=mode)(flag, *values.values())
        for one, other in zip(got, want, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_nan_in_the_arm_not_taken_stays_there(mode):
    c, x = T.bscalar("c"), T.dscalar("x")
    y = ifelse(c, T.sqrt(x), x * 3)
    inner = T.sqrt(x)
    z = ifelse(c, inner * 2, x)
    slope = T.grad(y, x)
    f = symbolic.function([c, x], [slope, symbolic.Rop(y, x, T.constant(1.0)), T.grad(slope, x, disconnected_inputs="ignore"),
                                   *T.grad(z, [inner, x])], mode=mode)
    np.testing.assert_array_equal(f(0, 0.0), [3, 3, 0, 0, 1])
    np.testing.assert_allclose(f(1, 4.0), [0.25, 0.25, -1 / 32, 2, 0.5])


@pytest.mark.parametrize("mode", LAZY)
def test_nested(mode):
    c, d, x = T.bscalar("c"), T.bscalar("d"), T.dvector("x")
    y = ifelse(c, ifelse(d, x * 2, endless(x)), ifelse(d, endless(x + 1), T.exp(x)))
    f = symbolic.function([c, d, x], [y, T.grad(y.sum(), x)], mode=mode)
    np.testing.assert_array_equal(f(1, 1, [1.0]), [[2.0], [2.0]])
    np.testing.assert_array_equal(f(0, 0, [1.0]), np.exp([[1.0], [1.0]]))


@pytest.mark.parametrize("mode", MODES)
def test_in_a_loop(mode):
    """A loop that goes one way or the other in each step, and its derivatives, against the loop in Python."""
    x, flags, h0 = T.dvector("x"), T.bvector("flags"), T.dscalar("h0")

    def step(e, flag, h):
        return ifelse(flag, T.sin(h) * e, ifelse(h > 0, h * h, T.sqrt(-h) + e))

    trace, _ = symbolic.scan(step, [x, flags], h0)
    cost = (trace ** 2).sum()
    f = symbolic.function([x, flags, h0], [trace, cost, *T.grad(cost, [x, h0]), symbolic.Rop(cost, h0, T.constant(1.0)),
                                           T.grad(T.grad(cost, h0), h0)], mode=mode)
    a, b, start = np.array([0.3, -1.2, 0.7, 2.0]), np.array([1, 0, 0, 1], "int8"), 1.1

    def run(a, h):
        rows = []
        for e, flag in zip(a, b, strict=True):
            h = np.sin(h) * e if flag else h * h if h > 0 else np.sqrt(-h) + e
            rows.append(h)
        return np.array(rows)

    got = f(a, b, start)
    np.testing.assert_allclose(got[0], run(a, start))
    eps = 1e-4

    def slope(move):
        return ((run(*move(eps)) ** 2).sum() - (run(*move(-eps)) ** 2).sum()) / (2 * eps)

    for k in range(4):
        np.testing.assert_allclose(got[2][k], slope(lambda t, k=k: (a + t * np.eye(4)[k], start)), rtol=1e-6)
    wanted = slope(lambda t: (a, start + t))
    np.testing.assert_allclose(got[3:5], [wanted, wanted], rtol=1e-6)
    values = [(run(a, start + t) ** 2).sum() for t in (eps, 0, -eps)]
    np.testing.assert_allclose(got[5], (values[0] - 2 * values[1] + values[2]) / eps**2, rtol=1e-4)


@pytest.mark.parametrize("mode", LAZY)
def test_around_a_loop(mode):
    """The gradient of a loop in an arm runs no loop if the other arm is taken, and the loop once if it is."""
    c, x, n = T.bscalar("c"), T.dvector("x"), T.lscalar("n")
    last, _ = symbolic.loop(lambda h, _: (T.tanh(h + x), None), T.zeros_like(x), length=n)
    y = ifelse(c, last.sum(), x.sum())
    slope = T.grad(y, x)
    f = symbolic.function([c, x, n], [y, slope], mode=mode)
    np.testing.assert_array_equal(f(0, [1.0, 2.0], ENDLESS)[1], [1, 1])
    plain = symbolic.function([x, n], [last.sum(), T.grad(last.sum(), x)])([0.1, 0.2], 3)
    for got, want in zip(f(1, [0.1, 0.2], 3), plain, strict=True):
        np.testing.assert_allclose(got, want)


@pytest.mark.parametrize("mode", LAZY)
def test_arms_of_other_shapes_in_a_loop_that_keeps_them(mode):
    """A trace holds arrays of one shape: that both arms have it is assumed, and seen to at run time."""
    flags, x, y = T.bvector("flags"), T.dvector("x"), T.dvector("y")
    rows, _ = symbolic.map(lambda flag: ifelse(flag, x * 2, y), flags)
    f = symbolic.function([flags, x, y], [rows, T.grad(rows.sum(), y)], mode=mode)
    got, slope = f([1, 0, 1], [1.0, 2.0], [5.0, 6.0])
    np.testing.assert_array_equal(got, [[2, 4], [5, 6], [2, 4]])
    np.testing.assert_array_equal(slope, [1, 1])
    for other in ([5.0, 6.0, 7.0], [5.0], []):
        with pytest.raises(ValueError, match="trace 0 has"):
            f([1, 0, 1], [1.0, 2.0], other)


@pytest.mark.parametrize("mode", LAZY)
def test_a_step_back_computes_no_arm_that_the_step_did_not(mode):
    x, flags, w = T.dvector("x"), T.bvector("flags"), T.dmatrix("w")

    def step(flag, h):
        return ifelse(flag, T.dot(w, h), endless(T.dot(w, h)))

    last = symbolic.scan(step, flags, x)[0][-1]
    f = symbolic.function([x, flags, w], T.grad(last.sum(), [x, w]), mode=mode)
    gx, gw = f([1.0, 2.0], np.ones(2, "int8"), np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(gx, [22, 32])
    np.testing.assert_array_equal(gw, [[5 + 4, 11 + 8], [5 + 6, 11 + 12]])


def test_choices_on_one_condition_are_one_branch():
    c, x, y = T.bscalar("c"), T.dvector("x"), T.dvector("y")
    a, b = ifelse(c, T.exp(x), x), ifelse(c, T.exp(x) + y, y)
    assert len(branches(a, b)) == 1
    cost = (a * b).sum()
    assert len(branches(cost, *T.grad(cost, [x, y]))) == 2  # what is seen forwards, and the way back
    assert not [n for n in optimised(capture([c, x, y], T.grad(cost, [x, y]))).nodes if "exp" in str(n.op)]


def test_what_both_ways_of_an_arm_need_is_computed_once():
    c, x = T.bscalar("c"), T.dvector("x")
    h = T.exp(x)
    y = ifelse(c, h * h, x)
    found = branches(y, T.grad((y ** 2).sum(), x))
    assert sum("exp" in str(n.op) for b in found for side in (b.op.then, b.op.other)
               for n in symbolic.graph.toposort(side, stop=b.op.inputs)) == 1


def test_it_is_an_if_in_c():
    c, x = T.bscalar("c"), T.dvector("x")
    text = symbolic.function([c, x], ifelse(c, T.exp(x), T.log(x))).source
    assert "if (p0[0]) {" in text and "static int arm_1(" in text and "static int arm_2(" in text


@pytest.mark.parametrize("mode", MODES)
def test_in_updates(mode):
    c, w = T.bscalar("c"), symbolic.shared(np.zeros(2), "w")
    f = symbolic.function([c], updates={w: ifelse(c, w + 1, w)}, mode=mode)
    for flag in (1, 0, 1):
        f(flag)
    np.testing.assert_array_equal(w.get_value(), [2, 2])


def test_a_failing_arm_leaves_shared_variables_as_they_were():
    c, k, w, v = T.bscalar("c"), T.lscalar("k"), symbolic.shared(np.zeros(2), "w"), symbolic.shared(np.zeros(2), "v")
    f = symbolic.function([c, k], updates={v: v + 1, w: w + ifelse(c, v[k], 0.0)})
    with pytest.raises(IndexError):
        f(1, 9)
    assert not v.get_value().any() and not w.get_value().any()
    f(0, 9)
    np.testing.assert_array_equal(v.get_value(), [1, 1])


def test_it_is_found_in_the_cache_and_pickled():
    c, x = T.bscalar("c"), T.dvector("x")
    f = symbolic.function([c, x], ifelse(c, x[5], x.sum()))
    again = pickle.loads(pickle.dumps(f))
    assert again(0, [1.0, 2.0]) == 3 and again.source == f.source
    with pytest.raises(IndexError, match="5"):
        again(1, [1.0, 2.0])
    branch = branches(ifelse(c, T.exp(x), x))[0].op
    assert pickle.loads(pickle.dumps(branch)) == branch


def test_a_constant_condition_is_none():
    x = T.dvector("x")
    assert not branches(ifelse(True, x * 2, endless(x)))
    np.testing.assert_array_equal(symbolic.function([x], ifelse(0, endless(x), x * 2))([1.0]), [2.0])


def test_a_shape_known_only_inside_an_arm():
    """Memory for it can't be had before the arm runs, so the arm takes it and says where it is."""
    c, x = T.bscalar("c"), T.dvector("x")
    f = symbolic.function([c, x], ifelse(c, T.arange(T.cast(x.sum(), "int64")), T.arange(2)))
    np.testing.assert_array_equal(f(1, [1.5, 2.5]), [0, 1, 2, 3])
    np.testing.assert_array_equal(f(0, [1.5, 2.5]), [0, 1])


@pytest.mark.parametrize("make, error, words", [
    (lambda c, x: ifelse(x, x, x), errors.RankError, ["scalar", "T.switch", "test_ifelse.py"]),
    (lambda c, x: ifelse(T.zscalar(), x, x), errors.RankError, ["real scalar"]),
    (lambda c, x: ifelse(c, x, x.sum()), errors.RankError, ["1 axes in one arm and 0", "test_ifelse.py", "reshape"]),
    (lambda c, x: ifelse(c, [x, x], [x]), ValueError, ["one arm gives 2 values and the other 1"]),
    (lambda c, x: ifelse(c, [x, x], x), ValueError, ["one arm gives 2 values and the other 1"]),
    (lambda c, x: ifelse(c, "no", x), errors.ConversionError, ["no"]),
])
def test_errors(make, error, words):
    with pytest.raises(error) as caught:
        make(T.bscalar("c"), T.dvector("x"))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("seed", range(24))
def test_random_choices(seed):
    """Programs of nested choices against the same programs with each condition known, values and derivatives."""
    rng = np.random.default_rng(seed)
    x, flags = T.dvector("x"), [T.bscalar(f"c{k}") for k in range(3)]
    pool = [x, T.sin(x), x * 2]
    for _ in range(10):
        a, b, d = (pool[k] for k in rng.integers(0, len(pool), 3))
        kind = rng.integers(0, 5)
        if kind < 3:
            pool.append(ifelse(flags[rng.integers(0, 3)], a * T.cos(b), d + a))
        elif kind == 3:
            made = ifelse(flags[rng.integers(0, 3)], [a + b, T.tanh(d)], [b, a * d])
            pool += made
        else:
            pool.append(T.tanh(a + b * d))
    cost = sum((v ** 2).sum() for v in pool[-3:]) + pool[-1][0]
    slope = T.grad(cost, x)
    outs = [pool[-1], cost, slope, symbolic.Rop(slope, x, T.ones_like(x), disconnected_outputs="ignore"),
            T.grad((slope ** 2).sum(), x, disconnected_inputs="ignore")]
    f = symbolic.function([*flags, x], outs, on_unused_input="ignore")
    plain = symbolic.function([*flags, x], outs, on_unused_input="ignore", mode="FAST_COMPILE")
    v = rng.normal(size=3)
    for case in range(8):
        bits = [case & 1, case >> 1 & 1, case >> 2]
        known = symbolic.graph.clone_replace(outs, {c: T.constant(b) for c, b in zip(flags, bits, strict=True)})
        want = symbolic.function([x], known, mode="FAST_COMPILE")(v)
        for got in (f(*bits, v), plain(*bits, v)):
            for one, other in zip(got, want, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_name_is_a_function_and_a_module_to_import_from():
    module = importlib.import_module("symbolic.ifelse")
    assert ifelse is symbolic.ifelse is module.ifelse
    code = ("from symbolic.ifelse import ifelse; import symbolic; assert symbolic.ifelse is ifelse; import symbolic.ifelse; "
            "symbolic.ifelse(1, 2, 3)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
