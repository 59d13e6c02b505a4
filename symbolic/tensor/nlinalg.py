"""Theano's ``theano.tensor.nlinalg``: linear algebra as NumPy names it."""
from symbolic.ops.decompositions import eig, eigh, eigvals, qr, svd, svdvals
from symbolic.ops.diagonal import alloc_diag, diag, extract_diag
from symbolic.ops.least_squares import lstsq, pinv
from symbolic.ops.matrix import det, kron, matrix_dot, matrix_inverse, matrix_power, slogdet, tensorinv, trace
from symbolic.ops.norms import norm
from symbolic.ops.solve import tensorsolve

inv = matrix_inverse

__all__ = ["alloc_diag", "det", "diag", "eig", "eigh", "eigvals", "extract_diag", "inv", "kron", "lstsq", "matrix_dot",
           "matrix_inverse", "matrix_power", "norm", "pinv", "qr", "slogdet", "svd", "svdvals", "tensorinv", "tensorsolve",
           "trace"]
