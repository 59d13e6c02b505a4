"""Loops and derivatives by PyTorch: its own recurrent modules, fused optimisers, `torch.func` for derivatives."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from programs import ADAM, GRU, LSTM, MAP_GRADIENT_STEPS, MAP_STEPS, MLP, RATE, RNN, Arrays
from torch import func, nn
from torch.nn import functional

Ready = tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]


def orbit(r: Any, x: Any, steps: int) -> Any:
    """Return all values of the logistic map: a loop in Python, since PyTorch has no other."""
    out = []
    for _ in range(steps):
        x = r * x * (1 - x)
        out.append(x)
    return torch.stack(out)


def orbit_gradient(r: Any, x: Any) -> Any:
    """Return the gradient of the sum of all values."""
    r, x = r.clone().requires_grad_(), x.clone().requires_grad_()
    return torch.autograd.grad(orbit(r, x, MAP_GRADIENT_STEPS).sum(), (r, x))


def filled(parameters: Any, values: list[np.ndarray]) -> None:
    """Copy values, transposed where they are matrices, into the parameters of a module."""
    with torch.no_grad():
        for p, v in zip(parameters, values, strict=True):
            p.copy_(torch.from_numpy(np.ascontiguousarray(v.T)))


def rnn(a: Arrays) -> Ready:
    """Train `nn.RNN` by gradient descent; its second bias stays zero."""
    net, v = nn.RNN(RNN["inputs"], RNN["hidden"]), torch.from_numpy(a["V"]).clone().requires_grad_()
    filled(net.parameters(), [a["W"], a["U"], a["b"], np.zeros_like(a["b"])])
    net.bias_hh_l0.requires_grad_(False)
    w, u, b, _ = net.parameters()
    optimiser = torch.optim.SGD([w, u, b, v], lr=RATE, fused=True)
    xs, y = torch.from_numpy(a["xs"]), torch.from_numpy(a["y"])

    def run() -> Any:
        loss = functional.mse_loss(net(xs)[0] @ v, y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss

    return run, (lambda: (run(), [w.detach().T.numpy(), u.detach().T.numpy(), b.detach().numpy(), v.detach().numpy()])[1])


def lstm(a: Arrays) -> Ready:
    """Train `nn.LSTM` by Adam, characters as unit vectors; its second bias stays zero."""
    k, n = LSTM["vocabulary"], LSTM["hidden"]
    net, out = nn.LSTM(k, n), nn.Linear(n, k)
    filled(net.parameters(), [a["E"], a["U"], a["b"], np.zeros_like(a["b"])])
    filled(out.parameters(), [a["V"], a["c"]])
    net.bias_hh_l0.requires_grad_(False)
    e, u, b, _ = net.parameters()
    optimiser = torch.optim.Adam([e, u, b, *out.parameters()], lr=ADAM["rate"], betas=(ADAM["beta1"], ADAM["beta2"]),
                                 eps=ADAM["epsilon"], fused=True)
    x, y, units = torch.from_numpy(a["x"]), torch.from_numpy(a["y"]).reshape(-1), torch.eye(k)

    def run() -> Any:
        loss = functional.cross_entropy(out(net(units[x])[0]).reshape(-1, k), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss

    return run, (lambda: (run(), [p.detach().T.numpy() for p in (e, u, b, *out.parameters())])[1])


def gru(a: Arrays) -> Ready:
    """Train `nn.GRU` by gradient descent; the result is the loss before the step."""
    n = GRU["hidden"]
    order = [1, 0, 2]  # its gates are r, z, n
    net = nn.GRU(n, n, GRU["layers"])
    for k in range(GRU["layers"]):
        w, u, b = ([a[f"{c}{k}"][..., g * n:(g + 1) * n] for g in order] for c in "WUb")
        parameters = [getattr(net, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        filled(parameters, [*(np.concatenate(p, axis=-1) for p in (w, u, b)), np.zeros(3 * n, "float32")])
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE, fused=True)
    xs, y = torch.from_numpy(a["xs"]), torch.from_numpy(a["y"])

    def run() -> Any:
        loss = functional.mse_loss(net(xs)[0][-1], y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss

    return run, (lambda: [run().detach().numpy()])


def regression(w: Any, x: Any, y: Any) -> Any:
    """Return the mean loss of a logistic regression."""
    z = x @ w
    return (functional.softplus(z) - y * z).mean()


def network(weights: Any, x: Any, y: Any) -> Any:
    """Return the loss of a tanh network."""
    h = x
    for k in range(0, len(weights), 2):
        h = torch.addmm(weights[k + 1], h, weights[k])
        h = torch.tanh(h) if k < len(weights) - 2 else h
    return functional.cross_entropy(h, y)


def product(a: dict[str, Any]) -> Any:
    """Return the product of the hessian with a direction: reverse twice, which is faster here than forward over reverse."""
    n = 2 * (len(MLP) - 1)
    weights = [a[f"w{k}"].clone().requires_grad_() for k in range(n)]
    gradients = torch.autograd.grad(network(weights, a["x"], a["y"]), weights, create_graph=True)
    return torch.autograd.grad(gradients, weights, [a[f"v{k}"] for k in range(n)])


def prepare(name: str, a: Arrays) -> Ready:
    """Return a function that does the work once, and one that returns its results."""
    if name in ("rnn", "lstm", "gru"):
        return {"rnn": rnn, "lstm": lstm, "gru": gru}[name](a)
    t = {k: torch.as_tensor(v) for k, v in a.items()}
    simple: dict[str, Callable[[], Any]] = {
        "logistic map": lambda: orbit(t["r"], t["x"], MAP_STEPS),
        "logistic map, gradient": lambda: orbit_gradient(t["r"], t["x"]),
        "hessian": lambda: func.hessian(regression)(t["w"], t["x"], t["y"]),
        "jacobian": lambda: func.jacrev(lambda x: torch.tanh(t["a"] @ x))(t["x"]),
        "hessian-vector product": lambda: product(t)}
    run = simple[name]

    def found() -> list[np.ndarray]:
        r = run()
        return [v.detach().numpy() for v in (r if isinstance(r, tuple) else (r,))]

    return run, found
