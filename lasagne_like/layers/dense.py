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
    num_leading_axes : int
        Axes that aren't flattened into the inputs; negative: how many trailing axes are.
    name : str, optional
    """

    def __init__(self, incoming: Any, num_units: int, W: Any = None, b: Any = 0.0, nonlinearity: Any = nonlinearities.rectify,
                 num_leading_axes: int = 1, name: str | None = None) -> None:
        super().__init__(incoming, name)
        self.nonlinearity = nonlinearities.linear if nonlinearity is None else nonlinearity
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
        self.W = self.add_param(init.GlorotUniform() if W is None else W, (inputs, num_units), "W")
        self.b = None if b is None else self.add_param(b, (num_units,), "b", regularizable=False)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (*input_shape[:self.num_leading_axes], self.num_units)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        if input.ndim > self.num_leading_axes + 1:
            input = input.flatten(self.num_leading_axes + 1)
        activation = T.dot(input, self.W)
        return self.nonlinearity(activation if self.b is None else activation + self.b)
