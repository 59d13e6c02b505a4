"""Convolutions as users call them, with Theano's names and arguments."""
from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, describe
from symbolic.ops.conv import AbstractConv, AbstractConv_gradInputs, AbstractConv_gradWeights, BaseAbstractConv
from symbolic.ops.conv_geometry import border_of, output_extent, window_integers
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import as_extents, specify_shape
from symbolic.source import caller
from symbolic.types import promote


def _alike(a: Any, b: Any) -> tuple[Variable, Variable]:
    """Return operands in their common dtype."""
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    dtype = promote(a.dtype, b.dtype)
    return cast_to(a, dtype), cast_to(b, dtype)


def _op(kind: type, n: int, images: Any = None, filters: Any = None, **given: Any) -> Any:
    """Return the op of a kind over `n` axes, with the class that has a name of its own."""
    op = BaseAbstractConv.__new__(AbstractConv)
    BaseAbstractConv.__init__(op, n, **given)
    made = op.like(kind)
    made.imshp, made.kshp = shape_given(images, n + 2, "input_shape"), shape_given(filters, made.filter_ndim, "filter_shape")
    return made


def shape_given(given: Any, ndim: int, what: str) -> tuple | None:
    """Return a shape given by the user: integers, constants, scalar variables, and None for what isn't known."""
    if given is None:
        return None
    if isinstance(given, Variable):
        return tuple(as_extents(given, what, ndim))
    shape = tuple(given)
    if len(shape) != ndim:
        raise errors.RankError(errors.message("conv", f"{what} must have {ndim} entries, got {len(shape)}: {shape!r}", (),
                                              caller(), "None stands for an extent that isn't known"))
    return tuple(int(n.data) if isinstance(n, Constant) else n for n in shape)


def _last(shape: Any, ndim: int, n: int, what: str) -> tuple[tuple, list[Any]]:
    """Return a whole shape, and its last `n` extents, which must be given."""
    whole = shape_given(shape, ndim, what)
    if whole is None or any(e is None for e in whole[-n:]):
        raise errors.ShapeError(errors.message(
            "conv", f"the last {n} extents of {what} must be given, got {shape!r}: several shapes have the same windows", (),
            caller(), f"pass them as integers or as symbolic scalars, such as x.shape[{ndim - n}]"))
    return whole, list(whole[-n:])


def _leading(x: Variable, shape: Sequence[Any], axes: int) -> Variable:
    """Return `x`, of which the first `axes` extents are checked where given."""
    known = [*shape[:axes], *[None] * (x.ndim - axes)]
    return x if all(e is None for e in known) else specify_shape(x, known)


def conv2d(input: Any, filters: Any, input_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
           subsample: Any = (1, 1), filter_flip: bool = True, image_shape: Any = None, filter_dilation: Any = (1, 1),
           num_groups: int = 1, unshared: bool = False, **kwargs: Any) -> Variable:
    """Return the convolution of images with filters.

    Parameters
    ----------
    input : Variable, shape (batch, channels, rows, columns)
    filters : Variable, shape (filters, channels / num_groups, filter rows, filter columns)
        With `unshared`: (filters, output rows, output columns, channels / num_groups, filter rows, filter columns).
    input_shape, filter_shape : tuple of int, Variable or None, optional
        What is known of the shapes; checked, and the program made for them.
    border_mode : {'valid', 'full', 'half'}, int, (int, int) or ((int, int), (int, int))
        Zeros around images: none, all that windows which touch an image need, as many as keep its size with odd
        filters and steps of 1, or so many at both sides of each axis, or before and behind each axis.
    subsample : int or (int, int)
        Steps of the windows.
    filter_flip : bool
        True turns filters round (a convolution), False doesn't (a correlation).
    image_shape : tuple, optional
        Older name of `input_shape`.
    filter_dilation : int or (int, int)
        Distance of a filter's elements in the image.
    num_groups : int
        Channels and filters are in as many groups; a filter sees the channels of its own. As many groups as channels:
        depthwise.
    unshared : bool
        Each position has filters of its own (locally connected).

    Returns
    -------
    Variable, shape (batch, filters, output rows, output columns)
        Of the promoted dtype. float16 is multiplied and added up in float32.

    Raises
    ------
    ShapeError
        If channels, groups or extents don't fit; at run time where they are known only then.
    RankError
        If an operand has another number of dimensions.
    ParameterError
        If `border_mode`, `subsample`, `filter_dilation` or `num_groups` isn't valid.
    DTypeError
        If an operand holds bools.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, w = TensorType("float32", (None, 3, 32, 32))("x"), TensorType("float32", (16, 3, 5, 5))("w")
    >>> conv2d(x, w, border_mode="half", subsample=2).type
    TensorType(float32, (?, 16, 16, 16))
    """
    if kwargs:
        warnings.warn(f"conv2d: arguments {', '.join(kwargs)} have no effect", stacklevel=2)
    if image_shape is not None and input_shape is not None:
        raise errors.ParameterError("conv2d: image_shape is the older name of input_shape; pass only one of them")
    return _conv(2, input, filters, image_shape if input_shape is None else input_shape, filter_shape, border_mode=border_mode,
                 subsample=subsample, filter_flip=filter_flip, filter_dilation=filter_dilation, num_groups=num_groups,
                 unshared=unshared)


