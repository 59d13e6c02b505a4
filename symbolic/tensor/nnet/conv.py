"""``T.nnet.conv.conv2d``, as older programs call it."""
from symbolic.ops.conv_older import legacy_conv2d as conv2d

__all__ = ["conv2d"]
