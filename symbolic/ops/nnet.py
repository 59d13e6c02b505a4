"""Softmax and the cross-entropies.

Both are ops of their own so that their derivatives are the stable ones; the compiler sees
their expansion into reductions and elementwise functions, which it fuses into one pass over each row.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Op, Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to, match_dtype
from symbolic.ops.reduce import largest
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.region import extent_of
from symbolic.ops.shape import dimshuffle, extents
from symbolic.ops.subtensor import BoundedIndex
from symbolic.scalar import Expr
from symbolic.source import caller
from symbolic.types import TensorType, is_complex, is_discrete, is_integer, to_float


class Softmax(Op):
    """``exp(x)`` divided by its sum along an axis.

    Parameters
    ----------
    axis : int
        Counted from 0.
    """

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if is_complex(types[0].dtype):
            raise errors.DTypeError(f"expected real values, got {types[0].dtype}")
        return (types[0].clone(dtype=to_float(types[0].dtype)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(extent_of(0, types[0], a) for a in range(types[0].ndim)),)

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        shifted = _shifted(_working(inputs[0]), self.axis)
        e = f.exp(shifted)
        return [_stored(e / sum_of(e, axis=self.axis, keepdims=True), inputs[0])]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g, p = gouts[0], outputs[0]
        if g is None or is_discrete(inputs[0].dtype):
            return [None]
        return [match_dtype(p * (g - sum_of(g * p, axis=self.axis, keepdims=True)), inputs[0].dtype)]


class LogSoftmax(Softmax):
    """Logarithm of :class:`Softmax`, computed without taking the logarithm of a quotient."""

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        shifted = _shifted(_working(inputs[0]), self.axis)
        return [_stored(shifted - f.log(sum_of(f.exp(shifted), axis=self.axis, keepdims=True)), inputs[0])]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g, y = gouts[0], outputs[0]
        if g is None or is_discrete(inputs[0].dtype):
            return [None]
        return [match_dtype(g - f.exp(y) * sum_of(g, axis=self.axis, keepdims=True), inputs[0].dtype)]


class CrossentropyIndex(Op):
    """``logsumexp(x) - x[..., y]`` along the last axis: the cross-entropy of logits `x` and integer targets `y`."""

    name = "crossentropy"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, y = types
        if is_complex(x.dtype):
            raise errors.DTypeError(f"expected real logits, got {x.dtype}")
        if not is_integer(y.dtype):
            raise errors.DTypeError(f"expected integer targets, got {y.dtype}\nhint: cast them: T.cast(y, 'int64')")
        if x.ndim != y.ndim + 1:
            raise errors.RankError(f"expected targets with one dimension less than the logits, got {y.ndim} and {x.ndim}")
        shape = []
        for a, (n, m) in enumerate(zip(x.shape, y.shape, strict=False)):
            if n is not None and m is not None and n != m:
                raise errors.ShapeError(f"extents {n} of the logits and {m} of the targets on axis {a} differ")
            shape.append(m if n is None else n)
        return (TensorType(to_float(x.dtype), tuple(shape)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(extent_of(0 if types[0].shape[a] is not None else 1, types[0 if types[0].shape[a] is not None
                                                                                else 1], a)
                      for a in range(types[1].ndim)),)

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        x, y = inputs
        shifted = _shifted(_working(x), x.ndim - 1)
        picked = sum_of(f.switch(one_hot_mask(y, x), shifted, f.cast_zero(shifted)), axis=x.ndim - 1)
        return [_stored(f.log(sum_of(f.exp(shifted), axis=x.ndim - 1)) - picked, x)]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, y = inputs
        g = gouts[0]
        if g is None or is_discrete(x.dtype):
            return [None, None]
        spread = dimshuffle(g, [*range(g.ndim), "x"])
        return [match_dtype((Softmax(x.ndim - 1)(x) - one_hot_mask(y, x)) * spread, x.dtype), None]


class CrossentropyCategorical1Hot(Op):
    """``-log(p[..., y])``: the cross-entropy of probabilities `p` along the last axis and integer targets `y`.

    Where `p` is a softmax, a stability rule puts :class:`CrossentropyIndex` of its logits in the place of this, for values and
    before differentiating (but not if the derivative by `p` itself is asked for).
    """

    name = "crossentropy_categorical_1hot"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return CrossentropyIndex().infer_type(*types)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return CrossentropyIndex().infer_shape(*types)

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        p, y = inputs
        return [_stored(-f.log(self._picked(_working(p), y)), p)]

    @staticmethod
    def _picked(p: Variable, y: Variable) -> Variable:
        return sum_of(f.switch(one_hot_mask(y, p), p, f.cast_zero(p)), axis=p.ndim - 1)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        p, y = inputs
        g = gouts[0]
        if g is None or is_discrete(p.dtype):
            return [None, None]
        slope = dimshuffle(-g / self._picked(p, y), [*range(g.ndim), "x"])
        return [match_dtype(f.switch(one_hot_mask(y, p), slope, f.cast_zero(slope)), p.dtype), None]


def _working(x: Variable) -> Variable:
    """Return `x` as floats of at least 32 bits: float16 is for storage."""
    return cast_to(x, "float32" if x.dtype == "float16" else to_float(x.dtype))


def _stored(y: Variable, x: Variable) -> Variable:
    return cast_to(y, to_float(x.dtype))


def _shifted(x: Variable, axis: int) -> Variable:
    """Return `x` less its maximum, so that its exponentials don't overflow."""
    return x - largest(x, axis, keepdims=True)  # of no classes, there is nothing to shift


