"""insert, delete, put_along_axis, unique along an axis, lines between arrays: against NumPy, with gradients and refusals."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic.tensor as T
from symbolic import errors

RNG = np.random.default_rng(11)


def compare(pairs, values, rtol=1e-12):
    for (_, want), got in zip(pairs, run([o for o, _ in pairs], values), strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=rtol)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "bool", "complex64"])
def test_delete_and_insert(dtype):
    a = (RNG.normal(size=(4, 5)) * 3).astype(dtype)[:, ::-1]
    x, i, s = (*variables(a, np.zeros(2, "int64")), T.lscalar("s"))
    given = {x: a, i: np.array([3, -4]), s: np.array(-1)}
    pairs = []
    for obj in (0, -1, 3, slice(1, 4, 2), slice(None, None, -3), [0, 2, 0], [], np.array([True, False, True, False])):
        pairs += [(T.delete(x, obj, axis=0), np.delete(a, obj, axis=0))]
    mask = np.arange(20) % 3 == 0
    pairs += [(T.delete(x, i, 1), np.delete(a, given[i], 1)), (T.delete(x, s), np.delete(a, -1)),
              (T.delete(x, mask), np.delete(a, mask)),
              (T.delete(x, s, -1), np.delete(a, -1, -1))]
    row, one = a[0] * 2 if dtype != "bool" else ~a[0], np.ones((), dtype)
    for axis, obj, value in ((0, 2, row), (0, 4, one), (1, -1, a[:, 0]), (1, 0, a[:, :2].T), (0, [1, 1, 4], a[:3]),
                             (1, [0, 3], a[:, :2]),
                             (None, [2, 0, 2], a[0, :3]), (None, 3, a[0]), (0, slice(0, 3, 2), row), (1, [2], a[:, :1]),
                             (0, [], row),
                             (0, np.array([True, False, False, True]), one)):
        pairs.append((T.insert(x, obj, value, axis), np.insert(a, obj, value, axis)))
    pairs += [(T.insert(x, s, one, 1), np.insert(a, -1, one, 1)),
              (T.insert(x, i, row[:4, None], 1), np.insert(a, [3, -4], row[:4, None], 1))]
    compare(pairs, given)


def test_put_along_axis():
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 2))
    k = np.array([[0, 3], [-1, 1], [2, 0]])
    x, y, i = variables(a, b, k)
    pairs = []
    for axis, index, value in ((1, i, y), (1, k, 5.0), (0, k.T[:, :1] % 3, np.float64(2)), (None, np.array([5, -1]), y[0])):
        want = a.copy()
        given = {i: k}.get(index, index) if not isinstance(index, np.ndarray) else index
        np.put_along_axis(want, given, b if value is y else value if axis is not None else b[0], axis)
        pairs.append((T.put_along_axis(x, index, value, axis), want))
    compare(pairs, {x: a, y: b, i: k})
    z = T.dmatrix("z")
    central_difference([T.sum(T.sin(T.put_along_axis(x, k, z, 1)))], {x: a, z: b})


def test_gradients():
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=4)
    x, y = variables(a, b)
    outs = [T.insert(x, 1, y, 0), T.insert(x, [0, 2], y[:2], 1), T.delete(x, [0, 2], 1), T.delete(x, 1, 0),
            T.linspace(x, y, 5, axis=1), T.geomspace(x * x + 1, y * y + 2, 3), T.unique(x, axis=0)]
    central_difference([T.sum(T.sin(o) * T.cos(2 * o)) for o in outs], {x: a, y: b}, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "uint8"])
def test_different_rows(dtype):
    pairs, given = [], {}
    for shape in ((6, 2), (30, 3), (0, 2), (4, 0), (3, 4, 2), (1, 3)):
        a = RNG.integers(0, 2, shape).astype(dtype)
        x, = variables(a)
        given[x] = a
        for axis in range(a.ndim):
            if a.shape[axis] and not a.size:  # NumPy refuses or keeps such parts in its own ways
                continue
            want = np.unique(a, return_index=True, return_inverse=True, return_counts=True, axis=axis)
            got = T.unique(x, True, True, True, axis)
            pairs += [(g, w.reshape(-1) if k == 2 else w) for k, (g, w) in enumerate(zip(got, want, strict=True))]
            pairs.append((T.unique(x, axis=axis - a.ndim), want[0]))
    compare(pairs, given)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_lines(axis):
    a, b = np.array([[0.5, 1, 2]]), np.array([[3.0], [4]])
    x, y = variables(a, b)
    pairs = []
    for n in (0, 1, 2, 7):
        for end in (True, False):
            pairs += [(T.linspace(x, y, n, end, axis=axis), np.linspace(a, b, n, end, axis=axis)),
                      (T.geomspace(x, y, n, end, axis=axis), np.geomspace(a, b, n, end, axis=axis)),
                      (T.logspace(x, y, n, end, 2.0, axis=axis), np.logspace(a, b, n, end, 2.0, axis=axis)),
                      (T.linspace(0.0, y, n, end, "float32", axis), np.linspace(0.0, b, n, end, dtype="float32", axis=axis))]
    compare(pairs, {x: a, y: b}, rtol=1e-6)


def test_refusals():
    x, v = T.dmatrix("x"), T.dvector("v")
    a = np.ones((2, 3))
    for build, text in ((lambda: T.delete(x, 3, 1), "index 3 isn't between 0 and 3"),
                        (lambda: T.delete(x, [-4], 1), "index -1 isn't"),
                        (lambda: T.insert(x, 5, 0.0, 1), "insert: index 5 isn't between 0 and 4"),
                        (lambda: T.put_along_axis(x, [[0], [7]], 1.0, 1), "7 is out of bounds")):
        with pytest.raises(errors.IndexOutOfBounds, match=text):
            run([build()], {x: a}, on_error=True)
    with pytest.raises(errors.DTypeError, match="delete: expected a slice, a mask, an integer"):
        T.delete(x, v)
    with pytest.raises(errors.RankError, match="a scalar has no axis"):
        T.insert(T.dscalar(), 0, 1.0, 0)
    with pytest.raises(errors.RankError, match="more dimensions than the array"):
        T.insert(v, 0, a, 0)
    with pytest.raises(errors.RankError, match="of the same rank"):
        T.put_along_axis(x, [0], 1.0, 1)
    with pytest.raises(ValueError, match="num can't be negative, got -1"):
        T.linspace(0, 1, -1)
    with pytest.raises(errors.DTypeError, match="complex values aren't supported"):
        T.unique(T.zmatrix(), axis=0)
