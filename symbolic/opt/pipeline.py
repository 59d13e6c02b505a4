"""The one ordered list of what is done to a captured graph, and to the graphs inside of it."""
from __future__ import annotations

from functools import partial

from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Variable, toposort
from symbolic.mode import Mode
from symbolic.ops.scan import Scan
from symbolic.opt import algebra, constant, parts, products, rows, shape  # noqa: F401  (they register their rules)
from symbolic.opt.branch import sink_branches
from symbolic.opt.diagonal import scale_by_diagonals
from symbolic.opt.driver import Driver
from symbolic.opt.rebuild import Rebuilt
from symbolic.opt.recompute import recompute_cheap
from symbolic.opt.rules import RuleSet, rules_for
from symbolic.opt.scan import merge_loops
from symbolic.opt.scan_invariants import hoist_invariants
from symbolic.opt.scan_maps import vectorise_maps
from symbolic.opt.scan_products import pull_products
from symbolic.opt.scan_unread import drop_unread
from symbolic.opt.transposes import flip_factors


def optimised(graph: FunctionGraph, rules: RuleSet | None = None) -> FunctionGraph:
    """Return a graph that computes the same as `graph`, faster.

    Parameters
    ----------
    graph : FunctionGraph
        As captured.
    rules : RuleSet, optional
        The local rules that are active; by default those of FAST_RUN.
    """
    if rules is None:
        rules = rules_for(Mode(), "captured")
    graph = flip_factors(scale_by_diagonals(graph))  # before constants are folded: an identity matrix is known by its op
    graph = rewritten(graph, rules)
    graph = merge_loops(graph)
    graph = drop_unread(graph)
    graph = pull_products(graph)
    graph = vectorise_maps(graph)
    graph = hoist_invariants(graph)
    graph = _inside_loops(graph, rules)
    graph = recompute_cheap(graph)
    return sink_branches(graph, partial(optimised, rules=rules))


def rewritten(graph: FunctionGraph, rules: RuleSet) -> FunctionGraph:
    """Return `graph` after the local rules; itself where none fires."""
    driver = Driver(rules, graph.inputs)
    outputs = driver(graph.outputs)
    if not driver.statistics.fired:
        return graph
    nodes = toposort(outputs, stop=graph.inputs)
    return FunctionGraph(graph.inputs, outputs, nodes, [*graph.inputs, *(o for n in nodes for o in n.outputs)])


def _inside_loops(graph: FunctionGraph, rules: RuleSet) -> FunctionGraph:
    """Return `graph` with the steps of its loops rewritten."""
    table: dict[Variable, Variable] = {}
    for node in graph.nodes:
        op = node.op
        if isinstance(op, Scan):
            step = capture(op.inputs, op.outputs)
            better = optimised(step, rules)
            if better is not step:
                new = Scan(op.inputs, better.outputs, op.carries, op.sequences, op.until, op.reverse, op.truncate, op.label,
                           op.repeat)
                table.update(zip(node.outputs, Apply(new, node.inputs, [o.type for o in node.outputs], node.loc).outputs,
                                 strict=True))
    return capture(graph.inputs, Rebuilt(table)(graph.outputs)) if table else graph
