"""Everyday work beside networks' steps: regression, embeddings, random numbers, chains of products, deep networks. What each
takes, and what NumPy says of it; every peer writes it in its own `workloads_<peer>.py`.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from programs import ADAM, Arrays, weights

TABLE, ROWS = (50_000, 128), 1024
RANDOM = (1000, 1000)
KEEP = 0.5
CHAIN, CHAIN_SIZE = 6, 512
DOTS = 20
DEEP = {"layers": 20, "batch": 4096, "width": 1024}
RESIDUAL = {"layers": 50, "batch": 32, "width": 64}
LENET = {"batch": 128, "image": 28, "filters": (20, 50), "size": 5, "hidden": 500, "classes": 10}
RATE = 0.1


def regression_inputs() -> Arrays:
    """Return 600 samples of 784 features, labels, and the weights: the example of Theano's tutorial."""
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(600, 784)).astype("float32"), "y": rng.integers(0, 2, size=600).astype("float32"),
            "w": (rng.normal(size=784) * 0.03).astype("float32"), "b": np.zeros((), "float32")}


def regression(a: Arrays) -> list[Any]:
    """Return w and b after one step of gradient descent on the mean cross-entropy + 0.01 sum(w²)."""
    x, y, w, b = (a[k].astype("float64") for k in ("x", "y", "w", "b"))
    g = (1 / (1 + np.exp(-(x @ w + b))) - y) / len(y)
    return [w - RATE * (x.T @ g + 0.02 * w), b - RATE * g.sum()]


def embedding_inputs() -> Arrays:
    """Return a table, indices among which some repeat, and a row of target for each."""
    rng = np.random.default_rng(0)
    return {"E": rng.normal(size=TABLE).astype("float32"), "i": rng.integers(0, TABLE[0], size=ROWS),
            "y": rng.normal(size=(ROWS, TABLE[1])).astype("float32")}


def gather(a: Arrays) -> list[Any]:
    """Return the rows of some indices."""
    return [a["E"][a["i"]]]


def scatter(a: Arrays) -> list[Any]:
    """Return the table after rows were added to rows of it."""
    out = a["E"].copy()
    np.add.at(out, a["i"], a["y"])
    return [out]


def embedding_step(a: Arrays) -> list[Any]:
    """Return the table after one step of gradient descent on half the sum of squared distances."""
    out = a["E"].copy()
    np.subtract.at(out, a["i"], np.float32(RATE) * (a["E"][a["i"]] - a["y"]))
    return [out]


def random_inputs() -> Arrays:
    """Return a matrix, for what is drawn takes its shape."""
    return {"x": np.random.default_rng(0).normal(size=RANDOM).astype("float32")}


def moments(z: np.ndarray) -> list[Any]:
    """Return what can be compared of two different samples."""
    return [np.asarray(1 + z.mean(dtype="float64")), np.asarray(z.std(dtype="float64")), np.asarray((z > 1).mean())]


def chain_inputs() -> Arrays:
    """Return a matrix and those it is multiplied with."""
    ws = weights(*[(CHAIN_SIZE, CHAIN_SIZE)] * (CHAIN + 1))
    return {"x": ws[0]} | {f"w{k}": w for k, w in enumerate(ws[1:])}


def chain(a: Arrays) -> list[Any]:
    """Return the product of all of them, from the left."""
    out = a["x"]
    for k in range(CHAIN):
        out = out @ a[f"w{k}"]
    return [out]


def affine_inputs() -> Arrays:
    """Return three square matrices."""
    a, b, c = weights(*[(CHAIN_SIZE, CHAIN_SIZE)] * 3)
    return {"a": a, "b": b, "c": c}


def affine(a: Arrays) -> list[Any]:
    """Return 0.5 C + 2 A B."""
    return [np.float32(0.5) * a["c"] + np.float32(2) * (a["a"] @ a["b"])]


def dots_inputs() -> Arrays:
    """Return two 8 by 8 matrices."""
    a, b = weights((8, 8), (8, 8))
    return {"a": a, "b": b}


