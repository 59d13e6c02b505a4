"""Einstein sums against NumPy's: random expressions, every way to write them, derivatives, the order of products."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.ops.einsum import Term, _order
from symbolic.types import TensorType


def draw(seed):
    """Return random subscripts, arrays that fit, and variables for them, some of known shape."""
    rng = np.random.default_rng(seed)
    letters = list("abcdef")
    size = {c: int(n) for c, n in zip(letters, rng.choice([0, 1, 2, 3, 4], 6, p=[.03, .12, .3, .3, .25]), strict=True)}
    dots = tuple(int(n) for n in rng.choice([1, 2, 3], rng.integers(0, 3)))
    parts, shapes = [], []
    for _ in range(int(rng.integers(1, 5))):
        labels = [str(c) for c in rng.choice(letters, int(rng.integers(0, 4)))]
        shape = [size[c] if rng.random() > .04 or labels.count(c) > 1 else 1 for c in labels]
        if dots and rng.random() < .5:
            at, kept = int(rng.integers(0, len(labels) + 1)), dots[int(rng.integers(0, len(dots) + 1)):]
            labels.insert(at, "...")
            shape[at:at] = [n if rng.random() < .8 else 1 for n in kept]
        parts.append("".join(labels))
        shapes.append(tuple(shape))
    text = ",".join(parts)
    if rng.random() < .7:
        used = sorted(set("".join(parts)) - {"."})
        out = [str(c) for c in rng.permutation(used)[:int(rng.integers(0, len(used) + 1))]] if used else []
        if "..." in text:
            out.insert(int(rng.integers(0, len(out) + 1)), "...")
        text += "->" + "".join(out)
    arrays = [rng.normal(size=s) for s in shapes]
    variables = [TensorType("float64", tuple(n if n == 1 or rng.random() < .3 else None for n in s))(f"x{k}")
                 for k, s in enumerate(shapes)]
    return text, arrays, variables


def test_random_expressions():
    for seed in range(700):
        text, arrays, variables = draw(seed)
        want = np.einsum(text, *arrays)
        got = evaluate([T.einsum(text, *variables), T.einsum(text, *variables, optimize=False)],
                       dict(zip(variables, arrays, strict=True)))
        for g in got:
            assert g.shape == want.shape, (seed, text)
            np.testing.assert_allclose(g, want, rtol=1e-10, atol=1e-10, err_msg=f"{seed}: {text}")


def test_random_expressions_compiled_with_derivatives():
    rng = np.random.default_rng(1)
    for first in range(700, 760, 30):
        values, outs, want, costs = {}, [], [], []
        for seed in range(first, first + 30):
            text, arrays, variables = draw(seed)
            values.update(zip(variables, arrays, strict=True))
            outs.append(T.einsum(text, *variables))
            want.append(np.einsum(text, *arrays))
            costs.append(T.sum(T.sin(outs[-1] * rng.normal(size=want[-1].shape))))
        for k, v in enumerate(values):
            v.name = f"x{k}"
        got = symbolic.function(list(values), [*outs, *T.grad(sum(costs), list(values), disconnected_inputs="ignore")])(
            *values.values())
        for g, w in zip(got, want, strict=False):
            np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-10)
        central_difference(costs[:8], {v: a for k, (v, a) in enumerate(values.items()) if k < 200}, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "complex64", "complex128"])
def test_dtypes(dtype):
    rng = np.random.default_rng(2)
    a, b = (rng.integers(0, 3, (3, 3)).astype(dtype) for _ in range(2))
    x, y = (TensorType(dtype, (None, None))() for _ in range(2))
    texts = ["ij,jk->ik", "ii->i", "ij,ij->", "ij,kj->k", "i...->..."]
    outs = [T.einsum(t, *((x, y) if "," in t else (x,))) for t in texts]
    for t, g in zip(texts, run(outs, {x: a, y: b}, rtol=1e-3), strict=True):
        want = np.einsum(t, *((a, b) if "," in t else (a,)))
        assert g.dtype == want.dtype
        np.testing.assert_allclose(g, want, rtol=1e-3)


def test_lists_of_integers_and_blanks():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    x, y = T.dmatrix("x"), T.dmatrix("y")
    got = run([T.einsum(x, [0, 1], y, [1, 2], [2, 0]), T.einsum(x, [0, 27], y, [27, 2]),
               T.einsum(x, [Ellipsis, 0], [0, Ellipsis]), T.einsum(" i j , j k -> i k ", x, y)], {x: a, y: b})
    for g, w in zip(got, [(a @ b).T, np.einsum(a, [0, 27], b, [27, 2]), a.T, a @ b], strict=True):
        np.testing.assert_allclose(g, w)


def test_products_go_to_blas_in_the_cheapest_order():
    small, tall = TensorType("float64", (2, 1000)), TensorType("float64", (1000, 1000))
    a, b, c = small("a"), tall("b"), tall("c")
    terms = [Term(b, ("i", "j")), Term(c, ("j", "k")), Term(a, ("l", "i"))]
    assert _order(terms, ["l", "k"]) == [(0, 2), (0, 1)]
    out = T.einsum("ij,jk,li->lk", b, c, a)
    assert symbolic.function([a, b, c], out).source.count("rt->gemm(") >= 1
    many = [TensorType("float64", (3, 3))() for _ in range(10)]
    text = ",".join("abcdefghijk"[k:k + 2] for k in range(10)) + "->ak"
    arrays = [np.random.default_rng(k).normal(size=(3, 3)) for k in range(10)]
    np.testing.assert_allclose(evaluate([T.einsum(text, *many)], dict(zip(many, arrays, strict=True)))[0],
                               np.linalg.multi_dot(arrays))


def test_refusals():
    x, y = T.dmatrix("x"), T.dmatrix("y")
    with pytest.raises(ValueError, match="is for 1 operands, got 2"):
        T.einsum("ij", x, y)
    with pytest.raises(errors.RankError, match=r"'ijk' has 3 labels for 2 dimensions, x \(float64"):
        T.einsum("ijk->i", x)
    with pytest.raises(ValueError, match="'1' in 'i1->i' is no label"):
        T.einsum("i1->i", x)
    with pytest.raises(ValueError, match="label 'k' of the result of 'ij->k' is none of the operands'"):
        T.einsum("ij->k", x)
    with pytest.raises(ValueError, match="stands twice"):
        T.einsum("ij->ii", x)
    with pytest.raises(ValueError, match=r"has no '\.\.\.'"):
        T.einsum("i...->i", x)
    with pytest.raises(errors.ShapeError, match="label 'j' of 'ij,jk' have extents 3 and 4"):
        T.einsum("ij,jk", np.zeros((2, 3)), np.zeros((4, 5)))
    for text, values in (("ij,jk->ik", ((2, 3), (4, 5))), ("ij,ij->ij", ((2, 3), (2, 4))), ("ij,ji->", ((2, 3), (4, 2)))):
        with pytest.raises(errors.ShapeError, match="3 and 4"):
            run([T.einsum(text, x, y)], {x: np.zeros(values[0]), y: np.zeros(values[1])}, on_error=True)
    with pytest.raises(errors.ShapeError, match="2 and 3"):
        run([T.einsum("ii", x)], {x: np.zeros((2, 3))}, on_error=True)