def _conv(n: int, input: Any, filters: Any, input_shape: Any, filter_shape: Any, **given: Any) -> Variable:
    return _op(AbstractConv, n, input_shape, filter_shape, **given)(*_alike(input, filters))


def conv1d(input: Any, filters: Any, input_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
           subsample: Any = 1, filter_flip: bool = True, filter_dilation: Any = 1, num_groups: int = 1,
           unshared: bool = False) -> Variable:
    """Return the convolution of signals (batch, channels, length) with filters (filters, channels, length); see :func:`conv2d`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, w = TensorType("float32", (None, 3, 100))("x"), TensorType("float32", (16, 3, 5))("w")
    >>> conv1d(x, w).type
    TensorType(float32, (?, 16, 96))
    """
    return _conv(1, input, filters, input_shape, filter_shape, border_mode=border_mode, subsample=subsample,
                 filter_flip=filter_flip, filter_dilation=filter_dilation, num_groups=num_groups, unshared=unshared)


def conv3d(input: Any, filters: Any, input_shape: Any = None, filter_shape: Any = None, border_mode: Any = "valid",
           subsample: Any = (1, 1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1, 1), num_groups: int = 1
           ) -> Variable:
    """Return the convolution of volumes (batch, channels, depth, rows, columns) with filters; see :func:`conv2d`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, w = TensorType("float32", (2, 3, 8, 8, 8))("x"), TensorType("float32", (4, 3, 3, 3, 3))("w")
    >>> conv3d(x, w, border_mode="full").type
    TensorType(float32, (2, 4, 10, 10, 10))
    """
    return _conv(3, input, filters, input_shape, filter_shape, border_mode=border_mode, subsample=subsample,
                 filter_flip=filter_flip, filter_dilation=filter_dilation, num_groups=num_groups)


# ----------------------------------------------------------------------------------------- gradients


def conv2d_grad_wrt_inputs(output_grad: Any, filters: Any, input_shape: Any, filter_shape: Any = None, border_mode: Any = "valid",
                           subsample: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1), num_groups: int = 1,
                           unshared: bool = False) -> Variable:
    """Return the gradient of :func:`conv2d` in its images.

    Parameters
    ----------
    output_grad : Variable, shape (batch, filters, output rows, output columns)
        Cotangent of the convolution's result.
    filters : Variable
        As for :func:`conv2d`.
    input_shape : tuple
        Of the images; the last two must be given, as integers or symbolic scalars, the first two may be None.
    filter_shape, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
        As for :func:`conv2d`.

    Returns
    -------
    Variable, shape `input_shape`

    Raises
    ------
    ShapeError
        If `input_shape` doesn't say rows and columns, or they don't lead to the extents of `output_grad`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> g, w = TensorType("float32", (8, 16, 28, 28))("g"), TensorType("float32", (16, 3, 5, 5))("w")
    >>> conv2d_grad_wrt_inputs(g, w, (8, 3, 32, 32)).type
    TensorType(float32, (8, 3, 32, 32))
    """
    return _grad_inputs(2, output_grad, filters, input_shape, filter_shape, border_mode=border_mode, subsample=subsample,
                        filter_flip=filter_flip, filter_dilation=filter_dilation, num_groups=num_groups, unshared=unshared)


