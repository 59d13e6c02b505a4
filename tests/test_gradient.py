"""Derivatives forwards and backwards: what users ask for by name, and the errors they meet."""
from __future__ import annotations

import numpy as np
import pytest
from test_elementwise import SMOOTH, draw

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.fgraph import capture
from symbolic.gradient import (
    DisconnectedType,
    GradientError,
    NullType,
    consider_constant,
    disconnected_grad,
    grad_clip,
    grad_not_implemented,
    grad_scale,
    grad_undefined,
    hessian_vector_product,
    jacobian_vector_product,
    numeric_grad,
    subgraph_grad,
    undefined_grad,
    verify_grad,
    zero_grad,
)
from symbolic.graph import Op
from symbolic.ops.elementwise import Elementwise
from symbolic.types import TensorType

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("shapes", [[(3, 4), (4,), (1, 4)], [(), (), ()], [(0,), (0,), ()]])
@pytest.mark.parametrize("name", SMOOTH)
def test_every_elementwise_function_forwards_is_the_transpose_of_backwards(name, shapes):
    arrays = [np.asarray(a) for a in draw(name, shapes, "float64")]
    op = Elementwise(name)
    arrays = arrays[:1] if symbolic.ops.elementwise.ROWS[name].nin == 1 else arrays[:symbolic.ops.elementwise.ROWS[name].nin]
    xs = [TensorType(a.dtype.name, tuple(1 if n == 1 else None for n in a.shape))() for a in arrays]
    y = op(*xs)
    floats = [k for k, a in enumerate(arrays) if a.dtype.kind == "f"]
    vs = [RNG.normal(size=arrays[k].shape) for k in floats]
    u = RNG.normal(size=np.broadcast_shapes(*(a.shape for a in arrays)))
    if y.dtype != "float64":
        pytest.skip("it has no real result")
    wrt = [xs[k] for k in floats]
    forward = symbolic.Rop(y, wrt, vs, disconnected_outputs="ignore")
    backward = symbolic.Lop(y, wrt, u, disconnected_inputs="ignore")
    jv, *jtu = evaluate([forward, *backward], dict(zip(xs, arrays, strict=True)))
    np.testing.assert_allclose((u * jv).sum(), sum((a * v).sum() for a, v in zip(jtu, vs, strict=True)), rtol=1e-10, atol=1e-12)
    assert jv.shape == u.shape


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_rop_and_lop_are_products_with_the_jacobian(mode):
    w, x, v, u = T.dmatrix("w"), T.dvector("x"), T.dvector("v"), T.dvector("u")
    y = T.tanh(T.dot(w, x))
    f = symbolic.function([w, x, v, u], [T.Rop(y, x, v), T.Lop(y, x, u)], mode=mode)
    a, b, d, e = RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=4), RNG.normal(size=3)
    jacobian = (1 - np.tanh(a @ b) ** 2)[:, None] * a
    jv, uj = f(a, b, d, e)
    np.testing.assert_allclose(jv, jacobian @ d)
    np.testing.assert_allclose(uj, e @ jacobian)


def test_rop_structures_and_disconnected_outputs():
    x, y = T.dvector("x"), T.dvector("y")
    v = T.dvector("v")
    assert isinstance(T.Rop([x * 2, x * 3], x, v), list)
    assert isinstance(T.Rop((x * 2,), [x], [v]), tuple)
    with pytest.raises(errors.DisconnectedInputError, match="doesn't depend on wrt") as caught:
        T.Rop(y * 2, x, v)
    assert "test_gradient.py" in str(caught.value)
    with pytest.warns(UserWarning, match="doesn't depend"):
        T.Rop(y * 2, x, v, disconnected_outputs="warn")
    zero = T.Rop([y * 2], [x], [v], disconnected_outputs="ignore")[0]
    np.testing.assert_array_equal(symbolic.function([y], zero)([1.0, 2.0]), [0, 0])
    kept = {"disconnected_outputs": "ignore"}
    assert T.Rop(y, x, v, return_disconnected="None", **kept) is None
    assert isinstance(T.Rop(y, x, v, return_disconnected="disconnected", **kept).type, DisconnectedType)
    with pytest.raises(ValueError, match="as many eval_points"):
        T.Rop(x, [x, y], [v])
    with pytest.raises(errors.RankError, match="rank of its variable, 1, got 2"):
        T.Rop(x * 2, x, T.dmatrix("m"))
    with pytest.raises(ValueError, match="disconnected_outputs"):
        T.Rop(x, x, v, disconnected_outputs="no")
    with pytest.raises(ValueError, match="return_disconnected"):
        T.Rop(x, x, v, return_disconnected="no")
    with pytest.raises(TypeError, match="f must be a variable"):
        T.Rop(3, x, v)


