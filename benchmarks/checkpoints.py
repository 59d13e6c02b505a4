"""Memory of backpropagation through time against the number of steps, by `scan` and by `scan_checkpoints` in √T pieces."""
from __future__ import annotations

import math
import sys
import time

import numpy as np

import symbolic
import symbolic.tensor as T

HIDDEN, BATCH = 64, 16


def step(w: np.ndarray, steps: int, checkpoints: bool) -> tuple[float, float]:
    """Return MiB of scratch memory and milliseconds of the gradient of an RNN's loss over `steps` steps."""
    n, u = T.lscalar("n"), T.fmatrix("u")
    start = T.ones((BATCH, HIDDEN), "float32")
    if checkpoints:
        h, _ = symbolic.scan_checkpoints(lambda h, u: T.tanh(T.dot(h, u)), None, start, u, n_steps=n,
                                         save_every_N=math.isqrt(steps))
    else:
        h, _ = symbolic.scan(lambda h, u: T.tanh(T.dot(h, u)), None, start, u, n_steps=n)
    f = symbolic.function([n, u], symbolic.grad((h[-1] ** 2).sum(), u))
    f(steps, w)
    began = time.perf_counter()
    f(steps, w)
    return f.scratch_bytes / 2**20, 1e3 * (time.perf_counter() - began)


def main() -> None:
    """Print the table."""
    w = (np.linalg.qr(np.random.default_rng(1).normal(size=(HIDDEN, HIDDEN)))[0]).astype("float32")
    print("| T | scan, MiB | ms | scan_checkpoints, MiB | ms | MiB / √T |\n|---|---|---|---|---|---|")
    for steps in map(int, sys.argv[1:] or ("100", "400", "1600", "6400", "10000")):
        plain, plain_ms = step(w, steps, False)
        kept, kept_ms = step(w, steps, True)
        print(f"| {steps} | {plain:.2f} | {plain_ms:.1f} | {kept:.2f} | {kept_ms:.1f} | {kept / math.sqrt(steps):.4f} |")


if __name__ == "__main__":
    main()
