"""C written by hand, compiled with -O3 -march=native: what generated loops are held against."""
from __future__ import annotations


def describe() -> str:
    """Return what it is."""
    return "C by hand, gcc -O3 -march=native"
