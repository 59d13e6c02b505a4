"""Shapes known without computing what has them; axes moved once instead of twice; broadcasts that change nothing."""
from __future__ import annotations

import math

import numpy as np

from symbolic.graph import Apply, Constant, Variable, constant
from symbolic.ops import functions as f
from symbolic.ops.create import Alloc
from symbolic.ops.elementwise import SumTo, cast_to
from symbolic.ops.extents import MakeVector, Shape_i, SpecifyShape
from symbolic.ops.reduce import Reduce
from symbolic.ops.shape import DimShuffle, Reshape, dimshuffle
from symbolic.ops.subtensor import Subtensor
from symbolic.opt.driver import read_once
from symbolic.opt.extent_keys import broadcasts_into, same_shape, shape_keys
from symbolic.opt.rules import key_of, node_rule

CANONICAL = ("canonicalize",)


@node_rule(Shape_i, tags=CANONICAL)
def shape_of_computed(node: Apply) -> Variable | None:
    """shape_i(x) -> a number, or the extent of what x was computed from"""
    v, axis = node.inputs[0], node.op.axis  # type: ignore[attr-defined]
    key = shape_keys(v)[axis]
    if isinstance(key, int):
        return constant(key, dtype="int64")
    if len(key) != 1:
        return None  # extents that broadcast: which of them is the longest is known only when run
    (source, place), = key
    if not isinstance(source, Variable) or source is v:
        return None
    return source if place == "value" else Shape_i(place)(source)


@node_rule("second", tags=CANONICAL)
def useless_second(node: Apply) -> Variable | None:
    """second(x, y) -> y, where y has the shape of both"""
    model, value = node.inputs
    return cast_to(value, node.outputs[0].dtype) if broadcasts_into(model, value) else None


@node_rule("second", tags=CANONICAL)
def second_of_second(node: Apply) -> Variable | None:
    """second(second(x, y), z) -> second(x, z), where y widens nothing"""
    model, value = node.inputs
    inner = model.owner
    if inner is None or key_of(inner.op) != "second" or not broadcasts_into(inner.inputs[1], inner.inputs[0]):
        return None
    return cast_to(f.fill(inner.inputs[0], value), node.outputs[0].dtype)


@node_rule(SumTo, tags=CANONICAL)
def useless_sum_to(node: Apply) -> Variable | None:
    """sum_to(g, x) -> g, where they have one shape"""
    g, like = node.inputs
    return g if same_shape(g, like) else None


@node_rule(Alloc, tags=CANONICAL)
def useless_alloc(node: Apply) -> Variable | None:
    """alloc(x, its own shape) -> x; alloc(alloc(x, ...), ...) -> alloc(x, ...)"""
    value = node.inputs[0]
    if same_shape(value, node.outputs[0]):
        return value
    inner = value.owner
    if inner is not None and isinstance(inner.op, Alloc) and all(n is not None for n in inner.op.known):
        return node.op(inner.inputs[0], *node.inputs[1:])
    return None


@node_rule(Alloc, Reshape, tags=CANONICAL)
def known_extents(node: Apply) -> Variable | None:
    """x.reshape((c, n)) -> the same, whose type knows the extents that are numbers by now"""
    known = [int(v.data) if n is None and isinstance(v, Constant) else n
             for v, n in zip(node.inputs[1:], node.op.known, strict=True)]  # type: ignore[attr-defined]
    if tuple(known) == node.op.known or any(n is not None and n < 0 for n in known):  # type: ignore[attr-defined]
        return None
    return type(node.op)(known)(*node.inputs)  # type: ignore[call-arg]


@node_rule(SpecifyShape, tags=CANONICAL)
def useless_specify_shape(node: Apply) -> Variable | None:
    """specify_shape(x, what its type says) -> x"""
    x = node.inputs[0]
    known = node.op.known  # type: ignore[attr-defined]
    return x if all(n is None or n == own for n, own in zip(known, x.type.shape, strict=True)) else None


@node_rule(DimShuffle, tags=CANONICAL)
def dimshuffle_of_dimshuffle(node: Apply) -> Variable | None:
    """x.dimshuffle(a).dimshuffle(b) -> x.dimshuffle(c); without effect -> x"""
    x, order = node.inputs[0], node.op.order  # type: ignore[attr-defined]
    if order == tuple(range(x.ndim)):
        return x
    inner = x.owner
    if inner is None or not isinstance(inner.op, DimShuffle):
        return None
    return dimshuffle(inner.inputs[0], *("x" if o == "x" else inner.op.order[o] for o in order))


