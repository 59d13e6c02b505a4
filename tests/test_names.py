"""The names of Theano's tensor namespace, with their documented arguments: each is there, and takes them by these names."""
from __future__ import annotations

import inspect

import numpy as np
import pytest

import symbolic.tensor as T
from symbolic.graph import Variable

#: name and arguments, in order; `=` marks one that may be left out. Where there is no parenthesis: elementwise, by position.
FUNCTIONS = """
zeros(shape, dtype=) ones(shape, dtype=) zeros_like(model, dtype=, opt=) ones_like(model, dtype=, opt=) alloc(value, *shape)
AllocEmpty(dtype) eye(n, m=, k=, dtype=) identity_like(x) tri(n, m=, k=, dtype=) tril(x, k=) triu(x, k=)
arange(start, stop=, step=, dtype=) constant(value, name=, ndim=, dtype=) as_tensor_variable(x, name=, ndim=)
as_tensor(x, name=, ndim=) stacklists(arg) fill(a, b) diag(v, k=) allclose(a, b, rtol=, atol=, equal_nan=)
isclose(a, b, rtol=, atol=, equal_nan=) round(x, mode=) iround(x, mode=) ceil_intdiv(x, y) cast(x, dtype)
tensor_copy(x, name=) divmod(x, y) power(x, y) pow(x, y) complex_from_polar(abs, angle) gammainc(k, x) gammaincc(k, x)
gammau(k, x) gammal(k, x) chi2sf(x, k) j0(x) j1(x) jv(v, x) i0(x) i1(x) iv(v, x) sum(x, axis=, dtype=, keepdims=, acc_dtype=)
prod(x, axis=, dtype=, keepdims=, acc_dtype=, no_zeros_in_input=) mean(x, axis=, dtype=, keepdims=, acc_dtype=)
var(x, axis=, ddof=, keepdims=, corrected=) std(x, axis=, ddof=, keepdims=, corrected=) max(x, axis=, keepdims=)
min(x, axis=, keepdims=) argmax(x, axis=, keepdims=) argmin(x, axis=, keepdims=) max_and_argmax(x, axis=, keepdims=)
any(x, axis=, keepdims=) all(x, axis=, keepdims=) ptp(x, axis=) cov(m, y=, rowvar=, bias=, ddof=, fweights=, aweights=)
cumsum(x, axis=) cumprod(x, axis=) smallest(*args) largest(*args) reshape(x, newshape, ndim=) flatten(x, ndim=, outdim=)
dimshuffle(x, *pattern) transpose(x, axes=) swapaxes(x, axis1, axis2) shape_padleft(x, n_ones=) shape_padright(x, n_ones=)
shape_padaxis(x, axis) squeeze(x) concatenate(tensor_list, axis=) join(axis, *tensors) stack(tensors, axis=)
horizontal_stack(*args) vertical_stack(*args) split(x, splits_size, n_splits=, axis=) tile(x, reps, ndim=)
repeat(x, repeats, axis=) roll(x, shift, axis=) addbroadcast(x, *axes) unbroadcast(x, *axes)
patternbroadcast(x, broadcastable) specify_shape(x, shape) shape(x) is_flat(var, ndim=, outdim=) get_vector_length(v)
take(x, indices, axis=, mode=) choose(a, choices, out=, mode=) compress(condition, x, axis=) nonzero(a, return_matrix=)
flatnonzero(a) nonzero_values(a) set_subtensor(x, y, inplace=, tolerate_inplace_aliasing=)
inc_subtensor(x, y, inplace=, tolerate_inplace_aliasing=, set_instead_of_inc=) permute_row_elements(x, y, inverse=)
inverse_permutation(perm) dot(a, b) batched_dot(a, b) tensordot(a, b, axes=) batched_tensordot(x, y, axes=) outer(a, b)
sort(a, axis=, kind=, order=) argsort(a, axis=, kind=, order=) topk(x, kth, axis=, sorted=, idx_dtype=)
argtopk(x, kth, axis=, sorted=, idx_dtype=) topk_and_argtopk(x, kth, axis=, sorted=, idx_dtype=)
grad(cost, wrt, consider_constant=, disconnected_inputs=, add_names=, known_grads=, return_disconnected=, null_gradients=)
Lop(f, wrt, eval_points, consider_constant=, disconnected_inputs=) Rop(f, wrt, eval_points, disconnected_outputs=)
jacobian(expression, wrt, consider_constant=, disconnected_inputs=)
hessian(cost, wrt, consider_constant=, disconnected_inputs=) scalar(name=, dtype=) vector(name=, dtype=) matrix(name=, dtype=)
row(name=, dtype=) col(name=, dtype=) tensor3(name=, dtype=) nlinalg.matrix_inverse(a) nlinalg.pinv(a) nlinalg.det(a)
nlinalg.trace(x) nlinalg.diag(v) nlinalg.alloc_diag(v) nlinalg.extract_diag(x) nlinalg.eig(a) nlinalg.eigh(a, UPLO=)
nlinalg.svd(a, full_matrices=, compute_uv=) nlinalg.qr(a, mode=) nlinalg.lstsq(*args) nlinalg.matrix_power(m, n)
nlinalg.norm(x, ord=) nlinalg.matrix_dot(*args) nlinalg.tensorinv(a, ind=) nlinalg.tensorsolve(a, b, axes=)
slinalg.cholesky(a) slinalg.Cholesky(lower=, on_error=) slinalg.solve(a, b) slinalg.Solve(A_structure=)
slinalg.solve_lower_triangular(a, b) slinalg.solve_upper_triangular(a, b) slinalg.solve_symmetric(a, b)
slinalg.eigvalsh(a, b=, lower=) slinalg.expm(a) slinalg.kron(a, b) extra_ops.bincount(x, weights=, minlength=, assert_nonneg=)
extra_ops.squeeze(x) extra_ops.repeat(x, repeats, axis=) extra_ops.bartlett(M) extra_ops.fill_diagonal(a, val)
extra_ops.fill_diagonal_offset(a, val, offset) extra_ops.cumsum(x, axis=) extra_ops.cumprod(x, axis=)
extra_ops.diff(x, n=, axis=) extra_ops.compress(condition, x, axis=) extra_ops.searchsorted(x, v, side=, sorter=)
extra_ops.to_one_hot(y, nb_class, dtype=) extra_ops.Unique(return_index=) extra_ops.CpuContiguous()
extra_ops.unravel_index(indices, dims, order=) extra_ops.ravel_multi_index(multi_index, dims, mode=, order=)
einsum(subscripts, *operands, optimize=) matmul(a, b) pad(array, pad_width, mode=) full(shape, fill_value, dtype=)
full_like(model, fill_value, dtype=) linspace(start, stop, num=, endpoint=, dtype=, axis=)
geomspace(start, stop, num=, endpoint=, dtype=, axis=)
logspace(start, stop, num=, endpoint=, base=, dtype=, axis=) insert(arr, obj, values, axis=) delete(arr, obj, axis=)
put_along_axis(arr, indices, values, axis) take_along_axis(x, indices, axis=)
moveaxis(x, source, destination) rollaxis(a, axis, start=) broadcast_to(x, shape) broadcast_arrays(*args)
logsumexp(x, axis=, keepdims=) softmax(c, axis=) log_softmax(c, axis=) median(x, axis=, keepdims=)
percentile(a, q, axis=, method=, keepdims=) quantile(a, q, axis=, method=, keepdims=)
unique(ar, return_index=, return_inverse=, return_counts=, axis=) vectorize(func=, signature=) vmap(fun, in_axes=, out_axes=)
digitize(x, bins, right=) histogram(a, bins=, range=, weights=, density=) interp(x, xp, fp, left=, right=)
nansum(a, axis=, dtype=, keepdims=) nanmean(a, axis=, keepdims=) nanmax(a, axis=, keepdims=)
average(a, axis=, weights=, returned=) tril_indices(n, k=, m=) triu_indices(n, k=, m=) meshgrid(*xi, indexing=, sparse=)
flip(m, axis=) cross(a, b, axis=) inner(a, b) fft.rfft(inp, norm=) fft.irfft(inp, norm=, is_odd=) fft.fft(a, n=, axis=, norm=)
fft.ifft(a, n=, axis=, norm=) fft.fftn(a, s=, axes=, norm=) fft.ifftn(a, s=, axes=, norm=) fft.rfftn(a, s=, axes=, norm=)
fft.irfftn(a, s=, axes=, norm=) fft.fftshift(x, axes=) fft.fftfreq(n, d=)
"""
ELEMENTWISE = """
add sub mul true_div int_div floor_div mod neg inv sqr square sqrt abs_ sgn maximum minimum clip switch where eq neq lt le gt
ge isnan isinf and_ or_ xor invert bitwise_and bitwise_or bitwise_xor bitwise_not ceil floor trunc exp exp2 expm1 log log2
log10 log1p sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg real imag angle
conj complex erf erfc erfcx erfinv erfcinv gamma gammaln psi tri_gamma xlogx xlogy0 logaddexp logaddexp2 isfinite second
""".split()
METHODS = """
T dtype broadcastable ndim shape size real imag dimshuffle reshape flatten ravel transpose swapaxes squeeze repeat take
diagonal trace sort argsort nonzero nonzero_values compress choose fill round clip cumsum cumprod searchsorted norm dot sum
prod mean std var min max argmin argmax ptp any all astype copy zeros_like ones_like conj set inc exp log log1p sqrt sqr sin
cos tan tanh floor ceil trunc sgn
""".split()
CONSTRUCTORS = [p + n for p in ("", *"bwilfdcz")
                for n in ("scalar", "vector", "matrix", "row", "col", *(f"tensor{k}" for k in range(3, 8)))]


