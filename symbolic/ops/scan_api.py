"""Loops as users write them: Theano's `scan` with taps, and `loop`, which carries any structure along."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symbolic import errors
from symbolic.branch import literal
from symbolic.config import config
from symbolic.graph import Constant, Variable, as_tensor_variable, clone_replace, constant, describe, toposort
from symbolic.loop import element
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.functions import minimum
from symbolic.ops.index import getitem
from symbolic.ops.scan import Scan
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


@dataclass
class _Output:
    """An entry of outputs_info: no state (`depth` 0), or one read `taps` steps back, of which `depth` are kept."""

    taps: tuple[int, ...] = ()
    initial: Variable | None = None
    depth: int = 0

    def start(self) -> list[Variable]:
        """Return the initial values, the oldest first."""
        assert self.initial is not None
        if self.depth == 1:
            return [self.initial]
        return [getitem(self.initial, j) for j in range(self.depth)]


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
        How many of the last steps a gradient goes back; -1 for all.
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
    places, xs, lengths = _sequences(sequences, go_backwards)
    infos = _outputs_info(outputs_info)
    others = [as_tensor_variable(v) for v in _listed(non_sequences)]
    n = number_of_steps(n_steps, lengths, "scan")
    states = [[_state(info.initial, info.depth, j, k) for j in range(info.depth)] for k, info in enumerate(infos)]
    read = [states[k][info.depth + tap] for k, info in enumerate(infos) for tap in info.taps]
    since = now()
    _takes(fn, places, read, others)
    outputs, updates, condition = _returned(fn(*places, *read, *others))
    inside = drawn([*outputs, *updates.values(), *([] if condition is None else [condition])], since)
    updates = {**inside, **updates}
    if outputs_info is None or not infos:
        infos, states = [_Output() for _ in outputs], [[] for _ in outputs]
    if len(outputs) != len(infos):
        raise ValueError(errors.message(
            "scan", f"the step returns {len(outputs)} outputs, but outputs_info has {len(infos)} entries", (), caller(),
            "give one entry for each output, None for those that no step reads"))
    before, start, after, names, given = [], [], [], [], []
    firsts = [e.get("initial") if isinstance(e, Mapping) else e for e in _listed(outputs_info)]
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


def _takes(fn: Callable[..., Any], places: Sequence[Variable], read: Sequence[Variable], others: Sequence[Variable]) -> None:
    """Refuse a step that can't be called with what it will get."""
    given = [*places, *read, *others]
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # a builtin tells nothing
        return
    try:
        signature.bind(*given)
    except TypeError:
        raise TypeError(errors.message(
            "scan", f"the step takes {signature}, but gets {len(given)}: {len(places)} from sequences, {len(read)} from states "
            f"(outputs_info) and {len(others)} from non_sequences", tuple(describe(v) for v in given), caller(),
            "the order is: each sequence for each of its taps, each state for each of its taps, then non_sequences")) from None


def _listed(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]


def _sequences(given: Any, backwards: bool) -> tuple[list[Variable], list[Variable], list[Variable]]:
    """Return placeholders, what they go along, and how many steps each sequence allows."""
    places, xs, lengths = [], [], []
    for k, entry in enumerate(_listed(given)):
        info = dict(entry) if isinstance(entry, Mapping) else {"input": entry}
        taps = [int(t) for t in _listed(info.pop("taps", None))] or [0]
        if info.keys() != {"input"}:
            raise ValueError(errors.message("scan", f"sequence {k} must have an input and may have taps, got "
                                            f"{sorted(info)}", (), caller()))
        x = as_tensor_variable(info["input"])
        if not x.ndim:
            raise errors.RankError(errors.message("scan", f"sequence {k} is a scalar: there is nothing to go along",
                                                  (describe(x),), caller(), "pass it in non_sequences"))
        low, high = min(0, *taps), max(0, *taps)
        length = extents(x)[0]
        lengths.append(length if high == low else length - (high - low))  # type: ignore[operator]
        for tap in taps:
            part = x
            if tap > low:
                part = getitem(part, slice(tap - low, None))
            if tap < high:
                part = getitem(part, slice(None, tap - high))
            xs.append(getitem(part, slice(None, None, -1)) if backwards else part)
            suffix = "t" if not tap else f"t{tap:+d}"
            places.append(Variable(element(x.type), name=f"{x.name}[{suffix}]" if x.name else None, loc=x.loc))
            _give_test_value(places[-1], xs[-1], 0)
    return places, xs, lengths


def _outputs_info(given: Any) -> list[_Output]:
    found = []
    for k, entry in enumerate(_listed(given)):
        if entry is None:
            found.append(_Output())
            continue
        info = dict(entry) if isinstance(entry, Mapping) else {"initial": entry}
        taps = tuple(int(t) for t in _listed(info.pop("taps", None)))
        initial = info.pop("initial", None)
        if info:
            raise ValueError(errors.message("scan", f"outputs_info[{k}] may have initial and taps, got {sorted(info)}", (),
                                            caller()))
        if initial is None:
            if taps:
                raise ValueError(errors.message("scan", f"outputs_info[{k}] has taps {list(taps)} but no initial value", (),
                                                caller(), "pass initial=..., or no taps"))
            found.append(_Output())
            continue
        taps = taps or (-1,)
        if max(taps) >= 0:
            raise ValueError(errors.message("scan", f"outputs_info[{k}]: taps are negative, got {list(taps)}", (), caller(),
                                            "an output can be read only once it is computed"))
        state, depth = as_tensor_variable(initial), -min(taps)
        if depth > 1 and not state.ndim:
            raise errors.RankError(errors.message(
                "scan", f"outputs_info[{k}] reads {depth} steps back, so its initial value needs {depth} values along a "
                "first axis", (describe(state),), caller()))
        if depth > 1 and state.type.shape[0] is not None and state.type.shape[0] < depth:
            raise errors.ShapeError(errors.message(
                "scan", f"outputs_info[{k}] reads {depth} steps back, but its initial value holds {state.type.shape[0]}",
                (describe(state),), caller(), "missing taps: give as many initial values as steps back"))
        found.append(_Output(taps, state, depth))
    return found


def _state(initial: Variable | None, depth: int, j: int, k: int) -> Variable:
    assert initial is not None
    type = initial.type if depth == 1 else element(initial.type)
    place = Variable(type, name=f"{initial.name or f'output {k}'}[t-{depth - j}]", loc=initial.loc)
    _give_test_value(place, initial, None if depth == 1 else j)
    return place


def _give_test_value(place: Variable, outer: Variable, index: int | None) -> None:
    """Let a step be tried, as it is built, on what its first iteration will get."""
    if config.compute_test_value == "off":
        return
    whole = getattr(outer, "data", None)
    if isinstance(outer, SharedVariable):
        whole = outer.get_value(borrow=True)
    elif outer._tag is not None and hasattr(outer._tag, "test_value"):
        whole = outer._tag.test_value
    if whole is not None and (index is None or len(whole) > index):
        place.tag.test_value = whole if index is None else whole[index]


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
            outputs += [as_tensor_variable(v) for v in _listed(part)]
    return outputs, updates, condition
