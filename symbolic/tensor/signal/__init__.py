"""Functions on signals and pictures: ``T.signal.pool.pool_2d`` and its kin."""
from symbolic.tensor.signal import downsample, pool

__all__ = ["downsample", "pool"]
