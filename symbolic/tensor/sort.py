"""Theano's ``theano.tensor.sort``."""
from symbolic.ops.sort import argsort, argtopk, median, sort, topk, topk_and_argtopk

__all__ = ["argsort", "argtopk", "median", "sort", "topk", "topk_and_argtopk"]
