"""Convolutions against plain loops, SciPy and PyTorch, on both back ends, with derivatives of every order."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.batching import batched
from symbolic.codegen.reference import evaluate
from symbolic.forward import Rop
from symbolic.ops.conv import AbstractConv, AbstractConv2d, AbstractConv2d_gradInputs, AbstractConv2d_gradWeights
from symbolic.types import TensorType

RNG = np.random.default_rng(11)


def paddings(border, filter, dilation):
    """Return the zeros before and behind each axis, as Theano's documentation has them."""
    reach = [(f - 1) * d + 1 for f, d in zip(filter, dilation, strict=True)]
    if border in ("valid", "full", "half"):
        return [({"valid": 0, "full": r - 1, "half": r // 2}[border],) * 2 for r in reach]
    entries = border if isinstance(border, tuple) else (border,) * len(filter)
    return [e if isinstance(e, tuple) else (e, e) for e in entries]


def loops(x, w, border="valid", step=None, gaps=None, flip=True, groups=1, unshared=False):
    """The definition: a window at a time."""
    n = x.ndim - 2
    step, gaps, size = step or (1,) * n, gaps or (1,) * n, w.shape[-n:]
    pad = paddings(border, size, gaps)
    z = np.pad(x, [(0, 0), (0, 0), *pad])
    out = [(z.shape[2 + a] - (size[a] - 1) * gaps[a] - 1) // step[a] + 1 for a in range(n)]
    channels, filters = w.shape[-n - 1], w.shape[0] // groups
    y = np.zeros((x.shape[0], w.shape[0], *out), np.promote_types(x.dtype, w.dtype))
    for k, o in itertools.product(range(w.shape[0]), itertools.product(*map(range, out))):
        own = w[(k, *o)] if unshared else w[k]
        own = own[(slice(None), *(slice(None, None, -1),) * n)] if flip else own
        first = k // filters * channels
        window = z[(slice(None), slice(first, first + channels), *(
            slice(i * s, i * s + (f - 1) * g + 1, g) for i, s, f, g in zip(o, step, size, gaps, strict=True)))]
        y[(slice(None), k, *o)] = (window * own).sum(tuple(range(1, x.ndim)))
    return y


#: images, filters, arguments of conv2d
CASES = {
    "plain": ((2, 3, 7, 8), (4, 3, 3, 2), {}),
    "full": ((2, 3, 5, 6), (4, 3, 3, 2), {"border_mode": "full"}),
    "half": ((1, 2, 6, 5), (3, 2, 3, 5), {"border_mode": "half", "filter_flip": False}),
    "half of even filters": ((1, 2, 6, 5), (3, 2, 4, 2), {"border_mode": "half"}),
    "steps": ((2, 2, 9, 8), (3, 2, 3, 3), {"subsample": (2, 3), "border_mode": 1}),
    "gaps": ((1, 2, 9, 10), (2, 2, 3, 2), {"filter_dilation": (2, 3), "border_mode": (2, 1), "filter_flip": False}),
    "steps and gaps": ((2, 2, 11, 9), (3, 2, 3, 2), {"filter_dilation": (2, 3), "subsample": (3, 2), "border_mode": "full"}),
    "different paddings": ((1, 2, 6, 5), (2, 2, 3, 3), {"border_mode": ((2, 0), (0, 3)), "subsample": (2, 1)}),
    "groups": ((2, 6, 5, 6), (4, 3, 3, 3), {"num_groups": 2, "border_mode": 1}),
    "depthwise": ((2, 4, 6, 7), (8, 1, 3, 3), {"num_groups": 4, "subsample": (2, 2), "border_mode": "half"}),
    "one element": ((2, 5, 4, 3), (3, 5, 1, 1), {}),
    "one element, steps": ((2, 5, 4, 5), (3, 5, 1, 1), {"subsample": (2, 2)}),
    "no images": ((0, 3, 5, 5), (2, 3, 3, 3), {"border_mode": 1}),
    "no filters": ((2, 3, 5, 5), (0, 3, 3, 3), {}),
    "no channels": ((2, 0, 5, 5), (2, 0, 3, 3), {}),
    "unshared": ((2, 3, 5, 6), (2, 2, 4, 3, 3, 3), {"unshared": True, "subsample": (2, 1)}),
    "unshared groups": ((2, 4, 4, 5), (4, 4, 5, 2, 3, 3), {"unshared": True, "num_groups": 2, "border_mode": 1,
                                                           "filter_flip": False}),
}


def oracle(x, w, arguments):
    names = {"border_mode": "border", "subsample": "step", "filter_dilation": "gaps", "filter_flip": "flip",
             "num_groups": "groups"}
    return loops(x, w, **{names.get(k, k): v for k, v in arguments.items()})


def three(n, x, w, g, arguments):
    """Return a convolution and its gradients for a cotangent, as users get them."""
    op = AbstractConv(n, **arguments)
    y = op(x, w)
    return [y, *T.Lop(y, [x, w], g)]


def adjoint(function, at, g):
    """Return the transposed of a linear function applied to `g`, a basis vector at a time."""
    out = np.zeros(at.shape, g.dtype)
    for i in np.ndindex(at.shape):
        e = np.zeros(at.shape, g.dtype)
        e[i] = 1
        out[i] = (function(e) * g).sum()
    return out


@pytest.mark.parametrize("dtypes", [("float64", "float64"), ("float32", "float32"), ("float16", "float16"), ("int32", "int16"),
                                    ("float32", "int8"), ("complex64", "complex64")], ids=str)
def test_values(dtypes):
    """Every mode in one program, with the oracle's loops; extents unknown, then known."""
    tolerance = {"float32": 1e-5, "float16": 2e-2, "complex64": 1e-5, "int32": 0}.get(np.promote_types(*dtypes).name, 1e-12)
    chosen = list(CASES) if dtypes[0] == "float64" else ["plain", "steps and gaps", "groups", "unshared"]
    for known in (False, True):
        xs, outs, want, given = [], [], [], []
        for name in chosen:
            sx, sw, arguments = CASES[name]
            a, b = (np.asarray(RNG.integers(-4, 5, s), d) for s, d in zip((sx, sw), dtypes, strict=True))
            x, w = (TensorType(v.dtype.name, v.shape if known else (None,) * v.ndim)() for v in (a, b))
            outs.append(T.nnet.conv2d(x, w, **arguments))
            xs += [x, w]
            given += [a, b]
            want.append(oracle(a, b, arguments))
        f, h = symbolic.function(xs, outs), symbolic.function(xs, outs, mode="FAST_COMPILE")
        for name, p, q, t in zip(chosen, f(*given), h(*given), want, strict=True):
            assert p.dtype == q.dtype == t.dtype and p.shape == q.shape == t.shape, name
            np.testing.assert_allclose(p, t, rtol=tolerance, atol=tolerance, err_msg=name)
            np.testing.assert_allclose(q, t, rtol=tolerance, atol=tolerance, err_msg=name)
        assert not known or [o.type.shape for o in outs] == [t.shape for t in want]


def test_gradients_are_the_transposed():
    """Both gradients of every mode are exactly the transposed linear maps."""
    xs, outs, want, given, names = [], [], [], [], []
    for name, (sx, sw, arguments) in CASES.items():
        a, b = (np.asarray(RNG.integers(-3, 4, s), "float64") for s in (sx, sw))
        g = np.asarray(RNG.integers(-3, 4, oracle(a, b, arguments).shape), "float64")
        x, w, u = vs = variables(a, b, g)
        outs += T.Lop(T.nnet.conv2d(x, w, **arguments), [x, w], u)
        xs += vs
        given += [a, b, g]
        want += [adjoint(lambda e: oracle(e, b, arguments), a, g), adjoint(lambda e: oracle(a, e, arguments), b, g)]  # noqa: B023
        names += [name] * 2
    f, h = symbolic.function(xs, outs), symbolic.function(xs, outs, mode="FAST_COMPILE")
    for name, p, q, t in zip(names, f(*given), h(*given), want, strict=True):
        np.testing.assert_array_equal(p, t, err_msg=name)
        np.testing.assert_array_equal(q, t, err_msg=name)


@pytest.mark.parametrize("name", ["full", "steps and gaps", "groups", "different paddings", "unshared groups"])
def test_derivatives(name):
    sx, sw, arguments = CASES[name]
    a, b = RNG.normal(size=sx) / 2, RNG.normal(size=sw) / 2
    x, w = variables(a, b)
    y = T.nnet.conv2d(x, w, **arguments)
    gx, gw = T.grad((T.sin(y)).sum(), [x, w])
    central_difference([T.sin(y).sum(), T.sin(gx).sum() + T.cos(gw).sum()], {x: a, w: b})


def test_one_and_three_axes():
    a, b = RNG.normal(size=(2, 4, 11)), RNG.normal(size=(6, 2, 3))
    c, d = RNG.normal(size=(2, 2, 5, 4, 6)), RNG.normal(size=(3, 2, 2, 3, 2))
    x, w, z, v = variables(a, b, c, d)
    line = {"border_mode": ((3, 1),), "subsample": (2,), "filter_dilation": (2,), "num_groups": 2}
    solid = {"border_mode": (1, (0, 2), 1), "subsample": (2, 1, 3), "filter_dilation": (2, 1, 2)}
    p, q = T.nnet.conv1d(x, w, **line), T.nnet.conv3d(z, v, **solid)
    outs = [p, q, *T.grad((p ** 2).sum(), [x, w]), *T.grad((q ** 2).sum(), [z, v])]
    got = run(outs, {x: a, w: b, z: c, v: d}, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(got[0], oracle(a, b, line), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[1], oracle(c, d, solid), rtol=1e-12, atol=1e-12)
    central_difference([T.sin(p).sum() + T.sin(q).sum()], {x: a, w: b, z: c, v: d})


def test_scipy_agrees():
    signal = pytest.importorskip("scipy.signal")
    a, b = RNG.normal(size=(9, 11)), RNG.normal(size=(3, 4))
    x, w, s, t = variables(a, b, np.stack([a, a]), np.stack([b, 2 * b, b]))
    modes = ("valid", "full")
    outs = [T.signal.conv.conv2d(x, w, border_mode=m) for m in modes]
    outs += [T.signal.conv.conv2d(s, w), T.signal.conv.conv2d(x, t), T.signal.conv.conv2d(s, t, image_shape=(2, 9, 11))]
    got = run(outs, {x: a, w: b, s: np.stack([a, 3 * a]), t: np.stack([b, 2 * b, b])}, rtol=1e-10, atol=1e-12)
    for m, g in zip(modes, got, strict=False):
        np.testing.assert_allclose(g, signal.convolve2d(a, b, m), rtol=1e-12, atol=1e-12)
    plain = signal.convolve2d(a, b, "valid")
    for g, want in zip(got[2:], (np.stack([plain, 3 * plain]), np.stack([plain, 2 * plain, plain]),
                                 plain * np.array([[1, 2, 1], [3, 6, 3]])[:, :, None, None]), strict=True):
        np.testing.assert_allclose(g, want, rtol=1e-12, atol=1e-12)


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    x, w, g = (torch.randn(*s, dtype=torch.float64) for s in ((2, 6, 9, 10), (4, 3, 3, 2), (2, 4, 5, 3)))
    x.requires_grad_(), w.requires_grad_()
    y = torch.nn.functional.conv2d(x, w, stride=(2, 3), padding=(2, 1), dilation=(2, 2), groups=2)
    y.backward(g)
    arrays = [v.detach().numpy() for v in (x, w, g)]
    a, b, u = variables(*arrays)
    arguments = {"subsample": (2, 3), "border_mode": (2, 1), "filter_dilation": (2, 2), "num_groups": 2, "filter_flip": False}
    got = run(three(2, a, b, u, arguments), dict(zip((a, b, u), arrays, strict=True)), rtol=1e-10, atol=1e-12)
    for mine, theirs in zip(got, (y.detach(), x.grad, w.grad), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-10, atol=1e-12)


def test_tangents_and_jacobians():
    """Forward mode, and batches of each operand and of all, for each of the three ops."""
    a, b = RNG.normal(size=(2, 4, 4, 3)), RNG.normal(size=(4, 2, 2, 2))
    x, w = T.dtensor4("x"), T.dtensor4("w")
    y = T.nnet.conv2d(x, w, border_mode=1, subsample=(2, 1), num_groups=2)
    gx, gw = T.grad((y ** 2).sum() / 2, [x, w])
    flat = [v.flatten()[:3] for v in (y, gx, gw)]
    outs = [symbolic.jacobian(e, v).reshape((3, -1)) for v in (x, w) for e in flat]
    each = [T.stack([T.grad(e[k], v).flatten() for k in range(3)]) for v in (x, w) for e in flat]
    for p, q in zip(evaluate(outs, {x: a, w: b}), evaluate(each, {x: a, w: b}), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-12)
    dx, dw = RNG.normal(size=a.shape), RNG.normal(size=b.shape)
    tangent = Rop(y, [x, w], [dx, dw])
    t = symbolic.function([x, w], tangent)(a, b)
    conv = {"border_mode": 1, "subsample": (2, 1), "num_groups": 2}
    np.testing.assert_allclose(t, oracle(dx, b, conv) + oracle(a, dw, conv), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [3, None])
def test_batches(size):
    """Each op over a batch of either operand, or of both, is the loop over its elements."""
    arguments = {"border_mode": (1, 0), "subsample": (2, 1), "num_groups": 2}
    a, b = RNG.normal(size=(3, 2, 4, 5, 4)), RNG.normal(size=(3, 6, 2, 3, 2))
    g = RNG.normal(size=(3, 2, 6, 3, 3))
    xs, ws, gs = (TensorType("float64", (size, *v.shape[1:]))() for v in (a, b, g))
    inner = x, w, u = [TensorType("float64", v.shape[1:])() for v in (a, b, g)]
    made = three(2, x, w, u, arguments)
    arrays = dict(zip((xs, ws, gs), (a, b, g), strict=True))
    for chosen in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2)):
        operands = dict(zip(inner, (xs, ws, gs), strict=True))
        given = {inner[k]: operands[inner[k]] for k in chosen}
        same = {v: operands[v][0] for v in inner if v not in given}
        pairs = batched(made, given, same)
        got = evaluate([v for v, _ in pairs], arrays)
        each = [evaluate(made, {v: arrays[operands[v]][k if v in given else 0] for v in inner}) for k in range(3)]
        assert {True} <= {has for _, has in pairs}
        for value, (_, has), *want in zip(got, pairs, *each, strict=True):
            np.testing.assert_allclose(value, np.stack(want) if has else want[0], rtol=1e-10, atol=1e-12)


def test_ops_as_theano_calls_them():
    a, b, g = RNG.normal(size=(2, 3, 7, 7)), RNG.normal(size=(4, 3, 3, 3)), RNG.normal(size=(2, 4, 4, 4))
    x, w, u = variables(a, b, g)
    n = T.lscalar()
    values = {x: a, w: b, u: g, n: np.array(7)}
    more = {"border_mode": "half", "subsample": (2, 2)}
    outs = [AbstractConv2d(imshp=(2, 3, 7, 7), kshp=(4, 3, 3, 3), **more)(x, w),
            AbstractConv2d_gradInputs(imshp=(None, None, 7, 7), kshp=None, **more)(w, u),
            AbstractConv2d_gradInputs(**more)(w, u, x.shape[2:]),
            T.nnet.abstract_conv.conv2d_grad_wrt_inputs(u, w, (None, 3, n, 7), (4, 3, 3, None), **more),
            T.nnet.conv2d_transpose(u, w, (2, 3, n, n), border_mode="half", input_dilation=(2, 2)),
            AbstractConv2d_gradWeights(**more)(x, u, [3, 3]),
            T.nnet.abstract_conv.conv2d_grad_wrt_weights(x, u, (4, None, n - 4, 3), (2, 3, 7, 7), **more)]
    got = run(outs, values, rtol=1e-10, atol=1e-12)
    arguments = {"border_mode": "half", "subsample": (2, 2)}
    np.testing.assert_allclose(got[0], oracle(a, b, arguments), rtol=1e-12, atol=1e-12)
    for r in got[1:5]:
        np.testing.assert_allclose(r, adjoint(lambda e: oracle(e, b, arguments), a, g), rtol=1e-10, atol=1e-12)
    for r in got[5:]:
        np.testing.assert_allclose(r, adjoint(lambda e: oracle(a, e, arguments), b, g), rtol=1e-10, atol=1e-12)
    assert outs[0].owner.op == AbstractConv2d(**more) and type(outs[0].owner.op) is AbstractConv2d
    assert type(outs[4].owner.inputs[0].owner.op) is AbstractConv2d_gradInputs
    assert outs[0].type.shape == (2, 4, 4, 4) and outs[4].type.shape == (2, 3, None, None)


def test_separable_causal_and_older_names():
    a, d, p = RNG.normal(size=(2, 3, 6, 7)), RNG.normal(size=(6, 1, 3, 3)), RNG.normal(size=(4, 6, 1, 1))
    e, c = RNG.normal(size=(2, 3, 12)), RNG.normal(size=(4, 3, 3))
    v, k, q = RNG.normal(size=(1, 2, 4, 5, 4)), RNG.normal(size=(4, 1, 2, 2, 2)), RNG.normal(size=(3, 4, 1, 1, 1))
    names = x, w, m, s, f, z, kd, kp = variables(a, d, p, e, c, v, k, q)
    outs = [T.nnet.separable_conv2d(x, w, m, 3, border_mode="half", subsample=(2, 2)),
            T.nnet.causal_conv1d(s, f, (4, 3, 3), filter_dilation=2), T.nnet.separable_conv3d(z, kd, kp, 2),
            T.nnet.conv.conv2d(x, T.tile(w, (1, 3, 1, 1)), image_shape=(2, 3, 6, 7), border_mode="full", unroll_batch=2)]
    got = run(outs, dict(zip(names, (a, d, p, e, c, v, k, q), strict=True)), rtol=1e-10, atol=1e-12)
    deep = loops(a, d, "half", (2, 2), groups=3)
    np.testing.assert_allclose(got[0], loops(deep, p), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[1], loops(np.pad(e, ((0, 0), (0, 0), (4, 0))), c, gaps=(2,)), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[2], loops(loops(v, k, groups=2), q), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[3], loops(a, np.tile(d, (1, 3, 1, 1)), "full"), rtol=1e-12, atol=1e-12)


def test_upsampling():
    a = RNG.normal(size=(2, 3, 4, 5))
    x, = variables(a)

    def along(v, axis, up, down=1):
        n = v.shape[axis]
        at = (np.arange(-(-n * up // down)) * down - (up - 1) // 2) / up
        return np.apply_along_axis(lambda r: np.interp(at, np.arange(n), r), axis, v)

    outs = [T.nnet.bilinear_upsampling(x, 2), T.nnet.bilinear_upsampling(x, 3, batch_size=2, num_input_channels=3),
            T.nnet.abstract_conv.frac_bilinear_upsampling(x, ((3, 2), (5, 3))), T.nnet.bilinear_upsampling(x, 1)]
    got = run(outs, {x: a}, rtol=1e-12, atol=1e-14)
    want = [along(along(a, 2, 2), 3, 2), along(along(a, 2, 3), 3, 3), along(along(a, 2, 3, 2), 3, 5, 3), a]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-14)
    kernels = run([T.nnet.abstract_conv.bilinear_kernel_1D(4), T.nnet.abstract_conv.bilinear_kernel_2D((2, 3), False)], {})
    np.testing.assert_allclose(kernels[0], [0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])
    np.testing.assert_array_equal(kernels[1], np.outer([1, 2, 1], [1, 2, 3, 2, 1]))
    central_difference([T.sin(outs[1]).sum()], {x: a})


def test_special_values():
    """nan and inf go where they are multiplied; padding is zeros."""
    a, b = RNG.normal(size=(1, 2, 5, 5)), RNG.normal(size=(2, 2, 3, 3))
    a[0, 0, 2, 2], a[0, 1, 4, 4], b[1, 0, 0, 0] = np.nan, np.inf, np.inf
    x, w = variables(a, b)
    y = run([T.nnet.conv2d(x, w, border_mode=1)], {x: a, w: b})[0]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(y, loops(a, b, 1), rtol=1e-12, atol=1e-12)
    c = np.ascontiguousarray(a[:, :, ::-1, ::2].transpose(0, 1, 3, 2))
    f = symbolic.function([x, w], T.nnet.conv2d(x, w))
    np.testing.assert_array_equal(f(a[:, :, ::-1, ::2].transpose(0, 1, 3, 2), b), f(c, b))


def test_shapes_told_beforehand():
    assert T.nnet.get_conv_output_shape((None, 3, 32, 31), (8, 3, 5, 4), "half", (2, 1)) == (None, 8, 16, 32)
    assert T.nnet.get_conv_output_shape((2, 3, 9, None, 9), (8, 3, 2, 2, 2), (1, (2, 0), 0), (1, 1, 2), (2, 2, 2)) == (
        2, 8, 9, None, 4)
    for sx, sw, arguments in CASES.values():
        got = T.nnet.get_conv_output_shape(sx, sw, arguments.get("border_mode", "valid"), arguments.get("subsample", (1, 1)),
                                           arguments.get("filter_dilation"))
        assert got == oracle(np.zeros(sx), np.zeros(sw), arguments).shape


def test_what_is_wrong_is_said():
    x, w = TensorType("float32", (8, 6, 9, 9))("x"), TensorType("float32", (4, 3, 3, 3))("w")
    for make, error, text in (
            (lambda: T.nnet.conv2d(x, w), errors.ShapeError, "images have 6 channels, but filters take 3, x"),
            (lambda: T.nnet.conv2d(x, w, num_groups=3), errors.ShapeError, "filters take 3 in each of num_groups=3"),
            (lambda: T.nnet.conv2d(x, T.ftensor3()), errors.RankError, "expected filters of 4 dimensions, got 3"),
            (lambda: T.nnet.conv2d(x, w, (8, 3, 9, 9), num_groups=2), errors.ShapeError, "axis 1 has extent 6, expected 3"),
            (lambda: T.nnet.conv2d(x, T.zeros((4, 6, 10, 3))), errors.ShapeError, "filters reach over 10 elements along axis 0"),
            (lambda: T.nnet.conv2d(x, T.zeros((3, 3, 3, 3)), num_groups=2), errors.ShapeError, "3 filters can't be shared out"),
            (lambda: T.nnet.conv2d(x, w, border_mode="same"), errors.ParameterError, "'same' isn't known"),
            (lambda: T.nnet.conv2d(x, w, border_mode=(1, 2, 3)), errors.ParameterError, "must have an entry for each of 2 axes"),
            (lambda: T.nnet.conv2d(x, w, border_mode=-1), errors.ParameterError, "integers from 0 on"),
            (lambda: T.nnet.conv2d(x, w, subsample=(0, 1)), errors.ParameterError, "subsample must be integers from 1 on"),
            (lambda: T.nnet.conv2d(x, w, input_shape=(8, 6)), errors.RankError, "input_shape must have 4 entries, got 2"),
            (lambda: T.nnet.conv2d(x, w > 0, num_groups=2), errors.DTypeError, None),
            (lambda: T.nnet.conv2d_grad_wrt_inputs(x, w, (8, 3, None, 9)), errors.ShapeError, "last 2 extents of input_shape"),
            (lambda: T.nnet.conv2d_grad_wrt_inputs(x, T.zeros((6, 3, 3, 3)), (8, 3, 12, 11)), errors.ShapeError,
             "there are 10 windows along axis 0 of the image, but cotangents have extent 9 there"),
            (lambda: T.nnet.conv2d_grad_wrt_weights(x, x, (6, 6, 2, 1)), errors.ShapeError, "there are 8 windows along axis 0"),
            (lambda: T.nnet.causal_conv1d(T.ftensor3(), T.ftensor3(), (4, 3, None)), errors.ShapeError, "length of the filters"),
            (lambda: T.nnet.bilinear_upsampling(x), errors.ParameterError, "one of them"),
            (lambda: T.nnet.bilinear_upsampling(x, 0), errors.ParameterError, "positive integer"),
            (lambda: T.signal.conv.conv2d(x, w), errors.RankError, "2 or 3 dimensions, got 4")):
        if text is None:
            make()  # bools are cast to the images' dtype
            continue
        with pytest.raises(error, match=text):
            make()
    with pytest.raises(errors.DTypeError, match="images are bools"):
        T.nnet.conv2d(T.tensor4(dtype="bool"), T.tensor4(dtype="bool"))
    with pytest.warns(UserWarning, match="version have no effect"):
        T.nnet.conv2d(x, w, num_groups=2, version=3)


def test_what_is_wrong_at_run_time():
    x, w = T.dtensor4("x"), T.dtensor4("w")
    for sx, sw, arguments, text in (
            ((2, 3, 5, 5), (4, 2, 3, 3), {}, "images have 3 channels, but filters take 2"),
            ((2, 4, 5, 5), (3, 2, 3, 3), {"num_groups": 2}, "3 filters can't be shared out"),
            ((2, 3, 5, 2), (4, 3, 3, 3), {}, "filters reach over 3 elements along axis 1"),
            ((2, 3, 0, 5), (4, 3, 3, 3), {"border_mode": 2}, "images have no elements along their axis 0"),
            ((2, 3, 5, 5), (4, 3, 3, 0), {"border_mode": 2}, "filters have no elements along axis 1"),
            ((2, 3, 5, 5), (4, 3, 3, 0), {"border_mode": "full"}, "filters have no elements along axis 1")):
        with pytest.raises(errors.ShapeError, match=text):
            run([T.nnet.conv2d(x, w, **arguments)], {x: np.zeros(sx), w: np.zeros(sw)}, on_error=True)
    g, n = T.dtensor4("g"), T.lscalar("n")
    outs = [T.nnet.conv2d_grad_wrt_inputs(g, w, (None, None, n, n), subsample=(2, 2)),
            T.nnet.conv2d_grad_wrt_weights(x, g, (None, None, n, n))]
    for out, size in ((outs[0], 9), (outs[0], -1), (outs[1], 4), (outs[1], 0), (outs[1], -(2**62))):
        with pytest.raises(errors.ShapeError, match="windows along axis 0|no elements|reach over"):
            run([out], {x: np.zeros((2, 3, 6, 6)), w: np.zeros((4, 3, 3, 3)), g: np.zeros((2, 4, 2, 2)), n: np.array(size)},
                on_error=True)


#: images, filters, arguments: whole and partial tiles, more terms than one pass takes, more images than lie on a grid at once
LARGE = {
    "many terms": ((3, 75, 9, 20), (15, 75, 3, 3), {"border_mode": 1}),
    "many images": ((70, 3, 5, 6), (9, 3, 2, 2), {"subsample": (2, 1)}),
    "large images": ((2, 2, 61, 83), (5, 2, 5, 3), {"border_mode": "half", "subsample": (2, 2), "filter_dilation": (2, 1)}),
    "depthwise": ((5, 20, 17, 30), (20, 1, 3, 3), {"num_groups": 20, "border_mode": 1}),
    "uneven groups": ((4, 6, 12, 11), (21, 2, 3, 4), {"num_groups": 3, "border_mode": "full", "filter_dilation": (1, 2)}),
    "one element, steps": ((3, 40, 15, 15), (30, 40, 1, 1), {"subsample": (3, 2)}),
    "steps beyond the filter": ((3, 4, 23, 22), (11, 4, 2, 3), {"subsample": (4, 5), "border_mode": ((3, 0), (1, 6))}),
    "line": ((3, 5, 500), (17, 5, 9), {"border_mode": ((8, 0),), "filter_dilation": (3,)}),
    "solid": ((2, 3, 9, 10, 12), (10, 3, 3, 3, 3), {"border_mode": 1, "subsample": (1, 2, 1)}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_large_shapes(dtype):
    """The compiled loops against NumPy's products, which share no code with them."""
    xs, outs, given = [], [], []
    for sx, sw, arguments in LARGE.values() if dtype == "float32" else list(LARGE.values())[:4]:
        a, b = (np.asarray(RNG.integers(-3, 4, s), dtype) for s in (sx, sw))
        x, w = vs = variables(a, b)
        y = AbstractConv(len(sx) - 2, **arguments)(x, w)
        g = TensorType(dtype, (None,) * len(sx))()
        shape = T.nnet.get_conv_output_shape(sx, sw, arguments.get("border_mode", "valid"), arguments.get("subsample", 1),
                                             arguments.get("filter_dilation"))
        xs += [*vs, g]
        given += [a, b, np.asarray(RNG.integers(-2, 3, shape), dtype)]
        outs += [y, *T.Lop(y, [x, w], g)]
    f, h = symbolic.function(xs, outs), symbolic.function(xs, outs, mode="FAST_COMPILE")
    for k, (p, q) in enumerate(zip(f(*given), h(*given), strict=True)):
        assert p.shape == q.shape and p.dtype == dtype
        np.testing.assert_array_equal(p, q, err_msg=f"{list(LARGE)[k // 3]}, {('result', 'images', 'filters')[k % 3]}")


def test_infinities_stay_where_they_belong():
    """An element that no window of a filter's element sees doesn't reach its gradient."""
    a, b, g = RNG.normal(size=(2, 2, 6, 7)), RNG.normal(size=(3, 2, 3, 2)), RNG.normal(size=(2, 3, 4, 6))
    a[0, 0, 0, 0], a[1, 1, 5, 3], a[1, 0, 5, 6], g[0, 1, 3, 5] = np.inf, np.nan, -np.inf, np.inf
    x, w, u = variables(a, b, g)
    y = T.nnet.conv2d(x, w)
    outs = T.Lop(y, [x, w], u)
    f, h = symbolic.function([x, w, u], outs), symbolic.function([x, w, u], outs, mode="FAST_COMPILE")
    for p, q in zip(f(a, b, g), h(a, b, g), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-12)
        assert np.isfinite(p).any() and not np.isfinite(p).all()
