"""Fourier transforms against NumPy's and the sum itself, in both namings; derivatives; what is refused."""
from __future__ import annotations

import importlib

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.forward import Rop
from symbolic.ops import fft as numpys
from symbolic.ops.fourier import IRFFT, RFFT, library
from symbolic.types import TensorType

RNG = np.random.default_rng(8)
ONE_AXIS = [(5,), (8,), (1,), (3, 4), (2, 0, 6)]


def values(dtype, shape):
    a = RNG.normal(size=shape)
    if dtype.startswith("complex"):
        a = a + 1j * RNG.normal(size=shape)
    return (a * 3).astype(dtype)


def naive(a, sign=-1):
    """The sum as it is written, along the last axis."""
    n = a.shape[-1]
    k = np.arange(n)
    return a @ np.exp(sign * 2j * np.pi * np.outer(k, k) / n)


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "complex64", "float16", "int32", "bool"])
def test_one_axis(dtype):
    """Every function and norm, with the dtypes of its results; other strides; cut and continued arrays."""
    outs, want, given = [], [], {}
    single = dtype in ("float32", "complex64", "float16")
    for shape in ONE_AXIS:
        a = values(dtype, shape)[..., ::-1]
        x, = variables(a)
        given[x] = a
        wide = a.astype("float32") if dtype == "float16" else a
        for norm in (None, "ortho", "forward", "backward"):
            outs += [numpys.fft(x, norm=norm), numpys.ifft(x, axis=0 if a.ndim < 3 else 2, norm=norm)]
            want += [np.fft.fft(wide, norm=norm), np.fft.ifft(wide, axis=0 if a.ndim < 3 else 2, norm=norm)]
        outs += [numpys.fft(x, 4), numpys.ifft(x, 7), numpys.irfft(x, 5), numpys.irfft(x, 6), numpys.hfft(x, 6)]
        want += [np.fft.fft(wide, 4), np.fft.ifft(wide, 7), np.fft.irfft(wide, 5), np.fft.irfft(wide, 6), np.fft.hfft(wide, 6)]
        if a.shape[-1] > 1:
            outs.append(numpys.irfft(x, norm="ortho"))
            want.append(np.fft.irfft(wide, norm="ortho"))
        if not dtype.startswith("complex"):
            outs += [numpys.rfft(x), numpys.rfft(x, 3, norm="forward"), numpys.ihfft(x, norm="ortho")]
            want += [np.fft.rfft(wide), np.fft.rfft(wide, 3, norm="forward"), np.fft.ihfft(wide, norm="ortho")]
    for g, w in zip(run(outs, given, rtol=1e-4 if single else 1e-12, atol=1e-4 if single else 1e-12), want, strict=True):
        assert g.shape == w.shape
        assert g.dtype == (w.dtype if not single else np.dtype("float32" if w.dtype.kind == "f" else "complex64"))
        np.testing.assert_allclose(g, w, rtol=1e-4 if single else 1e-12, atol=1e-4 if single else 1e-11)


def test_several_axes():
    real, both = values("float64", (3, 4, 5)), values("complex128", (3, 4, 5))
    x, z = variables(real, both)
    pairs = []
    for name in ("fftn", "ifftn", "fft2", "ifft2", "irfft2", "irfftn"):
        ours, theirs = getattr(numpys, name), getattr(np.fft, name)
        pairs += [(ours(z), theirs(both)), (ours(z, axes=(2, 0)), theirs(both, axes=(2, 0))),
                  (ours(z, (2, 6), axes=(0, 1), norm="ortho"), theirs(both, (2, 6), axes=(0, 1), norm="ortho"))]
    for name in ("rfftn", "rfft2"):
        ours, theirs = getattr(numpys, name), getattr(np.fft, name)
        pairs += [(ours(x), theirs(real)), (ours(x, axes=(1, 0), norm="forward"), theirs(real, axes=(1, 0), norm="forward")),
                  (ours(x, (6, 3), axes=(1, 2)), theirs(real, (6, 3), axes=(1, 2)))]
    for axes in (None, 1, (0, -1)):
        pairs += [(numpys.fftshift(x, axes), np.fft.fftshift(real, axes)),
                  (numpys.ifftshift(x, axes), np.fft.ifftshift(real, axes))]
    got = run([o for o, _ in pairs], {x: real, z: both}, rtol=1e-12, atol=1e-12)
    for g, (_, w) in zip(got, pairs, strict=True):
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=1e-11, atol=1e-11)


