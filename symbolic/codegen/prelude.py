"""The head of a translation unit: of `templates/prelude.h` and `atoms.h`, only what its text uses.

A compiler spends as long on headers and helpers that nothing needs as on a small kernel (11 of 48 ms for ``x + 1``).
"""
from __future__ import annotations

import re
from pathlib import Path

_TEMPLATES = Path(__file__).parent / "templates"
_HELPERS = "\n".join((_TEMPLATES / name).read_text() for name in ("prelude.h", "atoms.h"))
_RUNTIME = (_TEMPLATES / "runtime.h").read_text()
#: All that a unit may start with; part of every kernel's identity.
WHOLE = _HELPERS + _RUNTIME
#: Sections of the files: a comment with a pattern, the text for units in which it is found.
_SECTIONS = re.findall(r"/\* when: (.*?) \*/\n(.*?)(?=/\* when: |\Z)", _HELPERS, re.DOTALL)
_OURS = {"if", "for", "while", "switch", "return", "sizeof", "share", "share_of", "multiply", "share_product",
         "worth_packing", "schedule", "num_threads", "omp_get_thread_num", "omp_get_num_threads", "reduction", "vector_size",
         "aligned", "optimize", "contract", "defined"}
_VECTOR = set("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf "
              "erfc".split())


def needs_math(text: str) -> bool:
    """Whether a unit calls the mathematical library.

    Comments hold the user's text, which may look like calls.

    >>> needs_math("k_1(a, b); y = x * 2.0;"), needs_math("y = expf(x);"), needs_math("y = NAN;")
    (False, True, True)
    """
    text = re.sub(r"/\*.*?\*/", "", text)
    called = set(re.findall(r"(?<![>\w])([a-z][a-z0-9_]*)\(", text)) - _OURS
    helped = re.search(rf"NAN|INFINITY|sym_(mod|floordiv|{'|'.join(_VECTOR)})f?\(", text)
    return helped is not None or any(not name.startswith(("k_", "sym_", "mem", "loop_", "arm_")) for name in called)


def prelude(text: str) -> str:
    """Return what must stand before `text`.

    >>> "math.h" in prelude("y = x + 1;"), "math.h" in prelude("y = tanhf(x);")
    (False, True)
    """
    includes = ["stdint.h"]
    if "_Complex" in text or "sym_complex" in text:
        includes.append("complex.h")
    if needs_math(text):
        includes.append("math.h")
    if "bool" in text or "true" in text or "false" in text:
        includes.append("stdbool.h")
    if re.search(r"\bmem(cpy|set|move)\(|\bsize_t\b", text):
        includes.append("string.h")
    lines = [f"#include <{name}>" for name in sorted(includes)]
    words = "\n".join(sorted(set(re.findall(r"\w+\(?", text))))  # a long text is read once, not once for each pattern
    sections = [body.strip("\n") for pattern, body in _SECTIONS if re.search(pattern, words)]
    vector = sorted(n for n in _VECTOR if re.search(rf"(\b|sym_){n}f?\(", words))
    integers = sorted(set(re.findall(r"sym_(?:floordiv|mod|pow)_([iu])(\d+)", words)))
    joined = "\n\n".join(["\n".join(lines), *sections, _RUNTIME.strip("\n")])
    joined = joined.replace("SYM_INTEGERS", "\n".join(
        f"SYM_INT({'u' if kind == 'u' else ''}int{bits}_t, {kind}{bits})" for kind, bits in integers))
    return joined.replace("SYM_VECTOR_FUNCTIONS", " ".join(f"SYM_SIMD1({n})" for n in vector)) + "\n"
