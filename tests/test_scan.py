"""scan and its relatives: Theano's semantics, native code, derivatives, errors."""
from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors

MODES = ["FAST_RUN", "FAST_COMPILE", "CHECK"]
RNG = np.random.default_rng(5)


def power(x, n):
    """x**n by multiplication, and the trace."""
    out, _ = symbolic.scan(lambda p, x: p * x, outputs_info=T.ones_like(x), non_sequences=x, n_steps=n)
    return out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_derivatives_of_a_power_to_fourth_order(n, mode):
    """Theano's third derivative is wrong."""
    x, k = T.dscalar("x"), T.lscalar("k")
    last, _ = symbolic.loop(lambda p, _: (p * x, None), T.constant(1.0), length=k)
    wanted, slope, outs = 1.0, last, []
    for _ in range(5):
        outs.append(slope)
        slope = T.grad(slope, x, disconnected_inputs="ignore")
    got = symbolic.function([x, k], outs, mode=mode)(3.0, n)
    for order, g in enumerate(got):
        wanted = np.prod([n - i for i in range(order)]) * 3.0 ** max(n - order, 0) if order <= n else 0.0
        np.testing.assert_allclose(g, wanted, err_msg=f"order {order}")


@pytest.mark.parametrize("n", [0, 1, 2, 6])
def test_loops_are_the_unrolled_graph_to_third_order(n):
    x = T.dvector("x")
    w = T.constant(RNG.normal(size=(3, 3)))

    def body(h):
        return T.tanh(T.dot(w, h) * x)

    traces, _ = symbolic.scan(body, outputs_info=T.ones_like(x), n_steps=n)
    h, rows = T.ones_like(x), []
    for _ in range(n):
        h = body(h)
        rows.append(h)
    unrolled = sum(((r ** 2).sum() for r in rows), T.constant(0.0) * x.sum())
    outs = []
    for cost in ((traces ** 2).sum(), unrolled):
        a = T.grad(cost, x, disconnected_inputs="ignore")
        b = T.grad((a * x).sum(), x, disconnected_inputs="ignore")
        outs.append([cost, a, b, T.grad((b ** 2).sum(), x, disconnected_inputs="ignore")])
    f = symbolic.function([x], outs[0] + outs[1])
    got = f(np.array([0.3, -0.5, 1.0]))
    for a, b in zip(got[:4], got[4:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_several_taps_and_sequences(mode):
    x, y, start = T.dvector("x"), T.dvector("y"), T.dvector("start")

    def fn(before, now, other, two_back, one_back, factor):
        return factor * two_back + one_back + before * now - other, two_back

    (a, b), updates = symbolic.scan(fn, [dict(input=x, taps=[-1, 0]), y], [dict(initial=start, taps=[-2, -1]), None], [0.5])
    assert updates == {}
    u, v, s = np.arange(1.0, 6), np.arange(10.0, 13), np.array([7.0, 9.0])
    got = symbolic.function([x, y, start], [a, b], mode=mode)(u, v, s)
    want, kept = list(s), []
    for t in range(3):
        kept.append(want[-2])
        want.append(0.5 * want[-2] + want[-1] + u[t] * u[t + 1] - v[t])
    np.testing.assert_allclose(got[0], want[2:])
    np.testing.assert_allclose(got[1], kept)


@pytest.mark.parametrize("mode", MODES)
def test_shared_variables_are_updated_in_the_loop(mode):
    total = symbolic.shared(np.float64(0.0), "total")
    x = T.dvector("x")
    seen, updates = symbolic.scan(lambda e: (total * 1, {total: total + e}), x)
    assert list(updates) == [total]
    f = symbolic.function([x], seen, updates=updates, mode=mode)
    np.testing.assert_array_equal(f([1, 2, 3]), [0, 1, 3])
    assert float(total.get_value()) == 6
    np.testing.assert_array_equal(f([1, 1]), [6, 7])
    none, only = symbolic.scan(lambda e: {total: total + e}, x)
    assert none is None
    symbolic.function([x], [], updates=only, mode=mode)([10.0])
    assert float(total.get_value()) == 18


@pytest.mark.parametrize("mode", MODES)
def test_until_ends_after_the_step_in_which_it_is_true(mode):
    limit, n = T.dscalar("limit"), T.lscalar("n")
    powers, _ = symbolic.scan(lambda p: (p * 2, symbolic.until(p * 2 > limit)), outputs_info=T.constant(1.0), n_steps=n)
    f = symbolic.function([limit, n], [powers, T.grad(powers.sum(), limit, disconnected_inputs="ignore")], mode=mode)
    np.testing.assert_array_equal(f(10, 100)[0], [2, 4, 8, 16])
    np.testing.assert_array_equal(f(10, 2)[0], [2, 4])
    assert f(10, 0)[0].shape == (0,)
    x = T.dscalar("x")
    trace, _ = symbolic.scan(lambda p: (p * x, symbolic.until(p * x > 50)), outputs_info=T.constant(1.0), n_steps=100)
    assert float(symbolic.function([x], T.grad(trace[-1], x), mode=mode)(3.0)) == 4 * 27


@pytest.mark.parametrize("mode", MODES)
def test_carries_of_narrower_types_are_widened_where_that_is_safe(mode):
    x = T.fvector("x")
    total, _ = symbolic.scan(lambda e, t: t + e, x, 0)
    assert total.dtype == "float32"
    count, _ = symbolic.scan(lambda e, t: t + np.int32(1), x, T.constant(np.int64(5)))
    wide, _ = symbolic.scan(lambda e, t: e * 2, x, T.constant(np.float64(0)))
    f = symbolic.function([x], [total, count, wide], mode=mode)
    a, b, c = f(np.array([1, 2, 4], "float32"))
    assert (a.dtype, b.dtype, c.dtype) == (np.float32, np.int64, np.float64)
    np.testing.assert_array_equal(a, [1, 3, 7])
    np.testing.assert_array_equal(b, [6, 7, 8])
    np.testing.assert_array_equal(c, [2, 4, 8])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "complex64", "complex128"])
