"""`pp`: a graph as people write mathematics, ``tanh(dot(x, W) + b)``, with names for what occurs twice."""
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic.graph import Apply, Constant, Op, Variable, toposort
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.reduce import Reduce
from symbolic.ops.shape import DimShuffle
from symbolic.ops.subtensor import IncSubtensor, Subtensor

#: Binding strengths, as Python's.
OR, XOR, AND, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(9)
#: Python's operators: the text between the operands, their strength, and that which the right operand needs.
INFIX = {"add": (" + ", SUM, SUM), "sub": (" - ", SUM, PRODUCT), "mul": (" * ", PRODUCT, PRODUCT),
         "true_div": (" / ", PRODUCT, UNARY), "int_div": (" // ", PRODUCT, UNARY), "mod": (" % ", PRODUCT, UNARY),
         "pow": ("**", POWER, POWER), "and_": (" & ", AND, COMPARE), "or_": (" | ", OR, XOR), "xor": (" ^ ", XOR, AND),
         "lt": (" < ", COMPARE, SUM), "le": (" <= ", COMPARE, SUM), "gt": (" > ", COMPARE, SUM), "ge": (" >= ", COMPARE, SUM),
         "eq": (" == ", COMPARE, SUM), "neq": (" != ", COMPARE, SUM)}
#: Elementwise functions by the names that users know them by.
CALLED = {"abs_": "abs", "sgn": "sign", "round_half_to_even": "round", "isnan_": "isnan", "invert": "~"}


@dataclass(frozen=True)
class Text:
    """An expression and how strongly its outermost operator binds."""

    text: str
    strength: int = ATOM

    def inside(self, strength: int) -> str:
        """Return it as an operand of an operator that binds as `strength`."""
        return self.text if self.strength >= strength else f"({self.text})"


def pp(variable: Any, width: int = 100) -> str:
    """Return a graph as an expression.

    Parameters
    ----------
    variable : Variable, or list or tuple of Variable
    width : int
        Longest expression: parts are named and put into lines of their own so that none becomes longer.

    Returns
    -------
    str
        An expression. What it uses more than once follows behind ``where``, a line each.

    Notes
    -----
    What only prepares shapes for derivatives isn't shown: ``fill(x, g)`` is `g`, a product with one is the other factor, an
    axis of extent 1 added for broadcasting. :func:`debugprint` shows everything.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, W, b = T.dvector("x"), T.dmatrix("W"), T.dvector("b")
    >>> pp(T.tanh(T.dot(x, W) + b))
    'tanh(dot(x, W) + b)'
    >>> pp(symbolic.grad((x ** 2).sum(), x))
    '2.0 * x'
    >>> h = T.exp(-x * x)
    >>> print(pp(h / h.sum()))
    t1 / sum(t1)
      where t1 = exp(-x * x)
    """
    given = list(variable) if isinstance(variable, (list, tuple)) else [variable]
    for v in given:
        if not isinstance(v, Variable):
            raise TypeError(f"pp needs a variable or a list of them, got {type(v).__name__} {v!r}")
    return _Printer(given, width).result(isinstance(variable, (list, tuple)))


#: Theano's name of the printer.
pprint = pp


