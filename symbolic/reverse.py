"""Reverse-mode differentiation. Knows no op: it calls the pullbacks that ops carry and adds."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.branch import Path, common, literal, paths
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable, constant, describe, toposort
from symbolic.nullgrad import DisconnectedType, is_null
from symbolic.source import caller, gradient_of
from symbolic.types import TensorType, is_complex, is_discrete

_DISCONNECTED = ("raise", "warn", "ignore")
_RETURN = ("zero", "none", "disconnected")


def grad(cost: Variable | None, wrt: Any, consider_constant: Iterable[Variable] | None = None,
         disconnected_inputs: str = "raise", add_names: bool = True,
         known_grads: dict[Variable, Any] | None = None, return_disconnected: str = "zero",
         null_gradients: str = "raise") -> Any:
    """Return the gradient of a scalar with respect to variables.

    Parameters
    ----------
    cost : Variable, shape ()
        What is differentiated; None with `known_grads`.
    wrt : Variable, list or tuple of Variable
        The result has the same structure.
    consider_constant : list of Variable, optional
        Variables through which no gradient flows.
    disconnected_inputs : {'raise', 'warn', 'ignore'}
        What to do when `cost` doesn't depend on a variable of `wrt`.
    add_names : bool
        Name the results ``(dcost/dx)`` where both have names.
    known_grads : dict, optional
        Gradients of interior variables that are already known.
    return_disconnected : {'zero', 'None', 'disconnected'}
        What is returned for a disconnected variable.
    null_gradients : {'raise', 'return'}
        What to do where a derivative isn't defined: raise, or return a variable of :class:`NullType`.

    Returns
    -------
    Variable, list or tuple
        Of the shape and dtype of each `wrt` (floatX zeros for discrete ones).

    Raises
    ------
    RankError, DTypeError
        If `cost` isn't a real scalar.
    DisconnectedInputError
        If a variable doesn't reach the cost.
    NullTypeGradError
        If a derivative on the way isn't defined.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> str(grad(x ** 3, x))
    '(d<pow>/dx)'
    """
    if disconnected_inputs not in _DISCONNECTED:
        raise ValueError(f"disconnected_inputs must be one of {_DISCONNECTED}, got {disconnected_inputs!r}")
    if str(return_disconnected).lower() not in _RETURN:
        raise ValueError(f"return_disconnected must be 'zero', 'None' or 'disconnected', got {return_disconnected!r}")
    if null_gradients not in ("raise", "return"):
        raise ValueError(f"null_gradients must be 'raise' or 'return', got {null_gradients!r}")
    whole = variables(wrt, "wrt")
    dense = [next(filter(None, (part(v) for part in DENSE_PARTS)), None) for v in whole]
    targets = [v if d is None else d[0] for v, d in zip(whole, dense, strict=True)]
    seeds = _seeds(cost, known_grads)
    found = pullbacks(seeds, targets, set(variables(consider_constant, "consider_constant")))
    for v in targets:
        if is_null(found.get(v)) and null_gradients == "raise":
            raise errors.NullTypeGradError(errors.message(
                "grad", f"the derivative with respect to {describe(v)} isn't defined: {found[v].type.why_null}",  # type: ignore[attr-defined]
                () if cost is None else (describe(cost),), v.loc or caller(),
                "take what isn't differentiable out with disconnected_grad(...), or pass null_gradients='return'"))
    results = [_result(v, found.get(v), cost, disconnected_inputs, str(return_disconnected).lower()) for v in targets]
    if add_names and cost is not None:
        for v, g in zip(targets, results, strict=True):
            if isinstance(g, Variable) and v.name and g.owner is not None and g.name is None:
                g.name = f"(d{cost.name or '<' + str(cost) + '>'}/d{v.name})"
    made = [g if d is None or not isinstance(g, Variable) else d[1](g) for g, d in zip(results, dense, strict=True)]
    return like(wrt, made)


#: Filled by `ops.sparse_type`: from a variable to the dense one that its gradient is about, and what makes the gradient of it.
DENSE_PARTS: list[Callable[[Variable], tuple[Variable, Callable[[Variable], Variable]] | None]] = []


def variables(given: Any, what: str) -> list[Variable]:
    """Return a variable, or some, as a list.

    Raises
    ------
    TypeError
        If there is something else among them.
    """
    if given is None:
        return []
    if isinstance(given, Variable):
        return [given]
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} must be a variable, or a list or tuple of them, got {type(given).__name__}")
    found = list(given)
    for v in found:
        if not isinstance(v, Variable):
            raise TypeError(f"{what} must hold variables, got {v!r} ({type(v).__name__})")
    return found


def like(given: Any, results: Sequence[Any]) -> Any:
    """Return `results` in the structure of `given`: one, a tuple, else a list."""
    if isinstance(given, Variable):
        return results[0]
    return tuple(results) if isinstance(given, tuple) else list(results)


def _seeds(cost: Variable | None, known_grads: dict[Variable, Any] | None) -> dict[Variable, Variable]:
    seeds = {v: as_tensor_variable(g) for v, g in (known_grads or {}).items()}
    if cost is None:
        if not seeds:
            raise ValueError("grad needs a cost, or known_grads")
        return seeds
    if not isinstance(cost, Variable):
        raise TypeError(f"cost must be a symbolic variable, got {type(cost).__name__}")
    if cost.ndim != 0:
        raise errors.RankError(errors.message("grad", "cost must be a scalar", (describe(cost),), caller(),
                                              "reduce it first, with .mean() or .sum()"))
    if is_discrete(cost.dtype) or is_complex(cost.dtype):
        raise errors.DTypeError(errors.message("grad", "cost must be real and floating", (describe(cost),), caller(),
                                               "a count or a comparison has no gradient; use a smooth loss"))
    seeds.setdefault(cost, constant(np.ones((), cost.dtype)))
    return seeds


def pullbacks(seeds: dict[Variable, Variable], targets: Sequence[Variable],
              stop: set[Variable] | None = None) -> dict[Variable, Variable]:
    """Return cotangents of `targets`, given cotangents `seeds`; absent where nothing flows.

    Only the nodes between targets and seeds are visited.
    """
    stop = stop or set()
    seeds = stable_seeds(seeds, {*targets, *stop})
    nodes = toposort(seeds, stop=stop)
    reach = set(targets)
    active: list[Apply] = []
    for node in nodes:
        reached = connected(node, [v in reach and v not in stop for v in node.inputs])
        if reached:
            reach.update(reached)
            active.append(node)
    terms = _Terms(seeds, paths(active, [*seeds]))
    hidden: set[Variable] = set()  # what a `switch` stands before
    for node in reversed(active):
        gouts = [terms.get(v) for v in node.outputs]
        if all(g is None for g in gouts):
            continue
        if node.op.arms is not None:  # each arm gets what it gave, under its condition
            found: list[Variable | None] = [None, *gouts, *gouts]
        else:
            behind = any(v in hidden for v in node.outputs)
            if behind or node.op.hides:
                hidden.update(node.inputs)
            found = pullback_of(node, gouts, behind)
        for k, (x, g) in enumerate(zip(node.inputs, found, strict=True)):
            if g is not None and x in reach and x not in stop:
                terms.add(x, g, terms.path(node) + literal(node, k))
    results = {v: terms.always(v) for v in targets}
    return {v: g for v, g in results.items() if g is not None}


#: Filled by `opt.stable`: what is differentiated in the place of some variables, seen no farther than some others.
STABILISE: list[Any] = []


def stable(outputs: Sequence[Variable], leaves: Collection[Variable]) -> list[Variable]:
    """Return `outputs` as they are differentiated: in a form whose derivative neither overflows nor cancels."""
    return STABILISE[0](outputs, leaves) if STABILISE else list(outputs)


def stable_seeds(seeds: dict[Variable, Variable], leaves: Collection[Variable]) -> dict[Variable, Variable]:
    """Return the cotangents of what stands for the variables that have them."""
    found: dict[Variable, Variable] = {}
    for v, g in zip(stable(list(seeds), leaves), seeds.values(), strict=True):
        found[v] = found[v] + g if v in found else g  # type: ignore[operator]
    return found


class _Terms:
    """Cotangents as they are added up; each holds only under the conditions under which its variable is needed.

    So the arm of a branch that isn't taken contributes zeros whatever its derivative is, and needn't be computed.
    """

    def __init__(self, seeds: dict[Variable, Variable], needed: dict[Apply, Path]) -> None:
        self.sums: dict[Variable, Variable] = dict(seeds)
        self.needed = needed
        self.waiting: dict[Variable, dict[Variable, list[Variable | None]]] = {}  # terms from the arms of a condition

    def path(self, node: Apply | None) -> Path:
        """Return when a node is needed."""
        return () if node is None else self.needed.get(node, ())

    def add(self, x: Variable, g: Variable, path: Path) -> None:
        """Add a term that holds under `path`."""
        own = self.path(x.owner)
        more = path[len(common(own, path)):]
        if not more or is_null(g):
            self._sum(x, g)
            return
        for condition, side in reversed(more[1:]):
            g = _chosen(condition, side, g, x)
        condition, side = more[0]
        pair = self.waiting.setdefault(x, {}).setdefault(condition, [None, None])
        before = pair[side]
        pair[side] = g if before is None else accumulated(before, g)

    def _sum(self, x: Variable, g: Variable) -> None:
        before = self.sums.get(x)
        if before is None or is_null(g):
            self.sums[x] = g
        elif not is_null(before):
            self.sums[x] = accumulated(before, g)

    def get(self, v: Variable) -> Variable | None:
        """Return the cotangent of `v`, which holds where `v` is needed."""
        for condition, (no, yes) in self.waiting.pop(v, {}).items():
            zero = zeros_of(v)
            self._sum(v, CHOOSE[0](condition, zero if yes is None else yes, zero if no is None else no))
        return self.sums.get(v)

    def always(self, v: Variable) -> Variable | None:
        """Return the cotangent of `v`: zeros where `v` isn't needed."""
        g = self.get(v)
        if g is not None and not is_null(g):
            for condition, side in reversed(self.path(v.owner)):
                g = _chosen(condition, side, g, v)
        return g


