"""Functions with device='cuda:emulated': shared variables, updates, copies, loops, branches, errors, recordings."""
from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.codegen.cuda import devices, frame
from symbolic.codegen.cuda.devices import find
from symbolic.codegen.cuda.emulator import EmuArray
from symbolic.codegen.cuda.run import KEPT
from symbolic.tensor.shared_randomstreams import RandomStreams

DEVICE = "cuda:emulated"


@pytest.fixture
def device():
    """The emulated device, left as it was."""
    found = find(DEVICE)
    yield found
    found.order, found.limit = 0, None


def lecture_net(where: str):
    """Return the training step of a two-layer net, and its weights."""
    rng = np.random.default_rng(0)
    x, y = T.fmatrix("x"), T.fmatrix("y")
    weights = [symbolic.shared(rng.normal(size=s).astype("float32"), n) for s, n in (((1000, 100), "w1"), ((100, 10), "w2"))]
    loss = T.sqr(T.dot(T.nnet.relu(T.dot(x, weights[0])), weights[1]) - y).sum()
    updates = [(w, w - np.float32(1e-6) * g) for w, g in zip(weights, T.grad(loss, weights), strict=True)]
    return symbolic.function([x, y], loss, updates=updates, device=where), weights


def test_the_lecture_net_learns_as_on_the_cpu_and_its_weights_stay():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(64, 1000)).astype("float32"), rng.normal(size=(64, 10)).astype("float32")
    (there, own), (here, want) = lecture_net(DEVICE), lecture_net("cpu")
    for k in range(100):
        np.testing.assert_allclose(there(x, y), here(x, y), rtol=1e-5)
        n = there.counts
        assert (n.launches, n.products, n.copies) == (3, 5, 0), n
        assert (n.copies_in, n.bytes_in, n.copies_out, n.bytes_out) == (2, x.nbytes + y.nbytes, 1, 4)
        assert n.graphs == (k >= 2) and n.allocations == (7 if k == 0 else 0)
    print(f"lecture net, a step: {n}")
    for a, b in zip(own, want, strict=True):
        want = b.get_value()
        assert np.abs(a.get_value() - want).max() <= 1e-5 * np.abs(want).max()


def test_values_of_shared_variables_lie_on_the_device():
    w = symbolic.shared(np.arange(6.0).reshape(2, 3), "w", device=DEVICE)
    assert w.container.device == DEVICE and symbolic.shared(1.0).container.device == "cpu"
    x = T.dmatrix("x")
    f = symbolic.function([x], (w * x).sum(), updates=[(w, w + x)])
    assert f.spec.device == DEVICE, "a function runs where its shared variables are"
    assert float(f(np.ones((2, 3)))) == 15
    np.testing.assert_array_equal(w.get_value(), np.arange(6.0).reshape(2, 3) + 1)
    own = w.get_value(borrow=True, return_internal_type=True)
    kept = w.get_value(return_internal_type=True)
    assert isinstance(own, EmuArray) and isinstance(kept, EmuArray) and own.pointer != kept.pointer
    f(np.ones((2, 3)))
    np.testing.assert_array_equal(own.get(), np.arange(6.0).reshape(2, 3) + 2, err_msg="borrowed: the value itself")
    np.testing.assert_array_equal(kept.get(), np.arange(6.0).reshape(2, 3) + 1)
    w.set_value(np.zeros((4, 1)))
    np.testing.assert_array_equal(w.get_value(), np.zeros((4, 1)))
    f(np.ones((4, 1)))
    np.testing.assert_array_equal(w.get_value(), np.ones((4, 1)))
    with pytest.raises(ValueError, match="set_value"):
        w.set_value(np.zeros(3))
    with pytest.raises(errors.DeviceError, match="there is no device 'tpu'"):
        symbolic.shared(1.0, device="tpu")


