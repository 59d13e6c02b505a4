"""Ops that read and write parts of arrays; each is the other's derivative."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Op, Variable, constant
from symbolic.ops.create import zeros_like
from symbolic.ops.elementwise import SumTo, match_dtype
from symbolic.ops.region import IdxList, Region, extent_of, region_of
from symbolic.scalar import Check, Expr, IndexLambda, Part, Scatter, axis, binary, cast, const, dim, load
from symbolic.types import TensorType, is_discrete, promote, shape_text


class Subtensor(Op):
    """``x[ints and slices]``.

    Parameters
    ----------
    idx_list : tuple
        One entry an axis: an int, a :class:`Slice`, or :data:`VAR` for an integer that is an input.
    """

    __props__: tuple[str, ...] = ("idx_list",)
    is_index_map = True

    def __init__(self, idx_list: IdxList) -> None:
        self.idx_list = idx_list

    def __str__(self) -> str:
        return f"{self.name}{{{', '.join(map(str, self.idx_list))}}}"

    def region(self, types: Sequence[TensorType], first: int = 1) -> Region:
        """Return the region of `x`; the index inputs begin at number `first`."""
        return region_of(self.idx_list, types[0], types[first:], first)

    def writer(self, set: bool) -> IncSubtensor:
        """Return the op that writes what this reads."""
        return IncSubtensor(self.idx_list, set)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(types[0].dtype, self.region(types).known),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (self.region(types).extents,)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return self.region(types).checks

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(load(0, self.region(types).index, types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, *idx = inputs
        nothing: list[Variable | None] = [None] * len(idx)
        if gouts[0] is None or is_discrete(x.dtype):
            return [None, *nothing]
        return [self.writer(False)(zeros_like(x), match_dtype(gouts[0], x.dtype), *idx), *nothing]

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        return [[True]] + [[False]] * (node.nin - 1)


class AdvancedSubtensor(Subtensor):
    """``x[integer arrays, ints and slices]``.

    Parameters
    ----------
    idx_list : tuple
        As for :class:`Subtensor`, and :data:`ARRAY` for an integer array that is an input.
    mode : {'raise', 'clip', 'wrap'}
        What becomes of an index out of range.
    """

    __props__ = ("idx_list", "mode")
    is_index_map = False

    def __init__(self, idx_list: IdxList, mode: str = "raise") -> None:
        super().__init__(idx_list)
        self.mode = mode

    def region(self, types: Sequence[TensorType], first: int = 1) -> Region:
        return region_of(self.idx_list, types[0], types[first:], first, self.mode)

    def writer(self, set: bool) -> IncSubtensor:
        return AdvancedIncSubtensor(self.idx_list, set, self.mode)


class IncSubtensor(Op):
    """`x` with ``x[idx]`` set to, or incremented by, `y`; inputs ``x, y, *idx``.

    Parameters
    ----------
    idx_list : tuple
        The key, as :class:`Subtensor` spells it.
    set : bool
        Overwrite instead of adding.
    """

    __props__: tuple[str, ...] = ("idx_list", "set")

    def __init__(self, idx_list: IdxList, set: bool = False) -> None:
        self.idx_list = idx_list
        self.set = set

    @property
    def name(self) -> str:
        return "set_subtensor" if self.set else "inc_subtensor"

    @property
    def adds_to(self) -> int | None:  # type: ignore[override]
        return None if self.set else 0

    def __str__(self) -> str:
        return f"{self.name}{{{', '.join(map(str, self.idx_list))}}}"

    def region(self, types: Sequence[TensorType]) -> Region:
        """Return the region of `x` that is written."""
        return region_of(self.idx_list, types[0], types[2:], 2)

    def reader(self) -> Subtensor:
        """Return the op that reads the same region."""
        return Subtensor(self.idx_list)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        x, y = types[:2]
        known = self.region(types).known
        if promote(x.dtype, y.dtype) != x.dtype:
            raise errors.DTypeError(f"can't store {y.dtype} in an array of {x.dtype} without losing precision"
                                    f"\nhint: cast the value: T.cast(y, {x.dtype!r})")
        fits = y.ndim <= len(known) and all(
            n in (1, m) or None in (n, m)
            for n, m in zip(y.shape[::-1], known[::-1], strict=False))
        if not fits:
            raise errors.ShapeError(f"a value of shape {shape_text(y.shape)} doesn't fit the part of x, of shape "
                                    f"{shape_text(known)}\nhint: the value must have that shape, or broadcast to it")
        return (x,)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) if n is None else const(n, "int64") for a, n in enumerate(types[0].shape)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        region = self.region(types)
        y = types[1]
        first = len(region.extents) - y.ndim
        out = list(region.checks)
        for a, n in enumerate(y.shape):
            if n == 1 or (n is not None and region.known[first + a] is not None):
                continue
            have = dim(1, a) if n is None else const(n, "int64")
            want = region.extents[first + a]
            out.append(Check(binary("eq", have, want), f"the value has extent {{0}} on axis {a}, the part of x it is "
                             "stored in has {1}", detail=(have, want)))
        return tuple(out)

    def compute(self, *types: TensorType) -> Scatter:
        region = self.region(types)
        x, y = types[:2]
        first = len(region.extents) - y.ndim
        at = [const(0, "int64") if n == 1 else axis(first + a) for a, n in enumerate(y.shape)]
        how = None if self.set else "or" if x.dtype == "bool" else "add"
        part = Part(region.extents, region.index, cast(load(1, at, y.dtype), x.dtype), how)
        return Scatter(0, (part,))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, y, *idx = inputs
        g = gouts[0]
        nothing: list[Variable | None] = [None] * len(idx)
        if g is None:
            return [None, None, *nothing]
        gx = type(self)(*self.props())(g, constant(0, dtype=g.dtype), *idx) if self.set else g
        gy = None if is_discrete(y.dtype) else _summed(self.reader()(g, *idx), y)
        return [gx, gy, *nothing]

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        return [[True], [True]] + [[False]] * (node.nin - 2)


class AdvancedIncSubtensor(IncSubtensor):
    """The same for keys that hold integer arrays; repeated indices all count when incrementing.

    Parameters
    ----------
    idx_list : tuple
    set : bool
        Overwrite; of repeated indices the last one wins, and all of them get its gradient.
    mode : {'raise', 'clip', 'wrap'}
        What becomes of an index out of range.
    """

    __props__ = ("idx_list", "set", "mode")

    def __init__(self, idx_list: IdxList, set: bool = False, mode: str = "raise") -> None:
        super().__init__(idx_list, set)
        self.mode = mode

    def region(self, types: Sequence[TensorType]) -> Region:
        return region_of(self.idx_list, types[0], types[2:], 2, self.mode)

    def reader(self) -> Subtensor:
        return AdvancedSubtensor(self.idx_list, self.mode)


def _summed(g: Variable, y: Variable) -> Variable:
    """Return cotangent `g` of the region, summed over the axes along which `y` was broadcast."""
    first = g.ndim - y.ndim
    if first or any(n == 1 and g.type.shape[a] != 1 for a, n in enumerate(y.type.shape)):
        g = SumTo()(g, y)
    return match_dtype(g, y.dtype)


class BoundedIndex(Op):
    """An integer array, unchanged, that must lie in ``0 <= y < x.shape[axis]`` of a second input; in front of that axis, which
    is the last one of `x`, both have the same extents: a row with several classes, or a class for several rows, is a mistake.
    """

    __props__ = ("axis",)
    name = "crossentropy"
    is_index_map = True

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(extent_of(0, types[0], a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        p = cast(self.compute(*types).body, "int64")
        n = extent_of(1, types[1], self.axis)
        pairs = [(a, extent_of(1, types[1], a), extent_of(0, types[0], a)) for a in range(types[0].ndim)]
        same = tuple(Check(binary("eq", m, k), f"extents {{0}} of the predictions and {{1}} of the targets on axis {a} differ",
                           detail=(m, k)) for a, m, k in pairs if m is not k)
        return (*same, Check(binary("and", binary("le", 0, p), p < n), "index {0} is out of bounds for {1} classes",
                      self.infer_shape(*types)[0], (p, n), error=errors.IndexOutOfBounds),)

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(load(0, [axis(a) for a in range(types[0].ndim)], types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, None]
