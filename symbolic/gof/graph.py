"""Walking, copying and comparing graphs: Theano's ``theano.gof.graph``. Nothing here recurses over a graph."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Variable, describe, toposort
from symbolic.printing.infix import pp
from symbolic.shared import SharedVariable
from symbolic.source import caller


def stack_search(start: Iterable[Any], expand: Callable[[Any], Iterable[Any] | None], mode: str = "bfs",
                 build_inv: bool = False) -> Any:
    """Return everything that can be reached from `start`, each once.

    Parameters
    ----------
    start : iterable
        What to begin with.
    expand : callable
        Returns the neighbours of an element, or None.
    mode : {'bfs', 'dfs'}
        Nearest first, or along each path to its end.
    build_inv : bool
        Return as well from which elements each one was reached.

    Returns
    -------
    list, or (list, dict)

    Examples
    --------
    >>> stack_search([1], lambda n: [2 * n, 2 * n + 1] if n < 4 else None)
    [1, 2, 3, 4, 5, 6, 7]
    """
    if mode not in ("bfs", "dfs"):
        raise ValueError(f"mode should be bfs or dfs, got {mode!r}")
    waiting = deque(start)
    found: dict[Any, None] = {}
    back: dict[Any, list[Any]] = {}
    while waiting:
        thing = waiting.popleft() if mode == "bfs" else waiting.pop()
        if thing in found:
            continue
        found[thing] = None
        neighbours = list(expand(thing) or ())
        if build_inv:
            for n in neighbours:
                back.setdefault(n, []).append(thing)
        waiting.extend(neighbours if mode == "bfs" else reversed(neighbours))
    return (list(found), back) if build_inv else list(found)


def ancestors(variable_list: Iterable[Variable], blockers: Iterable[Variable] | None = None) -> list[Variable]:
    """Return the variables that some depend on, themselves included; what is behind `blockers` isn't looked at.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, y = T.scalars("xy")
    >>> z = T.exp(x) * y
    >>> ancestors([z])
    [mul, exp, y, x]
    """
    blocked = frozenset(blockers or ())
    return stack_search(_listed(variable_list), lambda v: v.owner.inputs if v.owner and v not in blocked else None)


def _listed(variables: Iterable[Variable]) -> list[Variable]:
    if isinstance(variables, Variable):
        raise TypeError(f"expected a list of variables, got {describe(variables)}; write [{variables}]")
    return list(variables)


def inputs(variable_list: Iterable[Variable], blockers: Iterable[Variable] | None = None) -> list[Variable]:
    """Return the variables without owner, constants and shared variables among them, that some depend on."""
    return [v for v in ancestors(variable_list, blockers) if v.owner is None]


def variables(i: Iterable[Variable], o: Iterable[Variable]) -> list[Variable]:
    """Return the variables between the inputs `i` and the outputs `o`, both included."""
    nodes = toposort(o, stop=set(i))
    found = dict.fromkeys([*i, *(v for n in nodes for v in (*n.inputs, *n.outputs)), *o])
    return list(found)



def orphans(i: Iterable[Variable], o: Iterable[Variable]) -> list[Variable]:
    """Return the variables without owner that the outputs `o` need and that aren't among the inputs `i`."""
    given = set(i)
    return [v for v in variables(given, o) if v.owner is None and v not in given]


def variables_and_orphans(i: Iterable[Variable], o: Iterable[Variable]) -> tuple[list[Variable], list[Variable]]:
    """Return :func:`variables` and :func:`orphans` between inputs and outputs."""
    return variables(i, o), orphans(i, o)


def ops(i: Iterable[Variable], o: Iterable[Variable]) -> set[Apply]:
    """Return the applications between inputs and outputs, as a set."""
    return set(toposort(o, stop=set(i)))


def list_of_nodes(inputs: Iterable[Variable], outputs: Iterable[Variable]) -> list[Apply]:
    """Return the applications between inputs and outputs, those nearest to the outputs first."""
    blocked = set(inputs)
    return stack_search([v.owner for v in outputs if v.owner is not None and v not in blocked],
                        lambda n: [v.owner for v in n.inputs if v.owner is not None and v not in blocked])


