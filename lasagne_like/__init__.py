"""Layers of networks, with Lasagne's names, on top of `symbolic`: thin, so that expressions stay in reach.

What there is so far: dense networks with their initialisers, nonlinearities, objectives and updates.
"""
from lasagne_like import init, layers, nonlinearities, objectives, random, updates

__all__ = ["init", "layers", "nonlinearities", "objectives", "random", "updates"]
