"""The user's namespace: ``import symbolic.tensor as T``. Names are Theano's, and NumPy's for what came later."""
# ruff: noqa: F401  (re-exports)
from __future__ import annotations

import difflib
import importlib
from typing import Any

import symbolic.tensor.sort
import symbolic.tensor.var  # first: modules and functions share names, and the functions are to win
from symbolic.forward import Rop, hessian_vector_product, jacobian_vector_product
from symbolic.graph import Constant, Variable, as_tensor_variable, constant
from symbolic.graph import Constant as TensorConstant
from symbolic.ops.along import take_along_axis
from symbolic.ops.arrangement import (
    append,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    column_stack,
    cross,
    dstack,
    expand_dims,
    flip,
    fliplr,
    flipud,
    geomspace,
    hstack,
    indices,
    inner,
    inverse_permutation,
    is_flat,
    logspace,
    matrix_transpose,
    meshgrid,
    permute_row_elements,
    rollaxis,
    rot90,
    trapezoid,
    tril_indices,
    tril_indices_from,
    triu_indices,
    triu_indices_from,
    vdot,
    vstack,
)
from symbolic.ops.create import (
    Alloc,
    AllocEmpty,
    ARange,
    alloc,
    arange,
    empty,
    full,
    full_like,
    linspace,
    mgrid,
    ogrid,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from symbolic.ops.cumulative import cummax, cummin, cumprod, cumsum, diff
from symbolic.ops.diagonal import (
    Eye,
    alloc_diag,
    diag,
    diagonal,
    extract_diag,
    eye,
    identity_like,
    trace,
    tri,
    tril,
    triu,
)
from symbolic.ops.editing import delete, insert, put_along_axis, unique
from symbolic.ops.einsum import einsum
from symbolic.ops.extents import (
    MakeVector,
    Shape_i,
    SpecifyShape,
    addbroadcast,
    get_vector_length,
    patternbroadcast,
    shape,
    specify_shape,
    unbroadcast,
)
from symbolic.ops.extra import (
    bartlett,
    bincount,
    fill_diagonal,
    fill_diagonal_offset,
    ravel_multi_index,
    to_one_hot,
    unravel_index,
)
from symbolic.ops.functions import (
    abs_,
    add,
    and_,
    angle,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    ceil,
    clip,
    complex_,
    conj,
    cos,
    cosh,
    deg2rad,
    eq,
    erf,
    erfc,
    erfcinv,
    erfinv,
    exp,
    exp2,
    expm1,
    fill,
    floor,
    gamma,
    gammaln,
    ge,
    gt,
    imag,
    int_div,
    inv,
    invert,
    isinf,
    isnan_,
    le,
    left_shift,
    log,
    log1p,
    log2,
    log10,
    lt,
    maximum,
    minimum,
    mod,
    mul,
    neg,
    neq,
    or_,
    psi,
    rad2deg,
    real,
    right_shift,
    round_half_away_from_zero,
    round_half_to_even,
    second,
    sgn,
    sin,
    sinh,
    sqr,
    sqrt,
    sub,
    switch,
    tan,
    tanh,
    tri_gamma,
    true_div,
    trunc,
    xor,
)
from symbolic.ops.index import take
from symbolic.ops.jacobian import hessian, jacobian
from symbolic.ops.join import (
    Join,
    broadcast_to,
    concatenate,
    horizontal_stack,
    join,
    repeat,
    roll,
    split,
    stack,
    stacklists,
    tile,
    vertical_stack,
)
from symbolic.ops.linalg import Dot, batched_dot, batched_tensordot, dot, matmul, outer, tensordot
from symbolic.ops.matrix import kron
from symbolic.ops.more_functions import (
    cbrt,
    copysign,
    erfcx,
    heaviside,
    hypot,
    isfinite,
    logaddexp,
    logaddexp2,
    nan_to_num,
    sinc,
    xlogx,
    xlogy0,
)
from symbolic.ops.nnet import logsoftmax as log_softmax
from symbolic.ops.nnet import softmax
from symbolic.ops.operators import (
    allclose,
    cast,
    ceil_intdiv,
    copy,
    divmod_,
    iround,
    isclose,
    largest,
    power,
    round_,
    size,
    smallest,
)
from symbolic.ops.pad import pad
from symbolic.ops.reduce import (
    all,
    any,
    argmax,
    argmin,
    logsumexp,
    max,
    max_and_argmax,
    mean,
    min,
    norm,
    prod,
    ptp,
    std,
    sum,
    var,
)
from symbolic.ops.scatter import inc_subtensor, set_subtensor
from symbolic.ops.selection import argwhere, choose, compress, extract, flatnonzero, nonzero, nonzero_values
from symbolic.ops.shape import (
    DimShuffle,
    Reshape,
    dimshuffle,
    flatten,
    moveaxis,
    ravel,
    reshape,
    shape_padaxis,
    shape_padleft,
    shape_padright,
    squeeze,
    swapaxes,
    transpose,
)
from symbolic.ops.sort import argsort, argtopk, median, searchsorted, sort, topk, topk_and_argtopk
from symbolic.ops.special import (
    chi2sf,
    complex_from_polar,
    gammainc,
    gammaincc,
    gammal,
    gammau,
    i0,
    i1,
    iv,
    j0,
    j1,
    jv,
)
from symbolic.ops.statistics import (
    average,
    corrcoef,
    count_nonzero,
    cov,
    digitize,
    histogram,
    interp,
    nanargmax,
    nanargmin,
    nancumprod,
    nancumsum,
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
    percentile,
    quantile,
)
from symbolic.ops.variables import *  # noqa: F403  (a family made from tables: scalar, fmatrix, ivectors, ...)
from symbolic.ops.vectorize import vectorize, vmap
from symbolic.reverse import Lop, grad
from symbolic.tensor import extra_ops, fft, nlinalg, nnet, shared_randomstreams, signal, slinalg
from symbolic.tensor.var import TensorVariable
from symbolic.testing import numeric_grad, verify_grad
from symbolic.types import TensorType

# Second names of one thing: Theano's or NumPy's.
abs = abs_
as_tensor = as_tensor_variable
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = and_, or_, xor, invert
logical_and, logical_or, logical_xor, logical_not = and_, or_, xor, invert
complex = complex_
conjugate = conj
divmod = divmod_
floor_div = int_div
greater, greater_equal, less, less_equal, equal, not_equal = gt, ge, lt, le, eq, neq
isnan = isnan_
lgamma = gammaln
multiply, subtract, divide, negative, reciprocal, square = mul, sub, true_div, neg, inv, sqr
pow = power
round = round_
sign = sgn
tensor_copy = copy
where = switch


#: Modules at Theano's import paths that are found when they are asked for, and classes that only such programs name.
_LATER = {"Elemwise": "elemwise", "CAReduce": "elemwise", "TensorSharedVariable": "sharedvar",
          "ScalarSharedVariable": "sharedvar", "SharedVariable": "sharedvar", "elemwise": "", "opt": "", "sharedvar": "",
          "var": "", "xlogx": ""}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module = importlib.import_module(f"symbolic.tensor.{_LATER[name] or name}")
        return getattr(module, name) if _LATER[name] else module
    close = difflib.get_close_matches(name, globals(), 1, 0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise AttributeError(f"symbolic.tensor has no name {name!r}{hint}")


__all__ = [name for name in globals() if not name.startswith("_") and name not in ("annotations", "difflib", "importlib", "Any")]
