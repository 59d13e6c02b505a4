"""How ops take a batch that don't say so themselves: by their index lambda, else by a loop."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from symbolic import errors
from symbolic.batching import FALLBACKS, Batch, batched
from symbolic.graph import Apply, Op, Variable
from symbolic.loop import element
from symbolic.ops.extents import Shape_i
from symbolic.ops.reduce import Reduce
from symbolic.ops.scan import Scan
from symbolic.reverse import pullback_of, zeros_of
from symbolic.scalar import Check, Expr, IndexLambda, axis, dim, load, substitute
from symbolic.types import TensorType


class Batched(Op):
    """An op with one result, said by an index lambda, for a batch of some of its inputs.

    Parameters
    ----------
    op : Op
    flags : tuple of bool
        Which inputs have the batch in front.
    element : str
        What one of the batch is called in errors.
    """

    __props__ = ("op", "flags", "element")

    def __init__(self, op: Op, flags: Sequence[bool], element: str = "element {} of the batch") -> None:
        self.op, self.flags, self.element = op, tuple(flags), element

    @property
    def name(self) -> str:  # errors begin with it: the user's op
        return self.op.name

    def __str__(self) -> str:
        return f"batched_{self.op}"

    @property
    def stable(self) -> bool:
        return self.op.stable

    def _inner(self, types: Sequence[TensorType]) -> list[TensorType]:
        return [element(t) if flag else t for t, flag in zip(types, self.flags, strict=True)]

    @property
    def _first(self) -> int:
        return self.flags.index(True)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        made, = self.op.infer_type(*self._inner(types))
        known = {t.shape[0] for t, flag in zip(types, self.flags, strict=True) if flag} - {None}
        return (made.clone(shape=(known.pop() if known else None, *made.shape)),)

    def _shifted(self, e: Expr, body: bool = True) -> Expr:
        """Return an expression of the op for one element of the batch."""

        def replace(n: Expr, args: tuple[Expr, ...]) -> Expr | None:
            if n.op == "sym" and n.arg[0] == "d" and n.arg[1].isdigit():
                k, _, a = n.arg[1:].partition("_")
                return dim(int(k), int(a) + self.flags[int(k)])
            if n.op == "sym" and n.arg[0] == "i" and n.arg[1:].isdigit():
                return axis(int(n.arg[1:]) + 1)
            if n.op == "load" and self.flags[n.arg]:
                if not body:
                    raise errors.NotSupported(f"{self.op}: extents can't differ within a batch")
                return load(n.arg, (axis(0), *args), n.dtype)
            return None

        return substitute([e], replace)[0]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        extents, = self.op.infer_shape(*self._inner(types))
        return ((dim(self._first, 0), *(self._shifted(e, False) for e in extents)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        found = []
        for c in self.op.checks(*self._inner(types)):
            extents = tuple(self._shifted(e, False) for e in c.extents)
            condition, detail = self._shifted(c.condition), tuple(map(self._shifted, c.detail))
            message = c.message
            if extents or condition is not self._shifted_plain(c.condition):
                extents = (dim(self._first, 0), *extents)
                if len(detail) < 4:
                    text, *hint = message.split("\n", 1)
                    message = "\n".join([f"{text}, in {self.element.format(f'{{{len(detail)}}}')}", *hint])
                    detail = (*detail, axis(0))
            found.append(Check(condition, message, extents, detail,
                               tuple((k, a + self.flags[k]) for k, a in c.broadcast), c.error))
        return tuple(found)

    def _shifted_plain(self, e: Expr) -> Expr | None:
        """Return `e` shifted where it reads no element of the batch; None where it does."""
        try:
            return self._shifted(e, False)
        except errors.NotSupported:
            return None

    def compute(self, *types: TensorType) -> IndexLambda:
        meaning = self.op.compute(*self._inner(types))
        assert isinstance(meaning, IndexLambda)
        return IndexLambda(self._shifted(meaning.body), tuple(self._shifted(e, False) for e in meaning.reduce), meaning.combiner)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g = gouts[0]
        if g is None:
            return [None] * len(inputs)
        inner = [Variable(t) for t in self._inner([v.type for v in inputs])]
        node = Apply(self.op, inner, self.op.infer_type(*(v.type for v in inner)), None)
        cotangent = node.outputs[0].clone()
        terms = pullback_of(node, [cotangent])
        wanted = [t for t in terms if t is not None]
        sides: tuple[dict, dict] = ({}, {cotangent: g})
        for v, new, flag in zip(inner, inputs, self.flags, strict=True):
            sides[flag][v] = new
        # the result itself may be read: it is this one
        sides[True][node.outputs[0]] = outputs[0]
        pairs = iter(batched(wanted, sides[True], sides[False]))
        return [None if t is None else self._term(*next(pairs), x, flag)
                for t, x, flag in zip(terms, inputs, self.flags, strict=True)]

    def _term(self, g: Variable, has: bool, x: Variable, flag: bool) -> Variable:
        if has and not flag:
            return Reduce("sum", (0,), x.dtype)(g)
        return zeros_of(x) + g if flag and not has else g  # type: ignore[operator]


_element: ContextVar[str] = ContextVar("element", default="element {} of the batch")


@contextmanager
def called(element: str) -> Iterator[None]:
    """Let errors in the block's batches call one of a batch `element`, a format over its number."""
    token = _element.set(element)
    try:
        yield
    finally:
        _element.reset(token)


def by_meaning(node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
    """Take a batch by what the op says that it computes."""
    op = node.op
    types = [v.type for v in node.inputs]
    if len(node.outputs) != 1 or not isinstance(op.compute(*types), IndexLambda):
        return None
    made = Batched(op, flags, _element.get())
    try:
        made.infer_shape(*(v.type for v in inputs))
        made.compute(*(v.type for v in inputs))
    except errors.NotSupported:
        return None
    return [made(*inputs)], [True]


def by_loop(node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch:
    """Take a batch element by element."""
    inner = [Variable(element(v.type) if flag else v.type) for v, flag in zip(inputs, flags, strict=True)]
    made = node.op.make_node(*inner)
    order = sorted(range(len(inputs)), key=lambda k: not flags[k])
    loop = Scan([inner[k] for k in order], made.outputs, 0, sum(flags), label=f"each {node.op.name}")
    count = Shape_i(0)(inputs[order[0]])
    outs = loop.make_node(count, *(inputs[k] for k in order)).outputs
    return outs, [True] * len(outs)


FALLBACKS.extend([by_meaning, by_loop])

