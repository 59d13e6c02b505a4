"""The draws that all distributions are made from: random bits, uniform and normal numbers, as index lambdas.

Element i of a sample is a function of the key and of i alone, so samples fuse with what reads them, run on every target
and don't depend on the number of threads. One block of Philox serves four elements of 32 bits or two of 64.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from symbolic import errors
from symbolic.graph import Constant, Variable
from symbolic.layout import position, share, total
from symbolic.ops.random_key import OfKey, as_key, block, checked_key, chosen, key_checks
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, cast, const, load, unary
from symbolic.types import TensorType

Words = Sequence[Expr]


@dataclass(frozen=True)
class Kind:
    """How an element comes from a block: `parts` elements share one, `body` takes its words and the part."""

    dtype: str
    parts: int
    body: Callable[[Words, Expr], Expr]


def _shifted(w: Expr, by: int) -> Expr:
    """Return the upper bits of a word as an int32: signed, since that is what processors convert to floats."""
    return cast(binary("shr", w, const(by, "uint32")), "int32")


def _wide(high: Expr, low: Expr) -> Expr:
    """Return the float64 integer of 53 bits in two words."""
    return cast(_shifted(high, 5), "float64") * 67108864.0 + cast(_shifted(low, 6), "float64")


def _pairs(w: Words, part: Expr) -> tuple[Expr, Expr]:
    return chosen(part, [w[0], w[2]]), chosen(part, [w[1], w[3]])


def _bits64(w: Words, part: Expr) -> Expr:
    low, high = (cast(v, "uint64") for v in _pairs(w, part))
    return low | binary("shl", high, const(32, "uint64"))


def _single(bits: int, offset: float) -> Callable[[Words, Expr], Expr]:
    """Return the float32 in ``[0, 1)`` with steps of 2**-bits, moved by `offset` steps."""
    def body(w: Words, part: Expr) -> Expr:
        whole = cast(_shifted(chosen(part, w), 32 - bits), "float32")
        return (whole + offset if offset else whole) * 2.0**-bits

    return body


def _double(offset: float) -> Callable[[Words, Expr], Expr]:
    def body(w: Words, part: Expr) -> Expr:
        whole = _wide(*_pairs(w, part))
        return (whole + offset if offset else whole) * 2.0**-53

    return body


def _open_double(w: Words, part: Expr) -> Expr:
    high, low = _pairs(w, part)
    whole = cast(_shifted(high, 6), "float64") * 67108864.0 + cast(_shifted(low, 6), "float64")
    return (whole + 0.5) * 2.0**-52


def _half(body: Callable[[Words, Expr], Expr]) -> Callable[[Words, Expr], Expr]:
    return lambda w, part: cast(body(w, part), "float16")


# ------------------------------------------------------------------------------------------- normal numbers


def _sine_of_turns(g: Expr, terms: int) -> Expr:
    """Return sin(2 pi g) for ``|g| <= 1/4`` by its power series; 7 terms give float32, 11 float64."""
    coefficients = [(-1.0)**k * (2 * math.pi)**(2 * k + 1) / math.factorial(2 * k + 1) for k in range(terms)]
    square = g * g
    value: Any = coefficients[-1]
    for c in coefficients[-2::-1]:
        value = value * square + c
    return g * value


def _radius(u: Expr) -> Expr:
    return unary("sqrt", unary("log", u) * -2.0)


def _quarter_turn(w: Expr, odd: Expr) -> Expr:
    """Return an angle (2**32 to the turn), a quarter turn on where `odd`: the other number of a pair."""
    return w + cast(odd, "uint32") * const(2**30, "uint32")


def _normal32(w: Words, part: Expr) -> Expr:
    second = const(2, "int64") <= part
    odd = part - cast(second, "int64") * const(2, "int64")
    first = cast(second, "int64")
    u = (cast(_shifted(chosen(first, [w[0], w[2]]), 1), "float32") + 0.5) * 2.0**-31
    turned = _shifted(_quarter_turn(chosen(first, [w[1], w[3]]), odd), 1)
    # a triangle wave of the angle, in integers, so exact: its sine is the angle's
    wave = const(2**29, "int32") - unary("abs", turned - const(2**30, "int32"))
    return _radius(u) * _sine_of_turns(cast(wave, "float32") * 2.0**-31, 7)


def _normal64(w: Words, part: Expr) -> Expr:
    u = (_wide(w[0], w[1]) + 0.5) * 2.0**-53
    turns = _wide(_quarter_turn(w[2], part), w[3]) * 2.0**-53
    return _radius(u) * _sine_of_turns(0.25 - unary("abs", turns - 0.5), 11)


#: By name and dtype. uniform: [0, 1); open: (0, 1); fraction: (0, 1] with more bits near 0 in float32; normal: standard.
KINDS: dict[tuple[str, str], Kind] = {
    (name, kind.dtype): kind
    for name, kind in (
        ("bits", Kind("uint32", 4, lambda w, part: chosen(part, w))),
        ("bits", Kind("uint64", 2, _bits64)),
        ("uniform", Kind("float16", 4, _half(_single(11, 0)))),
        ("uniform", Kind("float32", 4, _single(24, 0))),
        ("uniform", Kind("float64", 2, _double(0))),
        ("open", Kind("float16", 4, _half(_single(10, 0.5)))),
        ("open", Kind("float32", 4, _single(23, 0.5))),
        ("open", Kind("float64", 2, _open_double)),
        ("fraction", Kind("float16", 4, _half(_single(10, 1.0)))),
        ("fraction", Kind("float32", 4, _single(31, 0.5))),
        ("fraction", Kind("float64", 2, _double(0.5))),
        ("normal", Kind("float16", 4, _half(_normal32))),
        ("normal", Kind("float32", 4, _normal32)),
        ("normal", Kind("float64", 2, _normal64)),
    )
}


class Draw(OfKey):
    """A sample; operands are the key and the extents.

    Parameters
    ----------
    kind, dtype : str
        An entry of :data:`KINDS`.
    known : tuple of int or None
        The extents that are known beforehand.

    References
    ----------
    G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", 1958 (normal numbers).
    """

    __props__ = ("kind", "dtype", "known")

    def __init__(self, kind: str, dtype: str, known: Sequence[int | None]) -> None:
        self.kind, self.dtype, self.known = kind, dtype, tuple(known)
        self.how = KINDS[kind, dtype]

    @property
    def name(self) -> str:
        return f"random_{self.kind}"

    def __reduce__(self) -> tuple:
        return type(self), (self.kind, self.dtype, self.known)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        checked_key(types)
        if any(k is not None and k < 0 for k in self.known):
            raise errors.ShapeError(f"an extent can't be negative, got {self.known}")
        return (TensorType(self.dtype, self.known),)

    def _extents(self) -> tuple[Expr, ...]:
        return tuple(load(k + 1, (), "int64") if n is None else const(n, "int64") for k, n in enumerate(self.known))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (self._extents(),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        zero = const(0, "int64")
        sizes = tuple(Check(zero <= n, "an extent can't be negative, got {0}", detail=(n,))
                      for n in self._extents() if n.op != "const")
        return key_checks(types) + sizes

    def compute(self, *types: TensorType) -> IndexLambda:
        extents = self._extents()
        at = position([axis(a) for a in range(len(extents))], extents)
        number, part = share(at, total(extents), self.how.parts)
        low = cast(number, "uint32")
        high = cast(binary("shr", number, const(32, "int64")), "uint32")
        return IndexLambda(self.how.body([block(low, high, w) for w in range(4)], part))


def draw(kind: str, key: Any, extents: Sequence[Variable], dtype: str) -> Variable:
    """Return a sample of an entry of :data:`KINDS`; extents are int64 scalars."""
    known = [int(n.data) if isinstance(n, Constant) else None for n in extents]
    return Draw(kind, dtype, known)(as_key(key, f"random_{kind}"), *extents)
