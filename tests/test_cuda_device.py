"""The emulated device: what a GPU does, and every mistake that it is there to find."""
from __future__ import annotations

import numpy as np
import pytest

from symbolic import errors
from symbolic.codegen.cuda.emulator import EmuDevice
from symbolic.codegen.cuda.geometry import CudaKernel, grid_of
from symbolic.codegen.cuda.protocol import Counts, parse
from symbolic.codegen.cuda.text import cuda_prelude

ORDERS = (0, 1, 2, 7)
ONE = (1, 1, 1)


def kernels(device: EmuDevice, text: str, *names: str) -> list:
    made = device.load(cuda_prelude(text) + text, names)
    return [made[n] for n in names]


def put(device: EmuDevice, array: np.ndarray) -> np.uint64:
    pointer = device.alloc(array.nbytes)
    device.copy_in(pointer, array)
    return np.uint64(pointer)


def got(device: EmuDevice, pointer: np.uint64, like: np.ndarray) -> np.ndarray:
    out = np.empty_like(like)
    device.copy_out(int(pointer), out)
    return out


def test_names_of_devices():
    assert [parse(n) for n in ("cpu", "cuda", "cuda1", "cuda:2", "gpu0", "cuda:emulated")] == [
        ("cpu", 0), ("cuda", 0), ("cuda", 1), ("cuda", 2), ("cuda", 0), ("emulated", 0)]
    for wrong in ("tpu", "cuda:x", "", 3):
        with pytest.raises(errors.DeviceError, match="there is no device"):
            parse(wrong)


REVERSE = """
extern "C" __global__ void reverse(const float *x, float *y, const int64_t n)
{
    __shared__ float part[64];
    part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = part[n - 1 - threadIdx.x];
}
extern "C" __global__ void unsynchronised(const float *x, float *y, const int64_t n)
{
    __shared__ float part[64];
    part[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    y[threadIdx.x] = part[n - 1 - threadIdx.x];
}
extern "C" __global__ void uninitialised(const float *x, float *y, const int64_t n)
{
    __shared__ float part[64];
    if (threadIdx.x) part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = part[n - 1 - threadIdx.x];
}
extern "C" __global__ void early(const float *x, float *y, const int64_t n)
{
    if (threadIdx.x >= 40) return;
    __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}
extern "C" __global__ void divergent(const float *x, float *y, const int64_t n)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}
extern "C" __global__ void different(const float *x, float *y, const int64_t n)
{
    float v = x[threadIdx.x];
    if (threadIdx.x % 2) v = __shfl_xor_sync(0xffffffffu, v, 1);
    else
        v = __shfl_xor_sync(0xffffffffu, v, 2);
    y[threadIdx.x] = v;
}
"""


@pytest.mark.parametrize("order", ORDERS)
def test_barriers(order):
    device = EmuDevice(order)
    names = ("reverse", "unsynchronised", "uninitialised", "early", "divergent", "different")
    good, missing, unset, early, divergent, different = kernels(device, REVERSE, *names)
    x = np.arange(64, dtype="float32")
    a, b = put(device, x), put(device, np.zeros(64, "float32"))
    args = [a, b, np.int64(64)]
    device.launch(good, ONE, (64, 1, 1), args)
    np.testing.assert_array_equal(got(device, b, x), x[::-1])
    device.launch(unset, ONE, (64, 1, 1), args)
    assert np.isnan(got(device, b, x)[63]), "shared memory that nobody wrote is nan"
    device.launch(missing, ONE, (64, 1, 1), args)
    assert order not in (0, 1) or not np.array_equal(got(device, b, x), x[::-1]), "a missing barrier shows in some order"
    for kernel, text in ((early, "after 24 threads of the block have returned"), (divergent, "different barriers, lines"),
                         (different, "meet in different shuffles, at lines")):
        device.launch(kernel, ONE, (64, 1, 1), args)
        with pytest.raises(errors.DeviceError, match=text):
            device.synchronize()


WARP = """
extern "C" __global__ void sum(const double *x, double *y)
{
    double v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int bits = 16; bits; bits >>= 1) v += sym_shuffle(v, bits);
    if (threadIdx.x == 0) y[blockIdx.x] = v;
}
extern "C" __global__ void votes(const double *x, unsigned *y)
{
    unsigned all = __ballot_sync(0xffffffffu, x[threadIdx.x] > 10);
    y[threadIdx.x] = all;
}
"""


@pytest.mark.parametrize("order", ORDERS)
def test_warps_and_blocks(order):
    device = EmuDevice(order)
    total, votes = kernels(device, WARP, "sum", "votes")
    x = np.arange(96.0)
    a, b = put(device, x), put(device, np.zeros(3))
    device.launch(total, (3, 1, 1), (32, 1, 1), [a, b])
    np.testing.assert_array_equal(got(device, b, np.zeros(3)), x.reshape(3, 32).sum(1))
    c = put(device, np.zeros(32, "uint32"))
    device.launch(votes, ONE, (32, 1, 1), [a, c])
    assert set(got(device, c, np.zeros(32, "uint32"))) == {0xFFFFF800}


