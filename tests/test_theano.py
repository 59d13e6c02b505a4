"""Programs of Theano's time: every name they use is found under the name theano, settings are read, modes are understood."""
from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import symbolic
import symbolic.tensor as T
from symbolic.config import Config, config
from symbolic.mode import as_mode
from symbolic.theano import Alias, install_as_theano, missing_names, uninstall
from symbolic.theano.table import METHODS, MODULES, NAMES
from symbolic.theano_flags import WITHOUT_EFFECT

ROOT = Path(__file__).parent.parent

#: Names of Theano that aren't there yet. They belong to parts that are still being built; a name that is there goes.
NOT_YET: set[str] = set()
#: The same, of methods of variables.
METHODS_NOT_YET: set[str] = set()


@pytest.fixture
def theano():
    module = install_as_theano(read_flags=False)
    yield module
    uninstall()


def test_every_name_that_programs_use_is_there():
    missing = set(missing_names())
    assert missing <= NOT_YET, sorted(missing - NOT_YET)
    assert NOT_YET <= set(NAMES)
    x = T.dmatrix("x")
    assert {n for n in METHODS if not hasattr(x, n)} <= METHODS_NOT_YET


def test_the_package_itself_has_nearly_all_of_them():
    """``import symbolic as theano``: all but modules that are functions here, and those inside of stubs."""
    missing = set()
    for name in set(NAMES) - NOT_YET:
        thing = symbolic
        for part in name.split(".")[1:]:
            thing = getattr(thing, part, None)
        if thing is None and name != "theano.version":
            missing.add(name)
    own = ("theano.ifelse.", "theano.version", "theano.__version__", "theano.compat", "theano.sandbox.cuda.",
           "theano.gpuarray.dnn", "theano.compile.profiling", "theano.tensor.var.", "theano.tensor.xlogx.")
    assert {n for n in missing if not n.startswith(own)} == set()


def test_the_search_for_names_sees_one_that_is_missing(monkeypatch):
    monkeypatch.setattr("symbolic.theano.NAMES", ("theano.function", "theano.tensor.no_such_thing", "theano.nowhere.x"))
    assert missing_names() == ["theano.tensor.no_such_thing", "theano.nowhere.x"]


def test_every_module_can_be_imported_and_none_is_ours(theano):
    for name in MODULES:
        module = importlib.import_module(name)
        assert isinstance(module, Alias) and dir(module) is not None
    assert sys.modules["theano.tensor"] is not symbolic.tensor
    assert callable(symbolic.ifelse) and not isinstance(symbolic.ifelse, type(sys))


def test_import_forms(theano):
    namespace: dict = {}
    exec(textwrap.dedent("""
        import theano
        import theano.tensor as T
        from theano import theano as again, tensor as tt, function, shared, config
        from theano.ifelse import ifelse
        from theano.tensor import *
        from theano.tensor.nnet import sigmoid
        from theano.tensor.shared_randomstreams import RandomStreams
        from theano.sandbox.rng_mrg import MRG_RandomStreams as Streams
        from theano.compat.six.moves import xrange, cPickle
        from theano.compat.python2x import OrderedDict
        import theano.sandbox.cuda.basic_ops as sbcuda
        from theano.sandbox import cuda
        from theano.gof.graph import inputs, ancestors
        from theano.compile.nanguardmode import NanGuardMode
        """), namespace)
    assert namespace["again"] is namespace["theano"] and namespace["tt"] is namespace["T"]
    assert namespace["ifelse"] is symbolic.ifelse and theano.ifelse.ifelse is symbolic.ifelse
    assert not namespace["cuda"].cuda_available and namespace["matrix"] is T.matrix
    x = T.dvector("x")
    assert namespace["sbcuda"].gpu_contiguous(x) is x
    assert list(namespace["xrange"](2)) == [0, 1] and namespace["OrderedDict"]().__class__.__name__ == "OrderedDict"
    assert float(theano.ifelse(T.gt(x.sum(), 0), x.sum(), T.constant(0.0)).eval({x: [1.0]})) == 1.0
    assert theano.__version__ and theano.config is config


