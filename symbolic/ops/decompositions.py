"""Eigenvalues, singular values and orthogonal factors of matrices. Axes in front of the last two are a batch.

Where eigenvalues or singular values are equal, vectors aren't differentiable: their derivatives' infinite terms, of which
a function that doesn't depend on the choice of vectors has none, are left out.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, constant
from symbolic.ops.diagonal import AllocDiagonal, Diagonal, tril, triu
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.functions import conj, eq, real, switch
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.leading import Leading
from symbolic.ops.linalg import matmul
from symbolic.ops.matrix import NO_LAPACK, Square, adjoint, checked, column, identity_of, inexact, row
from symbolic.ops.solve import Solve, cholesky, one_triangle, solve_triangular
from symbolic.scalar import Expr, binary, dim, select
from symbolic.template import Template
from symbolic.types import TensorType, is_complex, real_of

_NO_CONVERGENCE = "the eigenvalues didn't converge"


def _diagonal(v: Variable) -> Variable:
    """Return square matrices with vectors on their diagonal."""
    n = extents(v)[-1]
    known = v.type.shape[-1]
    return AllocDiagonal(0, (known, known))(v, n, n)


def _reciprocal(x: Variable) -> Variable:
    """Return 1/x, and 0 for 0."""
    zero, one = constant(np.asarray(0, x.dtype)), constant(np.asarray(1, x.dtype))
    none = eq(x, zero)
    return switch(none, zero, one / switch(none, one, x))


def _differences(w: Variable) -> Variable:
    """Return w[j] - w[i]."""
    return row(w) - column(w)  # type: ignore[operator]


def _plus(a: Variable | None, b: Variable | None) -> Variable | None:
    return b if a is None else a if b is None else a + b  # type: ignore[operator]


class Eigh(Square):
    """Eigenvalues, ascending, and eigenvectors, as columns, of symmetric or Hermitian matrices, of which one triangle is read.

    Notes
    -----
    Derivative: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation", 2008, section 3.1.
    """

    __props__ = ("lower",)

    def __init__(self, lower: bool = True) -> None:
        self.lower = lower

    def results(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[0].clone(real_of(types[0].dtype), types[0].shape[:-1]), types[0]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        every = tuple(dim(0, a) for a in range(types[0].ndim))
        return every[:-1], every

    def template(self, *types: TensorType) -> Template:
        return Template("eigh", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("lower", self.lower)),
                        (NO_LAPACK, (errors.LinAlgError, _NO_CONVERGENCE)), "lapack")

    @checked(_NO_CONVERGENCE)
    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.linalg.eigh(arrays[0], "L" if self.lower else "U"))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        (w, v), (gw, gv) = outputs, gouts
        inner = None if gw is None else _diagonal(cast_to(gw, v.dtype))
        if gv is not None:
            inner = _plus(inner, matmul(adjoint(v), gv) * cast_to(_reciprocal(_differences(w)), v.dtype))
        if inner is None:
            return [None]
        return [one_triangle(matmul(matmul(v, inner), adjoint(v)), self.lower)]


class Eig(Square):
    """Eigenvalues, in no order, and eigenvectors, as columns of length one, of any square matrices: always complex.

    Notes
    -----
    Derivative: C. Boeddeker et al., "On the computation of complex-valued gradients with application to statistically
    optimum beamforming", 2017. It is that of a function that doesn't depend on the phase of the eigenvectors.
    """

    def results(self, *types: TensorType) -> tuple[TensorType, ...]:
        dtype = "complex64" if real_of(types[0].dtype) == "float32" else "complex128"
        return types[0].clone(dtype, types[0].shape[:-1]), types[0].clone(dtype)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        every = tuple(dim(0, a) for a in range(types[0].ndim))
        return every[:-1], every

    def template(self, *types: TensorType) -> Template:
        return Template("eig", (("dtype", types[0].dtype), ("ndim", types[0].ndim)),
                        (NO_LAPACK, (errors.LinAlgError, _NO_CONVERGENCE),
                         (errors.LinAlgError, "the matrix has elements that are nan or infinite")), "lapack")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        if not np.isfinite(arrays[0]).all():
            raise errors.LinAlgError("the matrix has elements that are nan or infinite")
        try:
            return tuple(np.linalg.eig(arrays[0]))
        except np.linalg.LinAlgError:
            raise errors.LinAlgError(_NO_CONVERGENCE) from None

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        (w, v), (gw, gv) = outputs, gouts
        inner = None if gw is None else _diagonal(gw)
        if gv is not None:
            along = matmul(adjoint(v), gv)
            # of a vector of length one, only what is orthogonal to it changes
            fixed = matmul(adjoint(v), v * row(cast_to(real(Diagonal(0)(along)), v.dtype)))  # type: ignore[operator]
            inner = _plus(inner, (along - fixed) * _reciprocal(conj(_differences(w))))  # type: ignore[operator]
        if inner is None:
            return [None]
        found = Solve()(adjoint(v), matmul(inner, adjoint(v)))
        return [found if is_complex(inputs[0].dtype) else real(found)]


class SVD(Leading):
    """A = U diag(s) Vh; results are U, s and Vh.

    Parameters
    ----------
    full : bool
        Whether U and Vh are square.

    Notes
    -----
    Derivative: J. Townsend, "Differentiating the singular value decomposition", 2016. Columns beyond the smaller extent
    turn with the others: what is asked of them is carried over. A derivative that depends on how they are chosen isn't one.
    """

    __props__ = ("full",)

    def __init__(self, full: bool) -> None:
        self.full = full

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t = types[0]
        if t.ndim < 2:
            raise errors.RankError(f"expected a matrix, got {t.ndim} dimensions")
        *front, m, n = t.shape
        r = None if m is None or n is None else min(m, n)
        mu, nv = (m, n) if self.full else (r, r)
        return t.clone(shape=(*front, m, mu)), t.clone(real_of(t.dtype), (*front, r)), t.clone(shape=(*front, nv, n))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        nd = types[0].ndim
        front, m, n = tuple(dim(0, a) for a in range(nd - 2)), dim(0, nd - 2), dim(0, nd - 1)
        r = select(binary("le", m, n), m, n)
        return (*front, m, m if self.full else r), (*front, r), (*front, n if self.full else r, n)

    def template(self, *types: TensorType) -> Template:
        return Template("svd", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("full", self.full)),
                        (NO_LAPACK, (errors.LinAlgError, "the singular values didn't converge")), "lapack")

    @checked("the singular values didn't converge")
    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        if not np.isfinite(arrays[0]).all():  # LAPACK may never end
            raise np.linalg.LinAlgError
        return tuple(np.linalg.svd(arrays[0], full_matrices=self.full))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        u, s, vh = outputs
        gu, gs, gvh = gouts
        v, gv = adjoint(vh), None if gvh is None else adjoint(gvh)
        if self.full:
            u, gu = _carried_over(u, gu, extents(s)[-1])
            v, gv = _carried_over(v, gv, extents(s)[-1])
        inner = None if gs is None else _diagonal(cast_to(gs, u.dtype))
        wide = row(s)
        apart = cast_to(_reciprocal(_differences(s * s)), u.dtype)  # type: ignore[operator]
        # only by how much the phases of a pair of vectors turn apart is determined: each is taken to turn by half of it
        quarter = constant(np.asarray(0.25, u.dtype))
        over = cast_to(_reciprocal(s), u.dtype)
        outside: Variable | None = None
        if gu is not None:
            along = matmul(adjoint(u), gu)
            turn = along - adjoint(along)  # type: ignore[operator]
            inner = _plus(inner, turn * apart * cast_to(wide, u.dtype))
            if is_complex(u.dtype):
                inner = _plus(inner, _diagonal(Diagonal(0)(turn) * over * quarter))
            outside = matmul((gu - matmul(u, along)) * row(over), adjoint(v))  # type: ignore[operator]
        if gv is not None:
            along = matmul(adjoint(v), gv)
            turn = along - adjoint(along)  # type: ignore[operator]
            inner = _plus(inner, cast_to(column(s), u.dtype) * turn * apart)
            if is_complex(u.dtype):
                inner = _plus(inner, -_diagonal(Diagonal(0)(turn) * over * quarter))
            outside = _plus(outside, matmul(u * row(over), adjoint(gv - matmul(v, along))))  # type: ignore[operator]
        if inner is None:
            return [None]
        return [_plus(matmul(matmul(u, inner), adjoint(v)), outside)]


def _carried_over(q: Variable, g: Variable | None, r: Variable) -> tuple[Variable, Variable | None]:
    """Return the first `r` columns of a unitary matrix and their cotangent, in which that of the others is put.

    The others turn with them: if the first move by the others times X, the others move by the first times -Xᴴ.
    """
    first, others = getitem(q, (..., slice(None, r))), getitem(q, (..., slice(r, None)))
    if g is None:
        return first, None
    gfirst, gothers = getitem(g, (..., slice(None, r))), getitem(g, (..., slice(r, None)))
    return first, gfirst - matmul(others, matmul(adjoint(gothers), first))  # type: ignore[operator]


class QR(Leading):
    """A = Q R, Q with orthonormal columns, R upper triangular.

    Parameters
    ----------
    full : bool
        Whether Q is square.

    Notes
    -----
    Derivatives: M. Seeger et al., "Auto-differentiating linear algebra", 2017; for more columns than rows D. Roberts and
    L. Roberts, "QR and LQ decomposition matrix backpropagation algorithms for square, wide, and deep matrices", 2020.
    The first columns must be independent.
    """

    __props__ = ("full",)

    def __init__(self, full: bool = False) -> None:
        self.full = full

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t = types[0]
        if t.ndim < 2:
            raise errors.RankError(f"expected a matrix, got {t.ndim} dimensions")
        *front, m, n = t.shape
        r = m if self.full else None if m is None or n is None else min(m, n)
        return t.clone(shape=(*front, m, r)), t.clone(shape=(*front, r, n))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        nd = types[0].ndim
        front, m, n = tuple(dim(0, a) for a in range(nd - 2)), dim(0, nd - 2), dim(0, nd - 1)
        r = m if self.full else select(binary("le", m, n), m, n)
        return (*front, m, r), (*front, r, n)

    def template(self, *types: TensorType) -> Template:
        return Template("qr", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("full", self.full)), (NO_LAPACK,), "lapack")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.linalg.qr(arrays[0], "complete" if self.full else "reduced"))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        (a,), (q, r), (gq, gr) = inputs, outputs, gouts
        if gq is None and gr is None:
            return [None]
        m, n = extents(a)[-2:]
        least = switch(m < n, m, n)  # type: ignore[operator]
        if self.full:
            q, gq = _carried_over(q, gq, least)
            r = getitem(r, (..., slice(None, least), slice(None)))
            gr = None if gr is None else getitem(gr, (..., slice(None, least), slice(None)))
        left = (..., slice(None, least))
        right = (..., slice(least, None))
        rest = None
        if gr is not None:  # columns beyond the rows of A: R there is Qᴴ times them
            rest = matmul(q, getitem(gr, right))
            gq = _plus(gq, matmul(getitem(a, right), adjoint(getitem(gr, right))))
            gr = getitem(gr, left)
        r = getitem(r, left)
        middle = None if gr is None else matmul(gr, adjoint(r))
        if gq is not None:
            middle = _plus(middle, -matmul(adjoint(q), gq))
        assert middle is not None
        upper = triu(middle)
        both = upper + adjoint(upper)  # type: ignore[operator]
        both = both - identity_of(both) * both * constant(np.asarray(0.5, both.dtype))
        total = _plus(gq, matmul(q, both))
        assert total is not None
        found = adjoint(Solve("upper", False)(r, adjoint(total)))
        if rest is None:
            rest = getitem(a, right) * constant(np.asarray(0, a.dtype))
        return [concatenate([found, rest], axis=a.ndim - 1)]


# ---------------------------------------------------------------------------------------- for users


def _lower(UPLO: Any, op: str) -> bool:
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f"{op}: UPLO must be 'L' or 'U', got {UPLO!r}")
    return UPLO in ("L", "l")


def eigh(a: Any, UPLO: str = "L") -> list[Variable]:
    """Return eigenvalues, ascending, and eigenvectors of symmetric or Hermitian matrices, as ``numpy.linalg.eigh``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
    UPLO : {'L', 'U'}
        Which triangle is read, and has the gradient.

    Returns
    -------
    list of Variable, shapes (..., n) and (..., n, n)
        Eigenvalues, real, and eigenvectors, as columns. Only functions that don't depend on signs or phases of the vectors,
        or on their choice where eigenvalues are equal, have a derivative.

    Raises
    ------
    LinAlgError
        If eigenvalues don't converge, when the function runs.

    Examples
    --------
    >>> [v.type.shape for v in eigh(np.eye(3))]
    [(3,), (3, 3)]
    """
    return Eigh(_lower(UPLO, "eigh"))(inexact(a, "eigh"))


def eigvalsh(a: Any, b: Any = None, lower: bool = True) -> Variable:
    """Return the eigenvalues w of symmetric or Hermitian matrices, ascending; with `b` those of ``a v = w b v``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
    b : array_like, shape (..., n, n), optional
        Positive definite.
    lower : bool
        Which triangle of both is read.

    Returns
    -------
    Variable, shape (..., n)

    Examples
    --------
    >>> eigvalsh(np.eye(3)).type.shape
    (3,)
    """
    a = inexact(a, "eigvalsh")
    if b is None:
        return Eigh(bool(lower))(a)[0]
    # with b = L Lᴴ they are the eigenvalues of inv(L) a inv(L)ᴴ
    whole = tril(a, -1) if lower else triu(a, 1)
    whole = whole + adjoint(whole) + _diagonal(cast_to(real(Diagonal(0)(a)), a.dtype))  # type: ignore[operator]
    b = inexact(b, "eigvalsh")
    factor = cholesky(b) if lower else adjoint(cholesky(b, lower=False))
    half = solve_triangular(factor, whole, lower=True, b_ndim=2)
    return Eigh()(solve_triangular(factor, adjoint(half), lower=True, b_ndim=2))[0]


def eigvals(a: Any) -> Variable:
    """Return the eigenvalues of square matrices, in no order, always complex.

    >>> eigvals(np.eye(3)).type
    TensorType(complex128, (3,))
    """
    return eig(a)[0]


def eig(a: Any) -> list[Variable]:
    """Return eigenvalues, in no order, and eigenvectors of square matrices, as ``numpy.linalg.eig``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)

    Returns
    -------
    list of Variable, shapes (..., n) and (..., n, n)
        Always complex, since a dtype can't depend on values; NumPy gives real ones where all are real. They are computed in
        double precision.

    Raises
    ------
    LinAlgError
        If an element is nan or infinite, or eigenvalues don't converge; when the function runs.

    Examples
    --------
    >>> [v.dtype for v in eig(np.eye(3))]
    ['complex128', 'complex128']
    """
    x = inexact(a, "eig")
    wide = "complex128" if is_complex(x.dtype) else "float64"
    out = "complex64" if real_of(x.dtype) == "float32" else "complex128"
    return [cast_to(v, out) for v in Eig()(cast_to(x, wide))]


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Return the singular value decomposition ``a = (U * s) @ Vh``, as ``numpy.linalg.svd``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
    full_matrices : bool
        Whether U is (..., m, m) and Vh (..., n, n); else (..., m, k) and (..., k, n), with k the smaller extent.
    compute_uv : bool
        Without it, only the singular values are returned.

    Returns
    -------
    list of Variable, or Variable
        U, s (real, descending) and Vh.

    Raises
    ------
    LinAlgError
        If they don't converge, when the function runs.

    Examples
    --------
    >>> [v.type.shape for v in svd(np.ones((5, 3)), full_matrices=False)]
    [(5, 3), (3,), (3, 3)]
    """
    found = SVD(bool(full_matrices) and bool(compute_uv))(inexact(a, "svd"))
    return found if compute_uv else found[1]


def svdvals(a: Any) -> Variable:
    """Return the singular values of matrices, descending.

    >>> svdvals(np.ones((5, 3))).type.shape
    (3,)
    """
    return svd(a, compute_uv=False)


def qr(a: Any, mode: str = "reduced") -> Any:
    """Return the decomposition ``a = Q R``, as ``numpy.linalg.qr``.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
    mode : {'reduced', 'complete', 'r'}
        Q of (..., m, k), with k the smaller extent; Q of (..., m, m); or R alone.

    Returns
    -------
    list of Variable, or Variable
        Q and R. Derivatives are those of independent columns.

    Examples
    --------
    >>> [v.type.shape for v in qr(np.ones((5, 3)))]
    [(5, 3), (3, 3)]
    """
    if mode not in ("reduced", "complete", "r", "full", "economic"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    found = QR(mode in ("complete", "full"))(inexact(a, "qr"))
    return found[1] if mode == "r" else found
