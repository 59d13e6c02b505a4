"""A function of single elements applied to batches: ``vmap`` as in JAX, ``vectorize`` as in NumPy."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from symbolic import errors
from symbolic.batching import batched
from symbolic.graph import Apply, Op, Variable, as_tensor_variable, constant, describe
from symbolic.loop import element
from symbolic.ops.batch_rules import filled
from symbolic.ops.create import alloc
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.functions import add
from symbolic.ops.shape import dimshuffle, moveaxis
from symbolic.scalar import Check, Expr, binary, const, dim
from symbolic.source import caller
from symbolic.types import TensorType


class SameBatch(Op):
    """Its first input, whose first axis must be as long as that of the second."""

    name = "vmap"
    view_of = 0

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        m, n = types[0].shape[0], types[1].shape[0]
        if m is not None and n is not None and m != n:
            raise errors.ShapeError(f"the mapped axes have extents {n} and {m}")
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) if n is None else const(n, "int64") for a, n in enumerate(types[0].shape)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        m, n = dim(0, 0), dim(1, 0)
        return (Check(binary("eq", m, n), "the mapped axes have extents {1} and {0}", detail=(m, n)),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0], None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]


def _leaves(tree: Any) -> Iterator[Any]:
    """Yield what a tuple, list or dict of such holds, in order."""
    if isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _leaves(part)
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from _leaves(part)
    else:
        yield tree


def _rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """Return `tree` with its leaves replaced, in order."""
    if isinstance(tree, (list, tuple)):
        parts = [_rebuilt(part, leaves) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {k: _rebuilt(part, leaves) for k, part in tree.items()}
    return next(leaves)


def _spread(axes: Any, tree: Any, what: str) -> list[Any]:
    """Return one axis for each leaf of `tree`; an axis given for a part of it counts for all of that part."""
    if axes is None or isinstance(axes, int):
        return [axes] * len(list(_leaves(tree)))
    if isinstance(axes, (list, tuple)) and isinstance(tree, (list, tuple)) and len(axes) == len(tree):
        return [a for part, sub in zip(axes, tree, strict=True) for a in _spread(part, sub, what)]
    if isinstance(axes, dict) and isinstance(tree, dict) and list(axes) == list(tree):
        return [a for k, sub in tree.items() for a in _spread(axes[k], sub, what)]
    raise ValueError(f"vmap: {what} must be an int, None, or have the structure of what it is for, got {axes!r}")


def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """Return `fun` applied to each element along an axis of its arguments: one pass over all of them, not a loop.

    Parameters
    ----------
    fun : callable
        Takes and returns variables, or tuples, lists and dicts of them. It may use others from outside.
    in_axes : int, None, or a sequence of them, one an argument
        The axis of each argument that is mapped; None: the argument is the same for all.
    out_axes : int, or the structure of the results with ints
        Where the mapped axis stands in each result.

    Returns
    -------
    callable
        Of the same arguments, with one more axis each where `in_axes` isn't None; its results have one more axis.

    Raises
    ------
    ValueError
        If `in_axes` doesn't fit the arguments, or maps nothing.
    ShapeError
        If the mapped axes have different extents; when the function runs where they are known only then.
    NotSupported
        If elements would have results of different shapes, as of boolean masks.

    Notes
    -----
    Ops say how they take a batch, or it is found from what they mean; what is left runs as a native loop over the batch.
    A random number that doesn't depend on the arguments is drawn once, for all elements.

    Examples
    --------
    >>> import numpy as np, symbolic, symbolic.tensor as T
    >>> x = T.dmatrix("x")
    >>> per_row = vmap(lambda v: T.grad(T.prod(v), v))
    >>> symbolic.function([x], per_row(x))([[1, 2, 3], [4, 5, 6]])
    array([[ 6.,  3.,  2.],
           [30., 24., 20.]])
    """

    def mapped(*args: Any) -> Any:
        axes = _spread(list(in_axes) if isinstance(in_axes, tuple) else in_axes, list(args), "in_axes")
        given = [as_tensor_variable(v) for v in _leaves(args)]
        for v, a in zip(given, axes, strict=True):
            if a is not None and v.ndim == 0:
                raise errors.RankError(errors.message("vmap", f"axis {a} of a scalar can't be mapped", (describe(v),), caller(),
                                                      "say in_axes=None for what is the same for all"))
        fronted = [v if a is None else moveaxis(v, axis_of(a, v.ndim, "vmap"), 0) for v, a in zip(given, axes, strict=True)]
        first = next((v for v, a in zip(fronted, axes, strict=True) if a is not None), None)
        if first is None:
            raise ValueError("vmap: in_axes is None for every argument: there is nothing to map over")
        fronted = [v if a is None or v is first else SameBatch()(v, first) for v, a in zip(fronted, axes, strict=True)]
        inner = [v if a is None else Variable(element(v.type), name=v.name) for v, a in zip(fronted, axes, strict=True)]
        result = fun(*_rebuilt(args, iter(inner)))
        outs = [as_tensor_variable(o) for o in _leaves(result)]
        pairs = batched(outs, {i: v for i, v, a in zip(inner, fronted, axes, strict=True) if a is not None})
        places = _spread(out_axes, result, "out_axes")
        made = [moveaxis(v if has else filled(v, first), 0, axis_of(a, v.ndim + (not has), "vmap"))
                for (v, has), a in zip(pairs, places, strict=True)]
        return _rebuilt(result, iter(made))

    return mapped


_ARGUMENT = r"\((?:\w+(?:,\w+)*)?\)"
_SIGNATURE = re.compile(rf"^{_ARGUMENT}(?:,{_ARGUMENT})*->{_ARGUMENT}(?:,{_ARGUMENT})*$")


def _parsed(signature: str) -> tuple[list[list[str]], list[list[str]]]:
    text = re.sub(r"\s", "", signature)
    if not _SIGNATURE.match(text):
        raise ValueError(f"vectorize: a signature is like '(m,n),(n)->(m)', got {signature!r}")
    sides = [[[n for n in part.split(",") if n] for part in re.findall(r"\(([^)]*)\)", side)] for side in text.split("->")]
    return sides[0], sides[1]


def vectorize(func: Callable[..., Any] | None = None, signature: str | None = None) -> Callable[..., Any]:
    """Return `func` applied to the elements of arrays, whose leading axes broadcast, as ``numpy.vectorize``.

    Parameters
    ----------
    func : callable
        Takes variables of the ranks that the signature says, returns one or a tuple or list of them. Left out: a
        decorator is returned.
    signature : str, optional
        The axes of what `func` takes and returns, such as ``'(m,n),(n)->(m)'``; equal names are equal extents. By default
        `func` takes and returns scalars.

    Returns
    -------
    callable
        Of array_likes with any axes in front, which broadcast; its results have these axes in front.

    Raises
    ------
    ValueError
        If the signature is malformed, or has another number of arguments.
    RankError, ShapeError
        If an argument or result doesn't fit it, or axes don't broadcast.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, w = T.tensor3("x"), T.dmatrix("w")
    >>> vectorize(lambda a, b: a @ b, signature="(m,n),(n)->(m)")(x, w).ndim
    2
    """
    if func is None:
        return lambda f: vectorize(f, signature)
    sides = None if signature is None else _parsed(signature)

    def over_arrays(*args: Any) -> Any:
        given = [as_tensor_variable(a) for a in args]
        cores = [[] for _ in given] if sides is None else sides[0]
        if len(cores) != len(given):
            raise ValueError(f"vectorize: the signature {signature!r} has {len(cores)} arguments, got {len(given)}")
        _check_cores(given, cores)
        lead = max((v.ndim - len(c) for v, c in zip(given, cores, strict=True)), default=0)
        call: Callable[..., Any] = _checked(func, sides, signature)
        ready = _broadcast(given, [len(c) for c in cores], lead)
        for a in range(lead - 1, -1, -1):  # the innermost batch is the last axis: the others are mapped around it
            axes = [0 if has[a] else None for _, has in ready]
            call = vmap(call, tuple(axes)) if any(x is not None for x in axes) else _unmapped(call)
        return call(*(v for v, _ in ready))

    return over_arrays


def _unmapped(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` with an axis of extent 1 put before its results: no argument has more along it."""

    def wide(*args: Any) -> Any:
        result = call(*args)
        return _rebuilt(result, iter([dimshuffle(v, "x", *range(v.ndim)) for v in _leaves(result)]))

    return wide


