"""Theano's ``theano.tensor.var``: there is one class of variables, and one of constants."""
# ruff: noqa: F401  (re-exports)
from symbolic.graph import Constant as TensorConstant
from symbolic.graph import Variable as TensorVariable
from symbolic.shared import SharedVariable as TensorSharedVariable
