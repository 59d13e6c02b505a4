"""Theano's ``theano.tests.breakpoint``."""
from symbolic.ops.watch import PdbBreakpoint

__all__ = ["PdbBreakpoint"]