def _check_cores(given: Sequence[Variable], cores: Sequence[Sequence[str]]) -> None:
    known: dict[str, int] = {}
    for v, core in zip(given, cores, strict=True):
        if v.ndim < len(core):
            raise errors.RankError(errors.message("vectorize", f"the signature wants {len(core)} dimensions at least",
                                                  (describe(v),), caller()))
        for name, n in zip(core, v.type.shape[v.ndim - len(core):], strict=True):
            if n is not None and known.setdefault(name, n) != n:
                raise errors.ShapeError(errors.message("vectorize", f"extent {name} is {known[name]} and {n}",
                                                       tuple(map(describe, given)), caller()))


def _checked(func: Callable[..., Any], sides: Any, signature: str | None) -> Callable[..., Any]:
    """Return `func`, whose results must have the ranks of the signature."""

    def call(*args: Any) -> Any:
        result = func(*args)
        outs = [as_tensor_variable(o) for o in _leaves(result)]
        wanted = [[] for _ in outs] if sides is None else sides[1]
        if [v.ndim for v in outs] != [len(core) for core in wanted]:
            raise errors.RankError(errors.message(
                "vectorize", f"the function returned results of {[v.ndim for v in outs]} dimensions, expected "
                f"{[len(core) for core in wanted]}", tuple(map(describe, outs)), caller(),
                f"signature={signature!r} says what it takes and returns"))
        return _rebuilt(result, iter(outs))

    return call


