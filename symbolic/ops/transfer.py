"""Where a value lies. Graphs know no devices, so this is an identity; a function asks where its outputs are wanted."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.config import checked
from symbolic.graph import Op, Variable, as_tensor_variable
from symbolic.scalar import Expr, dim
from symbolic.types import TensorType


class Transfer(Op):
    """Returns its input, on a device."""

    __props__ = ("device",)

    def __init__(self, device: str) -> None:
        self.device = device

    def infer_type(self, *types: TensorType) -> tuple[TensorType, ...]:
        return (types[0],)

    def infer_shape(self, *types: TensorType) -> tuple[tuple[Expr, ...], ...]:
        return (tuple(dim(0, a) for a in range(types[0].ndim)),)

    def expand(self, *inputs: Variable) -> Sequence[Variable]:
        return inputs

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        return (arrays[0],)

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                 gouts: Sequence[Variable | None]) -> list[Variable | None]:
        return [gouts[0]]

    def pushforward(self, inputs: Sequence[Variable], outputs: Sequence[Variable],
                    tangents: Sequence[Variable | None]) -> list[Variable | None]:
        return [tangents[0]]


def transfer(x: Any, target: str) -> Variable:
    """Return `x` on a device.

    Where a function runs is up to ``function(..., device=)``, and what it needs is brought there. As an output of a function
    on a GPU, ``x.transfer('cuda')`` is returned as CuPy's array rather than NumPy's.

    Parameters
    ----------
    x : Variable
    target : str
        ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ``'cuda:emulated'``; Theano's ``'gpu'`` is ``'cuda'``.

    Raises
    ------
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> import symbolic.tensor as T
    >>> T.vector("x").transfer("cuda").owner.op
    transfer{device='cuda'}
    """
    try:
        device = checked("device", target, "transfer")
    except ValueError as error:
        raise errors.DeviceError(str(error)) from None
    return Transfer(device)(as_tensor_variable(x))
