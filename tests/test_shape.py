"""Arrangement of elements: values on both back ends, static shapes, derivatives, error texts."""
from __future__ import annotations

import numpy as np
import pytest
from test_elementwise import check_pullback

import symbolic
import symbolic.tensor as T
from symbolic.graph import Variable
from symbolic.types import TensorType

A = np.arange(24.0).reshape(2, 3, 4)
M = np.arange(12.0).reshape(3, 4)

#: what is built from x (2, 3, 4), m (3, 4) and the integer n = 3, and what NumPy says
CASES = {
    "T": (lambda x, m, n: x.T, A.T),
    "transpose": (lambda x, m, n: x.transpose(1, 0, 2), A.transpose(1, 0, 2)),
    "transpose_tuple": (lambda x, m, n: x.transpose((2, 0, 1)), A.transpose(2, 0, 1)),
    "swapaxes": (lambda x, m, n: x.swapaxes(0, -1), A.swapaxes(0, -1)),
    "moveaxis": (lambda x, m, n: T.moveaxis(x, (0, 1), (-1, 0)), np.moveaxis(A, (0, 1), (-1, 0))),
    "dimshuffle": (lambda x, m, n: m.dimshuffle(1, "x", 0), M.T[:, None]),
    "reshape": (lambda x, m, n: x.reshape((4, 6)), A.reshape(4, 6)),
    "reshape_spread": (lambda x, m, n: x.reshape(4, -1), A.reshape(4, -1)),
    "reshape_ndim": (lambda x, m, n: x.reshape([2, 12], 2), A.reshape(2, 12)),
    "reshape_symbolic": (lambda x, m, n: x.reshape((n, -1)), A.reshape(3, -1)),
    "reshape_own": (lambda x, m, n: x.reshape((x.shape[0], -1)), A.reshape(2, -1)),
    "reshape_own_2": (lambda x, m, n: x.reshape((-1, x.shape[2])), A.reshape(-1, 4)),
    "reshape_shape": (lambda x, m, n: m.T.reshape(m.shape), M.T.reshape(3, 4)),
    "reshape_product": (lambda x, m, n: x.reshape((x.shape[0] * n, 4)), A.reshape(6, 4)),
    "flatten": (lambda x, m, n: x.flatten(), A.ravel()),
    "flatten_2": (lambda x, m, n: T.flatten(x, outdim=2), A.reshape(2, 12)),
    "ravel": (lambda x, m, n: m.T.ravel(), M.T.ravel()),
    "squeeze": (lambda x, m, n: T.squeeze(x[:1].dimshuffle("x", 0, 1, 2), (0, 1)), A[0]),
    "padleft": (lambda x, m, n: T.shape_padleft(m, 2), M[None, None]),
    "padright": (lambda x, m, n: T.shape_padright(m), M[:, :, None]),
    "padaxis": (lambda x, m, n: T.shape_padaxis(m, 1), M[:, None]),
    "specify": (lambda x, m, n: T.specify_shape(m, (n, None)) * 2, M * 2),
    "specify_known": (lambda x, m, n: T.specify_shape(m, (3, 4)).sum(0), M.sum(0)),
    "addbroadcast": (lambda x, m, n: T.addbroadcast(m[:1], 0) + m, M[:1] + M),
    "unbroadcast": (lambda x, m, n: T.unbroadcast(m.dimshuffle("x", 0, 1), 0) + 1, M[None] + 1),
    "concatenate": (lambda x, m, n: T.concatenate([m, m[:1] * 2, m], 0), np.concatenate([M, M[:1] * 2, M])),
    "join": (lambda x, m, n: T.join(1, m, m[:, :n]), np.concatenate([M, M[:, :3]], 1)),
    "join_dtypes": (lambda x, m, n: T.concatenate([m.astype("int8"), m.astype("float32")]),
                    np.concatenate([M.astype("int8"), M.astype("float32")])),
    "stack": (lambda x, m, n: T.stack([m, m + 1], axis=-1), np.stack([M, M + 1], -1)),
    "stack_old": (lambda x, m, n: T.stack(m, m), np.stack([M, M])),
    "stack_scalars": (lambda x, m, n: T.stack([m[0, 1], m[1, 2], 5.0]), np.array([1, 6, 5.0])),
    "nested_list": (lambda x, m, n: T.as_tensor_variable([[m[0, 0], n], [2.0, m[2, 3]]]), np.array([[0, 3], [2, 11.0]])),
    "hstack": (lambda x, m, n: T.horizontal_stack(m, m), np.hstack([M, M])),
    "vstack": (lambda x, m, n: T.vertical_stack(m, m), np.vstack([M, M])),
    "split": (lambda x, m, n: T.split(m, [1, n], 2, axis=1)[1], M[:, 1:]),
    "split_first": (lambda x, m, n: T.split(m, [1, 0, 2], 3)[0] * 2, M[:1] * 2),
    "tile": (lambda x, m, n: T.tile(m, (2, n)), np.tile(M, (2, 3))),
    "tile_more": (lambda x, m, n: T.tile(m, (2, 1, 2)), np.tile(M, (2, 1, 2))),
    "tile_fewer": (lambda x, m, n: T.tile(x, n), np.tile(A, 3)),
    "repeat": (lambda x, m, n: m.repeat(n, 0), M.repeat(3, 0)),
    "repeat_flat": (lambda x, m, n: T.repeat(m, 2), M.repeat(2)),
    "repeat_each": (lambda x, m, n: T.repeat(m, [2, 0, 1], 0), M.repeat([2, 0, 1], 0)),
    "roll": (lambda x, m, n: T.roll(m, -n, 1), np.roll(M, -3, 1)),
    "roll_flat": (lambda x, m, n: T.roll(m, 5), np.roll(M, 5)),
    "broadcast_to": (lambda x, m, n: T.broadcast_to(m, (n, 3, 4)), np.broadcast_to(M, (3, 3, 4))),
    "diag": (lambda x, m, n: T.diag(m, 1), np.diag(M, 1)),
    "diag_below": (lambda x, m, n: T.diag(m, -1), np.diag(M, -1)),
    "diag_outside": (lambda x, m, n: T.diag(m, 7), np.diag(M, 7)),
    "diagonal": (lambda x, m, n: x.diagonal(1, 0, 2), A.diagonal(1, 0, 2)),
    "alloc_diag": (lambda x, m, n: T.diag(m[0], -2), np.diag(M[0], -2)),
    "trace": (lambda x, m, n: x.trace(), A.trace()),
    "tril": (lambda x, m, n: T.tril(x, -1), np.tril(A, -1)),
    "triu": (lambda x, m, n: T.triu(m, 1), np.triu(M, 1)),
    "fill_diagonal": (lambda x, m, n: T.fill_diagonal(m, 7.0), M - np.eye(3, 4) * (M - 7)),
}
#: of integers or of nothing differentiable beyond what another case shows
DISCRETE = {"join_dtypes"}


