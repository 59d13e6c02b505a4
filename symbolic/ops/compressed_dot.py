"""The product of a compressed sparse matrix with a dense one, as a native loop over the stored elements."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symbolic.graph import Apply, Op, Variable
from symbolic.ops.compressed import FAILURES, beside, outer_of, pointed, verify
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to, match_dtype
from symbolic.ops.functions import conj
from symbolic.ops.index import getitem
from symbolic.ops.join import repeat
from symbolic.ops.reduce import sum as total
from symbolic.scalar import Check, Expr, dim, load
from symbolic.template import Template
from symbolic.types import TensorType, is_complex

Terms = list[Variable | None]


class CompressedDot(Op):
    """``A @ y`` of the parts of A: data, indices, index pointers, y, and the number of rows of the result.

    Parameters
    ----------
    gathers : bool
        Whether A is stored by rows (csr); else by columns (csc).
    """

    __props__ = ("gathers",)
    name = "dot"

    def __init__(self, gathers: bool) -> None:
        self.gathers = gathers

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        y = types[3]
        return (TensorType(y.dtype, (None, *y.shape[1:])),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        y = types[3]
        rows = dim(2, 0) - 1 if self.gathers else load(4, (), "int64")
        return ((rows, *(dim(3, a) for a in range(1, y.ndim))),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return *pointed(2), beside(0, 1)

    def template(self, *types: TensorType) -> Template:
        return Template("compressed_dot", (("gathers", self.gathers), ("ndim", types[3].ndim), ("dtype", types[3].dtype)),
                        FAILURES)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        data, indices, indptr, y, n = arrays
        inner = len(y) if self.gathers else int(n)
        verify(indices, indptr, inner)
        outer = outer_of(indptr)
        rows, columns = (outer, indices) if self.gathers else (indices, outer)
        out = np.zeros((len(indptr) - 1 if self.gathers else int(n), *y.shape[1:]), y.dtype)
        np.add.at(out, rows, data.reshape(-1, *[1] * (y.ndim - 1)) * y[columns])
        return (out,)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        data, indices, indptr, y, _ = inputs
        g = gouts[0]
        if g is None:
            return [None] * 5
        g = match_dtype(g, y.dtype)
        starts = cast_to(indptr, "int64")
        lengths = starts[1:] - starts[:-1]  # type: ignore[index]
        outer, inner = repeat(arange(lengths.shape[0]), lengths), cast_to(indices, "int64")  # type: ignore[attr-defined]
        rows, columns = (outer, inner) if self.gathers else (inner, outer)
        over, left = (conj(v) if is_complex(v.dtype) else v for v in (y, data))
        terms = getitem(g, rows) * getitem(over, columns)  # type: ignore[operator]
        by_data = terms if y.ndim == 1 else total(terms, axis=1)
        by_y = CompressedDot(not self.gathers)(left, indices, indptr, g, y.shape[0])  # type: ignore[attr-defined]
        return [by_data, None, None, by_y, None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False], [False], [True], [False]]
