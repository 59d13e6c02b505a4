"""Stage *render*: the fused steps become one C function, ``symbolic_run``, which a person can read."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.codegen.fuse import Fusion, Group, loads
from symbolic.codegen.loops import Bound, build, build_check, build_part
from symbolic.codegen.lower import BLAS_TYPES, Def, Lowering
from symbolic.codegen.memory import Planner
from symbolic.codegen.prelude import WHOLE, prelude
from symbolic.codegen.printer import CTYPES, literal, operation, parenthesised
from symbolic.codegen.render import broken, render_kernel
from symbolic.config import config
from symbolic.errors import NotSupported
from symbolic.infer import Guard
from symbolic.scalar import Expr, const
from symbolic.scalar import toposort as expr_toposort

_TEMPLATES = Path(__file__).parent / "templates"
#: Lines of ``symbolic_run`` from which a compiler shouldn't optimise it: nothing to gain, and gcc's time grows faster.
LONG = 400


@cache
def _template() -> Any:
    import jinja2  # noqa: PLC0415 (15 ms that a process can save which finds everything in the cache)

    made = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), undefined=jinja2.StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return made.get_template("program.c.j2")


@dataclass(frozen=True)
class Failure:
    """What a positive return code of the program means."""

    message: str
    error: type[Exception]
    node: Any
    details: int
    broadcast: tuple[tuple[int, int], ...] = ()
    input: int = -1


@dataclass(frozen=True)
class KernelText:
    """One kernel as C: `name` is made from the hash of `text`, so equal kernels are one in every cache.

    ``prototype`` is what another translation unit declares to call it.
    """

    name: str
    prototype: str
    text: str
    notes: tuple[str, ...]


@dataclass
class Program:
    """C text in parts, with what its host must know to call it."""

    title: str
    kernels: list[KernelText]
    body: list[str]
    constants: list[np.ndarray]
    failures: list[Failure]
    inplace: tuple[bool, ...] = ()

    def source(self, kernels: Sequence[KernelText] | None = None, run: bool = True) -> str:
        """Return a translation unit: the prelude, `kernels` (default all) and, with `run`, ``symbolic_run``."""
        here = self.kernels if kernels is None else list(kernels)
        known = {k.name for k in here}
        elsewhere = [k.prototype for k in self.kernels if run and k.name not in known]
        text = "\n".join([*elsewhere, *(k.text for k in here), *(self.body if run else ())])
        return _template().render(
            title=self.title.replace("*/", "* /"), prelude=prelude(text), kernels=here, elsewhere=elsewhere,
            body=self.body if run else None, long=len(self.body) > LONG, multiplies="multiply(" in text,
            threshold=config.openmp_threshold)


class Writer:
    """Writes ``symbolic_run`` for one fused graph."""

    def __init__(self, lowering: Lowering, fusion: Fusion, guards: Sequence[Guard], updated: Sequence[int],
                 openmp: bool, identity: str) -> None:
        self.lowering, self.fusion, self.openmp, self.identity = lowering, fusion, openmp, identity
        self.defs = fusion.defs
        self.lines: list[str] = []
        self.extents: dict[int, set[int]] = {}  # axes of inputs that the host needs
        self.compared: set[str] = set()
        self.leaves: dict[str, str] = {}
        self.memory: list[str] = []  # what is allocated before any kernel runs
        self.failures: list[Failure] = []
        self.texts: dict[str, tuple[str, list[str]]] = {}  # text of a kernel: its name, what it computes
        self.slots: dict[int, int] = {}
        for slot, k in enumerate(lowering.outputs):
            if self.defs[k].kind in ("map", "reduce", "scatter", "gemm") and k not in self.slots:
                self.slots[k] = slot
        self.plan = Planner(fusion, self.slots, lowering.outputs, updated).plan
        self.blocks: set[int] = set()
        self.constants: list[np.ndarray] = []
        self.ready: set[int] = set()
        self._leaves()
        self.waiting = []
        for g in guards:
            condition = lowering.host(g.condition)
            needs = {n.arg for n in expr_toposort([condition]) if n.op == "load"}
            self.waiting.append((g, needs, condition))
        self._guards()
        head, self.lines = self.lines, []
        for step in fusion.steps:
            self._step(step)
            self._guards()
        assert not self.waiting, f"nothing computes what {self.waiting[0][0].message!r} compares"
        self._copies()
        rest = [*head, *self.memory, *self.lines]
        used = set(re.findall(r"\bp\d+\b", "\n".join(rest)))
        leaves = [line for name, line in self.leaves.items() if name in used]
        self.lines = [*self._named_extents(), *leaves, *rest]

    # ------------------------------------------------------------------------------------- host text

    def host(self, e: Expr) -> str:
        """Return a host expression as C."""
        done: dict[Expr, str] = {}
        for n in expr_toposort([e]):
            if n.op == "const":
                done[n] = literal(n.arg, n.dtype)
            elif n.op == "sym":
                k, _, a = n.arg[1:].partition("_")
                self.extents.setdefault(int(k), set()).add(int(a))
                done[n] = f"n{k}_{a}"
            elif n.op == "load":
                index = self._flat(n.arg, [done[a] for a in n.args])
                done[n] = f"p{n.arg}[{index}]"
            else:
                done[n] = operation(n, [parenthesised(a, done[a]) for a in n.args])
        return done[e]

    def _flat(self, k: int, index: list[str]) -> str:
        text = "0"
        for n, i in zip(self.defs[k].extents, index, strict=True):
            text = f"({text}) * ({self.host(n)}) + ({i})" if text != "0" else i
        return text

    def _count(self, d: Def) -> str:
        total: Expr = const(1, "int64")
        for n in d.extents:
            total = total * n
        return self.host(total)

    # ---------------------------------------------------------------------------------------- leaves

    def _leaves(self) -> None:
        live = set(self.fusion.order)
        n = len(self.lowering.graph.inputs)
        for d in self.defs:
            if d.kind == "const" and d.id in live:
                place = n + len(self.constants)
                self.constants.append(d.variable.data)  # type: ignore[union-attr]
            elif d.kind == "input":
                place = d.id
                if d.id not in live:
                    continue
            else:
                continue
            c = CTYPES[d.dtype]
            self.leaves[f"p{d.id}"] = f"const {c} *p{d.id} = in[{place}].data; /* {_comment(d)} */"
            self.ready.add(d.id)

    def _named_extents(self) -> list[str]:
        lines = []
        for k, axes in sorted(self.extents.items()):
            names = ", ".join(f"n{k}_{a} = in[{k}].shape[{a}]" for a in sorted(axes))
            lines.append(f"const int64_t {names}; /* extents of {_comment(self.defs[k])} */")
        return lines

    def _guards(self) -> None:
        rest = []
        for g, needs, condition in self.waiting:
            if not needs <= self.ready:
                rest.append((g, needs, condition))
                continue
            text = self.host(condition)
            if text in self.compared:
                continue
            self.compared.add(text)
            detail = [self.host(self.lowering.host(e)) for e in g.detail]
            self._fail(f"!({text})", detail,
                       Failure(g.message, g.error, g.node, len(detail), g.broadcast, g.input))
        self.waiting = rest

    def _fail(self, condition: str, detail: list[str], failure: Failure) -> None:
        self.failures.append(failure)
        saves = [f"rt->detail[{k}] = {text}, " for k, text in enumerate(detail[:4])]
        self.lines.append(f"if ({condition})")
        self.lines.append(f"    return {''.join(saves)}{len(self.failures)};")

    # ----------------------------------------------------------------------------------------- steps

    def _step(self, step: Any) -> None:
        if isinstance(step, Group):
            bound = build(self.fusion, step, self.plan.donor)
            notes = [_comment(self.defs[k]) for k in step.items]
            self._call(bound, notes)
            return
        d: Def = step
        if d.kind == "view":
            self.lines.append(f"const {CTYPES[d.dtype]} *p{d.id} = p{d.base}; /* {_comment(d)} */")
            self.ready.add(d.id)
        elif d.kind == "gemm":
            self._gemm(d)
        elif d.kind == "scatter":
            self._scatter(d)
        elif d.kind == "check":
            self._check(d)
        else:
            raise NotSupported(f"the C target doesn't run {d.node.op if d.node else d.kind}")

    def _allocate(self, d: Def) -> None:
        """Find memory for a Def: before all kernels, unless its extents are known only once some of them ran."""
        if d.id in self.ready:
            return
        self.ready.add(d.id)
        c = CTYPES[d.dtype]
        lines = self.lines if any(loads(e) for e in d.extents) else self.memory
        host = self.plan.host.get(d.id)
        if host is not None:
            self._allocate(self.defs[host])
            lines.append(f"{c} *p{d.id} = p{host};")
            return
        slot = self.slots.get(d.id)
        if slot is not None:
            lines += [self._output(slot, d, f"{c} *p{d.id}"), f"if (!p{d.id})", "    return -1;"]
            return
        room = self.plan.room[d.id]
        if room not in self.blocks:
            self.blocks.add(room)
            lines.append(f"void *m{room} = rt->scratch(rt, {self.host(self.plan.sizes[room])});")
            lines += [f"if (!m{room})", "    return -1;"]
        lines.append(f"{c} *p{d.id} = m{room};")

    def _output(self, slot: int, d: Def, target: str) -> str:
        shape = ", ".join(self.host(n) for n in d.extents) or "0"
        return f"{target} = rt->output(rt, {slot}, (const int64_t[]){{{shape}}});"

    def _call(self, bound: Bound, notes: list[str]) -> None:
        for k, b in zip(bound.buffers, bound.kernel.buffers, strict=True):
            if b.written:
                self._allocate(self.defs[k])
        text = render_kernel(bound.kernel, self.openmp)
        if text not in self.texts:
            self.texts[text] = (f"k_{sha256((self.identity + WHOLE + text).encode()).hexdigest()[:16]}", [])
        name, seen = self.texts[text]
        seen += notes
        values = [self.host(e) for e in bound.params]
        args = [f"p{k}" for k in bound.buffers] + values + [f"share(rt, {self._work(bound, values)})"]
        self.lines += broken(f"{name}(", args, ");")

    def _work(self, bound: Bound, values: list[str]) -> str:
        table = dict(zip((n for n, _ in bound.kernel.params), values, strict=True))
        done: dict[Expr, str] = {}
        for n in expr_toposort([bound.kernel.work]):
            if n.op == "const":
                done[n] = literal(n.arg, n.dtype)
            elif n.op == "sym":
                done[n] = f"({table[n.arg]})"
            else:
                done[n] = "(" + operation(n, [parenthesised(a, done[a]) for a in n.args]) + ")"
        return done[bound.kernel.work]

    def _gemm(self, d: Def) -> None:
        self._allocate(d)
        a, b = (self.defs[k] for k in d.inputs)
        ta, tb = d.transposed or (False, False)
        one = const(1, "int64")
        ra, rb = len(a.extents), len(b.extents)
        m = one if ra == 1 else a.extents[1] if ta else a.extents[0]
        k = a.extents[0] if ra == 1 or ta else a.extents[1]
        n = one if rb == 1 else b.extents[0] if tb else b.extents[1]
        h = [self.host(e) for e in (m, n, k)]
        self.lines.append(f"/* {_comment(d)} */")
        self.lines += broken("multiply(", ["rt", f"'{BLAS_TYPES[d.dtype]}'", str(int(ta)), str(int(tb)), *h, f"p{a.id}",
                                           f"p{b.id}", f"p{d.id}"], ");")

    def _scatter(self, d: Def) -> None:
        self._allocate(d)
        if d.base is not None and d.id not in self.plan.donor:
            self.lines.append(f"memcpy(p{d.id}, p{d.base}, ({self._count(d)}) * sizeof({CTYPES[d.dtype]}));")
        for part in d.parts:
            self._call(build_part(self.fusion, d, part), [_comment(d)])

    def _check(self, d: Def) -> None:
        self.lines.append(f"int64_t p{d.id}[1];")
        self.ready.add(d.id)
        self._call(build_check(self.fusion, d), [f"check: {d.check.message}"])  # type: ignore[union-attr]
        self.lines.append(f"if (p{d.id}[0] < ((int64_t)1 << 62)) {{")
        rest = f"p{d.id}[0]"
        for a, n in reversed(list(zip(d.axes, d.domain, strict=True))):
            extent = self.host(n)
            self.lines.append(f"    const int64_t {a} = ({rest}) % ({extent}); (void){a};")
            rest = f"({rest}) / ({extent})"
        detail = [self._at(e, d.axes) for e in d.detail]
        self.failures.append(Failure(d.check.message, d.check.error, d.node, len(detail)))  # type: ignore[union-attr]
        for k, text in enumerate(detail[:4]):
            self.lines.append(f"    rt->detail[{k}] = {text};")
        self.lines.append(f"    return {len(self.failures)};")
        self.lines.append("}")

    def _at(self, e: Expr, axes: Sequence[str]) -> str:
        done: dict[Expr, str] = {}
        for n in expr_toposort([e]):
            if n.op == "sym" and n.arg in axes:
                done[n] = n.arg
            elif n.op == "load":
                done[n] = f"p{n.arg}[{self._flat(n.arg, [done[a] for a in n.args])}]"
            elif not n.args:
                done[n] = self.host(n)
            else:
                done[n] = operation(n, [parenthesised(a, done[a]) for a in n.args])
        return f"(int64_t)({done[e]})"

    def _copies(self) -> None:
        """Outputs that are inputs, views, or another output get memory of their own."""
        for slot, k in enumerate(self.lowering.outputs):
            if self.slots.get(k) == slot:
                continue
            d = self.defs[k]
            lines = self.lines if any(loads(e) for e in d.extents) else self.memory
            lines += [self._output(slot, d, f"void *q{slot}"), f"if (!q{slot})", "    return -1;"]
            self.lines.append(f"memcpy(q{slot}, p{k}, ({self._count(d)}) * sizeof({CTYPES[d.dtype]}));")


def _comment(d: Def) -> str:
    loc = None if d.node is None else d.node.loc
    text = f"{d.label}: {d.variable.type}" if d.variable is not None else d.label
    if loc is not None:
        text += f"  [{Path(loc.file).name}:{loc.line}: {loc.text}]"
    return text.replace("*/", "* /").replace("\n", " ")


def write(lowering: Lowering, fusion: Fusion, guards: Sequence[Guard], title: str, updated: Sequence[int] = (),
          openmp: bool = True, identity: str = "") -> Program:
    """Return the program of a fused graph.

    Parameters
    ----------
    updated : sequence of int
        The graph inputs, shared variables, whose new values the last outputs are.
    openmp : bool
        Whether loops may be shared among threads.
    identity : str
        Of the compiler and its options; part of the kernels' names.
    """
    w = Writer(lowering, fusion, guards, updated, openmp, identity)
    kernels = [KernelText(name, _prototype(text).replace("KERNEL", name), text.replace("KERNEL", name),
                          tuple(dict.fromkeys(notes))) for text, (name, notes) in w.texts.items()]
    return Program(title, kernels, w.lines, w.constants, w.failures, w.plan.inplace)


def _prototype(text: str) -> str:
    """Return the declaration of the function that a kernel's text ends with."""
    head = text[text.index("void KERNEL("):]
    return head[:head.index("\n{")] + ";"
