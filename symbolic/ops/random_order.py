"""Random orders: permutations and shuffled rows."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import extents
from symbolic.ops.index import getitem
from symbolic.ops.leading import Leading
from symbolic.ops.random_draw import draw
from symbolic.ops.random_key import as_key
from symbolic.ops.random_shape import integer_dtype, product, require, sample_extents
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.scalar import Expr, dim
from symbolic.source import caller
from symbolic.template import Template
from symbolic.types import TensorType


class Shuffled(Leading):
    """The integers from 0 to n - 1 along the last axis in the order that n random words of 64 bits put them in.

    Notes
    -----
    R. Fisher, F. Yates, 1938, in R. Durstenfeld's form (Algorithm 235, 1964), filling from the front: number i takes a
    place among the first i + 1, and what was there goes to the end. A word times i + 1, without its low 64 bits, is that
    place: chances differ by at most i / 2**64.
    """

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0].clone("int64"),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def template(self, *types: TensorType) -> Template:
        return Template("shuffled", (("ndim", types[0].ndim),))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        out = np.empty(arrays[0].shape, "int64")
        for k in np.ndindex(out.shape[:-1]):
            order: list[int] = []
            for i, word in enumerate(arrays[0][k].tolist()):
                place = word * (i + 1) >> 64
                order.append(order[place] if place < i else i)
                order[place] = i
            out[k] = order
        return (out,)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]
                 ) -> list[Variable | None]:
        return [None]


def random_orders(key: Variable, rows: Variable, n: Variable) -> Variable:
    """Return a permutation of 0 to n - 1 in each row, int64."""
    return Shuffled()(draw("bits", key, [rows, n], "uint64"))


def permutation(key: Any, size: Any = None, n: Any = 1, ndim: int | None = None, dtype: str = "int64") -> Variable:
    """Return permutations of the integers from 0 to n - 1.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    size : int, sequence or integer vector, optional
        How many; by default one.
    n : int or integer scalar Variable
    ndim : int, optional
        Number of axes of `size`.
    dtype : str

    Returns
    -------
    Variable, shape (*size, n)

    Examples
    --------
    >>> import symbolic
    >>> sorted(symbolic.function([], permutation(symbolic.random.key(1), n=5))().tolist())
    [0, 1, 2, 3, 4]
    """
    out = integer_dtype(dtype, "permutation")
    length = integer_operand(n, "permutation")
    length = require("permutation", "n can't be negative", lambda n: n >= 0, length)
    sizes = sample_extents(() if size is None else size, ndim, [], "permutation")
    rows = product(sizes)
    order = random_orders(as_key(key, "permutation"), rows, length)
    return cast_to(reshape(order, [*sizes, length], ndim=len(sizes) + 1), out)


def shuffle_row_elements(key: Any, input: Any) -> Variable:
    """Return the rows of a matrix, the elements of each in an order of its own; or a vector in a random order.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    input : Variable, shape (n,) or (m, n)

    Examples
    --------
    >>> import symbolic
    >>> sorted(symbolic.function([], shuffle_row_elements(symbolic.random.key(1), [5, 6, 7]))().tolist())
    [5, 6, 7]
    """
    x = as_tensor_variable(input)
    if x.ndim not in (1, 2):
        raise errors.RankError(errors.message("shuffle_row_elements", "expected a vector or a matrix", (describe(x),), caller()))
    table = dimshuffle(x, "x", 0) if x.ndim == 1 else x
    rows, n = extents(table)
    order = random_orders(as_key(key, "shuffle_row_elements"), rows, n)
    out = getitem(table, (dimshuffle(arange(rows), 0, "x"), order))
    return getitem(out, 0) if x.ndim == 1 else out


def shuffle(key: Any, x: Any) -> Variable:
    """Return `x` with what lies along its first axis in a random order.

    >>> import symbolic
    >>> shuffle(symbolic.random.key(1), [[1, 2], [3, 4]]).type
    TensorType(int8, (2, 2))
    """
    v = as_tensor_variable(x)
    if not v.ndim:
        raise errors.RankError(errors.message("shuffle", "a scalar has no order", (describe(v),), caller()))
    order = random_orders(as_key(key, "shuffle"), constant(1, dtype="int64"), extents(v)[0])
    return getitem(v, getitem(order, 0))
