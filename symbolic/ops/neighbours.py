"""Pictures as matrices of their patches, and back."""
from __future__ import annotations

from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange, zeros
from symbolic.ops.extents import as_extents, extents
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.random_shape import require
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.source import caller

MODES = ("valid", "ignore_borders", "wrap_centered", "half", "full")


def _pair(op: str, name: str, given: Any) -> list[Variable]:
    found = as_extents(given, op, 2)
    if len(found) != 2:
        raise errors.ShapeError(errors.message(op, f"expected 2 numbers for {name}, got {len(found)}", (), caller()))
    return [require(op, f"{name} must be at least 1", lambda v: v >= 1, v) for v in found]


def images2neibs(ten4: Any, neib_shape: Any, neib_step: Any = None, mode: str = "valid") -> Variable:
    """Return each patch of some pictures as a row.

    Parameters
    ----------
    ten4 : Variable, shape (batch, channels, rows, columns)
    neib_shape : tuple of 2 int, or integer vector
        Rows and columns of a patch; may be symbolic.
    neib_step : tuple of 2 int, or integer vector, optional
        From one patch to the next; by default `neib_shape`.
    mode : {'valid', 'ignore_borders', 'wrap_centered', 'half', 'full'}
        'valid': patches within the picture, which they must fill exactly; 'ignore_borders': what is left over isn't read;
        'wrap_centered': patches of odd extents centred at every step, and the picture repeats itself; 'half' and 'full':
        the picture is surrounded by ``neib//2``, or ``neib - 1``, zeros on each side.

    Returns
    -------
    Variable, shape (batch * channels * patches, rows * columns of a patch)
        Patches of a picture row by row.

    Raises
    ------
    RankError
        If `ten4` has not four dimensions.
    ParameterError
        If patches don't fill the picture, or aren't of odd extents, where the mode asks for it.

    Examples
    --------
    >>> import numpy as np
    >>> from symbolic import function
    >>> function([], images2neibs(np.arange(8.0).reshape(1, 1, 2, 4), (2, 2)))().tolist()
    [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """
    op = "images2neibs"
    x = as_tensor_variable(ten4)
    if x.ndim != 4:
        raise errors.RankError(errors.message(op, f"expected 4 dimensions, got {x.ndim}", (describe(x),), caller()))
    if mode not in MODES:
        raise ValueError(f"{op}: mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    size = _pair(op, "neib_shape", neib_shape)
    step = size if neib_step is None else _pair(op, "neib_step", neib_step)
    lengths = extents(x)
    index, inside, counts = [], [], []
    for n, w, s in zip(lengths[2:], size, step, strict=True):
        count, at, within = _positions(op, mode, n, w, s)
        counts.append(count)
        index.append(at)
        inside.append(within)
    rows, columns = dimshuffle(index[0], 0, "x", 1, "x"), dimshuffle(index[1], "x", 0, "x", 1)
    patches = getitem(x, (slice(None), slice(None), rows, columns))
    if mode in ("half", "full"):
        real = f.and_(dimshuffle(inside[0], 0, "x", 1, "x"), dimshuffle(inside[1], "x", 0, "x", 1))
        patches = f.switch(real, patches, f.cast_zero(patches))
    return reshape(patches, [lengths[0] * lengths[1] * counts[0] * counts[1], size[0] * size[1]], ndim=2)


def _positions(op: str, mode: str, n: Variable, w: Variable, s: Variable) -> tuple[Variable, Variable, Variable]:
    """Return along an axis how many patches there are, which element each entry is, and whether it is one."""
    before: Any = 0
    if mode == "wrap_centered":
        w = require(op, "with mode='wrap_centered' a patch must have odd extents", lambda v: v % 2 >= 1, w)
        w = require(op, "with mode='wrap_centered' a patch can't be larger than the picture", lambda v, m: v <= m, w, n)
        count, before = (n + s - 1) // s, w // 2
    else:
        before = {"half": w // 2, "full": w - 1}.get(mode, 0)
        span = n + 2 * before - w
        if mode != "ignore_borders":
            span = require(op, f"patches must fill the picture exactly with mode={mode!r}",
                           lambda v, t: (v >= 0) & (v % t <= 0), as_tensor_variable(span), s)
        count = f.maximum(span + s, 0) // s
    at = dimshuffle(arange(count) * s, 0, "x") + arange(w) - before
    if mode == "wrap_centered":
        return count, at % n, f.ge(at, 0)
    within = f.and_(f.ge(at, 0), f.lt(at, n))
    return count, f.maximum(f.minimum(at, n - 1), 0), within


def neibs2images(neibs: Any, neib_shape: Any, original_shape: Any, mode: str = "valid") -> Variable:
    """Return the pictures whose patches, side by side, are rows: what :func:`images2neibs` did, undone.

    Parameters
    ----------
    neibs : Variable, shape (patches, rows * columns of a patch)
    neib_shape : tuple of 2 int, or integer vector
    original_shape : sequence of 4 int, or integer vector
        (batch, channels, rows, columns); may be symbolic.
    mode : {'valid', 'ignore_borders'}
        With 'ignore_borders', what no patch covers becomes zeros.

    Returns
    -------
    Variable, shape `original_shape`

    Raises
    ------
    ShapeError
        If the numbers of elements differ.

    Examples
    --------
    >>> import numpy as np
    >>> from symbolic import function
    >>> function([], neibs2images([[0, 1, 4, 5], [2, 3, 6, 7]], (2, 2), (1, 1, 2, 4)))().tolist()
    [[[[0, 1, 2, 3], [4, 5, 6, 7]]]]
    """
    op = "neibs2images"
    x = as_tensor_variable(neibs)
    if x.ndim != 2:
        raise errors.RankError(errors.message(op, f"expected 2 dimensions, got {x.ndim}", (describe(x),), caller()))
    if mode not in ("valid", "ignore_borders"):
        raise ValueError(f"{op}: mode must be 'valid' or 'ignore_borders', got {mode!r}")
    h, w = _pair(op, "neib_shape", neib_shape)
    shape = as_extents(original_shape, op, 4)
    if len(shape) != 4:
        raise errors.ShapeError(errors.message(op, f"expected 4 numbers for original_shape, got {len(shape)}", (), caller()))
    b, c, rows, columns = shape
    m, n = rows // h, columns // w
    if mode == "valid":
        m = require(op, "patches must fill the picture exactly", lambda v, r, k: v * k >= r, m, rows, h)
        n = require(op, "patches must fill the picture exactly", lambda v, r, k: v * k >= r, n, columns, w)
    parts = reshape(x, [b, c, m, n, h, w], ndim=6)
    out = reshape(dimshuffle(parts, 0, 1, 2, 4, 3, 5), [b, c, m * h, n * w], ndim=4)
    if mode == "valid":
        return out
    out = concatenate([out, zeros([b, c, m * h, columns - n * w], x.dtype)], axis=3)
    return concatenate([out, zeros([b, c, rows - m * h, columns], x.dtype)], axis=2)

