"""numexpr: elementwise expressions, compiled beforehand; its sums and extremes where the expression is one of them."""
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numexpr
import numpy as np
from cases import Case

numexpr.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


class Text:
    """An expression, written as numexpr reads it."""

    __array_ufunc__ = None

    def __init__(self, text: str) -> None:
        self.text = text

    def _with(self, sign: str, other: Any, swapped: bool = False) -> Text:
        a, b = (other, self) if swapped else (self, other)
        return Text(f"({a} {sign} {b})")

    def __str__(self) -> str:
        return self.text

    def __neg__(self) -> Text:
        return Text(f"(-{self})")

    def __pow__(self, n: int) -> Text:
        return self._with("**", n)

    def sum(self, axis: int | None = None) -> Text:
        """Return a sum."""
        return Text(f"sum({self}" + ("" if axis is None else f", axis={axis}") + ")")

    def max(self, axis: int | None = None) -> Text:
        """Return the maximum."""
        return Text(f"max({self}" + ("" if axis is None else f", axis={axis}") + ")")


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/")):
    setattr(Text, f"__{_name}__", lambda self, other, s=_sign: self._with(s, other))
    setattr(Text, f"__r{_name}__", lambda self, other, s=_sign: self._with(s, other, True))


class Functions:
    """exp, tanh, ..."""

    def __getattr__(self, name: str) -> Callable[[Any], Text]:
        if name not in ("exp", "tanh", "sqrt", "log", "sin", "cos"):
            raise NotImplementedError(f"numexpr has no {name}")
        return lambda x: Text(f"{name}({x})")


def describe() -> str:
    """Return version and threads."""
    return f"numexpr {numexpr.__version__}, {numexpr.nthreads} threads"


def prepare(case: Case) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns its results."""
    if case.body is None:
        raise NotImplementedError("numexpr computes elementwise expressions alone")
    inputs = {f"x{k}": a for k, a in enumerate(case.inputs())}
    try:
        texts = [str(e) for e in case.body(Functions(), *map(Text, inputs))]
    except AttributeError as e:
        raise NotImplementedError(f"numexpr: {e}") from None

    def run() -> list[np.ndarray]:
        # constants are floats of the operands' precision, as everywhere else
        return [numexpr.evaluate(t, inputs, truediv=True) for t in texts]

    return run, run