def inputs() -> tuple[Variable, Variable, Variable]:
    return T.dtensor3("x"), T.dmatrix("m"), T.lscalar("n")


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_values(mode):
    x, m, n = inputs()
    outs = {name: build(x, m, n) for name, (build, _) in CASES.items()}
    got = symbolic.function([x, m, n], list(outs.values()), mode=mode)(A, M, 3)
    for (name, out), g in zip(outs.items(), got, strict=True):
        want = CASES[name][1]
        np.testing.assert_array_equal(g, want, err_msg=name)
        assert out.dtype == g.dtype == want.dtype, name
        assert out.ndim == want.ndim, name
        assert all(k in (None, e) for k, e in zip(out.type.shape, want.shape, strict=True)), name


@pytest.mark.parametrize("name", [n for n in CASES if n not in DISCRETE])
def test_known_shapes_flow_into_types_and_values_agree(name):
    x, m, n = TensorType("float64", A.shape)("x"), TensorType("float64", M.shape)("m"), T.constant(3)
    build, want = CASES[name]
    out = build(x, m, n)
    if name not in ("unbroadcast", "reshape_product"):
        assert out.type.shape == want.shape
    f = symbolic.function([x, m], out, mode="FAST_COMPILE", on_unused_input="ignore")
    np.testing.assert_array_equal(f(A, M), want)


@pytest.mark.parametrize("name", [n for n in CASES if n not in DISCRETE])
def test_derivatives(name):
    x, m, n = inputs()
    y = CASES[name][0](x, m, n)
    if y.dtype == "float64":
        check_pullback(y, [x, m, n], [A, M, np.array(3)])


def test_a_shape_is_made_of_extents():
    x = TensorType("float32", (None, 5))("x")
    assert x.shape.type == TensorType("int64", (2,))
    assert x.shape[1].data == 5 and x.shape[-1].data == 5
    assert T.get_vector_length(x.shape[:1]) == 1
    assert T.zeros((x.shape[0], x.shape[1])).type.shape == (None, 5)
    assert x.reshape((x.shape[0], -1)).type.shape == (None, 5)
    f = symbolic.function([x], [x.shape, x.size, x.shape[0] + 1])
    shape, size, more = f(np.zeros((3, 5), "float32"))
    assert (list(shape), size, more) == ([3, 5], 15, 4)


