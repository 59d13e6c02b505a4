"""Recurrent layers against loops in NumPy: every argument, and gradients."""
from __future__ import annotations

import numpy as np
import pytest
from layer_checks import L, compare, gradients, input_of, seeded
from layer_oracles import gru, lstm, plain, value, walked

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from symbolic.codegen.reference import evaluate


@pytest.fixture(autouse=True)
def floats(monkeypatch):
    before = lasagne.random.get_rng()
    monkeypatch.setattr(symbolic.config, "floatX", "float64")
    yield
    lasagne.random.set_rng(before)


KINDS = [(L.RecurrentLayer, plain), (L.LSTMLayer, lstm), (L.GRULayer, gru)]


@pytest.mark.parametrize("kind", KINDS, ids=["plain", "lstm", "gru"])
def test_layers_are_their_loops(kind):
    make, step = kind
    rng = seeded()
    x = input_of((3, 5, 2), known=False)
    deep = input_of((3, 5, 2, 3))
    m = L.InputLayer((None, 5), T.lmatrix())
    start = L.InputLayer((None, 4), T.dmatrix())
    a, b, h0 = rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 2, 3)), rng.normal(size=(3, 4))
    mask = (np.arange(5) < np.array([[5], [2], [0]])) * 1
    mask[2, 3] = 1
    v = {x.input_var: a, deep.input_var: b, m.input_var: mask, start.input_var: h0}
    wide = {"W_in_to_hid": lasagne.init.Normal(0.5), "W_hid_to_hid": lasagne.init.Normal(0.5)} if make is L.RecurrentLayer else {}
    one = make(x, 4, name="one", **wide)
    cases = [(one, v, walked(step, one, a))]

    def also(layer, data=a, **kwargs):
        kwargs = {"h": value(layer.hid_init) if not isinstance(layer.hid_init, L.Layer) else h0} | kwargs
        if make is L.LSTMLayer:
            kwargs = {"c": value(layer.cell_init)} | kwargs
        out = walked(step, layer, data, **kwargs)
        cases.append((layer, v, out[:, -1 if not layer.backwards else 0] if layer.only_return_final else out))
        return layer

    also(make(x, 4, hid_init=lasagne.init.Normal(1.0), learn_init=True))
    also(make(x, 4, hid_init=start, only_return_final=True))
    also(make(x, 4, mask_input=m), mask=mask)
    also(make(x, 4, mask_input=m, hid_init=start, backwards=True, **wide), mask=mask, backwards=True)
    also(make(x, 4, backwards=True, only_return_final=True), backwards=True)
    also(make(x, 4, precompute_input=False, gradient_steps=2, grad_clipping=1.0, **wide))
    also(make(x, 4, unroll_scan=True, **wide))
    also(make(x, 4, unroll_scan=True, backwards=True, mask_input=m, precompute_input=False), backwards=True, mask=mask)
    also(make(deep, 4, **wide), b)
    also(make(deep, 4, precompute_input=False), b)
    if make is L.RecurrentLayer:
        also(make(x, 4, b=None, nonlinearity=T.tanh, **wide), f=np.tanh)
        also(make(x, 4, nonlinearity=None, **wide), f=lambda z: z)
    if make is L.LSTMLayer:
        also(make(x, 4, peepholes=False))
        also(make(x, 4, cell_init=lasagne.init.Constant(0.5), nonlinearity=None), f=lambda z: z)
        both = make(x, 4, cell_init=start, hid_init=lasagne.init.Constant(0.1), mask_input=m)
        cases.append((both, v, walked(step, both, a, h=0.1, c=h0, mask=mask)))
        with pytest.raises(ValueError, match="peepholes need W_cell for the ingate"):
            make(x, 4, ingate=L.Gate(W_cell=None))
    compare(cases)
    floating = [c[0] for c in cases[:6]] + [cases[7][0]]
    gradients([c for c in floating if not isinstance(c, L.RecurrentLayer) or c is floating[0]][:4], v, rtol=1e-4)
    learnt = cases[1][0]
    assert len(L.get_all_params(learnt, trainable=True)) == len(L.get_all_params(one, trainable=True)) + (
        2 if make is L.LSTMLayer else 1)
    assert all(p not in L.get_all_params(learnt, regularizable=True) for p in (learnt.hid_init,))
    assert one.hid_init.name == "one.hid_init"


def test_names_and_numbers_of_parameters():
    x = L.InputLayer((None, 5, 2))
    names = [p.name for p in L.LSTMLayer(x, 4, name="l").get_params()]
    kinds = ("W_in_to_", "W_hid_to_", "b_")
    gates = [f"l.{kind}{gate}" for gate in ("ingate", "forgetgate", "cell", "outgate") for kind in kinds]
    assert names == gates + ["l.W_cell_to_ingate", "l.W_cell_to_forgetgate", "l.W_cell_to_outgate", "l.cell_init", "l.hid_init"]
    assert L.count_params(L.GRULayer(x, 4)) == 3 * (8 + 16 + 4) + 4
    names = [p.name for p in L.RecurrentLayer(x, 4, name="r").get_params()]
    assert sorted(names) == ["r.hid_init", "r.hidden_to_hidden.W", "r.input_to_hidden.W", "r.input_to_hidden.b"]


