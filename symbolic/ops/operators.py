"""Python's operators and NumPy's methods on Variables: tables, each entry naming the function behind it."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.ops import (  # noqa: F401  (join, more_functions, nnet, protocols and scatter register what others need)
    create,
    cumulative,
    diagonal,
    extents,
    join,
    more_functions,
    nnet,
    protocols,
    reduce,
    same_shape,
    scatter,
    selection,
    shape,
    sort,
)
from symbolic.ops import functions as f
from symbolic.ops.elementwise import cast_to
from symbolic.ops.index import getitem, take
from symbolic.ops.linalg import dot, matmul
from symbolic.ops.transfer import transfer
from symbolic.source import caller
from symbolic.types import is_discrete


def power(x: Any, y: Any) -> Variable:
    """Return ``x ** y``; common constant exponents become cheaper and more exact functions.

    >>> str(power(constant(2.0), 2).owner.op)
    'sqr'
    """
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


def divmod_(x: Any, y: Any) -> tuple[Variable, Variable]:
    """Return ``(x // y, x % y)``.

    >>> [v.dtype for v in divmod_(constant(7.0), 2)]
    ['float64', 'float64']
    """
    return f.int_div(x, y), f.mod(x, y)


def ceil_intdiv(x: Any, y: Any) -> Variable:
    """Return the quotient of integers, rounded up.

    >>> ceil_intdiv(constant(7), 2).dtype
    'int8'
    """
    return -f.int_div(-as_tensor_variable(x), y)


ROUNDING = {"half_to_even": f.round_half_to_even, "half_away_from_zero": f.round_half_away_from_zero}


def round_(x: Any, mode: str = "half_to_even") -> Variable:
    """Return the nearest integers, in the dtype of `x`; ties go to even numbers, or away from zero.

    Raises
    ------
    ValueError
        If `mode` is neither ``'half_to_even'`` nor ``'half_away_from_zero'``.

    Examples
    --------
    >>> str(round_(constant(2.5)).owner.op)
    'round_half_to_even'
    """
    if mode not in ROUNDING:
        raise ValueError(f"round: mode must be one of {', '.join(map(repr, ROUNDING))}, got {mode!r}")
    return ROUNDING[mode](x)


def iround(x: Any, mode: str = "half_to_even") -> Variable:
    """Return the nearest integers, as int64.

    >>> iround(constant(2.5)).dtype
    'int64'
    """
    return cast_to(round_(x, mode), "int64")


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Return, elementwise, whether ``|a - b| <= atol + rtol*|b|``; infinities are close to themselves only.

    >>> isclose(constant([1.0, 2.0]), 1.0).type
    TensorType(bool, (2,))
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    near = f.le(f.abs_(a - b), atol + rtol * f.abs_(b))
    close = f.or_(f.and_(near, f.invert(f.isinf(b))), f.eq(a, b))
    return f.or_(close, f.and_(f.isnan_(a), f.isnan_(b))) if equal_nan else close


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Return whether all elements of two arrays are close; arguments as for :func:`isclose`.

    >>> allclose(constant([1.0, 2.0]), 1.0).type
    TensorType(bool, ())
    """
    return reduce.all(isclose(a, b, rtol, atol, equal_nan))


def size(x: Any) -> Variable:
    """Return the number of elements.

    >>> size(np.zeros((2, 3))).dtype
    'int64'
    """
    n: Any = constant(1, dtype="int64")
    for extent in extents.extents(x):
        n = n * extent
    return n


def copy(x: Any, name: str | None = None) -> Variable:
    """Return the same values as another variable, which can have a name of its own.

    >>> copy(constant(1.0), "y").name
    'y'
    """
    x = as_tensor_variable(x)
    out = f.second(x, x)
    out.name = name
    return out


def cast(x: Any, dtype: Any) -> Variable:
    """Return `x` converted to `dtype` (``'floatX'`` is the configured float).

    >>> cast(constant(3), "floatX").dtype
    'float64'
    """
    return cast_to(x, dtype)


def smallest(*args: Any) -> Variable:
    """Return the elementwise smallest of arrays.

    >>> smallest(constant([1, 2]), 0, 1).type.shape
    (2,)
    """
    out = as_tensor_variable(args[0])
    for a in args[1:]:
        out = f.minimum(out, a)
    return out


def largest(*args: Any) -> Variable:
    """Return the elementwise largest of arrays.

    >>> largest(constant([1, 2]), 0, 1).type.shape
    (2,)
    """
    out = as_tensor_variable(args[0])
    for a in args[1:]:
        out = f.maximum(out, a)
    return out


# --------------------------------------------------------------------------------- tables of methods

_BINARY: dict[str, Callable] = {
    "add": f.add, "sub": f.sub, "mul": f.mul, "truediv": f.true_div, "floordiv": f.int_div, "mod": f.mod,
    "pow": power, "and": f.and_, "or": f.or_, "xor": f.xor, "lshift": f.left_shift, "rshift": f.right_shift,
    "divmod": divmod_, "matmul": matmul,
}
_COMPARE: dict[str, Callable] = {"lt": f.lt, "le": f.le, "gt": f.gt, "ge": f.ge}
_UNARY: dict[str, Callable] = {"neg": f.neg, "abs": f.abs_, "invert": f.invert, "pos": as_tensor_variable}
_MATHS = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sqr", "sin", "cos", "tan", "arcsin", "arccos",
    "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "deg2rad", "rad2deg", "conj", "clip",
    "ceil", "floor", "trunc", "sgn",
)
_METHODS: dict[str, Callable] = {
    **{name: getattr(f, name) for name in _MATHS},
    **{name: getattr(reduce, name) for name in ("sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin",
                                                "any", "all", "ptp", "norm")},
    **{name: getattr(shape, name) for name in ("dimshuffle", "flatten", "ravel", "swapaxes", "squeeze")},
    **{name: getattr(create, name) for name in ("zeros_like", "ones_like")},
    "__getitem__": getitem, "__round__": lambda self, digits=None: round_(self), "astype": cast_to, "cast": cast_to,
    **{name: getattr(cumulative, name) for name in ("cumsum", "cumprod")},
    **{name: getattr(sort, name) for name in ("sort", "argsort", "searchsorted")},
    **{name: getattr(selection, name) for name in ("choose", "compress", "nonzero", "nonzero_values")}, "conjugate": f.conj,
    "log": f.log, "copy": copy, "transfer": transfer, "diagonal": diagonal.diagonal, "dot": dot, "fill": f.fill,
    "repeat": join.repeat, "round": round_, "take": take, "trace": diagonal.trace,
}
_PROPERTIES: dict[str, Callable] = {
    "T": shape.transpose, "shape": extents.shape, "size": size, "real": f.real, "imag": f.imag,
}


