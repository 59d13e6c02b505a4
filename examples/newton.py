"""Newton's method with conjugate gradients on Hessian-vector products: softmax regression on scikit-learn's digits.

One Newton step is one compiled function: gradient, a loop of conjugate gradients that ends by itself and never makes
the Hessian, a loop that shortens the step where the loss wouldn't fall, updates of the weights. Gradient descent is one
compiled loop beside it. The program prints the loss and the gradient's norm of each step, so that the quadratic
convergence is seen, and how many iterations gradient descent needs for the same norm.

References: C. T. Kelley, "Iterative Methods for Linear and Nonlinear Equations", 1995, chapters 2 and 6;
D. Böhning, "Multinomial logistic regression algorithm", 1992, for the bound on the Hessian.
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import symbolic
import symbolic.tensor as T
from symbolic.gradient import hessian_vector_product

Weights = list[symbolic.Variable]


@dataclass
class Result:
    """What the program found: one row (loss, norm of the gradient, CG iterations, step) for each Newton step."""

    weights: list[np.ndarray]
    accuracy: float
    descent_iterations: int
    descent_norm: float
    rows: list[tuple[float, float, int, float]] = field(default_factory=list)


def cost_of(x: symbolic.Variable, y: symbolic.Variable, penalty: float) -> Callable[[Weights], symbolic.Variable]:
    """Return the loss as a function of the weights w (64, 10) and b (10,): cross-entropy and a quadratic penalty.

    The penalty covers the biases too: without it the Hessian has a null direction, adding a constant to all of them.
    """
    def cost(weights: Weights) -> symbolic.Variable:
        w, b = weights
        p = T.nnet.softmax(x @ w + b)
        return T.nnet.categorical_crossentropy(p, y).mean() + penalty / 2 * dot(weights, weights)
    return cost


def dot(a: Sequence[symbolic.Variable], b: Sequence[symbolic.Variable]) -> symbolic.Variable:
    """Return the inner product of two lists of arrays."""
    return sum((u * v).sum() for u, v in zip(a, b, strict=True))


def conjugate_gradient(apply: Callable[[Weights], Weights], rhs: Weights, tolerance: symbolic.Variable, limit: int
                       ) -> tuple[Weights, symbolic.Variable]:
    """Solve ``apply(x) = rhs`` for a symmetric positive definite linear map, starting at 0.

    Parameters
    ----------
    apply : callable
        Takes and returns a list of variables.
    rhs : list of Variable
    tolerance : Variable, shape ()
        Of the norm of the residual.
    limit : int
        The most iterations.

    Returns
    -------
    x : list of Variable
    iterations : Variable, shape ()
    """
    def step(carry: dict, _: None) -> tuple[dict, None]:
        direction, residual = carry["direction"], carry["residual"]
        curved = apply(direction)
        alpha = carry["squared"] / dot(direction, curved)
        residual = [r - alpha * c for r, c in zip(residual, curved, strict=True)]
        squared = dot(residual, residual)
        return {"x": [x + alpha * d for x, d in zip(carry["x"], direction, strict=True)],
                "residual": residual,
                "direction": [r + squared / carry["squared"] * d for r, d in zip(residual, direction, strict=True)],
                "squared": squared,
                "iterations": carry["iterations"] + 1}, None

    start = {"x": [T.zeros_like(r) for r in rhs], "residual": rhs, "direction": rhs, "squared": dot(rhs, rhs), "iterations": 0}
    last, _ = symbolic.loop(step, start, length=limit, until=lambda c: c["squared"] <= tolerance**2, name="cg")
    return last["x"], last["iterations"]


def shortened(cost: Callable[[Weights], symbolic.Variable], weights: Weights, direction: Weights,
              before: symbolic.Variable, slope: symbolic.Variable) -> symbolic.Variable:
    """Return the first of 1, 1/2, 1/4, ... with which the step lowers the loss enough (Armijo's rule)."""
    def enough(t: symbolic.Variable) -> symbolic.Variable:
        moved = [w + t * d for w, d in zip(weights, direction, strict=True)]
        rounding = 1e-15 * abs(before)  # at the minimum the loss can't be seen to fall
        return cost(moved) <= before + 1e-4 * t * slope + rounding

    t, _ = symbolic.loop(lambda t, _: (t / 2, None), T.constant(2.0), length=30, until=enough, name="line search")
    return t


def newton_step(x: np.ndarray, y: np.ndarray, weights: list[symbolic.SharedVariable], penalty: float) -> symbolic.Function:
    """Return a function without arguments that takes one step; it returns loss and norm before it, CG iterations, step."""
    cost = cost_of(T.constant(x), T.constant(y), penalty)
    loss = cost(weights)
    gradient = symbolic.grad(loss, weights)
    norm = T.sqrt(dot(gradient, gradient))
    # the closer to the minimum, the more exact the direction: that keeps the convergence quadratic
    tolerance = T.minimum(0.1, norm) * norm
    direction, iterations = conjugate_gradient(lambda v: hessian_vector_product(loss, weights, v), [-g for g in gradient],
                                               tolerance, limit=650)
    t = shortened(cost, weights, direction, loss, dot(gradient, direction))
    updates = [(w, w + t * d) for w, d in zip(weights, direction, strict=True)]
    return symbolic.function([], [loss, norm, iterations, t], updates=updates, name="newton_step")


def gradient_descent(x: np.ndarray, y: np.ndarray, penalty: float, limit: int) -> symbolic.Function:
    """Return a function of the norm to reach that runs gradient descent from 0; it returns iterations and the norm reached.

    The step is the longest safe one: 1 / L, where half the largest eigenvalue of the inputs' second moment bounds the
    curvature of the cross-entropy.
    """
    cost = cost_of(T.constant(x), T.constant(y), penalty)
    ones = np.ones((len(x), 1))
    inputs = np.hstack([x, ones])
    rate = 1 / (np.linalg.eigvalsh(inputs.T @ inputs / len(x))[-1] / 2 + penalty)
    goal = T.dscalar("goal")

    def step(carry: dict, _: None) -> tuple[dict, None]:
        gradient = symbolic.grad(cost(carry["weights"]), carry["weights"])
        return {"weights": [w - rate * g for w, g in zip(carry["weights"], gradient, strict=True)],
                "norm": T.sqrt(dot(gradient, gradient)), "iterations": carry["iterations"] + 1}, None

    start = {"weights": [T.zeros((64, 10)), T.zeros((10,))], "norm": T.constant(np.inf), "iterations": 0}
    last, _ = symbolic.loop(step, start, length=limit, until=lambda c: c["norm"] <= goal, name="descent")
    return symbolic.function([goal], [last["iterations"], last["norm"]], name="gradient_descent")


def main(argv: Sequence[str] | None = None) -> Result:
    """Run Newton's method and gradient descent, and print how they went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--penalty", type=float, default=0.001, help="of the squared weights")
    parser.add_argument("--tolerance", type=float, default=1e-10, help="norm of the gradient where Newton's method ends")
    parser.add_argument("--descent-tolerance", type=float, default=1e-3, help="where gradient descent ends")
    parser.add_argument("--descent-limit", type=int, default=20_000, help="the most iterations of gradient descent")
    options = parser.parse_args(argv)

    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(images / 16, labels.astype("int64"), test_size=0.2,
                                                        random_state=0, stratify=labels)
    weights = [symbolic.shared(np.zeros((64, 10)), "w"), symbolic.shared(np.zeros(10), "b")]
    step = newton_step(x_train, y_train, weights, options.penalty)

    print("step  loss          |gradient|   CG iterations  step length")
    rows = []
    started = time.perf_counter()
    for k in range(50):
        loss, norm, iterations, t = (value.item() for value in step())
        rows.append((loss, norm, iterations, t))
        print(f"{k:4}  {loss:.10f}  {norm:.3e}  {iterations:13}  {t:11.4g}")
        if norm <= options.tolerance:
            break
    seconds = time.perf_counter() - started

    x, y = T.dmatrix("x"), T.lvector("y")
    w, b = weights
    accuracy = symbolic.function([x, y], T.eq((x @ w + b).argmax(axis=1), y).mean())(x_test, y_test).item()
    print(f"Newton: {len(rows)} steps, {sum(r[2] for r in rows)} products with the Hessian, {seconds:.2f} s; "
          f"test accuracy {accuracy:.1%}")

    descend = gradient_descent(x_train, y_train, options.penalty, options.descent_limit)
    started = time.perf_counter()
    iterations, reached = (value.item() for value in descend(options.descent_tolerance))
    seconds = time.perf_counter() - started
    needed = next((k for k, r in enumerate(rows) if r[1] <= options.descent_tolerance), len(rows))
    print(f"gradient descent: {iterations} iterations to |gradient| {reached:.1e} in {seconds:.2f} s; "
          f"Newton's method is there after {needed} steps")
    return Result([v.get_value() for v in weights], accuracy, iterations, reached, rows)


if __name__ == "__main__":
    main()
