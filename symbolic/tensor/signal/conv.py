"""``T.signal.conv.conv2d``: convolution of images without channels."""
from symbolic.ops.conv_older import signal_conv2d as conv2d

__all__ = ["conv2d"]
