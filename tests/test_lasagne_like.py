"""The layers: shapes, parameters, updates against NumPy, and a network that learns."""
from __future__ import annotations

import numpy as np
import pytest

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T


def network():
    lasagne.init.set_rng(np.random.default_rng(0))
    x = T.dmatrix("x")
    hidden = lasagne.layers.DenseLayer(lasagne.layers.InputLayer((None, 4), x), 8, name="hidden")
    out = lasagne.layers.DenseLayer(hidden, 3, nonlinearity=lasagne.nonlinearities.softmax, name="out")
    return x, out


def test_shapes_parameters_and_values():
    x, out = network()
    assert out.output_shape == (None, 3) and len(lasagne.layers.get_all_layers(out)) == 3
    assert [p.name for p in lasagne.layers.get_all_params(out)] == ["hidden.W", "hidden.b", "out.W", "out.b"]
    assert [p.name for p in lasagne.layers.get_all_params(out, regularizable=True)] == ["hidden.W", "out.W"]
    assert lasagne.layers.count_params(out) == 4 * 8 + 8 + 8 * 3 + 3
    values = lasagne.layers.get_all_param_values(out)
    w, b, v, c = values
    a = np.random.default_rng(1).normal(size=(5, 4))
    z = np.maximum(a @ w + b, 0) @ v + c
    want = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    f = symbolic.function([x], lasagne.layers.get_output(out))
    np.testing.assert_allclose(f(a), want, rtol=1e-12)
    lasagne.layers.set_all_param_values(out, [0 * p for p in values])
    np.testing.assert_allclose(f(a), np.full((5, 3), 1 / 3))
    with pytest.raises(ValueError, match="3 values for 4 parameters"):
        lasagne.layers.set_all_param_values(out, values[:3])
    with pytest.raises(ValueError, match=r"hidden.W has shape \(4, 8\), got \(2,\)"):
        lasagne.layers.set_all_param_values(out, [np.ones(2), *values[1:]])


def test_other_inputs_and_flattening():
    _, out = network()
    y = T.dmatrix("y")
    assert symbolic.function([y], lasagne.layers.get_output(out, y))(np.ones((2, 4))).shape == (2, 3)
    image = lasagne.layers.InputLayer((None, 2, 3))
    dense = lasagne.layers.DenseLayer(image, 5)
    got = symbolic.function([image.input_var], lasagne.layers.get_output(dense))(np.ones((4, 2, 3)))
    assert got.shape == (4, 5)
    rows = lasagne.layers.DenseLayer(image, 5, num_leading_axes=2, b=None)
    assert rows.output_shape == (None, 2, 5) and lasagne.layers.count_params(rows) == 15
    with pytest.raises(ValueError, match="must be known"):
        lasagne.layers.DenseLayer((None, None), 5)


def by_hand(rule, p, grads):
    """Return parameters after each gradient."""
    v, m, s, out = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), []
    for t, g in enumerate(grads, 1):
        if rule == "sgd":
            p = p - 0.1 * g
        elif rule == "momentum":
            v = 0.9 * v - 0.1 * g
            p = p + v
        elif rule == "nesterov_momentum":
            v = 0.9 * v - 0.1 * g
            p = p + 0.9 * v - 0.1 * g
        else:
            m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
            p = p - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(s) + 1e-8)
        out.append(p)
    return out


@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov_momentum", "adam"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_are_their_formulas(rule, dtype):
    start = np.array([1.0, -2.0, 3.0], dtype)
    w, x = symbolic.shared(start, "w"), T.vector("x", dtype=dtype)
    step = symbolic.function([x], updates=getattr(lasagne.updates, rule)((w * x).sum(), [w], learning_rate=0.1))
    grads = np.random.default_rng(0).normal(size=(4, 3)).astype(dtype)
    for g, want in zip(grads, by_hand(rule, start.astype("float64"), grads.astype("float64")), strict=True):
        step(g)
        assert w.get_value().dtype == dtype
        np.testing.assert_allclose(w.get_value(), want, rtol=1e-5 if dtype == "float32" else 1e-12)
    with pytest.raises(ValueError, match="must be shared variables"):
        lasagne.updates.sgd(x.sum(), [x], 0.1)


def test_a_network_learns():
    x, out = network()
    y = T.lvector("y")
    p = lasagne.layers.get_output(out)
    loss = lasagne.objectives.aggregate(lasagne.objectives.categorical_crossentropy(p, y))
    updates = lasagne.updates.adam(loss, lasagne.layers.get_all_params(out, trainable=True), learning_rate=0.05)
    train = symbolic.function([x, y], loss, updates=updates)
    right = symbolic.function([x, y], lasagne.objectives.categorical_accuracy(p, y).mean())
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 4))
    b = np.argmax(a @ rng.normal(size=(4, 3)), axis=1)
    for _ in range(200):
        train(a, b)
    assert float(right(a, b)) > 0.95
