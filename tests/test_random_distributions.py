"""Every distribution against SciPy's: Kolmogorov-Smirnov, chi-square, moments, ends of parameters, gradients."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import symbolic
import symbolic.tensor as T
from symbolic import errors, random
from symbolic.batching import batched
from symbolic.sandbox.rng_mrg import MRG_RandomStreams
from symbolic.testing import verify_grad

N = 20_000
#: chance at which a right distribution fails; seeds are fixed, so a test that passes once always does
STRICT = 1e-3

CONTINUOUS = {
    "uniform": (lambda k, n: random.uniform(k, (n,), -2.0, 3.0, dtype="float32"), stats.uniform(-2, 5)),
    "normal32": (lambda k, n: random.normal(k, (n,), 1.0, 2.0, dtype="float32"), stats.norm(1, 2)),
    "normal64": (lambda k, n: random.normal(k, (n,), 1.0, 2.0, dtype="float64"), stats.norm(1, 2)),
    "lognormal": (lambda k, n: random.lognormal(k, (n,), 0.5, 0.7), stats.lognorm(0.7, 0, np.exp(0.5))),
    "exponential": (lambda k, n: random.exponential(k, (n,), 2.0), stats.expon(0, 2)),
    "exponential32": (lambda k, n: random.exponential(k, (n,), 2.0, dtype="float32"), stats.expon(0, 2)),
    "laplace": (lambda k, n: random.laplace(k, (n,), 1.0, 2.0), stats.laplace(1, 2)),
    "logistic": (lambda k, n: random.logistic(k, (n,), 1.0, 2.0), stats.logistic(1, 2)),
    "gumbel": (lambda k, n: random.gumbel(k, (n,), 1.0, 2.0), stats.gumbel_r(1, 2)),
    "cauchy": (lambda k, n: random.cauchy(k, (n,), 1.0, 2.0), stats.cauchy(1, 2)),
    "weibull": (lambda k, n: random.weibull(k, (n,), 1.5, 2.0), stats.weibull_min(1.5, 0, 2)),
    "pareto": (lambda k, n: random.pareto(k, (n,), 1.5, 2.0), stats.pareto(1.5, 0, 2)),
    "rayleigh": (lambda k, n: random.rayleigh(k, (n,), 2.0), stats.rayleigh(0, 2)),
    "truncated_normal": (lambda k, n: random.truncated_normal(k, (n,), 1.0, 2.0), stats.truncnorm(-2, 2, 1, 2)),
    "truncated_right": (lambda k, n: random.truncated_normal(k, (n,), low=3.0, high=np.inf), stats.truncnorm(3, np.inf)),
    "truncated_left": (lambda k, n: random.truncated_normal(k, (n,), low=-20.0, high=-12.0), stats.truncnorm(-20, -12)),
    "gamma3": (lambda k, n: random.gamma(k, (n,), 3.0, 2.0), stats.gamma(3, 0, 2)),
    "gamma1": (lambda k, n: random.gamma(k, (n,), 1.0), stats.gamma(1)),
    "gamma0.2": (lambda k, n: random.gamma(k, (n,), 0.2), stats.gamma(0.2)),
    "gamma1e6": (lambda k, n: random.gamma(k, (n,), 1e6), stats.gamma(1e6)),
    "chisquare": (lambda k, n: random.chisquare(k, (n,), 3.0), stats.chi2(3)),
    "beta": (lambda k, n: random.beta(k, (n,), 0.5, 2.0), stats.beta(0.5, 2)),
    "beta_large": (lambda k, n: random.beta(k, (n,), 50.0, 20.0), stats.beta(50, 20)),
    "student_t": (lambda k, n: random.student_t(k, (n,), 3.0, 1.0, 2.0), stats.t(3, 1, 2)),
    "dirichlet": (lambda k, n: random.dirichlet(k, [1.0, 2.0, 3.0], (n,))[:, 1], stats.beta(2, 4)),
}

DISCRETE = {
    "bernoulli": (lambda k, n: random.bernoulli(k, (n,), 0.3), stats.bernoulli(0.3)),
    "die": (lambda k, n: random.random_integers(k, (n,), 1, 6), stats.randint(1, 7)),
    "wide": (lambda k, n: random.integers(k, (n,), -2**40, 2**62) // 2**58, None),
    "geometric": (lambda k, n: random.geometric(k, (n,), 0.3), stats.geom(0.3)),
    "poisson0.1": (lambda k, n: random.poisson(k, (n,), 0.1), stats.poisson(0.1)),
    "poisson9": (lambda k, n: random.poisson(k, (n,), 9.0), stats.poisson(9)),
    "poisson10": (lambda k, n: random.poisson(k, (n,), 10.0), stats.poisson(10)),
    "poisson1000": (lambda k, n: random.poisson(k, (n,), 1000.0), stats.poisson(1000)),
    "binomial1": (lambda k, n: random.binomial(k, (n,), 1, 0.3, dtype="float32"), stats.bernoulli(0.3)),
    "binomial10": (lambda k, n: random.binomial(k, (n,), 10, 0.3), stats.binom(10, 0.3)),
    "binomial10b": (lambda k, n: random.binomial(k, (n,), 10, 0.9), stats.binom(10, 0.9)),
    "binomial100": (lambda k, n: random.binomial(k, (n,), 100, 0.3), stats.binom(100, 0.3)),
    "binomial400": (lambda k, n: random.binomial(k, (n,), 400, 0.97), stats.binom(400, 0.97)),
    "negative_binomial": (lambda k, n: random.negative_binomial(k, (n,), 3.5, 0.3), stats.nbinom(3.5, 0.3)),
    "categorical": (lambda k, n: random.categorical(k, [1.0, 0.0, 2.0, 3.0], (n,)),
                    stats.rv_discrete(values=([0, 1, 2, 3], [1 / 6, 0, 2 / 6, 3 / 6]))),
    "choice": (lambda k, n: random.choice(k, (n,), 7), stats.randint(0, 7)),
}


def drawn(rows):
    """Return a sample of each: by one function, since compiling many small ones takes longer."""
    key, n = symbolic.shared(np.array([11, 0, 0, 0], "uint32"), broadcastable=(4,)), T.lscalar("n")
    outs = {name: make(random.fold_in(key, i), n) for i, (name, (make, _)) in enumerate(rows.items())}
    return symbolic.function([n], outs)(N)


def test_continuous():
    samples = drawn(CONTINUOUS)
    for name in CONTINUOUS:
        check_continuous(samples, name)


def check_continuous(samples, name):
    x, law = samples[name].astype("float64"), CONTINUOUS[name][1]
    assert x.shape == (N,) and np.isfinite(x).all()
    assert stats.kstest(x, law.cdf).pvalue > STRICT, name
    # of neighbours as of parts of a block: no correlation
    for lag in (1, N // 4, N // 2):
        r = stats.spearmanr(x[:-lag], x[lag:]).statistic
        assert abs(r) < 4 / np.sqrt(N - lag), name
    if np.isfinite(law.var()) and np.isfinite(law.stats(moments="k")):
        assert abs(x.mean() - law.mean()) < 4 * law.std() / np.sqrt(N), name
        spread = law.var() * np.sqrt((float(law.stats(moments="k")) + 2) / N)
        assert abs(x.var() - law.var()) < 4 * spread, name


def chi_square(x: np.ndarray, law) -> float:
    """Return the p-value of counts, values of little chance taken together."""
    low, high = int(law.ppf(5e-3)), int(law.ppf(1 - 5e-3))
    edges = [*range(low, high), np.inf]
    cdf = np.array([law.cdf(e) for e in edges])
    chances = np.diff(np.concatenate([[0], cdf]))
    counts = np.diff(np.concatenate([[0], [(x <= e).sum() for e in edges]]))
    used = chances > 0
    assert counts[~used].sum() == 0
    return stats.chisquare(counts[used], chances[used] * len(x)).pvalue


def test_discrete():
    samples = drawn(DISCRETE)
    for name in DISCRETE:
        if name != "wide":
            check_discrete(samples, name)


def check_discrete(samples, name):
    x, law = samples[name], DISCRETE[name][1]
    assert x.dtype == {"bernoulli": "bool", "binomial1": "float32"}.get(name, "int64")
    assert chi_square(x.astype("int64"), law) > STRICT, name
    assert abs(x.mean() - law.mean()) < 4 * law.std() / np.sqrt(N), name


def test_integers_of_64_bits():
    samples = drawn({"wide": DISCRETE["wide"]})
    assert samples["wide"].min() >= -1 and samples["wide"].max() == 15
    assert stats.chisquare(np.bincount(samples["wide"][samples["wide"] >= 0])).pvalue > STRICT
    key = random.key(3)
    low, high = T.lvector("low"), T.lvector("high")
    full = random.random_integers(key, None, low, high)
    unsigned = random.random_integers(key, (4000,), np.uint64(0), np.uint64(2**64 - 1), dtype="uint64")
    third = random.integers(key, (4000,), 0, 3 * 2**61)
    narrow = random.random_integers(key, (4000,), -128, 127, dtype="int8")
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([low, high], [full, unsigned, third, narrow], mode=mode)
        a, b, c, d = f([-2**63, 5, 2**63 - 1], [2**63 - 1, 5, 2**63 - 1])
        assert a[1:].tolist() == [5, 2**63 - 1]
        assert stats.kstest(b.astype("float64") / 2.0**64, stats.uniform.cdf).pvalue > STRICT
        assert stats.kstest(c / (3 * 2.0**61), stats.uniform.cdf).pvalue > STRICT
        assert d.dtype == "int8" and d.min() == -128 and d.max() == 127 and c.min() >= 0 and b.dtype == "uint64"


def test_large_spans_by_exact_arithmetic():
    """The upper part of 96 random bits times the span, over Python's integers."""
    key = random.key(3)
    spans = [2**32 + 1, 2**63 - 1, 3 * 2**61, 2**62 + 12345]
    outs = [random.bits(key, (50,), dtype="uint64"), random.bits(random.fold_in(key, 0), (50,))]
    got = symbolic.function([], [*outs, *(random.integers(key, (50,), 0, s) for s in spans)])()
    for span, values in zip(spans, got[2:], strict=True):
        want = [((int(x) << 32 | int(y)) * span) >> 96 for x, y in zip(got[0], got[1], strict=True)]
        assert values.tolist() == want


