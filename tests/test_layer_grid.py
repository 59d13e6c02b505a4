"""Every layer over a grid of its arguments: shapes, values, dtypes, training and after, gradients; and that none is left out."""
from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from layer_checks import L, gradients, promised, seeded
from layer_table import MODULES, ROWS, From

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from symbolic.codegen.reference import evaluate
from symbolic.gof.graph import equal_computations

MAKES = list(dict.fromkeys(row.make for row in ROWS))
IDS = [make.__name__ for make in MAKES]
#: without a meaning of their own: what they share is tested through those that are made of them
ABSTRACT = {L.Layer, L.MergeLayer, L.BaseConvLayer}


@pytest.fixture(autouse=True)
def floats(monkeypatch):
    before = lasagne.random.get_rng()
    monkeypatch.setattr(symbolic.config, "floatX", "float64")
    yield
    lasagne.random.set_rng(before)


def resolved(value, xs):
    if isinstance(value, From):
        return value.make(xs)
    return [resolved(v, xs) for v in value] if isinstance(value, list) else value


def built(row, case, xs):
    xs = row.entries(xs)
    return row.make(**{name: resolved(value, xs) for name, value in case.items()})


def data(row, rng):
    """Return input variables of unknown extents, and values."""
    xs, arrays = [], []
    for k, shape in enumerate(row.inputs):
        dtype = symbolic.config.floatX if row.dtypes[k] == "floatX" else row.dtypes[k]
        xs.append(T.tensor(dtype, (None,) * len(shape)))
        arrays.append(np.asarray(row.values(rng, shape, k), dtype))
    return xs, arrays


def inputs(row, variables, unknown=()):
    shapes = [tuple(None if a in unknown else n for a, n in enumerate(shape)) for shape in row.inputs]
    return [L.InputLayer(shape, x) for shape, x in zip(shapes, variables, strict=True)]


def shape_given(layer, entries, arrays):
    """Return what the shape function says when it is told the extents of the data."""
    return L.get_output_shape(layer, {x: a.shape for x, a in zip(entries, arrays, strict=True)})


@pytest.mark.parametrize("make", MAKES, ids=IDS)
def test_shapes_and_values(make):
    rng = seeded()
    values, compiled, outputs, checks = {}, [], [], []
    for row in (r for r in ROWS if r.make is make):
        variables, arrays = data(row, rng)
        values |= dict(zip(variables, arrays, strict=True))
        unknown = list(dict.fromkeys([(), tuple(a for a in row.loose if a == 0), row.loose]))
        for k, case in enumerate(row.cases):
            first = None
            for loose in unknown:
                entries = inputs(row, variables, loose)
                layer = built(row, case, entries)
                if first is None:
                    first = layer
                    want = row.oracle(layer, case, *arrays)
                else:
                    L.set_all_param_values(layer, L.get_all_param_values(first))
                out = L.get_output(layer, deterministic=True)
                outputs.append(out)
                checks.append((row, case, loose, layer, entries, arrays, want))
            if k % row.every == 0:
                compiled.append(len(outputs) - 1)
            if row.training is not None:
                outputs.append(L.get_output(layer, batch_norm_update_averages=False))
                checks.append((row, case, loose, layer, entries, arrays, row.training(layer, case, *arrays)))
    got = evaluate(outputs, values)
    native = symbolic.function(list(values), [outputs[k] for k in compiled], on_unused_input="ignore")(*values.values())
    for k, value in zip(compiled, native, strict=True):
        assert value.dtype == got[k].dtype and value.shape == got[k].shape
        np.testing.assert_allclose(value, got[k], rtol=1e-8, atol=1e-12)
    for value, (row, case, loose, layer, entries, arrays, want) in zip(got, checks, strict=True):
        what = f"{layer!r} {case} unknown {loose}"
        assert value.shape == want.shape, what
        np.testing.assert_allclose(value, want, rtol=1e-7, atol=1e-10, err_msg=what)
        promised(layer.output_shape, value.shape)
        if not row.open:
            assert shape_given(layer, entries, arrays) == value.shape, what
            assert loose or layer.output_shape == value.shape, what


