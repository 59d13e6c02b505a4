"""Some of the mutants of `cuda_mutants`, which tries them all, and the script for real GPUs on the emulated one."""
from __future__ import annotations

import json

import cuda_mutants
import pytest

from symbolic.codegen.cuda import geometry, kernels
from symbolic.codegen.cuda.devices import find
from symbolic.testing import gpu


@pytest.fixture
def restored(monkeypatch):
    monkeypatch.setattr(geometry, "MOST_BLOCKS", 3)
    monkeypatch.setattr(kernels, "_template", kernels._template)
    yield
    find(cuda_mutants.DEVICE).order = 0


def test_every_template_has_mutants():
    names = {m.name for m in cuda_mutants.mutants()}
    assert names == {f"cuda/{n}" for n in ("joins.j2", "map.cu.j2", "parts.cu.j2", "reduce.cu.j2", "rows.cu.j2")}


@pytest.mark.slow
def test_some_mutants_are_noticed_and_the_templates_are_right(restored):
    cuda_mutants.templates(None)
    assert cuda_mutants.battery() == ""
    for m in cuda_mutants.mutants()[::6]:
        assert cuda_mutants.survives(m), m[:3]


@pytest.mark.slow
def test_the_script_for_gpus_on_the_emulated_one(tmp_path, capsys):
    report = tmp_path / "report.json"
    assert gpu.main(["--device", cuda_mutants.DEVICE, "--quick", "--report", str(report)]) == 0
    results = json.loads(report.read_text())["results"]
    assert len(results) == 21 and all(r["ok"] for r in results) and "21 ok, 0 failed" in capsys.readouterr().out


def test_a_check_that_fails_is_told(capsys):
    checks = gpu.Checks(cuda_mutants.DEVICE, True)
    checks.run("wrong", lambda: {"ok": False, "figure": 1.5})
    checks.run("broken", lambda: 1 / 0)
    assert [r.ok for r in checks.results] == [False, False] and "FAILED  wrong" in capsys.readouterr().out
    assert "ZeroDivisionError" in checks.results[1].figures["error"]
