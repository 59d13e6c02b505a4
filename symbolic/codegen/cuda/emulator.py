"""A device without a GPU: the very same CUDA text, compiled for the CPU, in memory whose borders are watched.

It is slow on purpose: work waits in a queue until somebody asks for a result, so a missing wait shows as wrong numbers;
new memory is full of nan; what a stream that is being captured forbids is an error here as well.
"""
from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic.codegen.cuda.emulated_build import Kernel, build, compiler_identity
from symbolic.codegen.cuda.protocol import PRODUCTS, Counts
from symbolic.errors import DeviceError, DeviceMemoryError

_PAGE = mmap.PAGESIZE
#: bytes before and behind an array that can't be touched
_GUARD = 16 * _PAGE
_NAN, _CANARY = 0xFF, 0xA5
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_FAILED = ctypes.c_void_p(-1).value


def _geometry(size: int) -> tuple[int, int]:
    """Return a size rounded up to what addresses are aligned to, and the bytes of whole pages for it."""
    rounded = max(16, -(-size // 16) * 16)
    return rounded, -(-rounded // _PAGE) * _PAGE


class EmuDevice:
    """The emulated device.

    Parameters
    ----------
    order : int
        In which order threads and blocks run: 0 ascending, 1 descending, more: shuffled.
    lazy : bool
        Whether work waits until a result is asked for.
    limit : int, optional
        Bytes that may be allocated at once.

    Examples
    --------
    >>> device, x = EmuDevice(), np.arange(4.0)
    >>> p = device.alloc(x.nbytes)
    >>> device.copy_in(p, x)
    >>> y = np.empty_like(x)
    >>> device.copy_out(p, y)
    >>> y.tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    name = "cuda:emulated"

    def __init__(self, order: int = 0, lazy: bool = True, limit: int | None = None) -> None:
        self.order, self.lazy, self.limit = order, lazy, limit
        self.counts = Counts()
        self.identity = compiler_identity()
        self.live: dict[int, int] = {}
        self._queue: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._captured: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        self._running = False

    # ----------------------------------------------------------------------------------------- memory

    def alloc(self, size: int) -> int:
        """Return memory that ends at a page which can't be read, full of nan."""
        self._not_while_capturing("memory is allocated")
        if self.limit is not None and sum(self.live.values()) + size > self.limit:
            raise DeviceMemoryError(f"{self.name}: out of memory: {size} bytes asked for, {sum(self.live.values())} of "
                                    f"{self.limit} in use")
        rounded, whole = _geometry(size)
        start = _libc.mmap(None, whole + 2 * _GUARD, mmap.PROT_READ | mmap.PROT_WRITE,
                           mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        if start in (None, _FAILED):
            raise DeviceMemoryError(f"{self.name}: out of memory: {size} bytes asked for")
        _libc.mprotect(start, _GUARD, 0)
        _libc.mprotect(start + _GUARD + whole, _GUARD, 0)
        pointer = start + _GUARD + whole - rounded
        ctypes.memset(pointer, _NAN, size)
        ctypes.memset(pointer + size, _CANARY, rounded - size)
        self.live[pointer] = size
        self.counts.allocations += 1
        return pointer

    def free(self, pointer: int) -> None:
        """Give memory back, and see whether a kernel wrote behind it."""
        self._not_while_capturing("memory is freed")
        if pointer not in self.live:
            raise DeviceError(f"{self.name}: {pointer:#x} is freed, which isn't allocated")
        self._drain()
        size = self.live.pop(pointer)
        rounded, whole = _geometry(size)
        behind = ctypes.string_at(pointer + size, rounded - size)
        _libc.munmap(pointer + rounded - whole - _GUARD, whole + 2 * _GUARD)
        if behind.strip(bytes([_CANARY])):
            raise DeviceError(f"{self.name}: a kernel wrote behind the end of an array of {size} bytes")

    def _inside(self, pointer: int, size: int, what: str) -> None:
        if size == 0 or any(p <= pointer and pointer + size <= p + n for p, n in self.live.items()):
            return
        raise DeviceError(f"{self.name}: {what} of {size} bytes at {pointer:#x} isn't inside of one array")

    def copy_in(self, pointer: int, array: np.ndarray) -> None:
        """Copy an array to the device."""
        self._not_while_capturing("the host's memory is copied")
        assert array.flags.c_contiguous
        self._inside(pointer, array.nbytes, "a copy to the device")
        self.counts.copies_in += 1
        self.counts.bytes_in += array.nbytes
        data = array.tobytes()
        self._do(ctypes.memmove, pointer, data, len(data))

    def copy_out(self, pointer: int, array: np.ndarray) -> None:
        """Wait, and copy from the device."""
        self._not_while_capturing("a result is waited for")
        assert array.flags.c_contiguous and array.flags.writeable
        self._inside(pointer, array.nbytes, "a copy from the device")
        self.counts.copies_out += 1
        self.counts.bytes_out += array.nbytes
        self._drain()
        ctypes.memmove(array.ctypes.data, pointer, array.nbytes)

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy within the device."""
        self._inside(target, size, "a copy")
        self._inside(source, size, "a copy")
        self.counts.copies += 1
        self._do(ctypes.memmove, target, source, size)

    def fill(self, pointer: int, byte: int, size: int) -> None:
        """Set bytes."""
        self._inside(pointer, size, "a fill")
        self._do(ctypes.memset, pointer, byte, size)

    # ------------------------------------------------------------------------------------------ queue

    def _not_while_capturing(self, what: str) -> None:
        if self._captured is not None:
            raise DeviceError(f"{self.name}: {what} while a graph is captured")

    def _do(self, call: Callable[..., Any], *args: Any) -> None:
        if self._captured is not None:
            self._captured.append((call, args))
            return
        self._queue.append((call, args))
        if not self.lazy:
            self._drain()

    def _drain(self) -> None:
        queue, self._queue = self._queue, []
        for call, args in queue:  # after a failure nothing more is done, as on a GPU
            call(*args)

    def synchronize(self) -> None:
        """Do all that waits."""
        self._not_while_capturing("the device is waited for")
        self._drain()

    def begin_capture(self) -> None:
        """Take note from here on."""
        self._not_while_capturing("a capture begins")
        self._drain()
        self._captured = []

    def end_capture(self) -> Any:
        """Return what was taken note of."""
        assert self._captured is not None
        noted, self._captured = self._captured, None
        return _Graph(self, noted)

    # ---------------------------------------------------------------------------------------- kernels

    def load(self, source: str, kernels: Sequence[str]) -> dict[str, Kernel]:
        """Compile kernels for the CPU, or find them in the cache."""
        return build(source, kernels)

    def launch(self, kernel: Kernel, grid: tuple[int, int, int], block: tuple[int, int, int], args: Sequence[np.generic],
               what: str = "") -> None:
        """Run a kernel."""
        self.counts.launches += 1
        self._do(self._run, kernel, grid, block, [np.asarray(a) for a in args], what)

    def _run(self, kernel: Kernel, grid: tuple[int, ...], block: tuple[int, ...], args: list[np.ndarray], what: str) -> None:
        error = kernel(grid, block, args, self.order)
        if error:
            raise DeviceError(f"{self.name}: {kernel.name}: {error}" + (f"\nwhile computing {what}" if what else ""))

    def gemm(self, dtype: str, flip_a: bool, flip_b: bool, m: int, n: int, k: int, alpha: float, a: int, lda: int, b: int,
             ldb: int, beta: float, c: int, ldc: int) -> None:
        """Multiply, with cuBLAS's checks of leading dimensions."""
        if (dtype not in PRODUCTS or min(m, n, k) < 0 or lda < max(1, k if flip_a else m) or ldb < max(1, n if flip_b else k)
                or ldc < max(1, m)):
            raise DeviceError(f"{self.name}: gemm of {dtype} {m}×{k}·{k}×{n}, leading dimensions {lda}, {ldb}, {ldc}: "
                              "CUBLAS_STATUS_INVALID_VALUE")
        self.counts.products += 1
        self._do(self._multiply, np.dtype(dtype), flip_a, flip_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)

    def _multiply(self, dtype: np.dtype, flip_a: bool, flip_b: bool, m: int, n: int, k: int, alpha: float, a: int, lda: int,
                  b: int, ldb: int, beta: float, c: int, ldc: int) -> None:
        x = self._matrix(dtype, a, k if flip_a else m, m if flip_a else k, lda)
        y = self._matrix(dtype, b, n if flip_b else k, k if flip_b else n, ldb)
        z = self._matrix(dtype, c, m, n, ldc)
        with np.errstate(all="ignore"):
            made = dtype.type(alpha) * ((x.T if flip_a else x) @ (y.T if flip_b else y))
            z[...] = made + dtype.type(beta) * z if beta else made

    def _matrix(self, dtype: np.dtype, pointer: int, rows: int, columns: int, leading: int) -> np.ndarray:
        if rows * columns == 0:
            return np.zeros((rows, columns), dtype)
        size = ((columns - 1) * leading + rows) * dtype.itemsize
        self._inside(pointer, size, "an operand of gemm")
        flat = _bytes(pointer, size).view(dtype)
        return np.lib.stride_tricks.as_strided(flat, (rows, columns), (dtype.itemsize, leading * dtype.itemsize))

    # ----------------------------------------------------------------------------------------- arrays

    def view(self, pointer: int, shape: tuple[int, ...], dtype: str, owner: Any) -> EmuArray:
        """Return an array over memory of the device."""
        return EmuArray(self, pointer, shape, dtype, owner)

    def pointer_of(self, value: Any) -> int | None:
        """Return where an array of this device lies."""
        return value.pointer if isinstance(value, EmuArray) and value.device is self else None


def _bytes(pointer: int, size: int) -> np.ndarray:
    """Return memory as an array of bytes."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * max(1, size)).from_address(pointer))[:size]


class _Graph:
    """What was captured."""

    def __init__(self, device: EmuDevice, noted: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
        self.device, self.noted = device, noted

    def launch(self) -> None:
        """Do all of it again."""
        self.device.counts.graphs += 1
        for call, args in self.noted:
            self.device._do(call, *args)


class EmuArray:
    """An array in the memory of the emulated device, as CuPy's arrays are in a GPU's: ``get`` copies it to the host.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    """

    def __init__(self, device: EmuDevice, pointer: int, shape: tuple[int, ...], dtype: str, owner: Any) -> None:
        self.device, self.pointer, self.shape, self.dtype, self.owner = device, pointer, shape, np.dtype(dtype), owner

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(np.prod(self.shape, dtype="int64")) * self.dtype.itemsize

    def get(self) -> np.ndarray:
        """Return a copy in the host's memory."""
        out = np.empty(self.shape, self.dtype)
        if out.size:
            self.device.copy_out(self.pointer, out)
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.get().astype(dtype, copy=False) if dtype is not None else self.get()

    def _shown(self) -> np.ndarray:
        """Return the memory itself, for DLPack: the emulated device's is the host's."""
        self.device.synchronize()
        return _bytes(self.pointer, self.nbytes).view(self.dtype).reshape(self.shape)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._shown().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __repr__(self) -> str:
        return f"EmuArray({self.get()!r})"
