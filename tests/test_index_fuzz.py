"""Random indices of every kind against NumPy: reading, writing, derivatives of both orders, in both back ends."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.codegen.reference import evaluate
from symbolic.errors import IndexOutOfBounds
from symbolic.forward import Rop
from symbolic.types import TensorType

COUNT = 5200


class Draw:
    """A random array and a random key for it; parts of the key may be symbolic."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        self.shape = tuple(int(n) for n in rng.choice([0, 1, 2, 3, 4], rng.integers(1, 5), p=[.07, .13, .25, .3, .25]))
        self.given = {}
        self.common = tuple(int(n) for n in rng.choice([1, 2, 3], rng.integers(0, 3)))  # what index arrays broadcast to
        self.count = int(rng.choice([0, 1, 2, 3]))  # what masks select, where that can be had
        entries, self.np_key = self.entries()
        self.key = entries[0] if len(entries) == 1 and rng.random() < .5 else tuple(entries)
        if not isinstance(self.key, tuple):
            self.np_key = self.np_key[0]

    def symbol(self, value):
        """Return a value as a variable that is given it, or as it is."""
        if self.rng.random() < .6:
            return value
        value = np.asarray(value)
        v = TensorType(value.dtype.name, (None,) * value.ndim)(f"k{len(self.given)}")
        self.given[v] = value
        return v

    def integer(self, n, beyond=.02):
        if n == 0 or self.rng.random() < beyond:
            return int(self.rng.integers(-n - 2, n + 2))
        return int(self.rng.integers(-n, n))

    def slice(self, n):
        rng = self.rng
        bounds = [None if rng.random() < .4 else int(rng.integers(-n - 2, n + 3)) for _ in range(2)]
        step = rng.choice([None, 1, 2, -1, -2, 3])
        plain = slice(*bounds, None if step is None else int(step))
        return slice(*(None if b is None else self.symbol(b) for b in (plain.start, plain.stop, plain.step))), plain

    def array(self, n):
        rng = self.rng
        shape = tuple(m if rng.random() < .8 else 1 for m in self.common[int(rng.integers(0, len(self.common) + 1)):])
        values = rng.integers(-n, n, shape) if n else np.zeros((*shape[:-1], 0) if shape else (0,), int)
        dtype = rng.choice(["int64", "int32", "int8"])
        values = np.asarray(values, dtype)
        if rng.random() < .3:
            return values.tolist() if values.ndim and values.size else values, values if values.size else values
        return self.symbol(values), values

    def mask(self, shape):
        rng = self.rng
        mask = np.zeros(shape, bool).ravel()
        mask[rng.permutation(mask.size)[:self.count]] = True
        mask = mask.reshape(shape)
        if rng.random() < .02 and mask.ndim:
            mask = np.zeros((shape[0] + 1, *shape[1:]), bool)
        return self.symbol(mask), mask

    def entries(self):
        rng, ours, plain, a, n = self.rng, [], [], 0, len(self.shape)
        wanted = int(rng.integers(0, n + 1))
        style = rng.choice(["basic", "arrays", "masks", "all"])
        kinds = {"basic": ["int", "slice", "slice"], "arrays": ["array", "int", "slice"], "masks": ["mask", "slice", "int"],
                 "all": ["mask", "array", "int", "slice", "bool"]}[style]
        while a < wanted or (not ours):
            kind = rng.choice(kinds) if a < n else "none"
            if rng.random() < .12:
                kind = "none"
            if kind == "none":
                ours.append(None)
                plain.append(None)
                continue
            m = self.shape[a]
            if kind == "int":
                p = self.integer(m)
                pair = self.symbol(p), p
            elif kind == "slice":
                pair = self.slice(m)
            elif kind == "array":
                pair = self.array(m)
            elif kind == "bool":
                flag = bool(rng.random() < .8)
                pair = flag, flag
                a -= 1
            else:
                k = int(rng.integers(1, min(wanted - a, 3) + 1)) if wanted > a else 1
                pair = self.mask(self.shape[a:a + k])
                a += k - 1
            ours.append(pair[0])
            plain.append(pair[1])
            a += 1
        if rng.random() < .4:
            at = int(rng.integers(0, len(ours) + 1))
            ours.insert(at, Ellipsis)
            plain.insert(at, Ellipsis)
        return ours, tuple(plain)


def numpy_read(a, key):
    """Return ``a[key]``, or the class of what NumPy raises."""
    try:
        return a[key]
    except IndexError:
        return IndexError
    except ValueError:
        return ValueError


