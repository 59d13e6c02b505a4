"""Products that a BLAS adds to what is there: ``beta * C + alpha * A B`` is one call, not a product and a pass over both.

So a step of gradient descent, ``W - 0.1 * dot(x.T, g)``, needs no memory for the gradient of `W`. A `beta` other
than 1 costs a BLAS a pass over C before the product; then this is only done where C needn't be copied first.
"""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symbolic.codegen.lower import BLAS_TYPES, Def
from symbolic.scalar import Expr

#: parts of an expression up to which it is looked at: a long one is no sum of two
LONGEST = 24
#: values by Def, each with the number it is multiplied by
Terms = dict[int, float]


class Accumulation:
    """Finds the sums of one graph that a product can be added to.

    Parameters
    ----------
    defs : list of Def
    clients : mapping from int to list of int
        Who reads each value.
    stored : set of int
        What must be in memory whatever is fused.
    """

    def __init__(self, defs: list[Def], clients: Mapping[int, list[int]], stored: set[int]) -> None:
        self.defs, self.clients, self.stored = defs, clients, stored

    def fold(self, d: Def) -> bool:
        """Turn a sum that must be stored into a product with `base`, `alpha` and `beta`; return whether it is one."""
        if d.kind != "map" or d.id not in self.stored or d.dtype not in BLAS_TYPES or d.body is None:
            return False
        self.left = LONGEST
        terms = self._terms(d.body, d, d)
        if terms is None or not 1 <= len(terms) <= 2 or not all(np.isfinite(n) and n for n in terms.values()):
            return False
        products = [k for k in terms if self._product(k, d)]
        if not products:
            return False
        product = self.defs[products[-1]]
        rest = [k for k in terms if k != product.id]
        if any(self.defs[k].extents != d.extents or self.defs[k].dtype != d.dtype for k in rest):
            return False
        if any(terms[k] != 1 and (self.defs[k].kind == "input" or not self._alone(k)) for k in rest):
            return False
        d.kind, d.body, d.inputs, d.transposed = "gemm", None, product.inputs, product.transposed
        d.alpha, d.folded = terms[product.id], product
        if rest:
            d.base, d.beta = rest[0], terms[rest[0]]
        return True

    def _product(self, k: int, d: Def) -> bool:
        p = self.defs[k]
        return p.kind == "gemm" and p.base is None and p.extents == d.extents and p.dtype == d.dtype and self._alone(k)

    def _alone(self, k: int) -> bool:
        return len(self.clients.get(k, ())) == 1 and (k not in self.stored)

    def _terms(self, e: Expr, d: Def, root: Def) -> Terms | None:
        """Return `e`, an expression over the axes of `d`, as a sum of elements at the same place; None if it isn't one."""
        self.left -= 1
        if self.left < 0:
            return None
        if e.op == "load":
            if len(e.args) != len(d.kept) or any(a.op != "sym" or a.arg != k for a, k in zip(e.args, d.kept, strict=True)):
                return None
            p = self.defs[e.arg]
            if p.kind == "map" and p.dtype == root.dtype and p.extents == root.extents and self._alone(p.id):
                assert p.body is not None
                return self._terms(p.body, p, root) or {p.id: 1.0}
            return {p.id: 1.0}
        if e.op == "neg":
            return self._scaled(self._terms(e.args[0], d, root), -1.0)
        if e.op in ("add", "sub"):
            x, y = (self._terms(a, d, root) for a in e.args)
            if x is None or y is None or set(x) & set(y):
                return None
            return {**x, **{k: n if e.op == "add" else -n for k, n in y.items()}}
        if e.op == "mul":
            for factor, other in (e.args, e.args[::-1]):
                if factor.op == "const" and not np.imag(factor.arg):
                    return self._scaled(self._terms(other, d, root), float(np.real(factor.arg)))
        return None

    @staticmethod
    def _scaled(terms: Terms | None, by: float) -> Terms | None:
        return None if terms is None else {k: n * by for k, n in terms.items()}
