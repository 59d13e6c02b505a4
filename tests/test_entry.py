"""The entry extension, driven by programs written by hand against `templates/runtime.h`."""
from __future__ import annotations

import gc
import itertools
import os
import resource
import subprocess
import sys
import threading
import time
import timeit
import tracemalloc
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from symbolic.codegen import entry as entry_build
from symbolic.codegen.entry import EntryBuildError, load_entry

TEMPLATES = Path(entry_build.__file__).parent / "templates"

PROGRAMS = r"""
#include "runtime.h"
#include <stddef.h>
#include <string.h>
#include <time.h>
typedef symbolic_runtime R;
typedef const symbolic_array A;

/* x + 1 */
int add1(R *rt, A *in)
{
    int64_t n = in[0].shape[0];
    double *y = rt->output(rt, 0, in[0].shape);
    if (!y) return -1;
    rt->begin(rt, (double)n);
    const double *x = in[0].data;
    for (int64_t i = 0; i < n; i++) y[i] = x[i] + 1;
    return 0;
}
/* 0-d: x + 1 and 2 x */
int two(R *rt, A *in)
{
    double *y = rt->output(rt, 0, NULL), *z = rt->output(rt, 1, NULL);
    if (!y || !z) return -1;
    *y = *(double *)in[0].data + 1;
    *z = *(double *)in[0].data * 2;
    return 0;
}
int twice(R *rt, A *in)
{
    int64_t *y = rt->output(rt, 0, NULL);
    if (!y) return -1;
    *y = *(int64_t *)in[0].data * 2;
    return 0;
}
/* output 0: s; update 0 of s: s + x into a new array. Guard 0: equal extents. Guard 1: x[0] >= 0. */
int accumulate(R *rt, A *in)
{
    const double *x = in[0].data, *s = in[1].data;
    int64_t n = in[0].shape[0];
    rt->detail[0] = n; rt->detail[1] = in[1].shape[0]; rt->detail[2] = rt->detail[3] = 0;
    if (n != in[1].shape[0]) return 1;
    double *y = rt->output(rt, 0, in[0].shape), *fresh = rt->output(rt, 1, in[0].shape);
    if (!y || !fresh) return -1;
    if (n && x[0] < 0) return 2;
    for (int64_t i = 0; i < n; i++) y[i] = s[i];
    for (int64_t i = 0; i < n; i++) fresh[i] = s[i] + x[i];
    return 0;
}
/* no output; s += x in place */
int inplace(R *rt, A *in)
{
    const double *x = in[0].data;
    double *s = rt->output(rt, 0, in[1].shape);
    if (s != in[1].data) return -1;
    if (in[0].shape[0] != in[1].shape[0]) return 1;
    for (int64_t i = 0; i < in[0].shape[0]; i++) s[i] += x[i];
    return 0;
}
/* in place for a storage that grows by one */
int grow(R *rt, A *in)
{
    int64_t n = in[0].shape[0], shape[1] = {n + 1};
    double *s = rt->output(rt, 0, shape);
    if (!s) return -1;
    memcpy(s, in[0].data, n * sizeof(double));
    s[n] = n;
    return 0;
}
/* s + 1, with a pause that lets every race happen */
int slow_count(R *rt, A *in)
{
    double *fresh = rt->output(rt, 0, NULL), old = *(double *)in[0].data;
    rt->begin(rt, 1e6);
    nanosleep(&(struct timespec){0, 2000000}, NULL);
    *fresh = old + 1;
    return 0;
}
/* in place, half written for a while */
int slow_inplace(R *rt, A *in)
{
    double *s = in[0].data;
    rt->begin(rt, 1e6);
    s[0] += 1;
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    s[1] += 1;
    return 0;
}
/* waits without the GIL until another call of it waits too: 1 if it came, 0 after a second */
static volatile int arrivals;
int meet(R *rt, A *in)
{
    double *y = rt->output(rt, 0, NULL);
    (void)in;
    rt->begin(rt, 1e6);
    int mine = __sync_add_and_fetch(&arrivals, 1), goal = (mine + 1) / 2 * 2;
    for (int i = 0; i < 1000 && arrivals < goal; i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    *y = arrivals >= goal;
    return 0;
}
/* x + 1 through scratch, output asked for after the GIL is gone */
int scratchy(R *rt, A *in)
{
    int64_t n = in[0].shape[0];
    rt->begin(rt, 1e6);
    const double *x = in[0].data;
    double *t = rt->scratch(rt, n * sizeof(double)), *u = rt->scratch(rt, n * sizeof(double));
    if (!t || !u || ((uintptr_t)t | (uintptr_t)u) % 64) return -1;
    for (int64_t i = 0; i < n; i++) t[i] = x[i] + 1;
    for (int64_t i = 0; i < n; i++) u[i] = t[i];
    double *y = rt->output(rt, 0, in[0].shape);
    if (!y) return -1;
    memcpy(y, u, n * sizeof(double));
    return 0;
}
/* input 0 gives the shape of an absurd output; slot 1 is an update that was already written */
int absurd(R *rt, A *in)
{
    double *fresh = rt->output(rt, 1, in[1].shape);
    if (!fresh) return -1;
    for (int64_t i = 0; i < in[1].shape[0]; i++) fresh[i] = -1;
    int64_t n = *(int64_t *)in[0].data, shape[3] = {n, n, n};
    rt->begin(rt, 1e6);
    return rt->output(rt, 0, shape) ? 0 : -1;
}
int forgets(R *rt, A *in) { (void)rt; (void)in; return 0; }
int hungry(R *rt, A *in) { (void)in; return rt->scratch(rt, (int64_t)1 << 60) ? 0 : -1; }
/* output = sum of the first result of Python step 0 on x; ignores failures if asked to by x[0] == 7 */
int opaque(R *rt, A *in)
{
    int64_t shape[1] = {-1};
    symbolic_result out[1] = {{0, shape, 1}};
    rt->begin(rt, 1e6);
    if (rt->python(rt, 0, in, out) < 0) return ((double *)in[0].data)[0] == 7 ? 0 : -1;
    double *y = rt->output(rt, 0, NULL);
    if (!y) return -1;
    *y = 0;
    for (int64_t i = 0; i < out[0].shape[0]; i++) *y += ((double *)out[0].data)[i];
    return 0;
}
/* sum of 40 scalars, the last half of them constants */
int forty(R *rt, A *in)
{
    double *y = rt->output(rt, 0, NULL);
    if (!y) return -1;
    *y = 0;
    for (int i = 0; i < 40; i++) *y += *(double *)in[i].data;
    return 0;
}
int threads(R *rt, A *in) { (void)in; *(int64_t *)rt->output(rt, 0, NULL) = rt->threads; return 0; }
"""

