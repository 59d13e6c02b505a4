"""Layers that bring activations to a known scale."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import symbolic.tensor as T
from lasagne_like import init, nonlinearities
from lasagne_like.layers.base import Layer
from lasagne_like.layers.shape import padded
from lasagne_like.layers.special import BiasLayer, NonlinearityLayer, ScaleLayer


class LocalResponseNormalization2DLayer(Layer):
    """Each value divided by ``(k + alpha * sum of squares over n channels around it) ** beta``.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, rows, columns)
    alpha, k, beta : float
    n : int
        Odd.
    name : str, optional

    Raises
    ------
    NotImplementedError
        If `n` is even.

    References
    ----------
    Krizhevsky, Sutskever and Hinton (2012), ImageNet classification with deep convolutional neural networks, section 3.3.
    """

    def __init__(self, incoming: Any, alpha: float = 1e-4, k: float = 2, beta: float = 0.75, n: int = 5,
                 name: str | None = None) -> None:
        super().__init__(incoming, name)
        if n % 2 == 0:
            raise NotImplementedError(f"LocalResponseNormalization2DLayer: n must be odd, got {n}")
        self.alpha, self.k, self.beta, self.n = alpha, k, beta, n

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        half, channels = self.n // 2, input.shape[1]
        squares = padded(T.sqr(input), [(0, 0), (half, half), (0, 0), (0, 0)])
        total = squares[:, :channels]
        for i in range(1, self.n):
            total = total + squares[:, i:i + channels]
        return input / (self.k + self.alpha * total) ** self.beta


def _auto_axes(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


class BatchNormLayer(Layer):
    """Values less their mean, over their deviation, each over a batch; scaled by `gamma`, shifted by `beta`.

    While training it uses the batch's mean and deviation, and lets running averages follow, with default updates of functions.
    With ``deterministic=True`` it uses these.

    Parameters
    ----------
    incoming : Layer or tuple
    axes : 'auto', int or tuple of int
        What is averaged over; 'auto' is all but axis 1.
    epsilon : float
        Added to the variance.
    alpha : float
        How much of the running average is replaced at each step.
    beta, gamma : as `Layer.add_param`, or None for none
    mean, inv_std : as `Layer.add_param`
        The running averages.
    name : str, optional

    Raises
    ------
    ValueError
        If an extent that isn't averaged over isn't known.

    Notes
    -----
    ``get_output(..., batch_norm_use_averages=, batch_norm_update_averages=)`` chooses either against `deterministic`.
    A layer that is applied twice in a function updates its averages twice, in turn.

    References
    ----------
    Ioffe and Szegedy (2015), Batch normalization.
    """

    def __init__(self, incoming: Any, axes: Any = "auto", epsilon: float = 1e-4, alpha: Any = 0.1,
                 beta: Any = init.Constant(0), gamma: Any = init.Constant(1), mean: Any = init.Constant(0),  # noqa: B008
                 inv_std: Any = init.Constant(1), name: str | None = None) -> None:  # noqa: B008
        super().__init__(incoming, name)
        ndim = len(self.input_shape)
        if isinstance(axes, str) and axes != "auto":
            raise ValueError(f"BatchNormLayer: axes must be 'auto', an int or a tuple of int, got {axes!r}")
        chosen = _auto_axes(ndim) if isinstance(axes, str) else (axes,) if isinstance(axes, int) else tuple(axes)
        self.axes = tuple(a % ndim for a in chosen)
        self.epsilon, self.alpha = epsilon, alpha
        shape = [n for a, n in enumerate(self.input_shape) if a not in self.axes]
        if None in shape:
            raise ValueError(f"BatchNormLayer: extents of the axes that aren't normalized over must be known, got shape "
                             f"{self.input_shape}, axes {self.axes}")
        extents: Any = shape
        self.beta = None if beta is None else self.add_param(beta, extents, "beta", trainable=True, regularizable=False)
        self.gamma = None if gamma is None else self.add_param(gamma, extents, "gamma", trainable=True, regularizable=True)
        self.mean = self.add_param(mean, extents, "mean", trainable=False, regularizable=False)
        self.inv_std = self.add_param(inv_std, extents, "inv_std", trainable=False, regularizable=False)

    def get_output_for(self, input: Any, deterministic: bool = False, batch_norm_use_averages: bool | None = None,
                       batch_norm_update_averages: bool | None = None, **kwargs: Any) -> Any:
        use = deterministic if batch_norm_use_averages is None else batch_norm_use_averages
        update = not deterministic if batch_norm_update_averages is None else batch_norm_update_averages
        mean, inv_std = self.mean, self.inv_std
        if not use or update:
            batch_mean = input.mean(self.axes)
            batch_inv_std = T.inv(T.sqrt(input.var(self.axes) + self.epsilon))
            if not use:
                mean, inv_std = batch_mean, batch_inv_std
            if update:
                mean = _following(self.mean, batch_mean, self.alpha, mean)
                inv_std = _following(self.inv_std, batch_inv_std, self.alpha, inv_std)
        count = iter(range(input.ndim))
        pattern = ["x" if a in self.axes else next(count) for a in range(input.ndim)]
        mean, inv_std = mean.dimshuffle(pattern), inv_std.dimshuffle(pattern)
        scale = inv_std if self.gamma is None else self.gamma.dimshuffle(pattern) * inv_std
        out = (input - mean) * scale
        return out if self.beta is None else out + self.beta.dimshuffle(pattern)


def _following(average: Any, value: Any, alpha: Any, used: Any) -> Any:
    """Return `used`, such that functions with it move `average` towards `value`.

    A clone carries the default update, so that only what is made from here on makes it.
    """
    running = average.clone()
    running.default_update = ((1 - alpha) * running + alpha * value).astype(average.dtype)
    return T.second(running, used)


class StandardizationLayer(Layer):
    """Values less their mean, over their deviation, each over axes of the same item; the same in training.

    Parameters
    ----------
    incoming : Layer or tuple
    axes : 'auto', 'spatial', 'features', int or tuple of int
        'spatial': all but the first two; 'features': all but the first; 'auto': the last of two, else 'spatial'.
    epsilon : float
        Added to the variance.
    name : str, optional

    References
    ----------
    Ba et al. (2016), Layer normalization. Ulyanov et al. (2016), Instance normalization.
    """

    def __init__(self, incoming: Any, axes: Any = "auto", epsilon: float = 1e-4, name: str | None = None) -> None:
        super().__init__(incoming, name)
        ndim = len(self.input_shape)
        if axes == "auto":
            axes = (1,) if ndim == 2 else tuple(range(2, ndim))
        elif axes == "spatial":
            axes = tuple(range(2, ndim))
        elif axes == "features":
            axes = tuple(range(1, ndim))
        elif isinstance(axes, str):
            raise ValueError(f"StandardizationLayer: axes must be 'auto', 'spatial', 'features', an int or a tuple, got {axes!r}")
        self.axes = tuple(a % ndim for a in ((axes,) if isinstance(axes, int) else axes))
        if not self.axes:
            raise ValueError(f"StandardizationLayer: nothing to normalize over in an input of shape {self.input_shape}")
        self.epsilon = epsilon

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        mean = input.mean(self.axes, keepdims=True)
        return (input - mean) / T.sqrt(input.var(self.axes, keepdims=True) + self.epsilon)


def _taken(layer: Any) -> Any:
    """Take a layer's nonlinearity and bias away; return the nonlinearity."""
    nonlinearity = getattr(layer, "nonlinearity", None)
    if nonlinearity is not None:
        layer.nonlinearity = nonlinearities.identity
    if getattr(layer, "b", None) is not None:
        del layer.params[layer.b]
        layer.b = None
    return nonlinearity


