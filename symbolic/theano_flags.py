"""Theano's settings beside this package's: what their names stand for, and reading ``THEANO_FLAGS`` and ``.theanorc``."""
from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

#: Theano's name of a setting, and ours, where they differ.
RENAMED = {"gcc.cxxflags": "cflags", "base_compiledir": "cache_dir", "compiledir": "cache_dir",
           "NanGuardMode.action": "nan_guard_action"}
#: What values of Theano's are called here; a value of None leaves the setting alone.
VALUES: dict[str, dict[str, Any]] = {
    "mode": {"Mode": "FAST_RUN", "DebugMode": "CHECK", "DEBUG_MODE": "CHECK"},
    "warn_float64": {"pdb": "warn"},
}
#: Settings of Theano that are accepted and kept, with Theano's defaults. Of these, `optimizer` and `linker` count where a
#: function has no mode of its own, and an empty `cxx` in a file or in THEANO_FLAGS means no compiler; `force_device` makes
#: it an error that ``config.device`` isn't there; the rest change nothing.
WITHOUT_EFFECT: dict[str, Any] = {
    "allow_gc": True, "assert_no_cpu_op": "ignore", "check_input": True,
    "compute_test_value_opt": "off", "conv.assert_shape": False, "cuda.root": "", "cxx": "g++",
    "device_off": "", "dnn.conv.algo_bwd": "", "dnn.conv.algo_bwd_data": "guess_once",
    "dnn.conv.algo_bwd_filter": "guess_once", "dnn.conv.algo_fwd": "small", "dnn.conv.precision": "as_input_f32",
    "dnn.enabled": "False", "dnn.include_path": "", "dnn.library_path": "", "enable_initial_driver_test": True,
    "experimental.local_alloc_elemwise": False, "experimental.unpickle_gpu_on_cpu": False, "force_device": False,
    "gpuarray.preallocate": 0, "gpuarray.sched": "default", "init_gpu_device": "", "int_division": "int",
    "lib.amdlibm": False, "lib.cnmem": 0.0, "linker": "cvm", "max_err_msgs": 10, "nvcc.fastmath": False,
    "on_opt_error": "warn", "on_shape_error": "warn", "openmp_elemwise_minsize": 200000, "optdb.max_use_ratio": 8.0,
    "optdb.position_cutoff": "inf", "optimizer": "fast_run", "optimizer_verbose": False, "pickle_test_value": True,
    "print_active_device": True, "print_global_stats": False, "profile": False, "profile_memory": False,
    "profile_optimizer": False, "profiling.destination": "stderr", "profiling.time_thunks": True,
    "reoptimize_unpickled_function": False, "root": "", "scan.allow_gc": False, "scan.allow_output_prealloc": True,
    "scan.debug": False, "tensor.cmp_sloppy": 0, "traceback.compile_limit": 0, "traceback.limit": 8, "unpickle_function": True,
    "warn.ignore_bug_before": "0.9", "warn.round": False, "blas.ldflags": "", "blas.check_openmp": True,
    "compile.timeout": 120, "compile.wait": 5, "cmodule.mac_framework_link": False, "nocleanup": False,
}
#: The parts of Theano's dotted names before the first dot.
SECTIONS = frozenset(name.partition(".")[0] for name in (*WITHOUT_EFFECT, *RENAMED) if "." in name)


class Flag(NamedTuple):
    """One setting as the user wrote it, and where."""

    name: str
    value: str
    source: str


def read_flags(environ: Mapping[str, str]) -> list[Flag]:
    """Return Theano's settings that files and the environment give; of several for one name the last counts.

    Parameters
    ----------
    environ : mapping
        ``THEANORC`` names files, separated as in ``PATH``; without it, ``~/.theanorc`` is read. ``THEANO_FLAGS`` holds
        settings as ``name=value``, separated by commas.

    Raises
    ------
    ValueError
        If a file isn't in the form of an INI file, or a flag has no ``=``.

    Examples
    --------
    >>> read_flags({"THEANO_FLAGS": "floatX=float32,blas.ldflags=-lopenblas", "THEANORC": ""})[0][:2]
    ('floatX', 'float32')
    """
    found: list[Flag] = []
    listed = environ.get("THEANORC")
    paths = [os.path.join("~", ".theanorc")] if listed is None else listed.split(os.pathsep)
    for path in paths:
        full = os.path.expanduser(path.strip())
        if path.strip() and os.path.exists(full):
            found += _from_file(full)
    for part in environ.get("THEANO_FLAGS", "").split(","):
        if part.strip():
            name, equals, value = part.partition("=")
            if not equals:
                raise ValueError(f"THEANO_FLAGS: {part.strip()!r} isn't name=value; settings are separated by commas")
            found.append(Flag(name.strip(), value.strip(), "THEANO_FLAGS"))
    return found


def _from_file(path: str) -> list[Flag]:
    parser = configparser.RawConfigParser()
    setattr(parser, "optionxform", str)  # noqa: B010  (names have capitals; a method, to a type checker)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a file of settings: {error}") from None
    return [Flag(name if section == "global" else f"{section}.{name}", value.strip(), path)
            for section in parser.sections() for name, value in parser.items(section)]
