"""``function``: from symbolic inputs and outputs to a callable."""
from __future__ import annotations

import copy
import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.compiled import Function, make
from symbolic.config import checked, config
from symbolic.graph import Constant, Variable, ancestors, as_tensor_variable, clone_replace, describe, inputs_of
from symbolic.mode import Mode, as_mode
from symbolic.ops.transfer import transfer
from symbolic.profiling import ProfileStats, print_at_exit
from symbolic.shared import Container, SharedVariable, shared
from symbolic.source import caller
from symbolic.sparse_calls import any_sparse, of_sparse
from symbolic.spec import Input, Spec
from symbolic.tiered import TieredFunction  # noqa: F401  (registers itself)

#: Devices that ``config.device`` named and that weren't there, of which a warning was given.
_missing: set[str] = set()


@dataclass(eq=False)
class In:
    """An input of a function with its options.

    Parameters
    ----------
    variable : Variable
    name : str, optional
        For calling by keyword; the variable's name by default.
    value : array_like, optional
        What is used when the call leaves it out.
    update : Variable, optional
        New value after each call, so the input has a state, which starts at `value`. Such inputs come last.
    mutable, borrow : bool
        Accepted for Theano's sake: arguments are never written to, and never kept.
    strict : bool
        Accept only an ndarray of exactly this dtype.
    allow_downcast : bool or None
        Overrides ``allow_input_downcast`` for this input.
    autoname : bool
        Take the variable's name where `name` isn't given.
    implicit, shared
        Accepted for Theano's sake; they said how Theano had come by an input.
    """

    variable: Variable
    name: str | None = None
    value: Any = None
    update: Any = None
    mutable: bool | None = None
    strict: bool = False
    allow_downcast: bool | None = None
    autoname: bool = True
    implicit: bool | None = None
    borrow: bool | None = None
    shared: bool = False


class Param(In):
    """Theano's old spelling of :class:`In`, with `default` for `value`."""

    def __init__(self, variable: Variable, default: Any = None, name: str | None = None, mutable: bool = False,
                 strict: bool = False, allow_downcast: bool | None = None, implicit: bool | None = None,
                 borrow: bool | None = None) -> None:
        super().__init__(variable, name=name, value=default, mutable=mutable, strict=strict, allow_downcast=allow_downcast,
                         implicit=implicit, borrow=borrow)


@dataclass(eq=False)
class Out:
    """An output of a function; of one on a GPU, `borrow` asks for CuPy's array. Outputs never alias anything."""

    variable: Variable
    borrow: bool = False


