"""`debugprint`: any graph, function or op's application as an indented tree."""
from __future__ import annotations

import sys
from typing import Any, TextIO

from symbolic.codegen.reference import evaluate
from symbolic.compiled import Function, compiled_graph
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Variable, toposort
from symbolic.shared import SharedVariable
from symbolic.tree import Tree


class _Root:
    """A variable to show, and what to say of it."""

    def __init__(self, variable: Variable, note: str = "", prefix: str = "") -> None:
        self.variable, self.note, self.prefix = variable, note, prefix


def debugprint(obj: Any, depth: int = -1, print_type: bool = False, file: str | TextIO | None = None, ids: str = "CHAR",
               stop_on_name: bool = False, done: dict[Any, Any] | None = None, print_storage: bool = False,
               print_clients: bool = False, used_ids: dict[Any, int] | None = None) -> Any:
    """Print a graph as a tree, each value once, with the graphs inside of loops, branches and ops made of graphs.

    Parameters
    ----------
    obj : Variable, Apply, Function, FunctionGraph, or list or tuple of these
        Of a function, what is computed after rewriting is shown, in the order of the numbers at the ends of lines; then
        its updates.
    depth : int
        How many levels are shown; -1 for all.
    print_type : bool
        Show dtype and shape of each value.
    file : file object, 'str' or None
        Where to print; None is standard output; 'str' returns the text.
    ids : {'CHAR', 'int', 'id', 'auto', ''}
        How values are marked, so that those shown before are recognised: by letters, by numbers, by Python's ``id``, not at
        all ('auto' is as 'int').
    stop_on_name : bool
        Don't show what computes a variable that has a name.
    done : dict, optional
        Nodes that were shown by an earlier call with the same dictionary aren't shown again.
    print_storage : bool
        Show values: those of shared variables and constants, and of test values.
    print_clients : bool
        Show what reads each value, where it is read more than once.
    used_ids : dict, optional
        Ids that were given by an earlier call with the same dictionary.

    Returns
    -------
    str or file object
        The text if `file` is 'str', else the file.

    Raises
    ------
    TypeError
        If there is no graph in `obj`.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, W = T.fvector("x"), T.fmatrix("W")
    >>> _ = debugprint(T.tanh(T.dot(x, W)), print_type=True)
    tanh [id A] <float32 (?,)> ''
     |dot [id B] <float32 (?,)> ''
       |x [id C] <float32 (?,)>
       |W [id D] <float32 (?, ?)>
    """
    roots: list[_Root] = []
    order: dict[Apply, int] = {}
    for item in obj if isinstance(obj, (list, tuple)) else [obj]:
        _collect(item, roots, order)
    variables = [r.variable for r in roots]
    nodes = toposort(variables) if print_clients or print_storage else []
    tree = Tree(depth, print_type, ids, stop_on_name, done, used_ids, order,
                _values(nodes, variables) if print_storage else None, _clients(nodes) if print_clients else None)
    for r in roots:
        tree.add(r.variable, r.prefix, r.note)
    tree.add_inner()
    text = "\n".join(tree.lines)
    if file == "str":
        return text
    out: Any = sys.stdout if file is None else file
    print(text, file=out)
    return out


def _collect(item: Any, roots: list[_Root], order: dict[Apply, int]) -> None:
    if isinstance(item, Variable):
        roots.append(_Root(item))
    elif isinstance(item, Apply):
        roots.extend(_Root(v) for v in item.outputs[:1])
    elif isinstance(item, Function):
        graph = compiled_graph(item)
        order.update({n: k for k, n in enumerate(graph.nodes, len(order))})
        count = len(item.spec.outputs)
        roots.extend(_Root(v) for v in graph.outputs[:count])
        roots.extend(_Root(v, f"   update of {s}") for v, (s, _) in zip(graph.outputs[count:], item.spec.updates, strict=True))
    elif isinstance(item, FunctionGraph) or hasattr(item, "outputs") and hasattr(item, "toposort"):
        nodes = item.nodes if isinstance(item, FunctionGraph) else item.toposort()
        order.update({n: k for k, n in enumerate(nodes, len(order))})
        roots.extend(_Root(v) for v in item.outputs)
    elif hasattr(item, "variable") and isinstance(item.variable, Variable):  # In, Out
        roots.append(_Root(item.variable))
    elif isinstance(item, (list, tuple)):
        for inner in item:
            _collect(inner, roots, order)
    else:
        raise TypeError(f"debugprint needs a variable, an Apply, a function or a list of them, got {type(item).__name__} "
                        f"{item!r}")


def _values(nodes: list[Apply], variables: list[Variable]) -> dict[Variable, Any]:
    """Return what is known of values without computing: of shared variables, constants, and test values."""
    found: dict[Variable, Any] = {}
    for v in [v for n in nodes for v in (*n.inputs, *n.outputs)] + variables:
        if isinstance(v, SharedVariable):
            found[v] = evaluate([v], {})[0]
        elif v._tag is not None and hasattr(v._tag, "test_value"):
            found[v] = v._tag.test_value
    return found


def _clients(nodes: list[Apply]) -> dict[Variable, list[str]]:
    found: dict[Variable, list[str]] = {}
    for n in nodes:
        for v in dict.fromkeys(n.inputs):
            found.setdefault(v, []).append(str(n.op))
    return {v: readers for v, readers in found.items() if len(readers) > 1}
