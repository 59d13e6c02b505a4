"""Programs in NumPy, as `programs` has them: loops in Python, derivatives by hand."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from programs import PROGRAMS, Arrays


def prepare(name: str, a: Arrays) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns its results."""
    def run() -> list[np.ndarray]:
        return PROGRAMS[name][1](a)

    return run, run
