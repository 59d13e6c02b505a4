"""The user's namespace of derivatives; Theano's names, and what came later."""
# ruff: noqa: F401  (re-exports)
from __future__ import annotations

from symbolic.errors import DisconnectedInputError, NullTypeGradError
from symbolic.forward import Rop, hessian_vector_product, jacobian_vector_product
from symbolic.nullgrad import DisconnectedType, NullType, grad_not_implemented, grad_undefined
from symbolic.ops.grad_control import (
    consider_constant,
    disconnected_grad,
    grad_clip,
    grad_scale,
    undefined_grad,
    zero_grad,
)
from symbolic.ops.jacobian import hessian, jacobian
from symbolic.reverse import Lop, grad, subgraph_grad
from symbolic.testing import GradientError, numeric_grad, verify_grad
