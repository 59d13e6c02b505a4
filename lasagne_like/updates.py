"""Update rules: dicts from shared variables to their next values, for ``function(..., updates=)``."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import symbolic
import symbolic.tensor as T

Updates = dict[Any, Any]


def get_or_compute_grads(loss_or_grads: Any, params: Sequence[Any]) -> list[Any]:
    """Return gradients: as given, or of a loss.

    Raises
    ------
    ValueError
        If the number of gradients isn't that of the parameters, or a parameter isn't shared.
    """
    for p in params:
        if not isinstance(p, symbolic.SharedVariable):
            raise ValueError(f"params must be shared variables, got {p}; get_all_params(..., trainable=True) gives them")
    if isinstance(loss_or_grads, (list, tuple)):
        if len(loss_or_grads) != len(params):
            raise ValueError(f"got {len(loss_or_grads)} gradients for {len(params)} parameters")
        return list(loss_or_grads)
    return list(symbolic.grad(loss_or_grads, list(params)))


def _like(p: Any, x: Any) -> Any:
    """Return a number, or a variable, in the dtype of a parameter."""
    return x.astype(p.dtype) if isinstance(x, symbolic.Variable) else np.asarray(x, p.dtype)


def _zeros(p: Any, name: str) -> Any:
    value = p.get_value(borrow=True)
    return symbolic.shared(np.zeros_like(value), f"{p.name}_{name}", broadcastable=p.broadcastable)


def sgd(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any) -> Updates:
    """Return ``p - learning_rate * gradient`` for each parameter."""
    grads = get_or_compute_grads(loss_or_grads, params)
    return {p: p - _like(p, learning_rate) * g for p, g in zip(params, grads, strict=True)}


def apply_momentum(updates: Updates, params: Sequence[Any] | None = None, momentum: Any = 0.9) -> Updates:
    """Return `updates` whose steps accumulate: ``v = momentum*v + step; p = p + v``."""
    out = dict(updates)
    for p in list(updates) if params is None else params:
        v = _zeros(p, "velocity")
        x = _like(p, momentum) * v + updates[p]
        out[v] = x - p
        out[p] = x
    return out


def momentum(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any, momentum: Any = 0.9) -> Updates:
    """Return gradient descent with momentum."""
    return apply_momentum(sgd(loss_or_grads, params, learning_rate), momentum=momentum)


def apply_nesterov_momentum(updates: Updates, params: Sequence[Any] | None = None, momentum: Any = 0.9) -> Updates:
    """Return `updates` with Nesterov's momentum: the step is taken from where the velocity leads."""
    out = dict(updates)
    for p in list(updates) if params is None else params:
        v = _zeros(p, "velocity")
        x = _like(p, momentum) * v + updates[p] - p
        out[v] = x
        out[p] = _like(p, momentum) * x + updates[p]
    return out


def nesterov_momentum(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any, momentum: Any = 0.9) -> Updates:
    """Return gradient descent with Nesterov's momentum."""
    return apply_nesterov_momentum(sgd(loss_or_grads, params, learning_rate), momentum=momentum)


def adam(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 0.001, beta1: float = 0.9, beta2: float = 0.999,
         epsilon: float = 1e-8) -> Updates:
    """Return Adam's updates.

    References
    ----------
    Kingma and Ba (2014), Adam: a method for stochastic optimization, algorithm 1 with its efficient order of computation.
    """
    grads = get_or_compute_grads(loss_or_grads, params)
    count = symbolic.shared(np.asarray(0, symbolic.config.floatX), "adam_step")
    t = count + np.asarray(1, count.dtype)
    out: Updates = {count: t}
    for p, g in zip(params, grads, strict=True):
        b1, b2, one = (np.asarray(x, p.dtype) for x in (beta1, beta2, 1))
        steps = t.astype(p.dtype)
        rate = _like(p, learning_rate) * T.sqrt(one - b2**steps) / (one - b1**steps)
        m, v = _zeros(p, "adam_m"), _zeros(p, "adam_v")
        out[m] = b1 * m + (one - b1) * g
        out[v] = b2 * v + (one - b2) * T.sqr(g)
        out[p] = p - rate * out[m] / (T.sqrt(out[v]) + np.asarray(epsilon, p.dtype))
    return out
