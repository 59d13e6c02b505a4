"""Products inside of loops with a matrix that is the same in every step, such as recurrent weights.

BLAS rearranges both factors in every call. Such a matrix is packed once, before the first step, and multiplied with by a
kernel of our own (`templates/product.c.j2`). A loop of few steps or a batch of few rows leaves the product to BLAS: whether
it is worth packing is decided at each call, as extents are known only then.
"""
from __future__ import annotations

from collections.abc import Callable

from symbolic.codegen.lower import Def
from symbolic.codegen.printer import CTYPES
from symbolic.codegen.render import broken
from symbolic.codegen.writer import Writer, comment
from symbolic.scalar import loads

#: bytes of a panel's row, at most: the columns of the last panel that may be empty
_PANEL = 128


class Packing:
    """The packed matrices of one loop.

    Parameters
    ----------
    writer : Writer
        Of the loop's function.
    fixed : callable
        Returns the Def that a Def is a view of, if it is the same in every step, else None.

    Attributes
    ----------
    lines : list of str
        What packs them before the loop.
    """

    def __init__(self, writer: Writer, fixed: Callable[[int], int | None]) -> None:
        self.writer, self.fixed = writer, fixed
        self.lines: list[str] = []
        self.names: dict[tuple, str] = {}

    def product(self, d: Def) -> list[str] | None:
        """Return the lines of a product with a matrix that doesn't change; None if it is one for BLAS."""
        w = self.writer
        extents = w._product_extents(d)
        if d.dtype not in ("float32", "float64") or any(loads(e) for e in extents):
            return None
        m, n, k = (w.host(e) for e in extents)
        ta, tb = d.transposed or (False, False)
        (a, b), (fixed_a, fixed_b) = d.inputs, map(self.fixed, d.inputs)
        a_strides, b_strides = ("1", m) if ta else (k, "1"), ("1", k) if tb else (n, "1")
        if fixed_b is not None:
            rows, columns, factor, strides, at = m, n, a, a_strides, (n, "1")
            name, kernel = self._packed(d, fixed_b, b, n, k, m, b_strides)
        elif fixed_a is not None:  # the other way round: c' = b' a'
            rows, columns, factor, strides, at = n, m, b, b_strides[::-1], ("1", n)
            name, kernel = self._packed(d, fixed_a, a, m, k, n, a_strides[::-1])
        else:
            return None
        threads = f"share_product(rt, (double)({m}) * ({n}) * ({k}), {w.product_worth:.0e})"
        call = broken(f"{kernel}(", [rows, columns, k, f"p{factor}", *strides, name, f"p{d.id}", *at, threads], ");")
        return [f"if ({name}) {{", *("    " + line for line in call), "} else {",
                *("    " + line for line in w._multiplied(d)), "}"]

    def _packed(self, d: Def, root: int, operand: int, n: str, k: str, m: str, strides: tuple[str, str]) -> tuple[str, str]:
        """Return the names of a packed matrix of n columns and k rows, and of the kernel for products with it."""
        w, c = self.writer, CTYPES[d.dtype]
        kernel = Writer._kernel(w, w.unit.write_product(c), ["products with matrices that are packed once"])
        key = (root, n, k, m, strides)
        if key not in self.names:
            name = self.names[key] = f"packed{len(self.names)}"
            room = f"(double)({k}) * (({n}) * {8 if c == 'double' else 4} + {_PANEL})"
            self.lines += [f"{c} *{name} = worth_packing(steps, {m}) ? rt->scratch(rt, {room}) : 0; "
                           f"/* {comment(w.defs[operand])} */", f"if ({name})"]
            self.lines += broken(f"    {kernel}_pack(", [n, k, f"p{root}", *strides, name, f"share(rt, (double)({n}) * ({k}))"],
                                 ");")
        return self.names[key], kernel
