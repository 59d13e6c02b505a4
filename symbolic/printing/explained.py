"""`explain`: what the compiler made of a function, and why: fused, stored, hoisted, copied, in place."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from symbolic.codegen.fuse import Fusion, Group
from symbolic.codegen.lower import Def, Lowering
from symbolic.codegen.memory import ALLOCATES, Planner
from symbolic.compiled import Function, compiled_graph, stable_roots
from symbolic.fgraph import FunctionGraph, capture
from symbolic.graph import Apply
from symbolic.infer import infer
from symbolic.ops.scan import Scan
from symbolic.opt.driver import Driver
from symbolic.opt.rules import rules_for
from symbolic.scalar import loads
from symbolic.source import SourceLoc
from symbolic.tree import inner_graphs

#: The same on a GPU, where it differs.
ON_DEVICE = {"gemm": "a product by cuBLAS", "loop": "a loop that the host goes around, launching each step's kernels",
             "branch": "a branch: the host looks at the condition, and launches one arm",
             "python": "computed on the host: operands are copied there, results back"}
#: What the steps that aren't kernels are.
KINDS = {"gemm": "a product by BLAS", "loop": "a native loop", "branch": "a branch: one arm is computed",
         "template": "a C routine of its own", "python": "Python code: the GIL is taken, arrays are handed over",
         "scatter": "a write into a copy or over the old value", "view": "no work: another shape of the same memory",
         "check": "a check"}


def explain(f: Function) -> str:
    """Return what a compiled function does and why, as text; printing it is what it is for.

    Parameters
    ----------
    f : Function

    Returns
    -------
    str
        Sections on the rewrites that were done; on each step, with the user's lines that went into it; on values that are
        stored between steps, and why; on what was moved out of loops; on outputs that are copies; and on updates: whether
        they are written over the old value, and if not, why.

    Raises
    ------
    TypeError
        If `f` isn't a function that :func:`symbolic.function` returned.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, s = T.dvector("x"), symbolic.shared([1.0, 2.0], "s")
    >>> f = symbolic.function([x], T.exp(x).sum(), updates=[(s, s - 0.1 * x)], name="step")
    >>> "s: written over the old value" in explain(f)
    True
    """
    if not isinstance(f, Function):
        raise TypeError(f"explain needs a compiled function, got {type(f).__name__} {f!r}")
    graph = compiled_graph(f)
    before = capture(f.spec.leaves, stable_roots(f.spec))
    lines = [f"{f.name}: {len(before.nodes)} applications as written, {len(graph.nodes)} after rewriting"]
    if not f.source:
        lines.append("interpreted: NumPy computes each application by itself, so nothing is fused, hoisted or in place "
                     f"(mode {f.spec.mode.name!r}; see the warning if there is no C compiler)")
        return "\n".join([*lines, *_python_steps(graph)])
    extents = infer(graph)
    device = f.spec.device
    if device != "cpu":
        lines.append(f"runs on {device}: kernels of CUDA's, shared variables stay there between calls")
    lowering = Lowering(graph, extents, templates=device == "cpu")
    products = device == "cpu" or not f.program.program.guarded  # type: ignore[attr-defined]
    fusion = Fusion(lowering, extents.guards, products=products, parts=True)
    lines += [*_rules(before, f), *_steps(fusion, device), *_stored(fusion, lowering), *_hoisted(before, graph)]
    return "\n".join([*lines, *_memory(f, fusion, lowering)])


def _rules(before: FunctionGraph, f: Function) -> list[str]:
    driver = Driver(rules_for(f.spec.mode, "captured"), before.inputs)
    driver(before.outputs)
    fired = driver.statistics.fired
    if not fired:
        return []
    return ["rewrites: " + ", ".join(f"{name} {n}x" for name, n in sorted(fired.items(), key=lambda t: (-t[1], t[0])))]


def _places(nodes: Iterable[Apply | None]) -> str:
    """Return the user's lines of nodes, each once, in order."""
    found: dict[tuple[str, int], SourceLoc] = {}
    for n in nodes:
        if n is not None and n.loc is not None:
            found.setdefault((n.loc.file, n.loc.line), n.loc)
    return "; ".join(f"{loc} [gradient of {loc.of}]" if loc.of is not None else str(loc) for _, loc in sorted(found.items()))


