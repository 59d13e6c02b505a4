"""A GPU of NVIDIA's, through CuPy: one stream of our own, a pool of memory, pinned memory for copies, cuBLAS, graphs.

Importing this imports CuPy. Tests run every line of it against a stand-in for CuPy that the emulated device is behind, and
compare the names and signatures it uses with the real CuPy; what only a GPU can show is in ``symbolic.testing.gpu``.
"""
from __future__ import annotations

import ctypes
import importlib
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.codegen.cuda.nvrtc import INSTALL, cubin, version
from symbolic.codegen.cuda.protocol import Counts
from symbolic.errors import DeviceError, DeviceMemoryError

#: letters of cuBLAS's routines
_ROUTINES = {"float32": "sgemm", "float64": "dgemm", "complex64": "cgemm", "complex128": "zgemm"}
_OP_N, _OP_T = 0, 1


class CuPyDevice:
    """GPU number `index` of this machine.

    Raises
    ------
    DeviceError
        If CuPy, a driver, or that GPU isn't there: each says what to do.
    """

    def __init__(self, index: int = 0) -> None:
        self.cupy, self.runtime = _cupy()
        count = _gpus(self.runtime)
        if index >= count:
            raise DeviceError(f"device='cuda:{index}': this machine has {count} GPU{'s' if count != 1 else ''}, counted from 0\n"
                              f"hint: use 'cuda:{count - 1}' or less; CUDA_VISIBLE_DEVICES may hide some")
        self.name = "cuda" if index == 0 else f"cuda:{index}"
        self.index, self.counts = index, Counts()
        self.device = self.cupy.cuda.Device(index)
        self.device.use()
        self.stream = self.cupy.cuda.Stream(non_blocking=True)
        self.pool = self.cupy.cuda.MemoryPool()
        self.architecture = str(self.device.compute_capability)
        self.identity = f"{version()} sm_{self.architecture}"
        self._live: dict[int, Any] = {}
        self._pinned: list[Any] = []  # until the stream has read them
        self._blas: Any = None
        self._capturing = False
        self._recent: deque[str] = deque(maxlen=32)
        self._waits = os.environ.get("CUDA_LAUNCH_BLOCKING") == "1"

    # ----------------------------------------------------------------------------------------- memory

    def alloc(self, size: int) -> int:
        """Return memory of the pool's."""
        self.counts.allocations += 1
        with self.device, self.stream:
            try:
                block = self.pool.malloc(size)
            except self.cupy.cuda.memory.OutOfMemoryError:
                self.pool.free_all_blocks()
                try:
                    block = self.pool.malloc(size)
                except self.cupy.cuda.memory.OutOfMemoryError as error:
                    raise DeviceMemoryError(f"{self.name}: out of memory: {size} bytes asked for ({error})\nhint: smaller "
                                            "batches; f.free() gives back what functions keep for their next call") from None
        self._live[block.ptr] = block
        return block.ptr

    def free(self, pointer: int) -> None:
        """Give memory back to the pool, which gives it out again in the order of the stream."""
        if pointer not in self._live:
            raise DeviceError(f"{self.name}: {pointer:#x} is freed, which isn't allocated")
        del self._live[pointer]

    def copy_in(self, pointer: int, array: np.ndarray) -> None:
        """Copy an array to the GPU, by way of pinned memory."""
        self.counts.copies_in += 1
        self.counts.bytes_in += array.nbytes
        staged = self.cupy.cuda.alloc_pinned_memory(array.nbytes)
        ctypes.memmove(staged.ptr, array.ctypes.data, array.nbytes)
        self._guarded(self.runtime.memcpyAsync, pointer, staged.ptr, array.nbytes, self.runtime.memcpyHostToDevice,
                      self.stream.ptr)
        self._pinned.append(staged)

    def copy_out(self, pointer: int, array: np.ndarray) -> None:
        """Wait, and copy from the GPU."""
        self.counts.copies_out += 1
        self.counts.bytes_out += array.nbytes
        self._guarded(self.runtime.memcpyAsync, array.ctypes.data, pointer, array.nbytes, self.runtime.memcpyDeviceToHost,
                      self.stream.ptr)
        self.synchronize()

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy within the GPU."""
        self.counts.copies += 1
        self._guarded(self.runtime.memcpyAsync, target, source, size, self.runtime.memcpyDeviceToDevice, self.stream.ptr)

    def fill(self, pointer: int, byte: int, size: int) -> None:
        """Set bytes."""
        self._guarded(self.runtime.memsetAsync, pointer, byte, size, self.stream.ptr)

    # ---------------------------------------------------------------------------------------- kernels

    def load(self, source: str, kernels: Sequence[str]) -> dict[str, tuple[str, Any]]:
        """Compile kernels for this GPU, or find them in the cache."""
        path: Path = cubin(source, self.architecture, kernels)
        with self.device:
            module = self.cupy.RawModule(path=str(path))
            return {k: (k, module.get_function(k)) for k in kernels}

    def launch(self, kernel: tuple[str, Any], grid: tuple[int, int, int], block: tuple[int, int, int],
               args: Sequence[np.generic], what: str = "") -> None:
        """Run a kernel."""
        name, function = kernel
        self.counts.launches += 1
        self._recent.append(f"{name}: {what}")
        self._guarded(function, grid, block, tuple(args), stream=self.stream)
        if self._waits and not self._capturing:
            self.synchronize()

    def gemm(self, dtype: str, flip_a: bool, flip_b: bool, m: int, n: int, k: int, alpha: float, a: int, lda: int, b: int,
             ldb: int, beta: float, c: int, ldc: int) -> None:
        """Multiply by cuBLAS, in full precision: TF32 isn't used."""
        if max(m, n, k, lda, ldb, ldc) >= 2**31:
            raise DeviceError(f"{self.name}: a product of {m}×{k} and {k}×{n}: cuBLAS takes extents below 2**31\n"
                              "hint: split the matrix")
        blas, handle = self._cublas()
        self.counts.products += 1
        self._recent.append(f"a product {m}×{k}·{k}×{n} of {dtype}, by cuBLAS")
        scales = np.array([alpha, beta], dtype)  # read before the call returns; a captured graph keeps their values
        self._guarded(getattr(blas, _ROUTINES[dtype]), handle, _OP_T if flip_a else _OP_N, _OP_T if flip_b else _OP_N, m, n, k,
                      scales.ctypes.data, a, lda, b, ldb, scales.ctypes.data + scales.itemsize, c, ldc)

    def _cublas(self) -> tuple[Any, int]:
        if self._blas is None:
            try:
                blas = importlib.import_module("cupy_backends.cuda.libs.cublas")
            except ImportError as error:
                raise DeviceError(f"{self.name}: matrix products need cuBLAS, which can't be loaded: {error}\nhint: {INSTALL}"
                                  ) from None
            with self.device:
                handle = self.device.cublas_handle
            blas.setStream(handle, self.stream.ptr)
            blas.setMathMode(handle, 0)  # CUBLAS_DEFAULT_MATH: no TF32
            self._blas = blas, handle
        return self._blas

    # ------------------------------------------------------------------------------------------ queue

    def begin_capture(self) -> None:
        """Let the stream take note from here on."""
        self._cublas()  # its workspace is to be there before
        self.synchronize()
        self._capturing = True
        self.stream.begin_capture()

    def end_capture(self) -> Any:
        """Return what the stream took note of."""
        self._capturing = False
        return _Graph(self, self.stream.end_capture())

    def synchronize(self) -> None:
        """Wait for the stream."""
        self._guarded(self.stream.synchronize)
        self._pinned.clear()
        self._recent.clear()

    def _guarded(self, call: Any, *args: Any, **kwargs: Any) -> None:
        """Call CUDA; an error of an earlier kernel may come out here, so the latest ones are named."""
        try:
            with self.device:  # a thread has a current GPU of its own
                call(*args, **kwargs)
        except (self.runtime.CUDARuntimeError, self.cupy.cuda.driver.CUDADriverError) as error:
            shown = "\n".join(f"  {r}" for r in self._recent) or "  (none)"
            raise DeviceError(f"{self.name}: {error}; kernels since it was last waited for, one of which failed:\n{shown}\n"
                              "hint: with CUDA_LAUNCH_BLOCKING=1 it is the last one; after an illegal access the process must "
                              "be started again") from None

    # ----------------------------------------------------------------------------------------- arrays

    def view(self, pointer: int, shape: tuple[int, ...], dtype: str, owner: Any) -> Any:
        """Return CuPy's array over memory of ours; the user's stream waits for ours."""
        cuda = self.cupy.cuda
        size = int(np.prod(shape, dtype="int64")) * np.dtype(dtype).itemsize
        memory = cuda.UnownedMemory(pointer, max(1, size), owner, self.index)
        cuda.get_current_stream().wait_event(self.stream.record())
        return self.cupy.ndarray(shape, dtype, cuda.MemoryPointer(memory, 0))

    def pointer_of(self, value: Any) -> int | None:
        """Return where an array of CuPy's lies; our stream waits for the user's."""
        if not isinstance(value, self.cupy.ndarray) or not value.flags.c_contiguous or value.device.id != self.index:
            return None
        self.stream.wait_event(self.cupy.cuda.get_current_stream().record())
        return value.data.ptr

    def from_dlpack(self, value: Any) -> Any:
        """Return another library's array of a GPU as CuPy's, without copying where it is contiguous; else NumPy's."""
        if isinstance(value, self.cupy.ndarray):
            return self.cupy.ascontiguousarray(value)
        kind = value.__dlpack_device__()[0]
        return self.cupy.ascontiguousarray(self.cupy.from_dlpack(value)) if kind == 2 else np.from_dlpack(value)


