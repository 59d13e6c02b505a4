"""The import order of the house, read from the sources."""
from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "symbolic"
#: level of a module by the first prefix that fits; a module may import its own level's package and lower ones
LEVELS = [("errors", 0), ("source", 0), ("collector", 0), ("config", 1), ("types", 2), ("mode", 2), ("philox", 2), ("scalar", 3),
          ("template", 3), ("layout", 4), ("graph", 4), ("fgraph", 5), ("nullgrad", 5), ("pickling", 5), ("branch", 6),
          ("loop", 6), ("infer", 6), ("reverse", 7), ("forward", 8), ("batching", 6), ("shared", 9), ("ops", 9), ("opt", 10),
          ("codegen", 10), ("spec", 10), ("profiling", 10),
           ("compiled", 11), ("sparse_calls", 11), ("function", 12), ("saving", 12), ("printing", 12),
          ("testing.fuzz", 15), ("testing.coverage", 15), ("testing.gpu", 15), ("testing", 13),
          ("gradient", 14), ("sparse", 14), ("compile", 14), ("random", 14), ("sandbox", 14), ("tensor", 14), ("cli", 14)]
#: What looks at graphs, and what programs of Theano's time import.
LEVELS += [("theano_flags", 0), ("tree", 5), ("misc", 10), ("testvalues", 11.5), ("monitor", 11.5), ("typed_list", 12),
           ("tiered", 11.5), ("on_device", 11.5), ("ifelse", 14),
           ("gof", 13), ("doctor", 13), ("tests", 14), ("theano", 15), ("__main__", 16)]
#: codegen knows graphs, not ops; opt and codegen don't know each other; ops and opt know no codegen
FORBIDDEN = {"codegen": ("ops", "opt", "shared", "reverse", "forward"), "opt": ("codegen",), "ops": ("codegen", "opt")}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def level(module: str) -> int:
    name = module.removeprefix("symbolic.")
    for prefix, n in LEVELS:
        if name == prefix or room(module) == prefix:
            return n
    raise AssertionError(f"{module} has no place in the import order: add it to LEVELS and to docs/internals.md")


def imports(tree: ast.AST) -> list[tuple[str, bool]]:
    """Return our modules that a tree imports, and whether inside a function."""
    found = []
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef))
              for n in ast.walk(f)}
    for n in ast.walk(tree):
        if isinstance(n, ast.Import):
            names = [a.name for a in n.names]
        elif isinstance(n, ast.ImportFrom) and n.module:
            names = [f"symbolic.{a.name}" for a in n.names] if n.module == "symbolic" else [n.module]
        else:
            continue
        found += [(m, id(n) in inside) for m in names if m.startswith("symbolic.")]
    return found


def violations(module: str, source: str) -> list[str]:
    out = []
    for target, inside in imports(ast.parse(source)):
        if inside:
            out.append(f"{module} imports {target} inside a function")
        if room(target) == room(module) and level(target) <= level(module):
            continue
        if level(target) >= level(module) and not (room(module), room(target)) == ("ops", "shared"):
            out.append(f"{module} imports {target}, which stands above it")
        if room(target) in FORBIDDEN.get(room(module), ()):
            out.append(f"{module} must not know {target}")
    return out


FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_imports_go_one_way(path):
    module = "symbolic." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert violations(module, path.read_text()) == []


def test_the_checker_sees_planted_violations():
    assert violations("symbolic.codegen.c", "from symbolic.ops.reduce import sum")
    assert violations("symbolic.graph", "import symbolic.function")
    assert violations("symbolic.function", "def f():\n    from symbolic.graph import Op")
    assert not violations("symbolic.function", "from symbolic.graph import Op")
