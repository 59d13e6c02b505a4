"""What each public name can do: values, gradient, R-op, C, CUDA. ``python -m symbolic.testing.coverage`` prints docs/coverage.md.

Nothing in that table is written by hand but a call for each name: the columns are read from the graph that the call makes.
"""
from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import symbolic.random as random
import symbolic.tensor as T
from symbolic import sparse
from symbolic.errors import SymbolicError
from symbolic.fgraph import capture
from symbolic.forward import Rop
from symbolic.graph import Apply, Variable, constant
from symbolic.loop import nested_nodes
from symbolic.mode import Mode
from symbolic.opt.stable import stabilised
from symbolic.reverse import grad
from symbolic.sandbox.rng_mrg import MRG_RandomStreams
from symbolic.types import TensorType, is_complex, is_discrete

#: calls by family; `|` parts them. Names before a point are modules of `symbolic.tensor`, or `sparse`, `random`, `mrg`, `streams`
CALLS = {
    "Creation": """zeros((2, n)) | ones((2, n)) | zeros_like(x) | ones_like(x) | alloc(s, 2, n) |
        AllocEmpty("float64")(2, 3)*0 | eye(n) | identity_like(x) | tri(3) | tril(x) | triu(x) | arange(n) |
        mgrid[0:3, 0:2][0] | ogrid[0:3, 0:2][0] | constant(2.5) | as_tensor_variable([s, s]) | as_tensor([s, s]) |
        stacklists([[s, s], [s, s]]) | fill(x, s) | second(x, s) | diag(v) | full((2, n), s) | full_like(x, s) |
        empty((2, 3))*0 | linspace(s, 2.0, 5) | geomspace(s, 2.0, 5) | logspace(s, 2.0, 5)""",
    "Elementwise": """add(x, y) | sub(x, y) | mul(x, y) | true_div(x, y) | int_div(x, y) | floor_div(x, y) | mod(x, y) |
        divmod(x, y) | pow(x, y) | power(x, y) | neg(x) | inv(x) | sqr(x) | square(x) | sqrt(x) | abs_(x) | sgn(x) |
        maximum(x, y) | minimum(x, y) | clip(x, 0.3, 0.6) | switch(x > y, x, y) | where(x > y, x, y) | eq(x, y) | neq(x, y) |
        lt(x, y) | le(x, y) | gt(x, y) | ge(x, y) | isnan(x) | isinf(x) | isfinite(x) | isclose(x, y) | allclose(x, y) |
        and_(i, i) | or_(i, i) | xor(i, i) | invert(i) | bitwise_and(i, i) | bitwise_or(i, i) | bitwise_xor(i, i) |
        bitwise_not(i) | ceil(x) | floor(x) | round(x) | iround(x) | trunc(x) | ceil_intdiv(n, 2) | cast(x, "float32") |
        tensor_copy(x) | exp(x) | exp2(x) | expm1(x) | log(x) | log2(x) | log10(x) | log1p(x) | sin(x) | cos(x) | tan(x) |
        arcsin(x) | arccos(x) | arctan(x) | arctan2(x, y) | sinh(x) | cosh(x) | tanh(x) | arcsinh(x) | arccosh(x + 1) |
        arctanh(x) | deg2rad(x) | rad2deg(x) | real(z) | imag(z) | angle(z) | conj(z) | complex(x, y) |
        complex_from_polar(x, y) | logaddexp(x, y) | logaddexp2(x, y) | hypot(x, y) | cbrt(x) | copysign(x, y) |
        heaviside(x, y) | sinc(x) | nan_to_num(x)""",
    "Special functions": """erf(x) | erfc(x) | erfcx(x) | erfinv(x) | erfcinv(x) | gamma(x) | gammaln(x) | psi(x) |
        tri_gamma(x) | gammainc(2.0, y) | gammaincc(2.0, y) | gammau(2.0, y) | gammal(2.0, y) | chi2sf(x, 2.0) | j0(x) | j1(x) |
        jv(2.0, x) | i0(x) | i1(x) | iv(2.0, x) | xlogx(x) | xlogy0(x, y)""",
    "Reductions": """sum(x, axis=0) | prod(x, axis=0) | mean(x, axis=0) | var(x, axis=0) | std(x, axis=0) | max(x, axis=0) |
        min(x, axis=0) | argmax(x, axis=0) | argmin(x, axis=0) | max_and_argmax(x, axis=0) | any(x > 0.5) | all(x > 0.5) |
        ptp(x, axis=0) | cov(x) | norm(x, 2) | logsumexp(x, axis=0) | softmax(x, axis=0) | log_softmax(x, axis=0) |
        median(x, axis=0) | quantile(x, 0.3) | percentile(x, 30.0) | average(x, axis=0) | nansum(x) | nanmean(x) | nanmax(x) |
        cumsum(x, axis=0) | cumprod(x, axis=0) | cummax(x, axis=0) | cummin(x, axis=0) | smallest(x, y) | largest(x, y)""",
    "Shapes": """reshape(x, (n, n)) | flatten(x) | dimshuffle(x, 1, "x", 0) | transpose(x) | swapaxes(x, 0, 1) |
        shape_padleft(x) | shape_padright(x) | shape_padaxis(x, 1) | squeeze(x[:, :1]) | concatenate([x, y]) | join(0, x, y) |
        stack([x, y]) | horizontal_stack(x, y) | vertical_stack(x, y) | split(x, [1, 2], 2) | tile(x, (2, 1)) |
        repeat(x, 2, axis=0) | roll(x, 1, axis=0) | addbroadcast(x[:1], 0) | unbroadcast(x, 0) |
        patternbroadcast(x, (False, False)) | specify_shape(x, (3, 3)) | shape(x) | broadcast_to(v, (3, 3)) |
        moveaxis(t, 0, -1) | rollaxis(t, 2) | flip(x) | pad(x, 1) | meshgrid(v, v) | expand_dims(x, 0)""",
    "Indexing": """take(x, i, axis=0) | choose(i, [v, v, v]) | compress(b, x, axis=0) | nonzero(x) | flatnonzero(x) |
        nonzero_values(x) | set_subtensor(x[1:], s) | inc_subtensor(x[i], s) | take_along_axis(x, T.argsort(x), 1) |
        permute_row_elements(x, i) | inverse_permutation(i) | extra_ops.unravel_index(i, (2, 3)) |
        extra_ops.ravel_multi_index((i, i), (3, 3)) | argwhere(x) | put_along_axis(x, T.argsort(x), s, 1) |
        insert(x, 1, v, 0) | delete(x, 1, 0) | unique(i) | extract(b, v)""",
    "Products": """dot(x, y) | batched_dot(t, t) | tensordot(x, y, 1) | batched_tensordot(t, t, axes=1) | outer(v, v) |
        matmul(t, x) | einsum("ij,jk,k->i", x, y, v) | inner(v, v) | vdot(v, v) | cross(v, x)""",
    "Linear algebra": """nlinalg.matrix_inverse(x) | nlinalg.pinv(x) | nlinalg.det(x) | nlinalg.trace(x) | nlinalg.diag(v) |
        nlinalg.alloc_diag(v) | nlinalg.extract_diag(x) | nlinalg.eig(x) | nlinalg.eigh(a) | nlinalg.svd(x) | nlinalg.qr(x) |
        nlinalg.lstsq(x, v) | nlinalg.matrix_power(x, 3) | nlinalg.norm(x, 2) | nlinalg.matrix_dot(x, y, x) |
        nlinalg.slogdet(a) | nlinalg.tensorinv(T.reshape(x, (3, 3, 1)), 1)[0] | nlinalg.tensorsolve(x, v) |
        slinalg.cholesky(a) | slinalg.Cholesky(lower=False)(a) | slinalg.solve(x, v) | slinalg.Solve("general")(x, v) |
        slinalg.solve_lower_triangular(T.tril(x), v) | slinalg.solve_upper_triangular(T.triu(x), v) |
        slinalg.solve_symmetric(a, v) | slinalg.eigvalsh(a, T.eye(3)) | slinalg.expm(x) | slinalg.kron(x, y) | slinalg.lu(x) |
        slinalg.cho_solve((T.slinalg.cholesky(a), True), v) | slinalg.block_diag(x, y)""",
    "Sorting": """sort(x) | argsort(x) | topk(x, 2) | argtopk(x, 2) | topk_and_argtopk(x, 2)""",
    "extra_ops": """extra_ops.bincount(i, v) | extra_ops.squeeze(x[:, :1]) | extra_ops.repeat(x, 2, axis=0) |
        extra_ops.bartlett(n) | extra_ops.fill_diagonal(x, s) | extra_ops.fill_diagonal_offset(x, s, 1) |
        extra_ops.cumsum(x, axis=0) | extra_ops.cumprod(x, axis=0) | extra_ops.diff(x) | extra_ops.compress(b, x, axis=0) |
        extra_ops.searchsorted(v, v) | extra_ops.to_one_hot(i, 3) | extra_ops.Unique()(v) | extra_ops.CpuContiguous()(x)""",
    "Fourier transforms": """fft.rfft(x) | fft.irfft(t[..., :2]) | fft.fft(x) | fft.ifft(z) | fft.rfftn(x) | fft.irfftn(z) |
        fft.fftshift(x)""",
    "Networks": """nnet.sigmoid(x) | nnet.ultra_fast_sigmoid(x) | nnet.hard_sigmoid(x) | nnet.softplus(x) | nnet.softsign(x) |
        nnet.softmax(x) | nnet.logsoftmax(x) | nnet.softmax_graph(x) | nnet.relu(x - y) | nnet.elu(x - y) | nnet.selu(x - y) |
        nnet.categorical_crossentropy(T.nnet.softmax(x), i) | nnet.binary_crossentropy(x, y) |
        nnet.sigmoid_binary_crossentropy(x, y) | nnet.h_softmax(x, 3, 4, 2, 2, x[:, :2], v[:2], t[:, :, :2], x[:2, :2]) |
        nnet.confusion_matrix(i, i) | nnet.crossentropy_softmax_1hot(x, i) | nnet.crossentropy_softmax_1hot_with_bias(x, v, i) |
        nnet.crossentropy_categorical_1hot(T.nnet.softmax(x), i) | nnet.batch_normalization(x, v, v, v, v) |
        nnet.bn.batch_normalization_train(x, v, v) | nnet.bn.batch_normalization_test(x, v, v, v, v) |
        nnet.ctc.ctc(T.stack([x, x]), [[1], [2], [1]], [2, 2, 2]) | nnet.neighbours.images2neibs(m, (2, 2)) |
        nnet.neighbours.neibs2images(T.nnet.neighbours.images2neibs(m, (2, 2)), (2, 2), m.shape) |
        nnet.blocksparse.sparse_block_dot(w, t, [[0, 1, 0], [1, 0, 1]], x[:2], [[0], [1]])""",
    "Convolutions": """nnet.conv2d(m, w) | nnet.conv2d_transpose(m, w, (1, 2, 8, 8)) |
        nnet.conv2d_grad_wrt_inputs(m, w, (1, 2, 8, 8)) | nnet.conv2d_grad_wrt_weights(m, m, (2, 2, 1, 1)) |
        nnet.conv3d(q, q[:, :, :1, :2, :2]) | nnet.conv3d_grad_wrt_inputs(q, q[:, :, :1, :1, :1], q.shape) |
        nnet.conv3d_grad_wrt_weights(q, q, (1, 1, 1, 1, 1)) | nnet.separable_conv2d(m, w[:, :1], w[:, :, :1, :1], 2) |
        nnet.separable_conv3d(q, q[:, :, :1, :1, :1], q[:, :, :1, :1, :1], 1) |
        nnet.abstract_conv.causal_conv1d(t, t, (2, 3, 3)) | nnet.abstract_conv.bilinear_upsampling(m, 2) |
        nnet.abstract_conv.frac_bilinear_upsampling(m, (3, 2)) | nnet.abstract_conv.bilinear_kernel_1D(2) |
        nnet.abstract_conv.bilinear_kernel_2D(2) | nnet.conv.conv2d(m, w) | signal.conv.conv2d(x, y[:2, :2]) |
        nnet.AbstractConv2d_gradInputs()(w, m, (8, 8))""",
    "Pooling": """signal.pool.pool_2d(m, (2, 2), True) | signal.pool.pool_3d(q, (1, 2, 2), True) |
        signal.pool.max_pool_2d_same_size(m, (2, 2)) | signal.downsample.max_pool_2d(m, (2, 2), True)""",
    "Sparse matrices": """sparse.csr_from_dense(x) | sparse.csc_from_dense(x) | sparse.dense_from_sparse(S) |
        sparse.CSR(v, [0, 1, 2], [0, 1, 2, 3], (3, 3)) | sparse.CSC(v, [0, 1, 2], [0, 1, 2, 3], (3, 3)) |
        sparse.csm_properties(S) | sparse.csm_data(S) | sparse.csm_indices(S) | sparse.csm_indptr(S) | sparse.csm_shape(S) |
        sparse.dot(S, x) | sparse.true_dot(S, S) | sparse.structured_dot(S, x) | sparse.sampling_dot(x, y, S) |
        sparse.usmm(s, S, x, y) | sparse.add(S, S) | sparse.sub(S, S) | sparse.mul(S, S) | sparse.eq(S, S) | sparse.lt(S, S) |
        sparse.row_scale(S, v) | sparse.col_scale(S, v) | sparse.sp_sum(S, axis=0) | sparse.diag(S) |
        sparse.square_diagonal(v) | sparse.hstack([S, S]) | sparse.vstack([S, S]) | sparse.ensure_sorted_indices(S) |
        sparse.remove0(S) | sparse.clean(S) | sparse.structured_sigmoid(S) | sparse.structured_exp(S) |
        sparse.structured_log(S) | sparse.structured_pow(S, 2.0) | sparse.structured_minimum(S, 0.5) |
        sparse.structured_maximum(S, 0.5) | sparse.structured_add(S, 1.0) | sparse.cast(S, "float32") | sparse.transpose(S) |
        sparse.sqr(S) | sparse.tanh(S)""",
    "Random numbers": """mrg.uniform((3,), s) | mrg.binomial((3,), 1, s) | mrg.normal((3,), s) | mrg.truncated_normal((3,), s) |
        mrg.multinomial(pvals=T.nnet.softmax(x)) | mrg.multinomial_wo_replacement(pvals=T.nnet.softmax(x), n=2) |
        mrg.choice(3, p=T.nnet.softmax(x), replace=False) | streams.uniform((3,), s) | streams.normal((3,), s) |
        streams.binomial((3,), 1, s) | streams.random_integers((3,), 0, 5) | streams.poisson((3,), s) |
        streams.permutation((), 5) | streams.choice((3,), 5) | streams.multinomial((), 3, [0.2, 0.8]) |
        streams.shuffle_row_elements(x) | random.uniform(k, (3,), s) | random.normal(k, (3,), s) |
        random.truncated_normal(k, (3,), s) | random.gamma(k, (3,), s) | random.beta(k, (3,), s, s) |
        random.exponential(k, (3,), s) | random.poisson(k, (3,), s) | random.binomial(k, (3,), 4, s) |
        random.permutation(k, (), 5) | random.categorical(k, T.nnet.softmax(x)) |
        random.multinomial(k, None, 3, T.nnet.softmax(x)) | random.dirichlet(k, v)""",
}


