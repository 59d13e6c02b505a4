"""Sorting, the largest elements, and looking up in what is sorted."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.along import put_along, take_along
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.index import getitem
from symbolic.ops.leading import Leading
from symbolic.ops.reduce import axes_of
from symbolic.ops.shape import dimshuffle, flatten, moveaxis, reshape
from symbolic.scalar import Check, Expr, binary, const, dim, load, select
from symbolic.source import caller
from symbolic.template import Template
from symbolic.types import TensorType, is_complex, is_discrete, is_float, is_integer, promote, to_float

KINDS = ("quicksort", "mergesort", "heapsort", "stable")


class Sort(Leading):
    """The elements along the last axis in order, and where each stood: nan last, equal ones in their order.

    By their bytes, from the last to the first (radix sort): as many passes as an element has bytes, each linear.
    """

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if types[0].ndim == 0:
            raise errors.RankError("a scalar has no axis to sort along")
        return (types[0], types[0].clone("int64"))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),) * 2

    def template(self, *types: TensorType) -> Template:
        too_many = "places of more than 4294967295 elements of 32 bits aren't supported, got {0}"
        return Template("sort", (("dtype", types[0].dtype), ("ndim", types[0].ndim)), ((errors.NotSupported, too_many),))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        places = np.argsort(arrays[0], axis=-1, kind="stable")
        return np.take_along_axis(arrays[0], places, -1), places.astype("int64")

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, last = inputs[0], inputs[0].ndim - 1
        if gouts[0] is None or is_discrete(x.dtype):
            return [None]
        return [put_along(gouts[0], outputs[1], extents(x)[last], last, x.type.shape[last])]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        t = tangents[0]
        return [None if t is None else take_along(t, outputs[1], inputs[0].ndim - 1), None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False]]


class TopK(Leading):
    """The k largest elements along the last axis, and where they stand; with negative k the -k smallest.

    Parameters
    ----------
    sorted : bool
        From the largest to the smallest; else as they stand.
    known : int or None
        How many there are.
    """

    __props__ = ("sorted", "known")

    def __init__(self, sorted: bool, known: int | None) -> None:
        self.sorted, self.known = sorted, known

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        if x.ndim == 0:
            raise errors.RankError("a scalar has no axis to search along")
        n = x.shape[-1]
        if n is not None and self.known is not None and self.known > n:
            raise errors.ShapeError(f"{self.known} elements are wanted of {n}")
        out = x.clone(shape=(*x.shape[:-1], self.known))
        return out, out.clone("int64")

    def _count(self) -> Expr:
        k = load(1, (), "int64")
        return select(binary("lt", k, const(0, "int64")), -k, k)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((*(dim(0, a) for a in range(types[0].ndim - 1)), self._count()),) * 2

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        n = dim(0, types[0].ndim - 1)
        k = self._count()
        inside = binary("le", const(0, "int64"), k) & binary("le", k, n)  # the least integer has no opposite
        return (Check(inside, "{0} elements are wanted of {1}", detail=(k, n)),)

    def template(self, *types: TensorType) -> Template:
        return Template("topk", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("sorted", self.sorted)))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x, k = arrays[0], int(arrays[1])
        if k > 0:  # of equal ones the first are taken: reversed, they are the last
            order = np.flip(x.shape[-1] - 1 - np.argsort(np.flip(x, -1), axis=-1, kind="stable"), -1)
        else:
            order = np.argsort(x, axis=-1, kind="stable")
        places = order[..., :abs(k)]
        if not self.sorted:
            places = np.sort(places, axis=-1)
        elif k < 0:
            places = _descending(x, places)
        return np.take_along_axis(x, places, -1), places.astype("int64")

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [*Sort.pullback(self, inputs, outputs, gouts), None]  # type: ignore[arg-type]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return Sort.pushforward(self, inputs, outputs, tangents)  # type: ignore[arg-type]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False], [False, False]]

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Any:
        if flags[1]:
            return None
        return self.make_node(*inputs).outputs, [True, True]


def _descending(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Order places by the elements there, the largest first, equal ones as they stand."""
    places = np.sort(places, axis=-1)
    picked = np.flip(np.take_along_axis(x, places, -1), -1)
    order = np.flip(np.argsort(picked, axis=-1, kind="stable"), -1)
    return np.take_along_axis(places, places.shape[-1] - 1 - order, -1)


