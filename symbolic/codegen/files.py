"""Files that are written whole or not at all, in directories that only their owner can write to.

A file that holds compiled code, or names a command to run, is as good as code of this process.
"""
from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from symbolic.errors import CacheError


def private(directory: str | Path) -> None:
    """Make `directory`, or check that only this user can put files there.

    Raises
    ------
    CacheError
        If it can't be made, belongs to someone else, or others may write to it.
    """
    try:
        try:
            info = os.stat(directory)
        except FileNotFoundError:
            os.makedirs(directory, 0o700, exist_ok=True)
            info = os.stat(directory)
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


def write(path: str, data: bytes, scratch: Path) -> None:
    """Write `data` to `path` by a rename from `scratch`, a directory on the same disk."""
    temporary = None
    try:
        for directory in (scratch, Path(path).parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=scratch)  # mode 0600
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise CacheError(f"the cache can't be written: {error}\nhint: make room, or set "
                         "SYMBOLIC_CACHE_DIR to a directory you can write to") from error


def digest(data: bytes) -> str:
    """Return the sha256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def seal(value: Mapping[str, Any]) -> bytes:
    """Return JSON whose first line holds the hash of the rest, so it can be checked unparsed."""
    body = json.dumps(value)[1:].encode()
    return b'{"check": "%s",\n' % digest(body).encode() + body


def read_sealed(path: str) -> dict[str, Any] | None:
    """Return what `seal` wrote to `path`; None where it is missing, truncated or changed."""
    try:
        with open(path, "rb") as file:
            head, _, body = file.read().partition(b"\n")
        if head != b'{"check": "%s",' % digest(body).encode():
            return None
        value = json.loads(b"{" + body)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_json(path: str) -> dict[str, Any] | None:
    """Return the JSON object in `path`; None where there is none."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def stat(path: str | Path) -> os.stat_result | None:
    """Return the status of a file; None where it is missing."""
    try:
        return os.stat(path)
    except OSError:
        return None


def children(directory: str | Path) -> list[Path]:
    """Return the sorted content of a directory; nothing where it is missing."""
    try:
        return sorted(Path(directory).iterdir())
    except OSError:
        return []


def listed(directory: str | Path, suffix: str | None = None) -> list[Path]:
    """Return the content of a directory, perhaps only the names that end in `suffix`."""
    return [p for p in children(directory) if suffix is None or p.suffix == suffix]


def walk(directory: Path) -> Iterator[Path]:
    """Return every file below a directory."""
    for folder, _, names in os.walk(directory):
        for name in names:
            yield Path(folder, name)


def size_of(path: str | Path) -> int:
    """Return the bytes of a file; 0 where it is missing."""
    info = stat(path)
    return info.st_size if info else 0


def written(path: str | Path) -> float:
    """Return when a file was last written; 0.0 where it is missing."""
    info = stat(path)
    return info.st_mtime if info else 0.0


def remove(stem: str, *suffixes: str) -> None:
    """Remove the files `stem` + suffix, in this order; a missing one is fine."""
    for suffix in suffixes:
        Path(stem + suffix).unlink(missing_ok=True)
