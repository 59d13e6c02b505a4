"""Reading parts of arrays: integers, slices, integer arrays and masks, by NumPy's rules."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, describe
from symbolic.ops.elementwise import Cast, cast_to
from symbolic.ops.extents import entry_of_shape, extents
from symbolic.ops.nonzero import is_mask, mask_index, scalar_mask_index
from symbolic.ops.region import ARRAY, VAR, Slice
from symbolic.ops.shape import dimshuffle, flatten, reshape
from symbolic.ops.subtensor import AdvancedSubtensor, Subtensor
from symbolic.source import caller
from symbolic.types import is_integer


def getitem(x: Any, key: Any) -> Variable:
    """Return ``x[key]``.

    Parameters
    ----------
    x : Variable
    key : int, slice, None, Ellipsis, integer array, boolean mask, or a tuple of them
        Integers, bounds, arrays and masks may be symbolic. Negative ones count from the end; slices are clipped to the
        axis, and integers out of range are an error when the function runs. A mask has the extents of the axes that it
        stands for, and selects those elements where it is true: it counts as that many integer vectors.

    Returns
    -------
    Variable
        Of the dtype of `x`, with the axes that NumPy would give.

    Raises
    ------
    RankError
        If there are more indices than axes.
    DTypeError
        If an index isn't an integer.
    IndexOutOfBounds
        If an integer is known to be out of range, or a mask to have other extents.

    Examples
    --------
    >>> x = as_tensor_variable(np.zeros((2, 5), "float32"))
    >>> getitem(x, (slice(None), slice(1, None, 2))).type
    TensorType(float32, (2, 2))
    >>> getitem(x, as_tensor_variable([True, False])).type.shape
    (1, 5)
    """
    x = as_tensor_variable(x)
    known = entry_of_shape(x, key)
    if known is not None:
        return known
    entries = _expanded(x, key)
    new_axes = [k for k, e in enumerate(entries) if e is None]
    plain = [e for e in entries if e is not None and e is not Ellipsis]
    if any(_is_array(e) or is_mask(e) for e in plain):
        return _advanced(x, entries)
    whole = all(isinstance(e, slice) and e == slice(None) for e in plain)
    out = x if whole and new_axes else _apply(x, plain)
    if not new_axes:
        return out
    pattern: list[Any] = []
    kept = 0
    for e in entries:
        if e is None:
            pattern.append("x")
        elif isinstance(e, slice):
            pattern.append(kept)
            kept += 1
    shown = dimshuffle(out, pattern)
    if out is x and shown.owner is not None:
        shown.owner.tag.indexed = x
    return shown


def _advanced(x: Variable, entries: Sequence[Any]) -> Variable:
    """Return ``x[entries]``, some of which are integer arrays or masks.

    All becomes integer arrays and slices on another arrangement of `x`: new axes, masks of no axes and an Ellipsis that
    stands for none are axes of extent 1 put there first, where they take part in NumPy's rule for where axes go; axes
    under one mask are joined to one.
    """
    groups, at = [], 0  # axes of x under each entry
    for e in entries:
        count = 0 if e is None or e is Ellipsis else e.ndim if is_mask(e) else 1
        groups.append(list(range(at, at + count)))
        at += count
    picks = [k for k, e in enumerate(entries) if e is not None and e is not Ellipsis and not isinstance(e, slice)]
    dots = [k for k, e in enumerate(entries) if e is Ellipsis and picks[0] < k < picks[-1]]
    kept = [k for k, e in enumerate(entries) if e is not Ellipsis or k in dots]
    plain: list[Any] = []
    for k in kept:
        e = entries[k]
        if is_mask(e):
            e = mask_index(e, x, groups[k][0]) if groups[k] else scalar_mask_index(e)
        plain.append(slice(None) if e is None or e is Ellipsis else e)
    out = _apply(_rearranged(x, [groups[k] for k in kept]), plain)
    assert out.owner is not None
    if out.owner.inputs[0] is not x:
        out.owner.tag.indexed = x  # what was indexed: for set_subtensor
    if not dots:
        return out
    before = len([k for k in kept if k < dots[0] and k not in picks])
    place = max(e.ndim for e in plain if isinstance(e, Variable)) + before
    return dimshuffle(out, [a for a in range(out.ndim) if a != place])


def _rearranged(x: Variable, groups: Sequence[Sequence[int]]) -> Variable:
    """Return `x` with each group of neighbouring axes as one: of extent 1 for an empty group."""
    if any(len(g) > 1 for g in groups):
        own = extents(x)
        return reshape(x, [_product([own[a] for a in g]) for g in groups], ndim=len(groups))
    return dimshuffle(x, [g[0] if g else "x" for g in groups])


def _product(extents: Sequence[Variable]) -> Any:
    total: Any = 1
    for n in extents:
        total = total * (int(n.data) if isinstance(n, Constant) else n)
    return total


def _expanded(x: Variable, key: Any) -> list[Any]:
    """Return `key` as a list of what each axis of `x` is indexed with, and None for each new axis.

    A mask stands for as many axes as it has; an Ellipsis that stands for no axis is kept: it parts indices.
    """
    entries = [_entry(x, e) for e in (key if isinstance(key, tuple) else (key,))]
    given = sum(e.ndim if is_mask(e) else e is not None and e is not Ellipsis for e in entries)
    dots = [k for k, e in enumerate(entries) if e is Ellipsis]
    if len(dots) > 1:
        raise _bad(errors.RankError, x, "an index may hold one Ellipsis (...)")
    if given > x.ndim:
        raise _bad(errors.RankError, x, f"too many indices: {given} for {x.ndim} dimensions")
    at = dots[0] if dots else len(entries)
    if given < x.ndim:
        entries[at:at + len(dots)] = [slice(None)] * (x.ndim - given)
    return entries


def _entry(x: Variable, e: Any) -> Any:
    """Return one entry of a key as None, Ellipsis, slice, int, an integer Variable, or a mask."""
    if e is None or e is Ellipsis or isinstance(e, slice):
        return e
    if isinstance(e, (int, np.integer)) and not isinstance(e, (bool, np.bool_)):
        return int(e)
    if isinstance(e, (list, tuple)) and len(e) == 0:
        e = np.zeros(0, "int64")
    v = as_tensor_variable(e)
    if v.dtype == "bool":
        return v
    if not is_integer(v.dtype):
        raise _bad(errors.DTypeError, x, f"an index must be an integer or a mask of bools, got {describe(v)}",
                   "cast it: T.cast(index, 'int64')")
    if v.ndim == 0:
        value = _known_int(v)
        return v if value is None else value
    return v


def _known_int(v: Variable) -> int | None:
    while v.owner is not None and isinstance(v.owner.op, Cast) and is_integer(v.owner.inputs[0].dtype):
        v = v.owner.inputs[0]
    return int(v.data) if isinstance(v, Constant) else None


def _bad(kind: type[errors.SymbolicError], x: Variable, text: str, hint: str | None = None) -> errors.SymbolicError:
    return kind(errors.message("getitem", text, (describe(x),), caller(), hint))


def _is_array(e: Any) -> bool:
    return isinstance(e, Variable) and e.ndim > 0


def _apply(x: Variable, entries: Sequence[Any], mode: str = "raise") -> Variable:
    """Apply the op for a key of slices, ints and integer variables, one an axis."""
    idx_list: list[Any] = []
    inputs: list[Variable] = []

    def bound(b: Any) -> Any:
        if b is None:
            return None
        e = _entry(x, b)
        if isinstance(e, int):
            return e
        if not isinstance(e, Variable) or e.ndim != 0:
            raise _bad(errors.DTypeError, x, f"a bound of a slice must be an integer scalar, got {b!r}")
        inputs.append(cast_to(e, "int64"))
        return VAR

    for a, e in enumerate(entries):
        if isinstance(e, slice):
            made = Slice(bound(e.start), bound(e.stop), bound(e.step))
            if made.step == 0:
                raise _bad(errors.ShapeError, x, f"the step of the slice on axis {a} is zero")
            idx_list.append(Slice(None if made.start == 0 and made.step in (None, 1) else made.start, made.stop,
                                  None if made.step == 1 else made.step))
        elif _is_array(e):
            _check_constant(x, a, e, mode)
            idx_list.append(ARRAY)
            inputs.append(e)
        else:
            idx_list.append(bound(e))
    if ARRAY in idx_list:
        return AdvancedSubtensor(tuple(idx_list), mode)(x, *inputs)
    return Subtensor(tuple(idx_list))(x, *inputs)


def _check_constant(x: Variable, a: int, index: Variable, mode: str) -> None:
    n = x.type.shape[a]
    if mode != "raise" or n is None or not isinstance(index, Constant):
        return
    wrong = index.data[(index.data < -n) | (index.data >= n)]
    if wrong.size:
        raise _bad(errors.IndexOutOfBounds, x, f"index {wrong.flat[0]} is out of bounds for axis {a} with extent {n}")


def take(x: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Variable:
    """Return elements of `x` along an axis, as ``numpy.take``.

    Parameters
    ----------
    x : Variable
    indices : integer array of any rank
    axis : int, optional
        None takes from the flattened array.
    mode : {'raise', 'clip', 'wrap'}
        What becomes of an index out of range: an error, the nearest valid one, or counted round.

    Returns
    -------
    Variable
        The axes of `indices` stand in the place of `axis`.

    Raises
    ------
    RankError
        If there is no such axis.

    Examples
    --------
    >>> x = as_tensor_variable(np.zeros((4, 5), "float32"))
    >>> take(x, [[0, 2]], axis=1).type
    TensorType(float32, (4, 1, 2))
    """
    x = as_tensor_variable(x)
    if mode not in ("raise", "clip", "wrap"):
        raise ValueError(f"mode must be 'raise', 'clip' or 'wrap', got {mode!r}")
    if axis is None:
        x, axis = flatten(x), 0
    if not -x.ndim <= axis < x.ndim:
        raise errors.RankError(errors.message("take", f"axis {axis} is out of range", (describe(x),), caller()))
    axis %= x.ndim
    e = _entry(x, indices)
    if mode != "raise" and not _is_array(e):
        # the modes are those of index arrays: take through one of extent 1
        return getitem(take(x, as_tensor_variable([e]), axis, mode), (*[slice(None)] * axis, 0))
    return _apply(x, [e if a == axis else slice(None) for a in range(x.ndim)], mode)
