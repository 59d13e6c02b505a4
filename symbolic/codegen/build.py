"""C texts become shared libraries: as many compilers at once as there are cores, the first one started before its text is known.

A compiler takes 7 ms to start and to set itself up. So it is started as soon as the cache is found to lack a function, on a
file that includes its standard input; while it waits, the function is rewritten and its text is written.
"""
from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from symbolic.codegen.compiler import WAITING, Compiler, flags, link_object, links
from symbolic.codegen.files import private
from symbolic.config import available_cores, config
from symbolic.errors import CompileError

#: seconds after which what an unfinished build left is removed
_KEPT = 86400

_starting = threading.RLock()
_open: set[IO[bytes]] = set()  # pipes to compilers that wait


def _forked() -> None:
    """In a forked process: let go of pipes, since a compiler reads until the last one that could write has closed its end."""
    _starting.release()
    for pipe in _open:
        pipe.raw.close()  # type: ignore[attr-defined]  # without what the buffer holds: the parent writes that
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_forked)


class Waiting:
    """A compiler that waits for its text, in the private directory of a build."""

    def __init__(self, compiler: Compiler, directory: str | os.PathLike[str]) -> None:
        self.compiler = compiler
        self.folder = _folder(directory)
        (self.folder / "waiting.c").write_text(WAITING, encoding="utf-8")
        # -pipe: the assembler starts early too, which saves 3 ms (nothing where both start when there is work)
        self.command = [*compiler.command, *(f for f in flags(compiler) if f != "-shared"), "-pipe", "-c", "waiting.c",
                        "-o", "waiting.o"]
        with open(self.folder / "waiting.log", "wb") as log, _starting:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=_environment(self.folder), stdout=log, stderr=log,
                                            stdin=subprocess.PIPE)
            assert self.process.stdin is not None
            _open.add(self.process.stdin)

    def feed(self, name: str, source: str) -> None:
        """Give it its text, under the name that its messages shall have."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: its exit status tells
            self.process.stdin.write(f'#line 1 "{name}.c"\n{source}'.encode())
        self._close()

    def close(self) -> None:
        """End it, if nothing was to be compiled after all."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        _open.discard(self.process.stdin)


@contextlib.contextmanager
def waiting(compiler: Compiler, directory: str | os.PathLike[str] | None) -> Iterator[Waiting | None]:
    """Give a compiler that waits for :func:`build`; None where it can't, or there is no directory to build in."""
    found: Waiting | None = None
    if directory is not None and compiler.waits:
        with contextlib.suppress(OSError):
            found = Waiting(compiler, directory)
    try:
        yield found
    finally:
        if found is not None:
            found.close()
            with contextlib.suppress(OSError):  # not empty: it holds what was built, or what didn't compile
                for name in ("waiting.c", "waiting.o", "waiting.log"):
                    (found.folder / name).unlink(missing_ok=True)
                found.folder.rmdir()


class _Job:
    """The commands that make one library, one after the other."""

    def __init__(self, name: str, commands: list[list[str]], process: subprocess.Popen[bytes] | None = None,
                 log: str | None = None) -> None:
        self.name, self.commands, self.process, self.log = name, commands, process, log or name

    def start(self, folder: Path, env: dict[str, str]) -> None:
        self.log = self.name
        with open(folder / f"{self.name}.log", "wb") as log:  # a pipe could fill up and block it
            self.process = subprocess.Popen(self.commands[0], cwd=folder, env=env, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)


