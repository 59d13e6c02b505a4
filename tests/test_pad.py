"""Padding against NumPy's, in every mode, and its derivatives."""
from __future__ import annotations

import numpy as np
import pytest
from checks import central_difference, run

import symbolic.tensor as T
from symbolic import errors
from symbolic.ops.pad import MODES
from symbolic.types import TensorType

OPTIONS = [("constant", {}), ("constant", {"constant_values": 3}), ("constant", {"constant_values": ((1, 2), (3, 4))}),
           ("edge", {}), ("linear_ramp", {}), ("linear_ramp", {"end_values": (5, -4)}), ("maximum", {}),
           ("maximum", {"stat_length": 2}),
           ("mean", {}), ("mean", {"stat_length": ((1, 2), (9, 1))}), ("median", {}), ("median", {"stat_length": 2}),
           ("minimum", {"stat_length": 1}), ("reflect", {}), ("reflect", {"reflect_type": "odd"}), ("symmetric", {}),
           ("symmetric", {"reflect_type": "odd"}), ("wrap", {})]
WIDTHS = [0, 2, (1, 3), ((2, 1), (0, 7)), ((9, 8), (4, 5))]


@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (2, 1)])
def test_modes(shape):
    a = np.random.default_rng(0).normal(size=shape)
    for known in (True, False)[shape != (3, 4):]:
        x = TensorType("float64", shape if known else (None, None))("x")
        calls = [(w, mode, options) for w in WIDTHS[::1 if known else 2] for mode, options in OPTIONS]
        outs = [T.pad(x, w, mode, **options) for w, mode, options in calls]
        for call, out, got in zip(calls, outs, run(outs, {x: a}), strict=True):
            w, mode, options = call
            want = np.pad(a, w, mode, **options)
            assert got.shape == want.shape, call
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12, err_msg=str(call))
            assert not known or out.type.shape == want.shape, call


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float32", "complex64"])
def test_dtypes(dtype):
    a = np.array([[1, 0, 4], [2, 7, 3]]).astype(dtype)
    x = TensorType(dtype, (None, None))("x")
    modes = ["constant", "edge", "reflect", "symmetric", "wrap", *(["linear_ramp", "mean", "median"] if dtype == "int32" else [])]
    for mode, got in zip(modes, run([T.pad(x, ((1, 2), (2, 0)), m) for m in modes], {x: a}), strict=True):
        assert got.dtype == a.dtype
        np.testing.assert_allclose(got, np.pad(a, ((1, 2), (2, 0)), mode), err_msg=mode)


def test_symbolic_widths_vectors_scalars_and_dicts():
    x, n, v = T.dmatrix("x"), T.lscalar("n"), T.dvector("v")
    a = np.arange(6.0).reshape(2, 3)
    outs = [T.pad(x, n), T.pad(x, ((n, 0), (1, n)), "wrap"), T.pad(v, (n, 1), "reflect"), T.pad(x, {1: (n, 1)}),
            T.pad(v, 2, "empty"), T.pad(T.constant(3.0), 2)]
    got = run(outs, {x: a, n: np.int64(2), v: np.arange(3.0)})
    want = [np.pad(a, 2), np.pad(a, ((2, 0), (1, 2)), "wrap"), np.pad(np.arange(3.0), (2, 1), "reflect"),
            np.pad(a, ((0, 0), (2, 1)))]
    for g, w in zip(got, want, strict=False):
        np.testing.assert_array_equal(g, w)
    assert got[4].shape == (7,) and got[5] == 3


def test_gradients():
    a = np.random.default_rng(1).normal(size=(3, 4))
    x = T.dmatrix("x")
    central_difference([T.sum(T.sin(T.pad(x, ((2, 3), (5, 1)), mode, **options)) * np.arange(80.0).reshape(8, 10))
                        for mode, options in OPTIONS], {x: a}, rtol=1e-4)


def test_empty_axes():
    x = T.dmatrix("x")
    assert run([T.pad(x, 1)], {x: np.zeros((0, 2))})[0].shape == (2, 4)
    with pytest.raises(errors.SymbolicError):
        run([T.pad(x, 1, "edge")], {x: np.zeros((0, 2))}, on_error=True)


def test_refusals():
    x = T.dmatrix("x")
    assert set(MODES) == {mode for mode, _ in OPTIONS} | {"empty"}
    with pytest.raises(ValueError, match="mode must be one of constant, edge"):
        T.pad(x, 1, "mirror")
    with pytest.raises(ValueError, match="mode 'edge' takes no stat_length="):
        T.pad(x, 1, "edge", stat_length=2)
    with pytest.raises(ValueError, match="mode 'constant' takes no value=; it takes constant_values="):
        T.pad(x, 1, value=2)
    with pytest.raises(ValueError, match="can't be negative, got -1"):
        T.pad(x, -1)
    with pytest.raises(ValueError, match=r"pad_width must be a number, a pair, or a pair for each of 2 axes, got \(1, 2, 3\)"):
        T.pad(x, (1, 2, 3))
    with pytest.raises(ValueError, match="stat_length must be at least 1"):
        T.pad(x, 1, "mean", stat_length=0)
    with pytest.raises(ValueError, match="reflect_type"):
        T.pad(x, 1, "reflect", reflect_type="strange")
    with pytest.raises(TypeError, match="integer"):
        T.pad(x, 1.5)
