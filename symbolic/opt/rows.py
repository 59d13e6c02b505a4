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


def _scaled(v: Variable) -> tuple[Apply, Variable] | None:
    """Return the write into zeros that `v` is scaled from, and the values that it would have to write itself."""
    scales: list[tuple[str, Variable | None]] = []
    while (written := _sparse(v)) is None:
        node = v.owner
        if node is None or not isinstance(node.op, Elementwise) or not read_once(v):
            return None
        key = str(node.op.fn)
        if key == "neg":
            scales.append((key, None))
            v = node.inputs[0]
            continue
        if key not in ("mul", "true_div") or len(node.inputs) != 2:
            return None
        scalars = [_scalar(u) for u in node.inputs]
        at = 0 if scalars[1] is not None else 1
        if scalars[1 - at] is None or key == "true_div" and at or node.inputs[at].type != v.type:
            return None
        scales.append((key, scalars[1 - at]))
        v = node.inputs[at]
    y = written.inputs[1]
    for key, a in reversed(scales):
        if a is not None and y.ndim:
            a = dimshuffle(a, *["x"] * y.ndim)
        y = -y if a is None else a * y if key == "mul" else y / a
    return written, y


@node_rule("add", "sub")
def add_written_rows(node: Apply) -> Variable | None:
    """x + a * inc_subtensor(zeros[i], y) -> inc_subtensor(x[i], a * y) for a finite scalar a, and so for x - ..., / a and -:
    an update touches the rows concerned alone. Terms of an index that repeats are added one by one; a -0.0 elsewhere stays"""
    if len(node.inputs) != 2:
        return None
    subtract = node.op.fn == "sub"  # type: ignore[attr-defined]
    for at in (1,) if subtract else (1, 0):
        x, v = node.inputs[1 - at], node.inputs[at]
        if x.type.dtype[:5] != "float" or x.type != node.outputs[0].type or not same_shape(x, v):
            continue
        found = _scaled(v)
        if found is None:
            continue
        written, y = found
        if y.type == written.inputs[1].type:
            return written.op(x, -y if subtract else y, *written.inputs[2:])  # type: ignore[return-value]
    return None


@node_rule("*")
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
