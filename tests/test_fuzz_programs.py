"""The fuzzer itself: it finds what is planted, makes it short, and prints what runs; and some programs of it."""
from __future__ import annotations

import contextlib
import io
import sys

import numpy as np
import pytest

import symbolic.tensor as T
from symbolic.opt import rule, unregister
from symbolic.opt.pattern import x
from symbolic.testing import fuzz


@pytest.mark.parametrize("block", range(4))
def test_programs(block):
    for seed in range(8 * block, 8 * block + 8):
        program = fuzz.random_program(seed)
        assert fuzz.failure(program) is None, program.source()


def test_programs_are_the_same_for_a_seed():
    assert fuzz.random_program(7).source() == fuzz.random_program(7).source()
    assert len({fuzz.random_program(n).source() for n in range(20)}) == 20


def planted() -> fuzz.Program:
    lines = (fuzz.Line("v0", "{0} * 2.0", ("x0",)), fuzz.Line("v1", "T.exp({0}) + {1}", ("v0", "x1")),
             fuzz.Line("v2", "T.tanh({0})", ("v1",)), fuzz.Line("v3", "{0} + {1}", ("v2", "v0")))
    values = {"x0": np.array([0.5, 0.25]), "x1": np.array([1.0, 2.0])}
    return fuzz.Program(values, {"x0": (None,), "x1": (2,)}, lines, ("v3", "v1"))


def test_a_wrong_rule_is_found_and_its_program_made_short():
    program = planted()
    assert fuzz.failure(program) is None
    rule("planted_wrong", T.tanh(x), T.sin(x), doc="tanh(x) -> sin(x), which is wrong")
    try:
        found = fuzz.failure(program)
        assert found is not None and found.startswith("FAST_RUN: v3:")
        short = fuzz.shrunk(program, 30)
        assert [line.source() for line in short.lines if "tanh" in line.text]
        assert len(short.lines) <= 2 and len(short.outputs) == 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(short.source(), {})
        fast, slow = printed.getvalue().splitlines()
        assert fast.removeprefix("FAST_RUN") != slow.removeprefix("FAST_COMPILE")
    finally:
        unregister("planted_wrong")


def test_differences():
    a = np.array([1.0, np.nan, np.inf, 0.0])
    assert fuzz.difference(a, a, [a]) is None
    assert fuzz.difference(a + [1e-15, 0, 0, 0], a, [a]) is None
    assert fuzz.difference(a + [1e-6, 0, 0, 0], a, [a]) == "1.000001 and 1.0 at (0,)"
    assert fuzz.difference(a + [1e-6, 0, 0, 0], a, [a + [1e-6, 0, 0, 0]]) is None  # a disturbance does as much
    assert fuzz.difference(np.array([1.0, 2.0, np.inf, 0.0]), a, [a]) is not None
    assert fuzz.difference(a[:3], a, [a]) == "float64 (3,) and float64 (4,)"
    n = np.array([1, 2])
    assert fuzz.difference(n + 1, n, [n]) == "2 and 1 at (0,)"


def test_command_line(capsys):
    assert fuzz.main(["--seconds", "0.5", "--seed", "3"]) == 0
    assert "0 failed (seeds 3 to" in capsys.readouterr().out


def test_a_program_of_which_its_process_dies_is_a_failure(capsys, monkeypatch):
    real = fuzz.subprocess.run

    def run(command, **options):  # the batch's process, killed at its third program
        at = int(command[command.index("--seed") + 1])
        if at == 3:
            fuzz.Path(command[-1]).write_text("5 0")
            return real([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"], **options)
        return real(command, **options)

    monkeypatch.setattr(fuzz.subprocess, "run", run)
    assert fuzz.main(["--seconds", "1", "--seed", "3"]) == 1
    said = capsys.readouterr().out
    assert "# program 5: its process ended with -11" in said and "1 failed (seeds 3 to" in said


def test_batches_end(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "BATCH", 3)
    assert fuzz.main(["--seconds", "60", "--seed", "7", "--batch", str(tmp_path / "note")]) == 0
    assert (tmp_path / "note").read_text() == "10 0"


def test_nothing_is_held_against_complex_infinities():
    """BLAS, C and NumPy multiply them differently; what is computed of such a product has no meaning of its own."""
    z = T.zvector("z")
    a = np.array([complex(np.inf, 1), 2 + 1j])
    runs = [fuzz.disturbed([T.angle(z * z)], {z: a}, k)[0] for k in range(fuzz.RUNS)]
    want = np.angle(a * a)
    assert fuzz.difference(want + [1, 0], want, runs) is None
    assert fuzz.difference(want + [0, 1], want, runs) is not None


def test_nothing_is_held_against_zeros_that_a_blas_leaves_out():
    """NumPy's product of a column with zero is 0, whatever the column holds; other kernels say that infinity times 0 is nan."""
    x, y = T.fmatrix("x"), T.fvector("y")
    a = np.array([[np.inf], [1.0]], "float32")
    for given, wrong in (([0.0], [np.nan, 1.0]), ([2.0], [np.nan, 2.0])):
        values = {x: a, y: np.array(given, "float32")}
        runs = [fuzz.disturbed([T.dot(x, y)], values, k)[0] for k in range(fuzz.RUNS)]
        with np.errstate(all="ignore"):
            want = np.dot(a, values[y])
        assert fuzz.difference(np.float32([np.nan if given == [0.0] else np.inf, want[1]]), want, runs) is None
        assert fuzz.difference(np.float32(wrong), want, runs) is not None
