"""An Elman network and an LSTM, written with ``scan``, learn to write like Python's manual, character by character.

The text is the Python language reference as ``help()`` shows it: ``pydoc_data.topics`` of the standard library, in every
installation (copyright Python Software Foundation, PSF License Version 2, https://docs.python.org/3/license.html).
The program trains both models with Adam, prints bits per character after each epoch (a uniform guess costs log2 of the
alphabet's size), and lets each write: the loop that samples is compiled as well, random numbers included.

References: J. L. Elman, "Finding structure in time", 1990; S. Hochreiter and J. Schmidhuber, "Long short-term memory", 1997.
"""
from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pydoc_data.topics import topics

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

import symbolic
import symbolic.tensor as T
from lasagne_like.updates import adam
from symbolic.tensor.shared_randomstreams import RandomStreams

State = list[symbolic.Variable]
LENGTH, BATCH = 32, 16


@dataclass
class Model:
    """A recurrent network: its weights and ``step(projected inputs (batch, gates), *state) -> state``, the output first."""

    name: str
    gates: int  # columns of the input's projection
    states: int
    weights: list[symbolic.SharedVariable]
    step: Callable[..., State]


@dataclass
class Result:
    """Bits per character on text not trained on, before training and after each epoch, and the text written."""

    bits: list[float] = field(default_factory=list)
    text: str = ""


def weight(rng: np.random.Generator, rows: int, columns: int, name: str) -> symbolic.SharedVariable:
    """Return a shared matrix (rows, columns) that keeps the size of what it multiplies."""
    return symbolic.shared((rng.normal(size=(rows, columns)) / np.sqrt(rows)).astype("float32"), name)


def elman(rng: np.random.Generator, hidden: int) -> Model:
    """Return Elman's network: ``h = tanh(x + h U)``."""
    u = weight(rng, hidden, hidden, "U")
    return Model("Elman", hidden, 1, [u], lambda x, h: [T.tanh(x + h @ u)])


def lstm(rng: np.random.Generator, hidden: int) -> Model:
    """Return an LSTM with input, forget and output gates; it starts out remembering."""
    u = weight(rng, hidden, 4 * hidden, "U")
    bias = symbolic.shared(np.repeat([0, 1, 0, 0], hidden).astype("float32"), "b")

    def step(x: symbolic.Variable, h: symbolic.Variable, c: symbolic.Variable) -> State:
        z = x + h @ u + bias
        i, f, o = (T.nnet.sigmoid(z[:, k * hidden:(k + 1) * hidden]) for k in range(3))
        c = f * c + i * T.tanh(z[:, 3 * hidden:])
        return [o * T.tanh(c), c]

    return Model("LSTM", 4 * hidden, 2, [u, bias], step)


def clipped(gradients: list[symbolic.Variable], norm: float) -> list[symbolic.Variable]:
    """Return gradients, all scaled down where their norm together is above `norm`.

    Through many steps gradients may explode (R. Pascanu, T. Mikolov and Y. Bengio, 2013).
    """
    length = T.sqrt(sum(T.sqr(g).sum() for g in gradients))
    return [g * norm / T.maximum(length, norm) for g in gradients]


