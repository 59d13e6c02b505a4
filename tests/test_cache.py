"""The cache directory: damage is found, prune takes the least recently used, strange files do no harm."""
from __future__ import annotations

import os
import time

import pytest

from symbolic.cli import main
from symbolic.codegen.cache import Cache
from symbolic.errors import CacheError


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path / "cache")
    for k in range(3):
        built = tmp_path / f"b{k}" / "x.so"
        built.parent.mkdir()
        built.write_bytes(b"code" * 100)
        cache.store_library(f"lib{k}", built, f"int f{k};", {"kernels": [f"k{k}"]})
        cache.store_kernels({f"k{k}": f"lib{k}"})
        cache.store_function({"key": f"f{k}", "name": f"n{k}", "libraries": [f"lib{k}"]})
    return cache


def folder(cache, name):
    return cache.path / name


def test_what_is_stored_is_found(cache):
    assert cache.function("f1")["name"] == "n1"
    assert cache.kernel("k2") == "lib2"
    assert cache.library_source("lib0") == "int f0;"
    assert cache.verify() == []


@pytest.mark.parametrize("file", ["libraries/lib1.so", "libraries/lib1.c", "libraries/lib1.json", "functions/f1.json"])
def test_a_truncated_file_is_found_and_its_function_becomes_a_miss(cache, file):
    path = cache.path / file
    path.write_bytes(path.read_bytes()[:-3])
    assert path in [d.path for d in cache.verify()]
    assert cache.function("f1") is None
    assert cache.function("f0") is not None
    assert cache.verify() == []


def test_prune_takes_the_least_recently_used_and_spares(cache):
    for k, age in enumerate((3000, 2000, 1000)):
        for path in folder(cache, "functions").glob(f"f{k}.*"):
            os.utime(path, (time.time() - age,) * 2)
    cache.prune(older_than=1500, spare="f0")
    assert [e.key for e in cache.functions()] == ["f2", "f0"]
    assert cache.kernel("k1") is None


@pytest.mark.parametrize("work", [Cache.verify, Cache.prune])
def test_a_file_with_a_strange_name_does_no_harm(cache, work):
    (folder(cache, "kernels") / ".DS_Store").write_bytes(b"x")
    work(cache)
    assert cache.function("f0") is not None


def test_a_directory_that_others_can_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(CacheError, match="can be written by others .*777"):
        Cache(tmp_path)


def test_an_error_of_the_disk_is_a_message_and_status_2(cache, monkeypatch, capsys):
    def fail(*_):
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr(Cache, "prune", fail)
    assert main(["prune", "--cache-dir", str(cache.base)]) == 2
    assert "symbolic-cache: [Errno 13] Permission denied" in capsys.readouterr().err
