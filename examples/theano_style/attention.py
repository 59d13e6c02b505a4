"""An attention reader: a GRU reads a sequence, and a query attends to its states, in the style of 2016.

    python -m symbolic.theano attention.py

Task, made here: a sequence of (key, value) symbols and a query key; the answer is the value that stood with that key. Sequences
have different lengths, so a mask hides what is beyond their ends.
"""
from __future__ import print_function

import numpy as np

import theano
import theano.tensor as T
from theano.tensor import nnet

floatX = theano.config.floatX


def make_batch(n, rng, n_keys=8, n_values=6, longest=7):
    lengths = rng.randint(3, longest + 1, size=n)
    keys = np.zeros((longest, n), 'int32')
    values = np.zeros((longest, n), 'int32')
    mask = np.zeros((longest, n), floatX)
    query, answer = np.zeros(n, 'int32'), np.zeros(n, 'int32')
    for j, length in enumerate(lengths):
        keys[:length, j] = rng.permutation(n_keys)[:length]
        values[:length, j] = rng.randint(n_values, size=length)
        mask[:length, j] = 1
        k = rng.randint(length)
        query[j], answer[j] = keys[k, j], values[k, j]
    return keys, values, mask, query, answer


class AttentionReader(object):
    def __init__(self, n_keys=8, n_values=6, dim=16, hidden=24, seed=0):
        rng = np.random.RandomState(seed)
        self.params = []

        def add(name, *shape):
            scale = 1.0 / np.sqrt(shape[0]) if len(shape) > 1 else 0.0
            p = theano.shared((scale * rng.randn(*shape)).astype(floatX), name=name)
            self.params.append(p)
            return p

        key_emb, value_emb = add('key_emb', n_keys, dim), add('value_emb', n_values, dim)
        query_emb = add('query_emb', n_keys, dim)
        W_x, b_x = add('W_x', 2 * dim, 3 * hidden), add('b_x', 3 * hidden)
        U_g, U_h = add('U_g', hidden, 2 * hidden), add('U_h', hidden, hidden)
        W_q, W_a, v_a = add('W_q', dim, hidden), add('W_a', hidden + 2 * dim, hidden), add('v_a', hidden, 1)
        W_o, b_o = add('W_o', 2 * dim, n_values), add('b_o', n_values)

        keys, values = T.imatrix('keys'), T.imatrix('values')
        mask = T.matrix('mask')
        query, answer = T.ivector('query'), T.ivector('answer')
        x = T.concatenate([key_emb[keys], value_emb[values]], axis=2)

        def step(x_t, m_t, h):
            gates = nnet.sigmoid(x_t[:, :2 * hidden] + T.dot(h, U_g))
            r, z = gates[:, :hidden], gates[:, hidden:]
            new = T.tanh(x_t[:, 2 * hidden:] + T.dot(r * h, U_h))
            new = (1 - z) * h + z * new
            return m_t[:, None] * new + (1 - m_t)[:, None] * h

        states, _ = theano.scan(step, sequences=[T.dot(x, W_x) + b_x, mask],
                                outputs_info=T.zeros((keys.shape[1], hidden), dtype=floatX), name='gru')
        q = T.dot(query_emb[query], W_q)
        energy = T.tanh(T.dot(T.concatenate([states, x], axis=2), W_a) + q.dimshuffle('x', 0, 1))
        scores = T.dot(energy, v_a)[:, :, 0]
        scores = T.switch(T.eq(mask, 0), -1e9, scores).T
        self.weights = nnet.softmax(scores)
        context = (x.dimshuffle(1, 0, 2) * self.weights.dimshuffle(0, 1, 'x')).sum(axis=1)
        p = nnet.softmax(T.dot(context, W_o) + b_o)
        cost = nnet.categorical_crossentropy(p, answer).mean()
        inputs = [keys, values, mask, query]
        self.train = theano.function(inputs + [answer], cost, updates=adam(cost, self.params), allow_input_downcast=True)
        self.predict = theano.function(inputs, [T.argmax(p, axis=1), self.weights], allow_input_downcast=True)


def adam(cost, params, lr=0.01, b1=0.9, b2=0.999, eps=1e-8):
    updates = []
    grads = T.grad(cost, params)
    norm = T.sqrt(sum(T.sum(g ** 2) for g in grads))
    i = theano.shared(np.asarray(0., dtype=floatX))
    i_t = i + 1.
    lr_t = lr * (T.sqrt(1. - b2 ** i_t) / (1. - b1 ** i_t))
    for p, g in zip(params, grads):
        g = g * T.minimum(1., 5. / norm)
        m = theano.shared(p.get_value() * 0.)
        v = theano.shared(p.get_value() * 0.)
        m_t = b1 * m + (1. - b1) * g
        v_t = b2 * v + (1. - b2) * T.sqr(g)
        updates += [(m, m_t), (v, v_t), (p, p - lr_t * m_t / (T.sqrt(v_t) + eps))]
    updates.append((i, i_t))
    return updates


def main(steps=300, batch=64, seed=0):
    rng = np.random.RandomState(seed)
    model = AttentionReader()
    costs = []
    for step in range(steps):
        costs.append(float(model.train(*make_batch(batch, rng))))
        if step % 100 == 99:
            print('step %d: cost %.4f' % (step + 1, np.mean(costs[-50:])))
    keys, values, mask, query, answer = make_batch(500, rng)
    predicted, weights = model.predict(keys, values, mask, query)
    accuracy = float(np.mean(predicted == answer))
    looked = float(np.mean([keys[w.argmax(), j] == query[j] for j, w in enumerate(weights)]))
    print('%.1f%% of the answers are right; %.1f%% of the queries look at their key' % (100 * accuracy, 100 * looked))
    return accuracy, looked, weights, mask


if __name__ == '__main__':
    main()
