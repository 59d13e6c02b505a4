"""CuPy's device without a GPU: every line of it against a stand-in; the names it uses against the real one, if there."""
from __future__ import annotations

import gc
import importlib
import sys

import fake_cupy
import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.cli import main
from symbolic.codegen.cache import Cache
from symbolic.codegen.cuda import cupy_device, devices, nvrtc
from symbolic.codegen.cuda.emulator import EmuDevice

#: what `CuPyDevice` and `nvrtc` call, and how: the first line of each one's documentation in CuPy 14
SIGNATURES = {
    "cupy.cuda.runtime": {"memcpyAsync": "memcpyAsync(intptr_t dst, intptr_t src, size_t size, int kind, intptr_t stream)",
                          "memsetAsync": "memsetAsync(intptr_t ptr, int value, size_t size, intptr_t stream)",
                          "getDeviceCount": "", "driverGetVersion": "", "runtimeGetVersion": "", "CUDARuntimeError": "",
                          "memcpyHostToDevice": "", "memcpyDeviceToHost": "", "memcpyDeviceToDevice": ""},
    "cupy_backends.cuda.libs.nvrtc": {
        "createProgram": "createProgram(str src, str name, headers, include_names) -> intptr_t",
        "compileProgram": "compileProgram(intptr_t prog, options)", "getCUBIN": "getCUBIN(intptr_t prog) -> bytes",
        "getPTX": "getPTX(intptr_t prog) -> bytes", "getProgramLog": "getProgramLog(intptr_t prog) -> str",
        "destroyProgram": "destroyProgram(intptr_t prog)", "getVersion": "getVersion() -> tuple"},
    "cupy_backends.cuda.libs.cublas": {
        **{f"{c}gemm": f"{c}gemm(intptr_t handle, int transa, int transb, int m, int n, int k, size_t alpha, size_t A, int lda, "
                       "size_t B, int ldb, size_t beta, size_t C, int ldc)" for c in "sdcz"},
        "setStream": "setStream(intptr_t handle, size_t stream)", "setMathMode": "setMathMode(intptr_t handle, int mode)"},
}


@pytest.fixture
def stand_in(monkeypatch):
    """Put the stand-in in CuPy's place; return what does so for a number of GPUs, and gives the emulated device."""

    made: list[EmuDevice] = []

    def install(gpus: int = 1, **options: int) -> EmuDevice:
        emu = EmuDevice(**options)
        made.append(emu)
        for name, module in fake_cupy.modules(emu, gpus).items():
            monkeypatch.setitem(sys.modules, name, module)
        nvrtc._binding.cache_clear()
        monkeypatch.setattr(devices, "_devices", {})
        return emu

    yield install
    for emu in made:  # else a collector may take memory away that waiting work would read
        emu._queue.clear()
    gc.collect()
    nvrtc._binding.cache_clear()


def test_functions_train_through_it(stand_in):
    emu = stand_in()
    rng = np.random.default_rng(0)
    x, y = T.fmatrix("x"), T.lvector("y")
    start = rng.normal(size=(6, 3)).astype("float32")
    makers = []
    for where in ("cpu", "cuda"):
        w = symbolic.shared(start, "w")
        p = T.nnet.softmax(T.dot(x, w))
        loss = T.nnet.categorical_crossentropy(p, y).mean()
        makers.append((symbolic.function([x, y], loss, updates=[(w, w - np.float32(0.5) * T.grad(loss, w))], device=where), w))
    a, t = rng.normal(size=(8, 6)).astype("float32"), rng.integers(0, 3, 8)
    for _ in range(6):
        np.testing.assert_allclose(makers[1][0](a, t), makers[0][0](a, t), rtol=1e-5)
    np.testing.assert_allclose(makers[1][1].get_value(), makers[0][1].get_value(), rtol=1e-4, atol=1e-6)
    assert makers[1][0].counts.graphs == 1 and makers[1][1].container.device == "cuda" and emu.live
    with pytest.raises(IndexError, match="out of bounds"):
        makers[1][0](a, t + 5)


def test_arrays_of_cupys_go_in_and_out(stand_in):
    stand_in()
    x = T.dmatrix("x")
    f = symbolic.function([x], [symbolic.Out(T.exp(x), borrow=True), T.dot(x, x.T)], device="cuda")
    a = np.arange(6.0).reshape(2, 3)
    first, product = f(a)
    assert type(first).__module__ == "fake_cupy" and isinstance(product, np.ndarray)
    np.testing.assert_allclose(first.get(), np.exp(a))
    np.testing.assert_allclose(f(first)[0].get(), np.exp(np.exp(a)))
    assert f.counts.copies_in == 0
    first.flags.c_contiguous = False
    np.testing.assert_allclose(f(first)[1], np.exp(a) @ np.exp(a).T)
    z = symbolic.function([x], T.dot(x.astype("complex64") * 1j, x.astype("complex64").T), device="cuda")
    np.testing.assert_allclose(z(a), 1j * a @ a.T, rtol=1e-5)


def test_memory_runs_out_with_an_error_that_says_what_to_do(stand_in):
    emu = stand_in()
    x, w = T.dmatrix("x"), symbolic.shared(np.zeros(3), "w", device="cuda")
    f = symbolic.function([x], x.sum(), updates=[(w, w + x.sum())])
    f(np.ones((2, 2)))
    emu.limit = sum(emu.live.values()) + 100
    with pytest.raises(errors.DeviceMemoryError, match=r"out of memory: 80000 bytes asked for(.|\n)*smaller batches"):
        f(np.ones((100, 100)))
    np.testing.assert_array_equal(w.get_value(), np.full(3, 4.0))


