"""Gaussian-process regression: hyperparameters by the gradient of the log marginal likelihood, in the style of 2015.

    python -m symbolic.theano gaussian_process.py

Data: noisy values of a smooth function, made here.
"""
from __future__ import print_function

import numpy as np

import theano
import theano.tensor as T
from theano.tensor import nlinalg, slinalg


class GaussianProcess(object):
    """A zero-mean process with a squared-exponential kernel and Gaussian noise."""

    def __init__(self):
        self.log_theta = theano.shared(np.log(np.array([1.0, 0.3, 0.5])).astype('float64'), name='log_theta')
        X, Z = T.dmatrix('X'), T.dmatrix('Z')
        y = T.dvector('y')
        amplitude, length, noise = [T.exp(self.log_theta[k]) for k in range(3)]

        def kernel(A, B):
            d2 = (A ** 2).sum(axis=1).dimshuffle(0, 'x') + (B ** 2).sum(axis=1).dimshuffle('x', 0) - 2 * T.dot(A, B.T)
            return T.sqr(amplitude) * T.exp(-0.5 * T.maximum(d2, 0) / T.sqr(length))

        n = X.shape[0]
        K = kernel(X, X) + T.sqr(noise) * T.identity_like(T.dot(X, X.T))
        L = slinalg.cholesky(K)
        alpha = slinalg.solve_upper_triangular(L.T, slinalg.solve_lower_triangular(L, y))
        nll = 0.5 * T.dot(y, alpha) + T.log(nlinalg.diag(L)).sum() + 0.5 * n * np.log(2 * np.pi)
        grad = theano.grad(nll, self.log_theta)
        m = theano.shared(np.zeros(3), name='m')
        v = theano.shared(np.zeros(3), name='v')
        t = theano.shared(0.0, name='t')
        m_t, v_t, t_t = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad ** 2, t + 1
        step = 0.05 * (m_t / (1 - 0.9 ** t_t)) / (T.sqrt(v_t / (1 - 0.999 ** t_t)) + 1e-8)
        self.nll = theano.function([X, y], nll)
        self.grad = theano.function([X, y], grad)
        self.train = theano.function([X, y], nll, updates=[(m, m_t), (v, v_t), (t, t_t), (self.log_theta, self.log_theta - step)])
        Ks = kernel(Z, X)
        V = slinalg.solve_lower_triangular(L, Ks.T)
        self.predict = theano.function([X, y, Z], [T.dot(Ks, alpha), T.sqr(amplitude) - (V ** 2).sum(axis=0)])


def truth(x):
    return np.sin(2 * x[:, 0]) + 0.3 * x[:, 0]


def main(n=60, steps=150, noise=0.1, seed=1):
    rng = np.random.RandomState(seed)
    X = rng.uniform(-3, 3, size=(n, 1))
    y = truth(X) + noise * rng.randn(n)
    gp = GaussianProcess()
    history = []
    for step in range(steps):
        history.append(float(gp.train(X, y)))
        if step % 50 == 0:
            print('step %3d: negative log marginal likelihood %.3f' % (step, history[-1]))
    Z = np.linspace(-3, 3, 50)[:, None]
    mean, variance = gp.predict(X, y, Z)
    rmse = float(np.sqrt(np.mean((mean - truth(Z)) ** 2)))
    inside = float(np.mean(np.abs(mean - truth(Z)) < 2 * np.sqrt(variance)))
    print('learned amplitude, length, noise: %s' % np.exp(gp.log_theta.get_value()).round(3))
    print('RMSE %.3f; %.0f%% of the truth within two standard deviations' % (rmse, 100 * inside))
    return gp, X, y, history, rmse, inside


if __name__ == '__main__':
    main()
