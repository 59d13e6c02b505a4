"""The cache behind ``function``: what is found again, what is compiled anew, what processes do to each other."""
from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import compiled
from symbolic.codegen import native
from symbolic.codegen.cache import Cache
from symbolic.codegen.compiler import find_compiler
from symbolic.errors import CompileError
from symbolic.graph import Op
from symbolic.ops.elementwise import ROWS, row
from symbolic.scalar import IndexLambda, axis, dim, load

#: builds function number argv[1] and checks it against NumPy
WORKER = """
import sys
import numpy as np, symbolic, symbolic.tensor as T
n = int(sys.argv[1])
x, w = T.matrix("x"), symbolic.shared(np.ones((3, 3)), "w")
h = T.tanh(T.dot(x, w)) + n
f = symbolic.function([x], [h, T.exp(x * n).sum(axis=1)], updates=[(w, w + n)], name=f"f{n}")
a = np.arange(6.0).reshape(2, 3) / 10
for k in range(3):
    h, s = f(a)
    np.testing.assert_allclose(h, np.tanh(a @ (np.ones((3, 3)) + k * n)) + n, rtol=1e-12)
    np.testing.assert_allclose(s, np.exp(a * n).sum(axis=1), rtol=1e-12)
print("right")
"""


def run(cache: Path, *args: str, code: str = WORKER) -> subprocess.Popen[str]:
    env = os.environ | {"SYMBOLIC_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen([sys.executable, "-c", code, *args], env=env, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def test_many_processes_share_an_empty_cache_and_some_are_killed(tmp_path):
    rng = random.Random(0)
    waves = [[run(tmp_path, str(n % 5 + 1)) for n in range(8)] for _ in range(2)]
    processes = [p for wave in waves for p in wave]
    victims = rng.sample(processes, 5)
    for p in victims:
        time.sleep(rng.uniform(0.05, 0.7))
        p.send_signal(signal.SIGKILL)
    for p in processes:
        if p in victims:
            p.communicate()
        else:
            assert finished(p) == "right\n"
    cache = Cache(tmp_path)
    assert cache.verify(quarantine=False) == []
    assert finished(run(tmp_path, "1")) == "right\n"
    assert {e.manifest["name"] for e in cache.functions()} <= {f"f{n}" for n in range(1, 6)}
    assert finished(run(tmp_path, code="import symbolic.cli; raise SystemExit(symbolic.cli.main(['verify']))"))


def test_a_second_process_compiles_nothing(tmp_path):
    assert finished(run(tmp_path, "1")) == "right\n"
    entry, = Cache(tmp_path).functions()
    assert finished(run(tmp_path, "1", code="""
import symbolic.codegen.native as native
def refuse(*args): raise AssertionError("compiled again")
native._compile = refuse
""" + WORKER)) == "right\n"
    again, = Cache(tmp_path).functions()
    assert again.hits == entry.hits + 1


@pytest.fixture
def cache(tmp_path):
    with symbolic.config.change_flags(cache_dir=str(tmp_path)):
        yield Cache(tmp_path)


def manifest(f):
    return f.program.loaded.manifest


def test_a_changed_line_compiles_only_its_kernels(cache):
    x = T.matrix("x")
    first = symbolic.function([x], [T.exp(x).sum(axis=0), T.tanh(x)])
    second = symbolic.function([x], [T.exp(x).sum(axis=0), T.sin(x)])
    assert set(manifest(first)["kernels"]) & set(manifest(second)["kernels"])
    made = cache.library_info(manifest(second)["libraries"][-1])["kernels"]
    assert set(made) == set(manifest(second)["kernels"]) - set(manifest(first)["kernels"])
    a = np.random.default_rng(0).normal(size=(3, 4))
    for got, want in zip(second(a), [np.exp(a).sum(0), np.sin(a)], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("damage", ["missing", "truncated", "manifest", "kernel"])
def test_damage_is_compiled_anew(cache, damage):
    x = T.vector("x")
    value = random.Random(damage).random()  # a program of this test alone: a loaded library stays loaded
    f = symbolic.function([x], T.exp(x) * value)
    home = cache.path / "libraries"
    library = home / f"{manifest(f)['libraries'][-1]}.so"
    if damage == "missing":
        library.unlink()
    elif damage == "truncated":
        fresh = library.read_bytes()[:1000]
        library.unlink()
        library.write_bytes(fresh)
    elif damage == "manifest":
        file, = (cache.path / "functions").glob("*.json")
        file.write_text(file.read_text()[:-20])
    else:
        for file in (cache.path / "kernels").iterdir():
            file.write_text("nonsense")
    again = symbolic.function([x], T.exp(x) * value)
    np.testing.assert_allclose(again([1.0]), [np.e * value], rtol=1e-15)
    cache.verify()
    assert cache.verify() == []
    np.testing.assert_allclose(symbolic.function([x], T.exp(x) * value)([1.0]), [np.e * value], rtol=1e-15)


def test_a_large_program_is_compiled_in_parallel_units(cache, monkeypatch):
    monkeypatch.setattr("symbolic.codegen.native.WORTH_A_UNIT", 500)
    monkeypatch.setattr("symbolic.codegen.native.available_cores", lambda: 2)
    x = T.matrix("x")
    outs = [T.exp(x).sum(axis=0), T.tanh(x).sum(axis=1), T.sin(x.T), T.cos(x).max()]
    f = symbolic.function([x], outs)
    assert len(manifest(f)["libraries"]) == 2
    assert all(f.source.count(f"void k_{k}(") == 1 for k in manifest(f)["kernels"])
    a = np.random.default_rng(0).normal(size=(3, 4))
    wanted = [np.exp(a).sum(0), np.tanh(a).sum(1), np.sin(a.T), np.cos(a).max()]
    for got, want in zip(f(a), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)


def test_a_users_op_that_changed_its_meaning_is_not_found_by_its_name(cache):
    def scale(by):
        class Scale(Op):
            name = "scale"

            def infer_type(self, t):
                return (t,)

            def infer_shape(self, t):
                return ((dim(0, 0),),)

            def compute(self, t):
                return IndexLambda(load(0, [axis(0)], t.dtype) * by)

        return Scale()

    x = T.vector("x")
    for by in (2.0, 3.0):
        assert symbolic.function([x], scale(by)(x))([1.0]) == [by]
    try:
        for body in (lambda x: x * 5, lambda x: x * 7):
            ROWS.pop("fresh", None)
            assert symbolic.function([x], row("fresh", body)(x))([1.0]) == [body(1.0)]
    finally:
        ROWS.pop("fresh", None)


def test_errors_of_a_cached_function_name_the_line_of_today(cache):
    def build():
        x, y = T.vector("x"), T.vector("y")
        return x, y, x * y
    x, y, z = build()
    symbolic.function([x, y], z)
    a, b = T.vector("a"), T.vector("b")
    f = symbolic.function([a, b], a * b)  # the line an error must name
    with pytest.raises(ValueError, match=r"a \(float64.* b \(float64.*the line an error must name"):
        f([1.0, 2.0, 3.0], [1.0, 2.0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    tmp_path.chmod(0o500)
    assert finished(run(tmp_path, "1")) == "right\n"


def test_a_cache_others_may_write_to_is_done_without(tmp_path):
    tmp_path.chmod(0o777)
    assert finished(run(tmp_path, "1")) == "right\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), CompileError("the C compiler failed")])
def test_a_full_cache_is_done_without(tmp_path, monkeypatch, error):
    """A compiler whose disk is full may fail without a word; one that fails for another reason is reported."""
    def build(compiler, sources, names, directory=None, first=None):
        if str(directory).startswith(str(tmp_path)):
            raise error
        return real(compiler, sources, names, directory, first)

    real = native.build
    monkeypatch.setattr(native, "build", build)
    x = T.vector("x")
    with symbolic.config.change_flags(cache_dir=str(tmp_path / "cache")):
        if isinstance(error, CompileError):
            with pytest.raises(CompileError):
                symbolic.function([x], x + 12345)
            monkeypatch.setattr(native, "_ROOM", 1 << 62)
        assert symbolic.function([x], x + 12345)([1.0]) == 12346


@pytest.mark.parametrize("threads", [1, 2])
def test_blas_uses_one_thread_while_a_program_multiplies(threads):
    entry = native.entry(find_compiler())
    before = entry.blas_info()["threads"]
    if before is None:
        pytest.skip("BLAS can't be told its threads")
    x = T.dmatrix("x")
    with symbolic.config.change_flags(threads=threads):
        f = symbolic.function([x], T.dot(x, x))
    call = threading.Thread(target=f, args=(np.eye(1200),))
    entry.set_blas_threads(2)
    seen = set()
    try:
        call.start()
        while call.is_alive():  # the product runs without the GIL, for tens of milliseconds at least
            seen.add(entry.blas_info()["threads"])
        assert 1 in seen and entry.blas_info()["threads"] == 2, "and then gets back what it had"
    finally:
        entry.set_blas_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_fork_waits_for_no_thread_of_its_parent():
    """A thread interprets, or compiles a variant, while another one forks."""
    x = T.vector("x")
    f = symbolic.function([x], [x + 1, x + 2], mode="FAST_COMPILE")
    held, done = threading.Event(), threading.Event()

    def hold():
        with compiled._interpreting, compiled._compiling:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os._exit(0 if f([1.0], output_subset=[1]) == [[3.0]] else 1)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("inplace", [True, False])
def test_a_child_of_a_fork_knows_that_a_value_is_half_written(inplace):
    """A thread updates a shared variable, without the GIL, while another one forks."""
    w = symbolic.shared(np.zeros(10**6), "w")
    new = T.sin(w) + T.exp(-w * w)
    f = symbolic.function([], [], updates=[(w, new if inplace else new + w[::-1] - w)])
    assert f.program.loaded.inplace == (inplace,)
    f()
    stopped, codes = threading.Event(), []
    thread = threading.Thread(target=lambda: [f() for _ in iter(stopped.is_set, True)])
    thread.start()
    for _ in range(12):
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            try:
                code = 0 if np.ptp(w.get_value()) == 0 else 2
            except RuntimeError as error:
                code = 1 if "forked while another thread" in str(error) else 3
                try:
                    f()
                    code = 4
                except RuntimeError:
                    w.set_value(np.ones(10**6))
                    f()
                    code = code if np.ptp(w.get_value()) == 0 else 5
            os._exit(code)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stopped.set()
    thread.join()
    assert set(codes) <= ({0, 1} if inplace else {0}), codes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_of_a_fork_computes():
    """OpenMP's threads don't come along with a fork; the child must not wait for them."""
    v, m = T.dvector("v"), T.dmatrix("m")
    f = symbolic.function([v], T.exp(v).sum())
    g = symbolic.function([m], T.dot(m, m).sum())
    a, b = np.ones(10**6), np.ones((400, 400))
    wanted = float(f(a)), float(g(b))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put((float(f(a)), float(g(b)))), daemon=True)
    child.start()
    child.join(60)
    alive = child.is_alive()
    child.kill()
    assert not alive, "the child hangs"
    np.testing.assert_allclose(queue.get(), wanted, rtol=1e-12)


def test_equal_loops_are_one_function_but_fail_at_their_own_lines(cache):
    table, x, y, h = T.matrix("table"), T.lvector("x"), T.lvector("y"), T.vector("h")
    first, _ = symbolic.scan(lambda i, h, table: T.tanh(table[i] + h), x, h, non_sequences=table)
    second, _ = symbolic.scan(lambda k, h, table: T.tanh(table[k] + h), y, h, non_sequences=table)
    f = symbolic.function([table, x, y, h], [first, second])
    assert len(re.findall(r"^static int loop_\d+\(", f.source, re.MULTILINE)) == 1
    rng = np.random.default_rng(0)
    rows, start, (a, b) = rng.normal(size=(5, 3)), rng.normal(size=3), rng.integers(-5, 5, size=(2, 6))
    wanted = []
    for places in (a, b):
        state = start
        for k in places:
            state = np.tanh(rows[k] + state)
            wanted.append(state)
    again = symbolic.function([table, x, y, h], [first, second])  # from the cache
    for g in (f, again):
        np.testing.assert_allclose(np.concatenate(g(rows, a, b, start)), wanted, rtol=1e-13)
        with pytest.raises(IndexError, match=r"table\[i\]"):
            g(rows, [0, 5], [1, 1], start)
        with pytest.raises(IndexError, match=r"table\[k\]"):
            g(rows, [0, 1], [1, -6], start)


@pytest.mark.parametrize("cores", [2, 5])
def test_loops_are_compiled_in_several_units(cache, monkeypatch, cores):
    monkeypatch.setattr("symbolic.codegen.native.WORTH_A_UNIT", 300)
    monkeypatch.setattr("symbolic.codegen.native.available_cores", lambda: cores)
    x, w, n = T.matrix("x"), T.matrix("w"), T.lscalar("n")

    def inner(h, w):
        return symbolic.scan(lambda g, w: T.sin(T.dot(g, w)), outputs_info=h, non_sequences=w, n_steps=2)[0][-1]

    outer, _ = symbolic.scan(lambda h, w: T.cos(inner(h, w)), outputs_info=x, non_sequences=w, n_steps=n)
    other, _ = symbolic.scan(lambda h, w: T.tanh(T.dot(h, w)) * 2, outputs_info=x, non_sequences=w, n_steps=n)
    arm = symbolic.ifelse(T.gt(n, 2), T.exp(outer[-1]), T.sqrt(T.sqr(other[-1])))
    f = symbolic.function([x, w, n], [arm, other])
    found = manifest(f)
    assert 1 < len(found["libraries"]) <= cores
    units = [cache.library_source(sha) for sha in found["libraries"]]
    assert sum(len(re.findall(r"^int loop_\d+_\w+\(", u, re.MULTILINE)) for u in units) >= 3
    assert not any(re.search(r"^int loop_\d+\(", u, re.MULTILINE) for u in units), "names are this program's own"
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(6, 9)), rng.normal(size=(9, 9)) / 3
    for steps in (1, 4):
        h, g, gs = a, a, []
        for _ in range(steps):
            h, g = np.cos(np.sin(np.sin(h @ b) @ b)), np.tanh(g @ b) * 2
            gs.append(g)
        for again in (f, symbolic.function([x, w, n], [arm, other])):
            got = again(a, b, steps)
            np.testing.assert_allclose(got[0], np.exp(h) if steps > 2 else np.abs(g), rtol=1e-12)
            np.testing.assert_allclose(got[1], gs, rtol=1e-12)
