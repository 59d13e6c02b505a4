"""The mistakes that people posted as questions: each message names their line and says what to change."""
from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.graph import ancestors
from symbolic.tensor.shared_randomstreams import RandomStreams

F = "float32"
X, Z, Y, V = T.fmatrix("X"), T.fmatrix("Z"), T.ivector("Y"), T.dvector("V")
W = symbolic.shared(np.zeros((3, 2), F), "W")
B = symbolic.shared(np.zeros((1, 2), F), "B", broadcastable=(True, False))
N = T.lscalar("N")
OUT = T.nnet.softmax(T.dot(X, W))
ones = np.ones


def run(inputs, out, *values, **options):
    return symbolic.function(inputs, out, **options)(*values)


#: What was done, the error, and what its text says: the mistake and the fix.
MISTAKES = {
    # ---- dtypes: float64 where float32 was meant
    "the learning rate is a NumPy number": (
        lambda: symbolic.function([], [], updates=[(W, W - np.float64(0.1) * W)]), errors.UpdateError,
        ["update of W (float32 (?, ?)) has type float64", ".astype('float32')", "a constant: write it as a Python number"]),
    "a float64 input gets into an update": (
        lambda: symbolic.function([], [], updates=[(W, W * T.dscalar("rate"))]), errors.UpdateError,
        ["float64 comes in through rate (float64 ()), make it float32"]),
    "an int64 count divides a float32": (
        lambda: symbolic.function([X], [], updates=[(W, W / X.shape[0])]), errors.UpdateError,
        ["float64 comes in through true_div of float32 and int64, at "]),
    "float64 data for a float32 input": (
        lambda: run([X], X * 2, ones((2, 3))), errors.DTypeError,
        ["input 0, X (float32 (?, ?)): expected dtype float32, got float64", ".astype('float32')", "allow_input_downcast=True"]),
    "float64 data for a float32 shared variable": (
        lambda: W.set_value(np.zeros((3, 2))), errors.DTypeError, ["set_value: expected dtype float32, got float64", "W"]),
    "givens of another dtype": (
        lambda: symbolic.function([], X.sum(), givens={X: symbolic.shared(ones((2, 3)), "data")}), errors.GraphError,
        ["givens: the replacement has another type", "X (float32", "data (float64", ".astype('float32')"]),
    # ---- shapes
    "a dot the wrong way round": (
        lambda: run([X], T.dot(W, X), ones((3, 3), F)), errors.ShapeError,
        ["dot: inner extents differ: 2 and 3", "W (float32", "X (float32", "wrong order, or is one to be transposed, as W.T?"]),
    "shapes that don't broadcast": (
        lambda: run([X, Z], X + Z, ones((2, 3), F), ones((3, 2), F)), errors.ShapeError,
        ["add: input dimension mismatch: extents ", "X (float32", "Z (float32", "dimshuffle(0, 'x')"]),
    "a vector for a matrix": (
        lambda: run([X], X * 2, ones(3, F)), errors.RankError, ["input 0, X (float32 (?, ?)): expected 2 dimensions",
                                                                "shape (3,)"]),
    "matrix and vector joined": (
        lambda: T.concatenate([X, T.fvector("b")], axis=1), errors.RankError,
        ["arrays of different rank can't be joined", "X (float32", "b (float32", "T.shape_padleft adds axes"]),
    "an impossible reshape": (
        lambda: T.zeros((4, 5)).reshape((3, 7)), errors.ShapeError, ["reshape", "20"]),
    # ---- shared variables and broadcast flags
    "an (1, n) bias is updated by an (m, n) value": (
        lambda: symbolic.function([X], [], updates=[(B, B + T.dot(X, W))]), errors.UpdateError,
        ["update of B (float32 (1, ?))", "its extent on axis 0 must be 1", "T.addbroadcast(new, 0)"]),
    "an update sums too little": (
        lambda: symbolic.function([X], [], updates=[(symbolic.shared(np.zeros(2, F), "bias"), T.dot(X, W))]), errors.UpdateError,
        ["update of bias (float32 (?,)) has type float32 (?, ?)", "x.sum(axis=0)"]),
    "a variable is updated twice": (
        lambda: symbolic.function([], [], updates=[(W, W + 1), (W, W * 2)]), errors.UpdateError,
        ["W (float32 (?, ?)) is updated twice", "join both into one expression"]),
    "an input is updated": (
        lambda: symbolic.function([X], [], updates=[(X, X + 1)]), errors.UpdateError,
        ["only shared variables can be updated, got X", "symbolic.shared(value) makes one"]),
    "a shared variable is passed as an input": (
        lambda: symbolic.function([W], W * 2), TypeError, ["the shared variable W can't be an input", "use givens or set_value"]),
    # ---- inputs
    "one input without a list": (lambda: symbolic.function(X, X * 2), TypeError, ["inputs must be a list", "write [x] for one"]),
    "an input nobody uses": (
        lambda: symbolic.function([X, Z], X * 2), errors.UnusedInputError, ["input Z (float32 (?, ?)) isn't used",
                                                                            "on_unused_input='ignore'"]),
    "an input is missing": (
        lambda: symbolic.function([X], X + Z), errors.MissingInputError, ["the graph needs Z", "add it to the inputs"]),
    # ---- gradients
    "a disconnected parameter": (
        lambda: T.grad(X.sum(), V), errors.DisconnectedInputError, ["doesn't depend on V", "disconnected_inputs='ignore'"]),
    "the gradient of a matrix": (
        lambda: T.grad(X * 2, X), errors.RankError, ["cost must be a scalar", ".mean() or .sum()"]),
    "the gradient of an accuracy": (
        lambda: T.grad(T.eq(T.argmax(OUT, axis=1), Y).sum(), W), errors.DTypeError,
        ["cost must be real and floating", "use a smooth loss"]),
    # ---- labels and indices
    "labels that count from 1": (
        lambda: run([X, Y], T.log(OUT)[T.arange(Y.shape[0]), Y], ones((2, 3), F), np.array([1, 2], "int32")),
        errors.IndexOutOfBounds, ["index 2 is out of bounds for axis 1 with extent 2", "Y (int32", "indices count from 0"]),
    "labels that are floats": (
        lambda: T.log(OUT)[T.arange(V.shape[0]), V], errors.DTypeError,
        ["an index must be an integer", "got V (float64", "T.cast("]),
    "labels of a wrong rank": (
        lambda: T.nnet.categorical_crossentropy(OUT, T.itensor3("t")), errors.RankError,
        ["expected targets of 2 (distributions) or 1 (classes)", "t (int32"]),
    "an element is assigned": (
        lambda: X.__setitem__(0, 1), TypeError, ["a symbolic variable can't be changed", "X (float32", "T.set_subtensor("]),
    "set_subtensor of the whole": (
        lambda: T.set_subtensor(X, 1), errors.GraphError,
        ["must be an indexed array, got X", "write set_subtensor(x[index], y)"]),
    # ---- Python where symbols are
    "a Python if": (lambda: 1 if T.gt(X.sum(), 0) else 0, TypeError, ["no truth value", "T.switch(condition, a, b)"]),
    "Python's sum": (lambda: sum(X), TypeError, ["can't iterate over X", "T.sum"]),
    "range over a symbolic length": (
        lambda: [X[i] for i in range(N)], TypeError,
        ["has no value until the function runs", "N (int64 ())", "symbolic.scan(", "T.arange"]),
    "float of a symbolic scalar": (lambda: float(X.sum()), TypeError, ["has no value until the function runs", "x.eval("]),
    "a string in an expression": (
        lambda: T.dot(X, "W"), errors.ConversionError, ["can't make a tensor of 'W' (str)", "pass a number"]),
    # ---- scan
    "a step with a wrong number of arguments": (
        lambda: symbolic.scan(lambda x_t: x_t, sequences=X, outputs_info=T.zeros(3, F)), TypeError,
        ["the step takes (x_t), but gets 2: 1 from sequences, 1 from states", "each sequence for each of its taps"]),
    "a state that changes its rank": (
        lambda: symbolic.scan(lambda x_t, h: T.outer(x_t, h), sequences=X, outputs_info=T.zeros(3, F)), errors.RankError,
        ["output 0 is float32 (3,) before a step and float32 (?, 3) after it", "give the initial value the rank"]),
    "non_sequences that the step doesn't take": (
        lambda: symbolic.scan(lambda h: h * 2, outputs_info=T.zeros(2), n_steps=2, non_sequences=[V, X]), TypeError,
        ["the step takes (h), but gets 3", "2 from non_sequences"]),
    "taps that look ahead": (
        lambda: symbolic.scan(lambda h: h, outputs_info=dict(initial=T.zeros(2), taps=[1])), ValueError,
        ["taps are negative, got [1]", "only once it is computed"]),
    "too few initial values for the taps": (
        lambda: symbolic.scan(lambda a, b: a + b, outputs_info=dict(initial=T.zeros(1), taps=[-2, -1]), n_steps=3),
        errors.ShapeError, ["reads 2 steps back, but its initial value holds 1", "as many initial values as steps back"]),
    "a loop without end": (
        lambda: symbolic.scan(lambda h: h + 1, outputs_info=T.zeros(2)), ValueError,
        ["neither a sequence nor n_steps", "pass n_steps"]),
    "more outputs than outputs_info": (
        lambda: symbolic.scan(lambda h: [h + 1, h], outputs_info=T.zeros(2), n_steps=3), ValueError,
        ["returns 2 outputs, but outputs_info has 1", "None for those that no step reads"]),
    # ---- values
    "nan in the loss": (
        lambda: run([V], T.log(V).sum(), [0.0], mode="NanGuardMode"), AssertionError,
        ["log: its result holds inf", "T.log(x + eps)"]),
}
#: Mistakes that the language itself raises in the user's line, so the message needn't name it.
IN_PLACE = {"a Python if", "Python's sum"}
#: Messages that name where the variable at fault was made, which isn't where the mistake was seen.
MADE_AT = {"float64 data for a float32 input": "X, Z, Y, V = ", "a vector for a matrix": "X, Z, Y, V = ",
           "float64 data for a float32 shared variable": "W = symbolic.shared", "an input is updated": "X, Z, Y, V = ",
           "an input nobody uses": "X, Z, Y, V = ", "an input is missing": "X, Z, Y, V = ",
           "a disconnected parameter": "X, Z, Y, V = "}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_message_names_the_line_and_the_fix(mistake):
    act, kind, texts = MISTAKES[mistake]
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    for text in texts:
        assert text in message, f"{text!r} isn't in: {message}"
    if mistake in IN_PLACE:
        return
    places = re.findall(r", at \S*test_mistakes\.py:(\d+): (.*)", message)
    assert places, message
    source = open(__file__, encoding="utf-8").read().splitlines()
    line, shown = int(places[0][0]), places[0][1]
    assert source[line - 1].strip().startswith(shown.split(", in the gradient of ")[0][:40]), message
    if mistake in MADE_AT:
        assert shown.startswith(MADE_AT[mistake]), message
    else:
        code = act.__code__
        assert code.co_firstlineno - 1 <= line <= max(filter(None, (n for _, _, n in code.co_lines()))), message


