"""Training as it goes, for eyes: a line of text, a picture, TensorBoard's files."""
from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symbolic.errors import NotSupported

_BLOCKS = "▁▂▃▄▅▆▇█"
_HELP = "pip install 'symbolic-graph[{}]'"


def sparkline(values: Sequence[float], width: int = 16) -> str:
    """Return numbers as a line of text, the last `width` of them; what isn't finite is a space.

    Examples
    --------
    >>> sparkline([4.0, 3.0, 2.0, 1.0]), sparkline([1.0, float("nan"), 1.0])
    ('█▆▃▁', '▁ ▁')
    """
    shown = list(values)[-width:]
    finite = [v for v in shown if math.isfinite(v)]
    if not finite:
        return " " * len(shown)
    low, span = min(finite), max(finite) - min(finite)
    return "".join(" " if not math.isfinite(v) else _BLOCKS[int((v - low) / span * 7) if span else 0] for v in shown)


class Picture:
    """A picture of loss and accuracy by epochs, written anew after each.

    Parameters
    ----------
    path : path
        ``.png``, ``.svg``, ``.pdf``: what matplotlib knows.

    Raises
    ------
    NotSupported
        If matplotlib isn't installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.figures = _needed("matplotlib.figure", "matplotlib", "examples", "plot")

    def __call__(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the picture of these rows of a history; whoever looks at the file sees the last one or this one."""
        names = [[n for n in pair if n in rows[0]] for pair in (("loss", "val_loss"), ("accuracy", "val_accuracy"))]
        names = [pair for pair in names if pair]
        figure = self.figures.Figure(figsize=(5 * len(names), 3.5), layout="constrained")
        for axes, pair in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for name in pair:
                axes.plot([r["epoch"] for r in rows], [r[name] for r in rows], label=name, marker="." if len(rows) < 40 else None)
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.3)
            axes.legend()
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}{self.path.suffix}")
        figure.savefig(unfinished)
        unfinished.replace(self.path)

    def close(self) -> None:
        """Nothing is open."""


class TensorBoard:
    """Event files for TensorBoard, written by its own writer: scalars ``train/loss``, ``validation/accuracy`` and so on.

    Parameters
    ----------
    folder : path
        What ``tensorboard --logdir`` is told; a run is a file in it.

    Raises
    ------
    NotSupported
        If tensorboard isn't installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        module = _needed("tensorboard.summary.writer.event_file_writer", "tensorboard", "tensorboard", "tensorboard")
        self.event = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
        self.summary = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary
        self.writer = module.EventFileWriter(os.fspath(folder))

    def __call__(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write the last row of a history."""
        row = dict(rows[-1])
        step = int(row.pop("epoch"))
        values = [self.summary.Value(tag=_tag(name), simple_value=value) for name, value in row.items()]
        self.writer.add_event(self.event(wall_time=time.time(), step=step, summary=self.summary(value=values)))
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()


def _tag(name: str) -> str:
    if name.startswith("val_"):
        return "validation/" + name.removeprefix("val_")
    return name if name == "seconds" else f"train/{name}"


def _needed(module: str, package: str, extra: str, what: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotSupported(f"train: {what}= needs {package}, which isn't installed\nhint: {_HELP.format(extra)}") from error
