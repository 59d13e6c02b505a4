"""Choices among categories: categorical, multinomial, with and without replacement."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import alloc, arange
from symbolic.ops.cumulative import cumsum
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import extents
from symbolic.ops.functions import clip, eq, floor, gt, log, minimum, neg, switch
from symbolic.ops.index import getitem
from symbolic.ops.random_counts import binomial_counts
from symbolic.ops.random_discrete import integers
from symbolic.ops.random_draw import draw
from symbolic.ops.random_key import as_key, fold_in
from symbolic.ops.random_order import random_orders
from symbolic.ops.random_shape import fitted, integer_dtype, parameter, product, require, sample_extents
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scan_views import loop
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.ops.sort import argsort
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, const, dim, load, select
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete


class Search(Op):
    """How many entries of a rising row (the last axis of the first operand) aren't above a value, int64; by halving."""

    name = "search_sorted"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        rows, x = types
        if rows.ndim < 1 or rows.ndim - 1 > x.ndim:
            raise errors.RankError(f"rows {rows} don't fit values {x}")
        return (x.clone(dtype="int64"),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(1, a) if n is None else const(n, "int64") for a, n in enumerate(types[1].shape)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        rows, x = types
        first, out = x.ndim - rows.ndim + 1, []
        for a, n in enumerate(rows.shape[:-1]):
            if n != 1 and (n is None or x.shape[first + a] is None):
                m, k = dim(1, first + a), dim(0, a)
                out.append(Check(binary("eq", m, k), f"{{0}} values on axis {first + a}, but {{1}} rows", detail=(m, k),
                                 broadcast=((1, first + a), (0, a))))
        return tuple(out)

    def compute(self, *types: TensorType) -> IndexLambda:
        rows, x = types
        first = x.ndim - rows.ndim + 1
        row = [const(0, "int64") if n == 1 else axis(first + a) for a, n in enumerate(rows.shape[:-1])]
        value = load(1, [const(0, "int64") if n == 1 else axis(a) for a, n in enumerate(x.shape)], x.dtype)
        known = rows.shape[-1]
        length: Expr = dim(0, rows.ndim - 1) if known is None else const(known, "int64")
        found: Expr = const(0, "int64")
        for k in reversed(range(40 if known is None else known.bit_length())):
            end = found + const(1 << k, "int64")
            inside = end <= length
            entry = load(0, [*row, select(inside, end - 1, const(0, "int64"))], rows.dtype)
            found = select(inside & (entry <= value), end, found)
        return IndexLambda(found)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, None]

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        return [[False], [False]]


def weights(p: Any, op: str) -> Variable:
    """Return chances as float64.

    Raises
    ------
    ParameterError
        If one is negative, or none is positive.
    RankError
        If `p` is a scalar.
    """
    v = parameter(p, "float64", op, "p")
    if not v.ndim:
        raise errors.RankError(errors.message(op, "chances are a vector, or rows of them", (describe(v),), caller()))
    if v.type.shape[-1] == 0:
        raise errors.ParameterError(errors.message(op, "there is nothing to choose from", (describe(v),), caller()))
    return require(op, "chances must be 0 or more, and of a positive, finite sum", lambda p: (p >= 0) & (p < np.inf) & (
        p.sum(axis=-1, keepdims=True) > 0), v)


def categorical(key: Any, p: Any, size: Any = None, ndim: int | None = None, dtype: str = "int64") -> Variable:
    """Return the number of a category, chosen with given chances.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    p : array_like, shape (..., k)
        Chances, or anything proportional to them.
    size : int, sequence or integer vector, optional
        By default the shape of `p` without its last axis, which otherwise broadcasts to it.
    ndim : int, optional
    dtype : str

    Raises
    ------
    ParameterError
        If a chance is negative, or all are 0.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], categorical(symbolic.random.key(1), [0.0, 1.0], (3,)))()
    array([1, 1, 1])
    """
    out = integer_dtype(dtype, "categorical")
    chances = weights(p, "categorical")
    lead = extents(chances)[:-1]
    sizes = lead if size is None and ndim in (None, len(lead)) else sample_extents(size, ndim, [], "categorical")
    k = as_key(key, "categorical")
    sums = cumsum(chances, axis=-1)
    total = getitem(sums, (..., -1))
    if len(lead) > len(sizes):
        raise errors.RankError(errors.message("categorical", f"p has {len(lead)} axes of chances, the sample {len(sizes)}",
                                              (describe(chances),), caller()))
    total = fitted(total, sizes, "categorical", "p")
    # below the sum of all, so that a category without a chance at the end is never taken
    x = minimum(draw("uniform", k, sizes, "float64") * total, total * (1 - 2.0**-52))  # type: ignore[operator]
    return cast_to(minimum(Search()(sums, x), extents(sums)[-1] - 1), out)  # type: ignore[operator]


