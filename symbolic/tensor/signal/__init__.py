"""Functions on signals and pictures: ``T.signal.pool.pool_2d``, ``T.signal.conv.conv2d`` and their kin."""
from symbolic.tensor.signal import conv, downsample, pool

__all__ = ["conv", "downsample", "pool"]