def test_all_updates_see_the_old_values():
    a, b, n = (symbolic.shared(np.full(3, float(k)), "abn"[k]) for k in range(3))
    f = symbolic.function([], [a, b], updates=[(a, b), (b, a + b), (n, n[::-1] * 2)], device=DEVICE)
    want = [np.zeros(3), np.ones(3), np.full(3, 2.0)]
    for _ in range(7):
        got = f()
        np.testing.assert_array_equal(got, want[:2])
        want = [want[1], want[0] + want[1], want[2] * 2]
    for v, w in zip((a, b, n), want, strict=True):
        np.testing.assert_array_equal(v.get_value(), w)
    a.set_value(np.full(3, 100.0))
    got = f()
    np.testing.assert_array_equal(got, [np.full(3, 100.0), want[1]])
    grow = symbolic.function([], [], updates=[(a, T.concatenate([a, a]))], device=DEVICE)
    grow()
    grow()
    assert a.get_value().shape == (12,)


def test_functions_on_both_devices_see_each_others_updates():
    w, x = symbolic.shared(np.zeros(3), "w"), T.dvector("x")
    here = symbolic.function([x], w.sum(), updates=[(w, w + x)], device="cpu")
    there = symbolic.function([x], w.sum(), updates=[(w, w * 2 + x)], device=DEVICE)
    value = 0.0
    for k in range(8):
        f, value = (here, value + 1) if k % 3 else (there, value * 2 + 1)
        f(np.ones(3))
        np.testing.assert_array_equal(w.get_value(), np.full(3, value))
    v = symbolic.shared(np.zeros(3), "v", device=DEVICE)
    there = symbolic.function([x], v.sum(), updates=[(v, v + x)])
    there(np.ones(3))
    here = symbolic.function([x], v.sum(), updates=[(v, v + 10 * x)], device="cpu")
    assert [float(here(np.ones(3))), float(there(np.ones(3))), float(here(np.ones(3)))] == [3, 33, 36]


def test_arrays_of_the_device_go_in_and_out_without_copies_of_the_hosts():
    x = T.dmatrix("x")
    f = symbolic.function([x], [symbolic.Out(x * 2, borrow=True), x.sum(), (x + 1).transfer("cuda")], device=DEVICE)
    a = np.arange(6.0).reshape(2, 3)
    first = f(a)
    assert isinstance(first[0], EmuArray) and isinstance(first[1], np.ndarray) and isinstance(first[2], EmuArray)
    second = f(first[0])
    assert f.counts.copies_in == 0 and f.counts.copies_out == 1
    np.testing.assert_array_equal(first[0].get(), 2 * a, err_msg="later calls don't write there")
    np.testing.assert_array_equal(second[0].get(), 4 * a)
    np.testing.assert_array_equal(second[2].get(), 2 * a + 1)
    with symbolic.config.change_flags(device_outputs=True):
        assert isinstance(symbolic.function([x], x * 2, device=DEVICE)(a), EmuArray)

    class Exported:  # an array of another library
        def __dlpack__(self, **kwargs):
            return a.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return a.__dlpack_device__()

    np.testing.assert_array_equal(f(Exported())[0].get(), 2 * a)
    with pytest.raises(ValueError, match="input 0, x"):
        f(symbolic.function([x], symbolic.Out(x.sum(0), borrow=True), device=DEVICE)(a))


def test_calls_are_recorded_by_shape_and_as_many_as_are_bounded():
    x, k = T.dmatrix("x"), T.lscalar("k")
    f = symbolic.function([x, k], [T.nnet.softmax(x) * 2, x[k:].sum(0)], device=DEVICE)
    for turn in range(3):
        for n in (1, 3, 5):
            a = np.random.default_rng(n).normal(size=(n, 4))
            soft, part = f(a, 1)
            e = np.exp(a - a.max(1, keepdims=True))
            np.testing.assert_allclose(soft, 2 * e / e.sum(1, keepdims=True))
            np.testing.assert_allclose(part, a[1:].sum(0), atol=1e-12)
            assert f.counts.graphs == (turn == 2) and (turn == 0 or f.counts.allocations == 0)
    for n in range(2, 30):
        f(np.ones((n, 4)), n % 3)
    assert len(f.program.recordings) == KEPT
    held = f.memory().arena
    f.free()
    assert held > 0 and f.memory().arena == 0
    np.testing.assert_array_equal(f(np.ones((2, 4)), 0)[1], np.full(4, 2))


