"""What can go wrong, as classes that are also the builtin a caller would expect; one formatter for all texts."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class SymbolicError(Exception):
    """Base of every error this package raises about a graph."""


class ShapeError(SymbolicError, ValueError):
    """Extents that don't fit together."""


class RankError(SymbolicError, ValueError):
    """A wrong number of dimensions, or an axis out of range."""


class DTypeError(SymbolicError, TypeError):
    """An element type that isn't accepted, or a conversion that would lose precision."""


class GraphError(SymbolicError, ValueError):
    """A graph that isn't well formed."""


class DisconnectedInputError(SymbolicError, ValueError):
    """A variable that the cost doesn't depend on."""


class NullTypeGradError(SymbolicError, TypeError):
    """A gradient that is mathematically undefined."""


class UnusedInputError(SymbolicError, ValueError):
    """An input of a function that nothing uses."""


class MissingInputError(SymbolicError, ValueError):
    """A variable that a graph needs and nobody gives."""


class UpdateError(SymbolicError, ValueError):
    """An update that can't be stored in its shared variable."""


class ConversionError(SymbolicError, TypeError):
    """An object that can't become a constant."""


class IndexOutOfBounds(SymbolicError, IndexError):
    """An index outside its axis."""


class LinAlgError(SymbolicError, np.linalg.LinAlgError):
    """A matrix that a decomposition or a solution can't be computed of: singular, not positive definite."""


class ParameterError(SymbolicError, ValueError):
    """A parameter of a distribution, or an operand, outside its range."""


class CompileError(SymbolicError, RuntimeError):
    """The C compiler refused a program."""


class DeviceError(SymbolicError, RuntimeError):
    """A device that isn't there, or something that went wrong on it."""


class DeviceMemoryError(DeviceError, MemoryError):
    """A device has no memory left."""


class CacheError(SymbolicError, RuntimeError):
    """A cache directory that can't be used."""


class SaveError(SymbolicError, ValueError):
    """What can't be written to a file, or a file that can't be read."""


class NotSupported(SymbolicError, NotImplementedError):
    """Something this version doesn't do."""


class AssertionFailed(SymbolicError, AssertionError):
    """A condition that a graph asserts, and that didn't hold."""


class NanError(SymbolicError, AssertionError):
    """NanGuardMode found nan, inf or a huge value."""


class CheckError(SymbolicError, AssertionError):
    """``mode="CHECK"`` found two results that differ."""


def message(op: str, text: str, operands: Sequence[str] = (), loc: Any = None, hint: str | None = None) -> str:
    """Return the text of an error: op, what is wrong, operands, the user's line, a hint.

    Parameters
    ----------
    op : str
        Name of the operation.
    text : str
        What was expected and what came.
    operands : sequence of str
        Already formatted.
    loc : SourceLoc or None
        Anything with ``file``, ``line`` and ``text``; the part of the line is underlined where ``caret`` knows it.
    hint : str, optional
        What to change.

    Examples
    --------
    >>> message("dot", "inner extents differ", ("x (32, 784)", "W (748, 500)"))
    'dot: inner extents differ, x (32, 784) · W (748, 500)'
    """
    out = f"{op}: {text}"
    if operands:
        out += ", " + " · ".join(operands)
    if loc is not None:
        out += f", at {loc.file}:{loc.line}"
        if loc.text:
            out += f": {loc.text}"
        forward = getattr(loc, "of", None)
        if forward is not None:
            out += f", in the gradient of {forward.file}:{forward.line}: {forward.text}"
        caret = getattr(loc, "caret", "")
        out += f"\n{caret}" if caret else ""
    return f"{out}\nhint: {hint}" if hint else out
