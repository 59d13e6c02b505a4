"""NumPy's ways to turn, stack and index axes that Theano didn't have: compositions."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.along import take_along_axis
from symbolic.ops.create import alloc, arange, linspace
from symbolic.ops.elementwise import cast_to, integer_operand, weak_operands
from symbolic.ops.extents import as_extents, axis_of, extents
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate, stack
from symbolic.ops.linalg import dot, tensordot
from symbolic.ops.nonzero import positions
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scatter import set_subtensor
from symbolic.ops.shape import dimshuffle, flatten, moveaxis, reshape, shape_padleft, swapaxes
from symbolic.source import caller
from symbolic.types import is_complex, is_discrete


def expand_dims(x: Any, axis: int | Sequence[int]) -> Variable:
    """Return `x` with axes of extent 1 at the places `axis` of the result, as ``numpy.expand_dims``.

    >>> expand_dims(np.zeros((2, 3)), (0, -1)).type.shape
    (1, 2, 3, 1)
    """
    x = as_tensor_variable(x)
    given = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    n = x.ndim + len(given)
    new = {axis_of(a, n, "expand_dims") for a in given}
    if len(new) < len(given):
        raise errors.RankError(errors.message("expand_dims", f"an axis stands twice in {axis}", (describe(x),), caller()))
    rest = iter(range(x.ndim))
    return dimshuffle(x, *("x" if a in new else next(rest) for a in range(n)))


def _at_least(arys: Sequence[Any], n: int) -> Any:
    out = []
    for a in arys:
        v = as_tensor_variable(a)
        if v.ndim < n:  # NumPy puts the new axes of three around a vector, and behind a matrix
            v = dimshuffle(v, *{(0, 1): "x", (0, 2): "xx", (0, 3): "xxx", (1, 2): ("x", 0), (1, 3): ("x", 0, "x"),
                                (2, 3): (0, 1, "x")}[v.ndim, n])
        out.append(v)
    return out[0] if len(out) == 1 else out


def atleast_1d(*arys: Any) -> Any:
    """Return arrays with at least one axis, as ``numpy.atleast_1d``: one, or a list of them.

    >>> atleast_1d(3.0).type.shape
    (1,)
    """
    return _at_least(arys, 1)


def atleast_2d(*arys: Any) -> Any:
    """Return arrays with at least two axes, as ``numpy.atleast_2d``: vectors become rows.

    >>> atleast_2d([1, 2]).type.shape
    (1, 2)
    """
    return _at_least(arys, 2)


def atleast_3d(*arys: Any) -> Any:
    """Return arrays with at least three axes, as ``numpy.atleast_3d``.

    >>> atleast_3d([1, 2]).type.shape
    (1, 2, 1)
    """
    return _at_least(arys, 3)


def _parts(tup: Any, n: int) -> list[Variable]:
    return [_at_least([t], n) for t in tup]


def vstack(tup: Sequence[Any]) -> Variable:
    """Return arrays one above the other, as ``numpy.vstack``: vectors are rows.

    >>> vstack([[1, 2], [3, 4]]).type.shape
    (2, 2)
    """
    return concatenate(_parts(tup, 2), 0)


def hstack(tup: Sequence[Any]) -> Variable:
    """Return arrays side by side, as ``numpy.hstack``: along the second axis, or the only one.

    >>> hstack([[1, 2], [3]]).type.shape
    (3,)
    """
    parts = _parts(tup, 1)
    return concatenate(parts, 0 if parts and parts[0].ndim == 1 else 1)


def dstack(tup: Sequence[Any]) -> Variable:
    """Return arrays one behind the other, as ``numpy.dstack``: along the third axis.

    >>> dstack([[1, 2], [3, 4]]).type.shape
    (1, 2, 2)
    """
    return concatenate(_parts(tup, 3), 2)


def column_stack(tup: Sequence[Any]) -> Variable:
    """Return a matrix of columns, as ``numpy.column_stack``: vectors, and matrices as they are.

    >>> column_stack([[1, 2], [3, 4]]).type.shape
    (2, 2)
    """
    parts = [as_tensor_variable(t) for t in tup]
    return concatenate([dimshuffle(v, 0, "x") if v.ndim == 1 else _at_least([v], 2) for v in parts], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Variable:
    """Return `values` after `arr` along `axis`, as ``numpy.append``; both flattened by default.

    >>> append([1, 2], [[3, 4]]).type.shape
    (4,)
    """
    parts = [as_tensor_variable(v) for v in (arr, values)]
    return concatenate([flatten(v) for v in parts], 0) if axis is None else concatenate(parts, axis)


def flip(m: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """Return `m` with the order of elements reversed along axes, all by default, as ``numpy.flip``.

    >>> import symbolic
    >>> symbolic.function([], flip([[1, 2], [3, 4]], 1))()
    array([[2, 1],
           [4, 3]], dtype=int8)
    """
    m = as_tensor_variable(m)
    given = range(m.ndim) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    turned = {axis_of(a, m.ndim, "flip") for a in given}
    return getitem(m, tuple(slice(None, None, -1 if a in turned else None) for a in range(m.ndim))) if turned else m


def fliplr(m: Any) -> Variable:
    """Return `m` reversed along its second axis, as ``numpy.fliplr``."""
    return flip(m, 1)


def flipud(m: Any) -> Variable:
    """Return `m` reversed along its first axis, as ``numpy.flipud``."""
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Variable:
    """Return `m` turned by `k` right angles, from the first of `axes` towards the second, as ``numpy.rot90``.

    >>> rot90(np.zeros((2, 3))).type.shape
    (3, 2)
    """
    m = as_tensor_variable(m)
    if len(axes) != 2:
        raise ValueError(f"rot90: axes must be two, got {axes!r}")
    a, b = (axis_of(n, m.ndim, "rot90") for n in axes)
    if a == b:
        raise errors.RankError(errors.message("rot90", f"axes {tuple(axes)} are the same", (describe(m),), caller()))
    if k % 4 == 0:
        return m
    if k % 4 == 2:
        return flip(m, (a, b))
    return flip(swapaxes(m, a, b), a) if k % 4 == 1 else swapaxes(flip(m, a), a, b)


def rollaxis(a: Any, axis: int, start: int = 0) -> Variable:
    """Return `a` with `axis` moved before the axis that is at `start`, as ``numpy.rollaxis``.

    >>> rollaxis(np.zeros((2, 3, 4)), 2).type.shape
    (4, 2, 3)
    """
    a = as_tensor_variable(a)
    place = axis_of(axis, a.ndim, "rollaxis")
    to = start + a.ndim if start < 0 else start
    if not 0 <= to <= a.ndim:
        raise errors.RankError(errors.message("rollaxis", f"start {start} is out of range", (describe(a),), caller()))
    order = [n for n in range(a.ndim) if n != place]
    order.insert(to - (place < to), place)
    return dimshuffle(a, *order)


def matrix_transpose(x: Any) -> Variable:
    """Return `x` with its last two axes exchanged, as ``numpy.matrix_transpose``."""
    return swapaxes(x, -1, -2)


def broadcast_arrays(*args: Any) -> list[Variable]:
    """Return arrays broadcast against each other, as ``numpy.broadcast_arrays``.

    >>> [v.type.shape for v in broadcast_arrays(np.zeros((3, 1)), np.zeros(2))]
    [(3, 2), (3, 2)]
    """
    given = [as_tensor_variable(a) for a in args]
    if len(given) < 2:
        return given
    total = alloc(constant(0, dtype="int8"), *extents(given[0])) if given[0].ndim else constant(0, dtype="int8")
    for v in given[1:]:
        total = f.add(total, alloc(constant(0, dtype="int8"), *extents(v)) if v.ndim else constant(0, dtype="int8"))
    shape = extents(total)
    return [alloc(v, *shape) if shape else v for v in given]


def meshgrid(*xi: Any, indexing: str = "xy", sparse: bool = False) -> list[Variable]:
    """Return the coordinates of the points of a grid, as ``numpy.meshgrid``.

    Parameters
    ----------
    *xi : array_like, shape (n,) each
    indexing : {'xy', 'ij'}
        'xy': the first two axes of the results are those of the second and the first vector.
    sparse : bool
        Leave axes at extent 1 along which nothing changes.

    Examples
    --------
    >>> [v.type.shape for v in meshgrid([1, 2, 3], [4, 5])]
    [(2, 3), (2, 3)]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    lines = [flatten(as_tensor_variable(x)) for x in xi]
    n = len(lines)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    spread = [dimshuffle(v, *(0 if order[a] == k else "x" for a in range(n))) for k, v in enumerate(lines)]
    if sparse or n == 0:
        return spread
    shape = [extents(lines[order[a]])[0] for a in range(n)]
    return [alloc(v, *shape) for v in spread]


