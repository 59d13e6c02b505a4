"""Spatial transformers: where each pixel of a result is read from, and reading between pixels.

Positions are in [-1, 1] along each axis, from the centre of the first pixel to that of the last.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import extents
from symbolic.ops.index import getitem
from symbolic.ops.linalg import dot
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.source import caller
from symbolic.types import is_complex, is_discrete, to_float

BORDERS = ("nearest", "mirror", "wrap", "constant")


def _line(n: Variable, dtype: str) -> Variable:
    """Return `n` positions from -1 to 1 (-1 alone for one), as ``linspace``."""
    gap = cast_to(f.maximum(n - 1, 1), "float64")
    return cast_to(cast_to(arange(n), "float64") * (2.0 / gap) - 1.0, dtype)


def _floats(op: str, v: Any) -> Variable:
    v = as_tensor_variable(v)
    if is_complex(v.dtype):
        raise errors.DTypeError(errors.message(op, f"expected real values, got {v.dtype}", (describe(v),), caller()))
    return cast_to(v, to_float(v.dtype)) if is_discrete(v.dtype) else v


def affine_grid(theta: Any, height: Any, width: Any) -> tuple[Variable, Variable]:
    """Return where the pixels of transformed pictures are read from: ``theta @ (x, y, 1)`` for positions x, y.

    Parameters
    ----------
    theta : Variable, shape (batch, 2, 3) or (batch, 6)
        The identity is ``[[1, 0, 0], [0, 1, 0]]``.
    height, width : int or integer scalar Variable
        Of the results.

    Returns
    -------
    x, y : Variable, shape (batch, height, width)

    Raises
    ------
    RankError
        If `theta` has neither form.

    References
    ----------
    Jaderberg, Simonyan, Zisserman, Kavukcuoglu, "Spatial transformer networks", 2015.

    Examples
    --------
    >>> from symbolic import function
    >>> x, y = affine_grid([[[2.0, 0, 0], [0, 1, 0.5]]], 1, 3)
    >>> [v.tolist() for v in function([], [x, y])()]
    [[[[-2.0, 0.0, 2.0]]], [[[-0.5, -0.5, -0.5]]]]
    """
    theta = _floats("affine_grid", theta)
    if theta.ndim not in (2, 3):
        raise errors.RankError(errors.message("affine_grid", f"theta must be (batch, 2, 3) or (batch, 6), got {theta.ndim} "
                                              "dimensions", (describe(theta),), caller()))
    theta = reshape(theta, [extents(theta)[0], 2, 3], ndim=3)
    h, w = integer_operand(height, "affine_grid"), integer_operand(width, "affine_grid")
    x, y = dimshuffle(_line(w, theta.dtype), "x", "x", 0), dimshuffle(_line(h, theta.dtype), "x", 0, "x")

    def row(k: int) -> Variable:
        a, b, c = (dimshuffle(getitem(theta, (slice(None), k, j)), 0, "x", "x") for j in range(3))
        return a * x + b * y + c

    return row(0), row(1)


def thin_plate_spline_grid(offsets: Any, height: Any, width: Any) -> tuple[Variable, Variable]:
    """Return where the pixels of transformed pictures are read from: a thin plate spline that moves control points.

    Parameters
    ----------
    offsets : Variable, shape (batch, 2 * n)
        How far each of the n control points is moved, first along x, then along y. They stand on a square grid over
        [-1, 1] in both directions, row by row, so n is a square number of at least 4; it must be known.
    height, width : int or integer scalar Variable
        Of the results.

    Returns
    -------
    x, y : Variable, shape (batch, height, width)

    Raises
    ------
    ShapeError
        If the number of control points isn't known, or no square number.

    References
    ----------
    Bookstein, "Principal warps: thin-plate splines and the decomposition of deformations", 1989.

    Examples
    --------
    >>> from symbolic import function
    >>> x, y = thin_plate_spline_grid(np.zeros((1, 8)), 1, 3)
    >>> function([], x)().round(6).tolist()
    [[[-1.0, 0.0, 1.0]]]
    """
    op = "thin_plate_spline_grid"
    offsets = _floats(op, offsets)
    if offsets.ndim != 2:
        raise errors.RankError(errors.message(op, f"offsets must be (batch, 2 * n), got {offsets.ndim} dimensions",
                                              (describe(offsets),), caller()))
    known = offsets.type.shape[1]
    side = 0 if known is None else math.isqrt(known // 2)
    if known is None or known != 2 * side * side or side < 2:
        raise errors.ShapeError(errors.message(op, "the number of control points must be known, and 4, 9, 16, ...: offsets have "
                                               f"{'an unknown number of' if known is None else known} columns",
                                               (describe(offsets),), caller(), "T.specify_shape(offsets, (None, 2*n)) tells it"))
    n, dtype = side * side, offsets.dtype
    points, solved = _spline(side)
    h, w = integer_operand(height, op), integer_operand(width, op)
    x, y = dimshuffle(_line(w, "float64"), "x", 0, "x"), dimshuffle(_line(h, "float64"), 0, "x", "x")
    r2 = f.sqr(x - points[:, 0]) + f.sqr(y - points[:, 1])
    bend = dot(reshape(_plate(r2), [h * w, n], ndim=2), solved[:n])  # (h*w, n): the share of each control point
    flat_x = reshape(x + 0 * y, [h * w, 1], ndim=2)
    flat_y = reshape(y + 0 * x, [h * w, 1], ndim=2)
    share = cast_to(bend + solved[n] + flat_x * solved[n + 1] + flat_y * solved[n + 2], dtype)

    def moved(k: int) -> Variable:
        own = getitem(offsets, (slice(None), slice(k * n, (k + 1) * n))) + points[:, k].astype(dtype)
        return reshape(dot(own, share.T), [extents(offsets)[0], h, w], ndim=3)  # type: ignore[attr-defined]

    return moved(0), moved(1)


def _plate(r2: Variable) -> Variable:
    """Return r**2 log(r**2), 0 at 0."""
    return f.switch(f.eq(r2, 0), f.cast_zero(r2), r2 * f.log(f.switch(f.eq(r2, 0), 1.0, r2)))


def _spline(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the control points, (n, 2), and what maps their values to the spline's n + 3 coefficients."""
    line = np.linspace(-1, 1, side)
    points = np.stack([g.ravel() for g in np.meshgrid(line, line)], axis=1)
    n = len(points)
    r2 = ((points[:, None] - points) ** 2).sum(-1)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = r2 * np.log(np.where(r2 == 0, 1, r2))
    system[:n, n] = system[n, :n] = 1
    system[:n, n + 1:], system[n + 1:, :n] = points, points.T
    return points, np.linalg.inv(system)[:, :n]


