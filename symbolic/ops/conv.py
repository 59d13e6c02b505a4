"""Convolutions over any number of axes: three ops, each bilinear, each the derivative of the other two.

With images x, filters w and results y, all sums go over ``x[b, c, o*stride + tap(f) - pad] * w[k, c, f] * y[b, k, o]`` without
one of the three: :class:`AbstractConv` leaves out y, the gradients leave out x and w. What is padding counts as zeros, which
are multiplied like any other element.
"""
from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.batching import Batch
from symbolic.config import config
from symbolic.graph import Apply, Constant, Op, Variable, as_tensor_variable
from symbolic.ops.conv_batches import known_extent, merged, one, sizes, split, taken_out
from symbolic.ops.conv_geometry import Windows, axes, border_of, reduce_axes, window_integers
from symbolic.ops.conv_numpy import Walk, working
from symbolic.ops.elementwise import match_dtype
from symbolic.ops.extents import as_extents, extents, specify_shape
from symbolic.ops.functions import conj
from symbolic.ops.region import extent_of
from symbolic.scalar import Check, Expr, IndexLambda, axis, binary, cast, const, load, reduce_axis, select
from symbolic.template import Template
from symbolic.types import FLOATS, TensorType, is_complex, is_discrete, promote


class BaseAbstractConv(Op):
    """What the three ops share: the geometry, and what extents must be.

    Parameters
    ----------
    convdim : int
        Number of axes that are convolved.
    imshp, kshp : tuple, optional
        What is known of the shapes of images and filters, with None for an extent that isn't; checked when run.
    border_mode : {'valid', 'full', 'half'}, int, or tuple of int or pairs of int
    subsample, filter_dilation : int or tuple of int
        Distance of windows; of a filter's elements within them.
    filter_flip : bool
        Whether filters are turned round.
    num_groups : int
        Channels are in as many groups; filters see one each.
    unshared : bool
        Whether each position has filters of its own, on axes behind the number of the filter.
    known : tuple, optional
        For gradients: what is known of the extents of the result along its last axes, which scalar inputs tell.

    Attributes
    ----------
    winograd : int
        ``config.conv_winograd`` when the op was made.
    """

    __props__ = ("convdim", "border_mode", "subsample", "filter_flip", "filter_dilation", "num_groups", "unshared", "known",
                 "winograd")
    #: Number of inputs before the scalars that tell extents.
    operands = 2

    def __init__(self, convdim: int, imshp: Any = None, kshp: Any = None, border_mode: Any = "valid", subsample: Any = None,
                 filter_flip: bool = True, filter_dilation: Any = None, num_groups: int = 1, unshared: bool = False,
                 known: Sequence[int | None] = ()) -> None:
        self.convdim = convdim
        self.imshp, self.kshp = imshp, kshp
        self.border_mode = border_of(border_mode, convdim, self.name)
        self.subsample = window_integers(1 if subsample is None else subsample, convdim, "subsample", self.name)
        self.filter_flip = bool(filter_flip)
        self.filter_dilation = window_integers(1 if filter_dilation is None else filter_dilation, convdim, "filter_dilation",
                                               self.name)
        self.num_groups = window_integers(num_groups, 1, "num_groups", self.name)[0]
        self.unshared = bool(unshared)
        self.known = tuple(known)
        self.winograd = config.conv_winograd

    @property
    def name(self) -> str:
        return f"conv{self.convdim}d"

    def like(self, kind: type, groups: int | None = None, known: Sequence[int | None] = ()) -> Any:
        """Return the op of the same geometry of another kind: 0 the convolution, 1 and 2 its gradients."""
        op: Any = object.__new__(FAMILY.get((kind, self.convdim), kind))
        BaseAbstractConv.__init__(op, self.convdim, None, None, self.border_mode, self.subsample, self.filter_flip,
                                  self.filter_dilation, self.num_groups if groups is None else groups, self.unshared, known)
        op.winograd = self.winograd
        return op

    def windows_of(self, image: Sequence[Expr], filter: Sequence[Expr]) -> Windows:
        """Return the geometry for images and filters of such extents."""
        return Windows(tuple(image), tuple(filter), self.border_mode, self.subsample, self.filter_dilation, self.filter_flip)

    def _asked(self) -> tuple[Expr, ...]:
        """Return the extents that a gradient's scalar inputs tell."""
        return tuple(load(self.operands + a, (), "int64") if n is None else const(n, "int64") for a, n in enumerate(self.known))

    def _image(self, k: int, t: TensorType) -> tuple[Expr, ...]:
        return tuple(extent_of(k, t, 2 + a) for a in range(self.convdim))

    def _filter(self, k: int, t: TensorType) -> tuple[Expr, ...]:
        return tuple(extent_of(k, t, t.ndim - self.convdim + a) for a in range(self.convdim))

    @property
    def filter_ndim(self) -> int:
        """Rank of filters."""
        return 2 + self.convdim * (2 if self.unshared else 1)

    def _ranks(self, **given: tuple[TensorType, int]) -> None:
        for what, (t, want) in given.items():
            if t.ndim != want:
                more = " (filters of their own for each position)" if want == self.filter_ndim != 2 + self.convdim else ""
                raise errors.RankError(f"expected {what} of {want} dimensions{more}, got {t.ndim}\nhint: images are (batch, "
                                       f"channels, {self.convdim} axes), filters (filters, channels, {self.convdim} axes)")
            if t.dtype == "bool":
                raise errors.DTypeError(f"expected numbers, {what} are bools\nhint: cast them, T.cast(x, 'int8') or to floats")

    def _divisible(self, what: str, n: Expr) -> Check:
        return Check(binary("eq", n % self.num_groups, const(0, "int64")), f"{{0}} {what} can't be shared out among num_groups="
                     f"{self.num_groups}", detail=(n,))

    def _positions(self, w: Windows, k: int, t: TensorType, first: int, what: str) -> list[Check]:
        """Return the checks that axes of input `k` from `first` on are as long as there are windows."""
        found = []
        for a in range(self.convdim):
            own = extent_of(k, t, first + a)
            text = (f"there are {{1}} windows along axis {a} of the image, but {what} have extent {{0}} there (image {{2}}, "
                    "filter {3})")
            found.append(Check(binary("eq", own, w.output(a)), text, detail=(own, w.output(a), w.image[a], w.filter[a])))
        return found

    def _conditions(self, *types: TensorType) -> list[Check]:
        raise NotImplementedError

    def _verified(self, *types: TensorType) -> None:
        for c in self._conditions(*types):
            if c.condition.op == "const" and not c.condition.arg:
                raise c.error(c.message.format(*c.detail))

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        return tuple(c for c in self._conditions(*types) if c.condition.op != "const")

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        for t in types[self.operands:]:
            if t.ndim != 0 or not is_discrete(t.dtype):
                raise errors.DTypeError(f"extents of the result must be integer scalars, got {t}")
        self._verified(*types)
        shape, = self.infer_shape(*types)
        return (TensorType(promote(types[0].dtype, types[1].dtype), tuple(e.arg if e.op == "const" else None for e in shape)),)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k < self.operands] for k in range(len(node.inputs))]

    def _shaped(self, x: Any, shape: Sequence[Any] | None) -> Variable:
        x = as_tensor_variable(x)
        known = None if shape is None else [known_extent(n) for n in shape]
        return x if known is None or all(n is None for n in known) or len(known) != x.ndim else specify_shape(x, known)

    def _with_shape(self, a: Variable, b: Variable, shape: Any) -> Apply:
        """Apply a gradient, whose extents `shape` gives, as one vector or as scalars."""
        given = [as_extents(s, self.name, self.convdim) for s in shape]
        entries = [e for part in given for e in part]
        if len(entries) != self.convdim:
            raise errors.ShapeError(
                f"{self.name}: the result's last {self.convdim} extents must be given, got {len(entries)} of them: several "
                "shapes have the same windows")
        known = self.known or [int(e.data) if isinstance(e, Constant) else None for e in entries]
        return Op.make_node(self.like(type(self), known=known), a, b, *entries)

    def _template(self, kind: str, types: Sequence[TensorType], made: int | None, size: Sequence[int | None]) -> Template | None:
        """Return the C of an op for floats of one dtype, of which `made` results and a filter's `size` may be known."""
        dtype = types[0].dtype
        if self.unshared or dtype not in FLOATS or types[1].dtype != dtype:
            return None
        own = None if made is None else made // self.num_groups if kind != "channels" else made
        # whether results of a group fill vectors, on every machine: then there is no code for the other case
        fills = "maybe" if own is None or 1 < own < 20 else "yes" if own > 1 else "no"
        tiles = self.winograd if dtype == "float32" and all(n in (3, None) for n in size) else 0
        fields = (("kind", kind), ("n", self.convdim), ("dtype", dtype), ("border", self.border_mode), ("stride", self.subsample),
                  ("dilation", self.filter_dilation), ("flip", self.filter_flip), ("fills", fills))
        if kind == "filters":  # how many groups there are is seen from the operands
            return Template("conv", (*fields, ("winograd", tiles)))
        if kind == "channels":
            return Template("conv", (*fields, ("groups", self.num_groups), ("winograd", tiles)))
        return Template("conv_weights", (*fields, ("groups", self.num_groups)))

    def _product(self, x: Expr, y: Expr, dtype: str) -> Expr:
        work = "float32" if dtype == "float16" else dtype  # float16 is for storage
        return cast(x, work) * cast(y, work)

    def _group_of(self, k: Expr, filters: Expr, channels: Expr, c: Expr) -> Expr:
        """Return the channel of the image that is channel `c` of filter `k`'s group."""
        return c if self.num_groups == 1 else k // (filters // self.num_groups) * channels + c

    def _term(self, v: Variable | None, like: Variable) -> Variable | None:
        return None if v is None or is_discrete(like.dtype) else match_dtype(v, like.dtype)


