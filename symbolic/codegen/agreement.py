"""Whether compiled and interpreted values are the same, for ``mode="CHECK"``."""
from __future__ import annotations

import numpy as np

#: How far values may differ: relative, and absolute beside the largest value.
CHECK_TOLERANCE = {"float16": 4e-3, "float32": 2e-5, "complex64": 2e-5, "float64": 1e-10, "complex128": 1e-10}


def agree(got: np.ndarray, want: np.ndarray) -> bool:
    """Whether `got` is what `want` says, within the rounding of its dtype."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    rtol = CHECK_TOLERANCE.get(want.dtype.name)
    if rtol is None:
        return bool(np.array_equal(got, want))
    finite = np.abs(want[np.isfinite(want)])
    return bool(np.allclose(got, want, rtol=rtol, atol=rtol * float(finite.max(initial=0.0)), equal_nan=True))


def distance(got: np.ndarray, want: np.ndarray) -> str:
    """Return how far apart two arrays are, in words."""
    if got.shape != want.shape:
        return f"shape, {got.shape} and {want.shape}"
    with np.errstate(all="ignore"):
        apart = np.abs(np.asarray(got, complex) - np.asarray(want, complex))
    return "nan or inf" if not np.isfinite(apart).all() else f"up to {apart.max(initial=0.0):.3g}"
