"""Matrices of derivatives, and the batching of graphs below them."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from checks import central_difference, run
from test_elementwise import SMOOTH, draw

import symbolic
import symbolic.tensor as T
from symbolic import errors, hessian, jacobian
from symbolic.batching import batched
from symbolic.graph import Op, Variable
from symbolic.ops.elementwise import ROWS, Elementwise
from symbolic.types import TensorType

RNG = np.random.default_rng(11)


def variable(shape, dtype="float64"):
    return TensorType(dtype, (None,) * len(shape))()


PROGRAMS = {
    "vector dot": (lambda a, b: T.dot(a, b), (3,), (3,)), "rows": (lambda a, b: T.dot(a, b), (2, 3), (3,)),
    "columns": (lambda a, b: T.dot(a, b), (3,), (3, 2)), "matrix dot": (lambda a, b: T.dot(a, b), (2, 3), (3, 4)),
    "empty dot": (lambda a, b: T.dot(a, b), (2, 0), (0, 4)),
    "batched dot": (lambda a, b: T.batched_dot(a, b), (2, 3, 4), (2, 4, 5)),
    "broadcast": (lambda a, b: a * b + b, (2, 3), (3,)), "scalar": (lambda a, b: a * b, (), (2, 3)),
    "reduce": (lambda a, b: (a * b).sum(axis=0) + a.max(), (2, 3), (2, 3)),
    "prod": (lambda a, b: T.prod(a, axis=1) + b, (2, 3), ()),
    "shapes": (lambda a, b: a.reshape((3, -1)).T.flatten() * b[0], (2, 3), (2,)),
    "reshape by extents": (lambda a, b: a.reshape((a.shape[1], a.shape[0])) * b.shape[0], (2, 3), (4,)),
    "index": (lambda a, b: a[1, ::2] + b[-1], (2, 4), (2,)), "gather": (lambda a, b: a[[1, 0, 1]] * b, (2, 3), (3,)),
    "set": (lambda a, b: T.set_subtensor(a[1:], b), (3, 2), (2, 2)),
    "set a row": (lambda a, b: T.inc_subtensor(a[1:], b), (3, 2), (2,)),
    "scatter": (lambda a, b: T.inc_subtensor(a[[1, 1, 0]], b), (3, 2), (3, 2)),
    "join": (lambda a, b: T.concatenate([a, b, a], axis=0), (2, 3), (1, 3)), "stack": (lambda a, b: T.stack([a, b]), (3,), (3,)),
    "alloc": (lambda a, b: T.alloc(a[0], 2, 3) + b, (1,), (3,)), "softmax": (lambda a, b: T.nnet.softmax(a) * b, (2, 3), (3,)),
    "crossentropy": (lambda a, b: T.nnet.categorical_crossentropy(T.nnet.softmax(a), [1, 0]) * b, (2, 3), (2,)),
    "diagonal": (lambda a, b: T.diag(a) * b, (3, 3), (3,)), "roll": (lambda a, b: T.roll(a, 1) * b, (4,), (4,)),
    "sum to": (lambda a, b: T.grad((a * b).sum(), b), (2, 3), (3,)),
    "switch": (lambda a, b: T.switch(a > 0, a, b), (2, 3), (2, 3)),
    "scan": (lambda a, b: symbolic.scan(lambda e, h: T.tanh(h + T.dot(b, h) * e), a, T.ones_like(b[0]))[0], (4,), (3, 3)),
    "loop of carries": (lambda a, b: symbolic.loop(lambda h, _: (T.sin(h) * a, None), b, length=3)[0], (2,), (2,)),
    "until": (lambda a, b: symbolic.loop(lambda c, _: ((c[0] * a, c[1] + 1), None),
                                         (b, T.constant(0, dtype="int64")), length=9,
                                         until=lambda c: c[1] > 2)[0][0], (2,), (2,)),
    "until of each": (lambda a, b: symbolic.loop(lambda c, _: (c * a + 1, None), b, length=9,
                                                 until=lambda c: c.sum() > 2)[0], (2,), (2,)),
    "ifelse": (lambda a, b: symbolic.ifelse(T.gt(a.shape[0], 1), a * b, b), (2,), (2,)),
    "ifelse of each": (lambda a, b: symbolic.ifelse(T.gt(a.sum(), 0), a * b, T.sin(b)), (2,), (2,)),
}


@pytest.mark.parametrize("flags", [(1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_batch_is_its_elements_one_by_one(name, flags):
    make, *shapes = PROGRAMS[name]
    inner = [variable(s) for s in shapes]
    out = make(*inner)
    n = 3
    outer = [variable((n, *s) if flag else s) for s, flag in zip(shapes, flags, strict=True)]
    given = {v: o for v, o, flag in zip(inner, outer, flags, strict=True) if flag}
    same = {v: o for v, o, flag in zip(inner, outer, flags, strict=True) if not flag}
    (whole, has), = batched([out], given, same)
    arrays = [RNG.normal(size=(n, *s) if flag else s) for s, flag in zip(shapes, flags, strict=True)]
    one = symbolic.function(inner, out, on_unused_input="ignore")
    want = np.stack([one(*(a[k] if flag else a for a, flag in zip(arrays, flags, strict=True))) for k in range(n)])
    values = dict(zip(outer, arrays, strict=True))
    got, = run([whole], values, rtol=1e-10)
    if not has:
        got = np.broadcast_to(got, want.shape)
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    if want.size:
        central_difference([(whole ** 2).sum()], values)


@pytest.mark.parametrize("name", SMOOTH)
def test_every_elementwise_function_takes_a_batch(name):
    op = Elementwise(name)
    arrays = draw(name, [(4, 3)] * ROWS[name].nin, "float64")
    inner = [Variable(TensorType(a.dtype.name, (None,))) for a in arrays]
    for flags in itertools.product((0, 1), repeat=len(arrays)):
        if any(flags):
            outer = [variable((4, 3) if flag else (3,), a.dtype.name) for a, flag in zip(arrays, flags, strict=True)]
            (whole, _), = batched([op(*inner)], {v: o for v, o, flag in zip(inner, outer, flags, strict=True) if flag},
                                  {v: o for v, o, flag in zip(inner, outer, flags, strict=True) if not flag})
            given = [a if flag else a[1] for a, flag in zip(arrays, flags, strict=True)]
            got = symbolic.function(outer, whole)(*given)
            want = symbolic.function(outer, op(*outer))(*given)
            np.testing.assert_array_equal(got, want)


def numeric(f, a, eps=1e-6):
    """The Jacobian by central differences."""
    columns = []
    for k in range(a.size):
        e = np.zeros(a.size)
        e[k] = eps
        e = e.reshape(a.shape)
        columns.append((f(a + e) - f(a - e)) / (2 * eps))
    out = np.stack(columns, -1) if columns else np.zeros((*np.shape(f(a)), 0))
    return out.reshape((*np.shape(f(a)), *a.shape))


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("block", [None, 1, 2, 5])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (4,), (2, 3)])
def test_jacobians_and_hessians_of_any_shape(shape, block, mode):
    x = variable(shape)
    flat = x.flatten()
    w = np.random.default_rng(1).normal(size=(5, int(np.prod(shape))))
    y = T.tanh(T.dot(w, flat)) * T.arange(1, 6)
    cost = (y ** 2).sum()
    outs = [jacobian(y, x, block=block), jacobian(T.sin(x) * 2, x, block=block), hessian(cost, x, block=block)]
    f = symbolic.function([x], outs, mode=mode)
    a = np.random.default_rng(2).normal(size=shape)
    slope = symbolic.function([x], T.grad(cost, x))
    one, two, three = f(a)
    np.testing.assert_allclose(one, numeric(lambda v: np.tanh(w @ v.ravel()) * np.arange(1, 6), a), atol=1e-8)
    np.testing.assert_allclose(two, numeric(lambda v: np.sin(v) * 2, a), atol=1e-8)
    np.testing.assert_allclose(three, numeric(slope, a), atol=1e-7)
    assert three.shape == shape * 2


def test_structure_of_wrt_and_what_is_disconnected():
    x, y, z = T.dvector("x"), T.dmatrix("y"), T.dvector("z")
    out = T.dot(y, x)
    a, b = jacobian(out, (x, y))
    assert isinstance(jacobian(out, [x]), list) and a.ndim == 2 and b.ndim == 3
    with pytest.raises(errors.DisconnectedInputError, match="z"):
        jacobian(out, z)
    f = symbolic.function([x, y, z], [jacobian(out, z, disconnected_inputs="ignore"), hessian(out.sum(), x), a, b])
    got = f(np.ones(3), np.ones((2, 3)), np.ones(4))
    assert got[0].shape == (2, 4) and not got[0].any()
    assert got[1].shape == (3, 3) and not got[1].any()
    np.testing.assert_array_equal(got[2], np.ones((2, 3)))
    np.testing.assert_array_equal(got[3], np.stack([np.outer([1, 0], np.ones(3)), np.outer([0, 1], np.ones(3))]))


def test_consider_constant():
    x = T.dvector("x")
    h = x ** 2
    f = symbolic.function([x], jacobian(h * x, x, consider_constant=[h]))
    np.testing.assert_array_equal(f([1.0, 2.0]), np.diag([1.0, 4.0]))


def test_through_shared_variables_and_float32():
    w = symbolic.shared(np.ones((3, 2), "float32"), "w")
    x = T.fvector("x")
    f = symbolic.function([x], jacobian(T.nnet.sigmoid(T.dot(x, w)), [x, w]))
    a, b = f(np.zeros(3, "float32"))
    assert a.dtype == b.dtype == "float32" and a.shape == (2, 3) and b.shape == (2, 3, 2)
    np.testing.assert_allclose(a, np.full((2, 3), 0.25))


def test_a_function_of_the_hessian_has_a_gradient():
    x = T.dvector("x")
    h = hessian((T.exp(x) * x[::-1] ** 2).sum(), x)
    central_difference([(h ** 2).sum()], {x: RNG.normal(size=3)})


class Cube(Op):
    """A user's op: NumPy alone, with a pullback."""

    def infer_type(self, *types):
        return types

    def infer_shape(self, *types):
        return (tuple(symbolic.scalar.dim(0, a) for a in range(types[0].ndim)),)

    def reference(self, *arrays):
        return (arrays[0] ** 3,)

    def pullback(self, inputs, outputs, gouts):
        return [3 * inputs[0] ** 2 * gouts[0]]