def grid_sample(input: Any, x: Any, y: Any, border_mode: str = "nearest") -> Variable:
    """Return pictures read at given positions, bilinearly between pixels.

    Parameters
    ----------
    input : Variable, shape (batch, channels, rows, columns)
    x, y : Variable, shape (batch, height, width)
        Positions along columns and rows, -1 the first pixel, 1 the last.
    border_mode : {'nearest', 'mirror', 'wrap', 'constant'}
        What is read beyond the border: the nearest pixel; the picture reflected at its outermost pixels; the picture repeated;
        or zeros.

    Returns
    -------
    Variable, shape (batch, channels, height, width)

    Raises
    ------
    RankError, DTypeError
        If ranks aren't these, or values aren't real.

    Examples
    --------
    >>> from symbolic import function
    >>> function([], grid_sample([[[[1.0, 3.0]]]], [[[0.0, 1.0, 9.0]]], [[[0.0, 0.0, 0.0]]]))().tolist()
    [[[[2.0, 3.0, 3.0]]]]
    """
    op = "grid_sample"
    if border_mode not in BORDERS:
        raise ValueError(f"{op}: border_mode must be one of {', '.join(map(repr, BORDERS))}, got {border_mode!r}")
    image, gx, gy = _floats(op, input), _floats(op, x), _floats(op, y)
    for v, ndim, what in ((image, 4, "input must be (batch, channels, rows, columns)"),
                          (gx, 3, "x must be (batch, height, width)"), (gy, 3, "y must be (batch, height, width)")):
        if v.ndim != ndim:
            raise errors.RankError(errors.message(op, f"{what}, got {v.ndim} dimensions", (describe(v),), caller()))
    batch, _, rows, columns = extents(image)
    left, right, dx, in_left, in_right = _corners(gx, columns, border_mode)
    top, bottom, dy, in_top, in_bottom = _corners(gy, rows, border_mode)
    member = dimshuffle(arange(batch), 0, "x", "x")
    channels = (0, "x", 1, 2)

    def corner(r: Variable, c: Variable, weight: Variable, inside: Variable | None) -> Variable:
        value = dimshuffle(getitem(image, (member, slice(None), r, c)), 0, 3, 1, 2)
        if inside is not None:
            value = f.switch(dimshuffle(inside, *channels), value, f.cast_zero(value))
        return value * dimshuffle(cast_to(weight, image.dtype), *channels)

    def both(a: Variable | None, b: Variable | None) -> Variable | None:
        return None if a is None or b is None else f.and_(a, b)

    return (corner(top, left, (1 - dy) * (1 - dx), both(in_top, in_left))
            + corner(top, right, (1 - dy) * dx, both(in_top, in_right))
            + corner(bottom, left, dy * (1 - dx), both(in_bottom, in_left))
            + corner(bottom, right, dy * dx, both(in_bottom, in_right)))


def _corners(g: Variable, n: Variable, mode: str) -> tuple[Variable, Variable, Variable, Variable | None, Variable | None]:
    """Return both pixels around each position along an axis, how far it is from the first, and whether each is one."""
    last = cast_to(n - 1, g.dtype)
    at = (g + 1) * (last / 2)
    if mode == "nearest":
        at = f.clip(at, 0, last)
    elif mode == "mirror":
        period = f.maximum(2 * last, 1)
        at = f.abs_(at) % period
        at = f.minimum(at, period - at)
        at = f.clip(at, 0, last)
    elif mode == "wrap":
        at = at % cast_to(n, g.dtype)
    safe = f.switch(f.and_(f.gt(at, -2.0), f.lt(at, last + 2)), at, -2.0)  # far away, or nan: not to be cast
    first = f.floor(safe)
    k = cast_to(first, "int64")
    second = k + 1
    inside = None, None
    if mode == "constant":
        inside = f.and_(f.ge(k, 0), f.lt(k, n)), f.and_(f.ge(second, 0), f.lt(second, n))
    if mode == "wrap":
        k, second = k % n, second % n
    else:
        k, second = (f.maximum(f.minimum(v, n - 1), 0) for v in (k, second))
    return k, second, at - first, *inside
