"""Every rule fires on an instance of its left side, and what it puts there has the same value: nan, infinities, zeros."""
from __future__ import annotations

import itertools
import zlib
from pathlib import Path

import numpy as np
import pytest

import symbolic.tensor as T
from symbolic.codegen.reference import evaluate
from symbolic.graph import Variable, constant, inputs_of
from symbolic.mode import Mode
from symbolic.ops.create import Alloc
from symbolic.ops.elementwise import SumTo
from symbolic.ops.extents import SpecifyShape
from symbolic.ops.functions import log
from symbolic.ops.shape import Reshape
from symbolic.opt.driver import Driver
from symbolic.opt.pattern import PatternVariable
from symbolic.opt.rules import RULES, RuleSet, rules_for
from symbolic.types import TensorType

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 1e-30, 37.0, -41.0, np.inf, -np.inf, np.nan]
INTEGERS = [0, 1, -1, 2, 3, -7, 100, -128, 127]
#: constants that the rules of a name are tried with; others with all of these
CONSTANTS = {
    "pow_zero": [0], "pow_one": [1], "pow_two": [2], "pow_minus_one": [-1], "pow_three": [3], "pow_four": [4], "pow_half": [0.5],
    "div_by_power_of_two": [2, 0.125, -4], "one_minus_clipped_sigmoid": [0.125, 0.75],
}
#: rules that replace a formula by a better one: right where the formula is
STABLE_DOMAIN = (-2.0, 2.0)
PATTERNS = [r for r in RULES.values() if r.left is not None]
NODE_RULES = [r for r in RULES.values() if r.left is None]


def instances(r):
    """Yield the left side of a rule over variables of several dtypes and shapes, with their values."""
    places = [v for v in inputs_of([r.left]) if isinstance(v, PatternVariable)]
    dtypes = {"f": ["float64", "float32"], "i": ["int8", "int64"], "u": ["uint8"], "b": ["bool"], "c": ["complex128"]}
    free = any(v.dtype == "float64" and not v.constant for v in places)
    choices = [d for k in r.kinds for d in dtypes[k]] if free else ["int8", "int64"]
    for dtype in choices:
        rng = np.random.default_rng(zlib.crc32(f"{r.name}{dtype}".encode()))
        for shapes in ([(24,)] * len(places), [(1,), (24,), (24,), (24,)][:len(places)],
                       [(24,), (1,), (1, 24), (1,)][:len(places)]):
            table, values = {}, {}
            constants = itertools.cycle(CONSTANTS.get(r.name, [3, 2]))
            for v, shape in zip(places, shapes, strict=True):
                if v.constant:
                    table[v] = constant(np.asarray(next(constants)).astype(dtype))
                    continue
                own = {"bool": "bool", "int64": dtype if np.dtype(dtype).kind in "iu" else "int8"}.get(v.dtype, dtype)
                new = Variable(TensorType(own, (None,) * len(shape)), name=v.name)
                table[v], values[new] = new, drawn(rng, r, own, shape)
            yield dtype, rebuilt(r.left, table), values


def drawn(rng, r, dtype, shape):
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        return rng.choice(INTEGERS, shape).astype("int64").astype(dtype)
    if kind == "c":
        return (rng.choice(FLOATS, shape) + 1j * rng.normal(size=shape)).astype(dtype)
    if "stabilize" in r.tags or "unsafe" in r.tags:
        x = rng.uniform(*STABLE_DOMAIN, shape)
        return (np.abs(x) + 0.1 if r.name in ("xlogx", "exp_of_log", "pow_half") else x).astype(dtype)
    return rng.choice(FLOATS, shape).astype(dtype)


def rebuilt(left, table):
    """Return a pattern over real variables, whose dtypes its numbers take."""
    done = dict(table)
    order, stack = [], [left]
    while stack:
        v = stack.pop()
        if v.owner is not None and v not in table:
            order.append(v)
            stack += v.owner.inputs
    for v in reversed(order):
        args = [done.get(u, u) if u.owner is not None or u in done else u.data.item() for u in v.owner.inputs]
        done[v] = v.owner.op(*args)
    return done[left]


