"""The scalar language: what one element of a result is, what an index is, how long an axis is.

An :class:`Expr` is a typed, interned tree over a few kinds of node: ``const``, ``sym`` (a loop index, an
extent), ``load`` (an element of input k), ``select``, ``cast``, and the atoms of :data:`ATOMS`. An
:class:`IndexLambda` says what an op computes: element ``out[i0, i1, ...]`` as an Expr, perhaps reduced over
more axes. C, CUDA, the NumPy interpreter and both derivative directions all read this one spelling.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from symbolic.errors import DTypeError, ShapeError
from symbolic.philox import philox4x32
from symbolic.types import is_complex, promote, real_of, to_float, weak_dtype

_INTERNED: WeakValueDictionary[tuple, Expr] = WeakValueDictionary()


class Expr:
    """One node of the scalar language; equal expressions are the same object.

    Attributes
    ----------
    op : str
        ``const``, ``sym``, ``load``, ``select``, ``cast`` or the name of an atom.
    args : tuple of Expr
    arg : object
        The value of a const, the name of a sym, the input number of a load.
    dtype : str
    """

    __slots__ = ("__weakref__", "_loads", "_order", "arg", "args", "dtype", "op")

    op: str
    args: tuple[Expr, ...]
    arg: Any
    dtype: str
    _order: tuple[Expr, ...] | None  # what is below it, see `toposort`
    _loads: tuple[Expr, ...] | None  # those of them that are loads

    def __new__(cls, op: str, args: tuple[Expr, ...] = (), arg: Any = None, dtype: str = "int64") -> Expr:
        if op == "const":
            value = np.asarray(arg, dtype)
            key: tuple = (op, dtype, value.tobytes())  # bytes: -0.0 and nan are values of their own
        else:
            key = (op, *map(id, args), arg, dtype)
        found = _INTERNED.get(key)
        if found is not None:
            return found
        self = object.__new__(cls)
        self.op, self.args, self.arg, self.dtype = op, args, arg, dtype
        self._order = self._loads = None
        _INTERNED[key] = self
        return self

    def __reduce__(self) -> tuple:
        return Expr, (self.op, self.args, self.arg, self.dtype)

    def __repr__(self) -> str:
        if self.op in ("const", "sym"):
            return str(self.arg)
        inner = ", ".join(map(repr, self.args))
        return f"in{self.arg}[{inner}]" if self.op == "load" else f"{self.op}({inner})"

    def __add__(self, other: Any) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Any) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: Any) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: Any) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return binary("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return binary("floordiv", other, self)

    def __mod__(self, other: Any) -> Expr:
        return binary("mod", self, other)

    def __rmod__(self, other: Any) -> Expr:
        return binary("mod", other, self)

    def __neg__(self) -> Expr:
        return unary("neg", self)

    def __lt__(self, other: Any) -> Expr:
        return binary("lt", self, other)

    def __le__(self, other: Any) -> Expr:
        return binary("le", self, other)

    def __gt__(self, other: Any) -> Expr:
        return binary("lt", other, self)

    def __ge__(self, other: Any) -> Expr:
        return binary("le", other, self)

    def __and__(self, other: Any) -> Expr:
        return binary("and", self, other)

    def __rand__(self, other: Any) -> Expr:
        return binary("and", other, self)

    def __or__(self, other: Any) -> Expr:
        return binary("or", self, other)

    def __xor__(self, other: Any) -> Expr:
        return binary("xor", self, other)

    def __invert__(self) -> Expr:
        return unary("invert", self)

    def __bool__(self) -> bool:
        raise TypeError("a scalar expression has no truth value; use select(condition, a, b)")


# --------------------------------------------------------------------------------------------- atoms


@dataclass(frozen=True, slots=True)
class Atom:
    """A function every target spells for itself.

    Parameters
    ----------
    name : str
    arity : int
    numpy : callable
        Its meaning on arrays.
    c : str
        Format of the C text: ``{0}``, ``{1}`` are the arguments, ``{f}`` the libm suffix of the dtype.
    result : str
        ``same`` (as the arguments), ``bool`` or ``real`` (of a complex argument).
    cost : int
        Rough number of instructions an element, for fusion's decisions.
    complex_c : str or None
        The C format for complex arguments; None: not defined there.
    """

    name: str
    arity: int
    numpy: Callable
    c: str
    result: str = "same"
    cost: int = 1
    complex_c: str | None = None


def _over_reals(function: Callable[[float], float]) -> Callable:
    """Lift a scalar function of the standard library (NumPy has no erf or gamma) to arrays."""

    def guarded(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    lifted = np.frompyfunc(guarded, 1, 1)

    def apply(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        return np.asarray(lifted(x.astype("float64"))).astype(x.dtype)

    return apply


def _tgamma(x: float) -> float:
    return math.copysign(math.inf, x) if x == 0 else math.gamma(x)


@cache
def _zetas() -> list[float]:
    """Return zeta(k) - 1 for k = 2, 3, ..., by Euler's and Maclaurin's formula from the hundredth term on."""
    n = 100
    return [sum(j ** -k for j in range(2, n)) + n ** (1 - k) / (k - 1) + n ** -k / 2 + k * n ** (-k - 1) / 12
            - k * (k + 1) * (k + 2) * n ** (-k - 3) / 720 for k in range(2, 40)]


def _lgamma(x: float) -> float:
    if 0.5 < x < 2.5:  # Python's loses digits at its zeros, 1 and 2; Abramowitz and Stegun, "Handbook", 6.1.33
        z = x - 2 if x > 1.5 else x - 1
        series = sum((-z) ** k * zeta / k for k, zeta in enumerate(_zetas(), 2))
        return z * (1 - 0.57721566490153286) + series - (math.log1p(z) if x <= 1.5 else 0.0)
    return math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x)


def _complex(re: Any, im: Any) -> np.ndarray:
    """Return a complex array from its parts; ``re + 1j * im`` would make nan of an infinite part."""
    out = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), np.result_type(re, im, np.complex64))
    out.real, out.imag = re, im
    return out


def _libm(name: str, numpy: Callable, cost: int = 20, c: str | None = None, cplx: bool = False) -> Atom:
    spelling = c or name
    return Atom(name, 1, numpy, spelling + "{f}({0})", cost=cost,
                complex_c="c" + spelling + "{f}({0})" if cplx else None)


def _philox(word: int) -> Atom:
    """Return the atom for a word of a random block; its arguments are the counter's four words and the key's two."""
    return Atom(f"philox{word}", 6, lambda *counter_and_key: philox4x32(*counter_and_key)[word],
                f"sym_philox({{0}}, {{1}}, {{2}}, {{3}}, {{4}}, {{5}}, {word})", cost=80)


_ATOM_ROWS = (
    Atom("add", 2, np.add, "{0} + {1}", complex_c="{0} + {1}"),
    Atom("sub", 2, np.subtract, "{0} - {1}", complex_c="{0} - {1}"),
    Atom("mul", 2, np.multiply, "{0} * {1}", complex_c="{0} * {1}"),
    Atom("div", 2, np.true_divide, "{0} / {1}", cost=4, complex_c="{0} / {1}"),
    Atom("floordiv", 2, np.floor_divide, "sym_floordiv_{t}({0}, {1})", cost=8),
    Atom("mod", 2, np.mod, "sym_mod_{t}({0}, {1})", cost=8),
    Atom("pow", 2, np.power, "pow{f}({0}, {1})", cost=40, complex_c="sym_cpow{f}({0}, {1})"),
    Atom("neg", 1, np.negative, "-{0}", complex_c="-{0}"),
    Atom("abs", 1, np.abs, "fabs{f}({0})", result="real", complex_c="cabs{f}({0})"),
    Atom("lt", 2, np.less, "{0} < {1}", result="bool"),
    Atom("le", 2, np.less_equal, "{0} <= {1}", result="bool"),
    Atom("eq", 2, np.equal, "{0} == {1}", result="bool", complex_c="{0} == {1}"),
    Atom("ne", 2, np.not_equal, "{0} != {1}", result="bool", complex_c="{0} != {1}"),
    Atom("and", 2, np.bitwise_and, "{0} & {1}"),
    Atom("or", 2, np.bitwise_or, "{0} | {1}"),
    Atom("xor", 2, np.bitwise_xor, "{0} ^ {1}"),
    Atom("invert", 1, np.invert, "~{0}"),
    Atom("shl", 2, np.left_shift, "{0} << {1}"),
    Atom("shr", 2, np.right_shift, "{0} >> {1}"),
    Atom("ceil", 1, np.ceil, "ceil{f}({0})"),
    Atom("floor", 1, np.floor, "floor{f}({0})"),
    Atom("trunc", 1, np.trunc, "trunc{f}({0})"),
    Atom("rint", 1, np.rint, "rint{f}({0})"),
    Atom("copysign", 2, np.copysign, "copysign{f}({0}, {1})"),
    Atom("sqrt", 1, np.sqrt, "sqrt{f}({0})", cost=6, complex_c="csqrt{f}({0})"),
    _libm("exp", np.exp, 10, cplx=True),
    _libm("exp2", np.exp2, 10),
    _libm("expm1", np.expm1),
    _libm("log", np.log, 10, cplx=True),
    _libm("log2", np.log2, 10),
    _libm("log10", np.log10),
    _libm("log1p", np.log1p),
    _libm("sin", np.sin, cplx=True),
    _libm("cos", np.cos, cplx=True),
    _libm("tan", np.tan, cplx=True),
    _libm("arcsin", np.arcsin, c="asin", cplx=True),
    _libm("arccos", np.arccos, c="acos", cplx=True),
    _libm("arctan", np.arctan, c="atan", cplx=True),
    _libm("sinh", np.sinh, cplx=True),
    _libm("cosh", np.cosh, cplx=True),
    _libm("tanh", np.tanh, cplx=True),
    _libm("arcsinh", np.arcsinh, c="asinh", cplx=True),
    _libm("arccosh", np.arccosh, c="acosh", cplx=True),
    _libm("arctanh", np.arctanh, c="atanh", cplx=True),
    Atom("arctan2", 2, np.arctan2, "atan2{f}({0}, {1})", cost=30),
    _libm("erf", _over_reals(math.erf)),
    _libm("erfc", _over_reals(math.erfc), 30),
    _libm("tgamma", _over_reals(_tgamma), 60),
    _libm("lgamma", _over_reals(_lgamma), 60),
    Atom("real", 1, np.real, "{0}", result="real", complex_c="creal{f}({0})"),
    Atom("imag", 1, np.imag, "0", result="real", complex_c="cimag{f}({0})"),
    Atom("conj", 1, np.conj, "{0}", complex_c="conj{f}({0})"),
    Atom("complex", 2, _complex, "sym_complex{f}({0}, {1})", result="complex"),
    *(_philox(word) for word in range(4)),
)
ATOMS: dict[str, Atom] = {atom.name: atom for atom in _ATOM_ROWS}

_INT_ABS = {"uint8", "uint16", "uint32", "uint64", "bool"}


# --------------------------------------------------------------------------------------- constructors


def const(value: Any, dtype: str) -> Expr:
    """Return the constant `value` of `dtype`."""
    return Expr("const", (), np.asarray(value).astype(dtype).item(), dtype)


def sym(name: str, dtype: str = "int64") -> Expr:
    """Return the symbol `name`: a loop index or an extent."""
    return Expr("sym", (), name, dtype)


def dim(k: int, axis: int) -> Expr:
    """Return the extent of input `k` along `axis`."""
    return Expr("sym", (), f"d{k}_{axis}", "int64")


def axis(n: int) -> Expr:
    """Return the index along output axis `n`."""
    return Expr("sym", (), f"i{n}", "int64")


def reduce_axis(n: int) -> Expr:
    """Return the index along reduced axis `n`."""
    return Expr("sym", (), f"r{n}", "int64")


def load(k: Any, indices: Iterable[Expr], dtype: str) -> Expr:
    """Return the element of input (or buffer) `k` at `indices`."""
    return Expr("load", tuple(indices), k, dtype)


def cast(x: Expr, dtype: str) -> Expr:
    """Return `x` converted to `dtype`."""
    if x.dtype == dtype:
        return x
    if x.op == "const":
        value = x.arg.real if is_complex(x.dtype) and not is_complex(dtype) else x.arg
        if not (isinstance(value, float) and np.dtype(dtype).kind in "iu"):
            return const(value, dtype)
        if abs(value) < 2.0**63:  # what doesn't fit in 64 bits becomes what the processor makes of it, when it runs
            return const(int(value) % 2**64 if dtype == "uint64" else np.int64(value).astype(dtype), dtype)
    return Expr("cast", (x,), None, dtype)


def lift(value: Any, beside: str | None = None) -> Expr:
    """Return `value` as an Expr; a Python number takes the dtype `beside` it where it fits."""
    if isinstance(value, Expr):
        return value
    return const(value, weak_dtype(value, (beside,) if beside else ()))


def unary(name: str, x: Expr) -> Expr:
    """Apply a one-argument atom."""
    atom = ATOMS[name]
    dtype = x.dtype
    if name == "abs" and dtype in _INT_ABS:
        return x
    if name in ("real", "conj") and not is_complex(dtype):
        return x
    if name == "neg" and dtype == "int64":
        if x.op == "const":
            return const(np.negative(np.int64(x.arg)), dtype)
        if x.op == "neg":
            return x.args[0]
        if x.op == "sub" and x.args[0].op == "const" and x.args[0].arg == 0:
            return x.args[1]
    if name == "imag" and not is_complex(dtype):
        return const(0, dtype)
    if is_complex(dtype) and atom.complex_c is None:
        raise DTypeError(f"{name} isn't defined for {dtype}")
    return Expr(name, (x,), None, real_of(dtype) if atom.result == "real" else dtype)


def binary(name: str, x: Any, y: Any) -> Expr:
    """Apply a two-argument atom to operands brought to one dtype; folds integer constants."""
    x, y = lift(x, y.dtype if isinstance(y, Expr) else None), lift(y, x.dtype if isinstance(x, Expr) else None)
    dtype = promote(x.dtype, y.dtype)
    if name == "div":
        dtype = to_float(dtype)
    x, y = cast(x, dtype), cast(y, dtype)
    atom = ATOMS[name]
    if is_complex(dtype) and atom.complex_c is None:
        raise DTypeError(f"{name} isn't defined for {dtype}")
    if dtype == "int64":
        folded = _fold_index(name, x, y)
        if folded is not None:
            return folded
    result = {"bool": "bool", "complex": "complex64" if dtype == "float32" else "complex128"}
    return Expr(name, (x, y), None, result.get(atom.result, dtype))


def _fold_index(name: str, x: Expr, y: Expr) -> Expr | None:
    """Simplify index and extent arithmetic: int64 is exact, so these hold for every value."""
    if x.op == "const" and y.op == "const":
        if name in ("floordiv", "mod") and y.arg == 0:
            return None
        dtype = "bool" if ATOMS[name].result == "bool" else "int64"
        with np.errstate(over="ignore"):
            return const(ATOMS[name].numpy(np.int64(x.arg), np.int64(y.arg)), dtype)
    if name == "add":
        if y.op == "const" and y.arg == 0:
            return x
        if x.op == "const" and x.arg == 0:
            return y
    elif name == "sub":
        if y.op == "const" and y.arg == 0:
            return x
        if x is y:
            return const(0, "int64")
    elif name == "mul":
        for a, b in ((x, y), (y, x)):
            if a.op == "const" and a.arg == 1:
                return b
            if a.op == "const" and a.arg == 0:
                return a
    elif name == "floordiv" and y.op == "const" and y.arg == 1:
        return x
    elif name in ("le", "eq") and x is y:
        return const(True, "bool")
    elif name in ("lt", "ne") and x is y:
        return const(False, "bool")
    elif name == "lt" and y.op == "const" and y.arg <= 0 and _never_negative(x):
        return const(False, "bool")
    elif name == "le" and x.op == "const" and x.arg <= 0 and _never_negative(y):
        return const(True, "bool")
    elif name in ("eq", "ne"):
        for a, b in ((x, y), (y, x)):
            if a.op == "const" and a.arg < 0 and _never_negative(b):
                return const(name == "ne", "bool")
    return None


def _never_negative(e: Expr) -> bool:
    """Whether an integer is an extent (``d0_1`` of an op's input, ``x0_1`` of a graph's), or made of such, keeping its sign."""
    stack, steps = [e], 0
    while stack:
        n = stack.pop()
        steps += 1
        if n.op == "sym" and n.arg[0] in "dx" and "_" in n.arg or n.op == "const" and n.arg >= 0:
            continue
        if n.op not in ("add", "mul", "floordiv") or steps > 30:
            return False
        stack.extend(n.args)
    return True


def select(condition: Expr, x: Any, y: Any) -> Expr:
    """Return `x` where `condition`, else `y`; both may be computed."""
    x, y = lift(x, y.dtype if isinstance(y, Expr) else None), lift(y, x.dtype if isinstance(x, Expr) else None)
    if condition.op == "const":
        return x if condition.arg else y
    if x is y:
        return x
    dtype = promote(x.dtype, y.dtype)
    return Expr("select", (condition, cast(x, dtype), cast(y, dtype)), None, dtype)


def isnan(x: Expr) -> Expr:
    """Return whether `x` is nan; False for integers."""
    if np.dtype(x.dtype).kind in "biu":
        return const(False, "bool")
    return Expr("ne", (x, x), None, "bool")


def maximum(x: Any, y: Any) -> Expr:
    """Return the larger; nan if either is nan, as NumPy."""
    x, y = lift(x, getattr(y, "dtype", None)), lift(y, getattr(x, "dtype", None))
    return select(x >= y if np.dtype(x.dtype).kind in "biu" else (x >= y) | isnan(x), x, y)


def minimum(x: Any, y: Any) -> Expr:
    """Return the smaller; nan if either is nan, as NumPy."""
    x, y = lift(x, getattr(y, "dtype", None)), lift(y, getattr(x, "dtype", None))
    return select(x <= y if np.dtype(x.dtype).kind in "biu" else (x <= y) | isnan(x), x, y)


# ------------------------------------------------------------------------------------------ traversal


#: Expressions up to this many nodes remember them in order: stages ask for the same small ones again and again.
_SMALL = 32


def toposort(roots: Iterable[Expr]) -> list[Expr]:
    """Return every node below `roots`, arguments first; iterative, so depth has no limit."""
    stack = list(roots)[::-1]
    root = stack[0] if len(stack) == 1 else None
    if root is not None:
        if not root.args:
            return [root]
        if root._order is not None:
            return [*root._order, root]
    order: list[Expr] = []
    seen: set[Expr] = set()
    while stack:
        node = stack[-1]
        if node in seen:
            stack.pop()
            continue
        ready = True
        for a in reversed(node.args):
            if a not in seen:
                stack.append(a)
                ready = False
        if ready:
            seen.add(node)
            order.append(node)
            stack.pop()
    if root is not None and len(order) <= _SMALL:
        root._order = tuple(order[:-1])  # without itself: no cycle for the collector
    return order


def loads(root: Expr) -> list[Expr]:
    """Return the loads in `root`, itself included, arguments first."""
    if root._loads is None:
        below = tuple(n for n in toposort([root])[:-1] if n.op == "load")
        if len(below) > _SMALL:
            return [*below, root] if root.op == "load" else list(below)
        root._loads = below
    return [*root._loads, root] if root.op == "load" else list(root._loads)


def rebuild(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """Return `node` with other arguments, folding index arithmetic again."""
    if args == node.args:
        return node
    if node.op == "select":
        return select(*args)
    if node.op == "cast":
        return cast(args[0], node.dtype)
    if node.dtype in ("int64", "bool") and len(args) == 2 and node.op != "load":
        return binary(node.op, *args)
    return Expr(node.op, args, node.arg, node.dtype)


def substitute(roots: Sequence[Expr], replace: Callable[[Expr, tuple[Expr, ...]], Expr | None]) -> list[Expr]:
    """Rebuild `roots` bottom up; `replace(node, new_args)` gives the new node, or None to keep it."""
    done: dict[Expr, Expr] = {}
    for node in toposort(roots):
        args = tuple(done[a] for a in node.args)
        new = replace(node, args)
        done[node] = rebuild(node, args) if new is None else new
    return [done[r] for r in roots]


def replace_symbols(root: Expr, table: dict[str, Expr]) -> Expr:
    """Return `root` with the symbols named in `table` replaced."""
    return substitute([root], lambda n, args: table.get(n.arg) if n.op == "sym" else None)[0]


def symbols(root: Expr) -> set[str]:
    """Return the names of the symbols below `root`."""
    return {n.arg for n in toposort([root]) if n.op == "sym"}


def cost(root: Expr) -> int:
    """Return a rough number of instructions for one evaluation."""
    return sum(ATOMS[n.op].cost if n.op in ATOMS else 1 for n in toposort([root]) if n.op not in ("const", "sym"))


# --------------------------------------------------------------------------------------- index lambda


@dataclass(frozen=True, slots=True)
class Combiner:
    """How a reduction joins two values: the one statement of it for every target.

    ``accumulate`` gives the dtype of the running value: float32 sums run in float64, because a single
    float32 accumulator drifts by 1e-3 over 1e7 elements.
    """

    name: str
    combine: Callable[[Expr, Expr], Expr]
    identity: Callable[[str], Any]
    numpy: Any
    accumulate: dict[str, str]


def _lowest(dtype: str) -> Any:
    kind = np.dtype(dtype).kind
    return -math.inf if kind == "f" else False if kind == "b" else int(np.iinfo(dtype).min)


def _highest(dtype: str) -> Any:
    kind = np.dtype(dtype).kind
    return math.inf if kind == "f" else True if kind == "b" else int(np.iinfo(dtype).max)


_WIDE = {"float16": "float64", "float32": "float64", "complex64": "complex128"}
COMBINERS: dict[str, Combiner] = {
    c.name: c
    for c in (
        Combiner("add", lambda a, b: a + b, lambda d: 0, np.add, _WIDE),
        Combiner("mul", lambda a, b: a * b, lambda d: 1, np.multiply, _WIDE),
        Combiner("max", maximum, _lowest, np.maximum, {}),
        Combiner("min", minimum, _highest, np.minimum, {}),
        Combiner("and", lambda a, b: a & b, lambda d: True if d == "bool" else -1, np.bitwise_and, {}),
        Combiner("or", lambda a, b: a | b, lambda d: False if d == "bool" else 0, np.bitwise_or, {}),
    )
}


@dataclass(frozen=True, slots=True)
class IndexLambda:
    """Element ``out[i0, i1, ...]`` of a result as a scalar expression.

    Parameters
    ----------
    body : Expr
        Over ``axis(n)``, ``reduce_axis(n)``, ``dim(k, a)`` and ``load(k, indices)`` of the op's inputs.
    reduce : tuple of Expr
        Extents of the reduced axes.
    combiner : str
        A name in :data:`COMBINERS`; unused without reduced axes.
    """

    body: Expr
    reduce: tuple[Expr, ...] = ()
    combiner: str = "add"


@dataclass(frozen=True, slots=True)
class Part:
    """One region that a scatter writes: for every index of `extents`, ``out[index] = body``.

    ``accumulate`` is None (overwrite) or a combiner's name; with it, repeated indices all count.
    """

    extents: tuple[Expr, ...]
    index: tuple[Expr, ...]
    body: Expr
    accumulate: str | None = None


@dataclass(frozen=True, slots=True)
class Scatter:
    """A result written in parts over a copy of input `base` (None: the parts cover all of it)."""

    base: int | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that must hold for all indices of `extents` before the op may run.

    Without extents it is about shapes and scalars alone. ``broadcast`` names the (input, axis) pairs that
    were assumed equal: where one of them turns out to be 1, the function specialises instead of failing.
    ``message`` is a format over ``detail``, the values of up to four int64 expressions.
    """

    condition: Expr
    message: str
    extents: tuple[Expr, ...] = ()
    detail: tuple[Expr, ...] = ()
    broadcast: tuple[tuple[int, int], ...] = ()
    error: type[Exception] = ShapeError
