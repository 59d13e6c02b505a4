"""Keys of random numbers: what a draw starts from, and how new keys come from old ones. All of it is pure.

A key is four words (uint32): two that Philox takes as its key, and two that are the upper half of its counter, the
number of the draw. The lower half counts the blocks of a draw, from 0; where its top bits are set it makes keys.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Op, Variable, as_tensor_variable, constant, describe
from symbolic.ops.create import arange
from symbolic.ops.elementwise import cast_to
from symbolic.ops.functions import and_, right_shift
from symbolic.ops.join import stack
from symbolic.philox import philox4x32
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, cast, const, dim, load, select
from symbolic.source import caller
from symbolic.types import TensorType, is_discrete, is_integer

KEY = TensorType("uint32", (4,))
#: top bits of a block's number, for blocks that become keys
_FOLDED, _SPLIT = 0x80000000, 0xC0000000


def checked_key(types: Sequence[TensorType]) -> None:
    """Refuse what can't be a key as the first operand."""
    if types[0].dtype != "uint32" or types[0].ndim != 1 or types[0].shape[0] not in (None, 4):
        raise errors.DTypeError(f"a key is a vector of 4 uint32, got {types[0]}\nhint: random.key(seed) makes one")


def key_checks(types: Sequence[TensorType]) -> tuple[Check, ...]:
    """Return what a key must meet that is known only at run time."""
    if types[0].shape[0] is not None:
        return ()
    return (Check(binary("eq", dim(0, 0), const(4, "int64")), "a key has 4 words, got {0}", detail=(dim(0, 0),)),)


def word_of_key(k: int) -> Expr:
    """Return a word of the key that is operand 0."""
    return load(0, (const(k, "int64"),), "uint32")


def block(low: Expr, high: Expr, word: int) -> Expr:
    """Return a word of the block with number (`low`, `high`) under the key that is operand 0."""
    args = (low, high, word_of_key(2), word_of_key(3), word_of_key(0), word_of_key(1))
    return Expr(f"philox{word}", args, None, "uint32")


def chosen(at: Expr, values: Sequence[Expr]) -> Expr:
    """Return ``values[at]``."""
    out = values[-1]
    for k in reversed(range(len(values) - 1)):
        out = select(binary("eq", at, const(k, "int64")), values[k], out)
    return out


class OfKey(Op):
    """What is made from a key: nothing of it has a gradient."""

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return key_checks(types)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [None] * len(inputs)

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        return [[False] * node.nout for _ in node.inputs]


class Advance(OfKey):
    """The key of the next draw: the counter's upper half plus one."""

    name = "next_key"

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        checked_key(types)
        return (KEY,)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return ((const(4, "int64"),),)

    def compute(self, *types: TensorType) -> IndexLambda:
        one, own = const(1, "uint32"), load(0, (axis(0),), "uint32")
        carry = cast(binary("eq", word_of_key(2), const(0xFFFFFFFF, "uint32")), "uint32")
        return IndexLambda(chosen(axis(0), [own, own, own + one, own + carry]))


class Derive(OfKey):
    """A key for each of some numbers.

    Parameters
    ----------
    domain : int
        Top bits of the blocks; keys of two domains never are the same block.
    """

    __props__ = ("domain",)
    name = "derive_key"

    def __init__(self, domain: int) -> None:
        self.domain = domain

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        checked_key(types)
        if not is_integer(types[1].dtype):
            raise errors.DTypeError(f"keys are made from integers, got {types[1]}")
        return (TensorType("uint32", (*types[1].shape, 4)),)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        own = tuple(dim(1, a) if n is None else const(n, "int64") for a, n in enumerate(types[1].shape))
        return ((*own, const(4, "int64")),)

    def compute(self, *types: TensorType) -> IndexLambda:
        n = types[1].ndim
        index = [const(0, "int64") if m == 1 else axis(a) for a, m in enumerate(types[1].shape)]
        number = cast(load(1, index, types[1].dtype), "uint64")
        low = cast(number & const(0xFFFFFFFF, "uint64"), "uint32")
        high = cast(binary("shr", number, const(32, "uint64")) & const(0x1FFFFFFF, "uint64"), "uint32")
        words = [block(low, high | const(self.domain, "uint32"), w) for w in range(4)]
        return IndexLambda(chosen(axis(n), words))


