"""Rewrites of graphs: rules as data (`rules`, `pattern`), what applies them (`driver`), and the ordered list (`pipeline`).

>>> import symbolic, symbolic.tensor as T
>>> from symbolic.opt import rule, unregister
>>> from symbolic.opt.pattern import x
>>> made = rule("double_sine", 2 * T.sin(x) * T.cos(x), T.sin(2 * x), tags=("opt_in", "trigonometry"))
>>> v = T.dscalar("v")
>>> mode = symbolic.Mode("FAST_RUN").including("trigonometry")
>>> round(float(symbolic.function([v], 2 * T.sin(v) * T.cos(v), mode=mode)(1.0)), 6)
0.909297
>>> unregister("double_sine")
"""
from symbolic.opt.pattern import rule
from symbolic.opt.rules import RULES, Rule, node_rule, unregister

__all__ = ["RULES", "Rule", "node_rule", "rule", "unregister"]
