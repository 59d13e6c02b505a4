"""Functions that layers apply to their activations."""
from __future__ import annotations

from typing import Any

import symbolic.tensor as T


def sigmoid(x: Any) -> Any:
    """Return ``1 / (1 + exp(-x))``."""
    return T.nnet.sigmoid(x)


def softmax(x: Any) -> Any:
    """Return exp(x), normalised over the last axis."""
    return T.nnet.softmax(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return T.tanh(x)


class ScaledTanH:
    """``scale_out * tanh(scale_in * x)``.

    Parameters
    ----------
    scale_in, scale_out : float

    References
    ----------
    LeCun et al. (1998), Efficient BackProp: 2/3 and 1.7159 keep unit variance.

    Examples
    --------
    >>> str(ScaledTanH(2 / 3, 1.7159)(T.dscalar("x")))
    'mul'
    """

    def __init__(self, scale_in: float = 1, scale_out: float = 1) -> None:
        self.scale_in, self.scale_out = scale_in, scale_out

    def __call__(self, x: Any) -> Any:
        return T.tanh(x * self.scale_in) * self.scale_out


ScaledTanh = ScaledTanH


def rectify(x: Any) -> Any:
    """Return ``max(0, x)``."""
    return T.nnet.relu(x)


class LeakyRectify:
    """``x`` above 0, ``leakiness * x`` below.

    Parameters
    ----------
    leakiness : float or Variable

    References
    ----------
    Maas et al. (2013), Rectifier nonlinearities improve neural network acoustic models.
    """

    def __init__(self, leakiness: Any = 0.01) -> None:
        self.leakiness = leakiness

    def __call__(self, x: Any) -> Any:
        return T.nnet.relu(x, self.leakiness)


leaky_rectify = LeakyRectify()  # leakiness 0.01
very_leaky_rectify = LeakyRectify(1 / 3)


def elu(x: Any) -> Any:
    """Return ``x`` above 0, ``exp(x) - 1`` below (Clevert et al. 2015)."""
    return T.nnet.elu(x)


class SELU:
    """``scale`` times (``x`` above 0, ``scale_neg * (exp(x) - 1)`` below).

    Parameters
    ----------
    scale, scale_neg : float

    References
    ----------
    Klambauer et al. (2017), Self-normalizing neural networks.
    """

    def __init__(self, scale: float = 1, scale_neg: float = 1) -> None:
        self.scale, self.scale_neg = scale, scale_neg

    def __call__(self, x: Any) -> Any:
        return self.scale * T.nnet.elu(x, self.scale_neg)


selu = SELU(scale=1.0507009873554804934193349852946, scale_neg=1.6732632423543772848170429916717)


def softplus(x: Any) -> Any:
    """Return ``log(1 + exp(x))``."""
    return T.nnet.softplus(x)


def linear(x: Any) -> Any:
    """Return `x`."""
    return x


identity = linear
