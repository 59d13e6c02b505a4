"""Graphs as objects: walking, copying, comparing, replacing; rewrites and typed lists in Theano's form."""
from __future__ import annotations

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic import typed_list
from symbolic.errors import DTypeError, GraphError, IndexOutOfBounds, MissingInputError, NotSupported
from symbolic.gof import FunctionGraph, generic, graph, opt, toolbox
from symbolic.gof.type import CDataType, Type
from symbolic.gof.utils import flatten, give_variables_names, remove, uniq
from symbolic.opt.rules import RULES, unregister

x, y, z = T.dvectors("xyz")


def run(inputs, output, *values):
    return symbolic.function(inputs, output, on_unused_input="ignore")(*values)


def test_walking():
    s = symbolic.shared(np.ones(2), "s")
    e = T.exp(x)
    out = e * y + s
    assert graph.ancestors([out])[0] is out and set(graph.inputs([out])) == {x, y, s}
    assert graph.inputs([out], blockers=[e]) != graph.inputs([out]) and x not in graph.inputs([out], blockers=[e])
    nodes = graph.io_toposort([x, y], [out])
    assert [str(n.op) for n in nodes] == ["exp", "mul", "add"] and graph.list_of_nodes([], [out])[0] is out.owner
    assert graph.ops([x, y], [out]) == set(nodes) and graph.orphans([x, y], [out]) == [s]
    assert set(graph.variables([x, y], [out])) == {x, y, s, e, out, nodes[1].outputs[0]}
    assert graph.io_toposort([e], [out]) == nodes[1:]
    clients = {}
    graph.io_toposort([], [out], clients=clients)
    assert clients[e] == [nodes[1]]
    assert graph.is_in_ancestors(out.owner, e.owner) and not graph.is_in_ancestors(e.owner, out.owner)
    assert graph.view_roots(out) == [out] and graph.as_string([x, y], [e * y]) == ["exp(x) * y"]
    with pytest.raises(TypeError, match="expected a list of variables"):
        graph.ancestors(out)


def test_orders():
    a, b = T.exp(x), T.sin(x)
    out = a + b
    order = graph.io_toposort([x], [out], orderings={a.owner: [b.owner]})
    assert order.index(b.owner) < order.index(a.owner)
    with pytest.raises(GraphError, match="cycle"):
        graph.io_toposort([x], [out], orderings={a.owner: [b.owner], b.owner: [a.owner]})
    assert graph.general_toposort([3], lambda n: range(n)) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="cycles"):
        graph.general_toposort([0], lambda n: [1 - n])
    edges = {1: [2, 3], 2: [4], 3: [4]}
    assert graph.stack_search([1], edges.get, "bfs") == [1, 2, 3, 4] and graph.stack_search([1], edges.get, "dfs") == [1, 2, 4, 3]
    assert graph.stack_search([1], edges.get, build_inv=True)[1] == {2: [1], 3: [1], 4: [2, 3]}
    with pytest.raises(ValueError, match="bfs or dfs"):
        graph.stack_search([1], edges.get, "up")


def test_comparing():
    same = graph.equal_computations
    assert same([T.exp(x) + 1], [T.exp(x) + 1]) and not same([T.exp(x) + 1], [T.exp(x) + 2])
    assert not same([x + y], [y + x]) and not same([x], [x, y])
    assert same([x + y], [y + x], [x, y], [y, x]) and not same([x + y], [y + y], [x, y], [y, x])
    assert not same([x + 1], [T.fvector("f") + 1], [x], [T.fvector("f")])
    assert not same([T.constant(0.0)], [T.constant(-0.0)]) and same([T.constant([1, 2])], [T.constant([1, 2])])
    h = x * 2
    assert same([h * h], [(x * 2) * (x * 2)])
    assert graph.is_same_graph(T.exp(x), T.exp(y), givens={x: y}) and graph.is_same_graph(T.exp(x), T.exp(y), givens=[(y, x)])
    assert not graph.is_same_graph(T.exp(x), T.exp(y))
    u, v = T.max_and_argmax(x, axis=0)
    assert not same([u], [v])


