"""Inverses and determinants of matrices, and what is made of products of them. Axes in front of the last two are a batch."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Constant, Variable, as_tensor_variable, constant, describe
from symbolic.ops.diagonal import Diagonal, eye
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.functions import conj
from symbolic.ops.leading import Leading
from symbolic.ops.linalg import dot, matmul
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.scalar import Check, Expr, binary, dim
from symbolic.source import caller
from symbolic.template import Template
from symbolic.types import TensorType, is_complex, is_discrete, real_of

NO_LAPACK = (errors.NotSupported,
             "no LAPACK was found in NumPy or SciPy that can do this; mode='FAST_COMPILE' computes with NumPy")
SINGULAR = (errors.LinAlgError, "the matrix is singular")


def checked(text: str) -> Callable[[Callable], Callable]:
    """Let a reference raise our LinAlgError, with the text that the compiled program gives."""
    def decorate(reference: Callable) -> Callable:
        @wraps(reference)
        def wrapped(self: Any, *arrays: np.ndarray) -> Any:
            try:
                return reference(self, *arrays)
            except np.linalg.LinAlgError:
                raise errors.LinAlgError(text) from None

        return wrapped

    return decorate


def inexact(x: Any, op: str, ndim: int = 2) -> Variable:
    """Return an operand in a dtype that LAPACK knows: integers and bools as float64, float16 as float32.

    Raises
    ------
    RankError
        If it has fewer than `ndim` axes.
    """
    x = as_tensor_variable(x)
    if x.ndim < ndim:
        raise errors.RankError(errors.message(op, f"expected at least {ndim} dimensions, got {x.ndim}", (describe(x),), caller()))
    return cast_to(x, "float64" if is_discrete(x.dtype) else "float32" if x.dtype == "float16" else x.dtype)


def transposed(x: Variable) -> Variable:
    """Return `x` with its last two axes swapped."""
    return dimshuffle(x, *range(x.ndim - 2), x.ndim - 1, x.ndim - 2)


def adjoint(x: Variable) -> Variable:
    """Return `x` with its last two axes swapped, conjugated if complex."""
    return transposed(conj(x) if is_complex(x.dtype) else x)


def column(x: Variable) -> Variable:
    """Return vectors as matrices of one column."""
    return dimshuffle(x, *range(x.ndim), "x")


def row(x: Variable) -> Variable:
    """Return vectors as matrices of one row."""
    return dimshuffle(x, *range(x.ndim - 1), "x", x.ndim - 1)


def identity_of(x: Variable) -> Variable:
    """Return the identity of the extent of the last axis of `x`."""
    n = extents(x)[-1]
    return eye(n, n, dtype=x.dtype)


class Square(Leading):
    """An op of square matrices, its first operand."""

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t = types[0]
        if t.ndim < 2:
            raise errors.RankError(f"expected a matrix, got {t.ndim} dimensions")
        n, m = t.shape[-2:]
        if None not in (n, m) and n != m:
            raise errors.ShapeError(f"expected a square matrix, got extents {n} and {m}")
        side = m if n is None else n
        return self.results(t.clone(shape=(*t.shape[:-2], side, side)), *types[1:])

    def results(self, *types: TensorType) -> tuple[TensorType, ...]:
        """Return the types of the results, given those of the operands, seen to be square."""
        return types[:1]

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        t = types[0]
        if None not in t.shape[-2:]:
            return ()
        n, m = dim(0, t.ndim - 2), dim(0, t.ndim - 1)
        return (Check(binary("eq", n, m), "expected a square matrix, got extents {0} and {1}", detail=(n, m)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)


class MatrixInverse(Square):
    """Inverses, by LU decomposition."""

    name = "matrix_inverse"

    def template(self, *types: TensorType) -> Template:
        return Template("inverse", (("dtype", types[0].dtype), ("ndim", types[0].ndim)), (NO_LAPACK, SINGULAR), "lapack")

    @checked(SINGULAR[1])
    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.linalg.inv(arrays[0]),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        if gouts[0] is None:
            return [None]
        y = adjoint(outputs[0])
        return [-matmul(matmul(y, gouts[0]), y)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        t = tangents[0]
        return [None if t is None else -matmul(matmul(outputs[0], t), outputs[0])]


class Det(Square):
    """Determinants, by LU decomposition. The derivative needs the inverse, so it isn't to be had of singular matrices."""

    def results(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone(shape=types[0].shape[:-2]),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim - 2)),)

    def template(self, *types: TensorType) -> Template:
        return Template("determinant", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("log", False)), (NO_LAPACK,),
                        "lapack")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (np.linalg.det(arrays[0]),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        if gouts[0] is None:
            return [None]
        y = conj(outputs[0]) if is_complex(outputs[0].dtype) else outputs[0]
        return [column(column(gouts[0] * y)) * adjoint(MatrixInverse()(inputs[0]))]


class SLogDet(Square):
    """Sign (or phase) and logarithm of the modulus of determinants, which overflow no more than the matrix."""

    def results(self, *types: TensorType) -> tuple[TensorType, ...]:
        sign = types[0].clone(shape=types[0].shape[:-2])
        return sign, sign.clone(real_of(sign.dtype))

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim - 2)),) * 2

    def template(self, *types: TensorType) -> Template:
        return Template("determinant", (("dtype", types[0].dtype), ("ndim", types[0].ndim), ("log", True)), (NO_LAPACK,),
                        "lapack")

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.linalg.slogdet(arrays[0]))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        (x,), (gsign, g) = inputs, gouts
        factor: Any = None if g is None else cast_to(g, x.dtype)
        if gsign is not None and is_complex(x.dtype):
            # the phase turns with the imaginary part of trace(inv(x) dx)
            turn = gsign * conj(outputs[0])
            turn = (turn - conj(turn)) / 2
            factor = turn if factor is None else factor + turn
        if factor is None:
            return [None]
        return [column(column(factor)) * adjoint(MatrixInverse()(x))]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[is_complex(node.inputs[0].dtype), True]]


