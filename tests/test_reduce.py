"""Reductions and array shapes: interpreter and native code against NumPy, derivatives against differences."""
from __future__ import annotations

import pickle

import numpy as np
import pytest
from oracles import REDUCTIONS
from test_elementwise import check_pullback

import symbolic
from symbolic.codegen.reference import evaluate
from symbolic.graph import Variable
from symbolic.ops import create, diagonal, join, reduce
from symbolic.ops.functions import log
from symbolic.ops.nnet import categorical_crossentropy, softmax
from symbolic.types import TensorType

AXES = [None, 0, 1, 2, -1, (0, 2), (1, 2), (0, 1), ()]
ORACLES = {**REDUCTIONS, "mean": np.mean, "var": np.var, "std": np.std}


def test_every_reduction_names_an_independent_oracle():
    assert set(REDUCTIONS) == set(reduce.REDUCTIONS)


def tensor(ndim: int, dtype: str = "float64", name: str = "x") -> Variable:
    return Variable(TensorType(dtype, (None,) * ndim), name=name)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "bool"])
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_reductions_over_every_choice_of_axes(mode, dtype):
    x = tensor(3, dtype)
    rng = np.random.default_rng(0)
    a = (rng.normal(size=(3, 4, 5)) * 2).astype(dtype)
    cases = [(name, axis, keep) for name in ORACLES for axis in AXES for keep in (False, True)
             if not (axis == () and name in ("var", "std")) and not (keep and axis == ())]
    outs = [getattr(reduce, name)(x, axis=axis, keepdims=keep) for name, axis, keep in cases]
    got = symbolic.function([x], outs, mode=mode)(a)
    for (name, axis, keep), g in zip(cases, got, strict=True):
        operand = a.astype("float64") if dtype == "float32" else a
        want = ORACLES[name](operand, axis=axis, keepdims=keep)
        assert g.shape == want.shape
        np.testing.assert_allclose(g, want, rtol=2e-5 if g.dtype == "float32" else 1e-12, err_msg=f"{name} {axis}")


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_arg_reductions_and_nan(mode):
    x = tensor(2)
    a = np.array([[1.0, 3, 3], [np.nan, 5, np.nan], [-1, -2, -3]])
    f = symbolic.function([x], [reduce.argmax(x, 1), reduce.argmin(x, 0), reduce.argmax(x), reduce.max(x, 1),
                                reduce.min(x, 0)], mode=mode)
    got = f(a)
    for g, want in zip(got, [np.argmax(a, 1), np.argmin(a, 0), np.argmax(a), np.max(a, 1), np.min(a, 0)], strict=True):
        np.testing.assert_array_equal(g, want)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_empty_axes(mode):
    x = tensor(2)
    f = symbolic.function([x], [x.sum(0), x.prod(0), x.any(0)], mode=mode)
    s, p, a = f(np.zeros((0, 3)))
    np.testing.assert_array_equal([s, p, a], [[0] * 3, [1] * 3, [0] * 3])
    with pytest.raises(ValueError, match="max of no elements"):
        symbolic.function([x], x.max(0), mode=mode)(np.zeros((0, 3)))


def test_float32_sum_of_ten_million_does_not_drift():
    x = tensor(1, "float32")
    f = symbolic.function([x], x.sum())
    a = np.full(10_000_000, 0.1, "float32")
    assert float(f(a)) == pytest.approx(a.astype("float64").sum(), rel=1e-7)


@pytest.mark.parametrize("build", [
    lambda x: x.sum(0), lambda x: x.mean(), lambda x: x.var(1), lambda x: x.prod(1), lambda x: x.max(1),
    lambda x: reduce.logsumexp(x, 1), lambda x: softmax(x), lambda x: log(softmax(x)), lambda x: x.T.dot(x),
    lambda x: x.reshape((-1,)), lambda x: join.concatenate([x, x * 2], 1), lambda x: join.stack([x, x * x]),
    lambda x: x.dimshuffle(1, "x", 0), lambda x: x[1:, ::-1], lambda x: x.flatten(),
])
def test_derivatives(build):
    x = tensor(2)
    check_pullback(build(x), [x], [np.random.default_rng(5).uniform(0.5, 2, size=(3, 4))])


def test_gradient_of_a_product_with_zeros():
    x = tensor(1)
    g = symbolic.grad(x.prod(), x)
    f = symbolic.function([x], g)
    np.testing.assert_array_equal(f(np.array([2.0, 0, 3])), [0, 6, 0])
    np.testing.assert_array_equal(f(np.array([0.0, 0, 3])), [0, 0, 0])


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_shape_ops(mode):
    x, n = tensor(2), Variable(TensorType("int64", ()), name="n")
    a = np.arange(12.0).reshape(3, 4)
    cases = [
        (x.T, a.T), (x.reshape((2, -1)), a.reshape(2, -1)), (x.shape, [3, 4]), (x.shape[0] * 2, 6),
        (x.dimshuffle("x", 1, 0), a.T[None]), (join.stack([x, x], axis=1), np.stack([a, a], 1)),
        (join.concatenate([x, x[:1]], 0), np.concatenate([a, a[:1]])), (x.reshape((x.shape[1], x.shape[0])) + 0,
                                                                         a.reshape(4, 3)),
        (create.arange(n), np.arange(5)), (create.zeros((n, 2)), np.zeros((5, 2))), (diagonal.eye(n, 3, 1),
                                                                                     np.eye(5, 3, 1)),
        (x[:, 1], a[:, 1]), (x[-1, ::2], a[-1, ::2]), (x.flatten(), a.ravel()), (x.swapaxes(0, 1), a.T),
    ]
    got = symbolic.function([x, n], [c for c, _ in cases], mode=mode)(a, 5)
    for k, (g, (_, want)) in enumerate(zip(got, cases, strict=True)):
        np.testing.assert_array_equal(g, want, err_msg=str(k))


