"""Distributions of integers that are one formula of random bits."""
from __future__ import annotations

from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, constant, describe
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import and_, ceil, eq, gt, log, log1p, lt, maximum, minimum, neg, right_shift, switch
from symbolic.ops.random_draw import draw
from symbolic.ops.random_key import as_key, fold_in
from symbolic.ops.random_shape import converted, fitted_all, integer_dtype, parameter, require, sample_extents
from symbolic.source import caller
from symbolic.types import is_discrete

_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def bits(key: Any, size: Any = None, ndim: int | None = None, dtype: str = "uint32") -> Variable:
    """Return random bits, as uint32 or uint64.

    >>> import symbolic
    >>> bits(symbolic.random.key(1), (2,)).type
    TensorType(uint32, (2,))
    """
    if dtype not in ("uint32", "uint64"):
        raise errors.DTypeError(errors.message("bits", f"bits come as uint32 or uint64, got {dtype}", (), caller()))
    return draw("bits", key, sample_extents(size, ndim, [], "bits"), dtype)


def _below(key: Variable, sizes: list[Variable], span: Variable, narrow: bool) -> Variable:
    """Return uint64 uniform in ``[0, span)``, where a `span` of 0 stands for 2**64: the upper part of bits times span.

    With 64 bits for spans up to 2**32 (`narrow`) and 96 beyond, every number has the same chance up to 2**-32 of it.
    """
    x = draw("bits", key, sizes, "uint64")
    high, low = right_shift(x, _HALF), and_(x, _MASK)
    if narrow:
        return right_shift(high * span + right_shift(low * span, _HALF), _HALF)
    more = cast_to(draw("bits", fold_in(key, 0), sizes, "uint32"), "uint64")
    s1, s0 = right_shift(span, _HALF), and_(span, _MASK)
    # (x * 2**32 + more) * span >> 96, in digits of 32 bits
    column = right_shift(more * s0, _HALF)
    lowest = more * s1 + column  # below 2**64: (2**32-1)**2 + 2**32 - 1
    first = low * s0 + and_(lowest, _MASK)
    middle = low * s1 + right_shift(lowest, _HALF) + right_shift(first, _HALF)
    third = high * s0 + and_(middle, _MASK)
    top = high * s1 + right_shift(middle, _HALF) + right_shift(third, _HALF)
    return switch(eq(span, np.uint64(0)), x, top)


def _bound(value: Any, op: str, name: str) -> Variable:
    v = as_tensor_variable(value)
    if not is_discrete(v.dtype):
        raise errors.DTypeError(errors.message(op, f"{name} must be integers, got {describe(v)}", (), caller()))
    return v


def _fits(v: Variable) -> bool:
    if isinstance(v, Constant):
        return not v.data.size or (int(v.data.min()) >= -2**31 and int(v.data.max()) < 2**31)
    return np.dtype(v.dtype).itemsize <= 4 and v.dtype != "uint32"


def random_integers(key: Any, size: Any = None, low: Any = 0, high: Any = 1, ndim: int | None = None, dtype: str = "int64"
                    ) -> Variable:
    """Return integers uniform from `low` to `high`, both included (Theano's and NumPy's old convention).

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    size : int, sequence or integer vector, optional
        By default the shape of `low` and `high`.
    low, high : array_like of integers
        Any 64-bit values; broadcast to the shape.
    ndim : int, optional
    dtype : str
        Of the result; what doesn't fit in it wraps.

    Returns
    -------
    Variable
        Chances differ by less than 2**-32 of themselves.

    Raises
    ------
    ParameterError
        If `high` is below `low`.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], random_integers(symbolic.random.key(1), (5,), 1, 6))()
    array([5, 5, 1, 3, 3])
    """
    return _integers("random_integers", key, size, low, high, ndim, dtype, 1)


