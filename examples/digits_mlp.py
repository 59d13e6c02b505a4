"""The two-layer ReLU network of the classic lecture learns scikit-learn's handwritten digits.

``make demo`` runs it. ``--plot`` draws the curves and the first layer's weights, ``--seed N`` starts elsewhere.
"""
from __future__ import annotations

import argparse
import time

import digits_report
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import symbolic
import symbolic.tensor as T

HIDDEN, BATCH, EPOCHS = 100, 32, 60
RATE, DECAY, MOMENTUM = 0.1, 0.999, 0.9


def start_weights(rng: np.random.Generator) -> list[np.ndarray]:
    """Return W1 (64, HIDDEN), b1 (HIDDEN,), W2 (HIDDEN, 10) and b2 (10,), float32."""
    w1 = rng.normal(size=(64, HIDDEN)) * np.sqrt(2 / 64)
    w2 = rng.normal(size=(HIDDEN, 10)) * np.sqrt(2 / HIDDEN)
    return [a.astype("float32") for a in (w1, np.zeros(HIDDEN), w2, np.zeros(10))]


def build(start: list[np.ndarray]) -> tuple[symbolic.Function, symbolic.Function, list[symbolic.SharedVariable]]:
    """Return the compiled training step, the compiled prediction and the weights they share."""
    x, y = T.fmatrix("x"), T.lvector("y")
    weights = [symbolic.shared(value, name) for value, name in zip(start, ["W1", "b1", "W2", "b2"], strict=True)]
    w1, b1, w2, b2 = weights

    hidden = T.nnet.relu(x @ w1 + b1)
    probabilities = T.nnet.softmax(hidden @ w2 + b2)
    loss = T.nnet.categorical_crossentropy(probabilities, y).mean()

    rate = symbolic.shared(np.float32(RATE), "rate")
    updates = [(rate, rate * np.float32(DECAY))]
    for w, gradient in zip(weights, T.grad(loss, weights), strict=True):
        velocity = symbolic.shared(np.zeros_like(w.get_value()), f"{w.name}_velocity")
        moved = np.float32(MOMENTUM) * velocity - rate * gradient
        updates += [(velocity, moved), (w, w + moved)]

    train = symbolic.function([x, y], loss, updates=updates, name="train")
    predict = symbolic.function([x], probabilities.argmax(axis=1), name="predict")
    return train, predict, weights


def main() -> None:
    """Train, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="PNG", nargs="?", const="digits.png", help="draw curves and weights into a file")
    options = parser.parse_known_args()[0]

    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        (images / 16).astype("float32"), labels, test_size=0.2, random_state=options.seed, stratify=labels)

    rng = np.random.default_rng(options.seed)
    start = start_weights(rng)
    started = time.perf_counter()
    train, predict, weights = build(start)
    print(f"compiled in {time.perf_counter() - started:.2f} s")

    history = []
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"))
    started = time.perf_counter()
    with Progress(*columns) as progress:
        task = progress.add_task("", total=EPOCHS)
        for _ in range(EPOCHS):
            order = rng.permutation(len(x_train))
            batches = [order[i:i + BATCH] for i in range(0, len(order), BATCH)]
            loss = np.mean([train(x_train[b], y_train[b]) for b in batches])
            accuracy = np.mean(predict(x_test) == y_test)
            history.append((loss, accuracy))
            progress.update(task, advance=1, description=f"loss {loss:.4f}  test accuracy {accuracy:.1%}")
    print(f"trained in {time.perf_counter() - started:.2f} s: loss {loss:.4f}, test accuracy {accuracy:.1%}")

    if options.plot:
        digits_report.plot(options.plot, history, weights[0].get_value())
    again, _, weights = build(start)
    digits_report.report(again, weights, x_train[:BATCH], y_train[:BATCH], RATE, DECAY, MOMENTUM)


if __name__ == "__main__":
    main()
