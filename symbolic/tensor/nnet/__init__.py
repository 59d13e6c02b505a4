"""Neural-network functions: ``T.nnet.softmax`` and its kin."""
from symbolic.ops.activation import elu, hard_sigmoid, relu, selu, sigmoid, softplus, softsign, tanh, ultra_fast_sigmoid
from symbolic.ops.attention import attention_weights, scaled_dot_product
from symbolic.ops.blocksparse import confusion_matrix, h_softmax, sparse_block_dot
from symbolic.ops.nnet import (
    binary_crossentropy,
    categorical_crossentropy,
    crossentropy_categorical_1hot,
    crossentropy_softmax_1hot,
    crossentropy_softmax_1hot_with_bias,
    log_softmax,
    logsoftmax,
    sigmoid_binary_crossentropy,
    softmax,
    softmax_graph,
)
from symbolic.ops.normalization import (
    batch_normalization,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_normalization,
)
from symbolic.ops.softmax_bias import (
    crossentropy_softmax_argmax_1hot_with_bias,
    crossentropy_softmax_max_and_argmax_1hot,
    crossentropy_softmax_max_and_argmax_1hot_with_bias,
    softmax_with_bias,
)
from symbolic.tensor.nnet import abstract_conv, blocksparse, bn, conv, ctc, neighbours, spatial
from symbolic.tensor.nnet.abstract_conv import (
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
    AbstractConv3d,
    AbstractConv3d_gradInputs,
    AbstractConv3d_gradWeights,
    bilinear_upsampling,
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
    separable_conv2d,
    separable_conv3d,
)

__all__ = [
    "attention_weights", "blocksparse", "confusion_matrix", "crossentropy_softmax_argmax_1hot_with_bias",
    "crossentropy_softmax_max_and_argmax_1hot", "crossentropy_softmax_max_and_argmax_1hot_with_bias", "ctc", "h_softmax",
    "neighbours", "scaled_dot_product", "softmax_with_bias", "sparse_block_dot", "spatial",
    "AbstractConv2d", "AbstractConv2d_gradInputs", "AbstractConv2d_gradWeights", "AbstractConv3d", "AbstractConv3d_gradInputs",
    "AbstractConv3d_gradWeights", "abstract_conv", "bilinear_upsampling", "causal_conv1d", "conv", "conv1d", "conv2d",
    "conv2d_grad_wrt_inputs", "conv2d_grad_wrt_weights", "conv2d_transpose", "conv3d", "conv3d_grad_wrt_inputs",
    "conv3d_grad_wrt_weights", "get_conv_output_shape", "separable_conv2d", "separable_conv3d",
    "batch_normalization", "bn", "group_norm", "instance_norm", "layer_norm", "local_response_normalization",
    "binary_crossentropy", "categorical_crossentropy", "crossentropy_categorical_1hot", "crossentropy_softmax_1hot",
    "crossentropy_softmax_1hot_with_bias", "elu", "hard_sigmoid", "log_softmax", "logsoftmax", "relu", "selu",
    "sigmoid", "sigmoid_binary_crossentropy", "softmax", "softmax_graph", "softplus", "softsign", "tanh",
    "ultra_fast_sigmoid",
]