def one_hot_mask(y: Variable, x: Variable) -> Variable:
    """Return where the last axis of `x` is at position `y`; `y` out of range is an error when run."""
    n = x.type.shape[-1]
    classes = arange(extents(x)[x.ndim - 1] if n is None else n, dtype="int64")
    column = dimshuffle(BoundedIndex(x.ndim - 1)(y, x), [*range(y.ndim), "x"])
    return f.eq(cast_to(column, "int64"), classes)


def _axis(x: Variable, axis: int, op: str) -> int:
    if not -x.ndim <= axis < x.ndim:
        hint = "a scalar has no axis to normalise over" if x.ndim == 0 else None
        raise errors.RankError(errors.message(op, f"axis {axis} is out of range", (describe(x),), caller(), hint))
    return axis % x.ndim


# ------------------------------------------------------------------------------------------- softmax


def softmax(c: Any, axis: int = -1) -> Variable:
    """Return ``exp(c)`` normalised to sum 1 along an axis.

    Parameters
    ----------
    c : Variable
        Of any rank from 1; the rank is kept.
    axis : int

    Returns
    -------
    Variable
        Of the shape of `c`. Its derivative and its logarithm are computed stably.

    Raises
    ------
    RankError
        If there is no such axis.
    DTypeError
        If `c` is complex.

    Examples
    --------
    >>> softmax(TensorType("float32", (None, 10))("logits")).type
    TensorType(float32, (?, 10))
    """
    c = as_tensor_variable(c)
    return Softmax(_axis(c, axis, "softmax"))(c)


def logsoftmax(c: Any, axis: int = -1) -> Variable:
    """Return the logarithm of :func:`softmax`, accurate for logits of any size.

    Parameters
    ----------
    c : Variable
        Of any rank from 1.
    axis : int

    Returns
    -------
    Variable
        Of the shape of `c`.

    Raises
    ------
    RankError
        If there is no such axis.
    DTypeError
        If `c` is complex.

    Examples
    --------
    >>> logsoftmax(TensorType("float32", (None, 10))("logits")).type
    TensorType(float32, (?, 10))
    """
    c = as_tensor_variable(c)
    return LogSoftmax(_axis(c, axis, "logsoftmax"))(c)


log_softmax = logsoftmax


def softmax_graph(c: Any) -> Variable:
    """Return :func:`softmax` over the last axis as a composition of simpler functions.

    Examples
    --------
    >>> softmax_graph(TensorType("float32", (None, 10))("logits")).type
    TensorType(float32, (?, 10))
    """
    c = as_tensor_variable(c)
    return Softmax(_axis(c, -1, "softmax")).expand(c)[0]


# ------------------------------------------------------------------------------------ cross-entropies


