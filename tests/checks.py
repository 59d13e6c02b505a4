"""What tests of ops share: running a graph on both back ends, and checking gradients by differences."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import symbolic.ops.operators  # noqa: F401  (installs Python's operators)
from symbolic import errors
from symbolic.codegen.reference import evaluate
from symbolic.forward import Rop
from symbolic.function import function
from symbolic.graph import Variable, constant
from symbolic.ops.reduce import sum as sum_of
from symbolic.reverse import grad
from symbolic.types import TensorType


def variables(*arrays: np.ndarray) -> list[Variable]:
    """Return variables of the dtype and rank of `arrays`, with unknown extents."""
    return [TensorType(a.dtype.name, (None,) * a.ndim)() for a in arrays]


def run(outputs: Sequence[Variable], values: dict[Variable, np.ndarray], on_error: bool = False,
        rtol: float = 1e-6, atol: float = 0) -> list[np.ndarray]:
    """Compute with the interpreter and the compiler, require the same, and return the interpreter's.

    With `on_error`, both must raise the same class of error, which is raised.
    """
    names = list(values)
    if not on_error:
        got = evaluate(outputs, values)
        compiled = function(names, list(outputs), on_unused_input="ignore")(*values.values())
        for a, b in zip(compiled, got, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
        return got
    with pytest.raises(errors.SymbolicError) as refused:
        function(names, list(outputs), on_unused_input="ignore")(*values.values())
    try:
        return evaluate(outputs, values)
    except errors.SymbolicError as error:
        assert type(error) is refused.type
        raise


def central_difference(costs: Sequence[Variable], values: dict[Variable, np.ndarray], rtol: float = 1e-6) -> None:
    """Check first and second derivatives of `costs`, backwards and forwards, in a random direction of `values` (float64)."""
    rng = np.random.default_rng(3)
    xs = list(values)
    step = {x: rng.normal(size=np.shape(a)) for x, a in values.items()}
    derivatives = [_along(cost, xs, step) for cost in costs]
    outs = [*costs, *derivatives]
    eps = 1e-5

    def at(t: float) -> np.ndarray:
        return np.array(evaluate(outs, {x: np.asarray(values[x] + t * step[x]) for x in xs}))

    slope = (at(eps) - at(-eps)) / (2 * eps)
    exact = np.array(evaluate([*derivatives, *(_along(d, xs, step) for d in derivatives)], values))
    np.testing.assert_allclose(exact, slope, rtol=rtol, atol=1e-7)
    # <u, J v> = <J^T u, v>, for the costs and for their derivatives
    forward = Rop(outs, xs, [constant(step[x]) for x in xs], disconnected_outputs="ignore")
    np.testing.assert_allclose(np.array(evaluate(forward, values)), exact, rtol=1e-10, atol=1e-12 * (1 + np.abs(exact).max()))


def _along(cost: Variable, xs: Sequence[Variable], step: dict[Variable, np.ndarray]) -> Variable:
    """Return the derivative of `cost` along `step`."""
    total = None
    for x, g in zip(xs, grad(cost, list(xs), disconnected_inputs="ignore", return_disconnected="none"), strict=True):
        if g is not None:
            term = sum_of(g * step[x])
            total = term if total is None else total + term
    return total if total is not None else cost * 0.0
