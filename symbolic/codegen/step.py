"""Stage *render*, for loops: a step's graph becomes the body of a C loop, in a function of its own.

Carries lie in two buffers that change places after each step, or in one where the new value may be written over the old;
those of few elements are local arrays, which a compiler keeps in registers. Traces are written where they stay, and a
carry that has one is read there.
Nothing is allocated inside the loop but what changes its shape from step to step.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from symbolic.codegen.fuse import Fusion
from symbolic.codegen.loops import Bound
from symbolic.codegen.lower import Def, Lowering
from symbolic.codegen.memory import SMALL, Plan, Planner, count
from symbolic.codegen.packing import Packing
from symbolic.codegen.prelude import WHOLE
from symbolic.codegen.printer import CTYPES
from symbolic.codegen.render import broken
from symbolic.codegen.writer import Failure, Unit, Writer, comment
from symbolic.config import config
from symbolic.errors import ShapeError
from symbolic.fgraph import signature
from symbolic.graph import Apply
from symbolic.infer import Guard, assumed, infer
from symbolic.loop import Loop, nested_nodes
from symbolic.scalar import Expr, const

_INDENT = "    "
_UNUSED = ("(void)rt;", "(void)constants;", "(void)first;", "(void)in;", "(void)out;")
#: work of a kernel that isn't worth asking for threads in every step
_TRIFLE = 1000


class LoopWriter(Writer):
    """Writes the function of one loop.

    Parameters
    ----------
    unit : Unit
    loop : Loop
    node : Apply or None
        The application that it belongs to.
    used : set of int
        The results that somebody reads; other traces aren't computed.
    """

    name = ""
    names_sizes = False  # some may change from step to step
    #: less than elsewhere: between steps threads stay awake
    product_worth = 4e5
    parameters: tuple[str, ...] = ("symbolic_runtime *rt", "const symbolic_array *constants", "int first",
                                   "int64_t steps", "const symbolic_array *in", "void *const *out")

    def __init__(self, unit: Unit, loop: Loop, node: Apply | None, used: set[int]) -> None:
        self.loop, self.node, self.used = loop, node, used
        self.failed_before = len(unit.failures)
        self.carries = loop.carries
        extents = infer(loop.graph)
        lowering = Lowering(loop.graph, extents)
        end = self.carries + loop.traces
        #: the result that each output of a step belongs to; carries last, as new values of what they were
        self.places = [k for k in range(self.carries, len(loop.graph.outputs)) if k in used or k >= end]
        self.places += range(self.carries)
        lowering.outputs = [lowering.outputs[k] for k in self.places]
        guards = [*extents.guards, *self._kept_extents(lowering)]
        self.each: list[str] = []
        super().__init__(lowering, Fusion(lowering, guards, parts=True), guards, range(self.carries), unit)

    def _kept_extents(self, lowering: Lowering) -> list[Guard]:
        return kept_extents(self.loop, lowering, self.node)

    def _order(self) -> Sequence[int]:
        """A small carry lies in registers, so it is copied to its trace; a large one is read where its trace lies."""
        slots = range(len(self.places))
        return sorted(slots, key=lambda n: not (n >= len(slots) - self.carries
                                                and self._small(self.defs[self.lowering.outputs[n]]) is not None))

    def _planned(self, updated: Sequence[int]) -> Plan:
        return Planner(self.fusion, self.slots, self.lowering.outputs, updated, fallible=False).plan

    # ------------------------------------------------------------------------------------- the function

    def _compose(self) -> None:
        self.hoisted = []
        self.packed = Packing(self, self._constant_of_loop)
        self.reused = False  # whether a step takes memory that the next one may have
        self.checking_before = True
        self._leaves()
        self._guards()
        head, self.lines = self.lines, []
        self.checking_before = False
        self.ready.update(range(self.carries + self.loop.sequences))
        self._guards()
        self._steps()
        carried = [self._carry(k) for k in range(self.carries)]
        body = [*self.memory, *self.lines]
        used = self._used([*head, *self.packed.lines, *body])
        each = [line for line in used if line in self.each]
        outside = [line for line in used if line not in self.each]
        before = [*outside, *head, *self.hoisted, *self.packed.lines]
        lines = [*before, *each, *body, *(line for parts in carried for part in parts for line in part)]
        self.lines = self._function([*self._named_extents(lines), *before], [*each, *body], carried)

    def _function(self, before: list[str], body: list[str], carried: list[tuple[list[str], list[str], list[str]]]
                  ) -> list[str]:
        out = [*_UNUSED, "rt->begin(rt, (double)steps * 100);", *before]
        for start, _, _ in carried:
            out += start
        failing = any("return" in line for line in body)
        if failing:  # an error tells the step
            out += ["const int64_t outer[2] = {rt->step[0], rt->step[1]};", "rt->step[1] = steps;"]
        out += ["int64_t t = 0;", "for (; t < steps; t++) {"]
        inner = ["const int64_t at = steps - 1 - t;" if self.loop.reverse else "const int64_t at = t;", "(void)at;"]
        if failing:
            inner.append("rt->step[0] = t + 1;")
        if self.reused:
            inner.append("const symbolic_mark mark = rt->mark(rt);")
        if self.loop.until:
            inner.append("bool stop[1];")
        inner += body
        for _, turn, _ in carried:
            inner += turn
        if self.reused:
            inner.append("rt->release(rt, mark);")
        if self.loop.until:
            inner += ["if (stop[0]) {", "    t++;", "    break;", "}"]
        out += [_INDENT + line for line in inner]
        out.append("}")
        if failing:
            out.append("rt->step[0] = outer[0], rt->step[1] = outer[1];")
        for _, _, finish in carried:
            out += finish
        if self.loop.until:
            last = len(self.loop.graph.outputs) - 1
            out += [f"if (out[{last}])", f"    *(int64_t *)out[{last}] = t;"]
        return [*out, "return 0;"]

    def text(self) -> str:
        """Return the function as C."""
        head = "\n".join(broken(f"static int {self.name}(", list(self.parameters), ")"))
        where = "" if self.node is None or self.node.loc is None else f"  [{self.node.loc}: {self.node.loc.text}]"
        about = f"/* {self.node.op if self.node else 'loop'}{where} */".replace("\n", " ")
        about = about[:-2].replace("*/", "* /") + "*/"
        return f"{about}\n{head}\n{{\n" + "\n".join(_INDENT + line for line in self.lines) + "\n}"

    # ------------------------------------------------------------------------------------------- leaves

    def _leaves(self) -> None:
        first = self.carries + self.loop.sequences
        live = set(self.fusion.order)
        for d in self.defs:
            c = CTYPES[d.dtype]
            if d.kind == "const" and d.id in live:
                self.leaves[f"p{d.id}"] = f"const {c} *p{d.id} = constants[{self._constant(d)}].data; /* {comment(d)} */"
                self.ready.add(d.id)
            elif d.kind != "input":
                continue
            elif d.id < self.carries:
                self._each(d, f"const {c} *p{d.id} = c{d.id}; /* {comment(d)} */")
            elif d.id < first:
                step = self._count(d)
                at = "at" if step == "1" else f"at * ({step})"
                self._each(d, f"const {c} *p{d.id} = (const {c} *)in[{d.id}].data + {at}; /* {comment(d)} */")
            else:
                self.leaves[f"p{d.id}"] = f"const {c} *p{d.id} = in[{d.id}].data; /* {comment(d)} */"
                self.ready.add(d.id)

    def _each(self, d: Def, line: str) -> None:
        self.each.append(line)
        self.leaves[f"p{d.id}"] = line

    def _axis(self, k: int, a: int) -> int:
        # along a sequence itself goes the loop
        return a + int(self.carries <= k < self.carries + self.loop.sequences)

    def _fail(self, condition: str, detail: list[str], failure: Failure) -> None:
        # without a step nothing is wrong
        super()._fail(f"steps > 0 && {condition}" if self.checking_before else condition, detail, failure)

    def _code(self) -> str:
        # from the one on that the caller says: the same function may belong to several loops
        return f"first + {len(self.unit.failures) - self.failed_before}"

    # ------------------------------------------------------------------------------------------- memory

    def _small(self, d: Def) -> int | None:
        """Return the number of elements of what may lie in a local array."""
        total: Expr = const(1, "int64")
        for n in d.extents:
            total = total * n
        return max(int(total.arg), 1) if total.op == "const" and total.arg <= SMALL else None

    def _carry(self, k: int) -> tuple[list[str], list[str], list[str]]:
        """Return the lines for a carry before the loop, at the end of a step, and after the loop."""
        d = self.defs[k]
        c, small, kept = CTYPES[d.dtype], self._small(d), self._stays(k)
        size = f"({self._count(d)}) * sizeof({c})"
        start: list[str] = []
        if self._follows(k):
            finish = [f"memcpy(out[{k}], c{k}, {size});"] if k in self.used else []
            return [f"const {c} *c{k} = in[{k}].data; /* {comment(d)} */"], [f"c{k} = p{self._new(k)};"], finish
        if small is not None:
            start.append(f"{c} c{k}[{small}]; /* {comment(d)} */")
            if not kept:
                start.append(f"{c} w{k}[{small}];")
            turn = [] if kept else [f"memcpy(c{k}, w{k}, {size});"]
        else:
            memory = f"out[{k}]" if k in self.used else f"rt->scratch(rt, {self._room(d)})"
            start += [f"{c} *c{k} = {memory}; /* {comment(d)} */", f"if (!c{k})", "    return -1;"]
            if not kept:
                start += [f"{c} *w{k} = rt->scratch(rt, {self._room(d)});", f"if (!w{k})", "    return -1;"]
            turn = [] if kept else [f"{c} *const v{k} = c{k};", f"c{k} = w{k};", f"w{k} = v{k};"]
        start.append(f"memcpy(c{k}, in[{k}].data, {size});")
        finish = []
        if k in self.used:
            finish = [f"memcpy(out[{k}], c{k}, {size});"] if small is not None else [] if kept else [
                f"if (c{k} != ({c} *)out[{k}])", f"    memcpy(out[{k}], c{k}, {size});"]
        return start, turn, finish

    def _room(self, d: Def) -> str:
        """Return the bytes of a value as C."""
        size: Expr = const(np.dtype(d.dtype).itemsize, "int64")
        for n in d.extents:
            size = size * n
        return self._bytes(size)

    def _slot(self, k: int) -> int:
        return len(self.places) - self.carries + k

    def _new(self, k: int) -> int:
        return self.lowering.outputs[self._slot(k)]

    def _follows(self, k: int) -> bool:
        """Whether the next step reads a carry from its trace."""
        slot = self.slots.get(self._new(k), len(self.places))
        return slot < len(self.places) - self.carries

    def _stays(self, k: int) -> bool:
        """Whether a carry lies in one place: it doesn't change, or is written over."""
        return self._new(k) == k or self.plan.inplace[k]

    def _target(self, slot: int, d: Def, declared: str) -> list[str]:
        place = self.places[slot]
        if slot >= len(self.places) - self.carries:
            return [f"{declared} = {'c' if self._stays(place) else 'w'}{place};"]
        if self.loop.until and place == len(self.loop.graph.outputs) - 1:
            return [f"{declared} = stop;"]
        step = self._count(d)
        at = "at" if step == "1" else f"at * ({step})"
        return [f"{declared} = ({CTYPES[d.dtype]} *)out[{place}] + {at};"]

    def _take(self, room: int, sizes: tuple[Expr, ...], lines: list[str]) -> None:
        size = sizes[0]
        if len(sizes) == 1 and size.op == "const" and size.arg <= SMALL * 8:
            self.hoisted.append(f"int64_t m{room}[{max(1, -(-int(size.arg) // 8))}];")
            return
        if lines is not self.hoisted:
            self.reused = True
        super()._take(room, sizes, lines)

    def _copies(self) -> None:
        for slot, k in enumerate(self.lowering.outputs):
            carried = slot >= len(self.places) - self.carries
            if self.slots.get(k) == slot or carried and (self.places[slot] == k or self._follows(self.places[slot])):
                continue
            d = self.defs[k]
            self.lines += self._target(slot, d, f"void *q{slot}")
            self.lines.append(f"memcpy(q{slot}, p{k}, ({self._count(d)}) * sizeof({CTYPES[d.dtype]}));")

    # ------------------------------------------------------------------------------------------- calls

    def _gemm(self, d: Def) -> None:
        packed = self.packed.product(d)
        if packed is None:
            super()._gemm(d)
            return
        self._allocate(d)
        self.lines.append(f"/* {comment(d)} */")
        self.lines += packed

    def _constant_of_loop(self, k: int) -> int | None:
        """Return the Def of which `k` is another view, if it is the same in every step."""
        while self.defs[k].kind == "view" and not self.defs[k].detail:
            k = self.defs[k].base  # type: ignore[assignment]
        d = self.defs[k]
        return k if d.kind == "const" or d.kind == "input" and k >= self.carries + self.loop.sequences else None

    def _kernel(self, text: str, notes: list[str]) -> str:
        if text not in self.unit.inner:
            digest = sha256((self.unit.identity + WHOLE + text).encode()).hexdigest()[:16]
            self.unit.inner[text] = (f"k_{digest}_step", [])
        name, seen = self.unit.inner[text]
        seen += notes
        return name

    def _threads(self, bound: Bound, values: list[str]) -> str:
        work = bound.kernel.work
        if work.op == "const" and work.arg <= min(_TRIFLE, config.openmp_threshold):
            return "1"
        return super()._threads(bound, values)

    def _loop(self, d: Def) -> None:
        self.reused = True
        super()._loop(d)

    def _python(self, d: Def) -> None:
        self.reused = True
        super()._python(d)

    def _branch(self, d: Def) -> None:
        self.reused = self.reused or any(self.defs[k].kind == "opaque" for k in d.outputs)
        super()._branch(d)

    def _constants_name(self) -> str:
        return "constants"


