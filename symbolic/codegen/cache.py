"""Compiled code on disk, content-addressed: libraries, the kernels in them, whole functions.

    <cache_dir>/v1/libraries/<sha>.so  .c  .json    machine code, its source, how it was made
                   kernels/<sha>                    names the library that exports k_<first 16 digits>
                   functions/<key>.json  .hits      manifest of a function; one byte for each use
                   tmp/                             files being written, swept when old
                   quarantine/                      what `verify` found damaged

There is no lock. Every file is written under ``tmp`` and renamed, so a reader sees all of it or
nothing, whatever is killed whenever; two writers of one name write the same content, and the last
wins. A name is written only after everything it refers to: ``.so`` before its ``.json``, libraries
before kernels and functions. What is missing or damaged is a miss, and is written anew.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from symbolic.config import config
from symbolic.errors import CacheError

_NAME = re.compile(r"[0-9A-Za-z_-]{1,128}")
_HOUR = 3600.0
_DAY = 24 * _HOUR
_SUFFIXES = (".json", ".c", ".so")


class Entry(NamedTuple):
    """A function in the cache and what is known of its use."""

    key: str
    manifest: dict[str, Any]
    hits: int
    last_used: float
    size: int


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
            _private(directory)
        self._libraries = f"{self.path}/libraries/"
        self._kernels = f"{self.path}/kernels/"
        self._functions = f"{self.path}/functions/"

    # ---- functions ----

    def function(self, key: str) -> dict[str, Any] | None:
        """Return the manifest stored under `key` and count the use; None if there is none."""
        path = self._functions + _named(key)
        manifest = _read_sealed(path + ".json")
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
        self._write(f"{self._functions}{key}.json", _sealed({"created": time.time(), **manifest}))
        self._prune_hourly()

    def functions(self) -> list[Entry]:
        """Return all functions, most recently used first; damaged ones are left out."""
        found = [e for path in _files(self._functions, ".json") if (e := self._entry(path))]
        return sorted(found, key=lambda e: (-e.last_used, e.key))

    def _entry(self, path: Path) -> Entry | None:
        manifest = _read_sealed(str(path))
        if manifest is None or manifest.get("key") != path.stem:
            return None
        own, use = _stat(path), _stat(path.with_suffix(".hits"))
        if own is None:
            return None
        hits, used = (use.st_size, use.st_mtime) if use else (0, 0.0)
        size = own.st_size + hits + sum(map(self._library_size, manifest.get("libraries", ())))
        return Entry(path.stem, manifest, hits, max(own.st_mtime, used), size)

    # ---- libraries and kernels ----

    def library(self, sha: str) -> Path | None:
        """Return where a library is, or None if it isn't there in its full size."""
        path = self._libraries + _named(sha)
        meta = _read_json(path + ".json")
        info = _stat(path + ".so")
        # A truncated library would kill the process on its first page fault, so its size is
        # checked on every load; its hash, which costs 1 ms per MB, in `verify`.
        if meta is None or info is None or info.st_size != meta.get("size"):
            return None
        return Path(path + ".so")

    def library_info(self, sha: str) -> dict[str, Any] | None:
        """Return what was stored with a library: flags, compiler, cpu, seconds, kernels, hashes."""
        return _read_json(f"{self._libraries}{_named(sha)}.json")

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
            facts = {"size": len(code), "sha256": _sha(code), "source_sha256": _sha(text)}
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
        try:
            with open(self._kernels + _named(sha), encoding="ascii") as file:
                library = file.read(200).strip()
        except (OSError, ValueError):
            return None
        known = _NAME.fullmatch(library) and os.path.exists(f"{self._libraries}{library}.json")
        return library if known else None

    def store_kernels(self, kernels: Mapping[str, str]) -> None:
        """Note for each kernel, by its sha, the sha of a stored library that exports it."""
        for sha, library in kernels.items():
            self._write(self._kernels + _named(sha), (_named(library) + "\n").encode())

    def _library_size(self, sha: str) -> int:
        return sum(info.st_size for suffix in _SUFFIXES
                   if (info := _stat(self._libraries + sha + suffix)))

    # ---- looking after ----

    def stats(self) -> dict[str, Any]:
        """Return totals: functions, libraries, kernels, bytes, hits, seconds spent and saved."""
        entries = self.functions()
        return {
            "path": str(self.base),
            "functions": len(entries),
            "libraries": len(_files(self._libraries, ".so")),
            "kernels": len(_files(self._kernels)),
            "bytes": self.size(),
            "max_bytes": config.cache_max_size,
            "hits": sum(e.hits for e in entries),
            "seconds_compiling": sum(e.manifest.get("seconds") or 0.0 for e in entries),
            "seconds_saved": sum(e.hits * (e.manifest.get("seconds") or 0.0) for e in entries),
            "quarantined": len(_files(self.path / "quarantine")),
        }

    def size(self) -> int:
        """Return how many bytes the cache takes, unfinished files included."""
        return sum(info.st_size for path in _walk(self.path) if (info := _stat(path)))

    def verify(self, quarantine: bool = True) -> list[Damage]:
        """Hash everything again and return what is damaged.

        Parameters
        ----------
        quarantine : bool
            Whether to move it to ``quarantine/``, so that it is compiled anew when next needed.
        """
        found = [*self._damaged_libraries(), *self._damaged_functions(), *self._damaged_kernels()]
        if quarantine and found:
            aside = self.path / "quarantine"
            aside.mkdir(mode=0o700, exist_ok=True)
            for path, _ in found:
                try:
                    os.replace(path, aside / f"{path.parent.name}-{path.name}")
                except OSError:
                    pass  # gone meanwhile
        return found

    def _damaged_libraries(self) -> Iterator[Damage]:
        for path in _files(self._libraries, ".json"):
            meta = _read_json(str(path))
            if meta is None:
                yield Damage(path, "isn't valid JSON")
                continue
            for suffix, name in ((".so", "sha256"), (".c", "source_sha256")):
                file = path.with_suffix(suffix)
                try:
                    actual = _sha(file.read_bytes())
                except FileNotFoundError:
                    yield Damage(path, f"{file.name} is missing")
                    continue
                if actual != meta.get(name):
                    yield Damage(file, "its hash isn't the one it was stored with")

    def _damaged_functions(self) -> Iterator[Damage]:
        for path in _files(self._functions, ".json"):
            manifest = _read_sealed(str(path))
            if manifest is None or manifest.get("key") != path.stem:
                yield Damage(path, "is truncated or changed")
                continue
            lost = [s for s in manifest.get("libraries", ()) if self.library(s) is None]
            if lost:
                yield Damage(path, f"its library {lost[0]} is missing or truncated")

    def _damaged_kernels(self) -> Iterator[Damage]:
        for path in _files(self._kernels):
            if self.kernel(path.name) is None:
                yield Damage(path, "names a library that isn't there")

    def prune(self, max_size: int | None = None, older_than: float | None = None) -> Pruned:
        """Remove functions, the least recently used first, then what no function refers to.

        Parameters
        ----------
        max_size : int, optional
            Bytes to come down to; default ``config.cache_max_size`` where `older_than` isn't given.
        older_than : float, optional
            Seconds; functions not used for longer are removed.
        """
        if max_size is None and older_than is None:
            max_size = config.cache_max_size
        now, before = time.time(), self.size()
        self._sweep(now)
        entries = self.functions()[::-1]
        own = {e.key: e.size - sum(map(self._library_size, e.manifest.get("libraries", ())))
               for e in entries}
        users: dict[str, int] = {}
        for e in entries:
            for sha in set(e.manifest.get("libraries", ())):
                users[sha] = users.get(sha, 0) + 1
        orphans = self._orphans(users, now)
        size = self.size() - sum(map(self._library_size, orphans))
        removed = 0
        for e in entries:
            expired = older_than is not None and now - e.last_used > older_than
            if not expired and (max_size is None or size <= max_size):
                continue
            self._remove(self._functions + e.key, ".json", ".hits")
            removed, size = removed + 1, size - own[e.key]
            for sha in set(e.manifest.get("libraries", ())):
                users[sha] -= 1
                if not users[sha]:
                    orphans.append(sha)
                    size -= self._library_size(sha)
        for sha in orphans:
            self._remove(self._libraries + sha, *_SUFFIXES)
        if orphans:
            for path in _files(self._kernels):
                if self.kernel(path.name) is None:
                    path.unlink(missing_ok=True)
        return Pruned(removed, len(orphans), max(0, before - self.size()))

    def clear(self) -> None:
        """Remove everything, the compiler's probe included."""
        for directory in (self.path, self.base / "compiler"):
            shutil.rmtree(directory, ignore_errors=True)
        _private(self.path)

    def _orphans(self, users: Mapping[str, int], now: float) -> list[str]:
        """Return libraries without a function; young ones may be about to get theirs."""
        found = {path.stem: info.st_mtime for path in _files(self._libraries)
                 if (info := _stat(path))}
        return [s for s, written in found.items() if s not in users and now - written > _HOUR]

    def _sweep(self, now: float) -> None:
        """Remove what killed processes left, and sources kept for errors, after a day."""
        for path in (*_children(self.path / "tmp"), *_children(self.path / "quarantine")):
            info = _stat(path)
            if info and now - info.st_mtime > _DAY:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(True)

    def _prune_hourly(self) -> None:
        mark = self.path / "pruned"
        info = _stat(mark)
        if info and time.time() - info.st_mtime < _HOUR:
            return
        mark.touch(mode=0o600)  # first, so that other processes don't start the same
        self.prune(config.cache_max_size)

    def _remove(self, stem: str, *suffixes: str) -> None:
        for suffix in suffixes:  # .json goes first: without it the rest isn't looked at
            Path(stem + suffix).unlink(missing_ok=True)

    def _write(self, path: str, data: bytes) -> None:
        for directory in (self.path / "tmp", Path(path).parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path / "tmp")  # mode 0600
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError as error:
            raise CacheError(f"the cache can't be written: {error}\nhint: make room, or set "
                             "SYMBOLIC_CACHE_DIR to a directory you can write to") from error


