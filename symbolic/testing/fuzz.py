"""Random programs: what FAST_RUN computes must be what the interpreter does. ``python -m symbolic.testing.fuzz --seconds 60``.

A program is text, one statement a line, over the whole registry of functions, reductions, shapes and indices, with special
values among the arguments. How far results may differ is found by computing with every result disturbed by a few units in
its last place: what such a disturbance changes, nothing can be said about. A program that fails is made as short as it can
be and printed as Python that can be run.
"""
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import symbolic.tensor as T
from symbolic.codegen.reference import apply, evaluate
from symbolic.errors import SymbolicError
from symbolic.function import function
from symbolic.graph import Constant, Variable, toposort
from symbolic.mode import Mode
from symbolic.ops.elementwise import ROWS
from symbolic.ops.reduce import REDUCTIONS
from symbolic.opt.stable import stabilised
from symbolic.types import TensorType

DTYPES = ["float64"] * 5 + ["float32"] * 5 + ["float16", "int64", "int32", "int8", "uint8", "bool", "complex128"]
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, 1e30, 0.5, -2.5, 80.0, -100.0]
EXTENTS = [3, 3, 3, 4, 4, 1, 1, 0, 7]
#: rows whose arguments have a domain in which NumPy and C define them, and what brings an argument there
SHIFTS = ("left_shift", "right_shift")
# a nan has a sign, but no operation says which (IEEE 754, 6.3): what reads it must not see one
SIGNS = {"copysign": "ROWS['copysign']({0}, T.switch(T.isnan({1}), 1, {1}))"}
#: rows with zeros that no float is, around which the value hangs on the argument's last place
ZEROS = ("gammaln", "psi")
#: what a BLAS computes: some of its kernels leave out what is multiplied by zero, so that an infinity or nan is or isn't seen
PRODUCTS = ("dot", "batched_dot", "tensordot")
#: logarithms of sums of exponentials, which are near 1 where the logarithm is near 0: they move by some last places of 1
OF_ONE = ("logsoftmax", "crossentropy")
#: units in the last place by which results are disturbed
NOISE = 16.0
RUNS = 5


@dataclass(frozen=True)
class Line:
    """One statement: a name, and an expression with ``{0}``, ``{1}`` for the names it reads."""

    target: str
    text: str
    reads: tuple[str, ...]

    def source(self) -> str:
        return self.text.format(*self.reads)


@dataclass(frozen=True)
class Program:
    """Inputs with their values, statements, and the names of the results."""

    inputs: dict[str, np.ndarray]
    known: dict[str, tuple[int | None, ...]]
    lines: tuple[Line, ...]
    outputs: tuple[str, ...]
    seed: int = 0

    def build(self) -> tuple[list[Variable], list[Variable]]:
        """Return inputs and outputs as graphs."""
        scope: dict[str, Any] = {"T": T, "np": np, "ROWS": ROWS}
        made = []
        for name, array in self.inputs.items():
            scope[name] = Variable(TensorType(array.dtype.name, self.known[name]), name=name)
            made.append(scope[name])
        for line in self.lines:
            scope[line.target] = eval(line.source(), scope)
        return made, [scope[o] for o in self.outputs]

    def source(self) -> str:
        """Return the program as Python that can be run."""
        out = ["import numpy as np", "from numpy import inf, nan", "import symbolic", "import symbolic.tensor as T",
               "from symbolic.ops.elementwise import ROWS", "from symbolic.types import TensorType"]
        for name, array in self.inputs.items():
            out.append(f"{name} = TensorType({array.dtype.name!r}, {self.known[name]})({name!r})")
        out += [f"{line.target} = {line.source()}" for line in self.lines]
        out.append(f"values = [{', '.join(_literal(a) for a in self.inputs.values())}]")
        out.append("for mode in ('FAST_RUN', 'FAST_COMPILE'):")
        out.append(f"    f = symbolic.function([{', '.join(self.inputs)}], [{', '.join(self.outputs)}], mode=mode, "
                   "on_unused_input='ignore')")
        out.append("    print(mode, f(*values))")
        return "\n".join(out)


def _literal(a: np.ndarray) -> str:
    return f"np.array({a.tolist()!r}, {a.dtype.name!r}).reshape({a.shape})"


# --------------------------------------------------------------------------------------------- generating


