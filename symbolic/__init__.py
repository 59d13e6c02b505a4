"""A symbolic graph compiler: expressions, their derivatives, and functions that compute them."""
from symbolic import compile, gradient, random  # noqa: A004, F401  (Theano's name)
from symbolic.config import config
from symbolic.forward import Rop
from symbolic.function import Function, In, Out, function
from symbolic.graph import Apply, Constant, Op, Variable, constant
from symbolic.mode import Mode
from symbolic.ops import operators as _operators  # noqa: F401  (installs Python's operators on Variable)
from symbolic.ops.checkpoint import checkpoint
from symbolic.ops.custom import custom_gradient
from symbolic.ops.from_graph import OpFromGraph, op_from_graph
from symbolic.ops.ifelse import ifelse
from symbolic.ops.jacobian import hessian, jacobian
from symbolic.ops.opaque import as_op
from symbolic.ops.scan_api import scan, until
from symbolic.ops.scan_views import foldl, foldr, loop, map, reduce, scan_checkpoints
from symbolic.reverse import Lop, grad, subgraph_grad
from symbolic.saving import load, save
from symbolic.shared import SharedVariable, shared
from symbolic.types import TensorType

__all__ = ["Apply", "Constant", "Function", "In", "Lop", "Mode", "Op", "OpFromGraph", "Out", "Rop", "SharedVariable",
           "TensorType", "Variable", "as_op", "checkpoint", "config", "constant", "custom_gradient", "foldl", "foldr",
           "function", "grad", "gradient", "hessian", "ifelse", "jacobian", "load", "loop", "map", "op_from_graph", "random",
           "reduce", "save", "scan", "scan_checkpoints", "shared", "subgraph_grad", "until"]