def test_copying():
    s = symbolic.shared(np.ones(2), "s")
    out = T.exp(x) * y + s
    (x2, y2), (out2,) = graph.clone([x, y], [out])
    assert x2 is not x and x2.name == "x" and set(graph.inputs([out2])) == {x2, y2, s}
    np.testing.assert_array_equal(run([x2, y2], out2, [0.0, 0.0], [1.0, 2.0]), [2, 3])
    (x3, _), (out3,) = graph.clone([x, y], [out], copy_inputs=False)
    assert x3 is x and out3 is not out
    table = graph.clone_get_equiv([x, y], [out])
    assert table[out.owner].outputs[0] is table[out]
    assert graph.io_connection_pattern([x, y, z], [out, T.argmax(x)]) == [[True, True], [True, False], [False, False]]


def test_clone_with_replacements():
    s = symbolic.shared(np.ones(2), "s")
    e = T.exp(x)
    out = e * y + s
    swapped = symbolic.clone(out, replace={x: y, y: x})
    np.testing.assert_allclose(run([x, y], swapped, [3.0, 3.0], [0.0, 0.0]), [4, 4])
    inner, both = symbolic.clone([out, e], replace=[(e, z)])
    assert both is z and set(graph.inputs([inner])) == {z, y, s}
    own = symbolic.clone(out, share_inputs=False)
    assert not set(graph.inputs([own])) & {x, y, s}
    assert symbolic.clone(out) is out and symbolic.clone(out, replace={z: x}) is out
    f = T.fvector("f")
    with pytest.raises(GraphError, match=r"(?s)clone: a replacement has another type.*astype\('float64'\)"):
        symbolic.clone(out, replace={x: f})
    assert symbolic.clone(e, replace={x: f}, strict=False).dtype == "float32"
    with pytest.raises(GraphError, match="variables by variables"):
        symbolic.clone(out, replace={x: 1.0})


def test_function_graph():
    e = T.exp(x)
    g = FunctionGraph([x, y], [e * y + e, e])
    assert len(g) == 3 and g.inputs[0] is not x and "exp(x)" in str(g)
    first = g.toposort()[0]
    assert len(g.clients[first.outputs[0]]) == 3 and first in g and g.outputs[1] in g
    g.replace(first.outputs[0], T.cos(g.inputs[0]))
    g.check_integrity()
    assert [str(n.op) for n in g.toposort()] == ["cos", "mul", "add"] and g.outputs[1].owner.op.name == "cos"
    np.testing.assert_array_equal(run(g.inputs, g.outputs[0], [0.0], [2.0]), [3])
    assert e.owner.inputs[0] is x, "the user's graph stays"
    copy, table = g.clone_get_equiv()
    assert copy.outputs[0] is table[g.outputs[0]] and len(copy) == 3
    g.replace_all([(g.inputs[1], g.inputs[0] * 2)])
    np.testing.assert_array_equal(run(g.inputs, g.outputs[0], [0.0], [9.0]), [1])
    g.check_integrity()


def test_a_variable_is_replaced_by_what_reads_it():
    g = FunctionGraph([x], [T.exp(x) + x])
    g.replace(g.inputs[0], T.sin(g.inputs[0]))
    g.check_integrity()
    np.testing.assert_allclose(run(g.inputs, g.outputs[0], [0.5]), np.exp(np.sin([0.5])) + np.sin([0.5]))


def test_mistakes_with_function_graphs():
    with pytest.raises(MissingInputError, match="the graph needs y"):
        FunctionGraph([x], [x + y])
    g = FunctionGraph([x], [T.exp(x)], clone=False)
    with pytest.raises(GraphError, match="the replacement has another type"):
        g.replace(x, T.fvector("f"))
    with pytest.raises(MissingInputError, match="needs y"):
        g.replace(g.outputs[0], T.sin(y))
    with pytest.raises(GraphError, match="another type"):
        g.change_input("output", 0, T.dscalar())
    g.replace(y, x)  # not in the graph


