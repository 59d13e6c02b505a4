"""Stages as text: for ``SYMBOLIC_DUMP`` and for ``symbolic-cache show``."""
from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from symbolic.codegen.fuse import Fusion, Group
from symbolic.fgraph import FunctionGraph
from symbolic.graph import Constant, Variable

_count = itertools.count()


def graph_text(graph: FunctionGraph) -> str:
    """Return a captured graph, one application a line, with the user's lines.

    Examples
    --------
    >>> from symbolic.fgraph import capture
    >>> from symbolic.types import TensorType
    >>> x = Variable(TensorType("float32", (None,)), name="x")
    >>> graph_text(capture([x], [x]))
    'input   x: float32 (?,)\\noutput  x'
    """
    names: dict[Variable, str] = {}
    for k, v in enumerate(graph.inputs):
        names[v] = v.name or f"x{k}"

    def name(v: Variable) -> str:
        return str(v) if isinstance(v, Constant) else names[v]

    lines = [f"input   {names[v]}: {v.type}" for v in graph.inputs]
    for k, node in enumerate(graph.nodes):
        for o in node.outputs:
            names[o] = f"v{k}" if len(node.outputs) == 1 else f"v{k}.{o.index}"
        place = f"  # {node.loc}" if node.loc else ""
        made = ", ".join(names[o] for o in node.outputs)
        lines.append(f"{made} = {node.op}({', '.join(map(name, node.inputs))}): {node.outputs[0].type}{place}")
    lines += [f"output  {name(v)}" for v in graph.outputs]
    return "\n".join(lines)


def plan_text(fusion: Fusion) -> str:
    """Return the steps of a fused graph: which values are computed together, which are stored."""
    lines = []
    for step in fusion.steps:
        if isinstance(step, Group):
            made = [fusion.defs[k].label + ("" if k in fusion.stored else " (not stored)") for k in step.items]
            kinds = {fusion.defs[k].kind for k in step.items}
            lines.append(f"kernel  {'rows of ' if 'reduce' in kinds else ''}{', '.join(made)}")
        else:
            lines.append(f"{step.kind:<7} {step.label}")  # type: ignore[attr-defined]
    return "\n".join(lines)


def dump(folder: str | None, title: str, texts: dict[str, str]) -> None:
    """Write the text of every stage into `folder`; nothing with None.

    Raises
    ------
    OSError
        If the folder can't be written.
    """
    if folder is None:
        return
    os.makedirs(folder, exist_ok=True)
    safe = re.sub(r"[^0-9A-Za-z_.-]+", "_", title)[:60]
    stem = f"{os.getpid()}-{next(_count):03d}-{safe}"
    for name, text in texts.items():
        Path(folder, f"{stem}.{name}").write_text(text + "\n", encoding="utf-8")
