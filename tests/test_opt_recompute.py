"""Values computed a second time instead of kept: the same numbers, less memory, and only where it pays."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.ops.checkpoint import Recompute
from symbolic.opt import recompute

ACTIVATIONS = {"relu": (T.nnet.relu, lambda z: np.maximum(z, 0), lambda z: (np.sign(z) + 1) / 2),
               "leaky": (lambda z: T.nnet.relu(z, 0.1), lambda z: np.where(z > 0, z, 0.1 * z), lambda z: np.where(z > 0, 1, 0.1)),
               "cubic": (lambda z: z - 0.01 * z * z * z, lambda z: z - 0.01 * z ** 3, lambda z: 1 - 0.03 * z ** 2)}


def network(layers, activation, widths):
    rng = np.random.default_rng(0)
    ws = [symbolic.shared(rng.normal(size=(m, n)) / np.sqrt(m)) for m, n in zip(widths[:-1], widths[1:], strict=True)]
    x = T.dmatrix("x")
    h = x
    for w in ws:
        h = activation(T.dot(h, w))
    return x, ws, (h ** 2).sum()


def by_hand(x, ws, function, slope):
    """Return the weights after one step."""
    hs, zs = [x], []
    for w in ws:
        zs.append(hs[-1] @ w)
        hs.append(function(zs[-1]))
    g, new = 2 * hs.pop(), []
    for w, z in zip(ws[::-1], zs[::-1], strict=True):
        g = g * slope(z)
        new.append(w - 0.01 * hs.pop().T @ g)
        g = g @ w.T
    return new[::-1]


def recomputed(f):
    return sum(isinstance(n.op, Recompute) for n in f.maker.fgraph.toposort())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_deep_network_keeps_one_array_of_each_layer(name, monkeypatch, tmp_path):
    activation, function, slope = ACTIVATIONS[name]
    layers, batch = 10, 64
    widths = [16 + k % 3 for k in range(layers + 1)]
    data, found = np.random.default_rng(1).normal(size=(batch, widths[0])), {}
    for fewest in (recompute.FEWEST, 10 ** 6):
        monkeypatch.setattr(recompute, "FEWEST", fewest)
        monkeypatch.setattr(symbolic.config, "cache_dir", str(tmp_path / str(fewest)))
        x, ws, loss = network(layers, activation, widths)
        start = [w.get_value() for w in ws]
        step = symbolic.function([x], loss, updates=[(w, w - 0.01 * g) for w, g in zip(ws, symbolic.grad(loss, ws), strict=True)])
        step(data)
        found[recomputed(step)] = step.memory().arena, [w.get_value() for w in ws]
        for w, want in zip(ws, by_hand(data, start, function, slope), strict=True):
            np.testing.assert_allclose(w.get_value(), want, rtol=1e-9, atol=1e-12)
    assert max(found) >= layers - 4 and min(found) == 0
    less, more = found[max(found)], found[0]
    assert less[0] < 0.7 * more[0]
    for a, b in zip(less[1], more[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_few_values_and_dear_ones_are_kept():
    x, ws, loss = network(3, T.nnet.relu, [8] * 4)
    assert recomputed(symbolic.function([x], symbolic.grad(loss, ws), mode="FAST_COMPILE")) == 0
    x, ws, loss = network(10, T.tanh, [8] * 11)  # tanh's derivative is known from its value: nothing else is kept
    assert recomputed(symbolic.function([x], symbolic.grad(loss, ws), mode="FAST_COMPILE")) == 0
    x, ws, loss = network(10, lambda z: z * T.exp(z), [8] * 11)
    assert recomputed(symbolic.function([x], symbolic.grad(loss, ws), mode="FAST_COMPILE")) == 0


def test_second_derivatives_and_outputs_stay_right():
    x, ws, loss = network(8, lambda z: z * z * z, [3] * 9)
    gradient = symbolic.grad(loss, ws[0])
    curvature = symbolic.grad((gradient ** 2).sum(), ws[-1])
    f = symbolic.function([x], [loss, gradient, curvature])
    g = symbolic.function([x], [loss, gradient, curvature], mode="FAST_COMPILE")
    data = 1 + 0.1 * np.random.default_rng(2).normal(size=(5, 3))
    for a, b in zip(f(data), g(data), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8)
