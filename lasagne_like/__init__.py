"""Layers of networks, with Lasagne's names, on top of `symbolic`: thin, so that expressions stay in reach."""
from lasagne_like import init, layers, nonlinearities, objectives, prototxt, pytorch, random, regularization, updates, utils
from lasagne_like import weights as weights
from lasagne_like.prototxt import load as load_prototxt
from lasagne_like.pytorch import load as load_torch
from lasagne_like.training import History, train
from lasagne_like.weights import copy_matching, freeze, load, save, unfreeze

__all__ = ["History", "copy_matching", "freeze", "init", "layers", "load", "load_prototxt", "load_torch", "nonlinearities",
           "objectives", "prototxt", "pytorch", "random", "regularization", "save", "train", "unfreeze", "updates", "utils",
           "weights"]
