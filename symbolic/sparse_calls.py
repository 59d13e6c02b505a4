"""Functions of sparse matrices: arguments are taken apart before the call of a function of dense arrays, results put together."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from symbolic import errors
from symbolic.graph import Constant, Variable, describe, inputs_of
from symbolic.ops.sparse import to_format
from symbolic.ops.sparse_parts import as_sparse, is_sparse
from symbolic.ops.sparse_type import CSM, PartsOf, SparseShared, SparseType, SparseVariable, is_scipy
from symbolic.source import caller

#: How many dense arrays a sparse matrix is.
PARTS = 4


class SparseFunction:
    """A function some of whose inputs or outputs are sparse; made by :func:`symbolic.function`.

    Calling it takes matrices of ``scipy.sparse`` of the format of each sparse input, and returns such for sparse outputs. What
    it doesn't know itself is asked of the function of dense arrays behind it, ``dense``.
    """

    def __init__(self, dense: Any, inputs: Sequence[tuple[str | None, SparseType | None, Any, bool]],
                 outputs: Sequence[SparseType | None], structure: Any) -> None:
        self.dense, self.inputs, self.outputs, self.structure = dense, list(inputs), list(outputs), structure

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given: list[Any] = []
        if len(args) > len(self.inputs):
            raise TypeError(f"{self.dense.name}: takes {len(self.inputs)} inputs, got {len(args)}")
        rest = dict(kwargs)
        for k, (name, kind, default, has_default) in enumerate(self.inputs):
            if k < len(args):
                value = args[k]
            elif name in rest:
                value = rest.pop(name)
            elif has_default:
                value = default
            else:
                raise TypeError(f"{self.dense.name}: input {k} ({name or kind}) is missing")
            if kind is None:
                given.append(value)
                continue
            try:
                given += kind.filter(value)
            except errors.SymbolicError as error:
                raise type(error)(errors.message(self.dense.name, f"input {k}, {name}: {error}")) from None
        if rest:
            raise TypeError(f"{self.dense.name}: there is no input {', '.join(map(repr, rest))}, or it is given twice")
        results = iter(self.dense(*given))
        found = [next(results) if kind is None else kind.matrix([next(results) for _ in range(PARTS)]) for kind in self.outputs]
        if self.structure is None:
            return found[0]
        return dict(zip(self.structure, found, strict=True)) if isinstance(self.structure, list) and self.structure else found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dense":
            raise AttributeError(name)
        return getattr(self.dense, name)

    def __repr__(self) -> str:
        return f"<symbolic function {self.dense.name}, of sparse matrices>"


def _pairs(given: Any) -> list[tuple[Any, Any]]:
    return list(given.items()) if hasattr(given, "items") else [(k, v) for k, v in given or ()]


def any_sparse(inputs: Sequence[Any], outputs: Any, updates: Any, givens: Any) -> bool:
    """Whether a sparse variable takes part in what :func:`symbolic.function` was given."""
    try:
        listed = (list(outputs.values()) if isinstance(outputs, dict) else list(outputs) if isinstance(outputs, (list, tuple))
                  else [outputs])
        every = [getattr(v, "variable", v) for v in [*inputs, *listed]]
        every += [v for pair in [*_pairs(updates), *_pairs(givens)] for v in pair]
    except (TypeError, ValueError):
        return False  # not what a function takes: it says so itself
    return any(is_sparse(v) or is_scipy(v) for v in every)


def of_sparse(function: Callable[..., Any], inputs: Sequence[Any], outputs: Any, updates: Any, givens: Any,
              **options: Any) -> SparseFunction:
    """Return the function of sparse variables that `function` makes of their parts.

    Raises
    ------
    GraphError, UpdateError
        If a sparse input is computed, an update isn't sparse where its variable is, or an input isn't used.
    """
    replaced: list[tuple[Any, Any]] = []
    dense_inputs: list[Any] = []
    described: list[tuple[str | None, SparseType | None, Any, bool]] = []
    for i in inputs:
        v = getattr(i, "variable", i)
        name, default = getattr(i, "name", None) or getattr(v, "name", None), getattr(i, "value", None)
        if not is_sparse(v):
            dense_inputs.append(i if not hasattr(i, "variable") else replace(i, value=None))
            described.append((name, None, default, default is not None))
            continue
        if v.owner is not None:
            raise errors.GraphError(errors.message("function", "a sparse input must be a variable that isn't computed",
                                                   (describe(v),), v.loc or caller()))
        if getattr(i, "update", None) is not None:
            raise errors.NotSupported(errors.message("function", "a sparse input can't have an update", (describe(v),), caller(),
                                                     "symbolic.shared(matrix) makes a sparse variable that can"))
        label = name or "sparse"
        parts = [p.type(f"{label}.{what}") for p, what in zip(v.parts, PartsOf._fields, strict=True)]
        replaced += zip(v.parts, parts, strict=True)
        dense_inputs += parts
        described.append((name, v.type, default, default is not None))
    structure: Any = list(outputs) if isinstance(outputs, dict) else None if not isinstance(outputs, (list, tuple)) else ()
    listed = list(outputs.values()) if isinstance(outputs, dict) else [outputs] if structure is None else list(outputs)
    if outputs is None:
        listed, structure = [], ()
    flat: list[Any] = []
    kinds: list[SparseType | None] = []
    for o in listed:
        v = getattr(o, "variable", o)
        if is_sparse(v) or is_scipy(v):
            v = as_sparse(v)
            flat += list(v.parts)
            kinds.append(SparseType(v.format, v.dtype))
        else:
            flat.append(o)
            kinds.append(None)
    new = [p for key, value in _pairs(updates) for p in _updates(key, value)]
    for key, value in _pairs(givens):
        if is_sparse(key):
            replaced += zip(key.parts, to_format(value, key.format).parts, strict=True)
        else:
            replaced.append((key, value))
    _used(inputs, [*flat, *(v for _, v in new)], options.get("on_unused_input"))
    options["on_unused_input"] = "ignore"
    made = function(dense_inputs, flat, updates=new, givens=replaced, **options)
    return SparseFunction(made, described, kinds, structure)


def _updates(key: Any, value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(key, SparseShared):
        return [(key, value)]
    if not (is_sparse(value) or is_scipy(value)):
        raise errors.UpdateError(errors.message("function", f"the update of {describe(key)} isn't sparse", (), caller(),
                                                "csr_from_dense makes a sparse matrix of a dense one"))
    value = to_format(value, key.format)
    if value.dtype != key.dtype:
        raise errors.UpdateError(errors.message("function", f"the update of {describe(key)} has type {value.type}", (), caller(),
                                                f".astype({key.dtype!r}) changes the dtype"))
    return list(zip(key.parts, value.parts, strict=True))


def _used(inputs: Sequence[Any], results: Sequence[Any], how: str | None) -> None:
    leaves = set(inputs_of([v for v in (getattr(r, "variable", r) for r in results) if isinstance(v, Variable)]))
    for i in inputs:
        v = getattr(i, "variable", i)
        if how not in (None, "raise") or not isinstance(v, Variable) or v in leaves or v.owner is not None:
            continue
        if isinstance(v, Constant) or (isinstance(v, SparseVariable) and isinstance(getattr(v.owner, "op", None), CSM)):
            continue
        raise errors.UnusedInputError(errors.message("function", f"input {describe(v)} isn't used", (), v.loc or caller(),
                                                     "remove it, or pass on_unused_input='ignore'"))
