"""Where random numbers of layers and initial values come from: one generator for all, which can be replaced."""
from __future__ import annotations

from typing import Any

import numpy as np

_rng: list[Any] = [np.random]


def get_rng() -> Any:
    """Return the generator that initial values are drawn with, and seeds of layers: `numpy.random` unless set.

    Returns
    -------
    numpy.random, RandomState or Generator

    Examples
    --------
    >>> get_rng().uniform(size=3).shape
    (3,)
    """
    return _rng[0]


def set_rng(new_rng: Any) -> None:
    """Draw from `new_rng` from now on, so that networks made after it are the same in each run.

    Parameters
    ----------
    new_rng : numpy.random.RandomState, numpy.random.Generator, or the module numpy.random

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> set_rng(np.random.RandomState(1234))
    >>> first = new_seed()
    >>> set_rng(np.random.RandomState(1234))
    >>> new_seed() == first
    True
    """
    if new_rng is not np.random and not isinstance(new_rng, (np.random.RandomState, np.random.Generator)):
        raise TypeError(f"set_rng: expected numpy.random, a RandomState or a Generator, got {new_rng!r}; "
                        "np.random.default_rng(seed) makes one")
    _rng[0] = new_rng


def new_seed() -> int:
    """Return a seed for the random stream of a layer, one that every stream accepts: from 1 to 2147462578."""
    rng = get_rng()
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return int(draw(1, 2147462579))
