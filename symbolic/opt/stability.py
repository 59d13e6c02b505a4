"""Rules that keep numbers from overflowing, underflowing and cancelling. They act in every mode, before `grad` too.

What a user writes is replaced by the function that it is, `softplus` or `expm1` or `softmax`, whose derivative is stable as
well; so a gradient needs no rules of its own. See `docs/rewrites.md` for the table. Logarithms have a file of their own.
"""
from __future__ import annotations

import math

from symbolic.graph import Apply, Variable
from symbolic.ops import functions as f
from symbolic.ops.elementwise import Cast, cast_to
from symbolic.ops.grad_control import zero_grad
from symbolic.ops.nnet import CrossentropyCategorical1Hot, CrossentropyIndex, LogSoftmax, Softmax
from symbolic.ops.reduce import Reduce, var
from symbolic.ops.shape import DimShuffle
from symbolic.opt.extent_keys import same_shape
from symbolic.opt.logarithms import is_piece, log1mexp
from symbolic.opt.pattern import c, d, is_view, rule, uniform, x, y
from symbolic.opt.rules import key_of, node_rule
from symbolic.types import is_float

STABLE = ("stabilize",)


def negated(v: Variable) -> Variable:
    """Return ``-v``, without a double negation."""
    return v.owner.inputs[0] if v.owner is not None and key_of(v.owner.op) == "neg" else -v  # type: ignore[operator]


def scaled(v: Variable, factor: Variable) -> Variable:
    """Return ``factor * v``; `v` itself where the factor is 1."""
    return v if uniform(factor) == 1 and factor.ndim == 0 else factor * v  # type: ignore[operator]


# ------------------------------------------------------------------------------------ tanh, sigmoid, exp

rule("tanh_of_exps", (f.exp(x) - f.exp(-x)) / (f.exp(x) + f.exp(-x)), f.tanh(x), tags=STABLE)
rule("tanh_of_exps_halved", (0.5 * (f.exp(x) - f.exp(-x))) / (0.5 * (f.exp(x) + f.exp(-x))), f.tanh(x), tags=STABLE)
rule("tanh_of_sinh", f.sinh(x) / f.cosh(x), f.tanh(x), tags=STABLE)
rule("tanh_of_expm1", f.expm1(x) / (1 + f.exp(x)), f.tanh(0.5 * x), tags=STABLE)
rule("tanh_of_neg_expm1", -f.expm1(x) / (1 + f.exp(x)), -f.tanh(0.5 * x), tags=STABLE)
rule("sigmoid_of_exps", f.exp(x) / (1 + f.exp(x)), f.sigmoid(x), tags=STABLE)
rule("sigmoid_of_exps_times", (y * f.exp(x)) / (1 + f.exp(x)), y * f.sigmoid(x), tags=STABLE)
rule("sigmoid_of_quotient", y / (1 + f.exp(x)), lambda x, y: scaled(f.sigmoid(negated(x)), y), tags=STABLE,
     doc="y/(1 + exp(x)) -> y*sigmoid(-x)")
rule("sigmoid_of_reciprocal", f.inv(1 + f.exp(x)), lambda x: f.sigmoid(negated(x)), tags=STABLE,
     doc="1/(1 + exp(x)) -> sigmoid(-x)")
rule("sigmoid_times_exp", f.exp(x) * f.sigmoid(-x), f.sigmoid(x), tags=STABLE)
rule("one_minus_sigmoid", 1 - f.sigmoid(x), lambda x: f.sigmoid(negated(x)), tags=STABLE, doc="1 - sigmoid(x) -> sigmoid(-x)")
rule("sigmoid_minus_one", f.sigmoid(x) - 1, lambda x: -f.sigmoid(negated(x)), tags=STABLE, doc="sigmoid(x) - 1 -> -sigmoid(-x)")
rule("exp_minus_one", f.exp(x) - 1, f.expm1(x), tags=STABLE)
rule("exp_plus_minus_one", f.exp(x) + -1.0, f.expm1(x), tags=STABLE)
rule("one_minus_exp", 1 - f.exp(x), -f.expm1(x), tags=STABLE)
rule("one_minus_square_of_tanh", 1 - f.sqr(f.tanh(x)), 4.0 * (f.sigmoid(2.0 * x) * f.sigmoid(-2.0 * x)),
     tags=("stabilize", "value"))
rule("one_minus_clipped_sigmoid", 1 - f.clip(f.sigmoid(x), c, d), lambda x, c, d: f.clip(f.sigmoid(negated(x)), 1 - d, 1 - c),
     tags=STABLE, doc="1 - clip(sigmoid(x), c, d) -> clip(sigmoid(-x), 1 - d, 1 - c)")

