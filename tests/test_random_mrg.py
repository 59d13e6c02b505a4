"""MRG31k3p against published samples and its recurrence; MRG_RandomStreams' methods."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import symbolic
import symbolic.tensor as T
from symbolic import errors
from symbolic.ops.random_mrg31k3p import M1, M2, jumped, streams
from symbolic.sandbox.rng_mrg import MRG_RandomStreams, guess_n_streams

#: Five numbers of some substreams (2**72 steps apart) of some streams (2**134 apart) from seed 12345, as L'Ecuyer's Java
#: implementation gives them; published with Theano, which tests its own against them.
PUBLISHED = {
    (0, 0): [0.7353244530968368, 0.6142074400559068, 0.11007806099951267, 0.6487741703167558, 0.36619443260133266],
    (0, 1): [0.2585685825906694, 0.9489980279468, 0.4309556516818702, 0.12257590936496854, 0.9760319022461772],
    (0, 6): [0.5435514179989696, 0.330895590595901, 0.49919482320547104, 0.9409166998229921, 0.8276205519214272],
    (1, 0): [0.5180770065635443, 0.2319392478093505, 0.36197659047320485, 0.11120751267299056, 0.5018561617471278],
    (11, 6): [0.8762755445204675, 0.8020628895610571, 0.1663151141256094, 0.31246642768383026, 0.18852565623819828],
}


def recurrence(state: list[int], n: int) -> list[int]:
    """The two recurrences as the paper states them, over Python's integers; the numbers times m1 + 1."""
    x, y = list(reversed(state[:3])), list(reversed(state[3:]))
    out = []
    for _ in range(n):
        x.append((2**22 * x[-2] + (2**7 + 1) * x[-3]) % (2**31 - 1))
        y.append((2**15 * y[-1] + (2**15 + 1) * y[-3]) % (2**31 - 21069))
        z = (x[-1] - y[-1]) % (2**31 - 1)
        out.append(z if z else 2**31 - 1)
    return out


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_published_samples(mode):
    rng = MRG_RandomStreams(12345)
    draws = [rng.uniform((5, 7), dtype="float64", nstreams=7) for _ in range(12)]
    got = symbolic.function([], draws, mode=mode)()
    for (stream, substream), want in PUBLISHED.items():
        np.testing.assert_array_equal(got[stream][:, substream], want)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_streams_go_on_from_call_to_call(mode):
    """Sizes that streams don't divide: each goes on where it stopped, whatever the others do."""
    rng = MRG_RandomStreams([1, 0, M1 - 1, M2 - 1, 5, 0])
    n = T.lscalar("n")
    x = rng.uniform((n,), dtype="float64", nstreams=4)
    rows = x.rng.get_value()
    assert rows[0].tolist() == [1, 0, M1 - 1, M2 - 1, 5, 0]
    f = symbolic.function([n], x, mode=mode)
    want, taken = [recurrence(r.tolist(), 40) for r in rows], [0] * 4
    for size in (7, 4, 1, 0, 30, 2):
        got = f(size)
        for i in range(size):
            assert got[i] == want[i % 4][taken[i % 4]] / 2**31
            taken[i % 4] += 1


def test_jumps_are_as_many_steps():
    state = np.array([[12345] * 6, [3, 1, 4, 1, 5, 9]], "int32")
    for k in range(12):
        a = jumped(state, k)
        for row, got in zip(state, a, strict=True):
            steps = 2**k + 5
            assert recurrence(got.tolist(), 5) == recurrence(row.tolist(), steps)[-5:]
    np.testing.assert_array_equal(jumped(jumped(state, 71), 71), jumped(state, 72))
    rows = streams(state[0], 11)
    for k in range(10):
        np.testing.assert_array_equal(rows[k + 1], jumped(rows[k:k + 1], 72)[0])


def test_numbers_in_narrower_dtypes():
    rng = MRG_RandomStreams(3)
    sizes = (2000,)
    outs = []
    for dtype in ("float64", "float32", "float16"):
        rng.set_rstate(3)
        outs.append(rng.uniform(sizes, dtype=dtype))
    wide, single, half = symbolic.function([], outs)()
    np.testing.assert_array_equal(single, (np.round(wide * 2**31).astype("float32") * np.float32(1 / (2**31 + 65))))
    np.testing.assert_allclose(half, wide, atol=6e-4)
    assert 0 < half.min() and half.max() < 1
    # the largest number there is stays below 1
    assert np.float32(M1) * np.float32(1 / (2**31 + 65)) < 1


@pytest.mark.parametrize("seed, error", [(0, ValueError), (M2, ValueError), (-3, ValueError), (1.5, TypeError),
                                         ([0, 0, 0, 1, 1, 1], ValueError), ([1, 1, 1, 0, 0, 0], ValueError),
                                         ([M1, 1, 1, 1, 1, 1], ValueError), ([1, 2], TypeError)])
def test_seeds(seed, error):
    with pytest.raises(error, match="MRG_RandomStreams: "):
        MRG_RandomStreams(seed)


def test_guessed_streams():
    assert guess_n_streams((7,)) == 1 and guess_n_streams(6) == 6 and guess_n_streams((0, 3)) == 1
    assert guess_n_streams((T.lscalar(), 3)) == guess_n_streams(T.lvector()) == 15360
    assert MRG_RandomStreams(1).uniform((600,)).rng.get_value().shape == (100, 6)