def same(got, want, r, where):
    """Require equal values: to a few units in the last place, and to the sign of a zero unless the rule says otherwise."""
    assert got.dtype == want.dtype and got.shape == want.shape, where
    eps = {"f": 1e-5 if got.dtype == "float32" else 1e-12, "c": 1e-12}.get(got.dtype.kind, 0)
    np.testing.assert_allclose(got, want, rtol=eps, atol=eps if r.tags & {"stabilize", "unsafe"} else 0, err_msg=where)
    if got.dtype.kind == "f" and not r.tags & {"stabilize", "unsafe"}:
        zeros = (want == 0) & (got == 0)
        np.testing.assert_array_equal(np.signbit(got)[zeros], np.signbit(want)[zeros], err_msg=where)


def applied(r, expression):
    driver = Driver(RuleSet([r]), inputs_of([expression]))
    new, = driver([expression])
    assert new.dtype == expression.dtype and new.ndim == expression.ndim
    return new, driver.statistics.fired.get(r.name, 0)


@pytest.mark.parametrize("r", PATTERNS, ids=lambda r: r.name)
def test_both_sides_of_a_pattern_are_equal(r):
    fired = 0
    for dtype, left, values in instances(r):
        right, count = applied(r, left)
        fired += count
        if count:
            got, want = evaluate([right, left], values)
            same(got, want, r, f"{r.name}, {dtype}")
    assert fired, r.name


def vectors():
    rng = np.random.default_rng(5)
    out = []
    for name, shape in (("v", (6,)), ("w", (6,)), ("m", (4, 6)), ("n", (6, 5)), ("k", (5, 3))):
        x = Variable(TensorType("float64", (None,) * len(shape)), name=name)
        out.append((x, rng.choice(FLOATS, shape) if name == "v" else rng.normal(size=shape)))
    return out


