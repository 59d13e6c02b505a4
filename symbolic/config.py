"""Settings: one typed table, read from ``SYMBOLIC_*`` environment variables once, checked on every assignment.

``config.floatX = "float32"`` sets a value for the whole process; ``with config.change_flags(floatX="float32"):`` sets
it for the running thread (or asyncio task) until the block ends, so two threads can't restore each other's values.
"""
from __future__ import annotations

import difflib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple, cast

from symbolic.theano_flags import RENAMED, SECTIONS, VALUES, WITHOUT_EFFECT, Flag, read_flags

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}

# Values set by `change_flags` in this context; they shadow the ones of the process.
_overlay: ContextVar[dict[str, Any]] = ContextVar("symbolic_config")


class Kind(NamedTuple):
    """What a setting accepts: `parse` returns the value to store or raises ValueError; `accepts` says it in words."""

    parse: Callable[[Any], Any]
    accepts: str


def choice(*names: Any, **aliases: Any) -> Kind:
    """Return the kind of a setting that is one of `names`; ``'none'`` and ``'true'`` are understood."""
    table = {str(n).lower() if not isinstance(n, str) else n: n for n in names} | aliases

    def parse(value: Any) -> Any:
        key = value if isinstance(value, str) else str(value).lower()
        for spelling in (key, key.lower()):
            if spelling in table:
                return table[spelling]
        raise ValueError

    return Kind(parse, "one of " + ", ".join(map(repr, names)))


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE + _FALSE:
        raise ValueError
    return text in _TRUE


def _count(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()) or int(value) < 0:
        raise ValueError
    return int(value)


def _device(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"cpu|(cuda|gpu):?\d*|cuda:emulated", value) or value.endswith(":"):
        raise ValueError
    return value.replace("gpu", "cuda")  # Theano's first back end was called gpu


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _path(value: Any) -> str:
    text = os.fspath(value)
    if not isinstance(text, str) or not text:
        raise ValueError
    return os.path.abspath(os.path.expanduser(text))


def parse_size(value: Any) -> int:
    """Return a number of bytes, given as an int or as text such as ``'500M'``, ``'2 GiB'``.

    Examples
    --------
    >>> parse_size("500M"), parse_size("2 GiB"), parse_size(17)
    (524288000, 2147483648, 17)
    """
    if not isinstance(value, str):
        return _count(value)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", value, re.IGNORECASE)
    if not match:
        raise ValueError(f"{value!r} isn't a size; write for example 500M, 2G or a number of bytes")
    return int(float(match[1]) * _UNITS[match[2].upper()])


BOOLEAN = Kind(_boolean, "True or False")
COUNT = Kind(_count, "an integer that is 0 or more")
DEVICE = Kind(_device, "'cpu', 'cuda', 'cuda:1' (the second GPU), 'cuda:emulated' (for tests)")
PATH = Kind(_path, "a path")
PATH_OR_NONE = Kind(lambda v: None if v is None or v == "" else _path(v), "a path or None")
SIZE = Kind(parse_size, "a number of bytes, or text such as '500M' or '2G'")
TEXT = Kind(_text, "text")


def user_cache_dir() -> str:
    """Return the user's cache directory for this package.

    Notes
    -----
    What ``platformdirs.user_cache_dir("symbolic", appauthor=False)`` returns, without its import; a test compares them.
    """
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA", os.path.join(home, "AppData", "Local")), "symbolic", "Cache")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "symbolic")
    return os.path.join(os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.join(home, ".cache"), "symbolic")


def available_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def setting(default: Any, kind: Kind, doc: str, shown: str | None = None) -> Any:
    """Return the dataclass field of one setting; `shown` is the default as the documentation prints it."""
    return field(default=default, metadata={"kind": kind, "doc": doc, "shown": shown or repr(default)})


class Row(NamedTuple):
    """One setting, as documentation shows it."""

    name: str
    type: str
    default: str
    variable: str
    accepts: str
    doc: str
    value: Any


