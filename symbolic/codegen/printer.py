"""Scalar expressions as C text."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from symbolic.errors import NotSupported
from symbolic.scalar import ATOMS, Expr
from symbolic.types import is_complex, is_discrete, is_integer

CTYPES = {
    "bool": "bool", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
    "uint8": "uint8_t", "uint16": "uint16_t", "uint32": "uint32_t", "uint64": "uint64_t",
    "float16": "_Float16", "float32": "float", "float64": "double",
    "complex64": "float _Complex", "complex128": "double _Complex",
}
SHORT = {"bool": "b", **{k: k.replace("uint", "u").replace("int", "i") for k in CTYPES if "int" in k}}
_SUFFIX = {"float32": "f", "complex64": "f"}
#: What `templates/atoms.h` has for loops that are vectorised. Elsewhere libm is as fast or faster: it may branch.
OWN = {"float32": frozenset(("exp", "exp2", "expm1", "log", "log1p", "tanh", "erf")),
       "float64": frozenset(("exp", "expm1", "log", "log1p", "tanh"))}
_INFIX = frozenset(("add", "sub", "mul", "div", "lt", "le", "eq", "ne", "and", "or", "xor", "shl", "shr"))


def literal(value: object, dtype: str) -> str:
    """Return a C constant of `dtype`.

    >>> literal(0.1, "float32"), literal(-2, "int64"), literal(True, "bool")
    ('0.1f', '(-2)', 'true')
    """
    if dtype == "bool":
        return "true" if value else "false"
    if is_integer(dtype):
        return _integer(int(value), dtype)  # type: ignore[call-overload]
    if is_complex(dtype):
        part = "float32" if dtype == "complex64" else "float64"
        z = complex(value)  # type: ignore[call-overload]
        return f"sym_complex{_SUFFIX.get(part, '')}({literal(z.real, part)}, {literal(z.imag, part)})"
    x = float(value)  # type: ignore[arg-type]
    suffix = "f" if dtype in ("float32", "float16") else ""
    if math.isnan(x):
        text = "NAN"
    elif math.isinf(x):
        text = "INFINITY"
    else:
        text = repr(abs(x)) + suffix
    return f"(-{text})" if math.copysign(1.0, x) < 0 else text


def _integer(value: int, dtype: str) -> str:
    if dtype == "int64" and value == -(2**63):
        return "INT64_MIN"
    text = str(abs(value))
    if dtype == "uint64" and value > 2**63 - 1:
        text += "u"
    elif dtype in ("int64", "uint64") and abs(value) > 2**31 - 1:
        text += "ll"
    return f"(-{text})" if value < 0 else text


def operation(node: Expr, args: list[str], vector: bool = False) -> str:
    """Return C for one node, given the text of its arguments (already parenthesised); `vector` in a simd loop."""
    op, dtype = node.op, node.dtype
    if op == "select":
        return f"{args[0]} ? {args[1]} : {args[2]}"
    if op == "cast":
        return _cast(node.args[0].dtype, dtype, args[0])
    if op not in ATOMS:
        raise NotSupported(f"the C target can't print {op}")
    operand = node.args[0].dtype
    atom = ATOMS[op]
    if is_complex(operand):
        if atom.complex_c is None:
            raise NotSupported(f"{op} isn't defined for {operand}")
        return atom.complex_c.format(*args, f=_SUFFIX.get(operand, ""))
    if op in ("floordiv", "mod", "pow") and is_discrete(operand):
        return f"sym_{op}_{SHORT[operand]}({', '.join(args)})"
    if op in ("floordiv", "mod"):
        return f"sym_{op}{_SUFFIX.get(operand, '')}({', '.join(args)})"
    if op == "abs" and is_integer(operand):
        return f"{args[0]} < 0 ? {_wrapped(dtype, '-' + args[0])} : {args[0]}"
    if op == "invert" and operand == "bool":
        return f"!{args[0]}"
    if op in ("shl", "shr"):
        return _shifted(node, args)
    if op == "sub" and dtype in ("float32", "float64") and node.args[0].op == "const" and node.args[0].arg == 0:
        return f"sym_zero_minus{_SUFFIX.get(operand, '')}({args[1]})"
    text = atom.c.format(*args, f=_SUFFIX.get(operand, ""))
    if vector and op in OWN.get(operand, ()):
        return f"sym_{text}"
    # C computes small integers as int: bring the result back, so that it wraps as NumPy's does
    return _wrapped(dtype, text) if op in ("add", "sub", "mul", "neg", "invert") else text


def _shifted(node: Expr, args: list[str]) -> str:
    """Return a shift; by its width or more, or by less than nothing, it leaves nothing but the sign, as NumPy's."""
    dtype, (x, by) = node.args[0].dtype, args
    if node.args[0].op == "const":
        x = f"({CTYPES[dtype]}){x}"  # a number alone is an int, which is shifted as one
    bits = 8 * np.dtype(dtype).itemsize
    text = _wrapped(dtype, f"{x} {'<<' if node.op == 'shl' else '>>'} {by}")
    nothing = f"({x} < 0 ? -1 : 0)" if node.op == "shr" and np.dtype(dtype).kind == "i" else "0"
    if node.args[1].op == "const":
        return text if 0 <= node.args[1].arg < bits else nothing
    return f"(uint64_t){by} < {bits} ? {text} : {nothing}"


def _wrapped(dtype: str, text: str) -> str:
    if dtype in ("int8", "int16", "uint8", "uint16", "bool"):
        return f"({CTYPES[dtype]})({text})"
    return text


def _cast(source: str, target: str, text: str) -> str:
    if target == "bool":
        return f"{text} != 0"
    if is_complex(source) and not is_complex(target):
        text = f"creal{_SUFFIX.get(source, '')}({text})"
    if source in ("float16", "float32", "float64") and is_integer(target):
        if target == "uint64":
            return f"sym_to_u64({text})"
        if target != "int64":
            return f"({CTYPES[target]})(int64_t){text}"
        return f"sym_to_i64{'' if source == 'float64' else 'f'}({text})"
    return f"({CTYPES[target]}){text}"


def atomic(text: str) -> bool:
    """Whether a text needs no parentheses as an operand."""
    return text.replace("_", "").replace(".", "").isalnum() or (text.startswith("(") and text.endswith(")")
                                                                and text.count("(") == 1)


class LongParts:
    """Names long parts of an expression that occur several times: printed where they occur, they would make its text grow
    exponentially (extents of slices of slices do).

    Parameters
    ----------
    order : sequence of Expr
        The parts, operands first; the last is the whole.
    """

    #: Characters from which on a part is long.
    LONG = 400

    def __init__(self, order: Sequence[Expr]) -> None:
        self.whole, self.named = order[-1], list[str]()
        self.uses = Counter(a for n in order for a in n.args)

    def part(self, n: Expr, text: str) -> str:
        """Return what stands for a part in the parts around it."""
        if n is self.whole or len(text) <= self.LONG or self.uses[n] < 2:
            return text
        self.named.append(f"const {CTYPES[n.dtype]} h{len(self.named) + 1} = {text};")
        return f"h{len(self.named)}"

    def text(self, text: str) -> str:
        """Return the text of the whole: where parts have names, an expression of statements (of GNU C)."""
        return f"({{ {' '.join(self.named)} {text}; }})" if self.named else text


def parenthesised(node: Expr, text: str) -> str:
    """Return `text` of `node` as an operand."""
    if atomic(text) or node.op in ("load", "const"):
        return text
    if node.op in _INFIX or node.op in ("select", "cast", "neg", "invert", "abs"):
        return f"({text})"
    return text
