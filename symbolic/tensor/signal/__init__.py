"""Signal processing: ``T.signal.conv``."""
from symbolic.tensor.signal import conv

__all__ = ["conv"]
