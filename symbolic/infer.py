"""Stage *infer*: how long every axis is, as expressions of the inputs' extents; what must hold for that.

Extents that broadcasting assumes equal are merged into one expression, and the assumption becomes a guard.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from symbolic import errors
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Constant, Variable
from symbolic.scalar import Check, Expr, IndexLambda, const, cost, dim, load, substitute, sym, toposort
from symbolic.types import TensorType, is_discrete

_HOST_COST = 60  # longer integer expressions are computed once, by a kernel


@dataclass
class Guard:
    """A condition over extents and scalars that a call must meet.

    ``broadcast`` holds (ordinal of the variable, axis) pairs that were assumed equal; ``input`` is the number of the
    graph input whose type says so, where no node does.
    """

    condition: Expr
    message: str
    detail: tuple[Expr, ...]
    error: type[Exception]
    node: Apply | None
    broadcast: tuple[tuple[int, int], ...] = ()
    input: int = -1


class Extents:
    """Extents and scalar values of the variables of a graph.

    Symbols: ``x3_1`` is the extent of graph input 3 along axis 1; ``load(variable, ())`` is the run-time
    value of a 0-d variable. Without `assuming`, extents that broadcasting relates stay what they are.
    """

    def __init__(self, graph: FunctionGraph, assuming: bool = True) -> None:
        self.graph, self._assuming = graph, assuming
        self.shape: dict[Variable, tuple[Expr, ...]] = {}
        self.value: dict[Variable, Expr] = {}
        self.guards: list[Guard] = []
        #: by result, the extents that are known only once it was computed: axis, and the variable that stands for it
        self.measured: dict[Variable, dict[int, Variable]] = {}
        self._merged: dict[Expr, Expr] = {}
        self._order: dict[Variable, int] = {}  # of the nodes that compute variables
        for k, v in enumerate(graph.inputs):
            self.shape[v] = tuple(sym(f"x{k}_{a}") if n is None else const(n, "int64")
                                  for a, n in enumerate(v.type.shape))
            self.guards += [_typed(k, a, n) for a, n in enumerate(v.type.shape) if n is not None]

    def find(self, e: Expr) -> Expr:
        """Return the representative of an extent."""
        merged = self._merged
        if e not in merged:
            return e
        end = merged[e]
        while end in merged:
            end = merged[end]
        while e is not end:  # so that chains stay short
            merged[e], e = end, merged[e]
        return end

    def of(self, v: Variable) -> tuple[Expr, ...]:
        """Return the extents of `v`."""
        if isinstance(v, Constant) and v not in self.shape:
            self.shape[v] = tuple(const(n, "int64") for n in v.data.shape)
        return tuple(self.find(e) for e in self.shape[v])

    def scalar(self, v: Variable) -> Expr:
        """Return the value of a 0-d variable as a host expression."""
        if isinstance(v, Constant):
            return const(v.data, v.dtype)
        found = self.value.get(v)
        return load(v, (), v.dtype) if found is None else found

    def resolve(self, e: Expr, inputs: Sequence[Variable]) -> Expr:
        """Return `e`, written over ``dim(k, a)`` and ``load(k, ())`` of an op, over the graph's inputs."""

        def replace(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if n.op == "sym" and n.arg[0] == "d" and n.arg[1].isdigit():
                k, _, a = n.arg[1:].partition("_")
                return self.of(inputs[int(k)])[int(a)]
            if n.op == "load" and not n.args and type(n.arg) is int:
                return self.scalar(inputs[n.arg])
            return None

        return substitute([e], replace)[0]

    def add(self, node: Apply, ordinal: dict[Variable, int] | None = None) -> None:
        """Infer the outputs of `node`; with `ordinal`, collect its guards too."""
        types = tuple(v.type for v in node.inputs)
        for check in node.op.checks(*types):
            if not check.extents:
                self._guard(node, check, ordinal)
        shapes = node.op.infer_shape(*types)
        for out, extents in zip(node.outputs, shapes, strict=True):
            resolved = [self._measured(out, a) if e is None else self.find(self.resolve(e, node.inputs))
                        for a, e in enumerate(extents)]
            for a, n in enumerate(out.type.shape):
                if n is not None and resolved[a].op != "const":
                    if ordinal is not None:
                        self._fact_guard(node, out, a, n, resolved[a])
                    resolved[a] = const(n, "int64")
            self.shape[out] = tuple(resolved)
            self._order[out] = len(self._order) + 1
        out = node.outputs[0]
        if len(node.outputs) == 1 and out.ndim == 0 and is_discrete(out.dtype):
            self._host_value(node, out, types)

    def _measured(self, out: Variable, a: int) -> Expr:
        """Return an extent that is known only once its result was computed."""
        n = out.type.shape[a]
        if n is not None:  # it is checked when the result is there
            return const(n, "int64")
        extent = Variable(TensorType("int64", ()), name=f"extent {a} of {out}", loc=out.loc)
        self.shape[extent] = ()
        self.measured.setdefault(out, {})[a] = extent
        return load(extent, (), "int64")

    def _host_value(self, node: Apply, out: Variable, types: tuple) -> None:
        meaning = node.op.compute(*types)
        if isinstance(meaning, IndexLambda) and not meaning.reduce and all(v.ndim == 0 or not _reads(meaning.body, k)
                                                                         for k, v in enumerate(node.inputs)):
            e = self.resolve(meaning.body, node.inputs)
            if cost(e) <= _HOST_COST and is_discrete(e.dtype):
                self.value[out] = self.find(e)

    def _fact_guard(self, node: Apply, out: Variable, a: int, n: int, extent: Expr) -> None:
        self.guards.append(Guard(
            Expr("eq", (extent, const(n, "int64")), None, "bool"),
            f"axis {a} was specialised for extent {n}, got {{0}}", (extent,), errors.ShapeError, node, ((-1, -1),)))

    def _guard(self, node: Apply, check: Check, ordinal: dict[Variable, int] | None) -> None:
        condition = self.resolve(check.condition, node.inputs)
        detail = tuple(self.resolve(d, node.inputs) for d in check.detail)
        if condition.op == "const":
            if condition.arg or ordinal is None:
                return
            without = self._without_assumptions(node)
            condition = without.resolve(check.condition, node.inputs)
            if condition.op == "const" and condition.arg:
                return  # whatever the extents are
            if without.measured or condition.op == "const":
                raise check.error(errors.message(node.op.name, check.message.format(*detail), (), node.loc))
            # only what was assumed before contradicts: extents may still broadcast, and a variant is compiled then
            detail = tuple(without.resolve(d, node.inputs) for d in check.detail)
        if ordinal is not None:
            named = tuple((ordinal.get(node.inputs[k], -1), a) for k, a in check.broadcast)
            self.guards.append(Guard(condition, check.message, detail, check.error, node, named))
        if check.broadcast:
            x, y = (self.of(node.inputs[k])[a] for k, a in check.broadcast)
            self._merge(x, y)

    def _without_assumptions(self, end: Apply) -> Extents:
        """Return the extents of what is computed before `end`, none of them assumed to be equal."""
        found = Extents(self.graph, False)
        for node in self.graph.nodes[:self.graph.nodes.index(end)]:
            found.add(node)
        return found

    def _known_before(self, x: Expr, y: Expr) -> bool:
        """Whether what `x` reads is computed before what `y` reads: who has extent `y` can't wait for less than that."""
        return self._latest(x) < self._latest(y)

    def _latest(self, e: Expr) -> int:
        return max((self._order.get(n.arg, 0) for n in toposort([e]) if n.op == "load"), default=-1)

    def _merge(self, x: Expr, y: Expr) -> None:
        if x is y or not self._assuming or (x.op == y.op == "const"):
            return
        if x.op != "const" and (y.op == "const" or (y.op == "sym" and x.op != "sym") or self._known_before(y, x)):
            x, y = y, x
        self._merged[y] = x


def _typed(k: int, axis: int, n: int) -> Guard:
    """Return the guard that input `k` has the extent its type says."""
    extent = sym(f"x{k}_{axis}")
    return Guard(Expr("eq", (extent, const(n, "int64")), None, "bool"),
                 f"its type says extent {n} along axis {axis}, got {{0}}", (extent,), errors.ShapeError, None, (), k)


def _reads(body: Expr, k: int) -> bool:
    stack, seen = [body], set()
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if n.op == "load" and n.arg == k:
            return True
        stack.extend(n.args)
    return False


def infer(graph: FunctionGraph) -> Extents:
    """Return extents, scalar values and guards of a captured graph.

    Raises
    ------
    ShapeError
        If a check fails whatever the inputs are.
    """
    extents = Extents(graph)
    ordinal = {v: n for n, v in enumerate(graph.ordinals)}
    for node in graph.nodes:
        extents.add(node, ordinal)
    return extents


def over_operands(graph: FunctionGraph, outputs: Sequence[Variable], first: int, along: range = range(0),
                  steady: int = 0, assume: bool = False, unknown: bool = False) -> list[tuple[Any, ...]]:
    """Return the extents of `outputs` of an inner graph, over the operands of the application that it belongs to.

    Parameters
    ----------
    graph : FunctionGraph
    outputs : sequence of Variable
    first : int
        The operand that input 0 is.
    along : range
        Inputs that are elements of their operands, along the first axis.
    steady : int
        The first input that has the same value whenever the graph is computed.
    assume : bool
        Take extents for equal between which the graph chooses (see :func:`assumed`).
    unknown : bool
        Give None for an extent that depends on a value which is known only inside.

    Raises
    ------
    NotSupported
        If there is such an extent.
    """
    extents = Extents(graph)
    for node in graph.nodes:
        extents.add(node)
    place = {v: k for k, v in enumerate(graph.inputs)}

    def outer(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if n.op == "sym" and n.arg[0] == "x":
            k, _, axis = n.arg[1:].partition("_")
            return dim(first + int(k), int(axis) + (int(k) in along))
        if n.op == "load":
            k = place.get(n.arg, -1)
            if k < steady or args:
                raise errors.NotSupported("the shape of what a step returns may change from step to step\n"
                                          "hint: a trace holds arrays of one shape; pad them to a common length. An op "
                                          "in Python may tell the shape beforehand, with infer_shape")
            return load(first + k, (), n.dtype)
        return None

    def over(e: Expr) -> Expr | None:
        try:
            return substitute([assumed(e, graph, steady) if assume else e], outer)[0]
        except errors.NotSupported:
            if not unknown:
                raise
            return None

    return [tuple(map(over, extents.of(o))) for o in outputs]


def assumed(extent: Expr, graph: FunctionGraph, steady: int) -> Expr:
    """Return an extent of an inner graph without the choices that change whenever it is computed: both are taken for equal.

    Who relies on it must see to it that they are.
    """
    changing = set(graph.inputs[:steady]) | {o for node in graph.nodes for o in node.outputs}

    def first(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if n.op == "select" and any(m.op == "load" and m.arg in changing for m in toposort([n.args[0]])):
            return args[1]
        return None

    return substitute([extent], first)[0]
