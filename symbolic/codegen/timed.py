"""Programs that time their steps, for ``f.profile()``. Other programs hold nothing of it.

What is measured goes into a constant of the program, four integers a step: calls, nanoseconds, bytes, operations. So every
function has counters of its own, though equal programs are one library.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic.codegen.fuse import Group
from symbolic.codegen.lower import Def
from symbolic.codegen.writer import Writer, comment
from symbolic.graph import Apply
from symbolic.scalar import toposort as expr_toposort

#: Needs clock_gettime: programs that time themselves are linked with C's library.
CLOCK = """#include <time.h>
static int64_t symbolic_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Count a step; calls may run at once. */
static void symbolic_count(int64_t *row, int64_t since, double bytes, double operations)
{
    const int64_t seen[4] = {1, symbolic_now() - since, (int64_t)bytes, (int64_t)operations};
    for (int k = 0; k < 4; k++)
        __atomic_fetch_add(row + k, seen[k], __ATOMIC_RELAXED);
}"""
#: What costs no arithmetic.
_FREE = {"const", "sym", "load", "cast", "select"}


@dataclass(frozen=True)
class Timed:
    """A step that is timed: what it computes, its kind and kernel, and the node it ends with."""

    what: str
    kind: str
    kernel: str
    node: Apply | None


class TimedWriter(Writer):
    """Writes ``symbolic_run`` with a clock around each step."""

    def __init__(self, *args: Any) -> None:
        self.timed: list[Timed] = []
        self._kernels: list[str] = []
        super().__init__(*args)

    def _steps(self) -> None:
        self.unit.loops.append(CLOCK)
        super()._steps()
        place = len(self.lowering.graph.inputs) + len(self.unit.constants)
        self.lines.insert(0, f"int64_t *const profile = in[{place}].data; /* calls, ns, bytes, operations of each step */")
        self.unit.constants.append(np.zeros((max(1, len(self.timed)), 4), "int64"))

    def _kernel(self, text: str, notes: list[str]) -> str:
        self._kernels.append(super()._kernel(text, notes))
        return self._kernels[-1]

    def _step(self, step: Any) -> None:
        items: list[Def] = [self.defs[k] for k in step.items] if isinstance(step, Group) else [step]
        if items[0].kind == "view":
            super()._step(step)
            return
        start, n = len(self.lines), len(self.timed)
        self._kernels.clear()
        super()._step(step)
        last = items[-1]
        kind = "kernel" if isinstance(step, Group) else last.kind
        shown = [self.defs[k] for k in last.outputs[:1]] or items
        self.timed.append(Timed("; ".join(dict.fromkeys(comment(d) for d in shown)), kind, " ".join(self._kernels), last.node))
        self.lines.insert(start, f"const int64_t began{n} = symbolic_now();")
        self.lines.append(f"symbolic_count(profile + {4 * n}, began{n}, {self._traffic(items)}, {self._operations(items)});")

    def _traffic(self, items: list[Def]) -> str:
        """Return, as C, the bytes of the arrays that a step reads and writes."""
        own = {d.id for d in items}
        read = {k for d in items for k in self.fusion.operands(d)} - own
        made = {k for d in items for k in (d.outputs or (d.id,))
                if k in self.slots or k in self.plan.room or k in self.plan.host}
        sizes: dict[str, int] = {}
        for k in sorted(read | made):
            d = self.defs[k]
            count = self._product(d.extents)
            sizes[count] = sizes.get(count, 0) + np.dtype(d.dtype).itemsize
        return " + ".join(f"{size}.0 * {count}" for count, size in sizes.items()) or "0.0"

    def _operations(self, items: list[Def]) -> str:
        """Return, as C, how many operations on floats a step does; 0 where nobody knows."""
        counts: dict[str, int] = {}
        for d in items:
            if d.kind == "gemm":
                each = 8 if np.dtype(d.dtype).kind == "c" else 2
                text = self._product(self._product_extents(d))
            elif d.body is not None:
                each = sum(n.op not in _FREE and np.dtype(n.dtype).kind in "fc" for n in expr_toposort([d.body]))
                each += d.kind == "reduce"
                text = self._product(d.domain)
            else:
                continue
            counts[text] = counts.get(text, 0) + each
        return " + ".join(f"{each}.0 * {text}" for text, each in counts.items() if each) or "0.0"

    def _product(self, extents: Iterable[Any]) -> str:
        return " * ".join(f"(double)({self.host(e)})" for e in extents) or "1.0"
