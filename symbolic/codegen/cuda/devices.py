"""The devices of this process, by name."""
from __future__ import annotations

import importlib
import os
import threading
from typing import Any

from symbolic.codegen.cuda.emulator import EmuDevice
from symbolic.codegen.cuda.memory import DeviceCell
from symbolic.codegen.cuda.protocol import Device, parse
from symbolic.errors import DeviceError

_devices: dict[tuple[str, int], Device] = {}
_lock = threading.RLock()


def find(name: str) -> Device:
    """Return the device called `name`.

    Raises
    ------
    DeviceError
        If there is none, or what it needs is missing; the text says what to install.

    Examples
    --------
    >>> find("cuda:emulated").name
    'cuda:emulated'
    """
    kind, number = parse(name)
    if kind == "cpu":
        raise DeviceError("'cpu' has no kernels of CUDA's\nhint: leave device= out for the CPU")
    with _lock:
        if (kind, number) not in _devices:
            if kind == "emulated":
                _devices[kind, number] = EmuDevice(order=int(os.environ.get("CUDA_EMULATED_ORDER", "0")))
            else:
                module = importlib.import_module("symbolic.codegen.cuda.cupy_device")  # imports cupy, which takes a second
                _devices[kind, number] = module.CuPyDevice(number)
        return _devices[kind, number]


def place(container: Any, name: str) -> Any:
    """Move a shared variable's value to a device, if it may; return its cell there, or None."""
    device = find(name)
    return container.place(lambda array: DeviceCell(device, array), device)
