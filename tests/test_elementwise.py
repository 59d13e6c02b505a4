"""Every row of the elementwise table: values, special values, shapes, first and second derivatives."""
from __future__ import annotations

import numpy as np
import pytest
from oracles import ELEMENTWISE

import symbolic.ops.operators  # noqa: F401  (installs Python's operators)
from symbolic.codegen.reference import evaluate
from symbolic.graph import Variable, constant
from symbolic.ops.elementwise import ROWS, Elementwise, cast_to
from symbolic.reverse import pullbacks
from symbolic.types import TensorType, is_discrete

#: relative tolerance by the dtype arithmetic runs in; float16 is rounded once from float32
RTOL = {"float16": 1e-3, "float32": 2e-6, "float64": 1e-12, "complex64": 2e-6, "complex128": 1e-12}
BITS = [n for n, r in ROWS.items() if r.kind == "bits"]
REAL = [n for n, r in ROWS.items() if r.kind != "bits"]
SMOOTH = [n for n, r in ROWS.items() if (r.d or r.pullback) and r.kind != "complex"]
RNG_SEED = 20
#: oracles of these have no integer form, or another convention there (documented by Theano's dtype rules)
INTEGERS_TOO = ("add", "sub", "mul", "int_div", "mod", "neg", "abs", "sgn", "sqr", "maximum", "minimum", "eq", "lt",
                "ge", "ceil", "floor", "switch", "true_div", "clip", "second")


def run(name: str, arrays: list[np.ndarray]) -> np.ndarray:
    xs = [Variable(TensorType(a.dtype.name, (None,) * a.ndim)) for a in arrays]
    return evaluate([Elementwise(name)(*xs)], dict(zip(xs, arrays, strict=True)))[0]


def draw(name: str, shapes: list[tuple[int, ...]], dtype: str) -> list[np.ndarray]:
    row, rng = ROWS[name], np.random.default_rng(RNG_SEED)
    out = [np.asarray(rng.uniform(*row.domain, s)).astype(dtype) for s in shapes]
    if row.kind == "switch":
        out[0] = out[0] > np.mean(row.domain)
    return out


def expect(name: str, arrays: list[np.ndarray], dtype: str) -> np.ndarray:
    wide = [a.astype("float64") if a.dtype == "float16" or a.dtype == "float32" else a for a in arrays]
    with np.errstate(all="ignore"):
        return np.asarray(ELEMENTWISE[name](*wide)).astype(dtype)


def test_every_row_names_an_independent_oracle():
    assert set(ELEMENTWISE) == set(ROWS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", REAL)
def test_values(name, dtype):
    nin = ROWS[name].nin
    for shape in [(), (0,), (7,), (3, 4)]:
        arrays = draw(name, [shape] * nin, dtype)
        got = run(name, arrays)
        assert got.shape == shape
        # arguments are rounded to dtype before either side sees them, so only the arithmetic differs
        rtol = 0 if is_discrete(got.dtype.name) else RTOL[got.dtype.name]
        np.testing.assert_allclose(got, expect(name, arrays, got.dtype.name), rtol=rtol * 8, atol=rtol)


@pytest.mark.parametrize("name", [n for n in REAL if ROWS[n].nin > 1])
def test_broadcast_and_strides(name):
    nin = ROWS[name].nin
    arrays = draw(name, [(3, 1), (4,), (3, 4)][:nin], "float64")
    np.testing.assert_allclose(run(name, arrays), expect(name, arrays, run(name, arrays).dtype.name), rtol=1e-12)
    views = [np.repeat(a, 2, axis=-1)[..., ::-2] for a in draw(name, [(3, 4)] * nin, "float64")]
    np.testing.assert_allclose(run(name, views), expect(name, views, run(name, views).dtype.name), rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in REAL if ROWS[n].nin == 1])
def test_special_values(name):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-300, -1e-300, 700.0, -700.0])
    if name == "gammaln":
        x = x[x != -np.inf]  # no limit exists: C99 F.9.5.3 says inf, SciPy -inf
    got, want = run(name, [x]), expect(name, [x], run(name, [x]).dtype.name)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "uint64"])
@pytest.mark.parametrize("name", BITS + list(INTEGERS_TOO))
def test_integers(name, dtype):
    if dtype == "bool" and name in ("sub", "neg", "sgn", "left_shift", "right_shift", "int_div", "mod"):
        pytest.skip("not defined for bool")
    rng = np.random.default_rng(RNG_SEED)
    low = 0 if np.dtype(dtype).kind in "bu" or "shift" in name else -5
    arrays = [rng.integers(low, 2 if dtype == "bool" else 6, 50).astype(dtype) for _ in range(ROWS[name].nin)]
    got = run(name, arrays)
    with np.errstate(all="ignore"):
        want = ELEMENTWISE[name](*arrays)
    if name == "true_div":
        assert got.dtype == "float64"  # floatX
        np.testing.assert_allclose(got, want.astype(got.dtype), rtol=1e-6 if got.dtype == "float32" else 1e-15)
    else:
        np.testing.assert_array_equal(got, np.asarray(want).astype(got.dtype))


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name):
    """Pullback against central differences in a random direction, then the pullback of the pullback."""
    row = ROWS[name]
    arrays = draw(name, [(3, 4)] * row.nin, "float64")
    xs = [Variable(TensorType(a.dtype.name, (None, None)), name=f"x{k}") for k, a in enumerate(arrays)]
    y = Elementwise(name)(*xs)
    check_pullback(y, xs, arrays)
    if name in ("psi",):
        return  # tri_gamma has no derivative row
    g = constant(np.random.default_rng(1).normal(size=(3, 4)))
    first = pullbacks({y: g}, xs)
    for x in xs:
        if x in first and not is_discrete(x.dtype):
            check_pullback(first[x], xs, arrays, tolerance=1e-5)


