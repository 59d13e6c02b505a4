"""Signal processing: ``T.signal.pool``, ``T.signal.downsample``."""
from symbolic.tensor.signal import downsample, pool

__all__ = ["downsample", "pool"]
