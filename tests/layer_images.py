"""Layers of images, signals and volumes: convolutions, poolings and views, with what they compute."""
from __future__ import annotations

import itertools

import numpy as np
from layer_checks import L
from layer_oracles import correlated, looked, places, pooled, transposed, value
from layer_rows import IN, SPECS, From, Row, alone, at, fx, grid, with_bias
from scipy.interpolate import RBFInterpolator

import symbolic.tensor as T
from lasagne_like.layers import dnn

TWO, THREE = (2, 4, 6, 7), (2, 2, 4, 5, 3)


def conv(layer, case, a):
    flip = case.get("flip_filters", not isinstance(layer, (dnn.Conv2DDNNLayer, dnn.Conv3DDNNLayer)))
    out = correlated(a, value(layer.W), case.get("stride", 1), case.get("pad", 0), groups=case.get("num_groups", 1), flip=flip)
    return with_bias(layer, case, out)


def convolutions(make, shape, own, wide, steps, free):
    """Return rows of a convolution: `own` is T.nnet's, `wide` a filter's size as a tuple, `steps` a stride, `free` all axes."""
    base = IN | {"num_filters": 4, "filter_size": 3}
    filters = (4, shape[1], *(3,) * (len(shape) - 2))
    given = {"convolution": [lambda *args, **kwargs: own(*args, **kwargs)]} if own else {}
    flip = make in (dnn.Conv2DDNNLayer, dnn.Conv3DDNNLayer)
    return [
        Row(make, [shape], alone(base, num_filters=[2], filter_size=[wide, 1], stride=[2, steps],
                                 pad=[1, "full", "same", "valid", ((0, 1), (2, 0), (1, 1))[:len(shape) - 2]],
                                 W=[fx(*filters), *SPECS],
                                 b=[None, fx(4), *SPECS], nonlinearity=[None, T.tanh],
                                 flip_filters=[flip], num_groups=[2], **given), conv, loose=free, every=4),
        Row(make, [shape], [base | {"untie_biases": True, "b": SPECS[0], "pad": (1,) * (len(shape) - 2), "stride": steps}], conv),
        Row(make, [shape], [one | {"num_groups": 2 - k % 2, "b": SPECS[0]} for k, one in enumerate(grid(
            base, stride=[2, steps], pad=[(2,) * (len(shape) - 2), "full", "same"]))], conv, loose=free),
    ]


