"""Ops written as Theano's: `make_node`, `perform`, `infer_shape(node, shapes)`; and NumPy functions as ops.

A class that has `perform`, `c_code` or `itypes` is adapted once, when it is made; all else in this package then sees the
methods of :class:`symbolic.Op`.
"""
from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.fgraph import capture
from symbolic.graph import ADAPT, Apply, Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.infer import Extents
from symbolic.ops.extents import Shape_i
from symbolic.scalar import Expr, const, dim, load, substitute
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete


class ShapeError(Exception):
    """What Theano's `infer_shape` raises where it can't tell; shapes are then seen when results are there."""


def _adapt(cls: type[Op]) -> None:
    if not any(hasattr(cls, n) for n in ("perform", "c_code")) and getattr(cls, "itypes", None) is None:
        return
    own: Any = cls
    own.theano_form = True
    given = cls.__dict__.get("infer_shape")
    if given is not None:
        own.infer_shape = _adapted_shape(given)
    for name, method in {"infer_type": _infer_type, "make_node": _make_node, "python": _python, "reference": _reference}.items():
        if getattr(own, name) is getattr(Op, name):
            setattr(own, name, method)
    classes = cls.__mro__[:cls.__mro__.index(Op)]
    if not any(n in c.__dict__ for c in classes for n in ("__props__", "__eq__", "__hash__")):
        # nothing says when two are the same, so each is itself alone
        own.__eq__, own.__hash__ = object.__eq__, object.__hash__


ADAPT.append(_adapt)


# ------------------------------------------------------------------------------------------------ types


def _infer_type(self: Any, *types: TensorType) -> tuple[TensorType, ...]:
    if self.make_node.__func__ is _make_node:
        _checked_types(self, types)
        return tuple(self.otypes)
    return tuple(o.type for o in self.make_node(*(Variable(t) for t in types)).outputs)


def _make_node(self: Any, *inputs: Any) -> Apply:
    """Apply to `inputs`, converted as far as `itypes` allow without loss."""
    itypes = getattr(self, "itypes", None)
    if itypes is None or getattr(self, "otypes", None) is None:
        raise NotImplementedError(f"{self.name}: a class with perform needs make_node, or itypes and otypes")
    variables = [as_tensor_variable(v) for v in inputs]
    if len(variables) == len(itypes):
        variables = [_as_type(v, t) for v, t in zip(variables, itypes, strict=True)]
    _checked_types(self, [v.type for v in variables], variables)
    return Apply(self, variables, [t() for t in self.otypes])


def _as_type(v: Variable, type: TensorType) -> Variable:
    """Return a number or array as what an op takes, where that loses nothing."""
    if not isinstance(v, Constant) or v.dtype == type.dtype or not np.can_cast(v.dtype, type.dtype, "safe"):
        return v
    return constant(v.data, dtype=type.dtype)


def _checked_types(self: Any, types: Sequence[TensorType], inputs: Sequence[Variable] = ()) -> None:
    shown = tuple(describe(v) for v in inputs) or tuple(map(str, types))
    if len(types) != len(self.itypes):
        raise TypeError(errors.message(self.name, f"takes {len(self.itypes)} inputs, got {len(types)}", shown, caller()))
    for k, (t, want) in enumerate(zip(types, self.itypes, strict=True)):
        if t.dtype != want.dtype:
            raise errors.DTypeError(errors.message(self.name, f"input {k} must be {want}, got {t}", shown, caller(),
                                                   f"convert it with .astype({want.dtype!r})"))
        known = zip(t.shape, want.shape, strict=False)
        if t.ndim != want.ndim or any(n is not None and m is not None and m != n for m, n in known):
            raise errors.RankError(errors.message(self.name, f"input {k} must be {want}, got {t}", shown, caller(),
                                                  "bring it to that shape, with dimshuffle or reshape"))


# ---------------------------------------------------------------------------------------------- values


