"""``function``: from symbolic inputs and outputs to a callable."""
from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.codegen.fuse import Fusion
from symbolic.codegen.lower import Lowering
from symbolic.codegen.native import Library, find_compiler
from symbolic.codegen.program import Failure, write
from symbolic.codegen.reference import evaluate
from symbolic.config import config
from symbolic.fgraph import Facts, capture
from symbolic.graph import Constant, Variable, as_tensor_variable, clone_replace, describe, inputs_of
from symbolic.infer import infer
from symbolic.shared import SharedVariable, shared
from symbolic.source import SourceLoc, caller

MODES = ("FAST_RUN", "FAST_COMPILE", "CHECK")
_warned: list[bool] = []


@dataclass
class In:
    """An input of a function with its options.

    Parameters
    ----------
    variable : Variable
    name : str, optional
        For calling by keyword; the variable's name by default.
    value : array_like, optional
        What is used when the call leaves it out.
    allow_downcast : bool or None
        Overrides ``allow_input_downcast`` for this input.
    strict : bool
        Accept only an ndarray of exactly this dtype.
    """

    variable: Variable
    name: str | None = None
    value: Any = None
    allow_downcast: bool | None = None
    strict: bool = False


@dataclass
class Out:
    """An output of a function; `borrow` is accepted for Theano's sake (outputs never alias anything)."""

    variable: Variable
    borrow: bool = False


