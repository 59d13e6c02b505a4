"""Pooling against loops over windows, on both back ends; derivatives against differences."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.ops.pool import Picked, Pool, Spread
from symbolic.ops.pooling import MODES
from symbolic.types import TensorType

pool = T.signal.pool
RNG = np.random.default_rng(7)
#: window, stride, padding, ignore_border
CASES = [((2, 2), None, (0, 0), True), ((2, 2), None, (0, 0), False), ((3, 2), (2, 1), (0, 0), True),
         ((3, 2), (2, 1), (0, 0), False), ((3, 3), (2, 2), (1, 1), True), ((5, 4), (1, 3), (2, 3), True),
         ((2, 3), (4, 5), (0, 0), False), ((2, 3), (4, 5), (1, 2), True), ((6, 7), (1, 1), (0, 0), True),
         ((1, 1), (2, 1), (0, 0), False), ((9, 9), (9, 9), (0, 0), False),
         ((5, 5), (3, 2), (0, 0), False), ((4, 1), (1, 1), (3, 0), True)]


def windows_along(n, size, stride, pad, ignore_border):
    """Return the positions in each window along an axis of extent n, and how many positions it has with padding."""
    found = []
    if n == 0:
        return found
    start = -pad
    while True:
        end = start + size
        if ignore_border and end > n + pad:
            break
        if not ignore_border and (start >= n or (found and start - stride + size >= n)):
            break
        whole = size if ignore_border else min(end, n) - start
        found.append(([i for i in range(start, end) if 0 <= i < n], whole))
        start += stride
    return found


def naive(x, ws, ignore_border, stride, pad, mode):
    """Pool with loops, along the last ``len(ws)`` axes, in float64 or integers."""
    stride = stride or ws
    d = len(ws)
    lead = x.shape[:x.ndim - d]
    along = [windows_along(*a, ignore_border) for a in zip(x.shape[x.ndim - d:], ws, stride, pad, strict=True)]
    out = np.empty((*lead, *(len(a) for a in along)), object)
    for at in np.ndindex(*out.shape):
        held = [along[k][o] for k, o in enumerate(at[len(lead):])]
        values = [x[(*at[:len(lead)], *i)] for i in itertools.product(*(h[0] for h in held))]
        if mode == "max":
            out[at] = np.nan if any(v != v for v in values) else max(values)
            continue
        total = sum(float(v) if x.dtype.kind == "f" else int(v) for v in values)
        count = len(values) if mode == "average_exc_pad" else int(np.prod([h[1] for h in held]))
        out[at] = total if mode == "sum" else total / count
    return out


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8"])
def test_values(dtype):
    a = (RNG.normal(size=(2, 1, 7, 9)) * 5).astype(dtype)
    x, = variables(a)
    outs, want = [], []
    for (ws, stride, pad, ignore), mode in itertools.product(CASES if dtype == "float64" else CASES[:7], MODES):
        outs.append(pool.pool_2d(x, ws, ignore, stride, pad, mode))
        want.append(naive(a, ws, ignore, stride, pad, mode))
    tolerance = {"float64": 1e-12, "float32": 2e-6, "float16": 5e-3, "int8": 1e-12}[dtype]
    for o, g, w in zip(outs, run(outs, {x: a}, rtol=tolerance, atol=tolerance), want, strict=True):
        assert g.shape == w.shape and o.dtype == g.dtype
        np.testing.assert_allclose(g.astype("float64"), w.astype("float64"), rtol=tolerance, atol=tolerance)
    kinds = {o.dtype for o in outs}
    assert kinds == ({"int8", "int64", "float64"} if dtype == "int8" else {dtype}), kinds


def test_gradients_count_every_largest_element():
    """Against loops: each window gives its gradient to every element that is as large as its largest."""
    a = RNG.integers(0, 3, (2, 7, 9)).astype("float64")
    x, = variables(a)
    outs, want = [], []
    for ws, stride, pad, ignore in CASES:
        y = pool.pool_2d(x, ws, ignore, stride, pad)
        value = naive(a, ws, ignore, stride, pad, "max")
        weight = RNG.normal(size=value.shape)
        outs.append(T.grad((y * weight).sum(), x))
        g = np.zeros_like(a)
        rows, columns = (windows_along(n, s, t, p, ignore) for n, s, t, p in
                         zip(a.shape[1:], ws, stride or ws, pad, strict=True))
        for at in np.ndindex(*value.shape):
            for i, j in itertools.product(rows[at[1]][0], columns[at[2]][0]):
                g[at[0], i, j] += weight[at] * (a[at[0], i, j] == value[at])
        want.append(g)
    for g, w in zip(run(outs, {x: a}, rtol=1e-12, atol=1e-14), want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-14)


def test_derivatives():
    a = RNG.permutation(2 * 6 * 7).reshape(2, 6, 7) / 7.0
    x, = variables(a)
    w = RNG.normal(size=(2, 40, 40))
    costs = []
    for (ws, stride, pad, ignore), mode in itertools.product(CASES[:6], MODES):
        y = pool.pool_2d(x, ws, ignore, stride, pad, mode)
        costs.append((T.sin(y) * w[:, :len(ws), :1].sum()).sum())
    central_difference(costs, {x: a}, rtol=1e-5)


def test_derivatives_are_compiled():
    """Second derivatives and products with the Jacobian, compiled as interpreted."""
    a, v = RNG.normal(size=(2, 2, 6, 7)), RNG.normal(size=(2, 2, 6, 7))
    x, = variables(a)
    outs = []
    for ws, stride, pad, ignore in CASES[:6]:
        y = pool.pool_2d(x, ws, ignore, stride, pad)
        g = T.grad(T.sin(y).sum(), x)
        outs += [T.grad((g * v).sum(), x), T.Rop(y, x, symbolic.constant(v)), T.Rop(g, x, symbolic.constant(v))]
    run(outs, {x: a}, rtol=1e-11, atol=1e-13)


def test_ranks():
    """Any axes in front, none too; one, two and three pooled ones."""
    for shape in [(5, 6), (3, 5, 6), (2, 1, 2, 5, 6)]:
        a = RNG.normal(size=shape)
        x, = variables(a)
        outs, want = [], []
        for n, f in ((1, pool.pool_1d), (2, pool.pool_2d), (3, pool.pool_3d)):
            if n > a.ndim:
                with pytest.raises(errors.RankError, match="pool_max: expected at least 3 dimensions(.|\n)*got 2"):
                    f(x, (2,) * n)
                continue
            for ws, ignore in (((2,) * n, True), ((3,) * n, False)):
                for mode in ("max", "average_exc_pad"):
                    y = f(x, ws, ignore, mode=mode)
                    outs += [y, T.grad(T.sqr(y).sum(), x)]
                    want += [naive(a, ws, ignore, None, (0,) * n, mode), None]
        for g, w in zip(run(outs, {x: a}, rtol=1e-11, atol=1e-13), want, strict=True):
            if w is not None:
                np.testing.assert_allclose(g, w.astype("float64"), rtol=1e-12)


@pytest.mark.parametrize("ignore", [True, False])
def test_symbolic_windows(ignore):
    a = RNG.normal(size=(2, 7, 9))
    x, = variables(a)
    numbers = T.lvector("numbers")
    ws, stride, pad = (numbers[0], 3), (numbers[1], numbers[2]), (numbers[3], 0)
    outs = [pool.pool_2d(x, ws, ignore, stride, pad, mode) for mode in MODES]
    outs += [T.grad(T.sqr(y).sum(), x) for y in outs]
    f = {m: symbolic.function([x, numbers], outs, mode=m) for m in ("FAST_RUN", "FAST_COMPILE")}
    for given in ((2, 2, 3, 0), (3, 1, 2, 1), (5, 2, 1, 4), (1, 8, 9, 0), (9, 1, 1, 0)):
        if given[3] and not ignore:
            continue
        fixed = [pool.pool_2d(x, (given[0], 3), ignore, given[1:3], (given[3], 0), mode) for mode in MODES]
        fixed += [T.grad(T.sqr(y).sum(), x) for y in fixed]
        for run_it in f.values():
            got = run_it(a, np.array(given))
            for g, w in zip(got, evaluate(fixed, {x: a}), strict=True):
                np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-14)
        for g, mode in zip(got, MODES, strict=False):
            want = naive(a, (given[0], 3), ignore, given[1:3], (given[3], 0), mode)
            np.testing.assert_allclose(g, want.astype("float64"), rtol=1e-12, atol=1e-14)
    for bad, text in (((0, 1, 1, 0), "the window along axis 0 must be at least 1, got 0"),
                      ((2, 1, -1, 0), "the stride along axis 1 must be at least 1, got -1"),
                      ((2, 1, 1, 2), "the padding along axis 0 must be at least 0 and less than the window, 2, got 2")):
        for run_it in f.values():
            with pytest.raises(errors.ShapeError, match=text):
                run_it(a, np.array(bad))


def test_the_window_may_be_a_vector():
    a = RNG.normal(size=(7, 9))
    x, ws = T.dmatrix(), T.lvector()
    f = symbolic.function([x, ws], pool.pool_2d(x, ws, True))
    np.testing.assert_array_equal(f(a, np.array([3, 2])), naive(a, (3, 2), True, None, (0, 0), "max").astype("float64"))
    with pytest.raises(errors.ShapeError):
        f(a, np.array([3, 2, 1]))


def test_known_extents():
    x = TensorType("float32", (None, 3, 28, 9))("x")
    assert pool.pool_2d(x, (2, 2), True).type.shape == (None, 3, 14, 4)
    assert pool.pool_2d(x, (2, 2)).type.shape == (None, 3, 14, 5)
    assert pool.pool_2d(x, (3, 3), True, (2, 2), (1, 1)).type.shape == (None, 3, 14, 5)
    assert pool.pool_2d(x, (30, 3), True).type.shape == (None, 3, 0, 3)
    a = RNG.normal(size=(2, 3, 28, 9)).astype("float32")
    y = pool.pool_2d(x, (2, 2), False, (2, 3), mode="average_inc_pad")
    got, _ = run([y, T.grad(T.sqr(y).sum(), x)], {x: a}, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got, naive(a, (2, 2), False, (2, 3), (0, 0), "average_inc_pad").astype("f"), rtol=1e-5)


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4, 4), (1, 1)])
def test_empty_and_small(shape):
    a = np.ones(shape)
    x, = variables(a)
    outs, want = [], []
    for (ws, stride, pad, ignore), mode in itertools.product(CASES[::2], ("max", "average_inc_pad")):
        y = pool.pool_2d(x, ws, ignore, stride, pad, mode)
        outs += [y, T.grad(y.sum(), x)]
        want.append(naive(a, ws, ignore, stride, pad, mode).astype("float64"))
    got = run(outs, {x: a})
    for y, g, w in zip(got[::2], got[1::2], want, strict=True):
        assert y.shape == w.shape and g.shape == a.shape
        np.testing.assert_allclose(y, w)


def test_special_values():
    a = np.array([[np.nan, 1, -np.inf, -np.inf], [2, 3, -np.inf, -np.inf], [np.inf, 1, -0.0, 0.0], [0, 0, -0.0, -1]])
    x, = variables(a)
    outs = [pool.pool_2d(x, (2, 2), ignore) for ignore in (True, False)] + [pool.pool_2d(x, (3, 3), True, (1, 1), (1, 1))]
    for g, w in zip(run(outs, {x: a}), [(2, 2, True, 2, 0), (2, 2, False, 2, 0), (3, 3, True, 1, 1)], strict=True):
        np.testing.assert_array_equal(g, naive(a, w[:2], w[2], (w[3],) * 2, (w[4],) * 2, "max").astype("float64"))
    for dtype, low in (("int8", -128), ("int64", -2**63), ("uint16", 0), ("bool", False)):
        b = np.full((5, 5), low, dtype)
        b[0, 0] = 1
        v, = variables(b)
        got = run([pool.pool_2d(v, (5, 4), False, (1, 1)), pool.pool_2d(v, (2, 2), True)], {v: b})
        np.testing.assert_array_equal(got[0], [[1, low]])
        np.testing.assert_array_equal(got[1], [[1, low], [low, low]])


def test_sums_of_integers_are_wide():
    a = np.full((4, 4), 127, "int8")
    x, = variables(a)
    got, mean = run([pool.pool_2d(x, (4, 4), True, mode="sum"), pool.pool_2d(x, (4, 4), True, mode="average_inc_pad")], {x: a})
    assert got.dtype == "int64" and got[0, 0] == 127 * 16 and mean[0, 0] == 127


def test_strided_views():
    a = RNG.normal(size=(4, 9, 8))[::-2, ::-1, ::2].transpose(0, 2, 1)
    f = symbolic.function([x := T.dtensor3()], pool.pool_2d(x, (2, 2), True))
    np.testing.assert_array_equal(f(a), naive(a, (2, 2), True, None, (0, 0), "max").astype("float64"))


def test_many_columns():
    """Rows are worked on in blocks."""
    a = RNG.normal(size=(2, 3, 1300)).astype("float32")
    x, = variables(a)
    y = pool.pool_2d(x, (3, 7), True, (1, 2), (1, 3))
    outs = [y, T.grad(T.sqr(y).sum(), x), pool.pool_2d(x, (3, 20), False, (1, 2), mode="sum")]
    got = run(outs, {x: a}, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got[0], naive(a, (3, 7), True, (1, 2), (1, 3), "max").astype("f"))
    np.testing.assert_allclose(got[2], naive(a, (3, 20), False, (1, 2), (0, 0), "sum").astype("f"), rtol=1e-5, atol=1e-5)


def test_same_size():
    a = RNG.permutation(5 * 7).reshape(5, 7)
    for dtype in ("float32", "int64"):
        x, = variables(a.astype(dtype))
        got, = run([pool.max_pool_2d_same_size(x, (2, 3))], {x: a.astype(dtype)})
        want = np.zeros_like(a)
        for i, j in itertools.product(range(2), range(2)):
            patch = a[2 * i:2 * i + 2, 3 * j:3 * j + 3]
            want[2 * i:2 * i + 2, 3 * j:3 * j + 3] = np.where(patch == patch.max(), patch, 0)
        np.testing.assert_array_equal(got, want)


def test_theanos_names():
    x = T.tensor4("x")
    a = RNG.normal(size=(1, 1, 5, 5)).astype(x.dtype)
    old = [T.signal.downsample.max_pool_2d(x, (2, 2)), T.signal.downsample.max_pool_2d(x, (2, 2), True, st=(1, 1)),
           pool.pool_2d(x, ds=(2, 2), st=(1, 1), padding=(1, 1), ignore_border=True)]
    new = [pool.pool_2d(x, (2, 2)), pool.pool_2d(x, (2, 2), True, (1, 1)), pool.pool_2d(x, (2, 2), True, (1, 1), (1, 1))]
    for g, w in zip(evaluate(old, {x: a}), evaluate(new, {x: a}), strict=True):
        np.testing.assert_array_equal(g, w)


def test_a_batch():
    """One pass over many inputs, as vectorised loops and jacobians take it."""
    a = RNG.normal(size=(4, 5))
    x, = variables(a)
    jacobian = T.jacobian(pool.pool_2d(x, (2, 2), True).flatten(), x)
    got, = run([jacobian], {x: a})
    for k in range(4):
        want, = evaluate([T.grad(pool.pool_2d(x, (2, 2), True).flatten()[k], x)], {x: a})
        np.testing.assert_array_equal(got[k], want)


def test_refuses():
    x = T.tensor4("x")
    for args, error, text in (
            (((2,),), errors.ShapeError, "pool_2d: expected 2 numbers for ws, got 1"),
            (((2, 0),), errors.ShapeError, r"pool_2d: the window along axis 1 must be at least 1, got 0, x \("),
            (((2, 2), True, (1, -1)), errors.ShapeError, "the stride along axis 1 must be at least 1, got -1"),
            (((2, 2), True, None, (2, 0)), errors.ShapeError, "the padding along axis 0 .* less than the window, 2, got 2"),
            (((2, 2), False, None, (1, 0)), errors.ShapeError, "padding needs ignore_border=True"),
            (((2, 2), True, None, (0, 0), "min"), ValueError, "mode must be one of 'max', 'sum'(.|\n)*got 'min'"),
            (((1.5, 2),), errors.DTypeError, "expected an integer scalar"),
            ((None,), ValueError, "ws, must be given"),
            (((2, 2), True, None, (0, 0), "max", (3, 3)), ValueError, "ws and ds are two names")):
        with pytest.raises(error, match=text):
            pool.pool_2d(x, *args)
    with pytest.raises(errors.DTypeError, match="complex values have no order"):
        pool.pool_2d(T.zmatrix(), (2, 2))
    with pytest.raises(errors.RankError, match="expected at least 2 dimensions"):
        pool.pool_2d(T.vector(), (2, 2))


def test_ops_are_values():
    x = T.matrix()
    a, b = pool.pool_2d(x, (2, 2), True).owner.op, pool.pool_2d(x, (2, 2), True).owner.op
    assert a == b and hash(a) == hash(b) and a != pool.pool_2d(x, (2, 3), True).owner.op
    assert isinstance(a, Pool) and "pool_max" in str(a)
    assert (Picked(a.windows).name, Spread(a.windows, True).name) == ("pool_picked", "pool_spread")
