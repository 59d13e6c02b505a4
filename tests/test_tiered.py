"""config.tiered: interpreted at once, native when that is compiled, and nothing is lost in between."""
from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import tiered
from symbolic.config import config
from symbolic.errors import CompileError


@pytest.fixture
def gate(monkeypatch):
    """Hold the compiler back until the event is set."""
    opened = threading.Event()
    compile_ = tiered.native_function

    def later(spec, compiler):
        assert opened.wait(60)
        return compile_(spec, compiler)

    monkeypatch.setattr(tiered, "native_function", later)
    with config.change_flags(tiered=True):
        yield opened
    opened.set()


def test_a_function_computes_the_same_before_and_after_it_is_native(gate):
    x, w = T.matrix("x"), symbolic.shared(np.ones(3), "w")
    f = symbolic.function([x, symbolic.In(T.scalar("s"), value=2.0)], {"y": T.nnet.softmax(x * w), "total": x.sum()},
                          updates=[(w, w * 2)], on_unused_input="ignore")
    a = np.arange(6.0).reshape(2, 3)
    assert f.native is None and f.source == "" and f.source_path is None and not f.wait(0.01)
    assert f.memory().arena == 0 and f.maker.fgraph.toposort()
    before, subset = f(a), f(a, output_subset=["total"])
    with pytest.raises(ValueError, match="no times of an interpreted function"):
        f.profile()
    f["s"] = 5.0
    gate.set()
    assert f.wait(60)
    w.set_value(np.ones(3))
    after = f(x=a)
    for key in before:
        np.testing.assert_allclose(after[key], before[key], rtol=1e-14)
    assert f(a, output_subset=["total"]) == subset
    np.testing.assert_array_equal(w.get_value(), np.full(3, 4.0))
    assert "symbolic_run" in f.source and f["s"] == 5.0 and f.maker.fgraph.toposort()
    f.free()
    assert f.memory().shared == 24


def test_no_update_is_lost_while_functions_become_native():
    w = symbolic.shared(np.zeros(4, "int64"), "w")
    with config.change_flags(tiered=True):
        f = symbolic.function([], w + 1, updates=[(w, w + 1)])
    seen: list[int] = []
    counts = [0] * 4

    def work(n):
        while not f.wait(0) or counts[n] < 200:
            seen.append(int(f()[0]))
            counts[n] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert f.native is not None
    np.testing.assert_array_equal(w.get_value(), np.full(4, sum(counts)))
    assert sorted(seen) == list(range(1, sum(counts) + 1)), "every call saw the value that the one before it left"


def test_the_change_waits_for_a_call_that_is_being_interpreted():
    inside, go = threading.Event(), threading.Event()

    @symbolic.as_op(itypes=[T.dscalar], otypes=[T.dscalar], infer_shape=lambda node, shapes: shapes)
    def slow(v):
        inside.set()
        assert go.wait(60)
        return v + 1

    w = symbolic.shared(1.0, "w")
    with config.change_flags(tiered=True):
        f = symbolic.function([], w, updates=[(w, slow(w))])
    caller = threading.Thread(target=f)
    caller.start()
    assert inside.wait(60)
    was_interpreted = f.native is None  # else the compiler was faster than the thread's first call
    time.sleep(0.3)
    assert not was_interpreted or not f.wait(0), "a call that began in the interpreter isn't overtaken"
    go.set()
    caller.join()
    assert f.wait(60)
    f()
    assert w.get_value() == 3.0


def test_an_error_in_the_background_is_told_once_and_the_interpreter_stays(monkeypatch):
    def fails(spec, compiler):
        raise CompileError("the C compiler failed on a.c")

    monkeypatch.setattr(tiered, "native_function", fails)
    x = T.vector("x")
    with config.change_flags(tiered=True):
        f = symbolic.function([x], x + 1, name="f")
    assert not f.wait(60) and isinstance(f.error, CompileError)
    with pytest.warns(UserWarning, match="f: it stays in the interpreter, for it couldn't be compiled: the C compiler failed"):
        assert f([1.0]) == 2
    assert f([2.0]) == 3  # warnings are errors in these tests


def test_what_is_wrong_with_a_function_is_told_at_once(gate):
    x = T.vector("x")
    with pytest.raises(symbolic.errors.MissingInputError):
        symbolic.function([], x + 1)
    f = symbolic.function([x], x[3])
    with pytest.raises(IndexError):
        f([1.0])
    gate.set()
    assert f.wait(60)
    with pytest.raises(IndexError):
        f([1.0])


def test_settings_of_who_asked_hold_in_the_background():
    x = T.vector("x")
    with config.change_flags(tiered=True, cflags="-DTIERED"):
        f = symbolic.function([x], x * 3 + 4)
    assert f.wait(60) and "-DTIERED" in f.native.program.loaded.manifest["flags"]


def test_copies_and_pickles_become_native_as_well(gate):
    x, w = T.vector("x"), symbolic.shared(np.ones(2), "w")
    f = symbolic.function([x], x + w, updates=[(w, w + 1)])
    made = [f.copy(), copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))]
    assert all(isinstance(g, tiered.TieredFunction) for g in made)
    for g in made:
        np.testing.assert_array_equal(g([0.0, 0.0]).shape, (2,))
    gate.set()
    assert all(g.wait(60) for g in made)
    np.testing.assert_array_equal(made[-1]([0.0, 0.0]), [2, 2])
    with config.change_flags(tiered=False):
        assert not isinstance(pickle.loads(pickle.dumps(f)), tiered.TieredFunction)


EXITS = """
import numpy as np, symbolic, symbolic.tensor as T
x = T.vector("x")
y = x
for k in range(40):
    y = T.tanh(y * k) + y[::-1]
f = symbolic.function([x], y.sum())
print(float(f([0.0])) == 0.0, flush=True)
"""


def test_an_interpreter_can_end_while_a_function_is_compiled(tmp_path):
    environment = os.environ | {"SYMBOLIC_TIERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", EXITS], env=environment, text=True, capture_output=True, timeout=120,
                          check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_fork_can_call_and_compile(gate):
    x = T.vector("x")
    f = symbolic.function([x], x + 1)
    child = os.fork()
    if child == 0:
        tiered.native_function = lambda spec, compiler: None
        g = symbolic.function([x], x + 2)
        g._done.wait(20)
        os._exit(0 if f([1.0]) == 2 and g._done.is_set() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
