"""RandomStreams: states, default updates, seeds; streams in loops and branches; dropout; copies and pickles."""
from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest
from scipy import stats

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from symbolic import random
from symbolic.ops.random_key import key_value
from symbolic.sandbox.rng_mrg import MRG_RandomStreams
from symbolic.tensor.shared_randomstreams import RandomStreams

BOTH = pytest.mark.parametrize("streams", [RandomStreams, MRG_RandomStreams])


def differ(a, b) -> bool:
    return bool((np.asarray(a) != np.asarray(b)).all())


# ------------------------------------------------------------------------------------------------ states


@BOTH
def test_each_call_draws_new_numbers_unless_told_otherwise(streams):
    rng = streams(5)
    x, y = rng.normal((3,)), rng.normal((3,))
    f = symbolic.function([], [x, x, y])
    a, b = f(), f()
    np.testing.assert_array_equal(a[0], a[1])  # one draw is one value
    assert differ(a[0], a[2]) and differ(a[0], b[0]) and differ(a[2], b[2])  # two draws never are
    still = symbolic.function([], x, no_default_updates=True)
    np.testing.assert_array_equal(still(), still())
    half = symbolic.function([], [x, y], no_default_updates=[x.rng])
    a, b = half(), half()
    np.testing.assert_array_equal(a[0], b[0])
    assert differ(a[1], b[1])


@BOTH
def test_states_can_be_seen_and_set(streams):
    rng = streams(5)
    x, y = rng.uniform((4,)), rng.uniform((4,))
    state, new = x.update
    assert x.rng is state and state.default_update is new and rng.updates() == [x.update, y.update] == rng.state_updates
    f = symbolic.function([], [x, new])
    before = state.get_value()
    first, after = f()
    np.testing.assert_array_equal(state.get_value(), after)
    assert (before != after).any()
    state.set_value(before)
    np.testing.assert_array_equal(f()[0], first)
    with pytest.raises(AttributeError, match="has no rng: it isn't what a random stream returned"):
        _ = T.dvector("v").rng
    assert not hasattr(T.dvector(), "update")


@BOTH
def test_seeds(streams):
    def numbers(rng):
        outs = [rng.uniform((3,)), rng.normal((2, 2))]
        return outs, symbolic.function([], outs)

    (outs, f), (_, g) = numbers(streams(7)), numbers(streams(7))
    a, b = [f(), f()], [g(), g()]
    for p, q in zip(a, b, strict=True):
        for u, v in zip(p, q, strict=True):
            np.testing.assert_array_equal(u, v)
    rng = streams(8)
    outs, h = numbers(rng)
    assert differ(h()[0], a[0][0])
    rng.seed(7)
    np.testing.assert_array_equal(h()[1], a[0][1])
    rng.seed(8)
    first = h()
    rng.seed()
    np.testing.assert_array_equal(h()[0], first[0])


def test_seeds_of_philox_streams():
    assert differ(*(symbolic.function([], RandomStreams().uniform((4,)))() for _ in range(2)))
    rng = RandomStreams(2**70 + 3)
    np.testing.assert_array_equal(rng.uniform((1,)).rng.get_value(), key_value(3, 0))
    for bad in (1.5, "a", True):
        with pytest.raises(TypeError, match="a seed is an integer or None"):
            RandomStreams(bad)
    # the k-th draw is that of fold_in(key(seed), k)
    u = symbolic.function([], [RandomStreams(9).uniform((3,)), random.uniform(random.fold_in(random.key(9), 0), (3,))])()
    np.testing.assert_array_equal(*u)


def test_states_by_sample():
    rng = RandomStreams(3)
    x = rng.uniform((2,))
    f = symbolic.function([], x)
    state, first = rng[x], f()
    rng[x.rng] = state
    np.testing.assert_array_equal(f(), first)
    with pytest.raises(KeyError, match="wasn't drawn from this stream"):
        _ = rng[RandomStreams(3).uniform((2,))]


