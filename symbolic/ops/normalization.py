"""Normalisation: of batches, of layers, groups and instances, and of local responses; compositions that the compiler fuses."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import axis_of, extents
from symbolic.ops.pooling import pooled
from symbolic.ops.reduce import mean as mean_of
from symbolic.ops.reduce import var as var_of
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.source import caller
from symbolic.types import is_complex, is_discrete, to_float

Axes = str | int | Sequence[int]


def _floats(op: str, x: Any) -> Variable:
    x = as_tensor_variable(x)
    if is_complex(x.dtype):
        raise errors.DTypeError(errors.message(op, f"expected real values, got {x.dtype}", (describe(x),), caller()))
    return cast_to(x, to_float(x.dtype)) if is_discrete(x.dtype) else x


def _axes(op: str, axes: Axes, x: Variable) -> tuple[int, ...]:
    """Return the axes that statistics are taken over."""
    if isinstance(axes, str):
        if axes not in ("per-activation", "spatial"):
            raise ValueError(f"{op}: axes must be 'per-activation', 'spatial', an int or a tuple of ints, got {axes!r}")
        if x.ndim == 0:
            raise errors.RankError(errors.message(op, "expected a batch, got a scalar", (describe(x),), caller()))
        return (0,) if axes == "per-activation" else (0, *range(2, x.ndim))
    given = (axes,) if isinstance(axes, (int, np.integer)) else tuple(axes)
    found = tuple(sorted({axis_of(a, x.ndim, op) for a in given}))
    if not found or len(found) != len(given):
        raise errors.RankError(errors.message(op, f"axes must be one or more different axes, got {axes!r}", (describe(x),),
                                              caller()))
    return found


def _spread(op: str, name: str, p: Any, x: Variable, axes: tuple[int, ...]) -> Variable:
    """Return a parameter with an axis of extent 1 wherever statistics are taken over."""
    p = as_tensor_variable(p)
    kept = [a for a in range(x.ndim) if a not in axes]
    if p.ndim == x.ndim:
        return p
    if p.ndim != len(kept):
        raise errors.RankError(errors.message(
            op, f"{name} must have {len(kept)} dimensions (or {x.ndim}, with extent 1 along axes {axes}), got {p.ndim}",
            (describe(x), describe(p)), caller()))
    return dimshuffle(p, [kept.index(a) if a in kept else "x" for a in range(x.ndim)])


def _packed(s: Variable, like: Variable, axes: tuple[int, ...]) -> Variable:
    """Return statistics without the axes of extent 1 where the parameter `like` hasn't got them."""
    return s if like.ndim == s.ndim else dimshuffle(s, [a for a in range(s.ndim) if a not in axes])


def _statistics(x: Variable, axes: tuple[int, ...]) -> tuple[Variable, Variable]:
    return mean_of(x, axes, keepdims=True), var_of(x, axes, keepdims=True)


def batch_normalization_train(inputs: Any, gamma: Any, beta: Any, axes: Axes = "per-activation", epsilon: Any = 1e-4,
                              running_average_factor: Any = 0.1, running_mean: Any = None, running_var: Any = None
                              ) -> list[Variable]:
    """Return `inputs` with mean 0 and variance 1 over a batch, scaled and shifted, and the statistics of the batch.

    Parameters
    ----------
    inputs : Variable
        A batch, the first axis of which counts its members.
    gamma, beta : Variable
        Scale and shift. Of the shape of `inputs` without `axes`, or with extent 1 there.
    axes : {'per-activation', 'spatial'}, int or tuple of int
        Axes to take statistics over: the first one; all but the second one; or as given.
    epsilon : float or scalar Variable
        Added to the variance.
    running_average_factor : float or scalar Variable
        Weight of this batch in the running averages.
    running_mean, running_var : Variable, optional
        Running averages so far, shaped as `gamma`. Their new values are returned; they are updates for a function.

    Returns
    -------
    list of Variable
        The normalised batch, its mean, the inverse of its standard deviation ``1/sqrt(var + epsilon)``; and, for each running
        average given, ``running*(1 - factor) + statistic*factor``. The running variance takes the unbiased variance, with m - 1
        instead of m (and 0 for a batch of one). Statistics are shaped as `gamma`.

    Raises
    ------
    RankError
        If there is no such axis, or a parameter has another rank.
    DTypeError
        If `inputs` are complex.

    References
    ----------
    Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift", 2015.

    Examples
    --------
    >>> from symbolic import constant, function
    >>> y, mean, inv_std = batch_normalization_train(constant([[1.0], [3.0]]), [1.0], [0.0], epsilon=0.0)
    >>> function([], [y, mean])()
    [array([[-1.],
           [ 1.]]), array([2.])]
    """
    op = "batch_normalization_train"
    x = _floats(op, inputs)
    axes = _axes(op, axes, x)
    gamma = as_tensor_variable(gamma)
    scale, shift = _spread(op, "gamma", gamma, x, axes), _spread(op, "beta", beta, x, axes)
    mean, var = _statistics(x, axes)
    inv_std = f.inv(f.sqrt(var + epsilon))
    out = [(x - mean) * (scale * inv_std) + shift, _packed(mean, gamma, axes), _packed(inv_std, gamma, axes)]
    keep = 1 - running_average_factor
    if running_mean is not None:
        before = as_tensor_variable(running_mean)
        new = _spread(op, "running_mean", before, x, axes) * keep + mean * running_average_factor
        out.append(cast_to(_packed(new, before, axes), before.dtype))
    if running_var is not None:
        before = as_tensor_variable(running_var)
        count: Any = 1
        for a in axes:
            count = count * extents(x)[a]
        unbiased = var * (cast_to(as_tensor_variable(count), x.dtype) / cast_to(f.maximum(count - 1, 1), x.dtype))
        new = _spread(op, "running_var", before, x, axes) * keep + unbiased * running_average_factor
        out.append(cast_to(_packed(new, before, axes), before.dtype))
    return out


