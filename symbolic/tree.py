"""A graph as an indented tree of text: what `debugprint` shows, and what long error messages add."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from symbolic.config import config
from symbolic.graph import Apply, Constant, Op, Variable

#: Levels after which indentation starts again from the left, with the level in front: lines stay short however deep a graph is.
LEVELS = 50


def letters(n: int) -> str:
    """Return a number as letters: A, B, ..., Z, BA, BB, ... (Theano's ids).

    Examples
    --------
    >>> letters(0), letters(25), letters(26)
    ('A', 'Z', 'BA')
    """
    text = chr(65 + n % 26)
    while n >= 26:
        n //= 26
        text = chr(65 + n % 26) + text
    return text


#: How an id is shown, by what `ids` says.
IDS: dict[str, Callable[[int, Any], str]] = {
    "CHAR": lambda n, _: f" [id {letters(n)}]", "int": lambda n, _: f" [id {n}]",
    "id": lambda _, thing: f" [id {id(thing)}]", "auto": lambda n, thing: f" [id {getattr(thing, 'auto_name', n)}]",
    "": lambda n, _: "",
}


def inner_graphs(op: Op) -> list[tuple[str, Sequence[Variable], Sequence[Variable]]]:
    """Return the graphs that an op holds, each with a title, its inputs and its outputs."""
    inputs = getattr(op, "inputs", None)
    if not isinstance(inputs, (tuple, list)) or not all(isinstance(v, Variable) for v in inputs):
        return []
    if hasattr(op, "then") and hasattr(op, "other"):
        return [("then", inputs, op.then), ("else", inputs, op.other)]
    outputs = getattr(op, "outputs", None)
    return [("", inputs, outputs)] if isinstance(outputs, (tuple, list)) else []


class Tree:
    """Writes graphs as lines of text, each computed value once; without recursion.

    Parameters
    ----------
    depth : int
        How many levels are shown; -1 for all.
    print_type : bool
    ids : {'CHAR', 'int', 'id', 'auto', ''}
        How values that occur several times are marked.
    stop_on_name : bool
        Don't show what computes a variable that has a name.
    done : dict
        Nodes that were shown before, to which those shown now are added.
    used_ids : dict
        Ids given before, likewise.
    order : dict from Apply to int
        Positions in the order of computation, shown behind nodes.
    values : dict from Variable to object
        Values that are shown behind variables.
    clients : dict from Variable to list of Apply
        Readers that are shown behind variables.
    """

    def __init__(self, depth: int = -1, print_type: bool = False, ids: str = "CHAR", stop_on_name: bool = False,
                 done: dict[Any, Any] | None = None, used_ids: dict[Any, int] | None = None,
                 order: Mapping[Apply, int] | None = None, values: Mapping[Variable, Any] | None = None,
                 clients: Mapping[Variable, Sequence[Any]] | None = None) -> None:
        if ids not in IDS:
            raise ValueError(f"ids must be one of {', '.join(map(repr, IDS))}, got {ids!r}")
        self.depth, self.print_type, self.ids, self.stop_on_name = depth, print_type, ids, stop_on_name
        self.done = {} if done is None else done
        self.used_ids = {} if used_ids is None else used_ids
        self.order, self.values, self.clients = order or {}, values or {}, clients or {}
        self.lines: list[str] = []
        #: nodes that hold graphs of their own, in the order in which they were met
        self.holders: dict[Apply, None] = {}

    def _id(self, thing: Any) -> str:
        number = self.used_ids.setdefault(thing, len(self.used_ids))
        return IDS[self.ids](number, thing)

    def label(self, v: Variable) -> str:
        """Return the line of a variable, without indentation."""
        node = v.owner
        if node is None:
            text = str(v) + self._id(v)
            if isinstance(v, Constant) and v.name is None and v.data.size <= 4:
                text = f"{type(v.type).__name__.removesuffix('Type')}Constant{{{v}}}" + self._id(v)
        else:
            text = f"{node.op}" + (f".{v.index}" if len(node.outputs) > 1 else "") + self._id(node)
        if self.print_type:
            text += f" <{v.type}>"
        if node is not None:
            text += f" '{v.name or ''}'"
            if node in self.order:
                text += f"   {self.order[node]}"
        if v in self.values:
            text += f" {self.values[v]!r}"
        if v in self.clients:
            text += f" clients: {', '.join(str(c) for c in self.clients[v])}"
        return text

    def add(self, root: Variable, prefix: str = "", note: str = "", child: str | None = None) -> None:
        """Add the lines of a variable and of what computes it."""
        stack: list[tuple[Variable, str, str, int, str]] = [(root, prefix, prefix if child is None else child, 0, note)]
        while stack:
            v, first, below, level, more = stack.pop()
            node = v.owner
            seen = node is not None and node in self.done
            self.lines.append(f"{first}{self.label(v)}{more}" + (" ..." if seen and node and node.inputs else ""))
            if node is None or seen:
                continue
            if inner_graphs(node.op):
                self.holders.setdefault(node)
            if self.depth >= 0 and level + 1 >= self.depth or self.stop_on_name and v.name is not None:
                continue
            self.done[node] = True
            if (level + 1) % LEVELS == 0:
                below = f"({level + 1})"
            last = len(node.inputs) - 1
            entries = [(x, below + " |", below + ("  " if k == last else " |"), level + 1, "")
                       for k, x in enumerate(node.inputs)]
            stack.extend(reversed(entries))

    def add_inner(self) -> None:
        """Add the graphs inside of loops, branches and ops made of graphs, and inside of these."""
        waiting = list(self.holders)
        if not waiting:
            return
        self.lines += ["", "Inner graphs:"]
        shown: set[Op] = set()
        while waiting:
            node = waiting.pop(0)
            if node.op in shown:
                continue
            shown.add(node.op)
            self.holders = {}
            for title, inputs, outputs in inner_graphs(node.op):
                self.lines += ["", f"{node.op}{self._id(node)}" + (f", {title}" if title else "")]
                for inner, outer in zip(inputs, _operands(node, inputs), strict=True):
                    self.lines.append(f" *{inner.name or inner}{self._id(inner)}"
                                      + (f" <{inner.type}>" if self.print_type else "")
                                      + ("" if outer is None else f" -> {_short(outer)}{self._id(outer.owner or outer)}"))
                for v in outputs:
                    self.add(v, " >", child="  ")
            waiting += self.holders


def _operands(node: Apply, inputs: Sequence[Variable]) -> Iterable[Variable | None]:
    """Return the operand behind each inner input: the last ones, for a number of steps or a condition may come first."""
    missing = len(node.inputs) - len(inputs)
    return node.inputs[missing:] if missing >= 0 else [None] * len(inputs)


def _short(v: Variable) -> str:
    return v.name or str(v)


def tree_text(roots: Sequence[Variable], **options: Any) -> str:
    """Return graphs as text; options are those of :class:`Tree`.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> print(tree_text([T.exp(x) + x]))
    add [id A] ''
     |exp [id B] ''
     | |x [id C]
     |x [id C]
    """
    tree = Tree(**options)
    for v in roots:
        tree.add(v)
    tree.add_inner()
    return "\n".join(tree.lines)


def verbose() -> bool:
    """Whether errors are to be long."""
    return config.exception_verbosity == "high"


def node_text(node: Apply, values: Mapping[Variable, Any], levels: int = 5) -> str:
    """Return what ``exception_verbosity=high`` adds to an error: the node, the graph above it, and the values alive.

    Parameters
    ----------
    node : Apply
    values : dict from Variable to ndarray
        What has been computed or given and is known, largest shown first.
    levels : int
        How much of the graph is shown.
    """
    lines = ["", "", f"Apply node that caused the error: {node}"]
    lines += [f"  input {k}: {_describe_value(v, values)}" for k, v in enumerate(node.inputs)]
    lines += ["  outputs: " + ", ".join(str(v.type) for v in node.outputs), "", "The graph above it:"]
    tree = Tree(levels, print_type=True)
    tree.add(node.outputs[0])
    lines += [f"  {line}" for line in tree.lines]
    alive = sorted((v for v in values if hasattr(values[v], "nbytes")), key=lambda v: -values[v].nbytes)
    lines += ["", f"Values alive: {len(alive)}, {sum(values[v].nbytes for v in alive):,} bytes"]
    lines += [f"  {values[v].nbytes:>12,} bytes  {_describe_value(v, values)}" for v in alive[:20]]
    if len(alive) > 20:
        lines.append(f"  and {len(alive) - 20} smaller ones")
    return "\n".join(lines)


def _describe_value(v: Variable, values: Mapping[Variable, Any]) -> str:
    text = f"{v.name or v} ({v.type})"
    array = values.get(v, v.data if isinstance(v, Constant) else None)
    if array is not None:
        text += f", shape {array.shape}, strides {array.strides}"
        if array.size <= 5:
            text += f", value {array.tolist()}"
    loc = v.loc or (None if v.owner is None else v.owner.loc)
    return text if loc is None else f"{text}, made at {loc.file}:{loc.line}: {loc.text}"
