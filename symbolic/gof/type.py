"""Types of variables that aren't tensors: Theano's ``theano.gof.type``. They make graphs; functions compute tensors."""
from __future__ import annotations

from typing import Any

from symbolic.graph import Variable


class Type:
    """The base of types of a user's own.

    Subclasses give ``filter(data, strict, allow_downcast)``, which returns a value of the type or raises TypeError.
    """

    dtype = "object"
    shape = broadcastable = ()
    ndim = 0

    def filter(self, data: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        """Return `data` as a value of this type."""
        raise NotImplementedError(f"{type(self).__name__}: filter isn't defined")

    def is_valid_value(self, a: Any) -> bool:
        """Whether `a` is a value of this type."""
        try:
            self.filter(a, strict=True)
        except (TypeError, ValueError):
            return False
        return True

    def values_eq(self, a: Any, b: Any) -> bool:
        """Whether two values are equal."""
        return bool(a == b)

    def values_eq_approx(self, a: Any, b: Any) -> bool:
        """Whether two values are equal but for rounding."""
        return self.values_eq(a, b)

    def __call__(self, name: str | None = None) -> Variable:
        """Return a new variable of this type."""
        return Variable(self, name=name)  # type: ignore[arg-type]

    make_variable = __call__

    def __repr__(self) -> str:
        return type(self).__name__

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(type(self))


class Generic(Type):
    """The type of any Python object.

    Examples
    --------
    >>> generic("settings").type, generic.filter([1, "a"])
    (Generic, [1, 'a'])
    """

    def filter(self, data: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        return data


generic = Generic()


class CDataType(Type):
    """Theano's type of a pointer from C; there is none in graphs here.

    Parameters
    ----------
    ctype : str
    """

    def __init__(self, ctype: str, freefunc: str | None = None) -> None:
        self.ctype, self.freefunc = ctype, freefunc

    def filter(self, data: Any, strict: bool = False, allow_downcast: bool | None = None) -> Any:
        raise TypeError(f"CDataType({self.ctype!r}): pointers can't be values of a graph here; give the op a property")
