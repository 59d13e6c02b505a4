"""Recurrent layers: any two networks in a loop, and the plain one, LSTM and GRU."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import symbolic.tensor as T
from lasagne_like import init, nonlinearities, utils
from lasagne_like.layers import helper
from lasagne_like.layers.dense import DenseLayer
from lasagne_like.layers.loops import Recurrent


class CustomRecurrentLayer(Recurrent):
    """``h[t] = nonlinearity(input_to_hidden(x[t]) + hidden_to_hidden(h[t-1]))``, for any two networks.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, time, ...)
    input_to_hidden, hidden_to_hidden : Layer
        Networks with one InputLayer each, and outputs of the same shape; their first axis is the batch.
    nonlinearity : callable or None
    hid_init : as `Layer.add_param`, or Layer
        The state before the first step, (1, ...).
    backwards : bool
        From the last element to the first; the output is in the order of the input.
    learn_init : bool
        Train `hid_init`.
    gradient_steps : int
        How many steps gradients go back; -1 for all.
    grad_clipping : number
        Bound of the gradients that reach the sum, 0 for none.
    unroll_scan : bool
        Write all steps out instead of a loop; needs a known number of steps.
    precompute_input : bool
        Apply `input_to_hidden` to all steps at once.
    mask_input : Layer, optional
        (batch, time); where it is 0, states stay as they were.
    only_return_final : bool
        Only the last step's output, without axis 1.
    name : str, optional

    Raises
    ------
    ValueError
        If the networks' shapes don't fit.
    """

    def __init__(self, incoming: Any, input_to_hidden: Any, hidden_to_hidden: Any, nonlinearity: Any = nonlinearities.rectify,
                 hid_init: Any = init.Constant(0.0), backwards: bool = False, learn_init: bool = False,  # noqa: B008
                 gradient_steps: int = -1, grad_clipping: Any = 0, unroll_scan: bool = False, precompute_input: bool = True,
                 mask_input: Any = None, only_return_final: bool = False, name: str | None = None) -> None:
        super().__init__(incoming, backwards, learn_init, gradient_steps, grad_clipping, unroll_scan, precompute_input,
                         mask_input, only_return_final, [hid_init], name, least_axes=2)
        self.input_to_hidden, self.hidden_to_hidden = input_to_hidden, hidden_to_hidden
        self.nonlinearity = nonlinearities.identity if nonlinearity is None else nonlinearity
        self._check_shapes()
        self.hid_init = self.initial(hid_init, (1, *self._state_shape()), "hid_init")

    def _check_shapes(self) -> None:
        hidden, given = self.hidden_to_hidden.output_shape[1:], self.input_to_hidden.output_shape[1:]
        first = helper.get_all_layers(self.hidden_to_hidden)[0].output_shape[1:]
        entry = helper.get_all_layers(self.input_to_hidden)[0].output_shape[1:]
        if None in hidden:
            raise ValueError(f"CustomRecurrentLayer: extents of a state must be known, hidden_to_hidden gives {hidden}")
        for what, got, want in (("hidden_to_hidden's input", first, hidden), ("input_to_hidden's output", given, hidden),
                                ("input_to_hidden's input", entry, self.input_shapes[0][2:])):
            if len(got) != len(want) or any(n != m for n, m in zip(got, want, strict=True) if n is not None and m is not None):
                raise ValueError(f"CustomRecurrentLayer: {what} has shape {got} behind the batch, expected {want}")

    def _state_shape(self) -> tuple[int, ...]:
        return tuple(self.hidden_to_hidden.output_shape[1:])

    def get_params(self, unwrap_shared: bool = True, **tags: bool) -> list[Any]:
        """Return the parameters of this layer and of both networks; arguments of ``Layer.get_params``."""
        own = super().get_params(unwrap_shared, **tags)
        inner = [helper.get_all_params(net, unwrap_shared=unwrap_shared, **tags)
                 for net in (self.input_to_hidden, self.hidden_to_hidden)]
        return utils.unique([*own, *inner[0], *inner[1]])

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        x = input[0]
        x = x.dimshuffle(1, 0, *range(2, x.ndim))
        if self.precompute_input:
            time, batch = x.shape[0], x.shape[1]
            flat = x.reshape((time * batch, *[x.shape[a] for a in range(2, x.ndim)]))
            made = helper.get_output(self.input_to_hidden, flat, **kwargs)
            x = made.reshape((time, batch, *[made.shape[a] for a in range(1, made.ndim)]))

        def step(value: Any, hidden: Any) -> list[Any]:
            if not self.precompute_input:
                value = helper.get_output(self.input_to_hidden, value, **kwargs)
            total = self.clipped(value + helper.get_output(self.hidden_to_hidden, hidden, **kwargs))
            return [self.nonlinearity(total)]

        return self.walk(input, x, [self.hid_init], step)


def _features(incoming: Any, who: str) -> int:
    shape = tuple(incoming) if isinstance(incoming, (tuple, list)) else incoming.output_shape
    if len(shape) < 3:
        raise ValueError(f"{who}: the input must have 3 or more axes (batch, time, features), got shape {shape}")
    if None in shape[2:]:
        raise ValueError(f"{who}: extents behind the time must be known, got shape {shape}")
    return int(np.prod(shape[2:]))


class RecurrentLayer(CustomRecurrentLayer):
    """``h[t] = nonlinearity(x[t] @ W_in_to_hid + h[t-1] @ W_hid_to_hid + b)``.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, time, ...); axes behind the second are features.
    num_units : int
    W_in_to_hid, W_hid_to_hid, b : as `Layer.add_param`
        (features, num_units), (num_units, num_units), and (num_units,) or None.
    nonlinearity, hid_init, backwards, learn_init, gradient_steps, grad_clipping, unroll_scan, precompute_input, mask_input, \
