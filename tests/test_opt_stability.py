"""Values and gradients where the formula as written overflows, underflows or cancels: in both precisions, in every mode."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import special

import symbolic
import symbolic.tensor as T
from symbolic.ops.functions import log

BIG = [-1000.0, -90.0, -20.0, -1.0, 0.0, 1e-6, 1.0, 20.0, 90.0, 1000.0]
NEGATIVE = [-1000.0, -90.0, -20.0, -1.0, -0.5, -1e-3, -1e-6]
SMALL = [-1e-3, -1e-6, 1e-30, 1e-6, 1e-3, 0.5]


def sig(x):
    return special.expit(x)


def sech2(x):
    return 4 * sig(2 * x) * sig(-2 * x)


def softplus(x):
    return np.logaddexp(0, x)


@dataclass
class Case:
    """An expression of a vector `x`, with a view `v` between its functions; what it is and what its derivative is."""

    name: str
    build: Any
    value: Any
    slope: Any
    points: list[float]
    views: bool = True


CASES = [
    Case("log(1+exp)", lambda x, v: T.log(1 + v(T.exp(x))), softplus, sig, BIG),
    Case("log(exp+1)", lambda x, v: T.log(v(T.exp(x)) + 1), softplus, sig, BIG),
    Case("log(view(1+exp))", lambda x, v: T.log(v(1 + T.exp(x))), softplus, sig, BIG),
    Case("log1p(exp)", lambda x, v: T.log1p(v(T.exp(x))), softplus, sig, BIG),
    Case("log(3+exp)", lambda x, v: T.log(3 + v(T.exp(x))), lambda x: np.logaddexp(np.log(3), x),
         lambda x: sig(x - np.log(3)), BIG),
    Case("log(sigmoid)", lambda x, v: T.log(v(T.nnet.sigmoid(x))), lambda x: -softplus(-x), lambda x: sig(-x), BIG),
    Case("log(1-sigmoid)", lambda x, v: T.log(1 - v(T.nnet.sigmoid(x))), lambda x: -softplus(x), lambda x: -sig(x), BIG),
    Case("log1p(-sigmoid)", lambda x, v: T.log1p(-v(T.nnet.sigmoid(x))), lambda x: -softplus(x), lambda x: -sig(x), BIG),
    Case("1/(1+exp(-x))", lambda x, v: 1 / (1 + v(T.exp(-x))), sig, lambda x: sig(x) * sig(-x), BIG),
    Case("inv(1+exp(-x))", lambda x, v: (1 + v(T.exp(-x))) ** -1, sig, lambda x: sig(x) * sig(-x), BIG),
    Case("exp/(1+exp)", lambda x, v: T.exp(x) / (1 + T.exp(x)), sig, lambda x: sig(x) * sig(-x), BIG, False),
    Case("2*exp/(1+exp)", lambda x, v: 2 * T.exp(x) / (1 + T.exp(x)), lambda x: 2 * sig(x), lambda x: 2 * sig(x) * sig(-x), BIG,
         False),
    Case("log(1/(1+exp(-x)))", lambda x, v: T.log(v(1 / (1 + T.exp(-x)))), lambda x: -softplus(-x), lambda x: sig(-x), BIG),
    Case("tanh", lambda x, v: (T.exp(x) - T.exp(-x)) / (T.exp(x) + T.exp(-x)), np.tanh, sech2, BIG, False),
    Case("tanh by exp(2x)", lambda x, v: (T.exp(2 * x) - 1) / (T.exp(2 * x) + 1), np.tanh,
         lambda x: sech2(x), BIG, False),
    Case("1-tanh**2", lambda x, v: 1 - v(T.tanh(x)) ** 2, lambda x: sech2(x),
         lambda x: -2 * np.tanh(x) * sech2(x), BIG),
    Case("log(exp)", lambda x, v: T.log(v(T.exp(x))), lambda x: x, np.ones_like, BIG),
    Case("log(2*exp)", lambda x, v: T.log(2 * v(T.exp(x))), lambda x: x + np.log(2), np.ones_like, BIG),
    Case("log(exp**3)", lambda x, v: T.log(v(T.exp(x)) ** 3), lambda x: 3 * x, lambda x: 3 * np.ones_like(x), BIG),
    Case("log(sqrt(exp))", lambda x, v: T.log(T.sqrt(v(T.exp(x)))), lambda x: x / 2, lambda x: np.ones_like(x) / 2, BIG),
    Case("log2(sigmoid)", lambda x, v: T.log2(v(T.nnet.sigmoid(x))), lambda x: -softplus(-x) / np.log(2),
         lambda x: sig(-x) / np.log(2), BIG),
    Case("log(1-exp)", lambda x, v: T.log(1 - v(T.exp(x))), lambda x: np.log(-np.expm1(x)) if np.ndim(x) == 0 else
         np.where(x > -0.69, np.log(-np.expm1(x)), np.log1p(-np.exp(x))), lambda x: -np.exp(x) / -np.expm1(x), NEGATIVE),
    Case("log(clip(sigmoid))", lambda x, v: T.log(T.clip(v(T.nnet.sigmoid(x)), 1e-30, 1)), lambda x: np.maximum(
        -softplus(-x), np.log(1e-30)), lambda x: np.where(-softplus(-x) > np.log(1e-30), sig(-x), 0), BIG),
    Case("log(maximum(sigmoid))", lambda x, v: T.log(T.maximum(v(T.nnet.sigmoid(x)), 1e-30)), lambda x: np.maximum(
        -softplus(-x), np.log(1e-30)), lambda x: np.where(-softplus(-x) > np.log(1e-30), sig(-x), 0), BIG),
    Case("log(1-clip(sigmoid))", lambda x, v: T.log(1 - T.clip(v(T.nnet.sigmoid(x)), 0.125, 0.75)),
         lambda x: np.clip(-softplus(x), np.log(0.25), np.log(0.875)),
         lambda x: np.where((sig(x) > 0.125) & (sig(x) < 0.75), -sig(x), 0), BIG),
    Case("exp-1", lambda x, v: v(T.exp(x)) - 1, np.expm1, np.exp, SMALL),
    Case("1-exp", lambda x, v: 1 - v(T.exp(x)), lambda x: -np.expm1(x), lambda x: -np.exp(x), SMALL),
    Case("log(1+x)", lambda x, v: T.log(1 + v(x)), np.log1p, lambda x: 1 / (1 + x), SMALL),
    Case("log(1-x)", lambda x, v: T.log(1 - v(x)), lambda x: np.log1p(-x), lambda x: -1 / (1 - x), SMALL),
    Case("1-erf", lambda x, v: 1 - v(T.erf(x)), special.erfc, lambda x: -2 / np.sqrt(np.pi) * np.exp(-x * x),
         [-3.0, 0.0, 1.0, 5.0, 8.0]),
    Case("1+erf", lambda x, v: 1 + v(T.erf(x)), lambda x: special.erfc(-x), lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
         [-8.0, -5.0, 0.0, 1.0, 3.0]),
    Case("1-erfc", lambda x, v: 1 - v(T.erfc(x)), special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x), SMALL),
    Case("log(erfc)", lambda x, v: T.log(v(T.erfc(x))), lambda x: np.where(
        x > 0, np.log(special.erfcx(np.maximum(x, 0))) - x * x, np.log(special.erfc(np.minimum(x, 0)))),
         lambda x: -2 / np.sqrt(np.pi) / np.where(x > 0, special.erfcx(np.maximum(x, 0)), special.erfc(np.minimum(x, 0)) * np.exp(
             np.minimum(x, 0) ** 2)), [-5.0, -1.0, 0.0, 1.0, 4.0, 9.0, 11.0, 26.0, 28.0, 100.0, 1000.0]),
    Case("log(x**2)", lambda x, v: T.log(v(x) ** 2), lambda x: 2 * np.log(np.abs(x)), lambda x: 2 / x,
         [-1e-30, 1e-30, 0.5, 1e30, -1e30]),
    Case("log(x**4)", lambda x, v: T.log(v(x) ** 4), lambda x: 4 * np.log(np.abs(x)), lambda x: 4 / x,
         [-1e-30, 1e-30, 0.5, 1e30, -1e30]),
    Case("sqrt(x**2)", lambda x, v: T.sqrt(v(x) ** 2), np.abs, np.sign, [-1e30, -1e-30, 0.0, 1e-30, 1.0, 1e30]),
    Case("x/|x|", lambda x, v: x / T.abs_(x), np.sign, np.zeros_like, [-1e30, -1e-30, 0.0, 1e-30, 1.0], False),
    Case("x*log(x)", lambda x, v: x * T.log(x), lambda x: special.xlogy(x, x),
         lambda x: np.where(x == 0, 0, np.log(np.where(x == 0, 1, x)) + 1), [0.0, 1e-30, 0.5, 2.0], False),
    Case("x**3", lambda x, v: v(x) ** 3, lambda x: x ** 3, lambda x: 3 * x * x, [-2.0, -1e-9, 0.0, 2.0]),
]
VIEWS = {
    "plain": (lambda v: v, lambda a: a),
    "reshape": (lambda v: v.reshape((1, -1)), lambda a: a),
    "dimshuffle": (lambda v: v.dimshuffle(0, "x"), lambda a: a),
    "subtensor": (lambda v: v[::-1], lambda a: a[::-1]),
    "take": (lambda v: v[T.arange(v.shape[0])], lambda a: a),
    "cast": (lambda v: T.cast(v, "float64"), lambda a: a),
}


def close(got, want, dtype, where, loose=1.0):
    # one rounding of an argument of a thousand shifts a result by as much again
    eps = {"float64": 4e-13, "float32": 3e-6}[dtype] * loose
    got, want = np.asarray(got, "float64").ravel(), np.asarray(want, "float64").ravel()
    tiny = {"float64": 1e-300, "float32": 1e-37}[dtype]
    want = np.where(np.abs(want) < tiny, 0, want)
    rough = where.startswith("tanh") or where.startswith("1-tanh") and "slope" in where  # 1 - y*y is as exact as y is
    least = eps if rough else tiny * 10
    np.testing.assert_allclose(np.where(np.abs(got) < tiny, 0, got), want, rtol=eps, atol=least, err_msg=where)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_elementwise_forms(dtype, mode):
    inputs, outputs, expected = [], [], []
    for case in CASES:
        points = np.array(case.points, dtype)
        x = T.TensorType(dtype, (None,))(case.name)
        inputs.append((x, points))
        for name, (view, order) in VIEWS.items():
            if name != "plain" and (not case.views or mode == "FAST_RUN" and name not in ("reshape", "subtensor")):
                continue
            y = case.build(x, view)
            outputs += [y, T.grad(y.sum(), x)]
            wide = points.astype("float64")
            with np.errstate(all="ignore"):
                expected += [(order(case.value(wide)), f"{case.name}, {name}, value"),
                             (case.slope(wide), f"{case.name}, {name}, slope")]
    found = symbolic.function([x for x, _ in inputs], outputs, mode=mode)(*(a for _, a in inputs))
    for got, (want, where) in zip(found, expected, strict=True):
        close(got, want, dtype, where, 40 if "erfc)" in where or "tanh" in where else 1)


def log_softmax(m, axis=-1):
    return m - special.logsumexp(m, axis=axis, keepdims=True)




MATRIX = np.array([[1000.0, -1000.0, 0.0], [-1000.0, -999.0, -1001.0], [90.0, 89.0, 88.0], [0.1, 0.2, 0.3]])
CLASSES = np.array([1, 0, 2, 1])
ONE_HOT = np.eye(3)[CLASSES]
SOFTMAX = special.softmax(MATRIX, axis=-1)
N = len(MATRIX)


def matrix_cases(m, y, t):
    """Return (name, expression, value, gradient of its sum) for logits `m`, classes `y`, one-hot targets `t`."""
    p, e = T.nnet.softmax(m), T.exp(m)
    ls, lse = log_softmax(MATRIX), special.logsumexp(MATRIX, axis=-1)
    zero, picked = 1 - 3 * SOFTMAX, (ONE_HOT - SOFTMAX)
    nll = -(ls * ONE_HOT).sum(-1)
    col = special.softmax(MATRIX, axis=0)
    rows_of = T.arange(m.shape[0])
    q = e / e.sum(axis=1, keepdims=True)
    shifted = T.exp(m - m.max(axis=1, keepdims=True))
    r = shifted / shifted.sum(axis=1, keepdims=True)
    return [
        ("log(softmax)", T.log(p), ls, zero),
        ("log(softmax.reshape)", T.log(p.reshape((-1,))), ls, zero),
        ("log(softmax.T)", T.log(p.T), ls.T, zero),
        ("log(softmax[::-1])", T.log(p[::-1]), ls[::-1], zero),
        ("log(cast(softmax))", T.log(T.cast(p, "float64")), ls, zero),
        ("log(softmax[arange, y])", T.log(p[rows_of, y]), -nll, picked),
        ("log(softmax)[arange, y]", T.log(p)[rows_of, y], -nll, picked),
        ("log(exp/sum)", T.log(q), ls, zero),
        ("log(exp/sum).reshape", T.log(q.reshape((3, 4))), ls, zero),
        ("log(shifted/sum)", T.log(r), ls, zero),
        ("exp/sum", q, SOFTMAX, np.zeros_like(ls)),
        ("exp/sum, axis 0", e / e.sum(axis=0), col, np.zeros_like(ls)),
        ("crossentropy", T.nnet.categorical_crossentropy(p, y), nll, -picked),
        ("crossentropy of reshape", T.nnet.categorical_crossentropy(p.reshape(p.shape), y), nll, -picked),
        ("crossentropy of exp/sum", T.nnet.categorical_crossentropy(q, y), nll, -picked),
        ("crossentropy, one-hot", T.nnet.categorical_crossentropy(p, t), nll, -picked),
        ("crossentropy, one-hot, of exp/sum", T.nnet.categorical_crossentropy(q, t), nll, -picked),
        ("mean of log", -T.mean(T.log(p)[rows_of, y]), nll.mean(), -picked / N),
        ("log(clip(softmax))", T.log(T.clip(p, 1e-7, 1 - 1e-7)), np.clip(ls, np.log(1e-7), np.log(1 - 1e-7)), None),
        ("log(sum(exp))", T.log(e.sum(axis=1)), lse, SOFTMAX),
        ("log(sum(exp)), kept", T.log(e.sum(axis=1, keepdims=True)), lse, SOFTMAX),
        ("log(sum(exp)), axis 0", T.log(e.sum(axis=0)), special.logsumexp(MATRIX, axis=0), col),
        ("log(sum(exp)), all", T.log(e.sum()), special.logsumexp(MATRIX), special.softmax(MATRIX)),
        ("log(sum(exp.reshape))", T.log(e.reshape((2, 6)).sum(axis=1)), special.logsumexp(MATRIX.reshape(2, 6), axis=1),
         special.softmax(MATRIX.reshape(2, 6), axis=1).reshape(4, 3)),
        ("log(mean(exp))", T.log(e.mean(axis=1)), lse - np.log(3), SOFTMAX),
        ("log(mean(exp)), all", T.log(e.mean()), special.logsumexp(MATRIX) - np.log(12), special.softmax(MATRIX)),
        ("log(sum(sigmoid))", T.log(T.nnet.sigmoid(m - 2000).sum(axis=1)), special.logsumexp(MATRIX - 2000, axis=1), None),
        ("log(prod(exp))", T.log(e.prod(axis=1)), MATRIX.sum(axis=1), np.ones_like(ls)),
        ("exp(logsoftmax)", T.exp(T.nnet.logsoftmax(m)), SOFTMAX, np.zeros_like(ls)),
    ]


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows(dtype, mode):
    m, y, t = T.TensorType(dtype, (None, None))("m"), T.lvector("y"), T.TensorType(dtype, (None, None))("t")
    cases = matrix_cases(m, y, t)
    outputs = [v for _, e, _, _ in cases for v in (e, T.grad(e.sum(), m))]
    found = symbolic.function([m, y, t], outputs, mode=mode)(MATRIX.astype(dtype), CLASSES, ONE_HOT.astype(dtype))
    eps = 1e-12 if dtype == "float64" else 3e-5  # 0.1f is off by 1e-9 relative
    for k, (name, _, value, slope) in enumerate(cases):
        np.testing.assert_allclose(np.ravel(found[2 * k]), np.ravel(value), rtol=eps, atol=eps, err_msg=name)
        assert np.isfinite(found[2 * k + 1]).all(), name
        if slope is not None:
            np.testing.assert_allclose(found[2 * k + 1], slope, rtol=eps, atol=eps, err_msg=f"slope of {name}")


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_two_variables_and_corners(dtype, mode):
    a, b, x, z = (T.TensorType(dtype, (None,))(n) for n in "abxz")
    points = np.array([[1000, -1000, 0, 0, 1000, -1000, 40], [-1000, -1000, 0, 1e-3, 999, 1000, 0]], dtype)
    added = T.log(T.exp(a) + T.exp(b))
    log_prod = T.log(x.prod())
    spread = T.mean(z ** 2) - T.mean(z) ** 2
    bce = [a for s in [T.nnet.sigmoid(a)] for a in (
        T.nnet.binary_crossentropy(s, 1.0), T.nnet.binary_crossentropy(s, 0.0), -(0.5 * T.log(s) + 0.5 * T.log(1 - s)))]
    cost = [added.sum(), log_prod, spread, T.sqrt((x * 0).sum()), T.sqrt(T.sum((x * 0) ** 2)), (x * 0).norm(2), (x * 0).norm(3),
            T.std(x * 0), *[v.sum() for v in bce]]
    wrt = [[a, b], [x], [z], [x], [x], [x], [x], [x], [a], [a], [a]]
    outputs = [added, log_prod, spread, *(g for c, w in zip(cost, wrt, strict=True) for g in T.grad(c, w))]
    f = symbolic.function([a, b, x, z], outputs, mode=mode)
    large = (np.random.default_rng(0).normal(size=100) / 2 + 1e4).astype(dtype)
    tiny = np.array([-1e-20, 1e-30, -1e-30, 2e-25], dtype)
    got = f(*points, tiny, large)
    p64 = points.astype("float64")
    close(got[0], np.logaddexp(*p64), dtype, "logaddexp")
    close(got[3], sig(p64[0] - p64[1]), dtype, "logaddexp by a")
    close(got[4], sig(p64[1] - p64[0]), dtype, "logaddexp by b", 20)
    close(got[1], np.log(np.abs(tiny.astype("float64"))).sum(), dtype, "log of prod")
    close(got[5], 1 / tiny.astype("float64"), dtype, "log of prod, slope")
    close(got[2], large.astype("float64").var(), dtype, "var", 1e4 if dtype == "float32" else 1e2)
    close(got[6], 2 * (large.astype("float64") - large.astype("float64").mean()) / 100, dtype, "var, slope", 3e5)
    assert np.isnan(got[7]).all() or not np.isfinite(got[7]).all()  # the root of a plain sum has no slope at 0
    for g in got[8:12]:
        np.testing.assert_array_equal(g, np.zeros(4))
    close(got[12], -sig(-p64[0]), dtype, "bce 1")
    close(got[13], sig(p64[0]), dtype, "bce 0")
    close(got[14], 0.5 * sig(p64[0]) - 0.5 * sig(-p64[0]), dtype, "bce half", 10)


def test_infinities_and_empty_rows():
    m, a, b = T.dmatrix("m"), T.dvector("a"), T.dvector("b")
    f = symbolic.function([m, a, b], [T.log(T.exp(m).sum(axis=1)), T.log(T.exp(a) + T.exp(b))], mode="FAST_COMPILE")
    inf = np.inf
    rows_, added = f([[-inf, -inf], [inf, 0], [-inf, 1]], [inf, -inf, inf, -inf], [inf, -inf, 0, 0])
    np.testing.assert_array_equal(rows_, [-inf, inf, 1])
    np.testing.assert_array_equal(added, [inf, -inf, inf, 0])
    np.testing.assert_array_equal(f(np.zeros((2, 0)), [0.0], [0.0])[0], [-inf, -inf])


def test_negative_products():
    x = T.dmatrix("x")
    f = symbolic.function([x], T.log(x.prod(axis=1)), mode="FAST_COMPILE")
    np.testing.assert_array_equal(f([[-1, -1], [-1, 1], [-1, 0], [2, np.nan]]), [0, np.nan, -np.inf, np.nan])


def test_a_variable_of_wrt_is_not_seen_through():
    m = T.dmatrix("m")
    p = T.nnet.softmax(m)
    g = T.grad(log(p).sum(), p)
    f = symbolic.function([m], [g, 1 / p], mode="FAST_COMPILE")
    found = f(np.zeros((2, 3)))
    np.testing.assert_allclose(found[0], found[1])


def test_loops_are_stable_inside():
    xs = T.dvector("xs")
    ys = symbolic.scan(lambda x: T.log(1 + T.exp(x)), sequences=xs)[0]
    for mode in ("FAST_COMPILE", "FAST_RUN"):
        f = symbolic.function([xs], [ys, T.grad(ys.sum(), xs)], mode=mode)
        value, slope = f([-1000.0, 0.0, 1000.0])
        np.testing.assert_allclose(value, [0, np.log(2), 1000])
        np.testing.assert_allclose(slope, [0, 0.5, 1])


def test_ops_with_a_graph_of_their_own_are_stable_inside():
    x, inner = T.dvector("x"), T.dvector("inner")
    form = symbolic.op_from_graph([inner], [T.log(1 + T.exp(inner))])
    nested = symbolic.op_from_graph([inner], [form(inner) * 1.0])
    outs = [form(x), nested(x), symbolic.checkpoint(T.log(1 + T.exp(x)))]
    outs += [T.grad(y.sum(), x) for y in outs]
    for mode in ("FAST_COMPILE", "FAST_RUN"):
        found = symbolic.function([x], outs, mode=mode)([-1000.0, 0.0, 1000.0])
        for value in found[:3]:
            np.testing.assert_allclose(value, [0, np.log(2), 1000])
        for slope in found[3:]:
            np.testing.assert_allclose(slope, [0, 0.5, 1])


def test_without_stability_the_formula_is_as_written():
    x = T.dvector("x")
    y = T.log(1 + T.exp(x))
    plain = symbolic.Mode("FAST_COMPILE").excluding("stabilize")
    assert np.isinf(symbolic.function([x], y, mode=plain)([1000.0])).all()
    assert np.isfinite(symbolic.function([x], y, mode="FAST_COMPILE")([1000.0])).all()
    with symbolic.config.change_flags(optimizer_excluding="stabilize"):
        assert np.isinf(symbolic.function([x], y)([1000.0])).all()


def test_second_derivatives():
    x = T.dvector("x")
    y = T.log(1 + T.exp(x))
    g = T.grad(T.grad(y.sum(), x).sum(), x)
    h = symbolic.function([x], [g, T.Rop(T.grad(y.sum(), x), x, T.ones_like(x))], mode="FAST_COMPILE")
    for got in h([-1000.0, 0.0, 30.0, 1000.0]):
        np.testing.assert_allclose(got, [0, 0.25, sig(30) * sig(-30), 0], rtol=1e-12)