def test_distributions():
    rng, n = MRG_RandomStreams(77), T.lscalar("n")
    p = np.array([0.2, 0.0, 0.5, 0.3])
    table = np.tile(p, (6000, 1))
    outs = {"uniform": rng.uniform((n,), 2.0, 5.0), "u32": rng.uniform((6000,), dtype="float32"),
            "normal": rng.normal((n,), 1.0, 2.0), "odd": rng.normal((3, 3, 667), 1, 2, dtype="float32"),
            "truncated": rng.truncated_normal((n,), 1.0, 2.0),
            "bernoulli": rng.binomial((n,), 1, 0.3, dtype="float32"), "binomial": rng.binomial((n,), 10, 0.3),
            "one": rng.multinomial(pvals=table), "ten": rng.multinomial(n=10, pvals=table, dtype="int32"),
            "pairs": rng.multinomial_wo_replacement(n=2, pvals=table), "three": rng.choice(3, p=table),
            "half": rng.normal(6, dtype="float16")}
    fast, slow = (symbolic.function([n], outs, mode=m, no_default_updates=True) for m in ("FAST_RUN", "FAST_COMPILE"))
    a, b = fast(6000), slow(6000)
    for name in outs:
        np.testing.assert_allclose(a[name], b[name], rtol=2e-3 if name == "half" else 1e-4, atol=1e-5, err_msg=name)
    for name, law in (("uniform", stats.uniform(2, 3)), ("u32", stats.uniform()), ("normal", stats.norm(1, 2)),
                      ("odd", stats.norm(1, 2)), ("truncated", stats.truncnorm(-2, 2, 1, 2))):
        assert stats.kstest(a[name].ravel().astype("float64"), law.cdf).pvalue > 1e-3, name
    assert abs(a["bernoulli"].mean() - 0.3) < 0.025 and a["bernoulli"].dtype == "float32"
    counts = np.bincount(a["binomial"], minlength=11)[:8]
    chances = np.diff([0, *stats.binom(10, 0.3).cdf(range(8)), 1])
    assert stats.chisquare([*counts, 6000 - counts.sum()], 6000 * chances).pvalue > 1e-3
    assert (a["one"].sum(1) == 1).all() and (a["ten"].sum(1) == 10).all() and a["ten"].dtype == "int32"
    used = [0, 2, 3]
    assert stats.chisquare(a["one"].sum(0)[used], 6000 * p[used]).pvalue > 1e-3
    assert stats.chisquare(a["ten"].sum(0)[used], 60000 * p[used]).pvalue > 1e-3 and a["ten"][:, 1].sum() == 0
    assert stats.chisquare(np.bincount(a["three"].ravel(), minlength=4)[used], 18000 * p[used]).pvalue > 1e-3
    expected = {(i, j): p[i] * p[j] / (1 - p[i]) for i in used for j in used if i != j}
    seen = [(a["pairs"] == q).all(axis=1).sum() for q in expected]
    assert sum(seen) == 6000 and stats.chisquare(seen, 6000 * np.array(list(expected.values()))).pvalue > 1e-3


def test_box_and_muller():
    """Normal numbers are the published formula of the uniform ones, cosines first."""
    rng = MRG_RandomStreams(5)
    z = rng.normal((7,), dtype="float64", nstreams=2)
    rng.seed()
    u = MRG_RandomStreams(5).uniform((8,), dtype="float64", nstreams=2)
    got, u = symbolic.function([], [z, u])()
    r, angle = np.sqrt(-2 * np.log(u[:4])), 2 * np.pi * u[4:]
    np.testing.assert_allclose(got, np.concatenate([r * np.cos(angle), r * np.sin(angle)])[:7], rtol=1e-12)


def test_gradients():
    m, s = T.dvector("m"), T.dscalar("s")
    x = MRG_RandomStreams(5).normal(None, m, s)
    f = symbolic.function([m, s], [x, *symbolic.grad((x ** 2).sum(), [m, s])], no_default_updates=True)
    at = np.array([0.5, 1.0, -1.0])
    value, gm, gs = f(at, 0.7)
    np.testing.assert_allclose(gm, 2 * value)
    np.testing.assert_allclose(gs, (2 * value * (value - at) / 0.7).sum())


@pytest.mark.parametrize("make, error, text", [
    (lambda r: r.multinomial(size=(2,), pvals=[[0.5, 0.5]]), ValueError, "it takes no size"),
    (lambda r: r.multinomial(), ValueError, "the chances are missing"),
    (lambda r: r.multinomial(pvals=[0.5, 0.5]), errors.RankError, "chances are a matrix"),
    (lambda r: r.choice(2, a=3, p=[[0.5, 0.5]]), TypeError, "a must be None"),
    (lambda r: r.choice(3, replace=False, p=[[0.5, 0.5]]), errors.ParameterError, "more categories are wanted"),
    (lambda r: r.binomial((2,), T.lscalar(), 0.5), errors.ParameterError, "n must be a number known beforehand"),
    (lambda r: r.uniform((2,), nstreams=0), ValueError, "nstreams must be 1 or more"),
    (lambda r: r.uniform((2,), dtype="int32"), errors.DTypeError, "a sample of real numbers"),
])
def test_errors(make, error, text):
    rng = MRG_RandomStreams(1)
    with pytest.raises(error, match=text):
        symbolic.function([], make(rng))()
