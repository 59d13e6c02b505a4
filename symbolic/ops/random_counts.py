"""Counts: Poisson, binomial, negative binomial; small ones by search, large ones by rejection."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, constant
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import (
    abs_,
    and_,
    exp,
    floor,
    ge,
    gt,
    invert,
    le,
    log,
    log1p,
    lt,
    minimum,
    neg,
    or_,
    sqr,
    sqrt,
    switch,
)
from symbolic.ops.random_discrete import bernoulli as trials
from symbolic.ops.random_discrete import saturated
from symbolic.ops.random_draw import draw
from symbolic.ops.random_gamma import log_gamma
from symbolic.ops.random_key import as_key, fold_in
from symbolic.ops.random_rejection import accepted, searched
from symbolic.ops.random_shape import float64_sample, integer_dtype, require
from symbolic.source import caller

#: mean from which counts are drawn by rejection; below it, by going through the distribution function
SEARCHED = 10.0


def _log_factorial(k: Variable) -> Variable:
    """Return log(k!) for k from 0 on: Stirling's series beyond 8, where loops of it are vectorised, as of lgamma they aren't."""
    z = k + 9.0  # type: ignore[operator]
    w = 1.0 / (z * z)
    series = ((((1 / 1188 * w - 1 / 1680) * w + 1 / 1260) * w - 1 / 360) * w + 1 / 12) / z
    below = (((k + 1.0) * (k + 8.0)) * ((k + 2.0) * (k + 7.0))) * (((k + 3.0) * (k + 6.0)) * ((k + 4.0) * (k + 5.0)))
    return (z - 0.5) * log(z) - z + 0.5 * math.log(2 * math.pi) + series - log(below)


def _known(test: Callable[[Any], Any], v: Variable) -> bool | None:
    """Return whether all (True) or no (False) elements meet a test, None where some may."""
    if not isinstance(v, Constant):
        return None
    holds = np.asarray(test(v.data))
    return bool(holds.all()) if holds.all() or not holds.any() else None


def _either(few: bool | None, search: Callable[[], Variable], reject: Callable[[], Variable], which: Variable) -> Variable:
    """Return counts by the method for few where `which`, by that for many elsewhere."""
    if few is not None:
        return search() if few else reject()
    return switch(which, search(), reject())


def poisson(key: Any, size: Any = None, lam: Any = 1.0, ndim: int | None = None, dtype: str = "int64") -> Variable:
    """Return Poisson counts of mean `lam`.

    Parameters
    ----------
    key, size, ndim
        As for :func:`symbolic.random.random_integers`.
    lam : array_like
        Up to 1e15, beyond which float64 can't tell one count from the next.
    dtype : str

    Raises
    ------
    ParameterError
        If `lam` is negative, nan or larger.

    Notes
    -----
    Below 10 by inversion of the distribution function, from there on by transformed rejection.

    References
    ----------
    W. Hörmann, "The transformed rejection method for generating Poisson random variables", 1993 (PTRS).

    Examples
    --------
    >>> import symbolic
    >>> x = symbolic.function([], poisson(symbolic.random.key(1), (10000,), 4.0))()
    >>> 3.9 < x.mean() < 4.1
    True
    """
    out = integer_dtype(dtype, "poisson")
    sizes, (lam,) = float64_sample("poisson", size, ndim, {"lam": lam})
    lam = require("poisson", "lam must be from 0 to 1e15", lambda x: (x >= 0) & (x <= 1e15), lam)
    few = lt(lam, SEARCHED)
    return cast_to(cast_to(_poisson(as_key(key, "poisson"), sizes, lam, few), "int64"), out)


def _poisson(key: Variable, sizes: list[Variable], lam: Variable, few: Variable) -> Variable:
    def search() -> Variable:
        return searched(draw("open", fold_in(key, 0), sizes, "float64"), switch(few, exp(neg(lam)), np.inf),
                        lambda k: lam / k)  # type: ignore[operator]

    def reject() -> Variable:
        mean = switch(few, SEARCHED, lam)
        root, log_mean = sqrt(mean), log(mean)
        b = 0.931 + 2.53 * root
        a = -0.059 + 0.02483 * b
        inverse_alpha, v_r = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2.0)

        def propose(key: Variable) -> tuple[Variable, Variable]:
            u = draw("open", fold_in(key, 0), sizes, "float64") - 0.5
            v = draw("open", fold_in(key, 1), sizes, "float64")
            us = 0.5 - abs_(u)
            k = floor((2.0 * a / us + b) * u + mean + 0.43)
            bound = log(v * inverse_alpha / (a / sqr(us) + b))
            exact = le(bound, k * log_mean - mean - _log_factorial(switch(lt(k, 0.0), 0.0, k)))
            inner = and_(ge(us, 0.07), le(v, v_r))
            outside = or_(lt(k, 0.0), and_(lt(us, 0.013), gt(v, us)))
            return k, or_(inner, and_(invert(outside), exact))

        return accepted(fold_in(key, 1), sizes, few, propose)

    return _either(_known(lambda x: x < SEARCHED, lam), search, reject, few)


def binomial(key: Any, size: Any = None, n: Any = 1, p: Any = 0.5, ndim: int | None = None, dtype: str = "int64") -> Variable:
    """Return how many of `n` trials of chance `p` succeed.

    Parameters
    ----------
    key, size, ndim
        As for :func:`symbolic.random.random_integers`.
    n : array_like of integers
        Up to 1e15.
    p : array_like
        From 0 to 1.
    dtype : str
        A float where that is what the counts are multiplied with, as for dropout.

    Raises
    ------
    ParameterError
        If `n` or `p` is out of its range.

    Notes
    -----
    One trial is a uniform number compared with `p`. More, with fewer than 10 successes or failures to be expected, are
    inversion of the distribution function, else transformed rejection.

    References
    ----------
    W. Hörmann, "The generation of binomial random variates", 1993 (BTRS).

    Examples
    --------
    >>> import symbolic
    >>> x = symbolic.function([], binomial(symbolic.random.key(1), (10000,), 100, 0.3))()
    >>> 29.8 < x.mean() < 30.2
    True
    """
    def inside(p: Any) -> Any:
        return (p >= 0) & (p <= 1)

    out = integer_dtype(dtype, "binomial")
    if isinstance(n, (int, np.integer)) and n == 1:
        if isinstance(p, (int, float)) and not inside(p):
            raise errors.ParameterError(errors.message("binomial", f"p must be from 0 to 1, got {p}", (), caller()))
        return trials(key, size, p, ndim, out)
    sizes, (count, chance) = float64_sample("binomial", size, ndim, {"n": n, "p": p})
    count = require("binomial", "n must be from 0 to 1e15", lambda x: (x >= 0) & (x <= 1e15), count)
    chance = require("binomial", "p must be from 0 to 1", inside, chance)
    return cast_to(cast_to(binomial_counts(as_key(key, "binomial"), sizes, floor(count), chance), "int64"), out)


def binomial_counts(key: Variable, sizes: list[Variable], n: Variable, p: Variable) -> Variable:
    """Return counts of successes, float64."""
    flip = gt(p, 0.5)
    rare = switch(flip, 1.0 - p, p)  # type: ignore[operator]
    few = lt(n * rare, SEARCHED)  # type: ignore[operator]
    known = None
    if isinstance(n, Constant) and isinstance(p, Constant):
        known = _known(lambda x: x < SEARCHED, constant(n.data * np.minimum(p.data, 1 - p.data)))

    def search() -> Variable:
        odds = rare / (1.0 - rare)  # type: ignore[operator]
        # (1 - p) ** n, exact for tiny p as well
        return searched(draw("open", fold_in(key, 0), sizes, "float64"), switch(few, exp(n * log1p(neg(rare))), np.inf),
                        lambda k: (n - k + 1.0) / k * odds)  # type: ignore[operator]

    def reject() -> Variable:
        # where the other method is used, parameters that this one is made for
        trials, chance = switch(few, 40.0, n), switch(few, 0.5, rare)
        spread = sqrt(trials * chance * (1.0 - chance))  # type: ignore[operator]
        b = 1.15 + 2.53 * spread
        a = -0.0873 + 0.0248 * b + 0.01 * chance  # type: ignore[operator]
        c, v_r = trials * chance + 0.5, 0.92 - 4.2 / b  # type: ignore[operator]
        alpha = (2.83 + 5.1 / b) * spread
        odds = log(chance / (1.0 - chance))  # type: ignore[operator]
        mode = floor((trials + 1.0) * chance)  # type: ignore[operator]
        h = _log_factorial(mode) + _log_factorial(trials - mode)

        def propose(key: Variable) -> tuple[Variable, Variable]:
            u = draw("open", fold_in(key, 0), sizes, "float64") - 0.5
            v = draw("open", fold_in(key, 1), sizes, "float64")
            us = 0.5 - abs_(u)
            k = floor((2.0 * a / us + b) * u + c)
            within = and_(ge(k, 0.0), le(k, trials))
            safe = switch(within, k, 0.0)
            exact = le(log(v * alpha / (a / sqr(us) + b)),
                       h - _log_factorial(safe) - _log_factorial(trials - safe) + (safe - mode) * odds)
            return k, or_(and_(ge(us, 0.07), le(v, v_r)), and_(within, exact))

        return accepted(fold_in(key, 1), sizes, few, propose)

    count = _either(known, search, reject, few)
    count = minimum(count, n)  # what rounding may leave at the end of a search
    return switch(flip, n - count, count)  # type: ignore[operator]


def negative_binomial(key: Any, size: Any = None, n: Any = 1.0, p: Any = 0.5, ndim: int | None = None, dtype: str = "int64"
                      ) -> Variable:
    """Return how many failures come before `n` successes of chance `p`: Poisson counts of a gamma distributed mean."""
    out = integer_dtype(dtype, "negative_binomial")
    sizes, (count, chance) = float64_sample("negative_binomial", size, ndim, {"n": n, "p": p})
    chance = require("negative_binomial", "p must be in (0, 1]", lambda x: (x > 0) & (x <= 1), chance)
    count = require("negative_binomial", "n must be above 0", lambda x: x > 0, count)
    k = as_key(key, "negative_binomial")
    mean = exp(log_gamma(fold_in(k, 0), sizes, count)) * (1.0 - chance) / chance  # type: ignore[operator]
    # from 1e15 on a Poisson count is its mean, but for the last digits of a float64
    counted = minimum(mean, 1e15)
    counts = _poisson(fold_in(k, 1), sizes, counted, lt(counted, SEARCHED))
    return saturated(switch(gt(mean, 1e15), floor(mean), counts), out)
