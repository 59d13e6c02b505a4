"""How fast this machine reads memory, or reads two arrays and writes a third, by loops of C written for that alone."""
from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

SOURCE = r"""
#include <stdint.h>
float reading(const float *a, int64_t n)
{
    float s = 0;
    #pragma omp parallel for simd reduction(+: s) schedule(static) simdlen(64)
    for (int64_t i = 0; i < n; i++)
        s += a[i];
    return s;
}
void triad(const float *restrict a, const float *restrict b, float *restrict c, int64_t n)
{
    #pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++)
        c[i] = a[i] + 2 * b[i];
}
"""
SECONDS = 0.4


def gigabytes(size: int, writes: bool) -> float | None:
    """Return the best GB/s over arrays of `size` bytes altogether; None without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "bandwidth.c"), Path(folder, "bandwidth.so")
        source.write_text(SOURCE)
        subprocess.run([compiler, "-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC", str(source), "-o",
                        str(library)], check=True)
        c = ctypes.CDLL(str(library))
    n = size // (12 if writes else 4)
    arrays = [np.ones(n, "float32") for _ in range(3 if writes else 1)]
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
    run = c.triad if writes else c.reading
    best, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        began = time.perf_counter()
        run(*pointers, ctypes.c_int64(n))
        best = min(best, time.perf_counter() - began)
    return size / best / 1e9


if __name__ == "__main__":
    print(os.environ.get("OMP_NUM_THREADS"), gigabytes(40_000_000, False), gigabytes(120_000_000, True))
