"""``python -m symbolic.testing.gpu``: what only a real GPU can show, in some minutes, as a table and a report.

Everything is computed on the GPU, on the CPU, and where it is small on the emulated device as well. Send ``gpu-report.json``
along with an issue. With ``--device cuda:emulated`` the script checks itself.
"""
from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import symbolic.ops.operators  # noqa: F401  (installs Python's operators)
from symbolic.codegen.cuda.devices import find
from symbolic.config import config
from symbolic.function import function
from symbolic.graph import Variable, constant
from symbolic.ops import conv_api, pooling, reduce, scan_api, sort
from symbolic.ops import functions as f
from symbolic.ops.elementwise import ROWS, Elementwise
from symbolic.ops.ifelse import ifelse
from symbolic.ops.linalg import dot
from symbolic.ops.nnet import log_softmax, softmax
from symbolic.ops.random_streams import RandomStreams
from symbolic.ops.scatter import inc_subtensor, set_subtensor
from symbolic.reverse import grad
from symbolic.shared import shared
from symbolic.types import TensorType

#: how far results may be from the CPU's, relative to the largest, by dtype: CUDA's functions are within some ulp
TOLERANCE = {"float16": 2e-3, "float32": 3e-6, "float64": 1e-13, "complex64": 5e-6, "complex128": 1e-12}


class Result(NamedTuple):
    """One check: its name, whether it holds, what was measured."""

    name: str
    ok: bool
    figures: dict[str, Any]


def tensor(dtype: str, ndim: int, name: str = "x") -> Any:
    """Return a variable of unknown extents."""
    return Variable(TensorType(dtype, (None,) * ndim), name=name)


