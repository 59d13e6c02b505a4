"""Rewrites that touch fewer elements: each fired, and results are equal to the interpreter's without it and to NumPy's."""
from __future__ import annotations

import re

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.fgraph import capture
from symbolic.ops.subtensor import AdvancedIncSubtensor
from symbolic.opt.pipeline import optimised

RATE = np.float32(0.1)


def ops(inputs, outputs):
    return optimised(capture(inputs, outputs)).nodes


def test_a_tables_update_writes_the_rows_concerned():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 3)).astype("float32")
    i, y, rate = T.lvector("i"), T.fmatrix("y"), T.fscalar("rate")
    index, target = np.array([4, 7, 4, -1]), rng.normal(size=(4, 3)).astype("float32")
    steps = {"constant": lambda w, g: w - RATE * g, "symbolic": lambda w, g: w - rate * g,
             "added": lambda w, g: (-RATE) * g + w, "divided": lambda w, g: w - g / np.float32(10)}
    tables = {k: symbolic.shared(table.copy(), k) for k in steps}
    updates = []
    for k, w in tables.items():
        loss = np.float32(0.5) * ((w[i] - y) ** 2).sum()
        updates.append((w, steps[k](w, symbolic.grad(loss, w))))
        leaf = T.fmatrix("w")
        new = steps[k](leaf, symbolic.grad(np.float32(0.5) * ((leaf[i] - y) ** 2).sum(), leaf))
        nodes = ops([leaf, i, y, rate], [new])
        written, = (n for n in nodes if isinstance(n.op, AdvancedIncSubtensor))
        assert written.inputs[0].owner is None, k  # the table itself, not zeros
        assert nodes[-1] is written
    wanted = table.copy()
    np.subtract.at(wanted, index, RATE * (table[index] - target))
    f = symbolic.function([i, y, rate], [], updates=updates)
    f(index, target, RATE)
    for k, w in tables.items():
        np.testing.assert_allclose(w.get_value(), wanted, rtol=1e-5, atol=1e-6, err_msg=k)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "FAST_RUN"])
def test_nan_times_zeros_is_kept_and_what_reads_the_gradient_gets_all_of_it(mode):
    x, i = T.dmatrix("x"), T.lvector("i")
    g = symbolic.grad((x[i] ** 2).sum(), x)
    a = np.arange(6.0).reshape(3, 2)
    f = symbolic.function([x, i], [x - np.float64("nan") * g, x - g * x, x - 0.5 * g, g], mode=mode)
    lost, product, step, gradient = f(a, np.array([2]))
    full = np.zeros((3, 2))
    full[2] = 2 * a[2]
    assert np.isnan(lost).all()
    np.testing.assert_array_equal(product, a - full * a)
    np.testing.assert_array_equal(step, a - 0.5 * full)
    np.testing.assert_array_equal(gradient, full)


def test_columns_are_computed_as_vectors():
    x = T.dmatrix("x")
    mean = x.mean(axis=1, keepdims=True)
    normal = (x - mean) / T.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + 1e-5)
    outputs = [normal, T.logsumexp(x, axis=1), T.log(x.sum(axis=0, keepdims=True) ** 2 + 2.0)]
    for n in ops([x], outputs):
        if "dimshuffle" not in str(n.op):
            assert 1 not in n.outputs[0].type.shape, n.op
    # the maximum is taken once: what T.logsumexp has shifted already isn't shifted again
    assert sum(str(n.op).startswith("max") for n in ops([x], [T.logsumexp(x, axis=1)])) == 1
    a = np.array([[1.0, 2, 3], [-np.inf, -np.inf, -np.inf], [1000, 1000, -1000], [np.inf, 0, 0]])
    with np.errstate(all="ignore"):
        n, top, s = symbolic.function([x], outputs)(a)
        m = a.mean(1, keepdims=True)
        np.testing.assert_allclose(n, (a - m) / np.sqrt(((a - m) ** 2).mean(1, keepdims=True) + 1e-5), rtol=1e-12)
        np.testing.assert_allclose(top, np.logaddexp.reduce(a, axis=1), rtol=1e-14)
        np.testing.assert_allclose(s, np.log(a.sum(0, keepdims=True) ** 2 + 2))


def vectors(f):
    """Return the vectorised loops that add to what is there."""
    loops = (part.split("}")[0] for part in f.source.split("#pragma omp simd")[1:])
    return [text for text in loops if re.search(r"out0\[[^;]*\] \+?= ", text)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_rows_are_written_as_vectors(dtype):
    x, y, i, j = T.tensor(dtype, (None, None)), T.tensor(dtype, (None, None)), T.lvector(), T.lvector()
    outputs = [T.inc_subtensor(x[i], y), T.set_subtensor(x[i], y), T.inc_subtensor(x[i, j], y[0]), T.inc_subtensor(x[:, i], y.T)]
    f = symbolic.function([x, y, i, j], outputs, mode="FAST_RUN")
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, size=s).astype(dtype) for s in ((21, 21), (5, 21)))
    index, other = np.array([3, 3, -1, 0, 3]), np.array([2, 2, 0, -1, 1])
    wanted = [a.copy() for _ in outputs]
    np.add.at(wanted[0], index, b)
    wanted[1][index] = b
    np.add.at(wanted[2], (index, other), b[0, :5])
    np.add.at(wanted[3], (slice(None), index), b.T)
    with pytest.raises(symbolic.errors.ShapeError):
        f(a, b, index, other)  # y[0] has 21 elements, of which 5 are wanted
    outputs[2] = T.inc_subtensor(x[i, j], y[0, :5])
    f = symbolic.function([x, y, i, j], outputs, mode="FAST_RUN")
    for got, want in zip(f(a, b, index, other), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    g = symbolic.function([x, y, i], outputs[0], mode="FAST_RUN")
    np.testing.assert_array_equal(g(a, b, index), wanted[0])
    assert vectors(g)
    h = symbolic.function([x, y, i, j], outputs[2], mode="FAST_RUN")  # an element may be written twice in a row
    np.testing.assert_array_equal(h(a, b, index, other), wanted[2])
    assert "out0" in h.source and not vectors(h)
