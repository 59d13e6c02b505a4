"""Counting, looking up and unpacking indices: compositions, and their checks."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.create import alloc, arange
from symbolic.ops.cumulative import Cumulative
from symbolic.ops.diagonal import eye
from symbolic.ops.diagonal import fill_diagonal as fill_matrix_diagonal
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import as_extents, extents, specify_shape
from symbolic.ops.index import getitem
from symbolic.ops.reduce import Largest
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scatter import inc_subtensor, set_subtensor
from symbolic.ops.shape import dimshuffle, flatten, reshape
from symbolic.ops.sort import Sort
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType, is_complex, is_discrete, is_float

Pullback = list[Variable | None]


def _int(n: int) -> Constant:
    return constant(n, dtype="int64")


class InRange(Op):
    """Integers, each of which must be at least 0 and less than the second input.

    Parameters
    ----------
    what : str
        What they are, for the error.
    """

    __props__ = ("what",)
    is_index_map = True

    def __init__(self, what: str) -> None:
        self.what = what

    @property
    def name(self) -> str:
        return self.what.partition(":")[0]

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(load(0, [axis(a) for a in range(types[0].ndim)], types[0].dtype))

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        nd = types[0].ndim
        i, n = load(0, [axis(a) for a in range(nd)], "int64"), load(1, (), "int64")
        inside = binary("le", const(0, "int64"), i) & binary("lt", i, n)
        text = self.what.partition(": ")[2] + " {0} isn't between 0 and {1}, which is excluded"
        extents = tuple(dim(0, a) for a in range(nd))
        return (Check(inside, text, extents or (const(1, "int64"),), (i, n), error=errors.IndexOutOfBounds),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [None, None]


def _integers(x: Any, op: str) -> Variable:
    x = as_tensor_variable(x)
    if not is_discrete(x.dtype):
        raise errors.DTypeError(errors.message(op, "expected integers", (describe(x),), caller(),
                                               "cast them: T.cast(x, 'int64')"))
    return cast_to(x, "int64")


def bincount(x: Any, weights: Any = None, minlength: Any = None, assert_nonneg: bool = False) -> Variable:
    """Return how often each of 0, 1, ... occurs, as ``numpy.bincount``.

    Parameters
    ----------
    x : integer array_like, shape (n,)
        Not negative.
    weights : array_like, shape (n,), optional
        What each occurrence counts; they have a gradient.
    minlength : int or integer scalar, optional
        The least length of the result.
    assert_nonneg : bool
        For Theano's signature: negative ones are an error in any case.

    Returns
    -------
    Variable, shape (max(x) + 1,)
        int64, or the dtype of `weights`.

    Raises
    ------
    RankError, DTypeError
        If `x` isn't a vector of integers.
    IndexOutOfBounds
        If one is negative, when the function runs.

    Examples
    --------
    >>> bincount([1, 1, 3]).dtype
    'int64'
    """
    x = _integers(x, "bincount")
    if x.ndim != 1:
        raise errors.RankError(errors.message("bincount", "expected a vector", (describe(x),), caller()))
    top = f.maximum(Largest("max", (0,))(x), _int(-1)) + _int(1)  # type: ignore[operator]
    if minlength is not None:
        top = f.maximum(top, integer_operand(minlength, "bincount"))
    x = InRange("bincount: the value")(x, top)
    if weights is None:
        counts = alloc(constant(0, dtype="int64"), top)
        return inc_subtensor(getitem(counts, x), _int(1))
    weights = as_tensor_variable(weights)
    if weights.ndim != 1:
        raise errors.RankError(errors.message("bincount", "weights must be a vector", (describe(weights),), caller()))
    dtype = weights.dtype if is_float(weights.dtype) or is_complex(weights.dtype) else "float64"
    return inc_subtensor(getitem(alloc(constant(np.zeros((), dtype)), top), x), cast_to(weights, dtype))


def to_one_hot(y: Any, nb_class: Any, dtype: Any = None) -> Variable:
    """Return a matrix with a one in the column of each class, and zeros elsewhere.

    Parameters
    ----------
    y : integer array_like, shape (n,)
        Between 0 and `nb_class`, which is excluded.
    nb_class : int or integer scalar
    dtype : str, optional
        floatX by default.

    Returns
    -------
    Variable, shape (n, nb_class)

    Raises
    ------
    IndexOutOfBounds
        If a class is out of range, when the function runs.

    Examples
    --------
    >>> to_one_hot([0, 2], 3, "float32").type
    TensorType(float32, (2, 3))
    """
    y = _integers(y, "to_one_hot")
    if y.ndim != 1:
        raise errors.RankError(errors.message("to_one_hot", "expected a vector", (describe(y),), caller()))
    n = integer_operand(nb_class, "to_one_hot")
    y = InRange("to_one_hot: class")(y, n)
    return cast_to(f.eq(dimshuffle(y, 0, "x"), dimshuffle(arange(n), "x", 0)), TensorType(dtype or "floatX").dtype)


def unique_elements(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """Return the different elements of `ar`, flattened; see :func:`symbolic.tensor.unique`."""
    x = as_tensor_variable(ar)
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message("unique", "complex values aren't supported", (describe(x),), caller()))
    flat = flatten(x)
    values, places = Sort()(flat)
    n = extents(flat)[0]
    before, after = getitem(values, slice(None, -1)), getitem(values, slice(1, None))
    new = f.neq(before, after)
    if is_float(x.dtype):
        new = new & ~(f.isnan_(before) & f.isnan_(after))  # type: ignore[operator]
    first = alloc(_int(1), n)
    first = set_subtensor(getitem(first, slice(1, None)), cast_to(new, "int64"))
    group = Cumulative("add", 0)(first) - _int(1)  # type: ignore[operator]
    count = sum_of(first)
    starts = _first_of(group, first, count, n)
    index = getitem(places, starts)
    out = [getitem(flat, index)]
    if return_index:
        out.append(index)
    if return_inverse:
        inverse = set_subtensor(getitem(alloc(_int(0), n), places), group)
        out.append(reshape(inverse, extents(x), ndim=x.ndim))
    if return_counts:
        ends = set_subtensor(getitem(alloc(n, count), slice(None, -1)), getitem(starts, slice(1, None)))
        out.append(ends - starts)
    return out[0] if len(out) == 1 else out


def _first_of(group: Variable, first: Variable, count: Variable, n: Variable) -> Variable:
    """Return where each group begins."""
    to = f.switch(cast_to(first, "bool"), group, count)
    return getitem(set_subtensor(getitem(alloc(_int(0), count + _int(1)), to), arange(n)), slice(None, count))  # type: ignore[operator]


def fill_diagonal(a: Any, val: Any) -> Variable:
    """Return `a` with `val` on its main diagonal, as ``numpy.fill_diagonal`` writes it.

    Parameters
    ----------
    a : array_like
        A matrix, or more axes, all of the same extent: then the elements whose indices are all equal.
    val : scalar

    Returns
    -------
    Variable
        Of the shape and dtype of `a`.

    Examples
    --------
    >>> fill_diagonal(np.ones((2, 3)), 0).type.shape
    (2, 3)
    """
    a = as_tensor_variable(a)
    value = cast_to(as_tensor_variable(val), a.dtype)
    if value.ndim:
        raise errors.RankError(errors.message("fill_diagonal", "the value must be a scalar", (describe(value),), caller()))
    if a.ndim <= 2:
        return fill_matrix_diagonal(a, value)
    n = extents(a)[0]
    a = specify_shape(a, [n] * a.ndim)
    same = None
    for k in range(1, a.ndim):
        equal = f.eq(_placed(arange(n), 0, a.ndim), _placed(arange(n), k, a.ndim))
        same = equal if same is None else same & equal  # type: ignore[operator]
    return f.switch(same, value, a)


def _placed(v: Variable, at: int, ndim: int) -> Variable:
    return dimshuffle(v, *(0 if k == at else "x" for k in range(ndim)))


def fill_diagonal_offset(a: Any, val: Any, offset: Any) -> Variable:
    """Return matrix `a` with `val` on diagonal `offset`: above the main one where positive.

    >>> fill_diagonal_offset(np.ones((2, 3)), 0, 1).type.shape
    (2, 3)
    """
    a = as_tensor_variable(a)
    if a.ndim != 2:
        raise errors.RankError(errors.message("fill_diagonal_offset", "expected a matrix", (describe(a),), caller()))
    rows, columns = extents(a)
    mask = eye(rows, columns, integer_operand(offset, "fill_diagonal_offset"), "bool")
    return f.switch(mask, cast_to(as_tensor_variable(val), a.dtype), a)


def bartlett(M: Any) -> Variable:
    """Return the Bartlett window of `M` points, as ``numpy.bartlett``: float64, of no points where M isn't positive.

    >>> bartlett(5).dtype
    'float64'
    """
    m = integer_operand(M, "bartlett")
    n = f.maximum(m, _int(0))
    span = cast_to(f.maximum(m - _int(1), _int(1)), "float64")
    x = f.abs_(2.0 * cast_to(arange(n), "float64") / span - 1.0)  # type: ignore[operator]
    return f.switch(f.eq(m, _int(1)), constant(1.0, dtype="float64"), 1.0 - x)  # type: ignore[operator]


def _strides(dims: Sequence[Variable], order: str) -> list[Any]:
    """Return how far apart neighbours along each axis are."""
    out: list[Any] = []
    step: Any = _int(1)
    for n in dims if order == "F" else dims[::-1]:
        out.append(step)
        step = step * n
    return out if order == "F" else out[::-1]


def _order(order: str, op: str) -> None:
    if order not in ("C", "F"):
        raise ValueError(f"{op}: order must be 'C' or 'F', got {order!r}")


def unravel_index(indices: Any, dims: Any, order: str = "C") -> tuple[Variable, ...]:
    """Return flat indices as indices along each axis, as ``numpy.unravel_index``.

    Parameters
    ----------
    indices : integer array_like
    dims : sequence of int, or integer vector
        The shape of the array that they are of.
    order : {'C', 'F'}

    Returns
    -------
    tuple of Variable
        int64, each of the shape of `indices`.

    Raises
    ------
    IndexOutOfBounds
        If an index is out of range, when the function runs.

    Examples
    --------
    >>> len(unravel_index([22, 41, 37], (7, 6)))
    2
    """
    _order(order, "unravel_index")
    given = as_extents(dims, "unravel_index")
    total: Any = _int(1)
    for n in given:
        total = total * n
    index = InRange("unravel_index: index")(_integers(indices, "unravel_index"), total)
    return tuple(f.mod(f.int_div(index, s), n) for s, n in zip(_strides(given, order), given, strict=True))


def ravel_multi_index(multi_index: Sequence[Any], dims: Any, mode: Any = "raise", order: str = "C") -> Variable:
    """Return indices along each axis as flat indices, as ``numpy.ravel_multi_index``.

    Parameters
    ----------
    multi_index : sequence of integer array_like
        One an axis.
    dims : sequence of int, or integer vector
    mode : {'raise', 'wrap', 'clip'}, or a tuple of them, one an axis
        What becomes of an index out of range.
    order : {'C', 'F'}

    Returns
    -------
    Variable
        int64, of the indices' shape.

    Raises
    ------
    IndexOutOfBounds
        With 'raise', if an index is out of range; when the function runs.

    Examples
    --------
    >>> ravel_multi_index(([3, 6], [4, 5]), (7, 6)).type.shape
    (2,)
    """
    _order(order, "ravel_multi_index")
    given = as_extents(dims, "ravel_multi_index")
    modes = tuple(mode) if isinstance(mode, (list, tuple)) else (mode,) * len(given)
    if len(multi_index) != len(given) or len(modes) != len(given):
        raise errors.ShapeError(f"ravel_multi_index: {len(multi_index)} indices and {len(modes)} modes for {len(given)} axes")
    total: Any = None
    for x, n, m, s in zip(multi_index, given, modes, _strides(given, order), strict=True):
        i = _integers(x, "ravel_multi_index")
        if m == "raise":
            i = InRange("ravel_multi_index: index")(i, n)
        elif m == "wrap":
            i = f.mod(i, n)
        elif m == "clip":
            i = f.maximum(f.minimum(i, n - _int(1)), _int(0))  # type: ignore[operator]
        else:
            raise ValueError(f"ravel_multi_index: mode must be 'raise', 'wrap' or 'clip', got {m!r}")
        total = i * s if total is None else total + i * s
    return total
