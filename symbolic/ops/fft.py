"""Discrete Fourier transforms as ``numpy.fft`` and as Theano's ``theano.tensor.fft`` name them."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import alloc, arange
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.fourier import FFT, IRFFT, RFFT, complex_of
from symbolic.ops.functions import complex_, conj, imag, minimum, real, switch
from symbolic.ops.index import getitem
from symbolic.ops.join import roll, stack
from symbolic.ops.random_shape import product
from symbolic.ops.scatter import set_subtensor
from symbolic.ops.shape import dimshuffle
from symbolic.source import caller
from symbolic.types import is_complex, real_of

#: What each `norm` divides by, forwards and backwards: the number of elements to this power.
NORMS: dict[str | None, tuple[float, float]] = {None: (0, 1), "backward": (0, 1), "ortho": (0.5, 0.5), "forward": (1, 0)}


def _norm(norm: Any, inverse: bool, op: str, known: dict[Any, tuple[float, float]] = NORMS) -> float:
    if norm not in known:
        raise ValueError(f"{op}: norm must be one of {', '.join(map(repr, known))}, got {norm!r}")
    return known[norm][inverse]


def _real(a: Any, op: str) -> Variable:
    """Return values in single or double precision."""
    x = as_tensor_variable(a)
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message(op, "expected real values", (describe(x),), caller(),
                                               "fft and fftn transform complex ones"))
    return cast_to(x, "float32" if x.dtype in ("float16", "float32") else "float64")


def _complex(a: Any) -> Variable:
    x = as_tensor_variable(a)
    return cast_to(x, complex_of("float32" if x.dtype == "float16" else x.dtype))


def _int(n: int) -> Constant:
    return constant(n, dtype="int64")


def _axes(x: Variable, s: Any, axes: Any, op: str) -> list[int]:
    """Return the axes that are transformed, none of them negative, in order."""
    if axes is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise errors.RankError(errors.message(op, f"{count} extents are given for {x.ndim} dimensions", (describe(x),),
                                                  caller()))
        axes = range(x.ndim - count, x.ndim)
    found = [axis_of(a, x.ndim, op) for a in axes]
    if not found or len(set(found)) != len(found) or (s is not None and len(s) != len(found)):
        raise ValueError(f"{op}: axes must be different ones, at least one, as many as extents, got {list(axes)} and s={s!r}")
    return found


def _resized(x: Variable, n: Variable, axis: int) -> Variable:
    """Return `x` cut, or continued by zeros, to `n` elements along an axis."""
    have = extents(x)[axis]
    if n is have or (isinstance(n, Constant) and isinstance(have, Constant) and int(n.data) == int(have.data)):
        return x
    shape = extents(x)
    shape[axis] = n
    part = (slice(None),) * axis + (slice(None, minimum(n, have)),)
    return set_subtensor(getitem(alloc(constant(np.zeros((), x.dtype)), *shape), part), getitem(x, part))


def _extent(n: Any, op: str) -> Variable:
    if isinstance(n, (int, np.integer)) and n < 1:
        raise ValueError(f"{op}: a transform needs at least one element, got {n}")
    return integer_operand(n, op)


def _half(n: Variable) -> Variable:
    """Return how many elements of a spectrum stand for all `n`."""
    return _int(int(n.data) // 2 + 1) if isinstance(n, Constant) else n // _int(2) + _int(1)  # type: ignore[operator]


def _whole(spectrum: Variable, axis: int, odd: bool) -> Variable:
    """Return how many elements the first half of a spectrum stands for."""
    m = spectrum.type.shape[axis]
    if m is not None:
        return _int(2 * (m - 1) + odd)
    return _int(2) * (extents(spectrum)[axis] - _int(1)) + _int(int(odd))  # type: ignore[operator]


class _Moved:
    """The axes of an array brought to the end, and back."""

    def __init__(self, ndim: int, axes: Sequence[int]) -> None:
        self._order = [a for a in range(ndim) if a not in axes] + list(axes)

    def there(self, x: Variable) -> Variable:
        """Return `x` with the axes at the end."""
        return x if self._order == sorted(self._order) else dimshuffle(x, *self._order)

    def back(self, x: Variable) -> Variable:
        """Return `x` with the axes where they were."""
        return x if self._order == sorted(self._order) else dimshuffle(x, *np.argsort(self._order).tolist())


def _scaled(x: Variable, sizes: Sequence[Variable], power: float) -> Variable:
    """Return `x` divided by the number of elements to a power."""
    if not power:
        return x
    count = cast_to(product(sizes), "float64") ** power  # type: ignore[operator]
    return x * cast_to(constant(1.0, dtype="float64") / count, real_of(x.dtype))  # type: ignore[operator]


def _transform(a: Any, s: Any, axes: Any, norm: Any, inverse: bool, op: str) -> Variable:
    x = _complex(a)
    over = _axes(x, s, axes, op)
    power = _norm(norm, inverse, op)
    for n, axis in zip(s or [], over, strict=False):
        x = x if n is None else _resized(x, _extent(n, op), axis)
    moved = _Moved(x.ndim, over)
    x = moved.there(x)
    sizes = extents(x)[x.ndim - len(over):]
    return moved.back(_scaled(FFT(len(over), inverse)(x), sizes, power))


def _real_transform(a: Any, s: Any, axes: Any, norm: Any, op: str) -> Variable:
    x = _real(a, op)
    over = _axes(x, s, axes, op)
    power = _norm(norm, False, op)
    for n, axis in zip(s or [], over, strict=False):
        x = x if n is None else _resized(x, _extent(n, op), axis)
    moved = _Moved(x.ndim, over)
    x = moved.there(x)
    return moved.back(_scaled(RFFT(len(over))(x), extents(x)[x.ndim - len(over):], power))


def _to_real(a: Any, s: Any, axes: Any, norm: Any, op: str) -> Variable:
    x = _complex(a)
    over = _axes(x, s, axes, op)
    power = _norm(norm, True, op)
    given = list(s) if s is not None else [None] * len(over)
    for n, axis in zip(given[:-1], over[:-1], strict=True):
        x = x if n is None else _resized(x, _extent(n, op), axis)
    if given[-1] is None:
        last = _whole(x, over[-1], False)
    else:
        last = _extent(given[-1], op)
        x = _resized(x, _half(last), over[-1])
    moved = _Moved(x.ndim, over)
    x = moved.there(x)
    sizes = [*extents(x)[x.ndim - len(over):-1], last]
    return moved.back(_scaled(IRFFT(len(over))(x, last), sizes, power))


# ------------------------------------------------------------------------------------------ as NumPy's


def fft(a: Any, n: Any = None, axis: int = -1, norm: str | None = None) -> Variable:
    """Return the Fourier transform along an axis, as ``numpy.fft.fft``: ``sum over j of a[j] exp(-2 pi i j k / n)``.

    Parameters
    ----------
    a : array_like
        Single precision is kept.
    n : int or integer scalar, optional
        So many elements are transformed: `a` is cut, or continued by zeros.
    axis : int
    norm : {None, 'backward', 'ortho', 'forward'}
        Which direction divides by n: the inverse, both by its root, or this one.

    Returns
    -------
    Variable
        Complex, differentiable to any order.

    Raises
    ------
    ShapeError
        If there is nothing to transform.
    ValueError
        If `norm` isn't one of these.

    Notes
    -----
    Computed by pocketfft, SciPy's or NumPy's: in a compiled program it is a step of Python. float16 is computed as float32.

    Examples
    --------
    >>> fft(np.ones((2, 8))).type
    TensorType(complex128, (2, 8))
    """
    return _transform(a, None if n is None else [n], [axis], norm, False, "fft")


def ifft(a: Any, n: Any = None, axis: int = -1, norm: str | None = None) -> Variable:
    """Return the inverse of :func:`fft`, as ``numpy.fft.ifft``.

    >>> ifft(np.ones(8)).type.shape
    (8,)
    """
    return _transform(a, None if n is None else [n], [axis], norm, True, "ifft")


def fftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Variable:
    """Return the Fourier transform along several axes, all by default, as ``numpy.fft.fftn``.

    >>> fftn(np.ones((4, 8))).type.shape
    (4, 8)
    """
    return _transform(a, s, axes, norm, False, "fftn")


def ifftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Variable:
    """Return the inverse of :func:`fftn`, as ``numpy.fft.ifftn``."""
    return _transform(a, s, axes, norm, True, "ifftn")


def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None) -> Variable:
    """Return the Fourier transform along the last two axes, as ``numpy.fft.fft2``."""
    return _transform(a, s, axes, norm, False, "fft2")


def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None) -> Variable:
    """Return the inverse of :func:`fft2`, as ``numpy.fft.ifft2``."""
    return _transform(a, s, axes, norm, True, "ifft2")


def rfft(a: Any, n: Any = None, axis: int = -1, norm: str | None = None) -> Variable:
    """Return the transform of real values along an axis, its first ``n // 2 + 1`` elements, as ``numpy.fft.rfft``.

    >>> rfft(np.ones((2, 8))).type
    TensorType(complex128, (2, 5))
    """
    return _real_transform(a, None if n is None else [n], [axis], norm, "rfft")


def irfft(a: Any, n: Any = None, axis: int = -1, norm: str | None = None) -> Variable:
    """Return the inverse of :func:`rfft`, as ``numpy.fft.irfft``: `n` real values, by default an even number.

    >>> irfft(np.ones((2, 5))).type
    TensorType(float64, (2, 8))
    """
    return _to_real(a, None if n is None else [n], [axis], norm, "irfft")


def rfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Variable:
    """Return the transform of real values along several axes, of the last one half of it, as ``numpy.fft.rfftn``.

    >>> rfftn(np.ones((4, 8))).type.shape
    (4, 5)
    """
    return _real_transform(a, s, axes, norm, "rfftn")


def irfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Variable:
    """Return the inverse of :func:`rfftn`, as ``numpy.fft.irfftn``."""
    return _to_real(a, s, axes, norm, "irfftn")


def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None) -> Variable:
    """Return the transform of real values along the last two axes, as ``numpy.fft.rfft2``."""
    return _real_transform(a, s, axes, norm, "rfft2")


def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None) -> Variable:
    """Return the inverse of :func:`rfft2`, as ``numpy.fft.irfft2``."""
    return _to_real(a, s, axes, norm, "irfft2")


_SWAPPED: dict[Any, Any] = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def hfft(a: Any, n: Any = None, axis: int = -1, norm: str | None = None) -> Variable:
    """Return the real transform of a signal with Hermitian symmetry, given by its first half, as ``numpy.fft.hfft``."""
    _norm(norm, False, "hfft")
    return _to_real(conj(_complex(a)), None if n is None else [n], [axis], _SWAPPED[norm], "hfft")


def ihfft(a: Any, n: Any = None, axis: int = -1, norm: str | None = None) -> Variable:
    """Return the inverse of :func:`hfft`, as ``numpy.fft.ihfft``."""
    _norm(norm, False, "ihfft")
    return conj(_real_transform(a, None if n is None else [n], [axis], _SWAPPED[norm], "ihfft"))


def fftfreq(n: Any, d: Any = 1.0) -> Variable:
    """Return the frequencies of the elements of :func:`fft`, of `n` samples at a distance of `d`, as ``numpy.fft.fftfreq``.

    >>> fftfreq(8).type
    TensorType(float64, (8,))
    """
    size = _extent(n, "fftfreq")
    k = arange(size)
    wrapped = switch(k * _int(2) < size, k, k - size)  # type: ignore[operator]
    return wrapped / (cast_to(size, "float64") * d)  # type: ignore[operator]


def rfftfreq(n: Any, d: Any = 1.0) -> Variable:
    """Return the frequencies of the elements of :func:`rfft`, as ``numpy.fft.rfftfreq``."""
    size = _extent(n, "rfftfreq")
    return arange(_half(size)) / (cast_to(size, "float64") * d)  # type: ignore[operator]


def fftshift(x: Any, axes: Any = None) -> Variable:
    """Return `x` with frequency zero in the middle of the axes, all by default, as ``numpy.fft.fftshift``."""
    return _shifted(as_tensor_variable(x), axes, False)


def ifftshift(x: Any, axes: Any = None) -> Variable:
    """Return the inverse of :func:`fftshift`, as ``numpy.fft.ifftshift``."""
    return _shifted(as_tensor_variable(x), axes, True)


def _shifted(x: Variable, axes: Any, inverse: bool) -> Variable:
    over = range(x.ndim) if axes is None else [axes] if isinstance(axes, (int, np.integer)) else axes
    for a in (axis_of(a, x.ndim, "fftshift") for a in over):
        half = extents(x)[a] // _int(2)  # type: ignore[operator]
        x = roll(x, -half if inverse else half, a)
    return x


# ----------------------------------------------------------------------------------------- as Theano's

#: Theano has no 'forward', and a norm that divides by nothing.
PAIR_NORMS: dict[str | None, tuple[float, float]] = {None: (0, 1), "ortho": (0.5, 0.5), "no_norm": (0, 0)}


def rfft_pairs(inp: Any, norm: str | None = None) -> Variable:
    """Return transforms of real values as pairs of real and imaginary parts: Theano's ``theano.tensor.fft.rfft``.

    Parameters
    ----------
    inp : array_like, shape (m, ..., n)
        A batch of `m` arrays; all axes but the first are transformed.
    norm : {None, 'ortho', 'no_norm'}
        None: only the inverse divides, by the number of elements; 'ortho': both, by its root; 'no_norm': neither.

    Returns
    -------
    Variable, shape (m, ..., n // 2 + 1, 2)
        Of the dtype of `inp`. The last axis holds the real and the imaginary part.

    Raises
    ------
    RankError
        If there is no axis beside the batch.
    DTypeError
        If the values are complex.

    Examples
    --------
    >>> rfft_pairs(np.ones((3, 8))).type
    TensorType(float64, (3, 5, 2))
    """
    x = _real(inp, "rfft")
    if x.ndim < 2:
        raise errors.RankError(errors.message("rfft", "expected a batch of arrays: at least 2 dimensions", (describe(x),),
                                              caller(), "T.fft.rfft transforms all axes but the first; T.fft.rfftn any axes"))
    power = _norm(norm, False, "rfft", PAIR_NORMS)
    y = _scaled(RFFT(x.ndim - 1)(x), extents(x)[1:], power)
    return stack([real(y), imag(y)], axis=-1)


def irfft_pairs(inp: Any, norm: str | None = None, is_odd: bool = False) -> Variable:
    """Return the inverse of Theano's :func:`rfft`.

    Parameters
    ----------
    inp : array_like, shape (m, ..., n // 2 + 1, 2)
        Real and imaginary parts, in the last axis.
    norm : {None, 'ortho', 'no_norm'}
    is_odd : bool
        Whether the number of elements on the last axis of the result is odd.

    Returns
    -------
    Variable, shape (m, ..., n)

    Raises
    ------
    RankError, DTypeError, ShapeError
        If `inp` isn't a batch of arrays of such pairs.

    Examples
    --------
    >>> irfft_pairs(np.ones((3, 5, 2))).type, irfft_pairs(np.ones((3, 5, 2)), is_odd=True).type.shape
    (TensorType(float64, (3, 8)), (3, 9))
    """
    x = _real(inp, "irfft")
    if x.ndim < 3:
        raise errors.RankError(errors.message("irfft", "expected a batch of arrays of pairs: at least 3 dimensions",
                                              (describe(x),), caller(), "the last axis holds real and imaginary parts"))
    if x.type.shape[-1] not in (None, 2):
        raise errors.ShapeError(errors.message("irfft", "the last axis holds real and imaginary parts: its extent is 2",
                                               (describe(x),), caller(), "T.stack([re, im], axis=-1) makes such pairs"))
    if is_odd not in (True, False):
        raise ValueError(f"irfft: is_odd must be True or False, got {is_odd!r}")
    power = _norm(norm, True, "irfft", PAIR_NORMS)
    y = complex_(getitem(x, (..., 0)), getitem(x, (..., 1)))
    last = _whole(y, y.ndim - 1, is_odd)
    return _scaled(IRFFT(x.ndim - 2)(cast_to(y, complex_of(x.dtype)), last), [*extents(y)[1:-1], last], power)

