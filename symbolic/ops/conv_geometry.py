"""Where a window of a convolution stands: padding, strides, dilation, flipped filters, said once for all of its ops."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant
from symbolic.scalar import Check, Expr, axis, binary, const, reduce_axis, select

_ZERO, _ONE = const(0, "int64"), const(1, "int64")

#: ``'full'``, ``'half'`` (which depend on the filter's extent), or what is added before and behind, an axis a pair.
Border = str | tuple[tuple[int, int], ...]


def window_integers(given: Any, n: int, what: str, op: str, least: int = 1) -> tuple[int, ...]:
    """Return an integer, or one for each of `n` axes, as a tuple.

    Raises
    ------
    ParameterError
        If there aren't as many, or one is no integer or less than `least`.
    """
    values = tuple(given) if isinstance(given, (tuple, list, np.ndarray)) else (given,) * n
    if len(values) != n:
        raise errors.ParameterError(f"{op}: {what} must be an integer or {n} of them, got {given!r}")
    out = []
    for v in values:
        v = v.data if isinstance(v, Constant) else v
        whole = isinstance(v, (int, np.integer)) or isinstance(v, np.ndarray) and v.ndim == 0 and v.dtype.kind in "iu"
        if not whole or isinstance(v, bool) or int(v) < least:
            raise errors.ParameterError(f"{op}: {what} must be integers from {least} on, known when the graph is built, "
                                        f"got {given!r}")
        out.append(int(v))
    return tuple(out)


def border_of(given: Any, n: int, op: str) -> Border:
    """Return a border mode as one pair of paddings an axis, or as 'full' or 'half'.

    Raises
    ------
    ParameterError
        If it is none.
    """
    if isinstance(given, str):
        if given == "valid":
            return ((0, 0),) * n
        if given in ("full", "half"):
            return given
        raise errors.ParameterError(f"{op}: border_mode {given!r} isn't known\nhint: use 'valid', 'full', 'half', an integer or "
                                    f"{n} of them; a pair instead of an integer pads the two sides of an axis differently")
    entries = tuple(given) if isinstance(given, (tuple, list)) else (given,) * n
    if len(entries) != n:
        raise errors.ParameterError(f"{op}: border_mode {given!r} must have an entry for each of {n} axes")
    pairs = []
    for e in entries:
        pair = window_integers(tuple(e) if isinstance(e, (tuple, list)) else (e, e), 2, "border_mode", op, 0)
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def output_extent(size: Any, filter: Any, border: Any, stride: int, dilation: int = 1) -> Any:
    """Return how many places a filter has along an axis; extents are integers, or expressions of extents."""
    reach = (filter - 1) * dilation + 1
    lo, hi = {"full": (reach - 1, reach - 1), "half": (reach // 2, reach // 2)}[border] if isinstance(border, str) else border
    return (size + lo + hi - reach) // stride + 1


@dataclass(frozen=True)
class Windows:
    """The windows of one application: extents of images, filters and results along the axes that are convolved.

    Attributes
    ----------
    image, filter : tuple of Expr
    border : str or tuple of (int, int)
    stride, dilation : tuple of int
    flip : bool
        Whether the filter is turned round: a convolution, not a correlation.
    """

    image: tuple[Expr, ...]
    filter: tuple[Expr, ...]
    border: Border
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    flip: bool

    @property
    def ndim(self) -> int:
        """Number of axes that are convolved."""
        return len(self.image)

    def reach(self, a: int) -> Expr:
        """Return the extent of a filter with its gaps."""
        return (self.filter[a] - 1) * self.dilation[a] + 1

    def padding(self, a: int) -> tuple[Expr, Expr]:
        """Return how many zeros stand before and behind an axis."""
        if self.border == "full":
            return (self.reach(a) - 1,) * 2
        if self.border == "half":
            return (self.reach(a) // 2,) * 2
        lo, hi = self.border[a]  # type: ignore[str-unpack]
        return const(lo, "int64"), const(hi, "int64")

    def padded(self, a: int) -> Expr:
        """Return the extent of the image with its padding."""
        lo, hi = self.padding(a)
        return self.image[a] + lo + hi

    def output(self, a: int) -> Expr:
        """Return the extent of the result."""
        return (self.padded(a) - self.reach(a)) // self.stride[a] + 1

    def tap(self, a: int, f: Expr) -> Expr:
        """Return where element `f` of the filter lies in its window."""
        return (self.filter[a] - 1 - f if self.flip else f) * self.dilation[a]

    def image_at(self, outputs: Sequence[Expr], taps: Sequence[Expr]) -> tuple[list[Expr], Expr | None]:
        """Return the position in the image under element `taps` of the filter at `outputs`, and whether that isn't padding."""
        index, inside = [], None
        for a, (o, f) in enumerate(zip(outputs, taps, strict=True)):
            at = o * self.stride[a] + self.tap(a, f) - self.padding(a)[0]
            index.append(at)
            lo, hi = self.padding(a)
            if not (lo is _ZERO and hi is _ZERO):
                inside = _both(inside, _both(binary("le", _ZERO, at), binary("lt", at, self.image[a])))
        return _kept_inside(index, inside), inside

    def output_at(self, image: Sequence[Expr], taps: Sequence[Expr]) -> tuple[list[Expr], Expr | None, Expr]:
        """Return where element `taps` of the filter stands over position `image`: there, if steps lead there, if inside."""
        index, steps, inside = [], None, None
        for a, (i, f) in enumerate(zip(image, taps, strict=True)):
            at = i + self.padding(a)[0] - self.tap(a, f)
            if self.stride[a] > 1:
                steps = _both(steps, binary("eq", at % self.stride[a], _ZERO))
                at = at // self.stride[a]
            inside = _both(inside, _both(binary("le", _ZERO, at), binary("lt", at, self.output(a))))
            index.append(at)
        assert inside is not None
        return _kept_inside(index, _both(steps, inside)), steps, inside

    def checks(self) -> list[Check]:
        """Return what extents must be."""
        found = []
        for a in range(self.ndim):
            found += [
                Check(binary("le", _ONE, self.filter[a]), f"filters have no elements along axis {a} of the image: extent {{0}}",
                      detail=(self.filter[a],)),
                Check(binary("le", _ONE, self.image[a]), f"images have no elements along their axis {a}: extent {{0}}",
                      detail=(self.image[a],)),
                Check(binary("le", self.reach(a), self.padded(a)), f"filters reach over {{0}} elements along axis {a} of the "
                      "image, which has {1} with its padding (filter {2}, image {3})",
                      detail=(self.reach(a), self.padded(a), self.filter[a], self.image[a]))]
        return found


def _both(x: Expr | None, y: Expr | None) -> Expr:
    if x is None or x.op == "const" and x.arg:
        assert y is not None
        return y
    return x if y is None or y.op == "const" and y.arg else binary("and", x, y)


def _kept_inside(index: Sequence[Expr], inside: Expr | None) -> list[Expr]:
    return list(index) if inside is None else [select(inside, at, _ZERO) for at in index]


def axes(first: int, n: int) -> list[Expr]:
    """Return `n` indices of the result from axis `first` on."""
    return [axis(first + a) for a in range(n)]


def reduce_axes(first: int, n: int) -> list[Expr]:
    """Return `n` indices of reduced axes from number `first` on."""
    return [reduce_axis(first + a) for a in range(n)]
