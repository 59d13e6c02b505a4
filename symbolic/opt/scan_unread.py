"""Rewrites of loops: what nobody reads isn't carried or kept, and a loop of one step is its step.

- Carries that neither results nor anything that is read depend on are dropped, with their traces; results that are alike are one.
- The last element of the trace of a carry is the carry after the loop. Read alone, nothing of the trace is kept: memory doesn't
  grow with the number of steps.
- A loop of one step is the step.
"""
from __future__ import annotations

from collections.abc import Sequence

from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Constant, Variable, ancestors, clone_replace
from symbolic.ops.index import getitem
from symbolic.ops.region import Slice
from symbolic.ops.scan import Scan
from symbolic.ops.shape import dimshuffle
from symbolic.ops.subtensor import Subtensor
from symbolic.opt.checked import AfterSteps
from symbolic.opt.rebuild import Rebuilt
from symbolic.opt.step import Step


def drop_unread(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with its loops reduced to what is read."""
    if not any(isinstance(node.op, Scan) for node in graph.nodes):
        return graph
    graph = _replaced(graph, _last_values(graph))
    table: dict[Variable, Variable] = {}
    readers, roots = graph.clients(), set(graph.outputs)
    for node in graph.nodes:
        if isinstance(node.op, Scan):
            read = {k for k, o in enumerate(node.outputs) if o in readers or o in roots}
            made = _one_step(Step(node, node.op)) or _reduced(Step(node, node.op), read)
            if made is not None:
                table.update({node.outputs[k]: v for k, v in made.items() if k in read})
    return _replaced(graph, table)


def _replaced(graph: FunctionGraph, table: dict[Variable, Variable]) -> FunctionGraph:
    return capture(graph.inputs, Rebuilt(table)(graph.outputs)) if table else graph


def _last_values(graph: FunctionGraph) -> dict[Variable, Variable]:
    """Return what stands for the last elements of traces of carries."""
    table = {}
    for node in graph.nodes:
        if not isinstance(node.op, Subtensor) or node.op.idx_list[0] != -1:
            continue
        loop = node.inputs[0].owner
        if loop is None or not isinstance(loop.op, Scan) or loop.op.until:
            continue
        k = node.inputs[0].index
        step = loop.op.outputs[k]  # type: ignore[index]
        if k < loop.op.carries or step not in loop.op.outputs[:loop.op.carries] or loop.op.reverse:  # type: ignore[operator]
            continue
        last: Variable = loop.outputs[loop.op.outputs.index(step)]
        n = loop.inputs[0]
        if not (isinstance(n, Constant) and n.data > 0):
            last = AfterSteps()(last, n)
        rest = node.op.idx_list[1:]
        if any(e != Slice() for e in rest):
            last = Subtensor(rest)(last, *node.inputs[1:])
        if last.type == node.outputs[0].type:
            table[node.outputs[0]] = last
    return table


def _one_step(loop: Step) -> dict[int, Variable] | None:
    """Return the results of a loop of one step: those of the step."""
    if not isinstance(loop.n, Constant) or int(loop.n.data) != 1:
        return None
    elements = [getitem(x, 0) for x in loop.sequences]
    table = dict(zip(loop.op.inputs, [*loop.start, *elements, *loop.constants], strict=True))
    outs = clone_replace(loop.op.outputs, table)
    a, end = loop.op.carries, loop.op.carries + loop.op.traces
    results = [*outs[:a], *(dimshuffle(v, "x", *range(v.ndim)) for v in outs[a:end]), *([loop.n] if loop.op.until else [])]
    found = dict(enumerate(results))
    return found if all(_fits(v, loop.node.outputs[k]) for k, v in found.items()) else None


def _fits(new: Variable, old: Variable) -> bool:
    return new.dtype == old.dtype and new.ndim == old.ndim


def _reduced(loop: Step, read: set[int]) -> dict[int, Variable] | None:
    """Return the results that are `read` of a loop that computes no others; None if it is so already."""
    op = loop.op
    a, end = op.carries, op.carries + op.traces
    wanted = [op.outputs[k] for k in sorted(read) if k < end] + list(loop.stop)
    needed = {k for k in read if k < a}
    while True:  # a carry is needed where something needed depends on it
        used = set(ancestors([*wanted, *(loop.new[k] for k in needed)], stop=op.inputs))
        more = {k for k in range(a) if loop.carried[k] in used} - needed
        if not more:
            break
        needed |= more
    traces: list[int] = []
    place: dict[int, int] = {}
    for k in sorted(k for k in read if a <= k < end):
        like = next((j for j in traces if op.outputs[j] is op.outputs[k]), None)
        place[k] = len(traces) if like is None else traces.index(like)
        traces += [k] if like is None else []
    kept, elements = sorted(needed), [k for k, v in enumerate(loop.elements) if v in used]
    fixed = [k for k, v in enumerate(loop.fixed) if v in used]
    if len(kept) == a and len(traces) == op.traces and len(elements) == op.sequences and len(fixed) == len(loop.fixed):
        return None
    made = loop.again(_parts(kept, elements, fixed, loop.carried, loop.elements, loop.fixed),
                      _parts(kept, elements, fixed, loop.start, loop.sequences, loop.constants),
                      [loop.new[k] for k in kept], [*(op.outputs[k] for k in traces), *loop.stop])
    found = {k: made[kept.index(k)] for k in kept} | {k: made[len(kept) + n] for k, n in place.items()}
    if op.until:
        found[len(op.outputs) - 1] = made[-1]
    return found


def _parts(a: Sequence[int], b: Sequence[int], c: Sequence[int], carries: Sequence[Variable], sequences: Sequence[Variable],
           constants: Sequence[Variable]) -> tuple[list[Variable], list[Variable], list[Variable]]:
    return [carries[k] for k in a], [sequences[k] for k in b], [constants[k] for k in c]