def test_there_are_thirty_and_more():
    assert len(MISTAKES) >= 30


def test_the_part_of_the_line_at_fault_is_underlined():
    with pytest.raises(errors.ShapeError) as caught:
        run([X], T.tanh(T.dot(W, X) + 1), ones((3, 3), F))
    _, source, carets, *_ = str(caught.value).split("\n")
    assert source.strip() == "run([X], T.tanh(T.dot(W, X) + 1), ones((3, 3), F))"
    assert source[carets.index("^"):carets.rindex("^") + 1] == "T.dot(W, X)"


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_part_of_a_gradient_names_the_line_it_comes_from(mode):
    g = T.grad(T.sqrt(V).sum(), V)
    bad = symbolic.function([V], g, mode=symbolic.monitor.NanGuardMode())
    with pytest.raises(AssertionError, match=r"in the gradient of .*test_mistakes\.py:\d+: g = T\.grad"):
        bad([0.0])


S = symbolic.shared(ones(3, F), "S")
#: what fails when it runs, its arguments, what caused it, and what is alive
LATE_FAILURES = {
    "dot": (lambda: T.tanh(T.dot(W, X)), [ones((3, 3), F)], "dot(W, X)", "shape (3, 3)"),
    "sum of two shapes": (lambda: T.exp(X + S), [ones((2, 2), F)], "add(X, ", "shape (2, 2)"),
    "index": (lambda: V[5] * 2, [ones(3)], "subtensor", "shape (3,)"),
    "table": (lambda: T.exp(W)[T.cast(V, "int64")], [[0.0, 9.0]], "subtensor", "value [0, 9]"),
    "reshape": (lambda: X.reshape((4, 4)) + 1, [ones((3, 3), F)], "reshape", "shape (3, 3)"),
    "concatenation": (lambda: T.concatenate([X, W * 2]), [ones((2, 7), F)], "join", "shape (2, 7)"),
    "matrix": (lambda: T.nlinalg.matrix_inverse(X), [ones((2, 3), F)], "matrix_inverse", "shape (2, 3)"),
    "extent": (lambda: T.alloc(X[0, 0], T.cast(V[0], "int64")), [ones((2, 3), F), [-2.0]], "alloc", "value -2"),
    "length of a loop": (lambda: symbolic.scan(lambda e, s: s + e, V, T.constant(0.0), n_steps=9)[0], [ones(3)], "scan",
                         "shape (3,)"),
    "step of a loop": (lambda: symbolic.scan(lambda e, s: S[T.cast(e, "int64")] + s, V, T.constant(np.float32(0)))[0],
                       [[0.0, 1.0, 8.0]], "subtensor", "value"),
    "branch": (lambda: symbolic.ifelse(V[0] > 0, V[:2] + V[:3], V[:2]), [ones(5)], "add(", "shape (5,)"),
    "gradient": (lambda: T.grad((V * V[::2].sum()).sum(), V, known_grads={V * 2: T.constant(ones(2))}), [ones(3)], "mul(",
                 "shape (2,)"),
}


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("name", LATE_FAILURES)
def test_the_long_form_is_asked_for(name, mode):
    make, arguments, node, alive = LATE_FAILURES[name]
    out = make()
    inputs = [v for v in (X, V) if v in ancestors([out])]
    f = symbolic.function(inputs, out, mode=mode)
    with pytest.raises(errors.SymbolicError) as short:
        f(*arguments)
    with symbolic.config.change_flags(exception_verbosity="high"), pytest.raises(type(short.value)) as long:
        f(*arguments)
    text = str(long.value)
    print(text)
    assert len(str(short.value).splitlines()) <= 5 < len(text.splitlines())
    assert text.startswith(str(short.value).splitlines()[0])
    assert "test_mistakes.py" in text
    for part in ("Apply node that caused the error: ", node, "The graph above it:", "Values alive: ", alive, "strides"):
        assert part in text


