"""Sparse matrices: what is computed with them, as computations of their parts.

Products with dense matrices add ``data[p] * y[column[p]]`` to row ``row[p]``, one native loop over the stored elements.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange, zeros
from symbolic.ops.cumulative import cumsum
from symbolic.ops.elementwise import cast_to, is_number, weak_operands
from symbolic.ops.extra import InRange
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate, repeat
from symbolic.ops.reduce import sum as total
from symbolic.ops.scatter import inc_subtensor
from symbolic.ops.selection import nonzero
from symbolic.ops.shape import dimshuffle
from symbolic.ops.sparse_parts import (
    agreeing,
    as_sparse,
    chosen,
    extents,
    is_sparse,
    like,
    of_keys,
    of_places,
    places,
    sorted_by_place,
    spread,
)
from symbolic.ops.sparse_type import FORMATS, SparseVariable, csm, is_scipy
from symbolic.source import caller
from symbolic.types import promote


def _one(x: Any) -> Any:
    """Return `x` as a sparse variable if it is one or a matrix of SciPy, else as a dense one."""
    return as_sparse(x) if is_sparse(x) or is_scipy(x) else x if is_number(x) else as_tensor_variable(x)


def _wrong(name: str, text: str, *operands: Any, hint: str | None = None) -> errors.SymbolicError:
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
        raise _wrong(f"{format}_from_dense", "takes a matrix", x)
    n, m = x.shape[0], x.shape[1]  # type: ignore[index]
    rows, columns = nonzero(x)
    data = getitem(x, (rows, columns))
    if format == "csr":
        return of_keys("csr", rows * m + columns, data, (n, m))
    key, values = sorted_by_place("csc", rows, columns, data, n)
    return of_keys("csc", key, values, (n, m))


def csr_from_dense(x: Any) -> SparseVariable:
    """Return the elements of a matrix that aren't zero, stored by rows."""
    return _from_dense("csr", x)


def csc_from_dense(x: Any) -> SparseVariable:
    """Return the elements of a matrix that aren't zero, stored by columns."""
    return _from_dense("csc", x)


def to_format(x: Any, format: str) -> SparseVariable:
    """Return the same matrix in another format."""
    x = as_sparse(x)
    return x if x.format == format else of_places(format, *places(x), x.data, extents(x))


def transpose(x: Any) -> SparseVariable:
    """Return the transpose, in the other format: nothing moves."""
    x = as_sparse(x)
    return csm("csc" if x.format == "csr" else "csr", x.data, x.indices, x.indptr, x.shape[::-1])  # type: ignore[index]


def cast(variable: Any, dtype: str) -> SparseVariable:
    """Return the matrix in another dtype."""
    x = as_sparse(variable)
    return like(x, cast_to(x.data, dtype))


def ensure_sorted_indices(x: Any) -> SparseVariable:
    """Return `x`: elements are always sorted."""
    return as_sparse(x)


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
    x = _alike("sub" if minus else "add", x, y)
    rows, columns = (concatenate(pair) for pair in zip(places(x), places(y), strict=True))
    dtype = promote(x.dtype, y.dtype)
    second = -cast_to(y.data, dtype) if minus else cast_to(y.data, dtype)
    return of_places(x.format, rows, columns, concatenate([cast_to(x.data, dtype), second]), extents(x))


def add(x: Any, y: Any) -> Any:
    """Return ``x + y``: sparse if both are, else dense.

    Parameters
    ----------
    x, y : sparse or dense matrices
        A number or vector beside a sparse matrix isn't added: every element would be stored. See :func:`structured_add`.
    """
    x, y = _one(x), _one(y)
    if is_sparse(x) and is_sparse(y):
        return _added(x, y, False)
    return _dense(x, "add", y) + _dense(y, "add", x)


def sub(x: Any, y: Any) -> Any:
    """Return ``x - y``: sparse if both are, else dense."""
    x, y = _one(x), _one(y)
    if is_sparse(x) and is_sparse(y):
        return _added(x, y, True)
    return _dense(x, "sub", y) - _dense(y, "sub", x)


def _dense(x: Any, name: str, other: Any) -> Variable:
    if is_sparse(x):
        return dense_from_sparse(x)
    if is_number(x) or x.ndim != 2:
        raise _wrong(name, "a sparse matrix takes a matrix beside it", x, other,
                     hint="structured_add changes the stored elements alone; dense_from_sparse(x) makes it dense")
    return x