def accumulated(total: Variable, g: Variable) -> Variable:
    """Return the sum of two cotangents of one variable.

    What was added to zeros, a gradient of rows of a table or of a slice, is added to `total` instead: its zeros, and the
    passes over all of them, needn't be.
    """
    chain: list[Apply] = []
    v = g
    while v.owner is not None and v.owner.op.adds_to == 0:
        chain.append(v.owner)
        v = v.owner.inputs[0]
    if not chain:
        return total + g  # type: ignore[operator]
    out = total if _is_zeros(v) else total + v  # type: ignore[operator]
    for node in reversed(chain):
        out = node.op(out, *node.inputs[1:])
    return out


def _is_zeros(v: Variable) -> bool:
    """Whether `v` is what :func:`zeros_of` makes."""
    if v.owner is None or v.owner.op.name != "second" or not v.owner.op.stable:
        return False
    fill = v.owner.inputs[1]
    return isinstance(fill, Constant) and not fill.data.any()


def _chosen(condition: Variable, side: bool, g: Variable, like: Variable) -> Variable:
    zero = zeros_of(like)
    return CHOOSE[0](condition, *((g, zero) if side else (zero, g)))


def connected(node: Apply, reached: Sequence[bool]) -> list[Variable]:
    """Return the outputs of `node` that depend, with a derivative, on the inputs that are `reached`."""
    if not any(reached):
        return []
    if type(node.op).connection_pattern is Op.connection_pattern:
        return list(node.outputs)
    pattern = node.op.connection_pattern(node)
    if len(pattern) != len(node.inputs) or any(len(row) != len(node.outputs) for row in pattern):
        raise errors.GraphError(f"{node.op}: connection_pattern must have a row for each of {len(node.inputs)} inputs, with "
                                f"an entry for each of {len(node.outputs)} outputs")
    return [o for k, o in enumerate(node.outputs) if any(r and row[k] for r, row in zip(reached, pattern, strict=True))]


