"""What is measured: expressions that every peer spells alike, and training steps that each peer writes its own way."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from programs import PROGRAMS
from workloads import WORKLOADS


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes
    ----------
    kind : {'expression', 'softmax', 'train', 'program'}
    name : str
    program : str
        Its name in `programs` or `workloads`.
    more : tuple of str
        Peers for this case alone.
    shapes : tuple of shapes
        Of the inputs of an expression.
    dtype : str
    body : callable
        ``body(m, *inputs)`` with `m` a namespace such as numpy gives the outputs.
    sizes, batch, momentum :
        Of a training step.
    base : bool
        Also time ``numpy.add(x, 1.0)`` in the same process.
    bytes : int
        What must be read and written at least, where that bounds the time.
    rtol : float
        How far results may be from NumPy's, in units of the largest element.
    """

    name: str
    kind: str = "expression"
    shapes: tuple[tuple[int, ...], ...] = ()
    dtype: str = "float32"
    body: Callable[..., Sequence[Any]] | None = None
    sizes: tuple[int, ...] = ()
    batch: int = 0
    momentum: float = 0.0
    base: bool = False
    rtol: float = 1e-5
    program: str = ""
    more: tuple[str, ...] = ()
    bytes: int = 0

    def inputs(self) -> list[np.ndarray]:
        """Return the inputs; for a training step, x and the labels."""
        rng = np.random.default_rng(0)
        if self.kind == "expression":
            return [rng.normal(size=s).astype(self.dtype) for s in self.shapes]
        rows, columns = self.shapes[0] if self.kind == "softmax" else (self.batch, self.sizes[0])
        classes = columns if self.kind == "softmax" else self.sizes[-1]
        return [rng.normal(size=(rows, columns)).astype("float32"), rng.integers(0, classes, size=rows)]

    def start(self) -> list[np.ndarray]:
        """Return W1, b1, W2, b2, ... at the start of training."""
        rng = np.random.default_rng(1)
        out = []
        for n, m in zip(self.sizes, self.sizes[1:], strict=False):
            out += [(rng.normal(size=(n, m)) * np.sqrt(2 / n)).astype("float32"), np.zeros(m, "float32")]
        return out


def sigmoid_tanh(m: Any, x: Any, y: Any) -> list[Any]:
    """Return 1/(1+exp(-x))*tanh(y)+x**2."""
    return [1 / (1 + m.exp(-x)) * m.tanh(y) + x**2]


def twenty(m: Any, x: Any, y: Any) -> list[Any]:
    """Return an expression of 20 operations: 14 of arithmetic and 6 functions."""
    a = m.exp(-(x * x)) + y  # neg, mul, exp, add
    b = m.tanh(a * 0.5) - x  # mul, tanh, sub
    c = m.sqrt(b * b + 1)  # mul, add, sqrt
    d = m.log(c + a * a)  # mul, add, log
    e = m.sin(d) * m.cos(y)  # sin, cos, mul
    return [(e + d) * c - a / c]  # add, mul, div, sub


def logsumexp(m: Any, x: Any) -> list[Any]:
    """Return the logarithm of the sums of exponentials of rows."""
    return [m.logsumexp(x)]


#: reductions, each by itself
BLOCK: dict[str, Callable[..., Sequence[Any]]] = {
    "sum axis 0": lambda m, x: [x.sum(axis=0)], "sum axis 1": lambda m, x: [x.sum(axis=1)],
    "mean": lambda m, x: [x.mean() + 1], "var": lambda m, x: [m.var(x, None)],
    "argmax axis 1": lambda m, x: [x.argmax(1)], "logsumexp axis 1": logsumexp,
    "all six at once": lambda m, x: [x.sum(axis=0), x.sum(axis=1), x.mean() + 1, m.var(x, None), x.argmax(1), m.logsumexp(x)]}
