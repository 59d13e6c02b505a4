"""NumPy: the reference that all are checked against, and a peer."""
from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any

import numpy as np
from cases import RATE, Case


def taps(x: np.ndarray) -> Any:
    """Yield the elements of a 3x3 filter, each with what it stands over."""
    p = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for i, j in np.ndindex(3, 3):
        yield (..., i, j), p[:, :, i:i + x.shape[2], j:j + x.shape[3]]


def conv(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the correlation of images with 3x3 filters, which keeps their size."""
    return np.moveaxis(sum(np.tensordot(w[at], v, (1, 1)) for at, v in taps(x)), 0, 1)  # type: ignore[arg-type, call-overload]


def conv_grads(x: np.ndarray, w: np.ndarray, u: np.ndarray) -> list[np.ndarray]:
    """Return its gradients in images and filters."""
    gw = np.empty_like(w)
    for at, v in taps(x):
        gw[at] = np.tensordot(u, v, ((0, 2, 3), (0, 2, 3)))
    return [conv(u, w[:, :, ::-1, ::-1].swapaxes(0, 1)), gw]


def logsumexp(x: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sums of exponentials of rows."""
    most = x.max(axis=1, keepdims=True)
    y = x - most
    return np.log(np.exp(y, out=y).sum(axis=1)) + most[:, 0]


m = SimpleNamespace(conv=conv, conv_grads=conv_grads,
                    exp=np.exp, tanh=np.tanh, sqrt=np.sqrt, log=np.log, sin=np.sin, cos=np.cos,
                    var=lambda x, axis: x.var(axis=axis), logsumexp=logsumexp)
Run = Callable[[], Any]


def describe() -> str:
    """Return version and BLAS."""
    with redirect_stdout(io.StringIO()):
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload]
    return f"NumPy {np.__version__}, BLAS {blas['name']} {blas['version']}"


def loss_and_gradient(z: np.ndarray, y: np.ndarray) -> tuple[np.float32, np.ndarray]:
    """Return the mean cross-entropy of softmax(z) and its gradient."""
    rows = np.arange(len(y))
    p = z - z.max(axis=1, keepdims=True)
    picked = p[rows, y]
    np.exp(p, out=p)
    total = p.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - picked).mean()
    p /= total
    p[rows, y] -= 1
    p /= np.float32(len(y))
    return loss, p


def prepare(case: Case) -> tuple[Run, Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns the state or results after it."""
    inputs = case.inputs()
    if case.kind == "expression":
        assert case.body is not None
        body = case.body
        return (lambda: body(m, *inputs)), (lambda: [np.asarray(r) for r in body(m, *inputs)])
    x, y = inputs
    if case.kind == "softmax":
        return (lambda: loss_and_gradient(x, y)), (lambda: [np.asarray(r) for r in loss_and_gradient(x, y)])
    weights = case.start()
    velocities = [np.zeros_like(w) for w in weights]

    def step() -> np.float32:
        values = [x]
        for w, b in zip(weights[::2], weights[1::2], strict=True):
            z = values[-1] @ w
            z += b
            values.append(z if len(values) == len(weights) // 2 else np.maximum(z, 0, out=z))
        loss, g = loss_and_gradient(values.pop(), y)
        for i in range(len(weights) - 2, -1, -2):
            h = values.pop()
            gradients = (h.T @ g, g.sum(axis=0))
            if i:
                g = g @ weights[i].T
                g *= h > 0
            for k, gradient in zip((i, i + 1), gradients, strict=True):
                gradient *= np.float32(RATE)
                if case.momentum:
                    velocities[k] *= np.float32(case.momentum)
                    velocities[k] -= gradient
                    weights[k] += velocities[k]
                else:
                    weights[k] -= gradient
        return loss

    return step, (lambda: weights)
