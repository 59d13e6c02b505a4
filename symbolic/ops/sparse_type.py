"""Sparse matrices as variables: a format, and four dense variables that hold the matrix.

A program knows dense arrays alone. A sparse variable is either an input, whose parts :class:`Parts` takes out, or a
:class:`CSM` of dense variables, whose parts are these. So what is computed with sparse matrices is computed with their
parts; :func:`symbolic.function` takes matrices apart and puts them together. Derivatives are those of the parts: the gradient
of a sparse matrix has its structure.
"""
from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Op, Variable, as_tensor_variable, describe
from symbolic.ops.elementwise import cast_to
from symbolic.reverse import DENSE_PARTS
from symbolic.shared import CONSTRUCTORS, SharedVariable, shared
from symbolic.source import caller
from symbolic.types import TensorType, dtype_name, is_discrete

FORMATS = ("csr", "csc")
#: positions are int32, as in SciPy
_LARGEST = np.iinfo("int32").max


def is_scipy(x: Any) -> bool:
    """Whether `x` is a sparse matrix or array of SciPy; without importing it, which then can't have made it."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and bool(module.issparse(x))


@dataclass(frozen=True, slots=True)
class SparseType:
    """The type of a sparse matrix: ``'csr'`` (rows one after the other) or ``'csc'`` (columns), and the dtype.

    Examples
    --------
    >>> SparseType("csr", "float32")
    Sparse(csr, float32)
    """

    format: str
    dtype: str

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise errors.ParameterError(f"the format of a sparse matrix must be 'csr' or 'csc', got {self.format!r}")
        object.__setattr__(self, "dtype", dtype_name(self.dtype))

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Not known before a function runs."""
        return (None, None)

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """A sparse matrix doesn't broadcast."""
        return (False, False)

    def __call__(self, name: str | None = None) -> SparseVariable:
        return SparseVariable(self, name=name)

    make_variable = __call__

    def __repr__(self) -> str:
        return f"Sparse({self.format}, {self.dtype})"

    __str__ = __repr__

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> list[np.ndarray]:
        """Return the data, indices, index pointers and shape of a matrix of SciPy that fits this type.

        Raises
        ------
        ConversionError
            If `value` isn't sparse, or is of the other format.
        DTypeError
            If its dtype would lose precision.
        """
        if not is_scipy(value):
            dense = isinstance(value, np.ndarray)
            hint = f"scipy.sparse.{self.format}_matrix(value)" if dense else "pass a matrix of scipy.sparse"
            raise errors.ConversionError(f"expected {self}, got {type(value).__name__}\nhint: {hint}")
        if value.ndim != 2 or value.format != self.format:
            raise errors.ConversionError(f"expected {self}, got {value.ndim} dimensions in format {value.format!r}\n"
                                         f"hint: .to{self.format}() converts it")
        if not value.has_canonical_format:
            value = value.copy()
            value.sum_duplicates()
        if max(*value.shape, value.nnz) > _LARGEST:
            raise errors.NotSupported(f"a sparse matrix of shape {value.shape} with {value.nnz} elements is too large: positions "
                                      "are int32")
        data = value.data
        if data.dtype != self.dtype:
            data = TensorType(self.dtype, (None,)).filter(data, strict, allow_downcast)
        stored = value.indptr[-1]  # the vectors may be longer
        return [data[:stored], value.indices[:stored].astype("int32", copy=False), value.indptr.astype("int32", copy=False),
                np.array(value.shape, "int64")]

    def matrix(self, parts: Sequence[np.ndarray]) -> Any:
        """Return the matrix of SciPy that has these parts."""
        data, indices, indptr, shape = parts
        scipy_sparse = importlib.import_module("scipy.sparse")  # half a second, and only for who has sparse results
        make = scipy_sparse.csr_matrix if self.format == "csr" else scipy_sparse.csc_matrix
        return make((data, indices, indptr), shape=tuple(int(n) for n in shape))


class PartsOf(NamedTuple):
    """The dense variables of a sparse one."""

    data: Variable
    indices: Variable
    indptr: Variable
    shape: Variable


class SparseVariable(Variable):
    """A sparse matrix."""

    __slots__ = ("_parts",)
    type: Any

    def __init__(self, type: Any, owner: Apply | None = None, index: int | None = None, name: str | None = None,
                 loc: Any = None) -> None:
        super().__init__(type, owner, index, name, loc)
        self._parts: PartsOf | None = None

    @property
    def format(self) -> str:
        """``'csr'`` or ``'csc'``."""
        return self.type.format

    @property
    def parts(self) -> PartsOf:
        """The data, indices, index pointers and shape."""
        if self._parts is None:
            if self.owner is not None and isinstance(self.owner.op, CSM):
                self._parts = PartsOf(*self.owner.inputs)
            else:
                self._parts = PartsOf(*Parts()(self))
        return self._parts

    @property
    def data(self) -> Variable:
        """The elements that are stored."""
        return self.parts.data

    @property
    def indices(self) -> Variable:
        """The column of each element (csr), or its row (csc)."""
        return self.parts.indices

    @property
    def indptr(self) -> Variable:
        """Where each row begins (csr), or each column (csc)."""
        return self.parts.indptr

    @property
    def shape(self) -> Variable:
        """Extents."""
        return self.parts.shape


