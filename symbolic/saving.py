"""``save`` and ``load``: functions, expressions and shared variables in a file that holds no code.

The file is a zip archive: ``symbolic.json`` says what it is and holds the graph, ``arrays/N.npy`` its arrays. A function is
compiled where it is loaded, so the file knows neither processor nor device. Loading makes only objects of this package's own
classes, and arrays; it runs nothing that the file brings along, unlike a pickle.
"""
from __future__ import annotations

import contextlib
import copyreg
import importlib
import io
import json
import os
import uuid
import zipfile
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.compiled import Function
from symbolic.graph import Op, Variable
from symbolic.mode import Mode
from symbolic.ops.from_graph import Override
from symbolic.ops.region import Slice
from symbolic.scalar import Expr
from symbolic.shared import Cell, Container
from symbolic.source import SourceLoc
from symbolic.spec import Input, Spec
from symbolic.types import TensorType

#: Of the files that are written; what has a higher number is refused.
FORMAT = 1
_PACKAGE = "symbolic"
_HEADER = "symbolic.json"
#: What may be made: objects of these classes, and of those that derive from them, if they are this package's.
_CLASSES = (Op, Variable, TensorType, Container, Cell, Mode, Slice, Expr, SourceLoc, Override, Input, Spec)
#: The functions that make them, by their names; each stands beside what it restores.
_MAKERS = frozenset({"_restored", "_unpickled", "_restore_one", "make"})


def save(file: str | os.PathLike[str] | io.IOBase, value: Any) -> None:
    """Write functions, expressions or shared variables to a file.

    Parameters
    ----------
    file : path or binary file
        A path is replaced only once all is written.
    value : Function, Variable, or list, tuple or dict of them
        Numbers, strings and arrays may stand between them. What is shared within `value` is shared when it is loaded.

    Raises
    ------
    SaveError
        If `value` holds something that isn't the package's own, such as an op of the user's: a file holds no code.

    Examples
    --------
    >>> import io, numpy as np, symbolic, symbolic.tensor as T
    >>> x, w = T.dvector("x"), symbolic.shared(np.array([1.0, 2.0]), "w")
    >>> f = symbolic.function([x], (x * w).sum(), updates=[(w, w + x)])
    >>> kept = io.BytesIO()
    >>> save(kept, {"f": f, "w": w})
    >>> back = load(kept)
    >>> float(back["f"]([3.0, 4.0])), back["w"].get_value()
    (11.0, array([4., 6.]))
    """
    writer = _Writer()
    try:
        body = writer.encoded(value)
    except RecursionError:
        raise errors.SaveError("save: the value is nested too deeply") from None
    header = {"format": FORMAT, "package": _PACKAGE, "value": body}
    if isinstance(file, (str, os.PathLike)):
        path = os.path.abspath(os.fspath(file))
        temporary = f"{path}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part"
        try:
            with open(temporary, "xb") as out:
                _write(out, header, writer.arrays)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    else:
        _write(file, header, writer.arrays)


def load(file: str | os.PathLike[str] | io.IOBase) -> Any:
    """Return what :func:`save` wrote; functions are compiled for this machine.

    Parameters
    ----------
    file : path or binary file

    Raises
    ------
    SaveError
        If the file isn't one of ours, is damaged, is of a later format, or asks for what isn't the package's own.
    """
    if not isinstance(file, (str, os.PathLike)):
        file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:  # type: ignore[arg-type]
            header = json.loads(archive.read(_HEADER))
            if header.get("package") != _PACKAGE:
                raise errors.SaveError("load: the file isn't one that symbolic.save wrote")
            if header["format"] > FORMAT:
                raise errors.SaveError(f"load: the file has format {header['format']}, this version reads up to {FORMAT}\n"
                                       "hint: install a later version of the package")
            return _Reader(archive).decoded(header["value"])
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, EOFError, AttributeError, IndexError, TypeError,
            ValueError) as error:
        if isinstance(error, errors.SymbolicError):
            raise
        raise errors.SaveError(f"load: the file isn't one that symbolic.save wrote, or it is damaged: {error!r}") from error