def _entries():
    text = FUNCTIONS.replace("\n", " ").strip()
    for part in text.split(") "):
        name, _, inside = part.rstrip(")").strip().partition("(")
        yield name, [a.strip() for a in inside.split(",") if a.strip()]


@pytest.mark.parametrize("name,arguments", list(_entries()), ids=lambda v: v if isinstance(v, str) else "")
def test_functions(name, arguments):
    place, _, last = name.rpartition(".")
    function = getattr(getattr(T, place) if place else T, last)
    own = inspect.signature(function).parameters
    for a in arguments:
        plain = a.strip("*=")
        if a.startswith("*"):
            assert own[plain].kind is inspect.Parameter.VAR_POSITIONAL, a
        else:
            assert plain in own, f"{name} takes {list(own)}"
            assert (own[plain].default is not inspect.Parameter.empty) == a.endswith("="), a
    required = [a for a in arguments if not a.endswith("=") and not a.startswith("*")]
    first = [n for n, p in own.items() if p.kind is not inspect.Parameter.VAR_POSITIONAL][:len(required)]
    assert first == required, "they are positional in this order"
    assert function.__doc__ and len(function.__doc__) > 20


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    row = getattr(T, name)
    bits = name in ("and_", "or_", "xor", "invert") or name.startswith("bitwise")
    x = T.lvector("x") if bits else T.dvector("x")
    assert isinstance(row(*[x] * row.nin), Variable)


def test_methods_and_constructors():
    x = T.dmatrix("x")
    assert [m for m in METHODS if not hasattr(x, m)] == []
    for name in CONSTRUCTORS:
        assert isinstance(getattr(T, name)("v"), Variable)
    assert len(T.matrices("xyz")) == 3 and T.mgrid[0:3].ndim == 1 and len(T.ogrid[0:2, 0:3]) == 2
    assert T.TensorType("float32", (False, True))("x").broadcastable == (False, True)


def test_every_public_name_is_said_to_be_public():
    assert set(T.__all__) >= {n.partition(".")[0] for n, _ in _entries()} | set(ELEMENTWISE)
    with pytest.raises(AttributeError, match="did you mean 'argmax'"):
        T.argmx  # noqa: B018
    assert np.ndim(T.__all__) == 1
