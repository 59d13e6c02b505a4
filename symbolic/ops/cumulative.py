"""Running sums, products and extremes along an axis."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Op, Variable, as_tensor_variable, describe
from symbolic.ops.along import take_along
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import axis_of
from symbolic.ops.functions import conj, neq, sub
from symbolic.ops.index import getitem
from symbolic.ops.leading import Leading
from symbolic.ops.shape import flatten
from symbolic.scalar import Expr, IndexLambda, axis, binary, const, dim, load, select
from symbolic.source import caller
from symbolic.template import Template
from symbolic.types import TensorType, is_complex, is_discrete

_NUMPY = {"add": np.add, "mul": np.multiply, "argmax": np.maximum, "argmin": np.minimum}


def _same(types: Sequence[TensorType]) -> tuple[tuple[Expr, ...], ...]:
    return (tuple(dim(0, a) for a in range(types[0].ndim)),)


def _conj(x: Variable) -> Variable:
    return conj(x) if is_complex(x.dtype) else x


class Cumulative(Leading):
    """What all elements up to each one along an axis join to.

    Parameters
    ----------
    fn : {'add', 'mul', 'argmax', 'argmin'}
        The last two give the index of the largest or smallest element so far, the first one of equal ones; a nan is
        larger and smaller than anything, as in ``numpy.maximum``.
    axis : int
        Not negative.
    reverse : bool
        Go from the last element to the first.
    """

    __props__ = ("fn", "axis", "reverse")

    def __init__(self, fn: str, axis: int, reverse: bool = False) -> None:
        self.fn, self.axis, self.reverse = fn, axis, reverse

    @property
    def name(self) -> str:
        return {"add": "cumsum", "mul": "cumprod", "argmax": "cummax", "argmin": "cummin"}[self.fn]

    def lifted(self) -> Op:
        return Cumulative(self.fn, self.axis + 1, self.reverse)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if not self.fn.startswith("arg"):
            return types
        if is_complex(types[0].dtype):
            raise errors.DTypeError("complex values have no order")
        return (types[0].clone("int64"),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return _same(types)

    def template(self, *types: TensorType) -> Template:
        t = types[0]
        return Template("cumulative", (("fn", self.fn), ("axis", self.axis), ("ndim", t.ndim), ("reverse", self.reverse),
                                       ("dtype", t.dtype)))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x = np.flip(arrays[0], self.axis) if self.reverse else arrays[0]
        if self.fn.startswith("arg"):
            y = _first_best(_NUMPY[self.fn], np.moveaxis(x, self.axis, -1))
            y = np.moveaxis(x.shape[self.axis] - 1 - y if self.reverse else y, -1, self.axis)
        else:
            y = _NUMPY[self.fn].accumulate(x, axis=self.axis, dtype=x.dtype)
        return (np.flip(y, self.axis) if self.reverse else y,)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g = gouts[0]
        if g is None or self.fn.startswith("arg") or is_discrete(inputs[0].dtype):
            return [None]
        if self.fn == "add":
            return [Cumulative("add", self.axis, not self.reverse)(g)]
        # element k is in all later products: before it stands y[k-1], after it the sum s[k] = g[k] + x[k+1] s[k+1]
        before = Shift(self.axis, -1 if self.reverse else 1, 1)(_conj(outputs[0]))
        return [before * Recurrence(self.axis, not self.reverse, late=True)(_conj(inputs[0]), g)]


def _first_best(best: np.ufunc, x: np.ndarray) -> np.ndarray:
    """Return the index of the best element so far along the last axis."""
    so_far = best.accumulate(x, axis=-1)
    new = np.ones(x.shape, bool)
    if x.dtype.kind == "f":
        new[..., 1:] = (so_far[..., 1:] != so_far[..., :-1]) & ~np.isnan(so_far[..., :-1])
    else:
        new[..., 1:] = so_far[..., 1:] != so_far[..., :-1]
    return np.maximum.accumulate(np.where(new, np.arange(x.shape[-1]), 0), axis=-1).astype("int64")


class Recurrence(Leading):
    """The linear recurrence ``y[t] = b[t] + a[t] y[t-1]`` along an axis, of inputs a and b; `late`: with ``a[t-1]``.

    With `reverse` the element before another is the one after it. It is what derivatives of products of prefixes are made
    of: linear time, and no division, so zeros do no harm.
    """

    __props__ = ("axis", "reverse", "late")

    def __init__(self, axis: int, reverse: bool = False, late: bool = False) -> None:
        self.axis, self.reverse, self.late = axis, reverse, late

    def lifted(self) -> Op:
        return Recurrence(self.axis + 1, self.reverse, self.late)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return _same(types)

    def template(self, *types: TensorType) -> Template:
        t = types[0]
        return Template("recurrence", (("axis", self.axis), ("ndim", t.ndim), ("reverse", self.reverse),
                                       ("late", self.late), ("dtype", t.dtype)))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        a, b = (np.moveaxis(x, self.axis, 0) for x in arrays)
        y = np.array(b)
        steps = range(len(y) - 2, -1, -1) if self.reverse else range(1, len(y))
        for t in steps:
            before = t + 1 if self.reverse else t - 1
            y[t] += a[before if self.late else t] * y[before]
        return (np.moveaxis(y, 0, self.axis),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g = gouts[0]
        if g is None:
            return [None, None]
        h = Recurrence(self.axis, not self.reverse, not self.late)(_conj(inputs[0]), g)
        back, y = 1 if self.reverse else -1, _conj(outputs[0])
        return [Shift(self.axis, back, 0)(h) * y if self.late else h * Shift(self.axis, -back, 0)(y), h]


class Shift(Op):
    """Elements moved `by` places along an axis, with `fill` where none came from."""

    __props__ = ("axis", "by", "fill")

    def __init__(self, axis: int, by: int, fill: int) -> None:
        self.axis, self.by, self.fill = axis, by, fill

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return _same(types)

    def compute(self, *types: TensorType) -> IndexLambda:
        nd, dtype = types[0].ndim, types[0].dtype
        at, zero = axis(self.axis) - self.by, const(0, "int64")
        inside = binary("le", zero, at) & binary("lt", at, dim(0, self.axis))
        index = [axis(a) if a != self.axis else select(inside, at, zero) for a in range(nd)]
        return IndexLambda(select(inside, load(0, index, dtype), const(self.fill, dtype)))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None if gouts[0] is None else Shift(self.axis, -self.by, 0)(gouts[0])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[not is_discrete(node.inputs[0].dtype)]]


# ---------------------------------------------------------------------------------------- for users


def _operand(x: Any, axis: int | None, op: str) -> tuple[Variable, int]:
    x = as_tensor_variable(x)
    if axis is None:
        return flatten(x), 0
    if x.ndim == 0:
        raise errors.RankError(errors.message(op, f"axis {axis} is out of range for a scalar", (describe(x),), caller()))
    return x, axis_of(axis, x.ndim, op)


def _accumulated(fn: str, x: Any, axis: int | None, dtype: Any, op: str) -> Variable:
    x, axis = _operand(x, axis, op)
    small = "uint64" if x.dtype.startswith("uint") else "int64" if is_discrete(x.dtype) else x.dtype
    return Cumulative(fn, axis)(cast_to(x, dtype or small))


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """Return the running sum of `x` along `axis`, as ``numpy.cumsum``.

    Parameters
    ----------
    x : array_like
    axis : int, optional
        None: of the flattened array.
    dtype : str, optional
        Of the result and of the sum: by default int64 (uint64) for integers and bools, else that of `x`.

    Returns
    -------
    Variable
        Of the shape of `x`, or a vector where `axis` is None.

    Raises
    ------
    RankError
        If there is no such axis.

    Examples
    --------
    >>> cumsum([1, 2, 3]).type
    TensorType(int64, (3,))
    """
    return _accumulated("add", x, axis, dtype, "cumsum")


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """Return the running product of `x` along `axis`; arguments as for :func:`cumsum`.

    Derivatives of every order are right where there are zeros.

    >>> cumprod([[1.0, 2, 3]], axis=1).type.shape
    (1, 3)
    """
    return _accumulated("mul", x, axis, dtype, "cumprod")


def cummax(x: Any, axis: int | None = None) -> Variable:
    """Return the largest element so far along `axis`; nan from the first nan on. The first of equal ones has the gradient.

    >>> cummax([3, 1, 4]).type.shape
    (3,)
    """
    x, axis = _operand(x, axis, "cummax")
    return take_along(x, Cumulative("argmax", axis)(x), axis)


def cummin(x: Any, axis: int | None = None) -> Variable:
    """Return the smallest element so far along `axis`; see :func:`cummax`.

    >>> cummin([3, 1, 4]).type.shape
    (3,)
    """
    x, axis = _operand(x, axis, "cummin")
    return take_along(x, Cumulative("argmin", axis)(x), axis)


def diff(x: Any, n: int = 1, axis: int = -1) -> Variable:
    """Return the differences of neighbours along `axis`, taken `n` times, as ``numpy.diff``.

    Of bools it is whether neighbours differ.

    Raises
    ------
    ValueError
        If `n` is negative.
    RankError
        If there is no such axis.

    Examples
    --------
    >>> diff([1, 4, 9], n=2).type.shape
    (1,)
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
        raise ValueError(f"diff: n must be a non-negative int, got {n!r}")
    x, axis = _operand(x, axis, "diff")
    for _ in range(n):
        here: tuple = (slice(None),) * axis
        later, earlier = getitem(x, (*here, slice(1, None))), getitem(x, (*here, slice(None, -1)))
        x = neq(later, earlier) if x.dtype == "bool" else sub(later, earlier)
    return x