def test_rop_of_the_classifiers_loss_with_integer_targets():
    """Theano raises NotImplementedError for it."""
    z, v, t = T.dmatrix("z"), T.dmatrix("v"), T.ivector("t")
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(z), t).mean()
    a, d, k = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0], "int32")
    p = np.exp(a) / np.exp(a).sum(1, keepdims=True)
    want = ((p - np.eye(3)[k]) * d).sum() / 5
    np.testing.assert_allclose(symbolic.function([z, t, v], T.Rop(loss, z, v))(a, k, d), want)


def test_hessian_vector_product_against_the_matrix():
    w, v = T.dvector("w"), T.dvector("v")
    x, y = RNG.normal(size=(20, 4)), RNG.integers(0, 2, 20)
    cost = T.nnet.binary_crossentropy(T.nnet.sigmoid(T.dot(x, w)), y).mean()
    at, d = RNG.normal(size=4), RNG.normal(size=4)
    s = 1 / (1 + np.exp(-x @ at))
    want = x.T @ ((s * (1 - s))[:, None] * x) / 20 @ d
    np.testing.assert_allclose(symbolic.function([w, v], hessian_vector_product(cost, w, v))(at, d), want)
    pair = hessian_vector_product((w ** 3).sum() + v.sum(), [w], [v])
    np.testing.assert_allclose(symbolic.function([w, v], pair)(at, d)[0], 6 * at * d)


def test_third_derivative_forwards_over_forwards_over_reverse():
    x = T.dscalar("x")
    one = T.constant(1.0)
    third = T.Rop(T.Rop(T.grad(x ** 5, x), x, one), x, one)
    assert float(symbolic.function([x], third)(2.0)) == 60 * 4
    assert jacobian_vector_product(x ** 2, T.dscalar("z"), one).type == x.type


def test_identities_that_change_gradients():
    x = T.dscalar("x")

    def slope(y):
        return float(symbolic.function([x], [y, T.grad(y, x)])(3.0)[1])

    assert slope(x * disconnected_grad(x)) == 3
    assert slope(x * zero_grad(x)) == slope(x * consider_constant(x)) == 3
    assert slope(grad_scale(x, 0.5) ** 2) == 3
    assert slope(grad_clip(x, -2, 2) ** 2) == 2
    assert float(symbolic.function([x], T.Rop(grad_clip(x, -2, 2) ** 2, x, T.constant(1.0)))(3.0)) == 6
    assert float(symbolic.function([x], T.Rop(x * zero_grad(x), x, T.constant(1.0)))(3.0)) == 3
    with pytest.raises(errors.DisconnectedInputError):
        T.grad(disconnected_grad(x), x)
    with pytest.raises(ValueError, match="must not be above"):
        grad_clip(x, 1, -1)
    with pytest.raises(errors.GraphError, match="multiplier must be a number"):
        grad_scale(x, x)
    assert [n.op.name for n in capture([x], [grad_scale(x, 2) + 1]).nodes] == ["add"]


def test_undefined_gradients_name_the_op_and_the_way_out():
    x = T.dscalar("x")
    y = undefined_grad(x) * 2 + x
    with pytest.raises(errors.NullTypeGradError, match="undefinedgrad has no derivative in input 0") as caught:
        T.grad(y, x)
    assert "disconnected_grad" in str(caught.value)
    assert isinstance(T.grad(y, x, null_gradients="return").type, NullType)
    with pytest.raises(errors.NullTypeGradError):
        T.Rop(y, x, T.constant(1.0))
    with pytest.raises(ValueError, match="null_gradients"):
        T.grad(y, x, null_gradients="maybe")


def test_disconnected_gradients_are_returned_as_asked():
    x, y = T.dscalar("x"), T.dscalar("y")
    kept = {"disconnected_inputs": "ignore"}
    assert isinstance(T.grad(x ** 2, y, return_disconnected="Disconnected", **kept).type, DisconnectedType)
    assert T.grad(x ** 2, y, return_disconnected="None", **kept) is None


class TheanoStyle(Op):
    """``2 * x`` and ``x * y``, with derivatives in Theano's form."""

    def infer_type(self, *types):
        return types[0], types[0]

    def infer_shape(self, *types):
        return (), ()

    def reference(self, x, y):
        return 2 * x, x * y

    def grad(self, inputs, gouts):
        x, y = inputs
        first, second = gouts
        gx = T.zeros_like(x)
        if not isinstance(first.type, DisconnectedType):
            gx = gx + 2 * first
        if isinstance(second.type, DisconnectedType):
            return [gx, DisconnectedType()()]
        return [gx + y * second, x * second]

    def R_op(self, inputs, points):
        x, y = inputs
        a, b = (T.zeros_like(x) if p is None else p for p in points)
        return [2 * a, a * y + x * b]

    def connection_pattern(self, node):
        return [[True, True], [False, True]]


