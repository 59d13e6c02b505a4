"""Connectionist temporal classification: the chance of a labelling, added up over all alignments, in log space."""
from __future__ import annotations

from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.create import full as filled
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.grad_control import disconnected_grad
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate, repeat
from symbolic.ops.nnet import logsoftmax
from symbolic.ops.random_shape import require
from symbolic.ops.reduce import largest
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scan_views import loop
from symbolic.ops.shape import dimshuffle
from symbolic.source import caller
from symbolic.types import is_complex, is_integer, to_float

#: Stands for the logarithm of 0: so low that its exponential is 0 beside any real one, and derivatives stay finite.
_NEVER = -1e30


def ctc(activations: Any, labels: Any, input_lengths: Any) -> Variable:
    """Return the negative logarithm of the chance of each labelling, over all alignments with an input sequence.

    Parameters
    ----------
    activations : Variable, shape (time, batch, classes)
        Logits: the softmax is part of the cost. Class 0 is the blank.
    labels : integer Variable, shape (batch, length)
        Classes from 1 on; negative numbers pad at the end.
    input_lengths : integer Variable, shape (batch,)
        How many time steps of each sequence count.

    Returns
    -------
    Variable, shape (batch,)
        Infinite, with a gradient of zero, where a sequence is too short for its labels.

    Raises
    ------
    RankError, DTypeError
        If ranks or dtypes aren't these.
    ParameterError
        If a label is the blank, padding stands before a label, or a length isn't within 0 and the time steps; when run.
    IndexOutOfBounds
        If a label is no class; when run.

    References
    ----------
    Graves, Fernández, Gomez, Schmidhuber, "Connectionist temporal classification: labelling unsegmented sequence data with
    recurrent neural networks", 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from symbolic import function
    >>> cost = ctc(np.zeros((2, 1, 2)), [[1]], [2])  # 3 of 4 paths of two steps are 1
    >>> float(np.exp(-function([], cost)()[0]).round(6))
    0.75
    """
    x, y, n = (as_tensor_variable(v) for v in (activations, labels, input_lengths))
    for v, ndim, what in ((x, 3, "activations must be (time, batch, classes)"), (y, 2, "labels must be (batch, length)"),
                          (n, 1, "input_lengths must be (batch,)")):
        if v.ndim != ndim:
            raise errors.RankError(errors.message("ctc", f"{what}, got {v.ndim} dimensions", (describe(v),), caller()))
    if is_complex(x.dtype) or not is_integer(y.dtype) or not is_integer(n.dtype):
        raise errors.DTypeError(errors.message("ctc", "expected real activations, integer labels and lengths",
                                               tuple(map(describe, (x, y, n))), caller()))
    dtype = to_float(x.dtype)
    steps, batch, _ = extents(x)
    y, n = _checked(cast_to(y, "int64"), cast_to(n, "int64"), steps)
    real = f.gt(y, 0)
    length = dimshuffle(sum_of(cast_to(real, "int64"), axis=1), 0, "x")
    # states: blank, label, blank, ..., label, blank
    blank = filled([batch, 1], 0, "int64")
    twice = repeat(f.switch(real, y, 0), 2, axis=1)
    states = concatenate([f.switch(f.eq(arange(extents(twice)[1]) % 2, 1), twice, 0), blank], axis=1)
    place = arange(extents(states)[1])
    # a blank between two labels may be left out, unless they are equal
    skips = f.and_(f.gt(states, 0), f.neq(states, _moved(states, blank, 2)))
    chance = logsoftmax(cast_to(x, "float32" if dtype == "float16" else dtype))
    each = getitem(chance, (slice(None), dimshuffle(arange(batch), 0, "x"), states))
    never = filled([batch, 1], _NEVER, chance.dtype)
    start = f.switch(f.eq(place, 0), f.cast_zero(chance), never)

    def step(alpha: Variable, inputs: Any) -> tuple[Variable, None]:
        t, p = inputs
        came = _logsumexp(alpha, _moved(alpha, never, 1), f.switch(skips, _moved(alpha, never, 2), never))
        return f.switch(dimshuffle(f.lt(t, n), 0, "x"), f.maximum(came + p, never), alpha), None

    alpha, _ = loop(step, start, (arange(steps), each), name="ctc")
    ends = f.and_(f.ge(place, 2 * length - 1), f.le(place, 2 * length))
    alpha = f.switch(ends, alpha, never)
    top = disconnected_grad(largest(alpha, 1))
    total = f.log(sum_of(f.exp(alpha - dimshuffle(top, 0, "x")), axis=1)) + top
    cost = f.switch(f.lt(total, _NEVER / 2), constant(np.asarray(np.inf, total.dtype)), -total)
    return cast_to(cost, dtype)


def _checked(y: Variable, n: Variable, steps: Variable) -> tuple[Variable, Variable]:
    y = require("ctc", "labels are classes from 1 on (0 is the blank); negative numbers pad", lambda v: (v < 0) | (v > 0), y)
    after, before = getitem(y, (slice(None), slice(1, None))), getitem(y, (slice(None), slice(None, -1)))
    n = require("ctc", "padding must stand behind all labels", lambda v, a, b: (a < 0) | (b > 0), n, after, before)
    return y, require("ctc", "input_lengths must lie between 0 and the number of time steps",
                      lambda v, t: (v >= 0) & (v <= t), n, steps)


def _moved(x: Variable, column: Variable, by: int) -> Variable:
    """Return `x` moved to the right, with a column before it."""
    return getitem(concatenate([column] * by + [x], axis=1), (slice(None), slice(None, -by)))


def _logsumexp(*terms: Variable) -> Variable:
    top = terms[0]
    for v in terms[1:]:
        top = f.maximum(top, v)
    top = disconnected_grad(top)  # the sum doesn't depend on it
    total = f.exp(terms[0] - top)
    for v in terms[1:]:
        total = total + f.exp(v - top)
    return f.log(total) + top
