"""Softmax, cross-entropies and activations against SciPy, on both back ends."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run, variables
from scipy import special

from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.function import function
from symbolic.gradient import grad
from symbolic.graph import Variable, constant
from symbolic.ops import activation
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import log, mul, sigmoid, sub
from symbolic.ops.nnet import (
    CrossentropyIndex,
    Softmax,
    binary_crossentropy,
    categorical_crossentropy,
    crossentropy_categorical_1hot,
    crossentropy_softmax_1hot,
    crossentropy_softmax_1hot_with_bias,
    log_softmax,
    logsoftmax,
    sigmoid_binary_crossentropy,
    softmax,
    softmax_graph,
)
from symbolic.ops.reduce import sum as sum_of
from symbolic.types import TensorType

RNG = np.random.default_rng(5)
RTOL = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12}
SHAPES = [((5,), 0), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1), ((2, 3, 4), -1), ((2, 2, 3, 2), -3), ((0, 4), 1),
          ((3, 1), 1), ((1,), 0)]
HUGE = np.array([[1e4, -1e4, 0, 5], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, 9999, -3], [88, 89, -104, 0]])


def both(outputs, values, rtol=1e-6, atol=0.0):
    """Compute with functions of both modes, whose graphs are put in a stable form first; return the interpreter's results."""
    fast, slow = (function(list(values), list(outputs), mode=m, on_unused_input="ignore")(*values.values())
                  for m in ("FAST_RUN", "FAST_COMPILE"))
    for a, b in zip(fast, slow, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    return slow


def nll(x, y):
    """Return the cross-entropy of logits and classes in long double."""
    x = x.astype("longdouble")
    shifted = x - x.max(-1, keepdims=True)
    picked = np.take_along_axis(shifted, y[..., None].astype("int64"), -1)[..., 0]
    return np.log(np.exp(shifted).sum(-1)) - picked


# ------------------------------------------------------------------------------------------- softmax


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_softmax(dtype):
    outs, want, values = [], [], {}
    for shape, axis in SHAPES:
        a = RNG.normal(size=shape).astype(dtype)
        x, = variables(a)
        values[x] = a
        outs += [softmax(x, axis), logsoftmax(x, axis)]
        want += [special.softmax(a.astype("float64"), axis), special.log_softmax(a.astype("float64"), axis)]
    for o, g, w in zip(outs, run(outs, values), want, strict=True):
        assert (o.dtype, g.shape) == (dtype, w.shape)
        np.testing.assert_allclose(g, w, rtol=RTOL[dtype], atol=RTOL[dtype])


def test_integers_become_floats():
    x = TensorType("int64", (None, 3))("x")
    a = np.array([[1, 2, 3]])
    np.testing.assert_allclose(evaluate([softmax(x)], {x: a})[0], special.softmax(a, -1), rtol=1e-12)


def test_softmax_axes():
    x = TensorType("float64", (None, 3))("x")
    assert softmax(x).owner.op == softmax(x, 1).owner.op == Softmax(1) != Softmax(0)
    with pytest.raises(errors.RankError, match=r"softmax: axis 2 is out of range, x \(float64"):
        softmax(x, 2)
    with pytest.raises(errors.RankError, match="a scalar has no axis"):
        logsoftmax(1.0)
    with pytest.raises(errors.DTypeError, match="expected real values, got complex64"):
        softmax(TensorType("complex64", (3,))("c"))
    assert log_softmax is logsoftmax


def test_softmax_graph():
    a = RNG.normal(size=(3, 4))
    x, = variables(a)
    y = softmax_graph(x)
    assert not isinstance(y.owner.op, Softmax)
    np.testing.assert_allclose(evaluate([y], {x: a})[0], special.softmax(a, -1), rtol=1e-12)


def test_extreme_logits():
    a = HUGE.astype("float32")
    y = np.array([1, 0, 3, 2])
    x, = variables(a)
    k = TensorType("int64", (None,))("k")
    ce = categorical_crossentropy(softmax(x), k)
    outs = [softmax(x), logsoftmax(x), ce, grad(sum_of(ce), x), grad(sum_of(logsoftmax(x)), x),
            grad(sum_of(log(softmax(x))), x)]
    p, lp, c, g, glp, glp2 = both(outs, {x: a, k: y}, 2e-6, 1e-6)
    want = special.softmax(HUGE, -1)
    np.testing.assert_allclose(p, want, rtol=2e-6, atol=1e-37)
    np.testing.assert_allclose(lp, special.log_softmax(HUGE, -1), rtol=2e-6, atol=1e-6)
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        np.testing.assert_allclose(function([x], log(softmax(x)), mode=mode)(a), lp, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(c, nll(HUGE, y).astype("float64"), rtol=2e-6)
    np.testing.assert_allclose(g, want - np.eye(4)[y], rtol=2e-6, atol=1e-37)
    np.testing.assert_allclose(glp, 1 - 4 * want, rtol=4e-6, atol=1e-6)
    np.testing.assert_allclose(glp, glp2, rtol=2e-6, atol=1e-6)


def test_infinite_logits():
    x = TensorType("float32", (None, None))("x")
    a = np.array([[-np.inf, 0, 1], [-np.inf, -np.inf, 2]], "float32")
    np.testing.assert_allclose(evaluate([softmax(x)], {x: a})[0], special.softmax(a, -1), rtol=1e-6)
    np.testing.assert_allclose(evaluate([logsoftmax(x)], {x: a})[0], special.log_softmax(a, -1), rtol=1e-6)
    k = constant(np.array([2, 2]))
    np.testing.assert_allclose(evaluate([CrossentropyIndex()(x, k)], {x: a})[0], nll(a, k.data).astype("f"), rtol=1e-6)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_log_takes_the_stable_form(mode):
    x = TensorType("float32", (None, 4))("x")
    a = np.array([[-200, -90, 90, 200]], "float32")
    outs = [log(sigmoid(x)), log(1 - sigmoid(x)), log(sub(1.0, sigmoid(x))), grad(sum_of(log(sigmoid(x))), x), log(x)]
    *got, plain = function([x], outs, mode=mode)(a)
    wide = a.astype("longdouble")
    want = [-np.logaddexp(0, -wide), -np.logaddexp(0, wide), -np.logaddexp(0, wide), special.expit(-a.astype("d"))]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w.astype("float64"), rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(plain[a > 0], np.log(a[a > 0]), rtol=1e-6)
    assert log(2.0).dtype == "float64"


def test_the_gradient_with_respect_to_a_softmax_is_that_of_the_logarithm():
    """The logarithm isn't looked through where its argument is what is asked for."""
    x = TensorType("float64", (None, None))("x")
    p = softmax(x)
    a = RNG.normal(size=(2, 3))
    slope = function([x], grad(sum_of(log(p)), p))(a)
    np.testing.assert_allclose(slope, 1 / special.softmax(a, -1), rtol=1e-12)


# ------------------------------------------------------------------------------------ cross-entropies


@pytest.mark.parametrize("classes", ["int8", "int32", "uint8", "int64"])
def test_crossentropy_of_classes(classes):
    outs, want, values = [], [], {}
    for shape in ((5, 3), (3,), (2, 4, 3), (0, 3), (1, 1)):
        a, y = RNG.normal(size=shape), RNG.integers(0, shape[-1], shape[:-1]).astype(classes)
        x, k = variables(a, np.asarray(y))
        values.update({x: a, k: y})
        outs += [CrossentropyIndex()(x, k), categorical_crossentropy(softmax(x), k),
                 categorical_crossentropy(softmax(x, 0) if len(shape) == 1 else softmax_graph(x), k)]
        want += [nll(a, np.asarray(y))] * 3
    for g, w in zip(run(outs, values), want, strict=True):
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w.astype("float64"), rtol=1e-12, atol=1e-14)


def test_crossentropy_of_distributions():
    a, t = RNG.normal(size=(4, 3)), special.softmax(RNG.normal(size=(4, 3)), -1)
    x, d = variables(a, t)
    got = run([categorical_crossentropy(softmax(x), d), categorical_crossentropy(softmax_graph(x), d)], {x: a, d: t})
    for g in got:
        np.testing.assert_allclose(g, -(t * special.log_softmax(a, -1)).sum(-1), rtol=1e-12)
    b = HUGE.astype("float32")
    x = TensorType("float32", (None, None))("x")
    g, = both([categorical_crossentropy(softmax(x), np.eye(4, dtype="float32"))], {x: b})
    assert np.isfinite(g).all()


def test_theano_names():
    a, y = RNG.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    x, k = variables(a, y)
    loss, p = crossentropy_softmax_1hot(x, k)
    biased, _ = crossentropy_softmax_1hot_with_bias(x, np.array([1.0, 2.0, 3.0]), k)
    got = evaluate([loss, p, biased, crossentropy_categorical_1hot(p, k)], {x: a, k: y})
    want = [nll(a, y), special.softmax(a, -1), nll(a + [1, 2, 3], y), nll(a, y)]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w.astype("float64"), rtol=1e-12)


