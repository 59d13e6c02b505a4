"""The name of Lasagne's convolution by matrix products, which model files import."""
from lasagne_like.layers.dnn import Conv2DDNNLayer as Conv2DMMLayer

__all__ = ["Conv2DMMLayer"]
