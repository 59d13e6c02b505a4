"""Einstein sums: any contraction of several arrays, as products of matrices in a good order."""
from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np  # noqa: F401  (examples)

from symbolic import errors
from symbolic.graph import Variable, describe
from symbolic.ops.diagonal import diagonal
from symbolic.ops.elementwise import weak_operands
from symbolic.ops.functions import and_, mul
from symbolic.ops.linalg import BatchedDot, Dot, SameExtents, grouped, same_extents, split_extents
from symbolic.ops.reduce import any as any_of
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.shape import dimshuffle
from symbolic.source import caller

#: How long an axis is taken to be, when orders are compared, if nothing is known of it.
_GUESS = 64
#: Up to how many operands every order is tried.
_EXACT = 8
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
Label = str


@dataclass(frozen=True)
class Term:
    """An array whose axes have labels, no label twice."""

    x: Variable
    labels: tuple[Label, ...]


def einsum(subscripts: Any, *operands: Any, optimize: Any = True) -> Variable:
    """Return the sum of products that `subscripts` names, as ``numpy.einsum``.

    Parameters
    ----------
    subscripts : str
        A label for each axis of each operand, such as ``'ij,jk->ik'``: axes of one label have one extent, and labels that
        the result doesn't have are summed over. Without ``->``, the result has the labels that stand once, in
        alphabetical order. ``...`` stands for axes that broadcast. NumPy's other form is taken too:
        ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.
    *operands : array_like
    optimize : bool or str
        Choose the order of products by their cost (extents that aren't known count as some 64); False: from left to right.

    Returns
    -------
    Variable
        Of the promoted dtype.

    Raises
    ------
    ValueError
        If the subscripts are malformed, or don't fit the operands.
    ShapeError
        If axes of one label have different extents; when the function runs where they are known only then.

    Notes
    -----
    Products with labels that are summed over become products of matrices (GEMM), batched over labels that stay in both
    factors; others become elementwise products, fused with what reads them. Of up to eight operands the order of
    least work is found by dynamic programming over their subsets (Lam, Sadayappan and Wenger, 1997); of more, the cheapest
    product is taken each time.

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0]))()
    array([21., 43.])
    """
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists((subscripts, *operands))
    given = weak_operands(operands)
    if not given:
        raise ValueError("einsum: there must be at least one operand")
    labels, out = _labels(subscripts, given)
    terms = [_without_repeats(x, own) for x, own in zip(given, labels, strict=True)]
    _check_extents(terms, subscripts)
    terms = [_without_ones(t, terms, out) for t in terms]
    terms = [_summed(t, _needed(t, terms, out)) for t in terms]
    while len(terms) > 1:
        for a, b in _order(terms, out) if optimize else [(0, 1)]:
            x, y = terms[a], terms[b]
            terms = [t for k, t in enumerate(terms) if k not in (a, b)]
            terms.append(_product(x, y, {n for t in terms for n in t.labels} | set(out)))
            if not optimize:
                terms = terms[-1:] + terms[:-1]
    last = terms[0]
    missing = [n for n in out if n not in last.labels]
    assert not missing, missing
    return dimshuffle(last.x, [last.labels.index(n) for n in out])


# -------------------------------------------------------------------------------------------- reading


