"""Reductions: one row each; means, variances and the like are compositions."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.config import config
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, clone_replace, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to, match_dtype
from symbolic.ops.extents import Shape_i, extents
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.reverse import pullbacks
from symbolic.scalar import Check, Expr, IndexLambda, axis, cast, const, dim, isnan, load, reduce_axis, select
from symbolic.source import caller
from symbolic.types import TensorType, float_of, is_complex, is_discrete, real_of


@dataclass(frozen=True)
class Reduction:
    """One reduction: how values join, the dtype of the result, the cotangent of the operand.

    ``pullback(x, y, g, axes)`` gets result and cotangent with the reduced axes kept at extent 1.
    """

    name: str
    combiner: str
    dtype: Callable[[str], str]
    pullback: Callable[[Variable, Variable, Variable, tuple[int, ...]], Variable | None]
    empty: bool = True


def _wide(dtype: str) -> str:
    """Small integers add up in 64 bits, as in NumPy."""
    if dtype == "bool" or dtype.startswith("int"):
        return "int64"
    return "uint64" if dtype.startswith("uint") else dtype


class ProductOfOthers(Op):
    """For each element, the product of all others along some axes: the derivative of a product.

    It is computed from the product and the number of zeros, in linear time; but that formula has branches, so the
    derivative is taken of one without: products of rows of an n by n array with ones on its diagonal.
    """

    __props__ = ("axes",)
    name = "product_of_others"

    def __init__(self, axes: Sequence[int]) -> None:
        self.axes = tuple(axes)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        x = inputs[0]
        zero = f.eq(x, 0)
        one, none = (constant(np.asarray(n, x.dtype)) for n in (1, 0))
        others = prod(f.switch(zero, one, x), axis=self.axes, keepdims=True, dtype=x.dtype)
        zeros = sum(cast_to(zero, "int64"), axis=self.axes, keepdims=True)
        alone = f.switch(f.eq(zeros, 1), others, none)
        return [f.switch(zero, alone, f.switch(f.eq(zeros, 0), others / f.switch(zero, one, x), none))]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g = gouts[0]
        if g is None:
            return [None]
        x = Variable(inputs[0].type)
        kept = [a for a in range(x.ndim) if a not in self.axes]
        order = [*kept, *self.axes]
        shape = [extents(x)[a] for a in order]
        n: Any = constant(1, dtype="int64")
        for k in shape[len(kept):]:
            n = n * k
        flat = reshape(dimshuffle(x, *order), [*shape[:len(kept)], n], ndim=len(kept) + 1)
        i = arange(n)
        diagonal = f.eq(dimshuffle(i, 0, "x"), dimshuffle(i, "x", 0))
        rows = f.switch(diagonal, constant(np.asarray(1, x.dtype)), dimshuffle(flat, *range(len(kept)), "x", len(kept)))
        others = reshape(prod(rows, axis=-1, dtype=x.dtype), shape, ndim=x.ndim)
        back = dimshuffle(others, *(order.index(a) for a in range(x.ndim)))
        found = pullbacks({back: g}, [x]).get(x)
        return [None if found is None else clone_replace([found], {x: inputs[0]})[0]]


_ROWS = (
    Reduction("sum", "add", _wide, lambda x, y, g, axes: f.second(x, g)),
    Reduction("prod", "mul", _wide, lambda x, y, g, axes: ProductOfOthers(axes)(x) * g),
    Reduction("max", "max", lambda d: d, lambda x, y, g, axes: f.eq(x, y) * g, empty=False),
    Reduction("min", "min", lambda d: d, lambda x, y, g, axes: f.eq(x, y) * g, empty=False),
    Reduction("all", "and", lambda d: "bool", lambda x, y, g, axes: None),
    Reduction("any", "or", lambda d: "bool", lambda x, y, g, axes: None),
)
#: Every reduction by name: tests are generated from it.
REDUCTIONS: dict[str, Reduction] = {r.name: r for r in _ROWS}


class Reduce(Op):
    """Joins all elements along some axes, which leave the result."""

    __props__ = ("fn", "axes", "dtype")

    def __init__(self, fn: str, axes: Sequence[int], dtype: str | None = None) -> None:
        self.fn, self.axes, self.dtype = fn, tuple(axes), dtype
        self.row = REDUCTIONS[fn]

    def __reduce__(self) -> tuple:
        return type(self), (self.fn, self.axes, self.dtype)

    @property
    def name(self) -> str:
        return self.fn

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t = types[0]
        if self.row.name in ("max", "min") and is_complex(t.dtype):
            raise errors.DTypeError("complex values have no order")
        shape = tuple(n for a, n in enumerate(t.shape) if a not in self.axes)
        return (TensorType(self.dtype or self.row.dtype(t.dtype), shape),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim) if a not in self.axes),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        if self.row.empty:
            return ()
        zero = const(0, "int64")
        return tuple(Check(zero < dim(0, a), f"the {self.fn} of no elements isn't defined: axis {a} has extent {{0}}",
                           detail=(dim(0, a),)) for a in self.axes)

    def compute(self, *types: TensorType) -> IndexLambda:
        t, out = types[0], self.infer_type(*types)[0]
        index = []
        kept = 0
        for a in range(t.ndim):
            if a in self.axes:
                index.append(reduce_axis(self.axes.index(a)))
            else:
                index.append(axis(kept) if t.shape[a] != 1 else const(0, "int64"))
                kept += 1
        body = cast(load(0, index, t.dtype), out.dtype)
        return IndexLambda(body, tuple(dim(0, a) for a in self.axes), self.row.combiner)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, g = inputs[0], gouts[0]
        if g is None or is_discrete(x.dtype):
            return [None]
        found = self.row.pullback(x, _keep(outputs[0], self.axes, x.ndim), _keep(g, self.axes, x.ndim), self.axes)
        return [None if found is None else match_dtype(found, x.dtype)]


class Largest(Reduce):
    """``max`` of real numbers that is -inf where there are no elements: for what reads it to be right of nothing, too."""

    def __init__(self, fn: str, axes: Sequence[int], dtype: str | None = None) -> None:
        super().__init__("max", axes, dtype)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return ()


def largest(x: Variable, axis: Any, keepdims: bool = False) -> Variable:
    """Return the largest element along `axis`, -inf of none."""
    axes = axes_of(axis, x.ndim, "max")
    y = Largest("max", axes)(x)
    return _keep(y, axes, x.ndim) if keepdims else y


class ArgBest(Op):
    """The first index along an axis where `x` equals its best value (or is nan)."""

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    @property
    def name(self) -> str:
        return "argbest"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType("int64", tuple(n for a, n in enumerate(types[0].shape) if a != self.axis)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim) if a != self.axis),)

    def compute(self, *types: TensorType) -> IndexLambda:
        t = types[0]
        rest = [axis(a) if n != 1 else const(0, "int64")
                for a, n in enumerate(n for b, n in enumerate(t.shape) if b != self.axis)]
        r = reduce_axis(0)
        x = load(0, [*rest[:self.axis], r, *rest[self.axis:]], t.dtype)
        best = load(1, rest, t.dtype)
        found = Expr("eq", (x, best), None, "bool") | isnan(x)
        return IndexLambda(select(found, r, dim(0, self.axis)), (dim(0, self.axis),), "min")

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, None]


def axes_of(axis: Any, ndim: int, op: str) -> tuple[int, ...]:
    """Return an axis argument as sorted non-negative axes.

    Raises
    ------
    RankError
        If an axis is out of range or stands twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    out = []
    for a in given:
        if not isinstance(a, (int, np.integer)) or isinstance(a, bool):
            raise errors.RankError(errors.message(op, f"an axis is an integer, got {a!r}", (), caller()))
        if not -ndim <= a < ndim:
            raise errors.RankError(errors.message(op, f"axis {a} is out of range for {ndim} dimensions", (), caller()))
        out.append(int(a) % ndim)
    if len(set(out)) != len(out):
        raise errors.RankError(errors.message(op, f"an axis stands twice in {given}", (), caller()))
    return tuple(sorted(out))


