"""Fully connected layers."""
from __future__ import annotations

from typing import Any

import numpy as np

import symbolic.tensor as T
from lasagne_like import init, nonlinearities
from lasagne_like.layers.base import Layer, Shape


class DenseLayer(Layer):
    """``nonlinearity(x @ W + b)``.

    Parameters
    ----------
    incoming : Layer or tuple
    num_units : int
    W : as `Layer.add_param`, (inputs, num_units)
    b : as `Layer.add_param`, (num_units,), or None for no bias
    nonlinearity : callable or None
        None is linear.
    num_leading_axes : int
        Axes that aren't flattened into the inputs; negative: how many trailing axes are.
    name : str, optional

    Raises
    ------
    ValueError
        If an extent of the inputs isn't known, or there are fewer axes.

    Examples
    --------
    >>> DenseLayer((None, 4, 5), 10).W.get_value().shape
    (20, 10)
    """

    def __init__(self, incoming: Any, num_units: int, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, num_leading_axes: int = 1, name: str | None = None) -> None:
        super().__init__(incoming, name)
        self.nonlinearity = nonlinearities.identity if nonlinearity is None else nonlinearity
        self.num_units = num_units
        axes = len(self.input_shape)
        if not -axes <= num_leading_axes < axes:
            raise ValueError(f"DenseLayer: num_leading_axes is {num_leading_axes}, but the input has {axes} axes")
        self.num_leading_axes = num_leading_axes % axes
        rest = self.input_shape[self.num_leading_axes:]
        if None in rest:
            raise ValueError(f"DenseLayer: the extents of the inputs must be known, got shape {self.input_shape}; "
                             "num_leading_axes says how many axes aren't inputs")
        inputs = int(np.prod(rest))  # type: ignore[arg-type]
        self.W = self.add_param(W, (inputs, num_units), "W")
        self.b = None if b is None else self.add_param(b, (num_units,), "b", regularizable=False)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return (*input_shape[:self.num_leading_axes], self.num_units)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        if input.ndim > self.num_leading_axes + 1:
            input = input.flatten(self.num_leading_axes + 1)
        activation = T.dot(input, self.W)
        return self.nonlinearity(activation if self.b is None else activation + self.b)


class NINLayer(Layer):
    """A dense layer over the channels (axis 1), at each place of the axes behind: "network in network".

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, ...)
    num_units : int
    untie_biases : bool
        A bias for each place, (num_units, ...), whose extents must be known then.
    W : as `Layer.add_param`, (channels, num_units)
    b : as `Layer.add_param`, (num_units,), or None
    nonlinearity : callable or None
    name : str, optional

    References
    ----------
    Lin, Chen and Yan (2013), Network in network.
    """

    def __init__(self, incoming: Any, num_units: int, untie_biases: bool = False, W: Any = init.GlorotUniform(),  # noqa: B008
                 b: Any = init.Constant(0.0), nonlinearity: Any = nonlinearities.rectify, name: str | None = None  # noqa: B008
                 ) -> None:
        super().__init__(incoming, name)
        self.nonlinearity = nonlinearities.identity if nonlinearity is None else nonlinearity
        self.num_units, self.untie_biases = num_units, untie_biases
        if len(self.input_shape) < 2 or self.input_shape[1] is None:
            raise ValueError(f"NINLayer: needs axis 1, the channels, with a known extent, got shape {self.input_shape}")
        self.W = self.add_param(W, (self.input_shape[1], num_units), "W")
        self.b = None
        if b is not None:
            if untie_biases and None in self.input_shape[2:]:
                raise ValueError(f"NINLayer: untie_biases needs known extents behind axis 1, got shape {self.input_shape}")
            places: Any = self.output_shape[2:] if untie_biases else ()
            self.b = self.add_param(b, (num_units, *places), "b", regularizable=False)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return (input_shape[0], self.num_units, *input_shape[2:])

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        activation = T.moveaxis(T.tensordot(input, self.W, axes=[[1], [0]]), -1, 1)
        if self.b is not None:
            pattern = ["x", *range(input.ndim - 1)] if self.untie_biases else ["x", 0, *["x"] * (input.ndim - 2)]
            activation = activation + self.b.dimshuffle(*pattern)
        return self.nonlinearity(activation)