class CharacterModel:
    """A model over an alphabet with its compiled functions.

    Attributes
    ----------
    train, evaluate : Function
        Take characters (LENGTH, BATCH) and those that follow, and return bits per character; both go on from where the last
        call ended, `train` changes the weights.
    write : Function
        Takes characters to begin with (n,), how many to add, and a temperature, and returns those added.
    """

    def __init__(self, model: Model, alphabet: int, hidden: int, rng: np.random.Generator, seed: int, rate: float) -> None:
        self.model, self.hidden = model, hidden
        self.embedding = weight(rng, alphabet, model.gates, "W")  # a one-hot vector times W is a row of W
        self.out = weight(rng, hidden, alphabet, "V")
        self.bias = symbolic.shared(np.zeros(alphabet, "float32"), "a")
        self.weights = [self.embedding, self.out, self.bias, *model.weights]
        zeros = np.zeros((BATCH, hidden), "float32")
        self.states = [symbolic.shared(zeros, f"state{k}") for k in range(model.states)]

        x, y = T.lmatrix("x"), T.lmatrix("y")
        traces = self.run(x, list(self.states))
        p = T.nnet.softmax(traces[0].reshape((-1, hidden)) @ self.out + self.bias)
        loss = T.nnet.categorical_crossentropy(p, y.flatten()).mean()
        bits = loss / np.float32(np.log(2))
        # the last state is where the next piece of text goes on; its gradient ends with the piece
        onward = [(state, trace[-1]) for state, trace in zip(self.states, traces, strict=True)]
        steps = adam(clipped(symbolic.grad(loss, self.weights), 1.0), self.weights, learning_rate=rate)
        self.train = symbolic.function([x, y], bits, updates=[*steps.items(), *onward], name=f"train_{model.name}")
        self.evaluate = symbolic.function([x, y], bits, updates=onward, name=f"evaluate_{model.name}")
        self.write = self.writer(seed)

    def run(self, x: symbolic.Variable, states: State) -> State:
        """Return the states (n, batch, hidden) after each of the characters `x` (n, batch)."""
        traces, _ = symbolic.scan(self.model.step, sequences=self.embedding[x], outputs_info=states, name="characters")
        return traces if isinstance(traces, list) else [traces]

    def writer(self, seed: int) -> symbolic.Function:
        """Return the compiled loop that reads what to begin with, then draws one character after another."""
        rng = RandomStreams(seed)
        begin, length, temperature = T.lvector("begin"), T.lscalar("length"), T.fscalar("temperature")
        states = [T.zeros((1, self.hidden), "float32") for _ in self.states]
        read = [trace[-1] for trace in self.run(begin[:-1, None], states)]

        def step(character: symbolic.Variable, *states: symbolic.Variable) -> State:
            states = self.model.step(self.embedding[character][None, :], *states)
            logits = (states[0] @ self.out + self.bias)[0]
            return [rng.categorical(T.nnet.softmax(logits / temperature)), *states]

        drawn, updates = symbolic.scan(step, outputs_info=[begin[-1], *read], n_steps=length, name="write")
        return symbolic.function([begin, length, temperature], drawn[0], updates=updates, name=f"write_{self.model.name}")

    def forget(self) -> None:
        """Set the states to zero: the next piece of text is a beginning."""
        for state in self.states:
            state.set_value(np.zeros_like(state.get_value()))


def corpus(limit: int | None) -> tuple[np.ndarray, list[str]]:
    """Return the text as numbers (n,) int64, and its alphabet.

    Topics share paragraphs; each is taken once, so that none is both trained on and held out. Tables and characters other
    than printable ASCII and the line's end are left out, lines under headings are cut short.
    """
    readable = ("".join(c for c in topics[name] if c == "\n" or " " <= c <= "~") for name in sorted(topics))
    paragraphs = dict.fromkeys(p for text in readable for p in re.split("\n\n+", text.strip("\n")))
    prose = (re.sub(r"([-=*~^])\1{3,}", r"\1\1\1", p) for p in paragraphs if not p.lstrip().startswith(("|", "+-")))
    text = "\n\n".join(dict.fromkeys(prose))[:limit]
    alphabet = sorted(set(text))
    place = {c: k for k, c in enumerate(alphabet)}
    return np.array([place[c] for c in text], "int64"), alphabet