class ArmWriter(LoopWriter):
    """Writes the function of one arm of a branch: a loop of one step, without the loop."""

    parameters = ("symbolic_runtime *rt", "const symbolic_array *constants", "int first",
                                   "const symbolic_array *in", "void *const *out")

    def __init__(self, unit: Unit, loop: Loop, node: Apply | None, used: set[int], unsized: set[int]) -> None:
        #: the results whose shape is known only here: scratch memory is taken for them, and the caller told
        self.unsized = unsized
        super().__init__(unit, loop, node, used)

    def _function(self, before: list[str], body: list[str], carried: list[tuple[list[str], list[str], list[str]]]
                  ) -> list[str]:
        return [*_UNUSED, *before, *body, "return 0;"]

    def _fail(self, condition: str, detail: list[str], failure: Failure) -> None:
        Writer._fail(self, condition, detail, failure)

    def _kept_extents(self, lowering: Lowering) -> list[Guard]:
        return []

    def _target(self, slot: int, d: Def, declared: str) -> list[str]:
        place = self.places[slot]
        if place not in self.unsized:
            return [f"{declared} = out[{place}];"]
        size = count(d) * const(np.dtype(d.dtype).itemsize, "int64")
        return [f"symbolic_result *r{place} = out[{place}];",
                *(f"r{place}->shape[{a}] = {self.host(e)};" for a, e in enumerate(d.extents)),
                f"{declared} = r{place}->data = rt->scratch(rt, {self._bytes(size)});",
                f"if (!r{place}->data)", "    return -1;"]

    def _kernel(self, text: str, notes: list[str]) -> str:
        return Writer._kernel(self, text, notes)

    def _gemm(self, d: Def) -> None:
        Writer._gemm(self, d)  # one step: nothing to pack for


