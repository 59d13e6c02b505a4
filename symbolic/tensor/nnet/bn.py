"""Normalisation: ``T.nnet.bn.batch_normalization_train`` and its kin."""
from symbolic.ops.normalization import (
    batch_normalization,
    batch_normalization_test,
    batch_normalization_train,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_normalization,
)

__all__ = ["batch_normalization", "batch_normalization_test", "batch_normalization_train", "group_norm", "instance_norm",
           "layer_norm", "local_response_normalization"]
