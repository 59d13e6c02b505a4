"""Build and load the entry, the one CPython extension that calls compiled programs.

The extension's parts are `templates/entry*`. It has

``Callable(run, inputs, *, names, shared, shared_types, constants, outputs, updates, single, nout,``
``convert, bind, miss, python_calls, python_types, python_input_types, threads, keys)``
    A compiled function. ``run`` is the address of a ``symbolic_run_function`` (`templates/runtime.h`).
    Types are pairs ``(typenum, ndim)``: ``inputs``, ``shared_types`` and ``outputs`` are tuples of
    them, ``python_types`` and ``python_input_types`` have a tuple of them for each of
    ``python_calls``. ``updates`` has pairs ``(index into shared, in place?)``. ``single`` (or
    ``nout=-1``) returns the only output bare, with ``keys`` a dict is returned, else a list. ``convert(i, value)`` makes
    an array of an argument, or with ``i >= len(inputs)`` of a shared value, that doesn't fit;
    ``bind(args, kwargs)`` gives the full tuple of arguments; ``miss(guard, detail, args)`` answers a
    call whose guard failed.
``Storage(value)``
    The array of a shared variable.
``load(path, symbol, shared=False)``
    The address of a symbol of a shared library; ImportError if there is none. With ``shared``, libraries
    loaded later may call its functions.
``enable_vectorcall(cls)``
    To be applied to subclasses of Callable written in Python.
``blas_info()``, ``set_blas_threads(n)``
    The BLAS behind a program's ``gemm``.
``trim()``, ``set_kept_limit(bytes)``
    Memory kept between calls.
``build_seconds``
    How long building took; 0.0 if the cache had it.
"""
from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

_SOURCES = Path(__file__).parent / "templates"
_PARTS = ("entry.c", "entry_blas.h", "entry_call.h", "entry_callable.h", "entry_gemm_loops.h",
          "entry_lapack.h", "entry_memory.h", "entry_outputs.h", "entry_runtime.h", "entry_sort.h",
          "entry_storage.h", "runtime.h")
_NAME = "symbolic_entry"
_FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra")
_LINK = (("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-ldl", "-lpthread"))


class EntryBuildError(RuntimeError):
    """The entry extension can't be built or loaded on this machine."""


def load_entry(cache_dir: Path, compiler: Sequence[str]) -> ModuleType:
    """Return the extension module ``symbolic_entry``, building it if the cache lacks it.

    Parameters
    ----------
    cache_dir : Path
        The extension lives in ``cache_dir/entry/<key>/``. Many processes may build at once.
    compiler : sequence of str
        The C compiler's command, such as ``["gcc"]``.

    Returns
    -------
    module
        See this file's head for what is in it.

    Raises
    ------
    EntryBuildError
        If there is no compiler, there are no headers of Python, or the build fails.
    """
    return _load_once(Path(cache_dir), tuple(compiler))


@cache
def _load_once(cache_dir: Path, compiler: tuple[str, ...]) -> ModuleType:
    home = cache_dir / "entry" / entry_key(compiler)
    seconds = 0.0
    if not _is_sound(home):
        start = time.perf_counter()
        try:
            _build(home, compiler)
        except OSError as error:
            raise EntryBuildError(f"can't write the entry extension to {home}: {error}") from error
        seconds = time.perf_counter() - start
    file = home / _library_name()
    try:
        module = _load_module(file)
    except ImportError as error:
        raise EntryBuildError(f"can't load the entry extension {file}: {error}") from error
    module.build_seconds = seconds  # type: ignore[attr-defined]
    use_blas(module, find_blas(module))
    found = find_lapack(module)
    module.set_lapack(*found)
    module.has_lapack = found[0] > 0  # type: ignore[attr-defined]
    module.use_numpy_sort(_sorts_vectors())
    return module


def _sorts_vectors() -> bool:
    """Whether NumPy sorts by vector code on this processor; otherwise its introsort is slower than sorting by digits."""
    features = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    known = getattr(features, "__cpu_features__", {})
    return any(known.get(name) for name in ("AVX2", "AVX512_SKX", "ASIMD"))