@pytest.mark.parametrize("bad", [3, -1, -4, 10**6])
def test_class_out_of_range(bad):
    x, k, p = TensorType("float64", (None, 3))("x"), TensorType("int64", (None,))("k"), TensorType("float64", (None, None))("p")
    loss = categorical_crossentropy(softmax(x), k)
    values = {x: np.zeros((2, 3)), k: np.array([0, bad]), p: np.full((2, 3), 0.5)}
    for out in (loss, grad(sum_of(loss), x), categorical_crossentropy(p, k), grad(sum_of(categorical_crossentropy(p, k)), p)):
        with pytest.raises(errors.IndexOutOfBounds, match=f"index {bad} is out of bounds for 3 classes"):
            run([out], values, on_error=True)


def test_crossentropy_refuses():
    x, k = TensorType("float64", (5, 3))("x"), TensorType("int64", (4,))("k")
    with pytest.raises(errors.ShapeError, match="extents 5 of the logits and 4 of the targets on axis 0 differ"):
        categorical_crossentropy(softmax(x), k)
    with pytest.raises(errors.DTypeError, match=r"expected integer targets, got float32(.|\n)*T.cast\(y, 'int64'\)"):
        categorical_crossentropy(softmax(x), cast_to(k, "float32"))
    with pytest.raises(errors.DTypeError, match="expected integer targets, got float32"):
        categorical_crossentropy(x, cast_to(k, "float32"))
    with pytest.raises(errors.RankError, match=r"expected targets of 2 \(distributions\) or 1 \(classes\) dimensions, got 0"):
        categorical_crossentropy(x, 1)
    x, k = TensorType("float64", (None, None))("x"), TensorType("int64", (None,))("k")
    with pytest.raises(errors.ShapeError):
        run([categorical_crossentropy(softmax(x), k)], {x: np.zeros((3, 2)), k: np.zeros(4, "int64")}, on_error=True)


