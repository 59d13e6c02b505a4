"""What is written to its place, and what is read where it lies."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T

MODES = ["FAST_RUN", "FAST_COMPILE"]


@pytest.mark.parametrize("mode", MODES)
def test_joined_parts_are_computed_in_their_place(mode):
    x, y = T.fmatrix("x"), T.fmatrix("y")
    a, b = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    e, t = T.exp(x), T.tanh(y)
    outputs = [T.concatenate([e, t], axis=1), T.concatenate([e.T, 2 * T.tanh(y).T], axis=0), T.stack([e + 1, e * 2]),
               T.set_subtensor(x[1:3], T.exp(y[:2])), T.inc_subtensor(x[[0, 0, 2]], T.exp(y[:3])), t.sum() + e]
    f = symbolic.function([x, y], outputs, mode=mode)
    ea, tb = np.exp(a), np.tanh(b)
    put, added = a.copy(), a.copy()
    put[1:3] = np.exp(b[:2])
    np.add.at(added, [0, 0, 2], np.exp(b[:3]))
    want = [np.concatenate([ea, tb], 1), np.concatenate([ea.T, 2 * tb.T]), np.stack([ea + 1, ea * 2]), put, added, tb.sum() + ea]
    for k, (got, w) in enumerate(zip(f(a, b), want, strict=True)):
        np.testing.assert_allclose(got, w, rtol=2e-6, atol=1e-6, err_msg=str(k))


def test_a_leading_slice_is_read_where_it_lies():
    data, y, i = symbolic.shared(np.arange(60.0).reshape(20, 3), "data"), T.dmatrix("y"), T.lscalar("i")
    x = T.dmatrix("x")
    f = symbolic.function([i, y], T.dot(x, y), givens={x: data[i * 4:(i + 1) * 4]})
    a, b = data.get_value(), np.arange(6.0).reshape(3, 2)
    for k in (-6, -2, -1, 0, 1, 4, 5, 1000, -1000):
        np.testing.assert_array_equal(f(k, b), a[k * 4:(k + 1) * 4] @ b)
    assert "rt->scratch(" not in f.source
    g = symbolic.function([x, y], [T.dot(x[2:], y), T.dot(x[3], y), T.dot(x[2:8].T, x[2:8]), T.dot(T.exp(x)[1:5], y),
                                   T.dot(x[:, 1:], y[1:]), T.dot(x[1:][2:], y), x[1:3]])
    small = a / 60
    for got, w in zip(g(small, b), [small[2:] @ b, small[3] @ b, small[2:8].T @ small[2:8], np.exp(small)[1:5] @ b,
                                    small[:, 1:] @ b[1:], small[3:] @ b, small[1:3]], strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-12)
    w = symbolic.shared(a.copy(), "w")
    double = symbolic.function([], T.dot(w[1:3], T.constant(b)), updates=[(w, w * 2)])
    np.testing.assert_array_equal(double(), a[1:3] @ b)
    np.testing.assert_array_equal(double(), 2 * a[1:3] @ b)


def test_an_input_whose_extents_are_stated_is_read_where_it_lies():
    rng = np.random.default_rng(0)
    x, w = T.dmatrix("x"), symbolic.shared(rng.normal(size=(3, 4)), "w")
    stated, weights = T.specify_shape(x, (None, 3)), T.specify_shape(w, (3, 4))
    f = symbolic.function([x], T.dot(stated, weights), updates=[(w, w * 2)])
    assert "rt->scratch(" not in f.source, "neither is copied"
    a, b = rng.normal(size=(5, 3)), w.get_value()
    np.testing.assert_allclose(f(a), a @ b, rtol=1e-12)
    np.testing.assert_allclose(f(a[::-2]), a[::-2] @ (2 * b), rtol=1e-12)
    np.testing.assert_allclose(f(np.asfortranarray(a)), a @ (4 * b), rtol=1e-12)
    assert f(a[:0]).shape == (0, 4)
    with pytest.raises(symbolic.errors.ShapeError, match="axis 1 has extent 4, expected 3"):
        f(np.ones((5, 4)))
    w.set_value(np.ones((3, 5)))
    with pytest.raises(symbolic.errors.ShapeError, match="axis 1 has extent 5, expected 4"):
        f(a)
    # filters of one row and one column, whose type tells so
    images = T.dtensor4("images")
    filters = symbolic.shared(rng.normal(size=(5, 3, 1, 1)), broadcastable=(False, False, True, True))
    g = symbolic.function([images], T.nnet.conv2d(images, filters, (None, 3, 4, 4), (5, 3, 1, 1)))
    a = rng.normal(size=(2, 3, 4, 4))
    np.testing.assert_allclose(g(a), np.einsum("ncij,kc->nkij", a, filters.get_value()[:, :, 0, 0]), rtol=1e-12)
    steps = [line for line in str(symbolic.explain(g)).splitlines() if "specify_shape:" in line]
    assert len(steps) == 2 and all("no work" in line for line in steps)