@dataclass(eq=False)
class Config:
    """All settings. Use the instance `config`.

    Examples
    --------
    >>> config.floatX
    'float64'
    >>> with config.change_flags(floatX="float32"):
    ...     config.floatX
    'float32'
    """

    floatX: str = setting("float64", choice("float64", "float32", "float16"),
        "What 'floatX' stands for, and the type of constructors without a dtype.")
    mode: str = setting("FAST_RUN", choice("FAST_RUN", "FAST_COMPILE", "CHECK", "NanGuardMode", **VALUES["mode"]),
        "FAST_RUN compiles native code; FAST_COMPILE interprets with NumPy and needs no compiler; CHECK (DebugMode) runs both "
        "and names the first node where they differ; NanGuardMode names the first node that gives nan or inf.")
    device: str = setting("cpu", DEVICE, "Where functions run, unless they are told where.")
    device_outputs: bool = setting(False, BOOLEAN,
        "Whether functions on a GPU return CuPy's arrays, which stay there, rather than NumPy's.")
    deterministic: str = setting("default", choice("default", "more"),
        "Whether sums into elements that are chosen by indices must have the same rounding every time on a GPU, where they are "
        "faster in any order.")
    on_unused_input: str = setting("raise", choice("raise", "warn", "ignore"),
        "What `function` does about an input that nothing uses.")
    allow_input_downcast: bool | None = setting(None, choice(None, True, False),
        "Whether a call may lose precision in converting its arguments; None: only Python floats to floatX.")
    cast_policy: str = setting("custom", choice("custom", "numpy+floatX", "floatX"),
        "How operands of different dtypes meet. custom: as NumPy's arrays do, int32 with float32 gives float64; numpy+floatX: a "
        "float64 that no operand is becomes floatX; floatX: integers take the float's dtype beside it, and floatX where there "
        "is none.")
    warn_float64: str = setting("ignore", choice("ignore", "warn", "raise"),
        "What happens when a float64 variable is made, to find the line where a float32 model is widened.")
    exception_verbosity: str = setting("low", choice("low", "high"),
        "high adds the failing node, the graph around it and the values alive to errors.")
    compute_test_value: str = setting("off", choice("off", "ignore", "warn", "raise", "pdb"),
        "Whether every op is computed on the test values of its inputs (x.tag.test_value) when it is applied; and what is done "
        "where one is missing.")
    print_test_value: bool = setting(False, BOOLEAN, "Whether the repr of a variable shows its test value.")
    nan_guard_action: str = setting("raise", choice("raise", "warn", "pdb"), "What NanGuardMode does when it finds something.")
    cache_dir: str = setting(user_cache_dir(), PATH, "Where compiled code is kept.", "the user's cache directory")
    cache_max_size: int = setting(2 << 30, SIZE,
        "Least recently used functions are dropped above this many bytes; 0 keeps nothing unused.", "'2G'")
    cc: str = setting("", TEXT, "Command of the C compiler; empty: the first of cc, gcc, clang, python -m ziglang cc.")
    cflags: str = setting("", TEXT, "Options added to the compiler's command line.")
    tiered: bool = setting(False, BOOLEAN,
        "Whether `function` returns at once, with the interpreter, and goes on in native code when that is compiled.")
    threads: int = setting(0, COUNT,
        "Threads of a parallel kernel; 0: what OMP_NUM_THREADS says, or every core the process may use.")
    openmp: bool = setting(True, BOOLEAN, "Whether kernels may run in parallel.")
    openmp_threshold: int = setting(200_000, COUNT, "Smallest amount of work, in elements, that is worth threads.")
    vector_libm: bool = setting(True, BOOLEAN,
        "Whether exp, log, sin, ... may use the vector versions of the C library (up to 4 ulp).")
    conv_winograd: int = setting(2, choice(0, 2, 4),
        "Side of the tiles in which float32 is convolved with 3 by 3 filters (Winograd): 2 is as exact as 0, which is without "
        "tiles, unless neighbours differ by orders of magnitude; 4 saves more products and loses a digit.")
    optimizer_including: str = setting("", TEXT, "Names or tags of rewrite rules, joined by ':', that every mode has as well.")
    optimizer_excluding: str = setting("", TEXT, "Names or tags of rewrite rules, joined by ':', that no mode has.")
    optimizer_requiring: str = setting("", TEXT, "Tags of rewrite rules, joined by ':', that every rule must have.")
    dump: str | None = setting(None, PATH_OR_NONE, "Directory that receives the text of every stage of compilation.")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in WITHOUT_EFFECT and name not in _fields:
            _kept[name] = value
            return
        name = RENAMED.get(name, name)
        shadow = _overlay.get({})
        target = shadow if name in shadow and name in self.__dict__ else self.__dict__
        target[name] = checked(name, value)

    def __getattr__(self, name: str) -> Any:  # only reached for names that aren't settings
        if name in WITHOUT_EFFECT:
            return _kept.get(name, WITHOUT_EFFECT[name])
        if name in RENAMED:
            return getattr(self, RENAMED[name])
        if name in SECTIONS:
            return Section(name)
        raise AttributeError(_unknown(name))

    def change_flags(self, **flags: Any) -> Any:
        """Return a context manager, also a decorator, under which the settings `flags` hold.

        Parameters
        ----------
        **flags
            Settings by name. They hold in this thread or task alone; threads started inside don't see them.

        Raises
        ------
        ValueError
            If a value isn't accepted; at once, not on entering.

        Examples
        --------
        >>> @config.change_flags(floatX="float16")
        ... def half():
        ...     return config.floatX
        >>> half()
        'float16'
        """
        return _changed({RENAMED.get(name, name): checked(RENAMED.get(name, name), value) for name, value in flags.items()
                         if name not in WITHOUT_EFFECT or name in _fields})

    def num_threads(self) -> int:
        """Return `threads`, with 0 resolved to the cores this process may use, or fewer if OMP_NUM_THREADS says so."""
        if self.threads:
            return self.threads
        first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # the others are for nested loops
        asked = int(first) if first.isdecimal() else 0
        return min(asked or available_cores(), available_cores())

    def describe(self) -> list[Row]:
        """Return one row for each setting: name, type, default, environment variable, accepted values, meaning, value.

        Examples
        --------
        >>> row = config.describe()[0]
        >>> row.name, row.default, row.variable
        ('floatX', "'float64'", 'SYMBOLIC_FLOATX')
        """
        return [Row(f.name, str(f.type), f.metadata["shown"], variable(f.name), f.metadata["kind"].accepts,
                    f.metadata["doc"], getattr(self, f.name)) for f in fields(self)]

    def read_theano_flags(self, environ: Mapping[str, str]) -> list[Flag]:
        """Take over settings that are given as Theano's: ``~/.theanorc`` or the files of THEANORC, then THEANO_FLAGS.

        Returns
        -------
        list of Flag
            Those that were taken over. A setting that neither this package nor Theano has is left out with a warning.

        Raises
        ------
        ValueError
            If a value isn't accepted; the text names where it was given.

        Examples
        --------
        >>> Config().read_theano_flags({"THEANO_FLAGS": "floatX=float32", "THEANORC": ""})[0].value
        'float32'
        """
        taken = []
        for flag in read_flags(environ):
            ours = RENAMED.get(flag.name, flag.name)
            if ours in _fields:
                value = VALUES.get(ours, {}).get(flag.value, flag.value)
                setattr(self, ours, checked(ours, value, f"{flag.source}: {flag.name}"))
            elif flag.name == "cxx" and not flag.value:
                self.mode = "FAST_COMPILE"
            elif flag.name in WITHOUT_EFFECT or flag.name.partition(".")[0] in SECTIONS:
                _kept[flag.name] = flag.value
            else:
                warnings.warn(f"{flag.source}: Theano has no setting {flag.name!r}; it is ignored", stacklevel=2)
                continue
            taken.append(flag)
        return taken

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Config:
        """Return settings as the environment `environ` has them.

        Raises
        ------
        ValueError
            If a variable holds a value its setting doesn't accept; the text names the variable.

        Examples
        --------
        >>> Config.from_environ({"SYMBOLIC_CACHE_MAX_SIZE": "500M"}).cache_max_size
        524288000
        """
        given = {name: variable(name) for name in _fields if variable(name) in environ}
        return cls(**{name: checked(name, environ[var], var) for name, var in given.items()})


