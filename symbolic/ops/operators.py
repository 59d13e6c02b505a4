"""Python's operators and NumPy's methods on Variables: tables, each entry naming the function behind it."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symbolic.graph import Variable
from symbolic.ops import functions as f
from symbolic.ops import (  # noqa: F401  (nnet and scatter register what gradients need)
    nnet,
    reduce,
    scatter,
    shape,
)
from symbolic.ops.elementwise import cast_to
from symbolic.ops.index import getitem
from symbolic.ops.linalg import dot, matmul
from symbolic.types import is_discrete


def _power(x: Any, y: Any) -> Variable:
    """Return ``x ** y``; common constant exponents become cheaper and exact functions."""
    if isinstance(x, Variable) and isinstance(y, (int, float)) and not isinstance(y, bool):
        if y == 2:
            return f.sqr(x)
        if y == 1:
            return x
        if y == 0.5 and not is_discrete(x.dtype):
            return f.sqrt(x)
        if y == -1 and not is_discrete(x.dtype):
            return f.inv(x)
    return f.pow(x, y)


_BINARY: dict[str, Callable] = {
    "add": f.add, "sub": f.sub, "mul": f.mul, "truediv": f.true_div, "floordiv": f.int_div, "mod": f.mod,
    "pow": _power, "and": f.and_, "or": f.or_, "xor": f.xor, "lshift": f.left_shift, "rshift": f.right_shift,
}
_COMPARE: dict[str, Callable] = {"lt": f.lt, "le": f.le, "gt": f.gt, "ge": f.ge}
_UNARY: dict[str, Callable] = {"neg": f.neg, "abs": f.abs_, "invert": f.invert}
_METHODS = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos", "tan", "arcsin", "arccos",
    "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "deg2rad", "rad2deg", "conj", "clip",
    "ceil", "floor", "trunc",
)

_ARRAY: dict[str, Callable] = {
    "dimshuffle": shape.dimshuffle, "reshape": shape.reshape, "flatten": shape.flatten, "squeeze": shape.squeeze,
    "swapaxes": shape.swapaxes, "dot": dot,
    **{name: getattr(reduce, name) for name in ("sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin",
                                                "any", "all", "ptp")},
}


def _transposed(self: Variable, *axes: Any) -> Variable:
    axes = tuple(axes[0]) if len(axes) == 1 and isinstance(axes[0], (list, tuple)) else axes
    return shape.transpose(self, axes or None)


def _forward(function: Callable) -> Callable:
    return lambda self, other: function(self, other)


def _reflected(function: Callable) -> Callable:
    return lambda self, other: function(other, self)


def _method(function: Callable) -> Callable:
    return lambda self, *args, **options: function(self, *args, **options)


def _install() -> None:
    for name, function in _BINARY.items():
        setattr(Variable, f"__{name}__", _forward(function))
        setattr(Variable, f"__r{name}__", _reflected(function))
    for name, function in _COMPARE.items():
        setattr(Variable, f"__{name}__", _forward(function))
    for name, function in _UNARY.items():
        setattr(Variable, f"__{name}__", _method(function))
    for name in _METHODS:
        setattr(Variable, name, _method(getattr(f, name)))
    for name, function in _ARRAY.items():
        setattr(Variable, name, _method(function))
    Variable.__getitem__ = getitem  # type: ignore[assignment, method-assign]
    Variable.__matmul__ = _forward(matmul)  # type: ignore[method-assign]
    Variable.__rmatmul__ = _reflected(matmul)  # type: ignore[method-assign]
    Variable.transpose = _transposed  # type: ignore[attr-defined]
    Variable.T = property(shape.transpose)  # type: ignore[attr-defined]
    Variable.shape = property(shape.shape)  # type: ignore[attr-defined]
    Variable.astype = cast_to  # type: ignore[attr-defined]
    Variable.real = property(f.real)  # type: ignore[attr-defined]
    Variable.imag = property(f.imag)  # type: ignore[attr-defined]


_install()
