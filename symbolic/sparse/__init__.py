"""Sparse matrices: ``theano.sparse``."""
from symbolic.ops.sparse import (
    CSC,
    CSR,
    add,
    cast,
    clean,
    col_scale,
    csc_from_dense,
    csm_data,
    csm_indices,
    csm_indptr,
    csm_properties,
    csm_shape,
    csr_from_dense,
    dense_from_sparse,
    diag,
    ensure_sorted_indices,
    eq,
    ge,
    gt,
    hstack,
    le,
    lt,
    mul,
    mul_s_v,
    neg,
    neq,
    remove0,
    row_scale,
    sp_ones_like,
    sp_sum,
    sp_zeros_like,
    square_diagonal,
    structured_add_s_v,
    sub,
    transpose,
    vstack,
)
from symbolic.ops.sparse_parts import as_sparse, is_sparse
from symbolic.ops.sparse_products import (
    KEEP_ZEROS,
    dot,
    sampling_dot,
    structured_add,
    structured_dot,
    structured_exp,
    structured_log,
    structured_maximum,
    structured_minimum,
    structured_monoid,
    structured_pow,
    structured_sigmoid,
    true_dot,
    usmm,
)
from symbolic.ops.sparse_type import SparseShared, SparseType, SparseVariable
from symbolic.shared import shared
from symbolic.sparse.make import *  # noqa: F403  (a table of typed names)
from symbolic.sparse.make import __all__ as _made

as_sparse_variable = as_sparse
toarray = dense_from_sparse
globals().update(KEEP_ZEROS)

__all__ = [
    "CSC", "CSR", "SparseShared", "SparseType", "SparseVariable", "add", "as_sparse", "as_sparse_variable", "cast", "clean",
    "col_scale", "csc_from_dense", "csm_data", "csm_indices", "csm_indptr", "csm_properties", "csm_shape", "csr_from_dense",
    "dense_from_sparse", "diag", "dot", "ensure_sorted_indices", "eq", "ge", "gt", "hstack", "is_sparse", "le", "lt", "mul",
    "mul_s_v", "neg", "neq", "remove0", "row_scale", "sampling_dot", "shared", "sp_ones_like", "sp_sum", "sp_zeros_like",
    "square_diagonal", "structured_add", "structured_add_s_v", "structured_dot", "structured_exp", "structured_log",
    "structured_maximum", "structured_minimum", "structured_monoid", "structured_pow", "structured_sigmoid", "sub", "toarray",
    "transpose", "true_dot", "usmm", "vstack", *KEEP_ZEROS, *_made,
]
