"""Weights in files and between networks: round trips, damaged and hostile files, copies by name, freezing."""
from __future__ import annotations

import json
import os
import pickle
import struct

import numpy as np
import pytest

import lasagne_like as lasagne
import symbolic.tensor as T
from lasagne_like import pickles, safetensors, weights

L = lasagne.layers


def network(units=5, out="out"):
    x = L.InputLayer((None, 4), T.matrix())
    return L.DenseLayer(L.batch_norm(L.DenseLayer(x, units, name="hidden")), 3, name=out)


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_a_network_comes_back_from_a_file(ending, tmp_path):
    net, other = network(), network()
    file = tmp_path / f"net.{ending}"
    lasagne.save(net, file)
    lasagne.load(other, file)
    for a, b in zip(L.get_all_param_values(net), L.get_all_param_values(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(weights.read(file)) == ["hidden.W", "hidden_bn.beta", "hidden_bn.gamma", "hidden_bn.mean", "hidden_bn.inv_std",
                                        "out.W",
                                       "out.b"]
    lasagne.save(net, file, trainable=True)
    lasagne.load(other, file, trainable=True)
    with pytest.raises(ValueError, match="the file lacks hidden_bn.mean, hidden_bn.inv_std, the network lacks nothing"):
        lasagne.load(other, file)
    held = L.get_all_param_values(other)
    with pytest.raises(ValueError, match=r"hidden.W has shape \(4, 6\), the file's \(4, 5\)"):
        lasagne.load(network(6), file, trainable=True)
    for a, b in zip(L.get_all_param_values(other), held, strict=True):
        np.testing.assert_array_equal(a, b)
    assert os.listdir(tmp_path) == [file.name], "no half-written file is left"
    for call in (lambda: lasagne.save(net, tmp_path / "net.h5"), lambda: lasagne.load(net, tmp_path / "net.h5")):
        with pytest.raises(ValueError, match="must end in .npz"):
            call()


def test_numbered_arrays_go_in_order(tmp_path):
    net, other = network(), network()
    np.savez(tmp_path / "plain.npz", *L.get_all_param_values(net))
    lasagne.load(other, tmp_path / "plain.npz")
    np.testing.assert_array_equal(L.get_all_param_values(other)[-2], L.get_all_param_values(net)[-2])
    np.savez(tmp_path / "short.npz", *L.get_all_param_values(net)[:3])
    with pytest.raises(ValueError, match="holds 3 arrays, the network has 7 parameters"):
        lasagne.load(other, tmp_path / "short.npz")


def test_safetensors_hold_every_dtype_and_shape():
    rng = np.random.default_rng(0)
    arrays = {f"{d}{s}": (rng.normal(size=s) * 50).astype(d) for d in
              ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "bool", "c8") for s in ((), (0, 3), (2, 3))}
    arrays["strided"] = rng.normal(size=(4, 6))[::-2, ::3]
    arrays["big-endian"] = np.arange(3, dtype=">f4")
    got, metadata = safetensors.parse(safetensors.dump(arrays, {"made": "here"}))
    assert metadata == {"made": "here"} and list(got) == list(arrays)
    for name, a in arrays.items():
        assert got[name].shape == a.shape and got[name].dtype == a.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(got[name], a)
        got[name][...] = 0  # results are the caller's own
    header = json.dumps({"h": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    bf16 = struct.pack("<Q", len(header)) + header + struct.pack("<HH", 0x3F80, 0xC040)
    np.testing.assert_array_equal(safetensors.parse(bf16)[0]["h"], np.float32([1, -3]))
    with pytest.raises(TypeError, match="'x' has dtype object"):
        safetensors.dump({"x": np.array([None])})


def test_damaged_safetensors_are_refused():
    whole = safetensors.dump({"W": np.ones((2, 3), "float32")})

    def made(entry):
        header = json.dumps(entry).encode()
        return struct.pack("<Q", len(header)) + header + b"\0" * 24

    entry = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    safetensors.parse(made({"W": entry}))
    for data, text in [(b"abc", "too few"), (whole[:20], "the header should have"), (whole[:-1], "don't hold shape"),
                       (struct.pack("<Q", 2**63) + whole[8:], "the header should have"), (struct.pack("<Q", 4) + b"nope",
                                                                                          "no JSON"),
                       (made([1]), "no table"), (made({"W": {**entry, "dtype": "F8"}}), "entry of 'W'"), (made({"W": 3}),
                                                                                                          "entry of 'W'"),
                       (made({"W": {**entry, "shape": [-2, -3]}}), "natural number"), (made({"W": {**entry, "shape": [2,
                                                                                                                      2**62]}}),
                                                                                                                      "hold"),
                       (made({"W": {**entry, "data_offsets": [4, 28]}}), "don't hold"), (made({"W": {"dtype": "F32"}}),
                                                                                         "entry of 'W'")]:
        with pytest.raises(safetensors.SafetensorsError, match=text):
            safetensors.parse(data)


class Hostile:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_pickles_of_the_model_zoo_are_read(protocol, tmp_path):
    net, other = network(), network()
    values = L.get_all_param_values(net)
    for k, content in enumerate([values, {"param values": values, "model type": "x", "mean": np.float32(3)},
                                 {"values": tuple(values)}]):
        file = tmp_path / f"zoo{k}.pkl"
        file.write_bytes(pickle.dumps(content, protocol=protocol))
        lasagne.load(other, file)
        for a, b in zip(L.get_all_param_values(other), values, strict=True):
            np.testing.assert_array_equal(a, b)
    # as Python 2 and old NumPy wrote it: module names of then, bytes as text
    old = pickle.dumps(np.arange(3.0), protocol=0).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "old.pkl").write_bytes(old)
    np.testing.assert_array_equal(pickles.load(tmp_path / "old.pkl"), [0, 1, 2])


def test_pickles_that_name_other_things_are_refused(tmp_path, capfd):
    file = tmp_path / "bad.pkl"
    for content, text in [(Hostile(), "names (posix|nt).system"), ({"param values": [Hostile()]}, "system"), (network, "names"),
                          (np.array([Hostile()], dtype=object), "system")]:
        file.write_bytes(pickle.dumps(content))
        with pytest.raises(pickles.UnsafePickleError, match=text):
            pickles.param_values(file)
    file.write_bytes(b"cbuiltins\neval\n(S'print(1)'\ntR.")
    with pytest.raises(pickles.UnsafePickleError, match="builtins.eval"):
        pickles.load(file)
    assert capfd.readouterr().out == ""
    for content, text in [({"weights": 1}, "a dict with 'weights'"), (3, "got int"), ([np.array(["a"])], "entry 0 is no array "
                                                                                                         "of numbers"),
                          ([np.array([None], dtype=object)], "entry 0")]:
        file.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=text):
            pickles.param_values(file)
    for damaged in (b"", b"hello", pickle.dumps([1, 2])[:-3]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="can't be read as a pickle"):
            pickles.load(file)


def test_copying_by_name_shows_what_went_where(capsys, tmp_path):
    source, net = network(out="old"), network()
    fresh = L.get_all_param_values(net)
    rows = lasagne.copy_matching(source, net)
    assert [r.copied for r in rows] == [True] * 5 + [False] * 2 and rows[5] == weights.Copied("out.W", (5, 3), None, False)
    text = capsys.readouterr().out
    assert "hidden.W" in text and "copied" in text and "not in the source" in text and "only in the source" in text
    for k, (a, b) in enumerate(zip(L.get_all_param_values(net), fresh, strict=True)):
        np.testing.assert_array_equal(a, L.get_all_param_values(source)[k] if k < 5 else b)
    lasagne.save(network(), tmp_path / "w.safetensors")
    rows = lasagne.copy_matching(tmp_path / "w.safetensors", network(6), show=False)
    assert [r.copied for r in rows] == [False] * 6 + [True] and rows[0].source == (4, 5)
    assert capsys.readouterr().out == ""
    assert lasagne.copy_matching({"out.b": np.array([1, 2, 3])}, net, show=False)[-1].copied
    np.testing.assert_array_equal(L.get_all_param_values(net)[-1], [1, 2, 3])


def test_freezing_by_name_and_tag():
    net = network()
    names = lambda: [p.name for p in L.get_all_params(net, trainable=True)]  # noqa: E731
    every = names()
    assert lasagne.freeze(net, "hidden*") == ["hidden.W", "hidden_bn.beta", "hidden_bn.gamma"] and names() == ["out.W", "out.b"]
    with pytest.raises(ValueError, match="no parameter fits 'conv\\*'; there are hidden.W"):
        lasagne.freeze(net, "conv*")
    assert lasagne.unfreeze(net, "hidden_bn") == ["hidden_bn.beta", "hidden_bn.gamma"]
    assert lasagne.unfreeze(net) == ["hidden.W"] and names() == every
    assert lasagne.freeze(net, regularizable=False) == ["hidden_bn.beta", "out.b"]
    assert lasagne.unfreeze(net, "out.b") == ["out.b"]
    with pytest.raises(ValueError, match="unfreeze: no parameter fits 'out.b'"):
        lasagne.unfreeze(net, "out.b")
    lasagne.unfreeze(net)
    assert names() == every and "hidden_bn.mean" not in lasagne.freeze(net)
