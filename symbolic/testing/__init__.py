"""Checking derivatives by differences, for tests of ops and of models."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic.errors import SymbolicError
from symbolic.function import function
from symbolic.graph import Variable
from symbolic.reverse import grad
from symbolic.types import TensorType

#: step of a forward difference, and how far a gradient may be off, by dtype
_STEP = {"float64": 1e-7, "float32": 3e-4, "float16": 1e-1}
_TOLERANCE = {"float64": 1e-4, "float32": 1e-2, "float16": 5e-2}


class GradientError(SymbolicError, AssertionError):
    """A gradient that differences contradict."""


class numeric_grad:
    """The gradient of a Python function by forward differences.

    Parameters
    ----------
    f : callable
        Takes the arrays of `pt`, returns a number.
    pt : array or list of array
        Where; floating.
    eps : float, optional
        The step; by default 1e-7 for float64, 3e-4 for float32, 0.1 for float16.
    out_type : str, optional
        dtype that `f` computes in, where that is narrower than the points'.

    Attributes
    ----------
    gf : array or list of array
        Of the shapes of `pt`.

    Examples
    --------
    >>> numeric_grad(lambda x: (x ** 2).sum(), np.array([1.0, 2.0])).gf.round(4)
    array([2., 4.])
    """

    def __init__(self, f: Callable[..., Any], pt: Any, eps: float | None = None, out_type: str | None = None) -> None:
        points = [np.array(p) for p in pt] if isinstance(pt, (list, tuple)) else [np.array(pt)]
        for p in points:
            if p.dtype.name not in _STEP:
                raise TypeError(f"numeric_grad: points must be float16, float32 or float64, got {p.dtype}")
        narrow = max([_STEP[p.dtype.name] for p in points] + ([_STEP[out_type]] if out_type in _STEP else []))
        step = narrow if eps is None else eps
        start = np.array(f(*points))
        found = []
        for p in points:
            g = np.zeros_like(p)
            for i in np.ndindex(p.shape):
                kept = p[i]
                p[i] = kept + p.dtype.type(step)
                taken = p[i] - kept  # the step that the dtype can hold
                g[i] = (np.array(f(*points)) - start) / taken
                p[i] = kept
            found.append(g)
        self.gf: Any = found if isinstance(pt, (list, tuple)) else found[0]


def verify_grad(fun: Callable[..., Variable], pt: Sequence[Any], n_tests: int = 2, rng: Any = None,
                eps: float | None = None, out_type: str | None = None, abs_tol: float | None = None,
                rel_tol: float | None = None, mode: Any = None, cast_to_output_type: bool = False,
                no_debug_ref: bool = True) -> None:
    """Check the symbolic gradient of a function against differences.

    The output is projected on random vectors, so that one scalar is differentiated.

    Parameters
    ----------
    fun : callable
        Takes symbolic variables, returns one; an op, for example.
    pt : list of array
        Where; floating.
    n_tests : int
        How many random projections.
    rng : numpy.random.Generator or RandomState, optional
    eps : float, optional
        Step of the differences.
    out_type : str, optional
        dtype of the output, where narrower than the points'.
    abs_tol, rel_tol : float, optional
        1e-4 for float64, 1e-2 for float32, 0.05 for float16 (the narrowest of the points); an error must exceed both.
    mode : optional
        As for :func:`symbolic.function`.
    cast_to_output_type : bool
        Project in the output's own dtype, where it is float32 and the points are float64.
    no_debug_ref : bool
        Without effect, for Theano's signature.

    Raises
    ------
    GradientError
        If they differ: where, and by how much.
    TypeError
        If there is more than one output, or a point isn't floating.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> verify_grad(T.tanh, [np.array([0.1, 2.0])])
    """
    points = [np.array(p) for p in pt]
    for k, p in enumerate(points):
        if p.dtype.name not in _STEP:
            raise TypeError(f"verify_grad: point {k} must be floating, got {p.dtype}")
    rng = np.random.default_rng(0) if rng is None else rng
    inputs = [Variable(TensorType(p.dtype.name, (None,) * p.ndim), name=f"input {k}") for k, p in enumerate(points)]
    output = fun(*inputs)
    if not isinstance(output, Variable):
        raise TypeError(f"verify_grad: fun must return one variable, got {type(output).__name__}; take one with a lambda")
    dtypes = [p.dtype.name for p in points] + ([out_type] if out_type in _STEP else [])
    narrow = max(dtypes, key=lambda d: _TOLERANCE[d])
    absolute = _TOLERANCE[narrow] if abs_tol is None else abs_tol
    relative = _TOLERANCE[narrow] if rel_tol is None else rel_tol
    work = output.dtype if cast_to_output_type else narrow
    value = function(inputs, output, mode=mode)
    direction = Variable(TensorType(work, (None,) * output.ndim), name="direction")
    slopes = function([*inputs, direction], grad((output * direction).sum(), inputs), mode=mode)  # type: ignore[operator]
    shape = np.shape(value(*points))
    for n in range(n_tests):
        u = np.asarray(rng.normal(size=shape), work) + np.asarray(0.1, work)

        def projected(*arrays: np.ndarray) -> np.ndarray:
            return np.asarray((np.asarray(value(*arrays), "float64") * u).sum(), "float64")  # noqa: B023

        want = numeric_grad(projected, points, eps, out_type).gf
        got = slopes(*points, u)
        for k, (w, g) in enumerate(zip(want, got, strict=True)):
            _compare(k, n, np.asarray(w, "float64"), np.asarray(g, "float64"), absolute, relative)


def _compare(k: int, n: int, want: np.ndarray, got: np.ndarray, absolute: float, relative: float) -> None:
    off = np.abs(want - got)
    scale = np.maximum(np.abs(want) + np.abs(got), 1e-8)
    wrong = ~((off <= absolute) | (off / scale <= relative))
    if not wrong.any():
        return
    worst = np.unravel_index(int(np.argmax(np.where(wrong, np.nan_to_num(off, nan=np.inf), -1))), off.shape)
    raise GradientError(
        f"verify_grad: the gradient of input {k} is wrong in test {n}, most at index {tuple(map(int, worst))}: symbolic "
        f"{got[worst]!s}, by differences {want[worst]!s} (absolute error {off[worst]:.3g}, allowed {absolute:.3g}; "
        f"relative {(off / scale)[worst]:.3g}, allowed {relative:.3g})")