class _Graph:
    """What a stream took note of."""

    def __init__(self, device: CuPyDevice, graph: Any) -> None:
        self.device, self.graph = device, graph

    def launch(self) -> None:
        """Do all of it again."""
        self.device.counts.graphs += 1
        self.device._guarded(self.graph.launch, self.device.stream)


def _cupy() -> tuple[Any, Any]:
    try:
        return importlib.import_module("cupy"), importlib.import_module("cupy.cuda.runtime")
    except ImportError as error:
        raise DeviceError("device='cuda' needs CuPy: " + str(error) + "\nhint: pip install 'symbolic-graph[cuda13]', which is "
                          "cupy-cuda13x[ctk]; without a GPU, device='cuda:emulated' runs the same kernels slowly") from None


def _gpus(runtime: Any) -> int:
    try:
        return runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        found = f"the driver is for CUDA {driver // 1000}.{driver % 1000 // 10}" if driver else "there is no driver"
        raise DeviceError(f"device='cuda': no GPU can be used: {error}; {found}, and this CuPy is for CUDA {needed // 1000}."
                          f"{needed % 1000 // 10}\nhint: install NVIDIA's driver, or a CuPy for the one there is (cupy-cuda12x); "
                          "device='cuda:emulated' runs the same kernels on the CPU") from None
