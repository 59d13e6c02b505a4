"""The rewriter: rules are tried on every node once its operands are done, until none fires.

One pass over the nodes, producers first; what a rule puts in the place of a node is rewritten in the same way, in a frame
of its own. Equal nodes are one (interned), so nothing is rewritten twice. Iterative: graphs of 100,000 nodes in a row are
fine. A rule that goes on for ever is stopped, with a warning that names it.
"""
from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from symbolic.errors import SymbolicError
from symbolic.graph import Apply, Constant, Variable
from symbolic.ops.elementwise import cast_to
from symbolic.ops.shape import dimshuffle
from symbolic.opt.extent_keys import ExtentKeys, same_shape
from symbolic.opt.rules import Result, Rule, RuleSet, key_of
from symbolic.source import standing_for
from symbolic.types import is_complex

#: How often a rule may fire, beside a number for each node of the graph.
FIRINGS, FIRINGS_A_NODE = 200, 4


@dataclass
class Statistics:
    """What the rules did: how often each fired, how long its attempts took, what it returned that can't be right."""

    fired: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    nodes: int = 0
    total: float = 0.0

    def table(self) -> list[tuple[str, int, float]]:
        """Return (rule, times fired, milliseconds), the slowest first."""
        rows = [(name, self.fired.get(name, 0), 1e3 * s) for name, s in self.seconds.items()]
        return sorted(rows, key=lambda r: -r[2])


_local = threading.local()


@contextmanager
def collecting() -> Iterator[list[Statistics]]:
    """Give a list that the statistics of every driver that ends in the block, in this thread, are added to."""
    before, found = getattr(_local, "collected", None), list[Statistics]()
    _local.collected = found
    try:
        yield found
    finally:
        _local.collected = before


def read_once(v: Variable) -> bool:
    """Whether only one node of the graph that is being rewritten reads `v`; to be asked by rules that repeat its work."""
    driver = getattr(_local, "driver", None)
    return driver is not None and driver.readers.get(v, 1) == 1


class _Frame:
    """Nodes that wait to be rewritten, and the outputs of a node that they stand for."""

    __slots__ = ("at", "nodes", "outputs", "source", "targets")

    def __init__(self, nodes: list[Apply], outputs: Sequence[Variable], targets: Sequence[Variable], source: Apply | None
                 ) -> None:
        self.nodes, self.outputs, self.targets, self.source, self.at = nodes, outputs, targets, source, 0


