"""Update rules, objectives, penalties and initial values against NumPy."""
from __future__ import annotations

import numpy as np
import pytest
from checks import run

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T

U, O, L, I = lasagne.updates, lasagne.objectives, lasagne.layers, lasagne.init  # noqa: E741


def by_hand(rule, p, grads, r=0.1):
    """Return parameters after each gradient, from the papers' formulas."""
    a, b, top, out = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), []
    for t, g in enumerate(grads, 1):
        if rule == "adagrad":
            a = a + g**2
            p = p - r * g / np.sqrt(a + 1e-6)
        elif rule == "rmsprop":
            a = 0.9 * a + 0.1 * g**2
            p = p - r * g / np.sqrt(a + 1e-6)
        elif rule == "adadelta":
            a = 0.95 * a + 0.05 * g**2
            d = g * np.sqrt(b + 1e-6) / np.sqrt(a + 1e-6)
            b = 0.95 * b + 0.05 * d**2
            p = p - r * d
        elif rule == "adamax":
            a, b = 0.9 * a + 0.1 * g, np.maximum(0.999 * b, np.abs(g))
            p = p - r / (1 - 0.9**t) * a / (b + 1e-8)
        else:
            a, b = 0.9 * a + 0.1 * g, 0.999 * b + 0.001 * g**2
            top = np.maximum(top, b)
            rate = r * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            shrink = r * 0.3 * p if rule == "adamw" else 0
            p = p - shrink - rate * a / (np.sqrt(top if rule == "amsgrad" else b) + 1e-8)
        out.append(p)
    return out


RULES = ["adagrad", "rmsprop", "adadelta", "adamax", "amsgrad", "adamw", "adam"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rules_are_their_formulas(dtype):
    start = np.array([1.0, -2.0, 3.0], dtype)
    x = T.vector("x", dtype=dtype)
    ws = [symbolic.shared(start, rule) for rule in RULES]
    rate = symbolic.shared(np.float64(0.1), "rate")  # a rate of another dtype doesn't change that of parameters
    updates = {}
    for rule, w in zip(RULES, ws, strict=True):
        more = {"weight_decay": 0.3} if rule == "adamw" else {}
        updates |= getattr(U, rule)((w * x).sum(), [w], learning_rate=rate, **more)
    step = symbolic.function([x], updates=updates)
    grads = np.random.default_rng(0).normal(size=(5, 3)).astype(dtype) * np.array([1, 1, 2, 0.1, 1], dtype)[:, None]
    wanted = [by_hand(rule, start.astype("float64"), grads.astype("float64")) for rule in RULES]
    for k, g in enumerate(grads):
        step(g)
        for w, want in zip(ws, wanted, strict=True):
            assert w.get_value().dtype == dtype
            np.testing.assert_allclose(w.get_value(), want[k], rtol=3e-5 if dtype == "float32" else 1e-11, err_msg=w.name)


def test_gradients_may_be_given_and_params_of_one_unit_keep_their_type():
    w = lasagne.utils.create_param(I.Constant(1.0), (3, 1), "w")
    b = lasagne.utils.create_param(0.0, (1,), "b")
    x = T.matrix("x")
    loss = T.sqr(T.dot(x, w) + b).mean()
    updates = U.adam(loss, [w, b]) | {}
    mean = symbolic.function([x], loss, updates=U.apply_nesterov_momentum(U.apply_momentum(U.sgd(T.grad(loss, [w, b]), [w, b],
        0.1)),
                                                                         params=[w]))
    symbolic.function([x], loss, updates=updates)(np.ones((4, 3)))
    assert mean(np.ones((4, 3))) > 0 and w.get_value().shape == (3, 1)
    with pytest.raises(ValueError, match="1 gradients for 2"):
        U.sgd([loss], [w, b], 0.1)


def test_norm_constraints():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(5, 2, 3, 3))
    x, y, v = T.dmatrix(), T.dtensor4(), T.dvector()
    c = np.array([3.0, 4.0])

    def limited(z, axes, most):
        n = np.sqrt((z**2).sum(axis=axes, keepdims=True))
        return z * np.minimum(n, most) / (n + 1e-7)

    total, norm = U.total_norm_constraint([x, y], 2.0, return_norm=True)
    size = np.sqrt((a**2).sum() + (b**2).sum())
    got = run([U.norm_constraint(x, 1.0), U.norm_constraint(y, 2.0), U.norm_constraint(x, 1.0, norm_axes=(1,)), *total, norm,
               *U.total_norm_constraint([v], 100.0), U.norm_constraint(v, 1.0, norm_axes=0, epsilon=1.0)], {x: a, y: b, v: c},
                   rtol=1e-12)
    wanted = [limited(a, 0, 1), limited(b, (1, 2, 3), 2), limited(a, 1, 1), a * 2 / (size + 1e-7), b * 2 / (size + 1e-7), size,
              c * 5 / (5 + 1e-7), c / 6]
    for g, w in zip(got, wanted, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-10)
    f = T.fmatrix()
    assert U.norm_constraint(f, 1.0).dtype == "float32" and U.total_norm_constraint([f], T.dscalar())[0].dtype == "float32"
    with pytest.raises(ValueError, match="pass norm_axes"):
        U.norm_constraint(v, 1.0)


