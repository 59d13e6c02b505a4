"""Stage *render*: the steps of one fused graph become the lines of a C function; `step` does the same for loops."""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.codegen.fuse import Fusion, Group
from symbolic.codegen.loops import Bound, build, build_check, build_part
from symbolic.codegen.lower import BLAS_TYPES, Def, Lowering
from symbolic.codegen.memory import ALLOCATES, Plan, Planner
from symbolic.codegen.prelude import WHOLE
from symbolic.codegen.printer import CTYPES, LongParts, literal, operation, parenthesised
from symbolic.codegen.render import broken, render_kernel
from symbolic.errors import NotSupported
from symbolic.infer import Guard
from symbolic.scalar import Expr, const, cost, loads
from symbolic.scalar import toposort as expr_toposort
from symbolic.template import Template

#: instructions from which a size gets a name
WORTH_A_NAME = 3


@dataclass(frozen=True)
class Failure:
    """What a positive return code of the program means."""

    message: str
    error: type[Exception]
    node: Any
    details: int
    broadcast: tuple[tuple[int, int], ...] = ()
    input: int | None = -1


@dataclass
class Unit:
    """What the functions of one program share.

    Attributes
    ----------
    openmp : bool
        Whether loops may be shared among threads.
    identity : str
        Of the compiler and its options; part of the kernels' names.
    write_loop : callable
        Writes the function of a loop and returns its name.
    write_arm : callable
        The same for an arm of a branch: the first, or the other.
    texts : dict
        Text of a kernel: its name, what it computes.
    inner : dict
        The same for kernels of loops, which are compiled where they are called.
    loops : list of str
        Functions of loops, arms and templates from outside, each before it is called.
    write_template : callable
        Renders a template under the name of a function.
    write_product : callable
        Returns the kernels for products with a packed matrix, of elements of a C type.
    templates : dict
        Of a template's name and fields: its text, or the name of its function if it is from outside.
    python : list of Apply
        What Python computes, by the number of its call.
    written : dict
        Functions of loops and arms by what they compute: equal ones, as of layers that are stacked, are one.
    """

    openmp: bool
    identity: str
    write_loop: Callable[[Unit, Def, set[int]], str]
    write_arm: Callable[[Unit, Def, bool, set[int], set[int]], str]
    write_template: Callable[[Template, str], str]
    write_product: Callable[[str], str]
    failures: list[Failure] = field(default_factory=list)
    constants: list[np.ndarray] = field(default_factory=list)
    texts: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    inner: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    loops: list[str] = field(default_factory=list)
    python: list[Any] = field(default_factory=list)
    templates: dict[tuple, str] = field(default_factory=dict)
    written: dict[tuple, Any] = field(default_factory=dict)