@pytest.mark.parametrize(("make", "text"), [
    (lambda x: x.sum(2), "axis 2 is out of range for 2 dimensions"),
    (lambda x: x.sum((0, 0)), "stands twice"),
    (lambda x: x.dimshuffle(0), "axis 1 can't be dropped"),
    (lambda x: join.concatenate([x, x[0]]), "different rank"),
    (lambda x: x.reshape((-1, -1)), "at most one extent may be -1"),
])
def test_errors(make, text):
    with pytest.raises(ValueError, match=text) as caught:
        make(tensor(2))
    assert "test_reduce.py" in str(caught.value)


def test_what_is_left_of_no_elements_is_nothing():
    x = TensorType("float64", (0, 2, 3))()
    assert x.reshape((-1, 3)).type.shape == (0, 3)
    assert symbolic.function([x], x.reshape((x.shape[1], -1)))(np.zeros((0, 2, 3))).shape == (2, 0)


def test_reshape_to_another_size_fails_at_run_time():
    x = tensor(2)
    f = symbolic.function([x], x.reshape((5, 2)))
    with pytest.raises(ValueError, match="12 elements can't be arranged in a shape of 10"):
        f(np.zeros((3, 4)))


def network(mode: str):
    rng = np.random.default_rng(0)
    x, y = tensor(2, "float32"), tensor(1, "int64", "y")
    w = [symbolic.shared(v.astype("float32")) for v in
         (rng.normal(size=(6, 8)) * 0.5, np.zeros(8), rng.normal(size=(8, 3)) * 0.5, np.zeros(3))]
    h = symbolic.ops.functions.maximum(x.dot(w[0]) + w[1], 0)
    loss = categorical_crossentropy(softmax(h.dot(w[2]) + w[3]), y).mean()
    updates = [(p, p - 0.5 * g) for p, g in zip(w, symbolic.grad(loss, w), strict=True)]
    return symbolic.function([x, y], loss, updates=updates, mode=mode), w, (x, y, loss)


def numpy_step(w, x, y, rate=0.5):
    w1, b1, w2, b2 = w
    a = x @ w1 + b1
    h = np.maximum(a, 0)
    s = h @ w2 + b2
    e = np.exp(s - s.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    gs = p.copy()
    gs[np.arange(len(y)), y] -= 1
    gs /= len(y)
    gh = gs @ w2.T * (a > 0)
    return loss, [w1 - rate * x.T @ gh, b1 - rate * gh.sum(0), w2 - rate * h.T @ gs, b2 - rate * gs.sum(0)]


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "CHECK"])
def test_the_lecture_net_steps_as_written_in_numpy(mode):
    train, w, _ = network(mode)
    rng = np.random.default_rng(1)
    a, t = rng.normal(size=(20, 6)).astype("float32"), rng.integers(0, 3, 20)
    mine = [p.get_value().astype("float64") for p in w]
    for _ in range(5):
        loss, mine = numpy_step(mine, a.astype("float64"), t)
        assert float(train(a, t)) == pytest.approx(loss, rel=1e-4)
    for p, want in zip(w, mine, strict=True):
        np.testing.assert_allclose(p.get_value(), want, rtol=1e-3, atol=1e-4)


def test_a_target_out_of_range_is_an_error_and_changes_nothing():
    train, w, _ = network("FAST_RUN")
    before = [p.get_value() for p in w]
    with pytest.raises(IndexError):
        train(np.ones((2, 6), "float32"), np.array([0, 3]))
    for p, old in zip(w, before, strict=True):
        np.testing.assert_array_equal(p.get_value(), old)