def graphs(draw, more=True):
    """Return an array, its variable, and what is computed with the key, with what it must be; `more`: all derivatives."""
    rng = draw.rng
    a = rng.normal(size=draw.shape)
    known = rng.random() < .3
    x = TensorType("float64", draw.shape if known else (None,) * a.ndim)("x")
    want = numpy_read(a, draw.np_key)
    draw.selected = np.size(want)
    if isinstance(want, type):
        return a, x, None, want
    part = x[draw.key]
    assert part.ndim == want.ndim, (draw.np_key, draw.shape)
    assert all(n is None or n == m for n, m in zip(part.type.shape, want.shape, strict=True))
    w, v = rng.normal(size=want.shape), rng.normal(size=draw.shape)
    numbers = np.arange(a.size).reshape(a.shape)[draw.np_key]  # which element each one is
    back = lambda u: np.bincount(np.ravel(numbers), np.ravel(u), a.size)[:a.size].reshape(a.shape)  # noqa: E731
    pairs = [(part, want)]
    cost = T.sum(w * T.sqr(part))
    slope = T.grad(cost, x, disconnected_inputs="ignore")
    pairs.append((slope, back(2 * w * want)))
    if more:
        pairs.append((T.grad(T.sum(slope * v), x, disconnected_inputs="ignore"), back(2 * w * v[draw.np_key])))
        pairs.append((Rop(T.sqr(part), x, symbolic.constant(v), disconnected_outputs="ignore"), 2 * want * v[draw.np_key]))
    if any(e is not None and e is not Ellipsis for e in (draw.key if isinstance(draw.key, tuple) else (draw.key,))):
        row = want.shape[rng.integers(0, want.ndim + 1):]
        y = rng.normal(size=row)
        spread = np.broadcast_to(y, want.shape)
        weight = rng.normal(size=a.shape)
        inc = part.inc(y)
        pairs.append((inc, a + back(spread)))
        if more:
            pairs.append((T.grad(T.sum(weight * T.sqr(inc)), x), 2 * weight * (a + back(spread))))
        if len(np.unique(numbers)) == numbers.size:
            changed = a.copy()
            changed[draw.np_key] = y
            pairs.append((part.set(y), changed))
            kept = 1 - back(np.ones(want.shape))
            if more:
                pairs.append((T.grad(T.sum(weight * T.sqr(part.set(y))), x), 2 * weight * a * kept))
    return a, x, pairs, want


@pytest.mark.parametrize("seeds", [range(1500), pytest.param(range(1500, COUNT), marks=pytest.mark.slow)], ids=["some", "rest"])
def test_random_indices(seeds):
    read = raised = written = 0
    for seed in seeds:
        draw = Draw(seed)
        text = f"seed {seed}: shape {draw.shape}, key {draw.np_key}"
        try:
            a, x, pairs, want = graphs(draw, seed % 5 == 0)
            if pairs is None:
                with pytest.raises((IndexError, ValueError)):
                    evaluate([x[draw.key]], {x: a, **draw.given})
                raised += 1
                continue
            got = evaluate([p for p, _ in pairs], {x: a, **draw.given})
        except IndexOutOfBounds as error:
            if draw.selected:  # NumPy doesn't look at indices where nothing is selected
                raise AssertionError(f"{text}: {error}") from error
            raised += 1
            continue
        except Exception as error:
            raise AssertionError(f"{text}: {error}") from error
        for k, (g, (_, w)) in enumerate(zip(got, pairs, strict=True)):
            assert g.shape == w.shape, f"{text}: result {k} has shape {g.shape}, not {w.shape}"
            np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12, err_msg=f"{text}: result {k}")
        read += 1
        written += len(pairs) > 2
    n = len(seeds)
    assert read > 0.75 * n and raised > 0.01 * n and written > 0.55 * n, (read, raised, written)


def test_random_indices_compiled():
    """A sample, many to a function."""
    draws = [d for d in map(Draw, range(COUNT, COUNT + 70)) if not isinstance(numpy_read(np.zeros(d.shape), d.np_key), type)]
    made = [(d, *graphs(d)) for d in draws]
    for at in range(0, len(made), 25):
        some = made[at:at + 25]
        values = {}
        for k, (d, a, x, _, _) in enumerate(some):
            x.name = f"x{k}"
            values.update({x: a, **d.given})
        pairs = [p for _, _, _, pairs, _ in some for p in pairs]
        f = symbolic.function(list(values), [p for p, _ in pairs], on_unused_input="ignore")
        for g, (_, w) in zip(f(*values.values()), pairs, strict=True):
            assert g.shape == w.shape
            np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12)
