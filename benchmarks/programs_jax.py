"""Loops and derivatives by JAX: `lax.scan`, everything jitted, old weights donated."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from programs import ADAM, GRU, LSTM, MAP_GRADIENT_STEPS, MAP_STEPS, RATE, Arrays

Ready = tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]


def put(*arrays: Any) -> list[Any]:
    """Return arrays where JAX wants them."""
    return [jax.device_put(np.asarray(a), jax.devices("cpu")[0]) for a in arrays]


def results(function: Callable[..., Any], arrays: list[Any]) -> Ready:
    """Return a function of its inputs alone."""
    f, given = jax.jit(function), put(*arrays)

    def run() -> Any:
        return jax.block_until_ready(f(*given))

    return run, (lambda: [np.asarray(r) for r in jax.tree.leaves(run())])


def training(loss: Callable[..., Any], weights: list[Any], arrays: list[Any], optimiser: Callable[..., Any], state: Any) -> Ready:
    """Return a training step and the weights after it."""
    def step(weights: Any, state: Any, *inputs: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, *inputs)
        return value, *optimiser(weights, gradients, state)

    compiled, given = jax.jit(step, donate_argnums=(0, 1)), put(*arrays)
    held = [put(*weights), state]

    def run() -> Any:
        value, held[0], held[1] = jax.block_until_ready(compiled(*held, *given))
        return value

    return run, (lambda: (run(), [np.asarray(w) for w in held[0]])[1])


def descent(weights: Any, gradients: Any, state: Any) -> Any:
    """Return the weights after a step of gradient descent."""
    return [w - np.float32(RATE) * g for w, g in zip(weights, gradients, strict=True)], state


def adam(weights: Any, gradients: Any, state: Any) -> Any:
    """Return the weights after a step of Adam."""
    rate, b1, b2, epsilon = (np.float32(ADAM[k]) for k in ("rate", "beta1", "beta2", "epsilon"))
    t, ms, vs = state
    t = t + np.float32(1)
    ms = [b1 * m + (1 - b1) * g for m, g in zip(ms, gradients, strict=True)]
    vs = [b2 * v + (1 - b2) * g * g for v, g in zip(vs, gradients, strict=True)]
    new = [w - rate * (m / (1 - b1 ** t)) / (jnp.sqrt(v / (1 - b2 ** t)) + epsilon)
           for w, m, v in zip(weights, ms, vs, strict=True)]
    return new, (t, ms, vs)


def orbit(r: Any, x: Any, steps: int) -> Any:
    """Return all values of the logistic map."""
    return jax.lax.scan(lambda x, _: (r * x * (1 - x),) * 2, x, None, length=steps)[1]


def rnn(a: Arrays) -> Ready:
    """Train a tanh RNN by gradient descent."""
    def loss(weights: Any, xs: Any, y: Any) -> Any:
        w, u, b, v = weights

        def step(h: Any, x: Any) -> Any:
            h = jnp.tanh(x @ w + h @ u + b)
            return h, h

        return ((jax.lax.scan(step, jnp.zeros((xs.shape[1], u.shape[0]), "float32"), xs)[1] @ v - y) ** 2).mean()

    return training(loss, [a[k] for k in ("W", "U", "b", "V")], [a["xs"], a["y"]], descent, ())


def lstm(a: Arrays) -> Ready:
    """Train an LSTM on characters by Adam."""
    n = LSTM["hidden"]

    def loss(weights: Any, x: Any, y: Any) -> Any:
        e, u, b, v, c = weights

        def step(carry: Any, row: Any) -> Any:
            h, cell = carry
            i, f, g, o = jnp.split(e[row] + h @ u + b, 4, axis=1)
            cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(cell)
            return (h, cell), h

        zeros = jnp.zeros((x.shape[1], n), "float32")
        z = jax.lax.scan(step, (zeros, zeros), x)[1].reshape(-1, n) @ v + c
        return -jnp.take_along_axis(jax.nn.log_softmax(z), y.reshape(-1, 1), axis=1).mean()

    weights = [a[k] for k in ("E", "U", "b", "V", "c")]
    zeros = [np.zeros_like(w) for w in weights]
    state = (*put(np.float32(0)), put(*zeros), put(*zeros))
    return training(loss, weights, [a["x"], a["y"]], adam, state)


def gru(a: Arrays) -> Ready:
    """Train a stack of GRUs by gradient descent; the result is the loss before the step."""
    n = GRU["hidden"]

    def loss(weights: Any, xs: Any, y: Any) -> Any:
        for k in range(GRU["layers"]):
            w, u, b = weights[3 * k:3 * k + 3]

            def step(h: Any, x: Any, w: Any = w, u: Any = u, b: Any = b) -> Any:
                i, s = jnp.split(x @ w + b, 3, axis=1), jnp.split(h @ u, 3, axis=1)
                z, r = jax.nn.sigmoid(i[0] + s[0]), jax.nn.sigmoid(i[1] + s[1])
                h = z * h + (1 - z) * jnp.tanh(i[2] + r * s[2])
                return h, h

            xs = jax.lax.scan(step, jnp.zeros((xs.shape[1], n), "float32"), xs)[1]
        return ((xs[-1] - y) ** 2).mean()

    run, _ = training(loss, [a[f"{c}{k}"] for k in range(GRU["layers"]) for c in "WUb"], [a["xs"], a["y"]], descent, ())
    return run, (lambda: [np.asarray(run())])


def regression(w: Any, x: Any, y: Any) -> Any:
    """Return the mean loss of a logistic regression."""
    z = x @ w
    return (jax.nn.softplus(z) - y * z).mean()


def network(weights: Any, x: Any, y: Any) -> Any:
    """Return the loss of a tanh network."""
    h = x
    for k in range(0, len(weights), 2):
        h = h @ weights[k] + weights[k + 1]
        h = jnp.tanh(h) if k < len(weights) - 2 else h
    return -jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], axis=1).mean()


def product(x: Any, y: Any, *both: Any) -> Any:
    """Return the product of the hessian with a direction: forward over reverse."""
    weights, direction = list(both[:len(both) // 2]), list(both[len(both) // 2:])
    return jax.jvp(lambda w: jax.grad(network)(w, x, y), (weights,), (direction,))[1]


def prepare(name: str, a: Arrays) -> Ready:
    """Return a function that does the work once, and one that returns its results."""
    simple: dict[str, tuple[Callable[..., Any], list[Any]]] = {
        "logistic map": (lambda r, x: orbit(r, x, MAP_STEPS), ["r", "x"]),
        "logistic map, gradient": (jax.grad(lambda r, x: orbit(r, x, MAP_GRADIENT_STEPS).sum(), argnums=(0, 1)), ["r", "x"]),
        "hessian": (jax.hessian(regression), ["w", "x", "y"]),
        "jacobian": (jax.jacobian(lambda x, m: jnp.tanh(m @ x)), ["x", "a"]),
        "hessian-vector product": (product, list(a))}
    if name in simple:
        function, names = simple[name]
        return results(function, [a[k] for k in names])
    return {"rnn": rnn, "lstm": lstm, "gru": gru}[name](a)
