"""What tests of layers share: outputs against an oracle and against the shape that the layer promised, and gradients."""
from __future__ import annotations

import numpy as np
from checks import central_difference, run

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from symbolic.codegen.reference import evaluate

L = lasagne.layers


def seeded(seed=0):
    lasagne.random.set_rng(np.random.default_rng(seed))
    return np.random.default_rng(seed + 1)


def input_of(shape, dtype="float64", known=True):
    """Return an input layer of a symbolic variable, whose shape the layer is told or not."""
    return L.InputLayer(shape if known else (None, *shape[1:]), T.tensor(dtype, (None,) * len(shape)))


def promised(shape, got):
    assert len(shape) == len(got) and all(n is None or n == m for n, m in zip(shape, got, strict=True)), (shape, got)


def compare(cases, native=True, rtol=1e-9, **kwargs):
    """Check layers: pairs of (layer, {input variable: array}, wanted array or None), all in one function.

    Outputs have the promised shape and, where one is wanted, its values; compiled and interpreted alike.
    """
    values = {}
    for _, given, _ in cases:
        values |= given
    outputs = [L.get_output(layer, **kwargs) for layer, _, _ in cases]
    got = run(outputs, values, rtol=1e-8, atol=1e-12) if native else evaluate(outputs, values)
    for (layer, _, want), value in zip(cases, got, strict=True):
        promised(layer.output_shape, value.shape)
        if want is not None:
            assert value.shape == np.shape(want), layer
            np.testing.assert_allclose(value, want, rtol=rtol, atol=1e-12, err_msg=repr(layer))
    return got


def gradients(layers, values, rtol=1e-5, **kwargs):
    """Check first and second derivatives of layers with respect to inputs and parameters, by differences."""
    rng = np.random.default_rng(7)
    params = [p for p in L.get_all_params(layers) if p.dtype == "float64"]
    places = {p: T.tensor("float64", (None,) * p.ndim) for p in params}
    costs = []
    for layer in layers:
        out = L.get_output(layer, **kwargs)
        shape = evaluate([out], values)[0].shape
        costs.append((T.sqr(out) * symbolic.constant(rng.normal(size=shape))).sum())
    costs = symbolic.graph.clone_replace(costs, places)
    point = {x: a for x, a in values.items() if a.dtype == "float64"}
    # values that aren't differentiated are constants
    fixed = {x: symbolic.constant(a) for x, a in values.items() if a.dtype != "float64"}
    costs = symbolic.graph.clone_replace(costs, fixed)
    point |= {v: p.get_value() for p, v in places.items()}
    central_difference(costs, point, rtol=rtol)
