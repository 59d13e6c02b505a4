"""Gamma numbers by rejection, and what is made from them: beta, chi square, Student's t, Dirichlet."""
from __future__ import annotations

from typing import Any

from symbolic.graph import Variable
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import (
    and_,
    exp,
    gt,
    invert,
    log,
    log1p,
    lt,
    sigmoid,
    sqr,
    sqrt,
    switch,
)
from symbolic.ops.grad_control import disconnected_grad
from symbolic.ops.nnet import softmax
from symbolic.ops.random_draw import draw
from symbolic.ops.random_key import as_key, fold_in
from symbolic.ops.random_rejection import accepted
from symbolic.ops.random_shape import fitted_all, float64_sample, float_dtype, parameter, sample_extents


def log_gamma(key: Variable, sizes: list[Variable], shape: Variable) -> Variable:
    """Return logarithms of standard gamma numbers, float64: those of tiny shapes would be 0 themselves."""
    # as numbers and not by switch: where the shape is one for all, a compiler doesn't vectorise a choice by it
    small = cast_to(lt(shape, 1.0), "float64")
    a = shape + small  # type: ignore[operator]
    d = a - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    fixed_c, fixed_d = disconnected_grad(c), disconnected_grad(d)
    never = disconnected_grad(invert(gt(shape, 0.0)))

    def propose(key: Variable) -> tuple[Variable, Variable]:
        x = draw("normal", fold_in(key, 0), sizes, "float64")
        u = draw("fraction", fold_in(key, 1), sizes, "float64")
        v = 1.0 + fixed_c * x
        cube = v * v * v
        safe = switch(gt(v, 0.0), cube, 1.0)
        good = lt(log(u), 0.5 * sqr(x) + fixed_d * (1.0 - safe + log(safe)))
        return x, and_(gt(v, 0.0), good)

    # the accepted normal number is data; the formula around it is differentiated
    x = disconnected_grad(accepted(fold_in(key, 0), sizes, never, propose))
    value = log(d) + 3.0 * log1p(c * x)  # type: ignore[operator]
    power = small * log(draw("fraction", fold_in(key, 1), sizes, "float64")) / shape  # type: ignore[operator]
    return value + power + 0.0 * log(shape)  # the last makes nan of shapes that aren't positive


def gamma(key: Any, size: Any = None, shape: Any = 1.0, scale: Any = 1.0, ndim: int | None = None, dtype: Any = None
          ) -> Variable:
    """Return gamma numbers of density proportional to ``x ** (shape - 1) * exp(-x / scale)``.

    Parameters
    ----------
    key, size, ndim, dtype
        As for :func:`symbolic.random.uniform`.
    shape, scale : array_like
        Positive, else the result is nan. Gradients reach them.

    Notes
    -----
    Computed in float64. The gradient is that of the result with the key fixed. For `shape` that is the derivative of the
    accepted proposal; as an estimate of the gradient of an expectation it leaves out that acceptance changes as well.

    References
    ----------
    G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", 2000.

    Examples
    --------
    >>> import symbolic
    >>> x = symbolic.function([], gamma(symbolic.random.key(1), (10000,), 3.0))()
    >>> 2.9 < x.mean() < 3.1
    True
    """
    out = float_dtype(dtype, [shape, scale], "gamma")
    sizes, (a, s) = float64_sample("gamma", size, ndim, {"shape": shape, "scale": scale})
    return cast_to(s * exp(log_gamma(as_key(key, "gamma"), sizes, a)), out)  # type: ignore[operator]


def chisquare(key: Any, size: Any = None, df: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return sums of squares of `df` standard normal numbers; `df` is any positive number."""
    out = float_dtype(dtype, [df], "chisquare")
    sizes, (n,) = float64_sample("chisquare", size, ndim, {"df": df})
    return cast_to(2.0 * exp(log_gamma(as_key(key, "chisquare"), sizes, 0.5 * n)), out)  # type: ignore[operator]


def beta(key: Any, size: Any = None, a: Any = 1.0, b: Any = 1.0, ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return beta numbers of density proportional to ``x ** (a - 1) * (1 - x) ** (b - 1)``.

    Parameters
    ----------
    key, size, ndim, dtype
        As for :func:`symbolic.random.uniform`.
    a, b : array_like
        Positive, else the result is nan. Gradients as for :func:`gamma`.

    Notes
    -----
    The share of one of two gamma numbers, by their logarithms, so that tiny `a` and `b` do no harm.

    Examples
    --------
    >>> import symbolic
    >>> x = symbolic.function([], beta(symbolic.random.key(1), (1000,), 0.5, 0.5))()
    >>> bool(((x >= 0) & (x <= 1)).all())
    True
    """
    out = float_dtype(dtype, [a, b], "beta")
    sizes, (p, q) = float64_sample("beta", size, ndim, {"a": a, "b": b})
    k = as_key(key, "beta")
    return cast_to(sigmoid(log_gamma(fold_in(k, 0), sizes, p) - log_gamma(fold_in(k, 1), sizes, q)), out)


def student_t(key: Any, size: Any = None, df: Any = 1.0, loc: Any = 0.0, scale: Any = 1.0, ndim: int | None = None,
              dtype: Any = None) -> Variable:
    """Return numbers of Student's t distribution of `df` degrees of freedom, times `scale`, plus `loc`."""
    out = float_dtype(dtype, [df, loc, scale], "student_t")
    sizes, (n, m, s) = float64_sample("student_t", size, ndim, {"df": df, "loc": loc, "scale": scale})
    k = as_key(key, "student_t")
    half = 0.5 * n  # type: ignore[operator]
    z = draw("normal", fold_in(k, 1), sizes, "float64")
    return cast_to(m + s * z * sqrt(half) * exp(-0.5 * log_gamma(fold_in(k, 0), sizes, half)), out)  # type: ignore[operator]


def dirichlet(key: Any, alpha: Any, size: Any = None, ndim: int | None = None, dtype: Any = None) -> Variable:
    """Return vectors of shares that add up to 1, Dirichlet distributed.

    Parameters
    ----------
    key, ndim, dtype
        As for :func:`symbolic.random.uniform`; `ndim` counts the axes of `size`.
    alpha : array_like, shape (..., k)
        Positive.
    size : int, sequence or integer vector, optional
        The shape without the last axis; by default that of `alpha`.

    Returns
    -------
    Variable, shape (*size, k)

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], dirichlet(symbolic.random.key(1), [1.0, 2.0, 3.0], (4,)))().shape
    (4, 3)
    """
    out = float_dtype(dtype, [alpha], "dirichlet")
    given = parameter(alpha, "float64", "dirichlet", "alpha")
    whole = sample_extents(None, None, [given], "dirichlet")
    sizes = whole if size is None else [*sample_extents(size, ndim, [], "dirichlet"), whole[-1]]
    a, = fitted_all([given], sizes, "dirichlet", ["alpha"])
    return cast_to(softmax(log_gamma(as_key(key, "dirichlet"), sizes, a), axis=-1), out)
