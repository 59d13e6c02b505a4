"""Programs that say ``import theano`` run unchanged: `install_as_theano` makes that name stand for this package.

``python -m symbolic.theano program.py`` does it for a program that isn't to be edited at all.
"""
from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types
from collections.abc import Sequence
from typing import Any

from symbolic.config import config
from symbolic.graph import Variable
from symbolic.theano.table import MODULES, NAMES, Place

ROOT = "theano"


class Alias(types.ModuleType):
    """A module under Theano's name that finds its names where this package has them.

    It is an object of its own, so that what a program puts on it, and submodules of the same name as a function
    (``theano.ifelse``), leave this package as it is.
    """

    def __getattr__(self, name: str) -> Any:
        path = f"{self.__name__}.{name}"
        if path in MODULES and name not in MODULES[self.__name__].functions:
            return importlib.import_module(path)
        place = MODULES[self.__name__]
        value = _lookup(place, name)
        if value is None:
            if name.startswith("__"):
                raise AttributeError(name)
            where = f" (it is looked for in {', '.join(place.sources)})" if place.sources else ""
            no = ": there is no GPU of Theano's" if "cuda" in path or "gpu" in path else ""
            raise AttributeError(f"module {self.__name__!r} has no name {name!r} here{where}{no}")
        self.__dict__[name] = value[0]
        return value[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function that the module is named after, if there is one: ``theano.ifelse(...)``."""
        function = getattr(self, self.__name__.rpartition(".")[2])
        return function(*args, **kwargs)

    def __dir__(self) -> list[str]:
        place = MODULES[self.__name__]
        names = set(self.__dict__) | set(place.names)
        for source in filter(_found, place.sources):
            names |= {n for n in dir(importlib.import_module(source)) if not n.startswith("_")}
        return sorted(names)


def _lookup(place: Place, name: str) -> tuple[Any] | None:
    """Return the value of a name, in a tuple; None if there is none."""
    if name in place.names:
        return (_resolve(place.names[name]),)
    if name == "__all__":
        found = filter(_found, place.sources)
        return (sorted({n for s in found for n in getattr(importlib.import_module(s), "__all__", ())} | set(place.names)),)
    if name.startswith("__"):
        return None
    for source in filter(_found, place.sources):
        try:
            return (getattr(importlib.import_module(source), name),)
        except AttributeError:
            continue
    return None


def _found(source: str) -> bool:
    """Whether a module of this package is there."""
    try:
        importlib.import_module(source)
    except ModuleNotFoundError:
        return False
    return True


def _resolve(what: Any) -> Any:
    """Return what an entry of the table stands for: ``'module:name'``, or any other object for itself."""
    if isinstance(what, str) and ":" in what:
        module, _, name = what.partition(":")
        found = importlib.import_module(module)
        return getattr(found, name) if name else found
    return what


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers ``import theano...`` with aliases."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of the table; None for all others."""
        if fullname != ROOT and not fullname.startswith(ROOT + "."):
            return None
        if fullname not in MODULES:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return the alias, empty."""
        made = Alias(spec.name, f"{spec.name}, as this package has it.")
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        """Give the alias a path, so that it may have submodules."""
        module.__path__ = []


_finder = Finder()


def install_as_theano(read_flags: bool = True) -> types.ModuleType:
    """Let ``import theano``, and the import of everything below it, find this package.

    Parameters
    ----------
    read_flags : bool
        Take over the settings of ``~/.theanorc`` (or the files that THEANORC names) and of THEANO_FLAGS.

    Returns
    -------
    module
        ``theano``.

    Raises
    ------
    ImportError
        If Theano itself was imported before.

    Notes
    -----
    It is for the whole process, and lasts. A variable is then true, unless it is of bools: ``if bias:`` asks whether there is
    one. A Theano that is installed isn't found any more, unless :func:`uninstall` is called.

    Examples
    --------
    >>> theano = install_as_theano(read_flags=False)
    >>> import theano.tensor as T
    >>> from theano.ifelse import ifelse
    >>> x = T.dscalar("x")
    >>> theano.function([x], ifelse(T.gt(x, 0), x, -x))(-2.0)
    array(2.)
    >>> uninstall()
    """
    known = sys.modules.get(ROOT)
    if known is not None and not isinstance(known, Alias):
        raise ImportError(f"theano was imported before, from {getattr(known, '__file__', None)}\nhint: call install_as_theano() "
                          "before the first import of theano")
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        if read_flags:
            config.read_theano_flags(os.environ)
    Variable.true_as_in_theano = True
    return importlib.import_module(ROOT)


def uninstall() -> None:
    """Let ``import theano`` mean what it did; modules that were imported stay usable."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    Variable.true_as_in_theano = False
    for name in [n for n, m in sys.modules.items() if (n == ROOT or n.startswith(ROOT + ".")) and isinstance(m, Alias)]:
        del sys.modules[name]


def missing_names() -> Sequence[str]:
    """Return the names that Theano-era programs use (``NAMES``) and that this package doesn't have.

    Examples
    --------
    >>> "theano.function" in missing_names()
    False
    """
    known = ROOT in sys.modules and isinstance(sys.modules[ROOT], Alias)
    install_as_theano(read_flags=False)
    try:
        return [name for name in NAMES if not _resolves(name)]
    finally:
        if not known:
            uninstall()


def _resolves(name: str) -> bool:
    parts = name.split(".")
    thing = importlib.import_module(ROOT)
    for k, part in enumerate(parts[1:], 2):
        try:
            thing = getattr(thing, part)
        except AttributeError:
            try:
                thing = importlib.import_module(".".join(parts[:k]))
            except ImportError:
                return False
    return True