def test_extreme_logits_stay_finite():
    x = tensor(2, "float32")
    y = tensor(1, "int64", "y")
    loss = categorical_crossentropy(softmax(x), y).sum()
    g = symbolic.grad(loss, x)
    a = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], "float32")
    value, slope = symbolic.function([x, y], [loss, g])(a, np.array([1, 0]))
    assert np.isfinite(value) and float(value) == pytest.approx(4e4 + np.log(2), rel=1e-6)
    np.testing.assert_allclose(slope, [[1, -1, 0], [-1, 0.5, 0.5]], atol=1e-6)
    assert np.isfinite(evaluate([g], {x: a, y: np.array([1, 0])})[0]).all()


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_compositions(mode):
    x = tensor(3)
    a = np.random.default_rng(2).normal(size=(3, 4, 5)) + 1e4
    cases = [
        (x.var((0, 2), ddof=1), a.var((0, 2), ddof=1)), (x.var(1, corrected=True), a.var(1)), (x.ptp(1), np.ptp(a, 1)),
        (x.norm(2), np.sqrt((a**2).sum())), (x.norm(1, 0), np.abs(a).sum(0)), (x.norm(0, 1), (a != 0).sum(1)),
        (x.norm(np.inf, 2), np.abs(a).max(2)), (x.norm(-np.inf), np.abs(a).min()),
        (x.norm(3, 1, keepdims=True), (np.abs(a)**3).sum(1, keepdims=True)**(1 / 3)),
        (x.argmax((0, 2)), a.transpose(1, 0, 2).reshape(4, -1).argmax(1)), (x.argmin(keepdims=True),
                                                                        a.argmin().reshape(1, 1, 1)),
        (reduce.max_and_argmax(x, 1)[1], a.argmax(1)),
        (reduce.logsumexp(x, 1, keepdims=True), np.log(np.exp(a - 1e4).sum(1, keepdims=True)) + 1e4),
        (x.sum(0, dtype="float32"), a.sum(0)), (x.sum(0, acc_dtype="float32"), a.sum(0)),
    ]
    got = symbolic.function([x], [c for c, _ in cases], mode=mode)(a)
    for k, (g, (c, want)) in enumerate(zip(got, cases, strict=True)):
        np.testing.assert_allclose(g, want, rtol=1e-5 if k >= 13 or k < 2 else 1e-12, err_msg=f"{k}: {c}")
    assert got[13].dtype == "float32" and got[14].dtype == "float64"


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "uint64", "float16", "float32", "complex64"])
def test_result_dtypes(dtype):
    x, a = tensor(1, dtype), np.ones(3, dtype)
    assert x.sum().dtype == np.sum(a).dtype == x.prod().dtype
    assert x.mean().dtype == np.mean(a).dtype
    assert x.any().dtype == "bool"


def test_float16_counts_and_squares_do_not_overflow():
    x = tensor(1, "float16")
    mean, var = symbolic.function([x], [x.mean(), x.var()])(np.tile(np.array([500, 700], "float16"), 50_000))
    assert (mean, var) == (600, 10_000) and mean.dtype == var.dtype == "float16"


def test_logsumexp_of_infinities():
    x = tensor(2)
    f = symbolic.function([x], reduce.logsumexp(x, 1))
    inf = np.inf
    np.testing.assert_array_equal(f(np.array([[-inf, -inf], [inf, 1.0], [-inf, 2.0]])), [-inf, inf, 2.0])


def test_second_derivative_of_a_product():
    x = tensor(1)
    g = symbolic.grad(x.prod(), x)
    v = np.array([0.3, -1.0, 2.0])
    h = symbolic.grad((g * v).sum(), x)
    a = np.array([1.5, 2, 3])
    want = [sum(v[j] * np.prod(np.delete(a, [i, j])) for j in range(3) if j != i) for i in range(3)]
    np.testing.assert_allclose(evaluate([h], {x: a})[0], want)


@pytest.mark.parametrize("a", [[2, 3, 0], [2, 0, 0], [0, 0, 0], [1, 2, 3], [2, 0, 3, 4]])
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_derivatives_of_a_product_with_zeros_to_third_order(a, mode):
    x = tensor(1)
    first = symbolic.grad(x.prod(), x)
    second = symbolic.grad(first.sum(), x)
    third = symbolic.grad((second**2).sum(), x)
    f = symbolic.function([x], [first, second, third], mode=mode)
    a = np.array(a, float)
    n = range(len(a))
    np.testing.assert_allclose(f(a)[0], [np.prod(np.delete(a, i)) for i in n])
    np.testing.assert_allclose(f(a)[1], [sum(np.prod(np.delete(a, [i, j])) for j in n if j != i) for i in n])
    step = 1e-5 * np.eye(len(a))
    central = [((f(a + e)[1] ** 2).sum() - (f(a - e)[1] ** 2).sum()) / 2e-5 for e in step]
    np.testing.assert_allclose(f(a)[2], central, atol=1e-6 * max(1, np.abs(central).max()))


def test_second_derivative_of_a_product_over_outer_and_inner_axes():
    x = tensor(3)
    g = symbolic.grad(x.prod(axis=(0, 2)).sum(), x)
    f = symbolic.function([x], [(g**2).sum(), symbolic.grad((g**2).sum(), x)])
    a = np.random.default_rng(0).integers(-2, 3, size=(2, 3, 2)).astype(float)
    want = np.zeros_like(a)
    for i in np.ndindex(a.shape):
        up, down = a.copy(), a.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        want[i] = (f(up)[0] - f(down)[0]) / 2e-5
    np.testing.assert_allclose(f(a)[1], want, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize("name", REDUCTIONS)
def test_functions_of_reductions_are_pickled(name):
    x = tensor(2)
    f = symbolic.function([x], getattr(reduce, name)(x, axis=0))
    a = np.arange(1.0, 7.0).reshape(2, 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(f))(a), f(a))
