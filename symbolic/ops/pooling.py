"""Pooling by Theano's names: the largest element, the sum or the mean of each window along the last axes."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import zeros_like
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import as_extents
from symbolic.ops.functions import eq, switch
from symbolic.ops.pool import Picked, Pool, Spread, WindowExtent, volume
from symbolic.ops.region import VAR
from symbolic.ops.shape import dimshuffle
from symbolic.ops.window import Windows
from symbolic.source import caller
from symbolic.types import is_discrete

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def pool_2d(input: Any, ws: Any = None, ignore_border: bool | None = None, stride: Any = None, pad: Any = (0, 0),
            mode: str = "max", ds: Any = None, st: Any = None, padding: Any = None) -> Variable:
    """Return the largest element, the sum or the mean of each window along the last two axes.

    Parameters
    ----------
    input : Variable, shape (..., rows, columns)
    ws : tuple of 2 int, or integer vector
        Size of a window; the numbers may be symbolic.
    ignore_border : bool, optional
        True: only windows that lie within the (padded) array. False, as is None: the last window along an axis may stick out of
        it, and holds what is there.
    stride : tuple of 2 int, or integer vector, optional
        From one window to the next; None for `ws`. Windows may overlap.
    pad : tuple of 2 int, or integer vector
        Rows and columns added on each side, fewer than a window has. They are never the largest element, and zeros in a sum.
        Needs `ignore_border`.
    mode : {'max', 'sum', 'average_inc_pad', 'average_exc_pad'}
        A mean counts padding, or doesn't.
    ds, st, padding
        Older names of `ws`, `stride` and `pad`.

    Returns
    -------
    Variable, shape (..., rows, columns)
        ``(n + 2*pad - ws)//stride + 1`` windows along an axis of extent n with `ignore_border`, else as many as it takes to reach
        its end. Of the dtype of `input`; means of integers are float64, sums 64-bit integers. Where elements are equally
        large, each gets the window's gradient.

    Raises
    ------
    RankError
        If `input` has fewer than two dimensions.
    ShapeError
        If there aren't two numbers, a size or stride is less than 1, or a padding is negative, or as large as the window.
    DTypeError
        If the largest of complex numbers is asked for.

    Examples
    --------
    >>> from symbolic import function
    >>> x = constant(np.arange(16.0, dtype="float32").reshape(4, 4))
    >>> function([], pool_2d(x, (2, 2), ignore_border=True))().tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    return pooled(2, "pool_2d", input, ws, ignore_border, stride, pad, mode, ds, st, padding)


def pool_3d(input: Any, ws: Any = None, ignore_border: bool | None = None, stride: Any = None, pad: Any = (0, 0, 0),
            mode: str = "max", ds: Any = None, st: Any = None, padding: Any = None) -> Variable:
    """Return :func:`pool_2d` along the last three axes; `ws`, `stride` and `pad` have three numbers.

    Examples
    --------
    >>> from symbolic import function
    >>> function([], pool_3d(constant(np.ones((1, 4, 4, 4))), (2, 2, 2), ignore_border=True, mode="sum"))()[0, 0, 0].tolist()
    [8.0, 8.0]
    """
    return pooled(3, "pool_3d", input, ws, ignore_border, stride, pad, mode, ds, st, padding)


def pool_1d(input: Any, ws: Any = None, ignore_border: bool | None = None, stride: Any = None, pad: Any = (0,),
            mode: str = "max") -> Variable:
    """Return :func:`pool_2d` along the last axis alone; `ws`, `stride` and `pad` have one number, or are one.

    Examples
    --------
    >>> from symbolic import function
    >>> function([], pool_1d(constant([1.0, 3.0, 2.0, 0.0, 5.0]), 2))().tolist()
    [3.0, 2.0, 5.0]
    """
    return pooled(1, "pool_1d", input, ws, ignore_border, stride, pad, mode)


