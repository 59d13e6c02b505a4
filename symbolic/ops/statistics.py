"""Averages, quantiles, histograms, and reductions that pass over nan: compositions, as NumPy names them."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.create import linspace, zeros
from symbolic.ops.cumulative import cumprod, cumsum
from symbolic.ops.diagonal import diagonal
from symbolic.ops.elementwise import cast_to, weak_operands
from symbolic.ops.extents import axis_of, extents, specify_shape
from symbolic.ops.index import getitem, take
from symbolic.ops.join import concatenate
from symbolic.ops.linalg import dot
from symbolic.ops.reduce import all as all_of
from symbolic.ops.reduce import argmax, argmin, axes_of, mean
from symbolic.ops.reduce import max as max_of
from symbolic.ops.reduce import min as min_of
from symbolic.ops.reduce import prod as prod_of
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scatter import inc_subtensor
from symbolic.ops.shape import dimshuffle, flatten, reshape
from symbolic.ops.sort import searchsorted, sort
from symbolic.source import caller
from symbolic.types import is_complex, is_discrete, is_float


def _floating(x: Variable) -> Variable:
    return cast_to(x, "float64") if is_discrete(x.dtype) else x


def _refuse_complex(x: Variable, op: str) -> None:
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message(op, "complex values have no order", (describe(x),), caller()))


def count_nonzero(a: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return how many elements along `axis` aren't zero, as int64.

    >>> count_nonzero([[0, 1], [2, 3]], axis=1).type
    TensorType(int64, (2,))
    """
    return sum_of(cast_to(f.neq(as_tensor_variable(a), 0), "int64"), axis, keepdims=keepdims)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """Return the weighted mean along `axis`, as ``numpy.average``.

    Parameters
    ----------
    a : array_like
    axis : int or sequence of int, optional
    weights : array_like, optional
        Of the shape of `a`, or a vector along the only `axis`; equal ones by default.
    returned : bool
        Also return the sum of weights.
    keepdims : bool

    Raises
    ------
    RankError
        If the weights have other axes.

    Examples
    --------
    >>> average([[1.0, 2.0], [3.0, 4.0]], axis=1, weights=[1.0, 3.0]).type.shape
    (2,)
    """
    a = as_tensor_variable(a)
    if weights is None:
        out = mean(a, axis, keepdims=keepdims)
        if not returned:
            return out
        count: Any = constant(1.0, dtype=out.dtype)
        for k in axes_of(axis, a.ndim, "average"):
            count = count * cast_to(extents(a)[k], out.dtype)
        return out, f.second(out, count)
    x, w = weak_operands((_floating(a), weights))
    if w.ndim != x.ndim:
        if w.ndim != 1 or not isinstance(axis, (int, np.integer)):
            raise errors.RankError(errors.message("average", "weights must have the shape of a, or be a vector along one axis",
                                                  (describe(a), describe(w)), caller()))
        at = axis_of(axis, x.ndim, "average")
        w = dimshuffle(w, *(0 if d == at else "x" for d in range(x.ndim)))
    total = sum_of(f.second(x, w), axis, keepdims=keepdims)
    out = sum_of(x * w, axis, keepdims=keepdims) / total  # type: ignore[operator]
    return (out, total) if returned else out


# ------------------------------------------------------------------------------------------------ nan


def _without(x: Any, value: float) -> tuple[Variable, Variable | None]:
    """Return `x` with `value` for nan, and where it is nan."""
    x = as_tensor_variable(x)
    if not (is_float(x.dtype) or is_complex(x.dtype)):
        return x, None
    gone = f.isnan_(x)
    return f.switch(gone, constant(value, dtype=x.dtype), x), gone


