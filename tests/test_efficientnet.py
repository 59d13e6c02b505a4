"""EfficientNet-Lite0: the example's network against NumPy with made-up weights, and with real ones where they are installed."""
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from layer_oracles import correlated
from torch_files import state_file

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like.layers import get_all_params, get_output, get_output_shape

pytest.importorskip("sklearn")
pytest.importorskip("PIL")
#: as the example's BLOCKS: filters, how much wider inside, filters' size, stride, repeats
SMALL = [(4, 1, 3, 1, 1), (6, 2, 5, 2, 2), (6, 2, 3, 2, 1)]


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "examples"))
    monkeypatch.setattr(symbolic.config, "floatX", "float32")
    monkeypatch.setattr(symbolic.config, "threads", 1)
    before = lasagne.random.get_rng()
    sys.modules.pop("efficientnet_lite0", None)
    yield importlib.import_module("efficientnet_lite0")
    lasagne.random.set_rng(before)


def made_up(rng, stem=4, head=8, classes=5):
    """Return a state_dict of a small network, by PyTorch's names."""
    state = {}

    def conv(name, norm, out, inside, size):
        state[f"{name}.weight"] = rng.normal(size=(out, inside, size, size)) / np.sqrt(inside * size * size)
        state.update({f"{norm}.weight": rng.normal(1, 0.2, out), f"{norm}.bias": rng.normal(0, 0.5, out),
                      f"{norm}.running_mean": rng.normal(0, 0.5, out), f"{norm}.running_var": rng.uniform(0.5, 2, out)})

    conv("_conv_stem", "_bn0", stem, 3, 3)
    channels, count = stem, 0
    for filters, wider, size, _, repeats in SMALL:
        for _ in range(repeats):
            b = f"_blocks.{count}"
            if wider > 1:
                conv(f"{b}._expand_conv", f"{b}._bn0", channels * wider, channels, 1)
            conv(f"{b}._depthwise_conv", f"{b}._bn1", channels * wider, 1, size)
            conv(f"{b}._project_conv", f"{b}._bn2", filters, channels * wider, 1)
            channels, count = filters, count + 1
    conv("_conv_head", "_bn1", head, channels, 1)
    state |= {"_fc.weight": rng.normal(size=(classes, head)), "_fc.bias": rng.normal(size=classes)}
    return {name: a.astype("float32") for name, a in state.items()} | {"_bn0.num_batches_tracked": np.array(9)}


def by_hand(state, a):
    """Return the logits of the small network, step by step, with TensorFlow's borders from their formula."""

    def conv(a, name, norm, stride=1, groups=1, cut=True):
        w = state[f"{name}.weight"]
        size, n = w.shape[-1], a.shape[-1]
        rest = max((-(-n // stride) - 1) * stride + size - n, 0)
        border = (rest // 2, rest - rest // 2)
        out = correlated(np.pad(a, [(0, 0), (0, 0), border, border]), w, stride, groups=groups, flip=False)
        gamma, beta, mean, var = (state[f"{norm}.{n}"][:, None, None] for n in ("weight", "bias", "running_mean", "running_var"))
        out = (out - mean) / np.sqrt(var + 1e-3) * gamma + beta
        return np.clip(out, 0, 6) if cut else out

    a, count = conv(a, "_conv_stem", "_bn0", 2), 0
    for filters, wider, _, stride, repeats in SMALL:
        for k in range(repeats):
            b, before, step = f"_blocks.{count}", a, stride if k == 0 else 1
            if wider > 1:
                a = conv(a, f"{b}._expand_conv", f"{b}._bn0")
            a = conv(a, f"{b}._depthwise_conv", f"{b}._bn1", step, groups=a.shape[1])
            a = conv(a, f"{b}._project_conv", f"{b}._bn2", cut=False)
            a = a + before if step == 1 and before.shape[1] == filters else a
            count += 1
    return conv(a, "_conv_head", "_bn1").mean(axis=(2, 3)) @ state["_fc.weight"].T + state["_fc.bias"]


def test_a_small_network_of_made_up_weights(example, tmp_path):
    rng = np.random.default_rng(0)
    state = made_up(rng)
    file = state_file(state, tmp_path / "small.pth")
    x = T.ftensor4()
    build = lambda **more: example.efficientnet_lite0(x, 32, 5, SMALL, **{"stem": 4, "head": 8} | more)  # noqa: E731
    features, net = build()
    assert example.load_weights(net, file) == len(get_all_params(net)) == len(state) - 1
    assert get_output_shape(features) == (None, 8) and get_output_shape(net) == (None, 5)
    a = rng.normal(size=(2, 3, 32, 32)).astype("float32")
    np.testing.assert_allclose(symbolic.function([x], get_output(net, deterministic=True))(a), by_hand(state, a), rtol=1e-3,
                               atol=1e-4)
    with pytest.raises(ValueError, match="doesn't fit: _conv_head.W, _bn1.beta"):
        example.load_weights(build(head=9)[1], file)
    with pytest.raises(ValueError, match="a multiple of 32, got 40"):
        example.efficientnet_lite0(x, 40)


def test_what_a_photograph_becomes(example):
    image = np.zeros((80, 120, 3), "uint8")
    image[:, 60:] = 255
    got = example.prepared(image, 32)
    assert got.shape == (3, 32, 32) and got.dtype == "float32"
    np.testing.assert_allclose(got[:, :, [0, 31]], np.broadcast_to(np.float32([-127, 128]) / 128, (3, 32, 2)))


def installed(example):
    if importlib.util.find_spec(example.PACKAGE) is None:
        pytest.skip("the package of the weights isn't installed")
    return example.weights_file()


def test_photographs_and_digits_with_real_weights(example, capsys):
    installed(example)
    result = example.main(["--digits", "600"])
    assert result.logits.argmax(axis=1).tolist() == [698, 985], "a palace and a daisy"
    assert result.accuracy > 0.85
    assert "china.jpg: palace" in capsys.readouterr().out


def test_logits_are_pytorchs(example):
    file = installed(example)
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    peer.load_state_dict(torch.load(file))
    peer.eval()
    x = T.ftensor4()
    _, net = example.efficientnet_lite0(x)
    example.load_weights(net, file)
    batch = np.stack([example.prepared(image) for image in example.load_sample_images().images])
    got = symbolic.function([x], get_output(net, deterministic=True))(batch)
    want = peer(torch.from_numpy(batch)).detach().numpy()
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()
    np.testing.assert_allclose(got, want, atol=1e-3)
