"""Convolutions whose filters differ from place to place."""
from __future__ import annotations

from typing import Any

import symbolic.tensor as T
from lasagne_like import init, nonlinearities
from lasagne_like.layers.conv import Conv2DLayer


class LocallyConnected2DLayer(Conv2DLayer):
    """A convolution of images in which each place of the output has filters of its own.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, rows, columns), with known extents behind the batch.
    num_filters : int
    filter_size : int or tuple of int
    stride : int or tuple of int
        Lasagne has none but 1.
    pad : int, tuple of int, 'full', 'same' or 'valid'
        Lasagne has none but 'same'.
    untie_biases, b, nonlinearity, flip_filters, name
        As for `BaseConvLayer`.
    W : as `Layer.add_param`
        (num_filters, channels, *filter_size, output rows, output columns); with `channelwise` without the second axis.
    channelwise : bool
        Each filter sees only the channel of its number; there must be as many.

    Raises
    ------
    ValueError
        If an extent isn't known, or there are not as many filters as channels with `channelwise`.

    Examples
    --------
    >>> LocallyConnected2DLayer((None, 2, 6, 7), 4, 3).get_W_shape()
    (4, 2, 3, 3, 6, 7)
    """

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = (1, 1), pad: Any = "same",
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = True, channelwise: bool = False,
                 name: str | None = None) -> None:
        self.channelwise = channelwise
        super().__init__(incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters,
                         name=name)

    def get_W_shape(self) -> tuple[int, ...]:
        """Return the shape of `W`."""
        places: Any = self.output_shape[2:]
        channels: Any = self.input_shape[1]
        if None in places:
            raise ValueError(f"LocallyConnected2DLayer: extents behind the batch must be known, got input shape "
                             f"{self.input_shape}")
        if not self.channelwise:
            return (self.num_filters, channels, *self.filter_size, *places)
        if channels != self.num_filters:
            raise ValueError(f"LocallyConnected2DLayer: channelwise needs as many filters as channels, got {self.num_filters} "
                             "and "
                             f"{channels}")
        return (self.num_filters, *self.filter_size, *places)

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        order = (0, 3, 4, "x", 1, 2) if self.channelwise else (0, 4, 5, 1, 2, 3)
        return T.nnet.conv2d(input, self.W.dimshuffle(*order), (None, *self.input_shape[1:]), border_mode=self._border(self.pad),
                             subsample=self.stride, filter_flip=self.flip_filters, unshared=True,
                             num_groups=self.num_filters if self.channelwise else 1)
