"""Names at Theano's import paths: ``from theano.compile.ops import as_op`` and its like."""
# ruff: noqa: F401  (re-exports)
import importlib
from typing import Any

from symbolic.compile import builders, ops
from symbolic.compile.builders import OpFromGraph
from symbolic.compile.ops import as_op
from symbolic.shared import SharedVariable, shared

#: Modules of Theano's ``theano.compile``, and ours with their names.
_MODULES = {"mode": "symbolic.mode", "nanguardmode": "symbolic.monitor", "debugmode": "symbolic.monitor",
            "monitormode": "symbolic.monitor", "sharedvalue": "symbolic.shared", "io": "symbolic.function",
            "function_module": "symbolic.compiled", "profiling": "symbolic.profiling"}
#: Where other names are looked for.
_SOURCES = ("symbolic.function", "symbolic.monitor", "symbolic.mode", "symbolic.theano.legacy", "symbolic.profiling")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if not name.startswith("_"):
        for source in _SOURCES:
            found = importlib.import_module(source)
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"symbolic.compile has no name {name!r}")
