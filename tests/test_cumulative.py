"""Running sums, counting and indices against NumPy, on both back ends, with derivatives."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.ops.cumulative import Cumulative, Recurrence, Shift
from symbolic.tensor import extra_ops
from symbolic.types import DTYPES, TensorType

RNG = np.random.default_rng(3)
TOLERANCE = {"float16": 2e-2, "float32": 1e-5, "complex64": 1e-5}


def draw(shape, dtype):
    if dtype == "bool":
        return RNG.integers(0, 2, shape).astype(bool)
    if np.dtype(dtype).kind in "iu":
        return RNG.integers(0, 5, shape).astype(dtype)
    a = RNG.normal(size=shape)
    return (a + 1j * RNG.normal(size=shape) if dtype.startswith("complex") else a).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_running_sums_and_products(dtype):
    x = TensorType(dtype, (None,) * 3)()
    axes = (None, 0, 1, 2, -1)
    outs = [f(x, axis=a) for f in (T.cumsum, T.cumprod) for a in axes]
    if not dtype.startswith("complex"):
        outs += [f(x, axis=a) for f in (T.cummax, T.cummin) for a in axes]
    f, g = symbolic.function([x], outs), symbolic.function([x], outs, mode="FAST_COMPILE")
    for shape in ((3, 4, 5), (2, 0, 3), (0, 2, 2), (1, 1, 1)):
        a = draw(shape, dtype)
        if a.dtype.kind == "f" and a.size > 20:
            a.flat[7], a.flat[9], a.flat[11] = np.nan, np.inf, -0.0
        flat = [a.ravel() if k is None else a for k in axes]
        want = [op(a, axis=k) for op in (np.cumsum, np.cumprod) for k in axes]
        if len(outs) > 10:
            want += [op.accumulate(v, axis=k or 0) for op in (np.maximum, np.minimum) for v, k in zip(flat, axes, strict=True)]
        for k, (p, q, w) in enumerate(zip(f(a), g(a), want, strict=True)):
            assert p.dtype == q.dtype == w.dtype, k
            tolerance = TOLERANCE.get(dtype, 1e-12)
            np.testing.assert_allclose(p, w, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(q, w, rtol=tolerance, atol=tolerance)


def test_dtypes_asked_for():
    x = T.ivector()
    assert [T.cumsum(x).dtype, T.cumsum(x, dtype="int32").dtype] == ["int64", "int32"]
    assert x.cumprod(dtype="float32").dtype == "float32"
    assert T.cumsum(T.TensorType("uint8", (None,))()).dtype == "uint64"


def test_recurrences():
    """In every direction, against a plain loop."""
    a, b = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 5, 3))
    x, y = variables(a, b)
    kinds = [(r, late) for r in (False, True) for late in (False, True)]
    got = run([Recurrence(1, r, late)(x, y) for r, late in kinds], {x: a, y: b}, rtol=1e-12)
    for g, (r, late) in zip(got, kinds, strict=True):
        want = b.copy()
        for t in (range(3, -1, -1) if r else range(1, 5)):
            p = t + 1 if r else t - 1
            want[:, t] += a[:, p if late else t] * want[:, p]
        np.testing.assert_allclose(g, want, rtol=1e-12)
        central_difference([T.sin(Recurrence(1, r, late)(x, y)).sum()], {x: a, y: b})
    z = np.zeros((2, 0))
    v, w = variables(z, z)
    assert run([Recurrence(1)(v, w), Recurrence(0, late=True)(v, w)], {v: z, w: z})[0].shape == (2, 0)


def test_shifts():
    a = RNG.normal(size=(2, 4))
    x, = variables(a)
    got = run([Shift(1, 1, 0)(x), Shift(1, -1, 1)(x), Shift(0, 3, 7)(x)], {x: a})
    np.testing.assert_array_equal(got[0], np.pad(a, ((0, 0), (1, 0)))[:, :-1])
    np.testing.assert_array_equal(got[1], np.pad(a, ((0, 0), (0, 1)), constant_values=1)[:, 1:])
    np.testing.assert_array_equal(got[2], np.full((2, 4), 7.0))


DIFFERENTIABLE = {
    "cumsum": lambda x: T.cumsum(x, axis=1), "cumsum of all": T.cumsum, "cumsum backwards": Cumulative("add", 0, True),
    "cumprod": lambda x: T.cumprod(x, axis=0), "cumprod of all": T.cumprod, "cumprod backwards": Cumulative("mul", 1, True),
    "cummax": lambda x: T.cummax(x, axis=1), "cummin": lambda x: T.cummin(x), "diff": lambda x: T.diff(x, n=2),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("zeros", [0, 2])
def test_derivatives(name, zeros):
    a = RNG.permutation(15).reshape(3, 5) / 7 + RNG.random((3, 5)) / 20
    if zeros and "prod" in name:
        a[1, 1] = a[1, 3] = a[2, 1] = 0.0
    x, = variables(a)
    out = DIFFERENTIABLE[name](x)
    central_difference([(T.sin(out) * (1 + T.arange(out.size)).reshape(out.shape)).sum()], {x: a})


def test_complex_derivatives():
    a, d = draw((2, 4), "complex128"), draw((2, 4), "complex128")
    x, = variables(a)
    cost = T.sin(T.real(T.cumprod(x, axis=1)) + T.imag(T.cumsum(x, axis=0))).sum()
    g = run([T.grad(cost, x)], {x: a})[0]
    at = [run([cost], {x: a + s * 1e-6 * d})[0] for s in (1, -1)]
    np.testing.assert_allclose(np.sum((g.conj() * d).real), (at[0] - at[1]) / 2e-6, rtol=1e-6)


def test_batches_loops_and_branches():
    a = RNG.normal(size=(3, 4))
    x, c = T.dmatrix("x"), T.dscalar("c")
    rows, _ = symbolic.scan(lambda r: T.cumprod(r) + T.cummax(r), x)
    either = symbolic.ifelse(T.gt(c, 0), T.cumsum(x), T.cumprod(x))
    outs = [symbolic.jacobian(T.cumprod(x, axis=0), x), symbolic.jacobian(T.cummax(x[0]), x), rows,
            T.grad((rows ** 2).sum(), x), either]
    f, g = symbolic.function([x, c], outs), symbolic.function([x, c], outs, mode="FAST_COMPILE")
    for sign in (1.0, -1.0):
        for p, q in zip(f(a, sign), g(a, sign), strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(f(a, 1.0)[2], np.cumprod(a, 1) + np.maximum.accumulate(a, 1))
    np.testing.assert_allclose(f(a, -1.0)[4], np.cumprod(a))


def test_differences():
    a = RNG.integers(0, 200, (4, 5)).astype("uint8")
    b = a > 100
    x, y = variables(a, b)
    got = run([T.diff(x), T.diff(x, n=2, axis=0), T.diff(y, axis=0), T.diff(x, n=0), T.diff(x, n=6)], {x: a, y: b})
    for g, w in zip(got, [np.diff(a), np.diff(a, 2, 0), np.diff(b, axis=0), a, np.diff(a, 6)], strict=True):
        np.testing.assert_array_equal(g, w)
        assert g.dtype == w.dtype


# --------------------------------------------------------------------------------- counting and indices


def test_counts_and_places():
    x, y, m = T.lvector(), T.dvector(), T.dmatrix()
    flags = (True, True, True)
    outs = [T.bincount(x), T.bincount(x, y), T.bincount(x, minlength=12), T.bincount(x, x), T.flatnonzero(m),
            T.compress(x > 1, y), T.compress([True, False, True], m, axis=1), (x > 1).compress(x),
            *T.unique(x, *flags), *T.unique(y, *flags),
            *T.unique(m > 0, *flags), T.unique(m), *extra_ops.Unique(True)(x)]

    def oracle(a, w, b):
        return [np.bincount(a), np.bincount(a, w), np.bincount(a, minlength=12), np.bincount(a, a), np.flatnonzero(b),
                np.compress(a > 1, w), np.compress([True, False, True], b, axis=1), a[a > 1], *np.unique(a, *flags),
                *np.unique(w, *flags), *np.unique(b > 0, *flags), np.unique(b), *np.unique(a, True)]

    f, g = (symbolic.function([x, y, m], outs, mode=mode) for mode in ("FAST_RUN", "FAST_COMPILE"))
    special = np.array([2.0, np.nan, 1, 2, np.nan, -1, 1])
    for a, w in ((np.array([3, 1, 3, 0, 7, 1, 1]), special), (np.zeros(0, int), np.zeros(0)), (np.array([2]), np.array([1.5]))):
        b = RNG.integers(-1, 2, (2, 4)).astype(float)
        for k, (p, q, want) in enumerate(zip(f(a, w, b), g(a, w, b), oracle(a, w, b), strict=True)):
            np.testing.assert_array_equal(p, want, err_msg=str(k))
            np.testing.assert_array_equal(q, want, err_msg=str(k))
            assert p.dtype == (want.dtype if k not in (1, 3) else "float64") and p.shape == want.shape, k


def test_one_hot_diagonals_and_windows():
    x, m, t, n = T.lvector(), T.dmatrix(), T.dtensor3(), T.lscalar()
    outs = [T.to_one_hot(x, 8), T.to_one_hot(x, n, "int8"), T.fill_diagonal(m, 5), T.fill_diagonal(m.T, 5),
            T.fill_diagonal(t, 2.5), T.fill_diagonal_offset(m, 5, 1), T.fill_diagonal_offset(m, 5, -n), T.bartlett(n)]
    a, b, c = np.array([0, 3, 7]), RNG.normal(size=(3, 5)), RNG.normal(size=(3, 3, 3))
    f, g = (symbolic.function([x, m, t, n], outs, mode=mode) for mode in ("FAST_RUN", "FAST_COMPILE"))

    def filled(v, value):
        v = v.copy()
        np.fill_diagonal(v, value)
        return v

    want = [np.eye(8)[a], np.eye(9, dtype="int8")[a], filled(b, 5), filled(b.T, 5), filled(c, 2.5),
            np.where(np.eye(3, 5, 1) == 1, 5, b), np.where(np.eye(3, 5, -9) == 1, 5, b), np.bartlett(9)]
    for k, (p, q, w) in enumerate(zip(f(a, b, c, 9), g(a, b, c, 9), want, strict=True)):
        np.testing.assert_allclose(p, w, rtol=1e-15, err_msg=str(k))
        np.testing.assert_allclose(q, w, rtol=1e-15, err_msg=str(k))
    h = symbolic.function([n], T.bartlett(n))
    for size in (-2, 0, 1, 2, 7):
        np.testing.assert_allclose(h(size), np.bartlett(size), rtol=1e-15)
    with pytest.raises(errors.ShapeError, match="specify_shape"):
        f(a, b, RNG.normal(size=(3, 3, 4)), 9)


def test_packing_indices():
    x, n = T.lmatrix(), T.lscalar()
    a = RNG.integers(0, 24, (3, 4))
    got = run([*T.unravel_index(x, (2, 3, 4)), *T.unravel_index(x, (2, 3, n), order="F"),
               T.ravel_multi_index(T.unravel_index(x, (2, 3, 4)), (2, 3, 4)),
               T.ravel_multi_index((x, x, x - 10), (4, 5, 9), mode=("wrap", "clip", "wrap"), order="F"),
               T.ravel_multi_index((x, x - 9), (4, 5), mode="clip")], {x: a, n: np.array(4)})
    want = [*np.unravel_index(a, (2, 3, 4)), *np.unravel_index(a, (2, 3, 4), order="F"), a,
            np.ravel_multi_index((a, a, a - 10), (4, 5, 9), mode=("wrap", "clip", "wrap"), order="F"),
            np.ravel_multi_index((a, a - 9), (4, 5), mode="clip")]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


def test_gradients_of_what_is_counted():
    a, w, m, v = np.array([3, 1, 3]), RNG.normal(size=3), RNG.normal(size=(3, 4)), np.array(0.5)
    y, x, s = variables(w, m, v)
    outs = [T.bincount(a, y), T.unique(y), T.compress([True, False, True], x, 0), T.fill_diagonal(x, s),
            T.fill_diagonal_offset(x, s, -1)]
    central_difference([T.sin(o).sum() for o in outs], {y: w, x: m, s: v})


def test_what_is_out_of_range():
    x = T.lvector("x")
    for make, bad, text in ((lambda: T.to_one_hot(x, 8), [-1, 2], "to_one_hot: class -1 isn't between 0 and 8"),
                            (lambda: T.to_one_hot(x, 8), [1, 8], "to_one_hot: class 8 isn't"),
                            (lambda: T.bincount(x), [2, -1], "bincount: the value -1 isn't"),
                            (lambda: T.unravel_index(x, (2, 3))[0], [6], "unravel_index: index 6 isn't between 0 and 6"),
                            (lambda: T.ravel_multi_index((x, x), (2, 3)), [2], "ravel_multi_index: index 2 isn't")):
        with pytest.raises(errors.IndexOutOfBounds, match=text):
            run([make()], {x: np.array(bad)}, on_error=True)


def test_arguments():
    m, d = T.dmatrix("m"), T.dvector("d")
    with pytest.raises(errors.RankError, match="axis 1 is out of range for a scalar"):
        T.cumsum(T.dscalar(), axis=1)
    with pytest.raises(ValueError, match="n must be a non-negative int, got -1"):
        T.diff(m, n=-1)
    with pytest.raises(errors.DTypeError, match="bincount: expected integers, d"):
        T.bincount(d)
    for call in (lambda: T.bincount(T.lmatrix()), lambda: T.to_one_hot(T.lmatrix(), 3), lambda: T.compress(m, m),
                 lambda: T.fill_diagonal_offset(d, 1, 0), lambda: T.fill_diagonal(m, d), lambda: T.bincount(T.lvector(), m)):
        with pytest.raises(errors.RankError, match="vector|matrix|scalar"):
            call()
    for call in (lambda: T.unravel_index([1], (2,), order="K"), lambda: T.ravel_multi_index(([1],), (2,), mode="x")):
        with pytest.raises(ValueError, match="order must be|mode must be"):
            call()
    with pytest.raises(errors.DTypeError, match="complex values have no order"):
        T.cummax(T.zvector())
    with pytest.raises(errors.DTypeError, match="complex values aren't supported"):
        T.unique(T.zvector())
