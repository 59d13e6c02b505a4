"""Ops over a graph of their own: a composition with a name, and with derivatives of its own where they are overridden."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from symbolic import errors
from symbolic.fgraph import FunctionGraph, signature
from symbolic.forward import pushforwards
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable, clone_replace, describe, toposort
from symbolic.infer import over_operands
from symbolic.loop import specialised
from symbolic.nullgrad import DisconnectedType, NullType, is_null
from symbolic.ops.scan_api import outer_values
from symbolic.pickling import flatten, restore
from symbolic.reverse import connected, pullbacks, zeros_of
from symbolic.shared import SharedVariable
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete

Terms = list["Variable | None"]
_numbers = itertools.count()


class OpFromGraph(Op):
    """An op that computes what a graph says; see :func:`op_from_graph`, which makes one.

    Parameters
    ----------
    inputs : list of Variable
    outputs : Variable, or list or tuple of Variable
    inline : bool
        Accepted for Theano's sake: the compiler always sees the composition.
    lop_overrides, grad_overrides, rop_overrides
        As for :func:`op_from_graph`.
    connection_pattern : list of list of bool, optional
    name : str, optional

    Notes
    -----
    What the graph uses besides `inputs`, shared variables among it, is found by itself and handed on with each call. Its
    derivative is that of the graph, overridden or not.
    """

    __props__ = ("key",)

    def __init__(self, inputs: Sequence[Variable], outputs: Any, inline: bool = False, lop_overrides: Any = "default",
                 grad_overrides: Any = "default", rop_overrides: Any = "default", connection_pattern: Any = None,
                 name: str | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(errors.message("OpFromGraph", f"doesn't take {', '.join(sorted(kwargs))}", (), caller(),
                                           "updates and givens belong to function(...)"))
        lop_overrides, grad_overrides, rop_overrides = (
            "default" if given is None else given for given in (lop_overrides, grad_overrides, rop_overrides))
        if not _is_default(lop_overrides) and not _is_default(grad_overrides):
            raise ValueError(errors.message("OpFromGraph", "lop_overrides and grad_overrides exclude each other", (), caller(),
                                            "give the one that fits: with (inputs, outputs, gradients), or without outputs"))
        given = [outputs] if isinstance(outputs, Variable) else list(outputs)
        _check(inputs, given)
        self.label, self.inline, self.declared = name, inline, len(inputs)
        self.captured = tuple(outer_values(given, inputs))
        inner = {v: Variable(v.type, name=v.name, loc=v.loc) for v in [*inputs, *self.captured]}
        self.inputs = tuple(inner.values())
        self.outputs = tuple(clone_replace(given, inner))  # type: ignore[arg-type]
        self.pattern = connection_pattern
        self.lop = (Override(lop_overrides, self.declared, "lop_overrides") if _is_default(grad_overrides)
                    else Override(grad_overrides, self.declared, "grad_overrides", with_outputs=False))
        self.rop = Override(rop_overrides, len(self.outputs), "rop_overrides", with_outputs=False)
        self._finish()

    def _finish(self) -> None:
        graph = FunctionGraph(list(self.inputs), list(self.outputs), toposort(self.outputs, stop=self.inputs))
        own = self.lop.given or self.rop.given or self.pattern is not None
        # two with rules of their own are never the same
        self.key = f"{type(self).__name__}-{signature(graph, exact=True)}" + (f"-{next(_numbers)}" if own else "")
        self._graph = lru_cache(maxsize=64)(self._specialised)
        self._rows: list[list[bool]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        state = {k: v for k, v in self.__dict__.items() if k not in ("outputs", "key", "_graph")}
        return _restored, (type(self), state, *flatten(self.outputs))

    @property
    def name(self) -> str:
        return self.label or "from_graph"

    @property
    def stable(self) -> bool:
        return all(n.op.stable for n in toposort(self.outputs, stop=self.inputs))

    def __str__(self) -> str:
        return self.name

    # ------------------------------------------------------------------------------------------- meaning

    def make_node(self, *inputs: Any) -> Apply:
        """Apply to `inputs`; what else the graph uses is added."""
        if len(inputs) != self.declared:
            raise TypeError(errors.message(self.name, f"takes {self.declared} inputs, got {len(inputs)}", (), caller()))
        variables = [as_tensor_variable(v) for v in inputs]
        for k, (v, want) in enumerate(zip(variables, self.inputs, strict=False)):
            if isinstance(v, Constant) and v.dtype != want.dtype and v.ndim == want.ndim:
                variables[k] = v = as_tensor_variable(want.type.clone(shape=v.type.shape).filter(v.data))
            if v.dtype != want.dtype or v.ndim != want.ndim:
                raise errors.DTypeError(errors.message(
                    self.name, f"input {k} must be {want.type}, got {v.type}", tuple(map(describe, variables)), caller(),
                    f"convert it with .astype({want.dtype!r})" if v.ndim == want.ndim else "give it that rank"))
        return super().make_node(*variables, *self.captured)

    def _specialised(self, *types: TensorType) -> FunctionGraph:
        return specialised(self.inputs, self.outputs, types, 0)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return tuple(v.type for v in self._graph(*types).outputs)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Any, ...], ...]:
        graph = self._graph(*types)
        return tuple(over_operands(graph, graph.outputs, 0))

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        return clone_replace(self.outputs, dict(zip(self.inputs, inputs, strict=True)))

    # -------------------------------------------------------------------------------------- derivatives

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        n = self.declared
        overridden = self.lop.overridden
        missing = [k for k in range(len(inputs)) if k >= n or not overridden[k]]
        found: Terms = [None] * len(inputs)
        for k, g in zip(missing, self._default_pullback(inputs, outputs, gouts, missing) if missing else (), strict=True):
            found[k] = g
        if any(overridden):
            full = [zeros_of(y) if g is None else g for y, g in zip(outputs, gouts, strict=True)]
            own = self.lop(list(inputs[:n]), list(outputs), full, self.name)
            for k in range(n):
                if overridden[k]:
                    found[k] = _as_cotangent(own[k], inputs[k])
        return found

    def _default_pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None],
                          wanted: Sequence[int]) -> Terms:
        """Return cotangents by the rules of the inner graph, for some of the inputs."""
        table: dict[Variable, Variable] = dict(zip(self.inputs, inputs, strict=True))
        seeds: dict[Variable, Variable] = {}
        for inner, y, g in zip(self.outputs, outputs, gouts, strict=True):
            if g is None:
                continue
            if inner not in self.inputs and not isinstance(inner, Constant):
                table.setdefault(inner, y)
            u = Variable(g.type)
            table[u] = g
            seeds[inner] = seeds[inner] + u if inner in seeds else u  # type: ignore[operator]
        found = pullbacks(seeds, [self.inputs[k] for k in wanted])
        return _over(found, [self.inputs[k] for k in wanted], table)

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None] | None:
        if self.rop.given:
            n = self.declared
            full = [zeros_of(x) if t is None else t for x, t in zip(inputs[:n], tangents, strict=False)]
            own = self.rop(list(inputs[:n]), None, full, self.name)
            inner = self._default_pushforward(inputs, outputs, tangents) if not all(self.rop.overridden) else own
            rest = self._default_pushforward(inputs, outputs, [*[None] * n, *tangents[n:]])
            made: Terms = []
            for k, y in enumerate(outputs):
                if not self.rop.overridden[k]:
                    made.append(inner[k])
                    continue
                t, more = _as_cotangent(own[k], y), rest[k]
                made.append(more if t is None else t if more is None else t + more)  # type: ignore[operator]
            return made
        if self.lop.given:
            return None  # two pullbacks: what is overridden holds forwards as well
        return self._default_pushforward(inputs, outputs, tangents)

    def _default_pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                             tangents: Sequence[Variable | None]) -> Terms:
        table: dict[Variable, Variable] = dict(zip(self.inputs, inputs, strict=True))
        moving: dict[Variable, Variable] = {}
        for inner, t in zip(self.inputs, tangents, strict=True):
            if t is not None:
                moving[inner] = Variable(t.type)
                table[moving[inner]] = t
        for inner, y in zip(self.outputs, outputs, strict=True):
            if inner not in self.inputs and not isinstance(inner, Constant):
                table.setdefault(inner, y)
        found = pushforwards(moving, self.outputs) if moving else {}
        return _over(found, self.outputs, table)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        if self._rows is None:
            self._rows = self._connections()
        return self._rows

    def _connections(self) -> list[list[bool]]:
        rows = []
        nodes = toposort(self.outputs, stop=self.inputs)
        for k, v in enumerate(self.inputs):
            if k < self.declared and self.pattern is not None:
                rows.append([bool(b) for b in self.pattern[k]])
                continue
            if k < self.declared and self.lop.overridden[k]:
                rows.append([not self.lop.disconnects(k)] * len(self.outputs))
                continue
            reached = {v}
            for inner in nodes:
                reached.update(connected(inner, [u in reached for u in inner.inputs]))
            rows.append([o in reached for o in self.outputs])
        return rows


def _over(found: dict[Variable, Variable], wanted: Sequence[Variable], table: dict[Variable, Variable]) -> Terms:
    """Return what was found for `wanted`, over the operands that `table` says."""
    known = [v for v in wanted if v in found]
    made = {v: found[v] for v in known if is_null(found[v])}
    plain = [v for v in known if v not in made]
    made.update(zip(plain, clone_replace([found[v] for v in plain], table), strict=True))
    return [made.get(v) for v in wanted]


def _as_cotangent(g: Any, x: Variable) -> Variable | None:
    """Return a term of a rule of a user's as a cotangent of `x`."""
    if g is None or isinstance(getattr(g, "type", None), DisconnectedType):
        return None
    g = as_tensor_variable(g)
    if is_null(g):
        return g
    return None if is_discrete(x.dtype) else g if g.dtype == x.dtype else g.astype(x.dtype)


