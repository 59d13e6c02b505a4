"""Where a formula for a derivative gives inf times zero: what can be told from the graph, so that the limit is taken instead.

See docs/derivatives.md for the table of conventions.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from symbolic.graph import Apply, Constant, Variable
from symbolic.types import is_complex

#: elementwise functions that are never negative
_NEVER_NEGATIVE = {"abs", "exp", "exp2", "sqrt", "sigmoid", "softplus", "relu", "cosh", "eq", "neq", "lt", "le", "gt", "ge"}
#: functions that aren't where their operands aren't
_KEEP = {"add", "mul", "maximum", "minimum", "sum", "prod", "max", "min", "sum_to", "dimshuffle", "reshape", "subtensor",
         "take", "alloc", "cast", "floor", "ceil", "tensordot", "specify_shape"}
#: how much of a graph is looked at
_LIMIT = 1000


def nonnegative(x: Any) -> bool:
    """Whether `x` can't be below zero as it is made: a square, a sum of squares, an absolute value, ...

    So where it is zero, the derivative of its square root is taken to be zero: that of ``sqrt(sum(x**2))`` has no limit
    there, and zero lies among those of the directions.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> nonnegative(T.mean(x ** 2 + 1)), nonnegative(x)
    (True, False)
    """
    stack: list[Any] = [x]
    seen: set[Variable] = set()
    while stack:
        v = stack.pop()
        if v in seen:
            continue
        seen.add(v)
        if len(seen) > _LIMIT:
            return False
        more = _needs(v)
        if more is None:
            return False
        stack += more
    return True


def _needs(v: Any) -> list[Variable] | None:
    """Return what mustn't be negative either, so that `v` can't be; None if that isn't known."""
    if not isinstance(v, Variable) or is_complex(v.dtype):
        return None
    if v.dtype == "bool" or v.dtype.startswith("uint"):
        return []
    if isinstance(v, Constant):
        return [] if bool(np.all(v.data >= 0)) else None
    node = v.owner
    if node is None:
        return None
    name = node.op.name
    if name in _NEVER_NEGATIVE or name == "shape_i":
        return []
    if name == "sqr" or name == "mul" and node.inputs[0] is node.inputs[1] or name == "dot" and node.inputs[0] is node.inputs[1]:
        return [] if not is_complex(node.inputs[0].dtype) else None
    if name == "maximum" and any(isinstance(u, Constant) and bool(np.all(u.data >= 0)) for u in node.inputs):
        return []
    if name in _KEEP:
        return list(node.inputs[:1] if name not in ("add", "mul", "maximum", "minimum") else node.inputs)
    return _needs_of_quotient(node, name)


def _needs_of_quotient(node: Apply, name: str) -> list[Variable] | None:
    if name == "true_div":
        top, bottom = node.inputs
        return [top] if _of_shapes(bottom) else [top, bottom]
    if name == "pow":
        base, exponent = node.inputs
        even = isinstance(exponent, Constant) and bool(np.all(exponent.data % 2 == 0))
        return [] if even and not is_complex(base.dtype) else [base]
    if name in ("switch", "second"):
        return list(node.inputs[1:])
    expansion = node.op.expand(*node.inputs)
    if expansion is None:
        return None
    return list(expansion) if len(node.outputs) == 1 else None


def _of_shapes(v: Variable) -> bool:
    """Whether a number is made of shapes and constants alone, as the divisor of a mean is: such are positive."""
    stack = [v]
    for _ in range(_LIMIT):
        if not stack:
            return True
        u = stack.pop()
        if isinstance(u, Constant) or u.owner is not None and u.owner.op.name == "shape_i":
            continue
        if u.owner is None or u.ndim:
            return False
        stack += u.owner.inputs
    return False


def is_abs_of(y: Any, x: Any) -> bool:
    """Whether `y` is, by its graph, the absolute value of `x`."""
    node = getattr(y, "owner", None)
    return node is not None and node.op.name == "abs" and node.inputs[0] is x
