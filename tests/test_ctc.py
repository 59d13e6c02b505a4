"""CTC against the sum over all paths, on both back ends; its gradient against differences."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.ops.ctc import ctc

RNG = np.random.default_rng(2)
LABELS = np.array([[1, 2, -1], [2, 2, -1], [1, 1, 1], [-1, -1, -1], [2, 1, 2], [1, -1, -1]])
LENGTHS = np.array([4, 3, 4, 4, 5, 0])


def by_paths(x, labels, lengths):
    """Add up the chances of all paths that collapse to the labels."""
    p = np.exp(x - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    out = []
    for b, n in enumerate(lengths):
        want, total = [v for v in labels[b] if v >= 0], 0.0
        for path in itertools.product(range(x.shape[2]), repeat=n):
            if [k for k, _ in itertools.groupby(path) if k] == want:
                total += np.prod([p[t, b, k] for t, k in enumerate(path)])
        out.append(-np.log(total) if total else np.inf)
    return np.array(out)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_costs(dtype):
    a = (RNG.normal(size=(5, 6, 3)) * 2).astype(dtype)
    x, y, n = variables(a, LABELS, LENGTHS)
    values = {x: a, y: LABELS, n: LENGTHS}
    cost = ctc(x, y, n)
    assert cost.dtype == dtype
    g = T.grad(T.switch(T.isinf(cost), 0, cost).sum(), x)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    got, slope = run([cost, g], values, rtol=tolerance * 10, atol=tolerance)
    want = by_paths(a.astype("float64"), LABELS, LENGTHS)
    np.testing.assert_allclose(got, want, rtol=tolerance)
    assert np.isfinite(slope).all() and np.isinf(want).any()
    for b in range(6):
        assert (slope[LENGTHS[b]:, b] == 0).all() and (np.isinf(want[b]) or b in (3, 5) or (slope[:, b] != 0).any())


def test_extremes():
    """Activations beyond what an exponential can hold, and no labels at all."""
    a = np.array([[[1e4, -1e4, 0.0]], [[-1e4, 1e4, 5.0]]], "float32")
    x, = variables(a)
    one, none = ctc(x, np.array([[2]]), np.array([2])), ctc(x, np.zeros((1, 0), "int64"), np.array([2]))
    got = run([one, none, T.grad(one[0], x)], {x: a}, rtol=1e-6)
    np.testing.assert_allclose(got[0], [1e4 - 5], rtol=1e-6)
    np.testing.assert_allclose(got[1], [2e4], rtol=1e-6)
    assert np.isfinite(got[2]).all()


def test_derivatives():
    a = RNG.normal(size=(4, 2, 3))
    x, = variables(a)
    central_difference([(ctc(x, np.array([[1, 2], [2, -1]]), np.array([4, 3])) * np.array([1.0, 0.7])).sum()], {x: a}, rtol=1e-5)


def test_refuses():
    x, y, n = T.dtensor3("x"), T.lmatrix("y"), T.lvector("n")
    a = np.zeros((3, 1, 3))
    for labels, lengths, error, text in (([[0, 1]], [3], errors.ParameterError, "0 is the blank"),
                                         ([[-1, 1]], [3], errors.ParameterError, "padding must stand behind"),
                                         ([[1, 2]], [4], errors.ParameterError, "input_lengths must lie between"),
                                         ([[1, 3]], [3], errors.IndexOutOfBounds, "index 3 is out of bounds for axis 2")):
        for mode in ("FAST_RUN", "FAST_COMPILE"):
            with pytest.raises(error, match=text):
                symbolic.function([x, y, n], ctc(x, y, n), mode=mode)(a, np.array(labels), np.array(lengths))
    with pytest.raises(errors.RankError, match=r"labels must be \(batch, length\), got 1"):
        ctc(x, n, n)
    with pytest.raises(errors.DTypeError, match="integer labels"):
        ctc(x, T.dmatrix(), n)
