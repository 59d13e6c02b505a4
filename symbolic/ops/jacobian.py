"""Matrices of derivatives, from one pass over unit vectors."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from symbolic import errors
from symbolic.batching import batched
from symbolic.forward import Rop
from symbolic.graph import Variable, constant, describe
from symbolic.nullgrad import is_null
from symbolic.ops import batched as _batched  # noqa: F401  (how other ops take a batch)
from symbolic.ops.batch_rules import filled
from symbolic.ops.create import arange
from symbolic.ops.diagonal import eye
from symbolic.ops.elementwise import cast_to
from symbolic.ops.extents import extents
from symbolic.ops.functions import eq
from symbolic.ops.index import getitem
from symbolic.ops.scan_api import scan
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.reverse import grad, like, variables, zeros_of
from symbolic.source import caller
from symbolic.types import is_complex, is_discrete


def jacobian(expression: Variable, wrt: Any, consider_constant: Iterable[Variable] | None = None,
             disconnected_inputs: str = "raise", block: int | None = None) -> Any:
    """Return all derivatives of an array with respect to variables.

    Parameters
    ----------
    expression : Variable
        Of any rank; real and floating.
    wrt : Variable, list or tuple of Variable
        The result has the same structure.
    consider_constant, disconnected_inputs
        As for :func:`grad`.
    block : int, optional
        How many rows are computed at a time. None: all, in one pass; memory then holds every intermediate value of
        the pass as often as `expression` has elements.

    Returns
    -------
    Variable, list or tuple
        Of shape ``expression.shape + wrt.shape`` each: element ``[i, j]`` is the derivative of ``expression[i]`` with
        respect to ``wrt[j]``.

    Raises
    ------
    DTypeError
        If `expression` isn't real and floating.
    ValueError
        If `block` isn't positive.
    DisconnectedInputError
        If `expression` doesn't depend on a variable.
    NullTypeGradError
        If a derivative on the way isn't defined.

    Notes
    -----
    The reverse pass runs once, on a batch of unit vectors, so that products with vectors become products of matrices.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> symbolic.function([x], jacobian(x ** 2, x))([1, 2])
    array([[2., 0.],
           [0., 4.]])
    """
    if not isinstance(expression, Variable):
        raise TypeError(f"jacobian: expression must be a symbolic variable, got {type(expression).__name__}")
    if is_discrete(expression.dtype) or is_complex(expression.dtype):
        raise errors.DTypeError(errors.message("jacobian", "the expression must be real and floating", (describe(expression),),
                                               caller(), "a count or a comparison has no derivative"))
    targets = variables(wrt, "wrt")
    if expression.ndim == 0:
        return like(wrt, grad(expression, targets, consider_constant, disconnected_inputs, add_names=False))
    u = expression.clone()
    rows = grad(None, targets, consider_constant, disconnected_inputs, add_names=False, known_grads={expression: u})
    return like(wrt, _matrices(expression, u, targets, rows, block, "jacobian"))


def hessian(cost: Variable, wrt: Any, consider_constant: Iterable[Variable] | None = None,
            disconnected_inputs: str = "raise", block: int | None = None) -> Any:
    """Return the second derivatives of a scalar, for each variable by itself.

    Parameters
    ----------
    cost : Variable, shape ()
    wrt : Variable, list or tuple of Variable
        The result has the same structure.
    consider_constant, disconnected_inputs
        As for :func:`grad`.
    block : int, optional
        How many rows are computed at a time; None: all.

    Returns
    -------
    Variable, list or tuple
        Of shape ``wrt.shape + wrt.shape`` each.

    Raises
    ------
    RankError, DTypeError
        If `cost` isn't a real scalar.
    DisconnectedInputError
        If `cost` doesn't depend on a variable.

    Notes
    -----
    Forward over reverse: the gradient's derivative along a batch of unit vectors.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> symbolic.function([x], hessian(T.prod(x), x))([2, 3])
    array([[0., 1.],
           [1., 0.]])
    """
    targets = variables(wrt, "wrt")
    found = []
    for x in targets:
        slope = grad(cost, x, consider_constant, disconnected_inputs, add_names=False)
        t = x.clone()
        row = Rop(slope, x, t, disconnected_outputs="ignore") if not is_discrete(x.dtype) else zeros_of(x)
        found += _matrices(x, t, [x], [row], block, "hessian")
    return like(wrt, found)


def _matrices(source: Variable, u: Variable, targets: Sequence[Variable], rows: Sequence[Variable], block: int | None,
              what: str) -> list[Variable]:
    """Return `rows`, functions of `u`, for every unit vector of the shape of `source`."""
    if block is not None and (not isinstance(block, int) or block < 1):
        raise ValueError(f"{what}: block must be a positive number of rows, got {block!r}")
    shape = extents(source)
    total: Any = constant(1, dtype="int64")
    for n in shape:
        total = total * n
    live = [k for k, r in enumerate(rows) if not is_null(r)]

    def along(units: Variable) -> list[Variable]:
        seeds = units if source.ndim == 1 else reshape(units, [extents(units)[0], *shape], ndim=1 + source.ndim)
        pairs = batched([rows[k] for k in live], {u: seeds})
        return [v if has else filled(v, units) for v, has in pairs]

    if block is None:
        made = along(eye(total, dtype=source.dtype))
    else:
        made = _by_blocks(along, total, block, source.dtype)
    results = list(rows)
    for k, m in zip(live, made, strict=True):
        own = extents(targets[k])
        results[k] = m if source.ndim == 1 else reshape(m, [*shape, *own], ndim=source.ndim + targets[k].ndim)
    return results


def _by_blocks(along: Callable[[Variable], list[Variable]], total: Variable, block: int, dtype: str) -> list[Variable]:
    """Return `along` of all unit vectors, computed by a loop over blocks of them."""
    steps = (total + (block - 1)) // block  # type: ignore[operator]

    def part(k: Variable) -> list[Variable]:
        rows = dimshuffle(k * block + arange(block), 0, "x")  # type: ignore[operator]
        return along(cast_to(eq(rows, dimshuffle(arange(total), "x", 0)), dtype))

    found, _ = scan(part, arange(steps), return_list=True)
    return [getitem(_joined(v), slice(None, total)) for v in found]


def _joined(v: Variable) -> Variable:
    """Return blocks of rows as rows."""
    count, rows, *rest = extents(v)
    return reshape(v, [count * rows, *rest], ndim=v.ndim - 1)
