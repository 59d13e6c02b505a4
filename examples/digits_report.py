"""What the digits example tells about its compiled step: compile times, speed, where the C is."""
from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import symbolic

_COMPILE = """
import sys, time
import numpy as np
sys.path.insert(0, {folder!r})
import digits_mlp
start = digits_mlp.start_weights(np.random.default_rng(0))
started = time.perf_counter()
train, predict, _ = digits_mlp.build(start)
x, y = np.zeros((32, 64), "float32"), np.zeros(32, "int64")
train(x, y), predict(x)
print(time.perf_counter() - started)
"""


def report(train: symbolic.Function, weights: Sequence[symbolic.SharedVariable], x: np.ndarray, y: np.ndarray,
           rate: float, decay: float, momentum: float) -> None:
    """Print compile times, the step's time beside NumPy's, the C file and the cache's list.

    Parameters
    ----------
    train : Function
        A step that hasn't run yet.
    weights : list of SharedVariable
        What it trains.
    x, y : ndarray
        A batch: (n, 64) float32 and (n,) int64.
    rate, decay, momentum : float
    """
    cold, warm = compile_seconds()
    print(f"compiling both functions, gradients and first calls included: cold {cold:.2f} s, warm {warm:.2f} s "
          "(new processes, the first with an empty cache)")
    by_hand = NumpyStep([w.get_value() for w in weights], rate, decay, momentum)
    for _ in range(20):
        if not np.allclose(train(x, y), by_hand(x, y), rtol=1e-4, atol=1e-5):
            raise AssertionError("the compiled step and the NumPy step disagree about the loss")
    for w, a in zip(weights, by_hand.weights, strict=True):
        if not np.allclose(w.get_value(), a, rtol=1e-3, atol=1e-5):
            raise AssertionError(f"the compiled step and the NumPy step disagree about {w.name}")
    ours, numpys = step_seconds([lambda: train(x, y), lambda: by_hand(x, y)])
    print(f"one step, verified against NumPy: {ours * 1e6:.0f} µs; by hand in NumPy {numpys * 1e6:.0f} µs, "
          f"{numpys / ours:.1f} times as long")
    print(f"C source of the step: {train.source_path}", flush=True)
    subprocess.run([sys.executable, "-m", "symbolic.cli", "list", "--limit", "8"], check=True)


def compile_seconds() -> tuple[float, float]:
    """Return the seconds to compile the example in a new process: with an empty cache, then with what that one left."""
    script = _COMPILE.format(folder=str(Path(__file__).parent))
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"SYMBOLIC_CACHE_DIR": cache}
        runs = [subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
                for _ in range(2)]
    return float(runs[0].stdout), float(runs[1].stdout)


class NumpyStep:
    """The same training step, written by hand.

    Parameters
    ----------
    weights : list of ndarray
        W1, b1, W2, b2, float32; changed in place.
    rate, decay, momentum : float
    """

    def __init__(self, weights: list[np.ndarray], rate: float, decay: float, momentum: float) -> None:
        self.weights = weights
        self.velocities = [np.zeros_like(w) for w in weights]
        self.rate, self.decay, self.momentum = np.float32(rate), np.float32(decay), np.float32(momentum)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> float:
        """Take one step and return the loss before it."""
        w1, b1, w2, b2 = self.weights
        rows = np.arange(len(y))
        hidden = x @ w1
        hidden += b1
        np.maximum(hidden, 0, out=hidden)
        p = hidden @ w2
        p += b2
        p -= p.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[rows, y]).mean()

        p[rows, y] -= 1
        p /= np.float32(len(y))
        gh = p @ w2.T
        gh *= hidden > 0
        gradients = [x.T @ gh, gh.sum(axis=0), hidden.T @ p, p.sum(axis=0)]
        for w, v, g in zip(self.weights, self.velocities, gradients, strict=True):
            v *= self.momentum
            g *= self.rate
            v -= g
            w += v
        self.rate *= self.decay
        return float(loss)


def step_seconds(steps: Sequence[Callable[[], Any]], rounds: int = 15, calls: int = 200) -> list[float]:
    """Return the median seconds of a call of each step, over rounds that take turns."""
    taken: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for step, seconds in zip(steps, taken, strict=True):
            started = time.perf_counter()
            for _ in range(calls):
                step()
            seconds.append((time.perf_counter() - started) / calls)
    return [float(np.median(s)) for s in taken]


def plot(file: str, history: Sequence[tuple[float, float]], weights: np.ndarray) -> None:
    """Draw the curves and the first layer's weights, for which matplotlib is imported now."""
    importlib.import_module("plot_digits").draw(file, history, weights)
    print(f"drawn: {file}")