def mul(x: Any, y: Any) -> SparseVariable:
    """Return the elementwise product, which is sparse.

    Parameters
    ----------
    x, y : sparse matrix, dense matrix, vector (of the columns) or number
        One at least is sparse.
    """
    x, y = _one(x), _one(y)
    if not is_sparse(x):
        x, y = y, x
    if not is_sparse(x):
        raise _wrong("mul", "one of the operands must be sparse", x, y)
    if not is_sparse(y):
        value = y if is_number(y) or y.ndim == 0 else _at(y, *places(x))
        return like(x, x.data * value)  # type: ignore[operator]
    return _product(x, to_format(y, x.format))


def _at(y: Variable, rows: Variable, columns: Variable) -> Variable:
    """Return a dense matrix, or vector that broadcasts along rows, at places."""
    return getitem(y, columns) if y.ndim == 1 else getitem(y, (rows, columns))


def _product(x: SparseVariable, y: SparseVariable) -> SparseVariable:
    """Return the products at places that both have: sorted together, equal places stand side by side."""
    x = _alike("mul", x, y)
    rows, columns = (concatenate(pair) for pair in zip(places(x), places(y), strict=True))
    dtype = promote(x.dtype, y.dtype)
    n, m = extents(x)
    key, values = sorted_by_place(x.format, rows, columns, concatenate([cast_to(x.data, dtype), cast_to(y.data, dtype)]),
                                  m if x.format == "csr" else n)
    first = nonzero(f.eq(key[1:], key[:-1]))[0]  # type: ignore[index]
    return of_keys(x.format, getitem(key, first), getitem(values, first) * getitem(values, first + 1), (n, m))


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
        x, y = _one(x), _one(y)
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
        raise _wrong("sp_sum", f"axis must be 0, 1 or None, got {axis!r}", x)
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
    n = d.shape[0]  # type: ignore[index]
    return csm("csc", d, arange(n), arange(n + 1), concatenate([n[None], n[None]]))


def _stacked(name: str, blocks: Sequence[Any], axis: int, format: str | None, dtype: str | None) -> SparseVariable:
    parts = [as_sparse(b) for b in blocks]
    if not parts:
        raise _wrong(name, "needs at least one matrix")
    format = format or "csc"
    if format not in FORMATS:
        raise _wrong(name, f"the format must be 'csr' or 'csc', got {format!r}")
    to = dtype or promote(*(p.dtype for p in parts))
    at: Any = 0
    moved: list[list[Variable]] = [[], []]
    for p in parts:
        for a, where in enumerate(places(p)):
            moved[a].append(where + at if a == axis else where)  # type: ignore[operator]
        at = at + extents(p)[axis]
    other = extents(parts[0])[1 - axis]
    shape = (at, other) if axis == 0 else (other, at)
    return of_places(format, concatenate(moved[0]), concatenate(moved[1]), concatenate([cast_to(p.data, to) for p in parts]), shape)


def hstack(blocks: Sequence[Any], format: str | None = None, dtype: str | None = None) -> SparseVariable:
    """Return matrices side by side; `format` is ``'csc'`` unless given."""
    return _stacked("hstack", blocks, 1, format, dtype)


def vstack(blocks: Sequence[Any], format: str | None = None, dtype: str | None = None) -> SparseVariable:
    """Return matrices one below the other; `format` is ``'csc'`` unless given."""
    return _stacked("vstack", blocks, 0, format, dtype)


# ------------------------------------------------------------------------------------------ products


def _times_dense(x: SparseVariable, y: Variable) -> Variable:
    rows, columns = places(x)
    dtype = promote(x.dtype, y.dtype)
    data, y = cast_to(x.data, dtype), cast_to(y, dtype)
    if y.ndim == 1:
        return spread(rows, data * getitem(y, columns), extents(x)[0])  # type: ignore[operator]
    out = zeros((extents(x)[0], y.shape[1]), dtype)  # type: ignore[index]
    return inc_subtensor(getitem(out, rows), dimshuffle(data, (0, "x")) * getitem(y, columns))  # type: ignore[operator]


def _times_sparse(x: SparseVariable, y: SparseVariable) -> SparseVariable:
    """Each element (i, k) of `x` meets all of row k of `y`."""
    x, y = to_format(x, "csr"), to_format(y, "csr")
    rows, middle = places(x)
    starts = cast_to(y.indptr, "int64")
    lengths = getitem(starts[1:] - starts[:-1], middle)  # type: ignore[index]
    element = repeat(arange(lengths.shape[0]), lengths)  # type: ignore[attr-defined]
    first = cumsum(lengths) - lengths  # type: ignore[operator]
    other = arange(element.shape[0]) - getitem(first - getitem(starts, middle), element)  # type: ignore[operator, attr-defined]
    dtype = promote(x.dtype, y.dtype)
    data = cast_to(getitem(x.data, element), dtype) * cast_to(getitem(y.data, other), dtype)
    return of_places("csr", getitem(rows, element), cast_to(getitem(y.indices, other), "int64"), data,
                     (extents(x)[0], extents(y)[1]))


