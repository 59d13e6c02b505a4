"""Reverse-mode differentiation. Knows no op: it calls the pullbacks that ops carry and adds."""
from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Variable, as_tensor_variable, constant, describe, toposort
from symbolic.source import caller
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
        Kept for Theano's signature.

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
    if not isinstance(wrt, (Variable, list, tuple)):
        raise TypeError(f"wrt must be a variable, or a list or tuple of them, got {type(wrt).__name__}")
    targets = [wrt] if isinstance(wrt, Variable) else list(wrt)
    for v in targets:
        if not isinstance(v, Variable):
            raise TypeError(f"wrt must hold variables, got {v!r} ({type(v).__name__})")
    seeds = _seeds(cost, known_grads)
    found = pullbacks(seeds, targets, set(consider_constant or ()))
    results = [_result(v, found.get(v), cost, disconnected_inputs, str(return_disconnected).lower()) for v in targets]
    if add_names and cost is not None:
        for v, g in zip(targets, results, strict=True):
            if g is not None and v.name and g.owner is not None and g.name is None:
                g.name = f"(d{cost.name or '<' + str(cost) + '>'}/d{v.name})"
    if isinstance(wrt, Variable):
        return results[0]
    return tuple(results) if isinstance(wrt, tuple) else results


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
    nodes = toposort(seeds, stop=stop)
    reach = set(targets)
    active: list[Apply] = []
    for node in nodes:
        if any(v in reach and v not in stop for v in node.inputs):
            reach.update(node.outputs)
            active.append(node)
    terms: dict[Variable, Variable] = dict(seeds)
    for node in reversed(active):
        gouts = [terms.get(v) for v in node.outputs]
        if all(g is None for g in gouts):
            continue
        for x, g in zip(node.inputs, _pullback(node, gouts), strict=True):
            if g is None or x not in reach or x in stop:
                continue
            before = terms.get(x)
            terms[x] = g if before is None else before + g  # type: ignore[operator]
    return {v: terms[v] for v in targets if v in terms}


def _pullback(node: Apply, gouts: Sequence[Variable | None]) -> list[Variable | None]:
    found = node.op.pullback(node.inputs, node.outputs, gouts)
    if len(found) != len(node.inputs):
        raise errors.GraphError(f"{node.op}: pullback returned {len(found)} terms for {len(node.inputs)} inputs")
    for x, g in zip(node.inputs, found, strict=True):
        if g is not None and (g.ndim != x.ndim or g.dtype != x.dtype):
            raise errors.GraphError(errors.message(
                node.op.name, f"pullback gave a cotangent of type {g.type}", (describe(x),), node.loc,
                "a cotangent has the type of its input"))
    return found


def _result(v: Variable, g: Variable | None, cost: Variable | None, disconnected: str, how: str) -> Any:
    if g is not None:
        return g
    if not (is_discrete(v.dtype) and cost is not None and v in set(_all(cost))):
        _complain(v, cost, disconnected)
    if how == "none":
        return None
    dtype = TensorType("floatX").dtype if is_discrete(v.dtype) else v.dtype
    zero = constant(np.zeros((), dtype))
    return zero if v.ndim == 0 else FILL[0](v, zero)


def _all(cost: Variable) -> Iterable[Variable]:
    for node in toposort([cost]):
        yield from node.inputs


#: Filled by `ops.functions`: the second argument in the shape of the first.
FILL: list[Any] = []


def _complain(v: Variable, cost: Variable | None, how: str) -> None:
    if how == "ignore":
        return
    text = errors.message("grad", f"the cost doesn't depend on {describe(v)}, or only through discrete values",
                          () if cost is None else (describe(cost),), v.loc or caller(),
                          "remove it from wrt, or pass disconnected_inputs='ignore' for zeros")
    if how == "raise":
        raise errors.DisconnectedInputError(text)
    warnings.warn(text, stacklevel=4)
