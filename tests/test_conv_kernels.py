"""The kernels of convolutions: every way through them against NumPy, in threads, and what isn't finite."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from test_conv import paddings

import symbolic
import symbolic.tensor as T
from symbolic import config
from symbolic.ops.conv import AbstractConv

RNG = np.random.default_rng(5)


def windows(shape, w_shape, border, step, gap):
    """Return zeros around images, and for each element of a filter what part of the padded images it meets."""
    n = len(shape) - 2
    size = w_shape[2:]
    pad = paddings(border, size, gap)
    out = [(shape[2 + a] + sum(pad[a]) - (size[a] - 1) * gap[a] - 1) // step[a] + 1 for a in range(n)]
    parts = {t: (slice(None), slice(None), *(slice(i * g, i * g + (o - 1) * s + 1, s) for i, g, o, s in zip(
        t, gap, out, step, strict=True))) for t in itertools.product(*map(range, size))}
    return pad, parts


def expected(x, w, g, border, step, gap, flip, groups):
    """Return a convolution, and for a cotangent both gradients, in float64, an element of the filters at a time."""
    pad, parts = windows(x.shape, w.shape, border, step, gap)
    z = np.pad(x.astype("float64"), [(0, 0), (0, 0), *pad])
    y, gz, gw = None, np.zeros(z.shape), np.zeros(w.shape)
    for t, part in parts.items():
        at = tuple(n - 1 - i for i, n in zip(t, w.shape[2:], strict=True)) if flip else t
        tap = w[(slice(None), slice(None), *at)].astype("float64")
        for k in range(groups):
            own = slice(k * x.shape[1] // groups, (k + 1) * x.shape[1] // groups)
            mine = slice(k * w.shape[0] // groups, (k + 1) * w.shape[0] // groups)
            seen = z[part][:, own]
            shape, seen = seen.shape, seen.reshape(*seen.shape[:2], -1)
            y = np.zeros((x.shape[0], w.shape[0], *shape[2:])) if y is None else y
            y[:, mine] += (tap[mine] @ seen).reshape(shape[0], -1, *shape[2:])
            if g is not None:
                given = g[:, mine].astype("float64").reshape(shape[0], tap[mine].shape[0], -1)
                whole = gz[part]
                whole[:, own] += (tap[mine].T @ given).reshape(shape)
                gw[(mine, slice(None), *at)] += (given @ seen.transpose(0, 2, 1)).sum(0)
    crop = tuple(slice(lo, lo + n) for (lo, _), n in zip(pad, x.shape[2:], strict=True))
    return y, gz[(slice(None), slice(None), *crop)], gw


#: images, filters, border, step, gap, flip, groups: few and many channels, of rests of vectors and tiles
CASES = [
    ((2, 1, 28, 28), (20, 1, 5, 5), "valid", (1, 1), (1, 1), True, 1),
    ((3, 16, 13, 30), (16, 16, 3, 3), "half", (1, 1), (1, 1), False, 1),
    ((2, 17, 9, 7), (33, 17, 3, 3), 1, (1, 1), (1, 1), True, 1),
    ((1, 64, 7, 7), (48, 64, 3, 3), "full", (1, 1), (1, 1), True, 1),
    ((2, 40, 14, 15), (32, 40, 1, 1), "valid", (1, 1), (1, 1), True, 1),
    ((2, 40, 14, 15), (32, 40, 1, 1), "valid", (2, 3), (1, 1), True, 1),
    ((2, 12, 20, 22), (30, 12, 4, 3), ((2, 0), (1, 3)), (2, 1), (1, 1), False, 1),
    ((2, 5, 20, 22), (18, 5, 3, 2), (3, 4), (1, 1), (2, 3), True, 1),
    ((2, 32, 12, 11), (64, 8, 3, 3), "half", (1, 1), (1, 1), False, 4),
    ((4, 6, 9, 9), (6, 1, 3, 3), 1, (1, 1), (1, 1), True, 6),
    ((2, 9, 300), (16, 9, 5), "half", (1,), (1,), True, 1),
    ((2, 4, 6, 7, 8), (16, 4, 3, 2, 3), "half", (1, 1, 1), (1, 1, 1), True, 1),
    ((2, 4, 6, 7, 8), (16, 4, 3, 2, 3), 1, (1, 2, 1), (2, 1, 1), False, 1),
    ((1, 700, 4, 5), (16, 700, 1, 1), "valid", (1, 1), (1, 1), True, 1),
    ((2, 256, 5, 6), (130, 256, 3, 3), 1, (1, 1), (1, 1), True, 1),
    ((2, 16, 3, 3), (16, 16, 3, 3), "valid", (1, 1), (1, 1), True, 1),
    ((3, 16, 32, 33), (40, 16, 3, 3), ((0, 1), (2, 0)), (1, 1), (1, 1), True, 1),
]


def functions(case, dtype):
    """Return a function of images, filters and a cotangent: the convolution and its gradients."""
    (sx, sw, border, step, gap, flip, groups) = case
    x, w, g = (T.TensorType(dtype, (None,) * len(sx))(n) for n in "xwg")
    op = AbstractConv(len(sx) - 2, border_mode=border, subsample=step, filter_dilation=gap, filter_flip=flip, num_groups=groups)
    y = op(x, w)
    return symbolic.function([x, w], y), symbolic.function([x, w, g], T.Lop(y, [x, w], g))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("winograd", [0, 2, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_every_way_through(dtype, winograd, threads):
    """Small integers, so that sums are exact in every order, also those of tiles of 2 by 2."""
    if winograd != 2 and dtype != "float32":
        return  # only float32 goes in tiles: the same program
    with config.change_flags(conv_winograd=winograd, threads=threads, openmp_threshold=0):
        for case in CASES:
            sx, sw, *rest = case
            high = 2 if dtype == "float16" else 4
            a, b = (RNG.integers(-high, high + 1, s).astype(dtype) for s in (sx, sw))
            forward, back = functions(case, dtype)
            g = RNG.integers(-high, high + 1, expected(a, b, None, *rest)[0].shape).astype(dtype)
            want = expected(a, b, g, *rest)
            tiled = winograd == 4 and sw[2:] == (3, 3)
            for got, exact in zip([forward(a, b), *back(a, b, g)], want, strict=True):
                assert got.dtype == dtype and got.shape == exact.shape
                if tiled:
                    np.testing.assert_allclose(got, exact, rtol=0, atol=2e-5 * np.abs(exact).max(initial=1), err_msg=str(case))
                else:
                    np.testing.assert_array_equal(got, exact.astype(dtype), err_msg=str(case))


def test_tiles_are_as_exact_as_sums():
    """Errors against float64, of normal numbers: tiles of 2 by 2 add fewer products, those of 4 by 4 lose a digit."""
    case = ((4, 64, 30, 30), (64, 64, 3, 3), "half", (1, 1), (1, 1), False, 1)
    a, b, g = (RNG.normal(size=s).astype("float32") for s in (case[0], case[1], (4, 64, 30, 30)))
    want, errors = expected(a, b, g, *case[2:]), {}
    for side in (0, 2, 4):
        with config.change_flags(conv_winograd=side):
            forward, back = functions(case, "float32")
            got = [forward(a, b), *back(a, b, g)]
        errors[side] = [float(np.abs(p - q).max() / q.std()) for p, q in zip(got, want, strict=True)]
    assert max(errors[0]) < 1e-5 and max(errors[2]) < 1e-5
    assert 1e-6 < max(errors[4][:2]) < 1e-4, "they are in use"
    assert errors[2][0] != errors[0][0]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 3e38])
def test_what_is_not_finite_stays_where_it_is(bad):
    """A tile would spread it; then sums are made as they are written."""
    case = ((2, 16, 32, 32), (16, 16, 3, 3), "half", (1, 1), (1, 1), True, 1)
    a, b, g = (RNG.normal(size=s).astype("float32") for s in (case[0], case[1], (2, 16, 32, 32)))
    a[1, 3, 10, 11] = g[0, 2, 20, 5] = bad
    forward, back = functions(case, "float32")
    with np.errstate(all="ignore"):
        want = [v.astype("float32") for v in expected(a, b, g, *case[2:])]
    for got, exact in zip([forward(a, b), *back(a, b, g)], want, strict=True):
        finite = np.isfinite(exact) & (np.abs(exact) < 1e30)
        assert finite.sum() > 0.4 * finite.size
        np.testing.assert_allclose(got[finite], exact[finite], rtol=0, atol=1e-3)
        if bad != 3e38:
            np.testing.assert_array_equal(np.isnan(got), np.isnan(exact))
            np.testing.assert_array_equal(np.sign(got[np.isinf(exact)]), np.sign(exact[np.isinf(exact)]))


def test_the_side_of_tiles_belongs_to_the_op():
    x, w = T.ftensor4("x"), T.ftensor4("w")
    with config.change_flags(conv_winograd=0):
        plain = T.nnet.conv2d(x, w)
    assert (plain.owner.op.winograd, T.nnet.conv2d(x, w).owner.op.winograd) == (0, 2)
    assert plain.owner.op != T.nnet.conv2d(x, w).owner.op
    with pytest.raises(ValueError, match="conv_winograd"):
        config.conv_winograd = 3
