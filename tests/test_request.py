"""The cache is asked before anything is rewritten: what is found again by a graph as written, and what isn't."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.codegen.cache import Cache
from symbolic.config import config
from symbolic.graph import Op
from symbolic.opt.rules import node_rule, unregister
from symbolic.scalar import IndexLambda, load


@pytest.fixture
def store(tmp_path):
    before = config.cache_dir
    config.cache_dir = tmp_path / "cache"
    yield Cache()
    config.cache_dir = before


def recalled(f):
    """Whether a function was found without its graph."""
    return f.program.loaded.places is not None


def picked(scale=2.0, dtype="float64"):
    """Return a function with every kind of thing that is stored: constants, an update, guards, an index that may be wrong."""
    x, i = T.matrix("x", dtype=dtype), T.lvector("i")
    y = T.vector("y", dtype=dtype)
    w = symbolic.shared(np.arange(3, dtype=dtype), "w")
    table = T.constant(np.linspace(0, 1, 300).reshape(100, 3).astype(dtype))
    rows = table[i]  # the line that an error names
    return symbolic.function([x, y, i], [T.nnet.softmax(x + y) * T.constant(np.array(scale, dtype)), rows.sum(), w],
                             updates=[(w, w + x[0])]), w


def checked(f, w, scale=2.0):
    x, y = np.arange(6.0).reshape(2, 3), np.array([1.0, -1, 0])
    e = np.exp(x + y - (x + y).max(axis=1, keepdims=True))
    soft, rows, old = f(x, y, [0, 99])
    np.testing.assert_allclose(soft, scale * e / e.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(rows, np.linspace(0, 1, 300).reshape(100, 3)[[0, 99]].sum(), rtol=1e-12)
    np.testing.assert_array_equal(old, np.arange(3))
    np.testing.assert_array_equal(w.get_value(), np.arange(3) + x[0])


def test_a_graph_is_found_as_it_was_written_and_only_that_one(store):
    first, w = picked()
    assert not recalled(first)
    checked(first, w)
    again, w = picked()
    assert recalled(again) and again.program._graph is None
    assert again.program.loaded.manifest["key"] == first.program.loaded.manifest["key"]
    checked(again, w)
    other, w = picked(3.0)
    assert not recalled(other)
    checked(other, w, 3.0)
    assert not recalled(picked(dtype="float32")[0])
    with config.change_flags(optimizer_excluding="stabilize"):
        assert not recalled(picked()[0])
    with config.change_flags(cflags="-DOTHER"):
        assert not recalled(picked()[0])
    x = T.vector("x")
    assert not recalled(symbolic.function([x], x + np.full(3, 0.5)))
    assert recalled(symbolic.function([x], x + np.full(3, 0.5)))
    assert not recalled(symbolic.function([x], x + np.array([0.5, 0.5, np.nan])))


def test_errors_of_a_function_that_was_found_are_those_of_the_one_that_was_compiled(store):
    texts = []
    for _ in range(2):
        f, w = picked()
        x, y = np.ones((2, 3)), np.ones(3)
        for arguments in ((x, y, [0, 100]), (x, np.ones(4), [0]), (np.ones((0, 3)), y, [0])):
            with pytest.raises(Exception) as error:
                f(*arguments)
            texts.append((type(error.value), str(error.value)))
        np.testing.assert_array_equal(w.get_value(), np.arange(3))
    assert texts[:3] == texts[3:]
    assert "rows = table[i]" in texts[3][1]


def test_a_failure_is_told_without_its_node_where_settings_have_changed(store):
    picked()
    f, _ = picked()
    assert recalled(f)
    with config.change_flags(optimizer_excluding="stabilize:canonicalize"), pytest.raises(IndexError, match="100"):
        f(np.ones((2, 3)), np.ones(3), [0, 100])


def test_extents_that_broadcast_are_compiled_for_and_found_as_well(store):
    for again in (False, True):
        f, _ = picked()
        soft, _, _ = f(np.ones((2, 3)), np.zeros(1), [0])
        np.testing.assert_allclose(soft, np.full((2, 3), 2 / 3))
        assert recalled(f) is again and len(f.variants) == 1
    assert store.stats()["requests"] == 2


def test_the_graph_of_a_function_that_was_found_is_made_when_it_is_asked_for(store):
    first, again = picked()[0], picked()[0]
    assert recalled(again)
    assert [str(n) for n in again.maker.fgraph.toposort()] == [str(n) for n in first.maker.fgraph.toposort()]


class Doubled(Op):
    """A user's op, whose name says nothing of what it does."""

    factor = 2.0

    def infer_type(self, x):
        return (x,)

    def infer_shape(self, x):
        return ((),)

    def compute(self, x):
        return IndexLambda(load(0, (), "float64") * self.factor)


def test_what_users_wrote_is_not_found_by_its_name(store):
    x = T.scalar("x")
    for factor in (2.0, 3.0):
        Doubled.factor = factor
        f = symbolic.function([x], Doubled()(x))
        assert not recalled(f) and f(1.5) == 1.5 * factor
        inner = symbolic.OpFromGraph([x], [Doubled()(x) + 1])
        g = symbolic.function([x], inner(x))
        assert not recalled(g) and g(1.5) == 1.5 * factor + 1
    assert store.stats()["requests"] == 0

    @node_rule("neg", name="test_request_rule")
    def rule(node):
        "neg(x) -> x"
        return node.inputs[0]

    try:
        f = symbolic.function([x], -x)
        assert f(1.0) == 1.0
    finally:
        unregister("test_request_rule")
    assert symbolic.function([x], -x)(1.0) == -1.0


def test_a_damaged_request_is_written_anew_reported_and_put_aside(store):
    x = T.vector("x")
    symbolic.function([x], T.exp(x) + 1)
    path, = (store.path / "requests").iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:len(whole) // 2], whole.replace(b'"function": "', b'"function": "../'), b"[]", whole + b" "):
        path.write_bytes(damaged)
        assert [d.path for d in store.verify(quarantine=False)] == [path]
        f = symbolic.function([x], T.exp(x) + 1)
        assert not recalled(f) and f([0.0]) == 2
        assert path.read_bytes() == whole and not store.verify()
    path.write_bytes(whole[:-1])
    assert len(store.verify()) == 1 and not path.exists()
    assert (store.path / "quarantine" / f"requests-{path.name}").exists()


def test_a_request_goes_with_its_function(store):
    x = T.vector("x")
    symbolic.function([x], T.exp(x) + 1)
    entry, = store.functions()
    (store.path / "functions" / f"{entry.key}.json").unlink()
    assert store.request(next(iter((store.path / "requests").iterdir())).stem)["function"] == entry.key
    assert symbolic.function([x], T.exp(x) + 1)([0.0]) == 2  # compiled again, and stored
    assert recalled(symbolic.function([x], T.exp(x) + 1))
    assert store.prune(max_size=0).functions == 1
    assert not list((store.path / "requests").iterdir())
    with pytest.raises(symbolic.errors.CacheError, match="its function f1 isn't in the cache"):
        store.store_request({"key": "r1", "function": "f1"})
