"""Linear equations, the Cholesky decomposition, least squares. Axes in front of the last two are a batch."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.batching import Batch
from symbolic.graph import Apply, Variable, constant, describe
from symbolic.ops.diagonal import tril, triu
from symbolic.ops.elementwise import broadcast_shape, cast_to, unbroadcast
from symbolic.ops.extents import extents
from symbolic.ops.functions import conj
from symbolic.ops.linalg import matmul
from symbolic.ops.matrix import NO_LAPACK, Square, adjoint, column, identity_of, inexact, transposed
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.scalar import Check, Expr, binary, dim
from symbolic.source import caller
from symbolic.template import Template
from symbolic.types import TensorType, is_complex, promote

#: Names of structures, SciPy's and Theano's, and which ones they are.
STRUCTURES = {"gen": "gen", "general": "gen", "sym": "sym", "symmetric": "sym", "her": "her", "hermitian": "her",
              "pos": "pos", "positive definite": "pos"}
_SINGULAR = "the matrix is singular (in column {0})"
_INDEFINITE = "the matrix isn't positive definite (its leading minor of order {0} isn't positive)"


def one_triangle(g: Variable, lower: bool, hermitian: bool = True) -> Variable:
    """Return the cotangent of the triangle that is read, given that of the whole Hermitian (symmetric) matrix."""
    both = g + (adjoint(g) if hermitian else transposed(g))
    half = constant(np.asarray(0.5, g.dtype))
    diagonal = identity_of(g) * both * half if hermitian else identity_of(g) * g
    return (tril(both, -1) if lower else triu(both, 1)) + diagonal


class Solve(Square):
    """X with A X = B.

    Parameters
    ----------
    structure : {'gen', 'sym', 'her', 'pos', 'lower', 'upper'}
        What A is known to be; of the second to fourth kind one triangle is read.
    lower : bool
        Which one.
    unit : bool
        Whether the diagonal of a triangular A is taken for ones.
    """

    __props__ = ("structure", "lower", "unit")

    def __init__(self, structure: str = "gen", lower: bool = True, unit: bool = False) -> None:
        self.structure, self.lower, self.unit = structure, lower, unit

    def results(self, *types: TensorType) -> tuple[TensorType, ...]:
        a, b = types
        if a.ndim != b.ndim:
            raise errors.RankError(f"expected operands of the same rank, got {a.ndim} and {b.ndim}")
        n, m = a.shape[-1], b.shape[-2]
        if None not in (n, m) and n != m:
            raise errors.ShapeError(f"a matrix of extent {n} and right sides of extent {m} don't fit")
        return (b.clone(shape=(*broadcast_shape([a.shape[:-2], b.shape[:-2]]), m if n is None else n, b.shape[-1])),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        a, b = types
        front = [dim(1 if n == 1 else 0, k) for k, n in enumerate(a.shape[:-2])]
        return ((*front, dim(1, b.ndim - 2), dim(1, b.ndim - 1)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        a, b = types
        n = a.ndim - 2
        out = list(super().checks(*types))
        if None in (a.shape[-1], b.shape[-2]):
            x, y = dim(0, n), dim(1, n)
            out.append(Check(binary("eq", x, y), "a matrix of extent {0} and right sides of extent {1} don't fit", detail=(x, y)))
        for d in range(n):
            if 1 not in (a.shape[d], b.shape[d]) and None in (a.shape[d], b.shape[d]):
                x, y = dim(0, d), dim(1, d)
                out.append(Check(binary("eq", x, y), f"batch extents {{0}} and {{1}} on axis {d} differ", detail=(x, y),
                                 broadcast=((0, d), (1, d))))
        return tuple(out)

    def template(self, *types: TensorType) -> Template:
        text = _INDEFINITE if self.structure == "pos" else _SINGULAR
        return Template("solve", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("structure", self.structure),
                                  ("lower", self.lower), ("unit", self.unit)), (NO_LAPACK, (errors.LinAlgError, text)), "lapack")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        a, b = arrays
        a = self._whole(a)
        try:
            if self.structure == "pos":
                np.linalg.cholesky(a)
            return (np.linalg.solve(a, b),)
        except np.linalg.LinAlgError:
            raise errors.LinAlgError("the matrix isn't positive definite" if self.structure == "pos"
                                     else "the matrix is singular") from None

    def _whole(self, a: np.ndarray) -> np.ndarray:
        """Return the matrix that is meant."""
        if self.structure == "gen":
            return a
        if self.structure in ("lower", "upper"):
            part = (np.tril if self.structure == "lower" else np.triu)(a, 0)
            return part - part * np.eye(a.shape[-1]) + np.eye(a.shape[-1]) if self.unit else part
        part, eye = (np.tril if self.lower else np.triu)(a), np.eye(a.shape[-1], dtype=bool)
        if self.structure == "sym":
            return np.where(eye, part, part + np.swapaxes(part, -1, -2))
        return np.where(eye, part.real, part + np.swapaxes(part.conj(), -1, -2)).astype(a.dtype)

    def adjoint(self, a: Variable) -> tuple[Solve, Variable]:
        """Return the op and its matrix for equations with the adjoint of A."""
        if self.structure in ("her", "pos"):
            return self, a
        if self.structure == "sym":
            return self, conj(a) if is_complex(a.dtype) else a
        other = {"lower": "upper", "upper": "lower"}.get(self.structure, "gen")
        return Solve(other, not self.lower, self.unit), adjoint(a)

    def masked(self, g: Variable) -> Variable:
        """Return the cotangent of what is read of A, given that of the whole matrix."""
        if self.structure in ("lower", "upper"):
            return tril(g, -int(self.unit)) if self.structure == "lower" else triu(g, int(self.unit))
        return g if self.structure == "gen" else one_triangle(g, self.lower, self.structure != "sym")

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        a, b = inputs
        if gouts[0] is None:
            return [None, None]
        op, other = self.adjoint(a)
        gb = op(other, gouts[0])
        ga = unbroadcast(-matmul(gb, adjoint(outputs[0])), a, inputs)
        return [self.masked(ga), unbroadcast(gb, b, inputs)]

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
        a, b = inputs
        if flags == (False, True) or list(flags) == [False, True]:
            if b.ndim == 3:  # one matrix, so all right sides at once
                count, n, m = extents(b)
                wide = self(a, reshape(dimshuffle(b, 1, 0, 2), [n, count * m], ndim=2))
                return [dimshuffle(reshape(wide, [n, count, m], ndim=3), 1, 0, 2)], [True]
            a = dimshuffle(a, "x", *range(a.ndim))
        elif not flags[1]:
            b = dimshuffle(b, "x", *range(b.ndim))
        return [self(a, b)], [True]


class Cholesky(Square):
    """The triangular L with A = L Lᴴ (or U with A = Uᴴ U) of positive definite matrices; that triangle of A is read.

    Theano's ``Cholesky(lower=True, on_error="raise")(A)``.

    Parameters
    ----------
    lower : bool
    on_error : {'raise', 'nan'}
        What becomes of a matrix that isn't positive definite: an error, or nan in all its elements.

    Notes
    -----
    Derivative: I. Murray, "Differentiation of the Cholesky decomposition", 2016, section 5.

    Examples
    --------
    >>> Cholesky(lower=False)(np.eye(3)).type.shape
    (3, 3)
    """

    __props__ = ("lower", "on_error")

    def __init__(self, lower: bool = True, on_error: str = "raise") -> None:
        if on_error not in ("raise", "nan"):
            raise ValueError(f"Cholesky: on_error must be 'raise' or 'nan', got {on_error!r}")
        self.lower, self.on_error = bool(lower), on_error

    def __call__(self, *inputs: Any, return_list: bool = False, **kwargs: Any) -> Any:
        return super().__call__(*(inexact(v, "cholesky") for v in inputs), return_list=return_list, **kwargs)

    def template(self, *types: TensorType) -> Template:
        return Template("cholesky", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("lower", self.lower),
                                     ("nan", self.on_error == "nan")), (NO_LAPACK, (errors.LinAlgError, _INDEFINITE)), "lapack")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        a = arrays[0] if self.lower else np.swapaxes(arrays[0], -1, -2).conj()
        out = np.empty(a.shape, a.dtype)
        for k in np.ndindex(a.shape[:-2]):
            try:
                out[k] = np.linalg.cholesky(a[k])
            except np.linalg.LinAlgError:
                if self.on_error == "raise":
                    raise errors.LinAlgError("the matrix isn't positive definite") from None
                out[k] = np.nan
        return (out if self.lower else np.swapaxes(out, -1, -2).conj(),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        if gouts[0] is None:
            return [None]
        factor, g = (outputs[0], gouts[0]) if self.lower else (adjoint(outputs[0]), adjoint(gouts[0]))
        half = tril(matmul(adjoint(factor), g))
        half = half - identity_of(half) * half * constant(np.asarray(0.5, half.dtype))
        up = Solve("upper", False)
        inner = up(adjoint(factor), adjoint(up(adjoint(factor), half)))  # (Lᴴ \\ P / L)ᴴ
        found = one_triangle(inner, True)
        return [found if self.lower else adjoint(found)]


# ---------------------------------------------------------------------------------------- for users


def sides(a: Any, b: Any, op: str, b_ndim: int | None) -> tuple[Variable, Variable, bool]:
    """Return both operands in one dtype and rank, and whether the right side is a vector."""
    a, b = inexact(a, op), inexact(b, op, 1)
    dtype = promote(a.dtype, b.dtype)
    a, b = cast_to(a, dtype), cast_to(b, dtype)
    if b_ndim not in (None, 1, 2):
        raise ValueError(f"{op}: b_ndim must be 1 or 2, got {b_ndim!r}")
    vector = b.ndim == 1 if b_ndim is None else b_ndim == 1
    if vector:
        b = column(b)
    if b.ndim < 2:
        raise errors.RankError(errors.message(op, "expected right sides of 2 dimensions", (describe(b),), caller()))
    nd = max(a.ndim, b.ndim)
    a, b = (dimshuffle(v, *("x",) * (nd - v.ndim), *range(v.ndim)) for v in (a, b))
    return a, b, vector


def _solved(op: Solve, a: Any, b: Any, name: str, b_ndim: int | None) -> Variable:
    a, b, vector = sides(a, b, name, b_ndim)
    x = op(a, b)
    return dimshuffle(x, *range(x.ndim - 1)) if vector and x.type.shape[-1] == 1 else x


def solve(a: Any, b: Any, assume_a: str = "gen", lower: bool = True, b_ndim: int | None = None) -> Variable:
    """Return x with ``a x = b``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
    b : array_like, shape (n,) or (..., n, k)
        Axes in front of the matrices broadcast.
    assume_a : {'gen', 'sym', 'her', 'pos'}
        That `a` is symmetric, Hermitian, or positive definite as well: faster. One triangle is read, and has the gradient.
    lower : bool
        Which one.
    b_ndim : {1, 2}, optional
        Whether the last axis or the last two of `b` are a right side; by default 1 if `b` is a vector.

    Returns
    -------
    Variable
        Of the shape of `b` (with the axes in front of `a`).

    Raises
    ------
    RankError, ShapeError
        If the matrix isn't square, or `b` doesn't fit.
    LinAlgError
        If a matrix is singular, or not positive definite where that was assumed; when the function runs.

    Examples
    --------
    >>> solve(np.eye(3), np.ones(3)).type.shape
    (3,)
    """
    if assume_a not in STRUCTURES:
        raise ValueError(f"solve: assume_a must be one of {sorted(STRUCTURES)}, got {assume_a!r}")
    return _solved(Solve(STRUCTURES[assume_a], bool(lower)), a, b, "solve", b_ndim)


def solve_triangular(a: Any, b: Any, lower: bool = False, trans: Any = 0, unit_diagonal: bool = False,
                     b_ndim: int | None = None) -> Variable:
    """Return x with ``a x = b``, for triangular `a`; the other triangle isn't read.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
    b : array_like, shape (n,) or (..., n, k)
    lower : bool
    trans : {0, 1, 2, 'N', 'T', 'C'}
        Of what the equations are: `a`, its transpose, its adjoint.
    unit_diagonal : bool
        Take the diagonal for ones, without reading it.

    Examples
    --------
    >>> solve_triangular(np.eye(3), np.ones((3, 2)), lower=True).type.shape
    (3, 2)
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"solve_triangular: trans must be 0, 1, 2, 'N', 'T' or 'C', got {trans!r}")
    if trans not in (0, "N"):
        a = inexact(a, "solve_triangular")
        a, lower = transposed(a) if trans in (1, "T") else adjoint(a), not lower
    return _solved(Solve("lower" if lower else "upper", bool(lower), bool(unit_diagonal)), a, b, "solve_triangular", b_ndim)


