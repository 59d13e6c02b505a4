"""Identities of arithmetic, logic and conversions.

Those without the tag ``unsafe`` hold for every value: for nan, infinities, and down to the sign of a zero. So ``x - x`` stays,
since it is nan where `x` is; for integers it is 0.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic.graph import Apply, Variable, constant
from symbolic.ops import functions as f
from symbolic.ops.elementwise import Cast, cast_to
from symbolic.opt.extent_keys import broadcasts_into
from symbolic.opt.pattern import c, d, i, j, p, q, rule, uniform, x, y, z
from symbolic.opt.rules import node_rule
from symbolic.types import is_complex, is_discrete

CANONICAL = ("canonicalize",)
SPECIAL = ("specialize",)
UNSAFE = ("canonicalize", "unsafe")
ALL = "biufc"
REAL = "iuf"


def shaped(value: Variable, *dropped: Variable) -> Variable:
    """Return `value` broadcast by the variables that a rule drops, where it isn't known that they wouldn't widen it."""
    for v in dropped:
        if not broadcasts_into(v, value):
            value = f.fill(v, value)
    return value


def filled(number: Any, *like: Variable) -> Variable:
    """Return a number in the broadcast shape of variables, in the dtype of the first."""
    value: Variable = constant(np.asarray(number, like[0].dtype))
    return shaped(value, *like)


def _alike(x: Variable, y: Variable) -> bool:
    """Whether two variables have one dtype: -y of the smallest integer wraps in its own."""
    return x.dtype == y.dtype


# --------------------------------------------------------------------------------------------- arithmetic

rule("mul_one", x * 1, x, tags=CANONICAL, kinds=REAL)
rule("div_one", x / 1, x, tags=CANONICAL, kinds="f")
rule("sub_zero", x - 0, x, tags=CANONICAL, kinds=REAL)
rule("add_minus_zero", x + -0.0, x, tags=CANONICAL)
rule("mul_minus_one", x * -1, -x, tags=CANONICAL, kinds="if")
rule("div_minus_one", x / -1, -x, tags=CANONICAL, kinds="f")
rule("neg_neg", f.neg(f.neg(x)), x, tags=CANONICAL, kinds="if")
rule("add_neg", x + (-y), x - y, tags=CANONICAL, kinds="if", where=_alike)
rule("sub_neg", x - (-y), x + y, tags=CANONICAL, kinds="if", where=_alike)
rule("mul_neg_neg", (-x) * (-y), x * y, tags=CANONICAL, kinds="if", where=_alike)
rule("div_neg_neg", (-x) / (-y), x / y, tags=CANONICAL, kinds="f")
rule("neg_of_mul", -(x * c), lambda x, c: x * (-c), tags=CANONICAL, kinds="if", doc="-(x*c) -> x*(-c)",
     where=lambda c: np.dtype(c.dtype).kind == "f" or uniform(c) != np.iinfo(c.dtype).min)
rule("mul_of_neg", (-x) * c, lambda x, c: x * (-c), tags=CANONICAL, kinds="if", doc="(-x)*c -> x*(-c)",
     where=lambda c: np.dtype(c.dtype).kind == "f" or uniform(c) != np.iinfo(c.dtype).min)
rule("abs_neg", f.abs_(-x), f.abs_(x), tags=CANONICAL, kinds="if")
rule("sqr_neg", f.sqr(-x), f.sqr(x), tags=CANONICAL, kinds="if")
rule("sqr_abs", f.sqr(f.abs_(x)), f.sqr(x), tags=CANONICAL, kinds=REAL)
rule("abs_sqr", f.abs_(f.sqr(x)), f.sqr(x), tags=CANONICAL, kinds="f")
rule("abs_exp", f.abs_(f.exp(x)), f.exp(x), tags=CANONICAL)
rule("abs_sigmoid", f.abs_(f.sigmoid(x)), f.sigmoid(x), tags=CANONICAL)
rule("abs_softplus", f.abs_(f.softplus(x)), f.softplus(x), tags=CANONICAL)
rule("cos_neg", f.cos(-x), f.cos(x), tags=CANONICAL)
rule("cosh_neg", f.cosh(-x), f.cosh(x), tags=CANONICAL)

rule("int_add_zero", i + 0, i, tags=CANONICAL)
rule("int_mul_zero", i * 0, lambda i: filled(0, i), tags=CANONICAL, doc="i*0 -> 0")
rule("int_sub_itself", i - i, lambda i: filled(0, i), tags=CANONICAL, doc="i - i -> 0")
rule("int_div_one", i // 1, i, tags=CANONICAL)
rule("int_mod_one", i % 1, lambda i: filled(0, i), tags=CANONICAL, doc="i % 1 -> 0")
rule("int_add_constants", (i + c) + d, lambda i, c, d: i + (c + d), tags=CANONICAL, doc="(i + c) + d -> i + (c + d)",
     where=lambda i, c, d: i.dtype == c.dtype == d.dtype)
rule("int_mul_constants", (i * c) * d, lambda i, c, d: i * (c * d), tags=CANONICAL, doc="(i*c)*d -> i*(c*d)",
     where=lambda i, c, d: i.dtype == c.dtype == d.dtype)
rule("int_add_sub", (i + j) - j, lambda i, j: shaped(i, j), tags=CANONICAL, where=lambda i, j: i.dtype == j.dtype,
     doc="(i + j) - j -> i")
rule("int_sub_add", (i - j) + j, lambda i, j: shaped(i, j), tags=CANONICAL, where=lambda i, j: i.dtype == j.dtype,
     doc="(i - j) + j -> i")

rule("add_zero", x + 0, x, tags=UNSAFE, doc="x + 0 -> x; -0.0 + 0 is 0.0")
rule("neg_sub", -(x - y), y - x, tags=UNSAFE, doc="-(x - y) -> y - x; where x = y the zero has the other sign")
rule("mul_zero", x * 0, lambda x: filled(0, x), tags=UNSAFE, doc="x*0 -> 0, also for nan and infinities")
rule("sub_itself", x - x, lambda x: filled(0, x), tags=UNSAFE, doc="x - x -> 0, also for nan and infinities")
rule("div_by_itself", x / x, lambda x: filled(1, x), tags=UNSAFE, doc="x/x -> 1, also for 0, nan and infinities")
rule("add_constants", (x + c) + d, lambda x, c, d: x + (c + d), tags=UNSAFE, doc="(x + c) + d -> x + (c + d)")
rule("mul_constants", (x * c) * d, lambda x, c, d: x * (c * d), tags=UNSAFE, doc="(x*c)*d -> x*(c*d)")
rule("add_sub", (x + y) - y, lambda x, y: shaped(x, y), tags=UNSAFE, doc="(x + y) - y -> x")
rule("mul_div", (x * y) / y, lambda x, y: shaped(x, y), tags=UNSAFE, doc="(x*y)/y -> x")
rule("mul_exp_exp", f.exp(x) * f.exp(y), f.exp(x + y), tags=UNSAFE)
rule("exp_of_log", f.exp(f.log(x)), x, tags=UNSAFE, doc="exp(log(x)) -> x, also for x < 0")
rule("factor_out", x * y + x * z, lambda x, y, z: x * (y + z), tags=UNSAFE, doc="x*y + x*z -> x*(y + z)")

# --------------------------------------------------------------------------------- powers and quotients

rule("pow_zero", x ** c, lambda x: filled(1, x), tags=CANONICAL, where=lambda c: uniform(c) == 0, doc="x**0 -> 1")
rule("pow_one", x ** c, lambda x: x, tags=CANONICAL, where=lambda c: uniform(c) == 1, doc="x**1 -> x")
rule("pow_two", x ** c, lambda x: f.sqr(x), tags=CANONICAL, where=lambda c: uniform(c) == 2, doc="x**2 -> sqr(x)")
rule("pow_minus_one", x ** c, lambda x: f.inv(x), tags=CANONICAL, where=lambda c: uniform(c) == -1, doc="x**-1 -> 1/x")
rule("one_pow", f.pow(1.0, x), lambda x: filled(1, x), tags=CANONICAL, doc="1**x -> 1")
rule("pow_three", x ** c, lambda x: x * f.sqr(x), tags=SPECIAL, where=lambda c: uniform(c) == 3, doc="x**3 -> x*x*x")
rule("pow_four", x ** c, lambda x: f.sqr(f.sqr(x)), tags=SPECIAL, where=lambda c: uniform(c) == 4, doc="x**4 -> (x**2)**2")
rule("pow_half", x ** c, lambda x: f.sqrt(x), tags=("specialize", "unsafe"), where=lambda c: uniform(c) == 0.5,
     doc="x**0.5 -> sqrt(x), which differs for -0.0 and -inf")


def _has_exact_inverse(c: Variable) -> bool:
    value = uniform(c)
    if np.dtype(c.dtype).kind != "f" or value is None or not np.isfinite(value) or value == 0:
        return False
    mantissa, exponent = math.frexp(abs(float(value)))
    return mantissa == 0.5 and abs(exponent) < {"float16": 10, "float32": 100, "float64": 1000}[c.dtype]


rule("div_by_power_of_two", x / c, lambda x, c: x * f.inv(c), tags=SPECIAL, where=_has_exact_inverse,
     doc="x/c -> x*(1/c), where 1/c is exact")

# -------------------------------------------------------------------------------- maxima and idempotence

rule("maximum_itself", f.maximum(x, x), x, tags=CANONICAL, kinds=REAL)
rule("minimum_itself", f.minimum(x, x), x, tags=CANONICAL, kinds=REAL)
rule("maximum_constants", f.maximum(f.maximum(x, c), d), lambda x, c, d: f.maximum(x, f.maximum(c, d)), tags=CANONICAL,
     where=lambda c, d: bool(uniform(c) == uniform(c) and uniform(d) == uniform(d)) and c.dtype == d.dtype,
     doc="maximum(maximum(x, c), d) -> maximum(x, max(c, d))")
rule("minimum_constants", f.minimum(f.minimum(x, c), d), lambda x, c, d: f.minimum(x, f.minimum(c, d)), tags=CANONICAL,
     where=lambda c, d: bool(uniform(c) == uniform(c) and uniform(d) == uniform(d)) and c.dtype == d.dtype,
     doc="minimum(minimum(x, c), d) -> minimum(x, min(c, d))")
for _row in (f.abs_, f.ceil, f.floor, f.trunc, f.round_half_to_even, f.round_half_away_from_zero, f.sgn, f.relu):
    rule(f"{_row.name}_twice", _row(_row(x)), _row(x), tags=CANONICAL, kinds=REAL)
for _row in (f.ceil, f.floor, f.trunc, f.round_half_to_even, f.round_half_away_from_zero):
    rule(f"{_row.name}_of_integer", _row(i), i, tags=CANONICAL)

rule("conj_conj", f.conj(f.conj(x)), x, tags=CANONICAL, kinds="c")
rule("conj_of_real", f.conj(x), x, tags=CANONICAL, kinds=REAL)
rule("real_of_real", f.real(x), x, tags=CANONICAL, kinds=REAL)
rule("imag_of_real", f.imag(x), lambda x: filled(0, x), tags=CANONICAL, kinds=REAL, doc="imag(x) -> 0 for real x")

# ------------------------------------------------------------------------------ comparisons, logic, choice

_FALSE = {"lt": f.lt, "gt": f.gt}
for _name, _row in _FALSE.items():
    rule(f"{_name}_itself", _row(x, x), lambda x: f.fill(x, np.asarray(False)), tags=CANONICAL, kinds=REAL,
         doc=f"{_name}(x, x) -> False")
for _name, _row in {"le": f.le, "ge": f.ge, "eq": f.eq}.items():
    rule(f"int_{_name}_itself", _row(i, i), lambda i: f.fill(i, np.asarray(True)), tags=CANONICAL, doc=f"{_name}(i, i) -> True")
rule("int_neq_itself", f.neq(i, i), lambda i: f.fill(i, np.asarray(False)), tags=CANONICAL, doc="neq(i, i) -> False")
rule("isnan_of_integer", f.isnan_(i), lambda i: f.fill(i, np.asarray(False)), tags=CANONICAL, doc="isnan(i) -> False")
rule("isinf_of_integer", f.isinf(i), lambda i: f.fill(i, np.asarray(False)), tags=CANONICAL, doc="isinf(i) -> False")
rule("not_eq", ~f.eq(x, y), f.neq(x, y), tags=CANONICAL, kinds=ALL)
rule("not_neq", ~f.neq(x, y), f.eq(x, y), tags=CANONICAL, kinds=ALL)
rule("int_not_lt", ~f.lt(i, j), f.ge(i, j), tags=CANONICAL)
rule("int_not_le", ~f.le(i, j), f.gt(i, j), tags=CANONICAL)
rule("int_not_gt", ~f.gt(i, j), f.le(i, j), tags=CANONICAL)
rule("int_not_ge", ~f.ge(i, j), f.lt(i, j), tags=CANONICAL)
rule("not_not", ~(~p), p, tags=CANONICAL)
rule("int_not_not", ~(~i), i, tags=CANONICAL)
rule("and_true", p & True, p, tags=CANONICAL)
rule("and_false", p & False, lambda p: f.fill(p, np.asarray(False)), tags=CANONICAL, doc="p & False -> False")
rule("or_false", p | False, p, tags=CANONICAL)
rule("or_true", p | True, lambda p: f.fill(p, np.asarray(True)), tags=CANONICAL, doc="p | True -> True")
rule("xor_false", p ^ False, p, tags=CANONICAL)
rule("xor_true", p ^ True, ~p, tags=CANONICAL)
rule("and_itself", p & p, p, tags=CANONICAL)
rule("or_itself", p | p, p, tags=CANONICAL)
rule("xor_itself", p ^ p, lambda p: f.fill(p, np.asarray(False)), tags=CANONICAL, doc="p ^ p -> False")
rule("and_absorbs", p & (p | q), lambda p, q: shaped(p, q), tags=CANONICAL, doc="p & (p | q) -> p")
rule("or_absorbs", p | (p & q), lambda p, q: shaped(p, q), tags=CANONICAL, doc="p | (p & q) -> p")
rule("eq_true", f.eq(p, True), p, tags=CANONICAL)
rule("eq_false", f.eq(p, False), ~p, tags=CANONICAL)
rule("neq_false", f.neq(p, False), p, tags=CANONICAL)
rule("neq_true", f.neq(p, True), ~p, tags=CANONICAL)
rule("switch_same", f.switch(p, x, x), lambda p, x: shaped(x, p), tags=CANONICAL, kinds=ALL, doc="switch(p, x, x) -> x")
rule("switch_not", f.switch(~p, x, y), f.switch(p, y, x), tags=CANONICAL, kinds=ALL)
rule("switch_then_switch", f.switch(p, f.switch(p, x, y), z), lambda p, x, y, z: shaped(f.switch(p, x, z), y),
     where=lambda x, y, z: x.dtype == y.dtype == z.dtype, kinds=ALL, doc="switch(p, switch(p, x, y), z) -> switch(p, x, z)")
rule("switch_else_switch", f.switch(p, x, f.switch(p, y, z)), lambda p, x, y, z: shaped(f.switch(p, x, z), y),
     where=lambda x, y, z: x.dtype == y.dtype == z.dtype, kinds=ALL, doc="switch(p, x, switch(p, y, z)) -> switch(p, x, z)")


@node_rule("switch", tags=CANONICAL)
def switch_of_constant(node: Apply) -> Variable | None:
    """switch(True, x, y) -> x, switch(False, x, y) -> y"""
    condition, then, other = node.inputs
    value = uniform(condition)
    if value is None:
        return None
    taken, left = (then, other) if value else (other, then)
    return shaped(cast_to(taken, node.outputs[0].dtype), left, condition)


@node_rule("maximum", "minimum", tags=CANONICAL)
def limit_at_infinity(node: Apply) -> Variable | None:
    """maximum(x, -inf) -> x, minimum(x, inf) -> x"""
    bound = -math.inf if node.op.fn == "maximum" else math.inf  # type: ignore[attr-defined]
    for v, other in (node.inputs, node.inputs[::-1]):
        if uniform(other) == bound and not is_discrete(v.dtype):
            return shaped(v, other)
    return None


# ---------------------------------------------------------------------------------------------- conversion

_MANTISSA = {"float16": 11, "float32": 24, "float64": 53}


def exact(a: str, b: str) -> bool:
    """Whether every value of dtype `a` is one of dtype `b`."""
    if a == b or a == "bool":
        return True
    ka, kb = np.dtype(a).kind, np.dtype(b).kind
    if kb == "c":
        return exact(a, "float32" if b == "complex64" else "float64") if ka != "c" else a == "complex64"
    if ka in "iu" and kb == "f":
        bits = np.dtype(a).itemsize * 8 - (ka == "i")
        return bits <= _MANTISSA[b] and b != "float16" or bits <= 8 and b == "float16"
    return ka != "c" and kb != "b" and bool(np.can_cast(a, b, "safe"))


@node_rule("cast", tags=CANONICAL)
def cast_of_cast(node: Apply) -> Variable | None:
    """cast(cast(x, b), c) -> cast(x, c), where all of x's values are values of b; cast(x, its own dtype) -> x"""
    inner = node.inputs[0]
    to = node.outputs[0].dtype
    if inner.dtype == to:
        return inner
    if inner.owner is None or not isinstance(inner.owner.op, Cast):
        return None
    source = inner.owner.inputs[0]
    if not exact(source.dtype, inner.dtype) or is_complex(source.dtype) and not is_complex(to):
        return None
    if to == "bool" and is_complex(source.dtype):
        return None
    return cast_to(source, to)