def pullback_of(node: Apply, gouts: Sequence[Variable | None], hidden: bool = False) -> list[Variable | None]:
    """Return the cotangents of a node's inputs, seen to be of the right types; `hidden`: zeros are to stay zero."""
    null = next((g for g in gouts if is_null(g)), None)
    with gradient_of(node.loc):
        found: list[Variable | None] = [null] * len(node.inputs) if null is not None else _rule(node, gouts, hidden)
    if len(found) != len(node.inputs):
        raise errors.GraphError(f"{node.op}: pullback returned {len(found)} terms for {len(node.inputs)} inputs")
    for x, g in zip(node.inputs, found, strict=True):
        if g is not None and not is_null(g) and (g.ndim != x.ndim or g.dtype != x.dtype):
            raise errors.GraphError(errors.message(
                node.op.name, f"pullback gave a cotangent of type {g.type}", (describe(x),), node.loc,
                "a cotangent has the type of its input"))
    return found


def _rule(node: Apply, gouts: Sequence[Variable | None], hidden: bool) -> list[Variable | None]:
    """Call the derivative that an op carries: our `pullback`, or Theano's `L_op` or `grad`."""
    op = node.op
    theano = getattr(op, "L_op", None) or getattr(op, "grad", None)
    if theano is None or type(op).pullback is not Op.pullback:
        return (op.pullback_unless_zero if hidden else op.pullback)(node.inputs, node.outputs, gouts)
    given = [DisconnectedType()() if g is None else g for g in gouts]
    inputs = list(node.inputs)
    found = theano(inputs, list(node.outputs), given) if hasattr(op, "L_op") else theano(inputs, given)
    if len(found) != len(inputs):
        return list(found)
    return [None if g is None or isinstance(g.type, DisconnectedType) or is_discrete(x.dtype) and not is_null(g)
            else g if is_null(g) or g.dtype == x.dtype or is_complex(g.dtype) else g.astype(x.dtype)
            for x, g in zip(inputs, found, strict=True)]