def test_ops_of_users_are_taken_element_by_element():
    x = T.dvector("x")
    f = symbolic.function([x], jacobian(symbolic.map(lambda e: Cube()(e * x).sum(), x)[0], x), mode="FAST_COMPILE")
    np.testing.assert_allclose(f([1.0, 2.0]), numeric(lambda v: v ** 3 * (v ** 3).sum(), np.array([1.0, 2.0])), rtol=1e-6)


@pytest.mark.parametrize("make, error, words", [
    (lambda x: jacobian(T.gt(x, 0), x), errors.DTypeError, ["real and floating", "test_jacobian.py"]),
    (lambda x: jacobian(3, x), TypeError, ["symbolic variable"]),
    (lambda x: jacobian(x, x, block=0), ValueError, ["positive number of rows"]),
    (lambda x: hessian(x, x), errors.RankError, ["scalar"]),
    (lambda x: hessian(x.sum(), T.dvector("z")), errors.DisconnectedInputError, ["z"]),
    (lambda x: jacobian(x, "x"), TypeError, ["wrt"]),
])
def test_errors(make, error, words):
    with pytest.raises(error) as caught:
        make(T.dvector("x"))
    for word in words:
        assert word in str(caught.value)


def test_they_stand_in_the_tensor_namespace_too():
    assert T.jacobian is jacobian and T.hessian is hessian
