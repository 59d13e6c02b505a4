"""Writing parts of arrays, as functions: the result is a new array, `x` with some elements set or incremented."""
from __future__ import annotations

from typing import Any

from symbolic import errors
from symbolic.graph import Variable, describe
from symbolic.ops.elementwise import cast_to, weak_operands
from symbolic.ops.extents import extents
from symbolic.ops.functions import second
from symbolic.ops.index import getitem
from symbolic.ops.region import Slice
from symbolic.ops.shape import DimShuffle, dimshuffle, reshape
from symbolic.ops.subtensor import Subtensor
from symbolic.source import caller


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
    >>> import symbolic
    >>> a = symbolic.constant([1.0, 2.0, 3.0])
    >>> symbolic.function([], set_subtensor(a[1:], 0.0))()
    array([1., 0., 0.])
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
    >>> import symbolic
    >>> a = symbolic.constant([1.0, 2.0, 3.0])
    >>> symbolic.function([], inc_subtensor(a[[0, 0]], 1.0))()
    array([3., 2., 3.])
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
        y = second(cast_to(part, y.dtype), y)  # so that an extent that turns out to be 1 broadcasts
    out = op.writer(set)(x, y, *idx)
    indexed = getattr(part.owner.tag, "indexed", None)
    return out if indexed is None else _like(out, indexed)


def _like(out: Variable, x: Variable) -> Variable:
    """Return `out`, the elements of `x` in another arrangement, with the axes of `x`."""
    pattern = out.owner.inputs[0].owner  # type: ignore[union-attr]
    if pattern is not None and isinstance(pattern.op, DimShuffle):
        return dimshuffle(out, [pattern.op.order.index(a) for a in range(x.ndim)])
    return reshape(out, extents(x), ndim=x.ndim)


def _write_through_axes(part: Variable, y: Any, set: bool, name: str) -> Variable:
    assert part.owner is not None
    inner, pattern = part.owner.inputs[0], part.owner.op.order  # type: ignore[attr-defined]
    if getattr(part.owner.tag, "indexed", None) is inner:  # a key that only adds axes: a[None]
        inner = Subtensor((Slice(),) * inner.ndim)(inner)
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
    pattern = [kept.index(a) if a in kept else "x" for a in range(inner.ndim)]
    return _write(inner, dimshuffle(getitem(y, key), pattern), set)


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