def test_updates_passed_by_hand():
    rng = RandomStreams(3)
    x = rng.uniform((2,))
    a = symbolic.function([], x, updates=rng.updates())
    first, second = a(), a()
    assert differ(first, second)
    rng.seed()
    b = symbolic.function([], x, updates=[(x.rng, x.rng)])  # an update of one's own comes before the default
    np.testing.assert_array_equal(b(), first)
    np.testing.assert_array_equal(b(), first)


def test_sizes():
    rng = RandomStreams(3)
    n, size, x = T.lscalar("n"), T.lvector("size"), T.dmatrix("x")
    outs = [rng.uniform(5), rng.uniform((n, 2)), rng.uniform(size, ndim=2), rng.uniform(x.shape), rng.uniform(x.shape[0:1]),
            rng.normal(avg=x), rng.normal((), std=2.0), rng.uniform(np.array([2, 3])), rng.normal((2, *[3]), x[0]),
            rng.uniform([n, x.shape[1]])]
    assert [o.ndim for o in outs] == [1, 2, 2, 2, 1, 2, 0, 2, 2, 2]
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        got = symbolic.function([n, size, x], outs, mode=mode)(4, [1, 6], np.zeros((2, 3)))
        assert [g.shape for g in got] == [(5,), (4, 2), (1, 6), (2, 3), (2,), (2, 3), (), (2, 3), (2, 3), (4, 3)]


@pytest.mark.parametrize("floatX", ["float32", "float64"])
def test_dtypes(floatX):
    with symbolic.config.change_flags(floatX=floatX):
        for rng in (RandomStreams(1), MRG_RandomStreams(1)):
            assert rng.uniform((2,)).dtype == rng.normal((2,)).dtype == floatX
            assert rng.uniform((2,), low=np.float64(0)).dtype == rng.normal((2,), avg=np.zeros(2)).dtype == "float64"
            assert rng.normal((2,), avg=np.zeros(2), dtype="float32").dtype == "float32"
            assert rng.binomial((2,), 1, 0.5).dtype == "int64"
            assert rng.binomial((2,), n=1, p=0.5, dtype=floatX).dtype == floatX


def test_every_method_has_the_signature_of_its_function():
    for name in random.__all__:
        if name in ("key", "next_key", "fold_in", "split", "choice_of_rows"):
            continue
        of_function = list(inspect.signature(getattr(random, name)).parameters)
        assert list(inspect.signature(getattr(RandomStreams(1), name)).parameters) == of_function[1:], name
        assert getattr(RandomStreams, name).__doc__
    rng = RandomStreams(1)
    assert rng.gen(random.gumbel, (3,)).update[0] is rng.state_updates[-1][0]
    with pytest.raises(TypeError):
        iter(rng)
    n = len(rng.state_updates)
    with pytest.raises(symbolic.errors.ParameterError):
        rng.poisson((2,), -1.0)
    assert len(rng.state_updates) == n  # a draw that failed leaves the others' seeds as they were


def test_theanos_argument_order():
    rng = RandomStreams(1)
    outs = [rng.uniform((3,), 2.0, 3.0, 1, "float64"), rng.normal((3,), 10.0, 0.1, 1, "float64"),
            rng.binomial((3,), 5, 1.0, 1, "int32"), rng.random_integers((3,), 4, 4, 1, "int16"),
            rng.choice((3,), 5, True, [0, 0, 0, 0, 1.0], 1, "int8"), rng.poisson((3,), 0.0, 1, "int64"),
            rng.permutation((3,), 4, 1, "int64"), rng.multinomial((3,), 2, [0.0, 1.0], 1, "int64"),
            rng.shuffle_row_elements(np.ones((2, 2)))]
    got = symbolic.function([], outs)()
    assert (got[0] >= 2).all() and (abs(got[1] - 10) < 1).all() and (got[2] == 5).all() and (got[3] == 4).all()
    assert (got[4] == 4).all() and (got[5] == 0).all() and got[6].shape == (3, 4) and got[7].tolist() == [[0, 2]] * 3
    assert [g.dtype.name for g in got] == ["float64", "float64", "int32", "int16", "int8", "int64", "int64", "int64", "float64"]


# --------------------------------------------------------------------------------- functions with states


