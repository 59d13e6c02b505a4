"""Hamiltonian Monte Carlo, compiled into one function: random numbers, trajectories and decisions in a loop of samples.

The outer loop draws momenta and decides; the inner one goes along a trajectory by the leapfrog rule, with the gradient of
the log density by ``symbolic.grad``. Many chains run side by side, which gives honest standard errors: chains are independent,
so the spread of their means says how far the mean of all may be off. Two targets whose moments are known: a Gaussian
with a given covariance, and a banana (a Gaussian bent along a parabola). The program fails if an estimate
is further from the truth than five standard errors.

References: R. M. Neal, "MCMC using Hamiltonian dynamics", 2011; H. Haario, E. Saksman and J. Tamminen, "Adaptive proposal
distribution for random walk Metropolis algorithm", 1999, for the banana.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import symbolic
import symbolic.tensor as T
from symbolic.tensor.shared_randomstreams import RandomStreams

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[2.0, 1.2, 0.3], [1.2, 1.5, -0.4], [0.3, -0.4, 0.8]])
WIDTH, BEND = 2.0, 0.3  # the banana's deviation along its length, and how much it is bent


@dataclass(frozen=True)
class Target:
    """A density: its logarithm, for points (chains, d), up to a constant (chains,); its mean (d,) and covariance (d, d)."""

    name: str
    log_density: Callable[[symbolic.Variable], symbolic.Variable]
    mean: np.ndarray
    covariance: np.ndarray
    step_size: float
    steps: int


def gaussian(q: symbolic.Variable) -> symbolic.Variable:
    """Return the log density of a normal distribution of MEAN and COVARIANCE."""
    off = q - MEAN
    return -0.5 * ((off @ np.linalg.inv(COVARIANCE)) * off).sum(axis=1)


def banana(q: symbolic.Variable) -> symbolic.Variable:
    """Return the log density of (WIDTH a, b + BEND ((WIDTH a)² - WIDTH²)) with a and b standard normal.

    The map from a and b has a constant Jacobian, so the density is theirs. Means are 0, the covariance is 0, the variances are
    WIDTH² and 1 + 2 BEND² WIDTH⁴.
    """
    x, y = q[:, 0], q[:, 1]
    straight = y - BEND * (T.sqr(x) - WIDTH**2)
    return -0.5 * (T.sqr(x / WIDTH) + T.sqr(straight))


TARGETS = [
    Target("correlated Gaussian", gaussian, MEAN, COVARIANCE, 0.55, 6),
    Target("banana", banana, np.zeros(2), np.diag([WIDTH**2, 1 + 2 * BEND**2 * WIDTH**4]), 0.35, 10),
]


@dataclass
class Result:
    """Samples (n, chains, d), the share of accepted proposals, and by how many standard errors each moment is off."""

    samples: np.ndarray
    accepted: float
    mean: np.ndarray
    covariance: np.ndarray
    errors: np.ndarray


def leapfrog(log_density: Callable[[symbolic.Variable], symbolic.Variable], q: symbolic.Variable, p: symbolic.Variable,
             step_size: symbolic.Variable, steps: int) -> tuple[symbolic.Variable, symbolic.Variable]:
    """Return position and momentum, (chains, d), at the end of a trajectory."""
    def force(q: symbolic.Variable) -> symbolic.Variable:
        return symbolic.grad(log_density(q).sum(), q)

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        q, p = state
        q = q + step_size * p
        return (q, p + step_size * force(q)), None

    # half a kick before the first drift, half a kick too much after the last
    (q, p), _ = symbolic.loop(step, (q, p + step_size / 2 * force(q)), length=steps, name="leapfrog")
    return q, p - step_size / 2 * force(q)


def sampler(target: Target, position: symbolic.SharedVariable, seed: int) -> symbolic.Function:
    """Return a function of the number of samples: their trace (n, chains, d) and acceptance (n, chains).

    Chains go on from `position`, shape (chains, d), which is updated.
    """
    rng = RandomStreams(seed)
    n = T.lscalar("n")

    def energy(q: symbolic.Variable, p: symbolic.Variable) -> symbolic.Variable:
        return T.sqr(p).sum(axis=1) / 2 - target.log_density(q)

    def transition(q: symbolic.Variable) -> tuple[list[symbolic.Variable], dict]:
        p = rng.normal(q.shape, dtype="float64")
        # a random step size: with a fixed one trajectories may come back to where they started
        step_size = rng.uniform(low=0.8 * target.step_size, high=1.2 * target.step_size, dtype="float64")
        proposal, momentum = leapfrog(target.log_density, q, p, step_size, target.steps)
        lost = energy(q, p) - energy(proposal, momentum)
        accept = T.log(rng.uniform(lost.shape, dtype="float64")) < lost
        return [T.switch(accept[:, None], proposal, q), accept], {}

    (samples, accepted), updates = symbolic.scan(transition, outputs_info=[position, None], n_steps=n, name="chain")
    return symbolic.function([n], [samples, accepted], updates=[*updates.items(), (position, samples[-1])], name="hmc")


def moments(samples: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and covariance of samples (n, chains, d), and the standard errors of both.

    The mean of each chain is one observation; chains are independent.
    """
    chains = samples.shape[1]
    means = samples.mean(axis=0)
    off = samples - target.mean
    products = np.einsum("tci,tcj->cij", off, off) / len(samples)
    return (means.mean(axis=0), products.mean(axis=0),
            means.std(axis=0, ddof=1) / np.sqrt(chains), products.std(axis=0, ddof=1) / np.sqrt(chains))