def indices(dimensions: Any, dtype: Any = "int64", sparse: bool = False) -> Any:
    """Return the indices of the elements of an array of shape `dimensions`, as ``numpy.indices``.

    >>> indices((2, 3)).type.shape
    (2, 2, 3)
    """
    lines = [cast_to(arange(n), dtype) for n in as_extents(dimensions, "indices")]
    grid = meshgrid(*lines, indexing="ij", sparse=sparse)
    return tuple(grid) if sparse else stack(grid) if grid else constant(np.zeros(0, dtype))


def _triangle(n: Any, k: Any, m: Any, upper: bool, op: str) -> tuple[Variable, Variable]:
    rows = integer_operand(n, op)
    columns = rows if m is None else integer_operand(m, op)
    offset = integer_operand(k, op)
    i, j = dimshuffle(arange(rows), 0, "x"), dimshuffle(arange(columns), "x", 0)
    mask = f.ge(j - i, offset) if upper else f.le(j - i, offset)  # type: ignore[operator]
    flat = positions(flatten(mask))
    safe = f.maximum(columns, 1)
    return f.int_div(flat, safe), f.mod(flat, safe)


def tril_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Variable, Variable]:
    """Return the indices of the lower triangle of an n by m matrix, as ``numpy.tril_indices``: up to diagonal `k`.

    >>> [v.dtype for v in tril_indices(3)]
    ['int64', 'int64']
    """
    return _triangle(n, k, m, False, "tril_indices")


