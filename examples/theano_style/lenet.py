"""A LeNet-like convolutional network, in the style of 2013.

    python -m symbolic.theano lenet.py

Data: the digits that scikit-learn ships, 8 by 8 pixels each, enlarged to 16 by 16.
"""
from __future__ import print_function

import timeit

import numpy
from sklearn.datasets import load_digits

import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal import pool


class LeNetConvPoolLayer(object):
    """Convolution and max-pooling.

    Parameters
    ----------
    input : 4-d TensorVariable, (batch, channels, height, width)
    filter_shape, image_shape : tuple of 4 int
    poolsize : tuple of 2 int
    """

    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2)):
        assert image_shape[1] == filter_shape[1]
        self.input = input
        fan_in = numpy.prod(filter_shape[1:])
        fan_out = filter_shape[0] * numpy.prod(filter_shape[2:]) // numpy.prod(poolsize)
        W_bound = numpy.sqrt(6. / (fan_in + fan_out))
        self.W = theano.shared(numpy.asarray(rng.uniform(low=-W_bound, high=W_bound, size=filter_shape),
                                             dtype=theano.config.floatX), borrow=True)
        self.b = theano.shared(value=numpy.zeros((filter_shape[0],), dtype=theano.config.floatX), borrow=True)
        conv_out = conv2d(input=input, filters=self.W, filter_shape=filter_shape, input_shape=image_shape)
        pooled_out = pool.pool_2d(input=conv_out, ds=poolsize, ignore_border=True)
        self.output = T.tanh(pooled_out + self.b.dimshuffle('x', 0, 'x', 'x'))
        self.params = [self.W, self.b]


class HiddenLayer(object):
    def __init__(self, rng, input, n_in, n_out):
        bound = numpy.sqrt(6. / (n_in + n_out))
        self.W = theano.shared(numpy.asarray(rng.uniform(-bound, bound, (n_in, n_out)), dtype=theano.config.floatX), borrow=True)
        self.b = theano.shared(numpy.zeros((n_out,), dtype=theano.config.floatX), borrow=True)
        self.output = T.tanh(T.dot(input, self.W) + self.b)
        self.params = [self.W, self.b]


class LogisticRegression(object):
    def __init__(self, input, n_in, n_out):
        self.W = theano.shared(numpy.zeros((n_in, n_out), dtype=theano.config.floatX), borrow=True)
        self.b = theano.shared(numpy.zeros((n_out,), dtype=theano.config.floatX), borrow=True)
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]

    def negative_log_likelihood(self, y):
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        return T.mean(T.neq(self.y_pred, y))


def load_data(rng):
    digits = load_digits()
    images = numpy.kron(digits.images / 16., numpy.ones((1, 2, 2))).reshape(-1, 256).astype(theano.config.floatX)
    labels = digits.target.astype('int32')
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]
    return [(theano.shared(images[part], borrow=True), T.cast(theano.shared(labels[part], borrow=True), 'int32'))
            for part in (slice(0, 1200), slice(1200, 1500), slice(1500, 1750))]


def evaluate_lenet5(learning_rate=0.1, n_epochs=12, nkerns=(8, 16), batch_size=50):
    rng = numpy.random.RandomState(23455)
    (train_set_x, train_set_y), (valid_set_x, valid_set_y), (test_set_x, test_set_y) = load_data(rng)
    n_train_batches, n_valid_batches, n_test_batches = 1200 // batch_size, 300 // batch_size, 250 // batch_size
    index = T.lscalar()
    x = T.matrix('x')
    y = T.ivector('y')

    layer0_input = x.reshape((batch_size, 1, 16, 16))
    layer0 = LeNetConvPoolLayer(rng, input=layer0_input, image_shape=(batch_size, 1, 16, 16),
                                filter_shape=(nkerns[0], 1, 3, 3), poolsize=(2, 2))
    layer1 = LeNetConvPoolLayer(rng, input=layer0.output, image_shape=(batch_size, nkerns[0], 7, 7),
                                filter_shape=(nkerns[1], nkerns[0], 4, 4), poolsize=(2, 2))
    layer2 = HiddenLayer(rng, input=layer1.output.flatten(2), n_in=nkerns[1] * 2 * 2, n_out=60)
    layer3 = LogisticRegression(input=layer2.output, n_in=60, n_out=10)
    cost = layer3.negative_log_likelihood(y)

    def givens(data_x, data_y):
        part = slice(index * batch_size, (index + 1) * batch_size)
        return {x: data_x[part], y: data_y[part]}

    test_model = theano.function([index], layer3.errors(y), givens=givens(test_set_x, test_set_y))
    validate_model = theano.function([index], layer3.errors(y), givens=givens(valid_set_x, valid_set_y))
    params = layer3.params + layer2.params + layer1.params + layer0.params
    grads = T.grad(cost, params)
    updates = [(param_i, param_i - learning_rate * grad_i) for param_i, grad_i in zip(params, grads)]
    train_model = theano.function([index], cost, updates=updates, givens=givens(train_set_x, train_set_y))

    best_validation_loss, test_score = numpy.inf, 0.
    costs = []
    start_time = timeit.default_timer()
    for epoch in range(n_epochs):
        costs.append(numpy.mean([train_model(minibatch_index) for minibatch_index in range(n_train_batches)]))
        this_validation_loss = numpy.mean([validate_model(i) for i in range(n_valid_batches)])
        if this_validation_loss < best_validation_loss:
            best_validation_loss = this_validation_loss
            test_score = numpy.mean([test_model(i) for i in range(n_test_batches)])
            print('epoch %i: cost %f, validation error %f %%, test error %f %%' %
                  (epoch + 1, costs[-1], this_validation_loss * 100., test_score * 100.))
    print('Best validation score of %f %%, with test performance %f %%, in %.1f s' %
          (best_validation_loss * 100., test_score * 100., timeit.default_timer() - start_time))
    return costs, best_validation_loss, test_score


if __name__ == '__main__':
    evaluate_lenet5()