def run(target: Target, samples: int, warmup: int, chains: int, seed: int) -> Result:
    """Sample a target, print its moments beside the true ones."""
    start = np.random.default_rng(seed).normal(size=(chains, len(target.mean)))
    position = symbolic.shared(start, "position")
    began = time.perf_counter()
    sample = sampler(target, position, seed)
    compiled = time.perf_counter()
    sample(warmup)
    trace, accepted = sample(samples)
    seconds = time.perf_counter() - compiled
    evaluations = (samples + warmup) * chains * (target.steps + 4)
    mean, covariance, mean_error, covariance_error = moments(trace, target)
    upper = np.triu_indices(len(mean))
    estimates = np.concatenate([mean, covariance[upper]])
    truths = np.concatenate([target.mean, target.covariance[upper]])
    deviations = np.concatenate([mean_error, covariance_error[upper]])
    errors = (estimates - truths) / deviations
    names = [f"mean {i}" for i in range(len(mean))] + [f"cov {i}{j}" for i, j in zip(*upper, strict=True)]

    print(f"{target.name}: {chains} chains of {samples} samples, {accepted.mean():.1%} accepted")
    print(f"compiled in {compiled - began:.2f} s, sampled in {seconds:.2f} s ({evaluations / seconds / 1e6:.1f} million "
          "evaluations of density or gradient a second)")
    print("          estimate      true    standard error   off by")
    for name, estimate, truth, deviation, error in zip(names, estimates, truths, deviations, errors, strict=True):
        print(f"{name}  {estimate:10.4f}  {truth:8.4f}  {deviation:16.4f}  {error:7.2f}")
    if not (abs(errors) < 5).all():
        raise AssertionError(f"{target.name}: a moment is off by {abs(errors).max():.1f} standard errors")
    return Result(trace, accepted.mean(), mean, covariance, errors)


def main(argv: Sequence[str] | None = None) -> list[Result]:
    """Sample both targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000, help="of each chain")
    parser.add_argument("--warmup", type=int, default=200, help="samples thrown away at the start")
    parser.add_argument("--chains", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    return [run(target, options.samples, options.warmup, options.chains, options.seed) for target in TARGETS]


if __name__ == "__main__":
    main()
