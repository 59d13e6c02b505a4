"""Theano's place for streams of random numbers kept in shared variables."""
from symbolic.ops.random_streams import RandomStreams

__all__ = ["RandomStreams"]
