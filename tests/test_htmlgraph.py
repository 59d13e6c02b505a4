"""Graphs as pages: all that is in them, nothing that breaks them, and no other file."""
from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.graph import toposort
from symbolic.printing import d3viz, htmlgraph


def payload(page):
    text = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL).group(1)
    return json.loads(text)


def net(**options):
    x, y = T.fmatrix("x"), T.ivector("y")
    w, b = symbolic.shared(np.ones((4, 3), "float32"), "w"), symbolic.shared(np.zeros(3, "float32"), "b")
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(T.dot(x, w) + b), y).mean()
    updates = [(p, p - np.float32(0.1) * g) for p, g in zip((w, b), symbolic.grad(loss, [w, b]), strict=True)]
    return symbolic.function([x, y], loss, updates=updates, **options)


def test_all_of_a_function_is_there_with_lines_steps_and_times():
    f = net(profile=True)
    for _ in range(3):
        f(np.ones((5, 4), "float32"), np.zeros(5, "int32"))
    page = htmlgraph(f)
    data, graph = payload(page), f.maker.fgraph
    made = [n for n in data["nodes"] if n["kind"] == "apply"]
    assert len(made) == len(graph.toposort())
    assert sorted(n["type"] for n in made) == sorted(str(n.outputs[0].type) for n in graph.toposort())
    assert {n["label"] for n in data["nodes"] if n["kind"] == "shared"} == {"w", "b"}
    assert [n["label"] for n in data["nodes"] if n["kind"] == "output"] == ["output 0", "new w", "new b"]
    assert {n["file"] for n in made} == {__file__} and all(n["line"].startswith("test_htmlgraph.py:") for n in made)
    assert any("softmax(T.dot(x, w) + b)" in n["source"] for n in made)
    assert any("softmax(T.dot(x, w) + b)" in n.get("of_source", "") for n in made), "a gradient tells whose it is"
    edges = {(a, b) for a, b, _ in data["edges"]}
    assert all(a < b for a, b in edges), "operands come first"
    assert len([e for e in data["edges"] if data["nodes"][e[1]]["kind"] == "apply"]) == sum(
        len(n.inputs) for n in graph.toposort())
    steps = [s for s in data["steps"] if s["kind"] != "view"]
    rows = f.profile().rows
    assert len(steps) == len(rows) and [s["calls"] for s in steps] == [r.calls for r in rows] and steps[0]["calls"] == 3
    dots = [n for n in made if n["label"] == "dot"]
    assert len(dots) == 2 and {data["steps"][n["step"]]["kind"] for n in dots} == {"gemm"}


def test_loops_hold_their_steps_and_pages_stand_alone(tmp_path):
    s, h = T.dmatrix("s"), T.dvector("h")
    states, _ = symbolic.scan(lambda e, state: T.tanh(e + state), s, h)
    f = symbolic.function([s, h], states[-1].sum())
    file = tmp_path / "graph.html"
    d3viz(f, file)
    page = file.read_text()
    data = payload(page)
    loop, = (k for k, n in enumerate(data["nodes"]) if n["label"].startswith("scan"))
    inside = [n for n in data["nodes"] if n["inside"] == loop]
    assert {"tanh", "add"} <= {n["label"] for n in inside if n["kind"] == "apply"}
    assert not re.search(r"(src|href)=|@import|url\((?!#)|fetch\(|import\(", page), "nothing is loaded"
    outside = page.replace('"http:" + "//www.w3.org/2000/svg"', "")
    assert "http:" not in outside and "https:" not in outside


def test_names_of_users_cant_end_the_script():
    evil = "</script><script>alert('&\u2028')//<!--"
    x = T.dvector(evil)
    y = T.exp(x)
    y.name = evil
    page = htmlgraph([y], title=evil)
    assert page.count("</script>") == 2 and "alert('&" not in page
    data = payload(page)
    assert data["title"] == evil and evil[:20] in data["nodes"][0]["label"]
    assert "&lt;/script&gt;" in page.partition("</title>")[0]


def test_what_isnt_a_graph_is_an_error_and_variables_are_graphs():
    with pytest.raises(TypeError, match="needs a function, a graph or variables, got int"):
        htmlgraph(3)
    x = T.dmatrix("x")
    y = T.dot(x, x.T) + 1
    data = payload(htmlgraph(y))
    assert sum(n["kind"] == "apply" for n in data["nodes"]) == len(toposort([y])) and not data["steps"]
    interpreted = symbolic.function([x], y, mode="FAST_COMPILE")
    assert payload(htmlgraph(interpreted))["steps"] == []


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, to read the script")
def test_the_script_is_a_script(tmp_path):
    script = re.findall(r"<script>\n(.*?)</script>", htmlgraph(T.exp(T.dvector("x"))), re.DOTALL)[0]
    file = tmp_path / "script.js"
    file.write_text(script)
    subprocess.run(["node", "--check", str(file)], check=True, capture_output=True)
