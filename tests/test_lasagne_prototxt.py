"""Networks of Caffe's text files: the form, every type of layer against NumPy, poolings against Caffe's loops, mistakes."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from layer_checks import gradients
from layer_oracles import correlated, sigmoid, transposed, value

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like import prototxt
from lasagne_like.caffe_layers import BUILDERS, LEFT_OUT, SOURCES, CaffePoolLayer
from symbolic.codegen.reference import evaluate

L = lasagne.layers
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [7, 4, 6, 5] } } }\n'


@pytest.fixture(autouse=True)
def floats(monkeypatch):
    before = lasagne.random.get_rng()
    lasagne.random.set_rng(np.random.default_rng(0))
    monkeypatch.setattr(symbolic.config, "floatX", "float64")
    yield
    lasagne.random.set_rng(before)


@pytest.fixture
def built(tmp_path):
    def build(text, **inputs):
        file = tmp_path / "net.prototxt"
        file.write_text(text)
        return lasagne.load_prototxt(file, inputs)
    return build


def plain(message):
    """Return a message as dicts."""
    return {k: [plain(v) if isinstance(v, type(message)) else v for v in vs] for k, vs in message.fields.items()}


def test_the_text_form():
    text = r"""
    # a comment: { "not a field"
    name: "a \"net\"\n\101\x42" ' of two' ; empty: ''
    n: 3, m: -0x1F, f: 1.5e-3 g: .5f h: inf k: nan on: true off: false kind: MAX
    list: [1, 2,3] none: [] words: ["a", 'b']
    inner { a < b: 1 b: 2 > } inner: { }   # both spellings
    """
    got = plain(prototxt.parse(text))
    assert np.isnan(got.pop("k")[0])
    assert got == {"name": ['a "net"\nAB of two'], "empty": [""], "n": [3], "m": [-31], "f": [1.5e-3], "g": [0.5], "h": [np.inf],
                   "on": [True], "off": [False], "kind": ["MAX"], "list": [1, 2, 3], "words": ["a", "b"],
                   "inner": [{"a": [{"b": [1, 2]}]}, {}]}
    assert isinstance(prototxt.parse("n: 3").get("n"), int) and prototxt.parse("").fields == {}
    for bad, message in [("a {\n b: 1\n", "line 1: this a is never closed"), ("a: 1\n}", "line 2: expected the name"),
                         ("a\n b: 1", "line 2: expected ':' or '{'"), ("a: {", "never closed"), ("a: }", "expected a value"),
                         ("a: [1 2]", "expected ','"), ("a: 'x", "isn't understood"), ("a: 1x", "isn't understood"),
                         ("a: [1,", "expected a value, found 'the end"),
                         ("a < b: 1 }", "expected the name of a field, found '}'"), ("a: @", "line 1: '@' isn't"),
                         ("3: 4", "expected the name")]:
        with pytest.raises(prototxt.PrototxtError, match=message):
            prototxt.parse(bad)
    deep = "a {" * 20_000 + "}" * 20_000
    assert list(prototxt.parse(deep).fields) == ["a"]


def test_damaged_text_is_a_network_or_a_clear_error(built):
    text = INPUT + """
        layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }
        layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 pad: 1 } }
        layer { name: "f" type: "InnerProduct" bottom: "p" top: "f" inner_product_param { num_output: 3 bias_term: false } }"""
    rng, made = np.random.default_rng(0), 0
    for _ in range(500):
        damaged = list(text)
        for at in rng.integers(0, len(text), rng.integers(1, 3)):
            damaged[at] = chr(rng.integers(32, 127))
        try:
            made += len(built("".join(damaged)[:rng.integers(200, 2 * len(text))])) > 0
        except prototxt.PrototxtError:
            pass
    assert 10 < made < 400


def by_caffe(a, size, stride, pad, mode):
    """Return a pooling as Caffe's loops make it."""
    n = a.shape[2:]
    places = [-(-(e + 2 * p - k) // s) + 1 for e, p, k, s in zip(n, pad, size, stride, strict=True)]
    if any(pad):
        places = [m - ((m - 1) * s >= e + p) for m, s, e, p in zip(places, stride, n, pad, strict=True)]
    out = np.zeros((*a.shape[:2], *places))
    for i, j in itertools.product(*map(range, places)):
        begin = [k * s - p for k, s, p in zip((i, j), stride, pad, strict=True)]
        end = [min(b + k, e + p) for b, k, e, p in zip(begin, size, n, pad, strict=True)]
        count = np.prod([e - b for b, e in zip(begin, end, strict=True)])
        inside = a[:, :, max(begin[0], 0):end[0], max(begin[1], 0):end[1]]
        out[:, :, i, j] = inside.max(axis=(2, 3)) if mode == "max" else inside.sum(axis=(2, 3)) / count
    return out


def test_poolings_are_caffes():
    rng, outputs, checks, values = np.random.default_rng(0), [], [], {}
    for extents in ((6, 7), (5, 5), (4, 9)):
        x, a = T.dtensor4(), rng.normal(size=(2, 3, *extents))
        values[x] = a
        for size, stride, pad in [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (0, 0)), ((3, 2), (2, 3), (1, 0)),
                                  ((2, 2), (2, 3), (0, 0)),
                                  ((3, 3), (2, 2), (1, 1)), ((3, 3), (1, 1), (1, 1)), ((5, 3), (3, 2), (2, 1)),
                                  ((2, 2), (1, 2), (1, 1)), ((4, 4), (1, 1), (0, 0))]:
            for mode, known in itertools.product(("max", "average"), (True, False)):
                entry = L.InputLayer((None, 3, *extents) if known else (None,) * 4, x)
                try:
                    layer = CaffePoolLayer(entry, size, stride, pad, mode)
                except ValueError as error:
                    assert "beyond the" in str(error) and stride[1] > size[1]
                    continue
                outputs.append(L.get_output(layer))
                checks.append((layer, by_caffe(a, size, stride, pad, mode), a))
    assert len(checks) > 80
    compiled = symbolic.function(list(values), outputs)(*values.values())
    for (layer, want, a), *got in zip(checks, evaluate(outputs, values), compiled, strict=True):
        for one in got:
            np.testing.assert_allclose(one, want, rtol=1e-12)
        assert L.get_output_shape(layer, {layer.input_layer: a.shape}) == want.shape
        assert layer.output_shape[2:] in (want.shape[2:], (None, None))


def test_gradients_of_poolings_and_of_dilated_convolutions(built):
    net = built(INPUT + """
        layer { name: "m" type: "Pooling" bottom: "x" top: "m" pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
        layer { name: "a" type: "Pooling" bottom: "x" top: "a" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
        layer { name: "d" type: "Convolution" bottom: "x" top: "d"
            convolution_param { num_output: 2 kernel_size: 2 dilation: 2 } }
        """)
    apart = np.random.default_rng(0).permutation(240).reshape(2, 4, 6, 5) / 10
    gradients([net["m"], net["a"], net["d"]], {net["x"].input_var: apart})


A = np.random.default_rng(1).normal(size=(2, 4, 6, 5))


def turned(p):
    return np.moveaxis(p, 1, -1)


def lrn(a, n, alpha, k, beta):
    total = np.stack([(a[:, max(0, c - n // 2):c + n // 2 + 1] ** 2).sum(axis=1) for c in range(a.shape[1])], 1)
    return a / (k + alpha / n * total) ** beta


def soft(a, axis):
    e = np.exp(a - a.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def biased(layer, a):
    return a + (0 if layer.b is None else value(layer.b).reshape(-1, 1, 1))


#: a layer's type, its parameters, how often the input is its bottom, and what it computes of its layer and the input
CASES = [
    ("Convolution", "convolution_param { num_output: 6 kernel_size: 3 }", 1, lambda n, a: biased(n, correlated(
        a, value(n.W), flip=False))),
    ("Convolution", "convolution_param { num_output: 6 kernel_h: 3 kernel_w: 1 stride: 2 stride: 1 pad_h: 1 pad_w: 0 group: 2 "
     "bias_term: false engine: CUDNN weight_filler { type: 'xavier' } }", 1,
     lambda n, a: correlated(a, value(n.W), (2, 1), (1, 0), groups=2, flip=False)),
    ("Convolution", "convolution_param { num_output: 6 kernel_size: 3 dilation: 2 pad: 2 stride: 2 group: 2 "
     "bias_filler { value: 0.5 } }", 1, lambda n, a: 0.5 + correlated(a, value(n.W), 2, 2, 2, 2, flip=False)),
    ("Deconvolution", "convolution_param { num_output: 3 kernel_size: 4 stride: 2 pad: 1 "
     "bias_filler { type: 'gaussian' std: 1 } }", 1, lambda n, a: biased(n, transposed(a, value(n.W), 2, 1, (12, 10), True))),
    ("Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }", 1,
     lambda n, a: by_caffe(a, (3, 3), (2, 2), (0, 0), "max")),
    ("Pooling", "pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 }", 1,
     lambda n, a: by_caffe(a, (3, 2), (2, 2), (1, 1), "average")),
    ("Pooling", "pooling_param { pool: AVE global_pooling: true }", 1, lambda n, a: a.mean(axis=(2, 3), keepdims=True)),
    ("Pooling", "pooling_param { global_pooling: true }", 1, lambda n, a: a.max(axis=(2, 3), keepdims=True)),
    ("InnerProduct", "inner_product_param { num_output: 5 bias_filler { type: 'uniform' min: 1 max: 2 } }", 1,
     lambda n, a: a.reshape(2, -1) @ value(n.W) + value(n.b)),
    ("InnerProduct", "inner_product_param { num_output: 5 axis: 2 bias_term: false }", 1,
     lambda n, a: a.reshape(2, 4, -1) @ value(n.W)),
    ("ReLU", "", 1, lambda n, a: np.maximum(a, 0)),
    ("ReLU", "relu_param { negative_slope: 0.1 }", 1, lambda n, a: np.where(a > 0, a, 0.1 * a)),
    ("PReLU", "", 1, lambda n, a: np.where(a > 0, a, 0.25 * a)),
    ("PReLU", "prelu_param { filler { value: 0.5 } channel_shared: true }", 1, lambda n, a: np.where(a > 0, a, 0.5 * a)),
    ("ELU", "elu_param { alpha: 2 }", 1, lambda n, a: np.where(a > 0, a, 2 * np.expm1(np.minimum(a, 0)))),
    ("Sigmoid", "", 1, lambda n, a: sigmoid(a)), ("TanH", "tanh_param { engine: CAFFE }", 1, lambda n, a: np.tanh(a)),
    ("AbsVal", "", 1, lambda n, a: abs(a)), ("BNLL", "", 1, lambda n, a: np.log1p(np.exp(a))),
    ("Power", "power_param { scale: 0.5 shift: 1 }", 1, lambda n, a: 1 + 0.5 * a),
    ("Power", "power_param { power: 2 shift: 1 }", 1, lambda n, a: (1 + a) ** 2),
    ("LRN", "", 1, lambda n, a: lrn(a, 5, 1, 1, 0.75)),
    ("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.5 k: 2 norm_region: ACROSS_CHANNELS }", 1,
     lambda n, a: lrn(a, 3, 0.5, 2, 0.5)),
    ("Dropout", "dropout_param { dropout_ratio: 0.3 }", 1, lambda n, a: a),
    ("BatchNorm", "batch_norm_param { use_global_stats: true eps: 0.01 }", 1, lambda n, a: a),
    ("Scale", "", 1, lambda n, a: a),
    ("Scale", "scale_param { bias_term: true filler { value: 3 } bias_filler { value: -1 } }", 1, lambda n, a: 3 * a - 1),
    ("Softmax", "", 1, lambda n, a: soft(a, 1)), ("Softmax", "softmax_param { axis: -1 }", 1, lambda n, a: soft(a, 3)),
    ("Concat", "", 2, lambda n, a: np.concatenate([a, a], 1)), ("Concat", "concat_param { axis: 2 }", 3,
                                                                lambda n, a: np.concatenate([a, a, a], 2)),
    ("Concat", "concat_param { concat_dim: 0 }", 2, lambda n, a: np.concatenate([a, a], 0)),
    ("Eltwise", "", 3, lambda n, a: 3 * a), ("Eltwise", "eltwise_param { operation: PROD }", 2, lambda n, a: a * a),
    ("Eltwise", "eltwise_param { operation: SUM coeff: 1 coeff: -3 }", 2, lambda n, a: -2 * a),
    ("Eltwise", "eltwise_param { operation: MAX }", 2, lambda n, a: a),
    ("Flatten", "", 1, lambda n, a: a.reshape(2, -1)),
    ("Flatten", "flatten_param { axis: 2 }", 1, lambda n, a: a.reshape(2, 4, -1)),
    ("Reshape", "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 5 } }", 1, lambda n, a: a.reshape(2, 2, 12, 5)),
    ("Split", "", 1, lambda n, a: a),
]


def test_every_type_of_layer(built):
    assert {kind for kind, *_ in CASES} == set(BUILDERS)
    text = INPUT
    for k, (kind, param, bottoms, _) in enumerate(CASES):
        feeds = bottoms * ' bottom: "x"'
        text += f'layer {{ name: "n{k}" type: "{kind}" {feeds} top: "n{k}" {param} }}\n'
    net = built(text)
    assert list(net) == ["x", *(f"n{k}" for k in range(len(CASES)))] and net["x"].output_shape == (None, 4, 6, 5)
    outputs = L.get_output([net[f"n{k}"] for k in range(len(CASES))], deterministic=True)
    got = symbolic.function([net["x"].input_var], outputs)(A)
    for k, (one, (kind, param, _, oracle)) in enumerate(zip(got, CASES, strict=True)):
        want = oracle(net[f"n{k}"], A)
        assert net[f"n{k}"].name == f"n{k}" and one.shape == want.shape, kind
        np.testing.assert_allclose(one, want, rtol=1e-9, atol=1e-12, err_msg=kind + param)
        assert L.get_output_shape(net[f"n{k}"], {net["x"]: A.shape}) == want.shape, kind
    norm = net[f"n{[kind for kind, *_ in CASES].index('BatchNorm')}"]
    assert norm.epsilon == 0.01 and np.isclose(norm.alpha, 0.001) and norm.gamma is None is norm.beta


BODY = """
{L} {{ name: "conv" type: {Convolution} bottom: "data" top: "conv" {lr}
    convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 }} }}
{L} {{ name: "relu" type: {ReLU} bottom: "conv" top: "conv" }}
{L} {{ name: "norm" type: {LRN} bottom: "conv" top: "norm" lrn_param {{ local_size: 3 alpha: 0.1 beta: 0.75 }} }}
{L} {{ name: "pool" type: {Pooling} bottom: "norm" top: "pool" pooling_param {{ pool: MAX kernel_size: 3 stride: 2 }} }}
{L} {{ name: "left" type: {Convolution} bottom: "pool" top: "left"
    convolution_param {{ num_output: 2 kernel_size: 1 group: 2 }} }}
{L} {{ name: "both" type: {Concat} bottom: "left" bottom: "pool" top: "both" }}
{L} {{ name: "fc" type: {InnerProduct} bottom: "both" top: "fc" inner_product_param {{ num_output: 5 }} }}
{L} {{ name: "drop" type: {Dropout} bottom: "fc" top: "fc" dropout_param {{ dropout_ratio: 0.5 }} }}
{L} {{ name: "prob" type: {Softmax} bottom: "fc" top: "prob" }}
"""
KINDS = {"Convolution": "CONVOLUTION", "ReLU": "RELU", "LRN": "LRN", "Pooling": "POOLING", "Concat": "CONCAT",
         "InnerProduct": "INNER_PRODUCT", "Dropout": "DROPOUT", "Softmax": "SOFTMAX"}


@pytest.mark.parametrize("form", ["layers", "layer"])
def test_a_network_in_both_forms(built, form):
    if form == "layers":
        text = 'name: "Old" input: "data" input_dim: 10 input_dim: 3 input_dim: 9 input_dim: 9' + BODY.format(
            L="layers", lr="blobs_lr: 1 weight_decay: 0", **KINDS)
    else:
        text = INPUT.replace('"x"', '"data"').replace("7, 4, 6, 5", "10, 3, 9, 9") + BODY.format(
            L="layer", lr="param { lr_mult: 1 }", **{k: f'"{k}"' for k in KINDS})
    net = built(text)
    assert list(net) == ["data", "conv", "relu", "norm", "pool", "left", "both", "fc", "drop", "prob"]
    rng = np.random.default_rng(0)
    w = {f"{n}.{p}": rng.normal(size=s) for n, s, b in (("conv", (4, 3, 3, 3), 4), ("left", (2, 2, 1, 1), 2), ("fc", (96, 5), 5))
         for p, s in (("W", s), ("b", (b,)))}
    assert all(row.copied for row in lasagne.copy_matching(w, net["prob"], show=False))
    a = rng.normal(size=(2, 3, 9, 9))
    h = np.maximum(correlated(a, w["conv.W"], 1, 1, flip=False) + w["conv.b"][:, None, None], 0)
    h = by_caffe(lrn(h, 3, 0.1, 1, 0.75), (3, 3), (2, 2), (0, 0), "max")
    left = correlated(h, w["left.W"], groups=2, flip=False) + w["left.b"][:, None, None]
    h = np.concatenate([left, h], 1)
    assert net["both"].output_shape == (None, 6, 4, 4)
    want = soft(h.reshape(2, -1) @ w["fc.W"] + w["fc.b"], 1)
    np.testing.assert_allclose(L.get_output(net["prob"], deterministic=True).eval({net["data"].input_var: a}), want, rtol=1e-9)


def test_phases_data_losses_and_given_inputs(built):
    text = """
    layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN } data_param { source: "a" batch_size: 2 } }
    layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST } transform_param { crop_size: 5 } }
    layer { name: "drop" type: "Dropout" bottom: "data" top: "data" exclude { phase: TEST } }
    layer { name: "other" type: "ReLU" bottom: "data" top: "o" include { phase: TEST stage: "deploy" } }
    layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" include { min_level: 0 }
            inner_product_param { num_output: 2 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
    layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
    """
    net = built(text, data=(None, 3, 5, 5))
    assert list(net) == ["data", "fc"] and net["fc"].output_shape == (None, 2)
    entry = L.InputLayer((4, 3, 5, 5), T.dtensor4("mine"))
    assert built(text, data=entry)["fc"].input_layer is entry and built(text, data=entry)["fc"].output_shape == (4, 2)
    memory = built('layer { name: "m" type: "MemoryData" top: "m" top: "l" '
                   'memory_data_param { batch_size: 9 channels: 2 height: 3 width: 4 } }')
    assert memory["m"].output_shape == (None, 2, 3, 4)
    shaped = built('input: "a" input: "b" input_shape { dim: 1 dim: 2 } input_shape { dim: 1 dim: 3 }')
    assert [one.output_shape for one in shaped.values()] == [(None, 2), (None, 3)]
    assert "SoftmaxWithLoss" in LEFT_OUT and "Data" in SOURCES
    with pytest.raises(prototxt.PrototxtError, match=r"extents of 'data'; pass inputs=\{'data': \(None, channels"):
        built(text)


def test_initial_values_are_those_of_fillers(built):
    fills = {"constant": "value: 2", "gaussian": "mean: 1 std: 0.5", "uniform": "min: 2 max: 4", "xavier": "",
             "msra": "variance_norm: FAN_OUT"}
    text = INPUT.replace("7, 4, 6, 5", "1, 30, 6, 5") + "".join(
        f'layer {{ name: "c{k}" type: "Convolution" bottom: "x" top: "c{k}" convolution_param {{ num_output: 60 kernel_size: 3 '
        f'weight_filler {{ type: "{k}" {more} }} }} }} layer {{ name: "f{k}" type: "InnerProduct" bottom: "x" top: "f{k}" '
        f'inner_product_param {{ num_output: 20 weight_filler {{ type: "{k}" {more} }} }} }}' for k, more in fills.items())
    net = built(text)
    for kind, fan in [("c", (270, 540)), ("f", (900, 20))]:
        w = {k: value(net[kind + k].W) for k in fills}
        assert (w["constant"] == 2).all()
        for k, mean, std in [("gaussian", 1, 0.5), ("uniform", 3, 2 / np.sqrt(12)), ("xavier", 0, np.sqrt(1 / fan[0])),
                             ("msra", 0, np.sqrt(2 / fan[1]))]:
            assert abs(w[k].mean() - mean) < 5 * std / np.sqrt(w[k].size) and abs(w[k].std() / std - 1) < 0.05, (kind, k)
        assert w["uniform"].min() >= 2 and w["uniform"].max() <= 4
        assert (value(net[kind + "xavier"].b) == 0).all()


def one(kind, param="", more="", bottom="x"):
    return INPUT + f'layer {{ name: "n" type: "{kind}" bottom: "{bottom}" top: "n" {more} {param} }}'


def test_mistakes_name_the_layer_and_what_is_wrong(built):
    conv = "convolution_param {{ num_output: 2 kernel_size: 3 {} }}"
    for text, message in [
        (one("Bernoulli"), r"layer 'n' \(Bernoulli\): there is no layer for this type; there are AbsVal, "),
        (one("ReLU", bottom="y"), r"layer 'n' \(ReLU\): bottom 'y' is no blob of a layer before"),
        (one("ReLU", more="relu: 3"), "field relu isn't understood"),
        (one("Convolution", conv.format("force_nd: true")), "convolution_param has force_nd, which isn't understood"),
        (one("Convolution", conv.format("group: 3")), "num_groups must divide channels and filters"),
        (one("Convolution", conv.format("kernel_h: 2")), "kernel_size beside kernel_h"),
        (one("Convolution", conv.format("bias_term: 1.5")), "bias_term should be bool, got 1.5"),
        (one("Convolution", conv.format("weight_filler { type: 'positive' }")), "filler 'positive' isn't understood"),
        (one("Convolution", conv.format("weight_filler { sparse: 3 }")), "weight_filler has sparse"),
        (one("Convolution", "convolution_param { kernel_size: 3 }"), "needs a positive num_output, got none"),
        (one("Convolution", "convolution_param { num_output: 2 }"), "needs a positive kernel_size"),
        (one("Convolution", "convolution_param { num_output: 2 kernel_size: 9 }"), "nothing is left of input shape"),
        (one("Convolution", "convolution_param: 3"), "its parameters should be a message, got 3"),
        (one("Deconvolution", conv.format("group: 2")), "with groups or dilation isn't built"),
        (one("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), "pool STOCHASTIC isn't built"),
        (one("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"), "pad smaller than the kernel"),
        (one("Pooling", "pooling_param { kernel_size: 1 stride: 2 }"), "a last window beyond the input"),
        (one("Pooling", "pooling_param { kernel_size: 2 global_pooling: true }"), "global_pooling takes no kernel"),
        (one("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }"), "WITHIN_CHANNEL isn't built"),
        (one("LRN", "lrn_param { local_size: 4 }"), "n must be odd"),
        (one("Softmax", "softmax_param { axis: 4 }"), "axis is 4, but the input has 4 axes"),
        (one("Eltwise", "eltwise_param { operation: MAX coeff: 2 }"), "there are SUM"),
        (one("Scale", "scale_param { axis: 0 }"), "a Scale of another axis"),
        (one("Reshape", "reshape_param { shape { dim: 0 dim: 5 dim: 5 } }"), "the numbers of values differ|can't become"),
        (INPUT + one("ReLU")[len(INPUT):] * 2, "there are two layers of this name"),
        (INPUT + 'layer { name: "n" type: "ReLU" top: "n" }', "it has no bottom"),
        ('layers { layer { name: "n" type: "conv" } }', "oldest form"), ("name: 'empty'", "the file has no layers"),
        ("layer: 3", "a layer should be a message, got 3"), ("layer {", "line 1: this layer is never closed"),
        ('input: "x" input_dim: [1, 0, 2, 2]', "extents must be positive"),
    ]:
        with pytest.raises(prototxt.PrototxtError, match=message):
            built(text)
    with pytest.raises(prototxt.PrototxtError, match="net.prototxt: inputs: the file has no blob 'y'"):
        built(INPUT, y=(None, 3))
