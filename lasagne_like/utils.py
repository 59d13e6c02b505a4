"""What layers and user code share: conversions, parameters, norms, loops written out."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import symbolic
import symbolic.tensor as T
from symbolic.graph import as_tensor_variable, inputs_of


def floatX(arr: Any) -> np.ndarray:
    """Return `arr` as an array of ``config.floatX``.

    Examples
    --------
    >>> floatX([1, 2]).dtype.name == symbolic.config.floatX
    True
    """
    return np.asarray(arr, symbolic.config.floatX)


def shared_empty(dim: int = 2, dtype: str | None = None) -> Any:
    """Return a shared variable of `dim` axes, all of extent 1 now, whose value is set later.

    Examples
    --------
    >>> shared_empty(3).get_value().shape
    (1, 1, 1)
    """
    return symbolic.shared(np.zeros((1,) * dim, dtype or symbolic.config.floatX))


def as_theano_expression(input: Any) -> Any:
    """Return `input` as a Variable.

    Raises
    ------
    TypeError
        If it is neither a Variable nor an array of numbers.
    """
    try:
        return as_tensor_variable(input)
    except Exception as error:
        raise TypeError(f"input of type {type(input).__name__} can't be an expression: {error}") from error


def collect_shared_vars(expressions: Any) -> list[Any]:
    """Return all shared variables that expressions depend on, each once, in the order in which they are met.

    Examples
    --------
    >>> w = symbolic.shared(1.0, "w")
    >>> collect_shared_vars([w * 2, w]) == [w]
    True
    """
    if isinstance(expressions, symbolic.Variable):
        expressions = [expressions]
    found = dict.fromkeys(v for e in expressions for v in inputs_of([e]) if isinstance(v, symbolic.SharedVariable))
    return list(found)


def one_hot(x: Any, m: Any = None) -> Any:
    """Return a row for each integer of a vector, 1 at its place and 0 elsewhere, in floatX, (n, m).

    Parameters
    ----------
    x : Variable or array of integers, (n,)
    m : int or Variable, optional
        How many columns; by default ``max(x) + 1``.
    """
    x = as_tensor_variable(x)
    columns = T.max(x) + 1 if m is None else m
    return T.cast(T.eq(x.dimshuffle(0, "x"), T.arange(columns)), symbolic.config.floatX)


def unique(l: Iterable[Any]) -> list[Any]:  # noqa: E741  (Lasagne's name)
    """Return the elements, each once, in the order in which they are met first.

    Examples
    --------
    >>> unique([3, 1, 3])
    [3, 1]
    """
    return list(dict.fromkeys(l))


def as_tuple(x: Any, N: int, t: Any = None) -> tuple[Any, ...]:
    """Return `x` as a tuple of `N`: repeated, if it isn't iterable.

    Raises
    ------
    TypeError
        If an element isn't an instance of `t`.
    ValueError
        If it has another length.

    Examples
    --------
    >>> as_tuple(3, 2), as_tuple([1, 2], 2)
    ((3, 3), (1, 2))
    """
    out = tuple(x) if isinstance(x, Iterable) else (x,) * N
    if t is not None and not all(isinstance(v, t) for v in out):
        names = [k.__name__ for k in t] if isinstance(t, tuple) else t.__name__
        raise TypeError(f"expected a single value or an iterable of {names}, got {x!r}")
    if len(out) != N:
        raise ValueError(f"expected a single value or an iterable of length {N}, got {x!r}")
    return out


def inspect_kwargs(func: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments of a function that have a default.

    Examples
    --------
    >>> inspect_kwargs(one_hot)
    ['m']
    """
    try:
        found = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in found if p.default is not inspect.Parameter.empty]


