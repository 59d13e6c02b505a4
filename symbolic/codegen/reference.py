"""The NumPy interpreter: the meaning of a graph without a compiler, and the oracle of ``mode="CHECK"``.

Each op is evaluated at the *actual* shapes, so broadcasting is NumPy's without any specialisation.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from symbolic import errors
from symbolic.codegen.python_step import PythonStep
from symbolic.graph import Apply, Constant, Op, Variable
from symbolic.loop import Loop
from symbolic.scalar import ATOMS, COMBINERS, Check, Expr, IndexLambda, Scatter
from symbolic.scalar import toposort as expr_toposort
from symbolic.tree import node_text, verbose
from symbolic.types import TensorType


class Watch(Protocol):
    """What looks on while a graph is computed: called around each application, also inside of loops."""

    def before(self, i: int, node: Apply, arrays: Sequence[np.ndarray]) -> None:
        """See the operands of application number `i`."""

    def after(self, i: int, node: Apply, arrays: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        """See its results as well."""


def evaluate(outputs: Sequence[Variable], values: dict[Variable, np.ndarray], watch: Watch | None = None
             ) -> list[np.ndarray]:
    """Compute `outputs` from `values` of the variables they depend on.

    Parameters
    ----------
    outputs : sequence of Variable
    values : dict from Variable to ndarray
        Of the type of the variable; constants need none.
    watch : Watch, optional
        Called around each application.

    Raises
    ------
    MissingInputError
        If a variable without owner has no value.
    """
    known = dict(values)
    count = 0
    with np.errstate(all="ignore"):
        stack = [v.owner for v in reversed(outputs)]
        while stack:
            node = stack[-1]
            if node is None or all(v in known for v in node.outputs):
                stack.pop()
                continue
            waiting = [v.owner for v in _wanted(node, known) if v not in known and v.owner is not None]
            if waiting:
                stack += reversed(waiting)
                continue
            stack.pop()
            arrays = [_value(v, known) for v in _wanted(node, known)]
            if watch is not None:
                watch.before(count, node, arrays)
            try:
                if node.op.arms is not None:
                    results = arrays[1:]
                else:
                    results = _python(node, arrays) if node.op.opaque else apply(node.op, arrays, watch)
            except errors.SymbolicError as error:
                raise explain(error, node, arrays, known) from None
            for out, array in zip(node.outputs, results, strict=True):
                known.setdefault(out, array)
            if watch is not None:
                watch.after(count, node, arrays, results)
                count += 1
        return [_value(v, known) for v in outputs]


def _wanted(node: Apply, known: dict[Variable, np.ndarray]) -> Sequence[Variable]:
    """Return the operands that `node` is to be computed from: of a choice the condition, then the arm taken as well."""
    n, condition = node.op.arms, node.inputs[0] if node.inputs else None
    if n is None or condition is None:
        return node.inputs
    if condition.owner is not None and condition not in known:
        return node.inputs[:1]
    taken = node.inputs[1:1 + n] if _value(condition, known) else node.inputs[1 + n:]
    return (condition, *taken)


def _value(v: Variable, known: dict[Variable, np.ndarray]) -> np.ndarray:
    if v in known:
        return known[v]
    if isinstance(v, Constant):
        return v.data
    container = getattr(v, "container", None)
    if container is not None:
        return container.value
    raise errors.MissingInputError(f"no value was given for {v} ({v.type})")


def explain(error: errors.SymbolicError, node: Apply, arrays: Sequence[np.ndarray],
            known: Mapping[Variable, np.ndarray] | None = None) -> errors.SymbolicError:
    """Return `error` with the operands' shapes and the user's line, once; the long form where it is asked for."""
    if getattr(error, "located", False) or isinstance(error, (errors.NanError, errors.CheckError)):
        return error
    operands = [f"{v.name or k}: {a.dtype} {a.shape}" for k, (v, a) in enumerate(zip(node.inputs, arrays, strict=True))]
    text, _, hint = str(error).partition("\nhint: ")
    more = node_text(node, known or dict(zip(node.inputs, arrays, strict=False))) if verbose() else ""
    new = type(error)(errors.message(node.op.name, text, tuple(operands), node.loc, hint or None) + more)
    new.located = True  # type: ignore[attr-defined]
    return new


def apply(op: Op, arrays: Sequence[np.ndarray], watch: Watch | None = None) -> list[np.ndarray]:
    """Apply one op to arrays."""
    types = tuple(TensorType(a.dtype.name, a.shape) for a in arrays)
    outs = op.infer_type(*types)
    for check in op.checks(*types):
        _run_check(check, arrays)
    loop = op.loop(*types)
    if loop is not None:
        shapes = [tuple(int(scalar_value(e, arrays)) for e in extents) for extents in op.infer_shape(*types)]
        return _loop(loop, arrays, shapes, [o.dtype for o in outs], watch)
    given = op.reference(*arrays)
    if given is not None:
        return [np.asarray(g, dtype=t.dtype) for g, t in zip(given, outs, strict=True)]
    expansion = op.expand(*(Variable(t) for t in types))
    if expansion is not None:
        leaves = [Variable(t) for t in types]
        return evaluate(list(op.expand(*leaves) or ()), dict(zip(leaves, arrays, strict=True)), watch)
    meaning = _meaning(op, types)
    shape = tuple(int(scalar_value(e, arrays)) for e in op.infer_shape(*types)[0])
    if op.view_of is not None and meaning is None:
        return [np.ascontiguousarray(arrays[op.view_of]).reshape(shape)]
    if isinstance(meaning, Scatter):
        return [_scatter(meaning, shape, outs[0].dtype, arrays)]
    if meaning is None:
        raise errors.NotSupported(f"{op} says neither compute() nor reference() nor expand()")
    return [_index_lambda(meaning, shape, outs[0].dtype, arrays)]


def _python(node: Apply, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run the Python code of an op that has nothing else; it may keep and change what it gets and what it returns."""
    types = tuple(v.type for v in node.inputs)
    for check in node.op.checks(*types):
        _run_check(check, arrays)
    views = [a.view() for a in arrays]
    for a in views:
        a.flags.writeable = False
    step = PythonStep(node, native=False)
    results = step(*views)
    for k, (r, extents) in enumerate(zip(results, node.op.infer_shape(*types), strict=True)):
        want = tuple(-1 if e is None else int(scalar_value(e, arrays)) for e in extents)
        if any(m not in (-1, n) for m, n in zip(want, r.shape, strict=True)):
            raise step.mismatch(k, r.shape, want, arrays)
    return [np.array(r) for r in results]


