"""Theano's ``theano.scan_module`` and its parts."""
# ruff: noqa: F401  (re-exports)
from __future__ import annotations

from symbolic.gof.graph import clone_with as clone
from symbolic.gof.graph import equal_computations
from symbolic.ops.scan_api import scan, until
from symbolic.ops.scan_views import foldl, foldr, map, reduce, scan_checkpoints  # noqa: A004  (Theano's names)
from symbolic.shared import OrderedUpdates


class scan_utils:  # noqa: N801  (a module in Theano)
    """Theano's ``theano.scan_module.scan_utils``."""

    clone = staticmethod(clone)
    equal_computations = staticmethod(equal_computations)
