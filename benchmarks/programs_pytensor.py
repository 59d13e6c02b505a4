"""Loops and derivatives by PyTensor in its default mode: `scan`, inputs trusted."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from programs import ADAM, GRU, LSTM, MAP_GRADIENT_STEPS, MAP_STEPS, MLP, RATE, Arrays
from pytensor.gradient import hessian_vector_product, jacobian

Ready = tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]


def variables(a: Arrays, names: Any) -> list[Any]:
    """Return variables for some of the inputs, of unknown extents."""
    return [pt.tensor(k, dtype=np.asarray(a[k]).dtype.name, shape=(None,) * np.ndim(a[k])) for k in names]


def results(inputs: list[Any], outputs: list[Any], arrays: list[Any]) -> Ready:
    """Return a function of its inputs alone."""
    f, arrays = pytensor.function(inputs, outputs, trust_input=True), [np.asarray(x) for x in arrays]
    return (lambda: f(*arrays)), (lambda: f(*arrays))


def training(inputs: list[Any], loss: Any, updates: list[Any], weights: list[Any], arrays: list[Any]) -> Ready:
    """Return a training step and the weights after it."""
    f = pytensor.function(inputs, loss, updates=updates, trust_input=True)
    return (lambda: f(*arrays)), (lambda: (f(*arrays), [w.get_value() for w in weights])[1])


def descent(weights: list[Any], loss: Any) -> list[Any]:
    """Return the updates of gradient descent."""
    return [(w, w - np.float32(RATE) * g) for w, g in zip(weights, pytensor.grad(loss, weights), strict=True)]


def adam(weights: list[Any], loss: Any) -> list[Any]:
    """Return the updates of Adam."""
    one, rate, b1, b2, epsilon = (np.float32(x) for x in (1, ADAM["rate"], ADAM["beta1"], ADAM["beta2"], ADAM["epsilon"]))
    t = pytensor.shared(np.float32(0))
    now = t + one
    step, updates = rate * pt.sqrt(one - b2 ** now) / (one - b1 ** now), [(t, now)]
    for w, g in zip(weights, pytensor.grad(loss, weights), strict=True):
        m, v = pytensor.shared(np.zeros_like(w.get_value())), pytensor.shared(np.zeros_like(w.get_value()))
        m_new, v_new = b1 * m + (one - b1) * g, b2 * v + (one - b2) * g * g
        updates += [(m, m_new), (v, v_new), (w, w - step * m_new / (pt.sqrt(v_new) + epsilon * pt.sqrt(one - b2 ** now)))]
    return updates


def logistic_map(a: Arrays, n: int, gradient: bool) -> Ready:
    """Iterate r x (1 - x)."""
    r, x, steps = pt.dscalar("r"), pt.dscalar("x"), pt.lscalar("steps")
    xs = pytensor.scan(lambda x, r: r * x * (1 - x), outputs_info=x, non_sequences=r, n_steps=steps, return_updates=False)
    return results([r, x, steps], pytensor.grad(xs.sum(), [r, x]) if gradient else [xs], [a["r"], a["x"], n])


def rnn(a: Arrays) -> Ready:
    """Train a tanh RNN by gradient descent."""
    xs, y = variables(a, ("xs", "y"))
    weights = w, u, b, v = [pytensor.shared(a[k], k) for k in ("W", "U", "b", "V")]
    hs = pytensor.scan(lambda x, h: pt.tanh(pt.dot(x, w) + pt.dot(h, u) + b), xs,
                       pt.zeros((xs.shape[1], u.shape[0]), "float32"), return_updates=False)
    loss = ((pt.dot(hs, v) - y) ** 2).mean()
    return training([xs, y], loss, descent(weights, loss), weights, [a["xs"], a["y"]])


def lstm(a: Arrays) -> Ready:
    """Train an LSTM on characters by Adam."""
    x, y = variables(a, ("x", "y"))
    n = LSTM["hidden"]
    weights = e, u, b, v, c = [pytensor.shared(a[k], k) for k in ("E", "U", "b", "V", "c")]

    def step(row: Any, h: Any, cell: Any) -> list[Any]:
        z = e[row] + pt.dot(h, u) + b
        i, f, g, o = (z[:, k * n:(k + 1) * n] for k in range(4))
        cell = pt.sigmoid(f) * cell + pt.sigmoid(i) * pt.tanh(g)
        return [pt.sigmoid(o) * pt.tanh(cell), cell]

    zeros = pt.zeros((x.shape[1], n), "float32")
    hs, _ = pytensor.scan(step, x, [zeros, zeros], return_updates=False)
    z = pt.dot(hs.reshape((-1, n)), v) + c
    loss = -pt.special.log_softmax(z, axis=1)[pt.arange(z.shape[0]), y.flatten()].mean()
    return training([x, y], loss, adam(weights, loss), weights, [a["x"], a["y"]])


def gru(a: Arrays) -> Ready:
    """Train a stack of GRUs by gradient descent; the result is the loss before the step."""
    xs, y = variables(a, ("xs", "y"))
    n, hs, weights = GRU["hidden"], xs, []
    for k in range(GRU["layers"]):
        w, u, b = (pytensor.shared(a[f"{c}{k}"], f"{c}{k}") for c in "WUb")

        def step(x: Any, h: Any, w: Any = w, u: Any = u, b: Any = b) -> Any:
            i, s = pt.dot(x, w) + b, pt.dot(h, u)
            z, r = pt.sigmoid(i[:, :n] + s[:, :n]), pt.sigmoid(i[:, n:2 * n] + s[:, n:2 * n])
            return z * h + (np.float32(1) - z) * pt.tanh(i[:, 2 * n:] + r * s[:, 2 * n:])

        hs = pytensor.scan(step, hs, pt.zeros((xs.shape[1], n), "float32"), return_updates=False)
        weights += [w, u, b]
    loss = ((hs[-1] - y) ** 2).mean()
    f = pytensor.function([xs, y], loss, updates=descent(weights, loss), trust_input=True)
    return (lambda: f(a["xs"], a["y"])), (lambda: [f(a["xs"], a["y"])])


def hessian(a: Arrays) -> Ready:
    """Compute the hessian of a logistic regression."""
    x, y, w = variables(a, ("x", "y", "w"))
    z = pt.dot(x, w)
    loss = (pt.softplus(z) - y * z).mean()
    return results([x, w, y], [jacobian(pytensor.grad(loss, w), w, vectorize=True)], [a["x"], a["w"], a["y"]])


def tanh_jacobian(a: Arrays) -> Ready:
    """Compute a jacobian."""
    m, x = variables(a, ("a", "x"))
    return results([m, x], [jacobian(pt.tanh(pt.dot(m, x)), x, vectorize=True)], [a["a"], a["x"]])


def product(a: Arrays) -> Ready:
    """Multiply the hessian of a network's loss with a direction."""
    n = 2 * (len(MLP) - 1)
    x, y = variables(a, ("x", "y"))
    ws, vs = (variables(a, [f"{c}{k}" for k in range(n)]) for c in "wv")
    h = x
    for k in range(0, n, 2):
        h = pt.dot(h, ws[k]) + ws[k + 1]
        h = pt.tanh(h) if k < n - 2 else h
    loss = -pt.special.log_softmax(h, axis=1)[pt.arange(h.shape[0]), y].mean()
    return results([x, y, *ws, *vs], hessian_vector_product(loss, ws, vs), list(a.values()))


def prepare(name: str, a: Arrays) -> Ready:
    """Return a function that does the work once, and one that returns its results."""
    if name.startswith("logistic map"):
        gradient = name.endswith("gradient")
        return logistic_map(a, MAP_GRADIENT_STEPS if gradient else MAP_STEPS, gradient)
    return {"rnn": rnn, "lstm": lstm, "gru": gru, "hessian": hessian, "jacobian": tanh_jacobian,
            "hessian-vector product": product}[name](a)
