"""Reading and writing parts of arrays, against NumPy."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run, variables

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.gradient import grad
from symbolic.graph import Variable
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import mul, sin
from symbolic.ops.index import getitem, take
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scatter import inc_subtensor, set_subtensor
from symbolic.ops.subtensor import AdvancedSubtensor, Subtensor
from symbolic.types import TensorType

RNG = np.random.default_rng(7)
S = np.s_

BASIC = [
    ((5,), k) for k in (0, -1, 4, -5, S[:], S[1:], S[:-1], S[::-1], S[1:4], S[-3:-1], S[::2], S[1::3], S[::-2], S[3:0:-1],
                        S[3::-1], S[:1:-1], S[-2:-9:-1], S[10:], S[:10], S[-10:2], S[10::-3], S[4:2], S[2:4:-1], S[...],
                        S[None], S[None, 1:, None], S[1, None], S[9:1:-2], S[-1:-1], S[5:], S[:0], S[:-5], S[-6::-1])
] + [
    ((3, 4), k) for k in (S[1], S[1, 2], S[:, -1], S[..., 0], S[1, ...], S[::-1, ::2], S[None, :, 1], S[:, None],
                          S[0, None, 1:3], S[1:1], S[:, 4:], S[-3:, -4:], S[..., None])
] + [
    ((2, 3, 4), k) for k in (S[1, ..., 2], S[:, 1], S[..., 1:, ::-1], S[0, 1, 2], S[:, None, 1, ..., None])
] + [((0,), S[:]), ((0,), S[::-1]), ((0,), S[1:]), ((0,), S[:-1]), ((0, 3), S[:, 1]), ((1,), S[0]), ((1,), S[::-3]),
     ((), S[...]), ((), S[None])]

I2 = np.array([[0, 2], [-1, 1]])
ADVANCED = [
    ((5,), k) for k in ([0, 2, 2], [-1, -5], I2, np.zeros((0,), "int64"), np.array([1, 3], "uint8"),
                        np.array([-2], "int8"), S[None, [1, 2]], S[[1, 2], None], [])
] + [
    ((3, 4), k) for k in ([2, 0], S[:, [3, -4]], S[[0, 1, 2], [1, 1, -1]], S[I2, 1:3], S[1:, I2], S[[[0], [2]], [1, 3]],
                          S[0, [1, 2]], S[[1, 2], 0], S[..., [0]], S[::-1, [0, 0]])
] + [
    ((3, 4, 5), k) for k in (S[[0, 1], :, [2, 3]], S[:, [0, 1], [2, 3]], S[0, :, [1, 2]], S[:, 0, [1, 2]], S[[0, 1], 2],
                             S[[1], None, [2]], S[:, None, [0, 1], 1], S[I2, ::2, 0], S[..., I2], S[[0, 1], ..., None],
                             S[1, ..., [0, 1]], S[None, [0, 1], :, 2], S[I2[:, :1], I2[0], ::-2])
]


def _unique(shape, key):
    """Whether no element is named twice."""
    part = np.arange(np.prod(shape, dtype=int)).reshape(shape)[key]
    return np.unique(part).size == part.size


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("shape,key", BASIC + ADVANCED)
def test_reading(shape, key, known):
    a = RNG.normal(size=shape)
    x = TensorType("float64", shape if known else (None,) * len(shape))("x")
    y = x[key]
    want = a[np.array(key, "int64") if isinstance(key, list) else key]
    assert y.ndim == want.ndim
    got = evaluate([y], {x: a})[0]
    assert got.shape == want.shape
    assert all(n is None or n == m for n, m in zip(y.type.shape, want.shape, strict=True))
    if known:
        assert y.type.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("shape", sorted({s for s, _ in BASIC + ADVANCED}))
def test_compiled(shape):
    """All keys at once, read and written: one compilation a shape."""
    a = RNG.normal(size=shape)
    x = TensorType("float64", (None,) * len(shape))("x")
    parts = [(x[k], k) for s, k in BASIC + ADVANCED if s == shape]
    outs = [part for part, _ in parts]
    for part, key in parts:
        outs.append(inc_subtensor(part, np.arange(1.0, 1 + part.type.shape[-1]) if part.type.ndim and
                                  part.type.shape[-1] else 2.0))
        if _unique(shape, np.array(key, "int64") if isinstance(key, list) else key):
            outs.append(set_subtensor(part, part * 2))
    run(outs, {x: a})


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "complex64"])
def test_dtypes(dtype):
    a = RNG.integers(0, 2, (4, 3)).astype(dtype)
    x = TensorType(dtype, (None, None))("x")
    for key in (S[1:, ::-1], S[[0, 3], 1]):
        y = x[key]
        assert y.dtype == dtype
        np.testing.assert_array_equal(evaluate([y], {x: a})[0], a[key])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_symbolic_bounds(n):
    a = np.arange(n)
    x = TensorType("int64", (None,))("x")
    i, j, k = (TensorType("int64", ())(s) for s in "ijk")
    plain, stepped = x[i:j], x[i:j:k]
    up, down, from_end, to_end = x[i:], x[:i:-1], x[i::-1], x[:i]
    bounds = (-7, -5, -2, -1, 0, 1, 3, 5, 8)
    for p in bounds:
        for q in bounds:
            for s in (-3, -1, 1, 2):
                values = {x: a, i: np.int64(p), j: np.int64(q), k: np.int64(s)}
                got = evaluate([plain, stepped, up, down, from_end, to_end], values)
                want = [a[p:q], a[p:q:s], a[p:], a[:p:-1], a[p::-1], a[:p]]
                for g, w in zip(got, want, strict=True):
                    np.testing.assert_array_equal(g, w)


def test_symbolic_integers_of_any_dtype():
    x = TensorType("float64", (None, None))("x")
    i = TensorType("int32", ())("i")
    k = TensorType("uint8", (None,))("k")
    a = RNG.normal(size=(3, 4))
    got = run([x[i], x[:, i], x[k], x[i, k]], {x: a, i: np.int32(-2), k: np.array([2, 0], "uint8")})
    for g, w in zip(got, [a[-2], a[:, -2], a[[2, 0]], a[-2, [2, 0]]], strict=True):
        np.testing.assert_array_equal(g, w)


def test_lengths_that_are_equal_are_the_same_expression():
    x = TensorType("float64", (None,))("x")
    one, other = x[1:], x[:-1]
    assert one.owner.op.infer_shape(x.type)[0] == other.owner.op.infer_shape(x.type)[0]


@pytest.mark.parametrize("k", [5, -6, 100])
def test_integer_out_of_range(k):
    x, i = TensorType("float64", (None, 5))("x"), TensorType("int64", ())("i")
    with pytest.raises(errors.IndexOutOfBounds, match=rf"index {k} is out of bounds for axis 1 with extent 5.*x \(float"):
        x[:, k]
    a = np.zeros((5, 5))
    for y in (x[i], x[i:, i], x[k]):
        with pytest.raises(IndexError, match=rf"index {k} is out of bounds for axis \d with extent 5"):
            run([y], {x: a, i: np.int64(k)}, on_error=True)


@pytest.mark.parametrize("k", [3, -4, 1000])
def test_array_out_of_range(k):
    x, i = TensorType("float64", (None, 3))("x"), TensorType("int64", (None,))("i")
    bad = np.array([0, k, 1])
    with pytest.raises(errors.IndexOutOfBounds, match=f"index {k} is out of bounds for axis 1 with extent 3"):
        x[:, bad]
    for y in (x[i], x[:, i], x[i, i], x[bad], set_subtensor(x[i], 0.0), inc_subtensor(x[i, ::-1], 1.0)):
        with pytest.raises(IndexError, match=rf"index {k} is out of bounds for axis \d with extent 3"):
            run([y], {x: np.zeros((3, 3)), i: bad}, on_error=True)


def test_bad_keys():
    x = TensorType("float64", (None, None))("x")
    with pytest.raises(errors.RankError, match="too many indices: 3 for 2 dimensions"):
        x[0, 0, 0]
    with pytest.raises(errors.RankError, match="one Ellipsis"):
        x[..., 0, ...]
    with pytest.raises(errors.DTypeError, match=r"an integer or a mask of bools, got .*float(.|\n)*hint: cast it: T.cast"):
        x[TensorType("float32", ())("f")]
    with pytest.raises(TypeError, match="must be an integer"):
        x[1.0]
    with pytest.raises(TypeError, match="must be an integer"):
        x[1.0:]
    with pytest.raises(errors.DTypeError, match="bound of a slice must be an integer scalar"):
        x[TensorType("int64", (None,))("v"):]
    with pytest.raises(ValueError, match="step of the slice on axis 1 is zero"):
        x[:, ::0]
    k = TensorType("int64", ())("k")
    with pytest.raises(ValueError, match="step of the slice on axis 0 is zero"):
        evaluate([x[::k]], {x: np.zeros((2, 2)), k: np.int64(0)})
    i, j = TensorType("int64", (3,))("i"), TensorType("int64", (2,))("j")
    with pytest.raises(errors.ShapeError, match="don't broadcast"):
        x[i, j]
    i, j = TensorType("int64", (None,))("i"), TensorType("int64", (None,))("j")
    with pytest.raises(errors.ShapeError, match="don't broadcast"):
        evaluate([x[i, j]], {x: np.zeros((3, 3)), i: np.zeros(3, "int64"), j: np.zeros(2, "int64")})


def test_constant_mask():
    a = RNG.normal(size=(4,))
    x = TensorType("float64", (None,))("x")
    mask = np.array([True, False, True, True])
    np.testing.assert_array_equal(evaluate([x[mask]], {x: a})[0], a[mask])


@pytest.mark.parametrize("mode", ["raise", "clip", "wrap"])
def test_take(mode):
    a = RNG.normal(size=(3, 4, 5))
    x = TensorType("float64", (None, None, None))("x")
    far = mode != "raise"
    ys, want = [], []
    for axis in (None, 0, 1, -1):
        for k in (1, [0, 2], I2, *([[-9, 77, 3], 11] if far else [])):
            ys.append(take(x, k, axis, mode))
            want.append(np.take(a, k, axis, mode=mode))
    for g, w in zip(run(ys, {x: a}), want, strict=True):
        assert g.shape == w.shape
        np.testing.assert_array_equal(g, w)
    with pytest.raises(errors.RankError, match="axis 3 is out of range"):
        take(x, 0, 3)
    with pytest.raises(ValueError, match="mode must be"):
        take(x, 0, 0, "nearest")
    i = TensorType("int64", (None,))("i")
    with pytest.raises(IndexError):
        evaluate([take(x, i, 0, mode)], {x: np.zeros((0, 1, 1)), i: np.array([0])})


def test_masks():
    a, m = RNG.normal(size=(3, 4)), RNG.random(3) < 0.5
    x, mask = TensorType("float64", (None, None))("x"), TensorType("bool", (None,))("mask")
    none = np.zeros((3, 4), bool)
    outs = [x[x > 0], x[mask], x[mask, 1:], x[mask].set(0.0), x[x > 9].inc(1.0), x[none], x[True, mask],
            x[:, None, [True, False] * 2]]
    wanted = [a[a > 0], a[m], a[m, 1:], np.where(m[:, None], 0, a), a, a[none], a[True, m], a[:, None, [True, False] * 2]]
    for got, want in zip(run(outs, {x: a, mask: m}), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    for y in (x[mask], x[:, mask], x[np.array([True] * 4)], x[mask].set(0.0)):
        with pytest.raises(errors.IndexOutOfBounds, match=r"boolean index has extent \d where axis \d has extent \d"):
            run([y], {x: a, mask: np.array([True] * 5)}, on_error=True)
    with pytest.raises(errors.IndexOutOfBounds, match="boolean index has extent 5 where axis 1 has extent 4"):
        TensorType("float64", (3, 4))("z")[:, np.array([True] * 5)]
    with pytest.raises(errors.RankError, match="too many indices: 3 for 2 dimensions"):
        x[mask, x > 0]


def test_writing_into_a_view_that_the_user_made_keeps_its_axes():
    x = TensorType("float64", (None,))("x")
    column = x.dimshuffle(0, "x")
    out = column[[0], [0]].set(5.0)
    assert out.type == column.type
    np.testing.assert_array_equal(evaluate([out], {x: np.ones(2)})[0], [[5], [1]])
    with pytest.raises(errors.GraphError, match="must be an indexed array"):
        set_subtensor(column, 0.0)


# ------------------------------------------------------------------------------------------- writing


def _values_for(shape):
    yield ()
    yield shape
    if len(shape) > 1:
        yield shape[1:]
        yield (1, *shape[1:])


@pytest.mark.parametrize("shape,key", BASIC + ADVANCED)
def test_writing(shape, key):
    a = RNG.normal(size=shape)
    x = TensorType("float64", (None,) * len(shape))("x")
    part = x[key]
    np_key = np.array(key, "int64") if isinstance(key, list) else key
    outs, want, given = [], [], {x: a}
    for yshape in _values_for(a[np_key].shape):
        b = RNG.normal(size=yshape)
        y = TensorType("float64", tuple(1 if n == 1 else None for n in yshape))("y")
        given[y] = b
        outs.append(inc_subtensor(part, y))
        c = a.copy()
        np.add.at(c, np_key, np.broadcast_to(b, a[np_key].shape).copy())  # numpy.add.at broadcasts wrongly
        want.append(c)
        if _unique(shape, np_key):
            outs.append(set_subtensor(part, y))
            d = a.copy()
            d[np_key] = b
            want.append(d)
    for o, g, w in zip(outs, evaluate(outs, given), want, strict=True):
        assert o.type == x.type
        np.testing.assert_allclose(g, w, rtol=1e-14)


def test_writing_dtypes_and_duplicates():
    a = RNG.integers(0, 2, (4, 3))
    for dtype in ("bool", "int8", "uint16", "float16", "float32", "complex64"):
        x, one = TensorType(dtype, (None, None))("x"), dtype == "bool" or 1
        got = evaluate([inc_subtensor(x[[1, 1, 2]], one), set_subtensor(x[1:, 0], one)], {x: a.astype(dtype)})
        inc, sett = a.astype(dtype), a.astype(dtype)
        np.add.at(inc, [1, 1, 2], np.ones((), dtype))
        sett[1:, 0] = 1
        np.testing.assert_array_equal(got[0], inc)
        np.testing.assert_array_equal(got[1], sett)
        assert got[0].dtype == dtype


def test_writing_symbolic_bounds_and_methods():
    x, i, j = TensorType("float64", (None,))("x"), TensorType("int64", ())("i"), TensorType("int64", ())("j")
    a = np.arange(6.0)
    got = run([x[i:j].set(0.0), x[i:j].inc(1), x[i].inc(5, ), set_subtensor(x[j:i:-2], -1.0)],
              {x: a, i: np.int64(1), j: np.int64(-1)})
    want = [a.copy() for _ in range(4)]
    want[0][1:-1] = 0
    want[1][1:-1] += 1
    want[2][1] += 5
    want[3][-1:1:-2] = -1
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


def test_unknown_extent_that_is_one_broadcasts():
    x, y = TensorType("float64", (None, None))("x"), TensorType("float64", (None, None))("y")
    a, b = np.zeros((3, 4)), np.array([[1.0, 2, 3, 4]])
    np.testing.assert_array_equal(evaluate([set_subtensor(x[1:], y)], {x: a, y: b})[0], [[0] * 4, b[0], b[0]])


def test_bad_values():
    x, y = TensorType("float32", (4, 3))("x"), TensorType("float64", (3,))("y")
    with pytest.raises(errors.DTypeError, match=r"set_subtensor: can't store float64 in an array of float32(.|\n)*T.cast"):
        set_subtensor(x[0], y)
    with pytest.raises(errors.ShapeError, match=r"inc_subtensor: a value of shape \(3,\) doesn't fit .* of shape \(2, 2\)"):
        inc_subtensor(x[:2, 1:], cast_to(y, "float32"))
    with pytest.raises(errors.ShapeError, match="doesn't fit"):
        inc_subtensor(x[0], np.zeros((1, 3), "float32"))
    with pytest.raises(errors.GraphError, match=r"must be an indexed array, got x(.|\n)*set_subtensor\(x\[index\], y\)"):
        set_subtensor(x, 0)
    with pytest.raises(errors.GraphError, match="indexed array"):
        inc_subtensor(x + 1, 0)
    with pytest.raises(errors.GraphError, match="indexed array"):
        inc_subtensor(3, 0)
    u, v = TensorType("float32", (None,))("u"), TensorType("float32", (None,))("v")
    with pytest.raises(errors.ShapeError, match="5"):
        evaluate([set_subtensor(u[1:4], v)], {u: np.zeros(6, "f"), v: np.zeros(5, "f")})


def test_theano_arguments_are_accepted():
    x = TensorType("float64", (3,))("x")
    set_subtensor(x[0], 1, inplace=True, tolerate_inplace_aliasing=True)
    got = inc_subtensor(x[[0]], 1, inplace=True, set_instead_of_inc=True, ignore_duplicates=True)
    np.testing.assert_array_equal(evaluate([got], {x: np.full(3, 5.0)})[0], [1, 5, 5])


# ----------------------------------------------------------------------------------------- gradients

GRADIENTS = [
    ((5,), S[1::2]), ((5,), S[::-1]), ((5,), 2), ((3, 4), S[:, None, -1]), ((3, 4), S[1:, ::-2]), ((5,), S[[0, 2, 2]]),
    ((3, 4), S[I2, 1:3]), ((3, 4, 5), S[[0, 1], :, [2, 3]]), ((3, 4, 5), S[:, None, [0, 1], 1]),
]


@pytest.mark.parametrize("shape,key", GRADIENTS)
def test_gradients(shape, key):
    a = RNG.normal(size=shape)
    b = RNG.normal(size=a[key].shape)
    x, y = variables(a, b)
    weight = RNG.normal(size=shape)
    costs = [sum_of(mul(sin(x[key]), b)), sum_of(mul(weight, sin(inc_subtensor(x[key], y) * x)))]
    if _unique(shape, key):
        costs.append(sum_of(mul(weight, sin(set_subtensor(x[key], y) * x))))
    central_difference(costs, {x: a, y: b})


def test_gradient_of_broadcast_value():
    a, b, c = RNG.normal(size=(3, 4)), RNG.normal(size=(1, 2)), RNG.normal(size=())
    x = TensorType("float64", (None, None))("x")
    y, z = TensorType("float64", (1, None))("y"), TensorType("float64", ())("z")
    weight = RNG.normal(size=(3, 4))
    costs = [sum_of(mul(weight, sin(f(x[:, 1:3], v)))) for f in (set_subtensor, inc_subtensor) for v in (y, z)]
    central_difference(costs, {x: a, y: b, z: c})


def test_gradient_through_take_modes():
    a = RNG.normal(size=(4,))
    x, = variables(a)
    central_difference([sum_of(sin(take(x, [-9, 2, 77, 2], 0, mode))) for mode in ("clip", "wrap")], {x: a})


def test_gradient_dtypes():
    for dtype in ("float16", "float32"):
        x = TensorType(dtype, (None,))("x")
        for key in (S[1:], S[[0, 0]]):
            assert grad(cast_to(sum_of(x[key]), "float64"), x).dtype == dtype


def test_ops_are_values():
    x = TensorType("float64", (None, 3))("x")
    assert x[1:, 0].owner.op == x[1:, 0].owner.op
    assert x[1:, 0].owner.op != x[2:, 0].owner.op
    assert str(x[1:, ::-1].owner.op) == "subtensor{1:, ::-1}"
    assert isinstance(x[[0]].owner.op, AdvancedSubtensor)
    assert isinstance(getitem(x, 0).owner.op, Subtensor)
    assert isinstance(x, Variable)


def test_computed_indices_are_checked_before_they_are_used():
    """Also where they could be computed in the kernel that reads through them."""
    x, i = T.dvector("x"), T.lvector("i")
    for out in (T.exp(x[i * i + 1]), x[i * i + 1], T.take_along_axis(x, i * i + 1, 0) * 2):
        f = symbolic.function([x, i], out)
        body = f.source[f.source.rindex("symbolic_run(symbolic_runtime"):]
        assert body.index("return 1;") < body.rindex("k_"), "the last kernel reads x"
        with pytest.raises(IndexError, match=r"index 1000001 is out of bounds"):
            f(np.ones(3), [1000])


EXTREMES = [-2**63, -2**63 + 1, -9, -7, -1, 0, 1, 6, 7, 2**63 - 2, 2**63 - 1]


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_bounds_and_steps_as_far_as_integers_go(mode):
    """Differences of bounds, and spans plus steps, must not pass the largest integer."""
    x, p, q, s = TensorType("float64", (None,))("x"), *(TensorType("int64", ())(n) for n in "pqs")
    a = np.arange(7.0)
    f = symbolic.function([x, p, q, s], [x[p:q:s], set_subtensor(x[p:q:s], 9.0), x[p:q], x[p:q:-1], x[::s]], mode=mode)
    for i in EXTREMES:
        for j in EXTREMES[::1 if mode == "FAST_RUN" else 4]:
            for k in (-2**63, -3, -1, 1, 2, 2**63 - 1):
                wanted = a.copy()
                wanted[i:j:k] = 9
                for got, want in zip(f(a, i, j, k), (a[i:j:k], wanted, a[i:j], a[i:j:-1], a[::k]), strict=True):
                    np.testing.assert_array_equal(got, want, err_msg=f"{i}:{j}:{k}")
