"""Calls of a program: the first with certain shapes is worked out step by step, and what the device was asked for is kept.

A call with the same shapes then asks for the same again, as one captured graph where the device can. That isn't possible
where the host had to look at something on the way (a step in Python, a loop that may end early, an extent that depends on
values); such calls are worked out every time.
"""
from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic.codegen.cuda.frame import Frame
from symbolic.codegen.cuda.geometry import CudaKernel
from symbolic.codegen.cuda.memory import DeviceCell, Memory
from symbolic.codegen.cuda.program import DeviceProgram, Step
from symbolic.codegen.cuda.protocol import Counts, Device
from symbolic.errors import DeviceError, DeviceMemoryError
from symbolic.infer import Guard

#: recordings that a function keeps, each with the memory that its calls use
KEPT = 8
#: commands from which a call isn't recorded: unrolled loops of many steps
LONGEST = 20_000


class GuardFailed(Exception):
    """A condition over extents that a call doesn't meet."""

    def __init__(self, guard: Guard, detail: tuple[int, ...]) -> None:
        super().__init__(guard.message)
        self.guard, self.detail = guard, detail


class CheckFailed(Exception):
    """A condition over values that doesn't hold."""

    def __init__(self, check: Any, node: Any, detail: tuple[int, ...], step: int | None) -> None:
        super().__init__(check.message)
        self.check, self.node, self.detail, self.step = check, node, detail, step


class Recording:
    """What a call asked the device for."""

    def __init__(self) -> None:
        self.commands: list[tuple[Any, tuple[Any, ...]]] = []
        self.inputs: list[tuple[int, int]] = []
        self.outputs: list[tuple[int, tuple[int, ...], str]] = []
        self.updates: list[tuple[int, ...]] = []
        self.memory: dict[Any, Memory] = {}
        self.status = 0
        self.calls = 0
        self.graph: Any = None


class Program:
    """A function's program on a device, with its kernels, constants and recordings."""

    def __init__(self, program: DeviceProgram, device: Device) -> None:
        self.program, self.device = program, device
        self.constants: dict[int, tuple[Memory, np.ndarray]] = {}
        self.recordings: OrderedDict[Any, Recording] = OrderedDict()
        self._functions: dict[bool, dict[str, Any]] = {}
        self.counts = Counts()
        self.capture = True
        #: with a profile: calls, seconds and bytes of each step
        self.times: dict[tuple[str, str, str], list[float]] | None = None
        if program.names:
            self.functions(False)

    def functions(self, wide: bool) -> dict[str, Any]:
        """Return the kernels; `wide` ones count in 64 bits."""
        if wide not in self._functions:
            code = ("#define SYM_WIDE\n" if wide else "") + self.program.code
            self._functions[wide] = self.device.load(code, self.program.names)
        return self._functions[wide]

    def free(self) -> None:
        """Give back memory that is kept for the next call."""
        self.recordings.clear()

    @property
    def scratch_bytes(self) -> int:
        """Memory that recordings keep."""
        return sum(m.size for r in self.recordings.values() for key, m in r.memory.items()
                   if not isinstance(key, tuple) or key[0] not in ("shared", "new"))

    def __call__(self, arrays: Sequence[Any], cells: Sequence[DeviceCell | np.ndarray]) -> tuple[list[Any], list[Any]]:
        """Return the outputs' places, shapes and dtypes, and new values of shared variables that the host holds.

        Parameters
        ----------
        arrays : sequence of ndarray or array of the device
        cells : sequence
            Of the shared variables: on the device, or arrays of the host's.
        """
        before = self.device.counts.now()
        key = self._key(arrays, cells)
        found = self.recordings.get(key)
        if found is not None:
            self.recordings.move_to_end(key)
            results = self._again(found, arrays, cells)
        else:
            results = None
        if results is None:
            try:
                results = self._anew(key, arrays, cells)
            except DeviceMemoryError:
                if not self.recordings:
                    raise
                self.free()
                results = self._anew(key, arrays, cells)
        self.counts = self.device.counts.since(before)
        return results

    def _key(self, arrays: Sequence[Any], cells: Sequence[DeviceCell | np.ndarray]) -> Any:
        host = self.program.root.host_inputs
        facts: list[Any] = [(a.shape, a.item() if k in host and isinstance(a, np.ndarray) else None, type(a) is np.ndarray)
                            for k, a in enumerate(arrays)]
        for c in cells:
            if isinstance(c, DeviceCell):
                facts.append((c.shape, c.memory.pointer, None if c.spare is None else c.spare.pointer))
            else:
                facts.append(c.shape)
        return tuple(facts)

    def _anew(self, key: Any, arrays: Sequence[Any], cells: Sequence[DeviceCell | np.ndarray]) -> Any:
        run = Run(self, arrays, cells)
        try:
            run.evaluate()
            if run.failed():
                raise _Stopped
        except _Stopped:
            run = Run(self, arrays, cells, careful=True)
            run.evaluate()
            raise DeviceError(f"{self.device.name}: a check failed, but not when the call was done again") from None
        recording = run.recording
        if self.times is None and not run.dynamic and len(recording.commands) <= LONGEST:
            self.recordings[key] = recording
            while len(self.recordings) > KEPT:
                self.recordings.popitem(last=False)
        return self._finish(recording, run.arrays, cells)

    def _again(self, recording: Recording, arrays: Sequence[Any], cells: Sequence[DeviceCell | np.ndarray]) -> Any:
        """Ask for the same again; None if a check failed, so that the call is worked out anew, to tell which."""
        device = self.device
        everything = [*arrays, *cells]
        for k, pointer in recording.inputs:
            bring(device, pointer, everything[k])
        recording.calls += 1
        if recording.calls > 1 and recording.graph is None and self.capture and recording.commands:
            recording.graph = self._captured(recording)
        if recording.graph is not None:
            recording.graph.launch()
            self.device.counts.launches += sum(call == self.device.launch for call, _ in recording.commands)
            self.device.counts.products += sum(call == self.device.gemm for call, _ in recording.commands)
            self.device.counts.copies += sum(call == self.device.copy for call, _ in recording.commands)
        else:
            for call, args in recording.commands:
                call(*args)
        if self.program.guarded:
            status = np.zeros(1, "int64")
            device.copy_out(recording.status, status)
            if status[0]:
                return None
        return self._finish(recording, arrays, cells)

    def _captured(self, recording: Recording) -> Any:
        self.device.begin_capture()
        counts = self.device.counts.now()
        try:
            for call, args in recording.commands:
                call(*args)
        finally:
            graph = self.device.end_capture()
            self.device.counts.launches, self.device.counts.products = counts.launches, counts.products
            self.device.counts.copies = counts.copies
        return graph

    def _finish(self, recording: Recording, arrays: Sequence[Any], cells: Sequence[DeviceCell | np.ndarray]) -> Any:
        """Let updates take effect, once nothing can fail."""
        root, n = self.program.root, len(arrays)
        new: list[Any] = []
        first = len(recording.outputs) - len(self.program.updated)
        for u, k in enumerate(self.program.updated):
            cell = cells[k - n]
            pointer, shape, dtype = recording.outputs[first + u]
            if not isinstance(cell, DeviceCell):
                value = np.empty(shape, dtype)
                if value.size:
                    self.device.copy_out(pointer, value)
                new.append(value)
                continue
            if not root.plan.inplace[u]:
                cell.turn(shape, recording.memory["new", k])
            new.append(None)
        return recording.outputs[:first], new


