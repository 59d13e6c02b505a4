"""Layers, and what walks over them."""
from lasagne_like.layers.base import Layer
from lasagne_like.layers.dense import DenseLayer
from lasagne_like.layers.helper import (
    count_params,
    get_all_layers,
    get_all_param_values,
    get_all_params,
    get_output,
    get_output_shape,
    set_all_param_values,
)
from lasagne_like.layers.input import InputLayer

__all__ = ["DenseLayer", "InputLayer", "Layer", "count_params", "get_all_layers", "get_all_param_values", "get_all_params",
           "get_output", "get_output_shape", "set_all_param_values"]
