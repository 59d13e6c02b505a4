"""Test values: with ``config.compute_test_value = 'raise'`` each op runs on small examples when it is applied, so that shapes
that don't fit are found on the line that is wrong."""
from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.config import config
from symbolic.graph import TEST_VALUES, Apply, Constant, Variable, describe, toposort
from symbolic.shared import SharedVariable


class TestValueError(errors.SymbolicError, AttributeError):
    """A test value that is needed and missing, or doesn't fit its variable."""

    __test__ = False  # no test of pytest's


def known_value(v: Variable) -> Any:
    """Return the value that is known of a variable without computing anything; None if there is none.

    Raises
    ------
    TestValueError
        If its test value doesn't fit its type.
    """
    if isinstance(v, Constant):
        return v.data
    if isinstance(v, SharedVariable):
        return v.get_value(borrow=True)
    if v._tag is None or not hasattr(v._tag, "test_value"):
        return None
    try:
        return v.type.filter(v._tag.test_value)
    except errors.SymbolicError as error:
        raise TestValueError(errors.message(
            "test value", f"that of {describe(v)} doesn't fit it: {error}", (), v.loc,
            f"set {v.name or 'x'}.tag.test_value to an array of {v.type}")) from None


def _computed(outputs: Sequence[Variable]) -> list[np.ndarray]:
    """Return the test values of `outputs`, computed from those known."""
    known: dict[Variable, np.ndarray] = {}
    stack = list(outputs)
    while stack:
        v = stack.pop()
        if v in known:
            continue
        value = known_value(v)
        if value is not None:
            known[v] = value
        elif v.owner is not None:
            stack.extend(x for x in v.owner.inputs if x not in known)
        else:
            raise TestValueError(missing_test_message(v))
    return evaluate(outputs, known)


def get_test_value(v: Any) -> Any:
    """Return the test value of a variable: its value if it is a constant or shared, its tag's, or one computed from these.

    Parameters
    ----------
    v : Variable, or anything else, which stands for itself

    Returns
    -------
    ndarray

    Raises
    ------
    TestValueError
        If a test value is missing or doesn't fit. It is a subclass of AttributeError.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x = T.dvector("x")
    >>> x.tag.test_value = np.ones(3)
    >>> get_test_value((x * 2).sum())
    array(6.)
    """
    if not isinstance(v, Variable):
        return v
    return _computed([v])[0]


def missing_test_message(v: Variable) -> str:
    """Return what is said of a variable without a test value."""
    return errors.message("test value", f"{describe(v)} has none", (), v.loc,
                          f"set {v.name or 'x'}.tag.test_value to an array of {v.type}, or config.compute_test_value to 'off'")


def get_debug_values(*args: Any) -> list[list[Any]]:
    """Return a list with the list of the test values of `args`; or an empty one where test values are off or missing.

    Notes
    -----
    What loops over it, ``for x, y in get_debug_values(x, y)``, runs once if there are values, else not at all.
    """
    if config.compute_test_value == "off":
        return []
    try:
        return [[get_test_value(v) for v in args]]
    except TestValueError:
        if config.compute_test_value == "ignore":
            return []
        raise


def compute_test_values(node: Apply) -> None:
    """Compute the results of an application on test values and keep them, as ``config.compute_test_value`` says."""
    how = config.compute_test_value
    try:
        values = _computed(node.outputs)
    except TestValueError as error:
        if how == "ignore":
            return
        if how == "pdb":
            breakpoint()  # noqa: T100  (asked for)
        text = errors.message(node.op.name, str(error).partition("\nhint: ")[0], tuple(describe(v) for v in node.inputs),
                              node.loc, str(error).partition("\nhint: ")[2] or None)
        if how == "raise":
            raise TestValueError(text) from None
        warnings.warn(text, stacklevel=4)
        return
    except Exception:
        if how == "pdb":
            breakpoint()  # noqa: T100  (asked for)
        raise
    for v, value in zip(node.outputs, values, strict=True):
        v.tag.test_value = value


def fill_in(graph_outputs: Sequence[Variable]) -> None:
    """Compute test values of everything in a graph that has none, where test values of inputs were set later."""
    for node in toposort(graph_outputs):
        compute_test_values(node)


TEST_VALUES.append(compute_test_values)
