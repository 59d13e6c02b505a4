"""Random graphs: the compiled program against the interpreter, and gradients against central differences."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T

#: extents of the inputs of a run; 0 and 1 included, and all axes unknown to the types
SHAPES = [(3, 4), (1, 4), (3, 1), (1, 1), (5, 5), (0, 4), (17, 33)]


def unary(rng, a):
    return [T.tanh, T.sin, T.abs, T.sqr, lambda v: T.exp(-T.sqr(v)), T.nnet.sigmoid, T.nnet.softplus, lambda v: -v,
            lambda v: T.maximum(v, 0.25), lambda v: T.switch(T.gt(v, 0), v, v * 0.5)][int(rng.integers(10))](a)


def binary(rng, a, b):
    return [lambda: a + b, lambda: a - b, lambda: a * b, lambda: a / (T.sqr(b) + 1), lambda: T.minimum(a, b),
            lambda: T.arctan2(a, T.sqr(b) + 1)][int(rng.integers(6))]()


def moved(rng, a):
    return [lambda: a[::-1], lambda: a[:, ::-1], lambda: a.T.T, lambda: a[::2].sum(axis=0) + a, lambda: T.roll(a, 1, axis=0),
            lambda: a.reshape((-1,)).reshape(a.shape), lambda: T.concatenate([a, a], axis=0)[:a.shape[0]],
            lambda: a[T.arange(a.shape[0] - 1, -1, -1)], lambda: T.set_subtensor(a[:1], 0.5),
            lambda: T.inc_subtensor(a[:, :1], 0.5)][int(rng.integers(10))]()


def reduced(rng, a):
    return [lambda: a - a.mean(axis=1, keepdims=True), lambda: a * a.sum(axis=0), lambda: a + a.sum() * 0.1,
            lambda: a + T.sqr(a).sum(axis=1).dimshuffle(0, "x"), lambda: T.nnet.softmax(a),
            lambda: T.dot(T.dot(a, a.T) * 0.1, a), lambda: a / (1 + T.sqr(a).sum(axis=0)),
            lambda: a + T.std(a + 1, axis=1, keepdims=True)][int(rng.integers(8))]()


def graph(seed: int, dtype: str):
    """Return inputs and outputs of a random graph over matrices."""
    rng = np.random.default_rng(seed)
    inputs = [T.matrix(n, dtype=dtype) for n in "xyz"]
    values = list(inputs)
    for _ in range(int(rng.integers(4, 22))):
        a, b = (values[-1 - int(min(rng.geometric(0.35) - 1, len(values) - 1))] for _ in range(2))
        kind = rng.random()
        new = (unary(rng, a) if kind < 0.3 else binary(rng, a, b) if kind < 0.65 else moved(rng, a) if kind < 0.8
               else reduced(rng, a))
        values.append(new.astype(dtype))
    outs = [values[-1], values[int(rng.integers(3, len(values)))], values[-1].sum(), values[-2].max() if seed % 3 else values[-2]]
    return inputs, outs


def arrays(seed: int, shape: tuple[int, int], dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = [rng.normal(size=shape).astype(dtype) for _ in "xyz"]
    return [made[0], made[1][::-1][::-1], np.asfortranarray(made[2])]


def same(got, want, dtype: str, where: str) -> None:
    rtol = 2e-3 if dtype == "float32" else 1e-8
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.dtype == w.dtype and g.shape == w.shape, where
        top = np.abs(w[np.isfinite(w)]).max(initial=1.0)
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol * top, err_msg=f"{where}, output {k}")


def run(seed: int) -> None:
    dtype = "float32" if seed % 4 == 0 else "float64"
    inputs, outs = graph(seed, dtype)
    grads = T.grad(outs[0].sum(), inputs, disconnected_inputs="ignore")
    fast, slow = (symbolic.function(inputs, [*outs, *grads], mode=m, on_unused_input="ignore")
                  for m in ("FAST_RUN", "FAST_COMPILE"))
    for shape in SHAPES:
        given = arrays(seed, shape, dtype)
        results = []
        for f in (fast, slow):
            try:
                results.append(f(*given))
            except (ValueError, IndexError) as error:
                results.append(type(error))
        if isinstance(results[0], type) or isinstance(results[1], type):
            assert results[0] is results[1], f"seed {seed}, shape {shape}: {results}"
        else:
            same(*results, dtype, f"seed {seed}, shape {shape}")


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs(seed):
    run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(8))
def test_more_random_graphs(block):
    for seed in range(1000 + 25 * block, 1025 + 25 * block):
        run(seed)


@pytest.mark.parametrize("seed", range(100, 112))
def test_gradients_of_random_graphs(seed):
    """Where central differences of two step sizes agree, there is a derivative, and it must be ours."""
    inputs, outs = graph(seed, "float64")
    cost = T.tanh(outs[0]).sum()
    grads = T.grad(cost, inputs, disconnected_inputs="ignore")
    f = symbolic.function(inputs, [cost, *grads], on_unused_input="ignore")
    given = arrays(seed, (3, 4), "float64")
    rng = np.random.default_rng(seed)
    ways = [rng.normal(size=a.shape) for a in given]
    ours = sum(float((g * w).sum()) for g, w in zip(f(*given)[1:], ways, strict=True))

    def central(step: float) -> float:
        up, down = (float(f(*(a + s * w for a, w in zip(given, ways, strict=True)))[0]) for s in (step, -step))
        return (up - down) / (2 * step)

    fine, coarse = central(1e-6), central(1e-5)
    if abs(fine - coarse) < 1e-5 * max(1.0, abs(fine)):
        assert ours == pytest.approx(fine, rel=1e-4, abs=1e-5)