def as_key(key: Any, op: str) -> Variable:
    """Return a key as a variable.

    Raises
    ------
    DTypeError
        If it isn't a vector of four uint32.
    """
    v = as_tensor_variable(key)
    if v.dtype != "uint32" or v.ndim != 1 or v.type.shape[0] not in (None, 4):
        raise errors.DTypeError(errors.message(op, f"a key is a vector of 4 uint32, got {describe(v)}", (), caller(),
                                               "random.key(seed) makes one"))
    return v


def key(seed: Any) -> Variable:
    """Return the key of a seed.

    Parameters
    ----------
    seed : int or integer scalar Variable
        Any integer; its lowest 64 bits count.

    Returns
    -------
    Variable, shape (4,), uint32

    Raises
    ------
    DTypeError
        If `seed` isn't an integer scalar.

    Notes
    -----
    The same key gives the same numbers, whatever the number of threads and the target. Use it once: make more
    keys with :func:`split`, :func:`fold_in` or :func:`next_key`.

    Examples
    --------
    >>> key(7).data
    array([7, 0, 0, 0], dtype=uint32)
    """
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, (bool, np.bool_)):
        return constant(np.array([int(seed) & 0xFFFFFFFF, int(seed) >> 32 & 0xFFFFFFFF, 0, 0], "uint32"))
    v = as_tensor_variable(seed)
    if v.ndim or not is_discrete(v.dtype):
        raise errors.DTypeError(errors.message("key", f"a seed is an integer, got {describe(v)}", (), caller()))
    wide = cast_to(v, "uint64")
    words = [cast_to(and_(wide, np.uint64(0xFFFFFFFF)), "uint32"), cast_to(right_shift(wide, np.uint64(32)), "uint32")]
    zero = constant(np.uint32(0))
    return stack([*words, zero, zero])


def next_key(key: Any) -> Variable:
    """Return the key that follows: how the state of a stream advances after a draw.

    Parameters
    ----------
    key : Variable, shape (4,), uint32

    Returns
    -------
    Variable, shape (4,), uint32

    Examples
    --------
    >>> import symbolic
    >>> symbolic.function([], next_key(symbolic.random.key(7)))()
    array([7, 0, 1, 0], dtype=uint32)
    """
    return Advance()(as_key(key, "next_key"))


def fold_in(key: Any, data: Any) -> Variable:
    """Return a new key for each integer: of a layer, a step, an example.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    data : int or integer array of shape S
        Its lowest 61 bits count.

    Returns
    -------
    Variable, shape (*S, 4), uint32

    Examples
    --------
    >>> import symbolic
    >>> fold_in(symbolic.random.key(7), 3).type
    TensorType(uint32, (4,))
    """
    return Derive(_FOLDED)(as_key(key, "fold_in"), as_tensor_variable(data))


def split(key: Any, n: Any = 2) -> Variable:
    """Return `n` new keys.

    Parameters
    ----------
    key : Variable, shape (4,), uint32
    n : int or integer scalar Variable

    Returns
    -------
    Variable, shape (n, 4), uint32

    Examples
    --------
    >>> import symbolic
    >>> split(symbolic.random.key(7), 3).type
    TensorType(uint32, (3, 4))
    """
    return Derive(_SPLIT)(as_key(key, "split"), arange(n))


def key_value(seed: int, stream: int) -> np.ndarray:
    """Return the value of ``fold_in(key(seed), stream)``: the first state of a stream.

    >>> key_value(7, 0).shape
    (4,)
    """
    low, high = stream & 0xFFFFFFFF, stream >> 32 & 0x1FFFFFFF | _FOLDED
    words = philox4x32(*(np.asarray(w, "uint64") for w in (low, high, 0, 0, seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF)))
    return np.array(words, "uint32")
