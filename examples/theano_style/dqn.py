"""Deep Q-learning with a replay memory and a target network, in the style of 2015.

    python -m symbolic.theano dqn.py

Task: a corridor of eight places with a treasure at one end, a small reward at the other, made here; the best plan is known.
"""
from __future__ import print_function

import numpy as np

import theano
import theano.tensor as T

N, GAMMA = 8, 0.9


class Corridor(object):
    """Two actions; the treasure is worth 1, the other end 0.2, and both end the episode."""

    def reset(self, rng):
        self.place = rng.randint(1, N - 1)
        return self.place

    def act(self, action):
        self.place += 1 if action else -1
        if self.place == N - 1:
            return self.place, 1.0, True
        if self.place == 0:
            return self.place, 0.2, True
        return self.place, 0.0, False


def best_values():
    """The values of the best plan, by iteration."""
    Q = np.zeros((N, 2))
    for _ in range(200):
        V = Q.max(axis=1)
        V[0] = V[N - 1] = 0
        for s in range(1, N - 1):
            Q[s] = [0.2 if s == 1 else GAMMA * V[s - 1], 1.0 if s == N - 2 else GAMMA * V[s + 1]]
    return Q


class DeepQNetwork(object):
    def __init__(self, hidden=32, learning_rate=0.01, seed=0):
        rng = np.random.RandomState(seed)

        def layer(rows, columns):
            W = (rng.randn(rows, columns) * np.sqrt(2. / rows)).astype(theano.config.floatX)
            return [theano.shared(W), theano.shared(np.zeros(columns, dtype=theano.config.floatX))]

        self.params = layer(N, hidden) + layer(hidden, 2)
        self.next_params = [theano.shared(p.get_value()) for p in self.params]

        def q_values(states, params):
            W1, b1, W2, b2 = params
            hidden_layer = T.nnet.relu(T.dot(states, W1) + b1)
            return T.dot(hidden_layer, W2) + b2

        states, next_states = T.matrix('states'), T.matrix('next_states')
        rewards, actions, terminals = T.col('rewards'), T.icol('actions'), T.icol('terminals')
        q_vals = q_values(states, self.params)
        next_q_vals = theano.gradient.disconnected_grad(q_values(next_states, self.next_params))
        target = rewards + (T.ones_like(terminals) - terminals) * GAMMA * T.max(next_q_vals, axis=1, keepdims=True)
        diff = target - q_vals[T.arange(states.shape[0]), actions.reshape((-1,))].reshape((-1, 1))
        quadratic_part = T.minimum(abs(diff), 1.0)
        linear_part = abs(diff) - quadratic_part
        loss = T.sum(0.5 * quadratic_part ** 2 + linear_part)

        updates = []
        for p, g in zip(self.params, T.grad(loss, self.params)):
            acc = theano.shared(p.get_value() * 0)
            acc_new = 0.95 * acc + 0.05 * g ** 2
            updates += [(acc, acc_new), (p, p - learning_rate * g / T.sqrt(acc_new + 0.01))]
        self._train = theano.function([states, actions, rewards, next_states, terminals], [loss, q_vals], updates=updates,
                                      allow_input_downcast=True)
        self._q_vals = theano.function([states], q_vals, allow_input_downcast=True)
        self._reset = theano.function([], [], updates=list(zip(self.next_params, self.params)))

    def choose(self, state, epsilon, rng):
        if rng.rand() < epsilon:
            return rng.randint(2)
        return int(np.argmax(self._q_vals(np.eye(N)[[state]])))


def main(episodes=300, batch=32, memory=2000, freeze=50, seed=0):
    rng = np.random.RandomState(seed)
    world, network = Corridor(), DeepQNetwork(seed=seed)
    replay, steps, losses = [], 0, []
    for episode in range(episodes):
        state, over, t = world.reset(rng), False, 0
        while not over and t < 30:
            action = network.choose(state, max(0.1, 1 - episode / 100.), rng)
            new_state, reward, over = world.act(action)
            replay.append((state, action, reward, new_state, over))
            replay = replay[-memory:]
            state, t, steps = new_state, t + 1, steps + 1
            if len(replay) >= batch:
                s, a, r, s2, done = [np.array(c) for c in zip(*[replay[k] for k in rng.randint(len(replay), size=batch)])]
                loss, _ = network._train(np.eye(N)[s], a[:, None], r[:, None], np.eye(N)[s2], done[:, None])
                losses.append(float(loss) / batch)
            if steps % freeze == 0:
                network._reset()
        if episode % 100 == 99:
            print('episode %d: loss %.5f' % (episode + 1, np.mean(losses[-200:])))
    found, best = network._q_vals(np.eye(N)), best_values()
    inside = slice(1, N - 1)
    print('largest error of a value: %.3f' % np.abs(found - best)[inside].max())
    print('plan: %s' % ' '.join('<>'[k] for k in found[inside].argmax(axis=1)))
    return found[inside], best[inside]


if __name__ == '__main__':
    main()
