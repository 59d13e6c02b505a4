"""Everyday work by JAX: everything jitted, old weights and tables donated."""
from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from programs import Arrays
from programs_jax import Ready, adam, put, results, training
from workloads import CHAIN, DEEP, DOTS, KEEP, RANDOM, RATE, RESIDUAL, in_order, moments


def descent(weights: Any, gradients: Any, state: Any) -> Any:
    """Return the weights after a step of gradient descent."""
    return [w - np.float32(RATE) * g for w, g in zip(weights, gradients, strict=True)], state


def regression(weights: Any, x: Any, y: Any) -> Any:
    """Return the loss of a logistic regression."""
    z = x @ weights[0] + weights[1]
    return (jax.nn.softplus(z) - y * z).mean() + np.float32(0.01) * (weights[0] ** 2).sum()


def distance(weights: Any, i: Any, y: Any) -> Any:
    """Return half the sum of squared distances of rows."""
    return np.float32(0.5) * ((weights[0][i] - y) ** 2).sum()


def scatter(a: Arrays) -> Ready:
    """Add to rows of a table."""
    f = jax.jit(lambda e, i, y: e.at[i].add(y), donate_argnums=0)
    table, i, y = put(a["E"], a["i"], a["y"])
    held = [table]

    def run() -> None:
        held[0] = jax.block_until_ready(f(held[0], i, y))

    return run, (lambda: (run(), [np.asarray(held[0])])[1])


def random(a: Arrays, name: str) -> Ready:
    """Draw, with a new key for every call."""
    def draw(key: Any, x: Any) -> Any:
        key, now = jax.random.split(key)
        if name == "normal":
            return key, jax.random.normal(now, RANDOM, "float32")
        return key, jnp.where(jax.random.bernoulli(now, KEEP, x.shape), x / np.float32(KEEP), 0)

    f, (x,) = jax.jit(draw), put(a["x"])
    held = [jax.random.key(1)]

    def run() -> Any:
        held[0], drawn = jax.block_until_ready(f(held[0], x))
        return drawn

    return run, (lambda: moments(np.asarray(run())))


def network(name: str) -> Any:
    """Return the loss of a deep network as a function."""
    layers = (RESIDUAL if name == "residual" else DEEP)["layers"]

    def loss(weights: Any, x: Any, y: Any) -> Any:
        h = x
        for k in range(layers):
            z = h @ weights[2 * k] + weights[2 * k + 1]
            h = h + jax.nn.relu(z) if name == "residual" else jax.nn.relu(z) if k < layers - 1 else z
        return ((h - y) ** 2).mean()

    return loss


def lenet(weights: Any, x: Any, y: Any) -> Any:
    """Return the loss of two convolutions with pooling, and two dense layers."""
    h = x
    for k in range(2):
        z = jax.lax.conv_general_dilated(h, weights[2 * k], (1, 1), "VALID") + weights[2 * k + 1][:, None, None]
        h = jax.nn.relu(jax.lax.reduce_window(z, -np.float32(np.inf), jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"))
    h = jax.nn.relu(h.reshape(h.shape[0], -1) @ weights[4] + weights[5])
    logits = jax.nn.log_softmax(h @ weights[6] + weights[7])
    return -jax.numpy.take_along_axis(logits, y[:, None], 1).mean()


def repeated(x: Any, *factors: Any) -> Any:
    """Return the product of all, from the left."""
    for w in factors:
        x = x @ w
    return x


def prepare(name: str, a: Arrays) -> Ready:
    """Return a function that does the work once, and one that returns its results."""
    if name == "regression":
        return training(regression, [a["w"], a["b"]], [a["x"], a["y"]], descent, ())
    if name == "embedding step":
        return training(distance, [a["E"]], [a["i"], a["y"]], descent, ())
    if name == "gather":
        return results(lambda e, i: e[i], [a["E"], a["i"]])
    if name == "scatter":
        return scatter(a)
    if name in ("normal", "dropout"):
        return random(a, name)
    if name == "affine":
        return results(lambda m, n, c: np.float32(0.5) * c + np.float32(2) * (m @ n), [a["a"], a["b"], a["c"]])
    if name == "dots":
        return results(lambda m, n: repeated(m, *[n] * DOTS), [a["a"], a["b"]])
    if name == "chain":
        return results(repeated, [a["x"], *(a[f"w{k}"] for k in range(CHAIN))])
    ws = in_order(a)
    if name == "lenet":
        return training(lenet, ws, [a["x"], a["y"]], descent, ())
    zeros = [np.zeros_like(w) for w in ws]
    state: Any = (*put(np.float32(0)), put(*zeros), put(*zeros)) if name == "residual" else ()
    return training(network(name), ws, [a["x"], a["y"]], adam if name == "residual" else descent, state)
