"""Lists of tensors as values of graphs: Theano's ``theano.typed_list``.

A list is a tuple of variables while the graph is built: its length is known then, so nothing of it is left in the program, and
what is read of it is fused with the rest like any tensor.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, constant, describe
from symbolic.ops.functions import add, eq, switch
from symbolic.ops.reduce import all as all_
from symbolic.source import caller
from symbolic.types import TensorType


class TypedListType:
    """The type of lists whose elements have one dtype and rank.

    Parameters
    ----------
    ttype : TensorType
        Of an element.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> pair = make_list([x, x * 2])
    >>> pair.type
    TypedList <float64 (?,)>
    >>> symbolic.function([x], pair[1].sum())([1.0, 2.0])
    array(6.)
    """

    def __init__(self, ttype: TensorType, depth: int = 0) -> None:
        if depth:
            raise errors.NotSupported(errors.message("TypedListType", "lists of lists aren't there", (), caller(),
                                                     "keep one list for each"))
        if not isinstance(ttype, TensorType):
            raise TypeError(f"TypedListType: needs the type of an element, such as T.dvector, got {ttype!r}")
        self.ttype = ttype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedListType) and self.ttype == other.ttype

    def __hash__(self) -> int:
        return hash((TypedListType, self.ttype))

    def __repr__(self) -> str:
        return f"TypedList <{self.ttype}>"

    def __call__(self, name: str | None = None) -> TypedList:
        """Return an empty list."""
        return TypedList(self, (), name)


class TypedList:
    """A list of variables of one type; methods return new lists.

    Parameters
    ----------
    type : TypedListType
    items : tuple of Variable
    name : str, optional
    """

    def __init__(self, type: TypedListType, items: Sequence[Variable], name: str | None = None) -> None:
        self.type, self.items, self.name = type, tuple(items), name

    @property
    def ttype(self) -> TensorType:
        """Type of an element."""
        return self.type.ttype

    def _element(self, x: Any, what: str) -> Variable:
        v = as_tensor_variable(x)
        want = self.type.ttype
        if isinstance(v, Constant) and v.dtype != want.dtype and v.ndim == want.ndim:
            v = constant(want.clone(shape=(None,) * want.ndim).filter(v.data))
        if v.dtype != want.dtype or v.ndim != want.ndim:
            raise errors.DTypeError(errors.message(f"typed_list.{what}", f"elements are {want}", (describe(v),), caller(),
                                                   f"convert it with .astype({want.dtype!r})" if v.ndim == want.ndim
                                                   else "give it that rank"))
        return v

    def _position(self, index: Any, what: str) -> int:
        if isinstance(index, Constant) and not index.ndim:
            index = int(index.data)
        if isinstance(index, Variable):
            raise errors.NotSupported(errors.message(
                f"typed_list.{what}", "the position must be known when the graph is built", (describe(index),), caller(),
                "stack the elements, T.stack(list.items), and index that"))
        if not -len(self.items) <= index < len(self.items):
            raise errors.IndexOutOfBounds(errors.message(f"typed_list.{what}", f"index {index} is out of range for a list of "
                                                         f"{len(self.items)}", (), caller()))
        return int(index)

    def __getitem__(self, index: Any) -> Any:
        """Return an element, or with a slice a list."""
        if isinstance(index, slice):
            return TypedList(self.type, self.items[index])
        return self.items[self._position(index, "getitem")]

    def __len__(self) -> int:
        return len(self.items)

    def append(self, x: Any) -> TypedList:
        """Return the list with another element at its end."""
        return TypedList(self.type, (*self.items, self._element(x, "append")))

    def extend(self, other: Iterable[Any]) -> TypedList:
        """Return the list with the elements of another one at its end."""
        more = other.items if isinstance(other, TypedList) else other
        return TypedList(self.type, (*self.items, *(self._element(x, "extend") for x in more)))

    def insert(self, index: int, x: Any) -> TypedList:
        """Return the list with an element put in front of position `index`."""
        items = list(self.items)
        items.insert(int(index.data) if isinstance(index, Constant) else index, self._element(x, "insert"))
        return TypedList(self.type, items)

    def remove(self, x: Variable) -> TypedList:
        """Return the list without its first element that is the variable `x`.

        Raises
        ------
        ValueError
            If there is none. Values are known only when the function runs, so variables are compared.
        """
        for k, v in enumerate(self.items):
            if v is x:
                return TypedList(self.type, self.items[:k] + self.items[k + 1:])
        raise ValueError(errors.message("typed_list.remove", f"{describe(x)} isn't an element of the list", (), caller(),
                                        "elements are compared as variables, not by value"))

    def reverse(self) -> TypedList:
        """Return the list the other way round."""
        return TypedList(self.type, self.items[::-1])

    def count(self, x: Any) -> Variable:
        """Return how many elements are equal to `x` in every place (shapes must agree), as int64."""
        total: Any = constant(0, dtype="int64")
        for v in self.items:
            total = add(total, switch(all_(eq(v, x)), constant(1, dtype="int64"), constant(0, dtype="int64")))
        return total

    def ind(self, x: Any) -> Variable:
        """Return the position of the first element equal to `x` in every place, -1 if there is none, as int64."""
        found: Any = constant(-1, dtype="int64")
        for k in range(len(self.items) - 1, -1, -1):
            found = switch(all_(eq(self.items[k], x)), constant(k, dtype="int64"), found)
        return found

    def __repr__(self) -> str:
        return self.name or f"[{', '.join(map(str, self.items))}]"


TypedListVariable = TypedList


def make_list(items: Sequence[Any]) -> TypedList:
    """Return a list of variables of one dtype and rank.

    Raises
    ------
    ValueError
        If there are none: nothing would say of which type.
    DTypeError
        If types differ.
    """
    given = [as_tensor_variable(x) for x in items]
    if not given:
        raise ValueError(errors.message("typed_list.make_list", "got no elements, so their type isn't known", (), caller(),
                                        "make an empty list with TypedListType(T.dvector)()"))
    first = given[0].type
    made = TypedList(TypedListType(first.clone(shape=(None,) * first.ndim)), ())
    return made.extend(given)


def getitem(x: TypedList, index: Any) -> Any:
    """Return an element, or with a slice a list."""
    return x[index]


def length(x: TypedList) -> Variable:
    """Return how many elements a list has, as int64."""
    return constant(len(x), dtype="int64")


def append(x: TypedList, toAppend: Any) -> TypedList:
    """Return `x` with another element at its end."""
    return x.append(toAppend)


def extend(x: TypedList, toExtend: Any) -> TypedList:
    """Return `x` with the elements of another list at its end."""
    return x.extend(toExtend)


def insert(x: TypedList, index: int, toInsert: Any) -> TypedList:
    """Return `x` with an element put in front of position `index`."""
    return x.insert(index, toInsert)


def remove(x: TypedList, toRemove: Variable) -> TypedList:
    """Return `x` without its first element that is a variable."""
    return x.remove(toRemove)


def reverse(x: TypedList) -> TypedList:
    """Return `x` the other way round."""
    return x.reverse()


def count(x: TypedList, elem: Any) -> Variable:
    """Return how many elements of `x` are equal to `elem`."""
    return x.count(elem)


def index(x: TypedList, elem: Any) -> Variable:
    """Return the position of the first element of `x` equal to `elem`; -1 if there is none."""
    return x.ind(elem)
