"""Shapes: reading them, and the same elements in another arrangement."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors, graph
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.scalar import Check, Expr, IndexLambda, Part, Scatter, axis, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete, promote

Pullback = list[Variable | None]


class Shape_i(Op):
    """The extent along one axis, as an int64 scalar."""

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType("int64", ()),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((),)

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(dim(0, self.axis))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [None]


class MakeVector(Op):
    """Scalars put into a vector."""

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(promote(*(t.dtype for t in types)) if types else "int64", (len(types),)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((const(len(types), "int64"),),)

    def compute(self, *types: TensorType) -> Scatter:
        one = const(1, "int64")
        out = self.infer_type(*types)[0].dtype
        return Scatter(None, tuple(Part((one,), (const(k, "int64"),), _as(load(k, (), t.dtype), out))
                                   for k, t in enumerate(types)))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        g = gouts[0]
        return [None if g is None or is_discrete(x.dtype) else cast_to(g[k], x.dtype) for k, x in enumerate(inputs)]


def _as(e: Expr, dtype: str) -> Expr:
    return e if e.dtype == dtype else Expr("cast", (e,), None, dtype)


def extents(x: Any) -> list[Variable]:
    """Return the extents of `x` as int64 scalars, constants where they are known."""
    x = as_tensor_variable(x)
    return [Shape_i(a)(x) if n is None else constant(n, dtype="int64") for a, n in enumerate(x.type.shape)]


def shape(x: Any) -> Variable:
    """Return the shape of `x` as an int64 vector."""
    found = extents(x)
    return MakeVector()(*found) if found else constant(np.zeros(0, "int64"))


def as_extents(shape: Any, op: str = "reshape") -> list[Variable]:
    """Return a shape, given as a number, a sequence or an integer vector, as int64 scalars.

    Raises
    ------
    ShapeError
        If it is a vector whose length isn't known.
    """
    if isinstance(shape, Variable) and shape.ndim == 1:
        if shape.owner is not None and isinstance(shape.owner.op, MakeVector):
            return [integer_operand(v, op) for v in shape.owner.inputs]
        if isinstance(shape, Constant):
            return [integer_operand(int(n), op) for n in shape.data]
        if shape.type.shape[0] is None:
            raise errors.ShapeError(errors.message(op, "the number of dimensions isn't known", (describe(shape),),
                                                   caller(), "pass the extents as a list"))
        return [integer_operand(shape[k], op) for k in range(shape.type.shape[0])]
    if isinstance(shape, (int, np.integer)) or (isinstance(shape, Variable) and shape.ndim == 0):
        return [integer_operand(shape, op)]
    if isinstance(shape, Variable):
        raise errors.RankError(errors.message(op, "a shape is a vector of integers", (describe(shape),), caller()))
    return [integer_operand(int(n) if isinstance(n, np.integer) else n, op) for n in shape]


class DimShuffle(Op):
    """Permutes axes, inserts axes of extent 1 (``'x'``), drops axes known to be 1."""

    __props__ = ("order",)
    is_index_map = True

    def __init__(self, order: Sequence[int | str]) -> None:
        self.order = tuple(order)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t = types[0]
        used = [o for o in self.order if o != "x"]
        if len(set(used)) != len(used) or any(not isinstance(o, int) or not 0 <= o < t.ndim for o in used):
            raise errors.RankError(f"pattern {self.order} doesn't fit {t.ndim} dimensions\nhint: name each axis at "
                                   "most once, and 'x' for new axes")
        for a in range(t.ndim):
            if a not in used and t.shape[a] != 1:
                raise errors.ShapeError(f"axis {a} can't be dropped: its extent isn't known to be 1 (pattern "
                                        f"{self.order})\nhint: use T.addbroadcast, or sum over it")
        return (t.clone(shape=tuple(1 if o == "x" else t.shape[o] for o in self.order)),)  # type: ignore[index]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(const(1, "int64") if o == "x" else dim(0, int(o)) for o in self.order),)

    def compute(self, *types: TensorType) -> IndexLambda:
        index: list[Expr] = [const(0, "int64")] * types[0].ndim
        for a, o in enumerate(self.order):
            if o != "x":
                index[int(o)] = axis(a) if types[0].shape[int(o)] != 1 else const(0, "int64")
        return IndexLambda(load(0, index, types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        if gouts[0] is None:
            return [None]
        back: list[int | str] = ["x"] * inputs[0].ndim
        for a, o in enumerate(self.order):
            if o != "x":
                back[int(o)] = a
        return [dimshuffle(gouts[0], *back)]


def dimshuffle(x: Any, *pattern: Any) -> Variable:
    """Permute, insert and drop axes.

    Parameters
    ----------
    x : Variable
    *pattern : int or 'x'
        The axes of `x` in their new order; ``'x'`` is a new axis of extent 1. Axes left out must be known to be 1.

    Examples
    --------
    >>> dimshuffle(constant([[1, 2, 3]]), 1, "x").type.shape
    (3, 1)
    """
    x = as_tensor_variable(x)
    if len(pattern) == 1 and isinstance(pattern[0], (list, tuple)):
        pattern = tuple(pattern[0])
    order = tuple(o if o == "x" else _axis(o, x.ndim, "dimshuffle") for o in pattern)
    return x if order == tuple(range(x.ndim)) else DimShuffle(order)(x)


def _axis(a: Any, ndim: int, op: str) -> int:
    if not isinstance(a, (int, np.integer)) or isinstance(a, bool):
        raise errors.RankError(errors.message(op, f"an axis is an integer, got {a!r}", (), caller()))
    if not -ndim <= a < ndim:
        raise errors.RankError(errors.message(op, f"axis {a} is out of range for {ndim} dimensions", (), caller()))
    return int(a) % ndim


class Reshape(Op):
    """The same elements, in order, in another shape: one scalar input for each new axis, at most one of them -1."""

    __props__ = ("ndim",)
    view_of = 0

    def __init__(self, ndim: int) -> None:
        self.ndim = ndim

    def make_node(self, *inputs: Any) -> Any:
        node = super().make_node(*inputs)
        known = [int(v.data) if isinstance(v, Constant) else None for v in node.inputs[1:]]
        x = node.inputs[0].type.shape
        if known.count(-1) > 1:
            raise errors.ShapeError(errors.message("reshape", f"at most one extent may be -1, got {known}", (),
                                                   caller()))
        new: list[int | None] = [None if n is None or n < 0 else n for n in known]
        if None not in x:
            total = int(np.prod([n for n in x if n is not None]))
            rest = [n for n in new if n is not None]
            product = int(np.prod(rest))
            if len(rest) == len(new) - 1 and -1 in known and product and total % product == 0:
                new[known.index(-1)] = total // product
            elif len(rest) == len(new) and product != total:
                raise errors.ShapeError(errors.message("reshape", f"{total} elements don't fill shape {tuple(rest)}",
                                                       (describe(node.inputs[0]),), caller()))
        node.outputs[0].type = node.outputs[0].type.clone(shape=tuple(new))
        return node

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone(shape=(None,) * self.ndim),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        given = [load(k + 1, (), "int64") for k in range(self.ndim)]
        total = _product([dim(0, a) for a in range(types[0].ndim)])
        out = []
        for k, n in enumerate(given):
            rest = _product(given[:k] + given[k + 1:])
            safe = Expr("select", (Expr("eq", (rest, const(0, "int64")), None, "bool"), const(1, "int64"), rest), None,
                        "int64")
            inferred = total // safe
            out.append(Expr("select", (n < 0, inferred, n), None, "int64"))
        return (tuple(out),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        total = _product([dim(0, a) for a in range(types[0].ndim)])
        new = _product(list(self.infer_shape(*types)[0]))
        same = Expr("eq", (total, new), None, "bool")
        return (Check(same, "{0} elements can't be arranged in a shape of {1}", detail=(total, new)),)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.ascontiguousarray(arrays[0]).reshape([int(n) for n in arrays[1:]]),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        rest: Pullback = [None] * self.ndim
        if gouts[0] is None:
            return [None, *rest]
        return [Reshape(inputs[0].ndim)(gouts[0], *extents(inputs[0])), *rest]


def _product(parts: Sequence[Expr]) -> Expr:
    total: Expr = const(1, "int64")
    for p in parts:
        total = total * p
    return total


def reshape(x: Any, newshape: Any, ndim: int | None = None) -> Variable:
    """Return the elements of `x`, in C order, in another shape.

    Parameters
    ----------
    x : Variable
    newshape : int, sequence of int or Variable, or integer vector
        At most one extent may be -1: what is left.
    ndim : int, optional
        Needed only where `newshape` is a vector of unknown length, which isn't supported.

    Raises
    ------
    ShapeError
        If the sizes differ; at run time where they are known only then.

    Examples
    --------
    >>> reshape(constant([[1, 2, 3], [4, 5, 6]]), (-1, 2)).type.shape
    (3, 2)
    """
    x = as_tensor_variable(x)
    new = as_extents(newshape, "reshape")
    if ndim is not None and ndim != len(new):
        raise errors.RankError(errors.message("reshape", f"ndim is {ndim} but the shape has {len(new)} extents", (),
                                              caller()))
    return Reshape(len(new))(x, *new)


def flatten(x: Any, ndim: int = 1) -> Variable:
    """Join the trailing axes of `x`, leaving `ndim` axes."""
    x = as_tensor_variable(x)
    if ndim < 1 or (ndim > x.ndim and x.ndim > 0):
        raise errors.RankError(errors.message("flatten", f"ndim must be from 1 to {x.ndim}, got {ndim}",
                                              (describe(x),), caller()))
    return x if x.ndim == ndim else reshape(x, [*extents(x)[:ndim - 1], -1])


def transpose(x: Any, axes: Sequence[int] | None = None) -> Variable:
    """Reverse the axes of `x`, or permute them by `axes`."""
    x = as_tensor_variable(x)
    return dimshuffle(x, *(range(x.ndim)[::-1] if axes is None else axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """Exchange two axes."""
    x = as_tensor_variable(x)
    order = list(range(x.ndim))
    a, b = _axis(axis1, x.ndim, "swapaxes"), _axis(axis2, x.ndim, "swapaxes")
    order[a], order[b] = order[b], order[a]
    return dimshuffle(x, *order)


def squeeze(x: Any) -> Variable:
    """Drop every axis known to be of extent 1."""
    x = as_tensor_variable(x)
    return dimshuffle(x, *(a for a, n in enumerate(x.type.shape) if n != 1))


def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """Add axes of extent 1 in front."""
    x = as_tensor_variable(x)
    return dimshuffle(x, *("x",) * n_ones, *range(x.ndim))


def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """Add axes of extent 1 at the end."""
    x = as_tensor_variable(x)
    return dimshuffle(x, *range(x.ndim), *("x",) * n_ones)


class Join(Op):
    """Arrays one after the other along an axis."""

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if len({t.ndim for t in types}) != 1:
            raise errors.RankError("arrays of different rank can't be joined: "
                                   + ", ".join(str(t) for t in types))
        if not 0 <= self.axis < types[0].ndim:
            raise errors.RankError(f"axis {self.axis} is out of range for {types[0].ndim} dimensions")
        out: list[int | None] = []
        for a in range(types[0].ndim):
            known = [t.shape[a] for t in types]
            if a == self.axis:
                out.append(None if None in known else sum(n for n in known if n is not None))
                continue
            fixed = {n for n in known if n is not None}
            if len(fixed) > 1:
                raise errors.ShapeError(f"extents {sorted(fixed)} differ on axis {a}, which isn't the joined one")
            out.append(fixed.pop() if fixed else None)
        return (TensorType(promote(*(t.dtype for t in types)), tuple(out)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        total: Expr = const(0, "int64")
        for k in range(len(types)):
            total = total + dim(k, self.axis)
        return (tuple(total if a == self.axis else dim(0, a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        out = []
        for k in range(1, len(types)):
            for a in range(types[0].ndim):
                if a != self.axis:
                    x, y = dim(0, a), dim(k, a)
                    out.append(Check(Expr("eq", (x, y), None, "bool"), f"extents {{0}} and {{1}} on axis {a} differ",
                                     detail=(x, y)))
        return tuple(out)

    def compute(self, *types: TensorType) -> Scatter:
        out = self.infer_type(*types)[0].dtype
        start: Expr = const(0, "int64")
        parts = []
        for k, t in enumerate(types):
            index = tuple(axis(a) for a in range(t.ndim))
            to = tuple(i + start if a == self.axis else i for a, i in enumerate(index))
            parts.append(Part(tuple(dim(k, a) for a in range(t.ndim)), to, _as(load(k, index, t.dtype), out)))
            start = start + dim(k, self.axis)
        return Scatter(None, tuple(parts))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        g = gouts[0]
        if g is None:
            return [None] * len(inputs)
        found: Pullback = []
        start: Any = 0
        for x in inputs:
            known = x.type.shape[self.axis]
            stop = start + (Shape_i(self.axis)(x) if known is None else known)
            index = tuple(slice(start, stop) if a == self.axis else slice(None) for a in range(x.ndim))
            found.append(None if is_discrete(x.dtype) else cast_to(g[index], x.dtype))
            start = stop
        return found


def concatenate(tensor_list: Sequence[Any], axis: int = 0) -> Variable:
    """Join arrays along an existing axis; their other extents must be equal."""
    parts = [as_tensor_variable(t) for t in tensor_list]
    if not parts:
        raise errors.ShapeError(errors.message("concatenate", "nothing to join", (), caller()))
    return Join(_axis(axis, parts[0].ndim, "concatenate"))(*parts)


def join(axis: int, *tensors: Any) -> Variable:
    """Join arrays along an existing axis (Theano's order of arguments)."""
    return concatenate(tensors, axis)


def stack(tensors: Any, axis: int = 0) -> Variable:
    """Join arrays of one shape along a new axis."""
    parts = [as_tensor_variable(t) for t in tensors]
    if not parts:
        raise errors.ShapeError(errors.message("stack", "nothing to stack", (), caller()))
    a = _axis(axis, parts[0].ndim + 1, "stack")
    if parts[0].ndim == 0:
        return MakeVector()(*parts)
    return concatenate([dimshuffle(p, *range(a), "x", *range(a, p.ndim)) for p in parts], a)


graph.STACK.append(stack)
