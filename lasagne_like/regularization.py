"""Penalties on parameters, to be added to a loss."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import symbolic.tensor as T
from lasagne_like.layers.base import Layer
from lasagne_like.layers.helper import get_all_params

_REGULARIZABLE = {"regularizable": True}


def l1(x: Any) -> Any:
    """Return the sum of magnitudes, scalar."""
    return T.sum(abs(x))


def l2(x: Any) -> Any:
    """Return the sum of squares, scalar."""
    return T.sum(T.sqr(x))


def apply_penalty(tensor_or_tensors: Any, penalty: Callable[..., Any], **kwargs: Any) -> Any:
    """Return the penalty of one expression, or the sum of those of several.

    Parameters
    ----------
    tensor_or_tensors : Variable or iterable of Variable
    penalty : callable
        `l1`, `l2`, or one like them.
    **kwargs
        For `penalty`.
    """
    try:
        tensors = list(tensor_or_tensors)
    except TypeError:
        return penalty(tensor_or_tensors, **kwargs)
    return sum(penalty(x, **kwargs) for x in tensors)


def regularize_layer_params(layer: Any, penalty: Callable[..., Any], tags: Any = None, **kwargs: Any) -> Any:
    """Return the penalty of the parameters of a layer, or of some layers, not of what feeds them.

    Parameters
    ----------
    layer : Layer or list of Layer
    penalty : callable
    tags : dict
        Which parameters; by default those that are ``regularizable``.
    **kwargs
        For `penalty`.

    Examples
    --------
    >>> from lasagne_like.layers import DenseLayer
    >>> regularize_layer_params(DenseLayer((None, 3), 2), l2).ndim
    0
    """
    layers = [layer] if isinstance(layer, Layer) else list(layer)
    chosen = _REGULARIZABLE if tags is None else tags
    return apply_penalty([p for one in layers for p in one.get_params(**chosen)], penalty, **kwargs)


def regularize_layer_params_weighted(layers: dict[Any, Any], penalty: Callable[..., Any], tags: Any = None, **kwargs: Any) -> Any:
    """Return the sum of layers' penalties, each times its coefficient.

    Parameters
    ----------
    layers : dict from Layer (or tuple of Layer) to number or Variable
    penalty, tags, **kwargs
        As for `regularize_layer_params`.
    """
    return sum(c * regularize_layer_params(layer, penalty, tags, **kwargs) for layer, c in layers.items())


def regularize_network_params(layer: Any, penalty: Callable[..., Any], tags: Any = None, **kwargs: Any) -> Any:
    """Return the penalty of all parameters of a network.

    Parameters
    ----------
    layer : Layer or list of Layer
        The network's outputs.
    penalty, tags, **kwargs
        As for `regularize_layer_params`.
    """
    return apply_penalty(get_all_params(layer, **(_REGULARIZABLE if tags is None else tags)), penalty, **kwargs)