rule("log1p_of_exp", f.log1p(f.exp(x)), f.softplus(x), tags=STABLE)
rule("log1p_of_minus_sigmoid", f.log1p(-f.sigmoid(x)), -f.softplus(x), tags=STABLE)
rule("log1p_of_minus_exp", f.log1p(-f.exp(x)), lambda x: None if is_piece(x) else log1mexp(x), tags=STABLE,
     doc="log1p(-exp(x)) -> log(1 - exp(x)) in two pieces")
rule("log1p_of_expm1", f.log1p(f.expm1(x)), x, tags=STABLE)

# --------------------------------------------------------------------------------------------------- erf

rule("one_minus_erf", 1 - f.erf(x), f.erfc(x), tags=STABLE)
rule("erf_minus_one", f.erf(x) - 1, -f.erfc(x), tags=STABLE)
rule("one_plus_erf", 1 + f.erf(x), lambda x: f.erfc(negated(x)), tags=STABLE, doc="1 + erf(x) -> erfc(-x)")
rule("one_minus_erfc", 1 - f.erfc(x), f.erf(x), tags=STABLE)
rule("erfc_minus_one", f.erfc(x) - 1, -f.erf(x), tags=STABLE)

# ---------------------------------------------------------------------------------------- roots and signs

rule("sqrt_of_square", f.sqrt(f.sqr(x)), f.abs_(x), tags=STABLE)
rule("sqrt_of_product", f.sqrt(x * x), f.abs_(x), tags=STABLE)


def _sign(x: Variable) -> Variable:
    """Return the sign, which is x itself where that is 0 or nan; its derivative is 0 and not, as that of sgn, none."""
    return f.switch(f.gt(x, 0), 1.0, f.switch(f.lt(x, 0), -1.0, zero_grad(x)))


rule("quotient_by_abs", x / f.abs_(x), lambda x: _sign(x), tags=STABLE, doc="x/|x| -> the sign, 0 at 0")
rule("abs_by_itself", f.abs_(x) / x, lambda x: _sign(x), tags=STABLE, doc="|x|/x -> the sign, 0 at 0")


def _xlogx(x: Variable) -> Variable:
    zero = f.eq(x, 0)
    return f.switch(zero, 0.0, x * f.log(f.switch(zero, 1.0, x)))


rule("xlogx", x * f.log(x), lambda x: _xlogx(x), tags=STABLE, doc="x*log(x) -> 0 where x is 0; so is its derivative there")


@node_rule("sqrt", "pow", tags=("stabilize", "gradient"))
def root_of_squares(node: Apply) -> Variable | None:
    """sqrt(sum of squares) -> masked, so that its derivative at 0 is 0: for norms and standard deviations"""
    s = node.inputs[0]
    if not is_float(s.dtype) or not _sum_of_squares(s):
        return None
    zero = f.eq(s, 0)
    safe = f.switch(zero, 1.0, s)
    if key_of(node.op) == "sqrt":
        return f.switch(zero, 0.0, f.sqrt(safe))
    exponent = uniform(node.inputs[1])
    if exponent is None or not 0 < exponent < 1:
        return None
    return f.switch(zero, 0.0, f.pow(safe, node.inputs[1]))


def _sum_of_squares(v: Variable) -> bool:
    for _ in range(6):
        if v.owner is None:
            return False
        node = v.owner
        op, key = node.op, key_of(node.op)
        if is_view(op) or type(op) is Cast or key == "true_div":
            v = node.inputs[0]
        elif key == "mul" and uniform(node.inputs[0]) is not None:
            v = node.inputs[1]
        elif key == "sum":
            inner = node.inputs[0].owner
            if inner is not None and type(inner.op) is Cast:
                inner = inner.inputs[0].owner
            return inner is not None and (key_of(inner.op) in ("sqr", "abs") or key_of(inner.op) == "mul"
                                          and inner.inputs[0] is inner.inputs[1]
                                          or key_of(inner.op) == "pow" and _even_or_abs(inner))
        else:
            return False
    return False


def _even_or_abs(node: Apply) -> bool:
    exponent, base = uniform(node.inputs[1]), node.inputs[0].owner
    return exponent is not None and exponent >= 1 and (exponent % 2 == 0 or base is not None and key_of(base.op) == "abs")


# --------------------------------------------------------------------------------- softmax and variance


def _summed(v: Variable, ndim: int) -> tuple[Variable, tuple[int, ...]] | None:
    """Return what is summed, over which axes, where `v` is a sum that broadcasts against what it sums."""
    node = v.owner
    if node is None:
        return None
    if isinstance(node.op, DimShuffle):
        inner = node.inputs[0].owner
        if inner is None or type(inner.op) is not Reduce or inner.op.fn != "sum" or inner.inputs[0].ndim != ndim:
            return None
        kept = [k for k in range(ndim) if k not in inner.op.axes]
        order = iter(range(len(kept)))
        if node.op.order != tuple("x" if k in inner.op.axes else next(order) for k in range(ndim)):
            return None
        return inner.inputs[0], inner.op.axes
    if type(node.op) is Reduce and node.op.fn == "sum" and node.inputs[0].ndim == ndim:
        if node.op.axes == tuple(range(len(node.op.axes))):  # what is left is aligned with the last axes
            return node.inputs[0], node.op.axes
    return None


