"""A symbolic graph compiler: expressions, their derivatives, and functions that compute them."""
import importlib as _importlib

import symbolic.ifelse  # noqa: F401  first: the module and the function share a name, and the function is to win
from symbolic import compile, gradient, monitor, random, testvalues  # noqa: A004, F401  (Theano's name)
from symbolic.config import config
from symbolic.forward import Rop
from symbolic.function import Function, In, Out, function
from symbolic.graph import Apply, Constant, Op, Variable, constant
from symbolic.mode import Mode
from symbolic.ops import operators as _operators  # noqa: F401  (installs Python's operators on Variable)
from symbolic.ops.checkpoint import checkpoint
from symbolic.ops.custom import custom_gradient
from symbolic.ops.from_graph import OpFromGraph, op_from_graph
from symbolic.ops.ifelse import ifelse
from symbolic.ops.jacobian import hessian, jacobian
from symbolic.ops.opaque import as_op
from symbolic.ops.scan_api import scan, until
from symbolic.ops.scan_views import foldl, foldr, loop, map, reduce, scan_checkpoints
from symbolic.profiling import profile
from symbolic.reverse import Lop, grad, subgraph_grad
from symbolic.saving import load, save
from symbolic.shared import SharedVariable, shared
from symbolic.types import TensorType

#: Names that take longer to import than most programs need them, and where they are.
_LATER = {"OrderedUpdates": "symbolic.shared", "Param": "symbolic.function", "Print": "symbolic.printing",
          "Type": "symbolic.gof.type", "_asarray": "symbolic.misc.safe_asarray", "change_flags": "symbolic.config",
          "clone": "symbolic.gof.graph:clone_with", "debugprint": "symbolic.printing", "dot": "symbolic.tensor",
          "explain": "symbolic.printing", "function_dump": "symbolic.theano.legacy", "generic": "symbolic.gof.type",
          "configparser": "symbolic.config:", "gpuarray": "symbolic.theano.gpu:", "scan_module": "symbolic.theano.loops:",
          "install_as_theano": "symbolic.theano", "pp": "symbolic.printing", "sparse_grad": "symbolic.sparse"}
#: Submodules that are imported when they are asked for.
_MODULES = ("gof", "misc", "printing", "sandbox", "sparse", "tensor", "testing", "tests", "theano", "typed_list")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return _importlib.import_module(f"symbolic.{name}")
    if name not in _LATER:
        raise AttributeError(f"module 'symbolic' has no attribute {name!r}")
    module, colon, other = _LATER[name].partition(":")
    found = _importlib.import_module(module)
    return found if colon and not other else getattr(found, other or name)


__all__ = ["Apply", "Constant", "Function", "In", "Lop", "Mode", "Op", "OpFromGraph", "Out", "Rop", "SharedVariable",
           "TensorType", "Variable", "as_op", "checkpoint", "config", "constant", "custom_gradient", "foldl", "foldr",
           "function", "grad", "gradient", "hessian", "ifelse", "jacobian", "load", "loop", "map", "op_from_graph", "profile",
           "random", "reduce", "save", "scan", "scan_checkpoints", "shared", "subgraph_grad", "until"]
