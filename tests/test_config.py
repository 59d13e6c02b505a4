"""Settings: every variable, every check, and scopes that can't restore each other's values."""
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from symbolic.config import (
    Config,
    available_cores,
    config,
    parse_size,
    user_cache_dir,
    variable,
)

FROM_ENVIRONMENT = {
    "floatX": ("float32", "float32"),
    "mode": ("CHECK", "CHECK"),
    "device": ("cuda1", "cuda1"),
    "device_outputs": ("1", True), "deterministic": ("more", "more"),
    "on_unused_input": ("warn", "warn"),
    "allow_input_downcast": ("true", True),
    "cast_policy": ("numpy+floatX", "numpy+floatX"), "warn_float64": ("raise", "raise"),
    "exception_verbosity": ("high", "high"),
    "compute_test_value": ("raise", "raise"),
    "print_test_value": ("true", True),
    "nan_guard_action": ("warn", "warn"),
    "cache_dir": ("/tmp/elsewhere", "/tmp/elsewhere"),
    "cache_max_size": ("500M", 500 * 1024**2),
    "cc": ("ccache gcc", "ccache gcc"),
    "cflags": ("-g -O1", "-g -O1"),
    **{f"optimizer_{how}": ("a:b", "a:b") for how in ("including", "excluding", "requiring")},
    "tiered": ("1", True),
    "threads": ("3", 3),
    "openmp": ("off", False),
    "openmp_threshold": ("1000", 1000),
    "vector_libm": ("0", False),
    "conv_winograd": ("4", 4),
    "dump": ("/tmp/dump", "/tmp/dump"),
}
WRONG = {"device_outputs": "perhaps", "deterministic": "very",
    "floatX": "float23", "mode": "FAST", "device": "tpu", "on_unused_input": "shout",
    "allow_input_downcast": "maybe", "warn_float64": 1, "cast_policy": "c", "exception_verbosity": "loud",
    "compute_test_value": "yes", "print_test_value": "perhaps", "nan_guard_action": "stop",
    "cache_dir": "", "cache_max_size": "many", "cc": 3, "cflags": ["-g"],
    "optimizer_including": 1, "optimizer_excluding": 1, "optimizer_requiring": 1, "threads": -1, "tiered": 3,
    "openmp": "perhaps", "openmp_threshold": 1.5, "vector_libm": "?", "conv_winograd": 3, "dump": 7,
}


@pytest.mark.parametrize("name", [row.name for row in config.describe()])
def test_every_setting_is_read_from_its_variable(name):
    text, value = FROM_ENVIRONMENT[name]
    assert getattr(Config.from_environ({variable(name): text}), name) == value
    assert getattr(Config.from_environ({}), name) != value


@pytest.mark.parametrize("name", [row.name for row in config.describe()])
def test_every_setting_refuses_a_wrong_value_and_says_what_it_accepts(name):
    before = getattr(config, name)
    accepts = next(row.accepts for row in config.describe() if row.name == name)
    with pytest.raises(ValueError) as raised:
        setattr(config, name, WRONG[name])
    assert str(raised.value) == f"config.{name}: expected {accepts}, got {WRONG[name]!r}"
    assert getattr(config, name) == before


def test_error_of_a_variable_names_the_variable():
    with pytest.raises(ValueError, match=r"SYMBOLIC_FLOATX: expected one of 'float64', 'float32', "
                                         r"'float16', got 'float23'"):
        Config.from_environ({"SYMBOLIC_FLOATX": "float23"})


def test_environment_reaches_the_instance():
    code = "from symbolic.config import config; print(config.floatX, config.cache_max_size)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=os.environ | {"SYMBOLIC_FLOATX": "float16",
                                            "SYMBOLIC_CACHE_MAX_SIZE": "1k"})
    assert done.stdout == "float16 1024\n"


def test_unknown_settings_suggest_the_known():
    with pytest.raises(AttributeError, match="no setting 'floatx'\nhint: did you mean 'floatX'"):
        config.floatx = "float32"
    with pytest.raises(AttributeError, match="hint: the settings are floatX, mode"):
        _ = config.qqqq
    with pytest.raises(AttributeError, match="did you mean 'threads'"):
        config.change_flags(thread=1)


