"""Theano's ``theano.misc.strutil``."""
from __future__ import annotations

from typing import Any


def render_string(string: str, sub: dict[str, Any]) -> str:
    """Return ``string % sub``.

    Raises
    ------
    KeyError, ValueError, TypeError
        With the place in the text where it can't be done.
    """
    try:
        return string % sub
    except KeyError as error:
        raise KeyError(f"{error.args[0]!r} is in the text but not among {', '.join(map(str, sub))}") from None
    except (ValueError, TypeError) as error:
        for n, line in enumerate(string.splitlines(), 1):
            try:
                line % sub
            except (ValueError, TypeError):
                raise type(error)(f"{error}, in line {n}: {line}") from None
        raise


renderString = render_string