F64, I64 = np.dtype(np.float64).num, np.dtype(np.int64).num
VECTOR, SCALAR = (F64, 1), (F64, 0)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def ext(cache: Path) -> ModuleType:
    return load_entry(cache, ["gcc"])


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("programs")
    source, out = home / "programs.c", home / "programs.so"
    source.write_text(PROGRAMS)
    subprocess.run(["gcc", "-O2", "-fPIC", "-shared", "-Wall", "-Werror", f"-I{TEMPLATES}", str(source),
                    "-o", str(out)], check=True)
    return out


@pytest.fixture
def make(ext: ModuleType, library: Path) -> Any:
    """make(symbol, inputs, ...): a Callable; storages get their types from their values."""

    def build(symbol: str, inputs: tuple[tuple[int, int], ...] = (VECTOR,), cls: Any = None, **kwargs: Any) -> Any:
        shared = kwargs.get("shared", ())
        types = tuple((s.value.dtype.num, s.value.ndim) for s in shared)
        return (cls or ext.Callable)(ext.load(str(library), symbol), inputs, shared_types=types, **kwargs)

    return build


def single(make: Any, symbol: str, inputs: Any = (VECTOR,), out: Any = VECTOR, **kwargs: Any) -> Any:
    return make(symbol, inputs, outputs=(out,), single=True, **kwargs)


def rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


# ---- arguments and results ----------------------------------------------------------------------


def test_one_output_bare_or_in_a_list(make):
    x = np.arange(4.0)
    for kwargs in ({"single": True}, {"nout": -1}):
        out = make("add1", outputs=(VECTOR,), **kwargs)(x)
        assert type(out) is np.ndarray
        np.testing.assert_array_equal(out, x + 1)
    (out,) = make("add1", outputs=(VECTOR,), nout=1)(x)
    np.testing.assert_array_equal(out, x + 1)


def test_empty_array(make):
    assert single(make, "add1")(np.empty(0)).shape == (0,)


def test_two_outputs_of_rank_0_are_arrays(make):
    out = make("two", (SCALAR,), outputs=(SCALAR, SCALAR))(np.array(3.0))
    assert isinstance(out, list) and all(type(o) is np.ndarray and o.shape == () for o in out)
    assert out == [4.0, 6.0]


def test_python_numbers_need_no_convert(make):
    assert make("two", (SCALAR,), outputs=(SCALAR, SCALAR))(1.5) == [2.5, 3.0]
    f = single(make, "twice", ((I64, 0),), (I64, 0))
    assert f(-21) == -42 and f(-21).dtype == np.int64
    for value in (True, 1 << 70, 2.0, np.float64(2.0)):
        with pytest.raises(TypeError, match="argument 0: expected an array of int64 with ndim 0"):
            f(value)


