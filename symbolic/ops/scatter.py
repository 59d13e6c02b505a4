"""Writing parts of arrays, as functions: the result is a new array, `x` with some elements set or incremented."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Op, Variable, as_tensor_variable, describe
from symbolic.ops import index as indexing
from symbolic.ops.create import zeros_like
from symbolic.ops.elementwise import SumTo, weak_operands
from symbolic.ops.functions import second
from symbolic.ops.index import AdvancedSubtensor, Subtensor
from symbolic.ops.region import IdxList, Region, region_of
from symbolic.ops.shape import DimShuffle, dimshuffle
from symbolic.scalar import Check, Expr, Part, Scatter, axis, binary, cast, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete, promote, shape_text


class IncSubtensor(Op):
    """`x` with ``x[idx]`` set to, or incremented by, `y`; inputs ``x, y, *idx``.

    Parameters
    ----------
    idx_list : tuple
        The key, as :class:`~symbolic.ops.index.Subtensor` spells it.
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
        gx = type(self)(*self.props())(g, as_tensor_variable(0).astype(g.dtype), *idx) if self.set else g
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
    return g if g.dtype == y.dtype else g.astype(y.dtype)  # type: ignore[attr-defined]


def _writer(op: Subtensor, set: bool) -> IncSubtensor:
    """Return the op that writes what `op` reads."""
    if isinstance(op, AdvancedSubtensor):
        return AdvancedIncSubtensor(op.idx_list, set, op.mode)
    return IncSubtensor(op.idx_list, set)


def _into_zeros(op: Subtensor, x: Variable, g: Variable, idx: Sequence[Variable]) -> Variable:
    return _writer(op, False)(zeros_like(x), g, *idx)


indexing.INTO_ZEROS.append(_into_zeros)


# ---------------------------------------------------------------------------------------- for users


def set_subtensor(x: Variable, y: Any, inplace: bool = False, tolerate_inplace_aliasing: bool = False) -> Variable:
    """Return the array that `x` is a part of, with that part set to `y`.

    Parameters
    ----------
    x : Variable
        An indexed array: ``a[idx]``.
    y : array_like
        Of the shape of `x`, or broadcasting to it, and of a dtype that fits without loss.
    inplace, tolerate_inplace_aliasing : bool
        Accepted as in Theano, without effect: whether memory is reused is decided by the compiler.

    Returns
    -------
    Variable
        Of the type of ``a``.

    Raises
    ------
    GraphError
        If `x` isn't an indexed array.
    ShapeError, DTypeError
        If `y` doesn't fit.

    Examples
    --------
    >>> a = TensorType("float64", (4,))("a")
    >>> set_subtensor(a[1:3], 0.0).type
    TensorType(float64, (4,))
    """
    return _write(x, y, True)


def inc_subtensor(x: Variable, y: Any, inplace: bool = False, set_instead_of_inc: bool = False,
                  tolerate_inplace_aliasing: bool = False, ignore_duplicates: bool = False) -> Variable:
    """Return the array that `x` is a part of, with that part incremented by `y`.

    Parameters
    ----------
    x : Variable
        An indexed array: ``a[idx]``. An element indexed twice is incremented twice.
    y : array_like
        Of the shape of `x`, or broadcasting to it, and of a dtype that fits without loss.
    set_instead_of_inc : bool
        Same as :func:`set_subtensor`.
    inplace, tolerate_inplace_aliasing, ignore_duplicates : bool
        Accepted as in Theano, without effect.

    Returns
    -------
    Variable
        Of the type of ``a``.

    Raises
    ------
    GraphError
        If `x` isn't an indexed array.
    ShapeError, DTypeError
        If `y` doesn't fit.

    Examples
    --------
    >>> a = TensorType("float64", (4,))("a")
    >>> inc_subtensor(a[[0, 0]], 1.0).type
    TensorType(float64, (4,))
    """
    return _write(x, y, set_instead_of_inc)


def _write(part: Variable, y: Any, set: bool) -> Variable:
    name = "set_subtensor" if set else "inc_subtensor"
    if not isinstance(part, Variable) or part.owner is None:
        raise _not_indexed(part, name)
    op = part.owner.op
    if isinstance(op, DimShuffle):  # a key with new axes: a[:, None]
        return _write_through_axes(part, y, set, name)
    if not isinstance(op, Subtensor):
        raise _not_indexed(part, name)
    x, *idx = part.owner.inputs
    y = weak_operands([x, y])[1]
    if y.ndim <= part.ndim and any(
            n is None and part.type.shape[part.ndim - y.ndim + a] != 1 for a, n in enumerate(y.type.shape)):
        y = second(_typed(part, y), y)  # so that an extent that turns out to be 1 broadcasts
    out = _writer(op, set)(x, y, *idx)
    inner = x.owner
    if isinstance(op, AdvancedSubtensor) and inner is not None and isinstance(inner.op, DimShuffle):
        return _without_new_axes(out, inner.inputs[0], inner.op.order)
    return out


def _typed(part: Variable, y: Variable) -> Variable:
    """Return `part` in the dtype of `y`: it only lends its shape."""
    return part if part.dtype == y.dtype else part.astype(y.dtype)  # type: ignore[attr-defined]


def _without_new_axes(out: Variable, like: Variable, pattern: Sequence[Any]) -> Variable:
    kept = [a for p, a in zip(pattern, range(len(pattern)), strict=True) if p != "x"]
    return dimshuffle(out, kept) if len(kept) == like.ndim and out.ndim != like.ndim else out


def _write_through_axes(part: Variable, y: Any, set: bool, name: str) -> Variable:
    assert part.owner is not None
    inner, pattern = part.owner.inputs[0], part.owner.op.order  # type: ignore[attr-defined]
    if inner.owner is None or not isinstance(inner.owner.op, (Subtensor, DimShuffle)):
        raise _not_indexed(part, name)
    y = weak_operands([inner, y])[1]
    if y.ndim > part.ndim:
        raise errors.RankError(errors.message(name, f"the value has {y.ndim} dimensions, the part of x {part.ndim}",
                                              (describe(part), describe(y)), caller()))
    y = dimshuffle(y, ["x"] * (part.ndim - y.ndim) + list(range(y.ndim)))
    # each axis of the inner part is one of y's; the axes that were added have extent 1 and go
    key = tuple(0 if p == "x" else slice(None) for p in pattern)
    kept = [p for p in pattern if p != "x"]
    return _write(inner, dimshuffle(y[key], [kept.index(a) for a in range(inner.ndim)]), set)


def _not_indexed(x: Any, name: str) -> errors.GraphError:
    shown = describe(x) if isinstance(x, Variable) else repr(x)
    return errors.GraphError(errors.message(
        name, f"the first argument must be an indexed array, got {shown}", (), caller(),
        f"write {name}(x[index], y): it returns the whole of x, changed"))


def _method(set: bool) -> Any:
    def write(self: Variable, y: Any) -> Variable:
        return _write(self, y, set)

    write.__name__ = "set" if set else "inc"
    write.__doc__ = f"Return the indexed array with this part {'set to' if set else 'incremented by'} `y`."
    return write


Variable.set = _method(True)  # type: ignore[attr-defined]
Variable.inc = _method(False)  # type: ignore[attr-defined]
