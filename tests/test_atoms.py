"""Our vector functions (`templates/atoms.h`) against the C library in wider formats."""
from __future__ import annotations

import ctypes
import importlib.util
import math
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.codegen import prelude
from symbolic.codegen.build import build
from symbolic.codegen.compiler import find_compiler, flags
from symbolic.codegen.printer import OWN
from symbolic.config import config

ROOT = Path(__file__).parent.parent
ATOMS = (ROOT / "symbolic" / "codegen" / "templates" / "atoms.h").read_text()
ULPS = 4.0  # what is promised; what was found stands in atoms.h
COUNT = 4096
BASELINE = "-march=x86-64" if platform.machine() in ("x86_64", "AMD64") else ""
compiler = find_compiler()
pytestmark = pytest.mark.skipif(compiler is None, reason="needs a C compiler")

# The largest error in ulps, and how many results are wrong in kind (nan, sign, infinity).
CHECKER = """
#include <math.h>
#include <stdint.h>
#include <string.h>
typedef struct { double worst, at; int64_t wrong; } verdict;
#define CHECK(NAME, T, WIDE, DIGITS, LOWEST, ABS, EXPONENT, SCALE)                                     \\
static void NAME(verdict *v, T x, T y, WIDE exact)                                                     \\
{                                                                                                      \\
    const T r = (T)exact;                                                                              \\
    if (r != r || isinf(r) || y != y || isinf(y) || signbit(r) != signbit(y)) {                        \\
        int near = isinf(y) != isinf(r) && signbit(r) == signbit(y) && y == y && r == r                \\
            && nextafter##SCALE(isinf(y) ? r : y, INFINITY * (r < 0 ? -1 : 1)) == (isinf(y) ? y : r);  \\
        if (!(r != r && y != y) && !(r == y && signbit(r) == signbit(y)) && !near) {                   \\
            v->wrong++;                                                                                \\
            v->at = (double)x;                                                                         \\
        }                                                                                              \\
        return;                                                                                        \\
    }                                                                                                  \\
    int e = 0;                                                                                         \\
    EXPONENT(exact, &e);                                                                               \\
    if (exact == 0 || e - DIGITS < LOWEST) e = LOWEST + DIGITS;                                        \\
    const double ulps = (double)ldexpl(ABS((WIDE)y - exact), DIGITS - e);                              \\
    if (ulps > v->worst) {                                                                             \\
        v->worst = ulps;                                                                               \\
        if (!v->wrong) v->at = (double)x;                                                              \\
    }                                                                                                  \\
}
CHECK(check32, float, double, 24, -149, fabs, frexp, f)
CHECK(check64, double, long double, 53, -1074, fabsl, frexpl, )

void every(void (*f)(const float *, float *, int64_t), double (*exact)(double), int64_t first, int64_t last, int64_t step,
        verdict *out)
{
    float x[4096], y[4096];
    for (int64_t u = first; u < last; u += 4096 * step) {
        for (int64_t i = 0; i < 4096; i++) {
            const uint32_t bits = (uint32_t)(u + i * step);
            memcpy(&x[i], &bits, 4);
        }
        f(x, y, 4096);
        for (int64_t i = 0; i < 4096; i++) check32(out, x[i], y[i], exact((double)x[i]));
    }
}
void given(void (*f)(const double *, double *, int64_t), long double (*exact)(long double), const double *x, double *y,
        int64_t n, verdict *out)
{
    f(x, y, n);
    for (int64_t i = 0; i < n; i++) check64(out, x[i], y[i], exact((long double)x[i]));
}
"""


class Verdict(ctypes.Structure):
    _fields_ = [("worst", ctypes.c_double), ("at", ctypes.c_double), ("wrong", ctypes.c_int64)]


def own_functions() -> str:
    """Return C with a loop over each function of ours, even where libm's would be taken."""
    lines = ["#include <stdint.h>", ATOMS]
    for dtype, c, suffix in (("float32", "float", "f"), ("float64", "double", "")):
        for name in sorted(OWN[dtype]):
            lines.append(f"void {name}{suffix}_of(const {c} *restrict x, {c} *restrict y, int64_t n)\n{{\n"
                         "    #pragma omp simd\n    for (int64_t i = 0; i < n; i++) y[i] = "
                         f"sym_{name}{suffix}(x[i]);\n}}")
    return "\n".join(lines)


@pytest.fixture(scope="module", params=["native", "baseline"])
def library(request, tmp_path_factory):
    if request.param == "baseline" and not BASELINE:
        pytest.skip("knows no oldest instruction set here")
    before = config.cflags
    config.cflags = f"{before} {BASELINE}" if request.param == "baseline" else before
    try:
        paths = build(compiler, [own_functions(), CHECKER], ["own", "checker"], tmp_path_factory.mktemp("atoms"))
    finally:
        config.cflags = before
    return [ctypes.CDLL(str(p)) for p in paths]


def libm(name: str) -> ctypes._NamedFuncPointer:
    found = ctypes.CDLL(None)
    try:
        return getattr(found, name)
    except AttributeError:
        return getattr(ctypes.CDLL("libm.so.6"), name)


def floats(library, name: str, first: int, last: int, step: int) -> Verdict:
    own, checker = library
    verdict = Verdict()
    checker.every(getattr(own, f"{name}f_of"), libm(name), ctypes.c_int64(first), ctypes.c_int64(last), ctypes.c_int64(step),
                  ctypes.byref(verdict))
    return verdict


