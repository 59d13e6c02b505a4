"""Products of chosen blocks of a matrix, a softmax in two levels, and confusion matrices."""
from __future__ import annotations

from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.editing import unique
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.linalg import dot, tensordot
from symbolic.ops.nnet import softmax
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scatter import inc_subtensor
from symbolic.ops.shape import dimshuffle, flatten, reshape
from symbolic.source import caller
from symbolic.types import is_integer


def _ranks(op: str, *given: tuple[Any, int, str]) -> list[Variable]:
    out = []
    for x, ndim, what in given:
        v = as_tensor_variable(x)
        if v.ndim != ndim:
            raise errors.RankError(errors.message(op, f"{what}, got {v.ndim} dimensions", (describe(v),), caller()))
        if what.startswith(("inputIdx", "outputIdx", "xIdx", "yIdx")) and not is_integer(v.dtype):
            raise errors.DTypeError(errors.message(op, f"indices must be integers, got {v.dtype}", (describe(v),), caller()))
        out.append(v)
    return out


def sparse_block_gemv(o: Any, W: Any, h: Any, inputIdx: Any, outputIdx: Any) -> Variable:
    """Return ``o[b, j] + sum over i of dot(h[b, i], W[inputIdx[b, i], outputIdx[b, j]])``.

    Parameters
    ----------
    o : Variable, shape (batch, oWin, oSize)
    W : Variable, shape (iBlocks, oBlocks, iSize, oSize)
    h : Variable, shape (batch, iWin, iSize)
    inputIdx : integer Variable, shape (batch, iWin)
    outputIdx : integer Variable, shape (batch, oWin)

    Returns
    -------
    Variable, shape (batch, oWin, oSize)

    Raises
    ------
    RankError, DTypeError
        If ranks aren't these, or indices aren't integers.

    Examples
    --------
    >>> import numpy as np
    >>> from symbolic import function
    >>> W = np.arange(4.0).reshape(2, 2, 1, 1)
    >>> function([], sparse_block_gemv(np.zeros((1, 1, 1)), W, [[[10.0]]], [[1]], [[0]]))().tolist()
    [[[20.0]]]
    """
    o, W, h, i, j = _ranks("sparse_block_gemv", (o, 3, "o must be (batch, oWin, oSize)"),
                           (W, 4, "W must be (iBlocks, oBlocks, iSize, oSize)"), (h, 3, "h must be (batch, iWin, iSize)"),
                           (inputIdx, 2, "inputIdx must be (batch, iWin)"), (outputIdx, 2, "outputIdx must be (batch, oWin)"))
    blocks = getitem(W, (dimshuffle(i, 0, 1, "x"), dimshuffle(j, 0, "x", 1)))
    return o + sum_of(dimshuffle(h, 0, 1, "x", 2, "x") * blocks, axis=(1, 3))


def sparse_block_outer(o: Any, x: Any, y: Any, xIdx: Any, yIdx: Any, alpha: Any = None) -> Variable:
    """Return `o` with ``alpha * outer(x[b, i], y[b, j])`` added to block ``o[xIdx[b, i], yIdx[b, j]]``, for all b, i and j.

    Parameters
    ----------
    o : Variable, shape (xBlocks, yBlocks, xSize, ySize)
    x : Variable, shape (batch, xWin, xSize)
    y : Variable, shape (batch, yWin, ySize)
    xIdx, yIdx : integer Variable, shape (batch, xWin) and (batch, yWin)
    alpha : float or scalar Variable, optional

    Returns
    -------
    Variable
        Of the type of `o`.

    Raises
    ------
    RankError, DTypeError
        If ranks aren't these, or indices aren't integers.

    Examples
    --------
    >>> import numpy as np
    >>> from symbolic import function
    >>> function([], sparse_block_outer(np.zeros((1, 2, 1, 1)), [[[3.0]]], [[[5.0]]], [[0]], [[1]]))().ravel().tolist()
    [0.0, 15.0]
    """
    o, x, y, i, j = _ranks("sparse_block_outer", (o, 4, "o must be (xBlocks, yBlocks, xSize, ySize)"),
                           (x, 3, "x must be (batch, xWin, xSize)"), (y, 3, "y must be (batch, yWin, ySize)"),
                           (xIdx, 2, "xIdx must be (batch, xWin)"), (yIdx, 2, "yIdx must be (batch, yWin)"))
    products = dimshuffle(x, 0, 1, "x", 2, "x") * dimshuffle(y, 0, "x", 1, "x", 2)
    part = getitem(o, (dimshuffle(i, 0, 1, "x"), dimshuffle(j, 0, "x", 1)))
    return inc_subtensor(part, cast_to(products if alpha is None else products * alpha, o.dtype))


