"""Every mistake's text: the operation, what was expected and what came, the operands, the user's line, the fix."""
from __future__ import annotations

import re

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.errors import (
    ConversionError,
    DisconnectedInputError,
    DTypeError,
    GraphError,
    IndexOutOfBounds,
    MissingInputError,
    RankError,
    ShapeError,
    UnusedInputError,
    UpdateError,
)

X = T.fmatrix("X")
V, I = T.dvector("V"), T.lvector("I")  # noqa: E741 (names as the messages show them)
W = T.tensor("float32", (784, 10), name="W")
Z = T.tensor("float32", (None, 748), name="Z")
S = symbolic.shared(np.ones(3), "S")
HERE = r"test_errors\.py:\d+: "

BUILDING = [
    # shapes and ranks that can't fit
    (lambda: T.dot(Z, W), ShapeError,
     [r"dot: .*748 and 784", r"Z \(float32 \(\?, 748\)\)", r"W \(float32 \(784, 10\)\)", "T.dot"]),
    (lambda: Z + W, ShapeError, ["748 and 10", r"Z \(", r"W \("]),
    (lambda: V[0, 0], RankError, ["too many indices: 2 for 1", r"V \(float64 \(\?,\)\)", r"V\[0, 0\]"]),
    (lambda: X.sum(axis=5), RankError, ["sum: axis 5 is out of range for 2 dimensions"]),
    (lambda: T.concatenate([X, V]), RankError, ["join: arrays of different rank", r"X \(", r"V \(", "hint: T.shape_padleft"]),
    (lambda: T.arange(X), RankError, ["arange: .*scalars", r"X \("]),
    (lambda: W.reshape((3, 3)), ShapeError, ["reshape", "7840|can't be arranged"]),
    # dtypes
    (lambda: V & V, DTypeError, ["and_: needs integers or bools, got float64", r"V \("]),
    (lambda: X[V], (DTypeError, IndexError), [r"V \(|float64"]),
    # objects that aren't tensors
    (lambda: X + "abc", ConversionError, ["can't make a tensor of 'abc' \\(str\\)", "hint: pass a number"]),
    (lambda: T.constant([1, [2]]), ConversionError, [r"can't make a tensor of \[1, \[2\]\] \(list\)"]),
    (lambda: symbolic.shared("a"), ConversionError, ["shared: needs numbers, got str"]),
    (lambda: symbolic.shared(X), ConversionError, ["shared: needs a value, got the symbolic variable X", "hint:"]),
    # gradients
    (lambda: T.grad(V.sum(), I), (DisconnectedInputError, TypeError), [r"I \("]),
    (lambda: T.grad(X.sum(), V), DisconnectedInputError,
     [r"doesn't depend on V \(float64 \(\?,\)\)", "disconnected_inputs='ignore'"]),
    (lambda: T.grad(X, X), RankError, ["grad: cost must be a scalar", r"X \(float32", r"hint: reduce it first"]),
    # inputs
    (lambda: symbolic.function([V, X], V * 2), UnusedInputError,
     [r"input X \(float32 \(\?, \?\)\) isn't used", "on_unused_input='ignore'"]),
    (lambda: symbolic.function([V], V + I), MissingInputError, [r"needs I \(int64 \(\?,\)\)", "hint: add it to the inputs"]),
    (lambda: symbolic.function([V], V + 1, givens={V: I}), GraphError, ["V is an input and can't be replaced"]),
    (lambda: symbolic.function([I], V + 1, givens={V: I}, on_unused_input="ignore"), GraphError,
     ["another type", r"V \(float64", r"I \(int64", "astype"]),
    # outputs and updates
    (lambda: symbolic.function([V], [[V]]), TypeError, ["output must be a symbolic variable, got list", "hint: outputs is"]),
    (lambda: symbolic.function([V], {1: V}), TypeError, ["keys of outputs must be str, got 1"]),
    (lambda: symbolic.function([V], V, updates=[(["unhashable"], V)]), UpdateError,
     [r"only shared variables can be updated, got \['unhashable'\]", "hint:"]),
    (lambda: symbolic.function([V], V, updates={V: V}), UpdateError, [r"can be updated, got V \(float64 \(\?,\)\)"]),
    (lambda: symbolic.function([V], V, updates=3), TypeError, ["updates must be a dict or a list of pairs, got 3"]),
    (lambda: symbolic.function([], S, updates=[(S, S), (S, S * 2)]), UpdateError,
     [r"S \(float64 \(\?,\)\) is updated twice", "hint: join both"]),
    (lambda: symbolic.function([], S, updates=[(S, "abc")]), ConversionError, [r"the update of S \(float64 \(\?,\)\)", "'abc'"]),
    (lambda: symbolic.function([], S, updates=[(S, S.sum())]), UpdateError,
     [r"the update of S \(float64 \(\?,\)\) has type float64 \(\)", "hint: bring it to"]),
    (lambda: symbolic.function([], S, updates=[(S, S.astype("float32"))]), UpdateError, [r"\.astype\('float64'\)"]),
]


