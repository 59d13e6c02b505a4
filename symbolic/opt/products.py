"""Products of matrices: chains in the cheapest order."""
from __future__ import annotations

from typing import Any

import numpy as np

from symbolic.graph import Apply, Variable, constant
from symbolic.ops.create import Alloc
from symbolic.ops.linalg import Dot
from symbolic.opt.driver import read_once
from symbolic.opt.pattern import uniform
from symbolic.opt.rules import node_rule


@node_rule(Dot, tags=("opt_in", "dot_chain"))
def dot_chain(node: Apply) -> Variable | None:
    """dot(dot(a, b), c) -> dot(a, dot(b, c)) or the reverse, by the number of multiplications, where shapes are known"""
    if type(node.op) is not Dot:
        return None
    factors: list[Variable] = list(node.inputs)
    at = 0
    while at < len(factors) and len(factors) < 16:
        inner = factors[at].owner
        if inner is not None and type(inner.op) is Dot and inner.outputs[0].ndim == 2 and read_once(factors[at]) and all(
                u.ndim == 2 for u in inner.inputs):
            factors[at:at + 1] = inner.inputs
        else:
            at += 1
    if len(factors) < 3 or any(v.ndim != 2 or None in v.type.shape for v in factors) or len({v.dtype for v in factors}) > 1:
        return None
    best, order = _best_order([v.type.shape for v in factors])
    now = _cost(node.outputs[0], {id(v) for v in factors})
    return _multiplied(factors, order, 0, len(factors) - 1) if best < now else None


def _cost(v: Variable, leaves: set[int]) -> int:
    if id(v) in leaves or v.owner is None:
        return 0
    a, b = v.owner.inputs
    m, k, n = a.type.shape[0], a.type.shape[1], b.type.shape[1]
    return (m or 0) * (k or 0) * (n or 0) + _cost(a, leaves) + _cost(b, leaves)


def _best_order(shapes: list[Any]) -> tuple[int, dict[tuple[int, int], int]]:
    """Return the least number of multiplications of a chain of products, and where each part of it is split."""
    n = len(shapes)
    cost: dict[tuple[int, int], int] = {(k, k): 0 for k in range(n)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for first in range(n - length):
            last = first + length
            options = [(cost[first, k] + cost[k + 1, last] + shapes[first][0] * shapes[k][1] * shapes[last][1], k)
                       for k in range(first, last)]
            cost[first, last], split[first, last] = min(options)
    return cost[0, n - 1], split


def _multiplied(factors: list[Variable], split: dict[tuple[int, int], int], first: int, last: int) -> Variable:
    if first == last:
        return factors[first]
    k = split[first, last]
    return Dot()(_multiplied(factors, split, first, k), _multiplied(factors, split, k + 1, last))


@node_rule(Dot, tags=("canonicalize", "unsafe"))
def dot_of_zeros(node: Apply) -> Variable | None:
    """dot(0, x) -> 0, also where x holds nan or infinities"""
    out = node.outputs[0]
    if None in out.type.shape or not any(uniform(v) == 0 for v in node.inputs):
        return None
    zero = constant(np.zeros((), out.dtype))
    return Alloc(out.type.shape)(zero, *(constant(n, dtype="int64") for n in out.type.shape))
