"""Names of Theano's tensor modules that the namespace ``symbolic.tensor`` doesn't have."""
from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable
from symbolic.ops.extents import addbroadcast
from symbolic.ops.linalg import dot
from symbolic.source import caller
from symbolic.tensor.xlogx import xlogx, xlogy0  # noqa: F401  (Theano's place for them)


def hash_from_ndarray(data: np.ndarray) -> str:
    """Return a hash of an array: of its bytes, shape, strides and dtype.

    >>> hash_from_ndarray(np.zeros(2)) == hash_from_ndarray(np.zeros(2))
    True
    """
    data = np.ascontiguousarray(data)
    return hashlib.sha256(data.tobytes() + f"{data.shape}{data.dtype}".encode()).hexdigest()


def Rebroadcast(*axes: tuple[int, bool]) -> Any:
    """Return what declares axes to be of extent 1 (True), as Theano's class of this name does when called."""
    def apply(x: Variable) -> Variable:
        return addbroadcast(x, *(a for a, flag in axes if flag)) if any(flag for _, flag in axes) else x

    return apply


def gemm(z: Any, alpha: Any, x: Any, y: Any, beta: Any) -> Variable:
    """Return ``beta * z + alpha * dot(x, y)``; the compiler finds BLAS by itself."""
    return as_tensor_variable(beta) * as_tensor_variable(z) + as_tensor_variable(alpha) * dot(x, y)  # type: ignore[operator]


gemm_no_inplace = gemm


def scalar_from_tensor(x: Any) -> Variable:
    """Return `x`, which must be 0-d: scalars and 0-d tensors are one here.

    Raises
    ------
    RankError
        If it has axes.
    """
    v = as_tensor_variable(x)
    if v.ndim:
        raise errors.RankError(errors.message("scalar_from_tensor", f"needs a 0-d tensor, got {v.type}", (), caller()))
    return v


tensor_from_scalar = scalar_from_tensor