def triu_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Variable, Variable]:
    """Return the indices of the upper triangle of an n by m matrix, as ``numpy.triu_indices``: from diagonal `k` on.

    >>> [v.dtype for v in triu_indices(3)]
    ['int64', 'int64']
    """
    return _triangle(n, k, m, True, "triu_indices")


def tril_indices_from(arr: Any, k: Any = 0) -> tuple[Variable, Variable]:
    """Return the indices of the lower triangle of a matrix, as ``numpy.tril_indices_from``."""
    n, m = _sides(arr, "tril_indices_from")
    return tril_indices(n, k, m)


def triu_indices_from(arr: Any, k: Any = 0) -> tuple[Variable, Variable]:
    """Return the indices of the upper triangle of a matrix, as ``numpy.triu_indices_from``."""
    n, m = _sides(arr, "triu_indices_from")
    return triu_indices(n, k, m)


def _sides(arr: Any, op: str) -> tuple[Variable, Variable]:
    v = as_tensor_variable(arr)
    if v.ndim != 2:
        raise errors.RankError(errors.message(op, "expected a matrix", (describe(v),), caller()))
    rows, columns = extents(v)
    return rows, columns


def permute_row_elements(x: Any, y: Any, inverse: bool = False) -> Variable:
    """Return `x` with the elements of each row, along its last axis, in the order that `y` says.

    Parameters
    ----------
    x : array_like
    y : integer array_like
        Of permutations along its last axis; its other axes broadcast against those of `x`.
    inverse : bool
        Put the elements back where `y` took them from.

    Returns
    -------
    Variable

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], permute_row_elements([[1, 2, 3], [4, 5, 6]], [2, 0, 1]))()
    array([[3, 1, 2],
           [6, 4, 5]], dtype=int8)
    """
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        raise errors.RankError(errors.message("permute_row_elements", "expected at least one axis each",
                                              (describe(x), describe(y)), caller()))
    if inverse:
        y = inverse_permutation(y)
    n = max(x.ndim, y.ndim)
    x, y = shape_padleft(x, n - x.ndim), shape_padleft(y, n - y.ndim)
    if n > 1:
        x, y = broadcast_arrays(x, y)
    return take_along_axis(x, y, -1)


def inverse_permutation(perm: Any) -> Variable:
    """Return, along the last axis, the permutations that undo those of `perm`.

    >>> import symbolic
    >>> symbolic.function([], inverse_permutation([2, 0, 1]))()
    array([1, 2, 0], dtype=int8)
    """
    p = as_tensor_variable(perm)
    if not is_discrete(p.dtype) or p.ndim == 0:
        raise errors.DTypeError(errors.message("inverse_permutation", "expected integers, along at least one axis",
                                               (describe(p),), caller()))
    own = extents(p)
    numbers = cast_to(arange(own[-1]), p.dtype)
    if p.ndim == 1:
        return set_subtensor(getitem(alloc(constant(0, dtype=p.dtype), *own), p), numbers)
    rows = [dimshuffle(arange(n), *("x",) * k, 0, *("x",) * (p.ndim - k - 1)) for k, n in enumerate(own[:-1])]
    return set_subtensor(getitem(alloc(constant(0, dtype=p.dtype), *own), (*rows, p)), alloc(numbers, *own))


def is_flat(var: Any, ndim: int | None = None, outdim: int | None = None) -> bool:
    """Return whether a variable has `ndim` axes, 1 by default (`outdim` is Theano's old name).

    >>> is_flat([1, 2])
    True
    """
    wanted = outdim if ndim is None else ndim
    return as_tensor_variable(var).ndim == (1 if wanted is None else wanted)


