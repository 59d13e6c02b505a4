"""Recomputation: what is computed within a checkpoint isn't kept for the gradient but computed again, when it is needed.

T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost", 2016.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Op, Variable, as_tensor_variable, clone_replace, toposort
from symbolic.nullgrad import is_null
from symbolic.ops.from_graph import OpFromGraph
from symbolic.reverse import pullbacks
from symbolic.scalar import Expr, dim
from symbolic.shared import SharedVariable
from symbolic.source import caller
from symbolic.types import TensorType

Terms = list["Variable | None"]


class Recompute(Op):
    """The first operand, once the others are computed. Equal computations before and after it aren't one."""

    __props__ = ()
    view_of = 0
    waits = True

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types[:1]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return arrays[:1]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        return [gouts[0], *[None] * (len(inputs) - 1)]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable], tangents: Sequence[Variable | None]
                    ) -> Sequence[Variable | None]:
        return tangents[:1]

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        return [[k == 0] for k in range(len(node.inputs))]

    def batch(self, node: Any, inputs: Sequence[Variable], flags: Sequence[bool]) -> Any:
        return [Recompute()(*inputs)], flags[:1]


class Checkpoint(OpFromGraph):
    """A graph that a gradient computes again from its operands, once the cotangents of its results are known."""

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Terms:
        known = [g for g in gouts if g is not None and not is_null(g)]
        movable = [not isinstance(x, SharedVariable) for x in inputs]  # what lives on anyway stays where it is
        again = [Recompute()(x, *known) if known and (m or not any(movable)) else x
                 for x, m in zip(inputs, movable, strict=True)]
        table: dict[Variable, Variable] = dict(zip(self.inputs, again, strict=True))
        seeds: dict[Variable, Variable] = {}
        for inner, g in zip(self.outputs, gouts, strict=True):
            if g is not None:
                u = Variable(g.type)
                table[u] = g
                seeds[inner] = seeds[inner] + u if inner in seeds else u  # type: ignore[operator]
        found = pullbacks(seeds, self.inputs)
        have = [v for v in self.inputs if v in found]
        made = dict(zip(have, clone_replace([found[v] for v in have], table), strict=True))
        return [made.get(v) for v in self.inputs]


def checkpoint(what: Any, inputs: Sequence[Variable] | None = None, name: str | None = None) -> Any:
    """Mark a computation whose intermediate values a gradient is to compute again rather than keep.

    Parameters
    ----------
    what : Variable, list or tuple of Variable, or callable
        What is computed; or a function of variables that returns it, which makes this a function (or a decorator).
    inputs : list of Variable, optional
        Where the computation starts, so what is kept. By default the variables without owner and the results of other
        checkpoints that it depends on. Only for variables; a function starts from its arguments.
    name : str, optional

    Returns
    -------
    Variable, list of Variable, or callable
        The same values; only gradients through them are computed in another way.

    Raises
    ------
    TypeError
        If `what` holds something else.

    Notes
    -----
    The forward value costs what it did, a gradient one evaluation more, begun once the gradient of the results is there.
    Chain some checkpoints: of n layers in √n blocks, a gradient keeps about 2 √n values instead of n. What a graph
    computes from shared variables alone is kept. For loops there is `scan_checkpoints`.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> block = checkpoint(lambda h: T.sin(h ** 2))
    >>> f = symbolic.function([x], [symbolic.grad(checkpoint(x ** 3), x), symbolic.grad(block(block(x)), x)])
    >>> [round(float(v), 6) for v in f(0.5)]
    [0.75, 0.478528]
    """
    if callable(what) and not isinstance(what, Variable):
        if inputs is not None:
            raise TypeError(errors.message("checkpoint", "a function starts from its arguments; inputs is for variables", (),
                                           caller()))
        return _checkpointed(what, name)
    several = isinstance(what, (list, tuple))
    outputs = list(what) if several else [what]
    for v in outputs:
        if not isinstance(v, Variable):
            raise TypeError(errors.message("checkpoint", f"needs variables or a function, got {v!r} ({type(v).__name__})", (),
                                           caller()))
    starts = _starts(outputs) if inputs is None else list(inputs)
    made = Checkpoint(starts, outputs, name=name or "checkpoint")(*starts, return_list=True)
    return made if several else made[0]


def _starts(outputs: Sequence[Variable]) -> list[Variable]:
    """Return where a computation starts: leaves that aren't shared variables, and what other checkpoints gave."""
    borders = {o for node in toposort(outputs) if isinstance(node.op, Checkpoint) for o in node.outputs} - set(outputs)
    nodes = toposort(outputs, stop=borders)
    read = [v for node in nodes for v in node.inputs] + list(outputs)
    return list(dict.fromkeys(v for v in read if (v.owner is None or v in borders)
                              and not isinstance(v, (Constant, SharedVariable))))


def _checkpointed(fn: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        given = [as_tensor_variable(a) for a in args]
        inner = [Variable(v.type, name=v.name, loc=v.loc) for v in given]
        made = fn(*inner, **kwargs)
        several = isinstance(made, (list, tuple))
        values = list(made) if several else [made]
        for v in values:
            if not isinstance(v, Variable):
                raise TypeError(errors.message("checkpoint", f"the function must return variables, got {v!r}", (), caller()))
        outs = Checkpoint(inner, values, name=name or getattr(fn, "__name__", "checkpoint"))(*given, return_list=True)
        return type(made)(outs) if several else outs[0]

    return update_wrapper(call, fn)
