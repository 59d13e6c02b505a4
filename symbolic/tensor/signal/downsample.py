"""The older name of :mod:`symbolic.tensor.signal.pool`."""
from symbolic.ops.pooling import max_pool_2d, max_pool_2d_same_size

__all__ = ["max_pool_2d", "max_pool_2d_same_size"]