def pooled(n: int, op: str, input: Any, ws: Any, ignore_border: bool | None, stride: Any, pad: Any, mode: str,
           ds: Any = None, st: Any = None, padding: Any = None) -> Variable:
    """Return what pooling along the last `n` axes gives, named `op` in errors; see :func:`pool_2d`."""
    x = as_tensor_variable(input)
    ws, stride = _one(op, "ws", ws, "ds", ds), _one(op, "stride", stride, "st", st)
    if padding is not None:
        pad = padding
    if ws is None:
        raise ValueError(f"{op}: the size of the window, ws, must be given")
    if mode not in MODES:
        raise ValueError(f"{op}: mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    sizes = _numbers(op, "ws", ws, n)
    strides = sizes if stride is None else _numbers(op, "stride", stride, n)
    pads = _numbers(op, "pad", pad, n)
    size, step, around = (tuple(VAR if isinstance(v, Variable) else v for v in group) for group in (sizes, strides, pads))
    windows = Windows(size, step, around, bool(ignore_border))
    scalars = [v for v in (*sizes, *strides, *pads) if isinstance(v, Variable)]
    try:
        windows.refuse()
    except errors.ShapeError as error:
        raise errors.ShapeError(errors.message(op, str(error), (describe(x),), caller())) from None
    if mode == "max":
        return Pool(windows, "max")(x, *scalars)
    if is_discrete(x.dtype):  # as T.mean and T.sum: small integers add up in 64 bits
        x = cast_to(x, "float64" if mode != "sum" else "uint64" if x.dtype.startswith("uint") else "int64")
    total = Pool(windows, "sum")(x, *scalars)
    return total if mode == "sum" else _mean(total, x, windows, scalars, mode == "average_inc_pad")


def _mean(total: Variable, x: Variable, windows: Windows, scalars: Sequence[Variable], padding: bool) -> Variable:
    whole = volume(windows)
    exact = all(a.inside for a in windows.axes(x.type, 1)) or (padding and windows.ignore_border)
    if whole is not None and exact:
        return total / constant(np.asarray(whole, x.dtype))
    for a in range(windows.ndim):
        count = cast_to(WindowExtent(windows, a, padding)(x, *scalars), x.dtype)
        total = total / dimshuffle(count, [0, *["x"] * (windows.ndim - 1 - a)])
    return total


def _one(op: str, name: str, value: Any, old: str, other: Any) -> Any:
    if value is not None and other is not None:
        raise ValueError(f"{op}: {name} and {old} are two names of one argument; give one")
    return other if value is None else value


def _numbers(op: str, name: str, given: Any, n: int) -> list[int | Variable]:
    """Return `n` numbers as ints where they are known, else as int64 scalars."""
    if n == 1 and isinstance(given, (int, np.integer)):
        given = (given,)
    found = as_extents(given, op, n)
    if len(found) != n:
        raise errors.ShapeError(errors.message(op, f"expected {n} numbers for {name}, got {len(found)}", (), caller()))
    return [int(v.data) if isinstance(v, Constant) else integer_operand(v, op) for v in found]


def max_pool_2d(input: Any, ds: Any, ignore_border: bool | None = None, st: Any = None, padding: Any = (0, 0),
                mode: str = "max") -> Variable:
    """Return :func:`pool_2d`, with the names of its arguments that it had as ``theano.tensor.signal.downsample.max_pool_2d``.

    Examples
    --------
    >>> from symbolic import function
    >>> function([], max_pool_2d(constant(np.eye(4)), (2, 2)))().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return pooled(2, "max_pool_2d", input, ds, ignore_border, st, padding, mode)


def max_pool_2d_same_size(input: Any, patch_size: Any) -> Variable:
    """Return `input` with zeros wherever an element isn't the largest one of its patch.

    Parameters
    ----------
    input : Variable, shape (..., rows, columns)
    patch_size : tuple of 2 int
        Size of a patch. Rows and columns at the end that make up no whole patch become zeros.

    Returns
    -------
    Variable
        Of the type of `input`. Of several largest elements in a patch, all are kept.

    Examples
    --------
    >>> from symbolic import function
    >>> function([], max_pool_2d_same_size(constant([[1.0, 2.0], [3.0, 0.0]]), (2, 2)))().tolist()
    [[0.0, 0.0], [3.0, 0.0]]
    """
    x = as_tensor_variable(input)
    y = pooled(2, "max_pool_2d_same_size", x, patch_size, True, None, (0, 0), "max")
    assert y.owner is not None
    windows, scalars = y.owner.op.windows, y.owner.inputs[1:]  # type: ignore[attr-defined]
    if is_discrete(x.dtype):
        largest = Spread(windows, False)(x, y, *scalars)
        return switch(eq(x, largest), x, zeros_like(x))
    return Spread(windows, True)(x, y, y, *scalars)


__all__ = ["MODES", "Picked", "Pool", "Spread", "max_pool_2d", "max_pool_2d_same_size", "pool_1d", "pool_2d", "pool_3d", "pooled"]