def _keep(y: Variable, axes: Sequence[int], ndim: int) -> Variable:
    """Put reduced axes back, at extent 1."""
    rest = iter(range(y.ndim))
    return dimshuffle(y, *("x" if a in axes else next(rest) for a in range(ndim)))


def _reduce(fn: str, x: Any, axis: Any, dtype: Any, keepdims: bool, acc_dtype: Any = None) -> Variable:
    x = as_tensor_variable(x)
    axes = axes_of(axis, x.ndim, fn)
    y = Reduce(fn, axes, None if dtype is None and acc_dtype is None else TensorType(acc_dtype or dtype).dtype)(x)
    if acc_dtype is not None:
        y = cast_to(y, dtype or REDUCTIONS[fn].dtype(x.dtype))
    return _keep(y, axes, x.ndim) if keepdims else y


def sum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Variable:
    """Return the sum along `axis`.

    Parameters
    ----------
    x : Variable
    axis : int or sequence of int, optional
        All axes by default.
    dtype : str, optional
        Of the result: by default int64 (uint64) for integers and bools, the dtype of `x` otherwise.
    keepdims : bool
        Leave the reduced axes at extent 1, so that the result broadcasts against `x`.
    acc_dtype : str, optional
        Of the running sum. By default float32 and float16 add up in float64.

    Raises
    ------
    RankError
        If an axis is out of range or stands twice.

    Examples
    --------
    >>> sum(constant([[1.0, 2], [3, 4]]), axis=0).type.shape
    (2,)
    """
    return _reduce("sum", x, axis, dtype, keepdims, acc_dtype)


