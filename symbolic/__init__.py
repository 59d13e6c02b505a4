"""A symbolic graph compiler: expressions, their derivatives, and functions that compute them."""
from symbolic.config import config
from symbolic.function import Function, In, Out, function
from symbolic.gradient import grad
from symbolic.graph import Apply, Constant, Op, Variable, constant
from symbolic.ops import operators as _operators  # noqa: F401  (installs Python's operators on Variable)
from symbolic.shared import SharedVariable, shared
from symbolic.types import TensorType

__all__ = ["Apply", "Constant", "Function", "In", "Op", "Out", "SharedVariable", "TensorType", "Variable", "config",
           "constant", "function", "grad", "shared"]
