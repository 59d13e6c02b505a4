"""Arrays with elements put in, taken out or replaced along an axis: insert, delete, put_along_axis; and different rows."""
from __future__ import annotations

from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.create import alloc, arange
from symbolic.ops.cumulative import Cumulative
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.extra import InRange, unique_elements
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.reduce import any as any_of
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scan_views import loop
from symbolic.ops.scatter import set_subtensor
from symbolic.ops.selection import flatnonzero
from symbolic.ops.shape import dimshuffle, flatten, moveaxis, reshape
from symbolic.ops.sort import argsort
from symbolic.source import caller
from symbolic.types import is_complex, is_integer


def _int(n: int) -> Constant:
    return constant(n, dtype="int64")


def _at(axis: int, key: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, key)


def _along(arr: Any, axis: Any, op: str) -> tuple[Variable, int]:
    x = as_tensor_variable(arr)
    if axis is None:
        return flatten(x), 0
    if x.ndim == 0:
        raise errors.RankError(errors.message(op, "a scalar has no axis", (describe(x),), caller(), "pass axis=None"))
    return x, axis_of(axis, x.ndim, op)


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> Variable:
    """Return `arr` with `values` at `indices` along `axis`: what ``numpy.put_along_axis`` makes of it.

    Parameters
    ----------
    arr : array_like
    indices : integer array_like
        Of the rank of `arr`; other axes than `axis` are as long, or 1. Negative ones count from the end.
    values : array_like
        Broadcast to the shape of `indices`. Where a place is named twice, the last value stays.
    axis : int or None
        None: `arr` is written as if it were flat; it keeps its shape.

    Returns
    -------
    Variable
        Of the shape and dtype of `arr`.

    Raises
    ------
    RankError, DTypeError
        If the indices are of another rank, or no integers.
    IndexOutOfBounds
        If one is out of range, when the function runs.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], put_along_axis(np.zeros((2, 2)), [[1], [0]], 5.0, axis=1))()
    array([[0., 5.],
           [5., 0.]])
    """
    whole = as_tensor_variable(arr)
    x, axis = _along(whole, axis, "put_along_axis")
    index = as_tensor_variable(indices)
    if not is_integer(index.dtype):
        raise errors.DTypeError(errors.message("put_along_axis", "an index must be an integer", (describe(index),), caller()))
    if index.ndim != x.ndim:
        raise errors.RankError(errors.message("put_along_axis", "expected an array and indices of the same rank",
                                              (describe(x), describe(index)), caller()))
    key = tuple(index if a == axis else dimshuffle(arange(n), *("x",) * a, 0, *("x",) * (x.ndim - a - 1))
                for a, n in enumerate(extents(x)))
    written = set_subtensor(getitem(x, key), values)
    return written if written.ndim == whole.ndim else reshape(written, extents(whole), ndim=whole.ndim)


def _chosen(obj: Any, n: Variable, op: str) -> Variable:
    """Return which of n elements `obj` names, int64, none of them negative: by a slice, a mask or integers."""
    if isinstance(obj, slice):
        return getitem(arange(n), obj)
    index = as_tensor_variable(np.zeros(0, "int64") if isinstance(obj, (list, tuple)) and not obj else obj)
    if index.dtype == "bool" and index.ndim == 1:
        return getitem(arange(n), index)
    if not is_integer(index.dtype) or index.ndim > 1:
        raise errors.DTypeError(errors.message(op, "expected a slice, a mask, an integer or a vector of integers",
                                               (describe(index),), caller()))
    index = cast_to(index, "int64")
    return f.switch(f.lt(index, _int(0)), index + n, index)  # type: ignore[operator]