def test_carries_and_sequences_of_every_dtype(dtype):
    x = T.TensorType(dtype, (None, None))("x")
    out, _ = symbolic.scan(lambda row, c: [T.switch(T.eq(row, row), c, row), row], x, [x[0], None])
    a = RNG.integers(0, 2, (4, 3)).astype(dtype)
    got = symbolic.function([x], out)(a)
    assert [g.dtype for g in got] == [a.dtype, a.dtype]
    np.testing.assert_array_equal(got[0], np.broadcast_to(a[0], (4, 3)))
    np.testing.assert_array_equal(got[1], a)


@pytest.mark.parametrize("mode", MODES)
def test_nested_loops_and_closures(mode):
    m, w = T.dmatrix("m"), T.dvector("w")
    scale = symbolic.shared(np.array([2.0]), "scale")

    def row_value(row):
        inner, _ = symbolic.foldl(lambda e, k, t: t * w[0] + e * k, [row, w], T.constant(0.0))
        return inner * scale[0]

    out, _ = symbolic.map(row_value, m)
    f = symbolic.function([m, w], [out, *T.grad(out.sum(), [m, w])], mode=mode)
    a, k = RNG.normal(size=(4, 3)), RNG.normal(size=3)

    def value(a, k):
        rows = []
        for row in a:
            t = 0.0
            for e, c in zip(row, k, strict=True):
                t = t * k[0] + e * c
            rows.append(t * 2)
        return np.array(rows)

    got = f(a, k)
    np.testing.assert_allclose(got[0], value(a, k))
    slope = (value(a, k + [1e-6, 0, 0]).sum() - value(a, k - [1e-6, 0, 0]).sum()) / 2e-6
    np.testing.assert_allclose(got[2][0], slope, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_shapes_that_change_inside_a_step_but_not_from_step_to_step(mode):
    x = T.dvector("x")
    prefix, _ = symbolic.map(lambda n: T.sum(x[:n] ** 2), T.arange(x.shape[0] + 1))
    several, _ = symbolic.map(lambda n: T.sum(T.arange(n) ** 2), T.arange(6))
    f = symbolic.function([x], [prefix, several], mode=mode)
    a = np.arange(1.0, 5)
    got = f(a)
    np.testing.assert_allclose(got[0], [np.sum(a[:n] ** 2) for n in range(5)])
    np.testing.assert_array_equal(got[1], [sum(i * i for i in range(n)) for n in range(6)])


def test_a_trace_whose_shape_would_change_is_refused():
    x = T.dvector("x")
    with pytest.raises(errors.NotSupported, match="may change from step to step"):
        symbolic.function([x], symbolic.map(lambda n: x[:n], T.arange(4))[0])


@pytest.mark.parametrize("mode", MODES)
def test_backwards_forwards_and_views(mode):
    x = T.dvector("x")
    forth, _ = symbolic.scan(lambda e, t: t * 2 + e, x, T.constant(0.0))
    back, _ = symbolic.scan(lambda e, t: t * 2 + e, x, T.constant(0.0), go_backwards=True)
    left, _ = symbolic.foldl(lambda e, t: t * 2 + e, x, T.constant(0.0))
    right, _ = symbolic.foldr(lambda e, t: t * 2 + e, x, T.constant(0.0))
    none, _ = symbolic.reduce(lambda e, t: t * 2 + e, x[:0], T.constant(5.0))
    f = symbolic.function([x], [forth, back, left, right, none, T.grad(back[0] + right, x)], mode=mode)
    a, b, c, d, e, g = f([1, 2, 3])
    np.testing.assert_array_equal(a, [1, 4, 11])
    np.testing.assert_array_equal(b, [3, 8, 17])
    assert (float(c), float(d), float(e)) == (11, 17, 5)
    np.testing.assert_array_equal(g, [1, 2, 5])


@pytest.mark.parametrize("mode", MODES)
def test_truncated_gradients_go_back_only_so_far(mode):
    x, w = T.dvector("x"), T.dscalar("w")
    for k in (0, 1, 2, 10):
        h, _ = symbolic.scan(lambda e, h: h * w + e, x, T.constant(0.0), truncate_gradient=k)
        gx, gw = symbolic.function([x, w], T.grad(h[-1], [x, w]), mode=mode)([1.0, 2, 3, 4], 0.5)
        np.testing.assert_allclose(gx, [0.125 if k > 3 else 0, 0.25 if k > 2 else 0, 0.5 if k > 1 else 0, 1 if k > 0 else 0])
        states = [0, 1, 2.5, 4.25]
        np.testing.assert_allclose(gw, sum(0.5 ** i * states[3 - i] for i in range(min(k, 4))))


@pytest.mark.parametrize("mode", MODES)
def test_truncated_gradients_give_initial_states_that_of_the_state_before(mode):
    x, start = T.dvector("x"), T.dscalar("start")
    for k in (1, 2, 4, 10):
        h, _ = symbolic.scan(lambda e, h: h * h + e, x, start, truncate_gradient=k)
        got, states = symbolic.function([x, start], [T.grad(h[-1], start), h], mode=mode)([0.1, 0.2, 0.3, 0.4], 0.5)
        states = [0.5, *states[:-1]]
        np.testing.assert_allclose(got, np.prod([2 * s for s in states[-k:]]))


@pytest.mark.parametrize("mode", MODES)
def test_too_few_initial_values(mode):
    x, start = T.dvector("x"), T.dvector("start")
    h, _ = symbolic.scan(lambda e, a, b: a + b + e, x, {"initial": start, "taps": [-3, -1]})
    f = symbolic.function([x, start], [h, *T.grad(h.sum(), [x, start])], mode=mode)
    np.testing.assert_array_equal(f(np.ones(2), np.ones(3))[2], [2, 1, 2])
    with pytest.raises(errors.ShapeError, match=r"outputs_info\[0\] reads 3 steps back, but its initial value holds 2, start"
                                                r"[\s\S]*test_scan.py[\s\S]*hint: missing taps"):
        f(np.ones(2), np.ones(2))


@pytest.mark.parametrize("mode", MODES)
def test_a_failing_step_of_independent_ones_is_named(mode):
    """Such loops become vector code, but errors still speak of steps, in the line of the loop."""
    x, k = T.dvector("x"), T.lvector("k")
    picked, _ = symbolic.scan(lambda i: x[i] * 2, k)
    f = symbolic.function([x, k], picked, mode=mode)
    with pytest.raises(IndexError) as info:
        f(np.ones(3), [0, 1, 2, 7, 1])
    text = "\n".join([str(info.value), *getattr(info.value, "__notes__", [])])
    assert "index 7 is out of bounds" in text and "in step 3 of " in text and "lambda i: x[i] * 2" in text
    long, _ = symbolic.scan(lambda e: e * 2, x, n_steps=10)
    text = "^scan: a loop of 10 steps needs as many elements; sequence 0 has 3[^^]*long, _ ="
    with pytest.raises(errors.ShapeError, match=text):
        symbolic.function([x], long, mode=mode)(np.ones(3))


@pytest.mark.parametrize("mode", MODES)
def test_loop_over_structures(mode):
    xs = {"a": T.dmatrix("a"), "b": T.lvector("b")}

    def step(carry, x):
        total, (count,) = carry
        return (total + x["a"], (count + x["b"],)), {"count": count, "none": None}

    (total, (count,)), ys = symbolic.loop(step, (T.zeros((3,)), (T.constant(np.int64(0)),)), xs)
    assert set(ys) == {"count", "none"} and ys["none"] is None
    f = symbolic.function(list(xs.values()), [total, count, ys["count"]], mode=mode)
    a, b, c = f(np.ones((4, 3)), [1, 2, 3, 4])
    np.testing.assert_array_equal(a, [4, 4, 4])
    assert int(b) == 10
    np.testing.assert_array_equal(c, [0, 1, 3, 6])
    x = T.dvector("x")
    last, sums = symbolic.loop(lambda c, e: (c + e, c), T.constant(0.0), x, reverse=True)
    got = symbolic.function([x], [last, sums, T.grad((sums * T.constant([1.0, 10, 100])).sum(), x)], mode=mode)([1, 2, 3])
    assert float(got[0]) == 6
    np.testing.assert_array_equal(got[1], [5, 3, 0])
    np.testing.assert_array_equal(got[2], [0, 1, 11])
    end, _ = symbolic.loop(lambda c, _: (c * 2, None), T.constant(1.0), length=100, until=lambda c: c > 1000)
    assert float(symbolic.function([], end, mode=mode)()) == 1024


@pytest.mark.parametrize("padding", [True, False])
def test_checkpoints_give_the_same_gradients(padding):
    x, w = T.dvector("x"), T.dscalar("w")
    h, _ = symbolic.scan_checkpoints(lambda e, h, w: T.tanh(h * w + e), x, T.constant(0.1), w, save_every_N=3, padding=padding)
    plain, _ = symbolic.scan(lambda e, h, w: T.tanh(h * w + e), x, T.constant(0.1), w)
    f = symbolic.function([x, w], [h, plain[2::3], *T.grad(h.sum(), [x, w]), *T.grad(plain[2::3].sum(), [x, w])])
    a, b, gx, gw, px, pw = f(RNG.normal(size=9), 0.7)
    np.testing.assert_allclose(a, b)
    np.testing.assert_allclose(gx, px)
    np.testing.assert_allclose(gw, pw)
    assert f(RNG.normal(size=7), 0.7)[0].shape == ((3,) if padding else (2,))
    with pytest.raises(ValueError, match="save_every_N"):
        symbolic.scan_checkpoints(lambda e, h: h, x, T.constant(0.1), save_every_N=0)
    with pytest.raises(errors.NotSupported, match="taps"):
        symbolic.scan_checkpoints(lambda e: e, x, None)


def test_extents_that_turn_out_to_be_one_broadcast_inside_the_loop():
    x, b = T.dtensor3("x"), T.dmatrix("b")
    out, _ = symbolic.map(lambda e: e + b, x)
    f = symbolic.function([x, b], [out, T.grad(out.sum(), b)])
    for shape in [(4, 5), (1, 5), (4, 1), (1, 1)]:
        a, c = RNG.normal(size=(3, 4, 5)), RNG.normal(size=shape)
        got, g = f(a, c)
        np.testing.assert_allclose(got, a + c)
        np.testing.assert_allclose(g, np.full(shape, 60 / c.size))


def test_after_an_error_in_a_step_shared_variables_hold_what_they_held():
    total = symbolic.shared(np.zeros(2), "total")
    idx = T.lvector("idx")
    table = T.constant([1.0, 2.0])
    _, updates = symbolic.scan(lambda i: {total: total + table[i]}, idx)
    f = symbolic.function([idx], [], updates=updates)
    f([0, 1])
    with pytest.raises(errors.IndexOutOfBounds, match="out of bounds") as caught:
        f([0, 7])
    assert "test_scan.py" in str(caught.value)
    np.testing.assert_array_equal(total.get_value(), [3, 3])


def test_operands_that_do_not_fit_are_refused_when_called():
    x, y, n = T.dmatrix("x"), T.dmatrix("y"), T.lscalar("n")
    out, _ = symbolic.scan(lambda a, b: a + b, [x, y], n_steps=n)
    f = symbolic.function([x, y, n], out)
    assert f(np.ones((3, 2)), np.ones((4, 2)), 3).shape == (3, 2)
    with pytest.raises(errors.ShapeError, match="loop of 4 steps needs as many elements; sequence 0 has 3"):
        f(np.ones((3, 2)), np.ones((4, 2)), 4)
    with pytest.raises(errors.ShapeError, match="can't take -1 steps"):
        f(np.ones((3, 2)), np.ones((4, 2)), -1)
    with pytest.raises(errors.ShapeError) as caught:
        f(np.ones((3, 2)), np.ones((4, 3)), 2)
    assert "lambda a, b: a + b" in str(caught.value)
    assert f(np.ones((0, 2)), np.ones((0, 2)), 0).shape == (0, 2)
    h = T.dvector("h")
    grows = symbolic.function([x, h], symbolic.scan(lambda row, h: row * h.sum(), x, h)[0])
    with pytest.raises(errors.ShapeError, match="carry 0 has extent 3 along axis 0 before a step and 2 after it"):
        grows(np.ones((4, 2)), np.ones(3))


def test_the_shortest_sequence_counts():
    x, y = T.dvector("x"), T.dvector("y")
    out, _ = symbolic.map(lambda a, b: a * b, [x, y])
    f = symbolic.function([x, y], [out, *T.grad(out.sum(), [x, y])])
    a, b, c = f([1, 2, 3], [4, 5])
    np.testing.assert_array_equal(a, [4, 10])
    np.testing.assert_array_equal(b, [4, 5, 0])
    np.testing.assert_array_equal(c, [1, 2])


def test_a_python_integer_counts_beyond_127():
    n, wide = T.lscalar("n"), T.iscalar("wide")
    count, _ = symbolic.loop(lambda c, _: ({"n": c["n"] + 1, "up": c["up"] * 3}, c["n"]), {"n": 0, "up": 1}, length=n)
    counts, _ = symbolic.scan(lambda c, d: (c + 1, d - 1), outputs_info=[0, dict(initial=5)], n_steps=n)
    stops, _ = symbolic.scan(lambda c: (c + 1, symbolic.until(c >= 199)), outputs_info=0, n_steps=n)
    floats, _ = symbolic.loop(lambda c, _: (c + wide.astype("float32"), None), 0, length=n)
    ints, _ = symbolic.loop(lambda c, _: (c + wide, None), 0, length=n)
    small, _ = symbolic.loop(lambda c, _: (c + 1, None), T.constant(0), length=n)
    assert (floats.dtype, ints.dtype, small.dtype) == ("float32", "int32", "int8"), "another dtype goes first"
    outs = [count["n"], count["up"], *counts, stops, floats, ints]
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        total, up, c, d, s, f, i = symbolic.function([n, wide], outs, mode=mode)(300, 2)
        assert total == 300 and up == np.int64(3**300 % 2**64 - (2**64 if 3**300 % 2**64 >= 2**63 else 0))
        assert c.tolist() == list(range(1, 301)) and d.tolist() == list(range(4, -296, -1)) and s.tolist() == list(range(1, 201))
        assert f == 600 and i == 600
        assert [str(v.dtype) for v in (total, up, c, d, s)] == ["int64"] * 5


def test_errors_name_what_to_change():
    x = T.dmatrix("x")
    with pytest.raises(ValueError, match="neither a sequence nor n_steps"):
        symbolic.scan(lambda h: h, outputs_info=T.constant(0.0))
    with pytest.raises(ValueError, match="n_steps must be 0 or more, got -2"):
        symbolic.scan(lambda h: h, outputs_info=T.constant(0.0), n_steps=-2)
    with pytest.raises(ValueError, match="loop: there is neither a sequence nor length(.|\n)*pass length"):
        symbolic.loop(lambda h, _: (h, None), 0.0, until=lambda h: h > 1)
    with pytest.raises(ValueError, match="loop: length must be 0 or more(.|\n)*pass reverse=True"):
        symbolic.loop(lambda h, _: (h, None), 0.0, length=-2)
    with pytest.raises(errors.DTypeError, match="n_steps must be an integer scalar"):
        symbolic.scan(lambda h: h, outputs_info=T.constant(0.0), n_steps=T.dscalar("n"))
    with pytest.raises(ValueError, match="returns 2 outputs, but outputs_info has 1"):
        symbolic.scan(lambda r, h: (h, h), x, x[0])
    with pytest.raises(ValueError, match=r"has taps \[-1\] but no initial value"):
        symbolic.scan(lambda r, h: h, x, dict(taps=[-1]))
    with pytest.raises(ValueError, match="taps are negative"):
        symbolic.scan(lambda r, h: h, x, dict(initial=x[0], taps=[0]))
    with pytest.raises(errors.ShapeError, match="reads 3 steps back, but its initial value holds 2"):
        symbolic.scan(lambda r, h: h, x, dict(initial=T.constant([1.0, 2.0]), taps=[-3]))
    with pytest.raises(errors.RankError, match="needs 2 values along a first axis"):
        symbolic.scan(lambda r, h: h, x, dict(initial=T.constant(1.0), taps=[-2]))
    with pytest.raises(errors.RankError, match="sequence 0 is a scalar"):
        symbolic.scan(lambda r: r, T.dscalar("s"))
    with pytest.raises(ValueError, match="may have taps"):
        symbolic.scan(lambda r: r, dict(input=x, tap=[1]))
    with pytest.raises(errors.RankError, match="output 0 is .* before a step and .* after it") as caught:
        symbolic.scan(lambda r, h: h + r, x, T.constant(0.0))
    assert "lambda r, h: h + r" in str(caught.value) and "hint" in str(caught.value)
    with pytest.raises(errors.MissingInputError, match="isn't among non_sequences"):
        w = T.dvector("w")
        symbolic.scan(lambda r: r * w, x, strict=True)
    assert symbolic.scan(lambda r, w: r * w, x, non_sequences=[w], strict=True)[0].ndim == 2
    with pytest.raises(errors.ConversionError):
        symbolic.scan(lambda r: "text", x)
    with pytest.raises(errors.RankError, match="condition must be a scalar"):
        symbolic.until(x > 0)
    with pytest.raises(ValueError, match="must return a pair"):
        symbolic.loop(lambda c, r: c, T.constant(0.0), x)
    with pytest.raises(ValueError, match="changes the structure of the carry"):
        symbolic.loop(lambda c, r: ((c, c), None), T.constant(0.0), x)


def test_return_list_and_single_outputs():
    x = T.dvector("x")
    assert isinstance(symbolic.scan(lambda e: e, x, return_list=True)[0], list)
    assert symbolic.scan(lambda e: e, x)[0].type == x.type
    assert len(symbolic.scan(lambda e: [e, e], x)[0]) == 2


def test_what_nobody_reads_is_not_kept():
    x = T.dvector("x")
    (a, _), _ = symbolic.scan(lambda e, h: [h + e, T.exp(e)], x, [T.constant(0.0), None])
    source = symbolic.function([x], a[-1:]).source
    body = source[source.index("static int loop_1"):]
    assert "exp(" not in body.split("symbolic_run")[0]


def test_the_loop_is_readable_and_names_the_users_lines():
    x = T.dvector("x")
    out, _ = symbolic.scan(lambda e, h: T.tanh(h) + e, x, T.constant(0.0), name="smooth")
    source = symbolic.function([x], out).source
    assert "/* scan{smooth}  [" in source
    assert "lambda e, h: T.tanh(h) + e" in source
    assert "for (; t < steps; t++) {" in source


def test_functions_with_loops_are_pickled_copied_and_found_in_the_cache(tmp_path):
    x = T.dvector("x")
    out, _ = symbolic.scan(lambda e, h: h * 0.5 + e, x, T.constant(0.0))
    f = symbolic.function([x], [out, T.grad(out.sum(), x)])
    for g in (pickle.loads(pickle.dumps(f)), f.copy()):
        for a, b in zip(f([1, 2, 3]), g([1, 2, 3]), strict=True):
            np.testing.assert_array_equal(a, b)
    program = """
import logging, symbolic, symbolic.tensor as T
from symbolic.codegen import native
built = []
original = native.build
native.build = lambda *a: built.append(1) or original(*a)
x = T.dvector("x")
out, _ = symbolic.scan(lambda e, h: T.dot(h, h) * 0.5 + e, T.outer(x, x), T.outer(x, x)[0])
f = symbolic.function([x], [out, T.grad(out.sum(), x)])
try:
    symbolic.function([x, T.lvector("i")], symbolic.map(lambda k: x[k], T.lvector("i"))[0], on_unused_input="ignore")
except symbolic.errors.MissingInputError:
    pass
print(len(built), f([1.0, 2.0])[0].sum())
"""
    env = {**os.environ, "SYMBOLIC_CACHE_DIR": str(tmp_path / "cache")}
    first, second = (subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
                     .stdout.split() for _ in range(2))
    assert (first[0], second[0]) == ("1", "0") and first[1] == second[1]


def test_long_loops_take_no_memory_for_each_step():
    n = T.lscalar("n")
    last, _ = symbolic.loop(lambda h, _: (T.tanh(T.dot(h, h)) + T.sum(T.arange(3) * 1.0), None), T.eye(3), length=n)
    f = symbolic.function([n], last)
    f(10)
    program_memory = int(open("/proc/self/statm").read().split()[1])
    f(200_000)
    assert int(open("/proc/self/statm").read().split()[1]) - program_memory < 2000  # pages; a step's values take 600 bytes


def test_many_carries_swap_places():
    a, b = T.dvector("a"), T.dvector("b")
    (x, y), _ = symbolic.scan(lambda p, q: [q, p + q], outputs_info=[a, b], n_steps=5)
    got = symbolic.function([a, b], [x, y])([0.0, 1], [1.0, 1])
    want = [[0.0, 1], [1.0, 1]]
    for _ in range(5):
        want.append([want[-2][i] + want[-1][i] for i in range(2)])
    np.testing.assert_array_equal(got[0], want[1:6])
    np.testing.assert_array_equal(got[1], want[2:7])


def test_integer_carries_have_no_gradient_and_do_not_disturb():
    x = T.dvector("x")
    (h, k), _ = symbolic.scan(lambda e, h, k: [h + e * k, k + 1], x, [T.constant(0.0), T.constant(np.int64(1))])
    np.testing.assert_array_equal(symbolic.function([x], T.grad(h[-1], x))([5.0, 5, 5]), [1, 2, 3])
    assert k.dtype == "int64"


def test_a_deep_chain_of_loops_needs_no_recursion():
    x = T.dvector("x")
    y = x
    for _ in range(60):
        y, _ = symbolic.map(lambda e: e * 1.01, y)
    f = symbolic.function([x], T.grad(y.sum(), x))
    np.testing.assert_allclose(f([1.0, 2.0]), 1.01 ** 60)


def loops_in(f):
    return f.source.count("static int loop_")


def test_the_gradient_runs_the_forward_loop_once():
    x, w = T.dmatrix("x"), T.dmatrix("w")
    h, _ = symbolic.scan(lambda e, h: T.tanh(T.dot(h, w) + e), x, T.zeros((3,)))
    cost = (h ** 2).sum()
    f = symbolic.function([x, w], [cost, *T.grad(cost, [x, w])])
    assert loops_in(f) == 2
    a, b = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3))
    slow = symbolic.function([x, w], [cost, *T.grad(cost, [x, w])], mode="FAST_COMPILE")
    for p, q in zip(f(a, b), slow(a, b), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-10)


