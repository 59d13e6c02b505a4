"""Builds a Program with the C compiler and calls it through ctypes.

This host fills the runtime table of `templates/runtime.h` from Python. It is the simple host: right, and slow to
enter (tens of µs a call); the extension that replaces it speaks the same table.
"""
from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.codegen.program import Program
from symbolic.errors import CompileError

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
         "-fwrapv", "-Wall", "-Wno-unused-function", "-shared", "-fPIC")
_BLAS = {"f": "float32", "d": "float64", "c": "complex64", "z": "complex128"}


class _Array(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("shape", ctypes.c_void_p)]


_OUTPUT = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int64))
_SCRATCH = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_BEGIN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_double)
_PYTHON = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_I64, _PTR = ctypes.c_int64, ctypes.c_void_p
_GEMM = ctypes.CFUNCTYPE(None, ctypes.c_char, ctypes.c_int, ctypes.c_int, _I64, _I64, _I64, _PTR, _PTR, _I64, _PTR,
                         _I64, _PTR, _PTR, _I64)


class _Runtime(ctypes.Structure):
    _fields_ = [("output", _OUTPUT), ("scratch", _SCRATCH), ("begin", _BEGIN), ("python", _PYTHON),
                ("gemm", _GEMM), ("detail", ctypes.c_int64 * 4), ("threads", ctypes.c_int)]


def find_compiler() -> str | None:
    """Return the C compiler: ``$SYMBOLIC_CC``, else cc, gcc or clang; None if there is none."""
    wanted = os.environ.get("SYMBOLIC_CC")
    for name in (wanted,) if wanted else ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return found
    return None


def _view(address: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    n = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw: Any = (ctypes.c_char * n).from_address(address) if n else b""
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


class Library:
    """A compiled Program; :meth:`run` calls it on C-contiguous arrays."""

    def __init__(self, program: Program, outputs: Sequence[str], ranks: Sequence[int], compiler: str) -> None:
        self.program = program
        self.outputs = tuple(outputs)
        self.ranks = tuple(ranks)
        self.threads = len(os.sched_getaffinity(0))
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
        self._run = ctypes.CDLL(str(target)).symbolic_run
        self._run.argtypes = [ctypes.POINTER(_Runtime), ctypes.POINTER(_Array)]
        self._run.restype = ctypes.c_int

    def run(self, arrays: Sequence[np.ndarray]) -> tuple[int, list[np.ndarray], tuple[int, ...]]:
        """Return the program's code, its outputs and what it left in ``detail``."""
        given = [*arrays, *self.program.constants]
        table = (_Array * max(1, len(given)))()
        keep: list[object] = []
        for k, a in enumerate(given):
            shape = (ctypes.c_int64 * max(1, a.ndim))(*a.shape)
            keep.append(shape)
            table[k] = _Array(a.ctypes.data, ctypes.addressof(shape))
        results: dict[int, np.ndarray] = {}

        def output(_rt: int, slot: int, shape: ctypes.Array) -> int | None:
            try:
                made = np.empty(tuple(shape[a] for a in range(self.ranks[slot])), self.outputs[slot])
            except (MemoryError, ValueError):
                return None
            results[slot] = made
            return made.ctypes.data

        def scratch(_rt: int, size: int) -> int | None:
            try:
                made = np.empty(max(size, 1) + 64, "uint8")
            except (MemoryError, ValueError):
                return None
            keep.append(made)
            return -(-made.ctypes.data // 64) * 64

        rt = _Runtime(_OUTPUT(output), _SCRATCH(scratch), _BEGIN(lambda _rt, _w: None),
                      _PYTHON(lambda *_: -1), _GEMM(_gemm), (ctypes.c_int64 * 4)(), self.threads)
        code = self._run(ctypes.byref(rt), table)
        return code, [results[k] for k in range(len(results))], tuple(rt.detail)


def _gemm(kind: bytes, ta: int, tb: int, m: int, n: int, k: int, alpha: int, a: int, lda: int, b: int, ldb: int,
          beta: int, c: int, ldc: int) -> None:
    """Multiply through NumPy, whose BLAS this host borrows; programs ask for alpha 1 and beta 0."""
    dtype = _BLAS[kind.decode()]
    x = _view(a, (k, lda) if ta else (m, lda), dtype)
    y = _view(b, (n, ldb) if tb else (k, ldb), dtype)
    x = x.T[:m, :k] if ta else x[:m, :k]
    y = y.T[:k, :n] if tb else y[:k, :n]
    np.matmul(x, y, out=_view(c, (m, ldc), dtype)[:, :n])
