"""Every layer with a grid of its arguments, and what each computes, in NumPy."""
from __future__ import annotations

from typing import Any

import numpy as np
from layer_checks import L
from layer_images import ROWS as IMAGES
from layer_oracles import gru, lstm, normalized, plain, pooled, sigmoid, value, walked
from layer_rows import ACTS, IN, SPECS, From, Row, act, alone, at, fx, grid, relu, same, with_bias

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like.layers import corrmm, dnn


def dense(layer, case, a):
    k = case.get("num_leading_axes", 1) % a.ndim
    out = a.reshape(*a.shape[:k], -1) @ value(layer.W)
    return act(case, out if layer.b is None else out + value(layer.b))


def nin(layer, case, a):
    return with_bias(layer, case, np.moveaxis(np.tensordot(a, value(layer.W), ([1], [0])), -1, 1))


ROWS = [
    *IMAGES,
    Row(L.InputLayer, [(2, 3)], [{"shape": From(lambda xs: xs[0].shape), "input_var": From(lambda xs: xs[0].input_var)}],
        lambda layer, case, a: a, loose=(0, 1), open=True),
    Row(L.DenseLayer, [(5, 3, 4)], alone(
        IN | {"num_units": 6}, num_units=[1], num_leading_axes=[2, -1, -2], b=[None, *SPECS, fx(6)], nonlinearity=[None, T.tanh],
        W=[*SPECS, fx(12, 6), From(lambda xs: symbolic.shared(lasagne.utils.floatX(np.ones((12, 6))))),
           From(lambda xs: 2 * symbolic.shared(lasagne.utils.floatX(np.full((12, 6), 0.1))))]), dense),
    Row(L.DenseLayer, [(5, 3, 4)], [IN | {"num_units": 2, "num_leading_axes": 0}], dense, loose=()),
    Row(L.DenseLayer, [(5, 3, 4)], [IN | {"num_units": 2, "num_leading_axes": 2}], dense, loose=(0, 1)),
    Row(L.NINLayer, [(5, 3, 4)], alone(IN | {"num_units": 7}, W=[fx(3, 7), *SPECS], b=[None, *SPECS, fx(7)],
                                       nonlinearity=[None, T.tanh]), nin, loose=(0, 2)),
    Row(L.NINLayer, [(2, 3, 4, 5)], grid(IN | {"num_units": 2, "b": SPECS[0]}, untie_biases=[True, False]), nin),
    Row(L.EmbeddingLayer, [(4, 2)], alone(IN | {"input_size": 9, "output_size": 3}, W=[fx(9, 3), *SPECS], input_size=[12],
                                          output_size=[1]),
        lambda layer, case, a: value(layer.W)[a], loose=(0, 1), dtypes=("int64",),
        values=lambda rng, shape, k: rng.integers(0, 9, shape)),
]



def reshaped(layer, case, a):
    return a.reshape([a.shape[s[0]] if isinstance(s, list) else s if isinstance(s, int) else -1 for s in case["shape"]])


def sliced(layer, case, a):
    return a[(slice(None),) * (case.get("axis", -1) % a.ndim) + (case["indices"],)]


def bordered(layer, case, a):
    n = case.get("batch_ndim", 2)
    width = case["width"]
    pairs = [(width, width)] * (a.ndim - n) if isinstance(width, int) else [w if isinstance(w, tuple) else (w, w) for w in width]
    return np.pad(a, [(0, 0)] * n + pairs, constant_values=case.get("val", 0))


