"""Weights of PyTorch's files: both formats, every dtype, views, hostile and damaged files, and a network made of them."""
from __future__ import annotations

import numpy as np
import pytest
from layer_oracles import correlated
from torch_files import Raw, Writer, called, named, pickled, state_file

import lasagne_like as lasagne
import symbolic.tensor as T
from lasagne_like import pickles, pytorch, weights

L = lasagne.layers


@pytest.mark.parametrize("form", ["row", "zip", "big"])
def test_every_dtype_and_shape(form, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"{d}{s}": (rng.normal(size=s) * 50).astype(d) for d in
              ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1", "c8", "c16") for s in ((), (0, 3), (2, 3))}
    w, a = Writer(), np.arange(24, dtype="f4")
    held = w.storage(a)
    views = {"turned": w.view(held, 2, (3, 4), (1, 6)), "row": w.view(held, 20, (4,), (1,))}
    upper = np.array([0x3F80, 0xC040, 0x7FC0, 0xFF80], "u2")
    content = {"state": {n: w.tensor(v) for n, v in arrays.items()} | views, "epoch": 3, "names": ["a", None, True, -5, 2**70],
               "half": w.tensor(upper, kind="BFloat16"), "size": called(named("torch", "Size"), [1, 2]),
               "parameter": called(named("torch._utils", "_rebuild_parameter"), w.tensor(a), True, None)}
    if form == "row":
        content["part"] = w.view(w.storage(a, part=("part", 4, 6)), 1, (2,), (3,))
    file = tmp_path / "net.pt"
    file.write_bytes(w.row(content) if form == "row" else w.zip(content, form == "big"))
    got = lasagne.load_torch(file)
    assert list(got["state"]) == [*arrays, "turned", "row"]
    for name, want in arrays.items():
        assert got["state"][name].dtype == want.dtype and got["state"][name].shape == want.shape
        np.testing.assert_array_equal(got["state"][name], want)
    np.testing.assert_array_equal(got["state"]["turned"], a[[[2, 8, 14, 20], [3, 9, 15, 21], [4, 10, 16, 22]]])
    got["state"]["row"][...] = 0  # results are the caller's own
    np.testing.assert_array_equal(got["state"]["turned"][0, 3], 20)
    np.testing.assert_array_equal(got["half"], np.float32([1, -3, np.nan, -np.inf]))
    np.testing.assert_array_equal(got["parameter"], a)
    assert (got["epoch"], got["names"], got["size"]) == (3, ["a", None, True, -5, 2**70], (1, 2))
    if form == "row":
        np.testing.assert_array_equal(got["part"], [5, 8])


def test_files_that_name_other_things_are_refused(tmp_path, capfd):
    file = tmp_path / "net.pt"
    for bad, text in [(called(named("os", "system"), "echo never"), "names os.system"),
                      (called(named("builtins", "eval"), "print(1)"), "builtins.eval"),
                      (named("torch.nn", "Linear"), "torch.nn.Linear"), (named("torch", "load"), "torch.load")]:
        w = Writer()
        for data in (w.row({"a": bad}), w.zip({"a": bad})):
            file.write_bytes(data)
            with pytest.raises(pickles.UnsafePickleError, match=text + ".*state_dict"):
                pytorch.load(file)
    assert capfd.readouterr().out == ""


def test_damaged_files_are_a_clear_error(tmp_path):
    file, a = tmp_path / "net.pt", np.arange(6, dtype="f4")

    def refused(make, text, row=True, zipped=True):
        for on, form in ((row, Writer.row), (zipped, Writer.zip)):
            if on:
                w = Writer()
                file.write_bytes(form(w, {"a": make(w)}))
                with pytest.raises(ValueError, match=f"can't be read as a file of torch.save: .*{text}"):
                    pytorch.load(file)

    refused(lambda w: w.view(w.storage(a), 1, (2, 3), (3, 1)), "reaches beyond its storage of 6 numbers")
    refused(lambda w: w.view(w.storage(a), 0, (2**40,), (0,)), "repeats the 6 numbers")
    refused(lambda w: w.view(w.storage(a), -1, (2,), (1,)), "a tensor that isn't one")
    refused(lambda w: w.view(w.storage(a), 0, (2,), (1, 1)), "a tensor that isn't one")
    refused(lambda w: w.view("text", 0, (2,), (1,)), "a tensor that isn't one")
    refused(lambda w: w.storage(a, size=2**50), "should have 1125899906842624 numbers")
    refused(lambda w: w.storage(a, part=("p", 4, 3)), "a part that reaches beyond")
    refused(lambda w: Raw(pickled(("module", 1, 2, 3, 4)) + b"Q"), "something else than a storage")
    file.write_bytes(pickled({}) + b".")
    with pytest.raises(ValueError, match="not one that torch.save wrote"):
        pytorch.load(file)
    w = Writer()
    state = {"a": w.tensor(a), "b": w.tensor(a.reshape(2, 3))}
    rng, loaded = np.random.default_rng(0), 0
    for data in (w.row(state), w.zip(state)):
        for k in range(1200):
            damaged = bytearray(data)
            if k % 3 == 0:
                damaged = damaged[:rng.integers(len(data))]
            else:
                for place in rng.integers(0, len(data), 1 + k % 3):
                    damaged[place] = rng.integers(256)
            file.write_bytes(bytes(damaged))
            try:
                pytorch.load(file)
                loaded += 1
            except ValueError:
                pass
    assert 50 < loaded < 1500


def made_up(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def test_a_network_computes_what_pytorch_would(tmp_path):
    rng = np.random.default_rng(0)
    state = {"conv.weight": made_up(rng, 4, 3, 3, 3), "conv.bias": made_up(rng, 4), "bn.weight": made_up(rng, 4),
             "bn.bias": made_up(rng, 4), "bn.running_mean": made_up(rng, 4), "bn.running_var": abs(made_up(rng, 4)) + 1,
             "bn.num_batches_tracked": np.array(7), "fc.weight": made_up(rng, 5, 144), "fc.bias": made_up(rng, 5),
             "scale": made_up(rng, 1)}
    file = state_file(state, tmp_path / "net.pth")
    x = T.ftensor4("x")
    net = L.Conv2DLayer(L.InputLayer((None, 3, 8, 8), x), 4, 3, flip_filters=False, nonlinearity=None, name="conv")
    net = L.DenseLayer(L.BatchNormLayer(net, epsilon=1e-5, name="bn"), 5, nonlinearity=None, name="fc")
    assert all(row.copied for row in lasagne.copy_matching(file, net, show=False) if row.name != "scale")
    a = made_up(rng, 2, 3, 8, 8)
    bn = [state[f"bn.{n}"][:, None, None] for n in ("weight", "bias", "running_mean", "running_var")]
    hidden = correlated(a, state["conv.weight"], flip=False) + state["conv.bias"][:, None, None]
    hidden = (hidden - bn[2]) / np.sqrt(bn[3] + 1e-5) * bn[0] + bn[1]
    want = hidden.reshape(2, -1) @ state["fc.weight"].T + state["fc.bias"]
    np.testing.assert_allclose(L.get_output(net, deterministic=True).eval({x: a}), want, rtol=1e-4, atol=1e-4)
    assert list(weights.read(file)) == ["conv.W", "conv.b", "bn.gamma", "bn.beta", "bn.mean", "bn.inv_std", "fc.W", "fc.b",
                                        "scale"]
    np.testing.assert_allclose(pytorch.as_lasagne(state, 1.0)["bn.inv_std"], 1 / np.sqrt(state["bn.running_var"] + 1), rtol=1e-6)
    with pytest.raises(ValueError, match="a state_dict of arrays, but 'epoch' is int"):
        pytorch.as_lasagne({"epoch": 3})


def test_files_that_pytorch_writes(tmp_path):
    torch = pytest.importorskip("torch")
    state = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).state_dict()
    state |= {"turned": torch.arange(6.0).reshape(2, 3).T, "half": torch.arange(6.0).to(torch.bfloat16)[1:4]}
    for later in (False, True):
        torch.save(state, tmp_path / "net.pt", _use_new_zipfile_serialization=later)
        got = pytorch.load(tmp_path / "net.pt")
        assert list(got) == list(state)
        for name, tensor in state.items():
            np.testing.assert_array_equal(got[name], tensor.float().numpy())
