"""Long chains: nothing recurses, and time grows with their length, not faster."""
from __future__ import annotations

import sys
import time

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T


def elementwise_chain(n):
    x = T.dvector("x")
    y = x
    for k in range(n):
        y = T.sin(y) if k % 4 == 0 else y * 1.0001 + 0.001 if k % 4 == 2 else T.tanh(y)
    return x, y


def chain_in_numpy(x, n):
    for k in range(n):
        x = np.sin(x) if k % 4 == 0 else x * 1.0001 + 0.001 if k % 4 == 2 else np.tanh(x)
    return x


def product_chain(n):
    x, w = T.dvector("x"), T.dmatrix("w")
    y = x
    for _ in range(n):
        y = T.dot(w, y)
    return x, w, y


@pytest.mark.slow
def test_twenty_thousand_elementwise_nodes():
    x, y = elementwise_chain(20_000)
    f = symbolic.function([x], [y, T.grad(y.sum(), x)])
    a = np.array([0.3, -1.0])
    value, slope = f(a)
    np.testing.assert_allclose(value, chain_in_numpy(a, 20_000), rtol=1e-9)
    assert slope.shape == (2,) and np.isfinite(slope).all()


def test_derivatives_of_a_chain():
    x, y = elementwise_chain(300)
    a = np.array([0.3, -1.0])
    _, slope = symbolic.function([x], [y, T.grad(y.sum(), x)])(a)
    h = 1e-6
    np.testing.assert_allclose(slope, (chain_in_numpy(a + h, 300) - chain_in_numpy(a - h, 300)) / (2 * h), rtol=1e-4)


@pytest.mark.slow
def test_two_thousand_products():
    x, w, y = product_chain(2_000)
    f = symbolic.function([x, w], [y, *T.grad(y.sum(), [x, w])])
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    a = np.ones(3)
    value, gx, gw = f(a, q)
    power = np.linalg.matrix_power(q, 2_000)
    np.testing.assert_allclose(value, power @ a, rtol=1e-8)
    np.testing.assert_allclose(gx, power.T @ np.ones(3), rtol=1e-8)
    along = np.random.default_rng(1).normal(size=(3, 3))
    h = 1e-8
    up, down = (np.linalg.matrix_power(q + s * h * along, 2_000) @ a for s in (1, -1))
    np.testing.assert_allclose((gw * along).sum(), (up - down).sum() / (2 * h), rtol=1e-3)


@pytest.mark.slow
def test_time_is_linear_in_length():
    """The stages before the compiler, and the compiler: four times as long a chain takes no more than eight times as long."""
    def seconds(n):
        x, y = elementwise_chain(n)
        began = time.process_time()
        symbolic.function([x], [y, T.grad(y.sum(), x)], mode="FAST_COMPILE")
        return time.process_time() - began

    seconds(500)
    short, long = min(seconds(2_000) for _ in range(3)), min(seconds(8_000) for _ in range(3))
    assert long < 8 * short, f"{short:.2f} s for 2,000 nodes, {long:.2f} s for 8,000"


def test_the_recursion_limit_is_not_needed():
    limit = sys.getrecursionlimit()
    x, y = elementwise_chain(5_000)
    sys.setrecursionlimit(400)
    try:
        g = T.grad(y.sum(), x)
        f = symbolic.function([x], g, mode="FAST_COMPILE")
        assert np.isfinite(f(np.array([0.1]))).all()
    finally:
        sys.setrecursionlimit(limit)
