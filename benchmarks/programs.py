"""Programs of loops and derivatives: their sizes and inputs, and what NumPy says of them. Each peer writes them its own way."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
MAP_STEPS, MAP_GRADIENT_STEPS = 1_000_000, 100_000
RNN = {"steps": 200, "batch": 32, "hidden": 128, "inputs": 128}
LSTM = {"steps": 64, "batch": 32, "hidden": 256, "vocabulary": 96}
RATE = 0.01
ADAM = {"rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
GRU = {"layers": 8, "steps": 32, "batch": 16, "hidden": 64}
MLP = (64, 400, 160, 10)  # 91,770 weights


def weights(*shapes: tuple[int, ...], dtype: str = "float32") -> list[np.ndarray]:
    """Return random weights, the same in every process."""
    rng = np.random.default_rng(1)
    return [(rng.normal(size=s) / np.sqrt(s[0])).astype(dtype) for s in shapes]


def map_inputs() -> Arrays:
    """Return the rate and the start of the logistic map."""
    return {"r": np.float64(3.7), "x": np.float64(0.3)}  # type: ignore[dict-item]


def rnn_inputs() -> Arrays:
    """Return a batch of sequences and targets, W, U, b and V."""
    rng = np.random.default_rng(0)
    t, n, h, k = (RNN[key] for key in ("steps", "batch", "hidden", "inputs"))
    w, u, v = weights((k, h), (h, h), (h, 10))
    return {"xs": rng.normal(size=(t, n, k)).astype("float32"), "y": rng.normal(size=(t, n, 10)).astype("float32"),
            "W": w, "U": u, "b": np.zeros(h, "float32"), "V": v}


def lstm_inputs() -> Arrays:
    """Return characters, those that follow, the embedding E, U, b, and the output's V and c; gates are i, f, g, o."""
    rng = np.random.default_rng(0)
    t, n, h, k = (LSTM[key] for key in ("steps", "batch", "hidden", "vocabulary"))
    text = rng.integers(0, k, size=(t + 1, n))
    e, u, v = weights((k, 4 * h), (h, 4 * h), (h, k))
    return {"x": text[:-1], "y": text[1:], "E": e, "U": u, "b": np.zeros(4 * h, "float32"), "V": v, "c": np.zeros(k, "float32")}


def regression_inputs() -> Arrays:
    """Return 1,000 samples of 200 features, labels, and the weights of a logistic regression."""
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(1000, 200)),
            "y": (rng.random(1000) < 0.5).astype("float64"), "w": rng.normal(size=200) * 0.1}


def jacobian_inputs() -> Arrays:
    """Return a 300 by 300 matrix and a vector."""
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(300, 300)) / 17, "x": rng.normal(size=300)}


def mlp_inputs() -> Arrays:
    """Return a batch, labels, the weights of a network, and a direction among them."""
    rng = np.random.default_rng(0)
    shapes = [s for n, m in zip(MLP, MLP[1:], strict=False) for s in ((n, m), (m,))]
    found = {"x": rng.normal(size=(128, MLP[0])).astype("float32"), "y": rng.integers(0, MLP[-1], size=128)}
    found |= {f"w{k}": w for k, w in enumerate(weights(*shapes))}
    return found | {f"v{k}": rng.normal(size=s).astype("float32") for k, s in enumerate(shapes)}


def gru_inputs() -> Arrays:
    """Return a batch of sequences and targets, and W, U and b of each layer; gates are z, r, n."""
    rng = np.random.default_rng(0)
    t, n, h = (GRU[key] for key in ("steps", "batch", "hidden"))
    found = {"xs": rng.normal(size=(t, n, h)).astype("float32"), "y": rng.normal(size=(n, h)).astype("float32")}
    for k in range(GRU["layers"]):
        found[f"W{k}"], found[f"U{k}"] = weights((h, 3 * h), (h, 3 * h))
        found[f"b{k}"] = np.zeros(3 * h, "float32")
    return found


