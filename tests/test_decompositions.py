"""Linear algebra against NumPy and SciPy, on both back ends, with derivatives, batches and error texts."""
from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.batching import batched
from symbolic.codegen import entry, lower, native, request
from symbolic.codegen.compiler import find_compiler
from symbolic.codegen.reference import evaluate
from symbolic.graph import Variable
from symbolic.tensor import nlinalg, slinalg
from symbolic.types import TensorType

RNG = np.random.default_rng(5)
DTYPES = ("float64", "complex64")
LOOSE = {"float32": 2e-3, "complex64": 2e-3}


def draw(shape, dtype="float64"):
    a = RNG.normal(size=shape)
    return (a + 1j * RNG.normal(size=shape) if dtype.startswith("complex") else a).astype(dtype)


def hermitian(a):
    return a + np.swapaxes(a, -1, -2).conj()


def positive(a):
    return (a @ np.swapaxes(a, -1, -2).conj() + np.eye(a.shape[-1])).astype(a.dtype)


def compare(outs, values, want, dtype, names=None):
    """Check compiled and interpreted results against an oracle's."""
    tolerance = LOOSE.get(dtype, 1e-9)
    got = run(outs, values, rtol=tolerance, atol=tolerance)
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        w = np.asarray(w)
        assert g.shape == w.shape, (k, g.shape, w.shape)
        assert g.dtype == w.dtype, (k, g.dtype, w.dtype)
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance, err_msg=str(k))


def each(f, *arrays):
    """Apply a function of matrices to a batch of them."""
    return np.stack([f(*m) for m in zip(*arrays, strict=True)])


