"""Picking elements by a condition, and among arrays: NumPy's functions around boolean masks."""
from __future__ import annotations

from typing import Any

import numpy as np  # noqa: F401  (examples)

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.extra import InRange
from symbolic.ops.index import getitem, take
from symbolic.ops.join import stack
from symbolic.ops.nonzero import positions, refuse_scalar
from symbolic.ops.shape import dimshuffle, flatten, transpose
from symbolic.source import caller
from symbolic.types import is_discrete


def _mask(a: Any) -> Variable:
    x = as_tensor_variable(a)
    if isinstance(x, Constant):
        return constant(x.data != 0)
    return x if x.dtype == "bool" else f.neq(x, 0)


def flatnonzero(a: Any) -> Variable:
    """Return where the flattened array isn't zero, as an int64 vector.

    >>> flatnonzero([0, 1, 2]).type
    TensorType(int64, (2,))
    """
    mask = _mask(a)
    return positions(constant(mask.data.ravel()) if isinstance(mask, Constant) else flatten(mask))


def nonzero(a: Any, return_matrix: bool = False) -> Any:
    """Return where an array isn't zero, as ``numpy.nonzero``: index vectors, one an axis.

    Parameters
    ----------
    a : array_like, at least one axis
    return_matrix : bool
        Return one matrix instead, a row an axis.

    Returns
    -------
    tuple of Variable, each of shape (n,), or Variable of shape (a.ndim, n)
        int64; ``a[nonzero(a)]`` are the elements, in C order.

    Raises
    ------
    RankError
        If `a` is a scalar.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], list(nonzero(np.array([[0, 1], [1, 0]]))))()
    [array([0, 1]), array([1, 0])]
    """
    x = as_tensor_variable(a)
    refuse_scalar(x, "nonzero")
    parts = [flatnonzero(x)]
    for n in extents(x)[:0:-1]:  # from the last axis on
        safe = f.maximum(n, 1)  # nothing is found in an empty array
        parts = [f.int_div(parts[0], safe), f.mod(parts[0], safe), *parts[1:]]
    return stack(parts) if return_matrix else tuple(parts)


def nonzero_values(a: Any) -> Variable:
    """Return the elements that aren't zero, in C order, as a vector with a gradient.

    >>> nonzero_values([[0.0, 2.0]]).type.dtype
    'float64'
    """
    x = as_tensor_variable(a)
    return take(flatten(x), flatnonzero(x))


def argwhere(a: Any) -> Variable:
    """Return where an array isn't zero, as ``numpy.argwhere``: an int64 matrix, a row for each element found.

    >>> argwhere([[0.0, 2.0]]).type.shape
    (1, 2)
    """
    return transpose(nonzero(a, return_matrix=True))


def extract(condition: Any, arr: Any) -> Variable:
    """Return the elements of `arr` where `condition` is true, as ``numpy.extract``: both are flattened.

    >>> extract([True, False, True], [1, 2, 3]).type.shape
    (2,)
    """
    return take(flatten(as_tensor_variable(arr)), flatnonzero(condition))


def compress(condition: Any, x: Any, axis: int | None = None) -> Variable:
    """Return the slices of `x` along `axis` where `condition` is true, as ``numpy.compress``.

    Parameters
    ----------
    condition : array_like, shape (k,)
        No longer than the axis; what is beyond isn't taken.
    x : array_like
    axis : int, optional
        None: of the flattened array.

    Raises
    ------
    RankError
        If `condition` isn't a vector, or there is no such axis.

    Examples
    --------
    >>> compress([True, False, True], np.ones((3, 4)), axis=0).type.shape
    (2, 4)
    """
    condition, x = as_tensor_variable(condition), as_tensor_variable(x)
    if condition.ndim != 1:
        raise errors.RankError(errors.message("compress", "the condition must be a vector", (describe(condition),), caller()))
    return take(x, flatnonzero(condition), axis)


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Variable:
    """Return, elementwise, the element of the array among `choices` that `a` numbers, as ``numpy.choose``.

    Parameters
    ----------
    a : integer array_like
    choices : sequence of array_like, or array_like
        Of an array, the first axis numbers them. They broadcast with each other and with `a`.
    out : None
        For NumPy's signature.
    mode : {'raise', 'wrap', 'clip'}
        What becomes of a number that is out of range: an error, counted round, the nearest valid one.

    Returns
    -------
    Variable
        Of the broadcast shape.

    Raises
    ------
    IndexOutOfBounds
        With 'raise', if a number is out of range, when the function runs.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], choose([1, 0, 1], [[1, 2, 3], [10, 20, 30]]))()
    array([10,  2, 30], dtype=int8)
    """
    a = as_tensor_variable(a)
    if not is_discrete(a.dtype):
        raise errors.DTypeError(errors.message("choose", "the first argument must hold integers", (describe(a),), caller(),
                                               "cast it: T.cast(a, 'int64')"))
    if out is not None:
        raise ValueError("choose: out= isn't supported: results are new arrays")
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"choose: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    if isinstance(choices, (list, tuple)):
        if not choices:
            raise errors.ShapeError(errors.message("choose", "there is nothing to choose from", (describe(a),), caller()))
        parts = [as_tensor_variable(c) for c in choices]
        number = _numbers(a, constant(len(parts), dtype="int64"), mode)
        result = parts[-1]
        for k in range(len(parts) - 2, -1, -1):
            result = f.switch(f.eq(number, k), parts[k], result)
        return result if len(parts) > 1 else f.switch(f.eq(number, 0), result, result)
    table = as_tensor_variable(choices)
    if table.ndim == 0:
        raise errors.RankError(errors.message("choose", "choices need an axis that numbers them", (describe(table),), caller()))
    number = _numbers(a, extents(table)[0], mode)
    rest = table.ndim - 1
    lines = [dimshuffle(arange(n), *("x",) * k, 0, *("x",) * (rest - k - 1)) for k, n in enumerate(extents(table)[1:])]
    return getitem(table, (number, *lines))


def _numbers(a: Variable, n: Variable, mode: str) -> Variable:
    """Return `a` as int64 between 0 and `n`, which is excluded."""
    a = cast_to(a, "int64")
    if mode == "wrap":
        return f.mod(a, n)
    if mode == "clip":
        return f.clip(a, 0, n - 1)  # type: ignore[operator]
    return InRange("choose: number")(a, n)


