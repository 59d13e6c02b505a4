"""Arrays out of numbers: constant fills, ranges, grids."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant
from symbolic.ops.elementwise import cast_to, unbroadcast, weak_operands
from symbolic.ops.extents import as_extents, axis_of, extents
from symbolic.ops.functions import second, switch
from symbolic.ops.shape import dimshuffle
from symbolic.scalar import Check, Expr, IndexLambda, axis, cast, const, dim, load, select
from symbolic.scalar import unary as atom
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete, is_float, promote


class Alloc(Op):
    """A value broadcast to extents given as scalars.

    Parameters
    ----------
    known : tuple of int or None
        The extents that are known beforehand.
    """

    __props__ = ("known",)
    is_index_map = True

    def __init__(self, known: Sequence[int | None]) -> None:
        self.known = tuple(known)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        value, n = types[0], len(self.known)
        if any(k is not None and k < 0 for k in self.known):
            raise errors.ShapeError(f"an extent can't be negative, got {self.known}")
        if value.ndim > n:
            raise errors.RankError(f"a value of {value.ndim} dimensions doesn't fit {n} extents")
        for own, want in zip(value.shape, self.known[n - value.ndim:], strict=True):
            if own not in (None, 1) and want not in (None, own):
                raise errors.ShapeError(f"a value of extent {own} can't fill extent {want}")
        return (value.clone(shape=self.known),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(load(k + 1, (), "int64") if n is None else const(n, "int64") for k, n in enumerate(self.known)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        zero = const(0, "int64")
        n = len(types) - 1
        out = [Check(zero <= load(k, (), "int64"), "an extent can't be negative, got {0}",
                     detail=(load(k, (), "int64"),)) for k in range(1, len(types)) if self.known[k - 1] is None]
        if sum(n is None for n in self.known) > 1:  # in floating point, where products don't wrap round
            total: Expr = const(1.0, "float64")
            for e in self.infer_shape(*types)[0]:
                total = total * cast(e, "float64")
            out.append(Check(total < const(2.0**62, "float64"), "an array whose last extents are {0} and {1} has too many "
                             "elements", detail=self.infer_shape(*types)[0][-2:]))
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
    """Return `value` broadcast to `shape`.

    Parameters
    ----------
    value : Variable or array
    *shape : int, integer scalar, sequence or integer vector

    Raises
    ------
    ShapeError
        If an extent is negative, or `value` doesn't broadcast; at run time where that is known only then.

    Examples
    --------
    >>> alloc(0.5, 2, 3).type.shape
    (2, 3)
    """
    extents = [n for s in shape for n in as_extents(s, "alloc")]
    return Alloc([int(n.data) if isinstance(n, Constant) else None for n in extents])(value, *extents)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Variable:
    """Return an array of `shape` filled with a value, in the dtype of the value unless told otherwise.

    >>> full((2, 3), 7, "int32").type
    TensorType(int32, (2, 3))
    """
    value = as_tensor_variable(fill_value)
    return alloc(value if dtype is None else cast_to(value, dtype), shape)


def zeros(shape: Any, dtype: Any = None) -> Variable:
    """Return an array of zeros (floatX by default).

    >>> zeros((2, 3), "int8").type
    TensorType(int8, (2, 3))
    """
    return alloc(constant(0, dtype=TensorType(dtype or "floatX").dtype), shape)


def ones(shape: Any, dtype: Any = None) -> Variable:
    """Return an array of ones (floatX by default).

    >>> ones(3).type
    TensorType(float64, (3,))
    """
    return alloc(constant(1, dtype=TensorType(dtype or "floatX").dtype), shape)


def empty(shape: Any, dtype: Any = None) -> Variable:
    """Return an array whose content doesn't matter; it is zero, since graphs have no other unknown.

    >>> empty((2, 3)).type.shape
    (2, 3)
    """
    return zeros(shape, dtype)


def AllocEmpty(dtype: Any) -> Callable[..., Variable]:
    """Return what makes an array of `dtype` whose content doesn't matter (Theano's op).

    >>> AllocEmpty("float32")(2, 3).type
    TensorType(float32, (2, 3))
    """
    return lambda *shape: empty(shape, dtype)


def zeros_like(model: Any, dtype: Any = None, opt: bool = False) -> Variable:
    """Return zeros in the shape (and dtype) of `model`; `opt` is accepted for Theano's sake.

    >>> zeros_like(np.ones((2, 3), "int8")).type
    TensorType(int8, (2, 3))
    """
    return full_like(model, 0, dtype)


def ones_like(model: Any, dtype: Any = None, opt: bool = False) -> Variable:
    """Return ones in the shape (and dtype) of `model`; `opt` is accepted for Theano's sake.

    >>> ones_like(np.ones((2, 3)), "int8").type
    TensorType(int8, (2, 3))
    """
    return full_like(model, 1, dtype)


def full_like(model: Any, fill_value: Any, dtype: Any = None) -> Variable:
    """Return `fill_value` in the shape (and dtype) of `model`.

    >>> full_like(np.ones((2, 3)), 7).type
    TensorType(float64, (2, 3))
    """
    model = as_tensor_variable(model)
    to = TensorType(dtype or model.dtype).dtype
    filled = cast_to(fill_value, to) if isinstance(fill_value, Variable) else constant(np.asarray(fill_value, dtype=to))
    if model.ndim == 0 and filled.ndim == 0:
        return filled
    return second(model, filled) if to == model.dtype else alloc(filled, *extents(model))


class ARange(Op):
    """Numbers from start to stop (left out) by step; its inputs have one dtype.

    Parameters
    ----------
    length : int or None
        How many there are, where known beforehand.
    """

    __props__ = ("length",)
    name = "arange"

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if any(t.ndim for t in types):
            raise errors.RankError("start, stop and step must be scalars")
        return (TensorType(types[0].dtype, (self.length,)),)

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

    Parameters
    ----------
    start : number or scalar Variable
        Where it begins; where it ends, and begins at 0, if `stop` isn't given.
    stop, step : number or scalar Variable, optional
    dtype : str, optional
        By default int64 for integers and the operands' own for floats.

    Raises
    ------
    ShapeError
        If `step` is 0; at run time where it is known only then.

    Examples
    --------
    >>> arange(3).type, arange(0.0, 1.0, 0.25).type.shape
    (TensorType(int64, (3,)), (4,))
    """
    if stop is None:
        start, stop = 0, start
    parts = weak_operands([start, stop, step])
    if dtype is None:
        found = promote(*(p.dtype for p in parts))
        dtype = found if is_float(found) else promote(found, "int64") if found != "uint64" else "uint64"
    given = [constant(p.data, dtype=TensorType(dtype).dtype) if isinstance(p, Constant) else cast_to(p, dtype)
             for p in parts]
    bounds: list[Any] = [p.data[()] for p in given if isinstance(p, Constant) and p.ndim == 0]
    if len(bounds) == 3 and bounds[2] == 0:
        raise errors.ShapeError(errors.message("arange", "step is 0", (), caller()))
    return ARange(len(np.arange(*bounds)) if len(bounds) == 3 else None)(*given)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Variable:
    """Return `num` numbers evenly from `start` to `stop`, as ``numpy.linspace``.

    Parameters
    ----------
    start, stop : array_like
        Where arrays, they broadcast, and each element has a line of its own.
    num : int
    endpoint : bool
        Whether `stop` is the last of them.
    dtype : str, optional
    axis : int
        Along which the numbers of a line lie in the result.

    Raises
    ------
    ValueError
        If `num` is negative.

    Examples
    --------
    >>> linspace(0, 1, 5).type, linspace([0, 1], [1, 3], 5, axis=-1).type.shape
    (TensorType(float64, (5,)), (2, 5))
    """
    if num < 0:
        raise ValueError(f"linspace: num can't be negative, got {num}")
    a, b = (cast_to(v, "floatX") if is_discrete(v.dtype) else v for v in weak_operands([start, stop]))
    work = TensorType(dtype or promote(a.dtype, b.dtype)).dtype
    inner = work if is_float(work) else "float64"
    gaps = max(num - 1, 1) if endpoint else max(num, 1)
    ndim = max(a.ndim, b.ndim)
    k = dimshuffle(arange(num), 0, *("x",) * ndim)
    # measured from the nearer end, so that both ends are exact
    rise = (cast_to(b, inner) - cast_to(a, inner)) / gaps
    line = cast_to(switch(k * 2 < gaps, a + k * rise, b - (gaps - k) * rise), work)
    at = axis_of(axis, ndim + 1, "linspace")
    return line if at == 0 else dimshuffle(line, *range(1, at + 1), 0, *range(at + 1, ndim + 1))


class _Grid:
    """``mgrid[0:3, 0:4]``: the coordinates of each point of a grid (dense), or of each axis (open)."""

    def __init__(self, dense: bool) -> None:
        self._dense = dense

    def __getitem__(self, key: Any) -> Any:
        """Return one array of coordinates an axis; stacked where dense."""
        slices = key if isinstance(key, tuple) else (key,)
        lines = [arange(s.start or 0, s.stop, 1 if s.step is None else s.step) for s in slices]
        n = len(lines)
        grid = [dimshuffle(v, *("x",) * k, 0, *("x",) * (n - k - 1)) for k, v in enumerate(lines)]
        if not isinstance(key, tuple):
            return grid[0]
        if not self._dense:
            return grid
        ends = [e for v in lines for e in extents(v)]
        return [alloc(v, *ends) for v in grid]


mgrid, ogrid = _Grid(dense=True), _Grid(dense=False)
