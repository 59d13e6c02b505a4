"""Attention, spatial transformers, patches, blocks and Theano's combinations, against NumPy on both back ends."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import central_difference, run, variables
from scipy import ndimage, special

import symbolic.tensor as T
from symbolic import errors
from symbolic.types import TensorType

nnet = T.nnet
RNG = np.random.default_rng(17)


# ----------------------------------------------------------------------------------------- attention


def attended(q, k, v, allowed, scale=None):
    """Return the weighted means, a query at a time; zeros where nothing is allowed."""
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for at in np.ndindex(*q.shape[:-1]):
        logits = k[at[:-1]] @ q[at] * (1 / np.sqrt(q.shape[-1]) if scale is None else scale)
        keep = np.broadcast_to(allowed, (*q.shape[:-1], k.shape[-2]))[at]
        if keep.any():
            w = np.exp(logits[keep] - logits[keep].max())
            out[at] = w / w.sum() @ v[at[:-1]][keep]
    return out


def test_attention():
    q, k, v = (RNG.normal(size=s) for s in ((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 2)))
    mask = RNG.uniform(size=(2, 1, 4, 6)) > 0.4
    mask[0, 0, 1] = False
    added = np.where(mask, 0.0, -np.inf)
    a, b, c, m, d = variables(q, k, v, mask, added)
    outs = [nnet.scaled_dot_product(a, b, c), nnet.scaled_dot_product(a, b, c, m), nnet.scaled_dot_product(a, b, c, d, 0.3),
            nnet.scaled_dot_product(a, b, c, causal=True), nnet.scaled_dot_product(a, b, c, m, causal=True),
            nnet.scaled_dot_product(1e3 * a, b, c, m)]
    causal = np.tril(np.ones((4, 6), bool))
    want = [attended(q, k, v, True), attended(q, k, v, mask), attended(q, k, v, mask, 0.3), attended(q, k, v, causal),
            attended(q, k, v, mask & causal), attended(1e3 * q, k, v, mask)]
    slopes = [T.grad(T.sqr(o).sum(), a) for o in outs]
    got = run([*outs, *slopes], {a: q, b: k, c: v, m: mask, d: added}, rtol=1e-9, atol=1e-10)
    for g, w in zip(got, want, strict=False):
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)
    assert all(np.isfinite(g).all() for g in got) and (got[1][0, :, 1] == 0).all()
    x, y, z = variables(q[0], k[0], v[0])
    central_difference([T.sin(nnet.scaled_dot_product(x, y, z, mask[0])).sum()], {x: q[0], y: k[0], z: v[0]}, rtol=1e-5)


def test_attention_refuses():
    q = T.ftensor3("q")
    assert nnet.scaled_dot_product(q, q, q).dtype == "float32"
    with pytest.raises(errors.RankError, match=r"queries must be \(..., positions, features\), got 1"):
        nnet.scaled_dot_product(T.vector(), q, q)
    with pytest.raises(errors.DTypeError, match="a mask is bool"):
        nnet.scaled_dot_product(q, q, q, T.imatrix())


# ------------------------------------------------------------------------------ spatial transformers


def test_affine_grids():
    theta = RNG.normal(size=(3, 2, 3))
    t, = variables(theta)
    x, y = nnet.spatial.affine_grid(t, 4, T.constant(1) * 5)
    gx, gy = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 4))
    flat = np.stack([gx.ravel(), gy.ravel(), np.ones(20)])
    for g, w in zip(run([x, y], {t: theta}, rtol=1e-12), (theta @ flat).transpose(1, 0, 2), strict=True):
        np.testing.assert_allclose(g, w.reshape(3, 4, 5), rtol=1e-12, atol=1e-14)


def test_grid_sample():
    """Against SciPy's interpolation."""
    a = RNG.normal(size=(2, 3, 5, 4))
    gx, gy = RNG.uniform(-1.8, 1.8, size=(2, 2, 6, 7))
    image, x, y = variables(a, gx, gy)
    modes = {"nearest": "nearest", "mirror": "mirror", "wrap": "grid-wrap", "constant": "grid-constant"}
    outs = [nnet.spatial.grid_sample(image, x, y, m) for m in modes]
    for g, name in zip(run(outs, {image: a, x: gx, y: gy}, rtol=1e-10, atol=1e-12), modes.values(), strict=True):
        for n, c in np.ndindex(2, 3):
            at = [(gy[n] + 1) / 2 * 4, (gx[n] + 1) / 2 * 3]
            np.testing.assert_allclose(g[n, c], ndimage.map_coordinates(a[n, c], at, order=1, mode=name), rtol=1e-9, atol=1e-10,
                                       err_msg=name)
    same = nnet.spatial.grid_sample(image, *nnet.spatial.affine_grid(np.tile([1.0, 0, 0, 0, 1, 0], (2, 1)), 5, 4))
    np.testing.assert_allclose(run([same], {image: a}, rtol=1e-9, atol=1e-12)[0], a, rtol=1e-12, atol=1e-12)


