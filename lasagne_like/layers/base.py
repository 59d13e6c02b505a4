"""The bases of all layers."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import symbolic
from lasagne_like import utils

Shape = tuple[int | None, ...]


def _shape_of(incoming: Any, who: str) -> Shape:
    """Return the output shape of a layer, or a shape that was given in its place."""
    shape = tuple(incoming) if isinstance(incoming, (tuple, list)) else incoming.output_shape
    for n in shape:
        if n is not None and (not isinstance(n, symbolic.Variable) and n <= 0):
            raise ValueError(f"{who}: extents must be positive or None, got input shape {shape}")
    return shape


class Layer:
    """One layer of a network; nothing symbolic is built before `get_output`.

    Parameters
    ----------
    incoming : Layer or tuple
        The layer that feeds this one, or the shape of its input.
    name : str, optional
        Parameters are named after it.

    Attributes
    ----------
    input_layer : Layer or None
    input_shape, output_shape : tuple of int or None
        None where the extent is known at the call only.
    params : dict from Variable to set of str
        Parameters with their tags.
    get_output_kwargs : list of str
        Keywords for `get_output` that the signature of `get_output_for` doesn't show.

    Examples
    --------
    >>> class Doubled(Layer):
    ...     def get_output_for(self, input, **kwargs):
    ...         return 2 * input
    >>> Doubled((None, 3)).output_shape
    (None, 3)
    """

    def __init__(self, incoming: Any, name: str | None = None) -> None:
        self.input_layer: Any = None if isinstance(incoming, (tuple, list)) else incoming
        self.input_shape: Shape = _shape_of(incoming, type(self).__name__)
        self.name = name
        self.params: dict[Any, set[str]] = {}
        self.get_output_kwargs: list[str] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{f' {self.name!r}' if self.name else ''}>"

    @property
    def output_shape(self) -> Shape:
        """Extents of the output; None where they are known at the call only."""
        shape = self.get_output_shape_for(self.input_shape)
        if any(isinstance(n, symbolic.Variable) for n in shape):
            raise ValueError(f"{type(self).__name__}: get_output_shape_for gave a symbolic shape, {shape}; "
                             "it must return integers or None")
        return shape

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        """Return the shape of the output for that of the input; here, the same."""
        return input_shape

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        """Return the output as an expression of `input`."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define get_output_for")

    def get_params(self, unwrap_shared: bool = True, **tags: bool) -> list[Any]:
        """Return the parameters, perhaps only those with, or without, some tags (``trainable=True``).

        Parameters
        ----------
        unwrap_shared : bool
            For parameters that are expressions, return the shared variables which they are made of.
        **tags : bool
            True: only parameters with this tag; False: only those without.
        """
        wanted = {t for t, on in tags.items() if on}
        unwanted = {t for t, on in tags.items() if not on}
        found = [p for p, own in self.params.items() if wanted <= own and not unwanted & own]
        return utils.collect_shared_vars(found) if unwrap_shared else found

    def add_param(self, spec: Any, shape: Sequence[int], name: str | None = None, **tags: bool) -> Any:
        """Register a parameter and return it.

        Parameters
        ----------
        spec : SharedVariable, Variable, array, number or callable
            The parameter, its start value, or what makes that from a shape.
        shape : tuple of int
        name : str, optional
            The layer's name and a dot are put before it.
        **tags : bool
            ``trainable`` and ``regularizable`` are on unless given as False.

        Raises
        ------
        ValueError
            If the start value has another shape.
        """
        if name is not None and self.name is not None:
            name = f"{self.name}.{name}"
        param = utils.create_param(spec, shape, name)
        on = {"trainable": True, "regularizable": True} | tags
        self.params[param] = {t for t, yes in on.items() if yes}
        return param


class MergeLayer(Layer):
    """A layer of several inputs: `get_output_shape_for` and `get_output_for` get lists.

    Parameters
    ----------
    incomings : list of Layer or tuple
    name : str, optional

    Attributes
    ----------
    input_layers : list of Layer or None
    input_shapes : list of tuple
    """

    def __init__(self, incomings: Sequence[Any], name: str | None = None) -> None:
        self.input_layers = [None if isinstance(one, (tuple, list)) else one for one in incomings]
        self.input_shapes = [_shape_of(one, type(self).__name__) for one in incomings]
        self.name = name
        self.params = {}
        self.get_output_kwargs = []

    @property
    def output_shape(self) -> Shape:
        """Extents of the output; None where they are known at the call only."""
        shape = self.get_output_shape_for(self.input_shapes)
        if any(isinstance(n, symbolic.Variable) for n in shape):
            raise ValueError(f"{type(self).__name__}: get_output_shape_for gave a symbolic shape, {shape}; "
                             "it must return integers or None")
        return shape

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        """Return the shape of the output for those of the inputs."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define get_output_shape_for")
