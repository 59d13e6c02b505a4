"""NumPy's own functions and operators on symbolic variables, iteration, and what can't be done without a value."""
from __future__ import annotations

import numpy as np
import pytest
from checks import run

import symbolic.tensor as T
from symbolic import errors
from symbolic.graph import Variable

A = np.random.default_rng(0).uniform(0.1, 0.9, (3, 3))
CASES = """
np.exp(x); np.add(x, 1); a * x; x * a; a - x; np.float64(2) / x; a @ x; x @ a; a // x; a % x; a ** x; divmod(a, x)[0]
a < x; a >= x; a == x; a != x; np.not_equal(x, a); np.float32(1) + x; -np.positive(x)
np.sum(x, axis=0); np.sum(a=x); np.prod(x, 1); np.mean(x, axis=1, keepdims=True); np.std(x, 0, None, None, 1); np.var(x, ddof=1)
np.max(x, axis=1); np.amin(x, 0); np.ptp(x, axis=1); np.argmax(x, 1); np.any(x > 0.5); np.all(x > 0.5, axis=0)
np.add.reduce(x); np.multiply.reduce(x, axis=1); np.maximum.reduce(x, axis=1); np.add.accumulate(x, axis=1)
np.maximum.accumulate(x); np.multiply.outer(x, a[0]); np.logical_and(x, 1); np.logical_not(x > 0.5); np.logical_or.reduce(x > 0.8)
np.concatenate([x, a]); np.concatenate((a, x), axis=1); np.stack([x, a], axis=1); np.where(x > 0.5, x, 0); np.clip(x, 0.3, 0.5)
np.clip(x, a_min=0.3, a_max=0.5); np.reshape(x, (9,)); np.transpose(x); np.transpose(x, (1, 0)); np.squeeze(x[None]); np.ravel(x)
np.swapaxes(x, 0, 1); np.moveaxis(x, 0, 1); np.broadcast_to(x, (2, 3, 3)); np.tile(x, 2); np.repeat(x, 2, axis=1)
np.roll(x, 1, axis=1); np.split(x, [1, 2], axis=1)[1]; np.dot(x, a); np.matmul(a, x); np.tensordot(x, x, axes=[[0], [0]])
np.outer(x, x); np.trace(x); np.diagonal(x); np.tril(x); np.cumsum(x, 1); np.diff(x); np.sort(x, 0); np.argsort(x, axis=1)
np.median(x, axis=0); np.unique(x); np.take(x, [0, 1], axis=1); np.nonzero(x > 0.5)[0]; np.full_like(x, 2.0); np.zeros_like(x)
np.ones_like(x, dtype="float32"); np.maximum(x, 0.5); np.arctan2(x, a); np.size(x); np.copy(x); np.round(x); np.real(x + 1j)
np.conjugate(x); np.degrees(x); np.sign(x); np.linalg.inv(x + 4 * np.eye(3)); np.linalg.det(x); np.linalg.norm(x)
np.linalg.solve(x + 4 * np.eye(3), a); np.isnan(x); np.square(x); np.searchsorted(np.sort(x[0]), x); np.einsum("ij,kj->ik", x, a)
np.pad(x, ((1, 0), (0, 2))); np.flip(x, 1); np.hstack([x, a]); np.expand_dims(x, 0); np.nansum(x); np.inner(x, a)
"""
CALLS = [part.strip() for line in CASES.split("\n") for part in line.split(";") if part.strip()]


def test_numpy_functions_build_nodes():
    x = T.dmatrix("x")
    outs = [eval(call, {"np": np, "a": A, "x": x}) for call in CALLS]
    for call, v in zip(CALLS, outs, strict=True):
        assert isinstance(v, Variable), call
    for call, got in zip(CALLS, run(outs, {x: A}, rtol=1e-9, atol=1e-12), strict=True):
        want = np.asarray(eval(call, {"np": np, "a": A, "x": A}))
        assert got.shape == want.shape, call
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, err_msg=call)


def test_in_place_operators_on_arrays_give_new_variables():
    x, a = T.dmatrix("x"), A.copy()
    a += x
    assert isinstance(a, Variable)
    np.testing.assert_allclose(run([a], {x: A})[0], 2 * A)


@pytest.mark.parametrize("call,text", [
    ("np.unwrap(x)", r"np.unwrap: .*isn't defined for symbolic variables, x \(float64"),
    ("np.sin(x, out=a)", "out= can't take a symbolic result"),
    ("np.sum(x, where=a > 0.5)", r"np.sum: the argument where= isn't supported(.|\n)*takes x, axis, dtype, keepdims"),
    ("np.round(x, 2)", "the argument decimals= isn't supported"),
    ("np.add(x, 1, dtype='float32')", r"np.add: dtype= isn't supported(.|\n)*T.cast"),
    ("np.add.at(x, 0, 1)", "np.add.at: "), ("np.frexp(x)", "np.frexp: "), ("np.cumsums(x)", "cumsums"),
    ("np.split(x, 3)", "np.split: the number of equal parts"), ("np.asarray(x)", r"has no elements(.|\n)*T.stack"),
    ("np.array([x, 1])", "has no elements|float"), ("np.linalg.schur(x)", "schur"), ("np.unwrap(x)", r"np.unwrap.*isn't defined"),
    ("float(x)", r"float: .*no value until the function runs, x \(float64"), ("int(x[0, 0])", "int: .*no value"),
    ("range(x.shape[0])", r"index: .*no value(.|\n)*scan's"), ("bool(x > 0)", r"no truth value(.|\n)*T.switch"),
    ("len(x)", r"len: the length is known only when the function runs, x \(float64 \(\?, \?\)\)(.|\n)*x.shape\[0\]"),
    ("list(x)", r"iteration: the length is known only(.|\n)*builtin sum(.|\n)*T.sum"), ("sum(x)", "builtin sum"),
    ("len(x[0, 0])", "is a scalar, which has no length"), ("max(x)", "iteration: the length"), ("x in [a]", "no truth value"),
])
def test_refusals(call, text):
    with pytest.raises((TypeError, AttributeError), match=text):
        eval(call, {"np": np, "a": A, "x": T.dmatrix("x")})


def test_known_lengths():
    x, v = T.TensorType("float64", (3, None))("x"), T.dmatrix("v")
    assert len(x) == 3 and len(v.shape) == 2
    rows, (m, n) = list(x), v.shape
    total = sum(x)
    got = run([*rows, m, n, total, *T.specify_shape(v, (2, None))], {x: A, v: A[:2]})
    for g, w in zip(got, [*A, 2, 3, A.sum(0), *A[:2]], strict=True):
        np.testing.assert_allclose(g, w)


def test_shapes_through_numpy():
    x = T.dmatrix("x")
    assert np.ndim(x) == 2 and len(np.shape(x)) == 2
    with pytest.raises(errors.RankError, match="axis 2 is out of range"):
        np.sum(x, axis=2)
