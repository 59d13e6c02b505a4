"""Stage *schedule*: a fused group becomes a Kernel, a loop nest with the right loops parallel and vectorised."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symbolic.codegen.fuse import Fusion, Group, axis_through
from symbolic.codegen.kernel_ir import Accumulate, Buffer, Finish, For, Init, Kernel, Let, Stmt, Store
from symbolic.codegen.lanes import counts_as_position, for_part, parts_of
from symbolic.codegen.lower import Def
from symbolic.scalar import COMBINERS, Expr, Part, const, cost, replace_symbols, sym, toposort

#: parts of a reduction over everything: fixed, so that the result doesn't depend on how many threads there are
PARTS = 64
#: elements from which a reduction over everything is done in parts
WORTH_PARTS = 16384
#: columns that one pass of a reduction across rows accumulates: 16 KiB of float64, which stays in L1
BLOCK = 2048
#: columns that a thread gets at least: a cache line of float32
GRAIN = 16
#: rows read at once, by the most that an element may cost: an accumulator is loaded and stored once for all of them.
#: Twice as many were no faster, and took gcc 10 % longer over a training step.
ROWS = ((6, 4), (16, 2))


@dataclass(frozen=True)
class Bound:
    """A Kernel with what its buffers and parameters stand for in the program."""

    kernel: Kernel
    buffers: tuple[int, ...]
    params: tuple[Expr, ...]


class Builder:
    """Collects buffers and parameters while a body is translated; names are canonical, so equal kernels are one."""

    def __init__(self, fusion: Fusion, donor: Mapping[int, int] | None = None) -> None:
        self.fusion = fusion
        #: from a value that dies here to the one that takes its memory: one buffer for both
        self.taker = {p: k for k, p in (donor or {}).items()}
        self.buffers: dict[int, Buffer] = {}
        self.params: dict[Expr, str] = {}
        self.names: dict[str, int] = {}
        self.merged: set[str] = set()

    def fresh(self, prefix: str) -> str:
        """Return a name not used yet."""
        n = self.names.get(prefix, 0)
        self.names[prefix] = n + 1
        return f"{prefix}{n}"

    def buffer(self, k: int, written: bool = False) -> str:
        """Return the name under which Def `k` is read or written."""
        while k in self.taker:
            k, written = self.taker[k], True
        if k not in self.buffers:
            d = self.fusion.defs[k]
            self.buffers[k] = Buffer(self.fresh("out" if written else "in"), d.dtype, written)
        return self.buffers[k].name

    def host(self, e: Expr) -> Expr:
        """Return a host expression (an extent, a scalar) as a parameter of the kernel."""
        if e.op == "const":
            return e
        if e not in self.params:
            self.params[e] = self.fresh("n" if e.dtype == "int64" else "s")
        return sym(self.params[e], e.dtype)

    def offset(self, k: int, index: Sequence[Expr]) -> Expr:
        """Return the flat offset of an index into Def `k`."""
        flat: Expr = const(0, "int64")
        for n, i in zip(self.fusion.defs[k].extents, index, strict=True):
            i = const(0, "int64") if i.op == "sym" and i.arg in self.merged else i
            flat = i if flat.op == "const" and flat.arg == 0 else flat * self.host(n) + i
        return flat

    def body(self, e: Expr, axes: Sequence[str], known: dict[int, str]) -> Expr:
        """Return a Def's body as kernel text needs it: loads flat, host parts as parameters, `known` by name."""
        onhost: set[Expr] = set()
        names = set(axes)
        for n in toposort([e]):
            if n.op == "const" or (n.op == "sym" and n.arg not in names):
                onhost.add(n)
            elif n.op == "load":
                if not n.args and self._is_host_scalar(n):
                    onhost.add(n)
            elif n.args and all(a in onhost for a in n.args) and n.dtype in ("int64", "bool"):
                onhost.add(n)

        def replace(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if n.op == "load":
                if n.arg in known:
                    return sym(known[n.arg], n.dtype)
                return Expr("load", (self.offset(n.arg, args),), self.buffer(n.arg), n.dtype)
            return None

        done: dict[Expr, Expr] = {}
        for n in toposort([e]):
            if n in onhost:
                done[n] = n
                continue
            if n.op == "sym" and n.arg in self.merged:
                done[n] = const(0, "int64")
                continue
            args = tuple(self.host(a) if a in onhost else done[a] for a in n.args)
            new = replace(n, args)
            done[n] = Expr(n.op, args, n.arg, n.dtype) if new is None else new
        out = done[e]
        return self.host(out) if out in onhost else out

    def _is_host_scalar(self, n: Expr) -> bool:
        return n.dtype in ("int64", "bool") and n.arg not in self.fusion.home

    def kernel(self, body: Sequence[Stmt], work: Expr) -> Bound:
        """Return the finished kernel and its bindings."""
        order = sorted(self.buffers, key=lambda k: (self.buffers[k].written, list(self.buffers).index(k)))
        kernel = Kernel(tuple(self.buffers[k] for k in order),
                        tuple((name, e.dtype) for e, name in self.params.items()), tuple(body), work)
        return Bound(kernel, tuple(order), tuple(self.params))


def build(fusion: Fusion, group: Group, donor: Mapping[int, int] | None = None) -> Bound:
    """Return the kernel of a fused group; `donor` says which of its values take the memory of others."""
    if len(group.home) != 1:
        return _across(fusion, group)
    return _rows(fusion, group, donor)


def _total(extents: Sequence[Expr]) -> Expr:
    n: Expr = const(1, "int64")
    for e in extents:
        n = n * e
    return n


def _work(fusion: Fusion, group: Group, b: Builder) -> Expr:
    bodies = [fusion.defs[k].body for k in group.items]
    per = sum(cost(e) + 1 for e in bodies if e is not None)
    return _total([b.host(e) for e in group.home[0]]) * const(per, "int64")


def _rows(fusion: Fusion, group: Group, donor: Mapping[int, int] | None) -> Bound:
    """Outer axes, then for each row one loop per phase over the inner axes."""
    b = Builder(fusion, {k: p for k, p in (donor or {}).items() if k in group.items})
    domain = group.home[0]
    axes = [f"a{n}" for n in range(len(domain))]
    split = group.split
    outer, outer_extents = merge_axes(fusion, group, b, axes[:split], domain[:split])
    if split == len(axes) and len(outer) == 1:
        parts = parts_of([d.body for d in map(fusion.defs.__getitem__, group.items) if d.body is not None], axes, domain)
        if parts > 1:
            return b.kernel(_shared_blocks(fusion, group, b, axes, outer[0], outer_extents[0], parts),
                            _work(fusion, group, b))
    inner, inner_extents = merge_axes(fusion, group, b, axes[split:], domain[split:])
    known: dict[int, str] = {}
    stmts: list[Stmt] = []
    for phase in range(max(group.phase.values()) + 1):
        stmts += _phase(fusion, group, b, phase, axes, known, inner, inner_extents)
    body: Sequence[Stmt] = stmts
    if outer:
        body = nest(outer, outer_extents, stmts, simd_inner=not inner)
    return b.kernel(body, _work(fusion, group, b))


def _shared_blocks(fusion: Fusion, group: Group, b: Builder, axes: Sequence[str], axis: str, size: Expr, parts: int
                   ) -> list[Stmt]:
    """A loop over blocks that several elements share, then one over the few elements that are left over."""
    domain = group.home[0]
    count = Expr("floordiv", (size, const(parts, "int64")), None, "int64")
    length, blocks, number = sym(b.fresh("size")), sym(b.fresh("blocks")), sym("k0")

    def part(which: int, number: Expr, at: Expr) -> list[Stmt]:
        known: dict[int, str] = {}
        stmts: list[Stmt] = []
        for k in group.items:
            d = fusion.defs[k]
            assert d.body is not None
            body = b.body(for_part(d.body, axes, domain, parts, which, number), [*axes, "k0"], known)
            name = b.fresh("t")
            stmts.append(Let(name, replace_symbols(body, {axis: at})))
            known[k] = name
            if k in fusion.stored:
                offset = b.offset(k, [sym(a) for a in d.kept])
                stmts.append(Store(b.buffer(k, True), replace_symbols(offset, {axis: at}), sym(name, d.dtype)))
        return stmts

    zero = const(0, "int64")
    each = [s for q in range(parts) for s in part(q, number, number + const(q, "int64") * blocks if q else number)]
    first = const(parts, "int64") * blocks
    rest = part(0, number, number + const(parts - 1, "int64") * blocks)
    return [Let(length.arg, size), Let(blocks.arg, count), For("k0", zero, blocks, tuple(each), "parallel", simd=True),
            For("k0", blocks, length - first + blocks, tuple(rest))]


def merge_axes(fusion: Fusion, group: Group, b: Builder, axes: Sequence[str],
               domain: Sequence[Expr]) -> tuple[list[str], list[Expr]]:
    """Walk neighbouring axes as one where every operand lies in memory as the loops go.

    An axis that is merged into the next one counts as 0 in every index, and the next one runs over both.
    """
    kept, extents = list(axes), [b.host(e) for e in domain]
    if not group.items:
        return kept, extents
    bodies = [fusion.defs[k].body for k in group.items]
    order = toposort([e for e in bodies if e is not None])
    positions = counts_as_position(axes, domain, order)
    for n in reversed(range(len(axes) - 1)):
        if _contiguous(fusion, group, order, axes[n], axes[n + 1], domain[n + 1], positions):
            b.merged.add(axes[n])
            at = kept.index(axes[n])
            extents[at + 1] = extents[at] * extents[at + 1]
            del kept[at], extents[at]
    return kept, extents


def _contiguous(fusion: Fusion, group: Group, order: Sequence[Expr], first: str, second: str, length: Expr,
                positions: set[Expr]) -> bool:
    """Whether all uses of two axes are loads and stores in which they are neighbours, `second` over its whole length.

    Or the position of the element (`positions`), which both tell together.
    """
    def neighbours(k: int, names: Sequence[object]) -> bool:
        if first not in names and second not in names:
            return True
        if names.count(first) != 1 or names.count(second) != 1:
            return False
        p = names.index(first)
        return names.index(second) == p + 1 and fusion.defs[k].extents[p + 1] is length

    for k in group.items:
        if not neighbours(k, fusion.defs[k].kept):
            return False
    for e in order:
        symbols = [a.arg if a.op == "sym" else None for a in e.args]
        if e.op == "load":
            if not neighbours(e.arg, symbols):
                return False
        elif (first in symbols or second in symbols) and e not in positions:
            return False
    return all(d.body is None or not (d.body.op == "sym" and d.body.arg in (first, second))
               for d in (fusion.defs[k] for k in group.items))


def _phase(fusion: Fusion, group: Group, b: Builder, phase: int, axes: Sequence[str], known: dict[int, str],
           inner_axes: Sequence[str], inner_extents: Sequence[Expr]) -> list[Stmt]:
    here = [fusion.defs[k] for k in group.items if group.phase[k] == phase]
    outer = [d for d in here if d.kind == "map" and len(d.axes) == group.split and inner_axes]
    inner = [d for d in here if d not in outer]
    before: list[Stmt] = []
    for d in outer:
        before += _value(fusion, b, d, axes, known)
    local = dict(known)
    loop: list[Stmt] = []
    inits: list[Stmt] = []
    finish: list[Stmt] = []
    reductions: list[tuple[str, str]] = []
    for d in inner:
        if d.kind == "map":
            loop += _value(fusion, b, d, axes, local, group=group)
        else:
            acc = b.fresh("acc")
            work = COMBINERS[d.combiner].accumulate.get(d.dtype, d.dtype)
            inits.append(Init(acc, work, d.combiner))
            loop.append(Accumulate(acc, d.combiner, b.body(d.body, axes, local)))  # type: ignore[arg-type]
            reductions.append((acc, d.combiner))
            name = b.fresh("t")
            finish.append(Finish(name, acc, d.combiner, d.dtype))
            known[d.id] = name
            if d.id in fusion.stored:
                index = [sym(a) for a in d.kept]
                finish.append(Store(b.buffer(d.id, True), b.offset(d.id, index), sym(name, d.dtype)))
    if not inner_axes:
        known.update(local)
        return [*before, *loop]
    if not loop:
        return before
    if group.split == 0 and reductions:
        return [*before, *_in_parts(b, inner_axes, inner_extents, inits, loop, reductions, finish)]
    nested = nest(inner_axes, inner_extents, loop, simd_inner=True, parallel=False, reductions=tuple(reductions))
    return [*before, *inits, *nested, *finish]


def _in_parts(b: Builder, axes: Sequence[str], extents: Sequence[Expr], inits: Sequence[Stmt], loop: Sequence[Stmt],
              reductions: Sequence[tuple[str, str]], finish: Sequence[Stmt]) -> list[Stmt]:
    """A reduction over everything: parts of fixed borders, which threads share, then the parts in their order."""
    count = Expr("select", (Expr("lt", (_total(extents), const(WORTH_PARTS, "int64")), None, "bool"), const(1, "int64"),
                            const(PARTS, "int64")), None, "int64")
    parts, part = sym("parts"), sym("part0")
    borders: list[Stmt] = [Let("first", Expr("floordiv", (extents[0] * part, parts), None, "int64")),
                           Let("last", Expr("floordiv", (extents[0] * (part + 1), parts), None, "int64"))]
    body = nest(axes, [sym("last"), *extents[1:]], loop, simd_inner=True, parallel=False, reductions=tuple(reductions),
                start=sym("first"))
    blocks: list[Stmt] = []
    ends: list[Stmt] = []
    joins: list[Stmt] = []
    totals: list[Stmt] = []
    for init in inits:
        assert isinstance(init, Init)
        work = init.dtype
        blocks.append(Init(f"{init.name}_parts", work, init.combiner, PARTS))
        ends += [Finish(f"{init.name}_part", init.name, init.combiner, work),
                 Store(f"{init.name}_parts", part, sym(f"{init.name}_part", work))]
        totals.append(Init(init.name, work, init.combiner))
        joins.append(Accumulate(init.name, init.combiner, Expr("load", (sym("k"),), f"{init.name}_parts", work)))
    shared = For("part0", const(0, "int64"), parts, (*borders, *inits, *body, *ends), "parallel")
    return [Let("parts", count), *blocks, shared, *totals, For("k", const(0, "int64"), parts, tuple(joins)), *finish]


def _value(fusion: Fusion, b: Builder, d: Def, axes: Sequence[str], known: dict[int, str],
           group: Group | None = None) -> list[Stmt]:
    """Bind the value of a map and store it where somebody else reads it."""
    name = b.fresh("t")
    out: list[Stmt] = [Let(name, b.body(d.body, axes, known))]  # type: ignore[arg-type]
    known[d.id] = name
    later = group is not None and any(group.phase.get(c, -1) > group.phase[d.id] for c in fusion.clients.get(d.id, ()))
    if d.id in fusion.stored or later:
        fusion.stored.add(d.id)
        out.append(Store(b.buffer(d.id, True), b.offset(d.id, [sym(a) for a in d.kept]), sym(name, d.dtype)))
    return out


def nest(axes: Sequence[str], extents: Sequence[Expr], body: Sequence[Stmt], simd_inner: bool = False,
         parallel: bool = True, reductions: tuple[tuple[str, str], ...] = (), start: Expr | None = None) -> list[Stmt]:
    """Return loops over `axes`, the first one (from `start`) shared among threads, the last one vectorised."""
    out: Sequence[Stmt] = body
    for n in reversed(range(len(axes))):
        kind = "parallel" if parallel and n == 0 else "plain"
        simd = simd_inner and n == len(axes) - 1
        first = const(0, "int64") if n or start is None else start
        out = [For(axes[n], first, extents[n], tuple(out), kind, 1, reductions if simd else (), simd)]
    return list(out)


def _across(fusion: Fusion, group: Group) -> Bound:
    """A reduction whose innermost axis is kept: blocks of columns, accumulated row by row."""
    b = Builder(fusion)
    first = fusion.defs[group.items[0]]
    if not first.kept:
        return _everything(fusion, group, b)
    axes, domain = first.axes, [b.host(e) for e in first.domain]
    length = dict(zip(axes, domain, strict=True))
    if axes[-1] != first.kept[-1]:
        return _scattered(fusion, group, b, length)
    last = axes[-1]
    outer = [a for a in first.kept if a != last]
    reduced = [a for a in axes if a not in first.kept]
    inits: list[Stmt] = []
    inner: list[Accumulate] = []
    stores: list[Stmt] = []
    base = sym("b0")
    for k in group.items:
        d = fusion.defs[k]
        acc = b.fresh("acc")
        inits.append(Init(acc, COMBINERS[d.combiner].accumulate.get(d.dtype, d.dtype), d.combiner, BLOCK))
        inner.append(Accumulate(acc, d.combiner, b.body(d.body, axes, {}), sym(last) - base))  # type: ignore[arg-type]
        name = b.fresh("t")
        stores += [Let(name, Expr("load", (sym(last) - base,), acc, d.dtype)),
                   Store(b.buffer(k, True), b.offset(k, [sym(a) for a in d.kept]), sym(name, d.dtype))]
    stop = sym("b1")
    row = _several_rows(inner, reduced[-1], length[reduced[-1]], last, base, stop)
    for a in reversed(reduced[:-1]):
        row = [For(a, const(0, "int64"), length[a], tuple(row))]
    columns, limit = length[last], sym("b0_stop")
    end = Expr("select", (Expr("lt", (base + BLOCK, limit), None, "bool"), base + BLOCK, limit), None, "int64")
    block: list[Stmt] = [Let("b1", end), *inits, *row, For(last, base, stop, tuple(stores), simd=True)]
    body: list[Stmt] = [For("b0", const(0, "int64"), columns, tuple(block), "parallel", BLOCK, grain=GRAIN)]
    for a in reversed(outer):
        body = [For(a, const(0, "int64"), length[a], tuple(body), "plain")]
    return b.kernel(body, _work(fusion, group, b))


def _several_rows(inner: Sequence[Accumulate], row: str, rows: Expr, last: str, base: Expr, stop: Expr) -> list[Stmt]:
    """Return the loops over the innermost reduced axis: several rows a pass over the columns, then those that remain."""
    price = sum(cost(s.value) for s in inner)
    many = next((n for most, n in ROWS if price <= most), 1)
    if many == 1:
        return [For(row, const(0, "int64"), rows, (For(last, base, stop, tuple(inner), simd=True),))]
    together = [Accumulate(s.name, s.combiner, replace_symbols(s.value, {row: sym(row) + k}), s.offset)
                for s in inner for k in range(many)]
    whole = Expr("and", (rows, const(-many, "int64")), None, "int64")
    return [For(row, const(0, "int64"), whole, (For(last, base, stop, tuple(together), simd=True),), step=many),
            For(row, whole, rows, (For(last, base, stop, tuple(inner), simd=True),))]


def _everything(fusion: Fusion, group: Group, b: Builder) -> Bound:
    """Reductions over all axes, in one pass over the data."""
    first = fusion.defs[group.items[0]]
    axes, extents = merge_axes(fusion, group, b, first.axes, first.domain)
    inits: list[Stmt] = []
    loop: list[Stmt] = []
    finish: list[Stmt] = []
    reductions: list[tuple[str, str]] = []
    for k in group.items:
        d = fusion.defs[k]
        acc, name = b.fresh("acc"), b.fresh("t")
        inits.append(Init(acc, COMBINERS[d.combiner].accumulate.get(d.dtype, d.dtype), d.combiner))
        loop.append(Accumulate(acc, d.combiner, b.body(d.body, d.axes, {})))  # type: ignore[arg-type]
        reductions.append((acc, d.combiner))
        finish += [Finish(name, acc, d.combiner, d.dtype),
                   Store(b.buffer(k, True), const(0, "int64"), sym(name, d.dtype))]
    return b.kernel(_in_parts(b, axes, extents, inits, loop, reductions, finish), _work(fusion, group, b))


def _scattered(fusion: Fusion, group: Group, b: Builder, length: dict[str, Expr]) -> Bound:
    """Any other reduction: kept axes outside, reduced ones inside, whatever the strides."""
    body: list[Stmt] = []
    for k in group.items:
        d = fusion.defs[k]
        acc, name = b.fresh("acc"), b.fresh("t")
        reduced = [a for a in d.axes if a not in d.kept]
        loop = nest(reduced, [length[a] for a in reduced],
                    [Accumulate(acc, d.combiner, b.body(d.body, d.axes, {}))],  # type: ignore[arg-type]
                    simd_inner=True, parallel=False, reductions=((acc, d.combiner),))
        stmts: list[Stmt] = [Init(acc, COMBINERS[d.combiner].accumulate.get(d.dtype, d.dtype), d.combiner), *loop,
                             Finish(name, acc, d.combiner, d.dtype),
                             Store(b.buffer(k, True), b.offset(k, [sym(a) for a in d.kept]), sym(name, d.dtype))]
        body += nest(list(d.kept), [length[a] for a in d.kept], stmts) if d.kept else stmts
    return b.kernel(body, _work(fusion, group, b))


def build_part(fusion: Fusion, d: Def, part: Part) -> Bound:
    """Return the kernel that writes one part of a scatter; what is written repeatedly counts in order.

    Along an axis that steps through the result, no element is written twice: such a loop is vectorised, and shared among
    threads if all loops are like that (a slice, a part of a joined array).
    """
    b = Builder(fusion)
    axes = [f"i{n}" for n in range(len(part.extents))]
    value, name = b.body(part.body, axes, {}), b.fresh("t")
    index = [b.body(e, axes, {}) for e in part.index]
    stmts: list[Stmt] = [Let(name, value), Store(b.buffer(d.id, True), b.offset(d.id, index), sym(name, value.dtype),
                                                 part.accumulate)]
    extents = [b.host(e) for e in part.extents]
    work = _total(extents) * const(cost(part.body) + 2, "int64")
    through = {axis_through(e) for e in part.index}
    steps = [a in through for a in axes]
    return b.kernel(nest(axes, extents, stmts, simd_inner=steps[-1:] == [True], parallel=all(steps)), work)


def build_check(fusion: Fusion, d: Def) -> Bound:
    """Return the kernel that finds the first flat index at which a check fails (2**62 when it holds)."""
    b = Builder(fusion)
    assert d.body is not None
    loop = nest(d.axes, [b.host(e) for e in d.domain], [Accumulate("acc0", "min", b.body(d.body, d.axes, {}))],
                simd_inner=True, parallel=False, reductions=(("acc0", "min"),))
    stmts: list[Stmt] = [Init("acc0", "int64", "min"), *loop, Finish("t0", "acc0", "min", "int64"),
                         Store(b.buffer(d.id, True), const(0, "int64"), sym("t0"))]
    return b.kernel(stmts, _total([b.host(e) for e in d.domain]) * const(4, "int64"))
