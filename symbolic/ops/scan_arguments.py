"""What Theano's `scan` is given: what to go along, and states with their taps; and what of it a step gets."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symbolic import errors
from symbolic.config import config
from symbolic.graph import Op, Variable, as_tensor_variable, describe
from symbolic.loop import element
from symbolic.ops.extents import extents
from symbolic.ops.index import getitem
from symbolic.scalar import Check, Expr, IndexLambda, axis, const, dim, load
from symbolic.shared import SharedVariable
from symbolic.source import caller
from symbolic.types import TensorType

_MISSING = "missing taps: give as many initial values as steps back"


class InitialValues(Op):
    """Initial values of a state, the oldest first: as many, or more, as steps are read back.

    Parameters
    ----------
    output : int
        Which entry of outputs_info they are of, for the error.
    depth : int
    """

    __props__ = ("output", "depth")
    name = "scan"
    is_index_map = True

    def __init__(self, output: int, depth: int) -> None:
        self.output, self.depth = output, depth

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(load(0, [axis(a) for a in range(types[0].ndim)], types[0].dtype))

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return (Check(const(self.depth, "int64") <= dim(0, 0), f"outputs_info[{self.output}] reads {self.depth} steps back, but "
                      f"its initial value holds {{0}}\nhint: {_MISSING}", detail=(dim(0, 0),)),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0]]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return [tangents[0]]


@dataclass
class Output:
    """Entry `number` of outputs_info: no state (`depth` 0), or one read `taps` steps back, of which `depth` are kept."""

    taps: tuple[int, ...] = ()
    initial: Variable | None = None
    depth: int = 0
    number: int = 0

    def start(self) -> list[Variable]:
        """Return the initial values, the oldest first."""
        assert self.initial is not None
        if self.depth == 1:
            return [self.initial]
        whole = self.initial if self.initial.type.shape[0] is not None else InitialValues(self.number, self.depth)(self.initial)
        return [getitem(whole, j) for j in range(self.depth)]


def takes(fn: Callable[..., Any], places: Sequence[Variable], read: Sequence[Variable], others: Sequence[Variable]) -> None:
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


def listed(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]


def sequences_of(given: Any, backwards: bool) -> tuple[list[Variable], list[Variable], list[Variable]]:
    """Return placeholders, what they go along, and how many steps each sequence allows."""
    places, xs, lengths = [], [], []
    for k, entry in enumerate(listed(given)):
        info = dict(entry) if isinstance(entry, Mapping) else {"input": entry}
        taps = [int(t) for t in listed(info.pop("taps", None))] or [0]
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
            give_test_value(places[-1], xs[-1], 0)
    return places, xs, lengths


def outputs_of(given: Any) -> list[Output]:
    found = []
    for k, entry in enumerate(listed(given)):
        if entry is None:
            found.append(Output())
            continue
        info = dict(entry) if isinstance(entry, Mapping) else {"initial": entry}
        taps = tuple(int(t) for t in listed(info.pop("taps", None)))
        initial = info.pop("initial", None)
        if info:
            raise ValueError(errors.message("scan", f"outputs_info[{k}] may have initial and taps, got {sorted(info)}", (),
                                            caller()))
        if initial is None:
            if taps:
                raise ValueError(errors.message("scan", f"outputs_info[{k}] has taps {list(taps)} but no initial value", (),
                                                caller(), "pass initial=..., or no taps"))
            found.append(Output())
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
                (describe(state),), caller(), _MISSING))
        found.append(Output(taps, state, depth, k))
    return found


def state_of(initial: Variable | None, depth: int, j: int, k: int) -> Variable:
    assert initial is not None
    type = initial.type if depth == 1 else element(initial.type)
    place = Variable(type, name=f"{initial.name or f'output {k}'}[t-{depth - j}]", loc=initial.loc)
    give_test_value(place, initial, None if depth == 1 else j)
    return place


def give_test_value(place: Variable, outer: Variable, index: int | None) -> None:
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
