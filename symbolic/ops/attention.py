"""Attention: weighted means of values, the weights being a softmax of products of queries and keys."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.linalg import matmul
from symbolic.ops.nnet import softmax
from symbolic.ops.shape import dimshuffle, swapaxes
from symbolic.source import caller
from symbolic.types import is_complex, is_discrete, promote, to_float


def attention_weights(query: Any, key: Any, mask: Any = None, scale: Any = None, causal: bool = False) -> Variable:
    """Return how much each query attends to each key; arguments as for :func:`scaled_dot_product`.

    Returns
    -------
    Variable, shape (..., queries, keys)
        Each row adds up to 1, or is zero where nothing may be attended to.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> attention_weights(T.ftensor4("q"), T.ftensor4("k"), causal=True).type
    TensorType(float32, (?, ?, ?, ?))
    """
    op = "scaled_dot_product"
    q, k = as_tensor_variable(query), as_tensor_variable(key)
    for v, what in ((q, "queries"), (k, "keys")):
        if v.ndim < 2:
            raise errors.RankError(errors.message(op, f"{what} must be (..., positions, features), got {v.ndim} dimensions",
                                                  (describe(v),), caller()))
        if is_complex(v.dtype):
            raise errors.DTypeError(errors.message(op, f"expected real values, got {v.dtype}", (describe(v),), caller()))
    dtype = to_float(promote(q.dtype, k.dtype))
    q, k = cast_to(q, dtype), cast_to(k, dtype)
    if scale is None:
        d = q.type.shape[-1]
        scale = constant(np.asarray(1 / math.sqrt(max(d, 1)), dtype)) if d is not None else cast_to(
            f.inv(f.sqrt(cast_to(extents(q)[-1], "float64"))), dtype)
    logits = f.mul(matmul(q, swapaxes(k, -1, -2)), scale)
    allowed = None
    if mask is not None:
        given = as_tensor_variable(mask)
        if given.dtype == "bool":
            allowed = given
        elif is_discrete(given.dtype) or is_complex(given.dtype):
            raise errors.DTypeError(errors.message(op, "a mask is bool (True where a key may be attended to), or floats that are "
                                                   f"added, got {given.dtype}", (describe(given),), caller()))
        else:
            logits = f.add(logits, cast_to(given, logits.dtype))
            allowed = f.neq(given, -np.inf)
    if causal:
        m, n = extents(logits)[-2:]
        before = f.le(arange(n), dimshuffle(arange(m), 0, "x"))
        allowed = before if allowed is None else f.and_(allowed, before)
    if allowed is None:
        return softmax(logits)
    # a finite number, so that a row without any allowed key has no nan; then its zeros
    low = constant(np.asarray(np.finfo(logits.dtype).min / 2, logits.dtype))
    return f.switch(allowed, softmax(f.switch(allowed, logits, low)), f.cast_zero(logits))


def scaled_dot_product(query: Any, key: Any, value: Any, mask: Any = None, scale: Any = None, causal: bool = False) -> Variable:
    """Return for each query the mean of values, weighted by ``softmax(scale * query @ key.T)``.

    Parameters
    ----------
    query : Variable, shape (..., queries, features)
    key : Variable, shape (..., keys, features)
    value : Variable, shape (..., keys, features of values)
    mask : Variable, broadcasting to (..., queries, keys), optional
        Of bools: True where a key may be attended to. Of floats: added to the logits; -inf where a key may not.
    scale : float or Variable, optional
        By default 1/sqrt(features).
    causal : bool
        Query i may attend to keys 0 to i alone.

    Returns
    -------
    Variable, shape (..., queries, features of values)
        Zeros for a query that may attend to nothing. Scaling, masks and softmax are one pass over each row.

    Raises
    ------
    RankError, DTypeError
        If an operand has fewer than two dimensions, or is complex, or a mask is of integers.

    References
    ----------
    Vaswani et al., "Attention is all you need", 2017.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> q = T.ftensor3("q")
    >>> scaled_dot_product(q, q, q, causal=True).type
    TensorType(float32, (?, ?, ?))
    """
    v = as_tensor_variable(value)
    if v.ndim < 2:
        raise errors.RankError(errors.message("scaled_dot_product", "values must be (..., positions, features), got "
                                              f"{v.ndim} dimensions", (describe(v),), caller()))
    return matmul(attention_weights(query, key, mask, scale, causal), v)
