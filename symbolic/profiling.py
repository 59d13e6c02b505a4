"""Where the time of functions goes: ``function(..., profile=True)``, ``with symbolic.profile()``, ``f.profile()``."""
from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from symbolic.config import config


class Row(NamedTuple):
    """One step of a program.

    Attributes
    ----------
    what, kind, kernel : str
        What it computes; ``kernel``, ``gemm``, ``template``, ``loop``, ``branch``, ``scatter``, ``check`` or ``python``; the
        names of its kernels in the C text.
    calls : int
    seconds : float
        Of all calls together.
    bytes, operations : float
        Of all calls: the sizes of the arrays it reads and writes, each once; operations on floats, 0 where they aren't known
        (templates, loops, branches, Python).
    line : str
        The user's line, as ``file:line: text``.
    """

    what: str
    kind: str
    kernel: str
    calls: int
    seconds: float
    bytes: float
    operations: float
    line: str

    @property
    def bandwidth(self) -> float:
        """GB/s."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def rate(self) -> float:
        """GFLOP/s."""
        return self.operations / self.seconds / 1e9 if self.seconds else 0.0


@dataclass
class Profile:
    """What a function's calls, and compiling it, have cost so far; ``print(profile)`` shows tables.

    Attributes
    ----------
    name : str
    rows : list of Row
        The steps of the program in their order.
    stages : list of (str, float)
        Stages of compilation and their milliseconds.
    rules : list of (str, int, float)
        Rewrite rules, how often each fired, and the milliseconds that its attempts took; the slowest first.
    """

    name: str
    rows: list[Row]
    stages: list[tuple[str, float]]
    rules: list[tuple[str, int, float]]

    @property
    def seconds(self) -> float:
        """Time of all steps."""
        return sum(r.seconds for r in self.rows)

    def share_of_peak(self, row: Row) -> float:
        """Return which part of what the machine can do a step reached: of memory's speed or of arithmetic, whichever is more.

        More than 1 is possible where arrays stay in the processor's caches.
        """
        bandwidth, rate = peak()
        return max(row.bandwidth / bandwidth, row.rate / rate)

    def __str__(self) -> str:
        total = self.seconds or 1.0
        lines = [f"{self.name}: {1e3 * self.seconds:.3f} ms in {max((r.calls for r in self.rows), default=0)} calls",
                 f"{'ms':>10} {'%':>5} {'calls':>7} {'us each':>9} {'GB/s':>7} {'GFLOP/s':>8} {'% peak':>6}  step"]
        for r in sorted(self.rows, key=lambda r: -r.seconds):
            each = 1e6 * r.seconds / r.calls if r.calls else 0.0
            shown = f"{r.rate:8.2f}" if r.operations else f"{'-':>8}"
            lines.append(f"{1e3 * r.seconds:10.3f} {100 * r.seconds / total:5.1f} {r.calls:7d} {each:9.2f} {r.bandwidth:7.2f} "
                         f"{shown} {100 * self.share_of_peak(r):6.1f}  {r.kind}: {r.what}" + (f"  [{r.line}]" if r.line else ""))
        bandwidth, rate = peak()
        lines.append(f"peak measured here: {bandwidth:.1f} GB/s, {rate:.1f} GFLOP/s (float32 product)")
        lines += ["", "compilation"] + [f"{ms:10.3f} ms  {name}" for name, ms in self.stages]
        if self.rules:
            lines += ["", "rewrite rules"] + [f"{ms:10.3f} ms  {fired:6d} fired  {name}" for name, fired, ms in self.rules[:20]]
        return "\n".join(lines)

    def trace(self, path: str | os.PathLike[str]) -> None:
        """Write Chrome's trace format (about:tracing, Perfetto, speedscope): compilation, then the mean call, step by step.

        Parameters
        ----------
        path : path
            Of the JSON file.
        """
        events: list[dict[str, Any]] = []

        def lane(thread: int, name: str, spans: list[tuple[str, float, dict[str, Any]]]) -> None:
            events.append({"name": "thread_name", "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}})
            at = 0.0
            for label, duration, more in spans:
                events.append({"name": label, "ph": "X", "pid": 1, "tid": thread, "ts": at, "dur": duration, "args": more})
                at += duration

        lane(1, "compilation", [(name, 1e3 * ms, {}) for name, ms in self.stages])
        lane(2, "rewrite rules", [(name, 1e3 * ms, {"fired": fired}) for name, fired, ms in self.rules])
        lane(3, f"{self.name}: mean call", [
            (f"{r.kind}: {r.what}", 1e6 * r.seconds / r.calls,
             {"calls": r.calls, "GB/s": r.bandwidth, "GFLOP/s": r.rate, "line": r.line, "kernel": r.kernel})
            for r in self.rows if r.calls])
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ns"}, file)


class ProfileStats:
    """What Theano calls the profile of a function: ``f.profile``. Called, it returns a :class:`Profile`.

    It is true for functions that time their steps. An own one may be given to several, ``function(..., profile=stats)``, and
    shows them all.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.vector("x")
    >>> stats = ProfileStats()
    >>> f, g = (symbolic.function([x], y, profile=stats, name=n) for y, n in ((x + 1, "f"), (x.sum(), "g")))
    >>> values = f([1.0]), f([1.0]), g([1.0])
    >>> [(p.name, p.rows[0].calls) for p in stats.profiles], stats.fct_callcount, bool(f.profile)
    ([('f', 2), ('g', 1)], 3, True)
    """

    def __init__(self, *_: Any, **__: Any) -> None:  # Theano's arguments say nothing here
        self.takers: list[Callable[[], Profile]] = []
        self.active = True

    @classmethod
    def of(cls, take: Callable[[], Profile], active: bool) -> ProfileStats:
        """Return the profile of one function."""
        made = cls()
        made.takers.append(take)
        made.active = active
        return made

    def __call__(self) -> Profile:
        """Return what calls have cost so far, step by step, and what compiling cost.

        Returns
        -------
        Profile
            ``print`` shows it; ``.rows``, ``.stages``, ``.rules`` hold it; ``.trace(path)`` writes it for Chrome.

        Raises
        ------
        ValueError
            If the function wasn't made with ``profile=True``, nor under ``symbolic.profile()``, or is interpreted.
        """
        if len(self.takers) != 1:
            raise ValueError(f"these are the profiles of {len(self.takers)} functions\nhint: use .profiles, or .summary()")
        return self.takers[0]()

    def __bool__(self) -> bool:
        return self.active

    @property
    def profiles(self) -> list[Profile]:
        """Of each function."""
        return [take() for take in self.takers]

    @property
    def fct_callcount(self) -> int:
        """Calls of all functions together."""
        return sum(max((r.calls for r in p.rows), default=0) for p in self.profiles)

    @property
    def fct_call_time(self) -> float:
        """Seconds of the steps of all calls."""
        return sum(p.seconds for p in self.profiles)

    @property
    def compile_time(self) -> float:
        """Seconds that compiling took."""
        return sum(ms for p in self.profiles for _, ms in p.stages) / 1e3

    def summary(self, file: Any = None, n_ops_to_print: int = 20, n_apply_to_print: int = 20) -> None:
        """Print the profiles to a file, by default to stderr; all steps are shown.

        Parameters
        ----------
        file : file, optional
        n_ops_to_print, n_apply_to_print : int
            Without effect.
        """
        print("\n\n".join(map(str, self.profiles)), file=file or sys.stderr)

    print_summary = summary


def print_at_exit(stats: ProfileStats) -> None:
    """Print a profile when the process ends, as Theano does with ``config.profile``."""
    if not _AT_EXIT:
        atexit.register(_print_all)
    _AT_EXIT.append(stats)


_AT_EXIT: list[ProfileStats] = []


def _print_all() -> None:
    for stats in _AT_EXIT:
        stats.summary()


@cache
def peak() -> tuple[float, float]:
    """Return what this machine was measured to reach: GB/s of memory, copied by as many threads as programs use, and GFLOP/s
    of a product of float32 matrices by NumPy's BLAS. Measured once, in some 0.2 s."""
    threads, n = config.num_threads(), 1 << 22
    arrays = [(np.ones(n), np.zeros(n)) for _ in range(threads)]
    bandwidth = 16.0 * n * threads / _fastest(lambda: _together(arrays))
    a = np.ones((768, 768), "float32")
    return bandwidth / 1e9, 2.0 * 768**3 / _fastest(lambda: np.dot(a, a)) / 1e9