class Driver:
    """Rewrites graphs with a set of rules.

    Parameters
    ----------
    rules : RuleSet
    leaves : iterable of Variable
        Beyond which nothing is looked at, and which stay themselves.

    Attributes
    ----------
    table : dict from Variable to Variable
        What every variable seen has become.
    origin : dict from Apply to Apply
        The node of the given graph that a made one stands for.
    statistics : Statistics
    """

    def __init__(self, rules: RuleSet, leaves: Iterable[Variable] = ()) -> None:
        self.rules = rules
        self.table: dict[Variable, Variable] = {v: v for v in leaves}
        self.applies: dict[tuple, Apply] = {}
        self.constants: dict[tuple, Constant] = {}
        self.origin: dict[Apply, Apply] = {}
        self.statistics = Statistics()
        self.readers: dict[Variable, int] = {}
        self.stopped: set[Rule] = set()
        self.active: set[Apply] = set()  # replaced, while what replaces them is rewritten: there they stand for themselves

    def __call__(self, outputs: Sequence[Variable]) -> list[Variable]:
        """Return `outputs`, rewritten."""
        began = time.perf_counter()
        nodes = self._new(outputs)
        for v in [v for n in nodes for v in n.inputs] + list(outputs):
            self.readers[v] = self.readers.get(v, 0) + 1
        self.limit = FIRINGS + FIRINGS_A_NODE * len(nodes)
        self.statistics.nodes += len(nodes)
        before = getattr(_local, "driver", None)
        _local.driver = self
        try:
            with ExtentKeys():
                self._run([_Frame(nodes, outputs, (), None)])
        finally:
            _local.driver = before
        self.statistics.total += time.perf_counter() - began
        collected = getattr(_local, "collected", None)
        if collected is not None:
            collected.append(self.statistics)
        return [self._get(v) for v in outputs]

    # ---- walking ----

    def _run(self, frames: list[_Frame]) -> None:
        table = self.table
        while frames:
            frame = frames[-1]
            if frame.at == len(frame.nodes):
                frames.pop()
                for old, v in zip(frame.targets, frame.outputs, strict=False):
                    table[old] = self._get(v)
                continue
            node = frame.nodes[frame.at]
            frame.at += 1
            made = self._interned(node, frame.source)
            if made.outputs[0] not in table and made not in self.active:
                result = self._fired(made)
                if result is not None:
                    self.active.add(made)
                    if made is not node:  # afterwards: the given node becomes what this one has become
                        frames.append(_Frame([], made.outputs, node.outputs, None))
                    frames.append(_Frame(self._new(result), result, made.outputs, frame.source or node))
                    continue
                for v in made.outputs:
                    table[v] = v
            if made is not node:
                for old, v in zip(node.outputs, made.outputs, strict=True):
                    table[old] = table.get(v, v)

    def _new(self, outputs: Iterable[Variable]) -> list[Apply]:
        """Return the nodes above `outputs` that weren't seen yet, producers first."""
        table = self.table
        order: list[Apply] = []
        done: set[Apply] = set()
        stack = [v.owner for v in outputs if v.owner is not None and v not in table][::-1]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            waiting = [v.owner for v in node.inputs if v.owner is not None and v.owner not in done and v not in table]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            done.add(node)
            order.append(node)
            stack.pop()
        return order

    def _get(self, v: Variable) -> Variable:
        found = self.table.get(v)
        if found is not None:
            return found
        if isinstance(v, Constant):
            key = (v.data.dtype.str, v.data.shape, v.data.tobytes())
            found = self.table[v] = self.constants.setdefault(key, v)
            self.table.setdefault(found, found)
            return found
        return v

    def _interned(self, node: Apply, source: Apply | None) -> Apply:
        """Return the one node that is `node` over what its operands have become."""
        inputs = tuple([self._get(v) for v in node.inputs])
        if node.op.opaque and all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            return node  # a user's code, which the interpreter runs as often as it is written
        key = (node.op, inputs)
        found = self.applies.get(key)
        if found is not None:
            return found
        changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
        made = self._over(node, inputs) if changed else node
        self.applies[key] = made
        if source is not None:
            made.loc = source.loc or made.loc
            self.origin[made] = self.origin.get(source, source)
        elif made is not node:
            self.origin[made] = node
        return made

    def _over(self, node: Apply, inputs: tuple[Variable, ...]) -> Apply:
        if all(a.type == b.type for a, b in zip(inputs, node.inputs, strict=True)):
            types = [o.type for o in node.outputs]
        else:
            try:
                types = list(node.op.infer_type(*(v.type for v in inputs)))
            except SymbolicError:  # more is known now, and it contradicts; who runs the node is told then
                return node
            if any(t.dtype != o.dtype or t.ndim != o.ndim for t, o in zip(types, node.outputs, strict=True)):
                return node
        made = Apply(node.op, inputs, types, node.loc)
        for old, new in zip(node.outputs, made.outputs, strict=True):
            new.name = old.name
            if old in self.readers:
                self.readers[new] = self.readers[old]
        return made

    # ---- firing ----

    def _fired(self, node: Apply) -> Sequence[Variable] | None:
        """Return what the first rule that applies puts in the place of `node`."""
        rules = self.rules.by_root.get(key_of(node.op), self.rules.anywhere)
        if not rules:
            return None
        with standing_for(node.loc):  # what stands for a node was made where the node was
            return self._first(rules, node)

    def _first(self, rules: Sequence[Rule], node: Apply) -> Sequence[Variable] | None:
        seconds, began = self.statistics.seconds, time.perf_counter()
        for r in rules:
            if r in self.stopped:
                continue
            found = self._tried(r, node)
            now = time.perf_counter()
            seconds[r.name] = seconds.get(r.name, 0.0) + now - began
            began = now
            if found is None:
                continue
            result = conformed(node.outputs, [found] if isinstance(found, Variable) else list(found))
            if result is None:
                self.statistics.refused[r.name] = self.statistics.refused.get(r.name, 0) + 1
                continue
            if all(a is b for a, b in zip(result, node.outputs, strict=True)):
                continue
            count = self.statistics.fired[r.name] = self.statistics.fired.get(r.name, 0) + 1
            if count > self.limit:
                self.stopped.add(r)
                warnings.warn(f"rewriting: the rule {r.name!r} was stopped after it had fired {self.limit} times in a graph of "
                              f"{self.statistics.nodes} nodes; does it undo itself, or another rule? Exclude it with "
                              f"Mode(...).excluding({r.name!r})", stacklevel=2)
                continue
            for old, new in zip(node.outputs, result, strict=True):
                if new.name is None and new.owner is not None and new not in self.table:
                    new.name = old.name
            return result
        return None


    def _tried(self, r: Rule, node: Apply) -> Result:
        try:
            return r.apply(node)
        except SymbolicError:  # what it would put there can't be: types or shapes don't fit
            self.statistics.refused[r.name] = self.statistics.refused.get(r.name, 0) + 1
            return None
        except Exception as error:
            error.add_note(f"while the rewrite rule {r.name!r} was tried on {node.op}, made at {node.loc}\n"
                           f"hint: if the rule is at fault, leave it out: Mode(...).excluding({r.name!r})")
            raise


def conformed(old: Sequence[Variable], new: Sequence[Variable]) -> list[Variable] | None:
    """Return `new`, brought to dtypes and ranks of `old`; None if it isn't of the same shapes for sure."""
    if len(old) != len(new):
        return None
    out = []
    for a, b in zip(old, new, strict=True):
        fitted = _conformed(a, b)
        if fitted is None:
            return None
        out.append(fitted)
    return out


def _conformed(old: Variable, new: Variable) -> Variable | None:
    if new.dtype != old.dtype:
        if is_complex(new.dtype) and not is_complex(old.dtype):
            return None
        new = cast_to(new, old.dtype)
    if new.ndim < old.ndim:
        new = dimshuffle(new, *["x"] * (old.ndim - new.ndim), *range(new.ndim))
    if new.ndim != old.ndim:
        return None
    for m, n in zip(old.type.shape, new.type.shape, strict=True):
        if m is not None and m != n:
            return None  # less would be known of the shape
    return new if same_shape(old, new) else None


