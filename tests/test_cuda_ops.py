"""Every op on the emulated device: the tests of ops, with the oracles they have, run there as well.

Quick here: all rows of the elementwise table in all dtypes, reductions, shapes, indices, and one function with an op of every
other family. Marked slow: the other test modules of ops, as they are, with ``SYMBOLIC_DEVICE``.
"""
from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_elementwise_native as elementwise
import test_index
import test_reduce
import test_shape

import symbolic
import symbolic.ops
import symbolic.tensor as T
from symbolic.config import config
from symbolic.graph import Op

HERE = Path(__file__).parent
DEVICE = "cuda:emulated"
#: Test modules that run on the device as they are; with ``SYMBOLIC_TEST_ALL=1`` the others too, which takes some ten minutes.
MODULES = "test_index test_nnet test_normalization test_pool test_linalg test_random test_gradient test_shape".split()
if os.environ.get("SYMBOLIC_TEST_ALL"):
    MODULES += ("test_nnet_more test_conv test_create test_sort test_cumulative test_special test_statistics test_arrangement "
                "test_ctc test_kinks test_selection test_einsum test_vectorize test_sparse").split()
QUICK = ("bool", "int64", "float16", "float32", "float64")
#: Tests of these modules that look at the C program itself, or at what only it has.
OF_C = ("until_ends_in_c or readable or products or is_kept or is_not_kept or merged or long_loops or memory_of_checkpoints or "
        "found_in_the_cache or runs_the_forward_loop_once or if_in_c or only_what_is_used or lapack_of or cheapest_order or "
        "start_warm or less_memory or in_the_c or one_kernel or computed_indices")


@pytest.fixture(autouse=True)
def on_the_device():
    elementwise.program.cache_clear()
    with config.change_flags(device=DEVICE):
        yield
    elementwise.program.cache_clear()


@pytest.mark.parametrize("dtype", [d if d in QUICK else pytest.param(d, marks=pytest.mark.slow) for d in elementwise.DTYPES])
def test_elementwise_ops_on_ordinary_values(dtype):
    elementwise.test_ordinary_values_of_every_shape(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementwise_ops_on_special_values(dtype):
    elementwise.test_special_values(dtype)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64"])
def test_elementwise_ops_on_the_largest_integers(dtype):
    elementwise.test_the_smallest_and_largest_integers(dtype)
    elementwise.test_shifts_by_any_number(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "bool"])
def test_reductions(dtype):
    test_reduce.test_reductions_over_every_choice_of_axes("FAST_RUN", dtype)


def test_reductions_that_are_special():
    test_reduce.test_arg_reductions_and_nan("FAST_RUN")
    test_reduce.test_empty_axes("FAST_RUN")
    test_reduce.test_float32_sum_of_ten_million_does_not_drift()


@pytest.mark.parametrize("name", ["test_take"])
def test_indices(name):
    for mode in ("raise", "wrap", "clip"):
        getattr(test_index, name)(mode)


