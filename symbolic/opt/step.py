"""One loop as rewrites of loops see it: its operands and its step by role, and what is the same in every step."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Constant, Variable, toposort
from symbolic.ops.scan import Scan
from symbolic.opt.rebuild import Rebuilt
from symbolic.source import standing_for


def loops_replaced(graph: FunctionGraph, results: Callable[[Apply, Scan], Sequence[Variable] | None], until: bool = True
                   ) -> FunctionGraph:
    """Return `graph` with what `results` gives for its loops in their place, None leaving a loop as it is.

    Without `until`, loops that may end early aren't asked about.
    """
    table: dict[Variable, Variable] = {}
    for node in graph.nodes:
        if isinstance(node.op, Scan) and (until or not node.op.until):
            with standing_for(node.loc):
                made = results(node, node.op)
            if made is not None:
                table.update(zip(node.outputs, made, strict=True))
    return capture(graph.inputs, Rebuilt(table)(graph.outputs)) if table else graph


class Step:
    """An application of a loop, taken apart.

    Attributes
    ----------
    n : Variable
        The number of steps.
    start, sequences, constants : list of Variable
        Operands.
    carried, elements, fixed : tuple of Variable
        What stands for them in a step.
    new, traced, stop : tuple of Variable
        What a step gives: new carries, elements of traces, and, in a tuple of at most one, the condition.
    nodes : list of Apply
    still : set of Variable
        What is the same in every step.
    readers : dict
        How often a variable of the step is read, as a result too.
    """

    def __init__(self, node: Apply, op: Scan) -> None:
        self.node, self.op = node, op
        self.n, self.start, self.sequences, self.constants = op.split(node.inputs)
        a, b, end = op.carries, op.carries + op.sequences, op.carries + op.traces
        self.carried, self.elements, self.fixed = op.inputs[:a], op.inputs[a:b], op.inputs[b:]
        self.new, self.traced, self.stop = op.outputs[:a], op.outputs[a:end], op.outputs[end:]
        self.nodes = toposort(op.outputs, stop=op.inputs)
        self.still = set(self.fixed)
        for step in self.nodes:
            if all(v in self.still or isinstance(v, Constant) for v in step.inputs):
                self.still.update(step.outputs)
        self.readers: dict[Variable, int] = {}
        for v in [v for step in self.nodes for v in step.inputs] + list(op.outputs):
            self.readers[v] = self.readers.get(v, 0) + 1

    def again(self, inner: Sequence[Sequence[Variable]], outer: Sequence[Sequence[Variable]], new: Sequence[Variable],
              others: Sequence[Variable]) -> Sequence[Variable]:
        """Return the results of a loop that takes as many steps, in the same direction.

        Parameters
        ----------
        inner, outer : three sequences each
            Carries, elements, constants of a step; carries at the start, sequences, constants.
        new, others : sequence of Variable
            New carries; elements of traces, and the condition if there is one.
        """
        op = self.op
        loop = Scan([v for part in inner for v in part], [*new, *others], len(inner[0]), len(inner[1]), op.until, op.reverse,
                    op.truncate, op.label, op.repeat)
        operands = [self.n, *(v for part in outer for v in part)]
        return Apply(loop, operands, loop.infer_type(*(v.type for v in operands)), self.node.loc).outputs