def _from_lists(args: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Return NumPy's other form, arrays and lists of integers in turn, as a string and operands."""

    def text(axes: Iterable[Any]) -> str:
        parts = []
        for a in axes:
            if a is not Ellipsis and not (isinstance(a, int) and 0 <= a < 52):
                raise ValueError(f"einsum: labels are integers from 0 to 51, or Ellipsis, got {a!r}")
            parts.append("..." if a is Ellipsis else sorted(_LETTERS, key=lambda c: (c.islower(), c))[a])
        return "".join(parts)

    operands, lists = args[:len(args) // 2 * 2:2], args[1::2]
    inputs = ",".join(map(text, lists))
    return (inputs + "->" + text(args[-1]) if len(args) % 2 else inputs), tuple(operands)


def _labels(subscripts: str, given: Sequence[Variable]) -> tuple[list[list[Label]], list[Label]]:
    """Return the label of each axis of each operand, and of the result; axes under ``...`` are labelled by numbers."""
    text = "".join(subscripts.split())
    inputs, arrow, output = text.partition("->")
    parts = inputs.split(",")
    for part in [*parts, output]:
        rest = part.replace("...", "", 1)
        bad = sorted(set(rest) - _LETTERS)
        if bad:
            raise ValueError(f"einsum: {bad[0]!r} in {subscripts!r} is no label: labels are letters, and at most one '...'")
    if len(parts) != len(given):
        raise ValueError(f"einsum: {subscripts!r} is for {len(parts)} operands, got {len(given)}")
    labels, dots = [], 0
    for part, x in zip(parts, given, strict=True):
        before, ellipsis, after = part.partition("...")
        free = x.ndim - len(before) - len(after)
        if free < 0 or (free and not ellipsis):
            raise errors.RankError(errors.message("einsum", f"{part!r} has {len(before) + len(after)} labels for {x.ndim} "
                                                  "dimensions", (describe(x),), caller(), "'...' stands for axes without label"))
        labels.append([*before, *(str(k) for k in range(free - 1, -1, -1)), *after])
        dots = max(dots, free)
    shared = [str(k) for k in range(dots - 1, -1, -1)]
    if not arrow:
        every = [c for part in parts for c in part if c in _LETTERS]
        return labels, shared + sorted(c for c in set(every) if every.count(c) == 1)
    before, ellipsis, after = output.partition("...")
    out = [*before, *(shared if ellipsis else []), *after]
    if dots and not ellipsis:
        raise ValueError(f"einsum: the result of {subscripts!r} has no '...', but operands have axes under it")
    known = {n for own in labels for n in own}
    for c in out:
        if c not in known or out.count(c) > 1:
            raise ValueError(f"einsum: label {c!r} of the result of {subscripts!r} "
                             + ("stands twice" if c in known else "is none of the operands'"))
    return labels, out


def _without_repeats(x: Variable, labels: Sequence[Label]) -> Term:
    """Return the diagonal where a label stands twice."""
    own = list(labels)
    while len(set(own)) < len(own):
        name = next(n for n in own if own.count(n) > 1)
        a = own.index(name)
        b = own.index(name, a + 1)
        x = diagonal(SameExtents(((a, b),))(x, x), 0, a, b)
        own = [n for k, n in enumerate(own) if k not in (a, b)] + [name]
    return Term(x, tuple(own))


def _check_extents(terms: Sequence[Term], subscripts: str) -> None:
    known: dict[Label, int] = {}
    for t in terms:
        for name, n in zip(t.labels, t.x.type.shape, strict=True):
            if n not in (None, 1) and known.setdefault(name, n) != n:
                what = f"label {name!r}" if name in _LETTERS else "axes under '...'"
                raise errors.ShapeError(errors.message("einsum", f"{what} of {subscripts!r} have extents {known[name]} and {n}",
                                                       tuple(describe(t.x) for t in terms), caller()))


def _without_ones(t: Term, terms: Sequence[Term], out: Sequence[Label]) -> Term:
    """Return a term without axes of extent 1 that another term has longer: they broadcast."""
    longer = {n for u in terms for n, m in zip(u.labels, u.x.type.shape, strict=True) if m != 1}
    kept = [k for k, n in enumerate(t.labels) if t.x.type.shape[k] != 1 or n not in longer]
    return t if len(kept) == len(t.labels) else Term(dimshuffle(t.x, kept), tuple(t.labels[k] for k in kept))


def _needed(t: Term, terms: Sequence[Term], out: Sequence[Label]) -> set[Label]:
    return {n for u in terms if u is not t for n in u.labels} | set(out)


def _summed(t: Term, needed: set[Label]) -> Term:
    """Return a term summed over the labels that nothing else needs."""
    gone = [k for k, n in enumerate(t.labels) if n not in needed]
    if not gone:
        return t
    x = any_of(t.x, gone) if t.x.dtype == "bool" else sum_of(t.x, gone, dtype=t.x.dtype)
    return Term(x, tuple(n for n in t.labels if n in needed))


# ------------------------------------------------------------------------------------------- products


def _product(x: Term, y: Term, needed: set[Label]) -> Term:
    """Return the product of two terms, summed over the labels that aren't needed."""
    both = [n for n in x.labels if n in y.labels]
    inner = [n for n in both if n not in needed]
    batch = [n for n in both if n in needed]
    rows, columns = [n for n in x.labels if n not in both], [n for n in y.labels if n not in both]
    if not inner or not (rows or columns):
        order = (*batch, *rows, *columns, *inner)
        parts = [dimshuffle(t.x, [t.labels.index(n) if n in t.labels else "x" for n in order]) for t in (x, y)]
        return _summed(Term((and_ if parts[0].dtype == parts[1].dtype == "bool" else mul)(*parts), order), needed)
    at_x, at_y = ([t.labels.index(n) for n in inner] for t in (x, y))
    left = same_extents(x.x, y.x, at_x, at_y)
    a = grouped(left, [*([x.labels.index(n)] for n in batch), [x.labels.index(n) for n in rows], at_x])
    b = grouped(y.x, [*([y.labels.index(n)] for n in batch), at_y, [y.labels.index(n) for n in columns]])
    k = len(batch)
    made = BatchedDot()(a, b) if k else Dot()(a, b)
    from_x, from_y = [(x.x, x.labels.index(n)) for n in rows], [(y.x, y.labels.index(n)) for n in columns]
    return Term(split_extents(made, k, from_x, from_y), (*batch, *rows, *columns))


# ---------------------------------------------------------------------------------------------- order


def _order(terms: Sequence[Term], out: Sequence[Label]) -> list[tuple[int, int]]:
    """Return which two terms to multiply, each time; a product goes to the end of what is left."""
    sizes: dict[Label, float] = {}
    for t in terms:
        for name, n in zip(t.labels, t.x.type.shape, strict=True):
            sizes[name] = max(sizes.get(name, 0), _GUESS if n is None else n)
    sets = [frozenset(t.labels) for t in terms]
    if len(terms) > _EXACT:
        return [_cheapest(sets, frozenset(out), sizes)]
    tree = _best_tree(sets, frozenset(out), sizes)
    order: list[tuple[int, int]] = []
    _walk(tree, list(range(len(terms))), order)
    return order


def _work(labels: Iterable[Label], sizes: dict[Label, float]) -> float:
    return math.prod(sizes[n] for n in labels)


def _cheapest(sets: Sequence[frozenset[Label]], out: frozenset[Label], sizes: dict[Label, float]) -> tuple[int, int]:
    """Return the two terms whose product makes least, in comparison with what it replaces."""

    def cost(pair: tuple[int, int]) -> tuple[float, float]:
        a, b = pair
        rest = out.union(*(s for k, s in enumerate(sets) if k not in pair))
        made = (sets[a] | sets[b]) & rest
        return _work(made, sizes) - _work(sets[a], sizes) - _work(sets[b], sizes), _work(sets[a] | sets[b], sizes)

    return min(itertools.combinations(range(len(sets)), 2), key=cost)


def _best_tree(sets: Sequence[frozenset[Label]], out: frozenset[Label], sizes: dict[Label, float]) -> Any:
    """Return the tree of products of least work: an int, or a pair of trees."""
    n = len(sets)
    full = (1 << n) - 1
    union = [frozenset().union(*(sets[k] for k in range(n) if m >> k & 1)) for m in range(full + 1)]
    kept = [union[m] & (out | union[full ^ m]) for m in range(full + 1)]
    best: dict[int, tuple[float, Any]] = {1 << k: (0.0, k) for k in range(n)}
    for m in sorted(range(1, full + 1), key=int.bit_count):
        if m in best:
            continue
        part = (m - 1) & m
        while part > m ^ part:  # each split of m once
            a, b = best[part], best[m ^ part]
            cost = a[0] + b[0] + _work(kept[part] | kept[m ^ part], sizes)
            if m not in best or cost < best[m][0]:
                best[m] = cost, (b[1], a[1])
            part = (part - 1) & m
    return best[full][1]


def _walk(tree: Any, present: list[Any], order: list[tuple[int, int]]) -> Any:
    """Write down the products of a tree, children first, as places in what is left; return what stands for it there."""
    if isinstance(tree, int):
        return tree
    left, right = (_walk(t, present, order) for t in tree)
    a, b = sorted((present.index(left), present.index(right)))
    order.append((a, b))
    present[:] = [p for k, p in enumerate(present) if k not in (a, b)] + [tree]
    return tree
