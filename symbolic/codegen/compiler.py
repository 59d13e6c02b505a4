"""The C compiler: found once, probed once, run in parallel.

What a probe learns is kept in ``<cache_dir>/compiler``, named by the compiler's file, its time and
its size, so a warm start runs no subprocess (about 0.2 ms instead of 150 ms).

Measured on two cores with gcc 12 for a 20-line file with a parallel and a reducing loop: 64 ms in
all; of these 26 ms are process start and front end at -O0 (7 ms ``stdint.h``, ``math.h``), 14 ms
-O2, 8 ms what -O3 adds, 14 ms linking (4 ms ``-lm``). ``-pipe``, gold and a hand-written link
line changed less than 3 ms either way, so none of them is used; leaving out C's library where it
isn't called saves 5 ms, and starting the compiler before its text is known (see ``build``) 7.
"""
from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from symbolic.codegen.files import private, write
from symbolic.config import config
from symbolic.errors import CacheError, CompileError

_PROBE_FORMAT = 4
_OPENMP = """
#include <stdint.h>
int main(void) {
    double s = 0;
    #pragma omp parallel for simd reduction(+:s)
    for (int64_t i = 0; i < 1000; i++) s += i;
    return s < 0;
}
"""
# The vector exp of glibc by its x86 or its ARM name; linking fails where there is none.
_LIBMVEC = """
#if defined(__aarch64__)
#define VECTOR_EXP _ZGVnN2v_exp
#else
#define VECTOR_EXP _ZGVbN2v_exp
#endif
void VECTOR_EXP(void);
int main(void) { return (long)VECTOR_EXP == 1; }
"""
_BASE = (
    "-std=gnu11",
    "-O2",  # the loops say themselves where they are vectorised; -O3 took 28 % longer for nothing measurable
    "-fno-math-errno",  # errno isn't read, and it would forbid vector libm and inline sqrt
    "-fno-trapping-math",  # no handler is installed; changes no value
    "-ffp-contract=off",  # a*b + c rounds twice, as in NumPy
    "-fwrapv",  # integers wrap, as in NumPy
    # An arena slot holds float64 and later int32, and views reinterpret bytes. The pointers are
    # `restrict`, which already tells the vectoriser all it needs, so this costs nothing.
    "-fno-strict-aliasing",
    "-Wall", "-Wno-unused-function", "-Wno-unknown-pragmas",
    "-fPIC", "-shared",
)
#: The file of a compiler that waits for its text: it has started, and set itself up, when it comes to the first line.
WAITING = '#include <stdint.h>\n#include "/dev/stdin"\n'
BARE = ("-fPIC", "-shared", "-nostdlib", "-lgcc")
#: options that keep GCC on x86 from what tests/test_found.py found
_FAULTS = (
    # GCC 12 lays out 16 bytes of partial sums (`omp simd reduction`) in the red zone as if nothing needed alignment, where it
    # reaches them through a register, and stores to them as if they were aligned
    "-mno-red-zone",
    # and makes a choice between two float16 of these instructions which its assembler refuses; no loop of ours is faster by
    # them. Older ones don't know the option, nor these instructions
    "-mno-avx512fp16",
)
_ISA = ("avx512f", "avx2", "avx", "sse4_2", "sve", "asimd", "neon")  # most capable first


