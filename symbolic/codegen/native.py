"""Builds a Program with the C compiler and binds it to the entry extension, which calls it.

The extension (`entry`) fills the runtime table of `templates/runtime.h`: memory, BLAS, the GIL. It is built once per
interpreter and kept in the cache directory.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.codegen.entry import find_blas, load_entry, use_blas
from symbolic.codegen.program import Program
from symbolic.config import config
from symbolic.errors import CompileError

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
         "-fwrapv", "-Wall", "-Wno-unused-function", "-shared", "-fPIC")
_entries: dict[tuple[str, str], Any] = {}


def find_compiler() -> str | None:
    """Return the C compiler: ``$SYMBOLIC_CC``, else cc, gcc or clang; None if there is none."""
    wanted = os.environ.get("SYMBOLIC_CC")
    for name in (wanted,) if wanted else ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return found
    return None


def entry_for(compiler: str) -> Any:
    """Return the entry extension, with a BLAS found for it."""
    key = (str(config.cache_dir), compiler)
    if key not in _entries:
        module = load_entry(Path(config.cache_dir), [compiler])
        use_blas(module, find_blas(module))
        _entries[key] = module
    return _entries[key]


class _Miss(tuple):
    """What a program returned instead of results: its code and what it left in ``detail``."""


class Library:
    """A compiled Program; :meth:`run` calls it on C-contiguous arrays."""

    def __init__(self, program: Program, inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]],
                 compiler: str) -> None:
        self.program = program
        self._folder = tempfile.TemporaryDirectory(prefix="symbolic-")
        self.source = Path(self._folder.name) / "program.c"
        self.source.write_text(program.source)
        target = self.source.with_suffix(".so")
        openmp = "-fopenmp" if "gcc" in os.path.realpath(compiler) or compiler.endswith("cc") else "-fopenmp-simd"
        command = [compiler, *FLAGS, openmp, str(self.source), "-o", str(target), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.warnings = done.stderr
        if done.returncode:
            first = "\n".join(done.stderr.splitlines()[:12])
            raise CompileError(f"{' '.join(command)} failed:\n{first}")
        entry = entry_for(compiler)
        self._call = entry.Callable(
            entry.load(str(target), "symbolic_run"), _numbers(inputs), constants=tuple(program.constants),
            outputs=_numbers(outputs), nout=len(outputs), convert=_contiguous,
            miss=lambda code, detail, args: _Miss((code + 1, detail)), threads=len(os.sched_getaffinity(0)))

    def run(self, arrays: Sequence[np.ndarray]) -> tuple[int, list[np.ndarray], tuple[int, ...]]:
        """Return the program's code, its outputs and what it left in ``detail``.

        Raises
        ------
        MemoryError
            If an array doesn't fit in memory.
        """
        found = self._call(*arrays)
        if isinstance(found, _Miss):
            return found[0], [], tuple(found[1])
        return 0, found, ()


def _numbers(types: Sequence[tuple[str, int]]) -> tuple[tuple[int, int], ...]:
    return tuple((np.dtype(dtype).num, ndim) for dtype, ndim in types)


def _contiguous(_k: int, value: np.ndarray) -> np.ndarray:
    """Return a copy the program can read: the types are right already, the layout isn't."""
    return np.array(value, order="C").astype(value.dtype.newbyteorder("="))
