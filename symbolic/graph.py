"""The expression graph users build: Variables and Applies, made by Ops. Pure and never rewritten in place."""
from __future__ import annotations

import types as pytypes
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic import errors
from symbolic.config import config
from symbolic.scalar import Check, IndexLambda, Scatter
from symbolic.source import SourceLoc, caller, rewriting
from symbolic.types import TensorType, is_masked, promote, weak_dtype


class Variable:
    """A symbolic array.

    Attributes
    ----------
    type : TensorType
    owner : Apply or None
        The application that computes it; None for inputs, constants and shared variables.
    index : int or None
        Which output of `owner` it is.
    name : str or None
    tag : namespace
        A free scratchpad for users.
    loc : SourceLoc or None
        The user's line that made it.

    Notes
    -----
    Equality is identity; ``T.eq(x, y)`` compares elements.
    """

    __slots__ = ("__dict__", "__weakref__", "_tag", "index", "loc", "name", "owner", "type")
    __array_priority__ = 1000

    if TYPE_CHECKING:  # installed from tables by ops.operators; checkers can't see that
        __add__: Any
        __radd__: Any
        __sub__: Any
        __rsub__: Any
        __mul__: Any
        __rmul__: Any
        __truediv__: Any
        __rtruediv__: Any
        __floordiv__: Any
        __rfloordiv__: Any
        __mod__: Any
        __rmod__: Any
        __pow__: Any
        __rpow__: Any
        __matmul__: Any
        __rmatmul__: Any
        __and__: Any
        __rand__: Any
        __or__: Any
        __ror__: Any
        __xor__: Any
        __rxor__: Any
        __lt__: Any
        __le__: Any
        __gt__: Any
        __ge__: Any
        __getitem__: Any
        __neg__: Any
        __abs__: Any
        __invert__: Any
        astype: Any

    def __init__(self, type: TensorType, owner: Apply | None = None, index: int | None = None,
                 name: str | None = None, loc: SourceLoc | None = None) -> None:
        self.type = type
        self.owner = owner
        self.index = index
        self.name = name
        self.loc = loc if loc is not None or owner is not None else caller()
        self._tag: Any = None

    @property
    def tag(self) -> Any:
        """Free scratchpad for users."""
        if self._tag is None:
            self._tag = pytypes.SimpleNamespace()
        return self._tag

    @property
    def dtype(self) -> str:
        """Element type."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.type.shape)

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """Theano's pattern: True where the extent is known to be 1."""
        return self.type.broadcastable

    def clone(self) -> Variable:
        """Return a new input variable of the same type and name."""
        return Variable(self.type, name=self.name, loc=self.loc)

    def get_parents(self) -> list[Apply]:
        """Return the application that computes this, in a list."""
        return [] if self.owner is None else [self.owner]

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        if self.owner is not None:
            suffix = f".{self.index}" if len(self.owner.outputs) > 1 else ""
            return f"{self.owner.op}{suffix}"
        return f"<{self.type}>"

    def __repr__(self) -> str:
        if config.print_test_value and self._tag is not None and hasattr(self._tag, "test_value"):
            return f"{self}\n{self._tag.test_value!r}"
        return str(self)

    #: whether variables that aren't comparisons are true, as Theano's are, so that ``if bias:`` asks whether there is one
    true_as_in_theano = False

    def __bool__(self) -> bool:
        if self.true_as_in_theano and getattr(self.type, "dtype", None) != "bool":
            return True
        raise TypeError(
            f"{self} is symbolic: it has no truth value until the function runs. Use T.switch(condition, a, b) "
            f"to choose elementwise, T.and_/T.or_ to combine conditions, `is None` to test for absence")

    def __len__(self) -> int:
        return self._length("len")

    def __iter__(self) -> Any:
        return (self[k] for k in range(self._length("iteration")))

    def _length(self, what: str) -> int:
        """Return the extent of the first axis, which must be known."""
        if self.ndim == 0:
            raise TypeError(f"{what}: {describe(self)} is a scalar, which has no length")
        n = self.type.shape[0]
        if n is None:
            raise TypeError(errors.message(
                what, "the length is known only when the function runs", (describe(self),), caller(),
                "x.shape[0] is the length as a variable; scan and map go over x; where the builtin sum, max or min was called, "
                "use T.sum, T.max, T.min; T.specify_shape states a length"))
        return n