def _write(out: Any, header: dict[str, Any], arrays: list[np.ndarray]) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(_HEADER, json.dumps(header))
        for k, array in enumerate(arrays):
            with archive.open(f"arrays/{k}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _own(thing: Any) -> bool:
    """Whether a file may name this class or function."""
    if getattr(thing, "__module__", "").partition(".")[0] != _PACKAGE:
        return False
    return issubclass(thing, _CLASSES) if isinstance(thing, type) else thing.__name__ in _MAKERS


class _Writer:
    """Turns objects into JSON by what they say of themselves to ``pickle``."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.places: dict[int, int] = {}
        self.kept: list[Any] = []  # an id means something only as long as its object lives

    def encoded(self, x: Any) -> Any:
        if x is None or isinstance(x, (bool, str)) or type(x) is int:
            return x
        if type(x) is float:
            return {"float": x.hex()}
        if x is Ellipsis:
            return {"ellipsis": 0}
        if type(x) in (list, tuple, set, frozenset):
            return {type(x).__name__: [self.encoded(e) for e in x]}
        if type(x) is dict:
            return {"dict": [[self.encoded(k), self.encoded(v)] for k, v in x.items()]}
        if isinstance(x, (type, type(save))):
            if not _own(x):
                raise _foreign(x)
            return {"name": f"{x.__module__}:{x.__qualname__}"}
        if id(x) in self.places:
            return {"again": self.places[id(x)]}
        self.kept.append(x)
        if isinstance(x, (np.ndarray, np.generic, complex)):
            if isinstance(x, np.ndarray):
                self.places[id(x)] = len(self.places)
            self.arrays.append(np.asarray(x))
            if self.arrays[-1].dtype.kind not in "biufc":
                raise errors.SaveError(f"save: an array of dtype {self.arrays[-1].dtype} can't be saved, only numbers")
            return {"array" if isinstance(x, np.ndarray) else "number": len(self.arrays) - 1,
                    **({"python": 1} if type(x) is complex else {})}
        return self._object(x)

    def _object(self, x: Any) -> Any:
        if not isinstance(x, (*_CLASSES, Function)):
            raise _foreign(x)
        reduce = copyreg.dispatch_table.get(type(x))
        made = reduce(x) if reduce else x.__reduce_ex__(4)
        assert isinstance(made, tuple)
        maker: Any = made[0]
        args, state = made[1], made[2] if len(made) > 2 else None
        new = maker is copyreg.__newobj__  # type: ignore[attr-defined]
        if new:
            maker, args = args[0], args[1:]
        if not _own(maker):
            raise _foreign(x)
        out = {"new" if new else "call": f"{maker.__module__}:{maker.__qualname__}", "args": [self.encoded(a) for a in args]}
        self.places[id(x)] = len(self.places)
        if state is not None:
            out["state"] = self.encoded(state)
        return out


def _foreign(x: Any) -> errors.SaveError:
    what = f"{x.__module__}.{x.__qualname__}" if isinstance(x, (type, type(save))) else f"{x!r} ({type(x).__name__})"
    return errors.SaveError(f"save: {what} isn't the package's own, and a file holds no code\n"
                            "hint: save the values (get_value) and build the graph anew, or use pickle")


class _Reader:
    """The inverse of `_Writer`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.made: list[Any] = []

    def decoded(self, x: Any) -> Any:
        if not isinstance(x, dict):
            return x
        kind, value = next(iter(x.items()))
        if kind == "float":
            return float.fromhex(value)
        if kind in ("list", "tuple", "set", "frozenset"):
            return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](self.decoded(e) for e in value)
        if kind == "dict":
            return {self.decoded(k): self.decoded(v) for k, v in value}
        if kind == "ellipsis":
            return Ellipsis
        if kind == "name":
            return _named(value)
        if kind == "again":
            return self.made[value]
        if kind in ("array", "number"):
            with self.archive.open(f"arrays/{value}.npy") as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
            if kind == "number":
                return array.item() if "python" in x else array[()]
            self.made.append(array)
            return array
        maker, args = _named(value), [self.decoded(a) for a in x["args"]]
        made = maker.__new__(maker, *args) if kind == "new" else maker(*args)
        self.made.append(made)
        if "state" in x:
            _set_state(made, self.decoded(x["state"]))
        return made


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if module.partition(".")[0] != _PACKAGE or "." in attribute:
        raise errors.SaveError(f"load: the file asks for {name}, which isn't the package's own")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        raise errors.SaveError(f"load: this version of the package has no {name}\n"
                               "hint: the file was written by another version") from None
    if not _own(found):
        raise errors.SaveError(f"load: the file asks for {name}, which isn't the package's own")
    return found


def _set_state(made: Any, state: Any) -> None:
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
        return
    plain, slots = state if isinstance(state, tuple) else (state, None)
    if plain:
        made.__dict__.update(plain)
    for name, value in (slots or {}).items():
        object.__setattr__(made, name, value)
