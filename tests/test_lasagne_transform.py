"""Spatial transformers against SciPy's sampling."""
from __future__ import annotations

import numpy as np
import pytest
from layer_checks import L, compare, gradients, input_of
from layer_oracles import MODES, looked, places
from scipy.interpolate import RBFInterpolator

import symbolic
import symbolic.tensor as T


@pytest.fixture(autouse=True)
def floats(monkeypatch):
    monkeypatch.setattr(symbolic.config, "floatX", "float64")


def test_affine_views_are_scipys():
    rng = np.random.default_rng(0)
    x, place = input_of((3, 2, 6, 7)), input_of((3, 6), known=False)
    free = L.InputLayer((None, 2, None, None), x.input_var)
    a = rng.normal(size=(3, 2, 6, 7))
    theta = np.array([1.0, 0, 0, 0, 1, 0]) + 0.4 * rng.normal(size=(3, 6))
    v = {x.input_var: a, place.input_var: theta}
    cases = []
    for mode in MODES:
        for entry, factor in [(x, 1), (free, (2, 1)), (x, 1.5)]:
            rows, columns = (int(n // f) for n, f in zip((6, 7), factor if isinstance(factor, tuple) else (factor,) * 2,
                                                         strict=True))
            gx, gy = places(rows, columns)
            want = np.stack([looked(a[k], t[0] * gx + t[1] * gy + t[2], t[3] * gx + t[4] * gy + t[5], mode) for k,
                             t in enumerate(theta)])
            cases.append((L.TransformerLayer(entry, place, downsample_factor=factor, border_mode=mode), v, want))
    assert cases[0][0].output_shape == (3, 2, 6, 7) and cases[1][0].output_shape == (None, 2, None, None)
    same = L.TransformerLayer(x, L.ExpressionLayer(place, lambda t: t * 0 + np.array([1.0, 0, 0, 0, 1, 0])))
    cases.append((same, v, a))
    compare([cases[0], cases[4], cases[8]], rtol=1e-8)
    compare(cases, native=False, rtol=1e-8)
    gradients([cases[0][0], cases[4][0]], v, rtol=1e-3)
    for make, text in [(lambda: L.TransformerLayer((2, 3, 4), place), "image must have 4 axes"),
                       (lambda: L.TransformerLayer(x, (2, 5)), "must give 6 numbers"),
                       (lambda: L.TransformerLayer(x, (2, 6, 1)), "must give 2 axes"),
                       (lambda: L.TransformerLayer(x, place, border_mode="zeros"), "'zeros'")]:
        with pytest.raises(ValueError, match=text):
            make()


def test_splines_are_scipys():
    rng = np.random.default_rng(0)
    x, place = input_of((2, 2, 6, 7)), L.InputLayer((None, 32), T.dmatrix())
    free = L.InputLayer((None, 2, None, None), x.input_var)
    a = rng.normal(size=(2, 2, 6, 7))
    gx, gy = places(4, 4)
    control = np.stack([gx.ravel(), gy.ravel()], 1)
    moved = control + 0.1 * rng.normal(size=(2, 16, 2))
    v = {x.input_var: a, place.input_var: moved.transpose(0, 2, 1).reshape(2, 32)}
    px, py = places(6, 7)[0], places(6, 7)[1]
    at = [RBFInterpolator(control, m, kernel="thin_plate_spline", degree=1)(np.stack([px.ravel(), py.ravel()], 1)) for m in moved]
    cases = []
    for mode in MODES:
        want = np.stack([looked(a[k], at[k][:, 0].reshape(6, 7), at[k][:, 1].reshape(6, 7), mode) for k in range(2)])
        cases += [(L.TPSTransformerLayer(x, place, border_mode=mode), v, want),
                  (L.TPSTransformerLayer(x, place, border_mode=mode, precompute_grid=False), v, want),
                  (L.TPSTransformerLayer(free, place, border_mode=mode), v, want)]
    half = L.TPSTransformerLayer(x, place, downsample_factor=2)
    assert half.output_shape == (2, 2, 3, 3)
    compare([cases[0], cases[4], cases[8]], rtol=1e-7)
    compare([*cases, (half, v, None)], native=False, rtol=1e-7)
    gradients([cases[0][0]], v, rtol=1e-3)
    nine = L.InputLayer((None, 18), T.dmatrix())
    assert L.TPSTransformerLayer(x, nine, control_points=9).control_points == 9
    for make, text in [(lambda: L.TPSTransformerLayer(x, place, control_points=9), "must give 18 numbers"),
                       (lambda: L.TPSTransformerLayer(x, (None, 20), control_points=10), "a square number"),
                       (lambda: L.TPSTransformerLayer(free, place, precompute_grid=True), "needs known extents")]:
        with pytest.raises(ValueError, match=text):
            make()
