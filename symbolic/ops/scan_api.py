"""Loops as users write them: Theano's `scan` with taps, and `loop`, which carries any structure along."""
from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symbolic import errors
from symbolic.branch import literal
from symbolic.graph import Constant, Variable, as_tensor_variable, clone_replace, constant, describe, toposort
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import minimum
from symbolic.ops.index import getitem
from symbolic.ops.scan import Scan
from symbolic.ops.scan_arguments import Output, listed, outputs_of, sequences_of, state_of, takes
from symbolic.ops.scan_random import advance, drawn
from symbolic.shared import OrderedUpdates, SharedVariable, now
from symbolic.source import caller
from symbolic.types import is_discrete, promote


class until:
    """A condition for a step to return: the loop ends after the first step in which it is true.

    Parameters
    ----------
    condition : Variable, shape ()

    Raises
    ------
    RankError
        If it isn't a scalar.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> powers, _ = symbolic.scan(lambda p: (p * 2, until(p * 2 > x)), outputs_info=T.constant(1.0), n_steps=100)
    >>> symbolic.function([x], powers)(10)
    array([ 2.,  4.,  8., 16.])
    """

    def __init__(self, condition: Any) -> None:
        c = as_tensor_variable(condition)
        if c.ndim:
            raise errors.RankError(errors.message("until", "the condition must be a scalar", (describe(c),), caller(),
                                                  "reduce it with T.any or T.all"))
        self.condition = cast_to(c, "bool")


@dataclass
class Step:
    """One step of a loop, as it is collected.

    Attributes
    ----------
    before, after : list of Variable
        Each carry's placeholder, and its new value.
    start : list of Variable
        The carries' initial values.
    places, sequences : list of Variable
        Placeholders of elements, and what they are elements of.
    traced : list of Variable
        What is kept of every step.
    condition : Variable or None
    """

    before: list[Variable]
    start: list[Variable]
    places: list[Variable]
    sequences: list[Variable]
    after: list[Variable]
    traced: list[Variable]
    condition: Variable | None = None

    def run(self, n: Variable, label: str, truncate: int = -1, allowed: Sequence[Variable] | None = None,
            repeat: bool = False, reverse: bool = False) -> tuple[list[Variable], list[Variable]]:
        """Return the last carries, and the traces, cut where the loop ended early."""
        outputs = [*self.after, *self.traced, *([] if self.condition is None else [self.condition])]
        outer = outer_values(outputs, [*self.before, *self.places])
        if allowed is not None:
            given = set(allowed)
            for v in toposort_leaves([v for v in outer if v not in given], given):
                if v not in given:
                    raise errors.MissingInputError(errors.message(
                        "scan", f"{describe(v)} is used in the loop, but isn't among non_sequences", (), v.loc or caller(),
                        "add it there, or leave strict out"))
        inner = {v: Variable(v.type, name=v.name, loc=v.loc) for v in outer}
        op = Scan([*self.before, *self.places, *inner.values()], clone_replace(outputs, inner), len(self.before),
                  len(self.places), self.condition is not None, reverse, truncate, label, repeat)
        made = op(n, *self.start, *self.sequences, *outer, return_list=True)
        end = len(self.before)
        traces = list(made[end:end + len(self.traced)])
        if self.condition is not None:
            traces = [getitem(t, slice(None, made[-1])) for t in traces]
        return list(made[:end]), traces


def outer_values(outputs: Sequence[Variable], places: Sequence[Variable]) -> list[Variable]:
    """Return what a step uses that doesn't depend on its own inputs: computed once, outside.

    Not what only an arm of a choice in the step needs: it may never be taken.
    """
    inside = set(places)
    found: dict[Variable, None] = {}
    nodes = toposort(outputs, stop=inside)
    for node in nodes:
        if any(v in inside for v in node.inputs):
            inside.update(node.outputs)
    eager = set(outputs)
    for node in reversed(nodes):
        if node.outputs[0] in inside:
            eager.update(v for k, v in enumerate(node.inputs) if not literal(node, k))
        elif any(v in eager for v in node.outputs):
            eager.update(node.inputs)
    for node in nodes:
        if not any(v in eager for v in node.outputs):
            inside.update(node.outputs)
    for node in nodes:
        if node.outputs[0] in inside:
            found.update((v, None) for v in node.inputs if v not in inside and not isinstance(v, Constant))
    found.update((v, None) for v in outputs if v not in inside and not isinstance(v, Constant))
    return list(found)


