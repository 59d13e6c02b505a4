"""What all draws share: the shape of a sample, its parameters, its dtype."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.config import config
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import addbroadcast, as_extents, extents
from symbolic.ops.functions import eq, switch
from symbolic.scalar import Check, Expr, IndexLambda, axis, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType, is_complex, is_float, promote


def float_dtype(dtype: Any, parameters: Sequence[Any], op: str) -> str:
    """Return the dtype of a floating sample: as asked for, else what holds floatX and the parameters' floats.

    Raises
    ------
    DTypeError
        If `dtype` isn't floating.
    """
    if dtype is None:
        known = [v.dtype for v in parameters if hasattr(v, "dtype") and is_float(str(v.dtype))]
        return promote(config.floatX, *map(str, known))
    name = TensorType(dtype).dtype
    if not is_float(name):
        raise errors.DTypeError(errors.message(op, f"a sample of real numbers has a floating dtype, got {name}", (), caller(),
                                               "draw floats, and cast them"))
    return name


def integer_dtype(dtype: Any, op: str) -> str:
    """Return the dtype of a sample of integers, or of counts that are wanted as floats.

    Raises
    ------
    DTypeError
        If it is complex.
    """
    name = TensorType(dtype).dtype
    if is_complex(name):
        raise errors.DTypeError(errors.message(op, f"a sample of integers can't have dtype {name}", (), caller()))
    return name


def parameter(value: Any, dtype: str, op: str, name: str) -> Variable:
    """Return a parameter of a distribution in the dtype that is computed in.

    Raises
    ------
    DTypeError
        If it is complex.
    """
    v = as_tensor_variable(value) if isinstance(value, Variable) or hasattr(value, "dtype") else None
    if v is None:
        v = as_tensor_variable(value)
        if isinstance(v, Constant) and not is_complex(v.dtype):
            return constant(as_array(value, dtype))
    if is_complex(v.dtype):
        raise errors.DTypeError(errors.message(op, f"{name} must be real, got {describe(v)}", (), caller()))
    return cast_to(v, dtype)


def converted(v: Variable, dtype: str) -> Variable:
    """Return `v` in a dtype; a constant stays one."""
    return constant(v.data.astype(dtype)) if isinstance(v, Constant) else cast_to(v, dtype)


def as_array(value: Any, dtype: str) -> Any:
    """Return Python numbers as an array of `dtype`."""
    return constant(value, dtype=dtype).data


def sample_extents(size: Any, ndim: int | None, parameters: Sequence[Variable], op: str) -> list[Variable]:
    """Return the extents of a sample: `size`, else what the parameters broadcast to.

    Parameters
    ----------
    size : None, int, sequence or integer vector
    ndim : int or None
        The rank, where `size` doesn't tell it; checked where it does.

    Raises
    ------
    RankError
        If `ndim` isn't the rank of `size` (or of the parameters, without it).
    ShapeError
        If the parameters don't broadcast together, where that is known.
    """
    if size is None:
        found = _broadcast(parameters, op)
    elif isinstance(size, (list, tuple)) and not size:
        found = []
    else:
        found = as_extents(size, op, ndim)
    if ndim is not None and ndim != len(found):
        raise errors.RankError(errors.message(op, f"ndim is {ndim}, but size has {len(found)} extents", (), caller()))
    return found


def _broadcast(parameters: Sequence[Variable], op: str) -> list[Variable]:
    one = constant(1, dtype="int64")
    out: list[Variable] = [one] * max((p.ndim for p in parameters), default=0)
    for p in parameters:
        for a, n in enumerate(extents(p)):
            k = len(out) - p.ndim + a
            have = out[k]
            if isinstance(n, Constant) and n.data == 1:
                continue
            if isinstance(have, Constant) and have.data == 1:
                out[k] = n
            elif isinstance(have, Constant) and isinstance(n, Constant):
                if have.data != n.data:
                    raise errors.ShapeError(errors.message(
                        op, f"parameters of extents {have.data} and {n.data} on axis {k - len(out)} don't broadcast",
                        tuple(map(describe, parameters)), caller()))
            elif isinstance(n, Constant):
                out[k] = n
            elif not isinstance(have, Constant):
                out[k] = switch(eq(have, 1), n, have)
    return out


def fitted(p: Variable, sizes: Sequence[Variable], op: str, name: str) -> Variable:
    """Return a parameter that broadcasts to a sample of extents `sizes` without making it larger.

    Raises
    ------
    RankError, ShapeError
        If it doesn't, where that is known; at run time else.
    """
    if p.ndim > len(sizes):
        raise errors.RankError(errors.message(
            op, f"{name} has {p.ndim} dimensions, the sample {len(sizes)}", (describe(p),), caller(),
            "give a size of as many extents, or none: then the sample has the shape of the parameters"))
    single = []
    for a, (n, want) in enumerate(zip(p.type.shape, sizes[len(sizes) - p.ndim:], strict=True)):
        known = int(want.data) if isinstance(want, Constant) else None
        if known is None or n == 1 or n == known:
            continue
        if n is not None:
            raise errors.ShapeError(errors.message(
                op, f"{name} of extent {n} on axis {a - p.ndim} doesn't broadcast to {known}, the size asked for",
                (describe(p),), caller()))
        if known == 1:
            single.append(a)
    return addbroadcast(p, *single) if single else p


def fitted_all(parameters: Sequence[Variable], sizes: Sequence[Variable], op: str, names: Sequence[str]) -> list[Variable]:
    """Return parameters, each through :func:`fitted`."""
    return [fitted(p, sizes, op, n) for p, n in zip(parameters, names, strict=True)]


def float64_sample(op: str, size: Any, ndim: int | None, parameters: dict[str, Any]) -> tuple[list[Variable], list[Variable]]:
    """Return the extents of a sample and its parameters as float64."""
    given = [parameter(v, "float64", op, name) for name, v in parameters.items()]
    sizes = sample_extents(size, ndim, given, op)
    return sizes, fitted_all(given, sizes, op, list(parameters))


def product(sizes: Sequence[Variable]) -> Variable:
    """Return the number of elements."""
    total: Variable = constant(1, dtype="int64")
    if all(isinstance(s, Constant) for s in sizes):
        return constant(int(np.prod([int(s.data) for s in sizes], dtype="int64")), dtype="int64")  # type: ignore[attr-defined]
    for s in sizes:
        total = total * s  # type: ignore[operator]
    return total


class Require(Op):
    """A value, for which a condition must hold everywhere when it is computed.

    Parameters
    ----------
    name : str
        Who requires it, for the error.
    message : str
        What is wrong where it doesn't hold.
    """

    __props__ = ("who", "message")
    is_index_map = True

    def __init__(self, who: str, message: str) -> None:
        self.who, self.message = who, message

    @property
    def name(self) -> str:
        return self.who

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if types[1].dtype != "bool":
            raise errors.DTypeError(f"a condition is bool, got {types[1]}")
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) if n is None else const(n, "int64") for a, n in enumerate(types[0].shape)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        extents = tuple(dim(1, a) if n is None else const(n, "int64") for a, n in enumerate(types[1].shape))
        condition = load(1, [axis(a) for a in range(types[1].ndim)], "bool")
        return (Check(condition, self.message, extents, error=errors.ParameterError),)

    def compute(self, *types: TensorType) -> IndexLambda:
        index = [const(0, "int64") if n == 1 else axis(a) for a, n in enumerate(types[0].shape)]
        return IndexLambda(load(0, index, types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0], None]


def require(op: str, message: str, test: Callable[..., Any], value: Variable, *others: Variable) -> Variable:
    """Return `value`, for which ``test(value, *others)`` must hold everywhere.

    Raises
    ------
    ParameterError
        If it doesn't: now where all is known, else when the function runs.
    """
    operands = (value, *others)
    if not all(isinstance(v, Constant) for v in operands):
        return Require(op, message)(value, test(*operands))
    if not np.all(test(*(v.data for v in operands))):  # type: ignore[attr-defined]
        raise errors.ParameterError(errors.message(op, message, tuple(f"{v} ({v.type})" for v in operands), caller()))
    return value


def in_range(op: str, message: str, test: Callable[..., Any], value: Variable, *others: Variable) -> Variable:
    """Return a parameter: an error where it is known and out of range, nan where that turns out when the function runs.

    Not an error then: a check keeps a value from being fused into the sample.
    """
    operands = (value, *others)
    if all(isinstance(v, Constant) for v in operands):
        return require(op, message, lambda *a: test(*a) | np.isnan(a).any(), *operands)
    return switch(test(*operands), value, constant(np.asarray(np.nan, value.dtype)))
