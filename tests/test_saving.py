"""Files of functions, expressions and shared variables: what comes back, what is refused."""
from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.errors import SaveError


def again(value):
    kept = io.BytesIO()
    symbolic.save(kept, value)
    return symbolic.load(kept)


def _programs():
    """Outputs over x (float64 vector) and n (int64) by what they are made with."""
    x, n = T.dvector("x"), T.lscalar("n")
    w = symbolic.shared(np.array([[1.0, -2.0], [0.5, np.nan]]), "w")
    i = T.arange(n)
    power, _ = symbolic.scan(lambda a, p: a * p, sequences=[x], outputs_info=T.ones(()))
    nested, _ = symbolic.scan(lambda v: symbolic.scan(lambda u, t: u * t + v, sequences=[x], outputs_info=T.zeros(()))[0][-1],
                              sequences=[x])
    s = T.dvector("s")
    twice = symbolic.op_from_graph([s], [s * 2 + T.sum(s)])
    yield "elementwise", [T.exp(x) * 2 + x ** 3, T.switch(x > 0, x, -np.inf)]
    yield "shared", [T.dot(w, x[:2]), w[::-1, 0]]
    yield "indexing", [x[n:], x[[0, 2]], T.set_subtensor(x[1:3], 0), T.inc_subtensor(x[[1, 1]], 1.0)]
    yield "reductions", [x.sum(), x.argmax(), x.var(), T.nnet.softmax(x), T.sort(x)]
    yield "integers", [i * 3, i.astype("float32") / 2, T.eye(n)]
    yield "scan", [power, nested, symbolic.grad(power.sum(), x)]
    yield "ifelse", [symbolic.ifelse(T.gt(n, 2), x, -x)]
    yield "of graphs", [twice(x), symbolic.grad(twice(x).sum(), x), symbolic.checkpoint(T.tanh(x))]
    yield "linear algebra", [T.nlinalg.matrix_inverse(T.outer(x, x) + T.eye(x.shape[0])), T.nlinalg.det(T.diag(x))]


@pytest.mark.parametrize("name", [name for name, _ in _programs()])
def test_functions_come_back(name):
    outputs = dict(_programs())[name]
    leaves = {v.name: v for v in symbolic.graph.inputs_of(outputs) if v.name in ("x", "n")}
    f = symbolic.function(list(leaves.values()), outputs, name=name)
    values = {"x": np.array([1.0, -2.0, 3.0, 0.5]), "n": 3}
    given = [values[k] for k in leaves]
    g = again(f)
    assert g.name == name and g is not f
    for a, b in zip(f(*given), g(*given), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    for a, b in zip(f(*given), symbolic.function([leaves[k] for k in leaves], outputs, mode="FAST_COMPILE")(*given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_state_is_a_copy_and_sharing_stays():
    x, w = T.dvector("x"), symbolic.shared(np.zeros(2), "w")
    f = symbolic.function([x], w.sum(), updates=[(w, w + x)])
    get = symbolic.function([], w * 1)
    f([1, 2])
    kept = again({"train": f, "get": get, "w": w, "note": "after 1 step", "numbers": [1, 2.5, np.float32(3), 1j, None]})
    assert kept["note"] == "after 1 step" and kept["numbers"] == [1, 2.5, 3.0, 1j, None]
    assert kept["numbers"][2].dtype == "float32"
    kept["train"]([10, 10])
    np.testing.assert_array_equal(kept["get"](), [11, 12])
    np.testing.assert_array_equal(kept["w"].get_value(), [11, 12])
    np.testing.assert_array_equal(w.get_value(), [1, 2])


def test_inputs_with_options_dicts_and_modes():
    x, k, c = T.dvector("x"), T.dscalar("k"), T.dscalar("count")
    f = symbolic.function([x, symbolic.In(k, value=2.0), symbolic.In(c, value=0.0, update=c + 1)], {"y": x * k, "c": c},
                          mode=symbolic.Mode("FAST_COMPILE").excluding("canonicalize"), name="named")
    f([1.0])
    g = again(f)
    assert g([3.0])["y"] == [6.0] and g[c.name] == 2 and f["count"] == 1 and g.name == "named"
    assert g.spec.mode == f.spec.mode


def test_random_streams_go_on_where_they_were():
    stream = T.shared_randomstreams.RandomStreams(7)
    f = symbolic.function([], stream.normal((3,)))
    f()
    g = again(f)
    np.testing.assert_array_equal(f(), g())


def test_expressions_and_deep_ones():
    x = T.dscalar("x")
    y = x
    for _ in range(20_000):
        y = y + 1.0
    a, b = again([x, y])
    assert a.name == "x" and b.type == y.type
    y = x * 2
    both = again((x, y, y.owner.inputs[0] is x))
    assert both[2] is True


def test_another_process_loads_it(tmp_path):
    x = T.dvector("x")
    path = tmp_path / "f.symbolic"
    symbolic.save(path, symbolic.function([x], T.tanh(x).sum()))
    code = f"import symbolic; print(repr(float(symbolic.load({str(path)!r})([0.5, 1.0]))))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    assert float(out.stdout) == pytest.approx(np.tanh([0.5, 1.0]).sum(), rel=1e-14)
    assert [p.name for p in tmp_path.iterdir()] == ["f.symbolic"]


class Mine(symbolic.Op):
    """An op of the user's."""

    def infer_type(self, *types):
        return types[:1]

    def reference(self, x):
        return (x + 1,)


def test_what_is_not_ours_is_refused(tmp_path):
    x = T.dvector("x")
    path = tmp_path / "kept"
    path.write_text("before")
    with pytest.raises(SaveError, match="(?s)Mine.*holds no code.*hint"):
        symbolic.save(path, symbolic.function([x], Mine()(x)))
    for wrong in (print, object(), {"a": lambda: 1}, np.array([object()])):
        with pytest.raises(SaveError):
            symbolic.save(path, wrong)
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["kept"]


def _file(value, **header):
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("symbolic.json", json.dumps({"format": 1, "package": "symbolic", "value": value} | header))
    return kept


@pytest.mark.parametrize("value", [
    {"call": "os:system", "args": ["true"]}, {"name": "subprocess:run"}, {"call": "symbolic.cli:main", "args": []},
    {"call": "symbolic.saving:load", "args": ["x"]}, {"call": "symbolic.codegen.compiler:os.system", "args": ["true"]},
    {"call": "symbolic.graph:np", "args": []}, {"name": "symbolic.saving:importlib"}, {"new": "symbolic.ops.gone:Op", "args": []},
    {"again": 3}, {"array": 0}, {"call": "symbolic.types:TensorType", "args": ["float99"]}, {"what": 1},
])
def test_files_that_ask_for_more_are_refused(value):
    with pytest.raises((SaveError, symbolic.errors.DTypeError)):
        symbolic.load(_file(value))


def test_damage_and_later_formats(tmp_path):
    with pytest.raises(SaveError, match=r"format 99.*\n.*later version"):
        symbolic.load(_file(1, format=99))
    with pytest.raises(SaveError, match="isn't one"):
        symbolic.load(_file(1, package="other"))
    good = io.BytesIO()
    symbolic.save(good, symbolic.shared(np.arange(1000.0)))
    data = good.getvalue()
    for broken in (b"", b"not a zip", data[:len(data) // 2], data[:2000] + b"\0" * 50 + data[2050:]):
        with pytest.raises(SaveError, match="damaged"):
            symbolic.load(io.BytesIO(broken))
    with pytest.raises(FileNotFoundError):
        symbolic.load(tmp_path / "none")
