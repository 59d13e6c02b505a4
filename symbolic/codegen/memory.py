"""Stage *plan*: which values share memory, and which new values of shared variables are written over the old ones.

Lifetimes are counted in steps. A block of memory is as large as the largest of the values that lie in it one after the
other: extents are known only at the call, so values of equal size go first, then others of the same rank. Memory is never reused
within one step, unless a value is *donated*: read for the last time, element by element, by what is written
there. The old value of a shared variable may be donated to its update once nothing can fail any more.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from symbolic.codegen.fuse import Fusion, Group
from symbolic.codegen.lower import Def
from symbolic.scalar import Expr, const, loads

#: values up to this many elements keep memory of their own: the host may read them
SMALL = 8
ALLOCATES = ("map", "reduce", "scatter", "gemm", "result")


@dataclass
class Plan:
    """What shares memory with what.

    Attributes
    ----------
    room : dict from int to int
        The scratch block of a Def that isn't an output.
    sizes : list of tuple of Expr
        Bytes of the values of different sizes that lie in each block, one after the other.
    donor : dict from int to int
        From a Def to the one whose memory it takes while that is read for the last time.
    host : dict from int to int
        From a Def to the one in whose memory it lies: the last of those that it is handed on to.
    inplace : tuple of bool
        For each update, whether it overwrites the old value.
    """

    room: dict[int, int] = field(default_factory=dict)
    sizes: list[tuple[Expr, ...]] = field(default_factory=list)
    donor: dict[int, int] = field(default_factory=dict)
    host: dict[int, int] = field(default_factory=dict)
    inplace: tuple[bool, ...] = ()


class Planner:
    """Finds the plan of a fused graph.

    Parameters
    ----------
    fusion : Fusion
    slots : dict from int to int
        The output slot that a Def is written to.
    outputs : sequence of int
        The Def of each output, updates last.
    updated : sequence of int
        The graph input that each update is the new value of.
    fallible : bool
        Whether an update must keep the old value until nothing can fail any more.
    """

    def __init__(self, fusion: Fusion, slots: dict[int, int], outputs: Sequence[int], updated: Sequence[int],
                 fallible: bool = True) -> None:
        self.fusion, self.defs, self.slots, self.outputs, self.updated = fusion, fusion.defs, slots, outputs, updated
        self.steps = [list(s.items) if isinstance(s, Group) else self._made(s) for s in fusion.steps]  # type: ignore[arg-type]
        self.born = {k: n for n, made in enumerate(self.steps) for k in made}
        self.last: dict[int, int] = {}
        for n, made in enumerate(self.steps):
            for k in made:
                for o in self.fusion.operands(self.defs[k]):
                    self.last[self._owner(o)] = n
        end = len(self.steps)
        for slot, k in enumerate(outputs):
            if slots.get(k) != slot:  # copied when all is computed
                self.last[self._owner(k)] = end
        for k in fusion.compared:
            self.last[self._owner(k)] = end
        self.settled = self._settled() if fallible else 0
        self.plan = Plan(inplace=(False,) * len(updated))
        self._donate()
        self._rooms()

    def _made(self, d: Def) -> list[int]:
        """Return what a step computes: of a loop, the results that are used."""
        used = set(self.fusion.order) | set(self.outputs)
        several = ("loop", "branch", "template", "python")
        return [d.id, *(k for k in d.outputs if k in used)] if d.kind in several else [d.id]

    def _owner(self, k: int) -> int:
        """Return the Def whose memory a view shows."""
        while self.defs[k].kind == "view":
            base = self.defs[k].base
            assert base is not None
            k = base
        return k

    def _settled(self) -> int:
        """Return the first step from which on nothing can fail: no check, no Python, no memory yet to be had."""
        first = 0
        for n, made in enumerate(self.steps):
            for k in made:
                d = self.defs[k]
                if d.kind in ("check", "python", "loop", "branch", "template") or any(loads(e) for e in d.extents):
                    first = n + 1
        for k in self.fusion.compared:
            first = max(first, self.born.get(k, -1) + 1)
        return first

    # ------------------------------------------------------------------------------------- donation

    def _donate(self) -> None:
        taken: set[int] = set()
        inplace = [False] * len(self.updated)
        n_outputs = len(self.outputs) - len(self.updated)
        for n, step in enumerate(self.fusion.steps):
            for k in self.steps[n]:
                d = self.defs[k]
                slot = self.slots.get(k)
                update = None if slot is None or slot < n_outputs else slot - n_outputs
                for p in self._candidates(d, step, n):
                    given = p.kind == "input"
                    if p.id in taken or given and (update is None or self.updated[update] != p.id or n < self.settled):
                        continue
                    if not given and (p.id in self.slots or p.id in self.outputs):
                        continue
                    taken.add(p.id)
                    self.plan.donor[k] = p.id
                    if given and update is not None:
                        inplace[update] = True
                    break
        self.plan.inplace = tuple(inplace)

    def _candidates(self, d: Def, step: object, n: int) -> Iterable[Def]:
        """Return values that die in step `n` by being read by `d` alone, where `d` is written."""
        if d.kind == "scatter" and d.base is not None:
            base = self.defs[self._owner(d.base)]
            others = [o.arg for p in d.parts for e in (*p.extents, *p.index, p.body) for o in loads(e)]
            if self._dies(base, n) and self._fits(base, d) and all(self._owner(o) != base.id for o in others):
                yield base
        if d.kind == "gemm" and d.base is not None:
            base = self.defs[self._owner(d.base)]
            if self._dies(base, n) and self._fits(base, d) and all(self._owner(o) != base.id for o in d.inputs):
                yield base
        if d.kind != "map" or not isinstance(step, Group) or len(step.home) != 1 or not self._stored(d, step):
            return
        assert d.body is not None
        before = step.items[:step.items.index(d.id)]  # what they read may be read for the last time too
        bodies = [d.body, *(e.body for e in map(self.defs.__getitem__, before) if e.kind == "map" and e.body is not None)]
        for o in dict.fromkeys(x.arg for body in bodies for x in loads(body)):
            p = self.defs[o]
            if not self._dies(p, n) or not self._fits(p, d) or any(self._owner(v) == o for v in self._views(o)):
                continue
            if all(_at(x, d.kept) for x in loads(d.body) if x.arg == o) and self._alone(p, d, step):
                yield p

    def _stored(self, d: Def, step: Group) -> bool:
        return d.id in self.fusion.stored or self._read_later(d, step)

    def _read_later(self, d: Def, step: Group) -> bool:
        return any(step.phase.get(c, -1) > step.phase[d.id] for c in self.fusion.clients.get(d.id, ()))

    def _views(self, k: int) -> list[int]:
        return [c for c in self.fusion.clients.get(k, ()) if self.defs[c].kind == "view"]

    def _dies(self, p: Def, n: int) -> bool:
        if self.last.get(p.id, -1) != n or not (p.kind in ALLOCATES or p.kind == "input"):
            return False
        return p.kind == "input" or self.born[p.id] < n or p.kind == "map"

    def _fits(self, p: Def, d: Def) -> bool:
        return (p.dtype == d.dtype and len(p.extents) == len(d.extents)
                and all(a is b for a, b in zip(p.extents, d.extents, strict=True)))

    def _alone(self, p: Def, d: Def, step: Group) -> bool:
        """Whether no other value of the step reads `p` from memory, or only the same element, before `d` is written."""
        for c in step.items:
            e = self.defs[c]
            if c == d.id or p.id not in self.fusion.operands(e):
                continue
            if p.id in step.phase and step.phase[c] == step.phase[p.id]:
                continue  # it has the value in a register
            before = step.items.index(c) < step.items.index(d.id) and step.phase[c] <= step.phase[d.id]
            if not before or len(e.axes) != len(d.axes) or e.body is None:
                return False
            if any(x.arg == p.id and not _at(x, e.axes) for x in self.fusion.reads(e)):
                return False
        return p.id not in step.phase or self._read_later(p, step) and step.phase[d.id] > step.phase[p.id]

    # ---------------------------------------------------------------------------------------- rooms

    def _rooms(self) -> None:
        """Give blocks to the values that need them, in the order of the steps; a block is free after its last reader."""
        takers = {p: k for k, p in self.plan.donor.items()}
        free: dict[int, list[int]] = {}  # by rank; the last one has been freed last
        busy: dict[int, tuple[int, int]] = {}  # block: the step it is needed until, its values' rank
        holds: list[list[Expr]] = []  # sizes of the values that lie in a block one after the other
        for n, made in enumerate(self.steps):
            for block, (until, rank) in list(busy.items()):
                if until < n:
                    free.setdefault(rank, []).append(block)
                    del busy[block]
            for k in made:
                if not self._needs_memory(k, n):
                    continue
                root = k
                while root in takers:
                    root = takers[root]
                if root != k:
                    self.plan.host[k] = root
                if root in self.slots or root in self.plan.room:
                    continue
                d = self.defs[k]
                size = count(d) * const(np.dtype(d.dtype).itemsize, "int64")
                keep = (size.op == "const" and size.arg <= SMALL * 8) or any(loads(e) for e in d.extents)
                rank = len(d.extents)
                found = [] if keep else free.get(rank, [])
                if found:
                    block = next((b for b in reversed(found) if size in holds[b]), found[-1])
                    found.remove(block)
                    if size not in holds[block]:
                        holds[block].append(size)
                else:
                    block = len(holds)
                    holds.append([size])
                self.plan.room[root] = block
                if not keep:
                    busy[block] = (max(self.last.get(root, n), n), rank)
        self.plan.sizes = [tuple(sizes) for sizes in holds]

    def _needs_memory(self, k: int, n: int) -> bool:
        d, step = self.defs[k], self.fusion.steps[n]
        if d.kind not in ALLOCATES:
            return False
        if not isinstance(step, Group):
            return True
        return k in self.fusion.stored if d.kind == "reduce" else self._stored(d, step)


def _at(n: Expr, axes: Sequence[str]) -> bool:
    """Whether a load reads the element that the loops stand at."""
    return len(n.args) == len(axes) and all(a.op == "sym" and a.arg == k for a, k in zip(n.args, axes, strict=True))


def count(d: Def) -> Expr:
    """Return how many elements a Def has."""
    total: Expr = const(1, "int64")
    for n in d.extents:
        total = total * n
    return total