def prod(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None,
         no_zeros_in_input: bool = False) -> Variable:
    """Return the product along `axis`; arguments as for :func:`sum`.

    Derivatives of every order are right where there are zeros; the second takes work and memory of the square of
    the number of elements reduced.

    >>> prod([[1, 2], [3, 4]], axis=1).type
    TensorType(int64, (2,))
    """
    return _reduce("prod", x, axis, dtype, keepdims, acc_dtype)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the largest element along `axis`; nan if any is. An empty axis is an error.

    >>> max([[1, 2], [3, 4]], axis=0, keepdims=True).type.shape
    (1, 2)
    """
    return _reduce("max", x, axis, None, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the smallest element along `axis`; nan if any is. An empty axis is an error.

    >>> min([[1, 2], [3, 4]], axis=-1).type.shape
    (2,)
    """
    return _reduce("min", x, axis, None, keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return whether all elements along `axis` are nonzero.

    >>> all([True, False]).type
    TensorType(bool, ())
    """
    return _reduce("all", f.neq(x, 0), axis, None, keepdims)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return whether some element along `axis` is nonzero.

    >>> any([True, False]).type
    TensorType(bool, ())
    """
    return _reduce("any", f.neq(x, 0), axis, None, keepdims)


def _count(x: Variable, axes: Sequence[int], dtype: str) -> Variable:
    """Return the number of elements along `axes`, in real `dtype`."""
    known = math.prod(x.type.shape[a] or 1 for a in axes if x.type.shape[a] is not None)
    known = 0 if 0 in (x.type.shape[a] for a in axes) else known
    n: Any = constant(known, dtype="int64")
    for a in axes:
        if x.type.shape[a] is None:
            n = n * Shape_i(a)(x)
    return constant(n.data, dtype=real_of(dtype)) if isinstance(n, Constant) else cast_to(n, real_of(dtype))


def _workspace(x: Variable) -> Variable:
    """Widen float16: a count, or a sum of squares, soon passes 65504."""
    return cast_to(x, "float32") if x.dtype == "float16" else x


def mean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Variable:
    """Return the mean along `axis`; integers give float64 unless `dtype` says otherwise.

    >>> mean([[1, 2], [3, 4]], axis=0).type
    TensorType(float64, (2,))
    """
    x = as_tensor_variable(x)
    axes = axes_of(axis, x.ndim, "mean")
    whole = "float64" if config.cast_policy == "custom" else config.floatX
    to = TensorType(dtype or (whole if is_discrete(x.dtype) else x.dtype)).dtype
    if is_discrete(to):
        raise errors.DTypeError(errors.message("mean", f"a mean is no {to}", (describe(x),), caller(),
                                               "ask for a float, or use sum(x) // size"))
    wide = _workspace(cast_to(x, to))
    # the division has the axes of the sum, so both, and var's mean with them, run in one kernel
    y = cast_to(sum(wide, axes, None, False, acc_dtype) / _count(x, axes, wide.dtype), to)
    return _keep(y, axes, x.ndim) if keepdims else y


def var(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> Variable:
    """Return the variance along `axis`, in two passes: the mean first, so large offsets don't cancel.

    Parameters
    ----------
    x : Variable
    axis : int or sequence of int, optional
    ddof : int
        Taken off the number of elements; 1 gives the unbiased estimate.
    keepdims : bool
    corrected : bool
        Subtract what rounding of the mean leaves (Chan, Golub and LeVeque, 1983).

    Examples
    --------
    >>> var(constant([[1.0, 2], [3, 4]]), axis=1, ddof=1).type.shape
    (2,)
    """
    x = as_tensor_variable(x)
    axes = axes_of(axis, x.ndim, "var")
    to = float_of(x.dtype)
    wide = _workspace(cast_to(x, to))
    off = wide - mean(wide, axes, keepdims=True)
    squares = f.sqr(f.abs_(off) if is_complex(x.dtype) else off)
    n = _count(x, axes, wide.dtype)
    total = sum(squares, axes, keepdims=keepdims)
    if corrected:
        left = sum(off, axes, keepdims=keepdims)
        total = total - f.sqr(f.abs_(left) if is_complex(x.dtype) else left) / n
    return cast_to(total / (n - ddof), real_of(to))


def std(x: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False, corrected: bool = False) -> Variable:
    """Return the standard deviation along `axis`; arguments as for :func:`var`.

    >>> std(constant([[1.0, 2], [3, 4]]), axis=1).type.shape
    (2,)
    """
    return f.sqrt(var(x, axis, ddof, keepdims, corrected))


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the largest minus the smallest element along `axis`.

    >>> ptp([[1, 5], [3, 4]], axis=1).type.shape
    (2,)
    """
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def norm(x: Any, ord: Any = 2, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the norm of order `ord` of the elements along `axis`, as a vector: (sum |x|**ord)**(1/ord).

    >>> norm([[3.0, 4.0]], 2, axis=1).type.shape
    (1,)
    """
    size = f.abs_(x)
    if ord == 0:
        return sum(f.neq(size, 0), axis, size.dtype, keepdims)
    if ord in (math.inf, -math.inf):
        return f.maximum(largest(size, axis, keepdims), 0) if ord > 0 else min(size, axis, keepdims)
    if ord == 1:
        return sum(size, axis, keepdims=keepdims)
    if ord == 2:
        return f.sqrt(sum(f.sqr(size), axis, keepdims=keepdims))
    return sum(size**ord, axis, keepdims=keepdims) ** (1.0 / ord)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return log(sum(exp(x))) along `axis` without overflow.

    >>> logsumexp(constant([[1.0, 2], [3, 4]]), axis=1).type.shape
    (2,)
    """
    x = as_tensor_variable(x)
    axes = axes_of(axis, x.ndim, "logsumexp")
    top = largest(x, axes, keepdims=True)
    finite = f.switch(f.isinf(top), 0.0, top)  # of all -inf the answer is -inf, not inf - inf
    out = f.log(sum(f.exp(x - finite), axes, keepdims=True)) + finite
    return out if keepdims else dimshuffle(out, *(a for a in range(x.ndim) if a not in axes))


def _arg(best: Callable, x: Any, axis: Any, keepdims: bool, op: str) -> Variable:
    x = as_tensor_variable(x)
    axes = axes_of(axis, x.ndim, op)
    kept = [a for a in range(x.ndim) if a not in axes]
    if len(axes) == 1:
        y = ArgBest(axes[0])(x, best(x, axes))
    else:  # counted through the axes together, in C order
        last = dimshuffle(x, *kept, *axes)
        last = reshape(last, [*extents(last)[:len(kept)], -1])
        y = ArgBest(len(kept))(last, best(last, -1))
    return _keep(y, axes, x.ndim) if keepdims else y


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the first index of the largest element along `axis`, of the flattened array by default.

    The first nan counts as the largest, as in NumPy.

    >>> argmax([[1, 2], [3, 4]], axis=1).type
    TensorType(int64, (2,))
    """
    return _arg(max, x, axis, keepdims, "argmax")


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the first index of the smallest element along `axis`, of the flattened array by default.

    The first nan counts as the smallest, as in NumPy.

    >>> argmin([[1, 2], [3, 4]]).type
    TensorType(int64, ())
    """
    return _arg(min, x, axis, keepdims, "argmin")


def max_and_argmax(x: Any, axis: Any = None, keepdims: bool = False) -> list[Variable]:
    """Return the largest element along `axis` and its first index.

    >>> [v.type.dtype for v in max_and_argmax(constant([[1.0, 2], [3, 4]]), axis=1)]
    ['float64', 'int64']
    """
    return [max(x, axis, keepdims), argmax(x, axis, keepdims)]
