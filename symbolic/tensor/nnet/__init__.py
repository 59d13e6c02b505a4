"""Neural-network functions: ``T.nnet.softmax`` and its kin."""
from symbolic.ops.activation import elu, hard_sigmoid, relu, selu, sigmoid, softplus, softsign, tanh, ultra_fast_sigmoid
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
from symbolic.tensor.nnet import bn

__all__ = [
    "batch_normalization", "bn", "group_norm", "instance_norm", "layer_norm", "local_response_normalization",
    "binary_crossentropy", "categorical_crossentropy", "crossentropy_categorical_1hot", "crossentropy_softmax_1hot",
    "crossentropy_softmax_1hot_with_bias", "elu", "hard_sigmoid", "log_softmax", "logsoftmax", "relu", "selu",
    "sigmoid", "sigmoid_binary_crossentropy", "softmax", "softmax_graph", "softplus", "softsign", "tanh",
    "ultra_fast_sigmoid",
]
