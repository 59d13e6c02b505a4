"""Ops that give back what they get and do something on the way: print it, check it, stop in the debugger."""
from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Op, Variable, as_tensor_variable
from symbolic.ops.functions import neq
from symbolic.scalar import Check, Expr, IndexLambda, axis, dim, load
from symbolic.source import caller
from symbolic.types import TensorType


def _print_attributes(op: Print, x: np.ndarray) -> None:
    """Print what `op` wants to know of `x`, a line for each attribute."""
    for name in op.attrs:
        found = getattr(x, name)
        print(op.message, name, "=", found() if callable(found) else found)
    sys.stdout.flush()


class Print(Op):
    """An identity that prints values as they are computed.

    Parameters
    ----------
    message : str
        Printed in front.
    attrs : tuple of str
        Attributes of the array that are printed; those that can be called are.
    global_fn : callable, optional
        Called with the op and the array instead.

    Notes
    -----
    A value is printed as often as it is computed: not at all where nobody reads it, once where several do, in each step of a
    loop. What runs in Python isn't fused with what is around it.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> f = symbolic.function([x], Print("squares")(x ** 2).sum())
    >>> _ = f([1.0, 2.0])
    squares __str__ = [1. 4.]
    """

    __props__ = ("message", "attrs", "global_fn")

    def __init__(self, message: str = "", attrs: Sequence[str] = ("__str__",),
                 global_fn: Callable[[Print, np.ndarray], Any] | None = None) -> None:
        if isinstance(attrs, str):
            raise TypeError(f"Print: attrs must be a tuple of names, got {attrs!r}; write attrs=({attrs!r},)")
        self.message, self.attrs, self.global_fn = message, tuple(attrs), global_fn

    @property
    def stable(self) -> bool:
        return False  # it acts: never folded into a constant

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Any, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        (self.global_fn or _print_attributes)(self, arrays[0])
        return arrays

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0]]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return [tangents[0]]


class Assert(Op):
    """An identity on its first operand that checks that all others hold, everywhere.

    Parameters
    ----------
    msg : str
        The text of the error.

    Raises
    ------
    AssertionFailed
        When called, if some element of a condition is zero. It is a subclass of AssertionError.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> f = symbolic.function([x], T.log(Assert("x must be positive")(x, x > 0)))
    >>> f([1.0, -1.0])
    Traceback (most recent call last):
        ...
    symbolic.errors.AssertionFailed: assert: x must be positive, ...
    """

    __props__ = ("msg",)
    is_index_map = True
    name = "assert"

    def __init__(self, msg: str = "Theano Assert failed!") -> None:
        self.msg = msg

    def make_node(self, *inputs: Any) -> Apply:
        """Apply to a value and conditions of any dtype and shape."""
        if not inputs:
            raise TypeError(errors.message("assert", "takes a value and conditions, got nothing", (), caller()))
        x, *conditions = (as_tensor_variable(v) for v in inputs)
        return super().make_node(x, *(c if c.dtype == "bool" else neq(c, 0) for c in conditions))

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        text = self.msg.replace("{", "{{").replace("}", "}}")
        return tuple(Check(load(k, [axis(a) for a in range(t.ndim)], "bool"), text, tuple(dim(k, a) for a in range(t.ndim)),
                           error=errors.AssertionFailed) for k, t in enumerate(types) if k)

    def compute(self, *types: TensorType) -> IndexLambda:
        return IndexLambda(load(0, [axis(a) for a in range(types[0].ndim)], types[0].dtype))

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0], *(None for _ in inputs[1:])]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return [tangents[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True]] + [[False]] * (node.nin - 1)


#: Theano's name of an `Assert` with the usual text.
assert_op = Assert()


class PdbBreakpoint(Op):
    """An identity on all operands but the first; stops in Python's debugger where that one isn't zero.

    Parameters
    ----------
    name : str
        Printed when it stops.

    Notes
    -----
    In the debugger, ``monitored_values`` is the list of arrays, which can be looked at but not changed, and ``where`` the
    user's line.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, y = T.dvectors("xy")
    >>> x2, y2 = PdbBreakpoint("sizes differ")(T.neq(x.size, y.size), x, y)
    >>> symbolic.function([x, y], x2.sum() + y2.sum())([1.0], [2.0])
    array(3.)
    """

    __props__ = ("label",)
    name = "breakpoint"  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self.label = name

    @property
    def stable(self) -> bool:
        return False

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        if not types or types[0].ndim:
            raise errors.RankError(f"the condition must be a scalar, got {types[0] if types else 'nothing'}\n"
                                   "hint: T.any(condition) and T.all(condition) make one of many")
        if len(types) < 2:
            raise errors.RankError("needs variables to monitor\nhint: pass them behind the condition")
        return types[1:]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Any, ...], ...]:
        return tuple(tuple(dim(k, a) for a in range(t.ndim)) for k, t in enumerate(types) if k)

    def python(self, node: Apply, arrays: Sequence[np.ndarray]) -> Any:
        condition, *monitored_values = arrays
        if condition:
            where = node.loc
            print(f"\nbreakpoint {self.label!r} at {where}; what is monitored is in the list `monitored_values`:")
            for v, value in zip(node.inputs[1:], monitored_values, strict=True):
                print(f"  {v.name or v} = {value!r}")
            breakpoint()  # noqa: T100  (asked for)
        return tuple(monitored_values)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None, *gouts]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return tangents[1:]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False] * node.nout] + [[k == j for j in range(node.nout)] for k in range(node.nout)]
