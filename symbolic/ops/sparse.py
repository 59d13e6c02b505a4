"""Sparse matrices: conversions, arithmetic and sums, as computations of their parts."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.compressed import Places, Starts, Transposed
from symbolic.ops.create import arange, zeros
from symbolic.ops.elementwise import cast_to, is_number
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.reduce import sum as total
from symbolic.ops.scatter import inc_subtensor, set_subtensor
from symbolic.ops.selection import nonzero
from symbolic.ops.sparse_parts import (
    agreeing,
    as_sparse,
    chosen,
    extents,
    inner_extent,
    is_sparse,
    like,
    of_keys,
    of_places,
    places,
    spread,
)
from symbolic.ops.sparse_type import FORMATS, SparseVariable, csm, is_scipy
from symbolic.source import caller
from symbolic.types import promote


def operand(x: Any) -> Any:
    """Return `x` as a sparse variable if it is one or a matrix of SciPy, else as a dense one."""
    return as_sparse(x) if is_sparse(x) or is_scipy(x) else x if is_number(x) else as_tensor_variable(x)


def wrong(name: str, text: str, *operands: Any, hint: str | None = None) -> errors.SymbolicError:
    """Return the error of a function that can't take its operands."""
    shown = tuple(describe(v) if isinstance(v, Variable) else repr(v) for v in operands)
    return errors.GraphError(errors.message(name, text, shown, caller(), hint))


# ------------------------------------------------------------------------------------------ conversions


def csm_properties(csm: Any) -> tuple[Variable, Variable, Variable, Variable]:
    """Return the data, indices, index pointers and shape of a sparse matrix."""
    x = as_sparse(csm)
    return x.data, x.indices, x.indptr, x.shape


def csm_data(csm: Any) -> Variable:
    """Return the stored elements."""
    return as_sparse(csm).data


def csm_indices(csm: Any) -> Variable:
    """Return the column of each element (csr), or its row (csc)."""
    return as_sparse(csm).indices


def csm_indptr(csm: Any) -> Variable:
    """Return where each row (csr) or column (csc) begins."""
    return as_sparse(csm).indptr


def csm_shape(csm: Any) -> Variable:
    """Return the extents."""
    return as_sparse(csm).shape


def CSR(data: Any, indices: Any, indptr: Any, shape: Any) -> SparseVariable:  # noqa: N802 (Theano's name)
    """Return the matrix whose rows are stored one after the other.

    Parameters
    ----------
    data : (nnz,) vector
    indices : (nnz,) integer vector
        Columns, rising within a row.
    indptr : (rows + 1,) integer vector
        Where rows begin.
    shape : (2,) integer vector

    Examples
    --------
    >>> import numpy as np
    >>> CSR(np.array([1.0, 2.0]), [0, 1], [0, 1, 2], (2, 2)).type
    Sparse(csr, float64)
    """
    return csm("csr", data, indices, indptr, shape)


def CSC(data: Any, indices: Any, indptr: Any, shape: Any) -> SparseVariable:  # noqa: N802 (Theano's name)
    """Return the matrix whose columns are stored one after the other; see :func:`CSR`."""
    return csm("csc", data, indices, indptr, shape)


def dense_from_sparse(x: Any) -> Variable:
    """Return a sparse matrix as a dense one."""
    x = as_sparse(x)
    rows, columns = places(x)
    return inc_subtensor(getitem(zeros(extents(x), x.dtype), (rows, columns)), x.data)


def _from_dense(format: str, x: Any) -> SparseVariable:
    x = as_tensor_variable(x)
    if x.ndim != 2:
        raise wrong(f"{format}_from_dense", "takes a matrix", x)
    n, m = x.shape[0], x.shape[1]  # type: ignore[index, attr-defined]
    rows, columns = nonzero(x)
    return to_format(of_keys("csr", rows * m + columns, getitem(x, (rows, columns)), (n, m)), format)


def csr_from_dense(x: Any) -> SparseVariable:
    """Return the elements of a matrix that aren't zero, stored by rows."""
    return _from_dense("csr", x)


def csc_from_dense(x: Any) -> SparseVariable:
    """Return the elements of a matrix that aren't zero, stored by columns."""
    return _from_dense("csc", x)


def to_format(x: Any, format: str) -> SparseVariable:
    """Return the same matrix in another format."""
    x = as_sparse(x)
    if x.format == format:
        return x
    indices, indptr, order = Transposed()(x.indices, x.indptr, inner_extent(x))
    return csm(format, getitem(x.data, order), indices, indptr, x.shape)


def transpose(x: Any) -> SparseVariable:
    """Return the transpose, in the other format: nothing moves."""
    x = as_sparse(x)
    return csm("csc" if x.format == "csr" else "csr", x.data, x.indices, x.indptr, x.shape[::-1])  # type: ignore[index, attr-defined]


def cast(variable: Any, dtype: str) -> SparseVariable:
    """Return the matrix in another dtype."""
    x = as_sparse(variable)
    return like(x, cast_to(x.data, dtype))