only_return_final, name
        As for `CustomRecurrentLayer`.

    Examples
    --------
    >>> RecurrentLayer((None, 5, 3), 4).output_shape
    (None, 5, 4)
    """

    def __init__(self, incoming: Any, num_units: int, W_in_to_hid: Any = init.Uniform(),  # noqa: B008
                 W_hid_to_hid: Any = init.Uniform(), b: Any = init.Constant(0.0),  # noqa: B008
                 nonlinearity: Any = nonlinearities.rectify, hid_init: Any = init.Constant(0.0),  # noqa: B008
                 backwards: bool = False, learn_init: bool = False, gradient_steps: int = -1, grad_clipping: Any = 0,
                 unroll_scan: bool = False, precompute_input: bool = True, mask_input: Any = None,
                 only_return_final: bool = False, name: str | None = None) -> None:
        _features(incoming, type(self).__name__)
        shape = tuple(incoming) if isinstance(incoming, (tuple, list)) else incoming.output_shape
        prefix = f"{name}." if name else ""
        # the batch of input_to_hidden is (time * batch), whose extent isn't known
        entry, state = helper.InputLayer((None, *shape[2:])), helper.InputLayer((None, num_units))
        from_input = DenseLayer(entry, num_units, W_in_to_hid, b, None, name=f"{prefix}input_to_hidden")
        from_hidden = DenseLayer(state, num_units, W_hid_to_hid, None, None, name=f"{prefix}hidden_to_hidden")
        super().__init__(incoming, from_input, from_hidden, nonlinearity, hid_init, backwards, learn_init, gradient_steps,
                         grad_clipping, unroll_scan, precompute_input, mask_input, only_return_final, name)
        self.num_units = num_units
        self.W_in_to_hid, self.W_hid_to_hid, self.b = from_input.W, from_hidden.W, from_input.b


class Gate:
    """The weights of a gate of `LSTMLayer` or `GRULayer`.

    Parameters
    ----------
    W_in, W_hid : as `Layer.add_param`
        (features, units), (units, units)
    W_cell : as `Layer.add_param`, or None
        (units,), the peephole of an LSTM's gate; without effect where there is none.
    b : as `Layer.add_param`
        (units,)
    nonlinearity : callable or None
    """

    def __init__(self, W_in: Any = init.Normal(0.1), W_hid: Any = init.Normal(0.1), W_cell: Any = init.Normal(0.1),  # noqa: B008
                 b: Any = init.Constant(0.0), nonlinearity: Any = nonlinearities.sigmoid) -> None:  # noqa: B008
        self.W_in, self.W_hid, self.b = W_in, W_hid, b
        self.W_cell = W_cell
        self.nonlinearity = nonlinearities.identity if nonlinearity is None else nonlinearity


class _Gated(Recurrent):
    """What LSTM and GRU share: gates whose weights lie side by side in one product."""

    num_units: int

    def _state_shape(self) -> tuple[int, ...]:
        return (self.num_units,)

    def _gate(self, gate: Gate, name: str, features: int) -> None:
        """Make the parameters of a gate, by Lasagne's names."""
        n = self.num_units
        setattr(self, f"W_in_to_{name}", self.add_param(gate.W_in, (features, n), f"W_in_to_{name}"))
        setattr(self, f"W_hid_to_{name}", self.add_param(gate.W_hid, (n, n), f"W_hid_to_{name}"))
        setattr(self, f"b_{name}", self.add_param(gate.b, (n,), f"b_{name}", regularizable=False))
        setattr(self, f"nonlinearity_{name}", gate.nonlinearity)

    def _stacked(self, kind: str, names: Sequence[str]) -> Any:
        return T.concatenate([getattr(self, kind + name) for name in names], axis=-1)

    def _part(self, x: Any, k: int) -> Any:
        return x[:, k * self.num_units:(k + 1) * self.num_units]

    def _prepared(self, input: Any, W: Any, b: Any) -> Any:
        """Return the input with time first and features in one axis, times `W` for all steps at once where that is wanted."""
        x = (input.flatten(3) if input.ndim > 3 else input).dimshuffle(1, 0, 2)
        return T.dot(x, W) + b if self.precompute_input else x