class _Printer:
    def __init__(self, roots: Sequence[Variable], width: int) -> None:
        self.roots, self.width = roots, width
        self.texts: dict[Variable, Text] = {}
        self.named: list[str] = []
        nodes = toposort(roots)
        self.stands = _stand_ins(nodes, set(roots))
        wanted = {self._seen(v) for v in roots}
        shown: set[Apply] = set()  # not what only a hidden operand needs
        for n in reversed(nodes):
            if any(v in wanted for v in n.outputs):
                shown.add(n)
                wanted.update(self._seen(v) for v in _operands(n))
        self.uses: dict[Variable, int] = {}
        for v in [v for n in nodes if n in shown for v in _operands(n)] + list(roots):
            self.uses[self._seen(v)] = self.uses.get(self._seen(v), 0) + 1
        for n in nodes:
            if n in shown:
                self._node(n)

    def _seen(self, v: Variable) -> Variable:
        return self.stands.get(v, v)

    def result(self, several: bool) -> str:
        parts = [self.text(v).text for v in self.roots]
        text = f"[{', '.join(parts)}]" if several else parts[0]
        if not self.named:
            return text
        return "\n".join([text, f"  where {self.named[0]}", *(f"        {line}" for line in self.named[1:])])

    def text(self, v: Variable) -> Text:
        """Return what stands for a variable."""
        v = self._seen(v)
        if v in self.texts:
            return self.texts[v]
        if isinstance(v, Constant) and v.name is None:
            return _constant(v.data)
        return Text(str(v))

    def _node(self, n: Apply) -> None:
        made = _format(n, self.text)
        for v in n.outputs:
            own = made if len(n.outputs) == 1 else Text(f"{made.inside(ATOM)}[{v.index}]")
            often = self.uses.get(v, 0) > 1 and (own.strength < ATOM or len(own.text) > 8)
            if v.name is not None and v not in self.roots:
                self.named.append(f"{v.name} = {own.text}")
                own = Text(v.name)
            elif often or len(own.text) > self.width and v not in self.roots:
                name = f"t{len(self.named) + 1}"
                self.named.append(f"{name} = {own.text}")
                own = Text(name)
            self.texts[v] = own


def _stand_ins(nodes: Sequence[Apply], roots: Collection[Variable]) -> dict[Variable, Variable]:
    """Return, for values that aren't shown, what is shown in their place."""
    stands: dict[Variable, Variable] = {}
    for n in nodes:
        out = n.outputs[0]
        inner = _through(n, stands) if len(n.outputs) == 1 and (out.name is None or out in roots) else None
        if inner is not None:
            stands[out] = stands.get(inner, inner)
    return stands


def _operands(n: Apply) -> Sequence[Variable]:
    if isinstance(n.op, Elementwise) or not n.op.waits:
        return n.inputs
    return n.inputs[:1]


def _through(n: Apply, stands: Mapping[Variable, Variable]) -> Variable | None:
    """Return the operand that stands for a node of which only the shape differs."""
    op, name = n.op, n.op.name
    if name == "second":
        return n.inputs[1]
    if name in ("sum_to", "specify_shape", "same_extents") or op.waits:
        return n.inputs[0]
    if name == "mul":
        for k, v in enumerate(stands.get(v, v) for v in n.inputs):
            if isinstance(v, Constant) and v.data.size == 1 and v.data.dtype.kind in "fiu" and float(v.data.reshape(())) == 1:
                return n.inputs[1 - k]
    if isinstance(op, DimShuffle) and "x" in op.order and [a for a in op.order if a != "x"] == list(range(n.inputs[0].ndim)):
        return n.inputs[0] if list(op.order) == ["x"] * (len(op.order) - n.inputs[0].ndim) + list(
            range(n.inputs[0].ndim)) else None
    return None


def _constant(data: np.ndarray) -> Text:
    if data.size > 4:
        return Text(f"<{data.dtype} {data.shape}>")
    text = str(data.tolist())
    return Text(text, UNARY if text.startswith("-") else ATOM)


def _format(n: Apply, text: Callable[[Variable], Text]) -> Text:
    op = n.op
    parts = [text(v) for v in n.inputs]
    if isinstance(op, Elementwise):
        return _elementwise(op, parts)
    if isinstance(op, Reduce):
        axes = "" if len(op.axes) == n.inputs[0].ndim else f", axis={op.axes[0] if len(op.axes) == 1 else op.axes}"
        return Text(f"{op.fn}({parts[0].text}{axes})")
    if isinstance(op, DimShuffle):
        order = tuple(op.order)
        if order == tuple(range(n.inputs[0].ndim))[::-1] and len(order) == 2:
            return Text(f"{parts[0].inside(ATOM)}.T")
        return Text(f"{parts[0].inside(ATOM)}.dimshuffle({', '.join(map(repr, order))})")
    if isinstance(op, Subtensor):
        return Text(f"{parts[0].inside(ATOM)}[{_key(op.idx_list, parts[1:])}]")
    if isinstance(op, IncSubtensor):
        return Text(f"{op.name}({parts[0].text}[{_key(op.idx_list, parts[2:])}], {parts[1].text})")
    if op.name == "shape_i":
        return Text(f"{parts[0].inside(ATOM)}.shape[{op.axis}]")  # type: ignore[attr-defined]
    if op.name == "makevector":
        return Text(f"[{', '.join(p.text for p in parts)}]")
    extra = [f"{p}={getattr(op, p)!r}" for p in op.__props__ if p in ("axis", "axes", "lower", "order", "mode")]
    return Text(f"{_name(op)}({', '.join([p.text for p in parts] + extra)})")