def function(inputs: Sequence[Any], outputs: Any = None, mode: str | Mode | None = None, updates: Any = None,
             givens: Any = None, no_default_updates: Any = False, accept_inplace: bool = False, name: str | None = None,
             rebuild_strict: bool = True, allow_input_downcast: bool | None = None, profile: Any = None,
             on_unused_input: str | None = None, device: str | None = None) -> Any:
    """Compile a function.

    Parameters
    ----------
    inputs : list of Variable or In
    outputs : Variable, Out, list, tuple, dict with str keys, or None
        One variable gives a bare array, a list or tuple a list, a dict a dict.
    mode : {'FAST_RUN', 'FAST_COMPILE', 'CHECK'} or Mode, optional
        Native code; the NumPy interpreter; both, compared. A :class:`symbolic.Mode` also says which rewrites are done.
    updates : dict or list of (SharedVariable, expression)
        New values of shared variables; every expression sees the old ones.
    givens : dict or list of pairs
        Variables of the graph and what stands in for them.
    no_default_updates : bool or list of SharedVariable
        Leave out ``default_update`` of all, or of those, shared variables.
    accept_inplace : bool
        Accepted for Theano's sake: graphs hold no operations in place.
    name : str, optional
    rebuild_strict : bool
        False: what stands in for a variable in `givens` may have another type; the graph's types follow.
    allow_input_downcast : bool, optional
    profile : bool or ProfileStats, optional
        Whether the program times its steps, for ``f.profile()``; an object to collect those of several functions. By default
        ``config.profile``, which also prints them when the process ends.
    on_unused_input : {'raise', 'warn', 'ignore'}, optional
    device : str, optional
        Where it runs: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, or ``'cuda:emulated'``. By default where its shared variables were
        put by ``shared(..., device=)``, else ``config.device``.

    Returns
    -------
    Function

    Raises
    ------
    UnusedInputError, MissingInputError, UpdateError
    """
    loc = caller()
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(errors.message("function", f"inputs must be a list, got {type(inputs).__name__}", (), loc,
                                       "write [x] for one input"))
    if any_sparse(inputs, outputs, updates, givens):
        return of_sparse(function, inputs, outputs, updates, givens, mode=mode, no_default_updates=no_default_updates,
                         name=name or (f"{loc.file.rsplit('/', 1)[-1]}:{loc.line}" if loc else None), profile=profile,
                         rebuild_strict=rebuild_strict, allow_input_downcast=allow_input_downcast,
                         on_unused_input=on_unused_input, device=device)
    chosen = as_mode(mode)
    ins = [i if isinstance(i, In) else In(i) for i in inputs]
    _check_inputs(ins)
    structure, outs = _outputs(outputs)
    pairs = _updates(updates)
    ins, inner = _leaves_for(ins)
    arguments = [_argument(i, allow_input_downcast) for i in ins]
    used = inputs_of(outs + [u for _, u in pairs] + [i.update for i in ins if i.update is not None])
    replace = inner | _replacements(givens, ins, rebuild_strict)
    for i, a in zip(ins, arguments, strict=True):
        if a.state is not None:
            replace[i.variable] = a.state
            pairs += _updates([(a.state, i.update)])
    roots = outs + [u for _, u in pairs]
    leaves = used  # walking the graph is much of the time that a function takes which the cache has
    if replace:
        roots = clone_replace(roots, replace)
        leaves = inputs_of(roots)
    more = _default_updates(leaves, pairs, no_default_updates, replace)
    if more:
        roots = roots + [u for _, u in more]
        leaves = inputs_of(roots)
    pairs, unique = _without_clones(pairs, more, roots, leaves)
    if unique is not roots:
        roots, leaves = unique, inputs_of(unique)
    known = {i.variable for i in ins}
    for v in leaves:
        if v not in known and not isinstance(v, (Constant, SharedVariable)):
            raise errors.MissingInputError(errors.message(
                "function", f"the graph needs {describe(v)}, which isn't among the inputs", (), v.loc or loc,
                "add it to the inputs, or replace it with givens"))
    _check_used(ins, [*used, *leaves], on_unused_input or config.on_unused_input)
    shareds = [v for v in leaves if isinstance(v, SharedVariable)]
    read = set(shareds)
    shareds += [s for s, _ in pairs if s not in read]
    place = where(device, shareds, loc)
    if place != "cpu":
        roots[:len(outs)] = [transfer(r, place) if stays else r
                             for r, stays in zip(roots[:len(outs)], _borrowed(outputs), strict=True)]
    label = name or (f"{loc.file.rsplit('/', 1)[-1]}:{loc.line}" if loc else "function")
    new_values = [(s, r) for (s, _), r in zip(pairs, roots[len(outs):], strict=True)]
    timed = config.profile if profile is None else profile is not False
    made = make(Spec(arguments, shareds, roots[:len(outs)], new_values, structure, chosen, label, loc, bool(timed), place))
    if isinstance(profile, ProfileStats):
        profile.takers.append(made.profile)
    elif profile is None and timed and made.source:
        print_at_exit(made.profile)
    return made


def where(device: str | None, shareds: Sequence[SharedVariable], loc: Any = None) -> str:
    """Return the device that a function runs on: what was asked for, else that of its shared variables, else the default."""
    if device is not None:
        try:
            return checked("device", device, "function(device=)")
        except ValueError as error:
            raise errors.DeviceError(errors.message("function", str(error), (), loc)) from None
    placed = {s.container.device for s in shareds} - {"cpu"}
    if len(placed) > 1:
        shown = [f"{s.name or s} on {s.container.device}" for s in shareds if s.container.device != "cpu"]
        raise errors.DeviceError(errors.message("function", "its shared variables lie on different devices", shown, loc,
                                                "say where it is to run, with device=; others are copied at each call"))
    return placed.pop() if placed else _default_device()


