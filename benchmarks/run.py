"""Measure `symbolic` beside NumPy, numexpr, JAX, PyTensor and PyTorch, and print markdown tables. docs/benchmarks.md tells the
method.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cases

HERE = Path(__file__).parent
#: peers, and the package that each needs
PEERS = {"symbolic": "symbolic", "numpy": "numpy", "numexpr": "numexpr", "jax": "jax", "pytensor": "pytensor",
         "pytensor_c": "pytensor", "torch": "torch", "inductor": "torch"}
Row = dict[str, Any]


def environment(threads: int, cache: str) -> dict[str, str]:
    """Return the environment of every worker: the same threads for all, caches of its own."""
    n = str(threads)
    return os.environ | {
        "OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n, "MKL_NUM_THREADS": n, "NUMBA_NUM_THREADS": n, "SYMBOLIC_THREADS": n,
        "SYMBOLIC_CACHE_DIR": f"{cache}/symbolic", "JAX_PLATFORMS": "cpu", "PYTHONDONTWRITEBYTECODE": "",
        "JAX_COMPILATION_CACHE_DIR": f"{cache}/jax", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1", "NUMBA_CACHE_DIR": f"{cache}/numba",
        "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor",
        "PYTENSOR_FLAGS": f"base_compiledir={cache}/pytensor,openmp={threads > 1}"}


class Worker:
    """A peer's process."""

    def __init__(self, peer: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen([sys.executable, str(HERE / "worker.py"), peer], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.description = self._answer()["describe"]

    def ask(self, do: str, case: cases.Case) -> dict[str, Any]:
        """Return the answer to a request."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, "case": case.name}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RuntimeError("a worker ended without an answer")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(workers: dict[str, Worker], case: cases.Case, rounds: int, env: dict[str, str]) -> Row:
    """Return the median seconds of a call by peer; the peers take turns."""
    row: Row = {"case": case.name, "seconds": {}, "base": {}, "errors": {}}
    extra = {p: Worker(p, env) for p in case.more}
    workers = workers | extra
    for peer, worker in workers.items():
        if "error" in (answer := worker.ask("prepare", case)):
            row["errors"][peer] = answer["error"]
    samples: dict[str, list[dict[str, float]]] = {p: [] for p in workers if p not in row["errors"]}
    for _ in range(rounds):
        for peer, found in samples.items():
            answer = workers[peer].ask("time", case)
            if "error" in answer:
                row["errors"][peer] = answer["error"]
            else:
                found.append(answer)
    for worker in extra.values():
        worker.close()
    for peer, found in samples.items():
        if peer not in row["errors"]:
            row["seconds"][peer] = statistics.median(s["seconds"] for s in found)
            if case.base:
                row["base"][peer] = statistics.median(s["seconds"] / s["base"] for s in found)
    return row


def once(peer: str, env: dict[str, str], *request: str) -> tuple[float | None, str]:
    """Return the number that a fresh worker prints, or None and why there is none."""
    done = subprocess.run([sys.executable, str(HERE / "worker.py"), peer, *request], env=env, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["failed"])[-1]
    return float(done.stdout.split()[-1]), ""


def single(name: str, peers: list[str], number: Any) -> Row:
    """Return the row of ``number(peer)``, a pair of value and error."""
    row: Row = {"case": name, "seconds": {}, "base": {}, "errors": {}}
    for peer in peers:
        value, error = number(peer)
        row["errors" if value is None else "seconds"][peer] = error if value is None else value
    return row


def import_seconds(peer: str, env: dict[str, str]) -> tuple[float, str]:
    """Return the median seconds of importing a peer after NumPy."""
    script = f"import numpy, time; s = time.perf_counter(); import {PEERS[peer]}; print(time.perf_counter() - s)"
    runs = [subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
            for _ in range(5)]
    return statistics.median(map(float, runs)), ""


def compile_rows(peers: list[str], threads: int, rounds: int, only: str) -> list[Row]:
    """Return cold and warm compile times: the first process finds empty caches, the second what the first left.

    What `symbolic` builds once for a Python (its extension, what it learns of the compiler) is built before, and is a
    row of its own.
    """
    rows = []
    setup: list[float] = []
    for case in cases.COMPILED:
        if only not in (label := f"compile {case.name}"):
            continue
        samples: dict[tuple[str, str], list[float]] = {}
        errors = {}
        for _ in range(rounds):
            for peer in peers:
                with tempfile.TemporaryDirectory() as cache:
                    if peer == "symbolic":
                        value, _ = once(peer, environment(threads, cache), "setup", case.name)
                        setup += [] if value is None else [value]
                    for heat in ("cold", "warm"):
                        value, error = once(peer, environment(threads, cache), "compile", case.name)
                        if value is None:
                            errors[peer] = error
                        else:
                            samples.setdefault((peer, heat), []).append(value)
        for heat in ("cold", "warm"):
            medians = {p: (None, errors[p]) if p in errors else (statistics.median(samples[p, heat]), "") for p in peers}
            rows.append(single(f"{label}, {heat}", peers, medians.__getitem__))
    if setup:
        rows.append({"case": "built once for a Python", "seconds": {"symbolic": statistics.median(setup)}, "base": {},
                     "errors": {}})
    return rows


def human(value: float, unit: str) -> str:
    """Return a number of seconds, or of KiB, for people."""
    if unit == "KiB":
        return f"{value / 1024:.0f} MiB"
    for scale, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value * 1e9:.0f} ns"


def table(rows: list[Row], peers: list[str], unit: str = "s") -> str:
    """Return a markdown table; ``(2.0)`` beside a peer: twice as long, or as much, as symbolic."""
    lines = ["| case | " + " | ".join(peers) + " |", "|---|" + "---|" * len(peers)]
    for row in rows:
        ours, cells = row["seconds"].get("symbolic"), []
        for peer in peers:
            if peer not in row["seconds"]:
                cells.append("failed" if peer in row["errors"] else "–")
                continue
            value = row["seconds"][peer]
            text = human(value, unit)
            if ours and peer != "symbolic":
                text += f" ({value / ours:.2f})"
            if peer in row["base"]:
                text += f" = {row['base'][peer]:.2f} np.add"
            cells.append(text)
        for peer in sorted(set(row["seconds"]) - set(peers)):  # of this case alone
            cells[0] += f"; {peer}: {human(row['seconds'][peer], unit)} ({row['seconds'][peer] / ours:.2f})"
        lines.append(f"| {row['case']} | " + " | ".join(cells) + " |")
    lines += [f"\n{row['case']}, {peer} failed: {error}" for row in rows for peer, error in row["errors"].items()]
    return "\n".join(lines)


def bandwidths(rows: list[Row], threads: int) -> str:
    """Return how near to the machine's memory the rows come that say how much they move, as markdown."""
    lines = ["\n| case | GB/s | of the limit | limit |", "|---|---|---|---|"]
    for row in rows:
        case = cases.named(row["case"])
        if case.bytes and "symbolic" in row["seconds"]:
            script = f"import bandwidth; print(bandwidth.gigabytes({case.bytes}, {len(case.shapes) > 1}) or 0)"
            done = subprocess.run([sys.executable, "-c", script], cwd=HERE, capture_output=True, text=True, check=True,
                                  env=os.environ | {"OMP_NUM_THREADS": str(threads)})
            limit, ours = float(done.stdout), case.bytes / row["seconds"]["symbolic"] / 1e9
            if limit:
                lines.append(f"| {row['case']} | {ours:.1f} | {ours / limit:.0%} | {limit:.1f} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def machine(threads: int) -> str:
    """Return the processor and how many cores the measurement may use."""
    names = []
    if Path("/proc/cpuinfo").is_file():
        names = [s.split(":")[1].strip() for s in Path("/proc/cpuinfo").read_text().splitlines() if s.startswith("model name")]
    return (f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {threads} threads for every peer, "
            f"load {os.getloadavg()[0]:.1f} before the start")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases whose name contains it")
    parser.add_argument("--peers", default="", help="such as symbolic,numpy; all that are installed by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    peers = options.peers.split(",") if options.peers else [p for p in PEERS if importlib.util.find_spec(PEERS[p])]
    if hasattr(os, "sched_setaffinity"):  # the one setting that binds every peer's threads alike
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:options.threads]))
    print(machine(options.threads), flush=True)
    with tempfile.TemporaryDirectory() as cache:
        env = environment(options.threads, cache)
        chosen = [c for c in cases.ALL if options.only in c.name]
        tables: dict[str, list[Row]] = {}
        if chosen:
            workers = {p: Worker(p, env) for p in peers}
            for peer, worker in workers.items():
                print(f"- {peer}: {worker.description}")
            tables["speed"] = [measure(workers, case, options.rounds, env) for case in chosen]
            for worker in workers.values():
                worker.close()
            print("\nOne call, median; in brackets: times as long as symbolic\n")
            print(table(tables["speed"], peers), flush=True)
            print(bandwidths(tables["speed"], options.threads), flush=True)
        others = [p for p in peers if p not in ("numpy", "numexpr")]
        tables["compile"] = compile_rows(others, options.threads, min(options.rounds, 3), options.only)
        if options.only in "import":
            tables["compile"].append(single("import", others, lambda p: import_seconds(p, env)))
        if tables["compile"]:
            print("\nFrom building the graph to the first result; import beyond NumPy's\n\n" + table(tables["compile"], others))
        tables["memory"] = [single(f"memory {c.name}", peers, lambda p, n=c.name: once(p, env, "memory", n))
                            for c in cases.MEMORY if options.only in f"memory {c.name}"]
        if tables["memory"]:
            print("\nPeak resident memory beyond the imports', inputs and compilation included\n\n"
                  + table(tables["memory"], peers, "KiB"))
    if options.json:
        Path(options.json).write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