def test_loops_of_as_many_steps_are_merged_where_neither_waits():
    x = T.dvector("x")
    a, _ = symbolic.scan(lambda e, t: t + e, x, T.constant(0.0))
    b, _ = symbolic.scan(lambda e, t: t * 2 + e, x, T.constant(0.0))
    c, _ = symbolic.scan(lambda e, t: t + e, a, T.constant(0.0))
    other, _ = symbolic.scan(lambda t: t + 1, outputs_info=T.constant(0.0), n_steps=3)
    f = symbolic.function([x], [a, b, c, other])
    assert loops_in(f) == 3
    got = f([1, 2, 3])
    np.testing.assert_array_equal(got[0], [1, 3, 6])
    np.testing.assert_array_equal(got[1], [1, 4, 11])
    np.testing.assert_array_equal(got[2], [1, 4, 10])
    same, _ = symbolic.scan(lambda e, t, u: [t + e, u + e], x, [T.constant(0.0), T.constant(0.0)])
    twice, _ = symbolic.scan(lambda e, t: t + e, x, T.constant(0.0))
    g = symbolic.function([x], [*same, twice])
    assert loops_in(g) == 1
    assert "c1[" not in g.source  # carries that start and go on alike are one
    for y in g([1, 2, 3]):
        np.testing.assert_array_equal(y, [1, 3, 6])


