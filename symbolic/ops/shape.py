"""The same elements in another arrangement: permuted, new and dropped axes, other extents."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.extents import Pullback, Shape_i, addbroadcast, as_extents, axis_of, extents
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, const, dim, load, select
from symbolic.source import caller
from symbolic.types import TensorType


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
    order = tuple(o if o == "x" else axis_of(o, x.ndim, "dimshuffle") for o in pattern)
    return x if order == tuple(range(x.ndim)) else DimShuffle(order)(x)


class Reshape(Op):
    """The same elements, in order, in another shape: one scalar input for each new axis.

    Parameters
    ----------
    known : tuple of int or None
        What is known of the new shape; -1, at most once, is what the others leave.
    """

    __props__ = ("known",)
    view_of = 0

    def __init__(self, known: Sequence[int | None]) -> None:
        self.known = tuple(known)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if self.known.count(-1) > 1 or any(n is not None and n < -1 for n in self.known):
            raise errors.ShapeError(f"extents are 0 or more, and at most one extent may be -1, got {self.known}")
        new: list[int | None] = [None if n == -1 else n for n in self.known]
        x, rest = types[0].shape, [n for n in self.known if n is not None and n != -1]
        if None not in x:
            total, product = math.prod(n or 0 for n in x), math.prod(rest)
            if len(rest) == len(new) - 1 and -1 in self.known and product and total % product == 0:
                new[self.known.index(-1)] = total // product
            elif None not in self.known and total != product * (-1 not in self.known):
                shown = ", ".join(map(str, self.known))
                raise errors.ShapeError(f"{total} elements don't fill shape ({shown})\n"
                                        "hint: the new extents must multiply to the old ones; -1 is what is left")
        return (types[0].clone(shape=tuple(new)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        total = _product([dim(0, a) for a in range(types[0].ndim)])
        out: list[Expr] = []
        for k, known in enumerate(self.known):
            given = self._given(k)
            if known is not None and known != -1:
                out.append(given)
                continue
            rest = _product([self._given(j) for j in range(len(self.known)) if j != k])
            left = total // select(binary("eq", rest, 0), const(1, "int64"), rest)
            out.append(left if known == -1 else select(binary("eq", given, -1), left, given))
        return (tuple(out),)

    def _given(self, k: int) -> Expr:
        known = self.known[k]
        return load(k + 1, (), "int64") if known is None else const(known, "int64")

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        total, shape = _product([dim(0, a) for a in range(types[0].ndim)]), self.infer_shape(*types)[0]
        new = _product(shape)
        out = [Check(binary("eq", total, new), "{0} elements can't be arranged in a shape of {1}", detail=(total, new))]
        return (*out, *(Check(const(0, "int64") <= n, "an extent can't be negative, got {0}", detail=(n,))
                        for n, known in zip(shape, self.known, strict=True) if known is None))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        rest: Pullback = [None] * len(self.known)
        return [None if gouts[0] is None else _reshaped(gouts[0], extents(inputs[0])), *rest]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True]] + [[False]] * len(self.known)


def _product(parts: Sequence[Expr]) -> Expr:
    total: Expr = const(1, "int64")
    for p in parts:
        total = total * p
    return total


def _reshaped(x: Variable, new: Sequence[Variable]) -> Variable:
    return Reshape([int(v.data) if isinstance(v, Constant) else None for v in new])(x, *new)


def _left_over(x: Variable, new: Sequence[Variable]) -> Variable | None:
    """Return what -1 stands for where the other extents are numbers or extents of `x` itself.

    ``x.reshape((x.shape[0], -1))`` then has the extents of `x` in its shape, and no division.
    """
    axes = list(range(x.ndim))
    product = 1
    for n in new:
        if isinstance(n, Constant):
            product *= int(n.data) if n.data != -1 else 1
        elif n.owner is not None and isinstance(n.owner.op, Shape_i) and n.owner.inputs[0] is x \
                and n.owner.op.axis in axes:
            axes.remove(n.owner.op.axis)
        else:
            return None
    total = math.prod(e for a in axes if (e := x.type.shape[a]) is not None)
    if product <= 0 or total % product:
        return None
    left: Variable = constant(total // product, dtype="int64")
    for a in axes:
        if x.type.shape[a] is None:
            left = Shape_i(a)(x) if isinstance(left, Constant) and left.data == 1 else left * Shape_i(a)(x)
    return left


def reshape(x: Any, newshape: Any, ndim: int | None = None) -> Variable:
    """Return the elements of `x`, in C order, in another shape.

    Parameters
    ----------
    x : Variable
    newshape : int, sequence of int or Variable, or integer vector
        At most one extent may be -1: what is left.
    ndim : int, optional
        Needed where `newshape` is a vector of unknown length.

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
    new = as_extents(newshape, "reshape", ndim)
    if ndim is not None and ndim != len(new):
        raise errors.RankError(errors.message("reshape", f"ndim is {ndim} but the shape has {len(new)} extents", (),
                                              caller()))
    blank = [k for k, n in enumerate(new) if isinstance(n, Constant) and n.data == -1]
    left = _left_over(x, new) if len(blank) == 1 else None
    return _reshaped(x, new if left is None else [left if k == blank[0] else n for k, n in enumerate(new)])