def _default_device() -> str:
    """Return ``config.device``, or the CPU where it can't be used: as Theano did, unless ``config.force_device``."""
    name = config.device
    if name in ("cpu", "cuda:emulated") or config.force_device:
        return name
    try:
        importlib.import_module("symbolic.codegen.cuda.devices").find(name)  # loaded by who asks for a GPU
    except errors.DeviceError as error:
        if name not in _missing:
            _missing.add(name)
            warnings.warn(f"config.device is {name!r}, but functions run on the CPU: {error}", stacklevel=4)
        return "cpu"
    return name


def _leaves_for(ins: Sequence[In]) -> tuple[list[In], dict[Variable, Variable]]:
    """Return inputs, with a leaf in the place of each that is computed in the graph, and what each stands for."""
    inner = {i.variable: i.variable.type(i.variable.name) for i in ins if i.variable.owner is not None}  # type: ignore[operator]
    out = []
    for i in ins:
        if i.variable in inner:
            leaf = inner[i.variable]
            leaf.loc = i.variable.loc
            i = copy.copy(i)
            i.variable = leaf
        out.append(i)
    return out, inner


def _argument(i: In, downcast: bool | None) -> Input:
    v, name = i.variable, i.name or (i.variable.name if i.autoname else None)
    default = None
    if i.value is not None:
        value = i.value.get_value() if isinstance(i.value, SharedVariable) else i.value
        try:
            default = np.array(v.type.filter(value, False, True), order="C")
        except errors.SymbolicError as error:
            raise type(error)(errors.message("function", f"the default of {describe(v)}: {error}", (), v.loc)) from None
    state = None
    if i.update is not None:
        if default is None:
            raise errors.UpdateError(errors.message("function", f"{describe(v)} has an update but no value", (), v.loc,
                                                    "pass In(..., value=...) to say where it starts"))
        state = SharedVariable(v.type, Container(default), name)
    return Input(v, name, default, downcast if i.allow_downcast is None else i.allow_downcast, i.strict, state)


def _check_used(ins: Sequence[In], leaves: Sequence[Variable], how: str) -> None:
    used = set(leaves)
    for i in ins:
        if i.variable in used or i.variable.owner is not None or how == "ignore":
            continue
        text = errors.message("function", f"input {describe(i.variable)} isn't used", (), i.variable.loc or caller(),
                              "remove it, or pass on_unused_input='ignore'")
        if how == "raise":
            raise errors.UnusedInputError(text)
        warnings.warn(text, stacklevel=3)


def _replacements(givens: Any, ins: Sequence[In], strict: bool) -> dict[Variable, Variable]:
    replace: dict[Variable, Variable] = {}
    for key, value in _pairs(givens):
        if not isinstance(key, Variable):
            raise errors.GraphError(errors.message("function", f"givens replaces variables, got {key!r}", (), caller()))
        if any(i.variable is key for i in ins):
            raise errors.GraphError(errors.message("function", f"{key} is an input and can't be replaced by givens", (),
                                                   caller()))
        new = value if isinstance(value, Variable) else shared(key.type.filter(value))
        if strict and (new.dtype != key.dtype or new.ndim != key.ndim):
            raise errors.GraphError(errors.message(
                "function", "givens: the replacement has another type", (describe(key), describe(new)), caller(),
                f"bring it to {key.type}, with .astype({key.dtype!r}) for the dtype"))
        replace[key] = new
    for key, new in replace.items():
        chained = [v for v in ancestors([new]) if v in replace and v is not key]
        if chained:
            raise errors.GraphError(errors.message(
                "function", f"givens: what stands for {key} uses {chained[0]}, which givens replaces as well",
                (describe(key), describe(chained[0])), new.loc or caller(),
                "replacements aren't replaced again: write out what is meant, or replace in two steps with symbolic.clone"))
    return replace


