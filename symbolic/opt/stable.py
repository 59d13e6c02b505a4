"""The stability rules applied to graphs as users write them: before a function is captured, and before `grad`.

Nothing else happens to these graphs: a node that no rule fires on, and nothing below it either, stays the object it is.
"""
from __future__ import annotations

from collections.abc import Collection, Sequence

from symbolic.graph import Apply, Variable, clone_replace, toposort
from symbolic.mode import Mode
from symbolic.ops.from_graph import OpFromGraph
from symbolic.ops.scan import Scan
from symbolic.opt import logarithms, stability  # noqa: F401  (they register their rules)
from symbolic.opt.driver import Driver
from symbolic.opt.rebuild import Rebuilt
from symbolic.opt.rules import RuleSet, rules_for
from symbolic.reverse import STABILISE


def stabilised(outputs: Sequence[Variable], leaves: Collection[Variable], mode: Mode, stage: str = "stable") -> list[Variable]:
    """Return `outputs` in a stable form.

    Parameters
    ----------
    outputs : sequence of Variable
    leaves : collection of Variable
        Variables to stay as they are, though they may be computed: nothing is seen through them.
    mode : Mode
        Says which rules are active.
    stage : {'stable', 'gradient'}
    """
    rules = rules_for(mode, stage)
    if not rules.rules:
        return list(outputs)
    computed = {v: Variable(v.type, name=v.name, loc=v.loc) for v in leaves if v.owner is not None}
    given = list(outputs)
    if computed:  # rules look at what computes a variable; here they must not
        given = clone_replace(given, dict(computed))
    if stage == "stable":
        given = _loops(_opened(given, leaves), leaves, rules)
    made = Driver(rules, [*leaves, *computed.values()])(given)
    return clone_replace(made, {new: old for old, new in computed.items()}) if computed else made


def _opened(outputs: list[Variable], leaves: Collection[Variable]) -> list[Variable]:
    """Return `outputs` with ops that keep a graph of their own as that graph: capture would do it, too late for these rules.

    Not before `grad`, which calls the rule that such an op may have.
    """
    while True:
        nodes = [n for n in toposort(outputs, stop=leaves) if isinstance(n.op, OpFromGraph)]
        if not nodes:
            return outputs
        table = {o: v for n in nodes for o, v in zip(n.outputs, n.op.expand(*n.inputs) or (), strict=True)}
        outputs = Rebuilt(table)(outputs)


def _loops(outputs: list[Variable], leaves: Collection[Variable], rules: RuleSet) -> list[Variable]:
    """Return `outputs` with the steps of their loops in a stable form."""
    table: dict[Variable, Variable] = {}
    for node in toposort(outputs, stop=leaves):
        op = node.op
        if isinstance(op, Scan):
            given = _loops(_opened(list(op.outputs), op.inputs), op.inputs, rules)
            better = Driver(rules, op.inputs)(given)
            if any(a is not b for a, b in zip(better, op.outputs, strict=True)):
                new = Scan(op.inputs, better, op.carries, op.sequences, op.until, op.reverse, op.truncate, op.label, op.repeat)
                made = Apply(new, node.inputs, [o.type for o in node.outputs], node.loc)
                table.update(zip(node.outputs, made.outputs, strict=True))
    return Rebuilt(table)(outputs) if table else outputs


def before_gradient(outputs: Sequence[Variable], leaves: Collection[Variable]) -> list[Variable]:
    """Return what is differentiated in the place of `outputs`; rules are those of ``config``, for functions aren't known yet."""
    return stabilised(outputs, leaves, Mode(), "gradient")


STABILISE.append(before_gradient)
