"""How a function is computed, and which rewrites are done to it: what ``function(..., mode=)`` takes."""
from __future__ import annotations

from dataclasses import dataclass, replace

from symbolic.config import config

MODES = ("FAST_RUN", "FAST_COMPILE", "CHECK")


@dataclass(frozen=True)
class Mode:
    """A way to compute, with changes to the rewrites that belong to it.

    Parameters
    ----------
    name : {'FAST_RUN', 'FAST_COMPILE', 'CHECK'}
        Native code; the NumPy interpreter; both, compared.
    include, exclude, require : tuple of str
        Names or tags of rules: added, left out, and the only ones left. See ``docs/rewrites.md``.

    Raises
    ------
    ValueError
        If there is no such mode.

    Examples
    --------
    >>> Mode("FAST_RUN").excluding("stabilize").including("unsafe")
    Mode(name='FAST_RUN', include=('unsafe',), exclude=('stabilize',), require=())
    """

    name: str = "FAST_RUN"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    require: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, or a Mode, got {self.name!r}")

    def including(self, *tags: str) -> Mode:
        """Return this mode with the rules of these names or tags as well."""
        return replace(self, include=(*self.include, *tags))

    def excluding(self, *tags: str) -> Mode:
        """Return this mode without the rules of these names or tags."""
        return replace(self, exclude=(*self.exclude, *tags))

    def requiring(self, *tags: str) -> Mode:
        """Return this mode with only those of its rules that have all of these tags."""
        return replace(self, require=(*self.require, *tags))


def as_mode(mode: str | Mode | None) -> Mode:
    """Return `mode` as a Mode; None is ``config.mode``.

    Raises
    ------
    ValueError
        If there is no such mode.
    TypeError
        If it is neither a name nor a Mode.
    """
    if isinstance(mode, Mode):
        return mode
    if mode is None:
        return Mode(config.mode)
    if not isinstance(mode, str):
        raise TypeError(f"mode must be a name or a Mode, got {mode!r}")
    return Mode(mode)
