"""Theano's place for what was new there; programs import `rng_mrg` from it, and ask `cuda` whether there is a GPU."""
import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("cuda", "gpuarray"):
        return importlib.import_module("symbolic.theano.gpu")
    if name == "rng_mrg":
        return importlib.import_module("symbolic.sandbox.rng_mrg")
    raise AttributeError(f"symbolic.sandbox has no name {name!r}")