def Lop(f: Any, wrt: Any, eval_points: Any, consider_constant: Iterable[Variable] | None = None,
        disconnected_inputs: str = "raise") -> Any:
    """Return the product of a row vector with the Jacobian of `f` in `wrt`: ``eval_points @ df/dwrt``.

    Parameters
    ----------
    f : Variable, list or tuple of Variable
    wrt : Variable, list or tuple of Variable
        The result has the same structure.
    eval_points : Variable, list or tuple of Variable
        One for each of `f`, of its shape.
    consider_constant, disconnected_inputs
        As for :func:`grad`.

    Returns
    -------
    Variable, list or tuple
        Of the shape and dtype of each `wrt`.

    Raises
    ------
    ValueError
        If there isn't one evaluation point for each of `f`.
    RankError
        If one has another rank than what it multiplies.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, v = T.dvector("x"), T.dvector("v")
    >>> Lop(T.exp(x), x, v).type
    TensorType(float64, (?,))
    """
    outputs = variables(f, "f")
    seeds: dict[Variable, Variable] = {}
    for y, u in zip(outputs, matched(outputs, eval_points, "Lop"), strict=True):
        if u is not None:
            seeds[y] = seeds[y] + u if y in seeds else u  # type: ignore[operator]
    return grad(None, wrt, consider_constant=consider_constant, disconnected_inputs=disconnected_inputs, known_grads=seeds,
                add_names=False)


def matched(given: Sequence[Variable], points: Any, what: str) -> list[Variable | None]:
    """Return evaluation points as variables of the dtypes of `given`, once they are seen to fit."""
    found = [points] if isinstance(points, (Variable, np.ndarray, int, float, complex)) else list(points)
    if len(found) != len(given):
        raise ValueError(f"{what}: {len(given)} variables need as many eval_points, got {len(found)}")
    out: list[Variable | None] = []
    for v, p in zip(given, found, strict=True):
        point = None if p is None else as_tensor_variable(p)
        if point is not None and point.ndim != v.ndim:
            raise errors.RankError(errors.message(
                what, f"an evaluation point must have the rank of its variable, {v.ndim}, got {point.ndim}",
                (describe(v), describe(point)), caller()))
        out.append(point if point is None or point.dtype == v.dtype or is_discrete(v.dtype) else point.astype(v.dtype))
    for place in SAME_SHAPE:  # a point that broadcast would count more than once
        out = [p if p is None else place(v, p, what) for v, p in zip(given, out, strict=True)]
    return out