@node_rule(Reshape, tags=CANONICAL)
def useless_reshape(node: Apply) -> Variable | None:
    """x.reshape(its own shape) -> x; with axes of extent 1 put in or left out -> dimshuffle"""
    x, out = node.inputs[0], node.outputs[0]
    old, new = shape_keys(x), shape_keys(out)
    if old == new:
        return x
    if [k for k in old if k != 1] != [k for k in new if k != 1]:
        return None
    places = iter([a for a, k in enumerate(old) if k != 1])
    return dimshuffle(x, *("x" if k == 1 else next(places) for k in new))


@node_rule(Reshape, tags=CANONICAL)
def reshape_of_reshape(node: Apply) -> Variable | None:
    """x.reshape(a).reshape(b) -> x.reshape(b), where the first fits for sure"""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, Reshape):
        return None
    x = inner.inputs[0]
    sizes = [v.type.shape for v in (x, inner.outputs[0])]
    if any(None in s for s in sizes) or math.prod(sizes[0]) != math.prod(sizes[1]):  # type: ignore[arg-type]
        return None  # whether it fits is told by the node that goes
    return node.op(x, *node.inputs[1:])


@node_rule(Subtensor, tags=CANONICAL)
def entry_of_vector(node: Apply) -> Variable | None:
    """make_vector(a, b, c)[1] -> b; of a slice, the vector of fewer"""
    inner = node.inputs[0].owner
    if inner is None or not isinstance(inner.op, MakeVector) or len(node.inputs) > 1:
        return None
    entry, = node.op.idx_list  # type: ignore[attr-defined]
    dtype = node.outputs[0].dtype
    if isinstance(entry, int):
        return cast_to(inner.inputs[entry], dtype)
    picked = inner.inputs[slice(entry.start, entry.stop, entry.step)]
    return MakeVector()(*(cast_to(v, dtype) for v in picked)) if picked else None


# -------------------------------------------------------------------------------------------- reductions


@node_rule("max", "min", "prod", "any", "all", tags=CANONICAL)
def reduce_one_element(node: Apply) -> Variable | None:
    """max(x, axis of extent 1) -> x without the axis; prod, min, any, all too"""
    x, op = node.inputs[0], node.op
    if type(op) is not Reduce:
        return None
    single = [a for a in op.axes if x.type.shape[a] == 1]
    if not single or op.dtype is not None or op.fn in ("any", "all") and x.dtype != "bool":
        return None
    left = [a for a in range(x.ndim) if a not in single]
    rest = [left.index(a) for a in op.axes if a not in single]
    inner = dimshuffle(cast_to(x, node.outputs[0].dtype), *left)
    return Reduce(op.fn, rest)(inner) if rest else inner


@node_rule("max", "min", "any", "all", "sum", "prod", tags=CANONICAL)
def reduce_of_reduce(node: Apply) -> Variable | None:
    """max(max(x, a), b) -> max(x, a and b); sums and products of integers too"""
    op, inner = node.op, node.inputs[0].owner
    if type(op) is not Reduce or inner is None or type(inner.op) is not Reduce or inner.op.fn != op.fn:
        return None
    x = inner.inputs[0]
    if op.fn in ("sum", "prod") and np.dtype(inner.outputs[0].dtype).kind not in "iub":
        return None
    if inner.outputs[0].dtype != node.outputs[0].dtype or op.dtype != inner.op.dtype or not read_once(node.inputs[0]):
        return None
    left = [a for a in range(x.ndim) if a not in inner.op.axes]
    axes = sorted([*inner.op.axes, *(left[a] for a in op.axes)])
    return Reduce(op.fn, axes, op.dtype)(x)


@node_rule("sum", tags=("canonicalize", "unsafe"))
def sum_of_scaled(node: Apply) -> Variable | None:
    """sum(c*x) -> c*sum(x); sums of floats round otherwise"""
    op, inner = node.op, node.inputs[0].owner
    if type(op) is not Reduce or inner is None or key_of(inner.op) != "mul" or op.dtype is not None:
        return None
    for factor, x in (inner.inputs, inner.inputs[::-1]):
        if factor.ndim == 0 and x.dtype == inner.outputs[0].dtype == node.outputs[0].dtype:
            return factor * Reduce(op.fn, op.axes)(x)  # type: ignore[operator]
    return None
