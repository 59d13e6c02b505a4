"""An autoencoder draws digits: convolutions down to eight numbers, transposed ones back up; pictures are written as PNG.

``--out FOLDER`` says where, ``--epochs N`` how long it is trained.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like.layers import Conv2DLayer, DenseLayer, InputLayer, ReshapeLayer, TransposedConv2DLayer, get_output
from lasagne_like.nonlinearities import sigmoid

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

CODE = 8


def autoencoder() -> tuple[Any, Any]:
    """Return the layer of codes and the layer of pictures made from them."""
    net: Any = InputLayer((None, 1, 8, 8), T.ftensor4("images"))
    net = Conv2DLayer(net, 16, 3, stride=2, pad="same", name="down1")
    net = Conv2DLayer(net, 32, 3, stride=2, pad="same", name="down2")
    code = DenseLayer(net, CODE, nonlinearity=None, name="code")
    net = ReshapeLayer(DenseLayer(code, 32 * 2 * 2, name="open"), ([0], 32, 2, 2))
    net = TransposedConv2DLayer(net, 16, 4, stride=2, crop=1, name="up1")
    return code, TransposedConv2DLayer(net, 1, 4, stride=2, crop=1, nonlinearity=sigmoid, name="up2")


def sheet(path: Path, rows: Sequence[np.ndarray]) -> None:
    """Write pictures (n, 1, 8, 8) side by side, each set in a row, as a PNG."""
    tiles = np.concatenate([np.concatenate(list(np.pad(r[:, 0], [(0, 0), (1, 1), (1, 1)])), axis=1) for r in rows], axis=0)
    pyplot.imsave(path, np.kron(tiles, np.ones((6, 6))), cmap="gray", vmin=0, vmax=1)


def main(arguments: Sequence[str] | None = None) -> float:
    """Train, write pictures, and return the mean squared error of a pixel on images that the network never saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args(arguments)
    symbolic.config.floatX = "float32"
    lasagne.random.set_rng(np.random.default_rng(0))
    images = (load_digits().images / 16).astype("float32")[:, None]
    x, held = images[:1500], images[1500:]

    code, net = autoencoder()
    lasagne.train(net, x, x, validation=(held, held), epochs=options.epochs, batch_size=64, learning_rate=0.003)

    images_var = lasagne.layers.get_all_layers(net)[0].input_var
    encode = symbolic.function([images_var], get_output(code))
    codes = T.fmatrix("codes")
    draw = symbolic.function([codes], get_output(net, {code: codes}))
    back = draw(encode(held))
    sheet(options.out / "digits_and_copies.png", [held[:16], back[:16]])
    first, last = encode(held[:1]), encode(held[5:6])
    steps = np.linspace(0, 1, 16, dtype="float32")[:, None]
    sheet(options.out / "from_one_digit_to_another.png", [draw((1 - steps) * first + steps * last)])
    error = float(np.mean((back - held) ** 2))
    print(f"{CODE} numbers a digit: mean squared error {error:.4f} on {len(held)} new images (their variance is "
          f"{held.var():.4f})")
    return error


if __name__ == "__main__":
    main()
