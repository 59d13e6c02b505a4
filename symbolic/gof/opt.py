"""Rewrites in Theano's form, as rules of this package: ``@register_specialize`` over ``@local_optimizer([T.log])``.

Rules act on nodes; what Theano does in passes of a position is done here where the tags say, see ``docs/rewrites.md``.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable
from symbolic.ops.elementwise import Elementwise, Row
from symbolic.ops.reduce import Reduce
from symbolic.opt.rules import ANY, RULES, Rule, register, tags_of, unregister
from symbolic.source import SourceLoc, standing_for


def _root(tracked: Any) -> Any:
    """Return what rules call an op, a class of ops or an elementwise function."""
    if isinstance(tracked, Row):
        return tracked.name
    if isinstance(tracked, (Elementwise, Reduce)):
        return tracked.fn
    if isinstance(tracked, type) and issubclass(tracked, Op):
        return tracked
    if isinstance(tracked, Op):
        return type(tracked)
    raise TypeError(f"a rewrite tracks ops, classes of ops and functions such as T.log, got {tracked!r}")


class LocalOptimizer:
    """A rewrite of one application.

    Parameters
    ----------
    function : callable
        From an Apply to False or None (nothing to do), a list with a variable for each output, or a dict from outputs to
        variables.
    tracks : list of Op, class of Op, or function of ``symbolic.tensor``; or None
        The applications it is tried on; None for all.
    name : str
    """

    def __init__(self, function: Callable[[Apply], Any], tracks: Sequence[Any] | None, name: str) -> None:
        self.transform, self._tracks, self.__name__, self.name = function, tracks, name, name
        self.__doc__ = function.__doc__
        self.instances = tuple(t for t in tracks or () if isinstance(t, Op) and not isinstance(t, (Elementwise, Reduce)))
        self.roots = (ANY,) if tracks is None else tuple(map(_root, tracks))

    def tracks(self) -> Sequence[Any] | None:
        """Return what it is tried on."""
        return self._tracks

    def __call__(self, node: Apply) -> Any:
        """Return what stands for the outputs of an application; None where it doesn't apply."""
        if self.instances and type(node.op) in map(type, self.instances) and node.op not in self.instances:
            return None
        found = self.transform(node)
        if found is False or found is None:
            return None
        if isinstance(found, Variable):
            return found
        if isinstance(found, dict):
            strange = [k for k in found if k not in node.outputs and k != "remove"]
            if strange:
                raise errors.NotSupported(f"rewrite {self.name}: it replaces {strange[0]}, which isn't an output of {node}\n"
                                          "hint: a rule stands at the application whose outputs it replaces")
            return [found.get(o, o) for o in node.outputs]
        return list(found)

    def __str__(self) -> str:
        return self.name


def local_optimizer(tracks: Sequence[Any] | None, inplace: bool = False, requirements: Any = ()
                    ) -> Callable[[Callable[[Apply], Any]], LocalOptimizer]:
    """Return a decorator that makes a rewrite of a function; it is active once it is registered.

    Parameters
    ----------
    tracks : list or None
        As for :class:`LocalOptimizer`.
    inplace, requirements
        Accepted as in Theano: ops don't write into their operands here, and graphs need no features.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> from symbolic.opt.rules import unregister
    >>> @register_specialize("example")
    ... @local_optimizer([T.sin])
    ... def local_sine_of_arcsine(node):
    ...     inner = node.inputs[0].owner
    ...     if inner is not None and str(inner.op) == "arcsin":
    ...         return [inner.inputs[0]]
    >>> x = T.dscalar("x")
    >>> f = symbolic.function([x], T.sin(T.arcsin(x)) + 1)
    >>> [str(node.op) for node in f.maker.fgraph.toposort()]
    ['add']
    >>> unregister("local_sine_of_arcsine")
    """
    if tracks is not None and not tracks:
        raise ValueError("local_optimizer: tracks must be None (all ops) or a list that isn't empty")

    def decorator(function: Callable[[Apply], Any]) -> LocalOptimizer:
        return LocalOptimizer(function, tracks, function.__name__)

    return decorator


def register_rule(rewrite: LocalOptimizer, name: str, tags: Sequence[str]) -> LocalOptimizer:
    """Make a rewrite one of the rules; a rule of this name is replaced."""
    home = getattr(rewrite.transform, "__module__", "user")
    try:
        unregister(name)
    except KeyError:
        pass
    register(Rule(name, rewrite.roots, rewrite, tags_of(tags), (rewrite.__doc__ or "").strip(),
                  home if not home.startswith("symbolic.gof") else "user"))
    return rewrite


def _registrar(kind: str) -> Callable[..., Any]:
    def register_(lopt: Any, *tags: str, **kwargs: Any) -> Any:
        if isinstance(lopt, str):
            return lambda inner: register_(inner, lopt, *tags, **kwargs)
        return register_rule(lopt, kwargs.get("name") or lopt.name, (kind, *(t for t in tags if t not in ("fast_run",))))

    register_.__name__ = f"register_{kind}"
    register_.__doc__ = f"""Make a rewrite a rule with the tag '{kind}'; a decorator, with more tags or without.

    Tags that begin with 'unsafe' or 'opt_in' make it one that a mode must ask for.
    """
    return register_


register_canonicalize = _registrar("canonicalize")
register_stabilize = _registrar("stabilize")
register_specialize = _registrar("specialize")
register_uncanonicalize = _registrar("uncanonicalize")
register_specialize_device = _registrar("specialize_device")
register_useless = _registrar("useless")