def test_objectives_are_their_formulas():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, size=(7, 4))
    p /= p.sum(axis=1, keepdims=True)
    k = rng.integers(0, 4, size=7)
    hot = np.eye(4)[k]
    t = rng.uniform(size=(7, 4))
    on = (t > 0.5) * 1
    x, y, h, z, ii = T.dmatrix(), T.lvector(), T.dmatrix(), T.dmatrix(), T.lmatrix()
    one, col, flat = T.dvector(), T.dcol(), rng.uniform(0.1, 0.9, size=7)
    values = {x: p, y: k, h: hot, z: t, ii: on, one: flat, col: flat[:, None]}
    right = p[np.arange(7), k]
    others = np.where(hot > 0, -np.inf, p).max(axis=1)
    order = np.argsort(p, axis=1)
    off = np.abs(p - t)
    sign = 2 * on - 1
    pairs = [
        (O.categorical_crossentropy(x, y), -np.log(right)), (O.categorical_crossentropy(x, h), -np.log(right)),
        (O.binary_crossentropy(x, z), -t * np.log(p) - (1 - t) * np.log(1 - p)),
        (O.binary_crossentropy(col, one), (-flat * np.log(flat) - (1 - flat) * np.log(1 - flat))[:, None]),
        (O.squared_error(x, z), (p - t) ** 2), (O.squared_error(col, one * 2), flat[:, None] ** 2),
        (O.squared_error(one, col + 1), np.ones((7, 1))),
        (O.multiclass_hinge_loss(x, y), np.maximum(0, 1 + others - right)), (O.multiclass_hinge_loss(x, h, delta=0.2),
                                                                            np.maximum(0, 0.2 + others - right)),
        (O.binary_hinge_loss(x, ii, log_odds=True), np.maximum(0, 1 - p * sign)),
        (O.binary_hinge_loss(x, ii, delta=2, log_odds=False), np.maximum(0, 2 - np.log(p / (1 - p)) * sign)),
        (O.binary_hinge_loss(x, 2 * ii - 1, log_odds=True, binary=False), np.maximum(0, 1 - p * sign)),
        (O.huber_loss(x, z), np.where(off <= 1, off**2 / 2, off - 0.5)), (O.huber_loss(x, z, delta=0.2),
                                                                         np.where(off <= 0.2, off**2 / 2, 0.2 * (off - 0.1))),
        (O.binary_accuracy(x, ii), (p > 0.5) == on), (O.binary_accuracy(x, ii, threshold=0.2), (p > 0.2) == on),
        (O.categorical_accuracy(x, y), order[:, -1] == k), (O.categorical_accuracy(x, h), order[:, -1] == k),
        (O.categorical_accuracy(x, y, top_k=2), (order[:, -2:] == k[:, None]).any(axis=1)),
        (O.categorical_accuracy(x, h, top_k=3), (order[:, -3:] == k[:, None]).any(axis=1)),
        (O.aggregate(x), p.mean()), (O.aggregate(x, z), (p * t).mean()), (O.aggregate(x, z, mode="sum"), (p * t).sum()),
        (O.aggregate(x, z, mode="normalized_sum"), (p * t).sum() / t.sum()), (O.aggregate(x, mode="sum"), p.sum())]
    got = run([e for e, _ in pairs], values, rtol=1e-12, atol=1e-14)
    for n, (g, (_, want)) in enumerate(zip(got, pairs, strict=True)):
        assert g.shape == np.shape(want), n
        np.testing.assert_allclose(g, want, rtol=1e-10, atol=1e-13, err_msg=str(n))
    with pytest.warns(FutureWarning, match="log_odds"):
        O.binary_hinge_loss(x, ii)
    with pytest.raises(TypeError, match="targets must have 1"):
        O.multiclass_hinge_loss(x, T.dtensor3())
    with pytest.raises(TypeError, match="targets must have 1"):
        O.categorical_accuracy(x, T.dtensor3())
    with pytest.raises(ValueError, match="needs weights"):
        O.aggregate(x, mode="normalized_sum")
    with pytest.raises(ValueError, match="'max'"):
        O.aggregate(x, mode="max")


