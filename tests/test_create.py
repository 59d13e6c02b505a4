"""Arrays out of numbers, constructors of variables, Python's operators and the methods of variables."""
from __future__ import annotations

import numpy as np
import pytest
from test_elementwise import check_pullback

import symbolic
import symbolic.tensor as T
from symbolic.graph import Variable
from symbolic.ops.variables import PREFIXES, SHAPES
from symbolic.types import TensorType

M = np.array([[1.5, -2.5, 0.5, 3.0], [2.5, 0.0, -1.0, 7.0], [-0.5, 4.0, 9.0, -8.0]])
N = 3

#: what is built from m (3, 4) and the integer n = 3, and what NumPy says
CREATED = {
    "zeros": (lambda m, n: T.zeros((n, 2)), np.zeros((3, 2))),
    "zeros_vector": (lambda m, n: T.zeros(m.shape, "int8"), np.zeros((3, 4), "int8")),
    "zeros_scalar": (lambda m, n: T.zeros(()), np.zeros(())),
    "ones": (lambda m, n: T.ones(n, "float32"), np.ones(3, "float32")),
    "full": (lambda m, n: T.full((2, n), m[0, 0]), np.full((2, 3), 1.5)),
    "alloc": (lambda m, n: T.alloc(m[0], n, 4), np.tile(M[0], (3, 1))),
    "empty": (lambda m, n: T.AllocEmpty("float32")(n, 2) * 0, np.zeros((3, 2), "float32")),
    "zeros_like": (lambda m, n: m.zeros_like(), np.zeros((3, 4))),
    "ones_like": (lambda m, n: T.ones_like(m, dtype="int32"), np.ones((3, 4), "int32")),
    "full_like": (lambda m, n: T.full_like(m, n), np.full((3, 4), 3.0)),
    "arange": (lambda m, n: T.arange(n), np.arange(3)),
    "arange_step": (lambda m, n: T.arange(10, n, -2), np.arange(10, 3, -2)),
    "arange_none": (lambda m, n: T.arange(n, 0), np.arange(3, 0)),
    "arange_float": (lambda m, n: T.arange(0.0, m[0, 0], 0.4), np.arange(0, 1.5, 0.4)),
    "arange_dtype": (lambda m, n: T.arange(n, dtype="float32"), np.arange(3, dtype="float32")),
    "linspace": (lambda m, n: T.linspace(-1, m[0, 3], 7), np.linspace(-1, 3, 7)),
    "linspace_open": (lambda m, n: T.linspace(0, 1, 4, endpoint=False), np.linspace(0, 1, 4, endpoint=False)),
    "eye": (lambda m, n: T.eye(n, 4, 1), np.eye(3, 4, 1)),
    "eye_symbolic": (lambda m, n: T.eye(4, k=n - 4, dtype="int8"), np.eye(4, k=-1, dtype="int8")),
    "identity_like": (lambda m, n: T.identity_like(m), np.eye(3, 4)),
    "tri": (lambda m, n: T.tri(n, 5, 1), np.tri(3, 5, 1)),
    "mgrid": (lambda m, n: T.mgrid[0:n, 1:7:2][1], np.mgrid[0:3, 1:7:2][1]),
    "ogrid": (lambda m, n: T.ogrid[0:n, 1:7:2][0], np.ogrid[0:3, 1:7:2][0]),
}

