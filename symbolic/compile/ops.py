"""Ops made from Python functions, at Theano's import path."""
# ruff: noqa: F401  (re-exports)
from symbolic.ops.opaque import FromFunctionOp, as_op
