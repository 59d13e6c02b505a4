"""Programs that the fuzzer found wrong, each against NumPy."""
from __future__ import annotations

import math

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.ops.elementwise import ROWS
from symbolic.types import TensorType

MODES = ["FAST_RUN", "FAST_COMPILE"]


@pytest.mark.parametrize("mode", MODES)
def test_a_part_that_begins_where_its_whole_begins_isnt_the_whole_transposed(mode):
    x = T.dmatrix("x")
    a = np.random.default_rng(0).normal(size=(4, 3))
    parts = {"none": slice(0, 0), "two": slice(None, 2), "all": slice(None, 9)}
    products = [g for s in parts.values() for g in (T.dot(x[s].T, x[s]), T.dot(x[s], x[s].T), T.dot(x[:, s], x[:, s].T))]
    f = symbolic.function([x], products, mode=mode)
    want = [g for s in parts.values() for g in (a[s].T @ a[s], a[s] @ a[s].T, a[:, s] @ a[:, s].T)]
    for got, w in zip(f(a), want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("mode", MODES)
def test_an_extent_that_is_one_by_inference_alone_broadcasts(mode):
    x = TensorType("float64", (1, None))("x")
    twice = T.concatenate([x, x], axis=1)
    f = symbolic.function([x], ROWS["clip"](twice, T.grad(twice.sum(), x), x), mode=mode)
    for _ in range(2):
        np.testing.assert_array_equal(f([[5.0]]), [[5, 5]])
    with pytest.raises(symbolic.errors.ShapeError, match="clip"):
        f([[5.0, 6.0]])


@pytest.mark.parametrize("mode", MODES)
def test_angles_and_parts(mode):
    n, b, re, im = T.lvector("n"), T.TensorType("bool", (None,))("b"), T.dvector("re"), T.dvector("im")
    f = symbolic.function([n, b, re, im], [T.angle(n), T.angle(b), ROWS["complex"](re, im)], mode=mode)
    one, two, made = f([-3, 0, 2], [True, False], [0.0, 1.0, -np.inf], [np.inf, np.nan, 2.0])
    np.testing.assert_array_equal(one, [math.pi, 0, 0])
    np.testing.assert_array_equal(two, [0, 0])
    np.testing.assert_array_equal(made.real, [0, 1, -np.inf])
    np.testing.assert_array_equal(made.imag, [np.inf, np.nan, 2])


@pytest.mark.parametrize("mode", MODES)
def test_log_gamma_near_its_zeros(mode):
    x = T.dvector("x")
    h = np.array([1e-9, -1e-7, 1e-3, -0.01, 0.1, -0.2, 0.4])
    euler, z2, z3, z4 = 0.57721566490153286061, math.pi ** 2 / 6, 1.2020569031595942854, math.pi ** 4 / 90
    small = np.abs(h) < 2e-3  # four terms of the series are enough there
    one = -euler * h + z2 * h ** 2 / 2 - z3 * h ** 3 / 3 + z4 * h ** 4 / 4
    at_one, at_two = symbolic.function([x], [T.gammaln(1 + x), T.gammaln(2 + x)], mode=mode)(h)
    np.testing.assert_allclose(at_one[small], one[small], rtol=3e-7)  # 1 + h is rounded: 1e-9 has seven digits left
    np.testing.assert_allclose(at_two, at_one + np.log1p((1 + h) - 1), rtol=1e-13, atol=2e-16)
    known = symbolic.function([x], T.gammaln(x), mode=mode)([1.9911449897729396, 0.5, 1.5, 2.5, 1.0, 2.0])
    np.testing.assert_allclose(known, [-0.0037184276903118, math.log(math.pi) / 2, math.log(math.pi ** 0.5 / 2),
                                       math.log(math.pi ** 0.5 * 3 / 4), 0, 0], rtol=2e-14)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("known", [False, True], ids=["any", "known not to be nan"])
def test_integers_have_one_zero(mode, dtype, known):
    x, n = TensorType(dtype, (None,))("x"), T.lvector("n")
    whole = T.cast(T.switch(T.isnan(x), 0, x) if known else x, "int64")
    f = symbolic.function([x, n], [whole, T.cast(whole, dtype), T.cast(T.cast(x, "int8"), dtype), 0.0 - T.cast(n, dtype),
                                   T.constant(0.0, dtype=dtype) - x], mode=mode)
    values = np.array([-0.0, 0.0, -0.5, 0.5, -1.0, -1.5, 1.5, np.nan] * 9, dtype)
    with np.errstate(invalid="ignore"):
        values[np.isnan(values) & known] = 0
        want = [values.astype("int64"), values.astype("int64").astype(dtype), values.astype("int64").astype("int8").astype(dtype)]
    got = f(values, np.arange(-2, 3))
    for g, w in zip(got, [*want, 0.0 - np.arange(-2.0, 3), 0 - values], strict=True):
        np.testing.assert_array_equal(g, w)
        np.testing.assert_array_equal(np.signbit(g) & ~np.isnan(g), np.signbit(w) & ~np.isnan(w))


@pytest.mark.parametrize("mode", MODES)
def test_a_check_that_only_a_wrong_assumption_breaks(mode):
    """The last element broadcasts to two, so its extent is first taken for 2; a part of a gradient then seems not to fit."""
    x = T.fvector("x")
    last = x[:-2:-1]
    f = symbolic.function([x], [T.gt(T.alloc(x[0], 2), last), T.grad(T.clip(x, x, last).sum(), x), x[-2]], mode=mode)
    for a in ([1, 1, 1], [3, 1, 2], [1, 5]):
        greater, g, second = f(np.array(a, "float32"))
        np.testing.assert_array_equal(greater, [a[0] > a[-1]] * 2)
        np.testing.assert_allclose(g.sum(), len(a))
        assert second == a[-2]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "float16", "float32", "float64"])