@pytest.mark.parametrize("make", MAKES, ids=IDS)
def test_shapes_hold_for_another_batch(make):
    rng = seeded()
    values, outputs, checks = {}, [], []
    for row in (r for r in ROWS if r.make is make and 0 in r.loose):
        variables, arrays = data(row, rng)
        arrays = [np.concatenate([a, a]) for a in arrays]
        values |= dict(zip(variables, arrays, strict=True))
        for case in row.cases:
            entries = inputs(row, variables, (0,))
            layer = built(row, case, entries)
            outputs.append(L.get_output(layer, deterministic=True).shape)
            checks.append((row, layer, entries, arrays))
    for shape, (row, layer, entries, arrays) in zip(evaluate(outputs, values), checks, strict=True):
        promised(layer.output_shape, shape)
        assert row.open or shape_given(layer, entries, arrays) == tuple(shape)


@pytest.mark.parametrize("make", MAKES, ids=IDS)
def test_float32_stays(make, monkeypatch):
    monkeypatch.setattr(symbolic.config, "floatX", "float32")
    rng = seeded()
    for row in (r for r in ROWS if r.make is make):
        variables, _ = data(row, rng)
        for case in row.cases:
            layer = built(row, case, inputs(row, variables))
            assert {p.dtype for p in L.get_all_params(layer)} <= {"float32"}
            assert [L.get_output(layer, deterministic=d).dtype for d in (False, True)] == ["float32"] * 2, (layer, case)


@pytest.mark.parametrize("make", MAKES, ids=IDS)
def test_training_differs_where_there_is_noise_and_nowhere_else(make):
    rng = seeded()
    values, noisy = {}, []
    for row in (r for r in ROWS if r.make is make):
        variables, arrays = data(row, rng)
        for case in row.cases:
            layer = built(row, case, inputs(row, variables))
            training, after = (L.get_output(layer, deterministic=d) for d in (False, True))
            if row.noisy(case):
                values |= dict(zip(variables, arrays, strict=True))
                noisy.append((layer, case, training, after))
            else:
                assert equal_computations([training], [after]), (layer, case)
    if noisy:
        f = symbolic.function(list(values), [out for _, _, *both in noisy for out in both])
        first, second = f(*values.values()), f(*values.values())
        for k, (layer, case, *_) in enumerate(noisy):
            assert not np.array_equal(first[2 * k], first[2 * k + 1]), (layer, case)
            # noise is drawn anew in training only; running averages move in training, and show after it
            moving = 2 * k + any(isinstance(one, L.BatchNormLayer) for one in L.get_all_layers(layer))
            still = 4 * k + 1 - moving
            assert not np.array_equal(first[moving], second[moving]), (layer, case)
            np.testing.assert_array_equal(first[still], second[still])


@pytest.mark.parametrize("make", MAKES, ids=IDS)
def test_gradients(make):
    rng = seeded(1)
    values, layers = {}, []
    for row in (r for r in ROWS if r.make is make):
        variables, arrays = data(row, rng)
        values |= dict(zip(variables, arrays, strict=True))
        for case in row.cases[::row.every]:
            if case.keys() & {"grad_clipping", "gradient_steps"}:
                continue  # clipped and cut gradients aren't the derivative
            usual = inspect.signature(make).parameters.get("nonlinearity")
            if usual is not None and usual.default is lasagne.nonlinearities.rectify:
                case = {"nonlinearity": T.tanh} | case  # second differences want no kinks
            layers.append(built(row, case, inputs(row, variables)))
    gradients(layers, values, rtol=1e-3, deterministic=True)
    if make in (L.BatchNormLayer, L.batch_norm):
        gradients(layers, values, rtol=1e-3, batch_norm_update_averages=False)


def public(module):
    """Return layers, and functions that give one, of a module, each once."""
    found = [v for n, v in vars(module).items()
             if not n.startswith("_") and getattr(v, "__module__", "").startswith("lasagne_like.layers")]
    return {v for v in found if (isinstance(v, type) and issubclass(v, L.Layer))
            or (inspect.isfunction(v) and str(v.__annotations__.get("return")).endswith("Layer"))} - ABSTRACT


