"""Convolutional layers against loops in NumPy: every argument, promised shapes, errors, gradients."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from layer_checks import L, compare, gradients, input_of, seeded
from layer_oracles import correlated, pads, transposed

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like.layers import corrmm, dnn


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


def test_lengths_agree_with_each_other():
    for size, stride, pad in itertools.product((1, 3, 5), (1, 2, 3), (0, 1, 2, "full", "same", "valid")):
        for n in range(5, 12):
            out = L.conv_output_length(n, size, stride, pad)
            p = {"full": size - 1, "same": size // 2, "valid": 0}.get(pad, pad)
            assert out == len(range(0, n + 2 * p - size + 1, stride))
            assert L.conv_output_length(L.conv_input_length(out, size, stride, pad), size, stride, pad) == out
    assert L.conv_output_length(None, 3, 1) is None and L.conv_input_length(None, 3, 1) is None
    with pytest.raises(ValueError, match="'half'"):
        L.conv_output_length(3, 3, 1, "half")
    with pytest.raises(ValueError, match="'half'"):
        L.conv_input_length(3, 3, 1, "half")


def test_two_axes_over_a_grid_of_arguments():
    rng = seeded()
    cases = []
    for k, (size, stride, pad) in enumerate(itertools.product((3, (1, 5)), (1, (2, 3)), (0, 1, (2, 1), "full", "same", "valid"))):
        x, v, a = given((2, 4, 6, 8), rng, known=k % 2 == 0)
        groups, flip = (1, 2, 4)[k % 3], k % 2 == 0
        layer = L.Conv2DLayer(x, 4, size, stride, pad, nonlinearity=None, b=None, num_groups=groups, flip_filters=flip)
        cases.append((layer, v, correlated(a, layer.W.get_value(), stride, pad, groups=groups, flip=flip)))
    compare(cases)
    gradients([cases[0][0], cases[9][0]], cases[0][1] | cases[9][1])


def test_one_and_three_axes():
    rng = seeded()
    cases = []
    for k, (size, stride, pad) in enumerate(itertools.product((3, 2), (1, 2), (0, 1, "full", "same"))):
        if size == 2 and pad == "same":
            continue
        x, v, a = given((2, 4, 9), rng, known=k % 2 == 0)
        y, vy, b = given((2, 2, 4, 5, 3), rng, known=k % 2 == 1)
        one = L.Conv1DLayer(x, 4, size, stride, pad, nonlinearity=None, num_groups=2 if k % 2 else 1, flip_filters=k % 3 == 0)
        three = L.Conv3DLayer(y, 2, size, stride, pad, nonlinearity=T.tanh, flip_filters=k % 2 == 0)
        cases += [(one, v, correlated(a, one.W.get_value(), stride, pad, groups=one.num_groups, flip=k % 3 == 0)),
                  (three, vy, np.tanh(correlated(b, three.W.get_value(), stride, pad, flip=k % 2 == 0)))]
    compare(cases)
    gradients([cases[0][0], cases[1][0]], cases[0][1] | cases[1][1])


def test_biases_nonlinearity_and_own_convolution():
    rng = seeded()
    x, v, a = given((2, 3, 5, 4), rng, known=False)
    tied = L.Conv2DLayer(x, 2, 3, b=np.array([1.0, -1.0]))
    untied = L.Conv2DLayer(x, 2, 3, W=tied.W, b=lasagne.init.Normal(1.0), untie_biases=True, nonlinearity=None, name="c")
    core = correlated(a, tied.W.get_value())
    assert untied.b.get_value().shape == (2, 3, 2) and untied.b.name == "c.b"
    seen = []

    def spy(*args, **kwargs):
        seen.append((args[2:], kwargs))
        return T.nnet.conv2d(*args, **kwargs)

    own = L.Conv2DLayer(x, 2, 3, W=tied.W, b=None, nonlinearity=None, convolution=spy, pad="same", stride=2)
    compare([(tied, v, np.maximum(core + np.array([1.0, -1.0])[:, None, None], 0)), (untied, v, core + untied.b.get_value()),
             (own, v, correlated(a, tied.W.get_value(), 2, "same"))])
    assert seen[0] == (((None, 3, 5, 4), (2, 3, 3, 3)), {"subsample": (2, 2), "border_mode": "half", "filter_flip": True})
    gradients([untied], v)
    assert L.get_all_params(untied, regularizable=True) == [tied.W]
    for make, error, text in [
            (lambda: L.Conv2DLayer((None, 3, 5), 2, 3), ValueError, r"expected 4 axes"), (lambda: L.Conv2DLayer((None, None, 5,
                                                                                                                 5), 2, 3),
                                                                                        ValueError, "channels, axis 1, must be "
                                                                                                    "known"),
            (lambda: L.Conv2DLayer(x, 2, (3, 2), pad="same"), NotImplementedError, "needs odd filter sizes"),
            (lambda: L.Conv2DLayer(x, 2, 3, pad="half"), ValueError, "'half'"), (lambda: L.Conv2DLayer(x, 2, 3.0), TypeError,
                                                                                 "int"),
            (lambda: L.Conv2DLayer(x, 2, 3, num_groups=2), ValueError, "num_groups must divide"),
            (lambda: L.Conv2DLayer((None, 3, None, 5), 2, 3, untie_biases=True), ValueError, "untie_biases needs"),
            (lambda: L.Conv2DLayer(x, 2, 3, W=np.zeros((2, 3, 3, 2))), ValueError, r"needs shape \(2, 3, 3, 3\)")]:
        with pytest.raises(error, match=text):
            make()


def test_transposed_convolutions():
    rng = seeded()
    cases = []
    for k, (size, stride, crop) in enumerate(itertools.product((3, (3, 5)), (1, (2, 3)), (0, 1, "same", "full", "valid"))):
        x, v, a = given((2, 3, 6, 7), rng, known=k % 2 == 0)
        layer = L.TransposedConv2DLayer(x, 2, size, stride, crop, b=None, nonlinearity=None, flip_filters=k % 3 == 0)
        extents = tuple(L.conv_input_length(n, f, s, p) for n, f, s, p in zip(
            (6, 7), layer.filter_size, layer.stride, pads(crop, layer.filter_size), strict=True))
        cases.append((layer, v, transposed(a, layer.W.get_value(), stride, crop, extents, k % 3 == 0)))
        assert layer.output_shape[2:] == extents
    rows, columns = T.lscalar(), T.lscalar()
    loose = input_of((2, 3, 6, 7))
    free = L.InputLayer((None, 3, None, None), loose.input_var)
    a = rng.normal(size=(2, 3, 6, 7))
    sized = L.Deconv2DLayer(free, 2, 3, stride=2, b=None, nonlinearity=None, output_size=(14, 16))
    asked = L.Deconv2DLayer(free, 2, 3, stride=2, b=None, nonlinearity=None, output_size=(rows, columns), W=sized.W)
    vector = L.Deconv2DLayer(free, 2, 3, stride=2, b=None, nonlinearity=None, output_size=T.stack([rows, columns]), W=sized.W)
    alone = L.Deconv2DLayer(free, 2, 3, stride=2, W=sized.W, untie_biases=False, nonlinearity=T.tanh)
    want = np.pad(transposed(a, sized.W.get_value(), 2, 0, (13, 15), False), [(0, 0), (0, 0), (0, 1), (0, 1)])
    values = {loose.input_var: a, rows: np.int64(14), columns: np.int64(16)}
    assert sized.output_shape == (None, 2, 14, 16) and asked.output_shape == (None, 2, None, None) == alone.output_shape
    cases += [(sized, values, want), (asked, values, want), (vector, values, want), (alone, values, np.tanh(want[:, :, :13,
                                                                                                                 :15]))]
    y, vy, b = given((2, 2, 3, 4, 2), rng)
    three = L.TransposedConv3DLayer(y, 3, 3, stride=(2, 1, 2), crop=1, nonlinearity=None, untie_biases=True,
                                    b=lasagne.init.Normal(1))
    cases.append((three, vy, transposed(b, three.W.get_value(), (2, 1, 2), 1, three.output_shape[2:],
                                        False) + three.b.get_value()))
    compare(cases)
    gradients([cases[0][0], three], cases[0][1] | vy)
    with pytest.raises(ValueError, match="leaves nothing"):
        L.TransposedConv2DLayer((None, 2, 1, 1), 2, 3, crop="full")


def test_dilated_convolutions():
    rng = seeded()
    cases = []
    for k, (size, dilation, pad) in enumerate(itertools.product((3, (2, 3)), (1, (2, 3)), (0, 1, "full", "same"))):
        if pad == "same" and size != 3:
            continue
        x, v, a = given((2, 3, 8, 9), rng, known=k % 2 == 0)
        layer = L.DilatedConv2DLayer(x, 2, size, dilation, pad, b=None, nonlinearity=None, flip_filters=k % 2 == 0)
        assert layer.W.get_value().shape[:2] == (3, 2)
        cases.append((layer, v, correlated(a, layer.W.get_value().swapaxes(0, 1), 1, pad, dilation, flip=k % 2 == 0)))
    untied = L.DilatedConv2DLayer(x, 2, 3, 2, untie_biases=True, b=lasagne.init.Normal(1), nonlinearity=T.tanh)
    core = correlated(a, untied.W.get_value().swapaxes(0, 1), 1, 0, 2, flip=False)
    cases.append((untied, v, np.tanh(core + untied.b.get_value())))
    compare(cases)
    gradients([untied], v)


def test_locally_connected():
    rng = seeded()
    x, v, a = given((2, 3, 4, 5), rng)
    cases = []
    for k, (size, pad, channelwise) in enumerate(itertools.product((3, (1, 3)), ("same", "valid", 1), (False, True))):
        layer = L.LocallyConnected2DLayer(x, 3, size, pad=pad, b=None, nonlinearity=None, flip_filters=k % 2 == 0,
                                          channelwise=channelwise)
        w = layer.W.get_value()
        rows, columns = layer.output_shape[2:]
        want = np.zeros((2, 3, rows, columns))
        for i, j in itertools.product(range(rows), range(columns)):
            here = w[..., i, j]
            if channelwise:
                here = np.einsum("cfg,cd->cdfg", here, np.eye(3))
            want[:, :, i, j] = correlated(a, here, 1, pad, flip=k % 2 == 0)[:, :, i, j]
        cases.append((layer, v, want))
    biased = L.LocallyConnected2DLayer(x, 2, 3, untie_biases=True, b=lasagne.init.Normal(1), W=lasagne.init.Normal(1))
    assert biased.b.get_value().shape == (2, 4, 5)
    cases.append((biased, v, None))
    compare(cases)
    gradients([cases[0][0], cases[1][0]], v)
    with pytest.raises(ValueError, match="as many filters as channels, got 2 and 3"):
        L.LocallyConnected2DLayer(x, 2, 3, channelwise=True)
    with pytest.raises(ValueError, match="must be known"):
        L.LocallyConnected2DLayer((None, 2, None, 4), 2, 3)


def test_the_inverse_of_a_convolution():
    rng = seeded()
    x, v, a = given((2, 3, 5, 6), rng)
    conv = L.Conv2DLayer(x, 4, 3, stride=2, b=None, nonlinearity=None)
    back = L.InverseLayer(conv, conv)
    up = correlated(a, conv.W.get_value(), 2)
    assert back.output_shape == (2, 3, 5, 6)
    want = np.zeros((2, 3, 5, 6))
    want[:, :, :5, :5] = transposed(up, conv.W.get_value(), 2, 0, (5, 5), False)
    compare([(back, v, want)])


def test_cudnn_names_correlate():
    rng = seeded()
    x, v, a = given((2, 3, 5, 6), rng)
    y, vy, b = given((1, 2, 3, 4, 3), rng)
    two = dnn.Conv2DDNNLayer(x, 4, 3, (1, 2), 1, nonlinearity=None)
    mm = corrmm.Conv2DMMLayer(x, 4, 3, nonlinearity=None, flip_filters=True)
    three = dnn.Conv3DDNNLayer(y, 2, 2, nonlinearity=None)
    compare([(two, v, correlated(a, two.W.get_value(), (1, 2), 1, flip=False)), (mm, v, correlated(a, mm.W.get_value())),
             (three, vy, correlated(b, three.W.get_value(), flip=False))])
    assert dnn.MaxPool2DDNNLayer(two, 2).output_shape == (2, 4, 2, 1) and dnn.batch_norm_dnn(two).output_shape == two.output_shape
