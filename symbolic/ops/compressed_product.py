"""The product of two compressed sparse matrices whose places are known, and its gradients.

With x, y and z the stored elements, all three run over i, over the elements p of row i of x, and over the elements q of the row
of y that p names: one of ``z[i, q] += x[p] * y[q]``, ``x[p] += z[i, q] * y[q]`` and ``y[q] += x[p] * z[i, q]``. So each is the
derivative of the other two.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symbolic.graph import Apply, Op, Variable
from symbolic.ops.compressed import FAILURES, beside, outer_of, pointed, terms, verify
from symbolic.ops.elementwise import match_dtype
from symbolic.ops.functions import conj
from symbolic.scalar import Check, Expr, binary, dim
from symbolic.template import Template
from symbolic.types import TensorType, is_complex

_FACTORS = {"z": ("x", "y"), "x": ("z", "y"), "y": ("x", "z")}
#: of x, y and z, the input that holds the indices
_INDICES = {"x": 2, "y": 4, "z": 6}


class CompressedProduct(Op):
    """One of x, y, z of the others.

    Inputs: two vectors of elements of one dtype, in the order of x, z, y; indices and pointers of x, y and z; the number of
    columns of y and z, an int64 scalar. Places of z are those of the product.

    Parameters
    ----------
    kind : {'z', 'x', 'y'}
        Which it computes.
    """

    __props__ = ("kind",)
    name = "dot"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (TensorType(types[0].dtype, (None,)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((dim(_INDICES[self.kind], 0),),)

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        rows = dim(3, 0), dim(7, 0)
        own = (beside(k, _INDICES[which]) for k, which in enumerate(_FACTORS[self.kind]))
        return (*pointed(3, 5, 7), *own, Check(binary("eq", *rows), "a product of {0} rows can't have {1}", (), rows))

    def template(self, *types: TensorType) -> Template:
        return Template("compressed_product", (("kind", self.kind), ("dtype", types[0].dtype)), FAILURES)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        xi, xp, yi, yp, zi, zp, inner = arrays[2:]
        m = int(inner)
        for indices, pointers, extent in ((xi, xp, len(yp) - 1), (yi, yp, m), (zi, zp, m)):
            verify(indices, pointers, extent)
        p, q = terms(xi, yp)
        places = outer_of(zp).astype("int64") * m + zi
        r = np.searchsorted(places, outer_of(xp)[p].astype("int64") * m + yi[q])
        at = {"x": p, "y": q, "z": r}
        left, right = (a[at[which]] for a, which in zip(arrays[:2], _FACTORS[self.kind], strict=True))
        out = np.zeros(len(arrays[_INDICES[self.kind]]), arrays[0].dtype)
        np.add.at(out, at[self.kind], left * right)
        return (out,)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        g = gouts[0]
        if g is None:
            return [None] * 9
        first, second, *structure = inputs
        known = {which: conj(v) if is_complex(v.dtype) else v
                 for which, v in zip(_FACTORS[self.kind], (first, second), strict=True)}
        known[self.kind] = match_dtype(g, first.dtype)
        return [*(CompressedProduct(which)(*(known[k] for k in _FACTORS[which]), *structure) for which in _FACTORS[self.kind]),
                *(None for _ in structure)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k < 2] for k in range(9)]
