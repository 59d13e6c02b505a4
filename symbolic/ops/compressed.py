"""Where the elements of compressed sparse matrices are: transposed, of sums, of elementwise products, of matrix products.

A compressed matrix is two int32 vectors, for its elements the index along the inner axis, row by row, and the pointers at
which rows begin. What is stored doesn't matter here; :mod:`symbolic.ops.compressed_product` multiplies it.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Op, Variable
from symbolic.scalar import Check, Expr, binary, dim, load
from symbolic.template import Template
from symbolic.types import TensorType

OUTSIDE = "index {0} of an element of the sparse matrix isn't between 0 and {1}, which is excluded"
POINTERS = "index pointer {0} of the sparse matrix is {1}: pointers rise, from 0 to the number of elements, {2}"
_UNSORTED = ("the indices of row or column {0} of the sparse matrix don't rise\n"
             "hint: sparse.ensure_sorted_indices(x) sorts them")
_TOO_MANY = "the result has {0} elements: positions in sparse matrices are int32\nhint: compute some of its rows at a time"
FAILURES: tuple[tuple[type[Exception], str], ...] = ((errors.IndexOutOfBounds, OUTSIDE), (errors.ShapeError, POINTERS))
_VECTOR, _PLACES = TensorType("int32", (None,)), TensorType("int64", (None,))


def verify(indices: np.ndarray, indptr: np.ndarray, inner: int) -> None:
    """Raise what the kernels report where a matrix isn't one."""
    wrong = np.flatnonzero((np.diff(indptr, prepend=0) < 0) | (indptr > len(indices)))
    if not wrong.size and indptr[-1] != len(indices):
        wrong = np.array([len(indptr) - 1])
    if not wrong.size and indptr[0] != 0:
        wrong = np.array([0])
    if wrong.size:
        raise errors.ShapeError(POINTERS.format(wrong[0], indptr[wrong[0]], len(indices)))
    outside = np.flatnonzero((indices < 0) | (indices >= inner))
    if outside.size:
        raise errors.IndexOutOfBounds(OUTSIDE.format(indices[outside[0]], inner))


def pointed(*at: int) -> tuple[Check, ...]:
    """Return the checks that vectors of pointers, which are these inputs, have their first."""
    return tuple(Check(binary("le", 1, dim(k, 0)), "the index pointers of a sparse matrix are one more than its rows (csr) or "
                       "columns (csc), got {0}", (), (dim(k, 0),)) for k in at)


def beside(data: int, indices: int) -> Check:
    """Return the check that there are as many elements as indices of them, which are these inputs."""
    both = dim(data, 0), dim(indices, 0)
    return Check(binary("eq", *both), "a sparse matrix has {0} elements, but {1} indices of them", (), both)


def outer_of(indptr: np.ndarray) -> np.ndarray:
    """Return the row of each element."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def terms(xi: np.ndarray, yp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the elements p of x and q of y of which a product x y adds up ``x[p] * y[q]``."""
    lengths = np.diff(yp)[xi]
    p = np.repeat(np.arange(len(xi)), lengths)
    return p, np.arange(len(p)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + yp[xi][p]


class _Structure(Op):
    """What the ops have in common: derivatives see no positions."""

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None] * len(inputs)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] * len(node.outputs) for _ in node.inputs]


class Transposed(_Structure):
    """Indices and pointers of the transpose, and the place that each of its elements had.

    Inputs: indices, pointers, and the inner extent, an int64 scalar. Elements of a row stay in order.
    """

    __props__ = ()
    name = "transpose"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return _VECTOR, _VECTOR, _PLACES

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (dim(0, 0),), (load(2, (), "int64") + 1,), (dim(0, 0),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return pointed(1)

    def template(self, *types: TensorType) -> Template:
        return Template("compressed_transpose", (), FAILURES)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        indices, indptr, inner = arrays
        verify(indices, indptr, int(inner))
        order = np.argsort(indices, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(indices, minlength=int(inner)))])
        return outer_of(indptr)[order].astype("int32"), starts.astype("int32"), order.astype("int64")


class _OfTwo(_Structure):
    """What comes of two matrices of equally many rows; inputs are the indices and pointers of both, then the inner extent.

    Parameters
    ----------
    kind : {'sum', 'shared', 'product'}
        Elements at places where one of them has one; where both have; where their matrix product has. For products the number
        of rows of the second is the inner extent of the first, and the scalar is the inner extent of the result.
    """

    __props__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @property
    def name(self) -> str:
        return {"sum": "add", "shared": "mul", "product": "dot"}[self.kind]

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        if self.kind == "product":
            return pointed(1, 3)
        rows = dim(1, 0) - 1, dim(3, 0) - 1
        return (*pointed(1, 3), Check(binary("eq", *rows), "extents {0} and {1} differ", (), rows))

    def _template(self, part: str) -> Template:
        return Template("compressed_places", (("kind", self.kind), ("part", part)),
                        (*FAILURES, (errors.GraphError, _UNSORTED), (errors.NotSupported, _TOO_MANY)))

    def _found(self, xi: np.ndarray, xp: np.ndarray, yi: np.ndarray, yp: np.ndarray, inner: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the places of the results, and of the operands unless they are multiplied, as one number each: row times inner
        extent plus index.
        """
        m = int(inner)
        verify(xi, xp, len(yp) - 1 if self.kind == "product" else m)
        verify(yi, yp, m)
        rows, columns = outer_of(xp), outer_of(yp)
        xi, yi = xi.astype("int64"), yi.astype("int64")
        if self.kind == "product":
            p, q = terms(xi, yp)
            return np.unique(rows[p] * m + yi[q]), xi, yi
        keys = []
        for outer, at in ((rows, xi), (columns, yi)):
            keys.append(outer * m + at)
            falls = np.flatnonzero(np.diff(keys[-1]) <= 0)
            if falls.size:
                raise errors.GraphError(_UNSORTED.format(outer[falls[0]]))
        x, y = keys
        return (np.union1d(x, y) if self.kind == "sum" else np.intersect1d(x, y)), x, y


class Starts(_OfTwo):
    """Where the rows of the result begin; the last says how many elements there are."""

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (_VECTOR,)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((dim(1, 0),),)

    def template(self, *types: TensorType) -> Template:
        return self._template("starts")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        key, _, _ = self._found(*arrays)
        if len(key) > np.iinfo("int32").max:
            raise errors.NotSupported(_TOO_MANY.format(len(key)))
        counts = np.bincount(key // max(int(arrays[4]), 1), minlength=len(arrays[1]) - 1)
        return (np.concatenate([[0], np.cumsum(counts)]).astype("int32"),)


class Places(_OfTwo):
    """The indices of the results, rising in each row; of a sum then where in it the elements of both operands go, of shared
    places where they come from. More inputs: the pointers that :class:`Starts` made, and the last of them as an int64 scalar.
    """

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (_VECTOR,) if self.kind == "product" else (_VECTOR, _PLACES, _PLACES)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        count = (load(6, (), "int64"),)
        return {"product": (count,), "shared": (count, count, count), "sum": (count, (dim(0, 0),), (dim(2, 0),))}[self.kind]

    def template(self, *types: TensorType) -> Template:
        return self._template("places")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        key, x, y = self._found(*arrays[:5])
        indices = (key % max(int(arrays[4]), 1)).astype("int32")
        if self.kind == "product":
            return (indices,)
        if self.kind == "shared":
            return indices, np.searchsorted(x, key), np.searchsorted(y, key)
        return indices, np.searchsorted(key, x), np.searchsorted(key, y)
