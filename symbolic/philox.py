"""Philox4x32-10, the generator under all random numbers here: a block of four words from a key and a counter.

There is no state to carry from one number to the next, so any element of a sample can be computed alone, by any thread.
"""
from __future__ import annotations

import numpy as np

ROUNDS = 10
_MULTIPLY = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox4x32(c0: np.ndarray, c1: np.ndarray, c2: np.ndarray, c3: np.ndarray, k0: np.ndarray, k1: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the four words of the block at a counter.

    Parameters
    ----------
    c0, c1, c2, c3 : array of uint32
        The counter, its low word first; all arguments broadcast.
    k0, k1 : array of uint32
        The key.

    Returns
    -------
    tuple of four arrays of uint32

    References
    ----------
    J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> [f"{int(w):08x}" for w in philox4x32(0, 0, 0, 0, 0, 0)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    x0, x1, x2, x3, a, b = (np.asarray(v, "uint64") & _LOW for v in (c0, c1, c2, c3, k0, k1))
    for r in range(ROUNDS):
        p, q = x0 * _MULTIPLY[0], x2 * _MULTIPLY[1]
        key0 = (a + np.uint64(r * _WEYL[0] & 0xFFFFFFFF)) & _LOW
        key1 = (b + np.uint64(r * _WEYL[1] & 0xFFFFFFFF)) & _LOW
        x0, x1, x2, x3 = (q >> _HALF) ^ x1 ^ key0, q & _LOW, (p >> _HALF) ^ x3 ^ key1, p & _LOW
    return x0.astype("uint32"), x1.astype("uint32"), x2.astype("uint32"), x3.astype("uint32")