class Writer:
    """Writes ``symbolic_run`` for one fused graph."""

    #: whether sizes that take some arithmetic get names, first thing in the function
    names_sizes = True
    #: multiplications from which a product is worth threads that may be asleep (some 50 us)
    product_worth = 2e6

    def __init__(self, lowering: Lowering, fusion: Fusion, guards: Sequence[Guard], updated: Sequence[int], unit: Unit
                 ) -> None:
        self.lowering, self.fusion, self.unit = lowering, fusion, unit
        self.defs = fusion.defs
        self.lines: list[str] = []
        self.extents: dict[int, set[int]] = {}  # axes of inputs that the host needs
        self.compared: set[str] = set()
        self.sizes: dict[Expr, str] = {}
        self.declared: list[str] = []
        self.leaves: dict[str, str] = {}
        self.memory: list[str] = []  # where values lie, before any kernel runs
        self.hoisted: list[str] = self.memory  # memory that is taken
        self.slots: dict[int, int] = {}
        for slot in self._order():
            k = lowering.outputs[slot]
            if self.defs[k].kind in ALLOCATES:
                self.slots.setdefault(k, slot)
        self.plan = self._planned(updated)
        self.blocks: set[int] = set()
        self.ready: set[int] = set()
        self.waiting = []
        for g in guards:
            condition = lowering.host(g.condition)
            needs = {n.arg for n in expr_toposort([condition]) if n.op == "load"}
            self.waiting.append((g, needs, condition))
        self._compose()

    def _order(self) -> Sequence[int]:
        """Return the output slots; a value that belongs in several is written to the first, and copied."""
        return range(len(self.lowering.outputs))

    def _planned(self, updated: Sequence[int]) -> Plan:
        return Planner(self.fusion, self.slots, self.lowering.outputs, updated).plan

    def _compose(self) -> None:
        """Write the whole function."""
        self._leaves()
        self._guards()
        head, self.lines = self.lines, []
        self._steps()
        rest = [*self.declared, *head, *self.memory, *self.lines]
        self.lines = [*self._named_extents(rest), *self._used(rest), *rest]

    def _steps(self) -> None:
        for step in self.fusion.steps:
            self._step(step)
            self._guards()
        assert not self.waiting, f"nothing computes what {self.waiting[0][0].message!r} compares"
        self._copies()

    def _used(self, lines: Sequence[str]) -> list[str]:
        """Return the declarations of the leaves that `lines` name."""
        used = set(re.findall(r"\bp\d+\b", "\n".join(lines)))
        return [line for name, line in self.leaves.items() if name in used]

    # ------------------------------------------------------------------------------------- host text

    def host(self, e: Expr) -> str:
        """Return a host expression as C."""
        done: dict[Expr, str] = {}
        order = expr_toposort([e])
        parts = LongParts(order)
        for n in order:
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
            if n not in self.sizes and self.names_sizes and n.dtype == "int64" and cost(n) >= WORTH_A_NAME and self._fixed(n):
                self.sizes[n] = f"e{len(self.sizes)}"
                self.declared.append(f"const int64_t {self.sizes[n]} = {parts.text(done[n])};")
            done[n] = self.sizes.get(n) or parts.part(n, done[n])
        return parts.text(done[e])

    def _fixed(self, e: Expr) -> bool:
        """Whether a host expression is known from the start: it reads only inputs."""
        return all(not n.args and self.defs[n.arg].kind in ("input", "const") for n in loads(e))

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
                place = n + self._constant(d)
            elif d.kind == "input":
                place = d.id
                if d.id not in live:
                    continue
            else:
                continue
            c = CTYPES[d.dtype]
            self.leaves[f"p{d.id}"] = f"const {c} *p{d.id} = in[{place}].data; /* {comment(d)} */"
            self.ready.add(d.id)

    def _constant(self, d: Def) -> int:
        """Return the place of a constant among those of the program."""
        self.unit.constants.append(d.variable.data)  # type: ignore[union-attr]
        return len(self.unit.constants) - 1

    def _named_extents(self, lines: Sequence[str]) -> list[str]:
        """Return the declarations of the extents of inputs that `lines` name."""
        used = set(re.findall(r"\bn\d+_\d+\b", "\n".join(lines)))
        found = []
        for k, axes in sorted(self.extents.items()):
            named = [f"n{k}_{a} = in[{k}].shape[{self._axis(k, a)}]" for a in sorted(axes) if f"n{k}_{a}" in used]
            if named:
                found.append(f"const int64_t {', '.join(named)}; /* extents of {comment(self.defs[k])} */")
        return found

    def _axis(self, k: int, a: int) -> int:
        """Return the axis of what is handed in as input `k` that is its axis `a`."""
        return a

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
        self.unit.failures.append(failure)
        saves = [f"rt->detail[{k}] = {text}, " for k, text in enumerate(detail[:4])]
        self.lines.append(f"if ({condition})")
        self.lines.append(f"    return {''.join(saves)}{self._code()};")

    def _code(self) -> str:
        """Return, as C, the code of the failure that was noted last; what is noted next has the next one."""
        return str(len(self.unit.failures))

    # ----------------------------------------------------------------------------------------- steps

    def _step(self, step: Any) -> None:
        if isinstance(step, Group):
            bound = build(self.fusion, step, self.plan.donor)
            notes = [comment(self.defs[k]) for k in step.items]
            self._call(bound, notes)
            return
        d: Def = step
        if d.kind == "view":
            start = "".join(f" + {parenthesised(n, self.host(n))}" for n in (self._row(d, e) for e in d.detail))
            self.lines.append(f"const {CTYPES[d.dtype]} *p{d.id} = p{d.base}{start}; /* {comment(d)} */")
            self.ready.add(d.id)
        elif d.kind == "gemm":
            self._gemm(d)
        elif d.kind == "scatter":
            self._scatter(d)
        elif d.kind == "check":
            self._check(d)
        elif d.kind == "loop":
            self._loop(d)
        elif d.kind == "branch":
            self._branch(d)
        elif d.kind == "python":
            self._python(d)
        elif d.kind == "template":
            self._template(d)
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
            lines += self._target(slot, d, f"{c} *p{d.id}")
            return
        room = self.plan.room[d.id]
        if room not in self.blocks:
            self.blocks.add(room)
            self._take(room, self.plan.sizes[room], self.hoisted if lines is self.memory else lines)
        lines.append(f"{c} *p{d.id} = m{room};")

    def _take(self, room: int, sizes: tuple[Expr, ...], lines: list[str]) -> None:
        """Take memory for a block, as much as the largest of its values needs."""
        wanted = self._bytes(sizes[0])
        if len(sizes) > 1:
            lines.append(f"double m{room}_bytes = {wanted};")
            for size in sizes[1:]:
                other = self._bytes(size)
                lines += [f"if ({other} > m{room}_bytes)", f"    m{room}_bytes = {other};"]
            wanted = f"m{room}_bytes"
        lines += [f"void *m{room} = rt->scratch(rt, {wanted});", f"if (!m{room})", "    return -1;"]

    def _bytes(self, size: Expr) -> str:
        """Return a size as C: as double, which doesn't overflow, unless it is a number."""
        factors: list[Expr] = []
        stack = [size]
        while stack:
            e = stack.pop()
            if e.op == "mul":
                stack += reversed(e.args)
            else:
                factors.append(e)
        if all(e.op == "const" for e in factors):
            return self.host(size)
        return " * ".join(("(double)" if k == 0 else "") + f"({self.host(e)})" for k, e in enumerate(factors))

    def _target(self, slot: int, d: Def, declared: str) -> list[str]:
        """Return the lines that declare where an output is to be written."""
        name = declared.rpartition("*")[2]
        return [self._output(slot, d, declared), f"if (!{name})", "    return -1;"]

    def _output(self, slot: int, d: Def, target: str) -> str:
        shape = ", ".join(self.host(n) for n in d.extents) or "0"
        return f"{target} = rt->output(rt, {slot}, (const int64_t[]){{{shape}}});"

    def _call(self, bound: Bound, notes: list[str]) -> None:
        for k, b in zip(bound.buffers, bound.kernel.buffers, strict=True):
            if b.written:
                self._allocate(self.defs[k])
        name = self._kernel(render_kernel(bound.kernel, self.unit.openmp), notes)
        values = [self.host(e) for e in bound.params]
        args = [f"p{k}" for k in bound.buffers] + values + [self._threads(bound, values)]
        self.lines += broken(f"{name}(", args, ");")

    def _kernel(self, text: str, notes: list[str]) -> str:
        """Return the name of a kernel."""
        if text not in self.unit.texts:
            self.unit.texts[text] = (f"k_{sha256((self.unit.identity + WHOLE + text).encode()).hexdigest()[:16]}", [])
        name, seen = self.unit.texts[text]
        seen += notes
        return name

    def _threads(self, bound: Bound, values: list[str]) -> str:
        return f"share(rt, {self._work(bound, values)})"

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
        self.lines += [f"/* {comment(x)} */" for x in (d.folded, d) if x is not None]
        if d.base is not None:
            self._begin_with(d)
        self.lines += self._multiplied(d)

    def _row(self, d: Def, n: Expr) -> Expr:
        """Return the number of elements in the `n` rows before a part."""
        for e in d.extents[1:]:
            n = n * e
        return n

    def _begin_with(self, d: Def) -> None:
        """Copy the value that `d` is `base` with changes of, unless it lies there already."""
        if d.id not in self.plan.donor:
            self.lines.append(f"memcpy(p{d.id}, p{d.base}, ({self._count(d)}) * sizeof({CTYPES[d.dtype]}));")

    def _multiplied(self, d: Def) -> list[str]:
        """Return the lines that leave a product to BLAS."""
        flips = [str(int(f)) for f in d.transposed or (False, False)]
        extents = [self.host(e) for e in self._product_extents(d)]
        operands = [f"p{k}" for k in (*d.inputs, d.id)]
        return broken("multiply(", ["rt", f"'{BLAS_TYPES[d.dtype]}'", *flips, *extents, *operands,
                                    repr(d.alpha), repr(d.beta), f"{self.product_worth:.0e}"], ");")

    def _product_extents(self, d: Def) -> tuple[Expr, Expr, Expr]:
        """Return the rows and columns of a product, and how many terms each element is the sum of."""
        a, b = (self.defs[k].extents for k in d.inputs)
        ta, tb = d.transposed or (False, False)
        one = const(1, "int64")
        m = one if len(a) == 1 else a[1] if ta else a[0]
        n = one if len(b) == 1 else b[0] if tb else b[1]
        return m, n, a[0] if len(a) == 1 or ta else a[1]

    def _live(self, k: int) -> bool:
        return k in self.fusion.clients or k in self.fusion.roots

    def _results(self, d: Def) -> set[int]:
        """Find memory for the results of a step that somebody reads, as far as may be, and return their places."""
        used = {n for n, k in enumerate(d.outputs) if self._live(k) or any(self._live(e) for e in self._measured(k).values())}
        for n in sorted(used):
            if self.defs[d.outputs[n]].kind == "result":
                self._allocate(self.defs[d.outputs[n]])
        return used

    def _measured(self, k: int) -> dict[int, int]:
        """Return the Defs of the extents of a result that are known only once it is there, by axis."""
        found = self.lowering.extents.measured.get(self.defs[k].variable, {})  # type: ignore[arg-type]
        return {a: self.lowering.get(v).id for a, v in found.items()}

    def _opaque(self, k: int, result: str) -> tuple[list[str], list[str]]:
        """Return the lines that declare such a result and its extents, and those that read them from a `symbolic_result`."""
        d = self.defs[k]
        declared = [f"const {CTYPES[d.dtype]} *p{k}; /* {comment(d)} */"]
        read = [f"    p{k} = {result}.data;"]
        self.ready.add(k)
        for a, extent in self._measured(k).items():
            self.ready.add(extent)
            declared.append(f"int64_t p{extent}[1]; /* {self.defs[extent].label} */")
            read.append(f"    p{extent}[0] = {result}.shape[{a}];")
        return declared, read

    def _operands(self, d: Def, name: str, first: int = 1) -> tuple[list[str], str]:
        """Return the lines that hand the operands from `first` on to a step, and what they are called."""
        operands = [self.defs[k] for k in d.inputs[first:]]
        shapes = [", ".join(self.host(e) for e in o.extents) for o in operands]
        given = [f"{{(void *)p{o.id}, " + (f"(const int64_t[]){{{text}}}}}" if text else "0}")
                 for o, text in zip(operands, shapes, strict=True)]
        return (broken(f"    const symbolic_array {name}[] = {{", given, "};"), name) if given else ([], "0")

    def _loop(self, d: Def) -> None:
        """Call the function of a loop."""
        used, first = self._results(d), self._code()
        name = self.unit.write_loop(self.unit, d, used)
        lines, operands = self._operands(d, "loop_in")
        self.lines += ["{", *lines]
        out = [f"p{k}" if n in used else "0" for n, k in enumerate(d.outputs)]
        self.lines += broken("    void *const loop_out[] = {", out, "};")
        args = ["rt", self._constants_name(), first, f"p{d.inputs[0]}[0]", operands, "loop_out"]
        self.lines += broken(f"    const int status = {name}(", args, ");")
        self.lines += ["    if (status)", "        return status;", "}"]

    def _branch(self, d: Def) -> None:
        """Call the function of one arm or of the other; where shapes are known only then, it says where the results lie."""
        assert d.arms is not None
        used, n = self._results(d), d.arms.shared
        more = len(d.arms.then.outputs)  # then come the results that only the other arm gives
        lines, operands = self._operands(d, "arm_in")
        target = {place: f"p{d.outputs[place]}" for place in used}
        after: list[str] = []
        for place in sorted(used):
            k = d.outputs[place]
            if self.defs[k].kind == "opaque":
                size = max(1, len(self.defs[k].extents))
                lines += [f"    int64_t s{place}[{size}] = {{0}}; /* no elements, if no arm gives it */",
                          f"    symbolic_result r{place} = {{s{place}, s{place}, 1}};"]
                declared, read = self._opaque(k, f"r{place}")
                self.lines += declared
                after += read
                target[place] = f"&r{place}"
        self.lines += ["{", *lines, "    int status;", f"    if (p{d.inputs[0]}[0]) {{"]
        for side, places in enumerate(([*range(more)], [*range(n), *range(more, len(d.outputs))])):
            own = {k: place for k, place in enumerate(places) if place in used}
            unsized = {k for k, place in own.items() if self.defs[d.outputs[place]].kind == "opaque"}
            first = self._code()
            name = self.unit.write_arm(self.unit, d, side == 0, set(own), unsized)
            out = [target[place] if place in used else "0" for place in places]
            self.lines += broken("        void *const arm_out[] = {", out or ["0"], "};")
            self.lines += broken(f"        status = {name}(", ["rt", self._constants_name(), first, operands, "arm_out"], ");")
            self.lines.append("    } else {" if side == 0 else "    }")
        self.lines += ["    if (status)", "        return status;", *after, "}"]

    def _python(self, d: Def) -> None:
        """Call Python; what it returns is copied to where it belongs, or to scratch memory if its shape wasn't known."""
        used = self._results(d)
        lines, operands = self._operands(d, "python_in", 0)
        made, after = [], []
        self.lines.append(f"/* {comment(d)} */")
        for n, k in enumerate(d.outputs):
            result, measured = self.defs[k], self._measured(k)
            want = [str(-1) if a in measured else self.host(e) for a, e in enumerate(result.extents)]
            if result.kind == "opaque" and n in used:
                declared, read = self._opaque(k, f"python_out[{n}]")
                self.lines += declared
                after += read
            target = f"p{k}" if result.kind == "result" and n in used else "0"
            shape = f"(int64_t[]){{{', '.join(want)}}}" if want else "0"
            made.append(f"{{{target}, {shape}, {int(self._live(k))}}}")
        self.lines += ["{", *lines, *broken("    symbolic_result python_out[] = {", made, "};")]
        self.lines.append(f"    if (rt->python(rt, {len(self.unit.python)}, {operands}, python_out))")
        self.lines += ["        return -1;", *after, "}"]
        self.unit.python.append(d.node)

    def _template(self, d: Def) -> None:
        """Call the function of a template; what it takes of scratch memory is given back."""
        assert d.template is not None
        used, t = self._results(d), d.template
        note = comment(self.defs[d.outputs[min(used)]])
        key = (t.name, t.fields, t.text)
        if not t.text:  # a kernel like others
            if key not in self.unit.templates:
                self.unit.templates[key] = self.unit.write_template(t, "KERNEL")
            function = Writer._kernel(self, self.unit.templates[key], [note])
        elif key not in self.unit.templates:
            function = self.unit.templates[key] = f"{t.name}_{len(self.unit.templates) + 1}"
            self.unit.loops.append(self.unit.write_template(t, function))
        else:
            function = self.unit.templates[key]
        lines, operands = self._operands(d, "template_in", 0)
        self.lines += [f"{{ /* {note} */", *lines]
        out = [f"p{k}" if n in used else "0" for n, k in enumerate(d.outputs)]
        self.lines += broken("    void *const template_out[] = {", out, "};")
        self.lines += ["    const symbolic_mark before = rt->mark(rt);",
                       f"    const int status = {function}(rt, {operands}, template_out);",
                       "    rt->release(rt, before);", "    if (status)"]
        self.lines += [f"        return status < 0 ? -1 : {self._code()} + status;", "}"]
        self.unit.failures += [Failure(text, error, d.node, 4) for error, text in t.failures]

    def _constants_name(self) -> str:
        return f"in + {len(self.lowering.graph.inputs)}"

    def _scatter(self, d: Def) -> None:
        self._allocate(d)
        if d.base is not None:
            self._begin_with(d)
        for part in d.parts:
            self._call(build_part(self.fusion, d, part), [comment(d)])

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
        self.unit.failures.append(Failure(d.check.message, d.check.error, d.node, len(detail)))  # type: ignore[union-attr]
        for k, text in enumerate(detail[:4]):
            self.lines.append(f"    rt->detail[{k}] = {text};")
        self.lines.append(f"    return {self._code()};")
        self.lines.append("}")

    def _at(self, e: Expr, axes: Sequence[str]) -> str:
        done: dict[Expr, str] = {}
        order = expr_toposort([e])
        parts = LongParts(order)
        for n in order:
            if n.op == "sym" and n.arg in axes:
                done[n] = n.arg
            elif n.op == "load":
                done[n] = f"p{n.arg}[{self._flat(n.arg, [done[a] for a in n.args])}]"
            elif not n.args:
                done[n] = self.host(n)
            else:
                done[n] = operation(n, [parenthesised(a, done[a]) for a in n.args])
            done[n] = parts.part(n, done[n])
        return f"(int64_t)({parts.text(done[e])})"

    def _copies(self) -> None:
        """Outputs that are inputs, views, or another output get memory of their own."""
        for slot, k in enumerate(self.lowering.outputs):
            if self.slots.get(k) == slot:
                continue
            d = self.defs[k]
            lines = self.lines if any(loads(e) for e in d.extents) else self.memory
            lines += self._target(slot, d, f"void *q{slot}")
            self.lines.append(f"memcpy(q{slot}, p{k}, ({self._count(d)}) * sizeof({CTYPES[d.dtype]}));")


def comment(d: Def) -> str:
    loc = None if d.node is None else d.node.loc
    text = f"{d.label}: {d.variable.type}" if d.variable is not None else f"{d.node.op}" if d.node is not None else d.label
    if loc is not None:
        text += f"  [{Path(loc.file).name}:{loc.line}: {loc.text}]"
    return text.replace("*/", "* /").replace("\n", " ")
