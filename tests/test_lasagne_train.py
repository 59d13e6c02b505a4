"""Training in one call: it learns, it stops, it goes on after a kill to the last bit, and it explains mistakes."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like import checkpoints, targets

L, N, O = lasagne.layers, lasagne.nonlinearities, lasagne.objectives  # noqa: E741


@pytest.fixture(autouse=True)
def generator():
    before = lasagne.random.get_rng()
    lasagne.random.set_rng(np.random.default_rng(0))
    yield
    lasagne.random.set_rng(before)


def data(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype("float32")
    return x, np.argmax(x @ rng.normal(size=(4, 3)), axis=1)


def network(dropout=0.2):
    hidden = L.batch_norm(L.DenseLayer(L.InputLayer((None, 4), T.fmatrix("x")), 16, name="hidden", W=lasagne.init.Normal(0.5)))
    for layer in L.get_all_layers(hidden):
        for p in layer.params:
            p_value = p.get_value()
            assert p_value.dtype == symbolic.config.floatX
    return L.DenseLayer(L.DropoutLayer(hidden, dropout), 3, nonlinearity=N.softmax, name="out")


@pytest.fixture
def single(monkeypatch):
    monkeypatch.setattr(symbolic.config, "floatX", "float32")


def test_it_learns_and_the_history_says_so(single, capsys):
    x, y = data(500)
    net = network()
    seen = []
    history = lasagne.train(net, x, y, validation=0.2, epochs=30, batch_size=32, learning_rate=0.02, on_epoch=seen.append,
                            progress=True)
    assert history.rows == seen and [r["epoch"] for r in seen] == list(range(1, 31)) and not history.stopped_early
    assert set(seen[0]) == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert history["val_accuracy"][-1] > 0.9 and history["loss"][-1] < history["loss"][0]
    assert history.best_epoch == 1 + int(np.argmin(history["val_loss"]))
    text = capsys.readouterr().out
    assert "30/30" in text and "val 0." in text
    # what it says about the held items is what the network says
    order = np.random.default_rng(0).permutation(500)[:100]
    p = symbolic.function([L.get_all_layers(net)[0].input_var], L.get_output(net, deterministic=True))(x[order])
    np.testing.assert_allclose(history["val_accuracy"][-1], np.mean(p.argmax(axis=1) == y[order]))
    np.testing.assert_allclose(history["val_loss"][-1], -np.log(p[np.arange(100), y[order]]).mean(), rtol=1e-4)


def test_early_stopping_takes_the_best_parameters(single):
    x, y = data(60)
    other = data(60, seed=1)
    net = network(0)
    kept = {}
    history = lasagne.train(net, x, y, validation=other, epochs=200, batch_size=20, learning_rate=0.05, patience=3,
                            on_epoch=lambda row: kept.update({row["epoch"]: L.get_all_param_values(net)}) and None)
    assert history.stopped_early and len(history.rows) == history.best_epoch + 3 < 200
    for got, want in zip(L.get_all_param_values(net), kept[history.best_epoch], strict=True):
        np.testing.assert_array_equal(got, want)
    again = lasagne.train(net, x, y, epochs=9, on_epoch=lambda row: row["epoch"] == 2)
    assert len(again.rows) == 2 and again.stopped_early


def test_other_losses_rules_and_shapes(single):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2)).astype("float32")
    line = L.DenseLayer(L.InputLayer((None, 2), T.fmatrix()), 1, nonlinearity=None)
    h = lasagne.train(line, x, x @ np.float32([[1], [2]]) + 3, epochs=60, batch_size=50, update=lasagne.updates.sgd,
                      learning_rate=0.2)
    np.testing.assert_allclose(line.W.get_value(), [[1], [2]], atol=1e-3)
    assert set(h.rows[0]) == {"epoch", "loss", "seconds"}
    rate = symbolic.shared(np.float32(0.5))
    chance = L.DenseLayer(L.InputLayer((None, 2), T.fmatrix()), 1, nonlinearity=N.sigmoid)
    h = lasagne.train(chance, x, (x[:, :1] > 0), epochs=30, learning_rate=rate,
                      on_epoch=lambda row: rate.set_value(np.float32(0.1)))
    assert h["accuracy"][-1] > 0.95
    decayed = L.DenseLayer(L.InputLayer((None, 2), T.fmatrix()), 3, nonlinearity=N.softmax)
    lasagne.train(decayed, x, np.eye(3)[rng.integers(0, 3, 120)], epochs=30, l2=10.0, learning_rate=0.05)
    assert np.abs(decayed.W.get_value()).max() < 0.05
    a, b = L.InputLayer((None, 2), T.fmatrix()), L.InputLayer((None, 2), T.fmatrix())
    both = L.DenseLayer(L.ConcatLayer([a, b]), 1, nonlinearity=None)
    h = lasagne.train(both, {a: x, b: 2 * x}, x[:, :1], epochs=40, learning_rate=0.1, loss="huber_loss")
    assert h["loss"][-1] < 0.01
    with pytest.raises(ValueError, match="pass X as {layer: array}"):
        lasagne.train(both, x, x)
    with pytest.raises(ValueError, match="an array for each InputLayer"):
        lasagne.train(both, {a: x}, x)


STORY = """
import sys, time
import numpy as np
sys.path.insert(0, {tests!r})
import symbolic, lasagne_like as lasagne
symbolic.config.floatX = "float32"
from test_lasagne_train import data, network
lasagne.random.set_rng(np.random.default_rng(0))
x, y = data()
net = network()
wait = float(sys.argv[2])
def pause(row):
    print("epoch", row["epoch"], flush=True)
    time.sleep(wait)