def compute_norms(array: Any, norm_axes: Any = None) -> Any:
    """Return Euclidean norms: of the units' incoming weights, for a parameter of a usual shape.

    Parameters
    ----------
    array : array or Variable
        A vector (each element is a unit), a matrix (each column is one), or a tensor of filters (each entry of axis 0 is one).
    norm_axes : sequence of int, optional
        What is summed over: by default axis 0 of a matrix, all but the first of 3 or more axes.

    Returns
    -------
    array or Variable
        As `array`.

    Raises
    ------
    ValueError
        For no axes, where `norm_axes` isn't given.

    Examples
    --------
    >>> compute_norms(np.array([[3.0, 0.0], [4.0, 1.0]])).tolist()
    [5.0, 1.0]
    """
    symbolic_one = isinstance(array, symbolic.Variable)
    array = array if symbolic_one else np.asarray(array)
    axes = norm_axes_of(array.ndim, norm_axes)
    if axes is None:
        return abs(array)
    return T.sqrt(T.sum(T.sqr(array), axis=axes)) if symbolic_one else np.sqrt(np.sum(array**2, axis=axes))


def norm_axes_of(ndim: int, norm_axes: Any = None) -> tuple[int, ...] | None:
    """Return the axes that a norm sums over, by `compute_norms`' rule; None for a vector, each element of which is a unit."""
    if norm_axes is not None:
        return tuple(norm_axes) if isinstance(norm_axes, Iterable) else (norm_axes,)
    if ndim == 1:
        return None
    if ndim == 2:
        return (0,)
    if ndim > 2:
        return tuple(range(1, ndim))
    raise ValueError("a norm needs norm_axes for an array without axes")


def create_param(spec: Any, shape: Sequence[int], name: str | None = None) -> Any:
    """Return a parameter.

    Parameters
    ----------
    spec : callable, number, array, SharedVariable or Variable
        A callable gives one of the others for `shape`; a number fills it; an expression of as many axes is used as it is.
    shape : tuple of int
    name : str, optional
        For a new shared variable, or one without a name.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If an extent isn't positive, or the shape differs.
    TypeError
        If `spec` is something else.

    Examples
    --------
    >>> create_param(0.5, (2,), "b").get_value().tolist()
    [0.5, 0.5]
    """
    shape = tuple(int(n) for n in shape)
    if any(n <= 0 for n in shape):
        raise ValueError(f"parameter {name}: all extents must be positive, got shape {shape}")
    what = f"parameter {name}: "
    if callable(spec) and not isinstance(spec, symbolic.Variable):
        what += "the callable gave "
        spec = spec(shape)
    if isinstance(spec, symbolic.Variable):
        if spec.ndim != len(shape):
            raise ValueError(f"{what}an expression of {spec.ndim} axes, but the shape is {shape}")
        spec.name = spec.name or name
        return spec
    if not isinstance(spec, (bool, int, float, np.generic, np.ndarray)):
        raise TypeError(f"{what}expected a number, an array, an expression or a callable that gives one of these, got {spec!r}")
    value = np.asarray(spec)
    if value.dtype.kind not in "biufc":
        raise TypeError(f"{what}expected numbers, got dtype {value.dtype}")
    if not isinstance(spec, (np.ndarray, np.generic)):
        value = floatX(value)
    value = np.full(shape, value) if value.ndim == 0 else value
    if value.shape != shape:
        raise ValueError(f"{what}needs shape {shape}, got {value.shape}")
    return symbolic.shared(value, name, broadcastable=tuple(n == 1 for n in shape))


def unroll_scan(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any, n_steps: int,
                go_backwards: bool = False) -> list[Any]:
    """Return what ``scan`` returns, without a loop: the step is written `n_steps` times.

    Parameters
    ----------
    fn : callable
        Takes an element of each sequence, the last value of each output, and `non_sequences`.
    sequences, outputs_info, non_sequences : list of Variable
    n_steps : int
    go_backwards : bool
        Sequences from the last of `n_steps` elements to the first.

    Returns
    -------
    list of Variable
        All steps of each output, along a new first axis.
    """
    listed = [list(g) if isinstance(g, (list, tuple)) else [g] for g in (sequences, outputs_info, non_sequences)]
    xs, last, others = listed
    order = range(n_steps)[::-1] if go_backwards else range(n_steps)
    steps = []
    for i in order:
        made = fn(*[x[i] for x in xs], *last, *others)
        last = list(made) if isinstance(made, (list, tuple)) else [made]
        steps.append(last)
    return [T.stack(list(column)) for column in zip(*steps, strict=True)]