class LSTMLayer(_Gated):
    """Long short-term memory, with peepholes.

    ``i = s(x W_xi + h W_hi + w_ci*c + b_i)``, ``f = s(x W_xf + h W_hf + w_cf*c + b_f)``,
    ``c' = f*c + i*tanh(x W_xc + h W_hc + b_c)``, ``o = s(x W_xo + h W_ho + w_co*c' + b_o)``, ``h' = o*tanh(c')``.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, time, ...); axes behind the second are features.
    num_units : int
    ingate, forgetgate, cell, outgate : Gate
        For `cell` a Gate without W_cell, with tanh.
    nonlinearity : callable or None
        Of the cell's output.
    cell_init, hid_init : as `Layer.add_param`, or Layer
        States before the first step, (1, num_units).
    backwards, learn_init : bool
        As for `CustomRecurrentLayer`.
    peepholes : bool
        Let gates see the cell.
    gradient_steps, grad_clipping, unroll_scan, precompute_input, mask_input, only_return_final, name
        As for `CustomRecurrentLayer`.

    References
    ----------
    Graves (2013), Generating sequences with recurrent neural networks, equations 7 to 11.
    """

    def __init__(self, incoming: Any, num_units: int, ingate: Gate = Gate(), forgetgate: Gate = Gate(),  # noqa: B008
                 cell: Gate = Gate(W_cell=None, nonlinearity=nonlinearities.tanh), outgate: Gate = Gate(),  # noqa: B008
                 nonlinearity: Any = nonlinearities.tanh, cell_init: Any = init.Constant(0.0),  # noqa: B008
                 hid_init: Any = init.Constant(0.0), backwards: bool = False, learn_init: bool = False,  # noqa: B008
                 peepholes: bool = True, gradient_steps: int = -1, grad_clipping: Any = 0, unroll_scan: bool = False,
                 precompute_input: bool = True, mask_input: Any = None, only_return_final: bool = False, name: str | None = None
                 ) -> None:
        features = _features(incoming, "LSTMLayer")
        super().__init__(incoming, backwards, learn_init, gradient_steps, grad_clipping, unroll_scan, precompute_input,
                         mask_input, only_return_final, [cell_init, hid_init], name)
        self.num_units, self.peepholes = num_units, peepholes
        self.nonlinearity = nonlinearities.identity if nonlinearity is None else nonlinearity
        for gate, label in ((ingate, "ingate"), (forgetgate, "forgetgate"), (cell, "cell"), (outgate, "outgate")):
            self._gate(gate, label, features)
        if peepholes:
            for gate, label in ((ingate, "ingate"), (forgetgate, "forgetgate"), (outgate, "outgate")):
                if gate.W_cell is None:
                    raise ValueError(f"LSTMLayer: peepholes need W_cell for the {label}; give it, or pass peepholes=False")
                setattr(self, f"W_cell_to_{label}", self.add_param(gate.W_cell, (num_units,), f"W_cell_to_{label}"))
        self.cell_init = self.initial(cell_init, (1, num_units), "cell_init")
        self.hid_init = self.initial(hid_init, (1, num_units), "hid_init")

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        own: Any = self
        names = ("ingate", "forgetgate", "cell", "outgate")
        w, u, b = (self._stacked(kind, names) for kind in ("W_in_to_", "W_hid_to_", "b_"))

        def step(value: Any, cell: Any, hidden: Any) -> list[Any]:
            gates = value if self.precompute_input else T.dot(value, w) + b
            i, f, c, o = (self._part(self.clipped(gates + T.dot(hidden, u)), k) for k in range(4))
            if self.peepholes:
                i, f = i + cell * own.W_cell_to_ingate, f + cell * own.W_cell_to_forgetgate
            new = own.nonlinearity_forgetgate(f) * cell + own.nonlinearity_ingate(i) * own.nonlinearity_cell(c)
            if self.peepholes:
                o = o + new * own.W_cell_to_outgate
            return [new, own.nonlinearity_outgate(o) * self.nonlinearity(new)]

        return self.walk(input, self._prepared(input[0], w, b), [self.cell_init, self.hid_init], step)