def sparse_block_dot(W: Any, h: Any, inputIdx: Any, b: Any, outputIdx: Any) -> Variable:
    """Return :func:`sparse_block_gemv` on biases ``b[outputIdx]``.

    Parameters
    ----------
    W : Variable, shape (iBlocks, oBlocks, iSize, oSize)
    h : Variable, shape (batch, iWin, iSize) or (iWin, iSize)
    inputIdx : integer Variable, shape (batch, iWin) or (iWin,)
    b : Variable, shape (oBlocks, oSize)
    outputIdx : integer Variable, shape (batch, oWin) or (oWin,)

    Returns
    -------
    Variable, shape (batch, oWin, oSize)
        Without the batch where `h` has none.

    Examples
    --------
    >>> import numpy as np
    >>> from symbolic import function
    >>> W = np.arange(4.0).reshape(2, 2, 1, 1)
    >>> function([], sparse_block_dot(W, [[10.0]], [1], [[0.5], [0.0]], [0]))().tolist()
    [[20.5]]
    """
    h, i, j, b = (as_tensor_variable(v) for v in (h, inputIdx, outputIdx, b))
    alone = h.ndim == 2
    h, i, j = (dimshuffle(v, "x", *range(v.ndim)) if v.ndim == n - 1 else v for v, n in ((h, 3), (i, 2), (j, 2)))
    b, j = _ranks("sparse_block_dot", (b, 2, "b must be (oBlocks, oSize)"), (j, 2, "outputIdx must be (batch, oWin)"))
    out = sparse_block_gemv(getitem(b, j), W, h, i, j)
    return getitem(out, 0) if alone else out


def h_softmax(x: Any, batch_size: Any, n_outputs: Any, n_classes: Any, n_outputs_per_class: Any, W1: Any, b1: Any, W2: Any,
              b2: Any, target: Any = None) -> Variable:
    """Return a softmax in two levels: of classes, then of the outputs within a class.

    Parameters
    ----------
    x : Variable, shape (batch_size, features)
    batch_size, n_outputs, n_classes, n_outputs_per_class : int or integer scalar Variable
        ``n_classes * n_outputs_per_class`` is at least `n_outputs`.
    W1, b1 : Variable, shape (features, n_classes) and (n_classes,)
        Of the first level.
    W2, b2 : Variable, shape (n_classes, features, n_outputs_per_class) and (n_classes, n_outputs_per_class)
        Of the second.
    target : integer Variable, shape (batch_size,), optional
        Outputs whose chances alone are wanted: then one class of each row is computed.

    Returns
    -------
    Variable, shape (batch_size, n_outputs), or (batch_size,) with `target`
        Chances.

    References
    ----------
    Goodman, "Classes for fast maximum entropy training", 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from symbolic import function
    >>> p = h_softmax(np.ones((1, 2)), 1, 4, 2, 2, np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2, 2)), np.zeros((2, 2)))
    >>> function([], p)().tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    x, W1, b1, W2, b2 = (as_tensor_variable(v) for v in (x, W1, b1, W2, b2))
    classes = softmax(dot(x, W1) + b1)
    if target is None:
        inner = softmax(tensordot(x, W2, axes=((1,), (1,))) + b2)
        every = reshape(inner * dimshuffle(classes, 0, 1, "x"), [extents(x)[0], n_classes * n_outputs_per_class], ndim=2)
        return getitem(every, (slice(None), slice(None, n_outputs)))
    t = flatten(as_tensor_variable(target))
    which, within = t // n_outputs_per_class, t % n_outputs_per_class
    rows = arange(extents(x)[0])
    W = dimshuffle(W2, "x", 0, 1, 2)
    logits = sparse_block_dot(W, dimshuffle(x, 0, "x", 1), dimshuffle(rows * 0, 0, "x"), b2, dimshuffle(which, 0, "x"))
    inner = softmax(getitem(logits, (slice(None), 0)))
    return getitem(classes, (rows, which)) * getitem(inner, (rows, within))


def confusion_matrix(actual: Any, pred: Any) -> list[Variable]:
    """Return how often each class was taken for each other one, and the classes in order.

    Parameters
    ----------
    actual, pred : Variable, shape (n,)
        True and predicted classes.

    Returns
    -------
    matrix : Variable, shape (k, k), int64
        Rows are true classes, columns predicted ones.
    order : Variable, shape (k,)
        All classes that occur, sorted.

    Raises
    ------
    RankError
        If they aren't vectors.

    Examples
    --------
    >>> from symbolic import function
    >>> [v.tolist() for v in function([], confusion_matrix([2, 0, 2, 2], [2, 0, 0, 2]))()]
    [[[1, 0], [1, 2]], [0, 2]]
    """
    a, p = _ranks("confusion_matrix", (actual, 1, "actual must be a vector"), (pred, 1, "pred must be a vector"))
    order = unique(concatenate([a, p]))
    rows, columns = (cast_to(f.eq(dimshuffle(v, 0, "x"), order), "int64") for v in (a, p))
    return [dot(rows.T, columns), order]  # type: ignore[attr-defined]
