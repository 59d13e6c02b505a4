"""C code of users' ops in Theano's form, as an extension module: it works on NumPy's array objects, so it isn't part of the
program, which knows no Python, but a step of it.

Compiled once for each text (C++ where there is a compiler for it, as Theano did, else C) and kept in the cache directory.
"""
from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.codegen.compiler import find_compiler
from symbolic.codegen.files import private
from symbolic.config import config
from symbolic.graph import Apply, describe

_TEXT = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <numpy/arrayobject.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
{headers}
{types}
{macros}
{support}

static int prepare(void)
{{
    int failure = 0;
    {{
{init}
    }}
    goto fail;
fail:
    return failure;
}}

static PyObject *run(PyObject *self, PyObject *arguments)
{{
    int failure = 0;
    PyObject *result = NULL;
{declare}
    if (!PyArg_ParseTuple(arguments, "{letters}"{addresses}))
        return NULL;
    {{
{code}
    }}
    goto fail;
fail:
    {{
{cleanup}
    }}
{collect}
    return result;
}}

static void finish(void *module)
{{
{finish}
}}

static PyMethodDef methods[] = {{{{"run", run, METH_VARARGS, NULL}}, {{NULL, NULL, 0, NULL}}}};
static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "c_op", NULL, -1, methods, NULL, NULL, NULL, finish}};

