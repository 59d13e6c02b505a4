"""The exponential of a matrix."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic.graph import Variable, constant
from symbolic.ops import functions as f
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.linalg import matmul
from symbolic.ops.matrix import Square, adjoint, identity_of, inexact
from symbolic.ops.reduce import max as max_of
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scan_views import loop
from symbolic.ops.shape import flatten
from symbolic.ops.solve import Solve
from symbolic.types import real_of

#: coefficients of the Padé approximation of order 13, and the norm up to which it is exact in float64
_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)
_NORM = 5.371920351148152


class Expm(Square):
    """The exponential, by scaling, a Padé approximation, and squaring.

    Notes
    -----
    N. Higham, "The scaling and squaring method for the matrix exponential revisited", 2005, always with order 13; all
    matrices of a batch are scaled as the largest one needs. The derivative along E is the upper right block of the
    exponential of [[A, E], [0, A]]: I. Najfeld and T. Havel, "Derivatives of the matrix exponential and their
    computation", 1995. So those of any order are exponentials too.
    """

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        a, = inputs
        size = flatten(sum_of(f.abs_(a), axis=-2))
        zero = constant(np.zeros(1, real_of(a.dtype)))
        norm = max_of(concatenate([size, zero]))
        finite = f.switch(f.isnan_(norm) | f.isinf(norm), constant(np.asarray(0, norm.dtype)), norm)  # type: ignore[operator]
        least = constant(np.asarray(1, norm.dtype))
        times = cast_to(f.ceil(f.log2(f.maximum(finite / constant(np.asarray(_NORM, norm.dtype)), least))), "int64")
        x = a / cast_to(f.exp2(cast_to(times, norm.dtype)), a.dtype)  # type: ignore[operator]
        c = [constant(np.asarray(float(b), a.dtype)) for b in _PADE]
        one = identity_of(a)
        x2 = matmul(x, x)
        x4 = matmul(x2, x2)
        x6 = matmul(x4, x2)
        odd = matmul(x, matmul(x6, c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2 + c[1] * one)
        even = matmul(x6, c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2 + c[0] * one
        start = Solve()(even - odd, even + odd)
        return [loop(lambda y, _: (matmul(y, y), None), start, length=times)[0]]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None if gouts[0] is None else along(adjoint(inputs[0]), gouts[0])]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return [None if tangents[0] is None else along(inputs[0], tangents[0])]


def along(a: Variable, e: Variable) -> Variable:
    """Return the derivative of the exponential of `a` along `e`."""
    n, last = extents(a)[-1], a.ndim - 1
    none = e * constant(np.asarray(0, e.dtype))  # type: ignore[operator]
    whole = concatenate([concatenate([a, e], axis=last), concatenate([none, a], axis=last)], axis=last - 1)
    return getitem(Expm()(whole), (..., slice(None, n), slice(n, None)))


def expm(a: Any) -> Variable:
    """Return the exponentials of square matrices, as ``scipy.linalg.expm``.

    Parameters
    ----------
    a : array_like, shape (..., n, n)

    Returns
    -------
    Variable
        Of the shape of `a`.

    Examples
    --------
    >>> expm(np.zeros((3, 3))).type.shape
    (3, 3)
    """
    return Expm()(inexact(a, "expm"))
