"""Random loops against a plain NumPy loop: values, gradients by differences, and Rop."""
from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.types import TensorType

PROGRAMS = 320
BATCHES = 16
TAPS = [(-1,), (-1,), (-1,), (-2, -1), (-1, -2), (-3, -1), (-2,)]
SEQUENCE_TAPS = [(0,), (0,), (0,), (-1, 0), (0, 2), (-1, 1)]
UNARY = ["tanh", "sin", "cos"]
ARITHMETIC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
BINARY = ["add", "sub", "mul", "maximum", "where"]


@dataclass
class Program:
    """A random loop: the numbers it starts from, and a step as a list of instructions over what it reads."""

    shape: tuple[int, ...]
    n: int | None
    backwards: bool
    until: int | None
    sequences: list[tuple[np.ndarray, tuple[int, ...]]]
    states: list[tuple[np.ndarray, tuple[int, ...]]]
    counter: bool
    extra: int
    others: list[np.ndarray]
    code: list[tuple[Any, ...]] = field(default_factory=list)
    nested: bool = False


def random_program(seed: int) -> Program:
    rng = np.random.default_rng(seed)
    shape = [(), (3,), (2, 3), (0,)][rng.choice(4, p=[0.3, 0.35, 0.25, 0.1])]
    length = int(rng.choice([0, 1, 2, 5, 7]))

    def numbers(lead: int | None = None) -> np.ndarray:
        return rng.normal(size=shape if lead is None else (lead, *shape))

    sequences = []
    for _ in range(rng.integers(0, 3)):
        taps = SEQUENCE_TAPS[rng.integers(len(SEQUENCE_TAPS))]
        sequences.append((numbers(length + 2 + int(rng.integers(0, 2))), taps))
    states = []
    for _ in range(rng.integers(0 if sequences else 1, 3)):
        taps = TAPS[rng.integers(len(TAPS))]
        states.append((numbers(None if min(taps) == -1 else -min(taps)), taps))
    n = int(rng.integers(0, length + 1)) if not sequences or rng.random() < 0.3 else None
    p = Program(shape, n, bool(rng.random() < 0.2), int(rng.integers(1, 6)) if rng.random() < 0.25 else None, sequences, states,
                bool(rng.random() < 0.4), int(rng.integers(0, 2)), [numbers() for _ in range(rng.integers(0, 3))],
                nested=bool(rng.random() < 0.2 and len(shape) >= 1))
    read = sum(len(t) for _, t in sequences + states) + len(p.others) + 1 + p.counter
    outputs = len(states) + p.extra + (not states and not p.extra)
    p.extra = outputs - len(states)
    for k in range(int(rng.integers(2, 7)) + outputs):
        have = read + k
        kind = rng.choice(["unary", "binary", "binary", "dot", "total"])
        a, b = int(rng.integers(have)), int(rng.integers(have))
        if kind == "dot" and shape and shape[-1] == 3:
            p.code.append(("dot", a))
        elif kind == "total":
            p.code.append(("total", a, b))
        elif kind == "unary":
            p.code.append((str(rng.choice(UNARY)), a))
        else:
            p.code.append((str(rng.choice(BINARY)), a, b))
    return p


def step(m: Any, p: Program, values: list[Any], w: Any, scan: Any) -> list[Any]:
    """Run the instructions with module `m`, NumPy or ours; return the outputs."""
    for name, *args in p.code:
        x = values[args[0]]
        if name == "dot":
            made = m.dot(x, w)
        elif name == "total":
            made = x.sum() * 0.1 + values[args[1]] if p.shape else x * 0.1 + values[args[1]]
        elif name == "where":
            y = values[args[1]]
            made = m.where(x > y, x * y, y)
        elif len(args) == 2:
            y = values[args[1]]
            made = m.maximum(x, y - 0.0123) if name == "maximum" else ARITHMETIC[name](x, y)  # not at the kink
        else:
            made = getattr(m, name)(x)
        values.append(made)
    count = len(p.states) + p.extra
    outs = [m.tanh(v) for v in values[-count:]]
    if p.nested:
        outs[0] = scan(outs[0], w)
    return outs


