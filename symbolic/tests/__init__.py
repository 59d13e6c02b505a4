"""Theano's ``theano.tests``: what programs and their tests import from there."""
# ruff: noqa: F401  (re-exports)
from symbolic.tests import breakpoint, unittest_tools  # noqa: A004  (Theano's name)