METHODS = {
    "add": (lambda m, n: 1 + m + n, 1 + M + N),
    "sub": (lambda m, n: 1 - m, 1 - M),
    "mul": (lambda m, n: 2 * m, 2 * M),
    "div": (lambda m, n: 1 / (m + 20), 1 / (M + 20)),
    "floordiv": (lambda m, n: m // 2, M // 2),
    "rfloordiv": (lambda m, n: 7 // (m + 20), 7 // (M + 20)),
    "mod": (lambda m, n: m % n, M % N),
    "divmod": (lambda m, n: divmod(m, n)[1], np.divmod(M, N)[1]),
    "rdivmod": (lambda m, n: divmod(7, n)[0], 7 // N),
    "pow0": (lambda m, n: m**0, M**0),
    "pow1": (lambda m, n: m**1, M),
    "pow2": (lambda m, n: m**2, M**2),
    "pow3": (lambda m, n: m**3, M**3),
    "pow_half": (lambda m, n: abs(m)**0.5, np.abs(M)**0.5),
    "pow_inverse": (lambda m, n: (m + 20)**-1, 1 / (M + 20)),
    "rpow": (lambda m, n: 2**m, 2**M),
    "pow_int": (lambda m, n: n**2, np.int64(9)),
    "neg": (lambda m, n: -m, -M),
    "pos": (lambda m, n: +m, M),
    "abs": (lambda m, n: abs(m), np.abs(M)),
    "matmul": (lambda m, n: m @ m.T, M @ M.T),
    "rmatmul": (lambda m, n: np.ones((2, 3)) @ m, np.ones((2, 3)) @ M),
    "ndarray_left": (lambda m, n: M * m, M * M),
    "and": (lambda m, n: (m > 0) & (m < 3), (M > 0) & (M < 3)),
    "or": (lambda m, n: (m > 0) | (m < -2), (M > 0) | (M < -2)),
    "xor": (lambda m, n: (m > 0) ^ (m < 3), (M > 0) ^ (M < 3)),
    "invert": (lambda m, n: ~(m > 0), ~(M > 0)),
    "shift": (lambda m, n: (1 << n) >> 1, np.int64(4)),
    "le": (lambda m, n: m <= 0, M <= 0),
    "ge": (lambda m, n: 0 >= m, 0 >= M),
    "round": (lambda m, n: m.round(), np.round(M)),
    "builtin_round": (lambda m, n: round(m), np.round(M)),
    "round_away": (lambda m, n: m.round("half_away_from_zero"), np.trunc(M + np.copysign(0.5, M))),
    "iround": (lambda m, n: T.iround(m), np.round(M).astype("int64")),
    "ceil_intdiv": (lambda m, n: T.ceil_intdiv(7, n), np.int64(3)),
    "clip": (lambda m, n: m.clip(-1, 2), M.clip(-1, 2)),
    "astype": (lambda m, n: m.astype("int32"), M.astype("int32")),
    "fill": (lambda m, n: m.fill(2.0), np.full_like(M, 2)),
    "size": (lambda m, n: m.size, np.int64(12)),
    "dot": (lambda m, n: m.dot(m.T), M.dot(M.T)),
    "exp": (lambda m, n: m.exp(), np.exp(M)),
    "sgn": (lambda m, n: m.sgn(), np.sign(M)),
    "log": (lambda m, n: abs(m + 0.1).log(), np.log(np.abs(M + 0.1))),
    "real": (lambda m, n: m.real, M),
    "take": (lambda m, n: m.take([0, 2], 1), M[:, [0, 2]]),
    "isclose": (lambda m, n: T.isclose(m, m + 1e-9), np.ones((3, 4), bool)),
    "allclose": (lambda m, n: T.allclose(m, m + 1), np.bool_(False)),
    "isclose_inf": (lambda m, n: T.isclose(T.constant([np.inf, -np.inf, np.nan, 1.0]),
                                           T.constant([np.inf, np.inf, np.nan, np.inf]), equal_nan=True),
                    np.array([True, False, True, False])),
    "largest": (lambda m, n: T.largest(m, 0, n), np.maximum(np.maximum(M, 0), N)),
    "copy": (lambda m, n: m.copy(), M),
    "smallest": (lambda m, n: T.smallest(m, 0), np.minimum(M, 0)),
    "where": (lambda m, n: T.where(m > 0, m, 0), np.where(M > 0, M, 0)),
}


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
@pytest.mark.parametrize("table", [CREATED, METHODS], ids=["created", "methods"])
def test_values(table, mode):
    m, n = T.dmatrix("m"), T.lscalar("n")
    outs = {name: build(m, n) for name, (build, _) in table.items()}
    got = symbolic.function([m, n], list(outs.values()), mode=mode)(M, N)
    for (name, out), g in zip(outs.items(), got, strict=True):
        want = np.asarray(table[name][1])
        assert g.dtype == want.dtype, name
        np.testing.assert_allclose(g, want, rtol=1e-12, err_msg=name)
        assert all(k in (None, e) for k, e in zip(out.type.shape, want.shape, strict=True)), name


@pytest.mark.parametrize("name", ["full", "alloc", "full_like", "linspace", "pow3", "pow2", "div", "where", "mod"])
def test_derivatives(name):
    m, n = T.dmatrix("m"), T.lscalar("n")
    check_pullback({**CREATED, **METHODS}[name][0](m, n), [m, n], [M + 0.1, np.array(N)])  # off the kinks


def test_exponents_become_cheaper_functions():
    x, k = T.dvector("x"), T.lvector("k")
    assert [str((x**p).owner.op) for p in (2, 0.5, -1, 3)] == ["sqr", "sqrt", "inv", "pow"]
    assert x**1 is x
    assert str((k**0.5).owner.op) == "pow" and (k**2).dtype == "int64"


def test_sizes_known_beforehand_are_in_the_type():
    assert T.arange(2, 10, 3).type == TensorType("int64", (3,))
    assert T.eye(2, 3).type.shape == (2, 3)
    assert T.linspace(0, 1, 5).type.shape == (5,)
    assert T.alloc(0.0, 2, T.lscalar()).type.shape == (2, None)


@pytest.mark.parametrize("letter", ["", *PREFIXES])
def test_constructors(letter):
    dtype = PREFIXES.get(letter, "float64")
    for kind, (shape, plural) in SHAPES.items():
        assert getattr(T, letter + kind)("x").type == TensorType(dtype, shape)
        several = getattr(T, letter + plural)
        assert [v.name for v in several("a", "b")] == ["a", "b"] == [v.name for v in several("ab")]
        assert several("a").name == "a" and len(several(2)) == 2
    with symbolic.config.change_flags(floatX="float32"):
        assert T.matrix().dtype == "float32" and T.dmatrix().dtype == "float64"
    assert T.tensor("int8", (None, 3), "x").type == TensorType("int8", (None, 3))
    assert T.tensor(dtype="int8", broadcastable=(True, False)).broadcastable == (True, False)
    assert T.matrix("x", dtype="int32").dtype == "int32"


#: the families of Theano's tensor namespace that this package has
THEANO = """
zeros ones zeros_like ones_like alloc AllocEmpty eye identity_like tri tril triu arange mgrid ogrid constant
as_tensor_variable as_tensor stacklists fill second diag add sub mul true_div int_div floor_div mod divmod pow power
neg inv sqr square sqrt abs_ sgn maximum minimum clip switch where eq neq lt le gt ge isnan isinf isclose allclose
and_ or_ xor invert bitwise_and bitwise_or bitwise_xor bitwise_not ceil floor round iround trunc ceil_intdiv cast
tensor_copy exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh
arccosh arctanh deg2rad rad2deg real imag angle conj complex erf erfc erfinv erfcinv gamma gammaln psi tri_gamma sum
prod mean var std max min argmax argmin max_and_argmax any all ptp smallest largest reshape flatten dimshuffle
transpose swapaxes shape_padleft shape_padright shape_padaxis squeeze concatenate join stack horizontal_stack
vertical_stack split tile repeat roll addbroadcast unbroadcast patternbroadcast specify_shape shape get_vector_length
take set_subtensor inc_subtensor dot batched_dot tensordot batched_tensordot outer grad nnet tensor TensorType
"""


def test_every_public_name_of_theano_is_there():
    for name in THEANO.split():
        assert hasattr(T, name), name


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda: T.arange(0, 5, 0), ValueError, "step is 0"),
    (lambda: T.zeros((2, -1)), ValueError, "an extent can't be negative"),
    (lambda: T.alloc(np.zeros(3), 2, 4), ValueError, "a value of extent 3 can't fill extent 4"),
    (lambda: T.alloc(np.zeros((3, 3)), 3), ValueError, "a value of 2 dimensions doesn't fit 1 extents"),
    (lambda: T.dvector("x").round("up"), ValueError, "mode must be one of 'half_to_even'"),
    (lambda: T.dvector("x").mean(dtype="int8"), TypeError, "a mean is no int8"),
    (lambda: T.matriks, AttributeError, "did you mean 'matrices'"),
    (lambda: T.vector("b", dtype="bool") // 2.0 == 0 or T.vector("b", dtype="bool") % T.vector("c", dtype="bool"), TypeError,
     "the remainder isn't defined for bool"),
])
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE"])
def test_a_step_of_zero_at_run_time(mode):
    n = T.lscalar("n")
    f = symbolic.function([n], T.arange(0, 5, n), mode=mode)
    assert list(f(2)) == [0, 2, 4]
    with pytest.raises(ValueError, match="step is 0"):
        f(0)


