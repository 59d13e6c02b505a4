"""Names at Theano's import paths: ``from theano.compile.ops import as_op`` and its like."""
# ruff: noqa: F401  (re-exports)
from symbolic.compile import builders, ops
from symbolic.compile.builders import OpFromGraph
from symbolic.compile.ops import as_op
from symbolic.shared import SharedVariable
