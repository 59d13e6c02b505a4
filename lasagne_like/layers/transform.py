"""Layers that sample images at places which another network chooses."""
from __future__ import annotations

from typing import Any

import numpy as np

import symbolic.tensor as T
from lasagne_like import utils
from lasagne_like.layers.base import MergeLayer, Shape

_BORDERS = ("nearest", "mirror", "wrap")


class _SamplingLayer(MergeLayer):
    """What both transformers share: the output's size and sampling."""

    def __init__(self, incoming: Any, localization_network: Any, downsample_factor: Any, border_mode: str,
                 name: str | None) -> None:
        super().__init__([incoming, localization_network], name)
        who = type(self).__name__
        self.downsample_factor = utils.as_tuple(downsample_factor, 2)
        if border_mode not in _BORDERS:
            raise ValueError(f"{who}: border_mode must be one of {', '.join(map(repr, _BORDERS))}, got {border_mode!r}")
        self.border_mode = border_mode
        image, places = self.input_shapes
        if len(image) != 4:
            raise ValueError(f"{who}: the image must have 4 axes (batch, channels, rows, columns), got shape {image}")
        if len(places) != 2 or places[1] is None:
            raise ValueError(f"{who}: the localization network must give 2 axes (batch, numbers), got shape {places}")

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        image = input_shape[0]
        size = zip(image[2:], self.downsample_factor, strict=True)
        return (*image[:2], *(None if n is None else int(n // f) for n, f in size))

    def _size(self, image: Any) -> tuple[Any, Any]:
        """Return rows and columns of the output."""
        known = self.get_output_shape_for([self.input_shapes[0]])[2:]
        rows, columns = (T.cast(image.shape[2 + k] // f, "int64") if n is None else n
                         for k, (n, f) in enumerate(zip(known, self.downsample_factor, strict=True)))
        return rows, columns


def _steps(n: Any, dtype: str) -> Any:
    """Return `n` numbers from -1 to 1; -1 for one."""
    between = T.maximum(n - 1, 1) if not isinstance(n, int) else max(n - 1, 1)
    count: Any = T.arange(n)
    return T.cast(count, dtype) * (np.asarray(2, dtype) / T.cast(between, dtype)) - np.asarray(1, dtype)


def _grid(rows: Any, columns: Any, dtype: str) -> tuple[Any, Any]:
    """Return x and y of all places of an image of this size, (rows * columns,) each, from -1 to 1."""
    x, y = _steps(columns, dtype), _steps(rows, dtype)
    across: Any = T.zeros((rows, columns), dtype)
    return (across + x.dimshuffle("x", 0)).flatten(), (across + y.dimshuffle(0, "x")).flatten()


def _folded(place: Any, n: Any, border_mode: str) -> Any:
    """Return which element stands at an integer place, inside of the image or outside."""
    if border_mode == "nearest":
        return T.clip(place, 0, n - 1)
    if border_mode == "wrap":
        return T.mod(place, n)
    period = 2 * n  # mirrored with the border element twice
    folded = T.mod(place, period)
    return T.switch(T.lt(folded, n), folded, period - 1 - folded)


def sampled(image: Any, x: Any, y: Any, rows: Any, columns: Any, border_mode: str) -> Any:
    """Return `image` at places (batch, places), bilinear, as (batch, channels, rows, columns).

    Parameters
    ----------
    image : Variable, (batch, channels, height, width)
    x, y : Variable, (batch, rows * columns)
        From -1, the first column or row, to 1, the last.
    rows, columns : int or Variable
    border_mode : {'nearest', 'mirror', 'wrap'}
        What stands outside.
    """
    batch, height, width = image.shape[0], image.shape[2], image.shape[3]
    across = (x + 1) / 2 * T.cast(width - 1, image.dtype)
    down = (y + 1) / 2 * T.cast(height - 1, image.dtype)
    left, top = T.floor(across), T.floor(down)
    share_x, share_y = (across - left).dimshuffle(0, 1, "x"), (down - top).dimshuffle(0, 1, "x")
    pixels = image.dimshuffle(0, 2, 3, 1)
    count: Any = T.arange(batch)
    item = count.dimshuffle(0, "x")
    columns_at = [_folded(T.cast(left, "int64") + k, width, border_mode) for k in (0, 1)]
    rows_at = [_folded(T.cast(top, "int64") + k, height, border_mode) for k in (0, 1)]
    upper, lower = ((1 - share_x) * pixels[item, r, columns_at[0]] + share_x * pixels[item, r, columns_at[1]] for r in rows_at)
    out = (1 - share_y) * upper + share_y * lower
    return out.dimshuffle(0, 2, 1).reshape((batch, image.shape[1], rows, columns))


class TransformerLayer(_SamplingLayer):
    """An affine view of an image, for each item as a network says.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, rows, columns)
    localization_network : Layer
        (batch, 6): the matrix (2, 3) that maps places of the output, x, y from -1 to 1, and 1, to places of the input.
    downsample_factor : number or pair
        By which the output has fewer rows and columns.
    border_mode : {'nearest', 'mirror', 'wrap'}
        What stands outside of the image.
    name : str, optional

    Raises
    ------
    ValueError
        If shapes don't fit.

    References
    ----------
    Jaderberg et al. (2015), Spatial transformer networks.
    """

    def __init__(self, incoming: Any, localization_network: Any, downsample_factor: Any = 1, border_mode: str = "nearest",
                 name: str | None = None) -> None:
        super().__init__(incoming, localization_network, downsample_factor, border_mode, name)
        if self.input_shapes[1][1] != 6:
            raise ValueError(f"TransformerLayer: the localization network must give 6 numbers, got shape {self.input_shapes[1]}")

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        image, theta = input
        rows, columns = self._size(image)
        x, y = (g.dimshuffle("x", 0) for g in _grid(rows, columns, image.dtype))
        t = [theta[:, k].dimshuffle(0, "x") for k in range(6)]
        at = [t[3 * k] * x + t[3 * k + 1] * y + t[3 * k + 2] for k in (0, 1)]
        return sampled(image, at[0], at[1], rows, columns, self.border_mode)


class TPSTransformerLayer(_SamplingLayer):
    """A thin-plate-spline view of an image, for each item as a network says.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, rows, columns)
    localization_network : Layer
        (batch, 2 * control_points): x of all control points in the input, then y.
    downsample_factor : number or pair
        By which the output has fewer rows and columns.
    control_points : int
        A square number: they lie on a grid in the output.
    precompute_grid : 'auto' or bool
        Compute the splines' terms once instead of in each call; needs known extents. 'auto' does where they are known.
    border_mode : {'nearest', 'mirror', 'wrap'}
        What stands outside of the image.
    name : str, optional

    Raises
    ------
    ValueError
        If shapes don't fit, or the number of control points isn't a square.

    References
    ----------
    Jaderberg et al. (2015), Spatial transformer networks. Bookstein (1989), Principal warps.
    """

    def __init__(self, incoming: Any, localization_network: Any, downsample_factor: Any = 1, control_points: int = 16,
                 precompute_grid: Any = "auto", border_mode: str = "nearest", name: str | None = None) -> None:
        super().__init__(incoming, localization_network, downsample_factor, border_mode, name)
        if self.input_shapes[1][1] != 2 * control_points:
            raise ValueError(f"TPSTransformerLayer: the localization network must give {2 * control_points} numbers, got shape "
                             f"{self.input_shapes[1]}")
        side = int(round(np.sqrt(control_points)))
        if side**2 != control_points or side < 2:
            raise ValueError(f"TPSTransformerLayer: control_points must be a square number from 4 on, got {control_points}")
        known = None not in self.input_shapes[0][2:]
        if precompute_grid is True and not known:
            raise ValueError(f"TPSTransformerLayer: precompute_grid needs known extents, got shape {self.input_shapes[0]}")
        self.precompute_grid = known if precompute_grid == "auto" else bool(precompute_grid)
        self.control_points = control_points
        line = np.linspace(-1, 1, side)
        self._x, self._y = (g.ravel() for g in np.meshgrid(line, line))
        #: from the control points' places to the coefficients of the spline, (control_points + 3, control_points)
        self._inverse = np.linalg.inv(self._system())[:, :control_points]

    def _system(self) -> np.ndarray:
        """Return the matrix whose solution gives weights of the radial terms, then the affine part."""
        n = self.control_points
        square = (self._x[:, None] - self._x) ** 2 + (self._y[:, None] - self._y) ** 2
        radial = square * np.log(np.where(square == 0, 1, square))
        affine = np.stack([np.ones(n), self._x, self._y], 1)
        return np.block([[radial, affine], [affine.T, np.zeros((3, 3))]])

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        image, places = input
        n, dtype = self.control_points, image.dtype
        rows, columns = self._size(image)
        basis: Any
        terms: Any
        square: Any
        if self.precompute_grid:
            xs, ys = (g.ravel() for g in np.meshgrid(*(np.linspace(-1, 1, k) if k > 1 else np.array([-1.0]) for k in (columns,
                                                                                                                      rows))))
            square = (xs[:, None] - self._x) ** 2 + (ys[:, None] - self._y) ** 2
            terms = np.hstack([square * np.log(np.where(square == 0, 1, square)), np.ones((len(xs), 1)), xs[:, None], ys[:,
                                                                                                                         None]])
            basis = T.constant((terms @ self._inverse).astype(dtype))
        else:
            x, y = (g.dimshuffle(0, "x") for g in _grid(rows, columns, dtype))
            square = T.sqr(x - self._x.astype(dtype)) + T.sqr(y - self._y.astype(dtype))
            terms = T.concatenate([square * T.log(T.switch(T.eq(square, 0), np.asarray(1, dtype), square)), T.ones_like(x), x,
                                   y], axis=1)
            basis = T.dot(terms, self._inverse.astype(dtype))
        at = [T.dot(places[:, k * n:(k + 1) * n], basis.T) for k in (0, 1)]
        return sampled(image, at[0], at[1], rows, columns, self.border_mode)
