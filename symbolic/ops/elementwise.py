"""Elementwise functions: one row each. The row's body serves NumPy, C and CUDA; its partials both derivatives.

A row is callable: on Variables it builds an Apply, on scalar expressions it is traced into the body. To add a
function, add a row to `ops/functions.py` and name its oracle in `tests/oracles.py`.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.config import config
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant
from symbolic.scalar import Check, Expr, IndexLambda, axis, cast, const, dim, load
from symbolic.types import (
    TensorType,
    float_of,
    is_complex,
    is_discrete,
    is_integer,
    meet,
    promote,
    real_of,
    to_float,
    weak_dtype,
)

#: Every row by name: tests and docs are generated from it.
ROWS: dict[str, Row] = {}


@dataclass(frozen=True, eq=False)
class Row:
    """One elementwise function.

    Parameters
    ----------
    name : str
    body : callable
        From scalar expressions to a scalar expression.
    nin : int
        Number of arguments.
    d : callable or None
        ``d(*inputs, output)`` gives the partial derivatives, one for each input; None in it, or None for
        `d`, where no gradient flows.
    kind : str
        How dtypes go in and out: ``same`` (all promoted to one), ``float`` (integers become floats),
        ``bool`` (promoted, the result is bool), ``bits`` (integers and bools only), ``real`` (the real
        dtype of a complex argument), ``switch`` (the first argument is a condition), ``complex``.
    doc : str
        One line for users.
    domain : tuple of float
        Interval that tests draw arguments from.
    pullback : callable or None
        ``pullback(inputs, output, g)`` where partials aren't enough (complex values).
    home : str
        The module that defined it.
    """

    name: str
    body: Callable[..., Expr]
    nin: int
    d: Callable[..., Sequence[Any]] | None = None
    kind: str = "same"
    doc: str = ""
    domain: tuple[float, float] = (-3.0, 3.0)
    pullback: Callable[..., Sequence[Any]] | None = None
    home: str = "symbolic"

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return self.doc

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, *args: Any) -> Any:
        """Apply to symbolic variables (or trace, when given scalar expressions)."""
        if len(args) != self.nin:
            raise TypeError(f"{self.name}() takes {self.nin} arguments, got {len(args)}")
        if any(isinstance(a, Expr) for a in args):
            return self.body(*args)
        return Elementwise(self.name)(*args)


def row(name: str, body: Callable[..., Expr], d: Callable[..., Sequence[Any]] | None = None, *, kind: str = "same",
        doc: str = "", domain: tuple[float, float] = (-3.0, 3.0), nin: int | None = None,
        pullback: Callable[..., Sequence[Any]] | None = None) -> Row:
    """Define an elementwise function and add it to the registry."""
    nin = body.__code__.co_argcount if nin is None else nin
    made = Row(name, body, nin, d, kind, doc, domain, pullback, sys._getframe(1).f_globals["__name__"])
    if name in ROWS:
        raise ValueError(f"elementwise function {name!r} is defined twice")
    ROWS[name] = made
    return made


class Elementwise(Op):
    """Applies a row to each element of its broadcast inputs."""

    __props__: tuple[str, ...] = ("fn",)

    def __init__(self, fn: str) -> None:
        self.fn = fn
        self.row = ROWS[fn]

    @property
    def name(self) -> str:
        return self.fn

    @property
    def stable(self) -> bool:
        return super().stable and self.row.home.partition(".")[0] == "symbolic"

    def __str__(self) -> str:
        return self.fn

    def __reduce__(self) -> tuple:
        return type(self), (self.fn,)

    def make_node(self, *inputs: Any) -> Any:
        operands = weak_operands(inputs, 1 if self.row.kind == "switch" else 0)
        if self.row.kind == "float" and all(is_discrete(v.dtype) for v in operands):
            to = config.floatX if self.fn == "true_div" else float_of(*(v.dtype for v in operands))
            if to != to_float(promote(*(v.dtype for v in operands))):
                operands = [_converted(v, to) for v in operands]
        return super().make_node(*operands)

    def work_dtype(self, *types: TensorType) -> str:
        """Return the dtype in which operands meet."""
        return _work_dtype(self.row, types)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return _inferred(self.row, types)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (broadcast_extents(types),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return equal_extent_checks(types) + (_exponent_checks(types) if self.fn == "pow" else ())

    def compute(self, *types: TensorType) -> IndexLambda:
        return _meaning(self.row, types, self.infer_type(*types)[0])

    @property
    def hides(self) -> bool:  # type: ignore[override]
        return self.fn in ("switch", "mul_unless_zero")

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return self._pullback(inputs, outputs, gouts, _times)

    def pullback_unless_zero(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                             gouts: Sequence[Variable | None]) -> list[Variable | None]:
        if type(self).pullback is not Elementwise.pullback:  # a conversion has a rule of its own, which multiplies nothing
            return self.pullback(inputs, outputs, gouts)
        return self._pullback(inputs, outputs, gouts, _times_unless_zero)

    def _pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None],
                  times: Callable[[Any, Variable], Variable | None]) -> list[Variable | None]:
        g = gouts[0]
        row = self.row
        if g is None or (row.d is None and row.pullback is None):
            return [None] * len(inputs)
        by_partials = row.d is not None and not any(is_complex(v.dtype) for v in (*inputs, *outputs))
        if row.pullback is not None and not (by_partials and times is _times_unless_zero):
            terms = row.pullback(inputs, outputs[0], g)
        else:
            assert row.d is not None
            terms = [times(p, g) for p in row.d(*inputs, outputs[0])]
        return [None if t is None or is_discrete(x.dtype) else unbroadcast(t, x, inputs)
                for x, t in zip(inputs, terms, strict=True)]


def _times(partial: Any, g: Variable) -> Variable | None:
    if partial is None:
        return None
    if isinstance(partial, (int, float)) and partial == 1:
        return g
    if isinstance(partial, (int, float)) and partial == -1:
        return -g  # type: ignore[operator]
    if isinstance(partial, Variable) and is_complex(partial.dtype):
        partial = Elementwise("conj")(partial)
    return partial * g


def _times_unless_zero(partial: Any, g: Variable) -> Variable | None:
    """Multiply so that where a cotangent is zero it stays so, whatever the partial derivative is."""
    plain = partial is None or isinstance(partial, (int, float, Constant)) or is_complex(partial.dtype) or is_complex(g.dtype)
    if plain or partial.dtype == "bool":
        return _times(partial, g)
    return Elementwise("mul_unless_zero")(g, partial)


class Cast(Elementwise):
    """Conversion to another dtype."""

    __props__ = ("fn", "to")

    def __init__(self, fn: str, to: str) -> None:
        super().__init__(fn)
        self.to = to

    def __str__(self) -> str:
        return f"cast{{{self.to}}}"

    def __reduce__(self) -> tuple:
        return type(self), (self.fn, self.to)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if is_complex(types[0].dtype) and not is_complex(self.to):
            raise errors.DTypeError(f"can't cast {types[0].dtype} to {self.to}\nhint: take .real or abs() first")
        return (types[0].clone(dtype=self.to),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        if gouts[0] is None or is_discrete(inputs[0].dtype) or is_discrete(self.to):
            return [None]
        return [match_dtype(gouts[0], inputs[0].dtype)]


row("cast", lambda x: x, doc="Convert to another dtype.", nin=1)


def cast_to(x: Any, dtype: Any) -> Variable:
    """Return `x` converted to `dtype` (``'floatX'`` is the configured float).

    >>> cast_to(constant(3), "float32").dtype
    'float32'
    """
    x = as_tensor_variable(x)
    to = TensorType(dtype).dtype
    return x if x.dtype == to else Cast("cast", to)(x)


def match_dtype(g: Variable, dtype: str) -> Variable:
    """Return cotangent `g` in `dtype`; the real part where a real input fed a complex result."""
    if g.dtype == dtype:
        return g
    if is_complex(g.dtype) and not is_complex(dtype):
        g = Elementwise("real")(g)
    return cast_to(g, dtype)


# ---------------------------------------------------------------------------------------- broadcasting


def weak_operands(inputs: Sequence[Any], skip: int = 0) -> list[Variable]:
    """Return operands as variables; Python numbers take the dtype of the operands beside them."""
    found = [v if isinstance(v, Variable) else None if is_number(v) else as_tensor_variable(v) for v in inputs]
    others = [v.dtype for v in found[skip:] if v is not None]
    out: list[Variable] = []
    for value, variable in zip(inputs, found, strict=True):
        out.append(constant(value, dtype=weak_dtype(value, others)) if variable is None else variable)
    return [*out[:skip], *under_policy(out[skip:])]


def under_policy(operands: Sequence[Variable]) -> list[Variable]:
    """Return operands that are to meet, converted where ``config.cast_policy`` isn't NumPy's promotion."""
    if config.cast_policy == "custom" or not operands:
        return list(operands)
    to = meet(*(v.dtype for v in operands))
    return list(operands) if to == promote(*(v.dtype for v in operands)) else [_converted(v, to) for v in operands]


def _converted(v: Variable, dtype: str) -> Variable:
    """Return `v` in `dtype`: a graph's meaning doesn't depend on the policy under which it was built."""
    if v.dtype == dtype:
        return v
    if isinstance(v, Constant):
        return constant(v.data, dtype=dtype)
    return cast_to(v, dtype)


def is_number(v: Any) -> bool:
    """Whether `v` is a Python number, which takes the dtype of what stands beside it."""
    return isinstance(v, (bool, int, float, complex)) and not isinstance(v, np.generic)


def broadcast_shape(shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
    """Return what is known of the broadcast of `shapes`; extents not known are assumed equal.

    >>> broadcast_shape([(3, 1), (None,)])
    (3, None)
    """
    n = max((len(s) for s in shapes), default=0)
    out: list[int | None] = []
    for a in range(n):
        extents = [s[a - n + len(s)] for s in shapes if a - n + len(s) >= 0]
        known = {e for e in extents if e is not None and e != 1}
        if len(known) > 1:
            raise errors.ShapeError(f"extents {' and '.join(map(str, sorted(known)))} on axis {a - n} don't broadcast"
                                    "\nhint: extents must be equal, or one of them 1")
        if known:
            out.append(known.pop())
        else:
            out.append(None if None in extents else 1)
    return tuple(out)


# What rows say of types is asked for at every node, of few combinations of types: it is kept.


@lru_cache(maxsize=4096)
def _work_dtype(row: Row, types: tuple[TensorType, ...]) -> str:
    kind = row.kind
    if kind == "switch":
        types = types[1:]
    dtype = promote(*(t.dtype for t in types))
    if kind in ("float", "complex", "phase"):
        dtype = to_float(dtype)
    if kind == "bits" and not is_discrete(dtype):
        raise errors.DTypeError(f"needs integers or bools, got {', '.join(str(t) for t in types)}")
    return dtype


@lru_cache(maxsize=4096)
def _inferred(row: Row, types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    work = _work_dtype(row, types)
    kind = row.kind
    if kind == "bool":
        dtype = "bool"
    elif kind in ("real", "phase"):
        dtype = real_of(work)
    elif kind == "complex":
        dtype = promote(work, "complex64")
    else:
        dtype = work
    _body(row, [load(k, (), t.dtype) for k, t in enumerate(types)], work, dtype)  # raises what isn't defined
    return (TensorType(dtype, broadcast_shape([t.shape for t in types])),)


@lru_cache(maxsize=4096)
def _meaning(row: Row, types: tuple[TensorType, ...], out: TensorType) -> IndexLambda:
    n = out.ndim
    args = []
    for k, t in enumerate(types):
        first = n - t.ndim
        index = tuple(const(0, "int64") if extent == 1 else axis(first + a) for a, extent in enumerate(t.shape))
        args.append(load(k, index, t.dtype))
    return IndexLambda(_body(row, args, _work_dtype(row, types), out.dtype))


def _body(row: Row, args: list[Expr], work: str, out: str) -> Expr:
    # float16 is for storage: arithmetic runs in float32 and is rounded once at the end.
    inner = "float32" if work == "float16" else work
    first = 1 if row.kind == "switch" else 0
    cast_args = [cast(a, "bool") if k < first else cast(a, inner) for k, a in enumerate(args)]
    try:
        return cast(row.body(*cast_args), out)
    except errors.DTypeError as error:
        raise errors.DTypeError(f"{row.name}: {error}") from None


@lru_cache(maxsize=4096)
def broadcast_extents(types: tuple[TensorType, ...]) -> tuple[Expr, ...]:
    """Return the extents of the broadcast of inputs of `types`: known ones first, else the first input's."""
    n = max((t.ndim for t in types), default=0)
    out = []
    for a in range(n):
        best: Expr = const(1, "int64")
        for k, t in enumerate(types):
            own = a - n + t.ndim
            if own < 0 or t.shape[own] == 1:
                continue
            if t.shape[own] is not None:
                best = const(t.shape[own], "int64")
                break
            if best.op == "const":
                best = dim(k, own)
        out.append(best)
    return tuple(out)