def true_dot(x: Any, y: Any, grad_preserves_dense: bool = True) -> Any:
    """Return the product of two matrices: sparse if both are, else dense.

    Parameters
    ----------
    x, y : sparse or dense; `y` may be a vector
    grad_preserves_dense : bool
        Accepted for Theano's sake: gradients have the structure of what they belong to.
    """
    x, y = _one(x), _one(y)
    if not is_sparse(x) and not is_sparse(y):
        raise _wrong("dot", "one of the operands must be sparse", x, y, hint="T.dot multiplies dense arrays")
    for v in (x, y):
        if is_number(v) or not 1 <= v.ndim <= 2:
            raise _wrong("dot", "takes matrices, and vectors beside a sparse matrix", x, y)
    if is_sparse(x) and is_sparse(y):
        found = _times_sparse(agreeing("dot", "inner extents", x, (extents(x)[1], extents(y)[0])), y)
        return found if x.format == "csr" else to_format(found, "csc")
    if is_sparse(x):
        return _times_dense(agreeing("dot", "inner extents", x, (extents(x)[1], y.shape[0])), y)
    x = dimshuffle(x, (1, 0)) if x.ndim == 2 else x
    out = _times_dense(transpose(agreeing("dot", "inner extents", y, (x.shape[0], extents(y)[0]))), x)
    return dimshuffle(out, (1, 0)) if out.ndim == 2 else out


def dot(x: Any, y: Any) -> Variable:
    """Return the product of two matrices, one at least sparse, as a dense array."""
    found = true_dot(x, y)
    return dense_from_sparse(found) if is_sparse(found) else found


def structured_dot(x: Any, y: Any) -> Any:
    """Return the product of a sparse matrix with a matrix; sparse if both are."""
    return true_dot(x, y)


def usmm(alpha: Any, x: Any, y: Any, z: Any) -> Variable:
    """Return ``alpha * dot(x, y) + z`` as a dense matrix."""
    a, z = weak_operands([alpha, z])
    return a * dot(x, y) + z  # type: ignore[operator]


def sampling_dot(x: Any, y: Any, p: Any) -> SparseVariable:
    """Return ``p * dot(x, y.T)``, computed only where `p` has elements."""
    x, y, p = as_tensor_variable(x), as_tensor_variable(y), as_sparse(p)
    rows, columns = places(p)
    return like(p, p.data * total(getitem(x, rows) * getitem(y, columns), axis=1))  # type: ignore[operator]


# ------------------------------------------------------------------------------------------ structured functions


def _structured(function: Callable[..., Any], doc: str, more: int = 0) -> Callable[..., SparseVariable]:
    def apply(x: Any, *args: Any) -> SparseVariable:
        if len(args) != more:
            raise TypeError(f"structured_{function.__name__} takes {1 + more} arguments, got {1 + len(args)}")
        x = as_sparse(x)
        return like(x, function(x.data, *args))

    apply.__name__ = apply.__qualname__ = f"structured_{function.__name__}"
    apply.__doc__ = doc
    return apply


def structured_monoid(tensor_op: Callable[..., Any]) -> Callable[..., SparseVariable]:
    """Return a function that applies `tensor_op` to the stored elements of a sparse matrix."""
    def apply(x: Any, *args: Any) -> SparseVariable:
        x = as_sparse(x)
        return like(x, tensor_op(x.data, *args))

    return apply


structured_sigmoid, structured_exp, structured_log = (
    _structured(r, f"Return ``{r.__name__}(x)`` of the stored elements.") for r in (f.sigmoid, f.exp, f.log))
structured_pow, structured_minimum, structured_maximum, structured_add = (
    _structured(r, f"Return ``{r.__name__}(x, y)`` of the stored elements and a number.", 1)
    for r in (f.pow, f.minimum, f.maximum, f.add))
#: Functions that are zero at zero, by name.
KEEP_ZEROS: dict[str, Callable[..., SparseVariable]] = {
    name: _structured(getattr(f, name), f"Return ``{name}(x)``, which is zero where `x` is.")
    for name in ("sin", "arcsin", "tan", "arctan", "sinh", "arcsinh", "tanh", "arctanh", "sgn", "ceil", "floor", "sqr",
                 "sqrt", "log1p", "expm1", "deg2rad", "rad2deg", "trunc", "conj")} | {
    "rint": _structured(f.round_half_to_even, "Return ``rint(x)``, which is zero where `x` is.")}


