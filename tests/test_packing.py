"""Products in loops with a matrix that is packed once: every tail of rows, columns and terms, both factors, threads."""
from __future__ import annotations

import ctypes

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.codegen.build import build
from symbolic.codegen.compiler import find_compiler
from symbolic.codegen.program import render_product

#: beside the tiles of all instruction sets: 1 to 12 rows, 4 to 32 columns, 256 terms
SIZES = [(1, 1, 1), (2, 3, 5), (4, 32, 64), (5, 33, 7), (12, 64, 256), (13, 31, 257), (23, 70, 65), (32, 16, 600), (97, 40, 3),
         (200, 65, 513), (3, 4, 0), (0, 5, 2), (2, 0, 2)]


@pytest.fixture(scope="module", params=["float", "double"])
def kernel(request, tmp_path_factory):
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("needs a C compiler")
    text = "#include <stdint.h>\n" + render_product(request.param, compiler.openmp).replace("KERNEL", "k_test")
    path, = build(compiler, [text], ["product"], tmp_path_factory.mktemp("product"))
    return ctypes.CDLL(str(path)), np.dtype("float32" if request.param == "float" else "float64")


def multiplied(kernel, a, b, c, threads):
    """Return a b by the kernel, written into c; all by their strides."""
    library, dtype = kernel
    (m, k), n = a.shape, b.shape[1]
    room = np.full(k * (n + 128 // dtype.itemsize) + 64, np.nan, dtype)  # as `packing` takes it
    guard = room[k * (n + 128 // dtype.itemsize):]
    def size(value):
        return ctypes.c_int64(int(value))
    def place(array):
        return [ctypes.c_void_p(array.ctypes.data), *(size(s // dtype.itemsize) for s in array.strides)]
    panels = ctypes.c_void_p(room.ctypes.data)
    library.k_test_pack(size(n), size(k), *place(b), panels, ctypes.c_int(threads))
    library.k_test(size(m), size(n), size(k), *place(a), panels, *place(c), ctypes.c_int(threads))
    assert np.isnan(guard).all()
    return c


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_tail_and_order_of_strides(kernel, threads):
    rng = np.random.default_rng(0)
    dtype = kernel[1]
    for m, n, k in SIZES:
        for flips in range(8):
            a, b, around = (rng.normal(size=s[::-1] if flips >> bit & 1 else s).astype(dtype)
                            for bit, s in enumerate(((m, k), (k, n), (m + 1, n + 2))))
            a, b, around = (x.T if flips >> bit & 1 else x for bit, x in enumerate((a, b, around)))
            before = around.copy()
            c = multiplied(kernel, a, b, around[:m, :n], threads)
            wanted = a.astype("longdouble") @ b.astype("longdouble")
            scale = np.abs(a).astype("float64") @ np.abs(b).astype("float64") + 1e-30
            assert np.max(np.abs(c - wanted) / scale, initial=0) <= 4 * np.finfo(dtype).eps * max(1, k) ** 0.5, (m, n, k, flips)
            np.testing.assert_array_equal(around[m:], before[m:])
            np.testing.assert_array_equal(around[:, n:], before[:, n:])


def test_values_that_are_not_finite_stay_in_their_rows_and_columns(kernel):
    dtype = kernel[1]
    rng = np.random.default_rng(1)
    for m, n, k in [(5, 33, 7), (13, 70, 300)]:
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        a[m - 1, k - 1], b[0, n - 1], a[0, 1], b[2, 0] = np.nan, np.nan, np.inf, -np.inf
        with np.errstate(invalid="ignore"):
            wanted = (a[:, :, None] * b).sum(1)
        c = multiplied(kernel, a, b, np.empty((m, n), dtype), 2)
        np.testing.assert_array_equal(np.isnan(c), np.isnan(wanted))
        np.testing.assert_array_equal(c[np.isinf(wanted)], wanted[np.isinf(wanted)])


def test_the_number_of_threads_changes_no_digit(kernel):
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(37, 300)).astype(kernel[1]), rng.normal(size=(300, 150)).astype(kernel[1])
    first, *others = (multiplied(kernel, a, b, np.empty((37, 150), kernel[1]), threads) for threads in (1, 2, 3, 5))
    for other in others:
        np.testing.assert_array_equal(other, first)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loops_pack_what_stays_the_same(dtype):
    u, w, h, g = (T.matrix(name, dtype=dtype) for name in "uwhg")
    n = T.lscalar("n")

    def step(h, g, u, w):
        return [T.tanh(T.dot(h, u)), T.tanh(T.dot(w, g) + T.dot(w.T, g))]

    (hs, gs), _ = symbolic.scan(step, outputs_info=[h, g], non_sequences=[u, w], n_steps=n)
    cost = (hs[-1] ** 2).sum() + gs[-1].sum()
    outputs = [hs, gs, *symbolic.grad(cost, [u, w, h, g])]
    f, slow = (symbolic.function([u, w, h, g, n], outputs, mode=mode) for mode in ("FAST_RUN", "FAST_COMPILE"))
    if hasattr(f, "source"):
        assert f.source.count("worth_packing(steps") >= 5, "u, w and its transpose forwards, and backwards"
    rng = np.random.default_rng(3)
    for m, k, steps in [(1, 40, 40), (5, 33, 8), (32, 20, 1), (16, 70, 3), (3, 2, 0)]:
        arrays = [(rng.normal(size=s) / np.sqrt(k)).astype(dtype) for s in ((k, k), (k, k), (m, k), (k, m))]
        if steps == 0:
            continue
        for found, wanted in zip(f(*arrays, steps), slow(*arrays, steps), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-4 if dtype == "float32" else 1e-11,
                                       atol=1e-5 if dtype == "float32" else 1e-12)


def test_what_changes_in_a_loop_is_left_to_blas():
    x, h = T.tensor3("x"), T.matrix("h")
    hs, _ = symbolic.scan(lambda x, h: T.tanh(T.dot(h, x)), x, h)
    f = symbolic.function([x, h], hs)
    if hasattr(f, "source"):
        assert "worth_packing" not in f.source
    rng = np.random.default_rng(4)
    xs, start = rng.normal(size=(6, 9, 9)).astype(x.dtype), rng.normal(size=(40, 9)).astype(h.dtype)
    wanted = [start]
    for a in xs:
        wanted.append(np.tanh(wanted[-1] @ a))
    np.testing.assert_allclose(f(xs, start), np.stack(wanted[1:]), rtol=1e-4, atol=1e-5)
