"""Lazy choice: ``ifelse`` computes only the arm that is taken.

In the graph a choice is a node over values of both arms, so everything can be differentiated and rewritten as usual. The
compiler then moves what one arm alone needs into a :class:`Branch`, which becomes an ``if`` in C.
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.branch import Arms
from symbolic.fgraph import FunctionGraph, signature
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, describe, toposort
from symbolic.infer import over_operands
from symbolic.loop import met, specialised
from symbolic.ops.elementwise import weak_operands
from symbolic.pickling import flatten, restore
from symbolic.reverse import CHOOSE, zeros_of
from symbolic.scalar import Expr, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType, is_complex, promote

Terms = list["Variable | None"]


class IfElse(Op):
    """`n` values if the condition is true, else `n` others. Operands: the condition, the ones, the others."""

    __props__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n

    @property
    def arms(self) -> int:  # type: ignore[override]
        return self.n

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        condition, then, other = types[0], types[1:1 + self.n], types[1 + self.n:]
        if condition.ndim or is_complex(condition.dtype):
            raise errors.RankError(f"the condition of ifelse must be a real scalar, got {condition}\n"
                                   "hint: T.switch(condition, a, b) chooses elementwise; .all() or .any() makes one "
                                   "condition of many")
        for k, (a, b) in enumerate(zip(then, other, strict=True)):
            if a.dtype != b.dtype or a.ndim != b.ndim:
                raise errors.DTypeError(f"value {k} of an ifelse is {a} in one arm and {b} in the other")
        return tuple(met(a, b) for a, b in zip(then, other, strict=True))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return tuple(tuple(_either(types[0], dim(1 + k, a), dim(1 + self.n + k, a)) for a in range(types[1 + k].ndim))
                     for k in range(self.n))

    def expand(self, *inputs: Variable) -> Sequence[Variable] | None:
        if isinstance(inputs[0], Constant):
            return inputs[1:1 + self.n] if inputs[0].data else inputs[1 + self.n:]
        return None

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return arrays[1:1 + self.n] if arrays[0] else arrays[1 + self.n:]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        # as one application; `reverse` takes each arm by itself
        pairs = list(zip(gouts, inputs[1:], inputs[1 + self.n:], strict=False))
        then = [None if g is None else _one(inputs[0], g, zeros_of(a)) for g, a, _ in pairs]
        return [None, *then, *(None if g is None else _one(inputs[0], zeros_of(b), g) for g, _, b in pairs)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Terms:
        found: Terms = []
        for k in range(self.n):
            a, b = tangents[1 + k], tangents[1 + self.n + k]
            if a is None and b is None:
                found.append(None)
                continue
            found.append(_one(inputs[0], zeros_of(inputs[1 + k]) if a is None else a,
                              zeros_of(inputs[1 + self.n + k]) if b is None else b))
        return found

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        own = [[k == j for j in range(self.n)] for k in range(self.n)]
        return [[False] * self.n, *own, *own]


def _either(condition: TensorType, a: Expr | None, b: Expr | None) -> Any:
    """Return one of two extents, as the condition says; None if one isn't known."""
    if a is None or b is None:
        return None
    if a is b:
        return a
    return Expr("select", (is_true(load(0, (), condition.dtype)), a, b), None, "int64")


def is_true(value: Expr) -> Expr:
    """Return whether a number isn't zero."""
    return value if value.dtype == "bool" else Expr("ne", (value, const(0, value.dtype)), None, "bool")


def _one(condition: Variable, then: Variable, other: Variable) -> Variable:
    return IfElse(1)(condition, then, other)


CHOOSE.append(_one)