def toposort_leaves(variables: Sequence[Variable], stop: Collection[Variable] = ()) -> list[Variable]:
    """Return the inputs and shared variables that `variables` depend on, but through what is in `stop`."""
    leaves = {v: None for node in toposort(variables, stop=stop) for v in node.inputs if v.owner is None}
    leaves |= {v: None for v in variables if v.owner is None}
    return [v for v in leaves if not isinstance(v, Constant)]


def number_of_steps(given: Any, lengths: Sequence[Variable], op: str) -> Variable:
    """Return the number of steps as a 0-d int64: as given, else the length of the shortest sequence."""
    wanted, backwards = ("length", "reverse") if op == "loop" else ("n_steps", "go_backwards")
    if given is not None:
        n = as_tensor_variable(given)
        if n.ndim or not is_discrete(n.dtype):
            raise errors.DTypeError(errors.message(op, f"{wanted} must be an integer scalar", (describe(n),), caller()))
        if isinstance(n, Constant) and int(n.data) < 0:
            raise ValueError(errors.message(op, f"{wanted} must be 0 or more, got {int(n.data)}", (), caller(),
                                            f"to go backwards pass {backwards}=True"))
        return constant(int(n.data), dtype="int64") if isinstance(n, Constant) else cast_to(n, "int64")
    if not lengths:
        raise ValueError(errors.message(op, f"there is neither a sequence nor {wanted}, so the loop has no end", (), caller(),
                                        f"pass {wanted}; with until it is the most steps to take"))
    if all(isinstance(v, Constant) for v in lengths):
        return constant(min(int(v.data) for v in lengths), dtype="int64")  # type: ignore[attr-defined]
    shortest = lengths[0]
    for v in lengths[1:]:
        shortest = shortest if v is shortest else minimum(shortest, v)
    return shortest


def counted(given: Sequence[Any], before: Sequence[Variable], after: Sequence[Variable]) -> list[Variable]:
    """Return carries after a step, as int64 where a Python integer, the initial value, alone decides their dtype.

    A constant 0 is an int8, as in Theano, and a counter of that dtype goes from 127 to -128 without a word.
    """
    return [cast_to(a, "int64") if type(g) is int and a.dtype == b.dtype else a
            for g, b, a in zip(given, before, after, strict=True)]


def agreed(before: list[Variable], start: list[Variable], after: list[Variable], others: list[Variable], op: str,
           names: Sequence[str]) -> tuple[list[Variable], list[Variable], list[Variable], list[Variable]]:
    """Make carries have one dtype before and after a step, where that loses nothing.

    Returns
    -------
    tuple of lists
        `before`, `start`, `after` and `others` (all else that a step returns), over new placeholders where needed.

    Raises
    ------
    RankError, DTypeError
        If a carry has another rank after a step, or no dtype holds both.
    """
    for _ in range(len(before) + 1):
        wrong = [k for k, (b, a) in enumerate(zip(before, after, strict=True)) if a.dtype != b.dtype or a.ndim != b.ndim]
        if not wrong:
            break
        table: dict[Variable, Variable] = {}
        for k in wrong:
            b, a = before[k], after[k]
            where = a.loc or (a.owner.loc if a.owner is not None else None)
            if a.ndim != b.ndim:
                raise errors.RankError(errors.message(
                    op, f"{names[k]} is {b.type} before a step and {a.type} after it", (describe(a),), where,
                    "give the initial value the rank of what the step returns"))
            wide = promote(a.dtype, b.dtype)
            if wide == b.dtype:
                after[k] = cast_to(a, wide)
            else:
                table[b] = Variable(b.type.clone(dtype=wide), name=b.name, loc=b.loc)
                start[k] = cast_to(start[k], wide)
        if table:
            replaced = clone_replace([*after, *others], table)
            after, others = replaced[:len(after)], replaced[len(after):]
            before = [table.get(v, v) for v in before]
    return before, start, after, others


