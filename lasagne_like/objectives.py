"""Losses, one value for each item, and what joins them."""
from __future__ import annotations

import warnings
from typing import Any

import symbolic.tensor as T
from lasagne_like.utils import as_theano_expression


def align_targets(predictions: Any, targets: Any) -> tuple[Any, Any]:
    """Return both, a vector of targets as a column where predictions are known to be one, and the reverse."""
    if getattr(predictions, "broadcastable", None) == (False, True) and getattr(targets, "ndim", None) == 1:
        targets = as_theano_expression(targets).dimshuffle(0, "x")
    elif getattr(targets, "broadcastable", None) == (False, True) and getattr(predictions, "ndim", None) == 1:
        predictions = as_theano_expression(predictions).dimshuffle(0, "x")
    return predictions, targets


def binary_crossentropy(predictions: Any, targets: Any) -> Any:
    """Return ``-t * log(p) - (1 - t) * log(1 - p)``, elementwise.

    Parameters
    ----------
    predictions : Variable
        In (0, 1), sigmoids for example.
    targets : Variable
        In [0, 1]; a vector fits a column of predictions.
    """
    predictions, targets = align_targets(predictions, targets)
    return T.nnet.binary_crossentropy(predictions, targets)


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
    """Return ``(a - b)**2``, elementwise; a vector fits a column."""
    a, b = align_targets(a, b)
    return T.sqr(a - b)


def aggregate(loss: Any, weights: Any = None, mode: str = "mean") -> Any:
    """Return a scalar loss.

    Parameters
    ----------
    loss : Variable
    weights : Variable, optional
        Factors of the elements.
    mode : {'mean', 'sum', 'normalized_sum'}
        The last divides the sum by the sum of `weights`.

    Raises
    ------
    ValueError
        For another mode, or 'normalized_sum' without weights.
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
        return loss.sum() / as_theano_expression(weights).sum()
    raise ValueError(f"aggregate: mode must be 'mean', 'sum' or 'normalized_sum', got {mode!r}")


def binary_hinge_loss(predictions: Any, targets: Any, delta: Any = 1, log_odds: bool | None = None, binary: bool = True) -> Any:
    """Return ``max(0, delta - t * p)``, elementwise.

    Parameters
    ----------
    predictions : Variable
        Log-odds, or probabilities with ``log_odds=False``.
    targets : Variable
        0 or 1, or -1 or 1 with ``binary=False``.
    delta : number
        The margin.
    log_odds : bool, optional
        None means True, with a warning, as in Lasagne.
    binary : bool
    """
    if log_odds is None:
        warnings.warn("binary_hinge_loss: log_odds=None takes predictions as log-odds; say log_odds=True, or False for "
                      "probabilities", FutureWarning, stacklevel=2)
        log_odds = True
    if not log_odds:
        predictions = T.log(predictions / (1 - predictions))
    predictions, targets = align_targets(predictions, targets)
    if binary:
        targets = 2 * targets - 1
    return T.nnet.relu(delta - predictions * targets)


def _chosen(predictions: Any, targets: Any, who: str) -> Any:
    """Return a mask (n, classes), true at the target."""
    targets = as_theano_expression(targets)
    if targets.ndim == predictions.ndim - 1:
        return T.eq(T.arange(predictions.shape[-1]), T.shape_padright(targets))
    if targets.ndim == predictions.ndim:
        return targets > 0
    raise TypeError(f"{who}: predictions have {predictions.ndim} axes, so targets must have {predictions.ndim - 1} (classes) "
                    f"or {predictions.ndim} (one-hot), got {targets.ndim}")


def multiclass_hinge_loss(predictions: Any, targets: Any, delta: Any = 1) -> Any:
    """Return ``max(0, delta + best other prediction - prediction of the target)``, (n,).

    Parameters
    ----------
    predictions : Variable, (n, classes)
    targets : Variable, (n,) of int or (n, classes) one-hot
    delta : number
        The margin.

    Raises
    ------
    TypeError
        If `targets` has another number of axes.
    """
    mask = _chosen(predictions, targets, "multiclass_hinge_loss")
    correct = T.sum(T.switch(mask, predictions, 0), axis=-1)
    rest = T.max(T.switch(mask, -float("inf"), predictions), axis=-1)
    return T.nnet.relu(rest - correct + delta)


def huber_loss(predictions: Any, targets: Any, delta: Any = 1) -> Any:
    """Return half the squared error up to `delta`, and linear beyond, elementwise (Huber 1964)."""
    predictions, targets = align_targets(predictions, targets)
    off = abs(targets - predictions)
    return T.switch(off <= delta, 0.5 * T.sqr(off), delta * (off - 0.5 * delta))


def binary_accuracy(predictions: Any, targets: Any, threshold: float = 0.5) -> Any:
    """Return whether ``predictions > threshold`` is the target, elementwise, bool."""
    predictions, targets = align_targets(predictions, targets)
    return T.eq(predictions > threshold, targets)


def categorical_accuracy(predictions: Any, targets: Any, top_k: int = 1) -> Any:
    """Return whether the target is the likeliest class, or among the `top_k`, (n,) of bool.

    Parameters
    ----------
    predictions : Variable, (n, classes)
    targets : Variable, (n,) of int or (n, classes) one-hot
    top_k : int

    Raises
    ------
    TypeError
        If `targets` has another number of axes.
    """
    targets = as_theano_expression(targets)
    if targets.ndim == predictions.ndim:
        targets = T.argmax(targets, axis=-1)
    elif targets.ndim != predictions.ndim - 1:
        raise TypeError(f"categorical_accuracy: predictions have {predictions.ndim} axes, so targets must have "
                        f"{predictions.ndim - 1} (classes) or {predictions.ndim} (one-hot), got {targets.ndim}")
    if top_k == 1:
        return T.eq(T.argmax(predictions, axis=-1), targets)
    top = T.argsort(predictions, axis=-1)[..., -top_k:]
    return T.any(T.eq(top, T.shape_padright(targets)), axis=-1)


__all__ = [n for n, v in list(globals().items()) if callable(v) and getattr(v, "__module__", "") == __name__ and n[0] != "_"]
