"""Normalisation against NumPy in float64, on both back ends; derivatives against differences."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.types import TensorType

bn = T.nnet.bn
RNG = np.random.default_rng(11)
RTOL = {"float16": 5e-3, "float32": 3e-5, "float64": 1e-11}


def moments(a, axes):
    a = a.astype("longdouble")
    mean = a.mean(axes, keepdims=True)
    return mean, ((a - mean) ** 2).mean(axes, keepdims=True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_batch_normalization(dtype):
    outs, want, values = [], [], {}
    for shape, axes in (((5, 3), "per-activation"), ((4, 3, 5, 2), "spatial"), ((4, 3, 2), (0, 2)), ((4, 3, 2), -1), ((1, 3), 0),
                        ((6,), 0)):
        a = (RNG.normal(size=shape) * 3 + 1).astype(dtype)
        over = {"per-activation": (0,), "spatial": (0, *range(2, a.ndim))}.get(axes, axes) if isinstance(axes, str) else axes
        over = tuple(k % a.ndim for k in np.atleast_1d(over))
        kept = tuple(n for k, n in enumerate(shape) if k not in over)
        full = tuple(1 if k in over else n for k, n in enumerate(shape))
        mean, var = moments(a, over)
        m = np.prod([shape[k] for k in over])
        for form in (kept, full):
            p = [RNG.uniform(0.5, 2, size=form).astype(dtype) for _ in range(4)]
            x, gamma, beta, rm, rv = vs = variables(a, *p)
            values.update(dict(zip(vs, (a, *p), strict=True)))
            g, b, before, spread = (q.astype("longdouble").reshape(full) for q in p)
            inv = 1 / np.sqrt(var + 1e-3)
            outs += bn.batch_normalization_train(x, gamma, beta, axes, 1e-3, 0.25, rm, rv)
            want += [(a - mean) * g * inv + b, mean.reshape(form), inv.reshape(form),
                     (before * 0.75 + mean * 0.25).reshape(form), (spread * 0.75 + var * m / max(m - 1, 1) * 0.25).reshape(form)]
            outs.append(bn.batch_normalization_test(x, gamma, beta, rm, rv, axes, 1e-3))
            want.append((a - before) * g / np.sqrt(spread + 1e-3) + b)
            if len(form) == a.ndim:
                outs.append(bn.batch_normalization(x, gamma, beta, rm, rv))
                want.append((a - before) * g / spread + b)
    for o, y, w in zip(outs, run(outs, values, rtol=RTOL[dtype], atol=RTOL[dtype] * 4), want, strict=True):
        assert (o.dtype, y.shape) == (dtype, w.shape)
        np.testing.assert_allclose(y, w.astype("float64"), rtol=RTOL[dtype], atol=RTOL[dtype] * 4)


def test_running_averages_are_updates():
    a = RNG.normal(size=(6, 2))
    x = T.dmatrix()
    mean, var = symbolic.shared(np.zeros(2)), symbolic.shared(np.ones(2))
    y, _, _, new_mean, new_var = bn.batch_normalization_train(x, np.ones(2), np.zeros(2), running_mean=mean, running_var=var)
    assert len(bn.batch_normalization_train(x, np.ones(2), np.zeros(2))) == 3
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        mean.set_value(np.zeros(2))
        var.set_value(np.ones(2))
        f = symbolic.function([x], y, updates=[(mean, new_mean), (var, new_var)], mode=mode)
        for _ in range(3):
            f(a)
        keep = 0.9 ** 3
        np.testing.assert_allclose(mean.get_value(), a.mean(0) * (1 - keep), rtol=1e-12)
        np.testing.assert_allclose(var.get_value(), keep + a.var(0, ddof=1) * (1 - keep), rtol=1e-12)


def test_layers_groups_and_instances():
    a = RNG.normal(size=(3, 4, 2, 5))
    g, b, row = RNG.normal(size=4), RNG.normal(size=4), RNG.normal(size=5)
    x, gamma, beta, last = variables(a, g, b, row)
    g4, b4 = g[:, None, None], b[:, None, None]

    def normal(v, axes):
        mean, var = moments(v, axes)
        return (v - mean) / np.sqrt(var + 1e-5)

    outs = [bn.layer_norm(x), bn.layer_norm(x, last, 1.0 * last), bn.layer_norm(x, axis=(1, 2, 3)),
            bn.group_norm(x, 2, gamma, beta), bn.group_norm(x, 1),
            bn.group_norm(x, 4), bn.instance_norm(x, gamma), bn.layer_norm(x, gamma, beta, axis=1)]
    grouped = normal(a.reshape(3, 2, 2, 2, 5), (2, 3, 4)).reshape(a.shape)
    want = [normal(a, -1), normal(a, -1) * row + row, normal(a, (1, 2, 3)), grouped * g4 + b4, normal(a, (1, 2, 3)),
            normal(a, (2, 3)), normal(a, (2, 3)) * g4, normal(a, 1) * g4 + b4]
    for y, w in zip(run(outs, {x: a, gamma: g, beta: b, last: row}, rtol=1e-10, atol=1e-12), want, strict=True):
        np.testing.assert_allclose(y, w.astype("float64"), rtol=1e-10, atol=1e-12)


def test_local_responses():
    outs, want, values = [], [], {}
    for shape, axis in (((2, 7, 3, 2), 1), ((2, 3, 4), -1), ((5,), 0), ((2, 0, 3), 1)):
        a = RNG.normal(size=shape)
        x, = variables(a)
        values[x] = a
        for n in (1, 3, 5):
            outs.append(bn.local_response_normalization(x, n, 0.5, 0.75, 2, axis))
            moved = np.moveaxis(a, axis, 0)
            total = np.array([sum(moved[j] ** 2 for j in range(max(i - n // 2, 0), min(i + n // 2 + 1, len(moved))))
                              for i in range(len(moved))]).reshape(moved.shape)
            want.append(a / (2 + 0.5 * np.moveaxis(total, 0, axis)) ** 0.75)
    for y, w in zip(run(outs, values, rtol=1e-12), want, strict=True):
        np.testing.assert_allclose(y, w, rtol=1e-12)


def test_derivatives():
    a, w = RNG.normal(size=(3, 4, 2)), RNG.normal(size=(3, 4, 2))
    g, b = RNG.normal(size=4), RNG.normal(size=4)
    x, gamma, beta = variables(a, g, b)
    y, mean, inv_std = bn.batch_normalization_train(x, gamma, beta, "spatial")
    outs = [y, bn.layer_norm(x, epsilon=0.1), bn.group_norm(x, 2, gamma, beta), bn.instance_norm(x, gamma, epsilon=0.1),
            bn.local_response_normalization(x, 3, 0.3)]
    costs = [(T.sin(o) * w).sum() for o in outs] + [(mean * inv_std).sum()]
    central_difference(costs, {x: a, gamma: g, beta: b}, rtol=1e-5)


def test_refuses():
    x = TensorType("float32", (None, 6, 4))("x")
    v = T.fvector("v")
    for make, error, text in (
            (lambda: bn.batch_normalization_train(x, v, v, "rows"), ValueError, "'per-activation', 'spatial'.* got 'rows'"),
            (lambda: bn.batch_normalization_train(x, v, v, 3), errors.RankError, "axis 3 is out of range"),
            (lambda: bn.batch_normalization_train(x, v, v, (0, 0)), errors.RankError, "different axes"),
            (lambda: bn.batch_normalization_test(x, v, v, v, v), errors.RankError, r"gamma must have 2 dimensions \(or 3"),
            (lambda: bn.batch_normalization(x, v, v, v, v, "low"), ValueError, "mode must be"),
            (lambda: bn.group_norm(x, 4), errors.ShapeError, "num_groups must divide the 6 channels, got 4"),
            (lambda: bn.group_norm(v, 1), errors.RankError, r"expected \(batch, channels, ...\), got 1"),
            (lambda: bn.instance_norm(T.matrix()), errors.RankError, "got 2 dimensions"),
            (lambda: bn.local_response_normalization(x, 4), ValueError, "n must be an odd number of channels, got 4"),
            (lambda: bn.layer_norm(T.zmatrix()), errors.DTypeError, "expected real values, got complex128"),
            (lambda: bn.batch_normalization_train(T.scalar(), 1, 0), errors.RankError, "expected a batch, got a scalar")):
        with pytest.raises(error, match=text):
            make()
    u = T.dtensor3("u")
    with pytest.raises(errors.SymbolicError):
        run([bn.group_norm(u, 4)], {u: np.zeros((1, 6, 2))}, on_error=True)
