"""The README's example prints what the README says, and the demo learns."""
from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_readme_example_prints_what_it_shows(tmp_path):
    code, shown = re.search(r"```python\n(.*?)```\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).groups()
    script = tmp_path / "readme.py"
    script.write_text(code)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(script))
    assert out.getvalue() == shown


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_the_code_of_a_page_runs(page, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    script = tmp_path / f"page_{page.stem}.py"  # not the name of a module that something imports
    script.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


def test_the_demo_learns_real_digits(tmp_path):
    pytest.importorskip("sklearn")
    done = subprocess.run([sys.executable, str(ROOT / "examples" / "digits_mlp.py"), "--plot", str(tmp_path / "digits.png")],
                          env=os.environ | {"SYMBOLIC_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(re.findall(r"test accuracy ([\d.]+)%", done.stdout)[-1]) >= 97
    source = re.search(r"C source of the step: (.*)", done.stdout)
    assert source and "symbolic_run" in Path(source[1]).read_text()
    assert re.search(r"train +digits_mlp.py:\d+", done.stdout), "symbolic-cache list"
    assert (tmp_path / "digits.png").stat().st_size > 10_000
