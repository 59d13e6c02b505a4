"""Loops of reductions at the borders of their blocks: rows read together, columns shared by threads, widest registers."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.config import config

#: around 4 and 2 rows read at once, 16 columns as a thread's least share, 2048 columns a block
ROWS = (0, 1, 3, 4, 5, 7, 8, 9, 16, 23)
COLUMNS = (1, 15, 16, 17, 33, 2047, 2048, 2049, 4112)


@pytest.fixture(scope="module")
def always_threads():
    before = config.openmp_threshold, config.threads
    config.openmp_threshold, config.threads = 0, 3
    yield
    config.openmp_threshold, config.threads = before


def program(dtype: str, across: bool) -> symbolic.Function:
    x = T.TensorType(dtype, (None, None))("x")
    axis = 0 if across else 1
    return symbolic.function([x], [x.sum(axis=axis), (x * x - x).sum(axis=axis), T.exp(x).sum(axis=axis), x.mean(axis=axis),
                                   x.var(axis=axis)], mode="FAST_RUN")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("across", [True, False])
def test_sums_over_rows_and_columns_of_any_number(always_threads, dtype, across):
    f, rng, axis = program(dtype, across), np.random.default_rng(1), 0 if across else 1
    rtol = 1e-6 if dtype == "float32" else 1e-13
    for n in ROWS[1:]:
        for m in COLUMNS:
            a = rng.uniform(0.5, 2, (n, m) if across else (m, n)).astype(dtype)
            w = a.astype("float64")
            square = (a * a - a).astype("float64")  # rounded as the graph says, summed exactly
            want = [w.sum(axis), square.sum(axis), np.exp(w).sum(axis), w.mean(axis), w.var(axis)]
            for got, right in zip(f(a), want, strict=True):
                np.testing.assert_allclose(got, right, rtol=rtol, atol=rtol, err_msg=f"{n} x {m}")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64"])
def test_maxima_and_their_places_over_rows_of_any_number(always_threads, dtype):
    x = T.TensorType(dtype, (None, None))("x")
    f = symbolic.function([x], [x.max(axis=0), x.min(axis=0), x.argmax(axis=0), x.argmin(axis=0), T.any(x > 3, axis=0),
                                T.all(x > 3, axis=0), x.prod(axis=0, dtype="float64")], mode="FAST_RUN")
    rng = np.random.default_rng(2)
    for n in ROWS[1:]:
        for m in COLUMNS:
            a = rng.integers(1, 6, (n, m)).astype(dtype)
            if a.dtype.kind == "f" and m > 15:
                a[rng.integers(n), 3], a[rng.integers(n), 9], a[:, 11], a[rng.integers(n), 12] = np.nan, np.inf, -np.inf, -0.0
            want = [a.max(0), a.min(0), a.argmax(0), a.argmin(0), (a > 3).any(0), (a > 3).all(0), a.prod(0, dtype="float64")]
            for got, right in zip(f(a), want, strict=True):
                np.testing.assert_allclose(got, right, rtol=1e-14, err_msg=f"{n} x {m}")


def test_no_rows_at_all(always_threads):
    x = T.fmatrix("x")
    f = symbolic.function([x], [x.sum(axis=0), T.prod(x, axis=0), T.any(x > 0, axis=0)], mode="FAST_RUN")
    for m in COLUMNS:
        total, product, some = f(np.zeros((0, m), "float32"))
        assert (total == 0).all() and (product == 1).all() and not some.any() and total.shape == (m,)


def test_middle_axes_and_outer_ones(always_threads):
    x = T.ftensor4("x")
    f = symbolic.function([x], [x.sum(axis=(0, 2)), x.max(axis=1), x.sum(axis=(0, 1, 2))], mode="FAST_RUN")
    a = np.random.default_rng(3).normal(size=(3, 11, 5, 37)).astype("float32")
    w = a.astype("float64")
    for got, right in zip(f(a), [w.sum((0, 2)), w.max(1), w.sum((0, 1, 2))], strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(10_000_000,), (1_250_000, 8), (8, 1_250_000)])
def test_float32_sums_are_right_to_their_last_place(shape):
    """Sums run in float64: 1e7 terms, growing, alternating or of very different size, are as exact as one rounding."""
    x = T.TensorType("float32", (None,) * len(shape))("x")
    axis = None if len(shape) == 1 else int(np.argmin(shape) == 0)
    f = symbolic.function([x], x.sum(axis=axis), mode="FAST_RUN")
    rng = np.random.default_rng(4)
    uniform = rng.random(shape, dtype="float32")
    large_first = uniform.copy()
    large_first.reshape(-1)[:8] = 1e8
    cancelling = rng.normal(size=shape).astype("float32")
    for a in (uniform, large_first, np.full(shape, 0.1, "float32")):
        right = a.sum(axis=axis, dtype="longdouble")
        assert float(np.max(np.abs(f(a) / right - 1))) <= 1.2e-7
    right, size = cancelling.sum(axis=axis, dtype="longdouble"), np.abs(cancelling).sum(axis=axis, dtype="longdouble")
    assert float(np.max(np.abs(f(cancelling) - right) / size)) <= 1e-9
