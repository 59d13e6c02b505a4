"""Power iteration with deflation, beside numpy.linalg.eigh: the principal components of scikit-learn's digits.

A loop inside a loop, compiled into one function: the outer one goes from one eigenvector to the next and takes what was
found out of the matrix, the inner one multiplies by it and ends as soon as the residual is small. The number of
iterations is what the ratio of eigenvalues lets expect. At the end, the gradient of the largest eigenvalue through the
loop is compared with its formula, the product of the eigenvector with itself.

References: G. H. Golub and C. F. Van Loan, "Matrix Computations", 2013, sections 7.3 and 8.2.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

import symbolic
import symbolic.tensor as T


@dataclass
class Result:
    """Eigenvalues (k,), eigenvectors (k, n) in rows, iterations (k,), and the gradient of the first eigenvalue (n, n)."""

    matrix: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    iterations: np.ndarray
    gradient: np.ndarray


def dominant(matrix: symbolic.Variable, start: symbolic.Variable, tolerance: symbolic.Variable, limit: int
             ) -> tuple[symbolic.Variable, symbolic.Variable, symbolic.Variable]:
    """Return the largest eigenvalue (by its size) of a symmetric matrix, its eigenvector, and the iterations taken.

    Parameters
    ----------
    matrix : Variable, shape (n, n)
    start : Variable, shape (n,)
        Not at right angles to the eigenvector.
    tolerance : Variable, shape ()
        The largest residual ``|matrix @ v - value * v|``, as a multiple of the value; the error of the value is of the
        order of its square.
    limit : int
        The most iterations.
    """
    def step(carry: dict, _: None) -> tuple[dict, None]:
        vector = carry["product"] / T.sqrt(T.sqr(carry["product"]).sum())
        product = matrix @ vector
        value = vector @ product  # Rayleigh's quotient
        residual = T.sqrt(T.sqr(product - value * vector).sum())
        return {"vector": vector, "product": product, "value": value, "residual": residual,
                "iterations": carry["iterations"] + 1}, None

    first = {"vector": start, "product": start, "value": T.constant(0.0), "residual": T.constant(np.inf), "iterations": 0}
    last, _ = symbolic.loop(step, first, length=limit, name="power_iteration",
                            until=lambda c: c["residual"] <= tolerance * abs(c["value"]))
    return last["value"], last["vector"], last["iterations"]


def eigenpairs(count: int, limit: int) -> symbolic.Function:
    """Return a function of a symmetric matrix (n, n), a start (n,) and a tolerance.

    It returns `count` eigenvalues (count,), vectors (count, n) and iterations (count,), the largest value first.
    """
    matrix, start, tolerance = T.dmatrix("matrix"), T.dvector("start"), T.dscalar("tolerance")

    def step(rest: symbolic.Variable, _: None) -> tuple[symbolic.Variable, tuple]:
        value, vector, iterations = dominant(rest, start, tolerance, limit)
        return rest - value * T.outer(vector, vector), (value, vector, iterations)

    _, found = symbolic.loop(step, matrix, length=count, name="deflation")
    return symbolic.function([matrix, start, tolerance], list(found), name="eigenpairs")


def value_and_gradient(limit: int) -> symbolic.Function:
    """Return a function of a matrix, a start and a tolerance: the largest eigenvalue, its gradient by the loop, vector."""
    matrix, start, tolerance = T.dmatrix("matrix"), T.dvector("start"), T.dscalar("tolerance")
    value, vector, _ = dominant(matrix, start, tolerance, limit)
    return symbolic.function([matrix, start, tolerance], [value, T.grad(value, matrix), vector], name="value_and_gradient")


def main(argv: Sequence[str] | None = None) -> Result:
    """Find eigenpairs, print them beside NumPy's, and check the gradient."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=8, help="number of eigenpairs")
    parser.add_argument("--tolerance", type=float, default=1e-8, help="of the residual, relative to the eigenvalue")
    parser.add_argument("--limit", type=int, default=10_000, help="the most iterations for one pair")
    options = parser.parse_args(argv)

    images, _ = load_digits(return_X_y=True)
    matrix = np.cov(images, rowvar=False)
    start = np.random.default_rng(0).normal(size=len(matrix))
    find = eigenpairs(options.count, options.limit)
    began = time.perf_counter()
    values, vectors, iterations = find(matrix, start, options.tolerance)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    all_values, all_vectors = np.linalg.eigh(matrix)
    numpys = time.perf_counter() - began
    true, true_vectors = all_values[::-1], all_vectors.T[::-1]

    print("     eigenvalue     error      angle to NumPy's  iterations  expected")
    for k in range(options.count):
        sine = np.linalg.norm(vectors[k] - (true_vectors[k] @ vectors[k]) * true_vectors[k])
        expected = np.log(options.tolerance) / np.log(true[k + 1] / true[k])
        print(f"{k:3}  {values[k]:13.8f}  {abs(values[k] - true[k]):9.2e}  {sine:16.2e}  {iterations[k]:10}  {expected:8.0f}")
    share = values.sum() / np.trace(matrix)
    print(f"{iterations.sum()} products in {seconds * 1e3:.2f} ms (numpy.linalg.eigh, all pairs: {numpys * 1e3:.2f} ms); "
          f"{options.count} components carry {share:.1%} of the variance")

    value, gradient, vector = value_and_gradient(options.limit)(matrix, start, options.tolerance)
    difference = abs(gradient - np.outer(vector, vector)).max()
    print(f"gradient of the largest eigenvalue ({value:.4f}) through the loop: within {difference:.1e} of v vᵀ")
    return Result(matrix, values, vectors, iterations, gradient)


if __name__ == "__main__":
    main()
