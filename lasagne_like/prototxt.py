"""Networks of Caffe's .prototxt files: the text form of protobuf messages, read without Caffe, and layers made of them."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lasagne_like.caffe_layers import BUILDERS, LEFT_OUT, SOURCES, Message, PrototxtError
from lasagne_like.layers import InputLayer, Layer

_TOKEN = re.compile(r"""(?P<space>\s+|\#[^\n]*)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<word>[A-Za-z_][\w./]*)
                    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?f?|inf|nan)(?![\w.]))
                    |(?P<mark>[{}<>\[\]:;,])""", re.VERBOSE)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_CLOSING = {"{": "}", "<": ">"}
#: what layers of version 1 are called later, where that isn't the same without underscores
_OLD_NAMES = {"RELU": "ReLU", "PRELU": "PReLU", "TANH": "TanH", "LRN": "LRN", "BNLL": "BNLL", "SOFTMAX_LOSS": "SoftmaxWithLoss",
              "ABSVAL": "AbsVal", "HDF5_DATA": "HDF5Data", "ARGMAX": "ArgMax", "MVN": "MVN", "ELU": "ELU",
              "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss"}
#: fields of a layer that say nothing of what it computes
_IDLE = {"name", "type", "bottom", "top", "include", "exclude", "param", "blobs_lr", "weight_decay", "loss_weight", "loss_param",
         "propagate_down", "phase", "transform_param", "blob_share_mode", "blobs"}


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield (kind, text, line)."""
    at, line = 0, 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise PrototxtError(f"line {line}: {text[at:at + 20].splitlines()[0]!r} isn't understood")
        if found.lastgroup != "space":
            yield str(found.lastgroup), found[0], line
        line += found[0].count("\n")
        at = found.end()
    yield "end", "the end of the file", line


def _unquoted(text: str) -> str:
    named = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)) if m[1] else chr(int(m[2], 16)) if m[2] else named.get(m[3], m[3]), text[1:-1])


def _number(text: str) -> int | float:
    low = text.lower()
    if "0x" in low:
        return int(low, 16)
    return int(low) if re.fullmatch(r"[+-]?\d+", low) else float(low.rstrip("f") if not low.endswith("inf") else low)


class _Reader:
    """Tokens, one after the other."""

    def __init__(self, text: str) -> None:
        self._rest = _tokens(text)
        self.kind, self.text, self.line = next(self._rest)

    def take(self) -> tuple[str, str]:
        taken = self.kind, self.text
        if self.kind != "end":
            self.kind, self.text, self.line = next(self._rest)
        return taken

    def skip(self, marks: str) -> bool:
        """Take a mark, if it is one of these."""
        found = self.kind == "mark" and self.text in marks
        if found:
            self.take()
        return found

    def scalar(self) -> Any:
        line = self.line
        kind, text = self.take()
        if kind == "text":
            out = _unquoted(text)
            while self.kind == "text":  # strings side by side are one
                out += _unquoted(self.take()[1])
            return out
        if kind == "number" or text in ("inf", "nan"):
            return _number(text)
        if kind == "word":
            return {"true": True, "false": False}.get(text, text)
        raise PrototxtError(f"line {line}: expected a value, found {text!r}")


