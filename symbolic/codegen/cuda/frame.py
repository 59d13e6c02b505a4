"""One evaluation of a graph's program on a device: where its values lie, and the steps in their order.

Extents and other scalars are evaluated here, on the host. One that the device computed is asked for, which waits; then
what was done can't simply be done again (`run.Run.dynamic`).
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic import errors
from symbolic.codegen.cuda.kernels import OWNER, SLOT, STOPPED, CudaKernel, grid_of
from symbolic.codegen.cuda.program import GraphProgram, Step
from symbolic.codegen.lower import Def
from symbolic.graph import describe
from symbolic.scalar import ATOMS, Expr, toposort

if TYPE_CHECKING:
    from symbolic.codegen.cuda.run import Run

#: from this many elements on, positions need 64 bits: less than 2^32 by the steps of a grid
WIDE = 2**31
#: elements up to which a constant's value is handed on to loops and arms for extents
SMALL = 64


class Frame:
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

    # ---------------------------------------------------------------------------------------- scalars

    def value(self, e: Expr) -> Any:
        """Return a host expression's value."""
        if e.op == "const":
            return e.arg
        if e in self.fixed:
            return self.fixed[e]
        if e not in self.values:
            with np.errstate(all="ignore"):
                for n in toposort([e]):
                    if n in self.fixed or n in self.values:
                        continue
                    value = self._value(n)
                    (self.values if n.op == "load" or any(a in self.values for a in n.args) else self.fixed)[n] = value
        return self.fixed[e] if e in self.fixed else self.values[e]

    def _value(self, n: Expr) -> Any:
        if n.op == "const":
            return np.asarray(n.arg, n.dtype)[()]
        if n.op == "sym":
            k, _, a = n.arg[1:].partition("_")
            return np.int64(self.shapes[int(k)][int(a)])
        args = [self.fixed[a] if a in self.fixed else self.values[a] for a in n.args]
        if n.op == "load":
            return self.scalar(n.arg, [int(a) for a in args])
        if n.op == "select":
            return args[1] if args[0] else args[2]
        if n.op == "cast":
            return np.asarray(args[0]).astype(n.dtype)[()]
        return np.asarray(ATOMS[n.op].numpy(*args)).astype(n.dtype)[()]

    def scalar(self, k: int, index: Sequence[int]) -> Any:
        """Return an element of a Def: the host's, or the device's, which is waited for."""
        d = self.defs[k]
        while d.kind == "view":
            d = self.defs[d.base]  # type: ignore[index]
        if d.kind == "const":
            return d.variable.data[tuple(index)]  # type: ignore[union-attr]
        if d.id in self.known:
            self._looked(d)
            return self.known[d.id].reshape(self.shape(k))[tuple(index)]
        at = 0
        for n, i in zip(self.shape(k), index, strict=True):
            at = at * n + min(max(i, 0), max(n - 1, 0))
        if 0 in self.shape(k):
            return np.zeros((), d.dtype)[()]
        return self.run.read(self.place(k) + at * np.dtype(d.dtype).itemsize, (), d.dtype)[()]

    def _looked(self, d: Def) -> None:
        """Take note that the value of an argument counts, unless calls with other values are other calls anyway."""
        if d.kind == "input" and self.program is self.run.program.root and d.id not in self.program.host_inputs:
            self.run.dynamic = True

    def shape(self, k: int) -> tuple[int, ...]:
        """Return the extents of a Def."""
        return tuple(int(self.value(e)) for e in self.defs[k].extents)

    def size(self, k: int) -> int:
        """Return the bytes of a Def."""
        return int(np.prod(self.shape(k), dtype="int64")) * np.dtype(self.defs[k].dtype).itemsize

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
                found = self.place(d.base)  # type: ignore[arg-type]
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
            found = self.run.scratch((id(program), room), int(self.value(plan.sizes[room])))
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
        self.places[step.d.id] = self.place(step.d.base)  # type: ignore[arg-type]

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
        if m * n == 0:
            return
        if k == 0:
            self.run.do("fill", target, 0, self.size(d.id))
            return
        # row-major x y is column-major (x y).T = y.T x.T
        self.run.do("gemm", d.dtype, bool(flip_y), bool(flip_x), n, m, k, self.place(d.inputs[1]), k if flip_y else n,
                    self.place(d.inputs[0]), m if flip_x else k, target, n)

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

    def failed_check(self, step: Step, flat: int) -> tuple[Any, tuple[int, ...]]:
        """Return the check of a step and its details for the element at which it failed."""
        d = step.d
        at, left = {}, flat
        for a, n in reversed(list(zip(d.axes, d.domain, strict=True))):
            extent = int(self.value(n))
            at[a], left = left % extent, left // extent
        details = tuple(int(self._at(e, at)) for e in d.detail[:4])
        return d.check, details

    def _at(self, e: Expr, at: dict[str, int]) -> Any:
        done: dict[Expr, Any] = {}
        with np.errstate(all="ignore"):
            for n in toposort([e]):
                args = [done[a] for a in n.args]
                if n.op == "sym" and n.arg in at:
                    done[n] = np.int64(at[n.arg])
                elif n.op == "load":
                    done[n] = self.scalar(n.arg, [int(a) for a in args])
                elif n.op == "select":
                    done[n] = args[1] if args[0] else args[2]
                elif n.op == "cast":
                    done[n] = np.asarray(args[0]).astype(n.dtype)[()]
                else:
                    done[n] = self._value(n) if not args else np.asarray(ATOMS[n.op].numpy(*args)).astype(n.dtype)[()]
        return done[e]

    # --------------------------------------------------------------------------- results of several

    def _host(self, step: Step) -> None:
        """Compute on the host: copy operands out, results in."""
        d = step.d
        assert step.python is not None
        self.run.settle()
        arrays = []
        for k in d.inputs:
            array = self._host_array(k)
            array.flags.writeable = False
            arrays.append(array)
        self.run.device.counts.host_steps += 1
        results = self._computed(step, arrays)
        for n, (k, r) in enumerate(zip(d.outputs, results, strict=True)):
            measured = self.program.measured(k)
            for a, extent in measured.items():
                self.known[extent] = np.asarray(r.shape[a], "int64")
                self.ready.add(extent)
            want = tuple(-1 if a in measured else int(self.value(e)) for a, e in enumerate(self.defs[k].extents))
            if any(m not in (-1, e) for m, e in zip(want, r.shape, strict=True)):
                raise step.python.mismatch(n, r.shape, want, arrays)
            if n in self.program.used(d):
                self.places[k] = (self.run.scratch((id(self.program), "opaque", k), r.nbytes) if self.defs[k].kind == "opaque"
                                  else self.room(k))
                self.run.upload(self.places[k], r)

    def _computed(self, step: Step, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return what the host computes; errors of the package's own ops are told as by compiled programs."""
        assert step.python is not None
        node = step.python.node
        try:
            with np.errstate(all="ignore"):
                return step.python(*arrays)
        except errors.SymbolicError as error:
            if node.op.opaque or not node.op.stable:
                raise
            text, _, hint = str(error).partition("\nhint: ")
            raise type(error)(errors.message(node.op.name, text, tuple(describe(v) for v in node.inputs), node.loc, hint or None)
                              ) from None

    def _host_array(self, k: int) -> np.ndarray:
        d = self.defs[k]
        while d.kind == "view":
            d = self.defs[d.base]  # type: ignore[index]
        shape = self.shape(k)
        if d.kind == "const":
            return np.array(d.variable.data).reshape(shape)  # type: ignore[union-attr]
        if d.id in self.known:
            return np.array(self.known[d.id]).reshape(shape)
        return self.run.read(self.place(k), shape, d.dtype)

    def _known(self, k: int) -> np.ndarray | None:
        """Return the value of a small Def, if the host has it."""
        d = self.defs[k]
        while d.kind == "view":
            d = self.defs[d.base]  # type: ignore[index]
        found = d.variable.data if d.kind == "const" else self.known.get(d.id)  # type: ignore[union-attr]
        if found is None or found.size > SMALL or found.dtype.kind not in "biu":
            return None
        self._looked(d)
        return found.reshape(self.shape(k))

    def _hosted(self, operands: Sequence[int], first: int) -> dict[int, np.ndarray]:
        """Return which inputs of an inner program the host knows, from number `first` on."""
        found = {n: self._known(k) for n, k in enumerate(operands) if n >= first}
        return {n: v for n, v in found.items() if v is not None}

    def _loop(self, step: Step) -> None:
        """Do the steps of a loop. A carry has two places in turn, or one if it is written over, or lies in its trace."""
        d, inner = step.d, step.inner[0]
        loop = d.loop
        assert loop is not None
        steps, used, operands = int(self.scalar(d.inputs[0], ())), set(self.program.used(d)), d.inputs[1:]
        a, b = loop.carries, loop.carries + loop.sequences
        shapes = [self.shape(k) for k in operands]
        shapes = [s[1:] if a <= n < b else s for n, s in enumerate(shapes)]
        sizes = [int(np.prod(s, dtype="int64")) * np.dtype(self.defs[k].dtype).itemsize
                 for s, k in zip(shapes, operands, strict=True)]
        known = self._hosted(operands, b)
        results = {n: self.room(d.outputs[n]) for n in used if n < a + loop.traces}
        lengths = {n: self.size(d.outputs[n]) // max(1, self.shape(d.outputs[n])[0]) for n in results if n >= a}
        carried = [self.run.scratch((id(inner), "carry", c), sizes[c]) for c in range(a)]
        stays = [self._stays(inner, c) for c in range(a)]
        other = [self.run.scratch((id(inner), "next", c), sizes[c]) if not stays[c] else 0 for c in range(a)]
        for c in range(a):
            if sizes[c]:
                self.run.do("copy", carried[c], self.place(operands[c]), sizes[c])
        taken, frame = 0, None
        while taken < steps:
            at = steps - 1 - taken if loop.reverse else taken
            places = dict(enumerate(carried))
            places |= {n: self.place(operands[n]) + (at * sizes[n] if n < b else 0) for n in range(a, len(operands))}
            frame = Frame(self.run, inner, shapes, places, dict(known), frame)
            frame.kept = {len(inner.places) - a + c for c in range(a) if stays[c]}
            for slot, place in enumerate(inner.places):
                if place < a:
                    frame.targets[slot] = carried[place] if inner.plan.inplace[place] else other[place]
                elif place < a + loop.traces:
                    frame.targets[slot] = results[place] + at * lengths[place]
                else:
                    frame.targets[slot] = self.run.scratch((id(inner), "until"), 1)
            frame.step = taken
            lie = frame.evaluate()
            for c in range(a):
                slot = len(inner.places) - a + c
                if not stays[c]:
                    carried[c], other[c] = other[c], carried[c]
                elif not inner.plan.inplace[c]:
                    carried[c] = lie[slot]
            taken += 1
            if loop.until and self.run.read(lie[inner.places.index(a + loop.traces)], (), "bool"):
                break
        for c in range(a):
            if c in used and sizes[c]:
                self.run.do("copy", results[c], carried[c], sizes[c])
        if loop.until:
            count = d.outputs[a + loop.traces]
            self.known[count] = np.asarray(taken, "int64")
            if a + loop.traces in used:
                self.run.upload(self.room(count), self.known[count])

    def _stays(self, inner: GraphProgram, c: int) -> bool:
        """Whether a carry's new value isn't written to a place of its own: over the old one, or where it lies anyway."""
        slot = len(inner.places) - len(inner.plan.inplace) + c
        k = inner.outputs[slot]
        d = inner.defs[k]
        if inner.plan.inplace[c] or k == c or d.kind == "const":
            return True
        if d.kind == "input":  # an element of a sequence, or a constant; another carry's old place is written to
            return k >= len(inner.plan.inplace)
        return inner.slots.get(k, slot) < len(inner.places) - len(inner.plan.inplace)

    def _branch(self, step: Step) -> None:
        d = step.d
        arms = d.arms
        assert arms is not None
        first = bool(self.scalar(d.inputs[0], ()))
        inner = step.inner[0 if first else 1]
        more, n = len(arms.then.outputs), arms.shared
        results = [*range(more)] if first else [*range(n), *range(more, len(d.outputs))]
        used = set(self.program.used(d))
        operands = d.inputs[1:]
        places = {k: self.place(o) for k, o in enumerate(operands)}
        known = self._hosted(operands, 0)
        frame = Frame(self.run, inner, [self.shape(o) for o in operands], places, known)
        for slot, place in enumerate(results):
            k = d.outputs[place]
            if place in used and self.defs[k].kind != "opaque":
                frame.targets[slot] = self.room(k)
        lie = frame.evaluate()
        for slot, place in enumerate(results):
            k = d.outputs[place]
            shape = frame.shape(inner.outputs[slot])
            for a, extent in self.program.measured(k).items():
                self.known[extent] = np.asarray(shape[a], "int64")
                self.ready.add(extent)
            self.places.setdefault(k, lie[slot])
        for place in set(range(len(d.outputs))) - set(results):  # nobody reads what the other arm would have given
            k = d.outputs[place]
            for extent in self.program.measured(k).values():
                self.known[extent] = np.asarray(0, "int64")
                self.ready.add(extent)
            if self.defs[k].kind == "opaque":
                self.places[k] = self.run.scratch((id(self.program), "none", k), 16)
            elif place in used:
                self.room(k)

