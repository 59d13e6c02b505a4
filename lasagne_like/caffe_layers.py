"""What each type of Caffe's layers becomes: a table from types to layers, by the defaults of caffe.proto."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import symbolic.tensor as T
from lasagne_like import init, nonlinearities
from lasagne_like.layers import (
    BatchNormLayer,
    BiasLayer,
    ConcatLayer,
    Conv2DLayer,
    DenseLayer,
    DropoutLayer,
    ElemwiseMergeLayer,
    ElemwiseSumLayer,
    FlattenLayer,
    GlobalPoolLayer,
    Layer,
    LocalResponseNormalization2DLayer,
    NonlinearityLayer,
    ParametricRectifierLayer,
    ReshapeLayer,
    ScaleLayer,
    TransposedConv2DLayer,
)
from lasagne_like.layers.base import Shape
from lasagne_like.layers.conv import conv_output_length
from lasagne_like.random import get_rng
from symbolic.tensor.signal.pool import pool_2d


class PrototxtError(ValueError):
    """A .prototxt that can't be read, or not be built."""


class Message:
    """A protobuf message: the values of each field, and which fields were asked for.

    Parameters
    ----------
    name : str
        Of the field that holds it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fields: dict[str, list[Any]] = {}
        self.read: set[str] = set()

    def __repr__(self) -> str:
        return f"<Message {', '.join(self.fields)}>"

    def add(self, field: str, value: Any) -> None:
        """Add a value of a field."""
        self.fields.setdefault(field, []).append(value)

    def all(self, field: str) -> list[Any]:
        """Return all values of a field."""
        self.read.add(field)
        return self.fields.get(field, [])

    def get(self, field: str, default: Any = None) -> Any:
        """Return the last value of a field, of the kind that `default` is."""
        found = self.all(field)
        if not found:
            return default
        kinds = {bool: (bool, int), int: (int,), float: (int, float), str: (str, int)}.get(type(default))
        if kinds is not None and (not isinstance(found[-1], kinds) or (isinstance(found[-1], bool) and bool not in kinds)):
            raise PrototxtError(f"{self.name}: {field} should be {type(default).__name__}, got {found[-1]!r}")
        return found[-1]

    def complete(self) -> None:
        """Raise if a field wasn't asked for: what it says would be lost."""
        unread = sorted(self.fields.keys() - self.read)
        if unread:
            raise PrototxtError(f"{self.name} has {unread[0]}, which isn't understood")

    def need(self, field: str) -> int:
        """Return a positive number that must be there."""
        found = self.get(field, 0)
        if found < 1:
            raise PrototxtError(f"{self.name} needs a positive {field}, got {found if self.fields.get(field) else 'none'}")
        return found

    def pair(self, field: str, default: int, height: str, width: str) -> tuple[int, int]:
        """Return a number for rows and one for columns: a field once or twice, or two fields."""
        both = self.all(field)
        high, wide = self.get(height, -1), self.get(width, -1)
        if both and (high >= 0 or wide >= 0):
            raise PrototxtError(f"{self.name} has {field} beside {height} and {width}")
        if len(both) > 2 or any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in both):
            raise PrototxtError(f"{self.name}: {field} should be a number or two, got {both}")
        if both:
            return both[0], both[-1]
        return (default if high < 0 else high), (default if wide < 0 else wide)