def test_hinge_gradients():
    rng = np.random.default_rng(0)
    p, k = rng.normal(size=(6, 4)), rng.integers(0, 4, size=6)
    symbolic.tensor.verify_grad(lambda x: O.multiclass_hinge_loss(x, symbolic.constant(k)), [p])
    symbolic.tensor.verify_grad(lambda x: O.huber_loss(x, 0.3), [p])


def test_penalties():
    x = L.InputLayer((None, 3))
    a = L.DenseLayer(x, 2, name="a")
    b = L.DenseLayer(a, 4, name="b")
    R = lasagne.regularization
    wa, wb = a.W.get_value(), b.W.get_value()
    b.b.set_value(np.ones(4, b.b.dtype))
    pairs = [(R.regularize_layer_params(b, R.l2), (wb**2).sum()), (R.regularize_layer_params([a, b], R.l1),
        np.abs(wa).sum() + np.abs(wb).sum()),
             (R.regularize_layer_params(b, R.l1, tags={"trainable": True}), np.abs(wb).sum() + 4),
             (R.regularize_layer_params_weighted({a: 0.5, b: 2}, R.l2), 0.5 * (wa**2).sum() + 2 * (wb**2).sum()),
             (R.regularize_network_params(b, R.l2), (wa**2).sum() + (wb**2).sum()),
             (R.regularize_network_params(b, R.l1, {"regularizable": False}), 4.0),
             (R.apply_penalty(a.W, R.l2), (wa**2).sum()), (R.apply_penalty([a.W, b.W], lambda w, f: f * w.sum(), f=3),
                 3 * (wa.sum() + wb.sum()))]
    got = symbolic.function([], [e for e, _ in pairs])()
    np.testing.assert_allclose([float(g) for g in got], [w for _, w in pairs], rtol=1e-5)
    assert R.apply_penalty([], R.l2) == 0


@pytest.fixture
def rng():
    before = lasagne.random.get_rng()
    lasagne.random.set_rng(np.random.RandomState(3))
    yield
    lasagne.random.set_rng(before)


def test_initial_values(rng):
    shape, filters = (300, 200), (40, 30, 3, 3)
    root = np.sqrt(2)
    for make, size, std in [(I.Normal(), shape, 0.01), (I.Normal(0.5, 2.0), shape, 0.5), (I.Uniform(0.3), shape,
        0.3 / np.sqrt(3)),
                            (I.Uniform((-1, 2)), shape, 3 / np.sqrt(12)), (I.Uniform(std=0.2, mean=1.0), shape, 0.2),
                            (I.GlorotNormal(), shape, np.sqrt(2 / 500)), (I.GlorotUniform("relu"), shape,
                                root * np.sqrt(2 / 500)),
                            (I.GlorotUniform(), filters, np.sqrt(2 / (70 * 9))), (I.HeNormal("relu"), shape, root / np.sqrt(300)),
                            (I.HeUniform(2.0), filters, 2 / np.sqrt(30 * 9)), (I.GlorotNormal(c01b=True), (30, 3, 3, 40),
                                np.sqrt(2 / (70 * 9))),
                            (I.HeNormal(c01b=True), (30, 3, 3, 40), 1 / np.sqrt(270)), (I.Glorot(I.Normal, 1.0), shape,
                                np.sqrt(2 / 500)),
                            (I.He(I.Uniform), shape, 1 / np.sqrt(300))]:
        got = make(size)
        assert got.dtype == symbolic.config.floatX and got.shape == size
        np.testing.assert_allclose(got.std(), std, rtol=0.03)
    assert abs(I.Normal(0.5, 2.0)(shape).mean() - 2) < 0.02
    assert (I.Constant(3.0)((2, 2)) == 3).all()
    for size in ((6, 9), (9, 6), (8, 2, 3)):
        q = I.Orthogonal("relu")(size).reshape(size[0], -1) / root
        gram = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-6)
    sparse = I.Sparse(sparsity=0.25, std=2.0)((40, 500))
    assert ((sparse != 0).sum(axis=0) == 10).all() and abs(sparse[sparse != 0].std() - 2) < 0.1
    for make, size in [(I.GlorotNormal(), (3,)), (I.HeNormal(), (3,)), (I.Sparse(), (2, 3, 4)), (I.Orthogonal(), (3,)),
                       (I.GlorotUniform(c01b=True), (2, 3))]:
        with pytest.raises(RuntimeError, match="axes"):
            make(size)
    with pytest.raises(ValueError, match="'tanh'"):
        I.HeNormal("tanh")


