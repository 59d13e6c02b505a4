"""The LU decomposition with row pivoting, and equations solved with it. Axes in front of the last two are a batch."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Variable, as_tensor_variable, describe
from symbolic.ops.along import take_along_axis
from symbolic.ops.arrangement import inverse_permutation
from symbolic.ops.create import alloc, arange
from symbolic.ops.diagonal import tril, triu
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.functions import eq, minimum
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.leading import Leading
from symbolic.ops.linalg import matmul
from symbolic.ops.matrix import NO_LAPACK, adjoint, column, identity_of, inexact
from symbolic.ops.shape import dimshuffle
from symbolic.ops.solve import Solve, solve_triangular
from symbolic.scalar import Expr, binary, dim, select
from symbolic.source import caller
from symbolic.template import Template
from symbolic.types import TensorType, is_integer


class LU(Leading):
    """L below the diagonal and U from it on, in one matrix; which rows changed places; the order that makes of the rows.

    The rows of A in that order are L U, L with ones on its diagonal.

    Notes
    -----
    Derivative: S. Axen, "Differentiating the LU decomposition", 2021; the order of the rows counts as constant.
    """

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t = types[0]
        if t.ndim < 2:
            raise errors.RankError(f"expected a matrix, got {t.ndim} dimensions")
        *front, m, n = t.shape
        r = None if m is None or n is None else min(m, n)
        return t, t.clone("int64", (*front, r)), t.clone("int64", (*front, m))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        nd = types[0].ndim
        front, m, n = tuple(dim(0, a) for a in range(nd - 2)), dim(0, nd - 2), dim(0, nd - 1)
        return (*front, m, n), (*front, select(binary("le", m, n), m, n)), (*front, m)

    def template(self, *types: TensorType) -> Template:
        return Template("lu", (("dtype", types[0].dtype), ("ndim", types[0].ndim)), (NO_LAPACK,), "lapack")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        a = np.array(arrays[0])
        *front, m, n = a.shape
        pivots, order = np.zeros((*front, min(m, n)), "int64"), np.zeros((*front, m), "int64")
        order[...] = np.arange(m)
        for at in np.ndindex(*front):
            x, p, rows = a[at], pivots[at], order[at]
            for k in range(min(m, n)):
                size = np.abs(x[k:, k].real) + np.abs(x[k:, k].imag)  # as LAPACK measures complex ones
                best = k + int(np.argmax(np.where(np.isnan(size), -1, size)))
                p[k] = best
                x[[k, best]], rows[[k, best]] = x[[best, k]], rows[[best, k]]
                if x[k, k] != 0:
                    x[k + 1:, k] /= x[k, k]
                x[k + 1:, k + 1:] -= np.outer(x[k + 1:, k], x[k, k + 1:])
        return a, pivots, order

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g, lu, order = gouts[0], outputs[0], outputs[2]
        if g is None:
            return [None]
        m, n = extents(lu)[-2:]
        k: Any = minimum(m, n)
        known = lu.type.shape[-2:]
        square = None not in known and known[0] == known[1]

        def part(x: Variable, below: bool, right: bool) -> Variable:
            rows = slice(k, None) if below else slice(None, k)
            return getitem(x, (..., rows, slice(k, None) if right else slice(None, k)))

        if square:
            made = _square(lu, g)
        else:
            low, up = part(lu, False, False), part(lu, False, False)
            g_low = g_up = part(g, False, False)
            # rows below: L2 = A2 / U; columns beyond: U2 = L \ A2
            below = adjoint(Solve("upper", False)(triu(up), adjoint(part(g, True, False))))
            g_up = g_up - triu(matmul(adjoint(part(lu, True, False)), below))  # type: ignore[operator]
            beyond = Solve("upper", False, True)(adjoint(tril(low, -1) + identity_of(low)), part(g, False, True))  # type: ignore
            g_low = g_low - tril(matmul(beyond, adjoint(part(lu, False, True))), -1)  # type: ignore[operator]
            inner = _square(low, tril(g_low, -1) + triu(g_up))  # type: ignore[operator]
            corner = getitem(alloc(cast_to(as_tensor_variable(0), lu.dtype), *extents(lu)), (..., slice(k, None), slice(k, None)))
            rows = concatenate([inner, beyond], lu.ndim - 1), concatenate([below, corner], lu.ndim - 1)
            made = concatenate(list(rows), lu.ndim - 2)
        back = alloc(column(inverse_permutation(order)), *extents(lu))
        return [take_along_axis(made, back, lu.ndim - 2)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False, False]]


def _square(lu: Variable, g: Variable) -> Variable:
    """Return the cotangent of the rows in order, of square matrices."""
    low, up = tril(lu, -1) + identity_of(lu), triu(lu)  # type: ignore[operator]
    inner = tril(matmul(adjoint(low), tril(g, -1)), -1) + triu(matmul(triu(g), adjoint(up)))  # type: ignore[operator]
    left = Solve("upper", False, True)(adjoint(low), inner)
    return adjoint(Solve("upper", False)(up, adjoint(left)))


# ---------------------------------------------------------------------------------------- for users


def lu(a: Any, permute_l: bool = False, p_indices: bool = False) -> list[Variable]:
    """Return the LU decomposition with row pivoting, ``a = P L U``, as ``scipy.linalg.lu``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
    permute_l : bool
        Return ``P L`` and U only.
    p_indices : bool
        Return a vector of indices p in the place of P: ``a = L[p] U``.

    Returns
    -------
    list of Variable
        P of shape (..., m, m), L (..., m, k) with ones on its diagonal, U (..., k, n) with k = min(m, n). L and U have
        gradients; the pivots count as constant.

    Raises
    ------
    RankError
        If there are fewer than two axes.
    LinAlgError
        Of the gradient, where U is singular; when the function runs.

    Examples
    --------
    >>> [v.type.shape for v in lu(np.ones((3, 2)))]
    [(3, 3), (3, 2), (2, 2)]
    """
    a = inexact(a, "lu")
    packed, _, order = LU()(a)
    m, n = extents(a)[-2:]
    short = _known_min(m, n)
    low = tril(getitem(packed, (..., slice(None, short))), -1)
    low = low + _unit(low)  # type: ignore[operator]
    up = triu(getitem(packed, (..., slice(None, short), slice(None))))
    place = inverse_permutation(order)
    if permute_l:
        return [take_along_axis(low, alloc(column(place), *extents(low)), low.ndim - 2), up]
    if p_indices:
        return [place, low, up]
    numbers = arange(m)
    return [cast_to(eq(column(place), numbers), a.dtype), low, up]


def _unit(x: Variable) -> Variable:
    """Return ones on the diagonal of matrices of the shape of `x`."""
    m, n = extents(x)[-2:]
    return cast_to(eq(dimshuffle(arange(m), 0, "x"), dimshuffle(arange(n), "x", 0)), x.dtype)


def _known_min(m: Variable, n: Variable) -> Any:
    if isinstance(m, Constant) and isinstance(n, Constant):
        return min(int(m.data), int(n.data))
    return minimum(m, n)


def lu_factor(a: Any) -> list[Variable]:
    """Return L and U of ``a = P L U`` in one matrix, and the pivots, as ``scipy.linalg.lu_factor``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)

    Returns
    -------
    lu : Variable, shape (..., m, n)
        L below the diagonal, without its ones, and U.
    piv : Variable, shape (..., min(m, n))
        int64: row i changed places with row ``piv[i]``.

    Examples
    --------
    >>> [v.type.shape for v in lu_factor(np.eye(3))]
    [(3, 3), (3,)]
    """
    return LU()(inexact(a, "lu_factor"))[:2]


def lu_solve(lu_and_piv: Sequence[Any], b: Any, trans: int = 0, b_ndim: int | None = None) -> Variable:
    """Return x with ``a x = b``, given :func:`lu_factor` of `a`, as ``scipy.linalg.lu_solve``.

    Parameters
    ----------
    lu_and_piv : (array_like, array_like)
        Of shapes (..., n, n) and (..., n).
    b : array_like, shape (n,) or (..., n, k)
    trans : {0, 1, 2}
        Of what the equations are: a, its transpose, its adjoint.
    b_ndim : {1, 2}, optional
        As for :func:`solve`.

    Returns
    -------
    Variable
        Of the shape of `b`.

    Raises
    ------
    DTypeError
        If the pivots aren't integers.
    LinAlgError
        If the matrix is singular, when the function runs.

    Examples
    --------
    >>> lu_solve(lu_factor(np.eye(3)), np.ones(3)).type.shape
    (3,)
    """
    if trans not in (0, 1, 2):
        raise ValueError(f"lu_solve: trans must be 0, 1 or 2, got {trans!r}")
    packed, piv = inexact(lu_and_piv[0], "lu_solve"), as_tensor_variable(lu_and_piv[1])
    if not is_integer(piv.dtype) or piv.ndim != packed.ndim - 1:
        raise errors.DTypeError(errors.message("lu_solve", "the pivots must be integers, with one axis less than the matrix",
                                               (describe(packed), describe(piv)), caller()))
    b = as_tensor_variable(b)
    vector = b.ndim == 1 if b_ndim is None else b_ndim == 1
    right = column(b) if vector else b
    if right.ndim < packed.ndim:
        right = dimshuffle(right, *("x",) * (packed.ndim - right.ndim), *range(right.ndim))
    order = Order()(piv)
    if trans == 0:
        right = _in_order(right, order, packed)
        made = solve_triangular(packed, solve_triangular(packed, right, lower=True, unit_diagonal=True, b_ndim=2), b_ndim=2)
    else:
        half = solve_triangular(packed, right, lower=False, trans=trans, b_ndim=2)
        half = solve_triangular(packed, half, lower=True, trans=trans, unit_diagonal=True, b_ndim=2)
        made = _in_order(half, inverse_permutation(order), packed)
    return dimshuffle(made, *range(made.ndim - 1)) if vector else made


def _in_order(b: Variable, order: Variable, packed: Variable) -> Variable:
    """Return the rows of `b` in an order; axes in front broadcast."""
    index = column(order)
    if order.ndim == 1:
        return getitem(b, (..., order, slice(None)))
    lead = extents(packed)[:-2]
    wide = alloc(b, *lead, *extents(b)[-2:]) if all(n == 1 for n in b.type.shape[:-2]) else b
    return take_along_axis(wide, alloc(index, *extents(wide)), wide.ndim - 2)


class Order(Leading):
    """The order of rows that pivots make: row i changes places with row ``piv[i]``, from the first to the last."""

    name = "lu_solve"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone("int64"),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def template(self, *types: TensorType) -> Template:
        return Template("lu_order", (("dtype", types[0].dtype), ("ndim", types[0].ndim)),
                        ((errors.IndexOutOfBounds, "pivot {0} is out of bounds for {1} rows"),))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        piv = arrays[0]
        n = piv.shape[-1]
        wrong = piv[(piv < 0) | (piv >= n)]
        if wrong.size:
            raise errors.IndexOutOfBounds(f"pivot {wrong.flat[0]} is out of bounds for {n} rows")
        order = np.zeros(piv.shape, "int64")
        order[...] = np.arange(n)
        for at in np.ndindex(*piv.shape[:-1]):
            for i, p in enumerate(piv[at]):
                order[(*at, [i, p])] = order[(*at, [p, i])]
        return (order,)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False]]
