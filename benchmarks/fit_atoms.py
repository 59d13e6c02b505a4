"""Fit the polynomials of `symbolic/codegen/templates/atoms.h`, and print them as C: where its numbers come from (needs mpmath).

Each is the minimax polynomial of a function over an interval, under a weight that makes the error of the *result* relative, by
the exchange algorithm: an error that alternates between equal extremes n+2 times can't be improved.

References
----------
Remez, "Sur la détermination des polynômes d'approximation de degré donnée", 1934.
Muller, "Elementary Functions", 2016, chapter 3.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np

mp.mp.dps = 60
GRID = 400
TINY = mp.mpf(10) ** -12


@dataclass(frozen=True)
class Fit:
    """One polynomial of one argument: C name and dtype, function, weight, interval, degree, what it is."""

    name: str
    dtype: str
    function: Callable[[Any], Any]
    weight: Callable[[Any], Any]
    interval: tuple[Any, Any]
    degree: int
    about: str


def remez(fit: Fit, rounds: int = 20) -> tuple[list[Any], Any]:
    """Return coefficients, constant first, and the largest weighted error."""
    n = fit.degree + 1
    a, b = map(mp.mpf, fit.interval)
    points = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * (n + 1))) for i in range(n + 1)]
    grid = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * mp.mpf(i) / GRID) for i in range(GRID + 1)]
    samples = [(x, fit.function(x), fit.weight(x)) for x in grid]
    for _ in range(rounds):
        system, right = mp.matrix(n + 1, n + 1), mp.matrix(n + 1, 1)
        for i, x in enumerate(points):
            for k in range(n):
                system[i, k] = x**k
            system[i, n] = (-1) ** i / fit.weight(x)
            right[i] = fit.function(x)
        found = mp.lu_solve(system, right)
        c = [found[k] for k in range(n)]
        errors = [(x, w * (y - mp.polyval(c[::-1], x))) for x, y, w in samples]
        extremes = [errors[0]]
        for x, e in errors[1:]:
            if (e > 0) != (extremes[-1][1] > 0):
                extremes.append((x, e))
            elif abs(e) > abs(extremes[-1][1]):
                extremes[-1] = (x, e)
        while len(extremes) > n + 1:
            extremes.pop(0 if abs(extremes[0][1]) < abs(extremes[-1][1]) else -1)
        sizes = [abs(e) for _, e in extremes]
        if len(extremes) < n + 1 or max(sizes) < 1.02 * min(sizes):
            break
        points = [x for x, _ in extremes]
    return c, max(abs(e) for _, e in errors)


def at_least(weight: Callable[[Any], Any], floor: float) -> Callable[[Any], Any]:
    """Return a weight that doesn't vanish, so that the system of equations stays regular."""
    return lambda x: max(abs(weight(x)), mp.mpf(floor))


def _exp_rest(r: Any) -> Any:
    return (mp.expm1(r) - r) / r**2 if abs(r) > TINY else mp.mpf(1) / 2 + r / 6


def _exp2_rest(r: Any) -> Any:
    return (mp.mpf(2) ** r - 1) / r if abs(r) > TINY else mp.log(2)


def _log_rest(f: Any) -> Any:
    return (mp.log1p(f) - f + f * f / 2) / f**3 if abs(f) > TINY else mp.mpf(1) / 3 - f / 4


def _erf_rest(u: Any) -> Any:
    x = mp.sqrt(u)
    return mp.erf(x) / x - 1 if x > TINY else 2 / mp.sqrt(mp.pi) - 1


_HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.01")
_AROUND_ONE = (mp.sqrt(0.5) - mp.mpf("1.001"), mp.sqrt(2) - mp.mpf("0.999"))
FITS = [
    Fit("sym_exp_restf", "float32", _exp_rest, at_least(lambda r: r, 0.05), (-_HALF_LN2, _HALF_LN2), 5,
        "(exp(r) - 1 - r) / r^2 for |r| <= log(2)/2"),
    Fit("sym_exp_rest", "float64", _exp_rest, at_least(lambda r: r, 0.05), (-_HALF_LN2, _HALF_LN2), 10,
        "(exp(r) - 1 - r) / r^2 for |r| <= log(2)/2"),
    Fit("sym_exp2_restf", "float32", _exp2_rest, at_least(lambda r: r, 0.02), (-0.5, 0.5), 6,
        "(2^r - 1) / r for |r| <= 1/2"),
    Fit("sym_log_restf", "float32", _log_rest, at_least(lambda f: f * f, 0.005), _AROUND_ONE, 8,
        "(log(1+f) - f + f^2/2) / f^3 for 1+f from sqrt(1/2) to sqrt(2)"),
    Fit("sym_log_rest", "float64", _log_rest, at_least(lambda f: f * f, 0.005), _AROUND_ONE, 18,
        "(log(1+f) - f + f^2/2) / f^3 for 1+f from sqrt(1/2) to sqrt(2)"),
    Fit("sym_erf_nearf", "float32", _erf_rest, lambda u: mp.mpf(1), (0, 1), 6,
        "erf(x)/x - 1 over u = x^2 <= 1"),
    Fit("sym_erf_farf", "float32", lambda x: mp.log(mp.erfc(x)), lambda x: mp.erfc(x) / mp.erf(x), ("0.95", "4.1"), 7,
        "log(1 - erf(x)) for x from 1 to 4"),
]


def text(fit: Fit, coefficients: list[Any]) -> str:
    """Return the polynomial as a C function, by Horner's rule."""
    kind, suffix, join = ("float", "f", "SYM_FMAF") if fit.dtype == "float32" else ("double", "", "SYM_FMA")
    numbers = [str(np.float32(float(c))) if suffix else repr(float(c)) for c in coefficients]
    lines = [f"/* {fit.about} */", f"SYM_INLINE {kind} {fit.name}({kind} x)", "{",
             f"    {kind} y = {numbers[-1]}{suffix};"]
    lines += [f"    y = {join}(y, x, {c}{suffix});" for c in numbers[-2:0:-1]]
    return "\n".join([*lines, f"    return {join}(y, x, {numbers[0]}{suffix});", "}"])


def main() -> None:
    """Print all of them, each with the largest error of its fit."""
    for fit in FITS:
        coefficients, error = remez(fit)
        print(text(fit, coefficients))
        print(f"// weighted error 2^{float(mp.log(error, 2)):.1f}\n")


if __name__ == "__main__":
    main()
