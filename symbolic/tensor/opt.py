"""Theano's ``theano.tensor.opt``: `Assert`, and decorators that register rewrites."""
# ruff: noqa: F401  (re-exports)
from symbolic.gof.opt import (
    local_optimizer,
    register_canonicalize,
    register_specialize,
    register_specialize_device,
    register_stabilize,
    register_uncanonicalize,
    register_useless,
)
from symbolic.ops.watch import Assert, assert_op