def test_extents_that_turn_out_to_be_one_broadcast():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    f = symbolic.function([x, y], [x * y, T.grad((x * y).sum(), y)], device=DEVICE)
    a, b = np.ones((3, 4)), np.arange(4.0).reshape(1, 4)
    for _ in range(3):
        got = f(a, b)
        np.testing.assert_array_equal(got[0], a * b)
        np.testing.assert_array_equal(got[1], np.full((1, 4), 3.0))
        np.testing.assert_array_equal(f(a, a)[0], a)
    with pytest.raises(errors.ShapeError, match=r"extents 4 and 3 on axis -1 don't broadcast.*test_cuda_functions.py"):
        f(a, np.ones((3, 3)))


def test_a_wrong_index_is_an_error_at_the_users_line_and_changes_nothing():
    table, rows = symbolic.shared(np.arange(12.0).reshape(4, 3), "table"), T.lvector("rows")
    picked = table[rows]
    f = symbolic.function([rows], picked.sum(), updates=[(table, T.inc_subtensor(table[rows], 1.0))], device=DEVICE)
    before = table.get_value()
    for _ in range(3):
        for wrong in ([0, 4], [-5, 1]):
            with pytest.raises(IndexError, match=rf"index {wrong[0] if wrong[0] < 0 else wrong[1]} is out of bounds.*"
                                                 r"test_cuda_functions.py"):
                f(wrong)
            np.testing.assert_array_equal(table.get_value(), before)
        assert float(f([1, 1])) == 2 * before[1].sum()
        before[1] += 2
        np.testing.assert_array_equal(table.get_value(), before)


def test_without_memory_shared_variables_keep_their_values(device):
    w, x = symbolic.shared(np.zeros(1000), "w", device=DEVICE), T.dmatrix("x")
    f = symbolic.function([x], [T.exp(T.dot(x, x)).sum(0)], updates=[(w, w + x.sum())])
    f(np.zeros((2, 2)))
    device.limit = sum(device.live.values()) + 5000
    with pytest.raises(MemoryError, match="out of memory"):
        f(np.ones((200, 200)))
    np.testing.assert_array_equal(w.get_value(), np.zeros(1000))
    device.limit = None
    f(np.ones((2, 2)))
    np.testing.assert_array_equal(w.get_value(), np.full(1000, 4.0))


def test_a_kernel_that_fails_names_the_users_line(monkeypatch):
    x = T.dvector("x")
    f = symbolic.function([x], T.exp(x) * 3, device=DEVICE)
    f(np.ones(4))
    name, kernel = f.steps()[0].kernels[0]
    functions = f.program.functions(False)
    monkeypatch.setattr(functions[name], "_launch", lambda *args: 1)
    monkeypatch.setattr(functions[name], "_message", lambda: b"illegal access to memory")
    with pytest.raises(errors.DeviceError, match=rf"{name}: illegal access to memory\nwhile computing .*T.exp\(x\) \* 3"):
        f(np.ones(4))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_row_kernels_and_reductions_in_every_order_of_threads(order, device):
    device.order = order
    x = T.dmatrix("x")
    outs = [T.nnet.softmax(x), x.sum(0), x.sum(1), x.sum(), x.max(), x.argmax(1), x.argmin(0), x.var(1), x.prod(0),
            T.all(x > 0, 1), x.min(0), T.nnet.logsoftmax(x)]
    f = symbolic.function([x], outs, device=DEVICE)
    for shape in [(3, 5), (700, 3), (2, 900), (40, 300), (1, 1), (5, 0)]:
        a = np.random.default_rng(2).normal(size=shape)
        if 0 in shape:
            g = symbolic.function([x], [x.sum(1), x.sum(0), x.sum(), x.prod(1)], device=DEVICE)
            for got, want in zip(g(a), (a.sum(1), a.sum(0), a.sum(), a.prod(1)), strict=True):
                np.testing.assert_array_equal(got, want)
            continue
        e = np.exp(a - a.max(1, keepdims=True))
        soft = e / e.sum(1, keepdims=True)
        want = [soft, a.sum(0), a.sum(1), a.sum(), a.max(), a.argmax(1), a.argmin(0), a.var(1), a.prod(0), (a > 0).all(1),
                a.min(0), np.log(soft)]
        for k, (g, w) in enumerate(zip(f(a), want, strict=True)):
            np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12, err_msg=str(k))


