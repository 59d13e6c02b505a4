"""Extents that are assumed to be equal, and what happens where these assumptions contradict each other."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_assumptions_that_contradict_leave_room_for_extents_that_broadcast(mode):
    """Found by the fuzzer, program 100322: the column of `a` can't have an extent of 0 and of 3, but of 1."""
    a, empty = T.matrix("a"), T.TensorType("float64", (None, None, 0))("empty")
    wide = T.switch(empty, a, a)[[2, 1, -2], :, ::-1].dimshuffle("x", 1, 2, 0)
    f = symbolic.function([a, empty], wide - a[-1:], mode=mode)
    assert f(np.ones((4, 1)), np.ones((4, 4, 0))).shape == (1, 4, 0, 3)
    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones((4, 0)), np.ones((4, 4, 0)))
    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones((4, 3)), np.ones((4, 4, 0)))

    x, y, z = T.vector("x"), T.TensorType("float64", (2,))("y"), T.TensorType("float64", (3,))("z")
    g = symbolic.function([x, y, z], [x + y, x + z], mode=mode)
    for got, want in zip(g([5.0], [1.0, 2.0], [1.0, 2.0, 3.0]), ([6.0, 7.0], [6.0, 7.0, 8.0]), strict=True):
        np.testing.assert_array_equal(got, want)
    for wrong in ([1.0, 2.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="extents [23] and [23] on axis -1 don't broadcast"):
            g(wrong, [1.0, 2.0], [1.0, 2.0, 3.0])


def test_what_can_never_fit_is_told_when_the_function_is_made():
    y, z = T.TensorType("float64", (2,))("y"), T.TensorType("float64", (3,))("z")
    x = T.vector("x")
    with pytest.raises(ValueError, match="2.*3"):
        symbolic.function([y, z], y + z)
    with pytest.raises(ValueError, match="2.*3"):
        symbolic.function([x, y, z], (x + y)[:2] + (y * 2)[:2] + T.concatenate([z, z])[:3])
