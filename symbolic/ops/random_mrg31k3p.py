"""MRG31k3p: two linear recurrences, many streams of it side by side, and jumps from one stream to the next."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Op, Variable, constant
from symbolic.ops.create import arange
from symbolic.ops.elementwise import broadcast_extents, broadcast_shape, cast_to, equal_extent_checks
from symbolic.ops.extents import extents
from symbolic.ops.functions import lt, switch
from symbolic.ops.index import getitem
from symbolic.ops.join import stack
from symbolic.ops.random_shape import product
from symbolic.ops.scan_views import loop
from symbolic.ops.shape import reshape
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, cast, const, load, select
from symbolic.types import TensorType

M1, M2 = 2147483647, 2147462579
#: one step, as matrices for (x[n-1], x[n-2], x[n-3]) of each recurrence
_STEP1 = ((0, 2**22, 2**7 + 1), (1, 0, 0), (0, 1, 0))
_STEP2 = ((2**15, 0, 2**15 + 1), (1, 0, 0), (0, 1, 0))

Matrix = tuple[tuple[int, ...], ...]


def _times(a: Matrix, b: Matrix, m: int) -> Matrix:
    return tuple(tuple(sum(a[i][k] * b[k][j] for k in range(3)) % m for j in range(3)) for i in range(3))


def power_of_two(a: Matrix, exponent: int, m: int) -> Matrix:
    """Return ``a ** (2 ** exponent)`` modulo m: as many steps at once."""
    for _ in range(exponent):
        a = _times(a, a, m)
    return a


def _applied(a: Matrix, x: np.ndarray, m: int) -> np.ndarray:
    """Return each row of `x` (n, 3), uint64, as `a` moves it; products stay below 2**62."""
    out = np.zeros_like(x)
    for i in range(3):
        for k in range(3):
            out[:, i] = (out[:, i] + np.uint64(a[i][k]) * x[:, k] % np.uint64(m)) % np.uint64(m)
    return out


def jumped(state: np.ndarray, exponent: int) -> np.ndarray:
    """Return states (n, 6) after 2**exponent steps.

    >>> jumped(np.full((1, 6), 12345), 0)[0, :3].tolist() == [(2**22 + 129) * 12345 % (2**31 - 1), 12345, 12345]
    True
    """
    x = np.asarray(state, "uint64")
    a, b = power_of_two(_STEP1, exponent, M1), power_of_two(_STEP2, exponent, M2)
    return np.concatenate([_applied(a, x[:, :3], M1), _applied(b, x[:, 3:], M2)], axis=1).astype("int32")


def streams(state: np.ndarray, n: int) -> np.ndarray:
    """Return the states (n, 6) of streams that are 2**72 steps apart, the first at `state`."""
    rows = np.asarray(state, "int32").reshape(1, 6)
    exponent = 72
    while len(rows) < n:
        rows = np.concatenate([rows, jumped(rows, exponent)])  # as many further on as there are
        exponent += 1
    return rows[:n]


def _reduced(v: Expr, low: int) -> Expr:
    """Return a uint64 below 2**54 modulo 2**31 - low."""
    mask, shift = const(2**31 - 1, "uint64"), const(31, "uint64")
    for _ in range(2 if low == 1 else 3):
        v = binary("shr", v, shift) * const(low, "uint64") + (v & mask)
    m = const(2**31 - low, "uint64")
    return select(m <= v, v - m, v)


class _OfStreams(Op):
    """A vector made from two vectors of numbers, one of each stream; nothing of it has a gradient."""

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if any(t.dtype != "int32" or t.ndim != 1 for t in types):
            raise errors.DTypeError(f"numbers of streams are int32 vectors, got {' and '.join(map(str, types))}")
        return (TensorType("int32", broadcast_shape([t.shape for t in types])),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (broadcast_extents(types),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return equal_extent_checks(types)

    def number(self, x: Expr, y: Expr) -> Expr:
        """Return the number of one stream, over uint64."""
        raise NotImplementedError

    def compute(self, *types: TensorType) -> IndexLambda:
        x, y = (cast(load(k, (const(0, "int64") if t.shape[0] == 1 else axis(0),), "int32"), "uint64")
                for k, t in enumerate(types))
        return IndexLambda(cast(self.number(x, y), "int32"))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, None]

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        return [[False], [False]]


class MrgNext(_OfStreams):
    """The next number of a recurrence: of the first from x[n-2] and x[n-3], of the second from x[n-1] and x[n-3]."""

    __props__ = ("component",)
    name = "mrg31k3p"

    def __init__(self, component: int) -> None:
        self.component = component

    def number(self, x: Expr, y: Expr) -> Expr:
        a, b, low = ((2**22, 2**7 + 1, 1), (2**15, 2**15 + 1, 21069))[self.component - 1]
        return _reduced(x * const(a, "uint64") + y * const(b, "uint64"), low)


class MrgNumber(_OfStreams):
    """The number that streams give: the difference of the two recurrences, from 1 to M1."""

    name = "mrg31k3p_number"

    def number(self, x: Expr, y: Expr) -> Expr:
        return select(x <= y, x + const(M1, "uint64") - y, x - y)


def numbers(state: Variable, sizes: Sequence[Variable]) -> tuple[Variable, Variable]:
    """Return the states after a draw, and integers from 1 to M1 of a shape.

    Element i comes from stream ``i % n`` in its step ``i // n``; a stream takes as many steps as elements it gives.
    """
    n, total = extents(state)[0], product(sizes)
    steps = (total + n - 1) // n  # type: ignore[operator]
    columns = [getitem(state, (slice(None), k)) for k in range(6)]

    def step(carry: dict[str, Any], _: None) -> tuple[dict[str, Any], Variable]:
        old = carry["x"]
        first, second = MrgNext(1)(old[1], old[2]), MrgNext(2)(old[3], old[5])
        new = [first, old[0], old[1], second, old[3], old[4]]
        gives = lt(arange(n), carry["left"])
        kept = [switch(gives, a, b) for a, b in zip(new, old, strict=True)]
        return {"x": kept, "left": carry["left"] - n}, MrgNumber()(first, second)

    last, trace = loop(step, {"x": columns, "left": total}, length=steps, name="mrg31k3p")
    flat = getitem(reshape(trace, [steps * n], ndim=1), slice(None, total))  # type: ignore[operator]
    return stack(last["x"], axis=1), reshape(flat, list(sizes), ndim=len(sizes))


def as_uniform(z: Variable, dtype: str) -> Variable:
    """Return integers from 1 to M1 as numbers in ``(0, 1)``: z / 2**31, in float32 by the largest factor that gives no 1."""
    if dtype == "float64":
        return cast_to(z, "float64") * constant(np.float64(2.0**-31))  # type: ignore[operator]
    if dtype == "float32":
        return cast_to(z, "float32") * constant(np.float32(1.0 / (2**31 + 65)))  # type: ignore[operator]
    # float16 has steps of 2**-11 below 1: the upper ten bits, from the middle of their interval
    return cast_to((cast_to((z - 1) // 2**21, "float32") + 0.5) * 2.0**-10, "float16")  # type: ignore[operator]