def _grad_inputs(n: int, g: Any, filters: Any, input_shape: Any, filter_shape: Any, **given: Any) -> Variable:
    whole, last = _last(input_shape, n + 2, n, "input_shape")
    filters, g = _alike(filters, g)
    op = _op(AbstractConv_gradInputs, n, None, filter_shape, **given)
    return _leading(op(filters, g, last), whole, 2)


def conv2d_grad_wrt_weights(input: Any, output_grad: Any, filter_shape: Any, input_shape: Any = None, border_mode: Any = "valid",
                            subsample: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1), num_groups: int = 1,
                            unshared: bool = False) -> Variable:
    """Return the gradient of :func:`conv2d` in its filters.

    Parameters
    ----------
    input : Variable, shape (batch, channels, rows, columns)
    output_grad : Variable, shape (batch, filters, output rows, output columns)
        Cotangent of the convolution's result.
    filter_shape : tuple
        Of the filters; the last two must be given, as integers or symbolic scalars, the others may be None.
    input_shape, border_mode, subsample, filter_flip, filter_dilation, num_groups, unshared
        As for :func:`conv2d`.

    Returns
    -------
    Variable, shape `filter_shape`

    Raises
    ------
    ShapeError
        If `filter_shape` doesn't say rows and columns, or they don't lead to the extents of `output_grad`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, g = TensorType("float32", (8, 3, 32, 32))("x"), TensorType("float32", (8, 16, 28, 28))("g")
    >>> conv2d_grad_wrt_weights(x, g, (16, 3, 5, 5)).type
    TensorType(float32, (16, 3, 5, 5))
    """
    return _grad_weights(2, input, output_grad, filter_shape, input_shape, border_mode=border_mode, subsample=subsample,
                         filter_flip=filter_flip, filter_dilation=filter_dilation, num_groups=num_groups, unshared=unshared)


def _grad_weights(n: int, x: Any, g: Any, filter_shape: Any, input_shape: Any, **given: Any) -> Variable:
    ndim = 2 + n * (2 if given.get("unshared") else 1)
    whole, last = _last(filter_shape, ndim, n, "filter_shape")
    x, g = _alike(x, g)
    op = _op(AbstractConv_gradWeights, n, input_shape, None, **given)
    return _leading(op(x, g, last), whole, ndim - n)


def conv3d_grad_wrt_inputs(output_grad: Any, filters: Any, input_shape: Any, filter_shape: Any = None, border_mode: Any = "valid",
                           subsample: Any = (1, 1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1, 1),
                           num_groups: int = 1) -> Variable:
    """Return the gradient of :func:`conv3d` in its volumes; see :func:`conv2d_grad_wrt_inputs`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> g, w = TensorType("float32", (2, 4, 6, 6, 6))("g"), TensorType("float32", (4, 3, 3, 3, 3))("w")
    >>> conv3d_grad_wrt_inputs(g, w, (None, None, 8, 8, 8)).type
    TensorType(float32, (2, 3, 8, 8, 8))
    """
    return _grad_inputs(3, output_grad, filters, input_shape, filter_shape, border_mode=border_mode, subsample=subsample,
                        filter_flip=filter_flip, filter_dilation=filter_dilation, num_groups=num_groups)


def conv3d_grad_wrt_weights(input: Any, output_grad: Any, filter_shape: Any, input_shape: Any = None, border_mode: Any = "valid",
                            subsample: Any = (1, 1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1, 1),
                            num_groups: int = 1) -> Variable:
    """Return the gradient of :func:`conv3d` in its filters; see :func:`conv2d_grad_wrt_weights`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, g = TensorType("float32", (2, 3, 8, 8, 8))("x"), TensorType("float32", (2, 4, 6, 6, 6))("g")
    >>> conv3d_grad_wrt_weights(x, g, (4, 3, 3, 3, 3)).type
    TensorType(float32, (4, 3, 3, 3, 3))
    """
    return _grad_weights(3, input, output_grad, filter_shape, input_shape, border_mode=border_mode, subsample=subsample,
                         filter_flip=filter_flip, filter_dilation=filter_dilation, num_groups=num_groups)


