"""Cast policies, Python floats, where float64 comes in: what dtype an expression has, and what is said about it."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.errors import DTypeError
from symbolic.types import autocast_float_as

#: expression of (int32, float32, float64, int8): dtypes under custom, numpy+floatX, floatX; with floatX float32
EXPRESSIONS = {
    "int32 * float32": (lambda i, f, d, b: i * f, "float64", "float32", "float32"),
    "int32 + float64": (lambda i, f, d, b: i + d, "float64", "float64", "float64"),
    "float32 + float64": (lambda i, f, d, b: f + d, "float64", "float64", "float64"),
    "int32 + int8": (lambda i, f, d, b: i + b, "int32", "int32", "int32"),
    "int32 / int32": (lambda i, f, d, b: i / i, "float32", "float32", "float32"),
    "int8 / 2": (lambda i, f, d, b: b / 2, "float32", "float32", "float32"),
    "sqrt(int32)": (lambda i, f, d, b: T.sqrt(i), "float64", "float32", "float32"),
    "mean(int32)": (lambda i, f, d, b: i.mean(), "float64", "float32", "float32"),
    "var(int32)": (lambda i, f, d, b: i.var(), "float64", "float32", "float32"),
    "dot": (lambda i, f, d, b: T.dot(i, f), "float64", "float32", "float32"),
    "concatenate": (lambda i, f, d, b: T.concatenate([i, f]), "float64", "float32", "float32"),
    "stack": (lambda i, f, d, b: T.stack([i, f]), "float64", "float32", "float32"),
    "switch": (lambda i, f, d, b: T.switch(b > 0, i, f), "float64", "float32", "float32"),
    "shape * float32": (lambda i, f, d, b: f.shape[0] * f, "float64", "float32", "float32"),
    "float64 constant": (lambda i, f, d, b: f * np.float64(2), "float64", "float64", "float64"),
    "Python float": (lambda i, f, d, b: f * 0.1, "float32", "float32", "float32"),
    "float32 ** int32": (lambda i, f, d, b: f ** i, "float64", "float32", "float32"),
    "int32 > float32": (lambda i, f, d, b: i > f, "bool", "bool", "bool"),
}


def leaves():
    return T.ivector("i"), T.fvector("f"), T.dvector("d"), T.bvector("b")


@pytest.mark.parametrize("policy", ["custom", "numpy+floatX", "floatX"])
def test_dtypes_by_policy(policy):
    place = 1 + ["custom", "numpy+floatX", "floatX"].index(policy)
    variables = leaves()
    with symbolic.config.change_flags(cast_policy=policy, floatX="float32"):
        made = {name: row[0](*variables) for name, row in EXPRESSIONS.items()}
    assert {n: v.dtype for n, v in made.items()} == {n: row[place] for n, row in EXPRESSIONS.items()}
    values = (np.array([1, 2, 3], "int32"), np.array([.5, 2, 3], "float32"), np.array([1.5, -1, 0]), np.array([1, 0, 2], "int8"))
    wide = [row[0](*leaves_) for leaves_ in [leaves()] for row in EXPRESSIONS.values()]
    f = symbolic.function(list(variables), list(made.values()))  # built under a policy, compiled outside of it
    g = symbolic.function(leaves_of(wide), wide)
    for name, a, b in zip(EXPRESSIONS, f(*values), g(*values), strict=True):
        assert a.dtype == made[name].dtype
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=name)


def leaves_of(outputs):
    found = [v for v in symbolic.graph.inputs_of(outputs) if not isinstance(v, symbolic.Constant)]
    return sorted(found, key=lambda v: "ifdb".index(v.name))


def test_gradients_keep_the_policys_float():
    with symbolic.config.change_flags(cast_policy="floatX", floatX="float32"):
        i, f, _, _ = leaves()
        g = symbolic.grad((i * f ** 2).mean(), f)
        assert g.dtype == "float32"
    np.testing.assert_allclose(symbolic.function([i, f], g)(np.array([1, 2], "int32"), np.array([3, 4], "float32")), [3, 8])


def test_integers_divide_to_floatX():
    b = T.bscalar()
    assert (b / b).dtype == "float64" == np.true_divide(np.int64(1), np.int64(2)).dtype
    with symbolic.config.change_flags(floatX="float32"):
        assert (b / b).dtype == (T.lscalar() / 3).dtype == "float32"


def test_autocast_of_python_floats():
    i = T.lvector()
    with autocast_float_as("float32"):
        assert (i * 0.1).dtype == "float64" and T.constant(0.1).dtype == "float32"  # int64 with float32 is float64
    with autocast_float_as("float16", "float32"):
        assert [T.constant(v).dtype for v in (0.5, 0.1)] == ["float16", "float32"]
    assert T.constant(0.1).dtype == "float64"
    with pytest.raises(DTypeError, match="names of floats"), autocast_float_as("int8"):
        pass


MAKES_FLOAT64 = [lambda z: z * np.float64(1.5), lambda z: z * np.ones(3), lambda z: T.dvector("u"),
                 lambda z: symbolic.shared(1.0), lambda z: z * T.ivector(), lambda z: T.zeros_like(z, dtype="float64")]


@pytest.mark.parametrize("make", MAKES_FLOAT64)
def test_where_float64_comes_in(make):
    z = T.fvector("z")
    with symbolic.config.change_flags(warn_float64="raise"), pytest.raises(DTypeError, match="makes float64.*test_casting.py"):
        make(z)
    with symbolic.config.change_flags(warn_float64="warn"), pytest.warns(UserWarning, match="makes float64") as seen:
        make(z)
    assert all(w.filename == __file__ for w in seen)


def test_what_stays_float32_is_not_warned_of():
    with symbolic.config.change_flags(warn_float64="raise", floatX="float32"):
        z = T.fvector("z")
        loss = T.nnet.softmax(z * 2).max() + (z ** 2).mean()
        f = symbolic.function([z], [loss, symbolic.grad(loss, z)])
        assert f(np.ones(3, "float32"))[1].dtype == "float32"
    d = T.dvector("d")
    with symbolic.config.change_flags(warn_float64="raise"):
        d * 2  # wide already: not the line that made it so
        symbolic.function([d], d.sum(), mode="FAST_COMPILE")
