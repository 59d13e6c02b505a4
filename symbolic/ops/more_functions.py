"""More rows of the elementwise table: what NumPy and SciPy have beyond Theano's first names."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic import scalar
from symbolic.errors import DTypeError
from symbolic.graph import Variable, as_tensor_variable, constant
from symbolic.ops.elementwise import Row, cast_to, row
from symbolic.ops.functions import cos, eq, isinf, isnan_, log, sgn, sigmoid, switch
from symbolic.scalar import Expr, binary, const, isnan, select, unary
from symbolic.types import is_complex, is_float

_LN2 = math.log(2)


def _log_sum(power: str, log1p: Any, equal: float) -> Any:
    """Return the body of log(b**x + b**y): nothing overflows, and equal infinities give themselves."""
    def body(x: Expr, y: Expr) -> Expr:
        if is_complex(x.dtype):
            raise DTypeError("complex values have no order")
        same = binary("eq", x, y)
        gap = select(same, const(0, x.dtype), unary("abs", x - y))
        return scalar.maximum(x, y) + select(same, const(equal, x.dtype), log1p(unary(power, -gap)))

    return body


def _shares(scale: float) -> Any:
    """Partials of log(b**x + b**y): each summand's share of the sum."""
    def partials(x: Any, y: Any, z: Any) -> tuple:
        off = switch(eq(x, y), 0.0, x - y)
        return sigmoid(off * scale), sigmoid(-off * scale)

    return partials


logaddexp: Row = row("logaddexp", _log_sum("exp", lambda e: unary("log1p", e), _LN2), _shares(1.0), kind="float", nin=2,
                     doc="log(exp(x) + exp(y)), without overflow.")
logaddexp2: Row = row("logaddexp2", _log_sum("exp2", lambda e: unary("log1p", e) / _LN2, 1.0), _shares(_LN2), kind="float",
                      nin=2, doc="log2(2**x + 2**y), without overflow.")


def _isfinite(x: Expr) -> Expr:
    if is_complex(x.dtype):
        return binary("and", _isfinite(unary("real", x)), _isfinite(unary("imag", x)))
    return binary("lt", unary("abs", x), const(math.inf, x.dtype)) if is_float(x.dtype) else const(True, "bool")


isfinite: Row = row("isfinite", _isfinite, kind="bool", doc="Whether neither nan nor infinite.")


def _hypot(x: Expr, y: Expr) -> Expr:
    if is_complex(x.dtype):
        raise DTypeError("hypot isn't defined for complex values")
    work = "float64" if x.dtype == "float64" else "float32"
    a, b = (unary("abs", scalar.cast(v, work)) for v in (x, y))
    infinite = binary("or", binary("eq", a, math.inf), binary("eq", b, math.inf))
    if work == "float32":  # squares of float32 neither overflow nor vanish in float64
        a, b = scalar.cast(a, "float64"), scalar.cast(b, "float64")
        size = unary("sqrt", a * a + b * b)
    else:
        large, small = scalar.maximum(a, b), scalar.minimum(a, b)
        ratio = small / select(binary("eq", large, 0.0), const(1, work), large)
        size = large * unary("sqrt", 1 + ratio * ratio)
    return scalar.cast(select(infinite, const(math.inf, size.dtype), size), x.dtype)


def _hypot_partials(x: Any, y: Any, z: Any) -> tuple:
    size = switch(eq(z, 0), math.inf, z)  # no slope at the origin: 0, as that of a norm
    return x / size, y / size


hypot: Row = row("hypot", _hypot, _hypot_partials, kind="float", nin=2, doc="sqrt(x**2 + y**2), without overflow.")


def _cbrt(x: Expr) -> Expr:
    if is_complex(x.dtype):
        raise DTypeError("cbrt isn't defined for complex values")
    wide = scalar.cast(x, "float64")
    size = unary("abs", wide)
    plain = binary("lt", 0.0, size) & binary("lt", size, math.inf)
    safe = select(plain, size, const(1, "float64"))
    y = binary("pow", safe, const(1 / 3, "float64"))
    y = y - (y - safe / (y * y)) / 3  # a step of Newton's: the exponent isn't quite a third
    return scalar.cast(select(plain, binary("copysign", y, wide), wide), x.dtype)


cbrt: Row = row("cbrt", _cbrt, lambda x, y: (1 / (3 * y * y),), kind="float", nin=1, doc="Real cube root.", domain=(0.1, 4))
copysign: Row = row("copysign", lambda x, y: binary("copysign", x, y), lambda x, y, z: (sgn(x) * sgn(z), None), kind="float",
                    nin=2, doc="The size of x with the sign of y.")


