"""Theano's ``theano.scalar``: scalars are 0-d tensors here, and elementwise ops are rows (``docs/extending.md``)."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from symbolic.config import config
from symbolic.graph import Variable, as_tensor_variable
from symbolic.ops import functions as _functions
from symbolic.types import TensorType, promote


def upcast(dtype: str, *dtypes: str) -> str:
    """Return the dtype that holds all of some.

    >>> upcast("int8", "float32")
    'float32'
    """
    return promote(dtype, *dtypes)


def Scalar(dtype: str) -> TensorType:
    """Return the type of a scalar."""
    return TensorType(dtype, ())


def as_scalar(x: Any, name: str | None = None) -> Variable:
    """Return a number or variable as a scalar."""
    return as_tensor_variable(x, name, 0)


@contextmanager
def autocast_float_as(*dtypes: str) -> Iterator[None]:
    """Let Python floats that stand alone be of a dtype while the block runs: floatX, in effect.

    >>> import symbolic.tensor as T
    >>> with autocast_float_as("float32"):
    ...     T.constant(1.5).dtype
    'float32'
    """
    if len(dtypes) != 1:
        raise ValueError(f"autocast_float_as: one dtype is accepted, got {dtypes}")
    with config.change_flags(floatX=dtypes[0]):
        yield


int8, int16, int32, int64 = (Scalar(d) for d in ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = (Scalar(d) for d in ("uint8", "uint16", "uint32", "uint64"))
float16, float32, float64 = (Scalar(d) for d in ("float16", "float32", "float64"))
complex64, complex128 = (Scalar(d) for d in ("complex64", "complex128"))
bool = Scalar("bool")  # noqa: A001  (Theano's name)
all_types = (bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64, complex64, complex128)
discrete_dtypes = tuple(t.dtype for t in all_types[:9])
float_types, int_types, uint_types = all_types[9:12], all_types[1:5], all_types[5:9]
continuous_dtypes = tuple(t.dtype for t in all_types[9:])
complex_types = all_types[12:]


def __getattr__(name: str) -> Any:
    if hasattr(_functions, name):
        return getattr(_functions, name)
    raise AttributeError(f"theano.scalar has no {name!r} here; scalars are 0-d tensors, and an elementwise op is a row: see "
                         "docs/extending.md")
