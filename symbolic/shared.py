"""Shared variables: values that live between calls and that functions update."""
from __future__ import annotations

import importlib
import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.config import config
from symbolic.graph import Variable, widened
from symbolic.source import caller
from symbolic.types import TensorType, is_masked


class Cell:
    """Where a container keeps its array until native code shares it."""

    __slots__ = ("value",)

    def __init__(self, value: np.ndarray) -> None:
        self.value = value


class Container:
    """Holds the array of a shared variable; clones of the variable have the same container."""

    __slots__ = ("_cell",)

    def __init__(self, value: np.ndarray) -> None:
        self._cell: Any = Cell(value)

    @property
    def value(self) -> np.ndarray:
        """The array itself. Setting it waits for calls that use it."""
        return self._cell.value

    @value.setter
    def value(self, array: np.ndarray) -> None:
        self._cell.value = array

    @property
    def device(self) -> str:
        """Where the value lies: ``'cpu'``, or the name of another device."""
        return getattr(getattr(self._cell, "device", None), "name", "cpu")

    def place(self, make: Callable[[np.ndarray], Any], device: Any) -> Any:
        """Return the cell on `device`, moving the value there by `make`; None if native code holds it in the host's memory.

        Of a value on another device, None as well.
        """
        with _moving:
            if type(self._cell) is Cell:
                self._cell = make(self._cell.value)
            return self._cell if getattr(self._cell, "device", None) is device else None

    @property
    def placed(self) -> Any:
        """The cell, if the value lies on another device."""
        return self._cell if self.device != "cpu" else None

    def share(self, storage: Callable[[np.ndarray], Any]) -> Any:
        """Return the cell that native code reads and updates, an object of class `storage`; made on first use."""
        with _moving:
            if type(self._cell) is not storage:
                self._cell = storage(self._cell.value)
            return self._cell

    def __deepcopy__(self, memo: dict[int, Any]) -> Container:
        return Container(self.value.copy())

    def __reduce__(self) -> tuple[Any, ...]:
        return Container, (self.value.copy(),)


_moving = threading.Lock()
_serials = itertools.count()


def now() -> int:
    """Return a number that is below the serial number of every shared variable made from here on, and above all others'."""
    return next(_serials)