def test_long_long_is_int64(make):
    f = single(make, "twice", ((I64, 0),), (I64, 0))
    assert f(np.array(4, dtype=np.longlong)) == 8


@pytest.mark.parametrize("value", [
    np.arange(4), np.arange(4.0, dtype=">f8"), np.arange(8.0)[::2], np.zeros((2, 2)), [1.0, 2.0],
    np.frombuffer(b"\0" * 33, dtype=np.uint8)[1:].view(np.float64), np.ma.masked_array(np.zeros(3)),
], ids=["dtype", "byteorder", "strided", "ndim", "list", "unaligned", "subclass"])
def test_what_does_not_fit_goes_through_convert(make, value):
    asked = []

    def convert(i, given):
        asked.append((i, given))
        return np.array(given, dtype=np.float64, order="C").ravel()

    f = single(make, "add1", convert=convert)
    np.testing.assert_array_equal(f(value), np.asarray(value, dtype=np.float64).ravel() + 1)
    assert asked[0][0] == 0 and asked[0][1] is value
    with pytest.raises(TypeError, match="argument 0: expected"):
        single(make, "add1")(value)


def test_convert_may_raise_and_must_keep_its_word(make):
    def refuse(i, value):
        raise LookupError("no")

    with pytest.raises(LookupError):
        single(make, "add1", convert=refuse)([1.0])
    with pytest.raises(TypeError, match="float64 with ndim 1, got float32 with ndim 1"):
        single(make, "add1", convert=lambda i, v: np.zeros(2, np.float32))([1.0])


def test_keywords_and_counts_go_through_bind(make):
    f = single(make, "add1", bind=lambda args, kwargs: (kwargs["x"],) if kwargs else (np.zeros(1),))
    np.testing.assert_array_equal(f(x=np.ones(2)), [2, 2])
    np.testing.assert_array_equal(f(), [1])
    np.testing.assert_array_equal(f(1, 2, 3), [1])
    np.testing.assert_array_equal(f(*[np.ones(1)], **{}), [2])
    with pytest.raises(KeyError):
        f(y=1)
    f.bind = lambda args, kwargs: [1]
    with pytest.raises(TypeError, match="bind must return a tuple of 1"):
        f()
    f.bind = None
    with pytest.raises(TypeError, match="expected 1 positional arguments, got 2"):
        f(1, 2)


@pytest.mark.parametrize("constants", [20, 39])
def test_many_arrays_and_constants(make, constants):
    values = [np.array(float(i)) for i in range(40)]
    f = single(make, "forty", (SCALAR,) * (40 - constants), SCALAR, constants=tuple(values[40 - constants:]))
    assert f(*values[:40 - constants]) == sum(range(40))
    assert f(*map(float, range(40 - constants))) == sum(range(40))


def test_threads_can_be_set(make):
    f = single(make, "threads", (), (I64, 0), threads=3)
    assert f() == 3
    f.threads = 5
    assert f() == 5


def test_constructor_refuses_nonsense(ext, make):
    s = ext.Storage(np.zeros(1))
    t = {"shared_types": (VECTOR,)}
    for kwargs, error in [
        ({"inputs": [VECTOR]}, TypeError), ({"inputs": ((F64,),)}, TypeError), ({"inputs": ((999, 1),)}, ValueError),
        ({"inputs": ((F64, 99),)}, ValueError), ({"run": 0}, ValueError), ({"single": True}, ValueError),
        ({"nout": 2}, ValueError), ({"shared": (1,), **t}, TypeError), ({"shared": (s,)}, ValueError),
        ({"shared": (s, s), "shared_types": (VECTOR, VECTOR)}, ValueError), ({"updates": ((0, False),)}, ValueError),
        ({"shared": (s,), **t, "updates": ((0, False), (0, True))}, ValueError), ({"names": ("x",)}, ValueError),
        ({"constants": (np.zeros(4)[::2],)}, TypeError), ({"python_calls": (abs,)}, ValueError),
        ({"unknown": 1}, TypeError),
    ]:
        with pytest.raises(error):
            ext.Callable(**{"run": 1, "inputs": (), **kwargs})
    f = single(make, "add1")
    with pytest.raises(RuntimeError, match="twice"):
        f.__init__(1, ())
    with pytest.raises(TypeError):
        ext.Callable.__new__(ext.Callable)(1)


# ---- shared variables ---------------------------------------------------------------------------


def test_storage_holds_the_array_itself(ext):
    x = np.zeros(3)
    s = ext.Storage(x)
    assert s.value is x and weakref.ref(s)() is s
    y = np.ones(2, np.int32)
    s.value = y
    assert s.value is y and sys.getrefcount(x) == 2
    for wrong in (1, None, [1.0]):
        with pytest.raises(TypeError):
            s.value = wrong
    with pytest.raises(TypeError):
        del s.value
    with pytest.raises(TypeError):
        ext.Storage(1.0)


