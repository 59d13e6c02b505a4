"""Random numbers as functions of explicit keys: ``symbolic.random.normal(key, (3, 4))``.

A key is a value, and the same key gives the same numbers. :func:`split` and :func:`fold_in` make more keys.
``symbolic.tensor.shared_randomstreams.RandomStreams`` keeps keys in shared variables, so that each call of a function
draws new numbers.
"""
from symbolic.ops.random_choice import categorical, choice, choice_of_rows, multinomial
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
from symbolic.ops.random_counts import binomial, negative_binomial, poisson
from symbolic.ops.random_discrete import bernoulli, bits, geometric, integers, random_integers
from symbolic.ops.random_gamma import beta, chisquare, dirichlet, gamma, student_t
from symbolic.ops.random_key import fold_in, key, next_key, split
from symbolic.ops.random_order import permutation, shuffle, shuffle_row_elements

__all__ = ["bernoulli", "beta", "binomial", "bits", "categorical", "cauchy", "chisquare", "choice",
           "choice_of_rows", "dirichlet", "exponential", "fold_in", "gamma", "geometric", "gumbel", "integers",
           "key", "laplace", "logistic", "lognormal", "multinomial", "negative_binomial", "next_key", "normal",
           "pareto", "permutation", "poisson", "random_integers", "rayleigh", "shuffle", "shuffle_row_elements",
           "split", "student_t", "truncated_normal", "uniform", "weibull"]
