"""Ops whose code is C, in Theano's form: `c_code` and its family, and files of C with sections (`COp`).

Such code works on NumPy's array objects, so it is compiled as an extension of its own, which the program calls as it calls
Python; see ``codegen/c_extension``. An op of this package's own form gives a :class:`symbolic.template.Template` with a text.
"""
from __future__ import annotations

import inspect
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symbolic import errors
from symbolic.graph import Apply, Op
from symbolic.source import caller

#: The parts that a file may have; each is where the method ``c_<name>`` puts its text.
SECTIONS = ("init_code", "init_code_apply", "init_code_struct", "support_code", "support_code_apply", "support_code_struct",
            "cleanup_code_struct", "code", "code_cleanup")


class COp(Op):
    """An op of C files, which have sections: ``#section support_code``, ``#section code``, and so on.

    Parameters
    ----------
    func_files : str or list of str
        Paths, relative to the file that defines the class.
    func_name : str, optional
        A function of the ``support_code`` section, ``int name(PyArrayObject *in, ..., PyArrayObject **out, ...)``, that is
        called in the place of a ``code`` section; what isn't 0 is a failure, with a Python exception set. In
        ``support_code_apply``, its name is ``APPLY_SPECIFIC(name)``.

    Notes
    -----
    A class gives ``make_node``, or ``itypes`` and ``otypes``. Files may use the macros ``DTYPE_INPUT_0``, ``TYPENUM_INPUT_0``,
    ``ITEMSIZE_INPUT_0``, ``INPUT_0``, the same for ``OUTPUT``, ``APPLY_SPECIFIC(name)`` and ``FAIL``, and those of `op_params`.

    Raises
    ------
    GraphError
        If a file can't be read, has unknown sections, or has text before the first one.
    """

    #: Names and values that are ``#define``\\ d in front of the code.
    op_params: Sequence[tuple[str, Any]] = ()

    def __init__(self, func_files: str | Sequence[str], func_name: str | None = None) -> None:
        files = [func_files] if isinstance(func_files, str) else list(func_files)
        self.func_name = func_name
        self.func_files = [self.get_path(f) for f in files]
        self.func_codes = [_read(type(self).__name__, path) for path in self.func_files]
        self.code_sections: dict[str, str] = {}
        for path, text in zip(self.func_files, self.func_codes, strict=True):
            for name, part in sections(text, path).items():
                self.code_sections[name] = self.code_sections.get(name, "") + part
        if func_name is None and "code" not in self.code_sections:
            raise errors.GraphError(errors.message(
                type(self).__name__, f"{', '.join(self.func_files)} has no section 'code'", (), caller(),
                "begin it with #section code, or pass func_name= of a function of a support_code section"))
        if func_name is not None and "code" in self.code_sections:
            raise errors.GraphError(errors.message(type(self).__name__, "func_name= and a section 'code' exclude each other", (),
                                                   caller()))

    @classmethod
    def get_path(cls, f: str) -> str:
        """Return the path of a file beside the one that defines the class."""
        if os.path.isabs(f):
            return f
        try:
            return os.path.realpath(os.path.join(os.path.dirname(inspect.getfile(cls)), f))
        except TypeError:  # a class made at a prompt
            return os.path.realpath(f)

    def c_code_cache_version(self) -> tuple[Any, ...]:
        """Return what tells versions apart: the texts themselves."""
        return (tuple(self.func_codes), self.func_name)

    def get_op_params(self) -> Sequence[tuple[str, Any]]:
        """Return names and values that are ``#define``\\ d in front of the code."""
        return self.op_params

    def _section(self, name: str) -> str:
        return self.code_sections.get(name, "")

    def c_support_code(self) -> str:
        """Return what stands outside of functions, once."""
        return self._section("support_code")

    def c_support_code_apply(self, node: Apply, name: str) -> str:
        """Return what stands outside of functions, for each application."""
        return self._section("support_code_apply")

    def c_support_code_struct(self, node: Apply, name: str) -> str:
        """Return declarations of what an application keeps between calls."""
        return self._section("support_code_struct")

    def c_init_code(self) -> list[str]:
        """Return what runs when the code is loaded."""
        return [self._section("init_code")] if "init_code" in self.code_sections else []

    def c_init_code_apply(self, node: Apply, name: str) -> str:
        """Return what runs when the code is loaded, for each application."""
        return self._section("init_code_apply")

    def c_init_code_struct(self, node: Apply, name: str, sub: dict[str, str]) -> str:
        """Return what fills what an application keeps."""
        return self._section("init_code_struct")

    def c_cleanup_code_struct(self, node: Apply, name: str) -> str:
        """Return what gives back what an application keeps."""
        return self._section("cleanup_code_struct")

    def c_code(self, node: Apply, name: str, inputs: Sequence[str], outputs: Sequence[str], sub: dict[str, str]) -> str:
        """Return what computes the outputs."""
        if self.func_name is None:
            return self._section("code")
        arguments = ", ".join([*inputs, *(f"&{o}" for o in outputs)])
        return f"if ({self.func_name}({arguments}) != 0) {{ {sub['fail']} }}"

    def c_code_cleanup(self, node: Apply, name: str, inputs: Sequence[str], outputs: Sequence[str], sub: dict[str, str]
                       ) -> str:
        """Return what runs after that, also after a failure."""
        return self._section("code_cleanup")

    def c_macros(self, node: Apply, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> list[tuple[str, str]]:
        """Return macros that all parts may use."""
        found = [("APPLY_SPECIFIC(str)", f"str##_{name}")]
        for kind, variables, names in (("INPUT", node.inputs, inputs), ("OUTPUT", node.outputs, outputs)):
            for k, (v, symbol) in enumerate(zip(variables, names, strict=True)):
                found += [(f"DTYPE_{kind}_{k}", f"npy_{v.dtype}"), (f"TYPENUM_{kind}_{k}", f"NPY_{v.dtype.upper()}"),
                          (f"ITEMSIZE_{kind}_{k}", str(np.dtype(v.dtype).itemsize)), (f"{kind}_{k}", symbol)]
        return found + [(n, str(value)) for n, value in self.get_op_params()]


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise errors.GraphError(errors.message(name, f"can't read {path}: {error.strerror}", (), caller(),
                                               "func_files are relative to the file that defines the class")) from None


def sections(text: str, path: str = "the file") -> dict[str, str]:
    """Return the parts of a C file by name.

    Raises
    ------
    GraphError
        If it has none, text before the first, or one that isn't known.

    Examples
    --------
    >>> sections("#section code\\nOUTPUT_0 = 0;\\n")
    {'code': 'OUTPUT_0 = 0;\\n'}
    """
    parts = re.split(r"^#section\s+([A-Za-z0-9_]+)[^\S\n]*\n", text, flags=re.MULTILINE)
    before = re.sub(r"/\*.*?\*/|//[^\n]*", "", parts[0], flags=re.DOTALL)
    if len(parts) < 3 or before.strip():
        raise errors.GraphError(f"{path}: code must stand in sections\nhint: begin it with a line such as #section support_code; "
                                f"there are {', '.join(SECTIONS)}")
    found: dict[str, str] = {}
    for name, part in zip(parts[1::2], parts[2::2], strict=True):
        if name not in SECTIONS:
            raise errors.GraphError(f"{path}: there is no section {name!r}\nhint: the sections are {', '.join(SECTIONS)}")
        found[name] = found.get(name, "") + part
    return found


class OpenMPOp(Op):
    """The base of ops whose C code uses OpenMP.

    Parameters
    ----------
    openmp : bool, optional
        None: as ``config.openmp`` says.
    """

    def __init__(self, openmp: bool | None = None) -> None:
        self.openmp = openmp

    def c_compile_args(self) -> list[str]:
        """Return the compiler's option."""
        return ["-fopenmp"] if self.openmp is not False else []

    def c_headers(self) -> list[str]:
        """Return the header of OpenMP's functions."""
        return ["omp.h"] if self.openmp is not False else []