def distance(got: Any, want: Any) -> float:
    """Return the largest difference relative to the largest value; inf where nan or infinities differ.

    >>> distance(np.array([1.0, np.nan]), np.array([1.0, np.nan])), distance(np.array([np.inf]), np.array([1.0]))
    (0.0, inf)
    """
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return np.inf
    if want.dtype.kind in "biu":
        return 0.0 if np.array_equal(got, want) else np.inf
    wide = "complex128" if want.dtype.kind == "c" else "float64"
    got, want = got.astype(wide), want.astype(wide)
    finite = np.isfinite(want)
    if not np.array_equal(got[~finite], want[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return np.inf
    scale = np.abs(want[finite]).max(initial=0.0)
    return float((np.abs(got[finite] - want[finite]) / (scale or 1.0)).max(initial=0.0))


class Checks:
    """The checks for one device.

    Parameters
    ----------
    device : str
    quick : bool
        Small sizes and few repetitions, for the emulated device.
    """

    def __init__(self, device: str, quick: bool) -> None:
        self.device, self.quick = device, quick
        self.results: list[Result] = []

    def run(self, name: str, check: Callable[[], dict[str, Any]]) -> None:
        """Do one check and take note; whatever goes wrong is its result."""
        try:
            figures = check()
            ok = bool(figures.pop("ok"))
        except Exception as error:  # a table of all checks is worth more than the first error
            ok, figures = False, {"error": f"{type(error).__name__}: {error}"[:2000]}
        self.results.append(Result(name, ok, figures))
        shown = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
        print(f"{'ok' if ok else 'FAILED':7} {name:44} {shown[:400]}", flush=True)

    def same(self, inputs: Sequence[Variable], outputs: Sequence[Variable], args: Sequence[Any], slack: float = 1.0,
             emulate: bool = True) -> dict[str, Any]:
        """Compare a function on the device with the CPU's, and with the emulated device's."""
        with config.change_flags(on_unused_input="ignore"):
            there = function(list(inputs), list(outputs), device=self.device)(*args)
            figures: dict[str, Any] = {"ok": True}
            for other in ("cpu", *(("cuda:emulated",) if emulate and self.device != "cuda:emulated" else ())):
                want = function(list(inputs), list(outputs), device=other)(*args)
                off = [distance(a, b) / TOLERANCE.get(str(b.dtype), 1e-300) for a, b in zip(there, want, strict=True)]
                figures[f"worst against {other}, of what is allowed"] = max(off)
                figures["ok"] = figures["ok"] and max(off) <= slack
        return figures

    # --------------------------------------------------------------------------------------- numbers

    def elementwise(self, dtype: str) -> dict[str, Any]:
        """All rows of the table that accept a dtype."""
        names = []
        for name, row in ROWS.items():
            try:
                Elementwise(name).infer_type(*(TensorType(dtype, ()),) * row.nin)
            except TypeError:
                continue
            names.append(name)
        xs = [tensor(dtype, 1, n) for n in "xyz"]
        rng = np.random.default_rng(1)
        n = 300 if self.quick else 100_000
        args = [rng.integers(0, 5, n).astype(dtype) if np.dtype(dtype).kind in "biu" else rng.uniform(0.1, 0.9, n).astype(dtype)
                for _ in xs]
        args = [a + 1j * rng.uniform(0.1, 0.9, n).astype(a.real.dtype) if a.dtype.kind == "c" else a for a in args]
        names = [n for n in names if not (np.dtype(dtype).kind in "iu" and n in ("pow", "inv"))]
        outs = [Elementwise(n)(*xs[:ROWS[n].nin]) for n in names]
        return self.same(xs, outs, [a.astype(dtype) for a in args], slack=10) | {"ops": len(names)}

    def reductions(self) -> dict[str, Any]:
        """Reductions of all families, in parts and in rows."""
        x = tensor("float32", 2)
        shape = (40, 700) if self.quick else (3000, 4001)
        a = np.random.default_rng(2).normal(size=shape).astype("float32")
        outs = [x.sum(), x.sum(0), x.sum(1), x.max(), x.max(0), x.argmax(1), x.argmin(0), x.var(1), x.mean(0), softmax(x),
                log_softmax(x), reduce.logsumexp(x, 0), reduce.any(f.gt(x, 3.0), 1)]
        return self.same([x], outs, [a], slack=4, emulate=self.quick)

    def indices(self) -> dict[str, Any]:
        """Gathers, and scatters with elements written twice."""
        x, k = tensor("float64", 2), tensor("int64", 1, "k")
        n = 50 if self.quick else 20_000
        rng = np.random.default_rng(3)
        args = [rng.normal(size=(n, 8)), rng.integers(0, n, 2 * n)]
        outs = [x[k], inc_subtensor(x[k], 1.5), set_subtensor(x[k], 2.0), x[::-2, 1:], sort.sort(x, 0)]
        return self.same([x, k], outs, args, slack=10)

    def loops(self) -> dict[str, Any]:
        """A recurrent net with its gradient, an early end, and a branch."""
        x, w, c = tensor("float64", 2), tensor("float64", 2, "w"), tensor("float64", 0, "c")
        states, _ = scan_api.scan(lambda row, h: f.tanh(dot(h, w) + row), x, constant(np.zeros(6)))
        ends, _ = scan_api.scan(lambda p: (p * 2, scan_api.until(f.gt(p * 2, c))), outputs_info=constant(1.0), n_steps=50)
        arm = ifelse(f.gt(c, 5.0), f.exp(x).sum(), x.sum())
        rng = np.random.default_rng(4)
        outs = [states, *grad(reduce.sum(states), [x, w]), ends, arm, grad(arm, x)]
        return self.same([x, w, c], outs, [rng.normal(size=(12, 6)), rng.normal(size=(6, 6)) / 3, 100.0], slack=100)

    def images(self) -> dict[str, Any]:
        """Convolution and pooling, with gradients."""
        i, k = tensor("float32", 4, "i"), tensor("float32", 4, "k")
        out = pooling.pool_2d(conv_api.conv2d(i, k, border_mode="half"), (2, 2), ignore_border=True)
        rng, n = np.random.default_rng(5), 6 if self.quick else 32
        args = [rng.normal(size=(2, 3, n, n)).astype("float32"), rng.normal(size=(4, 3, 3, 3)).astype("float32")]
        return self.same([i, k], [out, *grad(reduce.sum(out), [i, k])], args, slack=20, emulate=self.quick)

    def random(self) -> dict[str, Any]:
        """The same bits as on the CPU."""
        drawn = []
        for device in (self.device, "cpu"):
            stream: Any = RandomStreams(11)
            draw = function([], [stream.uniform((1000,)), stream.random_integers((1000,), 0, 99)], device=device)
            drawn.append([draw() for _ in range(3)][-1])
        return {"ok": all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))}

    def products(self) -> dict[str, Any]:
        """Products of matrices in full precision: TF32 would be off by 1e-3."""
        figures: dict[str, Any] = {"ok": True}
        n = 30 if self.quick else 1000
        rng = np.random.default_rng(6)
        for dtype, most in (("float32", 1e-5), ("float64", 1e-13), ("complex64", 1e-5)):
            x, y = tensor(dtype, 2), tensor(dtype, 2, "y")
            a, b = rng.normal(size=(n, n + 1)).astype(dtype), rng.normal(size=(n, n + 3)).astype(dtype)
            got = function([x, y], [dot(x.T, y), dot(y.T, x)], device=self.device)(a, b)
            wide = "complex128" if dtype == "complex64" else "float64"
            want = a.astype(wide).T @ b.astype(wide)
            off = float(max(np.abs(got[0] - want).max(), np.abs(got[1] - want.T).max()) / np.abs(want).max())
            figures[dtype], figures["ok"] = off, figures["ok"] and off < most
        return figures

    # ---------------------------------------------------------------------------------------- device

    def net(self) -> tuple[Any, list[Any], list[np.ndarray]]:
        """Return the training step of a small net, its weights and a batch."""
        rng, x, y = np.random.default_rng(7), tensor("float32", 2), tensor("float32", 2, "y")
        weights = [shared(rng.normal(size=s).astype("float32"), n) for s, n in (((200, 100), "w1"), ((100, 10), "w2"))]
        loss = f.sqr(dot(f.maximum(dot(x, weights[0]), 0), weights[1]) - y).sum()
        updates = [(w, w - constant(np.float32(1e-6)) * g) for w, g in zip(weights, grad(loss, weights), strict=True)]
        step = function([x, y], loss, updates=updates, device=self.device)
        return step, weights, [rng.normal(size=(64, 200)).astype("float32"), rng.normal(size=(64, 10)).astype("float32")]

    def graphs(self) -> dict[str, Any]:
        """A captured graph gives what single launches give, bit by bit, and takes less time."""
        trained, times = [], {}
        for capture in (True, False):
            step, weights, batch = self.net()
            step.program.capture = capture
            for _ in range(5):
                step(*batch)
            began, calls = time.perf_counter(), 3 if self.quick else 300
            for _ in range(calls):
                step(*batch)
            times["captured" if capture else "launched"] = 1e6 * (time.perf_counter() - began) / calls
            trained.append([w.get_value() for w in weights])
            replayed = step.counts.graphs
            if replayed != int(capture):
                return {"ok": False, "graphs": replayed}
        same = all(np.array_equal(a, b) for a, b in zip(*trained, strict=True))
        return {"ok": same, "us a step, captured": times["captured"], "us a step, launched": times["launched"]}

    def determinism(self) -> dict[str, Any]:
        """The same call gives the same bits, sums into chosen elements where that is asked for."""
        x, k = tensor("float32", 2), tensor("int64", 1, "k")
        rng, n = np.random.default_rng(8), 40 if self.quick else 50_000
        args = [rng.normal(size=(n, 16)).astype("float32"), rng.integers(0, 7, n)]
        with config.change_flags(deterministic="more"):
            g = function([x, k], [x.sum(), x.sum(0), softmax(x), inc_subtensor(x[:7][k], x)], device=self.device)
        first = g(*args)
        return {"ok": all(np.array_equal(a, b) for _ in range(5) for a, b in zip(first, g(*args), strict=True))}

    def memory(self) -> dict[str, Any]:
        """Calls with many shapes keep no more memory than their recordings."""
        x = tensor("float64", 2)
        g = function([x], f.exp(dot(x, x.T)).sum(0), device=self.device)
        rng, held = np.random.default_rng(9), []
        device: Any = find(self.device)
        for _ in range(3):
            for n in range(2, 12 if self.quick else 60):
                g(rng.normal(size=(n, 3)))
            held.append(len(device.live if hasattr(device, "live") else device._live))
        g.free()
        return {"ok": held[-1] <= held[0] + 2, "blocks after each turn": str(held)}

    def speed(self) -> dict[str, Any]:
        """Memory's speed in an elementwise kernel, and what the smallest call takes."""
        x = tensor("float32", 1)
        n = 1000 if self.quick else 1 << 26
        value = shared(np.ones(n, "float32"), "v", device=self.device)
        g = function([], [], updates=[(value, value + constant(np.float32(1)))])
        tiny = function([x], x + constant(np.float32(1)), device=self.device)
        live, small = find(self.device), np.ones(1, "float32")
        for _ in range(4):
            g()
            tiny(small)
        live.synchronize()
        calls = 3 if self.quick else 50
        began = time.perf_counter()
        for _ in range(calls):
            g()
        live.synchronize()
        seconds = (time.perf_counter() - began) / calls
        began = time.perf_counter()
        for _ in range(calls):
            tiny(small)
        return {"ok": True, "GB/s": 8.0 * n / seconds / 1e9, "us a tiny call": 1e6 * (time.perf_counter() - began) / calls}

    def sanitizer(self) -> dict[str, Any]:
        """compute-sanitizer's memcheck over the quick checks, where it is installed."""
        tool = shutil.which("compute-sanitizer")
        if tool is None or self.device == "cuda:emulated":
            return {"ok": True, "skipped": "compute-sanitizer isn't installed" if tool is None else "nothing to watch"}
        command = [tool, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, "-m", "symbolic.testing.gpu", "--quick",
                   "--device", self.device, "--no-sanitizer", "--report", ""]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
        return {"ok": done.returncode == 0, "last": (done.stdout + done.stderr)[-300:]}


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks; return 0 if they hold."""
    parser = argparse.ArgumentParser(prog="python -m symbolic.testing.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, ... or cuda:emulated")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--no-sanitizer", action="store_true", help="leave compute-sanitizer out")
    parser.add_argument("--report", default="gpu-report.json", metavar="FILE", help="where to write JSON; '' for nowhere")
    options = parser.parse_args(argv)
    device = find(options.device)
    checks = Checks(options.device, options.quick)
    print(f"{device.identity}, NumPy {np.__version__}, {platform.platform()}")
    for dtype in ("bool", "int8", "int64", "uint8", "uint64", "float16", "float32", "float64", "complex64", "complex128"):
        checks.run(f"elementwise, {dtype}", lambda dtype=dtype: checks.elementwise(dtype))  # type: ignore[misc]
    for name in ("reductions", "indices", "loops", "images", "random", "products", "graphs", "determinism", "memory", "speed"):
        checks.run(name, getattr(checks, name))
    if not options.no_sanitizer:
        checks.run("compute-sanitizer", checks.sanitizer)
    failed = [r.name for r in checks.results if not r.ok]
    print(f"{len(checks.results) - len(failed)} ok, {len(failed)} failed" + (f": {', '.join(failed)}" if failed else ""))
    if options.report:
        report = {"device": device.identity, "name": options.device, "platform": platform.platform(), "python": sys.version,
                  "numpy": np.__version__, "quick": options.quick, "results": [r._asdict() for r in checks.results]}
        with open(options.report, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1, default=str)
        print(f"report: {options.report}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