def test_what_a_program_puts_on_theano_stays_there(theano):
    theano.tensor.mine = 1
    theano.own = 2
    assert not hasattr(symbolic, "own") and "mine" not in vars(symbolic.tensor)
    with pytest.raises(AttributeError, match=r"theano\.tensor' has no name 'softmaks'"):
        _ = theano.tensor.softmaks
    with pytest.raises(ImportError):
        importlib.import_module("theano.nowhere")


def test_stubs_say_no(theano):
    cuda = importlib.import_module("theano.sandbox.cuda")
    gpu = importlib.import_module("theano.gpuarray")
    dnn = importlib.import_module("theano.sandbox.cuda.dnn")
    assert cuda.cuda_available is False and gpu.pygpu_activated is False and dnn.dnn_available() is False
    for act in (lambda: cuda.use("gpu0"), lambda: cuda.CudaNdarrayType((False,)), lambda: gpu.GpuArrayType("float32", (False,))):
        with pytest.raises(NotImplementedError, match=r"no GPU of Theano's\nhint: "):
            act()
    assert not isinstance(T.dvector(), cuda.var.CudaNdarraySharedVariable)
    with pytest.raises(AttributeError, match="no GPU"):
        _ = cuda.device_properties


def test_theano_itself_is_not_taken_over(monkeypatch):
    monkeypatch.setitem(sys.modules, "theano", type(sys)("theano"))
    with pytest.raises(ImportError, match="hint: call install_as_theano"):
        install_as_theano()


PROGRAM = """
import sys
import numpy
import theano
import theano.tensor as T
rng = numpy.random
x, y = T.matrix("x"), T.vector("y")
w = theano.shared(rng.randn(3).astype(theano.config.floatX), name="w")
p = 1 / (1 + T.exp(-T.dot(x, w)))
cost = T.nnet.binary_crossentropy(p, y).mean() + 0.01 * (w ** 2).sum()
train = theano.function([x, y], cost, updates=[(w, w - 0.5 * T.grad(cost, w))])
X = rng.RandomState(0).randn(20, 3).astype(theano.config.floatX)
Y = (X[:, 0] > 0).astype(theano.config.floatX)
costs = [float(train(X, Y)) for _ in range(20)]
print(theano.config.floatX, theano.config.mode, costs[-1] < costs[0], __name__, sys.argv[1:])
"""


def run(arguments, **environ):
    return subprocess.run([sys.executable, "-m", "symbolic.theano", *arguments], capture_output=True, text=True, check=False,
                          cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "THEANORC": ""} | environ)