def test_large_reductions_are_done_in_parts():
    x = T.fmatrix("x")
    f = symbolic.function([x], [x.sum(), x.sum(0), x.max(1)], device=DEVICE)
    a = np.random.default_rng(0).normal(size=(3, 70_000)).astype("float32")
    for b in (a, a.T.copy()):
        for got, want in zip(f(b), (b.sum(dtype="float64"), b.sum(0, dtype="float64"), b.max(1)), strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-4)
    assert f.counts.launches > 3


def test_sums_into_chosen_elements_with_and_without_a_fixed_order(device):
    x, k = T.dmatrix("x"), T.lvector("k")

    def build():
        return symbolic.function([x, k], [T.inc_subtensor(T.zeros((5, 3))[k], x), T.set_subtensor(T.zeros((5, 3))[k], x),
                                          T.inc_subtensor(T.zeros((5,), "int8")[k], T.cast(x[:, 0], "int8"))], device=DEVICE)

    a, at = np.random.default_rng(0).normal(size=(40, 3)) * 10, np.random.default_rng(1).integers(0, 5, 40)
    want, last, small = np.zeros((5, 3)), np.zeros((5, 3)), np.zeros(5, "int8")
    np.add.at(want, at, a)
    np.add.at(small, at, a[:, 0].astype("int8"))
    last[at] = a
    for flag, exact in (("default", False), ("more", True)):
        with symbolic.config.change_flags(deterministic=flag):
            f = build()
        assert ("sym_atomic_add" in f.source) != exact
        for order in (0, 1, 5):
            device.order = order
            added, placed, bytes = f(a, at)
            np.testing.assert_array_equal(placed, last)
            np.testing.assert_array_equal(bytes, small)
            (np.testing.assert_array_equal if exact else np.testing.assert_allclose)(added, want)


def test_loops_branches_and_random_numbers_are_those_of_the_cpu():
    x, c, n = T.dmatrix("x"), T.dscalar("c"), T.lscalar("n")
    w = np.random.default_rng(0).normal(size=(3, 3)) / 2
    states, _ = symbolic.scan(lambda row, h: T.tanh(T.dot(h, w) + row), x, T.zeros((3,)))
    powers, _ = symbolic.scan(lambda p: (p * 2, symbolic.until(p * 2 > c)), outputs_info=T.constant(1.0), n_steps=n)
    chosen = symbolic.ifelse(T.gt(c, 5), x.sum(0), x[0] * 2)
    stream = RandomStreams(5)
    outs = [states, states[-1], T.grad(states.sum(), x), powers, chosen, T.grad(chosen.sum(), x), stream.normal((4, 3)),
            stream.uniform((7,))]
    funcs = [symbolic.function([x, c, n], outs, device=d, no_default_updates=True) for d in ("cpu", DEVICE)]
    for rows, limit in ((4, 10.0), (1, 3.0), (4, 10.0)):
        a = np.random.default_rng(rows).normal(size=(rows, 3))
        for here, there in zip(*(f(a, limit, 20) for f in funcs), strict=True):
            np.testing.assert_allclose(there, here, rtol=1e-12, atol=1e-14)


