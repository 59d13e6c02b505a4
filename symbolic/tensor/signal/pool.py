"""``T.signal.pool``: pooling over the last axes."""
from symbolic.ops.pool import max_pool_2d_same_size, pool_2d, pool_3d

__all__ = ["max_pool_2d_same_size", "pool_2d", "pool_3d"]