def test_ends_of_parameters():
    k, n = random.key(2), 1000
    p, lam, count = T.dvector("p"), T.dvector("lam"), T.lvector("count")
    outs = [random.binomial(k, None, count, p), random.poisson(k, None, lam), random.gamma(k, (n,), 1e-3),
            random.beta(k, (n,), 1e-3, 1e-3), random.gamma(k, (3,), [-1.0, 0.0, np.nan]), random.bernoulli(k, (n,), 0.0),
            random.bernoulli(k, (n,), 1.0), random.geometric(k, (n,), 1.0), random.truncated_normal(k, (n,), low=40.0, high=50.0),
            random.truncated_normal(k, (n,), low=1.0, high=1.0), random.uniform(k, (n,), 2.0, 2.0),
            random.normal(k, (n,), 3.0, 0.0)]
    chances = np.array([0.0, 1.0, 0.5, 1e-12, 1.0 - 1e-12, 0.5, 0.3])
    counts = np.array([10**6, 10**6, 0, 10**12, 10**12, 10**15, 1])
    means = np.array([0.0, 1e-300, 1e15, 1e9])
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        b, po, g, be, bad, no, yes, one, far, point, equal, steady = symbolic.function([p, lam, count], outs, mode=mode)(
            chances, means, counts)
        assert b[:3].tolist() == [0, 10**6, 0] and b[3] < 20 and 10**12 - 20 < b[4] <= 10**12 and b[6] in (0, 1)
        assert abs(b[5] - 5e14) < 6 * np.sqrt(2.5e14)
        assert po[:2].tolist() == [0, 0] and abs(po[2] - 1e15) < 6e7 * 6 and abs(po[3] - 1e9) < 6 * 10**4.5
        cuts = [1e-290, 1e-150, 1e-50, 1e-5, np.inf]  # half of them are below the smallest float
        counts_below = np.diff([0, *((g <= c).sum() for c in cuts)])
        assert stats.chisquare(counts_below, n * np.diff([0, *stats.gamma(1e-3).cdf(cuts)])).pvalue > STRICT
        assert ((be >= 0) & (be <= 1)).all() and 0.4 < be.mean() < 0.6
        assert np.isnan(bad).all() and not no.any() and yes.all() and (one == 1).all()
        assert (far == 40).all() and (point == 1).all() and (equal == 2).all() and (steady == 3).all()