def _loop(loop: Loop, arrays: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str],
          watch: Watch | None = None) -> list[np.ndarray]:
    steps, inputs = int(arrays[0]), loop.graph.inputs
    a, b = loop.carries, loop.carries + loop.sequences
    carries, sequences, constants = arrays[1:1 + a], arrays[1 + a:1 + b], arrays[1 + b:]
    traces = [np.zeros(shapes[k], dtypes[k]) for k in range(a, a + loop.traces)]
    taken = 0
    while taken < steps:
        at = steps - 1 - taken if loop.reverse else taken
        values = dict(zip(inputs, [*carries, *(np.asarray(x[at]) for x in sequences), *constants], strict=True))
        try:
            results = evaluate(loop.graph.outputs, values, watch)
        except Exception as error:
            error.add_note(f"in step {taken} of a loop of {steps} steps")
            raise
        carries = results[:a]
        for k, (before, after) in enumerate(zip(arrays[1:1 + a], carries, strict=True)):
            if before.shape != after.shape:
                raise errors.ShapeError(f"carry {k} has shape {before.shape} before a step and {after.shape} after it")
        for k, (trace, value) in enumerate(zip(traces, results[a:a + loop.traces], strict=True)):
            if value.shape != trace.shape[1:]:
                raise errors.ShapeError(f"trace {k} has shape {trace.shape[1:]} in one step and {value.shape} in another")
            trace[at] = value
        taken += 1
        if loop.until and results[-1]:
            break
    made = [np.array(c) for c in carries] + traces
    return [*made, np.array(taken, "int64")] if loop.until else made


@lru_cache(maxsize=4096)
def _meaning(op: Op, types: tuple[TensorType, ...]) -> IndexLambda | Scatter | None:
    return op.compute(*types)


def scalar_value(expr: Expr, arrays: Sequence[np.ndarray]) -> Any:
    """Evaluate an extent or a condition over shapes and 0-d inputs."""
    return evaluate_expr(expr, arrays, {})


def _run_check(check: Check, arrays: Sequence[np.ndarray]) -> None:
    extents = [int(scalar_value(e, arrays)) for e in check.extents]
    env = _grid("i", extents, 0, len(extents))
    holds = np.broadcast_to(evaluate_expr(check.condition, arrays, env), extents)
    if bool(np.all(holds)):
        return
    where = np.argwhere(~holds)[0] if extents else ()
    at = {f"i{a}": np.int64(n) for a, n in enumerate(where)}
    detail = [int(evaluate_expr(d, arrays, at)) for d in check.detail]
    raise check.error(check.message.format(*detail))


