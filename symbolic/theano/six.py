"""The part of the package six that programs import as ``theano.compat.six``, for the Python that runs."""
from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from symbolic.theano import six_moves as moves  # noqa: F401  (part of the interface)

PY2, PY3 = False, True
string_types = (str,)
text_type = str
binary_type = bytes
integer_types = (int,)
class_types = (type,)
StringIO, BytesIO = io.StringIO, io.BytesIO


def iteritems(d: Any) -> Iterator[Any]:
    """Return an iterator over the items of a dict."""
    return iter(d.items())


def itervalues(d: Any) -> Iterator[Any]:
    """Return an iterator over the values of a dict."""
    return iter(d.values())


def iterkeys(d: Any) -> Iterator[Any]:
    """Return an iterator over the keys of a dict."""
    return iter(d.keys())


def get_unbound_function(method: Any) -> Any:
    """Return the function behind a method of a class."""
    return getattr(method, "__func__", method)


def reraise(kind: Any, value: BaseException, tb: Any = None) -> None:
    """Raise an exception with a traceback."""
    raise value.with_traceback(tb)


def with_metaclass(meta: Any, *bases: type) -> type:
    """Return a base class with a metaclass.

    >>> class Meta(type): pass
    >>> class A(with_metaclass(Meta, object)): pass
    >>> type(A) is Meta
    True
    """
    return meta("temporary_class", bases or (object,), {})


def add_metaclass(meta: Any) -> Callable[[type], type]:
    """Return a decorator that makes a class again with a metaclass."""
    def decorate(cls: type) -> type:
        body = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
        return meta(cls.__name__, cls.__bases__, body)

    return decorate


def u(s: str) -> str:
    """Return text."""
    return s


def b(s: str) -> bytes:
    """Return bytes."""
    return s.encode("latin-1")