# --------------------------------------------------------------------------------------- Theano's interface


def scan(fn: Callable[..., Any], sequences: Any = None, outputs_info: Any = None, non_sequences: Any = None,
         n_steps: Any = None, truncate_gradient: int = -1, go_backwards: bool = False, mode: Any = None,
         name: str | None = None, profile: bool = False, allow_gc: bool | None = None, strict: bool = False,
         return_list: bool = False) -> tuple[Any, dict[SharedVariable, Variable]]:
    """Return what a function gives step after step, as one loop.

    Parameters
    ----------
    fn : callable
        Builds a step. Gets an element of each sequence for each of its taps, then each state for each of its taps,
        then `non_sequences`, all symbolic. Returns the outputs of the step, in the order of `outputs_info`; beside
        them, in a tuple, a dictionary of updates of shared variables, and ``until(condition)``.
    sequences : Variable, dict or list of them
        What to loop over, along the first axis; ``dict(input=x, taps=[-1, 0])`` reads x[t-1] and x[t].
    outputs_info : Variable, dict, None or list of them
        An initial state for each output that is read by the next step; None for one that isn't. A dictionary
        ``dict(initial=h, taps=[-2, -1])`` reads two steps back; `h` then holds the first two, along its first axis.
        From a Python integer an output is counted in int64, if nothing in the step has another dtype.
    non_sequences : Variable or list of Variable
        Passed to every step. What `fn` uses besides is found by itself, unless `strict`.
    n_steps : int or Variable, optional
        By default as many as the shortest sequence allows.
    truncate_gradient : int
        How many of the last steps a gradient goes back; -1 for all. What an initial state then gets is, as in Theano, the
        gradient of the state before these steps.
    go_backwards : bool
        Read sequences from their ends.
    mode, profile, allow_gc
        Accepted as in Theano, without effect: a loop is compiled with the function it is in.
    name : str, optional
        Shown in generated code and errors.
    strict : bool
        Refuse what isn't in `non_sequences`.
    return_list : bool
        Return a list even for one output.

    Returns
    -------
    outputs : Variable or list of Variable
        Of each output all steps, along a new first axis; None if there is none.
    updates : dict
        New values of shared variables, for ``function(..., updates=updates)``. States of random streams that the step
        draws with are among them; they advance as well where `updates` isn't passed on.

    Raises
    ------
    RankError, DTypeError
        If a state changes its rank or dtype from step to step.
    ShapeError
        When called, if there are fewer elements than steps, or a state changes its extents.
    ValueError
        If the number of outputs isn't that of `outputs_info`, taps don't fit, or nothing says how many steps there are.
    MissingInputError
        If `strict`, and something used isn't in `non_sequences`.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> sums, _ = symbolic.scan(lambda e, total: total + e, sequences=x, outputs_info=T.constant(0.0))
    >>> symbolic.function([x], sums)([1, 2, 3])
    array([1., 3., 6.])
    """
    traces, _, updates = scanned(fn, sequences, outputs_info, non_sequences, n_steps, truncate_gradient, go_backwards, name,
                                 strict)
    shown: Any = traces[0] if len(traces) == 1 and not return_list else traces
    return (shown if traces or return_list else None), OrderedUpdates(updates)


