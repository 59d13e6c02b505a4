"""Products of transposed matrices that were changed elementwise: change the matrix as it lies, and let the product transpose it.

``dot(f(x.T), y)`` becomes ``dot(f(x).T, y)``: a BLAS takes a flag for that, where a loop would read `x` across its rows.
"""
from __future__ import annotations

from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Variable
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.linalg import Dot
from symbolic.ops.shape import DimShuffle, dimshuffle
from symbolic.opt.checked import OfExtent
from symbolic.opt.rebuild import Rebuilt
from symbolic.source import standing_for

_MIRROR: dict[tuple[int | str, ...], tuple[int | str, ...]] = {("x", 0): (0, "x"), (0, "x"): ("x", 0), ("x", "x"): ("x", "x")}


def flip_factors(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with the operands of products transposed last."""
    if not any(isinstance(node.op, Dot) for node in graph.nodes):
        return graph
    readers, roots = graph.clients(), set(graph.outputs)
    flipped: dict[Variable, Variable] = {}
    table: dict[Variable, Variable] = {}
    for node in graph.nodes:
        out = node.outputs[0]
        with standing_for(node.loc):
            found = _flipped(node, flipped)
            if found is None:
                continue
            flipped[out] = found
            if isinstance(node.op, Elementwise) and out not in roots and all(isinstance(r.op, Dot) for r in readers.get(out, [])):
                table[out] = dimshuffle(found, 1, 0)
    return capture(graph.inputs, Rebuilt(table)(graph.outputs)) if table else graph


def _flipped(node: Apply, known: dict[Variable, Variable]) -> Variable | None:
    """Return the transpose of what a node makes, where it costs nothing: from a matrix that is transposed, and vectors."""
    op = node.op
    if isinstance(op, DimShuffle) and op.order == (1, 0):
        return node.inputs[0]
    if isinstance(op, OfExtent) and node.inputs[0] in known:
        return OfExtent(1 - op.axis)(known[node.inputs[0]], node.inputs[1])
    if not isinstance(op, Elementwise) or node.outputs[0].ndim != 2 or not any(v in known for v in node.inputs):
        return None
    turned: list[Variable] = []
    for v in node.inputs:
        mirror = None if v.owner is None or not isinstance(v.owner.op, DimShuffle) else _MIRROR.get(v.owner.op.order)
        if v in known:
            turned.append(known[v])
        elif v.ndim < 2:
            turned.append(v if v.ndim == 0 else dimshuffle(v, 0, "x"))
        elif mirror is not None:
            turned.append(dimshuffle(v.owner.inputs[0], *mirror))  # type: ignore[union-attr]
        else:
            return None
    return op(*turned)
