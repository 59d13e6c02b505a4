"""How the common ops take a batch: as themselves, with one more axis in front."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symbolic.batching import FALLBACKS, Batch, batched
from symbolic.graph import Apply, Op, Variable
from symbolic.ops.create import Alloc
from symbolic.ops.elementwise import Cast, Elementwise
from symbolic.ops.extents import Shape_i, extents
from symbolic.ops.ifelse import IfElse
from symbolic.ops.join import Join
from symbolic.ops.linalg import BatchedDot, Dot, VectorDot
from symbolic.ops.reduce import Reduce
from symbolic.ops.region import Slice
from symbolic.ops.scan import Scan
from symbolic.ops.shape import DimShuffle, Reshape, dimshuffle, reshape
from symbolic.ops.subtensor import IncSubtensor, Subtensor
from symbolic.types import promote

Rule = Callable[[Any, Sequence[Variable], Sequence[bool]], "Batch | None"]


def filled(x: Variable, like: Variable) -> Variable:
    """Return `x` repeated along a new first axis, as long as that of `like`."""
    known = like.type.shape[0]
    return Alloc((known, *x.type.shape))(x, extents(like)[0], *extents(x))


def _widened(v: Variable, ndim: int) -> Variable:
    """Return a batch of values as one of values of `ndim` axes."""
    more = ndim + 1 - v.ndim
    return v if more <= 0 else dimshuffle(v, 0, *("x",) * more, *range(1, v.ndim))


def _one(v: Variable) -> Batch:
    return [v], [True]


def _elementwise(op: Elementwise, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    n = max(v.ndim - flag for v, flag in zip(inputs, flags, strict=True))
    return _one(op(*(_widened(v, n) if flag else v for v, flag in zip(inputs, flags, strict=True))))


def _dimshuffle(op: DimShuffle, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    return _one(dimshuffle(inputs[0], 0, *(o if o == "x" else int(o) + 1 for o in op.order)))


def _shape_i(op: Shape_i, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    return [extents(inputs[0])[op.axis + 1]], [False]


def _reduce(op: Reduce, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    return _one(Reduce(op.fn, [a + 1 for a in op.axes], op.dtype)(inputs[0]))


def _reshape(op: Reshape, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    if any(flags[1:]):
        return None
    return _one(Reshape((inputs[0].type.shape[0], *op.known))(inputs[0], extents(inputs[0])[0], *inputs[1:]))


def _alloc(op: Alloc, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    if any(flags[1:]):
        return None
    x = _widened(inputs[0], len(op.known))
    return _one(Alloc((x.type.shape[0], *op.known))(x, extents(x)[0], *inputs[1:]))


def _dot(op: Dot, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    (a, b), (fa, fb) = inputs, flags
    if fa and fb:
        return _one(_each_dot(a, b))
    if fa and a.ndim == 2:
        return _one(Dot()(a, b))
    if fa:  # the rows of all in one matrix
        count, rows, inner = extents(a)
        flat = Dot()(reshape(a, [count * rows, inner], ndim=2), b)
        return _one(reshape(flat, [count, rows, *extents(b)[1:]], ndim=1 + b.ndim))
    if b.ndim == 2:
        return _one(Dot()(b, dimshuffle(a, 1, 0) if a.ndim == 2 else a))
    count, inner, columns = extents(b)
    wide = Dot()(a, reshape(dimshuffle(b, 1, 0, 2), [inner, count * columns], ndim=2))
    if a.ndim == 1:
        return _one(reshape(wide, [count, columns], ndim=2))
    return _one(dimshuffle(reshape(wide, [extents(a)[0], count, columns], ndim=3), 1, 0, 2))


def _each_dot(a: Variable, b: Variable) -> Variable:
    if a.ndim == 2 and b.ndim == 2:
        return Reduce("sum", (1,), promote(a.dtype, b.dtype))(a * b)  # type: ignore[operator]
    out = BatchedDot()(dimshuffle(a, 0, "x", 1) if a.ndim == 2 else a, dimshuffle(b, 0, 1, "x") if b.ndim == 2 else b)
    if a.ndim == 2:
        return reshape(out, [extents(out)[0], extents(out)[2]], ndim=2)
    return reshape(out, [extents(out)[0], extents(out)[1]], ndim=2) if b.ndim == 2 else out


def _batched_dot(op: BatchedDot, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    return _one(op(*(v if flag else dimshuffle(v, "x", *range(v.ndim)) for v, flag in zip(inputs, flags, strict=True))))


def _subtensor(op: Subtensor, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    return None if any(flags[1:]) else _one(Subtensor((Slice(), *op.idx_list))(*inputs))


def _inc_subtensor(op: IncSubtensor, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    x, y, *index = inputs
    if any(flags[2:]):
        return None
    if not flags[0]:
        x = filled(x, y)
    new = IncSubtensor((Slice(), *op.idx_list), op.set)
    if flags[1]:
        y = _widened(y, len(new.region([x.type, y.type, *(v.type for v in index)]).known) - 1)
    return _one(new(x, y, *index))


def _join(op: Join, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    like = inputs[list(flags).index(True)]
    return _one(Join(op.axis + 1)(*(v if flag else filled(v, like) for v, flag in zip(inputs, flags, strict=True))))


def _ifelse(op: IfElse, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    if flags[0]:
        return None
    n = op.n
    like = inputs[list(flags).index(True)]
    which = [flags[1 + k] or flags[1 + n + k] for k in range(n)] * 2
    arms = [filled(v, like) if needs and not flag else v for v, flag, needs in zip(inputs[1:], flags[1:], which, strict=True)]
    return op.make_node(inputs[0], *arms).outputs, which[:n]


def _scan(op: Scan, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    """A loop over steps of the whole batch."""
    a, b = op.carries, op.carries + op.sequences
    if flags[0]:
        return None
    like = inputs[list(flags).index(True)]
    own = list(flags[1:])
    while True:  # a carry has the batch if what it becomes has it
        given = {v: Variable(_with_batch(v, like)) for v, flag in zip(op.inputs, own, strict=True) if flag}
        pairs = batched(op.outputs, given)
        more = [k for k in range(a) if pairs[k][1] and not own[k]]
        if not more:
            break
        for k in more:
            own[k] = True
    if op.until and pairs[-1][1]:
        return None
    outs = [filled(v, next(iter(given.values()))) if k < a and own[k] and not has else v for k, (v, has) in enumerate(pairs)]
    operands = [filled(v, like) if k < a and own[k] and not flag else v
                for k, (v, flag) in enumerate(zip(inputs[1:], flags[1:], strict=True))]
    operands = [dimshuffle(v, 1, 0, *range(2, v.ndim)) if a <= k < b and own[k] else v for k, v in enumerate(operands)]
    ins = [given.get(v, v) for v in op.inputs]
    made = op.again(ins, outs, a, op.sequences, [inputs[0], *operands])
    have = [own[k] if k < a else pairs[k][1] for k in range(a + op.traces)]
    results = [dimshuffle(v, 1, 0, *range(2, v.ndim)) if k >= a and has else v
               for k, (v, has) in enumerate(zip(made, have, strict=False))]
    return [*results, *made[len(have):]], [*have, *(False for _ in made[len(have):])]


def _with_batch(v: Variable, like: Variable) -> Any:
    return v.type.clone(shape=(like.type.shape[0], *v.type.shape))


RULES: dict[type[Op], Rule] = {
    Elementwise: _elementwise, Cast: _elementwise, DimShuffle: _dimshuffle, Shape_i: _shape_i, Reduce: _reduce,
    Reshape: _reshape, Alloc: _alloc, Dot: _dot, VectorDot: _dot, BatchedDot: _batched_dot, Subtensor: _subtensor,
    IncSubtensor: _inc_subtensor, Join: _join, IfElse: _ifelse, Scan: _scan,
}


def by_rule(node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    """Take a batch as the table says."""
    rule = RULES.get(type(node.op))
    return None if rule is None else rule(node.op, inputs, flags)


FALLBACKS.insert(0, by_rule)