def entry_key(compiler: Sequence[str]) -> str:
    """Return the hash of all that the extension's binary depends on."""
    digest = hashlib.sha256()
    facts = (*compiler, *_FLAGS, *_LINK, sys.version, _library_name(), platform.machine(),
             np.__version__)
    for text in facts:
        digest.update(text.encode() + b"\0")
    for part in _PARTS:
        digest.update((_SOURCES / part).read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def _library_name() -> str:
    return _NAME + str(sysconfig.get_config_var("EXT_SUFFIX"))


# ---- building -----------------------------------------------------------------------------------


def _is_sound(home: Path) -> bool:
    """Is there a library of ours, as it was written?"""
    try:
        file = home / _library_name()
        if hasattr(os, "geteuid") and file.stat().st_uid != os.geteuid():
            raise EntryBuildError(f"{file} belongs to another user; choose another cache directory")
        written = (home / "sha256").read_text().strip()
        return hashlib.sha256(file.read_bytes()).hexdigest() == written
    except OSError:
        return False


def _build(home: Path, compiler: tuple[str, ...]) -> None:
    """Compile into a directory of its own, then rename that directory to `home`."""
    include = Path(sysconfig.get_paths()["include"])
    if not (include / "Python.h").is_file():
        raise EntryBuildError(
            f"Python.h isn't in {include}: install the headers of Python "
            f"{sys.version_info.major}.{sys.version_info.minor} (python3-dev or python3-devel)")
    home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix="build-", dir=home.parent) as scratch:
        fresh = Path(scratch) / "entry"
        fresh.mkdir(mode=0o700)
        file = fresh / _library_name()
        _compile([*compiler, *_FLAGS, f"-I{include}", f"-I{np.get_include()}",
                  str(_SOURCES / "entry.c"), "-o", str(file), *_LINK])
        (fresh / "sha256").write_text(hashlib.sha256(file.read_bytes()).hexdigest())
        _publish(fresh, home)


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise EntryBuildError(f"can't run the C compiler {command[0]!r}: {error.strerror}; "
                              "install gcc or name another compiler") from error
    if done.returncode:
        raise EntryBuildError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")


def _publish(fresh: Path, home: Path) -> None:
    for _ in range(5):
        try:
            fresh.rename(home)
            return
        except OSError:  # `home` exists: another process was first, or what is there is damaged
            if _is_sound(home):
                return
            shutil.rmtree(home, ignore_errors=True)
    raise EntryBuildError(f"can't write {home}: is the cache directory writable?")