def check_pullback(y: Variable, xs: list[Variable], arrays: list[np.ndarray], tolerance: float = 1e-6) -> None:
    rng = np.random.default_rng(3)
    shape = evaluate([y], dict(zip(xs, arrays, strict=True)))[0].shape
    g = rng.normal(size=shape)
    direction = [rng.normal(size=a.shape) if a.dtype.kind == "f" else np.zeros_like(a) for a in arrays]
    found = pullbacks({y: constant(g)}, xs)
    wanted = [x for x in xs if x in found]
    grads = evaluate([found[x] for x in wanted], dict(zip(xs, arrays, strict=True)))
    by_variable = dict(zip(wanted, grads, strict=True))
    inner = sum(float(np.sum(by_variable[x] * d)) for x, d in zip(xs, direction, strict=True) if x in by_variable)
    h = 1e-6
    up, down = ([a + s * h * d if a.dtype.kind == "f" else a for a, d in zip(arrays, direction, strict=True)]
                for s in (1, -1))
    rise = evaluate([y], dict(zip(xs, up, strict=True)))[0] - evaluate([y], dict(zip(xs, down, strict=True)))[0]
    central = float(np.sum(g * rise)) / (2 * h)
    assert inner == pytest.approx(central, rel=tolerance, abs=tolerance * max(1.0, float(np.abs(g).sum())))


def test_gradient_sums_over_broadcast_axes():
    x, b = Variable(TensorType("float64", (None, None))), Variable(TensorType("float64", (None,)))
    y = x * b
    a, v, g = np.arange(6.0).reshape(2, 3), np.array([1.0, 2, 3]), np.ones((2, 3))
    found = pullbacks({y: constant(g)}, [x, b])
    gx, gb = evaluate([found[x], found[b]], {x: a, b: v})
    np.testing.assert_allclose(gx, np.broadcast_to(v, (2, 3)))
    np.testing.assert_allclose(gb, a.sum(0))


def test_gradient_sums_where_an_unknown_extent_is_one():
    x, b = (Variable(TensorType("float64", (None, None))) for _ in range(2))
    found = pullbacks({x * b: constant(np.ones((4, 3)))}, [b])
    gb, = evaluate([found[b]], {x: np.arange(12.0).reshape(4, 3), b: np.ones((1, 3))})
    np.testing.assert_allclose(gb, [[18, 22, 26]])


def test_python_numbers_are_weak():
    x = Variable(TensorType("float32", (None,)))
    assert (x * 0.1).dtype == "float32"
    assert (x + np.float64(1)).dtype == "float64"
    assert (Variable(TensorType("uint8", ())) + 1).dtype == "uint8"


def test_mask_keeps_nan_of_the_other_arm_out_of_the_gradient():
    x = Variable(TensorType("float64", (None,)))
    y = ROWS["switch"](x > 0, ROWS["log"](x), 0.0)
    g, = evaluate([pullbacks({y: constant(np.ones(2))}, [x])[x]], {x: np.array([2.0, 1.0])})
    np.testing.assert_allclose(g, [0.5, 1.0])


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda x: x + Variable(TensorType("float64", (4,))), ValueError, "extents 3 and 4"),
    (lambda x: x & x, TypeError, "needs integers or bools"),
    (lambda x: x + "a", TypeError, "can't make a tensor of 'a'"),
    (lambda x: -(x > 0), TypeError, "negation isn't defined for bool"),
    (lambda x: cast_to(x, "complex64") < 1, TypeError, "isn't defined for complex"),
    (lambda x: bool(x > 0), TypeError, "no truth value"),
])
def test_errors_say_what_came_and_where(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make(Variable(TensorType("float64", (3,)), name="x"))
    if "truth" not in text:
        assert "test_elementwise.py" in str(caught.value)


def test_a_long_chain_evaluates_and_differentiates_without_recursion():
    x = Variable(TensorType("float64", ()))
    y = x
    for _ in range(20_000):
        y = y + x
    g = pullbacks({y: constant(1.0)}, [x])[x]
    value, slope = evaluate([y, g], {x: np.array(2.0)})
    assert (value, slope) == (40_002.0, 20_001.0)
