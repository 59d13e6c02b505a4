"""Stage *render*: the fused steps become one C function, ``symbolic_run``, which a person can read."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from symbolic.codegen.fuse import Fusion
from symbolic.codegen.lower import Lowering
from symbolic.codegen.prelude import prelude
from symbolic.codegen.step import write_arm, write_loop
from symbolic.codegen.timed import Timed, TimedWriter
from symbolic.codegen.writer import Failure, Unit, Writer
from symbolic.config import config
from symbolic.graph import Apply
from symbolic.infer import Guard
from symbolic.template import Template

_TEMPLATES = Path(__file__).parent / "templates"
#: Lines of ``symbolic_run`` from which a compiler shouldn't optimise it: nothing to gain, and gcc's time grows faster.
LONG = 400


@cache
def _environment() -> Any:
    import jinja2  # noqa: PLC0415 (15 ms that a process can save which finds everything in the cache)

    return jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), undefined=jinja2.StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


@cache
def _template(name: str) -> Any:
    return _environment().get_template(name)


def render_template(template: Template, function: str) -> str:
    """Return the C function of an op's template."""
    made = _environment().from_string(template.text) if template.text else _template(f"ops/{template.name}.c.j2")
    text = made.render(function=function, **dict(template.fields))
    return text.rstrip("\n")


@cache
def render_product(type: str, openmp: bool) -> str:
    """Return the kernels for products with a packed matrix, see `packing`; `type` is C's."""
    return _template("product.c.j2").render(type=type, openmp=openmp)


@dataclass(frozen=True)
class KernelText:
    """One kernel as C: `name` is made from the hash of `text`, so equal kernels are one in every cache.

    ``prototype`` is what another translation unit declares to call it.
    """

    name: str
    prototype: str
    text: str
    notes: tuple[str, ...]


@dataclass
class Program:
    """C text in parts, with what its host must know to call it."""

    title: str
    kernels: list[KernelText]
    body: list[str]
    constants: list[np.ndarray]
    failures: list[Failure]
    inplace: tuple[bool, ...] = ()
    steps: list[KernelText] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    openmp: bool = True
    python: list[Apply] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)

    def size(self) -> int:
        """Return the length of what a compiler has to optimise besides kernels: of loops, and of all if it is short."""
        lines = self.body if len(self.body) <= LONG else []
        return sum(len(text) for text in (*(k.text for k in self.steps), *self.loops, *lines))

    def source(self, kernels: Sequence[KernelText] | None = None, run: bool = True) -> str:
        """Return a translation unit: the prelude, `kernels` (default all) and, with `run`, ``symbolic_run``."""
        here = self.kernels if kernels is None else list(kernels)
        known = {k.name for k in here}
        elsewhere = [k.prototype for k in self.kernels if run and k.name not in known]
        own = [*(k.text for k in self.steps), *self.loops, *self.body] if run else []
        text = "\n".join([*elsewhere, *(k.text for k in here), *own])
        return _template("program.c.j2").render(
            title=self.title.replace("*/", "* /"), prelude=prelude(text), kernels=here, elsewhere=elsewhere,
            body=self.body if run else None, steps=self.steps, loops=self.loops, long=len(self.body) > LONG,
            multiplies="multiply(" in text, packs="worth_packing(" in text, openmp=self.openmp, threshold=config.openmp_threshold)


def write(lowering: Lowering, fusion: Fusion, guards: Sequence[Guard], title: str, updated: Sequence[int] = (),
          openmp: bool = True, identity: str = "", profile: bool = False) -> Program:
    """Return the program of a fused graph.

    Parameters
    ----------
    updated : sequence of int
        The graph inputs, shared variables, whose new values the last outputs are.
    openmp : bool
        Whether loops may be shared among threads.
    identity : str
        Of the compiler and its options; part of the kernels' names.
    profile : bool
        Whether the program times its steps.
    """
    unit = Unit(openmp, identity, write_loop, write_arm, render_template, partial(render_product, openmp=openmp))
    w = (TimedWriter if profile else Writer)(lowering, fusion, guards, updated, unit)
    kernels = [KernelText(name, _prototype(text).replace("KERNEL", name), text.replace("KERNEL", name),
                          tuple(dict.fromkeys(notes))) for text, (name, notes) in unit.texts.items()]
    steps = [KernelText(name, "", text.replace("void KERNEL(", f"static inline void {name}(").replace("KERNEL", name),
                        tuple(dict.fromkeys(notes))) for text, (name, notes) in unit.inner.items()]
    return Program(title, kernels, w.lines, unit.constants, unit.failures, w.plan.inplace, steps, unit.loops, openmp,
                   unit.python, w.timed if isinstance(w, TimedWriter) else [])


def _prototype(text: str) -> str:
    """Return the declarations of the functions that a kernel's text offers: those named KERNEL that aren't static."""
    return " ".join(f"{head};" for head in re.findall(r"(?m)^void KERNEL\w*\([^{]*?\)(?=\n\{)", text))
