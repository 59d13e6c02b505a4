"""Theano's ``theano.gof.op``: the class to derive ops from, and test values."""
# ruff: noqa: F401  (re-exports)
from __future__ import annotations

from symbolic.graph import Apply, Op
from symbolic.ops.c_op import COp, OpenMPOp
from symbolic.testvalues import get_debug_values, get_test_value, missing_test_message

PureOp = Op
