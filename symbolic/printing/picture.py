"""Graphs as pictures: DOT text, what graphviz draws of it, and a networkx graph for everything else."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

import networkx as nx  # type: ignore[import-untyped]

from symbolic.compiled import Function, compiled_graph
from symbolic.errors import NotSupported
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Constant, Variable, toposort
from symbolic.shared import SharedVariable
from symbolic.tree import inner_graphs

#: Fill colours of graphviz, by what a node is (Theano's).
COLOURS = {"input": "green", "constant": "lightgrey", "shared": "cyan", "output": "dodgerblue"}
#: Colours of ops whose names begin so (Theano's `default_colorCodes`, with our names).
OP_COLOURS = {"scan": "yellow", "ifelse": "darkorange", "dot": "deepskyblue", "gemm": "deepskyblue", "random": "pink"}


def as_networkx(obj: Any) -> nx.MultiDiGraph:
    """Return a graph as a ``networkx.MultiDiGraph`` with variables and applications as nodes.

    Parameters
    ----------
    obj : Variable, Function, FunctionGraph, or list or tuple of Variable

    Returns
    -------
    networkx.MultiDiGraph
        Nodes are the Variable and Apply objects, with the attributes ``kind`` ('input', 'constant', 'shared', 'variable',
        'apply'), ``label``, and of variables ``dtype`` and ``shape``; edges lead from operands to applications (``index`` is
        the operand's position) and on to results.

    Examples
    --------
    >>> import networkx, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> g = as_networkx(T.exp(x) + x)
    >>> len(g), networkx.is_directed_acyclic_graph(g), g.nodes[x]["kind"]
    (5, True, 'input')
    """
    made = nx.MultiDiGraph()
    outputs, _ = outputs_of(obj)
    for v in outputs:
        made.add_node(v, **_facts(v))
    for n in toposort(outputs):
        made.add_node(n, kind="apply", label=str(n.op), op=n.op, loc=n.loc)
        for k, v in enumerate(n.inputs):
            if v not in made:
                made.add_node(v, **_facts(v))
            made.add_edge(v, n, index=k)
        for k, v in enumerate(n.outputs):
            made.add_node(v, **_facts(v))
            made.add_edge(n, v, index=k)
    return made


def _facts(v: Variable) -> dict[str, Any]:
    return {"kind": kind(v), "label": str(v), "dtype": v.dtype, "shape": v.type.shape}


def kind(v: Variable) -> str:
    """Return what a variable is: 'input', 'constant', 'shared' or 'variable'."""
    if isinstance(v, Constant):
        return "constant"
    if isinstance(v, SharedVariable):
        return "shared"
    return "input" if v.owner is None else "variable"


def outputs_of(obj: Any) -> tuple[list[Variable], str]:
    if isinstance(obj, Function):
        return list(compiled_graph(obj).outputs), obj.name
    if isinstance(obj, FunctionGraph) or hasattr(obj, "outputs") and hasattr(obj, "toposort"):
        return list(obj.outputs), "graph"
    if isinstance(obj, Apply):
        return list(obj.outputs), str(obj.op)
    given = list(obj) if isinstance(obj, (list, tuple)) else [obj]
    for v in given:
        if not isinstance(v, Variable):
            raise TypeError(f"needs a function, a graph or variables, got {type(v).__name__} {v!r}")
    return given, "graph"


def dot_text(obj: Any, compact: bool = True, with_ids: bool = False, high_contrast: bool = True,
             cond_highlight: Any = None, colorCodes: dict[str, str] | None = None, max_label_size: int = 70,
             scan_graphs: bool = False, var_with_name_simple: bool = False) -> str:
    """Return a graph in graphviz's language; arguments are those of :func:`pydotprint`.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> print(dot_text(T.exp(T.dvector("x"))).splitlines()[0])
    digraph "graph" {
    """
    outputs, title = outputs_of(obj)
    lines = [f'digraph "{_quoted(title)}" {{', "  rankdir=TB;"]
    writer = _Dot(lines, compact, with_ids, high_contrast, {**OP_COLOURS, **(colorCodes or {})}, max_label_size,
                  var_with_name_simple, _highlighted(outputs, cond_highlight))
    writer.write(outputs)
    if scan_graphs:
        writer.write_inner(outputs)
    return "\n".join([*lines, "}"])


def _highlighted(outputs: Iterable[Variable], cond: Any) -> set[Apply]:
    """Return what only the chosen arms of the conditionals `cond` need."""
    found: set[Apply] = set()
    for condition in [] if cond is None else cond if isinstance(cond, (list, tuple)) else [cond]:
        node = condition.owner if isinstance(condition, Variable) else condition
        if node is not None and node.op.arms is not None:
            found.update(toposort(node.inputs[1:]))
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


class _Dot:
    def __init__(self, lines: list[str], compact: bool, with_ids: bool, high_contrast: bool, colours: dict[str, str],
                 longest: int, simple: bool, highlighted: set[Apply]) -> None:
        self.lines, self.compact, self.with_ids, self.high_contrast = lines, compact, with_ids, high_contrast
        self.colours, self.longest, self.simple, self.highlighted = colours, longest, simple, highlighted
        self.names: dict[Any, str] = {}

    def _label(self, text: str, thing: Any) -> str:
        text = text if len(text) <= self.longest else text[:self.longest - 3] + "..."
        return _quoted(text + (f" id={self.names[thing]}" if self.with_ids else ""))

    def _node(self, thing: Any, text: str, shape: str, colour: str | None) -> str:
        if thing not in self.names:
            self.names[thing] = f"n{len(self.names)}"
            fill = ("" if colour is None else f', style=filled, fillcolor="{colour}"' if self.high_contrast
                    else f', color="{colour}"')
            self.lines.append(f'  {self.names[thing]} [label="{self._label(text, thing)}", shape={shape}{fill}];')
        return self.names[thing]

    def _variable(self, v: Variable, result: bool = False) -> str:
        colour = COLOURS["output"] if result else COLOURS.get(kind(v))
        text = str(v) if self.simple and v.name is not None else f"{v.name or v} {v.type}" if v.owner is None else (
            f"{v.name or ''} {v.type}".strip())
        return self._node(v, text, "box", colour)

    def _apply(self, n: Apply) -> str:
        colour = next((c for name, c in self.colours.items() if str(n.op).startswith(name)), None)
        return self._node(n, str(n.op), "ellipse", "orange" if n in self.highlighted else colour)

    def write(self, outputs: list[Variable]) -> None:
        results = set(outputs)
        for n in toposort(outputs):
            here = self._apply(n)
            for k, v in enumerate(n.inputs):
                edge = _quoted(f"{k} {v.type}" if len(n.inputs) > 1 else str(v.type))
                if v.owner is None:
                    start = self._variable(v)
                else:
                    start = self._variable(v) if not self.compact or v in results else self._apply(v.owner)
                self.lines.append(f'  {start} -> {here} [label="{edge}"];')
            for v in n.outputs:
                if v in results or not self.compact:
                    self.lines.append(f"  {here} -> {self._variable(v, v in results)};")
        for v in outputs:
            if v.owner is None:
                self._variable(v)

    def write_inner(self, outputs: list[Variable]) -> None:
        """Draw the graphs inside of loops and branches as clusters of their own."""
        waiting, shown = list(toposort(outputs)), set()
        while waiting:
            n = waiting.pop(0)
            for title, _, inner in inner_graphs(n.op):
                if (n.op, title) in shown:
                    continue
                shown.add((n.op, title))
                self.lines.append(f'  subgraph "cluster_{len(shown)}" {{ label="{_quoted(str(n.op))} {title}";')
                self.write(list(inner))
                self.lines.append("  }")
                waiting += toposort(inner)


def pydotprint(fct: Any, outfile: str | os.PathLike[str] | None = None, compact: bool = True, format: str = "png",
               with_ids: bool = False, high_contrast: bool = True, cond_highlight: Any = None,
               colorCodes: dict[str, str] | None = None, max_label_size: int = 70, scan_graphs: bool = False,
               var_with_name_simple: bool = False, print_output_file: bool = True, return_image: bool = False) -> Any:
    """Draw a graph with graphviz.

    Parameters
    ----------
    fct : Function, Variable, FunctionGraph, or list of Variable
    outfile : path, optional
        ``symbolic.pydotprint.<format>`` in the working directory by default. A name that ends in ``.dot`` gets graphviz's
        text, for which graphviz needn't be installed; so does ``format='dot'``.
    compact : bool
        Leave out the variables between applications.
    format : str
        What graphviz calls it: 'png', 'svg', 'pdf', ...
    with_ids : bool
        Number nodes in their labels.
    high_contrast : bool
        Fill nodes with their colour, rather than draw their borders in it.
    cond_highlight : Apply or Variable, or list of them
        Conditionals; what only their arms need is highlighted.
    colorCodes : dict from str to str
        Colours of ops by the beginning of their names.
    max_label_size : int
    scan_graphs : bool
        Draw the graphs of loops and branches as well.
    var_with_name_simple : bool
        Show only the name of a variable that has one.
    print_output_file : bool
        Say where the picture is.
    return_image : bool
        Return the picture as bytes instead of writing a file.

    Raises
    ------
    NotSupported
        If graphviz isn't installed.
    TypeError
        If `fct` isn't a graph.
    """
    text = dot_text(fct, compact, with_ids, high_contrast, cond_highlight, colorCodes, max_label_size, scan_graphs,
                    var_with_name_simple)
    path = os.fspath(outfile) if outfile is not None else f"symbolic.pydotprint.{format}"
    if path.endswith(".dot"):
        format = "dot"
    image = text.encode() if format == "dot" else _drawn(text, format)
    if return_image:
        return image
    with open(path, "wb") as file:
        file.write(image)
    if print_output_file:
        print(f"The output file is available at {path}")
    return None


def _drawn(text: str, format: str) -> bytes:
    dot = shutil.which("dot")
    if dot is None:
        raise NotSupported("pydotprint: graphviz isn't installed (there is no command `dot`)\nhint: install graphviz (Debian, "
                           "Ubuntu: sudo apt install graphviz), or write graphviz's text with outfile='graph.dot'")
    done = subprocess.run([dot, f"-T{format}"], input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise NotSupported(f"pydotprint: graphviz failed: {done.stderr.decode(errors='replace').strip()}\n"
                           "hint: format= must be one that graphviz knows, such as 'png', 'svg' or 'pdf'")
    return done.stdout