class Constant(Variable):
    """A variable with a fixed value."""

    __slots__ = ("data",)

    def __init__(self, type: TensorType, data: np.ndarray, name: str | None = None) -> None:
        super().__init__(type, name=name)
        self.data = data

    def clone(self) -> Constant:
        """Return this: a constant has no identity beyond its value."""
        return self

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        if self.data.size <= 4:
            return str(self.data.tolist())
        return f"<constant {self.type}>"


class Apply:
    """One application of an op to inputs."""

    __slots__ = ("__weakref__", "_tag", "inputs", "loc", "op", "outputs")

    def __init__(self, op: Op, inputs: Sequence[Variable], outputs: Sequence[TensorType | Variable],
                 loc: SourceLoc | None = None) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.loc = loc
        self._tag: Any = None
        if outputs and isinstance(outputs[0], Variable):
            self._adopt(outputs)  # type: ignore[arg-type]
        else:
            self.outputs = tuple(Variable(t, self, k, loc=loc) for k, t in enumerate(outputs))  # type: ignore[arg-type]

    def _adopt(self, outputs: Sequence[Variable]) -> None:
        """Take variables as outputs, as Theano's ops make them: ``x.type()`` says no more of extents than which are 1."""
        for k, v in enumerate([*self.inputs, *outputs]):
            if not isinstance(v, Variable):
                raise TypeError(f"Apply({self.op}, inputs, outputs): item {k} is {v!r} ({type(v).__name__}), which isn't a "
                                "variable; T.as_tensor_variable makes one")
        for k, v in enumerate(outputs):
            if v.owner is not None or type(v) is not Variable:
                raise errors.GraphError(f"Apply({self.op}, inputs, outputs): output {k}, {describe(v)}, is something else "
                                        "already; make a new variable for it, as with x.type()")
            v.owner, v.index = self, k
            v.type = v.type.clone(shape=tuple(1 if n == 1 else None for n in v.type.shape))
        self.outputs = tuple(outputs)
        self._place(self.loc or caller())

    def _place(self, loc: SourceLoc | None) -> None:
        self.loc = loc
        for v in self.outputs:
            v.loc = loc

    @property
    def tag(self) -> Any:
        """Free scratchpad for users."""
        if self._tag is None:
            self._tag = pytypes.SimpleNamespace()
        return self._tag

    @property
    def nin(self) -> int:
        """Number of inputs."""
        return len(self.inputs)

    @property
    def nout(self) -> int:
        """Number of outputs."""
        return len(self.outputs)

    def clone_with_new_inputs(self, inputs: Sequence[Variable], strict: bool = True) -> Apply:
        """Return the same op applied to other inputs; types are inferred anew if theirs differ."""
        if len(inputs) == len(self.inputs) and all(a.type == b.type for a, b in zip(inputs, self.inputs, strict=True)):
            return Apply(self.op, inputs, [o.type for o in self.outputs], self.loc)
        types = self.op.infer_type(*(v.type for v in inputs))
        if strict and any(t.dtype != o.dtype or t.ndim != o.ndim for t, o in zip(types, self.outputs, strict=True)):
            raise errors.GraphError(f"{self.op}: the new inputs change the output types to "
                                    f"{', '.join(map(str, types))}")
        return Apply(self.op, inputs, types, self.loc)

    def __repr__(self) -> str:
        return f"{self.op}({', '.join(map(str, self.inputs))})"


