"""Points at which products with Jacobians are taken: they have the shape of their variable, and nothing broadcasts."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symbolic import errors
from symbolic.graph import Variable, describe
from symbolic.ops.extents import Shape_i, SpecifyShape
from symbolic.reverse import SAME_SHAPE
from symbolic.scalar import Check
from symbolic.source import caller
from symbolic.types import TensorType

_TEXT = "an evaluation point must have the shape of its variable: on axis {axis} it has extent {{0}}, the variable {{1}}"


class PointOf(SpecifyShape):
    """A point of the shape of its variable.

    Parameters
    ----------
    known : tuple
        See :class:`SpecifyShape`.
    what : str
        Who asks, for the error.
    """

    __props__: tuple[str, ...] = ("known", "what")

    def __init__(self, known: Sequence[int | str | None], what: str) -> None:
        super().__init__(known)
        self.what = what

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.what

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        axes = (a for a, n in enumerate(self.known) if n is not None)
        return tuple(replace(c, message=_TEXT.format(axis=a)) for a, c in zip(axes, super().checks(*types), strict=True))


def of_shape(v: Variable, point: Variable, what: str) -> Variable:
    """Return `point`, whose extents must be those of `v`: checked now where both are known, else when it is computed."""
    known: list[int | str | None] = []
    for a, (n, m) in enumerate(zip(v.type.shape, point.type.shape, strict=True)):
        if n is not None and m is not None and n != m:
            raise errors.ShapeError(errors.message(
                what, _TEXT.format(axis=a).format(m, n), (describe(v), describe(point)), caller(),
                "nothing broadcasts here; T.broadcast_to gives it that shape"))
        known.append("n" if n is None else n if m is None else None)
    if v is point or not any(known):
        return point
    return PointOf(known, what)(point, *(Shape_i(a)(v) for a, n in enumerate(known) if n == "n"))


SAME_SHAPE.append(of_shape)
