"""Branches as derivatives and the compiler see them. Belongs to no op.

An op that chooses says in ``arms`` how many results it has: its first operand decides, then come the results if it is
true, then those if it is false. What only one arm needs is computed only if that arm is taken.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Variable

#: Conditions, outermost first, and whether each must be true: when a value is needed.
Path = tuple[tuple[Variable, bool], ...]


@dataclass(frozen=True, eq=False)
class Arms:
    """What either side of a branch computes, for operands of certain types.

    The operands of the application are the condition, then the inputs of both graphs; its results are the `shared` first
    outputs of the graph taken, then the other outputs of `then`, then those of `other`, which hold nothing if their side
    wasn't taken.
    """

    then: FunctionGraph
    other: FunctionGraph
    shared: int


def paths(nodes: Sequence[Apply], roots: Iterable[Variable]) -> dict[Apply, Path]:
    """Return when each of `nodes`, producers first, is needed for `roots`; () is always.

    Examples
    --------
    >>> from symbolic import ifelse
    >>> from symbolic.graph import toposort
    >>> import symbolic.tensor as T
    >>> c, x = T.bscalar("c"), T.dvector("x")
    >>> y = ifelse(c, T.exp(x), x)
    >>> [(str(node.op), len(path)) for node, path in paths(toposort([y]), [y]).items()]
    [('exp', 1), ('ifelse{n=1}', 0)]
    """
    if all(node.op.arms is None for node in nodes):
        return dict.fromkeys(nodes, ())
    needed: dict[Apply, Path] = {}
    for v in roots:
        if v.owner is not None:
            needed[v.owner] = ()
    for node in reversed(nodes):
        here = needed.setdefault(node, ())
        for k, v in enumerate(node.inputs):
            if v.owner is not None:
                path = here + literal(node, k)
                needed[v.owner] = path if v.owner not in needed else common(needed[v.owner], path)
    return {node: needed[node] for node in nodes}


def literal(node: Apply, k: int) -> Path:
    """Return the condition under which a node reads its input `k`, beside those of the node itself."""
    n = node.op.arms
    return () if n is None or k == 0 else ((node.inputs[0], k <= n),)


def common(a: Path, b: Path) -> Path:
    """Return the conditions that two paths start with."""
    n = 0
    while n < min(len(a), len(b)) and a[n][0] is b[n][0] and a[n][1] == b[n][1]:
        n += 1
    return a[:n]