def test_half_precision_and_integer_parameters():
    k = random.key(2)
    outs = [random.uniform(k, (5000,), dtype="float16"), random.normal(k, (5000,), 1, 2, dtype="float16"),
            random.uniform(k, (5000,), -1, 1, dtype="float16"), random.gamma(k, (100,), 2, dtype="float16"),
            random.normal(k, None, np.arange(3), np.ones((2, 1), "int8"))]
    u, z, v, g, m = symbolic.function([], outs)()
    assert {a.dtype.name for a in (u, z, v, g)} == {"float16"} and u.max() < 1 and m.shape == (2, 3) and m.dtype == "float64"
    assert stats.kstest(v.astype("float64"), stats.uniform(-1, 2).cdf).pvalue > STRICT
    assert stats.kstest(z.astype("float64"), stats.norm(1, 2).cdf).pvalue > STRICT


# ------------------------------------------------------------------------------------ orders and choices


def test_orders_and_choices():
    k, n = symbolic.shared(np.array([21, 0, 0, 0], "uint32"), broadcastable=(4,)), T.lscalar("n")
    x, rows = T.dvector("x"), T.imatrix("rows")
    p = np.array([0.2, 0.0, 0.5, 0.3])
    outs = {"long": random.permutation(k, n=n), "short": random.permutation(k, (6000,), 3, dtype="int8"),
            "row": random.shuffle_row_elements(k, rows), "vector": random.shuffle_row_elements(k, x),
            "first": random.shuffle(k, rows), "without": random.choice(k, (2, 3), n, replace=False),
            "weighted": random.choice(k, (3,), 4, False, p),
            "values": random.choice(k, (n,), x), "with": random.choice(k, (4000,), 4, p=p),
            "matrix": random.choice(k, (2,), rows), "single": random.choice(k, a=n),
            "rows of": random.choice_of_rows(k, 2, np.tile(p, (6000, 1)))}
    fast, slow = (symbolic.function([n, x, rows], outs, mode=mode) for mode in ("FAST_RUN", "FAST_COMPILE"))
    table = np.arange(12, dtype="int32").reshape(3, 4)
    for size in (6, 7, 8, 100):
        a, b = (f(size, [0.5, 1.5], table) for f in (fast, slow))
        for name in outs:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        assert sorted(a["long"]) == list(range(size))
        assert len(set(a["without"].ravel())) == 6 and a["without"].shape == (2, 3) and a["without"].max() < size
        assert set(a["values"]) <= {0.5, 1.5} and a["values"].shape == (size,) and 0 <= a["single"] < size
    np.testing.assert_array_equal(np.sort(a["row"], 1), table)
    assert sorted(map(tuple, a["first"])) == list(map(tuple, table)) and sorted(a["vector"]) == [0.5, 1.5]
    assert a["matrix"].shape == (2, 4) and set(a["weighted"]) == {0, 2, 3}
    counts = np.unique(a["short"], axis=0, return_counts=True)[1]
    assert a["short"].dtype == "int8" and len(counts) == 6 and stats.chisquare(counts).pvalue > STRICT
    assert stats.chisquare(np.bincount(a["with"])[[0, 2, 3]], 4000 * p[[0, 2, 3]]).pvalue > STRICT
    # two of (0.2, 0.5, 0.3) without replacement, in their order
    pairs = {(i, j): p[i] * p[j] / (1 - p[i]) for i in (0, 2, 3) for j in (0, 2, 3) if i != j}
    seen = [(a["rows of"] == q).all(axis=1).sum() for q in pairs]
    assert sum(seen) == 6000 and stats.chisquare(seen, 6000 * np.array(list(pairs.values()))).pvalue > STRICT


