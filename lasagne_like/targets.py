"""What data must look like for a network and a loss: the classic mistakes, each with what to do about it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lasagne_like import nonlinearities, objectives
from symbolic import errors

Shape = tuple[int | None, ...]
#: losses that take classes as integers, or a distribution over them
CLASSES = (objectives.categorical_crossentropy, objectives.multiclass_hinge_loss)


def fits(shape: Sequence[int], wanted: Shape) -> bool:
    """Whether an array's shape is what a layer said; None fits any extent."""
    return len(shape) == len(wanted) and all(m is None or n == m for n, m in zip(shape, wanted, strict=True))


def loss_for(network: Any) -> Any:
    """Return the loss that suits the nonlinearity of a network's last layer.

    Returns
    -------
    callable
        Cross-entropy after softmax or sigmoid, else the squared error.
    """
    last = getattr(network, "nonlinearity", None)
    if last is nonlinearities.softmax:
        return objectives.categorical_crossentropy
    return objectives.binary_crossentropy if last is nonlinearities.sigmoid else objectives.squared_error


def check_inputs(X: Any, wanted: Shape, dtype: str, what: str = "X") -> np.ndarray:
    """Return `X` as an array that a network's input takes.

    Parameters
    ----------
    X : array_like, (n, ...)
    wanted : tuple of int or None
        The shape of the InputLayer.
    dtype : str
        Of its variable.
    what : str
        How errors call it.

    Raises
    ------
    ShapeError
        If the shape is another: a missing or misplaced axis of channels, pixels in a row, another extent.
    DTypeError
        If a value would lose precision.
    ValueError
        If there is no item, or a value is nan or infinite.
    """
    X = np.asarray(X)
    if not fits(X.shape, wanted):
        raise errors.ShapeError(f"{what} has shape {X.shape}, but the network's input is {_shown(wanted)}; "
                                f"{_input_hint(X.shape, wanted, what)}")
    if len(X) == 0:
        raise ValueError(f"{what} has no items")
    if X.dtype != dtype and not np.can_cast(X.dtype, dtype, "safe"):
        wanted_kind = "an integer" if np.dtype(dtype).kind in "iu" else "a float"
        raise errors.DTypeError(f"{what} is {X.dtype}, but the network's input is {dtype}; pass {what}.astype({dtype!r})"
                                + ("" if np.dtype(dtype).kind == X.dtype.kind else f", or give the InputLayer {wanted_kind} "
                                                                                   "input_var that "
                                   "suits the data"))
    _check_finite(X, what)
    return X.astype(dtype, copy=False)


def _shown(shape: Shape) -> str:
    return "(" + ", ".join("n" if n is None and k == 0 else "?" if n is None else str(n) for k, n in enumerate(shape)) + ")"


def _input_hint(shape: tuple[int, ...], wanted: Shape, what: str) -> str:
    if len(shape) == len(wanted) >= 3:
        last_first = (shape[0], shape[-1], *shape[1:-1])
        if fits(last_first, wanted):
            order = ", ".join(map(str, (0, len(shape) - 1, *range(1, len(shape) - 1))))
            return f"channels come second: pass np.ascontiguousarray({what}.transpose({order}))"
    if len(shape) + 1 == len(wanted) and fits((shape[0], 1, *shape[1:]), wanted):
        return f"there is no axis for the one channel: pass {what}[:, None]"
    rest = [n for n in wanted[1:] if n is not None]
    if len(rest) == len(wanted) - 1 and np.prod(shape[1:]) == np.prod(rest) and len(shape) != len(wanted):
        return f"each item has as many values: pass {what}.reshape({', '.join(map(str, (-1, *rest)))})"
    if shape and fits((1, *shape), wanted):
        return f"for a single item pass {what}[None]"
    return "bring it to this shape, or give the InputLayer the data's"


def _check_finite(a: np.ndarray, what: str) -> None:
    if a.dtype.kind in "fc" and not np.isfinite(a).all():
        bad = np.argwhere(~np.isfinite(a))
        raise ValueError(f"{what} has {len(bad)} values that are nan or infinite, the first at index {tuple(map(int, bad[0]))}")


