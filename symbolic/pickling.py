"""Graphs in pickles and copies: as a flat list, so that a deep graph needs no recursion.

A variable that is computed carries the part of the graph it needs. Inputs, constants and shared variables keep their
identity within one pickle; applications are made anew for each pickled variable (capture makes equal ones one again).
"""
from __future__ import annotations

import copyreg
from collections.abc import Sequence
from typing import Any

from symbolic.graph import Apply, Op, Variable, toposort

#: op, positions of its inputs, types and names of its outputs, the user's line
FlatNode = tuple[Op, tuple[int, ...], tuple[Any, ...], tuple[str | None, ...], Any]


def flatten(outputs: Sequence[Variable]) -> tuple[list[Variable], list[FlatNode], list[int]]:
    """Return the leaves of a graph, its nodes by position, and the positions of `outputs`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x = Variable(TensorType("float32", ()), name="x")
    >>> flatten([x, x])[2]
    [0, 0]
    """
    nodes = toposort(outputs)
    leaves: dict[Variable, int] = {}
    for v in [v for n in nodes for v in n.inputs] + list(outputs):
        if v.owner is None:
            leaves.setdefault(v, len(leaves))
    place = dict(leaves)
    flat: list[FlatNode] = []
    for n in nodes:
        flat.append((n.op, tuple(place[v] for v in n.inputs), tuple(o.type for o in n.outputs),
                     tuple(o.name for o in n.outputs), n.loc))
        for o in n.outputs:
            place[o] = len(place)
    return list(leaves), flat, [place[v] for v in outputs]


def restore(leaves: Sequence[Variable], flat: Sequence[FlatNode], places: Sequence[int]) -> list[Variable]:
    """Return the outputs that `flatten` was given, over `leaves`."""
    known = list(leaves)
    for op, inputs, types, names, loc in flat:
        node = Apply(op, [known[k] for k in inputs], types, loc)
        for o, name in zip(node.outputs, names, strict=True):
            o.name = name
        known += node.outputs
    return [known[k] for k in places]


def _restore_one(leaves: Sequence[Variable], flat: Sequence[FlatNode], place: int) -> Variable:
    return restore(leaves, flat, [place])[0]


def _reduce(v: Variable) -> tuple[Any, ...]:
    if v.owner is None:
        return Variable, (v.type, None, None, v.name, v.loc), (None, {"_tag": v._tag})
    leaves, flat, places = flatten([v])
    return _restore_one, (leaves, flat, places[0])


copyreg.pickle(Variable, _reduce)
