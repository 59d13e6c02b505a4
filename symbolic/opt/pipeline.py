"""The one ordered list of what is done to a captured graph, and to the graphs inside of it."""
from __future__ import annotations

from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Variable
from symbolic.ops.scan import Scan
from symbolic.opt.branch import sink_branches
from symbolic.opt.diagonal import scale_by_diagonals
from symbolic.opt.rebuild import Rebuilt
from symbolic.opt.scan import merge_loops
from symbolic.opt.scan_invariants import hoist_invariants
from symbolic.opt.scan_maps import vectorise_maps
from symbolic.opt.scan_products import pull_products
from symbolic.opt.scan_unread import drop_unread
from symbolic.opt.transposes import flip_factors


def optimised(graph: FunctionGraph) -> FunctionGraph:
    """Return a graph that computes the same as `graph`, faster."""
    graph = flip_factors(scale_by_diagonals(graph))
    graph = merge_loops(graph)
    graph = drop_unread(graph)
    graph = pull_products(graph)
    graph = vectorise_maps(graph)
    graph = hoist_invariants(graph)
    graph = _inside_loops(graph)
    return sink_branches(graph, optimised)


def _inside_loops(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with the steps of its loops rewritten."""
    table: dict[Variable, Variable] = {}
    for node in graph.nodes:
        op = node.op
        if isinstance(op, Scan):
            step = capture(op.inputs, op.outputs)
            better = optimised(step)
            if better is not step:
                new = Scan(op.inputs, better.outputs, op.carries, op.sequences, op.until, op.reverse, op.truncate, op.label,
                           op.repeat)
                table.update(zip(node.outputs, Apply(new, node.inputs, [o.type for o in node.outputs], node.loc).outputs,
                                 strict=True))
    return capture(graph.inputs, Rebuilt(table)(graph.outputs)) if table else graph