def test_features(capsys):
    g = FunctionGraph([x, y], [T.exp(x) + y], features=[toolbox.NodeFinder()])
    add = g.outputs[0].owner
    assert g.get_nodes(add.op) == [add]
    g.attach_feature(toolbox.ReplaceValidate())
    listener = toolbox.PrintListener()
    g.attach_feature(listener)
    before = g.checkpoint()
    g.replace(add.inputs[0], T.cos(g.inputs[0]), reason="test")
    assert "importing: cos(x), reason: test" in capsys.readouterr().out
    g.revert(before)
    g.check_integrity()
    assert [str(n.op) for n in g.toposort()] == ["exp", "add"]

    class Refuse(toolbox.Feature):
        def validate(self, fgraph):
            if any(str(n.op) == "sin" for n in fgraph.toposort()):
                raise toolbox.BadOptimization("no sines")

    g.attach_feature(Refuse())
    listener.active = False
    g.replace_validate(add.inputs[0], T.cos(g.inputs[0]))
    with pytest.raises(AssertionError, match="no sines"):
        g.replace_all_validate([(g.outputs[0], T.sin(g.inputs[0]))])
    assert [str(n.op) for n in g.toposort()] == ["cos", "add"]
    with pytest.raises(toolbox.AlreadyThere):
        g.attach_feature(toolbox.History())
    g.remove_feature(listener)