(V, VA), (W, WA), (M, MA), (N, NA), (K, KA) = vectors()
ARRAYS = {V: VA, W: WA, M: MA, N: NA, K: KA}
C5 = constant(np.arange(5.0))
C23 = constant(np.arange(6.0).reshape(2, 3))
I = T.TensorType("int64", (None, None))("I")  # noqa: E741
ONE = T.TensorType("float64", (1, None))("one")
FIXED = T.TensorType("float64", (4, 6))("fixed")
FIXED2 = T.TensorType("float64", (6, 2))("fixed2")
ARRAYS |= {I: np.arange(6).reshape(2, 3) - 3, ONE: WA[None], FIXED: MA, FIXED2: NA[:, :2]}
P = T.TensorType("float64", (None, None))("positive")
ARRAYS[P] = np.abs(MA) + 0.1
ROWS = T.inc_subtensor(T.zeros_like(FIXED)[constant([0, 2, 0])], FIXED[:3] * 3)
#: an expression, or several, that each node rule fires on
EXAMPLES = {
    "fold": [C5 + 1, C5.sum(), C23.T, T.exp(C5[2])],
    "switch_of_constant": [T.switch(constant(True), V, W), T.switch(constant(False), V, M)],
    "limit_at_infinity": [T.maximum(V, -np.inf), T.minimum(np.inf, V)],
    "cast_of_cast": [T.cast(T.cast(T.cast(V, "float32"), "float64"), "float32"),
                     T.cast(T.cast(T.cast(I, "int8"), "int32"), "float32")],
    "shape_of_computed": [T.exp(V).shape[0] + 0, T.tanh(M.T).shape[0] * 1, T.dot(M, N).shape[1]],
    "useless_second": [T.second(V, T.exp(V)), T.fill(V.sum(), V)],
    "second_of_second": [T.second(T.second(V, constant(1.0)), W)],
    "useless_sum_to": [SumTo()(T.exp(M), M)],
    "useless_alloc": [T.alloc(V, V.shape[0]), T.alloc(T.alloc(W.sum(), 1, 1), 4, 6)],
    "useless_specify_shape": [SpecifyShape((4, None))(FIXED), SpecifyShape((None,))(V)],
    "known_extents": [Alloc((None,))(constant(2.0), constant(3, dtype="int64")),
                      Reshape((None, 4))(FIXED, constant(6, dtype="int64"), constant(4, dtype="int64"))],
    "dimshuffle_of_dimshuffle": [M.T.dimshuffle(0, "x", 1), T.exp(M).T.T],
    "useless_reshape": [M.reshape(M.shape), V.reshape((1, V.shape[0])), ONE.reshape((ONE.shape[1],))],
    "reshape_of_reshape": [FIXED.reshape((24,)).reshape((8, 3))],
    "entry_of_vector": [T.stack([V.sum(), W.sum()])[1], T.stack([W.sum(), W.max(), W.min()])[1:]],
    "reduce_one_element": [ONE.max(axis=0), ONE.min(), ONE.prod(axis=0)],
    "reduce_of_reduce": [M.max(axis=0).max(axis=0), M.min(axis=1).min(), I.sum(axis=0).sum()],
    "sum_of_scaled": [(W.sum() * M).sum(axis=0)],
    "useless_subtensor": [M[:], V[::1]],
    "subtensor_of_subtensor": [FIXED[1:][::2][:, 1], FIXED[::-1][1:3], M[:, 1][2:4], M[1:3][:, ::2], FIXED[3:0:-1][1:]],
    "subtensor_of_elementwise": [T.exp(M)[1], (T.sqr(M) * 2)[:, ::-1], (M + T.exp(M))[1:, 0]],
    "subtensor_of_dimshuffle": [M.T[1], M.dimshuffle(1, "x", 0)[1:3, :, ::2], M.T[:, 2]],
    "subtensor_of_join": [T.concatenate([FIXED, FIXED * 2], axis=0)[4:6], T.concatenate([FIXED, FIXED * 2])[7],
                          T.concatenate([FIXED, FIXED * 2])[3::-1]],
    "join_of_join": [T.concatenate([T.concatenate([M, M * 2]), M * 3])],
    "subtensor_of_written": [T.set_subtensor(M[1:3], T.exp(M)[1:3])[1:3], T.set_subtensor(M[1:3], 2.0)[1:3],
                             T.inc_subtensor(M[1], T.exp(M)[2])[1]],
    "write_over_write": [T.set_subtensor(T.set_subtensor(V[1:3], 2.0)[1:3], 3.0),
                         T.inc_subtensor(T.set_subtensor(V[1], W.sum())[1], W.max())],
    "write_what_is_there": [M[1:3].owner.op.writer(True)(M, M[1:3])],
    "take_of_all": [FIXED[T.constant(np.arange(4))]],
    "dot_chain": [T.dot(T.dot(FIXED.T, FIXED), FIXED2)],
    "add_written_rows": [FIXED + ROWS, FIXED - ROWS, ROWS + 2 * FIXED, FIXED - ROWS / W.sum(), FIXED + -(2 * ROWS),
                         FIXED - W.sum() * ROWS],
    "squeeze_elementwise": [T.sqrt(P.sum(axis=1, keepdims=True)) * 1, T.exp(M.max(axis=0, keepdims=True)) - W.sum()],
    "dot_of_zeros": [T.dot(constant(np.zeros((2, 4))), FIXED)],
    "log_of_exp": [log(T.exp(W)), T.log2(T.exp(W)), T.log10(T.exp(W).reshape((2, 3)))],
    "log_of_sigmoid": [log(T.nnet.sigmoid(W)), log(T.nnet.sigmoid(M).T)],
    "log_of_softmax": [log(T.nnet.softmax(M))],
    "log_of_minus_expm1": [log(-T.expm1(-P))],
    "log_of_sum": [log(1 + T.exp(W)), log(T.exp(M) + T.exp(W)), log(2 + T.exp(W)), log(1 + P)],
    "log_of_difference": [log(1 - 0.5 * T.tanh(P))],
    "log_of_product": [log(2 * T.exp(W)), log(T.exp(W) * T.nnet.sigmoid(M))],
    "log_of_quotient": [log(T.exp(W) / 2), log(T.exp(M).mean(axis=1)), log(T.nnet.sigmoid(W) / T.exp(M))],
    "log_of_reciprocal": [log(T.exp(W) ** -1)],
    "log_of_root": [log(T.sqrt(T.exp(W)))],
    "log_of_square": [log(T.sqr(W)), log(T.exp(W) ** 2)],
    "log_of_power": [log(P ** 3), log(W ** 4)],
    "log_of_erfc": [log(T.erfc(W))],
    "log_of_clipped": [log(T.clip(T.nnet.sigmoid(W), 0.1, 0.9))],
    "log_of_limited": [log(T.maximum(T.nnet.sigmoid(W), 0.4))],
    "log_of_choice": [log(T.switch(W > 0, T.exp(W), 2.0))],
    "log_of_sum_of_exp": [log(T.exp(M).sum(axis=1)), log(T.exp(M).sum()), log(T.exp(M).sum(axis=0, keepdims=True))],
    "log_of_prod": [log(P.prod(axis=0)), log(T.exp(M).prod())],
    "root_of_squares": [T.sqrt((M ** 2).sum(axis=1)), T.std(M), (abs(M) ** 3).sum() ** (1 / 3)],
    "softmax_of_exps": [
        e / s for e in [T.exp(M)] for s in (e.sum(axis=1, keepdims=True), e.sum(axis=0))],
    "crossentropy_of_softmax": [T.nnet.categorical_crossentropy(T.nnet.softmax(M), constant(np.arange(4)))],
    "exp_of_logsoftmax": [T.exp(T.nnet.logsoftmax(M))],
    "variance": [(M ** 2).mean(axis=1) - M.mean(axis=1) ** 2, (M * M).mean() - T.sqr(M.mean())],
}


