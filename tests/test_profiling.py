"""f.memory(), f.free(), f.profile(), symbolic.profile(): what they tell, and that programs hold nothing of it otherwise."""
from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.opt.driver import Driver, collecting


def network(profile=None, **options):
    x, w = T.fmatrix("x"), symbolic.shared(np.ones((64, 32), "float32"), "w")
    h = T.dot(x, w)  # the line of the product
    y = T.tanh(h).sum(axis=1)
    step = symbolic.scan(lambda e, c: c + e, sequences=[y], outputs_info=[T.constant(np.float32(0))])[0]
    return symbolic.function([x], [y, step[-1], T.sort(y)], updates=[(w, w * np.float32(0.5))], profile=profile, **options), w


def test_a_profile_counts_calls_bytes_and_operations_of_every_step():
    f, _ = network(True)
    plain, _ = network()
    x = np.linspace(-1, 1, 20 * 64).reshape(20, 64).astype("float32")
    for _ in range(3):
        for got, want in zip(f(x), plain(x), strict=True):
            np.testing.assert_array_equal(got, want)
    profile = f.profile()
    rows = {r.kind: r for r in profile.rows}
    assert {"gemm", "kernel", "template"} <= set(rows)
    assert all(r.calls == 3 and r.seconds > 0 and r.bytes > 0 for r in profile.rows)
    gemm = rows["gemm"]
    assert gemm.operations == 3 * 2 * 20 * 64 * 32
    assert gemm.bytes == 3 * 4 * (20 * 64 + 64 * 32 + 20 * 32)
    assert "h = T.dot(x, w)  # the line of the product" in gemm.line
    assert gemm.rate == pytest.approx(gemm.operations / gemm.seconds / 1e9)
    assert gemm.bandwidth == pytest.approx(gemm.bytes / gemm.seconds / 1e9)
    tanh = next(r for r in profile.rows if r.kind == "kernel" and r.operations == 3 * 20 * 32 * 2)  # tanh and its sum
    assert tanh.bytes == 3 * 4 * (20 * 32 + 20) and tanh.kernel in f.source
    assert [name for name, _ in profile.stages][:3] == ["rewrite", "capture", "infer"]
    assert all(ms >= 0 for _, ms in profile.stages) and profile.rules
    text = str(profile)
    assert "GFLOP/s" in text and "peak measured here" in text and "rewrite rules" in text


def test_a_trace_can_be_read_by_chrome(tmp_path):
    f, _ = network(True)
    f(np.ones((5, 64), "float32"))
    f.profile().trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    lanes = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert set(lanes.values()) == {"compilation", "rewrite rules", f"{f.name}: mean call"}
    assert len([e for e in spans if lanes[e["tid"]].endswith("mean call")]) == len(f.profile().rows)
    for lane in lanes:  # one after the other
        own = [e for e in spans if e["tid"] == lane]
        assert all(a["ts"] + a["dur"] <= b["ts"] + 1e-6 for a, b in zip(own, own[1:], strict=False))


def test_programs_hold_no_clock_unless_they_are_profiled():
    f, _ = network()
    assert "symbolic_now" not in f.source and "clock" not in f.source
    with pytest.raises(ValueError, match=r"doesn't time its steps\nhint: make it with function\(..., profile=True\)"):
        f.profile()
    with pytest.raises(ValueError, match="no times of an interpreted function"):
        network(True, mode="FAST_COMPILE")[0].profile()
    assert "symbolic_now" in network(True)[0].source
    again, _ = network()
    assert "symbolic_now" not in again.source


def test_equal_functions_have_counters_of_their_own_and_copies_begin_at_zero():
    x = T.vector("x")
    f, g = (symbolic.function([x], T.exp(x) * 2, profile=True) for _ in range(2))
    for _ in range(5):
        f([1.0])
    copied, pickled, plain = f.copy(), pickle.loads(pickle.dumps(f)), f.copy(profile=False)
    assert [k.profile().rows[0].calls for k in (f, g, copied, pickled)] == [5, 0, 0, 0]
    copied([1.0])
    assert [k.profile().rows[0].calls for k in (f, copied)] == [5, 1]
    with pytest.raises(ValueError):
        plain.profile()


def test_calls_from_several_threads_are_all_counted():
    x = T.vector("x")
    f = symbolic.function([x], T.exp(x).sum(), profile=True)
    value = np.zeros(30_000)
    threads = [threading.Thread(target=lambda: [f(value) for _ in range(50)]) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.calls for r in f.profile().rows] == [200] * len(f.profile().rows)


def test_a_session_profiles_what_is_compiled_in_its_block():
    x = T.vector("x")
    before = symbolic.function([x], x + 1)
    with symbolic.profile() as session:
        f = symbolic.function([x], x + 2, name="inside")
        interpreted = symbolic.function([x], x + 2, mode="FAST_COMPILE")
    after = symbolic.function([x], x + 2)
    assert session.functions == [f]
    assert f([1.0]) == interpreted([1.0]) == after([1.0]) == before([2.0]) == 3
    assert session.profiles[0].rows[0].calls == 1 and "inside" in str(session)


