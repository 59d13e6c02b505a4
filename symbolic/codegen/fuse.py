"""Stage *fuse*: which values are stored, and which are computed together in one kernel.

Every Def gets a *home*, the iteration space it is computed in, and a *depth*, the number of kernels that must run
before its own. Defs with equal (depth, home) form one kernel. An edge inside a kernel never raises the depth and
never leaves the home, so two kernels can't wait for each other: fusion is acyclic by construction, in linear time.

Row-wise fusion: a reduction over the trailing axes shares its home with the elementwise work over the same space,
so softmax is one pass over each row.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from symbolic.codegen.accumulate import Accumulation
from symbolic.codegen.lower import Def, Lowering
from symbolic.infer import Guard
from symbolic.scalar import Expr, Part, const, cost, loads, minimum, replace_symbols, substitute, toposort

#: instructions up to which a value of one load is computed again rather than stored
CHEAP = 2
#: longest chain of nodes in one kernel: gcc's time grows faster than the length
CHAIN = 150


@dataclass
class Group:
    """Defs of one kernel, in order; ``split`` is the number of outer axes of a row-wise kernel."""

    depth: int
    home: tuple
    split: int
    items: list[int] = field(default_factory=list)
    phase: dict[int, int] = field(default_factory=dict)


def parts_loads(parts: Iterable[Part]) -> list[Expr]:
    """Return the loads of a scatter's parts."""
    return [n for p in parts for e in (*p.extents, *p.index, p.body) for n in loads(e)]