def test_every_layer_is_in_the_table():
    assert {v for module in MODULES for v in public(module)} == set(MAKES)


def test_the_walk_sees_a_planted_layer():
    class Planted(L.DenseLayer):
        """`DenseLayer` with another argument.

        Parameters
        ----------
        extra : int
        gone : int
        """

        def __init__(self, incoming, num_units, extra=0, quiet=0):
            super().__init__(incoming, num_units)

    Planted.__module__ = "lasagne_like.layers.planted"
    module = type("module", (), {"Planted": Planted, "DenseLayer": L.DenseLayer, "Other": int})
    assert public(module) == {Planted, L.DenseLayer}
    assert set(arguments(Planted)) - set(documented(Planted)) == {"quiet"}
    assert set(entries_of(Planted)) - set(arguments(Planted)) == {"gone"}


def entries_of(make):
    """Return the documented arguments and the text about each."""
    section = re.search(r"Parameters\n-+\n(.*?)(?:\n\n[A-Z]\w+\n-+|\Z)", inspect.getdoc(make) or "", re.DOTALL)
    out, names = {}, []
    for line in section[1].replace("\\\n", "").split("\n") if section else []:
        if line and not line.startswith(" "):
            names = re.sub(r" : .*", "", line).replace("*", "").split(", ")
        out |= {name: out.get(name, "") + line + "\n" for name in names}
    return out


def documented(make):
    """Return the arguments that are documented, here or in the layers that the text refers to."""
    text = inspect.getdoc(make) or ""
    found = entries_of(make)
    for names in re.findall(r"[Aa]s for `(\w+)`|^`(\w+)` with", text, re.MULTILINE):
        for one in filter(lambda name: hasattr(L, name), names):
            found = documented(getattr(L, one)) | {k: v for k, v in found.items() if f"`{one}`" not in v}
    return found


def flat(values):
    """Return values, and those in tuples and lists."""
    return [one for v in values for one in (flat(v) if isinstance(v, (tuple, list)) else [v])]


def arguments(make):
    return {n: p for n, p in inspect.signature(make).parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


@pytest.mark.parametrize("make", MAKES, ids=IDS)
def test_every_argument_is_documented_and_in_the_table(make):
    own, cases = arguments(make), [case for row in ROWS if row.make is make for case in row.cases]
    names = set(own) - {"name"}  # tested below
    tried = {name: [case[name] for case in cases if name in case] for name in names}
    for name in names:
        assert tried[name], f"{make.__name__}: no case has {name}"
        if isinstance(own[name].default, bool):
            assert (not own[name].default) in tried[name], f"{make.__name__}: no case has {name}={not own[name].default}"
    if not isinstance(make, type):
        return
    told = documented(make)
    assert set(own) <= set(told), f"{make.__name__} doesn't document {set(own) - set(told)}"
    assert set(entries_of(make)) <= set(own), f"{make.__name__} doesn't take {set(entries_of(make)) - set(own)}"
    for name in names:
        for choice in re.findall(r"'(\w+)'", told[name].split("\n")[0]):
            assert choice in flat([*tried[name], own[name].default]), f"{make.__name__}: no case has {name}={choice!r}"


@pytest.mark.parametrize("make", [m for m in MAKES if isinstance(m, type)], ids=lambda m: m.__name__)
def test_names_and_shapes_in_the_place_of_layers(make):
    rng = seeded()
    row = next(r for r in ROWS if r.make is make)
    variables, _ = data(row, rng)
    layer = built(row, row.cases[0] | {"name": "named"}, inputs(row, variables))
    assert layer.name == "named" and "'named'" in repr(layer)
    assert all(p.name.startswith("named.") for p in layer.params if p.name)
    if make not in (L.InputLayer, L.InverseLayer, L.CustomRecurrentLayer):
        assert built(row, row.cases[0], row.inputs).output_shape == layer.output_shape
