"""Scalars of a program that the host works out: extents, what kernels get as numbers, what checks tell."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic.codegen.cuda.program import GraphProgram, Step
from symbolic.codegen.lower import Def
from symbolic.scalar import ATOMS, Expr, toposort

if TYPE_CHECKING:
    from symbolic.codegen.cuda.run import Run


class Values:
    """Values of host expressions of one evaluation of a graph's program.

    What depends on shapes alone is kept for all steps of a loop (`fixed`).
    """

    run: Run
    program: GraphProgram
    defs: list[Def]
    shapes: Sequence[tuple[int, ...]]
    known: dict[int, np.ndarray]
    fixed: dict[Expr, Any]
    values: dict[Expr, Any]

    def place(self, k: int) -> int:
        """Return where a Def lies on the device."""
        raise NotImplementedError

    def value(self, e: Expr) -> Any:
        """Return a host expression's value."""
        if e.op == "const":
            return e.arg
        if e in self.fixed:
            return self.fixed[e]
        if e not in self.values:
            with np.errstate(all="ignore"):
                for n in toposort([e]):
                    if n in self.fixed or n in self.values:
                        continue
                    value = self._value(n)
                    (self.values if n.op == "load" or any(a in self.values for a in n.args) else self.fixed)[n] = value
        return self.fixed[e] if e in self.fixed else self.values[e]

    def _value(self, n: Expr) -> Any:
        if n.op == "const":
            return np.asarray(n.arg, n.dtype)[()]
        if n.op == "sym":
            k, _, a = n.arg[1:].partition("_")
            return np.int64(self.shapes[int(k)][int(a)])
        args = [self.fixed[a] if a in self.fixed else self.values[a] for a in n.args]
        if n.op == "load":
            return self.scalar(n.arg, [int(a) for a in args])
        if n.op == "select":
            return args[1] if args[0] else args[2]
        if n.op == "cast":
            return np.asarray(args[0]).astype(n.dtype)[()]
        return np.asarray(ATOMS[n.op].numpy(*args)).astype(n.dtype)[()]

    def scalar(self, k: int, index: Sequence[int]) -> Any:
        """Return an element of a Def: the host's, or the device's, which is waited for."""
        own, at = self.defs[k], 0
        if 0 in self.shape(k):
            return np.zeros((), own.dtype)[()]
        for n, i in zip(self.shape(k), index, strict=True):
            at = at * n + min(max(i, 0), n - 1)
        d, start = self.shown(k)
        value = d.variable.data if d.kind == "const" else self.known.get(d.id)  # type: ignore[union-attr]
        if value is not None:
            self._looked(d)
            return value.reshape(-1)[start + at]
        told = self.program.told(k)
        if told is not None:
            return self.value(told)
        return self.run.read(self.place(k) + at * np.dtype(own.dtype).itemsize, (), own.dtype)[()]

    def start(self, d: Def) -> int:
        """Return the number of elements before a view, of what it shows."""
        return int(self.value(d.detail[0])) * math.prod(self.shape(d.id)[1:]) if d.detail else 0

    def shown(self, k: int) -> tuple[Def, int]:
        """Return the value that a view shows, and at which of its elements the view begins."""
        d, start = self.defs[k], 0
        while d.kind == "view":
            start += self.start(d)
            d = self.defs[d.base]  # type: ignore[index]
        return d, start

    def _looked(self, d: Def) -> None:
        """Take note that the value of an argument counts, unless calls with other values are other calls anyway."""
        if d.kind == "input" and self.program is self.run.program.root and d.id not in self.program.host_inputs:
            self.run.dynamic = True

    def shape(self, k: int) -> tuple[int, ...]:
        """Return the extents of a Def."""
        return tuple(int(self.value(e)) for e in self.defs[k].extents)

    def size(self, k: int) -> int:
        """Return the bytes of a Def."""
        return math.prod(self.shape(k)) * np.dtype(self.defs[k].dtype).itemsize  # in integers that don't overflow

    def failed_check(self, step: Step, flat: int) -> tuple[Any, tuple[int, ...]]:
        """Return the check of a step and its details for the element at which it failed."""
        d = step.d
        at, left = {}, flat
        for a, n in reversed(list(zip(d.axes, d.domain, strict=True))):
            extent = int(self.value(n))
            at[a], left = left % extent, left // extent
        details = tuple(int(self._at(e, at)) for e in d.detail[:4])
        return d.check, details

    def _at(self, e: Expr, at: dict[str, int]) -> Any:
        done: dict[Expr, Any] = {}
        with np.errstate(all="ignore"):
            for n in toposort([e]):
                args = [done[a] for a in n.args]
                if n.op == "sym" and n.arg in at:
                    done[n] = np.int64(at[n.arg])
                elif n.op == "load":
                    done[n] = self.scalar(n.arg, [int(a) for a in args])
                elif n.op == "select":
                    done[n] = args[1] if args[0] else args[2]
                elif n.op == "cast":
                    done[n] = np.asarray(args[0]).astype(n.dtype)[()]
                else:
                    done[n] = self._value(n) if not args else np.asarray(ATOMS[n.op].numpy(*args)).astype(n.dtype)[()]
        return done[e]
