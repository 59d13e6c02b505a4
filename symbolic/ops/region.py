"""What an index means: how long the result is, and which element of `x` each of its elements is.

Said once, as a :class:`Region` in scalar terms; reading (`ops/index.py`) and writing (`ops/scatter.py`) use it.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from symbolic import errors
from symbolic.ops.elementwise import broadcast_shape
from symbolic.scalar import Check, Expr, axis, binary, cast, const, dim, load, select
from symbolic.types import TensorType

#: Stands in an index list for a bound or integer that is an input of the op.
VAR = "?"
#: Stands in an index list for an integer array that is an input of the op.
ARRAY = "array"

#: What is wrong most often with an index.
COUNTED = "indices count from 0: labels 1 to n are to be reduced by 1, and a table needs a row for the largest"

_ZERO, _ONE, _MINUS_ONE = const(0, "int64"), const(1, "int64"), const(-1, "int64")
#: A step from which positions could pass the largest integer.
_FAR = 2**31


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of one axis; each bound is an int, None or :data:`VAR`."""

    start: int | str | None = None
    stop: int | str | None = None
    step: int | str | None = None

    def __repr__(self) -> str:
        shown = ["" if b is None else str(b) for b in (self.start, self.stop, self.step)]
        return ":".join(shown if self.step is not None else shown[:2])


#: One entry an axis of x: an int, VAR, ARRAY or a Slice.
IdxList = tuple[Any, ...]


def _smaller(x: Expr, y: Expr) -> Expr:
    return select(binary("le", x, y), x, y)


def _larger(x: Expr, y: Expr) -> Expr:
    return select(binary("le", y, x), x, y)


def _both(x: Expr, y: Expr) -> Expr:
    if x.op == "const":
        return y if x.arg else x
    if y.op == "const":
        return x if y.arg else y
    return binary("and", x, y)


def _wrapped(k: Expr, n: Expr) -> Expr:
    """Count a negative index from the end."""
    if k.op == "const":
        return n - const(-k.arg, "int64") if k.arg < 0 else k  # as a length is written: equal ones are one object
    return select(k < 0, k + n, k)


def extent_of(k: int, type: TensorType, a: int) -> Expr:
    """Return the extent of input `k` along `a`, a constant where its type knows it."""
    n = type.shape[a]
    return dim(k, a) if n is None else const(n, "int64")


def slice_bounds(n: Expr, start: Expr | None, stop: Expr | None, step: Expr) -> tuple[Expr, Expr]:
    """Return the first position and the length of a slice of an axis of extent `n`, clipped as NumPy does.

    Each bound is clipped only on the side that can change the length, so that ``x[1:]`` and ``x[:-1]`` have the
    same expression as length.
    """
    if step.op == "const":
        return _forward(n, start, stop, step) if step.arg > 0 else _backward(n, start, stop, _ZERO - step)
    back = _ZERO - _larger(step, const(-(2**63 - 1), "int64"))  # the least integer has no opposite
    forward, backward = _forward(n, start, stop, step), _backward(n, start, stop, back)
    first, length = (select(step > 0, a, b) for a, b in zip(forward, backward, strict=True))
    return first, length


def _counts_from_end(bound: Expr) -> bool:
    return bound.op == "const" and bound.arg < 0


