"""Convolutions with NumPy, for the interpreter: a product of matrices for each element of the filters."""
from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from symbolic.scalar import const
from symbolic.types import promote


def working(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return operands in the dtype that is computed in: float16 is for storage."""
    dtype = promote(*(a.dtype.name for a in arrays))
    return [a.astype("float32" if dtype == "float16" else dtype, copy=False) for a in arrays]


class Walk:
    """The products of a convolution, one element of the filters at a time: a product of matrices each."""

    def __init__(self, op: Any, image: Sequence[int], filter: Sequence[int]) -> None:
        n = op.convdim
        w = op.windows_of([const(e, "int64") for e in image[2:]], [const(e, "int64") for e in filter[-n:]])
        self.op, self.groups = op, op.num_groups
        self.filters, self.channels = filter[0] // op.num_groups, filter[-n - 1]
        self.extents, self.size = tuple(filter[-n:]), tuple(image[2:])
        self.outputs = tuple(w.output(a).arg for a in range(n))
        self.padding = [tuple(p.arg for p in w.padding(a)) for a in range(n)]

    def padded(self, x: np.ndarray) -> np.ndarray:
        """Return images with their padding, by group."""
        x = x.reshape(x.shape[0], self.groups, self.channels, *self.size)
        return np.pad(x, [(0, 0)] * 3 + self.padding)  # type: ignore[arg-type]

    def cropped(self, x: np.ndarray) -> np.ndarray:
        """Return images without their padding."""
        inner: tuple = (..., *(slice(lo, lo + n) for (lo, _), n in zip(self.padding, self.size, strict=True)))
        return x[inner]

    def taps(self) -> Any:
        """Yield, for each element of the filters, its index and the elements of padded images that it stands over."""
        op = self.op
        for tap in np.ndindex(self.extents):
            at = [(n - 1 - f if op.filter_flip else f) * d for n, f, d in zip(self.extents, tap, op.filter_dilation, strict=True)]
            yield tap, (..., *(slice(p, p + (o - 1) * s + 1, s) for p, o, s in zip(at, self.outputs, op.subsample, strict=True)))

    def image(self, padded: np.ndarray, view: Any) -> np.ndarray:
        """Return elements of images as (batch, groups, channels, positions)."""
        return padded[view].reshape(*padded.shape[:3], prod(self.outputs))

    def filter(self, w: np.ndarray, tap: Any) -> np.ndarray:
        """Return one element of all filters as (groups, filters, channels); with the position before the channels if unshared."""
        w = w[(..., *tap)]
        where = (prod(self.outputs),) if self.op.unshared else ()
        return w.reshape(self.groups, self.filters, *where, self.channels)

    def times(self, a: np.ndarray, b: np.ndarray, what: str) -> np.ndarray:
        """Return the products of two of images, filters and results, summed over what isn't in the third."""
        if self.op.unshared:
            return np.einsum({"filters": "gkpc,bgcp->bgkp", "channels": "gkpc,bgkp->bgcp", "weights": "bgkp,bgcp->gkpc"}[what],
                             a, b)
        if what == "filters":
            return np.matmul(a, b)
        if what == "channels":
            return np.matmul(a.swapaxes(1, 2), b)
        return np.matmul(a, b.swapaxes(2, 3)).sum(0, dtype=a.dtype)
