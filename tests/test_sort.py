"""Sorting, the largest elements, medians and look-ups against NumPy, on both back ends, with derivatives."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.ops.sort import Sort, TopK
from symbolic.types import DTYPES, TensorType

RNG = np.random.default_rng(7)
REAL = [d for d in DTYPES if not d.startswith("complex")]


def draw(shape, dtype):
    """Numbers with many equal ones, and what is special in the dtype."""
    d = np.dtype(dtype)
    if d.kind == "b":
        return RNG.integers(0, 2, shape).astype(bool)
    if d.kind in "iu":
        a = RNG.integers(0, 40, shape).astype(dtype)
        if a.size > 3:
            a.flat[1], a.flat[2] = np.iinfo(d).min, np.iinfo(d).max
        return a
    a = (RNG.integers(-40, 40, shape) / 7).astype(dtype)
    if d.kind == "c":
        a = (a + 1j * RNG.integers(-3, 3, shape)).astype(dtype)
        if a.size > 9:
            a.flat[7:10] = [complex(np.nan, 1), complex(1, np.nan), complex(0, np.nan)]
    if a.size > 6:
        a.flat[:7] = [-0.0, np.nan, np.inf, -np.inf, 0.0, np.copysign(np.nan, -1), np.finfo(d).max]
    return a


def argsort(a, axis=-1):
    return np.argsort(a, axis=axis, kind="stable")


@pytest.mark.parametrize("dtype", DTYPES)
def test_sorting(dtype):
    """Small rows go by insertion, longer ones byte by byte, the longest by longer digits."""
    vectors = [draw((n,), dtype) for n in (0, 1, 2, 7, 64, 65, 300, 9000)]
    matrices = [draw(s, dtype) for s in ((3, 5), (2, 100), (2, 0), (0, 4))]
    v, m = TensorType(dtype, (None,))(), TensorType(dtype, (None, None))()
    f = symbolic.function([v], [T.sort(v), T.argsort(v), v.sort(), v[::-1].argsort()])
    g = symbolic.function([m], [T.sort(m), T.argsort(m), T.sort(m, 0), T.argsort(m, axis=0, kind="stable"), T.sort(m, None),
                                T.argsort(m.T)])
    for a in vectors:
        want = [np.sort(a), argsort(a), np.sort(a), argsort(a[::-1])]
        for got, w in zip(f(a), want, strict=True):
            np.testing.assert_array_equal(got, w)
            assert got.dtype == w.dtype
        for got, w in zip(evaluate(Sort()(v), {v: a}), want[:2], strict=True):
            np.testing.assert_array_equal(got, w)
    for a in matrices:
        want = [np.sort(a), argsort(a), np.sort(a, 0), argsort(a, 0), np.sort(a, None), argsort(a.T)]
        for got, w in zip(g(a), want, strict=True):
            np.testing.assert_array_equal(got, w)


def test_sorting_wide_numbers():
    for dtype in ("int64", "uint64", "float64", "float32", "int32"):
        a = np.frombuffer(RNG.bytes(10000 * np.dtype(dtype).itemsize), dtype)
        v = TensorType(dtype, (None,))()
        f = symbolic.function([v], [T.sort(v), T.argsort(v)])
        for n in (50, 1000, 10000):
            got, places = f(a[:n])
            np.testing.assert_array_equal(got, np.sort(a[:n]))
            np.testing.assert_array_equal(places, argsort(a[:n]))


def naive_topk(a, k):
    """The first of equal ones, by a sort of pairs."""
    nan = np.isnan(a) if a.dtype.kind == "f" else np.zeros(a.shape, bool)
    sign = -1 if k > 0 else 1
    keys = [(sign * bool(n), 0 if n else sign * x.item(), i) for i, (n, x) in enumerate(zip(nan, a, strict=True))]
    return np.array([i for *_, i in sorted(keys)][:abs(k)], "int64")


@pytest.mark.parametrize("dtype", REAL)
def test_the_largest(dtype):
    v, k = TensorType(dtype, (None,))(), T.lscalar()
    outs = [*T.topk_and_argtopk(v, k), *T.topk_and_argtopk(v, k, sorted=False)]
    f, g = symbolic.function([v, k], outs), symbolic.function([v, k], outs, mode="FAST_COMPILE")
    for n, many in ((1, 1), (7, 3), (7, 7), (300, 5), (3000, 700), (3000, 1)):
        a = draw((n,), dtype)
        for kth in (many, -many):
            places = naive_topk(a, kth)
            got, again = f(a, kth), g(a, kth)
            for x, y in zip(got, again, strict=True):
                np.testing.assert_array_equal(x, y)
            np.testing.assert_array_equal(np.sort(got[1]), np.sort(places))
            np.testing.assert_array_equal(got[0], np.sort(a[places])[::-1])
            np.testing.assert_array_equal(got[0], a[got[1]])
            np.testing.assert_array_equal(got[3], np.sort(places))
            np.testing.assert_array_equal(got[2], a[got[3]])


def test_the_largest_along_axes():
    a = RNG.normal(size=(4, 5, 6))
    x, = variables(a)
    got = run([T.topk(x, 2, axis=0), T.argtopk(x, -3, axis=1, idx_dtype="int32"), T.topk(x, 4, axis=None)], {x: a})
    np.testing.assert_array_equal(got[0], np.sort(a, 0)[::-1][:2])
    np.testing.assert_array_equal(got[1], np.argsort(a, 1)[:, 2::-1])
    np.testing.assert_array_equal(got[2], np.sort(a, None)[::-1][:4])
    assert got[1].dtype == "int32"
    assert T.topk(np.ones((2, 5)), 3).type.shape == (2, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool"])
def test_medians(dtype):
    a = draw((3, 4, 5), dtype)
    a = a if a.dtype.kind != "f" else np.where(np.isfinite(a), a, 1).astype(dtype)
    x, = variables(a)
    cases = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}, {"axis": (1, 2), "keepdims": True},
             {"keepdims": True}]
    got = run([T.median(x, **c) for c in cases], {x: a})
    for g, c in zip(got, cases, strict=True):
        want = np.median(a.astype("float64") if dtype == "bool" else a, **c)
        np.testing.assert_allclose(g, want, rtol=1e-6)
        assert g.shape == want.shape
    b = np.array([[1, np.nan, 3], [1, 2, np.inf]])
    y, = variables(b)
    np.testing.assert_array_equal(run([T.median(y, axis=1)], {y: b})[0], [np.nan, 2])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float64"])
def test_looking_up(dtype):
    x, v, order = TensorType(dtype, (None,))(), TensorType(dtype, (None, None))(), T.lvector()
    f = symbolic.function([x, v, order], [T.searchsorted(T.sort(x), v), T.searchsorted(T.sort(x), v, "right"),
                                          T.searchsorted(x, v, sorter=order), x.sort().searchsorted(v[0, 0])])
    g = symbolic.function([x, v], T.searchsorted(T.sort(x), v), mode="FAST_COMPILE")
    for n in (0, 1, 30):
        a, b = draw((n,), dtype), draw((3, 4), dtype)
        s = np.sort(a)
        want = [np.searchsorted(s, b), np.searchsorted(s, b, "right"), np.searchsorted(s, b), np.searchsorted(s, b[0, 0])]
        for got, w in zip(f(a, b, argsort(a)), want, strict=True):
            np.testing.assert_array_equal(got, w)
        np.testing.assert_array_equal(g(a, b), want[0])
    mixed = symbolic.function([x], T.searchsorted(T.constant([0.5, 1.5]), T.cast(x, "float64")))
    np.testing.assert_array_equal(mixed(np.array([0, 1], dtype)), [0, 1])


def test_taking_along_an_axis():
    a, i = RNG.normal(size=(3, 4)), RNG.integers(-4, 4, (3, 6))
    x, k = variables(a, i)
    got = run([T.take_along_axis(x, k, 1), T.take_along_axis(x.T, T.cast(k, "int8").T, 0)], {x: a, k: i})
    np.testing.assert_array_equal(got[0], np.take_along_axis(a, i, 1))
    np.testing.assert_array_equal(got[1], np.take_along_axis(a, i, 1).T)
    central_difference([(T.take_along_axis(x, T.constant(i), 1) ** 3).sum()], {x: a})
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 1 with extent 4"):
        run([T.take_along_axis(x, k, 1)], {x: a, k: i * 0 + 4}, on_error=True)
    with pytest.raises(errors.RankError, match="two arrays of the same rank"):
        T.take_along_axis(x, [1, 2], 1)


SMOOTH = {
    "sort": T.sort, "sort rows": lambda x: T.sort(x, axis=0), "sort all": lambda x: T.sort(x, axis=None),
    "topk": lambda x: T.topk(x, 2), "smallest": lambda x: T.topk(x, -2, axis=0, sorted=False), "median": T.median,
    "medians": lambda x: T.median(x, axis=1), "all of topk": lambda x: T.topk(x, 3, axis=None) * T.topk(x, -3, axis=None),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name):
    a = RNG.permutation(12).reshape(3, 4) + RNG.random((3, 4)) / 2
    x, = variables(a)
    out = SMOOTH[name](x)
    central_difference([(T.sin(out) * (1 + T.arange(out.size)).reshape(out.shape)).sum()], {x: a})


def test_batches_and_loops():
    a = RNG.normal(size=(3, 4))
    x = T.dmatrix("x")
    jacobian = symbolic.jacobian(T.concatenate([T.sort(x[1]), T.topk(x[0], 2)]), x)
    looped, _ = symbolic.scan(lambda row: [T.sort(row), T.argtopk(row, 2)], x)
    place = symbolic.scan(lambda v: T.searchsorted(T.sort(x[0]), v), x[1])[0]
    outs = [jacobian, *looped, place, T.grad((looped[0] ** 3).sum(), x)]
    f, g = symbolic.function([x], outs), symbolic.function([x], outs, mode="FAST_COMPILE")
    for got, want in zip(f(a), g(a), strict=True):
        np.testing.assert_allclose(got, want)
    np.testing.assert_array_equal(f(a)[0][:4, 1], np.eye(4)[np.argsort(a[1])])
    np.testing.assert_array_equal(f(a)[1], np.sort(a))
    np.testing.assert_array_equal(f(a)[3], np.searchsorted(np.sort(a[0]), a[1]))


def test_only_what_is_used_is_computed():
    """Values alone are sorted as keys, without their places."""
    x = T.dvector()
    assert "template_out[] = {p1, 0}" in symbolic.function([x], T.sort(x)).source
    assert "template_out[] = {0, p2}" in symbolic.function([x], T.argsort(x)).source


def test_arguments():
    x, s, z = T.dmatrix("x"), T.dscalar("s"), T.zvector("z")
    with pytest.raises(errors.RankError, match="sort: a scalar has no axis, s"):
        T.sort(s)
    with pytest.raises(errors.RankError, match="axis"):
        T.argsort(x, axis=2)
    for call, text in ((lambda: T.sort(x, kind="bubble"), "kind must be one of"), (lambda: T.sort(x, order="a"), "structured"),
                       (lambda: T.topk(x, 0), "kth can't be 0"),
                       (lambda: T.searchsorted(x[0], x, side="up"), "'left' or 'right'")):
        with pytest.raises(ValueError, match=text):
            call()
    for call in (lambda: T.topk(z, 1), lambda: T.median(z), lambda: T.topk(x, 1, idx_dtype="float32")):
        with pytest.raises(errors.DTypeError, match="no order|integer dtype"):
            call()
    with pytest.raises(errors.RankError, match="expected a sorted vector"):
        T.searchsorted(x, x)
    with pytest.raises(errors.ShapeError, match="5 elements are wanted of 3"):
        TopK(True, 5)(np.ones(3), T.constant(5, dtype="int64"))
    with pytest.raises(errors.ShapeError, match="5 elements are wanted of 3"):
        run([T.topk(x, 5)], {x: np.ones((2, 3))}, on_error=True)
    k = T.lscalar()
    for kth in (4, -4, 2**62, -2**63):
        with pytest.raises(errors.ShapeError, match=r"elements are wanted of 3"):
            run([T.topk(x, k)], {x: np.ones((2, 3)), k: np.array(kth)}, on_error=True)


def test_the_median_of_nothing_is_nan():
    x = TensorType("float64", (None, None))("x")
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        got = symbolic.function([x], [T.median(x), T.median(x, axis=1)], mode=mode)(np.zeros((2, 0)))
        assert np.isnan(got[0]) and got[1].shape == (2,) and np.isnan(got[1]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "uint16", "int8"])
def test_many_of_the_largest(dtype):
    """Few are kept in order, more as candidates, and values alone of many come from sorting all: always the same ones."""
    rng = np.random.default_rng(9)
    x, k = TensorType(dtype, (None, None))("x"), T.lscalar("k")
    f = symbolic.function([x, k], [T.topk(x, k), T.argtopk(x, k), *T.topk_and_argtopk(x, k, sorted=False)])
    values = symbolic.function([x, k], [T.topk(x, k), T.sort(x)])
    plain = symbolic.function([x, k], [T.topk(x, k), T.argtopk(x, k), *T.topk_and_argtopk(x, k, sorted=False)],
                              mode="FAST_COMPILE")
    for n in (1, 64, 128, 129, 1000):
        a = (rng.normal(size=(3, n)) * 20).round().astype(dtype)
        if dtype.startswith("float"):
            a[0, ::3] = np.where(rng.random(a[0, ::3].shape) > 0.5, 0.0, -0.0)
            a[1, ::7], a[2, ::5] = np.nan, np.inf
        for count in sorted({1, 5, 32, 33, n // 33, n // 31, n // 2, n} & set(range(1, n + 1))):
            for signed in (count, -count):
                want = plain(a, signed)
                alone, ordered = values(a, signed)
                for g, w in zip([*f(a, signed), alone, ordered], [*want, want[0], np.sort(a, kind="stable")], strict=True):
                    np.testing.assert_array_equal(g, w)
                    np.testing.assert_array_equal(np.signbit(g) & (g == 0), np.signbit(w) & (w == 0))


def test_half_of_many():
    """Half of many: what is beside them, a k that is data, and equal elements."""
    x = T.fvector("x")
    f = symbolic.function([x], T.argtopk(x, T.cast(x.shape[0] // 2, "int64")))
    for a in (np.random.default_rng(0).normal(size=160_000).astype("float32"), np.tile(np.arange(8, dtype="float32"), 2_000)):
        found = f(a)
        assert len(set(found.tolist())) == a.size // 2
        np.testing.assert_array_equal(np.sort(a[found]), np.sort(a)[a.size // 2:])
