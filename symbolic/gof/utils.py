"""Theano's ``theano.gof.utils``: small things that programs import from there."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any


class MethodNotDefined(Exception):
    """An optional method that a subclass doesn't have."""


class object2:  # noqa: N801  (Theano's name)
    """Theano's base class; any object."""


class scratchpad:  # noqa: N801  (Theano's name)
    """A namespace to put attributes on, as ``Variable.tag`` is."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def clear(self) -> None:
        """Take all attributes away."""
        self.__dict__.clear()


def hash_from_code(msg: str | bytes) -> str:
    """Return a hash of a text, for `c_code_cache_version` and the like."""
    data = msg.encode() if isinstance(msg, str) else msg
    return "m" + hashlib.sha256(data).hexdigest()


def uniq(seq: Iterable[Any]) -> list[Any]:
    """Return the elements of a sequence, each once, in their order.

    >>> uniq([3, 1, 3])
    [3, 1]
    """
    return list(dict.fromkeys(seq))


def flatten(a: Any) -> list[Any]:
    """Return the elements of nested lists, tuples and sets.

    >>> flatten([1, (2, [3])])
    [1, 2, 3]
    """
    found: list[Any] = []
    stack = [a]
    while stack:
        thing = stack.pop()
        if isinstance(thing, (list, tuple, set)):
            stack.extend(reversed(list(thing)))
        else:
            found.append(thing)
    return found


def give_variables_names(variables: Iterable[Any]) -> None:
    """Give every variable a name that no other of them has."""
    taken: set[str] = set()
    for k, v in enumerate(variables):
        base = v.name or f"var_{k}"
        name, n = base, 0
        while name in taken:
            n += 1
            name = f"{base}_{n}"
        taken.add(name)
        v.name = name


def remove(predicate: Any, coll: Iterable[Any]) -> list[Any]:
    """Return the elements for which a condition is false.

    >>> remove(lambda n: n % 2, [1, 2, 3])
    [2]
    """
    return [x for x in coll if not predicate(x)]