def test_one_of_every_other_family():
    """Ops that are kernels, ops that are compositions, and ops that the host computes, in one function."""
    rng = np.random.default_rng(4)
    x, p, k = T.dmatrix("x"), T.dmatrix("p"), T.lvector("k")
    images, filters = T.dtensor4("images"), T.dtensor4("filters")
    a, i, f = rng.normal(size=(4, 4)), rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(5, 3, 3, 3))
    q, at = a @ a.T + np.eye(4), np.array([2, 0, 3])
    windows = np.lib.stride_tricks.sliding_window_view(i, (3, 3), axis=(2, 3))
    cases = [
        (T.nnet.conv2d(images, filters), np.einsum("bcijkl,ockl->boij", windows, f[:, :, ::-1, ::-1])),
        (T.signal.pool.pool_2d(images, (2, 2), ignore_border=True), i.reshape(2, 3, 3, 2, 3, 2).max((3, 5))),
        (T.nlinalg.matrix_inverse(p), np.linalg.inv(q)), (T.slinalg.cholesky(p), np.linalg.cholesky(q)),
        (T.sort(x, axis=0), np.sort(a, 0)), (T.argsort(x, axis=1), np.argsort(a, 1)), (T.cumsum(x, axis=1), np.cumsum(a, 1)),
        (T.nonzero(x > 0)[0], np.nonzero(a > 0)[0]), (x[k], a[at]), (T.set_subtensor(x[k], 0.0), _with(a, at, 0.0)),
        (T.batched_dot(images[0], images[1]), np.matmul(i[0], i[1])), (T.tensordot(x, p, 1), a @ q), (T.diag(x), np.diag(a)),
        (T.tile(x, (2, 1)), np.tile(a, (2, 1))), (T.eye(3), np.eye(3)), (T.arange(5), np.arange(5)),
        (T.roll(x, 1, 0), np.roll(a, 1, 0)),
        (T.outer(x[0], x[1]), np.outer(a[0], a[1])), (T.einsum("ij,kj->ik", x, p), a @ q.T),
        (x.T.dimshuffle(0, "x", 1), a.T[:, None]),
        (T.nnet.softmax(x), np.exp(a) / np.exp(a).sum(1, keepdims=True)), (T.flatten(images, 2), i.reshape(2, -1)),
        (T.where(x > 0, x, -x), np.abs(a)), (T.nlinalg.det(p), np.linalg.det(q)),
    ]
    values = {x: a, p: q, k: at, images: i, filters: f}
    fn = symbolic.function(list(values), [o for o, _ in cases])
    for _ in range(2):
        for n, (got, (_, want)) in enumerate(zip(fn(*values.values()), cases, strict=True)):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11, err_msg=f"case {n}")
    assert fn.counts.host_steps > 0


def _with(a: np.ndarray, at: np.ndarray, value: float) -> np.ndarray:
    a = a.copy()
    a[at] = value
    return a


def test_gradients_of_a_net_with_everything():
    x, y = T.dmatrix("x"), T.lvector("y")
    w = T.dmatrix("w")
    h = T.nnet.elu(T.dot(x, w) - T.dot(x, w).mean(0)) / (1e-3 + T.dot(x, w).std(0))
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(h), y).mean() + T.sqr(T.sort(w, axis=0)).sum() * 0.1
    outs = [loss, *T.grad(loss, [x, w]), T.grad(T.grad(loss, w).sum(), x)]
    rng = np.random.default_rng(0)
    args = rng.normal(size=(7, 4)), rng.integers(0, 3, 7), rng.normal(size=(4, 3))
    there, here = (symbolic.function([x, y, w], outs, device=d)(*args) for d in (DEVICE, "cpu"))
    for a, b in zip(there, here, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_modules_of_tests_with_the_device_as_the_default(module):
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "not slow", "-k", f"not ({OF_C})", f"{HERE / module}.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent,
                          env=os.environ | {"SYMBOLIC_DEVICE": DEVICE})
    assert done.returncode == 0, done.stdout[-4000:]


def test_shapes():
    for name in dir(test_shape):
        if name.startswith("test_") and not hasattr(getattr(test_shape, name), "pytestmark"):
            function = getattr(test_shape, name)
            if function.__code__.co_argcount == 0:
                function()


def test_every_op_has_a_way_to_run_there():
    """A kernel of its formula, a composition, a library routine, or the host."""
    elsewhere = {"Parts", "CSM", "OpenMPOp"}  # taken away before anything is compiled; a base for users' C code
    for module in pkgutil.iter_modules(symbolic.ops.__path__):
        importlib.import_module(f"symbolic.ops.{module.name}")
    classes, stack = [], [Op]
    while stack:
        for c in stack.pop().__subclasses__():
            stack.append(c)
            if c.__module__.startswith("symbolic.ops") and not c.__subclasses__() and not c.__name__.startswith("_"):
                classes.append(c)
    assert len(classes) > 90
    own = ("compute", "expand", "loop", "branch", "reference", "python")
    without = [c.__name__ for c in classes if not any(getattr(c, n) is not getattr(Op, n) for n in own)
               and c.view_of is None and c.extern is None and c.arms is None]
    assert set(without) <= elsewhere, f"{without} can't run on a device"
