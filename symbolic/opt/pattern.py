"""Rules as two expressions: ``rule("log1p_exp", log(1 + exp(x)), softplus(x))``.

A pattern *is* a graph, made of the same functions and operators as any, over the pattern variables defined here; it
matches a node if the node is that graph with something in the place of the variables. Sums, products and the like match
in either order of their operands. A number matches any constant of that value, also one broadcast to some shape.
"""
from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from symbolic.graph import Apply, Constant, Variable, inputs_of, toposort
from symbolic.ops import operators  # noqa: F401  (patterns are written with them)
from symbolic.ops.create import Alloc
from symbolic.ops.elementwise import Cast, Elementwise, cast_to
from symbolic.ops.extents import SpecifyShape
from symbolic.ops.shape import DimShuffle, Reshape
from symbolic.ops.subtensor import Subtensor
from symbolic.opt.extent_keys import same_shape
from symbolic.opt.rules import Rule, key_of, register, tags_of
from symbolic.types import TensorType, promote

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "eq", "neq", "and_", "or_", "xor"})
#: The other spelling of a comparison with its operands exchanged.
MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
#: A pattern looks through at most so many views in a row.
VIEWS = 4
#: A sum or product is taken apart into at most so many terms.
TERMS = 6


class PatternVariable(Variable):
    """Stands for any variable in a pattern; for a constant of one value if `constant`."""

    __slots__ = ("constant",)

    def __init__(self, name: str, dtype: str = "float64", constant: bool = False) -> None:
        super().__init__(TensorType(dtype, ()), name=name)
        self.constant = constant


x, y, z = (PatternVariable(n) for n in "xyz")
#: Match constants of one value, whatever their shape.
c, d = (PatternVariable(n, constant=True) for n in "cd")
#: Match integers, and bools.
i, j = (PatternVariable(n, "int64") for n in "ij")
p, q = (PatternVariable(n, "bool") for n in "pq")


def is_view(op: Any) -> bool:
    """Whether an op only arranges or selects elements of its first operand."""
    return isinstance(op, (DimShuffle, Reshape, Subtensor, SpecifyShape))


def is_widening(node: Apply) -> bool:
    """Whether a node converts floats to a wider float type."""
    return (isinstance(node.op, Cast) and np.dtype(node.inputs[0].dtype).kind == "f"
            and promote(node.inputs[0].dtype, node.op.to) == node.op.to)


def uniform(v: Variable) -> Any:
    """Return the number that all elements of `v` are, as its dtype has it; None if that isn't known."""
    for _ in range(VIEWS):
        if isinstance(v, Constant):
            data = v.data
            if data.size == 1:
                return data.reshape(())[()]
            return data.flat[0] if 0 < data.size <= 64 and (data == data.flat[0]).all() else None
        if v.owner is None:
            return None
        node = v.owner
        op = node.op
        if isinstance(op, (Alloc, DimShuffle, Reshape, SpecifyShape)):
            v = node.inputs[0]
        elif isinstance(op, Elementwise) and op.fn == "second":
            inner = uniform(node.inputs[1])
            return None if inner is None else np.asarray(inner).astype(v.dtype)[()]
        elif isinstance(op, Cast):
            inner = uniform(node.inputs[0])
            return None if inner is None or np.dtype(v.dtype).kind in "iu" and not np.isfinite(inner) else np.asarray(
                inner).astype(v.dtype)[()]
        else:
            return None
    return None


def same_number(a: Any, b: Any) -> bool:
    """Whether two numbers are the same; -0.0 is another one than 0."""
    return bool(a == b) and not (a == 0 and bool(np.signbit(np.real(a))) != bool(np.signbit(np.real(b))))


Chain = tuple[Apply, ...]
Binding = dict[PatternVariable, tuple[Variable, Chain]]


def viewed(v: Variable, chain: Iterable[Apply]) -> Variable:
    """Return `v` as the views (and conversions) of `chain` show it."""
    for node in chain:
        if uniform(v) is not None and v.ndim == 0:
            return v
        v = node.op(v, *node.inputs[1:])
    return v


