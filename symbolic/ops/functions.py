"""The table of elementwise functions. One row is all a function needs: C, CUDA, NumPy, both derivatives, tests."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic import scalar
from symbolic.errors import DTypeError
from symbolic.graph import Constant, Variable, as_tensor_variable, constant
from symbolic.ops.elementwise import Row, cast_to, row
from symbolic.ops.kinks import is_abs_of, nonnegative
from symbolic.reverse import FILL
from symbolic.scalar import Expr, binary, const, isnan, select, unary
from symbolic.types import is_complex, is_discrete, is_float


def atom(name: str) -> Any:
    """Return a body that is a single atom."""
    if scalar.ATOMS[name].arity == 1:
        return lambda x: unary(name, x)
    return lambda x, y: binary(name, x, y)


# ------------------------------------------------------------------------------------------ arithmetic


def _sub(x: Expr, y: Expr) -> Expr:
    if x.dtype == "bool":
        raise DTypeError("subtraction isn't defined for bool; use T.xor, or cast to an integer")
    return binary("sub", x, y)


def _neg(x: Expr) -> Expr:
    if x.dtype == "bool":
        raise DTypeError("negation isn't defined for bool; use T.invert (~x)")
    return unary("neg", x)


def _no_bool(name: str, what: str) -> Any:
    """Return the body of a binary atom that NumPy computes in int8 for bools: better said than guessed."""
    def body(x: Expr, y: Expr) -> Expr:
        if x.dtype == "bool":
            raise DTypeError(f"{what} isn't defined for bool; cast to an integer")
        return binary(name, x, y)

    return body


add: Row = row("add", atom("add"), lambda x, y, z: (1, 1), nin=2, doc="Sum of two arrays.")
sub: Row = row("sub", _sub, lambda x, y, z: (1, -1), doc="Difference of two arrays.")
mul: Row = row("mul", atom("mul"), lambda x, y, z: (y, x), nin=2, doc="Product of two arrays.")


def _div_partials(x: Any, y: Any, z: Any) -> tuple:
    if is_abs_of(y, x):  # x/|x| has slope 0 on both sides of 0
        zero = eq(y, 0)
        return 1 / switch(zero, math.inf, y), switch(zero, 0.0, -z / y)
    return 1 / y, -z / y


#: A product that is 0 where its first factor is, whatever the other is, nan included; and so are its derivatives.
mul_unless_zero: Row = row("mul_unless_zero", lambda x, y: select(binary("eq", x, 0), const(0, x.dtype), x * y), nin=2,
                           doc="x * y; 0 where x is 0, whatever y is.",
                           pullback=lambda i, z, g: [mul_unless_zero(g, i[1]), mul_unless_zero(i[0], g)])
true_div: Row = row("true_div", lambda x, y: x / y, _div_partials, kind="float",
               doc="Quotient; integers become floats first.")
int_div: Row = row("int_div", _no_bool("floordiv", "division"),
                   doc="Quotient rounded towards minus infinity; x//0 is 0 for integers.")
mod: Row = row("mod", _no_bool("mod", "the remainder"), lambda x, y, z: (1, -int_div(x, y)),
          doc="Remainder with the sign of the divisor; x%0 is 0 for integers.")
neg: Row = row("neg", _neg, lambda x, z: (-1,), doc="Negation.")


def _pow_partials(x: Any, y: Any, z: Any) -> tuple:
    # x**0 has gradient 0 and 0**y has gradient 0 in y, where the plain formulas give nan.
    base = x
    if isinstance(y, Constant) and bool(np.all((y.data > 0) & (y.data < 1))) and nonnegative(x):
        base = switch(eq(x, 0), math.inf, x)  # the root of a sum of squares has slope 0 where that is 0
    dx = switch(eq(y, 0), 0.0, y * pow(base, y - 1))
    dy = None if is_discrete(y.dtype) else switch(eq(x, 0), 0.0, z * log(switch(eq(x, 0), 1.0, x)))
    return dx, dy


pow: Row = row("pow", _no_bool("pow", "a power"), _pow_partials, nin=2, doc="Power.", domain=(0.3, 2.5))
abs_: Row = row("abs", lambda x: unary("abs", x), lambda x, y: (sgn(x),), kind="real", doc="Absolute value.",
           pullback=lambda i, y, g: [g * sgn(i[0]) if not is_complex(i[0].dtype) else
                                     i[0] * (g / switch(eq(y, 0), 1.0, y))])


def _sgn(x: Expr) -> Expr:
    if is_complex(x.dtype):
        raise DTypeError("sgn isn't defined for complex values")
    if x.dtype == "bool":
        raise DTypeError("sgn isn't defined for bool")
    # the last arm hands nan through; -0.0 gives 0.0, as NumPy
    return select(x > 0, 1, select(x < 0, -1, select(isnan(x), x, 0)))


sgn: Row = row("sgn", _sgn, lambda x, y: (None,), doc="Sign: -1, 0 or 1.")
sqr: Row = row("sqr", lambda x: x * x, lambda x, y: (2 * x,), doc="Square.")
# where it is 0 though it can't be less, the slope is 0: sqrt(sum(x**2)), a standard deviation
sqrt: Row = row("sqrt", atom("sqrt"), lambda x, y: (0.5 / (switch(eq(y, 0), math.inf, y) if nonnegative(x) else y),),
                kind="float", nin=1, doc="Square root.", domain=(0.1, 4))
inv: Row = row("inv", lambda x: 1 / x, lambda x, y: (-y * y,), kind="float", doc="Reciprocal.", domain=(0.3, 4))
maximum: Row = row("maximum", scalar.maximum, lambda x, y, z: (eq(z, x), eq(z, y)),
                   doc="Larger of two; nan if either is.")
minimum: Row = row("minimum", scalar.minimum, lambda x, y, z: (eq(z, x), eq(z, y)),
                   doc="Smaller of two; nan if either is.")
clip: Row = row("clip", lambda x, lo, hi: scalar.minimum(scalar.maximum(x, lo), hi),
           lambda x, lo, hi, y: (and_(ge(x, lo), le(x, hi)), and_(lt(x, lo), le(lo, hi)),
                                 gt(maximum(x, lo), hi)), doc="Limit to an interval.")
second: Row = row("second", lambda x, y: y, lambda x, y, z: (None, 1), doc="The second argument, broadcast.")


def fill(a: Any, b: Any) -> Variable:
    """Return `b` broadcast to the shape of `a`, in the dtype of `b`.

    >>> fill(constant([1, 2]), constant(0.5)).type
    TensorType(float64, (2,))
    """
    value = as_tensor_variable(b)
    return cast_to(second(a, value), value.dtype)


FILL.append(fill)


# ------------------------------------------------------------------------------- comparison and choice


def _compare(name: str, flip: bool = False) -> Any:
    def body(x: Expr, y: Expr) -> Expr:
        return binary(name, y, x) if flip else binary(name, x, y)

    return body


eq: Row = row("eq", _compare("eq"), kind="bool", doc="Equal, elementwise (``==`` compares identity).")
neq: Row = row("neq", _compare("ne"), kind="bool", doc="Not equal, elementwise.")
lt: Row = row("lt", _compare("lt"), kind="bool", doc="Less.")
le: Row = row("le", _compare("le"), kind="bool", doc="Less or equal.")
gt: Row = row("gt", _compare("lt", flip=True), kind="bool", doc="Greater.")
ge: Row = row("ge", _compare("le", flip=True), kind="bool", doc="Greater or equal.")
isnan_: Row = row("isnan", isnan, kind="bool", doc="Whether nan.")
isinf: Row = row("isinf", lambda x: const(False, "bool") if not is_float(x.dtype) else
            binary("eq", unary("abs", x), const(math.inf, x.dtype)), kind="bool", doc="Whether infinite.")


def _switch_pullback(inputs: Any, y: Any, g: Any) -> list:
    # zeros, not products: a nan in the arm not taken stays there
    zero = cast_zero(g)
    return [None, switch(inputs[0], g, zero), switch(inputs[0], zero, g)]


def cast_zero(g: Any) -> Any:
    """Return a 0-d zero of the dtype of `g`."""
    return constant(np.zeros((), g.dtype))


switch: Row = row("switch", select, kind="switch", nin=3, pullback=_switch_pullback,
             doc="The second argument where the condition holds, else the third.")
and_: Row = row("and_", atom("and"), kind="bits", nin=2, doc="Bitwise and; logical for bools.")
or_: Row = row("or_", atom("or"), kind="bits", nin=2, doc="Bitwise or; logical for bools.")
xor: Row = row("xor", atom("xor"), kind="bits", nin=2, doc="Bitwise exclusive or.")
invert: Row = row("invert", lambda x: unary("invert", x), kind="bits", doc="Bitwise not; logical for bools.")
left_shift: Row = row("left_shift", _no_bool("shl", "a shift"), kind="bits", nin=2, doc="Shift left.", domain=(0, 7))
right_shift: Row = row("right_shift", _no_bool("shr", "a shift"), kind="bits", nin=2, doc="Shift right.", domain=(0, 7))


# -------------------------------------------------------------------------------------------- rounding


def _rounding(name: str) -> Any:
    def body(x: Expr) -> Expr:
        return x if is_discrete(x.dtype) else unary(name, x)

    return body


def _half_away(x: Expr) -> Expr:
    if is_discrete(x.dtype):
        return x
    whole = unary("trunc", x)
    # comparing the exact remainder: adding 0.5 first would round 0.49999999999999994 up
    return select(unary("abs", x - whole) >= 0.5, whole + binary("copysign", 1.0, x), whole)


ceil: Row = row("ceil", _rounding("ceil"), lambda x, y: (None,), nin=1, doc="Smallest integer not below.")
floor: Row = row("floor", _rounding("floor"), lambda x, y: (None,), nin=1, doc="Largest integer not above.")
trunc: Row = row("trunc", _rounding("trunc"), lambda x, y: (None,), nin=1, doc="Integer part.")
round_half_to_even: Row = row("round_half_to_even", _rounding("rint"), lambda x, y: (None,), nin=1,
                         doc="Nearest integer, ties to even.")
round_half_away_from_zero: Row = row("round_half_away_from_zero", _half_away, lambda x, y: (None,),
                                doc="Nearest integer, ties away from zero.")


# -------------------------------------------------------------------------------------- transcendental

_LN2, _LN10 = math.log(2), math.log(10)


def _float_row(name: str, d: Any, doc: str, domain: tuple[float, float] = (-3.0, 3.0), body: Any = None) -> Row:
    return row(name, body or atom(name), d, kind="float", nin=1, doc=doc, domain=domain)


exp: Row = _float_row("exp", lambda x, y: (y,), "Exponential.")
exp2: Row = _float_row("exp2", lambda x, y: (y * _LN2,), "2 to the power x.")
expm1: Row = _float_row("expm1", lambda x, y: (y + 1,), "exp(x) - 1, accurate near 0.")
log: Row = _float_row("log", lambda x, y: (1 / x,), "Natural logarithm.", (0.1, 5))
log2: Row = _float_row("log2", lambda x, y: (1 / (x * _LN2),), "Logarithm to base 2.", (0.1, 5))
log10: Row = _float_row("log10", lambda x, y: (1 / (x * _LN10),), "Logarithm to base 10.", (0.1, 5))
log1p: Row = _float_row("log1p", lambda x, y: (1 / (1 + x),), "log(1 + x), accurate near 0.", (-0.9, 5))
sin: Row = _float_row("sin", lambda x, y: (cos(x),), "Sine of radians.")
cos: Row = _float_row("cos", lambda x, y: (-sin(x),), "Cosine of radians.")
tan: Row = _float_row("tan", lambda x, y: (1 + y * y,), "Tangent of radians.", (-1.2, 1.2))
arcsin: Row = _float_row("arcsin", lambda x, y: (1 / sqrt(1 - x * x),), "Inverse sine, in radians.", (-0.9, 0.9))
arccos: Row = _float_row("arccos", lambda x, y: (-1 / sqrt(1 - x * x),), "Inverse cosine, in radians.", (-0.9, 0.9))
arctan: Row = _float_row("arctan", lambda x, y: (1 / (1 + x * x),), "Inverse tangent, in radians.")
sinh: Row = _float_row("sinh", lambda x, y: (cosh(x),), "Hyperbolic sine.")
cosh: Row = _float_row("cosh", lambda x, y: (sinh(x),), "Hyperbolic cosine.")
tanh: Row = _float_row("tanh", lambda x, y: (1 - y * y,), "Hyperbolic tangent.")
arcsinh: Row = _float_row("arcsinh", lambda x, y: (1 / sqrt(1 + x * x),), "Inverse hyperbolic sine.")
arccosh: Row = _float_row("arccosh", lambda x, y: (1 / sqrt((x - 1) * (x + 1)),), "Inverse hyperbolic cosine.",
                            (1.1, 4))
arctanh: Row = _float_row("arctanh", lambda x, y: (1 / (1 - x * x),), "Inverse hyperbolic tangent.", (-0.9, 0.9))
deg2rad: Row = _float_row("deg2rad", lambda x, y: (math.pi / 180,), "Degrees to radians.",
                            body=lambda x: x * (math.pi / 180))
rad2deg: Row = _float_row("rad2deg", lambda x, y: (180 / math.pi,), "Radians to degrees.",
                            body=lambda x: x * (180 / math.pi))


def _arctan2_partials(y: Any, x: Any, z: Any) -> tuple:
    size = x * x + y * y
    size = switch(eq(size, 0), math.inf, size)  # no limit at the origin: 0
    return x / size, -y / size


arctan2: Row = row("arctan2", atom("arctan2"), _arctan2_partials,
                   kind="float", nin=2, doc="Angle of the point (x, y), arguments in the order y, x.")

_TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)
_HALF_SQRT_PI = math.sqrt(math.pi) / 2
_HALF_SQRT2 = math.sqrt(0.5)
erf: Row = _float_row("erf", lambda x, y: (_TWO_OVER_SQRT_PI * exp(-x * x),), "Error function.")
erfc: Row = _float_row("erfc", lambda x, y: (-_TWO_OVER_SQRT_PI * exp(-x * x),), "1 - erf(x), accurate in the tail.")


def _horner(x: Expr, *coefficients: float) -> Expr:
    total: Any = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


def _in_double(body: Any) -> Any:
    """Compute a body in float64: its constants and cancellations ask for it."""
    def wrapped(x: Expr) -> Expr:
        return scalar.cast(body(scalar.cast(x, "float64")), x.dtype)

    return wrapped


#: M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", 1988 (PPND16): numerators and
#: denominators, highest power first, for the middle and the two parts of the tail.
_MIDDLE = ((2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
            1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
           (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
            5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0))
_NEAR = ((7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
          3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
         (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
          6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0))
_FAR = ((2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
         2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
        (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
         1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0))


def _ratio(x: Expr, part: tuple) -> Expr:
    return _horner(x, *part[0]) / _horner(x, *part[1])


def _quantile_in_the_middle(q: Expr) -> Expr:
    """Return the point that a normal number is below with chance 1/2 + q, for ``|q| <= 0.425``."""
    return q * _ratio(0.180625 - q * q, _MIDDLE)


def _quantile_in_the_tail(p: Expr) -> Expr:
    """Return the point that a normal number is above with chance p, for p up to 0.075."""
    r = unary("sqrt", -unary("log", p))
    return select(r <= 5.0, _ratio(r - 1.6, _NEAR), _ratio(r - 5.0, _FAR))


def _erfcinv(q: Expr) -> Expr:
    """Inverse of erfc: a quantile of the normal distribution, from the nearer tail."""
    small = 0.5 * select(q > 1, 2 - q, q)
    tail = _quantile_in_the_tail(select(small > 0, small, 0.05))
    tail = select(small > 0, tail, select(binary("eq", small, 0.0), math.inf, math.nan))
    middle = _quantile_in_the_middle(0.5 - 0.5 * select(small > 0.075, q, 1.0))
    return _HALF_SQRT2 * select(small > 0.075, middle, select(q > 1, -tail, tail))


def _erfinv(x: Expr) -> Expr:
    """Inverse of erf: from the middle for small arguments, so that nothing cancels against 1."""
    magnitude = unary("abs", x)
    middle = _quantile_in_the_middle(0.5 * select(magnitude <= 0.85, x, 0.0))
    rest = 0.5 * (1 - magnitude)
    tail = _quantile_in_the_tail(select((magnitude > 0.85) & (rest > 0), rest, 0.05))
    tail = select(rest > 0, tail, select(binary("eq", rest, 0.0), math.inf, math.nan))
    return _HALF_SQRT2 * select(magnitude <= 0.85, middle, binary("copysign", tail, x))


erfinv: Row = _float_row("erfinv", lambda x, y: (_HALF_SQRT_PI * exp(y * y),), "Inverse of erf.", (-0.9, 0.9),
                    body=_in_double(_erfinv))
erfcinv: Row = _float_row("erfcinv", lambda x, y: (-_HALF_SQRT_PI * exp(y * y),), "Inverse of erfc.", (0.1, 1.9),
                     body=_in_double(_erfcinv))


def _tgamma_body(x: Expr) -> Expr:
    return unary("tgamma", x)


_SHIFT = 10  # the asymptotic series reaches double precision above this


def _psi(x: Expr) -> Expr:
    """Digamma: reflection below 0, recurrence up to 10, then the asymptotic series (DLMF 5.11.2)."""
    negative = x < 0
    pole = (x <= 0) & binary("eq", unary("floor", x), x)
    fraction = x - unary("rint", x)  # to the nearest pole: exact, also for tiny x
    z = select(negative, 1 - x, x)
    recurrence: Any = 0.0
    for k in range(_SHIFT):
        recurrence = recurrence + 1 / (select(pole, 1.0, z) + float(k))
    w = z + float(_SHIFT)
    u = 1 / (w * w)
    series = u * _horner(u, -1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12)
    value = unary("log", w) - 0.5 / w + series - recurrence
    reflected = value - math.pi / unary("tan", math.pi * select(pole, 0.5, fraction))
    infinite = binary("eq", unary("abs", x), math.inf)
    edge = select(x > 0, math.inf, math.nan)
    return select(infinite, edge, select(pole, select(binary("eq", x, 0.0),
                  binary("copysign", math.inf, -x), math.nan), select(negative, reflected, value)))


def _tri_gamma(x: Expr) -> Expr:
    """Derivative of digamma: the same three steps (DLMF 5.15.8)."""
    negative = x < 0
    pole = (x <= 0) & binary("eq", unary("floor", x), x)
    fraction = x - unary("rint", x)  # to the nearest pole: exact, also for tiny x
    z = select(pole, 1.0, select(negative, 1 - x, x))
    recurrence: Any = 0.0
    for k in range(_SHIFT):
        term = 1 / (z + float(k))
        recurrence = recurrence + term * term
    w = z + float(_SHIFT)
    u = 1 / (w * w)
    series = _horner(u, 7 / 6, -691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6) * u / w
    value = 1 / w + 0.5 * u + series + recurrence
    s = unary("sin", math.pi * select(pole, 0.5, fraction))
    reflected = (math.pi * math.pi) / (s * s) - value
    return select(pole, math.inf, select(negative, reflected, value))


gamma: Row = _float_row("gamma", lambda x, y: (y * psi(x),), "Gamma function.", (0.5, 4), body=_tgamma_body)
gammaln: Row = _float_row("gammaln", lambda x, y: (psi(x),), "log of |gamma(x)|.", (0.5, 6), body=atom("lgamma"))
psi: Row = _float_row("psi", lambda x, y: (tri_gamma(x),), "Digamma, the derivative of gammaln.", (0.5, 6),
                 body=_in_double(_psi))
tri_gamma: Row = _float_row("tri_gamma", None, "Derivative of psi.", (0.5, 6), body=_in_double(_tri_gamma))


# ---------------------------------------------------------------------------------------------- neural


def _sigmoid(x: Expr) -> Expr:
    if is_complex(x.dtype):
        return 1 / (1 + unary("exp", -x))
    # exp of minus |x| can't overflow; both arms share it
    e = unary("exp", -unary("abs", x))
    return select(x >= 0, const(1, x.dtype), e) / (1 + e)


sigmoid: Row = _float_row("sigmoid", lambda x, y: (y * sigmoid(-x),), "1/(1 + exp(-x)).", (-6, 6), body=_sigmoid)
softplus: Row = _float_row("softplus", lambda x, y: (sigmoid(x),), "log(1 + exp(x)).", (-6, 6),
                      body=lambda x: scalar.maximum(x, 0.0) + unary("log1p", unary("exp", -unary("abs", x))))
relu = row("relu", lambda x: scalar.maximum(x, 0), lambda x, y: (0.5 * (1 + sgn(x)),),
           doc="x where positive, else 0; the derivative at 0 is 0.5, as in Theano.")


# --------------------------------------------------------------------------------------------- complex

real: Row = row("real", lambda x: unary("real", x), kind="real", doc="Real part.",
           pullback=lambda i, y, g: [g if not is_complex(i[0].dtype) else complex_(g, 0.0 * g)])
imag: Row = row("imag", lambda x: unary("imag", x), kind="real", doc="Imaginary part.",
           pullback=lambda i, y, g: [None if not is_complex(i[0].dtype) else complex_(0.0 * g, g)])
conj: Row = row("conj", lambda x: unary("conj", x), doc="Complex conjugate.", pullback=lambda i, y, g: [conj(g)])
angle: Row = row("angle", lambda x: binary("arctan2", unary("imag", x), unary("real", x)), kind="phase",
            doc="Argument of a complex number, in radians.",
            pullback=lambda i, y, g: [None if not is_complex(i[0].dtype) else
                                      complex_(-imag(i[0]), real(i[0])) * (g / sqr(abs_(i[0])))])
complex_: Row = row("complex", atom("complex"), kind="complex", nin=2, doc="A complex number from its two parts.",
               pullback=lambda i, y, g: [real(g), imag(g)])
