"""Ops made from graphs, at Theano's import path."""
# ruff: noqa: F401  (re-exports)
from symbolic.ops.from_graph import OpFromGraph
