"""Layers without convolution: values, promised shapes, every argument, errors, gradients."""
from __future__ import annotations

import numpy as np
import pytest
from layer_checks import L, compare, gradients, input_of, promised, seeded
from layer_oracles import normalized

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from symbolic.codegen.reference import evaluate


@pytest.fixture(autouse=True)
def floats(monkeypatch):
    before = lasagne.random.get_rng()
    monkeypatch.setattr(symbolic.config, "floatX", "float64")
    yield
    lasagne.random.set_rng(before)


def given(shape, rng, known=True):
    layer = input_of(shape, known=known)
    a = rng.normal(size=shape)
    return layer, {layer.input_var: a}, a


def test_dense_nin_embedding():
    rng = seeded()
    x, v, a = given((5, 3, 4), rng, known=False)
    plain = L.DenseLayer(x, 6)
    rows = L.DenseLayer(x, 6, num_leading_axes=2, nonlinearity=None)
    last = L.DenseLayer(x, 2, num_leading_axes=-1, b=None, nonlinearity=T.tanh)
    fixed = L.DenseLayer(x, 2, W=np.ones((12, 2)), b=lasagne.init.Constant(2.0), nonlinearity=lasagne.nonlinearities.linear)
    one = L.DenseLayer(x, 1)
    w = plain.W.get_value()
    cases = [(plain, v, np.maximum(a.reshape(5, 12) @ w, 0)), (rows, v, a @ rows.W.get_value()),
             (last, v, np.tanh(a @ last.W.get_value())), (fixed, v, np.repeat(a.sum(axis=(1, 2))[:, None], 2, 1) + 2),
             (one, v, np.maximum(a.reshape(5, 12) @ one.W.get_value(), 0))]
    nin = L.NINLayer(x, 7, nonlinearity=None)
    tied = np.einsum("ncx,cu->nux", a, nin.W.get_value())
    untied = L.NINLayer(x, 7, untie_biases=True, W=nin.W, b=lasagne.init.Normal(1.0), nonlinearity=T.exp)
    assert untied.b.get_value().shape == (7, 4)
    cases += [(nin, v, tied), (untied, v, np.exp(tied + untied.b.get_value())), (L.NINLayer(x, 2, b=None), v, None)]
    four, v4, a4 = given((2, 3, 4, 5), rng)
    deep = L.NINLayer(four, 2, b=np.array([1.0, -1.0]), nonlinearity=None)
    cases.append((deep, v4, np.einsum("ncxy,cu->nuxy", a4, deep.W.get_value()) + np.array([1.0, -1.0])[:, None, None]))
    index = L.InputLayer((None, 2), T.lmatrix())
    table = L.EmbeddingLayer(index, 9, 3)
    i = np.array([[0, 8], [3, 3]])
    cases.append((table, {index.input_var: i}, table.W.get_value()[i]))
    compare(cases)
    gradients([plain, rows, last, untied, deep, table], v | v4 | {index.input_var: i})
    with pytest.raises(ValueError, match="num_leading_axes is 3, but the input has 3 axes"):
        L.DenseLayer(x, 2, num_leading_axes=3)
    with pytest.raises(ValueError, match="needs axis 1"):
        L.NINLayer((None,), 2)
    with pytest.raises(ValueError, match="untie_biases needs known extents"):
        L.NINLayer((None, 2, None), 2, untie_biases=True)
    with pytest.raises(TypeError, match="indices must be integers"):
        L.get_output(L.EmbeddingLayer(x, 3, 2))


