"""Distributions of real numbers that are one formula of uniform or normal numbers, so gradients reach their parameters."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from symbolic import errors
from symbolic.graph import Variable
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import (
    clip,
    erfc,
    erfcinv,
    exp,
    log,
    log1p,
    lt,
    maximum,
    minimum,
    neg,
    sqrt,
    switch,
    tan,
)
from symbolic.ops.random_draw import draw
from symbolic.ops.random_shape import fitted_all, float_dtype, in_range, parameter, sample_extents
from symbolic.source import caller

_SQRT2 = math.sqrt(2)
#: chance of less than which nothing is told apart: of normal numbers beyond 37 deviations
_SMALLEST = 1e-300


def _with(kind: str, op: str, key: Any, size: Any, parameters: dict[str, Any], ndim: int | None, dtype: Any,
          formula: Callable[..., Variable], work: str | None = None) -> Variable:
    """Return ``formula(draw, *parameters)``, where the draw is an entry of `random_draw.KINDS`."""
    out = float_dtype(dtype, list(parameters.values()), op)
    inner = "float32" if out == "float16" else work or out
    given = [parameter(v, inner, op, name) for name, v in parameters.items()]
    sizes = sample_extents(size, ndim, given, op)
    given = fitted_all(given, sizes, op, list(parameters))
    return cast_to(formula(draw(kind, key, sizes, inner), *given), out)


def uniform(key: Any, size: Any = None, low: Any = 0.0, high: Any = 1.0,
            ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return numbers uniform in ``[low, high)``.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
        From :func:`symbolic.random.key`.
    size : int, sequence or integer vector, optional
        The shape, symbolic where wanted; by default that of `low` and `high`.
    low, high : array_like
        Broadcast to the shape.
    ndim : int, optional
        The rank, where `size` is a vector of unknown length.
    dtype : str, optional
        float16, float32 or float64; by default floatX, or wider where parameters are.

    Returns
    -------
    Variable
        Multiples of 2**-24 of the interval in float32, 2**-53 in float64, 2**-11 in float16. Rounding may give `high`.

    Raises
    ------
    DTypeError, RankError, ShapeError
        If the dtype isn't floating, or parameters don't broadcast to the shape.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], uniform(symbolic.random.key(1), (3,), dtype="float32"))()
    array([0.5434803 , 0.36069036, 0.35434967], dtype=float32)
    """
    if dtype == "float16" and all(isinstance(p, (int, float)) for p in (low, high)):
        if high < low:
            raise errors.ParameterError(errors.message("uniform", f"high is below low, {high} and {low}", (), caller()))
        sizes = sample_extents(size, ndim, [], "uniform")
        u = draw("uniform", key, sizes, "float16")
        return u if (low, high) == (0, 1) else cast_to(low + (high - low) * cast_to(u, "float32"), "float16")  # type: ignore[operator]
    return _with("uniform", "uniform", key, size, {"low": low, "high": high}, ndim, dtype, _between)


def _is(v: Variable, value: float) -> bool:
    return v.ndim == 0 and hasattr(v, "data") and float(v.data) == value


def _between(u: Variable, low: Variable, high: Variable) -> Variable:
    if _is(low, 0) and _is(high, 1):
        return u
    high = in_range("uniform", "high is below low", lambda b, a: b >= a, high, low)
    return low + (high - low) * u  # type: ignore[operator]


def _scaled(z: Variable, location: Variable, scale: Variable) -> Variable:
    if not _is(scale, 1):
        scale = in_range("normal", "a scale (std, sigma) can't be negative", lambda s: s >= 0, scale)
        z = scale * z  # type: ignore[operator]
    return z if _is(location, 0) else location + z  # type: ignore[operator]


