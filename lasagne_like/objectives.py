"""Losses, one value for each item, and what joins them."""
from __future__ import annotations

from typing import Any

import symbolic.tensor as T


def categorical_crossentropy(predictions: Any, targets: Any) -> Any:
    """Return ``-log`` of the probability of the target, (n,).

    Parameters
    ----------
    predictions : Variable, (n, classes)
        Probabilities.
    targets : Variable, (n,) of int or (n, classes)
        Classes, or their distribution.
    """
    return T.nnet.categorical_crossentropy(predictions, targets)


def squared_error(a: Any, b: Any) -> Any:
    """Return ``(a - b)**2``, elementwise."""
    return T.sqr(a - b)


def categorical_accuracy(predictions: Any, targets: Any) -> Any:
    """Return whether the likeliest class is the target, (n,) of bool; targets as for the cross-entropy."""
    if targets.ndim == predictions.ndim:
        targets = T.argmax(targets, axis=-1)
    return T.eq(T.argmax(predictions, axis=-1), targets)


def aggregate(loss: Any, weights: Any = None, mode: str = "mean") -> Any:
    """Return a scalar loss.

    Parameters
    ----------
    loss : Variable
    weights : Variable, optional
        Factors of the elements.
    mode : {'mean', 'sum', 'normalized_sum'}
        The last divides the sum by the sum of `weights`.
    """
    if weights is not None:
        loss = loss * weights
    if mode == "mean":
        return loss.mean()
    if mode == "sum":
        return loss.sum()
    if mode == "normalized_sum":
        if weights is None:
            raise ValueError("aggregate: mode='normalized_sum' needs weights")
        return loss.sum() / weights.sum()
    raise ValueError(f"aggregate: mode must be 'mean', 'sum' or 'normalized_sum', got {mode!r}")