@node_rule("true_div", tags=STABLE)
def softmax_of_exps(node: Apply) -> Variable | None:
    """exp(x)/sum(exp(x)) -> softmax(x)"""
    top, bottom = node.inputs
    if top.owner is None or key_of(top.owner.op) != "exp" or top.ndim == 0:
        return None
    found = _summed(bottom, top.ndim)
    if found is None or found[0] is not top or len(found[1]) != 1:
        return None
    inner = cast_to(top.owner.inputs[0], top.dtype)
    return Softmax(found[1][0])(_unshifted(inner, found[1][0]))


def _unshifted(v: Variable, axis: int) -> Variable:
    """Return `x` where `v` is `x` less its maximum along `axis`, which softmax subtracts again."""
    node = v.owner
    if node is None or key_of(node.op) != "sub":
        return v
    x, top = node.inputs
    inner = None if top.owner is None or not isinstance(top.owner.op, DimShuffle) else top.owner.inputs[0].owner
    if inner is not None and isinstance(inner.op, Reduce) and inner.op.fn == "max" and inner.inputs[0] is x \
            and inner.op.axes == (axis,) and top.ndim == x.ndim and top.type.shape[axis] == 1:
        return x
    return v


@node_rule(CrossentropyCategorical1Hot, tags=STABLE)
def crossentropy_of_softmax(node: Apply) -> Variable | None:
    """-log(softmax(x)[y]) -> logsumexp(x) - x[y]"""
    p, y = node.inputs
    inner = p.owner
    return CrossentropyIndex()(inner.inputs[0], y) if inner is not None and inner.op == Softmax(p.ndim - 1) else None


@node_rule("exp", tags=STABLE)
def exp_of_logsoftmax(node: Apply) -> Variable | None:
    """exp(logsoftmax(x)) -> softmax(x)"""
    inner = node.inputs[0].owner
    return Softmax(inner.op.axis)(inner.inputs[0]) if inner is not None and type(inner.op) is LogSoftmax else None


@node_rule("sub", tags=STABLE)
def variance(node: Apply) -> Variable | None:
    """mean(x**2) - mean(x)**2 -> var(x), in two passes"""
    square, mean = node.inputs
    if mean.owner is None or key_of(mean.owner.op) not in ("sqr", "mul"):
        return None
    if key_of(mean.owner.op) == "mul" and mean.owner.inputs[0] is not mean.owner.inputs[1]:
        return None
    first, second = _mean(square), _mean(mean.owner.inputs[0])
    if first is None or second is None or first[1:] != second[1:]:
        return None
    squares, x = first[0].owner, second[0]
    if squares is None or not is_float(x.dtype):
        return None
    if not (key_of(squares.op) == "sqr" and squares.inputs[0] is x
            or key_of(squares.op) == "mul" and squares.inputs[0] is x and squares.inputs[1] is x):
        return None
    return var(x, list(first[1]), keepdims=first[2])


def _mean(v: Variable) -> tuple[Variable, tuple[int, ...], bool] | None:
    """Return what `v` is a mean of, over which axes, and whether they are kept."""
    node = v.owner
    if node is None or key_of(node.op) != "true_div":
        return None
    total, count = node.inputs
    kept = total.owner is not None and isinstance(total.owner.op, DimShuffle)
    inner = total.owner.inputs[0].owner if kept and total.owner is not None else total.owner
    if inner is None or type(inner.op) is not Reduce or inner.op.fn != "sum" or inner.op.dtype is not None:
        return None
    x, axes = inner.inputs[0], inner.op.axes
    if kept and _summed(total, x.ndim) is None:
        return None
    known = [x.type.shape[a] for a in axes]
    if None not in known:
        if uniform(count) != math.prod(n for n in known if n is not None):
            return None
    elif not _is_number_of(count, x, axes):
        return None
    return x, axes, kept


def _is_number_of(count: Variable, x: Variable, axes: tuple[int, ...]) -> bool:
    """Whether `count` is the product of the extents of `x` along `axes`."""
    while count.owner is not None and type(count.owner.op) is Cast:
        count = count.owner.inputs[0]
    left, stack, known = [a for a in axes if x.type.shape[a] is None], [count], 1
    while stack:
        u = stack.pop()
        value = uniform(u)
        if value is not None:
            known *= int(value)
        elif u.owner is not None and key_of(u.owner.op) == "mul":
            stack += u.owner.inputs
        elif u.owner is not None and u.owner.op.name == "shape_i" and u.owner.op.axis in left and (  # type: ignore[attr-defined]
                same_shape(u.owner.inputs[0], x)):
            left.remove(u.owner.op.axis)  # type: ignore[attr-defined]
        else:
            return False
    return not left and known == math.prod(n for a in axes if (n := x.type.shape[a]) is not None)