def test_update_swaps_two_buffers(ext, make):
    s = ext.Storage(np.zeros(1000))
    f = single(make, "accumulate", shared=(s,), updates=((0, False),))
    x = np.ones(1000)
    seen = []
    for i in range(6):
        assert f(x)[0] == i
        seen.append(s.value.ctypes.data)
    np.testing.assert_array_equal(s.value, 6 * x)
    assert s.has_spare and len(set(seen)) == 2 and seen[:2] * 3 == seen


def test_a_value_that_was_handed_out_never_changes(ext, make):
    first = np.zeros(5)
    s = ext.Storage(first)
    swap = single(make, "accumulate", shared=(s,), updates=((0, False),))
    inplace = make("inplace", shared=(s,), updates=((0, True),))
    held = [s.value]
    for f in (swap, swap, inplace, inplace, swap, inplace):
        f(np.ones(5))
        held.append(s.value)
    for i, value in enumerate(held):
        np.testing.assert_array_equal(value, np.full(5, i))


def test_update_in_place_stays_in_place(ext, make):
    s = ext.Storage(np.zeros(3))
    f = make("inplace", shared=(s,), updates=((0, True),))
    where = s.value.ctypes.data
    assert f(np.ones(3)) == [] and f(np.ones(3)) == []
    assert s.value.ctypes.data == where and not s.has_spare
    np.testing.assert_array_equal(s.value, [2, 2, 2])
    f(s.value)  # the argument is the storage itself: old values are read
    np.testing.assert_array_equal(s.value, [4, 4, 4])


def test_update_in_place_of_a_read_only_or_foreign_array(ext, make):
    base = np.zeros(6)
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    for value in (base[:3], frozen):
        s = ext.Storage(value)
        make("inplace", shared=(s,), updates=((0, True),))(np.ones(3))
        np.testing.assert_array_equal(s.value, [1, 1, 1])
    assert not base.any() and not frozen.any()


@pytest.mark.parametrize("hold", [False, True])
def test_update_in_place_may_change_the_shape(ext, make, hold):
    s = ext.Storage(np.zeros(0))
    f = make("grow", (), shared=(s,), updates=((0, True),))
    held = []
    for _ in range(50):
        f()
        held += [s.value] if hold else []
    np.testing.assert_array_equal(s.value, np.arange(50.0))


def test_guard_miss_changes_nothing(ext, make):
    s = ext.Storage(np.arange(3.0))
    before = s.value
    missed = []

    def miss(code, detail, args):
        missed.append((code, detail, args))
        s.value = s.value  # nothing is locked
        return "other"

    f = single(make, "accumulate", shared=(s,), updates=((0, False),), miss=miss)
    x, negative = np.ones(2), np.array([-1.0, 0, 0])
    assert f(x) == "other" and f(negative) == "other"
    assert missed[0][:2] == (0, (2, 3, 0, 0, 0, 0)) and missed[0][2][0] is x
    assert missed[1][:2] == (1, (3, 3, 0, 0, 0, 0))
    assert s.value is before
    np.testing.assert_array_equal(s.value, np.arange(3.0))
    f(np.ones(3))
    np.testing.assert_array_equal(s.value, [1, 2, 3])
    f.miss = None
    with pytest.raises(RuntimeError, match="guard 1 failed"):
        f(negative)


def test_spare_is_not_used_for_another_shape(ext, make):
    s = ext.Storage(np.zeros(3))
    f = single(make, "accumulate", shared=(s,), updates=((0, False),))
    for n in (3, 3, 5, 5, 2):
        s.value = np.zeros(n)
        f(np.ones(n))
        f(np.ones(n))
        np.testing.assert_array_equal(s.value, np.full(n, 2))


def test_kept_memory_has_a_limit(ext, make):
    s = ext.Storage(np.zeros(1000))
    f = single(make, "accumulate", shared=(s,), updates=((0, False),))
    kept = ext.trim()
    f(np.ones(1000))
    assert ext.trim() == kept + 8000
    ext.set_kept_limit(0)
    try:
        f(np.ones(1000))
        assert not s.has_spare and ext.trim() == kept
        assert f(np.ones(1000))[0] == 2
    finally:
        ext.set_kept_limit(1 << 30)
    f(np.ones(1000))
    assert s.has_spare
    del f, s
    assert ext.trim() == kept