def parse(text: str) -> Message:
    """Return a message in protobuf's text form: fields by name, each a list of all its values.

    Parameters
    ----------
    text : str

    Returns
    -------
    Message
        Numbers, booleans, text (enumerations too) and messages.

    Raises
    ------
    PrototxtError
        If the text isn't such a form, with the line.

    Examples
    --------
    >>> parse('name: "net" layer { top: "a" top: "b" }').fields
    {'name': ['net'], 'layer': [<Message top>]}
    """
    reader = _Reader(text)
    whole = Message("the file")
    open_ones: list[tuple[Message, str, int]] = [(whole, "", 0)]
    while True:
        message, closing, since = open_ones[-1]
        line = reader.line
        kind, word = reader.take()
        if kind == "end":
            if closing:
                raise PrototxtError(f"line {since}: this {message.name} is never closed")
            return whole
        if closing and word == closing and kind == "mark":
            open_ones.pop()
            reader.skip(";,")
            continue
        if kind != "word":
            raise PrototxtError(f"line {line}: expected the name of a field, found {word!r}")
        named = reader.skip(":")
        if reader.kind == "mark" and reader.text in _CLOSING:
            inner = Message(word)
            message.add(word, inner)
            open_ones.append((inner, _CLOSING[reader.take()[1]], line))
            continue
        if not named:
            raise PrototxtError(f"line {reader.line}: expected ':' or '{{' behind {word}, found {reader.text!r}")
        if reader.skip("["):
            while not reader.skip("]"):
                message.add(word, reader.scalar())
                if not reader.skip(",") and reader.text != "]":
                    raise PrototxtError(f"line {reader.line}: expected ',' or ']', found {reader.text!r}")
        else:
            message.add(word, reader.scalar())
        reader.skip(";,")


def _fits(rule: Message) -> bool:
    """Whether a rule of ``include`` or ``exclude`` holds for the phase TEST, level 0 and no stage."""
    return (rule.get("phase", "TEST") in ("TEST", 1) and rule.get("min_level", 0) <= 0 <= rule.get("max_level", 0)
            and not rule.all("stage"))


def _shown(layer: Message) -> bool:
    included, excluded = layer.all("include"), layer.all("exclude")
    return any(map(_fits, included)) if included else not any(map(_fits, excluded))


def _kind(layer: Message) -> str:
    """Return a layer's type, as later versions name it."""
    kind = str(layer.get("type", ""))
    if kind.isupper() and kind not in BUILDERS:
        kind = _OLD_NAMES.get(kind, "".join(part.capitalize() for part in kind.split("_")))
    return kind


def _declared(net: Message) -> Iterator[tuple[str, list[int]]]:
    """Yield blobs that the file itself feeds, with their extents: of `input` with `input_dim` or `input_shape`."""
    names, dims, shapes = net.all("input"), net.all("input_dim"), net.all("input_shape")
    for k, name in enumerate(names):
        extents = shapes[k].all("dim") if k < len(shapes) else dims[4 * k:4 * k + 4]
        yield name, extents


def _entry(name: str, extents: Sequence[int], given: Mapping[str, Any]) -> Layer:
    """Return the layer of a blob that enters; whatever the file says of the batch, it may have any extent."""
    found = given.get(name)
    if isinstance(found, Layer):
        return found
    shape = tuple(found) if found is not None else (None, *extents[1:]) if extents else None
    if shape is None:
        raise PrototxtError(f"the file doesn't say the extents of {name!r}; pass inputs={{{name!r}: (None, channels, rows, "
                            "columns)}")
    if any(n is not None and (not isinstance(n, int) or n < 1) for n in shape):
        raise PrototxtError(f"input {name!r}: extents must be positive, got {shape}")
    return InputLayer(shape, name=name)


def load(path: Any, inputs: Mapping[str, Any] | None = None) -> dict[str, Layer]:
    """Return the layers of a network that a .prototxt describes, as Caffe builds it for its phase TEST.

    Parameters
    ----------
    path : str or Path
        Both forms of layers are read: ``layers`` of version 1 and ``layer``.
    inputs : dict from str to Layer or tuple, optional
        Layers or shapes for blobs that enter; needed for those of data layers, whose shapes files don't hold.

    Returns
    -------
    dict from str to Layer
        By their names in the file, in its order, those that enter first; the last is the usual output. Losses and accuracies are
        left out. A layer is named as in the file, so that ``lasagne_like.copy_matching("net.caffemodel", network)`` finds its
        weights.

    Raises
    ------
    PrototxtError
        If the file isn't understood, has a layer or a field that can't be built, or shapes don't fit.

    Notes
    -----
    Filters aren't flipped, poolings round up and count padding as Caffe does, and initial values are those of fillers. The
    batch may have any extent.

    References
    ----------
    Jia et al. (2014), Caffe: convolutional architecture for fast feature embedding; its ``caffe.proto``.

    Examples
    --------
    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "net.prototxt")
    ...     _ = Path(file).write_text('input: "x" input_dim: [1, 3, 8, 8] '
    ...         'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 5 } }')
    ...     load(file)["fc"].output_shape
    (None, 5)
    """
    try:
        return _built(parse(Path(path).read_text()), dict(inputs or {}))
    except (PrototxtError, UnicodeDecodeError) as error:
        raise PrototxtError(f"{path}: {error}") from None


