"""``symbolic doctor``: what this machine offers, what is missing, and what to do about it."""
from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.codegen.c_extension import compiler_command
from symbolic.codegen.cache import Cache
from symbolic.codegen.compiler import cpu_features, find_compiler, no_compiler_message
from symbolic.codegen.cuda.devices import find
from symbolic.codegen.entry import EntryBuildError
from symbolic.codegen.native import entry
from symbolic.codegen.report import human
from symbolic.config import available_cores, config
from symbolic.errors import DeviceError
from symbolic.function import function
from symbolic.ops.functions import exp
from symbolic.ops.linalg import dot
from symbolic.ops.variables import tensor
from symbolic.template import LIBRARIES

#: Signs of the lines: all is well, it works but could be better, it doesn't work.
GOOD, FAIR, BAD = "ok", "--", "!!"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    sign : str
        `GOOD`, `FAIR` or `BAD`.
    topic, text : str
    fix : str
        What to do; empty where there is nothing to do.
    """

    sign: str
    topic: str
    text: str
    fix: str = ""


def python() -> list[Finding]:
    """Return what runs."""
    found = [Finding(GOOD, "Python", f"{platform.python_version()}, NumPy {np.__version__}, {platform.platform()}")]
    if int(np.__version__.partition(".")[0]) < 2:
        found.append(Finding(BAD, "NumPy", f"{np.__version__} is too old", "pip install 'numpy>=2'"))
    return found


def compiler() -> list[Finding]:
    """Return what compiles."""
    try:
        made = find_compiler()
    except errors.CompileError as error:
        text, _, fix = str(error).partition("\nhint: ")
        return [Finding(BAD, "compiler", text, fix)]
    if made is None:
        text, _, fix = no_compiler_message().partition("\nhint: ")
        return [Finding(BAD, "compiler", text, fix)]
    found = [Finding(GOOD, "compiler", f"{' '.join(made.command)}: {made.version}")]
    if not made.openmp:
        found.append(Finding(FAIR, "OpenMP", "the compiler can't make parallel loops",
                             "install gcc, or libomp for clang (macOS: brew install libomp)"))
    if not made.libmvec:
        found.append(Finding(FAIR, "vector functions", "the C library has no vector versions of exp and log; this package's own "
                             "are used"))
    plus = compiler_command()
    if plus is None or not plus[0].endswith("++"):
        found.append(Finding(FAIR, "C++", "users' ops with c_code are compiled as C", "install g++ if such code is C++"))
    return found


def trial() -> list[Finding]:
    """Compile and run a small function, and compare it with NumPy."""
    x = tensor("float64", (None, None), "x")
    value = np.arange(6.0).reshape(2, 3) / 7
    began = time.perf_counter()
    try:
        f = function([x], exp(dot(x, x.T)))  # type: ignore[attr-defined]
        result = f(value)
    except Exception as error:  # whatever it is, the report says so
        return [Finding(BAD, "trial", f"compiling a small function failed: {type(error).__name__}: {error}",
                        "set SYMBOLIC_CACHE_DIR to an empty directory of your own and try again")]
    seconds = time.perf_counter() - began
    if not np.allclose(result, np.exp(value @ value.T)):
        return [Finding(BAD, "trial", "a small function computed something wrong", "please report this, with this whole text")]
    if not f.source:
        return [Finding(BAD, "trial", "a small function runs in the interpreter, which is slow", "see the compiler above")]
    return [Finding(GOOD, "trial", f"a small function compiled, loaded and ran in {1e3 * seconds:.0f} ms, and is right")]


def libraries() -> list[Finding]:
    """Return which BLAS and LAPACK programs call."""
    try:
        made = find_compiler()
    except errors.CompileError:
        made = None
    if made is None:
        return []
    try:
        blas = entry(made).blas_info()
    except EntryBuildError as error:
        return [Finding(BAD, "extension", f"the part that calls programs can't be built: {error}",
                        "install Python's headers (Debian, Ubuntu: sudo apt install python3-dev)")]
    name = str(blas.get("name", blas) if isinstance(blas, dict) else blas[0])
    found = [Finding(FAIR, "BLAS", "products are loops in C, which are slow", "pip install numpy from a wheel, or install scipy")
             if "loops" in name else Finding(GOOD, "BLAS", name)]
    found.append(Finding(GOOD, "LAPACK", "found") if "lapack" in LIBRARIES else Finding(
        FAIR, "LAPACK", "decompositions run in NumPy, outside of programs", "pip install scipy"))
    return found


def threads() -> list[Finding]:
    """Return how many threads programs use, and why."""
    cores = available_cores()
    n = config.num_threads()
    where = ("config.threads" if config.threads else "OMP_NUM_THREADS" if os.environ.get("OMP_NUM_THREADS") else
             "the cores this process may use")
    found = [Finding(GOOD, "threads", f"{n} of {cores} cores ({where}); {cpu_features()}")]
    if config.threads > cores:
        found.append(Finding(FAIR, "threads", f"config.threads is {config.threads}, more than the {cores} cores there are",
                             "set SYMBOLIC_THREADS to at most that many"))
    if not config.openmp:
        found.append(Finding(FAIR, "threads", "parallel loops are switched off", "unset SYMBOLIC_OPENMP"))
    return found


def cache() -> list[Finding]:
    """Return the state of the cache."""
    try:
        store = Cache()
        entries = store.functions()
    except (errors.CacheError, OSError) as error:
        text, _, fix = str(error).partition("\nhint: ")
        return [Finding(BAD, "cache", text, fix or "set SYMBOLIC_CACHE_DIR to a directory of your own")]
    size = sum(e.size for e in entries)
    free = shutil.disk_usage(store.base).free
    found = [Finding(GOOD, "cache", f"{store.base}: {len(entries)} functions, {human(size)} of {human(config.cache_max_size)}")]
    if not os.access(store.base, os.W_OK):
        found.append(Finding(BAD, "cache", f"{store.base} can't be written: every process compiles again",
                             "set SYMBOLIC_CACHE_DIR to a directory of your own"))
    if free < 100 << 20:
        found.append(Finding(FAIR, "cache", f"only {human(free)} are free there", "symbolic-cache prune --max-size 100M"))
    return found


def gpu() -> list[Finding]:
    """Return whether there is a GPU, and what it would take to use it."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return [Finding(FAIR, "GPU", "no NVIDIA driver: functions run on the CPU")]
    try:
        done = subprocess.run([smi, "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True,
                              timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [Finding(FAIR, "GPU", f"nvidia-smi doesn't answer: {error}")]
    name = done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else "none that answers"
    if importlib.util.find_spec("cupy") is None:
        return [Finding(FAIR, "GPU", f"{name}; cupy isn't installed", "pip install 'symbolic-graph[cuda13]'")]
    try:
        device = find("cuda")
    except DeviceError as error:
        text, _, hint = str(error).partition("\nhint: ")
        return [Finding(FAIR, "GPU", f"{name}; {text}", hint)]
    return [Finding(GOOD, "GPU", f"{name}; {device.identity}; python -m symbolic.testing.gpu checks it")]


def settings() -> list[Finding]:
    """Return the settings that aren't the defaults, and what in the environment bears on programs."""
    given = [r.variable for r in config.describe() if r.variable in os.environ]
    text = ", ".join(f"{name}={os.environ[name]}" for name in given) or "all as by default"
    found = [Finding(GOOD, "settings", text)]
    if config.mode != "FAST_RUN":
        found.append(Finding(FAIR, "settings", f"mode is {config.mode}: functions are slow by default", "unset SYMBOLIC_MODE"))
    unknown = [n for n in os.environ if n.startswith("SYMBOLIC_") and n not in {r.variable for r in config.describe()}]
    if unknown:
        found.append(Finding(FAIR, "settings", f"{', '.join(sorted(unknown))}: there are no such settings",
                             "see docs/config.md for their names"))
    return found


CHECKS: tuple[Callable[[], list[Finding]], ...] = (python, compiler, libraries, threads, cache, trial, gpu, settings)


def examine() -> list[Finding]:
    """Return all findings, in order; what fails unexpectedly is a finding as well.

    Examples
    --------
    >>> {f.sign for f in examine()} <= {GOOD, FAIR, BAD}
    True
    """
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check()
        except Exception as error:  # a doctor doesn't faint
            found.append(Finding(BAD, check.__name__, f"couldn't be examined: {type(error).__name__}: {error}",
                                 "please report this, with this whole text"))
    return found


def report(found: Sequence[Finding]) -> str:
    """Return findings as text, with what to do last."""
    lines = []
    for f in found:
        first, *rest = f.text.splitlines() or [""]
        lines.append(f"{f.sign} {f.topic + ':':<17} {first}")
        lines += [f"{'':20} {line}" for line in rest]
    fixes = [f for f in found if f.fix]
    if fixes:
        lines += ["", "What to do:"]
        for f in fixes:
            first, *rest = f.fix.splitlines()
            lines.append(f"  {f.topic}: {first}")
            lines += [f"  {line}" for line in rest]
    elif all(f.sign != BAD for f in found):
        lines += ["", "Nothing needs fixing."]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``symbolic`` and return the exit status: 0, or 1 if something doesn't work."""
    parser = argparse.ArgumentParser(prog="symbolic", description="Tools of the symbolic graph compiler.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="check compiler, BLAS, threads, cache, GPU; say what to fix",
                                 description="Check compiler, BLAS, threads, CPU features, cache and GPU, and say what to fix.")
    doctor.set_defaults(run=_doctor)
    arguments: Any = parser.parse_args(argv)
    return int(arguments.run())


def _doctor() -> int:
    found = examine()
    print(report(found))
    return 1 if any(f.sign == BAD for f in found) else 0


if __name__ == "__main__":
    sys.exit(main())