def test_variables_are_not_equal_by_value():
    x: Variable = T.dscalar("x")
    assert x == x and x != T.dscalar("x") and len({x, x}) == 1


def test_fill_has_the_dtype_of_the_value():
    n, x = T.lvector("n"), T.fvector("x")
    assert [T.fill(n, 0.5).dtype, T.fill(x, n.sum()).dtype, T.fill(x, np.float32(1)).dtype] == ["float64", "int64", "float32"]
    assert symbolic.function([n], T.fill(n, 0.5))([1, 2]).tolist() == [0.5, 0.5]


def test_zeros_for_what_the_cost_does_not_depend_on():
    x, y = T.dmatrix("x"), T.fmatrix("y")
    g = T.grad(x.sum(), [x, y], disconnected_inputs="ignore")
    found = symbolic.function([x, y], g)(np.ones((2, 1)), np.ones((3, 2), "float32"))
    assert found[1].dtype == "float32" and found[1].tolist() == np.zeros((3, 2)).tolist()


def test_more_elements_than_can_be_counted_is_an_error():
    n = T.lscalar("n")
    for mode in ("FAST_RUN", "FAST_COMPILE"):
        with pytest.raises(ValueError, match="last extents are 4294967296 and 4294967296 has too many elements"):
            symbolic.function([n], T.ones((n, n)).sum(), mode=mode)(2**32)
    assert symbolic.function([n], T.ones((n, n)).shape.prod())(2**20) == 2**40
