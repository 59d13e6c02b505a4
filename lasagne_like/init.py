"""Initial values of parameters: callables from a shape to an array of ``config.floatX``."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import symbolic
from lasagne_like.random import get_rng, set_rng

__all__ = ["Constant", "GlorotUniform", "HeNormal", "Initializer", "Normal", "Uniform", "set_rng"]


class Initializer:
    """Base: subclasses give `sample`."""

    def __call__(self, shape: Sequence[int]) -> np.ndarray:
        """Return an array of `shape` in floatX."""
        return np.asarray(self.sample(tuple(shape)), symbolic.config.floatX)

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return values of `shape`, in any float dtype."""
        raise NotImplementedError(f"{type(self).__name__} doesn't say how to sample")


class Constant(Initializer):
    """The same value everywhere."""

    def __init__(self, val: float = 0.0) -> None:
        self.val = val

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.val)


class Normal(Initializer):
    """Normally distributed values with deviation `std` around `mean`."""

    def __init__(self, std: float = 0.01, mean: float = 0.0) -> None:
        self.std, self.mean = std, mean

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return get_rng().normal(self.mean, self.std, shape)


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
        elif not isinstance(range, tuple):
            range = (mean - range, mean + range)
        self.range = range

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return get_rng().uniform(*self.range, size=shape)


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    if len(shape) < 2:
        raise ValueError(f"expected a shape of 2 or more axes, got {shape}: this initialiser looks at fan-in and fan-out")
    field = float(np.prod(shape[2:]))
    return shape[0] * field, shape[1] * field


def _gain(gain: float | str) -> float:
    return float(np.sqrt(2)) if gain == "relu" else float(gain)


class GlorotUniform(Initializer):
    """Uniform values of deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    References
    ----------
    Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, equation 16.
    """

    def __init__(self, gain: float | str = 1.0) -> None:
        self.gain = _gain(gain)

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return Uniform(std=self.gain * np.sqrt(2 / sum(_fans(shape)))).sample(shape)


class HeNormal(Initializer):
    """Normal values of deviation ``gain * sqrt(1 / fan_in)``; ``gain='relu'`` is sqrt(2).

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, equation 10.
    """

    def __init__(self, gain: float | str = 1.0) -> None:
        self.gain = _gain(gain)

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        return Normal(self.gain * np.sqrt(1 / _fans(shape)[0])).sample(shape)
