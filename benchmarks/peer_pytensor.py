"""PyTensor in its default mode, inputs trusted (its fastest way to call a function)."""
from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from cases import RATE, Case

m = SimpleNamespace(exp=pt.exp, tanh=pt.tanh, sqrt=pt.sqrt, log=pt.log, sin=pt.sin, cos=pt.cos,
                    var=lambda x, axis: x.var(axis=axis),
                    logsumexp=lambda x: pt.logsumexp(x, axis=1))


def describe() -> str:
    """Return version and BLAS."""
    c = pytensor.config
    linker = type(pytensor.compile.mode.get_default_mode().linker).__name__
    return (f"PyTensor {pytensor.__version__}, mode {c.mode}, linker {linker}, openmp {c.openmp}, BLAS "
            f"{getattr(c, 'blas__ldflags', '') or 'of SciPy'}")


def loss_of(z: Any, y: Any) -> Any:
    """Return the mean cross-entropy."""
    return -pt.special.log_softmax(z, axis=1)[pt.arange(y.shape[0]), y].mean()


def prepare(case: Case) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns the state or results after it."""
    inputs = case.inputs()
    variables = [pt.tensor(dtype=a.dtype.name, shape=(None,) * a.ndim) for a in inputs]
    if case.kind == "train":
        h, y = variables
        weights = [pytensor.shared(w) for w in case.start()]
        for i in range(0, len(weights), 2):
            h = h @ weights[i] + weights[i + 1]
            if i < len(weights) - 2:
                h = pt.maximum(h, np.float32(0))
        loss = loss_of(h, y)
        updates = []
        for w, g in zip(weights, pytensor.grad(loss, weights), strict=True):
            change = np.float32(-RATE) * g
            if case.momentum:
                v = pytensor.shared(np.zeros_like(w.get_value()))
                change = np.float32(case.momentum) * v + change
                updates.append((v, change))
            updates.append((w, w + change))
        f = pytensor.function(variables, loss, updates=updates, trust_input=True)
        return (lambda: f(*inputs)), (lambda: [w.get_value() for w in weights])
    if case.body is None:
        loss = loss_of(*variables)
        outputs = [loss, pytensor.grad(loss, variables[0])]
    else:
        outputs = list(case.body(m, *variables))
    f = pytensor.function(variables, outputs, trust_input=True)
    return (lambda: f(*inputs)), (lambda: [np.asarray(r) for r in f(*inputs)])
