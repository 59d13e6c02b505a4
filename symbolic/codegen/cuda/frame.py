"""One evaluation of a graph's program on a device: where its values lie, and the steps in their order.

Extents and other scalars are evaluated here, on the host. One that the device computed is asked for, which waits; then
what was done can't simply be done again (`run.Run.dynamic`).
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic.codegen.cuda.geometry import OWNER, SLOT, STOPPED, CudaKernel, grid_of
from symbolic.codegen.cuda.inner import Inner
from symbolic.codegen.cuda.program import GraphProgram, Step
from symbolic.scalar import Expr, loads

if TYPE_CHECKING:
    from symbolic.codegen.cuda.run import Run

#: from this many elements on, positions need 64 bits: less than 2^32 by the steps of a grid
WIDE = 2**31


class Frame(Inner):
    """Runs a program.

    Parameters
    ----------
    run : Run
        The call that it belongs to.
    program : GraphProgram
    shapes : sequence of tuple of int
        Of the inputs.
    places : dict from int to int
        Where inputs lie; those that aren't there yet, `run` brings to the device.
    known : dict from int to ndarray
        Inputs that the host has.
    before : Frame, optional
        The step before, of a loop: what depends on shapes alone is the same as there.

    Attributes
    ----------
    targets : dict from int to int
        Where outputs are wanted, by slot.
    """

    def __init__(self, run: Run, program: GraphProgram, shapes: Sequence[tuple[int, ...]], places: dict[int, int],
                 known: dict[int, np.ndarray], before: Frame | None = None) -> None:
        self.run, self.program, self.defs = run, program, program.defs
        self.shapes, self.places, self.known = shapes, places, known
        self.targets: dict[int, int] = {}
        #: outputs that needn't be brought anywhere, and the step of a loop that this is
        self.kept: set[int] = set()
        self.step: int | None = None
        #: values of host expressions: of those that read something, and of those over shapes alone
        self.values: dict[Expr, Any] = {}
        self.fixed: dict[Expr, Any] = {} if before is None else before.fixed
        self.launches: dict[int, Any] = {} if before is None else before.launches
        self.ready = set(range(len(program.graph.inputs))) | {d.id for d in program.defs if d.kind == "const"}
        self.waiting = list(program.guards) if before is None else program.reading_guards

    # ----------------------------------------------------------------------------------------- memory

    def place(self, k: int) -> int:
        """Return where a Def lies that is computed, or an input or a constant."""
        found = self.places.get(k)
        if found is None:
            d = self.defs[k]
            if d.kind == "const":
                found = self.run.constant(d.variable.data)  # type: ignore[union-attr]
            elif d.kind == "input":
                found = self.run.input(k)
            elif d.kind == "view":
                found = self.place(d.base) + self.start(d) * np.dtype(d.dtype).itemsize  # type: ignore[arg-type]
            elif k in self.known:  # an extent that the host measured
                found = self.run.scratch((id(self.program), "known", k), self.known[k].nbytes)
                self.run.upload(found, self.known[k])
            else:
                raise AssertionError(f"{d.label} isn't computed")
            self.places[k] = found
        return found

    def room(self, k: int) -> int:
        """Return where a Def is to be written, finding memory for it."""
        found = self.places.get(k)
        if found is not None:
            return found
        plan, program = self.program.plan, self.program
        host = plan.host.get(k)
        if host is not None:
            found = self.room(host)
        elif k in program.slots:
            slot = program.slots[k]
            found = self.targets.get(slot)
            if found is None:
                found = self.run.target(self, slot, k)
        else:
            room = plan.room[k]
            others = [int(self.value(e)) for e in plan.sizes[room] if not loads(e)]
            found = self.run.scratch((id(program), room), max(self.size(k), *others) if others else self.size(k))
        self.places[k] = found
        return found

    # ------------------------------------------------------------------------------------------ steps

    def evaluate(self) -> list[int]:
        """Do all steps; return where the outputs lie."""
        self.check_guards()
        timed = self.run.owner.times is not None and self.program is self.run.program.root
        for step in self.program.steps:
            run = getattr(self, f"_{step.kind}")
            if timed and step.kind != "view":
                self.run.timed(step, self, run)
            else:
                run(step)
            self.ready.add(step.d.id)
            self.ready.update(step.d.outputs)
            self.ready.update(step.made)
            if self.waiting:
                self.check_guards()
        return [self._output(slot, k) for slot, k in enumerate(self.program.outputs)]

    def _output(self, slot: int, k: int) -> int:
        """Return where an output lies; what is an input, a view or another output is copied."""
        if self.program.slots.get(k) == slot:
            return self.room(k)
        if slot in self.kept:
            return self.place(k)
        target = self.targets.get(slot)
        if target is None:
            target = self.run.target(self, slot, k)
        size = self.size(k)
        if size:
            self.run.do("copy", target, self.place(k), size)
        return target

    def check_guards(self) -> None:
        """Test the conditions over extents that can be tested by now."""
        rest = []
        for item in self.waiting:
            guard, needs, condition, detail = item
            if not needs <= self.ready:
                rest.append(item)
            elif not self.value(condition):
                self.run.guard_failed(guard, tuple(int(self.value(e)) for e in detail[:4]))
        self.waiting = rest

    def _view(self, step: Step) -> None:
        self.place(step.d.id)

    def _kernel(self, step: Step) -> None:
        self.launch(*step.kernels[0], step.what, step.made)

    def launch(self, name: str, kernel: CudaKernel, what: str, writes: Sequence[int] = (), special: dict[int, int] | None = None
               ) -> None:
        """Launch a kernel, and the one that joins its parts where there are several."""
        for k in writes:
            self.room(k)
        found = self.launches.get(id(kernel))
        if found is None:
            sizes = [int(self.value(e)) for e in kernel.sizes]
            values = [np.asarray(self.value(e)).astype(e.dtype)[()] for e in kernel.params]
            found = sizes, values, grid_of(kernel, sizes)
            if not any(e in self.values for e in (*kernel.sizes, *kernel.params)):
                self.launches[id(kernel)] = found
        sizes, values, grid = found
        if grid is None:
            return
        parts = grid[0][1]
        special = {STOPPED: self.run.status, **(special or {})}
        pointers = [np.uint64(special[k] if k < 0 else self.place(k)) for k in kernel.buffers]
        partial: list[np.uint64] = []
        for n, dtype in enumerate(kernel.accumulators):
            size = parts * sizes[0] * np.dtype(dtype).itemsize if parts > 1 else 0
            partial.append(np.uint64(self.run.scratch((name, n), size) if size else 0))
        wide = any(n >= WIDE for n in sizes)
        self.run.launch(name, wide, grid[0], grid[1], [*pointers, *values, *map(np.int64, sizes), *partial], what)
        if parts > 1:
            assert kernel.join is not None
            both = grid_of(kernel.join, sizes)
            assert both is not None
            join = self.run.name_of(kernel.join)
            pointers = [np.uint64(special[k] if k < 0 else self.place(k)) for k in kernel.join.buffers]
            counts = np.int64(sizes[0]), np.int64(parts)
            self.run.launch(join, wide, both[0], both[1], [*pointers, *values, *counts, *partial], what)

    def _gemm(self, step: Step) -> None:
        d = step.d
        x, y = (self.shape(k) for k in d.inputs)
        flip_x, flip_y = d.transposed or (False, False)
        m = 1 if len(x) == 1 else x[1] if flip_x else x[0]
        n = 1 if len(y) == 1 else y[0] if flip_y else y[1]
        k = x[0] if len(x) == 1 or flip_x else x[1]
        target = self.room(d.id)
        size = self.size(d.id)
        if size == 0:
            return
        if d.base is not None and d.id not in self.program.plan.donor:
            self.run.do("copy", target, self.place(d.base), size)
        if k == 0 and d.base is None:
            self.run.do("fill", target, 0, size)
            return
        # row-major x y is column-major (x y).T = y.T x.T
        right, left = self.place(d.inputs[1]), self.place(d.inputs[0])
        self.run.do("gemm", d.dtype, bool(flip_y), bool(flip_x), n, m, k, d.alpha, right, max(k, 1) if flip_y else n, left,
                    m if flip_x else max(k, 1), d.beta, target, n)

    def _scatter(self, step: Step) -> None:
        d = step.d
        target = self.room(d.id)
        size = self.size(d.id)
        if d.base is not None and d.id not in self.program.plan.donor and size:
            self.run.do("copy", target, self.place(d.base), size)
        if not size:
            return
        owner = 0
        for name, kernel in step.kernels:
            if OWNER in kernel.buffers and d.id not in kernel.buffers:  # who writes last is found first
                count = size // np.dtype(d.dtype).itemsize
                owner = self.run.scratch("owners", 8 * count)
                self.run.do("fill", owner, 0xFF, 8 * count)
            self.launch(name, kernel, step.what, (), {OWNER: owner})

    def _check(self, step: Step) -> None:
        self.launch(*step.kernels[0], step.what, (), {SLOT: self.run.status + 8 * (1 + step.slot)})
        self.run.checked(self, step)
