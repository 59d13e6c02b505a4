"""Pooling: ``T.signal.pool.pool_2d``."""
from symbolic.ops.pool import Pool
from symbolic.ops.pooling import max_pool_2d, max_pool_2d_same_size, pool_1d, pool_2d, pool_3d

__all__ = ["Pool", "max_pool_2d", "max_pool_2d_same_size", "pool_1d", "pool_2d", "pool_3d"]