def _load_module(file: Path) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(_NAME, str(file))
    spec = importlib.util.spec_from_loader(_NAME, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


# ---- BLAS ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blas:
    """A BLAS library by addresses.

    Parameters
    ----------
    name, path : str
        For people.
    width : int
        Bits of its integers; 0 stands for the entry's own loops.
    gemm, gemv : tuple of 4 int
        Addresses of the Fortran routines for float32, float64, complex64, complex128.
    get_threads, set_threads : int
        Addresses, or 0.
    """

    name: str
    path: str | None = None
    width: int = 0
    gemm: tuple[int, ...] = (0, 0, 0, 0)
    gemv: tuple[int, ...] = (0, 0, 0, 0)
    get_threads: int = 0
    set_threads: int = 0


#: The entry's own loops: slow, but always there.
LOOPS = Blas("C loops")

#: How a library may spell dgemm (prefix, suffix) and set_num_threads, and its integers' width.
_SPELLINGS = (
    ("scipy_{}_64_", "scipy_openblas_{}64_", 64),
    ("{}_64_", "openblas_{}64_", 64),
    ("{}64_", "openblas_{}64_", 64),
    ("scipy_{}_", "scipy_openblas_{}", 32),
    ("{}_", "openblas_{}", 32),
)


def find_blas(module: ModuleType) -> Blas:
    """Return the first BLAS there is: NumPy's, SciPy's, the system's, the entry's own loops."""
    for path in _numpy_libraries():
        if found := _from_library(module, "OpenBLAS of NumPy", str(path)):
            return found
    if found := _from_scipy(module):
        return found
    for name in _system_libraries():
        if found := _from_library(module, "BLAS of the system", name):
            return found
    return LOOPS


def use_blas(module: ModuleType, blas: Blas) -> None:
    """Let the programs' ``gemm`` call `blas`."""
    module.set_blas(blas.name, blas.path, blas.width, blas.gemm, blas.gemv, blas.get_threads,
                    blas.set_threads)


def _numpy_libraries() -> Iterator[Path]:
    home = Path(np.__file__).parent
    for folder in (home.parent / "numpy.libs", home / ".dylibs"):
        yield from sorted(folder.glob("*openblas*"))


def _system_libraries() -> Iterator[str]:
    if sys.platform == "darwin":
        yield "/System/Library/Frameworks/Accelerate.framework/Accelerate"
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    for name in ("libopenblas", "libmkl_rt", "libblis", "libblas", "libcblas"):
        for version in ("", ".0", ".2", ".3"):
            yield f"{name}{suffix}{version}"


def _from_library(module: ModuleType, name: str, path: str) -> Blas | None:
    for routine, control, width in _SPELLINGS:
        gemm = _addresses(module, path, [routine.format(t + "gemm") for t in "sdcz"])
        gemv = _addresses(module, path, [routine.format(t + "gemv") for t in "sdcz"])
        if gemm is None or gemv is None:
            continue
        threads = _addresses(module, path, [control.format("get_num_threads"),
                                            control.format("set_num_threads")])
        return Blas(name, path, width, gemm, gemv, *(threads or (0, 0)))
    return None


def _addresses(module: ModuleType, path: str, symbols: list[str]) -> tuple[int, ...] | None:
    try:
        return tuple(module.load(path, symbol) for symbol in symbols)
    except ImportError:
        return None


def _from_scipy(module: ModuleType) -> Blas | None:
    if importlib.util.find_spec("scipy") is None:
        return None
    try:
        scipy_blas = importlib.import_module("scipy.linalg.cython_blas")
    except ImportError:
        return None
    # Checked, because SciPy built for 64-bit integers has these capsules with other signatures.
    capsules = [scipy_blas.__pyx_capi__[t + r] for r in ("gemm", "gemv") for t in "sdcz"]
    if any("int *" not in repr(capsule) for capsule in capsules):
        return None
    found = tuple(module.capsule_address(capsule) for capsule in capsules)
    return Blas("BLAS of SciPy", scipy_blas.__file__, 32, found[:4], found[4:])


# ---- LAPACK -------------------------------------------------------------------------------------

#: The routines that ops' templates call, for each of the types s, d, c, z.
_ROUTINES = ("gesdd", "geqrf", "gelqf", "gelsd", "geev", "gesv", "getrf", "getri", "getrs", "potrf", "potrs", "sysv",
             "trtrs")
_REAL, _COMPLEX = ("orglq", "syevd"), ("hesv", "heevd", "unglq")


def routine_names() -> list[str]:
    """Return the names of all routines, in order.

    >>> "dgetrf" in routine_names()
    True
    """
    return sorted([*(t + r for t in "sdcz" for r in _ROUTINES), *(t + r for t in "sd" for r in _REAL),
                   *(t + r for t in "cz" for r in _COMPLEX)])


def find_lapack(module: ModuleType) -> tuple[int, tuple[tuple[str, int], ...]]:
    """Return the bytes of a LAPACK's integers, and its routines by name and address: NumPy's, else SciPy's; 0 and none."""
    names = routine_names()
    for path in _numpy_libraries():
        for routine, _, width in _SPELLINGS:
            found = _addresses(module, str(path), [routine.format(n) for n in names])
            if found is not None:
                return width // 8, tuple(zip(names, found, strict=True))
    if importlib.util.find_spec("scipy") is None:
        return 0, ()
    try:
        scipy_lapack = importlib.import_module("scipy.linalg.cython_lapack")
    except ImportError:
        return 0, ()
    capsules = [scipy_lapack.__pyx_capi__.get(n) for n in names]
    if any(c is None or "int *" not in repr(c) for c in capsules):
        return 0, ()
    return 4, tuple((n, module.capsule_address(c)) for n, c in zip(names, capsules, strict=True))
