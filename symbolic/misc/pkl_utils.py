"""Theano's ``theano.misc.pkl_utils``: pickles whose arrays lie beside them as .npy files, in one zip archive."""
from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any, BinaryIO

import numpy as np

from symbolic.shared import SharedVariable


class _Pickler(pickle.Pickler):
    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile, protocol: int) -> None:
        super().__init__(file, protocol)
        self.archive, self.names, self.kept = archive, {}, []  # type: ignore[var-annotated]

    def persistent_id(self, obj: Any) -> Any:
        """Put arrays of shared variables into files of their own, named as the variables are."""
        if isinstance(obj, SharedVariable):
            self.names.setdefault(id(obj.container.value), obj.name)
            self.kept.append(obj.container.value)
        if type(obj) is not np.ndarray or obj.dtype.hasobject:
            return None
        wanted = str(self.names.get(id(obj)) or f"array_{len(self.archive.namelist())}").replace("/", "_")
        taken = set(self.archive.namelist())
        name, n = wanted, 1
        while name in taken:
            n += 1
            name = f"{wanted}_{n}"
        with self.archive.open(name, "w") as file:
            np.lib.format.write_array(file, obj, allow_pickle=False)
        return "ndarray", name


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile) -> None:
        super().__init__(file)
        self.archive, self.arrays = archive, {}  # type: ignore[var-annotated]

    def persistent_load(self, pid: Any) -> Any:
        """Return the array of a file."""
        kind, name = pid
        if kind != "ndarray":
            raise pickle.UnpicklingError(f"a persistent id of kind {kind!r}, expected 'ndarray'")
        if name not in self.arrays:
            with self.archive.open(name) as file:
                self.arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
        return self.arrays[name]


def dump(obj: Any, file_handler: BinaryIO, protocol: int = pickle.HIGHEST_PROTOCOL, persistent_id: Any = None) -> None:
    """Write an object: a zip archive with a pickle, and its arrays as .npy files that NumPy reads by themselves.

    Parameters
    ----------
    obj : object
    file_handler : binary file
    protocol : int
        Of the pickle.
    persistent_id
        Accepted as in Theano; arrays are named as the shared variables that hold them.

    Examples
    --------
    >>> import io, symbolic
    >>> file = io.BytesIO()
    >>> dump({"W": symbolic.shared(np.ones(2), "W")}, file)
    >>> load(file)["W"].get_value()
    array([1., 1.])
    """
    with zipfile.ZipFile(file_handler, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        text = io.BytesIO()
        _Pickler(text, archive, protocol).dump(obj)
        archive.writestr("pkl", text.getvalue())


def load(f: BinaryIO, persistent_load: Any = None) -> Any:
    """Return an object that `dump` wrote. It is a pickle: load only what you trust."""
    with zipfile.ZipFile(f) as archive:
        return _Unpickler(io.BytesIO(archive.read("pkl")), archive).load()
