"""Kernel IR as CUDA's C++: the same printer as for C, and what is spelled otherwise.

Scalars, operations and helpers (integer division, float remainders, Philox) are the text that the C target has; C's
complex numbers and ``_Float16`` become classes of the prelude.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from symbolic.codegen.kernel_ir import Accumulate, Finish, For, Init, Kernel, Let, Stmt, Store
from symbolic.codegen.printer import CTYPES, LongParts, literal, operation, parenthesised
from symbolic.codegen.render import Renderer
from symbolic.scalar import ATOMS, COMBINERS, Expr, sym, toposort
from symbolic.types import is_complex, is_discrete, is_integer

_TEMPLATES = Path(__file__).parent.parent / "templates"
_SECTION = re.compile(r"/\* when: (.*?) \*/\n(.*?)(?=/\* when: |\Z)", re.DOTALL)
#: sections of the C prelude that GPUs share
_SHARED = re.compile(r"sym_(\(floordiv\|mod\|pow\)_\[iu\]|zero_minus|\(mod\|floordiv\)|philox)")
_SIGNS = {"add": "+", "mul": "*", "and": "&", "or": "|"}
#: arithmetic that may overflow, and in which types it is done instead
_WRAPPING = {"add": "+", "sub": "-", "mul": "*", "neg": "-"}
_UNSIGNED = {"int32": "uint32_t", "int64": "uint64_t", "uint16": "uint32_t", "int16": "uint32_t"}
#: dtypes that hardware adds to memory in one step
ATOMIC = ("float32", "float64", "int32", "int64", "uint32", "uint64")


def cuda_type(dtype: str) -> str:
    """Return the C++ type of a dtype.

    >>> cuda_type("complex64"), cuda_type("float16"), cuda_type("int8")
    ('sym_complex64', 'sym_half', 'int8_t')
    """
    return _spelled(CTYPES[dtype])


def _spelled(text: str) -> str:
    """Return C text as CUDA's C++."""
    if "_" not in text:
        return text
    text = text.replace("float _Complex", "sym_complex64").replace("double _Complex", "sym_complex128")
    return text.replace("_Float16", "sym_half")


class CudaRenderer(Renderer):
    """Writes statements of a kernel as CUDA's C++; whoever asks writes the loops over threads around them."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, False)
        self.depth = 1

    def block(self, stmts: Sequence[Stmt], depth: int, bound: set[str], names: dict[Expr, str] | None = None) -> list[str]:
        """Return the lines of statements; `names` says what has a name already."""
        outer, self.lines = self.lines, []
        self._block(stmts, depth, {} if names is None else names, bound)
        made, self.lines = self.lines, outer
        return [_spelled(line) for line in made]

    def _emit(self, depth: int, line: str) -> None:
        self.depth = depth
        super()._emit(depth, line)

    def _expr(self, root: Expr, names: dict[Expr, str]) -> str:
        done: dict[Expr, str] = {}
        order = toposort([root])
        parts = LongParts(order)
        for n in order:
            if n in names:
                done[n] = names[n]
            elif n.op == "const":
                text = literal(n.arg, n.dtype)
                done[n] = f"_Float16({text})" if n.dtype == "float16" else text
            elif n.op == "sym":
                done[n] = n.arg
            elif n.op == "load":
                done[n] = f"{n.arg}[{done[n.args[0]]}]"
            else:
                done[n] = _operation(n, [parenthesised(a, done[a]) for a in n.args])
            if n is not root and len(done[n]) > LongParts.LONG and parts.uses[n] > 1:
                self.count += 1  # CUDA's compilers know no expressions of statements: the part gets a line of its own
                self._emit(self.depth, f"const {CTYPES[n.dtype]} v{self.count} = {done[n]};")
                done[n] = f"v{self.count}"
        return done[root]

    def expression(self, e: Expr) -> str:
        """Return an expression over names that are bound."""
        return _spelled(self._expr(e, {}))

    def _block(self, stmts: Sequence[Stmt], depth: int, names: dict[Expr, str], bound: set[str]) -> None:
        self.depth = depth
        for s in stmts:  # what is named stays named in the statements after it
            if isinstance(s, Store) and s.accumulate is not None:
                self._bind([s.value], depth, names, bound)
                self._add_to(s, depth, names)
            elif isinstance(s, (Let, Store, Init, Accumulate, Finish, For)):
                self._statement(s, depth, names, bound)

    def _statement(self, s: Stmt, depth: int, names: dict[Expr, str], bound: set[str]) -> None:
        if isinstance(s, Let):
            self._bind([s.value], depth, names, bound)
            self._emit(depth, f"const {CTYPES[s.value.dtype]} {s.name} = {self._expr(s.value, names)};")
            bound.add(s.name)
        elif isinstance(s, Store):
            self._bind([s.value], depth, names, bound)
            self._emit(depth, f"{s.buffer}[{self._expr(s.offset, names)}] = {self._expr(s.value, names)};")
        elif isinstance(s, Accumulate):
            self._bind([s.value], depth, names, bound)
            value, dtype = self._expr(s.value, names), s.value.dtype
            wide = COMBINERS[s.combiner].accumulate.get(dtype, dtype)
            if wide != dtype:  # classes don't meet numbers of another width by themselves
                value = f"({CTYPES[wide]})({value})"
            self.count += 1
            self._emit(depth, f"const {CTYPES[wide]} v{self.count} = {value};")
            self._emit(depth, f"{s.name} = {joined(s.combiner, f'v{self.count}', s.name, wide)};")
        elif isinstance(s, For):
            start, stop = self._expr(s.start, names), self._expr(s.stop, names)
            self._emit(depth, f"for (int64_t {s.axis} = {start}; {s.axis} < {stop}; {s.axis}++) {{")
            self._block(s.body, depth + 1, dict(names), bound | {s.axis})
            self._emit(depth, "}")
        else:
            raise AssertionError(f"{s} isn't for a single thread")

    def _add_to(self, s: Store, depth: int, names: dict[Expr, str]) -> None:
        target, value, dtype = f"{s.buffer}[{self._expr(s.offset, names)}]", self._expr(s.value, names), s.value.dtype
        assert s.accumulate is not None
        if not s.accumulate.startswith("atomic "):
            self.count += 1
            self._emit(depth, f"const {CTYPES[dtype]} v{self.count} = {value};")
            self._emit(depth, f"{target} = {joined(s.accumulate, f'v{self.count}', target, dtype)};")
        elif dtype in ("complex64", "complex128"):
            self._emit(depth, f"sym_atomic_add(&{target}.re, ({value}).re);")
            self._emit(depth, f"sym_atomic_add(&{target}.im, ({value}).im);")
        else:
            self._emit(depth, f"sym_atomic_add(&{target}, {value});")


def _operation(n: Expr, args: list[str]) -> str:
    """Return an operation; what is spelled otherwise than in C is here."""
    operand, atom = n.args[0].dtype, ATOMS.get(n.op)
    if n.op in _WRAPPING and n.dtype in _UNSIGNED and (n.dtype != "int64" or _of_data(n)):
        return _wrapping(_WRAPPING[n.op], ["0", *args] if n.op == "neg" else args, n.dtype)
    if n.op == "abs" and n.dtype in _UNSIGNED:
        return f"{args[0]} < 0 ? {_wrapping('-', ['0', args[0]], n.dtype)} : {args[0]}"
    if n.op == "cast" and is_integer(n.dtype) and n.dtype != "uint64" and not is_discrete(operand):
        x = args[0] if not is_complex(operand) else f"creal{'f' if operand == 'complex64' else ''}({args[0]})"
        text = f"sym_to_i64{'' if operand in ('float64', 'complex128') else 'f'}({x})"
        return text if n.dtype == "int64" else f"({CTYPES[n.dtype]}){text}"
    if atom is not None and "{f}(" in atom.c and n.op not in ("pow", "abs") and is_discrete(operand):
        args = [f"(double)({a})" for a in args]  # C makes a double of an integer, C++ looks for another function of that name
    return operation(n, args)


def _wrapping(sign: str, args: Sequence[str], dtype: str) -> str:
    """Return integer arithmetic that wraps: where it overflows with a sign, compilers for GPUs may do anything."""
    return f"({CTYPES[dtype]})({f' {sign} '.join(f'({_UNSIGNED[dtype]}){a}' for a in args)})"


def _of_data(n: Expr) -> bool:
    """Whether a value depends on elements of arrays: positions and extents alone don't overflow."""
    return any(m.op == "load" or m.op == "sym" and m.arg[0] in "tv" for m in toposort([n]))


