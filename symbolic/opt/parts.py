"""Parts of what is computed: only the part is; and what is written over is never written."""
from __future__ import annotations

from typing import Any

import numpy as np

from symbolic.graph import Apply, Constant, Variable
from symbolic.ops import functions as f
from symbolic.ops.elementwise import Elementwise, cast_to
from symbolic.ops.join import Join
from symbolic.ops.region import Slice
from symbolic.ops.shape import DimShuffle, dimshuffle
from symbolic.ops.subtensor import AdvancedSubtensor, IncSubtensor, Subtensor
from symbolic.opt.driver import read_once
from symbolic.opt.extent_keys import same_shape, shape_keys
from symbolic.opt.rules import node_rule

CANONICAL = ("canonicalize",)


def _whole(e: Any) -> bool:
    return isinstance(e, Slice) and e.start is None and e.stop is None and e.step is None


@node_rule(Subtensor, tags=CANONICAL)
def useless_subtensor(node: Apply) -> Variable | None:
    """x[:] -> x"""
    return node.inputs[0] if all(map(_whole, node.op.idx_list)) else None  # type: ignore[attr-defined]


@node_rule(Subtensor, tags=CANONICAL)
def subtensor_of_subtensor(node: Apply) -> Variable | None:
    """x[a][b] -> x[c], where extents and bounds are numbers"""
    inner = node.inputs[0].owner
    if inner is None or type(inner.op) is not Subtensor or len(node.inputs) > 1 or len(inner.inputs) > 1:
        return None
    x = inner.inputs[0]
    made: list[Any] = []
    second = iter(node.op.idx_list)  # type: ignore[attr-defined]
    for a, e in enumerate(inner.op.idx_list):
        if isinstance(e, int):
            made.append(e)
            continue
        g = next(second)
        if _whole(e) or _whole(g):
            made.append(g if _whole(e) else e)
            continue
        n = x.type.shape[a]
        if n is None:
            return None
        places = range(n)[slice(e.start, e.stop, e.step)]
        if isinstance(g, int):
            made.append(places[g])
            continue
        places = places[slice(g.start, g.stop, g.step)]
        if len(places) == 0:
            return None
        stop: int | None = places[-1] + places.step
        made.append(Slice(places[0], None if stop is not None and stop < 0 else stop, places.step))
    return Subtensor(tuple(made))(x)


@node_rule(Subtensor, tags=CANONICAL)
def subtensor_of_elementwise(node: Apply) -> Variable | None:
    """f(x, y)[i] -> f(x[i], y[i]), where nothing else reads f(x, y)"""
    whole = node.inputs[0]
    inner = whole.owner
    if inner is None or not isinstance(inner.op, Elementwise) or not read_once(whole) or inner.op.fn == "second":
        return None
    if not all(v.ndim == 0 or same_shape(v, whole) for v in inner.inputs):
        return None
    if any(isinstance(e, int) for e in node.op.idx_list) and whole.ndim == 0:  # type: ignore[attr-defined]
        return None
    parts = [v if v.ndim == 0 else node.op(v, *node.inputs[1:]) for v in inner.inputs]
    return inner.op(*parts)


@node_rule(Subtensor, tags=CANONICAL)
def subtensor_of_dimshuffle(node: Apply) -> Variable | None:
    """x.dimshuffle(a)[i] -> x[j].dimshuffle(b), for bounds that are numbers, and no index into a new axis"""
    inner = node.inputs[0].owner
    if inner is None or type(node.op) is not Subtensor or not isinstance(inner.op, DimShuffle) or len(node.inputs) > 1:
        return None
    order, key = inner.op.order, node.op.idx_list
    if any(o == "x" and not _whole(e) for o, e in zip(order, key, strict=True)) or all(map(_whole, key)):
        return None
    x = inner.inputs[0]
    own: list[Any] = [Slice()] * x.ndim
    for o, e in zip(order, key, strict=True):
        if o != "x":
            own[int(o)] = e
    kept = [a for a, e in enumerate(own) if isinstance(e, Slice)]
    pattern = ["x" if o == "x" else kept.index(int(o)) for o, e in zip(order, key, strict=True) if isinstance(e, Slice)]
    return dimshuffle(Subtensor(tuple(own))(x), *pattern)


