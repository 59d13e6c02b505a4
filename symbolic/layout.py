"""Where elements lie: their position in C order, and which element takes which part of a block that several share.

An op that needs an expensive block for a few elements (four random words, two normals) lets element e of n share the
block of elements that lie n // parts apart: part q of block b serves element ``q * (n // parts) + b``. Written over the
position this costs some comparisons; a loop over b that writes all parts (`codegen.lanes`) computes each block once, and
both are the same numbers. The n % parts elements that are left over have blocks of their own, part 0.
"""
from __future__ import annotations

from collections.abc import Sequence

from symbolic.scalar import Expr, binary, cast, const, select


def position(indices: Sequence[Expr], extents: Sequence[Expr]) -> Expr:
    """Return the position in C order of the element at `indices`."""
    flat: Expr = const(0, "int64")
    for i, n in zip(indices, extents, strict=True):
        flat = flat * n + i
    return flat


def total(extents: Sequence[Expr]) -> Expr:
    """Return the number of elements."""
    size: Expr = const(1, "int64")
    for n in extents:
        size = size * n
    return size


def share(at: Expr, size: Expr, parts: int) -> tuple[Expr, Expr]:
    """Return (block, part) for the element at position `at` of `size` elements."""
    m = binary("floordiv", size, const(parts, "int64"))
    part: Expr = const(0, "int64")
    for k in range(1, parts):
        part = part + cast(const(k, "int64") * m <= at, "int64")
    rest = const(parts, "int64") * m <= at
    block = select(rest, at - const(parts - 1, "int64") * m, at - part * m)
    return block, select(rest, const(0, "int64"), part)
