"""Incomplete gamma and Bessel functions: computed by SciPy, in a Python step of the program, with derivatives of our own."""
from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Op, Variable, as_tensor_variable
from symbolic.nullgrad import grad_not_implemented
from symbolic.ops import functions as f
from symbolic.ops.elementwise import broadcast_extents, broadcast_shape, cast_to, equal_extent_checks, unbroadcast
from symbolic.scalar import Check, Expr
from symbolic.types import TensorType, is_complex, promote, to_float


@dataclass(frozen=True)
class Function:
    """One function: its name in SciPy, and its partial derivatives; None for one that has no closed form.

    ``d(*inputs, output)`` gives a partial for each input.
    """

    scipy: str
    nin: int
    d: Callable[..., Sequence[Any]]
    doc: str


def _density(k: Any, x: Any) -> Any:
    """Return the density of the gamma distribution of shape k."""
    return f.exp((k - 1) * f.log(x) - x - f.gammaln(k))


FUNCTIONS: dict[str, Function] = {
    "gammainc": Function("gammainc", 2, lambda k, x, y: (None, _density(k, x)),
                         "Regularised lower incomplete gamma function P(k, x)."),
    "gammaincc": Function("gammaincc", 2, lambda k, x, y: (None, -_density(k, x)),
                          "Regularised upper incomplete gamma function Q(k, x) = 1 - P(k, x)."),
    "j0": Function("j0", 1, lambda x, y: (-j1(x),), "Bessel function of the first kind of order 0."),
    "j1": Function("j1", 1, lambda x, y: ((j0(x) - jv(2, x)) / 2,), "Bessel function of the first kind of order 1."),
    "jv": Function("jv", 2, lambda v, x, y: (None, (jv(v - 1, x) - jv(v + 1, x)) / 2),
                   "Bessel function of the first kind of real order v."),
    "i0": Function("i0", 1, lambda x, y: (i1(x),), "Modified Bessel function of the first kind of order 0."),
    "i1": Function("i1", 1, lambda x, y: ((i0(x) + iv(2, x)) / 2,), "Modified Bessel function of the first kind of order 1."),
    "iv": Function("iv", 2, lambda v, x, y: (None, (iv(v - 1, x) + iv(v + 1, x)) / 2),
                   "Modified Bessel function of the first kind of real order v."),
}


@cache
def _scipy(name: str) -> Callable[..., Any]:
    try:
        return getattr(importlib.import_module("scipy.special"), name)
    except ImportError:
        raise errors.NotSupported(f"{name}: it is computed by SciPy, which isn't installed\nhint: pip install scipy") from None


class Special(Op):
    """A function of :data:`FUNCTIONS`, of floating inputs of one dtype, which broadcast."""

    __props__ = ("fn",)

    def __init__(self, fn: str) -> None:
        self.fn = fn

    @property
    def name(self) -> str:
        return self.fn

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(types[0].dtype, broadcast_shape([t.shape for t in types])),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (broadcast_extents(types),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return equal_extent_checks(types)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        with np.errstate(all="ignore"):
            return (np.asarray(_scipy(FUNCTIONS[self.fn].scipy)(*(a.astype("float64") for a in arrays))).astype(arrays[0].dtype),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g = gouts[0]
        if g is None:
            return [None] * len(inputs)
        out: list[Any] = []
        for k, (x, d) in enumerate(zip(inputs, FUNCTIONS[self.fn].d(*inputs, outputs[0]), strict=True)):
            if d is None:
                out.append(grad_not_implemented(self, k, x, "the derivative by the order isn't known in closed form"))
            else:
                out.append(unbroadcast(g * d, x, inputs))  # type: ignore[operator]
        return out

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True] for _ in node.inputs]


def _apply(fn: str, *args: Any) -> Variable:
    given = [as_tensor_variable(a) for a in args]
    dtype = to_float(promote(*(v.dtype for v in given)))
    if is_complex(dtype):
        raise errors.DTypeError(f"{fn}: expected real values, got {', '.join(str(v.type) for v in given)}")
    return Special(fn)(*(cast_to(v, dtype) for v in given))


def gammainc(k: Any, x: Any) -> Variable:
    """Return the regularised lower incomplete gamma function, as ``scipy.special.gammainc``; differentiable by `x`.

    >>> gammainc(np.ones(3), 2.0).type.shape
    (3,)
    """
    return _apply("gammainc", k, x)


def gammaincc(k: Any, x: Any) -> Variable:
    """Return the regularised upper incomplete gamma function, ``1 - gammainc(k, x)``; differentiable by `x`."""
    return _apply("gammaincc", k, x)


def gammal(k: Any, x: Any) -> Variable:
    """Return the lower incomplete gamma function, ``gammainc(k, x) * gamma(k)``."""
    return gammainc(k, x) * f.gamma(as_tensor_variable(k))  # type: ignore[operator]


def gammau(k: Any, x: Any) -> Variable:
    """Return the upper incomplete gamma function, ``gammaincc(k, x) * gamma(k)``."""
    return gammaincc(k, x) * f.gamma(as_tensor_variable(k))  # type: ignore[operator]


def chi2sf(x: Any, k: Any) -> Variable:
    """Return the chance that a chi-squared variable of `k` degrees of freedom exceeds `x`; differentiable by `x`.

    >>> chi2sf(np.ones(3), 2.0).type.shape
    (3,)
    """
    return gammaincc(as_tensor_variable(k) / 2.0, as_tensor_variable(x) / 2.0)  # type: ignore[operator]


def j0(x: Any) -> Variable:
    """Return the Bessel function of the first kind of order 0.

    >>> j0(np.ones(3)).type.shape
    (3,)
    """
    return _apply("j0", x)


def j1(x: Any) -> Variable:
    """Return the Bessel function of the first kind of order 1."""
    return _apply("j1", x)


def jv(v: Any, x: Any) -> Variable:
    """Return the Bessel function of the first kind of real order `v`; differentiable by `x`."""
    return _apply("jv", v, x)


def i0(x: Any) -> Variable:
    """Return the modified Bessel function of the first kind of order 0.

    >>> i0(np.ones(3)).type.shape
    (3,)
    """
    return _apply("i0", x)


def i1(x: Any) -> Variable:
    """Return the modified Bessel function of the first kind of order 1."""
    return _apply("i1", x)


def iv(v: Any, x: Any) -> Variable:
    """Return the modified Bessel function of the first kind of real order `v`; differentiable by `x`."""
    return _apply("iv", v, x)


def complex_from_polar(abs: Any, angle: Any) -> Variable:
    """Return complex numbers from their moduli and arguments, in radians.

    >>> complex_from_polar(2.0, 0.5).dtype
    'complex128'
    """
    size, angle = as_tensor_variable(abs), as_tensor_variable(angle)
    return f.complex_(size * f.cos(angle), size * f.sin(angle))  # type: ignore[operator]
