"""Functions on signals and pictures: ``T.signal.conv``, ``T.signal.pool``, ``T.signal.downsample``."""
from symbolic.tensor.signal import conv, downsample, pool

__all__ = ["conv", "downsample", "pool"]