def scanned(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any, n_steps: Any,
            truncate_gradient: int, go_backwards: bool, name: str | None, strict: bool
            ) -> tuple[list[Variable], list[Variable], dict[SharedVariable, Variable]]:
    """Return all steps of each output, the last of each, and updates; arguments of :func:`scan`."""
    places, xs, lengths = sequences_of(sequences, go_backwards)
    infos = outputs_of(outputs_info)
    others = [as_tensor_variable(v) for v in listed(non_sequences)]
    n = number_of_steps(n_steps, lengths, "scan")
    states = [[state_of(info.initial, info.depth, j, k) for j in range(info.depth)] for k, info in enumerate(infos)]
    read = [states[k][info.depth + tap] for k, info in enumerate(infos) for tap in info.taps]
    since = now()
    takes(fn, places, read, others)
    outputs, updates, condition = _returned(fn(*places, *read, *others))
    inside = drawn([*outputs, *updates.values(), *([] if condition is None else [condition])], since)
    updates = {**inside, **updates}
    if outputs_info is None or not infos:
        infos, states = [Output() for _ in outputs], [[] for _ in outputs]
    if len(outputs) != len(infos):
        raise ValueError(errors.message(
            "scan", f"the step returns {len(outputs)} outputs, but outputs_info has {len(infos)} entries", (), caller(),
            "give one entry for each output, None for those that no step reads"))
    before, start, after, names, given = [], [], [], [], []
    firsts = [e.get("initial") if isinstance(e, Mapping) else e for e in listed(outputs_info)]
    for k, (info, state, y) in enumerate(zip(infos, states, outputs, strict=True)):
        before += state
        given += [firsts[k]] * info.depth if info.depth else []
        start += info.start() if info.depth else []
        after += [*state[1:], y] if info.depth else []
        names += [f"output {k}"] * info.depth
    table: dict[Variable, Variable] = {s: Variable(s.type, name=s.name, loc=s.loc) for s in updates}
    replaced = clone_replace([*after, *outputs, *updates.values(), *([] if condition is None else [condition])], table)
    m = len(after)
    before += table.values()
    start += table.keys()
    names += [f"the update of {describe(s)}" for s in table]
    after = replaced[:m] + replaced[m + len(outputs):m + len(outputs) + len(table)]
    rest = replaced[m:m + len(outputs)] + replaced[m + len(outputs) + len(table):]
    after = [*counted(given, before[:m], after[:m]), *after[m:]]
    before, start, after, rest = agreed(before, start, after, rest, "scan", names)
    traced = rest[:len(outputs)]
    place = 0
    for k, info in enumerate(infos):  # what is traced is what is carried, in the dtype agreed
        place += info.depth
        traced[k] = after[place - 1] if info.depth else traced[k]
    step = Step(before, start, places, xs, after, traced, rest[-1] if condition is not None else None)
    last, traces = step.run(n, name or "", truncate_gradient, others if strict else None)
    new = dict(zip(updates, last[m:], strict=True))
    advance(list(inside), [new[s] for s in inside])
    lasts, place = [], 0
    for info, trace in zip(infos, traces, strict=True):
        place += info.depth
        lasts.append(last[place - 1] if info.depth else getitem(trace, -1))
    return traces, lasts, new


def _is_updates(x: Any) -> bool:
    if isinstance(x, Mapping):
        return True
    return (isinstance(x, (list, tuple)) and bool(x)
            and all(isinstance(p, (list, tuple)) and len(p) == 2 and isinstance(p[0], SharedVariable) for p in x))


def _returned(result: Any) -> tuple[list[Variable], dict[SharedVariable, Variable], Variable | None]:
    """Sort what a step returns: outputs, updates, a condition, in any order."""
    parts = [result]
    if isinstance(result, (list, tuple)) and not _is_updates(result) and any(
            isinstance(p, until) or _is_updates(p) or isinstance(p, (list, tuple)) for p in result):
        parts = list(result)
    outputs: list[Variable] = []
    updates: dict[SharedVariable, Variable] = {}
    condition = None
    for part in parts:
        if isinstance(part, until):
            condition = part.condition
        elif _is_updates(part):
            for shared, new in dict(part).items():
                if not isinstance(shared, SharedVariable):
                    raise errors.UpdateError(errors.message("scan", f"only shared variables can be updated, got {shared!r}",
                                                            (), caller()))
                updates[shared] = as_tensor_variable(new)
        elif part is not None:
            outputs += [as_tensor_variable(v) for v in listed(part)]
    return outputs, updates, condition
