"""Loops and derivatives by this project; extents aren't known beforehand."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from programs import ADAM, GRU, LSTM, MAP_GRADIENT_STEPS, MAP_STEPS, MLP, RATE, Arrays

import symbolic
import symbolic.tensor as T

Ready = tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]


def variables(a: Arrays, names: Any) -> list[Any]:
    """Return variables for some of the inputs, of unknown extents."""
    return [T.tensor(np.asarray(a[k]).dtype.name, (None,) * np.ndim(a[k]), name=k) for k in names]


def results(inputs: list[Any], outputs: list[Any], arrays: list[Any]) -> Ready:
    """Return a function of its inputs alone."""
    f = symbolic.function(inputs, outputs if len(outputs) > 1 else outputs[0])
    return (lambda: f(*arrays)), (lambda: list(f(*arrays)) if len(outputs) > 1 else [f(*arrays)])


def training(inputs: list[Any], loss: Any, updates: list[Any], weights: list[Any], arrays: list[Any]) -> Ready:
    """Return a training step and the weights after it."""
    f = symbolic.function(inputs, loss, updates=updates)
    return (lambda: f(*arrays)), (lambda: (f(*arrays), [w.get_value() for w in weights])[1])


def logistic_map(a: Arrays, n: int, gradient: bool) -> Ready:
    """Iterate r x (1 - x)."""
    r, x, steps = T.dscalar("r"), T.dscalar("x"), T.lscalar("steps")
    xs, _ = symbolic.scan(lambda x, r: r * x * (1 - x), outputs_info=x, non_sequences=r, n_steps=steps)
    return results([r, x, steps], symbolic.grad(xs.sum(), [r, x]) if gradient else [xs], [a["r"], a["x"], n])


def rnn(a: Arrays) -> Ready:
    """Train a tanh RNN by gradient descent."""
    xs, y = variables(a, ("xs", "y"))
    weights = w, u, b, v = [symbolic.shared(a[k], k) for k in ("W", "U", "b", "V")]
    hs, _ = symbolic.scan(lambda x, h: T.tanh(T.dot(x, w) + T.dot(h, u) + b), xs, T.zeros((xs.shape[1], u.shape[0]), "float32"))
    loss = ((T.dot(hs, v) - y) ** 2).mean()
    updates = [(p, p - np.float32(RATE) * g) for p, g in zip(weights, symbolic.grad(loss, weights), strict=True)]
    return training([xs, y], loss, updates, weights, [a["xs"], a["y"]])


def adam(weights: list[Any], gradients: list[Any]) -> list[Any]:
    """Return the updates of Adam."""
    one, rate, b1, b2, epsilon = (np.float32(x) for x in (1, ADAM["rate"], ADAM["beta1"], ADAM["beta2"], ADAM["epsilon"]))
    t = symbolic.shared(np.float32(0), "t")
    now = t + one
    step = rate * T.sqrt(one - b2 ** now) / (one - b1 ** now)
    updates = [(t, now)]
    for w, g in zip(weights, gradients, strict=True):
        m, v = symbolic.shared(np.zeros_like(w.get_value())), symbolic.shared(np.zeros_like(w.get_value()))
        m_new, v_new = b1 * m + (one - b1) * g, b2 * v + (one - b2) * g * g
        updates += [(m, m_new), (v, v_new),
                    (w, w - step * m_new / (T.sqrt(v_new) + epsilon * T.sqrt(one - b2 ** now)))]
    return updates


def lstm(a: Arrays) -> Ready:
    """Train an LSTM on characters by Adam."""
    x, y = variables(a, ("x", "y"))
    n = LSTM["hidden"]
    weights = e, u, b, v, c = [symbolic.shared(a[k], k) for k in ("E", "U", "b", "V", "c")]

    def step(row: Any, h: Any, cell: Any) -> list[Any]:
        z = e[row] + T.dot(h, u) + b
        i, f, g, o = (z[:, k * n:(k + 1) * n] for k in range(4))
        cell = T.nnet.sigmoid(f) * cell + T.nnet.sigmoid(i) * T.tanh(g)
        return [T.nnet.sigmoid(o) * T.tanh(cell), cell]

    zeros = T.zeros((x.shape[1], n), "float32")
    (hs, _), _ = symbolic.scan(step, x, [zeros, zeros])
    z = T.dot(hs.reshape((-1, n)), v) + c
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(z), y.flatten()).mean()
    return training([x, y], loss, adam(weights, symbolic.grad(loss, weights)), weights, [a["x"], a["y"]])


def gru(a: Arrays) -> Ready:
    """Train a stack of GRUs by gradient descent; the result is the loss before the step."""
    xs, y = variables(a, ("xs", "y"))
    n, hs, weights = GRU["hidden"], xs, []
    for k in range(GRU["layers"]):
        w, u, b = (symbolic.shared(a[f"{c}{k}"], f"{c}{k}") for c in "WUb")

        def step(x: Any, h: Any, w: Any = w, u: Any = u, b: Any = b) -> Any:
            i, s = T.dot(x, w) + b, T.dot(h, u)
            z, r = T.nnet.sigmoid(i[:, :n] + s[:, :n]), T.nnet.sigmoid(i[:, n:2 * n] + s[:, n:2 * n])
            return z * h + (np.float32(1) - z) * T.tanh(i[:, 2 * n:] + r * s[:, 2 * n:])

        hs, _ = symbolic.scan(step, hs, T.zeros((xs.shape[1], n), "float32"))
        weights += [w, u, b]
    loss = ((hs[-1] - y) ** 2).mean()
    updates = [(p, p - np.float32(RATE) * g) for p, g in zip(weights, symbolic.grad(loss, weights), strict=True)]
    f = symbolic.function([xs, y], loss, updates=updates)
    return (lambda: f(a["xs"], a["y"])), (lambda: [f(a["xs"], a["y"])])


def hessian(a: Arrays) -> Ready:
    """Compute the hessian of a logistic regression."""
    x, y, w = variables(a, ("x", "y", "w"))
    z = T.dot(x, w)
    loss = (T.nnet.softplus(z) - y * z).mean()
    return results([x, y, w], [symbolic.hessian(loss, w)], [a["x"], a["y"], a["w"]])


def jacobian(a: Arrays) -> Ready:
    """Compute a jacobian."""
    m, x = variables(a, ("a", "x"))
    return results([m, x], [symbolic.jacobian(T.tanh(T.dot(m, x)), x)], [a["a"], a["x"]])


def hessian_vector_product(a: Arrays) -> Ready:
    """Multiply the hessian of a network's loss with a direction."""
    n = 2 * (len(MLP) - 1)
    x, y = variables(a, ("x", "y"))
    ws, vs = (variables(a, [f"{c}{k}" for k in range(n)]) for c in "wv")
    h = x
    for k in range(0, n, 2):
        h = T.dot(h, ws[k]) + ws[k + 1]
        h = T.tanh(h) if k < n - 2 else h
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(h), y).mean()
    return results([x, y, *ws, *vs], symbolic.gradient.hessian_vector_product(loss, ws, vs), list(a.values()))


def prepare(name: str, a: Arrays) -> Ready:
    """Return a function that does the work once, and one that returns its results."""
    if name.startswith("logistic map"):
        gradient = name.endswith("gradient")
        return logistic_map(a, MAP_GRADIENT_STEPS if gradient else MAP_STEPS, gradient)
    return {"rnn": rnn, "lstm": lstm, "gru": gru, "hessian": hessian, "jacobian": jacobian,
            "hessian-vector product": hessian_vector_product}[name](a)
