"""Bilinear upsampling of images."""
from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents, specify_shape
from symbolic.ops.functions import clip
from symbolic.ops.index import take
from symbolic.ops.linalg import outer
from symbolic.source import caller
from symbolic.types import to_float


def bilinear_kernel_1D(ratio: Any, normalize: bool = True) -> Variable:
    """Return the weights with which an element reaches its neighbours in linear upsampling: a triangle.

    Parameters
    ----------
    ratio : int or 0-d integer Variable
    normalize : bool
        Divide by `ratio`, so that the peak is 1.

    Returns
    -------
    Variable, shape (2*ratio - 1,)
        floatX; without `normalize` integers.

    Examples
    --------
    >>> from symbolic.codegen.reference import evaluate
    >>> evaluate([bilinear_kernel_1D(3, normalize=False)], {})[0].tolist()
    [1, 2, 3, 2, 1]
    """
    ratio = as_tensor_variable(ratio)
    ramp = ratio - abs(arange(1 - ratio, ratio))  # type: ignore[operator]
    return cast_to(ramp, "floatX") / cast_to(ratio, "floatX") if normalize else ramp


def bilinear_kernel_2D(ratio: Any, normalize: bool = True) -> Variable:
    """Return the outer product of two :func:`bilinear_kernel_1D`.

    Parameters
    ----------
    ratio : int, 0-d integer Variable, or tuple of two
        For rows and columns.
    normalize : bool

    Returns
    -------
    Variable, shape (2*rows - 1, 2*columns - 1)

    Examples
    --------
    >>> bilinear_kernel_2D((2, 3)).ndim
    2
    """
    rows, columns = ratio if isinstance(ratio, (tuple, list)) else (ratio, ratio)
    return outer(bilinear_kernel_1D(rows, normalize), bilinear_kernel_1D(columns, normalize))


def bilinear_upsampling(input: Any, ratio: int | None = None, frac_ratio: Any = None, batch_size: int | None = None,
                        num_input_channels: int | None = None, use_1D_kernel: bool = True) -> Variable:
    """Return images upsampled by linear interpolation along rows and columns; beyond the borders, the border is repeated.

    Result i stands at ``(i - (ratio - 1) // 2) / ratio`` of the input, as in Theano.

    Parameters
    ----------
    input : Variable, shape (batch, channels, rows, columns)
    ratio : int, optional
        How many times as many rows and columns.
    frac_ratio : tuple, optional
        Instead: (numerator, denominator), or two such, for rows and columns.
    batch_size, num_input_channels : int, optional
        What the first two extents are; checked.
    use_1D_kernel : bool
        Without effect: rows and columns are always interpolated one after the other, with the same result.

    Returns
    -------
    Variable, shape (batch, channels, rows * ratio, columns * ratio)
        With a fraction, extents are rounded up.

    Raises
    ------
    ParameterError
        If not exactly one of `ratio` and `frac_ratio` is given, or it isn't made of positive integers.
    RankError
        If `input` doesn't have 4 dimensions.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> bilinear_upsampling(TensorType("float32", (2, 3, 4, 5))("x"), 2).ndim
    4
    """
    if (ratio is None) == (frac_ratio is None):
        raise errors.ParameterError("bilinear_upsampling: give ratio or frac_ratio, one of them")
    x = as_tensor_variable(input)
    if x.ndim != 4:
        raise errors.RankError(errors.message("bilinear_upsampling", f"expected 4 dimensions, got {x.ndim}", (describe(x),),
                                              caller(), "images are (batch, channels, rows, columns)"))
    if batch_size is not None or num_input_channels is not None:
        x = specify_shape(x, (batch_size, num_input_channels, None, None))
    pairs = _fractions((ratio, 1) if frac_ratio is None else frac_ratio)
    for a, (up, down) in enumerate(pairs, 2):
        x = _interpolated(x, a, up, down)
    return x


def frac_bilinear_upsampling(input: Any, frac_ratio: Any) -> Variable:
    """Return :func:`bilinear_upsampling` by a fraction, or one each for rows and columns.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> frac_bilinear_upsampling(TensorType("float32", (2, 3, 4, 5))("x"), (3, 2)).ndim
    4
    """
    return bilinear_upsampling(input, frac_ratio=frac_ratio)


def _fractions(given: Any) -> list[tuple[int, int]]:
    pairs = list(given) if isinstance(given, tuple) and given and isinstance(given[0], tuple) else [given, given]
    if len(pairs) != 2 or not all(isinstance(p, tuple) and len(p) == 2 and all(
            isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in p) for p in pairs):
        raise errors.ParameterError("bilinear_upsampling: expected a positive integer, a pair (numerator, denominator), or two "
                                    f"such pairs, got {given!r}")
    return [(p // gcd(p, q), q // gcd(p, q)) for p, q in pairs]


def _interpolated(x: Variable, a: int, up: int, down: int) -> Variable:
    """Return `x` upsampled by ``up / down`` along axis `a`."""
    n = extents(x)[a]
    dtype = to_float(x.dtype)
    count = (n * up + (down - 1)) // down  # type: ignore[operator]
    at = arange(count, dtype="int64") * down - (up - 1) // 2  # type: ignore[operator]
    low = at // up
    part = cast_to(at % up, dtype) / np.asarray(up, dtype)
    part = part.dimshuffle(*("x" if d != a else 0 for d in range(x.ndim)))
    left, right = (take(x, clip(low + k, 0, n - 1), axis=a) for k in (0, 1))  # type: ignore[operator]
    return left * (1 - part) + right * part