def _named(layer: Any, kwargs: dict[str, Any], ending: str) -> Any:
    return kwargs.pop("name", None) or (getattr(layer, "name", None) and layer.name + ending)


def batch_norm(layer: Any, **kwargs: Any) -> Layer:
    """Return a layer with batch normalization between it and its nonlinearity; its bias goes, as `beta` takes its place.

    Parameters
    ----------
    layer : Layer
        It is changed.
    **kwargs
        For `BatchNormLayer`.

    Returns
    -------
    BatchNormLayer or NonlinearityLayer
    """
    nonlinearity, name = _taken(layer), _named(layer, kwargs, "_bn")
    out: Layer = BatchNormLayer(layer, name=name, **kwargs)
    return out if nonlinearity is None else NonlinearityLayer(out, nonlinearity, name=name and name + "_nonlin")


def _standardized(layer: Any, ending: str, learn_scale: bool, learn_bias: bool, kwargs: dict[str, Any]) -> Layer:
    nonlinearity, name = _taken(layer), _named(layer, kwargs, ending)
    out: Layer = StandardizationLayer(layer, name=name, **kwargs)
    if learn_scale:
        out = ScaleLayer(out, name=name and name + "_scale")
    if learn_bias:
        out = BiasLayer(out, name=name and name + "_bias")
    return out if nonlinearity is None else NonlinearityLayer(out, nonlinearity, name=name and name + "_nonlin")


def instance_norm(layer: Any, learn_scale: bool = True, learn_bias: bool = True, **kwargs: Any) -> Layer:
    """Return a layer with `StandardizationLayer` over places, scale and bias between it and its nonlinearity.

    Parameters
    ----------
    layer : Layer
        It is changed: bias and nonlinearity go.
    learn_scale, learn_bias : bool
    **kwargs
        For `StandardizationLayer`.
    """
    return _standardized(layer, "_in", learn_scale, learn_bias, {"axes": "spatial"} | kwargs)


def layer_norm(layer: Any, **kwargs: Any) -> Layer:
    """Return a layer with `StandardizationLayer` over features, scale and bias between it and its nonlinearity.

    Parameters
    ----------
    layer : Layer
        It is changed: bias and nonlinearity go.
    **kwargs
        For `StandardizationLayer`.
    """
    return _standardized(layer, "_ln", True, True, {"axes": "features"} | kwargs)


__all__: Sequence[str] = ["BatchNormLayer", "LocalResponseNormalization2DLayer", "StandardizationLayer", "batch_norm",
                          "instance_norm", "layer_norm"]