# ------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("dtype", DTYPES)
def test_equations(dtype):
    a, b, c = draw((2, 4, 4), dtype), draw((4, 3), dtype), draw((2, 1, 4, 3), dtype)
    h, p, s = hermitian(a), positive(a), a + np.swapaxes(a, -1, -2)
    values = {}
    va, vb, vc, vh, vp, vs = variables(a, b, c, h, p, s)
    values = dict(zip((va, vb, vc, vh, vp, vs), (a, b, c, h, p, s), strict=True))
    low, up = np.tril(a), np.triu(a)
    unit = np.tril(a, -1) + np.eye(4)
    solve = np.linalg.solve
    outs = [
        slinalg.solve(va, vb), slinalg.solve(va[0], vb[:, 0]), slinalg.solve(va, vc), slinalg.solve(va, vc[0, :, :, 0], b_ndim=1),
        slinalg.solve(T.tril(vs), vb, "sym"), slinalg.solve(T.triu(vs), vb, "sym", lower=False),
        slinalg.solve(T.tril(vh), vb, "her"), slinalg.solve(T.triu(vh), vb, "her", lower=False),
        slinalg.solve(T.tril(vp), vb, "pos"), slinalg.solve(T.triu(vp), vb[:, 1], "pos", lower=False),
        slinalg.solve_lower_triangular(va, vb), slinalg.solve_upper_triangular(va, vb[:, 0]), slinalg.solve_symmetric(vs, vb),
        slinalg.solve_triangular(va, vb, lower=True, trans="T"), slinalg.solve_triangular(va, vb, trans="C"),
        slinalg.solve_triangular(va, vb, lower=True, unit_diagonal=True), slinalg.Solve("lower_triangular")(va, vb),
        slinalg.Solve("symmetric")(vs, vb), slinalg.cho_solve((slinalg.cholesky(vp), True), vb),
        slinalg.cho_solve((slinalg.cholesky(vp, lower=False), False), vb),
    ]
    one = [solve(m, b[:, 1:2])[:, 0] for m in p]
    want = [
        solve(a, b), solve(a[0], b[:, 0]), solve(a[None], c), solve(a, c[0])[..., 0], solve(s, b), solve(s, b), solve(h, b),
        solve(h, b), solve(p, b), np.stack(one), solve(low, b), solve(up, b[:, :1])[..., 0], solve(s, b),
        solve(np.swapaxes(low, -1, -2), b), solve(np.swapaxes(up, -1, -2).conj(), b), solve(unit, b), solve(low, b),
        solve(s, b), solve(p, b), solve(p, b),
    ]
    compare(outs, values, [w.astype(dtype) for w in want], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inverses_determinants_powers(dtype):
    a, t = draw((2, 3, 3), dtype), draw((4, 6, 8, 3), dtype)
    va, vt = variables(a, t)
    sign, log = np.linalg.slogdet(a)
    outs = [nlinalg.matrix_inverse(va), nlinalg.det(va), *nlinalg.slogdet(va), nlinalg.matrix_power(va, 5),
            nlinalg.matrix_power(va, -3), nlinalg.matrix_power(va, 0), nlinalg.matrix_power(va[0], 0), nlinalg.trace(va),
            nlinalg.tensorinv(vt), nlinalg.tensorsolve(vt, vt[:, :, 0, 0]),
            nlinalg.tensorsolve(T.dimshuffle(vt, 2, 0, 1, 3), vt[:, :, 0, 0], axes=(0, 3)),
            nlinalg.kron(va[0], vt[0, :2, 0]), nlinalg.kron(va[0, 0], va[1]),
            nlinalg.matrix_dot(va[0], va[1], va[0])]
    want = [np.linalg.inv(a), np.linalg.det(a), sign, log, np.linalg.matrix_power(a, 5), np.linalg.matrix_power(a, -3),
            np.broadcast_to(np.eye(3), (2, 3, 3)).astype(dtype), np.eye(3).astype(dtype), np.trace(a, axis1=-2, axis2=-1),
            np.linalg.tensorinv(t), np.linalg.tensorsolve(t, t[:, :, 0, 0]),
            np.linalg.tensorsolve(t, t[:, :, 0, 0]), np.kron(a[0], t[0, :2, 0]),
            np.kron(a[0, 0], a[1]), a[0] @ a[1] @ a[0]]
    compare(outs, {va: a, vt: t}, want, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_decompositions(dtype):
    a, tall, wide = draw((2, 4, 4), dtype), draw((2, 5, 3), dtype), draw((3, 5), dtype)
    h, p = hermitian(a), positive(a)
    va, vt, vw, vh, vp = variables(a, tall, wide, h, p)
    values = dict(zip((va, vt, vw, vh, vp), (a, tall, wide, h, p), strict=True))
    outs = [slinalg.cholesky(T.tril(vp)), slinalg.cholesky(T.triu(vp), lower=False), *nlinalg.eigh(T.tril(vh)),
            nlinalg.eigh(T.triu(vh), "U")[0], slinalg.eigvalsh(vh), slinalg.eigvalsh(vh, vp),
            slinalg.eigvalsh(vh, vp, lower=False),
            nlinalg.svd(vt, compute_uv=False), nlinalg.svdvals(vw), *nlinalg.svd(vt), *nlinalg.svd(vw, full_matrices=False),
            *nlinalg.qr(vt), *nlinalg.qr(vw), *nlinalg.qr(vt, "complete"), nlinalg.qr(va, "r"), *nlinalg.eig(va),
            nlinalg.pinv(vt), nlinalg.pinv(vw), slinalg.expm(va), slinalg.expm(vh * 3)]
    low = np.linalg.cholesky(p)
    general = np.stack([scipy.linalg.eigh(x, y, eigvals_only=True) for x, y in zip(h, p, strict=True)]).astype(h.real.dtype)
    size = "complex64" if dtype in LOOSE else "complex128"
    want = [low, np.swapaxes(low, -1, -2).conj(), *np.linalg.eigh(h), np.linalg.eigvalsh(h), np.linalg.eigvalsh(h), general,
            general, np.linalg.svd(tall, compute_uv=False), np.linalg.svd(wide, compute_uv=False), *np.linalg.svd(tall),
            *np.linalg.svd(wide, full_matrices=False), *np.linalg.qr(tall), *np.linalg.qr(wide),
            *np.linalg.qr(tall, "complete"), np.linalg.qr(a, "r"), *(v.astype(size) for v in np.linalg.eig(a)),
            np.linalg.pinv(tall), np.linalg.pinv(wide), each(scipy.linalg.expm, a), each(scipy.linalg.expm, h * 3)]
    compare(outs, values, want, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_least_squares(dtype):
    a, b = draw((6, 3), dtype), draw((6, 2), dtype)
    low = np.concatenate([a[:, :2], a[:, :2] @ np.array([[1], [2]], dtype)], axis=1)
    va, vb, vl = variables(a, b, low)
    outs = [*nlinalg.lstsq(va, vb), *nlinalg.lstsq()(va.T, vb[:3, 0]), *nlinalg.lstsq(vl, vb, 1e-4), nlinalg.pinv(vl, 1e-4)]
    x, rest, rank, s = np.linalg.lstsq(a, b)
    y = np.linalg.lstsq(a.T, b[:3, 0])
    z = np.linalg.lstsq(low, b, 1e-4)
    left = np.sum(np.abs(b - low @ z[0]) ** 2, axis=0)
    want = [x, rest, np.int64(rank), s, y[0], np.zeros((), s.dtype), np.int64(y[2]), y[3], z[0], left, np.int64(z[2]), z[3],
            np.linalg.pinv(low, 1e-4)]
    compare(outs, {va: a, vb: b, vl: low}, want, dtype)
    assert z[2] == 2


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_the_other_precisions(dtype):
    a, b = draw((2, 4, 4), dtype), draw((2, 4, 3), dtype)
    h, p = hermitian(a), positive(a)
    va, vb, vh, vp = variables(a, b, h, p)
    outs = [nlinalg.matrix_inverse(va), nlinalg.det(va), *nlinalg.slogdet(va), slinalg.solve(va, vb),
            slinalg.solve(vh, vb, "her"), slinalg.solve(vp, vb, "pos"), slinalg.solve_lower_triangular(vp, vb),
            slinalg.cholesky(vp), nlinalg.eigh(vh)[0],
            nlinalg.svdvals(vb), *nlinalg.qr(vb), nlinalg.lstsq(va, vb)[0], slinalg.expm(va), nlinalg.pinv(vb)]
    want = [np.linalg.inv(a), np.linalg.det(a), *np.linalg.slogdet(a), np.linalg.solve(a, b), np.linalg.solve(h, b),
            np.linalg.solve(p, b), np.linalg.solve(np.tril(p), b), np.linalg.cholesky(p), np.linalg.eigvalsh(h),
            np.linalg.svd(b, compute_uv=False), *np.linalg.qr(b), np.linalg.solve(a, b), each(scipy.linalg.expm, a),
            np.linalg.pinv(b)]
    compare(outs, {va: a, vb: b, vh: h, vp: p}, want, dtype)
    values = symbolic.function([va], nlinalg.eigvals(va))(a)
    np.testing.assert_allclose(np.sort_complex(values[0]), np.sort_complex(np.linalg.eigvals(a[0])), rtol=2e-3)


def test_norms_and_blocks():
    m, v, t = draw((3, 4)), draw((5,)), draw((2, 3, 4))
    vm, vv, vt, vz = variables(m, v, t, draw((2, 2), "complex128"))
    z = draw((2, 2), "complex128")
    orders = (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    vector = (None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf)
    outs = [nlinalg.norm(vm, o) for o in orders] + [nlinalg.norm(vz, o) for o in orders] + [nlinalg.norm(vv, o) for o in vector]
    want = [np.linalg.norm(m, o) for o in orders] + [np.linalg.norm(z, o) for o in orders]
    want += [np.linalg.norm(v, o) for o in vector]
    for o in orders:
        for keep in (False, True):
            outs.append(nlinalg.norm(vt, o, axis=(2, 0), keepdims=keep))
            want.append(np.linalg.norm(t, o, axis=(2, 0), keepdims=keep))
    outs += [nlinalg.norm(vt), nlinalg.norm(vt, keepdims=True), nlinalg.norm(vt, 3, axis=1, keepdims=True),
             slinalg.block_diag(vm, vv, 2.0, vz.real)]
    want += [np.linalg.norm(t), np.linalg.norm(t, keepdims=True), np.linalg.norm(t, 3, axis=1, keepdims=True),
             scipy.linalg.block_diag(m, v, 2.0, z.real)]
    compare(outs, {vm: m, vv: v, vt: t, vz: z}, want, "float64")


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (2, 0, 0), (0, 3, 3)])
def test_empty_and_single(shape):
    a = positive(draw(shape))
    x, = variables(a)
    full = [nlinalg.matrix_inverse(x), nlinalg.det(x), *nlinalg.slogdet(x), slinalg.cholesky(x), slinalg.solve(x, x),
            nlinalg.eigh(x)[0], nlinalg.svdvals(x), *nlinalg.qr(x), slinalg.expm(x), nlinalg.eigvals(x)]
    want = [np.linalg.inv(a), np.linalg.det(a), *np.linalg.slogdet(a), np.linalg.cholesky(a), np.linalg.solve(a, a),
            np.linalg.eigvalsh(a), np.linalg.svd(a, compute_uv=False), *np.linalg.qr(a), np.exp(a),
            np.linalg.eigvals(a).astype("complex128")]
    if shape == (0, 3, 3):
        want[-2] = a
    compare(full, {x: a}, want, "float64")


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (2, 0, 3)])
def test_decompositions_of_nothing(shape):
    a = np.zeros(shape)
    x, = variables(a)
    outs = [*nlinalg.svd(x), *nlinalg.svd(x, full_matrices=False), *nlinalg.qr(x), *nlinalg.qr(x, "complete"), nlinalg.pinv(x)]
    want = [*np.linalg.svd(a), *np.linalg.svd(a, full_matrices=False), *np.linalg.qr(a), *np.linalg.qr(a, "complete"),
            np.linalg.pinv(a)]
    compare(outs, {x: a}, want, "float64")


