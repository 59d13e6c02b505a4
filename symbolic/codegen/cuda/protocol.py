"""What a device can do: all that compiled programs, shared variables and transfers know of one.

Pointers are ints. Everything is done in the order it was asked for, and nothing but `copy_out` and `synchronize` waits.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from symbolic.errors import DeviceError

#: dtypes that a device multiplies matrices of
PRODUCTS = ("float32", "float64", "complex64", "complex128")


@dataclass
class Counts:
    """What a device was asked for.

    Attributes
    ----------
    launches, products, graphs : int
        Kernels; matrix products by a library; replays of captured graphs, whose kernels count as launches too.
    copies_in, copies_out : int
        From the host's memory, and to it.
    bytes_in, bytes_out : int
    copies : int
        Within the device.
    allocations : int
    host_steps : int
        Steps of programs that the host computed.
    """

    launches: int = 0
    products: int = 0
    graphs: int = 0
    copies_in: int = 0
    copies_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    copies: int = 0
    allocations: int = 0
    host_steps: int = 0

    def since(self, before: Counts) -> Counts:
        """Return what was added to `before`.

        Examples
        --------
        >>> Counts(launches=5, copies_in=2).since(Counts(launches=3)).launches
        2
        """
        return Counts(*(getattr(self, f.name) - getattr(before, f.name) for f in fields(self)))

    def now(self) -> Counts:
        """Return a copy."""
        return self.since(Counts())


class Captured(Protocol):
    """What was asked for between `begin_capture` and `end_capture`, to be done again at once."""

    def launch(self) -> None:
        """Do all of it."""


class Device(Protocol):
    """A device that runs CUDA's kernels.

    Attributes
    ----------
    name : str
        As ``config.device`` has it.
    counts : Counts
    identity : str
        What compiled kernels depend on: of the compiler, of the architecture.
    """

    name: str
    counts: Counts
    identity: str

    def alloc(self, size: int) -> int:
        """Return the address of `size` bytes, aligned to 16 at least; not while capturing.

        Raises
        ------
        DeviceMemoryError
            If there aren't as many.
        """

    def free(self, pointer: int) -> None:
        """Give memory back, once all that was asked for before is done; not while capturing."""

    def copy_in(self, pointer: int, array: np.ndarray) -> None:
        """Copy a C-contiguous array to the device; the array may change at once. Not while capturing."""

    def copy_out(self, pointer: int, array: np.ndarray) -> None:
        """Wait, and copy from the device into a C-contiguous array. Not while capturing."""

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy within the device."""

    def fill(self, pointer: int, byte: int, size: int) -> None:
        """Set each of `size` bytes."""

    def load(self, source: str, kernels: Sequence[str]) -> dict[str, Any]:
        """Compile CUDA's C++ and return the kernels by name.

        Raises
        ------
        CompileError
        """

    def launch(self, kernel: Any, grid: tuple[int, int, int], block: tuple[int, int, int], args: Sequence[np.generic],
               what: str = "") -> None:
        """Run a kernel; pointers are uint64 among `args`. `what` says for people what it computes."""

    def gemm(self, dtype: str, flip_a: bool, flip_b: bool, m: int, n: int, k: int, alpha: float, a: int, lda: int, b: int,
             ldb: int, beta: float, c: int, ldc: int) -> None:
        """Write `alpha` times the product of column-major matrices, m×k and k×n once transposed as the flags say, to `c`.

        `beta` times what is at `c` is added; with 0 it isn't read. Leading dimensions are as cuBLAS wants them.
        """

    def begin_capture(self) -> None:
        """Take note of what is asked for from here on, and do nothing of it."""

    def end_capture(self) -> Captured:
        """Return what was taken note of."""

    def synchronize(self) -> None:
        """Wait until all is done.

        Raises
        ------
        DeviceError
            If a kernel failed.
        """

    def view(self, pointer: int, shape: tuple[int, ...], dtype: str, owner: Any) -> Any:
        """Return the user's array over memory that `owner` keeps alive: CuPy's, or one like it."""

    def pointer_of(self, value: Any) -> int | None:
        """Return where an array of this device lies, C-contiguous; None for anything else."""


def parse(name: str) -> tuple[str, int]:
    """Return the kind of a device, ``cpu``, ``cuda`` or ``emulated``, and its number.

    Raises
    ------
    DeviceError
        If there is no such name.

    Examples
    --------
    >>> parse("cuda:1"), parse("cuda"), parse("cuda:emulated"), parse("cpu")
    (('cuda', 1), ('cuda', 0), ('emulated', 0), ('cpu', 0))
    """
    match = re.fullmatch(r"cpu|(?:cuda|gpu):?(\d*)|cuda:emulated", name) if isinstance(name, str) else None
    if match is None:
        raise DeviceError(f"there is no device {name!r}\nhint: devices are 'cpu', 'cuda', 'cuda:1' (the second GPU) and "
                          "'cuda:emulated' (kernels run on the CPU, for tests)")
    if match[0] == "cpu":
        return "cpu", 0
    return ("emulated", 0) if match[0] == "cuda:emulated" else ("cuda", int(match[1] or 0))