@lru_cache(maxsize=4096)
def equal_extent_checks(types: tuple[TensorType, ...]) -> tuple[Check, ...]:
    """Return the guards that extents assumed equal are equal."""
    n = max((t.ndim for t in types), default=0)
    out = []
    for a in range(n):
        wide = [(k, a - n + t.ndim) for k, t in enumerate(types)
                if a - n + t.ndim >= 0 and t.shape[a - n + t.ndim] != 1]
        for k, own in wide[1:]:
            first, first_axis = wide[0]
            if types[k].shape[own] is not None and types[first].shape[first_axis] is not None:
                continue
            x, y = dim(first, first_axis), dim(k, own)
            out.append(Check(x.__class__("eq", (x, y), None, "bool"),
                             f"input dimension mismatch: extents {{0}} and {{1}} on axis {a - n} don't broadcast\nhint: "
                             "extents must be equal, or one of them 1; axes are aligned at the right, and x.dimshuffle(0, 'x') "
                             "puts one there",
                             detail=(x, y), broadcast=((first, first_axis), (k, own))))
    return tuple(out)


def _exponent_checks(types: Sequence[TensorType]) -> tuple[Check, ...]:
    """Return that no integer is raised to a negative power, which no integer is; as NumPy."""
    y = types[1]
    if not is_discrete(promote(*(t.dtype for t in types))) or not y.dtype.startswith("int"):
        return ()
    n = load(1, [axis(a) for a in range(y.ndim)], y.dtype)
    return (Check(const(0, y.dtype) <= n, "an integer can't be raised to the power {0}, which gives no integer; cast one of them "
                  "to a float", tuple(dim(1, a) for a in range(y.ndim)), (cast(n, "int64"),), error=errors.ParameterError),)


