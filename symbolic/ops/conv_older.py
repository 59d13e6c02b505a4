"""Convolutions under Theano's older names."""
from __future__ import annotations

from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops.conv_api import conv2d, shape_given
from symbolic.ops.extents import specify_shape
from symbolic.source import caller


def legacy_conv2d(input: Any, filters: Any, image_shape: Any = None, filter_shape: Any = None, border_mode: str = "valid",
                  subsample: Any = (1, 1), **kargs: Any) -> Variable:
    """Return :func:`conv2d`, under the arguments of Theano's ``nnet.conv.conv2d``; those that steer its loops have no effect.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, w = TensorType("float32", (8, 1, 28, 28))("x"), TensorType("float32", (20, 1, 5, 5))("w")
    >>> legacy_conv2d(x, w, image_shape=(8, 1, 28, 28)).type
    TensorType(float32, (8, 20, 24, 24))
    """
    return conv2d(input, filters, image_shape, filter_shape, border_mode, subsample)


def signal_conv2d(input: Any, filters: Any, image_shape: Any = None, filter_shape: Any = None, border_mode: str = "valid",
                  subsample: Any = (1, 1), **kargs: Any) -> Variable:
    """Return the convolution of images without channels, each with each filter, as Theano's ``signal.conv.conv2d``.

    Parameters
    ----------
    input : Variable, shape (rows, columns) or (images, rows, columns)
    filters : Variable, shape (rows, columns) or (filters, rows, columns)
    image_shape, filter_shape : tuple, optional
        What is known of the shapes.
    border_mode : {'valid', 'full', 'half'}, int or tuple
    subsample : int or (int, int)

    Returns
    -------
    Variable, shape ([images,] [filters,] output rows, output columns)
        The axes that the operands have.

    Raises
    ------
    RankError
        If an operand has neither 2 nor 3 dimensions.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, w = TensorType("float32", (9, 9))("x"), TensorType("float32", (5, 3, 3))("w")
    >>> signal_conv2d(x, w).type
    TensorType(float32, (5, 7, 7))
    """
    x, w = as_tensor_variable(input), as_tensor_variable(filters)
    for v, shape, what in ((x, image_shape, "images"), (w, filter_shape, "filters")):
        if v.ndim not in (2, 3):
            raise errors.RankError(errors.message("signal.conv.conv2d", f"{what} must have 2 or 3 dimensions, got {v.ndim}",
                                                  (describe(v),), caller(), "with channels, use nnet.conv2d"))
        if shape is not None:
            given = shape_given(shape, v.ndim, "image_shape" if v is x else "filter_shape")
            if v is x:
                x = specify_shape(v, given)
            else:
                w = specify_shape(v, given)
    out = conv2d(_with_channels(x), _with_channels(w), border_mode=border_mode, subsample=subsample)
    return out[(slice(None) if x.ndim == 3 else 0, slice(None) if w.ndim == 3 else 0)]


def _with_channels(v: Variable) -> Variable:
    """Return images or filters as (number, one channel, rows, columns)."""
    return v.dimshuffle("x", "x", 0, 1) if v.ndim == 2 else v.dimshuffle(0, "x", 1, 2)  # type: ignore[attr-defined]
