"""Averages, quantiles, covariances, histograms and reductions that pass over nan, against NumPy."""
from __future__ import annotations

import warnings

import numpy as np
import pytest
from checks import central_difference, run

import symbolic.tensor as T
from symbolic.ops.statistics import CONTINUOUS, ROUNDED
from symbolic.types import TensorType

RNG = np.random.default_rng(4)
A = RNG.normal(size=(4, 5))
B = A.copy()
B[0, 1] = B[2] = np.nan
NAN = ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32"])
def test_reductions_without_nan(dtype):
    b = B.astype(dtype) if dtype != "int32" else np.nan_to_num(B * 3).astype(dtype)
    x = TensorType(dtype, (None, None))("x")
    calls = [(name, axis, keep) for name in NAN for axis in (None, 0, 1, (0, 1)) for keep in (False, True)]
    outs = [getattr(T, name)(x, axis, keepdims=keep) for name, axis, keep in calls]
    outs += [T.nanvar(x, 0, ddof=1), T.nancumsum(x, 1), T.nancumprod(x, 0), T.nanargmax(x[:2], 1), T.nanargmin(x[:2], 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = [getattr(np, name)(b, axis, keepdims=keep) for name, axis, keep in calls]
        want += [np.nanvar(b, 0, ddof=1), np.nancumsum(b, 1), np.nancumprod(b, 0), np.nanargmax(b[:2], 1), np.nanargmin(b[:2], 1)]
    tolerance = {"float16": 2e-2, "float32": 1e-5}.get(dtype, 1e-9)
    for g, w in zip(run(outs, {x: b}, rtol=tolerance, atol=tolerance), want, strict=True):
        assert g.shape == np.shape(w)
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)


def test_averages_counts_and_corrections():
    x, w, y = T.dmatrix("x"), T.dvector("w"), T.dmatrix("y")
    weights, c = np.arange(1.0, 6), np.where(A > 0, A, 0)
    outs = [T.average(x), T.average(x, 0), T.average(x, 1, w), T.average(x, weights=y), *T.average(x, 1, w, returned=True),
            *T.average(x, 0, returned=True), T.average(x, 1, w, keepdims=True), T.count_nonzero(y), T.count_nonzero(y, 0, True),
            T.nan_to_num(x), T.nan_to_num(T.log(y), nan=1.0, posinf=2.0, neginf=-3.0), T.isfinite(1 / y)]
    with np.errstate(all="ignore"):
        want = [np.average(A), np.average(A, 0), np.average(A, 1, weights), np.average(A, weights=c),
                *np.average(A, 1, weights, returned=True), *np.average(A, 0, returned=True),
                np.average(A, 1, weights, keepdims=True),
                np.count_nonzero(c), np.count_nonzero(c, 0, keepdims=True), A,
                np.nan_to_num(np.log(c), nan=1, posinf=2, neginf=-3),
                np.isfinite(1 / c)]
    for g, v in zip(run(outs, {x: A, w: weights, y: c}), want, strict=True):
        assert g.shape == np.shape(v)
        np.testing.assert_allclose(g, v, rtol=1e-12)
    special = T.nan_to_num(x)
    bad = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    np.testing.assert_array_equal(run([special], {x: bad})[0], np.nan_to_num(bad))


def test_quantiles():
    x, n = T.dmatrix("x"), T.dvector("n")
    levels = [0.0, 0.1, 0.5, 0.33, 0.9, 1.0]
    outs, want = [], []
    for method in [*CONTINUOUS, *ROUNDED]:
        for axis in (None, 0, 1):
            outs += [T.quantile(x, levels, axis, method), T.quantile(x, 0.3, axis, method, keepdims=True)]
            want += [np.quantile(A, levels, axis, method=method), np.quantile(A, 0.3, axis, method=method, keepdims=True)]
    outs += [T.percentile(x, 30, 0), T.percentile(x, [5, 95]), T.quantile(n, 0.5), T.quantile([1, 2, 5, 9], 0.4)]
    want += [np.percentile(A, 30, 0), np.percentile(A, [5, 95]), np.nan, np.quantile([1, 2, 5, 9], 0.4)]
    outs.append(T.quantile(x, [-0.1, 1.1]))
    want.append([np.nan, np.nan])
    for g, w in zip(run(outs, {x: A, n: np.array([1.0, np.nan])}), want, strict=True):
        assert g.shape == np.shape(w)
        np.testing.assert_allclose(g, w, rtol=1e-12)
    with pytest.raises(ValueError, match="method must be one of"):
        T.quantile(x, 0.5, method="guess")
    with pytest.raises(ValueError, match="scalar or a vector"):
        T.quantile(x, x)


def test_covariances():
    x, y, v, f, a = T.dmatrix("x"), T.dmatrix("y"), T.dvector("v"), T.lvector("f"), T.dvector("a")
    many, weigh = np.array([1, 3, 2, 1, 4]), RNG.random(5)
    outs = [T.cov(x), T.cov(x, y), T.cov(x, rowvar=False), T.cov(x, bias=True), T.cov(x, ddof=0), T.cov(v), T.cov(x, fweights=f),
            T.cov(x, aweights=a), T.cov(x, fweights=f, aweights=a, ddof=0), T.corrcoef(x), T.corrcoef(x, y), T.corrcoef(v)]
    want = [np.cov(A), np.cov(A, A * A), np.cov(A, rowvar=False), np.cov(A, bias=True), np.cov(A, ddof=0), np.cov(A[0]),
            np.cov(A, fweights=many), np.cov(A, aweights=weigh), np.cov(A, fweights=many, aweights=weigh, ddof=0), np.corrcoef(A),
            np.corrcoef(A, A * A), np.corrcoef(A[0])]
    got = run(outs, {x: A, y: A * A, v: A[0], f: many, a: weigh}, atol=1e-12)
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-12)


