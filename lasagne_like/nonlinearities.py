"""Functions that layers apply to their activations."""
from __future__ import annotations

from typing import Any

import symbolic.tensor as T


def linear(x: Any) -> Any:
    """Return `x`."""
    return x


def rectify(x: Any) -> Any:
    """Return ``max(0, x)``."""
    return T.nnet.relu(x)


def sigmoid(x: Any) -> Any:
    """Return ``1 / (1 + exp(-x))``."""
    return T.nnet.sigmoid(x)


def softmax(x: Any) -> Any:
    """Return exp(x), normalised over the last axis."""
    return T.nnet.softmax(x)


def softplus(x: Any) -> Any:
    """Return ``log(1 + exp(x))``."""
    return T.nnet.softplus(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return T.tanh(x)


identity = linear
