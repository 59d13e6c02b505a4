"""The generator and its draws: published vectors, both back ends alike, layouts, keys, errors."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import symbolic
import symbolic.tensor as T
from symbolic import errors, random
from symbolic.codegen.reference import evaluate_expr
from symbolic.config import config
from symbolic.ops.extents import as_extents
from symbolic.ops.random_draw import KINDS, draw
from symbolic.ops.random_key import key_value
from symbolic.philox import philox4x32
from symbolic.scalar import ATOMS, Expr, IndexLambda, axis, const, dim, load

#: counter (4), key (2), result (4): the three vectors of 10 rounds in Random123's kat_vectors
VECTORS = [
    ("00000000 00000000 00000000 00000000 00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(w, 16) for w in text.split()]


def philox_of_python(counter: list[int], key: list[int]) -> list[int]:
    """The algorithm as the paper states it, over Python's integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(q >> 32) ^ c[1] ^ k[0], q % 2**32, (p >> 32) ^ c[3] ^ k[1], p % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


class _Words(symbolic.Op):
    """Word `word` of the blocks at the counters and keys that are the rows of a matrix of six columns."""

    __props__ = ("word",)

    def __init__(self, word):
        self.word = word

    def infer_type(self, *types):
        return (symbolic.TensorType("uint32", types[0].shape[:1]),)

    def infer_shape(self, *types):
        return ((dim(0, 0),),)

    def compute(self, *types):
        args = tuple(load(0, (axis(0), const(k, "int64")), "uint32") for k in range(6))
        return IndexLambda(Expr(f"philox{self.word}", args, None, "uint32"))


def test_published_vectors():
    table = np.array([words(a) for a, _ in VECTORS], "uint32")
    want = np.array([words(b) for _, b in VECTORS], "uint32")
    np.testing.assert_array_equal(np.stack(philox4x32(*table.T), 1), want)
    x = T.TensorType("uint32", (None, None))("x")
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        got = symbolic.function([x], [_Words(k)(x) for k in range(4)], mode=mode)(table)
        np.testing.assert_array_equal(np.stack(got, 1), want)
    assert [philox_of_python(words(a)[:4], words(a)[4:]) for a, _ in VECTORS] == [words(b) for _, b in VECTORS]


def test_keys():
    rng = np.random.default_rng(0)
    key = rng.integers(0, 2**32, 4, dtype="uint32")
    k = symbolic.constant(key)
    seed = T.lscalar("seed")
    outs = [random.next_key(k), random.next_key(np.array([1, 2, 2**32 - 1, 6], "uint32")), random.fold_in(k, 3),
            random.fold_in(k, [[5, 2**40]]), random.split(k, 3), random.key(seed), random.key(2**40 + 7)]
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        nxt, carried, one, many, three, dynamic, static = symbolic.function([seed], outs, mode=mode)(2**40 + 7)
        assert nxt.tolist() == [key[0], key[1], key[2] + 1, key[3]] and carried.tolist() == [1, 2, 0, 7]

        def derived(low, high, domain):
            return philox_of_python([low, high | domain, int(key[2]), int(key[3])], [int(key[0]), int(key[1])])

        assert one.tolist() == derived(3, 0, 0x80000000)
        assert many.tolist() == [[derived(5, 0, 0x80000000), derived(0, 256, 0x80000000)]]
        assert three.tolist() == [derived(i, 0, 0xC0000000) for i in range(3)]
        assert dynamic.tolist() == static.tolist() == [7, 256, 0, 0]
    assert key_value(9, 2).tolist() == philox_of_python([2, 0x80000000, 0, 0], [9, 0])
    assert random.key(-1).data.tolist() == [2**32 - 1, 2**32 - 1, 0, 0]


