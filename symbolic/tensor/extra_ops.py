"""Theano's ``theano.tensor.extra_ops``."""
from typing import Any

from symbolic.ops.cumulative import cummax, cummin, cumprod, cumsum, diff
from symbolic.ops.editing import unique
from symbolic.ops.extra import (
    bartlett,
    bincount,
    fill_diagonal,
    fill_diagonal_offset,
    ravel_multi_index,
    to_one_hot,
    unravel_index,
)
from symbolic.ops.join import repeat
from symbolic.ops.operators import copy as cpu_contiguous
from symbolic.ops.selection import compress, flatnonzero
from symbolic.ops.shape import squeeze
from symbolic.ops.sort import searchsorted


class Unique:
    """Theano's class: ``Unique(return_index, return_inverse, return_counts, axis)(x)`` is :func:`unique`."""

    def __init__(self, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
                 axis: Any = None) -> None:
        self.options = (return_index, return_inverse, return_counts, axis)

    def __call__(self, x: Any) -> Any:
        return unique(x, *self.options)


class CpuContiguous:
    """Theano's class: arrays are contiguous in any case, so ``CpuContiguous()(x)`` is a copy of `x`."""

    def __call__(self, x: Any) -> Any:
        return cpu_contiguous(x)


__all__ = ["CpuContiguous", "Unique", "bartlett", "bincount", "compress", "cpu_contiguous", "cummax", "cummin", "cumprod",
           "cumsum", "diff", "fill_diagonal", "fill_diagonal_offset", "flatnonzero", "ravel_multi_index", "repeat",
           "searchsorted", "squeeze", "to_one_hot", "unique", "unravel_index"]