PLAIN = """
extern "C" __global__ void beyond(float *x, const int64_t n) { x[threadIdx.x + n] = 1.0f; }
extern "C" __global__ void twice(float *x, const int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= 2.0f;
}
"""


def test_accesses_outside_of_an_array():
    device = EmuDevice()
    beyond, _ = kernels(device, PLAIN, "beyond", "twice")
    a = put(device, np.zeros(8, "float32"))
    for off in (8, -5000):
        device.launch(beyond, ONE, (4, 1, 1), [a, np.int64(off)], "y = 2 * x  [net.py:7]")
        with pytest.raises(errors.DeviceError, match=r"beyond: illegal access to memory at 0x\w+ \[block \(0, 0, 0\), thread "
                                                     r"\(\d, 0, 0\)\]\nwhile computing y = 2 \* x  \[net.py:7\]"):
            device.synchronize()
    short = put(device, np.zeros(3, "float32"))
    device.launch(beyond, ONE, (1, 1, 1), [short, np.int64(3)])
    with pytest.raises(errors.DeviceError, match="wrote behind the end of an array of 12 bytes"):
        device.free(int(short))
    with pytest.raises(errors.DeviceError, match="isn't allocated"):
        device.free(int(short))


OVERFLOW = """
extern "C" __global__ void overflow(int32_t *x) { x[0] = x[0] + x[1]; }
extern "C" __global__ void division(int32_t *x) { x[0] = x[0] / x[2]; }
extern "C" __global__ void local(int32_t *x) { int part[4]; for (int i = 0; i < 4; i++) part[i] = i; x[0] = part[x[1] & 7]; }
"""


@pytest.mark.parametrize("name", ["overflow", "division", "local"])
def test_arithmetic_that_c_leaves_undefined(name):
    device = EmuDevice()
    kernel, = kernels(device, OVERFLOW, name)
    a = put(device, np.array([2**31 - 1, 5, 0], "int32"))
    device.launch(kernel, ONE, ONE, [a])
    with pytest.raises(errors.DeviceError, match=rf"{name}: (integers that overflow or are divided|an integer divided)"):
        device.synchronize()


def test_work_waits_until_somebody_asks():
    device = EmuDevice()
    _, twice = kernels(device, PLAIN, "beyond", "twice")
    x = np.ones(5, "float32")
    a = put(device, x)
    device.launch(twice, ONE, (32, 1, 1), [a, np.int64(5)])
    x[:] = 9  # what was copied in was the array at that time
    np.testing.assert_array_equal(got(device, a, x), np.full(5, 2))
    fresh = device.alloc(16)
    assert np.isnan(got(device, np.uint64(fresh), np.zeros(4, "float32"))).all()


@pytest.mark.parametrize(("grid", "block", "text"), [
    (ONE, (2000, 1, 1), "can't have 2000 threads"), ((1, 70000, 1), ONE, "a grid can't have 1 by 70000 blocks"),
    ((0, 1, 1), ONE, "no blocks"), (ONE, (1, 1, 65), "can't have 65 threads")])
def test_limits_of_a_launch(grid, block, text):
    device = EmuDevice()
    _, twice = kernels(device, PLAIN, "beyond", "twice")
    a = put(device, np.ones(4, "float32"))
    device.launch(twice, grid, block, [a, np.int64(4)])
    with pytest.raises(errors.DeviceError, match=text):
        device.synchronize()


