"""Theano's ``theano.tensor.var``: there is one class of variables, and one of constants."""
# ruff: noqa: F401  (re-exports)
from __future__ import annotations

from typing import Any

from symbolic.graph import Constant as TensorConstant
from symbolic.graph import Variable
from symbolic.shared import SharedVariable as TensorSharedVariable
from symbolic.types import TensorType


class _Kind(type):
    def __instancecheck__(cls, v: Any) -> bool:
        special = (TensorConstant, TensorSharedVariable)
        return isinstance(v, Variable) and isinstance(v.type, TensorType) and not isinstance(v, special)

    def __call__(cls, type: TensorType, owner: Any = None, index: Any = None, name: str | None = None) -> Variable:
        return Variable(type, name=name)


class TensorVariable(metaclass=_Kind):
    """What is a variable of tensor type, but neither a constant nor shared, is an instance of this, as in Theano.

    Examples
    --------
    >>> import numpy as np, symbolic, symbolic.tensor as T
    >>> [isinstance(v, TensorVariable) for v in (T.vector() + 1, T.constant(1), symbolic.shared(np.ones(2)))]
    [True, False, False]
    """
