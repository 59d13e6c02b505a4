"""Norms of vectors and matrices, and matrices of blocks."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops import reduce
from symbolic.ops.create import alloc
from symbolic.ops.decompositions import svdvals
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.join import concatenate
from symbolic.ops.matrix import inexact
from symbolic.ops.shape import dimshuffle, flatten, moveaxis
from symbolic.source import caller
from symbolic.types import is_complex, promote

_MATRIX = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the norm of a vector or of a matrix, as ``numpy.linalg.norm``.

    Parameters
    ----------
    x : array_like
        A vector or a matrix, unless `axis` is given or `ord` is None.
    ord : {None, 'fro', 'nuc', 2, -2, 1, -1, inf, -inf} or, of vectors, any number
        None: the square root of the sum of squares, of all elements where `axis` is None. Of matrices, 2 and -2 are the
        largest and smallest singular value, 'nuc' their sum, 1 and inf the largest sum of a column and of a row.
    axis : int, or pair of int, optional
        Along which vectors, or matrices, lie.
    keepdims : bool
        Leave these axes at extent 1.

    Returns
    -------
    Variable
        Real. At zero the gradient of the square root is taken for zero.

    Raises
    ------
    ValueError
        If there is no such norm.

    Examples
    --------
    >>> norm(np.ones((2, 3)), "nuc").type.shape
    ()
    """
    x = inexact(x, "norm", 0)
    if axis is None:
        if ord is None:
            total = _two(flatten(x), (0,), False)
            return dimshuffle(total, *("x",) * x.ndim) if keepdims else total
        if x.ndim not in (1, 2):
            raise errors.RankError(errors.message("norm", "expected a vector or a matrix", (describe(x),), caller(),
                                                  "say along which axes with axis="))
        axes = tuple(range(x.ndim))
    else:
        given = list(axis) if isinstance(axis, (list, tuple)) else [axis]
        axes = tuple(axis_of(a, x.ndim, "norm") for a in given)
        if len(axes) > 2 or len(set(axes)) != len(axes):
            raise errors.RankError(f"norm: axis must be one axis or two different ones, got {axis!r}")
    if len(axes) == 1:
        return _of_vectors(x, ord, axes[0], keepdims)
    return _of_matrices(x, ord, axes, keepdims)


def _two(x: Variable, axes: tuple[int, ...], keepdims: bool) -> Variable:
    square = f.sqr(f.real(x)) + f.sqr(f.imag(x)) if is_complex(x.dtype) else f.sqr(x)  # type: ignore[operator]
    return f.sqrt(reduce.sum(square, axes, keepdims=keepdims))


def _of_vectors(x: Variable, ord: Any, axis: int, keepdims: bool) -> Variable:
    if ord is None or ord == 2:
        return _two(x, (axis,), keepdims)
    if isinstance(ord, str) or not isinstance(ord, (int, float, np.number)):
        raise ValueError(f"norm: of vectors, ord must be a number or None, got {ord!r}")
    size = f.abs_(x)
    if ord in (math.inf, -math.inf):
        return _largest(size, axis, keepdims) if ord > 0 else reduce.min(size, axis, keepdims)
    if ord == 0:
        return reduce.sum(cast_to(f.neq(size, 0), size.dtype), axis, keepdims=keepdims)
    if ord == 1:
        return reduce.sum(size, axis, keepdims=keepdims)
    return reduce.sum(size ** float(ord), axis, keepdims=keepdims) ** (1.0 / float(ord))  # type: ignore[operator]


def _largest(x: Variable, axis: int, keepdims: bool = False) -> Variable:
    """Return the largest of numbers that aren't negative, 0 of none."""
    return f.maximum(reduce.largest(x, axis, keepdims), 0)


def _of_matrices(x: Variable, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Variable:
    if ord is not None and ord not in _MATRIX:
        raise ValueError(f"norm: of matrices, ord must be one of {(None, *_MATRIX)}, got {ord!r}")
    if ord in (None, "fro"):
        return _two(x, axes, keepdims)
    if ord in (2, -2, "nuc"):
        values = svdvals(moveaxis(x, axes, (-2, -1)))
        found = reduce.sum(values, -1) if ord == "nuc" else (_largest if ord == 2 else reduce.min)(values, -1)
    else:
        summed, other = axes if ord in (1, -1) else axes[::-1]
        sums = reduce.sum(f.abs_(x), summed)
        found = (_largest if ord > 0 else reduce.min)(sums, other - (other > summed))
    if not keepdims:
        return found
    rest = iter(range(found.ndim))
    return dimshuffle(found, *("x" if a in axes else next(rest) for a in range(x.ndim)))


def block_diag(*matrices: Any) -> Variable:
    """Return the matrix with these on its diagonal and zeros elsewhere, as ``scipy.linalg.block_diag``.

    Parameters
    ----------
    *matrices : array_like
        Scalars and vectors are taken for matrices of one row.

    Examples
    --------
    >>> block_diag(np.ones((2, 3)), [1.0, 2]).type.shape
    (3, 5)
    """
    if not matrices:
        raise ValueError("block_diag: expected at least one matrix")
    blocks = [as_tensor_variable(m) for m in matrices]
    if any(b.ndim > 2 for b in blocks):
        raise errors.RankError(errors.message("block_diag", "expected matrices", tuple(map(describe, blocks)), caller()))
    dtype = promote(*(b.dtype for b in blocks))
    blocks = [cast_to(dimshuffle(b, *("x",) * (2 - b.ndim), *range(b.ndim)), dtype) for b in blocks]
    zero = constant(np.zeros((), dtype))
    widths = [extents(b)[1] for b in blocks]
    rows = []
    for k, b in enumerate(blocks):
        parts = [alloc(zero, extents(b)[0], w) if j != k else b for j, w in enumerate(widths)]
        rows.append(concatenate(parts, axis=1))
    return concatenate(rows, axis=0)