def _private(directory: Path) -> None:
    """Make `directory`, or check that only this user can put files there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = directory.stat()
    except OSError as error:
        raise CacheError(f"the cache directory can't be used: {error}\nhint: set "
                         "SYMBOLIC_CACHE_DIR to a directory you can write to") from error
    if not hasattr(os, "geteuid"):
        return
    if info.st_uid != os.geteuid():
        raise CacheError(f"the cache directory {directory} belongs to user {info.st_uid}, not to "
                         f"{os.geteuid()}; its libraries would run as you\nhint: set "
                         "SYMBOLIC_CACHE_DIR to a directory of your own")
    if info.st_mode & 0o022:
        raise CacheError(f"the cache directory {directory} can be written by others (mode "
                         f"{info.st_mode & 0o7777:o}); its libraries would run as you\n"
                         f"hint: chmod 700 {directory}")


def _named(name: str) -> str:
    """Return `name` if it can be a file name here; a sha in a damaged file might not."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CacheError(f"{name!r} isn't a key: expected up to 128 letters, digits, '-' or '_'")
    return name


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sealed(value: Mapping[str, Any]) -> bytes:
    """Return JSON whose first line holds the hash of the rest, so it can be checked unparsed."""
    body = json.dumps(value)[1:].encode()
    return b'{"check": "%s",\n' % _sha(body).encode() + body


def _read_sealed(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            head, _, body = file.read().partition(b"\n")
        if head != b'{"check": "%s",' % _sha(body).encode():
            return None
        value = json.loads(b"{" + body)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _read_json(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _children(directory: str | Path) -> list[Path]:
    try:
        return sorted(Path(directory).iterdir())
    except OSError:
        return []


def _files(directory: str | Path, suffix: str | None = None) -> list[Path]:
    return [p for p in _children(directory) if suffix is None or p.suffix == suffix]


def _walk(directory: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(directory):
        for name in names:
            yield Path(folder, name)
