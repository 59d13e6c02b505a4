"""Broadcasting that the compiler doesn't know of: all pairs of shapes, values and gradients; and where nothing may broadcast."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import run

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.forward import hessian_vector_product
from symbolic.types import TensorType

EXTENTS = (0, 1, 3)


def shapes(rank):
    return itertools.product(EXTENTS, repeat=rank)


def summed_to(g, shape):
    """Add up what broadcasting from `shape` had repeated."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(a for a, n in enumerate(shape) if n == 1 and g.shape[a] != 1), keepdims=True).reshape(shape)


def function_of(ranks, mode):
    """A function of unknown extents: values, and gradients of a sum that differs from element to element."""
    x, y = (TensorType("float64", (None,) * r)(n) for r, n in zip(ranks, "xy", strict=True))
    z = T.exp(x * 0.1) * y + T.maximum(x, y) - T.switch(x > y, x, 2.0 * y)
    weights = T.sin(T.cumsum(T.ones_like(T.flatten(z)))).reshape(z.shape, ndim=z.ndim)
    cost = T.sum(z * weights)
    return symbolic.function([x, y], [z, weights, *T.grad(cost, [x, y])], mode=mode)


def check(f, a, b):
    try:
        both = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        with pytest.raises(errors.ShapeError):
            f(a, b)
        return 0
    z, w, gx, gy = f(a, b)
    wide_a, wide_b = np.broadcast_to(a, both), np.broadcast_to(b, both)
    np.testing.assert_allclose(z, np.exp(wide_a * 0.1) * wide_b + np.maximum(wide_a, wide_b)
                               - np.where(wide_a > wide_b, wide_a, 2 * wide_b), rtol=1e-12)
    assert z.shape == both
    larger = wide_a > wide_b
    by_a = w * 0.1 * np.exp(wide_a * 0.1) * wide_b  # what maximum and switch bring cancels
    by_b = w * (np.exp(wide_a * 0.1) + ~larger - 2.0 * ~larger)
    np.testing.assert_allclose(gx, summed_to(by_a, a.shape), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gy, summed_to(by_b, b.shape), rtol=1e-9, atol=1e-12)
    assert gx.shape == a.shape and gy.shape == b.shape
    return 1


def pairs(ranks):
    rng = np.random.default_rng(4)
    for p, q in itertools.product(shapes(ranks[0]), shapes(ranks[1])):
        yield rng.normal(size=p), rng.normal(size=q)


RANKS = [(p, q) for p in range(4) for q in range(4)]


@pytest.mark.parametrize("ranks", RANKS, ids=str)
def test_all_pairs_interpreted(ranks):
    f = function_of(ranks, "FAST_COMPILE")
    assert sum(check(f, a, b) for a, b in pairs(ranks)) >= 1


@pytest.mark.parametrize("ranks", [r for r in RANKS if max(r) < 3], ids=str)
def test_all_pairs_compiled(ranks):
    f = function_of(ranks, "FAST_RUN")
    assert sum(check(f, a, b) for a, b in pairs(ranks)) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [r for r in RANKS if max(r) == 3], ids=str)
def test_all_pairs_of_rank_three_compiled(ranks):
    f = function_of(ranks, "FAST_RUN")
    assert sum(check(f, a, b) for a, b in pairs(ranks)) >= 1


def test_a_sample_of_pairs_of_rank_three_compiled():
    f = function_of((3, 3), "FAST_RUN")
    given = list(pairs((3, 3)))
    chosen = [given[k] for k in np.random.default_rng(7).permutation(len(given))[:20]]
    assert sum(check(f, a, b) for a, b in chosen) >= 1


# ------------------------------------------------------------------------- evaluation points don't broadcast


def test_a_point_of_another_shape_is_refused():
    """One of extent 1 would count as many times as it was repeated."""
    x, v, m = T.dvector("x"), T.dvector("v"), T.dmatrix("m")
    y = T.sin(x) * 2.0
    cost = T.sum(x**3)
    outs = [T.Rop(y, x, v), T.Lop(y, x, v), hessian_vector_product(cost, x, v)]
    a, b = np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0])
    rop, lop, hvp = run(outs, {x: a, v: b})
    np.testing.assert_allclose(rop, 2 * np.cos(a) * b)
    np.testing.assert_allclose(lop, 2 * np.cos(a) * b)
    np.testing.assert_allclose(hvp, 6 * a * b)
    for out, name in zip(outs, ("Rop", "Lop", "Rop"), strict=True):
        for wrong in (np.ones(1), np.ones(2), np.ones(0)):
            text = rf"{name}: an evaluation point must have the shape of its variable: on axis 0 it has extent {len(wrong)}, "
            with pytest.raises(errors.ShapeError, match=text + "the variable 3"):
                run([out], {x: a, v: wrong}, on_error=True)
    # matrices of which one axis is 1; a variable that is itself 1
    w = T.dmatrix("w")
    out = T.Rop(T.tanh(m), m, w)
    with pytest.raises(errors.ShapeError, match="on axis 1 it has extent 1, the variable 3"):
        run([out], {m: np.ones((2, 3)), w: np.ones((2, 1))}, on_error=True)
    with pytest.raises(errors.ShapeError, match="on axis 1 it has extent 3, the variable 1"):
        run([out], {m: np.ones((2, 1)), w: np.ones((2, 3))}, on_error=True)
    assert run([out], {m: np.zeros((2, 1)), w: np.ones((2, 1))})[0].shape == (2, 1)


def test_a_point_known_to_be_of_another_shape_is_refused_at_once():
    x = TensorType("float64", (3,))("x")
    with pytest.raises(errors.ShapeError, match=r"Rop: .*extent 1, the variable 3(.|\n)*broadcast_to"):
        T.Rop(T.sin(x), x, np.ones(1))
    with pytest.raises(errors.ShapeError, match="Lop: .*extent 2, the variable 3"):
        T.Lop(T.sin(x), x, np.ones(2))
    y = T.col("y")
    out = T.Rop(T.sin(y), y, T.dmatrix("v"))
    assert out.type.shape == (None, 1)
