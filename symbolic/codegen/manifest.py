"""What a compiled function must remember besides its machine code, as JSON: for the next process, which then needs no
compiler and no rewriter.

Errors name the user's lines, which may have moved since; so a failure is stored as the position of its node in the
captured graph, and the text is made from the graph of today.
"""
from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.codegen.program import Program
from symbolic.codegen.python_step import PythonStep
from symbolic.codegen.timed import Timed
from symbolic.codegen.writer import Failure
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Constant
from symbolic.loop import nested_nodes

#: Larger constants that rewriting made aren't worth keeping as text.
LARGEST_CONSTANT = 1 << 20


class Unstorable(Exception):
    """A program that another process can't use."""


@dataclass
class Loaded:
    """A program in this process, ready to be called.

    Attributes
    ----------
    address : int
        Of ``symbolic_run``.
    inplace : tuple of bool
        For each update, whether the new value is written over the old one.
    python : tuple of PythonStep
        What the program calls Python for.
    places : tuple of (int or None), or None
        Where failures lie in the rewritten graph, for a program that was found without one: their nodes are None.
    timed : tuple of Timed
        The steps whose times are in the last constant, of a program that times them.
    """

    address: int
    constants: tuple[np.ndarray, ...]
    failures: list[Failure]
    inplace: tuple[bool, ...]
    manifest: dict[str, Any]
    python: tuple[PythonStep, ...] = ()
    places: tuple[int | None, ...] | None = None
    timed: tuple[Timed, ...] = ()


def pack(program: Program, graph: FunctionGraph) -> dict[str, Any]:
    """Return the part of a manifest that `unpack` reads.

    Raises
    ------
    Unstorable
        If the program holds what only this process has.
    """
    place = {node: k for k, node in enumerate(nested_nodes(graph))}
    table = {id(c.data): k for k, c in enumerate(_constants(graph))}
    return {"failures": [_pack_failure(f, place) for f in program.failures],
            "constants": [_pack_constant(c, table) for c in program.constants], "inplace": list(program.inplace),
            "python": [_place_of(n, place) for n in program.python]}


def unpack(manifest: dict[str, Any], graph: FunctionGraph, address: int) -> Loaded:
    """Return the program of a manifest over the captured graph that it was stored for."""
    known, nodes = _constants(graph), nested_nodes(graph)
    constants = tuple(_unpack_constant(c, known) for c in manifest["constants"])
    failures = [_failure(f, None if f["node"] is None else nodes[f["node"]]) for f in manifest["failures"]]
    python = tuple(PythonStep(nodes[k]) for k in manifest["python"])
    return Loaded(address, constants, failures, tuple(manifest["inplace"]), manifest, python)


def pack_constants(constants: Sequence[np.ndarray], known: Sequence[Constant]) -> list[Any]:
    """Return a program's constants: those that the user's graph has by position, where `known` lists them; else as text.

    Raises
    ------
    Unstorable
        If one is of neither kind and large.
    """
    table = {(c.data.dtype.str, c.data.shape, c.data.tobytes()): k for k, c in enumerate(known)}
    places = {id(c): table[key] for c in constants if (key := (c.dtype.str, c.shape, c.tobytes())) in table}
    return [_pack_constant(c, places) for c in constants]


def unpack_without_graph(manifest: dict[str, Any], constants: Sequence[Any], known: Sequence[Constant], address: int) -> Loaded:
    """Return the program of a manifest; its graph isn't there, so its failures have places instead of nodes."""
    return Loaded(address, tuple(_unpack_constant(c, known) for c in constants), [_failure(f) for f in manifest["failures"]],
                  tuple(manifest["inplace"]), manifest, (), tuple(f["node"] for f in manifest["failures"]))


def _failure(f: dict[str, Any], node: Apply | None = None) -> Failure:
    return Failure(f["message"], getattr(errors, f["error"]), node, f["details"], tuple(tuple(b) for b in f["broadcast"]),
                   f["input"])


def _constants(graph: FunctionGraph) -> list[Constant]:
    found: dict[Constant, None] = {}
    for node in graph.nodes:
        for v in node.inputs:
            if isinstance(v, Constant):
                found.setdefault(v)
    for v in graph.outputs:
        if isinstance(v, Constant):
            found.setdefault(v)
    return list(found)


def _place_of(node: Apply, place: dict[Any, int]) -> int:
    if node not in place:
        raise Unstorable(str(node))
    return place[node]


def _pack_failure(f: Failure, place: dict[Any, int]) -> dict[str, Any]:
    if f.node is not None and f.node not in place or getattr(errors, f.error.__name__, None) is not f.error:
        raise Unstorable(str(f.node))
    return {"message": f.message, "error": f.error.__name__, "node": None if f.node is None else place[f.node],
            "details": f.details, "broadcast": [list(b) for b in f.broadcast], "input": f.input}


def _pack_constant(data: np.ndarray, table: dict[int, int]) -> Any:
    if id(data) in table:
        return table[id(data)]
    if data.nbytes > LARGEST_CONSTANT:
        raise Unstorable(f"a constant of {data.nbytes} bytes")
    return [data.dtype.name, list(data.shape), base64.b64encode(data.tobytes()).decode()]


def _unpack_constant(stored: Any, known: Sequence[Constant]) -> np.ndarray:
    if isinstance(stored, int):
        return known[stored].data
    dtype, shape, text = stored
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape).copy()
