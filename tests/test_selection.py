"""Picking by conditions and numbers: nonzero and its relatives, choose, repeat with numbers known when called."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.types import TensorType

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(5,), (0,), (3, 4), (2, 0), (2, 3, 2)])
@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "complex128"])
def test_nonzero(shape, dtype):
    a = RNG.integers(0, 2, shape).astype(dtype)
    x = TensorType(dtype, (None,) * len(shape))("x")
    outs = [*T.nonzero(x), T.nonzero(x, return_matrix=True), T.flatnonzero(x), T.nonzero_values(x), T.argwhere(x),
            T.extract(x, x), x[x.nonzero()], x.nonzero_values()]
    want = [*np.nonzero(a), np.stack(np.nonzero(a)), np.flatnonzero(a), a[np.nonzero(a)], np.argwhere(a), np.extract(a, a),
            a[a.nonzero()], a[a.nonzero()]]
    for g, w in zip(run(outs, {x: a}), want, strict=True):
        assert g.shape == w.shape and g.dtype == w.dtype
        np.testing.assert_array_equal(g, w)


def test_nan_is_not_zero_and_minus_zero_is():
    x = T.dvector("x")
    np.testing.assert_array_equal(run([T.flatnonzero(x)], {x: np.array([0.0, -0.0, np.nan, 5e-324, -np.inf])})[0], [2, 3, 4])


def test_scalars_have_no_axes():
    with pytest.raises(errors.RankError, match="nonzero: a scalar has no axes"):
        T.nonzero(T.dscalar())


def test_gradients_of_what_was_picked():
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
    x, y = T.dmatrix("x"), T.dmatrix("y")
    central_difference([T.sum(T.sin(T.extract(y > 0, x)) * T.nonzero_values(x * (y > 0))), T.sum(x[y > 0] ** 3 * y[y > 0]),
                        T.sum(T.repeat(x, T.cast(y[:, 0] > 0, "int64") * 2 + 1, 0) ** 3),
                        T.sum(T.choose(T.cast(y > 0, "int64"), [x * x, T.sin(x)]) * y)], {x: a, y: b})


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_choose(mode):
    number = RNG.integers(0, 3, (4, 5)) if mode == "raise" else RNG.integers(-9, 9, (4, 5))
    a, b, c = RNG.normal(size=(4, 5)), RNG.normal(size=(5,)), RNG.normal(size=(4, 1))
    k, table = T.lmatrix("k"), T.dtensor3("table")
    tall = np.stack(np.broadcast_arrays(a, b, c))
    narrow = TensorType("float64", (None, 1, None))("narrow")
    outs = [T.choose(k, [a, b, c], mode=mode), T.choose(k, table, mode=mode), k.choose([1, 2.5, a], mode=mode),
            T.choose(k, narrow, mode=mode)]
    want = [np.choose(number, choices, mode=mode) for choices in ([a, b, c], tall, [1, 2.5, a], tall[:, :1])]
    for g, w in zip(run(outs, {k: number, table: tall, narrow: tall[:, :1]}), want, strict=True):
        assert g.dtype == w.dtype
        np.testing.assert_array_equal(g, w)


def test_choose_refuses():
    k = T.lvector("k")
    for bad in (3, -1):
        with pytest.raises(errors.IndexOutOfBounds, match=f"choose: number {bad} isn't between 0 and 3"):
            run([T.choose(k, [1, 2, 3])], {k: np.array([0, bad])}, on_error=True)
    with pytest.raises(errors.DTypeError, match=r"choose: the first argument must hold integers(.|\n)*T.cast"):
        T.choose(T.dvector(), [1, 2])
    with pytest.raises(ValueError, match="mode must be"):
        T.choose(k, [1, 2], mode="nearest")
    with pytest.raises(errors.ShapeError, match="nothing to choose from"):
        T.choose(k, [])


def test_repeat_with_numbers_known_when_called():
    a, r = RNG.normal(size=(3, 2)), np.array([2, 0, 3])
    x, n = T.dmatrix("x"), T.lvector("n")
    got = run([T.repeat(x, n, 0), T.repeat(x[:, 0], n), T.repeat(x, [1, 2, 0], 0)], {x: a, n: r})
    for g, w in zip(got, [np.repeat(a, r, 0), np.repeat(a[:, 0], r), np.repeat(a, [1, 2, 0], 0)], strict=True):
        np.testing.assert_array_equal(g, w)
    for bad, text in ((np.array([1, -1, 2]), "can't be negative, got -1"), (np.array([1, 2]), "2 numbers were given for axis 0")):
        with pytest.raises(errors.ShapeError, match=text):
            run([T.repeat(x, n, 0)], {x: a, n: bad}, on_error=True)
    with pytest.raises(errors.ShapeError, match="can't be negative, got -2"):
        T.repeat(x, -2)
    with pytest.raises(errors.DTypeError, match="an integer or a vector of integers"):
        T.repeat(x, T.dvector())


def test_a_batch_of_masks_is_refused():
    x = T.dmatrix("x")
    with pytest.raises(errors.NotSupported, match=r"no array(.|\n)*T.switch"):
        T.vectorize(lambda v: v[v > 0], signature="(n)->(m)")(x)


def test_as_in_numpy_of_no_elements():
    x = T.dmatrix("x")
    f = symbolic.function([x], [x[x > 0], T.argwhere(x)])
    assert [v.shape for v in f(np.zeros((0, 3)))] == [(0,), (0, 2)]
