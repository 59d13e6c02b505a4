"""Windows that slide along the last axes of an array: which there are, and which elements each holds."""
from __future__ import annotations

from dataclasses import dataclass

from symbolic import errors
from symbolic.ops.region import VAR, extent_of
from symbolic.scalar import Check, Expr, binary, const, load, select
from symbolic.types import TensorType

_ZERO, _ONE = const(0, "int64"), const(1, "int64")


def smaller(x: Expr, y: Expr) -> Expr:
    """Return the smaller of two integers."""
    return select(binary("le", x, y), x, y)


def larger(x: Expr, y: Expr) -> Expr:
    """Return the larger of two integers."""
    return select(binary("le", y, x), x, y)


@dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis, in scalar terms: their size, stride and padding, the extent `n` and the number `count`."""

    size: Expr
    stride: Expr
    pad: Expr
    n: Expr
    count: Expr
    inside: bool

    def start(self, o: Expr) -> Expr:
        """Return where window `o` starts, perhaps before 0."""
        return o * self.stride - self.pad

    @property
    def most(self) -> Expr:
        """How many windows an element can be in."""
        return (self.size + (self.stride - 1)) // self.stride


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows along the last ``len(size)`` axes.

    Attributes
    ----------
    size, stride, pad : tuple of (int or VAR)
        One an axis; :data:`VAR` stands for a 0-d int64 input of the op, in the order sizes, strides, pads.
    ignore_border : bool
        Only windows that lie within the padded array count; else the last one may stick out (and nothing is padded).
    """

    size: tuple[int | str, ...]
    stride: tuple[int | str, ...]
    pad: tuple[int | str, ...]
    ignore_border: bool

    @property
    def ndim(self) -> int:
        """Number of axes along which windows slide."""
        return len(self.size)

    @property
    def nvar(self) -> int:
        """Number of inputs that stand for :data:`VAR`."""
        return (*self.size, *self.stride, *self.pad).count(VAR)

    def numbers(self, first: int) -> list[list[Expr]]:
        """Return sizes, strides and pads as expressions; `first` is the number of the first input that is one."""
        inputs = iter(range(first, first + self.nvar))
        return [[load(next(inputs), (), "int64") if v == VAR else const(v, "int64") for v in group]
                for group in (self.size, self.stride, self.pad)]

    def axes(self, x: TensorType, first: int, k: int = 0) -> list[Axis]:
        """Return the windows along each axis of input `k`, of type `x`."""
        sizes, strides, pads = self.numbers(first)
        lead = x.ndim - self.ndim
        return [self._axis(extent_of(k, x, lead + a), *given)
                for a, given in enumerate(zip(sizes, strides, pads, strict=True))]

    def _axis(self, n: Expr, size: Expr, stride: Expr, pad: Expr) -> Axis:
        known = size.op == stride.op == pad.op == "const"
        if self.ignore_border:
            padded = n if pad is _ZERO else n + pad * 2
            count = (larger(padded - size + stride, _ZERO)) // stride
            if padded is n and size is stride:
                count = n // stride
            if not known or 2 * pad.arg >= size.arg:
                count = select(n > 0, count, _ZERO)  # else an empty axis has windows of nothing but padding
        elif size is stride:
            count = (n + (stride - 1)) // stride
        else:
            # a window that starts where the one before already reached the end isn't needed, nor one that starts outside
            far = larger(size, stride)
            count = select(n > 0, larger(n - far + (stride - 1), _ZERO) // stride + 1, _ZERO)
        inside = self.ignore_border and pad is _ZERO
        if n.op == count.op == "const" and known and pad is _ZERO:
            inside = (count.arg - 1) * stride.arg + size.arg <= n.arg
        return Axis(size, stride, pad, n, count, inside)

    def known(self, x: TensorType) -> tuple[int | None, ...]:
        """Return the number of windows along each axis, where it is known."""
        return tuple(a.count.arg if a.count.op == "const" else None for a in self.axes(x, 0))

    def checks(self, first: int) -> tuple[Check, ...]:
        """Return what must hold for sizes, strides and pads that are inputs."""
        out = []
        for a, (size, stride, pad) in enumerate(zip(*self.numbers(first), strict=True)):
            for what, e in (("window", size), ("stride", stride)):
                if e.op != "const":
                    out.append(Check(_ONE <= e, f"the {what} along axis {a} must be at least 1, got {{0}}", detail=(e,)))
            if pad.op != "const" or size.op != "const":
                out.append(Check((_ZERO <= pad) & (pad < size), f"the padding along axis {a} must be at least 0 and less than "
                                 "the window, {1}, got {0}", detail=(pad, size)))
                if not self.ignore_border and pad.op != "const":
                    out.append(Check(binary("eq", pad, 0), "padding needs ignore_border=True, got {0}", detail=(pad,)))
        return tuple(out)

    def refuse(self) -> None:
        """Raise what is wrong with sizes, strides and pads that are known.

        Raises
        ------
        ShapeError
        """
        for a, (size, stride, pad) in enumerate(zip(self.size, self.stride, self.pad, strict=True)):
            for what, v in (("window", size), ("stride", stride)):
                if isinstance(v, int) and v < 1:
                    raise errors.ShapeError(f"the {what} along axis {a} must be at least 1, got {v}")
            if isinstance(pad, int) and (pad < 0 or isinstance(size, int) and pad >= size):
                raise errors.ShapeError(f"the padding along axis {a} must be at least 0 and less than the window, {size}, "
                                        f"got {pad}")
            if pad != 0 and pad != VAR and not self.ignore_border:
                raise errors.ShapeError("padding needs ignore_border=True: else a window may stick out of the array")