class OnlyLop(TheanoStyle):
    """The same, with `L_op`."""

    def L_op(self, inputs, outputs, gouts):
        return self.grad(inputs, gouts)

    R_op = property(lambda self: (_ for _ in ()).throw(AttributeError("R_op")))


@pytest.mark.parametrize("op", [TheanoStyle(), OnlyLop()])
def test_users_ops_give_derivatives_in_theanos_form(op):
    x, y, v = T.dscalar("x"), T.dscalar("y"), T.dscalar("v")
    double, product = op(x, y)
    f = symbolic.function([x, y, v], [*T.grad(double + product, [x, y]), T.Rop(product, x, v), T.Rop(product, [x, y], [v, v])],
                          mode="FAST_COMPILE")
    assert [float(a) for a in f(3, 5, 7)] == [7, 3, 35, 56]
    with pytest.raises(errors.DisconnectedInputError):
        T.grad(double, y)


def test_a_users_rule_of_the_wrong_length_is_named():
    class Short(TheanoStyle):
        def grad(self, inputs, gouts):
            return [gouts[0]]

    x = T.dscalar("x")
    with pytest.raises(errors.GraphError, match="short: pullback returned 1 terms for 2 inputs"):
        T.grad(Short()(x, x)[0], x)


def test_helpers_for_rules():
    x = T.dscalar("x")
    op = T.exp(x).owner.op
    assert "isn't implemented: not yet" in grad_not_implemented(op, 0, x, "not yet").type.why_null
    assert "exp has no derivative in input 0, x" in grad_undefined(op, 0, x).type.why_null


def test_subgraph_grad_is_grad_in_two_stages():
    x, w1, w2 = T.dvector("x"), T.dmatrix("w1"), T.dvector("w2")
    hidden = T.tanh(T.dot(w1, x))
    cost = (T.dot(hidden, w2) ** 2) + (w2 ** 2).sum()
    (g2,), ends = subgraph_grad([w2], [hidden], cost=cost)
    (g1,), _ = subgraph_grad([w1], [x], start=dict(zip([hidden], ends, strict=True)), cost=(w1 ** 2).sum())
    whole = T.grad(cost + (w1 ** 2).sum(), [w1, w2])
    a, b, c = RNG.normal(size=(3, 2)), RNG.normal(size=2), RNG.normal(size=3)
    for got, want in zip(symbolic.function([w1, x, w2], [g1, g2])(a, b, c), symbolic.function([w1, x, w2], whole)(a, b, c),
                         strict=True):
        np.testing.assert_allclose(got, want)
    total, _, first, second = subgraph_grad([w1], [x], start=dict(zip([hidden], ends, strict=True)), cost=(w1 ** 2).sum(),
                                            details=True)
    got = symbolic.function([w1, x, w2], [total[0], first[0] + second[0]])(a, b, c)
    np.testing.assert_allclose(got[0], got[1])
    with pytest.raises(ValueError, match="needs start, cost"):
        subgraph_grad([w1], [x])


def test_verify_grad_passes_what_is_right_and_names_what_is_wrong():
    verify_grad(T.tanh, [RNG.normal(size=(2, 3))])
    verify_grad(lambda a, b: T.dot(a, b), [RNG.normal(size=(2, 3)).astype("float32"), RNG.normal(size=3).astype("float32")])
    verify_grad(T.exp, [np.array(0.5)], mode="FAST_COMPILE")
    with pytest.raises(GradientError, match=r"gradient of input 0 is wrong in test 0, most at index \(.*absolute error"):
        verify_grad(lambda x: x ** 2 + 3 * disconnected_grad(x), [np.array([1.0, 2.0])])
    with pytest.raises(TypeError, match="point 0 must be floating, got int64"):
        verify_grad(T.exp, [np.array([1])])
    with pytest.raises(TypeError, match="must return one variable, got list"):
        verify_grad(lambda x: [x], [np.array([1.0])])


def test_numeric_grad():
    got = numeric_grad(lambda a, b: (a * b).sum(), [np.array([1.0, 2.0]), np.array([3.0, 5.0])]).gf
    np.testing.assert_allclose(got[0], [3, 5], rtol=1e-5)
    np.testing.assert_allclose(got[1], [1, 2], rtol=1e-5)
    with pytest.raises(TypeError, match="float16, float32 or float64"):
        numeric_grad(lambda a: a, np.array(1))


def test_rop_of_a_long_chain_takes_no_recursion_and_linear_time():
    x = y = T.dscalar("x")
    for _ in range(5000):
        y = T.sin(y)
    assert T.Rop(y, x, T.constant(1.0)).type == x.type
