"""Layers that join neighbours into one value, and the reverse."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import symbolic.tensor as T
from lasagne_like import utils
from lasagne_like.layers.base import Layer, Shape
from symbolic.tensor.signal.pool import pool_2d, pool_3d

_MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def pool_output_length(input_length: Any, pool_size: int, stride: int, pad: int, ignore_border: bool) -> Any:
    """Return the extent of a pooling's output along an axis; None if that of the input isn't known.

    Parameters
    ----------
    input_length : int, Variable or None
    pool_size, stride, pad : int
    ignore_border : bool
        Leave out windows that reach beyond the (padded) input.

    Examples
    --------
    >>> pool_output_length(5, 2, 2, 0, True), pool_output_length(5, 2, 2, 0, False)
    (2, 3)
    """
    if input_length is None or pool_size is None:
        return None
    if ignore_border:
        return (input_length + 2 * pad - pool_size + stride) // stride
    if stride >= pool_size:
        return (input_length + stride - 1) // stride
    return max(0, (input_length - pool_size + stride - 1) // stride) + 1


class _PoolLayer(Layer):
    """What poolings over 1, 2 and 3 axes share."""

    _n: int

    def __init__(self, incoming: Any, pool_size: Any, stride: Any, pad: Any, ignore_border: bool, mode: str,
                 name: str | None) -> None:
        super().__init__(incoming, name)
        n, who = self._n, type(self).__name__
        if len(self.input_shape) != n + 2:
            raise ValueError(f"{who}: expected {n + 2} axes (batch, channels, {n} more), got input shape {self.input_shape}")
        if mode not in _MODES:
            raise ValueError(f"{who}: mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
        self.pool_size = utils.as_tuple(pool_size, n, int)
        self.stride = self.pool_size if stride is None else utils.as_tuple(stride, n, int)
        self.pad = utils.as_tuple(pad, n, int)
        if any(self.pad) and not ignore_border:
            raise ValueError(f"{who}: pad needs ignore_border=True, got pad {self.pad}")
        if any(p >= s for p, s in zip(self.pad, self.pool_size, strict=True)):
            raise ValueError(f"{who}: pad must be smaller than pool_size, got {self.pad} and {self.pool_size}")
        if min(*self.pool_size, *self.stride) < 1:
            raise ValueError(f"{who}: pool_size and stride must be positive, got {self.pool_size} and {self.stride}")
        self.ignore_border, self.mode = ignore_border, mode

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        walks = zip(input_shape[2:], self.pool_size, self.stride, self.pad, strict=True)
        return (*input_shape[:2], *(pool_output_length(*walk, self.ignore_border) for walk in walks))

    def _pooled(self, pool: Any, input: Any, extra: int = 0) -> Any:
        more, none = (1,) * extra, (0,) * extra
        return pool(input, ws=self.pool_size + more, stride=self.stride + more, ignore_border=self.ignore_border,
                    pad=self.pad + none,
                    mode=self.mode)


class Pool1DLayer(_PoolLayer):
    """Pooling along one axis: input (batch, channels, length).

    Parameters
    ----------
    incoming : Layer or tuple
    pool_size : int
        Of the windows.
    stride : int, optional
        Distance of the windows, by default `pool_size`.
    pad : int
        Places on both sides that hold nothing.
    ignore_border : bool
        Leave out windows that reach beyond the input.
    mode : {'max', 'sum', 'average_inc_pad', 'average_exc_pad'}
        The averages count padding as zeros, or not at all.
    name : str, optional
    """

    _n = 1

    def __init__(self, incoming: Any, pool_size: Any, stride: Any = None, pad: Any = 0, ignore_border: bool = True,
                 mode: str = "max",
                 name: str | None = None) -> None:
        super().__init__(incoming, pool_size, stride, pad, ignore_border, mode, name)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return self._pooled(pool_2d, T.shape_padright(input, 1), 1)[:, :, :, 0]


class MaxPool1DLayer(Pool1DLayer):
    """`Pool1DLayer` with ``mode='max'``."""

    def __init__(self, incoming: Any, pool_size: Any, stride: Any = None, pad: Any = 0, ignore_border: bool = True,
                 name: str | None = None) -> None:
        super().__init__(incoming, pool_size, stride, pad, ignore_border, name=name)


class Pool2DLayer(_PoolLayer):
    """Pooling of images: input (batch, channels, rows, columns); parameters as for `Pool1DLayer`, numbers or pairs.

    Examples
    --------
    >>> Pool2DLayer((None, 3, 28, 28), 2).output_shape
    (None, 3, 14, 14)
    """

    _n = 2

    def __init__(self, incoming: Any, pool_size: Any, stride: Any = None, pad: Any = (0, 0), ignore_border: bool = True,
                 mode: str = "max", name: str | None = None) -> None:
        super().__init__(incoming, pool_size, stride, pad, ignore_border, mode, name)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return self._pooled(pool_2d, input)


class MaxPool2DLayer(Pool2DLayer):
    """`Pool2DLayer` with ``mode='max'``."""

    def __init__(self, incoming: Any, pool_size: Any, stride: Any = None, pad: Any = (0, 0), ignore_border: bool = True,
                 name: str | None = None) -> None:
        super().__init__(incoming, pool_size, stride, pad, ignore_border, name=name)


class Pool3DLayer(_PoolLayer):
    """Pooling of volumes: input (batch, channels, depth, rows, columns); parameters as for `Pool1DLayer`, numbers or triples."""

    _n = 3

    def __init__(self, incoming: Any, pool_size: Any, stride: Any = None, pad: Any = (0, 0, 0), ignore_border: bool = True,
                 mode: str = "max", name: str | None = None) -> None:
        super().__init__(incoming, pool_size, stride, pad, ignore_border, mode, name)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return self._pooled(pool_3d, input)


class MaxPool3DLayer(Pool3DLayer):
    """`Pool3DLayer` with ``mode='max'``."""

    def __init__(self, incoming: Any, pool_size: Any, stride: Any = None, pad: Any = (0, 0, 0), ignore_border: bool = True,
                 name: str | None = None) -> None:
        super().__init__(incoming, pool_size, stride, pad, ignore_border, name=name)


class _UpscaleLayer(Layer):
    _n: int

    def __init__(self, incoming: Any, scale_factor: Any, mode: str = "repeat", name: str | None = None) -> None:
        super().__init__(incoming, name)
        if len(self.input_shape) != self._n + 2:
            raise ValueError(f"{type(self).__name__}: expected {self._n + 2} axes, got input shape {self.input_shape}")
        self.scale_factor = utils.as_tuple(scale_factor, self._n, int)
        if min(self.scale_factor) < 1:
            raise ValueError(f"{type(self).__name__}: scale_factor must be positive, got {scale_factor}")
        if mode not in ("repeat", "dilate"):
            raise ValueError(f"{type(self).__name__}: mode must be 'repeat' or 'dilate', got {mode!r}")
        self.mode = mode

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        grown = zip(input_shape[2:], self.scale_factor, strict=True)
        return (*input_shape[:2], *(None if n is None else n * k for n, k in grown))

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        if self.mode == "repeat":
            for axis, k in enumerate(self.scale_factor, 2):
                input = T.repeat(input, k, axis=axis) if k > 1 else input
            return input
        extents = [input.shape[0], input.shape[1], *(input.shape[2 + a] * k for a, k in enumerate(self.scale_factor))]
        places = (slice(None), slice(None), *(slice(None, None, k) for k in self.scale_factor))
        return T.set_subtensor(T.zeros(extents, input.dtype)[places], input)


class Upscale1DLayer(_UpscaleLayer):
    """A longer signal: input (batch, channels, length).

    Parameters
    ----------
    incoming : Layer or tuple
    scale_factor : int or tuple of int
    mode : {'repeat', 'dilate'}
        Repeat values, or put zeros behind each.
    name : str, optional
    """

    _n = 1


class Upscale2DLayer(_UpscaleLayer):
    """Larger images: input (batch, channels, rows, columns); parameters as for `Upscale1DLayer`."""

    _n = 2


class Upscale3DLayer(_UpscaleLayer):
    """Larger volumes: input (batch, channels, depth, rows, columns); parameters as for `Upscale1DLayer`."""

    _n = 3


class _GroupsLayer(Layer):
    """What layers share that look at groups of neighbours on one axis."""

    def __init__(self, incoming: Any, pool_size: int, axis: int, name: str | None) -> None:
        super().__init__(incoming, name)
        if not -len(self.input_shape) <= axis < len(self.input_shape):
            raise ValueError(f"{type(self).__name__}: axis is {axis}, but the input has {len(self.input_shape)} axes")
        self.pool_size, self.axis = pool_size, axis % len(self.input_shape)
        n = self.input_shape[self.axis]
        if n is None or n % pool_size:
            raise ValueError(f"{type(self).__name__}: axis {self.axis} must have a known extent that pool_size, {pool_size}, "
                             "divides, got "
                             f"{n}")

    def _grouped(self, input: Any) -> Any:
        extents = [input.shape[a] for a in range(input.ndim)]
        n: Any = self.input_shape[self.axis]
        return input.reshape((*extents[:self.axis], n // self.pool_size, self.pool_size, *extents[self.axis + 1:]))


class FeaturePoolLayer(_GroupsLayer):
    """The best of each group of neighbours on one axis ("maxout").

    Parameters
    ----------
    incoming : Layer or tuple
    pool_size : int
        Of the groups; it divides the extent.
    axis : int
    pool_function : callable
        Takes an expression and ``axis=``.
    name : str, optional

    References
    ----------
    Goodfellow et al. (2013), Maxout networks.
    """

    def __init__(self, incoming: Any, pool_size: int, axis: int = 1, pool_function: Any = T.max, name: str | None = None) -> None:
        super().__init__(incoming, pool_size, axis, name)
        self.pool_function = pool_function

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return (*input_shape[:self.axis], input_shape[self.axis] // self.pool_size, *input_shape[self.axis + 1:])

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return self.pool_function(self._grouped(input), axis=self.axis + 1)


class FeatureWTALayer(_GroupsLayer):
    """The largest of each group of neighbours on one axis stays (the first of equals), the others become 0.

    Parameters
    ----------
    incoming : Layer or tuple
    pool_size : int
        Of the groups; it divides the extent.
    axis : int
    name : str, optional
    """

    def __init__(self, incoming: Any, pool_size: int, axis: int = 1, name: str | None = None) -> None:
        super().__init__(incoming, pool_size, axis, name)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        groups = self._grouped(input)
        winner = T.argmax(groups, axis=self.axis + 1, keepdims=True)
        count = ["x"] * groups.ndim
        count[self.axis + 1] = 0  # type: ignore[call-overload]
        won = T.eq(winner, T.dimshuffle(T.arange(self.pool_size), count))
        return T.switch(won, groups, T.zeros_like(groups)).reshape(tuple(input.shape[a] for a in range(input.ndim)))


class GlobalPoolLayer(Layer):
    """One value for each channel, of all places: output (batch, channels).

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, ...)
    pool_function : callable
        ``T.mean``, ``T.max``, or one that takes an expression and ``axis=``.
    name : str, optional
    """

    def __init__(self, incoming: Any, pool_function: Any = T.mean, name: str | None = None) -> None:
        super().__init__(incoming, name)
        self.pool_function = pool_function
        if len(self.input_shape) < 3:
            raise ValueError(f"GlobalPoolLayer: expected 3 or more axes (batch, channels, ...), got input shape "
                             f"{self.input_shape}")

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return tuple(input_shape[:2])

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return self.pool_function(input.flatten(3), axis=2)


class SpatialPyramidPoolingLayer(Layer):
    """Poolings of images into grids of fixed sizes, side by side: output (batch, channels, sum of squares of `pool_dims`).

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, rows, columns), of any extents.
    pool_dims : list of int
        The grids' sizes.
    mode : {'max', 'sum', 'average_inc_pad', 'average_exc_pad'}
    implementation : {'fast', 'kaiming'}
        Windows of one size for each grid, or cells that cover the whole image, whose sizes may differ by one.
    name : str, optional

    References
    ----------
    He et al. (2015), Spatial pyramid pooling in deep convolutional networks for visual recognition.
    """

    def __init__(self, incoming: Any, pool_dims: Sequence[int] = (4, 2, 1), mode: str = "max", implementation: str = "fast",
                 name: str | None = None) -> None:
        super().__init__(incoming, name)
        if len(self.input_shape) != 4:
            raise ValueError(f"SpatialPyramidPoolingLayer: expected 4 axes, got input shape {self.input_shape}")
        if mode not in _MODES:
            raise ValueError(f"SpatialPyramidPoolingLayer: mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
        if implementation not in ("fast", "kaiming"):
            raise ValueError(f"SpatialPyramidPoolingLayer: implementation must be 'fast' or 'kaiming', got {implementation!r}")
        most = max(pool_dims)
        if any(n is not None and n < most for n in self.input_shape[2:]):
            raise ValueError(f"SpatialPyramidPoolingLayer: a grid of {most} doesn't fit input shape {self.input_shape}")
        self.pool_dims, self.mode, self.implementation = list(pool_dims), mode, implementation

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return (*input_shape[:2], sum(p * p for p in self.pool_dims))

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        size = [input.shape[a] if n is None else n for a, n in enumerate(self.input_shape)][2:]
        grids = [self._fast(input, size, p) if self.implementation == "fast" else self._cells(input, size,
                                                                                              p) for p in self.pool_dims]
        return T.concatenate(grids, axis=2)

    def _fast(self, input: Any, size: Sequence[Any], p: int) -> Any:
        window, step = tuple((n + p - 1) // p for n in size), tuple(n // p for n in size)
        pooled = pool_2d(input, ws=window, stride=step, ignore_border=True, mode=self.mode)
        return pooled[:, :, :p, :p].flatten(3)  # windows that don't fill the image may leave room for one more

    def _cells(self, input: Any, size: Sequence[Any], p: int) -> Any:
        reduce: Any = {"max": T.max, "sum": T.sum}.get(self.mode, T.mean)
        bounds = [[((k * n) // p, ((k + 1) * n + p - 1) // p) for k in range(p)] for n in size]
        cells = [reduce(input[:, :, top:bottom, left:right], axis=(2, 3)) for top, bottom in bounds[0] for left,
                 right in bounds[1]]
        return T.stack(cells, axis=2)
