"""Identities that change what flows back through them. Capture removes them: they cost nothing at run time."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Op, Variable, as_tensor_variable
from symbolic.nullgrad import grad_undefined
from symbolic.ops.functions import clip
from symbolic.reverse import zeros_of
from symbolic.scalar import Expr, dim
from symbolic.types import TensorType

Cotangents = list["Variable | None"]


class _Identity(Op):
    """Returns its input."""

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        return inputs

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (arrays[0],)


class DisconnectedGrad(_Identity):
    """Nothing flows back, and `grad` says so."""

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Cotangents:
        return [None]

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        return [[False]]


class ZeroGrad(_Identity):
    """Zeros flow back."""

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Cotangents:
        return [zeros_of(inputs[0])]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Cotangents:
        return [zeros_of(outputs[0])]


class UndefinedGrad(_Identity):
    """Asking for a derivative through it is an error."""

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Cotangents:
        return [grad_undefined(self, 0, inputs[0], "undefined_grad was asked for")]


class GradClip(_Identity):
    """What flows back is limited to an interval, element by element; forwards it is the identity."""

    __props__ = ("low", "high")

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Cotangents:
        return [None if gouts[0] is None else clip(gouts[0], self.low, self.high)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return tangents


class GradScale(_Identity):
    """What flows back, and forwards in `Rop`, is multiplied by a number."""

    __props__ = ("factor",)

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Cotangents:
        return [None if gouts[0] is None else gouts[0] * self.factor]  # type: ignore[operator]


def disconnected_grad(x: Any) -> Variable:
    """Return `x`; `grad` takes it for something that the cost doesn't depend on.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> float(symbolic.function([x], symbolic.grad(x * disconnected_grad(x), x))(3))
    3.0
    """
    return DisconnectedGrad()(as_tensor_variable(x))


def zero_grad(x: Any) -> Variable:
    """Return `x`; its derivative is zero.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> float(symbolic.function([x], symbolic.grad(zero_grad(x) ** 2, x))(3))
    0.0
    """
    return ZeroGrad()(as_tensor_variable(x))


def consider_constant(x: Any) -> Variable:
    """Return `x`; its derivative is zero, as for :func:`zero_grad`.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> float(symbolic.function([x], symbolic.grad(x + consider_constant(x), x))(3))
    1.0
    """
    return zero_grad(x)


def undefined_grad(x: Any) -> Variable:
    """Return `x`; asking for a derivative through it raises NullTypeGradError.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> symbolic.grad(undefined_grad(x) ** 2, x)
    Traceback (most recent call last):
        ...
    symbolic.errors.NullTypeGradError: ...
    """
    return UndefinedGrad()(as_tensor_variable(x))


def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> Variable:
    """Return `x`; the gradient that flows back through it is clipped, element by element.

    Parameters
    ----------
    x : Variable
    lower_bound, upper_bound : float

    Raises
    ------
    ValueError
        If the bounds aren't in order.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> float(symbolic.function([x], symbolic.grad(grad_clip(x, -1, 1) ** 2, x))(3))
    1.0
    """
    if not lower_bound <= upper_bound:
        raise ValueError(f"grad_clip: lower_bound {lower_bound} must not be above upper_bound {upper_bound}")
    return GradClip(float(lower_bound), float(upper_bound))(as_tensor_variable(x))


def grad_scale(x: Any, multiplier: float) -> Variable:
    """Return `x`; the gradient that flows back through it is multiplied (-1: gradient reversal).

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> float(symbolic.function([x], symbolic.grad(grad_scale(x, -1) ** 2, x))(3))
    -6.0
    """
    if isinstance(multiplier, Variable):
        raise errors.GraphError("grad_scale: multiplier must be a number, got a symbolic variable\n"
                                "hint: scale the cost, or use T.switch")
    return GradScale(float(multiplier))(as_tensor_variable(x))