def test_multinomial():
    k, n = random.key(31), T.lvector("n")
    p = np.array([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1]])
    outs = [random.multinomial(k, (5000,), 1, p[0]), random.multinomial(k, (5000,), 20, p[0]), random.multinomial(k, None, n, p),
            random.multinomial(k, (5000, 2), 300, p), random.multinomial(k, (3,), 0, p[0]), random.categorical(k, p, (5000, 2))]
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        one, many, each, large, none, kinds = symbolic.function([n], outs, mode=mode)([7, 10**6])
        assert (one.sum(1) == 1).all() and set(one.ravel()) == {0, 1} and (many.sum(1) == 20).all()
        assert each.sum(1).tolist() == [7, 10**6] and each[1, 0] == 0 and abs(each[1, 1] - 9e5) < 2000
        assert (large.sum(2) == 300).all() and (large[:, 1, 0] == 0).all() and (none == 0).all() and none.shape == (3, 3)
        assert stats.chisquare(one.sum(0), 5000 * p[0]).pvalue > STRICT
        for c in range(3):
            assert chi_square(many[:, c], stats.binom(20, p[0, c])) > STRICT
            assert chi_square(large[:, 0, c], stats.binom(300, p[0, c])) > STRICT
        covariance = np.cov(large[:, 0].T) / 300
        np.testing.assert_allclose(covariance, np.diag(p[0]) - np.outer(p[0], p[0]), atol=0.02)
        assert (kinds[:, 1] > 0).all() and abs((kinds[:, 0] == 2).mean() - 0.5) < 0.03