@pytest.mark.parametrize("name", sorted(OWN["float32"]))
def test_float32_within_four_ulps_on_a_sample_of_all_numbers(library, name):
    verdict = floats(library, name, 0, 2**32, 4099)
    assert verdict.wrong == 0, f"{verdict.wrong} wrong, one at {verdict.at!r}"
    assert verdict.worst <= ULPS, f"{verdict.worst} ulps at {verdict.at!r}"


@pytest.mark.parametrize("name", sorted(OWN["float32"]))
def test_float32_near_the_ends_of_its_ranges(library, name):
    ends = [0.0, 1.0, 88.72284, 87.33655, 103.972, 128.0, 126.0, 149.0, 150.0, 0.34657, math.sqrt(0.5), math.sqrt(2), 4.0,
            9.01, 10.0, 17.0, 20.0, 2.0**-24, 1.1754944e-38, 3.4028235e38, math.inf, math.nan]
    for end in (*ends, *(-e for e in ends)):
        bits = int(np.float32(end).view("uint32"))
        verdict = floats(library, name, max(0, bits - 2048), min(bits + 2047, 2**32 - 1), 1)
        assert verdict.wrong == 0 and verdict.worst <= ULPS, (end, verdict.worst, verdict.at, verdict.wrong)


@pytest.mark.slow
@pytest.mark.skipif("TEST_EVERY_FLOAT32" not in os.environ, reason="half an hour; set TEST_EVERY_FLOAT32 to run it")
@pytest.mark.parametrize("name", sorted(OWN["float32"]))
def test_every_float32(library, name):
    verdict = floats(library, name, 0, 2**32, 1)
    print(f"{name}f: {verdict.worst:.3f} ulps at {verdict.at!r}")
    assert verdict.wrong == 0 and verdict.worst <= ULPS, (verdict.worst, verdict.at, verdict.wrong)


def doubles() -> np.ndarray:
    rng, n = np.random.default_rng(5), 100_000
    special = np.array([0.0, np.inf, np.nan, 1.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 709.782712893384,
                        709.7827128933841, 745.1332191019411, 745.1332191019412, 708.3964185322641, np.nextafter(1, 0),
                        np.nextafter(1, 2), 2.0**-53, 20.0, 36.7, 40.0, 0.34657359027997264, math.sqrt(0.5), math.sqrt(2)])
    return np.concatenate([
        rng.integers(0, 2**64, 2 * n, dtype=np.uint64).view("float64"), rng.uniform(-750, 750, n), rng.uniform(-3, 3, n),
        rng.uniform(0.5, 2, n), 10.0**rng.uniform(-320, 308, n), -10.0**rng.uniform(-320, 3, n),
        -1 + 10.0**rng.uniform(-17, 0, n), 1 + rng.normal(0, 1e-6, n), rng.uniform(-746, -708, n), rng.uniform(709, 710, n),
        special, -special])


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs a long double wider than float64")
@pytest.mark.parametrize("name", sorted(OWN["float64"]))
def test_float64_within_four_ulps(library, name):
    own, checker = library
    x, verdict = doubles(), Verdict()
    y = np.empty_like(x)
    checker.given(getattr(own, f"{name}_of"), libm(f"{name}l"), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data),
                  ctypes.c_int64(x.size), ctypes.byref(verdict))
    assert verdict.wrong == 0, f"{verdict.wrong} wrong, one at {verdict.at!r}"
    assert verdict.worst <= ULPS, f"{verdict.worst} ulps at {verdict.at!r}"


@pytest.mark.skipif(compiler is None or compiler.kind != "gcc" or not BASELINE, reason="reads gcc's x86 assembly")
def test_loops_are_vectorised_and_call_nothing(tmp_path):
    source = tmp_path / "own.c"
    source.write_text(own_functions())
    options = [f for f in flags(compiler) if f not in ("-shared",) and not f.startswith("-Wl")]
    done = subprocess.run([*compiler.command, *options, "-Werror", "-S", "-fopt-info-vec-optimized", str(source), "-o", "-"],
                          capture_output=True, text=True, check=True)
    assert not re.search(r"\tcall\t|\tjmp\t[a-z]", done.stdout)
    loops = [n for n, line in enumerate(source.read_text().splitlines(), 1) if "y[i] = sym_" in line]
    vectorised = {int(n) for n in re.findall(r"own\.c:(\d+):\d+: optimized: loop vectorized", done.stderr)}
    assert vectorised.issuperset(loops)


def test_a_unit_gets_only_the_functions_that_it_uses():
    text = prelude.prelude("y = sym_tanhf(x);")
    assert "sym_tanhf(float x)" in text and "sym_exp_restf" in text
    assert "sym_log_restf" not in text and "sym_tanh(double x)" not in text and "sym_expf(float x)" not in text
    assert "sym_exp_restf" not in prelude.prelude("y = x + 1;")


def test_results_of_vector_loops_do_not_depend_on_where_an_element_stands():
    x = T.dvector("x")
    f = symbolic.function([x], T.tanh(x), mode="FAST_RUN")
    values = np.random.default_rng(3).normal(size=67)
    whole = f(values)
    for k in range(0, 67, 9):
        assert np.array_equal(f(values[k:k + 5]), whole[k:k + 5])


@pytest.mark.skipif(importlib.util.find_spec("mpmath") is None, reason="needs mpmath")
def test_the_coefficients_are_those_that_the_fit_gives():
    done = subprocess.run([sys.executable, str(ROOT / "benchmarks" / "fit_atoms.py")], capture_output=True, text=True, check=True)
    fitted = [block.strip() for block in re.split(r"// weighted error.*\n", done.stdout) if block.strip()]
    assert len(fitted) == 7
    for block in fitted:
        assert block in ATOMS, block.splitlines()[0]