def _fastest(run: Any) -> float:
    times = []
    for _ in range(4):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def _together(arrays: list[tuple[np.ndarray, np.ndarray]]) -> None:
    workers = [threading.Thread(target=np.copyto, args=(b, a)) for a, b in arrays]
    for w in workers:
        w.start()
    for w in workers:
        w.join()


@dataclass
class Session:
    """The functions that were compiled in a ``with symbolic.profile()`` block."""

    functions: list[Any] = field(default_factory=list)

    @property
    def profiles(self) -> list[Profile]:
        """The profile of each."""
        return [f.profile() for f in self.functions]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.profiles))


ACTIVE: ContextVar[Session | None] = ContextVar("symbolic_profile", default=None)


@contextmanager
def profile() -> Iterator[Session]:
    """Profile the functions that are compiled to native code in the block, wherever they are called.

    Yields
    ------
    Session
        ``print(session)`` shows all their profiles; ``session.functions`` has them.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.vector("x")
    >>> with symbolic.profile() as session:
    ...     f = symbolic.function([x], T.exp(x).sum())
    >>> total = f([0.0, 0.0])
    >>> [(row.kind, row.calls) for row in f.profile().rows]
    [('kernel', 1)]
    """
    session = Session()
    token = ACTIVE.set(session)
    try:
        yield session
    finally:
        ACTIVE.reset(token)
