"""Constructors of input variables: ``scalar`` to ``tensor7``, their typed and plural forms, all from two tables."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symbolic.graph import Variable
from symbolic.types import TensorType

#: What each constructor knows of the shape, and its plural.
SHAPES: dict[str, tuple[tuple[int | None, ...], str]] = {
    "scalar": ((), "scalars"), "vector": ((None,), "vectors"), "matrix": ((None, None), "matrices"),
    "row": ((1, None), "rows"), "col": ((None, 1), "cols"),
    **{f"tensor{n}": ((None,) * n, f"tensor{n}s") for n in range(3, 8)},
}
#: Letter in front of a typed constructor: ``fmatrix`` is a float32 matrix.
PREFIXES = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64",
            "c": "complex64", "z": "complex128"}


def tensor(dtype: Any = None, shape: Sequence[Any] | None = None, name: str | None = None,
           broadcastable: Sequence[bool] | None = None) -> Variable:
    """Return a new variable.

    Parameters
    ----------
    dtype : str, optional
        floatX by default.
    shape : sequence of int, None or bool
        An extent for each axis, None where any is accepted; Theano's broadcast flags are accepted too.
    name : str, optional
    broadcastable : sequence of bool, optional
        The same as `shape`, by Theano's keyword.

    Raises
    ------
    ShapeError
        If an entry of `shape` is none of these.

    Examples
    --------
    >>> tensor("float32", (None, 3), "x").type
    TensorType(float32, (?, 3))
    """
    given = shape if shape is not None else broadcastable
    return Variable(TensorType(dtype or "floatX", () if given is None else tuple(given)), name=name)


def _constructor(kind: str, shape: tuple[int | None, ...]) -> Callable[..., Variable]:
    def make(name: str | None = None, dtype: Any = None) -> Variable:
        return Variable(TensorType(dtype or "floatX", shape), name=name)

    make.__name__ = make.__qualname__ = kind
    make.__doc__ = f"""Return a new variable of type {kind}: {len(shape)} axes, floatX unless `dtype` says otherwise.

    Parameters
    ----------
    name : str, optional
    dtype : str, optional

    Examples
    --------
    >>> {kind}("x", dtype="int32").dtype
    'int32'
    """
    return make


def _plural(name: str, make: Callable[..., Variable]) -> Callable[..., Any]:
    def several(*names: Any, dtype: Any = None) -> Any:
        options = {} if dtype is None else {"dtype": dtype}
        if len(names) == 1:
            names = (None,) * names[0] if isinstance(names[0], int) else tuple(names[0])
        made = [make(n, **options) for n in names]
        return made[0] if len(made) == 1 else made

    several.__name__ = several.__qualname__ = name
    several.__doc__ = f"""Return several variables: one a name, one a letter of a single string, or that many unnamed.

    Parameters
    ----------
    *names : str, or one int
    dtype : str, optional

    Examples
    --------
    >>> {name}("a", "b"), {name}("xy"), len({name}(3))
    ([a, b], [x, y], 3)
    """
    return several


def _family() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind, (shape, plural) in SHAPES.items():
        found[kind] = _constructor(kind, shape)
        found[plural] = _plural(plural, found[kind])
        for letter, dtype in PREFIXES.items():
            # a type, as in Theano: fmatrix("x") makes a variable, and Ops may declare fmatrix
            found[letter + kind] = TensorType(dtype, shape)
            found[letter + plural] = _plural(letter + plural, found[letter + kind])
    return found


globals().update(_family())
__all__ = ["TensorType", "tensor", *_family()]  # noqa: PLE0604  (names of the tables above)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"no constructor of variables is called {name!r}; they are {', '.join(SHAPES)}, typed ones "
                         f"with a letter of {''.join(PREFIXES)} in front, and plurals")