def _name(d: Def) -> str:
    if d.variable is not None and d.variable.name is not None:
        return d.variable.name
    return d.node.op.name if d.node is not None else d.label


def _steps(fusion: Fusion, device: str) -> list[str]:
    kinds = KINDS if device == "cpu" else KINDS | ON_DEVICE
    lines = ["steps:"]
    for k, step in enumerate(fusion.steps, 1):
        if isinstance(step, Group):
            made = [fusion.defs[i] for i in step.items]
            nodes = [d.node for d in made]
            reduces = any(d.kind == "reduce" for d in made)
            how = "a reduction" if len(step.home) != 1 else "one pass over rows" if reduces else "one pass"
            what = f"fused, {how}: " if len(made) > 1 else ""
            lines.append(f"  {k}. {what}{', '.join(_name(d) for d in made)}")
            places = _places(nodes)
        else:
            d: Any = step
            lines.append(f"  {k}. {_name(d)}: {kinds.get(d.kind, d.kind)}")
            places = _places([d.node])
        if places:
            lines.append(f"       {places}")
    return lines


def _stored(fusion: Fusion, lowering: Lowering) -> list[str]:
    """Say of each value that goes through memory between two steps why it wasn't fused with its reader."""
    step_of = {k: n for n, step in enumerate(fusion.steps, 1)
               for k in (step.items if isinstance(step, Group) else [step.id])}  # type: ignore[attr-defined]
    outputs = set(lowering.outputs)
    lines = []
    for k in fusion.order:
        d = fusion.defs[k]
        if k not in fusion.stored or d.kind not in ("map", "reduce") or k not in step_of:
            continue
        readers = [fusion.defs[c] for c in fusion.clients.get(k, ()) if step_of.get(c) != step_of[k]]
        if not readers:
            continue
        lines.append(f"  {_name(d)} (step {step_of[k]}) is stored: {_why_stored(fusion, d, readers, k in outputs)}")
    return ["stored between steps:", *lines] if lines else []


def _why_stored(fusion: Fusion, d: Def, readers: Sequence[Def], output: bool) -> str:
    reasons = []
    for r in readers:
        if r.kind in KINDS:
            reasons.append(f"{_name(r)} is {KINDS[r.kind].partition(':')[0]} and reads memory")
        elif d.kind == "reduce" and not d.kept:
            reasons.append(f"{_name(r)} needs the whole sum, which threads share, before it begins")
        elif d.id in fusion.looked_at:
            reasons.append("a check looks at it first")
        elif r.id in fusion.cut:
            reasons.append("the chain is cut there: longer kernels take a compiler too long")
        elif fusion.home.get(d.id) != fusion.home.get(r.id):
            reasons.append(f"{_name(r)} runs over other extents, so it would be computed again for each of its elements")
        else:
            reasons.append(f"{_name(r)} reads it at other elements, or needs something computed in between")
    if output:
        reasons.append("it is an output as well")
    return "; ".join(dict.fromkeys(reasons))


def _hoisted(before: FunctionGraph, after: FunctionGraph) -> list[str]:
    """Compare the steps of loops before and after rewriting: what isn't in a step any more was moved, or did nothing."""
    lines = []
    kept = Counter(key for node in after.nodes if isinstance(node.op, Scan) for key in _contents(node))
    loops = [n for n in after.nodes if isinstance(n.op, Scan)]
    outside = Counter(_key(n) for n in after.nodes)
    for node in before.nodes:
        if not isinstance(node.op, Scan):
            continue
        gone = [key for key in _contents(node) if kept[key] == 0]
        moved = [key for key in gone if outside[key]]
        label = node.op.label or "scan"
        where = f" ({node.loc})" if node.loc is not None else ""
        if not loops:
            lines.append(f"  {label}{where}: no loop is left: its steps don't wait for each other, or there is one only")
        elif moved:
            lines.append(f"  {label}{where}: computed once, outside: {', '.join(sorted({op for op, _ in moved}))}")
        elif not gone:
            lines.append(f"  {label}{where}: all of the step depends on what the step before left")
        else:
            lines.append(f"  {label}{where}: the step has become another one; nothing stands outside as it was written")
    return ["loops:", *lines] if lines else []


