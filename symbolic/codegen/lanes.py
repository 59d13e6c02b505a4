"""Loops over blocks that several elements share (`symbolic.layout`): each is computed once, and all its elements written.

Without this a loop over elements computes a block of random words for each of them, and is as right.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from symbolic.layout import position, share, total
from symbolic.scalar import Expr, const, substitute, sym, toposort

#: numbers of parts that ops use; more parts first, since they are worth more
PARTS = (4, 2)


def chain(axes: Sequence[str], domain: Sequence[Expr]) -> list[Expr]:
    """Return the position in a space, and what it is computed from, outermost axis first."""
    at = position([sym(a) for a in axes], domain)
    own = {sym(a) for a in axes} | set(domain)
    return [e for e in toposort([at]) if e not in own and e.op in ("add", "mul") and e.dtype == "int64"]


def counts_as_position(axes: Sequence[str], domain: Sequence[Expr], order: Sequence[Expr]) -> set[Expr]:
    """Return the expressions in which two axes may be walked as one because they only tell the position.

    ``(a0 * n1 + a1) * n2 + a2`` is the same whether a1 runs to n1 for each a0, or a0 is 0 and a1 runs on. That holds as
    long as nothing else reads a part of the chain.
    """
    links = chain(axes, domain)
    inside = set(links)
    present = [e for e in order if e in inside]
    if not links or links[-1] not in present:
        return set()
    for e in order:
        if e not in inside and any(a in inside and a is not links[-1] for a in e.args):
            return set()
    return inside


def parts_of(bodies: Iterable[Expr], axes: Sequence[str], domain: Sequence[Expr]) -> int:
    """Return how many elements share a block in these bodies, 1 if none do."""
    present = set(toposort(list(bodies)))
    at, size = position([sym(a) for a in axes], domain), total(domain)
    for parts in PARTS:
        number, _ = share(at, size, parts)
        if number in present and number.op != "const":
            return parts
    return 1


def for_part(body: Expr, axes: Sequence[str], domain: Sequence[Expr], parts: int, part: int, number: Expr) -> Expr:
    """Return a body for the elements that are one part of their blocks, given the number of the block."""
    at, size = position([sym(a) for a in axes], domain), total(domain)
    block, which = share(at, size, parts)
    table = {block: number, which: const(part, "int64")}
    return substitute([body], lambda n, args: table.get(n))[0]
