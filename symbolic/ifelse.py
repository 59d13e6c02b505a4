"""``from symbolic.ifelse import ifelse``, as from ``theano.ifelse``. The name ``symbolic.ifelse`` itself is the function."""
from symbolic.ops.ifelse import IfElse, ifelse

__all__ = ["IfElse", "ifelse"]
