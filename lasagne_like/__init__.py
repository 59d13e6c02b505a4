"""Layers of networks, with Lasagne's names, on top of `symbolic`: thin, so that expressions stay in reach."""
from lasagne_like import init, layers, nonlinearities, objectives, random, regularization, updates, utils

__all__ = ["init", "layers", "nonlinearities", "objectives", "random", "regularization", "updates", "utils"]
