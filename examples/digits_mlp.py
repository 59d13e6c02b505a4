"""The two-layer ReLU network of the classic lecture, learning scikit-learn's bundled handwritten digits."""
from __future__ import annotations

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import symbolic
from symbolic.ops.functions import maximum
from symbolic.ops.nnet import categorical_crossentropy, softmax

rng = np.random.default_rng(0)
images, labels = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split((images / 16).astype("float32"), labels, test_size=0.2, random_state=0)

x = symbolic.TensorType("float32", (None, 64))("x")
y = symbolic.TensorType("int64", (None,))("y")
weights = [
    symbolic.shared((rng.normal(size=(64, 100)) * 0.15).astype("float32"), "W1"),
    symbolic.shared(np.zeros(100, "float32"), "b1"),
    symbolic.shared((rng.normal(size=(100, 10)) * 0.1).astype("float32"), "W2"),
    symbolic.shared(np.zeros(10, "float32"), "b2"),
]
hidden = maximum(x.dot(weights[0]) + weights[1], 0)
probabilities = softmax(hidden.dot(weights[2]) + weights[3])
loss = categorical_crossentropy(probabilities, y).mean()

started = time.perf_counter()
updates = [(w, w - 0.2 * g) for w, g in zip(weights, symbolic.grad(loss, weights), strict=True)]
train = symbolic.function([x, y], loss, updates=updates, name="train")
predict = symbolic.function([x], probabilities.argmax(axis=1), name="predict")
print(f"compiled in {time.perf_counter() - started:.2f} s")

started = time.perf_counter()
for epoch in range(1, 41):
    order = rng.permutation(len(x_train))
    batches = [order[i:i + 32] for i in range(0, len(order), 32)]
    losses = [float(train(x_train[b], y_train[b])) for b in batches]
    if epoch % 10 == 0:
        accuracy = np.mean(predict(x_test) == y_test)
        print(f"epoch {epoch:3d}  loss {np.mean(losses):.4f}  test accuracy {accuracy:.1%}")
print(f"trained in {time.perf_counter() - started:.2f} s")