def products_in_loops(f):
    """How many products stand inside loops, and after them."""
    source = f.source
    start, end = source.index("static int loop_1"), source.index("int symbolic_run(")
    return source[start:end].count("multiply("), source[end:].count("multiply(")


@pytest.mark.parametrize("backwards", [False, True])
def test_products_of_sequences_and_sums_of_products_leave_the_loop(backwards):
    x, w, u = T.dtensor3("x"), T.dmatrix("w"), T.dmatrix("u")
    h, _ = symbolic.scan(lambda e, h: T.tanh(T.dot(e, u) + T.dot(h, w)), x, T.zeros((2, 4)), go_backwards=backwards)
    cost = (h ** 2).sum()
    f = symbolic.function([x, w, u], [cost, *T.grad(cost, [w, u])])
    assert loops_in(f) == 2
    assert products_in_loops(f) == (2, 3)  # h w, and its gradient in h; x u, and the gradients of u and w
    slow = symbolic.function([x, w, u], [cost, *T.grad(cost, [w, u])], mode="FAST_COMPILE")
    for n in (5, 1, 0):
        a, b, c = RNG.normal(size=(n, 2, 3)), RNG.normal(size=(4, 4)), RNG.normal(size=(3, 4))
        for p, q in zip(f(a, b, c), slow(a, b, c), strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)