def _heaviside(x: Expr, h: Expr) -> Expr:
    return select(isnan(x), x, select(binary("eq", x, 0), h, select(x > 0, const(1, x.dtype), const(0, x.dtype))))


heaviside: Row = row("heaviside", _heaviside, lambda x, h, y: (None, eq(x, 0)), kind="float", nin=2,
                     doc="0 where x is negative, h where it is 0, 1 where it is positive.")


def _sinc(x: Expr) -> Expr:
    if is_complex(x.dtype):
        raise DTypeError("sinc isn't defined for complex values")
    wide = scalar.cast(x, "float64")  # the angle of a large float32 may not fit in float32
    zero = binary("eq", wide, 0)
    angle = math.pi * select(zero, const(1, "float64"), wide)
    return scalar.cast(select(zero, const(1, "float64"), unary("sin", angle) / angle), x.dtype)


sinc: Row = row("sinc", _sinc, lambda x, y: (switch(eq(x, 0), 0.0, (cos(math.pi * x) - y) / switch(eq(x, 0), 1.0, x)),),
                kind="float", nin=1, doc="sin(pi x)/(pi x), 1 at 0.", domain=(0.2, 3))


def _times_log(x: Expr, y: Expr) -> Expr:
    zero = binary("and", binary("eq", x, 0), binary("eq", y, y))  # of nan it is nan
    return select(zero, const(0, x.dtype), x * unary("log", select(zero, const(1, y.dtype), y)))


xlogx: Row = row("xlogx", lambda x: _times_log(x, x), lambda x, y: (log(x) + 1,), kind="float", nin=1,
                 doc="x log(x), 0 where x is 0.", domain=(0.1, 4))
xlogy0: Row = row("xlogy0", _times_log, lambda x, y, z: (log(y), x / y), kind="float", nin=2,
                  doc="x log(y), 0 where x is 0.", domain=(0.1, 4))


def _erfcx(x: Expr) -> Expr:
    """exp(x*x) erfc(x): as it stands where erfc is far from 0, above 8 by its asymptotic series (DLMF 7.12.1)."""
    wide = scalar.cast(x, "float64")
    far = wide > 8.0
    near, away = select(far, const(0, "float64"), wide), select(far, wide, const(8, "float64"))
    u = 0.5 / (away * away)
    series: Any = const(1, "float64")
    for k in range(17, 0, -2):
        series = 1 - k * u * series
    high = series / (away * math.sqrt(math.pi))
    return scalar.cast(select(isnan(x), wide, select(far, high, unary("exp", near * near) * unary("erfc", near))), x.dtype)


erfcx: Row = row("erfcx", _erfcx, lambda x, y: (2 * x * y - 2 / math.sqrt(math.pi),), kind="float", nin=1,
                 doc="exp(x**2) erfc(x), the scaled complementary error function.", domain=(-2, 12))


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Variable:
    """Return `x` with numbers for nan and infinities, as ``numpy.nan_to_num``.

    Parameters
    ----------
    x : array_like
    copy : bool
        For NumPy's signature: the result is a new array in any case.
    nan : scalar
    posinf, neginf : scalar, optional
        By default the largest and smallest finite numbers of the dtype.

    Returns
    -------
    Variable
        Of the shape and dtype of `x`; the gradient is 0 where an element was replaced.

    Raises
    ------
    DTypeError
        If `x` is complex.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], nan_to_num([1.0, math.nan], nan=5.0))()
    array([1., 5.])
    """
    x = as_tensor_variable(x)
    if is_complex(x.dtype):
        raise DTypeError(f"nan_to_num: expected real values, got {x.type}; take real and imag apart")
    if not is_float(x.dtype):
        return x
    low, high = (limit if given is None else given for given, limit in zip((neginf, posinf), _limits(x.dtype), strict=True))
    size = switch(x > 0, _like(high, x), _like(low, x))  # type: ignore[operator]
    return switch(isnan_(x), _like(nan, x), switch(isinf(x), size, x))


def _limits(dtype: str) -> tuple[float, float]:
    largest = float(np.finfo(dtype).max)
    return -largest, largest


def _like(value: Any, x: Variable) -> Variable:
    return cast_to(as_tensor_variable(value), x.dtype) if isinstance(value, Variable) else constant(value, dtype=x.dtype)
