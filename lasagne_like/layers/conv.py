"""Convolutions with filters that are learnt."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import symbolic
import symbolic.tensor as T
from lasagne_like import init, nonlinearities, utils
from lasagne_like.layers.base import Layer, Shape


def conv_output_length(input_length: Any, filter_size: int, stride: int, pad: Any = 0) -> Any:
    """Return the extent of a convolution's output along an axis; None if that of the input isn't known.

    Parameters
    ----------
    input_length : int, Variable or None
    filter_size, stride : int
    pad : int, pair of int, 'full', 'same' or 'valid'
        A pair: before and after.

    Raises
    ------
    ValueError
        For another `pad`.

    Examples
    --------
    >>> conv_output_length(28, 5, 2), conv_output_length(28, 5, 1, "same")
    (12, 28)
    """
    if input_length is None:
        return None
    grown = {"valid": 1 - filter_size, "full": filter_size - 1, "same": 0}.get(pad) if isinstance(pad, str) else None
    if isinstance(pad, int):
        grown = 2 * pad - filter_size + 1
    elif isinstance(pad, tuple) and len(pad) == 2:
        grown = sum(pad) - filter_size + 1
    if grown is None:
        raise ValueError(f"pad must be an int, a pair, 'full', 'same' or 'valid', got {pad!r}")
    return (input_length + grown + stride - 1) // stride


def conv_input_length(output_length: Any, filter_size: int, stride: int, pad: Any = 0) -> Any:
    """Return the smallest extent of a convolution's input for that of its output; None if that isn't known.

    Parameters are those of `conv_output_length`.

    Examples
    --------
    >>> conv_input_length(12, 5, 2)
    27
    """
    if output_length is None:
        return None
    cut = {"valid": 0, "full": filter_size - 1, "same": filter_size // 2}.get(pad) if isinstance(pad, str) else pad
    if not isinstance(cut, int):
        raise ValueError(f"pad must be an int, 'full', 'same' or 'valid', got {pad!r}")
    return (output_length - 1) * stride - 2 * cut + filter_size


class BaseConvLayer(Layer):
    """Base of convolutions over any number of axes.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, ...)
    num_filters : int
    filter_size, stride : int or tuple of int
    pad : int, tuple of int, tuple of pairs of int, 'full', 'same' or 'valid'
        Zeros on both sides, or before and after, for each axis; 'same' keeps the extent, for odd filters.
    untie_biases : bool
        A bias for each place instead of each filter.
    W : as `Layer.add_param`, (num_filters, channels // num_groups, *filter_size)
    b : as `Layer.add_param`, (num_filters,), with `untie_biases` (num_filters, ...), or None
    nonlinearity : callable or None
    flip_filters : bool
        True: convolution, False: correlation.
    num_groups : int
        Channels and filters are in as many groups, which don't see each other.
    n : int, optional
        How many axes; by default all behind the channels.
    name : str, optional

    Raises
    ------
    ValueError
        If the input has another number of axes, or numbers don't divide.
    NotImplementedError
        For 'same' with an even filter.
    """

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = 1, pad: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify,
                 flip_filters: bool = True, num_groups: int = 1, n: int | None = None, name: str | None = None) -> None:
        super().__init__(incoming, name)
        who = type(self).__name__
        self.nonlinearity = nonlinearities.identity if nonlinearity is None else nonlinearity
        self.n = len(self.input_shape) - 2 if n is None else n
        if len(self.input_shape) != self.n + 2 or self.n < 1:
            raise ValueError(f"{who}: expected {self.n + 2} axes (batch, channels, {self.n} more), got input shape "
                             f"{self.input_shape}")
        if self.input_shape[1] is None:
            raise ValueError(f"{who}: the channels, axis 1, must be known, got input shape {self.input_shape}")
        self.num_filters, self.num_groups = num_filters, num_groups
        self.flip_filters, self.untie_biases = flip_filters, untie_biases
        self.filter_size = utils.as_tuple(filter_size, self.n, int)
        self.stride = utils.as_tuple(stride, self.n, int)
        if num_groups < 1 or num_filters % num_groups or self.input_shape[1] % num_groups:
            raise ValueError(f"{who}: num_groups must divide channels and filters, got {num_groups} for "
                             f"{self.input_shape[1]} and {num_filters}")
        if pad == "same" and any(s % 2 == 0 for s in self.filter_size):
            raise NotImplementedError(f"{who}: pad='same' needs odd filter sizes, got {self.filter_size}")
        if isinstance(pad, str) and pad not in ("full", "same", "valid"):
            raise ValueError(f"{who}: pad must be an int, a tuple of int, 'full', 'same' or 'valid', got {pad!r}")
        if pad in ("full", "same"):
            self.pad: Any = pad
        elif isinstance(pad, (tuple, list)) and any(isinstance(p, (tuple, list)) for p in pad):
            self.pad = tuple(utils.as_tuple(p, 2, int) for p in utils.as_tuple(pad, self.n))
        else:
            self.pad = utils.as_tuple(0 if pad == "valid" else pad, self.n, int)
        self.W = self.add_param(W, self.get_W_shape(), "W")
        self.b = None
        if b is not None:
            places: Any = self.output_shape[2:] if untie_biases else ()
            if None in places:
                raise ValueError(f"{who}: untie_biases needs known extents, got input shape {self.input_shape}")
            self.b = self.add_param(b, (num_filters, *places), "b", regularizable=False)

    def get_W_shape(self) -> tuple[int, ...]:
        """Return the shape of `W`."""
        channels: Any = self.input_shape[1]
        return (self.num_filters, channels // self.num_groups, *self.filter_size)

    def _pads(self) -> tuple[Any, ...]:
        return (self.pad,) * self.n if isinstance(self.pad, str) else self.pad

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        walks = zip(input_shape[2:], self.filter_size, self.stride, self._pads(), strict=True)
        return (input_shape[0], self.num_filters, *(conv_output_length(*walk) for walk in walks))

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        out = self.convolve(input, **kwargs)
        if self.b is not None:
            places = range(1, self.n + 1) if self.untie_biases else ["x"] * self.n
            out = out + self.b.dimshuffle("x", 0, *places)
        return self.nonlinearity(out)

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        """Return the convolution itself."""
        raise NotImplementedError("BaseConvLayer doesn't convolve; use Conv1DLayer, Conv2DLayer or Conv3DLayer")

    def _border(self, pad: Any) -> Any:
        return "half" if pad == "same" else pad

    def _applied(self, convolution: Callable[..., Any], input: Any, **more: Any) -> Any:
        """Return ``convolution(input, W, ...)``; a batch of any size fits."""
        if self.num_groups > 1:
            more["num_groups"] = self.num_groups
        return convolution(input, self.W, (None, *self.input_shape[1:]), self.get_W_shape(), subsample=self.stride,
                           border_mode=self._border(self.pad), filter_flip=self.flip_filters, **more)


class Conv1DLayer(BaseConvLayer):
    """Convolution along one axis: input (batch, channels, length).

    Parameters
    ----------
    incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters, num_groups, name
        As for `BaseConvLayer`.
    convolution : callable
        ``T.nnet.conv1d`` or one with its arguments.

    Examples
    --------
    >>> Conv1DLayer((None, 3, 100), 16, 5, stride=2).output_shape
    (None, 16, 48)
    """

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = 1, pad: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify,
                 flip_filters: bool = True, convolution: Any = T.nnet.conv1d, num_groups: int = 1,
                 name: str | None = None) -> None:
        super().__init__(incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters,
                         num_groups,
                         1, name)
        self.convolution = convolution

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        pad = self.pad if isinstance(self.pad, str) or isinstance(self.pad[0], tuple) else self.pad[0]
        more = {"num_groups": self.num_groups} if self.num_groups > 1 else {}
        return self.convolution(input, self.W, (None, *self.input_shape[1:]), self.get_W_shape(), subsample=self.stride[0],
                                border_mode=self._border(pad), filter_flip=self.flip_filters, **more)


class Conv2DLayer(BaseConvLayer):
    """Convolution of images: input (batch, channels, rows, columns).

    Parameters
    ----------
    incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters, num_groups, name
        As for `BaseConvLayer`.
    convolution : callable
        ``T.nnet.conv2d`` or one with its arguments.

    Examples
    --------
    >>> Conv2DLayer((None, 3, 32, 32), 16, (3, 5), pad="same").output_shape
    (None, 16, 32, 32)
    """

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = (1, 1), pad: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = True, convolution: Any = T.nnet.conv2d,
                 num_groups: int = 1, name: str | None = None) -> None:
        super().__init__(incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters,
                         num_groups,
                         2, name)
        self.convolution = convolution

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        return self._applied(self.convolution, input)


class Conv3DLayer(BaseConvLayer):
    """Convolution of volumes: input (batch, channels, depth, rows, columns).

    Parameters
    ----------
    incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters, num_groups, name
        As for `BaseConvLayer`.
    convolution : callable
        ``T.nnet.conv3d`` or one with its arguments.
    """

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = (1, 1, 1), pad: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = True, convolution: Any = T.nnet.conv3d,
                 num_groups: int = 1, name: str | None = None) -> None:
        super().__init__(incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters,
                         num_groups,
                         3, name)
        self.convolution = convolution

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        return self._applied(self.convolution, input)


class _TransposedConvLayer(BaseConvLayer):
    """The transposed of a convolution, which goes from its output to its input."""

    _gradient: Any

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any, crop: Any, untie_biases: bool, W: Any,
                 b: Any,
                 nonlinearity: Any, flip_filters: bool, output_size: Any, n: int, name: str | None) -> None:
        # the shape of the output, which biases may need, is known from here on
        self.output_size: Any = output_size
        if output_size is not None and not isinstance(output_size, symbolic.Variable):
            self.output_size = utils.as_tuple(output_size, n)
        super().__init__(incoming, num_filters, filter_size, stride, crop, untie_biases, W, b, nonlinearity, flip_filters, 1, n,
                         name)
        self.crop = self.pad
        del self.pad
        for extent, size, step, cut in zip(self.input_shape[2:], self.filter_size, self.stride, self._pads(), strict=True):
            if extent is not None and conv_input_length(extent, size, step, cut) < 1:
                raise ValueError(f"{type(self).__name__}: crop {self.crop} leaves nothing of input shape {self.input_shape}")

    def _pads(self) -> tuple[Any, ...]:
        crop = getattr(self, "crop", None) or self.pad
        return (crop,) * self.n if isinstance(crop, str) else crop

    def get_W_shape(self) -> tuple[int, ...]:
        """Return the shape of `W`: (channels, num_filters, *filter_size)."""
        channels: Any = self.input_shape[1]
        return (channels, self.num_filters, *self.filter_size)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        if self.output_size is not None:
            given = (None,) * self.n if isinstance(self.output_size, symbolic.Variable) else self.output_size
            size = tuple(None if isinstance(s, symbolic.Variable) else s for s in given)
        else:
            size = tuple(conv_input_length(*walk) for walk in zip(input_shape[2:], self.filter_size, self.stride, self._pads(),
                                                                  strict=True))
        return (input_shape[0], self.num_filters, *size)

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        if self.output_size is None:
            known = self.output_shape[2:]
            size = [n if n is not None else conv_input_length(input.shape[2 + k], self.filter_size[k], self.stride[k],
                                                              self._pads()[k])
                    for k, n in enumerate(known)]
        elif isinstance(self.output_size, symbolic.Variable):
            size = [self.output_size[k] for k in range(self.n)]
        else:
            size = list(self.output_size)
        return self._gradient(input, self.W, (None, self.num_filters, *size), self.get_W_shape(), subsample=self.stride,
                              border_mode=self._border(self.crop), filter_flip=not self.flip_filters)


class TransposedConv2DLayer(_TransposedConvLayer):
    """The transposed of a convolution of images ("deconvolution"): input (batch, channels, rows, columns).

    Parameters
    ----------
    incoming : Layer or tuple
    num_filters : int
        Channels of the output.
    filter_size : int or tuple of int
    stride : int or tuple of int
        Distance of the input's elements in the output.
    crop : int, tuple of int, 'full', 'same' or 'valid'
        What is cut off the output, as the convolution pads its input.
    untie_biases, b, nonlinearity, name
        As for `BaseConvLayer`.
    W : as `Layer.add_param`, (channels, num_filters, *filter_size)
    flip_filters : bool
        True: the output is a convolution with the filters, False: a correlation.
    output_size : int, tuple of int, tuple of scalar Variable or Variable, optional
        Of the output, where several sizes have an input of this size; by default the smallest.

    Examples
    --------
    >>> TransposedConv2DLayer((None, 8, 7, 7), 4, 3, stride=2).output_shape
    (None, 4, 15, 15)
    """

    _gradient = staticmethod(T.nnet.conv2d_grad_wrt_inputs)

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = (1, 1), crop: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = False, output_size: Any = None,
                 name: str | None = None) -> None:
        super().__init__(incoming, num_filters, filter_size, stride, crop, untie_biases, W, b, nonlinearity, flip_filters,
                         output_size,
                         2, name)


class TransposedConv3DLayer(_TransposedConvLayer):
    """The transposed of a convolution of volumes; parameters as for `TransposedConv2DLayer`."""

    _gradient = staticmethod(T.nnet.conv3d_grad_wrt_inputs)

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = (1, 1, 1), crop: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = False, output_size: Any = None,
                 name: str | None = None) -> None:
        super().__init__(incoming, num_filters, filter_size, stride, crop, untie_biases, W, b, nonlinearity, flip_filters,
                         output_size,
                         3, name)


class DilatedConv2DLayer(BaseConvLayer):
    """Convolution of images whose filters' elements lie apart.

    Parameters
    ----------
    incoming, num_filters, filter_size, pad, untie_biases, b, nonlinearity, name
        As for `BaseConvLayer`. Lasagne has no other `pad` than 0.
    dilation : int or tuple of int
        Distance of the elements.
    W : as `Layer.add_param`, (channels, num_filters, *filter_size)
        In Lasagne's order.
    flip_filters : bool

    References
    ----------
    Yu and Koltun (2016), Multi-scale context aggregation by dilated convolutions.
    """

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, dilation: Any = (1, 1), pad: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = False, name: str | None = None) -> None:
        self.dilation = utils.as_tuple(dilation, 2, int)
        super().__init__(incoming, num_filters, filter_size, 1, pad, untie_biases, W, b, nonlinearity, flip_filters, 1, 2, name)

    def get_W_shape(self) -> tuple[int, ...]:
        """Return the shape of `W`: (channels, num_filters, *filter_size)."""
        channels: Any = self.input_shape[1]
        return (channels, self.num_filters, *self.filter_size)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        walks = zip(input_shape[2:], self.filter_size, self.dilation, self._pads(), strict=True)
        return (input_shape[0], self.num_filters, *(conv_output_length(n, (f - 1) * d + 1, 1, p) for n, f, d, p in walks))

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        channels, filters, *size = self.get_W_shape()
        return T.nnet.conv2d(input, self.W.dimshuffle(1, 0, 2, 3), (None, *self.input_shape[1:]), (filters, channels, *size),
                             border_mode=self._border(self.pad), filter_flip=self.flip_filters, filter_dilation=self.dilation)


Deconv2DLayer = TransposedConv2DLayer  # Lasagne's other name
