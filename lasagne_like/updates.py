"""Update rules: dicts from shared variables to their next values, for ``function(..., updates=)``."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import symbolic
import symbolic.tensor as T
from lasagne_like.utils import norm_axes_of

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


def adagrad(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 1.0, epsilon: float = 1e-6) -> Updates:
    """Return steps divided by the root of the sum of all squared gradients so far.

    References
    ----------
    Duchi et al. (2011), Adaptive subgradient methods for online learning and stochastic optimization.
    """
    out: Updates = {}
    for p, g in zip(params, get_or_compute_grads(loss_or_grads, params), strict=True):
        total = _zeros(p, "adagrad")
        out[total] = total + T.sqr(g)
        out[p] = p - _like(p, learning_rate) * g / T.sqrt(out[total] + _like(p, epsilon))
    return out


def rmsprop(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 1.0, rho: Any = 0.9, epsilon: float = 1e-6
            ) -> Updates:
    """Return steps divided by the root of a running mean of squared gradients.

    Parameters
    ----------
    loss_or_grads, params, learning_rate
        As for `sgd`.
    rho : float or Variable
        How much of the mean stays at each step.
    epsilon : float
        Added to the mean, under the root.

    References
    ----------
    Tieleman and Hinton (2012), Neural networks for machine learning, lecture 6.5.
    """
    out: Updates = {}
    for p, g in zip(params, get_or_compute_grads(loss_or_grads, params), strict=True):
        mean, keep = _zeros(p, "rmsprop"), _like(p, rho)
        out[mean] = keep * mean + (1 - keep) * T.sqr(g)
        out[p] = p - _like(p, learning_rate) * g / T.sqrt(out[mean] + _like(p, epsilon))
    return out


def adadelta(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 1.0, rho: Any = 0.95, epsilon: float = 1e-6
             ) -> Updates:
    """Return steps in the units of the parameters: scaled by the ratio of running means of squared steps and gradients.

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method, algorithm 1.
    """
    out: Updates = {}
    for p, g in zip(params, get_or_compute_grads(loss_or_grads, params), strict=True):
        squares, steps = _zeros(p, "adadelta_gradients"), _zeros(p, "adadelta_steps")
        keep, eps = _like(p, rho), _like(p, epsilon)
        out[squares] = keep * squares + (1 - keep) * T.sqr(g)
        step = g * T.sqrt(steps + eps) / T.sqrt(out[squares] + eps)
        out[p] = p - _like(p, learning_rate) * step
        out[steps] = keep * steps + (1 - keep) * T.sqr(step)
    return out


def _counted(name: str) -> tuple[Any, Any]:
    """Return a counter of steps and its next value."""
    count = symbolic.shared(np.asarray(0, symbolic.config.floatX), f"{name}_step")
    return count, count + np.asarray(1, count.dtype)


def adam(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999,
         epsilon: float = 1e-8) -> Updates:
    """Return Adam's updates.

    Parameters
    ----------
    loss_or_grads, params, learning_rate
        As for `sgd`.
    beta1, beta2 : float or Variable
        How much of the running means of gradients and of their squares stays at each step.
    epsilon : float
        Added to the root.

    References
    ----------
    Kingma and Ba (2014), Adam: a method for stochastic optimization, algorithm 1 with its efficient order of computation.
    """
    return _adam(loss_or_grads, params, learning_rate, beta1, beta2, epsilon)


def amsgrad(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999,
            epsilon: float = 1e-8) -> Updates:
    """Return Adam's updates with the largest mean of squares so far in the place of the last one.

    References
    ----------
    Reddi et al. (2018), On the convergence of Adam and beyond.
    """
    return _adam(loss_or_grads, params, learning_rate, beta1, beta2, epsilon, largest=True)


def adamw(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999,
          epsilon: float = 1e-8, weight_decay: Any = 0.01) -> Updates:
    """Return Adam's updates, and parameters that shrink by ``learning_rate * weight_decay``, beside the gradient's means.

    References
    ----------
    Loshchilov and Hutter (2019), Decoupled weight decay regularization, algorithm 2.
    """
    return _adam(loss_or_grads, params, learning_rate, beta1, beta2, epsilon, decay=weight_decay)


def _adam(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any, beta1: Any, beta2: Any, epsilon: float,
          largest: bool = False, decay: Any = None) -> Updates:
    grads = get_or_compute_grads(loss_or_grads, params)
    count, t = _counted("adam")
    out: Updates = {count: t}
    for p, g in zip(params, grads, strict=True):
        b1, b2, one, steps = _like(p, beta1), _like(p, beta2), np.asarray(1, p.dtype), t.astype(p.dtype)
        rate = _like(p, learning_rate) * T.sqrt(one - b2**steps) / (one - b1**steps)
        m, v = _zeros(p, "adam_m"), _zeros(p, "adam_v")
        out[m] = b1 * m + (one - b1) * g
        out[v] = squares = b2 * v + (one - b2) * T.sqr(g)
        if largest:
            most = _zeros(p, "amsgrad_v")
            out[most] = squares = T.maximum(most, squares)
        start = p if decay is None else p - _like(p, learning_rate) * _like(p, decay) * p
        out[p] = start - rate * out[m] / (T.sqrt(squares) + _like(p, epsilon))
    return out


def adamax(loss_or_grads: Any, params: Sequence[Any], learning_rate: Any = 0.002, beta1: Any = 0.9, beta2: Any = 0.999,
           epsilon: float = 1e-8) -> Updates:
    """Return Adam's variant with the infinity norm.

    References
    ----------
    Kingma and Ba (2014), Adam: a method for stochastic optimization, algorithm 2.
    """
    grads = get_or_compute_grads(loss_or_grads, params)
    count, t = _counted("adamax")
    out: Updates = {count: t}
    for p, g in zip(params, grads, strict=True):
        b1, b2, one, steps = _like(p, beta1), _like(p, beta2), np.asarray(1, p.dtype), t.astype(p.dtype)
        m, u = _zeros(p, "adamax_m"), _zeros(p, "adamax_u")
        out[m] = b1 * m + (one - b1) * g
        out[u] = T.maximum(b2 * u, abs(g))
        out[p] = p - _like(p, learning_rate) / (one - b1**steps) * out[m] / (out[u] + _like(p, epsilon))
    return out


def norm_constraint(tensor_var: Any, max_norm: Any, norm_axes: Any = None, epsilon: float = 1e-7) -> Any:
    """Return a variable whose units are scaled down where the norm of their incoming weights is above `max_norm`.

    Parameters
    ----------
    tensor_var : Variable
    max_norm : number or Variable
    norm_axes : sequence of int, optional
        What the norm sums over: by default axis 0 of a matrix, all but the first of 3 or more axes.
    epsilon : float
        Added to the norm that is divided by.

    Raises
    ------
    ValueError
        For fewer than 2 axes, without `norm_axes`.

    Examples
    --------
    >>> x = T.dmatrix("x")
    >>> symbolic.function([x], norm_constraint(x, 1.0))([[3.0], [4.0]]).round(3).tolist()
    [[0.6], [0.8]]
    """
    if norm_axes is None and tensor_var.ndim < 2:
        raise ValueError(f"norm_constraint: {tensor_var.ndim} axes have no default; pass norm_axes")
    axes = norm_axes_of(tensor_var.ndim, norm_axes)
    norms = T.sqrt(T.sum(T.sqr(tensor_var), axis=axes, keepdims=True))
    target = T.clip(norms, np.asarray(0, norms.dtype), _like(norms, max_norm))
    return tensor_var * (target / (_like(norms, epsilon) + norms))


def total_norm_constraint(tensor_vars: Sequence[Any], max_norm: Any, epsilon: float = 1e-7, return_norm: bool = False) -> Any:
    """Return variables scaled down together, where the norm of all of them is above `max_norm`.

    Parameters
    ----------
    tensor_vars : list of Variable
    max_norm : number or Variable
    epsilon : float
        Added to the norm that is divided by.
    return_norm : bool
        Return the norm as well.

    Returns
    -------
    list of Variable, or (list of Variable, Variable)
        Of the dtypes of `tensor_vars`.

    References
    ----------
    Pascanu et al. (2012), On the difficulty of training recurrent neural networks.
    """
    squares = [T.sum(T.sqr(v)) for v in tensor_vars]
    norm = T.sqrt(sum(squares[1:], squares[0]))
    scale = T.clip(norm, np.asarray(0, norm.dtype), _like(norm, max_norm)) / (_like(norm, epsilon) + norm)
    scaled = [v * scale.astype(v.dtype) for v in tensor_vars]
    return (scaled, norm) if return_norm else scaled
