"""A restricted Boltzmann machine trained by persistent contrastive divergence, in the style of 2012: the Gibbs chain is a scan
that draws random numbers, so its updates must be passed on.

    python -m symbolic.theano rbm.py

Data: 6 by 6 images of one bar, made here. With so few hidden units the likelihood can be computed exactly, and is printed.
"""
from __future__ import print_function

import itertools

import numpy

import theano
import theano.tensor as T
from theano.tensor.shared_randomstreams import RandomStreams


class RBM(object):
    """Restricted Boltzmann machine.

    Parameters
    ----------
    input : TensorVariable, one example a row
    n_visible, n_hidden : int
    numpy_rng : numpy.random.RandomState
    theano_rng : RandomStreams
    """

    def __init__(self, input, n_visible, n_hidden, numpy_rng, theano_rng):
        self.n_visible = n_visible
        self.n_hidden = n_hidden
        bound = 4 * numpy.sqrt(6. / (n_hidden + n_visible))
        initial_W = numpy.asarray(numpy_rng.uniform(low=-bound, high=bound, size=(n_visible, n_hidden)) * 0.1,
                                  dtype=theano.config.floatX)
        self.W = theano.shared(value=initial_W, name='W', borrow=True)
        self.hbias = theano.shared(value=numpy.zeros(n_hidden, dtype=theano.config.floatX), name='hbias', borrow=True)
        self.vbias = theano.shared(value=numpy.zeros(n_visible, dtype=theano.config.floatX), name='vbias', borrow=True)
        self.input = input
        self.theano_rng = theano_rng
        self.params = [self.W, self.hbias, self.vbias]

    def free_energy(self, v_sample):
        wx_b = T.dot(v_sample, self.W) + self.hbias
        vbias_term = T.dot(v_sample, self.vbias)
        hidden_term = T.sum(T.log(1 + T.exp(wx_b)), axis=1)
        return -hidden_term - vbias_term

    def propup(self, vis):
        pre_sigmoid_activation = T.dot(vis, self.W) + self.hbias
        return [pre_sigmoid_activation, T.nnet.sigmoid(pre_sigmoid_activation)]

    def sample_h_given_v(self, v0_sample):
        pre_sigmoid_h1, h1_mean = self.propup(v0_sample)
        h1_sample = self.theano_rng.binomial(size=h1_mean.shape, n=1, p=h1_mean, dtype=theano.config.floatX)
        return [pre_sigmoid_h1, h1_mean, h1_sample]

    def propdown(self, hid):
        pre_sigmoid_activation = T.dot(hid, self.W.T) + self.vbias
        return [pre_sigmoid_activation, T.nnet.sigmoid(pre_sigmoid_activation)]

    def sample_v_given_h(self, h0_sample):
        pre_sigmoid_v1, v1_mean = self.propdown(h0_sample)
        v1_sample = self.theano_rng.binomial(size=v1_mean.shape, n=1, p=v1_mean, dtype=theano.config.floatX)
        return [pre_sigmoid_v1, v1_mean, v1_sample]

    def gibbs_hvh(self, h0_sample):
        pre_sigmoid_v1, v1_mean, v1_sample = self.sample_v_given_h(h0_sample)
        pre_sigmoid_h1, h1_mean, h1_sample = self.sample_h_given_v(v1_sample)
        return [pre_sigmoid_v1, v1_mean, v1_sample, pre_sigmoid_h1, h1_mean, h1_sample]

    def get_cost_updates(self, lr, persistent, k):
        (
            [pre_sigmoid_nvs, nv_means, nv_samples, pre_sigmoid_nhs, nh_means, nh_samples],
            updates
        ) = theano.scan(
            self.gibbs_hvh,
            outputs_info=[None, None, None, None, None, persistent],
            n_steps=k,
            name="gibbs_hvh"
        )
        chain_end = nv_samples[-1]
        cost = T.mean(self.free_energy(self.input)) - T.mean(self.free_energy(chain_end))
        gparams = T.grad(cost, self.params, consider_constant=[chain_end])
        for gparam, param in zip(gparams, self.params):
            updates[param] = param - gparam * T.cast(lr, dtype=theano.config.floatX)
        updates[persistent] = nh_samples[-1]
        return self.get_pseudo_likelihood_cost(updates), updates

    def get_pseudo_likelihood_cost(self, updates):
        bit_i_idx = theano.shared(value=0, name='bit_i_idx')
        xi = T.round(self.input)
        fe_xi = self.free_energy(xi)
        xi_flip = T.set_subtensor(xi[:, bit_i_idx], 1 - xi[:, bit_i_idx])
        fe_xi_flip = self.free_energy(xi_flip)
        cost = T.mean(self.n_visible * T.log(T.nnet.sigmoid(fe_xi_flip - fe_xi)))
        updates[bit_i_idx] = (bit_i_idx + 1) % self.n_visible
        return cost


def make_lines(n, rng, size=6):
    images = numpy.zeros((n, size, size))
    where, across = rng.randint(size, size=n), rng.rand(n) < 0.5
    for image, k, flip in zip(images, where, across):
        if flip:
            image[k] = 1
        else:
            image[:, k] = 1
    return images.reshape(n, size * size).astype(theano.config.floatX)


def log_partition(rbm):
    """Exactly, by a sum over all states of the hidden units."""
    W, hbias, vbias = [p.get_value().astype('float64') for p in rbm.params]
    states = numpy.array(list(itertools.product([0, 1], repeat=rbm.n_hidden)))
    logs = states.dot(hbias) + numpy.logaddexp(0, states.dot(W.T) + vbias).sum(axis=1)
    return logs.max() + numpy.log(numpy.exp(logs - logs.max()).sum())


def main(learning_rate=0.1, training_epochs=40, batch_size=20, n_chains=20, n_hidden=10, k=5, n_examples=1000):
    rng = numpy.random.RandomState(123)
    theano_rng = RandomStreams(rng.randint(2 ** 30))
    data = make_lines(n_examples, rng)
    train_set_x = theano.shared(data, borrow=True)
    index = T.lscalar()
    x = T.matrix('x')
    persistent_chain = theano.shared(numpy.zeros((n_chains, n_hidden), dtype=theano.config.floatX), borrow=True)
    rbm = RBM(input=x, n_visible=36, n_hidden=n_hidden, numpy_rng=rng, theano_rng=theano_rng)
    cost, updates = rbm.get_cost_updates(lr=learning_rate, persistent=persistent_chain, k=k)
    train_rbm = theano.function([index], cost, updates=updates, name='train_rbm',
                                givens={x: train_set_x[index * batch_size: (index + 1) * batch_size]})
    energies = theano.function([x], rbm.free_energy(x))

    def log_likelihood():
        return -energies(data).mean() - log_partition(rbm)

    before = log_likelihood()
    costs = []
    for epoch in range(training_epochs):
        costs.append(numpy.mean([train_rbm(i) for i in range(n_examples // batch_size)]))
        print('Training epoch %d, pseudo-likelihood %.3f, log-likelihood %.3f' % (epoch, costs[-1], log_likelihood()))
    print('the best possible log-likelihood is %.3f' % -numpy.log(12))
    return before, log_likelihood(), costs


if __name__ == '__main__':
    main()