def test_every_node_rule_has_an_example():
    assert {r.name for r in NODE_RULES} == set(EXAMPLES)


@pytest.mark.parametrize("r", NODE_RULES, ids=lambda r: r.name)
def test_examples_fire_and_keep_the_value(r):
    for expression in EXAMPLES[r.name]:
        new, count = applied(r, expression)
        assert count, f"{r.name} doesn't fire on {expression.owner}"
        got, want = evaluate([new, expression], ARRAYS)
        same(got, want, r, r.name)


@pytest.mark.parametrize("r", NODE_RULES, ids=lambda r: r.name)
def test_all_rules_together_keep_the_value(r):
    for expression in EXAMPLES[r.name]:
        rules = rules_for(Mode(), "captured")
        driver = Driver(rules, inputs_of([expression]))
        new, = driver([expression])
        got, want = evaluate([new, expression], ARRAYS)
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert not driver.stopped
        again = Driver(rules, inputs_of([new]))
        assert again([new]) == [new] or not again.statistics.fired, (r.name, again.statistics.fired)


def test_every_rule_says_what_it_does_and_is_documented():
    page = (Path(__file__).parent.parent / "docs" / "rewrites.md").read_text()
    for r in RULES.values():
        assert "->" in r.doc, r.name
        assert f"| `{r.name}` | " in page, f"docs/rewrites.md doesn't have {r.name}"


def test_equal_shapes_are_proved_not_guessed():
    """An operand is dropped only where it can't have widened the result."""
    long, short = np.arange(4.0), np.array([2.0])
    a, b = T.dvector("a"), T.dvector("b")
    p = T.TensorType("bool", (None,))("p")
    for expression, values in ((T.switch(constant(True), a, b), {a: short, b: long}), (T.fill(b, a), {a: short, b: long}),
                               (T.switch(p, a, a), {a: short, p: long > 1}),
                               (T.maximum(a, T.fill(b, constant(-np.inf))), {a: short, b: long})):
        rules = rules_for(Mode(), "captured")
        new, = Driver(rules, list(values))([expression])
        np.testing.assert_array_equal(*evaluate([new, expression], values))
