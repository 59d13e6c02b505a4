"""Special functions that SciPy computes: values, dtypes, broadcasting, derivatives, errors."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run
from scipy import special, stats

import symbolic.tensor as T
from symbolic import errors

TWO = {"gammainc": special.gammainc, "gammaincc": special.gammaincc, "jv": special.jv, "iv": special.iv,
       "gammal": lambda k, x: special.gammainc(k, x) * special.gamma(k),
       "gammau": lambda k, x: special.gammaincc(k, x) * special.gamma(k)}
ONE = {"j0": special.j0, "j1": special.j1, "i0": special.i0, "i1": special.i1}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values(dtype):
    k, x = T.TensorType(dtype, (None, 1))("k"), T.TensorType(dtype, (None,))("x")
    ks, xs = np.array([[0.5], [2.0], [7.0]], dtype), np.array([0.0, 0.1, 1.0, 5.0, 30.0, np.inf, np.nan], dtype)
    outs = [*(getattr(T, n)(k, x) for n in TWO), *(getattr(T, n)(x) for n in ONE), T.chi2sf(x, k), T.complex_from_polar(k, x[:5])]
    with np.errstate(all="ignore"):
        want = [*(w(ks, xs) for w in TWO.values()), *(w(xs) for w in ONE.values()),
                stats.chi2.sf(xs, ks), ks * np.exp(1j * xs[:5])]
        for got, w in zip(run(outs, {k: ks, x: xs}), want, strict=True):
            assert got.dtype == (dtype if got.dtype.kind == "f" else {"float32": "complex64"}.get(dtype, "complex128"))
            np.testing.assert_allclose(got, w, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-12)


def test_gradients():
    x = T.dvector("x")
    a = np.array([0.3, 1.2, 4.0])
    costs = [T.sum(getattr(T, n)(2.5, x)) for n in TWO] + [T.sum(getattr(T, n)(x)) for n in ONE] + [T.sum(T.chi2sf(x, 3.0))]
    central_difference(costs, {x: a}, rtol=1e-5)


def test_refusals():
    k, x = T.dscalar("k"), T.dvector("x")
    with pytest.raises(errors.NullTypeGradError, match="closed form"):
        T.grad(T.sum(T.gammainc(k, x)), k)
    with pytest.raises(errors.DTypeError, match="j0: expected real values"):
        T.j0(T.zvector())
    with pytest.raises(errors.ShapeError, match="don't broadcast"):
        T.jv(np.zeros(3), np.zeros(2))
