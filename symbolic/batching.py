"""A graph applied to many inputs at once: every value that depends on them gets a leading axis, the batch.

Ops say by ``batch`` how they take a batch; what says nothing is taken by what :data:`FALLBACKS` hold. So a matrix of
derivatives is one pass over a block of unit vectors, not a loop.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

from symbolic.graph import Apply, Variable, toposort
from symbolic.source import standing_for

#: Results of a node on a batch, and whether each has the leading axis.
Batch = tuple[Sequence[Variable], Sequence[bool]]

#: Filled by `ops.batched`: how a node takes a batch whose op doesn't say; each may pass with None.
FALLBACKS: list[Callable[[Apply, Sequence[Variable], Sequence[bool]], Batch | None]] = []


def batched(outputs: Sequence[Variable], given: dict[Variable, Variable], same: dict[Variable, Variable] | None = None
            ) -> list[tuple[Variable, bool]]:
    """Return `outputs` for a batch of values of some variables, and whether each depends on them.

    Parameters
    ----------
    outputs : sequence of Variable
    given : dict from Variable to Variable
        What stands for a variable: the same with one more axis in front, all of one extent.
    same : dict from Variable to Variable, optional
        What stands for a variable without a batch.

    Returns
    -------
    list of (Variable, bool)
        True: with the batch in front; False: the same for the whole batch.
    """
    table, lead = {**(same or {}), **given}, set(given)
    for node in toposort(outputs, stop=table):
        if not any(v in table for v in node.inputs):
            continue
        inputs, flags = [table.get(v, v) for v in node.inputs], [v in lead for v in node.inputs]
        with standing_for(node.loc):
            made, have = batched_node(node, inputs, flags) if any(flags) else _same(node, inputs)
        for old, new, has in zip(node.outputs, made, have, strict=True):
            table[old] = new
            if has:
                lead.add(old)
    return [(table.get(v, v), v in lead) for v in outputs]


def _same(node: Apply, inputs: Sequence[Variable]) -> Batch:
    outs = node.clone_with_new_inputs(inputs, strict=False).outputs
    return outs, [False] * len(outs)


def batched_node(node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    """Return the results of a node for `inputs`, of which those flagged have a batch in front."""
    found = node.op.batch(node, inputs, flags)
    if found is None:
        inner = [Variable(v.type) for v in node.inputs]
        expansion = node.op.expand(*inner)
        if expansion is not None:
            sides: tuple[dict, dict] = ({}, {})
            for v, new, flag in zip(inner, inputs, flags, strict=True):
                sides[flag][v] = new
            pairs = batched(list(expansion), sides[True], sides[False])
            found = [v for v, _ in pairs], [has for _, has in pairs]
    for fallback in FALLBACKS:
        if found is None:
            found = fallback(node, inputs, flags)
    assert found is not None, f"{node.op} takes no batch"
    return found
