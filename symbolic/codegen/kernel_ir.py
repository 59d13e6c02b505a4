"""Loop nests over buffers: what every target renders. A Kernel knows no op and no user variable."""
from __future__ import annotations

from dataclasses import dataclass, field

from symbolic.scalar import Expr


@dataclass(frozen=True, slots=True)
class Buffer:
    """An array a kernel reads or writes; `extents` may be None where only flat offsets are used."""

    name: str
    dtype: str
    written: bool = False


@dataclass(frozen=True, slots=True)
class Let:
    """Bind `name` to a value in the enclosing block."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Store:
    """Write `value` at flat offset `offset`; with `accumulate`, join it to what is there (a Combiner's name)."""

    buffer: str
    offset: Expr
    value: Expr
    accumulate: str | None = None


@dataclass(frozen=True, slots=True)
class Init:
    """Start an accumulator: `size` None is a register, else a block of that many, indexed from `base`."""

    name: str
    dtype: str
    combiner: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Accumulate:
    """Join `value` to accumulator `name` (at `offset` of a block)."""

    name: str
    combiner: str
    value: Expr
    offset: Expr | None = None


@dataclass(frozen=True, slots=True)
class For:
    """A loop from `start` to `stop`.

    ``kind`` is ``plain``, ``simd``, or ``parallel`` (iterations are independent and worth sharing out when
    `work`, the scalar operations of the whole loop, is large); ``step`` is 1 but for blocked loops, where threads
    share the iterations in pieces of `grain` (default `step`) and ``<axis>_stop`` is where the thread's own ones end.
    """

    axis: str
    start: Expr
    stop: Expr
    body: tuple[Stmt, ...]
    kind: str = "plain"
    step: int = 1
    reductions: tuple[tuple[str, str], ...] = ()
    simd: bool = False
    grain: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """Bind `name` to the final value of accumulator `acc` in `dtype`."""

    name: str
    acc: str
    combiner: str
    dtype: str


Stmt = Let | Store | Init | Accumulate | For | Finish


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function over buffers and int64 parameters.

    Attributes
    ----------
    buffers : tuple of Buffer
        Read ones, then written ones.
    params : tuple of (str, str)
        Names and dtypes of scalar parameters (extents, host values).
    body : tuple of Stmt
    work : Expr
        Rough number of scalar operations of a call, over the params.
    """

    buffers: tuple[Buffer, ...]
    params: tuple[tuple[str, str], ...]
    body: tuple[Stmt, ...]
    work: Expr
    notes: tuple[str, ...] = field(default=(), compare=False)

    def verify(self) -> None:
        """Raise AssertionError unless every name is bound before use and every store goes to a written buffer."""
        written = {b.name for b in self.buffers if b.written}
        names = {b.name for b in self.buffers} | {n for n, _ in self.params}
        _verify(self.body, set(names), written)


def _verify(body: tuple[Stmt, ...], bound: set[str], written: set[str]) -> None:
    for s in body:
        if isinstance(s, For):
            _verify(s.body, bound | {s.axis}, written)
        elif isinstance(s, Store):
            assert s.buffer in written, f"store to {s.buffer}, which isn't an output"
        elif isinstance(s, (Let, Init, Finish)):
            assert s.name not in bound, f"{s.name} is bound twice"
            bound.add(s.name)
        else:
            assert s.name in bound, f"accumulator {s.name} isn't started"
