"""Theano's ``theano.tensor.sharedvar``: there is one class of shared variables."""
# ruff: noqa: F401  (re-exports)
from symbolic.shared import SharedVariable, shared
from symbolic.shared import SharedVariable as ScalarSharedVariable
from symbolic.shared import SharedVariable as TensorSharedVariable