def build(compiler: Compiler, sources: Sequence[str], names: Sequence[str],
          directory: str | os.PathLike[str] | None = None, first: Waiting | None = None) -> list[Path]:
    """Compile C texts into shared libraries, as many at a time as there are cores.

    Parameters
    ----------
    compiler : Compiler
    sources : sequence of str
        One C text for each library.
    names : sequence of str
        File names without suffix, different from each other.
    directory : path, optional
        Where to make the private directory of this build; default ``<cache_dir>/v1/tmp``.
    first : Waiting, optional
        A compiler that waits; it gets the first text.

    Returns
    -------
    list of Path
        One for each source, all in a directory that nobody else uses. Equal sources under equal
        names give equal bytes. ``Cache.store_library`` moves them to their place.

    Raises
    ------
    CompileError
        If one doesn't compile: the command, the first diagnostics, where the source is.
    """
    if not sources:
        return []
    if directory is None and first is None:
        private(config.cache_dir)
    folder = first.folder if first is not None else _folder(directory or os.path.join(config.cache_dir, "v1", "tmp"))
    jobs: list[_Job] = []
    try:
        for name, source in zip(names, sources, strict=True):
            if first is not None and not jobs:
                link = link_object(compiler, source, "waiting.o", f"{name}.so")
                first.feed(name, source)
                jobs.append(_Job(name, [first.command, link], first.process, "waiting"))
            else:
                jobs.append(_from_file(compiler, folder, name, source))
        try:
            _run_all(jobs, folder, _environment(folder))
        except _Killed:  # by the kernel, mostly, for want of memory: once more, one after the other
            jobs = [_from_file(compiler, folder, name, source) for name, source in zip(names, sources, strict=True)]
            _run_all(jobs, folder, _environment(folder), 1)
    except CompileError:
        with contextlib.suppress(OSError):  # the disk may be full
            for name, source in zip(names, sources, strict=True):
                (folder / f"{name}.c").write_text(source, encoding="utf-8")
        raise
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for name in names:
        (folder / f"{name}.c").unlink(missing_ok=True)
        (folder / f"{name}.log").unlink()
    return [folder / f"{name}.so" for name in names]


class _Killed(CompileError):
    """A compiler was ended by a signal."""


def _from_file(compiler: Compiler, folder: Path, name: str, source: str) -> _Job:
    """Return the job of a text that lies in a file."""
    # Relative names: an absolute one would be written into the symbol table, so that the bytes would differ from build to build.
    (folder / f"{name}.c").write_text(source, encoding="utf-8")
    return _Job(name, [[*compiler.command, *flags(compiler), f"{name}.c", "-o", f"{name}.so", *links(compiler, source)]])


def _folder(directory: str | os.PathLike[str]) -> Path:
    parent = Path(directory)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for entry in os.scandir(parent):  # what killed processes left, or builds that failed, for a day
        with contextlib.suppress(OSError):
            if entry.name.startswith("build-") and entry.stat().st_mtime < time.time() - _KEPT:
                shutil.rmtree(entry.path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix="build-", dir=parent))


def _environment(folder: Path) -> dict[str, str]:
    """TMPDIR: what a killed compiler leaves goes with `folder`."""
    return os.environ | {"LC_ALL": "C", "TMPDIR": str(folder)}


def _run_all(jobs: list[_Job], folder: Path, env: dict[str, str], cores: int | None = None) -> None:
    """Run the commands of all jobs, at most one a core; stop at the first that fails."""
    running = [job for job in jobs if job.process is not None]
    later = [job for job in jobs if job.process is None][::-1]
    cores = available_cores() if cores is None else cores
    try:
        while later or running:
            while later and len(running) < cores:
                running.append(later.pop())
                running[-1].start(folder, env)
            job = running[_first_done([job.process for job in running if job.process is not None])]
            assert job.process is not None
            if job.process.returncode:
                text = _failure(job, folder)
                if job.process.returncode < 0 or "signal terminated program" in text:
                    raise _Killed(f"{text}\nhint: a signal ended the compiler: the machine may be out of memory, or a limit "
                                  "(ulimit, a container's) too low")
                raise CompileError(text)
            del job.commands[0]
            if job.commands:
                job.start(folder, env)
            else:
                running.remove(job)
    finally:
        for job in running:
            if job.process is not None:
                job.process.kill()
                job.process.wait()


def _first_done(processes: list[subprocess.Popen[bytes]]) -> int:
    if len(processes) == 1:
        processes[0].wait()
    while True:
        for k, process in enumerate(processes):
            if process.poll() is not None:
                return k
        time.sleep(0.001)


def _failure(job: _Job, folder: Path) -> str:
    assert job.process is not None
    log = (folder / f"{job.log}.log").read_text(errors="replace")
    lines = [line for line in log.splitlines() if line.strip()]
    wrong = next((k for k, line in enumerate(lines) if "error" in line), 0)
    shown = "\n".join(lines[max(0, wrong - 1):wrong + 9]) or f"(no output, exit status {job.process.returncode})"
    command = shlex.join(job.commands[0]).replace("waiting.c", f"{job.name}.c")
    return (f"the C compiler failed on {job.name}.c\n{shown}\n"
            f"command: {command}\nsource: {folder / job.name}.c")
