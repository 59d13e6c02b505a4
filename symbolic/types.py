"""Types of values: dtype and what is known of the shape. Promotion rules live here and nowhere else."""
from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from symbolic.config import config
from symbolic.errors import DTypeError, RankError, ShapeError

BOOL = ("bool",)
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
DTYPES = BOOL + INTEGERS + FLOATS + COMPLEX

Shape = tuple[int | None, ...]


def dtype_name(dtype: Any) -> str:
    """Return the canonical name of `dtype` (``'floatX'`` is the configured float).

    Raises
    ------
    DTypeError
        If there is no such dtype, or it isn't one of ``DTYPES``.
    """
    if isinstance(dtype, str):
        if dtype in _DTYPE_SET:
            return dtype
        if dtype == "floatX":
            return config.floatX
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in _DTYPE_SET:
        raise DTypeError(f"dtype {name!r} isn't supported; use one of {', '.join(DTYPES)}")
    return name


_DTYPE_SET = frozenset(DTYPES)


def is_float(dtype: str) -> bool:
    """Whether `dtype` is real floating point."""
    return dtype in FLOATS


def is_integer(dtype: str) -> bool:
    """Whether `dtype` is a signed or unsigned integer (not bool)."""
    return dtype in INTEGERS


def is_discrete(dtype: str) -> bool:
    """Whether `dtype` is bool or an integer: values that carry no gradient."""
    return dtype == "bool" or dtype in INTEGERS


def is_complex(dtype: str) -> bool:
    """Whether `dtype` is complex."""
    return dtype in COMPLEX


@cache
def promote(*dtypes: str) -> str:
    """Return the dtype that holds all of `dtypes` (NumPy's array promotion, which is Theano's).

    >>> promote("int32", "float32"), promote("int8", "float32")
    ('float64', 'float32')
    """
    out = dtypes[0]
    for other in dtypes[1:]:
        if other != out:
            out = np.promote_types(out, other).name
    return out


def to_float(dtype: str) -> str:
    """Return the float that functions like ``sqrt`` compute an integer in (Theano's rule).

    >>> to_float("int8"), to_float("int64"), to_float("float32")
    ('float32', 'float64', 'float32')
    """
    if is_discrete(dtype):
        return "float32" if np.dtype(dtype).itemsize <= 2 else "float64"
    return dtype


def meet(*dtypes: str) -> str:
    """Return the dtype in which operands of `dtypes` meet, as ``config.cast_policy`` says.

    >>> meet("int32", "float32")
    'float64'
    >>> with config.change_flags(cast_policy="floatX"):
    ...     meet("int32", "float32"), meet("int32", "int8"), meet("float64", "float32")
    ('float32', 'int32', 'float64')
    >>> with config.change_flags(cast_policy="numpy+floatX", floatX="float32"):
    ...     meet("int32", "float32"), meet("float64", "float32")
    ('float32', 'float64')
    """
    out, policy = promote(*dtypes), config.cast_policy
    if policy == "floatX":
        return promote(*(d for d in dtypes if not is_discrete(d))) if not is_discrete(out) else out
    if policy == "numpy+floatX" and out not in dtypes:
        if out == "float64":
            return config.floatX
        if out == "complex128" and "float64" not in dtypes and config.floatX != "float64":
            return "complex64"
    return out


def float_of(*dtypes: str) -> str:
    """Return the float in which a function like ``sqrt`` computes operands of `dtypes`, as ``config.cast_policy`` says.

    >>> float_of("int8"), float_of("float32")
    ('float32', 'float32')
    >>> with config.change_flags(cast_policy="floatX"):
    ...     float_of("int8"), float_of("int64")
    ('float64', 'float64')
    """
    out = meet(*dtypes)
    return config.floatX if is_discrete(out) and config.cast_policy != "custom" else to_float(out)


