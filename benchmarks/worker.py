"""One peer in a process of its own: answers requests, a JSON object a line, until its input ends.

``worker.py PEER`` serves; ``worker.py PEER WHAT CASE`` prints one number, where WHAT is ``setup``, ``compile`` or ``memory``.
"""
from __future__ import annotations

import importlib
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import cases
import numpy as np
import numpy.random  # noqa: F401 (NumPy loads it when data are first made, which is no peer's compilation)
import peer_numpy
import programs
import workloads

BATCH_SECONDS = 0.02
BATCHES = 5
#: OpenBLAS's threads spin for about 30 ms after their last product, OpenMP's for some ms: the peer that is measured must
#: not meet those of the peer before it. Its own it does meet, as its users do.
QUIET_SECONDS = 0.15
STEPS = 5


def seconds_of(run: Callable[[], Any], calls: int) -> float:
    """Return the seconds of one call, over `calls` calls."""
    started = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - started) / calls


def verify(case: cases.Case, run: Callable[[], Any], state: Callable[[], list[np.ndarray]]) -> None:
    """Raise AssertionError unless results, or the weights after some steps, are NumPy's."""
    reference, wanted = prepare(peer_numpy, case)
    if case.kind == "train":
        for _ in range(STEPS):
            run(), reference()
    found, right = state(), wanted()
    assert len(found) == len(right), f"{case.name}: {len(found)} results instead of {len(right)}"
    for k, (a, b) in enumerate(zip(map(np.asarray, found), map(np.asarray, right), strict=True)):
        assert a.shape == b.shape, f"{case.name}: result {k} has shape {a.shape} instead of {b.shape}"
        error = float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-30))
        assert error <= case.rtol, f"{case.name}: result {k} is {error:.1e} away from NumPy's"


def prepare(peer: Any, case: cases.Case) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns the state or results after it."""
    if case.kind != "program":
        return peer.prepare(case)
    kind = "programs" if case.program in programs.PROGRAMS else "workloads"
    written = importlib.import_module(f"{kind}_{getattr(peer, 'WRITTEN', peer.__name__.removeprefix('peer_'))}")
    return written.prepare(case.program, (programs.PROGRAMS | workloads.WORKLOADS)[case.program][0]())


def serve(peer: Any) -> None:
    """Answer ``{"do": "prepare" | "time", "case": name}`` until the input ends."""
    ready: dict[str, tuple[Callable[[], Any], int]] = {}
    print(json.dumps({"describe": peer.describe()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        case = cases.named(request["case"])
        try:
            if request["do"] == "prepare":
                ready.clear()  # the arrays of earlier cases must not crowd the memory
                run, state = prepare(peer, case)
                verify(case, run, state)
                time.sleep(QUIET_SECONDS)
                seconds_of(run, 3)
                once = min(seconds_of(run, 1) for _ in range(5))
                ready[case.name] = (run, max(1, math.ceil(BATCH_SECONDS / once)))
                answer: dict[str, Any] = {"ok": True}
            else:
                time.sleep(QUIET_SECONDS)
                run, calls = ready[case.name]
                seconds_of(run, 2)
                answer = {"seconds": statistics.median(seconds_of(run, calls) for _ in range(BATCHES))}
                if case.base:
                    x = case.inputs()[0]
                    answer["base"] = seconds_of(lambda: np.add(x, 1.0), 20000)  # noqa: B023
        except Exception as error:  # a peer that can't is a row in the table, not the end
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), flush=True)


def main() -> None:
    """Do what the command line says."""
    peer = importlib.import_module(f"peer_{sys.argv[1]}")
    if len(sys.argv) == 2:
        serve(peer)
        return
    case = cases.named(sys.argv[3])
    if sys.argv[2] == "setup":
        started = time.perf_counter()
        peer.setup()
        print(time.perf_counter() - started)
    elif sys.argv[2] == "compile":
        started = time.perf_counter()
        run, _ = prepare(peer, case)
        run()
        print(time.perf_counter() - started)
    else:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run, _ = prepare(peer, case)
        seconds_of(run, 3)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


if __name__ == "__main__":
    main()
