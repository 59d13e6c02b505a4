"""Which compiler is taken, what is said when there is none, what is compiled with it."""
from __future__ import annotations

import ctypes
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.codegen import compiler as c
from symbolic.codegen.build import build, waiting
from symbolic.errors import CompileError

HERE = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(autouse=True)
def fresh(tmp_path):
    with symbolic.config.change_flags(cache_dir=str(tmp_path)):
        yield


def script(path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@HERE
def test_the_first_that_works_is_taken(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    script(folder / "cc", "exit 1")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    found = c.find_compiler()
    assert found is not None and found.command == ("gcc",) and found.kind == "gcc"


def test_nothing_at_all_is_none_with_a_message_that_helps(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(c.importlib.util, "find_spec", lambda name: None)
    assert c.find_compiler() is None
    assert "apt install gcc" in c.no_compiler_message() and "symbolic-graph[compiler]" in c.no_compiler_message()


def test_a_named_compiler_is_taken_or_refused_by_name(tmp_path):
    with symbolic.config.change_flags(cc="no-such-cc"), pytest.raises(CompileError, match="'no-such-cc' isn't an executable"):
        c.find_compiler()
    broken = script(tmp_path / "broken", "exit 1")
    with symbolic.config.change_flags(cc=broken), pytest.raises(CompileError, match=r"broken' doesn't compile.*\n.*SYMBOLIC_CC"):
        c.find_compiler()


@HERE
def test_options_reach_the_compiler_and_its_words_reach_the_user():
    with symbolic.config.change_flags(cc="gcc -fno-inline", cflags="-DEXTRA=1"):
        found = c.find_compiler()
        assert found.command == ("gcc", "-fno-inline") and "-DEXTRA=1" in c.flags(found)
        library, = build(found, ["int extra(void) { return EXTRA; }"], ["extra"])
        assert library.exists()
        with pytest.raises(CompileError, match="(?s)bad.c.*expected.*command: gcc -fno-inline"):
            build(found, ["int f("], ["bad"])
    assert found.identity() != c.find_compiler().identity()


@HERE
def test_a_second_look_runs_no_process(monkeypatch):
    first = c.find_compiler()

    def refuse(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert c.find_compiler() == first


@HERE
def test_a_compiler_that_waits_makes_the_same_library(tmp_path):
    """Fed later, or never; what it leaves behind; where its messages point."""
    found = c.find_compiler()
    if not found.waits:
        pytest.skip("this compiler can't read a text from its standard input")
    sources = ["int f(void) { return 7; }\n", "int g(void) { return 8; }\n"]
    with waiting(found, tmp_path) as first:
        made = build(found, sources, ["one", "two"], first=first)
        assert [ctypes.CDLL(str(made[0])).f(), ctypes.CDLL(str(made[1])).g()] == [7, 8]
        assert {p.name for p in made[0].parent.iterdir()} == {"one.so", "two.so", "waiting.c", "waiting.o", "waiting.log"}
    assert {p.name for p in made[0].parent.iterdir()} == {"one.so", "two.so"}
    with waiting(found, tmp_path) as unused:
        folder = unused.folder
    assert unused.process.returncode is not None and not folder.exists()
    text = "int f(void)\n{\n    return nothing;\n}\n"
    with waiting(found, tmp_path) as first, pytest.raises(CompileError, match=r"(?s)bad\.c:3.*nothing.*source: .*bad\.c") as seen:
        build(found, [text], ["bad"], first=first)
    assert pathlib.Path(str(seen.value).rsplit("source: ", 1)[1]).read_text() == text


@HERE
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_keep_a_compiler_waiting(tmp_path):
    """A child that lives on holds no end of the pipe through which the text comes."""
    found = c.find_compiler()
    if not found.waits:
        pytest.skip("this compiler can't read a text from its standard input")
    with waiting(found, tmp_path) as first:
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        try:
            made = build(found, ["int f(void) { return 7; }\n"], ["one"], first=first)
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
        finally:
            os.kill(child, signal.SIGKILL)
    assert ctypes.CDLL(str(made[0])).f() == 7


@HERE
def test_a_compiler_that_dies_while_it_waits(tmp_path):
    found = c.find_compiler()
    if not found.waits:
        pytest.skip("this compiler can't read a text from its standard input")
    with waiting(found, tmp_path) as first:
        first.process.kill()
        first.process.wait()
        path, = build(found, ["int f(void) { return 7; }\n"], ["one"], first=first)
    assert ctypes.CDLL(str(path)).f() == 7, "another one was started"


@HERE
def test_a_library_without_that_of_c():
    found = c.find_compiler()
    assert c.links(found, "#include <math.h>\n") == ["-lm"] and c.links(found, "#include <string.h>\n") == []
    assert ("-nostdlib" in c.links(found, "int f;")) == found.bare
    with symbolic.config.change_flags(cflags="-fsanitize=address"):
        assert c.links(found, "int f;") == []


@HERE
def test_openmp_can_be_left_out():
    found = c.find_compiler()
    with symbolic.config.change_flags(openmp=False):
        assert "-fopenmp" not in c.flags(found)
        x = T.matrix("x")
        f = symbolic.function([x], [T.exp(x).sum(), T.tanh(x)])
    a = np.random.default_rng(0).normal(size=(300, 400))
    np.testing.assert_allclose(f(a)[0], np.exp(a).sum(), rtol=1e-12)
    assert "omp parallel" not in f.source


@pytest.mark.parametrize("command", ["clang", f"{sys.executable} -m ziglang cc"])
def test_other_compilers(command, tmp_path):
    """Runs where they are installed."""
    program = command.split()
    if shutil.which(program[0]) is None or subprocess.run([*program, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"no {command} here")
    code = ("import numpy as np, symbolic, symbolic.tensor as T\n"
            "x, w = T.dmatrix('x'), symbolic.shared(np.ones((3, 3)))\n"
            "f = symbolic.function([x], [T.tanh(T.dot(x, w)).sum(), T.nnet.softmax(x), x.max(axis=0)], updates=[(w, w * 2)])\n"
            "a = np.arange(12.0).reshape(4, 3) / 10\n"
            "r = f(a)\n"
            "np.testing.assert_allclose(r[0], np.tanh(a @ np.ones((3, 3))).sum())\n"
            "np.testing.assert_allclose(r[1], np.exp(a) / np.exp(a).sum(1, keepdims=True))\n"
            "assert w.get_value()[0, 0] == 2 and 'int symbolic_run(' in f.source\n")
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {
        "SYMBOLIC_CC": command, "SYMBOLIC_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})


@HERE
def test_a_compiler_that_is_killed_gets_another_try(tmp_path):
    """By the kernel, for want of memory: the first time in both ways in which that shows, and every time."""
    count = tmp_path / "count"
    found = c.find_compiler()
    for how in ("kill -9 $$", "echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; exit 1"):
        for times in (1, 9):
            count.write_text("")
            lines = [f"echo x >> {count}", f"[ $(wc -l < {count}) -le {times} ] && {{ {how}; }}", 'exec gcc "$@"']
            killed = script(tmp_path / "killed", "\n".join(lines))
            compiler = dataclasses.replace(found, command=(killed,), waits=False)
            if times == 1:
                path, = build(compiler, ["int one(void) { return 1; }"], ["one"], tmp_path)
                assert ctypes.CDLL(str(path)).one() == 1
            else:
                with pytest.raises(CompileError, match="(?s)failed on one.c.*hint: a signal ended the compiler: .*memory"):
                    build(compiler, ["int one(void) { return 1; }"], ["one"], tmp_path)
            assert len(count.read_text().split()) == 2


@HERE
def test_what_killed_processes_left_is_removed_after_a_day(tmp_path):
    old, young = tmp_path / "build-old", tmp_path / "build-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "left.c").write_text("")
    then = time.time() - 100000
    os.utime(old, (then, then))
    build(c.find_compiler(), ["int one(void) { return 1; }"], ["one"], tmp_path)
    assert not old.exists() and young.exists()


@pytest.mark.skipif(c.find_compiler() is None, reason="no C compiler")
def test_programs_compile_without_warnings(tmp_path):
    """Steps that are handed operands (loops, branches, Python, templates of ops), and the templates themselves."""
    from_dense = symbolic.sparse.csr_from_dense
    x, n, t = T.dmatrix("x"), T.lvector("n"), T.tensor4("t", dtype="float32")
    s, u = from_dense(x), from_dense(x * 2)
    product = symbolic.sparse.true_dot(s, u)
    looped, _ = symbolic.scan(lambda a, b: T.tanh(T.dot(x, b) + a), sequences=x, outputs_info=x[0])
    outputs = {
        "sparse": [(s + u).data, (s * u).data, product.data, s.tocsc().data, symbolic.sparse.dot(s, x[0]),
                   *T.grad(product.data.sum(), [s.data, u.data])],
        "sorts": [T.sort(x, 1), T.argsort(x, 0), T.topk(x, 2), T.cumsum(x, 0), T.repeat(x, n[:x.shape[0]], 0),
                  T.searchsorted(x[0], x)],
        "algebra": [T.slinalg.cholesky(x), T.slinalg.solve(x, x), T.nlinalg.svd(x)[1], T.nlinalg.eigh(x)[0], T.nlinalg.det(x)],
        "images": [T.nnet.conv2d(t, t), T.signal.pool.pool_2d(t, (2, 2), ignore_border=True),
                   T.grad(T.nnet.conv2d(t, t, border_mode="half").sum(), t)],
        "loops": [looped, T.grad(looped.sum(), x), symbolic.ifelse(n[0] > 0, T.exp(x), T.dot(x, x))],
    }
    with symbolic.config.change_flags(cflags="-Werror", cache_dir=str(tmp_path)):
        for made in outputs.values():
            f = symbolic.function([x, n, t], made, on_unused_input="ignore")
            assert "-Werror" in f.program.loaded.manifest["flags"]