#: Filled by `ops.same_shape`: from a variable, a point and the name of who asks, to the point once it has the variable's shape.
SAME_SHAPE: list[Callable[[Variable, Variable, str], Variable]] = []


def subgraph_grad(wrt: Any, end: Any, start: dict[Variable, Any] | None = None, cost: Variable | None = None,
                  details: bool = False) -> Any:
    """Return gradients in two stages: of `wrt`, and of the variables `end` at which the next stage goes on.

    Parameters
    ----------
    wrt : list of Variable
        Parameters of this stage.
    end : list of Variable
        Where this stage ends; no gradient flows beyond.
    start : dict, optional
        Gradients of the variables at which this stage starts: what the stage before returned for its `end`.
    cost : Variable, shape (), optional
        A cost of this stage alone, such as a penalty.
    details : bool
        Return also the parts that `start` and `cost` contribute.

    Returns
    -------
    tuple of list
        Gradients of `wrt`, and of `end`; with `details` four: these, then the parts of start and of cost.

    Raises
    ------
    ValueError
        If there is neither `start` nor `cost`.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x, w = T.dscalar("x"), T.dscalar("w")
    >>> hidden = x * w
    >>> later, ends = subgraph_grad([], [hidden], cost=hidden ** 2)
    >>> [str(g.type) for g in subgraph_grad([w], [x], start={hidden: ends[0]})[0]]
    ['TensorType(float64, ())']
    """
    if start is None and cost is None:
        raise ValueError("subgraph_grad needs start, cost, or both")
    params, ends = variables(wrt, "wrt"), variables(end, "end")

    def part(cost: Variable | None, known: dict[Variable, Any] | None) -> list[Variable | None]:
        if cost is None and not known:
            return [None] * (len(params) + len(ends))
        seeds = _seeds(cost, known)
        inner = pullbacks(seeds, params, set(ends))
        return [inner.get(v) for v in params] + [pullbacks(seeds, [v]).get(v) for v in ends]

    parts = [part(None, start), part(cost, None)]
    total = [a if b is None else b if a is None else a + b for a, b in zip(*parts, strict=True)]  # type: ignore[operator]

    def filled(found: Sequence[Variable | None]) -> list[Any]:
        return [zeros_of(v) if g is None else g for v, g in zip([*params, *ends], found, strict=True)]

    n = len(params)
    results = filled(total)
    if details:
        return results[:n], results[n:], filled(parts[0]), filled(parts[1])
    return results[:n], results[n:]


def _result(v: Variable, g: Variable | None, cost: Variable | None, disconnected: str, how: str) -> Any:
    if g is not None:
        return g
    if not (is_discrete(v.dtype) and cost is not None and v in set(_all(cost))):
        _complain(v, cost, disconnected)
    if how == "none":
        return None
    if how == "disconnected":
        return DisconnectedType()()
    return zeros_of(v)


def zeros_of(v: Variable) -> Variable:
    """Return zeros of the shape of `v`, in its dtype; floatX where it is discrete."""
    dtype = TensorType("floatX").dtype if is_discrete(v.dtype) else v.dtype
    zero = constant(np.zeros((), dtype))
    return zero if v.ndim == 0 else FILL[0](v, zero)


def _all(cost: Variable) -> Iterable[Variable]:
    for node in toposort([cost]):
        yield from node.inputs


#: Filled by `ops.functions`: the second argument in the shape of the first.
FILL: list[Any] = []
#: Filled by `ops.ifelse`: the second argument if the first is true, else the third.
CHOOSE: list[Any] = []


def _complain(v: Variable, cost: Variable | None, how: str) -> None:
    if how == "ignore":
        return
    text = errors.message("grad", f"the cost doesn't depend on {describe(v)}, or only through discrete values",
                          () if cost is None else (describe(cost),), v.loc or caller(),
                          "remove it from wrt, or pass disconnected_inputs='ignore' for zeros")
    if how == "raise":
        raise errors.DisconnectedInputError(text)
    warnings.warn(text, stacklevel=4)
