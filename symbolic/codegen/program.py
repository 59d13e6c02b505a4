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
#: Characters of a loop's kernel from which it isn't compiled twice, for loops in two units.
_SHARED = 500


@cache
def _environment() -> Any:
    import jinja2  # noqa: PLC0415 (15 ms that a process can save which finds everything in the cache)

    return jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), undefined=jinja2.StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


@cache
def _template(name: str) -> Any:
    return _environment().get_template(name)


def render_template(template: Template, function: str) -> str:
    """Return the C function of an op's template; one that is named KERNEL is for a cache, and stands alone."""
    made = _environment().from_string(template.text) if template.text else _template(f"ops/{template.name}.c.j2")
    text = made.render(function=function, **dict(template.fields)).rstrip("\n")
    if function != "KERNEL":
        return text
    text = re.sub(r"(?m)^static int KERNEL\(", "int KERNEL(", text)
    if not re.search(r"\bshare\(", text):
        return text
    return _SHARE.format(threshold=config.openmp_threshold) + re.sub(r"\bshare\(", "KERNEL_share(", text)


_SHARE = """/* Tell the host of the work ahead; return the number of threads that it is worth. */
static int KERNEL_share(symbolic_runtime *rt, double work)
{{
    rt->begin(rt, work);
    return work > {threshold} ? rt->threads : 1;
}}

"""


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

    def movable(self) -> list[tuple[list[int], str]]:
        """Return which functions of loops another unit may hold, with all that a compiler has to read for them; longest first.

        What a function calls stays with it, and so do functions that call the same kernels: each unit would compile those.
        Templates from outside of this package aren't moved: what they are made of may have no name of its own.
        """
        if not all(_LOOP.search(text) for text in self.loops):
            return []
        shared = {k.name: k.text for k in self.steps if len(k.text) > _SHARED}
        number = {_LOOP.search(text)[2]: k for k, text in enumerate(self.loops)}  # type: ignore[index]
        groups: list[tuple[set[int], set[str]]] = []
        for k, text in enumerate(self.loops):  # what a function calls stands before it
            called = set(re.findall(r"\b\w+(?=\()", text))
            places, kernels = {k, *(number[name] for name in called & number.keys())}, called & shared.keys()
            for group in [g for g in groups if g[0] & places or g[1] & kernels]:
                groups.remove(group)
                places, kernels = places | group[0], kernels | group[1]
            groups.append((places, kernels))
        found = [(sorted(places), "".join([*(self.loops[k] for k in sorted(places)), *(shared[k] for k in sorted(kernels))]))
                 for places, kernels in groups]
        return sorted(found, key=lambda t: -len(t[1]))

    def size(self) -> int:
        """Return the length of what a compiler has to read beside kernels and loops; less, if it needn't optimise it."""
        return len("".join(self.body)) // (1 if len(self.body) <= LONG else 5)

    def source(self, kernels: Sequence[KernelText] | None = None, run: bool = True, loops: Sequence[int] | None = None,
               suffix: str = "") -> str:
        """Return a translation unit.

        Parameters
        ----------
        kernels : sequence of KernelText, optional
            All by default.
        run : bool
            Whether to end with ``symbolic_run``.
        loops : sequence of int, optional
            The functions of loops, where other units hold the others; by default all, if ``symbolic_run`` is there.
        suffix : str
            What tells the names of loops that units share from those of other programs.
        """
        here = self.kernels if kernels is None else list(kernels)
        known = {k.name for k in here}
        places = range(len(self.loops) if run else 0) if loops is None else loops
        texts, body = [self.loops[k] for k in places], self.body if run else []
        elsewhere = [k.prototype for k in self.kernels if (run or texts) and k.name not in known]
        if loops is not None:
            if run:
                others = (_LOOP.search(text) for k, text in enumerate(self.loops) if k not in places)
                elsewhere += [_renamed(f"int {m[2]}{m[3]};", suffix) for m in others if m is not None]
            texts = [_renamed(_LOOP.sub(r"\1int \2\3", text, count=1), suffix) for text in texts]
            body = [_renamed(line, suffix) for line in body]
        steps = self.steps if texts else []
        text = "\n".join([*elsewhere, *(k.text for k in here), *(k.text for k in steps), *texts, *body])
        return _template("program.c.j2").render(
            title=self.title.replace("*/", "* /"), prelude=prelude(text), kernels=here, elsewhere=elsewhere, run=run,
            body=body, steps=steps, loops=texts, long=len(body) > LONG, multiplies="multiply(" in text,
            packs="worth_packing(" in text, openmp=self.openmp, threshold=config.openmp_threshold)


#: the head of a loop's function: what is before it, its name, its parameters
_LOOP = re.compile(r"^(.*?\n)static int ((?:loop|arm)_\d+)(\([^{]*?\))(?=\n\{)", re.DOTALL)


def _renamed(text: str, suffix: str) -> str:
    return re.sub(r"\b((?:loop|arm)_\d+)(?=\()", rf"\1{suffix}", text)


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
    return " ".join(f"{head};" for head in re.findall(r"(?m)^(?:void|int) KERNEL\w*\([^{]*?\)(?=\n\{)", text))
