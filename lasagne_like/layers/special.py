"""Layers around one function or one parameter."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import symbolic
import symbolic.tensor as T
from lasagne_like import init, nonlinearities
from lasagne_like.layers.base import Layer, MergeLayer, Shape
from lasagne_like.layers.noise import extents
from lasagne_like.random import new_seed
from symbolic.tensor.shared_randomstreams import RandomStreams


class NonlinearityLayer(Layer):
    """A function of each value.

    Parameters
    ----------
    incoming : Layer or tuple
    nonlinearity : callable or None
        None is the identity.
    name : str, optional
    """

    def __init__(self, incoming: Any, nonlinearity: Any = nonlinearities.rectify, name: str | None = None) -> None:
        super().__init__(incoming, name)
        self.nonlinearity = nonlinearities.identity if nonlinearity is None else nonlinearity

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return self.nonlinearity(input)


def _shared_axes(shared_axes: Any, ndim: int, who: str) -> tuple[int, ...]:
    if isinstance(shared_axes, str):
        if shared_axes == "auto":
            return (0, *range(2, ndim))
        if shared_axes == "all" and who in ("ParametricRectifierLayer", "RandomizedRectifierLayer"):
            return tuple(range(ndim))
        raise ValueError(f"{who}: shared_axes must be 'auto', an int or a tuple of int, got {shared_axes!r}")
    axes = (shared_axes,) if isinstance(shared_axes, int) else tuple(shared_axes)
    if any(not -ndim <= a < ndim for a in axes):
        raise ValueError(f"{who}: shared_axes {axes} are beyond the {ndim} axes of the input")
    return tuple(a % ndim for a in axes)


class _Shared(Layer):
    """A layer with a parameter that is the same along some axes."""

    def __init__(self, incoming: Any, shared_axes: Any, name: str | None) -> None:
        super().__init__(incoming, name)
        self.shared_axes = _shared_axes(shared_axes, len(self.input_shape), type(self).__name__)

    def _own(self, spec: Any, name: str, **tags: bool) -> Any:
        shape: Any = [n for a, n in enumerate(self.input_shape) if a not in self.shared_axes]
        if None in shape:
            raise ValueError(f"{type(self).__name__}: extents of the axes that aren't shared must be known, got shape "
                             f"{self.input_shape}, shared_axes {self.shared_axes}")
        return self.add_param(spec, shape, name, **tags)

    def _fitted(self, param: Any) -> Any:
        """Return a parameter with axes of extent 1 where it is shared."""
        count = iter(range(param.ndim))
        return param.dimshuffle(*("x" if a in self.shared_axes else next(count) for a in range(len(self.input_shape))))


class BiasLayer(_Shared):
    """Adds a parameter.

    Parameters
    ----------
    incoming : Layer or tuple
    b : as `Layer.add_param`, or None
        Of the extents of the axes that aren't shared.
    shared_axes : 'auto', int or tuple of int
        'auto' is all but axis 1.
    name : str, optional
    """

    def __init__(self, incoming: Any, b: Any = init.Constant(0), shared_axes: Any = "auto", name: str | None = None  # noqa: B008
                 ) -> None:
        super().__init__(incoming, shared_axes, name)
        self.b = None if b is None else self._own(b, "b", regularizable=False)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return input if self.b is None else input + self._fitted(self.b)


class ScaleLayer(_Shared):
    """Multiplies by a parameter.

    Parameters
    ----------
    incoming : Layer or tuple
    scales : as `Layer.add_param`
        Of the extents of the axes that aren't shared.
    shared_axes : 'auto', int or tuple of int
        'auto' is all but axis 1.
    name : str, optional
    """

    def __init__(self, incoming: Any, scales: Any = init.Constant(1), shared_axes: Any = "auto",  # noqa: B008
                 name: str | None = None) -> None:
        super().__init__(incoming, shared_axes, name)
        self.scales = self._own(scales, "scales", regularizable=False)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return input * self._fitted(self.scales)


def standardize(layer: Any, offset: Any, scale: Any, shared_axes: Any = "auto") -> ScaleLayer:
    """Return layers that subtract `offset` and divide by `scale`, neither of which is trained.

    Parameters
    ----------
    layer : Layer or tuple
    offset, scale : array, or as `Layer.add_param`
        Of the extents of the axes that aren't shared.
    shared_axes : 'auto', int or tuple of int
    """
    shifted = BiasLayer(layer, -np.asarray(offset) if not isinstance(offset, symbolic.Variable) else -offset, shared_axes)
    shifted.params[shifted.b].discard("trainable")
    factor = 1 / scale if isinstance(scale, symbolic.Variable) else np.reciprocal(_floating(scale))
    scaled = ScaleLayer(shifted, factor, shared_axes)
    scaled.params[scaled.scales].discard("trainable")
    return scaled


def _floating(x: Any) -> np.ndarray:
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(symbolic.config.floatX)


class ExpressionLayer(Layer):
    """Any function.

    Parameters
    ----------
    incoming : Layer or tuple
    function : callable
        From an expression to an expression.
    output_shape : None, tuple, callable or 'auto'
        None: as the input; a callable gives it for the input's; 'auto' finds it by applying `function` to nothing: extents that
        aren't known are tried as 0, and extents 0 of the result count as not known.
    name : str, optional

    Examples
    --------
    >>> ExpressionLayer((None, 4), lambda x: x.sum(axis=-1), output_shape="auto").output_shape
    (None,)
    """

    def __init__(self, incoming: Any, function: Callable[[Any], Any], output_shape: Any = None, name: str | None = None) -> None:
        super().__init__(incoming, name)
        if isinstance(output_shape, str) and output_shape != "auto":
            raise ValueError(f"ExpressionLayer: output_shape must be None, a tuple, a callable or 'auto', got {output_shape!r}")
        self.function = function
        self._output_shape = tuple(output_shape) if isinstance(output_shape, list) else output_shape

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        if self._output_shape is None:
            return input_shape
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        if isinstance(self._output_shape, tuple):
            return self._output_shape
        x = T.tensor(symbolic.config.floatX, tuple(input_shape))
        y = self.function(x)
        if None not in y.type.shape:
            return y.type.shape
        empty = np.zeros([0 if n is None else n for n in input_shape], symbolic.config.floatX)
        found = symbolic.function([x], y.shape, mode="FAST_COMPILE", on_unused_input="ignore")(empty)
        return tuple(int(n) or None for n in found)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return self.function(input)


class InverseLayer(MergeLayer):
    """What flows back through a layer: its derivative's transpose, applied to the input.

    For a dense layer that is a product with ``W.T``, for a convolution a transposed one, for max-pooling unpooling.

    Parameters
    ----------
    incoming : Layer or tuple
        Of the shape of `layer`'s output.
    layer : Layer
        Not one of several inputs.
    name : str, optional

    References
    ----------
    Zeiler and Fergus (2014), Visualizing and understanding convolutional networks.
    """

    def __init__(self, incoming: Any, layer: Any, name: str | None = None) -> None:
        super().__init__([incoming, layer, layer.input_layer], name)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return input_shape[2]

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        value, after, before = input
        return symbolic.grad(None, wrt=before, known_grads={after: value})


class ParametricRectifierLayer(_Shared):
    """``max(x, 0) + alpha * min(x, 0)``, where `alpha` is learnt.

    Parameters
    ----------
    incoming : Layer or tuple
    alpha : as `Layer.add_param`
        Of the extents of the axes that aren't shared.
    shared_axes : 'auto', 'all', int or tuple of int
        'auto' is all but axis 1, 'all' makes one number.
    name : str, optional

    References
    ----------
    He et al. (2015), Delving deep into rectifiers.
    """

    def __init__(self, incoming: Any, alpha: Any = init.Constant(0.25), shared_axes: Any = "auto",  # noqa: B008
                 name: str | None = None) -> None:
        super().__init__(incoming, shared_axes, name)
        self.alpha = self._own(alpha, "alpha", regularizable=False)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return T.nnet.relu(input, self._fitted(self.alpha))


def _stolen(layer: Any, kwargs: dict[str, Any], ending: str) -> None:
    """Take a layer's nonlinearity away, and name what takes its place."""
    if getattr(layer, "nonlinearity", None) is not None:
        layer.nonlinearity = nonlinearities.identity
    if kwargs.get("name") is None and getattr(layer, "name", None):
        kwargs["name"] = layer.name + ending