def _check(inputs: Any, outputs: Sequence[Any]) -> None:
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(errors.message("OpFromGraph", f"inputs must be a list, got {type(inputs).__name__}", (), caller(),
                                       "write [x] for one input"))
    for what, vs in (("input", inputs), ("output", outputs)):
        for k, v in enumerate(vs):
            if not isinstance(v, Variable):
                raise TypeError(errors.message("OpFromGraph", f"{what} {k} must be a variable, got {v!r}", (), caller()))
    if not outputs:
        raise ValueError(errors.message("OpFromGraph", "there are no outputs", (), caller()))
    for k, v in enumerate(inputs):
        if isinstance(v, (Constant, SharedVariable)):
            kind = "constant" if isinstance(v, Constant) else "shared variable"
            raise TypeError(errors.message("OpFromGraph", f"input {k} is the {kind} {v}", (), caller(),
                                           "leave it out: what the graph uses is found by itself"))
        if v in inputs[:k]:
            raise ValueError(errors.message("OpFromGraph", f"input {k}, {describe(v)}, is given twice", (), caller()))


# -------------------------------------------------------------------------------------------- overrides


def _is_default(given: Any) -> bool:
    return isinstance(given, str) and given == "default"


class Override:
    """What a user said about derivatives: for all terms at once, or for each.

    ``with_outputs`` tells whether a rule gets the op's outputs as well (`lop_overrides`).
    """

    def __init__(self, given: Any, n: int, what: str, with_outputs: bool = True) -> None:
        self.what, self.with_outputs = what, with_outputs
        self.each = isinstance(given, (list, tuple))
        self.rules = list(given) if self.each else [given] * n
        if len(self.rules) != n:
            raise ValueError(errors.message("OpFromGraph", f"{what} has {len(self.rules)} entries for {n} terms", (), caller(),
                                            "give one for each, or one callable for all"))
        for rule in self.rules:
            if not (_is_default(rule) or rule is None or callable(rule) or _stands(rule)):
                raise TypeError(errors.message(
                    "OpFromGraph", f"{what} can't be {rule!r}", (), caller(),
                    "use 'default', None (no derivative), a callable, an op, or a list with one of these for each term"))
        self.overridden = [not _is_default(rule) for rule in self.rules]
        self.given = any(self.overridden)

    def disconnects(self, k: int) -> bool:
        """Whether nothing flows into term `k`, whatever the values are."""
        rule = self.rules[k]
        return rule is None or _stands(rule) and isinstance(rule.type, DisconnectedType)

    def __call__(self, inputs: list[Variable], outputs: list[Variable] | None, given: list[Variable], name: str) -> list[Any]:
        """Return the terms; those that aren't overridden are None."""
        if not self.each and callable(self.rules[0]):
            made = self._term(self.rules[0], inputs, outputs, given)
            made = list(made) if isinstance(made, (list, tuple)) else [made]
            if len(made) != len(self.rules):
                raise errors.GraphError(f"{name}: {self.what} returned {len(made)} terms instead of {len(self.rules)}")
            return made
        found = []
        for rule in self.rules:
            if callable(rule):
                rule = self._term(rule, inputs, outputs, given)
                if isinstance(rule, (list, tuple)):
                    if len(rule) != 1:
                        raise errors.GraphError(f"{name}: an entry of {self.what} must give one variable, got {len(rule)}")
                    rule = rule[0]
            found.append(None if _is_default(rule) else rule)
        return found

    def _term(self, rule: Callable[..., Any], inputs: list[Variable], outputs: list[Variable] | None, given: list[Variable]
              ) -> Any:
        before = [outputs] if self.with_outputs else []
        if isinstance(rule, Op):  # an op takes them one by one
            return rule(*inputs, *(v for vs in before for v in vs or ()), *given)
        return rule(inputs, *before, given)


