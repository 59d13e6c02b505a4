"""PyTorch, eager, without gradient tracking where none is needed."""
from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from cases import RATE, Case

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


def conv(x: Any, w: Any) -> Any:
    """Return the correlation of images with filters, which keeps their size."""
    return torch.nn.functional.conv2d(x, w, padding=1)


def conv_grads(x: Any, w: Any, u: Any) -> Any:
    """Return its gradients in images and filters."""
    return torch.ops.aten.convolution_backward(u, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])[:2]


m = SimpleNamespace(conv=conv, conv_grads=conv_grads,
                    exp=torch.exp, tanh=torch.tanh, sqrt=torch.sqrt, log=torch.log, sin=torch.sin, cos=torch.cos,
                    var=lambda x, axis: torch.var(x, axis, correction=0),
                    logsumexp=lambda x: torch.logsumexp(x, 1))


def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return an expression or a loss as it is run: eager here; the peer `inductor` puts ``torch.compile`` in this place."""
    return f


def describe() -> str:
    """Return version and BLAS."""
    blas = [s.strip(" -") for s in torch.__config__.show().splitlines() if "Math Kernel" in s or "BLAS" in s]
    return f"PyTorch {torch.__version__} eager, {torch.get_num_threads()} threads, BLAS {blas[0][:60] if blas else 'unknown'}"


def prepare(case: Case) -> tuple[Callable[[], Any], Callable[[], list[np.ndarray]]]:
    """Return a function that does the work once, and one that returns the state or results after it."""
    inputs = [torch.from_numpy(a) for a in case.inputs()]
    # its better format for convolutions
    inputs = [v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in inputs]
    if case.kind == "expression":
        assert case.body is not None
        body = compiled(partial(case.body, m))

        @torch.inference_mode()
        def run() -> Any:
            return body(*inputs)

        return run, (lambda: [r.numpy() for r in run()])
    x, y = inputs
    if case.kind == "softmax":
        x.requires_grad_()

        loss_of = compiled(torch.nn.functional.cross_entropy)

        def both() -> Any:
            loss = loss_of(x, y)
            return loss, *torch.autograd.grad(loss, x)

        return both, (lambda: [r.detach().numpy() for r in both()])
    weights = [torch.from_numpy(w).requires_grad_() for w in case.start()]
    optimizer = torch.optim.SGD(weights, lr=RATE, momentum=case.momentum)

    def network() -> Any:
        h = x
        for i in range(0, len(weights), 2):
            h = torch.addmm(weights[i + 1], h, weights[i])
            if i < len(weights) - 2:
                h = torch.relu(h)
        return torch.nn.functional.cross_entropy(h, y)

    loss_of = compiled(network)

    def step() -> Any:
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step, (lambda: [w.detach().numpy() for w in weights])