def joined(combiner: str, x: str, now: str, dtype: str) -> str:
    """Return what a running value of `dtype` becomes by one more.

    >>> joined("add", "t0", "acc0", "float32"), joined("max", "t0", "acc0", "int8")
    ('acc0 + t0', '((acc0 <= t0) ? t0 : acc0)')
    """
    if combiner in ("add", "mul", "and", "or"):
        if dtype in _UNSIGNED and combiner in ("add", "mul"):
            return _wrapping(_SIGNS[combiner], (now, x), dtype)
        text = f"{now} {_SIGNS[combiner]} {x}"
        small = dtype in ("bool", "int8", "int16", "uint8", "uint16")
        return f"({CTYPES[dtype]})({text})" if small else text
    table = {"x": x, "now": now}
    made = COMBINERS[combiner].combine(sym("x", dtype), sym("now", dtype))
    done: dict[Expr, str] = {}
    for n in toposort([made]):
        done[n] = table[n.arg] if n.op == "sym" else literal(n.arg, n.dtype) if n.op == "const" else "(" + operation(
            n, [done[a] for a in n.args]) + ")"
    return done[made]


@cache
def _helpers() -> list[tuple[str, str]]:
    """Return the sections a text may need, each with the pattern that tells: ours, then those of the C target."""
    own = _SECTION.findall((_TEMPLATES / "cuda/prelude.cuh").read_text())
    own += _SECTION.findall((_TEMPLATES / "cuda/complex.cuh").read_text())
    theirs = [(p, t) for p, t in _SECTION.findall((_TEMPLATES / "prelude.h").read_text()) if _SHARED.match(p)]
    return own + [(p, re.sub(r"static inline( __attribute__\(\(always_inline\)\))?", "static __device__ inline", t))
                  for p, t in theirs]


def cuda_prelude(text: str) -> str:
    """Return what must stand before kernels: only what they use.

    >>> "sym_philox" in cuda_prelude("x = 1;"), "sym_philox(" in cuda_prelude("x = sym_philox(a, b, c, d, e, f, 0);")
    (False, True)
    """
    words = "\n".join(sorted(set(re.findall(r"\w+\(?", text))))
    chosen = [body.strip("\n") for pattern, body in _helpers() if pattern == "always" or re.search(pattern, words)]
    integers = sorted(set(re.findall(r"sym_(?:floordiv|mod|pow)_([iu])(\d+)", words)))
    return "\n\n".join(chosen).replace("SYM_INTEGERS", "\n".join(
        f"SYM_INT({'u' if kind == 'u' else ''}int{bits}_t, {kind}{bits})" for kind, bits in integers)) + "\n"
