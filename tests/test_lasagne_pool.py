"""Pooling, upscaling and feature layers against loops in NumPy."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from layer_checks import L, compare, gradients, input_of, seeded
from layer_oracles import pooled

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")
#: window, stride, padding, whether windows that stick out are left out
GRID = [(2, None, 0, True), (3, 2, 1, True), (2, 3, 0, True), (3, 1, 0, True), (2, None, 0, False), (2, 3, 0, False), (3, 2, 0,
                                                                                                                       False)]


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


def test_pooling_over_a_grid_of_arguments():
    rng = seeded()
    cases = []
    for k, (mode, (size, stride, pad, ignore)) in enumerate(itertools.product(MODES, GRID)):
        x, v, a = given((2, 3, 7), rng, known=k % 2 == 0)
        y, vy, b = given((2, 2, 6, 7), rng, known=k % 2 == 1)
        z, vz, c = given((1, 2, 5, 4, 6), rng)
        cases += [(L.Pool1DLayer(x, size, stride, pad, ignore, mode), v, pooled(a, size, stride, pad, ignore, mode)),
                  (L.Pool2DLayer(y, size, stride, pad, ignore, mode), vy, pooled(b, size, stride, pad, ignore, mode)),
                  (L.Pool3DLayer(z, size, stride, pad, ignore, mode), vz, pooled(c, size, stride, pad, ignore, mode))]
    y, vy, b = given((2, 2, 6, 7), rng)
    cases += [(L.MaxPool2DLayer(y, (2, 3), stride=(1, 2), pad=(1, 0)), vy, pooled(b, (2, 3), (1, 2), (1, 0), True, "max")),
              (L.MaxPool1DLayer(x, 3, 2), v, pooled(a, 3, 2, 0, True, "max")), (L.MaxPool3DLayer(z, (1, 2, 2)), vz,
                                                                                pooled(c, (1, 2, 2), None, 0, True, "max"))]
    compare(cases)
    for layer, *_ in cases:
        assert None not in layer.output_shape[1:]
    gradients([cases[1][0], cases[4][0], cases[-3][0]], cases[1][1] | cases[4][1] | vy)
    for make, text in [(lambda: L.Pool2DLayer(x, 2), "expected 4 axes"), (lambda: L.Pool2DLayer(y, 2, mode="mean"), "'mean'"),
                       (lambda: L.Pool2DLayer(y, 2, pad=1, ignore_border=False), "pad needs ignore_border"),
                       (lambda: L.Pool2DLayer(y, 2, pad=2), "smaller than pool_size"), (lambda: L.Pool2DLayer(y, 0),
                                                                                        "must be smaller|positive"),
                       (lambda: L.Pool1DLayer(x, (2, 2)), "length 1")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_upscaling():
    rng = seeded()
    cases = []
    for n, make in [(1, L.Upscale1DLayer), (2, L.Upscale2DLayer), (3, L.Upscale3DLayer)]:
        for mode, factor in itertools.product(("repeat", "dilate"), (1, 2, tuple(range(3, 3 - n, -1)))):
            x, v, a = given((2, 3, 2, 3, 4)[:n + 2], rng, known=mode == "repeat")
            factors = factor if isinstance(factor, tuple) else (factor,) * n
            want = a
            if mode == "repeat":
                for axis, k in enumerate(factors, 2):
                    want = np.repeat(want, k, axis)
            else:
                want = np.zeros((*a.shape[:2], *(e * k for e, k in zip(a.shape[2:], factors, strict=True))))
                want[(..., *(slice(None, None, k) for k in factors))] = a
            cases.append((make(x, factor, mode=mode), v, want))
    compare(cases)
    gradients([cases[1][0], cases[10][0]], cases[1][1] | cases[10][1])
    assert L.Upscale2DLayer((None, 3, None, 4), 2).output_shape == (None, 3, None, 8)
    for make, text in [(lambda: L.Upscale2DLayer((2, 3, 4), 2), "expected 4 axes"), (lambda: L.Upscale1DLayer((2, 3, 4), 0),
                                                                                     "positive"),
                       (lambda: L.Upscale1DLayer((2, 3, 4), 2, mode="zoom"), "'zoom'")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_features_and_global_pooling():
    rng = seeded()
    x, v, a = given((2, 6, 4, 3), rng, known=False)
    groups = a.reshape(2, 3, 2, 4, 3)
    last = a.reshape(2, 6, 2, 2, 3)
    cases = [(L.FeaturePoolLayer(x, 2), v, groups.max(axis=2)), (L.FeaturePoolLayer(x, 2, pool_function=T.mean), v,
                                                                 groups.mean(axis=2)),
             (L.FeaturePoolLayer(x, 2, axis=-2), v, last.max(axis=3)),
             (L.FeatureWTALayer(x, 2), v, np.where(groups == groups.max(axis=2, keepdims=True), groups, 0).reshape(a.shape)),
             (L.FeatureWTALayer(x, 2, axis=2), v, np.where(last == last.max(axis=3, keepdims=True), last, 0).reshape(a.shape)),
             (L.GlobalPoolLayer(x), v, a.mean(axis=(2, 3))), (L.GlobalPoolLayer(x, T.max), v, a.max(axis=(2, 3)))]
    flat, vf, b = given((5, 4), rng)
    cases.append((L.FeaturePoolLayer(flat, 4), vf, b.max(axis=1, keepdims=True)))
    compare(cases)
    gradients([cases[0][0], cases[3][0], cases[5][0]], v)
    ties = symbolic.function([flat.input_var], L.get_output(L.FeatureWTALayer(flat, 2)))(np.ones((1, 4)))
    np.testing.assert_array_equal(ties, [[1, 0, 1, 0]])
    for make, text in [(lambda: L.FeaturePoolLayer(x, 4), "pool_size, 4, divides, got 6"), (lambda: L.FeatureWTALayer((2, None),
                                                                                                                      2), "None"),
                       (lambda: L.FeaturePoolLayer(x, 2, axis=4), "axis is 4"), (lambda: L.GlobalPoolLayer((2, 3)),
                                                                                 "3 or more axes")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_spatial_pyramids():
    rng = seeded()
    cases = []
    reduce = {"max": np.max, "sum": np.sum}
    for k, (mode, size) in enumerate(itertools.product(MODES, [(8, 12), (7, 9), (4, 5)])):
        x, v, a = given((2, 3, *size), rng, known=k % 2 == 0)
        y = x if k % 2 else L.InputLayer((None, 3, None, None), x.input_var)
        f = reduce.get(mode, np.mean)
        fast, cells = [], []
        for p in (4, 2, 1):
            windows = [(-(-n // p), n // p) for n in size]
            cuts = [[(i * n // p, -(-(i + 1) * n // p)) for i in range(p)] for n in size]
            for i, j in itertools.product(range(p), range(p)):
                (h, s), (w, t) = windows
                fast.append(f(a[:, :, i * s:i * s + h, j * t:j * t + w], axis=(2, 3)))
                (top, bottom), (left, right) = cuts[0][i], cuts[1][j]
                cells.append(f(a[:, :, top:bottom, left:right], axis=(2, 3)))
        cases += [(L.SpatialPyramidPoolingLayer(y, mode=mode), v, np.stack(fast, 2)),
                  (L.SpatialPyramidPoolingLayer(y, pool_dims=[4, 2, 1], mode=mode, implementation="kaiming"), v, np.stack(cells,
                                                                                                                          2))]
    compare(cases[:2] + cases[14:16])
    compare(cases, native=False)
    gradients([cases[0][0], cases[9][0]], cases[0][1] | cases[9][1])
    assert L.SpatialPyramidPoolingLayer((None, 3, None, None), [3, 1]).output_shape == (None, 3, 10)
    for make, text in [(lambda: L.SpatialPyramidPoolingLayer((2, 3, 4)), "expected 4 axes"),
                       (lambda: L.SpatialPyramidPoolingLayer((2, 3, 3, 9)), "a grid of 4 doesn't fit"),
                       (lambda: L.SpatialPyramidPoolingLayer((2, 3, 9, 9), mode="min"), "'min'"),
                       (lambda: L.SpatialPyramidPoolingLayer((2, 3, 9, 9), implementation="slow"), "'slow'")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_unpooling_by_the_inverse_layer():
    rng = seeded()
    x, v, a = given((2, 1, 4, 6), rng)
    pool = L.MaxPool2DLayer(x, 2)
    back = L.InverseLayer(pool, pool)
    best = np.repeat(np.repeat(pooled(a, 2, None, 0, True, "max"), 2, 2), 2, 3)
    compare([(back, v, np.where(a == best, a, 0))])