def test_the_sum_itself():
    a = values("complex128", (2, 7))
    z, = variables(a)
    forth, back = run([numpys.fft(z), numpys.ifft(z)], {z: a}, atol=1e-12)
    np.testing.assert_allclose(forth, naive(a), atol=1e-12)
    np.testing.assert_allclose(back, naive(a, 1) / 7, atol=1e-12)


def test_theano():
    """A batch; every axis but the first; the last axis of results holds pairs."""
    a, b = values("float32", (3, 4, 6)), values("float64", (2, 5))
    x, y = variables(a, b)
    for norm, forth, back in ((None, 1, None), ("ortho", "ortho", "ortho"), ("no_norm", 1, 0)):
        got = run([T.fft.rfft(x, norm), T.fft.rfft(y, norm=norm), T.fft.irfft(T.fft.rfft(x, norm), norm),
                   T.fft.irfft(T.fft.rfft(y, norm), norm, is_odd=True)], {x: a, y: b}, rtol=1e-4, atol=1e-4)
        want = [np.fft.rfftn(a, axes=(1, 2), norm="ortho" if forth == "ortho" else None),
                np.fft.rfftn(b, axes=(1,), norm="ortho" if forth == "ortho" else None)]
        for g, w in zip(got, want, strict=False):
            np.testing.assert_allclose(g[..., 0] + 1j * g[..., 1], w, rtol=1e-4, atol=1e-4)
        size = (24, 5) if back == 0 else (1, 1)
        np.testing.assert_allclose(got[2], a * size[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(got[3], b * size[1], rtol=1e-10, atol=1e-10)
        assert [g.dtype.name for g in got] == ["float32", "float64", "float32", "float64"]
    # an odd extent that is read as an even one: NumPy's irfft
    spectrum = np.fft.rfft(b)
    got, = run([T.fft.irfft(T.fft.rfft(y))], {y: b}, atol=1e-12)
    np.testing.assert_allclose(got, np.fft.irfft(spectrum), atol=1e-12)


@pytest.mark.parametrize("n", [5, 6, 1])
def test_derivatives(n):
    """First, second, forwards and backwards, through each kind; as real functions of the parts of complex values."""
    a, p = RNG.normal(size=(2, n)), RNG.normal(size=(2, 3, n, 2))
    x, q = variables(a, p)
    z = T.complex(q[..., 0], q[..., 1])
    w = RNG.normal(size=(2, 3, n))

    def cost(v):
        return T.sum(T.sin(T.real(v)) + T.cos(T.imag(v)) * T.real(v))

    known = T.specify_shape(x, (2, n))
    central_difference([cost(numpys.rfft(x)), cost(numpys.rfft(known, 4, norm="ortho")),
                        T.sum(T.sin(T.fft.rfft(x)))], {x: a}, rtol=1e-5)
    costs = [cost(numpys.fftn(z, axes=(1, 2)) * w), cost(numpys.ifft(z, axis=1) * w), T.sum(T.sin(numpys.irfft(z, 5))),
             T.sum(T.sin(numpys.irfftn(z, (4, 6), (1, 2)))), T.sum(T.sin(numpys.hfft(z, 4)))]
    if n > 1:
        costs += [T.sum(T.sin(T.fft.irfft(q))), T.sum(T.cos(T.fft.irfft(q, "ortho", True)))]
    central_difference(costs, {q: p}, rtol=1e-5)


def test_r_op_and_vmap():
    a, v = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 6))
    x, t = variables(a, v)
    y = T.fft.rfft(x)
    got, rows, back = run([Rop(y, x, t), T.vmap(lambda r: T.abs(numpys.rfft(r)))(x),
                           T.vmap(lambda r: numpys.irfft(numpys.rfft(r), 6))(x)],
                          {x: a, t: v}, atol=1e-12)
    want = np.fft.rfft(v)
    np.testing.assert_allclose(got[..., 0] + 1j * got[..., 1], want, atol=1e-12)
    np.testing.assert_allclose(rows, np.abs(np.fft.rfft(a)), atol=1e-12)
    np.testing.assert_allclose(back, a, atol=1e-12)


def test_symbolic_extents_and_known_ones():
    a = RNG.normal(size=(2, 9))
    x, n = T.dmatrix("x"), T.lscalar("n")
    f = symbolic.function([x, n], [numpys.fft(x, n), numpys.irfft(numpys.rfft(x), n), numpys.rfftn(x, (n, n)),
                                   numpys.fftfreq(n, 0.5), numpys.rfftfreq(n)])
    for k in (3, 9, 12):
        want = [np.fft.fft(a, k), np.fft.irfft(np.fft.rfft(a), k), np.fft.rfftn(a, (k, k), (0, 1)),
                np.fft.fftfreq(k, 0.5), np.fft.rfftfreq(k)]
        for g, w in zip(f(a, k), want, strict=True):
            np.testing.assert_allclose(g, w, atol=1e-12)
    with pytest.raises(errors.ShapeError):
        f(a, 0)
    known = TensorType("float32", (2, 9))("k")
    assert numpys.rfft(known).type.shape == (2, 5) and numpys.irfft(numpys.rfft(known)).type.shape == (2, 8)
    assert T.fft.irfft(T.fft.rfft(known), is_odd=True).type == TensorType("float32", (2, 9))