def map_values(a: Arrays) -> list[np.ndarray]:
    """Return all values of the map."""
    out = np.empty(MAP_STEPS)
    r, x = float(a["r"]), float(a["x"])
    for t in range(MAP_STEPS):
        x = r * x * (1 - x)
        out[t] = x
    return [out]


def stable_map_inputs() -> Arrays:
    """Return a rate at which the map settles: elsewhere its gradient over many steps is astronomical."""
    return {"r": np.float64(2.9), "x": np.float64(0.3)}  # type: ignore[dict-item]


def map_gradient(a: Arrays) -> list[np.ndarray]:
    """Return the gradient of the sum of all values with respect to r and x, by the chain rule forwards."""
    r, x = float(a["r"]), float(a["x"])
    by_r, by_x, sums = 0.0, 1.0, [0.0, 0.0]
    for _ in range(MAP_GRADIENT_STEPS):
        slope = r * (1 - 2 * x)
        by_r, by_x = x * (1 - x) + slope * by_r, slope * by_x
        x = r * x * (1 - x)
        sums = [sums[0] + by_r, sums[1] + by_x]
    return [np.asarray(s) for s in sums]


def gru_loss(a: Arrays) -> list[np.ndarray]:
    """Return the loss of the stacked network; float64 throughout."""
    hs = a["xs"].astype("float64")
    for k in range(GRU["layers"]):
        w, u, b = (a[f"{c}{k}"].astype("float64") for c in "WUb")
        h, out = np.zeros_like(hs[0]), []
        for x in hs:
            i, s = np.split(x @ w + b, 3, axis=1), np.split(h @ u, 3, axis=1)
            z, r = sigmoid(i[0] + s[0]), sigmoid(i[1] + s[1])
            h = z * h + (1 - z) * np.tanh(i[2] + r * s[2])
            out.append(h)
        hs = np.stack(out)
    return [((hs[-1] - a["y"]) ** 2).mean()]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def rnn_step(a: Arrays) -> list[np.ndarray]:
    """Return W, U, b, V after one step of gradient descent on all steps' outputs; float64 throughout.

    (On the last output alone, gradients would vanish into denormal numbers, which JAX takes for zero; others are slow with them.)
    """
    xs, y, w, u, b, v = (a[k].astype("float64") for k in ("xs", "y", "W", "U", "b", "V"))
    hs = [np.zeros((xs.shape[1], u.shape[0]))]
    for x in xs:
        hs.append(np.tanh(x @ w + hs[-1] @ u + b))
    g = 2 * (np.stack(hs[1:]) @ v - y) / y.size
    gw, gu, gb, gv = np.zeros_like(w), np.zeros_like(u), np.zeros_like(b), np.zeros_like(v)
    gh = np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        gv += hs[t + 1].T @ g[t]
        gz = (gh + g[t] @ v.T) * (1 - hs[t + 1] ** 2)
        gw += xs[t].T @ gz
        gu += hs[t].T @ gz
        gb += gz.sum(0)
        gh = gz @ u.T
    return [w - RATE * gw, u - RATE * gu, b - RATE * gb, v - RATE * gv]