def delete(arr: Any, obj: Any, axis: int | None = None) -> Variable:
    """Return `arr` without the elements that `obj` names along an axis, as ``numpy.delete``.

    Parameters
    ----------
    arr : array_like
    obj : slice, int, integer array_like of shape (k,), or mask of shape (n,)
        May be symbolic. What is named twice goes once.
    axis : int, optional
        None: of the flattened array.

    Raises
    ------
    IndexOutOfBounds
        If an index is out of range, when the function runs.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], delete([1, 2, 3, 4], [0, -1]))()
    array([2, 3], dtype=int8)
    """
    x, axis = _along(arr, axis, "delete")
    n = extents(x)[axis]
    gone = _chosen(obj, n, "delete")
    if gone.ndim == 0:
        gone = InRange("delete: index")(gone, n)
        return concatenate([getitem(x, _at(axis, slice(None, gone))), getitem(x, _at(axis, slice(gone + _int(1), None)))],  # type: ignore[operator]
                           axis=axis)
    keep = set_subtensor(getitem(alloc(constant(True), n), InRange("delete: index")(gone, n)), constant(False))
    return getitem(x, _at(axis, keep))


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Variable:
    """Return `arr` with `values` put in before the elements that `obj` names along an axis, as ``numpy.insert``.

    Parameters
    ----------
    arr : array_like
    obj : int, slice, mask of shape (n,), or integer array_like of shape (k,)
        Places in `arr`, as they are before anything is put in; n is behind the last element. May be symbolic.
    values : array_like
        Cast to the dtype of `arr`. At one place: any number of elements, which broadcast along other axes; at k places: k
        elements, or one for all.
    axis : int, optional
        None: into the flattened array.

    Raises
    ------
    IndexOutOfBounds
        If a place is out of range, when the function runs.
    ShapeError
        If the values don't fit.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], insert([1, 2, 3], [0, 3], [7, 8]))()
    array([7, 1, 2, 3, 8], dtype=int8)
    """
    x, axis = _along(arr, axis, "insert")
    n = extents(x)[axis]
    places = _chosen(obj, n, "insert")
    new = cast_to(as_tensor_variable(values), x.dtype)
    if new.ndim > x.ndim:
        raise errors.RankError(errors.message("insert", "the values have more dimensions than the array",
                                              (describe(x), describe(new)), caller()))
    one = places.ndim == 0
    lifted = dimshuffle(new, *("x",) * (x.ndim - new.ndim), *range(new.ndim))
    if one:
        lifted = moveaxis(lifted, 0, axis)  # a scalar place: the first axis of the values is along the axis
    places = InRange("insert: index")(places, n + _int(1))  # type: ignore[operator]
    count = extents(lifted)[axis] if one else extents(places)[0]
    shape = extents(x)
    shape[axis] = count
    filled = f.add(alloc(constant(0, dtype=x.dtype), *shape), lifted) if x.dtype != "bool" else f.or_(
        alloc(constant(False), *shape), lifted)
    if one:
        before, after = getitem(x, _at(axis, slice(None, places))), getitem(x, _at(axis, slice(places, None)))
        return concatenate([before, filled, after], axis=axis)
    order = argsort(places)
    rank = set_subtensor(getitem(alloc(_int(0), count), order), arange(count))
    final = places + rank  # type: ignore[operator]
    total = n + count  # type: ignore[operator]
    own = set_subtensor(getitem(alloc(constant(True), total), final), constant(False))
    shape[axis] = total
    out = set_subtensor(getitem(alloc(constant(0, dtype=x.dtype), *shape), _at(axis, final)), filled)
    return set_subtensor(getitem(out, _at(axis, flatnonzero(own))), x)


def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None) -> Any:
    """Return the different elements of `ar`, in order, as ``numpy.unique``: one nan at most.

    Parameters
    ----------
    ar : array_like
        Real; flattened unless `axis` is given.
    return_index : bool
        Also where each stands first.
    return_inverse : bool
        Also which of them each element is, in the shape of `ar`; with `axis` a vector.
    return_counts : bool
        Also how often each occurs.
    axis : int, optional
        Of what lies along it, such as the rows of a matrix (0), the different ones; a part that holds a nan differs from all.

    Returns
    -------
    Variable, or list of Variable
        Values, whose gradient goes to where each stands first; int64 indices, inverse, counts.

    Examples
    --------
    >>> [v.type.shape for v in unique([3, 1, 3], return_inverse=True)]
    [(None,), (3,)]
    """
    x = as_tensor_variable(ar)
    if axis is None or (x.ndim == 1 and axis_of(axis, 1, "unique") == 0):
        return unique_elements(x, return_index, return_inverse, return_counts)
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message("unique", "complex values aren't supported", (describe(x),), caller()))
    return unique_rows(x, axis_of(axis, x.ndim, "unique"), return_index, return_inverse, return_counts)


def unique_rows(x: Variable, axis: int, return_index: bool, return_inverse: bool, return_counts: bool) -> Any:
    """Return the different parts of `x` along an axis, in order, as ``numpy.unique`` with `axis`."""
    moved = moveaxis(x, axis, 0)
    n, *rest = extents(moved)
    size: Variable = _int(1)
    for m in rest:
        size = size * m  # type: ignore[operator]
    rows = reshape(moved, [n, size], ndim=2)
    # the last column first: each stable sort keeps the order of equal ones that those before it found
    order, _ = loop(lambda held, k: (getitem(held, argsort(getitem(rows, (held, k)), kind="stable")), None), arange(n),
                    arange(size - _int(1), _int(-1), -1))  # type: ignore[operator]
    sorted_rows = getitem(rows, order)
    new = any_of(f.neq(getitem(sorted_rows, slice(1, None)), getitem(sorted_rows, slice(None, -1))), axis=1)
    first = set_subtensor(getitem(alloc(constant(True), n), slice(1, None)), new)
    starts = flatnonzero(first)
    index = getitem(order, starts)
    out = [moveaxis(getitem(moved, index), 0, axis)]
    if return_index:
        out.append(index)
    if return_inverse:
        group = Cumulative("add", 0)(cast_to(first, "int64")) - _int(1)  # type: ignore[operator]
        out.append(set_subtensor(getitem(alloc(_int(0), n), order), group))
    if return_counts:
        count = sum_of(cast_to(first, "int64"))
        ends = set_subtensor(getitem(alloc(n, count), slice(None, -1)), getitem(starts, slice(1, None)))
        out.append(ends - starts)
    return out[0] if len(out) == 1 else out