def test_bins():
    x, w, b = T.dmatrix("x"), T.dmatrix("w"), T.dvector("b")
    borders, z = np.array([-1.0, -0.2, 0.0, 0.7, 1.1]), np.array([[-1.0, 1.1, 0.0, np.nan], [-0.2, 5.0, -5.0, 0.3]])
    weight = RNG.random((2, 4))
    outs = [T.digitize(x, b), T.digitize(x, b, right=True), T.digitize(x, b[::-1]), T.digitize(x, b[::-1], True),
            *T.histogram(x, b), *T.histogram(x, b, weights=w), *T.histogram(x, b, density=True), *T.histogram(w, 7),
            *T.histogram(x, 3, range=(-1, 1)), *T.histogram(w * 0 + 2, 4), *T.histogram(w[:0], 2),
            *T.histogram(x, 5, (-1.0, 2.0), weights=w, density=True)]
    r = borders[::-1]
    want = [np.digitize(z, borders), np.digitize(z, borders, True), np.digitize(z, r), np.digitize(z, r, True),
            *np.histogram(z, borders), *np.histogram(z, borders, weights=weight), *np.histogram(z, borders, density=True),
            *np.histogram(weight, 7), *np.histogram(z, 3, range=(-1, 1)), *np.histogram(weight * 0 + 2, 4),
            *np.histogram(weight[:0], 2),
            *np.histogram(z, 5, (-1.0, 2.0), weights=weight, density=True)]
    for g, v in zip(run(outs, {x: z, w: weight, b: borders}), want, strict=True):
        assert g.shape == v.shape and g.dtype.kind == v.dtype.kind
        np.testing.assert_allclose(g, v, rtol=1e-12, atol=1e-15)


def test_interp():
    x, xp, fp = T.dmatrix("x"), T.dvector("xp"), T.dvector("fp")
    at, points, values = np.array([[-1.0, 0.0, 0.3], [2.0, 1.0, np.nan]]), np.array([0.0, 0.5, 1.0]), np.array([3.0, -1.0, 4.0])
    outs = [T.interp(x, xp, fp), T.interp(x, xp, fp, left=-9.0, right=9.0), T.interp(x, xp[:1], fp[:1])]
    want = [np.interp(at, points, values), np.interp(at, points, values, -9.0, 9.0), np.interp(at, points[:1], values[:1])]
    for g, w in zip(run(outs, {x: at, xp: points, fp: values}), want, strict=True):
        np.testing.assert_allclose(g[~np.isnan(at)], w[~np.isnan(at)], rtol=1e-12)


def test_gradients():
    x, w = T.dmatrix("x"), T.dvector("w")
    costs = [T.sum(T.sin(v)) for v in (
        T.average(x, 1, w), T.quantile(x, [0.3, 0.8], 0), T.percentile(x, 40), T.cov(x), T.corrcoef(x), T.nanmean(x, 0),
        T.nanvar(x, 1),
        T.nansum(x, 1), T.nanmax(x, 0), T.histogram(x[0], 3, weights=w)[0], T.interp(x, [-3.0, 0.0, 3.0], w[:3] * 1.0))]
    central_difference(costs, {x: A, w: np.arange(1.0, 6)}, rtol=1e-5)
