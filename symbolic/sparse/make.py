"""Sparse inputs: ``csr_matrix``, ``csc_dmatrix`` and the like."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symbolic import errors
from symbolic.graph import as_tensor_variable
from symbolic.ops.sparse import cast
from symbolic.ops.sparse_parts import as_sparse, is_sparse
from symbolic.ops.sparse_type import SparseType, SparseVariable, is_scipy
from symbolic.source import caller

_LETTERS = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64", "c": "complex64",
            "z": "complex128"}


def matrix(format: str, name: str | None = None, dtype: str | None = None) -> SparseVariable:
    """Return a sparse input.

    Parameters
    ----------
    format : {'csr', 'csc'}
    name : str, optional
    dtype : str, optional
        ``config.floatX`` by default.

    Examples
    --------
    >>> matrix("csr", "x", "float32").type
    Sparse(csr, float32)
    """
    return SparseType(format, dtype or "floatX")(name)


def csr_matrix(name: str | None = None, dtype: str | None = None) -> SparseVariable:
    """Return a sparse input stored by rows."""
    return matrix("csr", name, dtype)


def csc_matrix(name: str | None = None, dtype: str | None = None) -> SparseVariable:
    """Return a sparse input stored by columns."""
    return matrix("csc", name, dtype)


def as_sparse_or_tensor_variable(x: Any, name: str | None = None) -> Any:
    """Return `x` as a sparse variable if it is sparse, else as a dense one."""
    return as_sparse(x, name) if is_sparse(x) or is_scipy(x) else as_tensor_variable(x, name)


def sparse_grad(var: Any) -> Any:
    """Return `var`, which must be rows taken from an array.

    In Theano it marks them to have a sparse gradient. Here the gradient of rows adds to these rows alone, without a mark.

    Raises
    ------
    GraphError
        If `var` isn't an indexed array.
    """
    owner = getattr(var, "owner", None)
    if owner is None or "subtensor" not in type(owner.op).__name__.lower():
        raise errors.GraphError(errors.message("sparse_grad", "takes an indexed array, such as x[rows]", (repr(var),), caller()))
    return var


def _typed(format: str, dtype: str) -> Callable[[str | None], SparseVariable]:
    def make(name: str | None = None) -> SparseVariable:
        return SparseType(format, dtype)(name)

    make.__doc__ = f"Return a sparse {format} input of {dtype}."
    return make


def _caster(dtype: str) -> Callable[[Any], SparseVariable]:
    def convert(x: Any) -> SparseVariable:
        return cast(x, dtype)

    convert.__doc__ = f"Return a sparse matrix in {dtype}."
    return convert


__all__ = ["as_sparse_or_tensor_variable", "csc_matrix", "csr_matrix", "matrix", "sparse_grad"]
for _letter, _dtype in _LETTERS.items():
    globals()[f"{_letter}cast"] = _caster(_dtype)
    __all__.append(f"{_letter}cast")
for _format in ("csr", "csc"):
    for _letter, _dtype in (("f", "float32"), ("d", "float64")):
        globals()[f"{_format}_{_letter}matrix"] = _typed(_format, _dtype)
        __all__.append(f"{_format}_{_letter}matrix")
