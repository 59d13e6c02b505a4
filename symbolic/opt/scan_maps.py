"""Rewrites of loops whose steps don't wait for each other: they become vector code, which fuses with what is around it.

A loop without carries is its step applied to whole sequences, as `batching` has it. A carry that only adds up something that
no carry changes (or multiplies, or keeps the largest or smallest) is a reduction over the steps.
"""
from __future__ import annotations

from symbolic.batching import batched
from symbolic.errors import SymbolicError
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Constant, Op, Variable, ancestors
from symbolic.ops.batched import called
from symbolic.ops.create import Alloc
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.extents import extents
from symbolic.ops.functions import add, maximum, minimum, mul
from symbolic.ops.reduce import Reduce
from symbolic.ops.scan import Scan
from symbolic.ops.scan_gradient import is_length_of
from symbolic.opt.checked import FirstSteps
from symbolic.opt.step import Step, loops_replaced
from symbolic.scalar import IndexLambda

#: how a carry joins a value: the reduction, and the function that joins its result to what the carry was at the start
JOINS = {"add": ("sum", add), "mul": ("prod", mul), "maximum": ("max", maximum), "minimum": ("min", minimum)}


def vectorise_maps(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with loops whose steps don't wait for each other as vector code."""
    return loops_replaced(graph, lambda node, op: _Map(node, op).results(), until=False)


class _Map(Step):
    """A loop that may be a map."""

    def results(self) -> list[Variable] | None:
        """Return what stands for the results of the loop; None if its steps wait for each other."""
        terms = [self._term(k) for k in range(self.op.carries)]
        if not self.sequences or any(t is None for t in terms) or not all(map(self._light, self.nodes)):
            return None
        joined = [t for t in terms if t is not None]
        wanted = [*(t for _, t in joined), *self.traced]
        if set(self.carried) & set(ancestors(wanted, stop=self.op.inputs)):
            return None
        whole = [x if is_length_of(self.n, x) else FirstSteps(k)(x, self.n) for k, x in enumerate(self.sequences)]
        try:
            with called("step {} of the loop" if not self.op.reverse else "element {} of what the loop goes along"):
                pairs = batched(wanted, dict(zip(self.elements, whole, strict=True)),
                                dict(zip(self.fixed, self.constants, strict=True)))
        except SymbolicError:
            return None  # something about it differs from step to step: its shape
        if any(isinstance(v.owner.op, Scan) for v in ancestors([v for v, _ in pairs], stop=[*whole, *self.constants])
               if v.owner is not None):
            return None  # an op that takes its batch in a loop
        full = [v if has else Alloc((None, *v.type.shape))(v, self.n, *extents(v)) for v, has in pairs]
        carries: list[Variable] = []
        for (name, _), start, values in zip(joined, self.start, full, strict=False):
            reduction, join = JOINS[name]
            whole_sum = self._joined(reduction, join, start, values)
            if whole_sum is None:
                return None
            carries.append(whole_sum)
        results = [*carries, *full[len(joined):]]
        same = all(v.dtype == o.dtype and v.ndim == o.ndim for v, o in zip(results, self.node.outputs, strict=True))
        return results if same else None

    def _joined(self, reduction: str, join: object, start: Variable, values: Variable) -> Variable | None:
        if reduction in ("max", "min"):
            if not (isinstance(self.n, Constant) and self.n.data > 0):
                return None  # nothing to choose from without a step
            return join(start, Reduce(reduction, (0,))(values))  # type: ignore[operator]
        return join(start, Reduce(reduction, (0,), start.dtype)(values))  # type: ignore[operator]

    def _term(self, k: int) -> tuple[str, Variable] | None:
        """Return how carry `k` joins something, and what; None if it does anything else."""
        old, new = self.carried[k], self.new[k]
        node = new.owner
        if node is None or not isinstance(node.op, Elementwise) or node.op.fn not in JOINS or len(node.inputs) != 2:
            return None
        if self.readers.get(old, 0) != 1 or self.readers[new] != 1 or old not in node.inputs:
            return None
        term = node.inputs[1 - node.inputs.index(old)]
        if term is old or term.dtype != old.dtype or term.type.shape != new.type.shape or new.type.shape != old.type.shape:
            return None
        return node.op.fn, term

    def _light(self, node: Apply) -> bool:
        """Whether a node for all steps at once costs no memory that the steps, one by one, don't: it can be fused."""
        op, types = node.op, [v.type for v in node.inputs]
        if op.extern is not None or type(op).loop is not Op.loop or op.arms is not None:
            return False
        if len(node.outputs) != 1 or any(c.extents for c in op.checks(*types)):
            return False
        return op.view_of is not None or isinstance(op.compute(*types), IndexLambda)