def _without_clones(pairs: list[tuple[SharedVariable, Variable]], more: list[tuple[SharedVariable, Variable]],
                    roots: list[Variable], leaves: Sequence[Variable]
                    ) -> tuple[list[tuple[SharedVariable, Variable]], list[Variable]]:
    """Return updates and roots, which read `leaves`, in which one variable stands for all clones that share a value.

    Where clones have default updates (`more`), each starts from what the one before it gave, as a batch normalisation does that
    is applied twice; an update that the user asked for (`pairs`) comes in their place.
    """
    owner: dict[int, SharedVariable] = {}
    twins: dict[Variable, Variable] = {}
    for s in [*(v for v in leaves if isinstance(v, SharedVariable)), *(s for s, _ in pairs + more)]:
        one = owner.setdefault(id(s.container), s)
        if one is not s:
            twins[s] = one
    if not twins:
        return pairs + more, roots
    n = len(roots) - len(pairs) - len(more)
    outputs, new = clone_replace(roots[:n], twins), dict[SharedVariable, Variable]()
    for k, ((s, _), value) in enumerate(zip(pairs + more, roots[n:], strict=True)):
        one = owner[id(s.container)]
        if one not in new:
            new[one] = clone_replace([value], twins)[0]
        elif k < len(pairs):
            raise errors.UpdateError(errors.message("function", f"{one} and {s} are clones that share one value, and both are "
                                                    "updated", (), s.loc, "update one of them"))
        elif not any(one is owner[id(p.container)] for p, _ in pairs):
            new[one] = clone_replace([value], {**twins, s: new[one]})[0]
    return list(new.items()), [*outputs, *new.values()]


def _check_inputs(ins: Sequence[In]) -> None:
    seen: set[Variable] = set()
    for i in ins:
        v = i.variable
        if not isinstance(v, Variable) or isinstance(v, Constant):
            raise TypeError(errors.message("function", f"an input must be a symbolic variable, got {v!r}", (), caller(),
                                           "inputs are variables such as T.matrix('x'); values are passed when it is called"))
        if isinstance(v, SharedVariable):
            raise TypeError(errors.message("function", f"the shared variable {v} can't be an input; it is found by itself", (),
                                           caller(), "leave it out; to run with another value, use givens or set_value"))
        if v in seen:
            raise errors.UnusedInputError(errors.message("function", f"input {v} ({v.type}) is given twice", (), caller(),
                                                         "leave one out; what a call passes for it counts wherever it is used"))
        seen.add(v)
    stateful = [i.update is not None for i in ins]
    if stateful != sorted(stateful):
        raise TypeError(errors.message("function", "inputs with update= must come after those without", (), caller(),
                                       "move them to the end: they keep their values, and a call needn't pass them"))


def _outputs(outputs: Any) -> tuple[Any, list[Variable]]:
    def unwrap(o: Any) -> Variable:
        if isinstance(o, Out):
            o = o.variable
        if isinstance(o, (list, tuple, dict, Function)):
            raise TypeError(errors.message(
                "function", f"an output must be a symbolic variable, got {type(o).__name__} {o!r}", (), caller(),
                "outputs is one variable, a flat list or tuple of them, or a dict with str keys"))
        return as_tensor_variable(o)

    if outputs is None:
        return (), []
    if isinstance(outputs, dict):
        for key in outputs:
            if not isinstance(key, str):
                raise TypeError(errors.message("function", f"the keys of outputs must be str, got {key!r}", (), caller()))
        return list(outputs), [unwrap(o) for o in outputs.values()]
    if isinstance(outputs, (list, tuple)):
        return (), [unwrap(o) for o in outputs]
    return None, [unwrap(outputs)]


def _borrowed(outputs: Any) -> list[bool]:
    """Return for each output whether it may stay where it was computed."""
    if outputs is None:
        return []
    given = list(outputs.values()) if isinstance(outputs, dict) else outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return [isinstance(o, Out) and o.borrow for o in given]


def _pairs(given: Any, what: str = "givens") -> list[tuple[Any, Any]]:
    if given is None:
        return []
    if isinstance(given, dict):
        return list(given.items())
    try:
        return [(k, v) for k, v in given]
    except (TypeError, ValueError):
        raise TypeError(errors.message("function", f"{what} must be a dict or a list of pairs, got {given!r}", (),
                                       caller())) from None


