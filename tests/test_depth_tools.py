"""Chains of 100,000 applications through everything that looks at graphs: no recursion, and time in proportion."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import printing
from symbolic.gof import FunctionGraph
from symbolic.gof import graph as gof
from symbolic.monitor import MonitorMode

DEPTH = 100_000


@pytest.fixture(scope="module")
def chain():
    x = T.dscalar("x")
    y = x
    for k in range(DEPTH):
        y = T.sin(y) if k % 2 else y + 1
    return x, y


@pytest.fixture(scope="module")
def value():
    a = 0.5
    for k in range(DEPTH):
        a = np.sin(a) if k % 2 else a + 1
    return a


@pytest.mark.slow
def test_pictures_and_texts(chain):
    _, y = chain
    assert printing.dot_text(y).count("->") >= DEPTH
    assert printing.as_networkx(y).number_of_nodes() >= 2 * DEPTH
    page = printing.htmlgraph(y)
    assert page.count('"kind":"apply"') == DEPTH
    assert printing.debugprint(y, file="str").count("\n") >= DEPTH
    assert printing.pp(y).count("sin") == DEPTH // 2


@pytest.mark.slow
def test_graph_helpers(chain, tmp_path):
    x, y = chain
    assert len(list(gof.ancestors([y]))) > DEPTH
    assert x in list(gof.inputs([y])) and len(gof.io_toposort([x], [y])) == DEPTH
    inputs, outputs = gof.clone([x], [y])
    assert outputs[0] is not y and gof.equal_computations([y], outputs, [x], inputs)
    assert gof.is_same_graph(y, outputs[0], givens={inputs[0]: x})
    assert len(FunctionGraph([x], [y], clone=True).toposort()) == DEPTH
    symbolic.function_dump(tmp_path / "dump", [x], y)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NanGuardMode", "MonitorMode"])
def test_modes_that_interpret(chain, value, mode):
    x, y = chain
    seen = []
    chosen = MonitorMode(lambda *_: None, lambda i, node, fn: seen.append(i)) if mode == "MonitorMode" else mode
    f = symbolic.function([x], y, mode=chosen)
    np.testing.assert_allclose(f(0.5), value, rtol=1e-9)
    assert len(seen) in ((0,) if mode != "MonitorMode" else range(DEPTH // 2, DEPTH + 2))