def _grid(prefix: str, extents: Sequence[int], first: int, ndim: int) -> dict[str, np.ndarray]:
    """Return index arrays that broadcast against each other, one an axis."""
    env = {}
    for a, n in enumerate(extents):
        shape = [1] * ndim
        shape[first + a] = n
        env[f"{prefix}{a}"] = np.arange(n, dtype="int64").reshape(shape)
    return env


def evaluate_expr(root: Expr, arrays: Sequence[np.ndarray], env: dict[str, Any]) -> Any:
    """Evaluate a scalar expression with index arrays `env`."""
    values: dict[Expr, Any] = {}
    for node in expr_toposort([root]):
        args = [values[a] for a in node.args]
        values[node] = _evaluate_node(node, args, arrays, env)
    return values[root]


def _evaluate_node(node: Expr, args: list[Any], arrays: Sequence[np.ndarray], env: dict[str, Any]) -> Any:
    if node.op == "const":
        return np.asarray(node.arg, node.dtype)[()]
    if node.op == "sym":
        if node.arg in env:
            return env[node.arg]
        k, _, a = node.arg[1:].partition("_")
        return np.int64(arrays[int(k)].shape[int(a)])
    if node.op == "load":
        array = arrays[node.arg]
        if not args:
            return array[()]
        # an index outside is read only in the arm of a select that isn't taken
        safe = [np.clip(i, 0, max(n - 1, 0)) for i, n in zip(args, array.shape, strict=True)]
        if array.size == 0:
            return np.zeros(np.broadcast_shapes(*(np.shape(i) for i in safe)), array.dtype)
        return array[tuple(safe)]
    if node.op == "select":
        return np.where(*args).astype(node.dtype, copy=False)[()]
    if node.op == "cast":
        x = np.asarray(args[0])
        if x.dtype.kind == "f" and np.dtype(node.dtype).kind in "iu":
            return _integral(x, node.dtype)[()]
        whole = x.dtype.kind != "c" or np.dtype(node.dtype).kind in "bc"  # of a condition both parts count
        return (x if whole else x.real).astype(node.dtype)[()]
    out = ATOMS[node.op].numpy(*args)
    return out if getattr(out, "dtype", None) == node.dtype else np.asarray(out).astype(node.dtype)[()]


def _integral(x: np.ndarray, dtype: str) -> np.ndarray:
    """Return the integer parts of floats as compiled programs do, through int64: so what doesn't fit becomes the same."""
    if dtype != "uint64":
        return x.astype("int64").astype(dtype)
    small = x < 2.0**63
    part = np.where(small, x, x - 2.0**63).astype("int64").astype("uint64")
    return np.where(small, part, part ^ np.uint64(2**63))


def _index_lambda(meaning: IndexLambda, shape: tuple[int, ...], dtype: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    reduced = [int(scalar_value(e, arrays)) for e in meaning.reduce]
    n = len(shape) + len(reduced)
    env = {**_grid("i", shape, 0, n), **_grid("r", reduced, len(shape), n)}
    full = np.broadcast_to(evaluate_expr(meaning.body, arrays, env), (*shape, *reduced))
    if not reduced:
        return np.array(full, dtype=dtype)
    combiner = COMBINERS[meaning.combiner]
    work = combiner.accumulate.get(meaning.body.dtype, meaning.body.dtype)
    axes = tuple(range(len(shape), n))
    out = combiner.numpy.reduce(full, axis=axes, dtype=work, initial=combiner.identity(work))
    return np.asarray(out).astype(dtype)


def _scatter(meaning: Scatter, shape: tuple[int, ...], dtype: str, arrays: Sequence[np.ndarray]) -> np.ndarray:
    out = np.empty(shape, dtype) if meaning.base is None else np.array(arrays[meaning.base], dtype=dtype)
    for part in meaning.parts:
        extents = [int(scalar_value(e, arrays)) for e in part.extents]
        env = _grid("i", extents, 0, len(extents))
        index = tuple(np.broadcast_to(evaluate_expr(e, arrays, env), extents) for e in part.index)
        value = np.broadcast_to(evaluate_expr(part.body, arrays, env), extents)
        if part.accumulate is None:
            out[index] = value
        else:
            COMBINERS[part.accumulate].numpy.at(out, index, value)
    return out
