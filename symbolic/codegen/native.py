"""Stage *build*: a captured graph becomes an address to call, from the cache where it can be.

Two levels: the whole function by the hash of its captured graph, then neither compiler nor any later stage runs; and
each kernel by its text, so a changed line of a model compiles only what it changed. What is missing is compiled in as
many translation units as there are cores, at once.
"""
from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from symbolic.codegen.build import Waiting, build, waiting
from symbolic.codegen.cache import Cache
from symbolic.codegen.compiler import Compiler, flags
from symbolic.codegen.dump import dump, graph_text, plan_text
from symbolic.codegen.entry import EntryBuildError, load_entry
from symbolic.codegen.fuse import Fusion
from symbolic.codegen.lower import Lowering
from symbolic.codegen.manifest import Loaded, Unstorable, pack, unpack
from symbolic.codegen.program import KernelText, Program, write
from symbolic.codegen.python_step import PythonStep
from symbolic.config import available_cores, config
from symbolic.errors import CacheError, CompileError
from symbolic.fgraph import FunctionGraph, signature
from symbolic.infer import infer
from symbolic.source import SourceLoc
from symbolic.template import LIBRARIES

#: characters of kernels from which a second compiler process pays
WORTH_A_UNIT = 4_000
#: how often idle threads of OpenMP look for work before they sleep: 20 to 140 cycles each
SPINS = "10000"
_entry: list[Any] = []
_loading = threading.RLock()
_log = logging.getLogger("symbolic")
_ROOM = 1 << 20  # bytes: with less, a compiler's failure is put down to the full disk


def entry(compiler: Compiler) -> Any:
    """Return the entry extension: one for the whole process, since shared variables live in its objects."""
    with _loading:
        if not _entry:
            try:
                module = load_entry(Cache().base, compiler.command)
            except (CacheError, EntryBuildError):
                module = load_entry(_private_folder(), compiler.command)
            if module.build_seconds:
                _log.warning("symbolic: built its extension for this Python in %.1f s; this happens once",
                             module.build_seconds)
            if module.has_lapack:
                LIBRARIES.add("lapack")
            _entry.append(module)
    return _entry[0]


