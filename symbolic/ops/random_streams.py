"""Streams: states of random numbers in shared variables, so that each call of a function draws new ones."""
from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable
from symbolic.ops.random_choice import categorical, choice, multinomial
from symbolic.ops.random_continuous import (
    cauchy,
    exponential,
    gumbel,
    laplace,
    logistic,
    lognormal,
    normal,
    pareto,
    rayleigh,
    truncated_normal,
    uniform,
    weibull,
)
from symbolic.ops.random_counts import binomial, negative_binomial, poisson
from symbolic.ops.random_discrete import bernoulli, bits, geometric, integers, random_integers
from symbolic.ops.random_gamma import beta, chisquare, dirichlet, gamma, student_t
from symbolic.ops.random_key import KEY, key_value, next_key
from symbolic.ops.random_order import permutation, shuffle, shuffle_row_elements
from symbolic.shared import Container, SharedVariable
from symbolic.source import caller


def _seed(seed: Any, who: str) -> int:
    """Return a seed as an int; a fresh one for None."""
    if seed is None:
        return secrets.randbits(64)
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, (bool, np.bool_)):
        return int(seed)
    raise TypeError(errors.message(who, f"a seed is an integer or None, got {seed!r}", (), caller()))


def sampled(sample: Variable, state: SharedVariable, new_state: Variable) -> Variable:
    """Return `sample`, with its state and the update of it to be found: ``sample.rng``, ``sample.update``."""
    state.default_update = new_state
    sample.tag.rng = state
    sample.tag.update = (state, new_state)
    return sample


def _of_tag(name: str, doc: str) -> property:
    def get(self: Variable) -> Any:
        try:
            return getattr(self.tag, name)
        except AttributeError:
            raise AttributeError(f"{self} has no {name}: it isn't what a random stream returned") from None

    return property(get, doc=doc)


Variable.rng = _of_tag("rng", "The state that a sample was drawn with.")  # type: ignore[attr-defined]
Variable.update = _of_tag("update", "The state of a sample and its new value.")  # type: ignore[attr-defined]


class RandomStreams:
    """Random numbers for graphs: each draw has a state of its own, which advances with each call of a function.

    Parameters
    ----------
    seed : int, optional
        The same seed and the same order of draws give the same numbers, on every target and for any number of
        threads. By default one that never was.

    Attributes
    ----------
    state_updates : list of (SharedVariable, Variable)
        The state of each draw so far, and its value after a call.

    Notes
    -----
    The generator is Philox4x32-10 (see :mod:`symbolic.random`, whose functions these methods call). In a ``scan``, what
    the step draws is new in each step; a sample drawn outside is the same in all of them. Names and arguments are those
    of Theano's ``shared_randomstreams``; the numbers aren't, since NumPy's Mersenne Twister made them there.

    Examples
    --------
    >>> import symbolic
    >>> rng = RandomStreams(seed=1)
    >>> f = symbolic.function([], rng.uniform((2,)))
    >>> bool((f() != f()).all())
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self.default_instance_seed = _seed(seed, type(self).__name__)
        self._states: list[SharedVariable] = []

    @property
    def state_updates(self) -> list[tuple[SharedVariable, Variable]]:
        return [(s, s.default_update) for s in self._states]

    @property
    def random_state_variables(self) -> list[tuple[SharedVariable, Variable]]:
        """The same as `state_updates`, by Theano's other name."""
        return self.state_updates

    def updates(self) -> list[tuple[SharedVariable, Variable]]:
        """Return the updates of all draws so far; functions make them by themselves, unless told otherwise."""
        return self.state_updates

    def seed(self, seed: int | None = None) -> None:
        """Start again: every draw made so far as if the stream had been made with `seed`.

        Parameters
        ----------
        seed : int, optional
            By default the one it was made with.
        """
        number = self.default_instance_seed if seed is None else _seed(seed, "seed")
        for k, state in enumerate(self._states):
            state.set_value(self._first_state(number, k))

    def _first_state(self, seed: int, k: int) -> np.ndarray:
        return key_value(seed, k)

    def gen(self, make: Callable[..., Variable], *args: Any, **kwargs: Any) -> Variable:
        """Return ``make(key, *args, **kwargs)`` with a state of its own as key.

        Parameters
        ----------
        make : callable
            A function of :mod:`symbolic.random`, or one like them.

        Examples
        --------
        >>> import symbolic
        >>> RandomStreams(1).gen(symbolic.random.gumbel, (3,)).type
        TensorType(float64, (3,))
        """
        state = SharedVariable(KEY, Container(self._first_state(self.default_instance_seed, len(self._states))),
                               f"random state {len(self._states)}")
        sample = make(state, *args, **kwargs)
        self._states.append(state)
        return sampled(sample, state, next_key(state))

    def __getitem__(self, item: Variable) -> np.ndarray:
        """Return the state that a sample (or a state) of this stream has now."""
        return self._of(item).get_value()

    def __setitem__(self, item: Variable, value: Any) -> None:
        """Set the state of a sample, or a state itself, of this stream."""
        self._of(item).set_value(value)

    def _of(self, item: Variable) -> SharedVariable:
        state = item if isinstance(item, SharedVariable) else item.rng  # type: ignore[attr-defined]
        if state not in self._states:
            raise KeyError(f"{item} wasn't drawn from this stream")
        return state

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("RandomStreams isn't a sequence; call one of its methods")


def _method(make: Callable[..., Variable]) -> Callable[..., Variable]:
    @functools.wraps(make)
    def method(self: RandomStreams, *args: Any, **kwargs: Any) -> Variable:
        return self.gen(make, *args, **kwargs)

    # the signature that a bound method shows is that of `make` without the key
    method.__qualname__ = f"RandomStreams.{make.__name__}"
    return method


for _make in (
    bernoulli, beta, binomial, bits, categorical, cauchy, chisquare, choice, dirichlet, exponential, gamma, geometric, gumbel,
    integers, laplace, logistic, lognormal, multinomial, negative_binomial, normal, pareto, permutation, poisson,
    random_integers, rayleigh, shuffle, shuffle_row_elements, student_t, truncated_normal, uniform, weibull,
):
    setattr(RandomStreams, _make.__name__, _method(_make))
