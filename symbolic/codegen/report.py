"""What ``symbolic-cache`` says of one or two functions, without any printing."""
from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import time
from typing import Any

from symbolic.codegen.cache import Cache, Entry
from symbolic.codegen.compiler import find_compiler
from symbolic.errors import CacheError

_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def human(size: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> human(17), human(2048), human(5 * 1024**3)
    ('17 B', '2.0 KiB', '5.0 GiB')
    """
    if size < 1024:
        return f"{int(size)} B"
    power = min(3, (int(size).bit_length() - 1) // 10)
    return f"{size / 1024**power:.1f} {('B', 'KiB', 'MiB', 'GiB')[power]}"


def parse_age(text: str) -> float:
    """Return a number of seconds, given as text such as ``'30d'``, ``'12h'``, ``'90'``.

    Examples
    --------
    >>> parse_age("12h")
    43200.0
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", text)
    if not match:
        raise ValueError(f"{text!r} isn't an age; write for example 30d, 12h, 15m or seconds")
    return float(match[1]) * _AGES[match[2] or "s"]


def ago(moment: float) -> str:
    """Return how long ago `moment` was, in its largest unit."""
    seconds = max(0.0, time.time() - moment)
    unit = next((u for u in ("w", "d", "h", "m") if seconds >= _AGES[u]), "s")
    return f"{int(seconds / _AGES[unit])}{unit} ago"


def row(entry: Entry) -> dict[str, Any]:
    """Return a function's line in the list."""
    m = entry.manifest
    file = m.get("file")
    return {
        "key": entry.key, "name": str(m.get("name") or ""), "file": file, "line": m.get("line"),
        "place": f"{os.path.basename(file)}:{m.get('line')}" if file else "",
        "kernels": len(m.get("kernels", ())), "size": entry.size,
        "seconds": m.get("seconds") or 0.0, "hits": entry.hits, "last_used": entry.last_used,
        "created": m.get("created"), "compiler": str(m.get("compiler") or ""),
        "cpu": str(m.get("cpu") or ""),
    }


def whole_source(cache: Cache, entry: Entry) -> str:
    """Return the C text of a function: its readable file, else the sources of its libraries."""
    text = entry.manifest.get("source")
    if isinstance(text, str) and text:
        if "\n" in text:
            return text
        try:  # one line: a path, absolute or relative to the cache
            return (cache.path / text).read_text(encoding="utf-8")
        except (OSError, ValueError):
            pass
    found = [s for sha in entry.manifest.get("libraries", ()) if (s := cache.library_source(sha))]
    if not found:
        raise CacheError(f"the source of {entry.key} isn't in the cache")
    return "\n".join(found)


def assembly(cache: Cache, entry: Entry) -> tuple[str, str]:
    """Return the tool that was used and the assembly text of a function's kernels."""
    symbols = [f"k_{sha[:16]}" for sha in entry.manifest.get("kernels", ())]
    libraries = entry.manifest.get("libraries", ())
    objdump = shutil.which("objdump")
    if objdump:
        paths = [str(p) for sha in libraries if (p := cache.library(sha))]
        if not paths:
            raise CacheError(f"the libraries of {entry.key} aren't in the cache")
        text = _run([objdump, "-d", "--no-show-raw-insn", *paths])
        return "objdump", _only(text, symbols)
    compiler = find_compiler()
    if compiler is None:
        raise CacheError("asm needs objdump or a C compiler, and neither was found\n"
                         "hint: install binutils (Debian, Ubuntu: sudo apt install binutils)")
    sources = [str(cache.path / "libraries" / f"{sha}.c") for sha in libraries]
    made_with = _listed((cache.library_info(libraries[0]) or {}).get("flags")) if libraries else []
    options = [f for f in made_with if f != "-shared" and not f.startswith("-Wl,")]
    return compiler.kind, "".join(
        _run([*compiler.command, *options, "-S", "-o", "-", source]) for source in sources)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise CacheError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _only(text: str, symbols: list[str]) -> str:
    """Keep the blocks of `symbols` and of their parallel bodies, such as ``k_1f._omp_fn.0``."""
    def wanted(block: str) -> bool:
        return any(f"<{symbol}" in block.partition("\n")[0] for symbol in symbols)

    blocks = [block for block in text.split("\n\n") if wanted(block)]
    return "\n\n".join(blocks) or text


def differences(a: Entry, b: Entry) -> dict[str, str]:
    """Return what differs between two functions, by topic; nothing where nothing recorded does."""
    found = {}
    for name in ("name", "compiler", "cpu", "version"):
        x, y = a.manifest.get(name), b.manifest.get(name)
        if x != y:
            found[name] = f"  - {x}\n  + {y}"
    for name in ("flags", "kernels"):
        x, y = (_listed(e.manifest.get(name)) for e in (a, b))
        if x != y:
            lines = [f"  - {v}" for v in x if v not in y] + [f"  + {v}" for v in y if v not in x]
            found[name] = "\n".join(lines) or "  the same, in another order"
    for name in ("graph", "plan"):
        x, y = (str(e.manifest.get(name) or "").splitlines() for e in (a, b))
        if x != y:
            found[name] = "\n".join(difflib.unified_diff(x, y, a.key[:12], b.key[:12], lineterm=""))
    return found


def _listed(value: Any) -> list[str]:
    return value.split() if isinstance(value, str) else list(value or ())
