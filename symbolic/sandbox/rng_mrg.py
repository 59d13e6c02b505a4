"""Theano's place for `MRG_RandomStreams`."""
from symbolic.ops.random_mrg import MRG_RandomStreams, guess_n_streams

__all__ = ["MRG_RandomStreams", "guess_n_streams"]