h = lasagne.train(net, x, y, validation=0.2, epochs=8, batch_size=24, seed=3, checkpoint=sys.argv[1], on_epoch=pause)
np.savez(sys.argv[3], *lasagne.layers.get_all_param_values(net), history=[[r["loss"], r["val_loss"]] for r in h.rows])
"""


def test_a_killed_training_goes_on_to_the_last_bit(tmp_path):
    script = tmp_path / "story.py"
    script.write_text(STORY.format(tests=str(Path(__file__).parent)))
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}

    def start(name, wait, out):
        return subprocess.Popen([sys.executable, str(script), str(tmp_path / name), str(wait), str(tmp_path / out)], env=env,
                                stdout=subprocess.PIPE, text=True)

    assert start("whole", 0, "whole.npz").wait(120) == 0
    broken = start("broken", 0.5, "broken.npz")
    for line in broken.stdout:
        if line.strip() == "epoch 4":
            break
    time.sleep(0.1)
    os.kill(broken.pid, signal.SIGKILL)
    broken.wait(30)
    assert broken.returncode == -signal.SIGKILL and not (tmp_path / "broken.npz").exists()
    (tmp_path / ".broken.123.part").write_bytes(b"half a file")  # as a kill within a write would leave it
    on = start("broken", 0, "broken.npz")
    said = on.stdout.read()
    assert on.wait(120) == 0 and said.split()[:2] in (["epoch", "4"], ["epoch", "5"]) and "epoch 1\n" not in said
    whole, broken = np.load(tmp_path / "whole.npz"), np.load(tmp_path / "broken.npz")
    assert whole.files == broken.files and len(whole.files) == 8
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], broken[name], err_msg=name)


def test_checkpoints_of_other_trainings_are_refused(single, tmp_path):
    x, y = data()
    file = tmp_path / "state"
    net = network()
    lasagne.train(net, x, y, epochs=2, checkpoint=file)
    held = L.get_all_param_values(net)
    assert len(lasagne.train(net, x, y, epochs=2, checkpoint=file).rows) == 2, "nothing is left to do"
    for got, want in zip(L.get_all_param_values(net), held, strict=True):
        np.testing.assert_array_equal(got, want)
    for change, text in [({"batch_size": 7}, "made with batch_size=64, now it is 7"), ({"seed": 1}, "seed=0"), ({"l2": 1.0},
                                                                                                                "l2=0.0"),
                         ({"update": lasagne.updates.sgd}, "another network or update rule")]:
        with pytest.raises(checkpoints.CheckpointError, match=text):
            lasagne.train(net, x, y, epochs=3, checkpoint=file, **change)
    with pytest.raises(checkpoints.CheckpointError, match="made with data="):
        lasagne.train(net, x + 1, y, epochs=3, checkpoint=file)
    with pytest.raises(checkpoints.CheckpointError, match="another network"):
        lasagne.train(network(0), x, y, epochs=3, checkpoint=file)
    for got, want in zip(L.get_all_param_values(net), held, strict=True):
        np.testing.assert_array_equal(got, want)
    assert len(lasagne.train(net, x, y, epochs=1, checkpoint=file, resume=False).rows) == 1
    whole = file.read_bytes()
    for damaged in (b"", whole[:100], whole[:-5], b"\xff" * 50):
        file.write_bytes(damaged)
        with pytest.raises(checkpoints.CheckpointError, match="isn't a checkpoint"):
            lasagne.train(net, x, y, epochs=3, checkpoint=file)


def test_mistakes_are_explained(single, monkeypatch):
    x, y = data()
    net = network()
    image = L.DenseLayer(L.InputLayer((None, 3, 8, 6), T.ftensor4()), 3, nonlinearity=N.softmax)
    gray = L.DenseLayer(L.InputLayer((None, 1, 8, 6), T.ftensor4()), 3, nonlinearity=N.softmax)
    line = L.DenseLayer(L.InputLayer((None, 4), T.fmatrix()), 1, nonlinearity=None)
    chance = L.DenseLayer(L.InputLayer((None, 4), T.fmatrix()), 3, nonlinearity=N.sigmoid)
    pixels = np.zeros((200, 8, 6, 3), "float32")
    hot = np.eye(3, dtype="float32")[y]
    E = symbolic.errors
    for call, error, text in [
        (lambda: lasagne.train(net, x.astype("float64"), y), E.DTypeError, r"X is float64, .* pass X.astype\('float32'\)"),
        (lambda: lasagne.train(image, pixels, y), E.ShapeError, r"channels come second: pass .*X.transpose\(0, 3, 1, 2\)"),
        (lambda: lasagne.train(gray, pixels[..., 0], y), E.ShapeError, r"one channel: pass X\[:, None\]"),
        (lambda: lasagne.train(image, pixels.reshape(200, -1), y), E.ShapeError, r"pass X.reshape\(-1, 3, 8, 6\)"),
        (lambda: lasagne.train(net, x[:, :3], y), E.ShapeError, "bring it to this shape"),
        (lambda: lasagne.train(net, x[0], y), E.ShapeError, r"for a single item pass X\[None\]"),
        (lambda: lasagne.train(net, x[:0], y[:0]), ValueError, "X has no items"),
        (lambda: lasagne.train(net, x[:5], y), E.ShapeError, "each item needs its target"),
        (lambda: lasagne.train(net, np.where(x > 1, np.nan, x), y), ValueError, "nan or infinite, the first at index"),
        (lambda: lasagne.train(net, x, y + 1), ValueError, "classes from 1 to 3, .* they start at 1: pass y - 1"),
        (lambda: lasagne.train(net, x, y - 1), ValueError, "classes from -1 to 1"),
        (lambda: lasagne.train(net, x, y.astype("float32")), E.DTypeError, r"classes are integers; pass y.astype\('int64'\)"),
        (lambda: lasagne.train(net, x, y + 0.5), E.DTypeError, "aren't whole"),
        (lambda: lasagne.train(net, x, y[:, None]), E.ShapeError, r"a column; for classes pass y\[:, 0\]"),
        (lambda: lasagne.train(net, x, hot[:, :2]), E.ShapeError, "as many columns as there are classes"),
        (lambda: lasagne.train(net, x, 2 * hot), ValueError, "row 0 adds up to 2"),
        (lambda: lasagne.train(net, x, hot[:, :, None]), E.RankError, "takes classes .* or one-hot rows"),
        (lambda: lasagne.train(net, x, np.array(["a"] * 200)), E.DTypeError, "number the classes: np.unique"),
        (lambda: lasagne.train(net, x, y, loss="squared_error"), E.RankError, r"one_hot's values, np.eye\(3, "
                                                                              r"dtype='float32'\)\[y\]"),
        (lambda: lasagne.train(chance, x, y), E.RankError, "binary_crossentropy compares value with value; for classes"),
        (lambda: lasagne.train(chance, x, 2 * hot - 1), ValueError, r"from 0 to 1: pass \(y \+ 1\) / 2"),
        (lambda: lasagne.train(line, x, x[:, 0]), E.RankError, r"pass y\[:, None\]: a row and a column would make a matrix"),
        (lambda: lasagne.train(line, x, x), E.ShapeError, "compares value with value"),
        (lambda: lasagne.train(net, x, y, loss="crossentropy"), ValueError, "no loss 'crossentropy'"),
        (lambda: lasagne.train(net, x, y, validation=1.5), ValueError, "leaves items on both sides"),
        (lambda: lasagne.train(net, x, y, validation=(x, y + 1)), ValueError, "validation y has classes"),
        (lambda: lasagne.train(net, x, y, patience=3), ValueError, "patience needs validation"),
        (lambda: lasagne.train(net, x, y, batch_size=0), ValueError, "batch_size positive"),
    ]:
        with pytest.raises(error, match=text):
            call()
    with monkeypatch.context() as changed:  # weights in float64 behind an input of float32
        changed.setattr(symbolic.config, "floatX", "float64")
        mixed = L.DenseLayer(L.InputLayer((None, 4), T.fmatrix()), 3, nonlinearity=N.softmax)
    for bad, loss, text in [(y, "squared_error", r"\[y\]"), (y[:, None], "squared_error", r"\[y\[:, 0\]\]"),
                            (y[:, None], None, r"\[y\[:, 0\]\]")]:
        with pytest.raises(E.SymbolicError, match=r"np.eye\(3, dtype='float32'\)" + text):
            lasagne.train(mixed, x, bad, loss=loss)
    wide = L.InputLayer((None, 4), T.lmatrix())
    with pytest.raises(E.DTypeError, match="input is int64; .* or give the InputLayer a.* input_var"):
        lasagne.train(L.DenseLayer(L.EmbeddingLayer(wide, 5, 2), 3, nonlinearity=N.softmax), x, y)
    fixed = L.DenseLayer(L.InputLayer((64, 4), T.fmatrix()), 3, nonlinearity=N.softmax)
    with pytest.raises(E.ShapeError, match=r"takes 64 items, but batches have \[8, 64\]; give it None"):
        lasagne.train(fixed, x, y)
    frozen = L.DenseLayer(L.InputLayer((None, 4), T.fmatrix()), 3, nonlinearity=N.softmax)
    lasagne.freeze(frozen)
    with pytest.raises(ValueError, match="no trainable parameter"):
        lasagne.train(frozen, x, y)
    hints = targets.check_targets(hot, (None, 3), O.categorical_crossentropy, "float32")
    assert hints.dtype == "float32" and targets.check_targets(y, (None, 3), O.multiclass_hinge_loss, "float32").dtype == "int64"
    assert targets.check_targets(np.float64([1, 2]), (None, 3), lambda p, t: p, "float32").dtype == "float32"


def test_a_loss_that_explodes_is_reported(single):
    x, _ = data()
    line = L.DenseLayer(L.InputLayer((None, 4), T.fmatrix()), 1, nonlinearity=None)
    with pytest.raises(FloatingPointError, match="in batch . of epoch .*; a smaller learning_rate"):
        lasagne.train(line, x, x[:, :1], epochs=100, update=lasagne.updates.sgd, learning_rate=1e6)


def test_curves_are_drawn_as_training_goes(single, tmp_path):
    pytest.importorskip("matplotlib")
    x, y = data()
    path, seen = tmp_path / "curves.png", []
    lasagne.train(network(), x, y, validation=0.25, epochs=3, plot=path, on_epoch=lambda row: seen.append(path.read_bytes()))
    assert all(image.startswith(b"\x89PNG") for image in seen) and len(set(seen)) == 3, "a new one after each epoch"
    assert list(tmp_path.iterdir()) == [path], "nothing else is left"
    lines = lasagne.curves.sparkline([3.0, 2.0, float("inf"), 1.0], width=3)
    assert lines == "█ ▁" and lasagne.curves.sparkline([2.0, 2.0]) == "▁▁" and lasagne.curves.sparkline([float("nan")]) == " "


def test_tensorboards_files(single, tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    x, y = data()
    history = lasagne.train(network(), x, y, validation=0.25, epochs=3, tensorboard=tmp_path / "run")
    file, = (tmp_path / "run").iterdir()
    events = [e for e in loader.LegacyEventFileLoader(str(file)).Load() if e.HasField("summary")]
    assert [e.step for e in events] == [1, 2, 3]
    written = {v.tag: [next(w.simple_value for w in e.summary.value if w.tag == v.tag) for e in events]
               for v in events[0].summary.value}
    assert set(written) == {"train/loss", "train/accuracy", "validation/loss", "validation/accuracy", "seconds"}
    np.testing.assert_allclose(written["validation/loss"], history["val_loss"], rtol=1e-6)


def test_what_is_missing_for_curves_is_said(single, tmp_path, monkeypatch):
    x, y = data()
    writer = "tensorboard.summary.writer.event_file_writer"
    for module, option, extra in (("matplotlib.figure", {"plot": tmp_path / "a.png"}, "examples"),
                                  (writer, {"tensorboard": tmp_path / "b"}, "tensorboard")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(symbolic.errors.NotSupported, match=rf"(?s){next(iter(option))}= needs .*symbolic-graph\[{extra}\]"):
            lasagne.train(network(), x, y, epochs=1, **option)