class Op:
    """An operation: a value, equal to another of its class with equal ``__props__``.

    Subclasses give ``infer_type`` and ``infer_shape``, say what they compute in one of the ways below, and
    give ``pullback``. Extents and conditions are scalar expressions over ``dim(k, axis)``, the extent of
    input k, and ``load(k, ())``, the value of a 0-d integer input.
    """

    __props__: tuple[str, ...] = ()
    #: Input whose memory the only output shares, in the same order (reshape); None for other ops.
    view_of: int | None = None
    #: Input to which the (only) result adds, whatever it is: f(x, y) = x + f(0, y); None for other ops.
    adds_to: int | None = None
    #: Whether a cotangent of an operand is zero where the operand doesn't count: what is behind it may be nan there.
    hides: bool = False
    #: Whether operands beside that one are there only so that they are computed before.
    waits: bool = False
    #: Name of the library routine that computes it (``"gemm"``), which `lower` knows how to call.
    extern: str | None = None
    #: Whether inlining into every reader is free: indices change, no arithmetic.
    is_index_map: bool = False
    #: How many results an op chooses, which computes nothing: operands are the condition, these, and those if it is false.
    arms: int | None = None
    #: Whether the class is written in Theano's form: `make_node`, `perform`, `infer_shape(node, shapes)`. Found by itself.
    theano_form: bool = False
    #: Which of several results a call returns; None for all.
    default_output: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for adapt in ADAPT:
            adapt(cls)

    @property
    def name(self) -> str:
        """Name shown to users."""
        return type(self).__name__.lower()

    @property
    def stable(self) -> bool:
        """Whether its meaning changes only with this package, so that a compiled function may be found by its name."""
        return type(self).__module__.partition(".")[0] == "symbolic"

    def props(self) -> tuple:
        """Return the values of ``__props__``."""
        return tuple(getattr(self, p) for p in self.__props__)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.props() == other.props()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), self.props()))

    def __str__(self) -> str:
        shown = [f"{p}={getattr(self, p)!r}" for p in self.__props__]
        return f"{self.name}{{{', '.join(shown)}}}" if shown else self.name

    def __repr__(self) -> str:
        return str(self)

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        """Return the types of the outputs, or raise what is wrong with the inputs."""
        raise NotImplementedError(f"{self}: infer_type isn't defined")

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Any, ...], ...]:
        """Return the extents of the outputs; None for those that are known only once the result was computed.

        Only an op of Python code alone may do that; it needn't give any, nor this method.
        """
        if not self.opaque:
            raise NotImplementedError(f"{self}: infer_shape isn't defined")
        return tuple((None,) * t.ndim for t in self.infer_type(*types))

    def checks(self, *types: TensorType) -> tuple[Check, ...]:
        """Return what must hold at run time."""
        return ()

    def expand(self, *inputs: Variable) -> Sequence[Variable] | None:
        """Return the outputs as a composition of simpler ops; capture puts it in this op's place.

        An op is kept whole in the user's graph so that it has a stable derivative of its own; the compiler
        sees only its composition. None: it stands for itself.
        """
        return None

    def compute(self, *types: TensorType) -> IndexLambda | Scatter | None:
        """Return what the (single) output is, once for every target; None if it can't be said so."""
        return None

    def loop(self, *types: TensorType) -> Any:
        """Return the :class:`symbolic.loop.Loop` that it is for operands of `types`; None if it is none."""
        return None

    def branch(self, *types: TensorType) -> Any:
        """Return the :class:`symbolic.branch.Arms` that it computes one of, for operands of `types`; None if it is none."""
        return None

    def template(self, *types: TensorType) -> Any:
        """Return the :class:`symbolic.template.Template` that computes it for operands of `types`; None if it has none."""
        return None

    def batch(self, node: Apply, inputs: Sequence[Variable], flags: Sequence[bool]) -> Any:
        """Return the results for `inputs`, of which those flagged have one more axis in front, and which results have it.

        None: it is found from the meaning of the op (see :mod:`symbolic.batching`).
        """
        return None

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...] | None:
        """Compute with NumPy; None to interpret ``compute``."""
        return None

    def python(self, node: Apply, arrays: Sequence[np.ndarray]) -> Any:
        """Compute an application in Python: what runs where there is nothing else, in compiled programs as well.

        Arrays are not to be written to. What is returned must have the dtypes and ranks of the node's outputs.
        """
        return self.reference(*arrays)

    @property
    def has_python(self) -> bool:
        """Whether there is Python code that computes it."""
        return type(self).reference is not Op.reference or type(self).python is not Op.python

    @property
    def opaque(self) -> bool:
        """Whether nothing but Python code says what it computes."""
        own = type(self)
        return (self.has_python and own.compute is Op.compute and own.expand is Op.expand and own.loop is Op.loop
                and own.branch is Op.branch and own.template is Op.template and self.extern is None and self.view_of is None
                and self.arms is None)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        """Return the cotangent of each input; None where no gradient flows."""
        node = outputs[0].owner if outputs else None
        raise errors.NotSupported(errors.message(
            self.name, "it has no gradient", tuple(describe(v) for v in inputs), None if node is None else node.loc,
            "give the op a pullback (or grad in Theano's form), wrap it in custom_gradient, or take it out with "
            "disconnected_grad(...)"))

    def pullback_unless_zero(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                             gouts: Sequence[Variable | None]) -> list[Variable | None]:
        """Return the same, but zero where a cotangent is zero, even if the derivative isn't finite: behind an op that hides."""
        return self.pullback(inputs, outputs, gouts)

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> Sequence[Variable | None] | None:
        """Return the tangent of each output; None: it is found from the pullback."""
        return None

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Return, an input a row, which outputs it reaches with a gradient."""
        return [[True] * node.nout for _ in node.inputs]

    def make_node(self, *inputs: Any) -> Apply:
        """Apply to `inputs`, converting what isn't symbolic yet."""
        variables = [as_tensor_variable(v) for v in inputs]
        try:
            types = self.infer_type(*(v.type for v in variables))
        except errors.SymbolicError as error:
            raise located(error, self, variables) from None
        loc = caller()
        if config.warn_float64 != "ignore":
            widened(types, [v.type for v in variables if not isinstance(v, Constant)], self.name, loc,
                    [describe(v) for v in variables])
        return Apply(self, variables, types, loc)

    def __call__(self, *inputs: Any, return_list: bool = False, **kwargs: Any) -> Any:
        """Apply to `inputs`; return the output, or the list of outputs (in any case with `return_list`)."""
        node = self.make_node(*inputs, **kwargs)
        if self.theano_form and node.op is self:
            node._place(caller())
        if config.compute_test_value != "off":
            for compute in TEST_VALUES:
                compute(node)
        outputs = node.outputs if self.default_output is None else [node.outputs[self.default_output]]
        return outputs[0] if len(outputs) == 1 and not return_list else list(outputs)


