"""Discrete Fourier transforms as ops: sums without any factor, over the last axes. All are linear.

They are computed by pocketfft, SciPy's where it is installed, else NumPy's: in compiled programs as steps of Python.
"""
from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Variable, constant
from symbolic.ops import functions as f
from symbolic.ops.create import arange
from symbolic.ops.extents import extents
from symbolic.ops.leading import Leading
from symbolic.scalar import Check, Expr, binary, const, dim, load
from symbolic.types import TensorType, is_complex, real_of

Pullback = list[Variable | None]


@cache
def library() -> Any:
    """Return the module that transforms: SciPy's shares a vector register out to several rows, NumPy's takes one at a time."""
    try:
        return importlib.import_module("scipy.fft")
    except ImportError:
        return np.fft


def complex_of(dtype: str) -> str:
    """Return the complex dtype whose parts have this dtype."""
    return "complex64" if dtype in ("float32", "complex64") else "complex128"


class Fourier(Leading):
    """A transform over the last `axes` axes.

    Parameters
    ----------
    axes : int
    """

    __props__: tuple[str, ...] = ("axes",)

    def __init__(self, axes: int) -> None:
        self.axes = axes

    def over(self) -> tuple[int, ...]:
        """Return the axes, from the end."""
        return tuple(range(-self.axes, 0))

    def _ranked(self, t: TensorType, kind: bool) -> None:
        if t.ndim < self.axes:
            raise errors.RankError(f"expected at least {self.axes} dimensions, got {t.ndim}")
        if is_complex(t.dtype) is not kind or t.dtype not in ("float32", "float64", "complex64", "complex128"):
            wanted = "complex" if kind else "real"
            raise errors.DTypeError(f"expected {wanted} values in single or double precision, got {t.dtype}")

    def _some(self, t: TensorType) -> tuple[Check, ...]:
        """Return that there is something to transform."""
        return tuple(Check(binary("lt", const(0, "int64"), dim(0, a)), f"axis {a} is transformed, and has no elements")
                     for a in range(t.ndim - self.axes, t.ndim) if t.shape[a] is None or t.shape[a] == 0)


class FFT(Fourier):
    """y[k] = sum over j of x[j] exp(-2 pi i j k / n), of complex values; with ``exp(+...)`` if `inverse`."""

    __props__ = ("axes", "inverse")

    def __init__(self, axes: int, inverse: bool = False) -> None:
        super().__init__(axes)
        self.inverse = inverse

    @property
    def name(self) -> str:
        return "ifft" if self.inverse else "fft"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        self._ranked(types[0], True)
        return types

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return self._some(types[0])

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x = arrays[0]
        if not x.size:
            return (np.zeros_like(x),)
        if self.inverse:
            return (library().ifftn(x, axes=self.over(), norm="forward").astype(x.dtype, copy=False),)
        return (library().fftn(x, axes=self.over()).astype(x.dtype, copy=False),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Pullback:
        return [None if gouts[0] is None else FFT(self.axes, not self.inverse)(gouts[0])]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return [None if tangents[0] is None else self(tangents[0])]


class RFFT(Fourier):
    """The transform of real values: of the last axis the first ``n // 2 + 1`` elements, of which the others are conjugates."""

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t, = types
        self._ranked(t, False)
        n = t.shape[-1]
        return (t.clone(complex_of(t.dtype), (*t.shape[:-1], None if n is None else n // 2 + 1)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        last = types[0].ndim - 1
        return ((*(dim(0, a) for a in range(last)), _half(dim(0, last))),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return self._some(types[0])

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x, dtype = arrays[0], complex_of(arrays[0].dtype.name)
        if not x.size:
            return (np.zeros((*x.shape[:-1], x.shape[-1] // 2 + 1), dtype),)
        return (library().rfftn(x, axes=self.over()).astype(dtype, copy=False),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Pullback:
        if gouts[0] is None:
            return [None]
        n = extents(inputs[0])[-1]
        return [IRFFT(self.axes)(gouts[0] * _weights(n, 0.5, inputs[0].dtype), n)]  # type: ignore[operator]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return [None if tangents[0] is None else self(tangents[0])]


class IRFFT(Fourier):
    """The `n` real values, times n, whose spectrum's first half is given; `n` is the second operand.

    Of the first element, and with even `n` of the last, the imaginary part isn't read.
    """

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        t, n = types
        self._ranked(t, True)
        if n.ndim or n.dtype != "int64":
            raise errors.DTypeError(f"the extent must be an int64 scalar, got {n}")
        return (t.clone(real_of(t.dtype), (*t.shape[:-1], None)),)

    def make_node(self, *inputs: Any) -> Apply:
        """Apply to `inputs`; where the extent is a constant, it is part of the type."""
        node = super().make_node(*inputs)
        n = getattr(node.inputs[1], "data", None)
        if n is None:
            return node
        t = node.outputs[0].type
        return Apply(self, node.inputs, [t.clone(shape=(*t.shape[:-1], max(int(n), 0)))], node.loc)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((*(dim(0, a) for a in range(types[0].ndim - 1)), load(1, (), "int64")),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        n, m = load(1, (), "int64"), dim(0, types[0].ndim - 1)
        return (*self._some(types[0]), Check(binary("lt", const(0, "int64"), n), "a transform of {0} elements can't be made",
                                             detail=(n,)),
                Check(binary("eq", m, _half(n)), "a spectrum of {0} elements isn't the half of one of {1}", detail=(m, n)))

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x, n, dtype = arrays[0], int(arrays[1]), real_of(arrays[0].dtype.name)
        shape = (*x.shape[-self.axes:-1], n)
        if not x.size:
            return (np.zeros((*x.shape[:-1], n), dtype),)
        return (library().irfftn(x, s=shape, axes=self.over(), norm="forward").astype(dtype, copy=False),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], gouts: Sequence[Variable | None]) -> Pullback:
        if gouts[0] is None:
            return [None, None]
        return [RFFT(self.axes)(gouts[0]) * _weights(inputs[1], 2.0, gouts[0].dtype), None]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None]:
        return [None if tangents[0] is None else self(tangents[0], inputs[1])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Any:
        if flags[1]:  # extents that differ from one to the next make no array
            raise errors.NotSupported("irfft: vmap over its extent isn't supported: the results would differ in length")
        return [self(*inputs)], [True]


def _half(n: Expr) -> Expr:
    return binary("floordiv", n, const(2, "int64")) + const(1, "int64")


def _weights(n: Variable, twice: float, dtype: str) -> Variable:
    """Return how much each element of half a spectrum counts: `twice` those that stand for their conjugates too, 1 the others."""
    k = arange(n // constant(2, dtype="int64") + constant(1, dtype="int64"))  # type: ignore[operator]
    both = f.and_(f.gt(k, constant(0, dtype="int64")), f.lt(k * constant(2, dtype="int64"), n))
    return f.switch(both, constant(np.asarray(twice, dtype)), constant(np.asarray(1, dtype)))
