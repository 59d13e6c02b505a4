"""A character model through layers: an embedding, an LSTM and a dense layer learn Python's own documentation.

``--epochs N`` trains longer or shorter; a sample is printed at the end.
"""
from __future__ import annotations

import argparse
import inspect
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like.layers import DenseLayer, EmbeddingLayer, InputLayer, LSTMLayer, get_all_params, get_output
from lasagne_like.nonlinearities import softmax

STEPS, BATCH = 40, 32


def corpus() -> str:
    """Return the text: the docstrings of a module of the standard library."""
    return "\n\n".join(inspect.cleandoc(d) for _, f in inspect.getmembers(random.Random) if (d := getattr(f, "__doc__", None)))


def model(chars: int, units: int) -> DenseLayer:
    """Return the network: from characters (batch, time) to probabilities of the next one (batch, time, chars)."""
    net: Any = EmbeddingLayer(InputLayer((None, None), T.lmatrix("text")), chars, 24, W=lasagne.init.Normal(0.3))
    net = LSTMLayer(net, units, grad_clipping=5.0, name="lstm")
    return DenseLayer(net, chars, nonlinearity=softmax, num_leading_axes=2, name="out")


def main(arguments: Sequence[str] | None = None) -> list[float]:
    """Train, print a sample, and return the bits a character of each epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--units", type=int, default=128)
    options = parser.parse_args(arguments)
    symbolic.config.floatX = "float32"
    lasagne.random.set_rng(np.random.default_rng(0))
    text = corpus()
    alphabet = sorted(set(text))
    codes = np.searchsorted(alphabet, list(text))
    starts = np.arange(0, len(codes) - STEPS - 1, STEPS // 2)
    windows = codes[starts[:, None] + np.arange(STEPS + 1)]

    net = model(len(alphabet), options.units)
    bits: list[float] = []

    def told(row: dict[str, float]) -> None:
        bits.append(row["loss"] / np.log(2))
        print(f"epoch {row['epoch']}: {bits[-1]:.2f} bits a character", flush=True)

    def loss(p: Any, target: Any) -> Any:
        return lasagne.objectives.categorical_crossentropy(p.reshape((-1, len(alphabet))), target.flatten())

    def clipped(cost: Any, params: Any, learning_rate: Any) -> Any:
        grads = lasagne.updates.total_norm_constraint(T.grad(cost, params), 5.0)
        return lasagne.updates.adam(grads, params, learning_rate=learning_rate)

    lasagne.train(net, windows[:, :-1], windows[:, 1:], loss=loss, update=clipped, epochs=options.epochs, batch_size=BATCH,
                  learning_rate=0.005, on_epoch=told)
    last = symbolic.function([lasagne.layers.get_all_layers(net)[0].input_var], get_output(net, deterministic=True)[:, -1])
    rng, said = np.random.default_rng(0), list(codes[:STEPS])
    for _ in range(200):
        p = last(np.array([said[-STEPS:]]))[0].astype("float64")
        said.append(int(rng.choice(len(alphabet), p=p / p.sum())))
    print(f"{sum(v.get_value().size for v in get_all_params(net))} weights; after its first {STEPS} characters the model goes "
          "on:")
    print("".join(alphabet[k] for k in said))
    return bits


if __name__ == "__main__":
    main()
