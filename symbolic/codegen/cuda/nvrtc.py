"""CUDA text compiled for one GPU architecture: by NVRTC through CuPy, which needs no GPU for it; kept in the cache.

What is kept lies beside the programs for CPUs, by the hash of text, architecture and compiler: ``NAME.cu``,
``NAME.cubin`` and ``NAME.json`` with what ``symbolic-cache`` shows.
"""
from __future__ import annotations

import atexit
import importlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from symbolic.codegen.cache import Cache
from symbolic.errors import CacheError, CompileError, DeviceError

#: Numbers are to be what is written: no contraction to fused multiply-adds, as on CPUs.
OPTIONS = ("--std=c++17", "--fmad=false", "-default-device")
#: What a user installs who has CuPy, but not the libraries that it loads.
INSTALL = "pip install 'cupy-cuda13x[ctk]' brings NVRTC, cuBLAS and the others; a driver for CUDA 13 has to be there already"


@cache
def _binding() -> Any:
    """Return CuPy's binding of NVRTC.

    Raises
    ------
    DeviceError
        If CuPy or NVRTC is missing.
    """
    try:
        module = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        module.getVersion()
    except ImportError as error:
        raise DeviceError(f"device='cuda' needs CuPy and NVRTC, and one can't be loaded: {error}\nhint: {INSTALL}") from None
    except Exception as error:
        raise DeviceError(f"device='cuda' needs NVRTC, which doesn't work: {error}\nhint: {INSTALL}") from None
    return module


def version() -> str:
    """Return NVRTC's version."""
    return "NVRTC " + ".".join(map(str, _binding().getVersion()))


def compile_text(source: str, architecture: str, ptx: bool = False) -> tuple[bytes, str]:
    """Return machine code for an architecture such as ``'90'``, or PTX, and what the compiler says of registers.

    Raises
    ------
    CompileError
        If the text isn't accepted.
    DeviceError
        If NVRTC is missing.

    Notes
    -----
    ``ptxas`` inside of NVRTC tells registers and spills in the log where it is asked with ``-v``.
    """
    nvrtc = _binding()
    program = nvrtc.createProgram(source, "symbolic.cu", (), ())
    options = [*OPTIONS, f"-arch={'compute' if ptx else 'sm'}_{architecture}"]
    if not ptx:
        options.append("--ptxas-options=-v")
    try:
        try:
            nvrtc.compileProgram(program, tuple(options))
        except Exception as error:
            raise CompileError(f"NVRTC refused kernels: {nvrtc.getProgramLog(program) or error}") from None
        made = nvrtc.getPTX(program) if ptx else nvrtc.getCUBIN(program)
        return made, nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)


def resources(log: str) -> dict[str, dict[str, int]]:
    """Return registers, spilled bytes and shared memory of each kernel, as ptxas tells them.

    >>> resources('''Compiling entry function 'k_1' for 'sm_90'
    ...   0 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
    ... Used 24 registers, used 0 barriers, 512 bytes smem, 380 bytes cmem[0]''')
    {'k_1': {'registers': 24, 'spills': 12, 'shared': 512}}
    """
    found: dict[str, dict[str, int]] = {}
    name = ""
    for line in log.splitlines():
        entry = re.search(r"entry function '(\w+)'", line)
        if entry:
            name = entry[1]
            found[name] = {"registers": 0, "spills": 0, "shared": 0}
        spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if spills and name:
            found[name]["spills"] = int(spills[1]) + int(spills[2])
        used = re.search(r"Used (\d+) registers", line)
        if used and name:
            shared = re.search(r"(\d+) bytes smem", line)
            found[name] |= {"registers": int(used[1]), "shared": int(shared[1]) if shared else 0}
    return found


def by_nvcc(source: str, architecture: str) -> dict[str, dict[str, int]]:
    """Return `resources` as the CUDA toolkit's own compiler tells them; for checks on machines that have it.

    Raises
    ------
    CompileError
        If it refuses the text.
    DeviceError
        If there is no nvcc.
    """
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        raise DeviceError("there is no nvcc")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.cu"
        path.write_text(source)
        command = [nvcc, "-cubin", "-std=c++17", "--fmad=false", f"-arch=sm_{architecture}", "-Xptxas", "-v", "-w",
                   str(path), "-o", str(path.with_suffix(".cubin"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(f"nvcc refused kernels: {done.stderr[:3000]}")
    return resources(done.stderr)


def _folder() -> Path:
    try:
        return Cache().device_folder("cuda")
    except (CacheError, OSError):
        return _private()


@cache
def _private() -> Path:
    """Return a folder of this process alone, where the cache can't be written."""
    made = tempfile.mkdtemp(prefix="symbolic-cuda-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def cubin(source: str, architecture: str, kernels: Sequence[str]) -> Path:
    """Return the file of the machine code of a text, compiling it if it isn't in the cache.

    Raises
    ------
    CompileError, DeviceError
    """
    facts = "\0".join([source, architecture, version(), *OPTIONS])
    folder, name = _folder(), sha256(facts.encode()).hexdigest()[:32]
    path = folder / f"{name}.cubin"
    if path.exists() and path.stat().st_size:
        os.utime(path)  # it was used
        return path
    began = time.perf_counter()
    code, log = compile_text(source, architecture)
    about = {"key": name, "architecture": f"sm_{architecture}",
             "compiler": version(), "seconds": time.perf_counter() - began, "created": time.time(), "kernels": list(kernels),
             "resources": resources(log), "bytes": len(code)}
    for suffix, data in ((".cu", source.encode()), (".json", json.dumps(about, indent=1).encode()), (".cubin", code)):
        handle, made = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(made, folder / (name + suffix))
    return path