@dataclass
class Pool:
    """What a program has computed so far: variables and their values."""

    rng: np.random.Generator
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    known: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)

    def pick(self, wanted: Callable[[np.ndarray], bool] = lambda a: True) -> str | None:
        """Return the name of a value, later ones rather."""
        names = [n for n, a in self.values.items() if wanted(a)]
        return names[-1 - min(int(self.rng.geometric(0.25)) - 1, len(names) - 1)] if names else None

    def add(self, text: str, *reads: str | None) -> None:
        """Add a statement, unless it is refused or fails on these values."""
        if any(r is None for r in reads):
            return
        line = Line(f"v{len(self.lines)}", text, tuple(str(r) for r in reads))
        try:
            made = eval(line.source(), {"T": T, "np": np, "ROWS": ROWS, **self.variables})
            if not isinstance(made, Variable) or made.ndim > 4:
                return
            with np.errstate(all="ignore"):
                value, = evaluate([made], {self.variables[n]: a for n, a in self.values.items()})
        except (SymbolicError, ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError):
            return
        if value.size > 400:
            return
        self.lines.append(line)
        self.variables[line.target], self.values[line.target] = made, value

    def partner(self, name: str | None) -> str | None:
        """Return a value that broadcasts with another."""
        if name is None:
            return None
        shape = self.values[name].shape

        def fits(a: np.ndarray) -> bool:
            try:
                np.broadcast_shapes(shape, a.shape)
            except ValueError:
                return False
            return True

        return self.pick(fits)


