"""Graphs over what rewrites put in the place of variables."""
from __future__ import annotations

from collections.abc import Sequence

from symbolic.graph import Variable


class Rebuilt:
    """Rebuilds graphs over what stands in `table` for some variables, which may depend on others of them."""

    def __init__(self, table: dict[Variable, Variable]) -> None:
        self.table = table
        self.done: dict[Variable, Variable] = {}

    def __call__(self, outputs: Sequence[Variable]) -> list[Variable]:
        """Return `outputs`, rebuilt."""
        done = self.done
        stack = [v for v in reversed(outputs) if v not in done]
        while stack:
            v = stack[-1]
            stands = self.table.get(v, v)
            if v in done or stands.owner is None:
                done.setdefault(v, stands)
                stack.pop()
                continue
            waiting = [u for u in stands.owner.inputs if u not in done]
            if waiting:
                stack += reversed(waiting)
                continue
            node = stands.owner
            inputs = [done[u] for u in node.inputs]
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            made = node if same else node.clone_with_new_inputs(inputs, strict=False)
            for old, new in zip(node.outputs, made.outputs, strict=True):
                new.name = old.name
                done[old] = new
            done[v] = done[stands]
            stack.pop()
        return [done[v] for v in outputs]
