"""The generated C under AddressSanitizer and UndefinedBehaviorSanitizer: other test files, run again in that mode."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from symbolic.codegen.compiler import find_compiler

FLAGS = "-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"
FILES = ["test_conv.py", "test_create.py", "test_cumulative.py", "test_decompositions.py", "test_elementwise_native.py",
         "test_index.py", "test_linalg.py", "test_nnet.py", "test_packing.py", "test_reduce.py", "test_shape.py", "test_sort.py",
         "test_sparse.py"]
PLANTED = """
import os, symbolic, symbolic.tensor as T
from symbolic.scalar import IndexLambda, axis, load
from symbolic.graph import Op
class Beyond(Op):
    name = "beyond"
    def infer_type(self, t): return (t,)
    def infer_shape(self, t): from symbolic.scalar import dim; return ((dim(0, 0),),)
    def compute(self, t): return IndexLambda(load(0, [axis(0) + 1000], t.dtype))
x = T.vector("x")
symbolic.function([x], Beyond()(x))([1.0, 2.0])
"""


def environment(tmp_path: Path) -> dict[str, str]:
    compiler = find_compiler()
    if compiler is None or compiler.kind != "gcc" or not sys.platform.startswith("linux"):
        pytest.skip("the sanitizers' run-time libraries are found through gcc on Linux")
    found = [subprocess.run([*compiler.command, f"-print-file-name={name}"], capture_output=True, text=True,
                            check=True).stdout.strip() for name in ("libasan.so", "libstdc++.so")]
    if not all(os.path.isabs(path) for path in found):
        pytest.skip("gcc has no sanitizers here")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "SYMBOLIC_"))}
    return kept | {"LD_PRELOAD": " ".join(found), "SYMBOLIC_CFLAGS": FLAGS, "SYMBOLIC_OPENMP": "0",
                   "SYMBOLIC_CACHE_DIR": str(tmp_path), "ASAN_OPTIONS": f"detect_leaks=0:log_path={tmp_path}/log",
                   "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={tmp_path}/log"}


def said(tmp_path: Path) -> str:
    return "\n".join(p.read_text(errors="replace")[:3000] for p in tmp_path.glob("log*"))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_no_read_or_write_goes_astray(file, tmp_path):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider",
                           str(Path(__file__).parent / file)],
                          env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, said(tmp_path) or done.stdout[-3000:]
    assert "passed" in done.stdout


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_sanitizer_sees_a_planted_fault(tmp_path):
    done = subprocess.run([sys.executable, "-c", PLANTED], env=environment(tmp_path), capture_output=True, text=True,
                          check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in said(tmp_path)