def prelu(layer: Any, **kwargs: Any) -> ParametricRectifierLayer:
    """Return `layer` with a `ParametricRectifierLayer` in the place of its nonlinearity; keywords are that layer's."""
    _stolen(layer, kwargs, "_prelu")
    return ParametricRectifierLayer(layer, **kwargs)


class RandomizedRectifierLayer(Layer):
    """``x`` above 0; below, times a factor that is drawn anew in training, and its mean with ``deterministic=True``.

    Parameters
    ----------
    incoming : Layer or tuple
    lower, upper : float or Variable
        Bounds of the factor.
    shared_axes : 'auto', 'all', int or tuple of int
        Axes along which all values share one draw; 'auto' is all but axis 1.
    name : str, optional

    Raises
    ------
    ValueError
        If `lower` is above `upper`.

    References
    ----------
    Xu et al. (2015), Empirical evaluation of rectified activations in convolutional network.
    """

    def __init__(self, incoming: Any, lower: Any = 0.3, upper: Any = 0.8, shared_axes: Any = "auto", name: str | None = None
                 ) -> None:
        super().__init__(incoming, name)
        self._srng: Any = RandomStreams(new_seed())
        if not isinstance(lower, symbolic.Variable) and not isinstance(upper, symbolic.Variable) and lower > upper:
            raise ValueError(f"RandomizedRectifierLayer: lower must not be above upper, got {lower} and {upper}")
        self.lower, self.upper = lower, upper
        self.shared_axes = _shared_axes(shared_axes, len(self.input_shape), type(self).__name__)

    def get_output_for(self, input: Any, deterministic: bool = False, **kwargs: Any) -> Any:
        if deterministic or (not isinstance(self.lower, symbolic.Variable) and not isinstance(self.upper, symbolic.Variable)
                             and self.upper == self.lower):
            factor = (self.upper + self.lower) / 2.0
        else:
            shape = [1 if a in self.shared_axes else n for a, n in enumerate(extents(input, self.input_shape))]
            factor = self._srng.uniform(tuple(shape), low=self.lower, high=self.upper, dtype=input.dtype)
        return T.nnet.relu(input, factor.astype(input.dtype) if isinstance(factor, symbolic.Variable) else factor)


def rrelu(layer: Any, **kwargs: Any) -> RandomizedRectifierLayer:
    """Return `layer` with a `RandomizedRectifierLayer` in the place of its nonlinearity; keywords are that layer's."""
    _stolen(layer, kwargs, "_rrelu")
    return RandomizedRectifierLayer(layer, **kwargs)


__all__: Sequence[str] = [n for n, v in list(globals().items()) if getattr(v, "__module__", "") == __name__ and n[0] != "_"]