def test_products_with_vectors_leave_the_loop():
    x, w, u = T.dmatrix("x"), T.dmatrix("w"), T.dmatrix("u")
    for step in (lambda e, h: T.tanh(T.dot(u, e) + T.dot(w, h)), lambda e, h: T.tanh(T.dot(e, u.T) + T.dot(h, w.T))):
        h, _ = symbolic.scan(step, x, T.zeros((4,)))
        cost = (h ** 2).sum()
        f = symbolic.function([x, w, u], [cost, *T.grad(cost, [w, u])])
        assert products_in_loops(f) == (2, 3)
        slow = symbolic.function([x, w, u], [cost, *T.grad(cost, [w, u])], mode="FAST_COMPILE")
        a, b, c = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 4)), RNG.normal(size=(4, 3))
        for p, q in zip(f(a, b, c), slow(a, b, c), strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)


def test_products_stay_where_a_step_may_not_come():
    x, u = T.dtensor3("x"), T.dmatrix("u")
    h, _ = symbolic.scan(lambda e, h: (T.dot(e, u) + h, symbolic.until(h.sum() > 3)), x, T.zeros((2, 4)))
    assert products_in_loops(symbolic.function([x, u], h)) == (1, 0)


def test_memory_of_checkpoints_grows_like_the_root_of_the_steps():
    n, u = T.lscalar("n"), T.dmatrix("u")
    start, w = T.ones((4, 16)), np.random.default_rng(0).normal(size=(16, 16)) / 4

    def step(h, u):
        return T.tanh(T.dot(h, u))

    sizes = []
    for steps in (256, 4096):
        pieces, _ = symbolic.scan_checkpoints(step, None, start, u, n_steps=n, save_every_N=int(steps**0.5))
        whole, _ = symbolic.scan(step, None, start, u, n_steps=n)
        f, g = (symbolic.function([n, u], T.grad((h[-1] ** 2).sum(), u)) for h in (pieces, whole))
        np.testing.assert_allclose(f(steps, w), g(steps, w), rtol=1e-9, atol=1e-15)
        sizes.append((f.scratch_bytes, g.scratch_bytes))
    assert sizes[1][1] > 14 * sizes[0][1]  # 16 times the steps
    assert sizes[1][0] < 6 * sizes[0][0]