def _python(self: Any, node: Apply, arrays: Sequence[np.ndarray]) -> list[Any]:
    """Call `perform` with cells for the results; what it says it destroys it gets as copies."""
    destroyed = {k for ks in (getattr(self, "destroy_map", None) or {}).values() for k in ks}
    given = [np.array(a) if k in destroyed else a for k, a in enumerate(arrays)]
    storage: list[list[Any]] = [[None] for _ in node.outputs]
    if not hasattr(self, "perform"):
        raise errors.NotSupported(errors.message(
            self.name, "it has C code alone, and there is no compiler", tuple(describe(v) for v in node.inputs), node.loc,
            "install a C compiler (`python -m symbolic doctor` says how), or give the op a perform"))
    if getattr(self, "params_type", None) is not None:
        self.perform(node, given, storage, self.get_params(node))
    else:
        self.perform(node, given, storage)
    return [cell[0] for cell in storage]


def _reference(self: Any, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    node = self.make_node(*(Variable(TensorType(a.dtype.name, (None,) * a.ndim)) for a in arrays))
    return tuple(np.asarray(r, o.dtype) for r, o in zip(self.python(node, arrays), node.outputs, strict=True))


# ---------------------------------------------------------------------------------------------- shapes


def _adapted_shape(given: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(given)
    def infer_shape(self: Any, *args: Any) -> Any:
        if args and any(isinstance(a, Apply) for a in args[:2]):  # called as it was written
            return given(self, *args)
        return _extents(self, given, args)

    return infer_shape


def _extents(op: Any, given: Callable[..., Any], types: Sequence[TensorType]) -> tuple[tuple[Expr | None, ...], ...]:
    """Return what an `infer_shape` in Theano's form says, as extents over those of the operands; None where it doesn't."""
    leaves = [Variable(t) for t in types]
    node = op.make_node(*leaves)
    shapes = [tuple(Shape_i(a)(v) for a in range(v.ndim)) for v in node.inputs]
    first = (None,) if len(inspect.signature(given).parameters) == 4 else ()  # (self, fgraph, node, shapes), as its successors
    try:
        found = given(op, *first, node, shapes)
    except (ShapeError, NotImplementedError):
        found = [None] * len(node.outputs)
    if not isinstance(found, (list, tuple)) or len(found) != len(node.outputs):
        raise errors.ShapeError(f"{op}: infer_shape must return a list of {len(node.outputs)} shapes, got {found!r}")
    rows: list[list[Variable | None]] = []
    for k, (shape, out) in enumerate(zip(found, node.outputs, strict=True)):
        row: list[Variable | None] = [None if n is None else _length(n, op, k)
                                      for n in ((None,) * out.ndim if shape is None else shape)]
        if len(row) != out.ndim:
            raise errors.ShapeError(f"{op}: infer_shape gave {len(row)} extents for output {k}, which has {out.ndim} axes")
        rows.append(row)
    known = [v for row in rows for v in row if v is not None]
    exprs = iter(_over_operands(leaves, known))
    return tuple(tuple(None if v is None else next(exprs) for v in row) for row in rows)


def _length(n: Any, op: Op, k: int) -> Variable:
    v = as_tensor_variable(n)
    if v.ndim or not is_discrete(v.dtype):
        raise errors.ShapeError(f"{op}: an extent of output {k} must be an integer scalar, infer_shape gave {describe(v)}")
    return v if v.dtype == "int64" else v.astype("int64")


def _over_operands(leaves: Sequence[Variable], values: Sequence[Variable]) -> list[Expr | None]:
    graph = capture(leaves, values)
    extents = Extents(graph)
    for node in graph.nodes:
        extents.add(node)
    place = {v: k for k, v in enumerate(graph.inputs)}

    def outer(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
        if n.op == "sym" and n.arg[0] == "x":
            k, _, axis = n.arg[1:].partition("_")
            return dim(int(k), int(axis))
        if n.op == "load":
            if n.arg not in place or args:
                raise _Unknown
            return load(place[n.arg], (), n.dtype)
        return None

    found: list[Expr | None] = []
    for v in graph.outputs:
        try:
            found.append(const(v.data, "int64") if isinstance(v, Constant) else substitute([extents.scalar(v)], outer)[0])
        except _Unknown:
            found.append(None)
    return found


class _Unknown(Exception):
    """An extent that the program doesn't know before the op ran."""


# ---------------------------------------------------------------------------------------------- as_op


class FromFunctionOp(Op):
    """A Python function of arrays as an op; :func:`as_op` makes it.

    Parameters
    ----------
    fn : callable
    itypes, otypes : list of TensorType
    infer_shape : callable or None
    """

    __props__ = ("fn", "itypes", "otypes", "shape_of")
    itypes: Any = ()
    otypes: Any = ()
    view_map: dict[int, list[int]] = {}
    destroy_map: dict[int, list[int]] = {}

    def __init__(self, fn: Callable[..., Any], itypes: Sequence[TensorType], otypes: Sequence[TensorType],
                 infer_shape: Callable[..., Any] | None) -> None:
        self.fn, self.itypes, self.otypes, self.shape_of = fn, tuple(itypes), tuple(otypes), infer_shape

    @property
    def name(self) -> str:
        return getattr(self.fn, "__name__", "function")

    @property
    def stable(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"FromFunctionOp{{{self.name}}}"

    def __reduce__(self) -> Any:
        # an op that took the place of its function in a module is found there again, and so is the function
        return _restored, (self.fn.__module__, self.fn.__qualname__, self.itypes, self.otypes, self.shape_of)

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: list[list[Any]]) -> None:
        """Call the function."""
        given = self.fn(*inputs)
        results = list(given) if isinstance(given, (tuple, list)) else [given]
        if len(results) != len(outputs):
            raise TypeError(f"{self.name} returned {len(results)} values; its otypes say {len(outputs)}")
        for cell, value in zip(outputs, results, strict=True):
            cell[0] = value

    def infer_shape(self, node: Apply, shapes: Any) -> Any:  # type: ignore[override]
        if self.shape_of is None:
            raise ShapeError
        return self.shape_of(node, shapes)


def _restored(module: str, qualname: str, itypes: Any, otypes: Any, shape_of: Any) -> FromFunctionOp:
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found if isinstance(found, FromFunctionOp) else FromFunctionOp(found, itypes, otypes, shape_of)


def as_op(itypes: Any, otypes: Any, infer_shape: Callable[..., Any] | None = None
          ) -> Callable[[Callable[..., Any]], FromFunctionOp]:
    """Make a function of NumPy arrays an op, as a decorator. It has no derivative.

    Parameters
    ----------
    itypes, otypes : TensorType, or list or tuple of TensorType
        What it takes and what it returns; ``T.dmatrix`` and its like will do.
    infer_shape : callable, optional
        ``infer_shape(node, shapes)`` returns the shapes of the results, given the shapes of the inputs as tuples of
        symbolic integers. Without it they are known once the function ran.

    Returns
    -------
    callable
        The decorator. The op it returns is applied to variables, and has the function as ``fn``.

    Raises
    ------
    TypeError
        If a type isn't one, or the function isn't callable.

    Notes
    -----
    The function gets read-only arrays, and must not depend on anything else. It runs inside compiled functions.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> @as_op(itypes=[T.dvector], otypes=[T.dvector])
    ... def distinct(x):
    ...     return np.unique(x)
    >>> x = T.dvector("x")
    >>> symbolic.function([x], distinct(x) * 2)([3, 1, 3])
    array([2., 6.])
    """
    ins, outs = (_types(t, what) for t, what in ((itypes, "itypes"), (otypes, "otypes")))
    if infer_shape is not None and not callable(infer_shape):
        raise TypeError(f"as_op: infer_shape must be callable, got {infer_shape!r}")

    def decorator(fn: Callable[..., Any]) -> FromFunctionOp:
        if not callable(fn):
            raise TypeError(f"as_op: needs a function, got {fn!r}")
        return FromFunctionOp(fn, ins, outs, infer_shape)

    return decorator


def _types(given: Any, what: str) -> list[TensorType]:
    found = list(given) if isinstance(given, (list, tuple)) else [given]
    for k, t in enumerate(found):
        t = t() if callable(t) and not isinstance(t, TensorType) else t  # T.dmatrix and its like
        found[k] = t = t.type if isinstance(t, Variable) else t
        if not isinstance(t, TensorType):
            raise TypeError(f"as_op: {what} must hold types such as T.dmatrix or TensorType('float64', (None, None)), got {t!r}")
    return found
