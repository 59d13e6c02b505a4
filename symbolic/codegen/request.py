"""The first question to the cache: was this graph, as its user wrote it, compiled before?

Asked before anything is rewritten. What is found names the function in the cache (see `native`) and says where its constants
are in the user's graph. The nodes at which a call may fail are nodes of the rewritten graph: it is made when one of them is
asked for, which is when a call has failed.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from symbolic.codegen.cache import Cache
from symbolic.codegen.compiler import Compiler
from symbolic.codegen.manifest import Loaded, Unstorable, pack_constants, unpack_without_graph
from symbolic.codegen.native import code_version, entry, link
from symbolic.config import config
from symbolic.errors import CacheError
from symbolic.fgraph import Facts, FunctionGraph, signature
from symbolic.graph import Constant, Variable, toposort
from symbolic.template import LIBRARIES


@dataclass(frozen=True)
class Request:
    """What is to be compiled: the name of it in the cache, and the constants of the user's graph."""

    key: str
    constants: tuple[Constant, ...]


def request(leaves: Sequence[Variable], roots: Sequence[Variable], facts: Facts, updated: Sequence[int], rules: str,
            compiler: Compiler) -> Request | None:
    """Return a request for the graph of `roots` over `leaves`, as its user wrote it.

    Parameters
    ----------
    facts : set of (int, int)
        Extents that are known to be 1.
    updated : sequence of int
        The leaves, shared variables, whose new values the last roots are.
    rules : str
        Of the sets of rules by which it would be rewritten.

    Returns
    -------
    Request or None
        None where an op's name doesn't say all that it does, because a user wrote it.
    """
    nodes = toposort(roots, stop=leaves)
    if not all(node.op.stable for node in nodes):
        return None
    kinds = [type(v).__name__ for v in leaves]
    known = [signature(FunctionGraph(list(leaves), list(roots), nodes)), str(sorted(facts)), str(list(updated)), rules,
             str(kinds), compiler.identity(), code_version(), str(config.openmp_threshold), config.floatX, config.cast_policy,
             str(sorted(LIBRARIES))]
    constants = dict.fromkeys(v for n in nodes for v in n.inputs if isinstance(v, Constant))
    constants.update(dict.fromkeys(v for v in roots if isinstance(v, Constant)))
    return Request(sha256("\0".join(known).encode()).hexdigest()[:32], tuple(constants))


def recall(asked: Request, compiler: Compiler) -> tuple[Loaded, str] | None:
    """Return the program that the cache has for a request, and the signature of its rewritten graph; None if it has none."""
    if config.dump is not None:
        return None
    try:
        store = Cache()
    except CacheError:
        return None
    found = store.request(asked.key)
    manifest = None if found is None else store.function(found["function"])
    if found is None or manifest is None:
        return None
    entry(compiler)
    address = link(store, manifest["units"])
    if address is None:
        return None
    return unpack_without_graph(manifest, found["constants"], asked.constants, address), found["signature"]


def remember(asked: Request, loaded: Loaded, graph: FunctionGraph) -> None:
    """Store which program a request led to, where another process can use it without the rewritten graph."""
    manifest = loaded.manifest
    if loaded.python or "failures" not in manifest:
        return
    try:
        Cache().store_request({"key": asked.key, "function": manifest["key"], "signature": signature(graph),
                               "constants": pack_constants(loaded.constants, asked.constants)})
    except (CacheError, Unstorable):
        pass  # the next process rewrites again


