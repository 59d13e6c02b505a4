"""Forward-mode differentiation. Knows no op: a rule of its own, or two pullbacks, for a pullback is linear in its cotangent.

With ``g(u)`` the pullback of a node, ``Jᵀu``, the derivative of ``<g(u), t>`` with respect to ``u`` is ``J t``, whatever
``u`` is (J. Townsend, "A new trick for calculating Jacobian vector products", 2017).
"""
from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Apply, Variable, clone_replace, describe, toposort
from symbolic.nullgrad import DisconnectedType, NullType, is_null
from symbolic.reverse import (
    connected,
    grad,
    like,
    matched,
    pullback_of,
    pullbacks,
    stable,
    variables,
    zeros_of,
)
from symbolic.source import caller
from symbolic.types import is_discrete

_DISCONNECTED = ("raise", "warn", "ignore")


def pushforwards(tangents: dict[Variable, Variable], outputs: Sequence[Variable]) -> dict[Variable, Variable]:
    """Return tangents of `outputs`, given those of some variables they depend on; absent where nothing flows."""
    found = dict(tangents)
    probes: dict[Variable, Variable] = {}
    given_outputs, outputs = outputs, stable(outputs, tangents)
    for node in toposort(outputs, stop=tangents):
        reached = connected(node, [v in found for v in node.inputs])
        if not reached:
            continue
        given = [found.get(v) for v in node.inputs]
        null = next((t for t in given if is_null(t)), None)
        results: Sequence[Variable | None] = [null] * len(node.outputs) if null is not None else _pushforward(node, given, probes)
        for y, t in zip(node.outputs, results, strict=True):
            if t is not None and y in reached:
                found.setdefault(y, t)
    wanted = [(v, found[w]) for v, w in zip(given_outputs, outputs, strict=True) if w in found]
    return dict(zip([v for v, _ in wanted], clone_replace([t for _, t in wanted], probes), strict=True))


def _pushforward(node: Apply, tangents: Sequence[Variable | None], probes: dict[Variable, Variable]
                 ) -> Sequence[Variable | None]:
    own = node.op.pushforward(node.inputs, node.outputs, tangents)
    if own is None and hasattr(node.op, "R_op"):
        own = [None if t is None or isinstance(t.type, DisconnectedType) else t
               for t in node.op.R_op(list(node.inputs), list(tangents))]
    if own is None:
        return _two_pullbacks(node, tangents, probes)
    if len(own) != len(node.outputs):
        raise errors.GraphError(f"{node.op}: its forward derivative has {len(own)} terms for {len(node.outputs)} outputs")
    for y, t in zip(node.outputs, own, strict=True):
        if t is not None and not is_null(t) and (t.ndim != y.ndim or t.dtype != y.dtype):
            raise errors.GraphError(errors.message(
                node.op.name, f"its forward derivative gave a tangent of type {t.type}", (describe(y),), node.loc,
                "a tangent has the type of its output"))
    return own


def _two_pullbacks(node: Apply, tangents: Sequence[Variable | None], probes: dict[Variable, Variable]
                   ) -> list[Variable | None]:
    cotangents = [None if is_discrete(y.dtype) else Variable(y.type, name=f"u{k}") for k, y in enumerate(node.outputs)]
    seeds: dict[Variable, Variable] = {}
    for t, g in zip(tangents, pullback_of(node, cotangents), strict=True):
        if t is None or g is None:
            continue
        if is_null(g):
            return [g] * len(node.outputs)
        seeds[g] = seeds[g] + t if g in seeds else t  # type: ignore[operator]
    targets = [u for u in cotangents if u is not None]
    found = pullbacks(seeds, targets, {*node.inputs, *node.outputs}) if seeds else {}
    for u, y in zip(cotangents, node.outputs, strict=True):
        if u is not None:
            probes[u] = zeros_of(y)  # its value doesn't count; its shape may
    return [None if u is None else found.get(u) for u in cotangents]


