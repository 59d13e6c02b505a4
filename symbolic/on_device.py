"""Functions that run on a GPU, or on the device that emulates one: what ``function(..., device='cuda')`` returns."""
from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.codegen.cuda.devices import find, place
from symbolic.codegen.cuda.memory import Memory
from symbolic.codegen.cuda.program import DeviceProgram, Step
from symbolic.codegen.cuda.protocol import Counts, Device
from symbolic.codegen.cuda.run import CheckFailed, GuardFailed, Program
from symbolic.collector import paused
from symbolic.compiled import Function, InterpretedFunction, stable_roots
from symbolic.compiled import Memory as Bytes
from symbolic.config import config
from symbolic.fgraph import Facts, FunctionGraph, capture
from symbolic.graph import describe
from symbolic.infer import Guard
from symbolic.ops.transfer import Transfer
from symbolic.opt.pipeline import optimised
from symbolic.opt.rules import rules_for
from symbolic.profiling import Profile, Row
from symbolic.spec import Spec
from symbolic.tree import node_text, verbose

#: One call at a time: devices do things in the order they are asked for, whoever asks.
_calling = threading.RLock()


class DeviceFunction(Function):
    """A function whose kernels run on a device.

    Shared variables stay there between calls; arguments are copied to it, outputs to the host unless they were asked for as
    the device's arrays. A shared variable that a function on the CPU uses as well stays in the host's memory, and is copied
    at each call.

    Attributes
    ----------
    counts : Counts
        What the latest call asked the device for: launches, products, copies and their bytes.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec, self.parts, self.trust_input = spec, {}, False
        self.device: Device = find(spec.device)
        self.graph, self.program = self._compiled(frozenset())
        self.variants: dict[Facts, Program] = {}
        self.fallback: InterpretedFunction | None = None
        self.counts = Counts()
        for s in spec.shareds:
            place(s.container, spec.device)
        #: outputs that stay on the device
        self.staying = [config.device_outputs or _stays(v) for v in spec.outputs]

    def _compiled(self, facts: Facts) -> tuple[FunctionGraph, Program]:
        spec = self.spec
        with paused():
            captured = capture(spec.leaves, stable_roots(spec), facts)
            graph = optimised(captured, rules_for(spec.mode, "captured"))
            index = {v: k for k, v in enumerate(spec.leaves)}
            updated = [index[s] for s, _ in spec.updates]
            made = DeviceProgram(graph, updated, len(spec.arguments), spec.name)
        program = Program(made, self.device)
        program.times = {} if spec.profile else None
        return graph, program

    # ------------------------------------------------------------------------------------------ calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function on values of its inputs, by position or by name; arrays of the device are used where they lie."""
        given = self._bind(args, kwargs)
        if callable(given):
            return given()
        with _calling:
            return self._pack(self._run(given))

    def _run(self, given: Sequence[Any]) -> list[Any]:
        arrays = [self._argument(k, a) for k, a in enumerate(given)]
        program = self.program
        while True:
            cells = [place(s.container, self.spec.device) for s in self.spec.shareds]
            held = [s.container.value if c is None else c for s, c in zip(self.spec.shareds, cells, strict=True)]
            try:
                outputs, new = program(arrays, held)
            except GuardFailed as failure:
                if not failure.guard.broadcast or 1 not in failure.detail[:2]:
                    raise self._explained(failure.guard, failure.detail) from None
                narrower = None if program is not self.program else self._variant(arrays, held)
                if narrower is None:
                    return self._interpreted(given)
                program = narrower
                continue
            except CheckFailed as failed:
                raise self._failed(failed) from None
            self.counts = program.counts
            return self._results(outputs, new)

    def _results(self, outputs: Sequence[tuple[int, tuple[int, ...], str]], new: Sequence[Any]) -> list[Any]:
        before = self.device.counts.now()
        results = [self._result(*o, stays) for o, stays in zip(outputs, self.staying, strict=True)]
        more = self.device.counts.since(before)
        self.counts = Counts(*(a + b for a, b in zip(vars(self.counts).values(), vars(more).values(), strict=True)))
        for (s, _), value in zip(self.spec.updates, new, strict=True):
            if value is not None:
                s.container.value = value
        return results

    def _result(self, pointer: int, shape: tuple[int, ...], dtype: str, stays: bool) -> Any:
        size = int(np.prod(shape, dtype="int64")) * np.dtype(dtype).itemsize
        if stays:  # memory of its own: the next call writes where this one did
            memory = Memory(self.device, size)
            if size:
                self.device.copy(memory.pointer, pointer, size)
            return self.device.view(memory.pointer, shape, dtype, memory)
        out = np.empty(shape, dtype)
        if size:
            self.device.copy_out(pointer, out)
        return out

    def _argument(self, k: int, value: Any) -> Any:
        """Return an argument as an array of its type: the device's own as it is, anything else as NumPy's."""
        i = self.spec.arguments[k]
        if self.device.pointer_of(value) is not None:
            found = value.dtype.name, len(value.shape)
            if found == (i.variable.dtype, i.variable.ndim):
                return value
            value = value.get()
        elif hasattr(value, "__dlpack__") and not isinstance(value, (np.ndarray, np.generic)):
            value = self._through_dlpack(value)
            if self.device.pointer_of(value) is not None:
                return self._argument(k, value)
        return self._filtered(k, i, value)

    def _through_dlpack(self, value: Any) -> Any:
        taken = getattr(self.device, "from_dlpack", None)
        return np.from_dlpack(value) if taken is None else taken(value)

    def _variant(self, arrays: Sequence[Any], held: Sequence[Any]) -> Program | None:
        """Return the program for extents that are 1 here, where others were assumed."""
        facts = frozenset((k, a) for k, (v, x) in enumerate(zip(self.spec.leaves, [*arrays, *held], strict=True))
                          for a, n in enumerate(x.shape) if n == 1 and v.type.shape[a] is None)
        if not facts:
            return None
        if facts not in self.variants:
            self.variants[facts] = self._compiled(facts)[1]
        return self.variants[facts]

    def _interpreted(self, given: Sequence[Any]) -> list[Any]:
        """Call with NumPy: an extent is 1 that doesn't follow from those of the inputs."""
        if self.fallback is None:
            self.fallback = InterpretedFunction(self.spec)
        results = self.fallback(*given)
        return results if self.spec.structure is not None and not isinstance(results, dict) else (
            list(results.values()) if isinstance(results, dict) else [results])

    # ----------------------------------------------------------------------------------------- errors

    def _explained(self, guard: Guard, detail: Sequence[int]) -> Exception:
        text = guard.message.format(*detail)
        if guard.node is None:
            v = self.spec.leaves[guard.input]
            return guard.error(errors.message(self.spec.name, f"input {guard.input}, {describe(v)}: {text}", (),
                                              v.loc or self.spec.loc))
        return self._at(guard.error, text, guard.node)

    def _failed(self, failed: CheckFailed) -> Exception:
        made = self._at(failed.check.error, failed.check.message.format(*failed.detail), failed.node)
        if failed.step is not None:
            made.add_note(f"in step {failed.step} of a loop")
        return made

    def _at(self, error: type[Exception], text: str, node: Any) -> Exception:
        text, _, hint = text.partition("\nhint: ")
        more = node_text(node, {}) if verbose() else ""
        return error(errors.message(node.op.name, text, tuple(describe(v) for v in node.inputs), node.loc, hint or None) + more)

    # ---------------------------------------------------------------------------------------- to look

    def steps(self) -> list[Step]:
        """Return the steps of the program, those of loops and arms as well."""
        return list(self.program.program.root.all_steps())

    def memory(self) -> Bytes:
        programs = [self.program, *self.variants.values()]
        cells = [place(s.container, self.spec.device) for s in self.spec.shareds]
        spares = sum(c.spare.size for c in cells if c is not None and c.spare is not None)
        shared = sum({id(c): c.nbytes for c in cells if c is not None}.values())
        constants = sum(m.size for p in programs for m, _ in p.constants.values())
        return Bytes(max(p.scratch_bytes for p in programs), shared, constants, spares)

    def free(self) -> None:
        super().free()
        with _calling:
            self.variants.clear()
            self.program.free()
            self.fallback = None

    def _profile(self) -> Profile:  # a function that times its steps waits for each, and is slower
        if self.program.times is None:
            raise ValueError(f"{self.name}.profile(): the function doesn't time its steps\n"
                             "hint: make it with function(..., profile=True), or under `with symbolic.profile():`")
        rows = [Row(what, kind, kernels, int(calls), seconds, size, 0.0, "")
                for (kind, what, kernels), (calls, seconds, size) in self.program.times.items()]
        return Profile(f"{self.name} on {self.device.name}", rows, [], [])

    @property
    def source(self) -> str:
        return self.program.program.source


def _stays(v: Any) -> bool:
    """Whether an output was asked for as an array of the device's."""
    return v.owner is not None and isinstance(v.owner.op, Transfer) and v.owner.op.device != "cpu"


def device_function(spec: Spec) -> DeviceFunction:
    """Return `spec` as a function on its device."""
    return DeviceFunction(spec)