def test_bits_are_the_blocks_of_the_generator():
    """Element i of n: part i // m of block i % m, m = n // parts; what is left over has blocks of its own."""
    key = np.array([11, 22, 33, 44], "uint32")
    sizes = (1, 2, 3, 4, 5, 11, 16, 31)
    outs = [v for n in sizes for v in (random.bits(key, (n,)), random.bits(key, (n,), dtype="uint64"))]
    got = iter(symbolic.function([], outs)())
    for n in sizes:
        for parts, one in ((4, lambda w, q: w[q]), (2, lambda w, q: w[2 * q] | w[2 * q + 1] << 32)):
            m = n // parts
            want = []
            for i in range(n):
                q, b = (i // m, i % m) if i < parts * m else (0, i - (parts - 1) * m)
                want.append(one(philox_of_python([b, 0, 33, 44], [11, 22]), q))
            assert next(got).tolist() == want, (n, parts)


def _same(a: np.ndarray, b: np.ndarray, name: str) -> None:
    assert a.dtype == b.dtype and a.shape == b.shape, name
    if name.startswith("normal"):  # logarithms differ by some units in the last place
        np.testing.assert_allclose(a, b, rtol={"float16": 2e-3, "float32": 3e-6, "float64": 1e-14}[a.dtype.name], err_msg=name)
    else:
        np.testing.assert_array_equal(a, b, err_msg=name)


def test_draws_are_the_same_in_both_back_ends():
    n, m = T.lscalars("nm")
    key = symbolic.shared(key_value(5, 1), broadcastable=(4,))
    shapes = {"vector": (n,), "matrix": (n, m), "known": (3, 5), "mixed": (2, n, 1), "scalar": (), "none": (0, n)}
    outs = {f"{k} {d} {s}": draw(k, key, as_extents(shape, "test"), d) for k, d in KINDS for s, shape in shapes.items()}
    fast, slow = (symbolic.function([n, m], outs, mode=mode) for mode in ("FAST_RUN", "FAST_COMPILE"))
    for args in ((1, 1), (3, 2), (7, 5), (0, 4)):
        a, b = fast(*args), slow(*args)
        for name in outs:
            _same(a[name], b[name], name)
    # a shape doesn't matter for the numbers, only its size
    a = fast(30, 1)
    assert a["uniform float32 vector"].tolist() == a["uniform float32 matrix"].ravel().tolist()


def test_ranges_of_uniform_draws():
    """The ends of each kind, from words of only zeros or ones: what can't be met by chance."""
    zero, ones = const(0, "uint32"), const(2**32 - 1, "uint32")
    for (name, dtype), kind in KINDS.items():
        if name in ("bits", "normal"):
            continue
        for word, end in ((zero, 0), (ones, 1)):
            for part in range(kind.parts):
                body = kind.body([word] * 4, const(part, "int64"))
                value = evaluate_expr(body, [], {})
                assert np.asarray(value).dtype == dtype
                inside = {"uniform": 0 <= value < 1, "open": 0 < value < 1, "fraction": 0 < value <= 1}[name]
                assert inside and abs(value - end) < 1e-3, (name, dtype, end, value)


def test_normal_numbers_by_the_formula():
    """Against Box and Muller's formula over the same words, in long double."""
    key = np.array([1, 2, 3, 4], "uint32")
    m = 500
    f32, f64 = symbolic.function([], [random.normal(key, (4 * m,), dtype="float32"), random.normal(key, (2 * m,))])()
    w = np.array([philox_of_python([b, 0, 3, 4], [1, 2]) for b in range(m)]).astype("longdouble")
    for first, second, at in ((0, 1, 0), (2, 3, 2 * m)):
        r = np.sqrt(-2 * np.log((w[:, first] // 2 + 0.5) / 2**31))
        angle = 2 * np.pi * w[:, second] / 2**32
        np.testing.assert_allclose(f32[at:at + m], -r * np.cos(angle), rtol=0, atol=2e-6)
        np.testing.assert_allclose(f32[at + m:at + 2 * m], r * np.sin(angle), rtol=0, atol=2e-6)
    u = ((w[:, 0] // 32) * 2.0**26 + w[:, 1] // 64 + 0.5) * 2.0**-53
    turn = ((w[:, 2] // 32) * 2.0**26 + w[:, 3] // 64) * 2.0**-53
    r = np.sqrt(-2 * np.log(u))
    pi = np.longdouble("3.14159265358979323846264338327950288")
    np.testing.assert_allclose(f64[:m], (-r * np.cos(2 * pi * turn)).astype("float64"), rtol=0, atol=4e-15)
    np.testing.assert_allclose(f64[m:], (r * np.sin(2 * pi * turn)).astype("float64"), rtol=0, atol=4e-15)


def test_fused_with_readers_of_all_kinds():
    """Flat loops share blocks, others don't: the numbers are the same as those of a sample by itself."""
    x, row = T.fmatrix("x"), T.fvector("row")
    key = symbolic.constant(key_value(3, 3))
    u = random.uniform(key, x.shape, dtype="float32")
    readers = [x * u, x * u + row, T.exp(x + u).sum(axis=1), (x * u).sum(axis=0), (x * u).sum(), T.nnet.softmax(x * u), (x * u).T,
               (x * u)[1:, ::2], T.switch(u < 0.3, x, 0.0), u + random.normal(key, x.shape, dtype="float64")]
    alone = symbolic.function([x], u)
    s, z = T.fmatrix(), T.dmatrix()
    by_hand = [x * s, x * s + row, T.exp(x + s).sum(axis=1), (x * s).sum(axis=0), (x * s).sum(), T.nnet.softmax(x * s), (x * s).T,
               (x * s)[1:, ::2], T.switch(s < 0.3, x, 0.0), s + z]
    fused = [symbolic.function([x, row], r, on_unused_input="ignore") for r in readers]
    plain = symbolic.function([x, row, s, z], by_hand)
    draws = symbolic.function([x], random.normal(key, x.shape, dtype="float64"))
    for shape in ((7, 9), (1, 5), (8, 1), (64, 333)):
        a, b = np.random.default_rng(1).normal(size=shape).astype("float32"), np.ones(shape[1], "float32")
        for f, want in zip(fused, plain(a, b, alone(a), draws(a)), strict=True):
            np.testing.assert_allclose(f(a, b), want, rtol=3e-5, atol=1e-6)


def test_numbers_dont_depend_on_threads():
    key = symbolic.shared(key_value(8, 0), broadcastable=(4,))
    outs = [random.uniform(key, (100_003,), dtype="float32"), random.normal(key, (301, 333)), random.gamma(key, (50_001,), 0.7),
            random.poisson(key, (50_001,), 20.0)]
    found = []
    for threads in (1, 2):
        with config.change_flags(threads=threads, openmp_threshold=10_000):
            found.append(symbolic.function([], outs)())
    for a, b in zip(*found, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("make, error, text", [
    (lambda: random.uniform([1, 2, 3, 4], (2,)), errors.DTypeError, "a key is a vector of 4 uint32, got .*int8"),
    (lambda: random.uniform(random.key(1), (-1,)), errors.ShapeError, "an extent can't be negative"),
    (lambda: random.uniform(random.key(1), (2,), dtype="int32"), errors.DTypeError, "uniform: a sample of real numbers"),
    (lambda: random.normal(random.key(1), (2,), avg=np.zeros(3)), errors.ShapeError, "avg of extent 3 on axis -1 doesn't"),
    (lambda: random.normal(random.key(1), (2,), std=np.zeros((2, 2))), errors.RankError, "std has 2 dimensions, the sample 1"),
    (lambda: random.normal(random.key(1), (2,), avg=1j), errors.DTypeError, "avg must be real"),
    (lambda: random.uniform(random.key(1), (2, 3), ndim=1), errors.RankError, "ndim is 1, but size has 2"),
    (lambda: random.uniform(random.key(1), T.lvector("size")), errors.ShapeError, "the number of dimensions isn't known"),
    (lambda: random.uniform(random.key(1), (2.5,)), errors.DTypeError, "expected an integer scalar"),
    (lambda: random.normal(random.key(1), 3.0), errors.DTypeError, "a sequence of integers, got 3.0"),
    (lambda: random.key(1.5), errors.DTypeError, "a seed is an integer"),
    (lambda: random.random_integers(random.key(1), (2,), 3, 2), errors.ParameterError, "high is below low"),
    (lambda: random.integers(random.key(1), (2,), 2, 2), errors.ParameterError, "high isn't above low"),
    (lambda: random.integers(random.key(1), (2,), 0.5, 2), errors.DTypeError, "low must be integers"),
    (lambda: random.binomial(random.key(1), (2,), 1, 1.5), errors.ParameterError, "p must be from 0 to 1"),
    (lambda: random.binomial(random.key(1), (2,), -1, 0.5), errors.ParameterError, "n must be from 0"),
    (lambda: random.poisson(random.key(1), (2,), -1.0), errors.ParameterError, "lam must be from 0"),
    (lambda: random.poisson(random.key(1), (2,), np.nan), errors.ParameterError, "lam must be from 0"),
    (lambda: random.geometric(random.key(1), (2,), 0.0), errors.ParameterError, r"p must be in \(0, 1\]"),
    (lambda: random.categorical(random.key(1), [0.0, 0.0]), errors.ParameterError, "of a positive, finite sum"),
    (lambda: random.choice(random.key(1), (3,), 2, replace=False), errors.ParameterError, "more elements are wanted"),
    (lambda: random.choice(random.key(1), (3,), 2, p=[0.1, 0.2, 0.7]), errors.ShapeError, "p has 3 chances for 2 elements"),
    (lambda: random.choice(random.key(1), (3,), 2.5), errors.DTypeError, "a is a number of elements or an array"),
    (lambda: random.shuffle_row_elements(random.key(1), 1.0), errors.RankError, "expected a vector or a matrix"),
    (lambda: random.permutation(random.key(1), n=-1), errors.ParameterError, "n can't be negative"),
])
def test_errors_while_building(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_errors_while_running(mode):
    n, low, high = T.lscalars("n", "low", "high")
    p = T.dvector("p")
    k = random.key(1)
    cases = [
        (random.uniform(k, (n,)), (-1, 0, 0, []), errors.ShapeError, "an extent can't be negative"),
        (random.integers(k, (n,), low, high), (3, 5, 5, []), errors.ParameterError, "high isn't above low"),
        (random.binomial(k, None, 10, p), (0, 0, 0, [0.5, 1.5]), errors.ParameterError, "p must be from 0 to 1"),
        (random.poisson(k, None, p), (0, 0, 0, [0.5, -1]), errors.ParameterError, "lam must be"),
        (random.choice(k, (n,), high, replace=False), (3, 0, 2, []), errors.ParameterError, "more elements are wanted"),
        (random.normal(k, (n,), avg=p), (3, 0, 0, [1, 2]), errors.ShapeError, "don't broadcast"),
        (random.uniform(k, (1,), p), (3, 0, 0, [1, 2]), errors.ShapeError, "expected 1"),
    ]
    for out, args, error, text in cases:
        f = symbolic.function([n, low, high, p], out, on_unused_input="ignore", mode=mode)
        with pytest.raises(error, match=text):
            f(*args)


def test_parameters_broadcast_where_extents_turn_out_to_be_one():
    low, high = T.dvector("low"), T.dmatrix("high")
    u = random.uniform(random.key(1), None, low, high)
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        f = symbolic.function([low, high], u, mode=mode)
        for a, b in (((3,), (2, 3)), ((1,), (2, 3)), ((3,), (2, 1)), ((3,), (1, 3)), ((1,), (1, 1))):
            shape = np.broadcast_shapes(a, b)
            x = f(np.zeros(a), np.ones(b))
            np.testing.assert_array_equal(x, symbolic.function([], random.uniform(random.key(1), shape))())


def test_streams_of_a_key_are_independent():
    """Neighbours in every way that keys are made: no correlation, and together as uniform as one sample."""
    k = random.key(5)
    keys = [k, random.next_key(k), random.next_key(random.next_key(k)), random.fold_in(k, 0), random.fold_in(k, 1),
            random.split(k, 2)[0], random.split(k, 2)[1], random.key(6)]
    u = np.array(symbolic.function([], [random.uniform(q, (20_000,)) for q in keys])())
    c = np.corrcoef(u) - np.eye(len(keys))
    assert np.abs(c).max() < 4.5 / np.sqrt(20_000)
    assert stats.kstest(u.ravel(), stats.uniform.cdf).pvalue > 1e-3


def test_two_draws_with_one_key_are_one():
    k = random.key(1)
    a, b = symbolic.function([], [random.uniform(k, (5,)), random.uniform(k, (5,))])()
    np.testing.assert_array_equal(a, b)


def test_atoms_say_the_same_in_numpy_and_c_for_any_counter():
    rng = np.random.default_rng(4)
    table = rng.integers(0, 2**32, (200, 6), dtype="uint32")
    x = T.TensorType("uint32", (None, None))("x")
    got = symbolic.function([x], [_Words(k)(x) for k in range(4)])(table)
    np.testing.assert_array_equal(np.stack(got, 1), [philox_of_python(r[:4].tolist(), r[4:].tolist()) for r in table])
    assert {"philox0", "philox1", "philox2", "philox3"} <= set(ATOMS)