def test_a_failed_kernel_is_named_among_the_latest(stand_in, monkeypatch):
    stand_in()
    x = T.dvector("x")
    f = symbolic.function([x], T.exp(x).sum() * 2, device="cuda")
    f(np.ones(3))

    def broken(*args):
        raise errors.DeviceError("illegal access")

    monkeypatch.setattr(EmuDevice, "_run", broken)
    with pytest.raises(errors.DeviceError, match=r"cudaErrorIllegalAddress.*one of which failed:\n  k_\w+: (.|\n)*T.exp\(x\)"
                                                 r"(.|\n)*CUDA_LAUNCH_BLOCKING=1"):
        symbolic.function([x], T.exp(x).sum() * 3, device="cuda")(np.ones(4))


def test_what_is_missing_is_told_with_what_to_do(stand_in, monkeypatch):
    stand_in(gpus=2)
    assert devices.find("cuda:1").name == "cuda:1"
    with pytest.raises(errors.DeviceError, match=r"cuda:2': this machine has 2 GPUs(.|\n)*use 'cuda:1' or less"):
        devices.find("cuda:2")
    stand_in(gpus=-1)
    with pytest.raises(errors.DeviceError, match=r"no GPU can be used: cudaErrorInsufficientDriver; there is no driver, and this "
                                                 r"CuPy is for CUDA 13.2(.|\n)*install NVIDIA's driver"):
        devices.find("cuda")
    stand_in()
    device = devices.find("cuda")
    with pytest.raises(errors.CompileError, match="NVRTC refused kernels: error: no such thing"):
        device.load("no such thing", ["k"])
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs.cublas", None)
    with pytest.raises(errors.DeviceError, match=r"matrix products need cuBLAS(.|\n)*pip install 'cupy-cuda13x\[ctk\]'"):
        device.gemm("float32", False, False, 1, 1, 1, 1.0, 0, 1, 0, 1, 0.0, 0, 1)
    with pytest.raises(errors.DeviceError, match="cuBLAS takes extents below"):
        device.gemm("float32", False, False, 2**31, 1, 1, 1.0, 0, 2**31, 0, 1, 0.0, 0, 2**31)
    with pytest.raises(errors.DeviceError, match="isn't allocated"):
        device.free(12345)
    nvrtc._binding.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs.nvrtc", None)
    with pytest.raises(errors.DeviceError, match=r"needs CuPy and NVRTC(.|\n)*pip install"):
        devices.find("cuda:0") if not devices._devices else cupy_device.CuPyDevice(0)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(errors.DeviceError, match=r"device='cuda' needs CuPy(.|\n)*pip install 'symbolic-graph\[cuda13\]'"):
        cupy_device.CuPyDevice(0)


def test_machine_code_is_kept_in_the_cache(stand_in, monkeypatch, capsys):
    stand_in()
    x = T.dvector("x")
    f = symbolic.function([x], T.exp(x) * 17, device="cuda")
    f(np.ones(2))
    kept = Cache().device_programs()[0]
    assert kept["architecture"] == "sm_90" and kept["kernels"] == f.program.program.names and kept["compiler"] == "NVRTC 13.0"

    assert main(["gpu"]) == 0 and kept["key"][:12] in capsys.readouterr().out
    assert main(["gpu", kept["key"], "--source"]) == 0 and "exp(" in capsys.readouterr().out
    assert main(["gpu", "none"]) == 2 and "0 programs for GPUs" in capsys.readouterr().err

    def never(*args):
        raise AssertionError("compiled again")

    monkeypatch.setattr(nvrtc, "compile_text", never)
    symbolic.function([x], T.exp(x) * 17, device="cuda")(np.ones(2))
    cache = Cache()
    cache.prune(max_size=1 << 40)
    assert cache.device_programs()
    cache.prune(max_size=0)
    assert not cache.device_programs() and not list((cache.path / "cuda").iterdir())


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_real_cupy_has_what_is_used(name):
    pytest.importorskip("cupy", reason="CuPy isn't installed (pip install cupy-cuda13x nvidia-cuda-nvrtc)")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"a library of CUDA's is missing: {error}")
    for function, signature in SIGNATURES[name].items():
        found = getattr(module, function).__doc__ or ""
        assert not signature or found.partition("\n")[0] == signature


def test_the_real_cupy_has_the_classes_that_are_used():
    cupy = pytest.importorskip("cupy", reason="CuPy isn't installed (pip install cupy-cuda13x nvidia-cuda-nvrtc)")
    cuda = cupy.cuda
    for holder, names in ((cupy, "RawModule ndarray ascontiguousarray from_dlpack"),
                          (cuda, "Device Stream MemoryPool alloc_pinned_memory UnownedMemory MemoryPointer get_current_stream"),
                          (cuda.Stream, "begin_capture end_capture synchronize record wait_event"),
                          (cuda.Device, "use compute_capability cublas_handle id"),
                          (cuda.MemoryPool, "malloc free_all_blocks"), (cuda.memory, "OutOfMemoryError"),
                          (cuda.driver, "CUDADriverError"), (cuda.Graph, "launch")):
        for one in names.split():
            assert hasattr(holder, one), f"{holder} has no {one}"
