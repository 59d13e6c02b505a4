"""Memory of a device that is given back when nobody holds it, and shared variables' values in it."""
from __future__ import annotations

from collections import deque
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from symbolic.codegen.cuda.protocol import Device
from symbolic.errors import DeviceMemoryError

#: bytes that no device has
MOST = 1 << 47
#: Addresses that nobody holds any more, by device: freed when it is used next, since a collector may run at any time.
_dead: WeakKeyDictionary[Any, deque[int]] = WeakKeyDictionary()


def bury(device: Device) -> None:
    """Free what nobody holds any more."""
    dead = _dead.get(device)
    while dead:
        device.free(dead.popleft())


class Memory:
    """Bytes of a device.

    Attributes
    ----------
    pointer, size : int
    """

    __slots__ = ("_dead", "pointer", "size")

    def __init__(self, device: Device, size: int) -> None:
        self._dead: deque[int] | None = None
        bury(device)
        self.size = max(16, size)
        if size >= MOST:
            raise DeviceMemoryError(f"{device.name}: out of memory: {size} bytes asked for")
        self.pointer = device.alloc(self.size)
        self._dead = _dead.setdefault(device, deque())

    def __del__(self) -> None:
        if self._dead is not None:
            self._dead.append(self.pointer)


class DeviceCell:
    """The value of a shared variable on a device, in the place of an array of the host's.

    Attributes
    ----------
    device : Device
    shape : tuple of int
    dtype : numpy.dtype
    memory : Memory
    spare : Memory or None
        Where the next value is written if it can't be written over this one; then they change places.
    """

    __slots__ = ("device", "dtype", "memory", "shape", "spare")

    def __init__(self, device: Device, array: np.ndarray) -> None:
        self.device, self.dtype, self.shape = device, array.dtype, array.shape
        self.memory = Memory(device, array.nbytes)
        self.spare: Memory | None = None
        self._write(array)

    def _write(self, array: np.ndarray) -> None:
        if array.size:
            self.device.copy_in(self.memory.pointer, np.ascontiguousarray(array))

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return int(np.prod(self.shape, dtype="int64")) * self.dtype.itemsize

    @property
    def value(self) -> np.ndarray:
        """A copy in the host's memory; what it is set to is copied to the device."""
        out = np.empty(self.shape, self.dtype)
        if out.size:
            self.device.copy_out(self.memory.pointer, out)
        return out

    @value.setter
    def value(self, array: np.ndarray) -> None:
        if array.nbytes > self.memory.size:
            self.memory = Memory(self.device, array.nbytes)  # first: if there is no room, the old value stays
        self.spare, self.shape, self.dtype = None, array.shape, array.dtype
        self._write(array)

    def room(self, size: int) -> Memory:
        """Return memory for a new value, beside the old one."""
        if self.spare is None or self.spare.size < size:
            self.spare = Memory(self.device, size)
        return self.spare

    def turn(self, shape: tuple[int, ...], memory: Memory) -> None:
        """Let the new value, in `memory`, take the old one's place."""
        self.memory, self.spare, self.shape = memory, self.memory, shape

    def array(self, copy: bool = False) -> Any:
        """Return the device's own array of the value."""
        if not copy:
            return self.device.view(self.memory.pointer, self.shape, self.dtype.name, self.memory)
        memory = Memory(self.device, self.nbytes)
        if self.nbytes:
            self.device.copy(memory.pointer, self.memory.pointer, self.nbytes)
        return self.device.view(memory.pointer, self.shape, self.dtype.name, memory)
