"""What tables of layers are written in: a layer's cases, arguments that are made of input layers, and grids of them.

A row's cases are keyword arguments. One that is a `From` is made of the row's input layers, so that the same case is built
with shapes that are known, or not.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from layer_oracles import value

import lasagne_like as lasagne
import symbolic.tensor as T


@dataclass(frozen=True)
class From:
    """An argument that is made of the input layers."""

    make: Callable[[Sequence[Any]], Any]


def at(k: int) -> From:
    """Return the k-th of the input layers."""
    return From(lambda xs: xs[k])


def fx(*shape: int, seed: int = 5) -> From:
    """Return random values in floatX."""
    return From(lambda xs: lasagne.utils.floatX(np.random.default_rng(seed).normal(size=shape)))


@dataclass(frozen=True)
class Row:
    """A layer's cases.

    ``oracle(layer, case, *arrays)`` is the output with ``deterministic=True``; `training` the same of training, where it has
    values that can be said. `loose` are the axes of the inputs that needn't be known; `open` says that the layer can't know its
    own shape. `noisy` says of a case whether training differs. `entries` makes what `From` gets of the input layers.
    Gradients are checked of each `every`-th case, and those are compiled as well as interpreted.
    """

    make: Any
    inputs: Sequence[tuple[int, ...]]
    cases: Sequence[dict[str, Any]]
    oracle: Callable[..., Any]
    loose: tuple[int, ...] = (0,)
    dtypes: Sequence[str] = ("floatX", "floatX", "floatX")
    open: bool = False
    noisy: Callable[[dict[str, Any]], bool] = lambda case: False
    training: Callable[..., Any] | None = None
    entries: Callable[[Sequence[Any]], Sequence[Any]] = lambda xs: xs
    every: int = 1
    values: Callable[[np.random.Generator, tuple[int, ...], int], Any] = field(
        default=lambda rng, shape, k: rng.normal(size=shape))


def alone(base: dict[str, Any], **each: Sequence[Any]) -> list[dict[str, Any]]:
    """Return `base`, and for each value of each argument `base` with only that changed."""
    return [base, *(base | {name: v} for name, values in each.items() for v in values)]


def grid(base: dict[str, Any], **each: Sequence[Any]) -> list[dict[str, Any]]:
    """Return `base` with all combinations of the arguments' values."""
    return [base | dict(zip(each, values, strict=True)) for values in itertools.product(*each.values())]


def relu(a: Any) -> Any:
    return np.maximum(a, 0)


def same(a: Any) -> Any:
    return a


#: nonlinearities of the cases, and what they are
ACTS = {None: same, T.tanh: np.tanh, lasagne.nonlinearities.rectify: relu, lasagne.nonlinearities.linear: same}


def act(case: dict[str, Any], a: Any) -> Any:
    return ACTS[case.get("nonlinearity", lasagne.nonlinearities.rectify)](a)


def with_bias(layer: Any, case: dict[str, Any], a: Any) -> Any:
    """Return ``nonlinearity(a + b)``; without places, `b` stands along axis 1."""
    if layer.b is not None:
        b = value(layer.b)
        a = a + (b if case.get("untie_biases") else b.reshape(-1, *[1] * (a.ndim - 2)))
    return act(case, a)


SPECS = [From(lambda xs: lasagne.init.Normal(0.5)), 0.25]
IN = {"incoming": at(0)}