def test_binary_crossentropy():
    z, t = RNG.normal(size=(3, 4)) * 3, RNG.uniform(size=(3, 4))
    x, d = variables(z, t)
    p = special.expit(z)
    want = -(t * np.log(p) + (1 - t) * np.log1p(-p))
    q = TensorType("float64", (None, None))("q")
    for out in (binary_crossentropy(sigmoid(x), d), sigmoid_binary_crossentropy(x, d), binary_crossentropy(q, d)):
        np.testing.assert_allclose(evaluate([out], {x: z, d: t, q: p})[0], want, rtol=1e-9)
    far = np.array([-1e4, -100, 100, 1e4], "float32")
    v = TensorType("float32", (None,))("v")
    for target in (0, 1, np.array([False, True, False, True])):
        out = binary_crossentropy(sigmoid(v), target)
        assert out.dtype == "float32"
        got, g = both([out, grad(sum_of(out), v)], {v: far}, atol=1e-37)
        wide = far.astype("longdouble")
        np.testing.assert_allclose(got, np.where(target, np.logaddexp(0, -wide), np.logaddexp(0, wide)).astype("f"),
                                   rtol=1e-6)
        np.testing.assert_allclose(g, special.expit(far.astype("d")) - target, rtol=1e-6, atol=1e-37)