def test_grid_sample_derivatives():
    a, theta = RNG.normal(size=(2, 2, 5, 4)), np.tile([0.8, 0.1, 0.05, -0.2, 0.7, 0.1], (2, 1)) + RNG.normal(size=(2, 6)) * 0.02
    image, t = variables(a, theta)
    out = nnet.spatial.grid_sample(image, *nnet.spatial.affine_grid(t, 3, 3), "constant")
    central_difference([T.sin(out).sum()], {image: a, t: theta}, rtol=1e-5)


def test_thin_plate_splines():
    """Control points go where they are sent; affine motions are exact everywhere; no motion is the identity."""
    line = np.linspace(-1, 1, 3)
    px, py = (g.ravel() for g in np.meshgrid(line, line))
    moves = RNG.normal(size=(2, 18)) * 0.2
    affine = np.concatenate([0.3 * px - 0.2 * py + 0.1, 0.5 * py + 0.1 * px])[None]
    o = TensorType("float64", (None, 18))("o")
    outs = [*nnet.spatial.thin_plate_spline_grid(o, 3, 3), *nnet.spatial.thin_plate_spline_grid(o, 4, 5)]
    x, y, _, _ = run(outs, {o: moves}, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(x.reshape(2, 9), px + moves[:, :9], atol=1e-10)
    np.testing.assert_allclose(y.reshape(2, 9), py + moves[:, 9:], atol=1e-10)
    _, _, x, y = run(outs, {o: affine}, rtol=1e-9, atol=1e-10)
    gx, gy = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 4))
    np.testing.assert_allclose(x[0], 1.3 * gx - 0.2 * gy + 0.1, atol=1e-10)
    np.testing.assert_allclose(y[0], 1.5 * gy + 0.1 * gx, atol=1e-10)
    with pytest.raises(errors.ShapeError, match="the number of control points must be known, and 4, 9, 16"):
        nnet.spatial.thin_plate_spline_grid(np.zeros((1, 6)), 2, 2)


# ------------------------------------------------------------------------------------------- patches