class Filler(init.Initializer):
    """Caffe's initial values.

    Parameters
    ----------
    message : Message
        A FillerParameter.
    flat : bool
        Whether the parameter is a matrix (inputs, outputs), which Caffe has as (outputs, inputs).
    """

    def __init__(self, message: Message, flat: bool = False) -> None:
        number = {name: float(message.get(name, d)) for name, d in (("value", 0.0), ("mean", 0.0), ("std", 1.0), ("min", 0.0),
                                                                    ("max", 1.0))}
        self.kind, self.number, self.flat = message.get("type", "constant"), number, flat
        self.norm = message.get("variance_norm", "FAN_IN")
        if self.kind not in ("constant", "gaussian", "uniform", "xavier", "msra"):
            raise PrototxtError(f"filler {self.kind!r} isn't understood; there are constant, gaussian, uniform, xavier, msra")
        message.complete()

    def sample(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return values of `shape`."""
        rng, n = get_rng(), self.number
        if self.kind == "constant":
            return np.full(shape, n["value"])
        if self.kind == "gaussian":
            return rng.normal(n["mean"], n["std"], shape)
        if self.kind == "uniform":
            return rng.uniform(n["min"], n["max"], shape)
        count = float(np.prod(shape))
        fans = count / shape[0], count / (shape[1] if len(shape) > 1 else 1)
        inward, outward = fans[::-1] if self.flat else fans
        fan = {"FAN_IN": inward, 0: inward, "FAN_OUT": outward, 1: outward}.get(self.norm, (inward + outward) / 2)
        if self.kind == "xavier":
            return rng.uniform(-np.sqrt(3 / fan), np.sqrt(3 / fan), shape)
        return rng.normal(0, np.sqrt(2 / fan), shape)


def _fillers(p: Message, flat: bool = False) -> dict[str, Any]:
    """Return initial weights and biases, None for no biases."""
    bias = p.get("bias_term", True)
    fill = [Filler(p.get(name, Message(name)), flat) for name in ("weight_filler", "bias_filler")]
    given = p.fields.get("weight_filler") is not None
    return {"W": fill[0] if given else init.GlorotUniform(), "b": fill[1] if bias else None}


class CaffeConvLayer(Conv2DLayer):
    """`Conv2DLayer` with dilated filters, whose weights lie as those of other convolutions.

    Parameters
    ----------
    incoming, num_filters, filter_size, stride, pad, untie_biases, W, b, nonlinearity, flip_filters, num_groups, name
        As for `Conv2DLayer`.
    dilation : pair of int
        Distance of the filters' elements.
    """

    def __init__(self, *args: Any, dilation: tuple[int, int], **kwargs: Any) -> None:
        self.dilation = dilation
        super().__init__(*args, **kwargs)

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        walks = zip(input_shape[2:], self.filter_size, self.dilation, self.stride, self._pads(), strict=True)
        return (input_shape[0], self.num_filters, *(conv_output_length(n, (f - 1) * d + 1, s, p) for n, f, d, s, p in walks))

    def convolve(self, input: Any, **kwargs: Any) -> Any:
        return self._applied(self.convolution, input, filter_dilation=self.dilation)


class CaffePoolLayer(Layer):
    """Caffe's pooling: windows that begin inside are kept, though they reach beyond; averages count padding, not what is beyond.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, channels, rows, columns)
    pool_size, stride, pad : pair of int
    mode : {'max', 'average'}
    name : str, optional
    """

    def __init__(self, incoming: Any, pool_size: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int], mode: str,
                 name: str | None = None) -> None:
        super().__init__(incoming, name)
        if len(self.input_shape) != 4:
            raise ValueError(f"expected 4 axes (batch, channels, rows, columns), got input shape {self.input_shape}")
        if min(*pool_size, *stride) < 1 or any(p >= s for p, s in zip(pad, pool_size, strict=True)):
            raise ValueError(f"kernel and stride must be positive, pad smaller than the kernel; got {pool_size}, {stride}, {pad}")
        self.pool_size, self.stride, self.pad, self.mode = pool_size, stride, pad, mode
        for k, n in enumerate(self.input_shape[2:]):
            if n is None and pad == (0, 0) and stride[k] > pool_size[k]:
                raise ValueError(f"stride {stride} beyond the kernel {pool_size} needs known extents, got {self.input_shape}")
            if n is not None and (self._places(n, k) - 1) * stride[k] >= n + pad[k]:
                raise ValueError(f"kernel {pool_size} with stride {stride} has a last window beyond the input, "
                                 f"{self.input_shape}, for which Caffe has no value")

    def _places(self, n: Any, axis: int) -> Any:
        """Return how many windows there are along rows or columns of extent `n`; as in Caffe, padding one axis cuts both."""
        size, step, pad = self.pool_size[axis], self.stride[axis], self.pad[axis]
        most = (n + 2 * pad - size + step - 1) // step + 1
        if self.pad == (0, 0):
            return most
        beyond = (most - 1) * step >= n + pad  # the last window would begin behind the image
        return most - int(beyond) if isinstance(n, int) else most - T.cast(beyond, "int64")

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        return (*input_shape[:2], *(None if n is None else self._places(n, k) for k, n in enumerate(input_shape[2:])))

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        n = [input.shape[2 + k] if e is None else e for k, e in enumerate(self.input_shape[2:])]
        places = [self._places(e, k) for k, e in enumerate(n)]
        # extents that the windows cover; what is behind them isn't looked at
        whole = [(m - 1) * s + f for m, s, f in zip(places, self.stride, self.pool_size, strict=True)]
        if self.pad != (0, 0) or any(not isinstance(w, int) or w > e for w, e in zip(whole, n, strict=True)):
            spare = [T.maximum(w, p + e) if not isinstance(w, int) else max(w, p + e) for w, e, p in
                     zip(whole, n, self.pad, strict=True)]
            border = np.asarray(-np.inf if self.mode == "max" else 0, input.dtype)
            inner = tuple(slice(p, p + e) for p, e in zip(self.pad, n, strict=True))
            around = T.alloc(border, input.shape[0], input.shape[1], *spare)
            input = T.set_subtensor(around[(slice(None), slice(None), *inner)], input)
        kind = "max" if self.mode == "max" else "sum"
        out = pool_2d(input, ws=self.pool_size, stride=self.stride, ignore_border=True, mode=kind)
        out = out[:, :, :places[0], :places[1]]
        if self.mode == "max":
            return out
        counts = [self._counts(places[k], n[k], k, input.dtype) for k in (0, 1)]
        return out / (counts[0].dimshuffle("x", "x", 0, "x") * counts[1].dimshuffle("x", "x", "x", 0))

    def _counts(self, places: Any, n: Any, axis: int, dtype: str) -> Any:
        """Return how many elements of each window are image or padding."""
        begin: Any = T.arange(places) * self.stride[axis]
        return T.cast(T.minimum(begin + self.pool_size[axis], n + 2 * self.pad[axis]) - begin, dtype)


def _convolution(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    size, stride = p.pair("kernel_size", 0, "kernel_h", "kernel_w"), p.pair("stride", 1, "stride_h", "stride_w")
    pad, dilation = p.pair("pad", 0, "pad_h", "pad_w"), p.pair("dilation", 1, "", "")
    p.get("engine"), p.get("axis", 1)
    if min(size) < 1:
        raise PrototxtError("convolution_param needs a positive kernel_size")
    arguments = {"num_groups": p.get("group", 1), "flip_filters": False, "nonlinearity": None, "name": name, **_fillers(p)}
    if dilation == (1, 1):
        return Conv2DLayer(feeds[0], p.need("num_output"), size, stride, pad, **arguments)
    return CaffeConvLayer(feeds[0], p.need("num_output"), size, stride, pad, dilation=dilation, **arguments)


def _deconvolution(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    size, stride = p.pair("kernel_size", 0, "kernel_h", "kernel_w"), p.pair("stride", 1, "stride_h", "stride_w")
    p.get("engine")
    if p.get("group", 1) != 1 or p.pair("dilation", 1, "", "") != (1, 1):
        raise PrototxtError("a Deconvolution with groups or dilation isn't built")
    return TransposedConv2DLayer(feeds[0], p.need("num_output"), size, stride, p.pair("pad", 0, "pad_h", "pad_w"),
                                 flip_filters=True, nonlinearity=None, name=name, **_fillers(p))


def _pooling(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    p.get("engine")
    mode = {"MAX": "max", 0: "max", "AVE": "average", 1: "average"}.get(p.get("pool", "MAX"))
    if mode is None:
        raise PrototxtError(f"pool {p.get('pool')} isn't built; there are MAX and AVE")
    if p.get("round_mode", "CEIL") not in ("CEIL", 0):
        raise PrototxtError("round_mode isn't understood; poolings round up")
    size = p.pair("kernel_size", 0, "kernel_h", "kernel_w")
    stride, pad = p.pair("stride", 1, "stride_h", "stride_w"), p.pair("pad", 0, "pad_h", "pad_w")
    if p.get("global_pooling", False):
        if size != (0, 0) or stride != (1, 1) or pad != (0, 0):
            raise PrototxtError("global_pooling takes no kernel, stride or pad")
        pooled = GlobalPoolLayer(feeds[0], T.max if mode == "max" else T.mean, name=name)
        return ReshapeLayer(pooled, ([0], [1], 1, 1), name=name)
    return CaffePoolLayer(feeds[0], size, stride, pad, mode, name)


def _inner_product(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    p.get("transpose", False)  # weights are turned when they are read
    return DenseLayer(feeds[0], p.need("num_output"), nonlinearity=None, num_leading_axes=p.get("axis", 1), name=name,
                      **_fillers(p, flat=True))


def _relu(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    p.get("engine")
    slope = p.get("negative_slope", 0.0)
    return NonlinearityLayer(feeds[0], nonlinearities.LeakyRectify(slope) if slope else nonlinearities.rectify, name=name)


def _prelu(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    fill = p.get("filler")
    return ParametricRectifierLayer(feeds[0], Filler(fill) if fill else init.Constant(0.25),
                                    "all" if p.get("channel_shared", False) else "auto", name=name)


def _lrn(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    p.get("engine")
    if p.get("norm_region", "ACROSS_CHANNELS") not in ("ACROSS_CHANNELS", 0):
        raise PrototxtError("an LRN WITHIN_CHANNEL isn't built")
    n = p.get("local_size", 5)
    alpha, k, beta = (p.get(field, default) for field, default in (("alpha", 1.0), ("k", 1.0), ("beta", 0.75)))
    return LocalResponseNormalization2DLayer(feeds[0], alpha / n, k, beta, n, name=name)


def _softmax(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    p.get("engine")
    axis, ndim = p.get("axis", 1), len(feeds[0].output_shape)
    if not -ndim <= axis < ndim:
        raise PrototxtError(f"axis is {axis}, but the input has {ndim} axes")
    if axis % ndim == ndim - 1:
        return NonlinearityLayer(feeds[0], nonlinearities.softmax, name=name)
    return NonlinearityLayer(feeds[0], lambda x: T.nnet.softmax(x, axis=axis), name=name)


def _concat(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    return ConcatLayer(list(feeds), axis=p.get("axis", p.get("concat_dim", 1)), name=name)


def _eltwise(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    p.get("stable_prod_grad")
    operation, coeff = p.get("operation", "SUM"), p.all("coeff")
    if operation in ("SUM", 1):
        return ElemwiseSumLayer(list(feeds), coeff or 1, name=name)
    function = {"PROD": T.mul, 0: T.mul, "MAX": T.maximum, 2: T.maximum}.get(operation)
    if function is None or coeff:
        raise PrototxtError(f"operation {operation} with {len(coeff)} coeffs; there are SUM (with coeff), PROD and MAX")
    return ElemwiseMergeLayer(list(feeds), function, name=name)


def _batch_norm(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    p.get("use_global_stats"), p.get("engine")
    return BatchNormLayer(feeds[0], epsilon=p.get("eps", 1e-5), alpha=1 - p.get("moving_average_fraction", 0.999), beta=None,
                          gamma=None, name=name)


def _scale(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    if len(feeds) != 1 or p.get("axis", 1) != 1 or p.get("num_axes", 1) != 1:
        raise PrototxtError("a Scale of another axis than 1, or by a second bottom, isn't built")
    fill, bias = p.get("filler"), p.get("bias_filler", Message("bias_filler"))
    out: Layer = ScaleLayer(feeds[0], Filler(fill) if fill else init.Constant(1), name=name)
    return BiasLayer(out, Filler(bias), name=name) if p.get("bias_term", False) else out


def _flatten(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    axis = p.get("axis", 1)
    if p.get("end_axis", -1) not in (-1, len(feeds[0].output_shape) - 1):
        raise PrototxtError("a Flatten that ends before the last axis isn't built")
    return FlattenLayer(feeds[0], axis % len(feeds[0].output_shape) + 1, name=name)


def _reshape(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    dims = p.get("shape", Message("shape")).all("dim")
    if p.get("axis", 0) or p.get("num_axes", -1) != -1:
        raise PrototxtError("a Reshape of some axes only isn't built")
    return ReshapeLayer(feeds[0], tuple([k] if n == 0 else n for k, n in enumerate(dims)), name=name)


def _power(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    power, scale, shift = p.get("power", 1.0), p.get("scale", 1.0), p.get("shift", 0.0)
    return NonlinearityLayer(feeds[0], lambda x: (shift + scale * x) ** power if power != 1 else shift + scale * x, name=name)


def _elu(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    alpha = p.get("alpha", 1.0)
    return NonlinearityLayer(feeds[0], lambda x: T.nnet.elu(x, alpha), name=name)


def _dropout(p: Message, feeds: Sequence[Any], name: str) -> Layer:
    return DropoutLayer(feeds[0], p.get("dropout_ratio", 0.5), name=name)


def _plain(nonlinearity: Any) -> Callable[..., Layer]:
    def build(p: Message, feeds: Sequence[Any], name: str) -> Layer:
        p.get("engine")
        return NonlinearityLayer(feeds[0], nonlinearity, name=name)
    return build


#: a layer's type: the field with its parameters, and what makes it of them, of the layers below and of its name
BUILDERS: dict[str, tuple[str, Callable[..., Layer]]] = {
    "Convolution": ("convolution_param", _convolution), "Deconvolution": ("convolution_param", _deconvolution),
    "Pooling": ("pooling_param", _pooling), "InnerProduct": ("inner_product_param", _inner_product),
    "ReLU": ("relu_param", _relu), "PReLU": ("prelu_param", _prelu), "ELU": ("elu_param", _elu),
    "Sigmoid": ("sigmoid_param", _plain(T.nnet.sigmoid)), "TanH": ("tanh_param", _plain(T.tanh)),
    "AbsVal": ("", _plain(abs)), "BNLL": ("", _plain(T.nnet.softplus)), "Power": ("power_param", _power),
    "LRN": ("lrn_param", _lrn), "Dropout": ("dropout_param", _dropout), "BatchNorm": ("batch_norm_param", _batch_norm),
    "Scale": ("scale_param", _scale), "Softmax": ("softmax_param", _softmax), "Concat": ("concat_param", _concat),
    "Eltwise": ("eltwise_param", _eltwise), "Flatten": ("flatten_param", _flatten), "Reshape": ("reshape_param", _reshape),
    "Split": ("", _plain(None)),
}
#: what compares with labels, or gives nothing
LEFT_OUT = {"Accuracy", "SoftmaxWithLoss", "EuclideanLoss", "HingeLoss", "SigmoidCrossEntropyLoss", "MultinomialLogisticLoss",
            "InfogainLoss", "ContrastiveLoss", "Silence"}


def _given(layer: Message) -> list[list[int]]:
    return [shape.all("dim") for shape in layer.get("input_param", Message("")).all("shape")] or [[]]


def _memory(layer: Message) -> list[list[int]]:
    p = layer.get("memory_data_param", Message(""))
    return [[p.get(name, 0) for name in ("batch_size", "channels", "height", "width")]]


#: layers that data come from, and the extents of their blobs where files say them
SOURCES: dict[str, Callable[[Message], list[list[int]]]] = {
    "Input": _given, "MemoryData": _memory,
    **dict.fromkeys(("Data", "ImageData", "HDF5Data", "DummyData", "WindowData"), lambda layer: [])}