class Pattern:
    """The left side of a rule, ready to be matched.

    Parameters
    ----------
    root : Variable
        An expression over pattern variables.
    kinds : str
        Kinds of dtype (``biufc``) that variables match.
    through : bool
        Whether views between the functions of the pattern are looked through: a view of an elementwise function is the
        function of the view.
    """

    def __init__(self, root: Variable, kinds: str, through: bool) -> None:
        self.root, self.kinds, self.through = root, kinds, through
        #: what must stand below the root for a match to be worth trying
        self.below = [key_of(v.owner.op) for v in root.owner.inputs if v.owner is not None] if root.owner else []

    def match(self, node: Apply) -> Iterator[Binding]:
        """Yield what variables stand for, for each way in which `node` matches."""
        pattern = self.root.owner
        if pattern is None:
            return
        if not self.through:
            present = [key_of(v.owner.op) for v in node.inputs if v.owner is not None]
            if any(k not in present for k in self.below):
                return
        yield from self._inputs(pattern, node, (), {})

    def _inputs(self, pattern: Apply, node: Apply, chain: Chain, found: Binding) -> Iterator[Binding]:
        left, right = pattern.inputs, node.inputs
        if len(left) != len(right):
            return
        if chain and not all(uniform(v) is not None or same_shape(v, node.outputs[0]) for v in right):
            return
        if len(left) == 1:
            yield from self._one(left[0], right[0], chain, found)
            return
        orders = [right]
        if len(right) == 2 and key_of(pattern.op) in COMMUTATIVE and right[0] is not right[1]:
            orders.append(right[::-1])
        for order in orders:
            partial: list[Binding] = [found]
            for a, b in zip(left, order, strict=True):
                partial = [m for f in partial for m in self._one(a, b, chain, f)]
                if not partial:
                    break
            yield from partial

    def _one(self, pattern: Variable, v: Variable, chain: Chain, found: Binding) -> Iterator[Binding]:
        if isinstance(pattern, Constant):
            value = uniform(v)
            if value is not None and same_number(value, pattern.data[()]):
                yield found
            return
        if isinstance(pattern, PatternVariable):
            yield from self._variable(pattern, v, chain, found)
            return
        assert pattern.owner is not None
        key = key_of(pattern.owner.op)
        for _ in range(VIEWS + 1):
            node = v.owner
            if node is None:
                return
            if key_of(node.op) == key and (isinstance(node.op, Elementwise) or node.op == pattern.owner.op):
                yield from self._inputs(pattern.owner, node, chain, found)
                return
            if not self.through or not (is_view(node.op) or is_widening(node)):
                return
            chain, v = (node, *chain), node.inputs[0]

    def _variable(self, pattern: PatternVariable, v: Variable, chain: Chain, found: Binding) -> Iterator[Binding]:
        kind = np.dtype(v.dtype).kind
        wanted = {"float64": self.kinds, "int64": "iu", "bool": "b"}[pattern.dtype]
        if kind not in wanted and not (pattern.constant and kind in "iub"):
            return
        if pattern.constant and uniform(v) is None:
            return
        if pattern not in found:
            yield {**found, pattern: (v, chain)}
            return
        before, views = found[pattern]
        if before is v and views == chain:
            yield found
        elif pattern.constant or isinstance(v, Constant):
            a, b = uniform(v), uniform(before)
            if a is not None and b is not None and same_number(a, b) and before.dtype == v.dtype and not views and not chain:
                yield found


class Template:
    """The right side of a rule: an expression over its variables, or a function of them."""

    def __init__(self, right: Any) -> None:
        self.right = right
        if isinstance(right, Variable):
            self.nodes = toposort([right])
        else:
            self.names = list(inspect.signature(right).parameters)

    def made(self, found: dict[str, Variable]) -> Any:
        """Return the right side with `found` in the place of its variables."""
        if not isinstance(self.right, Variable):
            return self.right(*(found[n] for n in self.names))
        table: dict[Variable, Any] = {}

        def get(v: Variable) -> Any:
            if isinstance(v, PatternVariable):
                return found[str(v.name)]
            return v.data.item() if isinstance(v, Constant) else table[v]  # a number takes the dtype beside it

        for node in self.nodes:
            table[node.outputs[0]] = node.op(*map(get, node.inputs))
        return get(self.right)


