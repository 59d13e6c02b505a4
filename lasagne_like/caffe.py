"""Weights of Caffe's .caffemodel files: the few fields of its protobuf messages that hold them, read without Caffe."""
from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}  # V1LayerParameter.LayerType, those with weights
_NAMES = {"Scale": ("scales", "b"), "PReLU": ("alpha",)}  # as Lasagne's layers of that kind call them


def read(path: Any) -> dict[str, np.ndarray]:
    """Return the weights of a .caffemodel file, named and laid out as Lasagne's layers of the same names have them.

    Parameters
    ----------
    path : str or Path
        Both forms of Caffe's `NetParameter` are read: layers of version 1 and the later ones.

    Returns
    -------
    dict from str to array
        ``name.W`` and ``name.b``; the matrix of an InnerProduct is transposed to (inputs, outputs). A BatchNorm gives ``mean``
        and ``inv_std``, a Scale ``scales`` and ``b``, a PReLU ``alpha``; blobs of other layers beyond two are ``blob2``, ….
        Filters stay as they are: Caffe correlates, so convolution layers need ``flip_filters=False``.

    Raises
    ------
    ValueError
        If the file is cut off, is no such message, or holds no weights.
    """
    try:
        out = _net(Path(path).read_bytes())
    except (struct.error, IndexError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"read: {path} is no .caffemodel, or is cut off ({error})") from None
    except ValueError as error:
        raise ValueError(f"read: {path}: {error}") from None
    if not out:
        raise ValueError(f"read: {path} holds no weights")
    return out


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number of more than ten bytes: no .caffemodel")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value): an int, or the bytes of anything else (the protobuf encoding's wire types 0, 1, 2, 5)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}: no .caffemodel")
        if at + size > len(data):
            raise ValueError("the file is cut off")
        yield key >> 3, data[at:at + size]
        at += size


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where a message was expected: no .caffemodel")
    return value


def _net(data: bytes) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    for number, value in _fields(data):
        if number in (2, 100):
            for name, array in _layer(_bytes(value), old=number == 2).items():
                if name in out:
                    raise ValueError(f"two layers hold {name}")
                out[name] = array
    return out


def _layer(data: bytes, old: bool) -> dict[str, np.ndarray]:
    name, kind, blobs, eps, turned = "", "", [], 1e-5, False
    for number, value in _fields(data):
        if number == (4 if old else 1):
            name = _bytes(value).decode()
        elif number == (5 if old else 2):
            kind = _OLD_TYPES.get(value, "") if old else _bytes(value).decode()
        elif number == (6 if old else 7):
            blobs.append(_blob(_bytes(value)))
        elif number == 139 and not old:  # batch_norm_param
            eps = next((struct.unpack("<f", v)[0] for n, v in _fields(_bytes(value)) if n == 3), eps)
        elif number == 117 and not old:  # inner_product_param
            turned = any(n == 6 and v for n, v in _fields(_bytes(value)))
    return {f"{name}.{own}": a for own, a in _named("Turned" if kind == "InnerProduct" and turned else kind, blobs, eps)}


def _named(kind: str, blobs: Sequence[np.ndarray], eps: float) -> Iterator[tuple[str, np.ndarray]]:
    if kind == "BatchNorm" and len(blobs) == 3:  # running sums, and what to divide them by
        factor = float(blobs[2].reshape(-1)[0])
        mean, var = (b.reshape(-1) * blobs[0].dtype.type(1 / factor if factor else 0) for b in blobs[:2])
        if (var + eps <= 0).any():
            raise ValueError("a BatchNorm's variance isn't positive")
        yield "mean", mean
        yield "inv_std", (1 / np.sqrt(var + eps)).astype(var.dtype)
        return
    names = _NAMES.get(kind, ("W", "b"))
    for k, blob in enumerate(blobs):
        own = names[k] if k < len(names) else f"blob{k}"
        if kind == "InnerProduct" and k == 0:  # one with `transpose` lies as Lasagne's already
            blob = blob.reshape(blob.shape[-2:]).T  # blobs of version 1 always have four dimensions
        elif own in ("b", "alpha", "scales"):
            blob = blob.reshape(-1)
        yield own, np.ascontiguousarray(blob)


def _blob(data: bytes) -> np.ndarray:
    parts: dict[int, list[bytes]] = {5: [], 8: []}
    shape: list[int] | None = None
    old = dict.fromkeys((1, 2, 3, 4), 1)
    is_old = False
    for number, value in _fields(data):
        if number in parts:
            parts[number].append(_bytes(value))
        elif number == 7:
            shape = []
            for n, dims in _fields(_bytes(value)):
                if n == 1:
                    shape += [dims] if isinstance(dims, int) else _varints(dims)
        elif number in old and isinstance(value, int):
            old[number], is_old = value, True
    array = np.frombuffer(b"".join(parts[8]), "<f8") if parts[8] else np.frombuffer(b"".join(parts[5]), "<f4")
    extents = tuple(shape) if shape is not None else tuple(old.values()) if is_old else array.shape
    if math.prod(extents) != array.size:
        raise ValueError(f"a blob of shape {extents} holds {array.size} numbers")
    return array.reshape(extents)


def _varints(data: bytes) -> list[int]:
    out, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        out.append(value)
    return out
