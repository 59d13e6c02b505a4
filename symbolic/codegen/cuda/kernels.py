"""Stage *schedule* for GPUs: a fused group becomes kernels, one of a few families, each with a template.

``map``: a thread an element. ``rows``: a block or a warp a row, for reductions whose results the same row reads again.
``reduce``: everything else that is reduced; where there is much of it for few results, parts are reduced first and
``parts`` joins them. Sizes aren't known yet: `launches` chooses grids when they are.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from symbolic.codegen.cuda.geometry import OWNER, SLOT, STOPPED, CudaKernel
from symbolic.codegen.cuda.text import ATOMIC, CudaRenderer, cuda_type, joined
from symbolic.codegen.fuse import Fusion, Group, axis_through
from symbolic.codegen.kernel_ir import Accumulate, For, Kernel, Let, Stmt, Store
from symbolic.codegen.loops import Builder, merge_axes
from symbolic.codegen.lower import Def
from symbolic.codegen.printer import literal
from symbolic.scalar import COMBINERS, Expr, Part, const, sym
from symbolic.types import is_discrete


@cache
def _template(name: str) -> Any:
    loader = jinja2.FileSystemLoader(Path(__file__).parent.parent / "templates")
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                                     keep_trailing_newline=True)
    return environment.get_template(f"cuda/{name}.cu.j2")


class CudaBuilder(Builder):
    """Collects what a kernel reads and writes; only what the host has without asking the device is a parameter."""

    def _is_host_scalar(self, n: Expr) -> bool:
        k = n.arg
        while self.fusion.defs[k].kind == "view":
            k = self.fusion.defs[k].base  # type: ignore[assignment]
        kind = self.fusion.defs[k].kind
        return n.dtype in ("int64", "bool") and (kind in ("const", "extent") or k in self.hosted)

    def store(self, d: Def) -> Store:
        """Return the statement that stores a value which is known by name."""
        return Store(self.buffer(d.id, True), self.offset(d.id, [sym(a) for a in d.kept]), sym(self.known[d.id], d.dtype))

    known: dict[int, str]
    hosted: set[int]


@dataclass(frozen=True)
class Accumulator:
    """A running value: its name, type, start, and how one called `other` is joined to it."""

    name: str
    type: str
    dtype: str
    start: str
    join: str


def _accumulator(b: Builder, d: Def) -> Accumulator:
    name = b.fresh("acc")
    dtype = COMBINERS[d.combiner].accumulate.get(d.dtype, d.dtype)
    start = literal(COMBINERS[d.combiner].identity(dtype), dtype)
    if dtype in ("complex64", "complex128"):
        start = f"{cuda_type(dtype)}({int(COMBINERS[d.combiner].identity(dtype))})"
    return Accumulator(name, cuda_type(dtype), dtype, start, joined(d.combiner, "other", name, dtype))


class Writer:
    """Writes the kernels of one program; `guarded` says whether checks may have stopped it before."""

    def __init__(self, fusion: Fusion, donor: Mapping[int, int], guarded: bool, deterministic: bool, hosted: set[int]) -> None:
        self.fusion, self.donor, self.guarded, self.deterministic = fusion, donor, guarded, deterministic
        self.hosted = hosted

    def group(self, g: Group) -> CudaKernel:
        """Return the kernel of a fused group."""
        kinds = [self.fusion.defs[k].kind for k in g.items]
        if len(g.home) != 1 or (g.split == 0 and "reduce" in kinds):
            return self._reduce(g)
        if "reduce" in kinds or g.split < len(g.home[0]):
            return self._rows(g)
        return self._map(g)

    # -------------------------------------------------------------------------------------------- parts

    def _builder(self, g: Group | None) -> CudaBuilder:
        inside = {} if g is None else {k: p for k, p in self.donor.items() if k in g.items}
        b = CudaBuilder(self.fusion, inside)
        b.known, b.hosted = {}, self.hosted
        return b

    def _value(self, b: CudaBuilder, d: Def, axes: Sequence[str]) -> Let:
        name = b.fresh("t")
        value = b.body(d.body, axes, b.known)  # type: ignore[arg-type]
        b.known[d.id] = name
        return Let(name, value)

    def _stored(self, d: Def, g: Group) -> bool:
        later = any(g.phase.get(c, -1) > g.phase[d.id] for c in self.fusion.clients.get(d.id, ()))
        return d.id in self.fusion.stored or later

    def _made(self, family: str, b: CudaBuilder, extra: Sequence[str], sizes: Sequence[Expr], fields: dict[str, Any],
              more: Sequence[int] = (), **kwargs: Any) -> CudaKernel:
        order = sorted(b.buffers, key=lambda k: (b.buffers[k].written, list(b.buffers).index(k)))
        params = [f"{'' if b.buffers[k].written else 'const '}{cuda_type(b.buffers[k].dtype)} *__restrict__ {b.buffers[k].name}"
                  for k in order]
        buffers = [*order, *more]
        params += [{SLOT: "unsigned long long *slot", OWNER: "long long *owner"}[k] for k in more]
        guarded = self.guarded and family != "parts"  # those read nothing that an index chose
        if guarded or SLOT in more:
            params.append(f"{'' if SLOT in more else 'const '}int64_t *stopped")
            buffers.append(STOPPED)
        params += [f"const {cuda_type(e.dtype)} {n}" for e, n in b.params.items()]
        params += [f"const int64_t {n}" for n in extra if not n.endswith("*")]
        params += [n.removesuffix("*") for n in extra if n.endswith("*")]
        text = _template(family).render(params=params, guarded=guarded, **fields)
        return CudaKernel(family, text, tuple(buffers), tuple(b.params), tuple(sizes), **kwargs)

    # --------------------------------------------------------------------------------------------- maps

    def _map(self, g: Group) -> CudaKernel:
        b, domain = self._builder(g), g.home[0]
        axes = [f"a{n}" for n in range(len(domain))]
        left, extents = merge_axes(self.fusion, g, b, axes, domain)
        stmts: list[Stmt] = []
        for k in g.items:
            d = self.fusion.defs[k]
            stmts.append(self._value(b, d, axes))
            if self._stored(d, g):
                stmts.append(b.store(d))
        r = _renderer(b)
        lines = [*_axes(r, left, extents, "at"), *r.block(stmts, 1, _bound(b, left))]
        return self._made("map", b, ["total"], [_product(domain)], {"lines": lines})

    # --------------------------------------------------------------------------------------------- rows

    def _rows(self, g: Group) -> CudaKernel:
        b, domain = self._builder(g), g.home[0]
        axes = [f"a{n}" for n in range(len(domain))]
        outer, outer_extents = merge_axes(self.fusion, g, b, axes[:g.split], domain[:g.split])
        inner, inner_extents = merge_axes(self.fusion, g, b, axes[g.split:], domain[g.split:])
        r = _renderer(b)
        phases = []
        for phase in range(max(g.phase.values()) + 1):
            phases.append(self._phase(g, b, phase, axes, outer, inner, inner_extents, r))
        fields = {"outer": _axes(r, outer, outer_extents, "row"), "phases": phases}
        return self._made("rows", b, ["rows", "length"], [_product(domain[:g.split]), _product(domain[g.split:])], fields)

    def _phase(self, g: Group, b: CudaBuilder, phase: int, axes: Sequence[str], outer: Sequence[str], inner: Sequence[str],
               inner_extents: Sequence[Expr], r: CudaRenderer) -> dict[str, Any]:
        here = [self.fusion.defs[k] for k in g.items if g.phase[k] == phase]
        per_row = [d for d in here if d.kind == "map" and len(d.axes) == g.split]
        names: dict[Expr, str] = {}
        bound = _bound(b, outer)
        before = r.block([self._value(b, d, axes) for d in per_row], 1, bound, names)
        stores_before = [b.store(d) for d in per_row if self._stored(d, g)]
        outside = dict(b.known)
        loop: list[Stmt] = []
        accs: list[Accumulator] = []
        finish: list[tuple[Def, Accumulator]] = []
        for d in here:
            if d in per_row:
                continue
            if d.kind == "map":
                loop.append(self._value(b, d, axes))
                if self._stored(d, g):
                    loop.append(b.store(d))
            else:
                accs.append(_accumulator(b, d))
                loop.append(Accumulate(accs[-1].name, d.combiner, b.body(d.body, axes, b.known)))  # type: ignore[arg-type]
                finish.append((d, accs[-1]))
        b.known = outside  # values of one element are known in the loop alone
        lines = r.block(loop, 2, bound | set(inner))
        after, stores_after = [], []
        for d, acc in finish:
            b.known[d.id] = b.fresh("t")
            after.append(f"    const {cuda_type(d.dtype)} {b.known[d.id]} = ({cuda_type(d.dtype)})({acc.name});")
            if d.id in self.fusion.stored:
                stores_after.append(b.store(d))
        bound = _bound(b, outer)
        return {"before": before, "accs": accs, "after": after, "over": any(d.id in self.donor for d in per_row),
                "stores_before": r.block(stores_before, 1, bound), "stores_after": r.block(stores_after, 1, bound),
                "loop": [*_axes(r, inner, inner_extents, "at"), *lines] if lines else []}

    # --------------------------------------------------------------------------------------- reductions

    def _reduce(self, g: Group) -> CudaKernel:
        b = self._builder(g)
        first = next(self.fusion.defs[k] for k in g.items if self.fusion.defs[k].kind == "reduce")
        axes, domain = first.axes, first.domain
        length = dict(zip(axes, domain, strict=True))
        left, extents = merge_axes(self.fusion, g, b, axes, domain)
        extent = dict(zip(left, extents, strict=True))
        outer = [a for a in first.kept if a in extent]
        inner = [a for a in left if a not in first.kept]
        loop: list[Stmt] = []
        accs: list[Accumulator] = []
        done: list[Def] = []
        for k in g.items:
            d = self.fusion.defs[k]
            if d.kind == "map":
                loop.append(self._value(b, d, axes))
                if self._stored(d, g):
                    loop.append(b.store(d))
            else:
                accs.append(_accumulator(b, d))
                loop.append(Accumulate(accs[-1].name, d.combiner, b.body(d.body, axes, b.known)))  # type: ignore[arg-type]
                done.append(d)
        finish: list[str] = []
        for d, acc in zip(done, accs, strict=True):
            b.known[d.id] = b.fresh("t")
            finish.append(f"    const {cuda_type(d.dtype)} {b.known[d.id]} = ({cuda_type(d.dtype)})({acc.name});")
        stores: list[Stmt] = [b.store(d) for d in done]
        r = _renderer(b)
        bound = _bound(b, left)
        fields = {
            "accs": accs, "outer": _axes(r, outer, [extent[a] for a in outer], "row"),
            "loop": [*_axes(r, inner, [extent[a] for a in inner], "at"), *r.block(loop, 1, bound)],
            "finish": [*finish, *r.block(stores, 1, bound | set(b.known.values()))]}
        columns = bool(axes) and axes[-1] in first.kept
        sizes = [_product([length[a] for a in first.kept]), _product([length[a] for a in axes if a not in first.kept])]
        partial = [f"{a.type} *part_{a.name}*" for a in accs]
        dtypes = tuple(a.dtype for a in accs)
        join = self._made("parts", b, ["outputs", "parts", *partial], sizes, fields, accumulators=dtypes)
        return self._made("reduce", b, ["outputs", "reduced", *partial], sizes, fields | {"columns": columns},
                          accumulators=dtypes, columns=columns, join=join)

    # ------------------------------------------------------------------------------- scatters and checks

    def scatter(self, d: Def, part: Part) -> list[CudaKernel]:
        """Return the kernels that write one part of a scatter.

        Where elements may be written twice, sums are atomic, or in order if results are to be the same every time; of
        values that overwrite each other the last one counts, which a first kernel finds.
        """
        axes = [f"i{n}" for n in range(len(part.extents))]
        through = {axis_through(e) for e in part.index}
        twice = [a for a in axes if a not in through]
        if not twice or part.accumulate is None:
            return self._owned(d, part, axes) if twice else [self._part(d, part, axes, [], part.accumulate)]
        ordered = self.deterministic and not is_discrete(part.body.dtype)
        atomic = part.accumulate == "add" and (part.body.dtype in ATOMIC or part.body.dtype.startswith("complex"))
        if atomic and not ordered:
            return [self._part(d, part, axes, [], "atomic add")]
        return [self._part(d, part, [a for a in axes if a in through], twice, part.accumulate)]

    def _part(self, d: Def, part: Part, parallel: Sequence[str], serial: Sequence[str], accumulate: str | None) -> CudaKernel:
        b = self._builder(None)
        axes = [*parallel, *serial]
        extent = {f"i{n}": b.host(e) for n, e in enumerate(part.extents)}
        value, name = b.body(part.body, axes, {}), b.fresh("t")
        index = [b.body(e, axes, {}) for e in part.index]
        stmts: Sequence[Stmt] = [Let(name, value), Store(b.buffer(d.id, True), b.offset(d.id, index), sym(name, value.dtype),
                                                         accumulate)]
        for a in reversed(serial):
            stmts = [For(a, const(0, "int64"), extent[a], tuple(stmts))]
        r = _renderer(b)
        lines = [*_axes(r, parallel, [extent[a] for a in parallel], "at"), *r.block(stmts, 1, _bound(b, parallel))]
        return self._made("map", b, ["total"], [_product([part.extents[int(a[1:])] for a in parallel])], {"lines": lines})

    def _owned(self, d: Def, part: Part, axes: Sequence[str]) -> list[CudaKernel]:
        made = []
        for first in (True, False):
            b = self._builder(None)
            extent = [b.host(e) for e in part.extents]
            index = [b.body(e, axes, {}) for e in part.index]
            place = b.offset(d.id, index)
            r = _renderer(b)
            lines = [*_axes(r, axes, extent, "at")]
            if first:
                lines += r.block([Let("place", place)], 1, _bound(b, axes))
                lines.append("    atomicMax(owner + place, (long long)at);")
            else:
                value = b.body(part.body, axes, {})
                target = b.buffer(d.id, True)
                lines += r.block([Let("place", place), Let("value", value)], 1, _bound(b, axes))
                lines.append(f"    if (owner[place] == (long long)at) {target}[place] = value;")
            made.append(self._made("map", b, ["total"], [_product(part.extents)], {"lines": lines}, more=(OWNER,)))
        return made

    def check(self, d: Def) -> CudaKernel:
        """Return the kernel that finds the first flat index at which a check fails, and stops what comes after."""
        b = self._builder(None)
        assert d.body is not None
        extents = [b.host(e) for e in d.domain]
        body = b.body(d.body, d.axes, {})
        r = _renderer(b)
        lines = [*_axes(r, d.axes, extents, "at"), *r.block([Let("found", body)], 1, _bound(b, d.axes)),
                 "    if (found < (int64_t)1 << 62) {", "        atomicMin(slot, (unsigned long long)found);",
                 "        *stopped = 1;", "    }"]
        return self._made("map", b, ["total"], [_product(d.domain)], {"lines": lines}, more=(SLOT,))


def _renderer(b: Builder) -> CudaRenderer:
    return CudaRenderer(Kernel(tuple(b.buffers.values()), (), (), const(0, "int64")))


def _bound(b: Builder, axes: Sequence[str]) -> set[str]:
    return {*b.params.values(), *axes, *getattr(b, "known", {}).values()}


def _product(extents: Sequence[Expr]) -> Expr:
    n: Expr = const(1, "int64")
    for e in extents:
        n = n * e
    return n


def _axes(r: CudaRenderer, axes: Sequence[str], extents: Sequence[Expr], flat: str) -> list[str]:
    """Return the lines that tell the indices along `axes` from the position `flat`."""
    if not axes:
        return []
    if len(axes) == 1:
        return [f"    const int64_t {axes[0]} = {flat};"]
    lines = [f"    sym_index {flat}_left = (sym_index){flat};"]
    for a, n in reversed(list(zip(axes[1:], extents[1:], strict=True))):
        size = r.expression(n)
        lines += [f"    const int64_t {a} = {flat}_left % (sym_index)({size});", f"    {flat}_left /= (sym_index)({size});"]
    return [*lines, f"    const int64_t {axes[0]} = {flat}_left;"]