def batch_normalization_test(inputs: Any, gamma: Any, beta: Any, mean: Any, var: Any, axes: Axes = "per-activation",
                             epsilon: Any = 1e-4) -> Variable:
    """Return ``gamma*(inputs - mean)/sqrt(var + epsilon) + beta``, with given statistics.

    Parameters
    ----------
    inputs : Variable
    gamma, beta, mean, var : Variable
        Of the shape of `inputs` without `axes`, or with extent 1 there.
    axes, epsilon
        As for :func:`batch_normalization_train`.

    Returns
    -------
    Variable
        Of the shape of `inputs`.

    Raises
    ------
    RankError, DTypeError
        As for :func:`batch_normalization_train`.

    Examples
    --------
    >>> from symbolic import constant, function
    >>> y = batch_normalization_test(constant([[1.0], [3.0]]), [2.0], [1.0], [1.0], [4.0], epsilon=0.0)
    >>> function([], y)().tolist()
    [[1.0], [3.0]]
    """
    op = "batch_normalization_test"
    x = _floats(op, inputs)
    axes = _axes(op, axes, x)
    scale, shift, centre, spread = (_spread(op, name, p, x, axes) for name, p in
                                    (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var)))
    return (x - centre) * (scale * f.inv(f.sqrt(spread + epsilon))) + shift


def batch_normalization(inputs: Any, gamma: Any, beta: Any, mean: Any, std: Any, mode: str = "low_mem") -> Variable:
    """Return ``(inputs - mean)*gamma/std + beta``, with parameters that broadcast against `inputs`.

    Parameters
    ----------
    inputs, gamma, beta, mean, std : Variable
    mode : {'low_mem', 'high_mem'}
        Accepted as in Theano, without effect: what is stored is decided by the compiler.

    Examples
    --------
    >>> from symbolic import constant, function
    >>> function([], batch_normalization(constant([1.0, 3.0]), 2.0, 1.0, 2.0, 1.0))().tolist()
    [-1.0, 3.0]
    """
    if mode not in ("low_mem", "high_mem"):
        raise ValueError(f"batch_normalization: mode must be 'low_mem' or 'high_mem', got {mode!r}")
    return f.add(f.mul(f.sub(_floats("batch_normalization", inputs), mean), f.true_div(gamma, std)), beta)


def layer_norm(x: Any, gamma: Any = None, beta: Any = None, axis: int | Sequence[int] = -1, epsilon: Any = 1e-5) -> Variable:
    """Return `x` with mean 0 and variance 1 along some axes, scaled and shifted.

    Parameters
    ----------
    x : Variable
    gamma, beta : Variable, optional
        Scale and shift, of the extents of `x` along `axis` (in order), or broadcasting against `x` with its rank.
    axis : int or tuple of int
    epsilon : float or scalar Variable
        Added to the variance.

    Returns
    -------
    Variable
        Of the shape of `x`. Along the last axis it is one pass over each row.

    Raises
    ------
    RankError
        If there is no such axis, or a parameter has another rank.
    DTypeError
        If `x` is complex.

    References
    ----------
    Ba, Kiros, Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> from symbolic import constant, function
    >>> function([], layer_norm(constant([[1.0, 3.0], [5.0, 5.0]]), epsilon=0.25))().round(3).tolist()
    [[-0.894, 0.894], [0.0, 0.0]]
    """
    x = _floats("layer_norm", x)
    axes = _axes("layer_norm", axis, x)
    others = tuple(a for a in range(x.ndim) if a not in axes)
    mean, var = _statistics(x, axes)
    return _affine("layer_norm", (x - mean) / f.sqrt(var + epsilon), x, gamma, beta, others)


