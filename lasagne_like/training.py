"""Training a network in one call: minibatches, validation, early stopping, checkpoints."""
from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import symbolic
import symbolic.tensor as T
from lasagne_like import checkpoints, objectives, targets, updates
from lasagne_like.curves import Picture, TensorBoard, sparkline
from lasagne_like.layers.helper import get_all_layers, get_all_params, get_output
from lasagne_like.layers.input import InputLayer
from lasagne_like.regularization import l2 as squares
from lasagne_like.regularization import regularize_network_params
from symbolic import errors


@dataclass
class History:
    """What happened in training.

    Attributes
    ----------
    rows : list of dict
        For each epoch ``epoch`` (from 1), ``loss``, ``seconds``, and where there are such: ``accuracy``, ``val_loss``,
        ``val_accuracy``.
    best_epoch : int
        The one of the smallest ``val_loss``, or without validation of the smallest ``loss``; 0 before the first.
    stopped_early : bool
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False

    def __getitem__(self, name: str) -> list[float]:
        """Return one number for each epoch: ``history["val_loss"]``."""
        return [row[name] for row in self.rows]


def train(network: Any, X: Any, y: Any, validation: Any = None, epochs: int = 20, batch_size: int = 64, loss: Any = None,
          update: Callable[..., Any] = updates.adam, learning_rate: Any = 0.001, l2: float = 0.0, patience: int | None = None,
          seed: int = 0, checkpoint: Any = None, resume: bool = True, progress: bool | None = None,
          on_epoch: Callable[[dict[str, float]], Any] | None = None, mode: Any = None, plot: Any = None,
          tensorboard: Any = None) -> History:
    """Train the parameters of a network that are ``trainable``.

    Parameters
    ----------
    network : Layer
        The output layer.
    X : array, (n, ...), or dict from InputLayer to array
        Of the shape and dtype of the InputLayer.
    y : array
        For cross-entropy or hinge loss classes (n,) of int, or a distribution (n, classes); for other losses values of the
        shape of the output.
    validation : float or (X, y), optional
        A share of the items, taken at random before training, or other items: after each epoch loss and accuracy of them are
        computed, with ``deterministic=True``.
    epochs : int
        How often all items are seen.
    batch_size : int
        Items in a step; the last step of an epoch may have fewer.
    loss : callable or str, optional
        Of predictions and targets, or a name in :mod:`lasagne_like.objectives`; by default cross-entropy for a last layer with
        softmax or sigmoid, else the squared error.
    update : callable
        A rule of :mod:`lasagne_like.updates`: from loss, parameters and ``learning_rate=`` to updates.
    learning_rate : float or SharedVariable
        A shared variable may be set between epochs, by `on_epoch`.
    l2 : float
        Factor of the squared ``regularizable`` parameters, added to the loss.
    patience : int, optional
        Stop after so many epochs without a better validation loss, and take the parameters of the best epoch.
    seed : int
        Of the order of items.
    checkpoint : str or Path, optional
        A file for the state after each epoch. It is replaced as a whole, so that a kill at any time leaves one that works.
    resume : bool
        Go on from `checkpoint` if the file is there; the result is then the same, to the last bit, as without a break.
    progress : bool, optional
        Show a bar, with the losses of the last epochs as a curve of text; by default in a terminal.
    on_epoch : callable, optional
        Called after each epoch with its row of the history; training ends where it returns True.
    mode : optional
        As for :func:`symbolic.function`.
    plot : str or Path, optional
        A picture of loss and accuracy, such as ``curves.png``, drawn anew after each epoch; needs matplotlib.
    tensorboard : str or Path, optional
        A folder for TensorBoard's event files; needs tensorboard.

    Returns
    -------
    History

    Raises
    ------
    ShapeError, RankError, DTypeError, ValueError
        If data don't fit the network or the loss; each says what to do.
    NotSupported
        If `plot` or `tensorboard` need a package that isn't installed.
    FloatingPointError
        If the loss becomes nan or infinite.
    CheckpointError
        If the file belongs to another training.

    Examples
    --------
    >>> from lasagne_like.layers import DenseLayer
    >>> x = np.random.default_rng(0).normal(size=(64, 2)).astype(symbolic.config.floatX)
    >>> line = DenseLayer(InputLayer((None, 2)), 1, nonlinearity=None)
    >>> history = train(line, x, x @ [[1.0], [2.0]], epochs=50, learning_rate=0.1)
    >>> history["loss"][-1] < 0.01 * history["loss"][0]
    True
    """
    if epochs < 0 or batch_size < 1:
        raise ValueError(f"train: epochs must not be negative and batch_size positive, got {epochs} and {batch_size}")
    if patience is not None and validation is None:
        raise ValueError("train: patience needs validation, such as validation=0.1")
    watchers: list[Any] = [] if plot is None else [Picture(plot)]
    watchers += [] if tensorboard is None else [TensorBoard(tensorboard)]
    job = _Job(network, X, y, validation, batch_size, _loss(loss, network), update, learning_rate, l2, seed, mode)
    history, best, waited = History(), None, 0
    settings = {"batch_size": batch_size, "seed": seed, "items": job.items, "data": job.fingerprint, "loss": job.loss.__name__,
                "l2": l2}
    found = checkpoints.read(checkpoint, job.shareds, job.rng, settings) if checkpoint is not None and resume else None
    if found is not None:
        state, best = found
        history, waited = History(**state["history"]), state["waited"]
    shown = sys.stdout.isatty() if progress is None else progress
    with _bar(shown, epochs, len(history.rows)) as bar, ExitStack() as stack:
        for watcher in watchers:
            stack.callback(watcher.close)
        while len(history.rows) < epochs and not history.stopped_early:
            row: dict[str, float] = {"epoch": len(history.rows) + 1} | job.epoch(len(history.rows) + 1)
            history.rows.append(row)
            watched = "val_loss" if validation is not None else "loss"
            better = history.best_epoch == 0 or row[watched] < min(history[watched][:-1])
            if better:
                history.best_epoch, waited = len(history.rows), 0
                best = [p.get_value() for p in job.params] if patience is not None else None
            else:
                waited += 1
            history.stopped_early = patience is not None and waited >= patience
            bar(history.rows)
            for watcher in watchers:
                watcher(history.rows)
            if on_epoch is not None and on_epoch(row):
                history.stopped_early = True
            if checkpoint is not None:
                state = {"history": vars(history), "waited": waited}
                checkpoints.write(checkpoint, job.shareds, best, state, job.rng, settings)
    if best:
        for p, value in zip(job.params, best, strict=True):
            p.set_value(value)
    return history


def _loss(given: Any, network: Any) -> Any:
    if given is None:
        return targets.loss_for(network)
    if isinstance(given, str):
        found = getattr(objectives, given, None)
        if not callable(found):
            raise ValueError(f"train: there is no loss {given!r} in lasagne_like.objectives")
        return found
    return given


class _Job:
    """The data, checked, and the compiled functions of one training."""

    def __init__(self, network: Any, X: Any, y: Any, validation: Any, batch_size: int, loss: Any, update: Any, learning_rate: Any,
                 l2: float, seed: int, mode: Any) -> None:
        self.rng, self.batch_size, self.loss = np.random.default_rng(seed), batch_size, loss
        self.entries = [one for one in get_all_layers(network) if isinstance(one, InputLayer)]
        variables = [one.input_var for one in self.entries]
        predictions, later = get_output(network), get_output(network, deterministic=True)
        self.shape, self.dtype = network.output_shape, later.dtype
        arrays = self._checked(X, y, "X", "y")
        self.held: list[np.ndarray] | None = None
        if isinstance(validation, (tuple, list)):
            if len(validation) != 2:
                raise ValueError(f"train: validation must be a share or a pair (X, y), got {len(validation)} entries")
            self.held = self._checked(validation[0], validation[1], "validation X", "validation y")
        elif validation is not None:
            arrays, self.held = self._divided(arrays, validation)
        self.arrays, self.items = arrays, len(arrays[0])
        for n in [one.shape[0] for one in self.entries]:
            sizes = {min(batch_size, self.items), self.items % batch_size or batch_size}
            if self.held is not None:
                sizes |= {min(batch_size, len(self.held[0])), len(self.held[0]) % batch_size or batch_size}
            if n is not None and sizes != {n}:
                raise errors.ShapeError(f"train: an InputLayer takes {n} items, but batches have {sorted(sizes)}; give it None "
                                        "for the "
                                        "batch")
        self.fingerprint = zlib.crc32(b"".join(np.ascontiguousarray(a[:64]).tobytes() for a in arrays))
        y_var = T.tensor(arrays[-1].dtype.name, (None,) * arrays[-1].ndim, name="targets")
        self.params = get_all_params(network)
        trained = get_all_params(network, trainable=True)
        if not trained:
            raise ValueError("train: the network has no trainable parameter; unfreeze gives those back that freeze took")
        cost = loss(predictions, y_var).mean()
        total = cost + (np.asarray(l2, cost.dtype) * regularize_network_params(network, squares) if l2 else 0)
        steps = update(total, trained, learning_rate=learning_rate)
        self.step = symbolic.function([*variables, y_var], [cost, *self._accuracy(predictions, y_var)], updates=steps, mode=mode,
                                      name="train_step")
        self.shareds = self.step.get_shared()
        self.test = None
        if self.held is not None:
            wanted = [loss(later, y_var).mean(), *self._accuracy(later, y_var)]
            self.test = symbolic.function([*variables, y_var], wanted, mode=mode, name="validation", on_unused_input="ignore")

    def _checked(self, X: Any, y: Any, x_name: str, y_name: str) -> list[np.ndarray]:
        """Return an array for each input layer and the targets, of as many items."""
        if isinstance(X, Mapping):
            if set(X) != set(self.entries):
                raise ValueError(f"train: {x_name} must have an array for each InputLayer: {', '.join(map(repr, self.entries))}")
            given = [X[one] for one in self.entries]
        elif len(self.entries) != 1:
            raise ValueError(f"train: the network has {len(self.entries)} input layers; pass {x_name} as {{layer: array}}")
        else:
            given = [X]
        out = [targets.check_inputs(a, (None, *one.shape[1:]), one.input_var.dtype, x_name)
               for a, one in zip(given, self.entries, strict=True)]
        floats = [one.input_var.dtype for one in self.entries if np.dtype(one.input_var.dtype).kind == "f"]
        out.append(targets.check_targets(y, (None, *self.shape[1:]), self.loss, self.dtype, y_name, next(iter(floats), None)))
        if out[-1].ndim == 0 or len({len(a) for a in out}) > 1:
            raise errors.ShapeError(f"{x_name} has {len(out[0])} items, {y_name} has shape {out[-1].shape}: each item needs "
                                    "its target")
        return out

    def _divided(self, arrays: list[np.ndarray], share: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
        n = len(arrays[0])
        held = int(round(n * share)) if isinstance(share, float) else 0
        if not 0 < held < n:
            raise ValueError(f"train: validation must be a pair (X, y) or a share that leaves items on both sides, got "
                             f"{share!r} for "
                             f"{n} items")
        order = self.rng.permutation(n)
        return [a[order[held:]] for a in arrays], [a[order[:held]] for a in arrays]

    def _accuracy(self, predictions: Any, y: Any) -> list[Any]:
        if self.loss in targets.CLASSES:
            return [objectives.categorical_accuracy(predictions, y).mean()]
        if self.loss in (objectives.binary_crossentropy, objectives.binary_hinge_loss):
            return [objectives.binary_accuracy(predictions, y).mean()]
        return []

    def _batches(self, n: int, order: np.ndarray | None) -> Iterator[tuple[int, Any]]:
        for start in range(0, n, self.batch_size):
            part = slice(start, min(n, start + self.batch_size))
            yield part.stop - part.start, part if order is None else order[part]

    def epoch(self, number: int) -> dict[str, float]:
        """Take a step for each batch; return the means of loss and accuracy, and those of the validation items."""
        started = time.perf_counter()
        row = self._pass(self.step, self.arrays, self.rng.permutation(self.items), number)
        if self.test is not None and self.held is not None:
            row |= {f"val_{name}": value for name, value in self._pass(self.test, self.held, None, number).items()}
        return row | {"seconds": time.perf_counter() - started}

    def _pass(self, f: Any, arrays: Sequence[np.ndarray], order: np.ndarray | None, number: int) -> dict[str, float]:
        n, total = len(arrays[0]), np.zeros(len(f.spec.outputs))
        for k, (count, part) in enumerate(self._batches(n, order)):
            values = np.array([float(v) for v in f(*[a[part] for a in arrays])])
            if not np.isfinite(values[0]):
                raise FloatingPointError(f"train: the loss is {values[0]} in batch {k + 1} of epoch {number}; a smaller "
                                         "learning_rate, or "
                                         "updates.total_norm_constraint on the gradients, keeps steps small")
            total += values * count
        return dict(zip(("loss", "accuracy"), (total / n).tolist(), strict=False))


def _text(row: Mapping[str, float]) -> str:
    words = {"loss": "loss {:.4f}", "accuracy": "{:.1%}", "val_loss": "val {:.4f}", "val_accuracy": "{:.1%}"}
    return " ".join(form.format(row[name]) for name, form in words.items() if name in row)


class _bar:
    """A progress bar over epochs, or nothing; called after each epoch with the rows so far."""

    def __init__(self, shown: bool, epochs: int, done: int) -> None:
        self.bar = None
        if shown:
            self.bar = Progress(TextColumn("epoch"), MofNCompleteColumn(), BarColumn(12), TimeElapsedColumn(),
                                TextColumn("{task.description}"))
            self.task = self.bar.add_task("", total=epochs, completed=done)

    def __enter__(self) -> _bar:
        if self.bar is not None:
            self.bar.start()
        return self

    def __call__(self, rows: Sequence[Mapping[str, float]]) -> None:
        if self.bar is not None:
            name = "val_loss" if "val_loss" in rows[-1] else "loss"
            curve = sparkline([row[name] for row in rows])
            self.bar.update(self.task, advance=1, description=f"{_text(rows[-1])} {curve}")

    def __exit__(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.stop()
