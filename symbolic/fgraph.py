"""The captured graph of one function: interned, so equal computations are one node, and pure.

Interning happens here and not while the user builds: identity is the user's until `function` is called.
"""
from __future__ import annotations

import hashlib
import itertools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from symbolic.graph import Apply, Constant, Op, Variable, toposort
from symbolic.source import standing_for
from symbolic.types import TensorType

#: Knowledge that an extent is 1: (ordinal of a captured variable, axis).
Facts = frozenset[tuple[int, int]]


@dataclass
class FunctionGraph:
    """An interned snapshot: what goes in, what comes out, what is updated.

    Attributes
    ----------
    inputs : list of Variable
        The function's inputs, then its shared variables.
    outputs : list of Variable
        The function's outputs, then the new values of updated shared variables.
    nodes : list of Apply
        Producers first.
    ordinals : list of Variable
        Every captured variable in a fixed order; facts and guards name variables by position here.
    origin : dict
        From a captured Apply to the user's.
    """

    inputs: list[Variable]
    outputs: list[Variable]
    nodes: list[Apply]
    ordinals: list[Variable] = field(default_factory=list)

    def clients(self) -> dict[Variable, list[Apply]]:
        """Return the readers of each variable."""
        table: dict[Variable, list[Apply]] = {}
        for node in self.nodes:
            for v in dict.fromkeys(node.inputs):
                table.setdefault(v, []).append(node)
        return table

    def toposort(self) -> list[Apply]:
        """Return the nodes, producers first."""
        return list(self.nodes)

    @property
    def apply_nodes(self) -> set[Apply]:
        """The nodes, as a set."""
        return set(self.nodes)

    @property
    def variables(self) -> set[Variable]:
        """All variables of the graph."""
        return {*self.inputs, *self.outputs, *(v for n in self.nodes for v in (*n.inputs, *n.outputs))}

    def verify(self) -> None:
        """Raise AssertionError if the graph isn't topologically sorted, interned and closed."""
        known: set[Variable] = set(self.inputs)
        seen: dict[tuple, Apply] = {}
        for node in self.nodes:
            for v in node.inputs:
                assert v in known or isinstance(v, Constant), f"{node}: input {v} isn't computed before"
            key = (node.op, node.inputs)
            assert key not in seen, f"{node} stands twice"
            seen[key] = node
            known.update(node.outputs)
        for v in self.outputs:
            assert v in known or isinstance(v, Constant), f"output {v} isn't computed"


#: Numbers for ops of users, equal ones having one.
_users_ops: weakref.WeakKeyDictionary[Op, int] = weakref.WeakKeyDictionary()
_count = itertools.count()