def test_streams_of_random_numbers_go_on_from_call_to_call():
    draws = []
    for where in ("cpu", DEVICE):
        stream = RandomStreams(7)
        f = symbolic.function([], [stream.normal((3, 2)), stream.binomial((5,))], device=where)
        draws.append([f() for _ in range(3)])
    for here, there in zip(*draws, strict=True):
        for a, b in zip(here, there, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_what_has_no_kernel_runs_on_the_host_and_is_said():
    @symbolic.as_op([T.dvector], [T.dvector])
    def backwards(v):
        return v[::-1].copy()

    x, m = T.dvector("x"), T.dmatrix("m")
    f = symbolic.function([x, m], [T.exp(backwards(x * 2)), T.sort(x), symbolic.tensor.nlinalg.matrix_inverse(m)], device=DEVICE)
    a, b = np.array([3.0, 1, 2]), np.array([[2.0, 0], [0, 4]])
    for _ in range(2):
        one, two, three = f(a, b)
        np.testing.assert_allclose(one, np.exp(2 * a[::-1]))
        np.testing.assert_array_equal(two, np.sort(a))
        np.testing.assert_allclose(three, np.linalg.inv(b))
        assert f.counts.host_steps == 3 and f.counts.graphs == 0
    text = symbolic.explain(f)
    assert f"runs on {DEVICE}" in text and "matrix_inverse: computed on the host" in text
    with pytest.raises(np.linalg.LinAlgError, match=r"matrix_inverse: the matrix is singular, m .*test_cuda_functions.py"):
        f(a, np.zeros((2, 2)))


def test_check_mode_copies_pickles_and_profiles():
    w, x = symbolic.shared(np.ones(3), "w"), T.dvector("x")
    f = symbolic.function([x], [T.exp(x) * w], updates=[(w, w + x)], mode="CHECK", device=DEVICE)
    np.testing.assert_allclose(f([0.0, 1, 2])[0], np.exp([0, 1, 2]))
    g = symbolic.function([x], [T.exp(x) * w], updates=[(w, w + x)], device=DEVICE, profile=True)
    other = pickle.loads(pickle.dumps(g))
    again = copy.copy(g)
    for h in (g, again):
        h([1.0, 1, 1])
    assert other.spec.device == DEVICE and float(other([0.0, 0, 0])[0][1]) == 2.0
    np.testing.assert_array_equal(w.get_value(), [3, 4, 5])
    rows = g.profile().rows
    assert [r.kind for r in rows] == ["kernel"] and rows[0].calls == 1 and rows[0].bytes > 0 and "exp" in rows[0].what
    assert "on cuda:emulated" in str(g.profile())


def test_errors_before_anything_runs():
    x = T.dvector("x")
    with pytest.raises(errors.DeviceError, match=r"function: function\(device=\): expected 'cpu', 'cuda'.*got 'gpu:one'"):
        symbolic.function([x], x, device="gpu:one")
    with pytest.raises(errors.DeviceError, match="transfer: expected 'cpu'"):
        x.transfer("moon")
    here = symbolic.function([x], (x * 2).transfer("cuda:emulated"), device="cpu")
    np.testing.assert_array_equal(here([1.0]), [2.0])
    assert float(symbolic.function([x], T.grad(x.transfer("cuda").sum(), x).sum(), device="cpu")([1.0, 2.0])) == 2


def test_nothing_of_it_is_loaded_by_who_uses_no_gpu():
    code = ("import sys, symbolic, symbolic.tensor as T; x = T.dvector('x'); symbolic.function([x], x + 1)([1.0]); "
            "print([m for m in sys.modules if 'cupy' in m or 'codegen.cuda' in m])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_default_device_that_is_not_there_is_a_warning_as_in_theano(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(devices, "_devices", {})
    x = T.dvector("x")
    with symbolic.config.change_flags(device="cuda7"):
        with pytest.warns(UserWarning, match=r"config.device is 'cuda7', but functions run on the CPU: device='cuda' needs CuPy"):
            f = symbolic.function([x], x + 1)
        assert f.spec.device == "cpu" and f([1.0]) == [2.0]
        with pytest.raises(errors.DeviceError, match="needs CuPy"):
            symbolic.function([x], x + 1, device="cuda7")
        symbolic.config.force_device = True
        try:
            with pytest.raises(errors.DeviceError, match="needs CuPy"):
                symbolic.function([x], x + 1)
        finally:
            symbolic.config.force_device = False


def test_kernels_for_arrays_beyond_32_bits_give_the_same(monkeypatch):
    monkeypatch.setattr(frame, "WIDE", 1)
    x, k = T.dtensor3("x"), T.lvector("k")
    f = symbolic.function([x, k], [T.exp(x) + x[0, 0, 0], x.sum((0, 2)), T.nnet.softmax(x[0]), x[:, k], x.transpose(2, 0, 1) * 2],
                          device=DEVICE)
    a, at = np.random.default_rng(0).normal(size=(3, 4, 5)), np.array([2, 0, 2])
    e = np.exp(a[0])
    want = [np.exp(a) + a[0, 0, 0], a.sum((0, 2)), e / e.sum(1, keepdims=True), a[:, at], a.transpose(2, 0, 1) * 2]
    for got, w in zip(f(a, at), want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-12)
    assert list(f.program._functions) == [False, True]