def dots(a: Arrays) -> list[Any]:
    """Return a b b ... b, from the left."""
    out = a["a"]
    for _ in range(DOTS):
        out = out @ a["b"]
    return [out]


def deep_inputs() -> Arrays:
    """Return a batch, targets, and the weights of a deep ReLU network."""
    n, size = DEEP["layers"], (DEEP["batch"], DEEP["width"])
    rng = np.random.default_rng(0)
    found = {"x": rng.normal(size=size).astype("float32"), "y": rng.normal(size=size).astype("float32")}
    for k, w in enumerate(weights(*[(size[1], size[1])] * n)):
        found |= {f"w{k}": w, f"b{k}": np.zeros(size[1], "float32")}
    return found


def deep(a: Arrays) -> list[Any]:
    """Return the weights after one step of gradient descent on the mean square; in the precision of the others, as a peer."""
    n, hs = DEEP["layers"], [a["x"]]
    for k in range(n):
        z = hs[-1] @ a[f"w{k}"]
        z += a[f"b{k}"]
        hs.append(np.maximum(z, 0, out=z) if k < n - 1 else z)
    g = hs.pop()
    g -= a["y"]
    g *= np.float32(2 / g.size)
    out: list[np.ndarray] = []
    for k in reversed(range(n)):
        h = hs.pop()
        out = [a[f"w{k}"] - np.float32(RATE) * (h.T @ g), a[f"b{k}"] - np.float32(RATE) * g.sum(0), *out]
        if k:
            g = g @ a[f"w{k}"].T
            g *= h > 0
    return out


def residual_inputs() -> Arrays:
    """Return a batch, targets, and the weights of a network of many residual layers."""
    n, size = RESIDUAL["layers"], (RESIDUAL["batch"], RESIDUAL["width"])
    rng = np.random.default_rng(0)
    found = {"x": rng.normal(size=size).astype("float32"), "y": rng.normal(size=size).astype("float32")}
    for k, w in enumerate(weights(*[(size[1], size[1])] * n)):
        found |= {f"w{k}": 0.1 * w, f"b{k}": np.zeros(size[1], "float32")}
    return {k: v.astype("float32") for k, v in found.items()}


def residual(a: Arrays) -> list[Any]:
    """Return the weights after one step of Adam on the mean square of h + relu(h W + b), layer after layer; float64."""
    n = RESIDUAL["layers"]
    hs, live = [a["x"].astype("float64")], []
    for k in range(n):
        z = hs[-1] @ a[f"w{k}"] + a[f"b{k}"]
        live.append(z > 0)
        hs.append(hs[-1] + np.maximum(z, 0))
    g, out = 2 * (hs.pop() - a["y"]) / a["y"].size, []
    for k in reversed(range(n)):
        gz = g * live[k]
        for name, d in ((f"b{k}", gz.sum(0)), (f"w{k}", hs.pop().T @ gz)):
            out.insert(0, a[name] - ADAM["rate"] * d / (np.abs(d) + ADAM["epsilon"]))
        g = g + gz @ a[f"w{k}"].T
    return out


