"""Files as ``torch.save`` writes them, made here by hand: pickles' opcodes, and both formats around them."""
from __future__ import annotations

import io
import struct
import zipfile

import numpy as np

KINDS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char", "u1": "Byte",
         "b1": "Bool", "c8": "ComplexFloat", "c16": "ComplexDouble"}


class Raw(bytes):
    """Opcodes, as they are."""


def named(module, name):
    return Raw(f"c{module}\n{name}\n".encode())


def called(function, *arguments):
    return Raw(function + pickled(arguments) + b"R")


def pickled(o):
    """Return the opcodes that make `o` (protocol 2)."""
    if isinstance(o, Raw):
        return o
    if o is None or isinstance(o, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[o]
    if isinstance(o, int):
        size = (o.bit_length() + 8) // 8
        return b"\x8a" + bytes([size]) + o.to_bytes(size, "little", signed=True)
    if isinstance(o, str):
        return b"X" + struct.pack("<I", len(o.encode())) + o.encode()
    if isinstance(o, (tuple, list)):
        return b"(" + b"".join(map(pickled, o)) + (b"t" if isinstance(o, tuple) else b"l")
    return b"}(" + b"".join(pickled(k) + pickled(v) for k, v in o.items()) + b"u"


def whole(o):
    return b"\x80\x02" + pickled(o) + b"."


class Writer:
    """Storages of a file, and tensors of them."""

    def __init__(self):
        self.storages = {}

    def storage(self, array, kind=None, size=None, part=None):
        """Return a reference to the numbers of `array`, or to a part of them."""
        key = str(len(self.storages))
        self.storages[key] = array
        kind = kind or KINDS[array.dtype.str[1:]]
        more = () if part is None else (part,)
        return Raw(pickled(("storage", named("torch", f"{kind}Storage"), key, "cpu", array.size if size is None else size, *more))
                   + b"Q")

    def tensor(self, array, offset=0, size=None, stride=None, kind=None):
        """Return a tensor that is `array`; a view of its numbers, if offset, size and stride are given."""
        array = np.asarray(array)
        stride = tuple(s // array.itemsize for s in np.empty(array.shape, array.dtype).strides) if stride is None else stride
        flat = self.storage(np.ascontiguousarray(array).ravel(), kind) if not isinstance(array, Raw) else array
        return self.view(flat, offset, array.shape if size is None else size, stride)

    def view(self, storage, offset, size, stride):
        return called(named("torch._utils", "_rebuild_tensor_v2"), storage, offset, tuple(size), tuple(stride), False,
                      called(named("collections", "OrderedDict")))

    def row(self, o):
        """Return the file in PyTorch's format until 1.5."""
        head = [whole(0x1950A86A20F9469CFC6C), whole(1001), whole({"protocol_version": 1001, "little_endian": True})]
        raw = [struct.pack("<q", a.size) + a.tobytes() for a in self.storages.values()]
        return b"".join([*head, whole(o), whole(list(self.storages)), *raw])

    def zip(self, o, big=False):
        """Return the file in the later format."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("net/data.pkl", whole(o))
            archive.writestr("net/byteorder", b"big" if big else b"little")
            for key, a in self.storages.items():
                archive.writestr(f"net/data/{key}", (a.astype(a.dtype.newbyteorder(">")) if big else a).tobytes())
        return out.getvalue()


def state_file(state, path):
    """Write arrays by name as a ``state_dict()``, in the format until 1.5."""
    writer = Writer()
    path.write_bytes(writer.row({name: writer.tensor(a) for name, a in state.items()}))
    return path