#: what docs/coverage.md says before its tables
HEAD = """# What each name can do

Printed by `python -m symbolic.testing.coverage`, which makes the call of each line and reads its graph;
`tests/test_coverage.py` compares this page with it, and what the calls compute natively with what the interpreter computes.
Tests of values against other libraries are in the tests of each family.

- *gradient*, *R-op*: yes; 0: nothing flows from reals to reals (integers, comparisons, what depends on no input); no: an error
  says so.
- *C*: a loop or a template in the compiled program, with the libraries it calls; *Python*: a step of it, in SciPy or NumPy.
- *CUDA*: where it runs with `device="cuda"`; host: on the CPU.""".split("\n")


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Attributes
    ----------
    name, call : str
    outputs : tuple of Variable
        Dense.
    gradient, forward : str
        'yes'; '0' where nothing flows from reals to reals; 'no'.
    native : str
        'C', with the libraries it calls, or 'Python' and what is a step of it.
    cuda : str
    """

    name: str
    call: str
    outputs: tuple[Variable, ...]
    gradient: str
    forward: str
    native: str
    cuda: str


@dataclass(frozen=True)
class Scene:
    """The variables of calls, and values for them."""

    names: dict[str, Any]
    values: dict[Variable, np.ndarray]

    @property
    def reals(self) -> list[Variable]:
        """Variables to differentiate by."""
        return [v for v in self.values if not is_discrete(v.dtype)]


def scene() -> Scene:
    """Return new variables, and values at which every call is smooth."""
    rng = np.random.default_rng(5)
    made: dict[str, Variable] = {}
    values: dict[Variable, np.ndarray] = {}

    def add(name: str, value: Any, dtype: str = "float64") -> None:
        array = np.asarray(value, dtype)
        made[name] = Variable(TensorType(dtype, (None,) * array.ndim), name=name)
        values[made[name]] = array

    add("x", rng.uniform(0.1, 0.5, (3, 3)) + 0.4 * np.eye(3))
    add("y", rng.uniform(0.2, 0.8, (3, 3)))
    add("v", [0.3, 0.5, 0.8])
    add("s", 0.7)
    add("z", rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)), "complex128")
    add("t", rng.uniform(0.2, 0.8, (2, 3, 3)))
    add("m", rng.normal(size=(1, 2, 6, 6)))
    add("w", rng.normal(size=(2, 2, 3, 3)))
    add("q", rng.normal(size=(1, 1, 2, 4, 4)))
    add("i", [2, 0, 1], "int64")
    add("b", [True, False, True], "bool")
    add("n", 3, "int64")
    x: Any = made["x"]
    names: dict[str, Any] = {**made, "T": T, "sparse": sparse, "random": random, "mrg": MRG_RandomStreams(3),
                             "streams": T.shared_randomstreams.RandomStreams(3), "k": random.key(3),
                             "a": T.dot(x, x.T) + T.eye(3), "S": sparse.csr_from_dense(T.switch(T.eye(3), x, 0.0))}
    return Scene(names, values)


def calls() -> Iterator[tuple[str, str, str]]:
    """Return the family, name and call of each line."""
    for family, text in CALLS.items():
        for call in text.split("|"):
            name = call.strip().partition("(")[0].partition("[")[0]
            yield family, name, " ".join(call.split())


def evaluated(call: str, names: dict[str, Any]) -> tuple[Variable, ...]:
    """Return the results of a call, sparse ones as dense ones."""
    first = call.partition("(")[0].partition(".")[0]
    made = eval(call if first in ("sparse", "random", "mrg", "streams") else f"T.{call}", names)
    flat: list[Any] = []
    stack = [made]
    while stack:
        v = stack.pop(0)
        if isinstance(v, (list, tuple)):
            stack = [*v, *stack]
        elif v is not None:
            flat.append(T.as_tensor_variable(sparse.dense_from_sparse(v) if sparse.is_sparse(v) else v))
    return tuple(flat)


def _derivative(outputs: Sequence[Variable], wrt: Sequence[Variable], build: Callable[[list[Variable]], list[Any]]) -> str:
    reals = [o for o in outputs if not is_discrete(o.dtype)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = build(reals) if reals else []
    except (SymbolicError, NotImplementedError):
        return "no"
    return "yes" if any(g is not None for g in found) else "0"


def _backward(wrt: Sequence[Variable]) -> Callable[[list[Variable]], list[Any]]:
    def build(reals: list[Variable]) -> list[Any]:
        cost: Any = sum(T.sum(T.real(o) + T.imag(o)) if is_complex(o.dtype) else T.sum(T.cast(o, "float64")) for o in reals)
        return list(grad(cost, list(wrt), disconnected_inputs="ignore", return_disconnected="none"))

    return build


def _forward(values: dict[Variable, np.ndarray], wrt: Sequence[Variable]) -> Callable[[list[Variable]], list[Any]]:
    def build(reals: list[Variable]) -> list[Any]:
        return list(Rop(reals, list(wrt), [constant(np.ones_like(values[v])) for v in wrt], disconnected_outputs="ignore",
                        return_disconnected="None"))

    return build


def nodes_of(outputs: Sequence[Variable], inputs: Sequence[Variable]) -> list[Apply]:
    """Return the applications that a compiled function of `outputs` consists of."""
    return nested_nodes(capture(list(inputs), stabilised(outputs, inputs, Mode())))


def native(nodes: Sequence[Apply]) -> str:
    """Return what these applications become in a program."""
    steps = sorted({n.op.name for n in nodes if n.op.opaque})
    if steps:
        return "Python: " + ", ".join(steps)
    libraries = {"BLAS" for n in nodes if n.op.extern is not None}
    for n in nodes:
        template = n.op.template(*(v.type for v in n.inputs))
        if template is not None and template.library is not None:
            libraries.add(template.library.upper())
    return ", ".join(["C", *sorted(libraries)])


def cuda(nodes: Sequence[Apply]) -> str:
    """Return where these applications run with ``device='cuda'``: there is no such device yet."""
    return "host"


def lines(place: Scene) -> list[tuple[str, Line]]:
    """Return each line of the table, with its family."""
    out = []
    inputs = list(place.values)
    for family, name, call in calls():
        outputs = evaluated(call, dict(place.names))
        nodes = nodes_of(outputs, inputs)
        backwards = _derivative(outputs, place.reals, _backward(place.reals))
        forwards = _derivative(outputs, place.reals, _forward(place.values, place.reals))
        out.append((family, Line(name, call, outputs, backwards, forwards, native(nodes), cuda(nodes))))
    return out


def page(rows: Sequence[tuple[str, Line]]) -> str:
    """Return docs/coverage.md."""
    text = [*HEAD]
    for family in dict.fromkeys(f for f, _ in rows):
        text += ["", f"## {family}", "", "| name | values | gradient | R-op | C | CUDA |", "|---|---|---|---|---|---|"]
        text += [f"| `{r.name}` | yes | {r.gradient} | {r.forward} | {r.native} | {r.cuda} |" for f, r in rows if f == family]
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    print(page(lines(scene())), end="")
