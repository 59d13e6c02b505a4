"""Extents: reading them as symbolic scalars, giving them, and stating what is known of them."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.scalar import Check, Expr, IndexLambda, Part, Scatter, axis, binary, cast, const, dim, load
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
        return Scatter(None, tuple(Part((one,), (const(k, "int64"),), cast(load(k, (), t.dtype), out))
                                   for k, t in enumerate(types)))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        g = gouts[0]
        return [None if g is None or is_discrete(x.dtype) else cast_to(g[k], x.dtype) for k, x in enumerate(inputs)]


def extents(x: Any) -> list[Variable]:
    """Return the extents of `x` as int64 scalars, constants where they are known."""
    x = as_tensor_variable(x)
    return [Shape_i(a)(x) if n is None else constant(n, dtype="int64") for a, n in enumerate(x.type.shape)]


def shape(x: Any) -> Variable:
    """Return the shape of `x` as an int64 vector of known length.

    Examples
    --------
    >>> shape(constant([[1, 2, 3]])).type
    TensorType(int64, (2,))
    """
    found = extents(x)
    return MakeVector()(*found) if found else constant(np.zeros(0, "int64"))


def as_extents(shape: Any, op: str = "reshape", ndim: int | None = None) -> list[Variable]:
    """Return a shape, given as a number, a sequence or an integer vector, as int64 scalars.

    Parameters
    ----------
    shape : int, sequence of int or Variable, or integer vector
    op : str
        Who asks, for errors.
    ndim : int, optional
        Length of a vector whose length isn't known.

    Raises
    ------
    ShapeError
        If it is a vector whose length isn't known.
    RankError
        If it is a matrix or more.
    DTypeError
        If an extent isn't an integer scalar.
    """
    if isinstance(shape, Variable):
        if shape.ndim == 0:
            return [integer_operand(shape, op)]
        if shape.ndim > 1:
            raise errors.RankError(errors.message(op, "a shape is a vector of integers", (describe(shape),), caller()))
        if shape.owner is not None and isinstance(shape.owner.op, MakeVector):
            return [integer_operand(v, op) for v in shape.owner.inputs]
        if isinstance(shape, Constant):
            return [integer_operand(int(n), op) for n in shape.data]
        if shape.type.shape[0] is None and ndim is not None:
            shape = SpecifyShape([ndim])(shape)
        if shape.type.shape[0] is None:
            raise errors.ShapeError(errors.message(op, "the number of dimensions isn't known", (describe(shape),),
                                                   caller(), "pass the extents as a list, or say ndim="))
        return [integer_operand(shape[k], op) for k in range(shape.type.shape[0])]
    if isinstance(shape, (int, np.integer)):
        return [integer_operand(int(shape), op)]
    if not np.iterable(shape):
        raise errors.DTypeError(errors.message(op, f"a shape is an integer or a sequence of integers, got {shape!r}", (),
                                               caller()))
    return [integer_operand(int(n) if isinstance(n, np.integer) else n, op) for n in shape]


def entry_of_shape(x: Variable, key: Any) -> Variable | None:
    """Return ``x[key]`` where `x` is a shape and `key` an int or a slice of ints: the extents themselves.

    So ``x.shape[0]`` is the extent, a constant where it is known, and types made from it stay tight.
    """
    if x.owner is None or not isinstance(x.owner.op, MakeVector):
        return None
    parts = x.owner.inputs
    if not all(isinstance(v, Constant) or (v.owner is not None and isinstance(v.owner.op, Shape_i)) for v in parts):
        return None
    if isinstance(key, int) and not isinstance(key, bool) and -len(parts) <= key < len(parts):
        return parts[key]
    if isinstance(key, slice) and not any(isinstance(b, Variable) for b in (key.start, key.stop, key.step)):
        return MakeVector()(*parts[key]) if parts[key] else None
    return None


def get_vector_length(v: Any) -> int:
    """Return the length of a vector, where it is known.

    Raises
    ------
    ShapeError
        If it isn't known before the function runs.

    Examples
    --------
    >>> get_vector_length(constant([1, 2, 3]))
    3
    """
    v = as_tensor_variable(v)
    if v.ndim != 1:
        raise errors.RankError(errors.message("get_vector_length", "expected a vector", (describe(v),), caller()))
    if v.type.shape[0] is None:
        raise errors.ShapeError(errors.message("get_vector_length", "the length isn't known before the function runs",
                                               (describe(v),), caller(), "T.specify_shape(v, (n,)) states it"))
    return v.type.shape[0]


def axis_of(a: Any, ndim: int, op: str) -> int:
    """Return an axis, counted from the end where negative, as an int in ``0 <= a < ndim``.

    Raises
    ------
    RankError
        If it is no integer, or out of range.
    """
    if not isinstance(a, (int, np.integer)) or isinstance(a, bool):
        raise errors.RankError(errors.message(op, f"an axis is an integer, got {a!r}", (), caller()))
    if not -ndim <= a < ndim:
        raise errors.RankError(errors.message(op, f"axis {a} is out of range for {ndim} dimensions", (), caller()))
    return int(a) % ndim


class SpecifyShape(Op):
    """The same array with more (or less) known of its shape.

    Parameters
    ----------
    known : tuple
        One entry an axis: an int that the extent must be, None (nothing is said), ``'n'`` (it must be the next
        scalar input) or ``'?'`` (what was known is forgotten).
    """

    __props__: tuple[str, ...] = ("known",)
    name = "specify_shape"
    is_index_map = True

    def __init__(self, known: Sequence[int | str | None]) -> None:
        self.known = tuple(known)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        x = types[0]
        if len(self.known) != x.ndim:
            raise errors.RankError(f"a shape of {len(self.known)} extents was given for {x.ndim} dimensions")
        for a, (n, own) in enumerate(zip(self.known, x.shape, strict=True)):
            if isinstance(n, int) and own is not None and n != own:
                raise errors.ShapeError(f"axis {a} has extent {own}, expected {n}")
        return (x.clone(shape=tuple(n if isinstance(n, int) else None if n == "?" else own
                                    for n, own in zip(self.known, x.shape, strict=True))),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(const(n, "int64") if isinstance(n, int) else dim(0, a) for a, n in enumerate(self.known)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        out = []
        given = iter(range(1, len(types)))
        for a, n in enumerate(self.known):
            if n is None or n == "?":
                continue
            want = const(n, "int64") if isinstance(n, int) else load(next(given), (), "int64")
            out.append(Check(binary("eq", dim(0, a), want), f"axis {a} has extent {{0}}, expected {{1}}",
                             detail=(dim(0, a), want)))
        return tuple(out)

    def compute(self, *types: TensorType) -> IndexLambda:
        index = [const(0, "int64") if n == 1 else axis(a) for a, n in enumerate(types[0].shape)]
        return IndexLambda(load(0, index, types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [gouts[0], *[None] * (len(inputs) - 1)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        t = tangents[0]  # what is known of the result must be known of its tangent, for what follows
        return [None if t is None else SpecifyShape(self.known)(t, *inputs[1:])]


def specify_shape(x: Any, shape: Any) -> Variable:
    """Return `x`, whose extents must be `shape` when it is computed; None for an extent says nothing.

    Raises
    ------
    ShapeError
        If an extent differs; at run time where it is known only then.

    Examples
    --------
    >>> specify_shape(TensorType("float32", (None, None))("x"), (3, None)).type.shape
    (3, None)
    """
    x = as_tensor_variable(x)
    entries = as_extents(shape, "specify_shape") if isinstance(shape, Variable) else [
        None if n is None else integer_operand(n, "specify_shape") for n in shape]
    known = [None if n is None else int(n.data) if isinstance(n, Constant) else "n" for n in entries]
    return SpecifyShape(known)(x, *(n for n, k in zip(entries, known, strict=True) if k == "n"))


def addbroadcast(x: Any, *axes: int) -> Variable:
    """Return `x` with the extents of `axes` known to be 1, which is checked at run time, so that they broadcast."""
    x = as_tensor_variable(x)
    chosen = {axis_of(a, x.ndim, "addbroadcast") for a in axes}
    if all(x.type.shape[a] == 1 for a in chosen):
        return x
    return SpecifyShape([1 if a in chosen else None for a in range(x.ndim)])(x)


def unbroadcast(x: Any, *axes: int) -> Variable:
    """Return `x` with the extents of `axes` no longer known to be 1."""
    x = as_tensor_variable(x)
    chosen = {axis_of(a, x.ndim, "unbroadcast") for a in axes}
    forget = [x.type.shape[a] == 1 and a in chosen for a in range(x.ndim)]
    return SpecifyShape(["?" if f else None for f in forget])(x) if np.any(forget) else x


def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> Variable:
    """Return `x` with exactly the axes that are True in `broadcastable` known to be of extent 1."""
    pattern = list(enumerate(broadcastable))
    return unbroadcast(addbroadcast(x, *(a for a, b in pattern if b)), *(a for a, b in pattern if not b))