def test_a_loop_finds_the_keys_of_its_carry_whatever_their_order():
    a, b = T.dscalars("ab")
    carry, _ = symbolic.loop(lambda c, _: ({"y": {"q": c["x"]}, "x": c["y"]["q"] + 1}, None), {"x": a, "y": {"q": b}}, length=3)
    assert symbolic.function([a, b], [carry["x"], carry["y"]["q"]])(1.0, 2.0) == [4.0, 2.0]


@pytest.mark.parametrize("mode", MODES)
def test_an_error_tells_the_step(mode):
    x, i, rows = T.dvector("x"), T.lvector("i"), T.lmatrix("rows")
    total, _ = symbolic.scan(lambda k, acc: acc + x[k], i, T.constant(0.0))
    nested, _ = symbolic.scan(lambda row: symbolic.scan(lambda k, acc: T.tanh(acc) + x[k], row, T.constant(0.0))[0][-1], rows)
    f = symbolic.function([x, i], total, mode=mode)
    a = np.arange(3.0)
    with pytest.raises(IndexError, match="index 7 is out of bounds") as caught:
        f(a, [0, 1, 7, 2])
    assert "in step 2 of a loop of 4 steps" in caught.value.__notes__
    np.testing.assert_array_equal(f(a, [0, 1, 2]), [0, 1, 3])
    with pytest.raises(IndexError) as caught:
        f(a, [9])
    assert "in step 0 of a loop of 1 steps" in caught.value.__notes__
    g = symbolic.function([x, rows], nested + x[3:].sum(), mode=mode)
    with pytest.raises(IndexError) as caught:
        g(a, [[0, 1], [2, 1], [1, 5]])
    assert caught.value.__notes__[0] == "in step 1 of a loop of 2 steps"
    taps, _ = symbolic.scan(lambda old, new, acc: old + new + acc, dict(input=x, taps=[-3, 0]), T.constant(0.0))
    with pytest.raises(symbolic.errors.ShapeError, match="can't take -1 steps\n?.*") as caught:
        symbolic.function([x], taps, mode=mode)([1.0, 2.0])
    assert "taps span" in str(caught.value) and not getattr(caught.value, "__notes__", None)
