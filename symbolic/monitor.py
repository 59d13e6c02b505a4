"""Modes that look at every value: MonitorMode calls the user, NanGuardMode finds the first nan, DebugMode compares."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.config import config
from symbolic.graph import Apply, describe
from symbolic.mode import NAMED, Mode


class Thunk:
    """What callbacks see of an application: storage cells, as Theano's thunks have them.

    Attributes
    ----------
    inputs, outputs : list of [ndarray]
        Each value in a list of its own; outputs hold None before the application ran.
    """

    def __init__(self, inputs: Sequence[np.ndarray], outputs: Sequence[Any]) -> None:
        self.inputs = [[a] for a in inputs]
        self.outputs = [[a] for a in outputs]


class _Callbacks:
    def __init__(self, pre_func: Callable[..., Any] | None, post_func: Callable[..., Any] | None) -> None:
        self.pre_func, self.post_func = pre_func, post_func

    def before(self, i: int, node: Apply, arrays: Sequence[np.ndarray]) -> None:
        if self.pre_func is not None:
            self.pre_func(i, node, Thunk(arrays, [None] * len(node.outputs)))

    def after(self, i: int, node: Apply, arrays: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        if self.post_func is not None:
            self.post_func(i, node, Thunk(arrays, results))


def _watching(optimizer: Any, linker: Any, watch: Any) -> Mode:
    if linker not in (None, "vm", "cvm", "py", "c", "c|py", "vm_nogc", "cvm_nogc"):
        raise ValueError(f"linker must be one of Theano's names, got {linker!r}")
    made = Mode("FAST_COMPILE") if optimizer == "default" else Mode("FAST_COMPILE", optimizer=optimizer)
    return Mode(made.name, made.include, made.exclude, made.require, watch)


def MonitorMode(pre_func: Callable[..., Any] | None = None, post_func: Callable[..., Any] | None = None,
                optimizer: Any = "default", linker: Any = None) -> Mode:
    """Return a mode that calls functions before and after every application, those in the steps of loops among them.

    Parameters
    ----------
    pre_func, post_func : callable, optional
        Called with the number of the application within the call, the Apply, and a :class:`Thunk` with the values in
        ``fn.inputs`` and ``fn.outputs``, each in a list: ``fn.outputs[0][0]`` is an array.
    optimizer, linker : str, optional
        Theano's; whatever they are, the interpreter computes op by op what the user wrote, in its stable form.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> def detect_nan(i, node, fn):
    ...     if any(np.isnan(output[0]).any() for output in fn.outputs):
    ...         print("nan from", node)
    >>> x = T.dscalar("x")
    >>> f = symbolic.function([x], T.sqrt(x) + 1, mode=MonitorMode(post_func=detect_nan))
    >>> _ = f(-1.0)
    nan from sqrt(x)
    nan from add(sqrt, 1.0)
    """
    return _watching(optimizer, linker, _Callbacks(pre_func, post_func))


#: Magnitude from which on a value counts as big.
BIG = 1e10


class _NanGuard:
    def __init__(self, nan: bool, inf: bool, big: bool) -> None:
        self.nan, self.inf, self.big = nan, inf, big

    def before(self, i: int, node: Apply, arrays: Sequence[np.ndarray]) -> None:
        for v, a in zip(node.inputs, arrays, strict=False):
            if v.owner is None:
                self._look(a, f"input {describe(v)}", node, arrays)

    def after(self, i: int, node: Apply, arrays: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        for k, a in enumerate(results):
            self._look(a, "its result" if len(results) == 1 else f"its result {k}", node, arrays)

    def _look(self, a: np.ndarray, what: str, node: Apply, arrays: Sequence[np.ndarray]) -> None:
        found = self._wrong(a)
        if found is None:
            return
        action = config.nan_guard_action
        operands = tuple(f"{v.name or k}: {x.dtype} {x.shape}{_range(x)}"
                         for k, (v, x) in enumerate(zip(node.inputs, arrays, strict=False)))
        text = errors.message(node.op.name, f"{what} holds {found}", operands, node.loc, _hint(node, found))
        if action == "raise":
            raise errors.NanError(text)
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        if action == "pdb":
            breakpoint()  # noqa: T100  (asked for)

    def _wrong(self, a: np.ndarray) -> str | None:
        if a.dtype.kind not in "fc" or not a.size:
            return None
        if self.nan and np.isnan(a).any():
            return f"nan in {int(np.isnan(a).sum())} of {a.size} elements"
        if self.inf and np.isinf(a).any():
            return f"inf in {int(np.isinf(a).sum())} of {a.size} elements"
        if self.big and float(np.abs(a).max()) > BIG:
            return f"a value of magnitude {float(np.abs(a).max()):.3g}"
        return None


def _range(x: np.ndarray) -> str:
    if x.dtype.kind not in "fiu" or not x.size or not np.isfinite(x).any():
        return ""
    finite = x[np.isfinite(x)]
    return f" in [{finite.min():.4g}, {finite.max():.4g}]"


#: What usually helps against nan and inf that these ops give.
HINTS = {"log": "its argument was zero or negative: T.nnet.softplus, T.nnet.logsoftmax or T.log(x + eps) avoid that",
         "sqrt": "its argument was negative (or a derivative at 0 was taken): add a small constant inside",
         "true_div": "a divisor was zero: add a small constant, or choose with T.switch",
         "exp": "its argument was too large: subtract the largest value first, as T.nnet.softmax and T.logsumexp do",
         "pow": "a negative base with a broken exponent, or a result that is too large"}


def _hint(node: Apply, found: str) -> str:
    default = "print what goes in with symbolic.printing.Print; a smaller learning rate or clipped gradients often help"
    return HINTS.get(node.op.name, default)


def NanGuardMode(nan_is_error: bool | None = None, inf_is_error: bool | None = None, big_is_error: bool | None = None,
                 optimizer: Any = "default", linker: Any = None) -> Mode:
    """Return a mode that names the first application that gives nan, inf or a huge value, and the user's line.

    Parameters
    ----------
    nan_is_error, inf_is_error, big_is_error : bool, optional
        What counts: nan, inf, magnitudes above 1e10. All by default.
    optimizer, linker : str, optional
        As for :func:`MonitorMode`.

    Notes
    -----
    The graph as the user wrote it, in its stable form (``log(1 + exp(x))`` is softplus), is computed op by op and inside of
    loops; no other rewrite hides anything. ``config.nan_guard_action`` says whether to raise, to warn, or to stop in the
    debugger.

    Raises
    ------
    NanError
        When called. It is a subclass of AssertionError.
    """
    flags = [True if flag is None else bool(flag) for flag in (nan_is_error, inf_is_error, big_is_error)]
    return _watching(optimizer, linker, _NanGuard(*flags))


def DebugMode(optimizer: Any = "fast_run", stability_patience: Any = None, check_c_code: Any = None,
              check_py_code: Any = None, check_isfinite: Any = None, check_preallocated_output: Any = None,
              require_matching_strides: Any = None, linker: Any = None) -> Mode:
    """Return ``mode="CHECK"``: native code and interpreter are compared, and the first application that differs is named.

    Parameters
    ----------
    optimizer : str
        One of Theano's names: which rewrites are done.
    stability_patience, check_c_code, check_py_code, check_preallocated_output, require_matching_strides, linker
        Accepted as in Theano: both are always checked, graphs are always written in the same way, and nothing writes into
        memory that others see.
    check_isfinite : bool, optional
        Accepted; use :func:`NanGuardMode` to find nan.
    """
    return Mode("CHECK", optimizer=optimizer)


NAMED["NanGuardMode"] = NanGuardMode