def check_targets(y: Any, output: Shape, loss: Any, dtype: str, what: str = "y", own: str | None = None) -> np.ndarray:
    """Return `y` as an array that a loss takes beside the network's output.

    Parameters
    ----------
    y : array_like
    output : tuple of int or None
        The shape of the network's output.
    loss : callable
        Of :mod:`lasagne_like.objectives`, or one like them; of others only the number of items is checked.
    dtype : str
        Of the network's output.
    what : str
        How errors call it.
    own : str, optional
        The dtype of the user's floats, in which errors suggest targets: that of the network's input, which is float32 for users
        whose weights ``config.floatX`` made float64.

    Raises
    ------
    RankError
        If it has another number of axes.
    ShapeError
        If an extent differs.
    DTypeError
        If classes aren't integers, or the loss needs values, not classes.
    ValueError
        If a class doesn't exist, a row is no distribution, or a value is nan, infinite, or beyond [0, 1] for a binary loss.
    """
    y, own = np.asarray(y), own or dtype
    if y.dtype.kind not in "biuf":
        raise errors.DTypeError(f"{what} is {y.dtype}, not numbers; number the classes: np.unique({what}, "
                                "return_inverse=True)[1]")
    if loss in CLASSES:
        return _classes(y, output, what) if y.ndim != len(output) else _distribution(y, output, dtype, what, own)
    if getattr(loss, "__module__", None) != objectives.__name__:
        return y if y.dtype.kind != "f" else y.astype(dtype)
    name = loss.__name__
    if y.ndim != len(output):
        if y.ndim == len(output) - 1 and output[-1] == 1:
            hint = f"pass {what}[:, None]: a row and a column would make a matrix"
        elif y.ndim == len(output) - 1 and y.dtype.kind in "biu":
            hint = (f"{name} compares value with value; for classes pass lasagne_like.utils.one_hot's values, "
                    f"np.eye({output[-1]}, dtype={own!r})[{what}], or use loss=categorical_crossentropy after softmax")
        else:
            hint = f"{name} compares value with value"
        raise errors.RankError(f"{what} has shape {y.shape}, but the network's output is {_shown(output)}; {hint}")
    if not fits(y.shape, output):
        column = y.dtype.kind in "biu" and y.ndim == 2 and y.shape[1] == 1
        raise errors.ShapeError(f"{what} has shape {y.shape}, but the network's output is {_shown(output)}; {name} compares "
                                "value with value" + (f"; for classes pass np.eye({output[-1]}, dtype={own!r})[{what}[:, 0]]"
                                                      if column else ""))
    _check_finite(y, what)
    if loss is objectives.binary_crossentropy and y.size and not (0 <= y.min() and y.max() <= 1):
        raise ValueError(f"{what} has values from {y.min()} to {y.max()}; binary_crossentropy needs targets from 0 to 1"
                         + (f": pass ({what} + 1) / 2" if y.min() == -1 and y.max() == 1 else ""))
    return y.astype(dtype, copy=False)


def _classes(y: np.ndarray, output: Shape, what: str) -> np.ndarray:
    n = output[-1]
    if y.ndim != len(output) - 1:
        raise errors.RankError(f"{what} has shape {y.shape}, but for a network's output of {_shown(output)} the loss takes "
                               "classes "
                               f"{_shown(output[:-1])} or one-hot rows {_shown(output)}")
    if y.dtype.kind == "f":
        whole = np.isfinite(y).all() and (y == np.round(y)).all()
        raise errors.DTypeError(f"{what} is {y.dtype}, but classes are integers; "
                                + (f"pass {what}.astype('int64')" if whole else "its values aren't whole: a loss like "
                                                                                "squared_error fits"))
    if not fits(y.shape, (None, *output[1:-1])):
        raise errors.ShapeError(f"{what} has shape {y.shape}, but the network's output is {_shown(output)}")
    low, high = (int(y.min()), int(y.max())) if y.size else (0, 0)
    if low < 0 or (n is not None and high >= n):
        hint = f"; they start at 1: pass {what} - 1" if low == 1 and high == n else ""
        raise ValueError(f"{what} has classes from {low} to {high}, but the network's output has {n}: 0 to "
                         f"{None if n is None else n - 1}{hint}")
    return y.astype("int64")


def _distribution(y: np.ndarray, output: Shape, dtype: str, what: str, own: str) -> np.ndarray:
    if y.shape[-1:] == (1,) and output[-1] != 1:
        raise errors.ShapeError(f"{what} has shape {y.shape}, a column; for classes pass {what}[:, 0], for one-hot rows "
                                f"np.eye({output[-1]}, dtype={own!r})[{what}[:, 0]]")
    if not fits(y.shape, output):
        raise errors.ShapeError(f"{what} has shape {y.shape}, but the network's output is {_shown(output)}: one-hot rows need "
                                "as many "
                                "columns as there are classes")
    _check_finite(y, what)
    off = np.abs(y.sum(axis=-1) - 1)
    if y.size and (y.min() < 0 or off.max() > 1e-3):
        k = int(np.argmax(off.ravel()))
        raise ValueError(f"{what} holds no distributions: row {k} adds up to {y.reshape(-1, y.shape[-1])[k].sum():.4g}, the "
                         "least value is "
                         f"{y.min():.4g}; one-hot rows have a single 1, and classes are passed as integers {_shown(output[:-1])}")
    return y.astype(dtype, copy=False)