class Function:
    """A compiled function; made by :func:`function`."""

    def __init__(self, inputs: list[In], shareds: list[SharedVariable], outputs: list[Variable],
                 updates: list[tuple[SharedVariable, Variable]], shape: Any, mode: str, name: str,
                 downcast: bool | None, loc: SourceLoc | None) -> None:
        self.inputs, self.shareds, self.updates = inputs, shareds, updates
        self.name, self.mode, self.loc = name, mode, loc
        self._structure = shape
        self._downcast = downcast
        self._n = len(outputs)
        self._leaves = [i.variable for i in inputs] + list(shareds)
        self._roots = outputs + [u for _, u in updates]
        self.graph = capture(self._leaves, self._roots)
        infer(self.graph)
        self._variants: list[tuple[Library, list[Failure], Facts]] = []
        self._compiler = find_compiler() if mode != "FAST_COMPILE" else None
        if mode != "FAST_COMPILE" and self._compiler is None and not _warned:
            _warned.append(True)
            warnings.warn("no C compiler was found: functions run in the NumPy interpreter. Install one "
                          "(Debian, Ubuntu: apt install gcc; Fedora: dnf install gcc; macOS: xcode-select --install) "
                          "or name it in SYMBOLIC_CC", stacklevel=3)
        if self._compiler is not None:
            self._compile(frozenset())

    def _compile(self, facts: Facts) -> tuple[Library, list[Failure], Facts]:
        graph = capture(self._leaves, self._roots, facts) if facts else self.graph
        extents = infer(graph)
        lowering = Lowering(graph, extents)
        program = write(lowering, Fusion(lowering), extents.guards, self.name)
        assert self._compiler is not None
        library = Library(program, [(v.dtype, v.ndim) for v in graph.inputs], [(v.dtype, v.ndim) for v in graph.outputs],
                          self._compiler)
        variant = (library, program.failures, facts)
        self._variants.append(variant)
        return variant

    @property
    def source(self) -> str:
        """The C text of the function (of the newest variant); empty in the interpreter."""
        return self._variants[-1][0].program.source if self._variants else ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function on values of its inputs, by position or by name."""
        arrays = self._arguments(args, kwargs)
        arrays += [s.container.value for s in self.shareds]
        if not self._variants:
            computed = evaluate(self._roots, dict(zip(self._leaves, arrays, strict=True)))
            results = [np.array(r, order="C") for r in computed]  # outputs never alias inputs
        else:
            results = self._run([np.ascontiguousarray(a).reshape(a.shape) for a in arrays])
            if self.mode == "CHECK":
                self._check(arrays, results)
        for (s, _), new in zip(self.updates, results[self._n:], strict=True):
            s.container.value = new
        return self._pack(results[:self._n])

    def _arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[np.ndarray]:
        if len(args) > len(self.inputs):
            raise TypeError(f"{self.name}: takes {len(self.inputs)} inputs, got {len(args)}")
        names = [i.name or i.variable.name for i in self.inputs]
        unknown = [k for k in kwargs if k not in names]
        if unknown:
            raise TypeError(f"{self.name}: there is no input {unknown[0]!r}; inputs are {', '.join(map(str, names))}")
        out = []
        for k, (i, name) in enumerate(zip(self.inputs, names, strict=True)):
            if k < len(args):
                if name is not None and name in kwargs:
                    raise TypeError(f"{self.name}: input {name!r} is given twice")
                value = args[k]
            elif name is not None and name in kwargs:
                value = kwargs[name]
            elif i.value is not None:
                value = i.value
            else:
                raise TypeError(f"{self.name}: input {k} ({describe(i.variable)}) is missing")
            downcast = self._downcast if i.allow_downcast is None else i.allow_downcast
            try:
                out.append(i.variable.type.filter(value, i.strict, downcast))
            except errors.SymbolicError as error:
                raise type(error)(errors.message(
                    self.name, f"input {k}, {describe(i.variable)}: {error}", (), i.variable.loc)) from None
        return out

    def _run(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        base_code, base_detail = 0, ()
        for n, (library, failures, facts) in enumerate(self._variants):
            if any(arrays[k].shape[a] != 1 for k, a in facts):
                continue
            code, results, detail = library.run(arrays)
            if code == 0:
                return results
            if n == 0:
                base_code, base_detail = code, detail  # type: ignore[assignment]
            if not failures[code - 1].broadcast:
                raise self._failure(failures[code - 1], detail)
        failure = self._variants[0][1][base_code - 1]
        facts = self._facts(arrays)
        if not facts or 1 not in base_detail[:2]:
            raise self._failure(failure, base_detail)
        library, failures, _ = self._compile(facts)
        code, results, detail = library.run(arrays)
        if code:
            raise self._failure(failures[code - 1], detail)
        return results

    def _facts(self, arrays: Sequence[np.ndarray]) -> Facts:
        """Return the inputs' axes that are 1 now and weren't known to be."""
        return frozenset((k, a) for k, (v, x) in enumerate(zip(self._leaves, arrays, strict=True))
                         for a, n in enumerate(x.shape) if n == 1 and v.type.shape[a] is None)

    def _failure(self, failure: Failure, detail: Sequence[int]) -> Exception:
        node = failure.node
        text = failure.message.format(*detail[:failure.details])
        return failure.error(errors.message(node.op.name, text, tuple(describe(v) for v in node.inputs), node.loc))

    def _check(self, arrays: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        wanted = evaluate(self._roots, dict(zip(self._leaves, arrays, strict=True)))
        for v, got, want in zip(self._roots, results, wanted, strict=True):
            rtol = {"float16": 1e-2, "float32": 1e-4, "complex64": 1e-4}.get(v.dtype, 1e-9)
            if not np.allclose(got, want, rtol=rtol, atol=rtol, equal_nan=True):
                raise errors.CheckError(errors.message(self.name, "compiled and interpreted values differ",
                                                       (describe(v),), v.loc))

    def _pack(self, results: list[np.ndarray]) -> Any:
        if self._structure is None:
            return results[0]
        if isinstance(self._structure, list):
            return dict(zip(self._structure, results, strict=True)) if self._structure else results
        return results

    def __repr__(self) -> str:
        return f"<symbolic function {self.name}>"


def function(inputs: Sequence[Any], outputs: Any = None, mode: str | None = None, updates: Any = None,
             givens: Any = None, no_default_updates: Any = False, name: str | None = None,
             allow_input_downcast: bool | None = None, on_unused_input: str | None = None) -> Function:
    """Compile a function.

    Parameters
    ----------
    inputs : list of Variable or In
    outputs : Variable, Out, list, tuple, dict with str keys, or None
        One variable gives a bare array, a list or tuple a list, a dict a dict.
    mode : {'FAST_RUN', 'FAST_COMPILE', 'CHECK'}, optional
        Native code; the NumPy interpreter; both, compared.
    updates : dict or list of (SharedVariable, expression)
        New values of shared variables; every expression sees the old ones.
    givens : dict or list of pairs
        Variables of the graph and what stands in for them.
    no_default_updates : bool or list of SharedVariable
        Leave out ``default_update`` of all, or of those, shared variables.
    name : str, optional
    allow_input_downcast : bool, optional
    on_unused_input : {'raise', 'warn', 'ignore'}, optional

    Returns
    -------
    Function

    Raises
    ------
    UnusedInputError, MissingInputError, UpdateError
    """
    loc = caller()
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(f"function: inputs must be a list, got {type(inputs).__name__}; write [x] for one input")
    mode = mode or config.mode
    if mode not in MODES:
        raise ValueError(f"function: mode must be one of {', '.join(MODES)}, got {mode!r}")
    ins = [i if isinstance(i, In) else In(i) for i in inputs]
    _check_inputs(ins)
    structure, outs = _outputs(outputs)
    pairs = _updates(updates)
    replace = {}
    for key, value in _pairs(givens):
        if any(i.variable is key for i in ins):
            raise errors.GraphError(f"function: {key} is an input and can't be replaced by givens")
        replace[key] = value if isinstance(value, Variable) else shared(value)
    roots = outs + [u for _, u in pairs]
    roots = clone_replace(roots, replace) if replace else roots
    pairs += _default_updates(roots, pairs, no_default_updates)
    roots += [u for _, u in pairs[len(roots) - len(outs):]]
    leaves = inputs_of(roots)
    known = {i.variable for i in ins}
    shareds = [v for v in leaves if isinstance(v, SharedVariable)]
    shareds += [s for s, _ in pairs if s not in shareds]
    for v in leaves:
        if v not in known and not isinstance(v, (Constant, SharedVariable)):
            raise errors.MissingInputError(errors.message(
                "function", f"the graph needs {describe(v)}, which isn't among the inputs", (), v.loc,
                "add it to the inputs, or replace it with givens"))
    how = on_unused_input or config.on_unused_input
    for i in ins:
        if i.variable not in leaves and i.variable.owner is None and how != "ignore":
            text = errors.message("function", f"input {describe(i.variable)} isn't used", (), i.variable.loc,
                                  "remove it, or pass on_unused_input='ignore'")
            if how == "raise":
                raise errors.UnusedInputError(text)
            warnings.warn(text, stacklevel=2)
    label = name or (f"{loc.file.rsplit('/', 1)[-1]}:{loc.line}" if loc else "function")
    new_values = [(s, r) for (s, _), r in zip(pairs, roots[len(outs):], strict=True)]
    return Function(ins, shareds, roots[:len(outs)], new_values, structure, mode, label, allow_input_downcast, loc)


def _check_inputs(ins: Sequence[In]) -> None:
    seen: set[Variable] = set()
    for i in ins:
        v = i.variable
        if not isinstance(v, Variable) or isinstance(v, Constant):
            raise TypeError(f"function: an input must be a symbolic variable, got {v!r}")
        if isinstance(v, SharedVariable):
            raise TypeError(f"function: the shared variable {v} can't be an input; it is found by itself. "
                            "To run with another value, use givens")
        if v in seen:
            raise errors.UnusedInputError(f"function: input {v} is given twice")
        seen.add(v)


def _outputs(outputs: Any) -> tuple[Any, list[Variable]]:
    def unwrap(o: Any) -> Variable:
        return o.variable if isinstance(o, Out) else as_tensor_variable(o)

    if outputs is None:
        return [], []
    if isinstance(outputs, dict):
        return list(outputs), [unwrap(o) for o in outputs.values()]
    if isinstance(outputs, (list, tuple)):
        return (), [unwrap(o) for o in outputs]
    return None, [unwrap(outputs)]


def _pairs(given: Any) -> list[tuple[Any, Any]]:
    if given is None:
        return []
    return list(given.items()) if isinstance(given, dict) else [(k, v) for k, v in given]


def _updates(updates: Any) -> list[tuple[SharedVariable, Variable]]:
    out: list[tuple[SharedVariable, Variable]] = []
    for key, value in _pairs(updates):
        if not isinstance(key, SharedVariable):
            raise errors.UpdateError(f"function: only shared variables can be updated, got {key!r}")
        if any(key is k for k, _ in out):
            raise errors.UpdateError(f"function: {key} is updated twice")
        new = as_tensor_variable(value)
        if isinstance(new, Constant) and not isinstance(value, Variable):
            new = as_tensor_variable(key.type.filter(value))
        fits = all(n is None or n == m for n, m in zip(key.type.shape, new.type.shape, strict=False))
        if new.dtype != key.dtype or new.ndim != key.ndim or not fits:
            raise errors.UpdateError(errors.message(
                "function", f"the update of {describe(key)} has type {new.type}", (), new.loc or key.loc,
                f"bring it to {key.type}, with .astype({key.dtype!r}) for the dtype"))
        out.append((key, new))
    return out


def _default_updates(roots: Iterable[Variable], pairs: Sequence[tuple[SharedVariable, Variable]],
                     without: Any) -> list[tuple[SharedVariable, Variable]]:
    if without is True:
        return []
    skip = set(without or ()) | {s for s, _ in pairs}
    found = [v for v in inputs_of(roots) if isinstance(v, SharedVariable) and v.default_update is not None]
    return [(v, as_tensor_variable(v.default_update)) for v in found if v not in skip]
