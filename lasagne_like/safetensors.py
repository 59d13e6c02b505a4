"""The .safetensors format: a header of JSON, then the arrays' bytes.

Eight bytes, little-endian, say how long the header is; it maps names to dtype, shape and the place of the bytes behind it.
Nothing in such a file can run code. Described at https://huggingface.co/docs/safetensors.
"""
from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

#: dtypes by the format's names; BF16 is read as float32
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8",
           "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1", "C64": "<c8"}
_NAMES = {np.dtype(d): name for name, d in _DTYPES.items()}
_LONGEST = 100_000_000


class SafetensorsError(ValueError):
    """A file that doesn't hold what its header says."""


def dump(arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a file's content.

    Parameters
    ----------
    arrays : dict from str to array
    metadata : dict from str to str, optional

    Raises
    ------
    TypeError
        If the format has no such dtype.

    Examples
    --------
    >>> parse(dump({"W": np.eye(2)}))[0]["W"]
    array([[1., 0.],
           [0., 1.]])
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    parts, place = [], 0
    for name, value in arrays.items():
        array = np.asarray(value)
        kind = _NAMES.get(array.dtype.newbyteorder("<"))
        if kind is None:
            raise TypeError(f"safetensors: {name!r} has dtype {array.dtype}, which the format doesn't know; it has "
                            f"{', '.join(_DTYPES)}")
        data = array.astype(_DTYPES[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [place, place + len(data)]}
        place += len(data)
        parts.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *parts])


def parse(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a file's content, and its metadata.

    Raises
    ------
    SafetensorsError
        If the header isn't what the format says, or an array's bytes aren't there.
    """
    if len(data) < 8:
        raise SafetensorsError(f"safetensors: {len(data)} bytes are too few for a file")
    size = struct.unpack("<Q", data[:8])[0]
    if size > min(_LONGEST, len(data) - 8):
        raise SafetensorsError(f"safetensors: the header should have {size} bytes, but the file has {len(data)}")
    try:
        header = json.loads(data[8:8 + size].decode())
    except ValueError as error:
        raise SafetensorsError(f"safetensors: the header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise SafetensorsError("safetensors: the header is no table")
    metadata = header.pop("__metadata__", {})
    body = memoryview(data)[8 + size:]
    return {name: _array(name, entry, body) for name, entry in header.items()}, metadata


def _array(name: str, entry: Any, body: memoryview) -> np.ndarray:
    try:
        kind, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        dtype = np.dtype("<u2" if kind == "BF16" else _DTYPES[kind])
        if not all(isinstance(n, int) and n >= 0 for n in (*shape, start, stop)):
            raise ValueError("an extent or offset is no natural number")
        length = dtype.itemsize
        for n in shape:
            length *= n
        if stop - start != length or stop > len(body):
            raise ValueError(f"offsets {start} to {stop} don't hold shape {shape} of {kind} in {len(body)} bytes")
    except (KeyError, TypeError, ValueError) as error:
        raise SafetensorsError(f"safetensors: the entry of {name!r} is wrong: {error}") from None
    flat = np.frombuffer(body[start:stop], dtype)
    if kind == "BF16":  # the upper half of a float32
        flat = (flat.astype("<u4") << 16).view("<f4")
    return flat.reshape(shape).astype(flat.dtype.newbyteorder("="))


def write_file(path: Any, data: bytes) -> None:
    """Write a file so that a reader sees the old content or all of the new one, whatever happens meanwhile."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
