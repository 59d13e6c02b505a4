"""NumPy's names for turning, stacking and indexing axes, spaces and products: values, known shapes, derivatives."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run

import symbolic.tensor as T
from symbolic import errors
from symbolic.types import TensorType

RNG = np.random.default_rng(3)
M, N, C, V = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=(2, 3, 4)), RNG.normal(size=4)
#: evaluated with np and T as `np`; `m n c v` are arrays there, variables here
CALLS = """
expand_dims(m, 0)|expand_dims(m, (0, -1))|expand_dims(v, (1, 2))|atleast_1d(v[0])|atleast_2d(v)|atleast_3d(v)|atleast_3d(m)
atleast_2d(m)|vstack([v, v])|vstack([m, n])|hstack([v, v])|hstack([m, n])|dstack([v, v])|dstack([m, n])|dstack([c, c])
column_stack([v, v])|column_stack([m, n])|column_stack([v[:3], m])|append(m, v)|append(m, n, 1)|append(m, n, axis=0)
flip(c)|flip(c, 1)|flip(c, (0, -1))|fliplr(m)|flipud(m)|rot90(m)|rot90(m, 2)|rot90(m, 3)|rot90(m, -5)|rot90(c, 1, (1, 2))
rot90(c, 1, (2, 0))|rot90(m, 4)|rollaxis(c, 2)|rollaxis(c, 0, 3)|rollaxis(c, 1, 1)|rollaxis(c, -1, -2)|matrix_transpose(c)
broadcast_arrays(c, m, v)[1]|broadcast_arrays(v[0], m)[0]|broadcast_arrays(v, v)[0]|meshgrid(v, v[:3])[0]|meshgrid(v, v[:3])[1]
meshgrid(v, v[:2], v[:3])[2]|meshgrid(v, v[:2], v[:3], indexing="ij")[1]|meshgrid(v, v[:2], sparse=True)[1]|meshgrid(v)[0]
indices((2, 3))|indices((2, 3), sparse=True)[1]|tril_indices(3)[0]|tril_indices(3, 1, 5)[1]|triu_indices(4, -1)[1]
triu_indices(3, 1, 2)[0]|triu_indices_from(m)[1]|tril_indices_from(m, -1)[0]|tril_indices(0)[0]|inner(m, n)
inner(v, v)|inner(c, m)|inner(m, 2.0)|vdot(m, n)|cross(c[0, :, :3], c[1, :, :3])|cross(m, n, axis=0)
geomspace(1.0, 1000.0, 4)|geomspace(-2.0, -50.0, 7)|geomspace(3, 4, 5, endpoint=False)|logspace(0, 2, 5)
logspace(0.0, 2.0, 4, False, 3.0)
trapezoid(m)|trapezoid(m, dx=0.5, axis=0)|trapezoid(m, v)|trapezoid(m, n, axis=0)|roll(m, 1)|roll(m, (1, -2), (0, 1))
roll(m, 2, (0, 1))|roll(m, (1, 2), 1)|linspace(2.0, 3.0, 5)|linspace(2, 7, 5, endpoint=False)|linspace(1, 2, 1)|linspace(5, 1, 4)
tile(m, (2, 1, 3))|squeeze(m[None, :, None], (0, 2))|kron(m, n)|outer(m, v)|moveaxis(c, [0, 1], [-1, -2])|diff(m, 2, 0)
"""
CASES = [c.strip() for c in CALLS.replace("\n", "|").split("|") if c.strip()]


@pytest.mark.parametrize("known", [True, False])
def test_against_numpy(known):
    values = dict(zip("mncv", (M, N, C, V), strict=True))
    xs = {k: TensorType("float64", a.shape if known else (None,) * a.ndim)(k) for k, a in values.items()}

    def ours(call):
        return eval(call, {name: getattr(T, name) for name in T.__all__}, xs)

    outs = [ours(c) for c in CASES]
    got = run(outs, {xs[k]: a for k, a in values.items()}, rtol=1e-9, atol=1e-12)
    for call, out, g in zip(CASES, outs, got, strict=True):
        w = np.asarray(eval(call, {name: getattr(np, name) for name in dir(np)}, values))
        assert g.shape == w.shape, call
        if known:
            assert all(n is None or n == m for n, m in zip(out.type.shape, w.shape, strict=True)), call
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-12, err_msg=call)
        assert (g.dtype.kind == w.dtype.kind) or call.startswith(("geom", "log", "lin")), call


def test_gradients():
    m, n, c, v = T.dmatrix("m"), T.dmatrix("n"), T.dtensor3("c"), T.dvector("v")
    xs = {"m": m, "n": n, "c": c, "v": v}
    smooth = [k for k in CASES if not k.startswith(("indices", "tril", "triu", "geom", "log", "lin"))]
    costs = [T.sum(T.sin(eval(k, {name: getattr(T, name) for name in T.__all__}, xs))) for k in smooth]
    central_difference(costs, {m: M, n: N, c: C, v: V}, rtol=1e-5)


def test_permutations():
    p = np.stack([RNG.permutation(4) for _ in range(3)])
    x, k, q = T.dmatrix("x"), T.lmatrix("k"), T.lvector("q")
    outs = [T.permute_row_elements(x, k), T.permute_row_elements(x, k, inverse=True), T.permute_row_elements(x, q),
            T.inverse_permutation(k), T.inverse_permutation(q),
            T.permute_row_elements(x[0], q)]
    want = [np.take_along_axis(M, p, 1), np.take_along_axis(M, np.argsort(p, 1), 1), M[:, p[0]], np.argsort(p, 1),
            np.argsort(p[0]), M[0, p[0]]]
    for g, w in zip(run(outs, {x: M, k: p, q: p[0]}), want, strict=True):
        np.testing.assert_array_equal(g, w)
    assert T.is_flat(x, 2) and not T.is_flat(x) and T.is_flat(x, outdim=2)


def test_refusals():
    m = T.dmatrix("m")
    for call, text in [(lambda: T.expand_dims(m, (0, 0)), "stands twice"),
                       (lambda: T.expand_dims(m, 4), "axis 4 is out of range"),
                       (lambda: T.flip(m, 2), "axis 2 is out of range"), (lambda: T.rot90(m, 1, (0, 0)), "are the same"),
                       (lambda: T.rollaxis(m, 0, 5), "start 5 is out of range"),
                       (lambda: T.meshgrid(m, indexing="ji"), "indexing"),
                       (lambda: T.cross(np.zeros(2), np.zeros(3)), "must have extent 3, not 2"),
                       (lambda: T.tril_indices_from(m[0]), "expected a matrix"),
                       (lambda: T.roll(m, (1, 2), (0, 1, 1)), "2 shifts"),
                       (lambda: T.vstack([]), "nothing to join")]:
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(errors.ShapeError):
        run([T.cross(m, m)], {m: np.zeros((2, 2))}, on_error=True)
