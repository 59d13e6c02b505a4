"""Diagonals and triangles: the identity, reading and placing diagonals, masks."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np  # noqa: F401  (examples)

from symbolic import errors
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import Pullback, axis_of, extents
from symbolic.ops.functions import le, switch
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.shape import dimshuffle
from symbolic.scalar import Check, Expr, IndexLambda, Part, Scatter, axis, binary, cast, const, dim, load, select
from symbolic.source import caller
from symbolic.types import TensorType


def _smaller(x: Expr, y: Expr) -> Expr:
    return select(binary("le", x, y), x, y)


class Eye(Op):
    """Ones on a diagonal; the inputs are rows, columns and the number of the diagonal.

    Parameters
    ----------
    dtype : str
    known : tuple of int or None
        The extents that are known beforehand.
    """

    __props__ = ("dtype", "known")
    is_index_map = True

    def __init__(self, dtype: str, known: tuple[int | None, int | None]) -> None:
        self.dtype, self.known = dtype, known

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(self.dtype, self.known),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((load(0, (), "int64"), load(1, (), "int64")),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return tuple(Check(const(0, "int64") <= load(k, (), "int64"), "an extent can't be negative, got {0}",
                           detail=(load(k, (), "int64"),)) for k in range(2))

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(cast(binary("eq", axis(0) + load(2, (), "int64"), axis(1)), self.dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [None, None, None]


def eye(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Variable:
    """Return an n×m matrix with ones on diagonal `k` (above the main one where positive).

    >>> eye(2, 3).type
    TensorType(float64, (2, 3))
    """
    given = [integer_operand(v, "eye") for v in (n, n if m is None else m, k)]
    rows, columns = (int(v.data) if isinstance(v, Constant) else None for v in given[:2])
    return Eye(TensorType(dtype or "floatX").dtype, (rows, columns))(*given)


def identity_like(x: Any) -> Variable:
    """Return the identity in the shape and dtype of matrix `x`.

    >>> identity_like(np.zeros((2, 3), "float32")).type
    TensorType(float32, (2, 3))
    """
    x = _matrix(x, "identity_like")
    rows, columns = extents(x)[-2:]
    return eye(rows, columns, dtype=x.dtype)


def _matrix(x: Any, op: str) -> Variable:
    x = as_tensor_variable(x)
    if x.ndim < 2:
        raise errors.RankError(errors.message(op, "expected a matrix", (describe(x),), caller()))
    return x


class Diagonal(Op):
    """Diagonal `k` of the last two axes."""

    __props__ = ("k",)

    def __init__(self, k: int) -> None:
        self.k = k

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        *rest, n, m = types[0].shape
        length = None if n is None or m is None else max(0, min(n - max(-self.k, 0), m - max(self.k, 0)))
        return (types[0].clone(shape=(*rest, length)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        nd = types[0].ndim
        n, m = dim(0, nd - 2) - max(-self.k, 0), dim(0, nd - 1) - max(self.k, 0)
        length = _smaller(n, m)
        if self.k:
            length = select(length < 0, const(0, "int64"), length)
        return ((*(dim(0, a) for a in range(nd - 2)), length),)

    def compute(self, *types: TensorType) -> IndexLambda:
        nd = types[0].ndim
        along = axis(nd - 2)
        return IndexLambda(load(0, [*(axis(a) for a in range(nd - 2)), along + max(-self.k, 0), along + max(self.k, 0)],
                                types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        if gouts[0] is None:
            return [None]
        n, m = (v if isinstance(v, Constant) else cast_to(v, "int64") for v in extents(inputs[0])[-2:])
        return [AllocDiagonal(self.k, inputs[0].type.shape[-2:])(gouts[0], n, m)]


class AllocDiagonal(Op):
    """Zeros with the first input on diagonal `k` of two axes, whose extents are the other inputs.

    Parameters
    ----------
    k : int
    known : tuple of int or None
        The extents that are known beforehand.
    """

    __props__ = ("k", "known")
    name = "alloc_diag"

    def __init__(self, k: int, known: tuple[int | None, ...]) -> None:
        self.k, self.known = k, tuple(known)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone(shape=(*types[0].shape[:-1], *self.known)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((*(dim(0, a) for a in range(types[0].ndim - 1)), load(1, (), "int64"), load(2, (), "int64")),)

    def compute(self, *types: TensorType) -> Scatter:
        outer = types[0].ndim - 1
        every = tuple(axis(a) for a in range(outer + 2))
        to = (*every[:outer], axis(outer) + max(-self.k, 0), axis(outer) + max(self.k, 0))
        zeros = Part(self.infer_shape(*types)[0], every, const(0, types[0].dtype))
        return Scatter(None, (zeros, Part(tuple(dim(0, a) for a in range(outer + 1)), to,
                                          load(0, every[:outer + 1], types[0].dtype))))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [None if gouts[0] is None else Diagonal(self.k)(gouts[0]), None, None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False], [False]]


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """Return a diagonal of the matrices along two axes of `x`, as the last axis of the result.

    >>> diagonal(np.zeros((3, 4)), 1).type.shape
    (3,)
    """
    x = _matrix(x, "diagonal")
    a, b = axis_of(axis1, x.ndim, "diagonal"), axis_of(axis2, x.ndim, "diagonal")
    if a == b:
        raise errors.RankError(errors.message("diagonal", f"axes {axis1} and {axis2} are the same", (describe(x),),
                                              caller()))
    return Diagonal(int(offset))(dimshuffle(x, *(c for c in range(x.ndim) if c not in (a, b)), a, b))


def alloc_diag(v: Any, offset: int = 0) -> Variable:
    """Return square matrices with the last axis of `v` on a diagonal.

    >>> alloc_diag([1, 2], 1).type.shape
    (3, 3)
    """
    v = as_tensor_variable(v)
    if v.ndim < 1:
        raise errors.RankError(errors.message("alloc_diag", "expected a vector", (describe(v),), caller()))
    n, known = extents(v)[-1], v.type.shape[-1]
    side = n + abs(offset) if known is None else constant(known + abs(offset), dtype="int64")
    return AllocDiagonal(int(offset), (None if known is None else known + abs(offset),) * 2)(v, side, side)


def diag(v: Any, k: int = 0) -> Variable:
    """Return the matrix with vector `v` on diagonal `k`, or diagonal `k` of matrix `v`.

    >>> diag([1, 2, 3]).type.shape, diag(np.zeros((2, 3))).type.shape
    ((3, 3), (2,))
    """
    v = as_tensor_variable(v)
    return alloc_diag(v, k) if v.ndim == 1 else diagonal(v, k)


extract_diag = diagonal


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """Return the sum of a diagonal.

    >>> trace(np.eye(3)).type.shape
    ()
    """
    return sum_of(diagonal(x, offset, axis1, axis2), axis=-1)


def tri(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Variable:
    """Return an n×m matrix with ones on and below diagonal `k`, else zeros.

    >>> tri(2, 3).type
    TensorType(float64, (2, 3))
    """
    return cast_to(_below(n, n if m is None else m, k), TensorType(dtype or "floatX").dtype)


def _below(n: Any, m: Any, k: Any) -> Variable:
    return le(dimshuffle(arange(m), "x", 0), dimshuffle(arange(n), 0, "x") + k)


def tril(x: Any, k: Any = 0) -> Variable:
    """Return `x` with zeros above diagonal `k` of its last two axes.

    >>> tril(np.ones((2, 3))).type.shape
    (2, 3)
    """
    x = _matrix(x, "tril")
    rows, columns = extents(x)[-2:]
    return switch(_below(rows, columns, k), x, constant(0, dtype=x.dtype))


def triu(x: Any, k: Any = 0) -> Variable:
    """Return `x` with zeros below diagonal `k` of its last two axes.

    >>> triu(np.ones((2, 3))).type.shape
    (2, 3)
    """
    x = _matrix(x, "triu")
    rows, columns = extents(x)[-2:]
    return switch(_below(rows, columns, k - 1), constant(0, dtype=x.dtype), x)


def fill_diagonal(x: Any, value: Any, offset: int = 0) -> Variable:
    """Return matrix `x` with `value` on a diagonal.

    >>> fill_diagonal(np.ones((2, 3)), 0).type
    TensorType(float64, (2, 3))
    """
    x = _matrix(x, "fill_diagonal")
    rows, columns = extents(x)[-2:]
    return switch(eye(rows, columns, offset, "bool"), cast_to(value, x.dtype), x)