def test_a_program_runs_unchanged(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    rc = tmp_path / "rc"
    rc.write_text("[global]\nfloatX = float32\ndevice = cpu\n[blas]\nldflags = -lopenblas\n")
    done = run([str(program), "a", "-b"], THEANORC=str(rc), THEANO_FLAGS="mode=FAST_COMPILE,exception_verbosity=high")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "float32 FAST_COMPILE True __main__ ['a', '-b']\n"


@pytest.mark.parametrize(("arguments", "environ", "code", "text"), [
    ([], {}, 2, "usage:"), (["--help"], {}, 0, "usage:"), (["no_such_file.py"], {}, 2, "no file no_such_file.py"),
    (["x.py"], {"THEANO_FLAGS": "floatX=float31"}, 2, "THEANO_FLAGS: floatX: expected one of 'float64'"),
    (["x.py"], {"THEANO_FLAGS": "floatX"}, 2, "isn't name=value"), (["-m"], {}, 2, "needs the name of a module"),
    (["-m", "this"], {}, 0, "Beautiful"),
])
def test_the_command_line(arguments, environ, code, text):
    done = run(arguments, **environ)
    assert done.returncode == code and text in done.stdout + done.stderr


def test_flags(tmp_path):
    with pytest.warns(UserWarning, match="no setting 'floatY'"):
        made = Config()
        taken = made.read_theano_flags({"THEANORC": "", "THEANO_FLAGS": "floatX=float16,floatY=1,warn.round=False,"
                                        "mode=DebugMode,gcc.cxxflags=-O1,NanGuardMode.action=warn"})
    assert (made.floatX, made.mode, made.cflags, made.nan_guard_action) == ("float16", "CHECK", "-O1", "warn")
    assert [f.name for f in taken] == ["floatX", "warn.round", "mode", "gcc.cxxflags", "NanGuardMode.action"]
    rc = tmp_path / "rc"
    rc.write_text("[global]\nfloatX = float32\n[nvcc]\nfastmath = True\n")
    made = Config()
    made.read_theano_flags({"THEANORC": f"{rc}{os.pathsep}{tmp_path / 'not there'}", "THEANO_FLAGS": "cxx="})
    assert made.floatX == "float32" and made.mode == "FAST_COMPILE"
    rc.write_text("floatX float32")
    with pytest.raises(ValueError, match="not a file of settings"):
        made.read_theano_flags({"THEANORC": str(rc)})


def test_settings_that_only_theano_has():
    before = dict(WITHOUT_EFFECT)
    assert config.allow_gc is True and config.dnn.conv.algo_fwd == "small" and config.blas.ldflags == ""
    config.profile = True
    config.lib.cnmem = 0.5
    try:
        assert config.profile is True and config.lib.cnmem == 0.5
    finally:
        config.profile, config.lib.cnmem = False, 0.0
    assert config.gcc.cxxflags == config.cflags
    for wrong in (lambda: config.dnn.nothing, lambda: config.nothing):
        with pytest.raises(AttributeError, match=r"no setting .*nothing"):
            wrong()
    with config.change_flags(allow_gc=False, floatX="float32"):
        assert config.floatX == "float32"
    assert before == WITHOUT_EFFECT


def test_modes_of_theano():
    assert symbolic.Mode("py").name == "FAST_COMPILE" and symbolic.Mode(linker="cvm").name == "FAST_RUN"
    assert symbolic.Mode("c|py", "fast_compile").require == ("fast_compile",)
    assert symbolic.Mode(None, optimizer=None).exclude == ("fast_run", "fast_compile")
    assert as_mode("DebugMode").name == "CHECK" and as_mode("Mode").name == "FAST_RUN"
    assert as_mode("NanGuardMode").watch is not None
    for wrong, text in ((lambda: symbolic.Mode(linker="gpu"), "linker must be"), (lambda: as_mode("FAST"), "mode must be"),
                        (lambda: symbolic.Mode(optimizer="o9"), "optimizer must be")):
        with pytest.raises(ValueError, match=text):
            wrong()
    x = T.dvector("x")
    value = np.array([0.5, 1.0])
    for mode in (symbolic.Mode("py"), symbolic.Mode(None, None), symbolic.Mode("cvm", "fast_compile").including("unsafe")):
        np.testing.assert_allclose(symbolic.function([x], T.log(1 + T.exp(x)), mode=mode)(value), np.log1p(np.exp(value)))
    config.optimizer = "None"
    try:
        assert as_mode(None).exclude == ("fast_run", "fast_compile") and as_mode("FAST_RUN").exclude == ()
    finally:
        config.optimizer = "fast_run"


def test_keywords_of_function_and_eval():
    x, y = T.dvector("x"), T.fvector("y")
    f = symbolic.function([y], T.exp(x), givens={x: y}, rebuild_strict=False, accept_inplace=True, profile=False)
    assert f(np.ones(2, "float32")).dtype == np.float32
    z = x * 2 + 1
    np.testing.assert_array_equal(z.eval({x: [1.0]}), [3.0])
    first = z.tag._fn_cache
    np.testing.assert_array_equal(z.eval({"x": [2.0]}), [5.0])
    assert len(first) == 1
    with pytest.raises(symbolic.errors.MissingInputError, match="no input called 'q'"):
        z.eval({"q": 1})
    assert float(T.constant(2.0).eval()) == 2.0


def test_ordered_updates():
    a, b = symbolic.shared(0.0, "a"), symbolic.shared(0.0, "b")
    u = symbolic.OrderedUpdates([(a, a + 1)])
    assert list(u + {b: b + 2}) == [a, b] and list({b: 1.0} + u) == [b, a]
    with pytest.raises(symbolic.errors.UpdateError, match="a is updated in two ways"):
        u + {a: a + 2}
    with pytest.raises(symbolic.errors.UpdateError, match="only shared variables"):
        symbolic.OrderedUpdates({T.dscalar("x"): 1})
    _, updates = symbolic.scan(lambda: {a: a + 1}, n_steps=3)
    assert isinstance(updates, symbolic.OrderedUpdates)
    symbolic.function([], [], updates=updates + {b: a + 5})()
    assert (a.get_value(), b.get_value()) == (3, 5)


def test_what_lasagnes_own_tests_found(tmp_path):
    """Lasagne 0.1 runs on this package; these are the things that kept it from that."""
    w, u = symbolic.shared(np.eye(2), "w"), symbolic.shared(np.ones((2, 1)), "u")
    both, x, h = T.concatenate([w, u], axis=1), T.dmatrix("x"), T.dvector("h")
    step = lambda e, state, *_: T.tanh(T.dot(state, both)[:2] + e)  # noqa: E731  (what is computed outside is among non_sequences)
    out, _ = symbolic.scan(step, sequences=x, outputs_info=h, non_sequences=[both], strict=True)
    a = np.array([[0.1, 0.2], [0.3, 0.4]])
    want = np.tanh(a[0])
    np.testing.assert_allclose(symbolic.function([x, h], out)(a, np.zeros(2)), [want, np.tanh(want + a[1])])
    with pytest.raises(symbolic.errors.MissingInputError, match="u .* is used in the loop"):
        symbolic.scan(lambda e, s, *_: s + e + u[:, 0], sequences=x, outputs_info=h, non_sequences=[w], strict=True)
    assert [isinstance(v, T.TensorVariable) for v in (x, x + 1, w, T.constant(1))] == [True, True, False, False]
    made = T.TensorType("float32", broadcastable=(False, True))
    assert made == T.TensorType("float32", (None, 1)) == T.dmatrix().type.clone("float32", broadcastable=(False, True))
    size = np.prod([2, x.shape[0], x.shape[1]])
    assert symbolic.function([x], size)(a) == 8
    with pytest.raises(TypeError, match="no elements until the function runs"):
        np.asarray(x)


def test_what_keras_needed():
    """Keras 1.2 trains on this package as its Theano backend; these are the things that kept it from that."""
    x, b = T.fmatrix("x"), symbolic.shared(np.zeros(4, "float32"), "b")
    x._keras_shape = (None, 4)
    assert x._keras_shape == (None, 4)
    with pytest.raises(TypeError, match="has no truth value"):
        bool(b)
    symbolic.install_as_theano(read_flags=False)
    try:
        assert bool(b) and bool(x + 1)
        with pytest.raises(TypeError, match="has no truth value"):
            bool(x < 1)
    finally:
        uninstall()
    # batch normalisation in one arm: its mean has an extent that is known to be 1, in the gradient's branch as well
    training, g = T.iscalar("training"), symbolic.shared(np.ones(4, "float32"), "g")
    w = symbolic.shared(np.eye(4, dtype="float32"), "w")
    out, mean, _ = T.nnet.bn.batch_normalization_train(x, g.dimshuffle("x", 0), b.dimshuffle("x", 0), (0,), 1e-3)
    loss = (T.dot(symbolic.ifelse(training, out, x * 2), w) ** 2).sum()
    outputs = [loss, symbolic.ifelse(training, mean.dimshuffle(1), b), *symbolic.grad(loss, [g, b, w, x])]
    f, h = (symbolic.function([x, training], outputs, mode=mode) for mode in ("FAST_RUN", "FAST_COMPILE"))
    a = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    for phase in (1, 0):
        for got, want in zip(f(a, phase), h(a, phase), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(f(a, 1)[1], a.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(f(a, 0)[0], ((2 * a) ** 2).sum(), rtol=1e-5)