class Section:
    """Theano's settings with a dot in their names: ``config.gcc.cxxflags`` is ``config.cflags``.

    Examples
    --------
    >>> config.scan.allow_gc
    False
    """

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        full = f"{self._name}.{name}"
        if full in RENAMED:
            return getattr(config, RENAMED[full])
        if full in WITHOUT_EFFECT or full in _kept:
            return _kept.get(full, WITHOUT_EFFECT.get(full))
        if any(known.startswith(full + ".") for known in WITHOUT_EFFECT):
            return Section(full)
        raise AttributeError(_unknown(full))

    def __setattr__(self, name: str, value: Any) -> None:
        full = f"{self._name}.{name}"
        if full in RENAMED:
            setattr(config, RENAMED[full], value)
        else:
            _kept[full] = value


#: Values of settings that change nothing.
_kept: dict[str, Any] = {}


class _Setting:
    """Read access to one setting: this context's value, else the process's (about 0.1 µs)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Config | None, _: type) -> Any:
        if owner is None:
            return self
        shadow = _overlay.get(None)
        if shadow is not None and self.name in shadow:
            return shadow[self.name]
        return owner.__dict__[self.name]

    def __set__(self, owner: Config, value: Any) -> None:  # makes this a data descriptor, so __get__ is asked first
        owner.__setattr__(self.name, value)


_fields: dict[str, Field[Any]] = {f.name: f for f in fields(Config)}
for _name in _fields:
    setattr(Config, _name, _Setting(_name))


def variable(name: str) -> str:
    """Return the environment variable of setting `name`.

    Examples
    --------
    >>> variable("floatX")
    'SYMBOLIC_FLOATX'
    """
    return f"SYMBOLIC_{name.upper()}"


def checked(name: str, value: Any, source: str = "") -> Any:
    """Return `value` as setting `name` stores it, or raise an error that says what it accepts."""
    if name not in _fields:
        raise AttributeError(_unknown(name))
    kind = cast(Kind, _fields[name].metadata["kind"])
    try:
        return kind.parse(value)
    except (ValueError, TypeError):
        raise ValueError(f"{source or 'config.' + name}: expected {kind.accepts}, got {value!r}") from None


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _fields, 1, 0.6)
    hint = f"did you mean {close[0]!r}?" if close else f"the settings are {', '.join(_fields)}"
    return f"config has no setting {name!r}\nhint: {hint}"


@contextmanager
def _changed(flags: dict[str, Any]) -> Iterator[None]:
    token = _overlay.set(_overlay.get({}) | flags)
    try:
        yield
    finally:
        _overlay.reset(token)


config = Config.from_environ(os.environ)
change_flags = config.change_flags