# ---------------------------------------------------------------------------------------- for users


def matrix_inverse(a: Any) -> Variable:
    """Return the inverses of square matrices, as ``numpy.linalg.inv``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)
        Integers are computed as float64, float16 as float32.

    Raises
    ------
    RankError, ShapeError
        If it isn't a square matrix.
    LinAlgError
        If a matrix is singular, when the function runs.

    Examples
    --------
    >>> matrix_inverse(np.eye(3)).type
    TensorType(float64, (3, 3))
    """
    return MatrixInverse()(inexact(a, "matrix_inverse"))


def det(a: Any) -> Variable:
    """Return the determinants of square matrices (..., n, n).

    The gradient is ``det(a) inv(a).T``: of a singular matrix it is an error.

    >>> det(np.ones((5, 3, 3))).type
    TensorType(float64, (5,))
    """
    return Det()(inexact(a, "det"))


def slogdet(a: Any) -> list[Variable]:
    """Return sign and logarithm of the modulus of determinants, as ``numpy.linalg.slogdet``: ``det = sign * exp(log)``.

    >>> [v.type.shape for v in slogdet(np.ones((5, 3, 3)))]
    [(5,), (5,)]
    """
    return SLogDet()(inexact(a, "slogdet"))


def matrix_power(m: Any, n: int) -> Variable:
    """Return a square matrix multiplied with itself `n` times, by repeated squaring; of the inverse if `n` is negative.

    Raises
    ------
    TypeError
        If `n` isn't an int.

    Examples
    --------
    >>> matrix_power(np.eye(3), 5).type.shape
    (3, 3)
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TypeError(f"matrix_power: the exponent must be an int, got {n!r}")
    x = as_tensor_variable(m)
    Square().infer_type(x.type) if x.ndim >= 2 else inexact(x, "matrix_power")
    if n < 0:
        x, n = matrix_inverse(x), -n
    if n == 0:
        return identity_of(x) + x * constant(0, dtype=x.dtype) if x.ndim > 2 else identity_of(x)
    out = None
    while True:
        if n & 1:
            out = x if out is None else matmul(out, x)
        n >>= 1
        if not n:
            return out  # type: ignore[return-value]
        x = matmul(x, x)


def matrix_dot(*args: Any) -> Variable:
    """Return the product of matrices, from left to right.

    >>> matrix_dot(np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 1))).type.shape
    (2, 1)
    """
    if not args:
        raise ValueError("matrix_dot: expected at least one matrix")
    out = as_tensor_variable(args[0])
    for a in args[1:]:
        out = dot(out, a)
    return out


def _product(extents: Sequence[Any]) -> Any:
    """Return the product of extents, known where they are."""
    if all(isinstance(e, Constant) for e in extents):
        return math.prod(int(e.data) for e in extents)
    n: Any = constant(1, dtype="int64")
    for e in extents:
        n = n * e
    return n


def tensorinv(a: Any, ind: int = 2) -> Variable:
    """Return the inverse for products over the first `ind` axes, as ``numpy.linalg.tensorinv``.

    Parameters
    ----------
    a : array_like
        The product of the first `ind` extents is that of the others.
    ind : int
        Positive.

    Examples
    --------
    >>> tensorinv(np.ones((4, 6, 8, 3)), ind=2).type.shape
    (8, 3, 4, 6)
    """
    if not isinstance(ind, (int, np.integer)) or ind <= 0:
        raise ValueError(f"tensorinv: ind must be a positive int, got {ind!r}")
    x = inexact(a, "tensorinv", ind + 1)
    size = extents(x)
    flat = reshape(x, [_product(size[:ind]), _product(size[ind:])], ndim=2)
    return reshape(matrix_inverse(flat), [*size[ind:], *size[:ind]], ndim=x.ndim)


def kron(a: Any, b: Any) -> Variable:
    """Return the Kronecker product, as ``numpy.kron``: blocks of `b`, multiplied with the elements of `a`.

    Parameters
    ----------
    a, b : array_like
        Of any rank; axes of extent 1 are put in front of the one with fewer.

    Examples
    --------
    >>> kron(np.ones((2, 3)), np.ones((4, 5))).type.shape
    (8, 15)
    """
    a, b = as_tensor_variable(a), as_tensor_variable(b)
    nd = max(a.ndim, b.ndim)
    a, b = (dimshuffle(v, *("x",) * (nd - v.ndim), *range(v.ndim)) for v in (a, b))
    left = dimshuffle(a, *(x for k in range(nd) for x in (k, "x")))
    right = dimshuffle(b, *(x for k in range(nd) for x in ("x", k)))
    return reshape(left * right, [_product(pair) for pair in zip(extents(a), extents(b), strict=True)], ndim=nd)


def trace(x: Any) -> Variable:
    """Return the sums of the diagonals of matrices (..., n, m).

    >>> trace(np.ones((5, 3, 3))).type.shape
    (5,)
    """
    x = as_tensor_variable(x)
    if x.ndim < 2:
        raise errors.RankError(errors.message("trace", "expected a matrix", (describe(x),), caller()))
    return Diagonal(0)(x).sum(axis=-1)