@node_rule(Subtensor, tags=CANONICAL)
def subtensor_of_join(node: Apply) -> Variable | None:
    """join(axis, x, y)[i] -> x[j], where the part lies in one of them for sure"""
    inner = node.inputs[0].owner
    if inner is None or type(node.op) is not Subtensor or not isinstance(inner.op, Join) or len(node.inputs) > 1:
        return None
    axis, sizes = inner.op.axis, [v.type.shape[inner.op.axis] for v in inner.inputs]
    total, entry = node.inputs[0].type.shape[axis], node.op.idx_list[axis]
    if total is None or None in sizes or any(not _whole(e) for a, e in enumerate(node.op.idx_list) if a != axis):
        return None
    places = range(total)[entry:entry + 1 or None] if isinstance(entry, int) else range(total)[
        slice(entry.start, entry.stop, entry.step)]
    if len(places) == 0 or not all(len(v.type.shape) and same_shape_but(v, inner.inputs[0], axis) for v in inner.inputs):
        return None
    start = 0
    for v, n in zip(inner.inputs, sizes, strict=True):
        assert n is not None
        if start <= min(places) and max(places) < start + n:
            key: list[Any] = [Slice()] * v.ndim
            last = places[-1] + places.step - start
            key[axis] = places[0] - start if isinstance(entry, int) else Slice(
                places[0] - start, None if last < 0 else last, places.step)
            return cast_to(Subtensor(tuple(key))(v), node.outputs[0].dtype)
        start += n
    return None


def same_shape_but(a: Variable, b: Variable, axis: int) -> bool:
    """Whether two variables have the same extents for sure, but along one axis."""
    return all(m == n for k, (m, n) in enumerate(zip(shape_keys(a), shape_keys(b), strict=True)) if k != axis)


@node_rule(Join, tags=CANONICAL)
def join_of_join(node: Apply) -> Variable | None:
    """join(axis, join(axis, x, y), z) -> join(axis, x, y, z)"""
    op = node.op
    nested = [v for v in node.inputs if v.owner is not None and v.owner.op == op and v.dtype == node.outputs[0].dtype
              and read_once(v)]
    if not nested:
        return None
    parts: list[Variable] = []
    for v in node.inputs:
        parts += v.owner.inputs if any(v is w for w in nested) and v.owner is not None else [v]
    return op(*parts)


@node_rule(Subtensor, tags=CANONICAL)
def subtensor_of_written(node: Apply) -> Variable | None:
    """set_subtensor(x[i], y)[i] -> y; inc_subtensor(x[i], y)[i] -> x[i] + y"""
    inner = node.inputs[0].owner
    if inner is None or type(node.op) is not Subtensor or type(inner.op) is not IncSubtensor:
        return None
    if node.op.idx_list != inner.op.idx_list or list(node.inputs[1:]) != list(inner.inputs[2:]):
        return None
    x, y = inner.inputs[:2]
    y = cast_to(y, x.dtype)
    if not inner.op.set:
        return None if x.dtype == "bool" else node.op(x, *node.inputs[1:]) + y
    return y if same_shape(y, node.outputs[0]) else f.fill(node.op(x, *node.inputs[1:]), y)


@node_rule(IncSubtensor, tags=CANONICAL)
def write_over_write(node: Apply) -> Variable | None:
    """set(set(x[i], y)[i], z) -> set(x[i], z); inc(set(x[i], y)[i], z) -> set(x[i], y + z)"""
    base, value = node.inputs[:2]
    inner = base.owner
    if inner is None or type(node.op) is not IncSubtensor or type(inner.op) is not IncSubtensor:
        return None
    if node.op.idx_list != inner.op.idx_list or list(node.inputs[2:]) != list(inner.inputs[2:]):
        return None
    x, before = inner.inputs[:2]
    if not same_shape(before, value):
        return None  # the value that goes might not fit
    if node.op.set:
        return node.op(x, value, *node.inputs[2:])
    if not inner.op.set or x.dtype == "bool" or before.dtype != x.dtype or value.dtype != x.dtype:
        return None
    return inner.op(x, before + value, *node.inputs[2:])  # type: ignore[operator]


@node_rule(IncSubtensor, tags=CANONICAL)
def write_what_is_there(node: Apply) -> Variable | None:
    """set_subtensor(x[i], x[i]) -> x"""
    x, y = node.inputs[:2]
    read = y.owner
    if type(node.op) is not IncSubtensor or not node.op.set or read is None or type(read.op) is not Subtensor:
        return None
    same = read.op.idx_list == node.op.idx_list and read.inputs[0] is x and list(read.inputs[1:]) == list(node.inputs[2:])
    return x if same else None


@node_rule(AdvancedSubtensor, tags=CANONICAL)
def take_of_all(node: Apply) -> Variable | None:
    """x[arange(n)] of constants -> x, where these are all its indices in order"""
    x, *arrays = node.inputs
    if len(arrays) != 1 or x.ndim == 0 or not isinstance(arrays[0], Constant) or arrays[0].ndim != 1:
        return None
    if not all(_whole(e) for e in node.op.idx_list[1:]) or x.type.shape[0] != arrays[0].data.size:  # type: ignore[attr-defined]
        return None
    return x if np.array_equal(arrays[0].data, np.arange(arrays[0].data.size)) else None
