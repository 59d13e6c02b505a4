"""Theano's ``theano.sandbox.cuda`` and ``theano.gpuarray``: there is no GPU back end of Theano's, and these names say so.

What only arranges data is the identity; convolution and pooling of cuDNN are those of ``T.nnet`` and ``T.signal``; flags are
false, so programs that ask take their other way.
"""
from __future__ import annotations

import importlib
from typing import Any

from symbolic import errors
from symbolic.graph import Variable, as_tensor_variable

cuda_available = cuda_enabled = pygpu_activated = cuda_initialization_error_message = False
pygpu = None


def use(device: str = "", *args: Any, **kwargs: Any) -> None:
    """Raise: there is no such device.

    Raises
    ------
    NotSupported
    """
    raise errors.NotSupported(f"theano.sandbox.cuda.use({device!r}): there is no GPU of Theano's\nhint: leave it out, or set "
                              "device='cpu'; config.device says what this package can use")


init_dev = use


def dnn_available(*args: Any) -> bool:
    """Whether cuDNN can be used: no."""
    return False


dnn_present = dnn_available


def version(*args: Any, **kwargs: Any) -> int:
    """Return cuDNN's version; -1, for there is none."""
    return -1


def gpu_contiguous(x: Any) -> Variable:
    """Return `x`: arrays are contiguous."""
    return as_tensor_variable(x)


def _same(x: Any, *context: Any) -> Variable:
    """Return `x`: there is nothing to transfer."""
    return as_tensor_variable(x)


host_from_gpu = gpu_from_host = as_cuda_ndarray_variable = as_cuda_array = as_gpuarray_variable = gpu_alloc_like = _same


def _tensor(name: str, where: str) -> Any:
    """Return a function of the tensor namespace."""
    try:
        return getattr(importlib.import_module(where), name)
    except (ImportError, AttributeError):
        raise errors.NotSupported(f"{where}.{name}, which stands for cuDNN's, isn't there") from None


def dnn_conv(img: Any, kerns: Any, border_mode: Any = "valid", subsample: tuple[int, int] = (1, 1), dilation: Any = (1, 1),
             conv_mode: str = "conv", direction_hint: Any = None, workmem: Any = None, algo: Any = None, precision: Any = None,
             num_groups: int = 1) -> Variable:
    """Return ``T.nnet.conv2d``; ``conv_mode='cross'`` doesn't flip filters.

    Parameters
    ----------
    img, kerns : Variable, 4-d
    border_mode, subsample, dilation, num_groups
        As for ``T.nnet.conv2d``.
    conv_mode : {'conv', 'cross'}
    direction_hint, workmem, algo, precision
        Accepted, without effect.
    """
    conv2d = _tensor("conv2d", "symbolic.tensor.nnet")
    return conv2d(img, kerns, border_mode=border_mode, subsample=subsample, filter_flip=conv_mode == "conv",
                  filter_dilation=dilation, num_groups=num_groups)


def dnn_pool(img: Any, ws: Any, stride: Any = None, mode: str = "max", pad: Any = None) -> Variable:
    """Return ``T.signal.pool.pool_2d`` with ``ignore_border=True``."""
    pool_2d = _tensor("pool_2d", "symbolic.tensor.signal.pool")
    pad = (0,) * len(ws) if pad is None else pad
    return pool_2d(img, ws=ws, ignore_border=True, stride=stride, pad=pad,
                   mode={"average": "average_inc_pad"}.get(mode, mode))


class _Never:
    """A class that nothing is an instance of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise errors.NotSupported(f"{type(self).__name__}: there is no GPU of Theano's\nhint: use TensorType and shared()")


class CudaNdarrayType(_Never):
    """Theano's type of arrays on a GPU."""


class CudaNdarrayVariable(_Never):
    """Theano's class of variables on a GPU."""


class CudaNdarraySharedVariable(_Never):
    """Theano's class of shared variables on a GPU."""


class CudaNdarrayConstant(_Never):
    """Theano's class of constants on a GPU."""


class CudaNdarray(_Never):
    """Theano's class of arrays on a GPU."""


class GpuOp(_Never):
    """Theano's base of ops on a GPU."""


class GpuArrayType(_Never):
    """Theano's later type of arrays on a GPU."""


class GpuArrayVariable(_Never):
    """Theano's later class of variables on a GPU."""


class GpuArraySharedVariable(_Never):
    """Theano's later class of shared variables on a GPU."""


class GpuDnnConv(_Never):
    """Theano's op of cuDNN's convolution."""


class GpuDnnConvDesc(_Never):
    """Theano's op of cuDNN's convolution."""


class GpuDnnPool(_Never):
    """Theano's op of cuDNN's pooling."""