def test_shared_value_of_another_dtype_goes_through_convert(ext, make):
    s = ext.Storage(np.zeros(2))
    asked = []

    def convert(i, value):
        asked.append(i)
        return value.astype(np.float64)

    f = single(make, "accumulate", shared=(s,), updates=((0, False),), convert=convert)
    g = make("inplace", shared=(s,), updates=((0, True),), convert=convert)
    for function in (f, g):
        s.value = np.array([1, 2], np.int32)
        function(np.ones(2))
        np.testing.assert_array_equal(s.value, [2, 3])
    assert asked == [1, 1]
    s.value = np.zeros(2, np.int32)
    f.convert = None
    with pytest.raises(TypeError, match="shared variable 0"):
        f(np.ones(2))
    s.value = np.zeros(2)  # not locked


# ---- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1 << 19, 1 << 30, 1 << 62])
def test_no_memory_for_an_output(ext, make, n):
    s = ext.Storage(np.arange(3.0))
    f = single(make, "absurd", ((I64, 0),), (F64, 3), shared=(s,), updates=((0, False),))
    for _ in range(3):
        with pytest.raises(MemoryError, match="shape"):
            f(n)
        np.testing.assert_array_equal(s.value, np.arange(3.0))
    f(1)
    np.testing.assert_array_equal(s.value, [-1, -1, -1])


def test_a_negative_extent_is_not_a_lack_of_memory(ext, make):
    s = ext.Storage(np.zeros(1))
    with pytest.raises(ValueError, match="negative"):
        single(make, "absurd", ((I64, 0),), (F64, 3), shared=(s,), updates=((0, False),))(-1)


def test_no_scratch_memory(make):
    with pytest.raises(MemoryError):
        make("hungry", ())()


def test_a_program_that_forgets_an_output(ext, make):
    with pytest.raises(RuntimeError, match="didn't make output 0"):
        single(make, "forgets", ())()
    s = ext.Storage(np.zeros(1))
    with pytest.raises(RuntimeError, match="didn't make update 0"):
        make("forgets", (), shared=(s,), updates=((0, False),))()


# ---- Python steps -------------------------------------------------------------------------------


def opaque(make: Any, step: Any, **kwargs: Any) -> Any:
    return single(make, "opaque", out=SCALAR, python_calls=(step,), python_input_types=((VECTOR,),),
                  python_types=((VECTOR,),), **kwargs)


def test_python_step(make):
    kept = []

    def step(x):
        assert not x.flags.writeable and x.flags.c_contiguous
        kept.append(x)
        return np.repeat(x, 2)[::-1]

    f = opaque(make, step)
    for i in range(3):
        assert f(np.full(4, float(i))) == 8 * i
    np.testing.assert_array_equal(kept, [[0] * 4, [1] * 4, [2] * 4])
    assert opaque(make, lambda x: [x])(np.ones(3)) == 3
    assert opaque(make, lambda x: (x,))(np.ones(3)) == 3


@pytest.mark.parametrize("first", [0.0, 7.0])  # with 7, the program ignores that the step failed
def test_python_step_raises(ext, make, first):
    def step(x):
        raise LookupError("from the step")

    for _ in range(3):
        with pytest.raises(LookupError, match="from the step"):
            opaque(make, step)(np.array([first, 1]))


@pytest.mark.parametrize(("result", "message"), [
    (np.zeros(3, np.float32), "result of a Python step 0: expected"), (np.zeros((3, 1)), "ndim 1, got float64"),
    ("text", "got str"), ((np.zeros(1), np.zeros(1)), "returned 2 values instead of 1"),
])
def test_python_step_returns_something_else(make, result, message):
    with pytest.raises(TypeError, match=message):
        opaque(make, lambda x: result)(np.ones(3))


def test_python_step_that_changes_a_storage_in_use(ext, make):
    s = ext.Storage(np.zeros(2))

    def step(x):
        assert s.value.shape == (2,)
        s.value = np.ones(2)

    f = opaque(make, step, shared=(s,))
    with pytest.raises(RuntimeError, match="in use by the call"):
        f(np.ones(2))
    s.value = np.ones(2)


# ---- threads ------------------------------------------------------------------------------------


def in_threads(count: int, work: Any) -> None:
    errors: list[BaseException] = []

    def run(i: int) -> None:
        try:
            work(i)
        except BaseException as error:  # noqa: BLE001  (re-raised below)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_two_calls_overlap(make):
    f = single(make, "meet", (), SCALAR)
    met = []
    in_threads(2, lambda i: met.append(float(f())))
    assert met == [1.0, 1.0]


def test_one_function_in_eight_threads(make):
    f = single(make, "scratchy")
    arrays = [np.random.default_rng(i).normal(size=1000 * (i + 1)) for i in range(8)]

    def work(i):
        for _ in range(200):
            np.testing.assert_array_equal(f(arrays[i]), arrays[i] + 1)

    in_threads(8, work)