def test_pickles_and_copies():
    rng = RandomStreams(13)
    f = symbolic.function([], [rng.uniform((3,)), rng.gamma((2,), 2.0)])
    f()
    blob = pickle.dumps(f)
    want = [f() for _ in range(2)]
    g = pickle.loads(blob)
    for w in want:
        for a, b in zip(w, g(), strict=True):
            np.testing.assert_array_equal(a, b)
    rng2, sample = pickle.loads(pickle.dumps((rng, rng.uniform((2,)))))
    assert len(rng2.state_updates) == 3
    twin = copy.deepcopy(rng)
    assert all((a.get_value() == b.get_value()).all() for (a, _), (b, _) in
               zip(rng.state_updates, twin.state_updates, strict=True))
    shared_state = f.copy()
    assert differ(f()[0], shared_state()[0])  # a copy shares states: it goes on where the other is
    other = f.copy(swap={s: symbolic.shared(s.get_value(), broadcastable=(4,)) for s in f.spec.shareds})
    np.testing.assert_array_equal(f()[0], other()[0])


def test_an_update_that_is_random_advances_its_stream():
    """w += noise: the default update of the state is found through the update, and through a default update."""
    rng = RandomStreams(3)
    w, v = symbolic.shared(np.zeros(3), "w"), symbolic.shared(np.zeros(3), "v")
    step = symbolic.function([], [], updates=[(w, w + rng.normal((3,)))])
    step()
    first = w.get_value()
    step()
    assert differ(w.get_value() - first, first)
    v.default_update = v + rng.normal((3,))
    read = symbolic.function([], v)
    read()
    one = v.get_value()
    read()
    assert differ(v.get_value() - one, one)


def test_givens_reach_the_sizes_of_draws():
    rng = RandomStreams(3)
    x, data = T.dmatrix("x"), symbolic.shared(np.arange(12.0).reshape(6, 2))
    noisy, _ = symbolic.scan(lambda row: row + rng.normal((2,)), x)
    i = T.lscalar("i")
    f = symbolic.function([i], noisy, givens={x: data[i:i + 3]})
    a, b = f(0), f(0)
    assert a.shape == (3, 2) and differ(a, b)


def test_dropout():
    """Training: a mask of its own in each call, gradients masked alike; testing: the expression without it."""
    rng = RandomStreams(17)
    x, w = T.fmatrix("x"), symbolic.shared(np.ones((50, 40), "float32"), "w")
    keep = 0.8
    h = T.dot(x, w)
    mask = rng.binomial(h.shape, n=1, p=keep, dtype="float32")
    dropped = h * mask / np.float32(keep)
    g = symbolic.grad(dropped.sum(), w)
    train, test = symbolic.function([x], [dropped, mask, g]), symbolic.function([x], h)
    data = np.random.default_rng(0).normal(size=(300, 50)).astype("float32")
    plain = test(data)
    y, m, gw = train(data)
    assert set(np.unique(m)) == {0, 1} and abs(m.mean() - keep) < 4 * np.sqrt(keep * (1 - keep) / m.size)
    np.testing.assert_allclose(y, plain * m / np.float32(keep), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gw, data.T @ (m / np.float32(keep)), rtol=1e-3, atol=1e-3)
    assert (train(data)[1] != m).mean() > 0.2


# ---------------------------------------------------------------------------------------- loops and branches


@BOTH
@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_scan_draws_anew_in_each_step(streams, mode):
    rng = streams(3)
    x = T.dvector("x")
    walk, updates = symbolic.scan(lambda e, s: s + e * rng.normal((), dtype="float64"), x, T.constant(0.0))
    assert len(updates) == 1
    got = {}
    for how, options in (("passed on", {"updates": updates}), ("forgotten", {}), ("refused", {"no_default_updates": True})):
        rng.seed()
        f = symbolic.function([x], walk, mode=mode, **options)
        got[how] = [np.diff(f(np.ones(50)), prepend=0.0) for _ in range(2)]
    for a, b in zip(got["passed on"], got["forgotten"], strict=True):
        np.testing.assert_array_equal(a, b)
    both = np.concatenate(got["forgotten"])
    assert len(set(both)) == 100 and stats.kstest(both, stats.norm.cdf).pvalue > 1e-3
    np.testing.assert_array_equal(*got["refused"])
    np.testing.assert_array_equal(got["refused"][0], got["forgotten"][0])
    rng.seed()  # a loop that takes no step leaves the state alone
    before = [s.get_value() for s in updates]
    symbolic.function([x], walk, mode=mode)([])
    np.testing.assert_array_equal(before, [s.get_value() for s in updates])


