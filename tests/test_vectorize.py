"""``vmap`` and ``vectorize`` against loops in NumPy, with their derivatives."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.types import TensorType

RNG = np.random.default_rng(11)


@symbolic.as_op(itypes=[T.dvector], otypes=[T.dvector], infer_shape=lambda node, shapes: shapes)
def reversed_by_python(v):
    return v[::-1].copy()


#: a function of a vector and a matrix, in ours and in NumPy
CASES = {
    "elementwise": (lambda v, m: T.tanh(v) * m + 1, lambda v, m: np.tanh(v) * m + 1),
    "reductions": (lambda v, m: T.sum(m * v, axis=1) + T.max(v), lambda v, m: (m * v).sum(1) + v.max()),
    "product": (lambda v, m: T.dot(m, v), lambda v, m: m @ v),
    "outer": (lambda v, m: T.dot(m, T.outer(v, v)), lambda v, m: m @ np.outer(v, v)),
    "index": (lambda v, m: m[::-1, 1:] + v[[2, 0]], lambda v, m: m[::-1, 1:] + v[[2, 0]]),
    "sort": (lambda v, m: T.sort(v) + T.cumsum(m, axis=1), lambda v, m: np.sort(v) + np.cumsum(m, 1)),
    "solve": (lambda v, m: T.slinalg.solve(m + 5 * T.eye(3), v), lambda v, m: np.linalg.solve(m + 5 * np.eye(3), v)),
    "joined": (lambda v, m: T.concatenate([m, v[None]]), lambda v, m: np.concatenate([m, v[None]])),
    "python": (lambda v, m: reversed_by_python(v) * m, lambda v, m: v[::-1] * m),
    "argument": (lambda v, m: v, lambda v, m: v),
    "gradient": (lambda v, m: T.grad(T.sum(T.dot(m, v) ** 3), v), lambda v, m: 3 * (m @ v) ** 2 @ m),
    "set": (lambda v, m: T.set_subtensor(m[1], v), lambda v, m: np.stack([m[0], v, m[2]])),
    "scan": (lambda v, m: symbolic.scan(lambda s: T.tanh(T.dot(m, s)), outputs_info=[v], n_steps=3)[0],
             lambda v, m: np.stack([np.tanh(m @ v), np.tanh(m @ np.tanh(m @ v)), np.tanh(m @ np.tanh(m @ np.tanh(m @ v)))])),
}


def test_vmap_of_many_kinds():
    v, m = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3, 3))
    x, y = T.dmatrix("x"), T.dtensor3("y")
    outs, want = [], []
    for ours, numpys in CASES.values():
        outs += [T.vmap(ours)(x, y), T.vmap(ours, (None, 0))(x[1], y), T.vmap(ours, (0, None), -1)(x, y[2])]
        want += [np.stack([numpys(a, b) for a, b in zip(v, m, strict=True)]), np.stack([numpys(v[1], b) for b in m]),
                 np.stack([numpys(a, m[2]) for a in v], -1)]
    for g, w in zip(run(outs, {x: v, y: m}, rtol=1e-9, atol=1e-12), want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-12)


def test_vmap_is_differentiable():
    v, m = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3, 3))
    x, y = T.dmatrix("x"), T.dtensor3("y")
    names = ("elementwise", "product", "outer", "index", "sort", "gradient", "scan")
    central_difference([T.sum(T.sin(T.vmap(CASES[n][0])(x, y))) for n in names], {x: v, y: m}, rtol=1e-5)


def test_structures_axes_and_nesting():
    a, b = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5))
    x, y = T.dmatrix("x"), T.dmatrix("y")
    made = T.vmap(lambda d, s: {"sum": d["v"] + s, "both": (d["v"], d["w"][0] * 2)}, ({"v": 0, "w": [1]}, None),
                  {"sum": -1, "both": 0})({"v": x[:3], "w": [y]}, T.dot(x[0], x[0]))
    table = T.vmap(T.vmap(lambda u, v: T.dot(u, v), (None, 1)), (0, None))(x, y)
    got = run([made["sum"], *made["both"], table, T.vmap(lambda u: symbolic.constant(2.0))(x)], {x: a, y: b[:, :3]})
    want = [(a[:3] + a[0] @ a[0]).T, a[:3], b[:, :3].T * 2, a @ b[:, :3], np.full(4, 2.0)]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w)


@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((4, 1, 3), (1, 2, 3)), ((3,), (2, 4, 3)), ((3,), (3,)), ((0, 3), (1, 3))])
def test_vectorize_broadcasts(shapes):
    a, b = (RNG.normal(size=s) for s in shapes)
    for known in (True, False):
        x, y = (TensorType("float64", s if known else (None,) * len(s))() for s in shapes)
        outs = [T.vectorize(lambda u, v: T.dot(u, v), "(n),(n)->()")(x, y),
                T.vectorize(lambda u, v: u * v + 1)(x, y),
                *T.vectorize(lambda u, v: (T.outer(u, v), T.sum(u)), "(n),(m)->(n,m),()")(x, y)]
        lead = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
        want = [np.vectorize(np.dot, signature="(n),(n)->()")(a, b) if 0 not in lead else np.zeros(lead), a * b + 1,
                a[..., :, None] * b[..., None, :], np.broadcast_to(a.sum(-1), lead)]
        for g, w in zip(run(outs, {x: a, y: b}), want, strict=True):
            assert g.shape == w.shape
            np.testing.assert_allclose(g, w)


def test_vectorize_with_gradients():
    a, b = RNG.normal(size=(2, 1, 3)), RNG.normal(size=(4, 3))
    x, y = T.dtensor3("x"), T.dmatrix("y")
    f = T.vectorize(signature="(n),(n)->()")(lambda u, v: T.tanh(T.dot(u, v)) * T.prod(u))
    central_difference([T.sum(T.sin(f(x, y)))], {x: a, y: b})


def test_refusals():
    x, m, s = T.dvector("x"), T.dmatrix("m"), T.dscalar("s")
    with pytest.raises(errors.ShapeError, match="vmap: the mapped axes have extents 4 and 3"):
        T.vmap(lambda u, v: u)(np.zeros(4), np.zeros(3))
    with pytest.raises(errors.ShapeError, match="vmap: the mapped axes have extents 4 and 3"):
        run([T.vmap(lambda u, v: u + v)(x, m)], {x: np.zeros(4), m: np.zeros((3, 2))}, on_error=True)
    with pytest.raises(errors.RankError, match=r"vmap: axis 0 of a scalar(.|\n)*in_axes=None"):
        T.vmap(T.sin)(s)
    with pytest.raises(ValueError, match="nothing to map over"):
        T.vmap(T.sin, None)(x)
    with pytest.raises(ValueError, match=r"in_axes must be an int, None, or have the structure"):
        T.vmap(T.sin, (0, 0))(x)
    with pytest.raises(errors.RankError, match="axis 2 is out of range"):
        T.vmap(T.sin, 2)(m)
    with pytest.raises(ValueError, match=r"a signature is like '\(m,n\),\(n\)->\(m\)', got 'n->m'"):
        T.vectorize(T.sin, "n->m")
    with pytest.raises(ValueError, match="has 2 arguments, got 1"):
        T.vectorize(T.dot, "(n),(n)->()")(x)
    with pytest.raises(errors.RankError, match="the signature wants 2 dimensions at least"):
        T.vectorize(T.dot, "(m,n),(n)->(m)")(x, x)
    with pytest.raises(errors.RankError, match=r"returned results of \[1\] dimensions, expected \[0\]"):
        T.vectorize(T.sin, "(n)->()")(m)
    with pytest.raises(errors.ShapeError, match="extent n is 3 and 4"):
        T.vectorize(T.dot, "(n),(n)->()")(np.zeros(3), np.zeros(4))