def test_updates_in_threads_lose_nothing(ext, make):
    s = ext.Storage(np.array(0.0))
    f = make("slow_count", (), shared=(s,), updates=((0, False),))
    in_threads(8, lambda i: [f() for _ in range(10)])
    assert s.value == 80


def test_nobody_sees_an_array_half_written(ext, make):
    s = ext.Storage(np.zeros(2))
    f = make("slow_inplace", (), shared=(s,), updates=((0, True),))
    stop = threading.Event()

    def work(i):
        if i == 0:
            for _ in range(20):
                f()
            stop.set()
        while not stop.is_set():
            value = s.value.copy()
            assert value[0] == value[1]
            time.sleep(0.001)

    in_threads(3, work)
    np.testing.assert_array_equal(s.value, [20, 20])


def test_setter_waits_for_running_calls(ext, make):
    s = ext.Storage(np.zeros(2))
    f = make("slow_inplace", (), shared=(s,), updates=((0, True),))

    def work(i):
        if i == 0:
            f()
        else:
            time.sleep(0.005)
            s.value = np.full(2, 100.0)

    in_threads(2, work)
    assert s.value[0] == s.value[1]


def test_storages_in_opposite_orders_do_not_deadlock(ext, make):
    a, b = ext.Storage(np.array(0.0)), ext.Storage(np.array(0.0))
    f = make("slow_count", (), shared=(a, b), updates=((0, False),))
    g = make("slow_count", (), shared=(b, a), updates=((0, False),))
    in_threads(6, lambda i: [(f if i % 2 else g)() for _ in range(10)])
    assert a.value == b.value == 30


# ---- subclasses, garbage, leaks -----------------------------------------------------------------


def test_subclass_with_a_mixin(ext, make):
    class Mixin:
        def describe(self) -> str:
            return "mixed"

    class Native(ext.Callable, Mixin):
        def __init__(self, *args, tag, **kwargs):
            super().__init__(*args, **kwargs)
            self.tag = tag

    assert ext.enable_vectorcall(Native) is Native
    f = single(make, "add1", cls=Native, tag=5)
    assert f(np.zeros(1)) == 1 and f.tag == 5 and f.describe() == "mixed"
    assert weakref.ref(f)() is f

    class Wrong(ext.Callable):
        def __call__(self):
            return 1

    for cls in (Wrong, int, 3):
        with pytest.raises(TypeError):
            ext.enable_vectorcall(cls)


def test_cycles_are_collected(ext, make):
    class Native(ext.Callable):
        pass

    f = single(make, "add1", cls=ext.enable_vectorcall(Native), shared=(ext.Storage(np.zeros(1)),))
    f.miss, f.convert, f.me = (lambda *a, f=f: f), (lambda *a, f=f: f), f
    plain = single(make, "add1")
    plain.bind = lambda *a, plain=plain: plain
    gone = weakref.ref(f), weakref.ref(plain)
    del f, plain
    gc.collect()
    assert [r() for r in gone] == [None, None]


def leak_cases(ext: Any, make: Any) -> dict[str, Any]:
    # No np.ones or np.zeros inside the cases: NumPy's own leak a reference to the dtype.
    x, s = np.ones(100), ext.Storage(np.zeros(100))
    updates = {"shared": (s,), "updates": ((0, False),)}
    swap = single(make, "accumulate", miss=lambda *a: None, **updates)
    wrong = single(make, "add1", convert=lambda i, v: np.array(v, np.float64))
    bound = single(make, "add1", bind=lambda a, k: (k["x"],))
    python, failing = opaque(make, lambda v: v * 2), opaque(make, lambda v: 1 / 0)
    absurd = single(make, "absurd", ((I64, 0),), (F64, 3), **updates)
    inplace = make("inplace", shared=(s,), updates=((0, True),))
    scratch, big = single(make, "scratchy"), np.ones(100_000)
    values, short = [np.array(1.0)] * 40, np.ones(3)

    def raises(f: Any, *args: Any) -> None:
        try:
            f(*args)
        except Exception:  # noqa: BLE001  (any)
            pass

    def held() -> None:
        kept = s.value
        inplace(x)
        del kept

    return {
        "plain": lambda: scratch(x), "scratch": lambda: scratch(big), "swap": lambda: swap(x), "inplace": held,
        "miss": lambda: swap(short), "convert": lambda: wrong([1, 2]), "bad convert": lambda: raises(wrong, "a"),
        "bind": lambda: bound(x=x), "bad bind": lambda: raises(bound, 1, 2), "python": lambda: python(x),
        "failing step": lambda: raises(failing, x), "no memory": lambda: raises(absurd, 1 << 30),
        "new": lambda: single(make, "forty", (SCALAR,) * 40, SCALAR)(*values),
        "bad new": lambda: raises(single, make, "add1", (VECTOR, (999, 1))),
    }