def test_the_gradient_with_respect_to_what_a_crossentropy_looks_through():
    """Probabilities that are differentiated by are taken as they are."""
    a, y, t = RNG.normal(size=(2, 3)), np.array([2, 0]), RNG.uniform(size=(2, 3))
    x, k, d = variables(a, y, t)
    p, q = softmax(x), sigmoid(x)
    outs = [grad(sum_of(categorical_crossentropy(p, k)), p), grad(sum_of(categorical_crossentropy(p, d)), p),
            grad(sum_of(binary_crossentropy(q, d)), q)]
    both_of = grad(sum_of(categorical_crossentropy(p, k)), [p, x])
    sp, sq = special.softmax(a, -1), special.expit(a)
    want = [-np.eye(3)[y] / sp, -t / sp, (1 - t) / (1 - sq) - t / sq, -np.eye(3)[y] / sp, sp - np.eye(3)[y]]
    for g, w in zip(both([*outs, *both_of], {x: a, k: y, d: t}, rtol=1e-12), want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-15)


def test_rows_and_classes_must_be_as_many():
    """One row with several classes, and several rows with one class, don't broadcast."""
    x, k = TensorType("float64", (None, None))("x"), TensorType("int64", (None,))("k")
    for p in (x, softmax(x), softmax_graph(x)):
        for mode in ("FAST_RUN", "FAST_COMPILE"):
            f = function([x, k], categorical_crossentropy(p, k), mode=mode)
            for rows, classes in ((1, 3), (3, 1), (2, 3)):
                with pytest.raises(errors.ShapeError, match=f"crossentropy.*: extents {rows} of .* and {classes} of the targets"):
                    f(np.full((rows, 3), 0.3), np.arange(classes))
            assert f(np.full((1, 3), 1 / 3), np.array([1])).shape == (1,)


def test_no_classes():
    """Of no classes there are no probabilities; a true class there can't be."""
    a = np.zeros((2, 0))
    x, k = TensorType("float64", (None, None))("x"), TensorType("int64", (None,))("k")
    outs = [softmax(x), logsoftmax(x), softmax(x, 0), grad(sum_of(softmax(x)), x)]
    for b in (a, np.zeros((0, 0)), np.zeros((0, 3))):
        for g in run(outs, {x: b}):
            assert g.shape == b.shape
    with pytest.raises(errors.IndexOutOfBounds, match="index 0 is out of bounds for 0 classes"):
        run([categorical_crossentropy(softmax(x), k)], {x: a, k: np.zeros(2, "int64")}, on_error=True)


# ----------------------------------------------------------------------------------------- gradients


def test_gradients():
    a, w, y, t = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), np.array([1, 3, 0]), RNG.uniform(size=(3, 4))
    x, = variables(a)
    v = w[:, 0]
    costs = [sum_of(mul(w, f(x, axis))) for f in (softmax, logsoftmax) for axis in (0, 1)]
    costs += [sum_of(mul(v, categorical_crossentropy(f(x), k))) for f in (softmax, softmax_graph)
              for k in (constant(y), special.softmax(w, 1))]
    costs += [sum_of(mul(w, sigmoid_binary_crossentropy(x, t))), sum_of(mul(w, softmax_graph(x)))]
    central_difference(costs, {x: a})
    b = RNG.normal(size=(2, 3, 4))
    u, = variables(b)
    central_difference([sum_of(mul(b, softmax(u, 1))), sum_of(CrossentropyIndex()(u, np.array([[0, 1, 3], [2, 2, 0]]))),
                        sum_of(logsoftmax(u[0, 0]) * b[1, 1])], {u: b})


