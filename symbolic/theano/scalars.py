"""Theano's ``theano.scalar``: scalars are 0-d tensors here, and elementwise ops are rows (``docs/extending.md``)."""
from __future__ import annotations

from typing import Any

from symbolic.graph import Variable, as_tensor_variable
from symbolic.ops import functions as _functions
from symbolic.types import TensorType, autocast_float_as, promote  # noqa: F401  (Theano's place for it)


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