class _Stopped(Exception):
    """A check failed somewhere."""


class Run:
    """One call that is worked out.

    Attributes
    ----------
    dynamic : bool
        Whether the host looked at values, so that doing the same again isn't enough.
    status : int
        Where the device notes failed checks: whether there is one, then for each its first element.
    """

    def __init__(self, owner: Program, arrays: Sequence[Any], cells: Sequence[DeviceCell | np.ndarray],
                 careful: bool = False) -> None:
        self.owner, self.device, self.program, self.arrays, self.cells = owner, owner.device, owner.program, arrays, cells
        self.recording, self.dynamic, self.careful = Recording(), False, careful
        self.status = 0
        self.looked = True

    def evaluate(self) -> None:
        """Do all steps."""
        if self.program.guarded:
            self.recording.status = self.status = self.scratch("status", 8 * (1 + len(self.program.kernels.checks)))
            self.do("fill", self.status, 0, 8)
            self.do("fill", self.status + 8, 0xFF, 8 * len(self.program.kernels.checks))
        everything = [*self.arrays, *self.cells]
        known = {k: a for k, a in enumerate(everything) if isinstance(a, np.ndarray)}
        shapes = [tuple(a.shape) for a in everything]
        frame = Frame(self, self.program.root, shapes, {}, known)
        frame.check_guards()
        self._reserve(frame)
        places = frame.evaluate()
        root = self.program.root
        self.recording.outputs = [(p, frame.shape(k), root.defs[k].dtype) for p, k in zip(places, root.outputs, strict=True)]

    def _reserve(self, frame: Frame) -> None:
        """Take memory first, so that a call that finds none has changed nothing."""
        program = frame.program
        for k in program.plan.room:
            if all(_known_before(e) for e in program.defs[k].extents):
                frame.room(k)

    # --------------------------------------------------------------------------------------- commands

    def do(self, name: str, *args: Any) -> None:
        """Ask the device for something, and take note of it."""
        call = getattr(self.device, name)
        self.recording.commands.append((call, args))
        call(*args)

    def timed(self, step: Step, frame: Frame, run: Callable[[Step], None]) -> None:
        """Do a step of a function that times its steps: each is waited for."""
        self.device.synchronize()
        began = time.perf_counter()
        run(step)
        self.device.synchronize()
        seconds = time.perf_counter() - began
        touched = {k for _, kernel in step.kernels for k in kernel.buffers if k >= 0} | set(step.d.inputs)
        size = sum(frame.size(k) for k in touched) + (frame.size(step.d.id) if step.kind == "gemm" else 0)
        row = self.owner.times.setdefault(  # type: ignore[union-attr]
            (step.kind, step.what, " ".join(n for n, _ in step.kernels)), [0, 0.0, 0])
        for k, more in enumerate((1, seconds, size)):
            row[k] += more

    def launch(self, name: str, wide: bool, grid: tuple[int, int, int], block: tuple[int, int, int], args: Sequence[Any],
               what: str) -> None:
        """Launch a kernel."""
        self.do("launch", self.owner.functions(wide)[name], grid, block, tuple(args), what)

    def name_of(self, kernel: CudaKernel) -> str:
        """Return the name of a kernel."""
        return self.program.kernels.names[kernel.text]

    # ----------------------------------------------------------------------------------------- memory

    def scratch(self, key: Any, size: int) -> int:
        """Return memory for a purpose, the same each time; larger if it has to be."""
        memory = self.recording.memory
        found = memory.get(key)
        if found is None or found.size < size:
            if found is not None:
                memory["old", len(memory)] = found  # what was asked for may still be written there
            found = memory[key] = Memory(self.device, size)
        return found.pointer

    def constant(self, array: np.ndarray) -> int:
        """Return where a constant lies on the device, for good."""
        kept = self.owner.constants
        if id(array) not in kept:
            memory = Memory(self.device, array.nbytes)
            if array.size:
                self.device.copy_in(memory.pointer, np.ascontiguousarray(array))
            kept[id(array)] = memory, array
        return kept[id(array)][0].pointer

    def input(self, k: int) -> int:
        """Return where an argument or a shared variable lies, bringing it to the device if need be."""
        n = len(self.arrays)
        if k >= n and isinstance(self.cells[k - n], DeviceCell):
            # held as long as the recording: else another value might get its address, which the recording is found by
            held = self.recording.memory["shared", k] = self.cells[k - n].memory  # type: ignore[union-attr]
            return held.pointer
        value = self.arrays[k] if k < n else self.cells[k - n]
        pointer = self.scratch(("input", k), value.nbytes)
        bring(self.device, pointer, value)
        self.recording.inputs.append((k, pointer))
        return pointer

    def target(self, frame: Frame, slot: int, k: int) -> int:
        """Return where an output is to be written."""
        program, size = frame.program, frame.size(k)
        if program is not self.program.root:
            return self.scratch((id(program), "output", slot), size)
        update = slot - (len(program.outputs) - len(self.program.updated))
        if update < 0:
            return self.scratch(("output", slot), size)
        place = self.program.updated[update]
        if program.plan.inplace[update]:
            return frame.place(place)
        cell = self.cells[place - len(self.arrays)]
        if not isinstance(cell, DeviceCell):
            return self.scratch(("update", update), size)
        new = self.recording.memory["new", place] = cell.room(size)
        return new.pointer

    def read(self, pointer: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Return an array of the device's; the host then knows values, which may differ next time."""
        self.settle()
        out = np.empty(shape, dtype)
        if out.size:
            self.device.copy_out(pointer, out)
        return out

    def upload(self, pointer: int, array: np.ndarray) -> None:
        """Copy a value that the host computed to the device."""
        self.dynamic = True
        if array.size:
            self.device.copy_in(pointer, np.ascontiguousarray(array))

    # ----------------------------------------------------------------------------------------- checks

    def guard_failed(self, guard: Guard, detail: tuple[int, ...]) -> None:
        """Raise: an extent isn't what was assumed."""
        if self.failed():
            raise _Stopped
        raise GuardFailed(guard, detail)

    def failed(self) -> bool:
        """Whether a check has failed so far."""
        if not self.program.guarded or self.status == 0:
            return False
        status = np.zeros(1, "int64")
        self.device.copy_out(self.status, status)
        return bool(status[0])

    def settle(self) -> None:
        """Before the host looks at values: stop if a check has failed."""
        self.dynamic = True
        if not self.careful and self.failed():
            raise _Stopped

    def checked(self, frame: Frame, step: Step) -> None:
        """After a check: when a call is done again because one failed, find which."""
        if not self.careful or not self.failed():
            return
        found = np.zeros(1, "uint64")
        self.device.copy_out(self.status + 8 * (1 + step.slot), found)
        check, detail = frame.failed_check(step, int(found[0]))
        raise CheckFailed(check, step.d.node, detail, frame.step)


def bring(device: Device, pointer: int, value: Any) -> None:
    """Copy an argument to where kernels read it."""
    if value.nbytes == 0:
        return
    place = device.pointer_of(value)
    if place is not None:
        device.copy(pointer, place, value.nbytes)
    else:
        device.copy_in(pointer, np.ascontiguousarray(value))


def _known_before(e: Any) -> bool:
    stack = [e]
    while stack:
        n = stack.pop()
        if n.op == "load":
            return False
        stack.extend(n.args)
    return True
