"""Weights from Caffe's files: messages encoded here by hand, after the protobuf encoding's rules."""
import struct

import numpy as np
import pytest

import lasagne_like as lasagne
import symbolic.tensor as T
from lasagne_like.layers import Conv2DLayer, DenseLayer, InputLayer, get_output
from lasagne_like.weights import read


def _number(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def _field(number, value):
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    value = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(value)) + value


def _blob(a, old=False):
    data = _field(8, a.astype("<f8").tobytes()) if a.dtype == "float64" else _field(5, a.astype("<f4").tobytes())
    if old:
        return b"".join(_field(k + 1, n) for k, n in enumerate((1,) * (4 - a.ndim) + a.shape)) + data
    return _field(7, _field(1, b"".join(map(_number, a.shape)))) + data


def _model(layers, old=False):
    name, kind, blobs, layer = (4, 5, 6, 2) if old else (1, 2, 7, 100)
    return _field(1, "net") + b"".join(_field(layer, _field(name, n) + _field(kind, k) + b"".join(
        _field(blobs, _blob(a, old)) for a in arrays)) for n, k, arrays in layers)


def _values(*shape, dtype="float32"):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("old", [False, True])
def test_a_network_computes_what_caffe_would(tmp_path, old):
    w, b, m, c = _values(4, 3, 3, 3), _values(4), _values(5, 144), _values(5)
    file = tmp_path / "net.caffemodel"
    kinds = (4, 14) if old else ("Convolution", "InnerProduct")
    file.write_bytes(_model([("conv", kinds[0], [w, b]), ("fc", kinds[1], [m, c])], old))
    x = T.tensor4("x", dtype="float32")
    conv = Conv2DLayer(InputLayer((None, 3, 8, 8), x), 4, 3, flip_filters=False, nonlinearity=None, name="conv")
    rows = lasagne.copy_matching(file, net := DenseLayer(conv, 5, nonlinearity=None, name="fc"), show=False)
    assert [r.copied for r in rows] == [True] * 4
    images = _values(2, 3, 8, 8)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(2, 3))
    hidden = np.einsum("ncijuv,kcuv->nkij", windows, w) + b[:, None, None]
    np.testing.assert_allclose(get_output(net).eval({x: images}), hidden.reshape(2, -1) @ m.T + c, rtol=1e-4, atol=1e-4)


def test_other_layers(tmp_path):
    mean, var = _values(3), np.abs(_values(3)) + 1
    file = tmp_path / "net.caffemodel"
    file.write_bytes(_model([("bn", "BatchNorm", [mean * 4, var * 4, np.float32([4])]), ("s", "Scale", [mean, var]),
                             ("p", "PReLU", [mean]), ("d", "Deconvolution", [_values(2, 3, 1, 2, dtype="float64")])]))
    out = read(file)
    assert list(out) == ["bn.mean", "bn.inv_std", "s.scales", "s.b", "p.alpha", "d.W"]
    np.testing.assert_allclose(out["bn.mean"], mean, rtol=1e-6)
    np.testing.assert_allclose(out["bn.inv_std"], 1 / np.sqrt(var + 1e-5), rtol=1e-6)
    np.testing.assert_array_equal(out["d.W"], _values(2, 3, 1, 2, dtype="float64"))


def test_every_broken_file_is_a_clear_error(tmp_path):
    file = tmp_path / "net.caffemodel"
    whole = _model([("fc", "InnerProduct", [_values(2, 3)])])
    for size in [*range(4), *range(6, len(whole))]:  # after byte 5 the message ends properly, without weights
        file.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="read: "):
            read(file)
    file.write_bytes(_model([("fc", "InnerProduct", [_values(2, 3)])] * 2))
    with pytest.raises(ValueError, match=r"two layers hold fc\.W"):
        read(file)
    file.write_bytes(_field(100, _field(1, "a") + _field(7, _field(7, _field(1, _number(5))) + _field(5, struct.pack("<f", 1)))))
    with pytest.raises(ValueError, match="shape .5,. holds 1 numbers"):
        read(file)


def test_transpose_of_an_inner_product(tmp_path):
    m = _values(2, 3)
    file = tmp_path / "net.caffemodel"
    layer = _field(1, "fc") + _field(2, "InnerProduct") + _field(7, _blob(m))
    for flag, right in ((0, m.T), (1, m)):
        file.write_bytes(_field(100, layer + _field(117, _field(6, flag))))
        np.testing.assert_array_equal(read(file)["fc.W"], right)


def test_damaged_bytes_are_values_or_a_value_error(tmp_path):
    rng, file = np.random.default_rng(1), tmp_path / "net.caffemodel"
    whole = {old: _model([("c", 4 if old else "BatchNorm", [_values(2), _values(2), _values(1)])], old) for old in (False, True)}
    refused = 0
    for k in range(2000):
        data = bytearray(whole[k % 2 == 1])
        for at in rng.integers(0, len(data), 2):
            data[at] = rng.integers(256)
        file.write_bytes(bytes(data))
        try:
            assert all(isinstance(a, np.ndarray) for a in read(file).values())
        except ValueError:
            refused += 1
    assert refused > 500