class Parts(Op):
    """The four parts of a sparse input."""

    name = "csm_properties"

    def make_node(self, *inputs: Any) -> Apply:
        x, = inputs
        return Apply(self, [x], [TensorType(x.dtype, (None,)), TensorType("int32", (None,)), TensorType("int32", (None,)),
                                 TensorType("int64", (2,))], caller())

    def infer_type(self, *types: Any) -> tuple[TensorType, ...]:
        return (TensorType(types[0].dtype, (None,)), TensorType("int32", (None,)), TensorType("int32", (None,)),
                TensorType("int64", (2,)))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False, False, False]]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x = inputs[0]
        assert isinstance(x, SparseVariable)
        return [None if gouts[0] is None or is_discrete(x.dtype) else csm(x.format, gouts[0], outputs[1], outputs[2], outputs[3])]


class CSM(Op):
    """A sparse matrix of its parts."""

    __props__ = ("format",)

    def __init__(self, format: str) -> None:
        self.format = format

    @property
    def name(self) -> str:
        return self.format.upper()

    def infer_type(self, *types: Any) -> tuple[Any, ...]:
        return (SparseType(self.format, types[0].dtype),)

    def make_node(self, *inputs: Any) -> Apply:
        data, indices, indptr, shape = (as_tensor_variable(v) for v in inputs)
        if data.ndim != 1 or shape.ndim != 1 or any(v.ndim != 1 or not is_discrete(v.dtype) for v in (indices, indptr)):
            raise errors.RankError(errors.message(self.name, "the parts of a sparse matrix are four vectors, those of positions "
                                                  "integers", tuple(map(describe, (data, indices, indptr, shape))), caller()))
        parts = [data, cast_to(indices, "int32"), cast_to(indptr, "int32"), cast_to(shape, "int64")]
        node = Apply(self, parts, [TensorType(data.dtype, (None, None))], caller())
        node.outputs = (SparseVariable(SparseType(self.format, data.dtype), node, 0),)
        return node


def csm(format: str, data: Any, indices: Any, indptr: Any, shape: Any, name: str | None = None) -> SparseVariable:
    """Return the sparse matrix of these parts."""
    made: SparseVariable = CSM(format)(data, indices, indptr, shape)
    made.name = name
    return made


def _elements(v: Variable) -> tuple[Variable, Callable[[Variable], Variable]] | None:
    """Return the stored elements of a computed or shared matrix: its gradient has its structure."""
    if not isinstance(v, SparseVariable) or v.owner is None or not isinstance(v.owner.op, CSM):
        return None
    parts = v.parts
    return parts.data, lambda g: csm(v.format, g, parts.indices, parts.indptr, parts.shape)


DENSE_PARTS.append(_elements)


class SparseShared(SparseVariable):
    """A sparse matrix that lives between calls; its parts are shared variables."""

    __slots__ = ()

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """Return the matrix of SciPy; a copy unless `borrow`."""
        return self.type.matrix([p.get_value(borrow) for p in self.parts])  # type: ignore[attr-defined]

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Replace it by a matrix of the same format and dtype.

        Raises
        ------
        ConversionError, DTypeError
            If `new_value` doesn't fit; the old value stays.
        """
        for p, value in zip(self.parts, self.type.filter(new_value), strict=True):
            p.set_value(value, borrow)  # type: ignore[attr-defined]


def _shared(value: Any, name: str | None, borrow: bool) -> SparseShared | None:
    if not is_scipy(value):
        return None
    kind = SparseType(value.format, value.dtype.name) if value.format in FORMATS else None
    if kind is None:
        raise errors.ConversionError(errors.message("shared", f"a sparse matrix must be csr or csc, got {value.format!r}", (),
                                                    caller(), ".tocsr() converts it"))
    label = name or "sparse"
    parts: list[SharedVariable] = [shared(v, f"{label}.{p}", borrow=borrow)
                                   for p, v in zip(PartsOf._fields, kind.filter(value), strict=True)]
    parts[3].type = TensorType("int64", (2,))
    node = Apply(CSM(kind.format), parts, [TensorType(kind.dtype, (None, None))], caller())
    made = SparseShared(kind, node, 0, name)
    node.outputs = (made,)
    return made


CONSTRUCTORS.append(_shared)
