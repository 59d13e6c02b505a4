"""Activations: elementwise compositions with Theano's names, values and conventions at 0."""
from __future__ import annotations

from typing import Any

from symbolic.graph import Variable, as_tensor_variable
from symbolic.ops import functions as f

sigmoid = f.sigmoid
softplus = f.softplus
tanh = f.tanh


def relu(x: Any, alpha: Any = 0) -> Variable:
    """Return `x` where positive, else ``alpha * x``.

    Parameters
    ----------
    x : Variable
    alpha : float or Variable
        Slope for negative arguments; it broadcasts.

    Returns
    -------
    Variable
        The derivative at 0 is the mean of both slopes, as in Theano.

    Examples
    --------
    >>> relu(as_tensor_variable([-1.0, 0.5, 2.0]), alpha=0.1).type
    TensorType(float64, (3,))
    """
    x = as_tensor_variable(x)
    if isinstance(alpha, (int, float)) and alpha == 0:
        return f.relu(x)
    return f.relu(x) - alpha * f.relu(-x)


def elu(x: Any, alpha: Any = 1) -> Variable:
    """Return `x` where positive, else ``alpha * (exp(x) - 1)``.

    References
    ----------
    Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear units", 2015.

    Examples
    --------
    >>> elu(as_tensor_variable([-1.0, 0.5, 2.0])).type
    TensorType(float64, (3,))
    """
    x = as_tensor_variable(x)
    # the arm that isn't taken must not overflow, or its gradient is 0*inf
    return f.switch(f.gt(x, 0), x, alpha * f.expm1(f.minimum(x, 0)))


def selu(x: Any) -> Variable:
    """Return the scaled :func:`elu` that keeps mean 0 and variance 1.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", 2017.

    Examples
    --------
    >>> selu(as_tensor_variable([-1.0, 0.5, 2.0])).type
    TensorType(float64, (3,))
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def softsign(x: Any) -> Variable:
    """Return ``x / (1 + |x|)``.

    Examples
    --------
    >>> softsign(as_tensor_variable([-1.0, 0.5, 2.0])).type
    TensorType(float64, (3,))
    """
    x = as_tensor_variable(x)
    return x / (1 + f.abs_(x))


def hard_sigmoid(x: Any) -> Variable:
    """Return ``clip(0.2*x + 0.5, 0, 1)``, a cheap and rough :func:`sigmoid`.

    Examples
    --------
    >>> hard_sigmoid(as_tensor_variable([-1.0, 0.5, 2.0])).type
    TensorType(float64, (3,))
    """
    return f.clip(0.2 * as_tensor_variable(x) + 0.5, 0, 1)


def ultra_fast_sigmoid(x: Any) -> Variable:
    """Return Theano's piecewise rational approximation of :func:`sigmoid`, within 0.03.

    Examples
    --------
    >>> ultra_fast_sigmoid(as_tensor_variable([-1.0, 0.5, 2.0])).type
    TensorType(float64, (3,))
    """
    half = 0.5 * as_tensor_variable(x)
    size = f.abs_(half)
    near = 1.5 * size / (1 + size)
    middle = 0.935409070603099 + 0.0458812946797165 * (size - 1.7)
    z = f.switch(f.lt(size, 1.7), near, f.switch(f.lt(size, 3), middle, 0.99505475368673))
    return 0.5 * (f.switch(f.ge(half, 0), z, -z) + 1)
