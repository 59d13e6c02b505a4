"""Names of Lasagne's layers for cuDNN, which model files import: the same layers, whose filters aren't flipped by default."""
from __future__ import annotations

from typing import Any

from lasagne_like import init, nonlinearities
from lasagne_like.layers.conv import Conv2DLayer, Conv3DLayer
from lasagne_like.layers.normalization import BatchNormLayer, batch_norm
from lasagne_like.layers.pool import (
    MaxPool2DLayer,
    MaxPool3DLayer,
    Pool2DLayer,
    Pool3DLayer,
    SpatialPyramidPoolingLayer,
)


class Conv2DDNNLayer(Conv2DLayer):
    """`Conv2DLayer` with ``flip_filters=False``, and other arguments in cuDNN's layer's order."""

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = (1, 1), pad: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = False, num_groups: int = 1,
                 name: str | None = None) -> None:
        super().__init__(incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters,
                         num_groups=num_groups, name=name)


class Conv3DDNNLayer(Conv3DLayer):
    """`Conv3DLayer` with ``flip_filters=False``, and other arguments in cuDNN's layer's order."""

    def __init__(self, incoming: Any, num_filters: int, filter_size: Any, stride: Any = (1, 1, 1), pad: Any = 0,
                 untie_biases: bool = False, W: Any = init.GlorotUniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, flip_filters: bool = False, num_groups: int = 1,
                 name: str | None = None) -> None:
        super().__init__(incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters,
                         num_groups=num_groups, name=name)


Pool2DDNNLayer, MaxPool2DDNNLayer = Pool2DLayer, MaxPool2DLayer
Pool3DDNNLayer, MaxPool3DDNNLayer = Pool3DLayer, MaxPool3DLayer
SpatialPyramidPoolingDNNLayer = SpatialPyramidPoolingLayer
BatchNormDNNLayer, batch_norm_dnn = BatchNormLayer, batch_norm

__all__ = ["BatchNormDNNLayer", "Conv2DDNNLayer", "Conv3DDNNLayer", "MaxPool2DDNNLayer", "MaxPool3DDNNLayer", "Pool2DDNNLayer",
           "Pool3DDNNLayer", "SpatialPyramidPoolingDNNLayer", "batch_norm_dnn"]