def multinomial(key: Any, size: Any = None, n: Any = 1, pvals: Any = (0.5, 0.5), ndim: int | None = None, dtype: str = "int64"
                ) -> Variable:
    """Return how often each category comes up in `n` trials.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    size : int, sequence or integer vector, optional
        The shape without the last axis; by default what `n` and `pvals` broadcast to.
    n : array_like of integers
    pvals : array_like, shape (..., k)
        Chances, or anything proportional to them.
    ndim : int, optional
        Number of axes of `size`.
    dtype : str

    Returns
    -------
    Variable, shape (*size, k)

    Notes
    -----
    One trial is a search among the sums of `pvals`; more are binomial counts, category after category.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], multinomial(symbolic.random.key(1), (3,), 10, [0.2, 0.8]))().sum(axis=1)
    array([10, 10, 10])
    """
    out = integer_dtype(dtype, "multinomial")
    chances = weights(pvals, "multinomial")
    trials = parameter(n, "float64", "multinomial", "n")
    lead = getitem(chances, (..., 0))
    sizes = sample_extents(size, ndim, [lead, trials], "multinomial")
    k, width = as_key(key, "multinomial"), extents(chances)[-1]
    if isinstance(trials, Constant) and (trials.data == 1).all():
        which = categorical(k, chances, sizes)
        return cast_to(eq(dimshuffle(which, *range(which.ndim), "x"), arange(width)), out)
    trials = floor(require("multinomial", "n must be from 0 to 1e15", lambda x: (x >= 0) & (x <= 1e15), trials))
    each = alloc(fitted_rows(chances, sizes), *sizes, width)
    front = dimshuffle(each, len(sizes), *range(len(sizes)))
    start = {"left": alloc(fitted(trials, sizes, "multinomial", "n"), *sizes), "rest": sum_of(each, axis=-1),
             "at": constant(np.int64(0))}

    def step(carry: dict[str, Variable], p: Variable) -> tuple[dict[str, Variable], Variable]:
        left, rest = carry["left"], carry["rest"]
        share = clip(switch(gt(rest, 0), p / rest, 1.0), 0.0, 1.0)
        last = eq(carry["at"], width - 1)  # type: ignore[operator]
        count = binomial_counts(fold_in(k, carry["at"]), sizes, left, switch(last, 1.0, share))
        return {"left": left - count, "rest": rest - p, "at": carry["at"] + 1}, count  # type: ignore[operator]

    _, counts = loop(step, start, front, name="multinomial")
    return cast_to(cast_to(dimshuffle(counts, *range(1, len(sizes) + 1), 0), "int64"), out)


def fitted_rows(p: Variable, sizes: Sequence[Variable]) -> Variable:
    """Return rows of chances that broadcast to a sample of extents `sizes`."""
    return fitted(p, [*sizes, extents(p)[-1]], "multinomial", "pvals")


