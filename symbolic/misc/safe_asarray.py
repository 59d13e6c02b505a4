"""Theano's ``theano.misc.safe_asarray``."""
from __future__ import annotations

from typing import Any

import numpy as np

from symbolic.types import dtype_name


def _asarray(a: Any, dtype: Any, order: Any = None) -> np.ndarray:
    """Return `a` as an array of `dtype`, of which 'floatX' is the configured float.

    Examples
    --------
    >>> _asarray([1, 2], "floatX").dtype
    dtype('float64')
    """
    return np.asarray(a, dtype=dtype_name(dtype), order=order)
