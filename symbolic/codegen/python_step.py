"""Steps that only Python can do: the code of an op that says nothing else, called alike by programs and the interpreter.

What the user's code raises goes through unchanged, with a note that tells where; what it returns is checked.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.codegen.c_extension import c_function
from symbolic.graph import Apply
from symbolic.types import shape_text


class PythonStep:
    """One application of an op, as a compiled program calls it.

    Parameters
    ----------
    node : Apply
    native : bool
        Whether C code that the op has of its own (`c_code`) runs rather than its Python code.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> @symbolic.as_op([T.dvector], [T.dvector])
    ... def backwards(x):
    ...     return x[::-1]
    >>> PythonStep(backwards(T.dvector()).owner)(np.arange(3.0))
    (array([2., 1., 0.]),)
    """

    __slots__ = ("c", "node", "wanted")

    def __init__(self, node: Apply, native: bool = True) -> None:
        self.node = node
        own = hasattr(node.op, "c_code") and (native or not hasattr(node.op, "perform"))
        self.c = c_function(node) if own else None
        self.wanted = [(np.dtype(v.dtype), v.ndim, all(n is None for n in v.type.shape)) for v in node.outputs]

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the results as C-contiguous arrays of the dtypes and ranks that the node declares."""
        node = self.node
        try:
            given = node.op.python(node, arrays) if self.c is None else self.c(*arrays)
        except Exception as error:
            error.add_note(f"raised by the Python code of {_where(node, arrays)}")
            if isinstance(error, errors.SymbolicError):
                error.located = True  # type: ignore[attr-defined]
            raise
        if given is None:
            raise errors.NotSupported(f"{node.op} says neither compute() nor reference() nor expand()")
        if not isinstance(given, (tuple, list)):
            given = (given,)
        if len(given) != len(node.outputs):
            raise self._wrong(errors.GraphError, f"its Python code returned {len(given)} results instead of {len(node.outputs)}",
                              arrays)
        return tuple(value if self._fits(k, value) else self._checked(k, value, arrays) for k, value in enumerate(given))

    def _fits(self, k: int, value: Any) -> bool:
        """Whether a result is what was declared, as nearly all are: seen in a microsecond."""
        dtype, ndim, free = self.wanted[k]
        return (type(value) is np.ndarray and value.dtype == dtype and value.ndim == ndim and free
                and value.flags.carray and value.dtype.isnative)

    def _checked(self, k: int, value: Any, arrays: Sequence[np.ndarray]) -> np.ndarray:
        node, want = self.node, self.node.outputs[k].type
        if value is None:
            raise self._wrong(errors.GraphError, f"its Python code gave nothing for result {k}", arrays)
        weak = isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)
        try:
            array = np.asarray(value)
            if node.op.stable or weak and np.can_cast(array.dtype, want.dtype, "same_kind"):
                array = array.astype(want.dtype, copy=False)
        except (TypeError, ValueError) as error:
            raise self._wrong(errors.DTypeError, f"result {k} of its Python code is no array of {want}: {error}",
                              arrays) from None
        if array.dtype.name != want.dtype:
            raise self._wrong(errors.DTypeError, f"result {k} of its Python code has dtype {array.dtype.name}, not {want.dtype} "
                              "as declared", arrays, f"return it as numpy.asarray(..., {want.dtype!r}), or declare what it is")
        if array.ndim != want.ndim:
            raise self._wrong(errors.RankError, f"result {k} of its Python code has {array.ndim} axes, not {want.ndim} as "
                              "declared", arrays, "give it that rank, or declare another")
        if any(n is not None and n != m for n, m in zip(want.shape, array.shape, strict=True)):
            raise self.mismatch(k, array.shape, tuple(-1 if n is None else n for n in want.shape), arrays)
        return np.require(array, np.dtype(want.dtype), ["C", "A", "E"]).reshape(array.shape)

    def mismatch(self, k: int, got: tuple[int, ...], want: tuple[int, ...], arrays: Sequence[np.ndarray] = ()) -> Exception:
        """Return the error for a result of another shape than was said; -1 stands for any extent."""
        shape = shape_text(None if n < 0 else n for n in want)
        return self._wrong(errors.ShapeError, f"result {k} of its Python code has shape {got}, not {shape} as its type or its "
                           "infer_shape says", arrays, "mend infer_shape, or leave it out: shapes are then seen at run time")

    def _wrong(self, kind: type[Exception], text: str, arrays: Sequence[np.ndarray], hint: str | None = None) -> Exception:
        error = kind(errors.message(self.node.op.name, text, _operands(self.node, arrays), self.node.loc, hint))
        error.located = True  # type: ignore[attr-defined]
        return error


def _operands(node: Apply, arrays: Sequence[np.ndarray]) -> tuple[str, ...]:
    if len(arrays) != len(node.inputs):
        return tuple(f"{v.name or k}: {v.type}" for k, v in enumerate(node.inputs))
    return tuple(f"{v.name or k}: {a.dtype} {a.shape}" for k, (v, a) in enumerate(zip(node.inputs, arrays, strict=True)))


def _where(node: Apply, arrays: Sequence[np.ndarray]) -> str:
    given = " · ".join(_operands(node, arrays))
    place = "" if node.loc is None else f", at {node.loc.file}:{node.loc.line}: {node.loc.text}"
    return f"{node.op.name}({given}){place}"
