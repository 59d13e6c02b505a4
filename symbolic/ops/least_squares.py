"""Least squares and pseudo-inverses. Axes in front of the last two are a batch."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Variable, constant
from symbolic.ops.decompositions import SVD
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import imag, real, sqr
from symbolic.ops.index import getitem
from symbolic.ops.leading import Leading
from symbolic.ops.linalg import matmul
from symbolic.ops.matrix import NO_LAPACK, adjoint, checked, identity_of, inexact, row, transposed
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.shape import dimshuffle
from symbolic.ops.solve import sides
from symbolic.scalar import Check, Expr, binary, dim, select
from symbolic.template import Template
from symbolic.types import TensorType, is_complex, real_of


class LstSq(Leading):
    """The shortest X of all that make A X - B smallest; the rank of A; its singular values.

    Parameters
    ----------
    rcond : float or None
        Singular values below this part of the largest count as zero; None: the precision times the larger extent.

    Notes
    -----
    Derivative, where the rank is constant: G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and
    nonlinear least squares problems whose variables separate", 1973.
    """

    __props__ = ("rcond",)
    name = "lstsq"

    def __init__(self, rcond: float | None) -> None:
        self.rcond = rcond

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, b = types
        m, n = a.shape[-2:]
        if None not in (m, b.shape[-2]) and m != b.shape[-2]:
            raise errors.ShapeError(f"{m} equations and {b.shape[-2]} right sides don't fit")
        least = None if None in (m, n) else min(m, n)  # type: ignore[type-var]
        front = a.shape[:-2]
        return (a.clone(shape=(*front, n, b.shape[-1])), TensorType("int64", front),
                TensorType(real_of(a.dtype), (*front, least)))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        nd = types[0].ndim
        front = tuple(dim(0, k) for k in range(nd - 2))
        m, n = dim(0, nd - 2), dim(0, nd - 1)
        return (*front, n, dim(1, nd - 1)), front, (*front, select(binary("le", m, n), m, n))

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        nd = types[0].ndim
        return tuple(Check(binary("eq", dim(0, k), dim(1, k)), f"extents {{0}} and {{1}} on axis {k} differ",
                           detail=(dim(0, k), dim(1, k))) for k in range(nd - 1))

    def template(self, *types: TensorType) -> Template:
        precision = 2.0**-23 if real_of(types[0].dtype) == "float32" else 2.0**-52
        rcond = f"{precision!r} * (double)most" if self.rcond is None else repr(self.rcond)
        return Template("lstsq", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("rcond", rcond)),
                        (NO_LAPACK, (errors.LinAlgError, "the singular values didn't converge")), "lapack")

    @checked("the singular values didn't converge")
    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        a, b = arrays
        m, n = a.shape[-2:]
        x = np.empty((*a.shape[:-2], n, b.shape[-1]), a.dtype)
        rank, s = np.empty(a.shape[:-2], "int64"), np.empty((*a.shape[:-2], min(m, n)), a.real.dtype)
        for k in np.ndindex(a.shape[:-2]):
            if not np.isfinite(a[k]).all():  # LAPACK may never end
                raise np.linalg.LinAlgError
            x[k], _, rank[k], s[k] = np.linalg.lstsq(a[k], b[k], self.rcond)
        return x, rank, s

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        (a, b), x, g = inputs, outputs[0], gouts[0]
        values = None
        if gouts[2] is not None:
            u, _, vh = SVD(False)(a)
            values = matmul(u * row(cast_to(gouts[2], u.dtype)), vh)
        if g is None:
            return [values, None]
        inverse = pinv_of(a, self.rcond)
        gb = matmul(adjoint(inverse), g)
        left = b - matmul(a, x)  # type: ignore[operator]
        outside = g - matmul(inverse, matmul(a, g))  # type: ignore[operator]
        ga = (matmul(left, adjoint(matmul(inverse, gb))) + matmul(matmul(adjoint(inverse), x), adjoint(outside))
              - matmul(gb, adjoint(x)))
        return [ga if values is None else ga + values, gb]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False, True], [True, False, False]]


# ---------------------------------------------------------------------------------------- for users


def pinv_of(a: Variable, rcond: float | None) -> Variable:
    """Return pseudo-inverses as solutions of least squares for the identity."""
    right = identity_of(transposed(a))
    if a.ndim > 2:
        right = right + dimshuffle(sum_of(a * constant(0, dtype=a.dtype), axis=(-2, -1)), *range(a.ndim - 2), "x", "x")  # type: ignore[operator]
    return LstSq(rcond)(a, right)[0]


def _rcond(rcond: Any, op: str) -> float | None:
    if rcond is None or (isinstance(rcond, (int, float, np.number)) and not isinstance(rcond, bool)):
        return None if rcond is None else float(rcond)
    data = getattr(rcond, "data", None)
    if isinstance(data, np.ndarray) and data.ndim == 0:
        return float(data)
    raise TypeError(f"{op}: rcond must be a number or None, got {rcond!r}")


def pinv(a: Any, rcond: float | None = 1e-15) -> Variable:
    """Return the pseudo-inverses of matrices (..., m, n), as ``numpy.linalg.pinv``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
    rcond : float or None
        Singular values below this part of the largest count as zero; None: the precision times the larger extent.

    Returns
    -------
    Variable, shape (..., n, m)

    Examples
    --------
    >>> pinv(np.ones((2, 3))).type.shape
    (3, 2)
    """
    return pinv_of(inexact(a, "pinv"), _rcond(rcond, "pinv"))


def lstsq(*args: Any, rcond: Any = None) -> Any:
    """Return least-squares solutions, as ``numpy.linalg.lstsq``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
    b : array_like, shape (m,) or (..., m, k)
    rcond : float or None
        Singular values below this part of the largest count as zero; None: the precision times the larger extent.

    Returns
    -------
    list of Variable
        The shortest x of all that make ``a x - b`` smallest; the sums of the squares of what is left over, a column an
        element (also where NumPy leaves them out: for a of lower rank, and where there is nothing left over); the rank
        of `a`; its singular values. Called without arguments, as Theano's class, it returns itself.

    Examples
    --------
    >>> [v.type.shape for v in lstsq(np.ones((5, 3)), np.ones(5))]
    [(3,), (), (), (3,)]
    """
    if not args:
        return lstsq
    if not 2 <= len(args) <= 3:
        raise TypeError(f"lstsq: expected a, b and perhaps rcond, got {len(args)} arguments")
    a, b, vector = sides(args[0], args[1], "lstsq", None)
    x, rank, s = LstSq(_rcond(args[2] if len(args) == 3 else rcond, "lstsq"))(a, b)
    left = b - matmul(a, x)  # type: ignore[operator]
    size = sqr(real(left)) + sqr(imag(left)) if is_complex(left.dtype) else sqr(left)
    rest = sum_of(size, axis=-2)
    if vector:
        x, rest = getitem(x, (..., 0)), getitem(rest, (..., 0))
    return [x, rest, rank, s]
