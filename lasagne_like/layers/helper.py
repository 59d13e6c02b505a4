"""Walks over networks: outputs, parameters, values."""
from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from lasagne_like import utils
from lasagne_like.layers.base import MergeLayer, Shape
from lasagne_like.layers.input import InputLayer


def _listed(layer: Any) -> list[Any]:
    return list(layer) if isinstance(layer, (list, tuple)) else [layer]


def feeds(layer: Any) -> list[Any]:
    """Return the layers that feed `layer`; None for an input that is only a shape."""
    if isinstance(layer, MergeLayer):
        return list(layer.input_layers)
    return [] if isinstance(layer, InputLayer) else [layer.input_layer]


def get_all_layers(layer: Any, treat_as_input: Sequence[Any] | None = None) -> list[Any]:
    """Return the layers that feed `layer`, itself last: each after those that feed it.

    Parameters
    ----------
    layer : Layer or list of Layer
    treat_as_input : iterable of Layer, optional
        What feeds these is left out.

    Examples
    --------
    >>> from lasagne_like.layers import DenseLayer
    >>> [type(l).__name__ for l in get_all_layers(DenseLayer(InputLayer((None, 3)), 2))]
    ['InputLayer', 'DenseLayer']
    """
    stop = set(treat_as_input or ())
    found: dict[Any, None] = {}
    stack: list[tuple[Any, bool]] = [(one, False) for one in reversed(_listed(layer))]
    while stack:
        at, done = stack.pop()
        if at in found or at is None:
            continue
        if done or at in stop:
            found[at] = None
        else:
            stack += [(at, True), *((below, False) for below in reversed(feeds(at)))]
    return list(found)


def get_output(layer_or_layers: Any, inputs: Any = None, **kwargs: Any) -> Any:
    """Return the output of layers as expressions.

    Parameters
    ----------
    layer_or_layers : Layer or list of Layer
    inputs : Variable, array, or dict from Layer to these, optional
        What stands for all input layers, or for the outputs of some layers; the key None for the input of layers
        that were made from a shape.
    **kwargs
        Passed to every layer's ``get_output_for`` (``deterministic=True``).

    Returns
    -------
    Variable or list of Variable

    Raises
    ------
    ValueError
        If a layer was made from a shape, and nothing stands for its input.

    Warns
    -----
    UserWarning
        Of keywords that no layer takes, with those that may have been meant.
    """
    given = {k: utils.as_theano_expression(v) for k, v in inputs.items()} if isinstance(inputs, dict) else {}
    layers = get_all_layers(layer_or_layers, treat_as_input=list(given))
    known: dict[Any, Any] = dict(given)
    single = None if inputs is None or isinstance(inputs, dict) else utils.as_theano_expression(inputs)
    accepted = {"deterministic"}
    for layer in layers:
        if layer in known:
            continue
        if isinstance(layer, InputLayer):
            known[layer] = layer.input_var if single is None else single
            continue
        sources = feeds(layer)
        if any(s not in known for s in sources):
            raise ValueError(f"get_output: {layer!r} was made from a shape; pass its input as inputs={{None: x}}, "
                             "or its output as inputs={layer: y}")
        value: Any = [known[s] for s in sources] if isinstance(layer, MergeLayer) else known[sources[0]]
        known[layer] = layer.get_output_for(value, **kwargs)
        accepted.update(utils.inspect_kwargs(layer.get_output_for), layer.get_output_kwargs)
    _warn_of_unused(set(kwargs) - accepted, accepted)
    out = [known[one] for one in _listed(layer_or_layers)]
    return out if isinstance(layer_or_layers, (list, tuple)) else out[0]


def _warn_of_unused(unused: set[str], accepted: set[str]) -> None:
    for name in sorted(unused):
        close = difflib.get_close_matches(name, accepted)
        meant = f" (perhaps you meant {', '.join(close)})" if close else ""
        warnings.warn(f"get_output: no layer takes the keyword {name}{meant}", stacklevel=3)


def get_output_shape(layer_or_layers: Any, input_shapes: Any = None) -> Any:
    """Return the shape of layers' outputs; None where an extent is known at the call only.

    Parameters
    ----------
    layer_or_layers : Layer or list of Layer
    input_shapes : tuple, or dict from Layer to tuple, optional
        Shapes of all input layers, or of some layers' outputs, in the place of those that they were made with.
    """
    wanted = _listed(layer_or_layers)
    known: dict[Any, Shape] = dict(input_shapes) if isinstance(input_shapes, dict) else {}
    for layer in get_all_layers(wanted, treat_as_input=list(known)):
        if layer in known:
            continue
        if isinstance(layer, InputLayer):
            known[layer] = layer.shape if input_shapes is None or isinstance(input_shapes, dict) else tuple(input_shapes)
        elif isinstance(layer, MergeLayer):
            shapes = zip(layer.input_layers, layer.input_shapes, strict=True)
            known[layer] = layer.get_output_shape_for([shape if s is None and None not in known else known[s]
                                                       for s, shape in shapes])
        else:
            below = layer.input_layer
            known[layer] = layer.get_output_shape_for(known[below] if below in known else layer.input_shape)
    out = [known[one] for one in wanted]
    return out if isinstance(layer_or_layers, (list, tuple)) else out[0]


def get_all_params(layer: Any, unwrap_shared: bool = True, **tags: bool) -> list[Any]:
    """Return the parameters of a network, each once, perhaps only those with some tags (``trainable=True``).

    Parameters
    ----------
    layer : Layer or list of Layer
    unwrap_shared, **tags
        As for ``Layer.get_params``.
    """
    return utils.unique(p for one in get_all_layers(layer) for p in one.get_params(unwrap_shared=unwrap_shared, **tags))


def count_params(layer: Any, **tags: bool) -> int:
    """Return how many numbers the parameters hold."""
    return sum(p.get_value(borrow=True).size for p in get_all_params(layer, **tags))


def get_all_param_values(layer: Any, **tags: bool) -> list[np.ndarray]:
    """Return copies of the parameters' values, in the order of `get_all_params`."""
    return [p.get_value() for p in get_all_params(layer, **tags)]


def set_all_param_values(layer: Any, values: Sequence[Any], **tags: bool) -> None:
    """Set the parameters' values, in the order of `get_all_params`; all or none.

    Raises
    ------
    ValueError
        If their number or a shape differs.
    """
    params = get_all_params(layer, **tags)
    if len(values) != len(params):
        raise ValueError(f"set_all_param_values: got {len(values)} values for {len(params)} parameters")
    for p, v in zip(params, values, strict=True):
        if np.shape(v) != p.get_value(borrow=True).shape:
            raise ValueError(f"set_all_param_values: {p} has shape {p.get_value(borrow=True).shape}, got {np.shape(v)}")
    for p, v in zip(params, values, strict=True):
        p.set_value(np.asarray(v, p.dtype))
