"""Values that are cheap to compute again from what stays in memory anyway are computed again, not kept.

A deep network keeps two arrays of each layer for its gradient: what enters the activation, whose derivative needs it, and
what comes out, which the gradient of the next weights needs. The latter is computed again just before it is read, so of
each layer one array remains. T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost",
2016, section 3.
"""
from __future__ import annotations

from functools import cache

from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply, Constant, Variable, clone_replace
from symbolic.ops.checkpoint import Recompute
from symbolic.ops.elementwise import Elementwise, SumTo
from symbolic.ops.extents import Shape_i
from symbolic.ops.shape import DimShuffle
from symbolic.opt.rebuild import Rebuilt
from symbolic.scalar import cost
from symbolic.types import TensorType

#: instructions an element up to which a value is computed again
CHEAP = 8
#: nodes on a path that lie at least between the reads before and after
GAP = 6
#: values that have to be found: of fewer, what is saved isn't worth a further pass over each
FEWEST = 4


def recompute_cheap(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with cheap values computed a second time for those that read them much later."""
    return _Plan(graph).graph()


class _Plan:
    """When the nodes of a graph run, as far as data tells, and what is worth computing twice.

    ``depth`` counts nodes on the longest path to a node. ``at`` is the same, but what is cheap or only an order of elements
    runs with the first that reads it, since it will be fused into that. (at, depth) grows along every edge; what is added keeps
    this so, which is why the new graph has no cycle.
    """

    def __init__(self, graph: FunctionGraph) -> None:
        self.source = graph
        self.readers = {v: [c for c in clients if _read(v, c)] for v, clients in graph.clients().items()}
        self.roots = set(graph.outputs)
        self.depth: dict[Apply, int] = {}
        for node in graph.nodes:
            self.depth[node] = 1 + max((self._depth(v) for v in node.inputs), default=0)
        self.at: dict[Apply, int] = {}
        for node in reversed(graph.nodes):
            first = self.depth[node]
            if self._light(node) and node.outputs[0] not in self.roots:
                first = max(first, min((self.at[c] for c in self.readers.get(node.outputs[0], ())), default=first))
            self.at[node] = first

    def _depth(self, v: Variable) -> int:
        return self.depth[v.owner] if v.owner in self.depth else 0

    def _at(self, v: Variable) -> int:
        return self.at[v.owner] if v.owner in self.at else 0

    @staticmethod
    def _light(node: Apply) -> bool:
        op = node.op
        if isinstance(op, Elementwise):
            return _cost(op.fn, tuple(v.dtype for v in node.inputs)) <= CHEAP
        return isinstance(op, DimShuffle) or isinstance(op, SumTo) and node.inputs[0].ndim == node.outputs[0].ndim

    def graph(self) -> FunctionGraph:
        """Return the graph, or the one it was made from if too little is found."""
        found = [f for f in map(self._late, self.source.nodes) if f is not None]
        if len(found) < FEWEST:
            return self.source
        changed: dict[Apply, dict[Variable, Variable]] = {}
        for y, late, bases, after in found:
            again = clone_replace([y], {v: Recompute()(v, after) if large else v for v, large in bases.items()})[0]
            for c in late:
                changed.setdefault(c, {})[y] = again
        table: dict[Variable, Variable] = {}
        for c, new in changed.items():
            made = c.clone_with_new_inputs([new.get(v, v) for v in c.inputs], strict=False)
            table.update(zip(c.outputs, made.outputs, strict=True))
        return capture(self.source.inputs, Rebuilt(table)(self.source.outputs))

    def _late(self, node: Apply) -> tuple[Variable, list[Apply], dict[Variable, bool], Variable] | None:
        """Return a value, who reads it late, what it is computed from by then, and what is known just before."""
        y = node.outputs[0]
        clients = self.readers.get(y, ())
        if len(clients) < 2 or not isinstance(node.op, Elementwise) or y in self.roots or not y.ndim or not self._light(node):
            return None
        when = sorted({self.at[c] for c in clients})
        gap, k = max(((b - a, n) for n, (a, b) in enumerate(zip(when, when[1:], strict=False))), default=(0, 0))
        if gap < GAP:
            return None
        begin = when[k + 1]
        late = [c for c in clients if self.at[c] >= begin]
        after = self._known_before(y, late[0], begin)
        if after is None or self._depth(after) <= when[k]:
            return None
        bases = self._bases(y, y.type, self._at(after), set())
        if bases is None or not any(bases.values()) or y in bases or any(self._at(v) >= begin for v in bases):
            return None
        return y, late, bases, after

    def _known_before(self, y: Variable, client: Apply, begin: int) -> Variable | None:
        """Return what `client`'s other operands wait for, which is there before `begin`."""
        while isinstance(client.op, DimShuffle):
            y = client.outputs[0]
            if not self.readers.get(y):
                return None
            client = min(self.readers[y], key=self.at.__getitem__)
        others = [v for v in client.inputs if v is not y]
        while others:
            v = max(others, key=self._depth)
            if self._at(v) < begin:
                return v if v.owner in self.depth and v.ndim else None
            others = list(v.owner.inputs) if v.owner is not None else []
        return None

    def _bases(self, v: Variable, like: TensorType, known: int, own: set[Apply]) -> dict[Variable, bool] | None:
        """Return what `v` is cheap to compute from once `known`: values that are read later anyway, and small ones (False)."""
        if isinstance(v, Constant) or v.type.shape.count(1) > like.shape.count(1) or v.ndim < like.ndim:
            return {v: False}
        node = v.owner
        if node not in self.depth:
            return None  # an update may want to be written over it
        if isinstance(node.op, Elementwise) and self._light(node):
            own.add(node)
            if len(own) > CHEAP:
                return None  # a sum over many layers, say: cheap by itself, but not from what stays
            found = [self._bases(u, like, known, own) for u in node.inputs]
            if None not in found:
                return {u: large for f in found for u, large in f.items()}  # type: ignore[union-attr]
            if len(own) > CHEAP:
                return None
        return {v: True} if any(self.at[c] > known for c in self.readers.get(v, ()) if c not in own) else None


def _read(v: Variable, node: Apply) -> bool:
    """Whether a node reads elements of `v`, not only its shape."""
    op = node.op
    if isinstance(op, SumTo) or isinstance(op, Elementwise) and op.fn == "second":
        return v is node.inputs[isinstance(op, Elementwise)]
    return not isinstance(op, Shape_i)


@cache
def _cost(fn: str, dtypes: tuple[str, ...]) -> int:
    """Return what an elementwise operation costs, in instructions."""
    return cost(Elementwise(fn).compute(*(TensorType(d, ()) for d in dtypes)).body)
