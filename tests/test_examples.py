"""The examples do what they say: each runs with small settings, and what it found is checked independently."""
from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import symbolic

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    """Return a function that imports an example; what it compiles runs in one thread, as other tests run beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(symbolic.config, "threads", 1)

    def load(name):
        sys.modules.pop(name, None)
        return importlib.import_module(name)
    return load


def test_newton_finds_the_minimum_in_few_steps(example, capsys):
    pytest.importorskip("sklearn")
    newton = example("newton")
    result = newton.main(["--descent-tolerance", "3e-2"])
    w, b = result.weights
    images, labels = newton.load_digits(return_X_y=True)
    x, x_test, y, y_test = newton.train_test_split(images / 16, labels, test_size=0.2, random_state=0, stratify=labels)

    p = np.exp(x @ w + b)
    p /= p.sum(axis=1, keepdims=True)
    off = (p - np.eye(10)[y]) / len(x)
    gradient = np.vstack([x.T @ off + 0.001 * w, off.sum(axis=0) + 0.001 * b])
    assert np.linalg.norm(gradient) < 1e-10

    norms = [row[1] for row in result.rows]
    assert len(norms) <= 10 and norms[0] > 0.1
    late = [k for k in range(1, len(norms)) if 1e-12 < norms[k] < 1e-2]
    assert len(late) >= 3 and all(norms[k] < 100 * norms[k - 1] ** 2 for k in late), "quadratic convergence"
    assert result.accuracy == np.mean((x_test @ w + b).argmax(axis=1) == y_test) >= 0.94
    assert 30 < result.descent_iterations < 20_000 and result.descent_norm <= 3e-2
    assert f"{result.descent_iterations} iterations" in capsys.readouterr().out


def test_newton_shortens_a_step_that_is_too_long(example):
    pytest.importorskip("sklearn")
    newton = example("newton")
    symbolic, T = newton.symbolic, newton.T
    w = T.dscalar("w")
    cost = lambda weights: T.sqrt(1 + weights[0] ** 2)  # noqa: E731  (Newton's method diverges from beyond 1)
    slope = symbolic.grad(cost([w]), w)
    direction = -slope / symbolic.grad(slope, w)
    f = symbolic.function([w], newton.shortened(cost, [w], [direction], cost([w]), slope * direction))
    t = f(2.0)
    assert t == 0.25 and np.sqrt(1 + (2 - 0.25 * 10) ** 2) < np.sqrt(5) and f(0.5) == 1


def test_conjugate_gradients_solve_and_stop(example):
    pytest.importorskip("sklearn")
    newton = example("newton")
    T = newton.T
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a = a @ a.T + np.eye(6)
    m, u, v, tolerance = T.dmatrix("m"), T.dvector("u"), T.dvector("v"), T.dscalar("tolerance")

    def apply(parts):
        whole = m @ T.concatenate(parts)
        return [whole[:2], whole[2:]]

    x, iterations = newton.conjugate_gradient(apply, [u, v], tolerance, limit=50)
    f = newton.symbolic.function([m, u, v, tolerance], [*x, iterations])
    rhs = rng.normal(size=6)
    *parts, count = f(a, rhs[:2], rhs[2:], 1e-10)
    np.testing.assert_allclose(np.concatenate(parts), np.linalg.solve(a, rhs), rtol=1e-8)
    assert 3 <= count <= 12
    assert f(a, rhs[:2], rhs[2:], 10.0)[2] == 1 and f(2 * np.eye(6), rhs[:2], rhs[2:], 1e-10)[2] == 1


def test_power_iteration_against_eigh(example, capsys):
    pytest.importorskip("sklearn")
    power = example("power_iteration")
    result = power.main(["--count", "5"])
    values, vectors = np.linalg.eigh(np.cov(power.load_digits(return_X_y=True)[0], rowvar=False))
    np.testing.assert_allclose(result.values, values[::-1][:5], rtol=1e-12)
    cosines = abs((result.vectors * vectors.T[::-1][:5]).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, rtol=1e-10)
    assert (result.iterations > 5).all() and (result.iterations < 1000).all()
    np.testing.assert_allclose(result.gradient, np.outer(vectors[:, -1], vectors[:, -1]), atol=1e-6)
    assert f"{result.iterations.sum()} products" in capsys.readouterr().out
    # a looser tolerance ends earlier: the loop stops by its condition
    assert (power.main(["--count", "5", "--tolerance", "1e-4"]).iterations < result.iterations).all()


def test_hmc_matches_the_moments_and_can_fail(example):
    hmc = example("hmc")
    for result, target in zip(hmc.main(["--samples", "600", "--chains", "60"]), hmc.TARGETS, strict=True):
        assert 0.6 < result.accepted < 1
        assert result.samples.shape == (600, 60, len(target.mean))
        assert (abs(result.errors) < 5).all() and abs(result.errors).max() > 0.1
        flat = result.samples.reshape(-1, len(target.mean))
        np.testing.assert_allclose(result.mean, flat.mean(axis=0), rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(np.cov(flat, rowvar=False), target.covariance, atol=0.25 * target.covariance.max())
        moved = (result.samples[1:] != result.samples[:-1]).any(axis=2)
        assert abs(moved.mean() - result.accepted) < 0.01, "a proposal accepted is a sample that moved"
    wrong = hmc.Target("wrong", hmc.banana, np.zeros(2), np.diag([4.0, 2.0]), 0.35, 10)
    with pytest.raises(AssertionError, match="wrong: a moment is off by"):
        hmc.run(wrong, 600, 50, 60, 1)


def test_leapfrog_is_reversible_and_nearly_keeps_the_energy(example):
    hmc = example("hmc")
    symbolic, T = hmc.symbolic, hmc.T
    q, p, size = T.dmatrix("q"), T.dmatrix("p"), T.dscalar("size")
    f = symbolic.function([q, p, size], [*hmc.leapfrog(hmc.banana, q, p, size, 20)])
    rng = np.random.default_rng(0)
    start, momentum = rng.normal(size=(2, 7, 2))

    def energy(q, p):
        x, y = q.T
        return (p**2).sum(axis=1) / 2 + (x**2 / hmc.WIDTH**2 + (y - hmc.BEND * (x**2 - hmc.WIDTH**2)) ** 2) / 2

    lost = []
    for h in (0.1, 0.05):
        end, last = f(start, momentum, h)
        back, first = f(end, -last, h)
        np.testing.assert_allclose(back, start, atol=1e-10)
        np.testing.assert_allclose(-first, momentum, atol=1e-10)
        assert abs(end - start).max() > 0.5
        lost.append(abs(energy(end, last) - energy(start, momentum)).max())
    assert lost[0] < 0.05 and lost[1] < lost[0]


def test_character_models_learn_and_write(example, capsys, monkeypatch):
    char_rnn = example("char_rnn")
    monkeypatch.setattr(char_rnn, "LENGTH", 25)
    monkeypatch.setattr(char_rnn, "BATCH", 8)
    options = ["--limit", "30000", "--epochs", "2", "--hidden", "32", "--rate", "1e-2", "--write", "200"]
    results = char_rnn.main(options)
    printed = capsys.readouterr().out
    characters, alphabet = char_rnn.corpus(30000)
    assert set("".join(char_rnn.topics.values())) >= set(alphabet) and len(characters) <= 30000
    for name, result in results.items():
        start, first, second = result.bits
        assert abs(start - np.log2(len(alphabet))) < 0.6, f"{name} knows nothing before training"
        assert second < first < 4.2 < start, f"{name} learns"
        assert result.text.startswith("The ") and len(result.text) == 204 and set(result.text) <= set(alphabet)
        assert len(set(result.text)) > 8, "not one character again and again"
        assert f"{name:5} epoch 2" in printed
    again = char_rnn.main(options)
    assert {n: r.text for n, r in again.items()} == {n: r.text for n, r in results.items()}, "the same seed, the same text"


def test_no_paragraph_is_read_twice(example):
    characters, alphabet = example("char_rnn").corpus(None)
    paragraphs = "".join(alphabet[k] for k in characters).split("\n\n")
    assert len(characters) > 300_000 and len(paragraphs) > 2000
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_lstm_is_the_formula(example):
    char_rnn = example("char_rnn")
    rng = np.random.default_rng(0)
    network = char_rnn.CharacterModel(char_rnn.lstm(rng, 8), 11, 8, rng, 0, 1e-2)
    w, v, a, u, b = (p.get_value() for p in network.weights)
    a[:] = rng.normal(size=11)
    network.bias.set_value(a)
    x, y = rng.integers(11, size=(2, char_rnn.LENGTH, char_rnn.BATCH))
    h = c = np.zeros((char_rnn.BATCH, 8))
    bits = []
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    for now, following in zip(x, y, strict=True):
        i, f, o, g = np.split(w[now] + h @ u + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        p = np.exp(h @ v + a)
        bits.append(-np.log2(p[np.arange(len(p)), following] / p.sum(axis=1)))
    np.testing.assert_allclose(network.evaluate(x, y), np.mean(bits), rtol=1e-5)
    for state, want in zip(network.states, (h, c), strict=True):
        np.testing.assert_allclose(state.get_value(), want, rtol=1e-4, atol=1e-5)

    # what the sampler draws at a temperature near 0 is the most likely character, one after another
    begin = [1, 2, 3]
    drawn = network.write(begin, 12, np.float32(1e-4))
    h = c = np.zeros(8)
    want = []
    for k in range(14):
        i, f, o, g = np.split(w[begin[k] if k < 3 else want[k - 3]] + h @ u + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        if k >= 2:
            want.append((h @ v + a).argmax())
    assert drawn.tolist() == want


def test_counting_contexts_against_a_slow_count(example):
    char_rnn = example("char_rnn")
    rng = np.random.default_rng(0)
    train, held = rng.integers(3, size=200), rng.integers(3, size=40)

    def probability(context, character):
        shorter = 1 / 3 if not len(context) else probability(context[1:], character)
        if len(context) == 0:
            shorter = 1 / 3
        follow = [train[k] for k in range(2, 200) if list(train[k - len(context):k]) == list(context)]
        kinds = len(set(follow)) or 1
        return (follow.count(character) + kinds * shorter) / (len(follow) + kinds)

    want = np.mean([-np.log2(probability(held[k - 2:k], held[k])) for k in range(2, 40)])
    assert np.isclose(char_rnn.context_bits(train, held, 3, 2), want)


@pytest.mark.parametrize("seed", [0])
def test_a_lenet_through_layers_learns_the_digits(example, capsys, seed, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(symbolic.config, "floatX", "float32")
    accuracy = example("digits_lenet").main(["--seed", str(seed)])
    assert accuracy >= 0.985
    assert f"test accuracy {accuracy:.2%}" in capsys.readouterr().out


def test_an_autoencoder_draws_digits(example, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(symbolic.config, "floatX", "float32")
    assert example("digits_autoencoder").main(["--epochs", "10", "--out", str(tmp_path)]) < 0.04
    for name, shape in [("digits_and_copies.png", (2 * 60, 16 * 60)), ("from_one_digit_to_another.png", (60, 16 * 60))]:
        picture = pyplot.imread(tmp_path / name)
        assert picture.shape[:2] == shape and picture[..., 0].std() > 0.1


@pytest.mark.slow
def test_a_residual_network_learns_the_digits(example, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(symbolic.config, "floatX", "float32")
    assert example("digits_resnet").main([]) >= 0.98


@pytest.mark.slow
def test_a_character_model_through_layers(example, capsys, monkeypatch):
    monkeypatch.setattr(symbolic.config, "floatX", "float32")
    module = example("char_lstm")
    bits = module.main(["--epochs", "15", "--units", "64"])
    counts = np.unique(list(module.corpus()), return_counts=True)[1]
    share = counts / counts.sum()
    alone = -(share * np.log2(share)).sum()  # of a model that knows how frequent characters are
    assert bits[-1] < 0.75 * alone and bits[-1] < bits[0] - 0.8
    assert "the model goes on" in capsys.readouterr().out