def Rop(f: Any, wrt: Any, eval_points: Any, disconnected_outputs: str = "raise", return_disconnected: str = "zero") -> Any:
    """Return the product of the Jacobian of `f` in `wrt` with a vector: ``df/dwrt @ eval_points``.

    Parameters
    ----------
    f : Variable, list or tuple of Variable
        The result has the same structure.
    wrt : Variable, list or tuple of Variable
    eval_points : Variable, list or tuple of Variable
        One for each of `wrt`, of its shape; None for zero.
    disconnected_outputs : {'raise', 'warn', 'ignore'}
        What to do about an output that depends on none of `wrt`.
    return_disconnected : {'zero', 'None', 'disconnected'}
        What is returned for it.

    Returns
    -------
    Variable, list or tuple
        Of the shape and dtype of each of `f`.

    Raises
    ------
    ValueError
        If there isn't one evaluation point for each of `wrt`.
    RankError
        If one has another rank than its variable.
    DisconnectedInputError
        If an output doesn't depend on `wrt`.
    NullTypeGradError
        If a derivative on the way isn't defined.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, v = T.dvector("x"), T.dvector("v")
    >>> symbolic.function([x, v], Rop(x ** 2, x, v))([1, 2], [10, 1])
    array([20.,  4.])
    """
    if disconnected_outputs not in _DISCONNECTED:
        raise ValueError(f"disconnected_outputs must be one of {_DISCONNECTED}, got {disconnected_outputs!r}")
    how = str(return_disconnected).lower()
    if how not in ("zero", "none", "disconnected"):
        raise ValueError(f"return_disconnected must be 'zero', 'None' or 'disconnected', got {return_disconnected!r}")
    outputs, targets = variables(f, "f"), variables(wrt, "wrt")
    points = matched(targets, eval_points, "Rop")
    tangents: dict[Variable, Variable] = {}
    for v, t in zip(targets, points, strict=True):
        if t is not None and not is_discrete(v.dtype):
            tangents[v] = tangents[v] + t if v in tangents else t  # type: ignore[operator]
    found = pushforwards(tangents, outputs)
    return like(f, [_checked(y, found.get(y), disconnected_outputs, how) for y in outputs])


def _checked(y: Variable, t: Variable | None, disconnected: str, how: str) -> Any:
    if t is not None:
        if isinstance(t.type, NullType):
            raise errors.NullTypeGradError(errors.message(
                "Rop", f"the derivative of {describe(y)} isn't defined: {t.type.why_null}", (), y.loc or caller(),
                "take what isn't differentiable out with disconnected_grad(...)"))
        return t
    text = errors.message("Rop", f"{describe(y)} doesn't depend on wrt, or only through discrete values", (),
                          y.loc or caller(), "take it out of f, or pass disconnected_outputs='ignore' for zeros")
    if disconnected == "raise":
        raise errors.DisconnectedInputError(text)
    if disconnected == "warn":
        warnings.warn(text, stacklevel=4)
    return zeros_of(y) if how == "zero" else None if how == "none" else DisconnectedType()()


def jacobian_vector_product(f: Any, wrt: Any, v: Any) -> Any:
    """Return ``df/dwrt @ v``; zeros for outputs that don't depend on `wrt`. See :func:`Rop`.

    >>> import symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> jacobian_vector_product(T.sin(x), x, T.ones_like(x)).type
    TensorType(float64, (?,))
    """
    return Rop(f, wrt, v, disconnected_outputs="ignore")


def hessian_vector_product(cost: Variable, wrt: Any, v: Any) -> Any:
    """Return the Hessian of `cost` in `wrt` times `v`, forward over reverse: about twice the work of the gradient.

    Parameters
    ----------
    cost : Variable, shape ()
    wrt : Variable, list or tuple of Variable
        The result has the same structure.
    v : Variable, list or tuple of Variable
        One for each of `wrt`, of its shape.

    Returns
    -------
    Variable, list or tuple
        Of the shape and dtype of each `wrt`. B. Pearlmutter, "Fast exact multiplication by the Hessian", 1994.

    Raises
    ------
    RankError, DTypeError
        If `cost` isn't a real scalar.
    DisconnectedInputError
        If a variable doesn't reach the cost.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x, v = T.dvector("x"), T.dvector("v")
    >>> symbolic.function([x, v], hessian_vector_product(T.sum(x ** 3), x, v))([1, 2], [1, 1])
    array([ 6., 12.])
    """
    return Rop(grad(cost, wrt, add_names=False), wrt, v, disconnected_outputs="ignore")