class Interner:
    """Rebuilds graphs so that equal nodes are one; simplifies each node once its inputs are done."""

    def __init__(self, simplify: Callable[[Apply], Sequence[Variable] | None] | None = None,
                 facts: Facts = frozenset()) -> None:
        self.simplify = simplify
        self.facts = facts
        self.table: dict[Variable, Variable] = {}
        self.applies: dict[tuple, Apply] = {}
        self.constants: dict[tuple, Constant] = {}
        self.ordinals: list[Variable] = []

    def add_input(self, v: Variable) -> Variable:
        """Register a leaf; it gets a clone where a fact narrows its type."""
        narrowed = self._narrow(v.type)
        new = v if narrowed is v.type else Variable(narrowed, name=v.name, loc=v.loc)
        self.table[v] = new
        self.ordinals.append(new)
        return new

    def _narrow(self, type: TensorType) -> TensorType:
        if not self.facts:
            return type
        n = len(self.ordinals)
        axes = [a for a in range(type.ndim) if (n, a) in self.facts and type.shape[a] is None]
        if not axes:
            return type
        return type.clone(shape=tuple(1 if a in axes else e for a, e in enumerate(type.shape)))

    def constant(self, v: Constant) -> Constant:
        """Return the one constant with the value of `v`."""
        key = (v.data.dtype.str, v.data.shape, v.data.tobytes())
        return self.constants.setdefault(key, v)

    def __call__(self, outputs: Sequence[Variable]) -> list[Variable]:
        """Intern the graph above `outputs`."""
        table = self.table
        for node in toposort(outputs, stop=table):
            inputs = tuple(self._get(v) for v in node.inputs)
            new = self.apply(node, inputs)
            for old, out in zip(node.outputs, new, strict=True):
                table[old] = out
        return [self._get(v) for v in outputs]

    def _get(self, v: Variable) -> Variable:
        found = self.table.get(v)
        if found is not None:
            return found
        if isinstance(v, Constant):
            return self.constant(v)
        return v

    def apply(self, node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable]:
        """Return the interned outputs of `node` applied to interned `inputs`."""
        key = (node.op, inputs)
        found = self.applies.get(key)
        if found is not None:
            return self.table_of(found)
        same = node.op.theano_form or all(a.type == b.type for a, b in zip(inputs, node.inputs, strict=True))
        types = [o.type for o in node.outputs] if same else node.op.infer_type(*(v.type for v in inputs))
        if self.facts:
            narrowed = []
            for t in types:
                narrowed.append(self._narrow(t))
                self.ordinals.append(None)  # type: ignore[arg-type]
            del self.ordinals[len(self.ordinals) - len(types):]
            types = narrowed
        new = Apply(node.op, inputs, types, node.loc)
        for old, out in zip(node.outputs, new.outputs, strict=True):
            out.name = old.name
        self.applies[key] = new
        self.ordinals.extend(new.outputs)
        return self.table_of(new)

    def table_of(self, node: Apply) -> Sequence[Variable]:
        """Return what stands for the outputs of interned `node`: itself, its expansion, a simpler form."""
        done = self.table.get(node.outputs[0])
        if done is not None:
            return [self.table[o] for o in node.outputs]
        result: Sequence[Variable] = node.outputs
        expansion = None
        if type(node.op).expand is not Op.expand:
            with standing_for(node.loc):
                expansion = node.op.expand(*node.inputs)
        if expansion is not None:
            result = Interner.__call__(self, list(expansion))
        elif self.simplify is not None:
            simpler = self.simplify(node)
            if simpler is not None:
                result = Interner.__call__(self, list(simpler))
        for old, out in zip(node.outputs, result, strict=True):
            self.table[old] = out
        return result


def capture(inputs: Sequence[Variable], outputs: Sequence[Variable], facts: Facts = frozenset()) -> FunctionGraph:
    """Return the interned graph of `outputs` over `inputs`; ops kept whole for their derivative are expanded."""
    return _interned(inputs, outputs, None, facts)


def rewrite(graph: FunctionGraph, simplify: Callable[[Apply], Sequence[Variable] | None]) -> FunctionGraph:
    """Return `graph` with every node simplified, bottom up, until nothing fires on it."""
    return _interned(graph.inputs, graph.outputs, simplify, frozenset())


def _interned(inputs: Sequence[Variable], outputs: Sequence[Variable], simplify: Any, facts: Facts) -> FunctionGraph:
    interner = Interner(simplify, facts)
    new_inputs = [interner.add_input(v) for v in inputs]
    new_outputs = interner(outputs)
    nodes = toposort(new_outputs, stop=new_inputs)
    return FunctionGraph(new_inputs, new_outputs, nodes, interner.ordinals)


def signature(graph: FunctionGraph, exact: bool = False) -> str:
    """Return a hash of the graph: ops, types, wiring and constants; names and source lines don't count.

    With `exact`, ops of users are told apart by more than what they are called: for use within this process alone.
    """
    number: dict[Variable, int] = {}
    types: dict[int, str] = {}  # by identity: types are shared, and the graph keeps them
    lines: list[str] = []
    for v in graph.inputs:
        number[v] = len(number)
        lines.append(f"in {v.type!r}")

    def ref(v: Variable) -> int:
        if v not in number:
            number[v] = len(number)
            data = v.data  # type: ignore[attr-defined]
            content = data.tobytes()
            lines.append(f"const {number[v]} {data.dtype.str} {data.shape} "
                         + (content.hex() if len(content) <= 64 else hashlib.sha256(content).hexdigest()))
        return number[v]

    for node in graph.nodes:
        op = node.op
        refs = [number[v] if v in number else ref(v) for v in node.inputs]
        props = "" if not op.__props__ else repr(op.props())
        if exact and not op.stable:
            props += f" {_users_ops.setdefault(op, next(_count))}"
        made = []
        for o in node.outputs:
            number[o] = len(number)
            text = types.get(id(o.type))
            if text is None:
                text = types[id(o.type)] = repr(o.type)
            made.append(text)
        lines.append(f"{type(op).__qualname__}{props} {refs} {made}")
    lines.append(f"out {[ref(v) for v in graph.outputs]}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