@pytest.mark.parametrize("case", ["plain", "scratch", "swap", "inplace", "miss", "convert", "bad convert", "bind",
                                  "bad bind", "python", "failing step", "no memory", "new", "bad new"])
def test_nothing_leaks(ext, make, case):
    work = leak_cases(ext, make)[case]
    watched = (None, ext.Storage, make, np.dtype(np.float64), VECTOR, ())

    def counts():
        gc.collect()
        return [sys.getrefcount(w) for w in watched]

    for _ in range(20):
        work()
    tracemalloc.start()
    try:
        for _ in range(10):
            work()
        before, memory = counts(), tracemalloc.get_traced_memory()[0]
        resident = rss()
        for _ in range(1000):
            work()
        after = counts()
        assert tracemalloc.get_traced_memory()[0] - memory < 20_000
        assert rss() - resident < 4 << 20
    finally:
        tracemalloc.stop()
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 500


def test_argument_reference_counts(make):
    x = np.ones(3)
    f, g = single(make, "add1"), opaque(make, lambda v: v)
    before = sys.getrefcount(x)
    for _ in range(10):
        f(x), g(x)
    fresh = sys.getrefcount(f(x))
    assert sys.getrefcount(x) == before and fresh == 1


# ---- BLAS ---------------------------------------------------------------------------------------

TYPES = {"f": np.float32, "d": np.float64, "c": np.complex64, "z": np.complex128}


def gemm(ext: Any, a: np.ndarray, b: np.ndarray, c: np.ndarray, alpha: Any, beta: Any, ta: bool, tb: bool,
         ld: tuple[int, int, int]) -> None:
    """c := alpha op(a) op(b) + beta c; row-major operands with the given leading dimensions."""
    m, n = c.shape
    k = (a.shape[0] if ta else a.shape[1])
    scalars = np.array([alpha, beta], dtype=c.dtype)
    ext._gemm(c.dtype.char.lower() if c.dtype.kind == "f" else {"F": "c", "D": "z"}[c.dtype.char], ta, tb, m, n, k,
              scalars.ctypes.data, a.ctypes.data, ld[0], b.ctypes.data, ld[1], scalars.ctypes.data + c.itemsize,
              c.ctypes.data, ld[2])


@pytest.fixture(params=["found", "scipy", "loops"])
def blas(request, ext):
    """Each BLAS in turn; the one that was found is put back."""
    chosen = {"found": lambda: entry_build.find_blas(ext), "scipy": lambda: entry_build._from_scipy(ext),
              "loops": lambda: entry_build.LOOPS}[request.param]()
    if chosen is None:
        pytest.skip("no such BLAS here")
    entry_build.use_blas(ext, chosen)
    yield chosen
    entry_build.use_blas(ext, entry_build.find_blas(ext))


@pytest.mark.parametrize("letter", TYPES)
def test_gemm(ext, blas, letter):
    rng = np.random.default_rng(0)
    dtype = np.dtype(TYPES[letter])

    def draw(rows, columns, pad):
        values = rng.normal(size=(rows, columns + pad))
        if dtype.kind == "c":
            values = values + 1j * rng.normal(size=values.shape)
        return values.astype(dtype)[:, :columns]

    sizes = [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0), (1, 1, 0), (1, 1, 1), (1, 5, 1), (5, 1, 1), (1, 1, 7), (1, 6, 7),
             (6, 1, 7), (2, 3, 4), (17, 9, 70), (33, 1, 130), (1, 33, 130)]
    tolerance = 2e-4 if dtype.itemsize // (1 + (dtype.kind == "c")) == 4 else 1e-11
    scalars = [(1, 0), (2, 1), (-1, 0.5), (0, 0)] + ([(1 + 2j, 1j)] if dtype.kind == "c" else [])
    for (m, n, k), ta, tb, pad, (alpha, beta) in itertools.product(
            sizes, (False, True), (False, True), (0, 3), scalars):
        a = draw(*((k, m) if ta else (m, k)), pad)
        b = draw(*((n, k) if tb else (k, n)), pad)
        c = draw(m, n, pad)
        full = c.base if c.base is not None else c
        outside = full[:, n:].copy()
        expected = alpha * ((a.T if ta else a) @ (b.T if tb else b)) + (beta * c if beta else 0)
        if beta == 0:
            c[...] = np.nan
        ld = tuple(v.shape[1] + pad for v in (a, b, c))
        gemm(ext, a, b, c, alpha, beta, ta, tb, ld)
        np.testing.assert_allclose(c, expected, rtol=tolerance, atol=tolerance, err_msg=str((m, n, k, ta, tb, beta)))
        np.testing.assert_array_equal(full[:, n:], outside)


