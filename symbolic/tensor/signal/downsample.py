"""``T.signal.downsample``: pooling, by the name it had in early Theano."""
from symbolic.ops.pool import max_pool_2d, max_pool_2d_same_size

__all__ = ["max_pool_2d", "max_pool_2d_same_size"]