class SearchSorted(Op):
    """For each value of the second input, where it belongs in the first, a sorted vector."""

    __props__ = ("right",)

    def __init__(self, right: bool) -> None:
        self.right = right

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if types[0].ndim != 1:
            raise errors.RankError(f"expected a sorted vector, got {types[0].ndim} dimensions")
        return (types[1].clone("int64"),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(1, a) for a in range(types[1].ndim)),)

    def template(self, *types: TensorType) -> Template:
        return Template("searchsorted", (("dtype", types[0].dtype), ("ndim", types[1].ndim), ("right", self.right)))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.asarray(np.searchsorted(arrays[0], arrays[1], "right" if self.right else "left"), "int64"),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [False]]


# ---------------------------------------------------------------------------------------- for users


def _along(x: Any, axis: int | None, op: str) -> tuple[Variable, int]:
    x = as_tensor_variable(x)
    if axis is None:
        x, axis = flatten(x), 0
    if x.ndim == 0:
        raise errors.RankError(errors.message(op, "a scalar has no axis", (describe(x),), caller(), "pass axis=None"))
    return x, axis_of(axis, x.ndim, op)


def _check_kind(kind: Any, order: Any, op: str) -> None:
    if kind is not None and kind not in KINDS:
        raise ValueError(f"{op}: kind must be one of {KINDS}, got {kind!r}")
    if order is not None:
        raise ValueError(f"{op}: order= names fields of structured arrays, which tensors aren't; got {order!r}")


def sort(a: Any, axis: int | None = -1, kind: str = "quicksort", order: Any = None) -> Variable:
    """Return `a` sorted along `axis`, as ``numpy.sort``: nan last.

    Parameters
    ----------
    a : array_like
    axis : int, optional
        None: the flattened array.
    kind : {'quicksort', 'mergesort', 'heapsort', 'stable'}
        For NumPy's signature: the sort is stable in any case.
    order : None
        For NumPy's signature.

    Returns
    -------
    Variable
        Of the shape and dtype of `a`. The gradient goes to where the elements stood.

    Raises
    ------
    RankError
        If there is no such axis.

    Examples
    --------
    >>> sort([[3, 1, 2]]).type.shape
    (1, 3)
    """
    _check_kind(kind, order, "sort")
    x, axis = _along(a, axis, "sort")
    return moveaxis(Sort()(moveaxis(x, axis, -1))[0], -1, axis)


def argsort(a: Any, axis: int | None = -1, kind: str = "quicksort", order: Any = None) -> Variable:
    """Return the int64 indices that sort `a` along `axis`: stable, nan last; arguments as for :func:`sort`.

    >>> argsort([3, 1, 2]).type
    TensorType(int64, (3,))
    """
    _check_kind(kind, order, "argsort")
    x, axis = _along(a, axis, "argsort")
    return moveaxis(Sort()(moveaxis(x, axis, -1))[1], -1, axis)


def _topk(x: Any, kth: Any, axis: int | None, sorted: bool, idx_dtype: str, op: str) -> list[Variable]:
    if not is_integer(TensorType(idx_dtype).dtype):
        raise errors.DTypeError(f"{op}: idx_dtype must be an integer dtype, got {idx_dtype!r}")
    x, axis = _along(x, axis, op)
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message(op, "complex values have no order", (describe(x),), caller()))
    k = integer_operand(kth, op)
    known = abs(int(k.data)) if isinstance(k, Constant) else None
    if known == 0:
        raise ValueError(f"{op}: kth can't be 0; positive for the largest, negative for the smallest")
    values, places = TopK(bool(sorted), known)(moveaxis(x, axis, -1), k)
    return [moveaxis(values, -1, axis), cast_to(moveaxis(places, -1, axis), idx_dtype)]


def topk_and_argtopk(x: Any, kth: Any, axis: int | None = -1, sorted: bool = True, idx_dtype: str = "int64"
                     ) -> list[Variable]:
    """Return the `kth` largest elements along `axis`, and their indices; with negative `kth` the ``-kth`` smallest.

    Parameters
    ----------
    x : array_like
        Real. nan counts as the largest.
    kth : int or integer scalar
        Not 0, and no more than there are.
    axis : int, optional
        None: of the flattened array.
    sorted : bool
        In descending order; else in the order in which they stand. Of equal elements the first ones are taken.
    idx_dtype : str
        Of the indices.

    Returns
    -------
    list of Variable
        Values and indices, of extent ``abs(kth)`` along `axis`.

    Raises
    ------
    ShapeError
        If more elements are wanted than there are.

    Examples
    --------
    >>> values, places = topk_and_argtopk([[3.0, 1, 2]], 2)
    >>> values.type.shape, places.dtype
    ((1, 2), 'int64')
    """
    return _topk(x, kth, axis, sorted, idx_dtype, "topk_and_argtopk")