def numbers(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return values, some of them special."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if kind in "iu":
        info = np.iinfo(dtype)
        extreme = rng.choice([info.min, info.max, 0, 1], shape)
        small = rng.integers(0 if kind == "u" else -5, 6, shape)
        return np.where(rng.random(shape) < 0.15, extreme, small).astype(dtype)
    with np.errstate(over="ignore"):
        x = np.where(rng.random(shape) < 0.2 * (rng.random() < 0.5), rng.choice(SPECIAL, shape), rng.normal(size=shape) * 2)
        return (x + 1j * rng.normal(size=shape) if kind == "c" else x).astype(dtype)


def random_program(seed: int) -> Program:
    """Return a program of some ten to thirty statements."""
    rng = np.random.default_rng(seed)
    pool = Pool(rng)
    shape = tuple(int(n) for n in rng.choice(EXTENTS, rng.integers(0, 4)))
    for k in range(rng.integers(1, 5)):
        own = tuple(1 if rng.random() < 0.2 else n for n in shape)[int(rng.integers(0, 2)) * (rng.random() < 0.3):]
        array = numbers(rng, str(rng.choice(DTYPES)), own)
        name = f"x{k}"
        pool.inputs[name] = pool.values[name] = array
        pool.known[name] = tuple(n if rng.random() < 0.3 else None for n in own)
        pool.variables[name] = Variable(TensorType(array.dtype.name, pool.known[name]), name=name)
    for _ in range(int(rng.integers(6, 26))):
        statement(pool)
    names = list(pool.values)[len(pool.inputs):] or list(pool.values)
    outputs = list(dict.fromkeys([names[-1], *rng.choice(names, min(4, len(names)), replace=False)]))
    return Program(pool.inputs, pool.known, tuple(pool.lines), tuple(map(str, outputs)), seed)


def statement(pool: Pool) -> None:
    """Add a statement of a random kind."""
    kinds = [elementwise, elementwise, elementwise, formula, reduction, arrangement, part, product, join, conversion, gradient]
    kinds[int(pool.rng.integers(len(kinds)))](pool)


def elementwise(pool: Pool) -> None:
    names = [n for n, r in ROWS.items() if n != "cast" and r.home.startswith("symbolic")]
    name = str(pool.rng.choice(names))
    first = pool.pick()
    if name in SIGNS:
        pool.add(f"ROWS[{name!r}]({SIGNS[name]})", first, pool.partner(first))
    elif name in SHIFTS:
        pool.add(f"ROWS[{name!r}]({{0}}, {{1}} & 7)", pool.pick(lambda a: a.dtype.kind in "iu"), pool.pick(
            lambda a: a.dtype.kind in "iu" and a.ndim == 0) or first)
    elif ROWS[name].nin == 1:
        pool.add(f"ROWS[{name!r}]({{0}})", first)
    elif ROWS[name].nin == 2:
        if pool.rng.random() < 0.3:
            number = pool.rng.choice(["1", "0", "2", "-1", "0.5", "1.0", "3"])
            sides = ["{0}", number][:: 1 if pool.rng.random() < 0.7 else -1]
            pool.add(f"ROWS[{name!r}]({', '.join(sides)})", first)
        else:
            pool.add(f"ROWS[{name!r}]({{0}}, {{1}})", first, pool.partner(first))
    else:
        other = pool.partner(first)
        pool.add(f"ROWS[{name!r}]({{0}}, {{1}}, {{2}})", first, other, pool.partner(other))


FORMULAS = [
    "T.log(1 + T.exp({0}))", "T.exp({0}) - 1", "1 / (1 + T.exp(-{0}))", "T.log(T.exp({0}))", "T.log(1 - T.nnet.sigmoid({0}))",
    "T.log(T.sum(T.exp({0}), axis=-1))", "T.nnet.softmax({0})", "T.nnet.logsoftmax({0})", "{0} / abs({0})", "{0} * T.log({0})",
    "T.log({0} ** 2)", "T.sqrt({0} ** 2)", "1 - T.erf({0})", "{0} ** 3", "T.log(T.prod({0}, axis=0))", "-(-{0})", "{0} - {0}",
    "T.mean({0} ** 2) - T.mean({0}) ** 2", "T.var({0}, axis=0)", "T.std({0})", "({0} + 2) + 3", "(2 * {0}) * 4", "{0} / 4",
    "T.switch({0} > 0, {0}, -{0})", "T.maximum(T.maximum({0}, 1), 2)", "T.zeros_like({0}) + {0}", "T.ones_like({0}) * {0}",
    "T.log(T.exp({0}) / T.exp({0}).sum(axis=0))", "T.clip({0}, -1, 1)", "T.exp({0}) / T.exp({0}).sum(axis=-1, keepdims=True)",
]


def formula(pool: Pool) -> None:
    pool.add(str(pool.rng.choice(FORMULAS)), pool.pick(lambda a: a.dtype.kind in "fi"))


def reduction(pool: Pool) -> None:
    name = str(pool.rng.choice([*REDUCTIONS, "mean", "argmax", "argmin"]))
    x = pool.pick(lambda a: a.ndim > 0)
    if x is None:
        return
    axis = pool.rng.choice([None, *range(pool.values[x].ndim)])
    pool.add(f"T.{name}({{0}}, axis={axis}, keepdims={bool(pool.rng.random() < 0.3)})", x)


def arrangement(pool: Pool) -> None:
    x = pool.pick()
    if x is None:
        return
    n = pool.values[x].ndim
    order = [str(a) for a in pool.rng.permutation(n)]
    if pool.rng.random() < 0.5:
        order.insert(int(pool.rng.integers(n + 1)), "'x'")
    choices = ["{0}.T", "{0}.reshape((-1,))", "{0}.flatten()", "{0}.reshape({0}.shape)", "{0}.reshape((1, -1))",
               "{0}.dimshuffle(" + ", ".join(order) + ")", "T.shape({0})", "T.fill({0}, 2)", "{0}.shape[0] + {0}"]
    if n:
        choices += ["T.alloc({0}[0], 2, *[{0}.shape[k] for k in range(1, {0}.ndim)])", "T.roll({0}, 1, axis=0)"]
    pool.add(str(pool.rng.choice(choices)), x)


def part(pool: Pool) -> None:
    x = pool.pick(lambda a: a.ndim > 0)
    if x is None:
        return
    a = pool.values[x]
    entries = []
    for n in a.shape[:int(pool.rng.integers(1, a.ndim + 1))]:
        start, stop = (str(int(pool.rng.integers(-n - 1, n + 2))) if pool.rng.random() < 0.5 else "" for _ in range(2))
        entries.append(str(pool.rng.choice([str(int(pool.rng.integers(-n, n)) if n else 0), f"{start}:{stop}",
                                            f"{start}:{stop}:{pool.rng.choice(['-1', '2', '-2', '1'])}", ":"])))
    if pool.rng.random() < 0.15 and a.shape[0]:
        entries[0] = str(pool.rng.integers(-a.shape[0], a.shape[0], 3).tolist())
    key = f"{{0}}[{', '.join(entries)}]"
    writes = [f"T.set_subtensor({key}, {{1}})", f"T.inc_subtensor({key}, {{1}})", f"T.set_subtensor({key}, 1)",
              f"T.inc_subtensor({key}, {key})", f"T.set_subtensor({key}, {key} * 2)"]
    if a.dtype == "bool":  # to increment bools is "or", which the C target doesn't scatter with
        writes = writes[:1]
    if pool.rng.random() < 0.6:
        pool.add(key, x)
    else:
        text = str(pool.rng.choice(writes))
        scalar = pool.pick(lambda b: b.ndim == 0 and b.dtype == a.dtype)
        pool.add(text, *((x, scalar) if "{1}" in text else (x,)))


def product(pool: Pool) -> None:
    x = pool.pick(lambda a: a.ndim in (1, 2))
    if x is None:
        return
    n = pool.values[x].shape[-1]
    choice = int(pool.rng.integers(4))
    if choice == 0:
        pool.add("T.dot({0}, {0}.T)", x)
    elif choice == 1:
        pool.add("T.dot({0}.T, {0})", x)
    elif choice == 2:
        pool.add("T.dot({0}, {1}).T", x, pool.pick(lambda a: a.ndim in (1, 2) and a.shape[0] == n))
    else:
        pool.add("T.dot({0}, {1})", x, pool.pick(lambda a: a.ndim in (1, 2) and a.shape[0] == n))


def join(pool: Pool) -> None:
    x = pool.pick(lambda a: a.ndim > 0)
    if x is None:
        return
    shape = pool.values[x].shape
    axis = int(pool.rng.integers(len(shape)))
    other = pool.pick(lambda a: a.ndim == len(shape) and all(m == n for k, (m, n) in enumerate(
        zip(a.shape, shape, strict=True)) if k != axis))
    pool.add(f"T.concatenate([{{0}}, {{1}}], axis={axis})", x, other)


def conversion(pool: Pool) -> None:
    x = pool.pick(lambda a: a.dtype.kind != "c")
    if x is None:
        return
    to = str(pool.rng.choice(["float64", "float32", "float16", "int64", "int8", "uint8", "bool"]))
    if to.startswith("float") or to == "bool" or pool.values[x].dtype.kind in "iub":
        pool.add(f"T.cast({{0}}, {to!r})", x)
    else:  # what a float outside of an integer type becomes isn't defined
        low = 0 if to == "uint8" else -100
        pool.add(f"T.cast(T.clip(T.switch(T.isnan({{0}}), 0, {{0}}), {low}, 100), {to!r})", x)


def gradient(pool: Pool) -> None:
    y = pool.pick(lambda a: a.dtype in ("float64", "float32"))
    x = next((n for n, a in pool.inputs.items() if a.dtype in ("float64", "float32") and pool.rng.random() < 0.6), None)
    pool.add("T.grad({0}.sum(), {1}, disconnected_inputs='ignore')", y, x)


# ---------------------------------------------------------------------------------------------- comparing


def disturbed(outputs: Sequence[Variable], values: dict[Variable, np.ndarray], run: int) -> list[np.ndarray]:
    """Return `outputs` computed with every floating result moved by some units in its last place.

    A complex result with an infinite part has no meaning of its own (C, NumPy and BLAS multiply them differently): it is nan in
    even runs and infinite in odd ones, so that nothing is held against what follows from it. So are products of an infinity or a
    nan with zero, which are 0 where a BLAS leaves out zeros: even runs multiply without a BLAS. The sign of a product that is
    zero hangs on the order of its sum: it is the other in odd runs. Nothing is moved in run 0. Runs 1 and 2, 3 and 4, ... move
    by the same, to opposite sides, so that one of them crosses a step such as floor's.
    """
    known, rng, side = dict(values), np.random.default_rng((run + 1) // 2), 1 - 2 * (run % 2)

    def get(v: Variable) -> np.ndarray:
        return v.data if isinstance(v, Constant) else known[v]

    with np.errstate(all="ignore"):
        for node in toposort(outputs, stop=known):
            arguments = [get(u) for u in node.inputs]
            if run and str(node.op) in ZEROS:
                arguments = [a * (1 + side * 2 * np.finfo(a.dtype).eps * rng.choice([-1, 1], a.shape)).astype(a.dtype)
                             if a.dtype.kind == "f" else a for a in arguments]
            if run % 2 == 0 and str(node.op) in PRODUCTS and not all(np.isfinite(a).all() for a in arguments):
                wide = [a.astype("complex256" if a.dtype.kind == "c" else "longdouble") for a in arguments]  # no BLAS takes them
                results = [a.astype(v.dtype) for v, a in zip(node.outputs, node.op.reference(*wide) or (), strict=True)]
            else:
                results = list(apply(node.op, arguments))
            for v, a in zip(node.outputs, results, strict=True):
                if a.dtype.kind in "fc":
                    eps = NOISE * float(np.finfo(a.dtype).eps) if run else 0.0
                    noise = rng.uniform(-1, 1, a.shape) + (1j * rng.uniform(-1, 1, a.shape) if a.dtype.kind == "c" else 0)
                    moved = (side * eps * noise).astype(a.dtype)
                    a = (a * (1 + moved) + (moved if str(node.op).partition("{")[0] in OF_ONE else 0)).astype(a.dtype)
                    if run % 2 and str(node.op) in PRODUCTS:
                        a = np.where(a == 0, -a, a)
                if a.dtype.kind == "c":
                    a = np.where(np.isfinite(a), a, complex(np.inf, 1) if run % 2 else complex(np.nan, np.nan)).astype(a.dtype)
                known.setdefault(v, a)
    return [get(v) for v in outputs]


def difference(got: np.ndarray, want: np.ndarray, around: Sequence[np.ndarray]) -> str | None:
    """Return how two results differ, beyond what disturbances explain; None if they don't."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{got.dtype} {got.shape} and {want.dtype} {want.shape}"
    if not got.size:
        return None
    if want.dtype.kind == "c":
        parts = [difference(p(got), p(want), [p(a) for a in around]) for p in (np.real, np.imag)]
        wild = ~np.isfinite(want) | np.any([~np.isfinite(a) for a in around], axis=0)
        return None if wild.any() else parts[0] or parts[1]
    g, w, *others = (np.asarray(a, "float64") for a in (got, want, *around))
    all_ = np.array([w, *others])
    with np.errstate(all="ignore"):
        nan, infinite = np.isnan(all_), np.isinf(all_)
        steady = (nan.all(0) | ~nan.any(0)) & (infinite.all(0) | ~infinite.any(0))
        exact = np.isnan(w) & np.isnan(g) | (w == g)
        if want.dtype.kind != "f":
            wrong = steady & (all_ == w).all(0) & ~exact
        else:
            eps = float(np.finfo(want.dtype).eps)
            allowed = 8 * (all_.max(0) - all_.min(0)) + 64 * eps * np.abs(w) + float(np.finfo(want.dtype).tiny) * 4
            wrong = steady & ~exact & ~(np.abs(g - w) <= allowed)
            limit = float(np.finfo(want.dtype).max)
            wrong &= ~((np.abs(np.where(np.isfinite(w), w, limit)) > limit / 1e3) & (np.abs(g) > limit / 1e3))
    if not wrong.any():
        return None
    at = tuple(int(n) for n in np.argwhere(wrong)[0])
    return f"{got[at]!s} and {want[at]!s} at {at}"


def failure(program: Program, modes: Sequence[Mode] = (Mode("FAST_RUN"),)) -> str | None:
    """Return what is wrong with a program; None if every mode gives what the interpreter does."""
    try:
        inputs, outputs = program.build()
    except (SymbolicError, ValueError, TypeError, IndexError, OverflowError, KeyError, NameError):
        return None  # what shrinking has made of it isn't a program
    arrays = list(program.inputs.values())
    values = dict(zip(inputs, arrays, strict=True))
    stable = stabilised(outputs, inputs, Mode())
    try:
        with np.errstate(all="ignore"):
            want: Any = evaluate(stable, values)
        around = [disturbed(stable, values, k) for k in range(RUNS)]
    except (SymbolicError, ValueError, IndexError) as error:
        want, around = error, []
    for mode in modes:
        try:
            got: Any = function(inputs, outputs, mode=mode, on_unused_input="ignore")(*arrays)
        except Exception as error:  # noqa: BLE001  (any error that the interpreter doesn't raise is a finding)
            if isinstance(want, Exception):
                continue
            return f"{mode.name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if isinstance(want, Exception):
            return f"{mode.name} gives a result, the interpreter {type(want).__name__}: {want}"
        for name, g, w, *more in zip(program.outputs, got, want, *around, strict=True):
            found = difference(g, w, more)
            if found is not None:
                return f"{mode.name}: {name}: {found}"
    return None


# ---------------------------------------------------------------------------------------------- shrinking


def needed(program: Program) -> Program:
    """Return a program without statements and inputs that no output reads."""
    wanted, lines = set(program.outputs), []
    for line in reversed(program.lines):
        if line.target in wanted:
            wanted.update(line.reads)
            lines.append(line)
    names = [n for n in program.inputs if n in wanted]
    return replace(program, inputs={n: program.inputs[n] for n in names}, lines=tuple(reversed(lines)),
                   known={n: program.known[n] for n in names})


def simpler(program: Program) -> list[Program]:
    """Return programs that are a step simpler, the shortest first."""
    found = [replace(program, outputs=(o,)) for o in program.outputs] if len(program.outputs) > 1 else []
    for at, line in enumerate(program.lines):
        if line.target in program.outputs and len(program.outputs) == 1:
            found += [replace(program, outputs=(r,)) for r in line.reads]
        for r in line.reads:  # what a statement reads in the place of what it makes
            others = [k for k in program.lines if k is not line]
            lines = [replace(k, reads=tuple(r if n == line.target else n for n in k.reads)) for k in others]
            if line.target not in program.outputs:
                found.append(replace(program, lines=tuple(lines)))
        for n in program.inputs:
            for k, r in enumerate(line.reads):
                if r != n and not r.startswith("x"):
                    new = replace(line, reads=(*line.reads[:k], n, *line.reads[k + 1:]))
                    found.append(replace(program, lines=(*program.lines[:at], new, *program.lines[at + 1:])))
    for n, a in program.inputs.items():
        plain = np.ones_like(a)
        if not np.array_equal(a, plain):
            found.append(replace(program, inputs=program.inputs | {n: plain}))
        if None not in program.known[n] and a.ndim:
            found.append(replace(program, known=program.known | {n: (None,) * a.ndim}))
        if a.size and a.dtype.kind == "f" and not np.array_equal(a, np.round(a), equal_nan=True):
            found.append(replace(program, inputs=program.inputs | {n: np.round(a)}))
    return sorted(map(needed, found), key=lambda p: len(p.lines) + len(p.inputs))


def shrunk(program: Program, seconds: float = 60.0) -> Program:
    """Return the simplest program found that still fails."""
    deadline = time.monotonic() + seconds
    best = needed(program)
    seen: set[str] = set()
    while time.monotonic() < deadline:
        for candidate in simpler(best):
            text = candidate.source()
            if text in seen or time.monotonic() > deadline:
                continue
            seen.add(text)
            if failure(candidate) is not None:
                best = candidate
                break
        else:
            return best
    return best


#: programs that one process runs: each loads a library, and a process may map only so many
BATCH = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run random programs for some time; print those that fail; return how many did.

    They run in processes of their own, a batch in each, so that one of which its process dies is found as well.
    """
    parser = argparse.ArgumentParser(prog="python -m symbolic.testing.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="the first program's number; the same numbers give the same programs")
    parser.add_argument("--shrink", type=float, default=60.0, help="seconds to spend on making a failing program short")
    parser.add_argument("--batch", type=Path, help=argparse.SUPPRESS)  # the file that tells the process which waits how far it is
    given = parser.parse_args(arguments)
    end = time.monotonic() + given.seconds
    if given.batch is not None:
        return _batch(given.batch, given.seed, end, given.shrink)
    count, failed, seed = 0, 0, given.seed
    with tempfile.TemporaryDirectory(prefix="symbolic-fuzz-") as folder:
        note = Path(folder) / "note"
        while (left := end - time.monotonic()) > 0:
            note.write_text(f"{seed} 0")
            done = subprocess.run([sys.executable, "-m", "symbolic.testing.fuzz", "--seconds", str(left), "--seed", str(seed),
                                   "--shrink", str(given.shrink), "--batch", str(note)], check=False)
            at, wrong = map(int, note.read_text().split())
            if done.returncode not in (0, 1):
                print(f"# program {at}: its process ended with {done.returncode}\n{random_program(at).source()}\n", flush=True)
                at, wrong = at + 1, wrong + 1
            count, failed, seed = count + at - seed, failed + wrong, at
    print(f"{count} programs, {failed} failed (seeds {given.seed} to {seed - 1})", flush=True)
    return failed


def _batch(note: Path, first: int, end: float, shrink: float) -> int:
    """Run programs from a number on, in this process; `note` holds the next one's number, and how many have failed."""
    seed, failed = first, 0
    while seed < first + BATCH and (time.monotonic() < end or seed == first):
        note.write_text(f"{seed} {failed}")
        program = random_program(seed)
        found = failure(program)
        if found is not None:
            failed += 1
            short = shrunk(program, shrink)
            print(f"# program {seed}: {found}\n# shortest: {failure(short)}\n{short.source()}\n", flush=True)
        seed += 1
    note.write_text(f"{seed} {failed}")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
