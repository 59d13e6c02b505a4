"""Patches of pictures: ``T.nnet.neighbours.images2neibs``."""
from symbolic.ops.neighbours import images2neibs, neibs2images

__all__ = ["images2neibs", "neibs2images"]
