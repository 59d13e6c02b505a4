"""Logistic regression by minibatch gradient descent with early stopping, in the style of 2012.

    python -m symbolic.theano logistic_regression.py

Data: two overlapping Gaussian clouds a class, ten classes; made here, so nothing is downloaded.
"""
from __future__ import print_function

import timeit

import numpy

import theano
import theano.tensor as T


class LogisticRegression(object):
    """Multi-class logistic regression.

    Parameters
    ----------
    input : TensorVariable, one example a row
    n_in, n_out : int
    """

    def __init__(self, input, n_in, n_out):
        self.W = theano.shared(value=numpy.zeros((n_in, n_out), dtype=theano.config.floatX), name='W', borrow=True)
        self.b = theano.shared(value=numpy.zeros((n_out,), dtype=theano.config.floatX), name='b', borrow=True)
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]
        self.input = input

    def negative_log_likelihood(self, y):
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        if y.ndim != self.y_pred.ndim:
            raise TypeError('y should have the same shape as self.y_pred', ('y', y.type, 'y_pred', self.y_pred.type))
        if y.dtype.startswith('int'):
            return T.mean(T.neq(self.y_pred, y))
        raise NotImplementedError()


def make_data(n, rng, n_in=20, n_out=10):
    centres = numpy.random.RandomState(0).randn(2, n_out, n_in) * 1.1
    y = rng.randint(n_out, size=n)
    x = centres[rng.randint(2, size=n), y] + rng.randn(n, n_in)
    return x.astype(theano.config.floatX), y.astype('int32')


def shared_dataset(data_xy, borrow=True):
    data_x, data_y = data_xy
    shared_x = theano.shared(numpy.asarray(data_x, dtype=theano.config.floatX), borrow=borrow)
    shared_y = theano.shared(numpy.asarray(data_y, dtype=theano.config.floatX), borrow=borrow)
    return shared_x, T.cast(shared_y, 'int32')


def sgd_optimization(learning_rate=0.13, n_epochs=60, batch_size=100):
    rng = numpy.random.RandomState(1234)
    train_set_x, train_set_y = shared_dataset(make_data(4000, rng))
    valid_set_x, valid_set_y = shared_dataset(make_data(1000, rng))
    test_set_x, test_set_y = shared_dataset(make_data(1000, rng))
    n_train_batches = train_set_x.get_value(borrow=True).shape[0] // batch_size
    n_valid_batches = valid_set_x.get_value(borrow=True).shape[0] // batch_size
    n_test_batches = test_set_x.get_value(borrow=True).shape[0] // batch_size

    print('... building the model')
    index = T.lscalar()
    x = T.matrix('x')
    y = T.ivector('y')
    classifier = LogisticRegression(input=x, n_in=20, n_out=10)
    cost = classifier.negative_log_likelihood(y)

    def batch(data):
        return data[index * batch_size: (index + 1) * batch_size]

    test_model = theano.function(inputs=[index], outputs=classifier.errors(y),
                                 givens={x: batch(test_set_x), y: batch(test_set_y)})
    validate_model = theano.function(inputs=[index], outputs=classifier.errors(y),
                                     givens={x: batch(valid_set_x), y: batch(valid_set_y)})
    g_W = T.grad(cost=cost, wrt=classifier.W)
    g_b = T.grad(cost=cost, wrt=classifier.b)
    updates = [(classifier.W, classifier.W - learning_rate * g_W),
               (classifier.b, classifier.b - learning_rate * g_b)]
    train_model = theano.function(inputs=[index], outputs=cost, updates=updates,
                                  givens={x: batch(train_set_x), y: batch(train_set_y)})

    print('... training the model')
    patience = 2000
    patience_increase = 2
    improvement_threshold = 0.995
    validation_frequency = min(n_train_batches, patience // 2)
    best_validation_loss = numpy.inf
    test_score = 0.
    start_time = timeit.default_timer()
    done_looping = False
    epoch = 0
    while (epoch < n_epochs) and (not done_looping):
        epoch = epoch + 1
        for minibatch_index in range(n_train_batches):
            train_model(minibatch_index)
            iteration = (epoch - 1) * n_train_batches + minibatch_index
            if (iteration + 1) % validation_frequency == 0:
                this_validation_loss = numpy.mean([validate_model(i) for i in range(n_valid_batches)])
                if this_validation_loss < best_validation_loss:
                    if this_validation_loss < best_validation_loss * improvement_threshold:
                        patience = max(patience, iteration * patience_increase)
                    best_validation_loss = this_validation_loss
                    test_score = numpy.mean([test_model(i) for i in range(n_test_batches)])
                    print('     epoch %i, minibatch %i/%i, test error of best model %f %%' %
                          (epoch, minibatch_index + 1, n_train_batches, test_score * 100.))
            if patience <= iteration:
                done_looping = True
                break
    print('Optimization complete with best validation score of %f %%, with test performance %f %%' %
          (best_validation_loss * 100., test_score * 100.))
    print('The code ran for %d epochs, with %f epochs/sec' % (epoch, epoch / (timeit.default_timer() - start_time)))
    return best_validation_loss, test_score


if __name__ == '__main__':
    sgd_optimization()
