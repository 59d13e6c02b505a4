"""Theano's ``theano.tensor.elemwise``: classes of ops, for programs that look at graphs."""
# ruff: noqa: F401  (re-exports)
from symbolic.ops.elementwise import Elementwise as Elemwise
from symbolic.ops.reduce import Reduce as CAReduce
from symbolic.ops.shape import DimShuffle
