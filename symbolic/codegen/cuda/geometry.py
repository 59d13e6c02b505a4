"""Kernels as a program launches them, and the grids for sizes, which are known only then."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbolic.scalar import Expr

#: threads of a block
BLOCK = 256
#: blocks of a grid-stride loop at most: enough for any GPU
MOST_BLOCKS = 4096
#: blocks that a reduction is spread over, if it has as much to do
PARTS_FOR = 512
#: elements that a thread reduces at least before a second kernel pays
WORTH_A_PART = 16
#: buffers that aren't Defs: whether a check failed, the last writers of a scatter, where a check tells its element
STOPPED, OWNER, SLOT = -1, -2, -3


@dataclass(frozen=True)
class CudaKernel:
    """A kernel and what its arguments stand for.

    Attributes
    ----------
    family : str
    text : str
        Its name is KERNEL there.
    buffers : tuple of int
        Defs whose memory it gets, or one of STOPPED, OWNER, SLOT.
    params : tuple of Expr
        Host values it gets, after the buffers.
    sizes : tuple of Expr
        What its grid depends on: elements; rows and their length; results and what is reduced for each.
    accumulators : tuple of str
        dtypes of the parts of reductions.
    columns : bool
        Whether neighbouring threads have neighbouring results, not neighbouring elements.
    join : CudaKernel or None
        The second kernel of a reduction in parts.
    """

    family: str
    text: str
    buffers: tuple[int, ...]
    params: tuple[Expr, ...]
    sizes: tuple[Expr, ...]
    accumulators: tuple[str, ...] = ()
    columns: bool = False
    join: CudaKernel | None = None


def grid_of(kernel: CudaKernel, sizes: Sequence[int]) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    """Return grid and block for sizes, None if there is nothing to do.

    They depend on sizes alone, not on the GPU: so do the results.

    >>> grid_of(CudaKernel("map", "", (), (), ()), [1000])
    ((4, 1, 1), (256, 1, 1))
    """
    if sizes[0] == 0:
        return None
    if kernel.family == "map":
        return (min(-(-sizes[0] // BLOCK), MOST_BLOCKS), 1, 1), (BLOCK, 1, 1)
    if kernel.family == "parts":
        return (-(-sizes[0] // 8), 1, 1), (32, 8, 1)
    rows, length = sizes
    if kernel.family == "rows":
        threads = _threads(length)
        per_block = BLOCK // 32 if threads == 32 else 1
        return (min(-(-rows // per_block), MOST_BLOCKS), 1, 1), (threads, per_block, 1)
    if kernel.columns:
        width = 1
        while width < min(rows, 32):
            width *= 2
        blocks = -(-rows // width)
        return (blocks, _parts(blocks, length // (BLOCK // width)), 1), (width, BLOCK // width, 1)
    threads = _threads(length)
    per_block = BLOCK // 32 if threads == 32 else 1
    blocks = -(-rows // per_block)
    return (blocks, _parts(blocks, length // threads), 1), (threads, per_block, 1)


def _threads(length: int) -> int:
    """Return how many threads a row gets: a warp, or a block."""
    return 32 if length <= 256 else BLOCK


def _parts(blocks: int, each: int) -> int:
    """Return in how many parts a reduction is done, if each of its threads has `each` elements."""
    return max(1, min(PARTS_FOR // blocks, each // WORTH_A_PART, 256))