@cache
def _private_folder() -> Path:
    """Return a directory for this process alone, where the cache can't be written."""
    folder = tempfile.mkdtemp(prefix="symbolic-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def code_version() -> str:
    """Return a hash of this package's code: what another version compiled isn't used."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    digest = sha256()
    for folder in ("", "ops", "opt", "codegen", "codegen/templates", "codegen/templates/ops"):
        with os.scandir(os.path.join(root, folder)) as found:
            for file in sorted((e for e in found if e.is_file()), key=lambda e: e.name):
                info = file.stat()
                digest.update(f"{folder}/{file.name} {info.st_size} {info.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def native(graph: FunctionGraph, updated: Sequence[int], title: str, loc: SourceLoc | None, compiler: Compiler,
           profile: bool = False) -> Loaded:
    """Return a captured graph as machine code.

    Parameters
    ----------
    graph : FunctionGraph
    updated : sequence of int
        The inputs, shared variables, whose new values its last outputs are.
    title : str
        Name for people.
    loc : SourceLoc or None
        Where the user asked for the function.
    compiler : Compiler
    profile : bool
        Whether it times its steps. Such a program isn't kept as a function, its kernels are.

    Raises
    ------
    CompileError
        If the compiler refuses the program.
    ShapeError
        If extents can't fit whatever the inputs are.
    """
    started = time.perf_counter()
    entry(compiler)
    key = function_key(graph, updated, compiler)
    store = _cache()
    if store is not None and config.dump is None and _findable(graph) and not profile:
        manifest = store.function(key)
        address = None if manifest is None else link(store, manifest["units"])
        if manifest is not None and address is not None:
            return unpack(manifest, graph, address)
    with waiting(compiler, None if store is None else store.path / "tmp") as first:
        return _compile(graph, updated, title, loc, compiler, store, key, started, first, profile)


def function_key(graph: FunctionGraph, updated: Sequence[int], compiler: Compiler) -> str:
    """Return the name under which the cache keeps a function."""
    facts = [signature(graph), str(list(updated)), compiler.identity(), code_version(), str(config.openmp_threshold),
             str(sorted(LIBRARIES))]
    return sha256("\0".join(facts).encode()).hexdigest()[:32]


def _findable(graph: FunctionGraph) -> bool:
    """Whether the names of its ops say what they do; users' own may mean something else than they did."""
    return all(node.op.stable for node in graph.nodes)


def _cache() -> Cache | None:
    try:
        return Cache()
    except CacheError:
        return None


def link(store: Cache, units: Sequence[Sequence[str]]) -> int | None:
    """Load libraries in order and return the address in the last one; None if one is missing."""
    address = None
    for sha, symbol in units:
        path = store.library(sha)
        if path is None:
            return None
        try:
            address = load(str(path), symbol, True)
        except ImportError as error:
            _unloadable.append(str(error))
            return None
    return address


#: why the latest library couldn't be loaded
_unloadable: deque[str] = deque(maxlen=1)


def load(path: str, symbol: str, shared: bool) -> int:
    """Return the address of a symbol of a library.

    The first one with a parallel loop brings libgomp along, whose idle threads by default spin for milliseconds after
    each loop: that takes the core from other libraries' threads and made a training step on two cores 45 times slower.
    So they spin but for some 200 us, from one loop to the next, unless the user has said otherwise. libgomp reads this
    while it is loaded, and never again.
    """
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return _entry[0].load(path, symbol, shared)
    os.environ["GOMP_SPINCOUNT"] = SPINS
    try:
        return _entry[0].load(path, symbol, shared)
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def _compile(graph: FunctionGraph, updated: Sequence[int], title: str, loc: SourceLoc | None, compiler: Compiler,
             store: Cache | None, key: str, started: float, first: Waiting | None, profile: bool) -> Loaded:
    stages: dict[str, float] = {"capture": 0.0}
    last = started

    def done(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        stages[stage], last = now - last, now

    extents = infer(graph)
    done("infer")
    lowering = Lowering(graph, extents)
    done("lower")
    fusion = Fusion(lowering, extents.guards, products=True, parts=True)
    done("fuse")
    program = write(lowering, fusion, extents.guards, title, updated, compiler.openmp and config.openmp,
                    compiler.identity(), profile)
    done("render")
    if config.dump is not None:
        dump(config.dump, title, {"graph.txt": graph_text(graph), "plan.txt": plan_text(fusion), "c": program.source()})
    if store is None:
        return _compile_privately(program, compiler)
    if not _findable(graph) and not profile:  # its name says too little, but its text says what the compiler would give
        key = sha256(f"{compiler.identity()}\0{program.source()}".encode()).hexdigest()[:32]
        manifest = store.function(key) if config.dump is None else None
        address = None if manifest is None else link(store, manifest["units"])
        if manifest is not None and address is not None:
            return _loaded(program, address, manifest)
    try:
        units, address = _build(program, compiler, store, first)
    except (OSError, CacheError, CompileError) as error:
        if not _no_room(error, store):
            raise
        return _compile_privately(program, compiler)
    done("build")
    manifest = {"key": key, "name": title, "file": loc and loc.file, "line": loc and loc.line, "units": units,
                "libraries": [sha for sha, _ in units], "kernels": [k.name[2:] for k in program.kernels],
                "stages": [(name, 1e3 * s) for name, s in stages.items()], "seconds": time.perf_counter() - started,
                "flags": flags(compiler),
                "compiler": compiler.version, "cpu": compiler.cpu, "graph": graph_text(graph), "plan": plan_text(fusion)}
    if len(units) > 1 or profile:
        manifest["source"] = program.source()
    if profile:
        return _loaded(program, address, manifest)
    try:
        manifest |= pack(program, graph)
        store.store_function(manifest)
    except (CacheError, Unstorable):
        pass  # it runs in this process; the next one compiles again
    return _loaded(program, address, manifest)


def _build(program: Program, compiler: Compiler, store: Cache, first: Waiting | None) -> tuple[list[list[str]], int]:
    """Compile what the cache lacks; return the units to load, the program last, and its address."""
    known = {k.name: found for k in program.kernels if (found := store.kernel(k.name[2:]))}
    for reuse in (True, False):
        missing = [k for k in program.kernels if not reuse or k.name not in known]
        units = _units(program, missing)
        sources = _sources(program, units, compiler.identity())
        names = [sha256((compiler.identity() + s).encode()).hexdigest()[:32] for s in sources]
        began = time.perf_counter()
        paths = build(compiler, sources, names, store.path / "tmp", first if reuse else None)
        seconds = time.perf_counter() - began
        meta = {"flags": flags(compiler), "compiler": compiler.version, "cpu": compiler.cpu, "seconds": seconds}
        for name, source, path, unit in zip(names, sources, paths, units, strict=True):
            store.store_library(name, path, source, meta | {"kernels": [k.name[2:] for k in unit.kernels]})
        store.store_kernels({k.name[2:]: name for name, unit in zip(names, units, strict=True) for k in unit.kernels})
        old = [] if not reuse else sorted({(sha, _symbol(store, sha)) for sha in known.values()} )
        loads = [*map(list, old), *([n, "symbolic_unit"] for n in names[:0:-1]), [names[0], "symbolic_run"]]
        address = link(store, loads)
        if address is not None:
            return loads, address
    raise CacheError(f"a library that was just written to the cache can't be loaded: {''.join(_unloadable)}\n"
                     "hint: symbolic-cache verify; or set SYMBOLIC_CACHE_DIR to another directory. A process may map only so "
                     "many files (on Linux vm.max_map_count, some 8,000 functions), and functions stay mapped until it ends")


def _symbol(store: Cache, sha: str) -> str:
    """Return what a library exports whether or not it holds a whole program."""
    source = store.library_source(sha) or ""
    return "symbolic_run" if "int symbolic_run(" in source else "symbolic_unit"


@dataclass
class _UnitOf:
    """What one compiler process gets, the first one also the program itself; how much there is to read for it."""

    size: int = 0
    kernels: list[KernelText] = field(default_factory=list)
    loops: list[int] = field(default_factory=list)


def _units(program: Program, kernels: Sequence[KernelText]) -> list[_UnitOf]:
    """Share kernels and loops among compiler processes, the longest first.

    Units are loaded from the last to the first, and each may call only what is there already: so what loops call is in
    the last one.
    """
    movable = program.movable()
    total = program.size() + sum(len(k.text) for k in kernels) + sum(len(text) for _, text in movable)
    count = max(1, min(available_cores(), total // WORTH_A_UNIT, len(kernels) + len(movable)))
    units = [_UnitOf() for _ in range(count)]
    units[0].size = program.size()
    text = "".join(text for _, text in movable)
    called = [k for k in kernels if k.name in text]
    units[-1].kernels += called
    units[-1].size += sum(len(k.text) for k in called)
    for places, text in movable:
        unit = min(units, key=lambda u: u.size)
        unit.loops += places
        unit.size += len(text)
    for k in sorted((k for k in kernels if k not in called), key=lambda k: -len(k.text)):
        unit = min(units, key=lambda u: u.size)
        unit.kernels.append(k)
        unit.size += len(k.text)
    order = {k.name: n for n, k in enumerate(kernels)}
    for unit in units:
        unit.kernels.sort(key=lambda k: order[k.name])
        unit.loops.sort()
    return [u for u in units if u is units[0] or u.kernels or u.loops]


def _sources(program: Program, units: Sequence[_UnitOf], identity: str) -> list[str]:
    """Return the text of each unit."""
    if not any(u.loops for u in units[1:]):
        return [program.source(u.kernels, n == 0) for n, u in enumerate(units)]
    text = "\n".join((identity, *(k.text for k in program.steps), *program.loops, *program.body))
    suffix = "_" + sha256(text.encode()).hexdigest()[:16]
    return [program.source(u.kernels, n == 0, u.loops, suffix) for n, u in enumerate(units)]


def _no_room(error: Exception, store: Cache) -> bool:
    """Whether it is the cache that couldn't be written; a compiler may fail for that without a word."""
    if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
        return True
    try:
        return shutil.disk_usage(store.path).free < _ROOM
    except OSError:
        return True


def _compile_privately(program: Program, compiler: Compiler) -> Loaded:
    """Compile without a cache: into a directory that is gone once the library is loaded."""
    folder = tempfile.mkdtemp(prefix="symbolic-")
    try:
        path, = build(compiler, [program.source()], ["program"], folder)
        address = load(str(path), "symbolic_run", False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _loaded(program, address, {"text": program.source()})


def _loaded(program: Program, address: int, manifest: dict[str, Any]) -> Loaded:
    return Loaded(address, tuple(program.constants), program.failures, program.inplace, manifest,
                  tuple(PythonStep(n) for n in program.python),
                  timed=tuple(program.timed))


def program_text(loaded: Loaded) -> str:
    """Return the C text of a loaded program."""
    text = loaded.manifest.get("text") or loaded.manifest.get("source")
    if text is None:
        store = _cache()
        text = store and store.library_source(loaded.manifest["libraries"][-1])
    return text or ""


def program_path(loaded: Loaded) -> str | None:
    """Return the C file of a loaded program in the cache, as long as it is there."""
    store = _cache()
    if store is None or "libraries" not in loaded.manifest:
        return None
    path = store.path / "libraries" / f"{loaded.manifest['libraries'][-1]}.c"
    return str(path) if path.exists() else None
