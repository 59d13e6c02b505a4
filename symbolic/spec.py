"""What a function is made from: the structure that compiling, copying and pickling a function start with."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symbolic.graph import Variable
from symbolic.mode import Mode
from symbolic.pickling import flatten, restore
from symbolic.shared import SharedVariable
from symbolic.source import SourceLoc


@dataclass
class Input:
    """An argument of a function: what the user's In said."""

    variable: Variable
    name: str | None
    default: np.ndarray | None = None
    downcast: bool | None = None
    strict: bool = False
    state: SharedVariable | None = None


@dataclass
class Spec:
    """All that a function was made from.

    Attributes
    ----------
    inputs : list of Input
        Those with ``state`` come last; they are shared variables inside.
    shareds : list of SharedVariable
        Read or updated.
    outputs : list of Variable
    updates : list of (SharedVariable, Variable)
    structure
        None for one bare output, a tuple for a list, a list of keys for a dict.
    profile : bool
        Whether the program times its steps.
    device : str
        Where it runs, as ``config.device`` has it.
    """

    inputs: list[Input]
    shareds: list[SharedVariable]
    outputs: list[Variable]
    updates: list[tuple[SharedVariable, Variable]]
    structure: Any
    mode: Mode
    name: str
    loc: SourceLoc | None = None
    profile: bool = False
    device: str = "cpu"
    leaves: list[Variable] = field(init=False)
    roots: list[Variable] = field(init=False)

    def __post_init__(self) -> None:
        self.leaves = [i.variable for i in self.inputs if i.state is None] + list(self.shareds)
        self.roots = self.outputs + [u for _, u in self.updates]

    @property
    def arguments(self) -> list[Input]:
        """The inputs without state, which every call passes on."""
        return [i for i in self.inputs if i.state is None]

    def __reduce__(self) -> tuple[Any, ...]:
        graph = flatten([*self.leaves, *self.roots])
        return _unpickled, (graph, self.inputs, self.shareds, [s for s, _ in self.updates], self.structure, self.mode,
                            self.name, self.loc, self.profile, self.device)


def _unpickled(graph: Any, inputs: list[Input], shareds: list[SharedVariable], updated: list[SharedVariable],
               structure: Any, mode: Mode, name: str, loc: SourceLoc | None, profile: bool = False, device: str = "cpu") -> Spec:
    restored = restore(*graph)
    n_leaves = sum(i.state is None for i in inputs) + len(shareds)
    roots = restored[n_leaves:]
    outputs, news = roots[:len(roots) - len(updated)], roots[len(roots) - len(updated):]
    return Spec(inputs, shareds, outputs, list(zip(updated, news, strict=True)), structure, mode, name, loc,
                profile, device)