def inner(a: Any, b: Any) -> Variable:
    """Return the sum of products over the last axes, as ``numpy.inner``; a scalar multiplies each element.

    >>> inner(np.zeros((2, 3)), np.zeros((4, 3))).type.shape
    (2, 4)
    """
    a, b = weak_operands((a, b))
    if a.ndim == 0 or b.ndim == 0:
        return f.mul(a, b)
    return dot(a, b) if a.ndim == b.ndim == 1 else tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


def vdot(a: Any, b: Any) -> Variable:
    """Return the sum of products of the flattened arrays, the first conjugated, as ``numpy.vdot``.

    >>> vdot(np.ones((2, 3)), np.ones((2, 3))).type.shape
    ()
    """
    a, b = (flatten(v) for v in weak_operands((a, b)))
    return dot(f.conj(a) if is_complex(a.dtype) else a, b)


def cross(a: Any, b: Any, axis: int = -1) -> Variable:
    """Return the cross product of vectors of three components along `axis`, as ``numpy.cross``; other axes broadcast.

    Raises
    ------
    ShapeError
        If there aren't three components; when the function runs where that is known only then.

    Examples
    --------
    >>> cross([1.0, 0, 0], [0.0, 1, 0]).type.shape
    (3,)
    """
    parts = []
    for v in weak_operands((a, b)):
        at = axis_of(axis, v.ndim, "cross")
        if v.type.shape[at] not in (None, 3):
            raise errors.ShapeError(errors.message("cross", f"axis {axis} must have extent 3, not {v.type.shape[at]}",
                                                   (describe(v),), caller()))
        last = dimshuffle(v, *(d for d in range(v.ndim) if d != at), at)
        three = reshape(last, [*extents(last)[:-1], 3], ndim=v.ndim)
        parts.append([getitem(three, (..., k)) for k in range(3)])
    x, y = parts
    made = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]]  # type: ignore[operator]
    return stack(made, axis=axis)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
              ) -> Variable:
    """Return `num` numbers from `start` to `stop`, each as many times the one before, as ``numpy.geomspace``.

    Both ends are real and of one sign, not 0; elsewhere the result is nan. They may be arrays; a line then lies along `axis`.

    >>> geomspace(1.0, 1000.0, 4).type.shape
    (4,)
    """
    a, b = (cast_to(v, "floatX") if is_discrete(v.dtype) else v for v in weak_operands((start, stop)))
    sign = f.switch(f.lt(a, 0), -1.0, 1.0)
    k = dimshuffle(arange(num), 0, *("x",) * max(a.ndim, b.ndim))
    made = sign * f.exp(linspace(f.log(a * sign), f.log(b * sign), num, endpoint))  # type: ignore[operator]
    made = f.switch(f.eq(k, 0), a, made)  # the ends as they were given
    made = f.switch(f.and_(f.eq(k, num - 1), num > 1), b, made) if endpoint else made
    return moveaxis(made if dtype is None else cast_to(made, dtype), 0, axis)


def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None,
             axis: int = 0) -> Variable:
    """Return powers of `base`, whose exponents go evenly from `start` to `stop`, as ``numpy.logspace``; see :func:`linspace`.

    >>> logspace(0, 2, 3).type.shape
    (3,)
    """
    made = f.pow(as_tensor_variable(base), linspace(start, stop, num, endpoint, axis=axis))
    return made if dtype is None else cast_to(made, dtype)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Variable:
    """Return the integral along `axis` by the trapezoidal rule, as ``numpy.trapezoid``.

    Parameters
    ----------
    y : array_like
    x : array_like, shape (n,) or that of `y`, optional
        Where the values are.
    dx : scalar
        How far they are apart, where `x` isn't given.
    axis : int

    Examples
    --------
    >>> trapezoid([1.0, 2.0, 3.0]).type.shape
    ()
    """
    y = as_tensor_variable(y)
    at = axis_of(axis, y.ndim, "trapezoid")

    def halves(v: Variable, a: int) -> tuple[Variable, Variable]:
        here = (slice(None),) * a
        return getitem(v, (*here, slice(1, None))), getitem(v, (*here, slice(None, -1)))

    step: Any = dx
    if x is not None:
        v = as_tensor_variable(x)
        later, earlier = halves(v, at if v.ndim == y.ndim and v.ndim > 1 else 0)
        step = later - earlier  # type: ignore[operator]
        if step.ndim == 1:
            step = dimshuffle(step, *(0 if d == at else "x" for d in range(y.ndim)))
    later, earlier = halves(y, at)
    return sum_of(step * (later + earlier) / 2.0, axis=at)  # type: ignore[operator]
