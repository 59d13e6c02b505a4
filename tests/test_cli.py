"""``symbolic-cache``: every command on functions that were really compiled, as text and as JSON."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import cli
from symbolic.codegen.cache import Cache


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    with symbolic.config.change_flags(cache_dir=str(path)):
        x = T.matrix("x")
        w = symbolic.shared(np.eye(3), "w")
        f = symbolic.function([x], T.tanh(T.dot(x, w)).sum(), updates=[(w, w * 0.5)], name="training")
        symbolic.function([x], T.exp(x), name="exponential")
        symbolic.function([x], T.dot(x, w).sum(), name="exponent sum")
        f(np.ones((2, 3)))
    return path


@pytest.fixture
def run(folder, capsys, monkeypatch):
    """Run a command; return its exit status, and what it printed, parsed where it is JSON."""
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: str):
        status = cli.main([*arguments, "--cache-dir", str(folder)])
        out = capsys.readouterr().out
        return status, json.loads(out) if "--json" in arguments else out

    return call


def key(folder, name):
    return next(e.key for e in Cache(folder).functions() if e.manifest["name"] == name)


def test_list_sorts_filters_and_limits(run, folder):
    status, text = run("list")
    assert not status and "training" in text and "test_cli.py:" in text and "exponential" in text
    rows = run("list", "--json")[1]
    assert {r["name"] for r in rows} == {"training", "exponential", "exponent sum"}
    row = next(r for r in rows if r["name"] == "training")
    assert row["file"] == __file__ and row["line"] > 0 and row["size"] > 1000 and row["hits"] == 0
    assert row["kernels"] >= 2 and row["seconds"] > 0 and row["compiler"] and row["cpu"]
    sizes = [r["size"] for r in run("list", "--sort", "size", "--json")[1]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[::-1] == [r["size"] for r in run("list", "--sort", "size", "--reverse", "--json")[1]]
    assert [r["name"] for r in run("list", "--filter", "train", "--json")[1]] == ["training"]
    assert len(run("list", "--limit", "2", "--json")[1]) == 2


def test_show_tells_graph_stages_kernels_flags_and_plan(run, folder):
    status, text = run("show", "training")
    assert not status
    for part in ("training", "dot(x, w)", "infer", "build", "-O2", "kernel", "test_cli.py"):
        assert part in text, part
    found = run("show", key(folder, "training")[:8], "--json")[1]
    assert found["key"] == key(folder, "training") and "graph" in str(found) and "plan" in str(found)


def test_source_is_the_c_and_asm_the_code_of_the_kernels(run, folder):
    assert "int symbolic_run(" in run("source", "training")[1]
    assert "int symbolic_run(" in str(run("source", "training", "--json")[1])
    assert "k_" in run("asm", "exponential")[1]
    assert "k_" in run("asm", "exponential", "--json")[1]["assembly"]


def test_asm_without_objdump_asks_the_compiler(run, monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *rest: None if name == "objdump" else which(name, *rest))
    found = run("asm", "exponential", "--json")[1]
    assert found["tool"] in ("gcc", "clang", "zig") and "k_" in found["assembly"]


def test_why_says_what_differs(run, folder):
    text = run("why", "exponential", "exponent sum")[1]
    assert "kernels:" in text and "graph:" in text and "+output" in text.replace(" ", "") or "dot(x, w)" in text
    assert set(run("why", "exponential", "training", "--json")[1]["differences"]) >= {"name", "graph", "kernels"}
    assert "nothing" in run("why", "training", "training")[1]


def test_stats_and_path(run, folder):
    stats = run("stats", "--json")[1]
    assert stats["functions"] == 3 and stats["libraries"] >= 3 and stats["bytes"] > 0
    assert "functions" in run("stats")[1]
    assert run("path")[1].strip() == str(folder)
    assert run("path", "--json")[1]["path"] == str(folder)


def test_unknown_and_ambiguous_keys_are_errors_that_help(folder, capsys):
    assert cli.main(["show", "nothing-like-it", "--cache-dir", str(folder)]) == 2
    assert "nothing-like-it" in capsys.readouterr().err
    assert cli.main(["source", "", "--cache-dir", str(folder)]) == 2
    assert "training" in capsys.readouterr().err


def test_verify_prune_and_clear(tmp_path, capsys):
    with symbolic.config.change_flags(cache_dir=str(tmp_path)):
        x = T.vector("x")
        for k in range(3):
            symbolic.function([x], T.exp(x) * (k + 0.125), name=f"f{k}")
    place = ["--cache-dir", str(tmp_path)]
    assert cli.main(["verify", *place]) == 0
    library = next((tmp_path / "v1" / "libraries").glob("*.so"))
    library.write_bytes(library.read_bytes()[:-1] + b"x")
    capsys.readouterr()
    assert cli.main(["verify", "--json", *place]) == 1
    assert "hash" in json.loads(capsys.readouterr().out)["damaged"][0]["problem"]
    assert cli.main(["verify", *place]) == 0
    assert len(Cache(tmp_path).functions()) == 2
    assert cli.main(["prune", "--older-than", "1d", *place]) == 0
    assert len(Cache(tmp_path).functions()) == 2
    assert cli.main(["prune", "--max-size", "0", *place]) == 0
    assert Cache(tmp_path).functions() == []
    capsys.readouterr()
    assert cli.main(["clear", "--yes", "--json", *place]) == 0
    assert "bytes" in json.loads(capsys.readouterr().out)
    with pytest.raises(SystemExit):
        cli.main(["prune", "--max-size", "many", *place])
    assert "many" in capsys.readouterr().err


def test_it_runs_as_a_module_and_is_not_cut_in_a_pipe(folder):
    done = subprocess.run([sys.executable, "-m", "symbolic.cli", "list"], capture_output=True, text=True, check=True,
                          env=os.environ | {"SYMBOLIC_CACHE_DIR": str(folder), "COLUMNS": "50"})
    row = next(line for line in done.stdout.splitlines() if "training" in line)
    assert "test_cli.py:" in row and next(e for e in Cache(folder).functions()).manifest["cpu"] in row
