"""How far results may be from their oracle, by the dtype of the result: the one table."""
from __future__ import annotations

#: A few units in the last place; float16 is computed in float32 and rounded once.
RTOL = {"float16": 1e-3, "float32": 2e-6, "float64": 1e-12, "complex64": 2e-6, "complex128": 1e-12}
#: Absolute slack, for results near zero of operands near one.
ATOL = {"float16": 1e-3, "float32": 1e-6, "float64": 1e-13, "complex64": 1e-6, "complex128": 1e-13}


def rtol(dtype: object) -> float:
    """Return the relative tolerance for results of `dtype`; 0 for integers and bools, which are exact."""
    return RTOL.get(str(dtype), 0.0)


def atol(dtype: object) -> float:
    """Return the absolute tolerance for results of `dtype`."""
    return ATOL.get(str(dtype), 0.0)