def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> Variable:
    """Return the cross-entropy of two distributions along the last axis.

    Parameters
    ----------
    coding_dist : Variable, shape (..., n)
        Probabilities. Where they are a :func:`softmax`, the result is computed from its logits, stably.
    true_dist : Variable, shape (..., n) or (...)
        Probabilities, or as integers the true class of each row, which must lie in ``0 <= y < n``.

    Returns
    -------
    Variable, shape (...)

    Raises
    ------
    RankError
        If the ranks fit neither form.
    DTypeError
        If classes aren't integers.

    Examples
    --------
    >>> p = softmax(TensorType("float32", (None, 10))("x"))
    >>> categorical_crossentropy(p, TensorType("int64", (None,))("y")).type
    TensorType(float32, (?,))
    """
    p, t = as_tensor_variable(coding_dist), as_tensor_variable(true_dist)
    if p.ndim == 0 or t.ndim not in (p.ndim, p.ndim - 1):
        raise errors.RankError(errors.message(
            "categorical_crossentropy", f"expected targets of {p.ndim} (distributions) or {p.ndim - 1} (classes) "
            f"dimensions, got {t.ndim}", (describe(p), describe(t)), caller()))
    if t.ndim == p.ndim:
        return -sum_of(t * f.log(p), axis=p.ndim - 1)
    if not is_integer(t.dtype):
        raise errors.DTypeError(errors.message("categorical_crossentropy", f"expected integer targets, got {t.dtype}",
                                               (describe(p), describe(t)), caller(), "cast them: T.cast(y, 'int64')"))
    if p.owner is not None and p.owner.op == Softmax(p.ndim - 1):
        return CrossentropyCategorical1Hot()(p, t)
    return -f.log(CrossentropyCategorical1Hot._picked(p, t))


def crossentropy_categorical_1hot(coding_dist: Any, true_one_of_n: Any) -> Variable:
    """Return :func:`categorical_crossentropy` with integer classes.

    Examples
    --------
    >>> p = TensorType("float32", (None, 10))("p")
    >>> crossentropy_categorical_1hot(p, TensorType("int64", (None,))("y")).type
    TensorType(float32, (?,))
    """
    return categorical_crossentropy(coding_dist, true_one_of_n)


def crossentropy_softmax_1hot(x: Any, y_idx: Any) -> tuple[Variable, Variable]:
    """Return the cross-entropy of logits with integer classes, and their softmax.

    Parameters
    ----------
    x : Variable, shape (n, k)
        Logits.
    y_idx : Variable, shape (n,)
        The true class of each row.

    Returns
    -------
    nll : Variable, shape (n,)
    p : Variable, shape (n, k)

    Examples
    --------
    >>> x, y = TensorType("float32", (None, 10))("x"), TensorType("int64", (None,))("y")
    >>> [v.ndim for v in crossentropy_softmax_1hot(x, y)]
    [1, 2]
    """
    x = as_tensor_variable(x)
    return CrossentropyIndex()(x, y_idx), softmax(x)


def crossentropy_softmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> tuple[Variable, Variable]:
    """Return :func:`crossentropy_softmax_1hot` of ``x + b``.

    Examples
    --------
    >>> x, b = TensorType("float32", (None, 10))("x"), TensorType("float32", (10,))("b")
    >>> [v.ndim for v in crossentropy_softmax_1hot_with_bias(x, b, TensorType("int64", (None,))("y"))]
    [1, 2]
    """
    return crossentropy_softmax_1hot(f.add(x, b), y_idx)


def binary_crossentropy(output: Any, target: Any) -> Variable:
    """Return ``-(target*log(output) + (1 - target)*log(1 - output))``, elementwise.

    Parameters
    ----------
    output : Variable
        Probabilities. Where they are a :func:`sigmoid`, the result is computed from its argument, stably.
    target : Variable
        Probabilities, often 0 and 1.

    Returns
    -------
    Variable
        Of the broadcast shape.

    Examples
    --------
    >>> p = f.sigmoid(TensorType("float32", (None,))("x"))
    >>> binary_crossentropy(p, TensorType("float32", (None,))("t")).type
    TensorType(float32, (?,))
    """
    output = as_tensor_variable(output)
    return -(f.mul(target, f.log(output)) + f.mul(f.sub(1, _number(target)), f.log(1 - output)))


def sigmoid_binary_crossentropy(output: Any, target: Any) -> Variable:
    """Return :func:`binary_crossentropy` of ``sigmoid(output)``, accurate for arguments of any size.

    Parameters
    ----------
    output : Variable
        Logits.
    target : Variable
        Probabilities, often 0 and 1.

    Returns
    -------
    Variable
        Of the broadcast shape.

    Examples
    --------
    >>> z, t = TensorType("float32", (None,))("z"), TensorType("float32", (None,))("t")
    >>> sigmoid_binary_crossentropy(z, t).type
    TensorType(float32, (?,))
    """
    z = as_tensor_variable(output)
    return f.mul(target, f.softplus(-z)) + f.mul(f.sub(1, _number(target)), f.softplus(z))


def _number(target: Any) -> Any:
    """Return `target` with bools as integers, which can be subtracted."""
    if isinstance(target, Variable) and target.dtype == "bool":
        return cast_to(target, "int8")
    return target.astype("int8") if isinstance(target, np.ndarray) and target.dtype == bool else target
