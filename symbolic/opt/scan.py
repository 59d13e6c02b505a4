"""Rewrites of loops: loops of as many steps that don't wait for each other become one.

The gradient of a loop applies the forward loop again, with more traces; here both become one, since a carry that starts
and goes on as another is the same carry.
"""
from __future__ import annotations

from collections.abc import Sequence

from symbolic.branch import Path, paths
from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Constant, Variable, clone_replace, toposort
from symbolic.ops.scan import Scan


def merge_loops(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with loops merged, as far as they take the same number of steps in the same direction."""
    depth = 0
    while True:
        levels, needed = _levels(graph), paths(graph.nodes, graph.outputs)
        if depth >= max((n + 1 for n in levels.values()), default=0):
            return graph
        table: dict[Variable, Variable] = {}
        for group in _groups(levels, needed, depth):
            table |= _merged(group)
        if table:
            graph = capture(graph.inputs, clone_replace(graph.outputs, table))
        depth += 1


def _levels(graph: FunctionGraph) -> dict[Apply, int]:
    """Return, for every loop, how many loops it waits for, one after the other; equal numbers don't wait for each other."""
    after: dict[Variable, int] = {}
    found: dict[Apply, int] = {}
    for node in graph.nodes:
        level = max((after.get(v, 0) for v in node.inputs), default=0)
        if isinstance(node.op, Scan):
            found[node] = level
            level += 1
        if level:
            after.update((o, level) for o in node.outputs)
    return found


def _groups(levels: dict[Apply, int], needed: dict[Apply, Path], depth: int) -> list[list[Apply]]:
    table: dict[tuple, list[Apply]] = {}
    for node, level in levels.items():
        if level == depth and isinstance(node.op, Scan):
            steps = node.inputs[0]
            same = int(steps.data) if isinstance(steps, Constant) else steps
            key = (needed[node], same, node.op.reverse, node.op.until and tuple(node.inputs) + (node.op.carries,))
            table.setdefault(key, []).append(node)
    return [g for g in table.values() if len(g) > 1]


def _interned(outputs: Sequence[Variable], table: dict[Variable, Variable]) -> list[Variable]:
    """Return `outputs` over the variables that `table` says, equal computations being one."""
    table = dict(table)
    known: dict[tuple, Apply] = {}
    constants: dict[tuple, Variable] = {}

    def get(v: Variable) -> Variable:
        if isinstance(v, Constant):
            return constants.setdefault((v.data.dtype.str, v.data.shape, v.data.tobytes()), v)
        return table.get(v, v)

    for node in toposort(outputs, stop=table):
        inputs = tuple(map(get, node.inputs))
        key = (node.op, inputs, tuple(o.type for o in node.outputs))
        if key not in known:
            made = Apply(node.op, inputs, [o.type for o in node.outputs], node.loc)
            for old, new in zip(node.outputs, made.outputs, strict=True):
                new.name = old.name
            known[key] = made
        table.update(zip(node.outputs, known[key].outputs, strict=True))
    return [get(v) for v in outputs]


def _merged(nodes: Sequence[Apply]) -> dict[Variable, Variable]:
    """Return what stands for the results of `nodes`: those of one loop."""
    ops: list[Scan] = [n.op for n in nodes]  # type: ignore[misc]
    inner = [v for op in ops for v in op.inputs]
    outer = [v for n in nodes for v in n.inputs[1:]]
    kinds = [0 if k < op.carries else 1 if k < op.carries + op.sequences else 2 for op in ops for k in range(len(op.inputs))]
    outs = [v for op in ops for v in op.outputs]
    new = [v for op in ops for v in op.outputs[:op.carries]]
    carried = [k for k, kind in enumerate(kinds) if kind == 0]
    # carries that start alike are taken for one, until what they become tells them apart
    names: dict[int, tuple] = {k: (kinds[k], outer[k], inner[k].type) for k in range(len(inner))}
    while True:
        first: dict[tuple, int] = {}
        for k in range(len(inner)):
            first.setdefault(names[k], k)
        table = {v: inner[first[names[k]]] for k, v in enumerate(inner)}
        made = _interned(new + outs, table)
        finer: dict[int, tuple] = dict(names)
        for place, k in enumerate(carried):
            finer[k] = (names[k], made[place])
        if len({finer[k] for k in carried}) == len({names[k] for k in carried}):
            break
        classes = {name: n for n, name in enumerate(dict.fromkeys(finer[k] for k in carried))}
        for k in carried:
            names[k] = (*names[k][:3], classes[finer[k]])
    conditions = [made[len(new) + sum(len(o.outputs) for o in ops[:n + 1]) - 1] for n, op in enumerate(ops) if op.until]
    if len(set(conditions)) > 1:
        return {}
    keep = {kind: [k for k in first.values() if kinds[k] == kind] for kind in (0, 1, 2)}
    place_of = {k: n for n, k in enumerate(keep[0])}
    after = dict(zip(carried, made, strict=False))
    traced: dict[Variable, int] = {}
    results: list[tuple[Variable, int]] = []
    at = len(new)
    base = 0
    for node, op in zip(nodes, ops, strict=True):
        for k in range(op.carries):
            results.append((node.outputs[k], place_of[first[names[base + k]]]))
        for k in range(op.carries, op.carries + op.traces):
            v = made[at + k]
            results.append((node.outputs[k], len(keep[0]) + traced.setdefault(v, len(traced))))
        at += len(op.outputs)
        base += len(op.inputs)
    order = [*keep[0], *keep[1], *keep[2]]
    body = [*(after[k] for k in keep[0]), *traced, *conditions[:1]]
    whole = Scan([inner[k] for k in order], body, len(keep[0]), len(keep[1]), ops[0].until, ops[0].reverse,
                 label=next((op.label for op in ops if op.label), ""))
    operands = [nodes[0].inputs[0], *(outer[k] for k in order)]
    apply = Apply(whole, operands, whole.infer_type(*(v.type for v in operands)), nodes[0].loc)
    found = {old: apply.outputs[n] for old, n in results}
    if ops[0].until:
        found |= {n.outputs[-1]: apply.outputs[-1] for n in nodes}
    return found
