"""What recurrent layers share: their arguments, masks, initial states, and the walk over time."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import symbolic
import symbolic.tensor as T
from lasagne_like import utils
from lasagne_like.layers.base import Layer, MergeLayer, Shape
from symbolic.gradient import grad_clip


class Recurrent(MergeLayer):
    """Base of layers that walk over axis 1 of their input and carry states of shape (batch, units).

    Subclasses give ``step(values, states)``, from what `before` made for one time (and the states) to new states, of which the
    last is the output.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, time, ...)
    backwards, learn_init : bool
    gradient_steps, grad_clipping : int, number
    unroll_scan, precompute_input : bool
    mask_input : Layer or None
    only_return_final : bool
    states : dict from str to (spec, shape)
        Initial states by the name of their parameter: what `Layer.add_param` takes, or a layer.
    name : str, optional
    """

    def __init__(self, incoming: Any, backwards: bool, learn_init: bool, gradient_steps: int, grad_clipping: Any,
                 unroll_scan: bool, precompute_input: bool, mask_input: Any, only_return_final: bool, states: Sequence[Any],
                 name: str | None, least_axes: int = 3) -> None:
        layered = [s for s in states if isinstance(s, Layer)]
        super().__init__([incoming, *([] if mask_input is None else [mask_input]), *layered], name)
        who, shape = type(self).__name__, self.input_shapes[0]
        if len(shape) < least_axes:
            raise ValueError(f"{who}: the input must have {least_axes} or more axes (batch, time, ...), got shape {shape}")
        if mask_input is not None and len(self.input_shapes[1]) != 2:
            raise ValueError(f"{who}: the mask must have 2 axes (batch, time), got shape {self.input_shapes[1]}")
        if unroll_scan and gradient_steps != -1:
            raise ValueError(f"{who}: gradient_steps must be -1 with unroll_scan, got {gradient_steps}")
        if unroll_scan and shape[1] is None:
            raise ValueError(f"{who}: unroll_scan needs a known number of steps, axis 1, got input shape {shape}")
        self.backwards, self.learn_init = backwards, learn_init
        self.gradient_steps, self.grad_clipping = gradient_steps, grad_clipping
        self.unroll_scan, self.precompute_input, self.only_return_final = unroll_scan, precompute_input, only_return_final
        self.mask_incoming_index = 1 if mask_input is not None else -1
        count = iter(range(1 if mask_input is None else 2, len(self.input_layers)))
        self._state_index = [next(count) if isinstance(s, Layer) else -1 for s in states]

    def initial(self, spec: Any, shape: Sequence[int], name: str) -> Any:
        """Return a layer that gives the initial state, or make a parameter of shape (1, ...)."""
        if isinstance(spec, Layer):
            got = spec.output_shape
            if len(got) != len(shape) or any(n is not None and n != m for n, m in zip(got[1:], shape[1:], strict=True)):
                raise ValueError(f"{type(self).__name__}: the layer for {name} must give shape (batch, "
                                 f"{', '.join(map(str, shape[1:]))}), got {got}")
            return spec
        return self.add_param(spec, shape, name, trainable=self.learn_init, regularizable=False)

    def _state_shape(self) -> tuple[int, ...]:
        """Return the extents of a state behind the batch."""
        raise NotImplementedError

    def get_output_shape_for(self, input_shape: Any) -> Shape:
        batch, time = input_shape[0][:2]
        return (batch, *self._state_shape()) if self.only_return_final else (batch, time, *self._state_shape())

    def walk(self, inputs: Sequence[Any], x: Any, states: Sequence[Any], step: Callable[..., Any]) -> Any:
        """Return the output: `step` along axis 0 of `x`, from `states` on.

        Parameters
        ----------
        inputs : list of Variable
            As `get_output_for` got them.
        x : Variable, (time, batch, ...)
        states : list
            As `initial` gave them.
        step : callable
            From an element of `x` and the states to the new states.
        """
        batch = x.shape[1]
        start = [inputs[i] if i >= 0 else T.repeat(s, batch, axis=0) for s, i in zip(states, self._state_index, strict=True)]
        xs = [x]
        run = step
        if self.mask_incoming_index > 0:
            axes = len(self._state_shape())
            mask = inputs[self.mask_incoming_index]
            xs.append(mask.dimshuffle(1, 0, *["x"] * axes))

            def run(value: Any, on: Any, *before: Any) -> list[Any]:
                return [T.switch(on, new, old) for new, old in zip(step(value, *before), before, strict=True)]
        traces: Any
        if self.unroll_scan:
            traces = utils.unroll_scan(run, xs, start, [], int(self.input_shapes[0][1]), self.backwards)  # type: ignore[arg-type]
        else:
            traces, _ = symbolic.scan(run, sequences=xs, outputs_info=start, go_backwards=self.backwards, return_list=True,
                                      truncate_gradient=self.gradient_steps, name=self.name)
        out = traces[-1]
        if self.only_return_final:
            return out[-1]
        out = out.dimshuffle(1, 0, *range(2, out.ndim))
        return out[:, ::-1] if self.backwards else out

    def clipped(self, x: Any) -> Any:
        """Return `x`, whose gradient is clipped to ``±grad_clipping``, unless that is 0."""
        return grad_clip(x, -self.grad_clipping, self.grad_clipping) if self.grad_clipping else x
