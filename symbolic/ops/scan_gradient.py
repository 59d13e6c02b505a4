"""Derivatives of loops: a loop that carries tangents along, and one that runs back over what the first leaves."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symbolic import errors
from symbolic.branch import paths
from symbolic.fgraph import FunctionGraph
from symbolic.forward import pushforwards
from symbolic.graph import Apply, Constant, Op, Variable, ancestors, clone_replace, constant, toposort
from symbolic.infer import over_operands
from symbolic.nullgrad import is_null
from symbolic.ops.extents import Shape_i
from symbolic.ops.functions import minimum
from symbolic.ops.index import getitem
from symbolic.ops.scatter import set_subtensor
from symbolic.reverse import accumulated, pullbacks, zeros_of
from symbolic.types import is_discrete

Terms = list["Variable | None"]


def forward(op: Any, operands: Sequence[Variable], tangents: Sequence[Variable | None]) -> Terms:
    """Return the tangents of a loop's results: one loop computes values and tangents together."""
    a, b = op.carries, op.carries + op.sequences
    given = list(tangents[1:])
    dual = [v.clone() for v in op.inputs]
    moving = {k for k, t in enumerate(given) if t is not None}
    while True:  # a carry moves where something that moves flows into it
        found = pushforwards({op.inputs[k]: dual[k] for k in sorted(moving)}, op.outputs)
        more = {k for k in range(a) if op.outputs[k] in found} - moving
        if not more:
            break
        moving |= more
    null = next((t for t in [*found.values(), *given] if is_null(t)), None)
    if null is not None:
        return [null] * len(op.outputs)

    def tangent(k: int) -> Variable:
        t = given[k]
        return zeros_of(operands[1 + k]) if t is None else t

    def moved(k: int) -> Variable:
        y = op.outputs[k]
        return found[y] if y in found else zeros_of(y)

    carried, elements, fixed = (sorted(k for k in moving if first <= k < last)
                                for first, last in ((0, a), (a, b), (b, len(dual))))
    traced = [k for k in range(a, a + op.traces) if op.outputs[k] in found]
    end = a + op.traces
    ins = [*op.inputs[:a], *(dual[k] for k in carried), *op.inputs[a:b], *(dual[k] for k in elements), *op.inputs[b:],
           *(dual[k] for k in fixed)]
    outs = [*op.outputs[:a], *map(moved, carried), *op.outputs[a:end], *map(moved, traced), *op.outputs[end:]]
    n, carries, sequences, constants = op.split(operands)
    made = op.again(ins, outs, a + len(carried), op.sequences + len(elements),
                    [n, *carries, *map(tangent, carried), *sequences, *map(tangent, elements), *constants,
                     *map(tangent, fixed)])
    results: Terms = [None] * len(op.outputs)
    for place, k in enumerate(carried):
        results[k] = made[a + place]
    for place, k in enumerate(traced):
        results[k] = made[end + len(carried) + place]
    return results


def backward(op: Any, operands: Sequence[Variable], results: Sequence[Variable], gouts: Sequence[Variable | None]
             ) -> Terms:
    """Return the cotangents of a loop's operands."""
    a = op.carries
    floats = [k for k, v in enumerate(op.inputs) if not is_discrete(v.dtype)]
    carried = {k: op.inputs[k].clone() for k in floats if k < a}
    traced = {k: op.outputs[k].clone() for k in range(a, a + op.traces)
              if gouts[k] is not None and not is_discrete(op.outputs[k].dtype)}
    live = {k for k in carried if gouts[k] is not None}
    while True:  # a carry has a cotangent where one flows out of it, into a result or a later step
        seeds: dict[Variable, Variable] = {}
        for k, g in [*((k, carried[k]) for k in sorted(live)), *traced.items()]:
            y = op.outputs[k]
            seeds[y] = seeds[y] + g if y in seeds else g  # type: ignore[operator]
        found = pullbacks(seeds, [op.inputs[k] for k in floats]) if seeds else {}
        more = {k for k in carried if op.inputs[k] in found} - live
        if not more:
            break
        live |= more
    null = next((g for g in [*found.values(), *gouts] if is_null(g)), None)
    if null is not None:
        return [None, *(null if k in floats else None for k in range(len(op.inputs)))]
    if not seeds:
        return [None] * len(operands)
    return _Back(op, operands, results, gouts, {k: carried[k] for k in sorted(live)}, traced, found).terms()