def solve_lower_triangular(a: Any, b: Any) -> Variable:
    """Return x with ``a x = b``, for lower triangular `a`.

    >>> solve_lower_triangular(np.eye(3), np.ones(3)).type.shape
    (3,)
    """
    return solve_triangular(a, b, lower=True)


def solve_upper_triangular(a: Any, b: Any) -> Variable:
    """Return x with ``a x = b``, for upper triangular `a`.

    >>> solve_upper_triangular(np.eye(3), np.ones(3)).type.shape
    (3,)
    """
    return solve_triangular(a, b, lower=False)


def solve_symmetric(a: Any, b: Any) -> Variable:
    """Return x with ``a x = b``, for symmetric `a`, of which the lower triangle is read.

    >>> solve_symmetric(np.eye(3), np.ones(3)).type.shape
    (3,)
    """
    return solve(a, b, "sym")


def cholesky(a: Any, lower: bool = True, on_error: str = "raise") -> Variable:
    """Return the Cholesky factor of positive definite matrices: L, with ``a = L Lᴴ``, or U, with ``a = Uᴴ U``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        One triangle is read, and has the gradient.
    lower : bool
    on_error : {'raise', 'nan'}
        What becomes of a matrix that isn't positive definite.

    Raises
    ------
    LinAlgError
        If a matrix isn't positive definite, when the function runs.

    Examples
    --------
    >>> cholesky(np.eye(3)).type.shape
    (3, 3)
    """
    return Cholesky(lower, on_error)(a)