def numpy_nested(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    total = np.zeros(x.shape[1:])
    for row in x:
        total = np.sin(total + row * w[0, 0])
    return np.tanh(x + total)


def symbolic_nested(x: Any, w: Any) -> Any:
    total, _ = symbolic.foldl(lambda row, t: T.sin(t + row * w[0, 0]), x, T.zeros_like(x[0]) if x.ndim > 1 else T.constant(0.0))
    return T.tanh(x + total)


def numpy_loop(p: Program, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The meaning of scan, written down once more and plainly."""
    w, *rest = arrays
    xs, ss, others = rest[:len(p.sequences)], rest[len(p.sequences):len(p.sequences) + len(p.states)], rest[
        len(p.sequences) + len(p.states):]
    steps = p.n
    if steps is None:
        steps = min(len(x) - max(0, *t, 0) + min(0, *t, 0) for x, (_, t) in zip(xs, p.sequences, strict=True))
    history = [list(s) if min(t) < -1 else [s] for s, (_, t) in zip(ss, p.states, strict=True)]
    kept: list[list[np.ndarray]] = [[] for _ in range(len(p.states) + p.extra)]
    counter = 0
    for t in range(steps):
        values = []
        for x, (_, taps) in zip(xs, p.sequences, strict=True):
            low, high = min(0, *taps, 0), max(0, *taps, 0)
            usable = len(x) - (high - low)
            at = usable - 1 - t if p.backwards else t
            values += [x[at + tap - low] for tap in taps]
        for h, (_, taps) in zip(history, p.states, strict=True):
            values += [h[tap] for tap in taps]
        if p.counter:
            values.append(np.full(p.shape, 0.1 * counter))
            counter += 2
        outs = step(np, p, [*values, *others, w[0, 0] * np.ones(p.shape)], w, numpy_nested)
        for h, y in zip(history, outs, strict=False):
            h.append(y)
        for trace, y in zip(kept, outs, strict=True):
            trace.append(y)
        if p.until is not None and t + 1 >= p.until:
            break
    return [np.array(k).reshape(len(k), *p.shape) for k in kept] + ([np.array(counter)] if p.counter else [])


def symbolic_loop(p: Program, variables: list[Any]) -> list[Any]:
    w, *rest = variables
    xs, ss, others = rest[:len(p.sequences)], rest[len(p.sequences):len(p.sequences) + len(p.states)], rest[
        len(p.sequences) + len(p.states):]
    start = T.constant(0) if p.counter else None
    clock = T.constant(np.int64(0))

    def fn(*args: Any) -> Any:
        values = list(args)
        m = len(values) - 1 - p.counter - len(others)
        read, own = values[:m], values[m:]
        tick = own[0]
        count = [own[1]] if p.counter else []
        shown = [0.1 * own[1] * T.ones(p.shape)] if p.counter else []
        outs = step(T, p, [*read, *shown, *others, w[0, 0] * T.ones(p.shape)], w, symbolic_nested)
        result = [*outs, tick + 1, *(c + np.int32(2) for c in count)]
        return (result, symbolic.until(tick + 1 >= p.until)) if p.until is not None else result

    sequences = [dict(input=x, taps=list(t)) for x, (_, t) in zip(xs, p.sequences, strict=True)]
    infos = [dict(initial=s, taps=list(t)) for s, (_, t) in zip(ss, p.states, strict=True)]
    outs, updates = symbolic.scan(fn, sequences, [*infos, *[None] * p.extra, clock, *([start] if p.counter else [])], others,
                                  n_steps=p.n, go_backwards=p.backwards)
    assert not updates
    count = len(p.states) + p.extra
    if not p.counter:
        return list(outs[:count])
    counts = outs[count + 1]
    return [*outs[:count], T.switch(T.gt(counts.shape[0], 0), T.concatenate([T.zeros((1,), counts.dtype), counts])[-1], 0)]


@pytest.mark.parametrize("batch", [pytest.param(b, marks=[pytest.mark.slow] if b >= 4 else []) for b in range(BATCHES)])
def test_random_loops(batch):
    for seed in range(batch, PROGRAMS, BATCHES):
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"program {seed}: {error}") from error


def check(seed: int) -> None:
    p = random_program(seed)
    rng = np.random.default_rng(seed + 10_000)
    w = rng.normal(size=(3, 3))
    arrays = [w, *(x for x, _ in p.sequences), *(s for s, _ in p.states), *p.others]
    variables = [TensorType("float64", (None,) * a.ndim)() for a in arrays]
    outs = symbolic_loop(p, variables)
    want = numpy_loop(p, arrays)
    floats = outs[:len(outs) - p.counter]
    weights = [rng.normal(size=x.shape) for x in want]
    cost = sum(((y * u).sum() for y, u in zip(floats, weights, strict=False)), T.constant(0.0))
    direction = [rng.normal(size=a.shape) for a in arrays]
    gradients = T.grad(cost, variables, disconnected_inputs="ignore")
    slope = sum(((g * d).sum() for g, d in zip(gradients, direction, strict=True)), T.constant(0.0))
    forward = T.Rop(cost, variables, direction, disconnected_outputs="ignore")
    second = T.Rop(slope, variables, direction, disconnected_outputs="ignore")
    mode = "FAST_COMPILE" if seed % 8 == 7 else "FAST_RUN"
    f = symbolic.function(variables, [*outs, slope, forward, second], mode=mode, on_unused_input="ignore")
    *got, back, ahead, twice = f(*arrays)
    for a, b in zip(got, want, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)

    def value(t: float) -> float:
        made = numpy_loop(p, [a + t * d for a, d in zip(arrays, direction, strict=True)])
        return sum(float((y * u).sum()) for y, u in zip(made[:len(floats)], weights, strict=False))

    eps = 1e-4  # central differences of fourth and second order
    first = (8 * (value(eps) - value(-eps)) - (value(2 * eps) - value(-2 * eps))) / (12 * eps)
    np.testing.assert_allclose(back, ahead, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(back, first, rtol=1e-5, atol=1e-7)
    curvature = (value(eps) - 2 * value(0) + value(-eps)) / eps**2
    np.testing.assert_allclose(twice, curvature, rtol=1e-3, atol=1e-4 * (1 + abs(curvature)))