def ensure_sorted_indices(x: Any) -> SparseVariable:
    """Return `x` with the elements of each row (csr) or column (csc) in order, and those at one place added up.

    What is computed with sparse matrices, and what SciPy gives, is in order already; what :func:`CSR` and :func:`CSC` make of
    vectors may not be.
    """
    x = as_sparse(x)
    return of_places(x.format, *places(x), x.data, extents(x))


def remove0(x: Any) -> SparseVariable:
    """Return `x` without stored zeros."""
    x = as_sparse(x)
    return chosen(x, f.neq(x.data, 0))


clean = remove0


def sp_ones_like(x: Any) -> SparseVariable:
    """Return ones at the places of `x`."""
    x = as_sparse(x)
    return like(x, zeros((x.data.shape[0],), x.dtype) + 1)  # type: ignore[operator]


def sp_zeros_like(x: Any) -> SparseVariable:
    """Return a matrix of the extents of `x` in which nothing is stored."""
    x = as_sparse(x)
    return csm(x.format, x.data[:0], x.indices[:0], x.indptr * 0, x.shape)  # type: ignore[index, operator]


# ------------------------------------------------------------------------------------------ arithmetic


def neg(x: Any) -> SparseVariable:
    """Return ``-x``."""
    x = as_sparse(x)
    return like(x, -x.data)


def _alike(name: str, x: SparseVariable, y: SparseVariable) -> SparseVariable:
    """Return `x`, once its extents are seen to be those of `y`."""
    return agreeing(name, "extents", x, *zip(extents(x), extents(y), strict=True))


def _added(x: SparseVariable, y: SparseVariable, minus: bool) -> SparseVariable:
    x, y = _alike("sub" if minus else "add", x, y), to_format(y, x.format)
    dtype = promote(x.dtype, y.dtype)
    second = -cast_to(y.data, dtype) if minus else cast_to(y.data, dtype)
    indices, indptr, of_x, of_y = _places_of("sum", x, y)
    own = set_subtensor(getitem(zeros((indices.shape[0],), dtype), of_x), cast_to(x.data, dtype))  # type: ignore[attr-defined]
    return csm(x.format, inc_subtensor(getitem(own, of_y), second), indices, indptr, x.shape)


def _places_of(kind: str, x: SparseVariable, y: SparseVariable) -> tuple[Variable, Variable, Variable, Variable]:
    """Return indices and pointers of a result, and the places that :class:`Places` gives."""
    structure = x.indices, x.indptr, y.indices, y.indptr, inner_extent(x)
    indptr = Starts(kind)(*structure)
    indices, of_x, of_y = Places(kind)(*structure, indptr, cast_to(indptr[-1], "int64"))
    return indices, indptr, of_x, of_y


def add(x: Any, y: Any) -> Any:
    """Return ``x + y``: sparse if both are, else dense.

    Parameters
    ----------
    x, y : sparse or dense matrices
        A number or vector beside a sparse matrix isn't added: every element would be stored. See :func:`structured_add`.
    """
    x, y = operand(x), operand(y)
    if is_sparse(x) and is_sparse(y):
        return _added(x, y, False)
    return _dense(x, "add", y) + _dense(y, "add", x)


def sub(x: Any, y: Any) -> Any:
    """Return ``x - y``: sparse if both are, else dense."""
    x, y = operand(x), operand(y)
    if is_sparse(x) and is_sparse(y):
        return _added(x, y, True)
    return _dense(x, "sub", y) - _dense(y, "sub", x)


def _dense(x: Any, name: str, other: Any) -> Variable:
    if is_sparse(x):
        return dense_from_sparse(x)
    if is_number(x) or x.ndim != 2:
        raise wrong(name, "a sparse matrix takes a matrix beside it", x, other,
                     hint="structured_add changes the stored elements alone; dense_from_sparse(x) makes it dense")
    return x


def mul(x: Any, y: Any) -> SparseVariable:
    """Return the elementwise product, which is sparse.

    Parameters
    ----------
    x, y : sparse matrix, dense matrix, vector (of the columns) or number
        One at least is sparse.
    """
    x, y = operand(x), operand(y)
    if not is_sparse(x):
        x, y = y, x
    if not is_sparse(x):
        raise wrong("mul", "one of the operands must be sparse", x, y)
    if not is_sparse(y):
        value = y if is_number(y) or y.ndim == 0 else _at(y, *places(x))
        return like(x, x.data * value)  # type: ignore[operator]
    return _product(x, to_format(y, x.format))


def _at(y: Variable, rows: Variable, columns: Variable) -> Variable:
    """Return a dense matrix, or vector that broadcasts along rows, at places."""
    return getitem(y, columns) if y.ndim == 1 else getitem(y, (rows, columns))