def cho_solve(c_and_lower: Any, b: Any, b_ndim: int | None = None) -> Variable:
    """Return x with ``a x = b``, given the Cholesky factor of `a` and whether it is the lower one.

    >>> cho_solve((np.eye(3), True), np.ones(3)).type.shape
    (3,)
    """
    factor, lower = c_and_lower
    one, other = (0, 2) if lower else (2, 0)
    inner = solve_triangular(factor, b, lower, one, b_ndim=b_ndim)
    return solve_triangular(factor, inner, lower, other, b_ndim=b_ndim)


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Variable:
    """Return x with ``tensordot(a, x, x.ndim) = b``, as ``numpy.linalg.tensorsolve``.

    Parameters
    ----------
    a : array_like
        Its first axes are those of `b`; the product of their extents is that of the others.
    b : array_like
    axes : sequence of int, optional
        Axes of `a` that are moved to its end first.

    Examples
    --------
    >>> tensorsolve(np.ones((6, 4, 2, 3, 4)), np.ones((6, 4))).type.shape
    (2, 3, 4)
    """
    a, b = inexact(a, "tensorsolve", 1), inexact(b, "tensorsolve", 0)
    if axes is not None:
        moved = [k % a.ndim for k in axes]
        a = dimshuffle(a, *(k for k in range(a.ndim) if k not in moved), *moved)
    if a.ndim < b.ndim:
        raise errors.RankError(errors.message("tensorsolve", "a has fewer axes than b", (describe(a), describe(b)), caller()))
    rest = extents(a)[b.ndim:]
    n: Any = constant(1, dtype="int64")
    for e in rest:
        n = n * e
    return reshape(solve(reshape(a, [n, n], ndim=2), reshape(b, [n], ndim=1)), rest, ndim=len(rest))


def solve_op(A_structure: str = "general", lower: bool = False, overwrite_A: bool = False, overwrite_b: bool = False) -> Any:
    """Return a function of a matrix and right sides: Theano's class ``Solve``.

    Parameters
    ----------
    A_structure : {'general', 'symmetric', 'hermitian', 'positive definite', 'lower_triangular', 'upper_triangular'}
    lower : bool
        Which triangle of a symmetric matrix is read.
    overwrite_A, overwrite_b : bool
        Without effect: what is written over is decided when a function is compiled.

    Examples
    --------
    >>> solve_op("lower_triangular")(np.eye(3), np.ones(3)).type.shape
    (3,)
    """
    if A_structure in ("lower_triangular", "upper_triangular"):
        return lambda a, b: solve_triangular(a, b, A_structure == "lower_triangular")
    if A_structure not in STRUCTURES:
        raise ValueError(f"Solve: A_structure must be one of {[*sorted(STRUCTURES), 'lower_triangular', 'upper_triangular']}, "
                         f"got {A_structure!r}")
    return lambda a, b: solve(a, b, A_structure, lower)