def flatten(x: Any, ndim: int = 1, outdim: int | None = None) -> Variable:
    """Return `x` with its trailing axes joined, so that `ndim` axes are left (`outdim` is Theano's old name).

    Examples
    --------
    >>> flatten(constant(np.zeros((2, 3, 4))), 2).type.shape
    (2, 12)
    """
    x = as_tensor_variable(x)
    ndim = ndim if outdim is None else outdim
    if ndim < 1 or (ndim > x.ndim and x.ndim > 0):
        raise errors.RankError(errors.message("flatten", f"ndim must be from 1 to {x.ndim}, got {ndim}",
                                              (describe(x),), caller()))
    return x if x.ndim == ndim else reshape(x, [*extents(x)[:ndim - 1], -1])


def ravel(x: Any) -> Variable:
    """Return the elements of `x` as a vector."""
    return flatten(x)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Variable:
    """Return `x` with its axes reversed, or permuted by `axes`.

    Examples
    --------
    >>> transpose(constant(np.zeros((2, 3, 4))), (1, 0, 2)).type.shape
    (3, 2, 4)
    """
    x = as_tensor_variable(x)
    return dimshuffle(x, *(range(x.ndim)[::-1] if axes is None else axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """Return `x` with two axes exchanged."""
    x = as_tensor_variable(x)
    order = list(range(x.ndim))
    a, b = axis_of(axis1, x.ndim, "swapaxes"), axis_of(axis2, x.ndim, "swapaxes")
    order[a], order[b] = order[b], order[a]
    return dimshuffle(x, *order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Variable:
    """Return `x` with axes moved to other places; the rest keep their order.

    Examples
    --------
    >>> moveaxis(constant(np.zeros((2, 3, 4))), 0, -1).type.shape
    (3, 4, 2)
    """
    x = as_tensor_variable(x)
    pairs = [[axis_of(a, x.ndim, "moveaxis") for a in ((s,) if isinstance(s, (int, np.integer)) else s)]
             for s in (source, destination)]
    if len(pairs[0]) != len(pairs[1]):
        raise errors.RankError(errors.message("moveaxis", f"{len(pairs[0])} axes can't go to {len(pairs[1])} places",
                                              (describe(x),), caller()))
    order = [a for a in range(x.ndim) if a not in pairs[0]]
    for to, a in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(to, a)
    return dimshuffle(x, *order)


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """Return `x` without axes of extent 1: those known to be, or those of `axis`, checked at run time.

    Examples
    --------
    >>> squeeze(constant(np.zeros((1, 3, 1)))).type.shape
    (3,)
    """
    x = as_tensor_variable(x)
    if axis is None:
        return dimshuffle(x, *(a for a, n in enumerate(x.type.shape) if n != 1))
    gone = {axis_of(a, x.ndim, "squeeze") for a in ((axis,) if isinstance(axis, (int, np.integer)) else axis)}
    return dimshuffle(addbroadcast(x, *sorted(gone)), *(a for a in range(x.ndim) if a not in gone))


def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """Return `x` with axes of extent 1 added in front."""
    x = as_tensor_variable(x)
    return dimshuffle(x, *("x",) * n_ones, *range(x.ndim))


def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """Return `x` with axes of extent 1 added at the end."""
    x = as_tensor_variable(x)
    return dimshuffle(x, *range(x.ndim), *("x",) * n_ones)


def shape_padaxis(x: Any, axis: int) -> Variable:
    """Return `x` with an axis of extent 1 added at `axis` of the result.

    Examples
    --------
    >>> shape_padaxis(constant(np.zeros((2, 3))), -1).type.shape
    (2, 3, 1)
    """
    x = as_tensor_variable(x)
    a = axis_of(axis, x.ndim + 1, "shape_padaxis")
    return dimshuffle(x, *range(a), "x", *range(a, x.ndim))
