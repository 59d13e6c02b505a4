"""Arrays made longer at both ends of their axes, as ``numpy.pad`` does."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.create import alloc, arange
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.index import getitem, take
from symbolic.ops.join import concatenate
from symbolic.ops.reduce import max as max_of
from symbolic.ops.reduce import mean
from symbolic.ops.reduce import min as min_of
from symbolic.ops.scatter import set_subtensor
from symbolic.ops.shape import dimshuffle
from symbolic.ops.sort import median
from symbolic.source import caller
from symbolic.types import is_discrete

#: Each mode, with the options that it takes.
MODES = {"constant": ("constant_values",), "edge": (), "linear_ramp": ("end_values",), "maximum": ("stat_length",),
         "mean": ("stat_length",), "median": ("stat_length",), "minimum": ("stat_length",), "reflect": ("reflect_type",),
         "symmetric": ("reflect_type",), "wrap": (), "empty": ()}
Pair = tuple[Any, Any]


def pad(array: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Variable:
    """Return `array` with elements added before and after those of each axis, as ``numpy.pad``.

    Parameters
    ----------
    array : array_like
    pad_width : int, (before, after), a sequence of such pairs, one an axis, or a dict from axes to ints or pairs
        How many; integer scalars may be symbolic.
    mode : str
        What they are. ``'constant'``: `constant_values`. ``'edge'``: the last element. ``'reflect'``, ``'symmetric'``: mirrored,
        without or with the last element. ``'wrap'``: from the other end. ``'linear_ramp'``: on a line to `end_values`.
        ``'maximum'``, ``'minimum'``, ``'mean'``, ``'median'``: of the `stat_length` elements at that end. ``'empty'``: zeros.
    constant_values, end_values : scalar, or like `pad_width`
        0 by default.
    stat_length : like `pad_width`, optional
        All elements by default.
    reflect_type : {'even', 'odd'}
        'odd': what is mirrored is also turned upside down about the last element.

    Returns
    -------
    Variable
        Of the dtype of `array`.

    Raises
    ------
    ValueError
        If the mode or an option isn't known, or a width is negative or of the wrong form.
    IndexOutOfBounds
        If an empty axis is to be continued, other than by a constant; when the function runs.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], pad([1, 2, 3], (2, 1), mode="reflect"))()
    array([3, 2, 1, 2, 3, 2], dtype=int8)
    """
    x = as_tensor_variable(array)
    if mode not in MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(MODES)}, got {mode!r}")
    unknown = sorted(set(options) - set(MODES[mode]))
    if unknown:
        raise ValueError(f"pad: mode {mode!r} takes no {unknown[0]}=" + (f"; it takes {MODES[mode][0]}=" if MODES[mode] else ""))
    widths = [(_width(before), _width(after)) for before, after in _pairs(pad_width, x, "pad_width")]
    if mode in ("constant", "empty"):
        return _constant(x, widths, _pairs(options.get("constant_values", 0), x, "constant_values"))
    reflect = options.get("reflect_type", "even")
    if reflect not in ("even", "odd"):
        raise ValueError(f"pad: reflect_type must be 'even' or 'odd', got {reflect!r}")
    ends = _pairs(options.get("end_values", 0), x, "end_values")
    lengths = _pairs(options.get("stat_length"), x, "stat_length")
    for a, pair in enumerate(widths):
        if all(isinstance(n, Constant) and n.data == 0 for n in pair):
            continue
        if mode == "linear_ramp":
            x = _ramps(x, a, pair, ends[a])
        elif mode in _STATISTICS:
            x = _statistics(x, a, pair, lengths[a], _STATISTICS[mode])
        else:
            x = _continued(x, a, pair, mode, reflect == "odd")
    return x


def _pairs(given: Any, x: Variable, what: str) -> list[Pair]:
    """Return one pair for each axis."""
    if isinstance(given, dict):
        out: list[Pair] = [(0, 0)] * x.ndim
        for a, value in given.items():
            out[axis_of(a, x.ndim, "pad")] = tuple(value) if isinstance(value, (list, tuple)) else (value, value)  # type: ignore
        return out
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        return [(given, given)] * x.ndim
    rows = [tuple(g) if isinstance(g, (list, tuple)) else g for g in given]
    if all(isinstance(r, tuple) for r in rows):
        rows = [r * 2 if len(r) == 1 else r for r in rows]
        if len(rows) in (1, x.ndim) and all(len(r) == 2 for r in rows):
            return rows if len(rows) == x.ndim else rows * x.ndim
    elif len(rows) in (1, 2) and not any(isinstance(r, tuple) for r in rows):
        return [(rows[0], rows[-1])] * x.ndim
    raise ValueError(errors.message("pad", f"{what} must be a number, a pair, or a pair for each of {x.ndim} axes, got {given!r}",
                                    (describe(x),), caller()))


def _width(n: Any) -> Variable:
    v = integer_operand(n, "pad")
    if isinstance(v, Constant) and v.data < 0:
        raise ValueError(f"pad: a width can't be negative, got {int(v.data)}")
    return v


def _along(a: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * a, part)


def _edge(x: Variable, a: int, k: int) -> Variable:
    """Return the slice of `x` at index `k` of an axis, which is kept, known to be of extent 1."""
    part = getitem(x, (*(slice(None),) * a, k))
    return dimshuffle(part, *range(a), "x", *range(a, part.ndim))


def _constant(x: Variable, widths: Sequence[Pair], values: Sequence[Pair]) -> Variable:
    first = values[0][0] if values else 0
    if all(v is first or (not isinstance(v, Variable) and not isinstance(first, Variable) and v == first)
           for pair in values for v in pair):
        long = [_added(n, before, after) for n, (before, after) in zip(extents(x), widths, strict=True)]
        inner = tuple(slice(before, _added(before, n, 0)) for n, (before, _) in zip(extents(x), widths, strict=True))
        whole = alloc(cast_to(as_tensor_variable(first), x.dtype), *long)
        return set_subtensor(getitem(whole, inner), x) if x.ndim else x
    for a, (width, value) in enumerate(zip(widths, values, strict=True)):
        blocks = [_block(x, a, n, cast_to(as_tensor_variable(v), x.dtype)) for n, v in zip(width, value, strict=True)]
        x = concatenate([blocks[0], x, blocks[1]], a)
    return x


def _added(*terms: Any) -> Any:
    known = sum(int(t.data) if isinstance(t, Constant) else t for t in terms if isinstance(t, (int, Constant)))
    rest = [t for t in terms if not isinstance(t, (int, Constant))]
    total: Any = known
    for t in rest:
        total = t if isinstance(total, int) and total == 0 else total + t
    return total


def _block(x: Variable, a: int, n: Variable, value: Variable) -> Variable:
    """Return `n` slices along axis `a` of `value`, which broadcasts against `x` with that axis of extent 1."""
    own = extents(x)
    return alloc(value, *own[:a], n, *own[a + 1:])


def _continued(x: Variable, a: int, width: Pair, mode: str, odd: bool) -> Variable:
    """Return `x` continued along an axis by elements that it has."""
    n = extents(x)[a]
    before, after = width
    at = arange(_added(before, n, after)) - before  # type: ignore[operator]
    if mode == "edge":
        return take(x, f.clip(at, 0, n - 1), a)  # type: ignore[operator]
    if mode == "wrap":
        return take(x, f.mod(at, f.maximum(n, 1)), a)
    mirror = n - 1 if mode == "reflect" else n  # type: ignore[operator]
    period = f.maximum(2 * mirror, 1)
    place = f.mod(at, period)
    back = f.gt(place, n - 1)  # type: ignore[operator]
    turned = f.switch(back, period - place - (0 if mode == "reflect" else 1), place)
    out = take(x, turned, a)
    if not odd:
        return out
    ends = [_edge(x, a, k) for k in (0, -1)]
    shape = ["x"] * a + [0] + ["x"] * (x.ndim - a - 1)
    rounds = cast_to(dimshuffle(f.int_div(at, period), *shape), x.dtype)
    # each round is as far above the one before as the ends are apart, twice
    return f.switch(dimshuffle(back, *shape), 2 * ends[1] - out, out) + 2 * rounds * (ends[1] - ends[0])  # type: ignore[operator]


def _ramps(x: Variable, a: int, width: Pair, values: Pair) -> Variable:
    parts = []
    for n, value, place in zip(width, values, (0, -1), strict=True):
        edge = _edge(x, a, place)
        work = "float64" if is_discrete(x.dtype) else x.dtype
        k = arange(n) if place == 0 else n - 1 - arange(n)
        step = dimshuffle(cast_to(k, work) / cast_to(f.maximum(n, 1), work), *["x"] * a, 0, *["x"] * (x.ndim - a - 1))  # type: ignore
        end = cast_to(as_tensor_variable(value), work)
        ramp = end + (cast_to(edge, work) - end) * step  # type: ignore[operator]
        parts.append(cast_to(f.floor(ramp) if is_discrete(x.dtype) else ramp, x.dtype))
    return concatenate([parts[0], x, parts[1]], a)


_STATISTICS: dict[str, Callable[..., Variable]] = {"maximum": max_of, "minimum": min_of, "mean": mean, "median": median}


def _statistics(x: Variable, a: int, width: Pair, lengths: Pair, statistic: Callable[..., Variable]) -> Variable:
    n = extents(x)[a]
    blocks = []
    for count, length, front in zip(width, lengths, (True, False), strict=True):
        if length is not None and not isinstance(length, Variable) and length < 1:
            raise ValueError(f"pad: stat_length must be at least 1, got {length}")
        some = n if length is None else f.minimum(n, integer_operand(length, "pad"))
        part = slice(None, some) if front else slice(n - some, None)  # type: ignore[operator]
        value = statistic(getitem(x, _along(a, part)), axis=a, keepdims=True)
        if is_discrete(x.dtype) and not is_discrete(value.dtype):
            value = f.round_half_to_even(value)
        blocks.append(_block(x, a, count, cast_to(value, x.dtype)))
    return concatenate([blocks[0], x, blocks[1]], a)
