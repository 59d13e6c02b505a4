"""What one arm of a branch alone needs moves into it, so that it is computed only when the arm is taken."""
from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from symbolic.branch import Path, paths
from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Constant, Variable, clone_replace, constant, toposort
from symbolic.ops.ifelse import Branch, IfElse
from symbolic.opt.checked import OfType
from symbolic.opt.rebuild import Rebuilt

Rewrite = Callable[[FunctionGraph], FunctionGraph]


def sink_branches(graph: FunctionGraph, inside: Rewrite) -> FunctionGraph:
    """Return `graph` with every choice as a :class:`Branch` over what its arms alone need.

    Parameters
    ----------
    graph : FunctionGraph
    inside : callable
        What is done to the graph of an arm.
    """
    if not any(isinstance(n.op, IfElse) for n in graph.nodes):
        return graph
    return _Sinking(_joined(graph), inside).graph


def _joined(graph: FunctionGraph) -> FunctionGraph:
    """Make one choice of those on the same condition that don't wait for each other."""
    needed = paths(graph.nodes, graph.outputs)
    groups: dict[tuple, list[Apply]] = {}
    for node, level in _levels(graph, needed).items():
        groups.setdefault((level, node.inputs[0]), []).append(node)
    table: dict[Variable, Variable] = {}
    for nodes in groups.values():
        if len(nodes) > 1:
            then = [v for n in nodes for v in n.inputs[1:1 + len(n.outputs)]]
            other = [v for n in nodes for v in n.inputs[1 + len(n.outputs):]]
            made = IfElse(len(then)).make_node(nodes[0].inputs[0], *then, *other)
            made.loc = nodes[0].loc
            table.update(zip([o for n in nodes for o in n.outputs], made.outputs, strict=True))
    if not table:
        return graph
    return capture(graph.inputs, Rebuilt(table)(graph.outputs))


def _levels(graph: FunctionGraph, needed: dict[Apply, Path]) -> dict[Apply, int]:
    """Return, for every choice that is needed in any case, how many others it may wait for."""
    after: dict[Variable, int] = {}
    found: dict[Apply, int] = {}
    for node in graph.nodes:
        level = max((after.get(v, 0) for v in node.inputs), default=0)
        if isinstance(node.op, IfElse) and not needed[node]:
            found[node] = level
            level += 1
        if level:
            after.update((o, level) for o in node.outputs)
    return found


class _Sinking:
    """The choices of one graph, as branches; those inside of arms are left to `inside`."""

    def __init__(self, graph: FunctionGraph, inside: Rewrite) -> None:
        self.inside = inside
        self.needed = paths(graph.nodes, graph.outputs)
        self.claimed: dict[Apply, Apply] = {}  # the choice into which a node moves
        self.order = {node: k for k, node in enumerate(graph.nodes)}
        self.readers = graph.clients()
        levels = _levels(graph, self.needed)
        choices = sorted(levels, key=lambda n: (levels[n], self.order[n]))
        sides = {n: [self._region(n, side) for side in (True, False)] for n in choices}
        table: dict[Variable, Variable] = {}
        for node in choices:
            table |= self._branch(node, *sides[node])
        self.graph = capture(graph.inputs, Rebuilt(table)(graph.outputs)) if table else graph

    def _region(self, node: Apply, side: bool) -> list[Apply]:
        """Return what moves into an arm: what only arms on this side of this condition need."""
        label = (node.inputs[0], side)
        n = len(node.outputs)
        found: list[Apply] = []
        stack = [v.owner for v in (node.inputs[1:1 + n] if side else node.inputs[1 + n:])]
        while stack:
            at = stack.pop()
            if at is None or at in self.claimed or self.needed[at][:1] != (label,):
                continue
            self.claimed[at] = node
            found.append(at)
            stack += [v.owner for v in at.inputs]
        return sorted(found, key=self.order.__getitem__)

    def _kept(self, node: Apply, region: Iterable[Apply]) -> list[Variable]:
        """Return what other branches read of an arm."""
        return [o for at in region for o in at.outputs
                if any(self.claimed.get(r) is not node and r is not node for r in self.readers.get(o, ()))]

    def _narrowed(self, v: Variable) -> Variable:
        """Return what is kept of an arm, as nothing where a choice inside of the arm doesn't compute it."""
        assert v.owner is not None
        nothing = constant(np.zeros((0,) * v.ndim, v.dtype))
        for condition, side in reversed(self.needed[v.owner][1:]):
            v = IfElse(1).make_node(condition, *((v, nothing) if side else (nothing, v))).outputs[0]
        return v

    def _branch(self, node: Apply, then: list[Apply], other: list[Apply]) -> dict[Variable, Variable]:
        """Return what stands for the results of a choice, and for what its arms keep."""
        n = len(node.outputs)
        kept = [self._kept(node, then), self._kept(node, other)]
        narrow = [[self._narrowed(v) for v in side] for side in kept]
        sides = [[*node.inputs[1:1 + n], *narrow[0]], [*node.inputs[1 + n:], *narrow[1]]]
        own = {o for at in [*then, *other] for o in at.outputs}
        tests = [c for side in kept for v in side for c, _ in self.needed[v.owner][1:]]  # type: ignore[index]
        read = [*(v for at in [*then, *other] for v in at.inputs), *tests, *node.inputs[1:]]
        outside = dict.fromkeys(v for v in read if v not in own and not isinstance(v, Constant))
        inner = {v: v.clone() for v in outside}
        arms = []
        for outs in sides:
            graph = self.inside(FunctionGraph(*_closed(list(inner.values()), clone_replace(outs, dict(inner)))))
            arms.append(graph.outputs)
        op = Branch(list(inner.values()), arms[0], arms[1], n)
        operands = [node.inputs[0], *outside]
        made = Apply(op, operands, op.infer_type(*(v.type for v in operands)), node.loc)
        for old, new in zip(node.outputs, made.outputs, strict=False):
            new.name = old.name
        stands = dict(zip([*node.outputs, *kept[0], *kept[1]], made.outputs, strict=True))
        return {old: new if old.type == new.type or old.owner is node else OfType(old.type.shape)(new)
                for old, new in stands.items()}


def _closed(inputs: list[Variable], outputs: list[Variable]) -> tuple[list[Variable], list[Variable], list[Apply]]:
    return inputs, outputs, toposort(outputs, stop=inputs)
