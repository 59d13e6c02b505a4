"""A captured graph as steps for a device: kernels to launch, products, what the host does; loops and arms are programs too.

Nothing here depends on a device, nor on extents: `run` gives both.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from symbolic.codegen.cuda.geometry import CudaKernel
from symbolic.codegen.cuda.kernels import Writer
from symbolic.codegen.cuda.text import cuda_prelude
from symbolic.codegen.fuse import Fusion, Group
from symbolic.codegen.lower import Def, Lowering
from symbolic.codegen.memory import ALLOCATES, Plan, Planner
from symbolic.codegen.python_step import PythonStep
from symbolic.codegen.step import kept_extents
from symbolic.codegen.writer import comment
from symbolic.config import config
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply
from symbolic.infer import Guard, infer
from symbolic.loop import Loop, nested_nodes
from symbolic.scalar import Expr
from symbolic.types import is_discrete


@dataclass
class Step:
    """One step.

    Attributes
    ----------
    kind : str
        ``kernel``, ``view``, ``gemm``, ``scatter``, ``check``, ``loop``, ``branch`` or ``host``.
    d : Def
        What it computes; of a kernel, the last value.
    kernels : list of (str, CudaKernel)
        With their names.
    made : list of int
        Defs that a kernel writes.
    what : str
        For people.
    inner : list of GraphProgram
        The step of a loop; both arms of a branch.
    slot : int
        The number of a check.
    """

    kind: str
    d: Def
    what: str
    kernels: list[tuple[str, CudaKernel]] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    inner: list[GraphProgram] = field(default_factory=list)
    slot: int = 0
    python: PythonStep | None = None


class Kernels:
    """The kernels of a program and of what is inside of it; equal texts are one."""

    def __init__(self, guarded: bool, deterministic: bool) -> None:
        self.guarded, self.deterministic = guarded, deterministic
        self.names: dict[str, str] = {}
        self.notes: dict[str, list[str]] = {}
        self.checks: list[Def] = []

    def name(self, kernel: CudaKernel, note: str) -> str:
        """Return the name of a kernel, and of the one that joins its parts."""
        if kernel.join is not None:
            self.name(kernel.join, f"parts of {note}")
        if kernel.text not in self.names:
            self.names[kernel.text] = f"k_{sha256(kernel.text.encode()).hexdigest()[:16]}"
        name = self.names[kernel.text]
        self.notes.setdefault(name, []).append(note)
        return name

    def code(self) -> str:
        """Return the text of all kernels as it is compiled: the same for the same computation, wherever its user wrote it."""
        texts = [text.replace("KERNEL", name) for text, name in self.names.items()]
        return f"{cuda_prelude(chr(10).join(self.names))}\n{chr(10).join(texts)}"

    def source(self, title: str) -> str:
        """Return the same for people: with what each kernel computes."""
        bodies = []
        for text, name in self.names.items():
            notes = "".join(f"/* {n} */\n" for n in dict.fromkeys(self.notes[name]))
            bodies.append(notes + text.replace("KERNEL", name))
        return f"/* {title.replace('*/', '* /')} */\n{cuda_prelude(chr(10).join(self.names))}\n{chr(10).join(bodies)}"


class GraphProgram:
    """The steps of one graph.

    Attributes
    ----------
    steps : list of Step
    guards : list of (Guard, set of int, Expr, tuple of Expr)
        With the Defs that the condition reads, the condition and details as host expressions.
    outputs : list of int
    slots : dict from int to int
        The output that a Def is written to.
    places : list of int
        The result that each output belongs to.
    """

    def __init__(self, graph: FunctionGraph, kernels: Kernels, updated: Sequence[int] = (), loop: Loop | None = None,
                 node: Apply | None = None, fallible: bool = True, host_inputs: Iterable[int] = (),
                 used: Iterable[int] | None = None) -> None:
        self.graph, self.loop = graph, loop
        self.host_inputs = set(host_inputs)
        extents = infer(graph)
        self.lowering = Lowering(graph, extents, templates=False)
        #: the result that each output belongs to; carries of a loop last, as new values of what they were
        self.places = list(range(len(graph.outputs)))
        if loop is not None and used is not None:
            read, end = set(used), loop.carries + loop.traces
            self.places = [k for k in self.places[loop.carries:] if k in read or k >= end] + self.places[:loop.carries]
            self.lowering.outputs = [self.lowering.outputs[k] for k in self.places]
        guards: list[Guard] = list(extents.guards)
        if loop is not None:
            guards += kept_extents(loop, self.lowering, node)
        # a product that is added to what is there can't be stopped by a failed check
        self.fusion = Fusion(self.lowering, guards, products=not kernels.guarded, parts=True)
        self.defs, self.outputs = self.fusion.defs, self.lowering.outputs
        self.slots: dict[int, int] = {}
        for slot, k in enumerate(self.outputs):
            if self.defs[k].kind in ALLOCATES:
                self.slots.setdefault(k, slot)
        self.plan: Plan = Planner(self.fusion, self.slots, self.outputs, updated, fallible).plan
        self.guards = [(g, *self._hosted(g)) for g in guards]
        self.reading_guards = [g for g in self.guards if g[1]]
        self.writer = Writer(self.fusion, self.plan.donor, kernels.guarded, kernels.deterministic, self.host_inputs)
        self.steps = [self._step(s, kernels) for s in self.fusion.steps if not self._counts_steps(s)]

    def _hosted(self, g: Guard) -> tuple[set[int], Expr, tuple[Expr, ...]]:
        condition = self.lowering.host(g.condition)
        return {n.arg for n in _loads(condition)}, condition, tuple(self.lowering.host(e) for e in g.detail)

    def told(self, k: int) -> Expr | None:
        """Return a scalar as a host expression, if it can be told from extents and what the host knows."""
        v = self.defs[k].variable
        found = None if v is None else self.lowering.extents.value.get(v)
        return None if found is None else self.lowering.host(found)

    def _counts_steps(self, step: Any) -> bool:
        """Whether a kernel would only tell loops how many steps there are, or branches which arm, which the host knows."""
        if not isinstance(step, Group) or any(k in self.fusion.roots or self.told(k) is None for k in step.items):
            return False
        readers = [self.defs[c] for k in step.items for c in self.fusion.clients.get(k, ())]
        return all(r.kind in ("loop", "branch") and r.inputs[0] in step.items
                   and not set(r.inputs[1:]) & set(step.items) for r in readers)

    def _step(self, step: Any, kernels: Kernels) -> Step:
        if isinstance(step, Group):
            kernel = self.writer.group(step)
            what = "; ".join(comment(self.defs[k]) for k in step.items)
            stored = [k for k in step.items if k in kernel.buffers]
            return Step("kernel", self.defs[step.items[-1]], what, [(kernels.name(kernel, what), kernel)], stored)
        d: Def = step
        shown = d if d.variable is not None or not d.outputs else self.defs[d.outputs[0]]
        made = Step({"python": "host", "template": "host"}.get(d.kind, d.kind), d, comment(shown))
        if d.kind == "scatter":
            for part in d.parts:
                each = self.writer.scatter(d, part)
                made.kernels += [(kernels.name(k, made.what), k) for k in each]
        elif d.kind == "check":
            made.slot = len(kernels.checks)
            kernels.checks.append(d)
            kernel = self.writer.check(d)
            made.what = f"check: {d.check.message}"  # type: ignore[union-attr]
            made.kernels = [(kernels.name(kernel, made.what), kernel)]
        elif d.kind == "loop":
            assert d.loop is not None
            made.inner = [GraphProgram(d.loop.graph, kernels, range(d.loop.carries), d.loop, d.node, fallible=False,
                                       used=self.used(d))]
        elif d.kind == "branch":
            assert d.arms is not None
            made.inner = [GraphProgram(g, kernels, fallible=False) for g in (d.arms.then, d.arms.other)]
        elif d.kind == "python":
            made.python = PythonStep(d.node)  # type: ignore[arg-type]
        return made

    def used(self, d: Def) -> list[int]:
        """Return the results of a step that somebody reads, by number."""
        return [n for n, k in enumerate(d.outputs) if self.live(k) or any(self.live(e) for e in self.measured(k).values())]

    def live(self, k: int) -> bool:
        """Whether somebody reads a Def."""
        return k in self.fusion.clients or k in self.fusion.roots

    def measured(self, k: int) -> dict[int, int]:
        """Return the Defs of the extents of a result that are known only once it is there, by axis."""
        found = self.lowering.extents.measured.get(self.defs[k].variable, {})  # type: ignore[arg-type]
        return {a: self.lowering.get(v).id for a, v in found.items()}

    def all_steps(self) -> Iterable[Step]:
        """Return the steps, those of loops and arms as well."""
        for s in self.steps:
            yield s
            for inner in s.inner:
                yield from inner.all_steps()


def _loads(e: Expr) -> list[Expr]:
    stack, found = [e], []
    while stack:
        n = stack.pop()
        if n.op == "load":
            found.append(n)
        stack.extend(n.args)
    return found


class DeviceProgram:
    """A whole function: its graph's steps, and the text of its kernels."""

    def __init__(self, graph: FunctionGraph, updated: Sequence[int], arguments: int, title: str) -> None:
        guarded = any(c.extents for n in nested_nodes(graph) for c in n.op.checks(*(v.type for v in n.inputs)))
        self.kernels = Kernels(guarded, config.deterministic == "more")
        host = [k for k, v in enumerate(graph.inputs[:arguments]) if v.ndim == 0 and is_discrete(v.dtype)]
        self.root = GraphProgram(graph, self.kernels, updated, host_inputs=host)
        self.guarded, self.updated, self.arguments = guarded, list(updated), arguments
        self.source, self.code = self.kernels.source(title), self.kernels.code()
        self.names = list(self.kernels.names.values())
