"""``symbolic doctor``: what it finds, what it says to do, and that it survives what is broken."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import symbolic
from symbolic import doctor
from symbolic.codegen.cuda import devices
from symbolic.codegen.cuda.emulator import EmuDevice
from symbolic.doctor import BAD, FAIR, GOOD, Finding, examine, report

ROOT = Path(__file__).parent.parent


def found(check):
    return {f.topic: f for f in check()}


def test_the_command(tmp_path):
    done = subprocess.run([sys.executable, "-m", "symbolic", "doctor"], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT), "SYMBOLIC_MOOD": "good", "SYMBOLIC_MODE": "FAST_COMPILE"})
    for text in ("Python:", "compiler:", "threads:", "cache:", "trial:", "GPU:", "SYMBOLIC_MODE=FAST_COMPILE", "What to do:",
                 "SYMBOLIC_MOOD: there are no such settings", "runs in the interpreter"):
        assert text in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    assert doctor.main(["doctor"]) == int(any(f.sign == BAD for f in examine()))
    with pytest.raises(SystemExit):
        doctor.main([])


def test_a_machine_without_a_compiler(monkeypatch):
    monkeypatch.setattr(doctor, "find_compiler", lambda: None)
    made = found(doctor.compiler)["compiler"]
    assert made.sign == BAD and "sudo apt install gcc" in made.fix and doctor.libraries() == []
    monkeypatch.undo()
    with symbolic.config.change_flags(cc="no-such-compiler"):
        made = found(doctor.compiler)["compiler"]
        assert made.sign == BAD and "isn't an executable" in made.text and "SYMBOLIC_CC" in made.fix
        assert doctor.libraries() == [] and found(doctor.trial)["trial"].sign == BAD


def test_libraries_threads_and_settings(monkeypatch):
    assert {f.topic for f in doctor.libraries()} == {"BLAS", "LAPACK"}
    monkeypatch.setattr(doctor, "LIBRARIES", set())
    assert found(doctor.libraries)["LAPACK"].sign == FAIR
    with symbolic.config.change_flags(threads=10_000):
        assert any("more than the" in f.text for f in doctor.threads())
    with symbolic.config.change_flags(openmp=False):
        assert any("switched off" in f.text for f in doctor.threads())
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert doctor.gpu()[0].text.startswith("no NVIDIA driver")


def test_a_cache_that_cannot_be_used(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with symbolic.config.change_flags(cache_dir=str(file)):
        made = doctor.cache()[0]
    assert made.sign == BAD and made.fix
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("usage", (), {"free": 1})())
    assert any("are free there" in f.text for f in doctor.cache())


def test_what_fails_is_a_finding(monkeypatch):
    def broken():
        raise RuntimeError("no idea")

    monkeypatch.setattr(doctor, "CHECKS", (broken,))
    made, = examine()
    assert made.sign == BAD and "RuntimeError: no idea" in made.text
    monkeypatch.setattr(doctor, "function", lambda *a, **k: broken())
    assert "RuntimeError" in doctor.trial()[0].text
    monkeypatch.setattr(doctor, "function", lambda *a, **k: lambda value: value[:, :1] * 0 + [[1.0, 2.0]])
    assert "something wrong" in doctor.trial()[0].text


def test_reports():
    assert report([Finding(GOOD, "a", "well")]).endswith("Nothing needs fixing.")
    text = report([Finding(BAD, "a", "one\ntwo", "do this\nand that"), Finding(GOOD, "b", "fine")])
    assert text.splitlines() == ["!! a:                one", "                     two", "ok b:                fine", "",
                                 "What to do:", "  a: do this", "  and that"]


def test_a_gpu_is_found_or_what_it_lacks_is_told(monkeypatch, tmp_path):
    """With a driver that answers, as far as a script can."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA H100, 580.1'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(devices, "_devices", {})
    found, = doctor.gpu()
    assert found.sign == FAIR and found.text.startswith("NVIDIA H100, 580.1; device='cuda' needs CuPy")
    assert "pip install" in found.fix
    monkeypatch.setattr(devices, "_devices", {("cuda", 0): EmuDevice()})
    assert doctor.gpu()[0].sign == GOOD
