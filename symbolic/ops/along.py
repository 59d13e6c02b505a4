"""Elements picked along an axis by an array of indices of the same rank, and put back there."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np  # noqa: F401  (examples)

from symbolic import errors
from symbolic.batching import Batch
from symbolic.graph import Apply, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.batch_rules import filled
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.functions import lt, switch
from symbolic.scalar import Check, Expr, IndexLambda, Part, Scatter, axis, binary, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete, is_integer


def _every(types: Sequence[TensorType], k: int, along: int, at: Expr) -> list[Expr]:
    return [axis(a) if a != along else at for a in range(types[k].ndim)]


def _same_but(m: int, n: int, along: int, types: Sequence[TensorType]) -> tuple[Check, ...]:
    """Return that two inputs are as long along every other axis."""
    return tuple(Check(binary("eq", dim(m, a), dim(n, a)), f"extents {{0}} and {{1}} on axis {a} differ",
                       detail=(dim(m, a), dim(n, a)))
                 for a in range(types[m].ndim) if a != along and None in (types[m].shape[a], types[n].shape[a]))


class TakeAlong(Op):
    """``y[..., i, ...] = x[..., index[..., i, ...], ...]``; indices aren't negative.

    Parameters
    ----------
    axis : int
    checked : bool
        Whether indices may be out of range, and so must be looked at.
    """

    __props__ = ("axis", "checked")
    name = "take_along_axis"

    def __init__(self, axis: int, checked: bool = False) -> None:
        self.axis, self.checked = axis, checked

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, index = types
        for a, (m, n) in enumerate(zip(x.shape, index.shape, strict=True)):
            if a != self.axis and None not in (m, n) and m != n:
                raise errors.ShapeError(f"extents {m} and {n} on axis {a} differ")
        return (index.clone(x.dtype),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(1, a) for a in range(types[1].ndim)),)

    def _index(self, types: Sequence[TensorType]) -> Expr:
        return load(1, [axis(a) for a in range(types[1].ndim)], "int64")

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        same = _same_but(0, 1, self.axis, types)
        if not self.checked:
            return same
        i, n = self._index(types), dim(0, self.axis)
        return (*same, Check(binary("le", const(0, "int64"), i) & binary("lt", i, n),
                             f"index {{0}} is out of bounds for axis {self.axis} with extent {{1}}",
                             tuple(dim(1, a) for a in range(types[1].ndim)), (i, n), error=errors.IndexOutOfBounds))

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(load(0, _every(types, 0, self.axis, self._index(types)), types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, index = inputs
        if gouts[0] is None or is_discrete(x.dtype):
            return [None, None]
        return [put_along(gouts[0], index, extents(x)[self.axis], self.axis, x.type.shape[self.axis]), None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]


class PutAlong(Op):
    """Zeros to which the elements of the first input are added at the indices of the second along an axis.

    The third input is the extent of that axis.
    """

    __props__ = ("axis", "known")
    name = "put_along_axis"

    def __init__(self, axis: int, known: int | None) -> None:
        self.axis, self.known = axis, known

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        shape = list(types[0].shape)
        shape[self.axis] = self.known
        return (types[0].clone(shape=tuple(shape)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) if a != self.axis else load(2, (), "int64") for a in range(types[0].ndim)),)

    def compute(self, *types: TensorType) -> Scatter:
        every = [axis(a) for a in range(types[0].ndim)]
        zeros = Part(self.infer_shape(*types)[0], tuple(every), const(0, types[0].dtype))
        return Scatter(None, (zeros, Part(tuple(dim(0, a) for a in range(types[0].ndim)),
                                          tuple(_every(types, 0, self.axis, load(1, every, "int64"))),
                                          load(0, every, types[0].dtype), "add")))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None if gouts[0] is None else TakeAlong(self.axis)(gouts[0], inputs[1]), None, None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False], [False]]

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
        if flags[2]:
            return None
        like = inputs[list(flags).index(True)]
        y, index = (v if flag else filled(v, like) for v, flag in zip(inputs[:2], flags, strict=False))
        return [PutAlong(self.axis + 1, self.known)(y, index, inputs[2])], [True]


def take_along(x: Variable, index: Variable, axis: int) -> Variable:
    """Return the elements of `x` at valid indices along an axis."""
    return TakeAlong(axis)(x, index)


def put_along(y: Variable, index: Variable, n: Variable, axis: int, known: int | None = None) -> Variable:
    """Return zeros of extent `n` along an axis, with `y` added at valid indices."""
    return PutAlong(axis, known)(y, index, n)


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Variable:
    """Return the elements of `x` at `indices` along `axis`, as ``numpy.take_along_axis``.

    Parameters
    ----------
    x : array_like
    indices : integer array_like
        Of the rank of `x`, as long along all other axes; negative ones count from the end.
    axis : int

    Returns
    -------
    Variable
        Of the shape of `indices` and the dtype of `x`.

    Raises
    ------
    RankError, ShapeError
        If the ranks or other extents differ.
    IndexOutOfBounds
        If an index is out of range, when the function runs.

    Examples
    --------
    >>> take_along_axis([[1.0, 2, 3]], [[2, 0]], axis=1).type.shape
    (1, 2)
    """
    x, indices = as_tensor_variable(x), as_tensor_variable(indices)
    if not is_integer(indices.dtype):
        raise errors.DTypeError(errors.message("take_along_axis", "an index must be an integer", (describe(indices),), caller()))
    if x.ndim != indices.ndim or x.ndim == 0:
        raise errors.RankError(errors.message("take_along_axis", "expected two arrays of the same rank, at least 1",
                                              (describe(x), describe(indices)), caller()))
    axis = axis_of(axis, x.ndim, "take_along_axis")
    index = cast_to(indices, "int64")
    if not indices.dtype.startswith("uint"):
        index = switch(lt(index, constant(0, dtype="int64")), index + extents(x)[axis], index)
    return TakeAlong(axis, checked=True)(x, index)