def test_gradient_dtypes():
    for dtype in ("float16", "float32", "float64"):
        x = TensorType(dtype, (None, 3))("x")
        k = TensorType("int32", (None,))("k")
        for y in (softmax(x), logsoftmax(x), categorical_crossentropy(softmax(x), k)):
            assert y.dtype == dtype
            assert grad(cast_to(sum_of(y), "float64"), x).dtype == dtype


# ---------------------------------------------------------------------------------------- activations


def _ultra_fast(x):
    h = np.abs(x) / 2
    z = np.where(h < 1.7, 1.5 * h / (1 + h), np.where(h < 3, 0.935409070603099 + 0.0458812946797165 * (h - 1.7),
                                                      0.99505475368673))
    return 0.5 * (np.copysign(z, x) + 1)


ACTIVATIONS = {
    "relu": (activation.relu, lambda x: np.where(x > 0, x, 0)),
    "leaky": (lambda x: activation.relu(x, 0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "elu": (activation.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "elu2": (lambda x: activation.elu(x, 2), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0)))),
    "selu": (activation.selu, lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))),
    "softsign": (activation.softsign, lambda x: x / (1 + np.abs(x))),
    "hard_sigmoid": (activation.hard_sigmoid, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    "ultra_fast_sigmoid": (activation.ultra_fast_sigmoid, _ultra_fast),
    "sigmoid": (activation.sigmoid, special.expit), "tanh": (activation.tanh, np.tanh),
    "softplus": (activation.softplus, lambda x: np.logaddexp(0, x)),
}


def test_activations():
    a = np.concatenate([RNG.normal(size=20) * 4, [0.0, -0.0, 1e4, -1e4, 2.5, 2.5001]])
    for dtype in ("float32", "float64"):
        x = TensorType(dtype, (None,))("x")
        outs = [f(x) for f, _ in ACTIVATIONS.values()]
        got = run(outs, {x: a.astype(dtype)}, rtol=1e-5)
        for name, o, g, (_, oracle) in zip(ACTIVATIONS, outs, got, ACTIVATIONS.values(), strict=True):
            assert o.dtype == dtype, name
            np.testing.assert_allclose(g, oracle(a.astype(dtype).astype("d")), rtol=8 * RTOL[dtype], atol=1e-7, err_msg=name)
        for g in run([grad(sum_of(o), x) for o in outs], {x: a.astype(dtype)}, rtol=1e-5, atol=1e-6):
            assert np.isfinite(g).all()


def test_activation_gradients():
    a = np.array([-4.3, -1.2, -0.3, 0.4, 1.7, 5.1])
    x, = variables(a)
    central_difference([sum_of(mul(a, f(x))) for f, _ in ACTIVATIONS.values()], {x: a})


def test_relu_at_zero_has_theanos_gradient():
    x = TensorType("float64", ())("x")
    got = evaluate([grad(activation.relu(x), x), grad(activation.relu(x, 0.2), x)], {x: np.array(0.0)})
    np.testing.assert_allclose(got, [0.5, 0.6])


def test_relu_with_a_slope_for_each_unit():
    a, s = RNG.normal(size=(3, 2)), np.array([0.1, 0.5])
    x, alpha = variables(a, s)
    y = activation.relu(x, alpha)
    assert isinstance(y, Variable)
    np.testing.assert_allclose(evaluate([y], {x: a, alpha: s})[0], np.where(a > 0, a, s * a), rtol=1e-14)
    central_difference([sum_of(mul(a, y))], {x: a, alpha: s})