def conv2d_transpose(input: Any, filters: Any, output_shape: Any, filter_shape: Any = None, border_mode: Any = "valid",
                     input_dilation: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1), num_groups: int = 1,
                     unshared: bool = False) -> Variable:
    """Return the transposed convolution ("deconvolution") of images: the gradient of a convolution in its images.

    Parameters
    ----------
    input : Variable, shape (batch, input channels, rows, columns)
    filters : Variable, shape (input channels, output channels / num_groups, filter rows, filter columns)
    output_shape : tuple
        Of the result; the last two must be given, as integers or symbolic scalars, the first two may be None.
    filter_shape : tuple, optional
        What is known of the shape of the filters.
    border_mode : {'valid', 'full', 'half'}, int or tuple
        Of the convolution that it is the transposed of: padding is cut off the result.
    input_dilation : int or (int, int)
        Distance of the input's elements in the result: the steps of that convolution.
    filter_flip, filter_dilation, num_groups, unshared
        As for :func:`conv2d`.

    Returns
    -------
    Variable, shape `output_shape`

    Raises
    ------
    ShapeError
        If `output_shape` doesn't say rows and columns, or a convolution of it doesn't have the input's extents.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, w = TensorType("float32", (8, 16, 7, 7))("x"), TensorType("float32", (16, 3, 4, 4))("w")
    >>> conv2d_transpose(x, w, (None, 3, 14, 14), border_mode=(1, 1), input_dilation=(2, 2)).type
    TensorType(float32, (8, 3, 14, 14))
    """
    return conv2d_grad_wrt_inputs(input, filters, output_shape, filter_shape, border_mode, input_dilation, filter_flip,
                                  filter_dilation, num_groups, unshared)


# ------------------------------------------------------------------------------ made of convolutions


def separable_conv2d(input: Any, depthwise_filters: Any, pointwise_filters: Any, num_channels: int, input_shape: Any = None,
                     depthwise_filter_shape: Any = None, pointwise_filter_shape: Any = None, border_mode: Any = "valid",
                     subsample: Any = (1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1)) -> Variable:
    """Return a convolution of each channel by itself, then of all channels with filters of one element.

    Parameters
    ----------
    input : Variable, shape (batch, num_channels, rows, columns)
    depthwise_filters : Variable, shape (depth, 1, filter rows, filter columns)
        `depth` is a multiple of `num_channels`.
    pointwise_filters : Variable, shape (filters, depth, 1, 1)
    num_channels : int
    input_shape, depthwise_filter_shape, pointwise_filter_shape : tuple, optional
        What is known of the shapes.
    border_mode, subsample, filter_flip, filter_dilation
        Of the first convolution, as for :func:`conv2d`.

    Returns
    -------
    Variable, shape (batch, filters, output rows, output columns)

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, d = TensorType("float32", (8, 3, 9, 9))("x"), TensorType("float32", (6, 1, 3, 3))("d")
    >>> separable_conv2d(x, d, TensorType("float32", (5, 6, 1, 1))("p"), 3).type
    TensorType(float32, (8, 5, 7, 7))
    """
    deep = conv2d(input, depthwise_filters, input_shape, depthwise_filter_shape, border_mode, subsample, filter_flip,
                  filter_dilation=filter_dilation, num_groups=num_channels)
    return conv2d(deep, pointwise_filters, None, pointwise_filter_shape)


def separable_conv3d(input: Any, depthwise_filters: Any, pointwise_filters: Any, num_channels: int, input_shape: Any = None,
                     depthwise_filter_shape: Any = None, pointwise_filter_shape: Any = None, border_mode: Any = "valid",
                     subsample: Any = (1, 1, 1), filter_flip: bool = True, filter_dilation: Any = (1, 1, 1)) -> Variable:
    """Return a convolution of each channel by itself, then of all channels with filters of one element; see
    :func:`separable_conv2d`.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, d = TensorType("float32", (8, 3, 9, 9, 9))("x"), TensorType("float32", (6, 1, 3, 3, 3))("d")
    >>> separable_conv3d(x, d, TensorType("float32", (5, 6, 1, 1, 1))("p"), 3).type
    TensorType(float32, (8, 5, 7, 7, 7))
    """
    deep = conv3d(input, depthwise_filters, input_shape, depthwise_filter_shape, border_mode, subsample, filter_flip,
                  filter_dilation, num_channels)
    return conv3d(deep, pointwise_filters, None, pointwise_filter_shape)


