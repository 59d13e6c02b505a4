"""Pickles, those of Lasagne's model zoo above all, read without running anything that they name: arrays and plain containers."""
from __future__ import annotations

import _codecs
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray


class UnsafePickleError(ValueError):
    """A pickle that names something else than arrays and plain containers."""


def _encode(text: str, encoding: str = "latin1", *_: Any) -> bytes:
    """Stand in for ``_codecs.encode``, by which Python 3 writes bytes into old pickles."""
    return _codecs.encode(text, "latin1")


ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    **{(module, name): getattr(multiarray, name) for module in ("numpy.core.multiarray", "numpy._core.multiarray")
       for name in ("_reconstruct", "scalar")},
}


class RestrictedUnpickler(pickle._Unpickler):
    """Reads pickles that name nothing but what is allowed; other names are an error before they are looked up.

    Subclasses may allow more. It is the module's unpickler in Python, since the one in C makes room for any number of memos that
    a damaged file asks for.
    """

    allowed: dict[tuple[str, str], Any] = ALLOWED
    only = "only NumPy arrays and plain containers are read"

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise UnsafePickleError(f"the pickle names {module}.{name}; {self.only}, since a pickle can run anything it names")
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError("the pickle refers to objects outside of it")


def load(path: Any) -> Any:
    """Return what a pickle holds, of Python 2 or 3.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    arrays, numbers, text, lists, tuples, dicts
        Python 2's strings as latin-1 text.

    Raises
    ------
    UnsafePickleError
        If it names anything else, before that is looked up.
    ValueError
        If the file is no pickle.
    """
    with Path(path).open("rb") as file:
        try:
            return RestrictedUnpickler(file, encoding="latin1").load()
        except UnsafePickleError as error:
            raise UnsafePickleError(f"{path}: {error}") from None
        except Exception as error:  # whatever damaged bytes make of it
            raise ValueError(f"{path} can't be read as a pickle: {type(error).__name__}: {error}") from error


def param_values(path: Any) -> list[np.ndarray]:
    """Return the parameters' values that a pickle of the model zoo holds: a list of arrays, or a dict with one.

    Raises
    ------
    ValueError
        If there is no such list, or an array holds something else than numbers.
    """
    found = load(path)
    if isinstance(found, dict):
        for key in ("param values", "values", "params", "param_values"):
            if key in found:
                found = found[key]
                break
        else:
            raise ValueError(f"{path}: expected a list of arrays, or a dict with 'param values'; got a dict with "
                             f"{', '.join(map(repr, list(found)[:8]))}")
    if not isinstance(found, (list, tuple)):
        raise ValueError(f"{path}: expected a list of arrays, got {type(found).__name__}")
    for k, a in enumerate(found):
        if not isinstance(a, (np.ndarray, np.generic, float, int)) or np.asarray(a).dtype.kind not in "biufc":
            raise ValueError(f"{path}: entry {k} is no array of numbers, but {type(a).__name__}")
    return [np.asarray(a) for a in found]
