"""The base of all layers."""
from __future__ import annotations

from typing import Any

import numpy as np

import symbolic

Shape = tuple[int | None, ...]


class Layer:
    """One layer of a network; nothing symbolic is built before `get_output`.

    Parameters
    ----------
    incoming : Layer or tuple
        The layer that feeds this one, or the shape of its input.
    name : str, optional
        Parameters are named after it.
    """

    def __init__(self, incoming: Any, name: str | None = None) -> None:
        self.input_layer: Layer | None = None if isinstance(incoming, tuple) else incoming
        self.input_shape: Shape = incoming if isinstance(incoming, tuple) else incoming.output_shape
        self.name = name
        #: parameters with their tags
        self.params: dict[Any, set[str]] = {}
        for n in self.input_shape:
            if n is not None and n <= 0:
                raise ValueError(f"{type(self).__name__}: extents must be positive or None, got input shape "
                                 f"{self.input_shape}")

    @property
    def output_shape(self) -> Shape:
        """Extents of the output; None where they are known at the call only."""
        return self.get_output_shape_for(self.input_shape)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for that of the input; here, the same."""
        return input_shape

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        """Return the output as an expression of `input`."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define get_output_for")

    def get_params(self, unwrap_shared: bool = True, **tags: bool) -> list[Any]:
        """Return the parameters, perhaps only those with, or without, some tags (``trainable=True``)."""
        wanted = {t for t, on in tags.items() if on}
        unwanted = {t for t, on in tags.items() if not on}
        return [p for p, own in self.params.items() if wanted <= own and not unwanted & own
                and (not unwrap_shared or isinstance(p, symbolic.SharedVariable))]

    def add_param(self, spec: Any, shape: tuple[int, ...], name: str | None = None, **tags: bool) -> Any:
        """Register a parameter and return it.

        Parameters
        ----------
        spec : SharedVariable, Variable, array, number or callable
            The parameter, its start value, or what makes that from a shape.
        shape : tuple of int
        name : str, optional
        **tags : bool
            ``trainable`` and ``regularizable`` are on unless given as False.

        Raises
        ------
        ValueError
            If the start value has another shape.
        """
        label = f"{self.name}.{name}" if self.name and name else name
        if not isinstance(spec, symbolic.Variable):
            value = spec(shape) if callable(spec) else np.asarray(spec, symbolic.config.floatX)
            value = np.full(shape, value, value.dtype) if value.ndim == 0 else value
            if value.shape != tuple(shape):
                raise ValueError(f"{type(self).__name__}: parameter {label} needs shape {tuple(shape)}, got {value.shape}")
            spec = symbolic.shared(value, label)
        elif spec.ndim != len(shape):
            raise ValueError(f"{type(self).__name__}: parameter {label} needs {len(shape)} axes, got {spec.ndim}")
        on = {"trainable": True, "regularizable": True} | tags
        self.params[spec] = {t for t, yes in on.items() if yes}
        return spec
