"""Pooling: the largest value, sum or mean of windows along the last axes.

Four ops, closed under derivatives: sums over windows and their transpose; the choice of largest values, which adds to where they
came from (:class:`MaxSpread`) or reads from there (:class:`MaxGather`). Windows of few elements become straight-line
code, which vectorises; others are reduced.
"""
from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.elementwise import cast_to, match_dtype
from symbolic.ops.region import extent_of
from symbolic.scalar import COMBINERS, Check, Expr, IndexLambda, axis, binary, cast, const, load, reduce_axis, select
from symbolic.source import caller
from symbolic.types import TensorType, is_complex, is_discrete, is_float

Terms = list[Variable | None]
MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")
#: Elements of a window up to which its code is written out.
_WRITTEN_OUT = 16
_ZERO, _ONE = const(0, "int64"), const(1, "int64")


def _larger(x: Expr, y: Expr) -> Expr:
    return select(binary("le", y, x), x, y)


def _smaller(x: Expr, y: Expr) -> Expr:
    return select(binary("le", x, y), x, y)


def _both(x: Expr | None, y: Expr) -> Expr:
    return y if x is None else binary("and", x, y)


class Pooling(Op):
    """What all of them share: windows of extents `window`, `stride` apart, over axes with `pad` more at both ends.

    Parameters
    ----------
    ignore_border : bool
        Leave out windows that the image doesn't fill.
    window, stride, pad : tuple of int or None
        One entry for each of the last axes; None: a scalar operand tells, after the arrays, in this order.
    mean : bool
        Count the padding as well; matters to :class:`PoolCounts` only.
    """

    __props__: tuple[str, ...] = ("ignore_border", "window", "stride", "pad")
    #: Operands before the scalars.
    arrays = 1

    def __init__(self, ignore_border: bool, window: Sequence[int | None], stride: Sequence[int | None],
                 pad: Sequence[int | None]) -> None:
        self.ignore_border = ignore_border
        self.window, self.stride, self.pad = tuple(window), tuple(stride), tuple(pad)

    @property
    def n(self) -> int:
        """Number of axes that are pooled."""
        return len(self.window)

    def _geometry(self) -> tuple[list[Expr], list[Expr], list[Expr]]:
        told = iter(range(self.arrays, self.arrays + 3 * self.n))
        window, stride, pad = ([load(next(told), (), "int64") if v is None else const(v, "int64") for v in values]
                               for values in (self.window, self.stride, self.pad))
        return window, stride, pad

    def _places(self, n: Expr, a: int) -> Expr:
        """Return the number of windows along an axis of extent `n`."""
        window, stride, pad = (values[a] for values in self._geometry())
        full = n + pad * 2
        if self.ignore_border:
            found = _larger((full - window) // stride + 1, _ZERO)
        else:
            apart = (full - 1) // stride + 1
            found = select(binary("le", window, stride), apart, _larger((full - 1 - window + stride) // stride, _ZERO) + 1)
            found = select(binary("eq", full, _ZERO), _ZERO, found)
        return found if pad is _ZERO else select(binary("eq", n, _ZERO), _ZERO, found)

    def _image(self, t: TensorType, k: int = 0) -> list[Expr]:
        return [extent_of(k, t, t.ndim - self.n + a) for a in range(self.n)]

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        window, stride, pad = self._geometry()
        found = []
        for a in range(self.n):
            for what, value, least in (("window", window[a], 1), ("stride", stride[a], 1), ("pad", pad[a], 0)):
                if value.op != "const":
                    found.append(Check(binary("le", const(least, "int64"), value),
                                       f"the {what} must be {least} or more, got {{0}}", detail=(value,)))
            if window[a].op != "const" or pad[a].op != "const":
                found.append(Check(binary("lt", pad[a], window[a]), "the padding must be smaller than the window, got {0} and "
                                   "{1}", detail=(pad[a], window[a])))
        return tuple(found)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t = types[0]
        if t.ndim < self.n:
            raise errors.RankError(f"pooling over {self.n} axes needs as many, got {t}")
        if t.dtype == "bool" or is_complex(t.dtype):
            raise errors.DTypeError(f"pooling needs real numbers, got {t}")
        for k, s in enumerate(types[self.arrays:]):
            if s.ndim or not is_discrete(s.dtype):
                raise errors.DTypeError(f"windows, strides and paddings must be integers, got {s} as number {k}")
        shape, = self.infer_shape(*types)
        return (TensorType(t.dtype, tuple(e.arg if e.op == "const" else None for e in shape)),)

    def _reduced(self, lead: int, sizes: Sequence[Expr], combiner: str, dtype: str,
                 body: Callable[[Sequence[Expr]], Expr]) -> IndexLambda:
        """Return `body` of the positions below `sizes`, joined by `combiner`: written out where they are few."""
        known = [int(e.arg) for e in sizes if e.op == "const"]
        if len(known) == self.n and math.prod(known) <= _WRITTEN_OUT:
            terms = [body([const(r, "int64") for r in at]) for at in itertools.product(*[range(n) for n in known])]
            total = terms[0]
            for term in terms[1:]:
                total = COMBINERS[combiner].combine(total, term)
            return IndexLambda(total)
        return IndexLambda(body([reduce_axis(a) for a in range(self.n)]), tuple(sizes), combiner)

    def _over_window(self, t: TensorType, dtype: str, combiner: str, value: Callable[[tuple[Expr, ...]], Expr],
                     else_: Any) -> IndexLambda:
        """Return, for each window, what `combiner` makes of ``value(index)`` over the elements of the image within it."""
        window, stride, pad = self._geometry()
        lead, image = t.ndim - self.n, self._image(t)

        def body(taps: Sequence[Expr]) -> Expr:
            at, inside = [], None
            for a in range(self.n):
                i = axis(lead + a) * stride[a] + taps[a] - pad[a]
                if pad[a] is not _ZERO:
                    inside = _both(inside, binary("le", _ZERO, i))
                if pad[a] is not _ZERO or not self.ignore_border:
                    inside = _both(inside, binary("lt", i, image[a]))
                at.append(i)
            if inside is None:
                return value((*(axis(a) for a in range(lead)), *at))
            at = [select(inside, i, _ZERO) for i in at]  # targets that compute both arms must not read outside
            return select(inside, value((*(axis(a) for a in range(lead)), *at)), const(else_, dtype))

        return self._reduced(lead, window, combiner, dtype, body)

    def _over_windows(self, t: TensorType, places: Sequence[Expr], dtype: str,
                      value: Callable[[tuple[Expr, ...]], Expr]) -> IndexLambda:
        """Return, for each element of the image, the sum of ``value(index)`` over the windows that hold it."""
        window, stride, pad = self._geometry()
        lead = t.ndim - self.n
        many = [(w + s - 1) // s for w, s in zip(window, stride, strict=True)]

        def body(back: Sequence[Expr]) -> Expr:
            at, inside = [], None
            for a in range(self.n):
                i = axis(lead + a) + pad[a]
                u = i // stride[a] - back[a]
                if back[a] is not _ZERO:
                    inside = _both(inside, binary("le", _ZERO, u))
                inside = _both(inside, binary("lt", u, places[a]))
                if not (back[a] is _ZERO and window[a].op == stride[a].op == "const" and window[a].arg >= stride[a].arg):
                    inside = _both(inside, binary("lt", i - u * stride[a], window[a]))
                at.append(u)
            assert inside is not None
            at = [select(inside, u, _ZERO) for u in at]
            return select(inside, value((*(axis(a) for a in range(lead)), *at)), const(0, dtype))

        return self._reduced(lead, many, "add", dtype, body)


class _ToWindows(Pooling):
    """One result a window."""

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        t = types[0]
        lead = tuple(extent_of(0, t, a) for a in range(t.ndim - self.n))
        return ((*lead, *(self._places(n, a) for a, n in enumerate(self._image(t)))),)


class _ToImage(Pooling):
    """One result an element of the image, which is the first operand."""

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(extent_of(0, types[0], a) for a in range(types[0].ndim)),)


class MaxPool(_ToWindows):
    """The largest element of each window."""

    name = "max_pool"

    def compute(self, *types: TensorType) -> IndexLambda:
        t = types[0]
        lowest = COMBINERS["max"].identity(t.dtype)
        return self._over_window(t, t.dtype, "max", lambda at: load(0, at, t.dtype), lowest)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        x, *told = inputs
        if gouts[0] is None or is_discrete(x.dtype):
            return [None] * len(inputs)
        return [MaxSpread(*self.props())(x, outputs[0], match_dtype(gouts[0], x.dtype), *told), *[None] * len(told)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None]:
        x, *told = inputs
        if tangents[0] is None or is_discrete(x.dtype):
            return [None]
        return [MaxGather(*self.props())(x, outputs[0], tangents[0], *told)]


class _Chosen(Pooling):
    """Linear in the last of three arrays: the image, the largest values of its windows, and what moves along with them."""

    arrays = 3

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, y, z = types[:3]
        if not x.ndim == y.ndim == z.ndim:
            raise errors.RankError(f"expected arrays of one rank, got {x}, {y} and {z}")
        return super().infer_type(*types)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k == 2] for k in range(len(node.inputs))]

    def _linear(self, other: type[Pooling], inputs: Sequence[Variable], z: Variable | None) -> Variable | None:
        x, y, _, *told = inputs
        return None if z is None else other(*self.props())(x, y, match_dtype(z, x.dtype), *told)


class MaxSpread(_Chosen, _ToImage):
    """Values of windows, added to the elements that are their largest: each of several that are equal gets them, as in Theano."""

    name = "max_pool_spread"

    def compute(self, *types: TensorType) -> IndexLambda:
        x, y, g = types[:3]
        places = [extent_of(1, y, y.ndim - self.n + a) for a in range(self.n)]
        own = load(0, tuple(axis(a) for a in range(x.ndim)), x.dtype)
        return self._over_windows(x, places, x.dtype, lambda at: select(
            binary("eq", own, load(1, at, y.dtype)), cast(load(2, at, g.dtype), x.dtype), const(0, x.dtype)))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        return [None, None, self._linear(MaxGather, inputs, gouts[0]), *[None] * (len(inputs) - 3)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None]:
        return [self._linear(MaxSpread, inputs, tangents[2])]


class MaxGather(_Chosen, _ToWindows):
    """The sum, for each window, of another array where the image has the window's largest value."""

    name = "max_pool_gather"

    def compute(self, *types: TensorType) -> IndexLambda:
        x, y, z = types[:3]
        own = load(1, tuple(axis(a) for a in range(y.ndim)), y.dtype)
        return self._over_window(x, x.dtype, "add", lambda at: select(
            binary("eq", load(0, at, x.dtype), own), cast(load(2, at, z.dtype), x.dtype), const(0, x.dtype)), 0)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        return [None, None, self._linear(MaxSpread, inputs, gouts[0]), *[None] * (len(inputs) - 3)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None]:
        return [self._linear(MaxGather, inputs, tangents[2])]


class SumPool(_ToWindows):
    """The sum of each window."""

    name = "sum_pool"

    def compute(self, *types: TensorType) -> IndexLambda:
        t = types[0]
        return self._over_window(t, t.dtype, "add", lambda at: load(0, at, t.dtype), 0)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        x, *told = inputs
        if gouts[0] is None or is_discrete(x.dtype):
            return [None] * len(inputs)
        return [SumSpread(*self.props())(x, match_dtype(gouts[0], x.dtype), *told), *[None] * len(told)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None]:
        return [None if tangents[0] is None else SumPool(*self.props())(tangents[0], *inputs[1:])]


class SumSpread(_ToImage):
    """Values of windows, added to all of their elements; the first operand only tells the extents of the image."""

    name = "sum_pool_spread"
    arrays = 2

    def compute(self, *types: TensorType) -> IndexLambda:
        x, g = types[:2]
        places = [extent_of(1, g, g.ndim - self.n + a) for a in range(self.n)]
        return self._over_windows(x, places, x.dtype, lambda at: cast(load(1, at, g.dtype), x.dtype))

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k == 1] for k in range(len(node.inputs))]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        _, g, *told = inputs
        back = None if gouts[0] is None else SumPool(*self.props())(match_dtype(gouts[0], g.dtype), *told)
        return [None, back, *[None] * len(told)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None]:
        x, _, *told = inputs
        return [None if tangents[1] is None else SumSpread(*self.props())(x, tangents[1], *told)]