def get_item(x: SparseVariable, key: Any) -> Any:
    """Return an element as a scalar; or the rows and columns of slices of step 1, or of a list of rows, as a sparse matrix."""
    key = key if isinstance(key, tuple) else (key,)
    key = (*key, slice(None))[:2] if len(key) < 2 else key
    if len(key) != 2:
        raise _wrong("getitem", "a sparse matrix has two axes", x, key)
    rows, columns = places(x)
    shape = extents(x)
    scalars = [not isinstance(k, (slice, list)) and as_tensor_variable(k).ndim == 0 for k in key]
    if all(scalars):
        i, j = (InRange("getitem: index")(cast_to(f.switch(f.lt(k, 0), as_tensor_variable(k) + n, k), "int64"), n)
                for k, n in zip(key, shape, strict=True))
        return total(f.switch(f.and_(f.eq(rows, i), f.eq(columns, j)), x.data, cast_to(as_tensor_variable(0), x.dtype)))
    if isinstance(key[0], slice) and isinstance(key[1], slice):
        bounds = [_bounds(k, n, x) for k, n in zip(key, shape, strict=True)]
        keep = None
        for where, (start, stop) in zip((rows, columns), bounds, strict=True):
            here = f.and_(f.ge(where, start), f.lt(where, stop))
            keep = here if keep is None else f.and_(keep, here)
        at = nonzero(keep)[0]
        moved = [getitem(where, at) - start for where, (start, _) in zip((rows, columns), bounds, strict=True)]
        size = [f.maximum(stop - start, 0) for start, stop in bounds]
        n, m = size
        outer = moved[0] * m + moved[1] if x.format == "csr" else moved[1] * n + moved[0]
        return of_keys(x.format, outer, getitem(x.data, at), size)
    if scalars[0] and isinstance(key[1], slice):
        i = as_tensor_variable(key[0])
        i = f.switch(f.lt(i, 0), i + shape[0], i)
        return get_item(x, (slice(i, i + 1), key[1]))
    if isinstance(key[1], slice) and key[1] == slice(None) and not scalars[0]:
        picked = as_tensor_variable(key[0])
        n = picked.shape[0]  # type: ignore[index]
        ones = zeros((n,), x.dtype) + 1  # type: ignore[operator]
        chooser = csm("csr", ones, picked, arange(n + 1), concatenate([n[None], shape[0][None]]))
        return _times_sparse(chooser, x) if x.format == "csr" else to_format(_times_sparse(chooser, x), "csc")
    raise errors.NotSupported(errors.message("getitem", "this index of a sparse matrix isn't supported", (repr(key),), caller(),
                                             "an element, slices of step 1, a row or a list of rows can be taken"))


def _bounds(k: slice, n: Variable, x: SparseVariable) -> tuple[Variable, Variable]:
    if k.step not in (None, 1):
        raise errors.NotSupported(errors.message("getitem", f"slices of sparse matrices have step 1, got {k.step!r}", (describe(x),),
                                                 caller()))
    found = []
    for bound, default in ((k.start, 0), (k.stop, n)):
        b = as_tensor_variable(default if bound is None else bound)
        found.append(f.maximum(f.minimum(f.switch(f.lt(b, 0), b + n, b), n), 0))
    return found[0], found[1]


def _install() -> None:
    """Give sparse variables Python's operators."""
    def reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda self, other: function(other, self)

    for name, function in {"add": add, "sub": sub, "mul": mul, "matmul": true_dot}.items():
        setattr(SparseVariable, f"__{name}__", lambda self, other, function=function: function(self, other))
        setattr(SparseVariable, f"__r{name}__", reflected(function))
    for name, function in {"lt": lt, "gt": gt, "le": le, "ge": ge}.items():
        setattr(SparseVariable, f"__{name}__", lambda self, other, function=function: function(self, other))
    methods: dict[str, Callable[..., Any]] = {
        "__neg__": neg, "__getitem__": get_item, "toarray": dense_from_sparse, "todense": dense_from_sparse,
        "transpose": transpose, "astype": cast, "sum": sp_sum, "dot": dot, "tocsr": lambda self: to_format(self, "csr"),
        "tocsc": lambda self: to_format(self, "csc")}
    for name, function in methods.items():
        setattr(SparseVariable, name, function)
    SparseVariable.T = property(transpose)  # type: ignore[attr-defined]


_install()