# -------------------------------------------------------------------------------------------- gradients


def test_gradients_with_the_key_fixed():
    k = random.key(41)
    a, b = np.array([0.7, 1.3, 2.5, 4.0]), np.array([1.5, 0.8, 2.0, 0.6])
    families = [
        lambda x, y: random.uniform(k, None, x, x + y), lambda x, y: random.normal(k, None, x, y),
        lambda x, y: random.lognormal(k, None, x, y), lambda x, y: random.laplace(k, None, x, y),
        lambda x, y: random.logistic(k, None, x, y), lambda x, y: random.gumbel(k, None, x, y),
        lambda x, y: random.weibull(k, None, x, y), lambda x, y: random.pareto(k, None, x, y),
        lambda x, y: random.truncated_normal(k, None, x, y), lambda x, y: random.gamma(k, None, x, y),
        lambda x, y: random.beta(k, None, x, y), lambda x, y: random.exponential(k, None, x) * random.rayleigh(k, None, y),
        lambda x, y: random.chisquare(k, None, x) + random.student_t(k, None, 4.0, x, y),
        lambda x, y: random.cauchy(k, None, x, y),
    ]
    verify_grad(lambda x, y: T.stack([f(x, y) for f in families]), [a, b], n_tests=2, rng=np.random.default_rng(1))
    verify_grad(lambda x: random.normal(k, (3, 4), x, 1.0) ** 2, [a], n_tests=1)  # summed over what was broadcast


def test_tangents_and_second_derivatives():
    k = random.key(42)
    m, s, u = T.dvector("m"), T.dvector("s"), T.dvector("u")
    x = random.normal(k, None, m, s)
    z = random.normal(k, (3,))
    g = symbolic.grad((x ** 3).sum(), [m, s])
    second = symbolic.grad((g[1] * u).sum(), m)
    outs = symbolic.function([m, s, u], [x, z, symbolic.Rop(x, [m, s], [u, 2 * u]), *g, second])(
        np.ones(3), np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 0.5]))
    value, z, tangent, gm, gs, gg = outs
    u = np.array([1.0, -1.0, 0.5])
    np.testing.assert_allclose(tangent, u + 2 * u * z)
    np.testing.assert_allclose(gm, 3 * value ** 2)
    np.testing.assert_allclose(gs, 3 * value ** 2 * z)
    np.testing.assert_allclose(gg, 6 * value * z * u)


def test_tangents_of_what_is_drawn_by_rejection():
    """Forwards and backwards agree, also for second derivatives: <u, J v> = <J' u, v>."""
    k, rng = random.key(45), np.random.default_rng(2)
    a, v, u = T.dvector("a"), T.dvector("v"), T.dvector("u")
    x = random.gamma(k, None, a) + random.beta(k, None, a, 2.0) + random.student_t(k, None, a)
    g = symbolic.grad((x * u).sum(), a)
    outs = [symbolic.Rop(x, a, v), g, symbolic.Rop(g, a, v), symbolic.grad((g * v).sum(), a)]
    at, d, w = np.array([0.4, 1.7, 3.0]), rng.normal(size=3), rng.normal(size=3)
    jv, ju, hv, hv2 = symbolic.function([a, v, u], outs)(at, d, w)
    np.testing.assert_allclose(w @ jv, ju @ d, rtol=1e-10)
    np.testing.assert_allclose(hv, hv2, rtol=1e-10)


