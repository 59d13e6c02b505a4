"""The benchmarks run: the smallest case, ourselves beside NumPy."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_smallest_case_is_measured(tmp_path):
    file = tmp_path / "out.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--only", "call: x+1", "--peers", "symbolic,numpy",
               "--rounds", "1", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row, = json.loads(file.read_text())["speed"]
    assert row["errors"] == {}
    assert set(row["seconds"]) == set(row["base"]) == {"symbolic", "numpy"}
    assert "| call: x+1, 4 float64 |" in done.stdout


def test_a_wrong_result_is_refused():
    script = ("import sys; sys.path.insert(0, sys.argv[1])\n"
              "import cases, peer_numpy, worker\n"
              "case = cases.ALL[0]\n"
              "run, state = peer_numpy.prepare(case)\n"
              "worker.verify(case, run, state)\n"
              "worker.verify(case, run, lambda: [a + 1e-3 for a in state()])\n")
    done = subprocess.run([sys.executable, "-c", script, str(ROOT / "benchmarks")], capture_output=True, text=True, check=False)
    assert done.returncode and "away from NumPy's" in done.stderr
