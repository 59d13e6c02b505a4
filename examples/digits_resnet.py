"""A residual network with batch normalisation learns scikit-learn's digits.

``--epochs N`` trains longer or shorter, ``--blocks N`` makes it deeper.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like.layers import (
    Conv2DLayer,
    DenseLayer,
    ElemwiseSumLayer,
    GlobalPoolLayer,
    InputLayer,
    NonlinearityLayer,
    batch_norm,
    count_params,
    get_all_layers,
    get_output,
)
from lasagne_like.nonlinearities import rectify, softmax


def conv(net: Any, filters: int, stride: int = 1, nonlinearity: Any = rectify, size: int = 3) -> Any:
    """Return a convolution with batch normalisation."""
    return batch_norm(Conv2DLayer(net, filters, size, stride, pad="same", W=lasagne.init.HeNormal(gain="relu"),
                                  nonlinearity=nonlinearity))


def residual(net: Any, filters: int, stride: int = 1) -> Any:
    """Return a block: two convolutions, added to what they start from (He et al. 2016)."""
    inner = conv(conv(net, filters, stride), filters, nonlinearity=None)
    same = stride == 1 and net.output_shape[1] == filters
    return NonlinearityLayer(ElemwiseSumLayer([inner, net if same else conv(net, filters, stride, None, size=1)]), rectify)


def resnet(blocks: int) -> DenseLayer:
    """Return the network: `blocks` residual blocks at 8 x 8, and as many at 4 x 4."""
    net: Any = conv(InputLayer((None, 1, 8, 8), T.ftensor4("images")), 16)
    for k in range(2 * blocks):
        net = residual(net, 16 if k < blocks else 32, 2 if k == blocks else 1)
    return DenseLayer(GlobalPoolLayer(net), 10, nonlinearity=softmax, name="out")


def main(arguments: Sequence[str] | None = None) -> float:
    """Train, and return the accuracy on images that the network never saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--blocks", type=int, default=1)
    options = parser.parse_args(arguments)
    symbolic.config.floatX = "float32"
    lasagne.random.set_rng(np.random.default_rng(0))
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 1, 8, 8)
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)

    net = resnet(options.blocks)
    rate = symbolic.shared(np.float32(0.01), "rate")
    lasagne.train(net, x, y, epochs=options.epochs, batch_size=64, learning_rate=rate, l2=1e-4,
                  on_epoch=lambda row: rate.set_value(np.float32(0.01 * (1 - row["epoch"] / options.epochs))))
    predict = symbolic.function([get_all_layers(net)[0].input_var], get_output(net, deterministic=True).argmax(axis=1))
    accuracy = float(np.mean(predict(x_test) == y_test))
    print(f"ResNet, {len(get_all_layers(net))} layers, {count_params(net, trainable=True)} weights: test accuracy {accuracy:.2%}")
    return accuracy


if __name__ == "__main__":
    main()
