"""NumPy's functions on Variables: ``np.exp(x)``, ``np.sum(x)`` and ``ndarray * x`` build nodes (NEP 13 and NEP 18)."""
from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, describe
from symbolic.ops import functions as f
from symbolic.ops.extents import axis_of
from symbolic.ops.shape import dimshuffle
from symbolic.source import caller

#: Where what NumPy has in a module is here; of the names that stand alone, `TENSOR` is asked.
TENSOR = "symbolic.tensor"
MODULES = {"numpy": (TENSOR,), "numpy.linalg": ("symbolic.tensor.nlinalg", "symbolic.tensor.slinalg", TENSOR),
           "numpy.fft": ("symbolic.ops.fft",)}
#: Ours by NumPy's names, where they differ.
NAMES = {
    "absolute": "abs_", "fabs": "abs_", "remainder": "mod", "floor_divide": "int_div", "sign": "sgn", "rint":
    "round_half_to_even", "positive": "as_tensor_variable", "conjugate": "conj", "radians": "deg2rad", "degrees": "rad2deg",
    "amax": "max", "amin": "min", "around": "round_", "round": "round_", "abs": "abs_", "divide": "true_div",
    "permute_dims": "transpose", "inv": "matrix_inverse", "concat": "concatenate", "row_stack": "vstack",
}
_LOGIC = {"logical_and": f.and_, "logical_or": f.or_, "logical_xor": f.xor, "logical_not": f.invert}
_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}
_RUNNING = {"add": "cumsum", "multiply": "cumprod", "maximum": "cummax", "minimum": "cummin"}


def _missing(what: str, module: str, operands: Sequence[Any]) -> TypeError:
    name = what.rpartition(".")[2]
    close = difflib.get_close_matches(name, [n for n in dir(importlib.import_module(TENSOR)) if not n.startswith("_")], 1, 0.75)
    hint = f"symbolic.tensor has {close[0]!r}" if close else "symbolic.tensor lists what there is; as_op wraps a NumPy function"
    shown = tuple(describe(v) for v in operands if isinstance(v, Variable))
    return TypeError(errors.message(what, f"{module} function of this name isn't defined for symbolic variables", shown,
                                    caller(), hint))


@cache
def found(name: str, module: str = "numpy") -> Callable[..., Any] | None:
    """Return our function for one of NumPy's; None if there is none."""
    ours = NAMES.get(name, name)
    for place in MODULES.get(module, ()):
        function = getattr(importlib.import_module(place), ours, None) if ours in dir(importlib.import_module(place)) else None
        if callable(function) and not inspect.isclass(function):
            return function
    return None


def _array_ufunc(self: Variable, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Apply one of NumPy's elementwise functions."""
    name = ufunc.__name__
    out = options.pop("out", None)
    if out is not None and not (method == "__call__" and out[0] is inputs[0]):  # array += x makes a new value, as x + array does
        raise TypeError(errors.message(f"np.{name}", "out= can't take a symbolic result", (describe(self),), caller(),
                                       "use what is returned"))
    if method == "reduce" and name in _REDUCTIONS:
        return _call(f"np.{name}.reduce", found(_REDUCTIONS[name]), inputs, {"axis": 0, **options})
    if method == "accumulate" and name in _RUNNING:
        return _call(f"np.{name}.accumulate", found(_RUNNING[name]), inputs, {"axis": 0, **options})
    if method not in ("__call__", "outer"):
        raise _missing(f"np.{name}.{method}", "numpy's", inputs)
    if options:
        raise TypeError(errors.message(f"np.{name}", f"{', '.join(options)}= isn't supported for symbolic variables",
                                       (describe(self),), caller(), "T.cast changes a dtype, T.switch chooses elementwise"))
    if method == "outer":
        a, b = (as_tensor_variable(v) for v in inputs)
        inputs = (dimshuffle(a, *range(a.ndim), *("x",) * b.ndim), b)
    if name in _LOGIC:
        parts = [as_tensor_variable(v) for v in inputs]
        return _LOGIC[name](*(v if v.dtype == "bool" else f.neq(v, 0) for v in parts))
    function = found(name)
    if function is None or name not in _numpy_ufuncs():
        raise _missing(f"np.{name}", "numpy's", inputs)
    return function(*inputs)


@cache
def _numpy_ufuncs() -> Mapping[str, np.ufunc]:
    return {name: u for name, u in vars(np).items() if isinstance(u, np.ufunc)}


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Variable]:
    """Return parts as ``numpy.split`` cuts them: at indices (``T.split`` takes extents)."""
    x = as_tensor_variable(ary)
    if isinstance(indices_or_sections, (int, np.integer)):
        raise TypeError(errors.message("np.split", "the number of equal parts isn't supported for symbolic variables",
                                       (describe(x),), caller(), "give the indices at which to cut, or use T.split"))
    cuts = [None, *indices_or_sections, None]
    before = (slice(None),) * axis_of(axis, x.ndim, "split")
    return [x[(*before, slice(a, b))] for a, b in pairwise(cuts)]


