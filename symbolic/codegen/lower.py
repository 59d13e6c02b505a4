"""Stage *lower*: each Apply becomes a Def, what its result is in scalar terms, over other Defs.

Dispatches on the protocols of `graph.Op` (computes by index lambda, writes by scatter, views, calls a library
routine), never on classes of ops.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from symbolic import errors
from symbolic.branch import Arms
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Apply, Constant, Variable, describe
from symbolic.infer import Extents
from symbolic.loop import Loop
from symbolic.scalar import Check, Expr, IndexLambda, Part, Scatter, const, load, substitute, sym, toposort
from symbolic.template import LIBRARIES, Template

#: dtypes a BLAS knows, with the letter of their routines
BLAS_TYPES = {"float32": "f", "float64": "d", "complex64": "c", "complex128": "z"}


@dataclass
class Def:
    """One value of the program.

    Attributes
    ----------
    id : int
    kind : str
        ``input``, ``const``, ``map``, ``reduce``, ``scatter``, ``view``, ``gemm``, ``check``, ``loop``, ``branch``,
        ``template`` or ``python`` (steps that compute several values), ``result`` (one of them), ``opaque`` (one of a
        shape that is known only then) and ``extent`` (of such a one).
    axes : tuple of str
        Loop indices in the order data is walked (map: the output's axes; reduce: as its operand is stored).
    domain : tuple of Expr
        Extents of `axes`.
    kept : tuple of str
        The axes that index the result, in its order.
    body : Expr
        Over `axes`, host symbols and ``load(def id, indices)``.
    detail : tuple of Expr
        Of a ``check``, what its message says; of a ``view``, the row at which it begins, if it isn't the first.
    alpha, beta : float
        Of a ``gemm``: ``alpha`` times the product is added to ``beta`` times `base`, if there is one.
    folded : Def
        The product that such a sum was made of.
    """

    id: int
    kind: str
    dtype: str
    extents: tuple[Expr, ...]
    variable: Variable | None = None
    node: Apply | None = None
    axes: tuple[str, ...] = ()
    domain: tuple[Expr, ...] = ()
    kept: tuple[str, ...] = ()
    body: Expr | None = None
    combiner: str = "add"
    parts: tuple[Part, ...] = ()
    inputs: tuple[int, ...] = ()
    base: int | None = None
    index_map: bool = False
    check: Check | None = None
    detail: tuple[Expr, ...] = ()
    outputs: tuple[int, ...] = field(default=())
    transposed: tuple[bool, ...] = ()
    loop: Loop | None = None
    arms: Arms | None = None
    template: Template | None = None
    alpha: float = 1.0
    beta: float = 0.0
    folded: Def | None = None

    @property
    def label(self) -> str:
        """What a comment calls it."""
        if self.variable is None:
            return f"v{self.id}"
        return self.variable.name or str(self.variable)


class Lowering:
    """The Defs of a graph, by id and by variable; without `templates`, ops are what they compute, not what their C code is."""

    def __init__(self, graph: FunctionGraph, extents: Extents, templates: bool = True) -> None:
        self.graph, self.templates = graph, templates
        self.extents = extents
        self.defs: list[Def] = []
        self.by_variable: dict[Variable, Def] = {}
        for v in graph.inputs:
            self._new("input", v)
        for node in graph.nodes:
            if any(v not in extents.shape for v in node.outputs):
                extents.add(node)
            self._lower(node)
        self.outputs = [self._itself(self.get(v)).id for v in graph.outputs]

    def _new(self, kind: str, v: Variable, **more: object) -> Def:
        extents = tuple(self.host(e) for e in self.extents.of(v))
        d = Def(len(self.defs), kind, v.dtype, extents, v, **more)  # type: ignore[arg-type]
        self.defs.append(d)
        self.by_variable[v] = d
        return d

    def get(self, v: Variable) -> Def:
        """Return the Def of `v`, making one for a constant."""
        found = self.by_variable.get(v)
        if found is None:
            if not isinstance(v, Constant):
                raise errors.MissingInputError(errors.message(
                    "function", f"{v} ({v.type}) is needed but not given", (), v.loc, "add it to the inputs or givens"))
            found = self._new("const", v)
        return found

    def _itself(self, d: Def) -> Def:
        """Return the value of which an output is a copy: it is written in its place."""
        while d.kind == "map" and (base := self._copied(d.body, d.kept, d.extents, d.dtype)) is not None:
            if base.kind in ("input", "const"):
                break
            d = base
        return d

    def _copied(self, body: Expr | None, kept: tuple[str, ...], extents: tuple[Expr, ...], dtype: str) -> Def | None:
        """Return the value that a body over the axes `kept` repeats as it is, such as a `sum_to` over nothing does."""
        if body is None or body.op != "load" or len(body.args) != len(kept):
            return None
        base = self.defs[body.arg]
        same = (base.dtype == dtype and all(a.op == "sym" and a.arg == k for a, k in zip(body.args, kept, strict=True))
                and len(base.extents) == len(extents) and all(m is n for m, n in zip(base.extents, extents, strict=True)))
        return base if same else None

    def _lower(self, node: Apply) -> None:
        op = node.op
        types = tuple(v.type for v in node.inputs)
        for check in op.checks(*types):
            if check.extents:
                self._check(node, check)
        loop = op.loop(*types)
        if loop is not None:
            self._several(node, "loop", loop=loop)
            return
        arms = op.branch(*types)
        if arms is not None:
            self._several(node, "branch", arms=arms)
            return
        template = op.template(*types) if self.templates else None
        if template is not None and (template.library is None or template.library in LIBRARIES):
            self._several(node, "template", template=template)
            return
        out = node.outputs[0]
        if len(node.outputs) == 1:
            if out in self.extents.value and out.ndim == 0:
                self._map(node, IndexLambda(self.extents.value[out]), resolved=True)
                return
            if op.extern == "gemm" and out.dtype in BLAS_TYPES and all(t.dtype == out.dtype for t in types):
                self._new("gemm", out, node=node, inputs=tuple(self.get(v).id for v in node.inputs))
                return
            if op.view_of is not None:
                base = self.get(node.inputs[op.view_of]).id
                before = tuple(self.get(v).id for v in node.inputs if v is not node.inputs[op.view_of]) if op.waits else ()
                self._new("view", out, node=node, base=base, inputs=before)
                return
            meaning = op.compute(*types)
            if isinstance(meaning, IndexLambda):
                self._map(node, meaning)
                return
            if isinstance(meaning, Scatter):
                self._scatter(node, meaning)
                return
        if not op.has_python:
            raise errors.NotSupported(errors.message(
                op.name, "it says neither compute() nor expand(), and has no Python code either",
                tuple(describe(v) for v in node.inputs), node.loc, "give it reference(*arrays), or perform in Theano's form"))
        self._several(node, "python")

    def _several(self, node: Apply, kind: str, **more: object) -> None:
        """Add a step with several results; before them the extents that it alone knows."""
        inputs = tuple(self.get(v).id for v in node.inputs)
        for o in node.outputs:  # operands first
            if o not in self.extents.measured:
                for e in self.extents.of(o):
                    self.host(e)
        d = Def(len(self.defs), kind, "int64", (), None, node, inputs=inputs, **more)  # type: ignore[arg-type]
        self.defs.append(d)
        for o in node.outputs:
            for extent in self.extents.measured.get(o, {}).values():
                self._new("extent", extent, inputs=(d.id,))
        for o in node.outputs:
            self._new("opaque" if o in self.extents.measured else "result", o, node=node, inputs=(d.id,))
        d.outputs = tuple(self.by_variable[o].id for o in node.outputs)

    def resolve(self, e: Expr, inputs: Sequence[Variable]) -> Expr:
        """Return an op's expression with its loads naming Defs and its extents resolved."""

        def replace(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if n.op == "sym" and n.arg[0] == "d" and n.arg[1].isdigit():
                k, _, a = n.arg[1:].partition("_")
                return self.extents.of(inputs[int(k)])[int(a)]
            if n.op == "load":
                v = inputs[n.arg]
                own = self.extents.scalar(v) if not args else None
                named = own if own is None else self._by_other_name(own)
                if named is not None and (v in self.extents.value or isinstance(v, Constant) or named is not own):
                    return named
                if isinstance(v, Constant) and v.data.size == 1:
                    return const(v.data.reshape(()), v.dtype)
                return load(self.get(v).id, args, n.dtype)
            return None

        return substitute([e], replace)[0]

    def _by_other_name(self, e: Expr) -> Expr:
        """Return a scalar that is an extent too, as that extent is written where it is computed by now."""
        found = self.extents.find(e)
        if all(v in self.by_variable for n in toposort([found]) if n.op == "load" and isinstance(v := n.arg, Variable)):
            return found
        return e

    def host(self, e: Expr) -> Expr:
        """Return an extent with the run-time values it reads naming Defs."""

        def replace(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if n.op == "load" and isinstance(n.arg, Variable):
                return load(self.get(n.arg).id, (), n.dtype)
            return None

        return substitute([e], replace)[0]

    def _map(self, node: Apply, meaning: IndexLambda, resolved: bool = False) -> None:
        out = node.outputs[0]
        body = self.host(meaning.body if resolved else self.resolve(meaning.body, node.inputs))
        reduce = tuple(self.host(self.extents.find(self.resolve(e, node.inputs))) for e in meaning.reduce)
        extents = tuple(self.host(e) for e in self.extents.of(out))
        kept = tuple(f"i{a}" for a in range(len(extents)))
        reduced = tuple(f"r{a}" for a in range(len(reduce)))
        base = None if reduce or resolved else self._copied(body, kept, extents, out.dtype)
        if base is not None and base.kind in ("map", "reduce", "gemm", "scatter", "result"):
            self.by_variable[out] = base
            return
        axes = _storage_order(body, kept, reduced)
        length = dict(zip(kept + reduced, extents + reduce, strict=True))
        d = self._new("reduce" if reduce else "map", out, node=node)
        names = {a: f"a{n}" for n, a in enumerate(axes)}
        table = {a: sym(n) for a, n in names.items()}
        d.body = substitute([body], lambda n, args: table.get(n.arg) if n.op == "sym" else None)[0]
        d.axes = tuple(names[a] for a in axes)
        d.kept = tuple(names[a] for a in kept)
        d.domain = tuple(length[a] for a in axes)
        d.extents = extents
        d.combiner = meaning.combiner
        d.index_map = not reduce and (node.op.is_index_map or resolved)

    def _scatter(self, node: Apply, meaning: Scatter) -> None:
        # operands first: ids are a topological order, and a constant gets its id when it is first read
        extents = tuple(self.host(e) for e in self.extents.of(node.outputs[0]))
        base = None if meaning.base is None else self.get(node.inputs[meaning.base]).id
        parts = tuple(self._part(p, node) for p in meaning.parts)
        d = self._new("scatter", node.outputs[0], node=node, base=base, parts=parts)
        d.extents = extents

    def _part(self, p: Part, node: Apply) -> Part:
        def full(e: Expr) -> Expr:
            return self.host(self.resolve(e, node.inputs))

        return Part(tuple(full(e) for e in p.extents), tuple(full(e) for e in p.index), full(p.body), p.accumulate)

    def _check(self, node: Apply, check: Check) -> None:
        extents = tuple(self.host(self.resolve(e, node.inputs)) for e in check.extents)
        axes = tuple(f"a{n}" for n in range(len(extents)))
        table = {f"i{n}": sym(a) for n, a in enumerate(axes)}

        def named(e: Expr) -> Expr:
            e = self.host(self.resolve(e, node.inputs))
            return substitute([e], lambda n, args: table.get(n.arg) if n.op == "sym" else None)[0]

        # the smallest flat index that fails, or the size: one reduction finds it and tells where
        flat: Expr = const(0, "int64")
        total: Expr = const(1, "int64")
        for a, n in zip(axes, extents, strict=True):
            flat = flat * n + sym(a)
            total = total * n
        body = Expr("select", (named(check.condition), const(2**62, "int64"), flat), None, "int64")
        detail = tuple(named(e) for e in check.detail)
        self.defs.append(Def(len(self.defs), "check", "int64", (), None, node, axes, extents, (), body, "min",
                             check=check, detail=detail))


def _storage_order(body: Expr, kept: tuple[str, ...], reduced: tuple[str, ...]) -> tuple[str, ...]:
    """Return the axes in the order of the first load that is indexed by all of them."""
    if not reduced:
        return kept
    wanted = set(kept + reduced)
    stack, seen = [body], set()
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if n.op == "load":
            names = [a.arg for a in n.args if a.op == "sym"]
            if len(names) == len(n.args) - sum(a.op == "const" for a in n.args) and set(names) == wanted:
                return tuple(names)
        stack.extend(n.args)
    return kept + reduced