def rule(name: str, left: Variable, right: Any, where: Callable[..., bool] | None = None, tags: Iterable[str] = ("canonicalize",),
         doc: str = "", kinds: str = "f", terms: bool = False) -> Rule:
    """Add a rewrite rule that replaces one expression by another.

    Parameters
    ----------
    name : str
        By which modes exclude it and warnings name it.
    left : Variable
        An expression over the variables of :mod:`symbolic.opt.pattern`: `x`, `y`, `z` (any), `c`, `d` (constants), `i`, `j`
        (integers), `p`, `q` (bools).
    right : Variable or callable
        An expression over variables of `left`, or a function whose parameters have their names; it may return None where
        the rule doesn't apply.
    where : callable, optional
        Takes variables by these names, and says whether the rule applies.
    tags : iterable of str
        See :func:`symbolic.opt.rules.node_rule`.
    doc : str
    kinds : str
        Kinds of dtype that `x`, `y`, `z` match: letters of ``biufc``.
    terms : bool
        Whether `left`, a sum or a product, also matches some of the terms of a longer one. The terms then add up in another
        order, so floats round otherwise: for exact dtypes, or with the tag ``unsafe``.

    Raises
    ------
    ValueError
        If there is a rule of this name, or `left` isn't an expression.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> from symbolic.opt.pattern import rule, x
    >>> from symbolic.opt.rules import unregister
    >>> made = rule("cos_of_neg", T.cos(-x), T.cos(x), doc="the cosine is even")
    >>> v = T.dscalar("v")
    >>> float(symbolic.function([v], T.cos(-v))(0.0))
    1.0
    >>> unregister("cos_of_neg")
    """
    if not isinstance(left, Variable) or left.owner is None:
        raise ValueError(f"rule {name!r}: the left side must be an expression over pattern variables, got {left!r}")
    given = tags_of(tags)
    pattern, template = Pattern(left, kinds, "stabilize" in given), Template(right)
    names = [] if where is None else list(inspect.signature(where).parameters)
    root = key_of(left.owner.op)
    whole = any(isinstance(v, PatternVariable) and v.dtype == "int64" for v in inputs_of([left]))

    def apply(node: Apply) -> Any:
        if whole and any(np.dtype(v.dtype).kind in "fc" for v in node.inputs):
            return None  # exact for integers only
        for rest, candidate in _candidates(node, left.owner, terms):
            for found in pattern.match(candidate):
                bound = {str(v.name): viewed(*views) for v, views in found.items()}
                if where is not None and not where(*(bound[n] for n in names)):
                    continue
                made = template.made(bound)
                if made is None:
                    continue
                if not isinstance(made, Variable):  # a number: the right side is a constant
                    made = cast_to(made, node.outputs[0].dtype)
                if made.dtype != node.outputs[0].dtype and not any(made is v for v in bound.values()):
                    continue  # it would be computed less precisely
                for term in rest:
                    made = node.op(made, term)
                return made
        return None

    home = sys._getframe(1).f_globals["__name__"]
    return register(Rule(name, (root,), apply, given, doc or f"{text(left)} -> {text(right)}", home, left, right, kinds, where))


_INFIX = {"add": " + ", "sub": " - ", "mul": "*", "true_div": "/", "pow": "**", "and_": " & ", "or_": " | ", "xor": " ^ ",
          "int_div": "//", "mod": " % ", "lt": " < ", "le": " <= ", "gt": " > ", "ge": " >= "}
_PREFIX = {"neg": "-", "invert": "~"}


def text(v: Any, inside: bool = False) -> str:
    """Return a side of a rule as people write it; in parentheses if it stands `inside` another expression and needs them.

    >>> text((1 + x) * -y)
    '(1 + x)*(-y)'
    """
    if not isinstance(v, Variable):
        return "..."
    if isinstance(v, Constant):
        value = v.data.item()
        return str(int(value) if isinstance(value, float) and value == int(value) and not (
            value == 0 and np.signbit(value)) else value)
    if v.owner is None:
        return str(v.name)
    key, args = key_of(v.owner.op), v.owner.inputs
    if key in _INFIX:
        out = _INFIX[key].join(text(a, True) for a in args)
        return f"({out})" if inside else out
    if key in _PREFIX:
        out = _PREFIX[key] + text(args[0], True)
        return f"({out})" if inside else out
    return f"{v.owner.op.name}({', '.join(map(text, args))})"


def _candidates(node: Apply, left: Apply | None, terms: bool) -> Iterator[tuple[list[Variable], Apply]]:
    """Yield a node, and with `terms` each pair of terms of the sum or product it ends, with the terms left over."""
    yield [], node
    if not terms or left is None:
        return
    found = _terms(node)
    if len(found) < 3:
        return
    for a in range(len(found)):
        for b in range(a + 1, len(found)):
            rest = [t for k, t in enumerate(found) if k not in (a, b)]
            yield rest, node.op.make_node(found[a], found[b])


def _terms(node: Apply) -> list[Variable]:
    """Return the terms of the sum (or product) that `node` ends, at most :data:`TERMS` of them."""
    found: list[Variable] = list(node.inputs)
    at = 0
    while at < len(found) and len(found) < TERMS:
        inner = found[at].owner
        if inner is not None and inner.op == node.op and found[at].dtype == node.outputs[0].dtype:
            found[at:at + 1] = inner.inputs
        else:
            at += 1
    return found
