"""Products of matrices: dot and its relatives."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Op, Variable, as_tensor_variable, describe
from symbolic.ops.elementwise import broadcast_shape, match_dtype, unbroadcast, weak_operands
from symbolic.ops.functions import conj, mul
from symbolic.ops.region import extent_of
from symbolic.ops.shape import dimshuffle, extents, flatten, reshape
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, cast, const, dim, load, reduce_axis
from symbolic.source import caller
from symbolic.types import TensorType, is_complex, is_discrete, promote

#: What is wrong most often where a product's extents don't fit.
_TRANSPOSED = ("the last axis of the first operand meets the last but one of the second (or its only one); are they in the wrong "
               "order, or is one to be transposed, as W.T?")

def _product(x: Expr, y: Expr, dtype: str) -> Expr:
    # float16 is for storage: products and sums run in float32
    work = "float32" if dtype == "float16" else dtype
    return binary("and" if dtype == "bool" else "mul", cast(x, work), cast(y, work))


def _combiner(dtype: str) -> str:
    return "or" if dtype == "bool" else "add"


def _inner_check(m: int, a: int, n: int, b: int, types: Sequence[TensorType]) -> tuple[Check, ...]:
    """Return the guard that axis `a` of input `m` is as long as axis `b` of input `n`."""
    if types[m].shape[a] is not None and types[n].shape[b] is not None:
        return ()
    x, y = extent_of(m, types[m], a), extent_of(n, types[n], b)
    return (Check(binary("eq", x, y), f"inner extents differ: {{0}} and {{1}}\nhint: {_TRANSPOSED}", detail=(x, y)),)


def _check_inner(m: int | None, n: int | None) -> None:
    if m is not None and n is not None and m != n:
        raise errors.ShapeError(f"inner extents differ: {m} and {n}\nhint: {_TRANSPOSED}")


def _adjoint(x: Variable) -> Variable:
    """Return `x` with the last two axes swapped, conjugated if complex."""
    order = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    return dimshuffle(_conj(x), order)


def _conj(x: Variable) -> Variable:
    return conj(x) if is_complex(x.dtype) else x


class Dot(Op):
    """Product of vectors and matrices: inputs of one or two axes each, summed over the inner one."""

    name = "dot"
    extern: str | None = "gemm"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, b = types
        if not (1 <= a.ndim <= 2 and 1 <= b.ndim <= 2):
            raise errors.RankError(f"expected operands of 1 or 2 dimensions, got {a.ndim} and {b.ndim}")
        _check_inner(a.shape[-1], b.shape[0])
        return (TensorType(promote(a.dtype, b.dtype), a.shape[:-1] + b.shape[1:]),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        a, b = types
        rows = tuple(extent_of(0, a, k) for k in range(a.ndim - 1))
        return (rows + tuple(extent_of(1, b, k) for k in range(1, b.ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return _inner_check(0, types[0].ndim - 1, 1, 0, types)

    def compute(self, *types: TensorType) -> IndexLambda:
        a, b = types
        dtype = promote(a.dtype, b.dtype)
        k = reduce_axis(0)
        left = load(0, (axis(0), k) if a.ndim == 2 else (k,), a.dtype)
        right = load(1, (k, axis(a.ndim - 1)) if b.ndim == 2 else (k,), b.dtype)
        inner = extent_of(0, a, a.ndim - 1)
        if inner.op != "const":
            inner = extent_of(1, b, 0) if b.shape[0] is not None else inner
        return IndexLambda(_product(left, right, dtype), (inner,), _combiner(dtype))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.asarray(np.dot(*arrays)),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        a, b = inputs
        g = gouts[0]
        if g is None:
            return [None, None]
        if a.ndim == 1 and b.ndim == 1:
            ga, gb = g * _conj(b), g * _conj(a)
        elif a.ndim == 1:
            ga, gb = dot(_conj(b), g), outer(_conj(a), g)
        elif b.ndim == 1:
            ga, gb = outer(g, _conj(b)), dot(g, _conj(a))
        else:
            ga, gb = dot(g, _adjoint(b)), dot(_adjoint(a), g)
        return [None if is_discrete(x.dtype) else match_dtype(t, x.dtype) for x, t in ((a, ga), (b, gb))]


class VectorDot(Dot):
    """The product of two vectors: a reduction, which the compiler fuses with what its operands are made of."""

    extern = None


class BatchedDot(Op):
    """Matrix products over the last two axes; the axes before them are a batch and broadcast."""

    name = "batched_dot"

    def _batch(self, types: Sequence[TensorType]) -> tuple[int | None, ...]:
        return broadcast_shape([t.shape[:-2] for t in types])

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, b = types
        if a.ndim != b.ndim or a.ndim < 2:
            raise errors.RankError(f"expected operands of the same rank, at least 2, got {a.ndim} and {b.ndim}")
        _check_inner(a.shape[-1], b.shape[-2])
        return (TensorType(promote(a.dtype, b.dtype), (*self._batch(types), a.shape[-2], b.shape[-1])),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        a, b = types
        n = a.ndim - 2
        batch = []
        for d, known in enumerate(self._batch(types)):
            k = 1 if a.shape[d] == 1 else 0
            batch.append(dim(k, d) if known is None else const(known, "int64"))
        return ((*batch, extent_of(0, a, n), extent_of(1, b, n + 1)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        a, b = types
        out = []
        for d in range(a.ndim - 2):
            if 1 in (a.shape[d], b.shape[d]) or None not in (a.shape[d], b.shape[d]):
                continue
            x, y = dim(0, d), dim(1, d)
            out.append(Check(binary("eq", x, y), f"batch extents {{0}} and {{1}} on axis {d} differ", detail=(x, y),
                             broadcast=((0, d), (1, d))))
        return (*out, *_inner_check(0, a.ndim - 1, 1, b.ndim - 2, types))

    def compute(self, *types: TensorType) -> IndexLambda:
        a, b = types
        n = a.ndim - 2
        dtype = promote(a.dtype, b.dtype)
        batch = [[const(0, "int64") if t.shape[d] == 1 else axis(d) for d in range(n)] for t in types]
        k = reduce_axis(0)
        left = load(0, (*batch[0], axis(n), k), a.dtype)
        right = load(1, (*batch[1], k, axis(n + 1)), b.dtype)
        inner = extent_of(0, a, n + 1) if b.shape[n] is None else extent_of(1, b, n)
        return IndexLambda(_product(left, right, dtype), (inner,), _combiner(dtype))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.matmul(*arrays),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        a, b = inputs
        g = gouts[0]
        if g is None:
            return [None, None]
        terms = ((a, lambda: BatchedDot()(g, _adjoint(b))), (b, lambda: BatchedDot()(_adjoint(a), g)))
        return [None if is_discrete(x.dtype) else unbroadcast(t(), x, inputs) for x, t in terms]


class SameExtents(Op):
    """Its first input, which must be as long along some axes as the second: what grouping axes would hide.

    Parameters
    ----------
    pairs : tuple of (int, int)
        An axis of the first input, one of the second.
    """

    __props__ = ("pairs",)
    name = "tensordot"
    view_of = 0

    def __init__(self, pairs: tuple[tuple[int, int], ...]) -> None:
        self.pairs = pairs

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        for m, n in self.pairs:
            _check_inner(types[0].shape[m], types[1].shape[n])
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(extent_of(0, types[0], d) for d in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return tuple(check for m, n in self.pairs for check in _inner_check(0, m, 1, n, types))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0], None]


# ---------------------------------------------------------------------------------------- for users


def dot(a: Any, b: Any) -> Variable:
    """Return the product of two arrays, as ``numpy.dot``.

    Parameters
    ----------
    a, b : array_like
        Vectors and matrices multiply as usual; a scalar multiplies each element; with more axes, the last of
        `a` and the second to last of `b` are summed over.

    Returns
    -------
    Variable
        Of the promoted dtype.

    Raises
    ------
    ShapeError
        If the inner extents differ.

    Examples
    --------
    >>> x, w = TensorType("float32", (None, 784))("x"), TensorType("float32", (784, 10))("w")
    >>> dot(x, w).type
    TensorType(float32, (?, 10))
    """
    a, b = weak_operands((a, b))
    if a.ndim == 0 or b.ndim == 0:
        return mul(a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        return _dot(a, b)
    return tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


def _dot(a: Variable, b: Variable) -> Variable:
    return VectorDot()(a, b) if a.ndim == b.ndim == 1 else Dot()(a, b)


def matmul(a: Any, b: Any) -> Variable:
    """Return ``a @ b``, as ``numpy.matmul``: axes before the last two are a batch and broadcast.

    Parameters
    ----------
    a, b : array_like
        At least one axis each.

    Returns
    -------
    Variable

    Raises
    ------
    RankError
        If an operand is a scalar.
    ShapeError
        If the inner extents differ.

    Examples
    --------
    >>> x, w = TensorType("float32", (8, 3, 4))("x"), TensorType("float32", (4, 5))("w")
    >>> matmul(x, w).type
    TensorType(float32, (8, 3, 5))
    """
    a, b = weak_operands((a, b))
    if a.ndim == 0 or b.ndim == 0:
        raise errors.RankError(errors.message("matmul", "operands must have at least one dimension",
                                              (describe(a), describe(b)), caller(), "use * for scalars"))
    if a.ndim <= 2 and b.ndim <= 2:
        return _dot(a, b)
    left = dimshuffle(a, ["x", 0]) if a.ndim == 1 else a
    right = dimshuffle(b, [0, "x"]) if b.ndim == 1 else b
    n = max(left.ndim, right.ndim)
    out = BatchedDot()(_padded(left, n), _padded(right, n))
    dropped = {n - 2} if a.ndim == 1 else {n - 1} if b.ndim == 1 else set()
    return dimshuffle(out, [d for d in range(n) if d not in dropped]) if dropped else out


def _padded(x: Variable, n: int) -> Variable:
    return x if x.ndim == n else dimshuffle(x, ["x"] * (n - x.ndim) + list(range(x.ndim)))


def batched_dot(a: Any, b: Any) -> Variable:
    """Return one product for each element of the first axis.

    Parameters
    ----------
    a, b : array_like
        The first axis is the batch; behind it, scalars, vectors or matrices that :func:`dot` would take. With
        more axes, the last of `a` and the second to last of `b` are summed over.

    Returns
    -------
    Variable

    Raises
    ------
    RankError
        If an operand is a scalar.
    ShapeError
        If batch or inner extents differ.

    Examples
    --------
    >>> x, y = TensorType("float32", (8, 3, 4))("x"), TensorType("float32", (8, 4))("y")
    >>> batched_dot(x, y).type
    TensorType(float32, (8, 3))
    """
    a, b = weak_operands((a, b))
    if a.ndim == 0 or b.ndim == 0:
        raise errors.RankError(errors.message("batched_dot", "operands must have a batch axis",
                                              (describe(a), describe(b)), caller(), "use * for scalars"))
    if a.ndim == 1 or b.ndim == 1:
        return _aligned(a, b.ndim) * _aligned(b, a.ndim)
    if a.ndim > 3 or b.ndim > 3:
        return batched_tensordot(a, b, [[a.ndim - 1], [max(b.ndim - 2, 1)]])
    left = dimshuffle(a, [0, "x", 1]) if a.ndim == 2 else a
    right = dimshuffle(b, [0, 1, "x"]) if b.ndim == 2 else b
    out = BatchedDot()(left, right)
    kept = [0] + ([1] if a.ndim == 3 else []) + ([2] if b.ndim == 3 else [])
    return out if len(kept) == 3 else dimshuffle(out, kept)


def _aligned(x: Variable, n: int) -> Variable:
    """Return `x` with axes of extent 1 added behind, up to rank `n`."""
    return x if x.ndim >= n else dimshuffle(x, list(range(x.ndim)) + ["x"] * (n - x.ndim))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Variable:
    """Return the sum of products over given axes, as ``numpy.tensordot``.

    Parameters
    ----------
    a, b : array_like
    axes : int, or pair of int or sequences of int
        The axes of `a` and those of `b` that are summed over; an int n: the last n of `a`, the first n of `b`.

    Returns
    -------
    Variable
        The other axes of `a`, then those of `b`.

    Raises
    ------
    RankError
        If there is no such axis.
    ShapeError
        If extents of the summed axes differ.

    Examples
    --------
    >>> x, y = TensorType("float32", (2, 3, 4))("x"), TensorType("float32", (4, 3, 5))("y")
    >>> tensordot(x, y, axes=[[1, 2], [1, 0]]).type
    TensorType(float32, (2, 5))
    """
    a, b = weak_operands((a, b))
    summed_a, summed_b = _summed_axes(a, b, axes, 0)
    a = same_extents(a, b, summed_a, summed_b)
    free_a = [d for d in range(a.ndim) if d not in summed_a]
    free_b = [d for d in range(b.ndim) if d not in summed_b]
    left = grouped(a, [free_a, summed_a])
    right = grouped(b, [summed_b, free_b])
    return _ungrouped(Dot()(left, right), [[(a, d) for d in free_a], [(b, d) for d in free_b]])


def batched_tensordot(x: Any, y: Any, axes: Any = 2) -> Variable:
    """Return one :func:`tensordot` for each element of the first axis.

    Parameters
    ----------
    x, y : array_like
        The first axis is the batch.
    axes : int, or pair of int or sequences of int
        Numbered with the batch axis as 0, which can't be summed over.

    Returns
    -------
    Variable

    Raises
    ------
    RankError
        If there is no such axis.
    ShapeError
        If batch or summed extents differ.

    Examples
    --------
    >>> x, y = TensorType("float32", (8, 2, 3))("x"), TensorType("float32", (8, 3, 5))("y")
    >>> batched_tensordot(x, y, axes=1).type
    TensorType(float32, (8, 2, 5))
    """
    x, y = weak_operands((x, y))
    summed_x, summed_y = _summed_axes(x, y, axes, 1)
    x = same_extents(x, y, summed_x, summed_y)
    free_x = [d for d in range(1, x.ndim) if d not in summed_x]
    free_y = [d for d in range(1, y.ndim) if d not in summed_y]
    out = BatchedDot()(grouped(x, [[0], free_x, summed_x]), grouped(y, [[0], summed_y, free_y]))
    return _ungrouped(out, [[(x, 0)], [(x, d) for d in free_x], [(y, d) for d in free_y]])


def _summed_axes(a: Variable, b: Variable, axes: Any, first: int) -> tuple[list[int], list[int]]:
    if isinstance(axes, (int, np.integer)):
        pair: Any = (range(a.ndim - int(axes), a.ndim), range(first, first + int(axes)))
    else:
        pair = [[e] if isinstance(e, (int, np.integer)) else list(e) for e in axes]
    if len(pair) != 2 or len(pair[0]) != len(pair[1]):
        raise errors.RankError(errors.message("tensordot", f"axes must name as many of a as of b, got {axes!r}",
                                              (describe(a), describe(b)), caller()))
    out = []
    for x, given in zip((a, b), pair, strict=True):
        found = [int(d) + x.ndim if d < 0 else int(d) for d in given]
        if len(set(found)) != len(found) or not all(first <= d < x.ndim for d in found):
            raise errors.RankError(errors.message("tensordot", f"axes {list(given)} aren't axes of {describe(x)}", (),
                                                  caller()))
        out.append(found)
    for m, n in zip(*out, strict=True):
        p, q = a.type.shape[m], b.type.shape[n]
        if p is not None and q is not None and p != q:
            raise errors.ShapeError(errors.message(
                "tensordot", f"inner extents differ: {p} (axis {m}) and {q} (axis {n})", (describe(a), describe(b)),
                caller()))
    return out[0], out[1]


def same_extents(a: Variable, b: Variable, summed_a: Sequence[int], summed_b: Sequence[int]) -> Variable:
    """Return `a`, whose summed axes are checked against those of `b`, where grouping them would hide a difference."""
    if len(summed_a) < 2 or all(a.type.shape[m] is not None and b.type.shape[n] is not None
                                for m, n in zip(summed_a, summed_b, strict=True)):
        return a
    return SameExtents(tuple(zip(summed_a, summed_b, strict=True)))(a, b)


def grouped(x: Variable, groups: Sequence[Sequence[int]]) -> Variable:
    """Return `x` with each group of axes as one axis."""
    order = [d for group in groups for d in group]
    moved = x if order == list(range(x.ndim)) else dimshuffle(x, order)
    if all(len(group) == 1 for group in groups):
        return moved
    return reshape(moved, [_extent(x, group) for group in groups], ndim=len(groups))


def _extent(x: Variable, axes: Sequence[int]) -> Any:
    total: Any = 1
    for d in axes:
        n = x.type.shape[d]
        total = total * (extents(x)[d] if n is None else n)
    return total


def _ungrouped(out: Variable, groups: Sequence[Sequence[tuple[Variable, int]]]) -> Variable:
    """Return `out`, each axis of which stands for a group of axes, with those axes."""
    if all(len(group) == 1 for group in groups):
        return out
    axes = [axis for group in groups for axis in group]
    return reshape(out, [_extent(x, [d]) for x, d in axes], ndim=len(axes))


def split_extents(x: Variable, k: int, rows: Sequence[tuple[Variable, int]], columns: Sequence[tuple[Variable, int]]) -> Variable:
    """Return `x` with its last two axes, which stand for groups of axes of others, as those axes; `k` axes are in front."""
    if len(rows) == len(columns) == 1:
        return x
    return reshape(x, [*extents(x)[:k], *(_extent(v, [d]) for v, d in (*rows, *columns))], ndim=k + len(rows) + len(columns))


def outer(a: Any, b: Any) -> Variable:
    """Return the products of all pairs of elements; arrays of other ranks are flattened.

    Parameters
    ----------
    a, b : array_like

    Returns
    -------
    Variable, shape (a.size, b.size)

    Examples
    --------
    >>> outer(TensorType("float32", (2,))("a"), TensorType("float32", (3,))("b")).type
    TensorType(float32, (2, 3))
    """
    a, b = (v if v.ndim == 1 else flatten(v) for v in (as_tensor_variable(a), as_tensor_variable(b)))
    return mul(dimshuffle(a, [0, "x"]), dimshuffle(b, ["x", 0]))
