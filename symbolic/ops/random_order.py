"""Random orders: permutations, shuffled rows, and the sorting network under them."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import alloc, arange
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import extents
from symbolic.ops.functions import and_, eq, gt, lt, right_shift, switch
from symbolic.ops.index import getitem
from symbolic.ops.random_draw import draw
from symbolic.ops.random_key import as_key
from symbolic.ops.random_shape import integer_dtype, require, sample_extents
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scan_views import loop
from symbolic.ops.scatter import set_subtensor
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.scalar import Expr, IndexLambda, axis, binary, const, dim, load
from symbolic.source import caller
from symbolic.types import TensorType

#: rows of up to 2**40 elements can be sorted
_LONGEST = 40


class Exchange(Op):
    """Rows in which element i is the one at ``i ^ distance``; a row's length is a power of two."""

    is_index_map = True

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) if n is None else const(n, "int64") for a, n in enumerate(types[0].shape)),)

    def compute(self, *types: TensorType) -> IndexLambda:
        row = const(0, "int64") if types[0].shape[0] == 1 else axis(0)
        return IndexLambda(load(0, (row, binary("xor", axis(1), load(1, (), "int64"))), types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None if gouts[0] is None else Exchange()(gouts[0], inputs[1]), None]


def _network(levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return block lengths and distances of the stages of a bitonic sorting network for 2**levels elements."""
    stages = [(2 << k, 1 << j) for k in range(levels) for j in reversed(range(k + 1))]
    return np.array([s for s, _ in stages], "int64"), np.array([d for _, d in stages], "int64")


def ordered(keys: Variable) -> Variable:
    """Return for each row of a matrix the positions of its elements from the smallest to the largest, int64.

    Parameters
    ----------
    keys : Variable, shape (m, n), uint64 or float64
        All different, but for the largest values: 2**64 - 1, inf.

    Notes
    -----
    A bitonic network: about log2(n)**2 / 2 passes over the data, each of them a vectorised loop.

    References
    ----------
    K. E. Batcher, "Sorting networks and their applications", 1968.
    """
    rows, n = extents(keys)
    last = constant(np.array(np.inf if keys.dtype == "float64" else 2**64 - 1, keys.dtype))
    if isinstance(n, Constant):
        levels = max(int(n.data) - 1, 0).bit_length()
        width: Variable = constant(1 << levels, dtype="int64")
        steps: Variable = constant(levels * (levels + 1) // 2, dtype="int64")
    else:
        powers = constant(1 << np.arange(_LONGEST, dtype="int64"))
        below = lt(powers, n)
        width = 1 + sum_of(switch(below, powers, 0))  # type: ignore[operator]
        levels_ = sum_of(cast_to(below, "int64"))
        steps = levels_ * (levels_ + 1) // 2  # type: ignore[operator]
    at = dimshuffle(arange(width), "x", 0)
    spread = [rows, width]
    padded = set_subtensor(getitem(alloc(last, *spread), (slice(None), slice(None, n))), keys)
    blocks, distances = _network(_LONGEST if not isinstance(n, Constant) else levels)

    def step(carry: tuple[Variable, Variable], stage: tuple[Variable, Variable]) -> tuple[tuple[Variable, Variable], None]:
        (mine, number), (block, distance) = carry, stage
        other, other_number = Exchange()(mine, distance), Exchange()(number, distance)
        rising = eq(and_(at, block), 0)
        first = eq(and_(at, distance), 0)
        swap = switch(eq(rising, first), lt(other, mine), gt(other, mine))
        return (switch(swap, other, mine), switch(swap, other_number, number)), None

    start = (padded, alloc(at, *spread))
    if isinstance(n, Constant) and not len(blocks):
        return getitem(start[1], (slice(None), slice(None, n)))
    (_, order), _ = loop(step, start, (constant(blocks), constant(distances)), length=steps, name="sort")
    return getitem(order, (slice(None), slice(None, n)))


def random_orders(key: Variable, rows: Variable, n: Variable) -> Variable:
    """Return a permutation of 0 to n - 1 in each row, int64."""
    # never the largest value, which is padding
    return ordered(right_shift(draw("bits", key, [rows, n], "uint64"), np.uint64(1)))


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


def product(sizes: Sequence[Variable]) -> Variable:
    """Return the number of elements."""
    total: Variable = constant(1, dtype="int64")
    if all(isinstance(s, Constant) for s in sizes):
        return constant(int(np.prod([int(s.data) for s in sizes], dtype="int64")), dtype="int64")  # type: ignore[attr-defined]
    for s in sizes:
        total = total * s  # type: ignore[operator]
    return total


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