def lstm_step(a: Arrays) -> list[np.ndarray]:
    """Return E, U, b, V, c after one step of Adam, whose moments are then g and g²; float64 throughout."""
    x, y = a["x"], a["y"]
    e, u, b, v, c = (a[k].astype("float64") for k in ("E", "U", "b", "V", "c"))
    n = u.shape[0]
    hs, cs, gates = [np.zeros((x.shape[1], n))], [np.zeros((x.shape[1], n))], []
    for row in x:
        i, f, g, o = np.split(e[row] + hs[-1] @ u + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        cs.append(f * cs[-1] + i * g)
        hs.append(o * np.tanh(cs[-1]))
        gates.append((i, f, g, o))
    ge, gu, gb, gv, gc = (np.zeros_like(p) for p in (e, u, b, v, c))
    dh, dc = np.zeros_like(hs[0]), np.zeros_like(cs[0])
    for t in reversed(range(len(x))):
        z = hs[t + 1] @ v + c
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(p)), y[t]] -= 1
        p /= x.size
        gv += hs[t + 1].T @ p
        gc += p.sum(0)
        dh = dh + p @ v.T
        i, f, g, o = gates[t]
        th = np.tanh(cs[t + 1])
        dc = dc + dh * o * (1 - th**2)
        dz = np.concatenate([dc * g * i * (1 - i), dc * cs[t] * f * (1 - f), dc * i * (1 - g**2), dh * th * o * (1 - o)], axis=1)
        np.add.at(ge, x[t], dz)
        gu += hs[t].T @ dz
        gb += dz.sum(0)
        dh, dc = dz @ u.T, dc * f
    return [p - ADAM["rate"] * g / (np.abs(g) + ADAM["epsilon"])
            for p, g in zip((e, u, b, v, c), (ge, gu, gb, gv, gc), strict=True)]


def regression_hessian(a: Arrays) -> list[np.ndarray]:
    """Return the hessian of the mean logistic loss: xᵀ diag(p(1-p)) x / n."""
    p = sigmoid(a["x"] @ a["w"])
    return [(a["x"].T * (p * (1 - p))) @ a["x"] / len(a["x"])]


def tanh_jacobian(a: Arrays) -> list[np.ndarray]:
    """Return the jacobian of tanh(a x): diag(1 - tanh²) a."""
    y = np.tanh(a["a"] @ a["x"])
    return [(1 - y * y)[:, None] * a["a"]]


def mlp_product(a: Arrays) -> list[np.ndarray]:
    """Return the product of the hessian and the direction, by the R-operator written out; float64 throughout."""
    n = len(MLP) - 1
    ws, vs = ([a[f"{c}{k}"].astype("float64") for k in range(2 * n)] for c in "wv")
    hs, rs = [a["x"].astype("float64")], [np.zeros_like(a["x"], "float64")]
    for k in range(n):
        z = hs[k] @ ws[2 * k] + ws[2 * k + 1]
        rz = rs[k] @ ws[2 * k] + hs[k] @ vs[2 * k] + vs[2 * k + 1]
        hs.append(np.tanh(z) if k < n - 1 else z)
        rs.append((1 - hs[-1] ** 2) * rz if k < n - 1 else rz)
    p = np.exp(hs[-1] - hs[-1].max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rp = p * (rs[-1] - (p * rs[-1]).sum(1, keepdims=True))
    g = p.copy()
    g[np.arange(len(p)), a["y"]] -= 1
    g, rg, out = g / len(p), rp / len(p), []
    for k in reversed(range(n)):
        if k < n - 1:
            s, rs_ = 1 - hs[k + 1] ** 2, -2 * hs[k + 1] * rs[k + 1]
            g, rg = g * s, rg * s + g * rs_
        out = [rs[k].T @ g + hs[k].T @ rg, rg.sum(0), *out]
        g, rg = g @ ws[2 * k].T, rg @ ws[2 * k].T + g @ vs[2 * k].T
    return out


#: name of a program: its inputs, what NumPy says, and how far results may be from it
PROGRAMS: dict[str, tuple[Callable[[], Arrays], Callable[[Arrays], list[Any]], float]] = {
    "logistic map": (map_inputs, map_values, 0.0),
    "logistic map, gradient": (stable_map_inputs, map_gradient, 1e-9),
    "gru": (gru_inputs, gru_loss, 1e-4),
    "rnn": (rnn_inputs, rnn_step, 1e-3),
    "lstm": (lstm_inputs, lstm_step, 1e-2),
    "hessian": (regression_inputs, regression_hessian, 1e-9),
    "jacobian": (jacobian_inputs, tanh_jacobian, 1e-9),
    "hessian-vector product": (mlp_inputs, mlp_product, 1e-3),
}