def test_change_flags_is_a_context_manager_and_a_decorator():
    @config.change_flags(floatX="float16", threads=2)
    def inner():
        return config.floatX, config.threads

    before = config.floatX, config.threads
    assert inner() == inner() == ("float16", 2)
    with config.change_flags(floatX="float32"):
        assert config.floatX == "float32"
        assert inner() == ("float16", 2)
        config.floatX = "float16"  # an assignment inside ends with the block
        assert config.floatX == "float16"
    assert (config.floatX, config.threads) == before


def test_change_flags_checks_at_once_and_restores_after_an_error():
    with pytest.raises(ValueError, match="config.floatX: expected"):
        config.change_flags(floatX="float23")
    with pytest.raises(ZeroDivisionError), config.change_flags(floatX="float32"):
        raise ZeroDivisionError
    assert config.floatX == "float64"


def test_interleaved_threads_dont_restore_each_others_values():
    entered, left = threading.Event(), threading.Event()
    seen = []

    def first():
        with config.change_flags(floatX="float32"):
            entered.set()
            left.wait(10)
            seen.append(config.floatX)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    assert config.floatX == "float64"
    with config.change_flags(floatX="float16"):
        left.set()
        thread.join()
        assert config.floatX == "float16"
    assert seen == ["float32"] and config.floatX == "float64"


@pytest.mark.parametrize("text, size", [
    ("0", 0), ("17", 17), ("1k", 1024), ("500M", 524288000), ("2G", 2 << 30), ("2 GiB", 2 << 30),
    ("1.5T", 3 << 39), ("10 MB", 10 << 20), (2048, 2048)])
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "12X", -1, True, 1.5])
def test_sizes_refused(text):
    with pytest.raises(ValueError):
        parse_size(text)


def test_cache_dir_is_the_one_of_platformdirs():
    platformdirs = pytest.importorskip("platformdirs")
    assert user_cache_dir() == platformdirs.user_cache_dir("symbolic", appauthor=False)


def test_zero_threads_are_the_cores_of_the_process(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with config.change_flags(threads=0):
        assert config.num_threads() == available_cores() >= 1
    with config.change_flags(threads=5):
        assert config.num_threads() == 5


@pytest.mark.parametrize("text, want", [("1", 1), (" 2,1", 2), ("100", 4), ("0", 4), ("-3", 4), ("many", 4), ("", 4)])
def test_openmps_variable_says_fewer_threads(monkeypatch, text, want):
    monkeypatch.setattr(sys.modules["symbolic.config"], "available_cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    with config.change_flags(threads=0):
        assert config.num_threads() == want
    with config.change_flags(threads=3):
        assert config.num_threads() == 3, "the setting goes first"


def test_gpu_is_theanos_name_of_cuda():
    with config.change_flags(device="gpu0"):
        assert config.device == "cuda0"


def test_documentation_has_the_table():
    lines = [f"| `{r.name}` | `{r.variable}` | {r.default} | {r.accepts} | {r.doc} |"
             for r in config.describe()]
    page = (Path(__file__).parent.parent / "docs" / "config.md").read_text(encoding="utf-8")
    assert "\n".join(lines) in page


def test_config_is_cheap_to_import():
    folder = str(Path(sys.modules["symbolic.config"].__file__).parent)
    code = ("import configparser, dataclasses, contextlib, difflib, typing, time, importlib.util as u, sys, types\n"
            "sys.modules['symbolic'] = types.ModuleType('symbolic')  # without the rest of the package\n"
            f"sys.modules['symbolic'].__path__ = [{folder!r}]\n"
            f"s = u.spec_from_file_location('c', {sys.modules['symbolic.config'].__file__!r})\n"
            "m = u.module_from_spec(s); sys.modules['c'] = m\n"
            "t = time.process_time(); s.loader.exec_module(m); print(time.process_time() - t)\n"
            "assert 'platformdirs' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.05