def test_nonlinearities():
    a = np.array([-3.0, -0.5, -0.0, 0.5, 2.0, 800.0, -800.0])
    N, x = lasagne.nonlinearities, T.dvector()
    neg, pos = np.minimum(a, 0), np.maximum(a, 0)
    with np.errstate(over="ignore"):
        table = [(N.rectify, pos), (N.leaky_rectify, pos + 0.01 * neg), (N.very_leaky_rectify, pos + neg / 3),
            (N.LeakyRectify(0.2), pos + 0.2 * neg),
                 (N.elu, pos + np.expm1(neg)), (N.selu, 1.0507009873554805 * (pos + 1.6732632423543772 * np.expm1(neg))),
                 (N.SELU(2, 3), 2 * (pos + 3 * np.expm1(neg))), (N.ScaledTanH(0.5, 3), 3 * np.tanh(a / 2)), (N.ScaledTanh(),
                     np.tanh(a)),
                 (N.sigmoid, 1 / (1 + np.exp(-a))), (N.softplus, np.logaddexp(0, a)), (N.tanh, np.tanh(a)), (N.linear, a),
                     (N.identity, a),
                 (N.softmax, np.exp(a - 800) / np.exp(a - 800).sum())]
    got = run([f(x) for f, _ in table], {x: a}, rtol=1e-12, atol=1e-300)
    for g, (f, want) in zip(got, table, strict=True):
        np.testing.assert_allclose(g, want, rtol=1e-12, err_msg=repr(f))


def test_utils():
    V = lasagne.utils
    assert V.floatX([1]).dtype == symbolic.config.floatX and V.shared_empty(3, "int32").get_value().shape == (1, 1, 1)
    w, c = symbolic.shared(1.0, "w"), symbolic.shared(2.0, "c")
    assert V.collect_shared_vars(w * c + w) == [w, c] and V.unique([2, 1, 2]) == [2, 1]
    k, x = np.array([2, 0]), T.lvector()
    got = run([V.one_hot(x), V.one_hot(x, 5)], {x: k})
    np.testing.assert_array_equal(got[0], np.eye(3)[k])
    np.testing.assert_array_equal(got[1], np.eye(5)[k])
    assert V.as_tuple(2, 3) == (2, 2, 2) and V.as_tuple([1, 2], 2, int) == (1, 2)
    with pytest.raises(ValueError, match="length 3"):
        V.as_tuple((1, 2), 3)
    with pytest.raises(TypeError, match="iterable of int"):
        V.as_tuple((1.0, 2), 2, int)
    with pytest.raises(TypeError, match="can't be an expression"):
        V.as_theano_expression({"a": 1})
    a = np.random.default_rng(0).normal(size=(3, 2, 4))
    y = T.dtensor3()
    for axes, want in [(None, (1, 2)), ((0,), (0,))]:
        norms = np.sqrt((a**2).sum(axis=want))
        np.testing.assert_allclose(V.compute_norms(a, axes), norms)
        np.testing.assert_allclose(run([V.compute_norms(y, axes)], {y: a})[0], norms)
    np.testing.assert_allclose(V.compute_norms(a[0]), np.sqrt((a[0] ** 2).sum(axis=0)))
    np.testing.assert_allclose(V.compute_norms(-a[0, 0]), np.abs(a[0, 0]))
    xs = T.dmatrix()
    for backwards in (False, True):
        step = lambda e, s, f: [s * f + e]  # noqa: E731
        out = V.unroll_scan(step, [xs], [T.zeros_like(xs[0])], [T.constant(0.5)], 3, backwards)
        loop, _ = symbolic.scan(step, sequences=xs, outputs_info=[T.zeros_like(xs[0])], non_sequences=[T.constant(0.5)],
                                go_backwards=backwards)
        got = run([out[0], loop], {xs: a[:, 0]})
        np.testing.assert_allclose(got[0], got[1])
    for spec, text in [(np.zeros(2), r"needs shape \(3,\), got \(2,\)"), (lambda s: np.zeros(2), "the callable gave"),
                       (T.dmatrix(), "an expression of 2 axes")]:
        with pytest.raises(ValueError, match=text):
            V.create_param(spec, (3,), "p")
    with pytest.raises(ValueError, match="must be positive"):
        V.create_param(0, (0,))
    with pytest.raises(TypeError, match="expected a number, an array"):
        V.create_param("zeros", (3,))
    assert V.create_param(lambda s: w.dimshuffle("x"), (1,)).ndim == 1