def _affine(op: str, y: Variable, x: Variable, gamma: Any, beta: Any, others: tuple[int, ...]) -> Variable:
    if gamma is not None:
        y = y * _spread(op, "gamma", gamma, x, others)
    return y if beta is None else y + _spread(op, "beta", beta, x, others)


def group_norm(x: Any, num_groups: int, gamma: Any = None, beta: Any = None, epsilon: Any = 1e-5) -> Variable:
    """Return `x` with mean 0 and variance 1 over each group of channels of each member of a batch.

    Parameters
    ----------
    x : Variable, shape (batch, channels, ...)
    num_groups : int
        Divides the number of channels.
    gamma, beta : Variable, shape (channels,), optional
    epsilon : float or scalar Variable

    Returns
    -------
    Variable
        Of the shape of `x`.

    Raises
    ------
    RankError
        If `x` has fewer than two dimensions.
    ShapeError
        If `num_groups` doesn't divide the channels.

    References
    ----------
    Wu, He, "Group normalization", 2018.

    Examples
    --------
    >>> from symbolic import constant, function
    >>> function([], group_norm(constant([[1.0, 3.0, 0.0, 8.0]]), 2, epsilon=0.0))().tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = _floats("group_norm", x)
    if x.ndim < 2:
        raise errors.RankError(errors.message("group_norm", f"expected (batch, channels, ...), got {x.ndim} dimensions",
                                              (describe(x),), caller()))
    c = x.type.shape[1]
    if isinstance(num_groups, bool) or not isinstance(num_groups, (int, np.integer)) or num_groups < 1 or c is not None and (
            c % num_groups):
        raise errors.ShapeError(errors.message("group_norm", f"num_groups must divide the {'' if c is None else c} channels, "
                                               f"got {num_groups!r}", (describe(x),), caller()))
    shape = extents(x)
    parts = reshape(x, [shape[0], num_groups, shape[1] // num_groups, *shape[2:]], ndim=x.ndim + 1)
    mean, var = _statistics(parts, tuple(range(2, parts.ndim)))
    y = reshape((parts - mean) / f.sqrt(var + epsilon), shape, ndim=x.ndim)
    return _affine("group_norm", y, x, gamma, beta, (0, *range(2, x.ndim)))


def instance_norm(x: Any, gamma: Any = None, beta: Any = None, epsilon: Any = 1e-5) -> Variable:
    """Return `x` with mean 0 and variance 1 over each channel of each member of a batch.

    Parameters
    ----------
    x : Variable, shape (batch, channels, ...)
    gamma, beta : Variable, shape (channels,), optional
    epsilon : float or scalar Variable

    Returns
    -------
    Variable
        Of the shape of `x`.

    Raises
    ------
    RankError
        If `x` has fewer than three dimensions.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, "Instance normalization: the missing ingredient for fast stylization", 2016.

    Examples
    --------
    >>> from symbolic import constant, function
    >>> function([], instance_norm(constant([[[1.0, 3.0], [0.0, 8.0]]]), epsilon=0.0))().tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    x = _floats("instance_norm", x)
    if x.ndim < 3:
        raise errors.RankError(errors.message("instance_norm", f"expected (batch, channels, ...), got {x.ndim} dimensions",
                                              (describe(x),), caller()))
    mean, var = _statistics(x, tuple(range(2, x.ndim)))
    return _affine("instance_norm", (x - mean) / f.sqrt(var + epsilon), x, gamma, beta, (0, *range(2, x.ndim)))


def local_response_normalization(x: Any, n: int = 5, alpha: Any = 1e-4, beta: Any = 0.75, k: Any = 2, axis: int = 1) -> Variable:
    """Return ``x / (k + alpha * s)**beta``, `s` the sum of squares over `n` neighbouring channels.

    Parameters
    ----------
    x : Variable
        Such as (batch, channels, rows, columns).
    n : int
        Odd: the channel itself, and as many on each side, where there are such.
    alpha, beta, k : float or scalar Variable
    axis : int
        Of the channels.

    Returns
    -------
    Variable
        Of the shape of `x`.

    Raises
    ------
    ValueError
        If `n` is not an odd number.
    RankError
        If there is no such axis.

    References
    ----------
    Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012, section 3.3.

    Examples
    --------
    >>> from symbolic import constant, function
    >>> function([], local_response_normalization(constant([[1.0, 2.0]]), n=3, alpha=1.0, beta=1.0, k=0.0))().tolist()
    [[0.2, 0.4]]
    """
    op = "local_response_normalization"
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 or n % 2 == 0:
        raise ValueError(f"{op}: n must be an odd number of channels, got {n!r}")
    x = _floats(op, x)
    axis = axis_of(axis, x.ndim, op)
    behind = x.ndim - axis - 1
    total = pooled(1 + behind, op, f.sqr(x), (int(n), *[1] * behind), True, (1,) * (1 + behind), (n // 2, *[0] * behind), "sum")
    return x / f.pow(k + alpha * total, beta)

