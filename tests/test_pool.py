"""Pooling against naive loops over windows; derivatives of the first and second order; symbolic windows; errors."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import central_difference

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.ops.pool import MODES

pool_2d, pool_3d = T.signal.pool.pool_2d, T.signal.pool.pool_3d


def places(n, w, s, p, ignore):
    """Theano's count of windows."""
    if n == 0:
        return 0
    n += 2 * p
    if ignore:
        return max((n - w) // s + 1, 0)
    return (n - 1) // s + 1 if s >= w else max(0, (n - 1 - w + s) // s) + 1


def naive(x, ws, ignore, stride, pad, mode):
    nd = len(ws)
    lead, image = x.shape[:-nd], x.shape[-nd:]
    out = [places(n, w, s, p, ignore) for n, w, s, p in zip(image, ws, stride, pad, strict=True)]
    y = np.zeros((*lead, *out), x.dtype if mode in ("max", "sum") or x.dtype.kind == "f" else "float64")
    for at in itertools.product(*map(range, out)):
        starts = [u * s - p for u, s, p in zip(at, stride, pad, strict=True)]
        real = tuple(slice(max(b, 0), min(b + w, n)) for b, w, n in zip(starts, ws, image, strict=True))
        full = np.prod([min(b + w, n + p) - b for b, w, n, p in zip(starts, ws, image, pad, strict=True)])
        part = x[(..., *real)]
        part = part.reshape(*lead, int(np.prod(part.shape[-nd:])))
        wide = part.astype("float64") if mode.startswith("average") else part
        y[(..., *at)] = {"max": lambda part=part: part.max(-1), "sum": lambda part=part: part.sum(-1, dtype=x.dtype),
                         "average_inc_pad": lambda wide=wide, full=full: wide.sum(-1) / full,
                         "average_exc_pad": lambda wide=wide: wide.mean(-1)}[mode]()
    return y


#: window, ignore_border, stride, pad
GEOMETRIES = [((2, 2), True, None, (0, 0)), ((2, 2), False, None, (0, 0)), ((3, 2), True, (2, 1), (0, 0)),
              ((3, 2), False, (2, 1), (0, 0)), ((3, 3), True, (2, 2), (1, 1)), ((2, 3), True, (3, 4), (1, 0)),
              ((2, 3), False, (3, 4), (0, 0)), ((5, 4), True, (1, 3), (2, 3)), ((5, 4), False, (2, 3), (0, 0)),
              ((1, 1), True, (1, 1), (0, 0)), ((9, 9), True, None, (0, 0)), ((9, 9), False, None, (0, 0)),
              ((7, 3), True, (2, 2), (0, 1))]
SHAPES = [(2, 3, 7, 8), (6, 5), (1, 2, 1, 9), (2, 0, 4, 4), (0, 3), (3, 1, 2)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values(mode, dtype):
    for ndim in (2, 3, 4):
        x = T.TensorType(dtype, (None,) * ndim)("x")
        made = [pool_2d(x, w, i, s, p, mode) for w, i, s, p in GEOMETRIES]
        functions = [symbolic.function([x], made), symbolic.function([x], made, mode="FAST_COMPILE")]
        for shape in (s for s in SHAPES if len(s) == ndim):
            values = np.random.default_rng(3).normal(size=shape).astype(dtype)
            for given in (values, values[..., ::-1], np.asfortranarray(values)):
                wanted = [naive(given, w, i, s or w, p, mode) for w, i, s, p in GEOMETRIES]
                for f in functions:
                    for got, want, geometry in zip(f(given), wanted, GEOMETRIES, strict=True):
                        assert got.shape == want.shape and got.dtype == want.dtype, (geometry, shape)
                        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_other_dtypes_and_special_values(mode):
    rng = np.random.default_rng(0)
    for dtype in ("int8", "uint16", "int64", "float16"):
        values = rng.integers(0, 5, (2, 5, 6)).astype(dtype)
        x = T.TensorType(dtype, (None, None, None))("x")
        made = [pool_2d(x, (2, 3), i, (1, 2), (0, 0), mode) for i in (True, False)]
        for how in ("FAST_RUN", "FAST_COMPILE"):
            for got, i in zip(symbolic.function([x], made, mode=how)(values), (True, False), strict=True):
                want = naive(values, (2, 3), i, (1, 2), (0, 0), mode)
                assert got.dtype == (want.dtype if dtype != "float16" else "float16")
                np.testing.assert_allclose(got, want, rtol=1e-2 if dtype == "float16" else 1e-12)
    special = np.array([[np.nan, 1, -np.inf, -np.inf], [0.0, -0.0, np.inf, -np.inf]])
    x = T.dmatrix("x")
    with np.errstate(invalid="ignore"):
        want = naive(special, (2, 2), True, (1, 1), (0, 0), mode)
    for how in ("FAST_RUN", "FAST_COMPILE"):
        np.testing.assert_array_equal(symbolic.function([x], pool_2d(x, 2, True, 1, mode=mode), mode=how)(special), want)


@pytest.mark.parametrize("mode", MODES)
def test_three_axes(mode):
    x = T.tensor4("x")
    cases = [((2, 2, 2), True, None, (0, 0, 0)), ((3, 2, 1), False, (1, 2, 2), (0, 0, 0)),
             ((3, 3, 3), True, (2, 2, 2), (1, 1, 1))]
    values = np.random.default_rng(1).normal(size=(2, 5, 4, 6))
    for how in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([x], [pool_3d(x, w, i, s, p, mode) for w, i, s, p in cases], mode=how)
        for got, (w, i, s, p) in zip(f(values), cases, strict=True):
            np.testing.assert_allclose(got, naive(values, w, i, s or w, p, mode), rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_derivatives(mode):
    """Central differences of the first and second order, forwards and backwards; both directions agree."""
    values = np.random.default_rng(5).permutation(2 * 6 * 7).reshape(2, 6, 7) / 7.0  # no two are near each other
    x, t = T.tensor3("x"), T.tensor3("t")
    geometries = [g for g in GEOMETRIES if g[0] != (9, 9) or g[1] is False]
    made = [pool_2d(x, w, i, s, p, mode) for w, i, s, p in geometries]
    central_difference([(T.sin(y) * y).sum() for y in made], {x: values})
    us = [T.tensor3(f"u{k}") for k in range(len(made))]
    pairs = [z for y, u in zip(made, us, strict=True)
             for z in ((symbolic.Rop(y, x, t) * u).sum(), (symbolic.Lop(y, x, u) * t).sum())]
    rng = np.random.default_rng(1)
    shapes = [naive(values, w, i, s or w, p, mode).shape for w, i, s, p in geometries]
    found = symbolic.function([x, t, *us], pairs)(values, rng.normal(size=values.shape), *(rng.normal(size=s) for s in shapes))
    np.testing.assert_allclose(found[::2], found[1::2], rtol=1e-10)


def test_equal_largest_elements_all_get_the_gradient():
    x = T.dmatrix("x")
    g = symbolic.function([x], symbolic.grad(pool_2d(x, 2, True).sum(), x))
    np.testing.assert_array_equal(g(np.ones((2, 3))), [[1, 1, 0], [1, 1, 0]])


def test_symbolic_windows():
    x, ws, st, pad = T.dmatrix("x"), T.ivector("ws"), T.lscalar("st"), T.lvector("pad")
    values = np.random.default_rng(2).normal(size=(7, 9))
    made = [pool_2d(x, ws, True, (st, 2), pad, m) for m in MODES]
    made += [symbolic.grad((pool_2d(x, ws, True, (st, 2), pad, m) ** 2).sum(), x) for m in MODES]
    for how in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([x, ws, st, pad], made, mode=how)
        for w, s, p in (((2, 3), 1, (0, 0)), ((3, 3), 3, (1, 2)), ((8, 1), 2, (0, 0))):
            found = f(values, np.array(w, "int32"), s, p)
            costs = [(pool_2d(x, w, True, (s, 2), p, m) ** 2).sum() for m in MODES]
            static = symbolic.function([x], [symbolic.grad(c, x) for c in costs])(values)
            for m, got, back, known in zip(MODES, found[:4], found[4:], static, strict=True):
                np.testing.assert_allclose(got, naive(values, w, True, (s, 2), p, m), rtol=1e-12)
                np.testing.assert_allclose(back, known, rtol=1e-12)
        for w, s, p, text in (((0, 2), 1, (0, 0), "window must be 1 or more, got 0"), ((2, 2), 0, (0, 0), "stride must be 1"),
                              ((2, 2), 1, (0, -1), "pad must be 0"), ((2, 2), 1, (2, 0), "smaller than the window, got 2 and 2")):
            with pytest.raises(ValueError, match=text):
                f(values, np.array(w, "int32"), s, p)


def test_known_shapes_and_old_names():
    x = T.TensorType("float32", (None, 3, 10, 11))("x")
    assert pool_2d(x, (2, 2), True).type.shape == (None, 3, 5, 5)
    assert pool_2d(x, ds=(2, 2), st=(1, 2), ignore_border=False).type.shape == (None, 3, 9, 6)
    assert T.signal.downsample.max_pool_2d(x, (3, 3), True).type.shape == (None, 3, 3, 3)
    values = np.random.default_rng(0).normal(size=(1, 3, 10, 11)).astype("float32")
    same = symbolic.function([x], T.signal.pool.max_pool_2d_same_size(x, (5, 4)))(values)
    kept = same != 0
    assert kept.sum() == 3 * 2 * 2
    np.testing.assert_array_equal(same[kept], values[kept])


def test_a_jacobian_takes_it_in_batches():
    x = T.dmatrix("x")
    y = pool_2d(x, (2, 2), True, (1, 1))
    j = symbolic.function([x], symbolic.jacobian(y.flatten(), x))(np.arange(9.0).reshape(3, 3))
    want = np.zeros((4, 3, 3))
    for k, at in enumerate(itertools.product((1, 2), (1, 2))):
        want[k][at] = 1
    np.testing.assert_array_equal(j, want)


@pytest.mark.parametrize("call, error, text", [
    (lambda x: pool_2d(x), errors.ParameterError, "ws, are missing"),
    (lambda x: pool_2d(x, (2, 2, 2)), errors.ParameterError, r"ws must be an integer from 1 on, or 2 of them, got \(2, 2, 2\)"),
    (lambda x: pool_2d(x, 0), errors.ParameterError, "ws must be"),
    (lambda x: pool_2d(x, 2.5), errors.ParameterError, "ws must be .* got 2.5"),
    (lambda x: pool_2d(x, 2, True, stride=(1, 0)), errors.ParameterError, "stride must be"),
    (lambda x: pool_2d(x, 2, True, pad=(2, 0)), errors.ParameterError, "padding must be smaller than the window, got 2 and 2"),
    (lambda x: pool_2d(x, 2, False, pad=1), errors.NotSupported, "ignore_border=True"),
    (lambda x: pool_2d(x, 2, mode="mean"), errors.ParameterError, "mode must be one of max, sum.*got 'mean'"),
    (lambda x: pool_2d(x, 2, ds=2), errors.ParameterError, "ds is the old name of ws"),
    (lambda x: pool_3d(x, 2), errors.RankError, "pooling over 3 axes"),
    (lambda x: pool_2d(x > 0, 2), errors.DTypeError, "real numbers"),
    (lambda x: pool_2d(x, T.dvector("w")), errors.ParameterError, "ws must be"),
])
def test_errors_name_what_is_wrong(call, error, text):
    with pytest.raises(error, match=text) as seen:
        call(T.dmatrix("x"))
    assert "test_pool.py" in str(seen.value)
