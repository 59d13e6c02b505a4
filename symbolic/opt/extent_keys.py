"""When two variables have the same shape whatever the inputs are: what a rewrite that drops an operand must know.

An extent's key is an int where it is known, else the set of (variable, axis) whose extents broadcast to it. Equal keys
mean equal extents, also where some of the extents turn out to be 1; different keys mean nothing.
"""
from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from symbolic.graph import Apply, Constant, Variable
from symbolic.ops.create import Alloc
from symbolic.ops.elementwise import Elementwise, SumTo
from symbolic.ops.extents import Shape_i, SpecifyShape
from symbolic.ops.grad_control import DisconnectedGrad, GradClip, GradScale, ZeroGrad
from symbolic.ops.join import Join
from symbolic.ops.linalg import Dot
from symbolic.ops.nnet import CrossentropyCategorical1Hot, CrossentropyIndex, Softmax
from symbolic.ops.reduce import Reduce
from symbolic.ops.region import Slice
from symbolic.ops.shape import DimShuffle, Reshape
from symbolic.ops.subtensor import AdvancedSubtensor, BoundedIndex, IncSubtensor, Subtensor

#: An extent of which nothing is known beyond this many sources stands for itself.
LARGEST = 8
_local = threading.local()


class ExtentKeys:
    """Keys of the extents of variables, remembered as long as this is."""

    def __init__(self) -> None:
        self.keys: dict[Variable, tuple[Any, ...]] = {}
        self.shapes: dict[tuple[Any, ...], int] = {}  # shapes by number, so that keys don't nest
        self.before: ExtentKeys | None = None

    def __enter__(self) -> ExtentKeys:
        self.before = getattr(_local, "keys", None)
        _local.keys = self
        return self

    def __exit__(self, *exc: Any) -> None:
        _local.keys = self.before

    def of(self, v: Variable) -> tuple[Any, ...]:
        """Return the keys of the extents of `v`; iterative, so depth has no limit."""
        keys = self.keys
        found = keys.get(v)
        if found is not None:
            return found
        stack = [v]
        while stack:
            u = stack[-1]
            if u in keys:
                stack.pop()
                continue
            if None not in u.type.shape:
                keys[u] = u.type.shape
                stack.pop()
                continue
            sources = _sources(u)
            waiting = [s for s in sources if s not in keys]
            if waiting:
                stack += waiting
                continue
            keys[u] = self._made(u)
            stack.pop()
        return keys[v]

    def _made(self, v: Variable) -> tuple[Any, ...]:
        made = _derived(v, self.keys) if v.owner is not None else None
        names: list[Any] = [v] * v.ndim if v.owner is None else self._names(v, v.owner)
        own = [n if n is not None else frozenset([(names[a], a if names[a] is v else "made")])
               for a, n in enumerate(v.type.shape)]
        if made is None:
            return tuple(own)
        return tuple(n if n is not None else own[a] if k is None or (isinstance(k, frozenset) and len(k) > LARGEST) else k
                     for a, (n, k) in enumerate(zip(v.type.shape, made, strict=True)))


    def _number(self, key: Any) -> int:
        return self.shapes.setdefault(key, len(self.shapes))

    def _names(self, v: Variable, node: Apply) -> list[Any]:
        """Return what stands for each extent that isn't one of an operand: equal where it is made alike of equal extents."""
        op, inputs, keys = node.op, node.inputs, self.keys
        if isinstance(op, Join):
            parts: list[Any] = []
            for u in inputs:
                key = keys[u][op.axis]
                single = next(iter(key)) if isinstance(key, frozenset) and len(key) == 1 else None
                parts += single[0][1] if single is not None and single[1] == "made" and single[0][0] == "sum" else [
                    self._number(key)]
            return [("sum", tuple(parts))] * v.ndim
        if type(op) is Subtensor and len(inputs) == 1:
            kept = [(e, a) for a, e in enumerate(op.idx_list) if isinstance(e, Slice)]
            return [(e, self._number(keys[inputs[0]][a])) for e, a in kept]
        if isinstance(op, (Reshape, Subtensor)):
            # the same op, given the same scalars and arrays, makes the same shape of operands of one shape
            return [(op, self._number(keys[inputs[0]]), *inputs[1:], a) for a in range(v.ndim)]
        return [v] * v.ndim


_CLASSES = (CrossentropyCategorical1Hot, CrossentropyIndex)  # the last axis of the first operand goes
_SAME = (Softmax, BoundedIndex, IncSubtensor, DisconnectedGrad, ZeroGrad, GradClip, GradScale)
_WHOLE = (*_SAME, *_CLASSES, Reduce, DimShuffle)  # read the extents of their first operand
_FIRST = (SpecifyShape, Subtensor)


