"""Ops that work along their last axes and take any axes in front: how such an op takes a batch."""
from __future__ import annotations

from collections.abc import Sequence

from symbolic.batching import Batch
from symbolic.graph import Apply, Op, Variable
from symbolic.ops.batch_rules import filled


class Leading(Op):
    """An op whose results have the axes that its operands have in front: a batch is one axis more."""

    def lifted(self) -> Op:
        """Return the op for operands with one more axis in front; another one where axes are counted from the front."""
        return self

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
        like = inputs[list(flags).index(True)]
        outs = self.lifted().make_node(*(v if flag else filled(v, like) for v, flag in zip(inputs, flags, strict=True))).outputs
        return outs, [True] * len(outs)
