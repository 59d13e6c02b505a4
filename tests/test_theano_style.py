"""Programs in the style of 2012 to 2017 run unchanged under the name theano, and what they find is checked independently."""
from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve

import symbolic
import symbolic.tensor as T
from symbolic.sandbox.rng_mrg import MRG_RandomStreams
from symbolic.theano import install_as_theano, uninstall

FOLDER = Path(__file__).parent.parent / "examples" / "theano_style"


@pytest.fixture
def program(monkeypatch):
    """Return a function that imports a program while theano means this package; what it compiles runs in one thread."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(symbolic.config, "threads", 1)
    install_as_theano(read_flags=False)

    def load(name):
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield load
    uninstall()


def test_the_programs_know_nothing_of_this_package():
    programs = sorted(p.name for p in FOLDER.glob("*.py"))
    assert len(programs) == 10
    for name in programs:
        text = (FOLDER / name).read_text()
        assert "import theano" in text and "import symbolic" not in text and "from symbolic" not in text


def test_logistic_regression(program, capsys):
    valid, test = program("logistic_regression").sgd_optimization(n_epochs=30)
    assert valid < 0.13 and test < 0.14, "of ten classes, a tenth is right by chance"
    assert "Optimization complete" in capsys.readouterr().out


def test_denoising_autoencoder(program, capsys):
    costs, (restored, corrupted) = program("denoising_autoencoder").main(training_epochs=12)
    assert costs[-1] < 0.6 * costs[0] and restored < 0.6 * corrupted


def test_rbm(program, capsys):
    rbm = program("rbm")
    before, after, costs = rbm.main(training_epochs=15)
    assert before < -20 and after > -12 and costs[-1] > costs[0]


def test_the_rbms_partition_function_is_the_sum_over_everything(program):
    rbm, theano = program("rbm"), sys.modules["theano"]
    x = theano.tensor.matrix("x")
    machine = rbm.RBM(x, 5, 3, np.random.RandomState(0), None)
    images = np.array(list(itertools.product([0.0, 1.0], repeat=5)))
    energies = theano.function([x], machine.free_energy(x))(images)
    np.testing.assert_allclose(rbm.log_partition(machine), np.log(np.exp(-energies).sum()), rtol=1e-12)


def test_elman(program, capsys):
    elman = program("elman")
    accuracies = elman.main(nepochs=4)
    assert accuracies[-1] > 0.95
    assert elman.contextwin([4, 5], 3) == [[-1, 4, 5], [4, 5, -1]]


def test_matrix_factorisation(program, capsys):
    baseline, errors = program("matrix_factorisation").main(epochs=15)
    assert baseline > 1 and errors[-1][1] < 0.2, "the noise of the ratings is 0.1"


def test_gaussian_process(program, capsys):
    gp, X, y, history, rmse, inside = program("gaussian_process").main(steps=100)
    assert rmse < 0.05 and inside > 0.9 and history[-1] < -30
    amplitude, length, noise = np.exp(gp.log_theta.get_value())

    def nll(theta):
        K = theta[0] ** 2 * np.exp(-0.5 * (X - X.T) ** 2 / theta[1] ** 2) + theta[2] ** 2 * np.eye(len(y))
        factor = cho_factor(K, lower=True)
        return 0.5 * y @ cho_solve(factor, y) + np.log(np.diag(factor[0])).sum() + 0.5 * len(y) * np.log(2 * np.pi)

    theta = np.array([amplitude, length, noise])
    np.testing.assert_allclose(gp.nll(X, y), nll(theta), rtol=1e-8)
    h = 1e-5
    slopes = [(nll(theta * np.exp(h * e)) - nll(theta * np.exp(-h * e))) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(gp.grad(X, y), slopes, rtol=1e-4, atol=1e-4)


def test_attention(program, capsys):
    accuracy, looked, weights, mask = program("attention").main(steps=120)
    assert accuracy > 0.9 and looked > 0.9
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert weights[mask.T == 0].max() == 0


def test_vae(program, capsys):
    bounds, error, entropy = program("vae").main(n=1000, epochs=15)
    assert bounds[0] + 1 < bounds[-1] < -entropy and error < 0.35


def test_dqn(program, capsys):
    found, best = program("dqn").main()
    assert (found.argmax(axis=1) == best.argmax(axis=1)).all() and np.abs(found - best).max() < 0.2


def test_lenet(program, capsys):
    pytest.importorskip("sklearn")
    lenet = program("lenet")
    costs, valid, test = lenet.evaluate_lenet5(n_epochs=6)
    assert costs[-1] < 0.6 * costs[0] and valid < 0.15 and test < 0.15, "of ten classes"

    theano, rng = sys.modules["theano"], np.random.RandomState(0)
    x = theano.tensor.tensor4("x")
    layer = lenet.LeNetConvPoolLayer(rng, x, (2, 3, 2, 2), (1, 3, 5, 5))
    images, W = rng.randn(1, 3, 5, 5), layer.W.get_value()[:, :, ::-1, ::-1]
    full = np.array([[[(images[0, :, i:i + 2, j:j + 2] * w).sum() for j in range(4)] for i in range(4)] for w in W])
    pooled = full.reshape(2, 2, 2, 2, 2).max(axis=(2, 4))
    np.testing.assert_allclose(theano.function([x], layer.output)(images)[0], np.tanh(pooled), rtol=1e-10)


def test_random_numbers_of_the_shape_of_a_slice_make_a_short_program():
    """Extents of slices occur many times in such programs; printed each time, their text grew to many megabytes."""
    i, W, data = T.iscalar("i"), T.dmatrix("W"), symbolic.shared(np.ones((10, 3)))
    mean = T.dot(data[i:i + 5], W)
    f = symbolic.function([W, i], MRG_RandomStreams(1).normal(mean.shape) + mean)
    assert len(f.source) < 300_000
    assert [f(np.ones((3, 2)), k).shape for k in (0, 7, -3, 10, -20)] == [(5, 2), (3, 2), (0, 2), (0, 2), (0, 2)]