def _key(n: Apply) -> tuple[str, Any]:
    return n.op.name, None if n.loc is None else (n.loc.file, n.loc.line)


def _contents(node: Apply) -> list[tuple[str, Any]]:
    return [_key(n) for _, inputs, outputs in inner_graphs(node.op) for n in capture(inputs, outputs).nodes]


def _python_steps(graph: FunctionGraph) -> list[str]:
    found = [n for n in graph.nodes if n.op.opaque]
    return [f"Python code: {n.op.name} ({n.loc})" for n in found]


def _memory(f: Function, fusion: Fusion, lowering: Lowering) -> list[str]:
    spec = f.spec
    count = len(spec.outputs)
    slots: dict[int, int] = {}
    for slot, k in enumerate(lowering.outputs):
        if lowering.defs[k].kind in ALLOCATES:
            slots.setdefault(k, slot)
    updated = [spec.leaves.index(s) for s, _ in spec.updates]
    planner = Planner(fusion, slots, lowering.outputs, updated)
    plan = planner.plan
    lines = []
    for slot, k in enumerate(lowering.outputs[:count]):
        if slots.get(k) != slot:
            d = lowering.defs[k]
            why = ("it is an input" if d.kind == "input" else "it is a constant" if d.kind == "const"
                   else "it shows the memory of something else" if d.kind == "view" else "the same value is another output")
            lines.append(f"  output {slot}: copied, because {why}")
    for u, (s, _) in enumerate(spec.updates):
        k = lowering.outputs[count + u]
        name = s.name or str(s)
        if plan.inplace[u]:
            lines.append(f"  {name}: written over the old value")
        else:
            lines.append(f"  {name}: written beside the old value, which it takes the place of, because "
                         f"{_why_beside(planner, lowering.defs[k], fusion.defs[updated[u]], k, count + u)}")
    reused = len([k for k in plan.room if plan.room[k] is not None]) - len(plan.sizes)
    lines.append(f"  {len(plan.sizes)} blocks of scratch memory for {len(plan.room)} values"
                 + (f" ({reused} take a block that another one is done with)" if reused > 0 else "")
                 + (f"; {len(plan.donor)} values are written over one that is read for the last time" if plan.donor else ""))
    return ["memory:", *lines]


def _why_beside(planner: Planner, d: Def, old: Def, k: int, slot: int) -> str:
    if planner.slots.get(k) != slot:
        return "it is a copy of another value"
    if d.kind not in ("map", "scatter"):
        return f"{_name(d)} is {KINDS.get(d.kind, 'a reduction').partition(':')[0]}, which can't write over what it reads"
    born = planner.born.get(k, 0)
    if planner.last.get(old.id, -1) > born:
        return "the old value is read later"
    if born < planner.settled:
        return "a later step may fail, and a call that fails leaves shared variables as they were"
    reads = [x for x in (loads(d.body) if d.body is not None else ()) if x.arg == old.id]
    if not reads and d.kind == "map":
        return "the kernel that makes it doesn't read the old value"
    if any(not (len(x.args) == len(d.kept) and all(a.op == "sym" and a.arg == n for a, n in zip(x.args, d.kept, strict=True)))
           for x in reads):
        return "the old value is read at other elements than the one that is written"
    if any(a is not b for a, b in zip(old.extents, d.extents, strict=False)):
        return "the new value's shape isn't known to be that of the old one"
    return "something else in its kernel reads the old value too"
