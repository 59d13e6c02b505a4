"""Everyday work by PyTensor, inputs trusted."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from programs import Arrays
from programs_pytensor import Ready, adam, results, training, variables
from workloads import CHAIN, DEEP, DOTS, KEEP, RATE, RESIDUAL, in_order, moments


def descent(weights: list[Any], loss: Any) -> list[Any]:
    """Return the updates of gradient descent."""
    return [(w, w - np.float32(RATE) * g) for w, g in zip(weights, pytensor.grad(loss, weights), strict=True)]


def embedding(a: Arrays, name: str) -> Ready:
    """Read, add to, or train rows of a table."""
    table = pytensor.shared(a["E"], borrow=False)
    i, y = variables(a, ("i", "y"))
    if name == "gather":
        return results([i], [table[i]], [a["i"]])
    if name == "scatter":
        return training([i, y], [], [(table, pt.inc_subtensor(table[i], y))], [table], [a["i"], a["y"]])
    # as its documentation says: the gradient of the rows, and inc_subtensor
    rows = table[i]
    loss = np.float32(0.5) * ((rows - y) ** 2).sum()
    g = pytensor.grad(loss, rows)
    return training([i, y], loss, [(table, pt.inc_subtensor(rows, -np.float32(RATE) * g))], [table], [a["i"], a["y"]])


def random(a: Arrays, name: str) -> Ready:
    """Draw, with the generator as an update."""
    x, rng = pt.fmatrix("x"), pytensor.shared(np.random.default_rng(1))
    if name == "normal":
        new, drawn = pt.random.normal(0, 1, size=x.shape, rng=rng, dtype="float32", return_next_rng=True)
    else:
        new, u = pt.random.uniform(0, 1, size=x.shape, rng=rng, dtype="float32", return_next_rng=True)
        drawn = x * (u < np.float32(KEEP)) / np.float32(KEEP)
    f = pytensor.function([x], drawn, updates=[(rng, new)], trust_input=True)
    return (lambda: f(a["x"])), (lambda: moments(f(a["x"])))


def products(a: Arrays, name: str) -> Ready:
    """Multiply matrices."""
    if name == "affine":
        m, n, c = variables(a, ("a", "b", "c"))
        return results([m, n, c], [np.float32(0.5) * c + np.float32(2) * pt.dot(m, n)], [a["a"], a["b"], a["c"]])
    if name == "dots":
        m, n = pt.tensor("a", shape=(8, 8), dtype="float32"), pt.tensor("b", shape=(8, 8), dtype="float32")
        out = m
        for _ in range(DOTS):
            out = pt.dot(out, n)
        return results([m, n], [out], [a["a"], a["b"]])
    out, *ws = inputs = variables(a, ("x", *(f"w{k}" for k in range(CHAIN))))
    for w in ws:
        out = pt.dot(out, w)
    return results(inputs, [out], list(a.values()))


def network(a: Arrays, name: str) -> Ready:
    """Train a deep network."""
    x, y = variables(a, ("x", "y"))
    weights, h = [pytensor.shared(w) for w in in_order(a)], x
    layers = (RESIDUAL if name == "residual" else DEEP)["layers"]
    for k in range(layers):
        z = pt.dot(h, weights[2 * k]) + weights[2 * k + 1]
        h = h + pt.maximum(z, np.float32(0)) if name == "residual" else pt.maximum(z, np.float32(0)) if k < layers - 1 else z
    loss = ((h - y) ** 2).mean()
    return training([x, y], loss, adam(weights, loss) if name == "residual" else descent(weights, loss), weights,
                    [a["x"], a["y"]])


def prepare(name: str, a: Arrays) -> Ready:
    """Return a function that does the work once, and one that returns its results."""
    if name == "regression":
        x, y = variables(a, ("x", "y"))
        w, b = pytensor.shared(a["w"]), pytensor.shared(a["b"])
        z = pt.dot(x, w) + b
        loss = (pt.softplus(z) - y * z).mean() + np.float32(0.01) * (w ** 2).sum()
        return training([x, y], loss, descent([w, b], loss), [w, b], [a["x"], a["y"]])
    if name in ("gather", "scatter", "embedding step"):
        return embedding(a, name)
    if name in ("normal", "dropout"):
        return random(a, name)
    return network(a, name) if name in ("deep", "residual") else products(a, name)