def nansum(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Variable:
    """Return the sum along `axis` of what isn't nan, as ``numpy.nansum``.

    >>> nansum([[1.0, np.nan]], axis=1).type.shape
    (1,)
    """
    return sum_of(_without(a, 0)[0], axis, dtype, keepdims)


def nanprod(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Variable:
    """Return the product along `axis` of what isn't nan, as ``numpy.nanprod``."""
    return prod_of(_without(a, 1)[0], axis, dtype, keepdims)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """Return the running sum along `axis`, where nan counts as 0, as ``numpy.nancumsum``."""
    return cumsum(_without(a, 0)[0], axis, dtype)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """Return the running product along `axis`, where nan counts as 1, as ``numpy.nancumprod``."""
    return cumprod(_without(a, 1)[0], axis, dtype)


def _nan_counts(a: Any, axis: Any, keepdims: bool) -> tuple[Variable, Variable, Variable, Variable]:
    x = _floating(as_tensor_variable(a))
    filled, gone = _without(x, 0)
    here = cast_to(f.invert(gone), "float32" if x.dtype == "float16" else np.dtype(x.dtype).type(0).real.dtype.name)
    return x, filled, here, sum_of(here, axis, keepdims=keepdims)


def nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the mean along `axis` of what isn't nan, as ``numpy.nanmean``; nan where all is.

    >>> nanmean([[1.0, np.nan]], axis=1).type.shape
    (1,)
    """
    x, filled, _, n = _nan_counts(a, axis, keepdims)
    wide = cast_to(filled, "float32") if x.dtype == "float16" else filled
    return cast_to(sum_of(wide, axis, keepdims=keepdims) / n, x.dtype)  # type: ignore[operator]


def nanvar(a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Variable:
    """Return the variance along `axis` of what isn't nan, as ``numpy.nanvar``; nan where no more than `ddof` is left."""
    x, filled, here, n = _nan_counts(a, axis, keepdims=True)
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message("nanvar", "complex values aren't supported", (describe(x),), caller()))
    off = (filled - sum_of(filled * here, axis, keepdims=True) / n) * here  # type: ignore[operator]
    free = n - ddof  # type: ignore[operator]
    out = sum_of(f.sqr(off), axis, keepdims=True) / f.switch(f.gt(free, 0), free, np.nan)  # type: ignore[operator]
    axes = axes_of(axis, x.ndim, "nanvar")
    return cast_to(out if keepdims else dimshuffle(out, *(d for d in range(x.ndim) if d not in axes)), x.dtype)


def nanstd(a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Variable:
    """Return the standard deviation along `axis` of what isn't nan, as ``numpy.nanstd``."""
    return f.sqrt(nanvar(a, axis, ddof, keepdims))


def _nan_extreme(reduce: Callable[..., Variable], limit: float, a: Any, axis: Any, keepdims: bool, op: str) -> Variable:
    _refuse_complex(as_tensor_variable(a), op)
    filled, gone = _without(a, limit)
    out = reduce(filled, axis, keepdims)
    return out if gone is None else f.switch(all_of(gone, axis, keepdims), constant(np.nan, dtype=out.dtype), out)


def nanmax(a: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the largest element along `axis` that isn't nan, as ``numpy.nanmax``; nan where all are.

    >>> nanmax([[1.0, np.nan]], axis=1).type.shape
    (1,)
    """
    return _nan_extreme(max_of, -np.inf, a, axis, keepdims, "nanmax")


def nanmin(a: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Return the smallest element along `axis` that isn't nan, as ``numpy.nanmin``; nan where all are."""
    return _nan_extreme(min_of, np.inf, a, axis, keepdims, "nanmin")


def nanargmax(a: Any, axis: int | None = None, keepdims: bool = False) -> Variable:
    """Return where the largest element along `axis` is that isn't nan, as ``numpy.nanargmax``; 0 where all are nan."""
    return argmax(_without(a, -np.inf)[0], axis, keepdims)


def nanargmin(a: Any, axis: int | None = None, keepdims: bool = False) -> Variable:
    """Return where the smallest element along `axis` is that isn't nan, as ``numpy.nanargmin``; 0 where all are nan."""
    return argmin(_without(a, np.inf)[0], axis, keepdims)


# ------------------------------------------------------------------------------------------ quantiles

#: Where a quantile lies among n sorted elements, counted from 0: ``n q + alpha + q (1 - alpha - beta) - 1``
#: (R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", 1996).
CONTINUOUS = {"interpolated_inverted_cdf": (0.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0), "linear": (1.0, 1.0),
              "median_unbiased": (1 / 3, 1 / 3), "normal_unbiased": (3 / 8, 3 / 8)}
#: The same for those that begin with `linear`'s place.
ROUNDED: dict[str, Callable[[Variable], Variable]] = {
    "lower": f.floor, "higher": f.ceil, "nearest": f.round_half_to_even,
    "midpoint": lambda p: 0.5 * (f.floor(p) + f.ceil(p))}  # type: ignore[operator]


def quantile(a: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Variable:
    """Return what a share `q` of the elements along `axis` is below, as ``numpy.quantile``.

    Parameters
    ----------
    a : array_like
        Real.
    q : array_like, at most one axis
        Between 0 and 1; elsewhere the result is nan.
    axis : int or sequence of int, optional
    method : str
        How to choose between neighbours: ``'linear'``, ``'lower'``, ``'higher'``, ``'midpoint'``, ``'nearest'``, ``'hazen'``,
        ``'weibull'``, ``'interpolated_inverted_cdf'``, ``'median_unbiased'``, ``'normal_unbiased'``.
    keepdims : bool

    Returns
    -------
    Variable
        The axis of `q` stands in front. Where an element is nan, it is nan.

    Raises
    ------
    ValueError
        If the method isn't known.
    RankError
        If `q` has more axes.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], quantile([1.0, 2.0, 4.0], [0.5, 0.75]))()
    array([2., 3.])
    """
    if method not in CONTINUOUS and method not in ROUNDED:
        raise ValueError(f"quantile: method must be one of {', '.join([*CONTINUOUS, *ROUNDED])}, got {method!r}")
    x = _floating(as_tensor_variable(a))
    _refuse_complex(x, "quantile")
    q = as_tensor_variable(q)
    if q.ndim > 1:
        raise errors.RankError(errors.message("quantile", "q must be a scalar or a vector", (describe(q),), caller()))
    axes = axes_of(axis, x.ndim, "quantile")
    kept = [d for d in range(x.ndim) if d not in axes]
    rows = dimshuffle(x, *kept, *axes)
    if len(axes) != 1:
        rows = reshape(rows, [*extents(rows)[:len(kept)], -1], ndim=len(kept) + 1)
    ordered = sort(rows)
    last = cast_to(extents(rows)[-1] - 1, "float64")  # type: ignore[operator]
    share = cast_to(q if q.ndim else dimshuffle(q, "x"), "float64")
    if method in ROUNDED:
        place = ROUNDED[method](last * share)  # type: ignore[operator]
    else:
        alpha, beta = CONTINUOUS[method]
        place = (last + 1.0) * share + (alpha + share * (1.0 - alpha - beta)) - 1.0  # type: ignore[operator]
    place = f.clip(place, 0.0, last)
    below = f.floor(place)
    low, high = (take(ordered, cast_to(p, "int64"), ordered.ndim - 1) for p in (below, f.minimum(below + 1.0, last)))  # type: ignore
    t = cast_to(place - below, x.dtype)  # type: ignore[operator]
    gap = f.switch(f.eq(low, high), 0.0, high - low)  # type: ignore[operator]
    out = f.switch(f.lt(t, 0.5), low + gap * t, high - gap * (1.0 - t))  # type: ignore[operator]
    valid = f.and_(f.ge(share, 0.0), f.le(share, 1.0))
    top = getitem(ordered, (*(slice(None),) * len(kept), slice(-1, None)))
    out = f.switch(f.or_(f.isnan_(dimshuffle(getitem(top, (..., 0)), *range(len(kept)), "x")), f.invert(valid)), np.nan, out)
    out = cast_to(dimshuffle(out, len(kept), *range(len(kept))), x.dtype)
    if keepdims:
        rest = iter(range(1, out.ndim))
        out = dimshuffle(out, 0, *("x" if d in axes else next(rest) for d in range(x.ndim)))
    return out if q.ndim else getitem(out, 0)


def percentile(a: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Variable:
    """Return what `q` percent of the elements along `axis` are below; arguments as for :func:`quantile`.

    >>> percentile([[1.0, 2.0], [3.0, 4.0]], 50, axis=0).type.shape
    (2,)
    """
    return quantile(a, cast_to(as_tensor_variable(q), "float64") / 100.0, axis, method, keepdims)  # type: ignore[operator]


# ------------------------------------------------------------------------------------------ covariance


def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
        aweights: Any = None) -> Variable:
    """Return the covariances of variables, each a row of `m`, as ``numpy.cov``.

    Parameters
    ----------
    m : array_like, shape (k, n) or (n,)
        n observations of k variables.
    y : array_like, optional
        More variables, in the same form.
    rowvar : bool
        False: variables are columns.
    bias : bool
        Divide by n, not n - 1.
    ddof : int, optional
        Divide by n - ddof.
    fweights, aweights : array_like, shape (n,), optional
        How often each observation counts, and how much it weighs.

    Returns
    -------
    Variable, shape (k, k), or () of one variable

    Raises
    ------
    RankError
        If there are more axes.

    Examples
    --------
    >>> cov(np.ones((3, 10))).type.shape
    (3, 3)
    """
    parts = []
    for v in (m,) if y is None else (m, y):
        x = _floating(as_tensor_variable(v))
        if x.ndim > 2:
            raise errors.RankError(errors.message("cov", "expected at most two dimensions", (describe(x),), caller()))
        if x.ndim == 2 and not rowvar and x.type.shape[0] != 1:
            x = dimshuffle(x, 1, 0)
        parts.append(x if x.ndim == 2 else dimshuffle(x, *("x",) * (2 - x.ndim), *range(x.ndim)))
    x = concatenate(parts, 0)
    if ddof is None:
        ddof = 0 if bias else 1
    weights = None
    for given in (fweights, aweights):
        if given is not None:
            w = cast_to(as_tensor_variable(given), "float64" if x.dtype == "complex128" else x.dtype)
            weights = w if weights is None else weights * w  # type: ignore[operator]
    if weights is None:
        centred = x - mean(x, axis=1, keepdims=True)  # type: ignore[operator]
        free = cast_to(extents(x)[1], "float64") - ddof  # type: ignore[operator]
        scaled = centred
    else:
        total = sum_of(weights)
        centred = x - sum_of(x * weights, axis=1, keepdims=True) / total  # type: ignore[operator]
        loss: Any = 1.0
        if aweights is not None:
            loss = sum_of(weights * cast_to(as_tensor_variable(aweights), weights.dtype)) / total
        free = total - ddof * loss  # type: ignore[operator]
        scaled = centred * weights  # type: ignore[operator]
    free = f.maximum(cast_to(free, np.dtype(x.dtype).type(0).real.dtype.name), 0.0)
    out = dot(scaled, dimshuffle(f.conj(centred) if is_complex(x.dtype) else centred, 1, 0)) / free  # type: ignore[operator]
    return dimshuffle(out) if out.type.shape == (1, 1) else out


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Variable:
    """Return the correlation coefficients of variables, each a row of `x`, as ``numpy.corrcoef``; real values only.

    >>> corrcoef(np.ones((3, 10))).type.shape
    (3, 3)
    """
    c = cov(x, y, rowvar)
    _refuse_complex(c, "corrcoef")
    if c.ndim == 0:
        return c / c  # type: ignore[operator]
    size = f.sqrt(diagonal(c))
    return f.clip(c / dimshuffle(size, 0, "x") / dimshuffle(size, "x", 0), -1.0, 1.0)  # type: ignore[operator]


# ------------------------------------------------------------------------------------------ histograms


def digitize(x: Any, bins: Any, right: bool = False) -> Variable:
    """Return the number of the bin that each element is in, as ``numpy.digitize``.

    Parameters
    ----------
    x : array_like
    bins : array_like, shape (n,)
        Borders, ascending or descending.
    right : bool
        A bin holds its upper border, not its lower one.

    Returns
    -------
    Variable
        int64, of the shape of `x`: 0 before the first border, n behind the last.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], digitize([0.5, 1.0, 9.0], [1.0, 2.0]))()
    array([0, 1, 2])
    """
    bins = as_tensor_variable(bins)
    if bins.ndim != 1:
        raise errors.RankError(errors.message("digitize", "bins must be a vector", (describe(bins),), caller()))
    side, n = "left" if right else "right", extents(bins)[0]
    up = searchsorted(bins, x, side)
    down = n - searchsorted(getitem(bins, slice(None, None, -1)), x, side)  # type: ignore[operator]
    edges = take(bins, [0, -1], 0, "wrap") if bins.type.shape[0] != 0 else constant([0.0, 0.0])
    return f.switch(f.lt(getitem(edges, 1), getitem(edges, 0)), down, up)


def histogram(a: Any, bins: Any = 10, range: Sequence[Any] | None = None, weights: Any = None, density: bool = False
              ) -> tuple[Variable, Variable]:
    """Return how many elements are in each bin, and the bins' borders, as ``numpy.histogram``.

    Parameters
    ----------
    a : array_like
        Real; flattened. What is outside of all bins, and nan, isn't counted.
    bins : int, or array_like of shape (n + 1,)
        How many bins of equal width, or their borders, ascending.
    range : (low, high), optional
        Where bins of equal width lie: from the smallest to the largest element by default.
    weights : array_like, optional
        What each element counts; they have a gradient.
    density : bool
        Divide so that the integral over the bins is 1.

    Returns
    -------
    counts : Variable, shape (n,)
        int64; floating with weights or density.
    borders : Variable, shape (n + 1,)

    Examples
    --------
    >>> counts, borders = histogram([1.0, 2.0, 2.5], bins=[0.0, 2.0, 3.0])
    >>> counts.type.shape, borders.type.shape
    ((2,), (3,))
    """
    x = flatten(as_tensor_variable(a))
    _refuse_complex(x, "histogram")
    edges = as_tensor_variable(bins)
    if edges.ndim == 0:
        if not isinstance(bins, (int, np.integer)) or bins < 1:
            raise ValueError(f"histogram: bins must be a positive int or a vector of borders, got {bins!r}")
        edges = linspace(*_limits(x, range), int(bins) + 1)
    elif edges.ndim > 1:
        raise errors.RankError(errors.message("histogram", "bins must be a vector of borders", (describe(edges),), caller()))
    known = edges.type.shape[0]
    n: Any = extents(edges)[0] - 1 if known is None else constant(known - 1, dtype="int64")  # type: ignore[operator]
    x, borders = weak_operands((x, edges))
    wide = [cast_to(v, np.result_type(x.dtype, borders.dtype).name) for v in (x, borders)]
    at = searchsorted(wide[1], wide[0], "right") - 1  # type: ignore[operator]
    last = getitem(wide[1], -1)
    at = f.switch(f.eq(wide[0], last), n - 1, at)
    inside = f.and_(f.ge(wide[0], getitem(wide[1], 0)), f.le(wide[0], last))
    where = f.clip(at, 0, n - 1)
    if weights is None:
        counts = inc_subtensor(getitem(zeros([n], "int64"), where), cast_to(inside, "int64"))
    else:
        w = flatten(as_tensor_variable(weights))
        w = specify_shape(w, [extents(x)[0]])
        w = w if is_float(w.dtype) or is_complex(w.dtype) else cast_to(w, "float64")
        counts = inc_subtensor(getitem(zeros([n], w.dtype), where), f.switch(inside, w, constant(0, dtype=w.dtype)))
    if density:
        widths = getitem(edges, slice(1, None)) - getitem(edges, slice(None, -1))  # type: ignore[operator]
        counts = counts / widths / sum_of(counts)  # type: ignore[operator]
    return counts, edges


def _limits(x: Variable, given: Sequence[Any] | None) -> tuple[Variable, Variable]:
    if given is not None:
        low, high = (_floating(as_tensor_variable(v)) for v in given)
    else:
        x = _floating(x)
        none = f.eq(extents(x)[0], 0)
        far = [constant([v], dtype=x.dtype) for v in (np.inf, -np.inf)]
        low = f.switch(none, 0.0, min_of(concatenate([x, far[0]])))
        high = f.switch(none, 1.0, max_of(concatenate([x, far[1]])))
    same = f.eq(low, high)
    return f.switch(same, low - 0.5, low), f.switch(same, high + 0.5, high)  # type: ignore[operator]


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Variable:
    """Return the values at `x` of the lines through given points, as ``numpy.interp``.

    Parameters
    ----------
    x : array_like
    xp : array_like, shape (n,)
        Where the points are, ascending.
    fp : array_like, shape (n,)
        Their values.
    left, right : scalar, optional
        The value before the first and behind the last point: that of this point by default.

    Returns
    -------
    Variable
        Floating, of the shape of `x`; differentiable by `x`, `fp` and `xp`.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], interp([0.5, 9.0], [0.0, 1.0], [10.0, 20.0]))()
    array([15., 20.])
    """
    x, xp, fp = (_floating(v) for v in weak_operands((x, xp, fp)))
    if xp.ndim != 1 or fp.ndim != 1:
        raise errors.RankError(errors.message("interp", "the points must be two vectors", (describe(xp), describe(fp)), caller()))
    x, xp = (cast_to(v, np.result_type(x.dtype, xp.dtype).name) for v in (x, xp))
    fp = specify_shape(fp, extents(xp))
    n = extents(xp)[0]
    low = f.clip(searchsorted(xp, x, "right") - 1, 0, f.maximum(n - 2, 0))  # type: ignore[operator]
    high = f.minimum(low + 1, n - 1)  # type: ignore[operator]
    x0, x1, y0, y1 = take(xp, low, 0), take(xp, high, 0), take(fp, low, 0), take(fp, high, 0)
    gap = x1 - x0  # type: ignore[operator]
    share = (x - x0) / f.switch(f.eq(gap, 0), 1.0, gap)  # type: ignore[operator]
    out = y0 + (y1 - y0) * f.switch(f.eq(x, x1), 1.0, share)  # type: ignore[operator]
    first, last = getitem(fp, 0), getitem(fp, -1)
    out = f.switch(f.lt(x, getitem(xp, 0)), first if left is None else left, out)
    return f.switch(f.gt(x, getitem(xp, -1)), last if right is None else right, out)
