"""Ops over graphs, derivatives of users' own, and recomputation."""
from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from checks import central_difference, run

import symbolic
import symbolic.tensor as T
from symbolic import OpFromGraph, checkpoint, custom_gradient, errors, op_from_graph
from symbolic.compile.builders import OpFromGraph as TheanosOpFromGraph
from symbolic.gradient import DisconnectedType, NullType

RNG = np.random.default_rng(11)
MODES = ["FAST_RUN", "FAST_COMPILE", "CHECK"]


def evaluated(outputs, values, mode="FAST_RUN"):
    return symbolic.function(list(values), outputs, mode=mode, on_unused_input="ignore")(*values.values())


@pytest.mark.parametrize("mode", MODES)
def test_an_op_over_a_graph_is_its_composition(mode):
    x, y, a, b = T.dmatrix("x"), T.dvector("y"), T.dmatrix("a"), T.dvector("b")
    op = OpFromGraph([x, y], [T.tanh(x) * y, T.dot(x, y)], name="pair")
    p, q = op(a * 2, b)
    u, v = T.tanh(a * 2) * b, T.dot(a * 2, b)
    values = {a: RNG.normal(size=(3, 4)), b: RNG.normal(size=4)}

    def everything(p, q):
        cost = (p ** 2).sum() + (q ** 3).sum()
        first = T.grad(cost, [a, b])
        second = T.grad(sum((g ** 2).sum() for g in first), [a, b])
        return [p, q, *first, *second, *T.Rop([p, q], [a, b], [a + 1, b * 2]), *T.Rop([p, q], b, b), T.grad(q.sum(), a)]

    for got, want in zip(evaluated(everything(p, q), values, mode), evaluated(everything(u, v), values), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    central_difference([(p ** 2).sum() + (q ** 3).sum()], values)
    assert op == op and op == OpFromGraph([x, y], [T.tanh(x) * y, T.dot(x, y)]) and TheanosOpFromGraph is OpFromGraph
    assert op.make_node(a, b).op.connection_pattern(op.make_node(a, b)) == [[True, True], [True, True]]


def test_one_input_given_twice_or_computed_from_another_counts_once():
    x, y, a = T.dscalar("x"), T.dscalar("y"), T.dscalar("a")
    op = op_from_graph([x, y], x ** 2 * y)
    b = T.exp(a)
    got = evaluated([T.grad(op(a, a), a), T.grad(op(a, b), a), T.grad(op(a, b), b)], {a: np.array(1.5)})
    e = np.exp(1.5)
    np.testing.assert_allclose(got, [3 * 1.5 ** 2, 2 * 1.5 * e + 1.5 ** 2 * e, 1.5 ** 2])


@pytest.mark.parametrize("mode", MODES)
def test_what_the_graph_uses_is_found(mode):
    w = symbolic.shared(np.array([2.0, 3.0]), "w")
    x, z = T.dvector("x"), T.dvector("z")
    outside = z ** 2
    op = op_from_graph([x], (x * w * outside).sum())
    cost = op(op(z * 1) * z)
    inline = ((((z * 1) * w * outside).sum() * z) * w * outside).sum()
    at = {z: np.array([1.5, -0.5])}
    for got, want in zip(evaluated([cost, *T.grad(cost, [z, w, outside])], at, mode),
                         evaluated([inline, *T.grad(inline, [z, w, outside])], at), strict=True):
        np.testing.assert_allclose(got, want)
    f = symbolic.function([z], cost, updates={w: w * 2}, mode=mode)
    first = f([1.0, 1.0])
    np.testing.assert_allclose(f([1.0, 1.0]), 4 * first)


@pytest.mark.parametrize("mode", MODES)
def test_nested_and_in_loops_and_branches(mode):
    x, m, c = T.dvector("x"), T.dmatrix("m"), T.bscalar("c")
    square = op_from_graph([x], x ** 2)
    quartic = op_from_graph([x], square(square(x)), name="quartic")
    h, _ = symbolic.scan(lambda e, s: T.tanh(quartic(e) + s), sequences=m, outputs_info=T.zeros(3))
    plain, _ = symbolic.scan(lambda e, s: T.tanh(e ** 4 + s), sequences=m, outputs_info=T.zeros(3))
    chosen = symbolic.ifelse(c, quartic(m[0]), m[0])
    at = {m: RNG.normal(size=(4, 3)), c: np.int8(1)}
    got = evaluated([h, T.grad(h.sum(), m), chosen, T.grad(chosen.sum(), m)], at, mode)
    np.testing.assert_allclose(got[0], evaluated([plain], at)[0], rtol=1e-12)
    np.testing.assert_allclose(got[1], evaluated([T.grad(plain.sum(), m)], at)[0], rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(got[2], at[m][0] ** 4)
    np.testing.assert_allclose(got[3][0], 4 * at[m][0] ** 3)
    v = T.dvector("v")
    np.testing.assert_allclose(evaluated([symbolic.hessian(quartic(v).sum(), v)], {v: np.array([1.0, 2.0])})[0],
                               np.diag([12.0, 48.0]))


@pytest.mark.parametrize("form", ["grad", "lop", "list", "op", "ops", "null"])
def test_overridden_gradients(form):
    x, y, a, b = (T.dvector(n) for n in "xyab")
    product = x * T.exp(y)
    inputs = [x, y]
    g = T.dvector("g")
    third = op_from_graph([x, y, g], [g * 10, g * y])
    rules = {
        "grad": {"grad_overrides": lambda ins, gs: [gs[0] * 10, gs[0] * ins[1]]},
        "lop": {"lop_overrides": lambda ins, outs, gs: [gs[0] * 10, outs[0] * 0 + gs[0] * ins[1]]},
        "list": {"grad_overrides": [lambda ins, gs: gs[0] * 10, "default"]},
        "op": {"grad_overrides": third},
        "ops": {"grad_overrides": [op_from_graph([x, y, g], g * 10), None]},
        "null": {"grad_overrides": [DisconnectedType()(), NullType("it is a rank")()]},
    }
    op = OpFromGraph(inputs, [product], **rules[form])
    at = {a: np.array([1.0, 2.0]), b: np.array([0.5, -1.0])}
    cost = (op(a, b) * 3).sum()
    if form == "null":
        with pytest.raises(errors.NullTypeGradError, match="it is a rank"):
            T.grad(cost, b)
        with pytest.raises(errors.DisconnectedInputError):
            T.grad(cost, a)
        return
    np.testing.assert_allclose(evaluated([op(a, b), T.grad(cost, a)], at), [at[a] * np.exp(at[b]), [30, 30]])
    if form == "ops":
        with pytest.raises(errors.DisconnectedInputError):
            T.grad(cost, b)
        return
    want = 3 * at[b] if form != "list" else 3 * at[a] * np.exp(at[b])
    slope = T.grad(cost, b)
    np.testing.assert_allclose(evaluated([slope], at)[0], want)
    second, forward = evaluated([T.grad(slope.sum(), b), T.Rop(op(a, b), [a, b], [a, b])], at)
    np.testing.assert_allclose(second, [3, 3] if form != "list" else want)
    np.testing.assert_allclose(forward, 10 * at[a] + want / 3 * at[b], err_msg="forwards follows what is overridden")


def test_overridden_forward_derivatives():
    x, a, v = T.dvector("x"), T.dvector("a"), T.dvector("v")
    op = OpFromGraph([x], [x ** 2, x ** 3], rop_overrides=[lambda ins, ts: ts[0] * 100, "default"])
    at = {a: np.array([1.0, 2.0]), v: np.array([1.0, 1.0])}
    p, q, g = evaluated([*T.Rop(op(a), a, v), T.grad(op(a)[0].sum(), a)], at)
    np.testing.assert_allclose([p, q, g], [[100, 100], [3, 12], [2, 4]])
    whole = op_from_graph([x], x ** 2, rop_overrides=lambda ins, ts: [ts[0] * ins[0]])
    np.testing.assert_allclose(evaluated([T.Rop(whole(a), a, v)], at)[0], [1, 2])


def test_wrong_uses_are_named():
    x, y = T.dvector("x"), T.dvector("y")
    w = symbolic.shared(np.ones(2), "w")
    with pytest.raises(TypeError, match=r"inputs must be a list.*\n.*\[x\]"):
        OpFromGraph(x, x)
    with pytest.raises(TypeError, match="input 0 is the shared variable w"):
        OpFromGraph([w], [w * 2])
    with pytest.raises(ValueError, match="is given twice"):
        OpFromGraph([x, x], [x])
    with pytest.raises(ValueError, match="no outputs"):
        OpFromGraph([x], [])
    with pytest.raises(TypeError, match="output 0 must be a variable, got 3"):
        OpFromGraph([x], [3])
    with pytest.raises(TypeError, match="doesn't take updates"):
        OpFromGraph([x], [x], updates={})
    with pytest.raises(ValueError, match="exclude each other"):
        OpFromGraph([x], [x], lop_overrides=lambda *a: a, grad_overrides=lambda *a: a)
    with pytest.raises(ValueError, match="2 entries for 1 terms"):
        OpFromGraph([x], [x], grad_overrides=["default", "default"])
    with pytest.raises(TypeError, match="grad_overrides can't be 'no'"):
        OpFromGraph([x], [x], grad_overrides="no")
    op = op_from_graph([x], x * 2, name="twice", grad_overrides=lambda ins, gs: [gs[0], gs[0]])
    with pytest.raises(TypeError, match="twice: takes 1 inputs, got 2"):
        op(x, y)
    with pytest.raises(errors.DTypeError, match=r"twice: input 0 must be.*\n.*astype\('float64'\)"):
        op(T.fvector())
    with pytest.raises(errors.GraphError, match="twice: grad_overrides returned 2 terms instead of 1"):
        T.grad(op(x).sum(), x)


def test_ops_over_graphs_pickle():
    x, a = T.dvector("x"), T.dvector("a")
    w = symbolic.shared(np.array([2.0]), "w")
    op = op_from_graph([x], x * w, name="scaled")
    f = pickle.loads(pickle.dumps(symbolic.function([a], [op(a), T.grad(op(a).sum(), a)])))
    np.testing.assert_array_equal(f([3.0]), [[6], [2]])
    assert pickle.loads(pickle.dumps(op)).name == "scaled"


# ---------------------------------------------------------------------------------------- custom_gradient


@custom_gradient
def logaddexp(x, y):
    top = T.maximum(x, y)
    value = top + T.log1p(T.exp(-abs(x - y)))
    return value, lambda g: (g * T.exp(x - value), g * T.exp(y - value))


@custom_gradient
def straight(x):
    """Rounds; its derivative is that of the identity."""
    return T.round(x), lambda g: g


@custom_gradient
def two(x, scale=1):
    return [x * scale, T.sin(x)]


@two.pullback
def _two_back(inputs, outputs, gouts):
    return [gouts[0] * 5 + gouts[1] * T.cos(inputs[0])]


@custom_gradient
def forwards(x, y):
    return x * y


@forwards.pushforward
def _forwards(inputs, outputs, tangents):
    return [7 * tangents[0] * inputs[1] + tangents[1] * outputs[0]]


@pytest.mark.parametrize("mode", MODES)
def test_custom_gradients(mode):
    a, b, v = T.dvector("a"), T.dvector("b"), T.dvector("v")
    at = {a: np.array([1.0, -800.0, 3.2]), b: np.array([0.5, 800.0, -1.0]), v: np.array([1.0, 2.0, 3.0])}
    y = logaddexp(a, b)
    ga, gb = T.grad((y * v).sum(), [a, b])
    s = np.exp(at[a] - np.logaddexp(at[a], at[b]))
    first, second = two(a, scale=3)
    product = forwards(a, b)
    got = evaluated([y, ga, gb, T.grad(ga.sum(), a), T.Rop(y, a, v), straight(a), T.grad(straight(a * 2).sum(), a),
                     first, T.grad((first + second).sum(), a), T.Rop(first, a, v), product, T.Rop(product, [a, b], [v, v]),
                     *T.grad((product * v).sum(), [a, b]), T.grad(T.grad((product * v).sum(), a).sum(), b)], at, mode)
    x, z, w = at[a], at[b], at[v]
    want = [np.logaddexp(x, z), w * s, w * (1 - s), w * s * (1 - s), w * s, np.round(x), np.full(3, 2.0),
            x * 3, 5 + np.cos(x), 5 * w, x * z, 7 * w * z + w * x * z, 7 * z * w, x * z * w, 7 * w]
    for g, e in zip(got, want, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-14)
    assert straight.__doc__.startswith("Rounds")


def test_custom_gradients_in_loops_and_beside_captured_values():
    w = symbolic.shared(np.array(3.0), "w")

    @custom_gradient
    def scaled(x):
        return x * w, lambda g: g * 100

    a, m = T.dscalar("a"), T.dvector("m")
    at = {a: np.array(2.0), m: np.array([1.0, 2.0])}
    total, _ = symbolic.scan(lambda e, s: s + straight(e) * e, sequences=m * 1.3, outputs_info=T.constant(0.0))
    ga, gw, gm = evaluated([*T.grad(scaled(a), [a, w]), T.grad(total[-1], m)], at)
    np.testing.assert_allclose([ga, gw], [100, 2])
    x = at[m] * 1.3
    np.testing.assert_allclose(gm, 1.3 * (np.round(x) + x))


def test_broken_custom_gradients_are_named():
    a = T.dscalar("a")

    @custom_gradient
    def wrong(x):
        return x * 2, lambda g: [g, g]

    @custom_gradient
    def ruleless(x):
        return x * 2

    @custom_gradient
    def empty(x):
        return 3

    with pytest.raises(errors.GraphError, match="wrong: its pullback returned 2 terms instead of 1"):
        T.grad(wrong(a), a)
    with pytest.raises(errors.GraphError, match="ruleless: it has no rule"):
        T.grad(ruleless(a), a)
    with pytest.raises(TypeError, match="empty: must return variables"):
        empty(a)
    with pytest.raises(TypeError, match="needs a function"):
        custom_gradient(3)


# --------------------------------------------------------------------------------------------- checkpoint


def mlp(block, layers=20, n=16, rows=8):
    rng = np.random.default_rng(0)
    weights = [symbolic.shared(rng.normal(size=(n, n)) / np.sqrt(n), f"w{k}", broadcastable=(n, n)) for k in range(layers)]
    x = T.tensor("float64", (rows, n), "x")
    h = x
    for start in range(0, layers, block or layers):
        def part(h, here=weights[start:start + (block or layers)]):
            for w in here:
                h = T.tanh(T.dot(h, w))
            return h

        h = checkpoint(part)(h) if block else part(h)
    return x, weights, (h ** 2).sum()


def scratch(f):
    sizes = re.findall(r"rt->scratch\(rt, (.*)\);", f.source)
    assert all(s.isdigit() for s in sizes)
    return sum(map(int, sizes))


def test_checkpoints_take_less_memory_and_give_the_same_gradients():
    values = np.random.default_rng(1).normal(size=(8, 16))
    taken, results = {}, {}
    for block in (0, 5, 10):
        x, weights, cost = mlp(block)
        f = symbolic.function([x], [cost, *T.grad(cost, weights)])
        taken[block] = scratch(f) / (8 * 16 * 8)
        g = T.grad(cost, x)
        results[block] = [*f(values), *symbolic.function([x], [g, T.Rop(g, x, T.ones_like(x)), T.Rop(cost, x, T.ones_like(x)),
                                                               T.grad((g ** 2).sum(), weights[3])])(values)]
        steps = symbolic.function([x], cost, updates=[(w, w - 0.1 * d) for w, d in zip(weights, T.grad(cost, weights),
                                                                                       strict=True)])
        assert all(steps.program.loaded.inplace), "weights are still written over"
    for block in (5, 10):
        for got, want in zip(results[block], results[0], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    assert taken[0] >= 20 and taken[5] <= 10 and taken[10] <= 13, taken


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "CHECK"])
def test_checkpoints_of_expressions_loops_and_branches(mode):
    x, m, c = T.dvector("x"), T.dmatrix("m"), T.bscalar("c")
    w = symbolic.shared(np.array([0.5, -0.3, 0.8]), "w")

    def graph(mark):
        first = mark(T.tanh(T.exp(x) * w))
        second = mark(T.sin(first * 3) + T.exp(w))
        h, _ = symbolic.scan(lambda e, s: mark(T.tanh(T.sin(e) + s * w)), sequences=m, outputs_info=second)
        out = symbolic.ifelse(c, mark(T.exp(h[-1] * 2)), h[-1])
        cost = (out ** 2).sum() + first.sum()
        slopes = T.grad(cost, [x, w, m])
        return [cost, *slopes, T.grad(sum((s ** 2).sum() for s in slopes), x), symbolic.jacobian(second, x)]

    at = {x: RNG.normal(size=3), m: RNG.normal(size=(4, 3)), c: np.int8(1)}
    for got, want in zip(evaluated(graph(checkpoint), at, mode), evaluated(graph(lambda v: v), at), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9)
    pair = checkpoint([T.exp(x), T.sin(x)], inputs=[x])
    got = evaluated([*pair, T.grad((pair[0] * pair[1]).sum(), x)], at, mode)
    np.testing.assert_allclose(got[2], np.exp(at[x]) * (np.sin(at[x]) + np.cos(at[x])))
    run([T.grad(checkpoint(T.exp(T.sin(x))).sum(), x)], {x: at[x]})


def test_what_checkpoints_dont_take_is_named():
    with pytest.raises(TypeError, match="needs variables or a function, got 3"):
        checkpoint(3)
    with pytest.raises(TypeError, match="inputs is for variables"):
        checkpoint(T.exp, inputs=[])
    with pytest.raises(TypeError, match="the function must return variables"):
        checkpoint(lambda x: 3)(T.dscalar())
