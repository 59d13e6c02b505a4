"""Theano's combinations of a bias, a softmax, a cross-entropy and an argmax: compositions that the compiler fuses."""
from __future__ import annotations

from typing import Any

from symbolic.graph import Variable, as_tensor_variable
from symbolic.ops import functions as f
from symbolic.ops.nnet import CrossentropyIndex, softmax
from symbolic.ops.reduce import argmax
from symbolic.ops.reduce import max as max_of


def softmax_with_bias(x: Any, b: Any) -> Variable:
    """Return the softmax of ``x + b`` along the last axis.

    Parameters
    ----------
    x : Variable, shape (n, k)
    b : Variable, shape (k,)

    Returns
    -------
    Variable, shape (n, k)

    Examples
    --------
    >>> from symbolic import function
    >>> function([], softmax_with_bias([[0.0, 1.0]], [1.0, 0.0]))().tolist()
    [[0.5, 0.5]]
    """
    return softmax(f.add(x, b))


def crossentropy_softmax_argmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> list[Variable]:
    """Return the cross-entropy of ``x + b`` with integer classes, its softmax, and the class with the largest value.

    Parameters
    ----------
    x : Variable, shape (n, k)
    b : Variable, shape (k,)
    y_idx : integer Variable, shape (n,)

    Returns
    -------
    nll : Variable, shape (n,)
    p : Variable, shape (n, k)
    best : int64 Variable, shape (n,)

    Raises
    ------
    RankError, DTypeError, ShapeError
        As for :func:`crossentropy_softmax_1hot`.

    Examples
    --------
    >>> from symbolic import function
    >>> _, _, best = crossentropy_softmax_argmax_1hot_with_bias([[0.0, 1.0]], [2.0, 0.0], [1])
    >>> function([], best)().tolist()
    [0]
    """
    z = f.add(x, b)
    return [CrossentropyIndex()(z, as_tensor_variable(y_idx)), softmax(z), argmax(z, axis=-1)]


def crossentropy_softmax_max_and_argmax_1hot(x: Any, y_idx: Any) -> list[Variable]:
    """Return the cross-entropy of `x` with integer classes, its softmax, the largest chance and its class.

    Examples
    --------
    >>> from symbolic import function
    >>> _, _, top, best = crossentropy_softmax_max_and_argmax_1hot([[0.0, 0.0, -800.0]], [1])
    >>> [v.tolist() for v in function([], [top, best])()]
    [[0.5], [0]]
    """
    z = as_tensor_variable(x)
    p = softmax(z)
    return [CrossentropyIndex()(z, as_tensor_variable(y_idx)), p, max_of(p, axis=-1), argmax(z, axis=-1)]


def crossentropy_softmax_max_and_argmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> list[Variable]:
    """Return :func:`crossentropy_softmax_max_and_argmax_1hot` of ``x + b``.

    Examples
    --------
    >>> len(crossentropy_softmax_max_and_argmax_1hot_with_bias([[0.0, 1.0]], [1.0, 0.0], [0]))
    4
    """
    return crossentropy_softmax_max_and_argmax_1hot(f.add(x, b), y_idx)
