"""What depends on constants alone is computed once, here, by the interpreter."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from symbolic.errors import SymbolicError
from symbolic.graph import Apply, Constant, Op, Variable
from symbolic.ops.create import Alloc, ARange
from symbolic.ops.diagonal import Eye
from symbolic.ops.shape import DimShuffle
from symbolic.opt.rules import ANY, node_rule
from symbolic.types import TensorType

#: Filled by `compiled`, which knows the interpreter: applies an op to arrays.
EVALUATE: list[Callable[[Op, Sequence[np.ndarray]], list[np.ndarray]]] = []
#: Results of more elements aren't worth to be stored in a program; less so those that a loop makes as fast as it reads.
LARGEST, LARGEST_MADE = 4096, 16
#: Nor is more work than this worth to be done by the interpreter: elements of operands.
WORK = 1 << 16


@node_rule(ANY, tags=("canonicalize",))
def fold(node: Apply) -> list[Variable] | None:
    """op(constants) -> a constant"""
    inputs = node.inputs
    for v in inputs:
        if not isinstance(v, Constant):
            return None
    op = node.op
    if isinstance(op, DimShuffle) and inputs[0].data.size == 1:  # type: ignore[attr-defined]
        return None  # one number with axes is better known as a number
    limit = LARGEST_MADE if isinstance(op, (Alloc, ARange, Eye)) or not inputs else LARGEST
    for o in node.outputs:
        if None in o.type.shape or math.prod(o.type.shape) > limit:  # type: ignore[arg-type]
            return None
    if not EVALUATE or op.arms is not None or not op.stable or sum(v.data.size for v in inputs) > WORK:  # type: ignore[attr-defined]
        return None
    try:
        with np.errstate(all="ignore"):
            arrays = EVALUATE[0](op, [v.data for v in inputs])  # type: ignore[attr-defined]
    except SymbolicError:
        return None  # an error of the run, not of the compilation: it may never be computed
    return [_constant(a, o.type) for a, o in zip(arrays, node.outputs, strict=True)]


def _constant(array: np.ndarray, type: TensorType) -> Constant:
    data = np.array(array, dtype=type.dtype, order="C").reshape(array.shape)
    data.setflags(write=False)
    return Constant(TensorType(type.dtype, data.shape), data)
