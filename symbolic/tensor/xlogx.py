"""Theano's ``theano.tensor.xlogx``."""
from __future__ import annotations

from typing import Any

from symbolic.graph import Variable, as_tensor_variable
from symbolic.ops.functions import eq, log, switch


def xlogx(x: Any) -> Variable:
    """Return ``x * log(x)``, 0 where `x` is 0.

    >>> xlogx([0.0, 1.0]).eval()
    array([0., 0.])
    """
    x = as_tensor_variable(x)
    zero = eq(x, 0)
    return switch(zero, x * 0, x * log(switch(zero, 1, x)))  # type: ignore[operator]


def xlogy0(x: Any, y: Any) -> Variable:
    """Return ``x * log(y)``, 0 where `x` is 0.

    >>> xlogy0([0.0, 2.0], [0.0, 1.0]).eval()
    array([0., 0.])
    """
    x, y = as_tensor_variable(x), as_tensor_variable(y)
    zero = eq(x, 0)
    return switch(zero, x * 0, x * log(switch(zero, 1, y)))  # type: ignore[operator]


__all__ = ["xlogx", "xlogy0"]
