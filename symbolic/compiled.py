"""What ``function`` returns: natively compiled functions, and the two kinds that run in Python.

A native function *is* the entry extension's Callable: a call goes straight into C, and comes back here only for what is
rare (keywords, defaults, conversions, an extent that broadcasts, errors).
"""
from __future__ import annotations

import copy
import importlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic import errors
from symbolic.codegen.agreement import agree, distance
from symbolic.codegen.compiler import Compiler, find_compiler, no_compiler_message
from symbolic.codegen.entry import EntryBuildError
from symbolic.codegen.native import entry, native, program_path, program_text
from symbolic.codegen.reference import apply, evaluate
from symbolic.codegen.request import recall, remember, request
from symbolic.codegen.writer import Failure
from symbolic.collector import paused
from symbolic.config import config
from symbolic.fgraph import Facts, FunctionGraph, capture, signature
from symbolic.graph import Apply, Variable, clone_replace, describe
from symbolic.infer import infer
from symbolic.loop import nested_nodes
from symbolic.opt.constant import EVALUATE
from symbolic.opt.driver import Statistics, collecting
from symbolic.opt.pipeline import optimised
from symbolic.opt.rules import rules_for
from symbolic.opt.stable import stabilised
from symbolic.profiling import ACTIVE, Profile, ProfileStats, Row
from symbolic.shared import Container, SharedVariable
from symbolic.spec import Input, Spec
from symbolic.tree import node_text, verbose

EVALUATE.append(apply)
#: Filled by `tiered`: what makes functions that are interpreted at first.
LATER: list[Callable[[Spec, Compiler], Function]] = []
_warned: set[str] = set()
_compiling = threading.RLock()
_interpreting = threading.RLock()