def normal(key: Any, size: Any = None, avg: Any = 0.0, std: Any = 1.0,
           ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return normal numbers of mean `avg` and standard deviation `std`.

    Parameters
    ----------
    key, size, ndim, dtype
        As for :func:`uniform`.
    avg, std : array_like
        Broadcast to the shape; gradients reach them.

    Returns
    -------
    Variable
        Standard numbers lie within 6.7 in float32, 8.6 in float64.

    References
    ----------
    G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", 1958.

    Examples
    --------
    >>> import symbolic
    >>> normal(symbolic.random.key(1), (2, 3), avg=5.0).type
    TensorType(float64, (2, 3))
    """
    return _with("normal", "normal", key, size, {"avg": avg, "std": std}, ndim, dtype, _scaled)


def lognormal(key: Any, size: Any = None, mean: Any = 0.0, sigma: Any = 1.0,
              ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return numbers whose logarithm is normal with mean `mean` and standard deviation `sigma`."""
    return _with("normal", "lognormal", key, size, {"mean": mean, "sigma": sigma}, ndim, dtype,
                 lambda z, m, s: exp(_scaled(z, m, s)))


def exponential(key: Any, size: Any = None, scale: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return exponential numbers of mean `scale`."""
    return _with("fraction", "exponential", key, size, {"scale": scale}, ndim, dtype, lambda u, s: s * neg(log(u)))


def laplace(key: Any, size: Any = None, loc: Any = 0.0, scale: Any = 1.0,
            ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return numbers of density ``exp(-|x - loc| / scale) / (2 scale)``."""
    def formula(u: Variable, location: Variable, scale: Variable) -> Variable:
        # of the nearer end, so that both tails are as exact
        near = minimum(u, 1 - u)  # type: ignore[operator]
        return _scaled(switch(lt(u, 0.5), log(2 * near), neg(log(2 * near))), location, scale)  # type: ignore[operator]

    return _with("open", "laplace", key, size, {"loc": loc, "scale": scale}, ndim, dtype, formula)


def logistic(key: Any, size: Any = None, loc: Any = 0.0, scale: Any = 1.0,
             ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return logistic numbers: their distribution function is ``sigmoid((x - loc) / scale)``."""
    return _with("open", "logistic", key, size, {"loc": loc, "scale": scale}, ndim, dtype,
                 lambda u, m, s: _scaled(log(u) - log1p(neg(u)), m, s))


def gumbel(key: Any, size: Any = None, loc: Any = 0.0, scale: Any = 1.0,
           ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return Gumbel numbers: their distribution function is ``exp(-exp(-(x - loc) / scale))``."""
    return _with("open", "gumbel", key, size, {"loc": loc, "scale": scale}, ndim, dtype,
                 lambda u, m, s: _scaled(neg(log(neg(log(u)))), m, s))


def cauchy(key: Any, size: Any = None, loc: Any = 0.0, scale: Any = 1.0,
           ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return Cauchy numbers of median `loc` and half width `scale`."""
    return _with("open", "cauchy", key, size, {"loc": loc, "scale": scale}, ndim, dtype,
                 lambda u, m, s: _scaled(tan(math.pi * (u - 0.5)), m, s))


def weibull(key: Any, size: Any = None, shape: Any = 1.0, scale: Any = 1.0,
            ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return Weibull numbers: their distribution function is ``1 - exp(-(x / scale) ** shape)``."""
    return _with("fraction", "weibull", key, size, {"shape": shape, "scale": scale}, ndim, dtype,
                 lambda u, k, s: s * neg(log(u)) ** (1 / k))


def pareto(key: Any, size: Any = None, alpha: Any = 1.0, scale: Any = 1.0,
           ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return Pareto numbers of at least `scale`: ``P(X > x) = (scale / x) ** alpha``."""
    return _with("fraction", "pareto", key, size, {"alpha": alpha, "scale": scale}, ndim, dtype,
                 lambda u, a, s: s * exp(neg(log(u)) / a))


def rayleigh(key: Any, size: Any = None, scale: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return Rayleigh numbers, the length of two normal numbers of standard deviation `scale`."""
    return _with("fraction", "rayleigh", key, size, {"scale": scale}, ndim, dtype, lambda u, s: s * sqrt(-2.0 * log(u)))


def truncated_normal(key: Any, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: int | None = None, dtype: Any = None,
                     low: Any = -2.0, high: Any = 2.0) -> Variable:
    """Return normal numbers of which those beyond some deviations from the mean are left out.

    Parameters
    ----------
    key, size, ndim, dtype
        As for :func:`uniform`.
    avg, std : array_like
        Of the normal distribution before it is cut; gradients reach them.
    low, high : array_like
        The bounds, in standard deviations from `avg`; infinite ones cut nothing.

    Returns
    -------
    Variable

    Notes
    -----
    By inversion of the distribution function, counted from the nearer tail, computed in float64. An interval that lies
    beyond 37 deviations altogether gives its nearer end.

    Examples
    --------
    >>> import symbolic
    >>> x = symbolic.function([], truncated_normal(symbolic.random.key(1), (1000,)))()
    >>> bool(abs(x).max() < 2)
    True
    """
    def formula(u: Variable, avg: Variable, std: Variable, low: Variable, high: Variable) -> Variable:
        side = switch(lt(low + high, 0), -1.0, 1.0)  # type: ignore[operator]
        near, far = switch(lt(side, 0), neg(high), low), switch(lt(side, 0), neg(low), high)
        # what lies beyond the bounds, twice; erfc keeps its digits to the right
        p, q = erfc(near / _SQRT2), erfc(far / _SQRT2)  # type: ignore[operator]
        z = _SQRT2 * erfcinv(maximum(p + (q - p) * u, _SMALLEST))  # type: ignore[operator]
        return _scaled(side * clip(z, near, far), avg, std)  # type: ignore[operator]

    return _with("open", "truncated_normal", key, size, {"avg": avg, "std": std, "low": low, "high": high}, ndim, dtype,
                 formula, "float64")
