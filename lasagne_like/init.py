"""Initial values of parameters: callables from a shape to an array of ``config.floatX``."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lasagne_like.random import get_rng, set_rng
from lasagne_like.utils import floatX

__all__ = ["Constant", "Glorot", "GlorotNormal", "GlorotUniform", "He", "HeNormal", "HeUniform", "Initializer", "Normal",
           "Orthogonal", "Sparse", "Uniform", "set_rng"]


class Initializer:
    """Base: subclasses give `sample`."""

    def __call__(self, shape: Sequence[int]) -> np.ndarray:
        """Return an array of `shape` in floatX."""
        return floatX(self.sample(tuple(shape)))

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return values of `shape`, in any float dtype."""
        raise NotImplementedError(f"{type(self).__name__} doesn't say how to sample")


class Constant(Initializer):
    """The same value everywhere.

    Parameters
    ----------
    val : float
    """

    def __init__(self, val: float = 0.0) -> None:
        self.val = val

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.val)


class Normal(Initializer):
    """Normally distributed values with deviation `std` around `mean`."""

    def __init__(self, std: float = 0.01, mean: float = 0.0) -> None:
        self.std, self.mean = std, mean

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return get_rng().normal(self.mean, self.std, size=shape)


class Uniform(Initializer):
    """Uniformly distributed values.

    Parameters
    ----------
    range : float or pair of float
        From -range to range, or the two bounds.
    std : float, optional
        Instead of `range`: the standard deviation.
    mean : float
        Middle, where `range` isn't a pair.
    """

    def __init__(self, range: float | tuple[float, float] = 0.01, std: float | None = None, mean: float = 0.0) -> None:
        if std is not None:
            range = (mean - np.sqrt(3) * std, mean + np.sqrt(3) * std)
        elif not isinstance(range, (tuple, list)):
            range = (mean - range, mean + range)
        self.range = tuple(range)

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return get_rng().uniform(*self.range, size=shape)


def _gain(gain: Any) -> float:
    if isinstance(gain, str) and gain != "relu":
        raise ValueError(f"gain must be a number or 'relu', got {gain!r}")
    return float(np.sqrt(2)) if gain == "relu" else float(gain)


def _fans(shape: tuple[int, ...], c01b: bool, who: str) -> tuple[float, float]:
    """Return fan-in and fan-out in Lasagne's way: entries of axis 0 and of axis 1, each times the receptive field."""
    if c01b:
        if len(shape) != 4:
            raise RuntimeError(f"{who}: c01b=True works with shapes of 4 axes, got {shape}")
        return float(np.prod(shape[:3])), float(shape[3] * shape[1] * shape[2])
    if len(shape) < 2:
        raise RuntimeError(f"{who}: expected a shape of 2 or more axes, got {shape}: fan-in and fan-out come from it")
    field = float(np.prod(shape[2:]))
    return shape[0] * field, shape[1] * field


class Glorot(Initializer):
    """Values of deviation ``gain * sqrt(2 / (n1 + n2) / receptive field)``, for shape (n1, n2, ...).

    Parameters
    ----------
    initializer : class
        `Normal` or `Uniform`, or one that takes ``std=``.
    gain : float or 'relu'
        'relu' is sqrt(2).
    c01b : bool
        Shapes are (inputs, rows, columns, outputs).

    Raises
    ------
    RuntimeError
        When called, for fewer than 2 axes, or other than 4 with `c01b`.

    References
    ----------
    Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, equation 16.
    """

    def __init__(self, initializer: Any, gain: Any = 1.0, c01b: bool = False) -> None:
        self.initializer, self.gain, self.c01b = initializer, _gain(gain), c01b

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        std = self.gain * np.sqrt(2 / sum(_fans(shape, self.c01b, type(self).__name__)))
        return self.initializer(std=std).sample(shape)


class GlorotNormal(Glorot):
    """`Glorot` with normal values."""

    def __init__(self, gain: Any = 1.0, c01b: bool = False) -> None:
        super().__init__(Normal, gain, c01b)


class GlorotUniform(Glorot):
    """`Glorot` with uniform values."""

    def __init__(self, gain: Any = 1.0, c01b: bool = False) -> None:
        super().__init__(Uniform, gain, c01b)


class He(Initializer):
    """Values of deviation ``gain * sqrt(1 / fan_in)``: axis 0 of a matrix, all but the first axis of filters.

    Parameters
    ----------
    initializer : class
    gain : float or 'relu'
    c01b : bool

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, equation 10.
    """

    def __init__(self, initializer: Any, gain: Any = 1.0, c01b: bool = False) -> None:
        self.initializer, self.gain, self.c01b = initializer, _gain(gain), c01b

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        fan_in, _ = _fans(shape, self.c01b, type(self).__name__)
        if not self.c01b and len(shape) > 2:
            fan_in = float(np.prod(shape[1:]))
        return self.initializer(std=self.gain * np.sqrt(1 / fan_in)).sample(shape)


class HeNormal(He):
    """`He` with normal values."""

    def __init__(self, gain: Any = 1.0, c01b: bool = False) -> None:
        super().__init__(Normal, gain, c01b)


class HeUniform(He):
    """`He` with uniform values."""

    def __init__(self, gain: Any = 1.0, c01b: bool = False) -> None:
        super().__init__(Uniform, gain, c01b)


class Sparse(Initializer):
    """A matrix in whose columns a fixed share of the entries are normal numbers, and the rest 0.

    Parameters
    ----------
    sparsity : float
        The share of entries that aren't 0, of each column, rounded down.
    std : float

    Raises
    ------
    RuntimeError
        When called, for other than 2 axes.
    """

    def __init__(self, sparsity: float = 0.1, std: float = 0.01) -> None:
        self.sparsity, self.std = sparsity, std

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) != 2:
            raise RuntimeError(f"Sparse: expected a shape of 2 axes, got {shape}")
        w, (rows, columns) = np.zeros(shape), shape
        count = int(rows * self.sparsity)
        for j in range(columns):
            w[get_rng().permutation(rows)[:count], j] = get_rng().normal(0, self.std, size=count)
        return w


class Orthogonal(Initializer):
    """Orthogonal rows or columns (whichever are fewer) of the matrix (n1, all other axes).

    Parameters
    ----------
    gain : float or 'relu'

    Raises
    ------
    RuntimeError
        When called, for fewer than 2 axes.

    References
    ----------
    Saxe et al. (2013), Exact solutions to the nonlinear dynamics of learning in deep linear neural networks.
    """

    def __init__(self, gain: Any = 1.0) -> None:
        self.gain = _gain(gain)

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) < 2:
            raise RuntimeError(f"Orthogonal: expected a shape of 2 or more axes, got {shape}")
        flat = (shape[0], int(np.prod(shape[1:])))
        u, _, v = np.linalg.svd(get_rng().normal(0.0, 1.0, size=flat), full_matrices=False)
        return self.gain * (u if u.shape == flat else v).reshape(shape)
