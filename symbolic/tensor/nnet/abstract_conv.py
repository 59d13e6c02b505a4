"""Convolutions, under the name of Theano's module."""
from symbolic.ops.conv import (
    AbstractConv,
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
    AbstractConv3d,
    AbstractConv3d_gradInputs,
    AbstractConv3d_gradWeights,
    AbstractConv_gradInputs,
    AbstractConv_gradWeights,
    BaseAbstractConv,
)
from symbolic.ops.conv_api import (
    causal_conv1d,
    conv1d,
    conv2d,
    conv2d_grad_wrt_inputs,
    conv2d_grad_wrt_weights,
    conv2d_transpose,
    conv3d,
    conv3d_grad_wrt_inputs,
    conv3d_grad_wrt_weights,
    get_conv_output_shape,
    get_conv_shape_1axis,
    separable_conv2d,
    separable_conv3d,
)
from symbolic.ops.conv_upsampling import bilinear_kernel_1D, bilinear_kernel_2D, bilinear_upsampling, frac_bilinear_upsampling

__all__ = [
    "AbstractConv", "AbstractConv2d", "AbstractConv2d_gradInputs", "AbstractConv2d_gradWeights", "AbstractConv3d",
    "AbstractConv3d_gradInputs", "AbstractConv3d_gradWeights", "AbstractConv_gradInputs", "AbstractConv_gradWeights",
    "BaseAbstractConv", "bilinear_kernel_1D", "bilinear_kernel_2D", "bilinear_upsampling", "causal_conv1d", "conv1d", "conv2d",
    "conv2d_grad_wrt_inputs", "conv2d_grad_wrt_weights", "conv2d_transpose", "conv3d", "conv3d_grad_wrt_inputs",
    "conv3d_grad_wrt_weights", "frac_bilinear_upsampling", "get_conv_output_shape", "get_conv_shape_1axis", "separable_conv2d",
    "separable_conv3d",
]
