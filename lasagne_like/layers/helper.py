"""Walks over networks: outputs, parameters, values."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import symbolic
from lasagne_like.layers.base import Layer, Shape
from lasagne_like.layers.input import InputLayer


def get_all_layers(layer: Layer | Sequence[Layer], treat_as_input: Sequence[Layer] | None = None) -> list[Layer]:
    """Return the layers that feed `layer`, itself last; not what feeds those in `treat_as_input`."""
    stop = set(treat_as_input or ())
    found: dict[Layer, None] = {}
    ends: list[Any] = list(layer) if isinstance(layer, (list, tuple)) else [layer]
    stack: list[tuple[Any, bool]] = [(one, False) for one in reversed(ends)]
    while stack:
        at, done = stack.pop()
        if at in found:
            continue
        below = None if at in stop else at.input_layer
        if done or below is None:
            found[at] = None
        else:
            stack += [(at, True), (below, False)]
    return list(found)


def get_output(layer_or_layers: Any, inputs: Any = None, **kwargs: Any) -> Any:
    """Return the output of layers as expressions.

    Parameters
    ----------
    layer_or_layers : Layer or list of Layer
    inputs : Variable, array, or dict from Layer to these, optional
        What stands for the network's input variables, or for the outputs of some layers.
    **kwargs
        Passed to every layer's ``get_output_for`` (``deterministic=True``).
    """
    wanted = layer_or_layers if isinstance(layer_or_layers, (list, tuple)) else [layer_or_layers]
    given = dict(inputs) if isinstance(inputs, dict) else {}
    known: dict[Layer, Any] = {one: symbolic.graph.as_tensor_variable(v) for one, v in given.items()}
    for layer in get_all_layers(wanted, treat_as_input=list(known)):
        if layer in known:
            continue
        if isinstance(layer, InputLayer):
            single = inputs is not None and not isinstance(inputs, dict)
            known[layer] = symbolic.graph.as_tensor_variable(inputs) if single else layer.input_var
        elif layer.input_layer is None:
            raise ValueError(f"get_output: {type(layer).__name__} was made from a shape; pass its input as inputs={{layer: x}}")
        else:
            known[layer] = layer.get_output_for(known[layer.input_layer], **kwargs)
    out = [known[one] for one in wanted]
    return out if isinstance(layer_or_layers, (list, tuple)) else out[0]


def get_output_shape(layer: Layer) -> Shape:
    """Return the shape of a layer's output; None where it is known at the call only."""
    return layer.output_shape


def get_all_params(layer: Layer | Sequence[Layer], unwrap_shared: bool = True, **tags: bool) -> list[Any]:
    """Return the parameters of a network, each once, perhaps only those with some tags (``trainable=True``)."""
    return list(dict.fromkeys(p for one in get_all_layers(layer) for p in one.get_params(unwrap_shared, **tags)))


def count_params(layer: Layer | Sequence[Layer], **tags: bool) -> int:
    """Return how many numbers the parameters hold."""
    return sum(p.get_value(borrow=True).size for p in get_all_params(layer, **tags))


def get_all_param_values(layer: Layer | Sequence[Layer], **tags: bool) -> list[np.ndarray]:
    """Return copies of the parameters' values, in the order of `get_all_params`."""
    return [p.get_value() for p in get_all_params(layer, **tags)]


def set_all_param_values(layer: Layer | Sequence[Layer], values: Sequence[Any], **tags: bool) -> None:
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