def kept_extents(loop: Loop, lowering: Lowering, node: Apply | None) -> list[Guard]:
    """Return the conditions that a carry has the same extents after a step as before, and a trace in each step."""
    found = []
    graph = loop.graph
    for k, (before, after) in enumerate(zip(graph.inputs, graph.outputs[:loop.carries], strict=False)):
        for axis, (m, n) in enumerate(zip(lowering.extents.of(before), lowering.extents.of(after), strict=True)):
            if m is not n:
                found.append(Guard((m <= n) & (n <= m), f"carry {k} has extent {{0}} along axis {axis} before a step and "
                                   "{1} after it", (m, n), ShapeError, node))
    end = loop.carries + loop.traces
    for k, v in enumerate(graph.outputs[loop.carries:end]):
        for axis, m in enumerate(lowering.extents.of(v)):
            n = assumed(m, graph, loop.carries + loop.sequences)
            if m is not n:
                found.append(Guard((m <= n) & (n <= m), f"trace {k} has extent {{0}} along axis {axis} in one step and "
                                   "{1} in another", (m, n), ShapeError, node))
    return found


def write_loop(unit: Unit, d: Def, used: set[int]) -> str:
    """Write the function of a loop into `unit` and return its name."""
    assert d.loop is not None
    return _written(unit, "loop", d.loop, d.node, used)