def io_toposort(inputs: Iterable[Variable], outputs: Iterable[Variable], orderings: Any = None, clients: Any = None
                ) -> list[Apply]:
    """Return the applications between inputs and outputs, producers first.

    Parameters
    ----------
    inputs, outputs : list of Variable
    orderings : dict from Apply to list of Apply, optional
        What must come before an application besides the producers of its operands.
    clients : dict, optional
        Filled with the applications that read each variable.

    Raises
    ------
    GraphError
        If `orderings` make a cycle.
    """
    nodes = toposort(outputs, stop=set(inputs))
    if clients is not None:
        for n in nodes:
            for v in n.inputs:
                clients.setdefault(v, []).append(n)
    if not orderings:
        return nodes
    inside = set(nodes)
    before = {n: {v.owner for v in n.inputs if v.owner in inside} | {m for m in orderings.get(n, ()) if m in inside}
              for n in nodes}
    readers: dict[Apply, list[Apply]] = {}
    for n, needed in before.items():
        for m in needed:
            readers.setdefault(m, []).append(n)  # type: ignore[arg-type]
    ready = deque(n for n in nodes if not before[n])
    order: list[Apply] = []
    while ready:
        n = ready.popleft()
        order.append(n)
        for m in readers.get(n, ()):
            before[m].discard(n)
            if not before[m]:
                ready.append(m)
    if len(order) < len(nodes):
        raise errors.GraphError("io_toposort: the orderings make a cycle among "
                                f"{', '.join(str(n) for n in nodes if before[n])}")
    return order


def sort_apply_nodes(inputs: Iterable[Variable], outputs: Iterable[Variable], cmps: Any = None) -> list[Apply]:
    """Return :func:`io_toposort`; Theano's `cmps` aren't needed, for the order is always the same."""
    return io_toposort(inputs, outputs)


def clone(i: Sequence[Variable], o: Sequence[Variable], copy_inputs: bool = True, copy_orphans: bool | None = None
          ) -> tuple[list[Variable], list[Variable]]:
    """Return a copy of the graph between inputs and outputs.

    Parameters
    ----------
    i, o : list of Variable
    copy_inputs : bool
        Make new variables of the inputs.
    copy_orphans : bool, optional
        Make new variables of other leaves; by default as for inputs.

    Returns
    -------
    inputs, outputs : list of Variable
        Of the copy.
    """
    table = clone_get_equiv(i, o, copy_inputs, copy_inputs if copy_orphans is None else copy_orphans)
    return [table[v] for v in i], [table[v] for v in o]


def clone_get_equiv(inputs: Sequence[Variable], outputs: Sequence[Variable], copy_inputs: bool = True,
                    copy_orphans: bool = True, memo: dict[Any, Any] | None = None) -> dict[Any, Any]:
    """Return, for all variables and applications of a graph, those of a copy of it; `memo` gives and receives them.

    Notes
    -----
    A shared variable that isn't among the inputs stays itself; a copy of one shares its value.
    """
    table: dict[Any, Any] = {} if memo is None else memo
    for v in inputs:
        table.setdefault(v, v.clone() if copy_inputs else v)
    for v in orphans(inputs, outputs):
        keep = not copy_orphans or isinstance(v, (Constant, SharedVariable))
        table.setdefault(v, v if keep else v.clone())
    for n in toposort(outputs, stop=set(table)):
        if n in table:
            continue
        new = Apply(n.op, [table[v] for v in n.inputs], [o.type for o in n.outputs], n.loc)
        table[n] = new
        for old, made in zip(n.outputs, new.outputs, strict=True):
            made.name = old.name
            if old._tag is not None:
                made.tag.__dict__.update(old._tag.__dict__)
            table.setdefault(old, made)
    return table


