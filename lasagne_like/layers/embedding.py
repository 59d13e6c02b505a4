"""Tables of vectors."""
from __future__ import annotations

from typing import Any

from lasagne_like import init
from lasagne_like.layers.base import Layer, Shape


class EmbeddingLayer(Layer):
    """Rows of a table, chosen by integers: a new last axis.

    Parameters
    ----------
    incoming : Layer or tuple
        Integers from 0 to ``input_size - 1``; give the InputLayer an ``input_var`` of an integer dtype.
    input_size : int
        How many rows.
    output_size : int
        How long they are.
    W : as `Layer.add_param`, (input_size, output_size)
    name : str, optional

    Examples
    --------
    >>> EmbeddingLayer((None, 7), 100, 16).output_shape
    (None, 7, 16)
    """

    def __init__(self, incoming: Any, input_size: int, output_size: int, W: Any = init.Normal(),  # noqa: B008
                 name: str | None = None) -> None:
        super().__init__(incoming, name)
        self.input_size, self.output_size = input_size, output_size
        self.W = self.add_param(W, (input_size, output_size), "W")

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return (*input_shape, self.output_size)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        if input.dtype not in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
            raise TypeError(f"EmbeddingLayer: indices must be integers, got {input.type}; give the InputLayer an input_var like "
                            "T.lmatrix()")
        return self.W[input]
