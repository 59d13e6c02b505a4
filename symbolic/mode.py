"""How a function is computed, and which rewrites are done to it: what ``function(..., mode=)`` takes."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace
from typing import Any

from symbolic import errors
from symbolic.config import config
from symbolic.source import caller
from symbolic.theano_flags import VALUES

MODES = ("FAST_RUN", "FAST_COMPILE", "CHECK")
#: Theano's linkers, and whether each runs native code.
LINKERS = {"cvm": True, "vm": True, "c": True, "c|py": True, "cvm_nogc": True, "vm_nogc": True, "c|py_nogc": True, "py": False}
#: Theano's optimizers: tags of rules that are added, left out, and required.
OPTIMIZERS: dict[Any, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(("default", "fast_run", "fast_run_stable", "o4", "o3", "o2"), ((), (), ())),
    **dict.fromkeys(("fast_compile", "o1", "stabilize"), ((), (), ("fast_compile",))),
    **dict.fromkeys((None, "None", "merge"), ((), ("fast_run", "fast_compile"), ())), "unsafe": (("unsafe",), (), ()),
}
#: Modes with names that others define: `symbolic.monitor` adds NanGuardMode.
NAMED: dict[str, Callable[[], Mode]] = {}


@dataclass(frozen=True)
class Mode:
    """A way to compute, with changes to the rewrites that belong to it.

    Parameters
    ----------
    name : {'FAST_RUN', 'FAST_COMPILE', 'CHECK'}
        Native code; the NumPy interpreter; both, compared.
        A linker of Theano's ('cvm', 'c', 'py', ...) may stand here as well.
    include, exclude, require : tuple of str
        Names or tags of rules: added, left out, and the only ones left. See ``docs/rewrites.md``.
    watch : optional
        An object whose ``before(i, node, arrays)`` and ``after(i, node, arrays, results)`` are called around each
        application, in the interpreter; see :mod:`symbolic.monitor`.
    linker, optimizer : str, optional
        Theano's way to say the same: ``Mode(linker='py', optimizer='fast_compile')``.

    Raises
    ------
    ValueError
        If there is no such mode, linker or optimizer.

    Examples
    --------
    >>> Mode("FAST_RUN").excluding("stabilize").including("unsafe")
    Mode(name='FAST_RUN', include=('unsafe',), exclude=('stabilize',), require=())
    """

    name: str = "FAST_RUN"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    watch: Any = field(default=None, compare=False, repr=False)
    linker: InitVar[str | None] = None
    optimizer: InitVar[str | None] = "default"

    def __post_init__(self, linker: str | None, optimizer: str | None) -> None:
        if self.name in LINKERS or self.name is None:
            linker = self.name
            object.__setattr__(self, "name", "FAST_RUN")
        if self.include is None or isinstance(self.include, str):  # Mode('cvm', 'fast_compile')
            optimizer = self.include
            object.__setattr__(self, "include", ())
        if linker is not None:
            if linker not in LINKERS:
                raise ValueError(f"linker must be one of {', '.join(LINKERS)}, got {linker!r}")
            object.__setattr__(self, "name", "FAST_RUN" if LINKERS[linker] else "FAST_COMPILE")
            if not LINKERS[linker]:  # it says how to compute, not which rules there are
                object.__setattr__(self, "include", ("fast_run", *self.include))
        if optimizer != "default":
            if optimizer not in OPTIMIZERS:
                raise ValueError(f"optimizer must be one of {', '.join(map(str, OPTIMIZERS))}, got {optimizer!r}")
            for name, more in zip(("include", "exclude", "require"), OPTIMIZERS[optimizer], strict=True):
                object.__setattr__(self, name, (*getattr(self, name), *more))
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
    chosen = mode is None
    if mode is None:
        mode = config.mode
    if not isinstance(mode, str):
        raise TypeError(errors.message("function", f"mode must be a name or a Mode, got {mode!r}", (), caller()))
    mode = VALUES["mode"].get(mode, mode)
    if mode in NAMED:
        return NAMED[mode]()
    if mode not in MODES:
        names = (*MODES, *NAMED)
        from difflib import get_close_matches  # noqa: PLC0415 (2 ms of an import)

        near = get_close_matches(str(mode).upper(), names, 1, 0.5)
        raise ValueError(errors.message("function", f"mode must be one of {', '.join(names)}, or a Mode, got {mode!r}", (),
                                        caller(), f"did you mean {near[0]!r}?" if near else None))
    if chosen and (config.optimizer not in ("fast_run", "default") or config.linker == "py"):  # Theano's settings
        return Mode("FAST_COMPILE" if config.linker == "py" else mode, optimizer=config.optimizer)
    return Mode(mode)
