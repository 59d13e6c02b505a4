"""An op that names a C template: what the compiler must know to write the function and to call it. Belongs to no op."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Template:
    """A C function made from a file under ``codegen/templates/ops``, for operands of certain types.

    The function is called as ``name(rt, in, out)``: operands as ``symbolic_array`` (C-contiguous), results as pointers,
    NULL where nobody reads one. It returns 0; -1 where the runtime has set an error (no memory); or 1, 2, ... with
    ``rt->detail`` filled, for the first, second, ... of `failures`. Scratch memory it takes is given back after the call.

    Attributes
    ----------
    name : str
        The file is ``{name}.c.j2``. It sees ``function``, the name to define, and `fields`.
    fields : tuple of (str, object)
        Values that the text depends on; texts with equal fields are written once.
    failures : tuple of (type, str)
        Error class (of :mod:`symbolic.errors`) and message, in which ``{0}`` to ``{3}`` are details.
    library : str or None
        What it calls, of `LIBRARIES`; where that isn't there, the op's Python code runs instead.
    text : str
        The template itself, in the place of a file: for ops from outside of this package. `name` is then only a name.
    """

    name: str
    fields: tuple[tuple[str, object], ...] = ()
    failures: tuple[tuple[type[Exception], str], ...] = ()
    library: str | None = None
    text: str = ""


#: Libraries that were found: filled when the entry extension is loaded.
LIBRARIES: set[str] = set()
