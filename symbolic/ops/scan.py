"""The loop: ``(carry, xs, consts) -> (carry, ys)``, n times. Its derivatives are loops again, so there is no end to them."""
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from symbolic import errors
from symbolic.fgraph import FunctionGraph, signature
from symbolic.graph import Constant, Op, Variable, describe, toposort
from symbolic.infer import over_operands
from symbolic.loop import NEGATIVE_STEPS, Loop, element, met, specialised
from symbolic.ops.scan_gradient import backward, forward
from symbolic.pickling import flatten, restore
from symbolic.scalar import Check, Expr, dim, load
from symbolic.types import TensorType

Terms = list["Variable | None"]


class Scan(Op):
    """A loop over a graph.

    Parameters
    ----------
    inner_inputs : sequence of Variable
        Carries, an element of each sequence, constants; what the graph of a step starts from.
    inner_outputs : sequence of Variable
        New carries, an element of each trace, and with `until` a 0-d bool that ends the loop after this step.
    carries, sequences : int
        How many of the inputs they are.
    until : bool
    reverse : bool
        Whether step t reads and writes element n - 1 - t of sequences and traces.
    truncate : int
        How many of the last steps a gradient goes back; -1 for all.
    label : str
        Name for people.
    repeat : bool
        Whether a gradient computes again what a step computed, all of it, from its carries alone.

    Notes
    -----
    Inputs of an application: the number of steps (int64), initial carries, sequences (at least as long), constants.
    Outputs: last carries, traces of as many elements as steps, and with `until` the number of steps taken; beyond it
    the traces hold nothing.
    """

    __props__ = ("key",)

    def __init__(self, inner_inputs: Sequence[Variable], inner_outputs: Sequence[Variable], carries: int, sequences: int,
                 until: bool = False, reverse: bool = False, truncate: int = -1, label: str = "",
                 repeat: bool = False) -> None:
        self.inputs, self.outputs = tuple(inner_inputs), tuple(inner_outputs)
        self.carries, self.sequences, self.until = carries, sequences, until
        self.reverse, self.truncate, self.label, self.repeat = reverse, truncate, label, repeat
        self.traces = len(self.outputs) - carries - until
        if any(v.owner is not None for v in self.inputs):
            raise errors.GraphError("scan: what a step starts from must be variables of their own, not computed ones")
        nodes = toposort(self.outputs, stop=self.inputs)
        known = set(self.inputs)
        for v in [v for n in nodes for v in n.inputs] + list(self.outputs):
            if v.owner is None and v not in known and not isinstance(v, Constant):
                raise errors.MissingInputError(errors.message(
                    "scan", f"{describe(v)} is used inside the loop but isn't handed to it", (), v.loc))
        self._nodes = nodes
        facts = (signature(FunctionGraph(list(self.inputs), list(self.outputs), nodes), exact=True), carries, sequences, until,
                 reverse, truncate, repeat)
        self.key = "-".join(map(str, facts))
        self._loops = lru_cache(maxsize=64)(self._loop)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (*flatten(self.outputs), self.inputs, self.carries, self.sequences, self.until,
                           self.reverse, self.truncate, self.label, self.repeat)

    @property
    def name(self) -> str:
        return "scan"

    def __str__(self) -> str:
        return f"scan{{{self.label}}}" if self.label else "scan"

    @property
    def stable(self) -> bool:
        return all(n.op.stable for n in self._nodes)

    # --------------------------------------------------------------------------------------- types

    def _operands(self, types: Sequence[TensorType]) -> list[TensorType]:
        """Return what a step gets: the types of carries, elements, constants."""
        a, b = 1 + self.carries, 1 + self.carries + self.sequences
        return [*types[1:a], *(element(t) for t in types[a:b]), *types[b:]]

    def loop(self, *types: TensorType) -> Loop:
        return self._loops(*types)

    def _loop(self, *types: TensorType) -> Loop:
        graph = specialised(self.inputs, self.outputs, self._operands(types), self.carries)
        return Loop(graph, self.carries, self.sequences, self.traces, self.until, self.reverse)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if len(types) != 1 + len(self.inputs):
            raise errors.GraphError(f"scan takes {1 + len(self.inputs)} operands, got {len(types)}")
        if types[0].dtype != "int64" or types[0].ndim:
            raise errors.DTypeError(f"the number of steps must be a 0-d int64, got {types[0]}")
        for k, (v, t) in enumerate(zip(self.inputs, types[1:], strict=True)):
            is_sequence = self.carries <= k < self.carries + self.sequences
            if is_sequence and not t.ndim:
                raise errors.RankError(f"sequence {k - self.carries} has no axis to go along: {t}")
            inner = element(t) if is_sequence else t
            if inner.dtype != v.dtype or inner.ndim != v.ndim:
                raise errors.DTypeError(f"a step takes {v.type} for operand {k}, got {inner}")
        for k, (v, o) in enumerate(zip(self.inputs, self.outputs[:self.carries], strict=False)):
            if o.dtype != v.dtype or o.ndim != v.ndim:
                raise errors.DTypeError(f"carry {k} is {v.type} before a step and {o.type} after it")
        step = self.loop(*types).graph
        made = [met(t, o.type) for t, o in zip(types[1:1 + self.carries], step.outputs, strict=False)]
        for o in step.outputs[self.carries:self.carries + self.traces]:
            made.append(o.type.clone(shape=(None, *o.type.shape)))
        return (*made, TensorType("int64", ())) if self.until else tuple(made)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return _shape(self, types)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        steps, first = load(0, (), "int64"), 1 + self.carries
        found = [Check(steps >= 0, NEGATIVE_STEPS, detail=(steps,))]
        for k in range(first, first + self.sequences):
            text = f"a loop of {{0}} steps needs as many elements; sequence {k - first} has {{1}}"
            found.append(Check(steps <= dim(k, 0), text, detail=(steps, dim(k, 0))))
        return tuple(found)

    # -------------------------------------------------------------------------------------- derivatives

    def split(self, inputs: Sequence[Variable]) -> tuple[Variable, list[Variable], list[Variable], list[Variable]]:
        """Return the operands of an application: steps, carries, sequences, constants."""
        a, b = 1 + self.carries, 1 + self.carries + self.sequences
        return inputs[0], list(inputs[1:a]), list(inputs[a:b]), list(inputs[b:])

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        return backward(self, inputs, outputs, gouts)

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Terms:
        return forward(self, inputs, tangents)

    def again(self, inner_inputs: Sequence[Variable], inner_outputs: Sequence[Variable], carries: int, sequences: int,
              operands: Sequence[Variable]) -> Sequence[Variable]:
        """Return the results of a loop that runs as this one does, with other inputs and outputs of a step."""
        loop = Scan(inner_inputs, inner_outputs, carries, sequences, self.until, self.reverse, self.truncate, self.label,
                    self.repeat)
        return loop(*operands, return_list=True)

    def back(self, inner_inputs: Sequence[Variable], inner_outputs: Sequence[Variable], carries: int, sequences: int,
             operands: Sequence[Variable]) -> Sequence[Variable]:
        """Return the results of a loop that runs the other way, to its end."""
        loop = Scan(inner_inputs, inner_outputs, carries, sequences, False, not self.reverse,
                    label=f"gradient of {self.label or 'scan'}")
        return loop(*operands, return_list=True)


@lru_cache(maxsize=64)
def _shape(op: Scan, types: tuple[TensorType, ...]) -> tuple[tuple[Expr, ...], ...]:
    """Return the extents of a loop's results; for layers that are stacked, once for all that are equal."""
    graph = op.loop(*types).graph
    a, b = op.carries, op.carries + op.sequences
    steps = load(0, (), "int64")
    found: list[tuple[Expr, ...]] = [tuple(dim(1 + k, axis) for axis in range(types[1 + k].ndim)) for k in range(a)]
    found += [(steps, *e) for e in over_operands(graph, graph.outputs[a:a + op.traces], 1, range(a, b), b, assume=True)]
    return (*found, ()) if op.until else tuple(found)


def _restored(leaves: Any, flat: Any, places: Any, inputs: Any, *rest: Any) -> Scan:
    return Scan(inputs, restore(leaves, flat, places), *rest)
