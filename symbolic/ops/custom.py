"""Functions of variables with derivatives of their users' own."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, clone_replace, describe
from symbolic.ops.from_graph import OpFromGraph
from symbolic.reverse import pullbacks, zeros_of
from symbolic.source import caller


class custom_gradient:
    """Give a function of symbolic variables a derivative of its own, as a decorator.

    Parameters
    ----------
    fn : callable
        Takes variables, returns ``value, pullback``: one variable or a list of them, and a function of as many cotangents
        that returns one for each argument (bare if there is one argument; None where nothing flows). Or it returns the
        value alone, and the rule is given afterwards, by one or both of

        - ``@fn.pullback``, a function ``(inputs, outputs, cotangents)`` that returns a cotangent for each input,
        - ``@fn.pushforward``, a function ``(inputs, outputs, tangents)`` that returns a tangent for each output.

        Either direction follows from the other where it isn't given.

    Notes
    -----
    All positional arguments are made variables and are what is differentiated; keyword arguments go to `fn` as they are.
    What `fn` uses besides its arguments is differentiated as it is written. Rules may be differentiated in turn: the
    second derivative is that of the rule. The value is compiled like any composition.

    Raises
    ------
    TypeError
        If `fn` returns anything but variables.
    GraphError
        When a derivative is asked for, if a rule returns the wrong number of terms, or none was given.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> @custom_gradient
    ... def rounded(x):
    ...     return T.round(x), lambda g: g  # straight through
    >>> x = T.dscalar("x")
    >>> float(symbolic.function([x], symbolic.grad(rounded(x) ** 2, x))(2.6))
    6.0
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        if not callable(fn):
            raise TypeError(f"custom_gradient: needs a function, got {fn!r}")
        self.fn = fn
        self._back: Callable[..., Any] | None = None
        self._forth: Callable[..., Any] | None = None
        update_wrapper(self, fn)

    def pullback(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take `rule` as the backward derivative; a decorator."""
        self._back = rule
        return rule

    def pushforward(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Take `rule` as the forward derivative; a decorator."""
        self._forth = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the function to variables, or what can become one."""
        given = [as_tensor_variable(a) for a in args]
        inner = [Variable(v.type, name=v.name, loc=v.loc) for v in given]
        made = self.fn(*inner, **kwargs)
        back = None
        if isinstance(made, tuple) and len(made) == 2 and callable(made[1]) and not isinstance(made[1], Variable):
            made, back = made
        several = isinstance(made, (list, tuple))
        values = list(made) if several else [made]
        name = getattr(self.fn, "__name__", "function")
        for v in values:
            if not isinstance(v, Variable):
                raise TypeError(errors.message(name, f"must return variables, or variables and a pullback, got {v!r} "
                                               f"({type(v).__name__})", tuple(map(describe, given)), caller()))
        rule = _Rule(self, name, inner, values, back)
        op = OpFromGraph(inner, values, lop_overrides=rule.back, rop_overrides=rule.forth if self._forth else "default",
                         name=name)
        outputs = op(*given, return_list=True)
        return type(made)(outputs) if several else outputs[0]


class _Rule:
    """The derivative of one application, over the variables that its function was called with."""

    def __init__(self, owner: custom_gradient, name: str, inner: Sequence[Variable], values: Sequence[Variable],
                 back: Callable[..., Any] | None) -> None:
        self.owner, self.name, self.inner, self.values, self.inline = owner, name, list(inner), list(values), back

    def back(self, inputs: list[Variable], outputs: list[Variable], gouts: list[Variable]) -> list[Any]:
        """Return the cotangents of `inputs`."""
        if self.inline is not None:
            cotangents = [Variable(g.type) for g in gouts]
            found = self._listed(self.inline(*cotangents), len(inputs), "pullback")
            table = dict(zip([*self.inner, *cotangents], [*inputs, *gouts], strict=True))
            plain = [as_tensor_variable(g) for g in found if g is not None]
            made = iter(clone_replace(plain, table))
            return [None if g is None else next(made) for g in found]
        if self.owner._back is not None:
            return self._listed(self.owner._back(inputs, outputs, gouts), len(inputs), "pullback")
        if self.owner._forth is None:
            raise errors.GraphError(f"{self.name}: it has no rule for its derivative\nhint: return (value, pullback), or define "
                                    f"@{self.name}.pullback or @{self.name}.pushforward")
        # the tangents are linear in those of the inputs, so the transpose is a gradient at any of them
        tangents = [Variable(x.type) for x in inputs]
        ahead = self.forth(inputs, tangents, outputs)
        seeds: dict[Variable, Variable] = {}
        for t, g in zip(ahead, gouts, strict=True):
            if t is not None:
                seeds[t] = seeds[t] + g if t in seeds else g  # type: ignore[operator]
        flow = pullbacks(seeds, tangents, {*inputs, *outputs})
        zeros = {t: zeros_of(x) for t, x in zip(tangents, inputs, strict=True)}
        return [None if t not in flow else clone_replace([flow[t]], zeros)[0] for t in tangents]

    def forth(self, inputs: list[Variable], tangents: list[Variable], outputs: list[Variable] | None = None) -> list[Any]:
        """Return the tangents of the outputs."""
        assert self.owner._forth is not None
        if outputs is None:
            outputs = clone_replace(self.values, dict(zip(self.inner, inputs, strict=True)))
        return self._listed(self.owner._forth(inputs, outputs, tangents), len(self.values), "pushforward")

    def _listed(self, found: Any, n: int, what: str) -> list[Any]:
        terms = list(found) if isinstance(found, (list, tuple)) else [found]
        if len(terms) != n:
            raise errors.GraphError(f"{self.name}: its {what} returned {len(terms)} terms instead of {n}")
        return terms
