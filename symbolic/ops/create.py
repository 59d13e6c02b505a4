"""Arrays out of numbers: constant fills, ranges, the identity."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant
from symbolic.ops.elementwise import cast_to, integer_operand, unbroadcast, weak_operands
from symbolic.ops.functions import second
from symbolic.ops.shape import as_extents
from symbolic.scalar import Check, Expr, IndexLambda, axis, cast, const, dim, load, select
from symbolic.scalar import unary as atom
from symbolic.types import TensorType, is_float, promote


class Alloc(Op):
    """A value broadcast to extents given as scalars."""

    is_index_map = True

    def make_node(self, *inputs: Any) -> Any:
        node = super().make_node(*inputs)
        known = tuple(int(v.data) if isinstance(v, Constant) else None for v in node.inputs[1:])
        if any(n is not None and n < 0 for n in known):
            raise errors.ShapeError(f"alloc: an extent can't be negative, got {known}")
        node.outputs[0].type = node.outputs[0].type.clone(shape=known)
        return node

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if types[0].ndim > len(types) - 1:
            raise errors.RankError(f"a value of {types[0].ndim} dimensions doesn't fit {len(types) - 1} extents")
        return (types[0].clone(shape=(None,) * (len(types) - 1)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(load(k, (), "int64") for k in range(1, len(types))),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        zero = const(0, "int64")
        n = len(types) - 1
        out = [Check(zero <= load(k, (), "int64"), "an extent can't be negative, got {0}",
                     detail=(load(k, (), "int64"),)) for k in range(1, len(types))]
        for a in range(types[0].ndim):
            if types[0].shape[a] != 1:
                x, y = dim(0, a), load(n - types[0].ndim + a + 1, (), "int64")
                out.append(Check(Expr("eq", (x, y), None, "bool"), "a value of extent {0} can't fill extent {1}",
                                 detail=(x, y)))
        return tuple(out)

    def compute(self, *types: TensorType) -> IndexLambda:
        first = len(types) - 1 - types[0].ndim
        index = [const(0, "int64") if n == 1 else axis(first + a) for a, n in enumerate(types[0].shape)]
        return IndexLambda(load(0, index, types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        rest: list[Variable | None] = [None] * (len(inputs) - 1)
        if gouts[0] is None:
            return [None, *rest]
        return [unbroadcast(gouts[0], inputs[0], (inputs[0], gouts[0])), *rest]


def alloc(value: Any, *shape: Any) -> Variable:
    """Return `value` broadcast to `shape`."""
    if len(shape) == 1 and isinstance(shape[0], (list, tuple)):
        shape = tuple(shape[0])
    extents = [n for s in shape for n in as_extents(s, "alloc")]
    return Alloc()(as_tensor_variable(value), *extents)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Variable:
    """Return an array of `shape` filled with a value."""
    value = as_tensor_variable(fill_value)
    return alloc(value if dtype is None else cast_to(value, dtype), *as_extents(shape, "full"))


def zeros(shape: Any, dtype: Any = None) -> Variable:
    """Return an array of zeros (floatX by default)."""
    return full(shape, constant(0, dtype=TensorType(dtype or "floatX").dtype))


def ones(shape: Any, dtype: Any = None) -> Variable:
    """Return an array of ones (floatX by default)."""
    return full(shape, constant(1, dtype=TensorType(dtype or "floatX").dtype))


def zeros_like(model: Any, dtype: Any = None) -> Variable:
    """Return zeros in the shape (and dtype) of `model`."""
    return _like(model, 0, dtype)


def ones_like(model: Any, dtype: Any = None) -> Variable:
    """Return ones in the shape (and dtype) of `model`."""
    return _like(model, 1, dtype)


def _like(model: Any, value: int, dtype: Any) -> Variable:
    model = as_tensor_variable(model)
    filled = constant(np.asarray(value, dtype=TensorType(dtype or model.dtype).dtype))
    return filled if model.ndim == 0 else second(model, filled)


class ARange(Op):
    """Numbers from start to stop (left out) by step; its inputs have one dtype."""

    name = "arange"

    def make_node(self, *inputs: Any) -> Any:
        node = super().make_node(*inputs)
        if all(isinstance(v, Constant) for v in node.inputs):
            bounds: list[Any] = [v.data[()] for v in node.inputs if isinstance(v, Constant)]
            n = len(np.arange(*bounds))
            node.outputs[0].type = node.outputs[0].type.clone(shape=(n,))
        return node

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if any(t.ndim for t in types):
            raise errors.RankError("start, stop and step must be scalars")
        return (TensorType(types[0].dtype, (None,)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        start, stop, step = (load(k, (), types[0].dtype) for k in range(3))
        zero = const(0, "int64")
        if is_float(types[0].dtype):
            n = cast(atom("ceil", (stop - start) / step), "int64")
        else:
            start, stop, step = (cast(e, "int64") for e in (start, stop, step))
            safe = select(Expr("eq", (step, zero), None, "bool"), const(1, "int64"), step)
            n = -((start - stop) // safe)
        return ((select(n < 0, zero, n),),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        step = load(2, (), types[0].dtype)
        return (Check(Expr("ne", (step, const(0, step.dtype)), None, "bool"), "step is 0"),)

    def compute(self, *types: TensorType) -> IndexLambda:
        dtype = types[0].dtype
        work = "float32" if dtype == "float16" else dtype
        start, step = (cast(load(k, (), dtype), work) for k in (0, 2))
        return IndexLambda(cast(start + cast(axis(0), work) * step, dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, None, None]


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Variable:
    """Return numbers from `start` to `stop`, which is left out, by `step`.

    Integers give int64 unless `dtype` says otherwise, as NumPy does.

    >>> arange(3).type, arange(0.0, 1.0, 0.25).type.shape
    (TensorType(int64, (3,)), (4,))
    """
    if stop is None:
        start, stop = 0, start
    parts = weak_operands([start, stop, step])
    if dtype is None:
        found = promote(*(p.dtype for p in parts))
        dtype = found if is_float(found) else promote(found, "int64") if found != "uint64" else "uint64"
    return ARange()(*(cast_to(p, dtype) for p in parts))


class Eye(Op):
    """Ones on a diagonal."""

    __props__ = ("dtype",)
    is_index_map = True

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(self.dtype, (None, None)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((load(0, (), "int64"), load(1, (), "int64")),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return tuple(Check(const(0, "int64") <= load(k, (), "int64"), "an extent can't be negative, got {0}",
                           detail=(load(k, (), "int64"),)) for k in range(2))

    def compute(self, *types: TensorType) -> IndexLambda:
        on = Expr("eq", (axis(0) + load(2, (), "int64"), axis(1)), None, "bool")
        return IndexLambda(cast(on, self.dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, None, None]


def eye(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Variable:
    """Return an n×m matrix with ones on diagonal `k`."""
    return Eye(TensorType(dtype or "floatX").dtype)(
        *(integer_operand(v, "eye") for v in (n, n if m is None else m, k)))