def choice(key: Any, size: Any = None, a: Any = 2, replace: bool = True, p: Any = None, ndim: int | None = None,
           dtype: str = "int64") -> Variable:
    """Return a random sample of some elements.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    size : int, sequence or integer vector, optional
        By default one element, a scalar.
    a : int, integer scalar Variable, or array_like of one or more axes
        A number stands for the integers below it; of an array, elements along the first axis are taken.
    replace : bool
        Whether an element may be taken more than once.
    p : array_like, shape (n,), optional
        Chances, or anything proportional to them; by default all are equal.
    ndim : int, optional
    dtype : str
        Of the integers, where `a` is a number.

    Returns
    -------
    Variable, shape (*size, *a.shape[1:])

    Raises
    ------
    ParameterError
        If there is nothing to choose from, or without replacement more is wanted than there is.
    ShapeError
        If `p` has another length.

    References
    ----------
    P. S. Efraimidis, P. G. Spirakis, "Weighted random sampling with a reservoir", 2006 (chances without replacement).

    Examples
    --------
    >>> import symbolic
    >>> sorted(symbolic.function([], choice(symbolic.random.key(1), (3,), [5, 6, 7], replace=False))().tolist())
    [5, 6, 7]
    """
    integer_dtype(dtype, "choice")
    v = as_tensor_variable(a)
    if v.ndim == 0 and not is_discrete(v.dtype):
        raise errors.DTypeError(errors.message("choice", f"a is a number of elements or an array, got {describe(v)}", (),
                                               caller()))
    n = integer_operand(v, "choice") if v.ndim == 0 else extents(v)[0]
    sizes = sample_extents(() if size is None else size, ndim, [], "choice")
    k = as_key(key, "choice")
    if replace and p is None:
        at = integers(k, sizes, 0, n)
    elif replace:
        chances = _chances(p, n)
        at = categorical(k, chances, sizes)
    else:
        at = _without(k, sizes, n, None if p is None else _chances(p, n))
    return cast_to(at, dtype) if v.ndim == 0 else getitem(v, at)


def _chances(p: Any, n: Variable) -> Variable:
    chances = weights(p, "choice")
    if chances.ndim != 1:
        raise errors.RankError(errors.message("choice", "p must be a vector", (describe(chances),), caller()))
    have = extents(chances)[0]
    if isinstance(have, Constant) and isinstance(n, Constant) and have.data != n.data:
        raise errors.ShapeError(errors.message("choice", f"p has {have.data} chances for {n.data} elements", (describe(chances),),
                                               caller()))
    if isinstance(have, Constant) and isinstance(n, Constant):
        return chances
    return require("choice", "p must have one chance for each element", lambda p, have, n: (have <= n) & (have >= n),
                   chances, have, n)


def _without(key: Variable, sizes: list[Variable], n: Variable, chances: Variable | None) -> Variable:
    """Return different positions: the first of a random order."""
    count = product(sizes)
    if chances is None:
        order = random_orders(key, constant(1, dtype="int64"), n)
        possible = n
    else:
        u = draw("fraction", key, [constant(1, dtype="int64"), n], "float64")
        order = argsort(switch(gt(chances, 0.0), neg(log(u)) / chances, np.inf), axis=-1)
        possible = sum_of(cast_to(gt(chances, 0.0), "int64"))
    count = require("choice", "more elements are wanted than there are to choose from, without replacement",
                    lambda count, possible: count <= possible, count, possible)
    return reshape(getitem(order, (0, slice(None, count))), sizes, ndim=len(sizes))


def choice_of_rows(key: Any, n: Any, p: Any, dtype: str = "int64") -> Variable:
    """Return for each row of chances the numbers of `n` different categories, in the order in which they were chosen.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    n : int or integer scalar Variable
    p : array_like, shape (m, k)

    Returns
    -------
    Variable, shape (m, n)

    Raises
    ------
    ParameterError
        If a row has fewer than `n` categories of a positive chance.
    """
    chances = weights(p, "choice")
    if chances.ndim != 2:
        raise errors.RankError(errors.message("choice", "p must be a matrix", (describe(chances),), caller()))
    count = integer_operand(n, "choice")
    u = draw("fraction", as_key(key, "choice"), extents(chances), "float64")
    keys = switch(gt(chances, 0.0), neg(log(u)) / switch(gt(chances, 0.0), chances, 1.0), np.inf)
    possible = sum_of(cast_to(gt(chances, 0.0), "int64"), axis=1)
    keys = require("choice", "more categories are wanted than have a positive chance, without replacement",
                   lambda keys, possible, count: count <= possible, keys, possible, count)
    return cast_to(getitem(argsort(keys, axis=-1), (slice(None), slice(None, count))), integer_dtype(dtype, "choice"))
