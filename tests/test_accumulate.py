"""Products that are added to what is there by one call of a BLAS: the right sums, in place where that may be."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.types import TensorType

DTYPES = ["float32", "float64", "complex64", "complex128"]
SUMS = {
    "C + 2 P": (lambda p, c: c + 2 * p, 1, 2), "C - P": (lambda p, c: c - p, 1, -1),
    "-P": (lambda p, c: -p, 0, -1), "C - -(4 P)": (lambda p, c: c - -(4 * p), 1, 4),
}


def operands(dtype, shapes, seed=0):
    rng = np.random.default_rng(seed)
    found = [rng.normal(size=s) for s in shapes]
    return [(a + 1j * rng.normal(size=a.shape) if dtype[0] == "c" else a).astype(dtype) for a in found]


def calls(f):
    """Return the arguments alpha and beta of the products of a function."""
    lines = f.source[f.source.index("int symbolic_run(symbolic_runtime *rt, const"):].replace("\n", " ").split("multiply(")[1:]
    return [tuple(float(n) for n in line.split(");")[0].split(",")[-3:-1]) for line in lines]


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_with_a_product_are_one_call(dtype):
    a, b, c = (TensorType(dtype, (None, None))(n) for n in "abc")
    for rows, inner, columns in [(5, 7, 4), (1, 3, 6), (6, 3, 1), (2, 0, 3), (0, 2, 3), (1, 1, 1)]:
        x, y, z = operands(dtype, [(rows, inner), (inner, columns), (rows, columns)])
        for name, (make, _, _) in SUMS.items():
            if (rows, inner, columns) != (5, 7, 4) and name not in ("C + 2 P", "-P"):
                continue
            f = symbolic.function([a, b, c], make(T.dot(a, b), c), on_unused_input="ignore")
            want = make(x @ y, z)
            got = f(x, y, z)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=1e-4 if dtype in ("float32", "complex64") else 1e-12, err_msg=name)
            assert calls(f) == [tuple(float(n) for n in (SUMS[name][2], SUMS[name][1]))], name
            assert "void k_" not in f.source or min(rows, columns) == 1, name


def test_of_transposes_vectors_and_chains():
    a, b, c, v = T.dmatrix("a"), T.dmatrix("b"), T.dmatrix("c"), T.dvector("v")
    x, y, z, u = operands("float64", [(4, 4), (4, 4), (4, 4), (4,)])
    cases = [(c - 0.1 * T.dot(a.T, b), z - 0.1 * x.T @ y), (T.dot(T.dot(a, b) - c, c), (x @ y - z) @ z),
             (v + 2 * T.dot(a, v), u + 2 * x @ u), (v - T.dot(v, a.T), u - u @ x.T), (T.dot(a, b) + T.dot(b, c), x @ y + y @ z),
             (c.T - T.dot(a, b), z.T - x @ y), (c * c - T.dot(a, b), z * z - x @ y), (a - T.dot(a, a), x - x @ x)]
    f = symbolic.function([a, b, c, v], [g for g, _ in cases])
    for k, (got, (_, want)) in enumerate(zip(f(x, y, z, u), cases, strict=True)):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14, err_msg=str(k))


def test_a_weights_step_needs_no_memory_and_no_pass():
    x, g = T.fmatrix("x"), T.fmatrix("g")
    xs, gs, w0 = operands("float32", [(6, 4), (6, 3), (4, 3)])
    w = symbolic.shared(w0, "w")
    step = symbolic.function([x, g], [], updates=[(w, w - np.float32(0.1) * T.dot(x.T, g))])
    step(xs, gs)
    np.testing.assert_allclose(w.get_value(), w0 - 0.1 * xs.T @ gs, rtol=1e-5, atol=1e-6)
    assert step.memory().arena == 0 and step.program.loaded.inplace == (True,) and "memcpy(p" not in step.source
    square = symbolic.shared(np.eye(3) + 1, "square")  # an operand of the product can't be written over by it
    symbolic.function([], [], updates=[(square, square - T.dot(square, square))])()
    np.testing.assert_allclose(square.get_value(), (np.eye(3) + 1) - (np.eye(3) + 1) @ (np.eye(3) + 1))


def test_what_doesnt_fit_is_left_alone():
    a, b, c, s = T.dmatrix("a"), T.dmatrix("b"), T.dmatrix("c"), T.dscalar("s")
    x, y, z = operands("float64", [(3, 3)] * 3)
    p = T.dot(a, b)
    cases = [(0.5 * c + 2 * p, 0.5 * z + 2 * (x @ y)), (p - c, x @ y - z),
             (c - s * p, z - 0.0 * (x @ y)), (0 * p + c, z), (p * p + c, (x @ y) ** 2 + z), (T.exp(p) - c, np.exp(x @ y) - z),
             (p + 1, x @ y + 1), (p + c[:1], x @ y + z[:1]), (p + c, x @ y + z), (p, x @ y)]
    f = symbolic.function([a, b, c, s], [g for g, _ in cases])
    for k, (got, (_, want)) in enumerate(zip(f(x, y, z, 0.0), cases, strict=True)):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14, err_msg=str(k))
    assert calls(f) == [(1.0, 0.0)]
    bad = np.full((3, 3), np.inf)
    assert np.isnan(symbolic.function([a, b, c], 0.0 * T.dot(a, b) + c)(bad, np.eye(3), z)).all()
    nans = symbolic.function([a, b, c], 0.5 * c - T.dot(a, b))(x, y, np.where(np.eye(3) > 0, np.nan, z))
    np.testing.assert_array_equal(np.isnan(nans), np.eye(3) > 0)


def test_what_is_scaled_needs_no_copy():
    a, b, c = T.dmatrices("abc")
    x, y, z = operands("float64", [(3, 3)] * 3)
    f = symbolic.function([a, b, c], 0.5 * T.exp(c) + 2 * T.dot(a, b))  # the exponential is nobody else's
    np.testing.assert_allclose(f(x, y, z), 0.5 * np.exp(z) + 2 * (x @ y), rtol=1e-12)
    g = symbolic.function([a, b, c], 0.5 * T.dot(a, c) + 2 * T.dot(a, b))
    np.testing.assert_allclose(g(x, y, z), 0.5 * x @ z + 2 * (x @ y), rtol=1e-12)
    assert calls(g) == [(1.0, 0.0), (2.0, 0.5)] and "memcpy(p" not in g.source