def ifelse(condition: Any, then_branch: Any, else_branch: Any, name: str | None = None) -> Any:
    """Return one value or another, computing only what the one taken needs.

    Parameters
    ----------
    condition : Variable or number, shape ()
        True if it isn't zero; nan is true, as in Python.
    then_branch, else_branch : Variable, or list or tuple of Variable
        As many in both, of the same ranks; dtypes are promoted to a common one (a Python number
        takes that of the other arm), shapes may differ.
    name : str, optional
        Name of the result.

    Returns
    -------
    Variable, or list of Variable
        A list where the arms are lists or tuples.

    Raises
    ------
    RankError
        If the condition isn't a scalar, or ranks differ.
    ValueError
        If the arms hold different numbers of values.

    Notes
    -----
    Values that both arms or something else need are computed in any case. ``T.switch`` chooses element by element, and
    computes both.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> f = symbolic.function([x], symbolic.ifelse(x.sum() > 0, T.log(x), x[:1]))
    >>> f([1.0, 1.0]), f([-3.0, 1.0])
    (array([0., 0.]), array([-3.]))
    """
    several = isinstance(then_branch, (list, tuple)) or isinstance(else_branch, (list, tuple))
    then = list(then_branch) if isinstance(then_branch, (list, tuple)) else [then_branch]
    other = list(else_branch) if isinstance(else_branch, (list, tuple)) else [else_branch]
    if len(then) != len(other):
        raise ValueError(errors.message("ifelse", f"one arm gives {len(then)} values and the other {len(other)}", (), caller(),
                                        "return as many from both; a value that one doesn't have can be zeros"))
    if not then:
        return []
    test = as_tensor_variable(condition)
    ours, theirs = (list(side) for side in zip(*(weak_operands(pair) for pair in zip(then, other, strict=True)), strict=True))
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.ndim != b.ndim:
            raise errors.RankError(errors.message(
                "ifelse", f"value {k} has {a.ndim} axes in one arm and {b.ndim} in the other", (describe(a), describe(b)),
                caller(), "give both the same rank, with reshape or dimshuffle; shapes may differ"))
        dtype = promote(a.dtype, b.dtype)
        ours[k], theirs[k] = (v if v.dtype == dtype else v.astype(dtype) for v in (a, b))
    made = IfElse(len(ours))(test, *ours, *theirs, return_list=True)
    if name is not None:
        for k, v in enumerate(made):
            v.name = name if len(made) == 1 else f"{name}_{k}"
    return made if several else made[0]


class Branch(Op):
    """What :class:`IfElse` becomes for the compiler: two graphs, of which one is computed.

    Parameters
    ----------
    inner_inputs : sequence of Variable
    then, other : sequence of Variable
        What either arm gives; the first `shared` are the same results, the rest are kept for other branches on the
        same condition.
    shared : int
    """

    __props__ = ("key",)

    def __init__(self, inner_inputs: Sequence[Variable], then: Sequence[Variable], other: Sequence[Variable], shared: int
                 ) -> None:
        self.inputs, self.then, self.other, self.shared = tuple(inner_inputs), tuple(then), tuple(other), shared
        self._nodes = toposort([*self.then, *self.other], stop=self.inputs)
        whole = FunctionGraph(list(self.inputs), [*self.then, *self.other], self._nodes)
        self.key = f"{signature(whole, exact=True)}-{len(self.then)}-{shared}"
        self._arms = lru_cache(maxsize=64)(self._branch)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (*flatten([*self.then, *self.other]), self.inputs, len(self.then), self.shared)

    def __str__(self) -> str:
        return "ifelse"

    @property
    def name(self) -> str:
        return "ifelse"

    @property
    def stable(self) -> bool:
        return all(n.op.stable for n in self._nodes)

    def branch(self, *types: TensorType) -> Arms:
        return self._arms(*types)

    def _branch(self, *types: TensorType) -> Arms:
        then, other = (specialised(self.inputs, side, types[1:], 0) for side in (self.then, self.other))
        return Arms(then, other, self.shared)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        arms = self.branch(*types)
        then, other = ([v.type for v in side.outputs] for side in (arms.then, arms.other))
        shared = [met(a, b) for a, b in zip(then[:self.shared], other, strict=False)]
        # what one arm alone gives has no elements if the other is taken
        return tuple([*shared, *(t.clone(shape=(None,) * t.ndim) for t in then[self.shared:] + other[self.shared:])])

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Any, ...], ...]:
        arms, n = self.branch(*types), self.shared
        then, other = (over_operands(side, side.outputs, 1, unknown=True) for side in (arms.then, arms.other))
        none = const(0, "int64")
        found = [tuple(_either(types[0], a, b) for a, b in zip(*pair, strict=True))
                 for pair in zip(then[:n], other, strict=False)]
        found += [tuple(_either(types[0], a, none) for a in extents) for extents in then[n:]]
        found += [tuple(_either(types[0], none, b) for b in extents) for extents in other[n:]]
        return tuple(found)


def _restored(leaves: Any, flat: Any, places: Any, inputs: Any, first: int, shared: int) -> Branch:
    outs = restore(leaves, flat, places)
    return Branch(inputs, outs[:first], outs[first:], shared)
