"""Where data enters."""
from __future__ import annotations

from typing import Any

import symbolic
import symbolic.tensor as T
from lasagne_like.layers.base import Layer, Shape


class InputLayer(Layer):
    """The variable that holds the data.

    Parameters
    ----------
    shape : tuple of int or None
    input_var : Variable, optional
        Default: a new one of ``config.floatX`` and this shape.
    name : str, optional

    Raises
    ------
    ValueError
        If `shape` and `input_var` differ in their number of axes.

    Examples
    --------
    >>> InputLayer((None, 3, 28, 28), T.ftensor4("x")).output_shape
    (None, 3, 28, 28)
    """

    def __init__(self, shape: Shape, input_var: Any = None, name: str | None = None) -> None:
        super().__init__(tuple(shape), name)
        if input_var is None:
            input_var = T.tensor(symbolic.config.floatX, tuple(shape), name=f"{name}.input" if name else "input")
        if input_var.ndim != len(shape):
            raise ValueError(f"InputLayer: shape {tuple(shape)} has {len(shape)} axes, but input_var has {input_var.ndim}")
        self.shape, self.input_var = tuple(shape), input_var

    @property
    def output_shape(self) -> Shape:
        """The shape that it was made with."""
        return self.shape

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return input
