"""Pooling ops: the largest element or the sum in each window along the last axes, and their derivatives.

`Pool` reads windows of `x`. `Picked` adds up those elements of `t` that stand where `x` has the window's largest element,
and `Spread` adds each window's `g` to these places (or to all): each is the other's transposed, so derivatives of any
order are made of these three. Every element that equals the largest one counts, as for ``max``.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symbolic import errors
from symbolic.graph import Op, Variable
from symbolic.ops.elementwise import match_dtype
from symbolic.ops.region import VAR, extent_of
from symbolic.ops.window import Axis, Windows, larger, smaller
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, cast, const, load, reduce_axis, select
from symbolic.template import Template
from symbolic.types import TensorType, is_complex, is_discrete

_ZERO = const(0, "int64")


def _all(conditions: Sequence[Expr]) -> Expr | None:
    out = None
    for c in conditions:
        if c.op != "const" or not c.arg:
            out = c if out is None else binary("and", out, c)
    return out


class _Windowed(Op):
    """What the ops of this module share.

    Parameters
    ----------
    windows : Windows
    """

    __props__: tuple[str, ...] = ("windows",)
    #: Number of arrays among the inputs; scalars that windows depend on follow.
    arrays = 1

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def __str__(self) -> str:
        w = self.windows
        return f"{self.name}{{{', '.join(map(str, (w.size, w.stride, w.pad)))}}}"

    def axes(self, types: Sequence[TensorType]) -> list[Axis]:
        """Return the windows along each of the last axes of `x`."""
        return self.windows.axes(types[0], self.arrays)

    def lead(self, types: Sequence[TensorType], k: int = 0) -> list[Expr]:
        """Return the extents of the axes in front."""
        return [extent_of(k, types[k], a) for a in range(types[0].ndim - self.windows.ndim)]

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return self.windows.checks(self.arrays)

    def connection_pattern(self, node: object) -> list[list[bool]]:
        return [[k == self.arrays - 1] for k in range(self.arrays)] + [[False]] * self.windows.nvar

    def _fields(self, types: Sequence[TensorType], fn: str) -> tuple[tuple[str, object], ...]:
        w = self.windows
        return (("fn", fn), ("dtype", types[0].dtype), ("ndim", types[0].ndim), ("pooled", w.ndim), ("size", w.size),
                ("stride", w.stride), ("pad", w.pad), ("ignore_border", w.ignore_border), ("arrays", self.arrays),
                ("kind", "unsigned" if types[0].dtype.startswith("uint") else np.dtype(types[0].dtype).kind))

    def _at(self, types: Sequence[TensorType], k: int = 0) -> list[Expr]:
        """Return the index along the axes in front."""
        n = types[0].ndim - self.windows.ndim
        return [_ZERO if types[k].shape[a] == 1 else axis(a) for a in range(n)]


class Pool(_Windowed):
    """The largest element, or the sum, of each window: inputs x, then scalars.

    Parameters
    ----------
    windows : Windows
    fn : {'max', 'sum'}
    """

    __props__ = ("windows", "fn")

    def __init__(self, windows: Windows, fn: str) -> None:
        super().__init__(windows)
        self.fn = fn

    @property
    def name(self) -> str:
        return f"pool_{self.fn}"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t, n = types[0], self.windows.ndim
        if t.ndim < n:
            raise errors.RankError(f"expected at least {n} dimensions, one for each number of the window, got {t.ndim}")
        if self.fn == "max" and is_complex(t.dtype):
            raise errors.DTypeError("complex values have no order")
        return (TensorType(t.dtype, (*t.shape[:t.ndim - n], *self.windows.known(t))),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((*self.lead(types), *(a.count for a in self.axes(types))),)

    def compute(self, *types: TensorType) -> IndexLambda:
        t, axes, front = types[0], self.axes(types), self._at(types)
        starts = [a.start(axis(len(front) + k)) for k, a in enumerate(axes)]
        at = [s + reduce_axis(k) for k, s in enumerate(starts)]
        body = self._element(t, axes, front, at)
        return IndexLambda(body, tuple(a.size for a in axes), self.fn if self.fn == "max" else "add")

    def _element(self, t: TensorType, axes: Sequence[Axis], front: Sequence[Expr], at: Sequence[Expr]) -> Expr:
        # clipped, a position is that of an element that is in the window anyhow: for the largest one that is enough
        clipped = [p if a.inside else larger(smaller(p, a.n - 1), _ZERO) for a, p in zip(axes, at, strict=True)]
        x = load(0, [*front, *clipped], t.dtype)
        if self.fn == "max":
            return x
        within = _all([c for a, p in zip(axes, at, strict=True) if not a.inside for c in (_ZERO <= p, p < a.n)])
        return x if within is None else select(within, x, cast(const(0, t.dtype), t.dtype))

    def template(self, *types: TensorType) -> Template:
        return Template("pool", self._fields(types, self.fn))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, *numbers = inputs
        g = gouts[0]
        nothing: list[Variable | None] = [None] * len(numbers)
        if g is None or is_discrete(x.dtype):
            return [None, *nothing]
        if self.fn == "max":
            return [match_dtype(Spread(self.windows, True)(x, outputs[0], g, *numbers), x.dtype), *nothing]
        return [match_dtype(Spread(self.windows, False)(x, g, *numbers), x.dtype), *nothing]


class Picked(_Windowed):
    """For each window the sum of `t` over the elements of `x` that equal `y`: inputs x, y, t, then scalars."""

    name = "pool_picked"
    arrays = 3

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(types[2].dtype, types[1].shape),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((*self.lead(types), *(a.count for a in self.axes(types))),)

    def compute(self, *types: TensorType) -> IndexLambda:
        t, axes = types[0], self.axes(types)
        n = t.ndim - len(axes)
        out = [_ZERO if types[1].shape[n + k] == 1 else axis(n + k) for k in range(len(axes))]
        at = [a.start(o) + reduce_axis(k) for k, (a, o) in enumerate(zip(axes, out, strict=True))]
        clipped = [p if a.inside else larger(smaller(p, a.n - 1), _ZERO) for a, p in zip(axes, at, strict=True)]
        within = [c for a, p in zip(axes, at, strict=True) if not a.inside for c in (_ZERO <= p, p < a.n)]
        same = binary("eq", load(0, [*self._at(types), *clipped], t.dtype), load(1, [*self._at(types, 1), *out], t.dtype))
        held = _all([*within, same])
        value = load(2, [*self._at(types, 2), *clipped], types[2].dtype)
        body = value if held is None else select(held, value, const(0, types[2].dtype))
        return IndexLambda(body, tuple(a.size for a in axes), "add")

    def template(self, *types: TensorType) -> Template | None:
        if types[2].dtype != types[0].dtype:
            return None
        return Template("pool", self._fields(types, "picked"))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, y, t, *numbers = inputs
        nothing: list[Variable | None] = [None] * len(numbers)
        if gouts[0] is None:
            return [None, None, None, *nothing]
        return [None, None, match_dtype(Spread(self.windows, True)(x, y, gouts[0], *numbers), t.dtype), *nothing]


class Spread(_Windowed):
    """To each element the sum of `g` over the windows that hold it: inputs x, (y,) g, then scalars.

    Parameters
    ----------
    windows : Windows
    picked : bool
        Only windows whose `y` equals the element count; without, there is no input `y`, and `x` only tells the shape.
    """

    __props__ = ("windows", "picked")

    def __init__(self, windows: Windows, picked: bool) -> None:
        super().__init__(windows)
        self.picked = picked
        self.arrays = 3 if picked else 2

    @property
    def name(self) -> str:
        return "pool_spread"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone(dtype=types[self.arrays - 1].dtype),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(extent_of(0, types[0], a) for a in range(types[0].ndim)),)

    def compute(self, *types: TensorType) -> IndexLambda:
        x, g, axes = types[0], types[self.arrays - 1], self.axes(types)
        front = x.ndim - len(axes)
        own = [_ZERO if x.shape[front + k] == 1 else axis(front + k) for k in range(len(axes))]
        index, within = [], []
        for k, (a, i) in enumerate(zip(axes, own, strict=True)):
            o = smaller((i + a.pad) // a.stride, a.count - 1) - reduce_axis(k)  # from the last window that may hold it
            within += [_ZERO <= o, i + a.pad - o * a.stride < a.size]
            index.append(larger(o, _ZERO))
        if self.picked:
            within.append(binary("eq", load(0, [*self._at(types), *own], x.dtype),
                                 load(1, [*self._at(types, 1), *index], types[1].dtype)))
        value = load(self.arrays - 1, [*self._at(types, self.arrays - 1), *index], g.dtype)
        held = _all(within)
        assert held is not None
        body = select(held, value, const(0, g.dtype))
        # no more windows than there are: where there is none, nothing is read
        return IndexLambda(body, tuple(smaller(a.most, a.count) for a in axes), "add")

    def template(self, *types: TensorType) -> Template | None:
        if types[self.arrays - 1].dtype != types[0].dtype:
            return None
        return Template("pool_spread", self._fields(types, "picked" if self.picked else "sum"))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, *rest = inputs
        g = gouts[0]
        numbers = rest[self.arrays - 1:]
        nothing: list[Variable | None] = [None] * (self.arrays - 1 + len(numbers))
        if g is None:
            return [*nothing, None]
        back = Picked(self.windows)(x, rest[0], g, *numbers) if self.picked else Pool(self.windows, "sum")(g, *numbers)
        nothing[self.arrays - 2] = match_dtype(back, rest[self.arrays - 2].dtype)
        return [None, *nothing]


class WindowExtent(Op):
    """How many elements each window along one axis holds: inputs x, then scalars.

    Parameters
    ----------
    windows : Windows
    axis : int
        Which of the axes along which windows slide.
    padding : bool
        Whether padding counts.
    """

    __props__ = ("windows", "axis", "padding")
    name = "window_extent"

    def __init__(self, windows: Windows, axis: int, padding: bool) -> None:
        self.windows, self.axis, self.padding = windows, axis, padding

    def _own(self, types: Sequence[TensorType]) -> Axis:
        return self.windows.axes(types[0], 1)[self.axis]

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        n = self._own(types).count
        return (TensorType("int64", (n.arg if n.op == "const" else None,)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((self._own(types).count,),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return self.windows.checks(1)

    def compute(self, *types: TensorType) -> IndexLambda:
        a = self._own(types)
        if self.padding and self.windows.ignore_border:
            return IndexLambda(a.size)
        start = a.start(axis(0))
        return IndexLambda(smaller(start + a.size, a.n) - larger(start, _ZERO))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None] * len(inputs)


def volume(windows: Windows) -> int | None:
    """Return the number of elements of a window that sticks out nowhere, where it is known."""
    return None if VAR in windows.size else math.prod(int(n) for n in windows.size)