def _forked() -> None:
    """In a forked process: the threads that held locks aren't there."""
    global _compiling, _interpreting
    _compiling, _interpreting = threading.RLock(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Function:
    """A compiled function; made by :func:`symbolic.function`.

    Calling it takes the inputs by position or name and returns the outputs in the structure they were given in, as
    new arrays. Calls from several threads are safe, and run at once where native code runs.

    ``f(..., output_subset=[...])`` computes only these outputs, by position, or by key where they are a dict, and all
    updates. ``f.trust_input = True`` is accepted for Theano's sake: arguments are checked in native code, in some ten ns.
    """

    spec: Spec
    parts: dict[tuple[int, ...], Function]
    trust_input: bool
    __slots__ = ()

    if TYPE_CHECKING:  # native functions have it from the entry extension
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    # ---- arguments ----

    def _bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return the arguments of a call in order, with defaults; a state that was given is set.

        With `output_subset`, what is to be called instead.
        """
        spec = self.spec
        if "output_subset" in kwargs and not any(i.name == "output_subset" for i in spec.inputs):
            rest = {name: value for name, value in kwargs.items() if name != "output_subset"}
            part = self._part(kwargs["output_subset"])
            return partial(part, *args, **rest)
        given = dict(zip(range(len(spec.inputs)), args, strict=False))
        if len(args) > len(spec.inputs):
            raise TypeError(f"{spec.name}: takes {len(spec.inputs)} inputs, got {len(args)}")
        places = {i.name: k for k, i in enumerate(spec.inputs) if i.name is not None}
        for name, value in kwargs.items():
            if name not in places:
                raise TypeError(f"{spec.name}: there is no input {name!r}; inputs are "
                                f"{', '.join(str(i.name) for i in spec.inputs) or 'none'}")
            if places[name] in given:
                raise TypeError(f"{spec.name}: input {name!r} is given twice")
            given[places[name]] = value
        out, states = [], []
        for k, i in enumerate(spec.inputs):
            if k in given:
                value = given[k]
            elif i.default is not None or i.state is not None:
                value = i.default
            else:
                raise TypeError(f"{spec.name}: input {k} ({describe(i.variable)}) is missing")
            if i.state is None:
                out.append(value)
            elif k in given:
                states.append((i.state, self._filtered(k, i, value)))
        for state, value in states:
            state.set_value(value)
        return tuple(out)

    def _part(self, wanted: Any) -> Function:
        """Return the function of some outputs, with all updates; made when it is first asked for."""
        spec = self.spec
        named = isinstance(spec.structure, list) and bool(spec.structure)
        keys: list[Any] = spec.structure if named else list(range(len(spec.outputs)))
        if isinstance(wanted, (str, int)) or not all(w in keys for w in wanted):
            raise ValueError(f"{spec.name}: output_subset must be a list of outputs, which are {keys}, got {wanted!r}")
        places = tuple(keys.index(w) for w in wanted)
        with _compiling:
            if places not in self.parts:
                structure = [keys[p] for p in places] if named else ()
                self.parts[places] = make(Spec(spec.inputs, spec.shareds, [spec.outputs[p] for p in places], spec.updates,
                                               structure, spec.mode, spec.name, spec.loc, device=spec.device))
            return self.parts[places]

    def _filtered(self, k: int, i: Input, value: Any) -> np.ndarray:
        """Return `value` as an array of the input's type that native code can read."""
        try:
            array = i.variable.type.filter(value, i.strict, i.downcast)
        except errors.SymbolicError as error:
            text, _, hint = str(error).partition("\nhint: ")
            raise type(error)(errors.message(self.spec.name, f"input {k}, {describe(i.variable)}: {text}", (),
                                             i.variable.loc or self.spec.loc, hint or None)) from None
        return np.require(array, i.variable.dtype, ["C", "A", "E"]).reshape(array.shape)

    def _arrays(self, args: Sequence[Any]) -> list[np.ndarray]:
        given = [self._filtered(k, i, a) for k, (i, a) in enumerate(zip(self.spec.arguments, args, strict=True))]
        return given + [s.container.value for s in self.spec.shareds]

    def _pack(self, results: list[np.ndarray]) -> Any:
        structure = self.spec.structure
        if structure is None:
            return results[0]
        return dict(zip(structure, results, strict=True)) if isinstance(structure, list) else results

    # ---- what was defined ----

    @property
    def name(self) -> str:
        """Name for people: as given, else where the function was made."""
        return self.spec.name

    def _holder(self, key: Any) -> Input | SharedVariable:
        for k, i in enumerate(self.spec.inputs):
            if (key is i.variable or key == i.name or (isinstance(key, int) and key == k)) and not (
                    i.default is None and i.state is None):
                return i if i.state is None else i.state
        for s in self.spec.shareds:
            if key is s or (isinstance(key, str) and key == s.name):
                return s
        raise KeyError(f"{self.spec.name}: {key} isn't an input with a value, nor a shared variable")

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return the value of an input with a default or a state, or of a shared variable, by variable or name."""
        found = self._holder(key)
        if isinstance(found, SharedVariable):
            return found.get_value()
        assert found.default is not None
        return found.default.copy()

    def __setitem__(self, key: Any, value: Any) -> None:
        found = self._holder(key)
        if isinstance(found, SharedVariable):
            found.set_value(value)
        else:
            found.default = self._filtered(self.spec.inputs.index(found), found, value).copy()

    def __contains__(self, key: Any) -> bool:
        try:
            self._holder(key)
        except KeyError:
            return False
        return True

    def memory(self) -> Memory:
        """Return how much memory the function holds while it runs, in bytes, as the latest call used it.

        Returns
        -------
        Memory

        Examples
        --------
        >>> import numpy as np, symbolic, symbolic.tensor as T
        >>> w = symbolic.shared(np.zeros(1000))
        >>> symbolic.function([], w.sum()).memory().shared
        8000
        """
        return Memory(0, self._shared_bytes(), 0, 0)

    def _shared_bytes(self) -> int:
        return sum({id(s.container): s.container.value.nbytes for s in self.spec.shareds}.values())

    def free(self) -> None:
        """Give back memory that is kept for the next call: scratch memory (of all functions, which share it), spare arrays of
        updates, and functions compiled for some outputs or for extents that broadcast. The next call takes it anew."""
        self.parts.clear()

    @property
    def profile(self) -> ProfileStats:
        """What calls have cost so far: ``f.profile()`` returns a :class:`Profile`, ``f.profile.summary()`` prints it."""
        return ProfileStats.of(self._profile, self.spec.profile)

    def _profile(self) -> Profile:
        raise ValueError(f"{self.name}.profile(): there are no times of an interpreted function\n"
                         "hint: profile it in mode FAST_RUN, with a C compiler")

    @property
    def source(self) -> str:
        """The C text of the function; empty where it is interpreted."""
        return ""

    @property
    def source_path(self) -> str | None:
        """The C file of the function in the cache; None where there is none."""
        return None

    def copy(self, share_memory: bool = False, swap: Mapping[Any, SharedVariable] | None = None,
             delete_updates: bool = False, name: str | None = None, profile: Any = None) -> Function:
        """Return a function of the same graph.

        Parameters
        ----------
        share_memory
            Accepted for Theano's sake: functions keep no memory of their own.
        profile : bool, optional
            Whether it times its steps; by default as this one does.
        swap : dict from SharedVariable to SharedVariable
            Shared variables that others of the same type take the place of.
        delete_updates : bool
            Leave out the updates.
        name : str, optional

        Raises
        ------
        UpdateError
            If `swap` replaces a variable by one of another type, or names one the function doesn't have.
        """
        spec = self.spec
        table: dict[Variable, Any] = {**(swap or {})}
        for old, new in table.items():
            if old not in spec.shareds:
                raise errors.UpdateError(f"{spec.name}.copy: {old} isn't a shared variable of the function")
            if not isinstance(new, SharedVariable) or new.type != old.type:
                raise errors.UpdateError(errors.message(
                    f"{spec.name}.copy", f"{describe(old)} can only be swapped for a shared variable of the same type, "
                    f"got {describe(new) if isinstance(new, Variable) else new!r}"))
        inputs = [replace(i, default=None if i.default is None else i.default.copy()) for i in spec.inputs]
        for i in inputs:
            if i.state is not None and i.state not in table:  # a state belongs to one function
                table[i.state] = SharedVariable(i.state.type, Container(i.state.get_value()), i.state.name)
            i.state = None if i.state is None else table[i.state]
        roots = clone_replace(spec.roots, table) if table else spec.roots
        pairs = [(table.get(s, s), r) for (s, _), r in zip(spec.updates, roots[len(spec.outputs):], strict=True)]
        states = {i.state for i in inputs}
        if delete_updates:
            pairs = [(s, r) for s, r in pairs if s in states]
        return make(Spec(inputs, [table.get(s, s) for s in spec.shareds], roots[:len(spec.outputs)], pairs,
                         spec.structure, spec.mode, name or spec.name, spec.loc,
                         spec.profile if profile is None else bool(profile), spec.device))

    def __copy__(self) -> Function:
        return self.copy()

    @property
    def maker(self) -> Maker:
        """Theano's way to the graph that is computed: ``f.maker.fgraph.toposort()``."""
        return Maker(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        return make(copy.deepcopy(self.spec, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        return make, (self.spec,)

    def get_shared(self) -> list[SharedVariable]:
        """Return the shared variables that the function reads or updates."""
        return list(self.spec.shareds)

    def __repr__(self) -> str:
        return f"<symbolic function {self.spec.name}>"


@dataclass(frozen=True)
class Memory:
    """Bytes that a function holds while it runs.

    Attributes
    ----------
    arena : int
        Scratch memory for values between steps, which share it as planned; most that the latest call held, 0 before it.
    shared : int
        Values of shared variables.
    constants : int
    workspace : int
        Spare arrays, in which updates that can't be written over the old value put the new one.
    """

    arena: int
    shared: int
    constants: int
    workspace: int

    @property
    def peak(self) -> int:
        """All of it; arguments and outputs, which are the caller's, come on top."""
        return self.arena + self.shared + self.constants + self.workspace


class Maker:
    """What a function was made of, as Theano shows it.

    Attributes
    ----------
    fgraph : FunctionGraph
        What is computed, after rewriting.
    inputs, outputs : list of Variable
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.inputs = [i.variable for i in function.spec.inputs]
        self.outputs = list(function.spec.outputs)
        self.mode = function.spec.mode

    @property
    def fgraph(self) -> FunctionGraph:
        return compiled_graph(self.function)


def compiled_graph(function: Function) -> FunctionGraph:
    """Return the graph that a function computes: after rewriting where it is native, as captured where it is interpreted."""
    if isinstance(function, _Native):
        return function.program.graph
    if isinstance(function, CheckedFunction):
        return compiled_graph(function._native)
    if isinstance(function, InterpretedFunction) or hasattr(function, "graph"):
        return function.graph
    raise TypeError(f"{function!r} has no graph")


def stable_roots(spec: Spec) -> list[Variable]:
    """Return what a function computes, in the stable form that every mode has."""
    return stabilised(spec.roots, spec.leaves, spec.mode)


class _Program:
    """Native code of one captured graph, or of a variant of it in which some extents are known to be 1.

    Attributes
    ----------
    loaded : Loaded
    """

    def __init__(self, spec: Spec, compiler: Compiler, facts: Facts = frozenset()) -> None:
        self._spec, self._facts = spec, facts
        self._graph: FunctionGraph | None = None
        self._signature = ""
        with paused():
            place = {v: k for k, v in enumerate(spec.leaves)}
            updated = [place[s] for s, _ in spec.updates]
            sets = [rules_for(spec.mode, stage) for stage in ("stable", "captured")]
            asked = None
            if all(s.own for s in sets) and not spec.profile:  # of others' rules only the names are known
                asked = request(spec.leaves, spec.roots, facts, updated, " | ".join(s.identity for s in sets), compiler)
            found = None if asked is None else recall(asked, compiler)
            if found is not None:
                self.loaded, self._signature = found
                return
            self.statistics: list[Statistics] = []
            if spec.profile:
                began = time.perf_counter()
                with collecting() as self.statistics:
                    graph = self.graph
                rewriting = time.perf_counter() - began
                self.loaded = native(graph, updated, spec.name, spec.loc, compiler, True)
                self.loaded.manifest["stages"] = [("rewrite", 1e3 * rewriting), *self.loaded.manifest.get("stages", ())]
                return
            self.loaded = native(self.graph, updated, spec.name, spec.loc, compiler)
            if asked is not None:
                remember(asked, self.loaded, self.graph)

    @property
    def graph(self) -> FunctionGraph:
        """What is computed, after rewriting; of a program that the cache had, it is made when it is asked for."""
        if self._graph is None:
            with paused():
                spec = self._spec
                captured = capture(spec.leaves, stable_roots(spec), self._facts)
                self._graph = optimised(captured, rules_for(spec.mode, "captured"))
        return self._graph

    def failure(self, code: int) -> Failure:
        """Return what a code of the program means, with the node at which it failed."""
        failure, places = self.loaded.failures[code], self.loaded.places
        place = None if places is None else places[code]
        if place is None:
            return failure
        if signature(self.graph) == self._signature:
            return replace(failure, node=nested_nodes(self.graph)[place])
        return replace(failure, input=None)  # settings have changed since; the node isn't known, the rest is

    def options(self, spec: Spec, compiler: Compiler) -> dict[str, Any]:
        """Return the arguments of a Callable."""
        storages = [s.container.share(entry(compiler).Storage) for s in spec.shareds]
        index = {s: k for k, s in enumerate(spec.shareds)}
        dictionary = isinstance(spec.structure, list) and bool(spec.structure)
        return {"run": self.loaded.address, "inputs": _numbers([i.variable for i in spec.arguments]),
                "shared": tuple(storages), "shared_types": _numbers(spec.shareds), "constants": self.loaded.constants,
                "outputs": _numbers(spec.outputs),
                "updates": tuple((index[s], p) for (s, _), p in zip(spec.updates, self.loaded.inplace, strict=True)),
                "nout": -1 if spec.structure is None else len(spec.outputs),
                "keys": tuple(spec.structure) if dictionary else None, "threads": config.num_threads(),
                "python_calls": self.loaded.python,
                "python_types": tuple(_numbers(s.node.outputs) for s in self.loaded.python),
                "python_input_types": tuple(_numbers(s.node.inputs) for s in self.loaded.python)}


def _numbers(variables: Sequence[Variable]) -> tuple[tuple[int, int], ...]:
    return tuple((np.dtype(v.dtype).num, v.ndim) for v in variables)


class _Native(Function):
    """The methods of native functions; `_native_class` joins them with the entry's Callable."""

    program: _Program
    compiler: Compiler
    variants: dict[Facts, Any]
    fallback: InterpretedFunction | None

    def _set_up(self, spec: Spec, compiler: Compiler, program: _Program) -> None:
        self.spec, self.compiler, self.program, self.variants, self.fallback = spec, compiler, program, {}, None
        self.parts, self.trust_input = {}, False

    def _convert(self, k: int, value: Any) -> np.ndarray:
        arguments = self.spec.arguments
        if k < len(arguments):
            return self._filtered(k, arguments[k], value)
        return np.require(value, value.dtype.newbyteorder("="), ["C", "A", "E"]).reshape(value.shape)

    def _miss(self, code: int, detail: tuple[int, ...], args: tuple[Any, ...]) -> Any:
        """A guard failed: extents broadcast that were assumed equal, or the call is wrong."""
        failure = self.program.failure(code)
        arrays = self._arrays(args)
        facts = frozenset((k, a) for k, (v, x) in enumerate(zip(self.spec.leaves, arrays, strict=True))
                          for a, n in enumerate(x.shape) if n == 1 and v.type.shape[a] is None)
        if not failure.broadcast or 1 not in detail[:2]:
            raise self._explained(failure, detail, arrays)
        if not facts:
            return self._interpreted(args)
        with _compiling:
            if facts not in self.variants:
                try:
                    program = _Program(self.spec, self.compiler, facts)
                except errors.ShapeError:  # an extent is 1 that no type tells; NumPy will say if shapes are wrong
                    self.variants[facts] = None
            if facts not in self.variants:
                variant = entry(self.compiler).Callable(
                    **program.options(self.spec, self.compiler), convert=self._convert,
                    miss=partial(self._variant_miss, program))
                self.variants[facts] = variant
        variant = self.variants[facts]
        return self._interpreted(args) if variant is None else variant(*args)

    def _variant_miss(self, program: _Program, code: int, detail: tuple[int, ...], args: tuple[Any, ...]) -> Any:
        failure = program.failure(code)
        if failure.broadcast and 1 in detail[:2]:
            return self._interpreted(args)
        raise self._explained(failure, detail, self._arrays(args))

    def _interpreted(self, args: tuple[Any, ...]) -> Any:
        """Call with NumPy, which broadcasts what it is: an extent is 1 that doesn't follow from those of the inputs."""
        if self.fallback is None:
            self.fallback = InterpretedFunction(self.spec)
        return self.fallback(*args)

    def _explained(self, failure: Failure, detail: Sequence[int], arrays: Sequence[np.ndarray] = ()) -> Exception:
        """Return the error of a failure; `detail` is four numbers to show, then the step of a loop, from 1, and their number."""
        error = self._error(failure, detail, arrays)
        if detail[4]:
            error.add_note(f"in step {detail[4] - 1} of a loop of {detail[5]} steps")
        return error

    def _error(self, failure: Failure, detail: Sequence[int], arrays: Sequence[np.ndarray]) -> Exception:
        text = failure.message.format(*detail[:failure.details])
        if failure.input is None:
            return failure.error(errors.message(self.spec.name, text, (), self.spec.loc))
        if failure.node is None:
            v = self.spec.leaves[failure.input]
            return failure.error(errors.message(self.spec.name, f"input {failure.input}, {describe(v)}: {text}", (),
                                                v.loc or self.spec.loc))
        node = failure.node
        text, _, hint = text.partition("\nhint: ")
        more = node_text(node, dict(zip(self.spec.leaves, arrays, strict=False))) if verbose() else ""
        return failure.error(errors.message(node.op.name, text, tuple(describe(v) for v in node.inputs), node.loc, hint or None)
                             + more)

    def memory(self) -> Memory:
        programs = [self, *(v for v in self.variants.values() if v is not None)]
        cells = {id(s.container): s.container for s in self.spec.shareds}.values()
        spares = sum(c.value.nbytes for c in cells if c.share(entry(self.compiler).Storage).has_spare)
        return Memory(max(p.scratch_bytes for p in programs), self._shared_bytes(),
                      sum(c.nbytes for c in self.program.loaded.constants), spares)

    def free(self) -> None:
        super().free()
        with _compiling:
            self.variants.clear()
            self.fallback = None
        for s in self.spec.shareds:
            s.container.value = s.container.value  # noqa: PLW0127  (what is set has no spare)
        entry(self.compiler).trim()

    def _profile(self) -> Profile:
        loaded = self.program.loaded
        if not self.spec.profile:
            raise ValueError(f"{self.name}.profile(): the function doesn't time its steps\n"
                             "hint: make it with function(..., profile=True), or under `with symbolic.profile():`")
        counted = loaded.constants[-1].tolist()
        rows = [Row(t.what, t.kind, t.kernel, calls, ns / 1e9, size, operations,
                    "" if t.node is None or t.node.loc is None else str(t.node.loc))
                for t, (calls, ns, size, operations) in zip(loaded.timed, counted, strict=False)]
        rules: dict[str, tuple[int, float]] = {}
        for name, fired, ms in (row for s in self.program.statistics for row in s.table()):
            before = rules.get(name, (0, 0.0))
            rules[name] = before[0] + fired, before[1] + ms
        slowest = sorted(((name, n, ms) for name, (n, ms) in rules.items()), key=lambda r: -r[2])
        return Profile(self.name, rows, [(name, ms) for name, ms in loaded.manifest.get("stages", ())], slowest)

    @property
    def source(self) -> str:
        return program_text(self.program.loaded)

    @property
    def source_path(self) -> str | None:
        return program_path(self.program.loaded)


@cache
def _native_class(callable_type: Any, enable: Any) -> Any:
    return enable(type("CompiledFunction", (_Native, callable_type), {"__module__": __name__}))


def native_function(spec: Spec, compiler: Compiler) -> Function:
    """Return `spec` as native code."""
    module = entry(compiler)
    cls = _native_class(module.Callable, module.enable_vectorcall)
    program = _Program(spec, compiler)
    options = program.options(spec, compiler)
    made = cls.__new__(cls)
    made._set_up(spec, compiler, program)
    module.Callable.__init__(made, options.pop("run"), options.pop("inputs"), convert=made._convert, bind=made._bind,
                             miss=made._miss, **options)
    return made


class InterpretedFunction(Function):
    """A function that NumPy computes, op by op: ``mode="FAST_COMPILE"``, and machines without a compiler."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.parts, self.trust_input = spec, {}, False
        self.roots = stable_roots(spec)
        infer(capture(spec.leaves, self.roots))  # raises what is wrong whatever the inputs are

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function on values of its inputs, by position or by name."""
        given = self._bind(args, kwargs)
        if callable(given):
            return given()
        with _interpreting:
            results = self._results(self._arrays(given))
            for (s, _), new in zip(self.spec.updates, results[len(self.spec.outputs):], strict=True):
                s.container.value = new
        return self._pack(results[:len(self.spec.outputs)])

    @property
    def interpreted_graph(self) -> FunctionGraph:
        """What is computed, as captured."""
        return capture(self.spec.leaves, self.roots)

    @property
    def graph(self) -> FunctionGraph:
        """What is computed."""
        return self.interpreted_graph

    def _results(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        computed = evaluate(self.roots, dict(zip(self.spec.leaves, arrays, strict=True)), self.spec.mode.watch)
        return [np.array(r, order="C") for r in computed]  # outputs never alias inputs


class CheckedFunction(InterpretedFunction):
    """Both: the native results, once the interpreter agrees; else the first node where they differ is named."""

    def __init__(self, spec: Spec, compiled: Callable[[Spec], Function]) -> None:
        super().__init__(spec)
        self._compiled = compiled
        #: updates as plain outputs: nothing is stored before it is checked
        self._native = compiled(_pure(spec, spec.roots))

    @property
    def source(self) -> str:
        return self._native.source

    @property
    def source_path(self) -> str | None:
        return self._native.source_path

    def _results(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        got = self._native(*arrays[:len(self.spec.arguments)])  # type: ignore[operator]
        want = super()._results(arrays)
        for v, g, w in zip(self.roots, got, want, strict=True):
            if not agree(g, w):
                raise self._difference(v, g, w, arrays)
        return got

    def _difference(self, root: Variable, got: np.ndarray, want: np.ndarray, arrays: list[np.ndarray]) -> Exception:
        """Compute every node natively and find the first that differs on the inputs it really got."""
        graph = capture(self.spec.leaves, self.roots)
        every = [o for n in graph.nodes for o in n.outputs]
        values = dict(zip(every, self._compiled(_pure(self.spec, every))(  # type: ignore[operator]
            *arrays[:len(self.spec.arguments)]), strict=True))
        values |= dict(zip(graph.inputs, arrays, strict=True))
        for node in graph.nodes:
            known = {v: values[v] for v in node.inputs if v in values}
            for o, w in zip(node.outputs, evaluate(node.outputs, known), strict=True):
                if not agree(values[o], w):
                    return _check_error(node, values[o], w)
        where = describe(root)
        return errors.CheckError(errors.message(
            self.spec.name, f"output {where} differs from the interpreter's by {distance(got, want)}, but no node does by "
            "itself", (), root.loc, "its nodes were fused; please report this with the files of SYMBOLIC_DUMP"))


def _pure(spec: Spec, outputs: list[Variable]) -> Spec:
    """Return `spec` without updates, with other outputs, as a list."""
    return Spec(spec.arguments, spec.shareds, outputs, [], (), spec.mode, spec.name, spec.loc, device=spec.device)


def _check_error(node: Apply, got: np.ndarray, want: np.ndarray) -> Exception:
    return errors.CheckError(errors.message(
        node.op.name, f"compiled and interpreted values differ by {distance(got, want)}",
        tuple(describe(v) for v in node.inputs), node.loc,
        "the interpreter is the reference; mode='FAST_COMPILE' uses it alone"))


def make(spec: Spec) -> Function:
    """Compile `spec`, in the interpreter where there is no compiler."""
    if config.warn_float64 != "ignore":  # what the user built has been looked at; what rewrites make isn't theirs
        with config.change_flags(warn_float64="ignore"):
            return make(spec)
    session = ACTIVE.get()
    if session is None:
        return _made(spec)
    spec.profile = True
    made = _made(spec)
    if isinstance(made, _Native) or spec.device != "cpu" and not isinstance(made, InterpretedFunction):
        session.functions.append(made)
    return made


def _made(spec: Spec) -> Function:
    if spec.device != "cpu" and spec.mode.name != "FAST_COMPILE":
        compiled = importlib.import_module("symbolic.on_device").device_function  # here: who uses no GPU needn't load it
        return CheckedFunction(spec, compiled) if spec.mode.name == "CHECK" else compiled(spec)
    compiler = find_compiler() if spec.mode.name != "FAST_COMPILE" else None
    if compiler is None:
        if spec.mode.name != "FAST_COMPILE":
            _warn_once(no_compiler_message())
        return InterpretedFunction(spec)
    try:
        if config.tiered and spec.mode.name == "FAST_RUN" and not spec.profile:
            for later in LATER:
                return later(spec, compiler)
        compiled = partial(native_function, compiler=compiler)
        return CheckedFunction(spec, compiled) if spec.mode.name == "CHECK" else compiled(spec)
    except EntryBuildError as error:
        _warn_once(f"functions run in the NumPy interpreter, which is slow: {error}")
        return InterpretedFunction(spec)


def _warn_once(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        warnings.warn(text, stacklevel=4)