def cropped(arrays, cropping):
    """Return arrays cut to their common extents."""
    out = []
    for a in arrays:
        cut = []
        for axis, mode in enumerate([*(cropping or []), *[None] * (a.ndim - len(cropping or []))]):
            spare = a.shape[axis] - min(b.shape[axis] for b in arrays)
            first = {None: 0, "lower": 0, "upper": spare, "center": spare // 2}[mode]
            cut.append(slice(first, a.shape[axis] - (0 if mode is None else spare - first)))
        out.append(a[tuple(cut)])
    return out


def concatenated(layer, case, *arrays):
    axis = case.get("axis", 1)
    cropping = case.get("cropping")
    if cropping:
        cropping = [None if k == axis % arrays[0].ndim else m for k, m in enumerate([*cropping, *[None] * 9][:arrays[0].ndim])]
    return np.concatenate(cropped(arrays, cropping), axis)


def merged(layer, case, *arrays):
    xs = cropped(arrays, case.get("cropping"))
    coeffs = case.get("coeffs", 1)
    coeffs = coeffs if isinstance(coeffs, list) else [coeffs] * len(xs)
    f = {T.maximum: np.maximum, T.mul: np.multiply}.get(case.get("merge_function"), np.add)
    out = xs[0] * coeffs[0]
    for x, c in zip(xs[1:], coeffs[1:], strict=True):
        out = f(out, x * c)
    return out


BOTH = {"incomings": [at(0), at(1)]}
CROPS = [[None, None, m] for m in ("lower", "upper", "center")] + [[None, "lower", "center"]]
ROWS += [
    Row(L.FlattenLayer, [(2, 3, 4, 5)], alone(IN, outdim=[1, 3, 4]), lambda layer, case, a:
        a.reshape(*a.shape[:case.get("outdim", 2) - 1], -1 if case.get("outdim", 2) < 4 else a.shape[3]), loose=(0, 1, 2, 3)),
    Row(L.ReshapeLayer, [(2, 3, 4, 5)], [IN | {"shape": s} for s in (
        ([0], -1), ([0], 12, [3]), (-1, [2]), ([0], 3, 2, 2, -1), ([3], [2], [1], [0]))], reshaped, loose=(0, 1)),
    Row(L.ReshapeLayer, [(2, 3, 4, 5)], [IN | {"shape": s} for s in ((6, 20), (-1,), (2, -1, 5))], reshaped, loose=()),
    Row(L.ReshapeLayer, [(2, 3, 4, 5)], [IN | {"shape": (T.constant(np.int64(2)), -1)}], lambda layer, case, a: a.reshape(2, -1),
        loose=(), open=True),
    Row(L.DimshuffleLayer, [(2, 3, 1, 5)], [IN | {"pattern": p} for p in (
        (3, "x", 0, 2, 1), (0, 1, 2, 3), (3, 0, 1), ("x", 1, 0, 3))], lambda layer, case, a: np.transpose(
            a if 2 in case["pattern"] else a[:, :, 0],
            [p - (2 not in case["pattern"] and p > 2) for p in case["pattern"] if p != "x"])[tuple(
                None if p == "x" else slice(None) for p in case["pattern"])], loose=(0, 1, 3)),
    Row(L.PadLayer, [(2, 3, 4, 5)], alone(IN | {"width": 1}, width=[0, (1, 2), [(0, 2), 1]], val=[-1.5])
        + [IN | {"width": [(0, 2), (1, 0), 3], "batch_ndim": 1}, IN | {"width": 2, "batch_ndim": 3}], bordered,
        loose=(0, 1, 2, 3)),
    Row(L.SliceLayer, [(4, 5, 6)], grid(IN, indices=[0, -1, slice(1, 3), slice(None, None, -2), slice(-2, None)], axis=[1, -1])
        + [IN | {"indices": 2}], sliced, loose=(0, 1, 2)),
    Row(L.ConcatLayer, [(2, 3, 6), (2, 4, 6)], [BOTH, BOTH | {"axis": -2}], concatenated, loose=(0, 1, 2)),
    Row(L.ConcatLayer, [(2, 5, 6), (2, 3, 4)], [BOTH | {"cropping": c} for c in CROPS]
        + [BOTH | {"axis": 2, "cropping": [None, "upper"]}], concatenated, loose=(0, 1, 2)),
    Row(L.ElemwiseMergeLayer, [(2, 3, 6), (2, 1, 6)], [BOTH | {"merge_function": f} for f in (T.mul, T.maximum)], merged),
    Row(L.ElemwiseMergeLayer, [(2, 5, 6), (2, 5, 4)], [BOTH | {"merge_function": T.mul, "cropping": c} for c in CROPS], merged,
        loose=(0, 1, 2)),
    Row(L.ElemwiseSumLayer, [(2, 3, 6), (2, 1, 6)], alone(BOTH, coeffs=[3, [1, -2.5]]), merged),
    Row(L.ElemwiseSumLayer, [(2, 5, 6), (2, 5, 4)], [BOTH | {"cropping": c, "coeffs": [2, 1]} for c in CROPS], merged,
        loose=(0, 1, 2)),
]


def leaky(slope):
    return lambda layer, case, a: relu(a) + slope(layer, case, a) * np.minimum(a, 0)


def fitted(p, layer, a):
    """Return a parameter with axes of extent 1 where it is shared."""
    return value(p).reshape([1 if k in layer.shared_axes else n for k, n in enumerate(a.shape)])


def lrn(layer, case, a):
    n, alpha, k, beta = (case.get(name, d) for name, d in (("n", 5), ("alpha", 1e-4), ("k", 2), ("beta", 0.75)))
    total = np.stack([(a[:, max(0, c - n // 2):c + n // 2 + 1] ** 2).sum(axis=1) for c in range(a.shape[1])], 1)
    return a / (k + alpha * total) ** beta


def standardized(layer, case, a):
    axes = case.get("axes", "auto")
    axes = {"auto": (1,) if a.ndim == 2 else tuple(range(2, a.ndim)), "spatial": tuple(range(2, a.ndim)),
            "features": tuple(range(1, a.ndim))}[axes] if isinstance(axes, str) else axes
    return normalized(a, axes, case.get("epsilon", 1e-4))


def batch_axes(case, a):
    axes = case.get("axes", "auto")
    return (0, *range(2, a.ndim)) if axes == "auto" else (axes,) if isinstance(axes, int) else axes


def scaled(layer, case, a, mean, inv_std):
    shape = [1 if k in {x % a.ndim for x in batch_axes(case, a)} else n for k, n in enumerate(a.shape)]
    out = (a - mean.reshape(shape)) * inv_std.reshape(shape)
    out = out if layer.gamma is None else out * value(layer.gamma).reshape(shape)
    return out if layer.beta is None else out + value(layer.beta).reshape(shape)


def by_batch(layer, case, a):
    axes = batch_axes(case, a)
    return scaled(layer, case, a, a.mean(axis=axes), 1 / np.sqrt(a.var(axis=axes) + case.get("epsilon", 1e-4)))


_BN = IN | {"mean": fx(3, seed=6), "inv_std": From(lambda xs: lasagne.utils.floatX([0.5, 2, 1]))}
_RANDOM = {"lower": [0.1], "upper": [0.9], "shared_axes": ["all", 0, (0, 1), ()]}
ROWS += [
    Row(L.DropoutLayer, [(6, 5, 4)], alone(IN, p=[0.3, From(lambda xs: T.constant(lasagne.utils.floatX(0.25)))], rescale=[False],
                                           shared_axes=[(0,), (-1,), (1, 2)]) + [IN | {"p": 0}], lambda layer, case, a: a,
        loose=(0, 1, 2), noisy=lambda case: case.get("p") != 0),
    Row(L.GaussianNoiseLayer, [(6, 5)], alone(IN, sigma=[0.5, From(lambda xs: T.constant(lasagne.utils.floatX(2))), 0]),
        lambda layer, case, a: a, loose=(0, 1), noisy=lambda case: case.get("sigma") != 0),
    Row(L.RandomizedRectifierLayer, [(6, 3, 4)], alone(IN, **_RANDOM) + [IN | {"lower": 0.4, "upper": 0.4}],
        leaky(lambda layer, case, a: (case.get("lower", 0.3) + case.get("upper", 0.8)) / 2), loose=(0, 1, 2),
        noisy=lambda case: case.get("lower") != case.get("upper", 0.8)),
    Row(L.BatchNormLayer, [(6, 3, 4)], alone(
        _BN, axes=["auto", (0, -1)], epsilon=[0.1], alpha=[0.5], beta=[None, fx(3), *SPECS], gamma=[None, fx(3), *SPECS],
        mean=SPECS, inv_std=SPECS), lambda layer, case, a: scaled(layer, case, a, value(layer.mean), value(layer.inv_std)),
        loose=(0, 2), noisy=lambda case: True, training=by_batch, every=3),
    Row(L.BatchNormLayer, [(6, 3, 4)], [IN | {"axes": 0}], noisy=lambda case: True, training=by_batch,
        oracle=lambda layer, case, a: scaled(layer, case, a, value(layer.mean), value(layer.inv_std))),
    Row(L.BatchNormLayer, [(6, 3)], [_BN], noisy=lambda case: True, training=by_batch,
        oracle=lambda layer, case, a: scaled(layer, case, a, value(layer.mean), value(layer.inv_std))),
    Row(L.StandardizationLayer, [(2, 7, 3, 4)], alone(IN, axes=["spatial", "features", "auto", -1, (0, 2)], epsilon=[0.5]),
        standardized, loose=(0, 1, 2, 3)),
    Row(L.StandardizationLayer, [(5, 6)], [IN], standardized, loose=(0, 1)),
    Row(L.LocalResponseNormalization2DLayer, [(2, 7, 3, 4)], alone(IN, alpha=[0.1], k=[1], beta=[2], n=[1, 3, 9]), lrn,
        loose=(0, 1, 2, 3)),
    Row(L.NonlinearityLayer, [(2, 3, 4)], alone(IN, nonlinearity=[None, T.tanh]), lambda layer, case, a: act(case, a),
        loose=(0, 1, 2)),
    Row(L.BiasLayer, [(2, 3, 4)], alone(IN, b=[fx(3), *SPECS, None], shared_axes=["auto"])
        + [IN | {"b": SPECS[0], "shared_axes": s} for s in ((0,), 0)],
        lambda layer, case, a: a if layer.b is None else a + fitted(layer.b, layer, a)),
    Row(L.ScaleLayer, [(2, 3, 4)], alone(IN, scales=[fx(3), *SPECS], shared_axes=["auto"])
        + [IN | {"scales": SPECS[0], "shared_axes": s} for s in ((0,), 0, (0, 1))],
        lambda layer, case, a: a * fitted(layer.scales, layer, a)),
    Row(L.ParametricRectifierLayer, [(2, 3, 4)], alone(IN, alpha=[fx(3), *SPECS], shared_axes=["auto", "all"])
        + [IN | {"alpha": SPECS[0], "shared_axes": s} for s in ((0,), 0, (0, 1))],
        leaky(lambda layer, case, a: fitted(layer.alpha, layer, a))),
    Row(L.ExpressionLayer, [(2, 3, 4)], [IN | {"function": lambda e: e * 2}], lambda layer, case, a: a * 2, loose=(0, 1, 2)),
    Row(L.ExpressionLayer, [(2, 3, 4)], [IN | {"function": lambda e: e.sum(axis=2), "output_shape": s}
                                         for s in (lambda s: s[:2], "auto")], lambda layer, case, a: a.sum(axis=2), loose=(0, 1)),
    Row(L.ExpressionLayer, [(2, 3, 4)], [IN | {"function": lambda e: e.sum(axis=2), "output_shape": (None, 3)}],
        lambda layer, case, a: a.sum(axis=2), open=True),
]


def inverse_of(make):
    return lambda xs: [make(xs[0])]


_INVERSE = {"incoming": at(0), "layer": at(0)}
ROWS += [
    Row(L.InverseLayer, [(3, 5)], [_INVERSE], lambda layer, case, a: a @ (w := value(layer.input_layers[1].W)) @ w.T,
        entries=inverse_of(lambda x: L.DenseLayer(x, 4, nonlinearity=None))),
    Row(L.InverseLayer, [(2, 1, 4, 6)], [_INVERSE], loose=(0, 2, 3), entries=inverse_of(lambda x: L.MaxPool2DLayer(x, 2)),
        oracle=lambda layer, case, a: np.where(
            a == np.repeat(np.repeat(pooled(a, 2, None, 0, True, "max"), 2, 2), 2, 3), a, 0)),
]


def recurrent(step):
    """Return the oracle of a recurrent layer whose units are 4 and whose inputs are the sequence, the mask and a state."""

    def oracle(layer, case, a, mask, start):
        def initial(name):
            return start if isinstance(getattr(layer, name), L.Layer) else value(getattr(layer, name))

        kwargs: dict[str, Any] = {"h": initial("hid_init")}
        if step is lstm:
            kwargs |= {"c": initial("cell_init"), "f": ACTS[case.get("nonlinearity", T.tanh)]}
        elif step is plain:
            kwargs["f"] = ACTS[case.get("nonlinearity", lasagne.nonlinearities.rectify)]
        if step is not plain:
            named = {lstm: ("ingate", "forgetgate", "cell", "outgate"), gru: ("resetgate", "updategate", "hidden_update")}[step]
            usual = {"cell": np.tanh, "hidden_update": np.tanh}
            changed = {name: same if name in usual else np.tanh for name in named if name in case}
            kwargs["gates"] = [changed.get(name, usual.get(name, sigmoid)) for name in named]
        out = walked(step, layer, a, mask=mask if "mask_input" in case else None, backwards=case.get("backwards", False),
                     **kwargs)
        return out[:, 0 if layer.backwards else -1] if layer.only_return_final else out

    return oracle


def masks(rng, shape, k):
    if k != 1:
        return rng.normal(size=shape)
    return 1.0 * (np.arange(shape[1]) < rng.integers(0, shape[1] + 1, (shape[0], 1)))


def gate(nonlinearity, **more):
    return L.Gate(W_in=lasagne.init.Normal(0.5), W_hid=lasagne.init.Normal(0.5), b=lasagne.init.Normal(0.5),
                  nonlinearity=nonlinearity, **more)


_LOOP = IN | {"num_units": 4}
_LOOPS = {"hid_init": [*SPECS, at(2)], "backwards": [True], "learn_init": [True], "gradient_steps": [2], "grad_clipping": [1.0],
          "unroll_scan": [True], "precompute_input": [False], "mask_input": [at(1)], "only_return_final": [True]}
_MIXED = [_LOOP | {"mask_input": at(1), "hid_init": at(2), "backwards": True},
          _LOOP | {"only_return_final": True, "unroll_scan": True, "backwards": True, "precompute_input": False,
                   "mask_input": at(1)}]
_SHAPES, _MASKED = [(3, 5, 2), (3, 5), (3, 4)], ("floatX", "int64", "floatX")


def loops(make, step, free, **own):
    one_at_a_time = alone(_LOOP, **(_LOOPS | own)) + _MIXED
    unrolled = [c for c in one_at_a_time if c.get("unroll_scan")]
    rest = [c for c in one_at_a_time if not c.get("unroll_scan")]
    more = {"values": masks, "dtypes": _MASKED, "every": 8}
    return [Row(make, _SHAPES, rest, recurrent(step), loose=free, **more), Row(make, _SHAPES, unrolled, recurrent(step), **more),
            Row(make, [(3, 5, 2, 3), *_SHAPES[1:]], alone(_LOOP, precompute_input=[False]), recurrent(step), loose=free, **more)]


def custom(layer, case, a, mask, start):
    entry, state = ([value(p) for p in L.get_all_params(net)] for net in (layer.input_to_hidden, layer.hidden_to_hidden))
    f = ACTS[case.get("nonlinearity", lasagne.nonlinearities.rectify)]
    h = start if isinstance(layer.hid_init, L.Layer) else np.zeros(start.shape) + value(layer.hid_init)
    out = np.zeros((a.shape[0], a.shape[1], *start.shape[1:]))
    for t in reversed(range(a.shape[1])) if layer.backwards else range(a.shape[1]):
        into = np.tanh(np.einsum("ncx,cu->nux", a[:, t], entry[0]) + entry[1][:, None])
        new = f(into + np.einsum("ncx,cu->nux", h, state[0]))
        h = np.where((mask[:, t] != 0)[:, None, None], new, h) if "mask_input" in case else new
        out[:, t] = h
    return out[:, 0 if layer.backwards else -1] if layer.only_return_final else out


_CUSTOM = IN | {"input_to_hidden": at(3), "hidden_to_hidden": at(4)}


def customs(cases, free):
    return Row(L.CustomRecurrentLayer, [(3, 4, 3, 2), (3, 4), (3, 5, 2)], cases, custom, loose=free, values=masks, dtypes=_MASKED,
               every=4, entries=lambda xs: [*xs, L.NINLayer(L.InputLayer((None, 3, 2)), 5, nonlinearity=T.tanh),
                                            L.NINLayer(L.InputLayer((None, 5, 2)), 5, b=None, nonlinearity=None)])


_PLAIN = {"W_in_to_hid": [fx(2, 4), *SPECS], "W_hid_to_hid": [fx(4, 4), *SPECS], "b": [None, fx(4), *SPECS],
          "nonlinearity": [None, T.tanh]}
_LSTM = {**{name: [From(lambda xs: gate(T.tanh))] for name in ("ingate", "forgetgate", "outgate")},
         "cell": [From(lambda xs: gate(None, W_cell=None))], "nonlinearity": [None], "cell_init": [*SPECS, at(2)],
         "peepholes": [False]}
_GRU = {**{name: [From(lambda xs: gate(T.tanh))] for name in ("resetgate", "updategate")},
        "hidden_update": [From(lambda xs: gate(None))]}
ROWS += [
    *loops(L.RecurrentLayer, plain, (0, 1), **_PLAIN),
    *loops(L.LSTMLayer, lstm, (0, 1), **_LSTM),
    *loops(L.GRULayer, gru, (0, 1), **_GRU),
    customs([c for c in alone(_CUSTOM, **(_LOOPS | {"nonlinearity": [None, T.tanh]})) if not c.get("unroll_scan")], (0, 1)),
    customs([_CUSTOM | {"unroll_scan": True}], (0,)),
]


def made_of_dense(xs):
    """Return a dense layer without nonlinearity, and one with, for functions that put something between."""
    return [L.DenseLayer(xs[0], 4, W=lasagne.init.Normal(1), nonlinearity=f) for f in (None, T.tanh)]


def made_of_nin(xs):
    return [L.NINLayer(xs[0], 4, W=lasagne.init.Normal(1), nonlinearity=f) for f in (None, T.tanh)]


def hidden(layer, a):
    """Return what the first layer with a matrix makes of `a`, before its bias and its nonlinearity."""
    return np.tensordot(a, value(next(one for one in L.get_all_layers(layer) if hasattr(one, "W")).W), ([1], [0])).swapaxes(1, -1)


def between(before):
    """Return an oracle: ``before(layer, case, hidden)``, then the tanh that stood there, unless the first layer was taken."""
    return lambda layer, case, a: (same if case["layer"] is FIRST else np.tanh)(before(layer, case, hidden(layer, a)))


FIRST, SECOND = at(0), at(1)
EITHER = [{"layer": FIRST}, {"layer": SECOND}]
ROWS += [
    Row(L.batch_norm, [(6, 5)], [*EITHER, {"layer": SECOND, "epsilon": 0.2, "name": "n", "beta": None}],
        between(lambda layer, case, u: u + 0 * u.mean()), entries=made_of_dense, noisy=lambda case: True,
        training=between(lambda layer, case, u: normalized(u, 0, case.get("epsilon", 1e-4)))),
    Row(L.instance_norm, [(3, 5, 6)], [e | o for e in EITHER for o in (
        {}, {"learn_scale": False}, {"learn_bias": False}, {"epsilon": 0.5}, {"axes": (1,)})],
        between(lambda layer, case, u: normalized(u, case.get("axes", 2), case.get("epsilon", 1e-4))), entries=made_of_nin),
    Row(L.layer_norm, [(3, 5, 6)], [e | o for e in EITHER for o in ({}, {"epsilon": 0.5})],
        between(lambda layer, case, u: normalized(u, (1, 2), case.get("epsilon", 1e-4))), entries=made_of_nin),
    Row(L.prelu, [(6, 5)], [{"layer": at(k), **o} for k in (0, 1) for o in ({}, {"alpha": 0.5, "shared_axes": "all"})],
        lambda layer, case, a: (lambda u: relu(u) + case.get("alpha", 0.25) * np.minimum(u, 0))(hidden(layer, a)),
        entries=made_of_dense),
    Row(L.rrelu, [(6, 5)], [{"layer": at(k), **o} for k in (0, 1) for o in ({}, {"upper": 0.5, "shared_axes": "all"})],
        lambda layer, case, a: (lambda u: relu(u) + (0.3 + case.get("upper", 0.8)) / 2 * np.minimum(u, 0))(hidden(layer, a)),
        entries=made_of_dense, noisy=lambda case: True),
    Row(L.standardize, [(2, 3, 4)], [{"layer": at(0), "offset": fx(3), "scale": fx(3, seed=8)},
                                     {"layer": at(0), "offset": fx(3, 4), "scale": fx(3, 4, seed=8), "shared_axes": 0},
                                     {"layer": at(0), "offset": fx(3), "scale": fx(3, seed=8), "shared_axes": "auto"}],
        lambda layer, case, a: (a - made(case["offset"], a, case)) / made(case["scale"], a, case)),
    *(Row(f, [(6, 5, 4)], alone(IN, p=[0.3], rescale=[False]) + [IN | {"p": 0}], lambda layer, case, a: a, loose=(0, 1, 2),
          noisy=lambda case: case.get("p") != 0) for f in (L.dropout_channels, L.dropout_locations)),
]


def made(one, a, case):
    """Return an array of a case as it stands in the input's shape."""
    shared = (0, 2) if case.get("shared_axes", "auto") == "auto" else (0,)
    return one.make(()).astype("float64").reshape([1 if k in shared else n for k, n in enumerate(a.shape)])


#: modules whose layers stand in the table
MODULES = (L, dnn, corrmm)