def test_gemm_accepts_any_leading_dimension_of_a_single_row(ext, blas):
    a, b, c = np.full((1, 4), 2.0), np.ones((4, 3)), np.full((1, 3), np.nan)
    for lead in (0, 1, 4):
        gemm(ext, a, b, c, 1, 0, False, False, (lead, 3, lead))
        np.testing.assert_array_equal(c, [[8, 8, 8]])
    a, b, c = np.full((1, 1), 2.0), np.ones((1, 3)), np.full((1, 3), np.nan)
    gemm(ext, a, b, c, 1, 0, False, False, (0, 0, 0))
    np.testing.assert_array_equal(c, [[2, 2, 2]])


def test_blas_info_and_threads(ext):
    info = ext.blas_info()
    assert set(info) == {"name", "path", "interface", "threads"}
    if info["threads"] is not None:
        before = info["threads"]
        ext.set_blas_threads(1)
        assert ext.blas_info()["threads"] == 1
        ext.set_blas_threads(before)
    with pytest.raises(ValueError):
        ext.set_blas_threads(0)


# ---- loading and building -----------------------------------------------------------------------


def test_load_says_what_is_missing(ext, library, tmp_path):
    with pytest.raises(ImportError, match="nothing_there"):
        ext.load(str(library), "nothing_there")
    with pytest.raises(ImportError, match=r"absent\.so"):
        ext.load(tmp_path / "absent.so", "x")


def test_build_is_quick_cached_and_private(cache, ext):
    assert 0 < ext.build_seconds < 5  # 2 s on an idle machine
    assert load_entry(cache, ["gcc"]) is ext
    script = ("import sys; from pathlib import Path; from symbolic.codegen.entry import load_entry;"
              "print(load_entry(Path(sys.argv[1]), ['gcc']).build_seconds)")
    done = subprocess.run([sys.executable, "-c", script, str(cache)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0.0\n", "")
    (home,) = (cache / "entry").iterdir()
    assert home.stat().st_mode & 0o077 == 0


def test_sources_compile_without_warnings(tmp_path):
    include = entry_build.sysconfig.get_paths()["include"]
    done = subprocess.run(["gcc", *entry_build._FLAGS, "-Werror", f"-I{include}", f"-I{np.get_include()}",
                           str(TEMPLATES / "entry.c"), "-o", str(tmp_path / "x.so")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_processes_may_build_at_once_and_damage_is_repaired(tmp_path):
    script = ("import sys; from pathlib import Path; from symbolic.codegen.entry import load_entry;"
              "load_entry(Path(sys.argv[1]), ['gcc', '-O0']).blas_info()")
    command = [sys.executable, "-c", script, str(tmp_path)]
    for damaged in (False, True):
        if damaged:
            (library,) = tmp_path.glob("entry/*/*.so")
            library.write_bytes(library.read_bytes()[:1000])
        running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(1 if damaged else 4)]
        for process in running:
            assert process.wait(120) == 0, process.stderr and process.stderr.read()
            process.stderr.close()
        (home,) = (tmp_path / "entry").iterdir()
        assert len(list(home.iterdir())) == 2


def test_build_errors_are_clear(tmp_path, monkeypatch):
    with pytest.raises(EntryBuildError, match="can't run the C compiler 'no-such-compiler'"):
        load_entry(tmp_path, ["no-such-compiler"])
    with pytest.raises(EntryBuildError, match="failed"):
        load_entry(tmp_path, ["gcc", "-include", "no_such_header.h"])
    monkeypatch.setattr(entry_build.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(EntryBuildError, match=r"Python\.h isn't in"):
        load_entry(tmp_path, ["gcc", "-O1"])
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(EntryBuildError, match="can't write"):
            load_entry(tmp_path / "sub", ["gcc"])


# ---- speed --------------------------------------------------------------------------------------


def test_calling_is_cheap(ext, make):
    """Measured alternately, so that both see the same machine; the median is what users get."""
    x = np.arange(4.0)

    class Native(ext.Callable):
        pass

    ext.enable_vectorcall(Native)
    functions = {"base": single(make, "add1"), "subclass": single(make, "add1", cls=Native)}
    times: dict[str, list[float]] = {name: [] for name in ("numpy", *functions)}
    for _ in range(41):
        times["numpy"].append(timeit.timeit("f(x, 1.0)", globals={"f": np.add, "x": x}, number=2000))
        for name, f in functions.items():
            times[name].append(timeit.timeit("f(x)", globals={"f": f, "x": x}, number=2000))
    medians = {name: float(np.median(t)) / 2000 * 1e9 for name, t in times.items()}
    print({name: f"{t:.0f} ns" for name, t in medians.items()})
    for name in functions:
        assert medians[name] <= 0.35 * medians["numpy"], medians