@pytest.mark.parametrize(("make", "error", "texts"), BUILDING)
def test_mistakes_in_building(make, error, texts):
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    for text in [*texts, HERE]:
        assert re.search(text, message), f"{text!r} isn't in: {message}"


W3 = symbolic.shared(np.ones((2, 3)), "W3")
M = T.dmatrix("M")
STEP = symbolic.function([M, V, I], (M * V).sum() + V[I].sum(), updates=[(W3, W3 + M), (S, S * 2)], name="step")
GOOD = (np.ones((2, 3)), np.ones(3), [0])
CALLING = [
    ((np.ones((2, 3), complex), *GOOD[1:]), TypeError, ["step: input 0, M", "complex"]),
    ((np.ones(3), *GOOD[1:]), RankError,
     [r"step: input 0, M \(float64 \(\?, \?\)\): expected 2 dimensions", r"shape \(3,\)"]),
    ((GOOD[0], "text", GOOD[2]), TypeError, ["step: input 1, V", "isn't numeric"]),
    ((GOOD[0], GOOD[1], [0.5]), TypeError,
     [r"step: input 2, I \(int64 \(\?,\)\): expected dtype int64, got float64", "astype|allow_input_downcast"]),
    ((np.ones((2, 4)), *GOOD[1:]), ShapeError, ["mul|add", "extents .*4.*3|extents .*3.*4", r"M:? \(?float64"]),
    ((np.ones((5, 3)), *GOOD[1:]), ShapeError, ["add", "2 and 5|5 and 2", r"W3:? \(?float64", r"M:? \(?float64"]),
    ((GOOD[0], GOOD[1], [0, 3]), IndexOutOfBounds, ["index 3 is out of bounds for axis 0 with extent 3", "V:? ", "I:? "]),
    ((GOOD[0], GOOD[1], [-4]), IndexOutOfBounds, ["index -4 is out of bounds"]),
    (GOOD[:2], TypeError, [r"step: input 2 \(I \(int64 \(\?,\)\)\) is missing"]),
    ((*GOOD, 1), TypeError, ["step: takes 3 inputs, got 4"]),
]


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "CHECK"])
@pytest.mark.parametrize(("arguments", "error", "texts"), CALLING)
def test_mistakes_in_calling_change_nothing(arguments, error, texts, mode):
    f = STEP if mode == "FAST_RUN" else symbolic.function(
        [M, V, I], (M * V).sum() + V[I].sum(), updates=[(W3, W3 + M), (S, S * 2)], name="step", mode=mode)
    before = W3.get_value(), S.get_value()
    with pytest.raises(error) as caught:
        f(*arguments)
    message = str(caught.value)
    for text in texts:
        assert re.search(text, message), f"{text!r} isn't in: {message}"
    if error not in (TypeError,):
        assert re.search(HERE, message), message
    np.testing.assert_array_equal(W3.get_value(), before[0])
    np.testing.assert_array_equal(S.get_value(), before[1])


def test_a_static_extent_is_checked_at_the_call_and_at_set_value():
    f = symbolic.function([Z], Z.sum())
    with pytest.raises(ShapeError, match=r"input 0, Z .*expected extent 748 on axis 1.*test_errors"):
        f(np.ones((2, 3), "float32"))
    fixed = symbolic.shared(np.ones((1, 3)), "fixed", broadcastable=(True, False))
    with pytest.raises(ShapeError, match=r"set_value: expected extent 1 on axis 0.*fixed"):
        fixed.set_value(np.ones((2, 3)))
    assert fixed.get_value().shape == (1, 3)


def test_a_masked_array_is_not_taken_for_its_data():
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    for use in (lambda: symbolic.function([V], V.sum())(masked), lambda: symbolic.shared(masked), lambda: V + masked,
                lambda: S.set_value(masked)):
        with pytest.raises(TypeError, match=r"masked.*\.filled\(value\)|(?s:masked.*hint: pass .filled)"):
            use()
