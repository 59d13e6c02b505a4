"""A denoising autoencoder with tied weights and corrupted inputs, in the style of 2012.

    python -m symbolic.theano denoising_autoencoder.py

Data: 8 by 8 images of horizontal and vertical bars, made here.
"""
from __future__ import print_function

import numpy

import theano
import theano.tensor as T
from theano.tensor.shared_randomstreams import RandomStreams


class dA(object):
    """Denoising auto-encoder: tries to reconstruct the input from a corrupted version of it.

    Parameters
    ----------
    numpy_rng : numpy.random.RandomState
    theano_rng : RandomStreams, optional
    input : TensorVariable, one example a row, optional
    n_visible, n_hidden : int
    """

    def __init__(self, numpy_rng, theano_rng=None, input=None, n_visible=64, n_hidden=32, W=None, bhid=None, bvis=None):
        self.n_visible = n_visible
        self.n_hidden = n_hidden
        if not theano_rng:
            theano_rng = RandomStreams(numpy_rng.randint(2 ** 30))
        if not W:
            bound = 4 * numpy.sqrt(6. / (n_hidden + n_visible))
            initial_W = numpy.asarray(numpy_rng.uniform(low=-bound, high=bound, size=(n_visible, n_hidden)),
                                      dtype=theano.config.floatX)
            W = theano.shared(value=initial_W, name='W', borrow=True)
        if not bvis:
            bvis = theano.shared(value=numpy.zeros(n_visible, dtype=theano.config.floatX), borrow=True)
        if not bhid:
            bhid = theano.shared(value=numpy.zeros(n_hidden, dtype=theano.config.floatX), name='b', borrow=True)
        self.W = W
        self.b = bhid
        self.b_prime = bvis
        self.W_prime = self.W.T
        self.theano_rng = theano_rng
        self.x = T.dmatrix(name='input') if input is None else input
        self.params = [self.W, self.b, self.b_prime]

    def get_corrupted_input(self, input, corruption_level):
        return self.theano_rng.binomial(size=input.shape, n=1, p=1 - corruption_level,
                                        dtype=theano.config.floatX) * input

    def get_hidden_values(self, input):
        return T.nnet.sigmoid(T.dot(input, self.W) + self.b)

    def get_reconstructed_input(self, hidden):
        return T.nnet.sigmoid(T.dot(hidden, self.W_prime) + self.b_prime)

    def get_cost_updates(self, corruption_level, learning_rate):
        tilde_x = self.get_corrupted_input(self.x, corruption_level)
        y = self.get_hidden_values(tilde_x)
        z = self.get_reconstructed_input(y)
        L = - T.sum(self.x * T.log(z) + (1 - self.x) * T.log(1 - z), axis=1)
        cost = T.mean(L)
        gparams = T.grad(cost, self.params)
        updates = [(param, param - learning_rate * gparam) for param, gparam in zip(self.params, gparams)]
        return (cost, updates)


def make_bars(n, rng):
    images = numpy.zeros((n, 8, 8))
    rows, columns = rng.rand(n, 8) < 0.15, rng.rand(n, 8) < 0.15
    images[rows] = 1
    images.transpose(0, 2, 1)[columns] = 1
    return images.reshape(n, 64).astype(theano.config.floatX)


def main(training_epochs=30, learning_rate=0.1, batch_size=20, n_examples=2000, corruption_level=0.3):
    rng = numpy.random.RandomState(123)
    train_set_x = theano.shared(make_bars(n_examples, rng), borrow=True)
    n_train_batches = n_examples // batch_size
    index = T.lscalar()
    x = T.matrix('x')
    theano_rng = RandomStreams(rng.randint(2 ** 30))
    da = dA(numpy_rng=rng, theano_rng=theano_rng, input=x, n_visible=64, n_hidden=32)
    cost, updates = da.get_cost_updates(corruption_level=corruption_level, learning_rate=learning_rate)
    train_da = theano.function([index], cost, updates=updates,
                               givens={x: train_set_x[index * batch_size: (index + 1) * batch_size]})
    reconstruct = theano.function([x], da.get_reconstructed_input(da.get_hidden_values(x)))
    costs = []
    for epoch in range(training_epochs):
        c = [train_da(batch_index) for batch_index in range(n_train_batches)]
        costs.append(numpy.mean(c))
        print('Training epoch %d, cost %f' % (epoch, costs[-1]))

    clean = make_bars(500, rng)
    noisy = clean * (rng.rand(*clean.shape) > corruption_level)
    restored = reconstruct(noisy.astype(theano.config.floatX))
    wrong = numpy.mean((restored > 0.5) != (clean > 0.5)), numpy.mean((noisy > 0.5) != (clean > 0.5))
    print('wrong pixels: %.4f in corrupted images, %.4f in restored ones' % (wrong[1], wrong[0]))
    return costs, wrong


if __name__ == '__main__':
    main()