class SumTo(Op):
    """Sums a cotangent over the axes along which `like` was broadcast; vanishes where extents are equal."""

    name = "sum_to"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        g, like = types
        first = g.ndim - like.ndim
        shape = tuple(g.shape[first + a] if n is None else n for a, n in enumerate(like.shape))
        return (TensorType(g.dtype, shape),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(1, a) if n is None else const(n, "int64") for a, n in enumerate(types[1].shape)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return ()

    def summed_axes(self, *types: TensorType) -> tuple[int, ...]:
        """Return the axes of the cotangent that are summed."""
        g, like = types
        first = g.ndim - like.ndim
        return (*range(first), *(first + a for a, n in enumerate(like.shape) if n == 1 and g.shape[first + a] != 1))

    def compute(self, *types: TensorType) -> IndexLambda:
        g, like = types
        first = g.ndim - like.ndim
        summed = self.summed_axes(*types)
        index: list[Expr] = []
        for a in range(g.ndim):
            if a in summed:
                index.append(Expr("sym", (), f"r{summed.index(a)}", "int64"))
            else:
                index.append(const(0, "int64") if g.shape[a] == 1 else axis(a - first))
        return IndexLambda(load(0, index, g.dtype), tuple(dim(0, a) for a in summed))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        g, like = arrays
        first = g.ndim - like.ndim
        axes = (*range(first), *(first + a for a, n in enumerate(like.shape) if n == 1 and g.shape[first + a] != 1))
        return (np.sum(g, axis=axes, dtype=g.dtype, keepdims=True).reshape(like.shape) if axes else g,)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        if gouts[0] is None:
            return [None, None]
        return [Elementwise("second")(inputs[0], gouts[0]), None]


def unbroadcast(g: Variable, x: Variable, inputs: Sequence[Variable]) -> Variable:
    """Return cotangent `g` of the broadcast of `inputs`, summed to the shape of `x`, in its dtype."""
    n = g.ndim
    needed = n > x.ndim
    for a, extent in enumerate(x.type.shape):
        if needed or (extent is not None and extent != 1):
            continue
        if extent == 1:
            needed = g.type.shape[n - x.ndim + a] != 1
        else:
            others = [v for v in inputs
                      if v is not x and v.ndim >= x.ndim - a and v.type.shape[a - x.ndim] != 1]
            needed = bool(others)
    g = SumTo()(g, x) if needed else g
    return match_dtype(g, x.dtype)


def integer_operand(x: Any, op: str) -> Variable:
    """Return `x` as a 0-d integer variable, the form in which bounds and extents are given."""
    v = as_tensor_variable(x)
    if v.ndim != 0 or not (is_integer(v.dtype) or v.dtype == "bool"):
        raise errors.DTypeError(errors.message(op, f"expected an integer scalar, got {v} ({v.type})", (), None))
    return constant(v.data, dtype="int64") if isinstance(v, Constant) else cast_to(v, "int64")