def test_mistakes_that_are_right_here():
    """What Theano refused, or got wrong in silence, and what simply works."""
    carry, _ = symbolic.scan(lambda x_t, n: n + T.cast(x_t.sum() > 0, "int8"), sequences=X, outputs_info=0)
    assert run([X], carry[-1], ones((200, 2), F)) == 200, "a counter of int8 would have overflowed"
    column = symbolic.shared(ones((3, 1)), "column")
    np.testing.assert_array_equal(run([], column + T.constant(np.zeros((3, 2)))), ones((3, 2)))
    draws = RandomStreams(1).uniform((2,))
    twice, _ = symbolic.scan(lambda: draws * 1, n_steps=2)
    f = symbolic.function([], RandomStreams(2).uniform((2,)))
    assert (f() != f()).any(), "states advance without being asked"
    np.testing.assert_array_equal(*run([], twice))
    a = ones(3)
    symbolic.function([V], V * 2)(a)
    assert (a == 1).all(), "arguments are never written to"
    out = symbolic.function([V], V)(a)
    out[0] = 9
    assert a[0] == 1, "outputs share memory with nothing"
    value = W.get_value(borrow=False)
    value[:] = 5
    assert (W.get_value() == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run([Y], T.grad((T.cast(Y, "float64") ** 2).sum(), Y), np.array([1, 2], "int32")).dtype == np.float64