def test_helpers_substitute_and_select():
    x = L.InputLayer((None, 3), T.matrix("x"))
    a = L.DenseLayer(x, 4, name="a", nonlinearity=None)
    b = L.DropoutLayer(a, 0.5)
    c = L.DenseLayer(b, 2, name="c", nonlinearity=None)
    s = L.ElemwiseSumLayer([c, L.DenseLayer(a, 2, W=c.W.get_value(), name="d")])
    assert L.get_all_layers(s) == [x, a, b, c, s.input_layers[1], s] and L.get_all_layers([b, c], treat_as_input=[b]) == [b, c]
    y, z = T.matrix("y"), T.matrix("z")
    v = np.random.default_rng(0).normal(size=(5, 4)).astype(symbolic.config.floatX)
    f = symbolic.function([y], L.get_output([b, c], {b: y}))
    np.testing.assert_array_equal(f(v)[0], v)
    np.testing.assert_allclose(f(v)[1], v @ c.W.get_value(), rtol=1e-5)
    g = symbolic.function([z], L.get_output(c, z, deterministic=True))
    np.testing.assert_allclose(g(v[:, :3]), v[:, :3] @ a.W.get_value() @ c.W.get_value(), rtol=1e-5)
    np.testing.assert_allclose(symbolic.function([], L.get_output(c, v[:, :3], deterministic=True))(), g(v[:, :3]), rtol=1e-6)
    with pytest.warns(UserWarning, match="no layer takes the keyword determinstic .perhaps you meant deterministic"):
        L.get_output(c, determinstic=True)
    free = L.DenseLayer((None, 3), 2, nonlinearity=None)
    np.testing.assert_allclose(symbolic.function([z], L.get_output(free, {None: z}))(v[:, :3]), v[:, :3] @ free.W.get_value(),
        rtol=1e-5)
    with pytest.raises(ValueError, match="was made from a shape; pass its input"):
        L.get_output(free)
    assert L.get_output_shape(c) == (None, 2) and L.get_output_shape([a, c], (7, 3)) == [(7, 4), (7, 2)]
    assert L.get_output_shape(s, {b: (9, 4), a: (9, 4)}) == (9, 2) and L.get_output_shape(free, {None: (8, 3)}) == (8, 2)
    a.params[a.W].add("frozen")
    assert L.get_all_params(c, frozen=True) == [a.W] and a.W not in L.get_all_params(c, trainable=True, frozen=False)
    w = symbolic.shared(np.ones((2, 4), symbolic.config.floatX), "w")
    tied = L.DenseLayer(a, 2, W=w.T)
    assert L.get_all_params(tied) == [a.W, a.b, w, tied.b] and tied.get_params(unwrap_shared=False)[0] is tied.W
    assert L.get_all_params([tied, c], trainable=True).count(a.W) == 1


NAMES = {
    "layers": """
        InputLayer DenseLayer NINLayer EmbeddingLayer ReshapeLayer FlattenLayer DimshuffleLayer PadLayer SliceLayer ConcatLayer
        ElemwiseSumLayer ElemwiseMergeLayer DropoutLayer GaussianNoiseLayer BatchNormLayer StandardizationLayer NonlinearityLayer
        BiasLayer ScaleLayer ParametricRectifierLayer RandomizedRectifierLayer ExpressionLayer InverseLayer
        RecurrentLayer LSTMLayer
        GRULayer CustomRecurrentLayer Gate LocalResponseNormalization2DLayer Layer MergeLayer get_output get_output_shape
        get_all_layers get_all_params count_params get_all_param_values set_all_param_values batch_norm layer_norm instance_norm
        prelu rrelu dropout dropout_channels dropout_locations spatial_dropout concat flatten reshape dimshuffle pad
        standardize""",
    "updates": """
        sgd momentum nesterov_momentum adagrad rmsprop adadelta adam adamax amsgrad adamw apply_momentum apply_nesterov_momentum
        norm_constraint total_norm_constraint get_or_compute_grads""",
    "utils": """
        floatX shared_empty as_theano_expression collect_shared_vars one_hot unique as_tuple inspect_kwargs
        compute_norms create_param
        unroll_scan""",
    "random": "get_rng set_rng", "init":
    "Initializer Normal Uniform Glorot GlorotNormal GlorotUniform He HeNormal HeUniform Constant "
    "Sparse Orthogonal", "regularization":
    "l1 l2 apply_penalty regularize_layer_params regularize_layer_params_weighted "
    "regularize_network_params"}


@pytest.mark.parametrize("module", NAMES)
def test_lasagnes_names_are_there(module):
    assert [n for n in NAMES[module].split() if not hasattr(getattr(lasagne, module), n)] == []
