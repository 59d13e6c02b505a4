"""A stand-in for the names of CuPy that `CuPyDevice` uses, with the emulated device behind them: no GPU, no CuPy.

It is strict where CuPy and CUDA are: streams are ours and non-blocking, pinned memory is read late and spoiled when it is
given back, arguments of kernels are NumPy scalars, cuBLAS reads its scalars through pointers.
"""
from __future__ import annotations

import ctypes
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from symbolic.codegen.cuda.emulator import EmuDevice
from symbolic.errors import DeviceError, DeviceMemoryError

STREAM = 77
HANDLE = 55


def modules(emu: EmuDevice, gpus: int = 1) -> dict[str, types.ModuleType]:
    """Return the modules by name, for ``sys.modules``."""

    class CUDARuntimeError(RuntimeError):
        pass

    class CUDADriverError(RuntimeError):
        pass

    class OutOfMemoryError(MemoryError):
        pass

    def failing(call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except DeviceError as error:
            raise CUDARuntimeError(f"cudaErrorIllegalAddress: {error}") from None

    def count() -> int:
        if gpus < 0:
            raise CUDARuntimeError("cudaErrorInsufficientDriver")
        return gpus

    def memcpy(target: int, source: int, size: int, kind: int, stream: int) -> None:
        assert type(target) is int and type(source) is int and stream == STREAM
        if kind != 2:
            emu._inside(target, size, "memcpy")
        if kind != 1:
            emu._inside(source, size, "memcpy")
        failing(emu._do, ctypes.memmove, target, source, size)  # late: memory that was given back early shows

    class Event:
        pass

    class Stream:
        ptr = STREAM

        def __init__(self, non_blocking: bool = False) -> None:
            assert non_blocking, "the legacy stream can't be captured"

        def __enter__(self) -> Stream:
            return self

        def __exit__(self, *args: Any) -> None:
            pass

        def synchronize(self) -> None:
            failing(emu.synchronize)

        def begin_capture(self, mode: int | None = None) -> None:
            emu.begin_capture()

        def end_capture(self) -> Any:
            graph = emu.end_capture()
            return types.SimpleNamespace(launch=lambda stream=None: failing(graph.launch))

        def record(self) -> Event:
            return Event()

        def wait_event(self, event: Event) -> None:
            assert isinstance(event, Event)

    class Block:
        def __init__(self, size: int) -> None:
            try:
                self.ptr = emu.alloc(size)
            except DeviceMemoryError as error:
                raise OutOfMemoryError(str(error)) from None

        def __del__(self) -> None:
            if hasattr(self, "ptr"):
                emu.free(self.ptr)

    class Pool:
        def malloc(self, size: int) -> Block:
            return Block(size)

        def free_all_blocks(self) -> None:
            pass

    class Pinned:
        def __init__(self, size: int) -> None:
            self.data = (ctypes.c_char * size)()
            self.ptr = ctypes.addressof(self.data)

        def __del__(self) -> None:
            ctypes.memset(self.ptr, 0xFF, len(self.data))

    class Module:
        def __init__(self, code: str | None = None, *, path: str | None = None) -> None:
            assert code is None and path is not None
            with open(path, encoding="utf-8") as file:
                self.code = file.read()

        def get_function(self, name: str) -> Callable[..., None]:
            function = emu.load(self.code, [name])[name]

            def call(grid: Any, block: Any, args: Any, *, shared_mem: int = 0, stream: Any = None) -> None:
                assert type(grid) is tuple and type(block) is tuple and all(isinstance(a, np.generic) for a in args)
                assert isinstance(stream, Stream)
                failing(emu.launch, function, grid, block, args)

            return call

    class Device:
        compute_capability = "90"
        cublas_handle = HANDLE

        def __init__(self, index: int) -> None:
            self.id = index

        def use(self) -> None:
            pass

        def __enter__(self) -> Device:
            return self

        def __exit__(self, *args: Any) -> None:
            pass

    class UnownedMemory:
        def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1) -> None:
            self.ptr, self.size, self.owner, self.device_id = ptr, size, owner, device_id

    class MemoryPointer:
        def __init__(self, memory: UnownedMemory, offset: int) -> None:
            self.mem, self.ptr = memory, memory.ptr + offset

    class ndarray:  # noqa: N801
        def __init__(self, shape: tuple[int, ...], dtype: str, memptr: MemoryPointer) -> None:
            self.shape, self.dtype, self.data, self.device = shape, np.dtype(dtype), memptr, Device(0)
            self.flags = types.SimpleNamespace(c_contiguous=True)
            self.nbytes = int(np.prod(shape, dtype="int64")) * self.dtype.itemsize

        def get(self) -> np.ndarray:
            out = np.empty(self.shape, self.dtype)
            emu.copy_out(self.data.ptr, out)
            return out

        def __dlpack__(self, **kwargs: Any) -> Any:
            raise NotImplementedError

    def gemm(dtype: str) -> Callable[..., None]:
        def call(handle: int, transa: int, transb: int, m: int, n: int, k: int, alpha: int, a: int, lda: int, b: int, ldb: int,
                 beta: int, c: int, ldc: int) -> None:
            assert handle == HANDLE
            emu.gemm(dtype, bool(transa), bool(transb), m, n, k, scalar(alpha), a, lda, b, ldb, scalar(beta), c, ldc)

        def scalar(pointer: int) -> float:
            size = np.dtype(dtype).itemsize
            return float(np.frombuffer(ctypes.string_at(pointer, size), dtype)[0].real)

        return call

    programs: list[str] = []

    def create(source: str, name: str, headers: tuple[str, ...], include_names: tuple[str, ...]) -> int:
        programs.append(source)
        return len(programs) - 1

    def compile_program(program: int, options: tuple[str, ...]) -> None:
        assert "-arch=sm_90" in options and "--fmad=false" in options
        if "no such thing" in programs[program]:
            raise RuntimeError("NVRTC_ERROR_COMPILATION")

    made = {name: types.ModuleType(name) for name in (
        "cupy", "cupy.cuda", "cupy.cuda.runtime", "cupy_backends", "cupy_backends.cuda", "cupy_backends.cuda.libs",
        "cupy_backends.cuda.libs.cublas", "cupy_backends.cuda.libs.nvrtc")}
    cupy, cuda, runtime = made["cupy"], made["cupy.cuda"], made["cupy.cuda.runtime"]
    blas, nvrtc = made["cupy_backends.cuda.libs.cublas"], made["cupy_backends.cuda.libs.nvrtc"]
    runtime.__dict__.update(CUDARuntimeError=CUDARuntimeError, getDeviceCount=count, memcpyAsync=memcpy, memcpyHostToDevice=1,
                            memcpyDeviceToHost=2, memcpyDeviceToDevice=3, driverGetVersion=lambda: 0 if gpus < 0 else 13000,
                            runtimeGetVersion=lambda: 13020,
                            memsetAsync=lambda p, byte, size, stream: failing(emu.fill, p, byte, size))
    cuda.__dict__.update(runtime=runtime, Stream=Stream, MemoryPool=Pool, alloc_pinned_memory=Pinned, Device=Device,
                         UnownedMemory=UnownedMemory, MemoryPointer=MemoryPointer,
                         get_current_stream=lambda: Stream(non_blocking=True),
                         memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
                         driver=types.SimpleNamespace(CUDADriverError=CUDADriverError))
    cupy.__dict__.update(cuda=cuda, RawModule=Module, ndarray=ndarray,
                         ascontiguousarray=lambda a: ndarray(a.shape, a.dtype.name, a.data))
    blas.__dict__.update(sgemm=gemm("float32"), dgemm=gemm("float64"), cgemm=gemm("complex64"), zgemm=gemm("complex128"),
                         setStream=lambda handle, stream: None, setMathMode=lambda handle, mode: None)
    nvrtc.__dict__.update(createProgram=create, compileProgram=compile_program, destroyProgram=lambda p: None,
                          getCUBIN=lambda p: programs[p].encode(), getPTX=lambda p: b"", getVersion=lambda: (13, 0),
                          getProgramLog=lambda p: "error: no such thing" if "no such thing" in programs[p] else "")
    return made
