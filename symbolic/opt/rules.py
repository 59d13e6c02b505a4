"""The registry of rewrite rules: what there is, and which of them a mode selects.

A rule is data: a name, tags, the ops at its root, and a function from a node to what may stand in its place. Rules whose
left and right side are expressions are made by :func:`rule`, the others by the decorator :func:`node_rule`.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from symbolic.config import config
from symbolic.graph import Apply, Op, Variable
from symbolic.mode import Mode
from symbolic.ops.elementwise import Elementwise
from symbolic.ops.reduce import Reduce

#: What stands for a node: its only output, its outputs, or None where a rule doesn't apply.
Result = Variable | Sequence[Variable] | None

#: The root of rules that are tried on every node.
ANY = "*"
#: Tags with which a rule isn't active unless it is asked for.
OPT_IN = frozenset({"unsafe", "opt_in"})
#: Tags that every mode begins with.
BASE = {"FAST_RUN": "fast_run", "CHECK": "fast_run", "FAST_COMPILE": "fast_compile"}


@dataclass(frozen=True, eq=False)
class Rule:
    """One rewrite.

    Attributes
    ----------
    name : str
    roots : tuple
        Names of elementwise functions and reductions, and classes of ops, of the nodes it is tried on.
    apply : callable
        From an Apply to a :data:`Result`; dtype, rank and shape of what it returns are checked by the driver.
    tags : frozenset of str
    doc : str
        What it does, as a formula.
    home : str
        The module that defined it.
    left, right
        The two sides, where it has them; `kinds` are the dtype kinds of its variables, `where` its condition.
    """

    name: str
    roots: tuple[Any, ...]
    apply: Callable[[Apply], Result]
    tags: frozenset[str]
    doc: str
    home: str
    left: Any = None
    right: Any = None
    kinds: str = "f"
    where: Callable[..., bool] | None = None

    @property
    def labels(self) -> frozenset[str]:
        """Its tags and its name."""
        return self.tags | {self.name}


#: Every rule by name, in the order in which they are tried.
RULES: dict[str, Rule] = {}


def register(made: Rule) -> Rule:
    """Add a rule.

    Raises
    ------
    ValueError
        If there is one of this name.
    """
    if made.name in RULES:
        raise ValueError(f"there is a rule {made.name!r} already; give it another name, or take the old one out with "
                         "unregister()")
    RULES[made.name] = made
    selected.cache_clear()
    return made


def unregister(name: str) -> None:
    """Take a rule out.

    Raises
    ------
    KeyError
        If there is none of this name.
    """
    del RULES[name]
    selected.cache_clear()


def tags_of(tags: Iterable[str]) -> frozenset[str]:
    """Return tags with those that say in which modes a rule is active by default."""
    given = frozenset([tags] if isinstance(tags, str) else tags)
    if given & OPT_IN:
        return given
    return given | {"fast_run"} | ({"fast_compile"} if "stabilize" in given else set())


def node_rule(*roots: Any, name: str | None = None, tags: Iterable[str] = ("canonicalize",)) -> Callable[[Callable], Rule]:
    """Return a decorator that makes a rule of a function from a node to what stands for it.

    Parameters
    ----------
    *roots : str or class of Op
        Names of elementwise functions or reductions, or classes of ops: the nodes it is tried on.
    name : str, optional
        By default the function's.
    tags : iterable of str
        ``stabilize`` rules act on the graph as the user wrote it, in all modes and before differentiation; others on the
        captured graph, where softmax and the like are already compositions. ``gradient`` and ``value`` with it limit them
        to what is differentiated, or to what is computed. ``unsafe`` and ``opt_in`` must be asked for.

    Examples
    --------
    >>> from symbolic.opt.rules import node_rule, unregister
    >>> @node_rule("neg", name="example_negation", tags=("opt_in",))
    ... def negation(node):
    ...     "neg(neg(x)) -> x"
    ...     inner = node.inputs[0].owner
    ...     return inner.inputs[0] if inner is not None and str(inner.op) == "neg" else None
    >>> negation.tags
    frozenset({'opt_in'})
    >>> unregister("example_negation")
    """
    def made(function: Callable[[Apply], Result]) -> Rule:
        doc = (function.__doc__ or "").strip()
        return register(Rule(name or function.__name__, roots, function, tags_of(tags), doc, function.__module__))

    return made


def key_of(op: Op) -> Any:
    """Return what rules name an op by: the function of an elementwise op or a reduction, else its class."""
    return op.fn if isinstance(op, (Elementwise, Reduce)) else type(op)


class RuleSet:
    """The rules that are tried, by the root of a node.

    Attributes
    ----------
    rules : tuple of Rule
    by_root : dict
        From :func:`key_of` an op to rules.
    identity : str
        Equal for sets that do the same: names of our rules (their code belongs to the version of the package).
    own : bool
        Whether all of them are this package's.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.by_root: dict[Any, tuple[Rule, ...]] = {}
        self.anywhere = tuple(r for r in rules if ANY in r.roots)
        for r in rules:
            for root in r.roots:
                if root != ANY:
                    self.by_root[root] = (*self.by_root.get(root, self.anywhere), r)
        self.identity = " ".join(r.name for r in rules)
        self.own = all(r.home.partition(".")[0] == "symbolic" for r in rules)


def _settings() -> tuple[str, str, str]:
    return config.optimizer_including, config.optimizer_excluding, config.optimizer_requiring


def rules_for(mode: Mode, stage: str) -> RuleSet:
    """Return the rules of a mode, as ``config.optimizer_including`` and the like change it.

    Parameters
    ----------
    mode : Mode
    stage : {'stable', 'gradient', 'captured'}
        The user's graph before it is captured; before it is differentiated; the captured graph.
    """
    return selected(mode, stage, *_settings())


@cache
def selected(mode: Mode, stage: str, including: str, excluding: str, requiring: str) -> RuleSet:
    """Return the rules that a mode and the settings select."""
    include = {BASE[mode.name], *mode.include, *_split(including)}
    exclude = {*mode.exclude, *_split(excluding)}
    require = {*mode.require, *_split(requiring)}
    found = [r for r in RULES.values() if stage in _stages(r) and r.labels & include and not r.labels & exclude
             and r.labels >= require]
    return RuleSet(found)


def _stages(r: Rule) -> tuple[str, ...]:
    if "gradient" in r.tags:
        return ("gradient",)
    if "value" in r.tags:
        return ("stable",)
    return ("stable", "gradient") if "stabilize" in r.tags else ("captured",)


def _split(text: str) -> list[str]:
    return [t for t in text.replace(",", ":").split(":") if t]