def _updates(updates: Any) -> list[tuple[SharedVariable, Variable]]:
    out: dict[SharedVariable, Variable] = {}
    for key, value in _pairs(updates, "updates"):
        if not isinstance(key, SharedVariable):
            shown = describe(key) if isinstance(key, Variable) else repr(key)
            raise errors.UpdateError(errors.message(
                "function", f"only shared variables can be updated, got {shown}", (),
                (key.loc if isinstance(key, Variable) else None) or caller(),
                "updates has pairs (shared variable, new value); symbolic.shared(value) makes one"))
        if key in out:
            raise errors.UpdateError(errors.message("function", f"{describe(key)} is updated twice", (), caller(),
                                                    "join both into one expression: every update sees the old values"))
        try:
            new = as_tensor_variable(value)
            if isinstance(new, Constant) and not isinstance(value, Variable):
                new = as_tensor_variable(key.type.filter(value))
        except errors.SymbolicError as error:
            text, _, hint = str(error).partition("\nhint: ")
            raise type(error)(f"function: the update of {describe(key)}: {text}\nhint: "
                              f"{hint or 'the new value must fit ' + str(key.type)}") from None
        fits = all(n is None or n == m for n, m in zip(key.type.shape, new.type.shape, strict=False))
        if new.dtype != key.dtype or new.ndim != key.ndim or not fits:
            raise errors.UpdateError(errors.message(
                "function", f"the update of {describe(key)} has type {new.type}", (), new.loc or key.loc or caller(),
                f"bring it to {key.type}: {_how_to_fit(key, new)}"))
        out[key] = new
    return list(out.items())


def _how_to_fit(key: SharedVariable, new: Variable) -> str:
    """Return what makes an update fit its shared variable, and where the difference comes from."""
    if new.dtype != key.dtype:
        how = f".astype({key.dtype!r}) changes the dtype"
        for v in ancestors([new]):  # leaves first: the first one that has the dtype brought it in
            if v.dtype != new.dtype:
                continue
            if v.owner is None:
                kind = ("a constant: write it as a Python number, which takes the dtype beside it" if isinstance(v, Constant)
                        else f"make it {key.dtype}, with dtype= or .astype")
                return f"{how}; {new.dtype} comes in through {describe(v)}, {kind}"
            operands = " and ".join(x.dtype for x in v.owner.inputs)
            return f"{how}; {new.dtype} comes in through {v.owner.op.name} of {operands}" + (
                f", at {v.loc.file}:{v.loc.line}" if v.loc is not None else "")
        return how
    if new.ndim != key.ndim:
        return "the number of axes must stay; x.sum(axis=0) or x.reshape(...) change it"
    axes = [a for a, (n, m) in enumerate(zip(key.type.shape, new.type.shape, strict=True)) if n is not None and n != m]
    return (f"its extent on axis {axes[0]} must be {key.type.shape[axes[0]]}, since the shared variable was made so; "
            f"T.specify_shape states it, T.addbroadcast(new, {axes[0]}) an extent of 1, and shared(...) without broadcastable= "
            "accepts any")


def _default_updates(leaves: Sequence[Variable], pairs: Sequence[tuple[SharedVariable, Variable]], without: Any,
                     replace: dict[Variable, Variable]) -> list[tuple[SharedVariable, Variable]]:
    """Return the default updates of `leaves`, and of what these updates read."""
    if without is True:
        return []
    skip = set(without or ()) | {s for s, _ in pairs}
    found: dict[SharedVariable, Variable] = {}
    while leaves:
        read = [v for v in leaves if isinstance(v, SharedVariable) and v.default_update is not None
                and v not in skip and v not in found]
        values = clone_replace([as_tensor_variable(v.default_update) for v in read], replace)
        found.update(zip(read, values, strict=True))
        leaves = inputs_of(values)
    return list(found.items())


def _eval(self: Variable, inputs_to_values: dict[Any, Any] | None = None) -> Any:
    """Return the value of this variable.

    Parameters
    ----------
    inputs_to_values : dict from Variable to array_like, optional
        Values of the inputs it depends on.

    Returns
    -------
    ndarray

    Raises
    ------
    MissingInputError
        If an input has no value.

    Notes
    -----
    The function that computes it is kept for the next time with the same inputs.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x = T.dscalar("x")
    >>> (2 * x).eval({x: 3.0})
    array(6.)
    """
    given = dict(inputs_to_values or {})
    names = {v.name: v for v in inputs_of([self]) if v.name is not None} if any(isinstance(k, str) for k in given) else {}
    try:
        pairs = [(names[k] if isinstance(k, str) else k, value) for k, value in given.items()]
    except KeyError as error:
        raise errors.MissingInputError(f"eval: there is no input called {error}; there are {', '.join(map(str, names))}"
                                       ) from None
    kept = self.tag.__dict__.setdefault("_fn_cache", {})
    key = tuple(v for v, _ in pairs)
    if key not in kept:
        kept[key] = function(list(key), self)
    return kept[key](*(value for _, value in pairs))


Variable.eval = _eval  # type: ignore[attr-defined]
