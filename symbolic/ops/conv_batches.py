"""Batches of convolutions: an axis more becomes images, channels, filters or groups more."""
from __future__ import annotations

from typing import Any

from symbolic.batching import Batch
from symbolic.graph import Constant, Variable
from symbolic.ops.extents import extents
from symbolic.ops.shape import dimshuffle, reshape


def known_extent(n: Any) -> Any:
    """Return an extent, as a number where it is a constant."""
    return int(n.data) if isinstance(n, Constant) else n


def one(v: Variable) -> Batch:
    """Return the only result of a node on a batch."""
    return [v], [True]


def sizes(v: Variable) -> list[Any]:
    """Return extents, as numbers where they are known."""
    return list(map(known_extent, extents(v)))


def merged(v: Variable, a: int, groups: int) -> Variable:
    """Return `v` with its first axis joined with axis `a`: within each of the `groups` that this has, groups outside."""
    order = [*range(1, a), 0, *range(a, v.ndim)]
    moved = v if order == list(range(v.ndim)) else dimshuffle(v, order)
    n = sizes(moved)
    if groups > 1:  # (..., many, groups * own, ...) -> (..., groups, many, own, ...)
        own = n[a] // groups
        wide = reshape(moved, [*n[:a], groups, own, *n[a + 1:]], ndim=v.ndim + 1)
        moved = dimshuffle(wide, [*range(a - 1), a, a - 1, *range(a + 1, v.ndim + 1)])
        return reshape(moved, [*n[:a - 1], n[a - 1] * n[a], *n[a + 1:]], ndim=v.ndim - 1)
    return reshape(moved, [*n[:a - 1], n[a - 1] * n[a], *n[a + 1:]], ndim=v.ndim - 1)


def split(v: Variable, a: int, many: Any) -> Variable:
    """Return `v` with axis `a` as (many, rest), in this order."""
    n = sizes(v)
    return reshape(v, [*n[:a], many, n[a] // many, *n[a + 1:]], ndim=v.ndim + 1)


def taken_out(v: Variable, a: int, many: Any, groups: int) -> Variable:
    """Return `v` without what :func:`merged` put into axis `a`: that is the first axis again."""
    n = sizes(v)
    own = n[a] // (many * groups)
    wide = reshape(v, [*n[:a], groups, many, own, *n[a + 1:]], ndim=v.ndim + 2)
    moved = dimshuffle(wide, [a + 1, *range(a + 1), *range(a + 2, v.ndim + 2)])
    return reshape(moved, [many, *n[:a], own * groups, *n[a + 1:]], ndim=v.ndim + 1)
