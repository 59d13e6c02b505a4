"""Everyday work by this project; extents aren't known beforehand, but for the 8 by 8 matrices and the filters."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from programs import Arrays
from programs_symbolic import Ready, adam, results, training, variables
from workloads import CHAIN, DEEP, DOTS, KEEP, RATE, RESIDUAL, in_order, moments

import symbolic
import symbolic.tensor as T
from symbolic.tensor.shared_randomstreams import RandomStreams


def descent(weights: list[Any], loss: Any) -> list[Any]:
    """Return the updates of gradient descent."""
    return [(w, w - np.float32(RATE) * g) for w, g in zip(weights, symbolic.grad(loss, weights), strict=True)]


def regression(a: Arrays) -> Ready:
    """Fit a logistic regression."""
    x, y = variables(a, ("x", "y"))
    w, b = symbolic.shared(a["w"], "w"), symbolic.shared(a["b"], "b")
    p = T.nnet.sigmoid(T.dot(x, w) + b)
    loss = T.nnet.binary_crossentropy(p, y).mean() + np.float32(0.01) * (w ** 2).sum()
    return training([x, y], loss, descent([w, b], loss), [w, b], [a["x"], a["y"]])


def embedding(a: Arrays, name: str) -> Ready:
    """Read, add to, or train rows of a table."""
    table = symbolic.shared(a["E"], "E")
    i, y = variables(a, ("i", "y"))
    if name == "gather":
        f = symbolic.function([i], table[i])
        return (lambda: f(a["i"])), (lambda: [f(a["i"])])
    if name == "scatter":
        g = symbolic.function([i, y], [], updates=[(table, T.inc_subtensor(table[i], y))])
        return (lambda: g(a["i"], a["y"])), (lambda: (g(a["i"], a["y"]), [table.get_value()])[1])
    loss = np.float32(0.5) * ((table[i] - y) ** 2).sum()
    return training([i, y], loss, descent([table], loss), [table], [a["i"], a["y"]])


def random(a: Arrays, name: str) -> Ready:
    """Draw."""
    x, rng = T.fmatrix("x"), RandomStreams(1)
    drawn = rng.normal(x.shape, dtype="float32")
    if name == "dropout":
        drawn = x * T.cast(rng.binomial(x.shape, p=KEEP), "float32") / np.float32(KEEP)
    f = symbolic.function([x], drawn)
    return (lambda: f(a["x"])), (lambda: moments(f(a["x"])))


def products(a: Arrays, name: str) -> Ready:
    """Multiply matrices."""
    if name == "affine":
        m, n, c = variables(a, ("a", "b", "c"))
        return results([m, n, c], [np.float32(0.5) * c + np.float32(2) * T.dot(m, n)], [a["a"], a["b"], a["c"]])
    if name == "dots":
        m, n = T.tensor("float32", (8, 8), name="a"), T.tensor("float32", (8, 8), name="b")
        out = m
        for _ in range(DOTS):
            out = T.dot(out, n)
        return results([m, n], [out], [a["a"], a["b"]])
    out, *ws = inputs = variables(a, ("x", *(f"w{k}" for k in range(CHAIN))))
    for w in ws:
        out = T.dot(out, w)
    return results(inputs, [out], list(a.values()))


def network(a: Arrays, name: str) -> Ready:
    """Train a deep network."""
    x, y = variables(a, ("x", "y"))
    weights, h = [symbolic.shared(w) for w in in_order(a)], x
    layers = (RESIDUAL if name == "residual" else DEEP)["layers"]
    for k in range(layers):
        z = T.dot(h, weights[2 * k]) + weights[2 * k + 1]
        h = h + T.nnet.relu(z) if name == "residual" else T.nnet.relu(z) if k < layers - 1 else z
    loss = ((h - y) ** 2).mean()
    updates = adam(weights, symbolic.grad(loss, weights)) if name == "residual" else descent(weights, loss)
    return training([x, y], loss, updates, weights, [a["x"], a["y"]])


def lenet(a: Arrays) -> Ready:
    """Train two convolutions with pooling, and two dense layers."""
    x, y = variables(a, ("x", "y"))
    weights, h = [symbolic.shared(w) for w in in_order(a)], x
    for k in range(2):
        z = T.nnet.conv2d(h, weights[2 * k], filter_shape=a[f"w{k}"].shape, filter_flip=False)
        z += weights[2 * k + 1].dimshuffle("x", 0, "x", "x")
        h = T.nnet.relu(T.signal.pool.pool_2d(z, (2, 2), ignore_border=True))
    h = T.nnet.relu(T.dot(h.flatten(2), weights[4]) + weights[5])
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(T.dot(h, weights[6]) + weights[7]), y).mean()
    return training([x, y], loss, descent(weights, loss), weights, [a["x"], a["y"]])


def prepare(name: str, a: Arrays) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns its results."""
    if name == "regression":
        return regression(a)
    if name in ("gather", "scatter", "embedding step"):
        return embedding(a, name)
    if name in ("normal", "dropout"):
        return random(a, name)
    if name == "lenet":
        return lenet(a)
    return network(a, name) if name in ("deep", "residual") else products(a, name)
