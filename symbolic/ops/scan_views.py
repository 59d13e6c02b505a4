"""Loops of common forms: map, reduce and folds as in Theano, `loop` over any structure, checkpointed scans."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable, constant, describe
from symbolic.loop import element
from symbolic.ops.create import zeros
from symbolic.ops.extents import extents
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.scan_api import Step, agreed, counted, number_of_steps, scan, scanned
from symbolic.ops.scan_api import until as until_
from symbolic.ops.scan_random import advance, threaded
from symbolic.shared import OrderedUpdates, SharedVariable, now
from symbolic.source import caller

Scanned = tuple[Any, dict[SharedVariable, Variable]]


def map(fn: Callable[..., Any], sequences: Any, non_sequences: Any = None, truncate_gradient: int = -1,
        go_backwards: bool = False, mode: Any = None, name: str | None = None) -> Scanned:
    """Return `fn` of each element of sequences; arguments as for :func:`scan`.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dmatrix("x")
    >>> norms, _ = symbolic.map(lambda row: T.sqrt(T.sum(row ** 2)), x)
    >>> symbolic.function([x], norms)([[3, 4], [6, 8]])
    array([ 5., 10.])
    """
    return scan(fn, sequences, None, non_sequences, None, truncate_gradient, go_backwards, mode, name)


def reduce(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None,
           go_backwards: bool = False, mode: Any = None, name: str | None = None) -> Scanned:
    """Return only the last outputs of a :func:`scan`: of an output with a state, its initial value if there is no step.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> total, _ = symbolic.reduce(lambda e, t: t + e, x, T.constant(0.0))
    >>> float(symbolic.function([x], total)([1, 2, 3]))
    6.0
    """
    _, last, updates = scanned(fn, sequences, outputs_info, non_sequences, None, -1, go_backwards, name, False)
    return (last[0] if len(last) == 1 else last), OrderedUpdates(updates)


def foldl(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None, mode: Any = None,
          name: str | None = None) -> Scanned:
    """Return :func:`reduce` from the first element to the last.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> value, _ = symbolic.foldl(lambda digit, n: n * 10 + digit, x, T.constant(0.0))
    >>> float(symbolic.function([x], value)([1, 2, 3]))
    123.0
    """
    return reduce(fn, sequences, outputs_info, non_sequences, False, mode, name)


def foldr(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None, mode: Any = None,
          name: str | None = None) -> Scanned:
    """Return :func:`reduce` from the last element to the first.

    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> value, _ = symbolic.foldr(lambda digit, n: n * 10 + digit, x, T.constant(0.0))
    >>> float(symbolic.function([x], value)([1, 2, 3]))
    321.0
    """
    return reduce(fn, sequences, outputs_info, non_sequences, True, mode, name)


def loop(step: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: Any = None,
         until: Callable[[Any], Any] | None = None, reverse: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """Return the last carry and the trace of ``carry, y = step(carry, x)``.

    Parameters
    ----------
    step : callable
        Takes the carry, of the structure of `init`, and an element of `xs`, of its structure (None without); returns
        the new carry and what to keep of the step. Structures are variables, tuples, lists, dictionaries and None.
    init : structure of Variable
        The first carry. A Python integer counts in int64, if nothing in the step has another dtype.
    xs : structure of Variable, optional
        Gone along by the first axis.
    length : int or Variable, optional
        Number of steps; by default that of the shortest of `xs`. With `until`, the most steps.
    until : callable, optional
        Takes the new carry, returns a 0-d condition that ends the loop.
    reverse : bool
        Go from the last element to the first; traces stay aligned with `xs`.
    name : str, optional

    Returns
    -------
    carry : structure of Variable
        After the last step.
    ys : structure of Variable
        What was kept, along a new first axis.

    Raises
    ------
    ValueError
        If a step returns no pair, or changes the structure of the carry, or nothing says how many steps there are.
    RankError, DTypeError
        If it changes the rank of the carry, or its dtype in a way that loses values.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> last, sums = symbolic.loop(lambda c, e: ({"sum": c["sum"] + e}, c["sum"]), {"sum": T.constant(0.0)}, x)
    >>> symbolic.function([x], [last["sum"], sums])([1, 2, 3])
    [array(6.), array([0., 1., 3.])]
    """
    start = [as_tensor_variable(v) for v in _leaves(init)]
    sequences = [as_tensor_variable(v) for v in _leaves(xs)]
    for k, x in enumerate(sequences):
        if not x.ndim:
            raise errors.RankError(errors.message("loop", f"leaf {k} of xs is a scalar: there is nothing to go along",
                                                  (describe(x),), caller()))
    if reverse and until is not None:
        raise errors.NotSupported("loop: reverse and until together\nhint: reverse xs with x[::-1]")
    n = number_of_steps(length, [extents(x)[0] for x in sequences], "loop")
    before = [Variable(v.type, name=v.name, loc=v.loc) for v in start]
    places = [Variable(element(x.type), name=f"{x.name}[t]" if x.name else None, loc=x.loc) for x in sequences]
    since = now()
    made = step(_filled(init, before), _filled(xs, places))
    if not isinstance(made, tuple) or len(made) != 2:
        raise ValueError(errors.message("loop", f"step must return a pair, the carry and what to keep, got {made!r}", (),
                                        caller(), "return carry, None to keep nothing"))
    carry, kept = made
    if _shape(carry) != _shape(init):
        raise ValueError(errors.message("loop", f"step changes the structure of the carry from {_shape(init)} to "
                                        f"{_shape(carry)}", (), caller()))
    after = counted(_leaves(init), before, [as_tensor_variable(v) for v in _leaves(carry, init)])
    traced = [as_tensor_variable(v) for v in _leaves(kept)]
    condition = [] if until is None else [until_(until(carry)).condition]
    rest, names = [*traced, *condition], [f"leaf {k} of the carry" for k in range(len(before))]
    states = threaded(since, before, start, after, rest)
    before, start, after, rest = agreed(before, start, after, rest, "loop", [*names, *(str(s) for s in states)])
    built = Step(before, start, places, sequences, after, rest[:len(traced)], rest[-1] if condition else None)
    if reverse:  # a loop that goes backwards reads and writes the n first elements
        built.sequences = [x if len(sequences) == 1 and length is None else getitem(x, slice(None, n)) for x in sequences]
    last, traces = built.run(n, name or "", reverse=reverse)
    advance(states, last[len(names):])
    return _filled(init, last), _filled(kept, traces)


def _leaves(structure: Any, like: Any = None) -> list[Any]:
    """Return the leaves of a structure; keys are in the order of those of `like`, which has the same structure."""
    if structure is None:
        return []
    if isinstance(structure, Mapping):
        order = structure if like is None else like
        return [v for k in order for v in _leaves(structure[k], order[k])]
    if isinstance(structure, (list, tuple)):
        return [v for s, t in zip(structure, structure if like is None else like, strict=True) for v in _leaves(s, t)]
    return [structure]


def _filled(structure: Any, values: Sequence[Any]) -> Any:
    """Return `structure` with `values` in place of its leaves."""
    rest = iter(values)

    def fill(s: Any) -> Any:
        if s is None:
            return None
        if isinstance(s, Mapping):
            return {k: fill(s[k]) for k in s}
        if isinstance(s, tuple):
            made = [fill(v) for v in s]
            return type(s)(*made) if hasattr(s, "_fields") else tuple(made)
        return [fill(v) for v in s] if isinstance(s, list) else next(rest)

    return fill(structure)


def _shape(structure: Any) -> Any:
    """Return a structure without its leaves, to compare and to show."""
    if structure is None:
        return None
    if isinstance(structure, Mapping):
        return {k: _shape(structure[k]) for k in structure}
    if isinstance(structure, (list, tuple)):
        return [_shape(s) for s in structure]
    return "*"


def scan_checkpoints(fn: Callable[..., Any], sequences: Any = None, outputs_info: Any = None, non_sequences: Any = None,
                     name: str = "checkpointscan_fn", n_steps: Any = None, save_every_N: int = 10,
                     padding: bool = True) -> Scanned:
    """Return every N-th output of a :func:`scan` whose gradient keeps only these, and computes the others again.

    Parameters
    ----------
    fn, sequences, outputs_info, non_sequences, name, n_steps
        As for :func:`scan`; every output has a state of one step back.
    save_every_N : int
        With ``sqrt(n_steps)`` memory for the gradient grows like the square root of the number of steps.
    padding : bool
        Add zeros to sequences so that N divides their length; without it, what is left over isn't read. Where there are
        no sequences, as many steps more, or fewer, are taken.

    Returns
    -------
    outputs : Variable or list of Variable
        The state after each N steps.
    updates : dict

    Raises
    ------
    ValueError
        If `save_every_N` isn't positive.
    NotSupported
        For taps, outputs without a state, and updates.

    Notes
    -----
    A. Griewank, "Achieving logarithmic growth of temporal and spatial complexity in reverse automatic differentiation",
    1992; two levels of it.

    Examples
    --------
    >>> import symbolic, symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> sums, _ = symbolic.scan_checkpoints(lambda e, t: t + e, x, T.constant(0.0), save_every_N=2)
    >>> symbolic.function([x], sums)([1, 2, 3, 4])
    array([ 3., 10.])
    """
    if not isinstance(save_every_N, int) or save_every_N < 1:
        raise ValueError(f"scan_checkpoints: save_every_N must be a positive integer, got {save_every_N!r}")
    given = [] if sequences is None else list(sequences) if isinstance(sequences, (list, tuple)) else [sequences]
    infos = list(outputs_info) if isinstance(outputs_info, (list, tuple)) else [outputs_info]
    if any(isinstance(s, Mapping) for s in [*given, *infos]) or any(i is None for i in infos):
        raise errors.NotSupported("scan_checkpoints: taps, and outputs without an initial state\n"
                                  "hint: every output has a state of one step back")
    xs = [as_tensor_variable(x) for x in given]
    init = [as_tensor_variable(v) for v in infos]
    total = number_of_steps(n_steps, [extents(x)[0] for x in xs], "scan_checkpoints")
    every = constant(save_every_N, dtype="int64")
    chunks = (total + every - 1) // every if padding else total // every  # type: ignore[operator]
    blocks = [_blocks(x, chunks, save_every_N, padding) for x in xs]

    def chunk(carry: list[Variable], parts: list[Variable]) -> tuple[list[Variable], list[Variable]]:
        def one(inner: list[Variable], elements: list[Variable]) -> tuple[list[Variable], None]:
            made, updates = fn(*(elements or ()), *inner, *_list(non_sequences)), None
            if isinstance(made, tuple) and any(isinstance(p, (Mapping, until_)) for p in made):
                raise errors.NotSupported("scan_checkpoints: updates and until inside the loop")
            return _list(made), updates

        last, _ = loop(one, carry, parts if parts else None, None if parts else every, name=name)
        return last, last

    step_carry = init
    last, traces = _outer_loop(chunk, step_carry, blocks, chunks, name)
    return (traces[0] if len(traces) == 1 else traces), {}


def _outer_loop(chunk: Callable[..., Any], init: list[Variable], blocks: list[Variable], chunks: Variable, name: str
                ) -> tuple[list[Variable], list[Variable]]:
    before = [Variable(v.type, name=v.name, loc=v.loc) for v in init]
    places = [Variable(element(x.type), loc=x.loc) for x in blocks]
    since = now()
    after, _ = chunk(before, places)
    after, names, start = list(after), [f"output {k}" for k in range(len(before))], list(init)
    states = threaded(since, before, start, after, [])
    before, start, after, _ = agreed(before, start, after, [], "scan_checkpoints", [*names, *(str(s) for s in states)])
    last, traces = Step(before, start, places, blocks, after, after[:len(names)]).run(chunks, name, repeat=True)
    advance(states, last[len(names):])
    return last[:len(names)], traces


def _list(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]


def _blocks(x: Variable, chunks: Variable, n: int, padding: bool) -> Variable:
    """Return `x` cut into blocks of `n` elements along a new first axis."""
    lengths = extents(x)
    if padding:
        missing = chunks * n - lengths[0]  # type: ignore[operator]
        x = concatenate([x, zeros([missing, *lengths[1:]], x.dtype)], axis=0)
    else:
        x = getitem(x, slice(None, chunks * n))  # type: ignore[operator]
    return x.reshape([chunks, n, *lengths[1:]], ndim=x.ndim + 1)  # type: ignore[attr-defined]
