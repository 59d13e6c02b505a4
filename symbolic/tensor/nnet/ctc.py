"""Connectionist temporal classification: ``T.nnet.ctc.ctc``."""
from symbolic.ops.ctc import ctc

__all__ = ["ctc"]
