"""A variational autoencoder with the reparameterisation trick, in the style of 2015.

    python -m symbolic.theano vae.py

Data: 8 by 8 images of a soft blob at a random place, made here: two numbers explain each image.
"""
from __future__ import print_function

from collections import OrderedDict

import numpy as np

import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams

epsilon = 1e-6


def relu(x):
    return T.switch(x < 0, 0, x)


def make_blobs(n, rng, size=8):
    centre = rng.uniform(1, size - 2, size=(n, 2, 1))
    axis = np.arange(size)
    rows = np.exp(-0.5 * (axis - centre[:, 0]) ** 2)
    columns = np.exp(-0.5 * (axis - centre[:, 1]) ** 2)
    return (0.02 + 0.96 * rows[:, :, None] * columns[:, None, :]).reshape(n, size * size).astype(theano.config.floatX)


class VAE(object):
    """Variational autoencoder with Bernoulli outputs.

    Parameters
    ----------
    x_train : array, one example a row
    hu : int, hidden units
    n_latent : int
    """

    def __init__(self, x_train, hu=64, n_latent=2, batch_size=50, b1=0.95, b2=0.999, learning_rate=0.003, seed=10):
        self.prng = np.random.RandomState(seed)
        self.batch_size = batch_size
        features = x_train.shape[1]

        def create_weight(dim_input, dim_output, sigma_init=None):
            sigma = sigma_init or np.sqrt(2. / dim_input)
            return self.prng.normal(0, sigma, (dim_input, dim_output)).astype(theano.config.floatX)

        def create_bias(dim_output):
            return np.zeros(dim_output).astype(theano.config.floatX)

        self.params = OrderedDict()
        for name, rows, columns in (('xh', features, hu), ('hmu', hu, n_latent), ('hsigma', hu, n_latent),
                                    ('zh', n_latent, hu), ('hx', hu, features)):
            self.params['W_' + name] = theano.shared(create_weight(rows, columns, 0.01 if name == 'hsigma' else None),
                                                     name='W_' + name)
            self.params['b_' + name] = theano.shared(create_bias(columns), name='b_' + name)
        self.m, self.v = OrderedDict(), OrderedDict()
        for key, value in self.params.items():
            self.m[key] = theano.shared(np.zeros_like(value.get_value()), name='m_' + key)
            self.v[key] = theano.shared(np.zeros_like(value.get_value()), name='v_' + key)
        self.x_train = theano.shared(x_train, name='x_train')
        self.N = x_train.shape[0]
        self.update, self.likelihood, self.encode, self.decode = self.create_gradientfunctions(b1, b2, learning_rate)

    def encoder(self, x):
        h = relu(T.dot(x, self.params['W_xh']) + self.params['b_xh'].dimshuffle('x', 0))
        mu = T.dot(h, self.params['W_hmu']) + self.params['b_hmu'].dimshuffle('x', 0)
        log_sigma = T.dot(h, self.params['W_hsigma']) + self.params['b_hsigma'].dimshuffle('x', 0)
        return mu, log_sigma

    def sampler(self, mu, log_sigma):
        srng = RandomStreams(seed=42)
        eps = srng.normal(mu.shape, dtype=theano.config.floatX)
        return mu + T.exp(0.5 * log_sigma) * eps

    def decoder(self, x, z):
        h = relu(T.dot(z, self.params['W_zh']) + self.params['b_zh'].dimshuffle('x', 0))
        reconstructed_x = T.nnet.sigmoid(T.dot(h, self.params['W_hx']) + self.params['b_hx'].dimshuffle('x', 0))
        logpxz = - T.nnet.binary_crossentropy(reconstructed_x, x).sum(axis=1)
        return reconstructed_x, logpxz

    def create_gradientfunctions(self, b1, b2, learning_rate):
        x = T.matrix('x')
        z_in = T.matrix('z')
        epoch = T.scalar('epoch')
        batch_start = T.iscalar('batch_start')
        mu, log_sigma = self.encoder(x)
        z = self.sampler(mu, log_sigma)
        reconstructed_x, logpxz = self.decoder(x, z)
        kl = 0.5 * T.sum(1 + log_sigma - mu ** 2 - T.exp(log_sigma), axis=1)
        logpx = T.mean(logpxz + kl)
        gradients = T.grad(-logpx, list(self.params.values()))
        updates = OrderedDict()
        gamma = T.sqrt(1 - (1 - b2) ** epoch) / (1 - (1 - b1) ** epoch)
        for (key, parameter), gradient in zip(self.params.items(), gradients):
            m, v = self.m[key], self.v[key]
            new_m = b1 * m + (1 - b1) * gradient
            new_v = b2 * v + (1 - b2) * (gradient ** 2)
            updates[parameter] = parameter - learning_rate * gamma * new_m / (T.sqrt(new_v) + epsilon)
            updates[m], updates[v] = new_m, new_v
        update = theano.function([batch_start, epoch], logpx, updates=updates, allow_input_downcast=True,
                                 givens={x: self.x_train[batch_start:batch_start + self.batch_size, :]})
        likelihood = theano.function([x], logpx)
        encode = theano.function([x], mu)
        decode = theano.function([z_in], self.decoder(x, z_in)[0])
        return update, likelihood, encode, decode


def main(n=2000, epochs=25, seed=0):
    rng = np.random.RandomState(seed)
    model = VAE(make_blobs(n, rng))
    held_out = make_blobs(300, rng)
    bounds = []
    for epoch in range(epochs):
        order = rng.permutation(n // model.batch_size)
        train = np.mean([model.update(int(k) * model.batch_size, epoch + 1) for k in order])
        bounds.append(float(model.likelihood(held_out)))
        if epoch % 5 == 4:
            print('epoch %d: lower bound %.3f, of new images %.3f' % (epoch + 1, train, bounds[-1]))
    restored = model.decode(model.encode(held_out))
    error = float(np.mean((restored - held_out) ** 2) / np.var(held_out))
    entropy = float(-np.mean((held_out * np.log(held_out) + (1 - held_out) * np.log(1 - held_out)).sum(axis=1)))
    print('%.1f%% of the variance is left after two numbers; no bound exceeds %.3f' % (100 * error, -entropy))
    return bounds, error, entropy


if __name__ == '__main__':
    main()
