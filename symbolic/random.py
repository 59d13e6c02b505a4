"""Random numbers as functions of explicit keys: ``symbolic.random.normal(key, (3, 4))``.

A key is a value, and the same key gives the same numbers. :func:`split` and :func:`fold_in` make more keys.
``symbolic.tensor.shared_randomstreams.RandomStreams`` keeps keys in shared variables, so that each call of a function
draws new numbers.
"""
from symbolic.ops.random_continuous import (
    cauchy,
    exponential,
    gumbel,
    laplace,
    logistic,
    lognormal,
    normal,
    pareto,
    rayleigh,
    truncated_normal,
    uniform,
    weibull,
)
from symbolic.ops.random_discrete import bernoulli, bits, geometric, integers, random_integers
from symbolic.ops.random_key import fold_in, key, next_key, split

__all__ = ["bernoulli", "bits", "cauchy", "exponential", "fold_in", "geometric", "gumbel", "integers", "key", "laplace",
           "logistic", "lognormal", "next_key", "normal", "pareto", "random_integers", "rayleigh", "split",
           "truncated_normal", "uniform", "weibull"]