def _extent(n: Any) -> Any:
    return int(n.data) if isinstance(n, Constant) else n


def _conj(x: Variable) -> Variable:
    return conj(x) if is_complex(x.dtype) else x


def _zero_unless(condition: Expr | None, x: Expr) -> Expr:
    return x if condition is None else select(condition, x, const(0, x.dtype))


class AbstractConv(BaseAbstractConv):
    """Convolution of images x with filters w. Inputs x (batch, channels, ...) and w (filters, channels of a group, ...)."""

    def make_node(self, *inputs: Any) -> Apply:
        x, w = (as_tensor_variable(v) for v in inputs)
        return super().make_node(self._shaped(x, self.imshp), self._shaped(w, self.kshp))

    def windows(self, *types: TensorType) -> Windows:
        """Return the geometry for operands of `types`."""
        return self.windows_of(self._image(0, types[0]), self._filter(1, types[1]))

    def _conditions(self, *types: TensorType) -> list[Check]:
        x, w = types
        self._ranks(images=(x, 2 + self.convdim), filters=(w, self.filter_ndim))
        windows, filters = self.windows(*types), extent_of(1, w, 0)
        channels, each = extent_of(0, x, 1), extent_of(1, w, w.ndim - self.convdim - 1)
        found = [Check(binary("eq", channels, each * self.num_groups), "images have {0} channels, but filters take {1}"
                       + (f" in each of num_groups={self.num_groups}" if self.num_groups > 1 else ""), detail=(channels, each)),
                 self._divisible("filters", filters), *windows.checks()]
        return found + (self._positions(windows, 1, w, 1, "unshared filters") if self.unshared else [])

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        x, w = types
        windows = self.windows(*types)
        return ((extent_of(0, x, 0), extent_of(1, w, 0), *map(windows.output, range(self.convdim))),)

    def compute(self, *types: TensorType) -> IndexLambda:
        x, w = types
        n, windows = self.convdim, self.windows(*types)
        outputs, taps, k, c = axes(2, n), reduce_axes(1, n), axis(1), reduce_axis(0)
        channels = extent_of(1, w, w.ndim - n - 1)
        at, inside = windows.image_at(outputs, taps)
        image = load(0, (axis(0), self._group_of(k, extent_of(1, w, 0), channels, c), *at), x.dtype)
        filter = load(1, (k, *(outputs if self.unshared else ()), c, *taps), w.dtype)
        body = self._product(_zero_unless(inside, image), filter, promote(x.dtype, w.dtype))
        return IndexLambda(body, (channels, *windows.filter))

    def template(self, *types: TensorType) -> Template | None:
        return self._template("filters", types, types[1].shape[0], types[1].shape[2:])

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x, w = working(arrays[:2])
        it = Walk(self, x.shape, w.shape)
        padded = it.padded(x)
        y = np.zeros((x.shape[0], it.groups, it.filters, prod(it.outputs)), x.dtype)
        for tap, view in it.taps():
            y += it.times(it.filter(w, tap), it.image(padded, view), "filters")
        return (y.reshape(x.shape[0], w.shape[0], *it.outputs),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        (x, w), g = inputs, gouts[0]
        if g is None:
            return [None, None]
        return [self._term(_grad_inputs(self, _conj(w), g, x), x), self._term(_grad_weights(self, _conj(x), g, w), w)]

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
        if self.unshared:
            return None
        (x, w), groups = inputs, self.num_groups
        if all(flags):
            many = x.type.shape[0] or w.type.shape[0]
            if many is None:
                return None
            op = self.like(AbstractConv, groups * many)
            return one(taken_out(op(merged(x, 2, 1), merged(w, 1, 1)), 1, many, 1))
        if flags[0]:
            return one(split(self(merged(x, 1, 1), w), 0, sizes(x)[0]))
        return one(taken_out(self(x, merged(w, 1, groups)), 1, sizes(w)[0], groups))


class AbstractConv_gradInputs(BaseAbstractConv):
    """Gradient of a convolution in its images. Inputs: filters w, cotangent y of the result, perhaps extents of the images."""

    @property
    def name(self) -> str:
        return f"conv{self.convdim}d_grad_wrt_inputs"

    def make_node(self, kern: Any, topgrad: Any, *shape: Any,  # type: ignore[override]
                  add_assert_shape: bool = True) -> Apply:
        if self.imshp is not None and not shape and None not in self.imshp[2:]:
            shape = (list(map(known_extent, self.imshp[2:])),)
        return self._with_shape(self._shaped(kern, self.kshp), as_tensor_variable(topgrad), shape)

    def windows(self, *types: TensorType) -> Windows:
        """Return the geometry for operands of `types`."""
        return self.windows_of(self._asked(), self._filter(0, types[0]))

    def _conditions(self, *types: TensorType) -> list[Check]:
        w, y = types[:2]
        self._ranks(filters=(w, self.filter_ndim), cotangents=(y, 2 + self.convdim))
        windows, filters, own = self.windows(*types), extent_of(0, w, 0), extent_of(1, y, 1)
        found = [Check(binary("eq", filters, own), "there are {0} filters, but cotangents have {1} channels",
                       detail=(filters, own)),
                 self._divisible("filters", filters), *windows.checks(), *self._positions(windows, 1, y, 2, "cotangents")]
        return found + (self._positions(windows, 0, w, 1, "unshared filters") if self.unshared else [])

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        w, y = types[:2]
        return ((extent_of(1, y, 0), extent_of(0, w, w.ndim - self.convdim - 1) * self.num_groups, *self._asked()),)

    def compute(self, *types: TensorType) -> IndexLambda:
        w, y = types[:2]
        n, windows = self.convdim, self.windows(*types)
        image, taps, c, k = axes(2, n), reduce_axes(1, n), axis(1), reduce_axis(0)
        filters, channels = extent_of(0, w, 0) // self.num_groups, extent_of(0, w, w.ndim - n - 1)
        if self.num_groups > 1:
            k, c = c // channels * filters + k, c % channels
        at, steps, inside = windows.output_at(image, taps)
        filter = load(0, (k, *(at if self.unshared else ()), c, *taps), w.dtype)
        term = self._product(filter, _zero_unless(inside, load(1, (axis(0), k, *at), y.dtype)), promote(w.dtype, y.dtype))
        return IndexLambda(_zero_unless(steps, term), (filters, *windows.filter))

    def template(self, *types: TensorType) -> Template | None:
        return self._template("channels", types, types[0].shape[1], types[0].shape[2:])

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        w, y = working(arrays[:2])
        shape = (y.shape[0], w.shape[-self.convdim - 1] * self.num_groups, *map(int, arrays[2:]))
        it = Walk(self, shape, w.shape)
        y = y.reshape(y.shape[0], it.groups, it.filters, prod(it.outputs))
        padded = it.padded(np.zeros(shape, y.dtype))
        for tap, view in it.taps():
            padded[view] += it.times(it.filter(w, tap), y, "channels").reshape(padded[view].shape)
        return (it.cropped(padded).reshape(shape),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        w, y, *rest = inputs
        g = gouts[0]
        if g is None:
            return [None] * len(inputs)
        return [self._term(_grad_weights(self, g, _conj(y), w), w), self._term(self.like(AbstractConv)(g, _conj(w)), y),
                *(None for _ in rest)]

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
        if self.unshared or any(flags[2:]):
            return None
        (w, y, *rest), groups = inputs, self.num_groups
        if flags[0] and flags[1]:
            many = w.type.shape[0] or y.type.shape[0]
            if many is None:
                return None
            op = self.like(AbstractConv_gradInputs, groups * many, self.known)
            return one(taken_out(Op.make_node(op, merged(w, 1, 1), merged(y, 2, 1), *rest).outputs[0], 1, many, 1))
        if flags[1]:
            return one(split(Op.make_node(self, w, merged(y, 1, 1), *rest).outputs[0], 0, sizes(y)[0]))
        return one(taken_out(Op.make_node(self, merged(w, 2, 1), y, *rest).outputs[0], 1, sizes(w)[0], groups))


class AbstractConv_gradWeights(BaseAbstractConv):
    """Gradient of a convolution in its filters. Inputs: images x, cotangent y of the result, perhaps extents of the filters."""

    @property
    def name(self) -> str:
        return f"conv{self.convdim}d_grad_wrt_weights"

    def make_node(self, img: Any, topgrad: Any, *shape: Any,  # type: ignore[override]
                  add_assert_shape: bool = True) -> Apply:
        if self.kshp is not None and not shape and None not in self.kshp[-self.convdim:]:
            shape = (list(map(known_extent, self.kshp[-self.convdim:])),)
        return self._with_shape(self._shaped(img, self.imshp), as_tensor_variable(topgrad), shape)

    def windows(self, *types: TensorType) -> Windows:
        """Return the geometry for operands of `types`."""
        return self.windows_of(self._image(0, types[0]), self._asked())

    def _conditions(self, *types: TensorType) -> list[Check]:
        x, y = types[:2]
        self._ranks(images=(x, 2 + self.convdim), cotangents=(y, 2 + self.convdim))
        windows, batch, own = self.windows(*types), extent_of(0, x, 0), extent_of(1, y, 0)
        return [Check(binary("eq", batch, own), "there are {0} images, but cotangents for {1}", detail=(batch, own)),
                self._divisible("channels of the images", extent_of(0, x, 1)), self._divisible("filters", extent_of(1, y, 1)),
                *windows.checks(), *self._positions(windows, 1, y, 2, "cotangents")]

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        x, y = types[:2]
        positions = tuple(extent_of(1, y, 2 + a) for a in range(self.convdim)) if self.unshared else ()
        return ((extent_of(1, y, 1), *positions, extent_of(0, x, 1) // self.num_groups, *self._asked()),)

    def compute(self, *types: TensorType) -> IndexLambda:
        x, y = types[:2]
        n, windows = self.convdim, self.windows(*types)
        k, b, first = axis(0), reduce_axis(0), 1 + (n if self.unshared else 0)
        outputs = axes(1, n) if self.unshared else reduce_axes(1, n)
        c, taps = axis(first), axes(first + 1, n)
        channels = extent_of(0, x, 1) // self.num_groups
        at, inside = windows.image_at(outputs, taps)
        image = load(0, (b, self._group_of(k, extent_of(1, y, 1), channels, c), *at), x.dtype)
        body = self._product(_zero_unless(inside, image), load(1, (b, k, *outputs), y.dtype), promote(x.dtype, y.dtype))
        reduced = () if self.unshared else tuple(extent_of(1, y, 2 + a) for a in range(n))
        return IndexLambda(body, (extent_of(0, x, 0), *reduced))

    def template(self, *types: TensorType) -> Template | None:
        return self._template("weights", types, types[1].shape[1], self.known)

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        x, y = working(arrays[:2])
        filter = tuple(map(int, arrays[2:]))
        positions = y.shape[2:] if self.unshared else ()
        shape = (y.shape[1], *positions, x.shape[1] // self.num_groups, *filter)
        it = Walk(self, x.shape, shape)
        padded, y = it.padded(x), y.reshape(y.shape[0], it.groups, it.filters, prod(it.outputs))
        w = np.zeros((it.groups, it.filters, *((prod(positions),) if self.unshared else ()), *shape[-self.convdim - 1:]), x.dtype)
        for tap, view in it.taps():
            w[(..., *tap)] = it.times(y, it.image(padded, view), "weights")
        return (w.reshape(shape),)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        x, y, *rest = inputs
        g = gouts[0]
        if g is None:
            return [None] * len(inputs)
        return [self._term(_grad_inputs(self, g, _conj(y), x), x), self._term(self.like(AbstractConv)(_conj(x), g), y),
                *(None for _ in rest)]

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Batch | None:
        if self.unshared or any(flags[2:]):
            return None
        (x, y, *rest), groups = inputs, self.num_groups
        if flags[0] and flags[1]:
            many = x.type.shape[0] or y.type.shape[0]
            if many is None:
                return None
            op = self.like(AbstractConv_gradWeights, groups * many, self.known)
            return one(split(Op.make_node(op, merged(x, 2, 1), merged(y, 2, 1), *rest).outputs[0], 0, many))
        if flags[0]:  # channels of all images, group by group
            return one(taken_out(Op.make_node(self, merged(x, 2, groups), y, *rest).outputs[0], 1, sizes(x)[0], 1))
        return one(taken_out(Op.make_node(self, x, merged(y, 2, groups), *rest).outputs[0], 0, sizes(y)[0], groups))


# ---------------------------------------------------------------------------------- Theano's names


def _ranked(kind: type, n: int, name: str) -> type:
    """Return the class of a kind for `n` axes, with Theano's name and order of arguments."""

    def __init__(self: Any, imshp: Any = None, kshp: Any = None, border_mode: Any = "valid", subsample: Any = None,
                 filter_flip: bool = True, filter_dilation: Any = None, num_groups: int = 1, unshared: bool = False) -> None:
        kind.__init__(self, n, imshp, kshp, border_mode, subsample, filter_flip, filter_dilation,  # type: ignore[misc]
                      num_groups, unshared)

    doc = f"{(kind.__doc__ or '').splitlines()[0]} Over {n} axes."
    return type(name, (kind,), {"__init__": __init__, "__doc__": doc, "__module__": __name__, "__qualname__": name})


AbstractConv2d = _ranked(AbstractConv, 2, "AbstractConv2d")
AbstractConv3d = _ranked(AbstractConv, 3, "AbstractConv3d")
AbstractConv2d_gradInputs = _ranked(AbstractConv_gradInputs, 2, "AbstractConv2d_gradInputs")
AbstractConv3d_gradInputs = _ranked(AbstractConv_gradInputs, 3, "AbstractConv3d_gradInputs")
AbstractConv2d_gradWeights = _ranked(AbstractConv_gradWeights, 2, "AbstractConv2d_gradWeights")
AbstractConv3d_gradWeights = _ranked(AbstractConv_gradWeights, 3, "AbstractConv3d_gradWeights")

#: Of a kind and a number of axes, the class with a name of its own.
FAMILY: dict[tuple[type, int], type] = {
    (AbstractConv, 2): AbstractConv2d, (AbstractConv, 3): AbstractConv3d,
    (AbstractConv_gradInputs, 2): AbstractConv2d_gradInputs, (AbstractConv_gradInputs, 3): AbstractConv3d_gradInputs,
    (AbstractConv_gradWeights, 2): AbstractConv2d_gradWeights, (AbstractConv_gradWeights, 3): AbstractConv3d_gradWeights,
}


def _grad_inputs(op: BaseAbstractConv, w: Variable, g: Variable, x: Variable) -> Variable:
    """Return the gradient of shape of `x`."""
    return op.like(AbstractConv_gradInputs)(w, g, extents(x)[2:])


def _grad_weights(op: BaseAbstractConv, x: Variable, g: Variable, w: Variable) -> Variable:
    """Return the gradient of the shape of `w`."""
    return op.like(AbstractConv_gradWeights)(x, g, extents(w)[-op.convdim:])