def equal_computations(xs: Sequence[Variable], ys: Sequence[Variable], in_xs: Sequence[Variable] | None = None,
                       in_ys: Sequence[Variable] | None = None) -> bool:
    """Whether two lists of variables are computed in the same way: by equal ops, from the same leaves.

    Parameters
    ----------
    xs, ys : list of Variable
    in_xs, in_ys : list of Variable, optional
        Leaves of the one graph and those of the other that stand for them.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, y = T.scalars("xy")
    >>> equal_computations([x + 1], [x + 1]), equal_computations([x + 1], [y + 1]), equal_computations([x + 1], [y + 1], [x], [y])
    (True, False, True)
    """
    left, right = list(in_xs or ()), list(in_ys or ())
    if len(xs) != len(ys) or len(left) != len(right) or any(a.type != b.type for a, b in zip(left, right, strict=True)):
        return False
    numbers: dict[Any, int] = {}
    return _numbered(xs, left, numbers) == _numbered(ys, right, numbers)


def _numbered(outputs: Sequence[Variable], leaves: Sequence[Variable], numbers: dict[Any, int]) -> list[int]:
    """Return numbers of what variables compute, equal ones having one."""
    known: dict[Variable, int] = {}
    for k, v in enumerate(leaves):
        known.setdefault(v, numbers.setdefault(("leaf", k), len(numbers)))

    def number(v: Variable) -> int:
        if v not in known:
            constant = isinstance(v, Constant)
            key = ("constant", v.type, np.asarray(v.data).tobytes()) if constant else v  # type: ignore[attr-defined]
            known[v] = numbers.setdefault(key, len(numbers))
        return known[v]

    for n in toposort(outputs, stop=known):
        key = (n.op, tuple(number(v) for v in n.inputs), tuple(o.type for o in n.outputs))
        for o in n.outputs:
            known.setdefault(o, numbers.setdefault((key, o.index), len(numbers)))
    return [number(v) for v in outputs]


def is_same_graph(var1: Variable, var2: Variable, givens: Any = None, debug: bool = False) -> bool:
    """Whether two variables are computed by equal graphs.

    Parameters
    ----------
    var1, var2 : Variable
    givens : dict or list of pairs, optional
        Variables that stand for each other, in either direction.
    debug : bool
        Accepted as in Theano.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, y, z = T.vectors("xyz")
    >>> is_same_graph(x + y, x + y), is_same_graph(x + y, y + x), is_same_graph(x + y, x + z, givens={y: z})
    (True, False, True)
    """
    pairs = list(givens.items() if isinstance(givens, Mapping) else givens or ())
    inside = set(ancestors([var1]))
    turned = [(a, b) if a in inside else (b, a) for a, b in pairs]
    return equal_computations([var1], [var2], [a for a, _ in turned], [b for _, b in turned])


def is_in_ancestors(l_node: Apply, f_node: Apply) -> bool:
    """Whether `f_node` is among what computes the operands of `l_node`, or is `l_node`."""
    return f_node in set(toposort(l_node.inputs)) | {l_node}


def nodes_constructed() -> Any:
    """Theano's observer of new nodes; not here: graphs are built without a hook."""
    raise errors.NotSupported("nodes_constructed isn't there: applications are made without telling anyone\n"
                              "hint: compare list_of_nodes([], outputs) before and after")