def test_dtypes_that_lapack_has_not():
    for dtype, work in (("int32", "float64"), ("bool", "float64"), ("float16", "float32")):
        x = TensorType(dtype, (None, None))()
        assert nlinalg.matrix_inverse(x).dtype == work
        assert slinalg.solve(x, TensorType("complex64", (None,))()).dtype == np.promote_types(work, "complex64").name
    x = TensorType("int64", (None, None))()
    np.testing.assert_allclose(symbolic.function([x], nlinalg.det(x))([[1, 2], [3, 4]]), -2)


def test_operands_with_any_strides():
    a, b = draw((4, 4)), draw((8, 6))
    x, y = variables(a, b)
    f = symbolic.function([x, y], slinalg.solve(x.T, y[::2, ::-3]))
    np.testing.assert_allclose(f(a, b), np.linalg.solve(a.T, b[::2, ::-3]), rtol=1e-9)
    np.testing.assert_allclose(f(a[::-1, ::-1], b), np.linalg.solve(a[::-1, ::-1].T, b[::2, ::-3]), rtol=1e-9)


def test_batches_that_broadcast():
    a, b = draw((3, 1, 2, 2)), draw((4, 2, 5))
    x, y = variables(a, b)
    compare([slinalg.solve(x, y), slinalg.solve(x, y[:1]), slinalg.solve(x[:, 0], y[0])], {x: a, y: b},
            [np.linalg.solve(a, b), np.linalg.solve(a, b[:1]), np.linalg.solve(a[:, 0], b[0])], "float64")


