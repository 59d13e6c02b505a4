"""Rewrites of loops: each is seen to have happened, and gives what a plain loop gives, values and gradients."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.fgraph import capture
from symbolic.ops.linalg import Dot
from symbolic.ops.scan import Scan
from symbolic.opt.pipeline import optimised
from symbolic.opt.scan_invariants import hoist_invariants
from symbolic.opt.scan_maps import vectorise_maps
from symbolic.opt.scan_unread import drop_unread

RNG = np.random.default_rng(5)
MODES = ["FAST_RUN", "FAST_COMPILE"]


def loops(inputs, outputs, rewrite=optimised):
    """Return the loops that are left after a rewrite."""
    graph = rewrite(capture(inputs, outputs))
    graph.verify()
    return [n for n in graph.nodes if isinstance(n.op, Scan)]


def compare(inputs, outputs, want, *calls, rtol=1e-10):
    """Check outputs in both modes against `want`, a function in NumPy, for several lists of arguments."""
    for mode in MODES:
        f = symbolic.function(inputs, outputs, mode=mode)
        for call in calls:
            for a, b in zip(f(*call), want(*call), strict=True):
                assert a.shape == np.shape(b)
                np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


def test_a_map_is_vector_code_and_so_is_its_gradient():
    x, w = T.dmatrix("x"), T.dvector("w")
    y, _ = symbolic.map(lambda row: T.exp(row * w).sum(), x)
    outs = [y, *T.grad((y ** 2).sum(), [x, w])]
    assert loops([x, w], outs) == []

    def want(x, w):
        e = np.exp(x * w)
        s = e.sum(1)
        return s, 2 * s[:, None] * e * w, (2 * s[:, None] * e * x).sum(0)

    compare([x, w], outs, want, *((RNG.normal(size=(n, 3)), RNG.normal(size=3)) for n in (4, 1, 0)))


def test_a_map_of_fewer_steps_than_elements():
    x, y, n = T.dvector("x"), T.dmatrix("y"), T.lscalar("n")
    z, _ = symbolic.map(lambda a, b: a + b, [x, y])
    assert loops([x, y], [z]) == []
    compare([x, y], [z], lambda x, y: [x[:3, None] + y[:3]], (RNG.normal(size=3), RNG.normal(size=(5, 2))),
            (RNG.normal(size=4), RNG.normal(size=(3, 2))))
    z, _ = symbolic.scan(lambda a: a * 2, x, n_steps=n)
    for mode in MODES:
        f = symbolic.function([x, n], z, mode=mode)
        np.testing.assert_array_equal(f([1, 2, 3], 2), [2, 4])
        with pytest.raises(errors.ShapeError, match="loop of 4 steps needs as many elements; sequence 0 has 3"):
            f([1, 2, 3], 4)
        with pytest.raises(ValueError, match="can't take -1 steps"):
            f([1, 2, 3], -1)


def test_a_map_with_its_elements_backwards():
    x = T.dvector("x")
    z, _ = symbolic.scan(lambda a: a * 2, x, go_backwards=True)
    assert loops([x], [z]) == []
    compare([x], [z], lambda x: [2 * x[::-1]], (RNG.normal(size=4),))


@pytest.mark.parametrize(("step", "start", "want"), [
    (lambda e, a: a + e * e, 2.0, lambda x: 2 + np.sum(x * x)), (lambda e, a: e * a, 3.0, lambda x: 3 * np.prod(x))])
def test_sums_and_products_over_steps_are_reductions(step, start, want):
    x = T.dvector("x")
    a, _ = symbolic.scan(step, x, T.constant(start, dtype="float64"))
    assert loops([x], [a[-1]]) == []
    compare([x], [a[-1]], lambda x: [want(x)], (RNG.normal(size=5),), (RNG.normal(size=1),))
    assert loops([x], [a]) != []  # all the partial sums are wanted


def test_largest_over_a_known_number_of_steps_is_a_reduction():
    x = T.tensor("float64", (4,), name="x")
    a, _ = symbolic.scan(lambda e, a: T.maximum(a, e), x, T.constant(0.5, dtype="float64"), n_steps=4)
    assert loops([x], [a[-1]]) == []
    for values in ([1.0, 3, 2, 0], [0.0, 0, 0, 0], [np.nan, 1, 2, 3]):
        compare([x], [a[-1]], lambda x: [np.maximum(0.5, np.max(x))], (np.array(values),))


def test_steps_that_wait_for_each_other_stay_a_loop():
    x = T.dvector("x")
    a, _ = symbolic.scan(lambda e, a: a + T.sin(a) * e, x, T.constant(1.0, dtype="float64"))
    b, _ = symbolic.scan(lambda e, a: (a + e, symbolic.until(a > 2)), x, T.constant(1.0, dtype="float64"))
    assert len(loops([x], [a, b])) == 2


def test_the_last_value_alone_needs_no_trace():
    x, w = T.dvector("x"), T.dvector("w")
    h, _ = symbolic.scan(lambda e, h: T.tanh(h * e) + w, x, T.ones_like(w))
    found, = loops([x, w], [h[-1]], drop_unread)
    assert found.op.traces == 0
    found, = loops([x, w], [h[-1, 1:]], drop_unread)
    assert found.op.traces == 0
    found, = loops([x, w], [h[-1], h[-2]], drop_unread)
    assert found.op.traces == 1

    def want(x, w):
        h = np.ones_like(w)
        for e in x:
            h = np.tanh(h * e) + w
        return h, h[1:]

    compare([x, w], [h[-1], h[-1, 1:]], want, (RNG.normal(size=5), RNG.normal(size=3)), (RNG.normal(size=1), RNG.normal(size=3)))
    for mode in MODES:
        with pytest.raises(IndexError, match="index -1 is out of bounds for axis 0 with extent 0"):
            symbolic.function([x, w], h[-1], mode=mode)([], [1.0])


def test_memory_of_a_last_value_does_not_grow_with_steps():
    n, w = T.lscalar("n"), T.dvector("w")
    h, _ = symbolic.scan(lambda h: T.tanh(h) + w, outputs_info=T.ones_like(w), n_steps=n)
    f = symbolic.function([n, w], h[-1])
    sizes = []
    for steps in (10, 100_000):
        f(steps, np.zeros(1000))
        sizes.append(f.scratch_bytes)
    assert sizes[0] == sizes[1] < 100_000
    g = symbolic.function([n, w], h)  # the trace is an output: no less than its elements
    assert g(10, np.zeros(3)).shape == (10, 3)


def test_what_nobody_reads_is_not_computed():
    x = T.dvector("x")
    (a, b, c), _ = symbolic.scan(lambda e, a, b, c: [T.sin(a + e), b * e + T.cos(b), c + a], x, [T.constant(0.0)] * 3)
    found, = loops([x], [b], drop_unread)
    assert (found.op.carries, found.op.traces) == (1, 1)
    found, = loops([x], [c], drop_unread)
    assert (found.op.carries, found.op.traces) == (2, 1)

    def want(x):
        a = b = c = 0.0
        out = []
        for e in x:
            a, b, c = np.sin(a + e), b * e + np.cos(b), c + a
            out.append((b, c))
        return np.array(out).reshape(-1, 2)[:, 0], np.array(out).reshape(-1, 2)[:, 1]

    compare([x], [b, c], want, (RNG.normal(size=4),), (RNG.normal(size=0),))


def test_a_loop_of_one_step_is_the_step():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    h, _ = symbolic.scan(lambda e, h: T.tanh(T.dot(h, w) + e), x, T.ones((2,)), n_steps=1)
    outs = [h, *T.grad((h ** 2).sum(), [x, w])]
    assert loops([x, w], outs) == []

    def want(x, w):
        h = np.tanh(np.ones(2) @ w + x[0])
        g = 2 * h * (1 - h * h)
        gx = np.zeros_like(x)
        gx[0] = g
        return h[None], gx, np.outer(np.ones(2), g)

    compare([x, w], outs, want, (RNG.normal(size=(3, 2)), RNG.normal(size=(2, 2))))


def test_a_single_step_that_may_stop():
    x = T.dscalar("x")
    h, _ = symbolic.scan(lambda h: (h * 2, symbolic.until(h > 0)), outputs_info=x, n_steps=1)
    assert loops([x], [h]) == []
    compare([x], [h], lambda x: [np.array([2 * x])], (1.0,), (-1.0,))


def test_what_is_the_same_in_every_step_is_computed_before():
    x, w = T.dvector("x"), T.dmatrix("w")
    h, _ = symbolic.scan(lambda e, h: T.tanh(h * e + T.exp(w).sum(axis=0)), x, T.zeros((3,)))
    found, = loops([x, w], [h], hoist_invariants)
    assert not any(n.op.name in ("exp", "sum") for n in found.op.loop(*(v.type for v in found.inputs)).graph.nodes)

    def want(x, w):
        out, h = [], np.zeros(3)
        for e in x:
            h = np.tanh(h * e + np.exp(w).sum(0))
            out.append(h)
        return [np.array(out).reshape(-1, 3)]

    compare([x, w], [h], want, (RNG.normal(size=4), RNG.normal(size=(2, 3))), (RNG.normal(size=0), RNG.normal(size=(2, 3))))


def test_a_matrix_is_transposed_once():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    h, _ = symbolic.scan(lambda e, h: T.tanh(T.dot(h, w.T) + e), x, T.zeros((3,)))
    found, = loops([x, w], [h], hoist_invariants)
    step = found.op.loop(*(v.type for v in found.inputs)).graph
    product, = (n for n in step.nodes if isinstance(n.op, Dot))
    assert product.inputs[1] in step.inputs


def test_one_arm_alone_is_not_computed_before_the_loop():
    flags, w = T.bvector("flags"), T.dvector("w")
    h, _ = symbolic.scan(lambda flag, h: h + symbolic.ifelse(flag, w[T.constant([7])], T.zeros((1,))), flags, T.zeros((1,)))
    for mode in MODES:
        f = symbolic.function([flags, w], h, mode=mode)
        np.testing.assert_array_equal(f([0, 0], [1.0]), [[0], [0]])


def test_a_sequence_of_equal_elements_is_a_constant():
    x = T.dvector("x")
    h, _ = symbolic.scan(lambda e, h: h * e, x, T.constant(1.0))
    slope = T.grad(h.sum(), x)
    forward, back = loops([x], [slope])
    assert back.op.sequences == 2  # elements of x and of h; not a sequence of ones
    compare([x], [slope], lambda x: [np.array([sum(np.prod(np.delete(x[:t + 1], k)) for t in range(k, len(x)))
                                               for k in range(len(x))])], (RNG.normal(size=5),))


def test_only_maps_are_vectorised():
    x, w = T.dtensor3("x"), T.dmatrix("w")
    y, _ = symbolic.map(lambda m: T.dot(m.T, T.dot(w, m)), x)  # products of matrices: their memory is one step's
    assert len(loops([x, w], [y], vectorise_maps)) == 1
    compare([x, w], [y], lambda x, w: [np.stack([m.T @ (w @ m) for m in x])],
            (RNG.normal(size=(3, 2, 4)), RNG.normal(size=(2, 2))))