#: Filled by `ops.opaque`: what is done to each new class of ops.
ADAPT: list[Callable[[type[Op]], None]] = []


#: Filled by `testvalues`: what computes an application on test values, while ``config.compute_test_value`` isn't 'off'.
TEST_VALUES: list[Callable[[Apply], None]] = []


def widened(made: Sequence[TensorType], given: Sequence[TensorType], what: str, loc: SourceLoc | None,
            operands: Sequence[str] = ()) -> None:
    """Say where float64 comes into a graph, as ``config.warn_float64`` asks; what a rewrite makes isn't looked at.

    Raises
    ------
    DTypeError
        If ``config.warn_float64`` is ``'raise'``.
    """
    wide = ("float64", "complex128")
    if rewriting() or not any(t.dtype in wide for t in made) or any(t.dtype in wide for t in given):
        return
    text = errors.message(what, "makes float64", operands, loc, "cast with .astype('float32'); NumPy's scalars and arrays are "
                          "float64 unless asked, and int32 or int64 with float32 gives float64 (see config.cast_policy)")
    if config.warn_float64 == "raise":
        raise errors.DTypeError(text)
    if loc is None:
        warnings.warn(text, stacklevel=2)
    else:
        warnings.warn_explicit(text, UserWarning, loc.file, loc.line)


def describe(variable: Variable) -> str:
    """Return a variable as errors show it: name and type."""
    label = variable.name or (str(variable) if variable.owner is None else f"<{variable.owner.op.name}>")
    return f"{label} ({variable.type})"


def located(error: errors.SymbolicError, op: Op, inputs: Sequence[Variable]) -> errors.SymbolicError:
    """Return `error` with the op, its operands and the user's line added, once."""
    if getattr(error, "located", False):
        return error
    first, _, hint = str(error).partition("\nhint: ")
    text = errors.message(op.name, first, tuple(describe(v) for v in inputs), caller(), hint or None)
    new = type(error)(text)
    new.located = True  # type: ignore[attr-defined]
    return new


# ------------------------------------------------------------------------------------------ constants


