"""A symbolic graph compiler: expressions, their derivatives, and functions that compute them."""
from symbolic.config import config
from symbolic.gradient import grad
from symbolic.graph import Apply, Constant, Op, Variable, constant
from symbolic.types import TensorType

__all__ = ["Apply", "Constant", "Op", "TensorType", "Variable", "config", "constant", "grad"]
