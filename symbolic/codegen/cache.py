"""Compiled code on disk, content-addressed: libraries, the kernels in them, whole functions.

    <cache_dir>/v1/libraries/<sha>.so  .c  .json    machine code, its source, how it was made
                   kernels/<sha>                    names the library exporting k_<16 digits>
                   functions/<key>.json  .hits      manifest of a function; one byte for each use
                   requests/<key>.json              names the function that a graph, as its user wrote it, was compiled to
                   tmp/                             files being written, swept when old
                   quarantine/                      what `verify` found damaged

There is no lock. Every file is written under ``tmp`` and renamed, so a reader sees all of it or
nothing, whatever is killed whenever; two writers of one name write the same content, and the last
wins. A name is written only after everything it refers to: ``.so`` before its ``.json``, libraries
before kernels and functions, functions before requests. What is missing or damaged is a miss, and is written anew.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from symbolic.codegen.files import (
    children,
    digest,
    listed,
    private,
    read_json,
    read_sealed,
    remove,
    seal,
    size_of,
    stat,
    walk,
    write,
    written,
)
from symbolic.config import config
from symbolic.errors import CacheError

_NAME = re.compile(r"[0-9A-Za-z_-]{1,128}")
_HOUR = 3600.0
_DAY = 24 * _HOUR
_SUFFIXES = (".json", ".c", ".so")  # .json goes first: the rest isn't looked at without it


class Entry(NamedTuple):
    """A function in the cache and what is known of its use."""

    key: str
    manifest: dict[str, Any]
    hits: int
    last_used: float
    size: int


#: Folders of code for devices: GPUs, and the one that is emulated. Files of one name belong together.
DEVICES = ("cuda", "emulated")
#: Which part of the cache they may take.
DEVICES_SHARE = 4


class Damage(NamedTuple):
    """A file that `Cache.verify` found wrong."""

    path: Path
    problem: str


class Pruned(NamedTuple):
    """What `Cache.prune` removed."""

    functions: int
    libraries: int
    bytes: int


class Cache:
    """A cache directory.

    Parameters
    ----------
    path : path, optional
        Default ``config.cache_dir``. Made with mode 0700 where it doesn't exist.

    Raises
    ------
    CacheError
        If it can't be made, belongs to someone else, or others may write to it: loading a library
        from there would run their code.

    Examples
    --------
    >>> import tempfile
    >>> cache = Cache(tempfile.mkdtemp())
    >>> cache.store_function({"key": "k1", "name": "f", "libraries": []})
    >>> cache.function("k1")["name"]
    'f'
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.base = Path(path if path is not None else config.cache_dir).absolute()
        self.path = self.base / "v1"
        for directory in (self.base, self.path):
            private(directory)
        self._libraries = f"{self.path}/libraries/"
        self._kernels = f"{self.path}/kernels/"
        self._functions = f"{self.path}/functions/"
        self._requests = f"{self.path}/requests/"

    # ---- functions ----

    def function(self, key: str) -> dict[str, Any] | None:
        """Return the manifest stored under `key` and count the use; None if there is none."""
        path = self._functions + _named(key)
        manifest = read_sealed(path + ".json")
        if manifest is None or manifest.get("key") != key:
            return None
        try:  # the size counts the uses, the time is the last: one append, no rewriting, no lock
            hits = os.open(path + ".hits", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(hits, b".")
            os.close(hits)
        except OSError:
            pass  # a cache that can only be read is still of use
        return manifest

    def store_function(self, manifest: Mapping[str, Any]) -> None:
        """Store the manifest of a function under ``manifest["key"]``.

        Parameters
        ----------
        manifest : mapping
            JSON values. ``key``, ``libraries`` (their sha) are read here; ``name``, ``file``,
            ``line``, ``created``, ``seconds``, ``stages``, ``kernels``, ``program``, ``graph``,
            ``plan``, ``flags``, ``compiler``, ``cpu``, ``source`` are shown by symbolic-cache.

        Raises
        ------
        CacheError
            If one of its libraries isn't in the cache.
        """
        key = _named(manifest["key"])
        for sha in manifest.get("libraries", ()):
            if not os.path.exists(f"{self._libraries}{_named(sha)}.so"):
                raise CacheError(f"function {key}: its library {sha} isn't in the cache\n"
                                 "hint: call store_library first")
        self._write(f"{self._functions}{key}.json", seal({"created": time.time(), **manifest}))
        self._prune_hourly(key)

    def request(self, key: str) -> dict[str, Any] | None:
        """Return what was stored for a graph as its user wrote it; None if there is nothing."""
        found = read_sealed(f"{self._requests}{_named(key)}.json")
        return None if found is None or found.get("key") != key else found

    def store_request(self, found: Mapping[str, Any]) -> None:
        """Store under ``found["key"]`` which function, ``found["function"]``, a graph as written was compiled to.

        Raises
        ------
        CacheError
            If that function isn't in the cache.
        """
        key, function = _named(found["key"]), _named(found["function"])
        if not os.path.exists(f"{self._functions}{function}.json"):
            raise CacheError(f"request {key}: its function {function} isn't in the cache\nhint: call store_function first")
        self._write(f"{self._requests}{key}.json", seal(found))

    def functions(self) -> list[Entry]:
        """Return all functions, most recently used first; damaged ones are left out."""
        found = [e for path in listed(self._functions, ".json") if (e := self._entry(path))]
        return sorted(found, key=lambda e: (-e.last_used, e.key))

    def _entry(self, path: Path) -> Entry | None:
        manifest = read_sealed(str(path))
        own, use = stat(path), stat(path.with_suffix(".hits"))
        if manifest is None or manifest.get("key") != path.stem or own is None:
            return None
        hits, used = (use.st_size, use.st_mtime) if use else (0, 0.0)
        size = own.st_size + hits + sum(map(self._library_size, _libraries(manifest)))
        return Entry(path.stem, manifest, hits, max(own.st_mtime, used), size)

    # ---- libraries and kernels ----

    def library(self, sha: str) -> Path | None:
        """Return where a library is, or None if it isn't there in its full size."""
        path = self._libraries + _named(sha)
        meta = read_json(path + ".json")
        info = stat(path + ".so")
        # A truncated library would kill the process on its first page fault, so its size is
        # checked on every load; its hash, which costs 1 ms per MB, in `verify`.
        if meta is None or info is None or info.st_size != meta.get("size"):
            return None
        return Path(path + ".so")

    def library_info(self, sha: str) -> dict[str, Any] | None:
        """Return what was stored with a library: flags, compiler, cpu, seconds, kernels, hashes."""
        return read_json(f"{self._libraries}{_named(sha)}.json")

    def library_source(self, sha: str) -> str | None:
        """Return the C text of a library."""
        try:
            return Path(f"{self._libraries}{_named(sha)}.c").read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def store_library(self, sha: str, built: str | os.PathLike[str], source: str,
                      meta: Mapping[str, Any]) -> Path:
        """Move a library that was just built into the cache and return its path there.

        Parameters
        ----------
        sha : str
            Hash of all that decides its content; the same sha always means the same library.
        built : path
            The library; it is gone afterwards.
        source : str
            The C text it was made from.
        meta : mapping
            JSON values: ``flags``, ``compiler``, ``cpu``, ``seconds``, ``kernels``.
        """
        path, built = self._libraries + _named(sha), Path(built)
        if self.library(sha) is None:
            code, text = built.read_bytes(), source.encode()
            facts = {"size": len(code), "sha256": digest(code), "source_sha256": digest(text)}
            self._write(path + ".c", text)
            self._write(path + ".so", code)
            self._write(path + ".json", json.dumps({**meta, **facts}).encode())
        built.unlink(missing_ok=True)
        try:
            built.parent.rmdir()  # the private directory of the build, once it is empty
        except OSError:
            pass
        return Path(path + ".so")

    def kernel(self, sha: str) -> str | None:
        """Return the sha of the library that has a kernel, or None."""
        library = self._kernel_library(_named(sha))
        known = library and os.path.exists(f"{self._libraries}{library}.json")
        return library if known else None

    def _kernel_library(self, sha: str) -> str | None:
        try:
            with open(self._kernels + sha, encoding="ascii") as file:
                text = file.read(200)
        except (OSError, ValueError):
            return None
        return text[:-1] if text.endswith("\n") and _NAME.fullmatch(text[:-1]) else None

    def store_kernels(self, kernels: Mapping[str, str]) -> None:
        """Note for each kernel, by its sha, the sha of a stored library that exports it."""
        for sha, library in kernels.items():
            self._write(self._kernels + _named(sha), (_named(library) + "\n").encode())

    def _library_size(self, sha: str) -> int:
        return sum(size_of(self._libraries + sha + suffix) for suffix in _SUFFIXES)

    def _function_size(self, key: str) -> int:
        return sum(size_of(self._functions + key + suffix) for suffix in (".json", ".hits"))

    def _content_size(self) -> int:
        return sum(map(size_of, (f for folder in (self._libraries, self._kernels, self._functions, self._requests)
                               for f in listed(folder))))

    # ---- looking after ----

    def stats(self) -> dict[str, Any]:
        """Return totals: functions, libraries, kernels, bytes, hits, seconds spent and saved."""
        entries = self.functions()
        return {
            "path": str(self.base),
            "functions": len(entries),
            "libraries": len(listed(self._libraries, ".so")),
            "kernels": len(listed(self._kernels)),
            "requests": len(listed(self._requests, ".json")),
            "bytes": self.size(),
            "max_bytes": config.cache_max_size,
            "hits": sum(e.hits for e in entries),
            "seconds_compiling": sum(e.manifest.get("seconds") or 0.0 for e in entries),
            "seconds_saved": sum(e.hits * (e.manifest.get("seconds") or 0.0) for e in entries),
            "quarantined": len(listed(self.path / "quarantine")),
        }

    def size(self) -> int:
        """Return how many bytes the cache takes, unfinished files included."""
        return sum(map(size_of, walk(self.path)))

    def verify(self, quarantine: bool = True) -> list[Damage]:
        """Hash everything again and return what is damaged.

        Parameters
        ----------
        quarantine : bool
            Whether to move it to ``quarantine/``, so that it is compiled anew when next needed.
        """
        found = list(self._damaged_libraries())
        bad = {damage.path.stem for damage in found}
        found += self._damaged_functions(bad)
        found += [Damage(path, "isn't the name of a library") for path in listed(self._kernels)
                  if self._kernel_library(path.name) is None and path.exists()]
        if quarantine:
            for path, _ in found:
                folder = path.parent
                for file in listed(folder):
                    if file.stem == path.stem:  # a library goes with its source and description
                        self._set_aside(file)
            self._drop_dangling_kernels()
            self._drop_dangling_requests()
        return found

    def _set_aside(self, file: Path) -> None:
        aside = self.path / "quarantine"
        aside.mkdir(mode=0o700, exist_ok=True)
        try:
            os.replace(file, aside / f"{file.parent.name}-{file.name}")
        except OSError:
            pass  # gone meanwhile

    def _damaged_libraries(self) -> Iterator[Damage]:
        for path in listed(self._libraries, ".json"):
            meta = read_json(str(path))
            if meta is None:
                yield Damage(path, "isn't valid JSON")
                continue
            for suffix, name in ((".so", "sha256"), (".c", "source_sha256")):
                file = path.with_suffix(suffix)
                try:
                    actual = digest(file.read_bytes())
                except FileNotFoundError:
                    if path.exists():  # else it was pruned meanwhile
                        yield Damage(file, "is missing")
                    continue
                if actual != meta.get(name):
                    yield Damage(file, "its hash isn't the one it was stored with")

    def _damaged_functions(self, bad: set[str]) -> Iterator[Damage]:
        for path in listed(self._functions, ".json"):
            manifest = read_sealed(str(path))
            if manifest is None or manifest.get("key") != path.stem:
                yield Damage(path, "is truncated or changed")
                continue
            lost = [s for s in _libraries(manifest) if s in bad or self.library(s) is None]
            if lost:
                yield Damage(path, f"its library {lost[0]} is missing or damaged")
        for path in listed(self._requests, ".json"):
            found = read_sealed(str(path))
            if found is None or found.get("key") != path.stem or not isinstance(found.get("function"), str):
                yield Damage(path, "is truncated or changed")

    def prune(self, max_size: int | None = None, older_than: float | None = None,
              spare: str = "") -> Pruned:
        """Remove functions, the least recently used first, then what no function refers to.

        Parameters
        ----------
        max_size : int, optional
            Bytes to come down to; default ``config.cache_max_size`` where `older_than` isn't given.
        older_than : float, optional
            Seconds; functions not used for longer are removed.
        spare : str, optional
            Key of a function that stays in any case.

        Notes
        -----
        A library younger than an hour that no function refers to stays: its function may be about
        to be stored.
        """
        if max_size is None and older_than is None:
            max_size = config.cache_max_size
        now, before = time.time(), self.size()
        self._sweep(now)
        entries = self.functions()[::-1]
        users = Counter(s for e in entries for s in _libraries(e.manifest))
        dropped = [path.stem for path in listed(self._libraries, ".so")
                   if path.stem not in users and now - written(path) > _HOUR]
        held = self._content_size() - sum(map(self._library_size, dropped))
        removed = 0
        for e in entries:
            expired = older_than is not None and now - e.last_used > older_than
            if e.key == spare or not (expired or (max_size is not None and held > max_size)):
                continue
            removed, held = removed + 1, held - self._function_size(e.key)
            remove(self._functions + e.key, ".json", ".hits")
            users.subtract(_libraries(e.manifest))
            freed = [s for s in _libraries(e.manifest) if not users[s]]
            held -= sum(map(self._library_size, freed))
            dropped += freed
        for sha in dropped:
            remove(self._libraries + sha, *_SUFFIXES)
        self._drop_dangling_kernels()
        self._drop_dangling_requests()
        gone = self._prune_devices(None if max_size is None else max_size // DEVICES_SHARE, older_than, now)
        return Pruned(removed, len(dropped) + gone, max(0, before - self.size()))

    def _prune_devices(self, max_size: int | None, older_than: float | None, now: float) -> int:
        """Remove code for devices, the least recently used first; return how many programs that was."""
        programs: dict[Path, list[Path]] = {}
        for folder in DEVICES:
            for file in (f for f in listed(self.path / folder) if not f.is_dir()):  # headers stay
                programs.setdefault(file.with_suffix(""), []).append(file)
        used = {name: max(map(written, files)) for name, files in programs.items()}
        held, removed = sum(size_of(f) for files in programs.values() for f in files), 0
        for name in sorted(programs, key=used.__getitem__):
            expired = older_than is not None and now - used[name] > older_than
            if expired or (max_size is not None and held > max_size):
                removed, held = removed + 1, held - sum(map(size_of, programs[name]))
                for file in programs[name]:
                    file.unlink(True)
        return removed

    def device_folder(self, name: str) -> Path:
        """Return the folder of code for a kind of device, one of `DEVICES`; once an hour, what is too much is removed."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        self._prune_hourly("")
        return path

    def device_programs(self) -> list[dict[str, Any]]:
        """Return what is known of each program for GPUs, the latest first: key, architecture, kernels with their resources."""
        found = [about for file in listed(self.path / "cuda", ".json") if (about := read_json(str(file))) is not None]
        return sorted(found, key=lambda about: -(about.get("created") or 0))

    def device_source(self, key: str) -> str | None:
        """Return the CUDA text of a program for GPUs."""
        try:
            return (self.path / "cuda" / f"{_named(key)}.cu").read_text(encoding="utf-8")
        except OSError:
            return None

    def clear(self) -> None:
        """Remove everything, the compiler's probe included."""
        for directory in (self.path, self.base / "compiler"):
            shutil.rmtree(directory, ignore_errors=True)
        private(self.path)

    def _sweep(self, now: float) -> None:
        """Remove what killed processes left, and sources kept for errors, after a day."""
        for path in (*children(self.path / "tmp"), *children(self.path / "quarantine")):
            if now - written(path) > _DAY:
                shutil.rmtree(path, True) if path.is_dir() else path.unlink(True)
        for path in listed(self._functions, ".hits"):  # counted while its function was removed
            if not path.with_suffix(".json").exists():
                path.unlink(True)

    def _drop_dangling_kernels(self) -> None:
        for path in listed(self._kernels):
            library = self._kernel_library(path.name)  # not `kernel`: any name may lie here, .DS_Store for one
            if library is None or not os.path.exists(f"{self._libraries}{library}.json"):
                path.unlink(True)

    def _drop_dangling_requests(self) -> None:
        for path in listed(self._requests, ".json"):
            found = read_sealed(str(path))
            if found is not None and not os.path.exists(f"{self._functions}{found.get('function')}.json"):
                path.unlink(True)

    def _prune_hourly(self, spare: str) -> None:
        mark = self.path / "pruned"
        if time.time() - written(mark) < _HOUR:
            return
        mark.touch(mode=0o600)  # first, so that other processes don't start the same
        self.prune(config.cache_max_size, spare=spare)

    def _write(self, path: str, data: bytes) -> None:
        write(path, data, self.path / "tmp")


def _named(name: str) -> str:
    """Return `name` if it can be a file name here; a sha in a damaged file might not."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CacheError(f"{name!r} isn't a key: expected up to 128 letters, digits, '-' or '_'")
    return name


def _libraries(manifest: Mapping[str, Any]) -> set[str]:
    return set(manifest.get("libraries", ()))
