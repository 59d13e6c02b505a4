"""Fourier transforms: ``rfft`` and ``irfft`` are Theano's, of batches and in pairs of floats; all others are ``numpy.fft``'s.

NumPy's one-dimensional ``rfft`` is ``rfftn(x, axes=[axis])`` here, and ``np.fft.rfft(x)`` builds it.
"""
from symbolic.ops.fft import (
    fft,
    fft2,
    fftfreq,
    fftn,
    fftshift,
    hfft,
    ifft,
    ifft2,
    ifftn,
    ifftshift,
    ihfft,
    irfft2,
    irfftn,
    rfft2,
    rfftfreq,
    rfftn,
)
from symbolic.ops.fft import irfft_pairs as irfft
from symbolic.ops.fft import rfft_pairs as rfft

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
           "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"]
