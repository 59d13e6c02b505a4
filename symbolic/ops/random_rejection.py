"""Distributions by rejection: proposals for a whole sample at a time, in a loop that ends when each element has one.

Each attempt draws with a key of its own. An attempt is accepted with a chance of at least 0.7 whatever the parameters are,
so after the 1000 attempts that a loop takes at most nothing is left (0.3**1000).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from symbolic.graph import Variable, constant
from symbolic.ops.create import alloc
from symbolic.ops.extents import extents
from symbolic.ops.functions import (
    and_,
    gt,
    invert,
    isnan_,
    le,
    or_,
    second,
    switch,
)
from symbolic.ops.random_key import fold_in
from symbolic.ops.random_shape import product
from symbolic.ops.reduce import all as all_of
from symbolic.ops.scan_views import loop
from symbolic.ops.shape import reshape

ATTEMPTS = 1000
#: terms that one step of that search takes
_TERMS = 8

Proposal = tuple[Variable, Variable]


def everywhere(condition: Variable) -> Variable:
    """Return whether a condition holds everywhere, found in a loop of its own.

    In the loop that draws, it would keep elements from sharing blocks (`codegen.lanes`), which costs more.
    """
    return all_of(reshape(condition, [product(extents(condition)), 1], ndim=2))


def accepted(key: Variable, sizes: Sequence[Variable], settled: Variable, propose: Callable[[Variable], Proposal]) -> Variable:
    """Return the first accepted proposal of each element, float64.

    Parameters
    ----------
    key : Variable, shape (4,)
    sizes : list of Variable
        Extents of the sample.
    settled : Variable, bool
        What needs no proposal; it gets 0.
    propose : callable
        From a key to values and whether each is accepted.
    """
    def step(carry: dict[str, Variable], _: None) -> tuple[dict[str, Variable], None]:
        value, good = propose(fold_in(key, carry["attempt"]))
        # nan stands for what isn't accepted yet: compilers vectorise that, but not loads of truth values
        now = switch(isnan_(carry["value"]), switch(good, value, np.nan), carry["value"])
        return {"attempt": carry["attempt"] + 1, "value": now}, None  # type: ignore[operator]

    start = {"attempt": constant(np.int64(0)), "value": alloc(switch(settled, 0.0, constant(np.float64(np.nan))), *sizes)}
    last, _ = loop(step, start, length=ATTEMPTS, until=lambda c: everywhere(invert(isnan_(c["value"]))), name="rejection")
    return last["value"]


def searched(u: Variable, first: Variable, ratio: Callable[[Variable], Variable]) -> Variable:
    """Return counts by going through the distribution function until it passes `u`, float64.

    Parameters
    ----------
    u : Variable, float64
        In ``(0, 1)``.
    first : Variable
        The chance of 0; infinite where there is nothing to search.
    ratio : callable
        From k, from 1 on, to the chance of k over that of k - 1.

    Notes
    -----
    What rounding leaves of the last 1e-18 ends the search.
    """
    def step(carry: dict[str, Variable], _: None) -> tuple[dict[str, Variable], None]:
        count, mass, left = carry["count"], carry["mass"], carry["left"]
        for _term in range(_TERMS):
            more = and_(gt(left, mass), gt(mass, 1e-18))
            left = switch(more, left - mass, left)
            count = switch(more, count + 1.0, count)
            mass = switch(more, mass * ratio(count), mass)
        return {"count": count, "mass": mass, "left": left}, None

    def over(carry: dict[str, Variable]) -> Variable:
        return everywhere(or_(le(carry["left"], carry["mass"]), le(carry["mass"], 1e-18)))

    start = {"count": u * 0.0, "mass": second(u, first), "left": u}  # type: ignore[operator]
    last, _ = loop(step, start, length=ATTEMPTS, until=over, name="search")
    return last["count"]
