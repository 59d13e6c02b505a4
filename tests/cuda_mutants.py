"""``python tests/cuda_mutants.py``: breaks the CUDA templates in one place after the other; a battery must notice each time.

What is broken: every barrier, every check of bounds, every condition on who writes. A mutant that lives is a template line that
no test needs, or a mistake that the emulated device doesn't find.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np

import symbolic
import symbolic.tensor as T
from symbolic.codegen.cuda import geometry, kernels
from symbolic.codegen.cuda.devices import find
from symbolic.codegen.cuda.memory import bury
from symbolic.errors import SymbolicError

FOLDER = Path(kernels.__file__).parent.parent / "templates"
DEVICE = "cuda:emulated"
#: what a line is searched for, and what it becomes; in `text` it is named what that breaks
BREAKS = [
    (r"__syncthreads\(\);.*", "/* none */", "a barrier is missing"),
    (r"\bsym_meet\(\);.*", "/* none */", "a row doesn't wait"),
    (r"if \(row >= outputs\) return;.*", "/* none */", "no check of rows"),
    (r"if \(row < outputs\) \{", "{", "no check of columns"),
    (r" && row < outputs", "", "columns beyond the last are written"),
    (r"if \(threadIdx\.y == 0", "if (threadIdx.y < 2", "a thread writes that hasn't the result"),
    (r"at < \(sym_index\)total", "at < (sym_index)total + 8192", "no check of elements"),
    (r"row < rows;", "row < rows + 9;", "no check of rows"),
    (r"at < \(sym_index\)length;", "at < (sym_index)length + 1;", "a row is too long"),
    (r"at < last;", "at < last + 1;", "a part is too long"),
    (r"part < parts;", "part < parts - 1;", "the last part is left out"),
    (r"if \(\*stopped\) return;", ";", "a failed check stops nothing"),
    (r"bits = 16; bits; bits >>= 1", "bits = 16; bits > 1; bits >>= 1", "half of a warp is left out"),
    (r"half; half /= 2", "half > 1; half /= 2", "half of a column is left out"),
    (r"int w = 1; w <", "int w = 2; w <", "a warp is left out"),
    (r"gridDim\.y > 1", "gridDim.y > 2", "parts aren't kept apart"),
]


class Mutant(NamedTuple):
    """One change: of which file, in which line, to what."""

    name: str
    line: int
    what: str
    text: str


def mutants() -> list[Mutant]:
    """Return all changes of `BREAKS`, each at one place."""
    found = []
    for path in sorted((FOLDER / "cuda").glob("*j2")):
        text = path.read_text()
        for pattern, new, what in BREAKS:
            for match in re.finditer(pattern, text):
                changed = text[:match.start()] + match.expand(new) + text[match.end():]
                found.append(Mutant(f"cuda/{path.name}", text[:match.start()].count("\n") + 1, what, changed))
    return found


def templates(mutant: Mutant | None) -> None:
    """Let kernels be made from templates of which one is a mutant."""
    texts = {f"cuda/{p.name}": p.read_text() for p in (FOLDER / "cuda").glob("*j2")}
    if mutant is not None:
        texts[mutant.name] = mutant.text
    made = jinja2.Environment(loader=jinja2.DictLoader(texts), undefined=jinja2.StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, keep_trailing_newline=True)
    kernels._template = lambda name: made.get_template(f"cuda/{name}.cu.j2")


def battery() -> str:
    """Return what is wrong; nothing if all results are right."""
    device = find(DEVICE)
    x, k, r = T.dmatrix("x"), T.lvector("k"), symbolic.shared(np.zeros(1), "r")
    new = r + x.sum(1)
    blocks = x.reshape((x.shape[0], 2, -1))
    outs = [x.sum(0), x.max(1), x.sum(), x.sum(1), T.nnet.softmax(x), T.exp(x) - x[0, 0]]
    functions = symbolic.function([x], outs, device=DEVICE)
    halves = symbolic.function([x], [blocks.sum(2), blocks.sum((1, 2))], device=DEVICE)
    rows = symbolic.function([x], x * new[:, None], updates=[(r, new)], device=DEVICE)
    table = symbolic.shared(np.zeros((4, 3)), "table", device=DEVICE)
    picked = symbolic.function([k], table[k].sum(0), updates=[(table, T.inc_subtensor(table[k], 1.0))], device=DEVICE)
    rowwise = symbolic.function([k], T.nnet.softmax(table[k]), device=DEVICE)
    for order in (0, 1, 5):
        device.order = order
        for shape in ((3, 5), (2, 700), (700, 3), (40, 300), (7, 4), (3, 40_000), (40_000, 1)):
            a = np.random.default_rng(1).normal(size=shape)
            e = np.exp(a - a.max(1, keepdims=True))
            want = [a.sum(0), a.max(1), a.sum(), a.sum(1), e / e.sum(1, keepdims=True), np.exp(a) - a[0, 0]]
            for n, (got, w) in enumerate(zip(functions(a), want, strict=True)):
                if not np.allclose(got, w, rtol=1e-9, atol=1e-9):
                    return f"result {n} of {shape} in order {order}"
            old = np.arange(1.0, shape[0] + 1)
            r.set_value(old)
            now = old + a.sum(1)
            if shape[1] % 2 == 0:
                half = a.reshape(shape[0], 2, -1)
                for got, w in zip(halves(a), (half.sum(2), half.sum((1, 2))), strict=True):
                    if not np.allclose(got, w, rtol=1e-9, atol=1e-9):
                        return f"halves of {shape} in order {order}"
            if not np.allclose(rows(a), a * now[:, None], rtol=1e-9, atol=1e-9) or not np.allclose(r.get_value(), now):
                return f"rows written over, {shape} in order {order}"
        before = table.get_value()
        for wrong in ([1, 9], [1, 10**7]):
            for f in (picked, rowwise):
                try:
                    f(wrong)
                    return "a wrong index isn't an error"
                except IndexError:
                    pass
        if not np.array_equal(table.get_value(), before):
            return "a failed check has changed a table"
        picked([1, 2])
    bury(device)
    return ""


def survives(mutant: Mutant) -> str:
    """Return nothing if a mutant lives, else how it was found."""
    templates(mutant)
    try:
        return battery()
    except SymbolicError as error:
        return str(error).splitlines()[0]
    finally:
        find(DEVICE)._queue.clear()


def main() -> int:
    """Try all mutants; return 1 if one lives."""
    geometry.MOST_BLOCKS = 3  # so that grids go around for what is small enough for an emulated device
    templates(None)
    wrong = battery()
    if wrong:
        print(f"the templates themselves are wrong: {wrong}")
        return 1
    alive = []
    every = mutants()
    for m in every:
        how = survives(m)
        print(f"{'killed' if how else 'ALIVE':7} {m.name}:{m.line}: {m.what}" + (f"  ({how[:90]})" if how else ""), flush=True)
        if not how:
            alive.append(m)
    print(f"{len(every) - len(alive)} of {len(every)} killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
