"""Theano's ``theano.gof.null_type``: the type of gradients that aren't defined."""
# ruff: noqa: F401  (re-exports)
from __future__ import annotations

from symbolic.nullgrad import NullType

null_type = NullType()
