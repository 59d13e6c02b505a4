"""Weights of PyTorch's files, read without PyTorch and without running anything that they name: tensors and plain containers.

Both formats of ``torch.save`` are read: the zip archive, and the row of pickles with raw storages behind it that PyTorch wrote
until 1.5. As its documentation of serialization says, a pickle refers to storages as ``('storage', type, key, location, size)``
and rebuilds tensors from one, an offset, extents and strides.
"""
from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lasagne_like import pickles

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
#: storages' classes; bfloat16 is read as the upper halves of float32
_DTYPES = {"Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "u2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1",
           "Byte": "u1", "Bool": "?", "ComplexFloat": "c8", "ComplexDouble": "c16"}


class _Storage:
    """Numbers in a row, of which tensors are views."""

    def __init__(self, array: np.ndarray, bfloat16: bool) -> None:
        self.array, self.bfloat16 = array, bfloat16


class _StorageType:
    """What stands for PyTorch's class of storages of one dtype."""

    def __init__(self, kind: str) -> None:
        self.kind, self.dtype = kind, np.dtype(_DTYPES[kind]).newbyteorder("<")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _View:
    """Stand in for ``torch._utils._rebuild_tensor_v2``; a view beyond the storage is an error."""
    if not isinstance(storage, _Storage) or len(size) != len(stride) or any(
            not isinstance(n, int) or n < 0 for n in (offset, *size, *stride)):
        raise ValueError("a tensor that isn't one")
    a = storage.array
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if math.prod(size) and last >= a.size:
        raise ValueError(f"a tensor of shape {tuple(size)} reaches beyond its storage of {a.size} numbers")
    if math.prod(size) > max(a.size, 1):  # strides of 0 can ask for any size
        raise ValueError(f"a tensor of shape {tuple(size)} repeats the {a.size} numbers of its storage")
    return _View(storage, offset, tuple(size), tuple(stride))


class _View:
    """A tensor whose storage may be read later."""

    def __init__(self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def array(self) -> np.ndarray:
        a = self.storage.array
        if not math.prod(self.size):
            return np.zeros(self.size, np.float32 if self.storage.bfloat16 else a.dtype.newbyteorder("="))
        strides = [s * a.itemsize for s in self.stride]
        out = np.lib.stride_tricks.as_strided(a[self.offset:], self.size, strides, writeable=False)
        if self.storage.bfloat16:
            return (out.astype(np.uint32) << 16).view(np.float32)
        return out.astype(a.dtype.newbyteorder("="))


def _parameter(data: Any, *_: Any) -> Any:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    **{("torch", f"{kind}Storage"): _StorageType(kind) for kind in _DTYPES},
    ("torch._utils", "_rebuild_tensor_v2"): _tensor, ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter, ("torch", "Size"): tuple,
}


