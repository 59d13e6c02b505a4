"""Draws what the digits example learnt."""
from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

matplotlib.use("Agg")


def draw(file: str, history: Sequence[tuple[float, float]], weights: np.ndarray) -> None:
    """Write a PNG: loss and test accuracy by epoch, and the first layer's weights as images.

    Parameters
    ----------
    file : str
    history : sequence of (loss, accuracy)
    weights : ndarray, shape (64, hidden units)
    """
    losses, accuracies = zip(*history, strict=True)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(losses) + 1)
    left.semilogy(epochs, losses, color="tab:blue")
    left.set(xlabel="epoch", ylabel="training loss")
    accuracy = left.twinx()
    accuracy.plot(epochs, accuracies, color="tab:orange")
    accuracy.set(ylabel="test accuracy", ylim=(0.9, 1))

    units = min(weights.shape[1], 100) // 10 * 10
    tiles = weights.T[:units].reshape(-1, 10, 8, 8)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    right.imshow(tiles.transpose(0, 2, 1, 3).reshape(-1, 90), cmap="RdBu")
    right.set_axis_off()
    right.set_title("weights of the hidden units")
    figure.savefig(file, dpi=120)
