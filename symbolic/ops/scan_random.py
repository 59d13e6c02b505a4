"""Random streams inside loops: their states become carries, so that each step draws new numbers.

What a step draws while it is built belongs to the step; what was drawn before it is one sample for all steps.
"""
from __future__ import annotations

from collections.abc import Sequence

from symbolic.graph import Variable, as_tensor_variable, clone_replace, inputs_of
from symbolic.shared import SharedVariable


def drawn(roots: Sequence[Variable], since: int) -> dict[SharedVariable, Variable]:
    """Return the states that `roots` read and that were made after serial number `since`, with their new values."""
    found: dict[SharedVariable, Variable] = {}
    new: Sequence[Variable] = roots
    while new:
        states = [v for v in inputs_of(new) if isinstance(v, SharedVariable) and v.serial > since
                  and v.default_update is not None and v not in found]
        found.update((s, as_tensor_variable(s.default_update)) for s in states)
        new = [found[s] for s in states]
    return found


def threaded(since: int, before: list[Variable], start: list[Variable], after: list[Variable], others: list[Variable]
             ) -> list[SharedVariable]:
    """Add to the carries of a step the states that it draws with; return them, in the order in which they were added."""
    states = drawn([*after, *others], since)
    if not states:
        return []
    places: dict[Variable, Variable] = {s: Variable(s.type, name=s.name, loc=s.loc) for s in states}
    made = clone_replace([*after, *others, *states.values()], places)
    n, m = len(after), len(others)
    after[:], others[:] = [*made[:n], *made[n + m:]], made[n:n + m]
    before += places.values()
    start += states
    return list(states)


def advance(states: Sequence[SharedVariable], last: Sequence[Variable]) -> None:
    """Let functions that use a loop leave the states as the last step left them."""
    for state, value in zip(states, last, strict=True):
        state.default_update = value