class _Unpickler(pickles.RestrictedUnpickler):
    allowed = pickles.ALLOWED | _ALLOWED
    only = "only tensors, NumPy arrays and plain containers are read"

    def __init__(self, file: Any, storage: Callable[..., _Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def persistent_load(self, pid: Any) -> Any:
        kind, cls, key, _, size, *more = pid
        if kind != "storage" or not isinstance(cls, _StorageType) or not isinstance(size, int) or size < 0:
            raise ValueError("a reference to something else than a storage")
        found = self._storage(cls, key, size)
        if not more or more[0] is None:
            return found
        _, offset, length = more[0]  # a part of a storage, as old files have it
        if not 0 <= offset <= offset + length <= found.array.size:
            raise ValueError("a part that reaches beyond its storage")
        return _Storage(found.array[offset:offset + length], found.bfloat16)


def _filled(found: Any) -> Any:
    """Return what was unpickled, with arrays for its tensors."""
    if isinstance(found, _View):
        return found.array()
    if isinstance(found, dict):
        return {k: _filled(v) for k, v in found.items()}
    return type(found)(map(_filled, found)) if type(found) in (list, tuple) else found


def _read_zip(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        pickled = next((n for n in names if n.endswith("/data.pkl")), None)
        if pickled is None:
            raise ValueError("the archive holds no data.pkl; a model that torch.jit.save wrote isn't read")
        folder = pickled.removesuffix("data.pkl")
        big = folder + "byteorder" in names and archive.read(folder + "byteorder") == b"big"
        known: dict[str, _Storage] = {}

        def storage(cls: _StorageType, key: str, size: int) -> _Storage:
            if key not in known:
                raw = archive.read(f"{folder}data/{key}")
                dtype = cls.dtype.newbyteorder(">") if big else cls.dtype
                if len(raw) < size * dtype.itemsize:
                    raise ValueError(f"storage {key} should have {size} numbers of {dtype}, the file has {len(raw)} bytes")
                known[key] = _Storage(np.frombuffer(raw, dtype, size), cls.kind == "BFloat16")
            return known[key]

        return _filled(_Unpickler(io.BytesIO(archive.read(pickled)), storage).load())


def _read_row(data: bytes) -> Any:
    file = io.BytesIO(data)
    known: dict[str, _Storage] = {}

    def storage(cls: _StorageType, key: str, size: int) -> _Storage:
        if key not in known:
            if size * cls.dtype.itemsize + sum(one.array.nbytes for one in known.values()) > len(data):
                raise ValueError(f"storage {key} should have {size} numbers, the whole file has {len(data)} bytes")
            known[key] = _Storage(np.zeros(size, cls.dtype), cls.kind == "BFloat16")
        return known[key]

    def part() -> Any:
        return _Unpickler(file, storage).load()

    if part() != _MAGIC:
        raise ValueError("a pickle, but not one that torch.save wrote")
    if part() != _PROTOCOL:
        raise ValueError("another version of PyTorch's format")
    little = part().get("little_endian", True)
    found = part()
    for key in part():
        array = known[key].array
        size, = struct.unpack("<q" if little else ">q", file.read(8))
        raw = file.read(array.nbytes)
        if size != array.size or len(raw) != array.nbytes:
            raise ValueError(f"storage {key} should have {array.size} numbers, the file has {size}, of which it holds "
                             f"{len(raw) // array.itemsize}")
        array[...] = np.frombuffer(raw, array.dtype if little else array.dtype.newbyteorder(">"))
    return _filled(found)


def load(path: Any) -> Any:
    """Return what ``torch.save`` wrote into a file: a model's ``state_dict()``, or what contains one.

    Parameters
    ----------
    path : str or Path
        In the format of a zip archive, or that of PyTorch until 1.5.

    Returns
    -------
    dict, list, tuple, numbers, text
        With arrays in the place of tensors, of the same dtype; float32 for bfloat16. Tensors that share a storage become arrays
        of their own.

    Raises
    ------
    UnsafePickleError
        If the file names something else than tensors and plain containers (a whole model, for instance), before that is looked
        up.
    ValueError
        If the file is damaged, or of another format.

    References
    ----------
    PyTorch's notes on serialization semantics.
    """
    data = Path(path).read_bytes()
    try:
        return _read_zip(data) if data[:2] == b"PK" else _read_row(data)
    except pickles.UnsafePickleError as error:
        raise pickles.UnsafePickleError(f"{path}: {error}; save model.state_dict()") from None
    except Exception as error:  # whatever damaged bytes make of it
        raise ValueError(f"{path} can't be read as a file of torch.save: {type(error).__name__}: {error}") from error


def as_lasagne(state: Mapping[str, Any], epsilon: float = 1e-5) -> dict[str, np.ndarray]:
    """Return a ``state_dict()``, named and laid out as Lasagne's layers of the same names have their parameters.

    Parameters
    ----------
    state : dict from str to array
        As `load` gives it.
    epsilon : float
        Of the batch normalizations, which files don't hold; give the layers the same.

    Returns
    -------
    dict from str to array
        ``name.W`` and ``name.b``; a matrix is transposed to (inputs, outputs), as `DenseLayer` has it, so that an embedding's
        table must be turned back. A batch normalization gives ``beta``, ``gamma``, ``mean`` and ``inv_std``. Filters stay as they
        are: PyTorch correlates, so convolution layers need ``flip_filters=False``. Other names stay.

    Raises
    ------
    ValueError
        If an entry is no array.

    Examples
    --------
    >>> state = {"fc.weight": np.zeros((10, 4)), "fc.bias": np.zeros(10)}
    >>> {name: a.shape for name, a in as_lasagne(state).items()}
    {'fc.W': (4, 10), 'fc.b': (10,)}
    """
    out: dict[str, np.ndarray] = {}
    for name, a in state.items():
        if not isinstance(a, np.ndarray):
            raise ValueError(f"as_lasagne: expected a state_dict of arrays, but {name!r} is {type(a).__name__}")
        layer, _, own = name.rpartition(".")
        dot, normal = layer + "." if layer else "", f"{layer}.running_var" in state
        if normal and own == "running_var":
            out[dot + "inv_std"] = (1 / np.sqrt(a + a.dtype.type(epsilon))).astype(a.dtype)
        elif normal and own in ("weight", "bias", "running_mean"):
            out[dot + {"weight": "gamma", "bias": "beta", "running_mean": "mean"}[own]] = a
        elif own == "weight" and a.ndim == 2:
            out[dot + "W"] = np.ascontiguousarray(a.T)
        elif own != "num_batches_tracked":
            out[dot + {"weight": "W", "bias": "b"}.get(own, own)] = a
    return out
