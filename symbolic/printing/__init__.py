"""Looking at graphs and values: Theano's ``theano.printing``, and what came later."""
from __future__ import annotations

import importlib
from typing import Any

from symbolic.ops.watch import Print
from symbolic.printing.debug import debugprint
from symbolic.printing.infix import min_informative_str, pp, pprint

#: Names whose modules need networkx, found when they are asked for.
_LAZY = {"pydotprint": "picture", "dot_text": "picture", "as_networkx": "picture", "explain": "explained",
         "htmlgraph": "page", "d3viz": "page"}

__all__ = ["Print", "as_networkx", "d3viz", "debugprint", "dot_text", "explain", "htmlgraph", "min_informative_str", "pp",
           "pprint", "pydotprint"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"symbolic.printing has no name {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"symbolic.printing.{_LAZY[name]}"), name)
