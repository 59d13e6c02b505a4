"""Matrix factorisation of sparse ratings with biases, by minibatches of (user, item, rating), in the style of 2013.

    python -m symbolic.theano matrix_factorisation.py

Data: ratings made here from factors of rank 3, of which a fifth is known. Only the rows of a minibatch are updated.
"""
from __future__ import print_function

import numpy as np

import theano
import theano.tensor as T


def make_ratings(n_users, n_items, rank, known, rng):
    users, items = rng.randn(n_users, rank), rng.randn(n_items, rank)
    full = 3.5 + 0.5 * rng.randn(n_users, 1) + 0.5 * rng.randn(n_items) + users.dot(items.T) / np.sqrt(rank)
    rows, columns = np.nonzero(rng.rand(n_users, n_items) < known)
    order = rng.permutation(len(rows))
    rows, columns = rows[order], columns[order]
    ratings = full[rows, columns] + 0.1 * rng.randn(len(rows))
    return rows.astype('int32'), columns.astype('int32'), ratings.astype(theano.config.floatX)


class Factorisation(object):
    def __init__(self, n_users, n_items, n_factors, mean, rng, lr=0.1, l2=0.005):
        def factors(name, *shape):
            return theano.shared((0.1 * rng.randn(*shape)).astype(theano.config.floatX), name=name)

        self.P, self.Q = factors('P', n_users, n_factors), factors('Q', n_items, n_factors)
        self.bu, self.bi = factors('bu', n_users), factors('bi', n_items)
        user, item = T.ivector('user'), T.ivector('item')
        rating = T.vector('rating')
        p, q, bu, bi = self.P[user], self.Q[item], self.bu[user], self.bi[item]
        prediction = mean + bu + bi + T.sum(p * q, axis=1)
        loss = T.sum(T.sqr(prediction - rating)) / 2
        penalty = l2 * (T.sum(p ** 2) + T.sum(q ** 2) + T.sum(bu ** 2) + T.sum(bi ** 2))
        rows = [p, q, bu, bi]
        grads = theano.grad(loss + penalty, rows)
        updates = [(s, T.inc_subtensor(r, -lr * g)) for s, r, g in zip([self.P, self.Q, self.bu, self.bi], rows, grads)]
        self.train = theano.function([user, item, rating], loss, updates=updates, allow_input_downcast=True)
        self.rmse = theano.function([user, item, rating], T.sqrt(T.mean(T.sqr(prediction - rating))))


def main(n_users=300, n_items=200, n_factors=5, epochs=30, batch=50, seed=0):
    rng = np.random.RandomState(seed)
    users, items, ratings = make_ratings(n_users, n_items, 3, 0.2, rng)
    n_test = len(users) // 10
    train, test = [a[n_test:] for a in (users, items, ratings)], [a[:n_test] for a in (users, items, ratings)]
    mean = np.asarray(train[2].mean(), theano.config.floatX)
    model = Factorisation(n_users, n_items, n_factors, mean, rng)
    baseline = float(np.std(test[2]))
    errors = []
    for epoch in range(epochs):
        order = rng.permutation(len(train[0]))
        for start in range(0, len(order), batch):
            part = order[start:start + batch]
            model.train(*[a[part] for a in train])
        errors.append((float(model.rmse(*train)), float(model.rmse(*test))))
        if epoch % 5 == 4:
            print('epoch %2d: RMSE %.3f on known ratings, %.3f on held-out ones' % ((epoch + 1,) + errors[-1]))
    print('predicting the mean has RMSE %.3f' % baseline)
    return baseline, errors


if __name__ == '__main__':
    main()