def _sources(v: Variable) -> Sequence[Variable]:
    """Return the variables whose extents those of `v` are made of."""
    if v.owner is None:
        return ()
    op, inputs = v.owner.op, v.owner.inputs
    if isinstance(op, (Elementwise, Dot)):
        return inputs
    if isinstance(op, Join):
        return inputs
    if isinstance(op, (*_WHOLE, *_FIRST)):
        return inputs[:1]
    if isinstance(op, SumTo):
        return inputs[1:]
    if isinstance(op, (Reshape, Alloc)):
        own = inputs[:1] if isinstance(op, Reshape) else ()
        return [*own, *(s.owner.inputs[0] for s in inputs[1:] if s.owner is not None and isinstance(s.owner.op, Shape_i))]
    return ()


def _derived(v: Variable, keys: dict[Variable, tuple[Any, ...]]) -> list[Any] | None:
    """Return a key, or None, for each extent of a computed variable."""
    assert v.owner is not None
    op, inputs = v.owner.op, v.owner.inputs
    if isinstance(op, Elementwise):
        return [_joined([keys[u][a - v.ndim + u.ndim] for u in inputs if a - v.ndim + u.ndim >= 0]) for a in range(v.ndim)]
    if isinstance(op, DimShuffle):
        return [1 if o == "x" else keys[inputs[0]][o] for o in op.order]  # type: ignore[index]
    if isinstance(op, Reduce):
        return [k for a, k in enumerate(keys[inputs[0]]) if a not in op.axes]
    if isinstance(op, _CLASSES):
        return list(keys[inputs[0]][:-1])
    if isinstance(op, SumTo):
        return list(keys[inputs[1]])
    if isinstance(op, _SAME):
        return list(keys[inputs[0]])
    if isinstance(op, SpecifyShape):
        return [None if n == "n" else k for n, k in zip(op.known, keys[inputs[0]], strict=True)]
    if isinstance(op, AdvancedSubtensor):
        return None
    if isinstance(op, Subtensor):
        kept = [(e, a) for a, e in enumerate(op.idx_list) if isinstance(e, Slice)]
        return [keys[inputs[0]][a] if e.start is None and e.stop is None and e.step in (None, -1) else None for e, a in kept]
    if isinstance(op, Join):
        return [None if a == op.axis else k for a, k in enumerate(keys[inputs[0]])]
    if isinstance(op, Dot):
        return [*keys[inputs[0]][:-1], *keys[inputs[1]][1:]]
    if isinstance(op, (Reshape, Alloc)):
        return [_scalar(s, keys, isinstance(op, Alloc)) for s in inputs[1:]]
    return None


def _joined(found: list[Any]) -> Any:
    """Return the key of extents that broadcast against each other."""
    wide = [k for k in found if k != 1]
    if not wide:
        return 1
    for k in wide:
        if isinstance(k, int):
            return k  # the others are equal to it, or 1
    return frozenset().union(*wide)


def _scalar(v: Variable, keys: dict[Variable, tuple[Any, ...]], literal: bool) -> Any:
    """Return the key of an extent that is given as a scalar; unless `literal`, -1 would be another one."""
    if isinstance(v, Constant):
        return int(v.data) if v.data >= 0 else None
    if v.owner is not None and isinstance(v.owner.op, Shape_i):
        return keys[v.owner.inputs[0]][v.owner.op.axis]
    return frozenset([(v, "value")]) if literal else None


def shape_keys(v: Variable) -> tuple[Any, ...]:
    """Return the keys of the extents of a variable."""
    return (getattr(_local, "keys", None) or ExtentKeys()).of(v)


def same_shape(a: Variable, b: Variable) -> bool:
    """Whether two variables have the same shape, whatever the inputs are."""
    if a is b:
        return True
    if a.ndim != b.ndim:
        return False
    return a.ndim == 0 or shape_keys(a) == shape_keys(b)


def broadcasts_into(small: Variable, large: Variable) -> bool:
    """Whether an elementwise function of both has the shape of `large`, whatever the inputs are."""
    if small.ndim > large.ndim:
        return False
    if small.ndim == 0 or small is large:
        return True
    own, other = shape_keys(small), shape_keys(large)[large.ndim - small.ndim:]
    return all(_joined([k, n]) == n for k, n in zip(own, other, strict=True))