class PatternSub(LocalOptimizer):
    """A rewrite of one expression into another, as nested tuples.

    Parameters
    ----------
    in_pattern : tuple
        An op or function, then its operands: patterns; strings, which stand for variables, equal ones for the same; numbers;
        or ``{'pattern': p, 'constraint': f}``, where ``f(variable)`` must be true.
    out_pattern : tuple, str or number
    allow_multiple_clients : bool
        Accepted as in Theano; it always matches.
    name : str, optional

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> rewrite = PatternSub((T.add, (T.mul, "x", "y"), (T.mul, "x", "z")), (T.mul, "x", (T.add, "y", "z")))
    >>> a, b, c = T.scalars("abc")
    >>> rewrite((a * b + a * c).owner)[0].owner.op
    mul
    """

    def __init__(self, in_pattern: Any, out_pattern: Any, allow_multiple_clients: bool = False, skip_identities_fn: Any = None,
                 name: str | None = None, tracks: Any = (), get_nodes: Any = None) -> None:
        if not isinstance(in_pattern, (tuple, list)):
            raise TypeError(f"PatternSub: in_pattern must be a tuple (op, operands...), got {in_pattern!r}")
        self.in_pattern, self.out_pattern = in_pattern, out_pattern
        super().__init__(self._transform, [in_pattern[0]], name or f"{in_pattern} -> {out_pattern}")

    def _transform(self, node: Apply) -> Any:
        found: dict[str, Variable] = {}
        if len(node.outputs) != 1 or not self._matches(self.in_pattern, node.outputs[0], found):
            return False
        with standing_for(node.loc if isinstance(node.loc, SourceLoc) else None):
            made = self._built(self.out_pattern, found)
        return [made] if made.type.dtype == node.outputs[0].dtype and made.ndim == node.outputs[0].ndim else False

    def _matches(self, pattern: Any, v: Variable, found: dict[str, Variable]) -> bool:
        if isinstance(pattern, dict):
            return self._matches(pattern["pattern"], v, found) and bool(pattern["constraint"](v))
        if isinstance(pattern, str):
            return found.setdefault(pattern, v) is v or _same_constant(found[pattern], v)
        if isinstance(pattern, (tuple, list)):
            n = v.owner
            return (n is not None and len(n.inputs) == len(pattern) - 1 and _is(n.op, pattern[0])
                    and all(self._matches(p, x, found) for p, x in zip(pattern[1:], n.inputs, strict=True)))
        if isinstance(pattern, Variable) and not isinstance(pattern, Constant):
            return pattern is v
        value = pattern.data if isinstance(pattern, Constant) else pattern
        return isinstance(v, Constant) and bool(np.all(v.data == value))

    def _built(self, pattern: Any, found: dict[str, Variable]) -> Variable:
        if isinstance(pattern, str):
            return found[pattern]
        if isinstance(pattern, (tuple, list)):
            return pattern[0](*(self._built(p, found) for p in pattern[1:]))
        return as_tensor_variable(pattern)


def _same_constant(a: Variable, b: Variable) -> bool:
    return isinstance(a, Constant) and isinstance(b, Constant) and a.type == b.type and np.array_equal(a.data, b.data)


def _is(op: Op, wanted: Any) -> bool:
    if isinstance(wanted, Row):
        return isinstance(op, Elementwise) and op.fn == wanted.name
    return isinstance(op, wanted) if isinstance(wanted, type) else op == wanted


class OpSub(LocalOptimizer):
    """A rewrite that puts one op in the place of another, on the same operands."""

    def __init__(self, op1: Any, op2: Any, transfer_tags: bool = True) -> None:
        def replace(node: Apply) -> Any:
            return op2(*node.inputs, return_list=True) if _is(node.op, op1) and isinstance(op2, Op) else (
                [op2(*node.inputs)] if _is(node.op, op1) else False)

        super().__init__(replace, [op1], f"{op1} -> {op2}")


class OpRemove(LocalOptimizer):
    """A rewrite that puts the only operand in the place of an op."""

    def __init__(self, op: Any) -> None:
        super().__init__(lambda node: list(node.inputs) if _is(node.op, op) and len(node.inputs) == 1 else False, [op],
                         f"{op}(x) -> x")


def in2out(*local_opts: LocalOptimizer, **kwargs: Any) -> LocalOptimizer:
    """Return a rewrite: rules are applied from the inputs to the outputs in any case."""
    if len(local_opts) == 1:
        return local_opts[0]

    def first(node: Apply) -> Any:
        return next((found for rewrite in local_opts if (found := rewrite(node)) is not None), False)

    tracks = [t for o in local_opts for t in o.tracks() or ()]
    return LocalOptimizer(first, tracks or None, kwargs.get("name", "in2out"))


out2in = in2out


def optimizer(function: Callable[..., Any]) -> Any:
    """Theano's decorator for rewrites of whole graphs; there is none here.

    Raises
    ------
    NotSupported
    """
    raise errors.NotSupported(f"optimizer: {function.__name__} rewrites whole graphs, which rules here don't\nhint: write it as "
                              "a @local_optimizer of the application it starts from")


class _OptDB:
    """Theano's data base of rewrites; what is registered becomes a rule."""

    def register(self, name: str, obj: Any, *tags: Any, **kwargs: Any) -> None:
        """Make a rewrite a rule; `position` is accepted, but tags say where a rule acts."""
        if not isinstance(obj, LocalOptimizer):
            raise errors.NotSupported(f"optdb.register({name!r}): needs a rewrite made by local_optimizer, PatternSub or OpSub, "
                                      f"got {type(obj).__name__}")
        register_rule(obj, name, [t for t in tags if isinstance(t, str) and t != "fast_run"] or ["canonicalize"])

    def __contains__(self, name: str) -> bool:
        return name in RULES


optdb = _OptDB()


def copy_stack_trace(from_var: Any, to_var: Any) -> Any:
    """Return `to_var`: what a rule returns gets the user's line of the application it stands for by itself."""
    return to_var
