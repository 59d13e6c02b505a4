"""Where an array isn't zero: how boolean masks become integer indices."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Op, Variable, constant, describe
from symbolic.ops.elementwise import cast_to
from symbolic.ops.reduce import Reduce
from symbolic.ops.shape import reshape
from symbolic.scalar import Check, Expr, axis, binary, const, dim, load
from symbolic.source import caller
from symbolic.template import Template
from symbolic.types import TensorType

Pullback = list[Variable | None]


class Positions(Op):
    """The indices at which a vector of bools is true, in order; the second input is how many there are."""

    name = "flatnonzero"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType("int64", (None,)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((load(1, (), "int64"),),)

    def template(self, *types: TensorType) -> Template:
        return Template("positions")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.flatnonzero(arrays[0]).astype("int64"),)

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Any:
        raise errors.NotSupported(errors.message(
            self.name, "each element of a batch would give another number of results, which make no array",
            (describe(inputs[0]),), node.loc, "choose elementwise instead of by a mask: T.switch(mask, a, b)"))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [None, None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [False]]


def positions(mask: Variable) -> Variable:
    """Return where a vector of bools is true."""
    if isinstance(mask, Constant):
        return constant(np.flatnonzero(mask.data).astype("int64"))
    return Positions()(mask, Reduce("sum", (0,), "int64")(cast_to(mask, "int64")))


class RepeatedPositions(Op):
    """Each index of a vector of numbers as often as its number says; the second input is how many that makes.

    The third input is what is repeated: as long as the vector along `axis`.
    """

    __props__ = ("axis",)
    name = "repeat"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType("int64", (None,)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((load(1, (), "int64"),),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        m, n = dim(0, 0), dim(2, self.axis)
        times = load(0, (axis(0),), "int64")
        text = f"{{0}} numbers were given for axis {self.axis}, which has extent {{1}}"
        return (Check(binary("eq", m, n), text, detail=(m, n)),
                Check(binary("le", 0, times), "repeats can't be negative, got {0}", (m,), (times,)))

    def template(self, *types: TensorType) -> Template:
        return Template("repeated")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.repeat(np.arange(len(arrays[0])), arrays[0]),)

    batch = Positions.batch

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [None, None, None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [False], [False]]


def repeated(repeats: Variable, x: Variable, a: int) -> Variable:
    """Return the index along axis `a` of `x` of each element of ``repeat(x, repeats, a)``; `repeats` is an int64 vector."""
    return RepeatedPositions(a)(repeats, Reduce("sum", (0,), "int64")(repeats), x)


class FitsMask(Op):
    """Its first input, where the mask (third input) is as long along each of its axes as the second is from `axis` on.

    Parameters
    ----------
    axis : int
    """

    __props__ = ("axis",)
    name = "getitem"
    view_of = 0

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        _, x, mask = types
        for a, n in enumerate(mask.shape):
            m = x.shape[self.axis + a]
            if m is not None and n is not None and m != n:
                raise errors.IndexOutOfBounds(_unfit(self.axis + a).format(m, n))
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(_extent(0, types[0], a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        out = []
        for a in range(types[2].ndim):
            m, n = _extent(1, types[1], self.axis + a), _extent(2, types[2], a)
            if m is not n:
                out.append(Check(binary("eq", m, n), _unfit(self.axis + a), detail=(m, n), error=errors.IndexOutOfBounds))
        return tuple(out)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> Pullback:
        return [gouts[0], None, None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False], [False]]


def _unfit(a: int) -> str:
    return f"a boolean index has extent {{1}} where axis {a} has extent {{0}}: a mask must have the extents of what it selects"


def _extent(k: int, t: TensorType, a: int) -> Expr:
    n = t.shape[a]
    return dim(k, a) if n is None else const(n, "int64")


def mask_index(mask: Variable, x: Variable, at: int) -> Variable:
    """Return the flat positions that `mask` selects in the axes of `x` from `at` on, as many as it has.

    Raises
    ------
    IndexOutOfBounds
        If their extents differ; when the function runs where they are known only then.
    """
    if isinstance(mask, Constant):
        index = constant(np.flatnonzero(mask.data).astype("int64"))
        known = x.type.shape[at:at + mask.ndim]
        return index if known == mask.type.shape else FitsMask(at)(index, x, mask)
    fit = FitsMask(at)(mask, x, mask)
    return positions(fit if fit.ndim == 1 else reshape(fit, [-1]))


def scalar_mask_index(mask: Variable) -> Variable:
    """Return the index that a 0-d mask is along a new axis: of its only element, or none."""
    if isinstance(mask, Constant):
        return constant(np.zeros(int(mask.data), "int64"))
    return positions(reshape(mask, [1]))


def is_mask(e: Any) -> bool:
    """Whether an entry of a key is a boolean mask."""
    return isinstance(e, Variable) and e.dtype == "bool"


def refuse_scalar(x: Variable, op: str) -> None:
    """Raise where `x` has no axis to count along."""
    if x.ndim == 0:
        raise errors.RankError(errors.message(op, "a scalar has no axes", (describe(x),), caller(),
                                              "make it a vector: x.dimshuffle('x')"))