class Fusion:
    """Decides for one lowered graph; ``groups`` and ``steps`` are the result.

    With `products`, sums with a product in them may become one call of a BLAS; with `parts`, slices along the first axis that
    must be in memory are read where they lie. The C target can do both.
    """

    def __init__(self, lowering: Lowering, guards: Iterable[Guard] = (), products: bool = False,
                 parts: bool = False) -> None:
        self.defs, guards = lowering.defs, list(guards)
        #: what the host reads: outputs, and scalars that guards compare
        self.roots = set(lowering.outputs)
        self.compared = {n.arg for g in guards for e in (g.condition, *g.detail) for n in loads(lowering.host(e))}
        self.roots |= self.compared
        self.inlined: set[int] = set()
        self._inline_index_maps()
        self._see_through_transposes()
        self._needed()
        if parts:
            self._view_parts({g.condition.args for g in guards if g.condition.op == "eq"})
        self._inline_cheap()
        self._needed()
        if products:
            self._accumulate()
        self._splits()
        #: what checks look at is stored before them: else a kernel might compute it and use it as an index at once
        self.looked_at = {n.arg for k in self.order if self.defs[k].kind == "check" for n in self.reads(self.defs[k])}
        self._inline_into_readers()
        self._levels()
        self._sink()
        self._group()

    # ------------------------------------------------------------------------------------- inlining

    def _inline(self, e: Expr, wanted: set[int]) -> Expr:
        """Replace loads of `wanted` Defs by their bodies at the index read."""
        if not any(n.arg in wanted for n in loads(e)):
            return e

        def replace(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if n.op != "load" or n.arg not in wanted:
                return None
            d = self.defs[n.arg]
            assert d.body is not None
            table = dict(zip(d.kept, args, strict=True))
            return replace_symbols(d.body, table)

        return substitute([e], replace)[0]

    def _inline_index_maps(self) -> None:
        self.maps = {d.id for d in self.defs if d.index_map}
        for d in self.defs:
            self._inline_into(d, self.maps)

    def _see_through_transposes(self) -> None:
        """Let a GEMM read a transposed operand where it lies: BLAS takes a flag for that."""
        for d in self.defs:
            if d.kind != "gemm":
                continue
            sources, flags = [], []
            for k in d.inputs:
                p = self.defs[k]
                flipped = (k in self.maps and len(p.kept) == 2 and p.body is not None and p.body.op == "load"
                           and [a.arg if a.op == "sym" else None for a in p.body.args] == list(p.kept[::-1])
                           and self.defs[p.body.arg].extents == p.extents[::-1])  # not of a part that begins where it begins
                sources.append(p.body.arg if flipped and p.body is not None else k)
                flags.append(flipped)
            d.inputs, d.transposed = tuple(sources), tuple(flags)

    def _inline_into(self, d: Def, wanted: set[int]) -> None:
        if d.body is not None:
            d.body = self._inline(d.body, wanted)
        d.domain = tuple(self._inline(e, wanted) for e in d.domain)
        d.extents = tuple(self._inline(e, wanted) for e in d.extents)
        d.detail = tuple(self._inline(e, wanted) for e in d.detail)
        if d.parts:
            d.parts = tuple(Part(tuple(self._inline(e, wanted) for e in p.extents),
                                 tuple(self._inline(e, wanted) for e in p.index),
                                 self._inline(p.body, wanted), p.accumulate) for p in d.parts)

    def reads(self, d: Def) -> list[Expr]:
        """Return the loads of a Def, as the step that computes it performs them."""
        found = [] if d.body is None else loads(d.body)
        for e in (*d.domain, *d.extents, *d.detail):
            found += loads(e)
        return found + parts_loads(d.parts)

    def operands(self, d: Def) -> list[int]:
        """Return ids a Def depends on, each once."""
        ids = [n.arg for n in self.reads(d)]
        ids += d.inputs
        if d.base is not None:
            ids.append(d.base)
        return list(dict.fromkeys(ids))

    def _needed(self) -> None:
        """Find what is used, by whom, and which of it must be in memory whatever is fused."""
        self.clients: dict[int, list[int]] = {}
        self.stored = set(self.roots)
        live: set[int] = set()
        stack = [*self.roots, *(d.id for d in self.defs if d.kind == "check")]
        while stack:
            k = stack.pop()
            if k in live:
                continue
            live.add(k)
            d = self.defs[k]
            for o in self.operands(d):
                self.clients.setdefault(o, []).append(k)
                stack.append(o)
            if d.kind in ("gemm", "python", "loop", "branch", "template"):
                self.stored.update(d.inputs)
            if d.base is not None:
                self.stored.add(d.base)
        self.order = sorted(live)

    def _view_parts(self, equal: set[tuple[Expr, ...]]) -> None:
        """Let what must be in memory, and is a range of the first axis of what is, be a part of that.

        `equal` are pairs that guards compare before any kernel: an input whose extents are stated (weights of a convolution) is
        read where it lies, though its own extents have other names.
        """
        seen = 0

        def agree(a: Def, b: Def) -> bool:
            pairs = list(zip(a.extents[1:], b.extents[1:], strict=True)) if len(a.extents) == len(b.extents) else None
            return pairs is not None and all(
                n == m or (a.kind == "input" and ((n, m) in equal or (m, n) in equal)) for n, m in pairs)

        for k in self.order:
            d = self.defs[k]
            if k not in self.maps or k not in self.stored or k in self.roots or d.body is None or d.body.op != "load":
                continue
            base = self.defs[d.body.arg]
            if not d.kept or len(d.body.args) != len(d.kept) or not agree(base, d) or base.dtype != d.dtype:
                continue
            first, *rest = d.body.args
            start = _start_along(first, d.kept[0], d.kept)
            ones = {axis for axis, n in zip(d.kept, d.extents, strict=True) if n == const(1, "int64")}
            if start is None or any((a.op != "sym" or a.arg != n) and (a != const(0, "int64") or n not in ones)
                                    for a, n in zip(rest, d.kept[1:], strict=True)):
                continue
            if base.kind in ("view", "extent") or any(n.arg == k for n in loads(start)):
                continue
            d.kind, d.base, d.body = "view", base.id, None
            if start.op != "const" or start.arg != 0:
                d.detail = (minimum(start, base.extents[0]),)  # an empty part may begin anywhere
            seen += 1
        if seen:
            self._needed()

    def _inline_cheap(self) -> None:
        """Compute again what costs less than reading it back: ``x > 0``, ``2*x``, a cast."""
        cheap: set[int] = set()
        for k in self.order:
            d = self.defs[k]
            self._inline_into(d, cheap)
            if d.kind == "map" and k not in self.stored and d.body is not None and len(self.clients.get(k, ())) > 0:
                if len(loads(d.body)) <= 1 and cost(d.body) <= CHEAP + 1:
                    cheap.add(k)

    def _inline_into_readers(self) -> None:
        """Let reductions that aren't part of a row kernel, and parts that are written to their place, compute what they
        alone read, each element once."""
        for k in self.order:
            d = self.defs[k]
            if (d.kind != "reduce" or self.row_wise(d)) and d.kind != "scatter":
                continue
            length = 1
            while length < CHAIN:
                found = self._read_once(d)
                if not found:
                    break
                self._inline_into(d, found)
                length += len(found)
                for p in found:
                    for o in self.operands(self.defs[p]):
                        self.clients[o] = [c for c in self.clients[o] if c != p]
                        if k not in self.clients[o]:
                            self.clients[o].append(k)
                    self.clients[p] = []
                    self.inlined.add(p)
        self.order = [k for k in self.order if k not in self.inlined]

    def _read_once(self, d: Def) -> set[int]:
        """Return the values that `d` alone reads, each element once."""
        if d.body is not None:
            return {n.arg for n in loads(d.body) if self._everywhere(n, d, set(d.axes))}
        found: set[int] = set()
        several: set[int] = set()
        for p in d.parts:
            axes = {f"i{a}" for a in range(len(p.extents))}
            if not axes <= {axis_through(e) for e in p.index}:  # its loop isn't shared among threads
                return set()
            here = {n.arg for n in loads(p.body)}
            several |= here & found | {n.arg for e in (*p.extents, *p.index) for n in loads(e)}
            several |= {n.arg for n in loads(p.body) if not self._everywhere(n, d, axes)}
            found |= here
        return found - several

    def _everywhere(self, n: Expr, d: Def, axes: set[str]) -> bool:
        """Whether a load by `d` alone reads an element for each place in the space of `axes`."""
        p = self.defs[n.arg]
        names = {a.arg for a in n.args if a.op == "sym"}
        return (p.kind == "map" and p.id not in self.stored and self.clients.get(p.id) == [d.id]
                and len(names) == len(n.args) == len(axes) and names == axes and p.id not in self.looked_at)

    def _accumulate(self) -> None:
        found = Accumulation(self.defs, self.clients, self.stored)
        if sum(found.fold(self.defs[k]) for k in self.order):
            self._needed()

    # --------------------------------------------------------------------------------------- levels

    def _splits(self) -> None:
        """Choose, for each iteration space, where rows end: the first row-wise reduction decides.

        One over everything decides only where no other does: it is as fast by itself.
        """
        self.split: dict[tuple, int] = {}
        rows = [d for d in map(self.defs.__getitem__, self.order)
                if d.kind == "reduce" and d.kept == d.axes[:len(d.kept)]]
        for d in sorted(rows, key=lambda d: not d.kept):
            self.split.setdefault(d.domain, len(d.kept))

    def row_wise(self, d: Def) -> bool:
        """Whether a reduction runs inside the row kernel of its space."""
        return d.kept == d.axes[:len(d.kept)] and self.split.get(d.domain) == len(d.kept)

    def _home(self, d: Def) -> tuple:
        if d.kind == "reduce" and not self.row_wise(d):
            return (d.domain, "across", d.kept)
        best, home = -1, (d.domain,)
        if d.kind == "map":
            for n in loads(d.body):  # type: ignore[arg-type]
                p = self.defs[n.arg]
                h = self.home.get(n.arg)
                if h is None or len(h) != 1 or not _identity(n, p.kept) or (p.kind == "reduce" and not p.kept):
                    continue
                m = self.split.get(h[0])
                inner = p.kind == "reduce" or len(p.axes) < len(h[0])
                if inner and m == len(d.axes) and h[0][:m] == d.domain and self.depth[n.arg] > best:
                    best, home = self.depth[n.arg], h
        return home

    def fusible(self, p: Def, n: Expr, home: tuple) -> bool:
        """Whether a read of `p` inside `home` can use the value without memory, or in the same kernel."""
        if p.kind not in ("map", "reduce") or self.home.get(p.id) != home or len(home) != 1:
            return False
        if p.id in self.looked_at:
            return False
        if p.kind == "reduce" and not p.kept:
            return False  # threads share the one row, so its result is known only when all are done
        return _identity(n, p.kept)

    def _levels(self) -> None:
        self.home: dict[int, tuple] = {}
        self.depth: dict[int, int] = {}
        self.length: dict[int, int] = {}
        self.cut: set[int] = set()
        for k in self.order:
            d = self.defs[k]
            if d.kind in ("map", "reduce"):
                self.home[k] = self._home(d)
            depth, length = 0, 1
            inside: list[int] = []
            for n in self.reads(d):
                p = self.defs[n.arg]
                if d.kind in ("map", "reduce") and self.fusible(p, n, self.home[k]):
                    inside.append(p.id)
                    depth = max(depth, self.depth[p.id])
                else:
                    depth = max(depth, self._after(p))
            for o in (*d.inputs, *(() if d.base is None else (d.base,))):
                depth = max(depth, self._after(self.defs[o]))
            length += max((self.length[p] for p in inside if self.depth[p] == depth), default=0)
            if length > CHAIN:
                depth, length = depth + 1, 1
                self.cut.add(k)
            self.depth[k], self.length[k] = depth, length

    def _after(self, p: Def) -> int:
        return self.depth[p.id] + (p.kind not in ("input", "const", "view"))

    def _sink(self) -> None:
        """Move a value that one later kernel alone reads into that kernel, so it needn't be stored."""
        for k in reversed(self.order):
            d = self.defs[k]
            if d.kind != "map" or k in self.stored:
                continue
            readers = [self.defs[c] for c in self.clients.get(k, ())]
            depths = {self.depth[r.id] for r in readers}
            if len(depths) != 1 or any(r.id in self.cut for r in readers):
                continue
            if all(r.kind in ("map", "reduce") and all(self.fusible(d, n, self.home[r.id])
                   for n in self.reads(r) if n.arg == k) for r in readers):
                self.depth[k] = depths.pop()

    # --------------------------------------------------------------------------------------- groups

    def _group(self) -> None:
        table: dict[tuple, Group] = {}
        steps: list[tuple[int, int, int, object]] = []
        for k in self.order:
            d = self.defs[k]
            if d.kind in ("map", "reduce"):
                key = (self.depth[k], self.home[k])
                if key not in table:
                    split = self.split.get(self.home[k][0], len(self.home[k][0])) if len(self.home[k]) == 1 else -1
                    table[key] = Group(self.depth[k], self.home[k], split)
                    steps.append((self.depth[k], 2, len(steps), table[key]))
                self._join(table[key], d)
            elif d.kind not in ("input", "const", "result", "opaque", "extent"):
                # within a depth, readers of a view and what a check protects come after them
                steps.append((self.depth[k], {"view": 0, "check": 1}.get(d.kind, 2), len(steps), d))
        self.steps = [s for _, _, _, s in sorted(steps, key=lambda t: t[:3])]
        for g in table.values():
            inside = set(g.items)
            for k in g.items:
                if any(c not in inside for c in self.clients.get(k, ())):
                    self.stored.add(k)
            if not any(self.defs[k].kind == "reduce" for k in g.items) and len(g.home) == 1:
                lengths = {len(self.defs[k].axes) for k in g.items}
                if lengths == {g.split}:  # what rows have in common, without the rows
                    g.home = (g.home[0][:g.split],)
                elif g.split not in lengths:
                    g.split = len(g.home[0])

    def _join(self, g: Group, d: Def) -> None:
        g.items.append(d.id)
        phase = 0
        for n in self.reads(d):
            if n.arg in g.phase:
                phase = max(phase, g.phase[n.arg] + (self.defs[n.arg].kind == "reduce"))
        g.phase[d.id] = phase


def axis_through(e: Expr) -> str | None:
    """Return the axis along which an index takes a new value at each step, if it is the only one that it depends on."""
    while e.op in ("add", "sub", "mul"):
        moving = [a for a in e.args if any(n.op == "sym" and n.arg[0] == "i" for n in toposort([a]))]
        if len(moving) != 1:
            return None
        rest = e.args[e.args[0] is moving[0]]
        if e.op == "mul" and (rest.op != "const" or rest.arg == 0):
            return None
        e = moving[0]
    return e.arg if e.op == "sym" and e.arg[0] == "i" else None


def _start_along(e: Expr, axis: str, axes: Iterable[str]) -> Expr | None:
    """Return what an index adds to the position along an axis, if it depends on no axis; None if it is another index."""
    if e.op == "sym" and e.arg == axis:
        return const(0, "int64")
    if e.op == "add":
        for x, start in (e.args, e.args[::-1]):
            if x.op == "sym" and x.arg == axis and not any(n.op == "sym" and n.arg in axes for n in toposort([start])):
                return start
    return None


def _identity(n: Expr, kept: tuple[str, ...]) -> bool:
    """Whether a load reads the element that the loops stand at."""
    return len(n.args) == len(kept) and all(a.op == "sym" and a.arg == k for a, k in zip(n.args, kept, strict=True))


