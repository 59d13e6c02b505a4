"""Layers that move values, and compute none."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import symbolic
import symbolic.tensor as T
from lasagne_like import utils
from lasagne_like.layers.base import Layer, Shape


def _product(extents: Sequence[Any]) -> int | None:
    return None if any(n is None for n in extents) else int(np.prod(extents))


class FlattenLayer(Layer):
    """The last axes joined into one.

    Parameters
    ----------
    incoming : Layer or tuple
    outdim : int
        How many axes the output has.
    name : str, optional

    Examples
    --------
    >>> FlattenLayer((None, 3, 4)).output_shape
    (None, 12)
    """

    def __init__(self, incoming: Any, outdim: int = 2, name: str | None = None) -> None:
        super().__init__(incoming, name)
        if not 1 <= outdim <= len(self.input_shape):
            raise ValueError(f"FlattenLayer: outdim must be from 1 to {len(self.input_shape)}, the axes of the input, "
                             f"got {outdim}")
        self.outdim = outdim

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return (*input_shape[:self.outdim - 1], _product(input_shape[self.outdim - 1:]))

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return input.flatten(self.outdim)


class ReshapeLayer(Layer):
    """The same values in another shape.

    Parameters
    ----------
    incoming : Layer or tuple
    shape : tuple
        For each axis a positive int; ``[i]``, the extent of the input's axis i; -1, once, for what is left; or a
        scalar Variable, whose extent is known at the call only.
    name : str, optional

    Raises
    ------
    ValueError
        If an entry is none of these, or the numbers of values differ.

    Examples
    --------
    >>> ReshapeLayer((None, 6, 10), ([0], 3, 2, -1)).output_shape
    (None, 3, 2, 10)
    """

    def __init__(self, incoming: Any, shape: Sequence[Any], name: str | None = None) -> None:
        super().__init__(incoming, name)
        self.shape = tuple(shape)
        for s in self.shape:
            if isinstance(s, (int, np.integer)) and not isinstance(s, bool):
                if s == 0 or s < -1:
                    raise ValueError(f"ReshapeLayer: extents must be positive or -1, got {s}")
            elif isinstance(s, list):
                if len(s) != 1 or not isinstance(s[0], int) or not 0 <= s[0] < len(self.input_shape):
                    raise ValueError(f"ReshapeLayer: a list must hold one axis of the input, from 0 to "
                                     f"{len(self.input_shape) - 1}, got {s}")
            elif not (isinstance(s, symbolic.Variable) and s.ndim == 0):
                raise ValueError(f"ReshapeLayer: an entry must be an int, [axis] or a scalar Variable, got {s!r}")
        if sum(isinstance(s, int) and s == -1 for s in self.shape) > 1:
            raise ValueError(f"ReshapeLayer: -1 may stand once, got {self.shape}")
        self.get_output_shape_for(self.input_shape)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        rest = list(input_shape)  # the extents that an entry [i] hasn't taken
        out: list[Any] = []
        for s in self.shape:
            if isinstance(s, list):
                out.append(input_shape[s[0]])
                rest[s[0]] = 1 if input_shape[s[0]] is None else rest[s[0]]
            else:
                out.append(None if isinstance(s, symbolic.Variable) else int(s))
        copied = [k for k, s in enumerate(self.shape) if isinstance(s, list) and input_shape[s[0]] is None]
        taken = [self.shape[k][0] for k in copied]
        total = _product(rest) if len(set(taken)) == len(taken) else None
        others = [n for k, n in enumerate(out) if k not in copied and n != -1]
        made = _product(others)
        if -1 in out:
            fits = total is not None and made is not None
            if fits and total % made:  # type: ignore[operator]
                raise ValueError(f"ReshapeLayer: input shape {tuple(input_shape)} has {total} values, which {made} doesn't "
                                 f"divide, for shape {self.shape}")
            out[out.index(-1)] = total // made if fits else None  # type: ignore[operator]
        elif total is not None and made is not None and total != made:
            raise ValueError(f"ReshapeLayer: input shape {tuple(input_shape)} can't become {self.shape}: the numbers of "
                             "values differ")
        return tuple(out)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        target = [input.shape[s[0]] if isinstance(s, list) else s for s in self.shape]
        return input.reshape(tuple(target))


class DimshuffleLayer(Layer):
    """Axes in another order, with new ones of extent 1, and without some that have extent 1.

    Parameters
    ----------
    incoming : Layer or tuple
    pattern : tuple of int or 'x'
    name : str, optional

    Raises
    ------
    ValueError
        If an axis stands twice or doesn't exist, or one that is left out has not extent 1.

    Examples
    --------
    >>> DimshuffleLayer((2, 3, 5), (2, "x", 0, 1)).output_shape
    (5, 1, 2, 3)
    """

    def __init__(self, incoming: Any, pattern: Sequence[Any], name: str | None = None) -> None:
        super().__init__(incoming, name)
        kept = [p for p in pattern if p != "x"]
        for p in kept:
            if not isinstance(p, int) or not 0 <= p < len(self.input_shape):
                raise ValueError(f"DimshuffleLayer: pattern holds axes of the input, from 0 to "
                                 f"{len(self.input_shape) - 1}, and 'x', got {p!r}")
        if len(set(kept)) != len(kept):
            raise ValueError(f"DimshuffleLayer: an axis stands twice in pattern {tuple(pattern)}")
        self.pattern = tuple(pattern)
        self.output_shape  # noqa: B018  (raises where an axis can't be left out)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        for axis, n in enumerate(input_shape):
            if axis not in self.pattern and n is not None and n != 1:
                raise ValueError(f"DimshuffleLayer: pattern {self.pattern} leaves out axis {axis}, whose extent is {n}, not 1")
        return tuple(1 if p == "x" else input_shape[p] for p in self.pattern)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        dropped = [axis for axis in range(input.ndim) if axis not in self.pattern]
        return T.dimshuffle(T.addbroadcast(input, *dropped) if dropped else input, self.pattern)


class PadLayer(Layer):
    """Borders of a value around the axes behind the first ones.

    Parameters
    ----------
    incoming : Layer or tuple
    width : int, iterable of int or of pairs of int
        On both sides; for each axis; or for each axis before and after.
    val : number
    batch_ndim : int
        How many axes in front stay.
    name : str, optional

    Examples
    --------
    >>> PadLayer((None, 3, 8, 8), [(1, 2), 0]).output_shape
    (None, 3, 11, 8)
    """

    def __init__(self, incoming: Any, width: Any, val: Any = 0, batch_ndim: int = 2, name: str | None = None) -> None:
        super().__init__(incoming, name)
        axes = len(self.input_shape) - batch_ndim
        widths = utils.as_tuple(width, axes)
        self.width, self.val, self.batch_ndim = width, val, batch_ndim
        self.pairs: list[Any] = [tuple(int(n) for n in utils.as_tuple(w, 2)) for w in widths]
        if any(n < 0 for pair in self.pairs for n in pair):
            raise ValueError(f"PadLayer: widths must not be negative, got {width}")

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        padded = zip(input_shape[self.batch_ndim:], self.pairs, strict=True)
        return (*input_shape[:self.batch_ndim], *(None if n is None else n + low + high for n, (low, high) in padded))

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return padded(input, [(0, 0)] * self.batch_ndim + self.pairs, self.val)


def padded(x: Any, pairs: Sequence[tuple[int, int]], val: Any = 0) -> Any:
    """Return `x` with borders of `val`, so many before and after on each axis."""
    if not any(low or high for low, high in pairs):
        return x
    extents = [x.shape[a] + low + high if low or high else x.shape[a] for a, (low, high) in enumerate(pairs)]
    inner = tuple(slice(low, low + x.shape[a]) for a, (low, _) in enumerate(pairs))
    border = T.cast(val, x.dtype) if isinstance(val, symbolic.Variable) else np.asarray(val, x.dtype)
    return T.set_subtensor(T.alloc(border, *extents)[inner], x)


class SliceLayer(Layer):
    """A slice of one axis, or one of its entries.

    Parameters
    ----------
    incoming : Layer or tuple
    indices : int or slice
        An int takes the axis away.
    axis : int
    name : str, optional

    Raises
    ------
    ValueError
        If there is no such axis or entry.

    Examples
    --------
    >>> SliceLayer((None, 10, 5), slice(-3, None), axis=1).output_shape
    (None, 3, 5)
    """

    def __init__(self, incoming: Any, indices: int | slice, axis: int = -1, name: str | None = None) -> None:
        super().__init__(incoming, name)
        if not -len(self.input_shape) <= axis < len(self.input_shape):
            raise ValueError(f"SliceLayer: axis is {axis}, but the input has {len(self.input_shape)} axes")
        if not isinstance(indices, (int, np.integer, slice)):
            raise ValueError(f"SliceLayer: indices must be an int or a slice, got {indices!r}")
        self.slice, self.axis = indices, axis % len(self.input_shape)
        n = self.input_shape[self.axis]
        if not isinstance(indices, slice) and n is not None and not -n <= indices < n:
            raise ValueError(f"SliceLayer: axis {self.axis} has extent {n}, got index {indices}")

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        before, n, after = input_shape[:self.axis], input_shape[self.axis], input_shape[self.axis + 1:]
        if not isinstance(self.slice, slice):
            return (*before, *after)
        return (*before, None if n is None else len(range(*self.slice.indices(n))), *after)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return input[(slice(None),) * self.axis + (self.slice,)]


flatten = FlattenLayer  # Lasagne's short names
reshape = ReshapeLayer
dimshuffle = DimshuffleLayer
pad = PadLayer
