"""A graph as one HTML file that any browser shows: to zoom, search, and fold; it needs no network and no other file."""
from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from symbolic.codegen.fuse import Fusion, Group
from symbolic.codegen.lower import Lowering
from symbolic.compiled import Function, compiled_graph
from symbolic.graph import Apply, Variable, toposort
from symbolic.infer import infer
from symbolic.printing.picture import kind, outputs_of
from symbolic.source import SourceLoc
from symbolic.tree import inner_graphs

#: applications from which a graph is folded by the user's lines when it is opened
FOLDED = 150
_PAGE = Path(__file__).parent / "templates" / "graph.html"
#: what else may not stand in a script: it would end it, or begin a comment there
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def htmlgraph(fct: Any, outfile: str | os.PathLike[str] | None = None, title: str | None = None) -> str:
    """Draw a graph as a page for browsers.

    Parameters
    ----------
    fct : Function, Variable, FunctionGraph, or list of Variable
        Of a compiled function, the graph as it was rewritten is shown, with the step of the program in which each application is
        computed; and if it was made with ``profile=True``, how long that took.
    outfile : path, optional
        Where to write the page; by default it isn't written.
    title : str, optional
        By default the function's name.

    Returns
    -------
    str
        The page.

    Raises
    ------
    TypeError
        If `fct` isn't a graph.

    Notes
    -----
    Drag to move, turn the wheel to zoom, click on a node for its type, the line that made it and its neighbours. Nodes are
    folded by the user's lines or by steps of the program; loops and branches are opened by a double click. Keys: ``/``
    searches, ``f`` fits all into the window, ``Esc`` unselects.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> page = htmlgraph(T.exp(x) + 1)
    >>> page.startswith("<!DOCTYPE html>"), "http" in page
    (True, False)
    """
    outputs, name = outputs_of(fct)
    made = _Payload()
    made.add(outputs, None)
    made.add_results(outputs, fct)
    if isinstance(fct, Function):
        made.add_steps(fct)
    heading = title or name
    data = {"title": heading, "nodes": made.nodes, "edges": made.edges, "steps": made.steps,
            "fold": sum(n["kind"] == "apply" for n in made.nodes) >= FOLDED}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character, escaped in _ESCAPES.items():
        text = text.replace(character, escaped)
    page = _PAGE.read_text(encoding="utf-8").replace("{{ title }}", html.escape(heading)).replace("{{ data }}", text)
    if outfile is not None:
        Path(outfile).write_text(page, encoding="utf-8")
    return page


def d3viz(fct: Any, outfile: str | os.PathLike[str], copy_deps: bool = True) -> None:
    """Write a graph as a page for browsers, as Theano's ``theano.d3viz.d3viz``: see :func:`htmlgraph`.

    Parameters
    ----------
    fct : Function, Variable, FunctionGraph, or list of Variable
    outfile : path
    copy_deps : bool
        Without effect: the page needs no other files.
    """
    htmlgraph(fct, outfile)


def _short(op: str) -> str:
    """Return an op's name without what says nothing: ``sum{fn='sum', axes=(0,), dtype=None}`` is ``sum{axes=(0,)}``."""
    return re.sub(r"fn='\w+', |, \w+=None|order=", "", op)


class _Payload:
    """Nodes and edges as plain data; nodes are told by number, operands before what reads them."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[tuple[int, int, int]] = []
        self.steps: list[dict[str, Any]] = []
        self.number: dict[tuple[Any, int | None], int] = {}

    def add(self, outputs: Iterable[Variable], inside: int | None) -> list[int]:
        """Add the graph of `outputs`, which belongs to node `inside`; return the numbers of what makes them."""
        results = list(outputs)
        waiting: list[tuple[int, Apply]] = []
        for node in toposort(results):
            operands = [self._made(v, inside) for v in node.inputs]
            here = self._node(node, inside, "apply", _short(str(node.op)), node.outputs[0], node.loc)
            self.edges += [(made, here, place) for place, made in enumerate(operands)]
            if inner_graphs(node.op):
                waiting.append((here, node))
        shown = [self._made(v, inside) for v in results]
        for here, node in waiting:
            for part, _, inner in inner_graphs(node.op):
                for made in self.add(inner, here):
                    self.nodes[made].setdefault("part", part)
        return shown

    def add_results(self, outputs: Iterable[Variable], what: Any) -> None:
        """Add what is returned, and the new values of shared variables."""
        updates = what.spec.updates if isinstance(what, Function) else []
        results = list(outputs)
        names = [v.name or f"output {k}" for k, v in enumerate(results[:len(results) - len(updates)])]
        names += [f"new {shared.name or shared}" for shared, _ in updates]
        for k, (v, name) in enumerate(zip(results, names, strict=True)):
            end = self._new({"kind": "output", "label": name, "type": str(v.type), "inside": None}, v.loc)
            self.edges.append((self._made(v, None), end, k))

    def _made(self, v: Variable, inside: int | None) -> int:
        """Return the number of what gives a variable: an application, or itself."""
        if v.owner is not None and (v.owner, inside) in self.number:
            return self.number[v.owner, inside]
        return self._node(v, inside, kind(v) if v.owner is None else "input", v.name or str(v), v, v.loc)

    def _node(self, thing: Apply | Variable, inside: int | None, what: str, label: str, v: Variable, loc: SourceLoc | None
              ) -> int:
        key = (thing, inside)
        if key not in self.number:
            facts: dict[str, Any] = {"kind": what, "label": label if len(label) <= 60 else label[:57] + "...",
                                     "type": str(v.type), "inside": inside}
            if what == "apply" and v.name:
                facts["name"] = v.name
            self.number[key] = self._new(facts, loc)
        return self.number[key]

    def _new(self, facts: dict[str, Any], loc: SourceLoc | None) -> int:
        if loc is not None:
            facts["line"] = f"{os.path.basename(loc.file)}:{loc.line}"
            facts["file"], facts["source"], facts["within"] = loc.file, loc.text.strip(), loc.function
            if loc.of is not None:
                facts["of"] = f"{os.path.basename(loc.of.file)}:{loc.of.line}"
                facts["of_source"] = loc.of.text.strip()
        self.nodes.append(facts)
        return len(self.nodes) - 1

    def add_steps(self, f: Function) -> None:
        """Tell of each application the step that computes it, as far as the function is native code for this processor."""
        if not f.source or f.spec.device != "cpu":
            return
        graph = compiled_graph(f)
        extents = infer(graph)
        fusion = Fusion(Lowering(graph, extents), extents.guards, products=True, parts=True)
        rows = list(f.profile().rows) if f.spec.profile else []
        for step in fusion.steps:
            made = [fusion.defs[k] for k in step.items] if isinstance(step, Group) else [step]
            what = "kernel" if isinstance(step, Group) else made[0].kind  # type: ignore[attr-defined]
            facts: dict[str, Any] = {"kind": what}
            if rows and what != "view":
                row = rows.pop(0)
                facts |= {"ms": 1e3 * row.seconds, "calls": row.calls, "kernel": row.kernel}
            for d in made:
                for node in (d.node, None if d.folded is None else d.folded.node):  # type: ignore[attr-defined]
                    if node is not None and (node, None) in self.number:
                        self.nodes[self.number[node, None]]["step"] = len(self.steps)
            self.steps.append(facts)