def _stands(rule: Any) -> bool:
    """Whether a rule is a variable that says that there is no derivative."""
    return isinstance(rule, Variable) and isinstance(rule.type, (NullType, DisconnectedType))


def _restored(cls: type[OpFromGraph], state: dict[str, Any], leaves: Any, flat: Any, places: Any) -> OpFromGraph:
    made = cls.__new__(cls)
    made.__dict__.update(state)
    made.outputs = tuple(restore(leaves, flat, places))
    made._finish()
    return made


def op_from_graph(inputs: Sequence[Variable], outputs: Any, inline: bool = False, grad_overrides: Any = None,
                  rop_overrides: Any = None, lop_overrides: Any = None, connection_pattern: Any = None,
                  name: str | None = None) -> OpFromGraph:
    """Return an op that computes `outputs` from `inputs`, to be applied to other variables as often as one likes.

    Parameters
    ----------
    inputs : list of Variable
        What the op takes. What the graph uses besides, such as shared variables, is found by itself.
    outputs : Variable, or list or tuple of Variable
        One variable, or a list of one, makes calls return a variable; several a list.
    inline : bool
        Without effect: the compiler always sees the composition, so nothing is lost.
    grad_overrides : optional
        The derivative, where it isn't that of the graph: a callable of ``(inputs, output_gradients)``, two lists, which
        returns a gradient for each input; an op that takes all of these; None for the graph's. Or a list with an entry for
        each input: a callable or op that returns one gradient; 'default' for the graph's; None, or a variable of
        DisconnectedType, where nothing flows; a variable of NullType where it isn't defined.
    rop_overrides : optional
        The same for forward derivatives: of ``(inputs, tangents)``, with terms for the outputs. If only gradients are
        overridden, forward derivatives follow from them.
    lop_overrides : optional
        As `grad_overrides`, of ``(inputs, outputs, output_gradients)``; only one of the two.
    connection_pattern : list of list of bool, optional
        For each input, which outputs it reaches with a gradient. Found by itself.
    name : str, optional

    Returns
    -------
    OpFromGraph

    Raises
    ------
    TypeError
        If `inputs` isn't a list of variables, or an override is none of these.
    ValueError
        If an override has the wrong number of entries, or an input stands twice.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, y = T.dscalars("xy")
    >>> hypot = op_from_graph([x, y], T.sqrt(x ** 2 + y ** 2), name="hypot")
    >>> a = T.dscalar("a")
    >>> value, slope = symbolic.function([a], [hypot(a, 4.0), symbolic.grad(hypot(a, 4.0), a)])(3)
    >>> float(value), round(float(slope), 12)
    (5.0, 0.6)
    """
    return OpFromGraph(inputs, outputs, inline, lop_overrides, grad_overrides, rop_overrides, connection_pattern, name)
