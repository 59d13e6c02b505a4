"""Where the elements of sparse matrices are, and matrices made of elements anywhere: sorted, equal places added up."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Op, Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange, zeros
from symbolic.ops.cumulative import cumsum
from symbolic.ops.elementwise import cast_to
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate, repeat
from symbolic.ops.reduce import sum as total
from symbolic.ops.scatter import inc_subtensor
from symbolic.ops.selection import nonzero
from symbolic.ops.sort import argsort
from symbolic.ops.sparse_type import FORMATS, SparseType, SparseVariable, csm, is_scipy
from symbolic.scalar import Check, Expr, binary, dim, load
from symbolic.source import caller
from symbolic.types import TensorType


def is_sparse(x: Any) -> bool:
    """Whether `x` is a sparse variable."""
    return isinstance(x, SparseVariable)


def as_sparse(x: Any, name: str | None = None) -> SparseVariable:
    """Return `x` as a sparse variable: itself, or a constant made of a matrix of SciPy.

    Raises
    ------
    ConversionError
        If `x` is neither.
    """
    if isinstance(x, SparseVariable):
        return x
    if not is_scipy(x):
        shown = describe(x) if isinstance(x, Variable) else type(x).__name__
        raise errors.ConversionError(errors.message(
            "as_sparse_variable", f"expected a sparse variable or a matrix of scipy.sparse, got {shown}", (), caller(),
            "csr_from_dense makes a sparse variable of a dense one"))
    if x.format not in FORMATS:
        x = x.tocsr()
    data, indices, indptr, shape = SparseType(x.format, x.dtype.name).filter(x)
    return csm(x.format, data, indices, indptr, shape, name)


class Agrees(Op):
    """Its first input, once the two scalars after it are seen to be equal."""

    __props__ = ("where", "what")
    view_of = 0

    def __init__(self, where: str, what: str) -> None:
        self.where, self.what = where, what

    @property
    def name(self) -> str:
        return self.where

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        a, b = load(1, (), "int64"), load(2, (), "int64")
        return (Check(binary("eq", a, b), f"{self.what} {{0}} and {{1}} differ", detail=(a, b)),)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return arrays[:1]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0], None, None]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None]:
        return tangents[:1]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False], [False]]


def agreeing(name: str, what: str, x: SparseVariable, *pairs: tuple[Variable, Variable]) -> SparseVariable:
    """Return `x`, once each pair of extents is seen to be equal: nothing else would find it."""
    indices = x.indices  # before anything is taken by them
    for a, b in pairs:
        indices = Agrees(name, what)(indices, a, b)
    return csm(x.format, x.data, indices, x.indptr, x.shape)


def spread(index: Variable, values: Variable, n: Any) -> Variable:
    """Return the vector of extent `n` of the sums of `values` whose index it is."""
    return inc_subtensor(getitem(zeros((n,), values.dtype), index), values)


def places(x: SparseVariable) -> tuple[Variable, Variable]:
    """Return the row and the column of each element, as int64."""
    indptr = cast_to(x.indptr, "int64")
    lengths = indptr[1:] - indptr[:-1]  # type: ignore[index]
    outer = repeat(arange(lengths.shape[0]), lengths)  # type: ignore[attr-defined]
    inner = cast_to(x.indices, "int64")
    return (outer, inner) if x.format == "csr" else (inner, outer)


def pointers(outer: Variable, n: Variable) -> Variable:
    """Return where each of `n` rows (or columns) begins among elements that are sorted by them."""
    counts = spread(outer + 1, zeros((outer.shape[0],), "int64") + 1, n + 1)  # type: ignore[operator, attr-defined]
    return cumsum(counts)


def extents(x: SparseVariable) -> tuple[Variable, Variable]:
    """Return the number of rows and of columns."""
    return x.shape[0], x.shape[1]  # type: ignore[index]


def inner_extent(x: SparseVariable) -> Variable:
    """Return the number of columns (csr) or rows (csc): indices are below it."""
    n, m = extents(x)
    return m if x.format == "csr" else n


def of_places(format: str, rows: Variable, columns: Variable, data: Variable, shape: Sequence[Any]) -> SparseVariable:
    """Return the matrix of elements in any order; those at one place are added up."""
    n, m = (as_tensor_variable(e) for e in shape)
    unsorted = rows * m + columns if format == "csr" else columns * n + rows  # type: ignore[operator]
    order = argsort(unsorted, kind="stable")
    key, values = getitem(unsorted, order), getitem(data, order)
    before = concatenate([np.array([-1]), key])[:-1]  # type: ignore[index]
    new = f.neq(key, before)
    where = cumsum(cast_to(new, "int64")) - 1  # type: ignore[operator]
    count = total(cast_to(new, "int64"))
    kept = getitem(key, nonzero(new)[0])
    return of_keys(format, kept, spread(where, values, count), (n, m))


def of_keys(format: str, key: Variable, data: Variable, shape: Sequence[Any]) -> SparseVariable:
    """Return the matrix of elements at rising places, no two at one."""
    n, m = (as_tensor_variable(e) for e in shape)
    outer_extent, inner_extent = (n, m) if format == "csr" else (m, n)
    safe = f.maximum(inner_extent, 1)
    outer = f.int_div(key, safe)
    return csm(format, data, f.mod(key, safe), pointers(outer, outer_extent), concatenate([n[None], m[None]]))  # type: ignore[index]


def like(x: SparseVariable, data: Variable) -> SparseVariable:
    """Return other elements at the places of `x`."""
    return csm(x.format, data, x.indices, x.indptr, x.shape)


def chosen(x: SparseVariable, keep: Variable) -> SparseVariable:
    """Return `x` with only the elements for which `keep` holds."""
    at = nonzero(keep)[0]
    outer, n = (places(x)[0], extents(x)[0]) if x.format == "csr" else (places(x)[1], extents(x)[1])
    return csm(x.format, getitem(x.data, at), getitem(x.indices, at), pointers(getitem(outer, at), n), x.shape)