def _built(net: Message, given: dict[str, Any]) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    blobs: dict[str, Layer | None] = {}
    for name, extents in _declared(net):
        layers[name] = blobs[name] = _entry(name, extents, given)
    for layer in [*net.all("layers"), *net.all("layer")]:
        if not isinstance(layer, Message):
            raise PrototxtError(f"a layer should be a message, got {layer!r}")
        if _shown(layer):
            _add(layer, layers, blobs, given)
    unknown = given.keys() - blobs.keys()
    if unknown:
        raise PrototxtError(f"inputs: the file has no blob {', '.join(map(repr, sorted(unknown)))}")
    if not layers:
        raise PrototxtError("the file has no layers")
    return layers


def _add(layer: Message, layers: dict[str, Layer], blobs: dict[str, Layer | None], given: dict[str, Any]) -> None:
    """Build a layer into `layers`, and let its blobs be what it gives; None for one that nothing may read (a label)."""
    name, kind, tops, bottoms = str(layer.get("name", "")), _kind(layer), layer.all("top"), layer.all("bottom")
    who = f"layer {name!r} ({kind})"
    if layer.all("layer"):
        raise PrototxtError(f"{who}: the file is of Caffe's oldest form; bring it up to date with upgrade_net_proto_text")
    if kind in SOURCES:
        extents = SOURCES[kind](layer)
        for k, top in enumerate(tops):
            if k < len(extents) or top in given:
                layers[top] = blobs[top] = _entry(top, extents[k] if k < len(extents) else (), given)
            elif k == 0:
                _entry(top, (), given)  # raises
            else:
                blobs[top] = None
        return
    if kind in LEFT_OUT:
        blobs.update(dict.fromkeys(tops))
        return
    if kind not in BUILDERS:
        raise PrototxtError(f"{who}: there is no layer for this type; there are {', '.join(sorted(BUILDERS))}")
    feeds: list[Any] = []
    for bottom in bottoms:
        if blobs.get(bottom) is None:
            raise PrototxtError(f"{who}: bottom {bottom!r} is " + ("no blob of a layer before" if bottom not in blobs else
                                                                   "a label or a loss, which aren't built"))
        feeds.append(blobs[bottom])
    own, builder = BUILDERS[kind]
    odd = layer.fields.keys() - _IDLE - {own}
    if odd:
        raise PrototxtError(f"{who}: field {sorted(odd)[0]} isn't understood")
    made = _made(builder, layer.get(own, Message(own)) if own else Message(""), feeds, name, who)
    if name in layers:
        raise PrototxtError(f"{who}: there are two layers of this name")
    layers[name] = made
    blobs.update(dict.fromkeys(tops, made))


def _made(builder: Callable[..., Layer], param: Any, feeds: list[Any], name: str, who: str) -> Layer:
    if not isinstance(param, Message):
        raise PrototxtError(f"{who}: its parameters should be a message, got {param!r}")
    if not feeds:
        raise PrototxtError(f"{who}: it has no bottom")
    try:
        made = builder(param, feeds, name)
        param.complete()
        if any(n is not None and n < 1 for n in made.output_shape):
            raise PrototxtError(f"nothing is left of input shape {feeds[0].output_shape}")
        return made
    except (ValueError, TypeError, NotImplementedError, ZeroDivisionError) as error:
        raise PrototxtError(f"{who}: {error}") from None


__all__ = ["PrototxtError", "load", "parse"]