def io_connection_pattern(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> list[list[bool]]:
    """Return, an input a row, which outputs of a graph it reaches with a gradient."""
    nodes = toposort(outputs, stop=set(inputs))
    rows = []
    for start in inputs:
        reached = {start}
        for n in nodes:
            if not any(v in reached for v in n.inputs):
                continue
            pattern = n.op.connection_pattern(n)
            for k, v in enumerate(n.inputs):
                if v in reached:
                    reached.update(o for o, connected in zip(n.outputs, pattern[k], strict=True) if connected)
        rows.append([o in reached for o in outputs])
    return rows


def general_toposort(outputs: Iterable[Any], deps: Callable[[Any], Iterable[Any] | None], **_: Any) -> list[Any]:
    """Return what `outputs` depend on, dependencies first; ``deps(x)`` gives those of an element.

    Raises
    ------
    ValueError
        If there is a cycle.
    """
    order: list[Any] = []
    done: set[Any] = set()
    open_: set[Any] = set()
    stack = list(outputs)[::-1]
    while stack:
        thing = stack[-1]
        waiting = [] if thing in done else [d for d in deps(thing) or () if d not in done]
        if any(d in open_ for d in waiting):
            raise ValueError("graph contains cycles")
        if waiting:
            open_.add(thing)
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        open_.discard(thing)
        if thing not in done:
            done.add(thing)
            order.append(thing)
    return order


def as_string(i: Sequence[Variable], o: Sequence[Variable], leaf_formatter: Any = None, node_formatter: Any = None
              ) -> list[str]:
    """Return an expression for each output over the inputs (see :func:`symbolic.printing.pp`)."""
    return [pp(v) for v in o]


def view_roots(r: Variable) -> list[Variable]:
    """Return the variable whose memory `r` may share, in a list: itself, but for ops that have a ``view_map``."""
    while r.owner is not None:
        views = getattr(r.owner.op, "view_map", None) or {}
        place = views.get(r.index)
        if not place:
            return [r]
        r = r.owner.inputs[place[0]]
    return [r]


def op_as_string(i: Sequence[Variable], op: Apply, **_: Any) -> str:
    """Return an application as text."""
    return str(op)


def clone_with(outputs: Any, replace: Any = None, strict: bool = True, share_inputs: bool = True) -> Any:
    """Return copies of variables in which others are replaced: ``theano.clone``.

    Parameters
    ----------
    outputs : Variable, or list or tuple of Variable
    replace : dict, or list of pairs of Variable
        What stands in the place of which variables; any variables of the graph, computed ones too. All are replaced at
        once: nothing is replaced inside of replacements.
    strict : bool
        Refuse replacements of another type: dtype or rank.
    share_inputs : bool
        Keep inputs and shared variables; else the copy has inputs of its own (and shared variables with the same values).

    Returns
    -------
    Variable or list of Variable
        As `outputs` was.

    Raises
    ------
    GraphError
        If `strict` and a replacement has another type, or a pair isn't of variables.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, y = T.dscalars("xy")
    >>> z = clone_with(T.exp(x) + x, replace={x: 2 * y})
    >>> symbolic.function([y], z)(0.0)
    array(1.)
    """
    given = [outputs] if isinstance(outputs, Variable) else list(outputs)
    pairs = list(replace.items() if isinstance(replace, Mapping) else replace or ())
    table: dict[Any, Any] = {}
    for old, new in pairs:
        if not isinstance(old, Variable) or not isinstance(new, Variable):
            raise errors.GraphError(errors.message("clone", f"replaces variables by variables, got {old!r}: {new!r}", (),
                                                   caller(), "T.as_tensor_variable makes one of an array"))
        if strict and (old.dtype != new.dtype or old.ndim != new.ndim):
            raise errors.GraphError(errors.message(
                "clone", "a replacement has another type", (describe(old), describe(new)), caller(),
                f"bring it to {old.type}, with .astype({old.dtype!r}) for the dtype, or pass strict=False"))
        table[old] = new
    if not share_inputs:
        for v in inputs(given, blockers=table):
            if not isinstance(v, Constant):
                table.setdefault(v, v.clone())
    for n in toposort(given, stop=set(table)):
        new_inputs = [table.get(v, v) for v in n.inputs]
        if all(a is b for a, b in zip(new_inputs, n.inputs, strict=True)):
            continue
        new = n.clone_with_new_inputs(new_inputs, strict=False)
        for old_out, made in zip(n.outputs, new.outputs, strict=True):
            made.name = old_out.name
            table.setdefault(old_out, made)
    results = [table.get(v, v) for v in given]
    return results[0] if isinstance(outputs, Variable) else results
