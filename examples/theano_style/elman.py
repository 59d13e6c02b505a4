"""A word-tagging Elman network with a context window, trained sentence by sentence, in the style of 2014.

    python -m symbolic.theano elman.py

Data: sentences made here by a small grammar of flight questions, with slots to be tagged.
"""
from __future__ import print_function

import random
from collections import OrderedDict

import numpy

import theano
from theano import tensor as T

CITIES = ['boston', 'denver', 'paris', 'rome', 'oslo', 'new york']
DAYS = ['monday', 'friday', 'sunday']
TEMPLATES = ['show flights from {o} to {d}', 'i want to fly to {d} from {o} on {day}', 'is there a plane from {o} on {day}',
             'what goes to {d} {day} morning', 'list fares from {o} to {d} on {day} please', 'to {d} please']


def make_sentence(rng):
    """Return words and their tags: O, or B-/I- and the slot."""
    slots = {'o': rng.choice(CITIES), 'd': rng.choice(CITIES), 'day': rng.choice(DAYS)}
    words, tags = [], []
    for token in rng.choice(TEMPLATES).split():
        if token.startswith('{'):
            kind = token[1:-1]
            parts = slots[kind].split()
            words += parts
            tags += ['B-' + kind] + ['I-' + kind] * (len(parts) - 1)
        else:
            words.append(token)
            tags.append('O')
    return words, tags


def contextwin(sentence, win):
    """Return, for each word, the indexes of the words around it; -1 is outside."""
    assert (win % 2) == 1
    padded = win // 2 * [-1] + list(sentence) + win // 2 * [-1]
    return [padded[i:(i + win)] for i in range(len(sentence))]


class RNNSLU(object):
    """Elman network for slot filling.

    Parameters
    ----------
    nh : int, hidden units
    nc : int, classes
    ne : int, words
    de : int, length of an embedding
    cs : int, width of the context window
    """

    def __init__(self, nh, nc, ne, de, cs):
        rng = numpy.random.RandomState(0)

        def weights(name, *shape):
            return theano.shared(name=name, value=0.2 * rng.uniform(-1.0, 1.0, shape).astype(theano.config.floatX))

        self.emb = weights('embeddings', ne + 1, de)
        self.wx = weights('wx', de * cs, nh)
        self.wh = weights('wh', nh, nh)
        self.w = weights('w', nh, nc)
        self.bh = theano.shared(name='bh', value=numpy.zeros(nh, dtype=theano.config.floatX))
        self.b = theano.shared(name='b', value=numpy.zeros(nc, dtype=theano.config.floatX))
        self.h0 = theano.shared(name='h0', value=numpy.zeros(nh, dtype=theano.config.floatX))
        self.params = [self.emb, self.wx, self.wh, self.w, self.bh, self.b, self.h0]

        idxs = T.imatrix()
        x = self.emb[idxs].reshape((idxs.shape[0], de * cs))
        y_sentence = T.ivector('y_sentence')

        def recurrence(x_t, h_tm1):
            h_t = T.nnet.sigmoid(T.dot(x_t, self.wx) + T.dot(h_tm1, self.wh) + self.bh)
            s_t = T.nnet.softmax(T.dot(h_t, self.w) + self.b)
            return [h_t, s_t]

        [h, s], _ = theano.scan(fn=recurrence, sequences=x, outputs_info=[self.h0, None], n_steps=x.shape[0])
        p_y_given_x_sentence = s.reshape((x.shape[0], nc))
        y_pred = T.argmax(p_y_given_x_sentence, axis=1)

        lr = T.scalar('lr')
        sentence_nll = -T.mean(T.log(p_y_given_x_sentence)[T.arange(x.shape[0]), y_sentence])
        sentence_gradients = T.grad(sentence_nll, self.params)
        sentence_updates = OrderedDict((p, p - lr * g) for p, g in zip(self.params, sentence_gradients))
        self.classify = theano.function(inputs=[idxs], outputs=y_pred)
        self.sentence_train = theano.function(inputs=[idxs, y_sentence, lr], outputs=sentence_nll, updates=sentence_updates,
                                              allow_input_downcast=True)
        self.normalize = theano.function(
            inputs=[], updates={self.emb: self.emb / T.sqrt((self.emb ** 2).sum(axis=1)).dimshuffle(0, 'x')})

    def train(self, x, y, window_size, learning_rate):
        words = [numpy.asarray(w).astype('int32') for w in contextwin(x, window_size)]
        nll = self.sentence_train(numpy.asarray(words), numpy.asarray(y, 'int32'), learning_rate)
        self.normalize()
        return nll


def main(nhidden=30, emb_dimension=12, win=3, nepochs=8, clr=0.3, n_train=250, n_test=100, seed=345):
    rng = random.Random(seed)
    sentences = [make_sentence(rng) for _ in range(n_train + n_test)]
    word2idx = {w: k for k, w in enumerate(sorted({w for s, _ in sentences for w in s}))}
    label2idx = {t: k for k, t in enumerate(sorted({t for _, tags in sentences for t in tags}))}
    coded = [([word2idx[w] for w in s], [label2idx[t] for t in tags]) for s, tags in sentences]
    train, test = coded[:n_train], coded[n_train:]
    rnn = RNNSLU(nh=nhidden, nc=len(label2idx), ne=len(word2idx), de=emb_dimension, cs=win)
    accuracies = []
    for epoch in range(nepochs):
        rng.shuffle(train)
        nlls = [rnn.train(x, y, win, clr) for x, y in train]
        right = total = 0
        for x, y in test:
            predicted = rnn.classify(numpy.asarray(contextwin(x, win)).astype('int32'))
            right += int((predicted == numpy.asarray(y)).sum())
            total += len(y)
        accuracies.append(right / float(total))
        print('epoch %d: cost %.4f, %.2f%% of the words of new sentences are tagged right' %
              (epoch, numpy.mean(nlls), 100 * accuracies[-1]))
    return accuracies


if __name__ == '__main__':
    main()
