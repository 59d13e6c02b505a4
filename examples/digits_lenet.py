"""A small LeNet learns scikit-learn's handwritten digits, through layers: the second part of ``make demo``.

``--epochs N`` trains longer or shorter, ``--seed N`` starts elsewhere, ``--checkpoint FILE`` goes on where a run was ended.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like.layers import Conv2DLayer, DenseLayer, InputLayer, MaxPool2DLayer, batch_norm, dropout
from lasagne_like.nonlinearities import softmax

BATCH, RATE = 64, 0.003


def lenet() -> DenseLayer:
    """Return the network: two convolutions, each with pooling, and two dense layers."""
    net: Any = InputLayer((None, 1, 8, 8), T.ftensor4("images"))
    net = MaxPool2DLayer(batch_norm(Conv2DLayer(net, 32, 3, pad="same", W=he(), name="conv1")), 2)
    net = MaxPool2DLayer(batch_norm(Conv2DLayer(net, 64, 3, pad="same", W=he(), name="conv2")), 2)
    net = DenseLayer(dropout(net, 0.2), 128, W=he(), name="dense")
    return DenseLayer(dropout(net, 0.3), 10, nonlinearity=softmax, name="out")


def he() -> lasagne.init.Initializer:
    """Return initial weights for rectifiers."""
    return lasagne.init.HeNormal(gain="relu")


def main(arguments: Sequence[str] | None = None) -> float:
    """Train, and return the accuracy on images that the network never saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", metavar="FILE")
    options = parser.parse_args(arguments)
    symbolic.config.floatX = "float32"
    lasagne.random.set_rng(np.random.default_rng(options.seed))

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 1, 8, 8)
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, random_state=options.seed, stratify=labels)

    net = lenet()
    rate = symbolic.shared(np.float32(RATE), "rate")

    def slower(row: dict[str, float]) -> None:
        rate.set_value(np.float32(RATE * 0.5 * (1 + np.cos(np.pi * row["epoch"] / options.epochs))))

    started = time.perf_counter()
    lasagne.train(net, x, y, epochs=options.epochs, batch_size=BATCH, learning_rate=rate, seed=options.seed, on_epoch=slower,
                  checkpoint=options.checkpoint, progress=True)
    images_var = lasagne.layers.get_all_layers(net)[0].input_var
    predict = symbolic.function([images_var], lasagne.layers.get_output(net, deterministic=True).argmax(axis=1))
    accuracy = float(np.mean(predict(x_test) == y_test))
    print(f"LeNet, {lasagne.layers.count_params(net, trainable=True)} weights, {time.perf_counter() - started:.1f} s: "
          f"{np.sum(predict(x_test) != y_test)} of {len(y_test)} test images wrong, test accuracy {accuracy:.2%}")
    return accuracy


if __name__ == "__main__":
    main()