def lenet_inputs() -> Arrays:
    """Return images, classes, and weights of two convolutions, each with pooling, and two dense layers."""
    rng = np.random.default_rng(0)
    size, (few, many), side = LENET["size"], LENET["filters"], LENET["image"]
    left = ((side - size + 1) // 2 - size + 1) // 2
    shapes = [(few, 1, size, size), (many, few, size, size), (many * left * left, LENET["hidden"]),
              (LENET["hidden"], LENET["classes"])]
    found = {"x": rng.normal(size=(LENET["batch"], 1, side, side)).astype("float32"),
             "y": rng.integers(0, LENET["classes"], LENET["batch"])}
    for k, s in enumerate(shapes):
        found[f"w{k}"] = (rng.normal(size=s) / np.sqrt(np.prod(s[1:] if len(s) > 2 else s[:1]))).astype("float32")
        found[f"b{k}"] = np.zeros(s[0] if len(s) > 2 else s[1], "float32")
    return found


def lenet(a: Arrays) -> list[Any]:
    """Return the weights after one step of gradient descent on the cross-entropy; float64."""
    w, b = ([a[f"{c}{k}"].astype("float64") for k in range(4)] for c in "wb")
    size, windows = LENET["size"], np.lib.stride_tricks.sliding_window_view
    h, kept = a["x"].astype("float64"), []
    for k in range(2):
        seen = windows(h, (size, size), (2, 3))
        z = np.tensordot(seen, w[k], ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + b[k][:, None, None]
        n, c, rows, columns = z.shape
        blocks = z.reshape(n, c, rows // 2, 2, columns // 2, 2).transpose(0, 1, 2, 4, 3, 5)
        blocks = blocks.reshape(n, c, rows // 2, columns // 2, 4)
        best = blocks.argmax(-1)[..., None]
        below = h
        h = np.maximum(np.take_along_axis(blocks, best, -1)[..., 0], 0)
        kept.append((seen, best, z.shape, below))
    flat = h.reshape(len(h), -1)
    hidden = np.maximum(flat @ w[2] + b[2], 0)
    logits = hidden @ w[3] + b[3]
    g = np.exp(logits - logits.max(1, keepdims=True))
    g = (g / g.sum(1, keepdims=True) - np.eye(LENET["classes"])[a["y"]]) / len(g)
    dw, db = [hidden.T @ g], [g.sum(0)]
    g = g @ w[3].T * (hidden > 0)
    dw, db = [flat.T @ g, *dw], [g.sum(0), *db]
    g = (g @ w[2].T).reshape(h.shape) * (h > 0)
    for k in (1, 0):
        seen, best, shape, below = kept[k]
        spread = np.zeros((*g.shape, 4))
        np.put_along_axis(spread, best, g[..., None], -1)
        gz = spread.reshape(*g.shape, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(shape)
        dw.insert(0, np.tensordot(gz, seen, ([0, 2, 3], [0, 2, 3])))
        db.insert(0, gz.sum((0, 2, 3)))
        if k:
            full = windows(np.pad(gz, [(0, 0), (0, 0), *[(size - 1, size - 1)] * 2]), (size, size), (2, 3))
            back = np.tensordot(full, w[k][:, :, ::-1, ::-1], ([1, 4, 5], [0, 2, 3])).transpose(0, 3, 1, 2)
            g = back * (below > 0)
    return [v - RATE * d for pair in zip(zip(w, dw, strict=True), zip(b, db, strict=True), strict=True) for v, d in pair]


def in_order(a: Arrays) -> list[np.ndarray]:
    """Return the weights w0, b0, w1, b1, ... of a network."""
    return [a[f"{c}{k}"] for k in range(len(a) // 2 - 1) for c in "wb"]


#: name: its inputs, what NumPy says, and how far results may be from it
WORKLOADS: dict[str, tuple[Callable[[], Arrays], Callable[[Arrays], list[Any]], float]] = {
    "regression": (regression_inputs, regression, 1e-3),
    "gather": (embedding_inputs, gather, 0.0),
    "scatter": (embedding_inputs, scatter, 1e-5),
    "embedding step": (embedding_inputs, embedding_step, 1e-5),
    "normal": (random_inputs, lambda a: moments(np.random.default_rng(1).standard_normal(RANDOM, "float32")), 0.02),
    "dropout": (random_inputs, lambda a: moments(a["x"] * (np.random.default_rng(1).random(RANDOM, "float32") < KEEP)
                                                 / np.float32(KEEP)), 0.02),
    "chain": (chain_inputs, chain, 1e-3),
    "affine": (affine_inputs, affine, 1e-4),
    "dots": (dots_inputs, dots, 1e-3),
    "deep": (deep_inputs, deep, 1e-3),
    "residual": (residual_inputs, residual, 1e-2),
    "lenet": (lenet_inputs, lenet, 1e-3),
}
