"""Layers that disturb their input while a network is trained."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import symbolic
from lasagne_like.layers.base import Layer
from lasagne_like.random import new_seed
from symbolic.tensor.shared_randomstreams import RandomStreams


def extents(input: Any, shape: Sequence[int | None]) -> list[Any]:
    """Return the extents of an expression, as numbers where a shape tells them."""
    return [input.shape[axis] if n is None else n for axis, n in enumerate(shape)]


class DropoutLayer(Layer):
    """Sets values to zero at random; with ``deterministic=True``, none.

    Parameters
    ----------
    incoming : Layer or tuple
    p : float or scalar Variable
        The chance to be dropped, from 0 to 1.
    rescale : bool
        Divide what stays by ``1 - p``, so that expectations stay.
    shared_axes : tuple of int
        Axes along which all values share one draw.
    name : str, optional

    Raises
    ------
    ValueError
        If `p` isn't from 0 to 1, or is 1 with `rescale`.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting.
    """

    def __init__(self, incoming: Any, p: Any = 0.5, rescale: bool = True, shared_axes: Sequence[int] = (),
                 name: str | None = None) -> None:
        super().__init__(incoming, name)
        if not isinstance(p, symbolic.Variable) and (not 0 <= p <= 1 or (p == 1 and rescale)):
            raise ValueError(f"{type(self).__name__}: p is the chance to be dropped, from 0 to below 1, got {p}; 1 is possible "
                             "with rescale=False")
        self._srng: Any = RandomStreams(new_seed())
        self.p, self.rescale = p, rescale
        ndim = len(self.input_shape)
        if any(not -ndim <= a < ndim for a in shared_axes):
            raise ValueError(f"{type(self).__name__}: shared_axes {tuple(shared_axes)} are beyond the {ndim} axes of the input")
        self.shared_axes = tuple(a % ndim for a in shared_axes)

    def get_output_for(self, input: Any, deterministic: bool = False, **kwargs: Any) -> Any:
        if deterministic or (not isinstance(self.p, symbolic.Variable) and self.p == 0):
            return input
        keep = 1 - self.p
        if isinstance(keep, symbolic.Variable):
            keep = keep.astype(input.dtype)
        shape = [1 if a in self.shared_axes else n for a, n in enumerate(extents(input, self.input_shape))]
        mask = self._srng.binomial(tuple(shape), p=keep, dtype=input.dtype)
        return (input / keep if self.rescale else input) * mask


class GaussianNoiseLayer(Layer):
    """Adds normal numbers; with ``deterministic=True``, none.

    Parameters
    ----------
    incoming : Layer or tuple
    sigma : float or scalar Variable
        Standard deviation.
    name : str, optional
    """

    def __init__(self, incoming: Any, sigma: Any = 0.1, name: str | None = None) -> None:
        super().__init__(incoming, name)
        self._srng: Any = RandomStreams(new_seed())
        self.sigma = sigma

    def get_output_for(self, input: Any, deterministic: bool = False, **kwargs: Any) -> Any:
        if deterministic or (not isinstance(self.sigma, symbolic.Variable) and self.sigma == 0):
            return input
        sigma = self.sigma.astype(input.dtype) if isinstance(self.sigma, symbolic.Variable) else self.sigma
        noise = self._srng.normal(tuple(extents(input, self.input_shape)), avg=0.0, std=1.0, dtype=input.dtype)
        return input + sigma * noise


dropout = DropoutLayer  # Lasagne's short name


def dropout_channels(incoming: Any, *args: Any, **kwargs: Any) -> DropoutLayer:
    """Return a `DropoutLayer` that drops whole channels: one draw for all places behind axis 1."""
    ndim = len(getattr(incoming, "output_shape", incoming))
    kwargs["shared_axes"] = tuple(range(2, ndim))
    return DropoutLayer(incoming, *args, **kwargs)


spatial_dropout = dropout_channels


def dropout_locations(incoming: Any, *args: Any, **kwargs: Any) -> DropoutLayer:
    """Return a `DropoutLayer` that drops all channels of a place: one draw for axis 1."""
    kwargs["shared_axes"] = (1,)
    return DropoutLayer(incoming, *args, **kwargs)