def constant(value: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> Constant:
    """Return a constant holding `value`.

    Parameters
    ----------
    value : array_like
        A Python int becomes the smallest signed integer that holds it, a Python float floatX; arrays and
        NumPy scalars keep their dtype.
    name : str, optional
    ndim : int, optional
        Axes of extent 1 are added in front up to this rank.
    dtype : str, optional

    Raises
    ------
    ConversionError
        If `value` isn't numeric.

    Examples
    --------
    >>> constant(300).dtype, constant([1.5, 2]).type
    ('int16', TensorType(float64, (2,)))
    """
    if is_masked(value):
        raise _not_a_constant(value, "what is masked would be used; pass .filled(value)")
    if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
        data = np.asarray(value, dtype or weak_dtype(value))
    else:
        try:
            data = np.array(value, dtype=dtype)  # a copy: constants never change under the graph
        except (ValueError, TypeError) as error:
            raise _not_a_constant(value, str(error)) from None
        if data.dtype.kind not in "biufc":
            raise _not_a_constant(value, f"it has dtype {data.dtype}")
        if dtype is None and not hasattr(value, "dtype"):
            data = _weak_array(data)
    while ndim is not None and data.ndim < ndim:
        data = data[None]
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    data = np.ascontiguousarray(data).reshape(data.shape)
    data.setflags(write=False)
    return Constant(TensorType(data.dtype.name, data.shape), data, name)


def _weak_array(data: np.ndarray) -> np.ndarray:
    """Give a list of Python numbers the dtype that its numbers would have."""
    if data.dtype.kind == "f":
        return data.astype(weak_dtype(0.0))
    if data.dtype == "int64" and data.size:
        return data.astype(promote(weak_dtype(int(data.min())), weak_dtype(int(data.max()))))
    return data


def _not_a_constant(value: Any, why: str) -> errors.ConversionError:
    text = repr(value)
    shown = text if len(text) < 60 else text[:57] + "..."
    return errors.ConversionError(errors.message(
        "constant", f"can't make a tensor of {shown} ({type(value).__name__}): {why}", (), caller(),
        "pass a number, an array, or a symbolic variable"))


def as_tensor_variable(x: Any, name: str | None = None, ndim: int | None = None) -> Variable:
    """Return `x` as a Variable: itself, or a constant.

    Raises
    ------
    ConversionError
        If `x` is neither symbolic nor numeric.
    """
    if isinstance(x, Variable):
        if ndim is not None and x.ndim != ndim:
            raise errors.RankError(errors.message("as_tensor_variable", f"expected {ndim} dimensions", (describe(x),),
                                                  caller()))
        return x
    if isinstance(x, (list, tuple)) and any(isinstance(e, Variable) for e in _leaves(x)):
        return STACK[0](x)
    return constant(x, name, ndim)


#: Set by `ops.shape`: how a list that holds variables becomes one tensor.
STACK: list[Callable[[Any], Variable]] = []


def _leaves(x: Any) -> Iterable[Any]:
    for e in x:
        if isinstance(e, (list, tuple)):
            yield from _leaves(e)
        else:
            yield e


# ------------------------------------------------------------------------------------------ traversal


def toposort(outputs: Iterable[Variable], stop: Iterable[Variable] = ()) -> list[Apply]:
    """Return the applications that compute `outputs`, producers first, not looking beyond `stop`.

    Iterative: a chain of 100,000 nodes is fine.
    """
    blocked = stop if isinstance(stop, (dict, set, frozenset)) else set(stop)  # a table isn't copied: it may be large
    order: list[Apply] = []
    done: set[Apply] = set()
    stack = [v.owner for v in outputs if v.owner is not None and v not in blocked][::-1]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        ready = True
        for v in reversed(node.inputs):
            owner = v.owner
            if owner is not None and owner not in done and v not in blocked:
                stack.append(owner)
                ready = False
        if not ready:
            continue
        done.add(node)
        order.append(node)
        stack.pop()
    return order


def ancestors(outputs: Iterable[Variable], stop: Iterable[Variable] = ()) -> list[Variable]:
    """Return all variables that `outputs` depend on, themselves included, leaves first."""
    outputs = list(outputs)
    nodes = toposort(outputs, stop)
    seen: dict[Variable, None] = {}
    for node in nodes:
        for v in node.inputs:
            seen.setdefault(v)
    for v in outputs:
        seen.setdefault(v)
    return list(seen)


def inputs_of(outputs: Iterable[Variable]) -> list[Variable]:
    """Return the variables without owner that `outputs` depend on, in order of first use."""
    outputs = list(outputs)
    read = [v for node in toposort(outputs) for v in node.inputs if v.owner is None]
    return list(dict.fromkeys([*read, *(v for v in outputs if v.owner is None)]))


def clone_replace(outputs: Sequence[Variable], replace: dict[Variable, Variable]) -> list[Variable]:
    """Return `outputs` with variables replaced; what doesn't depend on them is shared, not copied."""
    table: dict[Variable, Variable] = dict(replace)
    for node in toposort(outputs, stop=replace):
        inputs = [table.get(v, v) for v in node.inputs]
        if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            continue
        new = node.clone_with_new_inputs(inputs, strict=False)
        for old, out in zip(node.outputs, new.outputs, strict=True):
            out.name = old.name
            table.setdefault(old, out)
    return [table.get(v, v) for v in outputs]


def _make_variable(self: TensorType, name: str | None = None) -> Variable:
    """Return a new variable of this type."""
    if config.warn_float64 != "ignore":
        widened([self], [], "a variable", caller())
    return Variable(self, name=name)


TensorType.__call__ = _make_variable  # type: ignore[attr-defined, method-assign]
TensorType.make_variable = _make_variable  # type: ignore[attr-defined, method-assign]
