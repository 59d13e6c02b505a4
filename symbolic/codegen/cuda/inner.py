"""Steps that hold other programs, and those that the host computes."""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symbolic import errors
from symbolic.codegen.cuda.program import GraphProgram, Step
from symbolic.codegen.cuda.values import Values
from symbolic.graph import describe

#: elements up to which a value that the host has is handed on to loops and arms for extents
SMALL = 64


class Inner(Values):
    """Loops, branches and the host's steps of a frame.

    A loop is gone around by the host: each step is a frame of its own, and what it asks of the device goes into the same
    recording, so that all steps are one graph where their number is known beforehand.
    """

    places: dict[int, int]
    targets: dict[int, int]
    ready: set[int]
    kept: set[int]
    step: int | None

    def room(self, k: int) -> int:
        """Return where a Def is to be written."""
        raise NotImplementedError

    def evaluate(self) -> list[int]:
        """Do all steps; return where the outputs lie."""
        raise NotImplementedError

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
        shape, (d, start) = self.shape(k), self.shown(k)
        value = d.variable.data if d.kind == "const" else self.known.get(d.id)  # type: ignore[union-attr]
        if value is None:
            return self.run.read(self.place(k), shape, d.dtype)
        return np.array(value.reshape(-1)[start:start + math.prod(shape)]).reshape(shape)

    def _known(self, k: int) -> np.ndarray | None:
        """Return the value of a small Def, if the host has it."""
        d, start = self.shown(k)
        found = d.variable.data if d.kind == "const" else self.known.get(d.id)  # type: ignore[union-attr]
        shape = self.shape(k)
        if found is None or math.prod(shape) > SMALL or found.dtype.kind not in "biu":
            return None
        self._looked(d)
        return found.reshape(-1)[start:start + math.prod(shape)].reshape(shape)

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
        sizes = [math.prod(s) * np.dtype(self.defs[k].dtype).itemsize
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
            frame = type(self)(self.run, inner, shapes, places, dict(known), frame)  # type: ignore[call-arg]
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
        frame = type(self)(self.run, inner, [self.shape(o) for o in operands], places, known)  # type: ignore[call-arg]
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