def _variadic(function: Callable, option: str) -> Callable:
    """Return a method that takes a sequence either as one argument or spread over several."""
    def method(self: Variable, *args: Any, **options: Any) -> Variable:
        if len(args) == 2 and not isinstance(args[0], (int, np.integer)) and not getattr(args[0], "ndim", 1) == 0:
            return function(self, *args, **options)
        value = args[0] if len(args) == 1 else args
        return function(self, **{option: value}, **options) if args else function(self, **options)

    return method


def _contains(self: Variable, item: Any) -> bool:
    raise TypeError(errors.message("in", "whether an array holds a value is known only when the function runs",
                                   (describe(self),), caller(), "use T.any(T.eq(x, value))"))


def _setitem(self: Variable, key: Any, value: Any) -> None:
    raise TypeError(errors.message("x[...] = y", "a symbolic variable can't be changed", (describe(self),), caller(),
                                   "T.set_subtensor(x[...], y) returns the whole of x with a part replaced; inc_subtensor adds"))


def _forward(function: Callable) -> Callable:
    return lambda self, other: function(self, other)


def _reflected(function: Callable) -> Callable:
    return lambda self, other: function(other, self)


def _method(name: str, function: Callable) -> Callable:
    def method(self: Variable, *args: Any, **options: Any) -> Any:
        return function(self, *args, **options)

    method.__name__ = name
    method.__doc__ = function.__doc__
    return method


def _install() -> None:
    for name, function in _BINARY.items():
        setattr(Variable, f"__{name}__", _forward(function))
        setattr(Variable, f"__r{name}__", _reflected(function))
    for name, function in _COMPARE.items():
        setattr(Variable, f"__{name}__", _forward(function))
    for name, function in _UNARY.items():
        setattr(Variable, f"__{name}__", _method(name, function))
    for name, function in _METHODS.items():
        setattr(Variable, name, _method(name, function))
    for name, function in _PROPERTIES.items():
        setattr(Variable, name, property(function))
    special: dict[str, Callable] = {"__setitem__": _setitem, "__contains__": _contains,
               "reshape": _variadic(shape.reshape, "newshape"),
               "transpose": _variadic(shape.transpose, "axes")}
    for name, function in special.items():
        setattr(Variable, name, function)


_install()
