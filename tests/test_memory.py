"""The memory plan: what may share memory does, and nobody notices."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T


def matrices(*names):
    return [T.matrix(n) for n in names]


def inplace(f):
    return f.program.loaded.inplace


def test_a_deep_net_takes_two_blocks():
    x, w = matrices("x", "w")
    h = x
    for _ in range(12):
        h = T.tanh(T.dot(h, w))
    f = symbolic.function([x, w], h)
    assert f.source.count("rt->scratch(") <= 2
    a, b = np.random.default_rng(0).normal(size=(2, 5, 5)) / 2
    want = a
    for _ in range(12):
        want = np.tanh(want @ b)
    np.testing.assert_allclose(f(a, b), want, rtol=1e-12)


def test_updates_are_written_over_the_old_value():
    w, v = symbolic.shared(np.ones((3, 2)), "w"), symbolic.shared(np.zeros((3, 2)), "v")
    g = T.matrix("g")
    new_v = 0.9 * v - 0.1 * g
    f = symbolic.function([g], (w * w).sum(), updates=[(v, new_v), (w, w + new_v)])
    assert inplace(f) == (True, True)
    before = w.get_value(borrow=True)
    address = before.__array_interface__["data"][0]
    del before
    a, wn, vn = np.arange(6.0).reshape(3, 2), np.ones((3, 2)), np.zeros((3, 2))
    for _ in range(3):
        assert float(f(a)) == pytest.approx((wn * wn).sum())
        vn = 0.9 * vn - 0.1 * a
        wn = wn + vn
    np.testing.assert_allclose(w.get_value(), wn)
    assert w.get_value(borrow=True).__array_interface__["data"][0] == address
    held = w.get_value(borrow=True)
    copy = held.copy()
    f(a)
    np.testing.assert_array_equal(held, copy, err_msg="an array that was handed out never changes")
    np.testing.assert_allclose(w.get_value(), wn + 0.9 * vn - 0.1 * a)


def test_an_old_value_that_is_needed_later_stays():
    a, b = symbolic.shared(np.array([1.0, 2.0]), "a"), symbolic.shared(np.array([10.0, 20.0]), "b")
    f = symbolic.function([], [a * 1, b * 1], updates=[(a, a + b), (b, b - a)])
    np.testing.assert_array_equal(f(), [[1, 2], [10, 20]])
    np.testing.assert_array_equal(a.get_value(), [11, 22])
    np.testing.assert_array_equal(b.get_value(), [9, 18])
    swap = symbolic.function([], a, updates=[(a, b), (b, a)])
    np.testing.assert_array_equal(swap(), [11, 22])
    np.testing.assert_array_equal(b.get_value(), [11, 22])
    turned = symbolic.shared(np.arange(4.0).reshape(2, 2), "turned")
    f = symbolic.function([], updates=[(turned, turned + turned.T)])
    assert inplace(f) == (False,)
    f()
    np.testing.assert_array_equal(turned.get_value(), [[0, 3], [3, 6]])
    rolled = symbolic.shared(np.arange(4.0), "rolled")
    symbolic.function([], rolled.sum(), updates=[(rolled, rolled[::-1] + rolled)])()
    np.testing.assert_array_equal(rolled.get_value(), [3, 3, 3, 3])


def test_rows_of_a_table_are_updated_where_they_lie():
    table, i = symbolic.shared(np.zeros((1000, 4)), "table"), T.lvector("i")
    f = symbolic.function([i], updates=[(table, T.inc_subtensor(table[i], 1.0))])
    assert inplace(f) == (True,)
    assert "memcpy(p" not in f.source
    f([1, 5, 1])
    want = np.zeros((1000, 4))
    want[1], want[5] = 2, 1
    np.testing.assert_array_equal(table.get_value(), want)
    with pytest.raises(IndexError):
        f([1, 1000])
    np.testing.assert_array_equal(table.get_value(), want)


def test_a_failing_call_changes_nothing():
    w, i, y = symbolic.shared(np.ones(3), "w"), T.lvector("i"), T.vector("y")
    f = symbolic.function([i, y], y[i].sum(), updates=[(w, w * 2)])
    f([0], [5.0])
    with pytest.raises(IndexError):
        f([3], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(w.get_value(), [2, 2, 2])


def test_a_value_that_a_later_kernel_reads_is_kept():
    x, w = matrices("x", "w")
    a = T.dot(x, w)
    b = T.tanh(a)
    c = T.dot(b, w) + a
    d = c * b + a.sum(axis=0)
    f = symbolic.function([x, w], [d, b.sum(), T.grad(d.sum(), x)])
    p, q = np.random.default_rng(0).normal(size=(2, 4, 4))
    an = p @ q
    bn = np.tanh(an)
    dn = (bn @ q + an) * bn + an.sum(0)
    np.testing.assert_allclose(f(p, q)[0], dn, rtol=1e-12)
    np.testing.assert_allclose(f(p, q)[1], bn.sum(), rtol=1e-12)


MAKE = [T.dot, lambda a, b: T.tanh(a), lambda a, b: a * b + 1, lambda a, b: a - b.T, lambda a, b: T.nnet.softmax(a),
        lambda a, b: a + b.sum(axis=0), lambda a, b: a - b.mean() + a[::-1]]


@pytest.mark.parametrize("seed", range(12))
def test_random_nets_of_steps_agree_with_the_interpreter(seed):
    """Many values alive at once, of equal shapes, with updates that read each other."""
    rng = np.random.default_rng(seed)
    x = T.matrix("x")
    shareds = [symbolic.shared(rng.normal(size=(4, 4)) / 2, f"s{k}") for k in range(3)]
    values = [x, *shareds]
    for _ in range(25):
        a, b = (values[int(k)] for k in rng.integers(len(values), size=2))
        values.append(MAKE[int(rng.integers(len(MAKE)))](a, b))
    updates = [(s, values[-1 - k] * 0.5 + s) for k, s in enumerate(shareds)]
    outs = [values[int(k)] for k in rng.integers(4, len(values), size=3)]
    start = [s.get_value() for s in shareds]
    fast, slow = (symbolic.function([x], outs, updates=updates, mode=m) for m in ("FAST_RUN", "FAST_COMPILE"))
    a = rng.normal(size=(4, 4))
    results = []
    for f in (fast, slow):
        for s, v in zip(shareds, start, strict=True):
            s.set_value(v)
        f(a)
        results.append([*f(a), *(s.get_value() for s in shareds)])
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * np.abs(want).max())


@pytest.mark.parametrize("n", [2**61, 2**62])
def test_sizes_that_integers_of_bytes_cannot_hold(n):
    m = T.lscalar("m")
    grown, _ = symbolic.scan(lambda h: h + 1.0, outputs_info=T.zeros((m,)), n_steps=2)
    for y in (T.cumsum(T.ones((m,)))[-1], T.sort(T.arange(m)), grown[-1]):
        with pytest.raises(MemoryError):
            symbolic.function([m], y)(n)
