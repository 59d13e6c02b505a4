"""Theano's ``theano.tests.unittest_tools``: what people's tests of ops are written with."""
from __future__ import annotations

import os
import unittest
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symbolic.function import function
from symbolic.testing import verify_grad as _verify_grad

#: Seed of tests, unless THEANO_TESTS_SEED (a number, or 'random') says otherwise.
SEED = 666


def fetch_seed(pseed: Any = None) -> int:
    """Return the seed of tests: `pseed`, else what the variable THEANO_TESTS_SEED says, else 666.

    >>> fetch_seed(5)
    5
    """
    given = os.environ.get("THEANO_TESTS_SEED", SEED) if pseed is None else pseed
    return int.from_bytes(os.urandom(4), "little") if given == "random" else int(given)


def seed_rng(pseed: Any = None) -> int:
    """Seed NumPy's global generator as :func:`fetch_seed` says, and return the seed."""
    seed = fetch_seed(pseed)
    np.random.seed(seed)
    return seed


def verify_grad(op: Callable[..., Any], pt: Sequence[Any], n_tests: int = 2, rng: Any = None, *args: Any, **kwargs: Any) -> None:
    """Compare a gradient with finite differences, seeded as tests are (see :func:`symbolic.gradient.verify_grad`)."""
    _verify_grad(op, pt, n_tests, np.random.RandomState(fetch_seed()) if rng is None else rng, *args, **kwargs)


def assert_allclose(expected: Any, value: Any, rtol: float | None = None, atol: float | None = None) -> None:
    """Raise AssertionError if two arrays differ by more than their dtype's rounding explains."""
    value = np.asarray(value)
    tolerance = {"float16": 5e-2, "float32": 1e-4, "complex64": 1e-4}.get(value.dtype.name, 1e-7)
    np.testing.assert_allclose(value, expected, rtol=tolerance if rtol is None else rtol,
                               atol=(tolerance * 1e-2 if atol is None else atol))


class InferShapeTester(unittest.TestCase):
    """The base of tests of `infer_shape`.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> x = T.dmatrix("x")
    >>> InferShapeTester()._compile_and_check([x], [x.T], [np.ones((2, 3))], None)
    """

    def setUp(self) -> None:
        """Seed NumPy."""
        seed_rng()

    def runTest(self) -> None:
        """Do nothing: subclasses have tests."""

    def _compile_and_check(self, inputs: Sequence[Any], outputs: Sequence[Any], numeric_inputs: Sequence[Any], cls: Any,
                           excluding: Any = None, warn: bool = True, check_topo: bool = True) -> None:
        """Compare the shapes that a graph infers with those of its values."""
        shapes = function(list(inputs), [o.shape for o in outputs], on_unused_input="ignore")(*numeric_inputs)
        values = function(list(inputs), list(outputs), on_unused_input="ignore")(*numeric_inputs)
        for shape, value in zip(shapes, values, strict=True):
            if tuple(shape) != value.shape:
                raise AssertionError(f"infer_shape says {tuple(shape)}, the value has shape {value.shape}")
        if cls is not None and check_topo:
            computed = function(list(inputs), [o.shape for o in outputs], on_unused_input="ignore").maker.fgraph.toposort()
            if any(isinstance(n.op, cls) for n in computed):
                raise AssertionError(f"the shape needs {cls}: infer_shape doesn't tell it")


def assertFailure_fast(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f`: Theano's mark of tests that fail in fast mode; here both modes compute the same."""
    return f


class T_OpContractMixin:  # noqa: N801  (Theano's name)
    """Tests that ops are values: subclasses set ``ops``, and ``clone(op)`` makes an equal one."""

    ops: Sequence[Any] = ()

    def clone(self, op: Any) -> Any:
        """Return an op equal to `op`."""
        raise NotImplementedError(type(self).__name__)

    def test_eq(self) -> None:
        """Equal ops are equal, and no others."""
        for i, a in enumerate(self.ops):
            assert a == a and a == self.clone(a)
            for j, b in enumerate(self.ops):
                assert i == j or a != b

    def test_hash(self) -> None:
        """Equal ops have equal hashes."""
        for a in self.ops:
            assert hash(a) == hash(self.clone(a))