def test_shapes_need_no_transform(monkeypatch):
    x = T.dmatrix("x")
    f = symbolic.function([x], [numpys.rfft(x).shape, T.fft.irfft(T.fft.rfft(x)).shape])
    monkeypatch.setattr(RFFT, "reference", None)
    assert [s.tolist() for s in f(np.ones((2, 9)))] == [[2, 5], [2, 8]]


def test_special_values():
    for bad in (np.nan, np.inf):
        a = np.array([1.0, bad, 2.0, 3.0])
        x, = variables(a)
        got, = run([numpys.rfft(x)], {x: a})
        assert not np.isfinite(got).any()
        np.testing.assert_array_equal(got[[0, -1]].real, np.fft.rfft(a)[[0, -1]].real)


def test_numpys_calls():
    a = RNG.normal(size=(2, 6))
    x, = variables(a)
    outs = [np.fft.rfft(x), np.fft.fft(x, axis=0), np.fft.irfft(np.fft.rfft(x), 6, -1, "ortho"), np.fft.fftshift(x),
            np.fft.ifft2(x)]
    want = [np.fft.rfft(a), np.fft.fft(a, axis=0), np.fft.irfft(np.fft.rfft(a), 6, -1, "ortho"), np.fft.fftshift(a),
            np.fft.ifft2(a)]
    for g, w in zip(run(outs, {x: a}, atol=1e-12), want, strict=True):
        np.testing.assert_allclose(g, w, atol=1e-12)


def test_without_scipy(monkeypatch):
    a = values("float32", (3, 4))
    x, = variables(a)
    monkeypatch.setattr(importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    library.cache_clear()
    try:
        assert library() is np.fft
        got = run([numpys.rfft2(x), numpys.irfft2(numpys.rfft2(x)), numpys.ifftn(x)], {x: a}, rtol=1e-5, atol=1e-5)
    finally:
        monkeypatch.undo()
        library.cache_clear()
    for g, w in zip(got, [np.fft.rfft2(a), a, np.fft.ifftn(a)], strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4)
    assert [g.dtype.name for g in got] == ["complex64", "float32", "complex64"]


def test_refusals():
    x, v, z = T.dmatrix("x"), T.dvector("v"), T.zmatrix("z")
    with pytest.raises(ValueError, match="norm must be one of None, 'backward', 'ortho', 'forward', got 'both'"):
        numpys.fft(x, norm="both")
    with pytest.raises(ValueError, match="norm must be one of None, 'ortho', 'no_norm', got 'forward'"):
        T.fft.rfft(x, "forward")
    with pytest.raises(errors.RankError, match="expected a batch of arrays"):
        T.fft.rfft(v)
    with pytest.raises(errors.RankError, match="expected a batch of arrays of pairs"):
        T.fft.irfft(x)
    with pytest.raises(errors.DTypeError, match="expected real values"):
        T.fft.rfft(z)
    with pytest.raises(errors.ShapeError, match="its extent is 2"):
        T.fft.irfft(np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match="is_odd must be True or False"):
        T.fft.irfft(np.ones((2, 3, 2)), is_odd=2)
    with pytest.raises(ValueError, match="at least one element"):
        numpys.fft(x, 0)
    with pytest.raises(ValueError, match="axes must be different ones"):
        numpys.fftn(x, axes=(0, 0))
    with pytest.raises(errors.RankError, match="3 extents are given for 2 dimensions"):
        numpys.fftn(x, (1, 2, 3))
    with pytest.raises(errors.ShapeError, match="is transformed, and has no elements"):
        run([numpys.fft(x)], {x: np.ones((2, 0))}, on_error=True)
    with pytest.raises(errors.ShapeError, match="isn't the half of one of 3"):
        run([IRFFT(1)(z, np.int64(3))], {z: np.ones((2, 5), complex)}, on_error=True)
    with pytest.raises(errors.NotSupported, match="would differ in length"):
        T.vmap(lambda row, n: numpys.irfft(row, n), in_axes=(None, 0))(z[0], T.lvector("n"))