def _array_function(self: Variable, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any],
                    kwargs: Mapping[str, Any]) -> Any:
    """Apply one of NumPy's functions."""
    module = func.__module__ or "numpy"
    label = f"{module.replace('numpy', 'np', 1)}.{func.__name__}"
    if func.__name__ in ("shape", "ndim"):
        x = as_tensor_variable(args[0] if args else kwargs["a"])
        return x.ndim if func.__name__ == "ndim" else x.shape  # type: ignore[attr-defined]
    function = _split if func.__name__ in ("split", "array_split") else found(func.__name__, module)
    if function is None:
        raise _missing(label, f"{module}'s", [*args, *kwargs.values()])
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except ValueError:  # written in C
        return _call(label, function, args, kwargs)
    return _translated(label, function, parameters, args, kwargs)


def _translated(label: str, function: Callable[..., Any], parameters: Sequence[inspect.Parameter], args: Sequence[Any],
                kwargs: Mapping[str, Any]) -> Any:
    """Call ours with the arguments that NumPy's was given, by their names there."""
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return _call(label, function, args, kwargs)
    theirs = {p.name: p for p in parameters}
    given = dict(zip(theirs, args, strict=False)) | dict(kwargs)
    own = inspect.signature(function).parameters
    if any(p.kind is p.VAR_POSITIONAL for p in own.values()):  # an elementwise row: in order
        return _call(label, function, [v for name, v in given.items() if name != "out" and v is not theirs[name].default], {})
    positional: list[Any] = []
    named: dict[str, Any] = {}
    leading = True
    for name, value in given.items():
        p = theirs[name]
        if p.default is not p.empty and (value is p.default or (value is None and name == "out")):
            leading = False
            continue
        if leading and p.default is p.empty and name not in kwargs:
            positional.append(value)
        elif name in own:
            named[name] = value
        elif p.default is p.empty:
            positional.append(value)
        else:
            raise TypeError(errors.message(label, f"the argument {name}= isn't supported for symbolic variables", (), caller(),
                                           f"symbolic.tensor's takes {', '.join(own)}"))
    return _call(label, function, positional, named)


def _call(label: str, function: Callable[..., Any] | None, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    kept = {k: v for k, v in options.items() if not (k == "out" and v is None)}
    assert function is not None
    try:
        inspect.signature(function).bind(*args, **kept)
    except TypeError as error:
        raise TypeError(errors.message(label, f"called with what isn't supported for symbolic variables: {error}", (), caller(),
                                       f"symbolic.tensor's takes {inspect.signature(function)}")) from None
    return function(*args, **kept)


def _array(self: Variable, dtype: Any = None, copy: Any = None) -> Any:
    if not self.ndim and self.dtype.startswith("int") and dtype in (None, object):  # extents: np.prod([2, x.shape[0]])
        made = np.empty((), object)
        made[()] = self
        return made
    raise TypeError(errors.message("np.asarray", "a symbolic variable has no elements until the function runs", (describe(self),),
                                   caller(), "use T.as_tensor_variable, T.stack for lists of variables, or x.eval({...})"))


def _number(what: str) -> Callable[[Variable], Any]:
    def convert(self: Variable) -> Any:
        raise TypeError(errors.message(what, "a symbolic variable has no value until the function runs", (describe(self),),
                                       caller(), "T.cast(x, dtype) changes its dtype; x.eval({...}) computes it; loops over a "
                                       "symbolic number of steps are scan's, symbolic.scan(..., n_steps=n); T.arange(n) counts"))

    return convert


for _name in ("float", "int", "complex", "index"):
    setattr(Variable, f"__{_name}__", _number(_name))
Variable.__array_ufunc__ = _array_ufunc  # type: ignore[attr-defined]
Variable.__array_function__ = _array_function  # type: ignore[attr-defined]
Variable.__array__ = _array  # type: ignore[attr-defined]
