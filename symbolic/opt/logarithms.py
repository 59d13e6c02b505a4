"""Logarithms of what may underflow or overflow, taken apart: ``log(softmax(x))``, ``log(sum(exp(x)))`` and their like.

`LOGS` says for functions what their logarithm is, over their operands; the entries call each other through sums, products,
quotients, views, choices. One rule for each of them is registered here, with the root ``log``.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic.graph import Apply, Constant, Variable, constant
from symbolic.ops import functions as f
from symbolic.ops.create import ARange
from symbolic.ops.elementwise import Cast, cast_to
from symbolic.ops.extents import Shape_i
from symbolic.ops.grad_control import DisconnectedGrad, disconnected_grad
from symbolic.ops.nnet import LogSoftmax, Softmax
from symbolic.ops.reduce import Reduce
from symbolic.ops.reduce import prod as prod_of
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.shape import DimShuffle, dimshuffle
from symbolic.ops.subtensor import BoundedIndex
from symbolic.opt.pattern import is_view, uniform
from symbolic.opt.rules import key_of, node_rule
from symbolic.scalar import Check
from symbolic.types import TensorType, is_complex, is_float

#: From a root to the logarithm of a node with that root; None where the plain logarithm is as good.
LOGS: dict[Any, Callable[[Apply, int], Variable | None]] = {}
#: A product of a sum of a quotient, and so on, is looked into so deep.
DEPTH = 6


def stable_log(v: Variable, depth: int = 0) -> Variable | None:
    """Return ``log(v)`` in a form that neither underflows nor cancels; None where ``log`` itself is as good."""
    node = v.owner
    if node is None or depth > DEPTH or not is_float(v.dtype):
        return None
    if is_view(node.op) or (type(node.op) is Cast and is_float(node.inputs[0].dtype)):
        inner = stable_log(node.inputs[0], depth + 1)
        return None if inner is None else node.op(inner, *node.inputs[1:])
    found = LOGS.get(key_of(node.op))
    return None if found is None else found(node, depth)


def log_of(*roots: Any, doc: str = "") -> Callable:
    """Return a decorator that adds an entry to `LOGS`, and a rule of its own for it."""
    def made(function: Callable[[Apply, int], Variable | None]) -> Callable:
        for root in roots:
            LOGS[root] = function

        def apply(node: Apply) -> Variable | None:
            v = node.inputs[0]
            views: list[Apply] = []
            while v.owner is not None and len(views) < DEPTH and (
                    is_view(v.owner.op) or (type(v.owner.op) is Cast and is_float(v.owner.inputs[0].dtype))):
                views.append(v.owner)
                v = v.owner.inputs[0]
            if v.owner is None or key_of(v.owner.op) not in roots or not is_float(v.dtype):
                return None
            found = function(v.owner, 0)
            if found is None:
                return None
            for view in reversed(views):
                found = view.op(found, *view.inputs[1:])
            scale = {"log2": 1 / math.log(2), "log10": 1 / math.log(10)}.get(node.op.fn)  # type: ignore[attr-defined]
            return found if scale is None else found * scale

        apply.__doc__ = doc or function.__doc__
        node_rule("log", "log2", "log10", name=function.__name__, tags=("stabilize",))(apply)
        return function

    return made


def _part(v: Variable, depth: int) -> Variable | None:
    """Return the logarithm of a factor or term: of a positive number, of a count, or a stable one."""
    value = uniform(v)
    if value is not None:
        return constant(np.asarray(math.log(value), v.dtype)) if is_float(v.dtype) and 0 < value < math.inf else None
    return f.log(v) if _is_count(v) else stable_log(v, depth + 1)


def _is_count(v: Variable) -> bool:
    """Whether `v` is a number of elements, as a float."""
    if v.ndim or v.owner is None or type(v.owner.op) is not Cast:
        return False
    stack = [v.owner.inputs[0]]
    while stack:
        u = stack.pop()
        if isinstance(u, Constant) and u.dtype == "int64":
            continue
        if u.owner is None or not (isinstance(u.owner.op, Shape_i) or key_of(u.owner.op) == "mul"):
            return False
        stack += u.owner.inputs if key_of(u.owner.op) == "mul" else []
    return True


# ----------------------------------------------------------------------------------- elementwise functions


@log_of("exp")
def log_of_exp(node: Apply, depth: int) -> Variable | None:
    """log(exp(x)) -> x"""
    return cast_to(node.inputs[0], node.outputs[0].dtype)


@log_of("sigmoid")
def log_of_sigmoid(node: Apply, depth: int) -> Variable | None:
    """log(sigmoid(x)) -> -softplus(-x)"""
    return -f.softplus(-node.inputs[0])


@log_of(Softmax)
def log_of_softmax(node: Apply, depth: int) -> Variable | None:
    """log(softmax(x)) -> logsoftmax(x)"""
    return LogSoftmax(node.op.axis)(node.inputs[0]) if type(node.op) is Softmax else None


def log1mexp(x: Variable) -> Variable:
    """Return log(1 - exp(x)), accurate for all x < 0; each arm sees only arguments that are its own.

    References
    ----------
    M. Mächler, "Accurately computing log(1 - exp(-|a|))", 2012.
    """
    near = f.gt(x, -math.log(2))
    return f.switch(near, f.log(-f.expm1(f.switch(near, x, -1.0))), f.log1p(-f.exp(f.switch(near, -1.0, x))))


def logaddexp(a: Variable, b: Variable) -> Variable:
    """Return log(exp(a) + exp(b)): the larger plus softplus of minus the distance, with derivatives that add up to 1."""
    difference = f.switch(f.and_(f.eq(a, b), f.isinf(a)), 0.0, a - b)  # inf - inf
    return f.switch(f.gt(difference, 0), a + f.softplus(-difference), b + f.softplus(difference))


def is_piece(x: Variable) -> bool:
    """Whether `x` is the argument of one piece of a function that was taken apart here: limited to where that is used."""
    node = x.owner
    if node is None or key_of(node.op) != "switch":
        return False
    condition = node.inputs[0].owner
    return condition is not None and key_of(condition.op) == "gt" and condition.inputs[0] in node.inputs[1:]


@log_of("neg")
def log_of_minus_expm1(node: Apply, depth: int) -> Variable | None:
    """log(-expm1(x)) -> log(1 - exp(x)) in two pieces"""
    inner = node.inputs[0].owner
    if inner is None or key_of(inner.op) != "expm1" or is_piece(inner.inputs[0]):
        return None
    return log1mexp(inner.inputs[0])


@log_of("add")
def log_of_sum(node: Apply, depth: int) -> Variable | None:
    """log(exp(a) + exp(b)) -> logaddexp(a, b); log(1 + exp(x)) -> softplus(x); log(1 + x) -> log1p(x)"""
    terms = [cast_to(t, node.outputs[0].dtype) for t in node.inputs]
    logs = [_part(t, depth) for t in terms]
    values = [uniform(t) for t in terms]
    for k in (0, 1):
        v, other = values[k], terms[1 - k]
        if v is None or values[1 - k] is not None:
            continue
        log_v, log_other = logs[k], logs[1 - k]
        if log_v is not None and log_other is not None and _may_overflow(other):
            return f.softplus(log_other) if v == 1 else log_v + f.softplus(log_other - log_v)  # type: ignore[operator]
        return f.log1p(other) if v == 1 and depth == 0 else None
    if any(g is None for g in logs) or not any(_may_overflow(t) or _may_underflow(t) for t in terms):
        return None
    return logaddexp(*logs)  # type: ignore[arg-type]


def _root(v: Variable) -> Any:
    while v.owner is not None and (is_view(v.owner.op) or type(v.owner.op) is Cast):
        v = v.owner.inputs[0]
    return None if v.owner is None else key_of(v.owner.op)


def _may_overflow(v: Variable) -> bool:
    return _root(v) in ("exp", "exp2", "mul", "true_div", "sum", "prod", "inv", "add")


def _may_underflow(v: Variable) -> bool:
    return _root(v) in ("exp", "sigmoid", Softmax, "mul", "true_div", "sum", "prod", "inv")


@log_of("sub")
def log_of_difference(node: Apply, depth: int) -> Variable | None:
    """log(1 - x) -> log1p(-x)"""
    a, b = (cast_to(v, node.outputs[0].dtype) for v in node.inputs)
    return f.log1p(-b) if uniform(a) == 1 and uniform(b) is None and depth == 0 else None


@log_of("mul")
def log_of_product(node: Apply, depth: int) -> Variable | None:
    """log(a*b) -> log(a) + log(b), where these are stable"""
    a, b = (_part(v, depth) for v in node.inputs)
    if a is None or b is None:
        return None
    return a + b  # type: ignore[operator]


@log_of("true_div")
def log_of_quotient(node: Apply, depth: int) -> Variable | None:
    """log(a/b) -> log(a) - log(b), where these are stable"""
    a, b = (_part(v, depth) for v in node.inputs)
    if a is None or b is None:
        return None
    return a - b  # type: ignore[operator]


@log_of("inv")
def log_of_reciprocal(node: Apply, depth: int) -> Variable | None:
    """log(1/a) -> -log(a), where that is stable"""
    a = stable_log(node.inputs[0], depth + 1)
    return None if a is None else -a  # type: ignore[operator]


@log_of("sqrt")
def log_of_root(node: Apply, depth: int) -> Variable | None:
    """log(sqrt(a)) -> log(a)/2, where that is stable"""
    a = stable_log(node.inputs[0], depth + 1)
    return None if a is None else 0.5 * a


@log_of("sqr")
def log_of_square(node: Apply, depth: int) -> Variable | None:
    """log(x**2) -> 2*log(|x|)"""
    x = node.inputs[0]
    inner = stable_log(x, depth + 1)
    return 2.0 * (f.log(f.abs_(x)) if inner is None else inner)


@log_of("pow")
def log_of_power(node: Apply, depth: int) -> Variable | None:
    """log(x**c) -> c*log(x), of |x| for even c"""
    x, exponent = node.inputs
    value = uniform(exponent)
    if value is None or value == 0 or not math.isfinite(value) or x.dtype != node.outputs[0].dtype:
        return None
    inner = stable_log(x, depth + 1)
    if inner is None:
        inner = f.log(f.abs_(x) if value % 2 == 0 else x)
    return float(value) * inner


@log_of("erfc")
def log_of_erfc(node: Apply, depth: int) -> Variable | None:
    """log(erfc(x)) -> its asymptotic series where erfc(x) would underflow (DLMF 7.12.1)"""
    x = node.inputs[0]
    if not is_float(x.dtype) or is_piece(x):
        return None
    limit = 10.0 if x.dtype == "float64" else 5.0
    far = f.gt(x, limit)
    large = f.switch(far, x, 2.0 * limit)
    u = 0.5 * f.sqr(f.inv(large))
    total: Any = 1.0
    for k in range(9, 0, -1):
        total = 1 - (2 * k - 1) * u * total
    tail = -f.sqr(large) - f.log(large) - 0.5 * math.log(math.pi) + f.log(total)
    # erfc(-6) is 2 to the last digit: what is smaller may be anything
    return f.switch(far, tail, f.log(f.erfc(f.switch(far, 0.0, x))))


@log_of("clip")
def log_of_clipped(node: Apply, depth: int) -> Variable | None:
    """log(clip(a, lo, hi)) -> clip(log(a), log(lo), log(hi)), where log(a) is stable"""
    low, high = (uniform(v) for v in node.inputs[1:])
    a = stable_log(node.inputs[0], depth + 1)
    if a is None or low is None or high is None or not 0 < low <= high:
        return None
    return f.clip(a, math.log(low), math.log(high))


@log_of("maximum", "minimum")
def log_of_limited(node: Apply, depth: int) -> Variable | None:
    """log(maximum(a, c)) -> maximum(log(a), log(c)), where log(a) is stable"""
    parts = [_part(v, depth) for v in node.inputs]
    return None if parts[0] is None or parts[1] is None else node.op(*parts)


@log_of("switch")
def log_of_choice(node: Apply, depth: int) -> Variable | None:
    """log(switch(c, a, b)) -> switch(c, log(a), log(b)), where these are stable"""
    condition, *arms = node.inputs
    parts = [_part(v, depth) for v in arms]
    return None if parts[0] is None or parts[1] is None else f.switch(condition, *parts)


# ------------------------------------------------------------------------------------------- reductions


class Top(Reduce):
    """The maximum along some axes; of no elements it is minus infinity, and no error."""

    def __init__(self, fn: str, axes: Sequence[int], dtype: str | None = None) -> None:
        super().__init__(fn, axes, dtype)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return ()


def logsumexp(a: Variable, axes: Sequence[int]) -> Variable:
    """Return log(sum(exp(a))) over `axes`, which leave the result; the maximum is a constant to `grad`, since it cancels."""
    kept = [k for k in range(a.ndim) if k not in axes]
    order = iter(range(len(kept)))
    top = dimshuffle(Top("max", axes)(a), *("x" if k in axes else next(order) for k in range(a.ndim)))
    top = disconnected_grad(top)
    shift = f.switch(f.isinf(top), f.cast_zero(top), top)  # of all -inf the answer is -inf, not inf - inf
    out = f.log(sum_of(f.exp(a - shift), list(axes), keepdims=True)) + shift
    return dimshuffle(out, *kept) if len(kept) < a.ndim else out


@log_of("sum")
def log_of_sum_of_exp(node: Apply, depth: int) -> Variable | None:
    """log(sum(a)) -> logsumexp(log(a)), where log(a) is stable; of one element chosen by a class, its logarithm"""
    v, axes = node.inputs[0], node.op.axes  # type: ignore[attr-defined]
    if not is_float(v.dtype):
        return None
    chosen = _one_hot(v, axes, depth)
    if chosen is not None:
        return chosen
    a = stable_log(v, depth + 1)
    return None if a is None or _is_shifted(a) else logsumexp(a, axes)


def _is_shifted(a: Variable) -> bool:
    """Whether `a` is less its maximum already, as :func:`logsumexp` makes it, or the user's."""
    node = a.owner
    if node is None or key_of(node.op) != "sub" or node.inputs[1].owner is None:
        return False
    shift = node.inputs[1].owner
    if key_of(shift.op) != "switch" or shift.inputs[2].owner is None:
        return False
    top = shift.inputs[2].owner
    if isinstance(top.op, DimShuffle) and top.inputs[0].owner is not None:  # as T.logsumexp writes it
        inner = top.inputs[0].owner
        return key_of(inner.op) == "max" and inner.inputs[0] is node.inputs[0]
    return isinstance(top.op, DisconnectedGrad)


