"""Products against NumPy, on both back ends, with derivatives and error texts."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run, variables

from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.gradient import grad
from symbolic.graph import constant
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import mul, real, sin
from symbolic.ops.linalg import batched_dot, batched_tensordot, dot, matmul, outer, tensordot
from symbolic.ops.reduce import sum as sum_of
from symbolic.types import TensorType

RNG = np.random.default_rng(11)
REAL = ("float32", "float64")
TOLERANCE = {"float16": 2e-3, "float32": 2e-5, "complex64": 2e-5}


def draw(shape, dtype="float64"):
    if dtype == "bool":
        return RNG.integers(0, 2, shape).astype(bool)
    if np.dtype(dtype).kind in "iu":
        return RNG.integers(0, 100, shape).astype(dtype)
    a = RNG.normal(size=shape)
    return (a + 1j * RNG.normal(size=shape) if np.dtype(dtype).kind == "c" else a).astype(dtype)


def compare(function, oracle, cases):
    """Check `function` against `oracle` on pairs of arrays: with unknown and known extents, compiled once."""
    outs, values, want = [], {}, []
    for a, b in cases:
        x, y = variables(a, b)
        z = function(x, y)
        known = function(constant(a), constant(b)).type
        values.update({x: a, y: b})
        outs.append(z)
        want.append(np.asarray(oracle(a, b)))
        assert z.dtype == known.dtype == want[-1].dtype.name, (a.dtype, b.dtype)
        assert known.shape == want[-1].shape
    for g, w in zip(run(outs, values, rtol=1e-4), want, strict=True):
        assert g.shape == w.shape
        tolerance = TOLERANCE.get(w.dtype.name, 1e-12)
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * 10)


DOT_SHAPES = [
    ((), ()), ((), (3,)), ((2, 3), ()), ((3,), (3,)), ((0,), (0,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)),
    ((1, 1), (1, 1)), ((1, 3), (3, 4)), ((5, 1), (1, 4)), ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)),
    ((2, 3, 4), (4,)), ((2, 3, 4), (4, 5)), ((4,), (2, 4, 3)), ((2, 4), (3, 4, 5)), ((2, 3, 4), (5, 4, 2)),
    ((2, 1, 3, 4), (2, 4, 3)), ((2, 0, 3), (3, 2)),
]


def test_dot():
    compare(dot, np.dot, [(draw(s), draw(t)) for s, t in DOT_SHAPES])


def test_dot_of_every_dtype():
    pairs = [("float32", "float32"), ("float32", "float64"), ("float16", "float16"), ("int8", "int8"),
             ("int64", "int32"), ("uint8", "float32"), ("bool", "bool"), ("bool", "int16"), ("complex64", "complex64"),
             ("complex128", "float64"), ("float32", "complex64"), ("uint64", "uint64")]
    for s, t in (((3,), (3,)), ((2, 3), (3, 4)), ((2, 3), (3,))):
        compare(dot, np.dot, [(draw(s, a), draw(t, b)) for a, b in pairs])


def test_dot_of_large_matrices():
    compare(dot, np.dot, [(draw((65, 130), d), draw((130, 33), d)) for d in REAL])


def test_dot_of_transposed_operands():
    a, b = draw((30, 20)), draw((30, 25))
    x, y = variables(a, b)
    got = run([dot(x.T, y), dot(y.T, x), dot(x[::-1].T, y), dot(x.T[:, ::2], y[::2])], {x: a, y: b})
    for g, w in zip(got, [a.T @ b, b.T @ a, a[::-1].T @ b, a.T[:, ::2] @ b[::2]], strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12)


MATMUL_SHAPES = [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((7, 2, 3), (7, 3, 4)), ((7, 2, 3), (3, 4)),
    ((2, 3), (7, 3, 4)), ((3,), (7, 3, 4)), ((7, 2, 3), (3,)), ((6, 7, 2, 3), (7, 3, 4)), ((0, 2, 3), (0, 3, 4)),
    ((6, 7, 2, 3), (6, 7, 3, 1)),
]


def test_matmul():
    compare(matmul, np.matmul, [(draw(s), draw(t)) for s, t in MATMUL_SHAPES])
    compare(matmul, np.matmul, [(draw((7, 2, 3), d), draw((7, 3, 4), d)) for d in
                                ("float16", "float32", "int8", "bool", "complex64")])
    x, y = TensorType("float64", (1, 2, 3))("x"), TensorType("float64", (7, 3, 4))("y")
    a, b = draw((1, 2, 3)), draw((7, 3, 4))
    np.testing.assert_allclose(run([x @ y], {x: a, y: b})[0], a @ b, rtol=1e-12)
    np.testing.assert_allclose(evaluate([np.ones((5, 2)) @ x], {x: a})[0], np.ones((5, 2)) @ a, rtol=1e-12)


def test_unknown_batch_extent_that_is_one_broadcasts():
    a, b = draw((1, 2, 3)), draw((7, 3, 4))
    x, y = variables(a, b)
    np.testing.assert_allclose(run([x @ y], {x: a, y: b})[0], a @ b, rtol=1e-12)


def test_batched_dot():
    cases = {((5, 2, 3), (5, 3, 4)): "bij,bjk->bik", ((5, 2, 3), (5, 3)): "bij,bj->bi", ((5, 3), (5, 3)): "bi,bi->b",
             ((5, 3), (5, 3, 4)): "bi,bij->bj", ((5,), (5, 2, 3)): "b,bij->bij", ((5, 2, 3), (5,)): "bij,b->bij",
             ((5, 2, 3, 4), (5, 4, 2)): "bijk,bkl->bijl", ((5, 3, 4), (5, 2, 4, 6)): "bik,bjkl->bijl"}
    for (s, t), subscripts in cases.items():
        compare(batched_dot, lambda a, b, e=subscripts: np.einsum(e, a, b), [(draw(s), draw(t))])


def test_tensordot():
    cases = [((2, 3, 4), (3, 4, 5), 2), ((2, 3), (4, 5), 0), ((2, 3, 4), (4, 3, 5), [[1, 2], [1, 0]]),
             ((2, 3, 4), (4, 2), [[0, 2], [1, 0]]), ((2, 3), (2, 3), [[0, 1], [0, 1]]), ((3, 4), (5, 3), (0, 1)),
             ((2, 3, 4), (5, 3), [[-2], [-1]]), ((3,), (3,), 1)]
    for s, t, axes in cases:
        compare(lambda x, y, e=axes: tensordot(x, y, e), lambda a, b, e=axes: np.tensordot(a, b, e), [(draw(s), draw(t))])
    compare(lambda x, y: batched_tensordot(x, y, [[1, 2], [3, 1]]), lambda a, b: np.einsum("bijk,bjli->bkl", a, b),
            [(draw((5, 2, 3, 4)), draw((5, 3, 6, 2)))])


def test_outer():
    compare(outer, np.outer, [(draw((3,)), draw((4,))), (draw((2, 3)), draw(())), (draw((0,)), draw((2,)))])


# ----------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("function,shapes", [
    (dot, [s for s in DOT_SHAPES if 0 not in s[0] + s[1]]), (matmul, [s for s in MATMUL_SHAPES if 0 not in s[0]]),
    (batched_dot, [((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3)), ((5,), (5, 2))]),
    (outer, [((3,), (4,))]), (lambda x, y: tensordot(x, y, [[1, 2], [1, 0]]), [((2, 3, 4), (4, 3, 5))]),
], ids=["dot", "matmul", "batched_dot", "outer", "tensordot"])
def test_gradients(function, shapes):
    for s, t in shapes:
        a, b = draw(s), draw(t)
        x, y = variables(a, b)
        z = function(x, y)
        weight = RNG.normal(size=evaluate([z], {x: a, y: b})[0].shape)
        central_difference([sum_of(mul(weight, sin(z)))], {x: a, y: b})


def test_gradient_of_a_square():
    a = draw((3, 3))
    x, = variables(a)
    central_difference([sum_of(sin(dot(x, x))), sum_of(dot(dot(x, x.T), x))], {x: a})


def test_gradient_where_a_batch_is_broadcast():
    a, b = draw((1, 2, 3)), draw((4, 3, 2))
    x, y = TensorType("float64", (1, None, None))("x"), TensorType("float64", (None,) * 3)("y")
    central_difference([sum_of(sin(x @ y)), sum_of(sin(y @ x))], {x: a, y: b})


def test_gradient_dtypes():
    for s, t in (((3,), (3,)), ((2, 3), (3, 4)), ((3,), (3, 2)), ((2, 3), (3,)), ((5, 2, 3), (5, 3, 2))):
        x, y = TensorType("float32", (None,) * len(s))("x"), TensorType("float64", (None,) * len(t))("y")
        k = TensorType("int32", (None,) * len(t))("k")
        gx, gy = grad(sum_of(matmul(x, y)), [x, y])
        assert (gx.dtype, gy.dtype) == ("float32", "float64")
        assert grad(sum_of(matmul(x, k)), x).dtype == "float32"


def test_complex_gradient():
    """The gradient of a real cost in a complex matrix pairs with a step as Re(conj(g)*dx)."""
    a, b, d = draw((2, 3), "complex128"), draw((3, 4), "complex128"), draw((2, 3), "complex128")
    x, y = variables(a, b)
    cost = sum_of(sin(real(dot(x, y))))
    g = evaluate([grad(cost, x)], {x: a, y: b})[0]
    eps = 1e-6
    f = [evaluate([cost], {x: a + s * eps * d, y: b})[0] for s in (1, -1)]
    np.testing.assert_allclose(np.sum((g.conj() * d).real), (f[0] - f[1]) / (2 * eps), rtol=1e-6)


# -------------------------------------------------------------------------------------------- errors


def test_inner_extents_known_to_differ():
    x, w = TensorType("float32", (None, 784))("x"), TensorType("float32", (748, 500))("W")
    text = r"dot: inner extents differ: 784 and 748, x \(float32 \(\?, 784\)\) · W \(float32 \(748, 500\)\), at .*dot\(x, w\)"
    with pytest.raises(errors.ShapeError, match=text):
        dot(x, w)
    with pytest.raises(ValueError, match="batched_dot: inner extents differ: 784 and 748"):
        matmul(TensorType("float32", (3, 2, 784))("x"), w)
    with pytest.raises(errors.ShapeError, match=r"tensordot: inner extents differ: 784 \(axis 1\) and 748 \(axis 0\)"):
        tensordot(x, w, 1)


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((2, 3), (4, 5)), ((3,), (1, 2)), ((2, 1), (3,))])
def test_inner_extents_that_differ_when_called(shapes):
    x, y = variables(*(draw(s) for s in shapes))
    with pytest.raises(errors.ShapeError, match=r"inner extents differ: \d and \d"):
        run([dot(x, y)], {x: draw(shapes[0]), y: draw(shapes[1])}, on_error=True)


def test_other_extents_that_differ_when_called():
    for s, t, f in (((2, 3, 4), (5, 4, 3), matmul), ((2, 3, 4), (2, 5, 3), matmul), ((5, 3), (4, 3), batched_dot),
                    ((2, 3), (3, 2), tensordot)):
        x, y = variables(draw(s), draw(t))
        with pytest.raises(ValueError, match="differ|broadcast|mismatch"):
            run([f(x, y)], {x: draw(s), y: draw(t)}, on_error=True)


def test_ranks_and_axes():
    x, s = TensorType("float64", (None, None))("x"), TensorType("float64", ())("s")
    with pytest.raises(errors.RankError, match=r"matmul: operands must have at least one dimension(.|\n)*use \*"):
        matmul(x, s)
    with pytest.raises(errors.RankError, match="batched_dot: operands must have a batch axis"):
        batched_dot(s, x)
    with pytest.raises(errors.RankError, match=r"tensordot: axes \[2\] aren't axes of x"):
        tensordot(x, x, [[2], [0]])
    with pytest.raises(errors.RankError, match="tensordot: axes must name as many of a as of b"):
        tensordot(x, x, [[0, 1], [0]])


def test_lists_and_casts():
    x = TensorType("float32", (2,))("x")
    assert dot([1, 2], x).dtype == "float32"
    assert dot(cast_to(x, "int8"), [1.0, 2.0]).dtype == "float64"


@pytest.mark.parametrize("k", [0, 1, -1])
def test_a_transposed_slice_is_no_transposed_operand(k):
    """BLAS reads a transposed matrix where it lies; a slice of a stack lies elsewhere than the stack."""
    a, b = draw((3, 4, 5)), draw((4, 2))
    x, y = variables(a, b)
    outs = run([dot(x[k].T, y), dot(y.T, x[k]), dot(x[k].T, x[0])], {x: a, y: b})
    for got, want in zip(outs, (a[k].T @ b, b.T @ a[k], a[k].T @ a[0]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
