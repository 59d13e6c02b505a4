"""Derivatives where formulas give inf times zero, or there is a choice: the table of docs/derivatives.md."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference

import symbolic
import symbolic.tensor as T
from symbolic.ops.kinks import nonnegative

x = T.dvector("x")
NAN, INF = np.nan, np.inf
Z = [0.0, 0.0, 0.0]

#: name: expression, where, first derivative of its sum, second derivative along ones
TABLE = {
    "root of squares": (T.sqrt((x ** 2).sum()), Z, Z, Z),
    "root of sqr": (T.sqrt(T.sqr(x).sum()), Z, Z, Z),
    "root of products": (T.sqrt(x * x), [0, 2, -3], [0, 1, -1], Z),
    "root of a dot": (T.sqrt(T.dot(x, x)), Z, Z, Z),
    "norm": (T.norm(x, 2), Z, Z, Z),
    "norm of order 3": (T.norm(x, 3), Z, Z, Z),
    "power half": ((x ** 2).sum() ** 0.5, Z, Z, Z),
    "distance": (T.sqrt(((x - x.mean()) ** 2).sum()), [2, 2, 2], Z, Z),
    "std": (T.std(x), [2, 2, 2], Z, Z),
    "std ddof": (T.std(x, ddof=1), [2, 2, 2], Z, Z),
    "var": (T.var(x), [2, 2, 2], Z, Z),
    "hypot": (T.sqrt(x[0] ** 2 + x[1] ** 2), Z, Z, Z),
    "plain root": (T.sqrt(x), [0, 4, 1], [INF, 0.25, 0.5], [-INF, -1 / 32, -0.25]),
    "sign by division": (x / abs(x), [0, 3, -2], Z, Z),
    "abs": (abs(x), [0, 3, -2], [0, 1, -1], Z),
    "sgn": (T.sgn(x), [0, 3, -2], Z, Z),
    "relu": (T.nnet.relu(x), [0, 3, -2], [0.5, 1, 0], Z),
    "leaky relu": (T.nnet.relu(x, 0.1), [0, 3, -2], [0.55, 1, 0.1], Z),
    "elu": (T.nnet.elu(x), [0, 3, 0], [1, 1, 1], None),
    "maximum": (T.maximum(x, 1.0), [1, 3, -2], [1, 1, 0], Z),
    "maximum of both": (T.maximum(x, 2 * x), [0, 3, -2], [3, 2, 1], Z),
    "minimum": (T.minimum(x, 1.0), [1, 3, -2], [1, 0, 1], Z),
    "clip": (T.clip(x, -1, 1), [1, -1, 3], [1, 1, 0], Z),
    "max": (T.max(x), [4, 4, 1], [1, 1, 0], Z),
    "min": (T.min(x), [4, 1, 1], [0, 1, 1], Z),
    "prod": (T.prod(x), [0, 2, 3], [6, 0, 0], [5, 3, 2]),
    "prod of zeros": (T.prod(x), [0, 0, 3], Z, [3, 3, 0]),
    "to the 0": (x ** 0, [0, 2, -3], Z, Z),
    "to the 0.0": (x ** 0.0, [0, 2, 3], Z, Z),
    "to the 1": (x ** 1, [0, 2, -3], [1, 1, 1], Z),
    "to the 2": (x ** 2, [0, 2, -3], [0, 4, -6], [2, 2, 2]),
    "0 to the": (T.constant(Z) ** x, [0, 1, 2], Z, Z),
    "floor": (T.floor(x), [0, 1.5, -1], Z, Z),
    "arctan2": (T.arctan2(x, 0 * x), Z, Z, Z),
    "where log": (T.switch(x > 0, T.log(x), 0), [0, 2, -3], [0, 0.5, 0], [0, -0.25, 0]),
    "where root": (T.where(x > 0, T.sqrt(x), 0), [0, 4, -3], [0, 0.25, 0], [0, -1 / 32, 0]),
    "where quotient": (T.switch(T.neq(x, 0), T.sin(x) / x, 1), [0, np.pi, -np.pi], [0, -1 / np.pi, 1 / np.pi], None),
    "where x log x": (T.switch(x > 0, x * T.log(x), 0), [0, 1, -3], [0, 1, 0], [0, 1, 0]),
    "where in where": (T.switch(x > 0, T.switch(x > 1, T.log(x - 1), 1 / x), x), [0, 0.5, 3], [1, -4, 0.5], [0, 16, -0.25]),
    "where overflow": (T.switch(x < 100, T.exp(x), x), [0, 1000, 2000], [1, 1, 1], [1, 0, 0]),
    "where of a sum": (T.switch(x.sum() > 0, T.log(x.sum()), 0.0), [-1, 0, 0], Z, Z),
    "where abs of log": (T.switch(x > 0, abs(T.log(x)), 0), [0, 2, -3], [0, 0.5, 0], [0, -0.25, 0]),
    "where arcsin": (T.switch(abs(x) < 1, T.arcsin(x), x ** 2), [0, 1, -2], [1, 2, -4], [0, 2, 2]),
}


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_the_table_of_conventions(mode):
    names = list(TABLE)
    points = [np.array(TABLE[n][1], "float64") for n in names]
    where = sorted({tuple(p) for p in points})
    outputs = []
    for n in names:
        g = T.grad(TABLE[n][0].sum(), x, disconnected_inputs="ignore")
        outputs += [g, T.Rop(g, x, T.ones_like(x), disconnected_outputs="ignore")]
    f = symbolic.function([x], outputs, mode=mode)
    at = {p: f(np.array(p)) for p in where}
    for k, n in enumerate(names):
        first, second = at[tuple(points[k])][2 * k:2 * k + 2]
        np.testing.assert_allclose(first, TABLE[n][2], rtol=1e-12, atol=1e-15, err_msg=n)
        if TABLE[n][3] is not None:
            np.testing.assert_allclose(second, TABLE[n][3], rtol=1e-12, atol=1e-15, err_msg=f"second derivative of {n}")


def test_the_second_derivative_where_a_first_one_is_zero():
    """A cotangent may be zero because of a value, not of a switch: its own derivative counts then."""
    a, b, c = T.dvector("a"), T.dvector("b"), T.dvector("c")
    y = (T.switch(a > 0, T.log(a) * b, a) * c).sum()
    ga = T.grad(y, a)
    got = symbolic.function([a, b, c], [T.grad(ga.sum(), b), T.grad(ga.sum(), c), T.Rop(ga, c, T.ones_like(c))])(
        [2.0, 0.0, 4.0], [3.0, 3.0, 0.0], [0.0, 0.0, 5.0])
    np.testing.assert_allclose(got[0], [0, 0, 1.25])
    np.testing.assert_allclose(got[1], [1.5, 1, 0])
    np.testing.assert_allclose(got[2], [1.5, 1, 0])


def test_derivatives_behind_a_switch_by_differences():
    rng = np.random.default_rng(2)
    a, b = T.dmatrix("a"), T.dvector("b")
    pos = T.switch(a > 0, T.log(abs(a) + 0.1) * b / (a ** 2 + 0.5), T.sqrt(a ** 2 + b ** 2))
    central_difference([(pos * T.tanh(T.dot(pos, b)).dimshuffle(0, "x")).sum()],
                       {a: rng.normal(size=(3, 4)), b: rng.normal(size=4)})


def test_a_training_step_on_masked_values_stays_finite():
    rng = np.random.default_rng(3)
    data, mask = rng.normal(size=(6, 4)), rng.integers(0, 2, (6, 4)).astype(bool)
    w = symbolic.shared(np.zeros((4, 4)), "w")
    d, m = T.dmatrix("d"), T.TensorType("bool", (None, None))("m")
    h = T.dot(d, w)
    cost = T.switch(m, T.log(h), T.sqr(h - 1)).sum()
    g = symbolic.function([d, m], T.grad(cost, w))(data, np.zeros_like(mask))
    np.testing.assert_allclose(g, data.T @ (2 * (data @ np.zeros((4, 4)) - 1)))


def test_what_cannot_be_negative():
    y, z, i = T.dvector("y"), T.zvector("z"), T.ivector("i")
    yes = [x ** 2, T.sqr(x).mean(), x * x + 1, T.exp(x).sum(), abs(z), T.var(x, ddof=1), T.maximum(x, 0), (x ** 2)[1:],
           T.dot(x, x), T.switch(y > 0, x ** 2, 1.0), abs(x) ** 3, (x ** 2).reshape((1, -1)), x ** 2 / 3,
           T.norm(x, 2), i.shape[0]]
    no = [x, x + 1, x * y, x ** 3, -(x ** 2), x ** 2 - 1, x ** 2 / y, T.maximum(x, -1), T.switch(y > 0, x, 1.0), i, z * z, 3.0]
    assert [k for k, v in enumerate(yes) if not nonnegative(v)] == []
    assert [k for k, v in enumerate(no) if nonnegative(v)] == []
    chain = x ** 2
    for _ in range(5000):
        chain = chain + 1
    assert not nonnegative(chain), "it doesn't look at all of a long graph"


def test_a_conversion_behind_a_choice_hands_its_gradient_on():
    x = T.fvector("x")
    wide = T.cast(x, "float64")
    g = T.grad(T.switch(wide > 0, T.sqr(wide), 0.0).sum(), x)
    np.testing.assert_array_equal(symbolic.function([x], g)([-1.0, 0.0, 3.0]), [0, 0, 6])
