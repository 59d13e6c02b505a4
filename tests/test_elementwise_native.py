"""Every row of the elementwise table in native code against its oracle, all rows of a dtype in one program."""
from __future__ import annotations

import functools

import numpy as np
import pytest
from oracles import ELEMENTWISE
from tolerances import atol, rtol

import symbolic
from symbolic.function import function
from symbolic.graph import Variable, constant
from symbolic.ops.elementwise import ROWS, Elementwise, cast_to
from symbolic.types import TensorType

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64"]
#: no limit exists at -inf (C99 F.9.5.3 says inf, SciPy -inf)
UNDEFINED = {"gammaln": lambda x: np.isneginf(x)}
MOST = 12  # rows a program: enough to save compilers, few enough to find the guilty one


def accepted(name: str, dtype: str) -> bool:
    row = ROWS[name]
    try:
        Elementwise(name).infer_type(*(TensorType(dtype, ()),) * row.nin)
    except TypeError:
        return False
    return True


@functools.cache
def program(names: tuple[str, ...], dtype: str, ndim: int) -> symbolic.Function:
    xs = [Variable(TensorType(dtype, (None,) * ndim), name=n) for n in "xyz"]
    return symbolic.function(xs, [Elementwise(n)(*xs[:ROWS[n].nin]) for n in names], on_unused_input="ignore",
                             mode="FAST_RUN")


def batches(dtype: str) -> list[tuple[str, ...]]:
    names = [n for n in ROWS if accepted(n, dtype)]
    return [tuple(names[k:k + MOST]) for k in range(0, len(names), MOST)]


def expected(name: str, arrays: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    wide = [a.astype("float64") if a.dtype in ("float16", "float32") else a for a in arrays[:ROWS[name].nin]]
    if dtype.kind == "f" and wide[0].dtype.kind in "biu":
        wide = [a.astype("float64") for a in wide]
    with np.errstate(all="ignore"):
        return np.asarray(ELEMENTWISE[name](*wide)).astype(dtype)


def compare(dtype: str, arrays: list[np.ndarray], skip: tuple[str, ...] = (), slack: float = 8) -> None:
    wrong = []
    for names in batches(dtype):
        names = tuple(n for n in names if n not in skip)
        for name, got in zip(names, program(names, dtype, arrays[0].ndim)(*arrays), strict=True):
            want = expected(name, arrays, got.dtype)
            assert got.shape == want.shape, name
            known = ~UNDEFINED[name](arrays[0]) if name in UNDEFINED else np.ones(got.shape, bool)
            try:
                np.testing.assert_allclose(got[known], want[known], rtol=slack * rtol(got.dtype), atol=atol(got.dtype))
            except AssertionError as error:
                wrong.append(f"{name}: {error}")
    assert not wrong, "\n\n".join(wrong)


#: what NumPy leaves undefined or defines otherwise for integers: shifts past the width, negative powers, gamma poles
INTEGER_SKIP = ("pow", "left_shift", "right_shift", "inv", "sqr")


def ordinary(dtype: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(11)
    if dtype == "bool":
        return [rng.integers(0, 2, shape).astype(bool) for _ in range(3)]
    if np.dtype(dtype).kind in "iu":
        low = 0 if dtype.startswith("u") else -6
        return [rng.integers(low, 7, shape).astype(dtype) for _ in range(3)]
    return [rng.uniform(-2.5, 2.5, shape).astype(dtype) for _ in range(3)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_ordinary_values_of_every_shape(dtype):
    skip = INTEGER_SKIP if np.dtype(dtype).kind in "biu" else ()
    for shape in [(3, 37), (0, 4), (1, 1)]:
        compare(dtype, ordinary(dtype, shape), skip)
    wide = ordinary(dtype, (6, 20))
    compare(dtype, [a[::-2, ::3] for a in wide], skip)
    compare(dtype, [np.asfortranarray(a) for a in wide], skip)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(dtype):
    tiny, large = np.finfo(dtype).tiny, np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, tiny, -tiny, large, -large, 0.5, -0.5, 2.0, -2.5])
    grid = [g.astype(dtype) for g in np.meshgrid(x, x, indexing="ij")]
    compare(dtype, [*grid, grid[0][::-1]])


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_the_smallest_and_largest_integers(dtype):
    info = np.iinfo(dtype)
    x = np.array(sorted({info.min, info.min + 1, 0, 1, 2, 7, info.max - 1, info.max, *([] if info.min == 0 else [-1])}),
                 dtype=dtype)
    grid = list(np.meshgrid(x, x, indexing="ij"))
    exact = [n for n in ROWS if accepted(n, dtype) and n not in INTEGER_SKIP]
    floats = tuple(n for n in exact if ROWS[n].kind in ("float", "complex", "real") and n != "abs")
    compare(dtype, [*grid, grid[0][::-1]], (*INTEGER_SKIP, *floats))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_shifts_by_any_number(dtype):
    """By the width or more, or less than nothing, as NumPy; C leaves that undefined."""
    x, n = (TensorType(dtype, (None,))() for _ in range(2))
    a = np.array([1, -5, 7, -1, 1, 2, 3, 4, 5] * 3).astype(dtype)
    b = np.array([64, -1, 3, 63, 70, 0, -9, 62, 1] * 3).astype(dtype)
    got = symbolic.function([x, n], [x << n, x >> n])(a, b)
    np.testing.assert_array_equal(got[0], a << b)
    np.testing.assert_array_equal(got[1], a >> b)


@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
@pytest.mark.parametrize("to", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_what_no_integer_can_be_is_the_same_in_every_mode(source, to):
    far = [1e19, 2.0**63, 1e300, -1e300, 1.8e19, -2.0**63] if source == "float64" else []
    values = np.array([np.nan, np.inf, -np.inf, 3e4, -3e4, 300.0, -1.5, 2.7, -0.0, *far], source)
    x = TensorType(source, (None,))("x")
    out = cast_to(x, to)
    native, interpreted = (function([x], out, mode=mode)(values) for mode in ("FAST_RUN", "FAST_COMPILE"))
    np.testing.assert_array_equal(native, interpreted)
    wide = values.astype("float64")
    fits = (wide > -2.0**63) & (wide < 2.0**63)
    with np.errstate(all="ignore"):
        want = values[fits].astype("int64").astype(to) if to != "bool" else values[fits] != 0
    np.testing.assert_array_equal(native[fits], want)
    folded = function([], [cast_to(constant(v), to) for v in values])()
    np.testing.assert_array_equal(folded, native)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_integers_to_negative_powers_are_an_error(mode):
    x, y = TensorType("int64", (None,))("x"), TensorType("int8", (None,))("y")
    f = function([x, y], x**y, mode=mode)
    np.testing.assert_array_equal(f([2, -3, 0, 1], [5, 3, 0, 100]), [32, -27, 1, 1])
    with pytest.raises(ValueError, match="pow: an integer can't be raised to the power -1, which gives no integer"):
        f([2, 1], [1, -1])
    np.testing.assert_array_equal(function([x], x.astype("float64") ** -2, mode=mode)([2, 4]), [0.25, 0.0625])