@pytest.mark.parametrize("n", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_long_graphs(n):
    deep = x
    for k in range(n):
        deep = T.tanh(deep) if k % 2 else deep * 1.5
    assert len(graph.ancestors([deep])) > n and graph.inputs([deep]).count(x) == 1
    assert len(graph.io_toposort([x], [deep])) == n == len(graph.list_of_nodes([x], [deep]))
    (_,), (other,) = graph.clone([x], [deep])
    assert not graph.equal_computations([deep], [other])
    assert graph.equal_computations([deep], [graph.clone_get_equiv([x], [deep], copy_inputs=False)[deep]])
    assert symbolic.clone(deep, replace={x: y}) is not deep
    g = FunctionGraph([x], [deep])
    g.replace(g.toposort()[0].outputs[0], T.sin(g.inputs[0]))
    assert len(g.clone()) == n
    assert graph.io_connection_pattern([x], [deep]) == [[True]]


# ------------------------------------------------------------------------------------------------ rewrites


@pytest.fixture
def rules():
    before = set(RULES)
    yield
    for name in set(RULES) - before:
        unregister(name)


def computed(out):
    f = symbolic.function([x], out)
    return [str(n.op) for n in f.maker.fgraph.toposort()], f


def test_local_optimizers(rules):
    @opt.register_canonicalize
    @opt.local_optimizer([T.sinh])
    def local_sinh(node):
        "sinh(x) -> x, which is wrong, so that it is seen"
        return [node.inputs[0]]

    assert computed(T.sinh(x) + 1)[0] == ["add"] and isinstance(local_sinh, opt.LocalOptimizer)
    assert local_sinh.tracks() == [T.sinh]
    mode = symbolic.Mode("FAST_RUN").excluding("local_sinh")
    np.testing.assert_allclose(symbolic.function([x], T.sinh(x), mode=mode)([1.0]), np.sinh([1.0]))

    @opt.register_specialize("opt_in")
    @opt.local_optimizer([T.cosh])
    def local_cosh(node):
        return {node.outputs[0]: node.inputs[0]}

    assert computed(T.cosh(x) + 1)[0] == ["cosh", "add"]
    f = symbolic.function([x], T.cosh(x) + 1, mode=symbolic.Mode().including("local_cosh"))
    assert f([3.0]) == [4]
    with pytest.raises(ValueError, match="tracks must be None"):
        opt.local_optimizer([])
    with pytest.raises(TypeError, match="tracks ops"):
        opt.local_optimizer([3])(lambda node: None)


def test_patterns(rules):
    opt.optdb.register("local_atan_of_tan", opt.PatternSub((T.arctan, (T.tan, "a")), "a"), 1.2, "fast_run", "canonicalize")
    assert "local_atan_of_tan" in opt.optdb and "nothing" not in opt.optdb
    assert computed(T.arctan(T.tan(x)) * 3)[0] == ["mul"]
    assert computed(T.arctan(T.tan(x) * 2))[0] == ["tan", "mul", "arctan"]
    twice = opt.PatternSub((T.sub, {"pattern": "a", "constraint": lambda v: v.ndim == 1}, (T.mul, "a", 2.0)), (T.neg, "a"))
    assert twice((x - x * 2.0).owner)[0].owner.op.name == "neg" and twice((x - y * 2.0).owner) is None
    swap = opt.OpSub(T.arcsinh, T.sinh)
    assert swap(T.arcsinh(x).owner)[0].owner.op.name == "sinh" and swap(T.exp(x).owner) is None
    assert opt.OpRemove(T.exp)(T.exp(x).owner) == [x]
    both = opt.in2out(swap, opt.OpRemove(T.exp))
    assert both(T.exp(x).owner) == [x]
    for wrong, text in ((lambda: opt.optimizer(len), "whole graphs"), (lambda: opt.optdb.register("a", len), "needs a rewrite")):
        with pytest.raises(NotSupported, match=text):
            wrong()
    with pytest.raises(TypeError, match="must be a tuple"):
        opt.PatternSub("a", "a")


# ------------------------------------------------------------------------------------------------ types and lists


def test_types():
    assert generic.filter(len) is len and generic("g").name == "g" and generic.is_valid_value(3)

    class Even(Type):
        def filter(self, data, strict=False, allow_downcast=None):
            if data % 2:
                raise TypeError("odd")
            return data

    assert Even() == Even() and Even().is_valid_value(2) and not Even().is_valid_value(3) and Even()("e").type == Even()
    assert Even().values_eq(2, 2)
    with pytest.raises(TypeError, match="pointers"):
        CDataType("void *").filter(0)
    assert uniq([1, 2, 1]) == [1, 2] and flatten([[1], (2,)]) == [1, 2] and remove(bool, [0, 1]) == [0]
    named = [T.dscalar(), T.dscalar("a"), T.dscalar("a")]
    give_variables_names(named)
    assert len({v.name for v in named}) == 3


def test_typed_lists():
    empty = typed_list.TypedListType(T.dvector)()
    made = empty.append(x).extend([y, x * 2]).insert(0, z)
    assert len(made) == 4 and made[1] is x and made[-4] is z and len(made[1:3]) == 2
    assert made.reverse()[0] is made[3] and len(made.remove(y)) == 3 and int(typed_list.length(made).eval()) == 4
    values = {x: [1.0, 2.0], y: [0.0, 0.0], z: [1.0, 2.0]}
    outputs = [made.count(x), made.ind(y), typed_list.getitem(made, T.constant(2)).sum()]
    found = symbolic.function([x, y, z], outputs)(*values.values())
    assert [int(v) for v in found] == [2, 2, 0]
    assert int(made.ind(np.array([9.0, 9.0])).eval(values)) == -1
    assert typed_list.make_list([x, y]).type == typed_list.TypedListType(T.dvector)
    for wrong, error, text in (
            (lambda: made.append(T.fvector("f")), DTypeError, r"elements are float64 .*f \(float32"),
            (lambda: made[9], IndexOutOfBounds, "index 9 is out of range for a list of 4"),
            (lambda: made[T.lscalar("i")], NotSupported, "when the graph is built"),
            (lambda: made.remove(x + 1), ValueError, "isn't an element"),
            (lambda: typed_list.make_list([]), ValueError, "no elements"),
            (lambda: typed_list.TypedListType(3), TypeError, "type of an element")):
        with pytest.raises(error, match=text):
            wrong()
