"""The README's example prints what the README says, and the demo learns."""
from __future__ import annotations

import contextlib
import io
import re
import runpy
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


def test_the_demo_learns_real_digits():
    pytest.importorskip("sklearn")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(ROOT / "examples" / "digits_mlp.py"))
    found = re.findall(r"test accuracy ([\d.]+)%", out.getvalue())
    assert float(found[-1]) > 96