def test_shapes_survive_specialisation():
    """Where an extent turns out to be 1, types are inferred anew and must lose nothing they knew."""
    x, b = T.dmatrices("x", "b")
    y = T.squeeze((x + b).reshape((1, -1))) * T.zeros((1, 2))[0, 0] + T.alloc(b.sum(), 1, 6)[0]
    f = symbolic.function([x, b], y)
    np.testing.assert_array_equal(f(np.ones((2, 3)), np.ones((1, 3))), np.full(6, 3.0))


def test_empty_arrays():
    x = T.dmatrix("x")
    f = symbolic.function([x], [x.reshape((-1,)), x.flatten(), T.concatenate([x, x]), T.tile(x, 2), x.T])
    assert [g.shape for g in f(np.zeros((0, 3)))] == [(0,), (0,), (0, 3), (0, 6), (3, 0)]


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda x: x.reshape((5, 5)), ValueError, r"reshape: 12 elements don't fill shape \(5, 5\)"),
    (lambda x: x.reshape((5, -1)), ValueError, r"12 elements don't fill shape \(5, -1\)"),
    (lambda x: x.reshape((-1, -1)), ValueError, "at most one extent may be -1"),
    (lambda x: x.reshape((-2, 3)), ValueError, "extents are 0 or more"),
    (lambda x: x.reshape(T.lvector("v")), ValueError, "the number of dimensions isn't known"),
    (lambda x: x.dimshuffle(0), ValueError, "axis 1 can't be dropped"),
    (lambda x: x.dimshuffle(0, 0, 1), ValueError, "name each axis at most once"),
    (lambda x: x.transpose(0, 2), ValueError, "axis 2 is out of range for 2 dimensions"),
    (lambda x: x.flatten(3), ValueError, "ndim must be from 1 to 2, got 3"),
    (lambda x: T.squeeze(x, 0), ValueError, "axis 0 has extent 3, expected 1"),
    (lambda x: T.specify_shape(x, (3, 5)), ValueError, "axis 1 has extent 4, expected 5"),
    (lambda x: T.specify_shape(x, (3,)), ValueError, "a shape of 1 extents was given for 2 dimensions"),
    (lambda x: T.concatenate([x, x[0]]), ValueError, "arrays of different rank can't be joined"),
    (lambda x: T.concatenate([x, x.T]), ValueError, "extents .3, 4. differ on axis 1"),
    (lambda x: T.concatenate([]), ValueError, "nothing to join"),
    (lambda x: T.concatenate([x[0, 0], x[0, 1]]), ValueError, "scalars have no axis"),
    (lambda x: T.stack([x, x[0]]), ValueError, "arrays of different rank can't be stacked"),
    (lambda x: T.vertical_stack(x, x[0]), ValueError, "expected matrices"),
    (lambda x: T.split(x, [1, 2], 3), ValueError, "2 sizes were given for 3 pieces"),
    (lambda x: T.moveaxis(x, (0, 1), 0), ValueError, "2 axes can't go to 1 places"),
    (lambda x: T.diagonal(x, 0, 1, -1), ValueError, "are the same"),
    (lambda x: T.tril(x[0]), ValueError, "expected a matrix"),
    (lambda x: len(x[x[:, 0] > 0]), TypeError, "known only when the function runs"),
    (lambda x: 3 in x, TypeError, "known only when the function runs"),
])
def test_errors_while_building(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make(TensorType("float64", (3, 4))("x"))
    assert "test_shape.py" in str(caught.value)




@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize(("make", "text"), [
    (lambda x, n: x.reshape((5, n)), "12 elements can't be arranged in a shape of 15"),
    (lambda x, n: x.reshape((n - 5, -1)), "an extent can't be negative|can't be arranged"),
    (lambda x, n: T.squeeze(x, 0), "axis 0 has extent 3, expected 1"),
    (lambda x, n: T.specify_shape(x, (None, n)), "axis 1 has extent 4, expected 3"),
    (lambda x, n: T.concatenate([x, x.T]), "extents (4 and 3|.3, 4.) differ on axis 1"),
    (lambda x, n: T.split(x, [1, n], 2)[0], "the sizes add up to 4, but axis 0 has extent 3"),
    (lambda x, n: T.zeros((2, n - 5)), "an extent can't be negative, got -2"),
])
def test_errors_at_run_time(make, text, mode):
    x, n = T.dmatrix("x"), T.lscalar("n")
    f = symbolic.function([x, n], make(x, n), mode=mode, on_unused_input="ignore")
    with pytest.raises(ValueError, match=text) as caught:
        f(M, 3)
    assert "test_shape.py" in str(caught.value)