def test_shape_layers():
    rng = seeded()
    x, v, a = given((2, 3, 4, 5), rng)
    n = T.lscalar()
    cases = [(L.FlattenLayer(x), v, a.reshape(2, 60)), (L.flatten(x, 1), v, a.ravel()), (L.FlattenLayer(x, outdim=3), v,
             a.reshape(2, 3, 20)), (L.FlattenLayer(x, 4), v, a)]
    for known in (True, False):
        y, vy, b = given((2, 3, 4, 5), rng, known)
        for shape, want in [(([0], -1), b.reshape(2, 60)), (([0], 12, [3]), b.reshape(2, 12, 5)), ((-1, [2]), b.reshape(30, 4)),
                            (([0], 3, 2, 2, -1), b.reshape(2, 3, 2, 2, 5)), ((6, 20), b.reshape(6, 20)),
                            (([3], [2], [1], [0]), b.reshape(5, 4, 3, 2))]:
            cases.append((L.ReshapeLayer(y, shape), vy, want))
    cases.append((L.reshape(x, (n, 60)), v | {n: np.int64(2)}, a.reshape(2, 60)))
    assert L.ReshapeLayer((None, 3, 4), ([0], -1)).output_shape == (None, 12)
    assert L.ReshapeLayer((None, 3, 4), (-1, 4)).output_shape == (None, 4)
    assert L.ReshapeLayer((2, 3, 4), (-1, [0])).output_shape == (12, 2)
    cases += [(L.DimshuffleLayer(x, (3, "x", 0, 2, 1)), v, a.transpose(3, 0, 2, 1)[:, None]),
              (L.dimshuffle(x, (0, 1, 2, 3)), v, a)]
    ones, v1, c = given((2, 1, 3), rng)
    cases.append((L.DimshuffleLayer(ones, (2, 0)), v1, c[:, 0].T))
    cases += [(L.PadLayer(x, 1), v, np.pad(a, [(0, 0), (0, 0), (1, 1), (1, 1)])),
              (L.pad(x, (1, 2), val=-1.5), v, np.pad(a, [(0, 0), (0, 0), (1, 1), (2, 2)], constant_values=-1.5)),
              (L.PadLayer(x, [(0, 2), (1, 0), 3], batch_ndim=1), v, np.pad(a, [(0, 0), (0, 2), (1, 0), (3, 3)])),
              (L.PadLayer(x, 0), v, a)]
    for axis in (0, 1, -1, 2):
        for s in (0, -1, 1, slice(1, 3), slice(None, None, -2), slice(-2, None)):
            want = np.take(a, s, axis) if isinstance(s, int) else a[(slice(None),) * (axis % 4) + (s,)]
            cases.append((L.SliceLayer(x, s, axis=axis), v, want))
    compare(cases)
    gradients([c[0] for c in cases[:4]] + [L.PadLayer(x, 1, val=2.0), L.SliceLayer(x, slice(1, 3), axis=1)], v)
    assert L.SliceLayer((None, None), slice(1, 3), axis=1).output_shape == (None, None)
    for make, text in [(lambda: L.ReshapeLayer((2, 3), (-1, -1)), "-1 may stand once"), (lambda: L.ReshapeLayer((2, 3), (4, 2)),
                       "the numbers of values differ"), (lambda: L.ReshapeLayer((2, 3), (4, -1)), "doesn't divide"),
                       (lambda: L.ReshapeLayer((2, 3), ([2], 1)), "one axis of the input"), (lambda: L.ReshapeLayer((2, 3), (0,
                           6)),
                       "must be positive or -1"), (lambda: L.ReshapeLayer((2, 3), (2.0, 3)), "an entry must be"),
                       (lambda: L.DimshuffleLayer((2, 3), (0,)), "leaves out axis 1, whose extent is 3"),
                       (lambda: L.DimshuffleLayer((2, 3), (0, 0, 1)), "stands twice"), (lambda: L.DimshuffleLayer((2, 3), (0, 2)),
                       "got 2"), (lambda: L.FlattenLayer((2, 3), 3), "outdim must be from 1 to 2"),
                       (lambda: L.PadLayer((2, 3, 4), -1), "must not be negative"), (lambda: L.PadLayer((2, 3, 4), (1, 2)),
                           "length 1"),
                       (lambda: L.SliceLayer((2, 3), 3), "extent 3, got index 3"), (lambda: L.SliceLayer((2, 3), 0, axis=2),
                       "axis is 2"), (lambda: L.SliceLayer((2, 3), "a"), "an int or a slice"),
                       (lambda: L.FlattenLayer((0, 3)), "must be positive or None")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_merge_layers():
    rng = seeded()
    x, vx, a = given((2, 3, 6), rng)
    y, vy, b = given((2, 3, 4), rng, known=False)
    z, vz, c = given((2, 1, 6), rng)
    v = vx | vy | vz
    cases = [(L.ConcatLayer([x, y], axis=2), v, np.concatenate([a, b], 2)), (L.concat([x, z], axis=1), v, np.concatenate([a, c],
        1)),
             (L.ConcatLayer([x, x], axis=-3), v, np.concatenate([a, a], 0))]
    for mode, cut in [("lower", np.s_[:, :, :4]), ("upper", np.s_[:, :, 2:]), ("center", np.s_[:, :, 1:5])]:
        cropping = [None, None, mode]
        cases += [(L.ConcatLayer([x, y], cropping=cropping), v, np.concatenate([a[cut], b], 1)),
                  (L.ElemwiseSumLayer([x, y], cropping=cropping), v, a[cut] + b),
                  (L.ElemwiseMergeLayer([x, y], T.maximum, cropping=cropping), v, np.maximum(a[cut], b))]
        compared = L.autocrop([x.input_var, y.input_var], cropping)
        np.testing.assert_array_equal(evaluate(compared[:1], v)[0], a[cut])
    cases += [(L.ElemwiseSumLayer([x, x, x], coeffs=[1, -2, 0.5]), v, -0.5 * a), (L.ElemwiseSumLayer([x, z], coeffs=3), v,
        3 * a + 3 * c),
              (L.ElemwiseMergeLayer([x, z, x], T.mul), v, a * c * a)]
    compare(cases)
    gradients([cases[0][0], cases[3][0], cases[-1][0], cases[-2][0]], v)
    assert L.autocrop_array_shapes([(None, 5), (2, 3)], ["lower", "upper"]) == [(None, 3), (None, 3)]
    assert L.ElemwiseSumLayer([(None, 5), (1, 5)]).output_shape == (None, 5)
    for make, text in [(lambda: L.ConcatLayer([(2, 3), (3, 3)]), "agree except on axis 1, got"), (lambda: L.ConcatLayer([(2, 3),
        (2,)]),
                       "same number of axes"), (lambda: L.ElemwiseSumLayer([(2, 3), (2, 4)]), "cropping= cuts them"),
                       (lambda: L.ElemwiseSumLayer([(2, 3), (2, 3)], coeffs=[1]), "1 coeffs for 2"),
                       (lambda: L.ConcatLayer([(2, 3), (2, 3)], axis=2), "axis is 2"),
                       (lambda: L.ConcatLayer([(2, 3), (2, 4)], cropping=["left"]), "'left'")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_layers_around_a_function_or_a_parameter():
    rng = seeded()
    x, v, a = given((2, 3, 4), rng, known=False)
    b3, b34 = np.array([1.0, -2.0, 0.5]), rng.normal(size=(3, 4))
    col = b3[:, None]
    leak = lambda s: np.maximum(a, 0) + s * np.minimum(a, 0)  # noqa: E731
    cases = [(L.NonlinearityLayer(x), v, np.maximum(a, 0)), (L.NonlinearityLayer(x, None), v, a), (L.NonlinearityLayer(x,
        T.tanh), v,
             np.tanh(a)), (L.BiasLayer(x, b3), v, a + col), (L.BiasLayer(x, b34, shared_axes=0), v, a + b34), (L.BiasLayer(x,
                 None), v, a),
             (L.ScaleLayer(x, b3), v, a * col), (L.ScaleLayer(x, b34, shared_axes=(0,)), v, a * b34),
             (L.standardize(x, b3, np.array([1, 2, 4])), v, (a - col) / np.array([1, 2, 4])[:, None]),
             (L.ParametricRectifierLayer(x), v, leak(0.25)), (L.ParametricRectifierLayer(x, b3), v, leak(col)),
             (L.ParametricRectifierLayer(x, 0.5, shared_axes="all"), v, leak(0.5)),
             (L.ParametricRectifierLayer(x, b34, shared_axes=0), v, leak(b34)),
             (L.ExpressionLayer(x, lambda e: e * 2), v, 2 * a), (L.ExpressionLayer(x, lambda e: e.sum(axis=2),
                 output_shape=(None, 3)), v,
             a.sum(axis=2)), (L.ExpressionLayer(x, lambda e: e.sum(axis=2), output_shape=lambda s: s[:2]), v, a.sum(axis=2)),
             (L.ExpressionLayer(x, lambda e: e[:, :, :3].sum(axis=1), output_shape="auto"), v, a[:, :, :3].sum(axis=1))]
    assert cases[-1][0].output_shape == (None, 3)
    dense = L.DenseLayer(x, 5, nonlinearity=None)
    flat = L.FlattenLayer(x)
    up = L.DenseLayer(flat, 5, W=dense.W, nonlinearity=None)
    cases.append((L.InverseLayer(up, up), v, ((a.reshape(2, 12) @ dense.W.get_value()) @ dense.W.get_value().T)))
    compare(cases)
    gradients([cases[k][0] for k in (3, 6, 10, 12, -1)], v)
    hidden = L.DenseLayer(x, 5, name="hidden")
    slope = L.prelu(hidden)
    assert slope.name == "hidden_prelu" and hidden.nonlinearity is lasagne.nonlinearities.identity and slope.input_layer is hidden
    assert [p.name for p in L.get_all_params(slope)] == ["hidden.W", "hidden.b", "hidden_prelu.alpha"]
    assert L.get_all_params(L.standardize(x, b3, b3), trainable=True) == []
    assert L.BiasLayer(x).params and L.get_all_params(L.ScaleLayer(x), regularizable=True) == []
    for make, text in [(lambda: L.BiasLayer((None, None)), "must be known"), (lambda: L.ScaleLayer((2, 3), shared_axes="all"),
        "'auto'"),
                       (lambda: L.BiasLayer((2, 3), shared_axes=2), "beyond the 2 axes"), (lambda: L.BiasLayer((2, 3),
                           np.ones(2)),
                       r"needs shape \(3,\), got \(2,\)"), (lambda: L.ExpressionLayer((2, 3), abs, output_shape="none"),
                           "'none'")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_dropout_keeps_expectations_and_is_off_when_deterministic():
    rng = seeded()
    x, v, a = given((64, 20, 5), rng, known=False)
    a[...] = 1 + np.abs(a)
    half, tenth = L.DropoutLayer(x), L.dropout(x, p=0.1, rescale=False)
    channels, places = L.dropout_channels(x, p=0.3), L.dropout_locations(x, p=0.3)
    spatial, shared = L.spatial_dropout(x), L.DropoutLayer(x, shared_axes=(0, -1))
    p = T.dscalar()
    variable, none = L.DropoutLayer(x, p=p), L.DropoutLayer(x, p=0)
    layers = [half, tenth, channels, places, spatial, shared, variable, none]
    outs = [L.get_output(one) for one in layers]
    f = symbolic.function([x.input_var, p], outs)
    first, second = f(a, 0.75), f(a, 0.75)
    for k, (keep, scale) in enumerate([(0.5, 2), (0.9, 1), (0.7, 1 / 0.7), (0.7, 1 / 0.7), (0.5, 2), (0.5, 2), (0.25, 4)]):
        on = first[k] != 0
        np.testing.assert_allclose(first[k], np.where(on, a * scale, 0), rtol=1e-12)
        draws = {2: on[:, :, 0], 3: on[:, 0], 4: on[:, :, 0], 5: on[0, :, 0]}.get(k, on)
        assert abs(draws.mean() - keep) < 4 * np.sqrt(keep * (1 - keep) / draws.size), k
        assert (first[k] != second[k]).any(), "each call draws anew"
        promised(layers[k].output_shape, first[k].shape)
    assert (np.ptp(1.0 * (first[2] != 0), axis=2) == 0).all() and (np.ptp(1.0 * (first[4] != 0), axis=2) == 0).all()
    assert (np.ptp(1.0 * (first[3] != 0), axis=1) == 0).all()
    assert (np.ptp(1.0 * (first[5] != 0), axis=(0, 2)) == 0).all()
    np.testing.assert_array_equal(first[7], a)
    compare([(one, v, a) for one in layers], deterministic=True)
    for bad in (-0.1, 1.5, 1):
        with pytest.raises(ValueError, match="from 0 to below 1"):
            L.DropoutLayer(x, p=bad)
    zero = symbolic.function([x.input_var], L.get_output(L.DropoutLayer(x, p=1, rescale=False)))(a)
    assert not zero.any()
    with pytest.raises(ValueError, match="beyond the 3 axes"):
        L.DropoutLayer(x, shared_axes=(3,))


def test_noise_and_randomized_rectifier():
    rng = seeded()
    x, v, a = given((200, 30), rng)
    noisy, none = L.GaussianNoiseLayer(x, sigma=0.5), L.GaussianNoiseLayer(x, sigma=0)
    sigma = symbolic.shared(2.0)
    variable = L.GaussianNoiseLayer(x, sigma=sigma)
    hidden = L.DenseLayer(x, 30, W=np.eye(30), b=None, name="h")
    random = L.rrelu(hidden, lower=0.2, upper=0.6, shared_axes=())
    whole, auto = L.RandomizedRectifierLayer(x, shared_axes="all"), L.RandomizedRectifierLayer(x)
    same = L.RandomizedRectifierLayer(x, lower=0.4, upper=0.4)
    layers = [noisy, none, variable, random, whole, auto, same]
    got = symbolic.function([x.input_var], [L.get_output(one) for one in layers])(a)
    assert random.name == "h_rrelu" and hidden.nonlinearity is lasagne.nonlinearities.identity
    for k, s in ((0, 0.5), (2, 2.0)):
        assert abs((got[k] - a).mean()) < 5 * s / np.sqrt(a.size) and abs((got[k] - a).std() / s - 1) < 0.05
    np.testing.assert_array_equal(got[1], a)
    low = a < 0
    slopes = [np.where(low, g / a, np.nan) for g in got]
    assert all((g[~low] == a[~low]).all() for g in got[3:])
    assert 0.2 <= np.nanmin(slopes[3]) < 0.21 and 0.59 < np.nanmax(slopes[3]) < 0.6
    assert np.nanstd(slopes[4]) < 1e-12 and 0.3 <= np.nanmean(slopes[4]) < 0.8
    assert np.nanmax(np.nanstd(slopes[5], axis=0)) < 1e-12 and np.nanstd(slopes[5]) > 0.05
    np.testing.assert_allclose(slopes[6][low], 0.4)
    leak = lambda s: np.maximum(a, 0) + s * np.minimum(a, 0)  # noqa: E731
    compare([(noisy, v, a), (variable, v, a), (random, v, leak(0.4)), (whole, v, leak(0.55)), (auto, v, leak(0.55)),
             (same, v, leak(0.4))], deterministic=True)
    with pytest.raises(ValueError, match="lower must not be above upper"):
        L.RandomizedRectifierLayer(x, 0.5, 0.3)


def test_batch_normalization_in_training_and_after():
    rng = seeded()
    x, v, a = given((6, 3, 4), rng, known=False)
    plain = L.BatchNormLayer(x, gamma=np.array([1.0, 2.0, 3.0]), beta=np.array([0.0, 1.0, -1.0]))
    bare = L.BatchNormLayer(x, axes=(0, 1), beta=None, gamma=None, epsilon=0.1, alpha=0.5)
    lone = L.BatchNormLayer(x, axes=0, mean=lasagne.init.Constant(0.5), inv_std=lasagne.init.Constant(2.0))
    g, b = np.array([1.0, 2.0, 3.0])[:, None], np.array([0.0, 1.0, -1.0])[:, None]
    layers = [plain, bare, lone]
    after = [L.get_output(one, deterministic=True) for one in layers]
    f = symbolic.function([x.input_var], [L.get_output(one) for one in layers] + after)
    got = f(a)
    for value, want in zip(got[:3], [normalized(a, (0, 2)) * g + b, normalized(a, (0, 1), 0.1), normalized(a, (0,))],
        strict=True):
        np.testing.assert_allclose(value, want, rtol=1e-10)
    for value, want in zip(got[3:], [a * g + b, a, (a - 0.5) * 2], strict=True):  # with averages as they were before
        np.testing.assert_allclose(value, want, rtol=1e-12)
    np.testing.assert_allclose(plain.mean.get_value(), 0.1 * a.mean(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(plain.inv_std.get_value(), 0.9 + 0.1 / np.sqrt(a.var(axis=(0, 2)) + 1e-4), rtol=1e-12)
    np.testing.assert_allclose(bare.mean.get_value(), 0.5 * a.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(lone.inv_std.get_value(), 0.9 * 2 + 0.1 / np.sqrt(a.var(axis=0) + 1e-4), rtol=1e-12)
    mean, inv = plain.mean.get_value()[:, None], plain.inv_std.get_value()[:, None]
    np.testing.assert_allclose(f(a)[3], (a - mean) * inv * g + b, rtol=1e-12)
    # each choice by itself
    kept = plain.mean.get_value()
    still = symbolic.function([x.input_var], L.get_output(plain, batch_norm_update_averages=False))
    np.testing.assert_allclose(still(a), normalized(a, (0, 2)) * g + b, rtol=1e-10)
    assert (plain.mean.get_value() == kept).all()
    both = symbolic.function([x.input_var], L.get_output(plain, batch_norm_use_averages=True))
    np.testing.assert_allclose(both(a), (a - kept[:, None]) * plain_inv(plain, both, a) * g + b, rtol=1e-10)
    moved = plain.mean.get_value()
    np.testing.assert_allclose(moved, 0.9 * kept + 0.1 * a.mean(axis=(0, 2)), rtol=1e-12)
    gradients(layers, v, batch_norm_update_averages=False)
    gradients(layers, v, deterministic=True)
    tags = [[p.name for p in L.get_all_params(plain, **{t: True})] for t in ("trainable", "regularizable")]
    assert tags == [["beta", "gamma"], ["gamma"]] and len(L.get_all_params(plain)) == 4
    with pytest.raises(ValueError, match="must be known"):
        L.BatchNormLayer((None, None))
    with pytest.raises(ValueError, match="axes must be"):
        L.BatchNormLayer((2, 3), axes="all")


def plain_inv(layer, f, a):
    """Return what 1/deviation was before the last call moved it."""
    return ((layer.inv_std.get_value() - 0.1 / np.sqrt(a.var(axis=(0, 2)) + 1e-4)) / 0.9)[:, None]


def test_a_normalization_that_is_applied_twice_moves_twice():
    rng = seeded()
    x, _, a = given((6, 3), rng)
    norm = L.BatchNormLayer(x)
    y = T.dmatrix()
    b = rng.normal(size=(5, 3))
    symbolic.function([x.input_var, y], [L.get_output(norm), L.get_output(norm, y)])(a, b)
    np.testing.assert_allclose(norm.mean.get_value(), 0.9 * 0.1 * a.mean(axis=0) + 0.1 * b.mean(axis=0), rtol=1e-12)
    norm.mean.set_value(np.zeros(3))
    out = L.get_output(norm)
    symbolic.function([x.input_var], out, updates={norm.mean: norm.mean + 7})(a)
    assert (norm.mean.get_value() == 7).all(), "what the user says comes first"
    with pytest.raises(symbolic.errors.UpdateError, match="clones that share one value"):
        clone = norm.mean.clone()
        symbolic.function([x.input_var], out, updates={norm.mean: norm.mean + 7, clone: clone + 1})


def test_functions_that_put_a_normalization_before_the_nonlinearity():
    rng = seeded()
    x, v, a = given((6, 3, 4), rng)
    hidden = L.DenseLayer(x, 5, name="h")
    out = L.batch_norm(hidden)
    w = hidden.W.get_value()
    assert [p.name for p in L.get_all_params(out)] == ["h.W", "h_bn.beta", "h_bn.gamma", "h_bn.mean", "h_bn.inv_std"]
    assert out.name == "h_bn_nonlin" and hidden.b is None
    bare = L.batch_norm(L.DenseLayer(x, 5, W=w, nonlinearity=None), name="mine", alpha=0.3)
    assert bare.input_layer.name == "mine" and bare.input_layer.alpha == 0.3
    nin = L.NINLayer(x, 2, name="n")
    instance, layer = L.instance_norm(nin), L.layer_norm(L.NINLayer(x, 2, W=nin.W, name="m"), epsilon=0.01)
    raw = L.instance_norm(L.NINLayer(x, 2, W=nin.W, nonlinearity=None), learn_scale=False, learn_bias=False)
    assert [p.name for p in L.get_all_params(instance)] == ["n.W", "n_in_scale.scales", "n_in_bias.b"]
    assert [p.name for p in L.get_all_params(layer)][1:] == ["m_ln_scale.scales", "m_ln_bias.b"]
    assert L.get_all_params(raw) == [nin.W]
    u = np.einsum("ncx,cu->nux", a, nin.W.get_value())
    compare([(out, v, np.maximum(normalized(a.reshape(6, 12) @ w, 0), 0)), (instance, v, np.maximum(normalized(u, 2), 0)),
             (layer, v, np.maximum(normalized(u, (1, 2), 0.01), 0)), (raw, v, normalized(u, 2))])


def test_standardization_and_local_response():
    rng = seeded()
    x, v, a = given((2, 7, 3, 4), rng)
    y, vy, b = given((5, 6), rng)
    cases = [(L.StandardizationLayer(x), v, normalized(a, (2, 3))), (L.StandardizationLayer(x, axes="spatial"), v, normalized(a,
        (2, 3))),
             (L.StandardizationLayer(x, axes="features", epsilon=0.5), v, normalized(a, (1, 2, 3), 0.5)),
             (L.StandardizationLayer(x, axes=-1), v, normalized(a, 3)), (L.StandardizationLayer(x, axes=(0, 2)), v,
                 normalized(a, (0, 2))),
             (L.StandardizationLayer(y), vy, normalized(b, 1))]
    for n, alpha, k, beta in [(5, 1e-4, 2, 0.75), (3, 0.1, 1, 0.5), (1, 0.2, 1.5, 2)]:
        total = np.array([(a[:, max(0, c - n // 2):c + n // 2 + 1] ** 2).sum(axis=1) for c in range(7)]).transpose(1, 0, 2, 3)
        cases.append((L.LocalResponseNormalization2DLayer(x, alpha=alpha, k=k, beta=beta, n=n), v,
            a / (k + alpha * total) ** beta))
    compare(cases)
    gradients([cases[0][0], cases[2][0], cases[7][0]], v)
    with pytest.raises(NotImplementedError, match="must be odd"):
        L.LocalResponseNormalization2DLayer(x, n=4)
    with pytest.raises(ValueError, match="nothing to normalize over"):
        L.StandardizationLayer((2, 3), axes="spatial")
    with pytest.raises(ValueError, match="got 'all'"):
        L.StandardizationLayer((2, 3), axes="all")