def test_programs_without_steps_and_with_empty_arrays_can_be_profiled():
    x = T.vector("x")
    f = symbolic.function([x], x, profile=True)
    assert f([2.0]) == 2
    assert f.profile().rows == [] and "0 calls" in str(f.profile())
    g = symbolic.function([x], T.exp(x) + x[::-1], profile=True)
    g(np.zeros(0))
    assert [(r.calls, r.bytes, r.operations) for r in g.profile().rows] == [(1, 0, 0)]
    a = T.zmatrix("a")
    h = symbolic.function([a], T.dot(a, a), profile=True)
    h(np.ones((3, 3), complex))
    assert [r.operations for r in h.profile().rows if r.kind == "gemm"] == [8 * 27]


def test_statistics_are_collected_from_drivers_that_end_in_the_block():
    x = T.vector("x")
    with collecting() as outer:
        with collecting() as inner:
            Driver(symbolic.opt.rules.rules_for(symbolic.Mode(), "captured"), [x])([x * 1 + 0])
        assert len(inner) == 1 and not outer
    assert inner[0].nodes > 0


def test_memory_is_what_the_latest_call_used():
    x, w = T.vector("x"), symbolic.shared(np.zeros(1000))
    c = np.arange(500.0)
    y = T.exp(x) + c[0]
    f = symbolic.function([x], [T.sort(T.sort(y) + y.sum())[::-1].sum(), T.constant(c)[T.arange(500)] * 2],
                          updates=[(w, w[::-1] + 1)])
    before = f.memory()
    assert (before.arena, before.shared) == (0, 8000) and before.constants >= 4000
    f(np.ones(3000))
    f(np.ones(3000))
    used = f.memory()
    assert 3000 * 8 <= used.arena < 20 * 3000 * 8
    assert used.workspace == 8000, "the update reads its old value backwards, so it needs another array"
    assert used.peak == used.arena + used.shared + used.constants + used.workspace
    f(np.ones(30))
    assert f.memory().arena < used.arena
    f.free()
    assert f.memory().workspace == 0
    f(np.ones(3))
    np.testing.assert_array_equal(w.get_value(), np.full(1000, 4.0))
    interpreted = symbolic.function([x], x.sum() + w.sum(), mode="FAST_COMPILE")
    assert interpreted.memory().peak == 8000
    interpreted.free()


def test_free_forgets_functions_for_broadcasting_extents():
    x, y = T.vector("x"), T.vector("y")
    f = symbolic.function([x, y], [x + y, x - y])
    for _ in range(2):
        np.testing.assert_array_equal(f([1.0, 2.0], [1.0])[0], [2.0, 3.0])
        np.testing.assert_array_equal(f([1.0, 2.0], [1.0, 1.0], output_subset=[1])[0], [0.0, 1.0])
        assert f.variants and f.parts
        f.free()
        assert not f.variants and not f.parts


def test_theanos_profile_objects(tmp_path, capsys):
    x = T.dvector("x")
    plain, timed = symbolic.function([x], x + 1), symbolic.function([x], T.exp(x), profile=True, name="timed")
    assert not plain.profile and timed.profile
    timed([1.0]), timed([2.0])
    assert timed.profile.fct_callcount == 2 and timed.profile.fct_call_time > 0 and timed.profile.compile_time >= 0
    with open(tmp_path / "summary", "w") as file:
        timed.profile.summary(file)
    timed.profile.print_summary()
    shown = capsys.readouterr().err
    assert shown.startswith("timed: ") and "exp" in shown and (tmp_path / "summary").read_text() == shown
    stats = symbolic.profiling.ProfileStats(atexit_print=False)
    both = [symbolic.function([x], y, profile=stats) for y in (x * 2, x.sum())]
    assert stats and [f([1.0]) is not None for f in both] == [True, True] and stats.fct_callcount == 2
    with pytest.raises(ValueError, match="profiles of 2 functions"):
        stats()


def test_profiles_are_printed_at_the_end_where_the_setting_says_so(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import theano, theano.tensor as T\nfrom theano.compile.profiling import ProfileStats\n"
                       "x = T.dvector('x')\nf = theano.function([x], T.tanh(x), name='mine')\nprint(f([0.5]).shape)\n"
                       "g = theano.function([x], x, profile=False)\n"
                       "assert isinstance(f.profile, ProfileStats) and not g.profile\n")
    done = subprocess.run([sys.executable, "-m", "symbolic.theano", str(program)], capture_output=True, text=True,
                          env={**os.environ, "THEANO_FLAGS": "profile=True"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1,)" and "mine: " in done.stderr and "1 calls" in done.stderr and "tanh" in done.stderr
