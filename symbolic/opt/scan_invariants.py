"""Rewrites of loops: what is the same in every step is computed once, before the loop.

- A computation from constants alone leaves the step. Not what only arranges elements, which costs nothing where it is read,
  but for a transposed matrix that a product reads: a BLAS reads a small transposed matrix at half the speed.
- A sequence of equal elements (a gradient of a sum is one) is a constant.
"""
from __future__ import annotations

from collections.abc import Iterator

from symbolic.branch import paths
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Constant, Variable, clone_replace
from symbolic.ops.create import Alloc
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.extents import extents
from symbolic.ops.linalg import Dot
from symbolic.ops.scan_gradient import is_length_of
from symbolic.ops.shape import DimShuffle
from symbolic.opt.step import Step, loops_replaced
from symbolic.types import is_discrete


def hoist_invariants(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with what is the same in every step of its loops computed before them."""
    return loops_replaced(graph, lambda node, op: _Hoisting(node, op).results())


class _Hoisting(Step):
    """One loop, with what is to be computed before it."""

    def results(self) -> list[Variable] | None:
        """Return what stands for the results of the loop; None if nothing leaves it."""
        moved = list(self._moved())
        equal = {k: v for k, x in enumerate(self.sequences) if (v := self._repeated(x)) is not None}
        if not moved and not equal:
            return None
        outside = clone_replace(moved, dict(zip(self.fixed, self.constants, strict=True)))
        places = [Variable(v.type, name=v.name, loc=v.loc) for v in moved]
        outs = clone_replace(self.op.outputs, dict(zip(moved, places, strict=True)))
        left = [k for k in range(len(self.sequences)) if k not in equal]
        made = self.again((self.carried, [self.elements[k] for k in left],
                           [*(self.elements[k] for k in equal), *self.fixed, *places]),
                          (self.start, [self.sequences[k] for k in left], [*equal.values(), *self.constants, *outside]),
                          outs[:self.op.carries], outs[self.op.carries:])
        return list(made)

    def _moved(self) -> Iterator[Variable]:
        """Yield what a step computes from constants alone, and something else reads."""
        needed = paths(self.nodes, self.op.outputs)
        heavy = {o for n in self.nodes if _is_still(n, self.still) and not needed[n] and _worth(n) for o in n.outputs}
        flipped = {o for n in self.nodes if _is_still(n, self.still) and not needed[n] and _flips(n) for o in n.outputs}
        seen: set[Variable] = set()
        readers = [(n, v) for n in self.nodes for v in n.inputs] + [(None, v) for v in self.op.outputs]
        for n, v in readers:
            for_product = v in flipped and n is not None and isinstance(n.op, Dot)
            if v not in seen and (for_product or v in heavy and not (n is not None and n.outputs[0] in heavy)):
                seen.add(v)
                yield v

    def _repeated(self, x: Variable) -> Variable | None:
        """Return the element of a sequence of equal elements, as long as the loop; None for others."""
        node = x.owner
        if node is None:
            return None
        if isinstance(node.op, Elementwise) and node.op.fn == "second" and node.inputs[1].type.shape[:1] in ((), (1,)):
            like, value = node.inputs
            if value.owner is not None and isinstance(value.owner.op, DimShuffle):
                value = value.owner.inputs[0]
            if value.ndim == 0 and is_length_of(self.n, like):
                return value if x.ndim == 1 else Alloc(x.type.shape[1:])(value, *extents(like)[1:])
        elif isinstance(node.op, Alloc) and node.inputs[0].ndim < x.ndim and node.inputs[1] is self.n:
            value = node.inputs[0]
            return value if x.ndim == 1 else Alloc(x.type.shape[1:])(value, *node.inputs[2:])
        return None


def _is_still(node: Apply, still: set[Variable]) -> bool:
    """Whether a node computes from constants of the loop alone, and reads at least one."""
    return node.outputs[0] in still and any(not isinstance(v, Constant) for v in node.inputs)


def _worth(node: Apply) -> bool:
    """Whether computing once is worth memory: not for what arranges elements, and not for what may fail on its values."""
    op = node.op
    if op.is_index_map or op.view_of is not None or op.name == "second" or op.name == "shape_i":
        return False
    if any(o.ndim == 0 and is_discrete(o.dtype) for o in node.outputs):
        return False  # extents and bounds, which the compiler knows best in their place
    return op.stable and not any(c.extents for c in op.checks(*(v.type for v in node.inputs)))


def _flips(node: Apply) -> bool:
    return isinstance(node.op, DimShuffle) and node.op.order == (1, 0) and node.outputs[0].dtype in ("float32", "float64")
