"""Theano's ``theano.compat``: what bridged Python 2 and 3."""
# ruff: noqa: F401  (re-exports)
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from operator import floordiv, truediv
from typing import Any

from symbolic.theano import six

PY3 = True
izip, imap, ifilter = zip, map, filter



def cmp(x: Any, y: Any) -> int:
    """Return -1, 0 or 1: how two values compare.

    >>> cmp(1, 2)
    -1
    """
    return (x > y) - (x < y)


def exc_message(e: BaseException) -> Any:
    """Return what an exception was made with."""
    return e.args[0] if len(e.args) == 1 else e.args


def decode(x: bytes) -> str:
    """Return bytes as text."""
    return x.decode()


def decode_iter(itr: Any) -> Any:
    """Return an iterator over texts of an iterator over bytes."""
    return (x.decode() for x in itr)


def get_unbound_function(unbound: Any) -> Any:
    """Return the function behind a method of a class."""
    return six.get_unbound_function(unbound)


class DefaultOrderedDict(OrderedDict):  # type: ignore[type-arg]
    """An ordered dict with a factory for what is missing.

    >>> d = DefaultOrderedDict(list)
    >>> d["a"].append(1)
    >>> d["a"]
    [1]
    """

    def __init__(self, default_factory: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default_factory = default_factory

    def __missing__(self, key: Any) -> Any:
        if self.default_factory is None:
            raise KeyError(key)
        self[key] = value = self.default_factory()
        return value