def real_of(dtype: str) -> str:
    """Return the dtype of the real part."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def smallest_int(value: int) -> str:
    """Return the smallest signed dtype that holds `value` (``uint64`` past int64).

    >>> smallest_int(1), smallest_int(300)
    ('int8', 'int16')
    """
    for name in SIGNED + ("uint64",):
        info = np.iinfo(name)
        if info.min <= value <= info.max:
            return name
    raise DTypeError(f"the integer {value} doesn't fit in 64 bits")


def weak_dtype(value: bool | int | float | complex, others: Iterable[str] = ()) -> str:
    """Return the dtype that a Python number takes beside operands of dtypes `others`.

    Python numbers are weak: they take the operand's dtype where they fit, so that ``x * 0.1`` with a
    float32 `x` stays float32.
    """
    others = tuple(others)
    other = promote(*others) if others else None
    if isinstance(value, bool):
        return other or "bool"
    if isinstance(value, int):
        if other is None or other == "bool":
            return smallest_int(value)
        if is_integer(other) and not np.iinfo(other).min <= value <= np.iinfo(other).max:
            return smallest_int(value)
        return other
    if isinstance(value, complex):
        return "complex64" if other in ("float16", "float32", "complex64") else "complex128"
    if other is not None and not is_discrete(other):
        return other
    for name in _autocast.get():
        if float(np.dtype(name).type(value)) == value:
            return name
    return (_autocast.get() or (config.floatX,))[-1]


_autocast: ContextVar[tuple[str, ...]] = ContextVar("autocast", default=())


@contextmanager
def autocast_float_as(*dtypes: str) -> Iterator[None]:
    """Let Python floats that stand by themselves, or beside integers, become the first of `dtypes` that holds them exactly.

    Where none does, the last one is taken. Without this they become ``config.floatX``.

    Examples
    --------
    >>> with autocast_float_as("float16", "float64"):
    ...     weak_dtype(0.5), weak_dtype(0.1)
    ('float16', 'float64')
    """
    names = tuple(dtype_name(d) for d in dtypes)
    if not names or not all(map(is_float, names)):
        raise DTypeError(f"autocast_float_as takes names of floats, got {dtypes}")
    token = _autocast.set(names)
    try:
        yield
    finally:
        _autocast.reset(token)


@dataclass(frozen=True, slots=True, init=False)
class TensorType:
    """The type of an array: `dtype` and `shape`, where None is an extent known only when called.

    Parameters
    ----------
    dtype : str or numpy.dtype
        Element type; ``'floatX'`` stands for ``config.floatX``.
    shape : sequence of int, None or bool
        One entry an axis: an extent, None for any, or Theano's broadcast flags (True is extent 1,
        False is unknown).
    name : str, optional
        Without effect; Theano's.
    broadcastable : sequence of bool, optional
        Instead of `shape`: Theano's name for it.

    Examples
    --------
    >>> TensorType("float32", (None, 1))
    TensorType(float32, (?, 1))
    >>> TensorType("float32", (False, True)).broadcastable
    (False, True)
    """

    dtype: str
    shape: Shape = ()

    def __init__(self, dtype: Any, shape: Sequence[int | bool | None] = (), name: str | None = None,
                 broadcastable: Sequence[bool] | None = None) -> None:
        if broadcastable is not None:
            shape = broadcastable
        if type(shape) is not tuple or any(type(n) is not int and n is not None for n in shape):
            shape = tuple(_extent(n) for n in shape)
        object.__setattr__(self, "dtype", dtype_name(dtype))
        object.__setattr__(self, "shape", shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """Theano's pattern: True where the extent is known to be 1."""
        return tuple(n == 1 for n in self.shape)

    def clone(self, dtype: str | None = None, shape: Shape | None = None, broadcastable: Sequence[bool] | None = None
              ) -> TensorType:
        """Return this type with another dtype or shape."""
        if broadcastable is not None:
            return TensorType(dtype or self.dtype, broadcastable)
        return TensorType(dtype or self.dtype, self.shape if shape is None else shape)

    def __repr__(self) -> str:
        return f"TensorType({self.dtype}, {shape_text(self.shape)})"

    def __str__(self) -> str:
        return f"{self.dtype} {shape_text(self.shape)}"

    def filter(self, data: Any, strict: bool = False, allow_downcast: bool | None = None) -> np.ndarray:
        """Return `data` as an array of this type.

        Parameters
        ----------
        data : array_like
        strict : bool
            Accept only an ndarray of exactly this dtype.
        allow_downcast : bool or None
            True converts silently; False never loses precision; None loses it only for Python floats
            given for floatX, as Theano does.

        Raises
        ------
        DTypeError
            If converting would lose precision.
        RankError, ShapeError
            If the rank or a known extent differs.
        """
        plain = isinstance(data, np.ndarray) and not is_masked(data)
        array = data if plain else self._from_object(data, strict, allow_downcast)
        if array.dtype != self.dtype:
            array = self._convert(array, strict, allow_downcast)
        if array.ndim != len(self.shape):
            raise RankError(f"expected {len(self.shape)} dimensions ({self}), got {array.ndim} "
                            f"(shape {array.shape})")
        for axis, (want, got) in enumerate(zip(self.shape, array.shape, strict=True)):
            if want is not None and want != got:
                raise ShapeError(f"expected extent {want} on axis {axis} ({self}), got shape {array.shape}")
        return array

    def _from_object(self, data: Any, strict: bool, allow_downcast: bool | None) -> np.ndarray:
        if strict:
            raise DTypeError(f"strict: expected an ndarray of {self}, got {type(data).__name__}")
        if is_masked(data):
            raise DTypeError(f"expected {self}, got a masked array: what is masked would be used; pass .filled(value)")
        weak = isinstance(data, (bool, int, float, complex)) and not isinstance(data, np.generic)
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise DTypeError(f"expected {self}, got an object that is no rectangular array: {error}") from None
        if array.dtype == self.dtype:
            return array
        if array.size == 0 and not hasattr(data, "dtype"):
            return array.astype(self.dtype)
        if weak and allow_downcast is not False and isinstance(data, float) and self.dtype == config.floatX:
            return array.astype(self.dtype)
        if array.dtype.kind in "iu" and not hasattr(data, "dtype") and not is_complex(self.dtype):
            # Python integers (and lists of them) carry no dtype of their own: they fit if the values do.
            cast = array.astype(self.dtype) if self.dtype != "bool" else array
            if np.array_equal(cast, array) and cast.dtype == self.dtype:
                return cast
        if array.dtype.kind == "f" and not hasattr(data, "dtype") and is_float(self.dtype):
            cast = array.astype(self.dtype)
            if np.array_equal(cast, array, equal_nan=True):
                return cast
        return array

    def _convert(self, array: np.ndarray, strict: bool, allow_downcast: bool | None) -> np.ndarray:
        if array.dtype.kind not in "biufc":
            raise DTypeError(f"expected {self}, got an array of dtype {array.dtype}, which isn't numeric")
        if strict:
            raise DTypeError(f"strict: expected dtype {self.dtype}, got {array.dtype}")
        if allow_downcast or np.can_cast(array.dtype, self.dtype, "safe"):
            if is_complex(array.dtype.name) and not is_complex(self.dtype):
                raise DTypeError(f"expected {self}, got complex values; take .real or abs() first")
            return array.astype(self.dtype)
        raise DTypeError(
            f"expected dtype {self.dtype}, got {array.dtype}, and converting would lose precision; convert it "
            f"yourself (.astype({self.dtype!r})) or pass allow_input_downcast=True to function()")


def is_masked(x: Any) -> bool:
    """Whether `x` is a masked array; without importing ``numpy.ma`` (15 ms), which then can't have made it."""
    module = sys.modules.get("numpy.ma")
    return module is not None and isinstance(x, module.MaskedArray)


def _extent(n: Any) -> int | None:
    if n is None or n is False:
        return None
    if n is True:
        return 1
    if isinstance(n, (int, np.integer)) and n >= 0:
        return int(n)
    raise ShapeError(f"an extent must be a non-negative int, None or a broadcast flag, got {n!r}")


def shape_text(shape: Iterable[int | None]) -> str:
    """Return a shape as text, with ``?`` for what isn't known.

    >>> shape_text((3, None))
    '(3, ?)'
    """
    parts = ["?" if n is None else str(n) for n in shape]
    return "(" + ", ".join(parts) + (",)" if len(parts) == 1 else ")")
