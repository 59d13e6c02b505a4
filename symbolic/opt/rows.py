"""Work on fewer elements: rows of a table that are written instead of all of it, and columns of extent 1 computed as vectors."""
from __future__ import annotations

import numpy as np

from symbolic.graph import Apply, Constant, Variable
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.shape import DimShuffle, dimshuffle
from symbolic.ops.subtensor import AdvancedIncSubtensor, IncSubtensor
from symbolic.opt.driver import read_once
from symbolic.opt.extent_keys import same_shape
from symbolic.opt.pattern import uniform
from symbolic.opt.rules import node_rule


def _sparse(v: Variable) -> Apply | None:
    """Return the node where `v` is zeros, incremented in some places, and read by one node alone: a gradient of rows."""
    node = v.owner
    if node is None or type(node.op) not in (IncSubtensor, AdvancedIncSubtensor) or v.type.dtype == "bool":
        return None
    if node.op.set or uniform(node.inputs[0]) != 0 or node.inputs[1].dtype != v.dtype:  # type: ignore[attr-defined]
        return None
    return node if read_once(v) else None


def _scalar(v: Variable) -> Variable | None:
    """Return the 0-d variable that `v` is broadcast from; not a constant that isn't finite, since it makes nan of zeros."""
    if isinstance(v, Constant):
        return dimshuffle(v) if v.data.size == 1 and np.isfinite(v.data).all() and all(n == 1 for n in v.type.shape) else None
    if v.ndim == 0:
        return v
    node = v.owner
    if node is not None and isinstance(node.op, DimShuffle) and all(o == "x" for o in node.op.order) and not node.inputs[0].ndim:
        return node.inputs[0]
    return None


def _write(node: Apply, base: Variable, value: Variable) -> Variable | None:
    """Return the same write of another value into another array."""
    out = node.outputs[0]
    if value.type != node.inputs[1].type or base.type != out.type:
        return None
    return node.op(base, value, *node.inputs[2:])  # type: ignore[return-value]


@node_rule("mul", "true_div", "neg", name="scale_written_rows")
def scale_written_rows(node: Apply) -> Variable | None:
    """a * inc_subtensor(zeros[i], y) -> inc_subtensor(zeros[i], a * y), and so for x / a and -x; a is a finite scalar"""
    key = node.op.fn  # type: ignore[attr-defined]
    for at, v in enumerate(node.inputs):
        written = _sparse(v)
        if written is None or v.type != node.outputs[0].type or v.type.dtype[:5] != "float":
            continue
        zeros, y = written.inputs[:2]
        if key == "neg":
            return _write(written, zeros, -y)
        if len(node.inputs) != 2 or key == "true_div" and at:
            return None
        a = _scalar(node.inputs[1 - at])
        if a is None or y.ndim == 0:
            return None
        a = dimshuffle(a, *["x"] * y.ndim)
        return _write(written, zeros, a * y if key == "mul" else y / a)
    return None


@node_rule("add", "sub", name="add_written_rows")
def add_written_rows(node: Apply) -> Variable | None:
    """x + inc_subtensor(zeros[i], y) -> inc_subtensor(x[i], y), and x - ... -> inc_subtensor(x[i], -y): an update touches the
    rows concerned alone. Where an index repeats, its terms are added one after the other"""
    if len(node.inputs) != 2:
        return None
    subtract = node.op.fn == "sub"  # type: ignore[attr-defined]
    for at in (1,) if subtract else (1, 0):
        written, x = _sparse(node.inputs[at]), node.inputs[1 - at]
        if written is None or x.type.dtype[:5] != "float" or not same_shape(x, node.inputs[at]):
            continue
        y = written.inputs[1]
        return _write(written, x, -y if subtract else y)
    return None


@node_rule("*", name="squeeze_elementwise")
def squeeze_elementwise(node: Apply) -> Variable | None:
    """f(x.dimshuffle(0, 'x'), ...) -> f(x, ...).dimshuffle(0, 'x'): what a reduction keeps of an axis isn't an axis to walk"""
    out = node.outputs[0]
    if not isinstance(node.op, Elementwise) or len(node.outputs) != 1:
        return None
    ones = [a for a in range(out.ndim) if out.type.shape[a] == 1]
    if not ones or not any(isinstance(v.owner.op, DimShuffle) for v in node.inputs if v.owner is not None):
        return None
    for v in node.inputs:
        if v.ndim == 0 or isinstance(v, Constant) and v.ndim == out.ndim:
            continue
        order = v.owner.op.order if v.owner is not None and isinstance(v.owner.op, DimShuffle) else ()
        if len(order) != out.ndim or any(order[a] != "x" for a in ones):
            return None
    kept = [a for a in range(out.ndim) if a not in ones]
    places = iter(range(len(kept)))
    pattern = ["x" if a in ones else next(places) for a in range(out.ndim)]
    return dimshuffle(node.op(*(dimshuffle(v, *kept) if v.ndim else v for v in node.inputs)), *pattern)