def _name(op: Op) -> str:
    return op.name if op.name != "from_graph" else str(op)


def _elementwise(op: Elementwise, parts: Sequence[Text]) -> Text:
    fn = op.fn
    if fn in INFIX:
        sign, strength, right = INFIX[fn]
        left = ATOM if fn == "pow" else strength
        return Text(f"{parts[0].inside(left)}{sign}{parts[1].inside(right)}", strength)
    if fn == "neg":
        return Text(f"-{parts[0].inside(UNARY)}", PRODUCT)
    if fn == "sqr":
        return Text(f"{parts[0].inside(ATOM)}**2", POWER)
    if fn == "cast":
        return Text(f"{parts[0].inside(ATOM)}.astype({op.to!r})")  # type: ignore[attr-defined]
    if fn == "invert":
        return Text(f"~{parts[0].inside(UNARY)}", UNARY)
    return Text(f"{CALLED.get(fn, fn)}({', '.join(p.text for p in parts)})")


def _key(idx_list: Sequence[Any], variables: Sequence[Text]) -> str:
    """Return an index as it is written; what stands for an integer or an array takes the next operand."""
    rest = iter(variables)

    def bound(e: Any) -> str:
        if e is None:
            return ""
        return str(e) if isinstance(e, (int, np.integer)) else next(rest).text

    found = []
    for entry in idx_list:
        if isinstance(entry, (int, np.integer)):
            found.append(str(entry))
        elif hasattr(entry, "start"):
            step = bound(entry.step) if entry.step is not None else ""
            found.append(f"{bound(entry.start)}:{bound(entry.stop)}" + (f":{step}" if step else ""))
        elif entry is None or str(entry) in ("newaxis", "None"):
            found.append("None")
        else:
            found.append(next(rest).text)
    return ", ".join(found)


def min_informative_str(obj: Variable, indent_level: int = 0, _prev_obs: Any = None, _tag_generator: Any = None) -> str:
    """Return a graph as letters and names, the smallest text that tells two graphs apart (Theano's).

    Parameters
    ----------
    obj : Variable
    indent_level : int
        Levels of indentation to begin with.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, y = T.scalars("xy")
    >>> print(min_informative_str(x + T.exp(y)))
    A. add
     B. x
     C. exp
      D. y
    """
    if not isinstance(obj, Variable):
        raise TypeError(f"min_informative_str needs a variable, got {type(obj).__name__} {obj!r}")
    seen: dict[Variable, str] = {} if _prev_obs is None else _prev_obs
    lines: list[str] = []
    stack: list[tuple[Variable, int]] = [(obj, indent_level)]
    while stack:
        v, level = stack.pop()
        indent = " " * min(level, 100) + (f"({level}) " if level > 100 else "")
        if v in seen:
            lines.append(f"{indent}<{seen[v]}>")
            continue
        seen[v] = tag = _letter(len(seen))
        if v.name is not None or v.owner is None:
            lines.append(f"{indent}{tag}. {v}")
            continue
        lines.append(f"{indent}{tag}. {v.owner.op}" + (f".{v.index}" if len(v.owner.outputs) > 1 else ""))
        stack.extend((x, level + 1) for x in reversed(v.owner.inputs))
    return "\n".join(lines)


def _letter(n: int) -> str:
    text = ""
    n += 1
    while n:
        n, r = divmod(n - 1, 26)
        text = chr(65 + r) + text
    return text