class PoolCounts(_ToWindows):
    """How many elements each window holds, along the last axes; of its operand only the extents matter."""

    __props__ = ("ignore_border", "window", "stride", "pad", "padding", "dtype")
    name = "pool_counts"

    def __init__(self, ignore_border: bool, window: Sequence[int | None], stride: Sequence[int | None],
                 pad: Sequence[int | None], padding: bool, dtype: str) -> None:
        super().__init__(ignore_border, window, stride, pad)
        self.padding, self.dtype = padding, dtype

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        found, = super().infer_type(*types)
        return (TensorType(self.dtype, found.shape[found.ndim - self.n:]),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (super().infer_shape(*types)[0][types[0].ndim - self.n:],)

    def compute(self, *types: TensorType) -> IndexLambda:
        window, stride, pad = self._geometry()
        total: Expr = _ONE
        for a, n in enumerate(self._image(types[0])):
            start = axis(a) * stride[a]
            first = start if self.padding else _larger(start, pad[a])
            last = _smaller(start + window[a], n + pad[a] * (2 if self.padding else 1))
            total = total * (last - first)
        return IndexLambda(cast(total, self.dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        return [None] * len(inputs)


# ------------------------------------------------------------------------------------------ for users


def _entries(given: Any, n: int, what: str, least: int) -> Iterator[int | Variable]:
    """Give `n` integers, or scalar variables for those known only when the function runs."""
    if isinstance(given, Variable) and not isinstance(given, Constant):
        if given.ndim == 0:
            entries: list[Any] = [given] * n
        elif given.ndim == 1:
            entries = [given[k] for k in range(n)]  # type: ignore[index]
        else:
            raise _wrong(n, what, describe(given), least)
    else:
        value = given.data.tolist() if isinstance(given, Constant) else given
        value = value.tolist() if isinstance(value, np.ndarray) else value
        entries = list(value) if isinstance(value, (list, tuple)) else [value] * n
    if len(entries) != n:
        raise _wrong(n, what, repr(given), least)
    for e in entries:
        if isinstance(e, Variable) and not isinstance(e, Constant):
            if e.ndim or not is_discrete(e.dtype):
                raise _wrong(n, what, describe(e), least)
            yield cast_to(e, "int64")
            continue
        e = e.data.item() if isinstance(e, Constant) else e
        if isinstance(e, (bool, np.bool_)) or not isinstance(e, (int, np.integer)) or e < least:
            raise _wrong(n, what, repr(given), least)
        yield int(e)


def _wrong(n: int, what: str, got: str, least: int) -> errors.ParameterError:
    return errors.ParameterError(errors.message(
        f"pool_{n}d", f"{what} must be an integer from {least} on, or {n} of them, got {got}", (), caller()))


def _pool(n: int, input: Any, ws: Any, ignore_border: bool | None, stride: Any, pad: Any, mode: str, ds: Any, st: Any,
          padding: Any) -> Variable:
    name = f"pool_{n}d"
    for old, new, what, instead in ((ds, ws, "ds", "ws"), (st, stride, "st", "stride"), (padding, None, "padding", "pad")):
        if old is not None and new is not None:
            raise errors.ParameterError(errors.message(name, f"{what} is the old name of {instead}; both are given", (),
                                                       caller()))
    ws, stride, pad = ws if ds is None else ds, stride if st is None else st, pad if padding is None else padding
    if ws is None:
        raise errors.ParameterError(errors.message(name, "the window's extents, ws, are missing", (), caller()))
    if mode not in MODES:
        raise errors.ParameterError(errors.message(name, f"mode must be one of {', '.join(MODES)}, got {mode!r}", (), caller()))
    x = as_tensor_variable(input)
    window = list(_entries(ws, n, "ws", 1))
    steps = window if stride is None else list(_entries(stride, n, "stride", 1))
    pads = list(_entries(pad, n, "pad", 0))
    ignore = bool(ignore_border)
    if not ignore and any(p != 0 for p in pads if not isinstance(p, Variable)):
        raise errors.NotSupported(errors.message(name, "padding goes only with ignore_border=True", (), caller()))
    for w, p in zip(window, pads, strict=True):
        if isinstance(w, int) and isinstance(p, int) and p >= w:
            raise errors.ParameterError(errors.message(name, f"the padding must be smaller than the window, got {p} and {w}", (),
                                                       caller(), "a window in the padding alone has no values"))
    numbers = [*window, *steps, *pads]
    told = [v for v in numbers if isinstance(v, Variable)]
    known = [None if isinstance(v, Variable) else v for v in numbers]
    props = (ignore, tuple(known[:n]), tuple(known[n:2 * n]), tuple(known[2 * n:]))
    if mode == "max":
        return MaxPool(*props)(x, *told)
    if mode == "sum":
        return SumPool(*props)(x, *told)
    dtype = x.dtype if is_float(x.dtype) else "float64"
    wide = cast_to(x, dtype)
    total = SumPool(*props)(wide, *told)
    whole = ignore and (mode == "average_inc_pad" or all(p == 0 for p in known[2 * n:]))
    if whole and not told:
        return f.true_div(total, cast_to(as_tensor_variable(float(math.prod(v for v in known[:n] if v is not None))), dtype))
    return f.true_div(total, PoolCounts(*props, mode == "average_inc_pad", dtype)(wide, *told))


def pool_2d(input: Any, ws: Any = None, ignore_border: bool | None = None, stride: Any = None, pad: Any = (0, 0),
            mode: str = "max", ds: Any = None, st: Any = None, padding: Any = None) -> Variable:
    """Return the largest value, sum or mean of windows over the last two axes.

    Parameters
    ----------
    input : (..., rows, columns) real tensor
    ws : int, pair of int, or integer vector
        The window's extents. They, `stride` and `pad` may be symbolic.
    ignore_border : bool, optional
        Leave out windows that the image doesn't fill. None is False, as in Theano; True is faster.
    stride : int, pair of int, or integer vector, optional
        Distance of windows; `ws` by default, so that they don't overlap.
    pad : int, pair of int, or integer vector
        Rows and columns added on both sides, smaller than the window; needs ``ignore_border=True``. They are never the largest.
    mode : {'max', 'sum', 'average_inc_pad', 'average_exc_pad'}
        The two means divide by the elements of a window with, or without, those of the padding.
    ds, st, padding
        Old names of `ws`, `stride` and `pad`.

    Returns
    -------
    Variable
        ``(rows + 2 pad - ws) // stride + 1`` rows with `ignore_border`, and likewise columns.

    Raises
    ------
    ParameterError
        If windows, strides or paddings aren't integers in their range.
    RankError, DTypeError
        If `input` has less than two axes, or isn't real.

    Notes
    -----
    In the gradient of ``'max'`` each of several equal largest elements gets the whole, as in Theano.

    Examples
    --------
    >>> import numpy as np, symbolic
    >>> x = np.arange(16.0).reshape(4, 4)
    >>> symbolic.function([], pool_2d(x, (2, 2), ignore_border=True))()
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _pool(2, input, ws, ignore_border, stride, pad, mode, ds, st, padding)


def pool_3d(input: Any, ws: Any = None, ignore_border: bool | None = None, stride: Any = None, pad: Any = (0, 0, 0),
            mode: str = "max", ds: Any = None, st: Any = None, padding: Any = None) -> Variable:
    """Return the largest value, sum or mean of windows over the last three axes; arguments as for :func:`pool_2d`.

    Examples
    --------
    >>> import numpy as np
    >>> pool_3d(np.ones((2, 4, 4, 4)), 2, ignore_border=True).type.shape
    (2, 2, 2, 2)
    """
    return _pool(3, input, ws, ignore_border, stride, pad, mode, ds, st, padding)


def max_pool_2d_same_size(input: Any, patch_size: Any) -> Variable:
    """Return `input` with all but the largest elements of each patch set to zero.

    Parameters
    ----------
    input : (..., rows, columns) real tensor
    patch_size : int or pair of int
        Extents of the patches, which don't overlap; what doesn't fill one at the end is zero.

    Examples
    --------
    >>> import numpy as np, symbolic
    >>> symbolic.function([], max_pool_2d_same_size(np.array([[1.0, 5], [3, 2]]), 2))()
    array([[0., 5.],
           [0., 0.]])
    """
    x = as_tensor_variable(input)
    y = pool_2d(x, patch_size, ignore_border=True)
    assert y.owner is not None
    return MaxSpread(*y.owner.op.props())(x, y, y, *y.owner.inputs[1:])


def max_pool_2d(input: Any, ds: Any, ignore_border: bool | None = None, st: Any = None, padding: Any = (0, 0),
                mode: str = "max") -> Variable:
    """Return :func:`pool_2d` by the name and arguments of Theano's old ``signal.downsample``.

    >>> import numpy as np
    >>> max_pool_2d(np.ones((5, 5)), (2, 2)).type.shape
    (3, 3)
    """
    return pool_2d(input, ds, ignore_border, st, padding, mode)
