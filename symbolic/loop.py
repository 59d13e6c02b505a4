"""A loop as the compiler sees it: the graph of one step, and what goes from step to step. Belongs to no op.

A step maps ``(carries, one element of each sequence, constants)`` to ``(new carries, one element of each trace)``, and
tells whether to stop where the loop may end early.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbolic import errors
from symbolic.fgraph import FunctionGraph, Interner
from symbolic.graph import Apply, Variable, describe, toposort
from symbolic.types import TensorType

#: what is wrong with a number of steps below zero
NEGATIVE_STEPS = ("a loop can't take {0} steps\nhint: a sequence with taps is to hold as many elements as its taps span, "
                  "and one for each step; n_steps can't be negative")


@dataclass(frozen=True, eq=False)
class Loop:
    """The step of a loop for operands of certain types.

    The operands of the application are the number of steps, then carries, sequences and constants; its results are the
    last carries, the traces, and with `until` how many steps were taken.

    Attributes
    ----------
    graph : FunctionGraph
        Inputs: carries, elements of sequences, constants. Outputs: new carries, elements of traces, the condition.
    carries, sequences : int
        How many of the inputs they are.
    traces : int
    until : bool
        Whether the last output ends the loop once it is true.
    reverse : bool
        Whether step t reads and writes the element n - 1 - t of sequences and traces.
    """

    graph: FunctionGraph
    carries: int
    sequences: int
    traces: int
    until: bool
    reverse: bool


def element(type: TensorType) -> TensorType:
    """Return the type of an element of a sequence."""
    return type.clone(shape=type.shape[1:])


def met(a: TensorType, b: TensorType) -> TensorType:
    """Return what two types both allow to say: an extent stays known only where they agree."""
    return a.clone(shape=tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)))


def specialised(inputs: Sequence[Variable], outputs: Sequence[Variable], types: Sequence[TensorType],
                carries: int) -> FunctionGraph:
    """Return a step, interned and expanded, over inputs of `types`; a carry's type forgets what a step changes.

    Raises
    ------
    ShapeError
        If a step gives a carry of another extent than it got.
    """
    known = list(types)
    while True:
        interner = Interner()
        new = [v.clone() if v.type == t else Variable(t, name=v.name, loc=v.loc)
               for v, t in zip(inputs, known, strict=True)]
        for old, v in zip(inputs, new, strict=True):
            interner.table[old] = v
            interner.ordinals.append(v)
        outs = interner(outputs)
        wider = [met(t, o.type) for t, o in zip(known[:carries], outs[:carries], strict=True)]
        for k, (t, o) in enumerate(zip(known[:carries], outs[:carries], strict=True)):
            if any(m is not None and n is not None and m != n for m, n in zip(t.shape, o.type.shape, strict=True)):
                raise errors.ShapeError(errors.message(
                    "scan", f"carry {k} has type {t} before a step and {o.type} after it", (describe(outputs[k]),),
                    outputs[k].loc or (outputs[k].owner.loc if outputs[k].owner is not None else None),  # type: ignore[union-attr]
                    "give the initial value the shape that the step returns"))
        if wider == known[:carries]:
            return FunctionGraph(new, outs, toposort(outs, stop=new), interner.ordinals)
        known[:carries] = wider


def nested_nodes(graph: FunctionGraph) -> list[Apply]:
    """Return the nodes of a captured graph and of the steps of its loops and the arms of its branches, in a fixed order."""
    found: list[Apply] = []
    stack = [graph]
    while stack:
        g = stack.pop()
        found += g.nodes
        for node in g.nodes:
            types = [v.type for v in node.inputs]
            inner, arms = node.op.loop(*types), node.op.branch(*types)
            stack += [] if inner is None else [inner.graph]
            stack += [] if arms is None else [arms.then, arms.other]
    return found
