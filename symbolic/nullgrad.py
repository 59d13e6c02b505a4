"""What stands for a gradient where there is none: it isn't defined, or nothing flows."""
from __future__ import annotations

from symbolic.graph import Op, Variable, describe


class NullType:
    """The type of a gradient that isn't defined; `why` tells the user.

    >>> NullType("a rank has no derivative")
    NullType(a rank has no derivative)
    """

    dtype = "null"
    shape = broadcastable = ()
    ndim = 0

    def __init__(self, why: str = "(no reason given)") -> None:
        self.why_null = why

    def __call__(self, name: str | None = None) -> Variable:
        """Return a variable of this type."""
        return Variable(self, name=name)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"NullType({self.why_null})"


class DisconnectedType:
    """The type of the gradient of what a cost doesn't depend on.

    >>> DisconnectedType()
    DisconnectedType()
    """

    dtype = "disconnected"
    shape = broadcastable = ()
    ndim = 0

    def __call__(self, name: str | None = None) -> Variable:
        """Return a variable of this type."""
        return Variable(self, name=name)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return "DisconnectedType()"


def grad_undefined(op: Op, x_pos: int, x: Variable, comment: str = "") -> Variable:
    """Return what a rule gives for an input in which its op has no derivative.

    Parameters
    ----------
    op : Op
    x_pos : int
        Which input.
    x : Variable
    comment : str
        Why, for the error that follows if a user asks for it.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> grad_undefined(T.exp(T.dscalar("x")).owner.op, 0, T.dscalar("x"), "it is a rank").type
    NullType(exp has no derivative in input 0, x (TensorType(float64, ())): it is a rank)
    """
    why = f": {comment}" if comment else ""
    return NullType(f"{op.name} has no derivative in input {x_pos}, {describe(x)}{why}")()


def grad_not_implemented(op: Op, x_pos: int, x: Variable, comment: str = "") -> Variable:
    """Return what a rule gives for an input whose derivative nobody has written; arguments of :func:`grad_undefined`.

    >>> import symbolic.tensor as T
    >>> grad_not_implemented(T.exp(T.dscalar("x")).owner.op, 0, T.dscalar("x")).type
    NullType(exp: its derivative in input 0, x (TensorType(float64, ())), isn't implemented)
    """
    why = f": {comment}" if comment else ""
    return NullType(f"{op.name}: its derivative in input {x_pos}, {describe(x)}, isn't implemented{why}")()


def is_null(v: Variable | None) -> bool:
    """Whether a cotangent says that there is none to be had."""
    return v is not None and isinstance(v.type, NullType)