def write_arm(unit: Unit, d: Def, then: bool, used: set[int], unsized: set[int]) -> str:
    """Write the function of one arm of a branch into `unit` and return its name."""
    assert d.arms is not None
    graph = d.arms.then if then else d.arms.other
    return _written(unit, "arm", Loop(graph, 0, 0, len(graph.outputs), False, False), d.node, used, unsized)


def _written(unit: Unit, kind: str, loop: Loop, node: Apply | None, used: set[int], unsized: set[int] | None = None) -> str:
    """Return the name of a function: of an equal one that is there already, or of a new one."""
    key = (kind, signature(loop.graph, exact=True), loop.carries, loop.sequences, loop.traces, loop.until, loop.reverse,
           frozenset(used), frozenset(unsized or ()))
    nodes = [node, *nested_nodes(loop.graph)]
    if key in unit.written:
        name, failures, places = unit.written[key]
        unit.failures += [replace(f, node=None if k is None else nodes[k]) for f, k in zip(failures, places, strict=True)]
        return name
    before, called = len(unit.failures), len(unit.python)
    writer = LoopWriter(unit, loop, node, used) if unsized is None else ArmWriter(unit, loop, node, used, unsized)
    writer.name = f"{kind}_{len(unit.loops) + 1}"  # those inside it have their names by now
    unit.loops.append(writer.text())
    failures, place = unit.failures[before:], {n: k for k, n in enumerate(nodes)}
    if len(unit.python) == called and all(f.node is None or f.node in place for f in failures):
        places = [None if f.node is None else place[f.node] for f in failures]
        unit.written[key] = writer.name, failures, places
    return writer.name