@dataclass(frozen=True)
class Compiler:
    """A C compiler that works on this machine.

    Attributes
    ----------
    command : tuple of str
        How to run it.
    kind : str
        ``'gcc'``, ``'clang'`` or ``'zig'``.
    version : str
        First line of ``--version``.
    openmp : bool
        Whether parallel loops compile and link.
    cpu : str
        What ``-march=native`` stands for here, such as ``'avx2-1f0c9a3e'``.
    libmvec : bool
        Whether the C library has vector versions of exp, log, ...
    simd : bool
        Whether ``-fopenmp-simd`` is understood, where `openmp` is false.
    native : str
        The option that selects this machine's instructions; empty where there is none.
    waits : bool
        Whether it can be started before its text is known, which then comes through its standard input.
    bare : bool
        Whether a library can be linked without C's own.
    linker : tuple of str
        How an object becomes such a library without the compiler's help (2 of 6 ms less): what stands before the object.
        Empty where that doesn't work.
    runtime : tuple of str
        The compiler's own libraries, for `linker`: OpenMP's, if there is one, and its helpers.
    mended : tuple of str
        The options that keep it from what it does wrong.
    """

    command: tuple[str, ...]
    kind: str
    version: str
    openmp: bool
    cpu: str
    libmvec: bool
    simd: bool = True
    native: str = "-march=native"
    waits: bool = False
    bare: bool = False
    linker: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    def identity(self) -> str:
        """Return the hash of all that decides which machine code a source becomes; part of keys."""
        parts = [self.kind, self.version, self.cpu, *flags(self)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def find_compiler() -> Compiler | None:
    """Return the C compiler to use, or None where there is none.

    ``config.cc`` (``SYMBOLIC_CC``) is taken when it is set; else the first that works of cc, gcc,
    clang and the ``ziglang`` wheel.

    Raises
    ------
    CompileError
        If ``config.cc`` names a compiler that isn't there or doesn't work. It isn't replaced in
        silence by another one.
    """
    if config.cc:
        command = tuple(shlex.split(config.cc))
        path = shutil.which(command[0]) if command else None
        found = _probe(command, path) if path else None
        if found is None:
            why = "doesn't compile a program" if path else "isn't an executable on PATH"
            raise CompileError(f"the C compiler {config.cc!r} {why}\n"
                               "hint: set SYMBOLIC_CC to the command of a C compiler, or unset it")
        return found
    for command in (("cc",), ("gcc",), ("clang",)):
        path = shutil.which(command[0])
        if path and (found := _probe(command, path)):
            return found
    spec = importlib.util.find_spec("ziglang")
    if spec is not None and spec.origin:
        zig = os.path.join(os.path.dirname(spec.origin), "zig")
        return _probe((sys.executable, "-m", "ziglang", "cc"), zig)
    return None


def no_compiler_message() -> str:
    """Return the text of the one warning given when no compiler is found.

    Examples
    --------
    >>> "apt install gcc" in no_compiler_message()
    True
    """
    return ("no C compiler was found, so functions run in the NumPy interpreter, which is slow\n"
            "hint: install one of\n"
            "    Debian, Ubuntu   sudo apt install gcc libc6-dev\n"
            "    Fedora           sudo dnf install gcc\n"
            "    macOS            xcode-select --install\n"
            '    anywhere         pip install "symbolic-graph[compiler]"\n'
            "or name one in SYMBOLIC_CC; mode='FAST_COMPILE' silences this warning")


def flags(compiler: Compiler) -> list[str]:
    """Return the options of every compilation; no -ffast-math: nan, inf and -0.0 are as written."""
    out = list(_BASE)
    if compiler.native:
        out.append(compiler.native)
    if compiler.openmp and config.openmp:
        out.append("-fopenmp")
    elif compiler.simd:
        out.append("-fopenmp-simd")
    if compiler.kind == "gcc":
        out += ["-fno-use-linker-plugin", "-Wl,--build-id=none"]  # only link-time work we don't use
    out += compiler.mended
    if compiler.kind == "clang" and compiler.libmvec and config.vector_libm:
        out.append("-fveclib=libmvec")  # clang ignores `declare simd` on functions of a library
    if compiler.kind == "zig":
        out.append("-fno-sanitize=undefined")  # on by default in zig, and traps
    return out + shlex.split(config.cflags)


def links(compiler: Compiler, source: str) -> list[str]:
    """Return the options that follow a source.

    A program that calls no function of C's library is linked without: reading its table of symbols takes a linker as long as
    the rest (5 of 9 ms). What a compiler may put in by itself, such as ``memcpy``, the process has anyway.
    """
    if "#include <math.h>" in source or "#include <complex.h>" in source:
        return ["-lm"]
    if not compiler.bare or config.cflags or "#include <string.h>" in source:
        return []
    return [*BARE[2:3], *(["-lgomp"] if "#pragma omp parallel" in source else []), *BARE[3:]]


def link_object(compiler: Compiler, source: str, file: str, library: str) -> list[str]:
    """Return the command that makes a library of the object file of `source`."""
    options = links(compiler, source)
    if compiler.linker and options[:1] == ["-nostdlib"]:
        return [*compiler.linker, file, "-o", library, *compiler.runtime[0 if "-lgomp" in options else -1:]]
    return [*compiler.command, *flags(compiler), file, "-o", library, *options]


def cpu_features() -> str:
    """Return a name for the instructions of this processor: the widest set, and a hash of them all.

    A home directory may be shared by machines of different age, so it is part of every key.
    """
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get(
        "PROCESSOR_IDENTIFIER", "")
    features = sorted(_cpu_flags())
    isa = next((name for name in _ISA if name in features), machine)
    digest = hashlib.sha256(" ".join([machine, *features]).encode()).hexdigest()
    return f"{isa}-{digest[:8]}"


def _cpu_flags() -> list[str]:
    """Return flags and model of the first processor; empty where there is no /proc/cpuinfo."""
    found: list[str] = []
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = (part.strip() for part in line.partition(":"))
                if not name and found:
                    break  # the other processors; on 100 cores they take milliseconds to read
                if name in ("flags", "Features"):
                    found += value.split()
                elif name in ("vendor_id", "cpu family", "model", "CPU part"):  # -mtune=native
                    found.append(f"{name}={value}")
    except OSError:
        pass
    return found


def _probe(command: tuple[str, ...], path: str) -> Compiler | None:
    """Return what `command` can do, from the note of an earlier probe where it still holds."""
    real = os.path.realpath(path)
    try:
        info = os.stat(real)
    except OSError:
        return None
    cpu = cpu_features()
    parts = [_PROBE_FORMAT, *command, real, info.st_mtime_ns, info.st_size, cpu]
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
    note = Path(config.cache_dir) / "compiler" / f"{digest[:32]}.json"
    try:
        private(config.cache_dir)  # a note names a command to run
        return _noted(note)
    except CacheError:
        return _examine(command, cpu)
    except (OSError, ValueError, TypeError, KeyError):  # not there, or damaged: probe again
        pass
    found = _examine(command, cpu)
    if found is not None:
        with contextlib.suppress(CacheError):  # a read-only home costs a probe at each start
            write(str(note), json.dumps(asdict(found)).encode(), note.parent)
    return found


def _noted(note: Path) -> Compiler:
    kept = json.loads(note.read_bytes())
    return Compiler(**kept | {name: tuple(kept[name]) for name in ("command", "linker", "runtime", "mended")})


def _examine(command: tuple[str, ...], cpu: str) -> Compiler | None:
    """Probe `command`: some small compilations."""
    asked = _call([*command, "--version"])
    if asked is None:
        return None
    version = asked.splitlines()[0].strip() if asked.strip() else "unknown"
    zig = "ziglang" in command or os.path.basename(command[0]).startswith("zig")
    kind = "zig" if zig else "clang" if "clang" in asked else "gcc"
    with tempfile.TemporaryDirectory(prefix="symbolic-probe-") as folder:
        def works(source: str, *options: str) -> bool:
            file = os.path.join(folder, "probe.c")
            Path(file).write_text(source, encoding="utf-8")
            return _call([*command, "-O1", file, "-o", os.path.join(folder, "probe"), *options,
                          *(["-lm"] if "-nostdlib" not in options else [])]) is not None

        def waits() -> bool:
            """Whether the text comes through standard input; what stands in between, such as ccache, may read it twice."""
            waiting, found = os.path.join(folder, "waiting.c"), os.path.join(folder, "waiting.o")
            Path(waiting).write_text(WAITING, encoding="utf-8")
            return (_call([*command, "-c", waiting, "-o", found], "int main(void) { return 0; }") is not None
                    and _call([*command, found, "-o", os.path.join(folder, "probe")]) is not None)

        if not works("int main(void) { return 0; }"):
            return None
        openmp = kind != "zig" and works(_OPENMP, "-fopenmp")
        bare = sys.platform == "linux" and kind != "zig" and works("int f(void) { return 0; }", *BARE)
        runtime = _runtime(command, openmp) if bare and kind == "gcc" else ()
        linker = (_call([*command, "-print-prog-name=ld"]) or "").strip()
        link = (linker, "-shared", "--eh-frame-hdr", "--hash-style=gnu")

        def links_alone() -> bool:
            file = os.path.join(folder, "alone.c")
            Path(file).write_text("int f(void) { return 0; }", encoding="utf-8")
            made = os.path.join(folder, "alone.o")
            return (_call([*command, "-fPIC", "-c", file, "-o", made]) is not None
                    and _call([*link, made, "-o", os.path.join(folder, "alone.so"), *runtime]) is not None)

        alone = bool(runtime and linker) and links_alone()
        faults = _FAULTS if kind == "gcc" and platform.machine() in ("x86_64", "AMD64") else ()
        native = ("-mcpu=native",) if kind == "zig" else ("-march=native", "-mcpu=native")
        return Compiler(
            command, kind, version, cpu=cpu, openmp=openmp, bare=bare,
            libmvec=works(_LIBMVEC),
            simd=works(_OPENMP, "-fopenmp-simd"),
            native=next((n for n in native if works("int main(void) { return 0; }", n)), ""),
            waits=kind != "zig" and os.path.exists("/dev/stdin") and waits(),
            linker=link if alone else (), runtime=runtime if alone else (),
            mended=faults if works("int main(void) { return 0; }", *faults) else faults[:1])


def _runtime(command: tuple[str, ...], openmp: bool) -> tuple[str, ...]:
    """Return the files of the compiler's own libraries; empty where one isn't found."""
    asked = [*(["-print-file-name=libgomp.so"] if openmp else []), "-print-libgcc-file-name"]
    files = [(_call([*command, option]) or "").strip() for option in asked]
    return tuple(files) if all(map(os.path.isabs, files)) else ()


def _call(command: list[str], text: str = "") -> str | None:
    """Return the standard output of `command`, which is given `text`; None when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                              check=False, input=text)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