class _Back:
    """The loop back, once it is known what flows: `found` are the cotangents of a step's inputs."""

    def __init__(self, op: Any, operands: Sequence[Variable], results: Sequence[Variable], gouts: Sequence[Variable | None],
                 carried: dict[int, Variable], traced: dict[int, Variable], found: dict[Variable, Variable]) -> None:
        self.op, self.operands, self.results, self.gouts = op, operands, results, gouts
        self.carried, self.traced, self.found = carried, traced, found
        self.n = operands[0]
        self.count = results[-1] if op.until else self.n
        self.steps = self.count
        if op.truncate >= 0:
            self.steps = minimum(self.count, constant(op.truncate, dtype="int64"))
        #: the first element that a step back reads; None where it reads them all
        self.first: Variable | None = None
        if op.reverse and op.until:
            self.first = self.n - self.count  # type: ignore[operator]
        elif not op.reverse and (op.truncate >= 0 or op.until):
            self.first = self.count - self.steps  # type: ignore[operator]
        self.whole = op.truncate < 0 and not op.until

    def terms(self) -> Terms:
        """Return the cotangents of the operands."""
        op, found, inputs = self.op, self.found, self.op.inputs
        a, b = op.carries, op.carries + op.sequences
        _, _, sequences, constants = op.split(self.operands)
        sums = [k for k in range(b, len(inputs)) if inputs[k] in found]
        slopes = [k for k in range(a, b) if inputs[k] in found]
        totals = [inputs[k].clone() for k in sums]
        outs = [*(found[inputs[k]] if inputs[k] in found else zeros_of(inputs[k]) for k in self.carried),
                *(accumulated(t, found[inputs[k]]) for k, t in zip(sums, totals, strict=True)),
                *(found[inputs[k]] for k in slopes)]
        given = {*self.carried.values(), *totals, *self.traced.values(), *inputs}
        saved = [] if op.repeat else _worth_saving(outs, given, inputs, b)
        used = set(ancestors(outs, stop=[*saved, *given]))
        states, elements, fixed = ([k for k in range(first, last) if inputs[k] in used]
                                   for first, last in ((0, a), (a, b), (b, len(inputs))))
        traces = self._traces([*(inputs[k] for k in states), *saved])
        read_back = [v.clone() for v in saved]  # leaves: what they were computed from doesn't count any more
        outs = clone_replace(outs, dict(zip(saved, read_back, strict=True)))
        ins = [*self.carried.values(), *totals, *(inputs[k] for k in states), *read_back, *(inputs[k] for k in elements),
               *self.traced.values(), *(inputs[k] for k in fixed)]
        read = [*traces, *(sequences[k - a] for k in elements), *(self.gouts[k] for k in self.traced)]
        made = op.back(ins, outs, len(self.carried) + len(sums), len(read),
                       [self.steps, *map(self._cotangent, self.carried), *(zeros_of(constants[k - b]) for k in sums),
                        *map(self._part, read), *(constants[k - b] for k in fixed)])
        terms: Terms = [None] * len(self.operands)
        for k, g in zip([*self.carried, *sums], made, strict=False):
            terms[1 + k] = g
        for k, g in zip(slopes, made[len(self.carried) + len(sums):], strict=True):
            terms[1 + k] = self._padded(sequences[k - a], g)
        return terms

    def _part(self, x: Any) -> Variable:
        """Return the elements of a sequence or trace that the steps back read."""
        return x if self.first is None else getitem(x, slice(self.first, self.first + self.steps))  # type: ignore[operator]

    def _traces(self, inner: list[Variable]) -> Sequence[Variable]:
        """Return what variables of a step were at every step: the loop again, with more traces (capture makes one of both)."""
        op = self.op
        if not inner:
            return []
        end = op.carries + op.traces
        made = op.again(op.inputs, [*op.outputs[:end], *inner, *op.outputs[end:]], op.carries, op.sequences, self.operands)
        return made[end:end + len(inner)]

    def _cotangent(self, k: int) -> Variable:
        g = self.gouts[k]
        return zeros_of(self.results[k]) if g is None else g

    def _padded(self, sequence: Variable, g: Variable) -> Variable:
        """Return the cotangent of a whole sequence; zero for elements that the loop didn't read."""
        if self.whole and is_length_of(self.n, sequence):
            return g
        first = constant(0, dtype="int64") if self.first is None else self.first
        return set_subtensor(getitem(zeros_of(sequence), slice(first, first + self.steps)), g)  # type: ignore[operator]


def is_length_of(n: Variable, x: Variable) -> bool:
    """Whether a number of steps is, by its graph, the length of `x`."""
    if isinstance(n, Constant):
        return x.type.shape[0] == int(n.data)
    if n.owner is not None and isinstance(n.owner.op, Shape_i) and n.owner.op.axis == 0 and n.owner.inputs[0] is x:
        return True
    node = x.owner  # a trace of a loop of as many steps
    return node is not None and type(node.op).loop is not Op.loop and node.inputs[0] is n and x.index >= node.op.carries  # type: ignore[attr-defined, operator]


def _worth_saving(outputs: Sequence[Variable], given: set[Variable], inner: Sequence[Variable], steady: int
                  ) -> list[Variable]:
    """Return what the loop should leave for the way back: values of products and loops, costlier to repeat than to read.

    Not what one arm of a branch alone needs: kept in a trace, it would be computed in every step.
    """
    nodes = toposort(outputs, stop=given)
    needed = paths(nodes, outputs)
    known = set(inner)
    for node in nodes:
        if any(v in known for v in node.inputs) and all(v in known or isinstance(v, Constant) for v in node.inputs):
            known.update(node.outputs)
    read = [v for node in nodes for v in node.inputs] + list(outputs)
    found = list(dict.fromkeys(v for v in read if v in known and v.owner is not None and _costly(v.owner)
                               and not needed.get(v.owner, ())))
    return [v for v in found if _of_one_shape(v, inner, steady)]


def _of_one_shape(v: Variable, inner: Sequence[Variable], steady: int) -> bool:
    """Whether a value has the same shape in every step, so that a trace can hold it."""
    graph = FunctionGraph(list(inner), [v], toposort([v], stop=inner))
    try:
        over_operands(graph, [v], 1, steady=steady, assume=True)
    except errors.NotSupported:
        return False
    return True


def _costly(node: Apply) -> bool:
    return node.op.extern is not None or type(node.op).loop is not Op.loop
