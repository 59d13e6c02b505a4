"""Products with sparse matrices, and functions of their stored elements; parts of them, and Python's operators on them.

A product with a dense matrix adds ``data[p] * y[column[p]]`` to row ``row[p]``: one native loop over the stored elements.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.compressed import Places, Starts
from symbolic.ops.compressed_dot import CompressedDot
from symbolic.ops.compressed_product import CompressedProduct
from symbolic.ops.create import arange, zeros
from symbolic.ops.elementwise import cast_to, is_number, weak_operands
from symbolic.ops.extra import InRange
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.reduce import sum as total
from symbolic.ops.selection import nonzero
from symbolic.ops.shape import dimshuffle
from symbolic.ops.sparse import (
    add,
    cast,
    dense_from_sparse,
    ge,
    gt,
    le,
    lt,
    mul,
    neg,
    operand,
    sp_sum,
    sub,
    to_format,
    transpose,
    wrong,
)
from symbolic.ops.sparse_parts import agreeing, as_sparse, extents, is_sparse, like, of_keys, places
from symbolic.ops.sparse_type import SparseVariable, csm
from symbolic.source import caller
from symbolic.types import promote


def _times_dense(x: SparseVariable, y: Variable) -> Variable:
    dtype = promote(x.dtype, y.dtype)
    work = "float32" if dtype == "float16" else dtype
    found = CompressedDot(x.format == "csr")(cast_to(x.data, work), x.indices, x.indptr, cast_to(y, work), extents(x)[0])
    return cast_to(found, dtype)


def _times_sparse(x: SparseVariable, y: SparseVariable) -> SparseVariable:
    """Each element (i, k) of `x` meets all of row k of `y`; the product has the format of `x`."""
    if x.format == "csc":  # the transposes, whose rows are these columns
        return transpose(_times_sparse(transpose(to_format(y, "csc")), transpose(x)))
    y = to_format(y, "csr")
    dtype = promote(x.dtype, y.dtype)
    work = "float32" if dtype == "float16" else dtype
    structure = x.indices, x.indptr, y.indices, y.indptr
    (n, _), (_, m) = extents(x), extents(y)
    starts = Starts("product")(*structure, m)
    columns = Places("product")(*structure, m, starts, cast_to(starts[-1], "int64"))
    data = CompressedProduct("z")(cast_to(x.data, work), cast_to(y.data, work), *structure, columns, starts, m)
    return csm("csr", cast_to(data, dtype), columns, starts, concatenate([n[None], m[None]]))


def true_dot(x: Any, y: Any, grad_preserves_dense: bool = True) -> Any:
    """Return the product of two matrices: sparse if both are, else dense.

    Parameters
    ----------
    x, y : sparse or dense; `y` may be a vector
    grad_preserves_dense : bool
        Accepted for Theano's sake: gradients have the structure of what they belong to.
    """
    x, y = operand(x), operand(y)
    if not is_sparse(x) and not is_sparse(y):
        raise wrong("dot", "one of the operands must be sparse", x, y, hint="T.dot multiplies dense arrays")
    for v in (x, y):
        if is_number(v) or not 1 <= v.ndim <= 2:
            raise wrong("dot", "takes matrices, and vectors beside a sparse matrix", x, y)
    if is_sparse(x) and is_sparse(y):
        return _times_sparse(agreeing("dot", "inner extents", x, (extents(x)[1], extents(y)[0])), y)
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
        raise wrong("getitem", "a sparse matrix has two axes", x, key)
    rows, columns = places(x)
    shape = extents(x)
    scalars = [not isinstance(k, (slice, list)) and as_tensor_variable(k).ndim == 0 for k in key]
    if all(scalars):
        i, j = (_counted(k, n) for k, n in zip(key, shape, strict=True))
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
        picked = _counted(key[0], shape[0])
        n = picked.shape[0]  # type: ignore[index, attr-defined]
        ones = zeros((n,), x.dtype) + 1  # type: ignore[operator]
        chooser = csm("csr", ones, picked, arange(n + 1), concatenate([n[None], shape[0][None]]))
        return to_format(_times_sparse(chooser, x), x.format)
    raise errors.NotSupported(errors.message("getitem", "this index of a sparse matrix isn't supported", (repr(key),), caller(),
                                             "an element, slices of step 1, a row or a list of rows can be taken"))


def _counted(k: Any, n: Variable) -> Variable:
    """Return indices of an axis of extent `n`, negative ones counted from its end, once they are seen to be within it."""
    return InRange("getitem: index")(cast_to(f.switch(f.lt(k, 0), as_tensor_variable(k) + n, k), "int64"), n)


def _bounds(k: slice, n: Variable, x: SparseVariable) -> tuple[Variable, Variable]:
    if k.step not in (None, 1):
        raise errors.NotSupported(errors.message("getitem", f"slices of sparse matrices have step 1, got {k.step!r}",
                                                 (describe(x),), caller()))
    found = []
    for bound, default in ((k.start, 0), (k.stop, n)):
        b = as_tensor_variable(default if bound is None else bound)
        found.append(f.maximum(f.minimum(f.switch(f.lt(b, 0), b + n, b), n), 0))
    return found[0], found[1]


def _install() -> None:
    """Give sparse variables Python's operators."""
    def reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda self, other: function(other, self)

    both: dict[str, Callable[[Any, Any], Any]] = {"add": add, "sub": sub, "mul": mul, "matmul": true_dot}
    for name, function in both.items():
        setattr(SparseVariable, f"__{name}__", lambda self, other, function=function: function(self, other))
        setattr(SparseVariable, f"__r{name}__", reflected(function))
    compared: dict[str, Callable[[Any, Any], Any]] = {"lt": lt, "gt": gt, "le": le, "ge": ge}
    for name, function in compared.items():
        setattr(SparseVariable, f"__{name}__", lambda self, other, function=function: function(self, other))
    methods: dict[str, Callable[..., Any]] = {
        "__neg__": neg, "__getitem__": get_item, "toarray": dense_from_sparse, "todense": dense_from_sparse,
        "transpose": transpose, "astype": cast, "sum": sp_sum, "dot": dot, "tocsr": lambda self: to_format(self, "csr"),
        "tocsc": lambda self: to_format(self, "csc")}
    for name, function in methods.items():
        setattr(SparseVariable, name, function)
    SparseVariable.T = property(transpose)  # type: ignore[attr-defined]


_install()
