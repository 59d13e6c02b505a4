"""``MRG_RandomStreams``: Theano's stream of random numbers, by MRG31k3p."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Constant, Variable, constant, describe
from symbolic.ops.create import alloc, arange
from symbolic.ops.cumulative import cumsum
from symbolic.ops.elementwise import cast_to, integer_operand
from symbolic.ops.extents import extents
from symbolic.ops.functions import clip, cos, eq, erfcinv, gt, log, lt, minimum, sin, sqrt, switch
from symbolic.ops.index import getitem
from symbolic.ops.join import concatenate
from symbolic.ops.random_choice import Search, weights
from symbolic.ops.random_mrg31k3p import M1, M2, as_uniform, jumped, numbers, streams
from symbolic.ops.random_shape import (
    fitted_all,
    float_dtype,
    in_range,
    integer_dtype,
    parameter,
    product,
    require,
    sample_extents,
)
from symbolic.ops.random_streams import sampled
from symbolic.ops.reduce import sum as sum_of
from symbolic.ops.scan_views import loop
from symbolic.ops.shape import dimshuffle, reshape
from symbolic.shared import Container, SharedVariable
from symbolic.source import caller
from symbolic.types import TensorType

#: how many streams a draw of unknown size gets, and at most
_MANY = 60 * 256


def guess_n_streams(size: Any, warn: bool = False) -> int:
    """Return how many streams a draw of this size has: a sixth of its elements where they are known, at most 15360.

    Parameters
    ----------
    size : int, sequence or integer vector
    warn : bool
        Accepted as in Theano, without effect.

    Examples
    --------
    >>> guess_n_streams((100, 60)), guess_n_streams((2, 2)), guess_n_streams(10**9)
    (1000, 4, 15360)
    """
    entries = size if isinstance(size, (list, tuple)) else (size,)
    if not all(isinstance(n, (int, np.integer)) for n in entries):
        return _MANY
    total = math.prod(map(int, entries))
    return max(1, min(total // 6 if total > 6 else total, _MANY))


class MRG_RandomStreams:
    """Random numbers for graphs by L'Ecuyer and Touzin's MRG31k3p: Theano's generator for networks.

    Parameters
    ----------
    seed : int or list of six int
        An int from 1 to 2147462578; or three numbers below 2147483647, then three below 2147462579, neither three all 0.

    Notes
    -----
    Every draw has streams of its own, rows of a shared int32 matrix of 6 columns, 2**72 steps apart; draws are 2**134
    steps apart. Element i of a sample is the next number of stream ``i % nstreams``. So `uniform` gives the published
    sequence, and other methods formulas of it. For new programs `RandomStreams` is the faster and more complete one.

    Raises
    ------
    ValueError, TypeError
        If the seed isn't one of these.

    References
    ----------
    P. L'Ecuyer, R. Touzin, "Fast combined multiple recursive generators with multipliers of the form a = +-2^q +- 2^r",
    WSC 2000.

    Examples
    --------
    >>> import symbolic
    >>> rng = MRG_RandomStreams(seed=12345)
    >>> symbolic.function([], rng.uniform((2,), dtype="float64", nstreams=1))()
    array([0.73532445, 0.61420744])
    """

    def __init__(self, seed: Any = 12345) -> None:
        self._draws: list[tuple[SharedVariable, int]] = []
        self.default_instance_seed = seed
        self.set_rstate(seed)

    # -------------------------------------------------------------------------------------------- states

    def set_rstate(self, seed: Any) -> None:
        """Put the generator where a seed says, for the draws to come."""
        if isinstance(seed, (int, np.integer)) and not isinstance(seed, (bool, np.bool_)):
            if not 0 < seed < M2:
                raise ValueError(f"MRG_RandomStreams: a seed is from 1 to {M2 - 1}, got {seed}")
            words = [int(seed)] * 6
        elif isinstance(seed, (list, tuple, np.ndarray)) and len(seed) == 6:
            words = [int(w) for w in seed]
            for part, m in ((words[:3], M1), (words[3:], M2)):
                if not any(part) or any(not 0 <= w < m for w in part):
                    raise ValueError(f"MRG_RandomStreams: three numbers of a seed are from 0 to {m - 1} and not all 0, "
                                     f"got {part}")
        else:
            raise TypeError(f"MRG_RandomStreams: a seed is an int or six of them, got {seed!r}")
        self.rstate = np.array(words, "int32")

    def inc_rstate(self) -> None:
        """Go 2**134 steps on: to the streams of the next draw."""
        self.rstate = jumped(self.rstate[None], 134)[0]

    def get_substream_rstates(self, n_streams: int, dtype: Any = None, inc_rstate: bool = True) -> np.ndarray:
        """Return the states of the streams of a draw, (n_streams, 6), and go on to the next draw's."""
        if n_streams < 1:
            raise ValueError(f"MRG_RandomStreams: nstreams must be 1 or more, got {n_streams}")
        rows = streams(self.rstate, int(n_streams))
        if inc_rstate:
            self.inc_rstate()
        return rows

    def n_streams(self, size: Any) -> int:
        """Return how many streams a draw of this size has by default."""
        return guess_n_streams(size)

    @property
    def state_updates(self) -> list[tuple[SharedVariable, Variable]]:
        return [(s, s.default_update) for s, _ in self._draws]

    def updates(self) -> list[tuple[SharedVariable, Variable]]:
        """Return the updates of all draws so far; functions make them by themselves, unless told otherwise."""
        return self.state_updates

    def seed(self, seed: Any = None) -> None:
        """Start again: every draw made so far as if the stream had been made with `seed` (by default its own)."""
        if seed is not None:
            self.set_rstate(seed)
            self.default_instance_seed = seed
        else:
            self.set_rstate(self.default_instance_seed)
        for state, n in self._draws:
            state.set_value(self.get_substream_rstates(n), borrow=True)

    def _numbers(self, sizes: list[Variable], size: Any, nstreams: int | None) -> tuple[Variable, SharedVariable, Variable]:
        """Return integers from 1 to M1, their state and its new value."""
        known = [int(s.data) for s in sizes if isinstance(s, Constant)]
        n = int(nstreams) if nstreams is not None else self.n_streams(known if len(known) == len(sizes) else size)
        value = self.get_substream_rstates(n)
        state = SharedVariable(TensorType("int32", (None, 6)), Container(value), f"MRG state {len(self._draws)}")
        new, z = numbers(state, sizes)
        self._draws.append((state, n))
        return z, state, new

    def _uniform(self, sizes: list[Variable], dtype: str, nstreams: int | None) -> tuple[Variable, SharedVariable, Variable]:
        z, state, new = self._numbers(sizes, None, nstreams)
        return as_uniform(z, dtype), state, new

    # ------------------------------------------------------------------------------------------- samples

    def uniform(self, size: Any = None, low: Any = 0.0, high: Any = 1.0, ndim: int | None = None, dtype: Any = None,
                nstreams: int | None = None) -> Variable:
        """Return numbers uniform in ``(low, high)``.

        Parameters
        ----------
        size : int, sequence or integer vector, optional
            By default the shape of `low` and `high`.
        low, high : array_like
            Broadcast to the shape.
        ndim : int, optional
        dtype : str, optional
            float16, float32 or float64; by default floatX, or wider where parameters are.
        nstreams : int, optional
            Number of streams; by default a sixth of the elements. It is part of what determines the numbers.
        """
        dtype = float_dtype(dtype, [low, high], "uniform")
        bounds = [parameter(v, dtype, "uniform", name) for v, name in ((low, "low"), (high, "high"))]
        sizes = sample_extents(size, ndim, bounds, "uniform")
        a, b = fitted_all(bounds, sizes, "uniform", ["low", "high"])
        u, state, new = self._uniform(sizes, dtype, nstreams)
        unit = all(isinstance(v, Constant) and v.ndim == 0 for v in (a, b)) and (float(a.data), float(b.data)) == (0, 1)  # type: ignore[attr-defined]
        if not unit:
            b = in_range("uniform", "high is below low", lambda b, a: b >= a, b, a)
        return sampled(u if unit else u * (b - a) + a, state, new)  # type: ignore[operator]

    def normal(self, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: int | None = None, dtype: Any = None,
               nstreams: int | None = None, truncate: bool = False) -> Variable:
        """Return normal numbers; with `truncate`, as :meth:`truncated_normal`.

        Parameters
        ----------
        size, ndim, dtype, nstreams
            As for :meth:`uniform`.
        avg, std : array_like
            Broadcast to the shape; gradients reach them.

        Notes
        -----
        Box and Muller's formula: the first half of as many uniform numbers (one more where that is odd) gives lengths, the
        second angles; cosines come first.
        """
        dtype = float_dtype(dtype, [avg, std], "normal")
        work = "float32" if dtype == "float16" else dtype
        given = [parameter(v, work, "normal", name) for v, name in ((avg, "avg"), (std, "std"))]
        sizes = sample_extents(size, ndim, given, "normal")
        m, s = fitted_all(given, sizes, "normal", ["avg", "std"])
        s = in_range("normal", "std can't be negative", lambda s: s >= 0, s)
        if truncate:
            u, state, new = self._uniform(sizes, "float64", nstreams)
            edge = math.erfc(2 / math.sqrt(2))
            z = clip(math.sqrt(2) * erfcinv(2 - edge - (2 - 2 * edge) * u), -2.0, 2.0)  # type: ignore[operator]
            return sampled(cast_to(m + s * cast_to(z, work), dtype), state, new)  # type: ignore[operator]
        total = product(sizes)
        half = constant((int(total.data) + 1) // 2, dtype="int64") if isinstance(total, Constant) else (total + 1) // 2  # type: ignore[operator]
        even = constant(2 * int(half.data), dtype="int64") if isinstance(half, Constant) else 2 * half  # type: ignore[operator]
        u, state, new = self._uniform([even], work, nstreams)
        length = sqrt(-2.0 * log(getitem(u, slice(None, half))))  # type: ignore[operator]
        angle = 2 * math.pi * getitem(u, slice(half, None))  # type: ignore[operator]
        flat = getitem(concatenate([length * cos(angle), length * sin(angle)]), slice(None, total))
        return sampled(cast_to(m + s * reshape(flat, sizes, ndim=len(sizes)), dtype), state, new)  # type: ignore[operator]

    def truncated_normal(self, size: Any = None, avg: Any = 0.0, std: Any = 1.0, ndim: int | None = None, dtype: Any = None,
                         nstreams: int | None = None) -> Variable:
        """Return normal numbers of which those beyond two standard deviations are left out, by inversion."""
        return self.normal(size, avg, std, ndim, dtype, nstreams, True)

    def binomial(self, size: Any = None, n: Any = 1, p: Any = 0.5, ndim: int | None = None, dtype: str = "int64",
                 nstreams: int | None = None) -> Variable:
        """Return how many of `n` trials of chance `p` succeed.

        Parameters
        ----------
        size, ndim, nstreams
            As for :meth:`uniform`.
        n : int
            Each trial takes a number of the stream, so many trials are better drawn by `RandomStreams`.
        p : array_like
        dtype : str
        """
        out = integer_dtype(dtype, "binomial")
        trials = integer_operand(n, "binomial")
        if not isinstance(trials, Constant) or trials.data < 0:
            raise errors.ParameterError(errors.message("binomial", f"n must be a number known beforehand, 0 or more, got {n}", (),
                                                       caller(), "RandomStreams.binomial takes any n"))
        work = float_dtype(None, [p], "binomial")
        chance = parameter(p, work, "binomial", "p")
        sizes = sample_extents(size, ndim, [chance], "binomial")
        chance, = fitted_all([chance], sizes, "binomial", ["p"])
        if trials.data == 1:
            u, state, new = self._uniform(sizes, work, nstreams)
            return sampled(cast_to(lt(u, chance), out), state, new)
        u, state, new = self._uniform([constant(int(trials.data), dtype="int64"), *sizes], work, nstreams)
        return sampled(cast_to(sum_of(cast_to(lt(u, chance), "int64"), axis=0), out), state, new)

    def multinomial(self, size: Any = None, n: Any = 1, pvals: Any = None, ndim: int | None = None, dtype: str = "int64",
                    nstreams: int | None = None) -> Variable:
        """Return for each row of chances how often each category comes up in `n` trials.

        Parameters
        ----------
        size, ndim
            Not used, as in Theano: the result has the shape of `pvals`.
        n : int
        pvals : array_like, shape (m, k)
            Chances, or anything proportional to them.
        dtype : str
        nstreams : int, optional

        Raises
        ------
        ValueError
            If `size` is given, or `pvals` isn't.
        """
        out = integer_dtype(dtype, "multinomial")
        chances = self._rows(size, pvals, "multinomial")
        trials = integer_operand(n, "multinomial")
        rows, width = extents(chances)
        which, state, new = self._categories(chances, trials, nstreams)
        hits = eq(dimshuffle(which, 0, 1, "x"), arange(width))
        return sampled(cast_to(sum_of(cast_to(hits, "int64"), axis=0), out), state, new)

    def _rows(self, size: Any, pvals: Any, op: str) -> Variable:
        if size is not None:
            raise ValueError(errors.message(op, f"it takes no size, got {size!r}", (), caller(),
                                            "the shape is that of the chances"))
        if pvals is None:
            raise ValueError(errors.message(op, "the chances are missing", (), caller(), "pass a matrix, a row for each draw"))
        chances = weights(pvals, op)
        if chances.ndim != 2:
            raise errors.RankError(errors.message(op, "chances are a matrix, a row for each draw", (describe(chances),),
                                                  caller()))
        return chances

    def _categories(self, chances: Variable, n: Variable, nstreams: int | None) -> tuple[Variable, SharedVariable, Variable]:
        """Return `n` categories of each row, (n, m)."""
        u, state, new = self._uniform([n, extents(chances)[0]], "float64", nstreams)
        sums = cumsum(chances, axis=-1)
        return _found(sums, u), state, new

    def multinomial_wo_replacement(self, size: Any = None, n: Any = 1, pvals: Any = None, ndim: int | None = None,
                                   dtype: str = "int64", nstreams: int | None = None) -> Variable:
        """Return for each row of chances the numbers of `n` different categories; see :meth:`choice`."""
        chances = self._rows(size, pvals, "multinomial_wo_replacement")
        return self.choice(n, None, False, chances, ndim, dtype, nstreams)

    def choice(self, size: Any = 1, a: Any = None, replace: bool = True, p: Any = None, ndim: int | None = None,
               dtype: str = "int64", nstreams: int | None = None) -> Variable:
        """Return for each row of chances the numbers of `size` categories.

        Parameters
        ----------
        size : int or integer scalar Variable
        a : None
            As in Theano: the categories are the columns of `p`.
        replace : bool
            Whether a category may come up twice in a row; if not, chances are rescaled after each.
        p : array_like, shape (m, k)
        ndim : int, optional
            Not used.
        dtype : str
        nstreams : int, optional

        Returns
        -------
        Variable, shape (m, size)

        Raises
        ------
        ParameterError
            If a row has fewer than `size` categories of a positive chance, without replacement.
        """
        out = integer_dtype(dtype, "choice")
        if a is not None:
            raise TypeError(errors.message("choice", f"a must be None, got {a!r}", (), caller(), "RandomStreams.choice takes it"))
        chances = self._rows(None, p, "choice")
        n = integer_operand(size, "choice")
        if replace:
            which, state, new = self._categories(chances, n, nstreams)
            return sampled(cast_to(dimshuffle(which, 1, 0), out), state, new)
        rows, width = extents(chances)
        possible = sum_of(cast_to(gt(chances, 0.0), "int64"), axis=1)
        n = require("choice", "more categories are wanted than have a positive chance, without replacement",
                    lambda n, possible: n <= possible, n, possible)
        u, state, new = self._uniform([n, rows], "float64", nstreams)

        def step(left: Variable, u: Variable) -> tuple[Variable, Variable]:
            which = _found(cumsum(left, axis=-1), u)
            taken = eq(dimshuffle(which, 0, "x"), arange(width))
            return switch(taken, 0.0, left), which

        _, which = loop(step, alloc(chances, rows, width), u, name="choice")
        return sampled(cast_to(dimshuffle(which, 1, 0), out), state, new)


def _found(sums: Variable, u: Variable) -> Variable:
    """Return the categories that uniform numbers stand for; one without a chance is never among them."""
    total = getitem(sums, (slice(None), -1))
    return Search()(sums, minimum(u * total, total * (1 - 2.0**-52)))  # type: ignore[operator]
