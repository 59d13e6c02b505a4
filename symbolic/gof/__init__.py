"""Graphs as objects to walk, copy, compare and change: Theano's ``theano.gof``."""
from __future__ import annotations

from symbolic.gof import fg, graph, null_type, op, opt, toolbox, type, utils  # noqa: A004  (Theano's names)
from symbolic.gof.fg import FunctionGraph, MissingInputError
from symbolic.gof.graph import Apply, Constant, Variable, view_roots
from symbolic.gof.op import Op
from symbolic.gof.opt import OpSub, PatternSub, local_optimizer, optdb
from symbolic.gof.toolbox import Feature, History, NodeFinder, PrintListener, ReplaceValidate
from symbolic.gof.type import Generic, Type, generic
from symbolic.ops.c_op import COp, OpenMPOp
from symbolic.types import TensorType

__all__ = ["Apply", "COp", "Constant", "Feature", "FunctionGraph", "Generic", "History", "MissingInputError", "NodeFinder", "Op",
           "OpSub", "OpenMPOp", "PatternSub", "PrintListener", "ReplaceValidate", "TensorType", "Type", "Variable", "fg",
           "generic", "graph", "local_optimizer", "null_type", "op", "opt", "optdb", "toolbox", "type", "utils", "view_roots"]
