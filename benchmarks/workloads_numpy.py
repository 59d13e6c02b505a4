"""Everyday work in NumPy: arrays written in place where that is possible."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from programs import Arrays
from workloads import KEEP, RANDOM, RATE, WORKLOADS, moments


def prepare(name: str, a: Arrays) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns its results."""
    rng = np.random.default_rng(0)
    if name == "normal":
        return (lambda: rng.standard_normal(RANDOM, "float32")), (lambda: moments(rng.standard_normal(RANDOM, "float32")))
    if name == "dropout":
        def dropout() -> np.ndarray:
            out = a["x"] * (rng.random(RANDOM, "float32") < KEEP)
            out *= np.float32(1 / KEEP)
            return out
        return dropout, (lambda: moments(dropout()))
    if name == "scatter":
        table = a["E"].copy()
        return (lambda: np.add.at(table, a["i"], a["y"])), (lambda: WORKLOADS[name][1](a))
    if name == "embedding step":
        table = a["E"].copy()

        def step() -> None:
            rows = table[a["i"]]
            rows -= a["y"]
            rows *= np.float32(RATE)
            np.subtract.at(table, a["i"], rows)

        return step, (lambda: WORKLOADS[name][1](a))
    if name == "regression":
        x, y, w, b = (a[k].copy() for k in ("x", "y", "w", "b"))

        def descend() -> None:
            g = 1 / (1 + np.exp(-(x @ w + b)))
            g -= y
            g /= np.float32(len(y))
            w[:] -= np.float32(RATE) * (g @ x + np.float32(0.02) * w)
            b[...] -= np.float32(RATE) * g.sum()

        return descend, (lambda: WORKLOADS[name][1](a))

    def run() -> list[np.ndarray]:
        return WORKLOADS[name][1](a)

    return run, run