def causal_conv1d(input: Any, filters: Any, filter_shape: Any, input_shape: Any = None, subsample: Any = 1,
                  filter_flip: bool = True, filter_dilation: Any = 1, num_groups: int = 1, unshared: bool = False) -> Variable:
    """Return a convolution in which each result depends on nothing that comes later: zeros stand before the signal alone.

    Parameters
    ----------
    input : Variable, shape (batch, channels, length)
    filters : Variable, shape (filters, channels / num_groups, filter length)
    filter_shape : tuple
        Of the filters; the last must be an integer.
    input_shape, subsample, filter_flip, filter_dilation, num_groups, unshared
        As for :func:`conv1d`.

    Returns
    -------
    Variable, shape (batch, filters, (length - 1) // subsample + 1)

    Raises
    ------
    ShapeError
        If `filter_shape` doesn't say the length.

    Examples
    --------
    >>> from symbolic.types import TensorType
    >>> x, w = TensorType("float32", (8, 3, 100))("x"), TensorType("float32", (16, 3, 2))("w")
    >>> causal_conv1d(x, w, (16, 3, 2), filter_dilation=4).type
    TensorType(float32, (8, 16, 100))
    """
    length = shape_given(filter_shape, 4 if unshared else 3, "filter_shape")
    if length is None or not isinstance(length[-1], int):
        raise errors.ShapeError(errors.message(
            "causal_conv1d", f"filter_shape must give the length of the filters, as an integer, got {filter_shape!r}",
            (describe(as_tensor_variable(filters)),), caller()))
    dilation, = window_integers(filter_dilation, 1, "filter_dilation", "causal_conv1d")
    return conv1d(input, filters, input_shape, filter_shape, (((length[-1] - 1) * dilation, 0),), subsample, filter_flip,
                  dilation, num_groups, unshared)


# ---------------------------------------------------------------------------------------- shapes


def get_conv_shape_1axis(image_shape: Any, kernel_shape: Any, border_mode: Any, subsample: int, dilation: int = 1) -> Any:
    """Return the extent of a convolution's result along one axis; None if one isn't known.

    Examples
    --------
    >>> get_conv_shape_1axis(32, 5, "half", 2), get_conv_shape_1axis(32, 3, (1, 0), 1, 2)
    (16, 29)
    """
    if image_shape is None or kernel_shape is None or subsample is None or border_mode is None:
        return None
    border = border_of((border_mode,) if isinstance(border_mode, (tuple, list)) else border_mode, 1, "get_conv_shape_1axis")
    return output_extent(image_shape, kernel_shape, border if isinstance(border, str) else border[0], subsample, dilation)


def get_conv_output_shape(image_shape: Sequence[Any], kernel_shape: Sequence[Any], border_mode: Any, subsample: Any,
                          filter_dilation: Any = None) -> tuple:
    """Return the shape of a convolution's result, over as many axes as the image has beyond two.

    Parameters
    ----------
    image_shape, kernel_shape : tuple of int, None or Variable
        As for :func:`conv2d`, :func:`conv3d`; None for what isn't known.
    border_mode, subsample, filter_dilation
        As for :func:`conv2d`.

    Returns
    -------
    tuple of int, None or Variable
        (batch, filters, ...).

    Examples
    --------
    >>> get_conv_output_shape((None, 3, 32, 32), (16, 3, 5, 5), "valid", (1, 1))
    (None, 16, 28, 28)
    """
    image, kernel = tuple(image_shape), tuple(kernel_shape)
    n = len(image) - 2
    border = border_of(border_mode, n, "get_conv_output_shape")
    step = window_integers(subsample, n, "subsample", "get_conv_output_shape")
    gaps = window_integers(1 if filter_dilation is None else filter_dilation, n, "filter_dilation", "get_conv_output_shape")
    return image[0], kernel[0], *(
        get_conv_shape_1axis(image[2 + a], kernel[len(kernel) - n + a], border if isinstance(border, str) else border[a], step[a],
                             gaps[a]) for a in range(n))
