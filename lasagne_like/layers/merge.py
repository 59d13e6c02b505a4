"""Layers that join several inputs."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import symbolic.tensor as T
from lasagne_like.layers.base import MergeLayer, Shape

_MODES = (None, "lower", "upper", "center")


def _cropping(cropping: Any, ndim: int) -> list[Any]:
    """Return a mode for each axis: those behind the given ones aren't cropped."""
    modes = [None] * ndim if cropping is None else list(cropping)[:ndim]
    for mode in modes:
        if mode not in _MODES:
            raise ValueError(f"cropping: each mode must be one of {_MODES}, got {mode!r}")
    return modes + [None] * (ndim - len(modes))


def _same_rank(ranks: Sequence[int]) -> int:
    if len(set(ranks)) > 1:
        raise ValueError(f"all inputs must have the same number of axes, got {', '.join(map(str, ranks))}")
    return ranks[0]


def autocrop(inputs: Sequence[Any], cropping: Any) -> list[Any]:
    """Return inputs cut to the smallest extent of each axis that is cropped.

    Parameters
    ----------
    inputs : list of Variable
        Of the same number of axes.
    cropping : list of None, 'lower', 'upper' or 'center', or None
        For each axis, what stays: all, the first entries, the last ones, those in the middle.

    Raises
    ------
    ValueError
        For another mode, or different numbers of axes.
    """
    if cropping is None:
        return list(inputs)
    modes = _cropping(cropping, _same_rank([x.ndim for x in inputs]))
    cuts: list[list[slice]] = [[] for _ in inputs]
    for axis, mode in enumerate(modes):
        extents = [x.shape[axis] for x in inputs]
        least = extents[0]
        for n in extents[1:]:
            least = T.minimum(least, n)
        for cut, n in zip(cuts, extents, strict=True):
            first = {None: None, "lower": 0, "upper": n - least, "center": (n - least) // 2}[mode]
            cut.append(slice(None) if mode is None else slice(first, first + least))
    return [x[tuple(cut)] for x, cut in zip(inputs, cuts, strict=True)]


def autocrop_array_shapes(input_shapes: Sequence[Shape], cropping: Any) -> list[Shape]:
    """Return the shapes that `autocrop` gives; None where an extent isn't known.

    Examples
    --------
    >>> autocrop_array_shapes([(1, 5), (1, 3)], [None, "center"])
    [(1, 3), (1, 3)]
    """
    if cropping is None:
        return [tuple(s) for s in input_shapes]
    modes = _cropping(cropping, _same_rank([len(s) for s in input_shapes]))
    out: list[list[Any]] = [list(s) for s in input_shapes]
    for axis, mode in enumerate(modes):
        extents = [s[axis] for s in input_shapes]
        if mode is not None:
            least = None if None in extents else min(extents)  # type: ignore[type-var]
            for s in out:
                s[axis] = least
    return [tuple(s) for s in out]


def _agreed(shapes: Sequence[Shape], who: str, broadcast: bool = False, besides: int | None = None) -> list[Any]:
    """Return the extent of each axis that all shapes have."""
    _same_rank([len(s) for s in shapes])
    out: list[Any] = []
    for axis, extents in enumerate(zip(*shapes, strict=True)):
        known = {n for n in extents if n is not None}
        if broadcast and len(known) > 1:
            known.discard(1)
        if len(known) > 1 and axis != besides:
            raise ValueError(f"{who}: input shapes must agree{'' if besides is None else f' except on axis {besides}'}, "
                             f"got {', '.join(map(str, shapes))}; cropping= cuts them")
        only = known.pop() if known else None
        # beside an extent 1, which repeats, an unknown one decides
        out.append(None if broadcast and only == 1 and None in extents else only)
    return out


class ConcatLayer(MergeLayer):
    """Inputs side by side on one axis.

    Parameters
    ----------
    incomings : list of Layer or tuple
    axis : int
    cropping : list, optional
        As for `autocrop`; `axis` itself is never cropped.
    name : str, optional

    Examples
    --------
    >>> ConcatLayer([(None, 3, 8), (None, 2, 8)]).output_shape
    (None, 5, 8)
    """

    def __init__(self, incomings: Sequence[Any], axis: int = 1, cropping: Any = None, name: str | None = None) -> None:
        super().__init__(incomings, name)
        ndim = _same_rank([len(s) for s in self.input_shapes])
        if not -ndim <= axis < ndim:
            raise ValueError(f"ConcatLayer: axis is {axis}, but the inputs have {ndim} axes")
        self.axis = axis
        modes = None if cropping is None else _cropping(cropping, ndim)
        if modes is not None:
            modes[axis] = None
        self.cropping = modes
        self.output_shape  # noqa: B018  (raises where shapes don't agree)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        shapes = autocrop_array_shapes(input_shape, self.cropping)
        axis = self.axis % len(shapes[0])
        out = _agreed(shapes, "ConcatLayer", besides=axis)
        sizes: list[Any] = [s[axis] for s in shapes]
        out[axis] = None if None in sizes else sum(sizes)
        return tuple(out)

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        return T.concatenate(autocrop(input, self.cropping), axis=self.axis)


class ElemwiseMergeLayer(MergeLayer):
    """One function of two, applied to all inputs from the first to the last.

    Parameters
    ----------
    incomings : list of Layer or tuple
        Axes of extent 1 repeat.
    merge_function : callable
        ``T.add``, ``T.mul``, ``T.maximum``, ...
    cropping : list, optional
        As for `autocrop`.
    name : str, optional
    """

    def __init__(self, incomings: Sequence[Any], merge_function: Callable[..., Any], cropping: Any = None,
                 name: str | None = None) -> None:
        super().__init__(incomings, name)
        self.merge_function, self.cropping = merge_function, cropping
        self.output_shape  # noqa: B018  (raises where shapes don't agree)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return tuple(_agreed(autocrop_array_shapes(input_shape, self.cropping), type(self).__name__, broadcast=True))

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        xs = autocrop(input, self.cropping)
        out = xs[0]
        for x in xs[1:]:
            out = self.merge_function(out, x)
        return out


class ElemwiseSumLayer(ElemwiseMergeLayer):
    """The sum of inputs, each times a number.

    Parameters
    ----------
    incomings : list of Layer or tuple
    coeffs : number or list of numbers
    cropping : list, optional
        As for `autocrop`.
    name : str, optional

    Raises
    ------
    ValueError
        If there are other than one coefficient for each input.
    """

    def __init__(self, incomings: Sequence[Any], coeffs: Any = 1, cropping: Any = None, name: str | None = None) -> None:
        super().__init__(incomings, T.add, cropping=cropping, name=name)
        self.coeffs = list(coeffs) if isinstance(coeffs, (list, tuple)) else [coeffs] * len(incomings)
        if len(self.coeffs) != len(incomings):
            raise ValueError(f"ElemwiseSumLayer: got {len(self.coeffs)} coeffs for {len(incomings)} inputs")

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        scaled = [x if isinstance(c, (int, float)) and c == 1 else x * c for x, c in zip(input, self.coeffs, strict=True)]
        return super().get_output_for(scaled, **kwargs)


concat = ConcatLayer  # Lasagne's short name
