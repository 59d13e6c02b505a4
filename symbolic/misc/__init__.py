"""Theano's ``theano.misc``: what programs import from there."""
# ruff: noqa: F401  (re-exports)
from symbolic.misc import pkl_utils, safe_asarray, strutil