def patches(a, size, step, mode):
    """Collect patches with loops."""
    before = [{"wrap_centered": w // 2, "half": w // 2, "full": w - 1}.get(mode, 0) for w in size]
    counts = [-(-n // s) if mode == "wrap_centered" else (n + 2 * p - w) // s + 1
              for n, w, s, p in zip(a.shape[2:], size, step, before, strict=True)]
    out = []
    for n, c, i, j in itertools.product(*map(range, a.shape[:2]), *map(range, counts)):
        row = []
        for k, m in itertools.product(*map(range, size)):
            r, q = i * step[0] + k - before[0], j * step[1] + m - before[1]
            if mode == "wrap_centered":
                row.append(a[n, c, r % a.shape[2], q % a.shape[3]])
            else:
                row.append(a[n, c, r, q] if 0 <= r < a.shape[2] and 0 <= q < a.shape[3] else 0.0)
        out.append(row)
    return np.array(out)


def test_images2neibs():
    a = RNG.normal(size=(2, 2, 6, 8))
    x, = variables(a)
    cases = [((2, 4), None, "valid"), ((3, 2), (1, 2), "valid"), ((4, 3), (3, 4), "ignore_borders"),
             ((3, 5), (2, 3), "wrap_centered"), ((3, 3), (1, 1), "half"), ((2, 3), (1, 1), "full"), ((3, 3), (1, 1), "full")]
    outs = [nnet.neighbours.images2neibs(x, w, s, m) for w, s, m in cases]
    slopes = [T.grad(T.sqr(o).sum(), x) for o in outs[:4]]
    got = run([*outs, *slopes], {x: a}, rtol=1e-12)
    for g, (w, s, m) in zip(got, cases, strict=False):
        np.testing.assert_array_equal(g, patches(a, w, s or w, m), err_msg=m)
    np.testing.assert_allclose(got[len(cases)], 2 * a)
    back = [nnet.neighbours.neibs2images(outs[0], (2, 4), a.shape),
            nnet.neighbours.neibs2images(nnet.neighbours.images2neibs(x, (4, 3), None, "ignore_borders"), (4, 3), x.shape,
                                         "ignore_borders")]
    whole, part = run(back, {x: a})
    np.testing.assert_array_equal(whole, a)
    np.testing.assert_array_equal(part[:, :, :4, :6], a[:, :, :4, :6])
    assert not part[:, :, 4:].any() and not part[:, :, :, 6:].any() and part.shape == a.shape


def test_images2neibs_refuses():
    a = np.zeros((1, 1, 5, 5))
    x, = variables(a)
    for size, mode, text in (((2, 2), "valid", "patches must fill the picture exactly"), ((2, 3), "wrap_centered", "odd extents"),
                             ((7, 7), "wrap_centered", "can't be larger")):
        with pytest.raises(errors.ParameterError, match=text):
            run([nnet.neighbours.images2neibs(x, size, None, mode)], {x: a}, on_error=True)
    with pytest.raises(errors.RankError, match="expected 4 dimensions, got 3"):
        nnet.neighbours.images2neibs(T.tensor3(), (2, 2))
    with pytest.raises(ValueError, match="mode must be one of"):
        nnet.neighbours.images2neibs(x, (2, 2), mode="same")


# -------------------------------------------------------------------------------------------- blocks


def test_blocks():
    W, h, b = RNG.normal(size=(4, 5, 2, 3)), RNG.normal(size=(6, 2, 2)), RNG.normal(size=(5, 3))
    i, j = RNG.integers(0, 4, (6, 2)), RNG.integers(0, 5, (6, 3))
    vs = w, x, bias, vi, vj = variables(W, h, b, i, j)
    out = nnet.sparse_block_dot(w, x, vi, bias, vj)
    alone = nnet.sparse_block_dot(w, x[0], vi[0], bias, vj[0])
    outer = nnet.blocksparse.sparse_block_outer(w * 0, x, out, vi, vj, 0.5)
    got = run([out, alone, outer], dict(zip(vs, (W, h, b, i, j), strict=True)), rtol=1e-11, atol=1e-12)
    want, grown = b[j], np.zeros_like(W)
    for n, p, q in np.ndindex(6, 2, 3):
        want[n, q] += h[n, p] @ W[i[n, p], j[n, q]]
    for n, p, q in np.ndindex(6, 2, 3):
        grown[i[n, p], j[n, q]] += 0.5 * np.outer(h[n, p], want[n, q])
    for g, v in zip(got, (want, want[0], grown), strict=True):
        np.testing.assert_allclose(g, v, rtol=1e-11, atol=1e-12)
    out = nnet.sparse_block_dot(w, x, i, bias, j)
    central_difference([T.sin(out).sum()], {w: W, x: h, bias: b}, rtol=1e-5)


def test_h_softmax():
    x, W1, b1 = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2)
    W2, b2, t = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 4)), np.array([0, 6, 3, 4])
    vs = variables(x, W1, b1, W2, b2, t)
    every = nnet.h_softmax(vs[0], 4, 7, 2, 4, *vs[1:5])
    some = nnet.h_softmax(vs[0], 4, 7, 2, 4, *vs[1:])
    p, chosen = run([every, some], dict(zip(vs, (x, W1, b1, W2, b2, t), strict=True)), rtol=1e-11)
    classes = special.softmax(x @ W1 + b1, -1)
    want = np.concatenate([classes[:, c:c + 1] * special.softmax(x @ W2[c] + b2[c], -1) for c in range(2)], axis=1)[:, :7]
    np.testing.assert_allclose(p, want, rtol=1e-11)
    np.testing.assert_allclose(chosen, want[np.arange(4), t], rtol=1e-11)


def test_confusion_matrix():
    a, p = RNG.integers(-1, 4, 30), RNG.integers(-1, 5, 30)
    x, y = variables(a, p)
    m, order = run(list(nnet.confusion_matrix(x, y)), {x: a, y: p})
    assert order.tolist() == sorted({*a.tolist(), *p.tolist()}) and m.dtype == "int64"
    for r, c in np.ndindex(*m.shape):
        assert m[r, c] == ((a == order[r]) & (p == order[c])).sum()


def test_theanos_combinations():
    a, b, y = RNG.normal(size=(4, 3)), RNG.normal(size=3), np.array([0, 2, 1, 1])
    x, bias, k = variables(a, b, y)
    z = a + b
    p, lp = special.softmax(z, -1), special.log_softmax(z, -1)
    outs = [nnet.softmax_with_bias(x, bias), *nnet.crossentropy_softmax_argmax_1hot_with_bias(x, bias, k),
            *nnet.crossentropy_softmax_max_and_argmax_1hot_with_bias(x, bias, k)]
    nll = -lp[np.arange(4), y]
    for g, w in zip(run(outs, {x: a, bias: b, k: y}, rtol=1e-11), [p, nll, p, z.argmax(-1), nll, p, p.max(-1), z.argmax(-1)],
                    strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-11)
