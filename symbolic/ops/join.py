"""Arrays put together and taken apart: join, stack, split, tile, repeat, roll."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors, graph
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import alloc
from symbolic.ops.elementwise import cast_to, integer_operand, under_policy
from symbolic.ops.extents import MakeVector, Pullback, Shape_i, SpecifyShape, as_extents, axis_of, extents
from symbolic.ops.index import getitem, take
from symbolic.ops.nonzero import repeated
from symbolic.ops.shape import dimshuffle, flatten, reshape, shape_padleft
from symbolic.scalar import Check, Expr, IndexLambda, Part, Scatter, axis, binary, cast, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete, promote


class Join(Op):
    """Arrays one after the other along an axis."""

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if len({t.ndim for t in types}) != 1:
            raise errors.RankError("arrays of different rank can't be joined\nhint: T.shape_padleft adds axes")
        out: list[int | None] = []
        for a in range(types[0].ndim):
            known = [t.shape[a] for t in types]
            fixed = {n for n in known if n is not None}
            if a == self.axis:
                out.append(None if None in known else sum(n for n in known if n is not None))
            elif len(fixed) > 1:
                raise errors.ShapeError(f"extents {sorted(fixed)} differ on axis {a}, which isn't the joined one")
            else:
                out.append(fixed.pop() if fixed else None)
        return (TensorType(promote(*(t.dtype for t in types)), tuple(out)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        total: Expr = const(0, "int64")
        for k in range(len(types)):
            total = total + dim(k, self.axis)
        return (tuple(total if a == self.axis else dim(0, a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return tuple(Check(binary("eq", dim(0, a), dim(k, a)), f"extents {{0}} and {{1}} differ on axis {a}, which "
                           "isn't the joined one", detail=(dim(0, a), dim(k, a)))
                     for k in range(1, len(types)) for a in range(types[0].ndim) if a != self.axis)

    def compute(self, *types: TensorType) -> Scatter:
        out = self.infer_type(*types)[0].dtype
        start: Expr = const(0, "int64")
        parts = []
        for k, t in enumerate(types):
            index = tuple(axis(a) for a in range(t.ndim))
            to = tuple(i + start if a == self.axis else i for a, i in enumerate(index))
            parts.append(Part(tuple(dim(k, a) for a in range(t.ndim)), to, cast(load(k, index, t.dtype), out)))
            start = start + dim(k, self.axis)
        return Scatter(None, tuple(parts))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        g = gouts[0]
        if g is None:
            return [None] * len(inputs)
        parts = split(g, [_extent(x, self.axis) for x in inputs], len(inputs), self.axis)
        return [None if is_discrete(x.dtype) else cast_to(_as_known(p, x), x.dtype) for x, p in zip(inputs, parts, strict=True)]


def _as_known(part: Variable, x: Variable) -> Variable:
    """Return a part of the cotangent with all that is known of its shape: what made `x` may need it."""
    if all(n is None or n == m for n, m in zip(x.type.shape, part.type.shape, strict=True)):
        return part
    return SpecifyShape(x.type.shape)(part)


def _extent(x: Variable, a: int) -> Any:
    n = x.type.shape[a]
    return Shape_i(a)(x) if n is None else n


def concatenate(tensor_list: Sequence[Any], axis: int = 0) -> Variable:
    """Return arrays joined along an axis they have; their other extents must be equal.

    Parameters
    ----------
    tensor_list : sequence of Variable or array
        All of one rank.
    axis : int

    Raises
    ------
    ShapeError
        If other extents differ, or there is nothing to join.
    RankError
        If the ranks differ.

    Examples
    --------
    >>> concatenate([np.zeros((2, 3)), np.zeros((2, 4))], axis=1).type.shape
    (2, 7)
    """
    parts = under_policy([as_tensor_variable(t) for t in tensor_list])
    if not parts:
        raise errors.ShapeError(errors.message("concatenate", "nothing to join", (), caller()))
    if parts[0].ndim == 0:
        raise errors.RankError(errors.message("concatenate", "scalars have no axis to join along", (), caller(),
                                              "T.stack makes a vector of scalars"))
    return parts[0] if len(parts) == 1 else Join(axis_of(axis, parts[0].ndim, "concatenate"))(*parts)


def join(axis: int, *tensors: Any) -> Variable:
    """Return arrays joined along an axis they have (Theano's order of arguments).

    >>> join(0, [1, 2], [3]).type.shape
    (3,)
    """
    return concatenate(tensors, axis)


def stack(tensors: Any, *more: Any, axis: int = 0) -> Variable:
    """Return arrays of one shape joined along a new axis.

    Parameters
    ----------
    tensors : sequence of Variable or array
    *more : Variable
        Theano's old form ``stack(a, b, c)``; or the axis, as in ``stack([a, b], 1)``.
    axis : int
        Place of the new axis in the result.

    Examples
    --------
    >>> stack([np.zeros((2, 3)), np.ones((2, 3))], axis=1).type.shape
    (2, 2, 3)
    """
    if isinstance(tensors, (list, tuple)) and len(more) == 1 and isinstance(more[0], (int, np.integer)):
        axis, more = int(more[0]), ()
    given = [tensors, *more] if more or (isinstance(tensors, Variable) and tensors.ndim == 0) else list(tensors)
    parts = under_policy([as_tensor_variable(t) for t in given])
    if not parts:
        raise errors.ShapeError(errors.message("stack", "nothing to stack", (), caller()))
    a = axis_of(axis, parts[0].ndim + 1, "stack")
    if len({p.ndim for p in parts}) > 1:
        raise errors.RankError(errors.message("stack", "arrays of different rank can't be stacked",
                                              tuple(describe(p) for p in parts), caller()))
    if parts[0].ndim == 0:
        return MakeVector()(*parts)
    return concatenate([dimshuffle(p, *range(a), "x", *range(a, p.ndim)) for p in parts], a)


graph.STACK.append(stack)


def stacklists(arg: Any) -> Variable:
    """Return nested lists of variables as one array.

    >>> stacklists([[constant(1), 2], [3, 4]]).type.shape
    (2, 2)
    """
    return stack([stacklists(a) for a in arg]) if isinstance(arg, (list, tuple)) else as_tensor_variable(arg)


def horizontal_stack(*args: Any) -> Variable:
    """Return matrices side by side.

    >>> horizontal_stack(np.zeros((2, 3)), np.zeros((2, 1))).type.shape
    (2, 4)
    """
    return _matrices(args, 1, "horizontal_stack")


def vertical_stack(*args: Any) -> Variable:
    """Return matrices one above the other.

    >>> vertical_stack(np.zeros((2, 3)), np.zeros((1, 3))).type.shape
    (3, 3)
    """
    return _matrices(args, 0, "vertical_stack")


def _matrices(args: Sequence[Any], a: int, op: str) -> Variable:
    parts = [as_tensor_variable(x) for x in args]
    for p in parts:
        if p.ndim != 2:
            raise errors.RankError(errors.message(op, "expected matrices", (describe(p),), caller()))
    return concatenate(parts, a)


def split(x: Any, splits_size: Any, n_splits: int | None = None, axis: int = 0) -> list[Variable]:
    """Return `x` cut into pieces along an axis.

    Parameters
    ----------
    x : Variable
    splits_size : sequence of int or Variable, or integer vector
        The extent of each piece; they add up to the extent of `x`.
    n_splits : int, optional
        How many pieces there are; needed where `splits_size` is a vector of unknown length.
    axis : int

    Raises
    ------
    ShapeError
        If the pieces don't add up; at run time where the extents are known only then.

    Examples
    --------
    >>> [p.type.shape for p in split(np.zeros((5, 2)), [2, 3], 2)]
    [(2, 2), (3, 2)]
    """
    x = as_tensor_variable(x)
    a = axis_of(axis, x.ndim, "split")
    sizes = as_extents(splits_size, "split", n_splits)
    if n_splits is not None and len(sizes) != n_splits:
        raise errors.ShapeError(errors.message("split", f"{len(sizes)} sizes were given for {n_splits} pieces",
                                               (describe(x),), caller()))
    whole = Pieces(a)(x, *sizes)
    out: list[Variable] = []
    start: Any = 0
    for n in sizes:
        stop = start + (int(n.data) if isinstance(n, Constant) else n)
        out.append(getitem(whole, (*[slice(None)] * a, slice(start, stop))))
        start = stop
    return out


class Pieces(Op):
    """An array whose extent along an axis must be the sum of the other inputs, none of them negative."""

    __props__ = ("axis",)
    is_index_map = True

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        total: Expr = const(0, "int64")
        for k in range(1, len(types)):
            total = total + load(k, (), "int64")
        n = dim(0, self.axis)
        return (Check(binary("eq", n, total), f"the sizes add up to {{1}}, but axis {self.axis} has extent {{0}}",
                      detail=(n, total)),
                *(Check(const(0, "int64") <= load(k, (), "int64"), "a size can't be negative, got {0}",
                        detail=(load(k, (), "int64"),)) for k in range(1, len(types))))

    def compute(self, *types: TensorType) -> IndexLambda:
        index = [const(0, "int64") if n == 1 else axis(a) for a, n in enumerate(types[0].shape)]
        return IndexLambda(load(0, index, types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [gouts[0], *[None] * (len(inputs) - 1)]


def broadcast_to(x: Any, shape: Any) -> Variable:
    """Return `x` repeated along axes of extent 1, and along new axes in front, up to `shape`.

    >>> broadcast_to([1, 2, 3], (4, 3)).type.shape
    (4, 3)
    """
    return alloc(x, *as_extents(shape, "broadcast_to"))


def tile(x: Any, reps: Any, ndim: int | None = None) -> Variable:
    """Return `x` laid side by side `reps` times along each axis, as ``numpy.tile``.

    Parameters
    ----------
    x : Variable
    reps : int, sequence of int or Variable
        Fewer than there are axes count for the last ones.
    ndim : int, optional
        Rank of the result, if larger.

    Examples
    --------
    >>> tile([[1, 2, 3]], (2, 2)).type.shape
    (2, 6)
    """
    x = as_tensor_variable(x)
    times = as_extents(reps, "tile")
    n = max(x.ndim, len(times), ndim or 0)
    times = [constant(1, dtype="int64")] * (n - len(times)) + times
    x = shape_padleft(x, n - x.ndim)
    own = extents(x)
    pairs = [e for pair in zip(times, own, strict=True) for e in pair]
    wide = alloc(dimshuffle(x, *(p for a in range(n) for p in ("x", a))), *pairs)
    return reshape(wide, [_times(r, e) for r, e in zip(times, own, strict=True)])


def _times(a: Variable, b: Variable) -> Any:
    if isinstance(a, Constant) and isinstance(b, Constant):
        return int(a.data) * int(b.data)
    return a * b


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Variable:
    """Return `x` with each element repeated, as ``numpy.repeat``.

    Parameters
    ----------
    x : Variable
    repeats : int, integer scalar or integer vector
        How often; a vector has one number for each element of the axis.
    axis : int, optional
        None repeats the elements of the flattened array.

    Raises
    ------
    ShapeError
        If a number is negative, or a vector has another length than the axis; when the function runs where that is
        known only then.

    Examples
    --------
    >>> repeat([1, 2, 3], 2).type.shape, repeat([1, 2, 3], [0, 1, 2]).type.shape
    ((6,), (3,))
    """
    x = as_tensor_variable(x)
    if axis is None:
        x, axis = flatten(x), 0
    a = axis_of(axis, x.ndim, "repeat")
    r = as_tensor_variable(repeats)
    if r.ndim == 1 and r.type.shape[0] == 1:
        r = dimshuffle(r)
    if r.ndim > 1 or not is_discrete(r.dtype):
        raise errors.DTypeError(errors.message("repeat", "repeats must be an integer or a vector of integers", (describe(r),),
                                               caller()))
    if isinstance(r, Constant) and (r.data < 0).any():
        raise errors.ShapeError(errors.message("repeat", f"repeats can't be negative, got {r.data.min()}", (describe(x),),
                                               caller()))
    if r.ndim == 1:
        if isinstance(r, Constant) and x.type.shape[a] == len(r.data):
            return take(x, np.repeat(np.arange(len(r.data)), r.data), a)
        return take(x, repeated(cast_to(r, "int64"), x, a), a)
    n = integer_operand(r, "repeat")
    own = extents(x)
    wide = alloc(dimshuffle(x, *range(a + 1), "x", *range(a + 1, x.ndim)), *own[:a + 1], n, *own[a + 1:])
    return reshape(wide, [*own[:a], _times(own[a], n), *own[a + 1:]])


class Roll(Op):
    """Elements moved along an axis by the second input; those beyond the end come in at the front."""

    __props__ = ("axis",)

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def compute(self, *types: TensorType) -> IndexLambda:
        index = [axis(a) for a in range(types[0].ndim)]
        index[self.axis] = (index[self.axis] - load(1, (), "int64")) % dim(0, self.axis)
        return IndexLambda(load(0, index, types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [None if gouts[0] is None else Roll(self.axis)(gouts[0], -inputs[1]), None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]


def roll(x: Any, shift: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """Return `x` with elements moved along axes; those beyond the end come in at the front. As ``numpy.roll``.

    Parameters
    ----------
    x : array_like
    shift : int or integer scalar, or a sequence of them
        How far; one for each of several axes, or the same for all.
    axis : int or sequence of int, optional
        None: the flattened array is moved.

    Raises
    ------
    ValueError
        If there are several shifts and another number of axes.

    Examples
    --------
    >>> roll(np.zeros((2, 3)), 1, axis=0).type.shape
    (2, 3)
    """
    x = as_tensor_variable(x)
    several = isinstance(shift, (list, tuple))
    if axis is None:
        flat = flatten(x)
        for s in shift if several else [shift]:
            flat = roll(flat, s, 0)
        return reshape(flat, extents(x))
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    shifts = list(shift) if several else [shift] * len(axes)
    if several and isinstance(axis, (int, np.integer)):
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts were given for {len(axes)} axes")
    for s, a in zip(shifts, axes, strict=True):
        x = Roll(axis_of(a, x.ndim, "roll"))(x, integer_operand(s, "roll"))
    return x