class SharedVariable(Variable):
    """A variable with a value of its own.

    Attributes
    ----------
    container : Container
    default_update : Variable or None
        The update that functions make unless told otherwise.
    serial : int
        Counts shared variables in the order in which they are made.
    """

    __slots__ = ("container", "default_update", "serial")

    def __init__(self, type: TensorType, container: Container, name: str | None = None) -> None:
        super().__init__(type, name=name)
        self.container = container
        self.default_update: Any = None
        self.serial = next(_serials)

    def __setstate__(self, state: Any) -> None:
        for name, value in state[1].items():
            setattr(self, name, value)
        self.serial = next(_serials)  # of this process

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """Return the value: a copy, or with `borrow` the array itself.

        Parameters
        ----------
        borrow : bool
        return_internal_type : bool
            Of a value on a GPU return CuPy's array (a copy of it, without `borrow`), not one of NumPy's.
        """
        cell = self.container.placed
        if cell is not None:
            return cell.array(copy=not borrow) if return_internal_type else cell.value
        value = self.container.value
        return value if borrow else value.copy()

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Replace the value by one of the same dtype and rank.

        Raises
        ------
        DTypeError, RankError, ShapeError
            If `new_value` doesn't fit the type; the old value stays.
        """
        try:
            array = self.type.filter(new_value)
        except errors.SymbolicError as error:
            raise type(error)(errors.message("set_value", str(error), (str(self),), self.loc)) from None
        self.container.value = _owned(array, borrow)

    def zero(self, borrow: bool = False) -> None:
        """Set every element to 0."""
        self.container.value = np.zeros_like(self.container.value)

    def clone(self) -> SharedVariable:
        """Return another variable on the same storage."""
        made = SharedVariable(self.type, self.container, self.name)
        made.default_update = self.default_update
        return made


def _owned(array: np.ndarray, borrow: bool) -> np.ndarray:
    if borrow and array.flags.c_contiguous and array.flags.aligned and array.flags.writeable:
        return array
    return np.array(array, order="C")


#: Filled by other modules: what makes a shared variable of a value, its name and `borrow`, or passes with None.
CONSTRUCTORS: list[Callable[[Any, str | None, bool], Any]] = []


def shared(value: Any, name: str | None = None, strict: bool = False, allow_downcast: bool | None = None,
           borrow: bool = False, broadcastable: Any = None, dtype: Any = None, device: str | None = None) -> Any:
    """Return a shared variable that starts at `value`.

    Parameters
    ----------
    value : array_like
        Extents are free to change in later calls; dtype and rank are not. A Python int becomes int64, a float
        float64.
    name : str, optional
    borrow : bool
        Use the array itself instead of a copy.
    broadcastable : sequence of bool, optional
        Axes whose extent stays 1.
    dtype : str, optional
    device : str, optional
        Where the value lies: ``'cpu'``, ``'cuda'``, ...; by default where the first function on a device that uses it runs.

    Raises
    ------
    ConversionError
        If `value` isn't numeric.
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> import numpy as np
    >>> shared(np.zeros((2, 3), "float32"), "W").get_value().shape
    (2, 3)
    """
    if isinstance(value, Variable):
        raise errors.ConversionError(errors.message("shared", f"needs a value, got the symbolic variable {value}", (),
                                                    caller(), "a function computes its value"))
    for construct in CONSTRUCTORS:
        made = construct(value, name, borrow)
        if made is not None:
            return made
    if is_masked(value):
        raise errors.ConversionError(errors.message("shared", "got a masked array: what is masked would be used", (),
                                                    caller(), "pass .filled(value)"))
    array = np.asarray(value, dtype=dtype)
    if array.dtype.kind not in "biufc":
        raise errors.ConversionError(errors.message(
            "shared", f"needs numbers, got {type(value).__name__} of dtype {array.dtype}", (), caller()))
    shape = tuple(broadcastable) if broadcastable is not None else (None,) * array.ndim
    made = TensorType(array.dtype.name, shape)
    made.filter(array)
    if config.warn_float64 != "ignore":
        widened([made], [], "shared", caller())
    container = Container(_owned(array, borrow))
    if device is not None and device != "cpu":
        importlib.import_module("symbolic.codegen.cuda.devices").place(container, device)  # loaded by who asks for one
    return SharedVariable(made, container, name)


class OrderedUpdates(dict[SharedVariable, Any]):
    """Updates by shared variable; what `scan` returns. Two can be added, which raises where both update one variable.

    Raises
    ------
    UpdateError
        If a key isn't a shared variable, or a variable would be updated twice.

    Examples
    --------
    >>> a, b = shared(0.0, "a"), shared(1.0, "b")
    >>> (OrderedUpdates({a: 2.0}) + {b: 3.0})
    OrderedUpdates({a: 2.0, b: 3.0})
    """

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__()
        for part in (*given, more):
            for key, value in part.items() if hasattr(part, "items") else part:
                self[key] = value

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, SharedVariable):
            raise errors.UpdateError(errors.message(
                "OrderedUpdates", f"only shared variables can be updated, got {key!r} ({type(key).__name__})", (), caller(),
                "symbolic.shared(value) makes one"))
        super().__setitem__(key, value)

    def update(self, other: Any = (), **more: Any) -> None:  # type: ignore[override]
        """Add updates; a variable that has another one already is an error."""
        for part in (other, more):
            for key, value in list(part.items() if hasattr(part, "items") else part):
                if key in self and self[key] is not value:
                    raise errors.UpdateError(errors.message("OrderedUpdates", f"{key} is updated in two ways", (), caller(),
                                                            "join both into one expression"))
                self[key] = value

    def __add__(self, other: Any) -> OrderedUpdates:
        made = OrderedUpdates(self)
        made.update(other)
        return made

    def __radd__(self, other: Any) -> OrderedUpdates:
        made = OrderedUpdates(other)
        made.update(self)
        return made

    def __repr__(self) -> str:
        return f"OrderedUpdates({{{', '.join(f'{k}: {v}' for k, v in self.items())}}})"

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedUpdates, (list(self.items()),)