def pieces(characters: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut a text into BATCH streams side by side, and these into pieces (LENGTH, BATCH), each with what follows."""
    count = (len(characters) - 1) // (BATCH * LENGTH)
    n = count * LENGTH
    x, y = (characters[k:k + n * BATCH].reshape(BATCH, n).T for k in (0, 1))
    return [(x[k:k + LENGTH], y[k:k + LENGTH]) for k in range(0, n, LENGTH)]


def context_bits(train: np.ndarray, held: np.ndarray, alphabet: int, order: int) -> float:
    """Return the bits per character of counting which characters follow `order` others, for comparison.

    Every character is counted once more than it was seen, in proportion to the shorter context (Witten and Bell's smoothing).
    """
    p = np.full(len(held) - order, 1 / alphabet)
    for length in range(order + 1):
        keys, held_keys = (sum(a[order - length + k:len(a) - length + k] * alphabet ** (length - 1 - k) for k in range(length))
                           if length else np.zeros(len(a) - order, "int64") for a in (train, held))
        pairs, counts = np.unique(keys * alphabet + train[order:], return_counts=True)
        seen = dict(zip(pairs.tolist(), counts.tolist(), strict=True))
        contexts, where, kinds = np.unique(pairs // alphabet, return_inverse=True, return_counts=True)
        totals = np.bincount(where, weights=counts)
        table = {c: (total, kind) for c, total, kind in zip(contexts.tolist(), totals, kinds, strict=True)}
        count = np.array([seen.get(k, 0) for k in (held_keys * alphabet + held[order:]).tolist()])
        total, kind = np.array([table.get(k, (0, 1)) for k in held_keys.tolist()]).T
        p = (count + kind * p) / (total + kind)
    return float(-np.log2(p).mean())


def fit(network: CharacterModel, train: list, held: list, epochs: int) -> Result:
    """Train for some epochs and print bits per character after each."""
    def held_out() -> float:
        network.forget()
        return float(np.mean([network.evaluate(x, y) for x, y in held]))

    result = Result([held_out()])
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), BarColumn())
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        network.forget()
        with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
            losses = [float(network.train(x, y)) for x, y in
                      progress.track(train, description=f"{network.model.name} epoch {epoch}")]
        result.bits.append(held_out())
        print(f"{network.model.name:5} epoch {epoch}: {np.mean(losses):.3f} bits per character in training, "
              f"{result.bits[-1]:.3f} on text not seen, {time.perf_counter() - began:.1f} s", flush=True)
    return result


def main(argv: Sequence[str] | None = None) -> dict[str, Result]:
    """Train both models, let them write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--rate", type=float, default=5e-3, help="Adam's learning rate")
    parser.add_argument("--temperature", type=float, default=0.6, help="below 1: likely characters more often")
    parser.add_argument("--write", type=int, default=400, help="number of characters to write")
    parser.add_argument("--begin", default="The ", help="what to begin with")
    parser.add_argument("--limit", type=int, help="read only so many characters of the text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="steps as small as these gain nothing by a second one")
    options = parser.parse_args(argv)

    characters, alphabet = corpus(options.limit)
    unknown = sorted(set(options.begin) - set(alphabet))
    if unknown or len(options.begin) < 2:
        parser.error(f"--begin must be two characters or more of the text's alphabet, not {unknown or options.begin!r}")
    held_from = len(characters) * 19 // 20
    train, held = characters[:held_from], characters[held_from:]
    if not pieces(held):
        parser.error(f"the text needs {20 * BATCH * LENGTH + 20} characters, for one piece that isn't trained on")
    print(f"{len(characters)} characters of {len(alphabet)} kinds; bits per character on text not seen: uniform "
          f"{np.log2(len(alphabet)):.3f}, " + ", ".join(
              f"from {k} before {context_bits(train, held, len(alphabet), k):.3f}" for k in (0, 1, 3)))

    results = {}
    for make in (elman, lstm):
        rng = np.random.default_rng(options.seed)
        began = time.perf_counter()
        with symbolic.config.change_flags(threads=options.threads):
            network = CharacterModel(make(rng, options.hidden), len(alphabet), options.hidden, rng, options.seed, options.rate)
        size = sum(w.get_value(borrow=True).size for w in network.weights)
        print(f"{network.model.name}: {size} weights, three functions compiled in {time.perf_counter() - began:.2f} s")
        result = results[network.model.name] = fit(network, pieces(train), pieces(held), options.epochs)
        began = time.perf_counter()
        drawn = network.write([alphabet.index(c) for c in options.begin], options.write,
                              np.float32(options.temperature))
        seconds = time.perf_counter() - began
        result.text = options.begin + "".join(alphabet[k] for k in drawn)
        print(f"{options.write} characters written in {seconds * 1e3:.1f} ms:\n")
        print("\n".join("    " + line for line in result.text.splitlines()), end="\n\n")
    return results


if __name__ == "__main__":
    main()
