"""Whole nets on the emulated device against the CPU: the demo, an LSTM, LeNet; and how few launches a step takes."""
from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import lasagne_like as nn
import symbolic
import symbolic.tensor as T
from symbolic.config import config

DEVICE = "cuda:emulated"


def both(build):
    """Return what `build` makes on the device and on the CPU: a training step and its weights, each."""
    made = []
    for device in (DEVICE, "cpu"):
        with config.change_flags(device=device):
            made.append(build())
    return made


def agree(weights, others, rtol=1e-5):
    for a, b in zip(weights, others, strict=True):
        got, want = a.get_value(), b.get_value()
        assert np.abs(got - want).max() <= rtol * max(np.abs(want).max(), 1e-3), a.name


def test_the_demo_learns_the_same(monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("rich")
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))
    sys.modules.pop("digits_mlp", None)
    digits_mlp = importlib.import_module("digits_mlp")
    start = digits_mlp.start_weights(np.random.default_rng(0))
    (there, predict, own), (here, _, want) = both(lambda: digits_mlp.build(start))
    rng = np.random.default_rng(3)
    for _ in range(30):
        x, y = rng.uniform(size=(32, 64)).astype("float32"), rng.integers(0, 10, 32)
        np.testing.assert_allclose(there(x, y), here(x, y), rtol=1e-5)
    agree(own, want)
    n = there.counts
    print(f"demo, a step: {n}")
    assert n.launches <= 13 and n.products == 5 and n.copies_in == 2 and n.bytes_in == x.nbytes + y.nbytes
    assert n.bytes_out == 4 + 8, "the loss, and whether a check has failed"
    assert predict(x).shape == (32,)


def lstm(hidden: int = 20):
    """Return the training step of an LSTM over (time, batch, features), and its weights."""
    x, y, rng = T.ftensor3("x"), T.fmatrix("y"), np.random.default_rng(0)
    shapes = [(5, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,), (hidden, 3)]
    weights = [symbolic.shared((rng.normal(size=s) * 0.3).astype("float32"), f"w{k}") for k, s in enumerate(shapes)]
    w, u, b, v = weights

    def step(now, h, c):
        z = T.dot(now, w) + T.dot(h, u) + b
        i, f, o, g = (z[:, k * hidden:(k + 1) * hidden] for k in range(4))
        c = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
        return T.nnet.sigmoid(o) * T.tanh(c), c

    zero = T.zeros((x.shape[1], hidden), "float32")
    (states, _), _ = symbolic.scan(step, x, [zero, zero])
    loss = T.sqr(T.dot(states[-1], v) - y).sum()
    updates = [(p, p - np.float32(0.01) * g) for p, g in zip(weights, T.grad(loss, weights), strict=True)]
    return symbolic.function([x, y], loss, updates=updates), weights


def test_an_lstm_learns_the_same_in_one_graph():
    """JAX's compiled step of this net has 23 fusions in the forward loop, 13 and 2 products in the backward one."""
    (there, own), (here, want) = both(lstm)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 4, 5)).astype("float32"), rng.normal(size=(4, 3)).astype("float32")
    for _ in range(6):
        np.testing.assert_allclose(there(x, y), here(x, y), rtol=1e-5)
    agree(own, want)
    assert there.counts.graphs == 1 and there.counts.copies_in == 2 and there.counts.bytes_out == 4
    forward, backward = (s.inner[0].steps for s in there.steps() if s.kind == "loop")
    count = [sum(len(s.kernels) + (s.kind == "gemm") for s in steps) for steps in (forward, backward)]
    print(f"LSTM: launches in a step of the forward loop {count[0]}, of the backward one {count[1]}")
    assert count[0] <= 23 and count[1] <= 15


def lenet():
    """Return a LeNet's training step, and its weights."""
    x, y = T.ftensor4("x"), T.lvector("y")
    nn.random.set_rng(np.random.RandomState(4))
    net = nn.layers.InputLayer((None, 1, 12, 12), x)
    net = nn.layers.Conv2DLayer(net, 4, 3, nonlinearity=nn.nonlinearities.rectify)
    net = nn.layers.MaxPool2DLayer(net, 2)
    net = nn.layers.Conv2DLayer(net, 6, 2, nonlinearity=nn.nonlinearities.rectify)
    net = nn.layers.MaxPool2DLayer(net, 2)
    net = nn.layers.DenseLayer(net, 10, nonlinearity=nn.nonlinearities.softmax)
    loss = nn.objectives.categorical_crossentropy(nn.layers.get_output(net), y).mean()
    weights = nn.layers.get_all_params(net, trainable=True)
    return symbolic.function([x, y], loss, updates=nn.updates.momentum(loss, weights, 0.1)), weights


def test_lenet_learns_the_same():
    with config.change_flags(floatX="float32"):
        (there, own), (here, want) = both(lenet)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(4, 1, 12, 12)).astype("float32"), rng.integers(0, 10, 4)
    for _ in range(5):
        np.testing.assert_allclose(there(x, y), here(x, y), rtol=1e-4)
    agree(own, want, 1e-4)
    assert there.counts.host_steps == 0, "convolution and pooling are kernels"
    print(f"LeNet, a step: {there.counts}")
