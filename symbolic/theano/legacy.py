"""Names of Theano's top level and of its compile and configuration modules that nothing else here has."""
from __future__ import annotations

import os
import pickle
import warnings
from typing import Any

import numpy as np

from symbolic.config import config
from symbolic.graph import Apply, Op, Variable
from symbolic.mode import MODES, Mode, as_mode
from symbolic.monitor import Thunk
from symbolic.ops.operators import copy as _copy
from symbolic.ops.reduce import Reduce
from symbolic.source import caller
from symbolic.theano_flags import WITHOUT_EFFECT

#: Theano's table of modes by name.
predefined_modes = {name: Mode(name) for name in MODES}


def get_default_mode() -> Mode:
    """Return the mode that ``config.mode`` names."""
    return as_mode(None)


def function_dump(filename: str | os.PathLike[str], inputs: Any, outputs: Any = None, mode: Any = None, updates: Any = None,
                  givens: Any = None, no_default_updates: bool = False, accept_inplace: bool = False, name: str | None = None,
                  rebuild_strict: bool = True, allow_input_downcast: bool | None = None, profile: Any = None,
                  on_unused_input: str | None = None, extra_tag_to_remove: str | None = None) -> None:
    """Write the arguments of ``function`` into a file, for a bug report.

    Parameters
    ----------
    filename : path
    inputs, outputs, mode, updates, givens, no_default_updates, accept_inplace, name, rebuild_strict, allow_input_downcast
        As for :func:`symbolic.function`.
    profile, on_unused_input
        As for :func:`symbolic.function`.
    extra_tag_to_remove : str, optional
        An attribute of tags that isn't written.

    Notes
    -----
    The file is a pickle of a dict; ``symbolic.function(**pickle.load(file))`` compiles it again. Values of shared variables
    are in it.
    """
    given = {"inputs": inputs, "outputs": outputs, "mode": mode, "updates": updates, "givens": givens,
             "no_default_updates": no_default_updates, "accept_inplace": accept_inplace, "name": name,
             "rebuild_strict": rebuild_strict, "allow_input_downcast": allow_input_downcast, "profile": profile,
             "on_unused_input": on_unused_input}
    variables = [v for v in _variables(given) if extra_tag_to_remove is not None and hasattr(v.tag, extra_tag_to_remove)]
    kept = [(v, getattr(v.tag, str(extra_tag_to_remove))) for v in variables]
    for v, _ in kept:
        delattr(v.tag, str(extra_tag_to_remove))
    try:
        with open(filename, "wb") as file:
            pickle.dump(given, file, pickle.HIGHEST_PROTOCOL)
    finally:
        for v, value in kept:
            setattr(v.tag, str(extra_tag_to_remove), value)


def _variables(given: dict[str, Any]) -> list[Variable]:
    found: list[Variable] = []
    stack: list[Any] = [given]
    while stack:
        thing = stack.pop()
        if isinstance(thing, Variable):
            found.append(thing)
        elif isinstance(thing, dict):
            stack += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple)):
            stack += thing
    return found


def detect_nan(i: int, node: Apply, fn: Thunk) -> None:
    """Print an application that gives nan: Theano's recipe for ``MonitorMode(post_func=detect_nan)``."""
    for output in fn.outputs:
        if output[0].dtype.kind in "fc" and np.isnan(output[0]).any():
            print(f"*** NaN detected ***\n{node}\nat {node.loc}\nInputs : {[x[0] for x in fn.inputs]}\n"
                  f"Outputs: {[x[0] for x in fn.outputs]}")
            break


def AddConfigVar(name: str, doc: str, configparam: Any, root: Any = None, in_c_key: bool = True) -> None:
    """Add a setting of the program's own to ``config``, with the default of `configparam`."""
    WITHOUT_EFFECT.setdefault(name, getattr(configparam, "default", configparam))


class ConfigParam:
    """The default of a setting that a program adds.

    Parameters
    ----------
    default : object
    """

    def __init__(self, default: Any, *_: Any, **__: Any) -> None:
        self.default = default


BoolParam = IntParam = FloatParam = StrParam = EnumStr = TypedParam = ConfigParam


def Sum(axis: Any = None, dtype: Any = None, acc_dtype: Any = None) -> Any:
    """Return what sums along an axis, as Theano's class of this name does when called."""
    def apply(x: Variable) -> Variable:
        axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
        return Reduce("sum", tuple(a % x.ndim for a in axes), dtype)(x)

    return apply


#: Ops of Theano that copy.
deep_copy_op = view_op = _copy


class OutputGuard(Op):
    """Theano's identity around outputs; graphs need none here, so it is never made."""


def test(*args: Any, **kwargs: Any) -> None:
    """Theano ran its tests here; these run with ``make test``."""
    warnings.warn(f"theano.test(): this package's tests run with `make test` in its checkout (asked for at {caller()}, floatX "
                  f"{config.floatX})", stacklevel=2)