def back(layer, case, a):
    size = layer.filter_size
    cut = {"full": tuple(f - 1 for f in size), "same": tuple(f // 2 for f in size), "valid": (0,) * len(size)}.get(
        crop, crop) if isinstance(crop := case.get("crop", 0), str) else crop if isinstance(crop, tuple) else (crop,) * len(size)
    least = tuple((n - 1) * s - 2 * c + f for n, s, c, f in zip(a.shape[2:], layer.stride, cut, size, strict=True))
    out = transposed(a, value(layer.W), layer.stride, case.get("crop", 0), least, case.get("flip_filters", False))
    more = [0 if case.get("output_size") is None else 1] * len(size)
    return with_bias(layer, case, np.pad(out, [(0, 0), (0, 0), *((0, m) for m in more)]))


def transposed_rows(make, shape, wide, steps):
    n = len(shape) - 2
    base = IN | {"num_filters": 2, "filter_size": 3}
    one_more = tuple((e - 1) * 2 + 3 + 1 for e in shape[2:])
    free = tuple(a for a in range(len(shape)) if a != 1)
    sized = base | {"stride": 2}
    return [
        Row(make, [shape], alone(base, num_filters=[1], filter_size=[wide], stride=[2, steps], crop=[1, (1,) * n, "same", "full",
                                                                                                    "valid"],
                                 W=[fx(shape[1], 2, *(3,) * n), *SPECS], b=[None, fx(2), *SPECS], nonlinearity=[None, T.tanh],
                                 flip_filters=[True]), back, loose=free, every=4),
        Row(make, [shape], [base | {"untie_biases": True, "b": SPECS[0], "stride": steps, "crop": 1},
                            sized | {"output_size": one_more, "untie_biases": True, "b": SPECS[0]}], back),
        Row(make, [shape], [sized | {"output_size": one_more}], back, loose=free),
        Row(make, [shape], [sized | {"output_size": From(lambda xs: tuple(T.constant(np.int64(e)) for e in one_more))},
                            sized | {"output_size": From(lambda xs: T.constant(np.array(one_more)))}], back, loose=free,
            open=True),
    ]


def dilated(layer, case, a):
    return with_bias(layer, case, correlated(a, value(layer.W).swapaxes(0, 1), 1, case.get("pad", 0), case.get("dilation", 1),
                                             flip=case.get("flip_filters", False)))


def local(layer, case, a):
    w = value(layer.W)
    args = (case.get("stride", 1), case.get("pad", "same"))
    out = None
    for i, j in itertools.product(*map(range, w.shape[-2:])):
        here = w[..., i, j]
        if case.get("channelwise"):
            here = np.einsum("cfg,cd->cdfg", here, np.eye(a.shape[1]))
        one = correlated(a, here, *args, flip=case.get("flip_filters", True))
        out = np.zeros_like(one) if out is None else out
        out[:, :, i, j] = one[:, :, i, j]
    return with_bias(layer, case, out)


_LOCAL = IN | {"num_filters": 4, "filter_size": 3}
ROWS = [
    *convolutions(L.Conv1DLayer, (2, 4, 9), T.nnet.conv1d, (2,), (3,), (0, 2)),
    *convolutions(L.Conv2DLayer, TWO, T.nnet.conv2d, (1, 5), (2, 3), (0, 2, 3)),
    *convolutions(L.Conv3DLayer, THREE, T.nnet.conv3d, (1, 3, 2), (2, 1, 2), (0, 2, 3, 4)),
    *convolutions(dnn.Conv2DDNNLayer, TWO, None, (1, 5), (2, 3), (0, 2, 3)),
    *convolutions(dnn.Conv3DDNNLayer, THREE, None, (1, 3, 2), (2, 1, 2), (0, 2, 3, 4)),
    *transposed_rows(L.TransposedConv2DLayer, (2, 3, 4, 5), (2, 4), (2, 3)),
    *transposed_rows(L.TransposedConv3DLayer, (2, 2, 3, 4, 3), (2, 3, 3), (2, 1, 2)),
    Row(L.DilatedConv2DLayer, [(2, 3, 8, 9)], alone(
        IN | {"num_filters": 2, "filter_size": 3}, num_filters=[3], filter_size=[(2, 3)], dilation=[2, (2, 3)],
        pad=[1, (2, 0), ((0, 2), 1), "full", "same", "valid"], W=[fx(3, 2, 3, 3), *SPECS], b=[None, fx(2), *SPECS],
        nonlinearity=[None, T.tanh], flip_filters=[True]), dilated, loose=(0, 2, 3), every=4),
    Row(L.DilatedConv2DLayer, [(2, 3, 8, 9)], [IN | {"num_filters": 2, "filter_size": 3, "dilation": 2, "b": SPECS[0],
                                                     "untie_biases": True, "pad": "same"}], dilated),
    Row(L.LocallyConnected2DLayer, [(2, 4, 4, 5)], alone(
        _LOCAL, num_filters=[2], filter_size=[(1, 3)], stride=[2, (2, 1)],
        pad=[1, (0, 1), ((1, 0), (0, 2)), "full", "same", "valid"],
        untie_biases=[True], W=[fx(4, 4, 3, 3, 4, 5), SPECS[1]], b=[None, fx(4), *SPECS], nonlinearity=[None, T.tanh],
        flip_filters=[False], channelwise=[True])
        + [_LOCAL | {"stride": (1, 2), "pad": "valid", "channelwise": True, "flip_filters": False, "b": SPECS[0],
                     "untie_biases": True}], local, every=4),
]


def pool(layer, case, a):
    return pooled(a, case["pool_size"], case.get("stride"), case.get("pad", 0), case.get("ignore_border", True),
                  case.get("mode", "max"))


MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def apart(rng, shape, k):
    """Return values that differ by much more than differences move them, so that the largest stays the largest."""
    return (rng.permutation(int(np.prod(shape))).reshape(shape) - np.prod(shape) / 2) / 10


def pools(n):
    shape = [(2, 3, 7), (2, 3, 6, 7), (2, 2, 5, 4, 6)][n - 1]
    free = tuple(a for a in range(n + 2) if a != 1)
    wide = (3, 2, 3)[:n]
    windows = [{"pool_size": 2}, {"pool_size": 3, "stride": 2, "pad": 1},
               {"pool_size": wide, "stride": wide[::-1], "pad": (1,) * n},
               {"pool_size": 2, "ignore_border": False}, {"pool_size": 2, "stride": 3, "ignore_border": False},
               {"pool_size": 3, "stride": (2,) * n, "ignore_border": False}]
    both = getattr(L, f"Pool{n}DLayer"), getattr(L, f"MaxPool{n}DLayer")
    return [Row(both[0], [shape], [IN | w | {"mode": m} for w in windows for m in MODES], pool, loose=free, every=7,
                values=apart),
            Row(both[1], [shape], [IN | w for w in windows], pool, loose=free, every=4, values=apart)]


def upscaled(layer, case, a):
    factors = case["scale_factor"] if isinstance(case["scale_factor"], tuple) else (case["scale_factor"],) * (a.ndim - 2)
    if case.get("mode", "repeat") == "dilate":
        out = np.zeros((*a.shape[:2], *(e * k for e, k in zip(a.shape[2:], factors, strict=True))))
        out[(..., *(slice(None, None, k) for k in factors))] = a
        return out
    for axis, k in enumerate(factors, 2):
        a = np.repeat(a, k, axis)
    return a


def grouped(layer, case, a):
    axis = case.get("axis", 1) % a.ndim
    return a.reshape(*a.shape[:axis], -1, case["pool_size"], *a.shape[axis + 1:]), axis + 1


def maxout(layer, case, a):
    return {T.max: np.max, T.mean: np.mean}[case.get("pool_function", T.max)](*grouped(layer, case, a))


def winners(layer, case, a):
    groups, axis = grouped(layer, case, a)
    return np.where(groups == groups.max(axis=axis, keepdims=True), groups, 0).reshape(a.shape)


def pyramid(layer, case, a):
    f = {"max": np.max, "sum": np.sum}.get(case.get("mode", "max"), np.mean)
    out = []
    for p in case.get("pool_dims", (4, 2, 1)):
        if case.get("implementation", "fast") == "fast":
            spans = [[(i * (n // p), i * (n // p) - (-n // p)) for i in range(p)] for n in a.shape[2:]]
        else:
            spans = [[(i * n // p, -(-(i + 1) * n // p)) for i in range(p)] for n in a.shape[2:]]
        out += [f(a[:, :, t:b, i:j], axis=(2, 3)) for t, b in spans[0] for i, j in spans[1]]
    return np.stack(out, 2)


ROWS += [
    *(row for n in (1, 2, 3) for row in pools(n)),
    *(Row(getattr(L, f"Upscale{n}DLayer"), [(2, 3, 2, 3, 4)[:n + 2]],
          grid(IN, scale_factor=[1, 2, (3, 2, 1)[:n]], mode=["repeat", "dilate"]) + [IN | {"scale_factor": 2}], upscaled,
          loose=(0, 1, 2, 3, 4)[:n + 2]) for n in (1, 2, 3)),
    Row(L.FeaturePoolLayer, [(2, 6, 4, 3)], alone(IN | {"pool_size": 2}, pool_size=[3, 6], axis=[-2, 2],
                                                  pool_function=[T.mean]), maxout, loose=(0, 3), values=apart),
    Row(L.FeatureWTALayer, [(2, 6, 4, 3)], alone(IN | {"pool_size": 2}, pool_size=[3, 6], axis=[-2, 2]), winners, loose=(0, 3),
        values=apart),
    Row(L.GlobalPoolLayer, [(2, 3, 4, 5)], alone(IN, pool_function=[T.max]), lambda layer, case, a:
        {T.max: np.max, T.mean: np.mean}[case.get("pool_function", T.mean)](a, axis=(2, 3)), loose=(0, 1, 2, 3)),
    Row(L.SpatialPyramidPoolingLayer, [(2, 3, 7, 9)], grid(IN, mode=MODES, implementation=["fast", "kaiming"])
        + alone(IN, pool_dims=[[3, 1], (2,)]), pyramid, loose=(0, 2, 3), every=3, values=apart),
]


def affine(layer, case, a, theta):
    f = case.get("downsample_factor", 1)
    gx, gy = places(*(int(n // k) for n, k in zip(a.shape[2:], f if isinstance(f, tuple) else (f, f), strict=True)))
    return np.stack([looked(image, t[0] * gx + t[1] * gy + t[2], t[3] * gx + t[4] * gy + t[5], case.get("border_mode", "nearest"))
                     for image, t in zip(a, theta, strict=True)])


def spline(layer, case, a, moved):
    n = case.get("control_points", 16)
    f = case.get("downsample_factor", 1)
    control = np.stack([g.ravel() for g in places(*(int(np.sqrt(n)),) * 2)], 1)
    rows, columns = (int(e // k) for e, k in zip(a.shape[2:], f if isinstance(f, tuple) else (f, f), strict=True))
    grid_at = np.stack([g.ravel() for g in places(rows, columns)], 1)
    out = []
    for image, m in zip(a, moved, strict=True):
        to = RBFInterpolator(control, m.reshape(2, n).T, kernel="thin_plate_spline", degree=1)(grid_at)
        x, y = to.T.reshape(2, rows, columns)
        out.append(looked(image, x, y, case.get("border_mode", "nearest")))
    return np.stack(out)


def moved_matrix(rng, shape, k):
    return rng.normal(size=shape) if k == 0 else np.array([1.0, 0, 0, 0, 1, 0]) + 0.4 * rng.normal(size=shape)


def moved_points(n):
    points = np.concatenate([g.ravel() for g in places(*(int(np.sqrt(n)),) * 2)])
    return lambda rng, shape, k: rng.normal(size=shape) if k == 0 else points + 0.1 * rng.normal(size=shape)


_VIEW = {"incoming": at(0), "localization_network": at(1)}
_VIEWS = {"downsample_factor": [2, (2, 1), 1.5], "border_mode": ["nearest", "mirror", "wrap"]}
ROWS += [
    Row(L.TransformerLayer, [(3, 2, 6, 7), (3, 6)], alone(_VIEW, **_VIEWS), affine, every=3, values=moved_matrix),
    Row(L.TransformerLayer, [(3, 2, 6, 7), (3, 6)], [_VIEW], affine, loose=(0, 2, 3), values=moved_matrix),
    Row(L.TPSTransformerLayer, [(2, 2, 6, 7), (2, 32)], alone(_VIEW, **_VIEWS, precompute_grid=[True, False, "auto"]), spline,
        values=moved_points(16), every=3),
    Row(L.TPSTransformerLayer, [(2, 2, 6, 7), (2, 18)], [_VIEW | {"control_points": 9}], spline, loose=(0, 2, 3),
        values=moved_points(9)),
]
