"""A graph that can be changed: Theano's `FunctionGraph`, with features that are told of each change.

The compiler's own graphs are pure and are rewritten into new ones; this one is for people who take graphs apart.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from symbolic import errors
from symbolic.errors import MissingInputError
from symbolic.gof.graph import clone_get_equiv, io_toposort
from symbolic.graph import Apply, Constant, Variable, describe
from symbolic.shared import SharedVariable
from symbolic.source import caller

#: Who reads a variable: an application, or 'output', and the position.
Client = tuple[Any, int]


class FunctionGraph:
    """A graph between inputs and outputs in which variables can be replaced.

    Parameters
    ----------
    inputs, outputs : list of Variable
        Outputs may depend on inputs, constants and shared variables only.
    features : list, optional
        Objects of :mod:`symbolic.gof.toolbox`, or with methods of those names.
    clone : bool
        Work on a copy of the graph. Else applications of the graph itself are changed in place.
    update_mapping : dict from int to int, optional
        Which outputs are the new values of which inputs; kept, not used.

    Attributes
    ----------
    inputs, outputs : list of Variable
    apply_nodes : set of Apply
    variables : set of Variable
    clients : dict from Variable to list of (Apply or 'output', int)

    Raises
    ------
    MissingInputError
        If an output needs a variable that isn't among `inputs`.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, y = T.dscalars("xy")
    >>> g = FunctionGraph([x, y], [T.exp(x) * y])
    >>> node = g.toposort()[0]
    >>> g.replace(node.outputs[0], T.cos(node.inputs[0]))
    >>> symbolic.function(g.inputs, g.outputs[0])(0.0, 3.0)
    array(3.)
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable], features: Iterable[Any] | None = None,
                 clone: bool = True, update_mapping: Mapping[int, int] | None = None) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.update_mapping = dict(update_mapping or {})
        if clone:
            table = clone_get_equiv(self.inputs, self.outputs, copy_orphans=False)
            self.inputs = [table[v] for v in self.inputs]
            self.outputs = [table[v] for v in self.outputs]
        self._features: list[Any] = []
        self.clients: dict[Variable, list[Client]] = {v: [] for v in self.inputs}
        self.apply_nodes: set[Apply] = set()
        self._inputs = set(self.inputs)
        for f in features or ():
            self.attach_feature(f)
        for k, v in enumerate(self.outputs):
            self._import([v], "init")
            self.clients.setdefault(v, []).append(("output", k))

    @property
    def variables(self) -> set[Variable]:
        """All variables of the graph."""
        return {*self.inputs, *self.outputs, *(v for n in self.apply_nodes for v in (*n.inputs, *n.outputs))}

    # ---- features ----

    def attach_feature(self, feature: Any) -> None:
        """Let an object be told of changes; its ``on_attach(fgraph)`` is called, and what it adds to this object stays."""
        if any(f is feature or f == feature for f in self._features):
            return
        if hasattr(feature, "on_attach"):
            feature.on_attach(self)
        self._features.append(feature)
        for n in self.toposort() if self.apply_nodes else ():
            self._tell_one(feature, "on_import", n, "attach")

    def remove_feature(self, feature: Any) -> None:
        """Tell an object no more; its ``on_detach(fgraph)`` is called."""
        for k, f in enumerate(self._features):
            if f is feature or f == feature:
                del self._features[k]
                self._tell_one(feature, "on_detach")
                return

    def _tell_one(self, feature: Any, what: str, *args: Any) -> None:
        method = getattr(feature, what, None)
        if method is not None:
            method(self, *args)

    def execute_callbacks(self, name: str, *args: Any) -> None:
        """Call a method of every feature that has it, with this graph and `args`."""
        for f in list(self._features):
            self._tell_one(f, name, *args)

    def collect_callbacks(self, name: str, *args: Any) -> dict[Any, Any]:
        """Return what a method of every feature that has it returns."""
        return {f: getattr(f, name)(self, *args) for f in self._features if hasattr(f, name)}

    # ---- changes ----

    def _import(self, roots: Sequence[Variable], reason: Any) -> None:
        known = set(self.clients) | self._inputs
        for n in io_toposort(known, roots):
            if n in self.apply_nodes:
                continue
            for v in n.inputs:
                self._check_leaf(v)
            self.apply_nodes.add(n)
            for k, v in enumerate(n.inputs):
                self.clients.setdefault(v, []).append((n, k))
            for v in n.outputs:
                self.clients.setdefault(v, [])
            self.execute_callbacks("on_import", n, reason)
        for v in roots:
            self._check_leaf(v)
            self.clients.setdefault(v, [])

    def _check_leaf(self, v: Variable) -> None:
        if v.owner is None and v not in self._inputs and not isinstance(v, (Constant, SharedVariable)):
            raise MissingInputError(errors.message("FunctionGraph", f"the graph needs {describe(v)}, which isn't among its "
                                                   "inputs", (), v.loc, "add it to the inputs, or replace something else"))

    def _prune(self, start: Variable, reason: Any) -> None:
        """Drop what nobody reads any more."""
        stack = [start]
        while stack:
            v = stack.pop()
            n = v.owner
            if n is None or n not in self.apply_nodes or any(self.clients.get(o) for o in n.outputs):
                continue
            self.apply_nodes.discard(n)
            self.execute_callbacks("on_prune", n, reason)
            for k, x in enumerate(n.inputs):
                self.clients[x].remove((n, k))
                stack.append(x)
            for o in n.outputs:
                self.clients.pop(o, None)

    def change_input(self, node: Any, i: int, new_r: Variable, reason: Any = None) -> None:
        """Let operand `i` of an application (or output `i` of the graph, for ``node='output'``) be another variable.

        Raises
        ------
        GraphError
            If it has another dtype or rank, or the result would depend on itself.
        """
        old = self.outputs[i] if node == "output" else node.inputs[i]
        if old is new_r:
            return
        if old.dtype != new_r.dtype or old.ndim != new_r.ndim:
            raise errors.GraphError(errors.message(
                "FunctionGraph.change_input", "the new variable has another type", (describe(old), describe(new_r)), caller(),
                f"bring it to {old.type}"))
        self._import([new_r], reason)
        if node == "output":
            self.outputs[i] = new_r
        else:
            node.inputs = (*node.inputs[:i], new_r, *node.inputs[i + 1:])
        self.clients[old].remove((node, i))
        self.clients[new_r].append((node, i))
        self.execute_callbacks("on_change_input", node, i, old, new_r, reason)
        self._prune(old, reason)

    def replace(self, r: Variable, new_r: Variable, reason: Any = None, verbose: bool | None = None) -> None:
        """Let every reader of `r` read `new_r`.

        Notes
        -----
        Where `new_r` itself is computed from `r` (``T.exp(r)`` in the place of `r`), what computes it keeps reading `r`.

        Raises
        ------
        GraphError
            If it has another dtype or rank.
        """
        if verbose:
            print(f"{reason or 'replace'}: {r} -> {new_r}")
        if r not in self.clients:
            return
        if r.dtype != new_r.dtype or r.ndim != new_r.ndim:
            raise errors.GraphError(errors.message("FunctionGraph.replace", "the replacement has another type",
                                                   (describe(r), describe(new_r)), caller(), f"bring it to {r.type}"))
        above = set(io_toposort([r], [new_r]))
        for node, i in list(self.clients[r]):
            if node not in above:
                self.change_input(node, i, new_r, reason)

    def replace_all(self, pairs: Iterable[tuple[Variable, Variable]], reason: Any = None) -> None:
        """Replace several variables, one after the other."""
        for r, new_r in pairs:
            self.replace(r, new_r, reason)

    # ---- reading ----

    def toposort(self) -> list[Apply]:
        """Return the applications, producers first, as ``orderings()`` of features demand."""
        return io_toposort(self.inputs, self.outputs, self.orderings())

    def orderings(self) -> dict[Apply, list[Apply]]:
        """Return what features say must come before applications."""
        found: dict[Apply, list[Apply]] = {}
        for f in self._features:
            if hasattr(f, "orderings"):
                for node, before in f.orderings(self).items():
                    found.setdefault(node, []).extend(before)
        return found

    def check_integrity(self) -> None:
        """Raise AssertionError if readers, applications and variables don't belong together."""
        nodes = set(io_toposort(self.inputs, self.outputs))
        assert nodes == self.apply_nodes, "the applications aren't those that the outputs need"
        wanted: dict[Variable, set[Client]] = {}
        for n in nodes:
            for k, v in enumerate(n.inputs):
                wanted.setdefault(v, set()).add((n, k))
        for k, v in enumerate(self.outputs):
            wanted.setdefault(v, set()).add(("output", k))
        for v in self.clients:
            assert set(self.clients[v]) == wanted.get(v, set()), f"the readers of {v} aren't those listed"

    def clone(self, check_integrity: bool = True) -> FunctionGraph:
        """Return a copy, without features."""
        return self.clone_get_equiv(check_integrity)[0]

    def clone_get_equiv(self, check_integrity: bool = True, attach_feature: bool = False
                        ) -> tuple[FunctionGraph, dict[Any, Any]]:
        """Return a copy, and what in it stands for each variable and application."""
        table = clone_get_equiv(self.inputs, self.outputs, copy_orphans=False)
        made = FunctionGraph([table[v] for v in self.inputs], [table[v] for v in self.outputs],
                             self._features if attach_feature else None, clone=False, update_mapping=self.update_mapping)
        if check_integrity:
            made.check_integrity()
        return made, table

    def __len__(self) -> int:
        return len(self.apply_nodes)

    def __contains__(self, thing: Any) -> bool:
        return thing in self.apply_nodes if isinstance(thing, Apply) else thing in self.clients

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.toposort()))}]"
