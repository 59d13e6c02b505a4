"""Everyday work by PyTorch: sparse gradients for embeddings, fused optimisers; losses through `peer_torch.compiled`, which
leaves them as they are, or compiles them for the peer `inductor`.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import peer_torch
import torch
from programs import ADAM, Arrays
from torch.nn import functional
from workloads import CHAIN, DEEP, DOTS, KEEP, RANDOM, RATE, RESIDUAL, in_order, moments

Ready = tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]


def trained(loss: Callable[[], Any], weights: list[Any], optimiser: Any) -> Ready:
    """Return a training step and the weights after it."""
    loss = peer_torch.compiled(loss)

    def run() -> Any:
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        return value

    return run, (lambda: (run(), [w.detach().numpy() for w in weights])[1])


def computed(function: Callable[..., Any], *inputs: Any) -> Ready:
    """Return a function of its inputs alone."""
    f = peer_torch.compiled(function)

    @torch.inference_mode()
    def run() -> Any:
        return f(*inputs)

    return run, (lambda: [run().numpy()])


def regression(t: dict[str, Any]) -> Ready:
    """Fit a logistic regression."""
    w, b = t["w"].clone().requires_grad_(), t["b"].clone().requires_grad_()

    def loss() -> Any:
        return functional.binary_cross_entropy_with_logits(t["x"] @ w + b, t["y"]) + 0.01 * (w ** 2).sum()

    return trained(loss, [w, b], torch.optim.SGD([w, b], lr=RATE, fused=True))


def embedding(t: dict[str, Any], name: str) -> Ready:
    """Read, add to, or train rows of a table."""
    if name == "gather":
        return computed(lambda e, i: functional.embedding(i, e), t["E"], t["i"])
    table = t["E"].clone()
    if name == "scatter":
        def run() -> None:
            table.index_add_(0, t["i"], t["y"])
        return run, (lambda: (run(), [table.numpy()])[1])
    table.requires_grad_()

    def loss() -> Any:
        return 0.5 * ((functional.embedding(t["i"], table, sparse=True) - t["y"]) ** 2).sum()

    return trained(loss, [table], torch.optim.SGD([table], lr=RATE))


def repeated(x: Any, *factors: Any) -> Any:
    """Return the product of all, from the left."""
    for w in factors:
        x = x @ w
    return x


def network(a: Arrays, t: dict[str, Any], name: str) -> Ready:
    """Train a deep network."""
    weights = [torch.from_numpy(w).clone().requires_grad_() for w in in_order(a)]
    layers = (RESIDUAL if name == "residual" else DEEP)["layers"]

    def loss() -> Any:
        h = t["x"]
        for k in range(layers):
            z = torch.addmm(weights[2 * k + 1], h, weights[2 * k])
            h = h + torch.relu(z) if name == "residual" else torch.relu(z) if k < layers - 1 else z
        return functional.mse_loss(h, t["y"])

    if name == "residual":
        return trained(loss, weights, torch.optim.Adam(weights, lr=ADAM["rate"], betas=(ADAM["beta1"], ADAM["beta2"]),
                                                       eps=ADAM["epsilon"], fused=True))
    return trained(loss, weights, torch.optim.SGD(weights, lr=RATE, fused=True))


def lenet(a: Arrays, t: dict[str, Any]) -> Ready:
    """Train two convolutions with pooling, and two dense layers; in its better memory format."""
    weights = [torch.from_numpy(w).clone().requires_grad_() for w in in_order(a)]
    x = t["x"].contiguous(memory_format=torch.channels_last)

    def loss() -> Any:
        h = x
        for k in range(2):
            h = torch.relu(functional.max_pool2d(functional.conv2d(h, weights[2 * k], weights[2 * k + 1]), 2))
        h = torch.relu(torch.addmm(weights[5], h.flatten(1), weights[4]))
        return functional.cross_entropy(torch.addmm(weights[7], h, weights[6]), t["y"])

    return trained(loss, weights, torch.optim.SGD(weights, lr=RATE, fused=True))


def prepare(name: str, a: Arrays) -> Ready:
    """Return a function that does the work once, and one that returns its results."""
    t = {k: torch.from_numpy(np.asarray(v)) for k, v in a.items()}
    if name == "regression":
        return regression(t)
    if name in ("gather", "scatter", "embedding step"):
        return embedding(t, name)
    if name in ("normal", "dropout"):
        run, _ = (computed(lambda: torch.randn(RANDOM)) if name == "normal"
                  else computed(lambda x: functional.dropout(x, 1 - KEEP, training=True), t["x"]))
        return run, (lambda: moments(run().numpy()))
    if name == "affine":
        return computed(lambda m, n, c: torch.addmm(c, m, n, beta=0.5, alpha=2.0), t["a"], t["b"], t["c"])
    if name == "dots":
        return computed(lambda m, n: repeated(m, *[n] * DOTS), t["a"], t["b"])
    if name == "chain":
        return computed(repeated, t["x"], *(t[f"w{k}"] for k in range(CHAIN)))
    return lenet(a, t) if name == "lenet" else network(a, t, name)