def _broadcast(given: Sequence[Variable], ranks: Sequence[int], lead: int) -> list[tuple[Variable, list[bool]]]:
    """Return the arguments without leading axes that are known to be 1, and which of the `lead` axes each has."""
    shapes = [(1,) * (lead - v.ndim + r) + v.type.shape[:v.ndim - r] for v, r in zip(given, ranks, strict=True)]
    unsure = [a for a in range(lead) if [s[a] for s in shapes].count(None) and sum(s[a] != 1 for s in shapes) > 1]
    common: list[Variable] = []
    if unsure:  # an extent that turns out to be 1 broadcasts: found by a sum of zeros
        zeros = []
        for v, r, s in zip(given, ranks, shapes, strict=True):
            own = [constant(1, dtype="int64")] * (lead - v.ndim + r) + extents(v)[:v.ndim - r]
            zeros.append(alloc(constant(0, dtype="int8"), *own) if any(n != 1 for n in s) else constant(0, dtype="int8"))
        total = zeros[0]
        for z in zeros[1:]:
            total = add(total, z)
        common = extents(total)
    out = []
    for v, r, s in zip(given, ranks, shapes, strict=True):
        has = [n != 1 for n in s]
        first = v.ndim - r
        kept = [a for a in range(first) if has[lead - first + a]]
        v = dimshuffle(v, *kept, *range(first, v.ndim)) if len(kept) < first else v
        if any(has[a] for a in unsure):
            wide = [common[a] if a in unsure else extents(v)[kept.index(a - lead + first)] for a in range(lead) if has[a]]
            v = alloc(v, *wide, *extents(v)[len(kept):])
        out.append((v, has))
    return out
