"""Rewrites of matrix products in loops: many small ones become one large one, before the loop or after it.

- ``dot(x[t], W)``, `W` the same in every step: one product over all steps gives a sequence to read.
- ``total + dot(x[t].T, y[t])``, as every gradient of a weight: the factors are kept, and one product follows the loop.
"""
from __future__ import annotations

from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Variable, clone_replace
from symbolic.loop import element
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.extents import extents
from symbolic.ops.index import getitem
from symbolic.ops.linalg import Dot, dot
from symbolic.ops.scan_gradient import is_length_of
from symbolic.ops.shape import DimShuffle, dimshuffle, reshape
from symbolic.opt.step import Step, loops_replaced

PRODUCT_TYPES = ("float32", "float64", "complex64", "complex128")  # those a BLAS multiplies


def pull_products(graph: FunctionGraph) -> FunctionGraph:
    """Return `graph` with products taken out of its loops, where they don't wait for the steps."""
    return loops_replaced(graph, lambda node, op: _Rewrite(node, op).results(), until=False)


class _Rewrite(Step):
    """One loop, with what is to be taken out of it."""

    def results(self) -> list[Variable] | None:
        """Return what stands for the results of the loop; None if there is nothing to take out."""
        before = self._before()
        after = self._after()
        if not before and not after:
            return None
        op = self.op
        places = [Variable(element(x.type)) for x in before.values()]
        outs = clone_replace(op.outputs, dict(zip(before, places, strict=True)))
        kept = [k for k in range(op.carries) if k not in after]
        factors = [v for pair in after.values() for v in pair]
        traced = clone_replace([v for v in factors if v not in self.elements], dict(zip(before, places, strict=True)))
        made = self.again(([self.carried[k] for k in kept], [*self.elements, *places], self.fixed),
                          ([self.start[k] for k in kept], [*self.sequences, *before.values()], self.constants),
                          [outs[k] for k in kept], [*outs[op.carries:], *traced])
        rest = iter(made[len(kept) + op.traces:])
        whole = {v: self._cut(self.sequences[self.elements.index(v)]) if v in self.elements else next(rest)
                 for v in factors}
        final = dict(zip(kept, made, strict=False))
        for k, (x, y) in after.items():
            final[k] = self.start[k] + dot(dimshuffle(_flat(whole[x]), 1, 0), _flat(whole[y]))  # type: ignore[operator]
        return [*(final[k] for k in range(op.carries)), *made[len(kept):len(kept) + op.traces]]

    def _cut(self, x: Variable) -> Variable:
        """Return the elements of a sequence that the loop reads."""
        return x if is_length_of(self.n, x) else getitem(x, slice(None, self.n))

    def _outside(self, v: Variable) -> Variable:
        """Return what is the same in every step, over the operands of the loop."""
        return clone_replace([v], dict(zip(self.fixed, self.constants, strict=True)))[0]

    def _before(self) -> dict[Variable, Variable]:
        """Return products that can be had for all steps at once: the value in a step, and the sequence of them."""
        found: dict[Variable, Variable] = {}
        for step in self.nodes:
            if not isinstance(step.op, Dot) or step.outputs[0].dtype not in PRODUCT_TYPES:
                continue
            x, w = step.inputs
            if x in self.elements and w in self.still and w.ndim == 2 and x.dtype == w.dtype:
                rows, sequence = self._outside(w), self._cut(self.sequences[self.elements.index(x)])
            elif w in self.elements and x in self.still and x.ndim == 2 and w.ndim == 1 and x.dtype == w.dtype:
                rows, sequence = dimshuffle(self._outside(x), 1, 0), self._cut(self.sequences[self.elements.index(w)])
            else:
                continue
            flat = dot(_flat(sequence), rows)
            lead = extents(sequence)[:-1]
            found[step.outputs[0]] = flat if sequence.ndim == 2 else reshape(flat, [*lead, extents(rows)[1]], ndim=3)
        return found

    def _after(self) -> dict[int, tuple[Variable, Variable]]:
        """Return sums of products over steps: the carry, and the two factors, of which the first is transposed."""
        found = {}
        for k, (old, new) in enumerate(zip(self.carried, self.op.outputs, strict=False)):
            node = new.owner
            if node is None or new.ndim != 2 or new.dtype not in PRODUCT_TYPES or not _is(node, "add"):
                continue
            if old not in node.inputs or self.readers[old] != 1 or self.readers[new] != 1 or len(node.inputs) != 2:
                continue
            term = node.inputs[1 - node.inputs.index(old)]
            if self.readers[term] != 1 or term.type.ndim != 2 or term.owner is None:
                continue
            pair = _factors(term.owner)
            if pair is not None and all(v.dtype == new.dtype for v in pair):
                found[k] = pair
        return found


def _factors(node: Apply) -> tuple[Variable, Variable] | None:
    """Return x and y of ``dot(x.T, y)``, or of an outer product."""
    a, b = node.inputs if len(node.inputs) == 2 else (None, None)
    if a is None or b is None or a.owner is None:
        return None
    if isinstance(node.op, Dot) and b.ndim == 2 and isinstance(a.owner.op, DimShuffle) and a.owner.op.order == (1, 0):
        return a.owner.inputs[0], b
    if _is(node, "mul") and b.owner is not None and isinstance(a.owner.op, DimShuffle) and isinstance(b.owner.op, DimShuffle):
        if a.owner.op.order == (0, "x") and b.owner.op.order == ("x", 0):
            return a.owner.inputs[0], b.owner.inputs[0]
    return None


def _is(node: Apply, name: str) -> bool:
    return isinstance(node.op, Elementwise) and node.op.fn == name


def _flat(x: Variable) -> Variable:
    """Return steps of rows as one matrix."""
    return x if x.ndim == 2 else reshape(x, [-1, extents(x)[-1]], ndim=2)