def test_batches_of_keys():
    """What is drawn with each of many keys is what each of them draws alone."""
    key, n = symbolic.TensorType("uint32", (4,))("key"), T.lscalar("n")
    outs = [random.normal(key, (n,)), random.bits(key, (2, n)), random.next_key(key), random.fold_in(key, 7),
            random.gamma(key, (n,), 0.5)]
    keys = symbolic.TensorType("uint32", (None, 4))("keys")
    many = [v for v, has in batched(outs, {key: keys}) if has]
    one, all_ = symbolic.function([key, n], outs), symbolic.function([keys, n], many)
    table = np.random.default_rng(0).integers(0, 2**32, (3, 4), dtype="uint32")
    for got, *want in zip(all_(table, 5), *(one(row, 5) for row in table), strict=True):
        np.testing.assert_allclose(got, np.stack(want), rtol=1e-13)


def test_counts_have_no_gradient():
    p, k = T.dvector("p"), random.key(43)
    for x in (random.bernoulli(k, None, p, dtype="float64"), random.binomial(k, None, 50, p, dtype="float64"),
              random.poisson(k, None, p, dtype="float64"), random.binomial(k, None, 1, p, dtype="float64")):
        with pytest.raises(symbolic.errors.DisconnectedInputError):
            symbolic.grad(x.sum(), p)
        g = symbolic.grad((x * p).sum(), p)
        value, got = symbolic.function([p], [x, g])([0.2, 0.5, 0.9])
        np.testing.assert_array_equal(value, got)


def test_gradient_estimates_the_gradient_of_an_expectation():
    """d/dm E[x**2] = 2 m and d/ds E[x**2] = 2 s for normal x; of exponential x, d/ds E[x**2] = 4 s."""
    k, m, s = random.key(44), T.dscalar("m"), T.dscalar("s")
    cost = (random.normal(k, (200_000,), m, s) ** 2).mean()
    other = (random.exponential(k, (200_000,), s) ** 2).mean()
    gm, gs, ge = symbolic.function([m, s], [*symbolic.grad(cost, [m, s]), symbolic.grad(other, s)])(1.5, 0.7)
    np.testing.assert_allclose([gm, gs, ge], [3.0, 1.4, 2.8], rtol=0.03)


def test_scales_and_bounds_out_of_range():
    """Known when the graph is built they are an error, else the sample is nan; an empty interval is none."""
    key, s = random.key(1), T.dscalar()
    mrg = MRG_RandomStreams(3)
    for make in (random.normal, random.lognormal):
        with pytest.raises(errors.ParameterError, match="can't be negative"):
            make(key, (3,), 0.0, -1.0)
    for make in (lambda d: random.uniform(key, (3,), 2.0, 1.0, dtype=d), lambda d: mrg.uniform((3,), 2.0, 1.0, dtype=d)):
        for dtype in ("float16", "float32", "float64"):
            with pytest.raises(errors.ParameterError, match="high is below low"):
                make(dtype)
    with pytest.raises(errors.ParameterError, match="std can't be negative"):
        mrg.normal((3,), std=-1.0)
    outs = [random.normal(key, (3,), 1.0, s), random.uniform(key, (3,), 0.0, s), mrg.normal((3,), std=s),
            mrg.uniform((3,), high=s)]
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([s], outs, mode=mode)
        assert all(np.isnan(a).all() for a in f(-1.0))
        assert all(np.isfinite(a).all() for a in f(2.0)) and all(np.isfinite(a).all() for a in f(0.0))


def test_counts_beyond_the_largest_integer():
    key = random.key(1)
    dtypes = ("int8", "int32", "int64", "uint64")
    outs = [f for d in dtypes for f in (random.geometric(key, (3,), 1e-300, dtype=d),
                                        random.negative_binomial(key, (3,), 1e3, 1e-300, dtype=d))]
    near = random.negative_binomial(key, (1000,), 4.0, 1e-16)
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        *got, mean = symbolic.function([], [*outs, near], mode=mode)()
        for k, a in enumerate(got):
            assert a.dtype == dtypes[k // 2] and (a == np.iinfo(a.dtype).max).all()
        assert 3.8e16 < mean.mean() < 4.2e16 and mean.min() > 0
