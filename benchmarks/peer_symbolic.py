"""This project, called with NumPy arrays whose extents the functions don't know beforehand."""
from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from cases import RATE, Case

import symbolic
import symbolic.tensor as T
from symbolic.codegen.compiler import find_compiler
from symbolic.codegen.native import entry


def conv(x: Any, w: Any) -> Any:
    """Return the correlation of images with filters, which keeps their size."""
    return T.nnet.conv2d(x, w, border_mode="half", filter_flip=False)


def conv_grads(x: Any, w: Any, u: Any) -> Any:
    """Return its gradients in images and filters."""
    return T.Lop(conv(x, w), [x, w], u)


m = SimpleNamespace(conv=conv, conv_grads=conv_grads,
                    exp=T.exp, tanh=T.tanh, sqrt=T.sqrt, log=T.log, sin=T.sin, cos=T.cos, var=lambda x, axis: x.var(axis=axis),
                    logsumexp=lambda x: T.logsumexp(x, axis=1))


def describe() -> str:
    """Return version and BLAS."""
    return f"symbolic, BLAS OpenBLAS of NumPy {np.__version__}, SYMBOLIC_THREADS={symbolic.config.threads}"


def setup() -> None:
    """Build what is built once for a Python: the extension, and what is known of the compiler."""
    compiler = find_compiler()
    assert compiler is not None
    entry(compiler)


def network(h: Any, y: Any, weights: list[Any]) -> Any:
    """Return the loss of the ReLU network."""
    for i in range(0, len(weights), 2):
        h = h @ weights[i] + weights[i + 1]
        if i < len(weights) - 2:
            h = T.nnet.relu(h)
    return T.nnet.categorical_crossentropy(T.nnet.softmax(h), y).mean()


def prepare(case: Case) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns the state or results after it."""
    inputs = case.inputs()
    variables = [symbolic.TensorType(a.dtype.name, (None,) * a.ndim)(f"x{k}") for k, a in enumerate(inputs)]
    if case.kind == "train":
        x, y = variables
        weights = [symbolic.shared(w) for w in case.start()]
        loss = network(x, y, weights)
        updates = []
        for w, g in zip(weights, symbolic.grad(loss, weights), strict=True):
            change = np.float32(-RATE) * g
            if case.momentum:
                v = symbolic.shared(np.zeros_like(w.get_value()))
                change = np.float32(case.momentum) * v + change
                updates.append((v, change))
            updates.append((w, w + change))
        f = symbolic.function(variables, loss, updates=updates)
        return (lambda: f(*inputs)), (lambda: [w.get_value() for w in weights])
    if case.kind == "softmax":
        z, y = variables
        loss = T.nnet.categorical_crossentropy(T.nnet.softmax(z), y).mean()
        outputs = [loss, symbolic.grad(loss, z)]
    else:
        assert case.body is not None
        outputs = list(case.body(m, *variables))
    f = symbolic.function(variables, outputs if len(outputs) > 1 else outputs[0])
    if len(inputs) == 1:
        only = inputs[0]
        return (lambda: f(only)), (lambda: [np.asarray(f(only))] if len(outputs) == 1 else f(only))
    return (lambda: f(*inputs)), (lambda: [np.asarray(r) for r in (f(*inputs) if len(outputs) > 1 else [f(*inputs)])])
