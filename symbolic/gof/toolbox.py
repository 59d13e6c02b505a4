"""Features of a :class:`~symbolic.gof.fg.FunctionGraph`: undoing, validating, finding, printing."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from symbolic.graph import Apply, Op, Variable


class Feature:
    """What a feature may be told: override what is of interest."""

    def on_attach(self, fgraph: Any) -> None:
        """See the graph that this is attached to; methods may be added to it."""

    def on_detach(self, fgraph: Any) -> None:
        """See that this isn't attached any more."""

    def on_import(self, fgraph: Any, node: Apply, reason: Any) -> None:
        """See an application that became part of the graph."""

    def on_prune(self, fgraph: Any, node: Apply, reason: Any) -> None:
        """See an application that is no longer needed."""

    def on_change_input(self, fgraph: Any, node: Any, i: int, r: Variable, new_r: Variable, reason: Any = None) -> None:
        """See an operand that became another one."""


class AlreadyThere(Exception):
    """The graph has such a feature already."""


class History(Feature):
    """Adds ``checkpoint()`` and ``revert(checkpoint)`` to a graph.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> from symbolic.gof.fg import FunctionGraph
    >>> x = T.dscalar("x")
    >>> g = FunctionGraph([x], [T.exp(x)], features=[History()])
    >>> before = g.checkpoint()
    >>> g.replace(g.outputs[0], T.cos(g.inputs[0]))
    >>> g.revert(before)
    >>> g.outputs[0].owner.op
    exp
    """

    def __init__(self) -> None:
        self.changes: list[tuple[Any, int, Variable]] = []
        self.reverting = False

    def on_attach(self, fgraph: Any) -> None:
        if hasattr(fgraph, "checkpoint") or hasattr(fgraph, "revert"):
            raise AlreadyThere("the graph has a History already")
        fgraph.checkpoint = lambda: len(self.changes)
        fgraph.revert = lambda checkpoint: self._revert(fgraph, checkpoint)

    def on_detach(self, fgraph: Any) -> None:
        del fgraph.checkpoint, fgraph.revert

    def on_change_input(self, fgraph: Any, node: Any, i: int, r: Variable, new_r: Variable, reason: Any = None) -> None:
        if not self.reverting:
            self.changes.append((node, i, r))

    def _revert(self, fgraph: Any, checkpoint: int) -> None:
        self.reverting = True
        try:
            while len(self.changes) > checkpoint:
                node, i, r = self.changes.pop()
                fgraph.change_input(node, i, r, "revert")
        finally:
            self.reverting = False


class ReplaceValidate(History):
    """Adds ``replace_validate`` and ``replace_all_validate``: replacements are undone if a feature's ``validate`` raises."""

    def on_attach(self, fgraph: Any) -> None:
        super().on_attach(fgraph)
        fgraph.validate = lambda: fgraph.execute_callbacks("validate")
        fgraph.replace_validate = lambda r, new_r, reason=None: self._replace(fgraph, [(r, new_r)], reason)
        fgraph.replace_all_validate = lambda pairs, reason=None: self._replace(fgraph, pairs, reason)

    def on_detach(self, fgraph: Any) -> None:
        super().on_detach(fgraph)
        del fgraph.validate, fgraph.replace_validate, fgraph.replace_all_validate

    def _replace(self, fgraph: Any, pairs: Iterable[tuple[Variable, Variable]], reason: Any) -> None:
        before = fgraph.checkpoint()
        try:
            for r, new_r in pairs:
                fgraph.replace(r, new_r, reason)
            fgraph.validate()
        except Exception:
            fgraph.revert(before)
            raise


class NodeFinder(Feature):
    """Adds ``get_nodes(op)``: the applications of an op."""

    def __init__(self) -> None:
        self.found: dict[Op, dict[Apply, None]] = {}

    def on_attach(self, fgraph: Any) -> None:
        if hasattr(fgraph, "get_nodes"):
            raise AlreadyThere("the graph has a NodeFinder already")
        fgraph.get_nodes = lambda op: list(self.found.get(op, ()))

    def on_detach(self, fgraph: Any) -> None:
        del fgraph.get_nodes
        self.found.clear()

    def on_import(self, fgraph: Any, node: Apply, reason: Any) -> None:
        self.found.setdefault(node.op, {})[node] = None

    def on_prune(self, fgraph: Any, node: Apply, reason: Any) -> None:
        self.found.get(node.op, {}).pop(node, None)


class PrintListener(Feature):
    """Prints what happens to a graph.

    Parameters
    ----------
    active : bool
        Whether it prints; may be changed at any time.
    """

    def __init__(self, active: bool = True) -> None:
        self.active = active

    def _say(self, *words: Any) -> None:
        if self.active:
            print("--", *words)

    def on_attach(self, fgraph: Any) -> None:
        self._say("attaching to:", fgraph)

    def on_detach(self, fgraph: Any) -> None:
        self._say("detaching from:", fgraph)

    def on_import(self, fgraph: Any, node: Apply, reason: Any) -> None:
        self._say(f"importing: {node}, reason: {reason}")

    def on_prune(self, fgraph: Any, node: Apply, reason: Any) -> None:
        self._say(f"pruning: {node}, reason: {reason}")

    def on_change_input(self, fgraph: Any, node: Any, i: int, r: Variable, new_r: Variable, reason: Any = None) -> None:
        self._say(f"changing ({node}.inputs[{i}]) from {r} to {new_r}")


class NoOutputFromInplace(Feature):
    """Theano's; graphs have no in-place ops here, so there is nothing to forbid."""


class BadOptimization(AssertionError):
    """A rewrite that changes values; ``mode="CHECK"`` raises :class:`symbolic.errors.CheckError` instead."""
