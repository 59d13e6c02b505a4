"""LU decompositions against SciPy, singular and rectangular matrices, batches, derivatives, equations."""
from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from checks import central_difference, run

import symbolic.tensor as T
from symbolic import errors
from symbolic.tensor import slinalg
from symbolic.types import TensorType

RNG = np.random.default_rng(6)


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow),
                                   pytest.param("complex128", marks=pytest.mark.slow), "complex64"])
def test_factors(dtype):
    tolerance = 1e-4 if dtype in ("float32", "complex64") else 1e-10
    outs, want, values = [], [], {}
    for k, shape in enumerate([(3, 3), (4, 2), (2, 4), (1, 1), (0, 0), (3, 0), (2, 3, 3), (2, 2, 4)]):
        a = RNG.normal(size=shape).astype(dtype)
        if dtype.startswith("complex"):
            a = (a + 1j * RNG.normal(size=shape)).astype(dtype)
        x = TensorType(dtype, (None,) * len(shape))(f"x{k}")
        values[x] = a
        p, low, up = slinalg.lu(x)
        outs += [p, low, up, T.matmul(T.matmul(p, low), up), *slinalg.lu(x, permute_l=True), slinalg.lu(x, p_indices=True)[0]]
        sp, sl, su = scipy.linalg.lu(a) if a.size else (np.eye(shape[0], dtype=dtype), np.zeros((shape[0], min(shape)), dtype),
                                                        np.zeros((min(shape), shape[1]), dtype))
        want += [sp, sl, su, a, sp @ sl, su, np.argmax(sp, -1) if sp.size else np.zeros(shape[:-1], int)]
        if len(shape) == 2 and a.size:
            outs += slinalg.lu_factor(x)
            want += scipy.linalg.lu_factor(a)
    for g, w in zip(run(outs, values, rtol=tolerance, atol=tolerance), want, strict=True):
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)


def test_singular_matrices_have_factors():
    x = T.dmatrix("x")
    for a in (np.zeros((3, 3)), np.ones((3, 3)), np.array([[0.0, 1], [0, 2]])):
        got = run([T.dot(T.dot(*slinalg.lu(x)[:2]), slinalg.lu(x)[2])], {x: a})[0]
        np.testing.assert_allclose(got, a, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 3), (2, 3, 2)])
def test_gradients(shape):
    a = RNG.normal(size=shape) + (3 * np.eye(3) if shape[-2:] == (3, 3) else 0)
    for known in (True, False):
        x = TensorType("float64", shape if known else (None,) * len(shape))("x")
        _, low, up = slinalg.lu(x)
        costs = [T.sum(T.sin(low) * 2) + T.sum(T.cos(up)), T.sum(T.sin(slinalg.lu(x, permute_l=True)[0]))]
        central_difference(costs, {x: a}, rtol=1e-4)


@pytest.mark.parametrize("trans", [0, 1, 2])
def test_equations(trans):
    a, b, c = RNG.normal(size=(3, 3)) + 1j * RNG.normal(size=(3, 3)), RNG.normal(size=3), RNG.normal(size=(2, 3, 4))
    many = RNG.normal(size=(2, 3, 3))
    x, y, z, m = T.zmatrix("x"), T.dvector("y"), T.dtensor3("z"), T.dtensor3("m")
    got = run([slinalg.lu_solve(slinalg.lu_factor(x), y, trans), slinalg.lu_solve(slinalg.lu_factor(m), z, trans),
               slinalg.lu_solve(slinalg.lu_factor(m[0]), z[0], trans)], {x: a, y: b, z: c, m: many}, atol=1e-10)
    of = {0: lambda v: v, 1: lambda v: np.swapaxes(v, -1, -2), 2: lambda v: np.swapaxes(v.conj(), -1, -2)}[trans]
    want = [np.linalg.solve(of(a), b), np.linalg.solve(of(many), c), np.linalg.solve(of(many[0]), c[0])]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-10)
    w = T.dmatrix("w")
    cost = T.sum(T.sin(slinalg.lu_solve(slinalg.lu_factor(w), y, trans)))
    central_difference([cost], {w: many[0] + 3 * np.eye(3), y: b}, rtol=1e-4)


def test_refusals():
    x, v = T.dmatrix("x"), T.dvector("v")
    with pytest.raises(errors.RankError, match="at least 2 dimensions"):
        slinalg.lu(v)
    with pytest.raises(ValueError, match="trans must be 0, 1 or 2"):
        slinalg.lu_solve(slinalg.lu_factor(x), v, 3)
    with pytest.raises(errors.DTypeError, match="pivots must be integers"):
        slinalg.lu_solve((x, v), v)
    with pytest.raises(errors.IndexOutOfBounds, match="pivot 7 is out of bounds for 3 rows"):
        run([slinalg.lu_solve((x, np.array([0, 7, 2])), v)], {x: np.eye(3), v: np.ones(3)}, on_error=True)
    with pytest.raises(errors.LinAlgError, match="singular"):
        run([slinalg.lu_solve(slinalg.lu_factor(x), v)], {x: np.zeros((3, 3)), v: np.ones(3)}, on_error=True)