def _one_hot(v: Variable, axes: Sequence[int], depth: int) -> Variable | None:
    """Return the logarithm of what a class picks out of each row: ``sum(switch(eq(y, arange(n)), p, 0), -1)``."""
    node = v.owner
    if node is None or key_of(node.op) != "switch" or list(axes) != [v.ndim - 1] or uniform(node.inputs[2]) != 0:
        return None
    mask, p = node.inputs[0].owner, node.inputs[1]
    if mask is None or key_of(mask.op) != "eq" or not any(u.owner is not None and isinstance(u.owner.op, ARange)
                                                        for u in mask.inputs):
        return None
    column = next((u for u in mask.inputs if u.ndim == v.ndim and u.type.shape[-1] == 1), None)
    a = stable_log(p, depth + 1)
    if column is None or a is None or column.owner is None or not _is_bounded(column):
        return None
    return sum_of(f.switch(node.inputs[0], a, f.cast_zero(a)), axis=v.ndim - 1)


def _is_bounded(v: Variable) -> bool:
    """Whether `v` are classes that are checked to be in range."""
    while v.owner is not None and (isinstance(v.owner.op, DimShuffle) or type(v.owner.op) is Cast):
        v = v.owner.inputs[0]
    return v.owner is not None and isinstance(v.owner.op, BoundedIndex)


@log_of("prod")
def log_of_prod(node: Apply, depth: int) -> Variable | None:
    """log(prod(x)) -> sum(log(|x|)), nan where the product is negative"""
    x, op = node.inputs[0], node.op
    if not is_float(x.dtype) or is_complex(x.dtype):
        return None
    inner = stable_log(x, depth + 1)
    axes = list(op.axes)  # type: ignore[attr-defined]
    if inner is not None:
        return sum_of(inner, axes)
    total = sum_of(f.log(f.abs_(x)), axes)
    return f.switch(f.lt(prod_of(f.sgn(x), axes), 0), f.cast_zero(total) * math.nan, total)