def test_partial_results_of_a_constant_are_aligned(dtype):
    """GCC 12 stored 16 bytes of them where the stack wasn't aligned: the process died."""
    x = T.fmatrix("x")
    fives = (T.ones_like(x, dtype=dtype) if dtype == "bool" else T.cast(T.ones_like(x) * 5, dtype))[1:]
    for name in ("all", "any", "max", "min", "sum"):
        part = T.log1p(T.cast(getattr(T, name)(fives), "float64"))
        got, logarithm = symbolic.function([x], [fives, part])(np.ones((4, 3), "float32"))
        np.testing.assert_array_equal(got, np.full((3, 3), 1 if dtype == "bool" else 5, dtype))
        np.testing.assert_allclose(logarithm, np.log1p(float(getattr(np, name)(got))), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_conditions_hold_where_either_part_isnt_zero(mode, dtype):
    """The interpreter looked at the real part alone."""
    c, a, b = TensorType(dtype, (None,))("c"), T.fvector("a"), T.bvector("b")
    values = np.array([-2.5j, 0, 1, complex(0, np.nan), complex(-0.0, 0.0), complex(0, 1e-30), complex(np.inf, 0)], dtype)
    got, lazy = symbolic.function([c, a, b], [T.switch(c, a, b), T.where(c, b, a)], mode=mode)(
        values, np.full(7, 2, "float32"), np.full(7, 1, "int8"))
    np.testing.assert_array_equal(got, [2, 1, 2, 2, 1, 2, 2])
    np.testing.assert_array_equal(lazy, [1, 2, 1, 1, 2, 1, 1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_any_complex_number_to_the_power_zero(mode, dtype):
    z = TensorType(dtype, (None,))("z")
    values = np.array([complex(-np.inf, -1), 2 + 1j, complex(np.nan, 0), 0], dtype)
    np.testing.assert_array_equal(symbolic.function([z], z ** 0, mode=mode)(values), np.ones(4, dtype))


@pytest.mark.parametrize("mode", MODES)
def test_a_comparison_joined_to_float16(mode):
    """GCC 12 made an instruction of it that its assembler refused."""
    x = TensorType("float16", (None,))("x")
    got = symbolic.function([x], T.concatenate([T.lt(x, T.dot(x, x)), x]), mode=mode)(np.array([1, 0.5, 2], "float16"))
    np.testing.assert_array_equal(got, np.array([1, 1, 1, 1, 0.5, 2], "float16"))
    assert got.dtype == "float16"