def test_graphs_do_the_same_again_and_forbid_what_a_stream_forbids():
    device = EmuDevice()
    _, twice = kernels(device, PLAIN, "beyond", "twice")
    x = np.ones(4, "float32")
    a = put(device, x)
    device.begin_capture()
    device.launch(twice, ONE, (32, 1, 1), [a, np.int64(4)])
    for forbidden in (lambda: device.alloc(4), lambda: device.free(int(a)), lambda: device.copy_in(int(a), x),
                      lambda: device.copy_out(int(a), x), device.synchronize, device.begin_capture):
        with pytest.raises(errors.DeviceError, match="while a graph is captured"):
            forbidden()
    graph = device.end_capture()
    np.testing.assert_array_equal(got(device, a, x), x)
    graph.launch()
    graph.launch()
    np.testing.assert_array_equal(got(device, a, x), 4 * x)
    assert device.counts.graphs == 2


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_products_take_what_cublas_takes(dtype):
    rng = np.random.default_rng(0)
    device = EmuDevice()
    a, b = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=(4, 5)).astype(dtype)
    out = np.empty((3, 5), dtype)
    for flip_a in (False, True):
        for flip_b in (False, True):
            x, y = put(device, np.asfortranarray(a.T if flip_a else a).T.copy()), put(
                device, np.asfortranarray(b.T if flip_b else b).T.copy())
            c = device.alloc(out.nbytes)
            leading = int(x), 4 if flip_a else 3, int(y), 5 if flip_b else 4
            device.gemm(dtype, flip_a, flip_b, 3, 5, 4, 1.0, *leading, 0.0, c, 3)  # what is there, nan, isn't read
            columns = got(device, np.uint64(c), np.empty((5, 3), dtype))
            np.testing.assert_allclose(columns.T, a @ b, rtol=1e-5)
            device.gemm(dtype, flip_a, flip_b, 3, 5, 4, -2.0, *leading, 0.5, c, 3)
            columns = got(device, np.uint64(c), np.empty((5, 3), dtype))
            np.testing.assert_allclose(columns.T, -1.5 * (a @ b), rtol=1e-4, atol=1e-6)
    with pytest.raises(errors.DeviceError, match="CUBLAS_STATUS_INVALID_VALUE"):
        device.gemm(dtype, False, False, 3, 5, 4, 1.0, int(x), 2, int(y), 4, 0.0, c, 3)
    with pytest.raises(errors.DeviceError, match="isn't inside of one array"):
        device.gemm(dtype, False, False, 3, 500, 4, 1.0, int(x), 3, int(y), 4, 0.0, c, 3)
        device.synchronize()


def test_memory_is_limited_where_it_is_said():
    device = EmuDevice(limit=1000)
    first = device.alloc(900)
    with pytest.raises(MemoryError, match="out of memory: 200 bytes asked for, 900 of 1000 in use"):
        device.alloc(200)
    device.free(first)
    device.free(device.alloc(200))


def test_arrays_are_numpys_through_get_and_dlpack():
    device = EmuDevice()
    x = np.arange(6.0).reshape(2, 3)
    array = device.view(int(put(device, x)), (2, 3), "float64", None)
    np.testing.assert_array_equal(array.get(), x)
    np.testing.assert_array_equal(np.from_dlpack(array), x)
    np.testing.assert_array_equal(np.asarray(array), x)
    assert array.ndim == 2 and array.nbytes == 48 and device.pointer_of(array) == array.pointer
    assert EmuDevice().pointer_of(array) is None and device.pointer_of(x) is None


def test_counts_are_differences():
    assert Counts(launches=5, bytes_in=7).since(Counts(launches=2)) == Counts(launches=3, bytes_in=7)


def test_grids_depend_on_sizes_alone_and_stay_in_their_limits():
    for family, columns in (("map", False), ("rows", False), ("reduce", False), ("reduce", True), ("parts", False)):
        kernel = CudaKernel(family, "", (), (), (), columns=columns)
        for a in (1, 3, 32, 33, 1000, 10**6, 10**9):
            for b in (0, 1, 31, 257, 10**5, 10**8):
                grid, block = grid_of(kernel, [a, b])
                assert 1 <= block[0] * block[1] * block[2] <= 256 and grid[0] < 2**31 and grid[1] <= 65535
                assert family in ("map", "reduce", "parts") or grid[0] <= 4096
        assert grid_of(kernel, [0, 5]) is None


HALVES = """
extern "C" __global__ void halves(const double *x, const float *y, uint16_t *a, uint16_t *b, float *back, const int64_t n)
{
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        const sym_half h = (sym_half)x[i], g = (sym_half)y[i];
        a[i] = h.bits, b[i] = g.bits, back[i] = (float)g;
    }
}
"""


def test_half_precision_rounds_as_numpy():
    device = EmuDevice()
    halves, = kernels(device, HALVES, "halves")
    every = np.arange(65536, dtype="uint16").view("float16").astype("float64")
    with np.errstate(all="ignore"):
        between = (every[:-1] + every[1:]) / 2
    x = np.concatenate([every, between, np.nextafter(between, np.inf), [65519.999, 65520, 1e300, 1e-300, 2.98e-8, 2.99e-8]])
    with np.errstate(all="ignore"):
        y = x.astype("float32")
    n = len(x)
    args = [put(device, v) for v in (x, y, np.zeros(n, "uint16"), np.zeros(n, "uint16"), np.zeros(n, "float32"))]
    device.launch(halves, ONE, (256, 1, 1), [*args, np.int64(n)])
    with np.errstate(all="ignore"):
        want, narrow = x.astype("float16"), y.astype("float16")
    for pointer, w in ((args[2], want), (args[3], narrow)):
        made = got(device, pointer, np.zeros(n, "uint16")).view("float16")
        np.testing.assert_array_equal(np.isnan(made), np.isnan(w))
        np.testing.assert_array_equal(made[~np.isnan(w)].view("uint16"), w[~np.isnan(w)].view("uint16"))
    np.testing.assert_array_equal(got(device, args[4], y), narrow.astype("float32"))