def topk(x: Any, kth: Any, axis: int | None = -1, sorted: bool = True, idx_dtype: str = "int64") -> Variable:
    """Return the `kth` largest elements along `axis`; see :func:`topk_and_argtopk`.

    >>> topk([3.0, 1, 2], -1).type.shape
    (1,)
    """
    return _topk(x, kth, axis, sorted, idx_dtype, "topk")[0]


def argtopk(x: Any, kth: Any, axis: int | None = -1, sorted: bool = True, idx_dtype: str = "int64") -> Variable:
    """Return the indices of the `kth` largest elements along `axis`; see :func:`topk_and_argtopk`.

    >>> argtopk([3.0, 1, 2], 2, idx_dtype="int32").type
    TensorType(int32, (2,))
    """
    return _topk(x, kth, axis, sorted, idx_dtype, "argtopk")[1]


def median(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Variable:
    """Return the median along `axis`, as ``numpy.median``: of an even number the mean of the two in the middle; nan if any is.

    The median of no elements is nan.

    >>> median([[3.0, 1, 2]], axis=1).type.shape
    (1,)
    """
    x = as_tensor_variable(x)
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message("median", "complex values have no order", (describe(x),), caller()))
    axes = axes_of(axis, x.ndim, "median")
    kept = [a for a in range(x.ndim) if a not in axes]
    rows = dimshuffle(x, *kept, *axes)
    if len(axes) != 1:
        rows = reshape(rows, [*extents(rows)[:len(kept)], -1], ndim=len(kept) + 1)
    work = x.dtype if is_float(x.dtype) else "float64" if is_integer(x.dtype) else to_float(x.dtype)
    n = extents(rows)[-1]
    ordered = sort(rows)
    one = constant(1, dtype="int64")
    first = f.maximum(f.int_div(n - one, constant(2, dtype="int64")), constant(0, dtype="int64"))
    here = (slice(None),) * len(kept)

    def at(k: Variable) -> Variable:
        return cast_to(getitem(ordered, (*here, slice(k, k + one))), work)

    half = constant(np.asarray(0.5, work))
    middle = (at(first) + at(f.int_div(n, constant(2, dtype="int64")))) * half
    if is_float(work):
        last = at(f.maximum(n - one, constant(0, dtype="int64")))
        middle = f.switch(f.isnan_(last), last, middle)
    out = middle.sum(axis=-1)
    if is_float(work):
        out = f.switch(f.eq(n, 0), constant(np.asarray(np.nan, work)), out)  # of no elements
    pattern = iter(range(len(kept)))
    return dimshuffle(out, *("x" if a in axes else next(pattern) for a in range(x.ndim))) if keepdims else out


def searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> Variable:
    """Return where each of `v` would have to stand in the sorted vector `x`, as ``numpy.searchsorted``.

    Parameters
    ----------
    x : array_like, shape (n,)
        Ascending, unless `sorter` is given.
    v : array_like
    side : {'left', 'right'}
        Before or after elements equal to it.
    sorter : integer array_like, shape (n,), optional
        Indices that sort `x`, as of :func:`argsort`.

    Returns
    -------
    Variable
        int64, of the shape of `v`.

    Raises
    ------
    RankError
        If `x` isn't a vector.

    Examples
    --------
    >>> searchsorted([1.0, 2, 3], [[2.5]]).type
    TensorType(int64, (1, 1))
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    x, v = as_tensor_variable(x), as_tensor_variable(v)
    common = promote(x.dtype, v.dtype)
    if is_complex(common):
        raise errors.DTypeError(errors.message("searchsorted", "complex values aren't supported", (describe(x), describe(v)),
                                               caller()))
    if sorter is not None:
        order = as_tensor_variable(sorter)
        if order.ndim != 1 or not is_integer(order.dtype):
            raise errors.DTypeError(errors.message("searchsorted", "sorter must be a vector of integers", (describe(order),),
                                                   caller()))
        x = getitem(x, order)
    return SearchSorted(side == "right")(cast_to(x, common), cast_to(v, common))