def _length(span: Expr, step: Expr) -> Expr:
    if step.op == "const" and step.arg < _FAR:
        return (_larger(span, _ZERO) + (step - 1)) // step
    return select(span > 0, (span - 1) // step + 1, _ZERO)  # adding to a span could pass the largest integer


def _clipped(bound: Expr, low: Expr, high: Expr) -> Expr:
    """Return a bound that is known only when called within limits, so that differences of two can't overflow."""
    return bound if bound.op == "const" else _smaller(_larger(bound, low), high)


def _forward(n: Expr, start: Expr | None, stop: Expr | None, step: Expr) -> tuple[Expr, Expr]:
    first = _ZERO if start is None else _wrapped(start, n)
    if start is not None and not (start.op == "const" and start.arg >= 0):
        first = _larger(first, _ZERO)
    last = n
    if stop is not None:
        last = _wrapped(stop, n)
        if not _counts_from_end(stop):
            last = _smaller(last, n) if stop.op == "const" else _clipped(last, _ZERO, n)
    if first is _ZERO and last is n:
        return first, n if step is _ONE else _length(n, step)
    return first, _length(last - first, step)


def _backward(n: Expr, start: Expr | None, stop: Expr | None, step: Expr) -> tuple[Expr, Expr]:
    """Return the same for a step of minus `step`."""
    first = n - 1
    if start is not None:
        first = _wrapped(start, n)
        if not _counts_from_end(start):
            first = _smaller(first, n - 1) if start.op == "const" else _clipped(first, _MINUS_ONE, n - 1)
    if stop is None:
        if start is None:
            return first, n if step is _ONE else _length(n, step)
        last = _MINUS_ONE
    elif stop.op == "const":
        last = _larger(_wrapped(stop, n), _MINUS_ONE)
    else:
        last = _clipped(_wrapped(stop, n), _MINUS_ONE, n)
    return first, _length(first - last, step)


@dataclass(frozen=True, slots=True)
class Region:
    """The elements of `x` that a key names.

    Attributes
    ----------
    extents : tuple of Expr
        Of the region, one an axis.
    known : tuple of int or None
        The same, where known.
    index : tuple of Expr
        Position in `x` along each of its axes, over ``axis(n)`` of the region.
    checks : tuple of Check
        What must hold for all positions to lie in `x`.
    """

    extents: tuple[Expr, ...]
    known: tuple[int | None, ...]
    index: tuple[Expr, ...]
    checks: tuple[Check, ...]


def region_of(idx_list: IdxList, x: TensorType, types: Sequence[TensorType], first: int,
              mode: str = "raise") -> Region:
    """Return the region of input 0, of type `x`, that `idx_list` names.

    Parameters
    ----------
    idx_list : tuple
    x : TensorType
    types : sequence of TensorType
        Of the inputs that stand for VAR and ARRAY, in order.
    first : int
        Number of the first of these inputs among the op's.
    mode : {'raise', 'clip', 'wrap'}
        What becomes of an index out of range.
    """
    inputs = iter(range(first, first + len(types)))
    arrays = {k: types[k - first] for e, k in _array_inputs(idx_list, first) if e == ARRAY}
    n_adv = max((t.ndim for t in arrays.values()), default=0)
    place = _array_place(idx_list) if arrays else 0
    extents: list[Expr] = []
    index: list[Expr] = []
    checks: list[Check] = list(_broadcast_checks(arrays, n_adv))
    kept = 0  # axes of the region that slices made so far
    for a, entry in enumerate(idx_list):
        n = extent_of(0, x, a)
        if isinstance(entry, Slice):
            bounds = [None if b is None else const(b, "int64") if isinstance(b, int) else load(next(inputs), (), "int64")
                      for b in (entry.start, entry.stop, entry.step)]
            step = _ONE if bounds[2] is None else bounds[2]
            if step.op != "const":
                checks.append(Check(binary("ne", step, 0), f"the step of the slice on axis {a} is zero",
                                    error=errors.ShapeError))
            start, length = slice_bounds(n, bounds[0], bounds[1], step)
            out = kept if kept < place else kept + n_adv
            index.append(start + axis(out) * step)
            extents.append(length)
            kept += 1
        elif entry == ARRAY:
            k = next(inputs)
            index.append(_gathered(k, arrays[k], n, place + n_adv, mode))
            checks.append(_array_check(k, arrays[k], n, a, mode))
        else:
            p = const(entry, "int64") if isinstance(entry, int) else load(next(inputs), (), "int64")
            index.append(_wrapped(p, n))
            holds = _both(binary("le", _ZERO - n, p), p < n)
            if holds.op == "const" and not holds.arg:
                raise errors.IndexOutOfBounds(f"index {entry} is out of bounds for axis {a} with extent {n}")
            if holds.op != "const":
                checks.append(Check(holds, f"index {{0}} is out of bounds for axis {a} with extent {{1}}\nhint: {COUNTED}",
                                    detail=(p, n), error=errors.IndexOutOfBounds))
    extents[place:place] = _array_extents(arrays, n_adv)
    known = tuple(e.arg if e.op == "const" else None for e in extents)
    return Region(tuple(extents), known, tuple(index), tuple(checks))


def _array_inputs(idx_list: IdxList, first: int) -> list[tuple[Any, int]]:
    """Return the entries that are inputs, with the number of each."""
    found: list[Any] = []
    for entry in idx_list:
        if isinstance(entry, Slice):
            found += [b for b in (entry.start, entry.stop, entry.step) if b == VAR]
        elif not isinstance(entry, int):
            found.append(entry)
    return [(e, first + k) for k, e in enumerate(found)]


def _array_place(idx_list: IdxList) -> int:
    """Return where the axes of the index arrays go: in their place if they are neighbours, else in front."""
    at = [a for a, e in enumerate(idx_list) if not isinstance(e, Slice)]
    return at[0] if at[-1] - at[0] == len(at) - 1 else 0


def _array_extents(arrays: dict[int, TensorType], n_adv: int) -> list[Expr]:
    out = []
    broadcast_shape([t.shape for t in arrays.values()])
    for d in range(n_adv):
        best = _ONE
        for k, t in arrays.items():
            own = d - n_adv + t.ndim
            if own >= 0 and t.shape[own] != 1 and best.op == "const" and best.arg == 1:
                best = extent_of(k, t, own)
            elif own >= 0 and t.shape[own] not in (None, 1):
                best = extent_of(k, t, own)
        out.append(best)
    return out


def _broadcast_checks(arrays: dict[int, TensorType], n_adv: int) -> list[Check]:
    out = []
    for d in range(n_adv):
        wide = [(k, d - n_adv + t.ndim) for k, t in arrays.items()
                if d - n_adv + t.ndim >= 0 and t.shape[d - n_adv + t.ndim] != 1]
        for k, own in wide[1:]:
            first, other = wide[0]
            if arrays[k].shape[own] is not None and arrays[first].shape[other] is not None:
                continue
            m, n = dim(first, other), dim(k, own)
            out.append(Check(binary("eq", m, n), f"index arrays don't broadcast: extents {{0}} and {{1}} on axis {own}",
                             detail=(m, n), broadcast=((first, other), (k, own))))
    return out


def _gathered(k: int, t: TensorType, n: Expr, last: int, mode: str) -> Expr:
    """Return the position that index array `k` gives; the arrays' axes end before axis `last` of the region."""
    at = tuple(_ZERO if t.shape[d] == 1 else axis(last - t.ndim + d) for d in range(t.ndim))
    p = cast(load(k, at, t.dtype), "int64")
    if mode == "clip":
        return _larger(_smaller(p, n - 1), _ZERO)
    if mode == "wrap":
        return p % n
    return p if t.dtype.startswith("u") and t.dtype != "uint64" else _wrapped(p, n)


def _array_check(k: int, t: TensorType, n: Expr, a: int, mode: str) -> Check:
    extents = tuple(extent_of(k, t, d) for d in range(t.ndim))
    p = cast(load(k, tuple(axis(d) for d in range(t.ndim)), t.dtype), "int64")
    if mode == "raise":
        holds = binary("and", binary("le", _ZERO - n, p), p < n)
    else:
        holds = binary("lt", 0, n)  # nowhere to clip or wrap to in an empty axis
    return Check(holds, f"index {{0}} is out of bounds for axis {a} with extent {{1}}\nhint: {COUNTED}", extents, (p, n),
                 error=errors.IndexOutOfBounds)