def _product(x: SparseVariable, y: SparseVariable) -> SparseVariable:
    """Return the products at places that both have."""
    x = _alike("mul", x, y)
    dtype = promote(x.dtype, y.dtype)
    indices, indptr, of_x, of_y = _places_of("shared", x, y)
    data = getitem(cast_to(x.data, dtype), of_x) * getitem(cast_to(y.data, dtype), of_y)  # type: ignore[operator]
    return csm(x.format, data, indices, indptr, x.shape)


def mul_s_v(x: Any, y: Any) -> SparseVariable:
    """Return a sparse matrix times a vector that runs along its columns."""
    return mul(x, y)


def structured_add_s_v(x: Any, y: Any) -> SparseVariable:
    """Return a sparse matrix with a vector, which runs along its columns, added to the stored elements."""
    x, y = as_sparse(x), as_tensor_variable(y)
    return like(x, x.data + _at(y, *places(x)))  # type: ignore[operator]


def row_scale(x: Any, s: Any) -> SparseVariable:
    """Return `x` with each row times its element of the vector `s`."""
    x = as_sparse(x)
    return like(x, x.data * getitem(as_tensor_variable(s), places(x)[0]))  # type: ignore[operator]


def col_scale(x: Any, s: Any) -> SparseVariable:
    """Return `x` with each column times its element of the vector `s`."""
    x = as_sparse(x)
    return like(x, x.data * getitem(as_tensor_variable(s), places(x)[1]))  # type: ignore[operator]


def _comparison(function: Callable[[Any, Any], Variable]) -> Callable[[Any, Any], Any]:
    def compare(x: Any, y: Any) -> Any:
        x, y = operand(x), operand(y)
        both = is_sparse(x) and is_sparse(y)
        found = function(*(dense_from_sparse(v) if is_sparse(v) else v for v in (x, y)))
        return csr_from_dense(cast_to(found, "int8")) if both else found

    compare.__name__ = compare.__qualname__ = function.__name__
    compare.__doc__ = (f"Return ``{function.__name__}(x, y)`` elementwise: sparse int8 of two sparse matrices, dense bool of a "
                       "sparse and a dense one.")
    return compare


eq, neq, lt, gt, le, ge = (_comparison(r) for r in (f.eq, f.neq, f.lt, f.gt, f.le, f.ge))


# ------------------------------------------------------------------------------------------ reductions, parts


def sp_sum(x: Any, axis: int | None = None, sparse_grad: bool = False) -> Variable:
    """Return the sum of all elements, or along an axis, as a dense array.

    `sparse_grad` is accepted for Theano's sake: gradients of sparse matrices always have their structure.
    """
    x = as_sparse(x)
    if axis is None:
        return total(x.data)
    if axis not in (0, 1, -1, -2):
        raise wrong("sp_sum", f"axis must be 0, 1 or None, got {axis!r}", x)
    rows, columns = places(x)
    n, m = extents(x)
    return spread(columns, x.data, m) if axis in (0, -2) else spread(rows, x.data, n)


def diag(x: Any) -> Variable:
    """Return the diagonal, as a dense vector."""
    x = as_sparse(x)
    rows, columns = places(x)
    on = nonzero(f.eq(rows, columns))[0]
    return spread(getitem(rows, on), getitem(x.data, on), f.minimum(*extents(x)))


def square_diagonal(diag: Any) -> SparseVariable:
    """Return the square matrix with the vector `diag` on its diagonal, stored by columns."""
    d = as_tensor_variable(diag)
    n = d.shape[0]  # type: ignore[index, attr-defined]
    return csm("csc", d, arange(n), arange(n + 1), concatenate([n[None], n[None]]))


def _stacked(name: str, blocks: Sequence[Any], axis: int, format: str | None, dtype: str | None) -> SparseVariable:
    parts = [as_sparse(b) for b in blocks]
    if not parts:
        raise wrong(name, "needs at least one matrix")
    format = format or "csc"
    if format not in FORMATS:
        raise wrong(name, f"the format must be 'csr' or 'csc', got {format!r}")
    to = dtype or promote(*(p.dtype for p in parts))
    at: Any = 0
    moved: list[list[Variable]] = [[], []]
    for p in parts:
        for a, where in enumerate(places(p)):
            moved[a].append(where + at if a == axis else where)  # type: ignore[operator]
        at = at + extents(p)[axis]
    other = extents(parts[0])[1 - axis]
    shape = (at, other) if axis == 0 else (other, at)
    data = concatenate([cast_to(p.data, to) for p in parts])
    return of_places(format, concatenate(moved[0]), concatenate(moved[1]), data, shape)


def hstack(blocks: Sequence[Any], format: str | None = None, dtype: str | None = None) -> SparseVariable:
    """Return matrices side by side; `format` is ``'csc'`` unless given."""
    return _stacked("hstack", blocks, 1, format, dtype)


def vstack(blocks: Sequence[Any], format: str | None = None, dtype: str | None = None) -> SparseVariable:
    """Return matrices one below the other; `format` is ``'csc'`` unless given."""
    return _stacked("vstack", blocks, 0, format, dtype)