def test_networks_in_a_loop():
    rng = seeded()
    x = input_of((2, 4, 3, 2), known=False)
    a = rng.normal(size=(2, 4, 3, 2))
    entry = L.NINLayer(L.InputLayer((None, 3, 2)), 5, nonlinearity=T.tanh)
    state = L.NINLayer(L.NINLayer(L.InputLayer((None, 5, 2)), 3, b=np.array([0.3, -0.2, 0.1])), 5, b=None, nonlinearity=None)
    inner = [p.get_value() for p in L.get_all_params(state)]

    def loop(nonlinearity):
        h, out = np.zeros((2, 5, 2)), []
        for t in range(4):
            into = np.tanh(np.einsum("ncx,cu->nux", a[:, t], entry.W.get_value()))
            mid = np.maximum(np.einsum("ncx,cu->nux", h, inner[0]) + inner[1][:, None], 0)
            h = nonlinearity(into + np.einsum("ncx,cu->nux", mid, inner[2]))
            out.append(h)
        return np.stack(out, 1)

    v = {x.input_var: a}
    pre = L.CustomRecurrentLayer(x, entry, state, nonlinearity=T.tanh)
    assert pre.output_shape == (None, 4, 5, 2) and len(L.get_all_params(pre)) == 6
    late = L.CustomRecurrentLayer(x, entry, state, nonlinearity=None, precompute_input=False, only_return_final=True)
    assert late.output_shape == (None, 5, 2)
    m = L.InputLayer((None, 4), T.dmatrix())
    mask = np.ones((2, 4))
    masked = L.CustomRecurrentLayer(x, entry, state, nonlinearity=T.tanh, mask_input=m, unroll_scan=True)
    compare([(pre, v, loop(np.tanh)), (late, v, loop(lambda z: z)[:, -1]), (masked, v | {m.input_var: mask}, loop(np.tanh))])
    gradients([pre], v, rtol=1e-4)
    with pytest.raises(ValueError, match=r"input_to_hidden's output has shape \(4, 2\) behind the batch, expected \(5, 2\)"):
        L.CustomRecurrentLayer(x, L.NINLayer(L.InputLayer((None, 3, 2)), 4), state)
    with pytest.raises(ValueError, match="hidden_to_hidden's input has shape"):
        L.CustomRecurrentLayer(x, entry, L.NINLayer(L.InputLayer((None, 4, 2)), 5))
    with pytest.raises(ValueError, match="input_to_hidden's input has shape"):
        L.CustomRecurrentLayer((None, 4, 9, 2), entry, state)


def test_gradients_are_clipped_and_cut():
    rng = seeded()
    x = input_of((2, 6, 3))
    a = rng.normal(size=(2, 6, 3))
    for make in (L.RecurrentLayer, L.LSTMLayer, L.GRULayer):
        kwargs = {"W_in_to_hid": 0.5, "W_hid_to_hid": 0.3} if make is L.RecurrentLayer else {}
        free = make(x, 4, **kwargs)
        cut = make(x, 4, gradient_steps=2, **kwargs)
        clipped = make(x, 4, grad_clipping=1e-3, **kwargs)
        for layer in (cut, clipped):
            L.set_all_param_values(layer, L.get_all_param_values(free))
        grads = [symbolic.grad(L.get_output(layer)[:, -1].sum() * 50, x.input_var) for layer in (free, cut, clipped)]
        whole, short, small = evaluate(grads, {x.input_var: a})
        assert (np.abs(whole[:, 0]) > 0).any()
        assert (short[:, :4] == 0).all() and (short[:, 4:] != 0).any()
        np.testing.assert_allclose(short[:, 5], whole[:, 5])
        assert np.abs(small).max() < np.abs(whole).max()
        weights = np.abs(L.get_all_params(free)[0 if make is not L.RecurrentLayer else 1].get_value()).max()
        assert np.abs(small).max() <= 1e-3 * 16 * max(1, weights)


def test_errors_of_recurrent_layers():
    for make, text in [(lambda: L.LSTMLayer((2, 3), 4), "3 or more axes"), (lambda: L.GRULayer((2, 3, None), 4), "must be known"),
                       (lambda: L.RecurrentLayer((2, None, 3), 4, unroll_scan=True), "unroll_scan needs a known number"),
                       (lambda: L.RecurrentLayer((2, 5, 3), 4, unroll_scan=True, gradient_steps=3), "gradient_steps must be -1"),
                       (lambda: L.GRULayer((2, 5, 3), 4, mask_input=L.InputLayer((2, 5, 1))), "mask must have 2 axes"),
                       (lambda: L.LSTMLayer((2, 5, 3), 4, hid_init=L.InputLayer((2, 5))), "the layer for hid_init must give")]:
        with pytest.raises(ValueError, match=text):
            make()