PyMODINIT_FUNC PyInit_c_op(void)
{{
    import_array();
    if (prepare()) {{
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "the initialisation of a C op failed");
        return NULL;
    }}
    return PyModule_Create(&definition);
}}
"""
_FAIL = "{ failure = 1; goto fail; }"


def c_function(node: Apply) -> Callable[..., Any] | None:
    """Return what computes an application from arrays by the C code of its op; None without a compiler.

    Raises
    ------
    CompileError
        If the code doesn't compile; the text names the op and the user's line.
    """
    compiler = compiler_command()
    if compiler is None:
        return None
    text = extension_text(node)
    try:
        module = _built(text, *_options(node), compiler)
    except errors.CompileError as error:
        raise errors.CompileError(errors.message(node.op.name, f"its C code doesn't compile:\n{error}",
                                                 tuple(describe(v) for v in node.inputs), node.loc)) from None
    destroyed = {k for ks in (getattr(node.op, "destroy_map", None) or {}).values() for k in ks}
    return functools.partial(_call, module.run, destroyed, _checked_by(node))


def _checked_by(node: Apply) -> tuple[np.dtype, ...]:
    return tuple(np.dtype(v.dtype) for v in node.inputs)


def _call(run: Callable[..., Any], destroyed: set[int], dtypes: Sequence[np.dtype], *arrays: np.ndarray) -> Any:
    # the code trusts what it is given: an array of another dtype would be read as what it isn't
    given = [np.array(a, d) if k in destroyed else np.require(a, d, ["A", "E"])
             for k, (a, d) in enumerate(zip(arrays, dtypes, strict=True))]
    return run(*given)


def compiler_command() -> tuple[str, ...] | None:
    """Return a command that compiles C++, or C where there is none; None without any."""
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return (name,)
    found = find_compiler()
    return None if found is None else found.command


def _part(node: Apply, method: str, *arguments: Any) -> Any:
    """Return what a method of Theano's gives; nothing where the op doesn't have it."""
    function = getattr(node.op, method, None)
    if function is None:
        return ""
    try:
        return function(*arguments)
    except NotImplementedError:  # Theano's exception for what isn't defined is one of these
        return ""


def _listed(found: Any) -> list[str]:
    return [] if not found else [found] if isinstance(found, str) else list(found)


def extension_text(node: Apply) -> str:
    """Return the source of the extension for an application."""
    name = "node_" + hashlib.sha256(f"{node.op}{[v.type for v in (*node.inputs, *node.outputs)]}".encode()).hexdigest()[:12]
    ins = [f"V{k + 1}" for k in range(len(node.inputs))]
    outs = [f"V{k + 1 + len(ins)}" for k in range(len(node.outputs))]
    sub = {"fail": _FAIL, "params": "NULL", "struct_id": name}
    variables = dict(zip([*ins, *outs], [*node.inputs, *node.outputs], strict=True))
    macros = [("FAIL", _FAIL), *(node.op.c_macros(node, name, ins, outs) if hasattr(node.op, "c_macros") else ())]
    headers = [f"#include {h if h[:1] in '<' + chr(34) else f'<{h}>'}" for h in _listed(_part(node, "c_headers"))]
    support = [_part(node, "c_support_code"), _part(node, "c_support_code_apply", node, name),
               _part(node, "c_support_code_struct", node, name)]
    init = [*_listed(_part(node, "c_init_code")), _part(node, "c_init_code_apply", node, name),
            _part(node, "c_init_code_struct", node, name, sub)]
    collect = ["    if (!failure) {",
               *(f'        if (!{o}) {{ failure = 1; PyErr_SetString(PyExc_RuntimeError, "output {k} was not set"); }}'
                 for k, o in enumerate(outs)), "    }", "    if (failure) {",
               *(f"        Py_XDECREF((PyObject *){o});" for o in outs), "        if (!PyErr_Occurred())",
               '            PyErr_SetString(PyExc_RuntimeError, "the C code failed without saying why");', "        return NULL;",
               "    }", f'    result = Py_BuildValue("({"N" * len(outs)})", {", ".join(f"(PyObject *){o}" for o in outs)});']
    return _TEXT.format(
        headers="\n".join(headers), types="\n".join(f"typedef npy_{v.dtype} dtype_{n};" for n, v in variables.items()),
        macros="\n".join(f"#define {n} {value}" for n, value in macros), support="\n".join(support), init="\n".join(init),
        declare="\n".join(f"    PyArrayObject *{n} = NULL;" for n in variables),
        letters="".join("O!" for _ in ins), addresses="".join(f", &PyArray_Type, &{n}" for n in ins),
        code=node.op.c_code(node, name, ins, outs, sub),  # type: ignore[attr-defined]
        cleanup=_part(node, "c_code_cleanup", node, name, ins, outs, sub), collect="\n".join(collect),
        finish=_part(node, "c_cleanup_code_struct", node, name))


def _options(node: Apply) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the options in front of the source and behind it."""
    before = [*_listed(_part(node, "c_compile_args")), *(f"-I{d}" for d in _listed(_part(node, "c_header_dirs")))]
    unwanted = set(_listed(_part(node, "c_no_compile_args")))
    after = [*(f"-L{d}" for d in _listed(_part(node, "c_lib_dirs"))), *(f"-l{n}" for n in _listed(_part(node, "c_libraries")))]
    return tuple(o for o in before if o not in unwanted), tuple(after)


@functools.lru_cache(maxsize=256)
def _built(text: str, before: tuple[str, ...], after: tuple[str, ...], compiler: tuple[str, ...]) -> Any:
    include = sysconfig.get_paths()["include"]
    options = [*(("-x", "c++") if compiler[0].endswith("++") else ()), "-O2", "-fPIC", "-shared", "-fwrapv", "-w", *before]
    key = hashlib.sha256("\0".join([text, *options, *after, *compiler, include, np.__version__]).encode()).hexdigest()[:32]
    private(config.cache_dir)
    folder = Path(config.cache_dir) / "c_ops"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"{key}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            source, made = Path(place, "c_op.c"), Path(place, "c_op.so")
            source.write_text(text, encoding="utf-8")
            done = subprocess.run([*compiler, *options, f"-I{include}", f"-I{np.get_include()}", str(source), "-o", str(made),
                                   *after], capture_output=True, text=True, check=False)
            if done.returncode:
                wrong = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
                raise errors.CompileError("\n".join(wrong[:10]))
            os.replace(made, file)
    loader = importlib.machinery.ExtensionFileLoader("c_op", str(file))
    spec = importlib.util.spec_from_loader("c_op", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
