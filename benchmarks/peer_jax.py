"""JAX: jitted, inputs committed to the CPU device beforehand, old weights donated, every call waited for."""
from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cases import RATE, Case

jax.config.update("jax_enable_x64", True)


def conv(x: Any, w: Any) -> Any:
    """Return the correlation of images with filters, which keeps their size."""
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME")


def conv_grads(x: Any, w: Any, u: Any) -> Any:
    """Return its gradients in images and filters."""
    return jax.vjp(conv, x, w)[1](u)


m = SimpleNamespace(conv=conv, conv_grads=conv_grads,
                    exp=jnp.exp, tanh=jnp.tanh, sqrt=jnp.sqrt, log=jnp.log, sin=jnp.sin, cos=jnp.cos,
                    var=lambda x, axis: x.var(axis=axis),
                    logsumexp=lambda x: jax.nn.logsumexp(x, axis=1))


def describe() -> str:
    """Return version and BLAS."""
    return f"JAX {jax.__version__} on {jax.devices()[0]}, matrix products by XLA (Eigen, oneDNN), threads by core affinity"


def loss_of(z: Any, y: Any) -> Any:
    """Return the mean cross-entropy."""
    return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean()


def network(weights: list[Any], h: Any, y: Any) -> Any:
    """Return the loss of the ReLU network."""
    for i in range(0, len(weights), 2):
        h = h @ weights[i] + weights[i + 1]
        if i < len(weights) - 2:
            h = jax.nn.relu(h)
    return loss_of(h, y)


def prepare(case: Case) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns the state or results after it."""
    inputs = [jax.device_put(a, jax.devices("cpu")[0]) for a in case.inputs()]
    if case.kind != "train":
        body = case.body
        f = jax.jit(jax.value_and_grad(loss_of) if body is None else lambda *xs: body(m, *xs))
        return (lambda: jax.block_until_ready(f(*inputs))), (lambda: [np.asarray(r) for r in f(*inputs)])

    def step(weights: list[Any], velocities: list[Any], x: Any, y: Any) -> tuple[Any, ...]:
        loss, gradients = jax.value_and_grad(network)(weights, x, y)
        changes = [-RATE * g for g in gradients]
        if case.momentum:
            velocities = [case.momentum * v + c for v, c in zip(velocities, changes, strict=True)]
            changes = velocities
        return loss, [w + c for w, c in zip(weights, changes, strict=True)], velocities

    compiled = jax.jit(step, donate_argnums=(0, 1))
    weights = [jax.device_put(w, jax.devices("cpu")[0]) for w in case.start()]
    state = [weights, [jnp.zeros_like(w) for w in weights] if case.momentum else []]

    def run() -> None:
        _, state[0], state[1] = jax.block_until_ready(compiled(state[0], state[1], *inputs))

    return run, (lambda: [np.asarray(w) for w in state[0]])
