"""Every family of kernels through NVIDIA's compilers, NVRTC or nvcc where one is installed: accepted, and without spills."""
from __future__ import annotations

import importlib.util
import shutil
from functools import cache

import pytest
from test_elementwise_native import DTYPES, batches

import symbolic.tensor as T
from symbolic import ifelse, random, scan
from symbolic.codegen.cuda import nvrtc
from symbolic.codegen.cuda.program import DeviceProgram
from symbolic.config import config
from symbolic.errors import DeviceError
from symbolic.fgraph import capture
from symbolic.graph import Variable
from symbolic.mode import Mode
from symbolic.ops.elementwise import ROWS, Elementwise
from symbolic.opt.pipeline import optimised
from symbolic.opt.rules import rules_for
from symbolic.types import COMPLEX, TensorType

ARCHITECTURES = ("75", "80", "90", "100", "120")


@cache
def compilers() -> dict[str, object]:
    """Return what compiles for GPUs here, by name."""
    found = {}
    if importlib.util.find_spec("cupy") is not None:
        try:
            nvrtc.version()
            found["NVRTC"] = lambda code, arch: nvrtc.resources(nvrtc.compile_text(code, arch)[1])
        except DeviceError:
            pass
    if shutil.which("nvcc"):
        found["nvcc"] = nvrtc.by_nvcc
    return found


def code(inputs: list[Variable], outputs: list[Variable], deterministic: str = "default") -> str:
    """Return the CUDA text of a function."""
    with config.change_flags(deterministic=deterministic):
        graph = optimised(capture(inputs, outputs), rules_for(Mode(), "captured"))
        return DeviceProgram(graph, [], len(inputs), "test").code


def families() -> dict[str, str]:
    """Return a text for each family of kernels: all templates, all dtypes, all branches."""
    x, y, k, c = T.fmatrix("x"), T.dmatrix("y"), T.lvector("k"), T.cmatrix("c")
    h, b, u = T.matrix("h", dtype="float16"), T.bmatrix("b"), T.tensor3("u", dtype="uint64")
    loop, _ = scan(lambda row, s: T.tanh(T.dot(s, y) + row), y, y[0])
    number = T.vector("number", dtype="uint32")
    return {
        "rows": code([x, y], [T.nnet.softmax(x), T.nnet.logsoftmax(y), x.var(1), T.argmax(y, 1), x.sum(1), T.all(x > 0, 1),
                              (x - x.mean(1, keepdims=True)) / T.sqrt(x.var(1, keepdims=True) + 1e-5)]),
        "reductions": code([x, y, b, u, h, c], [x.sum(), y.sum(0), x.max(0), b.sum(1), u.prod((0, 2)), u.max(1), h.sum(),
                                                h.max(1), c.sum(0), c.prod(), T.any(x > 0), y.min(), T.argmin(x), x.T.sum(0)]),
        "scatters": code([x, y, k], [T.inc_subtensor(x[k], 1), T.set_subtensor(y[k], 2.0), T.concatenate([x, x * 2], 1),
                                     y[::-1, 1:], T.inc_subtensor(y[:, 1:], 3.0)]),
        "ordered": code([x, k], [T.inc_subtensor(x[k], x[k] * 2)], "more"),
        "random": code([number], [random.normal(number, (5, 7)), random.normal(number, (4,), dtype="float32")]),
        "inner": code([y], [loop, ifelse(y.sum() > 0, y * 2, T.exp(y))]),
        "convolution": code(*_convolution()),
    }


def _convolution() -> tuple[list[Variable], list[Variable]]:
    i, f = T.ftensor4("i"), T.ftensor4("f")
    out = T.nnet.conv2d(i, f, border_mode="half")
    return [i, f], [out, *T.grad(T.signal.pool.pool_2d(out, (2, 2), ignore_border=True).sum(), [i, f])]


def elementwise() -> dict[str, str]:
    """Return a text for all elementwise ops of each dtype."""
    found = {}
    for dtype in (*DTYPES, *COMPLEX):
        names = [n for batch in batches(dtype) for n in batch]
        xs = [Variable(TensorType(dtype, (None,) * 2), name=n) for n in "xyz"]
        found[dtype] = code(xs, [Elementwise(n)(*xs[:ROWS[n].nin]) for n in names])
    return found


def check(name: str, text: str, architectures: tuple[str, ...], spills: bool = False) -> int:
    """Compile with all that is there; return how many kernels there were."""
    count = 0
    for compiler, run in compilers().items():
        for architecture in architectures:
            kernels = run(text, architecture)
            assert kernels, f"{name}: {compiler} tells nothing of registers"
            bad = {k: r for k, r in kernels.items() if r["spills"] and not spills or r["registers"] > 255}
            assert not bad, f"{name} by {compiler} for sm_{architecture}: {bad}"
            count += len(kernels)
    return count


needs_compiler = pytest.mark.skipif(not compilers(), reason="neither NVRTC (pip install cupy-cuda13x "
                                    "'nvidia-cuda-nvrtc==13.0.*') nor nvcc is installed")


@needs_compiler
def test_every_family_is_accepted_for_one_architecture():
    count = sum(check(name, text, ("80",)) for name, text in families().items())
    assert count > 40


@needs_compiler
@pytest.mark.slow
def test_every_family_is_accepted_for_all_architectures():
    total = sum(check(name, text, ARCHITECTURES) for name, text in families().items())
    print(f"{total} kernels compiled for {', '.join(ARCHITECTURES)} by {', '.join(compilers())}")


@needs_compiler
@pytest.mark.slow
def test_all_elementwise_ops_compile_without_spills():
    for dtype, text in elementwise().items():
        check(dtype, text, ("80",))
        check(f"{dtype}, wide", "#define SYM_WIDE\n" + text, ("90",))


@needs_compiler
def test_what_compilers_refuse_is_told():
    run = next(iter(compilers().values()))
    with pytest.raises(RuntimeError, match=r"refused kernels(.|\n)*undefined"):
        run('extern "C" __global__ void k() { nothing(); }', "80")
