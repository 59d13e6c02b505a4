"""Rewrites of products of matrices: diagonal factors scale, transposes come last."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.fgraph import capture
from symbolic.ops.linalg import Dot
from symbolic.ops.shape import DimShuffle
from symbolic.opt.diagonal import scale_by_diagonals
from symbolic.opt.transposes import flip_factors

RNG = np.random.default_rng(3)
MODES = ["FAST_RUN", "FAST_COMPILE"]


def products(inputs, outputs, rewrite):
    graph = rewrite(capture(inputs, outputs))
    graph.verify()
    return [n for n in graph.nodes if isinstance(n.op, Dot)]


def compare(inputs, outputs, wanted, *arrays):
    for mode in MODES:
        for a, b in zip(symbolic.function(inputs, outputs, mode=mode, on_unused_input="ignore")(*arrays), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_diagonal_factors_scale_rows_and_columns():
    a, b, v = T.dmatrix("a"), T.dmatrix("b"), T.dvector("v")
    n, unit = a.shape[0], T.eye(a.shape[0])
    outs = [T.dot(unit, a), T.dot(b, unit), T.dot(unit * v, a), T.dot(b, unit * v.dimshuffle(0, "x")), T.dot(T.diag(v), a),
            T.dot(-(unit * b.T[:, :n]) * 2.0, a), T.dot((unit * v).T, a), T.dot(unit * v, v)]
    assert products([a, b, v], outs, scale_by_diagonals) == []
    x, y, w = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 3)), RNG.normal(size=3)
    wanted = [x, y, w[:, None] * x, y * w, w[:, None] * x, -2 * np.diag(y)[:, None] * x, w[:, None] * x, w * w]
    compare([a, b, v], outs, wanted, x, y, w)


def test_what_is_not_diagonal_is_multiplied():
    a, v = T.dmatrix("a"), T.dvector("v")
    n = a.shape[0]
    outs = [T.dot(T.eye(n, k=1), a), T.dot(T.eye(n, n + 1)[:, :n], a), T.dot(T.eye(n) + v, a), T.dot(T.exp(T.eye(n)), a)]
    assert len(products([a, v], outs, scale_by_diagonals)) == 4
    x, w = RNG.normal(size=(3, 2)), RNG.normal(size=3)
    compare([a, v], outs, [np.eye(3, k=1) @ x, x, (np.eye(3) + w) @ x, np.exp(np.eye(3)) @ x], x, w)


@pytest.mark.parametrize("mode", MODES)
def test_extents_that_differ_are_still_refused(mode):
    a, v, n = T.dmatrix("a"), T.dvector("v"), T.lscalar("n")
    for y in (T.dot(T.eye(n), a), T.dot(T.eye(n) * v, a), T.dot(a, T.eye(n))):
        f = symbolic.function([a, v, n], y, mode=mode, on_unused_input="ignore")
        assert f(np.ones((3, 3)), np.ones(3), 3).shape == (3, 3)
        with pytest.raises(errors.ShapeError, match=r"inner extents differ: \d and \d"):
            f(np.ones((2, 2)), np.ones(3), 3)
        with pytest.raises(errors.ShapeError, match=r"inner extents differ: \d and \d"):
            f(np.ones((1, 1)), np.ones(3), 3)


def test_a_jacobian_multiplies_no_unit_vectors():
    m, x = T.dmatrix("m"), T.dvector("x")
    y = symbolic.jacobian(T.tanh(T.dot(m, x)) * 3.0, x)
    graph = scale_by_diagonals(capture([m, x], [y]))
    assert [n.outputs[0].ndim for n in graph.nodes if isinstance(n.op, Dot)] == [1]
    a, b = RNG.normal(size=(4, 3)), RNG.normal(size=3)
    compare([m, x], [y], [3 * (1 - np.tanh(a @ b) ** 2)[:, None] * a], a, b)


def test_transposes_come_last():
    a, b, v = T.dmatrix("a"), T.dmatrix("b"), T.dvector("v")
    y = T.dot(T.exp(a.T) * v * 2.0 + v.dimshuffle(0, "x"), b)
    product, = products([a, b, v], [y], flip_factors)
    assert isinstance(product.inputs[0].owner.op, DimShuffle)
    x, z, w = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=3)
    compare([a, b, v], [y], [(np.exp(x.T) * w * 2 + w[:, None]) @ z], x, z, w)
    kept, = products([a, b, v], [T.dot(T.exp(a.T) * b, b)], flip_factors)  # b would have to be read across
    assert not isinstance(kept.inputs[0].owner.op, DimShuffle)