def test_a_sample_from_outside_is_one_for_all_steps():
    rng = RandomStreams(3)
    x = T.dmatrix("x")
    mask = rng.binomial((8,), dtype="float64")
    for ys, _ in (symbolic.scan(lambda row: row * mask, x), symbolic.scan(lambda row, m: row * m, x, non_sequences=mask)):
        f = symbolic.function([x], ys)
        a, b = f(np.ones((5, 8))), f(np.ones((5, 8)))
        assert (a == a[0]).all() and (a[0] != b[0]).any()


@BOTH
def test_nested_loops_and_until(streams):
    rng = streams(4)
    x = T.dvector("x")

    def step(carry, e):
        noise = rng.uniform((2,), dtype="float64")

        def inner(c, _):
            return c + rng.normal((2,), dtype="float64"), c

        last, _ = symbolic.loop(inner, carry, length=3)
        return last + noise * e, last

    _, trace = symbolic.loop(step, T.zeros((2,), "float64"), x)
    until, updates = symbolic.scan(lambda s: (s + rng.uniform((), dtype="float64"), symbolic.until(s > 2)), None, T.constant(0.0),
                                   n_steps=100)
    found = []
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        rng.seed()
        f = symbolic.function([x], [trace, until], mode=mode)
        found.append([f(np.ones(4)) for _ in range(3)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-12)
        np.testing.assert_array_equal(a[1], b[1])
    steps = np.diff(np.concatenate([c[0] for c in found[0]], axis=0), axis=0).ravel()
    walks = np.concatenate([c[1] for c in found[0]])
    assert len(set(steps)) == steps.size and len(set(walks)) == len(walks)
    # the state after a loop is that of the steps it took, not of those it might have
    if streams is RandomStreams:
        (state,) = updates
        rng.seed()
        before = state.get_value()[2]
        taken = len(symbolic.function([], until)())
        assert state.get_value()[2] - before == taken < 100


@pytest.mark.parametrize("name", ["map", "reduce", "foldr", "scan_checkpoints", "backwards"])
def test_other_loops(name):
    rng, x = RandomStreams(4), T.dvector("x")

    def noise():
        return rng.uniform((), dtype="float64")

    out = {
        "map": lambda: symbolic.map(lambda e: e + noise(), x)[0],
        "reduce": lambda: symbolic.reduce(lambda e, s: s + e + noise(), x, T.constant(0.0))[0],
        "foldr": lambda: symbolic.foldr(lambda e, s: s + e + noise(), x, T.constant(0.0))[0],
        "scan_checkpoints": lambda: symbolic.scan_checkpoints(lambda e, s: s + noise(), x, T.constant(0.0), save_every_N=2)[0],
        "backwards": lambda: symbolic.loop(lambda c, e: (c + noise(), c + e), T.constant(0.0), x, reverse=True)[1],
    }[name]()
    found = []
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        rng.seed()
        f = symbolic.function([x], out, mode=mode)
        found.append(np.stack([f(np.zeros(6)) for _ in range(2)]))
    np.testing.assert_allclose(*found, rtol=1e-12)
    assert (found[0][0] != found[0][1]).any()
    if name in ("map", "scan_checkpoints"):
        assert len(set(found[0].ravel())) == found[0].size


def test_gradients_through_random_loops():
    """With the state fixed a loop is a function of its inputs: derivatives of all orders agree with differences."""
    rng = RandomStreams(6)
    x, s = T.dvector("x"), T.dscalar("s")

    def step(e, h):
        return T.tanh(h * 0.9 + e * rng.normal((), avg=1.0, std=s) + rng.uniform((), low=e, high=2.0))

    walk, _ = symbolic.scan(step, x, T.constant(0.1))
    cost = (walk ** 2).sum()
    gx, gs = symbolic.grad(cost, [x, s])
    hess = symbolic.grad((gx ** 2).sum() + gs, [x, s])
    f = symbolic.function([x, s], [cost, gx, gs, *hess], no_default_updates=True)
    at, sigma, eps = np.array([0.3, -0.2, 0.5]), 0.7, 1e-6

    def value(x, s, which):
        c, gx, gs, *_ = f(x, s)
        return c if which == 0 else (gx ** 2).sum() + gs

    _, *first_order, hx, hs = f(at, sigma)
    for which, (dx, ds) in enumerate((first_order, (hx, hs))):
        by_x = [(value(at + eps * e, sigma, which) - value(at - eps * e, sigma, which)) / (2 * eps) for e in np.eye(3)]
        by_s = (value(at, sigma + eps, which) - value(at, sigma - eps, which)) / (2 * eps)
        np.testing.assert_allclose(dx, by_x, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(ds, by_s, rtol=1e-5, atol=1e-7)
    # the loop back sees the numbers of the loop forth, also where the state moves on
    moving = symbolic.function([x, s], [cost, gx, gs])
    rng.seed()
    first = moving(at, sigma)
    rng.seed()
    np.testing.assert_array_equal(first[1], f(at, sigma)[1])
    np.testing.assert_array_equal(moving(at, sigma)[1], first[1])
    assert differ(moving(at, sigma)[1], first[1])


def test_strict_loops():
    rng = RandomStreams(6)
    x = T.dvector("x")
    ys, updates = symbolic.scan(lambda e: e + rng.uniform(()), x, strict=True)
    f = symbolic.function([x], ys)
    assert differ(f(np.zeros(3)), f(np.zeros(3)))


def test_branches():
    rng = RandomStreams(6)
    c, n = T.bscalar("c"), T.lscalar("n")
    y = symbolic.ifelse(c, rng.normal((n,)), rng.uniform((n,)) + 10)
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([c, n], y, mode=mode)
        assert f(1, 50).max() < 9 < f(0, 50).min() and differ(f(1, 3), f(1, 3))


def test_gibbs_chain():
    """An RBM's persistent chain: binomials in a loop, the chain kept in a shared variable, as programs of 2012 have it."""
    rng = MRG_RandomStreams(1234)
    w = symbolic.shared(np.random.default_rng(0).normal(size=(6, 4)), "w")
    chain = symbolic.shared(np.zeros((20, 6)), "chain")

    def gibbs(v):
        h = rng.binomial((20, 4), 1, T.nnet.sigmoid(T.dot(v, w)), dtype="float64")
        return rng.binomial((20, 6), 1, T.nnet.sigmoid(T.dot(h, w.T)), dtype="float64")

    vs, updates = symbolic.scan(gibbs, outputs_info=[chain], n_steps=5)
    updates[chain] = vs[-1]
    f = symbolic.function([], vs, updates=updates)
    a, b = f(), f()
    assert set(np.unique(a)) == {0, 1} and (a != b).any() and (chain.get_value() == b[-1]).all()
    assert all((a[k] != a[k + 1]).any() for k in range(4))


def test_the_generator_of_networks():
    before = lasagne.random.get_rng()
    try:
        for make in (np.random.RandomState, np.random.default_rng):
            found = []
            for _ in range(2):
                lasagne.random.set_rng(make(5))
                found.append((lasagne.random.new_seed(), lasagne.init.GlorotUniform()((3, 4))))
            assert found[0][0] == found[1][0] and 0 < found[0][0] < 2147462579
            np.testing.assert_array_equal(found[0][1], found[1][1])
            MRG_RandomStreams(found[0][0])
        with pytest.raises(TypeError, match="expected numpy.random, a RandomState or a Generator, got 5"):
            lasagne.random.set_rng(5)
    finally:
        lasagne.random.set_rng(before)
