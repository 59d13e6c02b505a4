"""Compiles CUDA text for the emulated device: a C++ compiler, the headers in ``emulation``, one library per program.

Libraries are kept by the hash of their text in the cache's folder, or in one of this process where that can't be written.
The headers are compiled once (a precompiled header saves half of the time that a small program takes).
"""
from __future__ import annotations

import atexit
import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.codegen.cache import Cache
from symbolic.errors import CacheError, CompileError, DeviceError

_HEADERS = Path(__file__).parent / "emulation"
#: Numbers are to be what is written, as with NVRTC's --fmad=false. Optimising more costs more than it saves in tests.
FLAGS = ("-std=gnu++17", "-O1", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-w",
         "-fsanitize=signed-integer-overflow,integer-divide-by-zero,bounds,vla-bound", "-fsanitize-undefined-trap-on-error")
#: what makes threads of a block wait for each other
_WAITS = re.compile(r"__syncthreads|__syncwarp|__shfl|__ballot|sym_shuffle|sym_meet")


@cache
def compiler() -> str:
    """Return the command of a C++ compiler.

    Raises
    ------
    DeviceError
        If there is none.
    """
    for name in (os.environ.get("CXX", ""), "g++", "clang++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise DeviceError("device='cuda:emulated' compiles kernels for the CPU, and there is no C++ compiler\n"
                      "hint: install g++ (Debian: apt-get install g++)")


@cache
def compiler_identity() -> str:
    """Return what libraries depend on beside their own text: compiler, options, headers."""
    version = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=False).stdout.splitlines()
    texts = [p.read_text() for p in sorted(_HEADERS.iterdir())]
    return sha256("\0".join([*version[:1], *FLAGS, *texts]).encode()).hexdigest()


def folder() -> Path:
    """Return where libraries are kept."""
    try:
        return Cache().device_folder("emulated")
    except (CacheError, OSError):
        return _private()


@cache
def _private() -> Path:
    """Return a folder of this process alone, where the cache can't be written."""
    made = tempfile.mkdtemp(prefix="symbolic-emulated-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def _header() -> Path:
    """Return the precompiled header's place; it is used where the compiler finds it beside."""
    place = folder() / f"header-{compiler_identity()[:16]}"
    header = place / "cuda.h"
    if not (place / "cuda.h.gch").exists():
        made = Path(tempfile.mkdtemp(dir=folder()))
        (made / "cuda.h").write_text("\n".join((_HEADERS / n).read_text().replace("#pragma once\n", "")
                                               for n in ("runtime.h", "language.h")))
        subprocess.run([compiler(), *FLAGS, "-x", "c++-header", str(made / "cuda.h"), "-o", str(made / "cuda.h.gch")],
                       capture_output=True, check=False)
        try:
            made.rename(place)
        except OSError:  # another process was faster
            shutil.rmtree(made, ignore_errors=True)
    return header


class Kernel:
    """A kernel of a library."""

    def __init__(self, name: str, library: ctypes.CDLL, waits: bool) -> None:
        self.name, self.waits = name, waits
        self._library = library
        self._launch = getattr(library, f"emu_launch_{name}")
        self._message = library.emu_message
        self._message.restype = ctypes.c_char_p

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[np.ndarray], order: int) -> str:
        """Run it; return what went wrong, or nothing."""
        places = (ctypes.c_void_p * max(1, len(args)))(*[a.ctypes.data for a in args])
        three = ctypes.c_uint * 3
        failed = self._launch(places, three(*grid), three(*block), ctypes.c_size_t(0), int(self.waits), order)
        return self._message().decode(errors="replace") if failed else ""


def build(source: str, kernels: Sequence[str]) -> dict[str, Any]:
    """Return the kernels of a CUDA text.

    Raises
    ------
    CompileError
        If the compiler refuses it.
    """
    text = source + "\n" + "\n".join(f"EMU_EXPORT({k})" for k in kernels) + "\n"
    name = sha256(f"{compiler_identity()}\0{text}".encode()).hexdigest()[:32]
    path = folder() / f"{name}.so"
    if not path.exists():
        _compile(text, path)
    else:
        os.utime(path)  # it was used
    library = ctypes.CDLL(str(path))
    return {k: Kernel(k, library, _waits(source, k)) for k in kernels}


def _compile(text: str, path: Path) -> None:
    handle, made = tempfile.mkstemp(dir=path.parent, suffix=".cu")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    command = [compiler(), *FLAGS, "-shared", "-include", str(_header()), "-x", "c++", made, "-o", made + ".so"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            raise CompileError(f"the C++ compiler refused kernels for the emulated device: {done.stderr[:3000]}")
        os.replace(made, path.with_suffix(".cu"))
        os.replace(made + ".so", path)
    finally:
        for left in (made, made + ".so"):
            if os.path.exists(left):
                os.unlink(left)


def _waits(source: str, kernel: str) -> bool:
    """Whether threads of a kernel wait for each other, by themselves or in a helper."""
    start = source.index(f" {kernel}(")
    end = source.find('extern "C"', start)
    text = source[start:end if end > 0 else len(source)]
    return _WAITS.search(text) is not None