BIG, HUGE = (1_000_000,), (10_000_000,)
RATE = 0.01
MATRIX = ((4000, 2500),)
IMAGES, FILTERS = (8, 64, 56, 56), (64, 64, 3, 3)
ALL = [
    Case("call: x+1, 4 float64", shapes=((4,),), dtype="float64", body=lambda m, x: [x + 1.0], base=True),
    Case("call: 10 in, 10 out", shapes=((4,),) * 10, dtype="float64", body=lambda m, *xs: [x + 1.0 for x in xs], base=True),
    Case("elementwise 1e6", shapes=(BIG, BIG), body=sigmoid_tanh, bytes=12_000_000),
    Case("elementwise 1e7", shapes=(HUGE, HUGE), body=sigmoid_tanh, bytes=120_000_000),
    Case("20 operations 1e6", shapes=(BIG, BIG), body=twenty, rtol=1e-4),
    Case("sum all 1e7", shapes=MATRIX, bytes=40_000_000, body=lambda m, x: [x.sum()], rtol=1e-3),
    Case("sum axis 0", shapes=MATRIX, bytes=40_000_000, body=lambda m, x: [x.sum(axis=0)], rtol=1e-4),
    Case("sum axis 1", shapes=MATRIX, bytes=40_000_000, body=lambda m, x: [x.sum(axis=1)], rtol=1e-4),
    Case("max all 1e7", shapes=MATRIX, bytes=40_000_000, body=lambda m, x: [x.max()]),
    Case("mean and var axis 1", shapes=MATRIX, bytes=40_000_000, body=lambda m, x: [x.mean(axis=1), m.var(x, 1)], rtol=1e-4),
    Case("convolution 3x3, 64 to 64, 8 of 56x56", shapes=(IMAGES, FILTERS), body=lambda m, x, w: [m.conv(x, w)], rtol=1e-4),
    Case("both gradients of that convolution", shapes=(IMAGES, FILTERS, IMAGES), body=lambda m, x, w, u: m.conv_grads(x, w, u),
         rtol=1e-4),
    Case("softmax loss+grad 512x10000", "softmax", shapes=((512, 10000),), rtol=1e-4),
    Case("net 64-1000-100-10, batch 64", "train", sizes=(64, 1000, 100, 10), batch=64, rtol=1e-3),
    Case("net 784-512-512-10, batch 128, momentum", "train", sizes=(784, 512, 512, 10), batch=128, momentum=0.9, rtol=1e-3),
]
COMPILED = [ALL[0], ALL[-2], ALL[-1]]


def _program(name: str, program: str, *more: str, **options: Any) -> Case:
    return Case(name, "program", program=program, rtol=(PROGRAMS | WORKLOADS)[program][2], more=more, **options)


ALL += [
    _program("logistic map, 1e6 steps, all values", "logistic map", "c"),
    _program("logistic map, 1e5 steps, gradient", "logistic map, gradient"),
    _program("tanh RNN step (200 x 32 x 128)", "rnn"),
    _program("LSTM step with Adam (64 x 32 x 256, 96)", "lstm"),
    _program("hessian, logistic regression 1000 x 200", "hessian"),
    _program("jacobian of 300 outputs", "jacobian"),
    _program("hessian-vector product, MLP of 92k", "hessian-vector product"),
]
ALL += [
    *(Case(f"2000x3000: {name}", shapes=((2000, 3000),), body=body, rtol=1e-3, bytes=24_000_000) for name, body in BLOCK.items()),
    _program("logistic regression 600 x 784", "regression"),
    _program("embedding 50000 x 128: gather of 1024 rows", "gather"),
    _program("embedding: scatter", "scatter"),
    _program("embedding: SGD step", "embedding step"),
    _program("dropout 1e6", "dropout"),
    _program("normal 1e6", "normal"),
    _program("chain of 6 products of 512 x 512", "chain"),
    _program("0.5 C + 2 A B, 512 x 512", "affine"),
    _program("chain of twenty 8 x 8 dots", "dots"),
    _program("LeNet, batch 128", "lenet"),
    _program("residual MLP of 50 layers, Adam", "residual"),
]
COMPILED += [_program("GRU of 8 layers", "gru"), ALL[-1], ALL[-2]]
MEMORY = [c for c in ALL if c.name.startswith(("elementwise 1e7", "softmax", "net 784"))]
MEMORY.append(_program("MLP of 20 layers, 4096 x 1024", "deep"))


def named(name: str) -> Case:
    """Return a case by its name."""
    return next(c for c in [*ALL, *COMPILED, *MEMORY] if c.name == name)
