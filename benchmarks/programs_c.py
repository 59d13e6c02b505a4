"""The logistic map in C by hand, called through ctypes."""
from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from programs import MAP_STEPS, Arrays

TEXT = """#include <stdint.h>
void logistic_map(double r, double x, int64_t n, double *out)
{
    for (int64_t t = 0; t < n; t++) {
        x = r * x * (1 - x);
        out[t] = x;
    }
}
"""


def prepare(name: str, a: Arrays) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns its results."""
    assert name == "logistic map"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "map.c").write_text(TEXT)
        subprocess.run(["gcc", "-O3", "-march=native", "-shared", "-fPIC", "map.c", "-o", "map.so"], cwd=folder, check=True)
        function = ctypes.CDLL(f"{folder}/map.so").logistic_map
    function.argtypes = [ctypes.c_double, ctypes.c_double, ctypes.c_int64, ctypes.c_void_p]

    def run() -> np.ndarray:
        out = np.empty(MAP_STEPS)
        function(float(a["r"]), float(a["x"]), MAP_STEPS, out.ctypes.data)
        return out

    return run, lambda: [run()]
