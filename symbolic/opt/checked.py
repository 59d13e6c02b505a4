"""Values, or parts of them, that stand in the place of what a rewrite took away, with what that checked."""
from __future__ import annotations

import numpy as np

from symbolic import errors
from symbolic.graph import Op
from symbolic.loop import NEGATIVE_STEPS
from symbolic.scalar import Check, Expr, IndexLambda, axis, const, dim, load
from symbolic.types import TensorType


class _Part(Op):
    """The first input, or the beginning of it; the second is a number that it must fit."""

    is_index_map = True

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(load(0, [axis(a) for a in range(types[0].ndim)], types[0].dtype))


class AfterSteps(_Part):
    """A value that is there after at least one step."""

    name = "after_steps"

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        n = load(1, (), "int64")
        return (Check(n >= 1, "index -1 is out of bounds for axis 0 with extent {0}", detail=(n,),
                      error=errors.IndexOutOfBounds),)


class FirstSteps(_Part):
    """As many elements of a sequence as a loop takes steps.

    Parameters
    ----------
    sequence : int
        Its number, for errors.
    """

    __props__ = ("sequence",)
    name = "scan"

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone(shape=(None, *types[0].shape[1:])),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((load(1, (), "int64"), *(dim(0, a) for a in range(1, types[0].ndim))),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        n, length = load(1, (), "int64"), dim(0, 0)
        return (Check(n >= 0, NEGATIVE_STEPS, detail=(n,)),
                Check(n <= length, f"a loop of {{0}} steps needs as many elements; sequence {self.sequence} has {{1}}",
                      detail=(n, length)))


class OfType(Op):
    """What a branch keeps for another one on the same condition: of a shape that is known better than the branch tells.

    If the arm isn't taken, there are no elements; then nobody reads them.

    Parameters
    ----------
    known : tuple of int or None
    """

    __props__ = ("known",)
    name = "of_type"
    view_of = 0

    def __init__(self, known: tuple[int | None, ...]) -> None:
        self.known = known

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone(shape=self.known),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) if n is None else const(n, "int64") for a, n in enumerate(self.known)),)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return arrays


class OfExtent(_Part):
    """The first input, unchanged; the second must be its extent along an axis.

    Parameters
    ----------
    axis : int
    """

    __props__ = ("axis",)
    name = "dot"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        n, own = load(1, (), "int64"), dim(0, self.axis)
        return (Check(Expr("eq", (n, own), None, "bool"), "inner extents differ: {0} and {1}", detail=(n, own)),)