class GRULayer(_Gated):
    """Gated recurrent units.

    ``r = s(x W_xr + h W_hr + b_r)``, ``u = s(x W_xu + h W_hu + b_u)``, ``c = tanh(x W_xc + r*(h W_hc) + b_c)``,
    ``h' = (1 - u)*h + u*c``.

    Parameters
    ----------
    incoming : Layer or tuple
        (batch, time, ...); axes behind the second are features.
    num_units : int
    resetgate, updategate, hidden_update : Gate
        For `hidden_update` a Gate without W_cell, with tanh.
    hid_init : as `Layer.add_param`, or Layer
        The state before the first step, (1, num_units).
    backwards, learn_init, gradient_steps, grad_clipping, unroll_scan, precompute_input, mask_input, only_return_final, name
        As for `CustomRecurrentLayer`.

    References
    ----------
    Cho et al. (2014), On the properties of neural machine translation; Chung et al. (2014), Empirical evaluation of gated
    recurrent neural networks on sequence modeling (the reset gate after the product).
    """

    def __init__(self, incoming: Any, num_units: int, resetgate: Gate = Gate(W_cell=None),  # noqa: B008
                 updategate: Gate = Gate(W_cell=None),  # noqa: B008
                 hidden_update: Gate = Gate(W_cell=None, nonlinearity=nonlinearities.tanh),  # noqa: B008
                 hid_init: Any = init.Constant(0.0), backwards: bool = False, learn_init: bool = False,  # noqa: B008
                 gradient_steps: int = -1, grad_clipping: Any = 0, unroll_scan: bool = False, precompute_input: bool = True,
                 mask_input: Any = None, only_return_final: bool = False, name: str | None = None) -> None:
        features = _features(incoming, "GRULayer")
        super().__init__(incoming, backwards, learn_init, gradient_steps, grad_clipping, unroll_scan, precompute_input,
                         mask_input, only_return_final, [hid_init], name)
        self.num_units = num_units
        for gate, label in ((updategate, "updategate"), (resetgate, "resetgate"), (hidden_update, "hidden_update")):
            self._gate(gate, label, features)
        self.hid_init = self.initial(hid_init, (1, num_units), "hid_init")

    def get_output_for(self, input: Any, **kwargs: Any) -> Any:
        own: Any = self
        names = ("resetgate", "updategate", "hidden_update")
        w, u, b = (self._stacked(kind, names) for kind in ("W_in_to_", "W_hid_to_", "b_"))

        def step(value: Any, hidden: Any) -> list[Any]:
            given = self.clipped(value if self.precompute_input else T.dot(value, w) + b)
            kept = self.clipped(T.dot(hidden, u))
            reset = own.nonlinearity_resetgate(self._part(given, 0) + self._part(kept, 0))
            update = own.nonlinearity_updategate(self._part(given, 1) + self._part(kept, 1))
            new = own.nonlinearity_hidden_update(self.clipped(self._part(given, 2) + reset * self._part(kept, 2)))
            return [(1 - update) * hidden + update * new]

        return self.walk(input, self._prepared(input[0], w, b), [self.hid_init], step)


__all__: Sequence[str] = ["CustomRecurrentLayer", "GRULayer", "Gate", "LSTMLayer", "RecurrentLayer"]