def integers(key: Any, size: Any = None, low: Any = 0, high: Any = 2, ndim: int | None = None, dtype: str = "int64"
             ) -> Variable:
    """Return integers uniform from `low` to `high`, which is left out; otherwise as :func:`random_integers`.

    >>> import symbolic
    >>> bool((symbolic.function([], integers(symbolic.random.key(1), (100,), 0, 6))() < 6).all())
    True
    """
    return _integers("integers", key, size, low, high, ndim, dtype, 0)


def _integers(op: str, key: Any, size: Any, low: Any, high: Any, ndim: int | None, dtype: str, last: int) -> Variable:
    out = integer_dtype(dtype, op)
    bounds = [_bound(low, op, "low"), _bound(high, op, "high")]
    sizes = sample_extents(size, ndim, bounds, op)
    narrow = all(_fits(v) for v in bounds)
    a, b = fitted_all(bounds, sizes, op, ["low", "high"])
    wide = "uint64" if "uint64" in (a.dtype, b.dtype) else "int64"
    a, b = converted(a, wide), converted(b, wide)
    b = require(op, "high is below low" if last else "high isn't above low",
                (lambda high, low: low <= high) if last else (lambda high, low: low < high), b, a)
    start = cast_to(a, "uint64")
    span = cast_to(b, "uint64") - start + np.uint64(last)  # type: ignore[operator]
    made = start + _below(as_key(key, op), sizes, span, narrow)  # type: ignore[operator]
    return cast_to(cast_to(made, wide), out)


def bernoulli(key: Any, size: Any = None, p: Any = 0.5, ndim: int | None = None, dtype: str = "bool") -> Variable:
    """Return trials that are true with chance `p`.

    Parameters
    ----------
    key, size, ndim
        As for :func:`random_integers`.
    p : array_like
        Below 0 never, above 1 always. Counted in steps of 2**-24, of 2**-53 where `p` is a float64 array.
    dtype : str

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], bernoulli(symbolic.random.key(1), (4,), 0.3))()
    array([False, False, False, False])
    """
    out = integer_dtype(dtype, "bernoulli")
    work = "float64" if getattr(p, "dtype", None) == "float64" else "float32"
    chance = parameter(p, work, "bernoulli", "p")
    sizes = sample_extents(size, ndim, [chance], "bernoulli")
    chance, = fitted_all([chance], sizes, "bernoulli", ["p"])
    return cast_to(lt(draw("uniform", key, sizes, work), chance), out)


def geometric(key: Any, size: Any = None, p: Any = 0.5, ndim: int | None = None, dtype: str = "int64") -> Variable:
    """Return how many trials of chance `p` it takes to the first success, at least 1.

    Raises
    ------
    ParameterError
        If `p` isn't in ``(0, 1]``.

    Examples
    --------
    >>> import symbolic
    >>> geometric(symbolic.random.key(1), (4,), 0.3).type
    TensorType(int64, (4,))
    """
    out = integer_dtype(dtype, "geometric")
    chance = parameter(p, "float64", "geometric", "p")
    sizes = sample_extents(size, ndim, [chance], "geometric")
    chance, = fitted_all([chance], sizes, "geometric", ["p"])
    chance = require("geometric", "p must be in (0, 1]", lambda p: (p > 0) & (p <= 1), chance)
    u = draw("fraction", key, sizes, "float64")
    return saturated(maximum(ceil(log(u) / log1p(neg(chance))), 1.0), out)  # type: ignore[operator]


def saturated(x: Variable, dtype: str) -> Variable:
    """Return whole numbers (float64, not negative) as integers: the largest integer for those that are larger, as NumPy."""
    most = int(np.iinfo(dtype).max)
    if dtype in ("int64", "uint64"):  # it is no float64: those below lie 1024 (2048) apart
        top = np.nextafter(float(most), 0.0)
        return switch(gt(x, top), constant(most, dtype=dtype), cast_to(minimum(x, top), dtype))
    return cast_to(cast_to(minimum(x, float(most)), "int64"), dtype)


def constant_number(v: Variable) -> float | None:
    """Return the value of a constant scalar, None for anything else."""
    return float(v.data) if isinstance(v, Constant) and v.ndim == 0 else None

