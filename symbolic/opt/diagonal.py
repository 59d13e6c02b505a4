"""Products with diagonal matrices scale rows or columns instead: n² multiplications, not n³.

A matrix of derivatives is a reverse or forward pass over unit vectors, whose matrix is the identity; it stays diagonal
as far as it meets elementwise functions.
"""
from __future__ import annotations

from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Constant, Variable, constant
from symbolic.ops.create import Alloc
from symbolic.ops.diagonal import AllocDiagonal, Diagonal, Eye
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.linalg import Dot
from symbolic.ops.shape import DimShuffle, dimshuffle
from symbolic.opt.checked import OfExtent
from symbolic.opt.rebuild import Rebuilt
from symbolic.source import standing_for


def scale_by_diagonals(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` without products of two matrices of which one is known to be diagonal."""
    if not any(isinstance(node.op, (Eye, AllocDiagonal)) for node in graph.nodes):
        return graph
    known: dict[Variable, tuple[Variable | None, Variable]] = {}
    table: dict[Variable, Variable] = {}
    for node in graph.nodes:
        with standing_for(node.loc):
            found = _diagonal(node, known)
            if found is not None:
                known[node.outputs[0]] = found
            elif isinstance(node.op, Dot) and any(v in known for v in node.inputs):
                made = _scaled(node, known)
                if made is not None:
                    table[node.outputs[0]] = made
    return capture(graph.inputs, Rebuilt(table)(graph.outputs)) if table else graph


def _diagonal(node: Apply, known: dict[Variable, tuple[Variable | None, Variable]]) -> tuple[Variable | None, Variable] | None:
    """Return the diagonal (None: ones) and the extent of what a node makes; None if it isn't known to be diagonal."""
    op = node.op
    if isinstance(op, Eye):
        n, m, k = node.inputs
        return (None, n) if (n is m or _equal(n, m)) and isinstance(k, Constant) and k.data == 0 else None
    if isinstance(op, AllocDiagonal):
        x, n, m = node.inputs
        return (x, n) if x.ndim == 1 and op.k == 0 and (n is m or _equal(n, m)) else None
    if isinstance(op, DimShuffle) and op.order == (1, 0):
        return known.get(node.inputs[0])
    if not isinstance(op, Elementwise) or op.fn not in ("mul", "neg"):
        return None
    found = [v for v in node.inputs if v in known]
    if not found:
        return None
    x = found[0]
    d, n = known[x]
    values: Variable = d if d is not None else Alloc((None,))(constant(1, dtype=x.dtype), n)
    if op.fn == "neg":
        return op(values), n
    other = node.inputs[1] if node.inputs[0] is x else node.inputs[0]
    factor = _along(other)
    return None if factor is None else (op(values, factor), n)


def _equal(n: Variable, m: Variable) -> bool:
    return isinstance(n, Constant) and isinstance(m, Constant) and bool(n.data == m.data)


def _along(x: Variable) -> Variable | None:
    """Return the diagonal of a factor that may broadcast."""
    if x.owner is not None and isinstance(x.owner.op, DimShuffle) and x.owner.op.order in (("x", 0), (0, "x"), ("x", "x")):
        return x.owner.inputs[0]
    if x.ndim < 2:
        return x
    if 1 not in x.type.shape:
        return Diagonal(0)(x)
    return None


def _scaled(node: Apply, known: dict[Variable, tuple[Variable | None, Variable]]) -> Variable | None:
    a, b = node.inputs
    if a.dtype != b.dtype or a.ndim != 2 or b.ndim not in (1, 2) or b.ndim == 1 and a not in known:
        return None
    if a in known:
        d, n = known[a]
        other = OfExtent(0)(b, n)
        made = other if d is None else (dimshuffle(d, 0, "x") if b.ndim == 2 else d) * other  # type: ignore[operator]
    else:
        d, n = known[b]
        other = OfExtent(1)(a, n)
        made = other if d is None else other * dimshuffle(d, "x", 0)  # type: ignore[operator]
    return made if made.ndim == node.outputs[0].ndim and made.dtype == node.outputs[0].dtype else None