# ---------------------------------------------------------------------------------------- derivatives


A, B, TALL, WIDE = draw((3, 3)), draw((3, 2)), draw((4, 3)), draw((2, 4))
REGULAR = A + 3 * np.eye(3)


def _spread(v):
    """A function of columns that doesn't depend on their signs."""
    return v ** 2 * np.arange(1.0, 1 + v.type.shape[-1]) if v.type.shape[-1] else v ** 2


PROGRAMS = {
    "inverse": (nlinalg.matrix_inverse, A), "det": (nlinalg.det, A), "slogdet": (lambda x: nlinalg.slogdet(x)[1], A),
    "solve": (slinalg.solve, A, B), "solve a vector": (lambda a, b: slinalg.solve(a, b[:, 0]), A, B),
    "sym": (lambda a, b: slinalg.solve(a, b, "sym"), hermitian(A), B),
    "sym upper": (lambda a, b: slinalg.solve(a, b, "sym", lower=False), hermitian(A), B),
    "her": (lambda a, b: slinalg.solve(a, b, "her"), hermitian(A), B),
    "pos": (lambda a, b: slinalg.solve(a, b, "pos"), positive(A), B),
    "lower": (slinalg.solve_lower_triangular, REGULAR, B), "upper": (slinalg.solve_upper_triangular, REGULAR, B),
    "transposed": (lambda a, b: slinalg.solve_triangular(a, b, trans=1), REGULAR, B),
    "unit": (lambda a, b: slinalg.solve_triangular(a, b, unit_diagonal=True), A, B),
    "cho_solve": (lambda a, b: slinalg.cho_solve((slinalg.cholesky(a), True), b), positive(A), B),
    "cholesky": (slinalg.cholesky, positive(A)), "cholesky upper": (lambda x: slinalg.cholesky(x, lower=False), positive(A)),
    "lstsq tall": (lambda a, b: nlinalg.lstsq(a, b[0])[0], TALL, draw((1, 4))),
    "lstsq wide": (lambda a, b: nlinalg.lstsq(a, b)[0], WIDE, draw((2, 2))),
    "residuals": (lambda a, b: nlinalg.lstsq(a, b)[1], TALL, draw((4, 2))),
    "pinv tall": (nlinalg.pinv, TALL), "pinv wide": (nlinalg.pinv, WIDE),
    "eigh values": (lambda x: nlinalg.eigh(x)[0], A), "eigh vectors": (lambda x: nlinalg.eigh(x)[1] ** 2, A),
    "eigh upper": (lambda x: nlinalg.eigh(x, "U")[1] ** 2, A), "eigvalsh": (slinalg.eigvalsh, hermitian(A), positive(A)),
    "eig values": (lambda x: T.sqr(T.real(nlinalg.eigvals(x))) + 2 * T.sqr(T.imag(nlinalg.eigvals(x))), A),
    "eig vectors": (lambda x: T.sqr(T.abs_(nlinalg.eig(x)[1])), A),
    "svd values": (nlinalg.svdvals, TALL), "svd left": (lambda x: nlinalg.svd(x, False)[0] ** 2, TALL),
    "svd right": (lambda x: nlinalg.svd(x, False)[2] ** 2, TALL),
    "svd left wide": (lambda x: nlinalg.svd(x, False)[0] ** 2, WIDE),
    "svd right wide": (lambda x: nlinalg.svd(x, False)[2] ** 2, WIDE),
    "svd both": (lambda x: T.dot(nlinalg.svd(x, False)[0] * nlinalg.svd(x, False)[1] ** 2, nlinalg.svd(x, False)[2]), TALL),
    "svd full": (lambda x: T.dot(nlinalg.svd(x)[0][:, 3:], nlinalg.svd(x)[0][:, 3:].T), TALL),
    "svd full wide": (lambda x: T.dot(nlinalg.svd(x)[2][2:].T, nlinalg.svd(x)[2][2:]), WIDE),
    "qr q": (lambda x: nlinalg.qr(x)[0], TALL), "qr r": (lambda x: nlinalg.qr(x)[1], TALL),
    "qr both": (lambda x: T.dot(nlinalg.qr(x)[0] ** 2, nlinalg.qr(x)[1]), A),
    "qr wide": (lambda x: T.dot(nlinalg.qr(x)[0] ** 2, nlinalg.qr(x)[1] ** 2), WIDE),
    "qr complete": (lambda x: T.dot(nlinalg.qr(x, "complete")[0][:, 3:], nlinalg.qr(x, "complete")[0][:, 3:].T), TALL),
    "qr complete r": (lambda x: nlinalg.qr(x, "complete")[1], TALL),
    "expm": (slinalg.expm, A), "power": (lambda x: nlinalg.matrix_power(x, -3), A), "kron": (slinalg.kron, A, B),
    "nuclear norm": (lambda x: nlinalg.norm(x, "nuc"), TALL), "spectral norm": (lambda x: nlinalg.norm(x, 2), TALL),
    "blocks": (lambda a, b: slinalg.block_diag(a, b, 2.0), A, B),
    "tensorinv": (lambda x: nlinalg.tensorinv(x.reshape((2, 2, 4))), draw((4, 4))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_to_second_order(name):
    make, *arrays = PROGRAMS[name]
    xs = variables(*arrays)
    out = make(*xs)
    weight = RNG.normal(size=evaluate([out], dict(zip(xs, arrays, strict=True)))[0].shape)
    central_difference([(T.sin(out) * weight).sum()], dict(zip(xs, arrays, strict=True)), rtol=1e-5)


@pytest.mark.parametrize("name", ["solve", "pos", "lower", "cholesky", "lstsq tall", "pinv wide", "eigh vectors", "svd left",
                                  "svd full wide", "qr wide", "qr complete r", "expm", "det", "eig values"])
def test_batches(name):
    """A batch is its elements one by one, with derivatives, whichever operands have it; the compiler agrees."""
    make, *arrays = PROGRAMS[name]
    inner = variables(*arrays)
    out = make(*inner)
    for flags in [(1,)] if len(arrays) == 1 else [(1, 0), (0, 1), (1, 1)]:
        many = [np.stack([a, a + 0.1 * np.eye(*a.shape[-2:])]) if flag else a for a, flag in zip(arrays, flags, strict=True)]
        outer = variables(*many)
        (whole, _), = batched([out], {v: o for v, o, flag in zip(inner, outer, flags, strict=True) if flag},
                              {v: o for v, o, flag in zip(inner, outer, flags, strict=True) if not flag})
        values = dict(zip(outer, many, strict=True))
        ones = [{v: m[k] if flag else m for v, m, flag in zip(inner, many, flags, strict=True)} for k in (0, 1)]
        want = [evaluate([out], given)[0] for given in ones]
        slopes = T.grad((whole ** 2).sum(), outer)
        outs = [whole, *slopes]
        native = name in ("solve", "cholesky", "eigh vectors", "expm")
        got = run(outs, values, rtol=1e-7, atol=1e-9) if native else evaluate(outs, values)
        np.testing.assert_allclose(got[0], np.stack(want), rtol=1e-9, atol=1e-11)
        central_difference([(whole ** 2).sum()], values, rtol=1e-5)


def test_jacobians_and_hessians():
    x = T.dmatrix("x")
    f = symbolic.function([x], [symbolic.jacobian(nlinalg.matrix_inverse(x), x), symbolic.hessian(nlinalg.slogdet(x)[1], x)])
    one, two = f(A)
    y = np.linalg.inv(A)
    np.testing.assert_allclose(one, -np.einsum("ai,jb->abij", y, y), rtol=1e-9)
    np.testing.assert_allclose(two, -np.einsum("jk,li->ijkl", y, y), rtol=1e-9)


COMPLEX = {
    "solve": (slinalg.solve, 2), "her": (lambda a, b: slinalg.solve(a, b, "her"), 2),
    "sym": (lambda a, b: slinalg.solve(a, b, "sym"), 2),
    "inverse": (nlinalg.matrix_inverse, 1), "det": (nlinalg.det, 1), "sign": (lambda x: nlinalg.slogdet(x)[0], 1),
    "log": (lambda x: nlinalg.slogdet(x)[1], 1), "cholesky": (lambda x: slinalg.cholesky(T.dot(x, T.conj(x).T) + np.eye(3)), 1),
    "lower": (slinalg.solve_lower_triangular, 2), "pinv": (lambda a, b: nlinalg.pinv(b), 2),
    "lstsq": (lambda a, b: nlinalg.lstsq(b, a[:, :2])[0], 2), "eigh": (lambda x: nlinalg.eigh(x)[0], 1),
    "eigh vectors": (lambda x: T.abs_(nlinalg.eigh(x)[1]), 1), "eig": (lambda x: nlinalg.eig(x)[0], 1),
    "eig vectors": (lambda x: T.abs_(nlinalg.eig(x)[1]), 1), "svd": (nlinalg.svdvals, 1),
    "svd vectors": (lambda a, b: T.dot(nlinalg.svd(b, False)[0] * T.cast(nlinalg.svd(b, False)[1] ** 3, "complex128"),
                                       nlinalg.svd(b, False)[2]), 2),
    "svd left": (lambda a, b: T.abs_(nlinalg.svd(b, False)[0]), 2),
    "svd right": (lambda a, b: T.abs_(nlinalg.svd(b.T, False)[2]), 2),
    "qr": (lambda a, b: nlinalg.qr(b)[0], 2), "qr r": (lambda a, b: nlinalg.qr(b.T)[1], 2), "expm": (slinalg.expm, 1),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients(name):
    """The gradient g of a real cost in a complex matrix pairs with a step as Re(conj(g) dx)."""
    make, n = COMPLEX[name]
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=s) + 1j * rng.normal(size=s) for s in ((3, 3), (3, 2))][:n]
    steps = [rng.normal(size=a.shape) + 1j * rng.normal(size=a.shape) for a in arrays]
    xs = variables(*arrays)
    out = make(*xs)
    w = rng.normal(size=2)
    cost = (T.sin(T.real(out)) * w[0] + T.sin(T.imag(out)) * w[1] if out.dtype.startswith("complex") else T.sin(out)).sum()
    found = evaluate(T.grad(cost, xs, disconnected_inputs="ignore"), dict(zip(xs, arrays, strict=True)))
    eps = 1e-6
    at = [evaluate([cost], {x: a + s * eps * d for x, a, d in zip(xs, arrays, steps, strict=True)})[0] for s in (1, -1)]
    got = sum(np.sum((g.conj() * d).real) for g, d in zip(found, steps, strict=True))
    np.testing.assert_allclose(got, (at[0] - at[1]) / (2 * eps), rtol=1e-6, atol=1e-8)


def test_equal_eigenvalues_have_finite_derivatives():
    x = T.dmatrix("x")
    w, v = nlinalg.eigh(x)
    u, s, vh = nlinalg.svd(x)
    same = T.dot(v * T.exp(w), v.T)
    f = symbolic.function([x], [T.grad(same.sum(), x), T.grad(T.dot(u * s, vh).sum(), x)])
    first, second = f(np.eye(3))
    assert np.isfinite(first).all()
    np.testing.assert_allclose(np.diag(first), np.exp(1), rtol=1e-9)
    assert np.isfinite(second).all()


# -------------------------------------------------------------------------------- inside loops and arms


def test_inside_loops_and_branches():
    t, c = T.dtensor3("t"), T.dscalar("c")
    each_one, _ = symbolic.scan(lambda m: slinalg.cholesky(T.dot(m, m.T) + np.eye(3)), t)
    newton, _ = symbolic.scan(lambda y, m: 0.5 * (y + nlinalg.matrix_inverse(y)), None, T.eye(3) * 2.0, [t], n_steps=8)
    either = symbolic.ifelse(T.gt(c, 0), nlinalg.matrix_inverse(t[0]), T.sort(t[0]))
    a = draw((2, 3, 3))
    outs = [each_one, T.grad(each_one.sum(), t), newton[-1], either]
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([t, c], outs, mode=mode, on_unused_input="ignore")
        got = f(a, 1.0)
        np.testing.assert_allclose(got[0], np.linalg.cholesky(positive(a)), rtol=1e-9)
        np.testing.assert_allclose(got[2], np.eye(3), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got[3], np.linalg.inv(a[0]), rtol=1e-9)
        np.testing.assert_array_equal(f(a, -1.0)[3], np.sort(a[0]))
    central_difference([each_one.sum()], {t: a})
    f = symbolic.function([t, c], either)
    with pytest.raises(np.linalg.LinAlgError, match="matrix_inverse: the matrix is singular"):
        f(np.zeros((1, 3, 3)), 1.0)
    f(np.zeros((1, 3, 3)), -1.0)


# ---------------------------------------------------------------------------------------------- errors


def both(make, *arrays):
    xs = variables(*arrays)
    return run([make(*xs)], dict(zip(xs, arrays, strict=True)), on_error=True)


def test_what_cannot_be_computed():
    singular = np.array([[1.0, 2], [2, 4]])
    x = T.dmatrix("x")
    f = symbolic.function([x], nlinalg.matrix_inverse(x))
    with pytest.raises(np.linalg.LinAlgError, match=r"matrix_inverse: the matrix is singular, x \(float64 \(\?, \?\)\), at .*"
                                                    r"nlinalg.matrix_inverse\(x\)"):
        f(singular)
    with pytest.raises(errors.LinAlgError, match="the matrix is singular"):
        both(slinalg.solve, singular, np.ones((2, 1)))
    with pytest.raises(errors.LinAlgError, match="the matrix is singular"):
        both(slinalg.solve_lower_triangular, np.zeros((2, 2)), np.ones((2, 1)))
    g = symbolic.function([x], slinalg.cholesky(x))
    with pytest.raises(errors.LinAlgError, match="its leading minor of order 2 isn't positive"):
        g(singular)
    with pytest.raises(errors.LinAlgError, match="isn't positive definite"):
        both(slinalg.cholesky, -np.eye(3))
    with pytest.raises(errors.LinAlgError, match="isn't positive definite"):
        both(lambda a, b: slinalg.solve(a, b, "pos"), -np.eye(2), np.ones((2, 1)))
    with pytest.raises(errors.LinAlgError, match="elements that are nan or infinite"):
        both(nlinalg.eigvals, np.full((2, 2), np.nan))
    y, = variables(np.ones((2, 2, 2)))
    got, = run([slinalg.cholesky(y, on_error="nan")], {y: np.stack([singular, np.eye(2)])})
    assert np.isnan(got[0]).all()
    np.testing.assert_array_equal(got[1], np.eye(2))


def test_shared_variables_keep_their_value_after_an_error():
    s = symbolic.shared(np.eye(2))
    x = T.dmatrix("x")
    f = symbolic.function([x], nlinalg.matrix_inverse(x), updates=[(s, s + x)])
    with pytest.raises(errors.LinAlgError):
        f(np.zeros((2, 2)))
    np.testing.assert_array_equal(s.get_value(), np.eye(2))
    f(np.eye(2))
    np.testing.assert_array_equal(s.get_value(), 2 * np.eye(2))


def test_shapes_that_do_not_fit():
    x, v = TensorType("float64", (3, 4))("x"), T.dvector("v")
    with pytest.raises(errors.ShapeError, match=r"matrix_inverse: expected a square matrix, got extents 3 and 4, x \(float64"):
        nlinalg.matrix_inverse(x)
    with pytest.raises(errors.RankError, match=r"det: expected at least 2 dimensions, got 1, v"):
        nlinalg.det(v)
    with pytest.raises(errors.ShapeError, match="a matrix of extent 3 and right sides of extent 4 don't fit"):
        slinalg.solve(np.eye(3), np.ones(4))
    for make in (nlinalg.matrix_inverse, nlinalg.det, slinalg.cholesky, slinalg.expm, nlinalg.eig, nlinalg.eigvals, nlinalg.eigh):
        first = make(T.dmatrix())
        out = first[0] if isinstance(first, list) else first
        source = out
        while source.owner is not None:
            source = source.owner.inputs[0]
        with pytest.raises(errors.ShapeError, match="expected a square matrix, got extents 2 and 3|inner extents differ"):
            run([out], {source: np.ones((2, 3))}, on_error=True)
    with pytest.raises(errors.ShapeError, match="right sides of extent 4"):
        both(slinalg.solve, np.eye(3), np.ones((4, 1)))
    with pytest.raises(ValueError, match="differ|broadcast"):
        both(slinalg.solve, np.ones((2, 3, 3)), np.ones((4, 3, 1)))


@pytest.mark.parametrize("call,text", [
    (lambda: slinalg.solve(np.eye(2), np.ones(2), "any"), "assume_a must be one of"),
    (lambda: slinalg.Solve("any"), "A_structure must be one of"), (lambda: slinalg.Cholesky(on_error="x"), "'raise' or 'nan'"),
    (lambda: nlinalg.qr(np.eye(2), "raw"), "mode must be"), (lambda: nlinalg.eigh(np.eye(2), "X"), "UPLO must be"),
    (lambda: nlinalg.norm(np.eye(2), 3), "ord must be one of"), (lambda: nlinalg.norm(np.ones(2), "fro"), "ord must be a number"),
    (lambda: nlinalg.tensorinv(np.eye(2), 0), "ind must be a positive int"),
    (lambda: slinalg.block_diag(), "at least one matrix"),
    (lambda: slinalg.solve_triangular(np.eye(2), np.ones(2), trans=3), "trans must be"),
])
def test_arguments(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_exponents_are_ints():
    with pytest.raises(TypeError, match="the exponent must be an int, got 1.5"):
        nlinalg.matrix_power(np.eye(2), 1.5)
    with pytest.raises(TypeError, match="rcond must be a number"):
        nlinalg.pinv(np.eye(2), rcond=Variable(TensorType("float64", ())))


# ------------------------------------------------------------------------------------ where LAPACK is found


def test_lapack_of_numpy_of_scipy_and_none(monkeypatch):
    module = native.entry(find_compiler())
    own = entry.find_lapack(module)
    x = T.dmatrix("x")
    f = symbolic.function([x], [nlinalg.matrix_inverse(x), *nlinalg.eigh(x), *nlinalg.qr(x)])
    a = positive(draw((5, 5)))
    want = f(a)
    monkeypatch.setattr(entry, "_numpy_libraries", lambda: iter(()))
    other = entry.find_lapack(module)
    try:
        for width, routines in (own, other):
            if width:
                assert len(routines) == len(entry.routine_names()) and all(address for _, address in routines)
                module.set_lapack(width, routines)
                for g, w in zip(f(a), want, strict=True):
                    np.testing.assert_allclose(g, w, rtol=1e-9)
        module.set_lapack(0, ())
        with pytest.raises(errors.NotSupported, match="matrix_inverse: no LAPACK was found in NumPy or SciPy"):
            f(a)
        monkeypatch.setattr(native, "LIBRARIES", set())
        monkeypatch.setattr(lower, "LIBRARIES", set())
        monkeypatch.setattr(request, "LIBRARIES", set())
        g = symbolic.function([x], [nlinalg.matrix_inverse(x), *nlinalg.eigh(x), *nlinalg.qr(x)])
        for got, w in zip(g(a), want, strict=True):  # by Python
            np.testing.assert_allclose(got, w, rtol=1e-9)
        with pytest.raises(np.linalg.LinAlgError, match="the matrix is singular"):
            g(np.zeros((2, 2)))
    finally:
        module.set_lapack(*own)
    with pytest.raises(ValueError, match="width must be 0, 4 or 8"):
        module.set_lapack(5, ())


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_infinities_end_in_an_error(mode):
    """LAPACK's singular values of a matrix with infinities may take for ever."""
    a = TensorType("float64", (None, None))("a")
    for y in (nlinalg.pinv(a), nlinalg.svd(a)[1], nlinalg.lstsq(a, a)[0]):
        for bad in (np.inf, np.nan):
            with pytest.raises(np.linalg.LinAlgError, match="didn't converge"):
                symbolic.function([a], y, mode=mode)(np.diag([bad, 1, 1]))


def test_the_sign_of_the_determinant_of_nan_is_numpys():
    x = T.dmatrix("x")
    bad = np.array([[np.nan, 1.0], [1.0, 2.0]])
    f = symbolic.function([x], list(T.nlinalg.slogdet(x)))
    for a in (bad, np.full((2, 2), np.nan), np.array([[-1.0, 0], [0, 2]]), np.zeros((2, 2))):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(f(a), np.linalg.slogdet(a))
